//! `checkpoints.ndjson`: append, sync, read back.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, ErrorKind, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::{CheckpointError, Result, failed};
use crate::proof::{Checkpoint, CheckpointBody, SignedNote, note::MAX_NOTE_BYTES};

/// Longest line that is read, in bytes: a note with its escapes and the other members.
const LINE_MAX: u64 = 2 * MAX_NOTE_BYTES as u64;
const HINT: &str = "Restore the file from a backup; without one move it away: new checkpoints \
                    are numbered from 1 again, and those already handed out stay verifiable";

/// Where a checkpoint stands in the file and what orders it.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    bytes: u32,
    tree_size: u64,
    batch: u64,
}

#[derive(Debug)]
pub(super) struct CheckpointFile {
    path: PathBuf,
    file: File,
    places: RwLock<Vec<Place>>,
    /// Held while appending.
    turn: Mutex<()>,
}

/// Reads lines one by one with their places.
struct Scan<'p> {
    path: &'p Path,
    ledger_id: Uuid,
    places: Vec<Place>,
    end: u64,
}

impl Scan<'_> {
    fn damaged(&self, what: impl Into<String>) -> CheckpointError {
        CheckpointError::Damaged {
            path: self.path.to_owned(),
            line: Some(self.places.len() as u64 + 1),
            what: what.into(),
            hint: HINT,
        }
    }

    /// Calls `visit` for each whole checkpoint. [`Scan::end`] is then where the last one ends.
    fn run(&mut self, file: &File, visit: &mut dyn FnMut(Checkpoint)) -> Result<()> {
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes = Read::by_ref(&mut reader)
                .take(LINE_MAX)
                .read_until(b'\n', &mut line)
                .map_err(failed("read", self.path))?;
            if bytes == 0 {
                return Ok(());
            }
            let at_end = reader
                .fill_buf()
                .map_err(failed("read", self.path))?
                .is_empty();
            let read = match line.strip_suffix(b"\n") {
                None if at_end => return Ok(()),
                None => return Err(self.damaged("a line is too long")),
                Some(whole) => self.checked(whole),
            };
            match read {
                Ok(checkpoint) => {
                    self.places.push(Place {
                        offset: self.end,
                        bytes: bytes as u32,
                        tree_size: checkpoint.tree_size,
                        batch: checkpoint.batch,
                    });
                    self.end += bytes as u64;
                    visit(checkpoint);
                }
                // Sectors of the last write that did not reach the disk read as zeros.
                Err(_) if at_end && line.contains(&0) => return Ok(()),
                Err(what) => return Err(self.damaged(what)),
            }
        }
    }

    fn checked(&self, line: &[u8]) -> std::result::Result<Checkpoint, String> {
        let checkpoint: Checkpoint = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let note = SignedNote::parse(&checkpoint.note).map_err(|e| e.to_string())?;
        let body = CheckpointBody::parse(note.text()).map_err(|e| e.to_string())?;
        if body.ledger_id != self.ledger_id {
            return Err(format!("it is of ledger {}", body.ledger_id));
        }
        let stated = (body.tree_size, body.root_hash, body.batch, body.chain_hash);
        let beside = (
            checkpoint.tree_size,
            checkpoint.root_hash,
            checkpoint.batch,
            checkpoint.chain_hash,
        );
        if stated != beside {
            return Err("its members differ from its signed note".to_owned());
        }
        follows(self.places.last(), self.places.len() as u64, &checkpoint)?;
        Ok(checkpoint)
    }
}

fn follows(
    last: Option<&Place>,
    count: u64,
    checkpoint: &Checkpoint,
) -> std::result::Result<(), &'static str> {
    if checkpoint.number != count + 1 {
        return Err("its number is not the next one");
    }
    if last.is_some_and(|last| checkpoint.batch <= last.batch) {
        return Err("its batch does not grow");
    }
    if last.is_some_and(|last| checkpoint.tree_size < last.tree_size) {
        return Err("its tree is smaller");
    }
    Ok(())
}

/// Writes a whole file of checkpoints where there is none.
pub(super) fn write(path: &Path, checkpoints: &[Checkpoint]) -> Result<()> {
    if checkpoints.is_empty() {
        return Ok(());
    }
    let mut bytes = Vec::new();
    for checkpoint in checkpoints {
        serde_json::to_writer(&mut bytes, checkpoint).expect("a checkpoint is always JSON");
        bytes.push(b'\n');
    }
    let create = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        std::io::Write::write_all(&mut file, &bytes)?;
        file.sync_all()
    };
    create().map_err(failed("write", path))
}

/// All whole checkpoints of a file; none when there is no file.
pub(super) fn load(path: &Path, ledger_id: Uuid) -> Result<Vec<Checkpoint>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(failed("open", path))?,
    };
    let mut found = Vec::new();
    let mut scan = Scan {
        path,
        ledger_id,
        places: Vec::new(),
        end: 0,
    };
    scan.run(&file, &mut |checkpoint| found.push(checkpoint))?;
    Ok(found)
}

impl CheckpointFile {
    pub(super) fn open(path: &Path, ledger_id: Uuid) -> Result<Self> {
        let new = !path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open", path))?;
        if new {
            super::keys::sync_parent(path)?;
        }
        let mut scan = Scan {
            path,
            ledger_id,
            places: Vec::new(),
            end: 0,
        };
        scan.run(&file, &mut |_| {})?;
        let Scan { places, end, .. } = scan;
        let opened = Self {
            path: path.to_owned(),
            file,
            places: RwLock::new(places),
            turn: Mutex::new(()),
        };
        opened.cut(end)?;
        Ok(opened)
    }

    /// Drops what follows the last whole checkpoint.
    fn cut(&self, end: u64) -> Result<()> {
        let size = self.file.metadata().map_err(failed("read", &self.path))?;
        if size.len() > end {
            tracing::warn!(
                path = %self.path.display(),
                bytes = size.len() - end,
                "the end of a checkpoint that was being written is cut off"
            );
            self.file
                .set_len(end)
                .and_then(|()| self.file.sync_all())
                .map_err(failed("cut", &self.path))?;
        }
        Ok(())
    }

    pub(super) fn count(&self) -> u64 {
        self.places.read().len() as u64
    }

    /// Number of the oldest with a tree of at least `tree_size` leaves; one above the count
    /// when there is none.
    pub(super) fn first_covering(&self, tree_size: u64) -> u64 {
        let places = self.places.read();
        places.partition_point(|place| place.tree_size < tree_size) as u64 + 1
    }

    pub(super) fn get(&self, number: u64) -> Result<Option<Checkpoint>> {
        let index = number.checked_sub(1).and_then(|n| usize::try_from(n).ok());
        let place = index.and_then(|index| self.places.read().get(index).copied());
        let Some(place) = place else { return Ok(None) };
        let mut line = vec![0; place.bytes as usize];
        self.file
            .read_exact_at(&mut line, place.offset)
            .map_err(failed("read", &self.path))?;
        let checkpoint: Checkpoint =
            serde_json::from_slice(&line).map_err(|error| CheckpointError::Damaged {
                path: self.path.clone(),
                line: Some(number),
                what: error.to_string(),
                hint: HINT,
            })?;
        Ok(Some(checkpoint))
    }

    /// Appends the checkpoint that `make` gives for the next number.
    pub(super) fn append(&self, make: impl FnOnce(u64) -> Checkpoint) -> Result<Checkpoint> {
        let _turn = self.turn.lock();
        let (count, last) = {
            let places = self.places.read();
            (places.len() as u64, places.last().copied())
        };
        let checkpoint = make(count + 1);
        follows(last.as_ref(), count, &checkpoint).map_err(|what| CheckpointError::OutOfOrder {
            number: checkpoint.number,
            what,
        })?;
        let mut line =
            serde_json::to_vec(&checkpoint).expect("numbers and strings are always JSON");
        line.push(b'\n');
        let offset = last.map_or(0, |last| last.offset + u64::from(last.bytes));
        // What a failed attempt left behind must not follow this line.
        self.cut(offset)?;
        self.file
            .write_all_at(&line, offset)
            .and_then(|()| self.file.sync_all())
            .map_err(failed("append to", &self.path))?;
        self.places.write().push(Place {
            offset,
            bytes: line.len() as u32,
            tree_size: checkpoint.tree_size,
            batch: checkpoint.batch,
        });
        Ok(checkpoint)
    }
}
