//! Reading the durable part of the log, from any thread, while the writer goes on.
//!
//! Boundary: never reads at or above the durable end, so it never sees a frame half written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::format::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, body_crc, frame_bytes};
use super::io::{Access, read_exact_at};
use super::segment::Layout;
use super::{Damage, IoFile, JournalError, Link, Lsn, Position, Space};

/// Segment files that a reader keeps open.
const OPEN_FILES: usize = 16;

/// What writer and readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub layout: Arc<Layout>,
    /// Everything below is durable.
    durable: AtomicU64,
    /// Open files by segment number, the last used at the end.
    files: Mutex<Vec<(u64, Arc<dyn IoFile>)>>,
}

impl Shared {
    pub fn new(layout: Arc<Layout>, durable: Lsn) -> Self {
        Shared {
            layout,
            durable: AtomicU64::new(durable.0),
            files: Mutex::new(Vec::new()),
        }
    }

    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    pub fn set_durable(&self, lsn: Lsn) {
        self.durable.store(lsn.0, Ordering::Release);
    }

    fn file(&self, segment: u64) -> Result<Arc<dyn IoFile>, JournalError> {
        let mut files = self.files.lock();
        let entry = match files.iter().position(|(number, _)| *number == segment) {
            Some(at) => files.remove(at),
            None => {
                let file = self.layout.open(segment, Access::Read)?;
                if files.len() >= OPEN_FILES {
                    files.remove(0);
                }
                (segment, file)
            }
        };
        let file = Arc::clone(&entry.1);
        files.push(entry);
        Ok(file)
    }
}

/// A frame read into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameBuf {
    /// Batch number.
    pub batch: u64,
    /// First byte of the frame.
    pub lsn: Lsn,
    /// First byte of the payload.
    pub payload_lsn: Lsn,
    /// The payload, without padding.
    pub payload: Vec<u8>,
    /// The position behind this frame.
    pub end: Position,
}

/// A frame with its checksums checked.
pub(super) struct Loaded {
    pub header: FrameHeader,
    pub link: Link,
    pub payload: Vec<u8>,
}

impl Loaded {
    /// The position behind this frame, which starts at `lsn`.
    pub fn end(&self, layout: &Layout, lsn: Lsn) -> Position {
        let (next, batch) = match self.header.kind {
            FrameKind::Batch => (
                lsn.plus(frame_bytes(self.header.payload_bytes) as u64),
                self.header.batch.saturating_add(1),
            ),
            FrameKind::Seal => (
                layout.first_frame(layout.segment_of(lsn) + 1),
                self.header.batch,
            ),
        };
        Position {
            lsn: next,
            batch,
            link: self.link,
            prev: lsn,
        }
    }
}

/// Reads the frame at `lsn`, or nothing if there is no whole frame.
///
/// # Errors
/// `Io` if the file cannot be read.
pub(super) fn load_frame(
    layout: &Layout,
    file: &dyn IoFile,
    lsn: Lsn,
) -> Result<Option<Loaded>, JournalError> {
    let segment = layout.segment_of(lsn);
    let offset = layout.offset_of(lsn);
    let failed = |e| JournalError::io("read", &layout.path(segment), e);
    if offset + FRAME_HEADER_BYTES as u64 > layout.segment_bytes {
        return Ok(None);
    }
    let mut bytes = [0u8; FRAME_HEADER_BYTES];
    read_exact_at(file, &mut bytes, offset).map_err(failed)?;
    let Ok((header, link)) = layout.codec.decode(&bytes, lsn) else {
        return Ok(None);
    };
    let whole = frame_bytes(header.payload_bytes);
    if offset + whole as u64 > layout.segment_bytes {
        return Ok(None);
    }
    let mut payload = vec![0u8; whole - FRAME_HEADER_BYTES];
    read_exact_at(file, &mut payload, offset + FRAME_HEADER_BYTES as u64).map_err(failed)?;
    if body_crc(&payload) != header.payload_crc {
        return Ok(None);
    }
    payload.truncate(header.payload_bytes);
    Ok(Some(Loaded {
        header,
        link,
        payload,
    }))
}

/// Reads the log. Cheap to clone; all clones share the open files.
#[derive(Clone, Debug)]
pub struct JournalReader {
    shared: Arc<Shared>,
}

impl JournalReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        JournalReader { shared }
    }

    /// Everything below this lsn is durable and may be read.
    pub fn durable_end(&self) -> Lsn {
        self.shared.durable()
    }

    /// Reads bytes of one segment, as given by the `payload_lsn` of a frame plus an offset in it.
    /// No checksum is checked.
    ///
    /// # Errors
    /// `OutOfRange` beyond the durable end or across a segment's end; `Unavailable`, `Io`.
    pub fn read_exact_at(&self, lsn: Lsn, buf: &mut [u8]) -> Result<(), JournalError> {
        let layout = &self.shared.layout;
        let bytes = buf.len() as u64;
        let offset = layout.offset_of(lsn);
        let end = lsn.0.checked_add(bytes);
        let inside = offset.saturating_add(bytes) <= layout.segment_bytes
            && end.is_some_and(|end| end <= self.durable_end().0);
        if !inside {
            return Err(self.out_of_range(lsn, bytes));
        }
        let segment = layout.segment_of(lsn);
        let file = self.shared.file(segment)?;
        read_exact_at(&*file, buf, offset)
            .map_err(|e| JournalError::io("read", &layout.path(segment), e))
    }

    /// Reads the batch frame that starts at `lsn`, with its checksums checked.
    ///
    /// # Errors
    /// `OutOfRange` at or beyond the durable end; `Damaged` if no whole batch frame starts there;
    /// `Unavailable`, `Io`.
    pub fn frame_at(&self, lsn: Lsn) -> Result<FrameBuf, JournalError> {
        let (header, frame) = self.load(lsn)?;
        match header.kind {
            FrameKind::Batch => Ok(frame),
            FrameKind::Seal => Err(self.no_frame(lsn, None)),
        }
    }

    /// The batch frames from the one that starts at `from` to the last that starts below `up_to`
    /// or the durable end, whichever is lower. A `from` in a segment's header stands for its first
    /// frame. Each frame is checked to follow the one before.
    pub fn frames_from(&self, from: Lsn, up_to: Lsn) -> Frames {
        let layout = &self.shared.layout;
        let first = layout.first_frame(layout.segment_of(from));
        Frames {
            reader: self.clone(),
            at: from.max(first),
            up_to: up_to.min(self.durable_end()),
            before: None,
        }
    }

    /// Where the frame with this payload starts.
    pub fn frame_start(&self, payload_lsn: Lsn) -> Lsn {
        Lsn(payload_lsn.0.saturating_sub(FRAME_HEADER_BYTES as u64))
    }

    /// Bytes that the journal takes on disk, prepared segments included.
    ///
    /// # Errors
    /// `Unavailable` if the directory cannot be listed.
    pub fn dir_usage(&self) -> Result<u64, JournalError> {
        self.shared.layout.dir_usage()
    }

    /// Space on the journal's file system.
    ///
    /// # Errors
    /// `Unavailable` if the system does not tell.
    pub fn space(&self) -> Result<Space, JournalError> {
        let layout = &self.shared.layout;
        layout
            .io
            .space(&layout.dir)
            .map_err(|source| JournalError::Unavailable {
                op: "ask for the space of",
                path: layout.dir.clone(),
                source,
            })
    }

    /// The frame at `lsn`, seals included, and its header.
    fn load(&self, lsn: Lsn) -> Result<(FrameHeader, FrameBuf), JournalError> {
        if lsn >= self.durable_end() {
            return Err(self.out_of_range(lsn, FRAME_HEADER_BYTES as u64));
        }
        let layout = &self.shared.layout;
        let segment = layout.segment_of(lsn);
        let file = self.shared.file(segment)?;
        let Some(loaded) = load_frame(layout, &*file, lsn)? else {
            return Err(self.no_frame(lsn, None));
        };
        let frame = FrameBuf {
            batch: loaded.header.batch,
            lsn,
            payload_lsn: lsn.plus(FRAME_HEADER_BYTES as u64),
            end: loaded.end(layout, lsn),
            payload: loaded.payload,
        };
        Ok((loaded.header, frame))
    }

    fn out_of_range(&self, lsn: Lsn, bytes: u64) -> JournalError {
        JournalError::OutOfRange {
            lsn,
            bytes,
            durable: self.durable_end(),
        }
    }

    fn no_frame(&self, lsn: Lsn, batch: Option<u64>) -> JournalError {
        let layout = &self.shared.layout;
        Damage {
            file: layout.path(layout.segment_of(lsn)),
            offset: layout.offset_of(lsn),
            batch,
            what: "no whole frame of the expected batch starts here".into(),
        }
        .into()
    }
}

/// Iterator over frames, see [`JournalReader::frames_from`]; ends after the first error.
#[derive(Debug)]
pub struct Frames {
    reader: JournalReader,
    at: Lsn,
    up_to: Lsn,
    before: Option<Position>,
}

impl Frames {
    fn advance(&mut self) -> Result<Option<FrameBuf>, JournalError> {
        while self.at < self.up_to {
            let (header, frame) = self.reader.load(self.at)?;
            let follows = self
                .before
                .is_none_or(|p| p.batch == header.batch && p.link == header.link);
            if !follows {
                let expected = self.before.map(|p| p.batch);
                return Err(self.reader.no_frame(self.at, expected));
            }
            self.at = frame.end.lsn;
            self.before = Some(frame.end);
            if header.kind == FrameKind::Batch {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }
}

impl Iterator for Frames {
    type Item = Result<FrameBuf, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.up_to = self.at;
        }
        next.transpose()
    }
}
