//! The ids used so far, in 24 bytes each.
//!
//! An id is kept as 96 bits of a hash: among 10^9 ids a false alarm has odds of 1 in 10^11, and
//! a repeated id is never missed. Beside it stands what a reversal of the transfer must match.

use std::hash::Hasher;

use florin_base::Timestamp;
use hashbrown::HashTable;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::model::Slot;

/// Hash of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    hi: u64,
    lo: u32,
}

/// What the transfer of an id may be followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u32);

impl Mark {
    /// A record that no reversal may name.
    pub(super) const FINAL: Self = Self(0);
    /// The id was refused for good; there is no record.
    pub(super) const REFUSED: Self = Self(1);

    /// A transfer that may be reversed by one of the same mark.
    pub(super) fn movement(debit: Slot, credit: Slot, amount: u128, leg: Option<Leg>) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write_u32(debit);
        hasher.write_u32(credit);
        hasher.write_u128(amount);
        if let Some(leg) = leg {
            hasher.write_u64(leg.chain.hi);
            hasher.write_u32(leg.chain.lo);
            hasher.write_u32(leg.index);
            hasher.write_u32(leg.count);
        }
        let hash = hasher.finish128().h1;
        Self((hash as u32).max(2))
    }
}

/// A place in a whole chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg {
    pub chain: Key,
    pub index: u32,
    pub count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hi: u64,
    lo: u32,
    mark: Mark,
    effective_at: i64,
}

/// All ids used so far.
#[derive(Debug, Default)]
pub(super) struct Ids {
    table: HashTable<Entry>,
}

impl Ids {
    pub(super) fn key(id: &str) -> Key {
        let mut hasher = SipHasher13::new();
        hasher.write(id.as_bytes());
        let hash = hasher.finish128();
        Key {
            hi: hash.h1,
            lo: hash.h2 as u32,
        }
    }

    fn find(&self, key: Key) -> Option<&Entry> {
        self.table
            .find(key.hi, |e| e.hi == key.hi && e.lo == key.lo)
    }

    /// Adds an id; the mark of its first use if there was one.
    pub(super) fn insert(&mut self, key: Key, mark: Mark, effective_at: Timestamp) -> Option<Mark> {
        if let Some(first) = self.find(key) {
            return Some(first.mark);
        }
        let entry = Entry {
            hi: key.hi,
            lo: key.lo,
            mark,
            effective_at: effective_at.0,
        };
        self.table.insert_unique(key.hi, entry, |e| e.hi);
        None
    }

    /// The mark of an id and when its transfer counts.
    pub(super) fn get(&self, key: Key) -> Option<(Mark, Timestamp)> {
        self.find(key).map(|e| (e.mark, Timestamp(e.effective_at)))
    }

    /// Changes the mark of an id that is there.
    pub(super) fn set(&mut self, key: Key, mark: Mark) {
        let found = self
            .table
            .find_mut(key.hi, |e| e.hi == key.hi && e.lo == key.lo);
        if let Some(entry) = found {
            entry.mark = mark;
        }
    }
}
