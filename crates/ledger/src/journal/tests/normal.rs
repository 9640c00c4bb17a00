//! What works: writing, rolling, reading back, starting from a position.

use std::sync::Arc;

use super::super::segment::segment_name;
use super::super::{Frame, Io, JournalError, JournalOptions, Lsn, RealIo, SegmentTail};
use super::super::{inspect, ledger_id_of, parse_frames};
use super::*;

const SIZES: [usize; 12] = [0, 1, 8, 4096, 4000, 3000, 17, 4096, 4096, 4096, 2500, 900];

#[test]
fn batches_come_back_in_order_across_segments() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(1);
    let ends = write(dir.path(), &io, &SIZES);
    let (journal, recovery, seen) = open(dir.path(), &io).expect("open again");
    assert_eq!(recovery.frames, SIZES.len() as u64);
    assert_eq!(recovery.torn_bytes_cut, 0);
    assert!(!recovery.created);
    assert!(recovery.segments >= 3, "{recovery:?}");
    assert_eq!(Some(&recovery.end), ends.last());
    assert_eq!(
        journal.dir_usage().expect("usage"),
        recovery.segments * SEGMENT_BYTES
    );
    for (i, frame) in seen.iter().enumerate() {
        let batch = i as u64 + 1;
        assert_eq!(frame.batch, batch);
        assert_eq!(frame.payload, payload(batch, SIZES[i]));
        assert_eq!(frame.end, ends[i]);
    }
}

#[test]
fn every_position_is_a_place_to_start_from() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(1);
    let ends = write(dir.path(), &io, &SIZES);
    for (done, end) in ends.iter().enumerate() {
        let from = JournalOptions {
            from: Some(*end),
            ..options(&io)
        };
        let (_, recovery, seen) = open_with(dir.path(), from).expect("open");
        assert_eq!(seen.len(), SIZES.len() - done - 1);
        assert_eq!(recovery.end, ends[SIZES.len() - 1]);
    }
}

#[test]
fn readers_see_what_is_durable_and_no_more() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(1);
    let (mut journal, ..) = open(dir.path(), &io).expect("open");
    let reader = journal.reader();
    let mut places = Vec::new();
    for (batch, size) in (1..).zip(SIZES) {
        places.push(
            journal
                .append(batch, &payload(batch, size))
                .expect("append"),
        );
    }
    let last = places[SIZES.len() - 1];
    assert!(matches!(
        reader.frame_at(last.lsn),
        Err(JournalError::OutOfRange { .. })
    ));
    journal.sync().expect("sync");
    assert_eq!(reader.durable_end(), last.end.lsn);
    for (i, place) in places.iter().enumerate() {
        let frame = reader.frame_at(place.lsn).expect("frame");
        assert_eq!(frame.payload, payload(i as u64 + 1, SIZES[i]));
        assert_eq!(
            (frame.payload_lsn, frame.end),
            (place.payload_lsn, place.end)
        );
        let mut part = vec![0; SIZES[i] / 2];
        let half = place.payload_lsn.plus((SIZES[i] - part.len()) as u64);
        reader.read_exact_at(half, &mut part).expect("part");
        assert_eq!(part, frame.payload[SIZES[i] - part.len()..]);
    }
    let batches = |from, up_to| -> Vec<u64> {
        let frames = reader.frames_from(from, up_to);
        frames.map(|f| f.expect("frame").batch).collect()
    };
    let all: Vec<u64> = (1..=SIZES.len() as u64).collect();
    assert_eq!(batches(Lsn(0), Lsn(u64::MAX)), all);
    assert_eq!(batches(places[4].lsn, places[9].lsn), vec![5, 6, 7, 8, 9]);
    assert_eq!(batches(places[4].end.lsn, Lsn(u64::MAX)), &all[5..]);
}

#[test]
fn a_read_that_leaves_the_log_is_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(1);
    write(dir.path(), &io, &SIZES);
    let (journal, ..) = open(dir.path(), &io).expect("open");
    let reader = journal.reader();
    for (lsn, bytes) in [
        (Lsn(SEGMENT_BYTES - 4), 8),
        (reader.durable_end(), 1),
        (Lsn(u64::MAX), 8),
    ] {
        let refused = reader.read_exact_at(lsn, &mut vec![0; bytes]);
        assert!(
            matches!(refused, Err(JournalError::OutOfRange { .. })),
            "{lsn}: {refused:?}"
        );
    }
    let not_a_frame = reader.frame_at(Lsn(4096 + 8));
    assert!(matches!(not_a_frame, Err(JournalError::Damaged(_))));
    let mut frames = reader.frames_from(Lsn(4096 + 8), Lsn(u64::MAX));
    assert!(frames.next().is_some_and(|f| f.is_err()));
    assert!(frames.next().is_none());
}

#[test]
fn readers_follow_a_writer_on_another_thread() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let options = JournalOptions {
        io: Arc::new(RealIo),
        prepare_ahead: true,
        ..options(&FaultIo::new(1))
    };
    let (mut journal, ..) = open_with(dir.path(), options).expect("open");
    let reader = journal.reader();
    let (told, heard) = std::sync::mpsc::sync_channel(60);
    let follower = std::thread::spawn(move || {
        let mut at = Lsn(0);
        let mut expected = 1;
        while let Ok(up_to) = heard.recv() {
            for frame in reader.frames_from(at, up_to) {
                let frame = frame.expect("frame");
                assert_eq!(frame.batch, expected);
                assert_eq!(
                    frame.payload,
                    payload(expected, (expected * 37 % 4096) as usize)
                );
                expected += 1;
                at = frame.end.lsn;
            }
        }
        expected
    });
    for batch in 1..=60 {
        let bytes = payload(batch, (batch * 37 % 4096) as usize);
        journal.append(batch, &bytes).expect("append");
        told.send(journal.sync().expect("sync").lsn).expect("send");
    }
    drop(told);
    assert_eq!(follower.join().expect("follower"), 61);
}

#[test]
fn the_visitor_can_stop_the_start() {
    struct Stop(Option<u64>);
    impl From<JournalError> for Stop {
        fn from(_: JournalError) -> Self {
            Stop(None)
        }
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(1);
    write(dir.path(), &io, &SIZES);
    let stopped = Journal::open(
        dir.path(),
        options(&io),
        &mut |frame: Frame<'_>| match frame.batch {
            3 => Err(Stop(Some(3))),
            _ => Ok(()),
        },
    );
    assert_eq!(stopped.err().and_then(|stop| stop.0), Some(3));
}

#[test]
fn a_second_opener_is_told() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(1);
    let first = open(dir.path(), &io).expect("open");
    let second = open(dir.path(), &io);
    assert!(matches!(second, Err(JournalError::Locked { .. })));
    drop(first);
    open(dir.path(), &io).expect("after the first is gone");
}

#[test]
fn misuse_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(1);
    let (mut journal, ..) = open(dir.path(), &io).expect("open");
    let wrong = journal.append(2, b"x");
    assert!(matches!(
        wrong,
        Err(JournalError::WrongBatch {
            given: 2,
            expected: 1
        })
    ));
    let large = journal.append(1, &vec![1; MAX_PAYLOAD + 1]);
    assert!(matches!(large, Err(JournalError::TooLarge { .. })));
    journal.append(1, b"x").expect("the journal goes on");
    drop(journal);
    for (segment_bytes, max_payload_bytes) in [
        (16_000, 100),
        (8192, 4096),
        (1 << 31, 100),
        (1 << 30, 33 << 20),
    ] {
        let bad = JournalOptions {
            segment_bytes,
            max_payload_bytes,
            ..options(&io)
        };
        let refused = open_with(dir.path(), bad);
        assert!(
            matches!(refused, Err(JournalError::Options(_))),
            "{segment_bytes}"
        );
    }
    let other_size = JournalOptions {
        segment_bytes: 2 * SEGMENT_BYTES,
        ..options(&io)
    };
    assert!(matches!(
        open_with(dir.path(), other_size),
        Err(JournalError::Options(_))
    ));
}

#[test]
fn inspection_and_parsing_change_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io: Arc<dyn Io> = Arc::new(FaultIo::new(1));
    assert_eq!(ledger_id_of(&*io, dir.path()).expect("no journal"), None);
    write(dir.path(), &FaultIo::new(1), &SIZES);
    assert_eq!(
        ledger_id_of(&*io, dir.path()).expect("a journal"),
        Some(LEDGER)
    );
    let mut batches = 0;
    let found = inspect(io, dir.path(), &mut |_| {
        batches += 1;
        Ok::<(), JournalError>(())
    })
    .expect("inspect");
    assert_eq!((batches, found.frames), (12, 12));
    let mut next = 1;
    for number in 0..found.segments {
        let name = segment_name(Lsn(number * SEGMENT_BYTES));
        let image = std::fs::read(dir.path().join(name)).expect("read");
        let parsed = parse_frames(&image).expect("parse");
        assert_eq!((parsed.ledger_id, parsed.number), (LEDGER, number));
        for frame in &parsed.frames {
            assert_eq!(frame.batch, next);
            assert_eq!(
                image[frame.payload.clone()],
                payload(next, SIZES[next as usize - 1])
            );
            next += 1;
        }
        let last = number + 1 == found.segments;
        let expected = if last {
            SegmentTail::Clean
        } else {
            SegmentTail::Sealed
        };
        assert_eq!(parsed.tail, expected);
    }
    assert_eq!(next, 13);
}
