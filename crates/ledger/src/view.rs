//! A consistent view of a ledger for blocking reads, whichever engine keeps it.
//!
//! Boundary: hands each read on to the engine's own view. Invariant: both answer the same, byte
//! for byte; a view never shows a record beyond its [`ReadView::seq`].

use florin_base::Timestamp;

use crate::{
    call::AssetSums,
    engine::{Entry, EntryPage, IdLookup, IndexView, ReadError, TransferState},
    model::{Record, Slot, Totals},
    postgres::PgView,
    proof::Hash,
};

#[derive(Clone)]
enum Seen {
    Index(IndexView),
    Postgres(PgView),
}

/// A consistent view of everything recorded up to [`ReadView::seq`]. All methods may block on
/// files or on the database: call them where blocking is allowed.
#[derive(Clone)]
pub struct ReadView(Seen);

impl From<IndexView> for ReadView {
    fn from(view: IndexView) -> Self {
        Self(Seen::Index(view))
    }
}

impl From<PgView> for ReadView {
    fn from(view: PgView) -> Self {
        Self(Seen::Postgres(view))
    }
}

/// Hands a read on to the engine behind a view.
macro_rules! on {
    ($seen:expr, $view:ident => $read:expr) => {
        match &$seen.0 {
            Seen::Index($view) => $read,
            Seen::Postgres($view) => $read,
        }
    };
}

impl ReadView {
    /// The last `seq` of the view.
    pub fn seq(&self) -> u64 {
        on!(self, view => view.seq())
    }

    /// The same view as of an earlier `seq`, for walks that must not see later records.
    pub fn as_of(&self, seq: u64) -> Self {
        on!(self, view => view.as_of(seq).into())
    }

    /// A record by number, 1 ..= [`ReadView::seq`].
    ///
    /// # Errors
    /// [`ReadError`] when there is none or the store cannot be read.
    pub fn record(&self, seq: u64) -> Result<Record, ReadError> {
        on!(self, view => view.record(seq))
    }

    /// What is known of a transfer id.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn transfer(&self, id: &str) -> Result<IdLookup, ReadError> {
        on!(self, view => view.transfer(id))
    }

    /// What became of a recorded transfer.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn state(&self, record: &Record) -> Result<TransferState, ReadError> {
        on!(self, view => view.state(record))
    }

    /// A page of an account's entries.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn entries(&self, slot: Slot, page: &EntryPage) -> Result<Vec<Entry>, ReadError> {
        on!(self, view => view.entries(slot, page))
    }

    /// Ledger time of a record.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn recorded_at(&self, seq: u64) -> Result<Timestamp, ReadError> {
        on!(self, view => view.recorded_at(seq))
    }

    /// Totals of an account at (effective, recorded), both inclusive; `None` = now (contract A7).
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn totals_at(
        &self,
        slot: Slot,
        effective: Option<Timestamp>,
        recorded: Option<Timestamp>,
    ) -> Result<Totals, ReadError> {
        on!(self, view => view.totals_at(slot, effective, recorded))
    }

    /// Sums over all accounts at (effective, recorded).
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn trial_balance(
        &self,
        effective: Option<Timestamp>,
        recorded: Option<Timestamp>,
    ) -> Result<Vec<AssetSums>, ReadError> {
        on!(self, view => view.trial_balance(effective, recorded))
    }

    /// Last `seq` with `recordedAt` at or before a time; 0 if none.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn seq_at(&self, recorded: Timestamp) -> Result<u64, ReadError> {
        on!(self, view => view.seq_at(recorded))
    }

    /// Appends the feed lines after `after` (each with its line end), at most `limit`; returns the
    /// last `seq` read, or `after` at the end.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn feed(&self, after: u64, limit: usize, out: &mut Vec<u8>) -> Result<u64, ReadError> {
        on!(self, view => view.feed(after, limit, out))
    }

    /// Calls `f` with the records after `after`, at most `limit`; returns the last `seq` read, or
    /// `after` at the end.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn records(
        &self,
        after: u64,
        limit: usize,
        f: impl FnMut(&Record),
    ) -> Result<u64, ReadError> {
        on!(self, view => view.records(after, limit, f))
    }

    /// The exact feed line of a record, without its line end.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn line(&self, seq: u64) -> Result<Vec<u8>, ReadError> {
        on!(self, view => view.line(seq))
    }

    /// Count of accounts known; slots are below it.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn accounts(&self) -> Result<usize, ReadError> {
        on!(self, view => view.accounts())
    }

    /// Last commit whose records are all in the view, with its last `seq` and `chain` hash.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn last_batch(&self) -> Result<Option<(u64, u64, Hash)>, ReadError> {
        on!(self, view => view.last_batch())
    }

    /// Root of the Merkle tree over the first `size` records.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn root(&self, size: u64) -> Result<Hash, ReadError> {
        on!(self, view => view.root(size))
    }

    /// Leaf hash of a record and its audit path in the tree over the first `size` records.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn inclusion(&self, seq: u64, size: u64) -> Result<(Hash, Vec<Hash>), ReadError> {
        on!(self, view => view.inclusion(seq, size))
    }

    /// Proof that the tree over `to` records extends the one over `from`.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read or the sizes are wrong.
    pub fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, ReadError> {
        on!(self, view => view.consistency(from, to))
    }
}
