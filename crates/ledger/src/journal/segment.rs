//! Segment files: names, places, preparation; and the lock of the directory.
//!
//! Boundary: knows where bytes live, not what they mean.
//!
//! Invariant: a file with the name of a segment is complete: header, full length, zeros, all synced.
//! It is built under another name and renamed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{Codec, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::io::{Access, write_all_at};
use super::{Io, IoFile, JournalError, Lsn};

/// Name of the lock file inside a journal's directory.
pub const LOCK_FILE: &str = "journal.lock";

const PREFIX: &str = "journal-";
const SUFFIX: &str = ".log";
const UNFINISHED: &str = ".tmp";

/// Zeros written and synced at a time while a segment is prepared, in bytes: small, so that a sync of
/// the log never waits long behind them.
const ZERO_CHUNK_BYTES: usize = 1 << 20;

/// File name of the segment that starts at `first`.
pub(super) fn segment_name(first: Lsn) -> String {
    format!("{PREFIX}{:020}{SUFFIX}", first.0)
}

/// The first lsn in a segment's file name, or nothing if this is not such a name.
pub(super) fn parse_segment_name(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Lsn)
}

/// True for the name of a segment that was being prepared.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(UNFINISHED)
        .and_then(parse_segment_name)
        .is_some()
}

/// Exclusive use of a directory, for as long as the value lives. The kernel lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Locks the file `name` in `dir`, which must exist.
    ///
    /// # Errors
    /// [`JournalError::Locked`] if another opener, in this process or another, holds it;
    /// `ReadOnly`, `NoSpace` or `Unavailable` if the file cannot be opened.
    pub fn acquire(dir: &Path, name: &str) -> Result<DirLock, JournalError> {
        let path = dir.join(name);
        let unavailable = |source| JournalError::Unavailable {
            op: "lock",
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| JournalError::classify(e, unavailable))?;
        match file.try_lock() {
            Ok(()) => Ok(DirLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(JournalError::Locked { lock: path }),
            Err(TryLockError::Error(e)) => Err(unavailable(e)),
        }
    }
}

/// Where the segments of one journal are and how they are made.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub io: Arc<dyn Io>,
    pub dir: PathBuf,
    pub ledger_id: [u8; 16],
    pub segment_bytes: u64,
    pub salt: u64,
    pub codec: Codec,
}

impl Layout {
    pub fn new(
        io: Arc<dyn Io>,
        dir: PathBuf,
        ledger_id: [u8; 16],
        segment_bytes: u64,
        salt: u64,
    ) -> Self {
        Layout {
            io,
            dir,
            ledger_id,
            segment_bytes,
            salt,
            codec: Codec::new(&ledger_id, salt),
        }
    }

    /// Number of the segment that holds a byte.
    pub fn segment_of(&self, lsn: Lsn) -> u64 {
        lsn.0 / self.segment_bytes
    }

    /// Offset of a byte in its segment.
    pub fn offset_of(&self, lsn: Lsn) -> u64 {
        lsn.0 % self.segment_bytes
    }

    /// Lsn of the first byte of a segment.
    pub fn base(&self, segment: u64) -> Lsn {
        Lsn(segment * self.segment_bytes)
    }

    /// Lsn of the first frame of a segment.
    pub fn first_frame(&self, segment: u64) -> Lsn {
        self.base(segment).plus(SEGMENT_HEADER_BYTES as u64)
    }

    pub fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(segment_name(self.base(segment)))
    }

    pub fn open(&self, segment: u64, access: Access) -> Result<Arc<dyn IoFile>, JournalError> {
        let path = self.path(segment);
        self.io
            .open(&path, access)
            .map_err(|source| JournalError::Unavailable {
                op: "open",
                path,
                source,
            })
    }

    /// Makes a segment ready for frames.
    ///
    /// # Errors
    /// `NoSpace`, `ReadOnly` and `Unavailable` leave nothing behind and may be tried again; `Io`
    /// tells of a device that fails.
    pub fn prepare(&self, segment: u64, zero_fill: bool) -> Result<Arc<dyn IoFile>, JournalError> {
        let path = self.path(segment);
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        // Asking first keeps a nearly full disk from being filled to the brim by the attempt.
        if let Ok(space) = self.io.space(&self.dir)
            && space.available_bytes < self.segment_bytes
        {
            return Err(JournalError::NoSpace(io::ErrorKind::StorageFull.into()));
        }
        let file = self.io.create(&unfinished).map_err(|e| {
            JournalError::classify(e, |source| JournalError::Unavailable {
                op: "create",
                path: unfinished.clone(),
                source,
            })
        })?;
        let built = self
            .fill(&*file, segment, zero_fill)
            .and_then(|()| self.io.rename(&unfinished, &path));
        if let Err(e) = built {
            // A leftover is removed at the next start.
            let _ = self.io.remove(&unfinished);
            return Err(JournalError::classify(e, |source| {
                JournalError::io("prepare", &unfinished, source)
            }));
        }
        self.io
            .sync_dir(&self.dir)
            .map_err(|e| JournalError::io("sync", &self.dir, e))?;
        Ok(file)
    }

    fn fill(&self, file: &dyn IoFile, segment: u64, zero_fill: bool) -> io::Result<()> {
        file.allocate(self.segment_bytes)?;
        let header = SegmentHeader {
            ledger_id: self.ledger_id,
            number: segment,
            segment_bytes: self.segment_bytes,
            salt: self.salt,
        };
        write_all_at(file, &header.encode(), 0)?;
        if zero_fill {
            self.fill_zeros(file)?;
        }
        file.sync_all()
    }

    fn fill_zeros(&self, file: &dyn IoFile) -> io::Result<()> {
        let zeros = vec![0u8; ZERO_CHUNK_BYTES];
        let mut offset = SEGMENT_HEADER_BYTES as u64;
        while offset < self.segment_bytes {
            let left = usize::try_from(self.segment_bytes - offset).unwrap_or(usize::MAX);
            let chunk = &zeros[..left.min(ZERO_CHUNK_BYTES)];
            write_all_at(file, chunk, offset)?;
            file.sync_data()?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    /// Bytes that the segments take on disk, prepared ones included.
    pub fn dir_usage(&self) -> Result<u64, JournalError> {
        let names = list(&*self.io, &self.dir)?;
        let files = names
            .iter()
            .filter(|n| parse_segment_name(n).is_some() || is_unfinished(n))
            .count();
        Ok(files as u64 * self.segment_bytes)
    }
}

/// Names of the files in a directory.
pub(super) fn list(io: &dyn Io, dir: &Path) -> Result<Vec<String>, JournalError> {
    io.list(dir).map_err(|source| JournalError::Unavailable {
        op: "list",
        path: dir.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = segment_name(Lsn(67_108_864));
        assert_eq!(name, "journal-00000000000067108864.log");
        assert_eq!(parse_segment_name(&name), Some(Lsn(67_108_864)));
        for other in [
            "journal.lock",
            "journal-1.log",
            "journal-+0000000000067108864.log",
            "journal-00000000000067108864.log.tmp",
            "journal-99999999999999999999.log",
        ] {
            assert_eq!(parse_segment_name(other), None, "{other}");
        }
        assert!(is_unfinished("journal-00000000000067108864.log.tmp"));
        assert!(!is_unfinished("notes.tmp"));
    }

    #[test]
    fn a_second_locker_is_told() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let first = DirLock::acquire(dir.path(), LOCK_FILE).expect("first");
        let second = DirLock::acquire(dir.path(), LOCK_FILE).expect_err("second");
        assert!(matches!(second, JournalError::Locked { .. }), "{second}");
        drop(first);
        DirLock::acquire(dir.path(), LOCK_FILE).expect("after the first let go");
    }
}
