//! Measures the derived index: `index_bench [DIR] [TRANSFERS]`.
//!
//! Writes one id and two entries of random accounts (out of a million) per transfer, through
//! flushes and merges, then asks for absent and present ids and for predecessors, all from the
//! page cache. Prints rates on standard output.

use std::path::PathBuf;
use std::time::Instant;

use florin_ledger::index::{
    ArrayId, ArraySpec, Direction, Index, Layout, Options, Position, TableId, TableSpec,
};

const IDS: TableId = TableId(0);
const ENTRIES: TableId = TableId(1);
const ACCOUNTS: u64 = 1_000_000;
const BATCH: u64 = 2_000;
const READS: u64 = 200_000;

/// Any error ends the measurement.
type Outcome = Result<(), Box<dyn std::error::Error>>;

fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ (number >> 32)
}

fn id_key(id: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&scramble(id).to_be_bytes());
    key[8..].copy_from_slice(&scramble(!id).to_be_bytes());
    key
}

fn entry_key(account: u64, seq: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&(account as u32).to_be_bytes());
    key[4..].copy_from_slice(&seq.to_be_bytes());
    key
}

fn main() -> Outcome {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "index-bench".to_owned()));
    let transfers: u64 = args.next().map_or(Ok(4_000_000), |text| text.parse())?;
    let layout = Layout {
        tables: vec![
            TableSpec::point("ids", 16),
            TableSpec::ordered("entries", 12, 4),
        ],
        arrays: vec![ArraySpec::new("places", 8)],
    };
    Index::wipe(&dir)?;
    let (index, _) = Index::open(&dir, layout.clone(), Options::default())?;
    write(&index, transfers)?;
    read(&index, transfers)?;
    let stats = index.stats();
    println!("{stats:?}");
    println!(
        "disk bytes per transfer {:.1}",
        stats.disk_bytes as f64 / transfers as f64
    );
    println!(
        "resident bytes per transfer {:.2}",
        stats.resident_bytes as f64 / transfers as f64
    );
    drop(index);
    let started = Instant::now();
    let (index, covered) = Index::open(&dir, layout, Options::default())?;
    println!("open {:?}, covered {covered:?}", started.elapsed());
    drop(index);
    Index::wipe(&dir)?;
    Ok(())
}

fn write(index: &Index, transfers: u64) -> Outcome {
    let started = Instant::now();
    let mut slowest = 0;
    for batch in 1..=transfers.div_ceil(BATCH) {
        let called = Instant::now();
        let last = (batch * BATCH).min(transfers);
        index.apply(Position { batch, seq: last }, |batch| {
            for seq in (batch_start(last))..=last {
                batch.put(IDS, &id_key(seq), &seq.to_le_bytes());
                let accounts = scramble(seq ^ 77);
                let value = [seq as u8; 30];
                batch.put(ENTRIES, &entry_key(accounts % ACCOUNTS, seq), &value);
                batch.put(
                    ENTRIES,
                    &entry_key((accounts >> 24) % ACCOUNTS, seq),
                    &value,
                );
                batch.append(ArrayId(0), &seq.to_le_bytes());
            }
        })?;
        slowest = slowest.max(called.elapsed().as_micros());
    }
    let rate = |seconds: f64| 3.0 * transfers as f64 / seconds / 1e6;
    println!(
        "applied: {:.2} M puts/s, slowest call {slowest} us",
        rate(started.elapsed().as_secs_f64())
    );
    index.flush()?;
    println!(
        "flushed: {:.2} M puts/s",
        rate(started.elapsed().as_secs_f64())
    );
    println!("before settling: {:?}", index.stats().runs);
    timed_reads(index, transfers, "while merging")?;
    let settling = Instant::now();
    index.settle()?;
    println!("settled after {:?} more", settling.elapsed());
    Ok(())
}

fn batch_start(last: u64) -> u64 {
    (last - 1) / BATCH * BATCH + 1
}

fn read(index: &Index, transfers: u64) -> Outcome {
    timed_reads(index, transfers, "settled")
}

fn timed_reads(index: &Index, transfers: u64, when: &str) -> Outcome {
    let each = |started: Instant| started.elapsed().as_secs_f64() * 1e6 / READS as f64;
    for _ in 0..2 {
        let started = Instant::now();
        for turn in 0..READS {
            assert!(index.get(IDS, &id_key(transfers + 1 + turn))?.is_none());
        }
        println!("{when}: absent id {:.2} us", each(started));
    }
    let started = Instant::now();
    for turn in 0..READS {
        assert!(
            index
                .get(IDS, &id_key(1 + scramble(turn) % transfers))?
                .is_some()
        );
    }
    println!("{when}: present id {:.2} us", each(started));
    let view = index.view(ENTRIES);
    let started = Instant::now();
    let mut found = 0;
    for turn in 0..READS {
        let dice = scramble(turn);
        let key = entry_key(dice % ACCOUNTS, (dice >> 20) % transfers);
        found += u64::from(view.predecessor(&key)?.is_some());
    }
    println!(
        "{when}: predecessor {:.2} us ({found} found)",
        each(started)
    );
    let started = Instant::now();
    for turn in 0..READS / 10 {
        let account = scramble(turn) % ACCOUNTS;
        let (from, to) = (entry_key(account, 0), entry_key(account, u64::MAX));
        let mut scan = view.range(&from, &to, Direction::Backward);
        for _ in 0..20 {
            if scan.next_record()?.is_none() {
                break;
            }
        }
    }
    println!(
        "{when}: latest 20 of an account {:.2} us",
        each(started) * 10.0
    );
    Ok(())
}
