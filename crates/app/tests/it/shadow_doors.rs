//! Who gets into the shadow ledger, by which door and how often (its contract, sections 0 and E).

mod dev;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::server::client::Client;
use crate::server::moves::fresh;
use crate::server::{Launch, Reply, Server, Who, cases};

const EVENTS: &str = "/api/v1/shadow/events";
const CHECK: &str = "/api/v1/shadow/drift-check";

fn event(account: &str) -> Value {
    json!({"eventId": fresh("E"), "accountId": account, "type": "credit", "amount": 1,
           "timestamp": 1_735_732_800_000_i64})
}

/// A call with a bearer token.
fn with_token(server: &Server, token: &str, method: &str, path: &str, body: &Value) -> Reply {
    let call = server.client.call(method, path);
    let call = call.header("authorization", &format!("Bearer {token}"));
    match method {
        "GET" => call.send(),
        _ => call.json(body).send(),
    }
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    let bytes = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Names of the members of an answer.
fn members(reply: &Reply) -> Vec<&str> {
    let object = reply.body.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

const MEMBERS: [&str; 7] = [
    "expiresIn",
    "role",
    "roles",
    "token",
    "tokenType",
    "userId",
    "username",
];

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

#[test]
fn the_doors_of_the_shadow_ledger() {
    let server = Launch::new().start();
    cases!(server;
        a_log_in_at_the_root_is_one_token_for_an_hour,
        without_the_switch_a_password_is_needed_and_nobody_signs_up,
        refusals_at_the_door_say_error_and_message,
        inv_s25_a_user_reaches_the_accounts_of_his_claim,
        a_key_is_narrowed_to_accounts,
        forged_and_foreign_tokens_are_refused,
        inv_s26_metrics_count_and_hold_no_id,
    );
}

fn a_log_in_at_the_root_is_one_token_for_an_hour(server: &Server) {
    let (name, password) = (server.demo("adminUser"), server.demo("adminPassword"));
    let reply = server
        .post(
            Who::Nobody,
            "/auth/token",
            json!({"userId": name, "password": password}),
        )
        .ok(200);
    assert_eq!(sorted(members(&reply)), MEMBERS);
    assert_eq!(
        (&reply.body["tokenType"], &reply.body["expiresIn"]),
        (&json!("Bearer"), &json!(3_600))
    );
    assert_eq!(
        (
            &reply.body["username"],
            &reply.body["role"],
            &reply.body["roles"]
        ),
        (&json!(name), &json!("admin"), &json!(["admin"]))
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    let token = reply.text_of("token");
    let claims = claims(token);
    assert_eq!(
        claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat"),
        3_600
    );
    with_token(
        server,
        token,
        "GET",
        "/api/v1/shadow/accounts",
        &Value::Null,
    )
    .ok(200);
    // The canonical path says the same and more; the id serves as well as the name.
    let id = reply.text_of("userId");
    let body = json!({"userId": id, "password": password});
    let canonical = server.post(Who::Nobody, "/api/v1/auth/token", body).ok(200);
    for member in MEMBERS
        .iter()
        .filter(|name| !["expiresIn", "token"].contains(name))
    {
        assert_eq!(canonical.body[member], reply.body[member], "{member}");
    }
    assert_eq!(canonical.body["expiresIn"], 900);
    assert_eq!(canonical.body["token"], canonical.body["accessToken"]);
    assert!(canonical.body["refreshToken"].is_string());
}

fn without_the_switch_a_password_is_needed_and_nobody_signs_up(server: &Server) {
    for (path, code) in [
        ("/auth/token", "invalid_credentials"),
        ("/api/v1/auth/token", "unauthenticated"),
    ] {
        for name in [server.demo("adminUser"), "nobody-at-all"] {
            let body = json!({"userId": name, "password": "a wrong password"});
            let reply = server.post(Who::Nobody, path, body).refused(401, code);
            if path == "/auth/token" {
                assert_eq!(reply.body["error"], code);
                assert_eq!(reply.body["message"], reply.body["detail"]);
            }
        }
        for body in [
            json!({"username": "zoe", "roles": ["ADMIN"]}),
            json!({"username": "zoe", "role": "admin"}),
            json!({"username": "zoe"}),
        ] {
            let reply = server.post(Who::Nobody, path, body.clone());
            assert_eq!(reply.status, 400, "{path} {body}: {}", reply.text);
            let asked = format!("{path}?role=admin");
            let reply = server.post(Who::Nobody, &asked, body.clone());
            assert_eq!(reply.status, 400, "{asked} {body}: {}", reply.text);
        }
    }
    let body = json!({"userId": "zoe", "password": "correct horse battery"});
    let closed = server.post(Who::Nobody, "/auth/signup", body);
    let closed = closed.refused(403, "signup_disabled");
    assert_eq!(closed.body["error"], "signup_disabled");
}

fn refusals_at_the_door_say_error_and_message(server: &Server) {
    let body = json!([{"accountId": "A1", "reportedBalance": 0}]);
    for path in [CHECK, "/drift-check"] {
        let nobody = server.post(Who::Nobody, path, body.clone());
        let user = server.post(Who::Ana, path, body.clone());
        for (reply, status, code) in [(nobody, 401, "unauthenticated"), (user, 403, "forbidden")] {
            let reply = reply.refused(status, code);
            assert_eq!(reply.body["error"], code, "{path}");
            assert_eq!(reply.body["message"], reply.body["detail"], "{path}");
        }
    }
    let large = "x".repeat((1 << 20) + 1);
    let call = server.call(Who::Service, "POST", EVENTS);
    let reply = call.text(&large).send().refused(413, "body_too_large");
    assert_eq!(reply.body["error"], "body_too_large");
}

fn inv_s25_a_user_reaches_the_accounts_of_his_claim(server: &Server) {
    let name = fresh("scoped");
    let body = json!({"userName": name, "password": "correct horse battery",
                      "roles": ["user"], "accounts": ["A1", "B-*"]});
    let made = server.post(Who::Admin, "/api/v1/users", body).ok(201);
    assert_eq!(made.body["accounts"], json!(["A1", "B-*"]));
    let log_in = || {
        let body = json!({"userId": name, "password": "correct horse battery"});
        let reply = server.post(Who::Nobody, "/auth/token", body).ok(200);
        reply.text_of("token").to_owned()
    };
    let token = log_in();
    let send =
        |token: &str, account: &str| with_token(server, token, "POST", EVENTS, &event(account));
    let balance = |token: &str, account: &str| {
        let path = format!("/accounts/{account}/shadow-balance");
        with_token(server, token, "GET", &path, &Value::Null)
    };
    for account in ["A1", "B-7"] {
        send(&token, account).ok(202);
        balance(&token, account).ok(200);
    }
    for account in ["A12", "B", "C1"] {
        send(&token, account).refused(403, "account_out_of_scope");
        let refused = balance(&token, account).refused(403, "account_out_of_scope");
        assert_eq!(refused.body["error"], "account_out_of_scope");
    }
    // Another claim counts at once, and what was issued before falls.
    let path = format!("/api/v1/users/{}", made.id());
    server
        .patch(Who::Admin, &path, json!({"accounts": ["C1"]}))
        .ok(200);
    send(&token, "A1").refused(401, "unauthenticated");
    let token = log_in();
    send(&token, "A1").refused(403, "account_out_of_scope");
    send(&token, "C1").ok(202);
    let me = with_token(server, &token, "GET", "/api/v1/auth/me", &Value::Null).ok(200);
    assert_eq!(me.body["accounts"], json!(["C1"]));
    server
        .patch(Who::Admin, &path, json!({"accounts": null}))
        .ok(200);
    send(&log_in(), "C1").refused(403, "account_out_of_scope");
    let bad = json!({"accounts": ["a b"]});
    server
        .patch(Who::Admin, &path, bad)
        .refused(400, "validation_failed");
}

fn a_key_is_narrowed_to_accounts(server: &Server) {
    let body = json!({"name": "auditor of A", "roles": ["auditor"], "accounts": ["A*"]});
    let key = server.post(Who::Admin, "/api/v1/keys", body).ok(201);
    assert_eq!(key.body["accounts"], json!(["A*"]));
    let get = |account: &str| {
        let path = format!("/api/v1/shadow/accounts/{account}/shadow-balance");
        let call = server.client.call("GET", &path);
        call.header("x-api-key", key.text_of("key")).send()
    };
    get("A1").ok(200);
    get("B1").refused(403, "account_out_of_scope");
    server
        .get(Who::Auditor, "/api/v1/shadow/accounts/B1/shadow-balance")
        .ok(200);
}

/// Row 7 of F3: damaged, expired, without algorithm, or signed by a guess.
fn forged_and_foreign_tokens_are_refused(server: &Server) {
    let body =
        json!({"userId": server.demo("adminUser"), "password": server.demo("adminPassword")});
    let good = server.post(Who::Nobody, "/auth/token", body).ok(200);
    let good = good.text_of("token").to_owned();
    let ask = |token: &str| {
        with_token(
            server,
            token,
            "GET",
            "/api/v1/shadow/accounts",
            &Value::Null,
        )
    };
    ask(&good).ok(200);
    let parts: Vec<&str> = good.split('.').collect();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut damaged = good.clone().into_bytes();
    let middle = parts[0].len() + 8;
    damaged[middle] = if damaged[middle] == b'A' { b'B' } else { b'A' };
    let none = part(&json!({"alg": "none", "typ": "JWT"}));
    let mut all = vec![
        String::from_utf8(damaged).expect("ASCII"),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
    ];
    // No secret is built in: what others have as a default opens nothing here.
    let guesses = [
        "secret",
        "changeme",
        "florin",
        "your-256-bit-secret",
        "mySecretKey",
        "",
    ];
    for guess in guesses {
        for (alg, hash) in [
            ("HS256", ring::hmac::HMAC_SHA256),
            ("HS512", ring::hmac::HMAC_SHA512),
        ] {
            let signed = format!("{}.{}", part(&json!({"alg": alg, "typ": "JWT"})), parts[1]);
            let key = ring::hmac::Key::new(hash, guess.as_bytes());
            let signature = ring::hmac::sign(&key, signed.as_bytes());
            all.push(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)));
        }
    }
    for token in all {
        ask(&token).refused(401, "unauthenticated");
    }
    let other = Launch::new().start();
    let (mine, theirs) = (
        server.get(Who::Nobody, JWKS).ok(200),
        other.get(Who::Nobody, JWKS).ok(200),
    );
    assert_ne!(
        mine.body, theirs.body,
        "each installation has keys of its own"
    );
    with_token(
        &other,
        &good,
        "GET",
        "/api/v1/shadow/accounts",
        &Value::Null,
    )
    .refused(401, "unauthenticated");
}

/// Gauges stand there from the start, counters from the first event; labels hold no id.
fn inv_s26_metrics_count_and_hold_no_id(server: &Server) {
    let account = fresh("Unheard-of");
    let sent = event(&account);
    server.post(Who::Service, EVENTS, sent.clone()).ok(202);
    server
        .post(Who::Service, EVENTS, sent.clone())
        .refused(409, "duplicate_event");
    let text = server.get(Who::Nobody, "/metrics").ok(200).text;
    for series in [
        "shadow_books ",
        "shadow_log_seq ",
        "shadow_event_state{state=\"applied\"} ",
        "shadow_event_state{state=\"held\"} ",
        "shadow_event_state{state=\"held_for_review\"} ",
        "shadow_event_state{state=\"rejected\"} ",
        "shadow_dead_letters{status=\"parked\"} ",
        "shadow_intake_seconds_count",
    ] {
        assert!(text.contains(series), "{series}");
    }
    let counted = |result: &str| {
        let line = text.lines().find(|line| {
            line.starts_with("shadow_events_total{")
                && line.contains(&format!("result=\"{result}\""))
        });
        let value = line.and_then(|line| line.rsplit(' ').next());
        value
            .and_then(|value| value.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    assert!(
        counted("accepted") >= 1.0 && counted("duplicate") >= 1.0,
        "{text}"
    );
    let id = sent["eventId"].as_str().expect("its id");
    assert!(
        !text.contains(&account) && !text.contains(id),
        "an id in a label"
    );
}

const JWKS: &str = "/.well-known/jwks.json";

#[test]
fn an_installation_without_local_users_has_no_log_in() {
    let server = Launch::new()
        .config("[auth]\nlocal_users = false\n")
        .start();
    let body = json!({"userId": "x", "password": "correct horse battery"});
    for path in [
        "/auth/token",
        "/auth/signup",
        "/api/v1/auth/token",
        "/api/v1/auth/signup",
    ] {
        server
            .post(Who::Nobody, path, body.clone())
            .refused(404, "not_found");
    }
    server.get(Who::Auditor, "/api/v1/shadow/accounts").ok(200);
}

/// Allowances of the contract hold for every role and say when to come back.
#[test]
fn the_limits_of_the_shadow_ledger_hold() {
    let config = "[limits]\nintake_per_second = 4\ndrift_checks_per_minute = 2\n\
                  corrections_per_minute = 1\nimports_per_minute = 1\n\
                  [auth.password]\nmemory_kib = 64\niterations = 1\n";
    let server = Launch::new().with_limits().config(config).start();
    let check = || {
        server.post(
            Who::Auditor,
            "/drift-check",
            json!([{"accountId": "A1", "reportedBalance": 0}]),
        )
    };
    let first = check().ok(200);
    assert_eq!(first.header("ratelimit-limit"), "2");
    server
        .post(Who::Auditor, CHECK, json!([]))
        .refused(400, "empty_check");
    let refused = check().refused(429, "rate_limited");
    assert_eq!(refused.body["error"], "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=30).contains(&wait), "{wait}");
    let correct = |account: &str| {
        let path = format!("/api/v1/shadow/correct/{account}");
        let body = json!({"type": "credit", "amount": 1, "reason": "found", "eventId": fresh("X")});
        server.post(Who::Admin, &path, body)
    };
    assert_eq!(correct("A1").header("ratelimit-limit"), "1");
    correct("A2").refused(429, "rate_limited");
    // Approving is no correction of its own.
    server
        .post(
            Who::Admin,
            "/api/v1/shadow/corrections/none/approve",
            json!({}),
        )
        .refused(404, "correction_not_found");
    let import = || {
        let call = server.call(Who::Operator, "POST", "/api/v1/shadow/statements");
        call.body(b"x".to_vec(), "text/plain").send()
    };
    assert_ne!(import().status, 429);
    import().refused(429, "rate_limited");
    // The role `service` has no limits elsewhere, but here.
    let slowed = (0..50).map(|_| server.post(Who::Service, EVENTS, event("A1")));
    let statuses: Vec<u16> = slowed.map(|reply| reply.status).collect();
    assert!(
        statuses.contains(&429) && statuses[..4] == [202; 4],
        "{statuses:?}"
    );
}

/// The compat profile on ports of its own.
#[test]
fn the_compat_profile_listens_where_older_clients_look() {
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("address")
    };
    let (one, two) = (free(), free());
    let config = format!(
        "[shadow]\ncompat = true\ncompat_ports = [\"{}\", \"{}\"]\n",
        one.port(),
        two.port()
    );
    let server = Launch::new().config(&config).start();
    for addr in [one, two] {
        let client = Client::new(addr, None);
        let up = client.call("GET", "/actuator/health").send().ok(200);
        assert_eq!(up.text, "{\"status\":\"UP\"}");
        let call = client.call("POST", "/events");
        let call = call.header("x-api-key", server.demo("serviceApiKey"));
        call.json(&event("A1")).send().ok(202);
    }
    let balance = server
        .get(Who::Auditor, "/accounts/A1/shadow-balance")
        .ok(200);
    assert_eq!(balance.body["balance"], 2);
    let (status, _home) = server.stop();
    assert!(status.success(), "{status}");
}
