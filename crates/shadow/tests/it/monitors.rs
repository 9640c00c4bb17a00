//! Monitors over HTTP, with a clock that the test moves.

use serde_json::{Value, json};

use crate::desk::{House, house};
use crate::support::NOW;
use crate::web::{ADMIN, AUDITOR};

const MS: i64 = NOW / 1_000;
const DAY: i64 = 86_400_000;
const SECOND: i64 = 1_000_000;

async fn alerts(house: &House, state: &str) -> Vec<Value> {
    let path = format!("/api/v1/shadow/alerts?state={state}");
    let reply = house.web.get(&path).await.ok(200);
    reply.body["items"].as_array().expect("items").clone()
}

async fn pass(house: &House, seconds: i64) {
    house.web.bench.clock.advance(seconds * SECOND);
    house.monitors.step().await.expect("looks");
}

/// A drift that nothing explains alerts once, after it has lasted, and clears.
#[tokio::test]
pub async fn only_unexplained_drift_alerts() {
    let house = house(|_| {}).await;
    let body = r#"{"kind":"drift","everySeconds":10,"sustainSeconds":300}"#;
    house
        .web
        .put("/api/v1/shadow/monitors/drift", body)
        .await
        .ok(201);
    house
        .web
        .put("/api/v1/shadow/monitors/drift", body)
        .await
        .ok(200);
    house.event("a", "M1", "credit", "100", MS - 5 * DAY).await;
    house.event("b", "M2", "credit", "100", MS - 5 * DAY).await;
    let twice = format!(
        r#"{{"eventId":"c","accountId":"M2","type":"credit","amount":20,"timestamp":{},"reference":"R"}}"#,
        MS - 4 * DAY
    );
    house.web.event(&twice).await.ok(202);
    house
        .web
        .event(&twice.replace("\"c\"", "\"d\""))
        .await
        .ok(202);
    let check = r#"{"policy":{"mode":"report"},"accounts":[{"accountId":"M1","reportedBalance":107},
        {"accountId":"M2","reportedBalance":120}]}"#;
    house.check(check).await.ok(200);
    pass(&house, 10).await;
    assert!(alerts(&house, "open").await.is_empty(), "it must last");
    for _ in 0..30 {
        pass(&house, 10).await;
    }
    let open = alerts(&house, "open").await;
    assert_eq!(open.len(), 1, "M2 is explained: {open:?}");
    assert_eq!(open[0]["accountId"], "M1");
    assert_eq!(open[0]["figures"]["difference"], "7.00");
    assert_eq!(open[0]["figures"]["class"], "unexplained");
    for _ in 0..5 {
        pass(&house, 60).await;
    }
    assert_eq!(alerts(&house, "open").await.len(), 1, "one until cleared");
    let id = open[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("alerts/{id}/acknowledge");
    house.admin(ADMIN, &path, "").await.ok(200);
    assert_eq!(
        house.admin(AUDITOR, &path, "").await.code(),
        (403, "forbidden")
    );
    house.event("late", "M1", "credit", "7", MS - 3 * DAY).await;
    pass(&house, 60).await;
    assert_eq!(alerts(&house, "cleared").await.len(), 1);
    assert_eq!(
        house.admin(ADMIN, &path, "").await.code(),
        (409, "invalid_state")
    );
    let audit = house
        .web
        .get(&format!("/api/v1/shadow/audit?subject={id}"))
        .await
        .ok(200);
    let actions: Vec<&Value> = audit.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|a| &a["action"])
        .collect();
    assert_eq!(
        actions,
        [
            &json!("alert.cleared"),
            &json!("alert.acknowledged"),
            &json!("alert.raised")
        ]
    );
}

/// Gaps in a source's numbers, parked letters, and events that wait for review.
#[tokio::test]
pub async fn other_kinds() {
    let house = house(|_| {}).await;
    for (name, kind) in [
        ("gap", "sequence_gap"),
        ("dead", "dead_letters"),
        ("lag", "feed_lag"),
        ("held", "held_age"),
        ("review", "review_age"),
        ("late", "statement_late"),
        ("hole", "statement_gap"),
        ("self", "self_check"),
    ] {
        let body = format!(r#"{{"kind":"{kind}","everySeconds":10}}"#);
        house
            .web
            .put(&format!("/api/v1/shadow/monitors/{name}"), &body)
            .await
            .ok(201);
    }
    let numbered = |id: &str, n: u32| {
        format!(
            r#"{{"eventId":"{id}","accountId":"G","type":"credit","amount":1,"timestamp":{},"source":"cbs","sequence":{n}}}"#,
            MS - DAY
        )
    };
    house.web.event(&numbered("s1", 1)).await.ok(202);
    house.web.event(&numbered("s3", 3)).await.ok(202);
    let insert = florin_platform::sql::query(
        "INSERT INTO shadow_dead_letters (id, topic, part, offs, received_at, reason, payload,
            digest, status, arrival) VALUES ('l', 't', 0, 1, $1, 'r', $2, '', 'parked', 1)",
    )
    .bind(NOW)
    .bind(b"x".to_vec());
    house.web.bench.db.execute(insert).await.expect("parked");
    pass(&house, 10).await;
    let open = alerts(&house, "open").await;
    assert_eq!(open.len(), 1, "any dead letter alerts at once: {open:?}");
    assert_eq!(open[0]["kind"], "dead_letters");
    for _ in 0..6 {
        pass(&house, 10).await;
    }
    let mut kinds: Vec<String> = alerts(&house, "open")
        .await
        .iter()
        .map(|a| a["kind"].as_str().expect("kind").to_owned())
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["dead_letters", "sequence_gap"]);
    house.web.event(&numbered("s2", 2)).await.ok(202);
    pass(&house, 10).await;
    assert_eq!(alerts(&house, "cleared").await[0]["kind"], "sequence_gap");
    let gone = house
        .web
        .send(
            ADMIN,
            "DELETE",
            "/api/v1/shadow/monitors/dead",
            &[],
            Vec::new(),
        )
        .await;
    gone.ok(204);
    assert!(
        alerts(&house, "open").await.is_empty(),
        "cleared with its monitor"
    );
    let none = house.web.get("/api/v1/shadow/monitors/dead").await;
    assert_eq!(none.code(), (404, "monitor_not_found"));
    let bad = r#"{"kind":"drift","everySeconds":9}"#;
    let bad = house.web.put("/api/v1/shadow/monitors/x", bad).await;
    assert_eq!(bad.code(), (400, "validation_failed"));
}
