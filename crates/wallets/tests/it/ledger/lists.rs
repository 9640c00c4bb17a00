//! Lists, history and their cursors.

use serde_json::{Value, json};

use super::{ACCOUNTS, ADMIN, SERVICE, codes, item, last_seq, open, server, with};
use crate::support::Server;

/// All items of a list, page by page; after the first page `between` runs.
async fn walk<F: Future<Output = ()>>(
    server: &Server,
    path: &str,
    between: impl FnOnce() -> F,
) -> Vec<Value> {
    let mut items = Vec::new();
    let mut page = server.get(SERVICE, path).await.ok(200);
    between().await;
    loop {
        items.extend(
            page.body["items"]
                .as_array()
                .expect("items")
                .iter()
                .cloned(),
        );
        let Some(cursor) = page.body["nextCursor"].as_str() else {
            return items;
        };
        page = server
            .get(SERVICE, &format!("{path}&cursor={cursor}"))
            .await
            .ok(200);
    }
}

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["id"].as_str().expect("an id"))
        .collect()
}

async fn five(server: &Server) {
    let items = (1..=5)
        .map(|n| item(&format!("t{n}"), "a", "b", &n.to_string()))
        .collect();
    assert_eq!(codes(server, items).await, ["created"; 5]);
}

#[tokio::test]
async fn case_66_a_walk_shows_one_seq_and_cursors_are_bound() {
    let server = server().await;
    five(&server).await;
    for path in [
        "/api/v1/ledger/transfers?limit=2",
        "/api/v1/ledger/accounts/b/transfers?limit=2",
    ] {
        let id = format!("late{}", path.len());
        let late = || async {
            assert_eq!(
                codes(&server, vec![item(&id, "a", "b", "1")]).await,
                ["created"]
            );
        };
        let items = walk(&server, path, late).await;
        assert_eq!(ids(&items)[..5], ["t1", "t2", "t3", "t4", "t5"], "{path}");
        assert!(!ids(&items).contains(&id.as_str()));
        let first = server.get(SERVICE, path).await.ok(200);
        let cursor = first.text_of("nextCursor").to_owned();
        let other = server
            .get(SERVICE, &format!("{path}&code=test&cursor={cursor}"))
            .await;
        assert_eq!(other.code(), (400, "cursor_mismatch"));
        let mut altered = cursor.into_bytes();
        altered[10] = if altered[10] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ASCII");
        let other = server
            .get(SERVICE, &format!("{path}&cursor={altered}"))
            .await;
        assert_eq!(other.code(), (400, "cursor_invalid"));
    }
}

#[tokio::test]
async fn accounts_are_listed_as_of_the_first_page() {
    let server = server().await;
    server.clock.advance(1_000_000);
    let late = || async {
        server.clock.advance(1_000_000);
        open(&server, "late", "BRL", true).await;
    };
    let items = walk(&server, "/api/v1/ledger/accounts?limit=1", late).await;
    assert_eq!(ids(&items), ["a", "b", "poor"]);
    let filtered = server
        .get(SERVICE, "/api/v1/ledger/accounts?idPrefix=po&asset=BRL")
        .await
        .ok(200);
    assert_eq!(
        ids(filtered.body["items"].as_array().expect("items")),
        ["poor"]
    );
    let none = server
        .get(SERVICE, "/api/v1/ledger/accounts?asset=ZZZ")
        .await
        .ok(200);
    assert_eq!(none.body, json!({"items": [], "nextCursor": null}));
    let unknown = server.get(SERVICE, &format!("{ACCOUNTS}?colour=red")).await;
    assert_eq!(unknown.code(), (400, "unknown_field"));
}

#[tokio::test]
async fn transfers_are_filtered() {
    let server = server().await;
    five(&server).await;
    let pending = with(
        item("p", "b", "a", "9"),
        json!({"mode": "pending", "metadata": {"k": "v"}}),
    );
    let chain = vec![
        with(item("c1", "a", "b", "20"), json!({"linked": true})),
        item("c2", "a", "b", "21"),
        pending,
    ];
    assert_eq!(codes(&server, chain).await, ["created"; 3]);
    for (query, expected) in [
        ("minAmountMinor=3&maxAmountMinor=4", vec!["t3", "t4"]),
        ("mode=pending", vec!["p"]),
        ("state=pending", vec!["p"]),
        ("metadata.k=v", vec!["p"]),
        ("chainId=c1", vec!["c1", "c2"]),
        ("order=desc&limit=2", vec!["p", "c2"]),
        ("from=2999-01-01T00:00:00Z", vec![]),
        ("reversalOf=t1", vec![]),
    ] {
        let path = format!("/api/v1/ledger/transfers?{query}");
        let page = server.get(SERVICE, &path).await.ok(200);
        assert_eq!(
            ids(page.body["items"].as_array().expect("items")),
            expected,
            "{query}"
        );
        let path = format!("/api/v1/ledger/accounts/b/transfers?{query}");
        let page = server.get(SERVICE, &path).await.ok(200);
        assert_eq!(
            ids(page.body["items"].as_array().expect("items")),
            expected,
            "of b: {query}"
        );
    }
    let path = "/api/v1/ledger/accounts/b/transfers?side=debit";
    let page = server.get(SERVICE, path).await.ok(200);
    assert_eq!(ids(page.body["items"].as_array().expect("items")), ["p"]);
}

#[tokio::test]
async fn history_shows_the_balance_after_each_record() {
    let server = server().await;
    five(&server).await;
    let pending = with(item("p", "b", "a", "9"), json!({"mode": "pending"}));
    let dated = with(
        item("old", "a", "b", "100"),
        json!({"effectiveAt": "2020-01-01T00:00:00Z"}),
    );
    assert_eq!(codes(&server, vec![pending, dated]).await, ["created"; 2]);
    let column = |items: &[Value], name: &str| -> Vec<String> {
        items
            .iter()
            .map(|item| item[name].as_str().unwrap_or("").to_owned())
            .collect()
    };
    let path = "/api/v1/ledger/accounts/b/history?limit=3";
    let recorded = walk(&server, path, || async {}).await;
    assert_eq!(
        column(&recorded, "balanceAfter"),
        ["1", "3", "6", "10", "15", "15", "115"]
    );
    assert_eq!(
        column(&recorded, "availableAfter"),
        ["1", "3", "6", "10", "15", "6", "106"]
    );
    assert_eq!(column(&recorded, "phase")[5..], ["pending", "single"]);
    assert_eq!(column(&recorded, "side")[5..], ["debit", "credit"]);
    let path = "/api/v1/ledger/accounts/b/history?axis=effective&limit=3";
    let effective = walk(&server, path, || async {}).await;
    assert_eq!(column(&effective, "transferId")[..2], ["old", "t1"]);
    assert_eq!(column(&effective, "balanceAfter")[..2], ["100", "101"]);
    assert!(effective[0].get("availableAfter").is_none());
    let path = "/api/v1/ledger/accounts/b/history?order=desc&limit=1";
    let newest = server.get(SERVICE, path).await.ok(200);
    assert_eq!(newest.body["items"][0]["transferId"], "old");
}

/// A request that wants data at least as new as a `seq`.
async fn at_least(server: &Server, who: &str, method: &str, path: &str, min: u64) -> (u16, String) {
    let body = match method {
        "POST" => json!({"ids": ["t1"]}).to_string(),
        _ => String::new(),
    };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", who)
        .header("content-type", "application/json")
        .header("x-min-seq", min)
        .body(axum::body::Body::from(body));
    let reply = server.send(request.expect("a request")).await;
    (reply.status, reply.text)
}

#[tokio::test]
async fn every_read_of_the_ledger_honours_a_smallest_seq() {
    let server = server().await;
    five(&server).await;
    let made = server
        .post(ADMIN, "/api/v1/ledger/checkpoints", json!({}))
        .await;
    made.ok(201);
    let head = last_seq(&server).await;
    let reads = [
        ("GET", "/api/v1/ledger"),
        ("GET", "/api/v1/ledger/trial-balance"),
        ("GET", "/api/v1/ledger/assets"),
        ("GET", "/api/v1/ledger/assets/BRL"),
        ("GET", "/api/v1/ledger/accounts"),
        ("GET", "/api/v1/ledger/accounts/a"),
        ("GET", "/api/v1/ledger/accounts/a/balance"),
        ("GET", "/api/v1/ledger/accounts/a/history"),
        ("GET", "/api/v1/ledger/accounts/a/transfers"),
        ("GET", "/api/v1/ledger/transfers"),
        ("POST", "/api/v1/ledger/transfers/lookup"),
        ("GET", "/api/v1/ledger/transfers/t1"),
        ("GET", "/api/v1/ledger/changes"),
        ("GET", "/api/v1/ledger/export"),
        ("GET", "/api/v1/ledger/checkpoints"),
        ("GET", "/api/v1/ledger/checkpoints/keys"),
        ("GET", "/api/v1/ledger/checkpoints/1"),
        ("GET", "/api/v1/ledger/checkpoints/1/consistency?from=1"),
        ("GET", "/api/v1/ledger/proofs/t1"),
    ];
    for (method, path) in reads {
        let (status, text) = at_least(&server, ADMIN, method, path, head).await;
        assert_eq!(status, 200, "{path}: {text}");
        let (status, text) = at_least(&server, ADMIN, method, path, head + 1).await;
        assert_eq!(status, 409, "{path}: {text}");
        assert!(text.contains("seq_ahead"), "{path}: {text}");
    }
}
