//! Users, tokens and API keys (contracts/README.md, "auth" and "identity routes").

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature;
use serde_json::{Value, json};

use crate::server::moves::fresh;
use crate::server::{Launch, Reply, Server, Who, cases};

const TOKEN: &str = "/api/v1/auth/token";
const ME: &str = "/api/v1/auth/me";
const PASSWORD: &str = "correct horse battery";

#[test]
fn users_tokens_and_keys() {
    let server = Launch::new().start();
    cases!(server;
        a_token_is_signed_and_says_who,
        wrong_credentials_are_all_alike,
        refresh_tokens_rotate_and_reuse_ends_the_log_in,
        logging_out_ends_the_log_in,
        a_disabled_user_is_cut_off_at_once,
        a_changed_password_ends_log_ins,
        api_keys_have_scopes_and_are_shown_once,
        a_revoked_key_is_refused_at_once,
        signing_up_gives_the_role_user,
        what_happened_stands_in_the_audit_log,
        // The last one, since it moves the clock.
        tokens_expire,
    );
    secrets_are_in_no_file(&server);
}

/// A new user of role `user`: his name, which is also his id.
fn user(server: &Server) -> String {
    let name = fresh("person");
    let body = json!({"id": name, "userName": name, "password": PASSWORD, "roles": ["user"]});
    server.post(Who::Admin, "/api/v1/users", body).ok(201);
    name
}

fn log_in(server: &Server, name: &str, password: &str) -> Reply {
    server.post(
        Who::Nobody,
        TOKEN,
        json!({"userName": name, "password": password}),
    )
}

fn refresh(server: &Server, token: &str) -> Reply {
    server.post(
        Who::Nobody,
        "/api/v1/auth/refresh",
        json!({"refreshToken": token}),
    )
}

fn with_token(server: &Server, token: &str) -> Reply {
    server
        .client
        .call("GET", ME)
        .header("authorization", &format!("Bearer {token}"))
        .send()
}

fn with_key(server: &Server, key: &str, path: &str) -> Reply {
    server
        .client
        .call("GET", path)
        .header("x-api-key", key)
        .send()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

fn a_token_is_signed_and_says_who(server: &Server) {
    let name = user(server);
    let reply = log_in(server, &name, PASSWORD).ok(200);
    assert_eq!(
        (reply.text_of("tokenType"), &reply.body["expiresIn"]),
        ("Bearer", &json!(900))
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    let token = reply.text_of("accessToken");
    let me = with_token(server, token).ok(200);
    assert_eq!(
        (me.text_of("subject"), me.body["roles"].clone()),
        (name.as_str(), json!(["user"]))
    );
    let parts: Vec<&str> = token.split('.').collect();
    let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
    assert_eq!(header["alg"], "EdDSA");
    assert_eq!(
        (&claims["sub"], &claims["iss"]),
        (&json!(name), &server.ready["url"])
    );
    let keys = server.get(Who::Nobody, "/.well-known/jwks.json").ok(200);
    let keys = keys.body["keys"].as_array().expect("keys").clone();
    let key = keys
        .iter()
        .find(|key| key["kid"] == header["kid"])
        .expect("the key is published");
    let public = URL_SAFE_NO_PAD
        .decode(key["x"].as_str().expect("x"))
        .expect("base64url");
    let signed = format!("{}.{}", parts[0], parts[1]);
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).expect("base64url");
    signature::UnparsedPublicKey::new(&signature::ED25519, public)
        .verify(signed.as_bytes(), &signature)
        .expect("verifies with the published key");
    let discovery = server
        .get(Who::Nobody, "/.well-known/openid-configuration")
        .ok(200);
    assert_eq!(discovery.body["issuer"], server.ready["url"]);
    assert!(
        discovery
            .text_of("jwks_uri")
            .ends_with("/.well-known/jwks.json")
    );
}

fn wrong_credentials_are_all_alike(server: &Server) {
    let name = user(server);
    let wrong = log_in(server, &name, "not his password").refused(401, "unauthenticated");
    let absent = log_in(server, "nobody-of-this-name", PASSWORD).refused(401, "unauthenticated");
    assert_eq!(wrong.body["detail"], absent.body["detail"]);
    let token = log_in(server, &name, PASSWORD)
        .ok(200)
        .text_of("accessToken")
        .to_owned();
    let parts: Vec<&str> = token.split('.').collect();
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut claims = decoded(parts[1]);
    claims["roles"] = json!(["admin"]);
    let other = format!("{}.{}.{}", parts[0], encode(claims), parts[2]);
    let none = format!(
        "{}.{}.",
        encode(json!({"alg": "none", "typ": "JWT"})),
        parts[1]
    );
    for bad in ["", "x", "a.b.c", &other, &none, &token[..token.len() - 2]] {
        let reply = with_token(server, bad);
        assert_eq!(reply.code(), (401, "unauthenticated"), "{bad}");
        assert!(
            reply.header("www-authenticate").starts_with("Bearer"),
            "{bad}"
        );
    }
    for bad in ["", "x", "fl_wrong"] {
        with_key(server, bad, ME).refused(401, "unauthenticated");
    }
    server
        .post(Who::Nobody, TOKEN, json!({"userName": name}))
        .ok(400);
}

fn refresh_tokens_rotate_and_reuse_ends_the_log_in(server: &Server) {
    let name = user(server);
    let first = log_in(server, &name, PASSWORD).ok(200);
    let other = log_in(server, &name, PASSWORD).ok(200);
    let second = refresh(server, first.text_of("refreshToken")).ok(200);
    assert_ne!(
        second.text_of("refreshToken"),
        first.text_of("refreshToken")
    );
    with_token(server, second.text_of("accessToken")).ok(200);
    let third = refresh(server, second.text_of("refreshToken")).ok(200);
    refresh(server, first.text_of("refreshToken")).refused(401, "unauthenticated");
    refresh(server, third.text_of("refreshToken")).refused(401, "unauthenticated");
    with_token(server, third.text_of("accessToken")).refused(401, "unauthenticated");
    with_token(server, other.text_of("accessToken")).ok(200);
    refresh(server, other.text_of("refreshToken")).ok(200);
}

fn logging_out_ends_the_log_in(server: &Server) {
    let name = user(server);
    let one = log_in(server, &name, PASSWORD).ok(200);
    let two = log_in(server, &name, PASSWORD).ok(200);
    let bearer = format!("Bearer {}", one.text_of("accessToken"));
    let out = server
        .client
        .call("POST", "/api/v1/auth/logout")
        .header("authorization", &bearer)
        .send();
    assert_eq!((out.status, out.bytes.len()), (204, 0));
    with_token(server, one.text_of("accessToken")).refused(401, "unauthenticated");
    refresh(server, one.text_of("refreshToken")).refused(401, "unauthenticated");
    with_token(server, two.text_of("accessToken")).ok(200);
    let body = json!({"refreshToken": two.text_of("refreshToken")});
    server
        .post(Who::Nobody, "/api/v1/auth/logout", body)
        .ok(204);
    with_token(server, two.text_of("accessToken")).refused(401, "unauthenticated");
    let bare = server.post(Who::Nobody, "/api/v1/auth/logout", json!({}));
    assert!(matches!(bare.status, 400 | 401), "{}", bare.text);
}

fn a_disabled_user_is_cut_off_at_once(server: &Server) {
    let name = user(server);
    let tokens = log_in(server, &name, PASSWORD).ok(200);
    let key = json!({"name": "his", "userId": name, "roles": ["user"]});
    let key = server
        .post(Who::Admin, "/api/v1/keys", key)
        .ok(201)
        .text_of("key")
        .to_owned();
    with_key(server, &key, ME).ok(200);
    let set = |disabled: bool| {
        let path = format!("/api/v1/users/{name}");
        server
            .patch(Who::Admin, &path, json!({"disabled": disabled}))
            .ok(200);
    };
    set(true);
    with_token(server, tokens.text_of("accessToken")).refused(401, "unauthenticated");
    refresh(server, tokens.text_of("refreshToken")).refused(401, "unauthenticated");
    with_key(server, &key, ME).refused(401, "unauthenticated");
    log_in(server, &name, PASSWORD).refused(401, "unauthenticated");
    set(false);
    log_in(server, &name, PASSWORD).ok(200);
}

fn a_changed_password_ends_log_ins(server: &Server) {
    let name = user(server);
    let tokens = log_in(server, &name, PASSWORD).ok(200);
    let change = |current: &str| {
        let bearer = format!("Bearer {}", tokens.text_of("accessToken"));
        let body = json!({"currentPassword": current, "password": "another good password"});
        let call = server.client.call("PUT", "/api/v1/auth/password");
        call.header("authorization", &bearer).json(&body).send()
    };
    assert!(matches!(change("not his password").status, 400 | 401 | 403));
    change(PASSWORD).ok(204);
    with_token(server, tokens.text_of("accessToken")).refused(401, "unauthenticated");
    log_in(server, &name, PASSWORD).refused(401, "unauthenticated");
    log_in(server, &name, "another good password").ok(200);
    let path = format!("/api/v1/users/{name}/password");
    server
        .put(Who::Admin, &path, json!({"password": PASSWORD}))
        .ok(204);
    log_in(server, &name, PASSWORD).ok(200);
    server
        .put(Who::Admin, &path, json!({"password": "short"}))
        .refused(400, "validation_failed");
}

fn api_keys_have_scopes_and_are_shown_once(server: &Server) {
    let body = json!({"name": "reader", "roles": ["service"], "scopes": ["ledger:read"]});
    let send = || {
        let call = server.call(Who::Admin, "POST", "/api/v1/keys");
        call.header("idempotency-key", "reader-key")
            .json(&body)
            .send()
            .ok(201)
    };
    let made = send();
    let key = made.text_of("key").to_owned();
    with_key(server, &key, "/api/v1/ledger").ok(200);
    with_key(server, &key, "/api/v1/wallets").refused(403, "forbidden");
    let again = send();
    assert!(again.is_replay());
    assert_eq!((again.id(), again.body.get("key")), (made.id(), None));
    let listed = server.get(Who::Admin, "/api/v1/keys?limit=500").ok(200);
    assert!(listed.text.contains(&made.id()) && !listed.text.contains(&key));
    let bad = json!({"name": "x", "roles": ["no-such-role"]});
    server
        .post(Who::Admin, "/api/v1/keys", bad)
        .refused(400, "validation_failed");
    // A key of a user does not reach further than he does.
    let name = user(server);
    let body = json!({"name": "his", "userId": name, "roles": ["admin", "user"]});
    let his = server.post(Who::Admin, "/api/v1/keys", body).ok(201);
    with_key(server, his.text_of("key"), "/api/v1/ledger").refused(403, "forbidden");
    let me = with_key(server, his.text_of("key"), ME).ok(200);
    assert_eq!(
        (me.text_of("userId"), me.text_of("credential")),
        (name.as_str(), "apiKey")
    );
}

fn a_revoked_key_is_refused_at_once(server: &Server) {
    let body = json!({"name": "short", "roles": ["service"]});
    let made = server.post(Who::Admin, "/api/v1/keys", body).ok(201);
    let key = made.text_of("key");
    with_key(server, key, ME).ok(200);
    let path = format!("/api/v1/keys/{}", made.id());
    assert!(matches!(server.delete(Who::Admin, &path).status, 200 | 204));
    with_key(server, key, ME).refused(401, "unauthenticated");
    assert!(server.get(Who::Admin, &path).ok(200).body["revokedAt"].is_string());
}

fn signing_up_gives_the_role_user(server: &Server) {
    let name = fresh("new");
    let body = json!({"userName": name, "password": PASSWORD});
    let made = server
        .post(Who::Nobody, "/api/v1/auth/signup", body.clone())
        .ok(201);
    let me = with_token(server, made.text_of("accessToken")).ok(200);
    assert_eq!(
        (me.text_of("userName"), me.body["roles"].clone()),
        (name.as_str(), json!(["user"]))
    );
    server
        .post(Who::Nobody, "/api/v1/auth/signup", body)
        .refused(409, "user_exists");
    let id = me.text_of("userId").to_owned();
    let bearer = format!("Bearer {}", made.text_of("accessToken"));
    let call = server
        .client
        .call("POST", "/api/v1/wallets")
        .header("authorization", &bearer);
    let wallet = call
        .json(&json!({"userId": id, "currency": "USD"}))
        .send()
        .ok(201);
    assert_eq!(wallet.text_of("userId"), id);
}

fn what_happened_stands_in_the_audit_log(server: &Server) {
    let name = user(server);
    let audit = server.get(Who::Auditor, "/api/v1/audit?limit=500").ok(200);
    assert!(audit.text.contains(&name), "the new user");
    assert!(!audit.text.contains(PASSWORD));
}

fn tokens_expire(server: &Server) {
    let name = user(server);
    let tokens = log_in(server, &name, PASSWORD).ok(200);
    let expiring = json!({"name": "x", "roles": ["service"], "expiresAt": "2999-01-01T00:00:00Z"});
    server.post(Who::Admin, "/api/v1/keys", expiring).ok(201);
    server.advance(890);
    with_token(server, tokens.text_of("accessToken")).ok(200);
    server.advance(100);
    with_token(server, tokens.text_of("accessToken")).refused(401, "unauthenticated");
    let fresh = refresh(server, tokens.text_of("refreshToken")).ok(200);
    with_token(server, fresh.text_of("accessToken")).ok(200);
    server.advance(31 * 86_400);
    refresh(server, fresh.text_of("refreshToken")).refused(401, "unauthenticated");
}

/// Neither tables nor logs hold passwords, tokens or keys; `demo.env` does, for its owner only.
fn secrets_are_in_no_file(server: &Server) {
    let data = server.data_dir();
    let mut texts = vec![server.log().into_bytes()];
    for name in ["florin.db", "florin.db-wal"] {
        texts.extend(std::fs::read(data.join(name)).ok());
    }
    let key = server.demo("serviceApiKey").to_owned();
    let secrets = [
        PASSWORD.to_owned(),
        key,
        server.demo("adminPassword").to_owned(),
    ];
    for secret in &secrets {
        for text in &texts {
            let found = text
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands in a file");
        }
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |name: &str| {
        std::fs::metadata(data.join(name))
            .expect(name)
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode("demo.env"), mode("cursor.key"), mode(".")),
        (0o600, 0o600, 0o700)
    );
}

/// DEP-095 of the deployment contract: processes from before and after a change of keys accept each
/// other's tokens, and a key that is two changes old counts no more.
#[test]
fn dep_095_a_change_of_keys_refuses_nobody() {
    let seeds = ["01", "23", "45", "67"].map(|byte| byte.repeat(32));
    let process = |dir: &std::path::Path, former: usize, current: usize, next: usize| {
        let keys = format!(
            "[auth]\nissuer = \"https://florin.example\"\nsigning_key = \"{}\"\nsigning_key_next = \"{}\"\nsigning_key_former = \"{}\"\n",
            seeds[current], seeds[next], seeds[former]
        );
        Launch::new().config(&keys).dir(dir).start()
    };
    let dir = tempfile::tempdir().expect("a folder");
    let before = process(dir.path(), 0, 1, 2);
    let name = user(&before);
    let old = log_in(&before, &name, PASSWORD).ok(200);
    let published = before.get(Who::Nobody, "/.well-known/jwks.json").ok(200);
    assert_eq!(published.body["keys"].as_array().map(Vec::len), Some(3));
    before.stop();
    let after = process(dir.path(), 1, 2, 3);
    with_token(&after, old.text_of("accessToken")).ok(200);
    let new = log_in(&after, &name, PASSWORD).ok(200);
    after.stop();
    let before = process(dir.path(), 0, 1, 2);
    with_token(&before, new.text_of("accessToken")).ok(200);
    before.stop();
    let later = process(dir.path(), 2, 3, 0);
    with_token(&later, new.text_of("accessToken")).ok(200);
    with_token(&later, old.text_of("accessToken")).refused(401, "unauthenticated");
}
