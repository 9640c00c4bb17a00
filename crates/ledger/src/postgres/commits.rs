//! The commits of a ledger in PostgreSQL, read back one by one in their order, as the journal of
//! an embedded ledger has them: for verification and for moving a ledger.
//!
//! Boundary: reads what was written, judges nothing. A commit is its batch and the notes of the
//! same ledger time; ledger time is another one for every commit.

use std::collections::VecDeque;

use florin_base::Timestamp;
use sqlx::{PgConnection, Row as _};

use super::rows;
use crate::{
    model::Record,
    record::codec::{Commit, Header, decode_note},
    rules::book::Note,
};

/// Batches read at a time.
const BATCHES: i64 = 128;
/// Rows of notes read at a time.
const NOTES: i64 = 128;

/// Why a commit could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitsError {
    /// The database or the way to it.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A month is in a file and not in the database.
    #[error(
        "records {first_seq} to {last_seq} are archived in {file}; `florin ledger archive --restore` brings them back"
    )]
    Archived {
        /// Its first record.
        first_seq: u64,
        /// Its last record.
        last_seq: u64,
        /// Where it was put.
        file: String,
    },
    /// Rows are not what the engine wrote; the first record that is missing or wrong.
    #[error("record {seq}: {what}")]
    Damaged {
        /// Number of the record.
        seq: u64,
        /// What is wrong.
        what: String,
    },
}

struct Batch {
    number: u64,
    first_seq: u64,
    recorded_at: i64,
    records: Vec<Record>,
}

struct Notes {
    recorded_at: i64,
    notes: Vec<Note>,
}

/// Walks the commits of a ledger after a place in it.
pub(crate) struct Commits {
    /// Last batch, record and note handed out.
    batch: u64,
    seq: u64,
    note: u64,
    batches: VecDeque<Batch>,
    notes: VecDeque<Notes>,
    /// Last batch and note that were read ahead.
    batch_read: u64,
    note_read: u64,
    batches_ended: bool,
    notes_ended: bool,
}

impl Commits {
    /// Starts after a batch, a record and a note; zeros for the beginning.
    pub(crate) fn after(batch: u64, seq: u64, note: u64) -> Self {
        Self {
            batch,
            seq,
            note,
            batches: VecDeque::new(),
            notes: VecDeque::new(),
            batch_read: batch,
            note_read: note,
            batches_ended: false,
            notes_ended: false,
        }
    }

    /// The next commit; `None` at the end. All calls must see the same state of the database.
    pub(crate) async fn next(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<Option<Commit>, CommitsError> {
        if self.batches.is_empty() && !self.batches_ended {
            self.read_batches(connection).await?;
        }
        if self.notes.is_empty() && !self.notes_ended {
            self.read_notes(connection).await?;
        }
        let next_batch = self.batches.front().map(|batch| batch.recorded_at);
        let next_notes = self.notes.front().map(|notes| notes.recorded_at);
        let at = match (next_batch, next_notes) {
            (None, None) => return Ok(None),
            (Some(a), Some(b)) => a.min(b),
            (Some(at), None) | (None, Some(at)) => at,
        };
        let mut records = Vec::new();
        if next_batch == Some(at)
            && let Some(batch) = self.batches.pop_front()
        {
            self.batch = batch.number;
            records = batch.records;
        }
        let mut notes = Vec::new();
        while let Some(more) = self.notes_of(connection, at).await? {
            notes.extend(more);
        }
        let header = Header {
            batch: self.batch,
            first_seq: self.seq + 1,
            recorded_at: Timestamp(at),
            records: records.len() as u32,
            first_note: self.note + 1,
            notes: notes.len() as u32,
        };
        self.seq += records.len() as u64;
        self.note += notes.len() as u64;
        Ok(Some(Commit {
            header,
            records,
            notes,
            offsets: Vec::new(),
        }))
    }

    /// The next row of notes, if it is of a ledger time.
    async fn notes_of(
        &mut self,
        connection: &mut PgConnection,
        at: i64,
    ) -> Result<Option<Vec<Note>>, CommitsError> {
        if self.notes.is_empty() && !self.notes_ended {
            self.read_notes(connection).await?;
        }
        let is_same = self.notes.front().is_some_and(|row| row.recorded_at == at);
        Ok(match is_same {
            true => self.notes.pop_front().map(|row| row.notes),
            false => None,
        })
    }

    async fn read_batches(&mut self, connection: &mut PgConnection) -> Result<(), CommitsError> {
        let found: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT batch, first_seq, recorded_at FROM batches WHERE batch > $1
             ORDER BY batch LIMIT $2",
        )
        .bind(self.batch_read as i64)
        .bind(BATCHES)
        .fetch_all(&mut *connection)
        .await?;
        self.batches_ended = (found.len() as i64) < BATCHES;
        let (Some(first), Some(last)) = (found.first(), found.last()) else {
            return Ok(());
        };
        self.batch_read = last.0 as u64;
        let chunks = sqlx::query(
            "SELECT first_seq, recorded_at, batch, entries FROM journal
             WHERE first_seq >= $1 AND recorded_at >= $2 AND recorded_at <= $3
               AND first_seq < COALESCE(
                    (SELECT first_seq FROM batches WHERE batch = $4), 9223372036854775807)
             ORDER BY first_seq",
        )
        .bind(first.1)
        .bind(first.2)
        .bind(last.2)
        .bind(last.0 + 1)
        .fetch_all(&mut *connection)
        .await?;
        for (number, first_seq, recorded_at) in found {
            self.batches.push_back(Batch {
                number: number as u64,
                first_seq: first_seq as u64,
                recorded_at,
                records: Vec::new(),
            });
        }
        let mut batches = self.batches.iter_mut();
        let mut batch = batches.next();
        for row in &chunks {
            let (first_seq, recorded_at): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let number: i64 = row.try_get(2)?;
            let entries: &[u8] = row.try_get(3)?;
            let (first_seq, number) = (first_seq as u64, number as u64);
            while batch.as_ref().is_some_and(|batch| batch.number < number) {
                batch = batches.next();
            }
            let damaged = |what: String| CommitsError::Damaged {
                seq: first_seq,
                what,
            };
            let batch = batch
                .as_mut()
                .filter(|batch| batch.number == number && batch.recorded_at == recorded_at)
                .ok_or_else(|| {
                    damaged(format!("its chunk is of batch {number}, which is unknown"))
                })?;
            if first_seq != batch.first_seq + batch.records.len() as u64 {
                return Err(damaged("records before it are missing".into()));
            }
            let records = rows::records(entries, first_seq, number, recorded_at);
            batch
                .records
                .extend(records.map_err(|e| damaged(e.to_string()))?);
        }
        let empty = self.batches.iter().find(|batch| batch.records.is_empty());
        match empty.map(|batch| batch.first_seq) {
            Some(seq) => Err(absent(connection, seq).await?),
            None => Ok(()),
        }
    }

    async fn read_notes(&mut self, connection: &mut PgConnection) -> Result<(), CommitsError> {
        let found = sqlx::query(
            "SELECT first_note, notes, recorded_at, entries FROM notes WHERE first_note > $1
             ORDER BY first_note LIMIT $2",
        )
        .bind(self.note_read as i64)
        .bind(NOTES)
        .fetch_all(connection)
        .await?;
        self.notes_ended = (found.len() as i64) < NOTES;
        for row in &found {
            let (first, recorded_at): (i64, i64) = (row.try_get(0)?, row.try_get(2)?);
            let entries: &[u8] = row.try_get(3)?;
            let damaged = |what: &dyn std::fmt::Display| CommitsError::Damaged {
                seq: self.seq + 1,
                what: format!("note {first}: {what}"),
            };
            if first as u64 != self.note_read + 1 {
                return Err(damaged(&"notes before it are missing"));
            }
            let notes: Result<Vec<Note>, _> = rows::bodies(entries)
                .map(|body| decode_note(body?))
                .collect();
            let notes = notes.map_err(|e| damaged(&e))?;
            self.note_read += notes.len() as u64;
            self.notes.push_back(Notes { recorded_at, notes });
        }
        Ok(())
    }
}

/// Why a record is not in the journal.
async fn absent(connection: &mut PgConnection, seq: u64) -> Result<CommitsError, sqlx::Error> {
    let archive: Option<(i64, i64, String)> = sqlx::query_as(
        "SELECT first_seq, last_seq, file FROM archives WHERE first_seq <= $1 AND last_seq >= $1",
    )
    .bind(seq as i64)
    .fetch_optional(connection)
    .await?;
    Ok(match archive {
        Some((first, last, file)) => CommitsError::Archived {
            first_seq: first as u64,
            last_seq: last as u64,
            file,
        },
        None => CommitsError::Damaged {
            seq,
            what: "it is not in the journal".into(),
        },
    })
}
