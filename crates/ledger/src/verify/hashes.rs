//! Leaves, batch roots, chain and tree, compared with the checkpoints on the way.

use std::collections::VecDeque;

use uuid::Uuid;

use super::{given::Finding, report::Kind};
use crate::proof::{CheckpointBody, Frontier, Hash, hash};

/// The right edge of everything hashed so far.
#[derive(Debug)]
pub(super) struct Hashes {
    chain: Option<Hash>,
    tree: Frontier,
    leaves: Vec<Hash>,
    /// Ahead of the records, by batch.
    waiting: VecDeque<CheckpointBody>,
    verified: u64,
    /// Last record that a checkpoint vouched for.
    covered: u64,
}

impl Hashes {
    pub(super) fn new(ledger_id: Option<Uuid>, mut checkpoints: Vec<CheckpointBody>) -> Self {
        checkpoints.sort_by_key(|c| (c.batch, c.tree_size));
        Self {
            chain: ledger_id.map(hash::chain0),
            tree: Frontier::new(),
            leaves: Vec::new(),
            waiting: checkpoints.into(),
            verified: 0,
            covered: 0,
        }
    }

    pub(super) fn push(&mut self, line: &[u8]) {
        let leaf = hash::leaf(line);
        self.tree.push(leaf);
        self.leaves.push(leaf);
    }

    /// Ends a batch and compares the checkpoints made right after it.
    pub(super) fn end_batch(&mut self, batch: u64) -> Result<(), Finding> {
        let count = self.leaves.len() as u64;
        let first_seq = self.tree.size() - count + 1;
        if count > 0 {
            let root = hash::batch_root(&self.leaves);
            let next = |chain| hash::chain(&chain, batch, first_seq, count, &root);
            self.chain = self.chain.map(next);
            self.leaves.clear();
        }
        while let Some(next) = self.waiting.front() {
            if next.batch > batch && next.tree_size > self.tree.size() {
                break;
            }
            self.compare(batch, next)?;
            self.covered = next.tree_size;
            self.verified += 1;
            self.waiting.pop_front();
        }
        Ok(())
    }

    fn compare(&self, batch: u64, checkpoint: &CheckpointBody) -> Result<(), Finding> {
        let range = format!("records {} to {}", self.covered + 1, checkpoint.tree_size);
        if checkpoint.batch != batch || checkpoint.tree_size != self.tree.size() {
            let detail = format!(
                "a checkpoint says that batch {} ends with record {}; batch {batch} ends with {}",
                checkpoint.batch,
                checkpoint.tree_size,
                self.tree.size()
            );
            return Err((Kind::CheckpointMisplaced, detail));
        }
        if self.tree.root() != checkpoint.root_hash {
            let detail = format!(
                "{range} are not those the checkpoint was made of: root {}, signed {}",
                self.tree.root(),
                checkpoint.root_hash
            );
            return Err((Kind::RootMismatch, detail));
        }
        match self.chain {
            Some(chain) if chain != checkpoint.chain_hash => {
                let detail = format!("{range}: chain {chain}, signed {}", checkpoint.chain_hash);
                Err((Kind::ChainMismatch, detail))
            }
            _ => Ok(()),
        }
    }

    /// Everything a checkpoint vouches for must have come.
    pub(super) fn end(&self) -> Result<(), Finding> {
        match self.waiting.front() {
            None => Ok(()),
            Some(missing) => Err((
                Kind::RecordsMissing,
                format!(
                    "a checkpoint covers {} records, there are {}",
                    missing.tree_size,
                    self.tree.size()
                ),
            )),
        }
    }

    /// Where a difference from a checkpoint must be looked for first.
    pub(super) fn first_doubtful(&self) -> u64 {
        self.covered + 1
    }

    pub(super) fn covered(&self) -> u64 {
        self.covered
    }

    pub(super) fn verified(&self) -> u64 {
        self.verified
    }

    pub(super) fn root(&self) -> Hash {
        self.tree.root()
    }

    pub(super) fn chain(&self) -> Option<Hash> {
        self.chain
    }
}
