//! The manifest: which files make up the index and how far they cover the journal.
//!
//! It is replaced as a whole (write, sync, rename, sync the directory), after the files it names
//! are on disk. A file it does not account for is of no account and is removed at open.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::array::ArrayMark;
use super::error::{At, IndexError, Result};
use super::run::RunMeta;
use super::spec::{Layout, Position};

const NAME: &str = "MANIFEST";
const TEMPORARY: &str = "MANIFEST.tmp";
const FORMAT: u32 = 1;

/// The stored state of an index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    pub(super) covered: Position,
    /// Every run ever published has a smaller number.
    pub(super) next_run: u64,
    pub(super) tables: Vec<TableMark>,
    pub(super) arrays: Vec<ArrayMark>,
}

/// The runs of one table, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TableMark {
    name: String,
    key_len: usize,
    group_len: usize,
    sums: bool,
    pub(super) runs: Vec<RunMeta>,
}

impl Manifest {
    /// Of an empty index.
    pub(super) fn empty(layout: &Layout) -> Self {
        let tables = layout.tables.iter().map(|spec| TableMark {
            name: spec.name.to_owned(),
            key_len: spec.key_len,
            group_len: spec.group_len(),
            sums: spec.cumulate.is_some(),
            runs: Vec::new(),
        });
        let arrays = layout.arrays.iter().map(|spec| ArrayMark {
            name: spec.name.to_owned(),
            width: spec.width,
            len: 0,
            tail: String::new(),
        });
        Self {
            format: FORMAT,
            covered: Position::default(),
            next_run: 1,
            tables: tables.collect(),
            arrays: arrays.collect(),
        }
    }

    /// The stored manifest, if any, for exactly this layout.
    pub(super) fn load(dir: &Path, layout: &Layout) -> Result<Option<Self>> {
        let path = dir.join(NAME);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.at("read", &path)?,
        };
        let damaged = |what: &str| IndexError::damaged(&path, what);
        let text = String::from_utf8(text).map_err(|_| damaged("not text"))?;
        let (crc, body) = text
            .split_once('\n')
            .ok_or_else(|| damaged("no checksum"))?;
        if crc != format!("{:08x}", crc32fast::hash(body.as_bytes())) {
            return Err(damaged("checksum differs"));
        }
        let stored: Self = serde_json::from_str(body).map_err(|error| IndexError::Layout {
            what: error.to_string(),
        })?;
        let wanted = Self::empty(layout);
        if stored.identity() != wanted.identity() {
            let what = format!(
                "stored {:?}, wanted {:?}",
                stored.identity(),
                wanted.identity()
            );
            return Err(IndexError::Layout { what });
        }
        Ok(Some(stored))
    }

    #[expect(clippy::type_complexity, reason = "compared and printed, never named")]
    fn identity(&self) -> (u32, Vec<(&str, usize, usize, bool)>, Vec<(&str, usize)>) {
        let table = |t: &'_ TableMark| (t.key_len, t.group_len, t.sums);
        let tables = self.tables.iter().map(|t| {
            let (key_len, group_len, sums) = table(t);
            (t.name.as_str(), key_len, group_len, sums)
        });
        let arrays = self.arrays.iter().map(|a| (a.name.as_str(), a.width));
        (self.format, tables.collect(), arrays.collect())
    }

    /// Replaces the stored manifest. The files it names must be synced.
    pub(super) fn store(&self, dir: &Path) -> Result<()> {
        sync_dir(dir)?;
        let path = dir.join(TEMPORARY);
        let body = serde_json::to_string(self).map_err(|error| IndexError::Layout {
            what: error.to_string(),
        })?;
        let mut file = File::create(&path).at("create", &path)?;
        write!(file, "{:08x}\n{body}", crc32fast::hash(body.as_bytes())).at("write", &path)?;
        file.sync_all().at("sync", &path)?;
        std::fs::rename(&path, dir.join(NAME)).at("rename", &path)?;
        sync_dir(dir)
    }

    /// Removes the files of an index that this manifest does not account for.
    pub(super) fn sweep(&self, dir: &Path, layout: &Layout) -> Result<()> {
        for_each_file(dir, |name, path| {
            let stale = match run_of(name) {
                Some((table, id)) => {
                    let place = layout.tables.iter().position(|spec| spec.name == table);
                    place.is_none_or(|place| {
                        let listed = self.tables[place].runs.iter().any(|run| run.id == id);
                        let kept = layout.tables[place].keep_merged_inputs && id < self.next_run;
                        !listed && !kept
                    })
                }
                None => name.ends_with(".tmp"),
            };
            if stale {
                std::fs::remove_file(path).at("remove", path)
            } else {
                Ok(())
            }
        })
    }
}

/// Removes every file of an index, the manifest first. Other files stay.
pub(super) fn wipe(dir: &Path) -> Result<()> {
    let manifest = dir.join(NAME);
    if manifest.try_exists().at("inspect", &manifest)? {
        std::fs::remove_file(&manifest).at("remove", &manifest)?;
        sync_dir(dir)?;
    }
    if !dir.try_exists().at("inspect", dir)? {
        return Ok(());
    }
    for_each_file(dir, |name, path| {
        let ours = run_of(name).is_some() || name.ends_with(".array") || name.ends_with(".tmp");
        if ours {
            std::fs::remove_file(path).at("remove", path)
        } else {
            Ok(())
        }
    })?;
    sync_dir(dir)
}

fn for_each_file(dir: &Path, mut each: impl FnMut(&str, &Path) -> Result<()>) -> Result<()> {
    for entry in std::fs::read_dir(dir).at("list", dir)? {
        let entry = entry.at("list", dir)?;
        if let Some(name) = entry.file_name().to_str() {
            each(name, &entry.path())?;
        }
    }
    Ok(())
}

fn run_of(name: &str) -> Option<(&str, u64)> {
    let (table, id) = name.strip_suffix(".run")?.rsplit_once('-')?;
    Some((table, id.parse().ok()?))
}

fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .at("sync", dir)
}
