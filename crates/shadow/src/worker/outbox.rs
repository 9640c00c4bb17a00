//! The outbox: the log itself. A reader with a position of its own tells the outside about every
//! record that `emits` something, in the order of the log, at least once (contract E).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use florin_base::Timestamp;
use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::query;
use serde::Serialize;

use crate::store::{Shadow, WriteError, failpoint};

/// Records that are read at a time.
const PAGE: i64 = 1_000;
/// Time between two looks when there is nothing to tell.
const LOOK: Duration = Duration::from_millis(100);
/// Longest wait after a failed delivery.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Name of the reader's position.
const READER: &str = "outbox";

/// What is told about one record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// `shadow.event.applied`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Number of the record; readers drop what they know.
    pub log_seq: i64,
    /// When it was committed.
    pub at: Timestamp,
    /// Account of its book.
    pub account_id: Option<String>,
    /// Currency of its book.
    pub currency: Option<String>,
    /// The event, correction, statement … it is about.
    pub subject: Option<String>,
    /// Trace id.
    pub trace_id: Option<String>,
    /// Content of the record.
    pub data: serde_json::Value,
}

/// A delivery under way.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Where the outbox delivers; wired by `app` (topics, webhooks).
pub trait Outlet: Send + Sync + 'static {
    /// Hands over in order; answers when all of it was taken. After an error the same ones come
    /// again.
    fn deliver<'a>(&'a self, told: &'a [Told]) -> Delivering<'a>;
}

/// Runs until draining begins.
pub async fn run(shadow: Shadow, outlet: &dyn Outlet, shutdown: Shutdown) {
    let mut wait = LOOK;
    loop {
        match step(&shadow, outlet).await {
            Ok(0) => wait = LOOK,
            Ok(_) => {
                wait = LOOK;
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "the outbox waits");
                wait = (wait * 2).min(BACKOFF_MAX);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.drain() => return,
        }
    }
}

/// Why a page was not told.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The store.
    #[error(transparent)]
    Store(#[from] WriteError),
    /// The outlet did not take it.
    #[error("not delivered: {0}")]
    Outlet(String),
}

/// Tells one page; answers how many records were passed.
///
/// # Errors
/// [`OutboxError`]; the same page comes again.
pub async fn step(shadow: &Shadow, outlet: &dyn Outlet) -> Result<usize, OutboxError> {
    let position = position(shadow).await?;
    let text = "SELECT log_seq, recorded_at, account_id, currency, subject, trace_id, emits, body
        FROM shadow_log WHERE log_seq > $1 ORDER BY log_seq LIMIT $2";
    let rows = shadow
        .db()
        .fetch_all(query(text).bind(position).bind(PAGE))
        .await
        .map_err(WriteError::from)?;
    let mut told = Vec::new();
    let mut last = position;
    for row in &rows {
        let one = tell(row).map_err(WriteError::from)?;
        last = one.1;
        told.extend(one.0);
    }
    if rows.is_empty() {
        return Ok(0);
    }
    failpoint::reach("outbox.before_publish");
    if !told.is_empty() {
        outlet.deliver(&told).await.map_err(OutboxError::Outlet)?;
    }
    failpoint::reach("outbox.after_publish");
    save(shadow, last).await?;
    Ok(rows.len())
}

fn tell(
    row: &florin_platform::sql::Row,
) -> Result<(Option<Told>, i64), florin_platform::sql::SqlError> {
    let log_seq = row.get("log_seq")?;
    let Some(kind) = row.get::<Option<String>>("emits")? else {
        return Ok((None, log_seq));
    };
    let body: String = row.get("body")?;
    let told = Told {
        kind,
        log_seq,
        at: Timestamp(row.get("recorded_at")?),
        account_id: row.get("account_id")?,
        currency: row.get("currency")?,
        subject: row.get("subject")?,
        trace_id: row.get("trace_id")?,
        data: serde_json::from_str(&body).unwrap_or(serde_json::Value::Null),
    };
    Ok((Some(told), log_seq))
}

/// The last record that was told.
///
/// # Errors
/// The store's.
pub async fn position(shadow: &Shadow) -> Result<i64, WriteError> {
    let text = "SELECT log_seq FROM shadow_readers WHERE name = $1";
    let row = shadow.db().fetch_optional(query(text).bind(READER)).await?;
    Ok(row.map_or(Ok(0), |row| row.get("log_seq"))?)
}

async fn save(shadow: &Shadow, log_seq: i64) -> Result<(), WriteError> {
    shadow
        .write(move |session| {
            Box::pin(async move {
                let upsert = "INSERT INTO shadow_readers (name, log_seq) VALUES ($1, $2)
                    ON CONFLICT (name) DO UPDATE SET log_seq = excluded.log_seq";
                let row = query(upsert).bind(READER).bind(log_seq);
                session.tx().execute(row).await?;
                Ok(())
            })
        })
        .await
}
