//! Large books, read in part: the outlines of their blocks at first, and the slots of a block
//! when something happens to it (contract F1).

use florin_platform::sql::{Query, Row, Tx, query};

use super::cache::{SLOTS, slot_of};
use super::error::WriteError;
use super::rows;
use super::session::Session;
use crate::model::amount::join;
use crate::model::away::Outline;
use crate::model::block::{Block, Slot, Sums};
use crate::model::{Book, BookId, Key};

const OUTLINES: &str = "SELECT block, first_ts, first_event, last_ts, last_event, entries, m0, m1,
    m2, applied, is_open, l0, l1, l2, g0, g1, g2, final_ts, final_event FROM shadow_blocks
    WHERE book_id = $1 ORDER BY first_ts, first_event";

/// Separate reads up to which blocks are read by themselves; beyond it everything between the
/// first and the last is read at once.
const READS_MAX: usize = 64;
/// Blocks of one read.
const BLOCKS_OF_READ: usize = 40;

const DAMAGED: WriteError = WriteError::Damaged("blocks of a book");

/// Reads the outlines of a book of so many events, and the slots of its last block and of those
/// with something open. False, with nothing changed: the tables do not have them, and the book
/// is to be read whole.
///
/// # Errors
/// As [`Tx::fetch_all`]; [`WriteError::Damaged`] for rows that contradict each other.
pub async fn outline(tx: &mut Tx, book: &mut Book, events: i64) -> Result<bool, WriteError> {
    let rows = tx.fetch_all(query(OUTLINES).bind(book.number)).await?;
    let mut blocks = Vec::with_capacity(rows.len());
    let mut open = Vec::new();
    let mut told = 0;
    for (at, row) in rows.iter().enumerate() {
        let Some(block) = block_of(row)? else {
            return Ok(false);
        };
        told += row.get::<i64>("entries")?;
        if row.get::<Option<bool>>("is_open")? != Some(false) || at + 1 == rows.len() {
            open.push(at);
        }
        blocks.push(block);
    }
    if told != events {
        return Ok(false);
    }
    for block in blocks {
        let put = book.put_away(block);
        put.map_err(|_| WriteError::Damaged("sums of a book"))?;
    }
    bring(tx, book, &open).await?;
    Ok(true)
}

/// `None` for a row of an older version.
fn block_of(row: &Row) -> Result<Option<Block>, WriteError> {
    let columns = |names: [&str; 3]| -> Result<Option<i128>, WriteError> {
        let [a, b, c] = names.map(|name| row.get::<Option<i64>>(name));
        let (Some(a), Some(b), Some(c)) = (a?, b?, c?) else {
            return Ok(None);
        };
        join([a, b, c]).map(Some).ok_or(DAMAGED)
    };
    let (low, gross) = (columns(["l0", "l1", "l2"])?, columns(["g0", "g1", "g2"])?);
    let applied: Option<i64> = row.get("applied")?;
    let (Some(low), Some(gross), Some(applied)) = (low, gross, applied) else {
        return Ok(None);
    };
    let key = |ts: i64, event: String| Key::new(ts, event);
    let final_ts: Option<i64> = row.get("final_ts")?;
    let final_event: Option<String> = row.get("final_event")?;
    let count = |n: i64| usize::try_from(n).map_err(|_| DAMAGED);
    let outline = Outline {
        first: key(row.get("first_ts")?, row.get("first_event")?),
        last: key(row.get("last_ts")?, row.get("last_event")?),
        events: count(row.get("entries")?)?,
        applied: count(applied)?,
        gross,
        last_applied: final_ts.zip(final_event).map(|(ts, event)| key(ts, event)),
    };
    let counted = Sums {
        sum: rows::money(row)?,
        low,
    };
    Ok(Some(Block::away(row.get("block")?, outline, counted)))
}

impl Session {
    /// Brings the parts of a loaded book into memory in which these events stand or will stand:
    /// before they are looked up, put in or decided upon.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub(crate) async fn bring<'a>(
        &mut self,
        id: &BookId,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<(), WriteError> {
        let missing = match self.core.books.get(id) {
            Some(cached) => cached.book.missing(keys),
            None => Vec::new(),
        };
        if missing.is_empty() {
            return Ok(());
        }
        let (tx, books) = self.tx_and_books();
        match books.get_mut(id) {
            Some(cached) => bring(tx, &mut cached.book, &missing).await,
            None => Ok(()),
        }
    }
}

/// Reads the slots of these blocks (places, ascending) that are away.
///
/// # Errors
/// As [`outline`].
pub async fn bring(tx: &mut Tx, book: &mut Book, wanted: &[usize]) -> Result<(), WriteError> {
    for run in runs(book, wanted) {
        let mut slots = read(tx, book, &run).await?.into_iter().peekable();
        for at in run {
            let block = &book.blocks()[at];
            let last = block.outline().ok_or(DAMAGED)?.last;
            let mut own: Vec<Slot> = Vec::new();
            while let Some(slot) = slots.next_if(|slot| slot.key <= last) {
                own.push(slot);
            }
            if block.is_away() && !book.bring(at, own) {
                return Err(DAMAGED);
            }
        }
    }
    Ok(())
}

/// Neighbours are read together.
fn runs(book: &Book, wanted: &[usize]) -> Vec<Vec<usize>> {
    let mut away: Vec<usize> = Vec::with_capacity(wanted.len());
    away.extend(wanted.iter().filter(|&&at| book.blocks()[at].is_away()));
    if away.len() > READS_MAX
        && let (Some(&first), Some(&last)) = (away.first(), away.last())
    {
        away = (first..=last).collect();
    }
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for at in away {
        match runs.last_mut() {
            Some(run) if run.last() == Some(&(at - 1)) && run.len() < BLOCKS_OF_READ => {
                run.push(at);
            }
            _ => runs.push(vec![at]),
        }
    }
    runs
}

async fn read(tx: &mut Tx, book: &Book, run: &[usize]) -> Result<Vec<Slot>, WriteError> {
    let outline = |at: Option<&usize>| at.and_then(|&at| book.blocks()[at].outline());
    let (first, last) = (outline(run.first()), outline(run.last()));
    let (first, last) = (first.ok_or(DAMAGED)?.first, last.ok_or(DAMAGED)?.last);
    let text = format!(
        "{SLOTS} WHERE book_id = $1 AND (ts, event_id) >= ($2, $3) AND (ts, event_id) <= ($4, $5)
         ORDER BY ts, event_id"
    );
    let wanted = Query::assembled(text)
        .bind(book.number)
        .bind(first.timestamp)
        .bind(first.event_id)
        .bind(last.timestamp)
        .bind(last.event_id);
    let rows = tx.fetch_all(wanted).await?;
    rows.iter().map(slot_of).collect()
}
