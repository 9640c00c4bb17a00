//! Tests of the journal on small segments. Helpers here; one file per subject.

mod crash;
mod damage;
mod faults;
mod latency;
mod normal;

use std::path::Path;
use std::sync::Arc;

use super::fault::FaultIo;
use super::{Frame, Journal, JournalError, JournalOptions, Position, Recovery};

const LEDGER: [u8; 16] = *b"a ledger of ours";
/// Three to four frames of 4 KiB fit.
const SEGMENT_BYTES: u64 = 16 << 10;
const MAX_PAYLOAD: usize = 4 << 10;

fn options(io: &FaultIo) -> JournalOptions {
    JournalOptions {
        segment_bytes: SEGMENT_BYTES,
        max_payload_bytes: MAX_PAYLOAD,
        io: Arc::new(io.clone()),
        prepare_ahead: false,
        ..JournalOptions::new(LEDGER)
    }
}

/// A frame as the visitor saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    batch: u64,
    payload: Vec<u8>,
    end: Position,
}

type Opened = (Journal, Recovery, Vec<Seen>);

fn open_with(dir: &Path, options: JournalOptions) -> Result<Opened, JournalError> {
    let mut seen = Vec::new();
    let (journal, recovery) = Journal::open(dir, options, &mut |frame: Frame<'_>| {
        seen.push(Seen {
            batch: frame.batch,
            payload: frame.payload.to_vec(),
            end: frame.end,
        });
        Ok::<(), JournalError>(())
    })?;
    Ok((journal, recovery, seen))
}

fn open(dir: &Path, io: &FaultIo) -> Result<Opened, JournalError> {
    open_with(dir, options(io))
}

/// A payload that differs by batch, of `bytes` bytes, none of them zero.
fn payload(batch: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64)
        .map(|i| (batch.wrapping_mul(31).wrapping_add(i * 7) % 255) as u8 + 1)
        .collect()
}

/// Writes `sizes.len()` synced batches and closes; returns the positions behind them.
fn write(dir: &Path, io: &FaultIo, sizes: &[usize]) -> Vec<Position> {
    let (mut journal, recovery, _) = open(dir, io).expect("open");
    let mut ends = Vec::new();
    for (batch, size) in (recovery.end.batch..).zip(sizes) {
        let appended = journal
            .append(batch, &payload(batch, *size))
            .expect("append");
        ends.push(appended.end);
        journal.sync().expect("sync");
    }
    ends
}
