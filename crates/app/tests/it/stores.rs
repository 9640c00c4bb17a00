//! Two servers whose service tables are on one PostgreSQL server and whose limits are on one
//! Redis server: what they share, and what happens when either goes away (ledger-wallets
//! contract, section E; INV-L26 for what identity answers).

use std::time::{Duration, Instant};

use florin_platform::testing::postgres::TestPostgres;
use florin_platform::testing::redis::TestRedis;
use serde_json::{Value, json};

use crate::server::{Launch, Server, Who, program};

const TOKEN: &str = "/api/v1/auth/token";
const ME: &str = "/api/v1/auth/me";
const USERS: &str = "/api/v1/users?limit=1";

/// 32 bytes in hex that only tests know: both servers sign with it.
const SIGNING_KEY: &str = "5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b";

/// A revocation counts everywhere within this time (networks.md, "tokens", the strictest row).
const REVOKED: Duration = Duration::from_secs(5);

/// The store away is said within this time (ledger-wallets contract, section E).
const STORE_AWAY: Duration = Duration::from_secs(1);

struct Stores {
    postgres: std::sync::Arc<TestPostgres>,
    redis: TestRedis,
}

impl Stores {
    fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("FLORIN__DATABASE__URL", self.postgres.url()),
            ("FLORIN__DATABASE__SCHEMA", "two_servers".to_owned()),
            ("FLORIN__CACHE__URL", self.redis.url()),
            ("FLORIN__AUTH__SIGNING_KEY", SIGNING_KEY.to_owned()),
            (
                "FLORIN__AUTH__ISSUER",
                "https://money.example.com".to_owned(),
            ),
        ]
    }

    fn launch(&self) -> Launch {
        let launch = Launch::new().with_limits();
        self.settings()
            .into_iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value))
    }

    /// What the doctor finds of a check.
    fn doctor(&self, check: &str) -> Value {
        self.doctor_of(check, &[])
    }

    /// The same with more settings.
    fn doctor_of(&self, check: &str, more: &[(&str, &str)]) -> Value {
        let dir = tempfile::tempdir().expect("temporary folder");
        let output = program()
            .args(["doctor", "--output", "json", "--data-dir"])
            .arg(dir.path())
            .envs(self.settings())
            .envs(more.iter().copied())
            .output()
            .expect("the binary runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = report["findings"].as_array().expect("findings");
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("{check}: {report}")).clone()
    }
}

/// Waits until something is so.
fn until(what: &str, longest: Duration, so: impl Fn() -> bool) -> Duration {
    let started = Instant::now();
    while !so() {
        assert!(
            started.elapsed() < longest,
            "not within {longest:?}: {what}"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
    started.elapsed()
}

fn me(server: &Server, token: &str) -> u16 {
    let call = server.client.call("GET", ME);
    let call = call.header("authorization", &format!("Bearer {token}"));
    call.send().status
}

/// Log-ins of somebody unknown that were not refused for their number, of `tries`.
fn tried(servers: &[&Server], name: &str, tries: usize) -> usize {
    (0..tries)
        .filter(|at| {
            let body = json!({"userName": name, "password": "wrong wrong wrong"});
            let server = servers[at % servers.len()];
            let status = server.post(Who::Nobody, TOKEN, body).status;
            assert!(matches!(status, 401 | 429), "{status}");
            status == 401
        })
        .count()
}

fn not_ready(server: &Server) -> (u16, Value) {
    let reply = server.get(Who::Nobody, "/ready");
    let named = serde_json::from_str::<Value>(&reply.text).expect("JSON")["notReady"].clone();
    (reply.status, named)
}

#[test]
fn two_servers_on_one_postgres_and_one_redis() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(postgres) = runtime.block_on(TestPostgres::start()) else {
        return;
    };
    let Some(redis) = TestRedis::start() else {
        return;
    };
    let stores = Stores { postgres, redis };
    let one = stores.launch().start();
    let other = stores.launch().without("--demo").start();
    for server in [&one, &other] {
        until("ready", Duration::from_secs(20), || {
            not_ready(server) == (200, json!([]))
        });
    }

    users_and_revocations_are_one(&one, &other);
    limits_are_one(&one, &other);
    without_redis_each_allows_its_share(&stores, &one, &other);
    without_postgres_it_is_said_in_time(&stores, &one);
    the_doctor_says_what_is_wrong(&stores);
}

fn users_and_revocations_are_one(one: &Server, other: &Server) {
    let body = json!({"userName": one.demo("userName"), "password": one.demo("userPassword")});
    let reply = one.post(Who::Nobody, TOKEN, body).ok(200);
    let token = reply.text_of("accessToken").to_owned();
    assert_eq!((me(one, &token), me(other, &token)), (200, 200));
    let logout = one.client.call("POST", "/api/v1/auth/logout");
    let logout = logout.header("authorization", &format!("Bearer {token}"));
    assert_eq!(logout.send().status, 204);
    assert_eq!(me(one, &token), 401, "at once where it happened");
    until("revoked on the other", REVOKED, || me(other, &token) == 401);
}

fn limits_are_one(one: &Server, other: &Server) {
    let started = Instant::now();
    let allowed = tried(&[one, other], "stranger-1", 10);
    // One comes back every 12 seconds.
    let back = started.elapsed().as_secs() as usize / 12;
    assert!(
        (5..=5 + back).contains(&allowed),
        "{allowed} of 5 (+{back})"
    );
}

fn without_redis_each_allows_its_share(stores: &Stores, one: &Server, other: &Server) {
    for server in [one, other] {
        until("two are counted", Duration::from_secs(20), || {
            let metrics = server.get(Who::Nobody, "/metrics").ok(200);
            metrics.text.lines().any(|line| line == "cache_processes 2")
        });
    }
    stores.redis.kill();
    for server in [one, other] {
        until("degraded", Duration::from_secs(20), || {
            not_ready(server) == (200, json!(["cache"]))
        });
        let started = Instant::now();
        let allowed = tried(&[server], "stranger-2", 4);
        let back = started.elapsed().as_secs() as usize / 24;
        assert!(allowed <= 2 + back, "{allowed} of half of 5 (+{back})");
    }
    let seen = stores.doctor("cache");
    assert_eq!(seen["health"], "note", "{seen}");
    let what = seen["what"].as_str().expect("text");
    assert!(what.contains("refused"), "{what}");
    stores.redis.run();
    for server in [one, other] {
        until("whole again", Duration::from_secs(20), || {
            not_ready(server) == (200, json!([]))
        });
    }
}

fn without_postgres_it_is_said_in_time(stores: &Stores, server: &Server) {
    server.get(Who::Admin, USERS).ok(200);
    stores.postgres.freeze(true);
    let waits = (0..3).map(|_| {
        let started = Instant::now();
        let reply = server.get(Who::Admin, USERS);
        reply.refused(503, "store_unavailable");
        started.elapsed()
    });
    let fastest = waits.min().expect("three");
    assert!(fastest < STORE_AWAY, "{fastest:?}");
    let (status, named) = not_ready(server);
    assert_eq!((status, named), (503, json!(["tables"])));
    server.get(Who::Nobody, "/health").ok(200);
    stores.postgres.freeze(false);
    until("found again", Duration::from_secs(30), || {
        server.get(Who::Admin, USERS).status == 200
    });
}

fn the_doctor_says_what_is_wrong(stores: &Stores) {
    let database = stores.doctor("database");
    let what = database["what"].as_str().expect("text");
    assert!(what.contains("PostgreSQL"), "{what}");
    assert_eq!(
        database["health"], "note",
        "the test's server does not sync"
    );
    let cache = stores.doctor("cache");
    let remedy = cache["remedy"].as_str().expect("text");
    assert!(remedy.contains("volatile-lru"), "{cache}");
    let url = stores.postgres.url();
    let ledger = [
        ("FLORIN__LEDGER__URL", &*url),
        ("FLORIN__LEDGER__REPLICA_URL", &*url),
    ];
    let seen = |check: &str| stores.doctor_of(check, &ledger);
    let what = seen("ledger database")["what"].clone();
    let what = what.as_str().expect("text");
    assert!(what.contains("before a change is on its disk"), "{what}");
    let what = seen("ledger replica")["what"].clone();
    assert!(
        what.as_str().expect("text").contains("no standby"),
        "{what}"
    );
    stores.postgres.crash();
    assert_eq!(seen("ledger database")["health"], "bad");
    let replica = seen("ledger replica");
    assert_eq!(replica["health"], "note", "reads go on without it");
    let database = stores.doctor("database");
    assert_eq!(database["health"], "bad");
    let remedy = database["remedy"].as_str().expect("text");
    assert!(remedy.contains("is the server running"), "{remedy}");
}
