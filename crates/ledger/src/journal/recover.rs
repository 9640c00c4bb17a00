//! Start-up: checks the segment files, walks the frames, cuts a torn tail, refuses damage.
//!
//! Boundary: reads everything first and decides; writes only to cut a torn tail and to make sure
//! that what was accepted is on the device. The rules are in the text of the parent module.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, MAX_SEGMENT_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use super::io::{Access, read_exact_at, write_all_at};
use super::reader::load_frame;
use super::scan::{Stop, Tail, judge_tail, used_bytes, walk};
use super::segment::{Layout, list, parse_segment_name, segment_name};
use super::{Damage, Frame, Io, JournalError, JournalOptions, Lsn, Position};

/// Bytes rewritten or compared by one call.
const CHUNK_BYTES: usize = 1 << 20;

/// What a start found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Frames visited.
    pub frames: u64,
    /// The end of the log.
    pub end: Position,
    /// Bytes of a torn tail that were cut (by [`inspect`]: that would be cut).
    pub torn_bytes_cut: u64,
    /// Segment files present, a prepared one included.
    pub segments: u64,
    /// True if the journal was made by this call.
    pub created: bool,
}

/// The ledger id of the journal in `dir`, or nothing if there is no journal.
///
/// # Errors
/// `Unavailable` if the directory cannot be read, `Damaged` if the first segment is not whole.
pub fn ledger_id_of(io: &dyn Io, dir: &Path) -> Result<Option<[u8; 16]>, JournalError> {
    if list_segments(io, dir)?.is_empty() {
        return Ok(None);
    }
    let first = dir.join(segment_name(Lsn(0)));
    Ok(Some(read_header(io, &first)?.ledger_id))
}

/// Walks the journal of a stopped ledger without changing anything. Takes no lock, so that it works on
/// a read-only copy; under a running writer it may report damage that is none, so the caller holds a
/// [`super::DirLock`] where one can be had.
///
/// # Errors
/// As [`super::Journal::open`], and those of `visit`.
pub fn inspect<E: From<JournalError>>(
    io: Arc<dyn Io>,
    dir: &Path,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<Recovery, E> {
    let Some((layout, segments)) = load_layout(&io, dir)? else {
        return Err(missing(dir.join(segment_name(Lsn(0)))).into());
    };
    let from = layout.codec.start();
    let scan = scan_segments(&layout, segments, from, Lsn(0), visit)?;
    Ok(scan.recovery(segments))
}

/// Checks an existing journal against the options, walks it and repairs a torn tail.
///
/// # Errors
/// As [`super::Journal::open`], and those of `visit`.
pub(super) fn recover<E: From<JournalError>>(
    layout: &Layout,
    segments: u64,
    from: Option<Position>,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<Recovery, E> {
    let start = layout.codec.start();
    let from = from.unwrap_or(start);
    let durable = if from == start {
        Lsn(0)
    } else {
        check_from(layout, segments, &from)?
    };
    let scan = scan_segments(layout, segments, from, durable, visit)?;
    // A segment's name may not be durable yet if the process ended between rename and sync.
    let synced = layout.io.sync_dir(&layout.dir);
    synced.map_err(|e| JournalError::io("sync", &layout.dir, e))?;
    if let Some(torn) = &scan.torn {
        cut(layout, torn)?;
    }
    rewrite_unproven(layout, &scan)?;
    Ok(scan.recovery(segments))
}

/// Checks names, sizes and headers of all segments.
///
/// # Errors
/// `Damaged`, `WrongLedger` among the segments themselves, `Unavailable`, `Io`.
pub(super) fn load_layout(
    io: &Arc<dyn Io>,
    dir: &Path,
) -> Result<Option<(Layout, u64)>, JournalError> {
    let firsts = list_segments(&**io, dir)?;
    let Some(lowest) = firsts.first() else {
        return Ok(None);
    };
    if *lowest != Lsn(0) {
        return Err(missing(dir.join(segment_name(Lsn(0)))));
    }
    let first = read_header(&**io, &dir.join(segment_name(Lsn(0))))?;
    let layout = Layout::new(
        Arc::clone(io),
        dir.to_owned(),
        first.ledger_id,
        first.segment_bytes,
        first.salt,
    );
    for (number, lsn) in firsts.iter().enumerate() {
        check_segment(&layout, number as u64, *lsn)?;
    }
    Ok(Some((layout, firsts.len() as u64)))
}

/// Compares what is on disk with what the caller asked for.
///
/// # Errors
/// `WrongLedger`, `Options`.
pub(super) fn check_options(layout: &Layout, options: &JournalOptions) -> Result<(), JournalError> {
    if layout.ledger_id != options.ledger_id {
        return Err(JournalError::WrongLedger {
            file: layout.path(0),
            found: hex::encode(layout.ledger_id),
            expected: hex::encode(options.ledger_id),
        });
    }
    if layout.segment_bytes != options.segment_bytes {
        return Err(JournalError::Options(format!(
            "the journal in {} was made with segments of {} bytes, not {}",
            layout.dir.display(),
            layout.segment_bytes,
            options.segment_bytes
        )));
    }
    Ok(())
}

fn list_segments(io: &dyn Io, dir: &Path) -> Result<Vec<Lsn>, JournalError> {
    let mut firsts: Vec<Lsn> = list(io, dir)?
        .iter()
        .filter_map(|name| parse_segment_name(name))
        .collect();
    firsts.sort_unstable();
    Ok(firsts)
}

fn damage(file: PathBuf, offset: u64, batch: Option<u64>, what: impl Into<String>) -> JournalError {
    Damage {
        file,
        offset,
        batch,
        what: what.into(),
    }
    .into()
}

fn missing(file: PathBuf) -> JournalError {
    damage(file, 0, None, "the segment is missing")
}

fn read_header(io: &dyn Io, path: &Path) -> Result<SegmentHeader, JournalError> {
    let file = io
        .open(path, Access::Read)
        .map_err(|source| JournalError::Unavailable {
            op: "open",
            path: path.to_owned(),
            source,
        })?;
    let failed = |e| JournalError::io("read", path, e);
    let size = file.size().map_err(failed)?;
    let mut bytes = [0u8; SEGMENT_HEADER_BYTES];
    if size < SEGMENT_HEADER_BYTES as u64 {
        let what = format!("the file has only {size} bytes");
        return Err(damage(path.to_owned(), 0, None, what));
    }
    read_exact_at(&*file, &mut bytes, 0).map_err(failed)?;
    let header =
        SegmentHeader::decode(&bytes).map_err(|what| damage(path.to_owned(), 0, None, what))?;
    if header.segment_bytes > MAX_SEGMENT_BYTES || size != header.segment_bytes {
        let what = format!(
            "the file has {size} bytes, its header says {}",
            header.segment_bytes
        );
        return Err(damage(path.to_owned(), size, None, what));
    }
    Ok(header)
}

fn check_segment(layout: &Layout, number: u64, name: Lsn) -> Result<(), JournalError> {
    let expected = layout.base(number);
    if name > expected {
        return Err(missing(layout.path(number)));
    }
    let path = layout.dir.join(segment_name(name));
    if name < expected {
        let what = "no segment starts at the lsn in the file's name";
        return Err(damage(path, 0, None, what));
    }
    let header = read_header(&*layout.io, &path)?;
    if header.ledger_id != layout.ledger_id {
        return Err(JournalError::WrongLedger {
            file: path,
            found: hex::encode(header.ledger_id),
            expected: hex::encode(layout.ledger_id),
        });
    }
    let same = header.number == number
        && header.segment_bytes == layout.segment_bytes
        && header.salt == layout.salt;
    if !same {
        let what = "the segment header belongs to another segment or another journal";
        return Err(damage(path, 0, None, what));
    }
    Ok(())
}

/// Makes sure that a position given by a snapshot is one of this journal, by the frame before it.
/// Returns that frame's durable mark.
fn check_from(layout: &Layout, segments: u64, from: &Position) -> Result<Lsn, JournalError> {
    let at = layout.segment_of(from.prev);
    let refuse = |what: &str| {
        damage(
            layout.path(at),
            layout.offset_of(from.prev),
            Some(from.batch.saturating_sub(1)),
            format!(
                "{what}, though a snapshot holds the ledger up to lsn {}",
                from.lsn
            ),
        )
    };
    if from.prev >= from.lsn || !from.lsn.0.is_multiple_of(FRAME_ALIGN as u64) {
        return Err(JournalError::Options(
            "the start position contradicts itself".into(),
        ));
    }
    if at >= segments || layout.segment_of(from.lsn) >= segments {
        return Err(refuse("the segment is missing"));
    }
    let file = layout.open(at, Access::Read)?;
    let frame =
        load_frame(layout, &*file, from.prev)?.ok_or_else(|| refuse("there is no whole frame"))?;
    if frame.end(layout, from.prev) != *from {
        return Err(refuse("there is another frame"));
    }
    Ok(frame.header.durable)
}

/// Bytes of one segment that were never synced.
struct Torn {
    segment: u64,
    start: u64,
    end: u64,
}

struct Scan {
    frames: u64,
    end: Position,
    /// Durable mark of the last frame.
    durable: Lsn,
    torn: Option<Torn>,
}

impl Scan {
    fn recovery(&self, segments: u64) -> Recovery {
        Recovery {
            frames: self.frames,
            end: self.end,
            torn_bytes_cut: self.torn.as_ref().map_or(0, |t| t.end - t.start),
            segments,
            created: false,
        }
    }
}

fn scan_segments<E: From<JournalError>>(
    layout: &Layout,
    segments: u64,
    from: Position,
    durable: Lsn,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<Scan, E> {
    let mut scan = Scan {
        frames: 0,
        end: from,
        durable,
        torn: None,
    };
    let mut image = Vec::new();
    loop {
        let segment = layout.segment_of(scan.end.lsn);
        if segment >= segments {
            return Err(missing(layout.path(segment)).into());
        }
        read_segment(layout, segment, &mut image)?;
        let base = layout.base(segment);
        let walk = walk(&image, &layout.codec, base, scan.end, visit)?;
        scan.frames += walk.frames;
        scan.durable = walk.durable.unwrap_or(scan.durable);
        let (at, what) = match walk.stop {
            Stop::Sealed(next) => {
                scan.end = next;
                continue;
            }
            Stop::Damaged { at, what } => {
                let offset = layout.offset_of(at.lsn);
                return Err(damage(layout.path(segment), offset, Some(at.batch), what).into());
            }
            Stop::Open { at, what } => (at, what),
        };
        scan.end = at;
        scan.torn = judge(layout, segments, &image, &at, what)?;
        return Ok(scan);
    }
}

/// Decides between clean end, torn tail and damage behind the last frame.
fn judge(
    layout: &Layout,
    segments: u64,
    image: &[u8],
    at: &Position,
    what: &str,
) -> Result<Option<Torn>, JournalError> {
    let segment = layout.segment_of(at.lsn);
    let start = layout.offset_of(at.lsn);
    let refuse = |proof: String| {
        damage(
            layout.path(segment),
            start,
            Some(at.batch),
            format!("{what}, {proof}"),
        )
    };
    let mut later = Vec::new();
    for number in segment + 1..segments {
        read_segment(layout, number, &mut later)?;
        let used = used_bytes(&later[SEGMENT_HEADER_BYTES..]) > 0;
        if used || number > segment + 1 {
            return Err(refuse(format!(
                "but {} shows that the log went on",
                layout.path(number).display()
            )));
        }
    }
    let base = layout.base(segment);
    match judge_tail(image, &layout.codec, base, start as usize) {
        Tail::Clean => Ok(None),
        Tail::Torn { end } => Ok(Some(Torn {
            segment,
            start,
            end: end as u64,
        })),
        Tail::Damaged { proof } => Err(refuse(format!(
            "but the frame at offset {proof} was written after this place had been synced"
        ))),
    }
}

fn read_segment(layout: &Layout, segment: u64, image: &mut Vec<u8>) -> Result<(), JournalError> {
    // The size is at most MAX_SEGMENT_BYTES, checked with the header.
    image.resize(layout.segment_bytes as usize, 0);
    let file = layout.open(segment, Access::Read)?;
    read_exact_at(&*file, image, 0).map_err(|e| JournalError::io("read", &layout.path(segment), e))
}

/// Zeroes a torn tail and makes the zeros durable.
fn cut(layout: &Layout, torn: &Torn) -> Result<(), JournalError> {
    let file = layout.open(torn.segment, Access::ReadWrite)?;
    let failed = |e| JournalError::io("repair", &layout.path(torn.segment), e);
    let zeros = vec![0u8; CHUNK_BYTES];
    let mut at = torn.start;
    while at < torn.end {
        let bytes = (torn.end - at).min(CHUNK_BYTES as u64);
        write_all_at(&*file, &zeros[..bytes as usize], at).map_err(failed)?;
        at += bytes;
    }
    file.sync_data().map_err(failed)
}

/// Writes the frames again that no durable mark covers, and syncs them. They may be only in the
/// kernel's memory, and there marked as written, if a sync failed before the restart.
fn rewrite_unproven(layout: &Layout, scan: &Scan) -> Result<(), JournalError> {
    if scan.end.prev == scan.end.lsn {
        return Ok(());
    }
    let segment = layout.segment_of(scan.end.prev);
    let end = if layout.segment_of(scan.end.lsn) == segment {
        scan.end.lsn
    } else {
        scan.end.prev.plus(FRAME_HEADER_BYTES as u64)
    };
    let file = layout.open(segment, Access::ReadWrite)?;
    let failed = |e| JournalError::io("repair", &layout.path(segment), e);
    let mut at = scan.durable.max(layout.first_frame(segment));
    let mut buf = vec![0u8; CHUNK_BYTES];
    while at < end {
        let bytes = (end.0 - at.0).min(CHUNK_BYTES as u64);
        let chunk = &mut buf[..bytes as usize];
        read_exact_at(&*file, chunk, layout.offset_of(at)).map_err(failed)?;
        write_all_at(&*file, chunk, layout.offset_of(at)).map_err(failed)?;
        at = at.plus(bytes);
    }
    file.sync_data().map_err(failed)
}
