//! Handing a ticket on (contract D5).
//!
//! An offer changes nothing: until it is accepted the sender keeps the ticket, and being scanned
//! withdraws the offer. Acceptance raises the generation, so that the old code opens no gate.

use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::{Arg, Db, Query, Row, Tx, query};
use serde_json::json;

use super::access;
use super::advance::{Advance, advance};
use super::holder::{Holder, put};
use super::load::one_in;
use super::mail::{self, TicketMail};
use super::row::Ticket;
use crate::api::problem::conflict;
use crate::gate::Facts;
use crate::mail::{Mail, Outgoing};
use crate::model::buyer::{BuyerKey, fold_mail};
use crate::model::ticket_status::{TicketStatus, Transition};

use crate::privacy::Person;
use crate::store::bulk::{self, Marks};
use crate::{Ticketing, outbox};

/// Life of an offer, in microseconds.
const LIFE_MICROS: i64 = 72 * 3_600 * 1_000_000;
/// Offers of one ticket.
const OFFERS_MAX: i64 = 20;

/// An offer as it is stored.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Its id.
    pub id: String,
    /// The ticket.
    pub ticket_id: String,
    /// The ticket's event.
    pub event_id: String,
    /// `pending`, `accepted`, `cancelled` or `expired`.
    pub status: String,
    /// Whose key seals its fields.
    pub person_id: String,
    /// Sealed.
    pub recipient_email: Vec<u8>,
    /// Sealed.
    pub recipient_name: Option<Vec<u8>>,
    /// Sealed.
    pub message: Option<Vec<u8>>,
    /// Until then it may be accepted, in microseconds.
    pub expires_at: i64,
    /// When it was made.
    pub created_at: i64,
}

const COLUMNS: &str = "id, ticket_id, event_id, status, person_id, recipient_email,
    recipient_name, message, expires_at, created_at";

fn read(row: &Row) -> Result<Transfer, Problem> {
    Ok(Transfer {
        id: row.get("id")?,
        ticket_id: row.get("ticket_id")?,
        event_id: row.get("event_id")?,
        status: row.get("status")?,
        person_id: row.get("person_id")?,
        recipient_email: row.get("recipient_email")?,
        recipient_name: row.get("recipient_name")?,
        message: row.get("message")?,
        expires_at: row.get("expires_at")?,
        created_at: row.get("created_at")?,
    })
}

impl Transfer {
    /// Its status at this moment.
    pub fn status_at(&self, now: i64) -> &str {
        match self.status == "pending" && now >= self.expires_at {
            true => "expired",
            false => &self.status,
        }
    }
}

/// What a sender wants.
#[derive(Debug, Clone)]
pub struct Offer {
    /// To whom.
    pub email: String,
    /// To whom.
    pub name: Option<String>,
    /// A word with it.
    pub message: Option<String>,
}

/// Offers a ticket; answers the transfer and the token that accepts it.
///
/// # Errors
/// 409 `ticket_state`, `not_transferable`, `transfer_pending`; the store's.
pub async fn offer(
    room: &Ticketing,
    tx: &mut Tx,
    ticket_id: &str,
    offer: &Offer,
) -> Result<(Transfer, String), Problem> {
    let now = room.now();
    let ticket = one_in(tx, ticket_id).await?;
    let facts = Facts::load_in(tx, &ticket.event_id).await?;
    if ticket.status != TicketStatus::Valid || ticket.used_at.is_some() {
        return Err(not_now());
    }
    let starts_at = facts.event.starts_at.unwrap_or(i64::MAX);
    let kind = facts.types.get(&ticket.type_no);
    let allowed = kind.is_some_and(|kind| kind.transferable)
        && !facts.event.is_over()
        && now < starts_at
        && ticket.transfers < OFFERS_MAX;
    if !allowed {
        let detail = "This ticket cannot be handed on, or not any more.";
        return Err(conflict("not_transferable", detail));
    }
    expire(tx, now, Some(ticket_id)).await?;
    if pending_in(tx, ticket_id).await?.is_some() {
        let detail = "The ticket is offered to somebody already.";
        return Err(conflict("transfer_pending", detail));
    }
    let email = fold_mail(&offer.email);
    let key = BuyerKey::of_mail(&email);
    let person = room.vault.person(&room.store, tx, &key).await?;
    let token = access::fresh_token();
    let seal = |text: &Option<String>, field: &str| -> Option<Vec<u8>> {
        text.as_ref().map(|text| person.seal(field, text))
    };
    let transfer = Transfer {
        id: room.store.id(),
        ticket_id: ticket.id.clone(),
        event_id: ticket.event_id.clone(),
        status: "pending".to_owned(),
        recipient_email: person.seal("transfer.email", &email),
        recipient_name: seal(&offer.name, "transfer.name"),
        message: seal(&offer.message, "transfer.message"),
        person_id: person.id.clone(),
        expires_at: starts_at.min(now.saturating_add(LIFE_MICROS)),
        created_at: now,
    };
    insert(tx, &transfer, &digest(room, &token)).await?;
    let text = "UPDATE tk_tickets SET transfers = transfers + 1 WHERE id = $1";
    tx.execute(query(text).bind(ticket_id)).await?;
    let letter = letter(&facts, offer, &token, transfer.expires_at);
    let offered = Outgoing {
        person: &person,
        address: &email,
        kind: "transfer.offered",
        mail: &letter,
    };
    crate::mail::send(&room.store, tx, &[offered]).await?;
    Ok((transfer, token))
}

fn not_now() -> Problem {
    let detail = "The ticket was used, handed on or is not valid any more.";
    conflict("ticket_state", detail)
}

fn digest(room: &Ticketing, token: &str) -> [u8; 32] {
    room.secrets.digest("transfer-token", token.as_bytes())
}

async fn insert(tx: &mut Tx, transfer: &Transfer, digest: &[u8; 32]) -> Result<(), Problem> {
    let text = "INSERT INTO tk_transfers
        (id, ticket_id, event_id, token_digest, status, person_id, recipient_email,
         recipient_name, message, expires_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let statement = query(text)
        .bind(&transfer.id)
        .bind(&transfer.ticket_id)
        .bind(&transfer.event_id)
        .bind(digest)
        .bind(&transfer.status)
        .bind(&transfer.person_id)
        .bind(transfer.recipient_email.clone())
        .bind(transfer.recipient_name.clone())
        .bind(transfer.message.clone())
        .bind(transfer.expires_at)
        .bind(transfer.created_at);
    tx.execute(statement).await?;
    Ok(())
}

fn letter(facts: &Facts, offer: &Offer, token: &str, expires_at: i64) -> Mail {
    let event = &facts.event;
    let greeting = match &offer.name {
        Some(name) => format!("Hello {name},"),
        None => "Hello,".to_owned(),
    };
    let until = local(facts, expires_at);
    let message = match &offer.message {
        Some(message) => format!("\nThe sender writes:\n{message}\n"),
        None => String::new(),
    };
    Mail {
        subject: format!("A ticket for {}", event.title),
        text: format!(
            "{greeting}\n\na ticket for {} is offered to you. It becomes yours when you accept it \
             before {until}.\n{message}\nYour code to accept it:\n\n{token}\n\nWhoever has this \
             code can accept the ticket.\n",
            event.title
        ),
        html: None,
        attachments: Vec::new(),
    }
}

/// An instant as it reads at the event.
pub(super) fn local(facts: &Facts, at: i64) -> String {
    match facts.event.zone() {
        Some(zone) => zone.local(at),
        None => florin_base::Timestamp(at).to_string(),
    }
}

/// The transfer of a token.
///
/// # Errors
/// 404 `transfer_not_found`, the store's.
pub async fn find(room: &Ticketing, token: &str) -> Result<Transfer, Problem> {
    let text = format!("SELECT {COLUMNS} FROM tk_transfers WHERE token_digest = $1");
    let statement = Query::assembled(text).bind(digest(room, token));
    let row = room.store.db.fetch_optional(statement).await?;
    read(&row.ok_or_else(absent)?)
}

fn absent() -> Problem {
    Problem::not_found("transfer_not_found", "There is no such transfer.")
}

/// The open offer of a ticket, if there is one.
///
/// # Errors
/// The store's.
pub async fn pending(db: &Db, ticket_id: &str) -> Result<Option<Transfer>, Problem> {
    let row = db.fetch_optional(open_of(ticket_id)).await?;
    row.as_ref().map(read).transpose()
}

async fn pending_in(tx: &mut Tx, ticket_id: &str) -> Result<Option<Transfer>, Problem> {
    let row = tx.fetch_optional(open_of(ticket_id)).await?;
    row.as_ref().map(read).transpose()
}

fn open_of(ticket_id: &str) -> Query {
    let text =
        format!("SELECT {COLUMNS} FROM tk_transfers WHERE ticket_id = $1 AND status = 'pending'");
    Query::assembled(text).bind(ticket_id)
}

/// Ends offers whose time is over, of one ticket or of all.
///
/// # Errors
/// The store's.
pub async fn expire(tx: &mut Tx, now: i64, ticket_id: Option<&str>) -> Result<u64, Problem> {
    let text = match ticket_id {
        Some(_) => {
            "UPDATE tk_transfers SET status = 'expired', ended_at = $1
             WHERE status = 'pending' AND expires_at <= $2 AND ticket_id = $3"
        }
        None => {
            "UPDATE tk_transfers SET status = 'expired', ended_at = $1
             WHERE status = 'pending' AND expires_at <= $2"
        }
    };
    let statement = query(text).bind(now).bind(now);
    let statement = match ticket_id {
        Some(id) => statement.bind(id),
        None => statement,
    };
    Ok(tx.execute(statement).await?)
}

/// Ends all offers whose time is over; answers how many.
///
/// # Errors
/// The store's.
pub async fn expire_due(room: &Ticketing) -> Result<u64, Problem> {
    let text = "SELECT event_id FROM tk_transfers WHERE status = 'pending' AND expires_at <= $1
        LIMIT 1";
    let due = query(text).bind(room.now());
    if room.store.db.fetch_optional(due).await?.is_none() {
        return Ok(0);
    }
    let mut tx = room.store.begin().await?;
    let ended = expire(&mut tx, room.now(), None).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Withdraws the open offers of tickets.
///
/// # Errors
/// The store's.
pub async fn withdraw(
    room: &Ticketing,
    tx: &mut Tx,
    tickets: &[String],
    at: i64,
) -> Result<(), Problem> {
    let prefix = "UPDATE tk_transfers SET status = 'cancelled', ended_at = $1
        WHERE status = 'pending' AND ticket_id IN";
    let marks = Marks::of(room.store.db.is_shared());
    let keys = tickets.iter().map(Arg::from).collect();
    bulk::execute(tx, marks, prefix, "", &[at.into()], keys).await?;
    Ok(())
}

/// Withdraws one offer.
///
/// # Errors
/// 404 `transfer_not_found`, 409 `ticket_state` when it is not open any more, the store's.
pub async fn cancel(tx: &mut Tx, ticket_id: &str, id: &str, now: i64) -> Result<(), Problem> {
    let text = format!("SELECT {COLUMNS} FROM tk_transfers WHERE id = $1 AND ticket_id = $2");
    let select = Query::assembled(text).bind(id).bind(ticket_id);
    let row = tx.fetch_optional(select).await?;
    let transfer = read(&row.ok_or_else(absent)?)?;
    if transfer.status_at(now) != "pending" {
        let detail = "The transfer was accepted, withdrawn or is too old.";
        return Err(conflict("ticket_state", detail));
    }
    end(tx, id, "cancelled", now).await
}

async fn end(tx: &mut Tx, id: &str, status: &str, now: i64) -> Result<(), Problem> {
    let text = "UPDATE tk_transfers SET status = $2, ended_at = $3 WHERE id = $1";
    tx.execute(query(text).bind(id).bind(status).bind(now))
        .await?;
    Ok(())
}

/// Who accepts a ticket.
#[derive(Debug, Clone)]
pub struct Acceptor {
    /// Account, for a signed-in caller.
    pub subject: Option<String>,
    /// Who is printed from then on.
    pub name: Option<String>,
    /// Where the ticket is mailed.
    pub email: String,
}

/// A ticket that was handed on.
#[derive(Debug)]
pub struct Accepted {
    /// As it is now.
    pub ticket: Ticket,
    /// Opens it for a person without account; shown once.
    pub access_token: Option<String>,
}

/// Accepts a transfer: the holder changes, the old code is revoked.
///
/// # Errors
/// 409 `ticket_state`, 410 `transfer_expired`, the store's.
pub async fn accept(
    room: &Ticketing,
    tx: &mut Tx,
    transfer_id: &str,
    acceptor: &Acceptor,
) -> Result<Accepted, Problem> {
    let now = room.now();
    let text = format!("SELECT {COLUMNS} FROM tk_transfers WHERE id = $1");
    let select = Query::assembled(text).bind(transfer_id);
    let row = tx.fetch_optional(select).await?;
    let transfer = read(&row.ok_or_else(absent)?)?;
    match transfer.status_at(now) {
        "pending" => {}
        "expired" => {
            let detail = "The offer was not accepted in time.";
            return Err(Problem::new(Status::Gone, "transfer_expired", detail));
        }
        _ => return Err(not_now()),
    }
    let mut ticket = one_in(tx, &transfer.ticket_id).await?;
    let facts = Facts::load_in(tx, &ticket.event_id).await?;
    if facts.event.is_over() {
        return Err(conflict(
            "event_state",
            "The event is over or was cancelled.",
        ));
    }
    let email = fold_mail(&acceptor.email);
    let key = match &acceptor.subject {
        Some(subject) => BuyerKey::of_subject(subject),
        None => BuyerKey::of_mail(&email),
    };
    let person = room.vault.person(&room.store, tx, &key).await?;
    let access_token = match &acceptor.subject {
        Some(_) => None,
        None => Some(access::fresh_token()),
    };
    hand_over(
        room,
        tx,
        &mut ticket,
        &person,
        acceptor,
        access_token.as_deref(),
    )
    .await?;
    end(tx, &transfer.id, "accepted", now).await?;
    let wanted = TicketMail {
        event_id: &ticket.event_id,
        order_id: None,
        ticket_id: Some(&ticket.id),
        kind: "ticket.transferred",
    };
    mail::queue(room, tx, &person, &email, &wanted).await?;
    let data = json!({
        "ticketId": ticket.id,
        "number": ticket.number,
        "orderId": ticket.order_id,
        "eventId": ticket.event_id,
        "generation": ticket.generation,
    });
    outbox::tell(&room.store, tx, &ticket.org_id, "ticket.transferred", &data).await?;
    Ok(Accepted {
        ticket,
        access_token,
    })
}

async fn hand_over(
    room: &Ticketing,
    tx: &mut Tx,
    ticket: &mut Ticket,
    person: &Person,
    acceptor: &Acceptor,
    access_token: Option<&str>,
) -> Result<(), Problem> {
    ticket.owner_person = person.id.clone();
    ticket.owner_sub = acceptor.subject.clone();
    ticket.access_digest = access_token.map(|token| access::digest(room, token).to_vec());
    ticket.transferred = true;
    let holder = Holder {
        name: acceptor.name.clone(),
        email: Some(fold_mail(&acceptor.email)),
        answers: None,
        erased: false,
    };
    put(ticket, person, &holder);
    let (used_at, inside, now) = (ticket.used_at, ticket.inside, room.now());
    let step = Advance {
        ticket,
        holder: person,
        used_at,
        inside,
    };
    advance(room, tx, vec![step], Transition::Transferred, now).await
}
