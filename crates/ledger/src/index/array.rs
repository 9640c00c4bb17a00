//! Append-only arrays of fixed-width records.
//!
//! The file holds full pages of 4 KiB only, each with a checksum that includes its number. What
//! does not fill a page lies in memory and is kept in the manifest at a flush, so a page is never
//! rewritten and a crash cannot tear one that counts. Appended records are visible at once.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::error::{At, IndexError, Result};
use super::run_writer::placed_crc;
use super::spec::ArraySpec;

const PAGE: usize = 4096;
/// Bytes of records in a page; the rest is the checksum.
const PAYLOAD: usize = PAGE - 4;
/// Pages written at a time.
const WRITE_PAGES: u64 = 64;

/// What the manifest keeps of an array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ArrayMark {
    pub(super) name: String,
    pub(super) width: usize,
    /// Records in all.
    pub(super) len: u64,
    /// The records after the last full page, in hexadecimal.
    pub(super) tail: String,
}

/// An array of an index.
pub struct Array {
    spec: ArraySpec,
    path: PathBuf,
    file: File,
    state: RwLock<State>,
}

struct State {
    /// Records in full pages on disk.
    stored: u64,
    /// All later records.
    tail: Vec<u8>,
}

impl Array {
    /// Opens the array and cuts it to what the manifest covers; without a mark it is empty.
    pub(super) fn open(dir: &Path, spec: &ArraySpec, mark: Option<&ArrayMark>) -> Result<Self> {
        let path = dir.join(format!("{}.array", spec.name));
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(&path).at("open", &path)?;
        let per_page = (PAYLOAD / spec.width) as u64;
        let len = mark.map_or(0, |mark| mark.len);
        let stored = len / per_page * per_page;
        let tail = mark.map_or(Ok(Vec::new()), |mark| hex::decode(&mark.tail));
        let tail = tail.map_err(|_| IndexError::damaged(&path, "tail is malformed"))?;
        if tail.len() as u64 != (len - stored) * spec.width as u64 {
            return Err(IndexError::damaged(&path, "tail has another length"));
        }
        let bytes = stored / per_page * PAGE as u64;
        if file.metadata().at("inspect", &path)?.len() < bytes {
            return Err(IndexError::damaged(&path, "file is cut short"));
        }
        file.set_len(bytes).at("truncate", &path)?;
        Ok(Self {
            spec: spec.clone(),
            path,
            file,
            state: RwLock::new(State { stored, tail }),
        })
    }

    fn per_page(&self) -> u64 {
        (PAYLOAD / self.spec.width) as u64
    }

    /// Number of records.
    pub fn len(&self) -> u64 {
        let state = self.state.read();
        state.stored + (state.tail.len() / self.spec.width) as u64
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record `number`, or none past the end. `N` is the width of the array.
    pub fn get<const N: usize>(&self, number: u64) -> Result<Option<[u8; N]>> {
        assert_eq!(N, self.spec.width, "record width of {}", self.spec.name);
        let mut record = [0; N];
        Ok(self.read(number, &mut record)?.then_some(record))
    }

    /// Up to `count` records from `first` on, one after the other; fewer at the end.
    pub fn get_range(&self, first: u64, count: u64) -> Result<Vec<u8>> {
        let width = self.spec.width;
        let end = first.saturating_add(count).min(self.len());
        let mut out = Vec::with_capacity((end.saturating_sub(first) as usize) * width);
        let mut page = Vec::new();
        let mut at = first;
        while at < end {
            let copied = self.copy_tail(at, end, &mut out);
            if copied > 0 {
                at += copied;
                continue;
            }
            let (number, offset) = (at / self.per_page(), at % self.per_page());
            self.read_page(number, &mut page)?;
            let records = (self.per_page() - offset).min(end - at);
            let from = offset as usize * width;
            out.extend_from_slice(&page[from..from + records as usize * width]);
            at += records;
        }
        Ok(out)
    }

    /// The number of leading records for which `before` holds; it must hold for none after the
    /// first for which it does not.
    pub fn partition_point(&self, mut before: impl FnMut(&[u8]) -> bool) -> Result<u64> {
        let (mut low, mut high) = (0, self.len());
        let mut record = vec![0; self.spec.width];
        while low < high {
            let middle = low + (high - low) / 2;
            self.read(middle, &mut record)?;
            if before(&record) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn read(&self, number: u64, record: &mut [u8]) -> Result<bool> {
        let width = self.spec.width;
        {
            let state = self.state.read();
            if let Some(index) = number.checked_sub(state.stored) {
                let from = index as usize * width;
                let Some(found) = state.tail.get(from..from + width) else {
                    return Ok(false);
                };
                record.copy_from_slice(found);
                return Ok(true);
            }
        }
        let mut page = Vec::with_capacity(PAGE);
        self.read_page(number / self.per_page(), &mut page)?;
        let from = (number % self.per_page()) as usize * width;
        record.copy_from_slice(&page[from..from + width]);
        Ok(true)
    }

    /// Copies records `from..to` if they are in memory; returns how many.
    fn copy_tail(&self, from: u64, to: u64, out: &mut Vec<u8>) -> u64 {
        let state = self.state.read();
        let Some(index) = from.checked_sub(state.stored) else {
            return 0;
        };
        let at = index as usize * self.spec.width;
        out.extend_from_slice(&state.tail[at..at + (to - from) as usize * self.spec.width]);
        to - from
    }

    fn read_page(&self, number: u64, page: &mut Vec<u8>) -> Result<()> {
        page.resize(PAGE, 0);
        self.file
            .read_exact_at(page, number * PAGE as u64)
            .at("read", &self.path)?;
        if placed_crc(number, &page[..PAYLOAD]).to_le_bytes() != page[PAYLOAD..] {
            return Err(IndexError::damaged(
                &self.path,
                format!("page {number} differs"),
            ));
        }
        Ok(())
    }

    /// Appends whole records.
    pub(super) fn append(&self, records: &[u8]) {
        assert!(
            records.len().is_multiple_of(self.spec.width),
            "whole records"
        );
        if !records.is_empty() {
            self.state.write().tail.extend_from_slice(records);
        }
    }

    pub(super) fn tail_bytes(&self) -> usize {
        self.state.read().tail.len()
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.state.read().stored / self.per_page() * PAGE as u64
    }

    /// Stores the full pages among the first `len` records and syncs them.
    pub(super) fn persist(&self, len: u64) -> Result<ArrayMark> {
        let width = self.spec.width;
        let per_page = self.per_page();
        let before = self.state.read().stored;
        let stored = len / per_page * per_page;
        let mut records = Vec::new();
        let mut pages = Vec::new();
        let mut at = before;
        while at < stored {
            let end = stored.min(at + WRITE_PAGES * per_page);
            records.clear();
            pages.clear();
            self.copy_tail(at, end, &mut records);
            let first = at / per_page;
            for (page, number) in records.chunks(per_page as usize * width).zip(first..) {
                let start = pages.len();
                pages.extend_from_slice(page);
                pages.resize(start + PAYLOAD, 0);
                let crc = placed_crc(number, &pages[start..]);
                pages.extend(crc.to_le_bytes());
            }
            self.file
                .write_all_at(&pages, first * PAGE as u64)
                .at("write", &self.path)?;
            at = end;
        }
        if stored > before {
            self.file.sync_data().at("sync", &self.path)?;
            let mut state = self.state.write();
            state.tail.drain(..(stored - before) as usize * width);
            state.stored = stored;
        }
        let mut tail = Vec::new();
        if len > stored {
            self.copy_tail(stored, len, &mut tail);
        }
        let name = self.spec.name.to_owned();
        Ok(ArrayMark {
            name,
            width,
            len,
            tail: hex::encode(tail),
        })
    }

    /// Reads every stored page.
    pub(super) fn verify(&self) -> Result<()> {
        let mut page = Vec::new();
        let pages = self.state.read().stored / self.per_page();
        (0..pages).try_for_each(|number| self.read_page(number, &mut page))
    }
}
