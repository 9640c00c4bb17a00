//! The tables of endpoints, deliveries and tries.

use std::borrow::Cow;

use super::{
    model::{Delivery, Endpoint, Event, NUMBERED, State, Try},
    sign::SigningSecret,
};
use crate::sql::{Arg, Db, Query, Row, SqlError, Tx, query};

const ENDPOINT: &str = "SELECT id, url, events, key_filter, secret, previous_secret,
    previous_until, disabled, since_seq, created_at FROM webhook_endpoints";
const DELIVERY: &str = "SELECT id, event_id, event_type, event_key, place, body, state, tries,
    tries_total, next_at, created_at, finished_at FROM webhook_deliveries";

fn secret(column: &str, text: String) -> Result<SigningSecret, SqlError> {
    SigningSecret::parse(text).ok_or_else(|| SqlError::Column {
        column: column.to_owned(),
        reason: "no signing secret".to_owned(),
    })
}

fn endpoint(row: &Row) -> Result<Endpoint, SqlError> {
    let events: Option<String> = row.get("events")?;
    let previous: Option<String> = row.get("previous_secret")?;
    let until: Option<i64> = row.get("previous_until")?;
    Ok(Endpoint {
        id: row.get::<String>("id")?.into(),
        url: row.get::<String>("url")?.into(),
        events: events.map(|names| names.split(',').map(Into::into).collect()),
        key: row.get::<Option<String>>("key_filter")?.map(Into::into),
        secret: secret("secret", row.get("secret")?)?,
        previous: match (previous, until) {
            (Some(text), Some(until)) => Some((secret("previous_secret", text)?, until)),
            _ => None,
        },
        disabled: row.get::<Option<String>>("disabled")?.map(Into::into),
        since_seq: row.get::<i64>("since_seq")?.unsigned_abs(),
        created_at: row.get("created_at")?,
    })
}

fn count(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn delivery(row: &Row) -> Result<Delivery, SqlError> {
    let state: String = row.get("state")?;
    Ok(Delivery {
        id: row.get::<String>("id")?.into(),
        event_id: row.get::<String>("event_id")?.into(),
        event_type: row.get::<String>("event_type")?.into(),
        key: row.get::<String>("event_key")?.into(),
        place: row.get("place")?,
        body: row.get::<String>("body")?.into(),
        state: State::from_word(&state).unwrap_or(State::Parked),
        tries: count(row.get("tries")?),
        tries_total: count(row.get("tries_total")?),
        next_at: row.get("next_at")?,
        created_at: row.get("created_at")?,
        finished_at: row.get("finished_at")?,
    })
}

fn all_endpoints() -> Query {
    Query::assembled(format!("{ENDPOINT} ORDER BY created_at, id"))
}

/// All endpoints in order of creation.
pub async fn endpoints(db: &Db) -> Result<Vec<Endpoint>, SqlError> {
    let rows = db.fetch_all(all_endpoints()).await?;
    rows.iter().map(endpoint).collect()
}

/// As [`endpoints`], within a transaction.
pub async fn endpoints_in(tx: &mut Tx) -> Result<Vec<Endpoint>, SqlError> {
    let rows = tx.fetch_all(all_endpoints()).await?;
    rows.iter().map(endpoint).collect()
}

/// The endpoint made under an `Idempotency-Key`.
pub async fn endpoint_by_key(
    tx: &mut Tx,
    scope: &str,
    key: &str,
) -> Result<Option<Endpoint>, SqlError> {
    let text = format!("{ENDPOINT} WHERE creation_scope = $1 AND creation_key = $2");
    let row = tx.fetch_optional(Query::assembled(text).bind(scope).bind(key));
    row.await?.as_ref().map(endpoint).transpose()
}

/// Adds an endpoint.
pub async fn insert_endpoint(
    tx: &mut Tx,
    endpoint: &Endpoint,
    identity: Option<(&str, &str)>,
) -> Result<(), SqlError> {
    let insert = "INSERT INTO webhook_endpoints (id, url, events, key_filter, secret, since_seq,
        created_at, creation_scope, creation_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let events = endpoint.events.as_ref().map(|names| names.join(","));
    let insert = query(insert)
        .bind(&*endpoint.id)
        .bind(&*endpoint.url)
        .bind(events)
        .bind(endpoint.key.as_deref())
        .bind(endpoint.secret.expose())
        .bind(i64::try_from(endpoint.since_seq).unwrap_or(i64::MAX))
        .bind(endpoint.created_at)
        .bind(identity.map(|(scope, _)| scope))
        .bind(identity.map(|(_, key)| key));
    tx.execute(insert).await.map(drop)
}

/// Replaces the secret; the one in force signs beside it until a time.
pub async fn rotate(db: &Db, id: &str, new: &SigningSecret, until: i64) -> Result<(), SqlError> {
    let update = "UPDATE webhook_endpoints SET previous_secret = secret, secret = $2,
        previous_until = $3 WHERE id = $1";
    let update = query(update).bind(id).bind(new.expose()).bind(until);
    db.execute(update).await.map(drop)
}

/// Removes an endpoint with its deliveries and their log.
pub async fn delete_endpoint(db: &Db, id: &str) -> Result<(), SqlError> {
    let mut tx = db.begin().await?;
    for statement in [
        "DELETE FROM webhook_tries WHERE delivery_id IN
            (SELECT id FROM webhook_deliveries WHERE endpoint_id = $1)",
        "DELETE FROM webhook_deliveries WHERE endpoint_id = $1",
        "DELETE FROM webhook_endpoints WHERE id = $1",
    ] {
        tx.execute(query(statement).bind(id)).await?;
    }
    tx.commit().await
}

/// Stops an endpoint and parks what is on its way to it.
pub async fn disable(db: &Db, id: &str, reason: &str, now: i64) -> Result<(), SqlError> {
    let mut tx = db.begin().await?;
    let stop = "UPDATE webhook_endpoints SET disabled = $2 WHERE id = $1";
    tx.execute(query(stop).bind(id).bind(reason)).await?;
    let park = "UPDATE webhook_deliveries SET state = 'parked', finished_at = $2
        WHERE endpoint_id = $1 AND state IN ('ready', 'waiting')";
    tx.execute(query(park).bind(id).bind(now)).await?;
    tx.commit().await
}

/// Queues an event for an endpoint, behind what is on its way for the same key. An event that
/// was queued before is left alone.
pub async fn enqueue(
    tx: &mut Tx,
    id: &str,
    endpoint: &Endpoint,
    event: &Event,
    place: i64,
    now: i64,
) -> Result<(), SqlError> {
    let Some(body) = numbered(tx, endpoint, event).await? else {
        return Ok(());
    };
    let insert = "INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, event_key,
            place, body, state, tries, tries_total, next_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7,
            CASE WHEN EXISTS (SELECT 1 FROM webhook_deliveries WHERE endpoint_id = $2
                AND event_key = $5 AND state IN ('ready', 'waiting'))
            THEN 'waiting' ELSE 'ready' END, 0, 0, $8, $8)
        ON CONFLICT (endpoint_id, event_id) DO NOTHING";
    let insert = query(insert)
        .bind(id)
        .bind(&*endpoint.id)
        .bind(&*event.id)
        .bind(&*event.event_type)
        .bind(&*event.key)
        .bind(place)
        .bind(&*body)
        .bind(now);
    tx.execute(insert).await.map(drop)
}

/// The body with the endpoint's next number, where it wants one; `None` when the event was queued
/// before and has its number.
async fn numbered<'a>(
    tx: &mut Tx,
    endpoint: &Endpoint,
    event: &'a Event,
) -> Result<Option<Cow<'a, str>>, SqlError> {
    let Some(rest) = event.body.strip_prefix(NUMBERED) else {
        return Ok(Some(Cow::Borrowed(&*event.body)));
    };
    let next = "UPDATE webhook_endpoints SET sequence = sequence + 1 WHERE id = $1
        AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE endpoint_id = $1 AND event_id = $2)
        RETURNING sequence";
    let next = query(next).bind(&*endpoint.id).bind(&*event.id);
    let Some(row) = tx.fetch_optional(next).await? else {
        return Ok(None);
    };
    let number: i64 = row.get("sequence")?;
    Ok(Some(format!("{{\"sequence\":{number},{rest}").into()))
}

/// The largest place given out. In a transaction of the whole lane it stays so.
pub async fn last_place(tx: &mut Tx) -> Result<i64, SqlError> {
    let select = query("SELECT COALESCE(MAX(place), 0) AS place FROM webhook_deliveries");
    match tx.fetch_optional(select).await? {
        Some(row) => row.get("place"),
        None => Ok(0),
    }
}

/// Takes what is to be sent to an endpoint now, with the endpoint as it is now, so that no other
/// worker takes it before `until`; that time is also the sign of the claim. `None` when the
/// endpoint is gone or disabled.
pub async fn claim(
    db: &Db,
    id: &str,
    now: i64,
    until: i64,
    most: i64,
) -> Result<Option<(Endpoint, Vec<Delivery>)>, SqlError> {
    let mut tx = db.begin_keyed(id).await?;
    let select = Query::assembled(format!("{ENDPOINT} WHERE id = $1")).bind(id);
    let found = tx.fetch_optional(select).await?;
    let found = found.as_ref().map(endpoint).transpose()?;
    let Some(found) = found.filter(|endpoint| endpoint.disabled.is_none()) else {
        return Ok(None);
    };
    let claim = "UPDATE webhook_deliveries SET next_at = $3 WHERE id IN
            (SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'ready'
                AND next_at <= $2 ORDER BY next_at, place LIMIT $4)
        RETURNING id, event_id, event_type, event_key, place, body, state, tries, tries_total,
            next_at, created_at, finished_at";
    let claim = query(claim).bind(id).bind(now).bind(until).bind(most);
    let rows = tx.fetch_all(claim).await?;
    let mut claimed: Vec<Delivery> = rows.iter().map(delivery).collect::<Result<_, _>>()?;
    claimed.sort_by_key(|delivery| delivery.place);
    tx.commit().await?;
    Ok(Some((found, claimed)))
}

/// Endpoints to which something is to be sent now.
pub async fn endpoints_due(db: &Db, now: i64) -> Result<Vec<Box<str>>, SqlError> {
    let select = "SELECT DISTINCT endpoint_id FROM webhook_deliveries
        WHERE state = 'ready' AND next_at <= $1";
    let rows = db.fetch_all(query(select).bind(now)).await?;
    let id = |row: &Row| row.get::<String>("endpoint_id").map(Into::into);
    rows.iter().map(id).collect()
}

/// When the next delivery comes due that is not due yet.
pub async fn next_due(db: &Db, now: i64) -> Result<Option<i64>, SqlError> {
    let select = "SELECT MIN(next_at) AS at FROM webhook_deliveries
        WHERE state = 'ready' AND next_at > $1";
    match db.fetch_optional(query(select).bind(now)).await? {
        Some(row) => row.get("at"),
        None => Ok(None),
    }
}

/// What follows from a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Accepted,
    /// Try again at a time, microseconds.
    Again(i64),
    /// Given up.
    Parked,
}

/// Logs a try of a claimed delivery and acts on it; the end of a delivery lets the next of its
/// key go.
pub async fn record(
    db: &Db,
    endpoint: &str,
    delivery: &Delivery,
    tried: &Try,
    verdict: Verdict,
    now: i64,
) -> Result<(), SqlError> {
    let mut tx = db.begin_keyed(endpoint).await?;
    let (state, next_at, finished) = match verdict {
        Verdict::Accepted => (State::Accepted, now, Some(now)),
        Verdict::Again(at) => (State::Ready, at, None),
        Verdict::Parked => (State::Parked, now, Some(now)),
    };
    let update = "UPDATE webhook_deliveries SET state = $2, tries = $3, tries_total = $4,
        next_at = $5, finished_at = $6 WHERE id = $1 AND state = 'ready' AND next_at = $7";
    let update = query(update)
        .bind(&*delivery.id)
        .bind(state.word())
        .bind(delivery.tries + 1)
        .bind(tried.number)
        .bind(next_at)
        .bind(finished)
        .bind(delivery.next_at);
    // Nothing changes when the endpoint was deleted or disabled meanwhile, or the claim ran out
    // and another worker has it.
    let ours = tx.execute(update).await? == 1;
    let log = "INSERT INTO webhook_tries (delivery_id, number, at, status, error, duration_ms)
        SELECT $1, $2, $3, $4, $5, $6 FROM webhook_deliveries WHERE id = $1
        ON CONFLICT (delivery_id, number) DO NOTHING";
    let log = query(log)
        .bind(&*delivery.id)
        .bind(tried.number)
        .bind(tried.at)
        .bind(Arg::Int(tried.status.map(i64::from)))
        .bind(tried.error.as_deref())
        .bind(i64::try_from(tried.duration_ms).unwrap_or(i64::MAX));
    tx.execute(log).await?;
    if ours && finished.is_some() {
        let next = "UPDATE webhook_deliveries SET state = 'ready', next_at = $3 WHERE id =
            (SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND event_key = $2
                AND state = 'waiting' ORDER BY place LIMIT 1)
            AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE endpoint_id = $1
                AND event_key = $2 AND state = 'ready')";
        let next = query(next).bind(endpoint).bind(&*delivery.key).bind(now);
        tx.execute(next).await?;
    }
    tx.commit().await
}

/// Queues a finished delivery again; 0 when it is not finished.
pub async fn requeue(tx: &mut Tx, endpoint: &str, id: &str, now: i64) -> Result<u64, SqlError> {
    let update = "UPDATE webhook_deliveries SET tries = 0, next_at = $3, finished_at = NULL,
        state = CASE WHEN EXISTS (SELECT 1 FROM webhook_deliveries AS other
            WHERE other.endpoint_id = $1 AND other.event_key = webhook_deliveries.event_key
            AND other.state IN ('ready', 'waiting')) THEN 'waiting' ELSE 'ready' END
        WHERE endpoint_id = $1 AND id = $2 AND state IN ('accepted', 'parked')";
    tx.execute(query(update).bind(endpoint).bind(id).bind(now))
        .await
}

/// Queues everything parked again, in order, and enables the endpoint. Answers how many.
pub async fn replay(db: &Db, endpoint: &str, now: i64) -> Result<u64, SqlError> {
    let mut tx = db.begin().await?;
    let enable = "UPDATE webhook_endpoints SET disabled = NULL WHERE id = $1";
    tx.execute(query(enable).bind(endpoint)).await?;
    let select = "SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'parked'
        ORDER BY place";
    let parked = tx.fetch_all(query(select).bind(endpoint)).await?;
    let mut queued = 0;
    for row in &parked {
        queued += requeue(&mut tx, endpoint, &row.get::<String>("id")?, now).await?;
    }
    tx.commit().await?;
    Ok(queued)
}

/// Most deliveries that one call queues again.
pub const REPLAY_MAX: i64 = 10_000;

/// Queues what was recorded in `[from, to)` and is finished again, in order, accepted or not, and
/// enables the endpoint. Answers how many; at most [`REPLAY_MAX`].
pub async fn replay_between(
    db: &Db,
    endpoint: &str,
    from: i64,
    to: i64,
    now: i64,
) -> Result<u64, SqlError> {
    let mut tx = db.patient().begin().await?;
    let enable = "UPDATE webhook_endpoints SET disabled = NULL WHERE id = $1";
    tx.execute(query(enable).bind(endpoint)).await?;
    let select = "SELECT id FROM webhook_deliveries WHERE endpoint_id = $1
        AND state IN ('accepted', 'parked') AND created_at >= $2 AND created_at < $3
        ORDER BY place LIMIT $4";
    let select = query(select)
        .bind(endpoint)
        .bind(from)
        .bind(to)
        .bind(REPLAY_MAX);
    let mut queued = 0;
    for row in &tx.fetch_all(select).await? {
        queued += requeue(&mut tx, endpoint, &row.get::<String>("id")?, now).await?;
    }
    tx.commit().await?;
    Ok(queued)
}

/// One delivery of an endpoint.
pub async fn find(db: &Db, endpoint: &str, id: &str) -> Result<Option<Delivery>, SqlError> {
    let text = format!("{DELIVERY} WHERE endpoint_id = $1 AND id = $2");
    let row = db.fetch_optional(Query::assembled(text).bind(endpoint).bind(id));
    row.await?.as_ref().map(delivery).transpose()
}

/// Deliveries of an endpoint, newest first, before a place.
pub async fn list(
    db: &Db,
    endpoint: &str,
    state: Option<State>,
    before: i64,
    most: i64,
) -> Result<Vec<Delivery>, SqlError> {
    let text = format!(
        "{DELIVERY} WHERE endpoint_id = $1 AND place < $2 AND ($3 IS NULL OR state = $3)
        ORDER BY place DESC LIMIT $4"
    );
    let select = Query::assembled(text)
        .bind(endpoint)
        .bind(before)
        .bind(state.map(State::word))
        .bind(most);
    db.fetch_all(select).await?.iter().map(delivery).collect()
}

/// The log of a delivery, oldest first.
pub async fn tries(db: &Db, delivery: &str) -> Result<Vec<Try>, SqlError> {
    let select = "SELECT number, at, status, error, duration_ms FROM webhook_tries
        WHERE delivery_id = $1 ORDER BY number";
    let rows = db.fetch_all(query(select).bind(delivery)).await?;
    let tried = |row: &Row| {
        Ok(Try {
            number: count(row.get("number")?),
            at: row.get("at")?,
            status: row
                .get::<Option<i64>>("status")?
                .and_then(|status| u16::try_from(status).ok()),
            error: row.get::<Option<String>>("error")?.map(Into::into),
            duration_ms: row.get::<i64>("duration_ms")?.unsigned_abs(),
        })
    };
    rows.iter().map(tried).collect()
}

/// Forgets deliveries accepted before a time, with their log.
pub async fn prune(db: &Db, before: i64) -> Result<(), SqlError> {
    let mut tx = db.patient().begin().await?;
    for statement in [
        "DELETE FROM webhook_tries WHERE delivery_id IN (SELECT id FROM webhook_deliveries
            WHERE state = 'accepted' AND finished_at < $1)",
        "DELETE FROM webhook_deliveries WHERE state = 'accepted' AND finished_at < $1",
    ] {
        tx.execute(query(statement).bind(before)).await?;
    }
    tx.commit().await
}
