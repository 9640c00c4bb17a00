//! Tests of limit.

use super::*;
use crate::http::auth::{CredentialKind, PermissionSet};

fn principal(name: &str, roles: &[&str]) -> Principal {
    Principal {
        accounts: None,
        subject: name.into(),
        owner: name.into(),
        kind: CredentialKind::ApiKey,
        credential: name.into(),
        token_id: None,
        roles: roles.iter().map(|role| Box::from(*role)).collect(),
        permissions: Arc::new(PermissionSet::default()),
    }
}

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

#[test]
fn a_burst_of_the_whole_allowance_then_one_each_step() {
    let limits = LocalLimits::new(1000);
    let quota = Quota::per_minute(5);
    let at = Duration::from_secs;
    for left in (0..5).rev() {
        let decision = limits.hit(1, quota, at(100));
        assert!(decision.allowed);
        assert_eq!(decision.remaining, left);
    }
    let refused = limits.hit(1, quota, at(100));
    assert!(!refused.allowed);
    assert_eq!((refused.retry_after, refused.reset), (at(12), at(60)));
    assert!(
        limits.hit(2, quota, at(100)).allowed,
        "keys are independent"
    );
    assert!(limits.hit(1, quota, at(112)).allowed);
    assert!(!limits.hit(1, quota, at(112)).allowed);
    assert_eq!(limits.hit(1, quota, at(1000)).remaining, 4);
}

#[test]
fn memory_is_bounded() {
    let limits = LocalLimits::new(160);
    for key in 0..100_000 {
        limits.hit(key, Quota::per_minute(5), Duration::from_secs(1));
    }
    let held: usize = limits.shards.iter().map(|shard| shard.lock().len()).sum();
    assert!(held <= 160, "{held}");
}

#[tokio::test]
async fn classes_and_roles() {
    let limits = Limits::new(LimitConfig {
        read: Some(Quota::per_minute(2)),
        write: Some(Quota::per_minute(1)),
        ..LimitConfig::default()
    });
    let user = principal("user:1", &["user"]);
    let write = limits.caller(LimitClass::Write, &user, HOME).await;
    assert_eq!(write.expect("first").expect("limited").limit, 1);
    let problem = limits.caller(LimitClass::Write, &user, HOME).await;
    let problem = problem.expect_err("second");
    assert_eq!(
        (problem.status().as_u16(), problem.code()),
        (429, "rate_limited")
    );
    assert!(limits.caller(LimitClass::Read, &user, HOME).await.is_ok());
    let service = principal("key:1", &["user", "service"]);
    for _ in 0..10 {
        let decision = limits.caller(LimitClass::Write, &service, HOME).await;
        assert_eq!(decision.expect("never refused"), None);
    }
}

#[tokio::test]
async fn a_named_class_holds_for_every_role_and_beside_the_others() {
    let limits = Limits::new(LimitConfig {
        write: Some(Quota::per_minute(1)),
        named: vec![("checks", Some(Quota::per_minute(2))), ("free", None)],
        ..LimitConfig::default()
    });
    let (checks, free) = (LimitClass::Named("checks"), LimitClass::Named("free"));
    for role in ["user", "service"] {
        let caller = principal(role, &[role]);
        for left in [1, 0] {
            let decision = limits.caller(checks, &caller, HOME).await;
            let decision = decision.expect("allowed").expect("limited");
            assert_eq!((decision.limit, decision.remaining), (2, left), "{role}");
        }
        let third = limits
            .caller(checks, &caller, HOME)
            .await
            .expect_err("third");
        assert_eq!(third.code(), "rate_limited");
        for _ in 0..5 {
            let decision = limits.caller(free, &caller, HOME).await;
            assert_eq!(decision.expect("no limit"), None);
        }
    }
    let user = principal("user", &["user"]);
    assert!(limits.caller(LimitClass::Write, &user, HOME).await.is_ok());
    let unknown = LimitClass::Named("not configured");
    assert!(
        limits.caller(unknown, &user, HOME).await.is_err(),
        "a write"
    );
}

#[tokio::test]
async fn log_in_is_limited_per_user_and_per_address() {
    let limits = Limits::new(LimitConfig::default());
    for _ in 0..5 {
        assert!(limits.login("ann").await.is_ok());
    }
    assert_eq!(
        limits.login("ann").await.expect_err("sixth").code(),
        "rate_limited"
    );
    assert!(limits.login("bob").await.is_ok());
    for _ in 0..20 {
        assert!(limits.anonymous(LimitClass::Token, HOME).await.is_ok());
    }
    assert!(limits.anonymous(LimitClass::Token, HOME).await.is_err());
}

#[test]
fn one_subscriber_has_one_allowance() {
    let a: IpAddr = "2001:db8::1".parse().expect("address");
    let b: IpAddr = "2001:db8::ffff:2".parse().expect("address");
    let c: IpAddr = "2001:db8:0:1::1".parse().expect("address");
    assert_eq!(subscriber(a), subscriber(b));
    assert_ne!(subscriber(a), subscriber(c));
    assert_eq!(
        subscriber("::ffff:192.0.2.1".parse().expect("address")),
        HOME
    );
}
