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

/// The part of 32 evenly spread bits. With x from 0 to 1 it is x + 11/32 · x · (1 - x), close to
/// log2(1 + x), which climbs about twice as fast at 0 as at 1: early parts get half of what late
/// ones get.
const fn place(x: u64) -> usize {
    const ONE: u64 = 1 << 32;
    let bent = x + (((x * (ONE - x)) >> 32) * 11) / 32;
    ((bent * PARTS as u64) >> 32) as usize
}

impl<K: Hash + Eq, V> Shards<K, V> {
    /// The part of a key; its own hash is another one, with the part's own seed.
    fn part(&self, key: &K) -> usize {
        place(self.hasher.hash_one(key) >> 32)
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
        // The first of the 32 bits' numbers that falls into each part.
        let begins = |part: usize| {
            let (mut low, mut high) = (0, 1 << 32);
            while low < high {
                let middle = u64::midpoint(low, high);
                match place(middle) < part {
                    true => low = middle + 1,
                    false => high = middle,
                }
            }
            low
        };
        assert_eq!((place(0), place((1 << 32) - 1)), (0, PARTS - 1));
        let edges: Vec<u64> = (0..PARTS).map(begins).chain([1 << 32]).collect();
        // While the map doubles each part doubles once; this says when, from 0 to 1.
        let share = |pair: &[u64]| (pair[1] - pair[0]) as f64;
        let turns = edges
            .windows(2)
            .map(|pair| 1.0 - share(pair).log2().fract());
        let turns: Vec<f64> = turns.collect();
        let hundredth = 1.01_f64.log2();
        for first in &turns {
            let near = |turn: &&f64| (**turn - first).rem_euclid(1.0) < hundredth;
            let many = turns.iter().filter(near).count();
            // Evenly it would be one part in seventy; a little more where the ends meet.
            assert!(many <= PARTS / 30, "{many} parts grow at {first}");
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
