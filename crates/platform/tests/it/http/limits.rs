//! Rate limits, admission, forwarded addresses.

use florin_platform::http::guard::KitConfig;
use florin_platform::http::limit::{LimitConfig, Quota};
use florin_platform::http::proxy::TrustedProxies;
use serde_json::json;

use super::support::{Setup, answer};

#[tokio::test]
async fn limits_per_credential_say_when_to_come_back() {
    let server = Setup::with_limits(LimitConfig {
        read: Some(Quota::per_minute(2)),
        ..LimitConfig::default()
    })
    .start();
    let read = |key| server.get("/api/v1/things/1").header("x-api-key", key);
    for left in ["1", "0"] {
        let (status, headers, _) = answer(read("reader")).await;
        assert_eq!(status, 200);
        assert_eq!(headers["ratelimit-limit"], "2");
        assert_eq!(headers["ratelimit-remaining"], left);
        assert!(headers.contains_key("ratelimit-reset"));
    }
    let (status, headers, problem) = answer(read("reader")).await;
    assert_eq!((status, &problem["code"]), (429, &json!("rate_limited")));
    let wait: u64 = headers["retry-after"]
        .to_str()
        .expect("ASCII")
        .parse()
        .expect("seconds");
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(headers["ratelimit-remaining"], "0");
    assert_eq!(answer(read("admin")).await.0, 200, "another credential");
    for _ in 0..5 {
        let (status, headers, _) = answer(read("service")).await;
        assert_eq!(status, 200);
        assert!(
            !headers.contains_key("ratelimit-limit"),
            "role service has no limit"
        );
    }
}

#[tokio::test]
async fn log_in_is_limited_per_address() {
    let server = Setup::with_limits(LimitConfig::default()).start();
    for _ in 0..20 {
        assert_eq!(answer(server.post("/api/v1/login")).await.0, 200);
    }
    let (status, headers, _) = answer(server.post("/api/v1/login")).await;
    assert_eq!(
        (status, &headers["ratelimit-limit"]),
        (429, &"20".parse().expect("header"))
    );
    assert_eq!(
        answer(server.get("/health")).await.0,
        200,
        "probes have no limit"
    );
}

#[tokio::test]
async fn guessing_credentials_is_limited_per_address() {
    let server = Setup::with_limits(LimitConfig {
        address: Some(Quota::per_minute(3)),
        ..LimitConfig::default()
    })
    .start();
    let guess = || server.get("/api/v1/things/1").header("x-api-key", "guess");
    for expected in [401, 401, 401, 429] {
        assert_eq!(answer(guess()).await.0, expected);
    }
}

#[tokio::test]
async fn a_full_server_refuses_at_once() {
    let mut setup = Setup::new();
    setup.kit.max_in_progress = 1;
    let server = setup.start();
    let held = tokio::spawn(answer(server.get("/api/v1/slow")));
    server.gate.entered.notified().await;
    let (status, headers, problem) = answer(server.get("/api/v1/plain")).await;
    assert_eq!((status, &problem["code"]), (503, &json!("overloaded")));
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(
        answer(server.get("/ready")).await.0,
        200,
        "probes are answered"
    );
    server.gate.leave.notify_one();
    assert_eq!(held.await.expect("task").0, 200);
    assert_eq!(answer(server.get("/api/v1/plain")).await.0, 200);
}

#[tokio::test]
async fn forwarded_addresses_count_from_declared_proxies_only() {
    let seen = async |trusted: TrustedProxies| {
        let mut setup = Setup::new();
        setup.kit = KitConfig {
            trusted,
            ..KitConfig::default()
        };
        let server = setup.start();
        let request = server
            .get("/api/v1/things/1")
            .header("x-api-key", "admin")
            .header("x-forwarded-for", "203.0.113.7");
        answer(request).await.2["client"].clone()
    };
    assert_ne!(seen(TrustedProxies::default()).await, "203.0.113.7");
    let loopback = ["127.0.0.0/8", "::1"].map(|range| range.parse().expect("range"));
    assert_eq!(
        seen(TrustedProxies::new(loopback.to_vec())).await,
        "203.0.113.7"
    );
}
