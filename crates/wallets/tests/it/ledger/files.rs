//! Export and import.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::{ADMIN, SERVICE, balance, codes, item, last_seq, lines, server, with};
use crate::support::{Reply, Server};

const EXPORT: &str = "/api/v1/ledger/export";

async fn import(server: &Server, who: &str, query: &str, text: &str) -> Reply {
    let request = Request::post(format!("/api/v1/ledger/import{query}"))
        .header("authorization", who)
        .header("content-type", "application/x-ndjson")
        .body(Body::from(text.to_owned()));
    server.send(request.expect("a request")).await
}

fn line(kind: &str, members: Value) -> String {
    let mut line = with(json!({"type": kind}), members).to_string();
    line.push('\n');
    line
}

fn file() -> String {
    [
        line("asset", json!({"code": "CHF", "scale": 2, "kind": "fiat"})),
        line(
            "account",
            json!({"id": "bank", "asset": "CHF", "kind": "asset", "mayOverdraw": true}),
        ),
        line(
            "account",
            json!({"id": "rent", "asset": "CHF", "kind": "expense"}),
        ),
        line(
            "transfer",
            json!({
                "id": "i1", "debitAccountId": "rent", "creditAccountId": "bank", "amountMinor": "5",
                "asset": "CHF", "code": "rent", "effectiveAt": "1993-01-01T00:00:00Z",
            }),
        ),
    ]
    .concat()
}

#[tokio::test]
async fn case_74_the_same_file_twice_and_dates_before_the_account() {
    let server = server().await;
    assert_eq!(
        import(&server, SERVICE, "", &file()).await.code(),
        (403, "forbidden")
    );
    let first = lines(&import(&server, ADMIN, "", &file()).await.ok(200));
    assert_eq!(first.len(), 5);
    assert_eq!(first[3], json!({"line": 4, "id": "i1", "code": "created"}));
    let summary = json!({"summary": {"created": 4, "exists": 0, "refused": 0, "belowFloor": []}});
    assert_eq!(first[4], summary);
    let last = last_seq(&server).await;
    let again = lines(&import(&server, ADMIN, "", &file()).await.ok(200));
    assert!(
        again[..4].iter().all(|line| line["code"] == "exists"),
        "{again:?}"
    );
    assert_eq!(last_seq(&server).await, last, "nothing was recorded again");
    assert_eq!(balance(&server, "rent").await, "5");
}

#[tokio::test]
async fn bad_lines_are_answered_in_order_and_stop_nothing() {
    let server = server().await;
    let long = format!("{{\"type\":\"{}\"}}\n", "x".repeat(70_000));
    let text = [
        "nonsense\n",
        "\n",
        &long,
        &line("asset", json!({"code": "CHF", "colour": 1})),
        &file(),
    ]
    .concat();
    let results = lines(&import(&server, ADMIN, "", &text).await.ok(200));
    let numbers: Vec<_> = results
        .iter()
        .filter_map(|line| line["line"].as_u64())
        .collect();
    assert_eq!(
        numbers,
        [1, 3, 4, 5, 6, 7, 8],
        "an empty line has no result"
    );
    assert_eq!(results[2]["code"], "unknown_field");
    assert_eq!(results[6]["code"], "created");
    assert_eq!(results[7]["summary"]["refused"], 3);
}

#[tokio::test]
async fn floors_may_be_skipped_and_are_then_listed() {
    let server = server().await;
    let text = line(
        "transfer",
        json!({
            "id": "i1", "debitAccountId": "poor", "creditAccountId": "a", "amountMinor": "5",
            "asset": "BRL", "code": "opening", "effectiveAt": "1993-01-01T00:00:00Z",
        }),
    );
    let checked = lines(
        &import(&server, ADMIN, "", &text.replace("i1", "i0"))
            .await
            .ok(200),
    );
    assert_eq!(checked[0]["code"], "insufficient_funds");
    let skipped = lines(&import(&server, ADMIN, "?floors=skip", &text).await.ok(200));
    assert_eq!(skipped[0]["code"], "created");
    assert_eq!(skipped[1]["summary"]["belowFloor"], json!(["poor"]));
    let feed = server
        .get(SERVICE, "/api/v1/ledger/changes?types=transfer")
        .await
        .ok(200);
    assert_eq!(lines(&feed)[0]["data"]["floorSkipped"], true);
}

#[tokio::test]
async fn inv_l24_an_export_imports_into_an_empty_ledger() {
    let from = server().await;
    let wallet = from.funded("maria", "BRL", "10.00").await;
    from.hold(&wallet, "4.00").await.ok(201);
    let chain = vec![
        with(item("c1", "a", "b", "3"), json!({"linked": true})),
        item("c2", "b", "a", "1"),
    ];
    assert_eq!(codes(&from, chain).await, ["created"; 2]);
    assert_eq!(from.get(SERVICE, EXPORT).await.code(), (403, "forbidden"));
    let export = from.get(ADMIN, EXPORT).await.ok(200);
    let feed = from.get(SERVICE, "/api/v1/ledger/changes").await.ok(200);
    assert_eq!(export.text, feed.text, "the exact feed lines");
    let to = Server::start();
    // The dates of the file must have passed.
    to.clock.advance(60_000_000);
    let results = lines(&import(&to, ADMIN, "", &export.text).await.ok(200));
    let summary = &results.last().expect("a summary")["summary"];
    assert_eq!(summary["refused"], 0, "{results:#?}");
    for account in ["a", "b", "poor"] {
        assert_eq!(balance(&from, account).await, balance(&to, account).await);
    }
    assert_eq!(to.figures(&wallet).await, from.figures(&wallet).await);
    let again = lines(&import(&to, ADMIN, "", &export.text).await.ok(200));
    let summary = &again.last().expect("a summary")["summary"];
    assert_eq!(
        (&summary["created"], &summary["refused"]),
        (&json!(0), &json!(0)),
        "{again:#?}"
    );
}

#[tokio::test]
async fn csv_has_one_row_for_each_transfer_and_no_formulas() {
    let server = server().await;
    let risky = with(
        item("-t1", "a", "b", "1250"),
        json!({"description": "=1+1, \"x\""}),
    );
    assert_eq!(codes(&server, vec![risky]).await, ["created"]);
    let csv = server
        .get(ADMIN, &format!("{EXPORT}?format=csv"))
        .await
        .ok(200);
    assert!(csv.header("content-type").starts_with("text/csv"));
    let rows: Vec<&str> = csv.text.split("\r\n").collect();
    assert_eq!(rows.len(), 3, "header, row, end: {rows:?}");
    assert!(rows[0].starts_with("seq,batch,id,mode,debitAccountId"));
    assert!(
        rows[1].contains(",'-t1,single,a,b,1250,12.50,BRL,test,"),
        "{}",
        rows[1]
    );
    assert!(rows[1].ends_with(",\"'=1+1, \"\"x\"\"\""), "{}", rows[1]);
}

#[tokio::test]
async fn exports_are_bounded_by_seq_and_time() {
    let server = server().await;
    server.clock.advance(1_000_000);
    let dated = with(
        item("t1", "a", "b", "1"),
        json!({"effectiveAt": "2020-01-01T00:00:00Z"}),
    );
    assert_eq!(
        codes(&server, vec![dated, item("t2", "a", "b", "1")]).await,
        ["created"; 2]
    );
    let transfers = |text: &str| {
        text.lines()
            .filter(|line| line.contains("\"type\":\"transfer\""))
            .count()
    };
    let count = |reply: Reply| (reply.text.lines().count(), transfers(&reply.text));
    let last = last_seq(&server).await;
    let after = server
        .get(ADMIN, &format!("{EXPORT}?afterSeq={}", last - 1))
        .await
        .ok(200);
    assert_eq!(count(after), (1, 1));
    let second = server
        .get(SERVICE, "/api/v1/ledger/transfers/t2")
        .await
        .ok(200);
    let from = second.text_of("recordedAt");
    let since = server
        .get(ADMIN, &format!("{EXPORT}?from={from}"))
        .await
        .ok(200);
    assert_eq!(count(since), (2, 2), "both share a commit");
    let before = server
        .get(ADMIN, &format!("{EXPORT}?to={from}"))
        .await
        .ok(200);
    assert_eq!(count(before).1, 0);
    let early = server
        .get(
            ADMIN,
            &format!("{EXPORT}?axis=effective&to=2021-01-01T00:00:00Z"),
        )
        .await
        .ok(200);
    assert_eq!(count(early).1, 1);
}
