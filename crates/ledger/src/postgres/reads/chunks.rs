//! Chunks of the journal as they were read. They never change, so that a few are kept.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::model::Record;

/// Chunks of a generation before it is set aside; two generations of about 40 KiB each entry.
const GENERATION: usize = 256;

/// Consecutive records of one commit.
#[derive(Debug)]
pub(super) struct Chunk {
    pub first_seq: u64,
    pub records: Vec<Record>,
}

impl Chunk {
    /// The record of a number.
    pub(super) fn get(&self, seq: u64) -> Option<&Record> {
        let index = seq.checked_sub(self.first_seq)?;
        self.records.get(index as usize)
    }
}

#[derive(Default)]
struct Generations {
    young: BTreeMap<u64, Arc<Chunk>>,
    old: BTreeMap<u64, Arc<Chunk>>,
}

/// Chunks by their first `seq`, the newest read ones.
#[derive(Default)]
pub(super) struct Chunks(Mutex<Generations>);

impl Chunks {
    pub(super) fn find(&self, seq: u64) -> Option<Arc<Chunk>> {
        let inner = self.0.lock();
        [&inner.young, &inner.old].into_iter().find_map(|chunks| {
            let (_, chunk) = chunks.range(..=seq).next_back()?;
            chunk.get(seq).map(|_| chunk.clone())
        })
    }

    pub(super) fn add(&self, chunk: Arc<Chunk>) {
        let mut inner = self.0.lock();
        if inner.young.len() >= GENERATION {
            inner.old = std::mem::take(&mut inner.young);
        }
        inner.young.insert(chunk.first_seq, chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_base::Timestamp;

    use crate::model::{Asset, Body};

    fn chunk(first_seq: u64, count: u64) -> Arc<Chunk> {
        let record = |seq| Record {
            seq,
            batch: 1,
            recorded_at: Timestamp(0),
            actor: None,
            body: Body::AssetCreated(Asset::standard().remove(0)),
            touches: Default::default(),
        };
        let records = (first_seq..first_seq + count).map(record).collect();
        Arc::new(Chunk { first_seq, records })
    }

    #[test]
    fn a_record_is_found_in_its_chunk_only_and_old_chunks_go() {
        let chunks = Chunks::default();
        chunks.add(chunk(1, 10));
        chunks.add(chunk(21, 5));
        assert_eq!(chunks.find(10).map(|c| c.first_seq), Some(1));
        assert!(chunks.find(11).is_none());
        assert_eq!(
            chunks.find(25).and_then(|c| c.get(25).map(|r| r.seq)),
            Some(25)
        );
        for n in 1..=2 * GENERATION as u64 {
            chunks.add(chunk(100 * n, 1));
        }
        assert!(chunks.find(10).is_none());
        assert!(chunks.find(100 * 2 * GENERATION as u64).is_some());
    }
}
