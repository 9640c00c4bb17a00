//! Balances and history on two time axes (contract A7).
//!
//! Nearly every record counts when it is recorded. Those that do not (back-dated ones, expiries)
//! stand once more in `backdated`, by the time they count. None counts later than it was
//! recorded, so that a balance at (E, R) is: the totals recorded up to min(E, R), plus the
//! back-dated ones that count up to E and were recorded after E, up to R. The first part is one
//! record; the second is as long as what was recorded late, and mostly empty.

use std::collections::{BTreeMap, VecDeque};

use florin_base::Timestamp;
use futures_util::TryStreamExt as _;
use sqlx::{Row as _, postgres::PgRow};

use super::{
    super::rows,
    history::{Stretch, entry_of, signed},
    store::broken,
    view::PgView,
};
use crate::{
    call::AssetSums,
    engine::{Delta, Entry, EntryPage, ReadError},
    model::{Slot, Totals},
};

/// Entries read at a time while two axes are merged.
const STEP: usize = 64;
/// Accounts added up at a time.
const SUM_STEP: usize = 2_000;

/// A place on the effective axis: time in microseconds, `seq`.
type Place = (i64, u64);

fn place(entry: &Entry) -> Place {
    (entry.effective_at.0, entry.seq)
}

impl PgView {
    pub(crate) fn totals_at(
        &self,
        slot: Slot,
        effective: Option<Timestamp>,
        recorded: Option<Timestamp>,
    ) -> Result<Totals, ReadError> {
        self.block(move |view| async move {
            view.totals_at_places(slot, effective.map(|t| t.0), recorded.map(|t| t.0))
                .await
        })
    }

    async fn totals_at_places(
        &self,
        slot: Slot,
        effective: Option<i64>,
        recorded: Option<i64>,
    ) -> Result<Totals, ReadError> {
        let through = match recorded {
            Some(recorded) => self.last_through(recorded).await?,
            None => self.seq,
        };
        let Some(effective) = effective else {
            return self.totals_through(slot, through).await;
        };
        let regular = self.last_through(effective).await?.min(through);
        let totals = self.totals_through(slot, regular).await?;
        let late = self.late(&[slot], effective, regular, through).await?;
        Ok(match late.get(&slot) {
            Some(late) => Delta::from_totals(&totals).plus(*late).to_totals(),
            None => totals,
        })
    }

    /// Sums of what counts up to `effective` and was recorded after `regular`, up to `through`,
    /// by account.
    async fn late(
        &self,
        slots: &[Slot],
        effective: i64,
        regular: u64,
        through: u64,
    ) -> Result<BTreeMap<Slot, Delta>, ReadError> {
        let mut sums = BTreeMap::new();
        if regular >= through {
            return Ok(sums);
        }
        let slots: Vec<i32> = slots.iter().map(|slot| *slot as i32).collect();
        let mut rows = sqlx::query(
            "SELECT slot, delta FROM backdated
             WHERE slot = ANY($1) AND seq > $2 AND seq <= $3 AND effective_at <= $4",
        )
        .bind(slots)
        .bind(signed(regular))
        .bind(signed(through))
        .bind(effective)
        .fetch(&self.pool);
        while let Some(row) = rows.try_next().await.map_err(broken)? {
            let slot = row.try_get::<i32, _>(0).map_err(broken)? as Slot;
            let bytes: &[u8] = row.try_get(1).map_err(broken)?;
            let delta = Delta::take(bytes).map_err(broken)?;
            let sum = sums.entry(slot).or_insert_with(Delta::default);
            *sum = sum.plus(delta);
        }
        Ok(sums)
    }

    /// Entries ordered by (`effectiveAt`, `seq`), each with the totals on that axis after it.
    pub(super) async fn effective_entries(
        &self,
        slot: Slot,
        page: EntryPage,
    ) -> Result<Vec<Entry>, ReadError> {
        let view = self.as_of(page.up_to_seq.unwrap_or(u64::MAX));
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
        let mut merge = Merge::new(view.clone(), slot, low, high, page.descending).await?;
        let mut found = Vec::new();
        while found.len() < page.limit
            && let Some(entry) = merge.next().await?
        {
            found.push(entry);
        }
        let first = if page.descending {
            found.last()
        } else {
            found.first()
        };
        let Some(first) = first.map(place) else {
            return Ok(found);
        };
        // Totals on this axis: those before the earliest entry found, then one change after
        // another.
        let totals = view.totals_before(slot, first).await?;
        view.run_totals(slot, totals, &mut found, page.descending)
            .await?;
        Ok(found)
    }

    async fn run_totals(
        &self,
        slot: Slot,
        mut totals: Delta,
        entries: &mut [Entry],
        descending: bool,
    ) -> Result<(), ReadError> {
        let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
        let records = self.store.records(&self.pool, &seqs).await?;
        let mut add = |(entry, record): (&mut Entry, _)| {
            totals = totals.plus(Delta::of(record, slot));
            entry.after = totals.to_totals();
        };
        if descending {
            entries.iter_mut().zip(&records).rev().for_each(&mut add);
        } else {
            entries.iter_mut().zip(&records).for_each(&mut add);
        }
        Ok(())
    }

    /// Totals of everything that sorts before a place.
    async fn totals_before(&self, slot: Slot, (at, seq): Place) -> Result<Delta, ReadError> {
        let earlier = self
            .totals_at_places(slot, Some(at.saturating_sub(1)), None)
            .await?;
        let mut sum = Delta::from_totals(&earlier);
        let high = (at, seq.saturating_sub(1));
        let mut same_time = Merge::new(self.clone(), slot, (at, 0), high, false).await?;
        while let Some(entry) = same_time.next().await? {
            let records = self.store.records(&self.pool, &[entry.seq]).await?;
            for record in &records {
                sum = sum.plus(Delta::of(record, slot));
            }
        }
        Ok(sum)
    }

    pub(crate) fn trial_balance(
        &self,
        effective: Option<Timestamp>,
        recorded: Option<Timestamp>,
    ) -> Result<Vec<AssetSums>, ReadError> {
        self.block(move |view| async move {
            let through = match recorded {
                Some(recorded) => view.last_through(recorded.0).await?,
                None => view.seq,
            };
            let regular = match effective {
                Some(effective) => view.last_through(effective.0).await?.min(through),
                None => through,
            };
            let assets = view.store.load_assets(&view.pool).await?;
            let mut sums: Vec<AssetSums> = assets
                .iter()
                .map(|asset| AssetSums {
                    asset: asset.code.clone(),
                    ..AssetSums::default()
                })
                .collect();
            let mut after: i64 = -1;
            while let Some(step) = view.sum_step(after, regular, through).await? {
                after = i64::from(step.last_slot as i32);
                let late = match effective {
                    Some(effective) => {
                        let slots: Vec<Slot> = step.accounts.iter().map(|a| a.0).collect();
                        view.late(&slots, effective.0, regular, through).await?
                    }
                    None => BTreeMap::new(),
                };
                for (slot, asset, totals) in step.accounts {
                    let totals = match late.get(&slot) {
                        Some(late) => Delta::from_totals(&totals).plus(*late).to_totals(),
                        None => totals,
                    };
                    let sum = sums
                        .get_mut(asset)
                        .ok_or_else(|| broken("an account has an unknown asset"))?;
                    add(sum, &totals);
                }
            }
            Ok(sums)
        })
    }

    /// The next accounts after a slot that were made up to `through`, with their totals recorded
    /// up to `regular`.
    async fn sum_step(
        &self,
        after: i64,
        regular: u64,
        through: u64,
    ) -> Result<Option<SumStep>, ReadError> {
        let found = sqlx::query(
            "SELECT a.slot, a.asset, b.dp, b.cp, b.dr, b.cr, b.high, b.postings, b.events, b.tail,
                    (SELECT seqs FROM entries e WHERE e.slot = a.slot AND e.first_seq <= $2
                     ORDER BY e.first_seq DESC LIMIT 1), a.created_seq,
                    EXISTS (SELECT 1 FROM entries e WHERE e.slot = a.slot AND e.first_seq > $2)
             FROM accounts a JOIN balances b USING (slot)
             WHERE a.slot > $1 ORDER BY a.slot LIMIT $3",
        )
        .bind(after)
        .bind(signed(regular))
        .bind(SUM_STEP as i64)
        .fetch_all(&self.pool)
        .await
        .map_err(broken)?;
        let mut step = SumStep::default();
        let mut earlier = Vec::new();
        for row in &found {
            step.last_slot = row.try_get::<i32, _>(0).map_err(broken)? as Slot;
            if row.try_get::<i64, _>(11).map_err(broken)? as u64 > through {
                continue;
            }
            let asset = row.try_get::<i16, _>(1).map_err(broken)? as usize;
            match totals_or_seq(row, regular)? {
                Known::Now(totals) => step.accounts.push((step.last_slot, asset, totals)),
                Known::After(seq) => earlier.push((step.last_slot, asset, seq)),
                Known::Nothing => step
                    .accounts
                    .push((step.last_slot, asset, Totals::default())),
            }
        }
        let seqs: Vec<u64> = earlier.iter().map(|(_, _, seq)| *seq).collect();
        let records = self.store.records(&self.pool, &seqs).await?;
        for ((slot, asset, _), record) in earlier.into_iter().zip(&records) {
            let after = match entry_of(record, slot) {
                Some(entry) => entry.after,
                // A change of the account itself stands between; look behind it.
                None => self.totals_through(slot, record.seq).await?,
            };
            step.accounts.push((slot, asset, after));
        }
        Ok((!found.is_empty()).then_some(step))
    }
}

#[derive(Default)]
struct SumStep {
    last_slot: Slot,
    /// Account, number of its asset, totals.
    accounts: Vec<(Slot, usize, Totals)>,
}

/// Where the totals of an account at some `seq` are found.
enum Known {
    /// Nothing was recorded on it later: those of now.
    Now(Totals),
    /// Right after a record.
    After(u64),
    /// Nothing was recorded on it earlier.
    Nothing,
}

fn totals_or_seq(row: &PgRow, through: u64) -> Result<Known, ReadError> {
    let tail: &[u8] = row.try_get(9).map_err(broken)?;
    let page: Option<&[u8]> = row.try_get(10).map_err(broken)?;
    let tail = rows::take_seqs(tail).map_err(broken)?;
    let page = page
        .map_or(Ok(Vec::new()), rows::take_seqs)
        .map_err(broken)?;
    let mut last = None;
    let mut has_later: bool = row.try_get(12).map_err(broken)?;
    for seq in page.into_iter().chain(tail) {
        if seq <= through {
            last = last.max(Some(seq));
        } else {
            has_later = true;
        }
    }
    match (has_later, last) {
        (false, _) => now(row).map(Known::Now),
        (true, Some(seq)) => Ok(Known::After(seq)),
        (true, None) => Ok(Known::Nothing),
    }
}

fn now(row: &PgRow) -> Result<Totals, ReadError> {
    let low = |at: usize| row.try_get::<i64, _>(at).map_err(broken);
    let high: Option<&[u8]> = row.try_get(6).map_err(broken)?;
    rows::totals([low(2)?, low(3)?, low(4)?, low(5)?], high, low(7)?, low(8)?).map_err(broken)
}

fn add(sum: &mut AssetSums, totals: &Totals) {
    sum.accounts += 1;
    let pairs = [
        (&mut sum.totals.debits_posted, totals.debits_posted),
        (&mut sum.totals.credits_posted, totals.credits_posted),
        (&mut sum.totals.debits_pending, totals.debits_pending),
        (&mut sum.totals.credits_pending, totals.credits_pending),
    ];
    for (sum, value) in pairs {
        *sum = sum.saturating_add(value);
    }
}

/// Two walks merged by (`effectiveAt`, `seq`): records that count when recorded, and odd ones.
struct Merge {
    view: PgView,
    slot: Slot,
    descending: bool,
    /// What is left of the recorded axis.
    stretch: Stretch,
    /// What is left of the odd ones, both inclusive.
    low: Place,
    high: Place,
    bounds: (Place, Place),
    regular: VecDeque<Entry>,
    odd: VecDeque<Entry>,
    regular_ended: bool,
    odd_ended: bool,
}

impl Merge {
    async fn new(
        view: PgView,
        slot: Slot,
        low: Place,
        high: Place,
        descending: bool,
    ) -> Result<Self, ReadError> {
        let stretch = Stretch {
            low: view.last_before(low.0).await? + 1,
            high: view.last_through(high.0).await?,
        };
        Ok(Self {
            view,
            slot,
            descending,
            stretch,
            low,
            high,
            bounds: (low, high),
            regular: VecDeque::new(),
            odd: VecDeque::new(),
            regular_ended: false,
            odd_ended: false,
        })
    }

    async fn fill_regular(&mut self) -> Result<(), ReadError> {
        while self.regular.is_empty() && !self.regular_ended {
            let entries = self
                .view
                .entries_in(self.slot, self.stretch, self.descending, STEP)
                .await?;
            self.regular_ended = entries.len() < STEP;
            if let Some(last) = entries.last() {
                if self.descending {
                    self.stretch.high = last.seq.saturating_sub(1);
                } else {
                    self.stretch.low = last.seq + 1;
                }
            }
            let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
            let records = self.view.store.records(&self.view.pool, &seqs).await?;
            let (low, high) = self.bounds;
            let counts_when_recorded = entries
                .into_iter()
                .zip(&records)
                .filter(|(entry, record)| entry.effective_at == record.recorded_at)
                .map(|(entry, _)| entry)
                .filter(|entry| (low..=high).contains(&place(entry)));
            self.regular.extend(counts_when_recorded);
        }
        Ok(())
    }

    async fn fill_odd(&mut self) -> Result<(), ReadError> {
        if !self.odd.is_empty() || self.odd_ended {
            return Ok(());
        }
        let query = if self.descending {
            sqlx::query_as(
                "SELECT effective_at, seq FROM backdated WHERE slot = $1 AND seq <= $6
                   AND (effective_at, seq) >= ($2, $3) AND (effective_at, seq) <= ($4, $5)
                 ORDER BY effective_at DESC, seq DESC LIMIT $7",
            )
        } else {
            sqlx::query_as(
                "SELECT effective_at, seq FROM backdated WHERE slot = $1 AND seq <= $6
                   AND (effective_at, seq) >= ($2, $3) AND (effective_at, seq) <= ($4, $5)
                 ORDER BY effective_at, seq LIMIT $7",
            )
        };
        let found: Vec<(i64, i64)> = query
            .bind(self.slot as i32)
            .bind(self.low.0)
            .bind(signed(self.low.1))
            .bind(self.high.0)
            .bind(signed(self.high.1))
            .bind(signed(self.view.seq))
            .bind(STEP as i64)
            .fetch_all(&self.view.pool)
            .await
            .map_err(broken)?;
        self.odd_ended = found.len() < STEP;
        if let Some((at, seq)) = found.last() {
            let seq = *seq as u64;
            if self.descending {
                self.high = (*at, seq.saturating_sub(1));
            } else {
                self.low = (*at, seq + 1);
            }
        }
        let seqs: Vec<u64> = found.iter().map(|(_, seq)| *seq as u64).collect();
        let records = self.view.store.records(&self.view.pool, &seqs).await?;
        for record in &records {
            let entry = entry_of(record, self.slot);
            self.odd
                .push_back(entry.ok_or_else(|| broken("an odd record moves nothing"))?);
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        self.fill_regular().await?;
        self.fill_odd().await?;
        let take_regular = match (self.regular.front(), self.odd.front()) {
            (None, None) => return Ok(None),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(a), Some(b)) => (place(a) < place(b)) != self.descending,
        };
        Ok(if take_regular {
            self.regular.pop_front()
        } else {
            self.odd.pop_front()
        })
    }
}
