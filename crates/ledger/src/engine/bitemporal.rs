//! Balances and history on two time axes (contract A7).
//!
//! Nearly every record counts when it is recorded. Those that do not (back-dated ones, expiries)
//! stand once more in a table of their own, sorted by the time they count, with running sums
//! within each run. A balance at (E, R) is therefore: the totals recorded up to min(E, R), less
//! what of the odd ones is in them, plus the odd ones that count up to E and were recorded up to
//! R. Each part costs a few look-ups, whatever the length of the history.

use florin_base::Timestamp;

use super::{
    indexer::{backdated_key, entry_key},
    store::{BACKDATED, Delta, ENTRIES},
    view::{Entry, EntryPage, IndexView, ReadError},
};
use crate::{
    index::{Direction, RunView},
    model::{Slot, Totals},
};

/// Fewest records of a merged run for which descending into its inputs beats reading it.
const DESCEND_RECORDS: u64 = 512;

fn broken(error: impl std::fmt::Display) -> ReadError {
    ReadError::Store(error.to_string())
}

/// See [`IndexView::totals_at`].
pub(super) fn totals_at(
    view: &IndexView,
    slot: Slot,
    effective: Option<Timestamp>,
    recorded: Option<Timestamp>,
) -> Result<Totals, ReadError> {
    let through = recorded.map_or(Ok(view.seq), |r| view.seq_at(r))?;
    let Some(effective) = effective else {
        return view.totals_through(slot, through);
    };
    let regular_through = view.seq_at(effective)?.min(through);
    let all = view.totals_through(slot, regular_through)?;
    if !has_odd(view, slot)? {
        return Ok(all);
    }
    let odd_in_all = odd_sum(view, slot, i64::MAX, regular_through)?;
    let odd = odd_sum(view, slot, effective.0, through)?;
    Ok(Delta::from_totals(&all)
        .minus(odd_in_all)
        .plus(odd)
        .to_totals())
}

fn has_odd(view: &IndexView, slot: Slot) -> Result<bool, ReadError> {
    let table = view.store.index.view(BACKDATED);
    let found = table
        .predecessor(&backdated_key(slot, i64::MAX, u64::MAX))
        .map_err(broken)?;
    Ok(found.is_some())
}

/// Sum of the odd records that count up to `effective` and have `seq` up to `through`.
fn odd_sum(view: &IndexView, slot: Slot, effective: i64, through: u64) -> Result<Delta, ReadError> {
    let table = view.store.index.view(BACKDATED);
    let from = backdated_key(slot, i64::MIN, 0);
    let to = backdated_key(slot, effective, u64::MAX);
    let mut sum = Delta::default();
    let mut scan = table.range_in_memory(&from, &to, Direction::Forward);
    while let Some(row) = scan.next_record().map_err(broken)? {
        if seq_of(row.key) <= through {
            sum = sum.plus(Delta::take(row.value).map_err(broken)?);
        }
    }
    for run in table.runs() {
        sum = sum.plus(run_sum(&run, &from, &to, through)?);
    }
    Ok(sum)
}

fn run_sum(run: &RunView, from: &[u8], to: &[u8], through: u64) -> Result<Delta, ReadError> {
    let span = run.span();
    if span.first_seq > through {
        return Ok(Delta::default());
    }
    if span.last_seq <= through {
        let found = run.predecessor(to).map_err(broken)?;
        return found.map_or(Ok(Delta::default()), |row| {
            Delta::take(&row.sum).map_err(broken)
        });
    }
    let inputs = if run.records() >= DESCEND_RECORDS {
        run.children().map_err(broken)?
    } else {
        Vec::new()
    };
    let mut sum = Delta::default();
    if inputs.is_empty() {
        let mut scan = run.range(from, to, Direction::Forward);
        while let Some(row) = scan.next_record().map_err(broken)? {
            if seq_of(row.key) <= through {
                sum = sum.plus(Delta::take(row.value).map_err(broken)?);
            }
        }
    }
    for input in inputs {
        sum = sum.plus(run_sum(&input, from, to, through)?);
    }
    Ok(sum)
}

fn seq_of(key: &[u8]) -> u64 {
    key.get(12..20)
        .and_then(|b| b.try_into().ok())
        .map_or(u64::MAX, u64::from_be_bytes)
}

fn effective_of(key: &[u8]) -> i64 {
    key.get(4..12)
        .and_then(|b| b.try_into().ok())
        .map_or(i64::MIN, |b| (u64::from_be_bytes(b) ^ 1 << 63) as i64)
}

/// Entries ordered by (`effectiveAt`, `seq`), each with the totals on that axis after it.
pub(super) fn effective_entries(
    view: &IndexView,
    slot: Slot,
    page: &EntryPage,
) -> Result<Vec<Entry>, ReadError> {
    let last = view.seq.min(page.up_to_seq.unwrap_or(u64::MAX));
    let view = &view.as_of(last);
    let mut low = (page.from.map_or(i64::MIN, |t| t.0), 0);
    let mut high = (
        page.to.map_or(i64::MAX, |t| t.0.saturating_sub(1)),
        u64::MAX,
    );
    match page.after {
        Some((at, seq)) if page.descending => high = high.min((at, seq.saturating_sub(1))),
        Some((at, seq)) => low = low.max((at, seq + 1)),
        None => {}
    }
    if low > high {
        return Ok(Vec::new());
    }
    let mut merge = Merge::new(view, slot, low, high, page.descending)?;
    let mut found = Vec::new();
    while found.len() < page.limit {
        let Some(entry) = merge.next(view)? else {
            break;
        };
        found.push(entry);
    }
    // Totals on this axis: those before the earliest entry found, then one change after another.
    let first = if page.descending {
        found.last()
    } else {
        found.first()
    };
    let Some(first) = first.map(|e| (e.effective_at, e.seq)) else {
        return Ok(found);
    };
    let mut totals = totals_before(view, slot, first)?;
    let mut add = |entry: &mut Entry| -> Result<(), ReadError> {
        totals = totals.plus(Delta::of(&view.record(entry.seq)?, slot));
        entry.after = totals.to_totals();
        Ok(())
    };
    if page.descending {
        found.iter_mut().rev().try_for_each(&mut add)?;
    } else {
        found.iter_mut().try_for_each(&mut add)?;
    }
    Ok(found)
}

/// Totals of everything that sorts before (`effectiveAt`, `seq`).
fn totals_before(
    view: &IndexView,
    slot: Slot,
    (at, seq): (Timestamp, u64),
) -> Result<Delta, ReadError> {
    let earlier = totals_at(view, slot, Some(Timestamp(at.0 - 1)), None)?;
    let mut sum = Delta::from_totals(&earlier);
    let mut same_time = Merge::new(view, slot, (at.0, 0), (at.0, seq.saturating_sub(1)), false)?;
    while let Some(entry) = same_time.next(view)? {
        sum = sum.plus(Delta::of(&view.record(entry.seq)?, slot));
    }
    Ok(sum)
}

/// Two scans merged by (`effectiveAt`, `seq`): records that count when recorded, and odd ones.
struct Merge {
    slot: Slot,
    regular: crate::index::Scan,
    odd: crate::index::Scan,
    next_regular: Option<Entry>,
    next_odd: Option<Entry>,
    low: (i64, u64),
    high: (i64, u64),
    descending: bool,
}

impl Merge {
    fn new(
        view: &IndexView,
        slot: Slot,
        low: (i64, u64),
        high: (i64, u64),
        descending: bool,
    ) -> Result<Self, ReadError> {
        let direction = if descending {
            Direction::Backward
        } else {
            Direction::Forward
        };
        let first_seq = view.seq_at(Timestamp(low.0.saturating_sub(1)))? + 1;
        let last_seq = view.seq_at(Timestamp(high.0))?;
        let entries = view.store.index.view(ENTRIES);
        let odd = view.store.index.view(BACKDATED);
        let mut merge = Self {
            slot,
            regular: entries.range(
                &entry_key(slot, first_seq),
                &entry_key(slot, last_seq),
                direction,
            ),
            odd: odd.range(
                &backdated_key(slot, low.0, low.1),
                &backdated_key(slot, high.0, high.1),
                direction,
            ),
            next_regular: None,
            next_odd: None,
            low,
            high,
            descending,
        };
        merge.next_regular = merge.read_regular(view)?;
        merge.next_odd = merge.read_odd(view)?;
        Ok(merge)
    }

    fn read_regular(&mut self, view: &IndexView) -> Result<Option<Entry>, ReadError> {
        while let Some(row) = self.regular.next_record().map_err(broken)? {
            let irregular = row
                .value
                .first()
                .and_then(|f| super::indexer::split_flags(*f))
                .is_some_and(|f| f.2);
            if irregular {
                continue;
            }
            let entry = view.entry(row.key, row.value)?;
            let place = (entry.effective_at.0, entry.seq);
            if (self.low..=self.high).contains(&place) && entry.seq <= view.seq {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn read_odd(&mut self, view: &IndexView) -> Result<Option<Entry>, ReadError> {
        while let Some(row) = self.odd.next_record().map_err(broken)? {
            let (seq, effective) = (seq_of(row.key), effective_of(row.key));
            if seq > view.seq {
                continue;
            }
            let table = view.store.index.view(ENTRIES);
            let key = entry_key(self.slot, seq);
            let value = table
                .get(&key)
                .map_err(broken)?
                .ok_or_else(|| broken("an odd record has no entry"))?;
            let entry = view.entry(&key, &value)?;
            debug_assert_eq!(entry.effective_at.0, effective);
            return Ok(Some(entry));
        }
        Ok(None)
    }

    fn next(&mut self, view: &IndexView) -> Result<Option<Entry>, ReadError> {
        let place = |e: &Entry| (e.effective_at.0, e.seq);
        let take_regular = match (&self.next_regular, &self.next_odd) {
            (None, None) => return Ok(None),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(a), Some(b)) => (place(a) < place(b)) != self.descending,
        };
        if take_regular {
            let next = self.read_regular(view)?;
            Ok(std::mem::replace(&mut self.next_regular, next))
        } else {
            let next = self.read_odd(view)?;
            Ok(std::mem::replace(&mut self.next_odd, next))
        }
    }
}
