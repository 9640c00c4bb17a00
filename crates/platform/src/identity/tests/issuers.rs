//! Tokens of foreign issuers: a fake one on loopback speaks real HTTP.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::routing::get;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;
use crate::identity::issuer::{MAX_KEY_AGE_MICROS, MAX_STALE_MICROS, MIN_REFRESH_MICROS};

/// Serves discovery and keys; keys can be exchanged, and it can go away.
struct Provider {
    url: String,
    keys: Mutex<Vec<u8>>,
    fetches: AtomicUsize,
    away: AtomicBool,
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn jwk(seed: u8) -> Value {
    let mut jwk = json!(jose::Jwk::ed25519(
        &pair(seed).public_key().as_ref().try_into().unwrap()
    ));
    jwk["kid"] = json!(format!("k{seed}"));
    jwk
}

impl Provider {
    async fn start(seeds: &[u8]) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            keys: Mutex::new(seeds.to_vec()),
            fetches: AtomicUsize::new(0),
            away: AtomicBool::new(false),
        });
        let discovery = {
            let provider = Arc::clone(&provider);
            move || async move {
                let url = &provider.url;
                axum::Json(json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }))
            }
        };
        let keys = {
            let provider = Arc::clone(&provider);
            move || async move {
                provider.fetches.fetch_add(1, Ordering::SeqCst);
                if provider.away.load(Ordering::SeqCst) {
                    return Err(http::StatusCode::BAD_GATEWAY);
                }
                let mut keys: Vec<Value> = provider.keys.lock().iter().map(|s| jwk(*s)).collect();
                keys.push(json!({ "kty": "strange", "n": 7 }));
                Ok(axum::Json(json!({ "keys": keys })))
            }
        };
        let router = axum::Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys));
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    fn token(&self, seed: u8, change: Value) -> String {
        let mut claims = json!({
            "iss": self.url, "aud": ["else", "florin"], "sub": "emp-7",
            "exp": START / MICROS + 86_400, "realm_access": { "roles": ["bank-teller", "x"] },
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let kid = format!("k{seed}");
        jose::compact(jose::Algorithm::EdDSA, &kid, &claims, |message| {
            pair(seed).sign(message).as_ref().to_vec()
        })
    }

    fn settings(&self) -> IssuerSettings {
        IssuerSettings {
            issuer: self.url.clone(),
            audiences: vec!["florin".into()],
            jwks_url: None,
            hmac_secret: None,
            hmac_algorithm: jose::Algorithm::HS256,
            algorithms: vec![jose::Algorithm::EdDSA],
            subject_claim: "sub".into(),
            owner_claim: Some("wallet_user".into()),
            subject_prefix: "corp.".into(),
            roles_claim: "realm_access.roles".into(),
            permissions_claim: Some("scope".into()),
            role_map: BTreeMap::from([("bank-teller".to_owned(), "operator".to_owned())]),
        }
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

async fn house_of(provider: &Provider) -> House {
    let settings = provider.settings();
    House::with(|all| all.issuers.push(settings)).await
}

#[tokio::test]
async fn claims_become_subject_owner_roles_and_permissions() {
    let provider = Provider::start(&[1]).await;
    let house = house_of(&provider).await;
    let extra = json!({ "wallet_user": "u7", "scope": "wallets:write@own openid audit:read" });
    let token = provider.token(1, extra);
    let principal = bearer(&house.service, &token).await.unwrap();
    assert_eq!(
        (&*principal.subject, &*principal.owner),
        ("corp.emp-7", "corp.u7")
    );
    assert_eq!(&*principal.roles, [Box::from("operator")]);
    assert!(principal.holds(AUDIT_READ));
    assert!(principal.holds(crate::http::auth::Permission::new("wallets:status")));
    assert_eq!(
        principal
            .permissions
            .names()
            .iter()
            .filter(|n| n.starts_with("wallets:") && n.ends_with("@own"))
            .count(),
        1
    );
    bearer(&house.service, &token).await.unwrap();
    assert_eq!(provider.fetches(), 1);

    let extra = json!({ "wallet_user": "u7" });
    let mut bad = vec![
        provider.token(2, extra.clone()),
        provider.token(1, json!({})),
    ];
    for (name, value) in [
        ("aud", json!("else")),
        ("exp", json!(START / MICROS - 61)),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("iss", json!("http://elsewhere.example")),
    ] {
        let mut changed = extra.clone();
        changed[name] = value;
        bad.push(provider.token(1, changed));
    }
    for token in bad {
        refused(bearer(&house.service, &token).await);
    }
}

#[tokio::test]
async fn unknown_keys_are_asked_for_once_in_a_while() {
    let provider = Provider::start(&[1]).await;
    let house = house_of(&provider).await;
    let owner = json!({ "wallet_user": "u7" });
    bearer(&house.service, &provider.token(1, owner.clone()))
        .await
        .unwrap();
    *provider.keys.lock() = vec![2, 1];
    for n in 0..5 {
        let guess = json!({ "wallet_user": "u7", "n": n });
        refused(bearer(&house.service, &provider.token(2, guess)).await);
    }
    assert_eq!(provider.fetches(), 1, "asked a moment ago");
    house.clock.advance(MIN_REFRESH_MICROS);
    let (a, b) = (
        provider.token(2, owner.clone()),
        provider.token(2, json!({ "wallet_user": "u8" })),
    );
    let (a, b) = tokio::join!(bearer(&house.service, &a), bearer(&house.service, &b));
    a.unwrap();
    b.unwrap();
    assert_eq!(provider.fetches(), 2, "two callers share one fetch");
    bearer(&house.service, &provider.token(1, owner))
        .await
        .expect("overlap");
}

#[tokio::test]
async fn withdrawn_keys_end_and_outages_do_not() {
    let provider = Provider::start(&[1]).await;
    let house = house_of(&provider).await;
    let token = provider.token(
        1,
        json!({
            "wallet_user": "u7", "exp": START / MICROS + 30 * 86_400,
        }),
    );
    bearer(&house.service, &token).await.unwrap();
    provider.away.store(true, Ordering::SeqCst);
    house.clock.advance(MAX_KEY_AGE_MICROS);
    bearer(&house.service, &token)
        .await
        .expect("known keys serve through an outage");
    assert_eq!(provider.fetches(), 2);
    house.clock.advance(MAX_STALE_MICROS);
    for _ in 0..2 {
        let problem = bearer(&house.service, &token).await.unwrap_err();
        assert_eq!(
            problem.code(),
            "issuer_unavailable",
            "nobody knows whether the key holds"
        );
    }
    assert_eq!(provider.fetches(), 3);

    provider.away.store(false, Ordering::SeqCst);
    house.clock.advance(MIN_REFRESH_MICROS);
    bearer(&house.service, &token).await.unwrap();
    *provider.keys.lock() = vec![2];
    house.clock.advance(MAX_KEY_AGE_MICROS);
    refused(bearer(&house.service, &token).await);
}

#[tokio::test]
async fn an_issuer_that_never_answered_is_a_503() {
    let provider = Provider::start(&[1]).await;
    provider.away.store(true, Ordering::SeqCst);
    let house = house_of(&provider).await;
    let token = provider.token(1, json!({ "wallet_user": "u7" }));
    let problem = bearer(&house.service, &token).await.unwrap_err();
    assert_eq!(
        (problem.status().as_u16(), problem.code()),
        (503, "issuer_unavailable")
    );
}

#[tokio::test]
async fn shared_secrets_count_only_for_their_issuer() {
    let provider = Provider::start(&[1]).await;
    let key = "q8Jw1rT0zXn5vB7mK3pL9sD2fG6hY4cA";
    let settings = IssuerSettings {
        issuer: "legacy".into(),
        hmac_secret: Some(secret(key)),
        owner_claim: None,
        subject_prefix: String::new(),
        ..provider.settings()
    };
    let with_secret = provider.settings();
    let house = House::with(|all| all.issuers = vec![settings, with_secret]).await;
    let hmac = |issuer: &str| {
        let claims = json!({
            "iss": issuer, "aud": "florin", "sub": "u1", "wallet_user": "u1",
            "exp": START / MICROS + 60,
        });
        jose::compact(jose::Algorithm::HS256, "k1", &claims, |message| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
            ring::hmac::sign(&key, message).as_ref().to_vec()
        })
    };
    assert_eq!(
        *bearer(&house.service, &hmac("legacy"))
            .await
            .unwrap()
            .subject,
        *"u1"
    );
    refused(bearer(&house.service, &hmac(&provider.url)).await);
    refused(bearer(&house.service, &hmac(house.service.issuer())).await);
    assert_eq!(provider.fetches(), 0, "no key was worth asking for");
}
