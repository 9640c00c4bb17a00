//! What is derived from the log, written in the transaction of the records themselves.

use std::collections::HashMap;

use florin_platform::sql::{Arg, SqlError, Tx, query};

use super::bulk::{self, Marks};
use super::cache::Cached;
use crate::model::amount::split;
use crate::model::book::Block;

const LOG: &str = "INSERT INTO shadow_log (log_seq, recorded_at, kind, account_id, currency,
    subject, actor, role, trace_id, emits, body, hash)";

const ENTRIES: &str = "INSERT INTO shadow_entries (book_id, ts, event_id, log_seq, recorded_at,
    m0, m1, m2, state, reason, is_open, deadline, first_state, first_reason, changed_seq,
    final_seq, correction, cause, reference, description, source, sequence)";

const STATES: &str = "UPDATE shadow_entries SET state = v.column2, reason = v.column3,
    is_open = v.column4, changed_seq = v.column5, final_seq = v.column6 FROM (";

const FINALS: &str = "UPDATE shadow_entries SET is_open = FALSE, final_seq = v.column2 FROM (";

const BY_EVENT: &str = ") AS v WHERE shadow_entries.event_id = v.column1";
/// The ids once more, so that the entries are found by them in whatever order tables are joined.
const BY_LISTED_EVENT: &str = ") AS v WHERE shadow_entries.event_id = v.column1
    AND shadow_entries.event_id = ANY($1)";

const CHANGES: &str = "INSERT INTO shadow_changes (event_id, log_seq, state, reason)";

const BOOKS: &str = "INSERT INTO shadow_books (book_id, account_id, currency, floor, policy,
    grace_ms, linked, events, entries, m0, m1, m2, last_ts, last_event, blocks, log_seq)";

const BOOKS_AGAIN: &str = "ON CONFLICT (book_id) DO UPDATE SET floor = excluded.floor,
    policy = excluded.policy, grace_ms = excluded.grace_ms, linked = excluded.linked,
    events = excluded.events, entries = excluded.entries, m0 = excluded.m0, m1 = excluded.m1,
    m2 = excluded.m2, last_ts = excluded.last_ts, last_event = excluded.last_event,
    blocks = excluded.blocks, log_seq = excluded.log_seq";

const BLOCKS: &str = "INSERT INTO shadow_blocks (book_id, block, first_ts, first_event, last_ts,
    last_event, entries, m0, m1, m2, applied, is_open, l0, l1, l2, g0, g1, g2, final_ts,
    final_event)";

const BLOCKS_AGAIN: &str = "ON CONFLICT (book_id, block) DO UPDATE SET
    first_ts = excluded.first_ts, first_event = excluded.first_event,
    last_ts = excluded.last_ts, last_event = excluded.last_event, entries = excluded.entries,
    m0 = excluded.m0, m1 = excluded.m1, m2 = excluded.m2, applied = excluded.applied,
    is_open = excluded.is_open, l0 = excluded.l0, l1 = excluded.l1, l2 = excluded.l2,
    g0 = excluded.g0, g1 = excluded.g1, g2 = excluded.g2, final_ts = excluded.final_ts,
    final_event = excluded.final_event";

/// Records, entries and what changed in them. A state that changed twice is written once.
pub(super) async fn write(
    tx: &mut Tx,
    marks: Marks,
    log: Vec<Vec<Arg>>,
    entries: Vec<Vec<Arg>>,
    states: Vec<Vec<Arg>>,
    finals: Vec<Vec<Arg>>,
    changes: Vec<Vec<Arg>>,
) -> Result<(), SqlError> {
    bulk::insert(tx, marks, LOG, "", log).await?;
    super::failpoint::reach("batch.mid");
    bulk::insert(tx, marks, ENTRIES, "", entries).await?;
    let by_event = match marks {
        Marks::Plain => BY_EVENT,
        Marks::Numbered => BY_LISTED_EVENT,
    };
    bulk::insert(tx, marks, STATES, by_event, last_of_each(states)).await?;
    bulk::insert(tx, marks, FINALS, by_event, finals).await?;
    bulk::insert(tx, marks, CHANGES, "", changes).await
}

fn last_of_each(rows: Vec<Vec<Arg>>) -> Vec<Vec<Arg>> {
    if rows.len() < 2 {
        return rows;
    }
    let mut last: HashMap<String, usize> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        if let Some(Arg::Text(Some(id))) = row.first() {
            last.insert(id.clone(), at);
        }
    }
    let mut keep: Vec<usize> = last.into_values().collect();
    keep.sort_unstable();
    let mut rows: Vec<Option<Vec<Arg>>> = rows.into_iter().map(Some).collect();
    keep.into_iter().filter_map(|at| rows[at].take()).collect()
}

/// The blocks of a book that changed; a book of one block needs none.
pub(super) async fn write_blocks(
    tx: &mut Tx,
    marks: Marks,
    cached: &mut Cached,
) -> Result<(), SqlError> {
    if cached.book.blocks().len() < 2 {
        return Ok(());
    }
    let dirty = cached.book.take_dirty();
    let number = cached.book.number;
    let wanted: Vec<usize> = match cached.blocks_stored {
        true => dirty,
        false => {
            // The numbers are those of this memory: what stands there has older ones.
            tx.execute(query("DELETE FROM shadow_blocks WHERE book_id = $1").bind(number))
                .await?;
            cached.blocks_stored = true;
            (0..cached.book.blocks().len()).collect()
        }
    };
    let blocks = cached.book.blocks();
    let rows = wanted
        .into_iter()
        .filter_map(|at| block_row(number, &blocks[at]))
        .collect();
    bulk::insert(tx, marks, BLOCKS, BLOCKS_AGAIN, rows).await
}

fn block_row(book: i64, block: &Block) -> Option<Vec<Arg>> {
    let outline = block.outline()?;
    let count = |n: usize| Arg::from(i64::try_from(n).unwrap_or(i64::MAX));
    let mut row: Vec<Arg> = vec![
        book.into(),
        block.number.into(),
        outline.first.timestamp.into(),
        outline.first.event_id.into(),
        outline.last.timestamp.into(),
        outline.last.event_id.into(),
        count(outline.events),
    ];
    row.extend(split(block.counted.sum).map(Arg::from));
    row.extend([count(outline.applied), block.is_open().into()]);
    row.extend(split(block.counted.low).map(Arg::from));
    row.extend(split(outline.gross).map(Arg::from));
    let (ts, event) = outline
        .last_applied
        .map(|k| (k.timestamp, k.event_id))
        .unzip();
    row.extend([Arg::from(ts), Arg::from(event)]);
    Some(row)
}

/// The rows of changed books.
pub(super) async fn write_books(
    tx: &mut Tx,
    marks: Marks,
    rows: Vec<Vec<Arg>>,
) -> Result<(), SqlError> {
    bulk::insert(tx, marks, BOOKS, BOOKS_AGAIN, rows).await
}

pub(super) fn book_row(cached: &Cached, log_seq: i64) -> Vec<Arg> {
    let book = &cached.book;
    let [m0, m1, m2] = split(book.balance());
    let last = book.last_entry();
    let count = |n: usize| Arg::from(i64::try_from(n).unwrap_or(i64::MAX));
    let blocks = match book.blocks().len() {
        0 | 1 => 0,
        many => many,
    };
    vec![
        book.number.into(),
        (&book.id.account_id).into(),
        (&book.id.currency).into(),
        book.rules.floor.map(|floor| floor.to_string()).into(),
        book.rules.policy.as_str().into(),
        (book.rules.grace_micros / 1_000).into(),
        book.linked.into(),
        count(book.len()),
        count(book.applied()),
        m0.into(),
        m1.into(),
        m2.into(),
        last.map(|key| key.timestamp).into(),
        last.map(|key| key.event_id.clone()).into(),
        count(blocks),
        log_seq.into(),
    ]
}
