//! Credentials that were verified a moment ago: a signature costs fifty times a look into a map.
//!
//! **Invariants.** Bounded ([`MAX_ENTRIES`]). An entry is never used past its `until`, and what
//! was cut off since it was made is noticed before its next use (see [`super::revocation`]).
//! Credentials are kept as SHA-256 only.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};

use crate::http::auth::Principal;

/// Most credentials remembered.
pub const MAX_ENTRIES: usize = 65_536;

const SHARDS: usize = 16;

/// Name of a credential in the cache.
pub type Fingerprint = [u8; 32];

/// The fingerprint of a credential's text.
pub fn fingerprint(credential: &[u8]) -> Fingerprint {
    Sha256::digest(credential).into()
}

/// What makes a credential fall when it is cut off: each scope with the epoch it was made in.
pub type Scopes = Vec<(Box<str>, i64)>;

/// A verified credential.
pub struct Verified {
    /// Whom it names.
    pub principal: Arc<Principal>,
    /// Wall clock in microseconds from which it must be verified anew.
    pub until: i64,
    /// What can cut it off.
    pub scopes: Scopes,
    /// Number of the last cut it was compared with.
    pub seen: AtomicU64,
}

/// The cache.
pub struct Cache {
    shards: [RwLock<HashMap<Fingerprint, Arc<Verified>>>; SHARDS],
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
        }
    }
}

impl Cache {
    /// The entry, if it is not past its time.
    pub fn get(&self, of: &Fingerprint, now: i64) -> Option<Arc<Verified>> {
        let shard = self.shard(of).read();
        shard.get(of).filter(|entry| now < entry.until).cloned()
    }

    /// Remembers a credential. `now` lets a full shard drop what is past its time first.
    pub fn put(&self, of: Fingerprint, entry: Verified, now: i64) {
        const PER_SHARD: usize = MAX_ENTRIES / SHARDS;
        let mut shard = self.shard(&of).write();
        if shard.len() >= PER_SHARD && !shard.contains_key(&of) {
            shard.retain(|_, entry| now < entry.until);
            if shard.len() >= PER_SHARD {
                // All of them are good; half must be verified again.
                let mut keep = false;
                shard.retain(|_, _| {
                    keep = !keep;
                    keep
                });
            }
        }
        shard.insert(of, Arc::new(entry));
    }

    /// Forgets one credential.
    pub fn remove(&self, of: &Fingerprint) {
        self.shard(of).write().remove(of);
    }

    /// Entries now.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    fn shard(&self, of: &Fingerprint) -> &RwLock<HashMap<Fingerprint, Arc<Verified>>> {
        &self.shards[usize::from(of[0]) % SHARDS]
    }
}

impl Verified {
    /// An entry compared with all cuts up to number `seen`.
    pub fn new(principal: Arc<Principal>, until: i64, scopes: Scopes, seen: u64) -> Self {
        Self {
            principal,
            until,
            scopes,
            seen: AtomicU64::new(seen),
        }
    }

    /// The number of the last cut this was compared with.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::{CredentialKind, PermissionSet};

    fn entry(until: i64) -> Verified {
        let principal = Principal {
            accounts: None,
            subject: "u".into(),
            owner: "u".into(),
            kind: CredentialKind::Token,
            credential: "user:u".into(),
            token_id: None,
            roles: Vec::new().into(),
            permissions: Arc::new(PermissionSet::default()),
        };
        Verified::new(Arc::new(principal), until, Vec::new(), 0)
    }

    #[test]
    fn entries_end_at_their_time() {
        let cache = Cache::default();
        let key = fingerprint(b"token");
        cache.put(key, entry(10), 0);
        assert!(cache.get(&key, 9).is_some());
        assert!(cache.get(&key, 10).is_none());
        cache.remove(&key);
        assert!(cache.get(&key, 9).is_none());
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = Cache::default();
        for n in 0..(MAX_ENTRIES as u32 + 20_000) {
            cache.put(fingerprint(&n.to_le_bytes()), entry(10), 0);
        }
        assert!(cache.len() <= MAX_ENTRIES, "{}", cache.len());
        assert!(cache.len() >= MAX_ENTRIES / 4);
        let newest = fingerprint(&(MAX_ENTRIES as u32 + 19_999).to_le_bytes());
        assert!(cache.get(&newest, 9).is_some());
    }
}
