//! The writer: reserve room, append a frame, sync. Owned by one thread.
//!
//! Boundary: the only place that writes to the log after start-up.
//!
//! Invariants: see 2 and 3 of the parent module. A segment is left only after the next one is
//! ready, so a full disk is noticed before anything has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::format::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, body_crc, frame_bytes};
use super::io::{Access, write_all_at};
use super::reader::Shared;
use super::recover::{check_options, load_layout, recover};
use super::segment::{DirLock, LOCK_FILE, Layout, is_unfinished, list};
use super::{
    Damage, Frame, Io, IoFile, JournalError, JournalOptions, JournalReader, Link, Lsn, Position,
    Recovery, Space,
};

/// A write buffer above this is given back after use, in bytes.
const KEEP_BUFFER_BYTES: usize = 4 << 20;

/// Where a batch was put. It is durable only after the next [`Journal::sync`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// First byte of the frame.
    pub lsn: Lsn,
    /// First byte of the payload.
    pub payload_lsn: Lsn,
    /// The position behind the frame.
    pub end: Position,
}

/// The segment after the active one.
enum Next {
    /// Not begun, or tried and failed.
    Absent,
    Preparing(JoinHandle<Result<Arc<dyn IoFile>, JournalError>>),
    Ready(Arc<dyn IoFile>),
}

/// The open journal. Dropping it lets go of the directory; it syncs nothing.
pub struct Journal {
    shared: Arc<Shared>,
    max_payload: usize,
    prepare_ahead: bool,
    zero_fill: bool,
    file: Arc<dyn IoFile>,
    segment: u64,
    end: Position,
    durable: Position,
    next: Next,
    poisoned: Option<String>,
    buf: Vec<u8>,
    _lock: DirLock,
}

impl Journal {
    /// Opens the journal in `dir`, makes it if the directory holds none, and shows each frame from
    /// `options.from` on to `visit`. A torn tail is cut; see the module text.
    ///
    /// # Errors
    /// `Locked` if another process uses it; `Options`, `WrongLedger`; `Damaged` with file, offset
    /// and batch if the files are not what was written, and then nothing has been changed;
    /// `NoSpace`, `ReadOnly`, `Unavailable`, `Io`; and whatever `visit` returns, which ends the
    /// scan before anything is changed.
    pub fn open<E: From<JournalError>>(
        dir: &Path,
        options: JournalOptions,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(Journal, Recovery), E> {
        options.check()?;
        let io = Arc::clone(&options.io);
        io.create_dir_all(dir)
            .map_err(|e| JournalError::classify(e, |e| JournalError::io("create", dir, e)))?;
        let lock = DirLock::acquire(dir, LOCK_FILE)?;
        let (layout, recovery) = match load_layout(&io, dir)? {
            Some((layout, segments)) => {
                check_options(&layout, &options)?;
                let recovery = recover(&layout, segments, options.from, visit)?;
                remove_unfinished(&*io, dir)?;
                (layout, recovery)
            }
            None => create(&io, dir, &options)?,
        };
        Ok((Self::start(layout, &options, &recovery, lock)?, recovery))
    }

    fn start(
        layout: Layout,
        options: &JournalOptions,
        recovery: &Recovery,
        lock: DirLock,
    ) -> Result<Journal, JournalError> {
        let segment = layout.segment_of(recovery.end.lsn);
        let file = layout.open(segment, Access::ReadWrite)?;
        let next = if segment + 1 < recovery.segments {
            Next::Ready(layout.open(segment + 1, Access::ReadWrite)?)
        } else {
            Next::Absent
        };
        let mut journal = Journal {
            shared: Arc::new(Shared::new(Arc::new(layout), recovery.end.lsn)),
            max_payload: options.max_payload_bytes,
            prepare_ahead: options.prepare_ahead,
            zero_fill: options.zero_fill,
            file,
            segment,
            end: recovery.end,
            durable: recovery.end,
            next,
            poisoned: None,
            buf: Vec::new(),
            _lock: lock,
        };
        journal.prepare_next();
        Ok(journal)
    }

    /// Makes sure that a frame with a payload of `bytes` fits without further allocation, by going
    /// on to the next segment if need be.
    ///
    /// # Errors
    /// `TooLarge`; `NoSpace`, `ReadOnly`, `Unavailable` with nothing changed, so that the caller
    /// can refuse the work and ask again later; `Io` and `Poisoned` for good.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), JournalError> {
        self.check_poison()?;
        if bytes > self.max_payload {
            return Err(JournalError::TooLarge {
                bytes,
                limit: self.max_payload,
            });
        }
        let needed = (frame_bytes(bytes) + FRAME_HEADER_BYTES) as u64;
        if self.layout().offset_of(self.end.lsn) + needed <= self.layout().segment_bytes {
            return Ok(());
        }
        let next = self.take_next()?;
        self.roll(next)
    }

    /// Writes one batch behind the last, with one write. Call [`Journal::sync`] before telling
    /// anyone. Takes the room itself if it was not reserved.
    ///
    /// # Errors
    /// As [`Journal::reserve`]; `WrongBatch` if `batch` is not the next number, with nothing
    /// written; `Io` if the write fails, and the journal is poisoned.
    pub fn append(&mut self, batch: u64, payload: &[u8]) -> Result<Appended, JournalError> {
        self.reserve(payload.len())?;
        if batch != self.end.batch {
            return Err(JournalError::WrongBatch {
                given: batch,
                expected: self.end.batch,
            });
        }
        let lsn = self.end.lsn;
        let link = self.write_frame(FrameKind::Batch, payload)?;
        self.end = Position {
            lsn: lsn.plus(frame_bytes(payload.len()) as u64),
            batch: batch + 1,
            link,
            prev: lsn,
        };
        Ok(Appended {
            lsn,
            payload_lsn: lsn.plus(FRAME_HEADER_BYTES as u64),
            end: self.end,
        })
    }

    /// Makes everything appended durable (fdatasync) and returns the position behind it.
    ///
    /// # Errors
    /// `Io` if the sync fails: what was appended since the last sync may or may not be found after
    /// a restart, and the journal is poisoned; `Poisoned` ever after.
    pub fn sync(&mut self) -> Result<Position, JournalError> {
        self.check_poison()?;
        if self.end != self.durable {
            if let Err(e) = self.file.sync_data() {
                return Err(self.poison("sync", e));
            }
            self.set_durable();
        }
        Ok(self.durable)
    }

    /// Begins to prepare the next segment in the background unless that is done or under way.
    /// Does nothing if the options say so. Its failure shows when the segment is needed.
    pub fn prepare_next(&mut self) {
        let absent = matches!(self.next, Next::Absent);
        if !absent || !self.prepare_ahead || self.poisoned.is_some() {
            return;
        }
        let layout = Arc::clone(&self.shared.layout);
        let (segment, zero_fill) = (self.segment + 1, self.zero_fill);
        let spawned = std::thread::Builder::new()
            .name("journal-prepare".into())
            .spawn(move || layout.prepare(segment, zero_fill));
        if let Ok(thread) = spawned {
            self.next = Next::Preparing(thread);
        }
    }

    /// A reader of the durable part.
    pub fn reader(&self) -> JournalReader {
        JournalReader::new(Arc::clone(&self.shared))
    }

    /// The position behind the last frame appended.
    pub fn end(&self) -> Position {
        self.end
    }

    /// The position behind the last frame synced: what a snapshot may refer to.
    pub fn durable(&self) -> Position {
        self.durable
    }

    /// Largest payload of one append, in bytes.
    pub fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Why the journal takes no more writes, if so.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Bytes that the journal takes on disk, prepared segments included.
    ///
    /// # Errors
    /// `Unavailable` if the directory cannot be listed.
    pub fn dir_usage(&self) -> Result<u64, JournalError> {
        self.layout().dir_usage()
    }

    /// Space on the journal's file system.
    ///
    /// # Errors
    /// `Unavailable` if the system does not tell.
    pub fn space(&self) -> Result<Space, JournalError> {
        self.reader().space()
    }

    fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    fn check_poison(&self) -> Result<(), JournalError> {
        match &self.poisoned {
            None => Ok(()),
            Some(because) => Err(JournalError::Poisoned {
                because: because.clone(),
            }),
        }
    }

    fn poison(&mut self, op: &'static str, source: std::io::Error) -> JournalError {
        let error = JournalError::io(op, &self.layout().path(self.segment), source);
        self.poisoned = Some(error.to_string());
        error
    }

    fn set_durable(&mut self) {
        self.durable = self.end;
        self.shared.set_durable(self.end.lsn);
    }

    /// Builds a frame at the end of the log and writes it; returns its link.
    fn write_frame(&mut self, kind: FrameKind, payload: &[u8]) -> Result<Link, JournalError> {
        let bytes = frame_bytes(payload.len());
        let mut buf = std::mem::take(&mut self.buf);
        buf.clear();
        buf.reserve(bytes);
        buf.resize(FRAME_HEADER_BYTES, 0);
        buf.extend_from_slice(payload);
        buf.resize(bytes, 0);
        let header = FrameHeader {
            kind,
            payload_bytes: payload.len(),
            batch: self.end.batch,
            link: self.end.link,
            durable: self.durable.lsn,
            payload_crc: body_crc(&buf[FRAME_HEADER_BYTES..]),
        };
        let (encoded, link) = self.layout().codec.encode(&header, self.end.lsn);
        buf[..FRAME_HEADER_BYTES].copy_from_slice(&encoded);
        let offset = self.layout().offset_of(self.end.lsn);
        let written = write_all_at(&*self.file, &buf, offset);
        if buf.capacity() <= KEEP_BUFFER_BYTES {
            self.buf = buf;
        }
        match written {
            Ok(()) => Ok(link),
            Err(e) => Err(self.poison("write", e)),
        }
    }

    /// The next segment's file; prepared now if it was not before or if that failed, since space may
    /// have returned.
    fn take_next(&mut self) -> Result<Arc<dyn IoFile>, JournalError> {
        let outcome = match std::mem::replace(&mut self.next, Next::Absent) {
            Next::Ready(file) => Ok(file),
            Next::Preparing(thread) => match thread.join() {
                Ok(Err(e)) if e.is_retryable() => self.prepare_now(),
                Ok(outcome) => outcome,
                Err(_) => self.prepare_now(),
            },
            Next::Absent => self.prepare_now(),
        };
        if let Err(e) = &outcome
            && !e.is_retryable()
        {
            self.poisoned = Some(e.to_string());
        }
        outcome
    }

    fn prepare_now(&self) -> Result<Arc<dyn IoFile>, JournalError> {
        self.layout().prepare(self.segment + 1, self.zero_fill)
    }

    /// Seals and syncs the active segment, then goes on to the next.
    fn roll(&mut self, next: Arc<dyn IoFile>) -> Result<(), JournalError> {
        let seal = self.end.lsn;
        let link = self.write_frame(FrameKind::Seal, &[])?;
        if let Err(e) = self.file.sync_data() {
            return Err(self.poison("sync", e));
        }
        self.segment += 1;
        self.file = next;
        self.end = Position {
            lsn: self.layout().first_frame(self.segment),
            batch: self.end.batch,
            link,
            prev: seal,
        };
        self.set_durable();
        self.prepare_next();
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // The helper must not touch the directory once the lock is gone.
        if let Next::Preparing(thread) = std::mem::replace(&mut self.next, Next::Absent) {
            let _ = thread.join();
        }
    }
}

fn create(
    io: &Arc<dyn Io>,
    dir: &Path,
    options: &JournalOptions,
) -> Result<(Layout, Recovery), JournalError> {
    let unavailable = |source| JournalError::Unavailable {
        op: "draw a random number for",
        path: dir.to_owned(),
        source,
    };
    let layout = Layout::new(
        Arc::clone(io),
        dir.to_owned(),
        options.ledger_id,
        options.segment_bytes,
        io.entropy().map_err(unavailable)?,
    );
    if let Some(from) = options.from {
        return Err(no_journal(layout.path(0), from));
    }
    remove_unfinished(&**io, dir)?;
    layout.prepare(0, options.zero_fill)?;
    let recovery = Recovery {
        frames: 0,
        end: layout.codec.start(),
        torn_bytes_cut: 0,
        segments: 1,
        created: true,
    };
    Ok((layout, recovery))
}

fn no_journal(file: PathBuf, from: Position) -> JournalError {
    Damage {
        file,
        offset: 0,
        batch: None,
        what: format!(
            "there is no journal, though a snapshot holds the ledger up to lsn {}",
            from.lsn
        ),
    }
    .into()
}

fn remove_unfinished(io: &dyn Io, dir: &Path) -> Result<(), JournalError> {
    for name in list(io, dir)?.iter().filter(|n| is_unfinished(n)) {
        let path = dir.join(name);
        io.remove(&path)
            .map_err(|e| JournalError::classify(e, |e| JournalError::io("remove", &path, e)))?;
    }
    Ok(())
}
