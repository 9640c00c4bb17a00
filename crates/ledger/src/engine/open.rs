//! Start-up: snapshot, journal, index, then the threads.

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
};

use florin_base::{Clock, IdSource, Timestamp};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{
    ClockState, Embedded, Inner, OpenError, OpenOptions, Status,
    checkpointer::Checkpointer,
    directory::Directory,
    history::{Committed, History},
    indexer::Indexer,
    meta::Meta,
    progress::{Mark, Progress},
    proofs::LedgerTree,
    queue::{Message, Queue},
    snapshot::{self, Head, Loaded},
    state::State,
    store::{self, Store},
    takes_nothing,
    time::LedgerTime,
    writer::{Run, Writer},
};
use crate::{
    call::Call,
    checkpoints::Checkpoints,
    index::{Index, Options},
    journal::{Frame, Journal, JournalError, JournalOptions, Lsn, Recovery},
    policy::Policy,
    record::codec,
};

/// Commits between writer and indexer.
const COMMITS_WAITING: usize = 4_096;

fn refused(what: impl std::fmt::Display) -> OpenError {
    OpenError::Refused(what.to_string())
}

/// Errors while frames are visited.
enum Visit {
    Journal(JournalError),
    Other(String),
}

impl From<JournalError> for Visit {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// See [`Embedded::open`].
pub(super) fn open(
    options: OpenOptions,
    policy: Policy,
    clock: Arc<dyn Clock>,
) -> Result<Embedded, OpenError> {
    let mut ids = IdSource::new();
    let new_id = ids.uuid_v7(clock.wall_micros());
    let meta = Meta::load_or_create(&options.dir, new_id)
        .map_err(|e| refused(format!("{}: {e}", options.dir.display())))?;
    let policy = Arc::new(policy);
    let recovered = Recovered::recover(&options, &meta)?;
    let progress = recovered.progress.clone();
    let status = Arc::new(Mutex::new(Status {
        failed: None,
        refusing: None,
        clock: ClockState::Good,
        disk_free_per_mille: None,
        head: crate::call::Head {
            seq: recovered.seq,
            batch: recovered.batch,
            recorded_at: recovered.recorded_at,
        },
    }));
    let checkpoints = open_checkpoints(&options, &meta, &recovered, clock.wall_micros())?;
    let queue = Arc::new(Queue::new(options.queue_max));
    let inner = Inner {
        policy: policy.clone(),
        ledger_id: meta.ledger_id,
        dir: options.dir.clone(),
        directory: recovered.directory.clone(),
        store: recovered.store.clone(),
        tree: Arc::new(LedgerTree::of(recovered.store.clone())),
        progress: progress.clone(),
        queue: queue.clone(),
        status: status.clone(),
        clock: clock.clone(),
        ids: Mutex::new(ids),
        threads: Mutex::default(),
        checkpoints: checkpoints.clone(),
        checkpointer: Mutex::default(),
        torn_bytes_cut: recovered.recovery.torn_bytes_cut,
    };
    let ledger = Embedded {
        inner: Arc::new(inner),
    };
    let missing: Vec<_> = options
        .assets
        .iter()
        .filter(|a| recovered.directory.asset_no(&a.code).is_none())
        .cloned()
        .collect();
    recovered.start(
        &ledger,
        &options,
        meta.ledger_id,
        policy,
        clock,
        queue.clone(),
        status,
    )?;
    let Inner {
        store,
        tree,
        progress,
        ..
    } = &*ledger.inner;
    let checkpointer = Checkpointer::start(
        checkpoints,
        store.clone(),
        tree.clone(),
        progress.clone(),
        options.checkpoint_interval,
    )?;
    *ledger.inner.checkpointer.lock() = Some(checkpointer);
    for asset in missing {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let call = Box::new(Call::CreateAsset { actor: None, asset });
        queue.push(Message::Call(call, sender)).map_err(refused)?;
        // A thread of its own, because callers may be inside an async runtime.
        let answer = std::thread::scope(|scope| scope.spawn(|| receiver.blocking_recv()).join());
        let answer = answer.map_err(|_| refused("the ledger's thread panicked"))?;
        let why = |unavailable| takes_nothing(unavailable, &ledger.status());
        answer.map_err(refused)?.map_err(why)?;
    }
    Ok(ledger)
}

/// The checkpoints; what they have signed must still be there.
fn open_checkpoints(
    options: &OpenOptions,
    meta: &Meta,
    recovered: &Recovered,
    wall_micros: i64,
) -> Result<Arc<Checkpoints>, OpenError> {
    let name = options.checkpoint_key_name.as_deref();
    let checkpoints = Checkpoints::open(&options.dir, meta.ledger_id, name, Timestamp(wall_micros))
        .map_err(refused)?;
    let signed = checkpoints
        .newest()
        .map_err(refused)?
        .map_or(0, |c| c.batch);
    if signed > recovered.batch {
        return Err(refused(format!(
            "the journal ends at batch {}, but a checkpoint was signed for batch {signed}: the journal lost \
             acknowledged commits; restore it from a backup",
            recovered.batch
        )));
    }
    Ok(Arc::new(checkpoints))
}

/// A ledger as read from its files, before its threads run.
struct Recovered {
    journal: Journal,
    recovery: Recovery,
    state: State,
    directory: Arc<Directory>,
    store: Arc<Store>,
    progress: Arc<Progress>,
    indexer: Indexer,
    snapshot: Option<Head>,
    seq: u64,
    batch: u64,
    note: u64,
    recorded_at: Timestamp,
}

/// State and place after snapshot and journal.
struct Replay {
    state: Option<State>,
    loaded: Option<Loaded>,
    seq: u64,
    batch: u64,
    note: u64,
    recorded_at: Timestamp,
}

impl Replay {
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Visit> {
        let commit = codec::decode(frame.payload).map_err(|e| {
            Visit::Other(format!(
                "frame {} of the journal: {e}; restore from a backup",
                frame.batch
            ))
        })?;
        let loaded = self.loaded.as_ref();
        let number = frame.batch;
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        for record in &commit.records {
            state.replay(record, |slot| {
                loaded.is_none_or(|l| !l.covers(slot, number))
            });
        }
        self.seq += commit.records.len() as u64;
        self.note += commit.notes.len() as u64;
        self.batch = commit.header.batch;
        self.recorded_at = commit.header.recorded_at;
        Ok(())
    }
}

impl Recovered {
    fn recover(options: &OpenOptions, meta: &Meta) -> Result<Self, OpenError> {
        let (index, covered) = Index::open(
            &options.dir.join("index"),
            store::layout(),
            Options::default(),
        )
        .map_err(|e| {
            refused(format!(
                "{e}; the index is derived: run `florin ledger rebuild-index`"
            ))
        })?;
        let directory = Arc::new(Directory::default());
        // The state needs a store and the store a journal, which is opened by replaying into the
        // state: so it replays into a state without history first.
        let mut replay = load_snapshot(options, meta, &directory);
        let journal_options = JournalOptions {
            segment_bytes: options.segment_bytes,
            max_payload_bytes: crate::journal::MAX_PAYLOAD_BYTES
                .min((options.segment_bytes / 2) as usize),
            io: options.io.clone(),
            from: replay.loaded.as_ref().map(|l| l.head.position),
            ..JournalOptions::new(*meta.ledger_id.as_bytes())
        };
        let opened = Journal::open(
            &options.dir.join("journal"),
            journal_options,
            &mut |frame| replay.frame(&frame),
        );
        let (journal, recovery) = opened.map_err(|e| open_error(e, &options.dir))?;
        let last_frame = recovery.end.batch - 1;
        if covered.batch > last_frame {
            return Err(refused(format!(
                "the journal ends at frame {last_frame}, but the index has seen frame {}: the journal lost \
                 acknowledged commits; restore it from a backup",
                covered.batch
            )));
        }
        let hash_key = meta.key().map_err(refused)?;
        let store = Arc::new(Store {
            index,
            journal: journal.reader(),
            directory: directory.clone(),
            hash_key,
        });
        let progress = Arc::new(Progress::new(Mark {
            frame: covered.batch,
            seq: covered.seq,
        }));
        let mut indexer =
            Indexer::new(store.clone(), progress.clone(), meta.ledger_id).map_err(refused)?;
        catch_up(&store, &mut indexer, covered.batch)?;
        progress.set_durable(Mark {
            frame: last_frame,
            seq: replay.seq,
        });
        let mut state = replay
            .state
            .take()
            .ok_or_else(|| refused("the state was not recovered"))?;
        state.history = Some(History::new(store.clone(), progress.clone()));
        Ok(Self {
            journal,
            recovery,
            state,
            directory,
            store,
            progress,
            indexer,
            snapshot: replay.loaded.map(|l| l.head),
            seq: replay.seq,
            batch: replay.batch,
            note: replay.note,
            recorded_at: replay.recorded_at,
        })
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "hands each part to the thread that owns it from now on"
    )]
    fn start(
        self,
        ledger: &Embedded,
        options: &OpenOptions,
        ledger_id: Uuid,
        policy: Arc<Policy>,
        clock: Arc<dyn Clock>,
        queue: Arc<Queue>,
        status: Arc<Mutex<Status>>,
    ) -> Result<(), OpenError> {
        let (commits, receiver) = sync_channel(COMMITS_WAITING);
        let snapshot_at = self.snapshot.map_or(
            crate::journal::Position {
                lsn: Lsn(0),
                ..self.recovery.end
            },
            |h| h.position,
        );
        let writer = Writer {
            time: LedgerTime::new(clock, self.recorded_at.0, policy.clock_forward_max_micros),
            state: self.state,
            journal: self.journal,
            policy,
            queue,
            progress: self.progress,
            commits: Some(commits),
            status,
            ledger_id: ledger_id.as_u128(),
            seq: self.seq,
            batch: self.batch,
            note: self.note,
            snapshot_dir: options.dir.join("snapshots"),
            snapshot_bytes: options.snapshot_bytes,
            snapshot_at,
            min_free_per_mille: options.disk_free_min_per_mille,
            run: Run::default(),
        };
        let indexer = self.indexer;
        let writer_guard = Guard::new("the ledger's writer", ledger);
        let index_guard = Guard::new("the ledger's indexer", ledger);
        let mut threads = ledger.inner.threads.lock();
        threads.push(spawn("florin-ledger", move || {
            let _guard = writer_guard;
            writer.run();
        })?);
        threads.push(spawn("florin-index", move || {
            let _guard = index_guard;
            run_indexer(indexer, &receiver);
        })?);
        Ok(())
    }
}

/// A thread that panics must not leave callers waiting: no postings from then on, and everybody
/// who waits is answered.
struct Guard {
    name: &'static str,
    queue: Arc<Queue>,
    status: Arc<Mutex<Status>>,
    progress: Arc<Progress>,
}

impl Guard {
    fn new(name: &'static str, ledger: &Embedded) -> Self {
        let Inner {
            queue,
            status,
            progress,
            ..
        } = &*ledger.inner;
        Self {
            name,
            queue: queue.clone(),
            status: status.clone(),
            progress: progress.clone(),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("{} panicked; no postings until a restart", self.name);
            self.status.lock().failed = Some(format!("{} panicked", self.name));
            self.progress.stop();
            drop(self.queue.close());
        }
    }
}

fn run_indexer(indexer: Indexer, receiver: &Receiver<Arc<Committed>>) {
    indexer.run(receiver);
}

fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|e| refused(format!("no thread: {e}")))
}

fn open_error(error: Visit, dir: &Path) -> OpenError {
    match error {
        Visit::Journal(JournalError::Locked { .. }) => OpenError::Locked(dir.to_owned()),
        Visit::Journal(error) => refused(error),
        Visit::Other(what) => refused(what),
    }
}

/// The newest snapshot that can be read; else an empty state.
fn load_snapshot(options: &OpenOptions, meta: &Meta, directory: &Arc<Directory>) -> Replay {
    let files = snapshot::list(&options.dir.join("snapshots")).unwrap_or_default();
    for path in files {
        let mut state = State::new(directory.clone(), None);
        match snapshot::load(&path, &mut state) {
            Ok(loaded) if loaded.head.ledger_id == meta.ledger_id.as_u128() => {
                let Head {
                    seq,
                    batch,
                    note,
                    recorded_at,
                    ..
                } = loaded.head;
                return Replay {
                    state: Some(state),
                    loaded: Some(loaded),
                    seq,
                    batch,
                    note,
                    recorded_at,
                };
            }
            Ok(_) => {
                tracing::warn!(path = %path.display(), "a snapshot of another ledger was passed over")
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a snapshot was passed over")
            }
        }
        directory.clear();
    }
    let state = Some(State::new(directory.clone(), None));
    Replay {
        state,
        loaded: None,
        seq: 0,
        batch: 0,
        note: 0,
        recorded_at: Timestamp(0),
    }
}

/// Indexes what the journal has beyond the index.
fn catch_up(store: &Arc<Store>, indexer: &mut Indexer, covered: u64) -> Result<(), OpenError> {
    let from = match store.last_indexed_payload().map_err(refused)? {
        Some(payload) if covered > 0 => store.journal.frame_start(Lsn(payload)),
        _ => Lsn(0),
    };
    for frame in store.journal.frames_from(from, store.journal.durable_end()) {
        let frame = frame.map_err(refused)?;
        if frame.batch <= covered {
            continue;
        }
        let commit = codec::decode(&frame.payload).map_err(refused)?;
        let committed = Committed {
            frame: frame.batch,
            header: commit.header,
            records: commit.records,
            notes: commit.notes,
            payload_lsn: frame.payload_lsn.0,
            offsets: commit.offsets,
        };
        indexer.apply(&committed).map_err(refused)?;
    }
    Ok(())
}
