//! Directories of embedded ledgers: one that is read, one that is written.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::SyncSender},
};

use parking_lot::Mutex;
use uuid::Uuid;

use super::{MigrateError, Target, refused};
use crate::{
    checkpoints::{self, Carried},
    engine::make_directory,
    journal::{
        DirLock, Frame, Journal, JournalError, JournalOptions, LOCK_FILE, RealIo, inspect,
        ledger_id_of,
    },
    record::codec::{self, Commit},
};

/// Directory of the journal in a ledger's directory.
const JOURNAL_DIR: &str = "journal";
/// Bytes of journal between two syncs.
const SYNC_BYTES: usize = 64 << 20;

/// A stopped ledger, locked while it is read.
pub(super) struct Reading {
    dir: PathBuf,
    ledger_id: Uuid,
    lock: Mutex<Option<DirLock>>,
}

/// What stops the walk through a journal.
enum Stop {
    /// Nobody takes the commits any more.
    Nobody,
    Failed(MigrateError),
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::Failed(refused(error))
    }
}

impl Reading {
    pub(super) fn open(dir: &Path) -> Result<Self, MigrateError> {
        let journal = dir.join(JOURNAL_DIR);
        let id = ledger_id_of(&RealIo, &journal).map_err(refused)?;
        let id = id.ok_or_else(|| refused(format!("there is no ledger in {}", dir.display())))?;
        let lock = lock(&journal)?;
        Ok(Self {
            dir: dir.to_owned(),
            ledger_id: Uuid::from_bytes(id),
            lock: Mutex::new(Some(lock)),
        })
    }

    pub(super) fn ledger_id(&self) -> Uuid {
        self.ledger_id
    }

    pub(super) fn checkpoints(&self) -> Result<Carried, MigrateError> {
        checkpoints::carry_from(&self.dir, self.ledger_id).map_err(refused)
    }

    pub(super) fn walk(&self, out: &SyncSender<Commit>) -> Result<(), MigrateError> {
        let journal = self.dir.join(JOURNAL_DIR);
        let walked = inspect(Arc::new(RealIo), &journal, &mut |frame: Frame<'_>| {
            let commit = codec::decode(frame.payload).map_err(|e| {
                Stop::Failed(refused(format!(
                    "frame {} of the journal: {e}",
                    frame.batch
                )))
            })?;
            out.send(commit).map_err(|_| Stop::Nobody)
        });
        match walked {
            Ok(_) | Err(Stop::Nobody) => Ok(()),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Lets somebody else lock the directory for a moment.
    pub(super) fn unlocked<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut held = self.lock.lock();
        drop(held.take());
        let done = work();
        // Whoever came first now finds the ledger as it was moved.
        *held = lock(&self.dir.join(JOURNAL_DIR)).ok();
        done
    }
}

fn lock(journal: &Path) -> Result<DirLock, MigrateError> {
    DirLock::acquire(journal, LOCK_FILE).map_err(|error| match error {
        JournalError::Locked { .. } => refused("the ledger is running: stop it first"),
        other => refused(other),
    })
}

/// A directory under construction, beside the place where it will stand.
pub(super) struct Writing {
    place: PathBuf,
    building: PathBuf,
    journal: Journal,
    payload: Vec<u8>,
    offsets: Vec<u32>,
    unsynced: usize,
    seq: u64,
    note: u64,
}

fn could_not<'p>(
    what: &'static str,
    path: &'p Path,
) -> impl FnOnce(io::Error) -> MigrateError + 'p {
    move |error| refused(format!("cannot {what} {}: {error}", path.display()))
}

impl Writing {
    pub(super) fn begin(dir: &Path, ledger_id: Uuid) -> Result<Self, MigrateError> {
        let is_taken = match std::fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(could_not("read", dir)(error)),
        };
        if is_taken {
            return Err(refused(format!(
                "{} is not empty: move into a directory of its own",
                dir.display()
            )));
        }
        let mut name = dir
            .file_name()
            .ok_or_else(|| refused("the target has no name"))?
            .to_owned();
        name.push(".moving");
        let building = dir.with_file_name(name);
        // What an earlier try left is only a copy.
        match std::fs::remove_dir_all(&building) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(could_not("remove", &building)(error));
            }
            _ => {}
        }
        make_directory(&building, ledger_id).map_err(could_not("make", &building))?;
        let options = JournalOptions::new(*ledger_id.as_bytes());
        let opened = Journal::open(&building.join(JOURNAL_DIR), options, &mut |_| {
            Ok::<(), JournalError>(())
        });
        let (journal, _) = opened.map_err(refused)?;
        Ok(Self {
            place: dir.to_owned(),
            building,
            journal,
            payload: Vec::new(),
            offsets: Vec::new(),
            unsynced: 0,
            seq: 0,
            note: 0,
        })
    }

    /// Puts the whole directory in its place.
    pub(super) fn finish(mut self, carried: &Carried) -> Result<(), MigrateError> {
        self.journal.sync().map_err(refused)?;
        drop(self.journal);
        checkpoints::carry_to(&self.building, carried).map_err(refused)?;
        let sync = |path: &Path| File::open(path).and_then(|dir| dir.sync_all());
        sync(&self.building).map_err(could_not("sync", &self.building))?;
        match std::fs::remove_dir(&self.place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(could_not("replace", &self.place)(error));
            }
            _ => {}
        }
        std::fs::rename(&self.building, &self.place).map_err(could_not("make", &self.place))?;
        let parent = self.place.parent().filter(|p| !p.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        sync(parent).map_err(could_not("sync", parent))
    }
}

impl Target for Writing {
    fn place(&self) -> (u64, u64) {
        (self.seq, self.note)
    }

    fn append(&mut self, commit: &Commit) -> Result<(), MigrateError> {
        codec::encode(
            &commit.header,
            &commit.records,
            &commit.notes,
            &mut self.payload,
            &mut self.offsets,
        );
        let frame = self.journal.end().batch;
        self.journal.append(frame, &self.payload).map_err(refused)?;
        self.seq += commit.records.len() as u64;
        self.note += commit.notes.len() as u64;
        self.unsynced += self.payload.len();
        if self.unsynced >= SYNC_BYTES {
            self.journal.sync().map_err(refused)?;
            self.unsynced = 0;
        }
        self.journal.prepare_next();
        Ok(())
    }
}
