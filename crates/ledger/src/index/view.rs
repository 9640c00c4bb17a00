//! Reading a table: a fixed set of runs, and the memtables above them.

use std::sync::Arc;

use super::bloom::{Probe, be64};
use super::children::Children;
use super::cursor::{Chunk, Scan};
use super::error::Result;
use super::memtable::{Bounds, Memtable};
use super::run::Run;
use super::spec::{Shape, Span, TableSpec};

/// A record as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The whole key.
    pub key: Vec<u8>,
    /// The value as it was put.
    pub value: Vec<u8>,
    /// The running sum through this record within its run and group; empty in memory and in
    /// tables without sums.
    pub sum: Vec<u8>,
}

/// A record borrowed from a scan; see [`Record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// The whole key.
    pub key: &'a [u8],
    /// The value as it was put.
    pub value: &'a [u8],
    /// The running sum; see [`Record::sum`].
    pub sum: &'a [u8],
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the least key to the greatest.
    Forward,
    /// From the greatest key to the least.
    Backward,
}

/// The layers of a table at one moment.
pub(super) struct Layers {
    pub(super) active: Arc<Memtable>,
    pub(super) flushing: Option<Arc<Memtable>>,
    /// Oldest first.
    pub(super) runs: Vec<Arc<Run>>,
}

impl Layers {
    fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(&self.flushing)
    }
}

/// A table as it was when the view was taken, except that records applied since then may also
/// show until the next flush starts: bound reads by sequence number where that matters.
#[derive(Clone)]
pub struct TableView {
    pub(super) spec: TableSpec,
    pub(super) layers: Arc<Layers>,
    pub(super) children: Arc<Children>,
}

impl TableView {
    /// The value last put under exactly this key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        get(&self.spec, &self.layers, key)
    }

    /// The record with the greatest key that is at most `key`, in the group of `key`.
    /// Ordered tables only.
    pub fn predecessor(&self, key: &[u8]) -> Result<Option<Record>> {
        let group_len = self.group_len(key);
        let (group, suffix) = key.split_at(group_len);
        let mut best: Option<Record> = None;
        let least = [group, &vec![0; suffix.len()]].concat();
        for memtable in self.layers.memtables() {
            let bounds = Bounds {
                from: &least,
                to: key,
                skip_start: false,
                backward: true,
            };
            let mut found = Chunk::default();
            memtable.scan(bounds, 1, &mut found);
            if let Some(record) = found.first()
                && best.as_ref().is_none_or(|best| best.key < record.key)
            {
                best = Some(record);
            }
        }
        for run in self.layers.runs.iter().rev() {
            if best
                .as_ref()
                .is_some_and(|best| best.key[group_len..] >= *run.high_suffix())
            {
                continue;
            }
            if let Some(record) = floor_in_group(run, key, group_len)?
                && best.as_ref().is_none_or(|best| best.key < record.key)
            {
                best = Some(record);
            }
        }
        Ok(best)
    }

    /// Records with `from <= key <= to`, both in the same group, of all runs and memtables.
    /// Ordered tables only.
    pub fn range(&self, from: &[u8], to: &[u8], direction: Direction) -> Scan {
        let runs = self.layers.runs.iter().rev().cloned();
        self.scan(runs, from, to, direction)
    }

    /// As [`Self::range`], but only what is not yet in a run.
    pub fn range_in_memory(&self, from: &[u8], to: &[u8], direction: Direction) -> Scan {
        self.scan(std::iter::empty(), from, to, direction)
    }

    fn scan(
        &self,
        runs: impl Iterator<Item = Arc<Run>>,
        from: &[u8],
        to: &[u8],
        direction: Direction,
    ) -> Scan {
        let group_len = self.group_len(from);
        assert!(
            to.len() == from.len() && to[..group_len] == from[..group_len],
            "one group"
        );
        let memtables = self.layers.memtables().cloned();
        Scan::new(
            memtables,
            runs,
            (from, to),
            direction == Direction::Backward,
            group_len,
        )
    }

    /// The runs, oldest first. Spans ascend and do not overlap; a stretch without records of
    /// this table has no run.
    pub fn runs(&self) -> Vec<RunView> {
        let view = |run: &Arc<Run>| self.run_view(run.clone());
        self.layers.runs.iter().map(view).collect()
    }

    /// The runs that hold, between them and [`Self::range_in_memory`], every record through
    /// `seq`: whole runs by their sums, and at most one that goes on after `seq`. Descends into
    /// merged inputs where they are kept, so the runs number O(log n).
    pub fn runs_through(&self, seq: u64) -> Result<RunsThrough> {
        let mut found = RunsThrough::default();
        let mut level = self.runs();
        loop {
            let mut below = Vec::new();
            for run in level {
                let span = run.span();
                if span.last_seq <= seq {
                    found.whole.push(run);
                } else if span.first_seq <= seq {
                    below = run.children()?;
                    found.straddling = below.is_empty().then_some(run);
                }
            }
            if below.is_empty() {
                return Ok(found);
            }
            level = below;
        }
    }

    fn run_view(&self, run: Arc<Run>) -> RunView {
        RunView {
            spec: self.spec.clone(),
            run,
            children: self.children.clone(),
        }
    }

    fn group_len(&self, key: &[u8]) -> usize {
        assert_eq!(
            key.len(),
            self.spec.key_len,
            "key length of {}",
            self.spec.name
        );
        assert_ne!(
            self.spec.shape,
            Shape::Point,
            "{} is not ordered",
            self.spec.name
        );
        self.spec.group_len()
    }
}

/// See [`TableView::runs_through`].
#[derive(Clone, Default)]
pub struct RunsThrough {
    /// Runs without a record after the sequence number, oldest first.
    pub whole: Vec<RunView>,
    /// A run with records on both sides, whose inputs are not kept or that has none.
    pub straddling: Option<RunView>,
}

/// One run of an ordered table.
#[derive(Clone)]
pub struct RunView {
    spec: TableSpec,
    run: Arc<Run>,
    children: Arc<Children>,
}

impl RunView {
    /// The stretch of the journal the run covers.
    pub fn span(&self) -> Span {
        self.run.meta.span
    }

    /// Number of records.
    pub fn records(&self) -> u64 {
        self.run.meta.records
    }

    /// As [`TableView::predecessor`], within this run; the sum is that of this run.
    pub fn predecessor(&self, key: &[u8]) -> Result<Option<Record>> {
        assert_eq!(
            key.len(),
            self.spec.key_len,
            "key length of {}",
            self.spec.name
        );
        floor_in_group(&self.run, key, self.spec.group_len())
    }

    /// As [`TableView::range`], within this run.
    pub fn range(&self, from: &[u8], to: &[u8], direction: Direction) -> Scan {
        let group_len = self.spec.group_len();
        assert!(
            to.len() == from.len() && to[..group_len] == from[..group_len],
            "one group"
        );
        let runs = std::iter::once(self.run.clone());
        let backward = direction == Direction::Backward;
        Scan::new(std::iter::empty(), runs, (from, to), backward, group_len)
    }

    /// Reads and checks every block, of merged inputs too.
    pub(super) fn verify(&self) -> Result<()> {
        self.run.verify()?;
        self.children()?.iter().try_for_each(Self::verify)
    }

    /// The runs this one was merged from, oldest first; none for a run straight from memory, and
    /// in tables that do not keep them.
    pub fn children(&self) -> Result<Vec<RunView>> {
        let open = |meta| {
            let run = self.children.open(&self.spec, meta)?;
            Ok(Self {
                run,
                ..self.clone()
            })
        };
        self.run.children.iter().map(|meta| open(*meta)).collect()
    }
}

fn floor_in_group(run: &Run, key: &[u8], group_len: usize) -> Result<Option<Record>> {
    let (group, suffix) = key.split_at(group_len);
    if suffix < run.low_suffix() || !run.may_hold(Probe::of_group(be64(group))) {
        return Ok(None);
    }
    Ok(run
        .floor(key)?
        .filter(|record| record.key[..group_len] == *group))
}

/// The value last put under a key, newest layer first.
pub(super) fn get(spec: &TableSpec, layers: &Layers, key: &[u8]) -> Result<Option<Vec<u8>>> {
    assert_eq!(key.len(), spec.key_len, "key length of {}", spec.name);
    for memtable in layers.memtables() {
        if let Some(value) = memtable.get(key) {
            return Ok(Some(value));
        }
    }
    let (group, suffix) = key.split_at(spec.group_len());
    let probe = match spec.shape {
        Shape::Point => Probe::of_uniform(key),
        Shape::Ordered { .. } => Probe::of_group(be64(group)),
    };
    for runs in layers.runs.rchunks(64) {
        // All filters are asked before any answer is used, so that their cache misses overlap.
        let mut candidates = 0u64;
        for (number, run) in runs.iter().enumerate() {
            candidates |= u64::from(run.may_hold(probe)) << number;
        }
        while candidates != 0 {
            let newest = 63 - candidates.leading_zeros() as usize;
            candidates ^= 1 << newest;
            let run = &runs[newest];
            if suffix < run.low_suffix() || suffix > run.high_suffix() {
                continue;
            }
            if let Some(value) = run.get(key)? {
                return Ok(Some(value));
            }
        }
    }
    Ok(None)
}
