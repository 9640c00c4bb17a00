//! Failing writes, syncs and full disks.

use super::super::JournalError;
use super::super::fault::Faults;
use super::*;

fn start() -> (tempfile::TempDir, FaultIo, Journal) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(3);
    let (journal, ..) = open(dir.path(), &io).expect("open");
    (dir, io, journal)
}

fn append(journal: &mut Journal, bytes: usize) -> Result<(), JournalError> {
    let batch = journal.end().batch;
    journal.append(batch, &payload(batch, bytes))?;
    journal.sync()?;
    Ok(())
}

/// Leaves room for one small frame.
fn fill_segment(journal: &mut Journal) {
    for _ in 0..3 {
        append(journal, 4000).expect("append");
    }
}

fn assert_poisoned(journal: &mut Journal) {
    let batch = journal.end().batch;
    assert!(matches!(
        journal.reserve(1),
        Err(JournalError::Poisoned { .. })
    ));
    assert!(matches!(
        journal.append(batch, b"x"),
        Err(JournalError::Poisoned { .. })
    ));
    assert!(matches!(journal.sync(), Err(JournalError::Poisoned { .. })));
    assert!(journal.poisoned().is_some());
}

#[test]
fn a_full_disk_changes_nothing_and_passes() {
    let (dir, io, mut journal) = start();
    fill_segment(&mut journal);
    for (faults, full) in [
        (
            Faults {
                space_left: Some(0),
                ..Faults::default()
            },
            true,
        ),
        (
            Faults {
                space_left: Some(SEGMENT_BYTES - 1),
                ..Faults::default()
            },
            true,
        ),
        (
            Faults {
                read_only: true,
                ..Faults::default()
            },
            false,
        ),
    ] {
        let (end, usage) = (journal.end(), journal.dir_usage().expect("usage"));
        io.set_faults(faults);
        let refused = journal.reserve(4000).expect_err("no room");
        assert_eq!(
            matches!(refused, JournalError::NoSpace(_)),
            full,
            "{refused}"
        );
        assert_eq!(matches!(refused, JournalError::ReadOnly(_)), !full);
        assert!(refused.is_retryable());
        assert_eq!((journal.end(), journal.poisoned()), (end, None));
        assert_eq!(journal.dir_usage().expect("usage"), usage);
    }
    // What fits into the segment goes on although the disk is full.
    io.set_faults(Faults {
        space_left: Some(0),
        ..Faults::default()
    });
    append(&mut journal, 40).expect("append");
    io.set_faults(Faults::default());
    append(&mut journal, 4000).expect("space has returned");
    drop(journal);
    let (_, recovery, seen) = open(dir.path(), &io).expect("open");
    assert_eq!((seen.len(), recovery.segments), (5, 2));
}

#[test]
fn the_disk_fills_up_in_the_background() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(3);
    drop(open(dir.path(), &io).expect("create"));
    io.set_faults(Faults {
        space_left: Some(0),
        ..Faults::default()
    });
    let ahead = super::super::JournalOptions {
        prepare_ahead: true,
        ..options(&io)
    };
    let (mut journal, ..) = open_with(dir.path(), ahead).expect("open");
    fill_segment(&mut journal);
    let refused = journal.reserve(4000).expect_err("no room");
    assert!(matches!(refused, JournalError::NoSpace(_)), "{refused}");
    io.set_faults(Faults::default());
    append(&mut journal, 4000).expect("space has returned");
    append(&mut journal, 4000).expect("append");
    append(&mut journal, 4000).expect("append");
    append(&mut journal, 4000).expect("the next segment was made in the background");
}

#[test]
fn short_writes_are_continued() {
    let (dir, io, mut journal) = start();
    io.set_faults(Faults {
        short_writes: true,
        ..Faults::default()
    });
    for size in [4000, 1, 3000, 4096, 777, 4000] {
        append(&mut journal, size).expect("append");
    }
    drop(journal);
    let (_, recovery, seen) = open(dir.path(), &io).expect("open");
    assert_eq!((seen.len(), recovery.torn_bytes_cut), (6, 0));
    assert_eq!(seen[3].payload, payload(4, 4096));
}

#[test]
fn a_failed_write_poisons() {
    let (dir, io, mut journal) = start();
    append(&mut journal, 10).expect("append");
    io.set_faults(Faults {
        writes_until_error: Some(0),
        ..Faults::default()
    });
    let failed = append(&mut journal, 10).expect_err("write");
    assert!(
        matches!(failed, JournalError::Io { op: "write", .. }),
        "{failed}"
    );
    io.set_faults(Faults::default());
    assert_poisoned(&mut journal);
    drop(journal);
    assert_eq!(open(dir.path(), &io).expect("open").2.len(), 1);
}

#[test]
fn a_failed_sync_poisons_and_is_not_durable_until_recovery_rewrites_it() {
    for seed in 0..40 {
        let dir = tempfile::tempdir().expect("temporary directory");
        let io = FaultIo::new(seed);
        let (mut journal, ..) = open(dir.path(), &io).expect("open");
        append(&mut journal, 10).expect("append");
        io.set_faults(Faults {
            syncs_until_error: Some(0),
            ..Faults::default()
        });
        let durable = journal.durable();
        let failed = append(&mut journal, 2000).expect_err("sync");
        assert!(
            matches!(failed, JournalError::Io { op: "sync", .. }),
            "{failed}"
        );
        assert_eq!(journal.durable(), durable);
        io.set_faults(Faults::default());
        assert_poisoned(&mut journal);
        drop(journal);
        io.kill();
        // The frame is seen from the kernel's memory: from now on it must survive anything.
        assert_eq!(open(dir.path(), &io).expect("open").2.len(), 2);
        io.crash().expect("crash");
        let (_, _, seen) = open(dir.path(), &io).expect("open after the crash");
        assert_eq!(seen.len(), 2, "seed {seed}");
    }
}

#[test]
fn a_failing_device_under_a_roll_poisons() {
    // Writes and syncs in turn: preparing the segment, the seal, the sync of the seal.
    for nth in 0..8 {
        for fail_sync in [false, true] {
            let (dir, io, mut journal) = start();
            fill_segment(&mut journal);
            let counter = Some(nth);
            io.set_faults(Faults {
                writes_until_error: counter.filter(|_| !fail_sync),
                syncs_until_error: counter.filter(|_| fail_sync),
                ..Faults::default()
            });
            let outcome = append(&mut journal, 4000);
            io.set_faults(Faults::default());
            if outcome.is_err() {
                assert_poisoned(&mut journal);
            }
            drop(journal);
            io.crash().expect("crash");
            let (mut journal, recovery, _) = open(dir.path(), &io).expect("open");
            assert!(recovery.frames >= 3, "fault {nth}, sync {fail_sync}");
            assert!(outcome.is_err() || recovery.frames == 4);
            append(&mut journal, 4000).expect("goes on");
        }
    }
}
