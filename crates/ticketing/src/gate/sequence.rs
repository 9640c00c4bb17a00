//! Changes to an event's tickets are numbered, so that a scanner can ask for what is new.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Tx, query};

/// The number of the next change. Changes of one event wait for each other, so that whoever sees
/// a number has seen all smaller ones.
///
/// # Errors
/// The store's.
pub async fn next(tx: &mut Tx, event_id: &str) -> Result<i64, Problem> {
    let text = "INSERT INTO tk_gates (event_id, sequence) VALUES ($1, 1)
        ON CONFLICT (event_id) DO UPDATE SET sequence = tk_gates.sequence + 1
        RETURNING sequence";
    let row = tx.fetch_optional(query(text).bind(event_id)).await?;
    let row = row.ok_or_else(|| Problem::internal("a sequence gave no number"))?;
    Ok(row.get("sequence")?)
}

/// The number of the last change; 0 when there was none.
///
/// # Errors
/// The store's.
pub async fn last(db: &Db, event_id: &str) -> Result<i64, Problem> {
    let text = "SELECT sequence FROM tk_gates WHERE event_id = $1";
    let row = db.fetch_optional(query(text).bind(event_id)).await?;
    Ok(row.map(|row| row.get("sequence")).transpose()?.unwrap_or(0))
}
