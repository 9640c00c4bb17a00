//! One immutable run, open for reading.
//!
//! In memory: the first key and place of every block (about 4 KiB each) and the filter. That is
//! `(key_len + 8) / records per block` plus `filter_bits / 8` bytes per record for point tables,
//! and per group rather than per record for ordered ones. Data blocks are read on demand through
//! the page cache, and their checksum is verified on every read.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::block::{Decoder, Format};
use super::bloom::{Bloom, Probe, be64};
use super::error::{At, IndexError, Result};
use super::run_writer::{FOOTER_LEN, Footer, HEADER, placed_crc};
use super::spec::{Span, TableSpec};
use super::view::Record;

/// What the manifest, or a merged run about its inputs, remembers of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunMeta {
    pub(super) id: u64,
    /// How many merges the records went through.
    pub(super) tier: u32,
    pub(super) footer_crc: u32,
    pub(super) records: u64,
    pub(super) span: Span,
}

const META_LEN: usize = 56;

impl RunMeta {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let Span {
            first_batch,
            last_batch,
            first_seq,
            last_seq,
        } = self.span;
        out.extend(self.id.to_le_bytes());
        out.extend(self.tier.to_le_bytes());
        out.extend(self.footer_crc.to_le_bytes());
        for number in [self.records, first_batch, last_batch, first_seq, last_seq] {
            out.extend(number.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Self {
        let u64_at = |at: usize| be64(&bytes[at..at + 8]).swap_bytes();
        let u32_at = |at: usize| (be64(&bytes[at..at + 4]) as u32).swap_bytes();
        Self {
            id: u64_at(0),
            tier: u32_at(8),
            footer_crc: u32_at(12),
            records: u64_at(16),
            span: Span {
                first_batch: u64_at(24),
                last_batch: u64_at(32),
                first_seq: u64_at(40),
                last_seq: u64_at(48),
            },
        }
    }
}

/// The file of a run of a table.
pub(super) fn run_path(dir: &Path, table: &str, id: u64) -> PathBuf {
    dir.join(format!("{table}-{id}.run"))
}

/// An open run. Removes its file when dropped after [`Run::doom`].
pub(super) struct Run {
    pub(super) meta: RunMeta,
    pub(super) format: Format,
    pub(super) children: Vec<RunMeta>,
    pub(super) bytes: u64,
    path: PathBuf,
    file: File,
    group_len: usize,
    first_keys: Vec<u8>,
    /// Starts of the blocks, then the end of the last.
    places: Vec<u64>,
    filter: Bloom,
    footer: Footer,
    doomed: AtomicBool,
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Acquire) {
            // A file that stays behind is removed at the next open.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

thread_local! {
    static BLOCK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Run {
    /// Opens a published run and verifies everything but the data blocks.
    pub(super) fn open(dir: &Path, spec: &TableSpec, meta: RunMeta) -> Result<Self> {
        Self::open_file(run_path(dir, spec.name, meta.id), spec, meta)
    }

    /// Gives a run that was opened under its temporary name its number and final name.
    pub(super) fn publish(&mut self, dir: &Path, spec: &TableSpec, id: u64) -> Result<()> {
        let path = run_path(dir, spec.name, id);
        std::fs::rename(&self.path, &path).at("rename", &self.path)?;
        self.meta.id = id;
        self.path = path;
        Ok(())
    }

    pub(super) fn open_file(path: PathBuf, spec: &TableSpec, meta: RunMeta) -> Result<Self> {
        let damaged = |what: &str| IndexError::damaged(&path, what);
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged("file is missing"));
            }
            file => file.at("open", &path)?,
        };
        let bytes = file.metadata().at("inspect", &path)?.len();
        let Some(footer_at) = bytes.checked_sub(FOOTER_LEN as u64) else {
            return Err(damaged("file is cut short"));
        };
        let mut header = *HEADER;
        file.read_exact_at(&mut header, 0).at("read", &path)?;
        if header != *HEADER {
            return Err(damaged("header mark is missing"));
        }
        let mut tail = vec![0; FOOTER_LEN];
        file.read_exact_at(&mut tail, footer_at).at("read", &path)?;
        let (footer, footer_crc) = Footer::decode(&tail).map_err(damaged)?;
        let Span {
            first_batch,
            last_batch,
            first_seq,
            last_seq,
        } = meta.span;
        let format = Format {
            key_len: spec.key_len,
            sums: spec.cumulate.is_some(),
        };
        if footer_crc != meta.footer_crc
            || footer.records != meta.records
            || footer.span != [first_batch, last_batch, first_seq, last_seq]
            || usize::from(footer.key_len) != format.key_len
            || usize::from(footer.group_len) != spec.group_len()
            || (footer.sums == 1) != format.sums
        {
            return Err(damaged("file belongs to another run"));
        }
        let [index_at, filter_at, children_at] = footer.sections.map(|(at, _)| at);
        let section = |number: usize, end: u64| -> Result<Vec<u8>> {
            let (at, crc) = footer.sections[number];
            let len = end
                .checked_sub(at)
                .ok_or_else(|| damaged("sections overlap"))?;
            let mut bytes = vec![0; len as usize];
            file.read_exact_at(&mut bytes, at).at("read", &path)?;
            if placed_crc(at, &bytes) != crc {
                return Err(damaged("section checksum differs"));
            }
            Ok(bytes)
        };
        let index = section(0, filter_at)?;
        let entry = format.key_len + 8;
        if index.len() as u64 != footer.blocks * entry as u64 || footer.blocks == 0 {
            return Err(damaged("block index has another length"));
        }
        let mut first_keys = Vec::with_capacity(footer.blocks as usize * format.key_len);
        let mut places = Vec::with_capacity(footer.blocks as usize + 1);
        for entry in index.chunks_exact(entry) {
            let (key, place) = entry.split_at(format.key_len);
            first_keys.extend_from_slice(key);
            places.push(be64(place).swap_bytes());
        }
        places.push(index_at);
        let apart = |pair: &[u64]| pair[0] + 4 < pair[1];
        if !places.windows(2).all(apart) || places[0] != HEADER.len() as u64 {
            return Err(damaged("block index is out of order"));
        }
        let filter = Bloom::from_bytes(&section(1, children_at)?)
            .ok_or_else(|| damaged("filter has another length"))?;
        let children = section(2, footer_at)?;
        let children = children
            .chunks_exact(META_LEN)
            .map(RunMeta::decode)
            .collect();
        drop(index);
        Ok(Self {
            meta,
            format,
            children,
            bytes,
            file,
            group_len: spec.group_len(),
            first_keys,
            places,
            filter,
            footer,
            doomed: AtomicBool::new(false),
            path,
        })
    }

    /// Has the file removed once nobody reads it any more; harmless before it is published.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.first_keys.len() + self.places.len() * 8 + self.filter.byte_len()
    }

    pub(super) fn blocks(&self) -> usize {
        self.places.len() - 1
    }

    pub(super) fn first_key(&self, block: usize) -> &[u8] {
        &self.first_keys[block * self.format.key_len..(block + 1) * self.format.key_len]
    }

    pub(super) fn may_hold(&self, probe: Probe) -> bool {
        self.filter.may_hold(probe)
    }

    /// Least key suffix (the bytes after the group) in the run.
    pub(super) fn low_suffix(&self) -> &[u8] {
        &self.footer.low[..self.format.key_len - self.group_len]
    }

    /// Greatest key suffix in the run.
    pub(super) fn high_suffix(&self) -> &[u8] {
        &self.footer.high[..self.format.key_len - self.group_len]
    }

    /// The last block that starts at or before the key.
    pub(super) fn locate(&self, key: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.first_key(middle) <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }

    /// Reads and verifies a block; the result is its payload.
    pub(super) fn read_block<'b>(&self, block: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        let at = self.places[block];
        let len = (self.places[block + 1] - at) as usize;
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let bytes = &mut buffer[..len];
        self.file.read_exact_at(bytes, at).at("read", &self.path)?;
        let (payload, crc) = bytes.split_at(len - 4);
        if placed_crc(at, payload).to_le_bytes() != crc {
            return Err(IndexError::damaged(
                &self.path,
                format!("block at {at} differs"),
            ));
        }
        Ok(payload)
    }

    /// Reads every block and counts the records.
    pub(super) fn verify(&self) -> Result<()> {
        let mut buffer = Vec::new();
        let mut records = 0;
        for block in 0..self.blocks() {
            let payload = self.read_block(block, &mut buffer)?;
            let mut decoder = Decoder::default();
            while self.step(&mut decoder, payload)? {
                records += 1;
            }
        }
        if records != self.meta.records {
            return Err(IndexError::damaged(&self.path, "number of records differs"));
        }
        Ok(())
    }

    pub(super) fn step(&self, decoder: &mut Decoder, payload: &[u8]) -> Result<bool> {
        let malformed = |_| IndexError::damaged(&self.path, "block is malformed");
        decoder.step(payload, self.format).map_err(malformed)
    }

    /// The record with the greatest key that is at most `key`, whatever its group.
    pub(super) fn floor(&self, key: &[u8]) -> Result<Option<Record>> {
        let Some(block) = self.locate(key) else {
            return Ok(None);
        };
        BLOCK.with_borrow_mut(|buffer| {
            let payload = self.read_block(block, buffer)?;
            let mut decoder = Decoder::default();
            let mut best = None;
            while self.step(&mut decoder, payload)? && decoder.key(self.format) <= key {
                let reached = decoder.key(self.format) == key;
                best = Some(decoder.clone());
                if reached {
                    break;
                }
            }
            Ok(best.map(|found| Record {
                key: found.key(self.format).to_vec(),
                value: found.value(payload).to_vec(),
                sum: found.sum(payload).to_vec(),
            }))
        })
    }

    /// The value of exactly this key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(block) = self.locate(key) else {
            return Ok(None);
        };
        BLOCK.with_borrow_mut(|buffer| {
            let payload = self.read_block(block, buffer)?;
            let mut decoder = Decoder::default();
            while self.step(&mut decoder, payload)? {
                match decoder.key(self.format).cmp(key) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return Ok(Some(decoder.value(payload).to_vec())),
                    std::cmp::Ordering::Greater => break,
                }
            }
            Ok(None)
        })
    }
}
