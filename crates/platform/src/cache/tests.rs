//! The promises of [`super`]: in the process, and with a real server that comes and goes.

use std::time::Instant;

use florin_base::clock::ManualClock;

use super::*;
use crate::http::health::{Health, Readiness};
use crate::http::limit::{LocalLimits, Quota};
use crate::testing::redis::TestRedis;

fn settings(url: &str) -> CacheSettings {
    CacheSettings {
        url: Secret::new(url.to_owned()),
        prefix: "test".to_owned(),
    }
}

/// A process on the server, with its keeper.
struct Process {
    cache: Cache,
    keeper: tokio::task::JoinHandle<()>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Process {
    fn start(server: &TestRedis) -> Self {
        let cache = Cache::redis(&settings(&server.url())).unwrap();
        let keeper = tokio::spawn(cache.clone().run());
        Self { cache, keeper }
    }

    fn link(&self) -> &Link {
        match &self.cache.0 {
            Store::Redis(link) => link,
            Store::Local(_) => unreachable!("a process on a server"),
        }
    }

    /// Waits until the keeper has seen the server as `up`.
    async fn sees(&self, up: bool) {
        let seen = async {
            while self.link().is_up() != up {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(20), seen).await;
        seen.unwrap_or_else(|_| panic!("the keeper never saw the server {up}"));
    }

    /// Waits until the keeper has counted so many processes.
    async fn counts(&self, replicas: u32) {
        let counted = async {
            while self.link().replicas() != replicas {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(20), counted).await;
        counted.unwrap_or_else(|_| panic!("never counted {replicas}"));
    }
}

async fn running() -> Option<(TestRedis, Process)> {
    let server = TestRedis::start()?;
    let process = Process::start(&server);
    process.sees(true).await;
    Some((server, process))
}

fn value(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn values_in_the_process_end_and_are_bounded() {
    let clock = Arc::new(ManualClock::new(0));
    let cache = Cache::local(clock.clone());
    cache.put("a", "k", value("1"), MINUTE).await;
    assert_eq!(cache.get("a", "k").await, Some(value("1")));
    assert_eq!(cache.get("b", "k").await, None, "spaces are apart");
    clock.advance(59_999_999);
    assert!(cache.get("a", "k").await.is_some());
    clock.advance(1);
    assert_eq!(cache.get("a", "k").await, None);
    cache.put("a", "k", value("2"), MINUTE * 60).await;
    clock.advance(i64::try_from(TTL_MAX.as_micros()).unwrap());
    assert_eq!(cache.get("a", "k").await, None, "no value lives longer");
    cache.put("a", "k", value("3"), MINUTE).await;
    cache.forget("a", "k").await;
    assert_eq!(cache.get("a", "k").await, None);
    let Store::Local(local) = &cache.0 else {
        unreachable!("in the process")
    };
    for n in 0..local::ENTRIES_MAX + 10 {
        cache.put("a", &n.to_string(), value("x"), MINUTE).await;
    }
    let (entries, bytes) = local.size();
    assert!(
        entries <= local::ENTRIES_MAX && bytes == entries,
        "{entries} {bytes}"
    );
    let large = Bytes::from(vec![0; VALUE_MAX]);
    for n in 0..300 {
        cache.put("b", &n.to_string(), large.clone(), MINUTE).await;
        assert!(local.size().1 <= local::BYTES_MAX);
    }
    cache
        .put("c", "k", Bytes::from(vec![0; VALUE_MAX + 1]), MINUTE)
        .await;
    assert_eq!(cache.get("c", "k").await, None, "too large to keep");
}

#[test]
fn urls_are_checked_and_never_quoted() {
    for wrong in ["http://:hunter2@h", "hunter2", "redis://:hunter2@h:port"] {
        let error = Cache::redis(&settings(wrong)).err().expect("refused");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    for (url, exposed) in [
        ("redis://10.0.0.1", true),
        ("rediss://10.0.0.1", false),
        ("redis://localhost:1/2", false),
    ] {
        assert_eq!(settings(url).is_exposed(), Ok(exposed), "{url}");
    }
    let odd = CacheSettings {
        prefix: "a b".to_owned(),
        ..settings("redis://h")
    };
    assert!(Cache::redis(&odd).is_err());
    assert!(!format!("{:?}", settings("redis://:hunter2@h")).contains("hunter2"));
}

#[test]
fn shares_add_up_to_no_more_than_the_limit() {
    let per_second = |quota: Quota| f64::from(quota.limit) / quota.period.as_secs_f64();
    for limit in [1, 2, 5, 7, 100, 2_000] {
        for replicas in [1, 2, 3, 8, 50] {
            for whole in [Quota::per_second(limit), Quota::per_minute(limit)] {
                let share = limits::share_of(whole, replicas);
                assert!(share.limit >= 1);
                let together = per_second(share) * f64::from(replicas);
                assert!(
                    together <= per_second(whole) * 1.000_001,
                    "{limit} by {replicas}: {share:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn processes_share_values_on_redis() {
    let Some((server, one)) = running().await else {
        return;
    };
    let other = Process::start(&server);
    other.sees(true).await;
    one.cache.put("a", "k", value("1"), MINUTE).await;
    assert_eq!(other.cache.get("a", "k").await, Some(value("1")));
    other.cache.forget("a", "k").await;
    assert_eq!(one.cache.get("a", "k").await, None);
    one.cache
        .put("a", "k", value("2"), Duration::from_millis(30))
        .await;
    let gone = async {
        while one.cache.get("a", "k").await.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(MINUTE, gone)
        .await
        .expect("its time ends");
}

#[tokio::test]
async fn a_limit_is_one_for_all_processes_on_redis() {
    let Some((server, one)) = running().await else {
        return;
    };
    let other = Process::start(&server);
    other.sees(true).await;
    let stores = [&one, &other].map(|process| process.cache.limits("limit", 1_000).unwrap());
    // So slow that nothing comes back while the test runs.
    let quota = Quota {
        limit: 10,
        period: Duration::from_secs(100_000),
    };
    let mut hits = tokio::task::JoinSet::new();
    for at in 0..30 {
        let store = Arc::clone(&stores[at % 2]);
        hits.spawn(async move { store.hit("login:ann", quota).await });
    }
    let decisions = hits.join_all().await;
    let mut left: Vec<u32> = decisions
        .iter()
        .filter(|decision| decision.allowed)
        .map(|decision| decision.remaining)
        .collect();
    left.sort_unstable();
    assert_eq!(
        left,
        (0..10).collect::<Vec<_>>(),
        "each place is given once"
    );
    let refused = decisions.iter().find(|decision| !decision.allowed).unwrap();
    assert_eq!((refused.limit, refused.remaining), (10, 0));
    assert!(
        refused.retry_after > Duration::from_secs(9_000),
        "{refused:?}"
    );
    assert!(refused.reset > Duration::from_secs(99_000), "{refused:?}");
    assert!(stores[0].hit("login:bob", quota).await.allowed);
}

#[tokio::test]
async fn the_rule_is_that_of_one_process_on_redis() {
    let Some((_server, process)) = running().await else {
        return;
    };
    let store = process.cache.limits("limit", 1_000).unwrap();
    let alone = LocalLimits::new(1_000);
    let quota = Quota {
        limit: 3,
        period: Duration::from_secs(100_000),
    };
    for _ in 0..5 {
        let here = alone.hit(1, quota, Duration::from_secs(1));
        let there = store.hit("k", quota).await;
        assert_eq!(
            (here.allowed, here.limit, here.remaining),
            (there.allowed, there.limit, there.remaining)
        );
        let close = |a: Duration, b: Duration| a.abs_diff(b) < Duration::from_secs(60);
        assert!(close(here.reset, there.reset), "{here:?} {there:?}");
        assert!(
            close(here.retry_after, there.retry_after),
            "{here:?} {there:?}"
        );
    }
}

#[tokio::test]
async fn without_the_server_each_process_allows_its_share_on_redis() {
    let Some((server, one)) = running().await else {
        return;
    };
    let other = Process::start(&server);
    for process in [&one, &other] {
        process.sees(true).await;
        process.counts(2).await;
    }
    let quota = Quota {
        limit: 10,
        period: Duration::from_secs(100_000),
    };
    let stores = [&one, &other].map(|process| process.cache.limits("limit", 1_000).unwrap());
    // Two of one's share are used while the server is there.
    for _ in 0..2 {
        assert!(stores[0].hit("k", quota).await.allowed);
    }
    server.kill();
    let mut allowed = [0, 0];
    for (at, store) in stores.iter().enumerate() {
        for _ in 0..20 {
            allowed[at] += u32::from(store.hit("k", quota).await.allowed);
        }
    }
    assert_eq!(allowed, [3, 5], "2 + 3 + 5 make the 10 of the limit");
    let health = Health::new();
    one.sees(false).await;
    health.register(one.cache.check());
    let report = health.report().await;
    assert_eq!(report.status, Readiness::Degraded, "and still ready");
    assert_eq!(report.not_ready, ["cache"]);
    server.run();
    one.sees(true).await;
    assert!(
        stores[0].hit("k", quota).await.allowed,
        "counted anew there"
    );
    assert_eq!(health.report().await.status, Readiness::Ok);
}

#[tokio::test]
async fn a_server_that_hangs_costs_few_callers_little_on_redis() {
    let Some((server, process)) = running().await else {
        return;
    };
    let store = process.cache.limits("limit", 1_000).unwrap();
    process.cache.put("a", "k", value("1"), MINUTE).await;
    server.freeze(true);
    let mut waits = Vec::new();
    for n in 0..200 {
        let started = Instant::now();
        let found = process.cache.get("a", "k").await;
        assert_eq!(found, None, "call {n}");
        assert!(store.hit("k", Quota::per_second(1_000)).await.allowed);
        waits.push(started.elapsed());
    }
    let slow = waits
        .iter()
        .filter(|wait| **wait >= CALL_TIMEOUT / 2)
        .count();
    assert!(slow <= 3, "{slow} calls waited: {waits:?}");
    assert!(!process.link().is_up());
    server.freeze(false);
    process.sees(true).await;
    assert_eq!(process.cache.get("a", "k").await, Some(value("1")));
}

#[tokio::test]
async fn news_reach_the_others_also_after_a_restart_on_redis() {
    let Some((server, one)) = running().await else {
        return;
    };
    let other = Process::start(&server);
    other.sees(true).await;
    let (tells, hears) = (one.cache.signals("cuts"), other.cache.signals("cuts"));
    let listening = tokio::spawn({
        let hears = hears.clone();
        async move { hears.listen().await }
    });
    let heard = async || {
        let heard = tokio::time::timeout(MINUTE, hears.heard()).await;
        heard.expect("heard in time");
    };
    heard().await;
    tells.tell();
    heard().await;
    server.kill();
    one.sees(false).await;
    tells.tell();
    server.run();
    // What was told meanwhile is lost, so the new connection itself counts as news.
    heard().await;
    one.sees(true).await;
    tells.tell();
    heard().await;
    listening.abort();
}

#[tokio::test]
async fn a_probe_says_what_is_wrong_on_redis() {
    let Some((server, process)) = running().await else {
        return;
    };
    let probed = process.cache.probe().await.unwrap().unwrap();
    assert!(
        probed.version.starts_with(|c: char| c.is_ascii_digit()),
        "{probed:?}"
    );
    assert_eq!(probed.eviction.as_deref(), Some("noeviction"));
    server.kill();
    let error = process.cache.probe().await.unwrap().unwrap_err();
    assert_eq!(
        error,
        CacheError::Away("the connection was refused".to_owned())
    );
}
