//! Rate limits of single things beside those of the kit (contract G): so many calls of a kind, by
//! one buyer, organisation, device or address, in a time.
//!
//! Shared over Redis where the installation has it, kept in the process otherwise. A limit is
//! changed by `ticketing.limits.<name>`; 0 lifts it.

use std::sync::Arc;
use std::time::Duration;

use florin_base::Clock;
use florin_platform::cache::Cache;
use florin_platform::http::limit::{Decision, LimitStore, LocalLimits, Quota};
use florin_platform::http::problem::{Problem, Status};
use sha2::{Digest as _, Sha256};

use crate::settings::Settings;

/// Keys that are remembered in this process.
const KEYS_MAX: usize = 1 << 18;

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// A limit: its name in `ticketing.limits`, calls, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Name, as in the settings.
    pub name: &'static str,
    /// Calls unless configured.
    pub calls: u32,
    /// In so many seconds.
    pub seconds: u64,
}

const fn limit(name: &'static str, calls: u32, seconds: u64) -> Limit {
    Limit {
        name,
        calls,
        seconds,
    }
}

/// Reserve, per buyer key.
pub const RESERVE: Limit = limit("reserve", 10, MINUTE);
/// Reserve, per address.
pub const RESERVE_ADDRESS: Limit = limit("reserve_address", 300, MINUTE);
/// Quote, per address.
pub const QUOTE: Limit = limit("quote", 60, MINUTE);
/// Search and event pages, per address.
pub const PAGES: Limit = limit("pages", 1_000, HOUR);
/// Track, per visitor.
pub const TRACK: Limit = limit("track", 20, MINUTE);
/// Checkout, per order.
pub const CHECKOUT: Limit = limit("checkout", 10, MINUTE);
/// Refunds, per person.
pub const REFUND: Limit = limit("refund", 50, HOUR);
/// Transfers, per person.
pub const TRANSFER: Limit = limit("transfer", 5, HOUR);
/// New events, per organisation.
pub const EVENT_CREATE: Limit = limit("event_create", 10, HOUR);
/// Changes of events, types, pools and codes, per organisation.
pub const EVENT_UPDATE: Limit = limit("event_update", 100, HOUR);
/// Images, per organisation.
pub const IMAGE: Limit = limit("image", 60, HOUR);
/// Check-ins, per device.
pub const CHECK_IN: Limit = limit("check_in", 1_000, MINUTE);
/// Batches of check-ins, per device.
pub const CHECK_IN_BATCH: Limit = limit("check_in_batch", 30, MINUTE);
/// Failed guesses of access tokens, order numbers and promo codes, per address.
pub const GUESS: Limit = limit("guess", 20, HOUR);
/// Analytics, per organisation.
pub const ANALYTICS: Limit = limit("analytics", 1_000, HOUR);
/// Exports, per organisation.
pub const EXPORT: Limit = limit("export", 10, DAY);
/// Requests for payouts, per organisation.
pub const PAYOUT: Limit = limit("payout", 10, DAY);
/// Webhook tests and replays, per organisation.
pub const WEBHOOK: Limit = limit("webhook", 60, HOUR);

/// Every limit.
pub const ALL: [Limit; 18] = [
    RESERVE,
    RESERVE_ADDRESS,
    QUOTE,
    PAGES,
    TRACK,
    CHECKOUT,
    REFUND,
    TRANSFER,
    EVENT_CREATE,
    EVENT_UPDATE,
    IMAGE,
    CHECK_IN,
    CHECK_IN_BATCH,
    GUESS,
    ANALYTICS,
    EXPORT,
    PAYOUT,
    WEBHOOK,
];

/// The limits of the room.
pub struct RoomLimits {
    local: LocalLimits,
    shared: Option<Arc<dyn LimitStore>>,
    clock: Arc<dyn Clock>,
    /// Calls that differ from the default.
    configured: std::collections::BTreeMap<&'static str, u32>,
}

impl RoomLimits {
    /// As configured, over the shared memory if there is one.
    pub fn new(settings: &Settings, cache: &Cache, clock: Arc<dyn Clock>) -> Self {
        Self {
            local: LocalLimits::new(KEYS_MAX),
            shared: cache.limits("ticketing", KEYS_MAX),
            clock,
            configured: settings.limits.clone(),
        }
    }

    /// Takes one call from the allowance of `who`.
    ///
    /// # Errors
    /// 429 `rate_limited` with `Retry-After` and `RateLimit-*`.
    pub async fn take(&self, limit: Limit, who: &str) -> Result<(), Problem> {
        match self.hit(limit, who).await {
            Some(decision) if !decision.allowed => Err(refused(limit, &decision)),
            _ => Ok(()),
        }
    }

    async fn hit(&self, limit: Limit, who: &str) -> Option<Decision> {
        let configured = self.configured.get(limit.name);
        let calls = configured.copied().unwrap_or(limit.calls);
        if calls == 0 {
            return None;
        }
        let quota = Quota {
            limit: calls,
            period: Duration::from_secs(limit.seconds),
        };
        // Keys leave the process: they must not hold an address or a buyer.
        let digest = Sha256::digest(format!("{}\0{who}", limit.name));
        if let Some(shared) = &self.shared {
            return Some(shared.hit(&hex::encode(&digest[..16]), quota).await);
        }
        let mut key = [0; 8];
        key.copy_from_slice(&digest[..8]);
        let now = u64::try_from(self.clock.boot_micros()).unwrap_or(0);
        let key = u64::from_le_bytes(key);
        Some(self.local.hit(key, quota, Duration::from_micros(now)))
    }
}

fn refused(limit: Limit, decision: &Decision) -> Problem {
    let number = |duration: Duration| {
        http::HeaderValue::from(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
    };
    Problem::new(
        Status::TooManyRequests,
        "rate_limited",
        "Too many calls of this kind; `Retry-After` says when to come back.",
    )
    .with("limit", limit.name)
    .with_retry_after(decision.retry_after)
    .with_header(
        http::HeaderName::from_static("ratelimit-limit"),
        decision.limit.into(),
    )
    .with_header(
        http::HeaderName::from_static("ratelimit-remaining"),
        decision.remaining.into(),
    )
    .with_header(
        http::HeaderName::from_static("ratelimit-reset"),
        number(decision.reset),
    )
}
