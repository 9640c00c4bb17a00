//! Confirmation: tickets issued, holds sold, postings remembered, in one commit.

use std::collections::{BTreeMap, BTreeSet};

use florin_platform::http::problem::Problem;
use florin_platform::sql::Arg;
use serde_json::json;

use super::desk::Cx;
use super::row::{Attendee, Contact, OrderRow};
use super::show;
use crate::api::money::print;
use crate::model::amounts::FeePayer;
use crate::money::due::{self, Due, DueRow};
use crate::privacy::Person;
use crate::store::bulk::{self, Update};
use crate::store::holds;
use crate::{outbox, tickets};

/// How an order was paid.
#[derive(Debug, Clone)]
pub struct How {
    /// `wallet`, `card` or `free`.
    pub method: &'static str,
    /// The wallet attempt or card intent.
    pub payment_id: Option<String>,
    /// It was paid after its hold had ended.
    pub late: bool,
    /// What is due because of it.
    pub dues: Vec<Due>,
}

/// An order that is confirmed, and how it was paid.
#[derive(Debug, Clone, Copy)]
pub struct Confirmed<'a> {
    /// The order, as it was before.
    pub order: &'a OrderRow,
    /// How it was paid.
    pub how: &'a How,
}

/// [`confirm_all`] of one order.
///
/// # Errors
/// As [`confirm_all`].
pub async fn confirm(cx: &mut Cx, order: &OrderRow, how: &How) -> Result<Vec<DueRow>, Problem> {
    let mut planned = confirm_all(cx, &[Confirmed { order, how }]).await?;
    Ok(planned.pop().unwrap_or_default())
}

/// Confirms orders whose units are held, or were taken again; answers what is due of each. The
/// orders were found fit by the caller, in this transaction, and none stands there twice; their
/// status is none that was confirmed before (INV-T4).
///
/// # Errors
/// 500 when the holds do not fit an order; the store's.
pub async fn confirm_all(cx: &mut Cx, all: &[Confirmed<'_>]) -> Result<Vec<Vec<DueRow>>, Problem> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    cx.dirty = true;
    let store = cx.room.store.clone();
    let marks = store.marks();
    let orders: Vec<&OrderRow> = all.iter().map(|one| one.order).collect();
    convert(cx, &orders).await?;
    issue(cx, &orders).await?;
    let promos = orders.iter().filter(|order| order.promo_id.is_some());
    let promos = promos.map(|order| Arg::from(&order.id)).collect();
    let text = "UPDATE tk_promo_uses SET state = 'kept' WHERE order_id IN";
    bulk::execute(&mut cx.tx, marks, text, "", &[], promos).await?;
    let rows = all.iter().map(|one| confirmed(one, cx.now)).collect();
    bulk::update(&mut cx.tx, marks, &CONFIRM, rows).await?;
    let mut dues = Vec::with_capacity(all.len());
    let mut told = Vec::with_capacity(all.len());
    for Confirmed { order, how } in all {
        let mut due = how.dues.clone();
        if order.total > 0 {
            due.push(Due::Sale {
                order_id: order.id.clone(),
            });
        }
        dues.push(due);
        let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
        let data = json!({"orderId": order.id, "number": order.number, "eventId": order.event_id,
            "status": "confirmed", "currency": order.currency,
            "total": print(order.total, scale), "tickets": order.parts.len(),
            "method": how.method});
        told.push((&*order.org_id, "order.confirmed", data.to_string()));
    }
    let lines: Vec<(&str, &[Due])> = orders
        .iter()
        .map(|o| &*o.id)
        .zip(dues.iter().map(|d| &**d))
        .collect();
    let planned = due::plan_all(&store, &mut cx.tx, &lines).await?;
    outbox::tell_all(&store, &mut cx.tx, &told).await?;
    Ok(planned)
}

/// What confirmation writes into the order, by its id.
const CONFIRM: Update = Update {
    table: "tk_orders",
    columns: &[
        "id",
        "confirmed_at",
        "payment_method",
        "payment_status",
        "payment_id",
        "late_honoured",
    ],
    set: "status = 'confirmed', confirmed_at = new.confirmed_at, updated_at = new.confirmed_at,
        payment_method = new.payment_method, payment_status = new.payment_status,
        payment_id = new.payment_id, late_honoured = new.late_honoured",
};

fn confirmed(one: &Confirmed<'_>, now: i64) -> Vec<Arg> {
    let status = match one.how.method {
        "free" => "none",
        _ => "succeeded",
    };
    vec![
        Arg::from(&one.order.id),
        Arg::from(now),
        Arg::from(one.how.method),
        Arg::from(status),
        Arg::from(one.how.payment_id.clone()),
        Arg::from(one.how.late),
    ]
}

/// What the orders hold is sold.
async fn convert(cx: &mut Cx, orders: &[&OrderRow]) -> Result<(), Problem> {
    let marks = cx.room.store.marks();
    let ids: Vec<String> = orders.iter().map(|order| order.id.clone()).collect();
    let holds = holds::convert(&mut cx.tx, marks, &ids, cx.now, &mut cx.moves).await?;
    let mut units: BTreeMap<&str, i64> = BTreeMap::new();
    for hold in &holds {
        *units.entry(&hold.order_id).or_default() += hold.quantity;
    }
    for order in orders {
        let units = units.get(&*order.id).copied().unwrap_or_default();
        if usize::try_from(units) != Ok(order.parts.len()) {
            return Err(Problem::internal(format_args!(
                "order {} holds {units} units of {}",
                order.id,
                order.parts.len()
            )));
        }
    }
    Ok(())
}

/// Issues the tickets of orders.
///
/// # Errors
/// The store's.
pub async fn issue(cx: &mut Cx, orders: &[&OrderRow]) -> Result<(), Problem> {
    let room = cx.room.clone();
    let persons = persons_of(cx, orders.iter().copied()).await?;
    let person = |order: &OrderRow| {
        let person = persons.get(&order.person_id);
        person.ok_or_else(|| Problem::internal("an order without a person"))
    };
    let mut contacts = Vec::with_capacity(orders.len());
    for order in orders {
        contacts.push(contact(order, person(order)?));
    }
    let mut new = Vec::with_capacity(orders.len());
    for (order, contact) in orders.iter().zip(&contacts) {
        let owner = person(order)?;
        new.push(tickets::NewTickets {
            order_id: &order.id,
            order_number: &order.number,
            event_id: &order.event_id,
            org_id: &order.org_id,
            currency: &order.currency,
            channel: match &*order.channel {
                "comp" => "comp",
                _ => "online",
            },
            owner,
            owner_sub: order.owner_sub.as_deref(),
            buyer_name: contact.as_ref().and_then(|c| c.name.as_deref()),
            buyer_email: contact.as_ref().and_then(|c| c.email.as_deref()),
            at: cx.now,
            tickets: new_tickets(order, attendees(order, owner)),
        });
    }
    tickets::issue(&room, &mut cx.tx, &new).await
}

/// The persons who ordered, by id.
///
/// # Errors
/// The store's.
pub async fn persons_of<'a>(
    cx: &mut Cx,
    orders: impl Iterator<Item = &'a OrderRow>,
) -> Result<BTreeMap<String, Person>, Problem> {
    let ids: BTreeSet<&String> = orders.map(|order| &order.person_id).collect();
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    let vault = cx.room.vault.clone();
    vault.load_in(&mut cx.tx, &ids).await
}

/// Who ordered; `None` once he is erased.
pub fn contact(order: &OrderRow, person: &Person) -> Option<Contact> {
    let text = person.open(show::CONTACT, &order.contact)?;
    serde_json::from_str(&text).ok()
}

/// Who will come, as far as it was said.
pub fn attendees(order: &OrderRow, person: &Person) -> Vec<Attendee> {
    let sealed = order.attendees.as_deref().unwrap_or_default();
    let text = person.open(show::ATTENDEES, sealed);
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn new_tickets(order: &OrderRow, mut attendees: Vec<Attendee>) -> Vec<tickets::NewTicket> {
    let by_buyer = order.fee_payer == FeePayer::Buyer;
    order
        .parts
        .iter()
        .map(|part| {
            let found = attendees
                .iter()
                .position(|one| one.ticket_type_id == part.type_id)
                .map(|at| attendees.remove(at));
            let answers = found.as_ref().filter(|one| !one.answers.is_empty());
            tickets::NewTicket {
                type_id: part.type_id.clone(),
                type_no: part.type_no,
                answers: answers.and_then(|one| serde_json::to_string(&one.answers).ok()),
                holder_name: found.as_ref().and_then(|one| one.name.clone()),
                holder_email: found.and_then(|one| one.email),
                price: part.net + part.tax,
                paid: tickets::Paid {
                    net: part.net,
                    tax: part.tax,
                    platform_fee: if by_buyer { part.platform_fee } else { 0 },
                    processing_fee: if by_buyer { part.processing_fee } else { 0 },
                },
            }
        })
        .collect()
}
