//! Random work, faults, kills and power cuts against a model: whatever was synced is there, in
//! order, and nothing follows the first batch that is lost.

use super::super::JournalOptions;
use super::super::fault::Faults;
use super::*;

const SEEDS: u64 = 400;
const LIVES: u64 = 8;

/// The generator "splitmix64", apart from the one inside the disk.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }
}

#[derive(Default)]
struct Model {
    /// Every batch that may be in the log, from 1.
    written: Vec<Vec<u8>>,
    /// So many of them were reported durable.
    durable: usize,
    /// Positions behind durable batches, for starts from the middle.
    positions: Vec<Position>,
}

impl Model {
    /// Compares what a start has found, and takes it as the truth from now on.
    fn check(&mut self, from: Option<Position>, recovery: &Recovery, seen: &[Seen]) {
        let skipped = from.map_or(0, |p| p.batch as usize - 1);
        let found = skipped + seen.len();
        assert!(
            found >= self.durable,
            "{found} found, {} durable",
            self.durable
        );
        assert!(found <= self.written.len());
        for (i, frame) in seen.iter().enumerate() {
            assert_eq!(frame.batch as usize, skipped + i + 1);
            assert_eq!(frame.payload, self.written[skipped + i]);
        }
        assert_eq!(recovery.end.batch as usize, found + 1);
        self.written.truncate(found);
        self.durable = found;
        self.positions.push(recovery.end);
    }
}

fn random_faults(random: &mut Random) -> Faults {
    let mut rarely = |below| (random.next(6) == 0).then(|| random.next(below));
    Faults {
        writes_until_error: rarely(30),
        syncs_until_error: rarely(12),
        space_left: rarely(4 * SEGMENT_BYTES),
        read_only: rarely(8) == Some(0),
        short_writes: random.next(2) == 0,
    }
}

/// Writes until chance or a fault ends it. Reservation refusals are part of life.
fn live(journal: &mut Journal, model: &mut Model, random: &mut Random) {
    for _ in 0..random.next(40) {
        if random.next(3) == 0 {
            let Ok(position) = journal.sync() else { return };
            model.durable = model.written.len();
            model.positions.push(position);
            continue;
        }
        let bytes = match random.next(3) {
            0 => random.next(100),
            1 => random.next(1500),
            _ => random.next(MAX_PAYLOAD as u64 + 1),
        };
        let batch = model.written.len() as u64 + 1;
        let payload = payload(batch ^ random.next(1 << 40), bytes as usize);
        match journal.append(batch, &payload) {
            Ok(_) => model.written.push(payload),
            Err(e) if e.is_retryable() => {}
            Err(_) => {
                // A failed write may have left the whole frame all the same.
                model.written.push(payload);
                return;
            }
        }
    }
}

fn run(seed: u64) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let io = FaultIo::new(seed);
    let mut random = Random(seed ^ 0xF10A);
    let mut model = Model::default();
    for _ in 0..LIVES {
        // A start may itself be hit; it must then leave something that can be started.
        io.set_faults(random_faults(&mut random));
        if open(dir.path(), &io).is_err() && random.next(2) == 0 {
            io.crash().expect("crash");
        }
        io.set_faults(Faults::default());
        let start = random.next(model.positions.len() as u64 + 1) as usize;
        let from = model.positions.get(start).copied();
        let options = JournalOptions {
            from,
            ..options(&io)
        };
        let (mut journal, recovery, seen) = open_with(dir.path(), options).expect("open");
        model.check(from, &recovery, &seen);
        io.set_faults(random_faults(&mut random));
        live(&mut journal, &mut model, &mut random);
        let ended_by_power = random.next(3) > 0;
        if ended_by_power {
            io.crash().expect("crash");
        } else {
            io.kill();
        }
        drop(journal);
    }
}

#[test]
fn whatever_was_synced_survives_inv_l10() {
    for seed in 0..SEEDS {
        // Shown when the test fails; the last line is the seed to look at.
        eprintln!("seed {seed}");
        run(seed);
    }
}
