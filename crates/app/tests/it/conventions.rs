//! What every route shares (contracts/README.md): problems, trace ids, bodies, health,
//! description, replays.

use serde_json::{Value, json};

use crate::server::moves::{fresh, item};
use crate::server::{Launch, Server, Who, cases, path};

#[test]
fn conventions_of_every_route() {
    let server = Launch::new().start();
    cases!(server;
        problems_have_one_shape,
        wallet_routes_repeat_the_code_as_error,
        trace_ids_are_kept_made_and_echoed,
        unknown_input_is_refused,
        bodies_have_a_limit,
        keys_and_ids_have_a_grammar,
        creations_are_replayed,
        lists_have_pages,
        the_process_tells_how_it_is,
        metrics_count_by_route_and_outcome,
        the_description_is_complete,
        swagger_ui_comes_from_here,
        unknown_paths_and_methods,
        writes_name_their_seq,
        the_feed_follows,
    );
}

fn problems_have_one_shape(server: &Server) {
    let requests = [
        server.get(Who::Nobody, "/api/v1/wallets"),
        server.get(Who::Ana, "/api/v1/ledger"),
        server.get(
            Who::Service,
            "/api/v1/wallets/0190f000-0000-7000-8000-00000000dead",
        ),
        server.get(Who::Service, "/api/v1/wallets?limit=0"),
        server.get(Who::Service, "/api/v1/nothing"),
        server.post(Who::Admin, "/api/v1/keys", json!({"colour": 1})),
    ];
    for reply in requests {
        assert_eq!(
            reply.header("content-type"),
            "application/problem+json",
            "{}",
            reply.text
        );
        for member in ["type", "title", "detail", "code", "traceId"] {
            assert!(
                !reply.text_of(member).is_empty(),
                "{member}: {}",
                reply.text
            );
        }
        assert_eq!(reply.body["status"], reply.status, "{}", reply.text);
        assert_eq!(reply.text_of("traceId"), reply.header("x-trace-id"));
        let code = reply.text_of("code");
        assert!(
            code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{code}"
        );
    }
    let refused = server
        .get(Who::Service, "/api/v1/wallets?limit=0")
        .refused(400, "validation_failed");
    let error = &refused.body["errors"][0];
    assert_eq!(error["field"], "limit");
    assert!(error["code"].is_string() && error["message"].is_string());
}

fn wallet_routes_repeat_the_code_as_error(server: &Server) {
    let wallet = server.empty("BRL");
    let refused = server
        .withdraw(&wallet, "1.00")
        .refused(400, "insufficient_funds");
    assert_eq!(refused.text_of("error"), "INSUFFICIENT_FUNDS");
    let refused = server
        .get(Who::Nobody, "/api/v1/wallets")
        .refused(401, "unauthenticated");
    assert_eq!(refused.text_of("error"), "UNAUTHENTICATED");
    let refused = server
        .get(Who::Service, "/api/v1/ledger/accounts/none")
        .refused(404, "account_not_found");
    assert!(refused.body.get("error").is_none(), "only on wallet routes");
}

fn trace_ids_are_kept_made_and_echoed(server: &Server) {
    let get = |name: &str, value: &str| {
        server
            .client
            .call("GET", "/health")
            .header(name, value)
            .send()
            .ok(200)
    };
    assert_eq!(
        get("x-trace-id", "order-4711_a").header("x-trace-id"),
        "order-4711_a"
    );
    let longest = "x".repeat(64);
    assert_eq!(get("x-trace-id", &longest).header("x-trace-id"), longest);
    let made = server
        .get(Who::Nobody, "/health")
        .header("x-trace-id")
        .to_owned();
    assert!((1..=64).contains(&made.len()));
    assert_ne!(
        server.get(Who::Nobody, "/health").header("x-trace-id"),
        made
    );
    for malformed in ["a b", "x".repeat(65).as_str(), "a/b", "é"] {
        let echoed = get("x-trace-id", malformed);
        assert_ne!(echoed.header("x-trace-id"), malformed);
        assert!(!echoed.header("x-trace-id").is_empty());
    }
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(
        get("traceparent", parent).header("x-trace-id"),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    let call = server
        .client
        .call("GET", "/api/v1/wallets")
        .header("x-trace-id", "find-me-in-the-log");
    assert_eq!(call.send().text_of("traceId"), "find-me-in-the-log");
}

fn unknown_input_is_refused(server: &Server) {
    let wallet = server.empty("BRL");
    let body = json!({"amount": "1.00", "referenceId": "r", "colour": "blue"});
    let refused = server
        .post(Who::Service, &path(&wallet, "deposit"), body)
        .refused(400, "unknown_field");
    assert_eq!(refused.body["errors"][0]["field"], "colour");
    for malformed in ["", "{", "[]", "\"x\"", "{\"amount\": }", "null"] {
        let reply = server
            .call(Who::Service, "POST", &path(&wallet, "deposit"))
            .text(malformed)
            .send();
        assert_eq!(reply.status, 400, "{malformed}: {}", reply.text);
    }
    let twice = r#"{"amount": "1.00", "amount": "2.00"}"#;
    let reply = server
        .call(Who::Service, "POST", &path(&wallet, "deposit"))
        .text(twice)
        .send();
    assert_eq!(reply.status, 400, "{}", reply.text);
    let query = server.get(Who::Service, "/api/v1/ledger/transfers?colour=blue");
    assert_eq!(query.status, 400, "{}", query.text);
    assert_eq!(server.balance(&wallet), "0.00");
}

fn bodies_have_a_limit(server: &Server) {
    let wallet = server.empty("BRL");
    let text = |bytes: usize| {
        format!(
            "{{\"amount\": \"1.00\", \"referenceId\": \"big\"{}}}",
            " ".repeat(bytes)
        )
    };
    let send = |body: &str| {
        server
            .call(Who::Service, "POST", &path(&wallet, "deposit"))
            .text(body)
            .send()
    };
    let refused = send(&text(1 << 20));
    assert_eq!(refused.status, 413, "{}", refused.text);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    send(&text((1 << 20) - 100)).ok(200);
}

fn keys_and_ids_have_a_grammar(server: &Server) {
    let wallet = server.empty("BRL");
    let send = |key: &str| {
        let call = server.call(Who::Service, "POST", &path(&wallet, "deposit"));
        call.header("idempotency-key", key)
            .json(&json!({"amount": "1.00"}))
            .send()
    };
    send(&"k".repeat(255)).ok(200);
    send(&"k".repeat(256)).refused(400, "validation_failed");
    send("a b").refused(400, "validation_failed");
    let reference = |text: &str| {
        let body = json!({"amount": "1.00", "referenceId": text});
        server.post(Who::Service, &path(&wallet, "deposit"), body)
    };
    reference(&"r".repeat(100)).ok(200);
    for wrong in ["", "a b", "ü", &"r".repeat(101)] {
        reference(wrong).refused(400, "validation_failed");
    }
}

fn creations_are_replayed(server: &Server) {
    let create = |key: &str, label: &str| {
        let call = server
            .call(Who::Service, "POST", "/api/v1/wallets")
            .header("idempotency-key", key);
        call.json(&json!({"userId": "replayed", "label": label}))
            .send()
    };
    let key = fresh("key");
    let first = create(&key, "a").ok(201);
    let again = create(&key, "a").ok(201);
    assert!(again.is_replay() && !first.is_replay());
    assert_eq!(
        (again.id(), again.header("location")),
        (first.id(), first.header("location"))
    );
    let refused = create(&key, "b").refused(409, "idempotency_conflict");
    assert_eq!(refused.text_of("field"), "label");
    let account = |kind: &str| {
        let body = json!({"id": "replayed:account", "asset": "BRL", "kind": kind});
        server.post(Who::Service, "/api/v1/ledger/accounts", body)
    };
    let made = account("liability").ok(201);
    assert_eq!(
        made.header("location"),
        "/api/v1/ledger/accounts/replayed:account"
    );
    let again = account("liability").ok(200);
    assert!(again.is_replay());
    account("asset").refused(409, "idempotency_conflict");
    let asset = |scale: u8| {
        let body = json!({"code": "AGAIN", "scale": scale, "kind": "points"});
        server.post(Who::Admin, "/api/v1/ledger/assets", body)
    };
    asset(3).ok(201);
    assert!(asset(3).ok(200).is_replay());
    asset(4).refused(409, "idempotency_conflict");
}

fn lists_have_pages(server: &Server) {
    let user = fresh("pager");
    let made: Vec<String> = (0..5).map(|_| server.wallet(&user, "BRL")).collect();
    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server
            .get(
                Who::Service,
                &format!("/api/v1/users/{user}/wallets?limit=2{cursor}"),
            )
            .ok(200);
        let items = page.body["items"].as_array().expect("items");
        assert!((1..=2).contains(&items.len()));
        walked.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().expect("id").to_owned()),
        );
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(walked), sorted(made));
    let empty = server
        .get(Who::Service, "/api/v1/users/nobody-here/wallets")
        .ok(200);
    assert_eq!(empty.body, json!({"items": [], "nextCursor": null}));
}

fn the_process_tells_how_it_is(server: &Server) {
    server.get(Who::Nobody, "/health").ok(200);
    let ready = server.get(Who::Nobody, "/ready").ok(200);
    assert_eq!(
        (&ready.body["status"], &ready.body["notReady"]),
        (&json!("ok"), &json!([]))
    );
    let names: Vec<&str> = ready.body["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|check| check["name"].as_str().expect("name"))
        .collect();
    for name in ["store", "sequencer", "clock", "disk"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let alias = server.get(Who::Nobody, "/q/health").ok(200);
    assert_eq!(alias.body["status"], "ok");
    assert!(
        ready.text.contains("strict"),
        "the profile is shown: {}",
        ready.text
    );
}

fn metrics_count_by_route_and_outcome(server: &Server) {
    let wallet = server.funded("BRL", "1.00");
    server
        .withdraw(&wallet, "2.00")
        .refused(400, "insufficient_funds");
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    server
        .single(item(&fresh("t"), &source, &a, "1", "BRL"))
        .ok(201);
    let metrics = server.get(Who::Nobody, "/metrics").ok(200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for line in [
        "http_server_requests_seconds_bucket{",
        "route=\"/api/v1/wallets/{id}/withdraw\"",
        "outcome=\"refused\"",
        "wallet_operations_deposits_total",
        "wallet_operations_failed_total",
        "wallet_money_deposited_total{currency=\"BRL\"}",
        "ledger_last_seq",
        "ledger_results_total{code=\"created\"}",
        "ledger_commit_duration_seconds_bucket",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.text.contains(line), "{line}\n{}", metrics.text);
    }
    assert!(!metrics.text.contains(&wallet), "no wallet id as label");
}

fn the_description_is_complete(server: &Server) {
    let description = server.get(Who::Nobody, "/openapi.json").ok(200).body;
    assert!(
        description["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    for path in [
        "/api/v1/wallets/{id}/transfer",
        "/api/v1/ledger/transfers",
        "/api/v1/auth/token",
    ] {
        assert!(description["paths"][path]["post"].is_object(), "{path}");
    }
    let text = description.to_string();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("\"$ref\":\"#") {
        let (pointer, after) = after.split_once('"').expect("the text goes on");
        assert!(
            description.pointer(pointer).is_some(),
            "{pointer} leads nowhere"
        );
        rest = after;
    }
}

fn swagger_ui_comes_from_here(server: &Server) {
    let page = server.get(Who::Nobody, "/q/swagger-ui").ok(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'self'")
    );
    assert!(
        !page.text.contains("http://") && !page.text.contains("https://"),
        "{}",
        page.text
    );
    let mut files = 0;
    for (_, link) in page
        .text
        .match_indices("=\"/q/swagger-ui/")
        .map(|(at, _)| page.text[at..].split_at(2))
    {
        let link = link.split('"').next().expect("a link");
        let file = server.get(Who::Nobody, link).ok(200);
        assert!(!file.bytes.is_empty(), "{link}");
        files += 1;
    }
    assert!(files >= 3, "{}", page.text);
    let outside = server.get(Who::Nobody, "/q/swagger-ui/../../etc/passwd");
    assert!(outside.status >= 400, "{}", outside.text);
}

fn unknown_paths_and_methods(server: &Server) {
    server
        .get(Who::Service, "/api/v1/nothing")
        .refused(404, "not_found");
    let wrong = server
        .call(Who::Service, "DELETE", "/api/v1/wallets")
        .send();
    assert_eq!(wrong.status, 405, "{}", wrong.text);
    assert_eq!(wrong.header("content-type"), "application/problem+json");
    assert!(wrong.header("allow").contains("GET"), "{:?}", wrong.headers);
}

fn writes_name_their_seq(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let before = server.last_seq();
    let done = server
        .single(item(&fresh("t"), &source, &a, "1", "BRL"))
        .ok(201);
    assert_eq!(done.header("x-florin-seq"), (before + 1).to_string());
    assert_eq!(
        done.header("location"),
        format!("/api/v1/ledger/transfers/{}", done.id())
    );
    let shown = server.get(Who::Service, done.header("location")).ok(200);
    let seq: u64 = shown.header("x-florin-seq").parse().expect("a number");
    assert!(seq > before, "{seq}");
}

fn the_feed_follows(server: &Server) {
    let after = server.last_seq();
    let path = format!("/api/v1/ledger/changes?after={after}&follow=true");
    let mut lines = server
        .call(Who::Service, "GET", &path)
        .lines()
        .expect("a stream");
    assert_eq!(lines.status, 200);
    let wallet = server.funded("BRL", "1.00");
    let mut types = Vec::new();
    while types.len() < 3 {
        let line = lines.next().expect("connected").expect("goes on");
        let record: Value = serde_json::from_str(&line).expect("a line");
        if record.get("heartbeat").is_none() {
            assert_eq!(record["seq"], after + 1 + types.len() as u64);
            types.push(record["type"].as_str().expect("type").to_owned());
        }
    }
    assert_eq!(types, ["account.created", "wallet.created", "transfer"]);
    assert_eq!(server.balance(&wallet), "1.00");
}
