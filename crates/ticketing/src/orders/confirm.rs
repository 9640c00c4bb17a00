//! Confirmation: tickets issued, holds sold, postings remembered, in one commit.

use florin_platform::http::problem::Problem;
use florin_platform::sql::query;
use serde_json::json;

use super::desk::Cx;
use super::row::{Attendee, Contact, OrderRow};
use super::show;
use crate::api::money::print;
use crate::model::amounts::FeePayer;
use crate::money::due::{self, Due, DueRow};
use crate::privacy::Person;
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

/// Confirms an order whose units are held, or were taken again. The order was found fit by the
/// caller, in this transaction; its status is none that was confirmed before (INV-T4).
///
/// # Errors
/// 500 when the holds do not fit the order; the store's.
pub async fn confirm(cx: &mut Cx, order: &OrderRow, how: &How) -> Result<Vec<DueRow>, Problem> {
    cx.dirty = true;
    let converted = holds::convert(&mut cx.tx, &order.id, cx.now, &mut cx.moves).await?;
    let units: i64 = converted.iter().map(|hold| hold.quantity).sum();
    if usize::try_from(units) != Ok(order.parts.len()) {
        return Err(Problem::internal(format_args!(
            "order {} holds {units} units of {}",
            order.id,
            order.parts.len()
        )));
    }
    issue(cx, order).await?;
    if order.promo_id.is_some() {
        let text = "UPDATE tk_promo_uses SET state = 'kept' WHERE order_id = $1";
        cx.tx.execute(query(text).bind(&order.id)).await?;
    }
    let status = if how.method == "free" {
        "none"
    } else {
        "succeeded"
    };
    let text = "UPDATE tk_orders SET status = 'confirmed', confirmed_at = $1, updated_at = $2,
        payment_method = $3, payment_status = $4, payment_id = $5, late_honoured = $6
        WHERE id = $7";
    let statement = query(text)
        .bind(cx.now)
        .bind(cx.now)
        .bind(how.method)
        .bind(status)
        .bind(how.payment_id.clone())
        .bind(how.late)
        .bind(&order.id);
    cx.tx.execute(statement).await?;
    let mut dues = how.dues.clone();
    if order.total > 0 {
        dues.push(Due::Sale {
            order_id: order.id.clone(),
        });
    }
    let store = cx.room.store.clone();
    let planned = due::plan(&store, &mut cx.tx, &order.id, &dues).await?;
    let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
    let data = json!({"orderId": order.id, "number": order.number, "eventId": order.event_id,
        "status": "confirmed", "currency": order.currency, "total": print(order.total, scale),
        "tickets": order.parts.len(), "method": how.method});
    outbox::tell(&store, &mut cx.tx, &order.org_id, "order.confirmed", &data).await?;
    Ok(planned)
}

/// Issues the tickets of an order.
///
/// # Errors
/// The store's.
pub async fn issue(cx: &mut Cx, order: &OrderRow) -> Result<Vec<tickets::Issued>, Problem> {
    let room = cx.room.clone();
    let ids = [order.person_id.clone()];
    let persons = room.vault.load_in(&mut cx.tx, &ids).await?;
    let person = persons
        .get(&order.person_id)
        .ok_or_else(|| Problem::internal("an order without a person"))?;
    let contact = contact(order, person);
    let new = tickets::NewTickets {
        order_id: &order.id,
        order_number: &order.number,
        event_id: &order.event_id,
        org_id: &order.org_id,
        currency: &order.currency,
        channel: if order.channel == "comp" {
            "comp"
        } else {
            "online"
        },
        owner: person,
        owner_sub: order.owner_sub.as_deref(),
        buyer_name: contact.as_ref().and_then(|c| c.name.as_deref()),
        buyer_email: contact.as_ref().and_then(|c| c.email.as_deref()),
        at: cx.now,
        tickets: new_tickets(order, attendees(order, person)),
    };
    tickets::issue(&room, &mut cx.tx, &new).await
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
