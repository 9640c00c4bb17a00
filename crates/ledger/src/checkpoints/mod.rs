//! The checkpoints of a ledger, and the keys that sign them (contract A9): on disk, or on a
//! [`Shelf`] that several processes share.
//!
//! Purpose: what was once signed and shown is there for ever, under its number. Boundary: knows
//! files and signatures, neither the journal nor a clock; what a checkpoint states comes from the
//! caller.
//!
//! # Files in the ledger's directory
//! * `checkpoints.ndjson`: one [`Checkpoint`] a line, appended and synced before it is shown.
//! * `checkpoint.key`: the secret of the key in use, 64 hex digits, readable by the owner only.
//! * `checkpoint-keys.json`: every public key that was ever in use, with its validity.
//!
//! # Invariants
//! Numbers are 1, 2, 3 …; batches grow and tree sizes never fall from one to the next. A last
//! line cut short by a crash was never shown and is cut off; any other damage stops the opening.
//! The secret is replaced before the list of public keys: after a crash between the two the list
//! is completed from the secret, and no signature is without its listed key.

mod file;
mod keys;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use florin_base::{Secret, Timestamp};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::proof::{Checkpoint, CheckpointBody, NoteError, Signer};
use file::CheckpointFile;
use keys::KeyFiles;
pub use keys::KeyValidity;

/// Name of the file of checkpoints.
pub const CHECKPOINTS_FILE: &str = "checkpoints.ndjson";
/// Name of the file of the secret key.
pub const KEY_FILE: &str = "checkpoint.key";
/// Name of the file of public keys.
pub const KEYS_FILE: &str = "checkpoint-keys.json";

/// Why checkpoints cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file could not be read or written.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("{}{} is damaged: {what}. {hint}", path.display(), line.map_or(String::new(), |l| format!(" line {l}")))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line from 1, in files of lines.
        line: Option<u64>,
        /// What was found.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// The name configured for the key is none.
    #[error("the checkpoint key: {0}")]
    Key(#[from] NoteError),
    /// The caller's checkpoint does not follow the last one.
    #[error("checkpoint {number} does not follow the last one: {what}")]
    OutOfOrder {
        /// Its number.
        number: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The shared store does not answer, or holds what nobody wrote.
    #[error("the shared checkpoints: {0}")]
    Shelf(String),
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, CheckpointError>;

fn failed<'p>(op: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> CheckpointError + 'p {
    move |source| CheckpointError::Io {
        op,
        path: path.to_owned(),
        source,
    }
}

/// Where several processes keep the checkpoints and keys of one ledger together. Methods block.
pub trait Shelf: std::fmt::Debug + Send + Sync {
    /// See [`Checkpoints::make`].
    ///
    /// # Errors
    /// `Shelf`, `OutOfOrder`.
    fn make(&self, body: &CheckpointBody) -> Result<Checkpoint>;
    /// See [`Checkpoints::count`].
    ///
    /// # Errors
    /// `Shelf`.
    fn count(&self) -> Result<u64>;
    /// See [`Checkpoints::get`].
    ///
    /// # Errors
    /// `Shelf`.
    fn get(&self, number: u64) -> Result<Option<Checkpoint>>;
    /// See [`Checkpoints::covering`].
    ///
    /// # Errors
    /// `Shelf`.
    fn covering(&self, seq: u64) -> Result<Option<Checkpoint>>;
    /// Those with numbers below `before`, newest first.
    ///
    /// # Errors
    /// `Shelf`.
    fn list_newest_first(&self, before: u64, limit: usize) -> Result<Vec<Checkpoint>>;
    /// See [`Checkpoints::keys`].
    ///
    /// # Errors
    /// `Shelf`.
    fn keys(&self) -> Result<Vec<KeyValidity>>;
    /// See [`Checkpoints::rotate`].
    ///
    /// # Errors
    /// `Shelf`.
    fn rotate(&self, now: Timestamp) -> Result<KeyValidity>;
}

#[derive(Debug)]
struct Files {
    file: CheckpointFile,
    keys: Mutex<KeyFiles>,
    signer: RwLock<Arc<Signer>>,
}

#[derive(Debug)]
enum Kept {
    Files(Box<Files>),
    Shelf(Arc<dyn Shelf>),
}

/// The checkpoints and keys of one ledger. Shared by threads; appends take turns.
#[derive(Debug)]
pub struct Checkpoints {
    ledger_id: Uuid,
    kept: Kept,
}

impl Checkpoints {
    /// Opens the checkpoints in a ledger's directory and makes a key on first use. `key_name`
    /// is `florin/ledger/{ledgerId}` when left out; another name than before counts as another
    /// key. `now` becomes the start of a new key's validity.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] for anything that no crash explains, `Io`, `Key`.
    pub fn open(
        dir: &Path,
        ledger_id: Uuid,
        key_name: Option<&str>,
        now: Timestamp,
    ) -> Result<Self> {
        let origin = CheckpointBody::origin(ledger_id);
        let (keys, signer) = KeyFiles::open(dir, key_name.unwrap_or(&origin), now)?;
        let files = Files {
            file: CheckpointFile::open(&dir.join(CHECKPOINTS_FILE), ledger_id)?,
            keys: Mutex::new(keys),
            signer: RwLock::new(Arc::new(signer)),
        };
        Ok(Self {
            ledger_id,
            kept: Kept::Files(Box::new(files)),
        })
    }

    /// The checkpoints of a ledger that several processes share.
    pub fn shared(ledger_id: Uuid, shelf: Arc<dyn Shelf>) -> Self {
        Self {
            ledger_id,
            kept: Kept::Shelf(shelf),
        }
    }

    /// Signs a statement, numbers it, makes it durable. A statement equal to the last one is
    /// answered with that: there is no news.
    ///
    /// # Errors
    /// `OutOfOrder` when it does not follow the last one; `Io`, after which the store is as
    /// before and the call may be repeated.
    pub fn make(&self, body: &CheckpointBody) -> Result<Checkpoint> {
        let files = match &self.kept {
            Kept::Files(files) => files,
            Kept::Shelf(shelf) => return shelf.make(body),
        };
        if let Some(last) = self.newest()?
            && last.batch == body.batch
            && last.tree_size == body.tree_size
            && last.root_hash == body.root_hash
        {
            return Ok(last);
        }
        let signer = Arc::clone(&files.signer.read());
        files
            .file
            .append(|number| Checkpoint::sign(number, body, &[&signer]))
    }

    /// The ledger that the checkpoints are about.
    pub fn ledger_id(&self) -> Uuid {
        self.ledger_id
    }

    /// How many there are; also the number of the newest.
    ///
    /// # Errors
    /// `Shelf`.
    pub fn count(&self) -> Result<u64> {
        match &self.kept {
            Kept::Files(files) => Ok(files.file.count()),
            Kept::Shelf(shelf) => shelf.count(),
        }
    }

    /// A checkpoint by number, from 1.
    ///
    /// # Errors
    /// `Io`, `Damaged`, `Shelf`.
    pub fn get(&self, number: u64) -> Result<Option<Checkpoint>> {
        match &self.kept {
            Kept::Files(files) => files.file.get(number),
            Kept::Shelf(shelf) => shelf.get(number),
        }
    }

    /// The newest.
    ///
    /// # Errors
    /// `Io`, `Damaged`, `Shelf`.
    pub fn newest(&self) -> Result<Option<Checkpoint>> {
        let newest = self.list_newest_first(None, 1)?;
        Ok(newest.into_iter().next())
    }

    /// The oldest whose tree holds record `seq`.
    ///
    /// # Errors
    /// `Io`, `Damaged`, `Shelf`.
    pub fn covering(&self, seq: u64) -> Result<Option<Checkpoint>> {
        match &self.kept {
            Kept::Files(files) => files.file.get(files.file.first_covering(seq)),
            Kept::Shelf(shelf) => shelf.covering(seq),
        }
    }

    /// At most `limit` with numbers below `before` (all, if left out), newest first.
    ///
    /// # Errors
    /// `Io`, `Damaged`, `Shelf`.
    pub fn list_newest_first(&self, before: Option<u64>, limit: usize) -> Result<Vec<Checkpoint>> {
        let files = match &self.kept {
            Kept::Files(files) => files,
            Kept::Shelf(shelf) => {
                return shelf.list_newest_first(before.unwrap_or(u64::MAX), limit);
            }
        };
        let end = before
            .map_or(u64::MAX, |b| b.saturating_sub(1))
            .min(files.file.count());
        let mut found = Vec::new();
        for number in (1..=end).rev().take(limit) {
            found.extend(files.file.get(number)?);
        }
        Ok(found)
    }

    /// Every key that was ever in use, oldest first, the one in use last.
    ///
    /// # Errors
    /// `Shelf`.
    pub fn keys(&self) -> Result<Vec<KeyValidity>> {
        match &self.kept {
            Kept::Files(files) => Ok(files.keys.lock().list().to_vec()),
            Kept::Shelf(shelf) => shelf.keys(),
        }
    }

    /// Makes a new key that signs from now on; the old one stays listed as valid until `now`.
    ///
    /// # Errors
    /// `Io`, `Shelf`. After an error the key in use is the old or the new one, as a restart will
    /// show.
    pub fn rotate(&self, now: Timestamp) -> Result<KeyValidity> {
        let files = match &self.kept {
            Kept::Files(files) => files,
            Kept::Shelf(shelf) => return shelf.rotate(now),
        };
        let mut keys = files.keys.lock();
        let signer = keys.rotate(now)?;
        let listed = keys.list().last().cloned();
        *files.signer.write() = Arc::new(signer);
        Ok(listed.expect("a rotation lists its new key"))
    }
}

/// All checkpoints in a directory, without changing anything there; a line cut short at the
/// end is left out. No file: none.
///
/// # Errors
/// `Damaged`, `Io`.
pub fn load_checkpoints(dir: &Path, ledger_id: Uuid) -> Result<Vec<Checkpoint>> {
    file::load(&dir.join(CHECKPOINTS_FILE), ledger_id)
}

/// All public keys listed in a directory, without changing anything there. No file: none.
///
/// # Errors
/// `Damaged`, `Io`.
pub fn load_keys(dir: &Path) -> Result<Vec<KeyValidity>> {
    keys::load(&dir.join(KEYS_FILE))
}

/// Checkpoints and keys on their way to another store.
pub(crate) struct Carried {
    pub checkpoints: Vec<Checkpoint>,
    pub keys: Vec<KeyValidity>,
    /// Secret of the key in use, where it is kept beside the ledger.
    pub seed: Option<Secret<[u8; 32]>>,
}

/// What a directory holds, without changing anything there.
///
/// # Errors
/// `Damaged`, `Io`.
pub(crate) fn carry_from(dir: &Path, ledger_id: Uuid) -> Result<Carried> {
    Ok(Carried {
        checkpoints: load_checkpoints(dir, ledger_id)?,
        keys: load_keys(dir)?,
        seed: keys::read_secret(&dir.join(KEY_FILE))?.map(Secret::new),
    })
}

/// Puts them into a directory that has none.
///
/// # Errors
/// `Io`.
pub(crate) fn carry_to(dir: &Path, carried: &Carried) -> Result<()> {
    file::write(&dir.join(CHECKPOINTS_FILE), &carried.checkpoints)?;
    keys::write(dir, &carried.keys, carried.seed.as_ref())
}

#[cfg(test)]
mod tests;
