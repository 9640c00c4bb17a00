//! The change feed.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{SERVICE, codes, item, last_seq, lines, open, server, with};
use crate::support::Server;

const CHANGES: &str = "/api/v1/ledger/changes";

async fn feed(server: &Server, query: &str) -> Vec<Value> {
    let reply = server
        .get(SERVICE, &format!("{CHANGES}?{query}"))
        .await
        .ok(200);
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    lines(&reply)
}

fn seqs(lines: &[Value]) -> Vec<u64> {
    lines
        .iter()
        .map(|line| line["seq"].as_u64().expect("a seq"))
        .collect()
}

#[tokio::test]
async fn inv_l7_the_feed_has_no_gaps_and_pages_join() {
    let server = server().await;
    assert_eq!(
        codes(&server, vec![item("t1", "a", "b", "1")]).await,
        ["created"]
    );
    let last = last_seq(&server).await;
    let whole = server.get(SERVICE, CHANGES).await.ok(200);
    assert_eq!(seqs(&lines(&whole)), (1..=last).collect::<Vec<_>>());
    let mut joined = String::new();
    for after in 0..last {
        let page = server
            .get(SERVICE, &format!("{CHANGES}?after={after}&limit=1"))
            .await
            .ok(200);
        joined.push_str(&page.text);
    }
    assert_eq!(joined, whole.text, "INV-L6: the same bytes");
    assert!(whole.text.ends_with("}\n"));
}

#[tokio::test]
async fn case_67_beyond_the_end_and_at_the_end() {
    let server = server().await;
    let last = last_seq(&server).await;
    let end = server
        .get(SERVICE, &format!("{CHANGES}?after={last}"))
        .await
        .ok(200);
    assert_eq!(end.text, "");
    let beyond = server
        .get(SERVICE, &format!("{CHANGES}?after={}", last + 1))
        .await;
    assert_eq!(beyond.code(), (409, "seq_ahead"));
}

#[tokio::test]
async fn filters_leave_holes_only() {
    let server = server().await;
    open(&server, "c", "BRL", true).await;
    let items = vec![
        item("t1", "a", "b", "1"),
        item("t2", "c", "b", "1"),
        item("t3", "a", "b", "1"),
    ];
    assert_eq!(codes(&server, items).await, ["created"; 3]);
    let ids = |lines: Vec<Value>| -> Vec<String> {
        lines
            .iter()
            .map(|line| line["data"]["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    assert_eq!(
        ids(feed(&server, "types=transfer").await),
        ["t1", "t2", "t3"]
    );
    assert_eq!(ids(feed(&server, "accounts=c").await), ["c", "t2"]);
    assert_eq!(
        ids(feed(&server, "accounts=a,c&types=transfer&limit=2").await),
        ["t1", "t2"]
    );
    let bad = server
        .get(SERVICE, &format!("{CHANGES}?types=transfers"))
        .await;
    assert_eq!(bad.code(), (400, "validation_failed"));
}

#[tokio::test]
async fn a_follower_gets_what_is_recorded_later() {
    let server = server().await;
    let last = last_seq(&server).await;
    let path = format!("{CHANGES}?after={last}&follow=true");
    let request = Request::get(path)
        .header("authorization", SERVICE)
        .body(Body::empty());
    let mut body = server.open(request.expect("a request")).await;
    for n in 1..=3 {
        let id = format!("t{n}");
        assert_eq!(
            codes(&server, vec![item(&id, "a", "b", "1")]).await,
            ["created"]
        );
        let frame = body.frame().await.expect("goes on").expect("whole");
        let line: Value =
            serde_json::from_slice(frame.data_ref().expect("data")).expect("one line");
        assert_eq!(
            (&line["seq"], &line["data"]["id"]),
            (&json!(last + n), &json!(id))
        );
    }
}

/// A8: a quiet stream says every so often how far the feed is, so that its reader knows it alive.
#[tokio::test]
async fn a_quiet_follower_gets_heartbeats_with_the_last_seq() {
    assert_eq!(florin_wallets::api::HEARTBEAT.as_secs(), 15, "contract A8");
    let server = Server::with_heartbeat(std::time::Duration::from_millis(30));
    open(&server, "a", "BRL", true).await;
    let last = last_seq(&server).await;
    let path = format!("{CHANGES}?after={last}&follow=true");
    let request = Request::get(path)
        .header("authorization", SERVICE)
        .body(Body::empty());
    let mut body = server.open(request.expect("a request")).await;
    let mut beats = 0;
    let mut lines = Vec::new();
    while lines.is_empty() || beats < 3 {
        let frame = body.frame().await.expect("goes on").expect("whole");
        let text = std::str::from_utf8(frame.data_ref().expect("data")).expect("UTF-8");
        assert!(text.ends_with('\n'), "whole lines");
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("one line");
            match line["heartbeat"].as_u64() {
                Some(seq) => {
                    beats += 1;
                    assert_eq!(seq, last + lines.len() as u64);
                    assert_eq!(line, json!({"heartbeat": seq}));
                }
                None => lines.push(line["seq"].as_u64().expect("a record")),
            }
        }
        if beats == 2 && lines.is_empty() {
            open(&server, "b", "BRL", true).await;
        }
    }
    assert_eq!(lines, [last + 1]);
}

#[tokio::test]
async fn a_follower_that_wants_so_many_lines_gets_an_end() {
    let server = server().await;
    let last = last_seq(&server).await;
    let path = format!("{CHANGES}?after={last}&follow=true&limit=2&types=transfer");
    let request = Request::get(path)
        .header("authorization", SERVICE)
        .body(Body::empty());
    let body = server.open(request.expect("a request")).await;
    let dated = with(
        item("t2", "a", "b", "1"),
        json!({"effectiveAt": "2020-01-01T00:00:00Z"}),
    );
    let items = vec![item("t1", "a", "b", "1"), dated, item("t3", "a", "b", "1")];
    assert_eq!(codes(&server, items).await, ["created"; 3]);
    let bytes = body.collect().await.expect("ends").to_bytes();
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    assert_eq!(text.lines().count(), 2);
}
