//! The one handle to a ledger, whichever engine keeps it. Callers see the same calls, answers and
//! refusals from both.

use std::{path::Path, sync::Arc};

use florin_base::{Clock, Timestamp};
use uuid::Uuid;

use crate::{
    call::{Answer, Call, Query, Unavailable, View},
    checkpoints::Checkpoints,
    engine::{Embedded, OpenError, OpenOptions, Status},
    index::IndexStats,
    model::{AccountFacts, AccountId, Asset, AssetNo, Slot},
    policy::Policy,
    postgres::{ArchiveError, Archived, Part, Postgres, PostgresOptions},
    proof::Checkpoint,
    view::ReadView,
};

#[derive(Clone)]
enum Engine {
    Embedded(Embedded),
    Postgres(Arc<Postgres>),
}

/// A handle to an open ledger; clones share it. Dropping the last one closes the ledger.
#[derive(Clone)]
pub struct Ledger(Engine);

/// Hands a call on to the engine behind a handle.
macro_rules! either {
    ($ledger:expr, $engine:ident => $call:expr) => {
        match &$ledger.0 {
            Engine::Embedded($engine) => $call,
            Engine::Postgres($engine) => $call,
        }
    };
}

impl Ledger {
    /// Opens (recovers) the embedded ledger in a directory, or makes one.
    ///
    /// # Errors
    /// [`OpenError`]: locked by another process, damaged files (with file, offset and remedy),
    /// no space. A torn tail of the journal is cut and is no error.
    pub fn open(
        options: OpenOptions,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        Embedded::open(options, policy, clock).map(|engine| Self(Engine::Embedded(engine)))
    }

    /// Opens the ledger in a schema of a PostgreSQL database, or makes one. Any number of
    /// processes may have it open.
    ///
    /// # Errors
    /// [`OpenError::Refused`] with cause and remedy: the database cannot be reached, or its
    /// schema was made by a newer version.
    pub async fn open_postgres(
        options: PostgresOptions,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let engine = Postgres::open(options, policy, clock).await?;
        Ok(Self(Engine::Postgres(Arc::new(engine))))
    }

    /// The PostgreSQL engine behind the handle, if it is one.
    pub(crate) fn as_postgres(&self) -> Option<&Arc<Postgres>> {
        match &self.0 {
            Engine::Embedded(_) => None,
            Engine::Postgres(engine) => Some(engine),
        }
    }

    /// Several processes may write to this ledger (it is kept in PostgreSQL).
    pub fn is_shared(&self) -> bool {
        self.as_postgres().is_some()
    }

    /// The part this process plays among those that write to a ledger in PostgreSQL.
    pub fn part(&self) -> Part {
        self.as_postgres()
            .map_or(Part::Alone, |engine| engine.part())
    }

    /// Decides a call durably: the answer comes after the commit.
    ///
    /// # Errors
    /// [`Unavailable`]; only `CommitUnknown` leaves open whether the call was done.
    pub async fn submit(&self, call: Call) -> Result<Answer, Unavailable> {
        either!(self, engine => engine.submit(call).await)
    }

    /// Shows every write acknowledged before.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn query(&self, query: Query) -> Result<View, Unavailable> {
        either!(self, engine => engine.query(query).await)
    }

    /// Ledger time now. A [`ReadView`] taken after it holds everything recorded up to it, for
    /// ever: later records get later times.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn settled_time(&self) -> Result<Timestamp, Unavailable> {
        either!(self, engine => engine.settled_time().await)
    }

    /// A consistent, cloneable view of everything acknowledged before, for blocking reads
    /// (`spawn_blocking`).
    ///
    /// # Errors
    /// `StoreUnavailable` when the store does not answer, or its index does not catch up in 5 s.
    pub async fn read_view(&self) -> Result<ReadView, Unavailable> {
        either!(self, engine => engine.read_view().await.map(Into::into))
    }

    /// The same for reads that may lack what other processes wrote a moment ago: a view of
    /// everything acknowledged by this handle, and at least up to `min` where that exists. Comes
    /// from a read replica when one is configured and keeps up. Nothing may be decided by it.
    ///
    /// # Errors
    /// As [`Self::read_view`].
    pub async fn recent_view(&self, min: u64) -> Result<ReadView, Unavailable> {
        match &self.0 {
            Engine::Embedded(engine) => engine.read_view().await.map(Into::into),
            Engine::Postgres(engine) => engine.recent_view(min).await.map(Into::into),
        }
    }

    /// Last `seq` that can be read; changes wake feed followers.
    pub fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        either!(self, engine => engine.watch())
    }

    /// Last `seq` known here to be durable; at least that of every call acknowledged here.
    pub fn durable_seq(&self) -> u64 {
        either!(self, engine => engine.durable_seq())
    }

    /// A fresh UUIDv7 from the ledger's clock.
    pub fn new_id(&self) -> Uuid {
        either!(self, engine => engine.new_id())
    }

    /// The ledger's own id.
    pub fn ledger_id(&self) -> Uuid {
        either!(self, engine => engine.ledger_id())
    }

    /// The ledger's directory: all of an embedded one; keys and archives of one in PostgreSQL.
    pub fn dir(&self) -> &Path {
        either!(self, engine => engine.dir())
    }

    /// Settings in force.
    pub fn policy(&self) -> &Policy {
        either!(self, engine => engine.policy())
    }

    /// An asset by number, which comes from an answer, a view or a record of this ledger.
    pub fn asset(&self, no: AssetNo) -> Arc<Asset> {
        either!(self, engine => engine.asset(no))
    }

    /// An asset by code.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn asset_by_code(
        &self,
        code: &str,
    ) -> Result<Option<(AssetNo, Arc<Asset>)>, Unavailable> {
        either!(self, engine => engine.asset_by_code(code).await)
    }

    /// All assets in order of creation.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn assets(&self) -> Result<Vec<Arc<Asset>>, Unavailable> {
        either!(self, engine => engine.assets().await)
    }

    /// How many wallets there are. In PostgreSQL this reads an index from end to end: a second or
    /// two for ten million.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn wallets(&self) -> Result<u64, Unavailable> {
        either!(self, engine => engine.wallets().await)
    }

    /// The account of an id.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn slot_of(&self, id: &AccountId) -> Result<Option<Slot>, Unavailable> {
        either!(self, engine => engine.slot_of(id).await)
    }

    /// What never changes about an account. The slot comes from an answer, a view or a record of
    /// this ledger.
    pub fn facts(&self, slot: Slot) -> AccountFacts {
        either!(self, engine => engine.facts(slot))
    }

    /// The owner of a wallet account.
    pub fn wallet_owner(&self, slot: Slot) -> Option<Arc<str>> {
        either!(self, engine => engine.wallet_owner(slot))
    }

    /// State of the writer, for `/ready` and metrics.
    pub fn status(&self) -> Status {
        either!(self, engine => engine.status())
    }

    /// Calls waiting for the writer.
    pub fn queue_depth(&self) -> usize {
        either!(self, engine => engine.queue_depth())
    }

    /// Records that are durable but not indexed; none in PostgreSQL.
    pub fn index_lag(&self) -> u64 {
        match &self.0 {
            Engine::Embedded(engine) => engine.index_lag(),
            Engine::Postgres(_) => 0,
        }
    }

    /// The index stopped after a fault; lookups of older records fail.
    pub fn index_stopped(&self) -> bool {
        match &self.0 {
            Engine::Embedded(engine) => engine.index_stopped(),
            Engine::Postgres(_) => false,
        }
    }

    /// Sizes of the index of an embedded ledger.
    pub fn index_stats(&self) -> Option<IndexStats> {
        match &self.0 {
            Engine::Embedded(engine) => Some(engine.index_stats()),
            Engine::Postgres(_) => None,
        }
    }

    /// Bytes of the torn tail that this start cut off the journal of an embedded ledger.
    pub fn torn_bytes_cut(&self) -> u64 {
        match &self.0 {
            Engine::Embedded(engine) => engine.torn_bytes_cut(),
            Engine::Postgres(_) => 0,
        }
    }

    /// An operator takes the wall clock as it is (`florin ledger clock accept`).
    ///
    /// # Errors
    /// `StoreUnavailable` when the ledger is closing.
    pub async fn accept_clock(&self) -> Result<(), Unavailable> {
        either!(self, engine => engine.accept_clock().await)
    }

    /// The checkpoints made so far and their keys.
    pub fn checkpoints(&self) -> &Checkpoints {
        either!(self, engine => engine.checkpoints())
    }

    /// Makes a checkpoint of everything acknowledged before the call, waiting for its hashes;
    /// `false` when the newest one covers it already, `None` for an empty ledger.
    ///
    /// # Errors
    /// `StoreUnavailable` when the hashes or the files cannot be had.
    pub async fn checkpoint_now(&self) -> Result<Option<(Checkpoint, bool)>, Unavailable> {
        either!(self, engine => engine.checkpoint_now().await)
    }

    /// Moves whole months of records before a time from the database to files in the ledger's
    /// directory, each read back before it is dropped. Balances, identities, history and hashes
    /// stay; archived records are not found any more.
    ///
    /// # Errors
    /// [`ArchiveError`]; months archived before it stay archived, and nothing is lost.
    pub async fn archive_before(&self, time: Timestamp) -> Result<Vec<Archived>, ArchiveError> {
        match &self.0 {
            Engine::Embedded(_) => Err(ArchiveError::Embedded),
            Engine::Postgres(engine) => engine.archive_before(time).await,
        }
    }

    /// Brings an archived month back from its file: its records are found again. The file is
    /// checked whole first and stays where it is.
    ///
    /// # Errors
    /// [`ArchiveError`]: a file of another ledger, a damaged one, one that is not archived; the
    /// ledger is as it was.
    pub async fn restore_archive(&self, file: &Path) -> Result<Archived, ArchiveError> {
        match &self.0 {
            Engine::Embedded(_) => Err(ArchiveError::Embedded),
            Engine::Postgres(engine) => engine.restore_archive(file).await,
        }
    }

    /// Finishes what waits and stops the ledger's threads; an embedded one takes a last snapshot
    /// and checkpoint. Blocks; later calls are refused.
    pub fn close(&self) {
        either!(self, engine => engine.close())
    }
}
