//! Merged inputs, opened when asked for and kept open in a bounded number.

use std::path::PathBuf;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::error::Result;
use super::run::{Run, RunMeta};
use super::spec::TableSpec;

/// Merged inputs of one table held open at a time.
const OPEN: usize = 128;

/// The merged inputs of one table.
pub(super) struct Children {
    dir: PathBuf,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    runs: HashMap<u64, (u64, Arc<Run>)>,
    clock: u64,
}

impl Children {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            open: Mutex::default(),
        }
    }

    pub(super) fn open(&self, spec: &TableSpec, meta: RunMeta) -> Result<Arc<Run>> {
        {
            let mut open = self.open.lock();
            open.clock += 1;
            let now = open.clock;
            if let Some((used, run)) = open.runs.get_mut(&meta.id) {
                *used = now;
                return Ok(run.clone());
            }
        }
        let run = Arc::new(Run::open(&self.dir, spec, meta)?);
        let mut open = self.open.lock();
        if open.runs.len() >= OPEN {
            let oldest = open
                .runs
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(id, _)| *id);
            oldest.map(|id| open.runs.remove(&id));
        }
        let now = open.clock;
        open.runs.insert(meta.id, (now, run.clone()));
        Ok(run)
    }
}
