//! The mail that brings tickets: queued in the transaction of the fact, written and handed to the
//! post by a worker, so that nobody waits for pictures.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Row, Tx, query};

use super::holder::{Holder, holders};
use super::page::{self, Sheet};
use super::qr::Picture;
use super::row::Ticket;
use super::transfer::local;
use super::{calendar, load};
use crate::Ticketing;
use crate::gate::{Facts, keys};
use crate::mail::{Attachment, Mail, Outgoing};
use crate::model::token::{Claims, TicketKey};
use crate::privacy::Person;
use crate::store::bulk;

/// Mails that are written in one round.
const ROUND: i64 = 50;
/// Time to the next try after a failure, in microseconds, times the tries so far.
const AGAIN_MICROS: i64 = 10_000_000;
const RECIPIENT: &str = "ticket-mail.recipient";

/// A mail with tickets.
#[derive(Debug, Clone, Copy)]
pub struct TicketMail<'a> {
    /// The tickets' event.
    pub event_id: &'a str,
    /// All tickets of this order that are still its buyer's and alive.
    pub order_id: Option<&'a str>,
    /// Or this ticket.
    pub ticket_id: Option<&'a str>,
    /// What it is for.
    pub kind: &'static str,
}

/// Queues a mail; it leaves after the commit.
///
/// # Errors
/// The store's.
pub async fn queue(
    room: &Ticketing,
    tx: &mut Tx,
    person: &Person,
    address: &str,
    wanted: &TicketMail<'_>,
) -> Result<(), Problem> {
    let row = row(room, person, address, wanted);
    bulk::insert(tx, room.store.marks(), INSERT, "", vec![row]).await?;
    Ok(())
}

/// What stands before the rows of [`row`].
pub(super) const INSERT: &str = "INSERT INTO tk_ticket_mails
    (id, event_id, order_id, ticket_id, kind, person_id, recipient, created_at, next_at)";

/// The row of a queued mail.
pub(super) fn row(
    room: &Ticketing,
    person: &Person,
    address: &str,
    wanted: &TicketMail<'_>,
) -> Vec<Arg> {
    let now = room.now();
    vec![
        Arg::from(room.store.id()),
        Arg::from(wanted.event_id),
        Arg::from(wanted.order_id),
        Arg::from(wanted.ticket_id),
        Arg::from(wanted.kind),
        Arg::from(&person.id),
        Arg::from(person.seal(RECIPIENT, address)),
        Arg::from(now),
        Arg::from(now),
    ]
}

/// A queued mail.
struct Job {
    id: String,
    event_id: String,
    order_id: Option<String>,
    ticket_id: Option<String>,
    kind: &'static str,
    person_id: String,
    recipient: Vec<u8>,
    tries: i64,
}

fn job(row: &Row) -> Result<Job, Problem> {
    let kind: String = row.get("kind")?;
    Ok(Job {
        id: row.get("id")?,
        event_id: row.get("event_id")?,
        order_id: row.get("order_id")?,
        ticket_id: row.get("ticket_id")?,
        kind: match kind.as_str() {
            "ticket.transferred" => "ticket.transferred",
            "ticket.reissued" => "ticket.reissued",
            _ => "order.confirmed",
        },
        person_id: row.get("person_id")?,
        recipient: row.get("recipient")?,
        tries: row.get("tries")?,
    })
}

/// Writes the mails that are due and hands them to the post; answers how many. Those of one event
/// are handed over in one commit, so that a sale is not held up by each of them.
///
/// # Errors
/// The store's. A mail that cannot be written is tried again later and does not hold up others.
pub async fn drain(room: &Ticketing) -> Result<usize, Problem> {
    let text = "SELECT id, event_id, order_id, ticket_id, kind, person_id, recipient, tries
        FROM tk_ticket_mails WHERE next_at <= $1 ORDER BY next_at, id LIMIT $2";
    let due = query(text).bind(room.now()).bind(ROUND);
    let rows = room.store.db.fetch_all(due).await?;
    let mut written: BTreeMap<String, Vec<Written>> = BTreeMap::new();
    for row in &rows {
        let job = job(row)?;
        match write(room, &job).await {
            Ok(letter) => {
                let event = job.event_id.clone();
                written
                    .entry(event)
                    .or_default()
                    .push(Written { job, letter });
            }
            Err(problem) => {
                tracing::warn!(
                    mail = job.id,
                    code = problem.code(),
                    "tickets not mailed yet"
                );
                later(room, &job).await?;
            }
        }
    }
    let mut sent = 0;
    for (event, letters) in &written {
        hand_over(room, event, letters).await?;
        sent += letters.len();
    }
    Ok(sent)
}

/// A mail that was written, unless there is nobody or nothing left to write about.
struct Written {
    job: Job,
    letter: Option<Letter>,
}

struct Letter {
    person: Person,
    address: String,
    mail: Mail,
}

async fn hand_over(room: &Ticketing, event_id: &str, letters: &[Written]) -> Result<(), Problem> {
    let mut tx = room.store.begin_event(event_id).await?;
    let keys = letters.iter().map(|one| Arg::from(&one.job.id)).collect();
    let prefix = "DELETE FROM tk_ticket_mails WHERE id IN";
    let marks = room.store.marks();
    // Another process may have handed some of them over meanwhile.
    let gone = bulk::select(&mut tx, marks, prefix, "RETURNING id", &[], keys).await?;
    let gone = gone.iter().map(|row| row.get::<String>("id"));
    let gone: BTreeSet<String> = gone.collect::<Result<_, _>>()?;
    let ours = letters.iter().filter(|one| gone.contains(&one.job.id));
    let mails: Vec<Outgoing<'_>> = ours
        .filter_map(|one| {
            let letter = one.letter.as_ref()?;
            Some(Outgoing {
                person: &letter.person,
                address: &letter.address,
                kind: one.job.kind,
                mail: &letter.mail,
            })
        })
        .collect();
    crate::mail::send(&room.store, &mut tx, &mails).await?;
    Ok(tx.commit().await?)
}

async fn later(room: &Ticketing, job: &Job) -> Result<(), Problem> {
    let text = "UPDATE tk_ticket_mails SET tries = tries + 1, next_at = $2 WHERE id = $1";
    let next_at = room.now() + AGAIN_MICROS * (job.tries + 1);
    let mut tx = room.store.begin_event(&job.event_id).await?;
    tx.execute(query(text).bind(&job.id).bind(next_at)).await?;
    Ok(tx.commit().await?)
}

async fn write(room: &Ticketing, job: &Job) -> Result<Option<Letter>, Problem> {
    let persons = [job.person_id.clone()];
    let mut persons = room.vault.load(&room.store.db, &persons).await?;
    let person = persons.remove(&job.person_id);
    let address = person
        .as_ref()
        .and_then(|person| person.open(RECIPIENT, &job.recipient));
    // Of an erased person there is no address any more: nobody is written to.
    let (Some(person), Some(address)) = (person, address) else {
        return Ok(None);
    };
    let mail = composed(room, job).await?;
    Ok(mail.map(|mail| Letter {
        person,
        address,
        mail,
    }))
}

/// The mail, unless no ticket is left to be sent.
async fn composed(room: &Ticketing, job: &Job) -> Result<Option<Mail>, Problem> {
    let db = &room.store.db;
    let mut tickets = match (&job.order_id, &job.ticket_id) {
        (Some(order), _) => load::of_order(db, order).await?,
        (None, Some(ticket)) => vec![load::one(db, ticket).await?],
        (None, None) => Vec::new(),
    };
    let of_order = job.order_id.is_some();
    tickets.retain(|t| !(t.status.is_dead() || of_order && t.transferred));
    if tickets.is_empty() {
        return Ok(None);
    }
    let facts = Facts::load(db, &job.event_id).await?;
    let key = keys::signing(room, &job.event_id).await?;
    let holders = holders(room, db, &tickets).await?;
    let (host, now, kind) = (host(room), room.now(), job.kind);
    let compose = move || compose(&facts, &key, &tickets, &holders, kind, &host, now);
    let mail = tokio::task::spawn_blocking(compose).await;
    mail.map_err(Problem::internal)?.map(Some)
}

/// Host of the server's address, for ids that must be unique in the world.
pub(crate) fn host(room: &Ticketing) -> String {
    let url = &room.settings.public_url;
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let end = rest.find(['/', ':']).unwrap_or(rest.len());
    rest[..end].to_owned()
}

/// The text of a ticket's QR code.
///
/// # Errors
/// A row that nobody here has written.
pub fn token(key: &TicketKey, ticket: &Ticket) -> Result<String, Problem> {
    Ok(key.token(&Claims {
        ticket_id: ticket.uuid()?,
        generation: ticket.generation,
        type_no: ticket.type_no,
    }))
}

fn compose(
    facts: &Facts,
    key: &TicketKey,
    tickets: &[Ticket],
    holders: &[Holder],
    kind: &str,
    host: &str,
    now: i64,
) -> Result<Mail, Problem> {
    let event = &facts.event;
    let tokens: Vec<String> = tickets
        .iter()
        .map(|ticket| token(key, ticket))
        .collect::<Result<_, _>>()?;
    let mut lines = vec![match kind {
        "ticket.transferred" => format!("Your ticket for {} is here.", event.title),
        "ticket.reissued" => format!("Your new ticket for {}; the old one is void.", event.title),
        _ => format!("Your tickets for {} are here.", event.title),
    }];
    if let Some(starts_at) = event.starts_at {
        lines.push(format!("It begins on {}.", local(facts, starts_at)));
    }
    if let Some(venue) = &event.venue {
        lines.push(format!("{}, {}, {}", venue.name, venue.address, venue.city));
    }
    lines.push(String::new());
    let mut attachments = Vec::with_capacity(tickets.len() + 1);
    for ((ticket, holder), token) in tickets.iter().zip(holders).zip(&tokens) {
        let kind = facts.types.get(&ticket.type_no);
        let kind = kind.map(|kind| kind.name.as_str()).unwrap_or_default();
        let name = holder.name.as_deref().unwrap_or_default();
        lines.push(
            format!("{}  {kind}  {name}", ticket.number)
                .trim_end()
                .to_owned(),
        );
        let png = Picture::of(token)
            .map_err(Problem::internal)?
            .png()
            .map_err(Problem::internal)?;
        attachments.push(Attachment {
            name: format!("ticket-{}.png", ticket.number),
            content_type: "image/png".to_owned(),
            content: BASE64.encode(png),
        });
    }
    if let Some(file) = calendar::file(event, &tickets[0].number, host, now) {
        attachments.push(Attachment {
            name: "event.ics".to_owned(),
            content_type: "text/calendar; charset=utf-8".to_owned(),
            content: BASE64.encode(file),
        });
    }
    let sheets: Vec<Sheet<'_>> = tickets
        .iter()
        .zip(holders)
        .zip(&tokens)
        .map(|((ticket, holder), token)| Sheet {
            ticket,
            holder,
            token,
        })
        .collect();
    Ok(Mail {
        subject: format!("Tickets for {}", event.title),
        text: lines.join("\n"),
        html: Some(page::html(facts, &sheets).map_err(Problem::internal)?),
        attachments,
    })
}
