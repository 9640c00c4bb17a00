//! Rows of events.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, Tx, query};

use crate::model::event::{Event, Format, Status, Venue, Visibility};
use crate::model::org::FeePayer;

/// Every column, in the order of [`bound`] after `id`.
pub const COLUMNS: &str = "id, org_id, slug, title, summary, description, category, tags, format,
    visibility, access_key, starts_at, ends_at, time_zone, venue, lat, lng, online_url, currency,
    hold_seconds, fee_payer, reentry, check_in_opens_at, check_in_closes_at, sales_paused,
    refund_policy, max_per_buyer, image_ids, status, status_reason, refund_until, version,
    created_at, updated_at, published_at, next_type_no";

fn word<T>(parse: fn(&str) -> Option<T>, row: &Row, column: &str) -> Result<T, Problem> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| Problem::internal(format_args!("`{text}` in column {column}")))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(Problem::internal)
}

/// An event of a row that has all of [`COLUMNS`].
///
/// # Errors
/// 500 for a row that this binary did not write.
pub fn read(row: &Row) -> Result<Event, Problem> {
    let venue: Option<String> = row.get("venue")?;
    Ok(Event {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        slug: row.get("slug")?,
        title: row.get("title")?,
        summary: row.get("summary")?,
        description: row.get("description")?,
        category: row.get("category")?,
        tags: json(&row.get::<String>("tags")?)?,
        format: word(Format::from_word, row, "format")?,
        visibility: word(Visibility::from_word, row, "visibility")?,
        access_key: row.get("access_key")?,
        starts_at: row.get("starts_at")?,
        ends_at: row.get("ends_at")?,
        time_zone: row.get("time_zone")?,
        venue: venue.map(|text| json::<Venue>(&text)).transpose()?,
        online_url: row.get("online_url")?,
        currency: row.get("currency")?,
        hold_seconds: row.get("hold_seconds")?,
        fee_payer: word(FeePayer::from_word, row, "fee_payer")?,
        reentry: row.get("reentry")?,
        check_in_opens_at: row.get("check_in_opens_at")?,
        check_in_closes_at: row.get("check_in_closes_at")?,
        sales_paused: row.get("sales_paused")?,
        refund_policy: row.get("refund_policy")?,
        max_per_buyer: row.get("max_per_buyer")?,
        image_ids: json(&row.get::<String>("image_ids")?)?,
        status: word(Status::from_word, row, "status")?,
        status_reason: row.get("status_reason")?,
        refund_until: row.get("refund_until")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        published_at: row.get("published_at")?,
        next_type_no: row.get("next_type_no")?,
    })
}

fn by(column: &'static str, value: &str) -> Query {
    Query::assembled(format!(
        "SELECT {COLUMNS} FROM tk_events WHERE {column} = $1"
    ))
    .bind(value)
}

/// One event.
///
/// # Errors
/// The store's.
pub async fn load(db: &Db, id: &str) -> Result<Option<Event>, Problem> {
    let row = db.fetch_optional(by("id", id)).await?;
    row.as_ref().map(read).transpose()
}

/// One event by its slug.
///
/// # Errors
/// The store's.
pub async fn by_slug(db: &Db, slug: &str) -> Result<Option<Event>, Problem> {
    let row = db.fetch_optional(by("slug", slug)).await?;
    row.as_ref().map(read).transpose()
}

/// One event, inside a transaction.
///
/// # Errors
/// The store's.
pub async fn load_in(tx: &mut Tx, id: &str) -> Result<Option<Event>, Problem> {
    let row = tx.fetch_optional(by("id", id)).await?;
    row.as_ref().map(read).transpose()
}

/// Some events by their ids, in no order.
///
/// # Errors
/// The store's.
pub async fn some(db: &Db, ids: &[String]) -> Result<Vec<Event>, Problem> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = (1..=ids.len()).map(|n| format!("${n}")).collect();
    let text = format!(
        "SELECT {COLUMNS} FROM tk_events WHERE id IN ({})",
        names.join(", ")
    );
    let statement = ids.iter().fold(Query::assembled(text), Query::bind);
    db.fetch_all(statement).await?.iter().map(read).collect()
}

/// A slug is taken.
///
/// # Errors
/// The store's.
pub async fn slug_taken(tx: &mut Tx, slug: &str) -> Result<bool, Problem> {
    let statement = query("SELECT 1 AS one FROM tk_events WHERE slug = $1").bind(slug);
    Ok(tx.fetch_optional(statement).await?.is_some())
}

/// Ids of events of an organisation, ascending.
///
/// # Errors
/// The store's.
pub async fn of_org(db: &Db, org_id: &str) -> Result<Vec<String>, Problem> {
    let statement = query("SELECT id FROM tk_events WHERE org_id = $1 ORDER BY id").bind(org_id);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}

/// Events that are over: published and sold out ones that ended before `now`, postponed ones that
/// ended before `postponed`. Oldest first.
///
/// # Errors
/// The store's.
pub async fn over(
    db: &Db,
    now: i64,
    postponed: i64,
    limit: i64,
) -> Result<Vec<(String, Status)>, Problem> {
    let text = "SELECT id, status FROM tk_events
        WHERE status IN ('published', 'sold_out', 'postponed') AND ends_at <= $1
            AND (status <> 'postponed' OR ends_at <= $2)
        ORDER BY ends_at, id LIMIT $3";
    let statement = query(text).bind(now).bind(postponed).bind(limit);
    let rows = db.fetch_all(statement).await?;
    rows.iter()
        .map(|row| Ok((row.get("id")?, word(Status::from_word, row, "status")?)))
        .collect()
}

fn text_of<T: serde::Serialize>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(Problem::internal)
}

fn bound(statement: Query, event: &Event) -> Result<Query, Problem> {
    let venue = event.venue.as_ref();
    Ok(statement
        .bind(&event.org_id)
        .bind(&event.slug)
        .bind(&event.title)
        .bind(&event.summary)
        .bind(&event.description)
        .bind(event.category.clone())
        .bind(text_of(&event.tags)?)
        .bind(event.format.word())
        .bind(event.visibility.word())
        .bind(event.access_key.clone())
        .bind(event.starts_at)
        .bind(event.ends_at)
        .bind(&event.time_zone)
        .bind(venue.map(text_of).transpose()?)
        .bind(venue.map(|venue| venue.lat))
        .bind(venue.map(|venue| venue.lng))
        .bind(event.online_url.clone())
        .bind(&event.currency)
        .bind(event.hold_seconds)
        .bind(event.fee_payer.word())
        .bind(event.reentry)
        .bind(event.check_in_opens_at)
        .bind(event.check_in_closes_at)
        .bind(event.sales_paused)
        .bind(event.refund_policy.clone())
        .bind(event.max_per_buyer)
        .bind(text_of(&event.image_ids)?)
        .bind(event.status.word())
        .bind(event.status_reason.clone())
        .bind(event.refund_until)
        .bind(event.version)
        .bind(event.created_at)
        .bind(event.updated_at)
        .bind(event.published_at)
        .bind(event.next_type_no))
}

/// Puts a new row in.
///
/// # Errors
/// The store's.
pub async fn insert(tx: &mut Tx, event: &Event) -> Result<(), Problem> {
    let names: Vec<String> = (1..=COLUMNS.split(',').count())
        .map(|n| format!("${n}"))
        .collect();
    let text = format!(
        "INSERT INTO tk_events ({COLUMNS}) VALUES ({})",
        names.join(", ")
    );
    tx.execute(bound(Query::assembled(text).bind(&event.id), event)?)
        .await?;
    Ok(())
}

/// Stores a changed row.
///
/// # Errors
/// The store's.
pub async fn update(tx: &mut Tx, event: &Event) -> Result<(), Problem> {
    let sets: Vec<String> = COLUMNS
        .split(',')
        .enumerate()
        .skip(1)
        .map(|(index, column)| format!("{} = ${}", column.trim(), index + 1))
        .collect();
    let text = format!("UPDATE tk_events SET {} WHERE id = $1", sets.join(", "));
    tx.execute(bound(Query::assembled(text).bind(&event.id), event)?)
        .await?;
    Ok(())
}

/// Changes the status alone: automatic changes leave the version that people compare.
///
/// # Errors
/// The store's.
pub async fn set_status(tx: &mut Tx, id: &str, status: Status, now: i64) -> Result<(), Problem> {
    let text = "UPDATE tk_events SET status = $2, updated_at = $3 WHERE id = $1";
    tx.execute(query(text).bind(id).bind(status.word()).bind(now))
        .await?;
    Ok(())
}

/// Removes a draft with everything that belongs to it.
///
/// # Errors
/// The store's.
pub async fn delete_draft(tx: &mut Tx, id: &str) -> Result<(), Problem> {
    let texts = [
        "DELETE FROM tk_type_pools WHERE type_id IN (SELECT id FROM tk_types WHERE event_id = $1)",
        "DELETE FROM tk_types WHERE event_id = $1",
        "DELETE FROM tk_pools WHERE event_id = $1",
        "DELETE FROM tk_promos WHERE event_id = $1",
        "DELETE FROM tk_images WHERE event_id = $1",
        "DELETE FROM tk_search WHERE event_id = $1",
        "DELETE FROM tk_events WHERE id = $1",
    ];
    for text in texts {
        tx.execute(query(text).bind(id)).await?;
    }
    Ok(())
}
