//! Writes one immutable run: data blocks, block index, filter, children, footer.
//!
//! Every block and section carries a checksum that includes its place in the file. The run is
//! written under a temporary name and synced; publishing gives it its final name.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::block::{self, Format};
use super::bloom::{Bloom, Probe, be64};
use super::error::{At, Result};
use super::spec::{MAX_KEY, MAX_VALUE, Shape, Span, TableSpec};

pub(super) const HEADER: &[u8; 8] = b"florinR1";
pub(super) const FOOTER_MAGIC: &[u8; 8] = b"1Rnirolf";
pub(super) const VERSION: u32 = 1;
pub(super) const FOOTER_LEN: usize = 168;
/// Payload bytes after which a block is closed.
const BLOCK_BYTES: usize = 4092;
const WRITE_BYTES: usize = 256 << 10;
/// Bytes between syncs while writing, so that no single sync floods the disk the journal is on.
const SYNC_BYTES: u64 = 16 << 20;

/// The fixed-length end of a run file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Footer {
    pub(super) key_len: u8,
    pub(super) group_len: u8,
    pub(super) sums: u8,
    pub(super) records: u64,
    pub(super) span: [u64; 4],
    pub(super) blocks: u64,
    /// Start and checksum of block index, filter, children.
    pub(super) sections: [(u64, u32); 3],
    /// Least and greatest key suffix (the bytes after the group), zero-padded.
    pub(super) low: [u8; MAX_KEY],
    pub(super) high: [u8; MAX_KEY],
}

impl Footer {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_LEN);
        out.extend(VERSION.to_le_bytes());
        out.extend([self.key_len, self.group_len, self.sums, 0]);
        out.extend(self.records.to_le_bytes());
        out.extend(self.span.iter().flat_map(|n| n.to_le_bytes()));
        out.extend(self.blocks.to_le_bytes());
        for (at, crc) in self.sections {
            out.extend(at.to_le_bytes());
            out.extend(crc.to_le_bytes());
        }
        out.extend(self.low);
        out.extend(self.high);
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out.extend(FOOTER_MAGIC);
        debug_assert_eq!(out.len(), FOOTER_LEN);
        out
    }

    /// The footer and its checksum, or what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> std::result::Result<(Self, u32), &'static str> {
        let u64_at = |at: usize| be64(&bytes[at..at + 8]).swap_bytes();
        let u32_at = |at: usize| (be64(&bytes[at..at + 4]) as u32).swap_bytes();
        if bytes.len() != FOOTER_LEN || bytes[FOOTER_LEN - 8..] != *FOOTER_MAGIC {
            return Err("footer mark is missing");
        }
        let crc = u32_at(FOOTER_LEN - 12);
        if crc32fast::hash(&bytes[..FOOTER_LEN - 12]) != crc {
            return Err("footer checksum differs");
        }
        if u32_at(0) != VERSION {
            return Err("run version is unknown");
        }
        let mut footer = Self {
            key_len: bytes[4],
            group_len: bytes[5],
            sums: bytes[6],
            records: u64_at(8),
            span: [16, 24, 32, 40].map(u64_at),
            blocks: u64_at(48),
            sections: [56, 68, 80].map(|at| (u64_at(at), u32_at(at + 8))),
            ..Self::default()
        };
        footer.low.copy_from_slice(&bytes[92..92 + MAX_KEY]);
        footer
            .high
            .copy_from_slice(&bytes[92 + MAX_KEY..92 + 2 * MAX_KEY]);
        Ok((footer, crc))
    }
}

/// Checksum of bytes at a place in a file; equal bytes elsewhere have another one.
pub(super) fn placed_crc(at: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&at.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// A complete, synced run that is not yet part of the index.
pub(super) struct Finished {
    pub(super) path: PathBuf,
    pub(super) records: u64,
    pub(super) span: Span,
    pub(super) footer_crc: u32,
}

enum Filter {
    Uniform(Bloom),
    /// One probe per group; the number of groups is known at the end only.
    Groups(Vec<Probe>),
}

/// Takes records in strictly ascending key order.
pub(super) struct RunWriter<'a> {
    spec: &'a TableSpec,
    format: Format,
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Offset of the start of `buffer`, then of the last sync.
    flushed: u64,
    synced: u64,
    block: Vec<u8>,
    index: Vec<u8>,
    filter: Filter,
    last_key: Vec<u8>,
    sum: Vec<u8>,
    footer: Footer,
}

impl<'a> RunWriter<'a> {
    /// `records` is an upper bound, used to size the filter.
    pub(super) fn create(spec: &'a TableSpec, path: PathBuf, records: u64) -> Result<Self> {
        let file = File::create(&path).at("create", &path)?;
        let filter = match spec.shape {
            Shape::Point => Filter::Uniform(Bloom::for_keys(records, spec.filter_bits)),
            Shape::Ordered { .. } => Filter::Groups(Vec::new()),
        };
        let sums = spec.cumulate.is_some();
        Ok(Self {
            spec,
            format: Format {
                key_len: spec.key_len,
                sums,
            },
            path,
            file,
            buffer: HEADER.to_vec(),
            flushed: 0,
            synced: 0,
            block: Vec::with_capacity(2 * BLOCK_BYTES),
            index: Vec::new(),
            filter,
            last_key: Vec::new(),
            sum: Vec::new(),
            footer: Footer {
                key_len: spec.key_len as u8,
                group_len: spec.group_len() as u8,
                sums: sums.into(),
                ..Footer::default()
            },
        })
    }

    pub(super) fn add(&mut self, key: &[u8], delta: &[u8]) -> Result<()> {
        debug_assert!(self.last_key.as_slice() < key, "keys ascend");
        let group_len = self.spec.group_len();
        let (group, suffix) = key.split_at(group_len);
        let first = self.last_key.is_empty();
        let new_group = first || self.last_key[..group_len] != *group;
        match &mut self.filter {
            Filter::Uniform(bloom) => bloom.add(Probe::of_uniform(key)),
            Filter::Groups(probes) if new_group => probes.push(Probe::of_group(be64(group))),
            Filter::Groups(_) => {}
        }
        if let Some(cumulate) = &self.spec.cumulate {
            if new_group {
                self.sum.clear();
            }
            cumulate.add(&mut self.sum, key, delta);
            assert!(
                self.sum.len() <= MAX_VALUE,
                "a running sum has at most {MAX_VALUE} bytes"
            );
        }
        let len = suffix.len();
        if first || *suffix < self.footer.low[..len] {
            self.footer.low[..len].copy_from_slice(suffix);
        }
        if *suffix > self.footer.high[..len] {
            self.footer.high[..len].copy_from_slice(suffix);
        }
        let before: &[u8] = if self.block.is_empty() {
            &[]
        } else {
            &self.last_key
        };
        if before.is_empty() {
            self.index.extend_from_slice(key);
            self.index
                .extend((self.flushed + self.buffer.len() as u64).to_le_bytes());
            self.footer.blocks += 1;
        }
        block::encode(&mut self.block, self.format, before, key, delta, &self.sum);
        self.footer.records += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        if self.block.len() >= BLOCK_BYTES {
            self.close_block()?;
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<()> {
        let at = self.flushed + self.buffer.len() as u64;
        self.buffer.extend_from_slice(&self.block);
        self.buffer
            .extend(placed_crc(at, &self.block).to_le_bytes());
        self.block.clear();
        if self.buffer.len() >= WRITE_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    fn write_out(&mut self) -> Result<()> {
        self.file.write_all(&self.buffer).at("write", &self.path)?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        if self.flushed - self.synced >= SYNC_BYTES {
            self.file.sync_data().at("sync", &self.path)?;
            self.synced = self.flushed;
        }
        Ok(())
    }

    fn section(&mut self, number: usize, bytes: &[u8]) -> Result<()> {
        let at = self.flushed + self.buffer.len() as u64;
        self.footer.sections[number] = (at, placed_crc(at, bytes));
        self.buffer.extend_from_slice(bytes);
        self.write_out()
    }

    /// Writes the rest and syncs. `children` is kept as it is for the reader.
    pub(super) fn finish(mut self, span: Span, children: &[u8]) -> Result<Finished> {
        if !self.block.is_empty() {
            self.close_block()?;
        }
        let index = std::mem::take(&mut self.index);
        self.section(0, &index)?;
        let filter = match std::mem::replace(&mut self.filter, Filter::Groups(Vec::new())) {
            Filter::Uniform(bloom) => bloom,
            Filter::Groups(probes) => {
                let mut bloom = Bloom::for_keys(probes.len() as u64, self.spec.filter_bits);
                probes.into_iter().for_each(|probe| bloom.add(probe));
                bloom
            }
        };
        self.section(1, &filter.to_bytes())?;
        self.section(2, children)?;
        self.footer.span = [
            span.first_batch,
            span.last_batch,
            span.first_seq,
            span.last_seq,
        ];
        let footer = self.footer.encode();
        self.buffer.extend_from_slice(&footer);
        self.write_out()?;
        self.file.sync_all().at("sync", &self.path)?;
        let crc_at = FOOTER_LEN - 12;
        let footer_crc = (be64(&footer[crc_at..crc_at + 4]) as u32).swap_bytes();
        Ok(Finished {
            path: self.path,
            records: self.footer.records,
            span,
            footer_crc,
        })
    }
}
