//! Entries that leave `applied` undo their own match (contract D2).

use florin_platform::sql::query;

use super::record::{UNDO_FLIPPED, undo_in};
use super::service::Reconciler;
use crate::store::{Actor, WriteError};

/// Name of this reader of the log.
const READER: &str = "matching";
/// Matches undone in one commit.
const MOST: usize = 500;

/// Undoes what flipped since the last look.
pub(super) async fn undo(reconciler: &Reconciler) -> Result<usize, WriteError> {
    let db = reconciler.shadow().db();
    let position = query("SELECT log_seq FROM shadow_readers WHERE name = $1").bind(READER);
    let position: i64 = match db.fetch_optional(position).await? {
        Some(row) => row.get("log_seq")?,
        None => 0,
    };
    let head = crate::store::read::head(db).await?.log_seq;
    if head <= position {
        return Ok(0);
    }
    // Changed since, not counting now, and still in a match.
    let flipped = query(
        "SELECT DISTINCT i.match_number FROM shadow_changes AS c
         JOIN shadow_match_items AS i ON i.side = 'E' AND i.item = c.event_id AND i.is_taken
         JOIN shadow_entries AS e ON e.event_id = c.event_id AND e.state <> 'applied'
         WHERE c.log_seq > $1 AND c.log_seq <= $2",
    )
    .bind(position)
    .bind(head);
    let rows = db.fetch_all(flipped).await?;
    let mut numbers = Vec::with_capacity(rows.len());
    for row in rows {
        numbers.push(row.get::<i64>("match_number")?);
    }
    let count = numbers.len();
    for chunk in numbers.chunks(MOST) {
        let chunk = chunk.to_vec();
        reconciler
            .shadow()
            .write(move |session| {
                Box::pin(async move {
                    let actor = Actor::system("matching");
                    for number in chunk {
                        undo_in(session, number, &actor, UNDO_FLIPPED).await?;
                    }
                    Ok(())
                })
            })
            .await?;
    }
    reconciler
        .shadow()
        .write(move |session| {
            Box::pin(async move {
                let upsert = query(
                    "INSERT INTO shadow_readers (name, log_seq) VALUES ($1, $2)
                     ON CONFLICT (name) DO UPDATE SET log_seq = excluded.log_seq",
                )
                .bind(READER)
                .bind(head);
                session.tx().execute(upsert).await?;
                Ok(())
            })
        })
        .await?;
    Ok(count)
}
