//! Rows 1 to 25 of contract F3, over HTTP, and that nothing of them was recorded.

use crate::web::{AUDITOR, SERVICE, json, web};
use florin_shadow::store::Settings;

const TIME: i64 = 1_735_561_800_000;

/// `base` with one member replaced by raw JSON, or left out for `None`.
fn with(field: &str, raw: Option<&str>) -> String {
    let members = [
        ("eventId", "\"E1\""),
        ("accountId", "\"A1\""),
        ("type", "\"credit\""),
        ("amount", "10"),
        ("timestamp", "1735561800000"),
    ];
    let mut parts: Vec<String> = members
        .iter()
        .filter(|(name, _)| *name != field)
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    if let Some(raw) = raw {
        parts.push(format!("\"{field}\":{raw}"));
    }
    format!("{{{}}}", parts.join(","))
}

#[tokio::test]
pub async fn rows_1_to_6_answer_first_and_alone() {
    let web = web(Settings::default()).await;
    let cases = [
        ("not json", 400, "malformed_json"),
        (r#"{"amount":NaN}"#, 400, "malformed_json"),
        (r#"[{"eventId":"E1"}]"#, 400, "malformed_json"),
        (
            r#"{"eventId":"","isCorrection":true}"#,
            400,
            "unknown_field",
        ),
        (r#"{"eventId":"E1","eventId":""}"#, 400, "duplicate_field"),
    ];
    for (body, status, code) in cases {
        let reply = web.event(body).await;
        assert_eq!(reply.code(), (status, code), "{body}");
        assert_eq!(reply.body["error"], code, "existing clients read `error`");
        assert_eq!(reply.body["message"], reply.body["detail"]);
    }
    let text = [("content-type", "text/plain")];
    let path = "/api/v1/shadow/events";
    let reply = web.send(SERVICE, "POST", path, &text, b"{}".to_vec()).await;
    assert_eq!(reply.code(), (415, "unsupported_media_type"), "row 5");
    let json = [("content-type", "application/json")];
    let big = vec![b' '; 2 << 20];
    let reply = web.send(SERVICE, "POST", path, &json, big).await;
    assert_eq!(reply.code(), (413, "body_too_large"), "row 6");
    assert_eq!(web.get("/api/v1/shadow/log/head").await.body["logSeq"], 0);
}

#[tokio::test]
pub async fn rows_7_and_8_no_credential_wrong_role_out_of_scope() {
    let web = web(Settings::default()).await;
    let path = "/api/v1/shadow/events";
    let body = with("", None);
    assert_eq!(
        web.post_as("", path, &body).await.code(),
        (401, "unauthenticated")
    );
    assert_eq!(
        web.post_as(AUDITOR, path, &body).await.code(),
        (403, "forbidden")
    );
    for who in ["user:bob", "user:bob:B1,C-*"] {
        assert_eq!(
            web.post_as(who, path, &body).await.code(),
            (403, "account_out_of_scope"),
            "{who}"
        );
    }
    web.post_as("user:bob:A*", path, &body).await.ok(202);
    let read = "/api/v1/shadow/accounts/B1/shadow-balance";
    let reply = web.send("user:bob:A*", "GET", read, &[], Vec::new()).await;
    assert_eq!(reply.code(), (403, "account_out_of_scope"));
}

#[tokio::test]
pub async fn rows_9_to_23_name_each_fault() {
    let web = web(Settings::default()).await;
    for field in ["eventId", "accountId", "type", "amount", "timestamp"] {
        for raw in [None, Some("null")] {
            let reply = web.event(&with(field, raw)).await;
            assert_eq!(reply.code(), (400, "required"), "row 9: {field} {raw:?}");
            assert_eq!(reply.body["errors"][0]["field"], field);
        }
    }
    let long = format!("\"{}\"", "x".repeat(129));
    let beyond = format!("1{}", "0".repeat(28));
    let ahead = (TIME + 3_600_000 + 10_000_000_000).to_string();
    let rows: &[(&str, &str, &str, &str)] = &[
        ("10", "eventId", "\" \"", "invalid_id"),
        ("10", "eventId", "\"\"", "invalid_id"),
        ("10", "eventId", &long, "invalid_id"),
        ("10", "eventId", "\"a/b\"", "invalid_id"),
        ("10", "eventId", "\"a b\"", "invalid_id"),
        ("10", "accountId", "\"a/b\"", "invalid_id"),
        ("11", "eventId", "\"CORR-A1-1\"", "reserved_id"),
        ("12", "type", "\"CREDIT\"", "invalid_type"),
        ("12", "type", "\"bonus\"", "invalid_type"),
        ("13", "amount", "0", "amount_out_of_range"),
        ("13", "amount", "-5", "amount_out_of_range"),
        ("13", "amount", "0.00", "amount_out_of_range"),
        ("14", "amount", "0.001", "amount_precision"),
        ("14", "amount", "1.005", "amount_precision"),
        ("14", "amount", "10.000", "amount_precision"),
        ("15", "amount", "1e2", "amount_invalid"),
        ("15", "amount", "\"1,5\"", "amount_invalid"),
        ("15", "amount", "\" 1\"", "amount_invalid"),
        ("15", "amount", "\"+1\"", "amount_invalid"),
        ("16", "amount", "true", "amount_invalid"),
        ("16", "amount", "{}", "amount_invalid"),
        ("16", "amount", "\"\"", "amount_invalid"),
        ("17", "amount", &beyond, "amount_out_of_range"),
        ("18", "timestamp", "1735561800", "timestamp_too_old"),
        ("19", "timestamp", &ahead, "timestamp_in_future"),
        (
            "20",
            "timestamp",
            "\"2025-01-01T00:00:00\"",
            "timestamp_zone_missing",
        ),
        (
            "21",
            "timestamp",
            "\"2025-01-01T00:00:00.0001Z\"",
            "timestamp_precision",
        ),
        ("22", "timestamp", "1.5", "invalid_timestamp"),
        ("22", "timestamp", "\"1735561800000\"", "invalid_timestamp"),
        ("23", "currency", "\"XXQ\"", "currency_unknown"),
        ("A1", "sequence", "-1", "invalid_sequence"),
        ("A1", "reference", "\"a\\u0007\"", "invalid_text"),
    ];
    for (row, field, raw, code) in rows {
        let reply = web.event(&with(field, Some(raw))).await;
        assert_eq!(reply.code(), (400, *code), "row {row}: {field} {raw}");
        assert_eq!(reply.body["errors"][0]["field"], *field, "row {row}");
    }
    let several = web
        .event(r#"{"accountId":"a/b","type":"X","amount":0,"timestamp":1}"#)
        .await;
    assert_eq!(several.code(), (400, "validation_failed"));
    let codes: Vec<&str> = several.body["errors"]
        .as_array()
        .expect("all faults")
        .iter()
        .map(|error| error["code"].as_str().expect("code"))
        .collect();
    assert_eq!(
        codes,
        [
            "required",
            "invalid_id",
            "invalid_type",
            "amount_out_of_range",
            "timestamp_too_old"
        ]
    );
    assert_eq!(web.get("/api/v1/shadow/log/head").await.body["logSeq"], 0);
}

#[tokio::test]
pub async fn row_24_a_known_id_is_told_apart_by_its_content() {
    let web = web(Settings::default()).await;
    let body = json("E1", "A1", "credit", "10", TIME);
    let first = web.event(&body).await.ok(202);
    assert_eq!(first.body["state"], "applied");
    assert_eq!(first.body["status"], "accepted");
    assert_eq!(
        first.body["traceId"].as_str(),
        first.headers["x-trace-id"].to_str().ok()
    );
    // The same content in another form is identical.
    let again = r#"{"eventId":"E1","accountId":"A1","type":"credit","amount":"10.00","timestamp":"2024-12-30T12:30:00Z","currency":"BRL"}"#;
    let twice = web.event(again).await;
    assert_eq!(twice.code(), (409, "duplicate_event"));
    assert_eq!(twice.body["identical"], true);
    assert_eq!(twice.body["stored"]["state"], "applied");
    let other = web.event(&json("E1", "A1", "credit", "11", TIME)).await;
    assert_eq!(other.code(), (409, "event_conflict"));
    assert_eq!(other.body["identical"], false);
    assert_eq!(other.body["firstDifference"], "amount");
    assert_eq!(other.body["incidentId"], "INC-2");
    let balance = web
        .get("/api/v1/shadow/accounts/A1/shadow-balance")
        .await
        .ok(200);
    assert_eq!(
        balance.text,
        r#"{"accountId":"A1","balance":10,"currency":"BRL","lastEvent":"E1"}"#
    );
}

#[tokio::test]
pub async fn row_25_ill_formed_instants() {
    let web = web(Settings::default()).await;
    let path = "/api/v1/shadow/accounts/A1/shadow-balance";
    let reply = web.get(&format!("{path}?asOf=yesterday")).await;
    assert_eq!(reply.code(), (400, "invalid_timestamp"));
    let reply = web
        .get(&format!("{path}?knownAt=2099-01-01T00:00:00Z"))
        .await;
    assert_eq!(reply.code(), (400, "known_at_in_future"));
    let reply = web
        .get("/api/v1/shadow/accounts/a%20b/shadow-balance")
        .await;
    assert_eq!(reply.code(), (400, "invalid_id"));
}

#[tokio::test]
pub async fn an_idempotency_key_replays_and_guards() {
    let web = web(Settings::default()).await;
    let path = "/api/v1/shadow/events";
    let send = |key: &'static str, body: String| {
        let web = &web;
        async move {
            let headers = [
                ("content-type", "application/json"),
                ("idempotency-key", key),
            ];
            web.send(SERVICE, "POST", path, &headers, body.into_bytes())
                .await
        }
    };
    let body = json("E1", "A1", "credit", "10", TIME);
    let first = send("k1", body.clone()).await.ok(202);
    let again = send("k1", body.clone()).await.ok(202);
    assert_eq!(again.text, first.text);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = send("k1", json("E2", "A1", "credit", "10", TIME)).await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    let bad = send("a b", body).await;
    assert_eq!(bad.code(), (400, "idempotency_key_invalid"));
}

#[tokio::test]
pub async fn a_batch_tells_what_became_of_each_item() {
    let web = web(Settings::default()).await;
    let path = "/api/v1/shadow/events/batch";
    let items = [
        json("E1", "A1", "credit", "10", TIME),
        json("E1", "A1", "credit", "10", TIME),
        json("E1", "A1", "credit", "11", TIME),
        r#"{"eventId":"E9"}"#.to_owned(),
        json("E2", "A1", "debit", "15", TIME + 1),
    ];
    let reply = web
        .post_as(SERVICE, path, &format!("[{}]", items.join(",")))
        .await
        .ok(202);
    let counts = ["accepted", "duplicates", "conflicts", "invalid"];
    let counts = counts.map(|name| reply.body[name].as_u64().expect("a count"));
    assert_eq!(counts, [2, 1, 1, 1]);
    let seen: Vec<(&str, &str)> = reply.body["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|r| {
            (
                r["status"].as_str().expect("status"),
                r["state"].as_str().unwrap_or("-"),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("accepted", "applied"),
            ("duplicate", "applied"),
            ("conflict", "applied"),
            ("invalid", "-"),
            ("accepted", "held"),
        ]
    );
    let errors = web
        .post_as(
            SERVICE,
            &format!("{path}?results=errors"),
            &format!("[{}]", json("E3", "A1", "credit", "1", TIME + 2)),
        )
        .await
        .ok(202);
    assert_eq!(errors.body["results"], serde_json::json!([]));
    assert_eq!(
        web.post_as(SERVICE, path, "[]").await.code(),
        (400, "empty_batch")
    );
    let many = format!("[{}]", vec!["{}"; 10_001].join(","));
    assert_eq!(
        web.post_as(SERVICE, path, &many).await.code(),
        (413, "batch_too_large")
    );
    let head = web.get("/api/v1/shadow/log/head").await.body["logSeq"].clone();
    let atomic = format!("{path}?atomic=true");
    let reply = web
        .post_as(
            SERVICE,
            &atomic,
            &format!(
                "[{},{}]",
                json("E7", "A1", "credit", "1", TIME),
                json("E1", "A1", "credit", "2", TIME)
            ),
        )
        .await;
    assert_eq!(reply.code(), (409, "event_conflict"));
    let reply = web
        .post_as(
            SERVICE,
            &atomic,
            &format!("[{},{{}}]", json("E7", "A1", "credit", "1", TIME)),
        )
        .await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        web.get("/api/v1/shadow/log/head").await.body["logSeq"],
        head,
        "nothing of an atomic batch that fails is stored"
    );
}

#[tokio::test]
pub async fn a_broken_line_spoils_only_itself() {
    let web = web(Settings::default()).await;
    let body = format!(
        "{}\nnot json\n\n{}\n",
        json("E1", "A1", "credit", "10", TIME),
        json("E2", "B1", "credit", "10", TIME)
    );
    let lines = [("content-type", "application/x-ndjson")];
    let reply = web
        .send(
            "user:bob:A*",
            "POST",
            "/events/batch",
            &lines,
            body.into_bytes(),
        )
        .await
        .ok(202);
    assert_eq!(reply.body["results"][1]["code"], "malformed_json");
    assert_eq!(reply.body["results"][2]["code"], "account_out_of_scope");
    assert_eq!(reply.body["accepted"], 1);
}
