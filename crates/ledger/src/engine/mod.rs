//! The embedded engine: one writer thread, group commit, everything else derived.
//!
//! The journal is the truth. Accounts live in memory (from a snapshot and the journal behind it);
//! lookups, history, hash chain and Merkle tree live in an index that a second thread makes from
//! the journal. Nothing is answered before it is durable, reads included: a read that finds a
//! posting in memory waits for its sync like the posting itself.

mod bitemporal;
mod checkpointer;
mod chunked;
mod deciding;
mod directory;
mod history;
mod indexer;
mod meta;
mod open;
mod progress;
mod proofs;
mod queries;
mod queue;
mod snapshot;
mod snapshotting;
mod state;
mod store;
mod time;
mod view;
mod writer;

use std::{path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use florin_base::{Clock, IdSource};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

pub(crate) use checkpointer::make_checkpoint;
pub(crate) use deciding::{Shown, judge_one};
pub(crate) use state::pending_of;
pub(crate) use store::{Delta, identity_key};
pub use time::ClockState;
pub(crate) use time::LedgerTime;
pub(crate) use view::IndexView;
pub use view::{Entry, EntryPage, IdLookup, Phase, ReadError, TransferState};
pub use writer::Status;

use self::{
    checkpointer::Checkpointer,
    directory::Directory,
    progress::Progress,
    proofs::LedgerTree,
    queue::{Message, Queue},
    store::Store,
};
use crate::{
    call::{Answer, Call, Query, Unavailable, View},
    checkpoints::Checkpoints,
    index::IndexStats,
    journal::Io,
    model::{AccountFacts, AccountId, Asset, AssetNo, Slot},
    policy::Policy,
};

/// Makes the directory of a ledger that comes from elsewhere, without its journal.
pub(crate) fn make_directory(dir: &std::path::Path, ledger_id: Uuid) -> std::io::Result<()> {
    meta::Meta::create(dir, ledger_id).map(drop)
}

/// Longest wait of a read for the index to catch up.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);

/// How to open a ledger.
#[derive(Clone)]
pub struct OpenOptions {
    /// Its directory.
    pub dir: PathBuf,
    /// Assets that must exist after the start (created when missing).
    pub assets: Vec<Asset>,
    /// Most calls waiting before `Overloaded`.
    pub queue_max: usize,
    /// Bytes of journal between two snapshots.
    pub snapshot_bytes: u64,
    /// Postings stop when the disk has less space free, in thousandths.
    pub disk_free_min_per_mille: u32,
    /// Size of a journal segment in bytes; fixed at the first start.
    pub segment_bytes: u64,
    /// Time between two checkpoints, when there is news.
    pub checkpoint_interval: Duration,
    /// Name of the key that signs checkpoints; `None` = `florin/ledger/{ledgerId}`.
    pub checkpoint_key_name: Option<String>,
    /// File operations of the journal; tests put faults in.
    pub io: Arc<dyn Io>,
}

impl OpenOptions {
    /// Defaults for a directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            assets: Asset::standard(),
            queue_max: 16_384,
            snapshot_bytes: 512 << 20,
            disk_free_min_per_mille: 50,
            segment_bytes: crate::journal::DEFAULT_SEGMENT_BYTES,
            checkpoint_interval: Duration::from_secs(60),
            checkpoint_key_name: None,
            io: Arc::new(crate::journal::RealIo),
        }
    }
}

/// Why a ledger did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the ledger in {0} is open in another process")]
    Locked(PathBuf),
    /// Something had to be recorded first, and the store takes nothing: why.
    #[error("it takes no postings: {0}")]
    TakesNoPostings(String),
    /// What is wrong and where, with the remedy.
    #[error("{0}")]
    Refused(String),
}

/// Why what an opening records was not taken, in the words of the status where it has any.
pub(crate) fn takes_nothing(unavailable: Unavailable, status: &Status) -> OpenError {
    let told = status.failed.as_ref().or(status.refusing.as_ref());
    OpenError::TakesNoPostings(told.map_or_else(|| unavailable.to_string(), Clone::clone))
}

struct Inner {
    policy: Arc<Policy>,
    ledger_id: Uuid,
    dir: PathBuf,
    directory: Arc<Directory>,
    store: Arc<Store>,
    tree: Arc<LedgerTree>,
    progress: Arc<Progress>,
    queue: Arc<Queue>,
    status: Arc<Mutex<Status>>,
    clock: Arc<dyn Clock>,
    ids: Mutex<IdSource>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    checkpoints: Arc<Checkpoints>,
    checkpointer: Mutex<Option<Checkpointer>>,
    torn_bytes_cut: u64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    fn stop(&self) {
        // A queue that is closed already has stopped its writer.
        let _closed = self.queue.push(Message::Stop);
        for thread in self.threads.lock().drain(..) {
            drop(thread.join());
        }
        if let Some(checkpointer) = self.checkpointer.lock().take() {
            checkpointer.stop();
        }
    }
}

/// A handle to an open embedded ledger; clones share it. Dropping the last one closes it.
#[derive(Clone)]
pub(crate) struct Embedded {
    inner: Arc<Inner>,
}

impl Embedded {
    /// Opens (recovers) the ledger in a directory, or makes one.
    ///
    /// # Errors
    /// [`OpenError`]: locked by another process, damaged files (with file, offset and remedy),
    /// no space. A torn tail of the journal is cut and is no error.
    pub fn open(
        options: OpenOptions,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        open::open(options, policy, clock)
    }

    /// Decides a call durably: the answer comes after the journal was synced.
    ///
    /// # Errors
    /// [`Unavailable`]; only `CommitUnknown` leaves open whether the call was done.
    pub async fn submit(&self, call: Call) -> Result<Answer, Unavailable> {
        let (sender, receiver) = oneshot::channel();
        self.inner
            .queue
            .push(Message::Call(Box::new(call), sender))?;
        // A dropped sender means that the writer ended unexpectedly, perhaps after its sync.
        receiver.await.unwrap_or(Err(Unavailable::CommitUnknown))
    }

    /// Answers from memory; shows every write acknowledged before.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn query(&self, query: Query) -> Result<View, Unavailable> {
        let (sender, receiver) = oneshot::channel();
        self.inner.queue.push(Message::Query(query, sender))?;
        receiver.await.unwrap_or(Err(Unavailable::StoreUnavailable))
    }

    /// Ledger time now. A [`IndexView`] taken after it holds everything recorded up to it, for
    /// ever: later records get later times.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn settled_time(&self) -> Result<florin_base::Timestamp, Unavailable> {
        match self.query(Query::Time).await? {
            View::Time(at) => Ok(at),
            _ => Err(Unavailable::StoreUnavailable),
        }
    }

    /// Waits until the derived index has everything durable now (bounded), and returns a
    /// consistent, cloneable view for blocking reads (`spawn_blocking`).
    ///
    /// # Errors
    /// `StoreUnavailable` when the index stopped or does not catch up in 5 s.
    pub async fn read_view(&self) -> Result<IndexView, Unavailable> {
        let durable = self.inner.progress.durable();
        let caught_up = self.inner.progress.indexed_through(durable.frame);
        match tokio::time::timeout(CATCH_UP_MAX, caught_up).await {
            Ok(true) => Ok(self.view_at(durable.seq)),
            _ => Err(Unavailable::StoreUnavailable),
        }
    }

    fn view_at(&self, seq: u64) -> IndexView {
        IndexView {
            store: self.inner.store.clone(),
            tree: self.inner.tree.clone(),
            seq,
        }
    }

    /// Last durable and indexed `seq`; changes wake feed followers.
    pub fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.progress.watch()
    }

    /// Last `seq` that is durable; at least that of every acknowledged call.
    pub fn durable_seq(&self) -> u64 {
        self.inner.progress.durable().seq
    }

    /// A fresh UUIDv7 from the ledger's clock.
    pub fn new_id(&self) -> Uuid {
        self.inner
            .ids
            .lock()
            .uuid_v7(self.inner.clock.wall_micros())
    }

    /// The ledger's own id.
    pub fn ledger_id(&self) -> Uuid {
        self.inner.ledger_id
    }

    /// The ledger's directory.
    pub fn dir(&self) -> &std::path::Path {
        &self.inner.dir
    }

    /// Settings in force.
    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// An asset by number, which comes from an answer, a view or a record of this ledger.
    pub fn asset(&self, no: AssetNo) -> Arc<Asset> {
        self.inner.directory.asset(no)
    }

    /// An asset by code.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn asset_by_code(
        &self,
        code: &str,
    ) -> Result<Option<(AssetNo, Arc<Asset>)>, Unavailable> {
        let directory = &self.inner.directory;
        Ok(directory.asset_no(code).map(|no| (no, directory.asset(no))))
    }

    /// All assets in order of creation.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn assets(&self) -> Result<Vec<Arc<Asset>>, Unavailable> {
        Ok(self.inner.directory.assets())
    }

    /// How many accounts are wallets.
    ///
    /// # Errors
    /// None.
    pub async fn wallets(&self) -> Result<u64, Unavailable> {
        Ok(self.inner.directory.wallets())
    }

    /// The account of an id.
    pub async fn slot_of(&self, id: &AccountId) -> Result<Option<Slot>, Unavailable> {
        Ok(self.inner.directory.slot(id))
    }

    /// What never changes about an account. The slot comes from an answer, a view or a record of
    /// this ledger.
    pub fn facts(&self, slot: Slot) -> AccountFacts {
        self.inner.directory.facts(slot)
    }

    /// The owner of a wallet account.
    pub fn wallet_owner(&self, slot: Slot) -> Option<Arc<str>> {
        self.inner.directory.with_row(slot, |row| row.owner.clone())
    }

    /// State of the writer, for `/ready` and metrics.
    pub fn status(&self) -> Status {
        self.inner.status.lock().clone()
    }

    /// Calls waiting for the writer.
    pub fn queue_depth(&self) -> usize {
        self.inner.queue.depth()
    }

    /// Records that are durable but not indexed.
    pub fn index_lag(&self) -> u64 {
        self.inner
            .progress
            .durable()
            .seq
            .saturating_sub(self.inner.progress.indexed().seq)
    }

    /// The index stopped after a fault; lookups of older records fail.
    pub fn index_stopped(&self) -> bool {
        self.inner.progress.is_stopped()
    }

    /// Sizes of the index.
    pub fn index_stats(&self) -> IndexStats {
        self.inner.store.index.stats()
    }

    /// Bytes of the torn tail that this start cut off the journal.
    pub fn torn_bytes_cut(&self) -> u64 {
        self.inner.torn_bytes_cut
    }

    /// An operator takes the wall clock as it is (`florin ledger clock accept`).
    ///
    /// # Errors
    /// `StoreUnavailable` when the ledger is closing.
    pub async fn accept_clock(&self) -> Result<(), Unavailable> {
        let (sender, receiver) = oneshot::channel();
        self.inner.queue.push(Message::AcceptClock(sender))?;
        receiver.await.map_err(|_| Unavailable::StoreUnavailable)
    }

    /// Finishes what waits, takes a last snapshot, flushes the index, makes a last checkpoint.
    /// Blocks; later calls are refused.
    pub fn close(&self) {
        self.inner.stop();
    }
}
