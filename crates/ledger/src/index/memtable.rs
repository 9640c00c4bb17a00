//! Records not yet in a run.
//!
//! Records lie in one arena in order of arrival. Point tables find them by a hash index that uses
//! the (uniform) key itself as hash. Ordered tables keep, per group, the places in key order:
//! records of an account mostly arrive in order, so this is an append, and only a flush sorts the
//! groups. A group out of order costs a search and a short shift, never a walk.

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashTable};
use parking_lot::{RwLock, RwLockWriteGuard};

use super::bloom::be64;
use super::cursor::Chunk;
use super::error::Result;
use super::spec::{MAX_VALUE, Shape, TableSpec};

/// Places per chunk of a group.
const CHUNK: usize = 256;
/// Records inserted between chances for a waiting reader.
const WRITES_PER_TURN: usize = 64;

pub(super) struct Memtable {
    key_len: usize,
    group_len: usize,
    rows: RwLock<Rows>,
}

pub(super) struct Rows {
    /// `key, value_len u8, value` per record.
    arena: Vec<u8>,
    order: Order,
    records: usize,
}

enum Order {
    Point(HashTable<u32>),
    Groups(HashMap<u64, Group>),
}

/// Places in key order.
enum Group {
    One(u32),
    Many(Vec<Vec<u32>>),
}

impl Group {
    fn chunks(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(chunks) => chunks.len(),
        }
    }

    fn chunk(&self, number: usize) -> &[u32] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(chunks) => &chunks[number],
        }
    }

    /// Chunk and offset of the first place for which `below` is false.
    fn seek(&self, below: impl Fn(u32) -> bool) -> (usize, usize) {
        let (mut low, mut high) = (0, self.chunks());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if below(self.chunk(middle)[0]) {
                low = middle;
            } else {
                high = middle;
            }
        }
        let offset = self.chunk(low).partition_point(|place| below(*place));
        // The search above leaves out a chunk whose very first place is the one looked for.
        let at_end = offset == self.chunk(low).len() && low + 1 < self.chunks();
        if at_end { (low + 1, 0) } else { (low, offset) }
    }

    fn insert(&mut self, (chunk, offset): (usize, usize), place: u32) {
        if let Self::One(only) = self {
            *self = Self::Many(vec![vec![*only]]);
        }
        let Self::Many(chunks) = self else { return };
        let full = chunks[chunk].len() == CHUNK;
        if full && offset == CHUNK && chunk + 1 == chunks.len() {
            chunks.push(vec![place]);
            return;
        }
        chunks[chunk].insert(offset, place);
        if full {
            let upper = chunks[chunk].split_off(CHUNK / 2);
            chunks.insert(chunk + 1, upper);
        }
    }

    fn replace(&mut self, (chunk, offset): (usize, usize), place: u32) {
        match self {
            Self::One(only) => *only = place,
            Self::Many(chunks) => chunks[chunk][offset] = place,
        }
    }
}

fn key_at(arena: &[u8], place: u32, key_len: usize) -> &[u8] {
    &arena[place as usize..place as usize + key_len]
}

fn value_at(arena: &[u8], place: u32, key_len: usize) -> &[u8] {
    let at = place as usize + key_len;
    &arena[at + 1..at + 1 + arena[at] as usize]
}

/// Bounds of a scan within one group, both included.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) from: &'a [u8],
    pub(super) to: &'a [u8],
    /// Leave out the key the scan starts with, since it was delivered already.
    pub(super) skip_start: bool,
    pub(super) backward: bool,
}

impl Memtable {
    /// Sized for as many records as `like` has, so that growing does not stall readers.
    pub(super) fn new(spec: &TableSpec, like: Option<&Self>) -> Self {
        let (mut records, mut groups, mut bytes) = (0, 0, 0);
        if let Some(like) = like {
            let rows = like.rows.read();
            (records, bytes) = (rows.records, rows.arena.len());
            if let Order::Groups(map) = &rows.order {
                groups = map.len();
            }
        }
        let order = match spec.shape {
            Shape::Point => Order::Point(HashTable::with_capacity(records)),
            Shape::Ordered { .. } => Order::Groups(HashMap::with_capacity(groups)),
        };
        let rows = Rows {
            arena: Vec::with_capacity(bytes),
            order,
            records: 0,
        };
        Self {
            key_len: spec.key_len,
            group_len: spec.group_len(),
            rows: RwLock::new(rows),
        }
    }

    pub(super) fn records(&self) -> usize {
        self.rows.read().records
    }

    /// Approximate bytes held.
    pub(super) fn bytes(&self) -> usize {
        let rows = self.rows.read();
        rows.arena.len() + rows.records * 8
    }

    /// Inserts encoded records (`key, value_len u8, value`), each visible at once.
    pub(super) fn insert_all(&self, mut encoded: &[u8]) {
        if encoded.is_empty() {
            return;
        }
        let mut rows = self.rows.write();
        let mut turn = 0;
        while !encoded.is_empty() {
            let len = self.key_len + 1 + encoded[self.key_len] as usize;
            let (record, rest) = encoded.split_at(len);
            rows.insert(record, self.key_len, self.group_len);
            encoded = rest;
            turn += 1;
            if turn % WRITES_PER_TURN == 0 {
                RwLockWriteGuard::bump(&mut rows);
            }
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let rows = self.rows.read();
        let place = match &rows.order {
            Order::Point(table) => table
                .find(be64(&key[..8]), |place| {
                    key_at(&rows.arena, *place, self.key_len) == key
                })
                .copied()?,
            Order::Groups(groups) => {
                let group = groups.get(&be64(&key[..self.group_len]))?;
                let (chunk, offset) = group.seek(|at| key_at(&rows.arena, at, self.key_len) < key);
                let place = *group.chunk(chunk).get(offset)?;
                (key_at(&rows.arena, place, self.key_len) == key).then_some(place)?
            }
        };
        Some(value_at(&rows.arena, place, self.key_len).to_vec())
    }

    /// Copies up to `limit` records within the bounds into `chunk`, in the order of the scan.
    pub(super) fn scan(&self, bounds: Bounds<'_>, limit: usize, out: &mut Chunk) {
        let rows = self.rows.read();
        let Order::Groups(groups) = &rows.order else {
            return;
        };
        let Some(group) = groups.get(&be64(&bounds.from[..self.group_len])) else {
            return;
        };
        let key = |place: u32| key_at(&rows.arena, place, self.key_len);
        let value = |place: u32| value_at(&rows.arena, place, self.key_len);
        if bounds.backward {
            let end = |place: u32| match bounds.skip_start {
                true => key(place) < bounds.to,
                false => key(place) <= bounds.to,
            };
            let (last, offset) = group.seek(end);
            let mut places = &group.chunk(last)[..offset];
            let mut number = last;
            while out.len() < limit {
                if let Some((place, rest)) = places.split_last() {
                    if key(*place) < bounds.from {
                        return;
                    }
                    out.push(key(*place), value(*place), &[]);
                    places = rest;
                } else if number > 0 {
                    number -= 1;
                    places = group.chunk(number);
                } else {
                    return;
                }
            }
        } else {
            let before = |place: u32| match bounds.skip_start {
                true => key(place) <= bounds.from,
                false => key(place) < bounds.from,
            };
            let (first, offset) = group.seek(before);
            let places = group.chunk(first)[offset..].iter();
            let later = (first + 1..group.chunks()).flat_map(|number| group.chunk(number));
            for place in places.chain(later) {
                if out.len() == limit || key(*place) > bounds.to {
                    return;
                }
                out.push(key(*place), value(*place), &[]);
            }
        }
    }

    /// All records in key order. The table must not be written to any more.
    pub(super) fn drain_sorted(
        &self,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let rows = self.rows.read();
        let mut visit = |place: u32| {
            let key = key_at(&rows.arena, place, self.key_len);
            each(key, value_at(&rows.arena, place, self.key_len))
        };
        match &rows.order {
            Order::Point(table) => {
                // Along the arena, not along the hash table, which would be a cache miss each.
                let mut sorted = rows.prefixes(self.key_len, table.len());
                let key = |place| key_at(&rows.arena, place, self.key_len);
                sorted.sort_unstable_by(|a, b| {
                    let by_key = || key(a.1).cmp(key(b.1)).then(a.1.cmp(&b.1));
                    a.0.cmp(&b.0).then_with(by_key)
                });
                // Of records with equal keys the last one counts.
                let replaced = |at: usize| {
                    let next = sorted.get(at + 1);
                    next.is_some_and(|n| n.0 == sorted[at].0 && key(n.1) == key(sorted[at].1))
                };
                (0..sorted.len())
                    .filter(|at| !replaced(*at))
                    .try_for_each(|at| visit(sorted[at].1))
            }
            Order::Groups(groups) => {
                let mut sorted: Vec<(u64, &Group)> = groups.iter().map(|(k, g)| (*k, g)).collect();
                sorted.sort_unstable_by_key(|(number, _)| *number);
                for (_, group) in sorted {
                    for number in 0..group.chunks() {
                        group
                            .chunk(number)
                            .iter()
                            .try_for_each(|place| visit(*place))?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl Rows {
    /// First 8 bytes of the key, and place, of every record ever inserted.
    fn prefixes(&self, key_len: usize, at_least: usize) -> Vec<(u64, u32)> {
        let mut prefixes = Vec::with_capacity(at_least);
        let mut at = 0;
        while at < self.arena.len() {
            prefixes.push((be64(&self.arena[at..at + 8]), at as u32));
            at += key_len + 1 + usize::from(self.arena[at + key_len]);
        }
        prefixes
    }

    fn insert(&mut self, record: &[u8], key_len: usize, group_len: usize) {
        let place = u32::try_from(self.arena.len()).expect("flush limits keep the arena < 4 GiB");
        self.arena.extend_from_slice(record);
        let arena = &self.arena;
        let key = &record[..key_len];
        let is_new = match &mut self.order {
            Order::Point(table) => {
                let found = table.entry(
                    be64(&key[..8]),
                    |at| key_at(arena, *at, key_len) == key,
                    |at| be64(key_at(arena, *at, 8)),
                );
                match found {
                    hashbrown::hash_table::Entry::Occupied(mut old) => {
                        *old.get_mut() = place;
                        false
                    }
                    hashbrown::hash_table::Entry::Vacant(free) => {
                        free.insert(place);
                        true
                    }
                }
            }
            Order::Groups(groups) => match groups.entry(be64(&key[..group_len])) {
                Entry::Vacant(free) => {
                    free.insert(Group::One(place));
                    true
                }
                Entry::Occupied(mut group) => {
                    let group = group.get_mut();
                    let spot = group.seek(|at| key_at(arena, at, key_len) < key);
                    let old = group.chunk(spot.0).get(spot.1).copied();
                    if old.is_some_and(|at| key_at(arena, at, key_len) == key) {
                        group.replace(spot, place);
                        false
                    } else {
                        group.insert(spot, place);
                        true
                    }
                }
            },
        };
        self.records += usize::from(is_new);
    }
}

/// Encodes a record for [`Memtable::insert_all`].
pub(super) fn encode(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    assert!(
        value.len() <= MAX_VALUE,
        "a value has at most {MAX_VALUE} bytes"
    );
    out.extend_from_slice(key);
    out.push(value.len() as u8);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A group far larger than a chunk, filled at its end, at its start and in between.
    #[test]
    fn a_group_out_of_order_reads_in_order() {
        let spec = TableSpec::ordered("entries", 8, 4);
        let key = |number: u32| [7u32.to_be_bytes(), number.to_be_bytes()].concat();
        let memtable = Memtable::new(&spec, None);
        let mut model = BTreeMap::new();
        let rising = (10_000..11_000).chain((0..1_000).rev());
        for number in rising.chain((0..3_000).map(|n| n * 7919 % 12_007)) {
            let value = [number as u8, (number >> 8) as u8, model.len() as u8];
            let mut encoded = Vec::new();
            encode(&mut encoded, &key(number), &value);
            memtable.insert_all(&encoded);
            model.insert(key(number), value.to_vec());
        }
        assert_eq!(memtable.records(), model.len());
        let mut drained = Vec::new();
        let keep = |key: &[u8], value: &[u8]| {
            drained.push((key.to_vec(), value.to_vec()));
            Ok(())
        };
        memtable.drain_sorted(keep).unwrap();
        assert!(drained.iter().map(|(k, v)| (k, v)).eq(&model));
        for (from, to) in [
            (0, 20_000),
            (500, 500),
            (9_999, 10_300),
            (300, 10_700),
            (11_999, 12_100),
        ] {
            for backward in [false, true] {
                let (from, to) = (key(from), key(to));
                let bounds = Bounds {
                    from: &from,
                    to: &to,
                    skip_start: false,
                    backward,
                };
                let mut found = Chunk::default();
                memtable.scan(bounds, usize::MAX, &mut found);
                let mut keys: Vec<_> = (0..found.len()).map(|at| found.key(at).to_vec()).collect();
                assert!(backward || keys.is_sorted());
                if backward {
                    keys.reverse();
                }
                let expected = model.range(from.clone()..=to.clone()).map(|(key, _)| key);
                assert!(
                    keys.iter().eq(expected),
                    "{from:?} to {to:?}, backward {backward}"
                );
            }
        }
        let absent = (0..12_100).filter(|n| memtable.get(&key(*n)) != model.get(&key(*n)).cloned());
        assert_eq!(absent.count(), 0);
    }
}
