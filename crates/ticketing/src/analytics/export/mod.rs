//! Exports: asked for, written in the background piece by piece, kept for seven days (contract E).
//!
//! **Invariants.** An export is written in memory of one page, whatever its size, and shows rows up
//! to one instant. One that a process leaves half done is begun again by another.

mod cell;
mod kinds;

use std::time::Duration;

use bytes::Bytes;
use florin_base::Timestamp;
use florin_platform::blobs::{BlobError, Key, Pieces, Put, Signing};
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Row, Tx, query};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

pub use cell::Cell;
pub use kinds::Kind;

use crate::money::projector;
use crate::{Ticketing, outbox};

/// How long a link works.
const LINK: Duration = Duration::from_secs(900);
/// How long the file is kept.
const KEPT: i64 = 7 * 86_400_000_000;
/// A process that writes an export has it for so long before another takes over.
const LEASE: i64 = 300_000_000;
/// Rows of a page.
const PAGE: i64 = 1_000;
/// Largest file.
const BYTES_MAX: u64 = 8 << 30;
/// Rows of these tables are nobody's event.
const LANE: &str = "ticketing_exports";

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, UTF-8.
    Csv,
    /// One array of objects.
    Json,
}

impl Format {
    /// The word in rows, bodies and file names.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// The format of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Csv, Self::Json]
            .into_iter()
            .find(|one| one.word() == word)
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// An export.
#[derive(Debug, Clone)]
pub struct Export {
    /// Its id.
    pub id: String,
    /// Of this organisation.
    pub org_id: String,
    /// Of this event only.
    pub event_id: Option<String>,
    /// What is exported.
    pub kind: Kind,
    /// How it is written.
    pub format: Format,
    /// `queued`, `running`, `ready`, `failed` or `expired`.
    pub status: String,
    /// Rows written so far.
    pub rows_done: i64,
    /// Where the file is.
    pub blob_key: Option<String>,
    /// Its size.
    pub bytes: Option<i64>,
    /// Rows up to this instant.
    pub as_of: Option<i64>,
    /// Postings up to this `seq`.
    pub position: Option<i64>,
    /// When it was asked for.
    pub created_at: i64,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// When the file goes.
    pub expires_at: Option<i64>,
}

const COLUMNS: &str =
    "SELECT id, org_id, event_id, kind, format, status, rows_done, blob_key, bytes,
    as_of, ledger_position, created_at, finished_at, expires_at FROM tk_exports";

fn read(row: &Row) -> Result<Export, Problem> {
    let (kind, format): (String, String) = (row.get("kind")?, row.get("format")?);
    let unknown = || Problem::internal("an export of another program");
    Ok(Export {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        event_id: row.get("event_id")?,
        kind: Kind::from_word(&kind).ok_or_else(unknown)?,
        format: Format::from_word(&format).ok_or_else(unknown)?,
        status: row.get("status")?,
        rows_done: row.get("rows_done")?,
        blob_key: row.get("blob_key")?,
        bytes: row.get("bytes")?,
        as_of: row.get("as_of")?,
        position: row.get("ledger_position")?,
        created_at: row.get("created_at")?,
        finished_at: row.get("finished_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn select(rest: &str) -> florin_platform::sql::Query {
    florin_platform::sql::Query::assembled(format!("{COLUMNS} {rest}"))
}

/// An export.
///
/// # Errors
/// The store's.
pub async fn find(db: &Db, id: &str) -> Result<Option<Export>, Problem> {
    let row = db.fetch_optional(select("WHERE id = $1").bind(id)).await?;
    row.as_ref().map(read).transpose()
}

/// Asks for an export.
///
/// # Errors
/// The store's.
pub async fn order(
    room: &Ticketing,
    tx: &mut Tx,
    org_id: &str,
    event_id: Option<&str>,
    (kind, format): (Kind, Format),
    by: &str,
) -> Result<Export, Problem> {
    let (id, now) = (room.store.id(), room.now());
    let text = "INSERT INTO tk_exports (id, org_id, event_id, kind, format, status, rows_done,
        lease_until, created_by, created_at) VALUES ($1, $2, $3, $4, $5, 'queued', 0, 0, $6, $7)";
    let statement = query(text)
        .bind(&id)
        .bind(org_id)
        .bind(event_id.map(str::to_owned))
        .bind(kind.word())
        .bind(format.word())
        .bind(by)
        .bind(now);
    tx.execute(statement).await?;
    let made = tx.fetch_optional(select("WHERE id = $1").bind(&id)).await?;
    let made = made.ok_or_else(|| Problem::internal("an export that was not made"))?;
    read(&made)
}

/// An export as the routes print it, with a link while the file is there.
///
/// # Errors
/// 503 when the file's store does not answer.
pub async fn show(room: &Ticketing, export: &Export) -> Result<Value, Problem> {
    let over = export.expires_at.is_some_and(|at| at <= room.now());
    let status = match (&*export.status, over) {
        ("ready", true) => "expired",
        (status, _) => status,
    };
    let mut shown = json!({
        "id": export.id,
        "orgId": export.org_id,
        "kind": export.kind.word(),
        "format": export.format.word(),
        "filter": {"orgId": export.org_id, "eventId": export.event_id},
        "status": status,
        "rows": export.rows_done,
        "bytes": export.bytes,
        "asOf": export.as_of.map(time),
        "ledgerPosition": export.position,
        "createdAt": time(export.created_at),
        "finishedAt": export.finished_at.map(time),
        "expiresAt": export.expires_at.map(time),
    });
    if let ("ready", Some(key)) = (status, &export.blob_key) {
        let key = Key::parse(key).map_err(Problem::internal)?;
        let signing = Signing::Get { lives: LINK };
        let url = room.blobs.sign(&key, &signing).await.map_err(away)?;
        shown["download"] = json!({"url": url.url, "expiresAt": url.expires_at.to_string()});
    }
    Ok(shown)
}

fn time(at: i64) -> String {
    Timestamp(at).to_string()
}

fn away(error: BlobError) -> Problem {
    Problem::unavailable("store_unavailable", "The file store does not answer.").with_cause(error)
}

/// Writes the next export that waits, and removes files whose time is over; answers how many were
/// dealt with.
///
/// # Errors
/// The store's.
pub async fn step(room: &Ticketing) -> Result<usize, Problem> {
    let removed = remove_old(room).await?;
    let now = room.now();
    let text = "WHERE status IN ('queued', 'running') AND lease_until <= $1
        ORDER BY lease_until, created_at LIMIT 1";
    let statement = select(text).bind(now);
    let Some(row) = room.store.db.fetch_optional(statement).await? else {
        return Ok(removed);
    };
    let export = read(&row)?;
    let position = projector::catch_up(room).await?;
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    let text = "UPDATE tk_exports SET status = 'running', lease_until = $1, as_of = $2,
        ledger_position = $3, rows_done = 0
        WHERE id = $4 AND status IN ('queued', 'running') AND lease_until <= $5";
    let statement = query(text)
        .bind(now + LEASE)
        .bind(now)
        .bind(position)
        .bind(&export.id)
        .bind(now);
    if room.store.db.lane(LANE).execute(statement).await? == 0 {
        return Ok(removed);
    }
    let export = Export {
        as_of: Some(now),
        position: Some(position),
        ..export
    };
    let written = write(room, &export).await;
    finish(room, &export, written).await?;
    Ok(removed + 1)
}

async fn write(room: &Ticketing, export: &Export) -> Result<(String, u64), BlobError> {
    let broken = |error: &dyn std::fmt::Display| BlobError::Unavailable(error.to_string());
    let word = export.format.word();
    let name = format!("exports/{}/{}.{word}", export.org_id, export.id);
    let key = Key::parse(&name).map_err(|error| broken(&error))?;
    let put = Put {
        content_type: Some(export.format.content_type().to_owned()),
        ..Put::default()
    };
    let pieces = pieces(room.clone(), export.clone());
    let bytes = room.blobs.put_pieces(&key, pieces, &put, BYTES_MAX).await?;
    Ok((name, bytes))
}

/// Where a page begins.
struct Walk {
    room: Ticketing,
    export: Export,
    after: Option<String>,
    rows: i64,
    ended: bool,
}

fn pieces(room: Ticketing, export: Export) -> Pieces {
    let walk = Walk {
        room,
        export,
        after: None,
        rows: 0,
        ended: false,
    };
    stream::try_unfold(walk, |mut walk| async move {
        if walk.ended {
            return Ok(None);
        }
        let piece = walk.piece().await;
        let piece = piece.map_err(|problem| BlobError::Unavailable(problem.to_string()))?;
        Ok(Some((piece, walk)))
    })
    .boxed()
}

impl Walk {
    async fn piece(&mut self) -> Result<Bytes, Problem> {
        let page = self
            .export
            .kind
            .page(&self.room, &self.export, self.after.as_deref(), PAGE);
        let page = page.await?;
        let mut out = Vec::new();
        let (format, names) = (self.export.format, self.export.kind.columns());
        if self.after.is_none() {
            match format {
                Format::Csv => cell::head(names, &mut out),
                Format::Json => out.push(b'['),
            }
        }
        for (_, cells) in &page {
            match format {
                Format::Csv => cell::csv(cells, &mut out),
                Format::Json => {
                    let comma: &[u8] = if self.rows == 0 { b"\n" } else { b",\n" };
                    out.extend_from_slice(comma);
                    cell::json(names, cells, &mut out)?;
                }
            }
            self.rows += 1;
        }
        match page.last() {
            Some((id, _)) if i64::try_from(page.len()) == Ok(PAGE) => self.after = Some(id.clone()),
            _ => {
                self.ended = true;
                if format == Format::Json {
                    out.extend_from_slice(b"\n]\n");
                }
            }
        }
        self.tell().await?;
        Ok(out.into())
    }

    /// How far it is, and that somebody is still at it.
    async fn tell(&self) -> Result<(), Problem> {
        let text = "UPDATE tk_exports SET rows_done = $1, lease_until = $2 WHERE id = $3";
        let statement = query(text)
            .bind(self.rows)
            .bind(self.room.now() + LEASE)
            .bind(&self.export.id);
        self.room.store.db.lane(LANE).execute(statement).await?;
        Ok(())
    }
}

async fn finish(
    room: &Ticketing,
    export: &Export,
    written: Result<(String, u64), BlobError>,
) -> Result<(), Problem> {
    let now = room.now();
    let (status, key, bytes, failure) = match written {
        Ok((key, bytes)) => ("ready", Some(key), i64::try_from(bytes).ok(), None),
        Err(error) => {
            tracing::error!(export = export.id, %error, "an export failed");
            ("failed", None, None, Some(error.to_string()))
        }
    };
    let text = "UPDATE tk_exports SET status = $1, blob_key = $2, bytes = $3, failure = $4,
        finished_at = $5, expires_at = $6 WHERE id = $7";
    let statement = query(text)
        .bind(status)
        .bind(key)
        .bind(bytes)
        .bind(failure)
        .bind(now)
        .bind(now + KEPT)
        .bind(&export.id);
    let mut tx = room.store.db.lane(LANE).begin().await?;
    tx.execute(statement).await?;
    if status == "ready" {
        let data = json!({"exportId": export.id, "kind": export.kind.word(),
            "format": export.format.word(), "eventId": export.event_id, "status": status});
        outbox::tell(&room.store, &mut tx, &export.org_id, "export.ready", &data).await?;
    }
    tx.commit().await?;
    room.told.notify_one();
    Ok(())
}

async fn remove_old(room: &Ticketing) -> Result<usize, Problem> {
    let text = "WHERE status = 'ready' AND expires_at <= $1 LIMIT 100";
    let rows = room
        .store
        .db
        .fetch_all(select(text).bind(room.now()))
        .await?;
    for row in &rows {
        let export = read(row)?;
        if let Some(key) = &export.blob_key {
            let key = Key::parse(key).map_err(Problem::internal)?;
            room.blobs.delete(&key).await.map_err(away)?;
        }
        let text = "UPDATE tk_exports SET status = 'expired', blob_key = NULL WHERE id = $1";
        room.store
            .db
            .lane(LANE)
            .execute(query(text).bind(&export.id))
            .await?;
    }
    Ok(rows.len())
}
