//! Bytes of segment headers and frame headers, and their checksums. Pure.
//!
//! Boundary: encodes and decodes single headers; what a sequence of frames means is `scan`.

use super::{Link, Lsn, Position};

/// Bytes of the header at the start of a segment file.
pub(super) const SEGMENT_HEADER_BYTES: usize = 4096;
/// Bytes of the header of a frame.
pub(super) const FRAME_HEADER_BYTES: usize = 40;
/// Frames start at multiples of this.
pub(super) const FRAME_ALIGN: usize = 8;
/// Offsets inside a segment fit 31 bits.
pub(super) const MAX_SEGMENT_BYTES: u64 = 1 << 30;

const SEGMENT_MAGIC: [u8; 8] = *b"FLORINJL";
const FRAME_MAGIC: [u8; 4] = *b"FLJf";
const FORMAT_VERSION: u32 = 1;
const SEGMENT_CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;
const FRAME_CRC_AT: usize = FRAME_HEADER_BYTES - 4;
const KIND_BATCH: u32 = 1;
const KIND_SEAL: u32 = 2;

/// Bytes that a frame with this payload takes, padding included.
pub(super) fn frame_bytes(payload: usize) -> usize {
    FRAME_HEADER_BYTES + payload.next_multiple_of(FRAME_ALIGN)
}

/// Largest payload that fits into an empty segment together with the seal.
pub(super) fn payload_room(segment_bytes: u64) -> usize {
    let taken = SEGMENT_HEADER_BYTES + 2 * FRAME_HEADER_BYTES;
    usize::try_from(segment_bytes)
        .unwrap_or(usize::MAX)
        .saturating_sub(taken)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(
        bytes[at..at + 4]
            .try_into()
            .expect("a slice of 4 is an array of 4"),
    )
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(
        bytes[at..at + 8]
            .try_into()
            .expect("a slice of 8 is an array of 8"),
    )
}

/// The header of a segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub ledger_id: [u8; 16],
    pub number: u64,
    pub segment_bytes: u64,
    /// Random number drawn when the journal is created, the same in all its segments.
    pub salt: u64,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut b = [0u8; SEGMENT_HEADER_BYTES];
        b[0..8].copy_from_slice(&SEGMENT_MAGIC);
        b[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        b[16..32].copy_from_slice(&self.ledger_id);
        b[32..40].copy_from_slice(&self.number.to_le_bytes());
        b[40..48].copy_from_slice(&(self.number * self.segment_bytes).to_le_bytes());
        b[48..56].copy_from_slice(&self.segment_bytes.to_le_bytes());
        b[56..64].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32fast::hash(&b[..SEGMENT_CRC_AT]);
        b[SEGMENT_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        b
    }

    /// Decodes a header.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn decode(b: &[u8]) -> Result<SegmentHeader, String> {
        if b.len() < SEGMENT_HEADER_BYTES {
            return Err(format!("the file has only {} bytes", b.len()));
        }
        if b[0..8] != SEGMENT_MAGIC {
            return Err("the file does not start with the mark of a journal segment".into());
        }
        if crc32fast::hash(&b[..SEGMENT_CRC_AT]) != u32_at(b, SEGMENT_CRC_AT) {
            return Err("the segment header fails its checksum".into());
        }
        let version = u32_at(b, 8);
        if version != FORMAT_VERSION {
            return Err(format!(
                "the segment has format version {version}, this program reads {FORMAT_VERSION}"
            ));
        }
        let header = SegmentHeader {
            ledger_id: b[16..32]
                .try_into()
                .expect("a slice of 16 is an array of 16"),
            number: u64_at(b, 32),
            segment_bytes: u64_at(b, 48),
            salt: u64_at(b, 56),
        };
        // The segment behind this one must have an lsn too.
        let ends = header.number.checked_add(2);
        let ends = ends.and_then(|n| n.checked_mul(header.segment_bytes));
        if ends.is_none() || header.number * header.segment_bytes != u64_at(b, 40) {
            return Err("the segment header contradicts itself about its first lsn".into());
        }
        Ok(header)
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A payload of the caller.
    Batch,
    /// The end of a segment: the log goes on in the next.
    Seal,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub kind: FrameKind,
    pub payload_bytes: usize,
    /// The batch; in a seal the number of the batch that comes next.
    pub batch: u64,
    pub link: Link,
    /// Everything below was synced when this header was made.
    pub durable: Lsn,
    pub payload_crc: u32,
}

/// Why 40 bytes are not a frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Nothing but zeros.
    Zero,
    /// Something else.
    Invalid,
}

/// Checksums frames of one journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codec {
    seed: u32,
}

impl Codec {
    pub fn new(ledger_id: &[u8; 16], salt: u64) -> Codec {
        let mut crc = crc32fast::Hasher::new();
        crc.update(ledger_id);
        crc.update(&salt.to_le_bytes());
        Codec {
            seed: crc.finalize(),
        }
    }

    /// The position of the first frame of the log.
    pub fn start(&self) -> Position {
        let lsn = Lsn(SEGMENT_HEADER_BYTES as u64);
        Position {
            lsn,
            batch: 1,
            link: Link(self.seed),
            prev: lsn,
        }
    }

    fn header_crc(&self, header: &[u8], lsn: Lsn) -> u32 {
        let mut crc = crc32fast::Hasher::new_with_initial(self.seed);
        crc.update(&lsn.0.to_le_bytes());
        crc.update(&header[..FRAME_CRC_AT]);
        crc.finalize()
    }

    /// The bytes of a header at `lsn`, and the link that the next frame carries.
    pub fn encode(&self, h: &FrameHeader, lsn: Lsn) -> ([u8; FRAME_HEADER_BYTES], Link) {
        let kind = match h.kind {
            FrameKind::Batch => KIND_BATCH,
            FrameKind::Seal => KIND_SEAL,
        };
        let payload_bytes =
            u32::try_from(h.payload_bytes).expect("the writer has checked the limit of 32 MiB");
        let mut b = [0u8; FRAME_HEADER_BYTES];
        b[0..4].copy_from_slice(&FRAME_MAGIC);
        b[4..8].copy_from_slice(&kind.to_le_bytes());
        b[8..12].copy_from_slice(&payload_bytes.to_le_bytes());
        b[12..16].copy_from_slice(&h.link.0.to_le_bytes());
        b[16..24].copy_from_slice(&h.batch.to_le_bytes());
        b[24..32].copy_from_slice(&h.durable.0.to_le_bytes());
        b[32..36].copy_from_slice(&h.payload_crc.to_le_bytes());
        let crc = self.header_crc(&b, lsn);
        b[FRAME_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        (b, Link(crc))
    }

    /// Decodes the header at `lsn`, and the link that the next frame carries.
    ///
    /// # Errors
    /// [`HeaderFault`] if the bytes are not a header that this journal wrote at this place.
    pub fn decode(&self, b: &[u8], lsn: Lsn) -> Result<(FrameHeader, Link), HeaderFault> {
        let b = b.get(..FRAME_HEADER_BYTES).ok_or(HeaderFault::Invalid)?;
        if b[0..4] != FRAME_MAGIC {
            return Err(if b.iter().all(|&x| x == 0) {
                HeaderFault::Zero
            } else {
                HeaderFault::Invalid
            });
        }
        let crc = u32_at(b, FRAME_CRC_AT);
        if self.header_crc(b, lsn) != crc {
            return Err(HeaderFault::Invalid);
        }
        let kind = match u32_at(b, 4) {
            KIND_BATCH => FrameKind::Batch,
            KIND_SEAL => FrameKind::Seal,
            _ => return Err(HeaderFault::Invalid),
        };
        let header = FrameHeader {
            kind,
            payload_bytes: u32_at(b, 8) as usize,
            batch: u64_at(b, 16),
            link: Link(u32_at(b, 12)),
            durable: Lsn(u64_at(b, 24)),
            payload_crc: u32_at(b, 32),
        };
        Ok((header, Link(crc)))
    }
}

/// Checksum over the payload and its padding.
pub(super) fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FrameHeader {
        FrameHeader {
            kind: FrameKind::Batch,
            payload_bytes: 77,
            batch: 5,
            link: Link(99),
            durable: Lsn(4096),
            payload_crc: 7,
        }
    }

    #[test]
    fn a_frame_header_is_bound_to_its_place_ledger_and_salt() {
        let codec = Codec::new(&[1; 16], 2);
        let (bytes, link) = codec.encode(&header(), Lsn(8192));
        assert_eq!(codec.decode(&bytes, Lsn(8192)), Ok((header(), link)));
        assert_eq!(codec.decode(&bytes, Lsn(8200)), Err(HeaderFault::Invalid));
        for other in [Codec::new(&[1; 16], 3), Codec::new(&[2; 16], 2)] {
            assert_eq!(other.decode(&bytes, Lsn(8192)), Err(HeaderFault::Invalid));
        }
        assert_eq!(codec.decode(&[0; 40], Lsn(0)), Err(HeaderFault::Zero));
        assert_eq!(
            codec.decode(&bytes[..39], Lsn(8192)),
            Err(HeaderFault::Invalid)
        );
    }

    #[test]
    fn every_changed_byte_of_a_header_is_noticed() {
        let codec = Codec::new(&[1; 16], 2);
        let (bytes, _) = codec.encode(&header(), Lsn(8192));
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 0x10;
            assert!(codec.decode(&changed, Lsn(8192)).is_err(), "byte {at}");
        }
        let segment = SegmentHeader {
            ledger_id: [9; 16],
            number: 3,
            segment_bytes: 65536,
            salt: 11,
        };
        let bytes = segment.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(segment));
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes;
            changed[at] ^= 0x01;
            assert!(SegmentHeader::decode(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(frame_bytes(0), 40);
        assert_eq!(frame_bytes(1), 48);
        assert_eq!(frame_bytes(8), 48);
        let room = payload_room(8192);
        assert_eq!(
            SEGMENT_HEADER_BYTES + frame_bytes(room) + FRAME_HEADER_BYTES,
            8192
        );
        assert_eq!(payload_room(4096), 0);
    }
}
