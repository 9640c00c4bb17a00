//! History of accounts on the recorded axis: numbers of an account's records from its row
//! (`balances.tail`) and its pages (`entries`), content and totals from the records themselves.
//!
//! Cost: a point in time is one page and one record; a page of history is as many records as it
//! shows. Nothing walks the whole history of an account.

use sqlx::Row as _;

use super::{super::rows, store::broken, view::PgView};
use crate::{
    engine::{Entry, EntryPage, Phase, ReadError},
    model::{Body, Mode, Record, Side, Slot, Totals},
};

/// Entries that a page of `entries` has at least.
const PAGE_MIN: usize = 16;
/// Most pages read in one step, in case they are long.
const PAGES_MAX: usize = 64;

/// A stretch of `seq`s, both ends inclusive; empty when `low` is above `high`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub low: u64,
    pub high: u64,
}

impl Stretch {
    pub(super) fn is_empty(self) -> bool {
        self.low > self.high
    }

    /// What is left of it after a record.
    fn after(self, seq: u64, descending: bool) -> Self {
        if descending {
            Self {
                high: seq.saturating_sub(1),
                ..self
            }
        } else {
            Self {
                low: seq + 1,
                ..self
            }
        }
    }
}

/// What a record did to an account, as an entry; `None` for records that move nothing.
pub(super) fn entry_of(record: &Record, slot: Slot) -> Option<Entry> {
    let (phase, effective_at, debit) = match &record.body {
        Body::Transfer(t) => {
            let phase = match t.mode {
                Mode::Single => Phase::Single,
                Mode::Pending => Phase::Pending,
                Mode::Post => Phase::Post,
                Mode::Void => Phase::Void,
            };
            (phase, t.effective_at, t.debit)
        }
        Body::Expired {
            effective_at,
            debit,
            ..
        } => (Phase::Expired, *effective_at, *debit),
        _ => return None,
    };
    let side = if slot == debit {
        Side::Debit
    } else {
        Side::Credit
    };
    Some(Entry {
        seq: record.seq,
        side,
        phase,
        effective_at,
        after: record.touches.of(slot)?.after,
    })
}

impl PgView {
    pub(crate) fn entries(&self, slot: Slot, page: &EntryPage) -> Result<Vec<Entry>, ReadError> {
        let page = *page;
        self.block(move |view| async move {
            if page.effective {
                return view.effective_entries(slot, page).await;
            }
            let last = view.seq.min(page.up_to_seq.unwrap_or(u64::MAX));
            let low = match page.from {
                Some(from) => view.last_before(from.0).await? + 1,
                None => 1,
            };
            let high = match page.to {
                Some(to) => view.last_before(to.0).await?.min(last),
                None => last,
            };
            let mut stretch = Stretch { low, high };
            if let Some((_, seq)) = page.after {
                let rest = stretch.after(seq, page.descending);
                stretch = Stretch {
                    low: rest.low.max(low),
                    high: rest.high.min(high),
                };
            }
            view.entries_in(slot, stretch, page.descending, page.limit)
                .await
        })
    }

    /// The first (or last, if descending) entries of an account in a stretch.
    pub(super) async fn entries_in(
        &self,
        slot: Slot,
        mut stretch: Stretch,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let mut found = Vec::new();
        while found.len() < limit && !stretch.is_empty() {
            let wanted = limit - found.len();
            let mut seqs = self.seqs_in(slot, stretch, descending, wanted).await?;
            let is_last = seqs.len() < wanted;
            seqs.truncate(wanted);
            if let Some(seq) = seqs.last() {
                stretch = stretch.after(*seq, descending);
            }
            let records = self.store.records(&self.pool, &seqs).await?;
            found.extend(records.iter().filter_map(|record| entry_of(record, slot)));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Numbers of an account's records in a stretch, in order: at least `wanted` unless there are
    /// fewer.
    async fn seqs_in(
        &self,
        slot: Slot,
        mut stretch: Stretch,
        descending: bool,
        wanted: usize,
    ) -> Result<Vec<u64>, ReadError> {
        let mut seqs: Vec<u64> = Vec::new();
        let pages = (wanted / PAGE_MIN + 2).min(PAGES_MAX);
        while seqs.len() < wanted && !stretch.is_empty() {
            let (step, read) = self.pages(slot, stretch, descending, pages).await?;
            let Some(last) = step.last() else {
                break;
            };
            stretch = stretch.after(*last, descending);
            seqs.extend(step);
            if read < pages {
                break;
            }
        }
        Ok(seqs)
    }

    /// One step of [`Self::seqs_in`]: what some pages and the newest few have in the stretch, in
    /// order, and how many pages were read.
    async fn pages(
        &self,
        slot: Slot,
        stretch: Stretch,
        descending: bool,
        pages: usize,
    ) -> Result<(Vec<u64>, usize), ReadError> {
        let (low, high) = (signed(stretch.low), signed(stretch.high));
        // The page before the stretch may reach into it. One statement sees one state: a record
        // cannot move from the row to a page in between.
        let query = if descending {
            sqlx::query(
                "(SELECT seqs, false FROM entries WHERE slot = $1 AND first_seq <= $3
                    AND first_seq >= COALESCE((SELECT max(first_seq) FROM entries
                        WHERE slot = $1 AND first_seq <= $2), 0)
                  ORDER BY first_seq DESC LIMIT $4)
                 UNION ALL SELECT tail, true FROM balances WHERE slot = $1",
            )
        } else {
            sqlx::query(
                "(SELECT seqs, false FROM entries WHERE slot = $1 AND first_seq <= $3
                    AND first_seq >= COALESCE((SELECT max(first_seq) FROM entries
                        WHERE slot = $1 AND first_seq <= $2), 0)
                  ORDER BY first_seq LIMIT $4)
                 UNION ALL SELECT tail, true FROM balances WHERE slot = $1",
            )
        };
        let found = query
            .bind(slot as i32)
            .bind(low)
            .bind(high)
            .bind(pages as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(broken)?;
        let (mut seqs, mut tail, mut read) = (Vec::new(), Vec::new(), 0);
        for row in &found {
            let bytes: &[u8] = row.try_get(0).map_err(broken)?;
            let numbers = rows::take_seqs(bytes).map_err(broken)?;
            let within = numbers
                .into_iter()
                .filter(|seq| (stretch.low..=stretch.high).contains(seq));
            if row.try_get(1).map_err(broken)? {
                tail.extend(within);
            } else {
                read += 1;
                seqs.extend(within);
            }
        }
        seqs.sort_unstable();
        // The newest few come after every page: only a step that reached the last page may show
        // them when going up, and they come first when going down.
        if descending || read < pages {
            seqs.extend(tail);
            seqs.sort_unstable();
        }
        if descending {
            seqs.reverse();
        }
        Ok((seqs, read))
    }

    /// Totals right after the last record of an account with `seq` up to the given one.
    pub(super) async fn totals_through(
        &self,
        slot: Slot,
        through: u64,
    ) -> Result<Totals, ReadError> {
        let stretch = Stretch {
            low: 1,
            high: through.min(self.seq),
        };
        let last = self.entries_in(slot, stretch, true, 1).await?;
        Ok(last
            .first()
            .map_or_else(Totals::default, |entry| entry.after))
    }
}

/// A `seq` as a bigint; those beyond the largest bigint do not exist.
pub(super) fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
