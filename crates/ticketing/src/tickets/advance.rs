//! A ticket one step further: status, generation and leaf in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Tx, query};
use serde_json::json;

use super::load::by_ids_in;
use super::row::Ticket;
use super::transfer;
use crate::analytics::counts::TicketMoves;
use crate::gate::sequence;
use crate::model::ticket_status::Transition;
use crate::privacy::Person;
use crate::provenance::{Step, append};
use crate::store::bulk::{self, Marks, Update};
use crate::{Ticketing, api::problem::conflict, outbox};

/// How a ticket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// A refund was decided.
    Refunded,
    /// Void, event cancelled, dispute lost.
    Cancelled,
}

/// A ticket that was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Killed {
    /// Its id.
    pub id: String,
    /// Its order.
    pub order_id: String,
    /// Its type.
    pub type_id: String,
    /// It was used: its unit is not for sale again.
    pub was_used: bool,
    /// It held a unit of its type and pools.
    pub held_stock: bool,
}

/// One ticket's step.
#[derive(Debug)]
pub struct Advance<'a> {
    /// As it is before the step; as it is after it when [`advance`] returns.
    pub ticket: &'a mut Ticket,
    /// The holder from then on, whose key seals the leaf's opening.
    pub holder: &'a Person,
    /// First counted way in from then on.
    pub used_at: Option<i64>,
    /// Whether the last counted passage was inwards from then on.
    pub inside: bool,
}

fn not_now(ticket: &Ticket, kind: Transition) -> Problem {
    let (status, kind) = (ticket.status.as_str(), kind.as_str());
    conflict(
        "ticket_state",
        format!("A {status} ticket cannot be {kind}."),
    )
    .with("ticketId", ticket.id.clone())
    .with("ticketStatus", status)
}

/// Takes tickets of one event a step further.
///
/// # Errors
/// 409 `ticket_state` when one of them cannot take it, the store's.
pub async fn advance(
    room: &Ticketing,
    tx: &mut Tx,
    steps: Vec<Advance<'_>>,
    kind: Transition,
    at: i64,
) -> Result<(), Problem> {
    let events: BTreeSet<String> = steps.iter().map(|s| s.ticket.event_id.clone()).collect();
    let mut changes = BTreeMap::new();
    for event in events {
        let changed = sequence::next(tx, &event).await?;
        changes.insert(event, changed);
    }
    let mut leaves = Vec::with_capacity(steps.len());
    let mut rows = Vec::with_capacity(steps.len());
    let mut counts = TicketMoves::default();
    for step in steps {
        let ticket = step.ticket;
        let status = ticket
            .status
            .after(kind)
            .ok_or_else(|| not_now(ticket, kind))?;
        let raised = u16::from(kind.raises_generation());
        let generation = ticket
            .generation
            .checked_add(raised)
            .ok_or_else(|| not_now(ticket, kind))?;
        let email = ticket
            .holder_email
            .as_deref()
            .and_then(|sealed| step.holder.open("ticket.email", sealed));
        let leaf = Step {
            ticket_id: &ticket.id,
            event_id: &ticket.event_id,
            currency: &ticket.currency,
            price: ticket.price,
            kind,
            generation,
            at,
            before: Some((ticket.leaf, ticket.leaves)),
            holder: step.holder,
            holder_email: email.as_deref(),
        }
        .leaf(room);
        let of = (&*ticket.event_id, &*ticket.type_id, &*ticket.channel);
        counts.count(of, ticket.status, -1);
        counts.count(of, status, 1);
        ticket.status = status;
        ticket.generation = generation;
        ticket.used_at = step.used_at;
        ticket.inside = step.inside;
        ticket.leaf = leaf.hash;
        ticket.leaves += 1;
        ticket.changed = changes[&ticket.event_id];
        ticket.updated_at = at;
        rows.push(row(ticket));
        leaves.push(leaf);
    }
    let marks = Marks::of(room.store.db.is_shared());
    bulk::update(tx, marks, &STEP, rows).await?;
    counts.write(tx, marks).await?;
    append(tx, marks, leaves).await
}

/// What may change in a ticket's life, whoever owns it, by its id.
const STEP: Update = Update {
    table: "tk_tickets",
    columns: &[
        "id",
        "status",
        "generation",
        "owner_person",
        "owner_sub",
        "access_digest",
        "holder_person",
        "holder_name",
        "holder_email",
        "transferred",
        "used_at",
        "inside",
        "leaf",
        "leaves",
        "changed",
        "updated_at",
        "answers",
    ],
    set: "status = new.status, generation = new.generation, owner_person = new.owner_person,
        owner_sub = new.owner_sub, access_digest = new.access_digest,
        holder_person = new.holder_person, holder_name = new.holder_name,
        holder_email = new.holder_email, transferred = new.transferred, used_at = new.used_at,
        inside = new.inside, leaf = new.leaf, leaves = new.leaves, changed = new.changed,
        updated_at = new.updated_at, answers = new.answers",
};

/// A row of [`STEP`].
fn row(ticket: &Ticket) -> Vec<Arg> {
    vec![
        Arg::from(&ticket.id),
        Arg::from(ticket.status.as_str()),
        Arg::from(i64::from(ticket.generation)),
        Arg::from(&ticket.owner_person),
        Arg::from(ticket.owner_sub.clone()),
        Arg::from(ticket.access_digest.clone()),
        Arg::from(&ticket.holder_person),
        Arg::from(ticket.holder_name.clone()),
        Arg::from(ticket.holder_email.clone()),
        Arg::from(ticket.transferred),
        Arg::from(ticket.used_at),
        Arg::from(ticket.inside),
        Arg::from(ticket.leaf.0),
        Arg::from(ticket.leaves),
        Arg::from(ticket.changed),
        Arg::from(ticket.updated_at),
        Arg::from(ticket.answers.clone()),
    ]
}

/// Tickets by ids with their holders, each once.
async fn with_holders(
    room: &Ticketing,
    tx: &mut Tx,
    ids: &[String],
) -> Result<(Vec<Ticket>, BTreeMap<String, Person>), Problem> {
    let ids: Vec<String> = BTreeSet::from_iter(ids).into_iter().cloned().collect();
    let marks = Marks::of(room.store.db.is_shared());
    let mut tickets = by_ids_in(tx, marks, &ids).await?;
    if tickets.len() != ids.len() {
        return Err(Problem::not_found(
            "ticket_not_found",
            "There is no such ticket.",
        ));
    }
    tickets.sort_by(|a, b| a.id.cmp(&b.id));
    let persons: BTreeSet<&String> = tickets.iter().map(|t| &t.holder_person).collect();
    let persons: Vec<String> = persons.into_iter().cloned().collect();
    let holders = room.vault.load_in(tx, &persons).await?;
    Ok((tickets, holders))
}

async fn all(
    room: &Ticketing,
    tx: &mut Tx,
    tickets: &mut [Ticket],
    holders: &BTreeMap<String, Person>,
    kind: Transition,
    at: i64,
) -> Result<(), Problem> {
    let mut steps = Vec::with_capacity(tickets.len());
    for ticket in tickets {
        let holder = holders
            .get(&ticket.holder_person)
            .ok_or_else(|| Problem::internal("a ticket's holder is no person"))?;
        steps.push(Advance {
            used_at: ticket.used_at,
            inside: ticket.inside,
            ticket,
            holder,
        });
    }
    advance(room, tx, steps, kind, at).await
}

/// Ends tickets: their codes are refused from the commit on, offers to hand them on are withdrawn.
/// The caller gives units back for those that held stock and were not used.
///
/// # Errors
/// 404 `ticket_not_found`, 409 `ticket_state` when one is dead already, the store's.
pub async fn kill(
    room: &Ticketing,
    tx: &mut Tx,
    ids: &[String],
    death: Death,
    at: i64,
) -> Result<Vec<Killed>, Problem> {
    let (mut tickets, holders) = with_holders(room, tx, ids).await?;
    let killed: Vec<Killed> = tickets
        .iter()
        .map(|ticket| Killed {
            id: ticket.id.clone(),
            order_id: ticket.order_id.clone(),
            type_id: ticket.type_id.clone(),
            was_used: ticket.used_at.is_some(),
            held_stock: ticket.status.holds_stock(),
        })
        .collect();
    let kind = match death {
        Death::Refunded => Transition::Refunded,
        Death::Cancelled => Transition::Cancelled,
    };
    all(room, tx, &mut tickets, &holders, kind, at).await?;
    transfer::withdraw(room, tx, ids, at).await?;
    let told = |ticket: &Ticket| {
        json!({
            "ticketId": ticket.id,
            "number": ticket.number,
            "orderId": ticket.order_id,
            "eventId": ticket.event_id,
            "status": ticket.status.as_str(),
        })
        .to_string()
    };
    let all: Vec<(&str, &'static str, String)> = tickets
        .iter()
        .map(|ticket| (&*ticket.org_id, "ticket.voided", told(ticket)))
        .collect();
    outbox::tell_all(&room.store, tx, &all).await?;
    Ok(killed)
}

/// A dispute was opened: valid tickets among these open no gate until it is won. Others stay as
/// they are.
///
/// # Errors
/// 404 `ticket_not_found`, the store's.
pub async fn suspend(
    room: &Ticketing,
    tx: &mut Tx,
    ids: &[String],
    at: i64,
) -> Result<(), Problem> {
    some(room, tx, ids, Transition::Suspended, at).await
}

/// A dispute was won: suspended tickets among these are valid again, with the same codes.
///
/// # Errors
/// As [`suspend`].
pub async fn restore(
    room: &Ticketing,
    tx: &mut Tx,
    ids: &[String],
    at: i64,
) -> Result<(), Problem> {
    some(room, tx, ids, Transition::Restored, at).await
}

/// [`suspend`] for all tickets of an order.
///
/// # Errors
/// As [`suspend`].
pub async fn suspend_order(
    room: &Ticketing,
    tx: &mut Tx,
    order_id: &str,
    at: i64,
) -> Result<(), Problem> {
    let ids = ids_of_order(tx, order_id).await?;
    suspend(room, tx, &ids, at).await
}

/// [`restore`] for all tickets of an order.
///
/// # Errors
/// As [`restore`].
pub async fn restore_order(
    room: &Ticketing,
    tx: &mut Tx,
    order_id: &str,
    at: i64,
) -> Result<(), Problem> {
    let ids = ids_of_order(tx, order_id).await?;
    restore(room, tx, &ids, at).await
}

async fn ids_of_order(tx: &mut Tx, order_id: &str) -> Result<Vec<String>, Problem> {
    let statement = query("SELECT id FROM tk_tickets WHERE order_id = $1").bind(order_id);
    let rows = tx.fetch_all(statement).await?;
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}

/// Takes those a step further that can take it.
async fn some(
    room: &Ticketing,
    tx: &mut Tx,
    ids: &[String],
    kind: Transition,
    at: i64,
) -> Result<(), Problem> {
    let (mut tickets, holders) = with_holders(room, tx, ids).await?;
    tickets.retain(|ticket| ticket.status.after(kind).is_some());
    all(room, tx, &mut tickets, &holders, kind, at).await
}

/// A new code instead of the old one.
///
/// # Errors
/// 404 `ticket_not_found`, 409 `ticket_state` unless it is valid, the store's.
pub async fn reissue(room: &Ticketing, tx: &mut Tx, id: &str, at: i64) -> Result<Ticket, Problem> {
    let (mut tickets, holders) = with_holders(room, tx, &[id.to_owned()]).await?;
    all(room, tx, &mut tickets, &holders, Transition::Reissued, at).await?;
    tickets
        .pop()
        .ok_or_else(|| Problem::internal("one ticket was read and none is there"))
}

/// An order joins an account: its tickets, as far as they were not handed on, do too.
///
/// # Errors
/// The store's.
pub async fn reown(
    tx: &mut Tx,
    order_id: &str,
    owner: &Person,
    subject: &str,
) -> Result<(), Problem> {
    let text = "UPDATE tk_tickets SET owner_person = $2, owner_sub = $3
        WHERE order_id = $1 AND transferred = $4";
    let statement = query(text)
        .bind(order_id)
        .bind(&owner.id)
        .bind(Arg::from(subject))
        .bind(false);
    tx.execute(statement).await?;
    Ok(())
}
