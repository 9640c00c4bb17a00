//! Torn tails are cut; every other damage refuses to start, names the place and changes nothing.

use std::fs;
use std::path::PathBuf;

use super::super::format::{
    Codec, FRAME_HEADER_BYTES, FrameHeader, FrameKind, SEGMENT_HEADER_BYTES, SegmentHeader,
    frame_bytes,
};
use super::super::segment::segment_name;
use super::super::{Damage, JournalError, JournalOptions, Link, Lsn, SegmentTail, parse_frames};
use super::*;

struct Place {
    dir: tempfile::TempDir,
    io: FaultIo,
    ends: Vec<Position>,
}

impl Place {
    fn new(sizes: &[usize]) -> Place {
        let dir = tempfile::tempdir().expect("temporary directory");
        let io = FaultIo::new(1);
        let ends = write(dir.path(), &io, sizes);
        Place { dir, io, ends }
    }

    fn segment(&self, number: u64) -> PathBuf {
        let name = segment_name(Lsn(number * SEGMENT_BYTES));
        self.dir.path().join(name)
    }

    fn read(&self, number: u64) -> Vec<u8> {
        fs::read(self.segment(number)).expect("read segment")
    }

    fn overwrite(&self, number: u64, image: &[u8]) {
        fs::write(self.segment(number), image).expect("write segment");
    }

    fn open(&self) -> Result<Opened, JournalError> {
        open(self.dir.path(), &self.io)
    }

    fn refusal(&self, case: &str) -> Damage {
        match self.open() {
            Err(JournalError::Damaged(damage)) => *damage,
            Err(other) => panic!("{case}: {other}"),
            Ok((_, recovery, _)) => panic!("{case}: opened, {recovery:?}"),
        }
    }
}

#[test]
fn a_changed_byte_in_a_middle_frame_is_refused_by_name() {
    let place = Place::new(&[300, 700, 300]);
    let whole = place.read(0);
    let start = place.ends[0].lsn.0 as usize;
    let end = place.ends[1].lsn.0 as usize;
    for at in (start..start + FRAME_HEADER_BYTES).chain((start..end).step_by(7)) {
        let mut image = whole.clone();
        image[at] ^= 0x40;
        place.overwrite(0, &image);
        let damage = place.refusal(&format!("byte {at}"));
        assert_eq!(damage.file, place.segment(0));
        assert_eq!(damage.offset, start as u64, "byte {at}");
        assert_eq!(damage.batch, Some(2), "byte {at}");
        let text = damage.to_string();
        assert!(text.contains("backup") && text.contains("florin ledger verify"));
        assert_eq!(place.read(0), image, "byte {at}: nothing may change");
    }
    place.overwrite(0, &whole);
    assert_eq!(place.open().expect("whole again").1.frames, 3);
}

#[test]
fn the_last_frame_cut_at_any_length_is_repaired() {
    let place = Place::new(&[300, 200]);
    let whole = place.read(0);
    let start = place.ends[0].lsn.0 as usize;
    let end = place.ends[1].lsn.0 as usize;
    assert_eq!(end - start, frame_bytes(200));
    for keep in start..end {
        let mut image = whole.clone();
        image[keep..].fill(0);
        place.overwrite(0, &image);
        let (mut journal, recovery, seen) = place.open().expect("repaired");
        assert_eq!(seen.len(), 1, "kept {keep}");
        assert_eq!(recovery.end, place.ends[0]);
        // The cut starts at the frame and ends behind the last byte that is not zero.
        assert!(recovery.torn_bytes_cut <= (keep - start) as u64);
        assert_eq!(recovery.torn_bytes_cut == 0, keep == start);
        journal.append(2, b"instead").expect("append");
        journal.sync().expect("sync");
        drop(journal);
        assert_eq!(place.open().expect("open").2[1].payload, b"instead");
    }
}

#[test]
fn a_last_frame_with_lost_or_garbled_sectors_is_cut() {
    let place = Place::new(&[300, 4000]);
    let whole = place.read(0);
    let start = place.ends[0].lsn.0 as usize;
    let end = place.ends[1].lsn.0 as usize;
    for sector in start / 512..end.div_ceil(512) {
        for fill in [0x00, 0xA5] {
            let mut image = whole.clone();
            let from = start.max(sector * 512);
            image[from..end.min(sector * 512 + 512)].fill(fill);
            place.overwrite(0, &image);
            let (_, recovery, seen) = place.open().expect("repaired");
            assert_eq!(seen.len(), 1, "sector {sector}");
            assert_eq!(recovery.end, place.ends[0]);
            assert!((1..=(end - start) as u64).contains(&recovery.torn_bytes_cut));
            let after = place.read(0);
            assert!(after[start..].iter().all(|&b| b == 0), "sector {sector}");
            assert_eq!(after[..start], whole[..start]);
        }
    }
}

#[test]
fn frames_of_one_unsynced_group_may_be_torn_in_any_order() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(1);
    let (mut journal, ..) = open(dir.path(), &io).expect("open");
    journal.append(1, &payload(1, 300)).expect("append");
    journal.sync().expect("sync");
    let hole = journal.append(2, &payload(2, 300)).expect("append");
    journal.append(3, &payload(3, 300)).expect("append");
    drop(journal);
    let path = dir.path().join(segment_name(Lsn(0)));
    let mut image = fs::read(&path).expect("read");
    image[hole.payload_lsn.0 as usize + 9] ^= 1;
    fs::write(&path, &image).expect("write");
    let (_, recovery, seen) = open(dir.path(), &io).expect("nothing proves that it was synced");
    assert_eq!(seen.len(), 1);
    // Up to the last byte that is not zero: four bytes of padding end the second frame.
    assert_eq!(recovery.torn_bytes_cut, 2 * frame_bytes(300) as u64 - 4);
}

#[test]
fn a_frame_inside_a_payload_does_not_count_as_a_later_frame() {
    let other = Place::new(&[300, 300, 300]);
    let foreign = other.read(0)[SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + 1100].to_vec();
    let dir = tempfile::tempdir().expect("temporary directory");
    // Another seed draws another salt.
    let io = FaultIo::new(2);
    let (mut journal, ..) = open(dir.path(), &io).expect("open");
    let own = journal.append(1, &foreign).expect("append");
    journal.sync().expect("sync");
    drop(journal);
    let path = dir.path().join(segment_name(Lsn(0)));
    let mut image = fs::read(&path).expect("read");
    // Lay the frames where their lsn is right, and tear the frame around them.
    image[SEGMENT_HEADER_BYTES + 512..SEGMENT_HEADER_BYTES + 1100]
        .copy_from_slice(&other.read(0)[SEGMENT_HEADER_BYTES + 512..SEGMENT_HEADER_BYTES + 1100]);
    fs::write(&path, &image).expect("write");
    let (_, recovery, seen) = open(dir.path(), &io).expect("torn, not damaged");
    assert_eq!((seen.len(), recovery.end.lsn), (0, own.lsn));
}

#[test]
fn damage_before_a_later_segment_is_refused() {
    let sizes = [4000; 7];
    let place = Place::new(&sizes);
    let image = place.read(1);
    let parsed = parse_frames(&image).expect("parse");
    assert_eq!(parsed.tail, SegmentTail::Sealed);
    let last = parsed.frames.last().expect("frames");
    let seal = last.lsn.0 + frame_bytes(4000) as u64 - SEGMENT_BYTES;
    // The last frame of a sealed segment, its seal, and the last two together.
    for (from, to) in [
        (last.payload.start as u64, last.payload.start as u64 + 1),
        (seal, seal + FRAME_HEADER_BYTES as u64),
        (last.payload.start as u64, SEGMENT_BYTES),
    ] {
        let mut broken = image.clone();
        broken[from as usize..to as usize].fill(0);
        place.overwrite(1, &broken);
        let damage = place.refusal("later segment");
        assert_eq!(damage.file, place.segment(1));
        assert!(
            damage.what.contains("shows that the log went on"),
            "{damage}"
        );
    }
}

#[test]
fn missing_and_foreign_segments_are_refused() {
    let place = Place::new(&[4000; 10]);
    for number in 0..3 {
        let image = place.read(number);
        fs::remove_file(place.segment(number)).expect("remove");
        let damage = place.refusal("missing");
        assert_eq!(damage.file, place.segment(number));
        assert!(damage.what.contains("missing"), "{damage}");
        place.overwrite(number, &image);
    }
    let last = (0..).take_while(|n| place.segment(*n).exists()).count() as u64 - 1;
    let image = place.read(last);
    fs::remove_file(place.segment(last)).expect("remove");
    assert_eq!(place.refusal("missing last").file, place.segment(last));
    place.overwrite(last, &image);

    let other = JournalOptions {
        ledger_id: *b"a ledger of them",
        ..options(&place.io)
    };
    let refused = open_with(place.dir.path(), other);
    assert!(matches!(refused, Err(JournalError::WrongLedger { .. })));

    // A segment of the same ledger and number, of another journal: the salt differs.
    let dir = tempfile::tempdir().expect("temporary directory");
    write(dir.path(), &FaultIo::new(9), &[4000; 10]);
    let name = segment_name(Lsn(SEGMENT_BYTES));
    fs::copy(dir.path().join(name), place.segment(1)).expect("copy");
    assert_eq!(place.refusal("other journal").file, place.segment(1));
}

#[test]
fn a_damaged_segment_header_or_length_is_refused() {
    let place = Place::new(&[4000; 5]);
    for number in 0..2 {
        let image = place.read(number);
        for at in [0, 9, 20, 33, 41, 49, 57, 100, SEGMENT_HEADER_BYTES - 1] {
            let mut broken = image.clone();
            broken[at] ^= 1;
            place.overwrite(number, &broken);
            assert_eq!(place.refusal("header").file, place.segment(number), "{at}");
        }
        place.overwrite(number, &image[..image.len() - 1]);
        assert_eq!(place.refusal("short").file, place.segment(number));
        place.overwrite(number, &image);
    }
    place.open().expect("whole again");
}

#[test]
fn a_frame_of_another_place_is_refused() {
    // Frames 2 and 3 have the same size; exchanging them breaks place, batch and link.
    let place = Place::new(&[300, 200, 200, 100]);
    let mut image = place.read(0);
    let (a, b) = (place.ends[0].lsn.0 as usize, place.ends[1].lsn.0 as usize);
    let bytes = frame_bytes(200);
    let second = image[a..a + bytes].to_vec();
    image.copy_within(b..b + bytes, a);
    image[b..b + bytes].copy_from_slice(&second);
    place.overwrite(0, &image);
    let damage = place.refusal("exchanged");
    assert_eq!((damage.offset, damage.batch), (a as u64, Some(2)));
}

#[test]
fn a_position_of_another_history_is_refused() {
    let place = Place::new(&[300, 200]);
    let whole = place.read(0);
    let from = |position| JournalOptions {
        from: Some(position),
        ..options(&place.io)
    };
    let mut other = place.ends[1];
    other.link.0 ^= 1;
    let refused = open_with(place.dir.path(), from(other));
    assert!(matches!(refused, Err(JournalError::Damaged(_))));

    // The journal has lost the frame that the snapshot has seen: cutting it would be a guess.
    let mut image = whole.clone();
    image[place.ends[0].lsn.0 as usize..].fill(0);
    place.overwrite(0, &image);
    let refused = open_with(place.dir.path(), from(place.ends[1]));
    match refused {
        Err(JournalError::Damaged(d)) => {
            assert_eq!((d.offset, d.batch), (place.ends[0].lsn.0, Some(2)));
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened"),
    }
    fs::remove_file(place.segment(0)).expect("remove");
    let refused = open_with(place.dir.path(), from(place.ends[1]));
    assert!(matches!(refused, Err(JournalError::Damaged(_))));
    assert!(!place.segment(0).exists(), "nothing may be made anew");
}

#[test]
fn parsing_survives_extreme_headers_with_good_checksums() {
    let codec = Codec::new(&LEDGER, 0);
    for number in [1, u64::MAX / SEGMENT_BYTES - 1, u64::MAX] {
        let header = SegmentHeader {
            ledger_id: LEDGER,
            number: number.min(u64::MAX / SEGMENT_BYTES),
            segment_bytes: SEGMENT_BYTES,
            salt: 0,
        };
        let mut image = vec![0; SEGMENT_BYTES as usize];
        image[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.encode());
        let base = header.number * SEGMENT_BYTES;
        for payload_bytes in [0, 8, SEGMENT_BYTES as usize, u32::MAX as usize] {
            for kind in [FrameKind::Batch, FrameKind::Seal] {
                let frame = FrameHeader {
                    kind,
                    payload_bytes,
                    batch: u64::MAX,
                    link: Link(1),
                    durable: Lsn(u64::MAX),
                    payload_crc: 0,
                };
                let lsn = Lsn(base + SEGMENT_HEADER_BYTES as u64);
                let (bytes, _) = codec.encode(&frame, lsn);
                image[SEGMENT_HEADER_BYTES..][..bytes.len()].copy_from_slice(&bytes);
                match parse_frames(&image) {
                    Ok(parsed) => assert!(matches!(parsed.tail, SegmentTail::Damaged { .. })),
                    Err(what) => assert!(what.contains("contradicts itself"), "{what}"),
                }
            }
        }
    }
}

#[test]
fn parsing_survives_any_bytes() {
    let place = Place::new(&[4000; 5]);
    let image = place.read(0);
    for length in [0, 1, 4095, 4096, 8192, image.len() - 1] {
        assert!(parse_frames(&image[..length]).is_err(), "{length}");
    }
    for at in (0..image.len()).step_by(5) {
        let mut broken = image.clone();
        broken[at] = broken[at].wrapping_add(at as u8 | 1);
        if let Ok(parsed) = parse_frames(&broken) {
            assert!(parsed.frames.len() <= 3, "byte {at}");
        }
    }
}
