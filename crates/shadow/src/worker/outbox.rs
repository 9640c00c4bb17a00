//! The outbox: the log itself. A reader with a position of its own tells the outside about every
//! record that `emits` something, in the order of the log, at least once (contract E).
//!
//! Each place that is told has a reader of its own, so that one that is away holds back no
//! other. Of several processes one tells a place at a time: the holder of its lease.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use florin_base::Timestamp;
use florin_platform::bus::Lease;
use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::query;
use serde::Serialize;

use crate::store::{Shadow, WriteError, failpoint};

/// Records that are read at a time.
const PAGE: i64 = 4_000;
/// Time between two looks when there is nothing to tell.
const LOOK: Duration = Duration::from_millis(100);
/// Longest wait after a failed delivery.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Time between two looks whether anybody wants to be told.
const UNWANTED: Duration = Duration::from_secs(1);

/// The readers, by the name of their position.
pub mod readers {
    /// Tells webhooks.
    pub const WEBHOOKS: &str = "outbox";
    /// Publishes to topics.
    pub const TOPICS: &str = "topics";
}

/// What is told about one record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// `shadow.event.applied`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Kind of the record, which says what `data` is; not told.
    #[serde(skip)]
    pub record: String,
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

/// What [`Outlet::pass`] answers.
pub type Passing<'a> = Pin<Box<dyn Future<Output = Result<Option<i64>, String>> + Send + 'a>>;

/// A delivery under way.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// The number of the newest record, when it is asked for.
pub type End<'a> = Pin<Box<dyn Future<Output = Result<i64, String>> + Send + 'a>>;

/// Where a reader delivers; wired by `app` (topics, webhooks).
pub trait Outlet: Send + Sync + 'static {
    /// False while nobody is there to be told: the log is read when somebody is.
    fn wants(&self) -> bool {
        true
    }

    /// Nobody is there, and whoever comes is told only what is recorded after that: answers the
    /// end of the log, asked for while nobody can come. `None`: the log is read.
    fn pass<'a>(&'a self, _end: End<'a>) -> Passing<'a> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Shuts out whoever delivered there before; called when the lease is new and after every
    /// failure.
    fn take_over(&self) -> Delivering<'_> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Hands over in order; answers when all of it was taken. After an error the same ones come
    /// again.
    fn deliver<'a>(&'a self, told: &'a [Told]) -> Delivering<'a>;
}

/// Runs until draining begins.
pub async fn run(
    shadow: Shadow,
    reader: &'static str,
    outlet: &dyn Outlet,
    mut lease: Lease,
    shutdown: Shutdown,
) {
    let clock = Arc::clone(shadow.clock());
    let work = async {
        loop {
            lease.acquire(|| clock.wall_micros()).await;
            tell_all(&shadow, reader, outlet, &mut lease).await;
            tracing::info!(reader, "another process tells what the shadow log says");
        }
    };
    tokio::select! {
        () = work => {}
        () = shutdown.drain() => {}
    }
    lease.release(clock.wall_micros()).await;
}

/// Tells what is recorded from now on, as long as the lease is held.
async fn tell_all(shadow: &Shadow, reader: &'static str, outlet: &dyn Outlet, lease: &mut Lease) {
    let mut wait = LOOK;
    let mut taken_over = false;
    loop {
        let now = shadow.clock().wall_micros();
        if !lease.check(now).await.unwrap_or(false) {
            return;
        }
        if !outlet.wants() {
            tokio::time::sleep(UNWANTED).await;
            continue;
        }
        let stepped = match taken_over {
            true => guarded(lease, shadow, advance(shadow, reader, outlet)).await,
            false => {
                let taken = guarded(lease, shadow, outlet.take_over()).await;
                // Only now is it sure that nobody succeeded before the others were shut out.
                if !lease.beat(now).await.unwrap_or(false) {
                    return;
                }
                taken.map(|taken| taken.map(|()| Some(1)).map_err(OutboxError::Outlet))
            }
        };
        match stepped {
            None => return,
            Some(Ok(told)) => {
                taken_over = true;
                wait = LOOK;
                match told {
                    Some(0) => {}
                    Some(_) => continue,
                    None => wait = UNWANTED,
                }
            }
            Some(Err(error)) => {
                tracing::warn!(reader, %error, "the outbox waits");
                taken_over = false;
                wait = (wait * 2).min(BACKOFF_MAX);
            }
        }
        tokio::time::sleep(wait.min(lease.rhythm().unwrap_or(wait))).await;
    }
}

/// Does something that may take long, and holds on to the lease meanwhile; `None`: it is lost.
async fn guarded<T>(
    lease: &mut Lease,
    shadow: &Shadow,
    work: impl Future<Output = T>,
) -> Option<T> {
    let Some(rhythm) = lease.rhythm() else {
        return Some(work.await);
    };
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            () = tokio::time::sleep(rhythm) => {}
        }
        if !lease
            .check(shadow.clock().wall_micros())
            .await
            .unwrap_or(false)
        {
            return None;
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

/// Tells one page and answers how many records were passed; `None`: nobody is there, and the
/// position stands at the end of the log.
///
/// # Errors
/// As [`step`].
pub async fn advance(
    shadow: &Shadow,
    reader: &'static str,
    outlet: &dyn Outlet,
) -> Result<Option<usize>, OutboxError> {
    let end = Box::pin(async { end_of_log(shadow).await.map_err(|error| error.to_string()) });
    let Some(end) = outlet.pass(end).await.map_err(OutboxError::Outlet)? else {
        return step(shadow, reader, outlet).await.map(Some);
    };
    if end > position(shadow, reader).await? {
        save(shadow, reader, end).await?;
    }
    Ok(None)
}

async fn end_of_log(shadow: &Shadow) -> Result<i64, WriteError> {
    let head = query("SELECT log_seq FROM shadow_head WHERE one = 1");
    let row = shadow.db().fetch_optional(head).await?;
    Ok(row.ok_or(WriteError::Damaged("head"))?.get("log_seq")?)
}

/// Tells one page; answers how many records were passed.
///
/// # Errors
/// [`OutboxError`]; the same page comes again.
pub async fn step(
    shadow: &Shadow,
    reader: &'static str,
    outlet: &dyn Outlet,
) -> Result<usize, OutboxError> {
    let position = position(shadow, reader).await?;
    let text = "SELECT log_seq, recorded_at, kind, account_id, currency, subject, trace_id, emits,
        body FROM shadow_log WHERE log_seq > $1 ORDER BY log_seq LIMIT $2";
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
    save(shadow, reader, last).await?;
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
        record: row.get("kind")?,
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

/// The last record that a reader has told.
///
/// # Errors
/// The store's.
pub async fn position(shadow: &Shadow, reader: &str) -> Result<i64, WriteError> {
    let text = "SELECT log_seq FROM shadow_readers WHERE name = $1";
    let row = shadow.db().fetch_optional(query(text).bind(reader)).await?;
    Ok(row.map_or(Ok(0), |row| row.get("log_seq"))?)
}

async fn save(shadow: &Shadow, reader: &'static str, log_seq: i64) -> Result<(), WriteError> {
    shadow
        .write(move |session| {
            Box::pin(async move {
                let upsert = "INSERT INTO shadow_readers (name, log_seq) VALUES ($1, $2)
                    ON CONFLICT (name) DO UPDATE SET log_seq = excluded.log_seq
                    WHERE shadow_readers.log_seq < excluded.log_seq";
                let row = query(upsert).bind(reader).bind(log_seq);
                session.tx().execute(row).await?;
                Ok(())
            })
        })
        .await
}
