//! Gauges of what the tables hold (contract E). Read beside the writer; one look costs a few
//! index reads, and once a minute one pass over the books.
//!
//! **Invariants.** A label never holds an id. A state without an event is told as 0.

use std::time::Duration;

use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::{SqlError, query};

use crate::model::State;
use crate::store::Shadow;

/// Time between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Looks between two passes over the books.
const PASS_EVERY: u32 = 4;

/// Measures for ever; ends when draining begins.
pub async fn run(shadow: Shadow, shutdown: Shutdown) {
    let mut turns = shutdown.turns(LOOK_EVERY);
    let mut looks = 0_u32;
    while turns.next().await {
        let whole = looks.is_multiple_of(PASS_EVERY);
        looks = looks.wrapping_add(1);
        if let Err(error) = look(&shadow, whole).await {
            tracing::debug!(%error, "the shadow ledger could not be measured");
        }
    }
}

/// One look; `whole` passes over the books too, to count what is applied.
///
/// # Errors
/// The store's.
pub async fn look(shadow: &Shadow, whole: bool) -> Result<(), SqlError> {
    let db = shadow.db();
    let head = query("SELECT log_seq, books FROM shadow_head WHERE one = 1");
    if let Some(row) = db.fetch_optional(head).await? {
        let (log_seq, books): (i64, i64) = (row.get("log_seq")?, row.get("books")?);
        metrics::gauge!("shadow_log_seq").set(log_seq as f64);
        metrics::gauge!("shadow_books").set(books as f64);
    }
    let unapplied = "SELECT state, COUNT(*) AS n FROM shadow_entries WHERE state <> 'applied'
        GROUP BY state";
    let mut counts = [State::Held, State::HeldForReview, State::Rejected]
        .map(|state| (state.as_str().to_owned(), 0_i64));
    for row in db.fetch_all(query(unapplied)).await? {
        let (state, count): (String, i64) = (row.get("state")?, row.get("n")?);
        for known in counts.iter_mut().filter(|known| known.0 == state) {
            known.1 = count;
        }
    }
    for (state, count) in counts {
        metrics::gauge!("shadow_event_state", "state" => state).set(count as f64);
    }
    let mut letters = ["parked", "redriven", "discarded"].map(|status| (status, 0_i64));
    let by_status = "SELECT status, COUNT(*) AS n FROM shadow_dead_letters GROUP BY status";
    for row in db.fetch_all(query(by_status)).await? {
        let (status, count): (String, i64) = (row.get("status")?, row.get("n")?);
        for known in letters.iter_mut().filter(|known| known.0 == status) {
            known.1 = count;
        }
    }
    for (status, count) in letters {
        metrics::gauge!("shadow_dead_letters", "status" => status).set(count as f64);
    }
    if whole {
        let applied = "SELECT CAST(COALESCE(SUM(entries), 0) AS BIGINT) AS n FROM shadow_books";
        if let Some(row) = db.fetch_optional(query(applied)).await? {
            let count: i64 = row.get("n")?;
            metrics::gauge!("shadow_event_state", "state" => State::Applied.as_str())
                .set(count as f64);
        }
    }
    Ok(())
}
