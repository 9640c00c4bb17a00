//! What can go wrong with the journal, worded for the person who has to act on it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Lsn;

/// Errors of the journal.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Another opener holds the directory.
    #[error("the journal is in use by another process: {} is locked", lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
    },
    /// The options contradict themselves or the files on disk.
    #[error("journal options: {0}")]
    Options(String),
    /// The files are not what was written. Nothing has been changed.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// The journal belongs to another ledger.
    #[error("{} belongs to ledger {found}, not to {expected}; check the data directory", file.display())]
    WrongLedger {
        /// The segment file.
        file: PathBuf,
        /// Ledger id in the file, hexadecimal.
        found: String,
        /// Ledger id asked for, hexadecimal.
        expected: String,
    },
    /// The disk or quota is full. Nothing has changed; the same call may succeed later.
    #[error("no space left for the journal: {0}")]
    NoSpace(#[source] io::Error),
    /// The file system is read-only. Nothing has changed; the same call may succeed later.
    #[error("the journal's file system is read-only: {0}")]
    ReadOnly(#[source] io::Error),
    /// A file could not be opened or listed. Nothing has changed; the same call may succeed later.
    #[error("cannot {op} {}: {source}", path.display())]
    Unavailable {
        /// What was tried.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A read, write or sync failed. After a failed write or sync the journal is poisoned.
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
    /// An earlier write or sync failed; only a restart with recovery goes on.
    #[error("the journal takes no more writes until restart: {because}")]
    Poisoned {
        /// The first failure.
        because: String,
    },
    /// The payload is larger than a frame may be.
    #[error("a payload of {bytes} bytes is above the limit of {limit}")]
    TooLarge {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The caller's batch number is not the next one. Nothing was written.
    #[error("batch {given} is not the next batch {expected}")]
    WrongBatch {
        /// Number given.
        given: u64,
        /// Number expected.
        expected: u64,
    },
    /// A read outside what is durable, or across the end of a segment.
    #[error("lsn {lsn} with {bytes} bytes is outside the durable log, which ends at {durable}")]
    OutOfRange {
        /// Start of the read.
        lsn: Lsn,
        /// Length of the read.
        bytes: u64,
        /// End of what is durable.
        durable: Lsn,
    },
}

impl JournalError {
    /// True if nothing changed and the same call may succeed once the cause is gone.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            JournalError::NoSpace(_) | JournalError::ReadOnly(_) | JournalError::Unavailable { .. }
        )
    }

    pub(super) fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        JournalError::Io {
            op,
            path: path.to_owned(),
            source,
        }
    }

    /// Names full and read-only disks as such; anything else goes to `otherwise`.
    pub(super) fn classify(source: io::Error, otherwise: impl FnOnce(io::Error) -> Self) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                JournalError::NoSpace(source)
            }
            io::ErrorKind::ReadOnlyFilesystem => JournalError::ReadOnly(source),
            _ => otherwise(source),
        }
    }
}

/// Where the journal is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub file: PathBuf,
    /// Byte offset in the file.
    pub offset: u64,
    /// The batch that was expected there, where known.
    pub batch: Option<u64>,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the journal is damaged: {} at offset {}",
            self.file.display(),
            self.offset
        )?;
        if let Some(batch) = self.batch {
            write!(f, " (batch {batch})")?;
        }
        write!(
            f,
            ": {}. Nothing was changed. Restore the journal from a backup; \
             `florin ledger verify` shows how far it is whole",
            self.what
        )
    }
}

impl From<Damage> for JournalError {
    fn from(damage: Damage) -> Self {
        JournalError::Damaged(Box::new(damage))
    }
}
