//! Hash chain, Merkle tree and proofs, read from the index and the journal (contract A9).

use std::{ops::Range, sync::Arc};

use super::{
    store::{BATCH_BYTES, BATCHES, CHAIN, LEVEL8, SEQS, Store, split_batch},
    view::{IndexView, ReadError, broken},
};
use crate::{
    proof::{Hash, Tree, TreeSource, hash},
    record::line::write_line,
};

/// Where the Merkle tree gets its hashes: stored nodes, and leaves made from the journal.
pub(super) struct Leaves(Arc<Store>);

/// The ledger's Merkle tree.
pub(super) type LedgerTree = Tree<Leaves>;

impl LedgerTree {
    pub(super) fn of(store: Arc<Store>) -> Self {
        Self::new(Leaves(store))
    }
}

impl TreeSource for Leaves {
    type Error = ReadError;

    fn level8(&self, index: u64) -> Result<Hash, ReadError> {
        let bytes = self
            .0
            .index
            .array(LEVEL8)
            .get::<32>(index)
            .map_err(broken)?;
        bytes
            .map(Hash)
            .ok_or_else(|| broken("a node of the tree is missing"))
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Hash>, ReadError> {
        let mut line = Vec::new();
        range
            .map(|index| {
                line.clear();
                write_line(&self.0.record(index + 1)?, &*self.0.directory, &mut line);
                Ok(hash::leaf(&line))
            })
            .collect()
    }
}

impl IndexView {
    /// Last commit whose records are all in the view, with its last `seq` and `chain` hash.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn last_batch(&self) -> Result<Option<(u64, u64, Hash)>, ReadError> {
        let batches = self.store.index.array(BATCHES);
        let mut count = batches
            .partition_point(|b| split_batch(b).0 <= self.seq)
            .map_err(broken)?;
        loop {
            if count == 0 {
                return Ok(None);
            }
            let next = batches.get::<BATCH_BYTES>(count).map_err(broken)?;
            let last_seq = next.map_or(self.store.index.array(SEQS).len(), |b| {
                split_batch(&b).0 - 1
            });
            if last_seq > self.seq {
                count -= 1;
                continue;
            }
            let chain = self
                .store
                .index
                .array(CHAIN)
                .get::<32>(count - 1)
                .map_err(broken)?;
            let chain = chain.ok_or_else(|| broken("the chain is cut short"))?;
            return Ok(Some((count, last_seq, Hash(chain))));
        }
    }

    /// Root of the Merkle tree over the first `size` records.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn root(&self, size: u64) -> Result<Hash, ReadError> {
        self.tree.root(size).map_err(broken)
    }

    /// Leaf hash of a record and its audit path in the tree over the first `size` records.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read.
    pub fn inclusion(&self, seq: u64, size: u64) -> Result<(Hash, Vec<Hash>), ReadError> {
        let path = self.tree.inclusion(seq - 1, size).map_err(broken)?;
        Ok((hash::leaf(&self.line(seq)?), path))
    }

    /// Proof that the tree over `to` records extends the one over `from`.
    ///
    /// # Errors
    /// [`ReadError`] when files cannot be read or the sizes are wrong.
    pub fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, ReadError> {
        self.tree.consistency(from, to).map_err(broken)
    }
}
