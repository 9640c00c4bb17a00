//! Tokens, signing keys and API keys.

use florin_base::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::http::auth::Permission;

const WALLETS_READ: Permission = Permission::new("wallets:read");
const WALLETS_DEPOSIT: Permission = Permission::new("wallets:deposit");

fn new_key(roles: &[&str]) -> NewApiKey {
    NewApiKey {
        name: "till".into(),
        user_id: None,
        roles: roles.iter().map(|role| role.to_string()).collect(),
        scopes: None,
        expires_at: None,
        accounts: None,
    }
}

async fn make_key(house: &House, new: NewApiKey) -> (ApiKey, String) {
    let made = house.service.create_key("admin1", new, None).await.unwrap();
    let (key, text) = made.value;
    (key, text.expect("shown the first time").into_inner())
}

async fn by_key(service: &AuthService, text: &str) -> Result<Arc<Principal>, Problem> {
    caller(service, "x-api-key", text).await
}

async fn tokens_expire_and_are_forged_in_vain() {
    let house = House::new().await;
    let user = house.user("ana", &["user"]).await;
    let token = house.log_in("ana").await.access_token.into_inner();
    bearer(&house.service, &token).await.unwrap();
    house.clock.advance(959 * MICROS);
    bearer(&house.service, &token)
        .await
        .expect("within the leeway");
    house.clock.advance(MICROS);
    refused(bearer(&house.service, &token).await);

    // A key of somebody else, named like ours, with claims of his choice.
    let theirs = House::new().await;
    let claims = json!({
        "iss": house.service.issuer(), "aud": "florin", "sub": user.id, "sid": "x", "epoch": 0,
        "exp": 4_000_000_000_i64, "roles": ["admin"],
    });
    let kid = house.service.jwks().keys[0]["kid"].clone();
    let forged = jose::compact(
        jose::Algorithm::EdDSA,
        kid.as_str().unwrap(),
        &claims,
        |m| theirs.service.keys.sign(&json!({ "m": m })).into_bytes()[..64].to_vec(),
    );
    refused(bearer(&house.service, &forged).await);
    refused(bearer(&house.service, &theirs.service.keys.sign(&claims)).await);
    let good = house.service.keys.sign(&claims);
    bearer(&house.service, &good)
        .await
        .expect("signed by us it would pass");
    for lacking in ["sub", "sid", "epoch", "exp", "aud"] {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(lacking);
        refused(bearer(&house.service, &house.service.keys.sign(&claims)).await);
    }
}

async fn exactly_one_credential_is_taken() {
    let house = House::new().await;
    house.user("ana", &["user"]).await;
    let token = house.log_in("ana").await.access_token.into_inner();
    let (_, key) = make_key(&house, new_key(&["service"])).await;
    let mut headers = HeaderMap::new();
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    let bearer = HeaderValue::from_str(&format!("bearer {token}")).unwrap();
    headers.insert("authorization", bearer.clone());
    assert!(matches!(
        house.service.authenticate(&headers, peer),
        Authentication::Now(Ok(_))
    ));
    headers.insert("x-api-key", HeaderValue::from_str(&key).unwrap());
    assert!(matches!(
        house.service.authenticate(&headers, peer),
        Authentication::Now(Err(_))
    ));
    headers.remove("x-api-key");
    headers.append("authorization", bearer);
    assert!(matches!(
        house.service.authenticate(&headers, peer),
        Authentication::Now(Err(_))
    ));
    for bad in ["Basic YTpi", "Bearer", "Bearer ", &token] {
        refused(caller(&house.service, "authorization", bad).await);
    }
}

async fn a_known_token_is_answered_from_memory() {
    let house = House::new().await;
    house.user("ana", &["user"]).await;
    let token = house.log_in("ana").await.access_token.into_inner();
    let first = bearer(&house.service, &token).await.unwrap();
    let second = bearer(&house.service, &token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

async fn old_signing_keys_verify_until_their_tokens_expired() {
    let house = House::new().await;
    house.user("ana", &["user"]).await;
    let old = house.log_in("ana").await.access_token.into_inner();
    let kid = house.service.rotate_signing_key("admin1").await.unwrap();
    assert_eq!(house.service.jwks().keys[0]["kid"], Value::from(kid));
    assert_eq!(house.service.jwks().keys.len(), 2);
    let new = house.log_in("ana").await.access_token.into_inner();
    let neighbour = house.neighbour().await;
    for token in [&old, &new] {
        bearer(&neighbour, token).await.unwrap();
    }
    house.clock.advance(3 * 3_600 * MICROS);
    house.service.housekeeping().await.unwrap();
    assert_eq!(house.service.jwks().keys.len(), 1);
    house.clock.advance(90 * 86_400 * MICROS);
    house.service.housekeeping().await.unwrap();
    assert_eq!(
        house.service.jwks().keys.len(),
        2,
        "a new key after 90 days"
    );
}

async fn an_api_key_speaks_for_itself_within_its_scopes() {
    let house = House::new().await;
    let (key, text) = make_key(&house, new_key(&["service"])).await;
    let principal = by_key(&house.service, &text).await.unwrap();
    assert_eq!(*principal.subject, *format!("key:{}", key.id));
    assert!(principal.holds(WALLETS_DEPOSIT));

    let scopes = Some(vec!["wallets:read".into(), "users:manage".into()]);
    let narrow = NewApiKey {
        scopes,
        ..new_key(&["service"])
    };
    let (_, text) = make_key(&house, narrow).await;
    let principal = by_key(&house.service, &text).await.unwrap();
    assert_eq!(principal.permissions.names(), ["wallets:read"]);

    let mut wrong = text.clone().into_bytes();
    let last = wrong.len() - 1;
    wrong[last] = if wrong[last] == b'A' { b'B' } else { b'A' };
    refused(by_key(&house.service, std::str::from_utf8(&wrong).unwrap()).await);
    refused(by_key(&house.service, "fl_x_y").await);
    let rows = house
        .db
        .fetch_all(query("SELECT * FROM api_keys"))
        .await
        .unwrap();
    let secret = text.rsplit('_').next().unwrap().as_bytes();
    for row in rows {
        assert_ne!(row.get::<Vec<u8>>("secret_hash").unwrap(), secret);
    }
}

async fn a_users_key_can_do_no_more_than_the_user() {
    let house = House::new().await;
    let user = house.user("ana", &["user"]).await;
    let new = NewApiKey {
        user_id: Some(user.id.clone()),
        ..new_key(&["user", "admin"])
    };
    let (_, text) = make_key(&house, new).await;
    let principal = by_key(&house.service, &text).await.unwrap();
    assert_eq!(*principal.owner, *user.id);
    assert!(principal.may(WALLETS_READ, &user.id) && !principal.may(WALLETS_READ, "other"));
    assert!(!principal.holds(USERS_MANAGE));

    let promote = UserChange {
        roles: Some(vec!["admin".into()]),
        ..UserChange::default()
    };
    house
        .service
        .change_user("test", &user.id, promote)
        .await
        .unwrap();
    let principal = by_key(&house.service, &text).await.unwrap();
    assert!(
        principal.holds(USERS_MANAGE),
        "looked up again, not refused"
    );
    let disable = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    house
        .service
        .change_user("test", &user.id, disable)
        .await
        .unwrap();
    refused(by_key(&house.service, &text).await);
}

async fn keys_end_when_revoked_and_when_due() {
    let house = House::new().await;
    let (key, text) = make_key(&house, new_key(&["service"])).await;
    let neighbour = house.neighbour().await;
    by_key(&house.service, &text).await.unwrap();
    by_key(&neighbour, &text).await.unwrap();
    house.service.revoke_key("admin1", &key.id).await.unwrap();
    house.service.revoke_key("admin1", &key.id).await.unwrap();
    refused(by_key(&house.service, &text).await);
    house.clock.advance(RECHECK_MICROS);
    refused(by_key(&neighbour, &text).await);
    assert_eq!(house.actions().await, ["key.created", "key.revoked"]);

    let due = Timestamp(START + RECHECK_MICROS + 10 * MICROS);
    let new = NewApiKey {
        expires_at: Some(due),
        ..new_key(&["service"])
    };
    let (_, text) = make_key(&house, new).await;
    by_key(&house.service, &text).await.unwrap();
    house.clock.advance(10 * MICROS);
    refused(by_key(&house.service, &text).await);
    let past = NewApiKey {
        expires_at: Some(due),
        ..new_key(&["service"])
    };
    let error = house
        .service
        .create_key("admin1", past, None)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        IdentityError::Invalid {
            field: "expiresAt",
            ..
        }
    ));
}

async fn a_keys_text_is_shown_once() {
    let house = House::new().await;
    let create = || {
        house
            .service
            .create_key("admin1", new_key(&["service"]), Some("k1"))
    };
    let first = create().await.unwrap();
    let again = create().await.unwrap();
    assert!(first.value.1.is_some() && !first.replayed);
    assert!(again.value.1.is_none() && again.replayed);
    assert_eq!(first.value.0, again.value.0);
    let other = NewApiKey {
        name: "other".into(),
        ..new_key(&["service"])
    };
    let conflict = house
        .service
        .create_key("admin1", other, Some("k1"))
        .await
        .unwrap_err();
    assert!(matches!(conflict, IdentityError::IdempotencyConflict(field) if field == "name"));
}

crate::testing::conformance! {
    tokens_expire_and_are_forged_in_vain,
    exactly_one_credential_is_taken,
    a_known_token_is_answered_from_memory,
    old_signing_keys_verify_until_their_tokens_expired,
    an_api_key_speaks_for_itself_within_its_scopes,
    a_users_key_can_do_no_more_than_the_user,
    keys_end_when_revoked_and_when_due,
    a_keys_text_is_shown_once,
}
