//! Development tokens, scopes of accounts, and what foreign tokens say of roles.

use serde_json::{Value, json};

use super::*;

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn accounts(caller: &Principal) -> Option<Vec<String>> {
    let accounts = caller.accounts.as_ref()?;
    Some(accounts.iter().map(|one| one.to_string()).collect())
}

async fn with_switch() -> House {
    House::with(|settings| settings.dev_auth = true).await
}

#[tokio::test]
async fn a_development_token_has_its_roles_and_reaches_everything() {
    let house = with_switch().await;
    let asked = list(&["ROLE_ADMIN", "auditor", "emperor"]);
    let (subject, roles, token) = house.service.dev_token("Zoe", &asked).await.unwrap();
    assert_eq!(subject, "zoe");
    assert_eq!(roles, ["admin", "auditor"]);
    assert_eq!(token.expires_in, 3_600);
    let caller = bearer(&house.service, token.token.expose()).await.unwrap();
    assert_eq!(*caller.subject, *"zoe");
    assert_eq!(accounts(&caller), Some(list(&["*"])));
    assert!(caller.holds(crate::http::auth::Permission::new("shadow:check")));
    assert!(!caller.holds(crate::http::auth::Permission::new("shadow:intake")));
    house.clock.advance(3_700 * MICROS);
    refused(bearer(&house.service, token.token.expose()).await);
}

#[tokio::test]
async fn servers_without_the_switch_refuse_development_tokens() {
    let house = with_switch().await;
    let token = house.service.dev_token("zoe", &list(&["admin"])).await;
    let token = token.unwrap().2.token;
    let mut settings = house.service.settings.clone();
    settings.dev_auth = false;
    let db = crate::testing::neighbour(&house.db).await;
    let other = open(settings, &house.clock, &db, &house.dir).await;
    refused(bearer(&other, token.expose()).await);
    assert!(bearer(&house.service, token.expose()).await.is_ok());
    let asked = other.dev_token("zoe", &list(&["admin"])).await;
    assert!(matches!(asked, Err(IdentityError::Unauthenticated(_))));
    let signup = DevSignup {
        name: "zoe".into(),
        password: secret(PASSWORD),
        roles: Vec::new(),
    };
    let closed = other.dev_sign_up(signup.clone()).await;
    assert!(matches!(closed, Err(IdentityError::SignupClosed)));
    let made = house.service.dev_sign_up(signup.clone()).await.unwrap();
    assert_eq!(
        (made.roles, made.accounts),
        (list(&["user"]), Some(list(&["*"])))
    );
    let again = house.service.dev_sign_up(signup).await;
    assert!(matches!(again, Err(IdentityError::UserExists)));
}

#[tokio::test]
async fn accounts_of_a_user_stand_in_his_tokens_and_bound_his_keys() {
    let house = House::new().await;
    let user = house.user("ann", &["user"]).await;
    let plain = house.service.log_in_plain("ann", secret(PASSWORD)).await;
    let (_, plain) = plain.unwrap();
    let caller = bearer(&house.service, plain.token.expose()).await.unwrap();
    assert_eq!(accounts(&caller), None, "nothing was said");

    let change = UserChange {
        accounts: Some(Some(list(&["A1", "B-*"]))),
        ..UserChange::default()
    };
    let changed = house.service.change_user("test", &user.id, change).await;
    assert_eq!(changed.unwrap().accounts, Some(list(&["A1", "B-*"])));
    refused(bearer(&house.service, plain.token.expose()).await);
    let token = house.log_in("ann").await.access_token;
    let caller = bearer(&house.service, token.expose()).await.unwrap();
    assert_eq!(accounts(&caller), Some(list(&["A1", "B-*"])));

    let key = |accounts: Option<Vec<String>>, user_id: Option<String>| NewApiKey {
        name: "k".into(),
        user_id,
        roles: list(&["user"]),
        scopes: None,
        accounts,
        expires_at: None,
    };
    let wide = key(Some(list(&["*"])), Some(user.id.clone()));
    let made = house.service.create_key("test", wide, None).await.unwrap();
    let text = made.value.1.unwrap();
    let caller = caller_of_key(&house, text.expose()).await;
    assert_eq!(
        accounts(&caller),
        Some(list(&["A1", "B-*"])),
        "no more than his user"
    );
    let own = key(Some(list(&["C*"])), None);
    let made = house.service.create_key("test", own, None).await.unwrap();
    assert_eq!(made.value.0.accounts, Some(list(&["C*"])));
    let caller = caller_of_key(&house, made.value.1.unwrap().expose()).await;
    assert_eq!(accounts(&caller), Some(list(&["C*"])));
    let bad = house
        .service
        .create_key("test", key(Some(list(&["a b"])), None), None)
        .await;
    assert!(matches!(
        bad,
        Err(IdentityError::Invalid {
            field: "accounts",
            ..
        })
    ));
}

async fn caller_of_key(house: &House, text: &str) -> Arc<Principal> {
    caller(&house.service, "x-api-key", text).await.unwrap()
}

/// Secrets of 64 random-looking characters.
const LONG: &str = "q8Jw1rT0zXn5vB7mK3pL9sD2fG6hY4cAq8Jw1rT0zXn5vB7mK3pL9sD2fG6hY4cB";

fn signed(algorithm: jose::Algorithm, hash: ring::hmac::Algorithm, extra: Value) -> String {
    let mut claims = json!({
        "iss": "legacy", "aud": "florin", "sub": "u1", "exp": START / MICROS + 60,
    });
    for (name, value) in extra.as_object().unwrap() {
        claims[name] = value.clone();
    }
    jose::compact(algorithm, "k1", &claims, |message| {
        let key = ring::hmac::Key::new(hash, LONG.as_bytes());
        ring::hmac::sign(&key, message).as_ref().to_vec()
    })
}

async fn legacy(algorithm: jose::Algorithm) -> House {
    let text = format!(
        "issuer = \"legacy\"\naudiences = [\"florin\"]\nhs256_secret = \"{LONG}\"\nhmac_algorithm = \"{algorithm:?}\"\n"
    );
    let settings: IssuerSettings = toml_of(&text);
    House::with(|all| all.issuers.push(settings)).await
}

/// The settings as a configuration gives them.
fn toml_of(text: &str) -> IssuerSettings {
    let pairs = text.lines().map(|line| line.split_once(" = ").unwrap());
    let members: Vec<String> = pairs
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    serde_json::from_str(&format!("{{{}}}", members.join(","))).unwrap()
}

#[tokio::test]
async fn a_secret_accepts_the_one_algorithm_it_is_configured_for() {
    use jose::Algorithm as A;
    use ring::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
    let all = [
        (A::HS256, HMAC_SHA256),
        (A::HS384, HMAC_SHA384),
        (A::HS512, HMAC_SHA512),
    ];
    for (configured, _) in all {
        let house = legacy(configured).await;
        for (used, hash) in all {
            let answer = bearer(&house.service, &signed(used, hash, json!({}))).await;
            assert_eq!(
                answer.is_ok(),
                used == configured,
                "{used:?} for {configured:?}"
            );
        }
    }
}

#[tokio::test]
async fn roles_and_role_are_read_folded_and_without_prefix() {
    let house = legacy(jose::Algorithm::HS512).await;
    let hash = ring::hmac::HMAC_SHA512;
    for (extra, expected) in [
        (
            json!({"roles": ["ROLE_AUDITOR"], "role": "Admin"}),
            &["auditor", "admin"][..],
        ),
        (json!({"role": "ROLE_USER"}), &["user"]),
        (json!({"roles": ["root", "ADMIN", "admin"]}), &["admin"]),
        (json!({"roles": []}), &[]),
    ] {
        let token = signed(jose::Algorithm::HS512, hash, extra);
        let caller = bearer(&house.service, &token).await.unwrap();
        let roles: Vec<&str> = caller.roles.iter().map(|role| &**role).collect();
        assert_eq!(roles, expected);
    }
    let token = signed(
        jose::Algorithm::HS512,
        hash,
        json!({"role": "admin", "dev": true}),
    );
    refused(bearer(&house.service, &token).await);
}
