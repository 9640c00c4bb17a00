//! Reads of history: by id, by account, by time, and the feed.

use std::sync::Arc;

use florin_base::Timestamp;

use super::{
    bitemporal,
    indexer::{entry_key, split_flags},
    proofs::LedgerTree,
    store::{BATCH_BYTES, BATCHES, ENTRIES, Store, identity_key, split_batch},
};
use crate::{
    call::AssetSums,
    codes::ResultCode,
    index::Direction,
    model::{Body, Mode, Record, Side, Slot, Totals},
    record::{bytes::Take, codec::take_totals, line::write_line},
    rules::book::{Known, Space},
};

/// A read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The journal or the index could not be read; the text is for logs only.
    #[error("the ledger's files could not be read: {0}")]
    Store(String),
}

/// What is known of a transfer id.
#[derive(Debug, Clone)]
pub enum IdLookup {
    /// Recorded; expiries are found under `{pendingId}:exp`.
    Recorded(Box<Record>),
    /// Refused with a remembered code.
    Refused(ResultCode),
    /// Free.
    Unknown,
}

/// What became of a recorded transfer (derived, not part of the record).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferState {
    /// `recorded`, or for pending ones `pending`, `posted`, `voided`, `expired`.
    pub state: &'static str,
    /// What a post moved, in minor units.
    pub posted_amount: Option<u128>,
    /// Id and `seq` of the post, void or expiry.
    pub resolved_by: Option<(Box<str>, u64)>,
    /// Id and `seq` of the reversal.
    pub reversed_by: Option<(Box<str>, u64)>,
}

/// What a record did to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Moved at once.
    Single,
    /// Reserved.
    Pending,
    /// Moved from a reservation.
    Post,
    /// Released.
    Void,
    /// Released by time.
    Expired,
}

impl Phase {
    /// The phase of its number in the index.
    pub(super) const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Single,
            1 => Self::Pending,
            2 => Self::Post,
            3 => Self::Void,
            4 => Self::Expired,
            _ => return None,
        })
    }

    /// The word of the history route.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Pending => "pending",
            Self::Post => "post",
            Self::Void => "void",
            Self::Expired => "expired",
        }
    }
}

/// One record on one account.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The record's number.
    pub seq: u64,
    /// Side of the account in it.
    pub side: Side,
    /// What it did.
    pub phase: Phase,
    /// When it counts.
    pub effective_at: Timestamp,
    /// Totals right after it: by `seq` on the recorded axis; by (`effectiveAt`, `seq`) on the
    /// effective axis.
    pub after: Totals,
}

/// Which entries of an account to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct EntryPage {
    /// Order by `effectiveAt` (else by `seq`).
    pub effective: bool,
    /// Not before (inclusive), on the chosen axis.
    pub from: Option<Timestamp>,
    /// Before (exclusive), on the chosen axis.
    pub to: Option<Timestamp>,
    /// Newest first.
    pub descending: bool,
    /// Go on after this entry: (`effectiveAt` micros, `seq`); on the recorded axis only `seq` counts.
    pub after: Option<(i64, u64)>,
    /// Only records with `seq` up to this.
    pub up_to_seq: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// A consistent view of everything recorded up to [`IndexView::seq`]. All methods may block on
/// files.
#[derive(Clone)]
pub(crate) struct IndexView {
    pub(super) store: Arc<Store>,
    pub(super) tree: Arc<LedgerTree>,
    pub(super) seq: u64,
}

pub(super) fn broken(error: impl std::fmt::Display) -> ReadError {
    ReadError::Store(error.to_string())
}

impl IndexView {
    /// The last `seq` of the view.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The same view as of an earlier `seq`, for walks that must not see later records.
    pub fn as_of(&self, seq: u64) -> Self {
        Self {
            seq: seq.min(self.seq),
            ..self.clone()
        }
    }

    /// A record by number, 1 ..= [`IndexView::seq`].
    ///
    /// # Errors
    /// [`ReadError`] when there is none or files cannot be read.
    pub fn record(&self, seq: u64) -> Result<Record, ReadError> {
        self.store.record(seq)
    }

    fn known(&self, space: Space, id: &str) -> Result<Option<Known>, ReadError> {
        self.store
            .known(identity_key(&self.store.hash_key, space, &[], id))
    }

    fn recorded(&self, space: Space, id: &str) -> Result<Option<u64>, ReadError> {
        Ok(match self.known(space, id)? {
            Some(Known::Record(seq)) if seq <= self.seq => Some(seq),
            _ => None,
        })
    }

    /// What is known of a transfer id.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn transfer(&self, id: &str) -> Result<IdLookup, ReadError> {
        Ok(match self.known(Space::Transfer, id)? {
            Some(Known::Record(seq)) if seq <= self.seq => {
                IdLookup::Recorded(Box::new(self.store.record(seq)?))
            }
            Some(Known::Refused(code)) => IdLookup::Refused(code),
            _ => IdLookup::Unknown,
        })
    }

    /// What became of a recorded transfer.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn state(&self, record: &Record) -> Result<TransferState, ReadError> {
        let mut state = TransferState {
            state: "recorded",
            posted_amount: None,
            resolved_by: None,
            reversed_by: None,
        };
        let Some(t) = record.transfer() else {
            return Ok(state);
        };
        if t.mode == Mode::Pending {
            state.state = "pending";
            if let Some(seq) = self.recorded(Space::Resolution, &t.id)? {
                let resolver = self.store.record(seq)?;
                let id: Box<str> = match &resolver.body {
                    Body::Transfer(by) if by.mode == Mode::Post => {
                        state.state = "posted";
                        state.posted_amount = Some(by.amount);
                        by.id.clone()
                    }
                    Body::Transfer(by) => {
                        state.state = "voided";
                        by.id.clone()
                    }
                    _ => {
                        state.state = "expired";
                        format!("{}:exp", t.id).into()
                    }
                };
                state.resolved_by = Some((id, seq));
            }
        } else if t.mode != Mode::Void {
            let reversal = format!("{}:rev", t.id);
            state.reversed_by = self
                .recorded(Space::Transfer, &reversal)?
                .map(|seq| (reversal.into(), seq));
        }
        Ok(state)
    }

    /// A page of an account's entries.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn entries(&self, slot: Slot, page: &EntryPage) -> Result<Vec<Entry>, ReadError> {
        if page.effective {
            return bitemporal::effective_entries(self, slot, page);
        }
        let last = self.seq.min(page.up_to_seq.unwrap_or(u64::MAX));
        let mut low = page.from.map_or(Ok(0), |from| self.seq_before(from))? + 1;
        let mut high = page
            .to
            .map_or(Ok(last), |to| self.seq_before(to))?
            .min(last);
        match page.after {
            Some((_, seq)) if page.descending => high = high.min(seq.saturating_sub(1)),
            Some((_, seq)) => low = low.max(seq + 1),
            None => {}
        }
        let mut entries = Vec::new();
        if low > high {
            return Ok(entries);
        }
        let direction = if page.descending {
            Direction::Backward
        } else {
            Direction::Forward
        };
        let view = self.store.index.view(ENTRIES);
        let mut scan = view.range(&entry_key(slot, low), &entry_key(slot, high), direction);
        while entries.len() < page.limit {
            let Some(row) = scan.next_record().map_err(broken)? else {
                break;
            };
            entries.push(self.entry(row.key, row.value)?);
        }
        Ok(entries)
    }

    pub(super) fn entry(&self, key: &[u8], value: &[u8]) -> Result<Entry, ReadError> {
        let seq = key
            .get(4..12)
            .and_then(|b| b.try_into().ok())
            .map(u64::from_be_bytes);
        let seq = seq.ok_or_else(|| broken("an entry has a short key"))?;
        let mut take = Take::new(value);
        let flags = take.byte().map_err(broken)?;
        let (side, phase, irregular) =
            split_flags(flags).ok_or_else(|| broken("an entry has unknown flags"))?;
        let effective_at = if irregular {
            Timestamp(take.micros().map_err(broken)?)
        } else {
            self.recorded_at(seq)?
        };
        Ok(Entry {
            seq,
            side,
            phase,
            effective_at,
            after: take_totals(&mut take).map_err(broken)?,
        })
    }

    /// Ledger time of a record.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn recorded_at(&self, seq: u64) -> Result<Timestamp, ReadError> {
        let batches = self.store.index.array(BATCHES);
        let after = batches
            .partition_point(|b| split_batch(b).0 <= seq)
            .map_err(broken)?;
        let batch = self
            .store
            .batch(after)?
            .ok_or_else(|| broken(format!("record {seq} is in no commit")))?;
        Ok(Timestamp(batch.1))
    }

    /// Totals right after the last record of an account with `seq` up to the given one.
    pub(super) fn totals_through(&self, slot: Slot, seq: u64) -> Result<Totals, ReadError> {
        let view = self.store.index.view(ENTRIES);
        let found = view
            .predecessor(&entry_key(slot, seq.min(self.seq)))
            .map_err(broken)?;
        found.map_or(Ok(Totals::default()), |row| {
            self.entry(&row.key, &row.value).map(|entry| entry.after)
        })
    }

    /// Totals of an account at (effective, recorded), both inclusive; `None` = now (contract A7).
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn totals_at(
        &self,
        slot: Slot,
        effective: Option<Timestamp>,
        recorded: Option<Timestamp>,
    ) -> Result<Totals, ReadError> {
        bitemporal::totals_at(self, slot, effective, recorded)
    }

    /// Sums over all accounts at (effective, recorded).
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn trial_balance(
        &self,
        effective: Option<Timestamp>,
        recorded: Option<Timestamp>,
    ) -> Result<Vec<AssetSums>, ReadError> {
        let assets = self.store.directory.assets();
        let mut sums: Vec<AssetSums> = assets
            .iter()
            .map(|a| AssetSums {
                asset: a.code.clone(),
                ..AssetSums::default()
            })
            .collect();
        let through = recorded
            .map_or(Ok(self.seq), |r| self.seq_at(r))?
            .min(self.seq);
        for slot in 0..self.store.directory.len() as Slot {
            let (asset, created) = self
                .store
                .directory
                .with_row(slot, |row| (row.asset, row.created_seq));
            if created > through {
                continue;
            }
            let totals = self.totals_at(slot, effective, recorded)?;
            let sum = &mut sums[usize::from(asset)];
            sum.accounts += 1;
            sum.totals.debits_posted = sum
                .totals
                .debits_posted
                .saturating_add(totals.debits_posted);
            sum.totals.credits_posted = sum
                .totals
                .credits_posted
                .saturating_add(totals.credits_posted);
            sum.totals.debits_pending = sum
                .totals
                .debits_pending
                .saturating_add(totals.debits_pending);
            sum.totals.credits_pending = sum
                .totals
                .credits_pending
                .saturating_add(totals.credits_pending);
        }
        Ok(sums)
    }

    /// Last `seq` with `recordedAt` at or before a time; 0 if none.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn seq_at(&self, recorded: Timestamp) -> Result<u64, ReadError> {
        self.seq_of_first(|at| at > recorded.0)
    }

    /// Last `seq` with `recordedAt` before a time; 0 if none.
    fn seq_before(&self, recorded: Timestamp) -> Result<u64, ReadError> {
        self.seq_of_first(|at| at >= recorded.0)
    }

    /// The `seq` before the first commit whose time satisfies `later`.
    fn seq_of_first(&self, later: impl Fn(i64) -> bool) -> Result<u64, ReadError> {
        let batches = self.store.index.array(BATCHES);
        let count = batches
            .partition_point(|b| !later(split_batch(b).1))
            .map_err(broken)?;
        let first = batches.get::<BATCH_BYTES>(count).map_err(broken)?;
        Ok(first
            .map_or(self.seq, |b| split_batch(&b).0 - 1)
            .min(self.seq))
    }

    /// Appends the feed lines after `after` (each with its line end), at most `limit`; returns the
    /// last `seq` read, or `after` at the end.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn feed(&self, after: u64, limit: usize, out: &mut Vec<u8>) -> Result<u64, ReadError> {
        self.records(after, limit, |record| {
            write_line(record, &*self.store.directory, out);
            out.push(b'\n');
        })
    }

    /// Calls `f` with the records after `after`, at most `limit`; returns the last `seq` read, or
    /// `after` at the end.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn records(
        &self,
        after: u64,
        limit: usize,
        mut f: impl FnMut(&Record),
    ) -> Result<u64, ReadError> {
        let last = self.seq.min(after.saturating_add(limit as u64));
        for seq in after + 1..=last {
            f(&self.store.record(seq)?);
        }
        Ok(last.max(after))
    }

    /// The exact feed line of a record, without its line end.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn line(&self, seq: u64) -> Result<Vec<u8>, ReadError> {
        let mut line = Vec::new();
        write_line(&self.store.record(seq)?, &*self.store.directory, &mut line);
        Ok(line)
    }

    /// Count of accounts known; slots are below it.
    ///
    /// # Errors
    /// None; views of other engines have some.
    pub fn accounts(&self) -> Result<usize, ReadError> {
        Ok(self.store.directory.len())
    }
}
