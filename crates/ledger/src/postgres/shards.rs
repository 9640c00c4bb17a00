//! A map in many parts, which grow one after another. A table that grows is copied whole, in the
//! middle of a batch, which the server takes for a transaction that was left: 7.3 million entries
//! of 216 bytes took 1.9 s on a machine of the benches. Parts of one size would all grow in the
//! same batch, since numbers that follow each other spread evenly; so the largest has about twice
//! the share of the smallest, and while the map doubles each part doubles once, in its turn.

use std::hash::{BuildHasher as _, Hash};

use hashbrown::{DefaultHashBuilder, HashMap};

/// Of ten million entries each holds seven to fifteen thousand.
const PARTS: usize = 1_024;
/// Fewer entries are dropped sooner than a thread is there.
const FEW: usize = 50_000;

/// See the module text.
#[derive(Debug)]
pub(super) struct Shards<K, V> {
    parts: Box<[HashMap<K, V>]>,
    hasher: DefaultHashBuilder,
    len: usize,
}

impl<K: Hash + Eq, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| HashMap::new()).collect(),
            hasher: DefaultHashBuilder::default(),
            len: 0,
        }
    }
}

impl<K: Hash + Eq, V> Shards<K, V> {
    /// The part of a key; its own hash is another one, with the part's own seed.
    fn part(&self, key: &K) -> usize {
        const ONE: u64 = 1 << 32;
        // With x from 0 to 1: x + 11/32 · x · (1 - x), close to log2(1 + x). It climbs about twice
        // as fast at 0 as at 1, so that early parts get half of what late ones get.
        let x = self.hasher.hash_one(key) >> 32;
        let bent = x + (((x * (ONE - x)) >> 32) * 11) / 32;
        ((bent * PARTS as u64) >> 32) as usize
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.parts[self.part(key)].get(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let part = self.part(key);
        self.parts[part].get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let part = self.part(&key);
        self.len += usize::from(self.parts[part].insert(key, value).is_none());
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let part = self.part(key);
        let found = self.parts[part].remove(key);
        self.len -= usize::from(found.is_some());
        found
    }
}

/// The young generation becomes the old one, which is forgotten.
pub(super) fn age<T: Default + Send + 'static>(young: &mut T, old: &mut T, len: fn(&T) -> usize) {
    let gone = std::mem::replace(old, std::mem::take(young));
    let len = len(&gone);
    forget(gone, len);
}

/// Drops what may be millions of entries beside whoever is at work.
pub(super) fn forget<T: Send + 'static>(entries: T, len: usize) {
    if len < FEW {
        return;
    }
    let dropping = std::thread::Builder::new().name("florin-forget".to_owned());
    // Where no thread is to be had, the closure is dropped here and now, with the entries.
    let _ = dropping.spawn(move || drop(entries));
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn it_is_a_map() {
        let mut map = Shards::default();
        let count = 100 * PARTS;
        for key in 0..count {
            map.insert(key, key);
            map.insert(key, key + 1);
        }
        assert_eq!(map.len(), count);
        assert_eq!(map.get(&7), Some(&8));
        *map.get_mut(&7).expect("there") = 1;
        assert_eq!(map.remove(&7), Some(1));
        assert_eq!(
            (map.remove(&7), map.get(&7), map.len()),
            (None, None, count - 1)
        );
    }

    #[test]
    fn parts_grow_in_turn_and_never_many_at_once() {
        let mut map = Shards::default();
        let mut grown = Vec::new();
        let (from, to) = (200 * PARTS, 800 * PARTS);
        for key in 0..to {
            let part = map.part(&key);
            let before = map.parts[part].capacity();
            map.insert(key, ());
            if map.parts[part].capacity() > before && key >= from {
                grown.push(key);
            }
        }
        // The map doubled twice, and so did nearly every part.
        assert!(
            (PARTS * 19 / 10..PARTS * 21 / 10).contains(&grown.len()),
            "{} parts grew",
            grown.len()
        );
        // While it grows by a hundredth, one part in seventy has its turn; three times as many at
        // most, and hundreds of them when all have the same share.
        for first in &grown {
            let near = first..&(first + first / 100);
            let many = grown.iter().filter(|key| near.contains(key)).count();
            assert!(many < PARTS / 70 * 3, "{many} parts grew at {first}");
        }
    }

    /// Tells where it was dropped.
    struct Told(mpsc::SyncSender<Option<String>>);

    impl Drop for Told {
        fn drop(&mut self) {
            let here = std::thread::current().name().map(str::to_owned);
            let _ = self.0.send(here);
        }
    }

    #[test]
    fn many_entries_are_dropped_elsewhere_and_few_at_once() {
        let (told, dropped) = mpsc::sync_channel(2);
        let here = std::thread::current().name().map(str::to_owned);
        forget(Told(told.clone()), FEW - 1);
        assert_eq!(dropped.try_recv(), Ok(here), "before it returns");
        forget(Told(told), FEW);
        let there = dropped.recv_timeout(Duration::from_secs(30));
        assert_eq!(there, Ok(Some("florin-forget".to_owned())));
    }

    #[test]
    fn a_generation_ages_and_the_one_before_is_gone() {
        let (told, dropped) = mpsc::sync_channel(2);
        let mut young = vec![Told(told)];
        let mut old = Vec::new();
        age(&mut young, &mut old, Vec::len);
        assert_eq!((young.len(), old.len()), (0, 1));
        assert!(dropped.try_recv().is_err(), "it is still there");
        age(&mut young, &mut old, Vec::len);
        assert_eq!((young.len(), old.len()), (0, 0));
        assert!(dropped.try_recv().is_ok());
    }
}
