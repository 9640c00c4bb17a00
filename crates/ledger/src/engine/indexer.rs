//! The thread that follows the journal: index, hash chain, Merkle tree. Never in the way of a
//! posting; may lag, which reads hide by waiting.

use std::sync::{Arc, mpsc::Receiver};

use super::{
    ReadError,
    history::Committed,
    progress::{Mark, Progress},
    proofs::LedgerTree,
    store::{
        BACKDATED, BATCHES, CHAIN, Delta, ENTRIES, IDS, LEVEL8, NOTES, SEQS, Store, identity_key,
        put_known,
    },
    view::Phase,
};
use crate::{
    index::{Batch, Position},
    model::{Body, Mode, Record, Side, Slot, Touch},
    proof::{Frontier, Hash, hash},
    record::{codec::put_totals, line::write_line},
    rules::{
        book::{Known, Note},
        identities, note_identity,
    },
};

/// The right edges of chain and tree.
pub(super) struct Edge {
    pub chain: Hash,
    pub frontier: Frontier,
}

/// Follows commits into the index.
pub(super) struct Indexer {
    store: Arc<Store>,
    progress: Arc<Progress>,
    edge: Edge,
    line: Vec<u8>,
    value: Vec<u8>,
    leaves: Vec<Hash>,
}

/// Flags of an entry's value.
const CREDIT: u8 = 1;
const IRREGULAR: u8 = 2;
const PHASE_SHIFT: u8 = 2;

/// The first byte of a value of [`ENTRIES`].
pub(super) const fn entry_flags(side: Side, phase: Phase, irregular: bool) -> u8 {
    (side as u8 * CREDIT) | (irregular as u8 * IRREGULAR) | (phase as u8) << PHASE_SHIFT
}

/// Side, phase and whether the record counts at another time than it was recorded.
pub(super) fn split_flags(flags: u8) -> Option<(Side, Phase, bool)> {
    let side = if flags & CREDIT != 0 {
        Side::Credit
    } else {
        Side::Debit
    };
    Some((
        side,
        Phase::from_number(flags >> PHASE_SHIFT)?,
        flags & IRREGULAR != 0,
    ))
}

/// Key of [`ENTRIES`].
pub(super) fn entry_key(slot: Slot, seq: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&slot.to_be_bytes());
    key[4..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Key of [`BACKDATED`]; sorts by signed time.
pub(super) fn backdated_key(slot: Slot, effective_micros: i64, seq: u64) -> [u8; 20] {
    let mut key = [0; 20];
    key[..4].copy_from_slice(&slot.to_be_bytes());
    key[4..12].copy_from_slice(&(effective_micros as u64 ^ 1 << 63).to_be_bytes());
    key[12..].copy_from_slice(&seq.to_be_bytes());
    key
}

impl Indexer {
    /// Goes on where the index ends.
    pub(super) fn new(
        store: Arc<Store>,
        progress: Arc<Progress>,
        ledger_id: uuid::Uuid,
    ) -> Result<Self, ReadError> {
        let broken = |e: &dyn std::fmt::Display| ReadError::Store(e.to_string());
        let batches = store.index.array(CHAIN).len();
        let chain = match batches.checked_sub(1) {
            None => hash::chain0(ledger_id),
            Some(last) => {
                let bytes = store
                    .index
                    .array(CHAIN)
                    .get::<32>(last)
                    .map_err(|e| broken(&e))?;
                Hash(bytes.ok_or_else(|| broken(&"the chain is cut short"))?)
            }
        };
        let leaves = store.index.array(SEQS).len();
        let frontier = LedgerTree::of(store.clone())
            .frontier(leaves)
            .map_err(|e| broken(&e))?;
        Ok(Self {
            store,
            progress,
            edge: Edge { chain, frontier },
            line: Vec::new(),
            value: Vec::new(),
            leaves: Vec::new(),
        })
    }

    /// Takes commits until the writer is gone.
    pub(super) fn run(mut self, commits: &Receiver<Arc<Committed>>) {
        while let Ok(commit) = commits.recv() {
            if let Err(error) = self.apply(&commit) {
                tracing::error!(%error, "the ledger's index stopped; run `florin ledger rebuild-index`");
                self.progress.stop();
                return;
            }
        }
        if let Err(error) = self.store.index.flush() {
            tracing::error!(%error, "the ledger's index was not flushed; it is caught up at the next start");
        }
        self.progress.stop();
    }

    /// Indexes one commit.
    pub(super) fn apply(&mut self, commit: &Committed) -> Result<(), ReadError> {
        let last_seq = (commit.header.first_seq + commit.records.len() as u64).saturating_sub(1);
        let through = Position {
            batch: commit.frame,
            seq: last_seq,
        };
        let Self {
            store,
            edge,
            line,
            value,
            leaves,
            ..
        } = self;
        let directory = &store.directory;
        leaves.clear();
        store
            .index
            .apply(through, |batch| {
                for (record, offset) in commit.records.iter().zip(&commit.offsets) {
                    line.clear();
                    write_line(record, &**directory, line);
                    let leaf = hash::leaf(line);
                    leaves.push(leaf);
                    if let Some(node) = edge.frontier.push(leaf) {
                        batch.append(LEVEL8, node.hash.as_bytes());
                    }
                    batch.append(
                        SEQS,
                        &(commit.payload_lsn + u64::from(*offset)).to_le_bytes(),
                    );
                    put_record(batch, record, &store.hash_key, value);
                }
                let note_offsets = &commit.offsets[commit.records.len()..];
                for ((number, note), offset) in (commit.header.first_note..)
                    .zip(&commit.notes)
                    .zip(note_offsets)
                {
                    batch.append(
                        NOTES,
                        &(commit.payload_lsn + u64::from(*offset)).to_le_bytes(),
                    );
                    put_note(batch, number, note, &store.hash_key, value);
                }
                if !commit.records.is_empty() {
                    let h = &commit.header;
                    let root = hash::batch_root(leaves);
                    edge.chain = hash::chain(
                        &edge.chain,
                        h.batch,
                        h.first_seq,
                        leaves.len() as u64,
                        &root,
                    );
                    batch.append(CHAIN, edge.chain.as_bytes());
                    let mut row = Vec::with_capacity(super::store::BATCH_BYTES);
                    row.extend_from_slice(&h.first_seq.to_le_bytes());
                    row.extend_from_slice(&h.recorded_at.0.to_le_bytes());
                    row.extend_from_slice(&commit.payload_lsn.to_le_bytes());
                    batch.append(BATCHES, &row);
                }
            })
            .map_err(|e| ReadError::Store(e.to_string()))?;
        self.progress.set_indexed(Mark {
            frame: commit.frame,
            seq: last_seq,
        });
        Ok(())
    }
}

fn put_record(batch: &mut Batch, record: &Record, hash_key: &[u8; 16], value: &mut Vec<u8>) {
    identities(record, |space, scope, id| {
        value.clear();
        put_known(Known::Record(record.seq), value);
        batch.put(
            IDS,
            &identity_key(hash_key, space, scope, id).to_be_bytes(),
            value,
        );
    });
    let (phase, effective_at, debit) = match &record.body {
        Body::Transfer(t) => {
            let phase = match t.mode {
                Mode::Single => Phase::Single,
                Mode::Pending => Phase::Pending,
                Mode::Post => Phase::Post,
                Mode::Void => Phase::Void,
            };
            (phase, t.effective_at, t.debit)
        }
        Body::Expired {
            effective_at,
            debit,
            ..
        } => (Phase::Expired, *effective_at, *debit),
        _ => return,
    };
    let irregular = effective_at != record.recorded_at;
    for Touch { slot, after, .. } in record.touches.iter() {
        let side = if *slot == debit {
            Side::Debit
        } else {
            Side::Credit
        };
        value.clear();
        value.push(entry_flags(side, phase, irregular));
        if irregular {
            value.extend_from_slice(&effective_at.0.to_le_bytes());
        }
        put_totals(after, value);
        batch.put(ENTRIES, &entry_key(*slot, record.seq), value);
        if irregular {
            value.clear();
            Delta::of(record, *slot).put(value);
            batch.put(
                BACKDATED,
                &backdated_key(*slot, effective_at.0, record.seq),
                value,
            );
        }
    }
}

fn put_note(batch: &mut Batch, number: u64, note: &Note, hash_key: &[u8; 16], value: &mut Vec<u8>) {
    note_identity(note, number, |space, scope, id, known| {
        let key = identity_key(hash_key, space, scope, id);
        value.clear();
        put_known(known, value);
        batch.put(IDS, &key.to_be_bytes(), value);
    });
}
