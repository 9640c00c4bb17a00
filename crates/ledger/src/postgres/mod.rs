//! The PostgreSQL engine: any number of processes write to one ledger in one database schema.
//!
//! **How.** Each process gathers the calls that wait into a batch, locks the head row, reads what
//! the batch touches, judges it by the same rules as the embedded engine, writes records,
//! balances, identities and head with array statements, commits, then answers. While a batch
//! commits, the next one gathers. Processes may elect one of them to do so for all ([`sequencer`]).
//!
//! **Invariants.** Everything that decides stands in the transaction that holds the head row, so
//! `seq` has no gaps, ledger time never falls and the hash chain is one, whatever other processes
//! do; a process that was paused and comes back finds its transaction gone and does no harm.
//! Nothing is answered before the commit is known to have happened or not: after a connection is
//! lost in the middle of a commit, the outcome is read under the head's lock (`writers.attempt`).
//! What this process remembers of accounts is used only while the head says that nobody else
//! committed since.

mod ahead;
mod append;
mod apply;
mod archive;
mod archive_file;
mod archive_restore;
mod attempt;
mod batcher;
mod book;
mod cache;
mod clerk;
mod collect;
pub(crate) mod commits;
mod directory;
mod listen;
mod load;
pub(crate) mod moving;
mod partitions;
mod pulse;
mod queue;
mod reads;
mod reply;
mod rows;
mod schema;
mod sequencer;
mod session;
mod settle;
mod shards;
mod shown;
mod writes;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use florin_base::{Clock, IdSource, Secret, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

pub use self::archive::{ArchiveError, Archived};
pub(crate) use self::reads::PgView;
pub use self::sequencer::{Part, Sequencing};
use self::{
    batcher::Batcher,
    directory::Directory,
    queue::{Message, Queue},
    reads::Reads,
    reply::Reply,
    schema::Connections,
    sequencer::{Link, Sequencer},
};
use crate::{
    call::{Answer, Call, Head, Outcome, Unavailable},
    engine::{ClockState, OpenError, Status, takes_nothing},
    model::Asset,
    policy::Policy,
};

/// How to open a ledger in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`.
    pub url: Secret<String>,
    /// A read replica for reads that may be stale; `None` = they go to `url`.
    pub replica_url: Option<Secret<String>>,
    /// Schema of the ledger, `^[a-z_][a-z0-9_]{0,57}$`; made when missing.
    pub schema: String,
    /// Directory of this process for checkpoint keys and archives.
    pub dir: PathBuf,
    /// Assets that must exist after the start (created when missing).
    pub assets: Vec<Asset>,
    /// Most calls waiting before `Overloaded`.
    pub queue_max: usize,
    /// Most connections for reads.
    pub pool_max: u32,
    /// Longest wait of a read for a connection (contract E: 503 within a second).
    pub read_patience: Duration,
    /// Most accounts remembered between batches.
    pub accounts_cached: usize,
    /// Records from which on a batch is written in two steps, so that the next one is judged
    /// while the server writes: below, the further round trip costs more than is gained.
    pub large_batch: usize,
    /// Time between two checkpoints, when there is news.
    pub checkpoint_interval: Duration,
    /// Name of the key that signs checkpoints; `None` = `florin/ledger/{ledgerId}`.
    pub checkpoint_key_name: Option<String>,
    /// Secret of that key, 64 hex digits; `None` = one that is generated once and kept in the
    /// database.
    pub checkpoint_key: Option<Secret<String>>,
    /// Hands calls over to one process that decides for all; `None` = this process commits by
    /// itself and nobody hands it anything.
    pub sequencing: Option<Sequencing>,
}

impl PostgresOptions {
    /// Defaults for a database and a directory.
    pub fn new(url: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        Self {
            url: Secret::new(url.into()),
            replica_url: None,
            schema: "florin_ledger".into(),
            dir: dir.into(),
            assets: Asset::standard(),
            queue_max: 16_384,
            pool_max: 8,
            read_patience: schema::CONNECT_TIMEOUT,
            accounts_cached: 1_000_000,
            large_batch: 1_024,
            checkpoint_interval: Duration::from_secs(60),
            checkpoint_key_name: None,
            checkpoint_key: None,
            sequencing: None,
        }
    }
}

/// What the batcher, the listener and the handle share.
struct Shared {
    ledger_id: Uuid,
    policy: Arc<Policy>,
    clock: Arc<dyn Clock>,
    connections: Connections,
    hash_key: [u8; 16],
    queue: Queue,
    status: Mutex<Status>,
    directory: Arc<Directory>,
    /// Last `seq` known here to be committed.
    seq: watch::Sender<u64>,
    /// When the primary was last heard of.
    heard: Mutex<Instant>,
    /// Where calls go instead of the own queue.
    link: RwLock<Option<Arc<Link>>>,
    part: Mutex<Part>,
}

impl Shared {
    /// For how long nothing was heard of the primary. Its head is read every second.
    fn silent_for(&self) -> Duration {
        self.heard.lock().elapsed()
    }

    /// Hands a message to the sequencer, or to the own batcher.
    fn hand_in(&self, message: Message) -> Result<(), Unavailable> {
        let link = self.link.read().clone();
        match link {
            Some(link) => match link.send(message) {
                Ok(()) => Ok(()),
                Err(message) => self.queue.push(message),
            },
            None => self.queue.push(message),
        }
    }

    /// The own batcher decides a message that the sequencer did not.
    fn take_over(&self, message: Message) {
        self.queue.push_or_refuse(message);
    }

    /// A link takes no more calls.
    fn unlink(&self, ended: &Arc<Link>) {
        let mut link = self.link.write();
        if link.as_ref().is_some_and(|link| Arc::ptr_eq(link, ended)) {
            *link = None;
            *self.part.lock() = Part::Alone;
        }
    }

    /// The primary said where the head is, whoever moved it.
    fn advance(&self, head: Head) {
        *self.heard.lock() = Instant::now();
        let mut status = self.status.lock();
        if head.seq >= status.head.seq {
            status.head = head;
        }
        drop(status);
        self.seq.send_if_modified(|seq| {
            let moved = head.seq > *seq;
            *seq = head.seq.max(*seq);
            moved
        });
    }
}

/// Starts the batcher on a thread with a runtime of its own. A batcher that panics answers
/// nobody any more: callers waiting hear `CommitUnknown`, later ones `StoreUnavailable`.
fn start_batcher(
    shared: &Arc<Shared>,
    options: &PostgresOptions,
    channel: String,
) -> Result<JoinHandle<()>, OpenError> {
    let refused = |e: std::io::Error| OpenError::Refused(format!("no thread: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(refused)?;
    let batcher = Batcher::new(shared.clone(), channel, options);
    let guard = Guard(shared.clone());
    std::thread::Builder::new()
        .name("florin-ledger".into())
        .spawn(move || {
            let _guard = guard;
            runtime.block_on(batcher.run());
        })
        .map_err(refused)
}

struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the ledger's batcher panicked; no postings until a restart");
            self.0.status.lock().failed = Some("the ledger's batcher panicked".into());
            self.0.queue.close();
            self.0.queue.set_away(true);
        }
    }
}

/// A ledger in PostgreSQL, opened by this process.
pub(crate) struct Postgres {
    shared: Arc<Shared>,
    dir: PathBuf,
    reads: Reads,
    ids: Mutex<IdSource>,
    batcher: Mutex<Option<JoinHandle<()>>>,
    sequencer: Mutex<Option<Sequencer>>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.close();
    }
}

impl Postgres {
    /// See [`crate::Ledger::open_postgres`].
    pub(crate) async fn open(
        options: PostgresOptions,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let refused = |what: &dyn std::fmt::Display| OpenError::Refused(what.to_string());
        let connections = Connections::new(&options)?;
        let mut ids = IdSource::new();
        let new_id = ids.uuid_v7(clock.wall_micros());
        let facts = schema::prepare(&connections, &options, new_id).await?;
        std::fs::create_dir_all(&options.dir).map_err(|e| refused(&e))?;
        let head = Head {
            seq: 0,
            batch: 0,
            recorded_at: Timestamp(0),
        };
        let shared = Arc::new(Shared {
            ledger_id: facts.ledger_id,
            policy: Arc::new(policy),
            clock,
            hash_key: facts.identity_key,
            queue: Queue::new(options.queue_max),
            status: Mutex::new(Status {
                failed: None,
                refusing: None,
                clock: ClockState::Good,
                disk_free_per_mille: None,
                head,
            }),
            directory: Arc::new(Directory::new(options.accounts_cached)),
            seq: watch::channel(0).0,
            heard: Mutex::new(Instant::now()),
            link: RwLock::default(),
            part: Mutex::default(),
            connections: connections.clone(),
        });
        let reads = Reads::open(shared.clone(), &connections, &options, facts.ledger_id).await?;
        let channel = format!("{}_head", options.schema);
        let engine = Self {
            batcher: Mutex::new(Some(start_batcher(&shared, &options, channel.clone())?)),
            shared,
            dir: options.dir.clone(),
            reads,
            ids: Mutex::new(ids),
            sequencer: Mutex::default(),
        };
        engine.reads.follow(&connections, channel);
        engine.create_assets(options.assets).await?;
        if let Some(settings) = options.sequencing {
            let shared = engine.shared.clone();
            let sequencer = Sequencer::start(shared, settings, options.queue_max)?;
            *engine.sequencer.lock() = Some(sequencer);
        }
        Ok(engine)
    }

    /// Creates the assets that must exist and do not.
    async fn create_assets(&self, assets: Vec<Asset>) -> Result<(), OpenError> {
        for asset in assets {
            let refused = |what: &dyn std::fmt::Display| OpenError::Refused(what.to_string());
            let known = self.asset_by_code(&asset.code).await;
            if known.map_err(|e| refused(&e))?.is_some() {
                continue;
            }
            let call = Call::CreateAsset { actor: None, asset };
            let answer = self.submit(call).await;
            let answer = answer.map_err(|why| takes_nothing(why, &self.status()))?;
            // Another process may have made it with other decimals in the same moment.
            if let Outcome::Refused(refusal) = answer.outcome {
                return Err(refused(&format!(
                    "an asset of the settings: {}",
                    refusal.code
                )));
            }
        }
        Ok(())
    }

    pub(crate) async fn submit(&self, call: Call) -> Result<Answer, Unavailable> {
        let (sender, receiver) = oneshot::channel();
        let message = Message::Call(Box::new(call), Reply::Here(sender));
        self.shared.hand_in(message)?;
        // A dropped sender means that the batcher ended unexpectedly, perhaps after its commit.
        receiver.await.unwrap_or(Err(Unavailable::CommitUnknown))
    }

    pub(crate) async fn settled_time(&self) -> Result<Timestamp, Unavailable> {
        let (sender, receiver) = oneshot::channel();
        self.shared.hand_in(Message::Time(sender))?;
        receiver.await.unwrap_or(Err(Unavailable::StoreUnavailable))
    }

    pub(crate) async fn accept_clock(&self) -> Result<(), Unavailable> {
        let (sender, receiver) = oneshot::channel();
        self.shared.queue.push(Message::AcceptClock(sender))?;
        receiver.await.map_err(|_| Unavailable::StoreUnavailable)
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.shared.seq.subscribe()
    }

    pub(crate) fn durable_seq(&self) -> u64 {
        *self.shared.seq.borrow()
    }

    pub(crate) fn new_id(&self) -> Uuid {
        self.ids.lock().uuid_v7(self.shared.clock.wall_micros())
    }

    pub(crate) fn ledger_id(&self) -> Uuid {
        self.shared.ledger_id
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    pub(crate) fn status(&self) -> Status {
        self.shared.status.lock().clone()
    }

    pub(crate) fn queue_depth(&self) -> usize {
        self.shared.queue.depth()
    }

    /// The part this process plays among those that write to the ledger.
    pub(crate) fn part(&self) -> Part {
        self.shared.part.lock().clone()
    }

    fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    /// Decides what waits, then stops; later calls are refused.
    pub(crate) fn close(&self) {
        // Calls of others are decided, and calls handed over answered, before the queue closes.
        drop(self.sequencer.lock().take());
        self.shared.queue.close();
        if let Some(batcher) = self.batcher.lock().take() {
            drop(batcher.join());
        }
        self.reads.stop();
    }
}
