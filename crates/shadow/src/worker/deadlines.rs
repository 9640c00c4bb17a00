//! Deadlines: what is due is decided at most a second later, and at start (contract A4).

use std::time::Duration;

use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::query;

use crate::model::BookId;
use crate::store::{Shadow, WriteError};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Deadlines that one commit works: the intake waits for it, single events among them, so that
/// it is some hundredths of a second and not tenths.
const EVENTS_MAX: i64 = 1_000;

/// Runs until draining begins.
pub async fn run(shadow: Shadow, shutdown: Shutdown) {
    let mut turns = shutdown.turns(LOOK);
    while turns.next().await {
        if let Err(error) = work_all(&shadow).await {
            tracing::warn!(%error, "deadlines wait for the store");
        }
    }
}

/// Works everything that is due now; answers how many events became final.
///
/// # Errors
/// The store's; what was not worked stays due.
pub async fn work_all(shadow: &Shadow) -> Result<usize, WriteError> {
    let mut worked = 0;
    loop {
        let now = shadow.clock().wall_micros();
        let books = due(shadow, now).await?;
        if books.is_empty() {
            metrics::gauge!("shadow_deadline_lag_seconds").set(0.0);
            return Ok(worked);
        }
        let done = shadow
            .write_at("deadline.mid", move |session| {
                Box::pin(async move {
                    let mut worked = 0;
                    session.load(books.iter().cloned()).await?;
                    for book in &books {
                        worked += session.expire(book);
                    }
                    Ok(worked)
                })
            })
            .await?;
        if done == 0 {
            // The rows say due and the memory does not: the clock stands behind the log's time.
            return Ok(worked);
        }
        worked += done;
    }
}

/// Books with something due, those with the oldest deadlines.
async fn due(shadow: &Shadow, now: i64) -> Result<Vec<BookId>, WriteError> {
    // Along the index: what is due beyond the bound is not even looked at.
    let text = "SELECT b.account_id, b.currency, d.deadline
        FROM (SELECT book_id, deadline FROM shadow_entries WHERE is_open AND deadline <= $1
            ORDER BY deadline LIMIT $2) AS d
        JOIN shadow_books AS b ON b.book_id = d.book_id";
    let rows = shadow
        .db()
        .fetch_all(query(text).bind(now).bind(EVENTS_MAX))
        .await?;
    let mut oldest = now;
    let mut books = Vec::with_capacity(rows.len());
    for row in &rows {
        oldest = oldest.min(row.get("deadline")?);
        books.push(BookId::new(
            row.get::<String>("account_id")?,
            row.get::<String>("currency")?,
        ));
    }
    books.sort();
    books.dedup();
    if !books.is_empty() {
        let lag = Duration::from_micros((now - oldest).unsigned_abs());
        metrics::gauge!("shadow_deadline_lag_seconds").set(lag.as_secs_f64());
    }
    Ok(books)
}
