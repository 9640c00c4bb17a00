//! `Idempotency-Key` at every route that makes or moves something: the same request gets the first
//! answer again, another one is told where it differs (contracts, "idempotency").

use serde_json::{Value, json};

use crate::desk::{SECOND, house};
use crate::reconciling_world::*;
use crate::support::{NOW, event, take};
use crate::web::{ADMIN, Reply, SERVICE, Web, json as event_json};

const MS: i64 = NOW / 1_000;
const HOUR: i64 = 3_600_000;

async fn keyed(web: &Web, who: &str, path: &str, key: &str, body: &Value) -> Reply {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    let path = format!("/api/v1/shadow/{path}");
    let body = body.to_string().into_bytes();
    web.send(who, "POST", &path, &headers, body).await
}

#[track_caller]
fn assert_replayed(again: &Reply, first: &Reply) {
    assert_eq!(again.status, first.status, "{}", again.text);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(without_trace(&again.body), without_trace(&first.body));
}

#[track_caller]
fn assert_conflict(reply: &Reply, field: &str) {
    assert_eq!(
        reply.code(),
        (409, "idempotency_conflict"),
        "{}",
        reply.text
    );
    assert_eq!(reply.body["firstDifference"], field);
    assert_eq!(reply.body["error"], "idempotency_conflict");
}

fn without_trace(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(all) = body.as_object_mut() {
        all.remove("traceId");
    }
    body
}

#[tokio::test]
pub async fn matches_by_hand_are_made_once() {
    let world = world().await;
    let entries = vec![event("E1", "A1", 500, JAN), event("E2", "A1", 500, JAN)];
    take(&world.web.bench.shadow, entries).await;
    let file = camt("S1", 0, &[(500, 5, "Q"), (500, 6, "W")]);
    let stored = world.import("accountId=A1&autoMatch=false", file).await;
    let stored = stored.ok(201).body["statements"][0]["statementId"].clone();
    let line = format!("{}.1", stored.as_str().expect("id"));
    let body = |reason: &str| json!({"accountId": "A1", "lineIds": [line], "eventIds": ["E1"], "reason": reason});
    let post = |key: &'static str, body: Value| {
        let web = &world.web;
        async move { keyed(web, OPERATOR, "matches", key, &body).await }
    };
    let first = post("k", body("seen")).await.ok(201);
    let matches = world.count("shadow_matches").await;
    assert_replayed(&post("k", body("seen")).await, &first);
    assert_conflict(&post("k", body("other")).await, "reason");
    assert_eq!(
        post("k2", body("seen")).await.code(),
        (409, "already_matched")
    );
    let id = first.body["matchId"].as_str().expect("id");
    let undo = json!({"reason": "wrong"});
    world
        .json("POST", &format!("/matches/{id}/undo"), undo)
        .await
        .ok(200);
    // The first answer stays what it was; a key that made nothing is free.
    assert_replayed(&post("k", body("seen")).await, &first);
    assert_eq!(world.count("shadow_matches").await, matches);
    post("k2", body("seen")).await.ok(201);
}

#[tokio::test]
pub async fn reconciliations_and_imports_are_begun_once() {
    let world = world().await;
    take(&world.web.bench.shadow, vec![event("E1", "A1", 500, JAN)]).await;
    let import = |key: &'static str, file: String| {
        let headers = [
            ("content-type", "application/octet-stream"),
            ("idempotency-key", key),
        ];
        let web = &world.web;
        let path = "/api/v1/shadow/statements?accountId=A1&autoMatch=false";
        async move {
            web.send(OPERATOR, "POST", path, &headers, file.into_bytes())
                .await
        }
    };
    let file = camt("S1", 0, &[(500, 5, "Q")]);
    let other = camt("S2", 500, &[(100, 6, "W")]);
    let first = import("k", file.clone()).await.ok(201);
    let again = import("k", file.clone()).await.ok(200);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.body["importId"], first.body["importId"]);
    assert_conflict(&import("k", other.clone()).await, "file");
    import("k2", file).await.ok(200);
    assert_conflict(&import("k2", other.clone()).await, "file");
    import("k3", other).await.ok(201);

    let body = |to: &str| json!({"accountId": "A1", "from": "2025-01-01", "to": to});
    let run = |body: Value| {
        let web = &world.web;
        async move { keyed(web, OPERATOR, "reconciliations", "r", &body).await }
    };
    let first = run(body("2025-02-01")).await.ok(201);
    assert_replayed(&run(body("2025-02-01")).await, &first);
    assert_conflict(&run(body("2025-02-02")).await, "to");
    assert_eq!(world.count("shadow_reconciliations").await, 1);
}

#[tokio::test]
pub async fn steps_of_corrections_are_done_once() {
    let house = house(|_| {}).await;
    house.event("E1", "A1", "credit", "1000", MS - HOUR).await;
    let big = json!({"type": "debit", "amount": 500, "reason": "r", "eventId": "C1"});
    let web = &house.web;
    keyed(web, ADMIN, "correct/A1", "c", &big).await.ok(202);
    let step = |who: &'static str, what: String, key: &'static str, reason: &'static str| async move {
        keyed(web, who, &what, key, &json!({"reason": reason})).await
    };
    let approve = "corrections/C1/approve";
    let approved = step(SECOND, approve.into(), "a", "yes").await.ok(200);
    assert_eq!(approved.body["status"], "applied");
    let again = step(SECOND, approve.into(), "a", "yes").await;
    assert_replayed(&again, &approved);
    assert_conflict(&step(SECOND, approve.into(), "a", "no").await, "reason");
    // Somebody else's key is another key.
    let other = step(ADMIN, approve.into(), "a", "yes").await;
    assert_eq!(other.code(), (409, "invalid_state"));

    let reverse = "corrections/C1/reverse";
    let reversed = step(ADMIN, reverse.into(), "b", "undo").await.ok(202);
    assert_replayed(&step(ADMIN, reverse.into(), "b", "undo").await, &reversed);
    let id = reversed.body["eventId"].as_str().expect("id").to_owned();
    step(SECOND, format!("corrections/{id}/approve"), "d", "yes")
        .await
        .ok(200);
    // The first answer: it waited then.
    assert_replayed(&step(ADMIN, reverse.into(), "b", "undo").await, &reversed);
    assert_eq!(house.balance("A1").await, 1_000);
    assert_eq!(house.status("C1").await, "reversed");

    // Rejected by the policy `arrival`; with more money it fits.
    house
        .event("D1", "A1", "debit", "1050", MS - HOUR + 1)
        .await;
    house.event("E2", "A1", "credit", "60", MS - HOUR).await;
    let redrive = "events/D1/redrive";
    let waiting = step(ADMIN, redrive.into(), "e", "late").await.ok(202);
    assert_replayed(&step(ADMIN, redrive.into(), "e", "late").await, &waiting);
    let open = web.get("/api/v1/shadow/corrections?kind=redrive").await;
    assert_eq!(open.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
pub async fn an_event_under_a_known_key_names_its_difference() {
    let house = house(|_| {}).await;
    let web = &house.web;
    let send = |body: String| async move {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
        ];
        let path = "/api/v1/shadow/events";
        web.send(SERVICE, "POST", path, &headers, body.into_bytes())
            .await
    };
    let first = send(event_json("E1", "A1", "credit", "5", MS))
        .await
        .ok(202);
    assert_replayed(
        &send(event_json("E1", "A1", "credit", "5", MS)).await,
        &first,
    );
    // The same content in other words.
    let spelled = send(event_json("E1", "A1", "credit", "\"5.00\"", MS)).await;
    assert_replayed(&spelled, &first);
    let other = event_json("E1", "A1", "credit", "6", MS);
    assert_conflict(&send(other).await, "amount");
    let other = event_json("E2", "A1", "credit", "5", MS);
    assert_conflict(&send(other).await, "eventId");
    assert_eq!(house.balance("A1").await, 5);
}
