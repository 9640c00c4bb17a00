//! Rate limits that all processes of an installation share.
//!
//! The rule is that of [`LocalLimits`], one timestamp per key, judged by the server in one step
//! and by its clock. While the server is away each process allows its share: together they allow
//! no more in the long run than the limit says. Every request is counted in the share also while
//! the server is there, so that its loss gives nobody a second allowance.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use redis::Script;

use super::link::Link;
use super::name_of;
use crate::http::limit::{Decision, LimitFuture, LimitStore, LocalLimits, Quota};

/// Answers allowed (0 or 1), what is left, and in microseconds: until the allowance is whole
/// again, and until one more request is allowed. An entry lives until its allowance is whole.
static HIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local t = redis.call('TIME')
         local now = t[1] * 1000000 + t[2]
         local limit, step = tonumber(ARGV[1]), tonumber(ARGV[2])
         local whole = limit * step
         local full_at = tonumber(redis.call('GET', KEYS[1]) or '0')
         full_at = math.min(math.max(full_at, now), now + whole)
         local used = full_at + step - now
         if used > whole then
             return {0, 0, full_at - now, used - whole}
         end
         redis.call('SET', KEYS[1], string.format('%.0f', full_at + step),
             'PX', math.ceil(used / 1000))
         return {1, math.floor((whole - used) / step), used, 0}",
    )
});

pub(super) struct SharedLimits {
    link: Arc<Link>,
    scope: &'static str,
    local: LocalLimits,
    start: Instant,
}

impl SharedLimits {
    pub fn new(link: Arc<Link>, scope: &'static str, max_keys: usize) -> Self {
        Self {
            link,
            scope,
            local: LocalLimits::new(max_keys),
            start: Instant::now(),
        }
    }

    async fn shared(&self, key: &str, quota: Quota) -> Option<Decision> {
        let limit = quota.limit.max(1);
        let period = u64::try_from(quota.period.as_micros()).unwrap_or(u64::MAX / 2);
        let step = (period / u64::from(limit)).max(1);
        let mut hit = HIT.key(self.link.key(&name_of(self.scope, key)));
        hit.arg(limit).arg(step);
        let answer = self
            .link
            .call(async |mut connection| hit.invoke_async(&mut connection).await);
        let (allowed, remaining, reset, retry_after): (u8, u32, u64, u64) = answer.await.ok()?;
        Some(Decision {
            allowed: allowed == 1,
            limit,
            remaining,
            reset: Duration::from_micros(reset),
            retry_after: Duration::from_micros(retry_after),
        })
    }
}

impl LimitStore for SharedLimits {
    fn hit<'a>(&'a self, key: &'a str, quota: Quota) -> LimitFuture<'a> {
        Box::pin(async move {
            let share = share_of(quota, self.link.replicas());
            let name = self.local.key(0, key.as_bytes());
            let alone = self.local.hit(name, share, self.start.elapsed());
            self.shared(key, quota).await.unwrap_or(alone)
        })
    }
}

/// What one of several processes may allow by itself. A limit that cannot be split is given out
/// more slowly instead: one request at a time.
pub(super) fn share_of(quota: Quota, replicas: u32) -> Quota {
    let (limit, replicas) = (quota.limit.max(1), replicas.max(1));
    match limit / replicas {
        0 => Quota {
            limit: 1,
            period: quota.period * replicas / limit,
        },
        limit => Quota {
            limit,
            period: quota.period,
        },
    }
}
