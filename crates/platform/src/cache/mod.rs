//! What several processes remember together, for as long as it helps: small values with a time
//! to live, shared rate limits, and the news that something was revoked.
//!
//! **Boundary.** Nothing here is the only place where something is known, and nothing here
//! decides a posting. [`Cache`] keeps bytes under a name; what they mean is the caller's
//! business. The default lies in the process; with a URL it is a Redis server.
//!
//! **Invariants.**
//! - A server that is away makes things slower or stricter, never wrong: values are missing,
//!   each process allows its share of a limit, and revocations are read from the store as ever.
//! - No call waits longer than [`CALL_TIMEOUT`]; while the server is known to be away none waits
//!   at all, since connecting is the keeper's work ([`Cache::run`]).
//! - A value may be as old as its time to live, at most [`TTL_MAX`], also after the server was
//!   away. What must not be old does not belong here.
//! - Every key has a time to live, and memory in the process is bounded.
//! - Names reach the server hashed: no address, user name or key text stands there.

mod limits;
mod link;
mod local;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use florin_base::{Clock, Secret};
use sha2::{Digest as _, Sha256};

use crate::http::health::{CheckFuture, ReadyCheck, Verdict};
use crate::http::limit::LimitStore;
use limits::SharedLimits;
use link::Link;
use local::LocalCache;
pub use signals::Signals;

/// Longest wait of a call.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(50);

/// Longest time to live.
pub const TTL_MAX: Duration = Duration::from_secs(300);

/// Largest value, in bytes; larger ones are not kept.
pub const VALUE_MAX: usize = 256 << 10;

/// Where the shared memory is.
#[derive(Clone, Debug)]
pub struct CacheSettings {
    /// `redis://user:password@host:port/db`, or `rediss://` with TLS, whose certificate is
    /// checked against the roots of the system (`SSL_CERT_FILE` names others).
    pub url: Secret<String>,
    /// Stands before every key, so that installations can share a server.
    pub prefix: String,
}

impl CacheSettings {
    /// What is sent crosses a network in the clear.
    ///
    /// # Errors
    /// [`CacheError::Url`].
    pub fn is_exposed(&self) -> Result<bool, CacheError> {
        Link::try_new(self).map(|link| link.is_exposed())
    }
}

/// A cache that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// The URL cannot be read. Never quotes it.
    #[error("the URL of the cache cannot be used: {0}")]
    Url(&'static str),
    /// The server does not answer, or refuses.
    #[error("the cache server does not answer: {0}")]
    Away(String),
}

/// What [`Cache::probe`] saw of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Its version.
    pub version: String,
    /// What it throws away when it is full (`maxmemory-policy`), if it says so.
    pub eviction: Option<String>,
    /// Time of one call.
    pub took: Duration,
}

/// The shared memory; cheap to clone.
#[derive(Clone)]
pub struct Cache(Store);

#[derive(Clone)]
enum Store {
    Local(Arc<LocalCache>),
    Redis(Arc<Link>),
}

impl Cache {
    /// Inside the process. The clock ends values.
    pub fn local(clock: Arc<dyn Clock>) -> Self {
        Self(Store::Local(Arc::new(LocalCache::new(clock))))
    }

    /// On a Redis server. Does not connect: [`Cache::run`] does.
    ///
    /// # Errors
    /// [`CacheError::Url`].
    pub fn redis(settings: &CacheSettings) -> Result<Self, CacheError> {
        Ok(Self(Store::Redis(Arc::new(Link::try_new(settings)?))))
    }

    /// Several processes see the same values.
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Store::Redis(_))
    }

    /// Keeps the connection to the server, and counts the processes that share it, for ever; the
    /// caller drops the future to stop. Without a server there is nothing to do.
    pub async fn run(self) {
        match &self.0 {
            Store::Redis(link) => link.keep().await,
            Store::Local(_) => std::future::pending().await,
        }
    }

    /// A value, if it is there and not past its time. `space` separates the users of the cache.
    pub async fn get(&self, space: &'static str, key: &str) -> Option<Bytes> {
        let name = name_of(space, key);
        let (found, away) = match &self.0 {
            Store::Local(local) => (local.get(&name), false),
            Store::Redis(link) => match link.get(&name).await {
                Ok(found) => (found, false),
                Err(_) => (None, true),
            },
        };
        let result = match (&found, away) {
            (Some(_), _) => "hit",
            (None, false) => "miss",
            (None, true) => "away",
        };
        metrics::counter!("cache_requests_total", "result" => result).increment(1);
        found
    }

    /// Keeps a value for a time, at most [`TTL_MAX`]. It may be gone sooner.
    pub async fn put(&self, space: &'static str, key: &str, value: Bytes, ttl: Duration) {
        if value.len() > VALUE_MAX || ttl.is_zero() {
            return;
        }
        let (name, ttl) = (name_of(space, key), ttl.min(TTL_MAX));
        match &self.0 {
            Store::Local(local) => local.put(name, value, ttl),
            // Not kept is as good as kept for a shorter time.
            Store::Redis(link) => drop(link.put(&name, &value, ttl).await),
        }
    }

    /// Drops a value. While the server is away it may show up again, until its time ends.
    pub async fn forget(&self, space: &'static str, key: &str) {
        let name = name_of(space, key);
        match &self.0 {
            Store::Local(local) => local.forget(&name),
            Store::Redis(link) => drop(link.forget(&name).await),
        }
    }

    /// Where processes share allowances; `None` where each keeps its own because it is alone.
    /// `max_keys` bounds what is remembered for the time when the server is away. Requests that
    /// pass two processes are counted in two scopes, once in each.
    pub fn limits(&self, scope: &'static str, max_keys: usize) -> Option<Arc<dyn LimitStore>> {
        match &self.0 {
            Store::Local(_) => None,
            Store::Redis(link) => {
                let shared = SharedLimits::new(Arc::clone(link), scope, max_keys);
                Some(Arc::new(shared))
            }
        }
    }

    /// News on a topic among the processes.
    pub fn signals(&self, topic: &'static str) -> Signals {
        match &self.0 {
            Store::Local(_) => Signals::none(),
            Store::Redis(link) => Signals::over(Arc::clone(link), topic),
        }
    }

    /// The check `cache`, a helper.
    pub fn check(&self) -> Arc<dyn ReadyCheck> {
        Arc::new(Check(self.clone()))
    }

    /// Connects anew and looks at the server, for people. `None` without one.
    ///
    /// # Errors
    /// [`CacheError::Away`] with what is wrong.
    pub async fn probe(&self) -> Option<Result<Probed, CacheError>> {
        match &self.0 {
            Store::Local(_) => None,
            Store::Redis(link) => Some(link.probe().await),
        }
    }
}

struct Check(Cache);

impl ReadyCheck for Check {
    fn name(&self) -> &str {
        "cache"
    }

    fn needed(&self) -> bool {
        false
    }

    fn check(&self) -> CheckFuture<'_> {
        let verdict = match &self.0.0 {
            Store::Redis(link) if !link.is_up() => Verdict::degraded(
                format!(
                    "the cache server does not answer; this process allows 1/{} of each rate limit, and reads revocations from the tables",
                    link.replicas()
                ),
                "look at the server of cache.url; it is found again by itself",
            ),
            _ => Verdict::ok(),
        };
        Box::pin(std::future::ready(verdict))
    }
}

/// The name under which a key is kept: bounded, and telling nobody what it was.
fn name_of(space: &str, key: &str) -> String {
    let digest = Sha256::digest(key);
    format!("{space}:{}", hex::encode(&digest[..16]))
}

#[cfg(test)]
mod tests;
