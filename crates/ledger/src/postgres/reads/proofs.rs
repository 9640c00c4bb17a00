//! Hash chain, Merkle tree and proofs, read from the database (contract A9).

use std::{ops::Range, sync::Arc};

use parking_lot::Mutex;
use sqlx::Row as _;

use super::{
    history::signed,
    store::{LineNames, Store, broken},
    view::PgView,
};
use crate::{
    engine::ReadError,
    proof::{Hash, Tree, TreeSource, hash},
    record::line::write_line,
};

/// Nodes of the tree read at a time, each over 256 leaves.
const NODES: u64 = 1_024;

/// Where the Merkle tree gets its hashes: stored nodes, and leaves made from the records.
pub(super) struct Leaves {
    store: Arc<Store>,
    /// The nodes read last, from the first one's number on.
    nodes: Mutex<(u64, Vec<Hash>)>,
}

/// The ledger's Merkle tree.
pub(super) type LedgerTree = Tree<Leaves>;

/// The tree of a ledger.
pub(super) fn tree(store: Arc<Store>) -> LedgerTree {
    Tree::new(Leaves {
        store,
        nodes: Mutex::default(),
    })
}

fn hash_of(bytes: &[u8]) -> Result<Hash, ReadError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| broken("a hash does not have 32 bytes"))?;
    Ok(Hash(bytes))
}

impl Leaves {
    fn read_nodes(&self, first: u64) -> Result<Vec<Hash>, ReadError> {
        let pool = self.store.primary.clone();
        self.store.block(async move {
            let found = sqlx::query(
                "SELECT node, hash FROM tree WHERE node >= $1 AND node < $2 ORDER BY node",
            )
            .bind(signed(first))
            .bind(signed(first + NODES))
            .fetch_all(&pool)
            .await
            .map_err(broken)?;
            let mut nodes = Vec::with_capacity(found.len());
            for row in &found {
                let node: i64 = row.try_get(0).map_err(broken)?;
                if node as u64 != first + nodes.len() as u64 {
                    return Err(broken("a node of the tree is missing"));
                }
                nodes.push(hash_of(row.try_get(1).map_err(broken)?)?);
            }
            Ok(nodes)
        })
    }
}

impl TreeSource for Leaves {
    type Error = ReadError;

    fn level8(&self, index: u64) -> Result<Hash, ReadError> {
        let of = |(first, nodes): &(u64, Vec<Hash>)| {
            let at = index.checked_sub(*first)?;
            nodes.get(at as usize).copied()
        };
        if let Some(found) = of(&self.nodes.lock()) {
            return Ok(found);
        }
        let first = index / NODES * NODES;
        let read = (first, self.read_nodes(first)?);
        let found = of(&read);
        *self.nodes.lock() = read;
        found.ok_or_else(|| broken("a node of the tree is missing"))
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Hash>, ReadError> {
        let seqs: Vec<u64> = range.map(|index| index + 1).collect();
        let store = self.store.clone();
        let records = self.store.block(async move {
            let pool = store.primary.clone();
            store.records(&pool, &seqs).await
        })?;
        let mut line = Vec::new();
        records
            .iter()
            .map(|record| {
                line.clear();
                write_line(record, &LineNames::of(&self.store, record)?, &mut line);
                Ok(hash::leaf(&line))
            })
            .collect()
    }
}

impl PgView {
    pub(crate) fn last_batch(&self) -> Result<Option<(u64, u64, Hash)>, ReadError> {
        self.block(|view| async move {
            // The commit of the view's last record, the one before, and where the next one
            // starts: a view may end in the middle of a commit.
            let found = sqlx::query(
                "SELECT b.batch, b.first_seq, b.chain, COALESCE(
                    (SELECT first_seq - 1 FROM batches n WHERE n.batch = b.batch + 1),
                    (SELECT seq FROM head))
                 FROM batches b WHERE b.first_seq <= $1 ORDER BY b.first_seq DESC LIMIT 2",
            )
            .bind(signed(view.seq))
            .fetch_all(&view.pool)
            .await
            .map_err(broken)?;
            for row in &found {
                let last: i64 = row.try_get(3).map_err(broken)?;
                if last as u64 <= view.seq {
                    let batch: i64 = row.try_get(0).map_err(broken)?;
                    let chain = hash_of(row.try_get(2).map_err(broken)?)?;
                    return Ok(Some((batch as u64, last as u64, chain)));
                }
            }
            Ok(None)
        })
    }

    pub(crate) fn root(&self, size: u64) -> Result<Hash, ReadError> {
        self.tree.root(size).map_err(broken)
    }

    pub(crate) fn inclusion(&self, seq: u64, size: u64) -> Result<(Hash, Vec<Hash>), ReadError> {
        let path = self.tree.inclusion(seq - 1, size).map_err(broken)?;
        Ok((hash::leaf(&self.line(seq)?), path))
    }

    pub(crate) fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, ReadError> {
        self.tree.consistency(from, to).map_err(broken)
    }
}
