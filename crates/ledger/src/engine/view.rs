//! Reads of history: by id, by account, by time, and the feed.

use florin_base::Timestamp;

use crate::{
    call::AssetSums,
    codes::ResultCode,
    model::{Record, Side, Slot, Totals},
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

/// A consistent view of everything recorded up to [`ReadView::seq`]. All methods may block on
/// files.
#[derive(Clone)]
pub struct ReadView {}

impl ReadView {
    /// The last `seq` of the view.
    pub fn seq(&self) -> u64 {
        0
    }

    /// A record by number, 1 ..= [`ReadView::seq`].
    pub fn record(&self, _seq: u64) -> Result<Record, ReadError> {
        Err(ReadError::Store(String::new()))
    }

    /// What is known of a transfer id.
    pub fn transfer(&self, _id: &str) -> Result<IdLookup, ReadError> {
        Err(ReadError::Store(String::new()))
    }

    /// What became of a recorded transfer.
    pub fn state(&self, _record: &Record) -> Result<TransferState, ReadError> {
        Err(ReadError::Store(String::new()))
    }

    /// A page of an account's entries.
    pub fn entries(&self, _slot: Slot, _page: &EntryPage) -> Result<Vec<Entry>, ReadError> {
        Err(ReadError::Store(String::new()))
    }

    /// Totals of an account at (effective, recorded), both inclusive; `None` = now (contract A7).
    pub fn totals_at(
        &self,
        _slot: Slot,
        _effective: Option<Timestamp>,
        _recorded: Option<Timestamp>,
    ) -> Result<Totals, ReadError> {
        Err(ReadError::Store(String::new()))
    }

    /// Sums over all accounts at (effective, recorded).
    pub fn trial_balance(
        &self,
        _effective: Option<Timestamp>,
        _recorded: Option<Timestamp>,
    ) -> Result<Vec<AssetSums>, ReadError> {
        Err(ReadError::Store(String::new()))
    }

    /// Last `seq` with `recordedAt` at or before a time; 0 if none.
    pub fn seq_at(&self, _recorded: Timestamp) -> Result<u64, ReadError> {
        Err(ReadError::Store(String::new()))
    }

    /// Appends the feed lines after `after` (each with its `\n`), at most `limit`; returns the
    /// last `seq` read, or `after` at the end.
    pub fn feed(&self, _after: u64, _limit: usize, _out: &mut Vec<u8>) -> Result<u64, ReadError> {
        Err(ReadError::Store(String::new()))
    }
}
