//! Walks the frames of one segment image and judges what lies behind the last of them. Pure.
//!
//! Boundary: knows one segment as bytes in memory; files, other segments and repair are `recover`.
//! The reasoning behind the judgement is in the text of the parent module.

use std::ops::Range;

use super::format::{
    Codec, FRAME_ALIGN, FRAME_HEADER_BYTES, FrameHeader, FrameKind, HeaderFault, MAX_SEGMENT_BYTES,
    SEGMENT_HEADER_BYTES, SegmentHeader, body_crc, frame_bytes,
};
use super::{Frame, Link, Lsn, Position};

/// Where and why a walk ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// At the seal; the position is the start of the next segment's frames.
    Sealed(Position),
    /// At a place without a next frame; the rest of the segment decides what that means.
    Open { at: Position, what: &'static str },
    /// At something that no crash produces.
    Damaged { at: Position, what: String },
}

/// What a walk has seen.
#[derive(Debug)]
pub(super) struct Walk {
    pub stop: Stop,
    /// Batch frames visited.
    pub frames: u64,
    /// Durable mark of the last frame seen, seals included.
    pub durable: Option<Lsn>,
}

enum Step<'a> {
    Frame(FrameHeader, Link, &'a [u8]),
    Open(&'static str),
    Damaged(String),
}

/// Visits the frames of a whole segment from `from` on. `base` is the lsn of the image's first byte.
///
/// # Errors
/// Those of `visit`.
pub(super) fn walk<E>(
    image: &[u8],
    codec: &Codec,
    base: Lsn,
    from: Position,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<Walk, E> {
    let mut at = from;
    let mut walk = Walk {
        stop: Stop::Open { at, what: "" },
        frames: 0,
        durable: None,
    };
    loop {
        let (header, link, body) = match step(image, codec, base, &at) {
            Step::Frame(header, link, body) => (header, link, body),
            Step::Open(what) => {
                walk.stop = Stop::Open { at, what };
                return Ok(walk);
            }
            Step::Damaged(what) => {
                walk.stop = Stop::Damaged { at, what };
                return Ok(walk);
            }
        };
        walk.durable = Some(header.durable);
        if header.kind == FrameKind::Seal {
            walk.stop = Stop::Sealed(Position {
                lsn: base.plus((image.len() + SEGMENT_HEADER_BYTES) as u64),
                batch: at.batch,
                link,
                prev: at.lsn,
            });
            return Ok(walk);
        }
        let end = Position {
            lsn: at.lsn.plus(frame_bytes(header.payload_bytes) as u64),
            batch: at.batch + 1,
            link,
            prev: at.lsn,
        };
        visit(Frame {
            batch: at.batch,
            lsn: at.lsn,
            payload_lsn: at.lsn.plus(FRAME_HEADER_BYTES as u64),
            payload: &body[..header.payload_bytes],
            end,
        })?;
        walk.frames += 1;
        at = end;
    }
}

/// Looks at the place where the next frame is expected.
fn step<'a>(image: &'a [u8], codec: &Codec, base: Lsn, at: &Position) -> Step<'a> {
    let offset = (at.lsn.0 - base.0) as usize;
    let Some(rest) = image.get(offset..) else {
        return Step::Damaged("the position lies outside the segment".into());
    };
    let (header, link) = match codec.decode(rest, at.lsn) {
        Ok(decoded) => decoded,
        Err(HeaderFault::Zero) => return Step::Open("zeros in place of a frame"),
        Err(HeaderFault::Invalid) => return Step::Open("no valid frame header"),
    };
    if header.batch != at.batch {
        return Step::Damaged(format!(
            "the frame carries batch {}, expected was {}",
            header.batch, at.batch
        ));
    }
    if header.link != at.link {
        return Step::Damaged("the frame does not link to the frame before it".into());
    }
    if header.batch == u64::MAX {
        return Step::Damaged("the frame carries the last batch number there is".into());
    }
    if header.durable > at.lsn {
        return Step::Damaged("the frame's durable mark lies behind the frame".into());
    }
    // A batch frame always leaves room for the seal behind it.
    let (bytes, room) = match header.kind {
        FrameKind::Batch => (
            frame_bytes(header.payload_bytes),
            rest.len().saturating_sub(FRAME_HEADER_BYTES),
        ),
        FrameKind::Seal => (frame_bytes(header.payload_bytes), FRAME_HEADER_BYTES),
    };
    if bytes > room {
        return Step::Damaged(format!(
            "the frame claims {} bytes of payload, more than can be here",
            header.payload_bytes
        ));
    }
    let body = &rest[FRAME_HEADER_BYTES..bytes];
    if body_crc(body) != header.payload_crc {
        return Step::Open("the frame's payload fails its checksum");
    }
    Step::Frame(header, link, body)
}

/// What lies behind the last frame of an unsealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Only zeros.
    Clean,
    /// Remains of writes that were never synced; `end` is the offset behind the last of them.
    Torn { end: usize },
    /// The header at offset `proof` shows that what was here had been synced.
    Damaged { proof: usize },
}

/// Length of `bytes` without the zeros at its end. Segments are mostly zeros, so that blocks are
/// compared as a whole.
pub(super) fn used_bytes(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut end = bytes.len();
    while end >= ZEROS.len() && bytes[end - ZEROS.len()..end] == ZEROS {
        end -= ZEROS.len();
    }
    let last = bytes[..end].iter().rposition(|&b| b != 0);
    last.map_or(0, |last| last + 1)
}

/// Judges the bytes of a segment from offset `at`, where no valid frame was found, to its end.
pub(super) fn judge_tail(image: &[u8], codec: &Codec, base: Lsn, at: usize) -> Tail {
    let end = at + used_bytes(&image[at..]);
    if end == at {
        return Tail::Clean;
    }
    let missing = base.plus(at as u64);
    for proof in (at + FRAME_ALIGN..end).step_by(FRAME_ALIGN) {
        if let Ok((header, _)) = codec.decode(&image[proof..], base.plus(proof as u64))
            && header.durable > missing
        {
            return Tail::Damaged { proof };
        }
    }
    Tail::Torn { end }
}

/// A frame found by [`parse_frames`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedFrame {
    /// Batch number.
    pub batch: u64,
    /// First byte of the frame.
    pub lsn: Lsn,
    /// Where the payload lies in the bytes given.
    pub payload: Range<usize>,
}

/// What lies behind the frames of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentTail {
    /// A seal: the log goes on in the next segment.
    Sealed,
    /// Zeros.
    Clean,
    /// An unfinished write.
    Torn {
        /// Where it starts.
        at: Lsn,
    },
    /// Bytes that are not what was written.
    Damaged {
        /// Where.
        at: Lsn,
        /// What was found.
        what: String,
    },
}

/// A segment in memory, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedSegment {
    /// The ledger it belongs to.
    pub ledger_id: [u8; 16],
    /// Its number, from 0.
    pub number: u64,
    /// Its frames in order.
    pub frames: Vec<ParsedFrame>,
    /// What follows them.
    pub tail: SegmentTail,
}

/// Takes a whole segment file apart without any other knowledge. Never panics, whatever the bytes.
///
/// In a segment other than the first, the first frame is taken at its word for its batch number and
/// its link, since both depend on the segment before.
///
/// # Errors
/// What is wrong with the segment header or the length, in words.
pub fn parse_frames(image: &[u8]) -> Result<ParsedSegment, String> {
    let header = SegmentHeader::decode(image)?;
    if header.segment_bytes != image.len() as u64 || header.segment_bytes > MAX_SEGMENT_BYTES {
        return Err(format!(
            "the segment has {} bytes, its header says {}",
            image.len(),
            header.segment_bytes
        ));
    }
    let codec = Codec::new(&header.ledger_id, header.salt);
    let base = Lsn(header.number * header.segment_bytes);
    let mut from = codec.start();
    from.lsn = base.plus(SEGMENT_HEADER_BYTES as u64);
    if header.number > 0
        && let Ok((first, _)) = codec.decode(&image[SEGMENT_HEADER_BYTES..], from.lsn)
    {
        from.batch = first.batch;
        from.link = first.link;
    }
    let mut frames = Vec::new();
    let walk = walk(image, &codec, base, from, &mut |frame: Frame<'_>| {
        let start = (frame.payload_lsn.0 - base.0) as usize;
        frames.push(ParsedFrame {
            batch: frame.batch,
            lsn: frame.lsn,
            payload: start..start + frame.payload.len(),
        });
        Ok::<(), String>(())
    })?;
    let tail = match walk.stop {
        Stop::Sealed(_) => SegmentTail::Sealed,
        Stop::Damaged { at, what } => SegmentTail::Damaged { at: at.lsn, what },
        Stop::Open { at, what } => {
            match judge_tail(image, &codec, base, (at.lsn.0 - base.0) as usize) {
                Tail::Clean => SegmentTail::Clean,
                Tail::Torn { .. } => SegmentTail::Torn { at: at.lsn },
                Tail::Damaged { .. } => SegmentTail::Damaged {
                    at: at.lsn,
                    what: what.into(),
                },
            }
        }
    };
    Ok(ParsedSegment {
        ledger_id: header.ledger_id,
        number: header.number,
        frames,
        tail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_that_is_not_zero_is_found_wherever_it_lies() {
        assert_eq!((used_bytes(&[]), used_bytes(&[0; 9_000])), (0, 0));
        for at in [0, 1, 4_095, 4_096, 4_900, 8_191, 8_192, 8_999] {
            let mut bytes = vec![0; 9_000];
            bytes[at] = 1;
            assert_eq!(used_bytes(&bytes), at + 1);
        }
    }
}
