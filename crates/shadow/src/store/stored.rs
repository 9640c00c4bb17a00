//! Events as the tables hold them.

use florin_platform::sql::Row;

use super::error::WriteError;
use super::rows;
use crate::model::{BookId, Direction, Event, Reason, State};

/// A recorded event with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its content.
    pub event: Event,
    /// Its state now.
    pub state: State,
    /// Why it is not applied.
    pub reason: Option<Reason>,
    /// Only a redrive or a reject can change the state.
    pub is_final: bool,
    /// Until when it is open, microseconds.
    pub deadline: Option<i64>,
    /// A correction of ours.
    pub correction: bool,
    /// The event that a correction is about.
    pub cause: Option<String>,
    /// Log record that brought it.
    pub log_seq: i64,
    /// Log record that ended its grace.
    pub final_seq: Option<i64>,
    /// When it was recorded, microseconds.
    pub recorded_at: i64,
}

/// The columns of [`Stored`], for statements that join `shadow_entries AS e` and
/// `shadow_books AS b`.
pub const COLUMNS: &str = "b.account_id, b.currency, e.ts, e.event_id, e.log_seq, e.recorded_at,
    e.m0, e.m1, e.m2, e.state, e.reason, e.is_open, e.deadline, e.final_seq, e.correction,
    e.cause, e.reference, e.description, e.source, e.sequence";

impl Stored {
    /// The book's name row by row: a join could read all books.
    pub(crate) const SELECT: &str = "SELECT
        (SELECT b.account_id FROM shadow_books AS b WHERE b.book_id = e.book_id) AS account_id,
        (SELECT b.currency FROM shadow_books AS b WHERE b.book_id = e.book_id) AS currency,
        e.ts, e.event_id, e.log_seq, e.recorded_at, e.m0, e.m1, e.m2, e.state, e.reason,
        e.is_open, e.deadline, e.final_seq, e.correction, e.cause, e.reference, e.description,
        e.source, e.sequence FROM shadow_entries AS e WHERE e.event_id IN";

    /// Reads a row with [`COLUMNS`].
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub fn from_row(row: &Row) -> Result<Self, WriteError> {
        let signed = rows::money(row)?;
        let (direction, amount) = match signed < 0 {
            true => (Direction::Debit, -signed),
            false => (Direction::Credit, signed),
        };
        Ok(Self {
            event: Event {
                event_id: row.get("event_id")?,
                account_id: row.get("account_id")?,
                direction,
                amount,
                timestamp: row.get("ts")?,
                currency: row.get("currency")?,
                reference: row.get("reference")?,
                description: row.get("description")?,
                source: row.get("source")?,
                sequence: row.get("sequence")?,
            },
            state: rows::state(&row.get::<String>("state")?)?,
            reason: rows::reason(row.get("reason")?)?,
            is_final: !row.get::<bool>("is_open")?,
            deadline: row.get("deadline")?,
            correction: row.get("correction")?,
            cause: row.get("cause")?,
            log_seq: row.get("log_seq")?,
            final_seq: row.get("final_seq")?,
            recorded_at: row.get("recorded_at")?,
        })
    }

    /// The event's book.
    pub fn book(&self) -> BookId {
        self.event.book()
    }
}
