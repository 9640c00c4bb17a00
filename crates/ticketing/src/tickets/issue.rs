//! Tickets of a confirmed order.

use std::collections::BTreeMap;

use florin_ledger::proof::Hash;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Tx};
use serde_json::json;

use super::mail::{self, TicketMail};
use super::row::COLUMNS;
use crate::analytics::counts::TicketMoves;
use crate::gate::sequence;
use crate::model::buyer::{BuyerKey, fold_mail};
use crate::model::ticket_status::{TicketStatus, Transition};
use crate::privacy::Person;
use crate::provenance::{Step, append};
use crate::store::bulk;
use crate::{Ticketing, outbox};

/// The tickets of an order that is being confirmed.
#[derive(Debug)]
pub struct NewTickets<'a> {
    /// The order.
    pub order_id: &'a str,
    /// Its number, as it is shown.
    pub order_number: &'a str,
    /// Its event.
    pub event_id: &'a str,
    /// The event's organisation.
    pub org_id: &'a str,
    /// Currency of the amounts.
    pub currency: &'a str,
    /// `online` or `comp`.
    pub channel: &'static str,
    /// Who buys.
    pub owner: &'a Person,
    /// The buyer's account, if there is one.
    pub owner_sub: Option<&'a str>,
    /// The buyer's name: of tickets without an attendee of their own.
    pub buyer_name: Option<&'a str>,
    /// The buyer's e-mail: the tickets are mailed there.
    pub buyer_email: Option<&'a str>,
    /// When, in microseconds.
    pub at: i64,
    /// In the order of their numbers.
    pub tickets: Vec<NewTicket>,
}

/// One of them. Amounts are minor units.
#[derive(Debug, Clone, Default)]
pub struct NewTicket {
    /// Its type.
    pub type_id: String,
    /// Number of the type within the event.
    pub type_no: u16,
    /// Who is printed; the buyer without name and e-mail.
    pub holder_name: Option<String>,
    /// The buyer's without.
    pub holder_email: Option<String>,
    /// Answers to the type's questions, as JSON.
    pub answers: Option<String>,
    /// Price without fees (s of contract C1).
    pub price: i64,
    /// What the buyer pays for it.
    pub paid: super::Paid,
}

/// A ticket that is being issued.
struct Issued {
    id: String,
    number: String,
    type_id: String,
}

/// Issues the tickets of orders, and queues the mails that bring them.
///
/// # Errors
/// The store's.
pub async fn issue(
    room: &Ticketing,
    tx: &mut Tx,
    orders: &[NewTickets<'_>],
) -> Result<(), Problem> {
    let marks = room.store.marks();
    // Whoever sees one ticket of a change sees all of them: one number is enough.
    let mut changes: BTreeMap<&str, i64> = BTreeMap::new();
    let mut counts = TicketMoves::default();
    let (mut rows, mut leaves) = (Vec::new(), Vec::new());
    let (mut told, mut mails) = (Vec::new(), Vec::new());
    for new in orders {
        let holders = holders(room, tx, new).await?;
        let changed = match changes.get(new.event_id) {
            Some(changed) => *changed,
            None => sequence::next(tx, new.event_id).await?,
        };
        changes.insert(new.event_id, changed);
        // Ids rise with the numbers, so that lists by id show a whole order in its order.
        let mut ids: Vec<String> = new.tickets.iter().map(|_| room.store.id()).collect();
        ids.sort_unstable();
        let mut issued = Vec::with_capacity(new.tickets.len());
        for (index, (ticket, id)) in new.tickets.iter().zip(ids).enumerate() {
            let position = index + 1;
            let holder = Printed::of(new, ticket, &holders);
            let done = Issued {
                id,
                number: format!("{}-{position:02}", new.order_number),
                type_id: ticket.type_id.clone(),
            };
            let leaf = Step {
                ticket_id: &done.id,
                event_id: new.event_id,
                currency: new.currency,
                price: ticket.price,
                kind: Transition::Issued,
                generation: 1,
                at: new.at,
                before: None,
                holder: holder.person,
                holder_email: holder.email.as_deref(),
            }
            .leaf(room);
            rows.push(row(
                new, ticket, &done, position, &holder, &leaf.hash, changed,
            ));
            let of = (new.event_id, &*done.type_id, new.channel);
            counts.count(of, TicketStatus::Valid, 1);
            leaves.push(leaf);
            issued.push(done);
        }
        told.push((new.org_id, "ticket.issued", news(new, &issued)));
        if let Some(address) = new.buyer_email {
            let wanted = TicketMail {
                event_id: new.event_id,
                order_id: Some(new.order_id),
                ticket_id: None,
                kind: "order.confirmed",
            };
            mails.push(mail::row(room, new.owner, address, &wanted));
        }
    }
    let prefix = format!("INSERT INTO tk_tickets ({COLUMNS})");
    bulk::insert(tx, marks, &prefix, "", rows).await?;
    append(tx, marks, leaves).await?;
    counts.write(tx, marks).await?;
    outbox::tell_all(&room.store, tx, &told).await?;
    bulk::insert(tx, marks, mail::INSERT, "", mails).await?;
    Ok(())
}

/// Persons of attendees with an e-mail of their own, by it.
async fn holders(
    room: &Ticketing,
    tx: &mut Tx,
    new: &NewTickets<'_>,
) -> Result<BTreeMap<String, Person>, Problem> {
    let buyer = new.buyer_email.map(fold_mail);
    let mut found = BTreeMap::new();
    for mail in new.tickets.iter().filter_map(|t| t.holder_email.as_deref()) {
        let mail = fold_mail(mail);
        if buyer.as_ref() != Some(&mail) && !found.contains_key(&mail) {
            let key = BuyerKey::of_mail(&mail);
            let person = room.vault.person(&room.store, tx, &key).await?;
            found.insert(mail, person);
        }
    }
    Ok(found)
}

/// Who is printed on a ticket.
struct Printed<'a> {
    person: &'a Person,
    name: Option<String>,
    email: Option<String>,
}

impl<'a> Printed<'a> {
    fn of(
        new: &'a NewTickets<'_>,
        ticket: &NewTicket,
        holders: &'a BTreeMap<String, Person>,
    ) -> Self {
        let own = ticket.holder_email.as_deref().map(fold_mail);
        let nameless = ticket.holder_name.is_none() && own.is_none();
        Self {
            person: own
                .as_ref()
                .and_then(|mail| holders.get(mail))
                .unwrap_or(new.owner),
            name: match nameless {
                true => new.buyer_name.map(str::to_owned),
                false => ticket.holder_name.clone(),
            },
            email: own.or_else(|| new.buyer_email.map(fold_mail)),
        }
    }
}

/// The columns of [`COLUMNS`], in its order.
fn row(
    new: &NewTickets<'_>,
    ticket: &NewTicket,
    done: &Issued,
    position: usize,
    holder: &Printed<'_>,
    leaf: &Hash,
    changed: i64,
) -> Vec<Arg> {
    let seal = |field: &str, text: &Option<String>| -> Option<Vec<u8>> {
        text.as_ref().map(|text| holder.person.seal(field, text))
    };
    let nothing: Option<Vec<u8>> = None;
    vec![
        Arg::from(&done.id),
        Arg::from(&done.number),
        Arg::from(new.order_id),
        Arg::from(new.event_id),
        Arg::from(new.org_id),
        Arg::from(&ticket.type_id),
        Arg::from(i64::from(ticket.type_no)),
        Arg::from(position as i64),
        Arg::from(new.channel),
        Arg::from(TicketStatus::Valid.as_str()),
        Arg::from(1i64),
        Arg::from(&new.owner.id),
        Arg::from(new.owner_sub),
        Arg::from(nothing),
        Arg::from(&holder.person.id),
        Arg::from(seal("ticket.name", &holder.name)),
        Arg::from(seal("ticket.email", &holder.email)),
        Arg::from(seal("ticket.answers", &ticket.answers)),
        Arg::from(new.currency),
        Arg::from(ticket.price),
        Arg::from(ticket.paid.net),
        Arg::from(ticket.paid.tax),
        Arg::from(ticket.paid.platform_fee),
        Arg::from(ticket.paid.processing_fee),
        Arg::from(false),
        Arg::from(0i64),
        Arg::Int(None),
        Arg::from(false),
        Arg::from(&leaf.0),
        Arg::from(1i64),
        Arg::from(changed),
        Arg::from(new.at),
        Arg::from(new.at),
    ]
}

/// What the organisation is told.
fn news(new: &NewTickets<'_>, issued: &[Issued]) -> String {
    let tickets: Vec<_> = issued
        .iter()
        .map(|t| json!({"id": t.id, "number": t.number, "ticketTypeId": t.type_id}))
        .collect();
    let data = json!({
        "eventId": new.event_id,
        "orderId": new.order_id,
        "channel": new.channel,
        "tickets": tickets,
    });
    data.to_string()
}
