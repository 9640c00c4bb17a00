//! The snapshot that scanners take along (contract D4).

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Query, Row};
use uuid::Uuid;

use super::{Facts, keys, sequence};
use crate::Ticketing;
use crate::model::bundle::{
    Bundle, BundleKey, BundleRevoked, BundleSignature, BundleTicket, BundleType, LIFE_MICROS,
};
use crate::model::ticket_status::{TicketStatus, Transition};
use crate::tickets::{COLUMNS, Ticket, holders};

/// Tickets that are read at a time.
const PAGE: i64 = 5_000;

/// A bundle as it is sent.
#[derive(Debug)]
pub struct Signed {
    /// JSON.
    pub body: Vec<u8>,
    /// Over it.
    pub signature: BundleSignature,
    /// Its number.
    pub sequence: i64,
}

/// The bundle of an event, or what changed after `since`.
///
/// # Errors
/// 404 `event_not_found`, the store's.
pub async fn make(
    room: &Ticketing,
    event_id: &str,
    since: Option<i64>,
    names: bool,
) -> Result<Signed, Problem> {
    let db = &room.store.db;
    let facts = Facts::load(db, event_id).await?;
    let published = keys::list(room, event_id).await?;
    // Read before the tickets: what changes meanwhile is in this bundle or in the next.
    let sequence = sequence::last(db, event_id).await?;
    let now = room.now();
    let mut bundle = Bundle {
        event_id: Uuid::try_parse(event_id).map_err(Problem::internal)?,
        sequence,
        since,
        issued_at: Timestamp(now),
        expires_at: Timestamp(now + LIFE_MICROS),
        keys: published.iter().map(key).collect(),
        types: types(&facts),
        reentry: facts.event.reentry,
        tickets: Vec::new(),
        revoked: Vec::new(),
    };
    let mut after = String::new();
    loop {
        let rows = page(room, event_id, since, &after).await?;
        let last = rows.last().map(|(ticket, _)| ticket.id.clone());
        fill(room, &mut bundle, rows, names).await?;
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    let signer = keys::signing(room, event_id).await?;
    // A hundred thousand tickets take a core some time.
    let sign = move || {
        let body = serde_json::to_vec(&bundle)?;
        let signature = BundleSignature::sign(&signer, &body);
        Ok(Signed {
            body,
            signature,
            sequence,
        })
    };
    let signed: Result<Signed, serde_json::Error> = tokio::task::spawn_blocking(sign)
        .await
        .map_err(Problem::internal)?;
    signed.map_err(Problem::internal)
}

fn key(key: &keys::PublishedKey) -> BundleKey {
    BundleKey {
        kid: key.id.to_string(),
        public_key: hex::encode(key.public.to_bytes()),
        status: key.status.clone(),
    }
}

fn types(facts: &Facts) -> Vec<BundleType> {
    let bounded = |micros: i64| {
        // A window without an end still has one that can be written down.
        let (least, most) = (0, 253_402_300_799_000_000);
        Timestamp(micros.clamp(least, most))
    };
    facts
        .types
        .iter()
        .filter_map(|(number, kind)| {
            let entry = facts.entry(*number)?;
            let areas = |bits: u16| (0..16).filter(|area| bits >> area & 1 == 1).collect();
            Some(BundleType(
                *number,
                kind.name.clone(),
                bounded(entry.from),
                bounded(entry.until),
                entry.areas.map(areas),
            ))
        })
        .collect()
}

/// Tickets in order of their ids, with the kind of their last step that revoked a code.
async fn page(
    room: &Ticketing,
    event_id: &str,
    since: Option<i64>,
    after: &str,
) -> Result<Vec<(Ticket, Option<String>)>, Problem> {
    let changed = if since.is_some() {
        "AND changed > $4"
    } else {
        ""
    };
    let text = format!(
        "SELECT {COLUMNS}, (SELECT kind FROM tk_leaves AS l WHERE l.ticket_id = tk_tickets.id
            AND l.kind IN ('transferred', 'reissued', 'refunded', 'cancelled')
            ORDER BY l.n DESC LIMIT 1) AS revoked_by
         FROM tk_tickets WHERE event_id = $1 AND id > $2 {changed} ORDER BY id LIMIT $3"
    );
    let statement = Query::assembled(text).bind(event_id).bind(after).bind(PAGE);
    let statement = match since {
        Some(since) => statement.bind(Arg::from(since)),
        None => statement,
    };
    let rows = room.store.db.patient().fetch_all(statement).await?;
    let read = |row: &Row| Ok((Ticket::read(row)?, row.get("revoked_by")?));
    rows.iter().map(read).collect()
}

async fn fill(
    room: &Ticketing,
    bundle: &mut Bundle,
    rows: Vec<(Ticket, Option<String>)>,
    names: bool,
) -> Result<(), Problem> {
    let (tickets, revoked_by): (Vec<Ticket>, Vec<Option<String>>) = rows.into_iter().unzip();
    let mut known = match names {
        true => holders(room, &room.store.db, &tickets).await?.into_iter(),
        false => Vec::new().into_iter(),
    };
    for (ticket, kind) in tickets.iter().zip(revoked_by) {
        let holder = known.next();
        let id = ticket.uuid()?;
        if ticket.generation > 1 {
            let kind = kind.unwrap_or_else(|| Transition::Reissued.as_str().to_owned());
            bundle
                .revoked
                .push(BundleRevoked(id, ticket.generation, kind));
        }
        if ticket.status.is_dead() {
            continue;
        }
        let shown = ticket.status == TicketStatus::Used || ticket.inside;
        bundle.tickets.push(BundleTicket {
            id,
            type_no: ticket.type_no,
            generation: ticket.generation,
            state: ticket.status,
            used_at: ticket.used_at.filter(|_| shown).map(Timestamp),
            name: names.then(|| holder.and_then(|holder| holder.name)),
        });
    }
    Ok(())
}
