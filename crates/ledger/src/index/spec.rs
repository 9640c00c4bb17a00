//! What the owner of an index declares: tables, arrays, limits and positions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest key, in bytes.
pub const MAX_KEY: usize = 32;
/// Longest value and longest running sum, in bytes.
pub const MAX_VALUE: usize = 255;

/// A table, by its place in [`Layout::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableId(pub usize);

/// An array, by its place in [`Layout::arrays`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayId(pub usize);

/// How far the index follows the journal. Batches and sequence numbers count from 1;
/// zero means "nothing yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The last journal batch included.
    pub batch: u64,
    /// The last sequence number included.
    pub seq: u64,
}

/// The stretch of the journal that one run covers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First batch that may have a record in the run.
    pub first_batch: u64,
    /// Last batch that may have a record in the run.
    pub last_batch: u64,
    /// First sequence number that may have a record in the run.
    pub first_seq: u64,
    /// Last sequence number that may have a record in the run.
    pub last_seq: u64,
}

impl Span {
    pub(super) fn between(after: Position, through: Position) -> Self {
        Self {
            first_batch: after.batch + 1,
            last_batch: through.batch,
            first_seq: after.seq + 1,
            last_seq: through.seq,
        }
    }
}

/// Running sums within one run and one group. The store keeps each record's own value (the
/// delta) beside the sum, and recomputes the sums whenever it writes a run.
pub trait Cumulate: Send + Sync + 'static {
    /// Adds the record to `sum`, which is empty at the first record of each group and may be
    /// resized freely up to [`MAX_VALUE`] bytes. Records come in key order.
    fn add(&self, sum: &mut Vec<u8>, key: &[u8], delta: &[u8]);
}

/// How the keys of a table are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Keys of at least 16 bytes that are uniformly distributed (a keyed hash), looked up one
    /// by one. Skewed keys cost speed, never correctness.
    Point,
    /// Ordered keys whose first `group_len` bytes (1 to 8) name a group, such as an account.
    /// Order is asked for within a group only.
    Ordered {
        /// Length of the group prefix, in bytes.
        group_len: usize,
    },
}

/// One table: fixed-length keys, values of up to [`MAX_VALUE`] bytes, last write wins.
#[derive(Clone)]
pub struct TableSpec {
    pub(super) name: &'static str,
    pub(super) key_len: usize,
    pub(super) shape: Shape,
    pub(super) filter_bits: usize,
    pub(super) cumulate: Option<Arc<dyn Cumulate>>,
    pub(super) keep_merged_inputs: bool,
    pub(super) flush_records: usize,
}

impl TableSpec {
    /// A table of uniformly distributed keys (see [`Shape::Point`]). `name` is used in file names.
    pub fn point(name: &'static str, key_len: usize) -> Self {
        assert!(
            (16..=MAX_KEY).contains(&key_len),
            "point keys have 16 to {MAX_KEY} bytes"
        );
        Self::with_shape(name, key_len, Shape::Point)
    }

    /// A table of ordered keys (see [`Shape::Ordered`]). `name` is used in file names.
    pub fn ordered(name: &'static str, key_len: usize, group_len: usize) -> Self {
        assert!((1..=8).contains(&group_len), "a group has 1 to 8 bytes");
        assert!(
            group_len < key_len && key_len <= MAX_KEY,
            "a key is a group and a suffix"
        );
        Self::with_shape(name, key_len, Shape::Ordered { group_len })
    }

    fn with_shape(name: &'static str, key_len: usize, shape: Shape) -> Self {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(
            !name.is_empty() && name.bytes().all(fits),
            "table names are file names"
        );
        Self {
            name,
            key_len,
            shape,
            filter_bits: if shape == Shape::Point { 14 } else { 10 },
            cumulate: None,
            keep_merged_inputs: false,
            flush_records: usize::MAX,
        }
    }

    /// Memory for the presence filter, in bits per key (point, 14 unless set: about 1 absent key
    /// in 500 costs a block read, per run) or per group and run (ordered, 10 unless set: 1 in 100).
    pub fn filter_bits(mut self, bits: usize) -> Self {
        self.filter_bits = bits.max(1);
        self
    }

    /// Keeps running sums in every run.
    pub fn cumulate(mut self, with: Arc<dyn Cumulate>) -> Self {
        self.cumulate = Some(with);
        self
    }

    /// Keeps the inputs of every merge on disk, reachable by [`super::RunView::children`].
    pub fn keep_merged_inputs(mut self) -> Self {
        self.keep_merged_inputs = true;
        self
    }

    /// Starts a flush once this many records of this table are in memory.
    pub fn flush_records(mut self, records: usize) -> Self {
        self.flush_records = records.max(1);
        self
    }

    pub(super) fn group_len(&self) -> usize {
        match self.shape {
            Shape::Point => 0,
            Shape::Ordered { group_len } => group_len,
        }
    }
}

/// One append-only array of fixed-width records, addressed by record number from 0.
#[derive(Clone, Debug)]
pub struct ArraySpec {
    pub(super) name: &'static str,
    pub(super) width: usize,
}

impl ArraySpec {
    /// An array of records of `width` bytes (1 to 1024). `name` is used in file names.
    pub fn new(name: &'static str, width: usize) -> Self {
        assert!(
            (1..=1024).contains(&width),
            "array records have 1 to 1024 bytes"
        );
        Self { name, width }
    }
}

/// Everything an index holds. A stored index opens only with the layout it was written with.
#[derive(Clone, Default)]
pub struct Layout {
    /// Tables, addressed by [`TableId`].
    pub tables: Vec<TableSpec>,
    /// Arrays, addressed by [`ArrayId`].
    pub arrays: Vec<ArraySpec>,
}

/// Limits of an index.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes in memory that start a flush. At most twice this much is held before
    /// [`super::Index::apply`] waits for the disk.
    pub flush_bytes: usize,
    /// How many adjacent runs of one tier are merged into one of the next (2 to 8).
    pub fan_out: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flush_bytes: 64 << 20,
            fan_out: 8,
        }
    }
}
