//! The life of corrections over HTTP: rows 32 to 37, INV-S18, INV-S19.

use florin_platform::sql::query;
use florin_shadow::intake::Sent;
use florin_shadow::store::Actor;
use serde_json::json;

use crate::desk::{House, SECOND, house};
use crate::support::{NOW, event};
use crate::web::{ADMIN, AUDITOR};

const MS: i64 = NOW / 1_000;
const HOUR: i64 = 3_600_000;

async fn with_thousand() -> House {
    let house = house(|_| {}).await;
    house.event("E1", "A1", "credit", "1000", MS - HOUR).await;
    house
}

/// Rows 32, 33, 34, 37 and what else a request can get wrong.
#[tokio::test]
pub async fn bad_requests_have_their_codes() {
    let house = with_thousand().await;
    let cases = [
        ("correct/A1?amount=1", "", 400, "required"),
        (
            "correct/A1",
            r#"{"amount":1,"reason":"r"}"#,
            400,
            "required",
        ),
        (
            "correct/A1",
            r#"{"type":"credit","amount":1}"#,
            400,
            "required",
        ),
        (
            "correct/A1",
            r#"{"type":"debit","amount":1000.01,"reason":"r","eventId":"x"}"#,
            202,
            "",
        ),
        (
            "correct/A1",
            r#"{"type":"debit","amount":90,"reason":"r","timestamp":1}"#,
            400,
            "timestamp_too_old",
        ),
        (
            "correct/A1?type=credit&amount=1.001",
            "",
            400,
            "amount_precision",
        ),
        ("correct/A1?type=bonus&amount=1", "", 400, "invalid_type"),
        (
            "correct/A1?type=credit&amount=1",
            r#"{"type":"credit","amount":1,"reason":"r"}"#,
            400,
            "ambiguous_request",
        ),
        (
            "correct/A1",
            r#"{"type":"credit","amount":1,"reason":"r","accountId":"A2"}"#,
            400,
            "account_mismatch",
        ),
        (
            "correct/A1",
            r#"{"type":"credit","amount":1,"reason":"r","eventId":"CORR-A1-1"}"#,
            400,
            "reserved_id",
        ),
        (
            "correct/A1",
            r#"{"type":"credit","amount":1,"reason":"r","note":"x"}"#,
            400,
            "unknown_field",
        ),
        (
            "corrections/nobody/approve",
            "",
            404,
            "correction_not_found",
        ),
        (
            "corrections/nobody/reject",
            r#"{"reason":"r"}"#,
            404,
            "correction_not_found",
        ),
        (
            "events/nobody/redrive",
            r#"{"reason":"r"}"#,
            404,
            "event_not_found",
        ),
        (
            "events/E1/redrive",
            r#"{"reason":"r"}"#,
            409,
            "invalid_state",
        ),
    ];
    for (path, body, status, code) in cases {
        let reply = house.admin(ADMIN, path, body).await;
        assert_eq!(
            reply.code(),
            (status, code),
            "{path} {body}: {}",
            reply.text
        );
        if !code.is_empty() {
            assert_eq!(reply.body["error"], code);
        }
    }
    let poor = house
        .admin(ADMIN, "correct/A2?type=debit&amount=1", "")
        .await;
    assert_eq!(poor.code(), (409, "would_go_negative"), "row 34");
    let reader = house
        .admin(AUDITOR, "correct/A1?type=credit&amount=1", "")
        .await;
    assert_eq!(reader.code(), (403, "forbidden"));
}

/// At or below the limit a correction applies in one step; above it two people are needed
/// (rows 35 and 36), and every life is a chain of records (INV-S19).
#[tokio::test]
pub async fn four_eyes_above_the_limit() {
    let house = with_thousand().await;
    let body = r#"{"type":"credit","amount":100,"reason":"fee","eventId":"M1"}"#;
    let small = house.admin(ADMIN, "correct/A1", body).await.ok(200);
    assert_eq!(small.body["status"], "applied");
    assert_eq!(house.balance("A1").await, json!(1100));

    let body = r#"{"type":"credit","amount":100.01,"reason":"fee","eventId":"M2"}"#;
    let large = house.admin(ADMIN, "correct/A1", body).await.ok(202);
    assert_eq!(large.body["status"], "proposed");
    assert_eq!(large.headers["location"], "/api/v1/shadow/corrections/M2");
    assert_eq!(house.balance("A1").await, json!(1100));
    let own = house.admin(ADMIN, "corrections/M2/approve", "").await;
    assert_eq!(own.code(), (403, "four_eyes_required"), "row 35");
    let done = house
        .admin(SECOND, "corrections/M2/approve", r#"{"reason":"seen"}"#)
        .await
        .ok(200);
    assert_eq!(done.body["approvedBy"], "second");
    assert_eq!(house.balance("A1").await, json!(1200.01));
    let twice = house.admin(SECOND, "corrections/M2/approve", "").await;
    assert_eq!(twice.code(), (409, "invalid_state"), "row 36");
    let late = house
        .admin(SECOND, "corrections/M2/reject", r#"{"reason":"no"}"#)
        .await;
    assert_eq!(late.code(), (409, "invalid_state"), "row 36");

    let shown = house.web.get("/api/v1/shadow/corrections/M2").await.ok(200);
    let steps: Vec<(&str, &str)> = shown.body["history"]
        .as_array()
        .expect("a history")
        .iter()
        .map(|step| {
            (
                step["after"].as_str().expect("after"),
                step["actor"].as_str().expect("actor"),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("proposed", "root"),
            ("approved", "second"),
            ("applied", "second")
        ],
        "INV-S19"
    );
    let audit = "/api/v1/shadow/audit?subject=M2&action=correction.approved";
    let audit = house.web.get(audit).await.ok(200);
    assert_eq!(audit.body["items"].as_array().expect("items").len(), 1);
    assert_eq!(audit.body["items"][0]["before"], "proposed");
    let entries = house
        .web
        .get("/api/v1/shadow/accounts/A1/entries")
        .await
        .ok(200);
    let entry = entries.body["items"]
        .as_array()
        .expect("items")
        .last()
        .expect("one");
    assert_eq!(
        (&entry["eventId"], &entry["isCorrection"]),
        (&json!("M2"), &json!(true))
    );
}

/// The same request again is answered as the first time; another one is a conflict; without key
/// and id a quick repetition is refused.
#[tokio::test]
pub async fn repetitions() {
    let house = with_thousand().await;
    let body = br#"{"type":"credit","amount":150,"reason":"fee"}"#.to_vec();
    let key = [
        ("content-type", "application/json"),
        ("idempotency-key", "k1"),
    ];
    let path = "/api/v1/shadow/correct/A1";
    let send = async |who: &str, path: &str, body: Vec<u8>| {
        house.web.send(who, "POST", path, &key, body).await
    };
    let first = send(ADMIN, path, body.clone()).await.ok(202);
    let id = first.body["eventId"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("MANUAL-A1-") && id.len() == "MANUAL-A1-".len() + 16);
    house
        .admin(SECOND, &format!("corrections/{id}/approve"), "")
        .await
        .ok(200);
    let again = send(ADMIN, path, body.clone()).await.ok(202);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.body["status"], "proposed", "the first answer");
    let other = br#"{"type":"credit","amount":151,"reason":"fee"}"#.to_vec();
    let other = send(ADMIN, path, other).await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    assert_eq!(other.body["firstDifference"], "amount");
    let elsewhere = send(ADMIN, "/api/v1/shadow/correct/A2", body.clone()).await;
    assert_eq!(elsewhere.code(), (409, "idempotency_conflict"));
    send(SECOND, path, body).await.ok(202);

    let click = "correct/A1?type=credit&amount=5";
    house.admin(ADMIN, click, "").await.ok(200);
    assert_eq!(
        house.admin(ADMIN, click, "").await.code(),
        (409, "probable_repeat")
    );
    house.admin(SECOND, click, "").await.ok(200);
    house.web.bench.clock.advance(61_000_000);
    house.admin(ADMIN, click, "").await.ok(200);
    assert_eq!(house.balance("A1").await, json!(1165));

    let named = r#"{"type":"credit","amount":5,"reason":"a","eventId":"N"}"#;
    house.admin(ADMIN, "correct/A1", named).await.ok(200);
    let other = named.replace("\"a\"", "\"b\"");
    let other = house.admin(ADMIN, "correct/A1", &other).await;
    assert_eq!(other.code(), (409, "event_conflict"));
}

/// Correction and reversal sum to nothing, under the same four eyes (INV-S18, INV-S19).
#[tokio::test]
pub async fn reversals() {
    let house = with_thousand().await;
    let body = r#"{"type":"debit","amount":40,"reason":"fee","eventId":"R1"}"#;
    house.admin(ADMIN, "correct/A1", body).await.ok(200);
    let why = r#"{"reason":"mistake"}"#;
    let back = house
        .admin(ADMIN, "corrections/R1/reverse", why)
        .await
        .ok(200);
    assert_eq!(back.body["type"], "credit");
    assert!(
        back.body["eventId"]
            .as_str()
            .expect("an id")
            .starts_with("REV-")
    );
    assert_eq!(house.balance("A1").await, json!(1000), "INV-S19");
    assert_eq!(house.status("R1").await, "reversed");
    let twice = house.admin(ADMIN, "corrections/R1/reverse", why).await;
    assert_eq!(twice.code(), (409, "already_reversed"));

    let body = r#"{"type":"credit","amount":500,"reason":"fee","eventId":"R2"}"#;
    house.admin(ADMIN, "correct/A1", body).await.ok(202);
    let early = house.admin(ADMIN, "corrections/R2/reverse", why).await;
    assert_eq!(early.code(), (409, "invalid_state"));
    house
        .admin(SECOND, "corrections/R2/approve", "")
        .await
        .ok(200);
    let back = house
        .admin(SECOND, "corrections/R2/reverse", why)
        .await
        .ok(202);
    let id = back.body["eventId"].as_str().expect("an id").to_owned();
    let own = house
        .admin(SECOND, &format!("corrections/{id}/approve"), "")
        .await;
    assert_eq!(own.code(), (403, "four_eyes_required"), "INV-S18 reverse");
    let under_way = house.admin(ADMIN, "corrections/R2/reverse", why).await;
    assert_eq!(under_way.code(), (409, "already_reversed"));
    house
        .admin(ADMIN, &format!("corrections/{id}/approve"), "")
        .await
        .ok(200);
    assert_eq!(house.balance("A1").await, json!(1000));
}

/// INV-S18 on the paths redrive and Kafka: above the limit nobody applies his own.
#[tokio::test]
pub async fn four_eyes_on_every_path() {
    let house = with_thousand().await;
    house
        .event("D1", "A1", "debit", "1200", MS - HOUR / 2)
        .await;
    let shown = house.web.get("/api/v1/shadow/events/D1").await.ok(200);
    assert_eq!(shown.body["state"], "rejected");
    let why = r#"{"reason":"the bank paid it"}"#;
    let refused = house.admin(ADMIN, "events/D1/redrive", why).await.ok(202);
    let id = refused.body["eventId"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("REDRIVE-"));
    let own = house
        .admin(ADMIN, &format!("corrections/{id}/approve"), "")
        .await;
    assert_eq!(own.code(), (403, "four_eyes_required"), "INV-S18 redrive");
    let broke = house
        .admin(SECOND, &format!("corrections/{id}/approve"), "")
        .await;
    assert_eq!(broke.code(), (409, "would_go_negative"));
    assert_eq!(house.status(&id).await, "proposed");
    house.event("E2", "A1", "credit", "300", MS - HOUR).await;
    house
        .admin(SECOND, &format!("corrections/{id}/approve"), "")
        .await
        .ok(200);
    assert_eq!(house.balance("A1").await, json!(100));
    let shown = house.web.get("/api/v1/shadow/events/D1").await.ok(200);
    assert_eq!(shown.body["state"], "applied");

    let actor = Actor::system("kafka-writer");
    let from_topic = Sent {
        event: event("CORR-A1-topic", "A1", 50_00, MS - HOUR),
        reason: "late".into(),
        cause: None,
        check_id: None,
    };
    let done = house
        .checker
        .corrections()
        .from_kafka(from_topic.clone(), actor.clone())
        .await
        .expect("taken");
    assert_eq!(
        done.correction.status.as_str(),
        "proposed",
        "never applied by itself"
    );
    assert_eq!(house.balance("A1").await, json!(100));
    let again = house
        .checker
        .corrections()
        .from_kafka(from_topic, actor)
        .await
        .expect("taken");
    assert!(again.replayed);
    house
        .admin(ADMIN, "corrections/CORR-A1-topic/approve", "")
        .await
        .ok(200);
    assert_eq!(house.balance("A1").await, json!(150));

    // The query that an auditor would ask over everything (INV-S18).
    let broken = "SELECT id FROM shadow_corrections WHERE proposed_by = approved_by
        AND status IN ('approved', 'applied', 'reversed') AND ABS(m0) > 10000";
    let rows = house
        .web
        .bench
        .shadow
        .db()
        .fetch_all(query(broken))
        .await
        .expect("reads");
    assert!(rows.is_empty());
}

/// Approve and reject at the same time: one wins, the other gets 409.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn one_of_two_deciders_wins() {
    let house = with_thousand().await;
    for n in 0..20 {
        let body = format!(r#"{{"type":"credit","amount":200,"reason":"r","eventId":"C{n}"}}"#);
        house.admin(ADMIN, "correct/A1", &body).await.ok(202);
        let (approve, reject) = (
            format!("corrections/C{n}/approve"),
            format!("corrections/C{n}/reject"),
        );
        let (yes, no) = tokio::join!(
            house.admin(SECOND, &approve, ""),
            house.admin(SECOND, &reject, r#"{"reason":"no"}"#)
        );
        let mut statuses = [yes.status, no.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{} {}", yes.text, no.text);
        let wanted = if yes.status == 200 {
            "applied"
        } else {
            "rejected"
        };
        assert_eq!(house.status(&format!("C{n}")).await, wanted);
    }
}

/// Proposals that nobody decided within 30 days are rejected as `expired`.
#[tokio::test]
pub async fn proposals_expire() {
    let house = with_thousand().await;
    let body = r#"{"type":"credit","amount":500,"reason":"r","eventId":"X"}"#;
    house.admin(ADMIN, "correct/A1", body).await.ok(202);
    let corrections = house.checker.corrections();
    house.web.bench.clock.advance(30 * 86_400_000_000 - 1);
    assert_eq!(corrections.expire().await.expect("works"), 0);
    house.web.bench.clock.advance(10);
    assert_eq!(corrections.expire().await.expect("works"), 1);
    let shown = house.web.get("/api/v1/shadow/corrections/X").await.ok(200);
    assert_eq!(shown.body["status"], "rejected");
    assert_eq!(shown.body["history"][1]["reason"], "expired");
    assert_eq!(corrections.expire().await.expect("works"), 0);
}
