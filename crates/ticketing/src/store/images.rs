//! Rows of images.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, Tx, query};

/// An image of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Of which event.
    pub event_id: String,
    /// `pending`, `ready` or `rejected`.
    pub status: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// Declared, then checked.
    pub content_type: String,
    /// Declared, then measured.
    pub size_bytes: i64,
    /// For people who do not see it.
    pub alt_text: String,
    /// Where its bytes lie.
    pub blob_key: String,
    /// Microseconds.
    pub created_at: i64,
}

const COLUMNS: &str =
    "id, event_id, status, reason, content_type, size_bytes, alt_text, blob_key, created_at";

fn read(row: &Row) -> Result<Image, Problem> {
    Ok(Image {
        id: row.get("id")?,
        event_id: row.get("event_id")?,
        status: row.get("status")?,
        reason: row.get("reason")?,
        content_type: row.get("content_type")?,
        size_bytes: row.get("size_bytes")?,
        alt_text: row.get("alt_text")?,
        blob_key: row.get("blob_key")?,
        created_at: row.get("created_at")?,
    })
}

/// Images of an event in order of creation.
///
/// # Errors
/// The store's.
pub async fn list(db: &Db, event_id: &str) -> Result<Vec<Image>, Problem> {
    let text =
        format!("SELECT {COLUMNS} FROM tk_images WHERE event_id = $1 ORDER BY created_at, id");
    let rows = db.fetch_all(Query::assembled(text).bind(event_id)).await?;
    rows.iter().map(read).collect()
}

/// One image.
///
/// # Errors
/// The store's.
pub async fn load(db: &Db, id: &str) -> Result<Option<Image>, Problem> {
    let text = format!("SELECT {COLUMNS} FROM tk_images WHERE id = $1");
    let row = db.fetch_optional(Query::assembled(text).bind(id)).await?;
    row.as_ref().map(read).transpose()
}

/// Ids of the ready images of an event, and how many there are in all that were not rejected.
///
/// # Errors
/// The store's.
pub async fn ready_in(tx: &mut Tx, event_id: &str) -> Result<(Vec<String>, usize), Problem> {
    let text = "SELECT id, status FROM tk_images WHERE event_id = $1 AND status <> 'rejected'
        ORDER BY created_at, id";
    let rows = tx.fetch_all(query(text).bind(event_id)).await?;
    let mut ready = Vec::new();
    for row in &rows {
        if row.get::<String>("status")? == "ready" {
            ready.push(row.get("id")?);
        }
    }
    Ok((ready, rows.len()))
}

/// Puts a new row in.
///
/// # Errors
/// The store's.
pub async fn insert(tx: &mut Tx, image: &Image) -> Result<(), Problem> {
    let text =
        format!("INSERT INTO tk_images ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    let statement = Query::assembled(text)
        .bind(&image.id)
        .bind(&image.event_id)
        .bind(&image.status)
        .bind(image.reason.clone())
        .bind(&image.content_type)
        .bind(image.size_bytes)
        .bind(&image.alt_text)
        .bind(&image.blob_key)
        .bind(image.created_at);
    tx.execute(statement).await?;
    Ok(())
}

/// Stores what the check of the bytes found; a pending image is judged once.
///
/// # Errors
/// The store's.
pub async fn judge(tx: &mut Tx, image: &Image) -> Result<bool, Problem> {
    let text = "UPDATE tk_images SET status = $2, reason = $3, size_bytes = $4, blob_key = $5
        WHERE id = $1 AND status = 'pending'";
    let statement = query(text)
        .bind(&image.id)
        .bind(&image.status)
        .bind(image.reason.clone())
        .bind(image.size_bytes)
        .bind(&image.blob_key);
    Ok(tx.execute(statement).await? == 1)
}

/// Removes a row.
///
/// # Errors
/// The store's.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), Problem> {
    tx.execute(query("DELETE FROM tk_images WHERE id = $1").bind(id))
        .await?;
    Ok(())
}
