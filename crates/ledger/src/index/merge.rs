//! Merges adjacent runs of one table into one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::block::Decoder;
use super::error::Result;
use super::run::Run;
use super::run_writer::{Finished, RunWriter};
use super::spec::{Span, TableSpec};

/// Reads one input from front to back.
struct Input {
    run: Arc<Run>,
    block: usize,
    buffer: Vec<u8>,
    payload: usize,
    decoder: Decoder,
    /// The first 16 bytes of the key, so that most comparisons are one of numbers.
    prefix: u128,
}

impl Input {
    /// `None` for a run without records.
    fn open(run: Arc<Run>) -> Result<Option<Self>> {
        let mut input = Self {
            run,
            block: 0,
            buffer: Vec::new(),
            payload: 0,
            decoder: Decoder::default(),
            prefix: 0,
        };
        Ok(input.advance()?.then_some(input))
    }

    fn advance(&mut self) -> Result<bool> {
        while !self
            .run
            .step(&mut self.decoder, &self.buffer[..self.payload])?
        {
            if self.block == self.run.blocks() {
                return Ok(false);
            }
            self.payload = self.run.read_block(self.block, &mut self.buffer)?.len();
            self.decoder = Decoder::default();
            self.block += 1;
        }
        let key = self.decoder.key(self.run.format);
        let mut prefix = [0; 16];
        let len = key.len().min(16);
        prefix[..len].copy_from_slice(&key[..len]);
        self.prefix = u128::from_be_bytes(prefix);
        Ok(true)
    }

    fn key(&self) -> &[u8] {
        self.decoder.key(self.run.format)
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let by_prefix = self.prefix.cmp(&other.prefix);
        by_prefix.then_with(|| self.key().cmp(other.key()))
    }
}

/// Merges `runs` (oldest first, adjacent) into a new file; of equal keys the newest record
/// stays. `None` if asked to stop.
pub(super) fn merge(
    spec: &TableSpec,
    runs: &[Arc<Run>],
    path: PathBuf,
    stop: &AtomicBool,
) -> Result<Option<Finished>> {
    let records = runs.iter().map(|run| run.meta.records).sum();
    let mut writer = RunWriter::create(spec, path, records)?;
    let mut inputs = Vec::with_capacity(runs.len());
    for run in runs {
        inputs.extend(Input::open(run.clone())?);
    }
    let mut turn = 0u32;
    while !inputs.is_empty() {
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(4096) && stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let (best, repeated) = least(&inputs);
        if repeated {
            drop_older(&mut inputs, best)?;
            continue;
        }
        let input = &mut inputs[best];
        writer.add(input.key(), input.decoder.value(&input.buffer))?;
        if !input.advance()? {
            inputs.remove(best);
        }
    }
    let (first, last) = (runs[0].meta.span, runs[runs.len() - 1].meta.span);
    let span = Span {
        last_batch: last.last_batch,
        last_seq: last.last_seq,
        ..first
    };
    let mut children = Vec::new();
    if spec.keep_merged_inputs {
        runs.iter().for_each(|run| run.meta.encode(&mut children));
    }
    writer.finish(span, &children).map(Some)
}

/// The newest of the inputs with the least key, and whether an older one has the same key.
fn least(inputs: &[Input]) -> (usize, bool) {
    let mut best = 0;
    let mut repeated = false;
    for number in 1..inputs.len() {
        match inputs[number].order(&inputs[best]) {
            std::cmp::Ordering::Less => (best, repeated) = (number, false),
            std::cmp::Ordering::Equal => (best, repeated) = (number, true),
            std::cmp::Ordering::Greater => {}
        }
    }
    (best, repeated)
}

/// Moves inputs older than `best` past its key.
fn drop_older(inputs: &mut Vec<Input>, best: usize) -> Result<()> {
    for number in (0..best).rev() {
        let same = inputs[number].order(&inputs[best]).is_eq();
        if same && !inputs[number].advance()? {
            inputs.remove(number);
            // Places after the removed input changed; the caller looks for the least key again.
            return Ok(());
        }
    }
    Ok(())
}
