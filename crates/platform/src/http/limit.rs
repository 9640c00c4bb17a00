//! Rate limits per credential and per address.
//!
//! Limits follow GCRA, the leaky bucket as one timestamp per key. Answers under a limit carry
//! `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds until the allowance
//! is whole again), one header each, as in the IETF draft up to revision 07: clients in the
//! field read this form. A caller without any limit gets none of them.
//!
//! Invariants: memory is bounded (`LimitConfig::max_keys`); when full, allowances that are
//! whole again go first, then the shard is cleared, which forgives and never refuses wrongly.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use super::auth::Principal;
use super::problem::{Problem, Status};

const SHARDS: usize = 16;

/// How many requests in how long; the whole allowance may be used in one burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests, at least 1.
    pub limit: u32,
    /// Time over which the allowance comes back.
    pub period: Duration,
}

impl Quota {
    /// Requests per second.
    pub const fn per_second(limit: u32) -> Self {
        Self {
            limit,
            period: Duration::from_secs(1),
        }
    }

    /// Requests per minute.
    pub const fn per_minute(limit: u32) -> Self {
        Self {
            limit,
            period: Duration::from_secs(60),
        }
    }
}

/// Which allowance a route uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitClass {
    /// No limit: health, metrics.
    None,
    /// Reads, per credential.
    Read,
    /// Writes, per credential.
    Write,
    /// Log-in, per address; per user through [`Limits::login`].
    Token,
    /// An allowance of its own per credential, of this name in [`LimitConfig::named`]. It holds
    /// for every role; a name that is not configured is a write.
    Named(&'static str),
}

/// Allowances of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleLimit {
    /// The role's name.
    pub role: String,
    /// Reads; `None` means without limit.
    pub read: Option<Quota>,
    /// Writes; `None` means without limit.
    pub write: Option<Quota>,
}

/// Configuration of the limits; the defaults are those of the ledger-wallets contract,
/// section G.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitConfig {
    /// Reads per credential.
    pub read: Option<Quota>,
    /// Writes per credential.
    pub write: Option<Quota>,
    /// Log-ins per user name.
    pub token_user: Option<Quota>,
    /// Log-ins per address.
    pub token_address: Option<Quota>,
    /// All requests per address, unless the caller's role is without limits.
    pub address: Option<Quota>,
    /// Roles with allowances of their own. Of several roles the widest counts.
    pub roles: Vec<RoleLimit>,
    /// Allowances of [`LimitClass::Named`]; `None` means without limit.
    pub named: Vec<(&'static str, Option<Quota>)>,
    /// Most keys remembered.
    pub max_keys: usize,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            read: Some(Quota::per_second(500)),
            write: Some(Quota::per_second(100)),
            token_user: Some(Quota::per_minute(5)),
            token_address: Some(Quota::per_minute(20)),
            address: Some(Quota::per_second(2000)),
            roles: vec![RoleLimit {
                role: "service".to_string(),
                read: None,
                write: None,
            }],
            named: Vec::new(),
            max_keys: 1 << 20,
        }
    }
}

/// What one request found of its allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may go on.
    pub allowed: bool,
    /// The whole allowance.
    pub limit: u32,
    /// What is left of it.
    pub remaining: u32,
    /// Until the allowance is whole again.
    pub reset: Duration,
    /// Until one more request is allowed; zero when this one is.
    pub retry_after: Duration,
}

/// A pending answer of a [`LimitStore`].
pub type LimitFuture<'a> = Pin<Box<dyn Future<Output = Decision> + Send + 'a>>;

/// Where several processes share allowances. A store that cannot be reached must neither take the
/// service down nor lift the limits: each process then allows its share.
pub trait LimitStore: Send + Sync + 'static {
    /// Takes one request from the allowance of `key`. Keys are the same in every process and
    /// hold no secret.
    fn hit<'a>(&'a self, key: &'a str, quota: Quota) -> LimitFuture<'a>;
}

/// Allowances kept in this process.
pub struct LocalLimits {
    hasher: RandomState,
    shards: Vec<Mutex<hashbrown::HashMap<u64, u64>>>,
    max_per_shard: usize,
}

impl LocalLimits {
    /// Remembers at most `max_keys` keys.
    pub fn new(max_keys: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            max_per_shard: (max_keys / SHARDS).max(1),
        }
    }

    /// Takes one request at `now`, the time since any fixed moment.
    pub fn hit(&self, key: u64, quota: Quota, now: Duration) -> Decision {
        let now = nanos(now);
        let period = nanos(quota.period).max(1);
        let limit = quota.limit.max(1);
        let step = (period / u64::from(limit)).max(1);
        let mut shard = self.shards[key as usize % SHARDS].lock();
        let full_at = shard.get(&key).copied().unwrap_or(0).max(now);
        let next = full_at + step;
        let used = next - now;
        if used > step * u64::from(limit) {
            return Decision {
                allowed: false,
                limit,
                remaining: 0,
                reset: Duration::from_nanos(full_at - now),
                retry_after: Duration::from_nanos(used - step * u64::from(limit)),
            };
        }
        if shard.len() >= self.max_per_shard && !shard.contains_key(&key) {
            shard.retain(|_, full_at| *full_at > now);
            if shard.len() >= self.max_per_shard {
                shard.clear();
            }
        }
        shard.insert(key, next);
        Decision {
            allowed: true,
            limit,
            remaining: u32::try_from((step * u64::from(limit) - used) / step).unwrap_or(0),
            reset: Duration::from_nanos(used),
            retry_after: Duration::ZERO,
        }
    }

    /// The key of a class and a name.
    pub(crate) fn key(&self, class: u8, name: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(class);
        hasher.write(name);
        hasher.finish()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

/// The limits of a server; shared between the kit and the log-in route.
pub struct Limits {
    config: LimitConfig,
    local: LocalLimits,
    shared: Option<Arc<dyn LimitStore>>,
    start: Instant,
}

impl Limits {
    /// Limits kept in this process.
    pub fn new(config: LimitConfig) -> Self {
        Self {
            local: LocalLimits::new(config.max_keys),
            config,
            shared: None,
            start: Instant::now(),
        }
    }

    /// Keeps allowances in a shared store instead.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn LimitStore>) -> Self {
        self.shared = Some(store);
        self
    }

    /// No limits at all, for tests.
    pub fn unlimited() -> Self {
        Self::new(LimitConfig {
            read: None,
            write: None,
            token_user: None,
            token_address: None,
            address: None,
            roles: Vec::new(),
            named: Vec::new(),
            max_keys: SHARDS,
        })
    }

    /// The check of one log-in attempt for a user name, beside the one per address that the
    /// route's class makes. Error: 429 `rate_limited`.
    pub async fn login(&self, user: &str) -> Result<(), Problem> {
        match self.config.token_user {
            Some(quota) => verdict(self.hit(Kind::Login, user, quota).await).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The check of a request whose caller is known. Error: 429 `rate_limited`.
    pub(super) async fn caller(
        &self,
        class: LimitClass,
        principal: &Principal,
        address: IpAddr,
    ) -> Result<Option<Decision>, Problem> {
        let named = self.named(class);
        let quota = match self.quota_of(class, principal) {
            Allowance::Unlimited if named.is_none() => return Ok(None),
            Allowance::Unlimited => None,
            Allowance::Quota(quota) => {
                if let Some(quota) = self.config.address {
                    verdict(self.hit_address(Kind::Address, address, quota).await)?;
                }
                quota
            }
        };
        if let Some((name, quota)) = named {
            let Some(quota) = quota else { return Ok(None) };
            let name = format!("{name}:{}", principal.credential);
            return verdict(self.hit(Kind::Named, &name, quota).await).map(Some);
        }
        match quota {
            Some(quota) => {
                let kind = match class {
                    LimitClass::Write | LimitClass::Named(_) => Kind::Write,
                    _ => Kind::Read,
                };
                verdict(self.hit(kind, &principal.credential, quota).await).map(Some)
            }
            None => Ok(None),
        }
    }

    fn named(&self, class: LimitClass) -> Option<(&'static str, Option<Quota>)> {
        let LimitClass::Named(wanted) = class else {
            return None;
        };
        let mut all = self.config.named.iter();
        all.find(|(name, _)| *name == wanted).copied()
    }

    /// The check of a request without a known caller: public routes and failed
    /// authentications. Error: 429 `rate_limited`.
    pub(super) async fn anonymous(
        &self,
        class: LimitClass,
        address: IpAddr,
    ) -> Result<Option<Decision>, Problem> {
        let (kind, quota) = match class {
            LimitClass::None => return Ok(None),
            LimitClass::Token => (Kind::TokenAddress, self.config.token_address),
            LimitClass::Read | LimitClass::Write | LimitClass::Named(_) => {
                (Kind::Address, self.config.address)
            }
        };
        match quota {
            Some(quota) => verdict(self.hit_address(kind, address, quota).await).map(Some),
            None => Ok(None),
        }
    }

    fn quota_of(&self, class: LimitClass, principal: &Principal) -> Allowance {
        let pick = |role: &RoleLimit| match class {
            LimitClass::Write | LimitClass::Named(_) => role.write,
            _ => role.read,
        };
        if class == LimitClass::None {
            return Allowance::Unlimited;
        }
        let mut widest: Option<Quota> = None;
        for role in &self.config.roles {
            if !principal.has_role(&role.role) {
                continue;
            }
            match pick(role) {
                None => return Allowance::Unlimited,
                Some(quota) if widest.is_none_or(|known| rate(quota) > rate(known)) => {
                    widest = Some(quota);
                }
                Some(_) => {}
            }
        }
        Allowance::Quota(widest.or(match class {
            LimitClass::Write | LimitClass::Named(_) => self.config.write,
            _ => self.config.read,
        }))
    }

    async fn hit_address(&self, kind: Kind, address: IpAddr, quota: Quota) -> Decision {
        if self.shared.is_some() {
            return self
                .hit(kind, &subscriber(address).to_string(), quota)
                .await;
        }
        let name = match subscriber(address) {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let key = self.local.key(kind as u8, &name);
        self.local.hit(key, quota, self.start.elapsed())
    }

    async fn hit(&self, kind: Kind, name: &str, quota: Quota) -> Decision {
        match &self.shared {
            Some(store) => {
                let key = format!("{}:{name}", kind.as_str());
                store.hit(&key, quota).await
            }
            None => {
                let key = self.local.key(kind as u8, name.as_bytes());
                self.local.hit(key, quota, self.start.elapsed())
            }
        }
    }
}

enum Allowance {
    Unlimited,
    Quota(Option<Quota>),
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
    Login,
    Address,
    TokenAddress,
    Named,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Login => "login",
            Self::Address => "address",
            Self::TokenAddress => "token-address",
            Self::Named => "named",
        }
    }
}

/// Requests per 1000 s, to compare quotas of different periods.
fn rate(quota: Quota) -> u128 {
    u128::from(quota.limit) * 1_000_000_000_000 / quota.period.as_nanos().max(1)
}

/// One IPv6 subscriber has a whole /64, so that its addresses share an allowance.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

fn verdict(decision: Decision) -> Result<Decision, Problem> {
    if decision.allowed {
        return Ok(decision);
    }
    let problem = Problem::new(
        Status::TooManyRequests,
        "rate_limited",
        "Too many requests; `Retry-After` says when to come back.",
    )
    .with_retry_after(decision.retry_after)
    .with_header(RATE_LIMIT, number(decision.limit))
    .with_header(RATE_REMAINING, number(0))
    .with_header(RATE_RESET, seconds(decision.reset));
    Err(problem)
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

impl Decision {
    /// Sets the `RateLimit-*` headers.
    pub fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(RATE_LIMIT, number(self.limit));
        headers.insert(RATE_REMAINING, number(self.remaining));
        headers.insert(RATE_RESET, seconds(self.reset));
    }
}

fn seconds(duration: Duration) -> HeaderValue {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    number(u32::try_from(whole).unwrap_or(u32::MAX))
}

/// Small numbers come from a table, which spares an allocation for each header.
fn number(value: u32) -> HeaderValue {
    static SMALL: LazyLock<Vec<HeaderValue>> =
        LazyLock::new(|| (0..=1000_u32).map(HeaderValue::from).collect());
    match SMALL.get(value as usize) {
        Some(known) => known.clone(),
        None => HeaderValue::from(value),
    }
}

#[cfg(test)]
mod tests;
