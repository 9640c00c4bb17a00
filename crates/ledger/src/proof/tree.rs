//! The Merkle tree over the feed's leaves (RFC 6962 §2.1), without keeping its leaves.
//!
//! The engine stores one hash per complete subtree of 256 leaves ("level 8": 32 bytes per 256
//! lines, append-only) and recomputes the leaves inside a block from the journal when a proof
//! needs them. [`Frontier`] follows the commits and emits the level-8 hashes; [`Tree`] answers
//! roots and proofs for any size up to what has been stored.
//!
//! Cost: a proof reads the leaves of at most two blocks and, once the cache is warm, at most
//! 255 nodes on each of a few levels. The cache keeps one hash per complete subtree of 2^16
//! (2^24, …) leaves asked for: about 100 bytes per 65 536 lines, 15 kB for 10 million.

use std::collections::HashMap;
use std::ops::Range;

use parking_lot::Mutex;

use super::hash::{Hash, batch_root, empty_root, node};

/// Level of the stored nodes: subtrees of 2^8 leaves.
const STORED_LEVEL: u32 = 8;
/// Leaves under one stored node.
pub const BLOCK_LEAVES: u64 = 1 << STORED_LEVEL;
/// Levels above the stored one whose nodes are cached: 16, 24, 32, …
const CACHED_EVERY: u32 = 8;
/// Largest tree: 2^50 leaves.
pub const MAX_LEAVES: u64 = 1 << 50;

/// Where a [`Tree`] gets its hashes from.
pub trait TreeSource {
    /// Why stored hashes or lines could not be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The root over leaves `256 × index .. 256 × (index + 1)`, as [`Frontier`] emitted it.
    ///
    /// # Errors
    /// When the stored array cannot be read at `index`.
    fn level8(&self, index: u64) -> Result<Hash, Self::Error>;

    /// The leaf hashes of `range` (indices from 0, never across a block of 256), in order.
    ///
    /// # Errors
    /// When the lines cannot be read.
    fn leaves(&self, range: Range<u64>) -> Result<Vec<Hash>, Self::Error>;
}

impl<S: TreeSource + ?Sized> TreeSource for &S {
    type Error = S::Error;

    fn level8(&self, index: u64) -> Result<Hash, S::Error> {
        (**self).level8(index)
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Hash>, S::Error> {
        (**self).leaves(range)
    }
}

/// Why a root or a proof cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum TreeError<E: std::error::Error + 'static> {
    /// The leaf is not in a tree of that size.
    #[error("leaf {leaf_index} does not exist in a tree of {size} leaves")]
    NoSuchLeaf {
        /// Index asked for, from 0.
        leaf_index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The older tree is empty or larger than the newer one.
    #[error("no consistency proof leads from {from} to {to} leaves")]
    BadSizes {
        /// Leaves in the older tree.
        from: u64,
        /// Leaves in the newer tree.
        to: u64,
    },
    /// More than [`MAX_LEAVES`].
    #[error("a tree of {size} leaves is too large")]
    TooLarge {
        /// Leaves asked for.
        size: u64,
    },
    /// The source gave another number of leaves than asked for.
    #[error("{expected} leaves expected from leaf {start}, got {got}")]
    LeafCount {
        /// First leaf asked for.
        start: u64,
        /// Leaves asked for.
        expected: u64,
        /// Leaves given.
        got: u64,
    },
    /// The source failed.
    #[error(transparent)]
    Source(E),
}

/// Roots and proofs over a [`TreeSource`]. Shareable between threads; keeps only a cache.
#[derive(Debug)]
pub struct Tree<S> {
    source: S,
    cache: Mutex<HashMap<(u32, u64), Hash>>,
}

impl<S: TreeSource> Tree<S> {
    /// A tree over `source`, with an empty cache.
    pub fn new(source: S) -> Self {
        Self {
            source,
            cache: Mutex::new(HashMap::new()),
        }
    }

    /// The source given to [`Tree::new`].
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Root of the tree over the first `size` leaves.
    ///
    /// # Errors
    /// [`TreeError`] when the source fails or `size` is above [`MAX_LEAVES`].
    pub fn root(&self, size: u64) -> Result<Hash, TreeError<S::Error>> {
        Walk::new(self, size)?.range(0..size)
    }

    /// Audit path of leaf `leaf_index` (from 0) in the tree over the first `size` leaves, leaf
    /// side first (RFC 6962 §2.1.1).
    ///
    /// # Errors
    /// [`TreeError::NoSuchLeaf`] when `leaf_index` ≥ `size`; source errors.
    pub fn inclusion(&self, leaf_index: u64, size: u64) -> Result<Vec<Hash>, TreeError<S::Error>> {
        if leaf_index >= size {
            return Err(TreeError::NoSuchLeaf { leaf_index, size });
        }
        let mut walk = Walk::new(self, size)?;
        let mut path = Vec::new();
        let mut range = 0..size;
        while range.end - range.start > 1 {
            let middle = split(&range);
            let sibling = if leaf_index < middle {
                let right = middle..range.end;
                range.end = middle;
                right
            } else {
                let left = range.start..middle;
                range.start = middle;
                left
            };
            path.push(walk.range(sibling)?);
        }
        path.reverse();
        Ok(path)
    }

    /// Proof that the tree over the first `from` leaves is a prefix of the one over the first
    /// `to` (RFC 6962 §2.1.2). Empty for equal sizes.
    ///
    /// # Errors
    /// [`TreeError::BadSizes`] unless 1 ≤ `from` ≤ `to`; source errors.
    pub fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, TreeError<S::Error>> {
        if from == 0 || from > to {
            return Err(TreeError::BadSizes { from, to });
        }
        let mut walk = Walk::new(self, to)?;
        let mut path = Vec::new();
        let mut range = 0..to;
        // Whether the subtree that ends at `from` starts at 0: then it is the old root itself,
        // which the verifier has.
        let mut is_old_root = true;
        while range.end != from {
            let middle = split(&range);
            if from <= middle {
                path.push(walk.range(middle..range.end)?);
                range.end = middle;
            } else {
                path.push(walk.range(range.start..middle)?);
                range.start = middle;
                is_old_root = false;
            }
        }
        if !is_old_root {
            path.push(walk.range(range)?);
        }
        path.reverse();
        Ok(path)
    }

    /// The state with which [`Frontier::push`] goes on after the first `size` leaves; for a
    /// start without a stored frontier.
    ///
    /// # Errors
    /// As [`Tree::root`].
    pub fn frontier(&self, size: u64) -> Result<Frontier, TreeError<S::Error>> {
        let mut walk = Walk::new(self, size)?;
        let mut nodes = Vec::with_capacity(size.count_ones() as usize);
        let mut start = 0;
        for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
            nodes.push(walk.range(start..start + (1 << level))?);
            start += 1 << level;
        }
        Ok(Frontier { size, nodes })
    }
}

/// Largest power of two below the length: where RFC 6962 splits. The length is at least 2.
fn split(range: &Range<u64>) -> u64 {
    let length = range.end - range.start;
    debug_assert!(length > 1, "a single leaf has no halves");
    range.start + length.next_power_of_two() / 2
}

/// One answer in the making: remembers the (at most two) blocks whose leaves it has read.
struct Walk<'a, S> {
    tree: &'a Tree<S>,
    size: u64,
    blocks: HashMap<u64, Vec<Hash>>,
}

impl<'a, S: TreeSource> Walk<'a, S> {
    fn new(tree: &'a Tree<S>, size: u64) -> Result<Self, TreeError<S::Error>> {
        if size > MAX_LEAVES {
            return Err(TreeError::TooLarge { size });
        }
        Ok(Self {
            tree,
            size,
            blocks: HashMap::new(),
        })
    }

    /// Root over `range`, a subtree of the RFC 6962 shape: its start is a multiple of the
    /// smallest power of two that is not below its length.
    fn range(&mut self, range: Range<u64>) -> Result<Hash, TreeError<S::Error>> {
        let length = range.end - range.start;
        if length == 0 {
            return Ok(empty_root());
        }
        if length < BLOCK_LEAVES && range.start / BLOCK_LEAVES == (range.end - 1) / BLOCK_LEAVES {
            return self.inside_block(range);
        }
        if length.is_power_of_two() {
            let level = length.trailing_zeros();
            return self.complete(level, range.start >> level);
        }
        let middle = split(&range);
        let left = self.range(range.start..middle)?;
        Ok(node(&left, &self.range(middle..range.end)?))
    }

    fn inside_block(&mut self, range: Range<u64>) -> Result<Hash, TreeError<S::Error>> {
        let block = range.start / BLOCK_LEAVES;
        let start = block * BLOCK_LEAVES;
        if !self.blocks.contains_key(&block) {
            let expected = BLOCK_LEAVES.min(self.size - start);
            let leaves = self.tree.source.leaves(start..start + expected);
            let leaves = leaves.map_err(TreeError::Source)?;
            let got = leaves.len() as u64;
            if got != expected {
                return Err(TreeError::LeafCount {
                    start,
                    expected,
                    got,
                });
            }
            self.blocks.insert(block, leaves);
        }
        let inside = (range.start - start) as usize..(range.end - start) as usize;
        Ok(batch_root(&self.blocks[&block][inside]))
    }

    /// Node `index` of `level` ≥ 8: a complete subtree, which can never change.
    fn complete(&mut self, level: u32, index: u64) -> Result<Hash, TreeError<S::Error>> {
        if level == STORED_LEVEL {
            return self.tree.source.level8(index).map_err(TreeError::Source);
        }
        let cached = level.is_multiple_of(CACHED_EVERY);
        if cached && let Some(hash) = self.tree.cache.lock().get(&(level, index)) {
            return Ok(*hash);
        }
        let left = self.complete(level - 1, 2 * index)?;
        let hash = node(&left, &self.complete(level - 1, 2 * index + 1)?);
        if cached {
            self.tree.cache.lock().insert((level, index), hash);
        }
        Ok(hash)
    }
}

/// A completed block: the root over leaves `256 × index .. 256 × (index + 1)`, to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level8 {
    /// Position in the stored array.
    pub index: u64,
    /// Root of the block.
    pub hash: Hash,
}

/// The right edge of a growing tree: one node per set bit of its size, largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

/// The bytes are not a serialised [`Frontier`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frontier of {size} leaves has {expected} bytes, got {got}")]
pub struct FrontierError {
    size: u64,
    expected: usize,
    got: usize,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. Returns the block that it completes, every 256th time.
    ///
    /// # Panics
    /// Beyond [`MAX_LEAVES`] leaves, which no ledger reaches.
    pub fn push(&mut self, leaf: Hash) -> Option<Level8> {
        assert!(self.size < MAX_LEAVES, "a tree has at most 2^50 leaves");
        let mut hash = leaf;
        let mut completed = None;
        for level in 1..=self.size.trailing_ones() {
            let left = self.nodes.pop().expect("one node per set bit of the size");
            hash = node(&left, &hash);
            if level == STORED_LEVEL {
                completed = Some(Level8 {
                    index: self.size >> STORED_LEVEL,
                    hash,
                });
            }
        }
        self.nodes.push(hash);
        self.size += 1;
        debug_assert_eq!(self.nodes.len(), self.size.count_ones() as usize);
        completed
    }

    /// Root of the tree so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut smallest_first = self.nodes.iter().rev();
        let Some(last) = smallest_first.next() else {
            return empty_root();
        };
        smallest_first.fold(*last, |right, left| node(left, &right))
    }

    /// Size (8 bytes, big-endian), then the nodes (32 bytes each), largest subtree first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        for hash in &self.nodes {
            bytes.extend_from_slice(&hash.0);
        }
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`FrontierError`] when the length does not fit the size or the size is too large.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let got = bytes.len();
        let (size, nodes) = bytes.split_first_chunk::<8>().ok_or(FrontierError {
            size: 0,
            expected: 8,
            got,
        })?;
        let size = u64::from_be_bytes(*size);
        let expected = 8 + 32 * size.count_ones() as usize;
        if got != expected || size > MAX_LEAVES {
            return Err(FrontierError {
                size,
                expected,
                got,
            });
        }
        let nodes = nodes
            .as_chunks::<32>()
            .0
            .iter()
            .copied()
            .map(Hash)
            .collect();
        Ok(Self { size, nodes })
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
