//! Deadlines: what is due is decided at most a second later, and at start (contract A4).

use std::time::Duration;

use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::query;

use crate::model::BookId;
use crate::store::{Shadow, WriteError};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Books whose deadlines one commit works.
const BOOKS_MAX: i64 = 500;

/// Runs until draining begins.
pub async fn run(shadow: Shadow, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.drain() => return,
        }
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

/// Books with something due, those with the oldest deadline first.
async fn due(shadow: &Shadow, now: i64) -> Result<Vec<BookId>, WriteError> {
    let text = "SELECT b.account_id, b.currency, MIN(e.deadline) AS oldest
        FROM shadow_entries AS e JOIN shadow_books AS b ON b.book_id = e.book_id
        WHERE e.is_open AND e.deadline <= $1
        GROUP BY b.account_id, b.currency ORDER BY oldest LIMIT $2";
    let rows = shadow
        .db()
        .fetch_all(query(text).bind(now).bind(BOOKS_MAX))
        .await?;
    let mut books = Vec::with_capacity(rows.len());
    for row in &rows {
        books.push(BookId::new(
            row.get::<String>("account_id")?,
            row.get::<String>("currency")?,
        ));
    }
    if let Some(first) = rows.first() {
        let late = now - first.get::<i64>("oldest")?;
        let lag = Duration::from_micros(late.unsigned_abs());
        metrics::gauge!("shadow_deadline_lag_seconds").set(lag.as_secs_f64());
    }
    Ok(books)
}
