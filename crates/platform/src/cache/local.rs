//! Values inside the process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use florin_base::Clock;
use parking_lot::Mutex;

/// Most values.
pub(super) const ENTRIES_MAX: usize = 10_000;
/// Most bytes of all values together.
pub(super) const BYTES_MAX: usize = 64 << 20;

struct Entry {
    value: Bytes,
    /// Boot-time clock in microseconds.
    until: i64,
}

#[derive(Default)]
struct Held {
    entries: HashMap<String, Entry>,
    bytes: usize,
}

/// A bounded map. When it is full, what is past its time goes first, then everything: that costs
/// time only.
pub(super) struct LocalCache {
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

impl LocalCache {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            held: Mutex::default(),
        }
    }

    pub fn get(&self, name: &str) -> Option<Bytes> {
        let now = self.clock.boot_micros();
        let held = self.held.lock();
        let entry = held.entries.get(name).filter(|entry| now < entry.until)?;
        Some(entry.value.clone())
    }

    pub fn put(&self, name: String, value: Bytes, ttl: Duration) {
        let now = self.clock.boot_micros();
        let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
        let mut held = self.held.lock();
        held.remove(&name);
        let fits =
            |held: &Held| held.entries.len() < ENTRIES_MAX && held.bytes + value.len() <= BYTES_MAX;
        if !fits(&held) {
            held.entries.retain(|_, entry| now < entry.until);
            held.bytes = held.entries.values().map(|entry| entry.value.len()).sum();
        }
        if !fits(&held) {
            *held = Held::default();
        }
        held.bytes += value.len();
        let until = now.saturating_add(ttl);
        held.entries.insert(name, Entry { value, until });
    }

    pub fn forget(&self, name: &str) {
        self.held.lock().remove(name);
    }

    #[cfg(test)]
    pub fn size(&self) -> (usize, usize) {
        let held = self.held.lock();
        (held.entries.len(), held.bytes)
    }
}

impl Held {
    fn remove(&mut self, name: &str) {
        if let Some(old) = self.entries.remove(name) {
            self.bytes -= old.value.len();
        }
    }
}
