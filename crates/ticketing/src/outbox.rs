//! What organisers are told (contract F): a row in the transaction of the fact, handed on after.

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Row, Tx, query};
use florin_platform::webhooks::{Event, NUMBERED};
use serde_json::{Value, json};

use crate::Ticketing;
use crate::store::{Store, bulk};

/// Version of what is sent.
const API_VERSION: &str = "1";

/// Tells the organisation's webhooks of an event, if and when the transaction commits. `data`
/// holds ids, statuses and amounts and nothing personal.
///
/// # Errors
/// The store's.
pub async fn tell(
    store: &Store,
    tx: &mut Tx,
    org_id: &str,
    kind: &'static str,
    data: &Value,
) -> Result<(), Problem> {
    tell_all(store, tx, &[(org_id, kind, data.to_string())]).await
}

/// [`tell`] for many: organisation, kind, data as JSON.
///
/// # Errors
/// The store's.
pub async fn tell_all(
    store: &Store,
    tx: &mut Tx,
    all: &[(&str, &'static str, String)],
) -> Result<(), Problem> {
    let now = store.now();
    let rows = all.iter().map(|(org_id, kind, data)| {
        debug_assert!(crate::EVENT_NAMES.contains(kind), "{kind}");
        vec![
            Arg::from(store.id()),
            Arg::from(*org_id),
            Arg::from(*kind),
            Arg::from(data),
            Arg::from(now),
        ]
    });
    let prefix = "INSERT INTO tk_outbox (id, org_id, kind, data, created_at)";
    bulk::insert(tx, store.marks(), prefix, "", rows.collect()).await?;
    Ok(())
}

/// Rows that one step hands on.
const AT_ONCE: i64 = 500;
/// Channel of the webhooks' positions.
const CHANNEL: &str = "ticketing";

/// Hands what was told to the webhooks, oldest first, and forgets it. Answers how many rows. A
/// row that is handed on twice reaches each endpoint once: its id is the event's.
///
/// # Errors
/// The stores'; the same rows come again.
pub async fn hand_on(room: &Ticketing) -> Result<usize, Problem> {
    let Some(webhooks) = &room.webhooks else {
        return Ok(0);
    };
    let db = room.store.db.patient();
    let text = "SELECT id, org_id, kind, data, created_at FROM tk_outbox
        ORDER BY created_at, id LIMIT $1";
    let rows = db.fetch_all(query(text).bind(AT_ONCE)).await?;
    let Some(newest) = rows.last() else {
        return Ok(0);
    };
    let newest: i64 = newest.get("created_at")?;
    // Endpoints that exist now are older than what is told now.
    let seq = room.ledger.durable_seq().saturating_add(1);
    let events: Result<Vec<Event>, Problem> = rows.iter().map(|row| event(row, seq)).collect();
    webhooks
        .accept(CHANNEL, newest.unsigned_abs(), &events?)
        .await?;
    let ids: Result<Vec<String>, _> = rows.iter().map(|row| row.get("id")).collect();
    let keys = ids?.iter().map(Arg::from).collect();
    // A lane of its own: what was told must not hold up what is sold.
    let mut tx = db.lane("ticketing_outbox").begin().await?;
    let prefix = "DELETE FROM tk_outbox WHERE id IN";
    bulk::execute(&mut tx, room.store.marks(), prefix, "", &[], keys).await?;
    tx.commit().await?;
    Ok(rows.len())
}

fn event(row: &Row, seq: u64) -> Result<Event, Problem> {
    let (id, org): (String, String) = (row.get("id")?, row.get("org_id")?);
    let kind: String = row.get("kind")?;
    let data: Value =
        serde_json::from_str(&row.get::<String>("data")?).map_err(Problem::internal)?;
    Ok(message(&id, &org, &kind, row.get("created_at")?, data, seq))
}

/// What is sent of one thing that happened.
pub fn message(id: &str, org_id: &str, kind: &str, at: i64, data: Value, seq: u64) -> Event {
    let body = json!({
        "id": id,
        "type": kind,
        "timestamp": Timestamp(at),
        "apiVersion": API_VERSION,
        "orgId": org_id,
        "data": data,
    });
    // Each endpoint counts what it is sent.
    let text = body.to_string();
    let text = format!("{NUMBERED}{}", text.strip_prefix('{').unwrap_or(&text));
    Event {
        id: id.into(),
        event_type: kind.into(),
        key: org_id.into(),
        seq,
        recorded_at: None,
        body: text.into(),
    }
}
