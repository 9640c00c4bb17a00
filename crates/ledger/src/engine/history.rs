//! The writer's memory of the past: identities and records that the index may not have yet,
//! and the index behind them.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use super::{
    progress::Progress,
    store::{Store, identity_key},
};
use crate::{
    model::Record,
    record::codec::Header,
    rules::book::{Fault, Known, Note, Space},
};

/// Identities in a generation before it is set aside.
const GENERATION: usize = 1 << 18;

/// A durable commit on its way to the index.
#[derive(Debug)]
pub(super) struct Committed {
    /// Number of its journal frame.
    pub frame: u64,
    pub header: Header,
    pub records: Vec<Record>,
    pub notes: Vec<Note>,
    /// Address of the payload, and where each record, then each note, starts in it.
    pub payload_lsn: u64,
    pub offsets: Vec<u32>,
}

/// Takes an identity's key as it is: it is a keyed hash already.
#[derive(Default)]
struct KeyAsHash(u64);

impl Hasher for KeyAsHash {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Default)]
struct Generation {
    known: HashMap<u128, Known, BuildHasherDefault<KeyAsHash>>,
    /// Last frame with an identity in it.
    last_frame: u64,
}

/// See the module text.
pub(super) struct History {
    store: Arc<Store>,
    progress: Arc<Progress>,
    young: Generation,
    old: Generation,
    /// Commits that are not indexed, oldest first.
    recent: VecDeque<Arc<Committed>>,
}

impl History {
    pub(super) fn new(store: Arc<Store>, progress: Arc<Progress>) -> Self {
        Self {
            store,
            progress,
            young: Generation::default(),
            old: Generation::default(),
            recent: VecDeque::new(),
        }
    }

    fn key(&self, space: Space, scope: &[u8], id: &str) -> u128 {
        identity_key(&self.store.hash_key, space, scope, id)
    }

    pub(super) fn lookup(
        &self,
        space: Space,
        scope: &[u8],
        id: &str,
    ) -> Result<Option<Known>, Fault> {
        let key = self.key(space, scope, id);
        if let Some(known) = self
            .young
            .known
            .get(&key)
            .or_else(|| self.old.known.get(&key))
        {
            return Ok(Some(*known));
        }
        self.store.known(key).map_err(|e| Fault(e.to_string()))
    }

    pub(super) fn remember(&mut self, space: Space, scope: &[u8], id: &str, known: Known) {
        let key = self.key(space, scope, id);
        self.young.known.insert(key, known);
    }

    pub(super) fn forget(&mut self, space: Space, scope: &[u8], id: &str) {
        let key = self.key(space, scope, id);
        self.young.known.remove(&key);
    }

    /// A commit became durable.
    pub(super) fn committed(&mut self, commit: Arc<Committed>) {
        self.young.last_frame = commit.frame;
        self.recent.push_back(commit);
        let indexed = self.progress.indexed().frame;
        while self.recent.front().is_some_and(|c| c.frame <= indexed) {
            self.recent.pop_front();
        }
        if self.old.last_frame <= indexed
            && (self.young.known.len() >= GENERATION || self.old.known.is_empty())
        {
            self.old = std::mem::take(&mut self.young);
            self.young.last_frame = self.old.last_frame;
        }
    }

    pub(super) fn record(&self, seq: u64) -> Result<Record, Fault> {
        let after = self.recent.partition_point(|c| c.header.first_seq <= seq);
        for commit in self.recent.range(..after).rev() {
            let index = (seq - commit.header.first_seq) as usize;
            if let Some(record) = commit.records.get(index) {
                return Ok(record.clone());
            }
            if !commit.records.is_empty() {
                break;
            }
        }
        self.store.record(seq).map_err(|e| Fault(e.to_string()))
    }

    pub(super) fn note(&self, number: u64) -> Result<Note, Fault> {
        for commit in self.recent.iter().rev() {
            let index = number.checked_sub(commit.header.first_note);
            if let Some(note) = index.and_then(|i| commit.notes.get(i as usize)) {
                return Ok(note.clone());
            }
        }
        self.store.note(number).map_err(|e| Fault(e.to_string()))
    }
}
