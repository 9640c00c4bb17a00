//! Measures what a sync costs with each way to prepare a segment; run by hand:
//! `cargo nextest run -p florin-ledger --run-ignored only measure_sync_latency --no-capture`.

use std::sync::Arc;
use std::time::Instant;

use super::super::io::{Access, Io, RealIo, write_all_at};
use super::super::{Journal, JournalError, JournalOptions};
use super::*;

const FILE_BYTES: u64 = 64 << 20;

#[derive(Clone, Copy, Debug)]
enum Way {
    Growing,
    Allocated,
    Zeroed,
}

fn report(name: &str, frame: usize, mut micros: Vec<u128>) {
    micros.sort_unstable();
    let at = |per_cent: usize| micros[micros.len() * per_cent / 100];
    println!(
        "{name:10} frame {frame:7}  p50 {:6} us  p99 {:6} us",
        at(50),
        at(99)
    );
}

fn plain_file(way: Way, frame: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("file");
    let file = RealIo.create(&path).expect("create");
    if !matches!(way, Way::Growing) {
        file.allocate(FILE_BYTES).expect("allocate");
    }
    if matches!(way, Way::Zeroed) {
        write_all_at(&*file, &vec![0; FILE_BYTES as usize], 0).expect("zeros");
    }
    file.sync_all().expect("sync");
    let file = RealIo.open(&path, Access::ReadWrite).expect("open");
    let bytes = vec![0x5A; frame];
    let rounds = (FILE_BYTES / frame as u64 - 1).min(1500);
    let micros = (0..rounds).map(|i| {
        let begun = Instant::now();
        write_all_at(&*file, &bytes, i * frame as u64).expect("write");
        file.sync_data().expect("sync");
        begun.elapsed().as_micros()
    });
    report(&format!("{way:?}"), frame, micros.collect());
}

fn journal(zero_fill: bool, frame: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let options = JournalOptions {
        io: Arc::new(RealIo),
        zero_fill,
        ..JournalOptions::new(LEDGER)
    };
    let (mut journal, _) =
        Journal::open(dir.path(), options, &mut |_| Ok::<(), JournalError>(())).expect("open");
    let bytes = vec![0x5A; frame];
    let whole = Instant::now();
    let micros: Vec<u128> = (1..=1500)
        .map(|batch| {
            let begun = Instant::now();
            journal.append(batch, &bytes).expect("append");
            journal.sync().expect("sync");
            begun.elapsed().as_micros()
        })
        .collect();
    let millis = whole.elapsed().as_millis();
    report(&format!("zeros {zero_fill}"), frame, micros);
    println!("           the whole run took {millis} ms");
}

#[test]
#[ignore = "a measurement, not a test"]
fn measure_sync_latency() {
    for frame in [2 << 10, 16 << 10, 256 << 10] {
        for way in [Way::Growing, Way::Allocated, Way::Zeroed] {
            plain_file(way, frame);
        }
        for zero_fill in [false, true] {
            journal(zero_fill, frame);
        }
    }
}
