//! The index itself: opening, applying, rotating, and handing out views.
//!
//! Lock order: `writer`, `published`, then one of `layers` or `bell`; the last two are held for a
//! few instructions only. Readers take a `layers` lock to copy an `Arc` and hold no lock while
//! they read files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex, RwLock};

use super::array::Array;
use super::children::Children;
use super::error::{At, IndexError, Result};
use super::manifest::{self, Manifest};
use super::memtable::{self, Memtable};
use super::run::Run;
use super::spec::{ArrayId, Layout, Options, Position, TableId};
use super::view::{self, Layers, RunView, TableView};
use super::workers;

/// Runs of one table at which [`Index::apply`] waits for merges.
const MAX_RUNS: usize = 60;

/// The derived index; see the module documentation. Dropping it stops its threads and forgets
/// what was not flushed.
pub struct Index {
    pub(super) core: Arc<Core>,
    workers: Vec<JoinHandle<()>>,
}

pub(super) struct Core {
    pub(super) dir: PathBuf,
    pub(super) layout: Layout,
    pub(super) options: Options,
    pub(super) layers: Vec<RwLock<Arc<Layers>>>,
    pub(super) children: Vec<Arc<Children>>,
    pub(super) arrays: Vec<Array>,
    pub(super) published: Mutex<Published>,
    pub(super) bell: Mutex<Bell>,
    pub(super) rung: Condvar,
    pub(super) stop: AtomicBool,
    temporaries: AtomicU64,
    writer: Mutex<Batch>,
    applied: Mutex<Position>,
}

/// What the stored manifest says, and the inputs of merges in progress.
pub(super) struct Published {
    pub(super) manifest: Manifest,
    /// Table and run number.
    pub(super) merging: Vec<(usize, u64)>,
}

/// What threads tell each other.
#[derive(Default)]
pub(super) struct Bell {
    /// Memtables that wait for their flush.
    pub(super) rotation: Option<Rotation>,
    /// Counts everything that may give a waiting thread something to do.
    pub(super) epoch: u64,
    pub(super) failure: Option<String>,
}

/// The moment at which memtables were set aside.
#[derive(Clone)]
pub(super) struct Rotation {
    pub(super) through: Position,
    pub(super) array_lens: Vec<u64>,
}

/// Puts and appends of one call of [`Index::apply`].
#[derive(Default)]
pub struct Batch {
    key_lens: Vec<usize>,
    tables: Vec<Vec<u8>>,
    arrays: Vec<Vec<u8>>,
}

impl Batch {
    /// Forgets what a panicking caller may have left.
    fn clear(&mut self) {
        self.tables
            .iter_mut()
            .chain(&mut self.arrays)
            .for_each(Vec::clear);
    }

    /// Puts a value of up to [`super::MAX_VALUE`] bytes under a key of the table's length; a
    /// later put of the same key replaces it.
    pub fn put(&mut self, table: TableId, key: &[u8], value: &[u8]) {
        assert_eq!(
            key.len(),
            self.key_lens[table.0],
            "key length of table {}",
            table.0
        );
        memtable::encode(&mut self.tables[table.0], key, value);
    }

    /// Appends one or more whole records to an array.
    pub fn append(&mut self, array: ArrayId, records: &[u8]) {
        self.arrays[array.0].extend_from_slice(records);
    }
}

/// Sizes of an index, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Bytes of unflushed records.
    pub unflushed_bytes: usize,
    /// Bytes of filters and block indexes held in memory.
    pub resident_bytes: usize,
    /// Bytes of runs and arrays on disk, without merged inputs that are kept.
    pub disk_bytes: u64,
    /// Number of runs per table.
    pub runs: Vec<usize>,
}

impl Index {
    /// Opens or creates the index in `dir`, removing whatever an interrupted flush or merge left.
    /// Returns how far it covers the journal: the caller applies everything after that.
    ///
    /// Fails with [`IndexError::Damaged`] or [`IndexError::Layout`] if it has to be rebuilt.
    pub fn open(dir: &Path, layout: Layout, options: Options) -> Result<(Self, Position)> {
        assert!(
            (2..=8).contains(&options.fan_out),
            "between 2 and 8 runs are merged at a time"
        );
        assert!(
            options.flush_bytes <= 1 << 30,
            "a flush takes at most 1 GiB"
        );
        std::fs::create_dir_all(dir).at("create", dir)?;
        let stored = Manifest::load(dir, &layout)?;
        let fresh = stored.is_none();
        let manifest = stored.unwrap_or_else(|| Manifest::empty(&layout));
        manifest.sweep(dir, &layout)?;
        let mut layers = Vec::new();
        for (spec, mark) in layout.tables.iter().zip(&manifest.tables) {
            let open = |meta| Run::open(dir, spec, meta).map(Arc::new);
            let runs = mark
                .runs
                .iter()
                .map(|meta| open(*meta))
                .collect::<Result<_>>()?;
            let active = Arc::new(Memtable::new(spec, None));
            layers.push(RwLock::new(Arc::new(Layers {
                active,
                flushing: None,
                runs,
            })));
        }
        let arrays = layout.arrays.iter().zip(&manifest.arrays);
        let arrays = arrays.map(|(spec, mark)| Array::open(dir, spec, Some(mark)));
        let arrays = arrays.collect::<Result<_>>()?;
        if fresh {
            manifest.store(dir)?;
        }
        let covered = manifest.covered;
        let core = Arc::new(Core {
            dir: dir.to_owned(),
            options,
            layers,
            children: layout
                .tables
                .iter()
                .map(|_| Arc::new(Children::new(dir.into())))
                .collect(),
            arrays,
            published: Mutex::new(Published {
                manifest,
                merging: Vec::new(),
            }),
            bell: Mutex::default(),
            rung: Condvar::new(),
            stop: AtomicBool::new(false),
            temporaries: AtomicU64::new(0),
            writer: Mutex::new(Batch {
                key_lens: layout.tables.iter().map(|spec| spec.key_len).collect(),
                tables: vec![Vec::new(); layout.tables.len()],
                arrays: vec![Vec::new(); layout.arrays.len()],
            }),
            applied: Mutex::new(covered),
            layout,
        });
        let workers = workers::start(&core)?;
        Ok((Self { core, workers }, covered))
    }

    /// Removes all files of the index in `dir`, so that the next open starts from nothing.
    /// The index must not be open.
    pub fn wipe(dir: &Path) -> Result<()> {
        manifest::wipe(dir)
    }

    /// Adds everything the journal says up to and including `through`, which lies after all
    /// earlier calls. Visible to readers piece by piece until the call returns. Waits if the
    /// disk is far behind; fails only if a flush or merge failed before.
    ///
    /// For a single thread; `fill` sees nothing of the index.
    pub fn apply(&self, through: Position, fill: impl FnOnce(&mut Batch)) -> Result<()> {
        let core = &*self.core;
        let mut writer = core.writer.lock();
        let applied = *core.applied.lock();
        assert!(
            through.batch > applied.batch && through.seq >= applied.seq,
            "{through:?} does not follow {applied:?}"
        );
        core.check()?;
        writer.clear();
        fill(&mut writer);
        for (array, records) in core.arrays.iter().zip(&writer.arrays) {
            array.append(records);
        }
        let mut full = 0;
        for (table, encoded) in writer.tables.iter().enumerate() {
            let active = core.layers(table).active.clone();
            active.insert_all(encoded);
            full += active.bytes();
            if active.records() >= core.layout.tables[table].flush_records {
                full = full.max(core.options.flush_bytes);
            }
        }
        *core.applied.lock() = through;
        full += core.arrays.iter().map(Array::tail_bytes).sum::<usize>();
        if full >= core.options.flush_bytes {
            core.rotate(through, full >= 2 * core.options.flush_bytes)?;
        }
        Ok(())
    }

    /// How far the index answers: the last [`Self::apply`], or what was covered at open.
    pub fn applied(&self) -> Position {
        *self.core.applied.lock()
    }

    /// How far the stored files cover the journal: the journal is needed from there at a start.
    pub fn covered(&self) -> Position {
        self.core.published.lock().manifest.covered
    }

    /// Stores everything applied so far and waits until it is on disk.
    pub fn flush(&self) -> Result<()> {
        let core = &*self.core;
        {
            let _writer = core.writer.lock();
            core.await_flush()?;
            let applied = *core.applied.lock();
            if applied > core.published.lock().manifest.covered {
                core.rotate(applied, true)?;
            }
        }
        core.await_flush()
    }

    /// Waits until nothing is left to flush or merge.
    pub fn settle(&self) -> Result<()> {
        let core = &*self.core;
        loop {
            let epoch = core.bell.lock().epoch;
            let busy = {
                let published = core.published.lock();
                !published.merging.is_empty() || workers::pick(core, &published, 0..=32).is_some()
            };
            let mut bell = core.bell.lock();
            if let Some(failure) = &bell.failure {
                return Err(IndexError::Stopped(failure.clone()));
            }
            if !busy && bell.rotation.is_none() && bell.epoch == epoch {
                return Ok(());
            }
            if bell.epoch == epoch {
                core.rung.wait(&mut bell);
            }
        }
    }

    /// The value last put under exactly this key; the cheapest way to ask.
    pub fn get(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        view::get(
            &self.core.layout.tables[table.0],
            &self.core.layers(table.0),
            key,
        )
    }

    /// A view of a table for several reads.
    pub fn view(&self, table: TableId) -> TableView {
        TableView {
            spec: self.core.layout.tables[table.0].clone(),
            layers: self.core.layers(table.0),
            children: self.core.children[table.0].clone(),
        }
    }

    /// An array.
    pub fn array(&self, array: ArrayId) -> &Array {
        &self.core.arrays[array.0]
    }

    /// Reads and checks every block of every run, merged inputs that are kept, and arrays.
    pub fn verify(&self) -> Result<()> {
        for table in (0..self.core.layers.len()).map(TableId) {
            self.view(table)
                .runs()
                .iter()
                .try_for_each(RunView::verify)?;
        }
        self.core.arrays.iter().try_for_each(Array::verify)
    }

    /// Current sizes.
    pub fn stats(&self) -> IndexStats {
        let mut stats = IndexStats::default();
        for table in 0..self.core.layers.len() {
            let layers = self.core.layers(table);
            stats.runs.push(layers.runs.len());
            stats.unflushed_bytes += layers.active.bytes();
            stats.unflushed_bytes += layers.flushing.as_ref().map_or(0, |mem| mem.bytes());
            for run in &layers.runs {
                stats.resident_bytes += run.memory_bytes();
                stats.disk_bytes += run.bytes;
            }
        }
        for array in &self.core.arrays {
            stats.unflushed_bytes += array.tail_bytes();
            stats.disk_bytes += array.disk_bytes();
        }
        stats
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.core.stop.store(true, Ordering::Release);
        self.core.ring(|_| ());
        for worker in self.workers.drain(..) {
            // A panicked worker has nothing left to release.
            let _ = worker.join();
        }
    }
}

impl Core {
    pub(super) fn layers(&self, table: usize) -> Arc<Layers> {
        self.layers[table].read().clone()
    }

    /// Changes what the threads know and wakes all that wait.
    pub(super) fn ring<T>(&self, change: impl FnOnce(&mut Bell) -> T) -> T {
        let mut bell = self.bell.lock();
        bell.epoch += 1;
        let result = change(&mut bell);
        self.rung.notify_all();
        result
    }

    pub(super) fn temporary(&self, table: usize) -> PathBuf {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        self.dir
            .join(format!("{}-{number}.tmp", self.layout.tables[table].name))
    }

    fn check(&self) -> Result<()> {
        match &self.bell.lock().failure {
            Some(failure) => Err(IndexError::Stopped(failure.clone())),
            None => Ok(()),
        }
    }

    fn await_flush(&self) -> Result<()> {
        let mut bell = self.bell.lock();
        while bell.rotation.is_some() && bell.failure.is_none() {
            self.rung.wait(&mut bell);
        }
        drop(bell);
        self.check()
    }

    /// Sets the memtables aside for a flush. If the one before is still going on, waits for it
    /// or, unless `must`, leaves things as they are. Called with `writer` held.
    fn rotate(&self, through: Position, must: bool) -> Result<()> {
        if self.bell.lock().rotation.is_some() {
            if !must {
                return Ok(());
            }
            self.await_flush()?;
        }
        self.await_merges()?;
        for (spec, layers) in self.layout.tables.iter().zip(&self.layers) {
            let mut layers = layers.write();
            let flushing = layers.active.clone();
            let active = Arc::new(Memtable::new(spec, Some(&flushing)));
            let runs = layers.runs.clone();
            *layers = Arc::new(Layers {
                active,
                flushing: Some(flushing),
                runs,
            });
        }
        let array_lens = self.arrays.iter().map(Array::len).collect();
        self.ring(|bell| {
            bell.rotation = Some(Rotation {
                through,
                array_lens,
            })
        });
        Ok(())
    }

    /// Waits while any table has so many runs that reads would suffer.
    fn await_merges(&self) -> Result<()> {
        loop {
            let epoch = self.bell.lock().epoch;
            if (0..self.layers.len()).all(|table| self.layers(table).runs.len() < MAX_RUNS) {
                return Ok(());
            }
            let mut bell = self.bell.lock();
            if let Some(failure) = &bell.failure {
                return Err(IndexError::Stopped(failure.clone()));
            }
            if bell.epoch == epoch {
                self.rung.wait(&mut bell);
            }
        }
    }
}
