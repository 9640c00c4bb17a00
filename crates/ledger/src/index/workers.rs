//! The threads of an index: one flushes memtables, two merge runs.
//!
//! Young runs have a merger of their own, so that a long merge of old ones does not let them pile
//! up. Mergers run at low priority. Any failure stops the index for writing; what is published
//! stays readable and the journal still has the rest.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use super::error::{At, Result};
use super::merge::merge;
use super::run::{Run, RunMeta};
use super::run_writer::{Finished, RunWriter};
use super::spec::Span;
use super::store::{Core, Published, Rotation};
use super::view::Layers;

/// Tiers served by each merger.
const MERGERS: [RangeInclusive<u32>; 2] = [0..=0, 1..=32];
/// Nice value of the mergers.
const MERGER_NICENESS: i32 = 10;

pub(super) fn start(core: &Arc<Core>) -> Result<Vec<JoinHandle<()>>> {
    let mut workers = Vec::new();
    let begin = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let owned = core.clone();
    workers.push(
        begin("index-flush")
            .spawn(move || flusher(&owned))
            .at("serve", &core.dir)?,
    );
    for tiers in MERGERS {
        let owned = core.clone();
        let thread = begin("index-merge").spawn(move || merger(&owned, tiers));
        workers.push(thread.at("serve", &core.dir)?);
    }
    Ok(workers)
}

/// Runs `work` until it fails or the index closes; `work` returns whether it did anything.
fn serve(core: &Core, mut work: impl FnMut() -> Result<bool>) {
    loop {
        let epoch = core.bell.lock().epoch;
        if core.stop.load(Ordering::Acquire) {
            return;
        }
        match work() {
            Ok(true) => {}
            Ok(false) => {
                let mut bell = core.bell.lock();
                if bell.epoch == epoch {
                    core.rung.wait(&mut bell);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the derived index takes no more writes");
                core.ring(|bell| bell.failure = Some(error.to_string()));
                return;
            }
        }
    }
}

fn flusher(core: &Core) {
    serve(core, || {
        let Some(rotation) = core.bell.lock().rotation.clone() else {
            return Ok(false);
        };
        flush(core, &rotation)?;
        core.ring(|bell| bell.rotation = None);
        Ok(true)
    });
}

/// Writes the memtables set aside as runs and publishes them.
fn flush(core: &Core, rotation: &Rotation) -> Result<()> {
    let covered = core.published.lock().manifest.covered;
    let span = Span::between(covered, rotation.through);
    let mut fresh = Vec::new();
    for (table, spec) in core.layout.tables.iter().enumerate() {
        let layers = core.layers(table);
        let Some(memtable) = layers.flushing.as_ref().filter(|mem| mem.records() > 0) else {
            continue;
        };
        let records = memtable.records() as u64;
        let mut writer = RunWriter::create(spec, core.temporary(table), records)?;
        memtable.drain_sorted(|key, value| writer.add(key, value))?;
        fresh.push((
            table,
            open_finished(core, table, writer.finish(span, &[])?, 0)?,
        ));
    }
    let mut marks = Vec::new();
    for (array, len) in core.arrays.iter().zip(&rotation.array_lens) {
        marks.push(array.persist(*len)?);
    }
    let mut published = core.published.lock();
    let mut manifest = published.manifest.clone();
    let mut runs = vec![None; core.layers.len()];
    for (table, mut run) in fresh {
        run.publish(&core.dir, &core.layout.tables[table], manifest.next_run)?;
        manifest.next_run += 1;
        manifest.tables[table].runs.push(run.meta);
        runs[table] = Some(Arc::new(run));
    }
    manifest.arrays = marks;
    manifest.covered = rotation.through;
    manifest.store(&core.dir)?;
    published.manifest = manifest;
    for (layers, fresh) in core.layers.iter().zip(runs) {
        let mut layers = layers.write();
        let active = layers.active.clone();
        let runs = layers.runs.iter().cloned().chain(fresh).collect();
        *layers = Arc::new(Layers {
            active,
            flushing: None,
            runs,
        });
    }
    Ok(())
}

fn open_finished(core: &Core, table: usize, finished: Finished, tier: u32) -> Result<Run> {
    let Finished {
        path,
        records,
        span,
        footer_crc,
    } = finished;
    let meta = RunMeta {
        id: 0,
        tier,
        footer_crc,
        records,
        span,
    };
    Run::open_file(path, &core.layout.tables[table], meta)
}

fn merger(core: &Core, tiers: RangeInclusive<u32>) {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), MERGER_NICENESS) {
        tracing::debug!(%error, "merges keep their priority");
    }
    serve(core, || {
        let job = {
            let mut published = core.published.lock();
            let job = pick(core, &published, tiers.clone());
            let inputs = job
                .iter()
                .flat_map(|job| job.inputs.iter().map(|id| (job.table, *id)));
            published.merging.extend(inputs);
            job
        };
        match job {
            Some(job) => run_job(core, &job).map(|()| true),
            None => Ok(false),
        }
    });
}

/// Adjacent runs of one tier that make a run of the next.
pub(super) struct Job {
    table: usize,
    tier: u32,
    /// Run numbers, oldest first.
    inputs: Vec<u64>,
}

/// The job of the lowest tier, if any table has enough adjacent runs of it.
pub(super) fn pick(core: &Core, published: &Published, tiers: RangeInclusive<u32>) -> Option<Job> {
    let mut best: Option<Job> = None;
    for (table, mark) in published.manifest.tables.iter().enumerate() {
        for same in mark.runs.chunk_by(|a, b| a.tier == b.tier) {
            let tier = same[0].tier;
            let free = |run: &&RunMeta| !published.merging.contains(&(table, run.id));
            let inputs: Vec<u64> = same.iter().filter(free).map(|run| run.id).collect();
            let enough = inputs.len() >= core.options.fan_out;
            if enough && tiers.contains(&tier) && best.as_ref().is_none_or(|job| tier < job.tier) {
                let inputs = inputs[..core.options.fan_out].to_vec();
                best = Some(Job {
                    table,
                    tier,
                    inputs,
                });
            }
        }
    }
    best
}

fn run_job(core: &Core, job: &Job) -> Result<()> {
    let spec = &core.layout.tables[job.table];
    let layers = core.layers(job.table);
    let is_input = |run: &Arc<Run>| job.inputs.contains(&run.meta.id);
    let inputs: Vec<Arc<Run>> = layers
        .runs
        .iter()
        .filter(|run| is_input(run))
        .cloned()
        .collect();
    assert_eq!(
        inputs.len(),
        job.inputs.len(),
        "runs leave the index by their own merge only"
    );
    let merged = merge(spec, &inputs, core.temporary(job.table), &core.stop)?;
    let Some(merged) = merged else { return Ok(()) };
    let mut run = open_finished(core, job.table, merged, job.tier + 1)?;

    let mut published = core.published.lock();
    let mut manifest = published.manifest.clone();
    run.publish(&core.dir, spec, manifest.next_run)?;
    manifest.next_run += 1;
    let runs = &mut manifest.tables[job.table].runs;
    replace(runs, |meta| job.inputs.contains(&meta.id), run.meta);
    manifest.store(&core.dir)?;
    published.manifest = manifest;
    published
        .merging
        .retain(|(table, id)| *table != job.table || !job.inputs.contains(id));
    {
        let mut layers = core.layers[job.table].write();
        let mut runs = layers.runs.clone();
        replace(&mut runs, is_input, Arc::new(run));
        let (active, flushing) = (layers.active.clone(), layers.flushing.clone());
        *layers = Arc::new(Layers {
            active,
            flushing,
            runs,
        });
    }
    drop(published);
    if !spec.keep_merged_inputs {
        inputs.iter().for_each(|run| run.doom());
    }
    core.ring(|_| ());
    Ok(())
}

/// Puts one element in the place of those that `old` holds for.
fn replace<T>(list: &mut Vec<T>, old: impl Fn(&T) -> bool, new: T) {
    let place = list.iter().position(&old).unwrap_or(list.len());
    list.retain(|element| !old(element));
    list.insert(place, new);
}
