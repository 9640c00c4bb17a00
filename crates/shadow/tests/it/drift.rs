//! Drift checks over HTTP: rows 26 to 31, INV-S15 to INV-S17.

use florin_shadow::drift::policy::Mode;
use serde_json::{Value, json};

use crate::desk::{House, SECOND, house};
use crate::support::NOW;
use crate::web::{ADMIN, AUDITOR, SERVICE};

const MS: i64 = NOW / 1_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// INV-S15: recomputed from `results` alone.
fn sums_hold(answer: &Value) {
    for result in answer["results"].as_array().expect("results") {
        let cents = |name: &str| {
            let text = result[name].to_string();
            let (whole, cents) = text.split_once('.').unwrap_or((&text, "0"));
            let negative = whole.starts_with('-');
            let cents: i64 = format!("{cents:0<2}").parse().expect("cents");
            let whole: i64 = whole.parse().expect("whole");
            whole * 100 + if negative { -cents } else { cents }
        };
        assert_eq!(
            cents("shadowBalance") + cents("difference"),
            cents("reportedBalance"),
            "INV-S15 {result}"
        );
    }
}

/// Rows 26 to 31 and the policy that may only tighten.
#[tokio::test]
pub async fn bad_checks_have_their_codes() {
    let house = house(|_| {}).await;
    let one = r#"{"accountId":"A","reportedBalance":1}"#;
    let cases = [
        ("[]".to_owned(), 400, "empty_check"),
        (format!("[{one},{one}]"), 400, "duplicate_account"),
        (r#"[{"accountId":"A"}]"#.to_owned(), 400, "required"),
        (
            r#"[{"accountId":"A","reportedBalance":"abc"}]"#.to_owned(),
            400,
            "amount_invalid",
        ),
        (
            r#"[{"accountId":"A","reportedBalance":10.001}]"#.to_owned(),
            400,
            "amount_precision",
        ),
        (
            r#"{"policy":{"strict":true},"accounts":[{"accountId":"A","reportedBalance":1,"currency":"BRL","statementId":"s"}]}"#.to_string(),
            400,
            "required",
        ),
        (
            format!(r#"{{"policy":{{"mode":"auto"}},"accounts":[{one}]}}"#),
            400,
            "policy_too_loose",
        ),
        (
            format!(r#"{{"policy":{{"tolerance":{{"absolute":0.01}}}},"accounts":[{one}]}}"#),
            400,
            "policy_too_loose",
        ),
        (
            r#"[{"accountId":"A","reportedBalance":1,"statementId":"none"}]"#.to_owned(),
            400,
            "unknown_statement",
        ),
        (
            r#"[{"accountId":"A"},{"accountId":"/","reportedBalance":1}]"#.to_owned(),
            400,
            "validation_failed",
        ),
        (format!("[{one}] x"), 400, "malformed_json"),
    ];
    for (body, status, code) in cases {
        let reply = house.check(&body).await;
        assert_eq!(reply.code(), (status, code), "{body}: {}", reply.text);
        assert_eq!(reply.body["error"], code);
    }
    for who in [SERVICE, ADMIN, "user:u:A"] {
        let reply = house
            .web
            .post_as(who, "/drift-check", &format!("[{one}]"))
            .await;
        assert_eq!(reply.code(), (403, "forbidden"), "row 31");
    }
    let path = "/drift-check";
    let text = [("content-type", "text/plain")];
    let reply = house
        .web
        .send(AUDITOR, "POST", path, &text, b"x".to_vec())
        .await;
    assert_eq!(reply.code(), (415, "unsupported_media_type"));
}

/// An account whose credit ended as a parked dead letter, with the answer's shape as the
/// contract prints it.
async fn with_letter() -> House {
    let house = house(|_| {}).await;
    house
        .event("EVT-503", "B21", "credit", "1350", MS - 3 * DAY)
        .await;
    let letter = format!(
        r#"{{"eventId":"EVT-504","accountId":"B21","type":"credit","amount":50,"timestamp":{},"x":1}}"#,
        MS - 2 * DAY
    );
    let insert = florin_platform::sql::query(
        "INSERT INTO shadow_dead_letters (id, topic, part, offs, received_at, reason, payload,
            digest, status, arrival) VALUES ('l1', 'transactions.raw', 0, 1, $1, 'unknown_field',
            $2, '', 'parked', 1)",
    )
    .bind(NOW)
    .bind(letter.into_bytes());
    house.web.bench.db.execute(insert).await.expect("parked");
    house
}

const B21: &str = r#"{"checkId":"c1","accounts":[{"accountId":"B21","reportedBalance":1400},
    {"accountId":"nobody","reportedBalance":0},{"accountId":"stranger","reportedBalance":5}]}"#;

#[tokio::test]
pub async fn a_missing_credit_is_explained_and_proposed() {
    let house = with_letter().await;
    let reply = house.check(B21).await.ok(200);
    sums_hold(&reply.body);
    let members: Vec<&str> = reply
        .body
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    for member in ["checkId", "totalAccounts", "driftsDetected", "mismatches"] {
        assert!(members.contains(&member), "{member}");
    }
    assert_eq!(reply.body["totalAccounts"], 3);
    assert_eq!(reply.body["mismatches"], 2);
    let first = &reply.body["results"][0];
    assert_eq!(first["difference"], 50);
    assert_eq!(first["status"], "MISMATCH");
    assert_eq!(first["mismatchType"], "missing_credit");
    assert_eq!(first["explanation"]["class"], "missing");
    assert_eq!(first["explanation"]["basis"], "record");
    assert_eq!(first["explanation"]["events"], json!(["EVT-504"]));
    assert_eq!(first["explanation"]["arithmetic"], "1350 + 50 = 1400");
    assert_eq!(first["explanation"]["rivals"], 0);
    assert_eq!(first["correctionStatus"], "proposed");
    let id = first["correctionEventId"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(
        id,
        florin_shadow::corrections::ids::of_check("c1", "B21", "BRL")
    );
    assert_eq!(reply.body["corrections"][0]["amount"], 50);
    assert_eq!(reply.body["corrections"][0]["timestamp"], MS - 2 * DAY);
    assert_eq!(reply.body["drifts"][0]["cbsBalance"], 1400);
    assert_eq!(reply.body["drifts"][0]["correctionAction"], "proposed");
    assert_eq!(reply.body["results"][1]["mismatchType"], "unknown_account");
    assert_eq!(reply.body["results"][1]["status"], "MATCH");
    assert_eq!(reply.body["results"][1]["explanation"], Value::Null);
    assert_eq!(reply.body["results"][2]["mismatchType"], "unknown_account");
    assert_eq!(
        reply.body["results"][2]["explanation"]["class"],
        "unexplained"
    );
    assert_eq!(
        reply.body["drifts"][1]["correctionAction"],
        "manual_review_required"
    );

    // INV-S16: the same check, another check before approval, and one after.
    let again = house.check(B21).await.ok(200);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.body["results"], reply.body["results"]);
    let other = house.check(&B21.replace("1400", "1401")).await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    let second = house.check(&B21.replace("c1", "c2")).await.ok(200);
    assert_eq!(second.body["correctionsGenerated"], 0, "INV-S16");
    assert_eq!(second.body["drifts"][0]["correctionAction"], "pending");
    assert_eq!(second.body["drifts"][0]["correctionEventId"], id);
    assert_eq!(second.body["results"][0]["pendingCorrections"], 50);
    let own = house
        .admin(
            "auditor+admin:eve",
            &format!("corrections/{id}/approve"),
            "",
        )
        .await;
    own.ok(200);
    assert_eq!(house.balance("B21").await, 1400);
    let third = house.check(&B21.replace("c1", "c3")).await.ok(200);
    assert_eq!(third.body["results"][0]["status"], "MATCH");
    let replay = house.check(B21).await.ok(200);
    assert_eq!(replay.body["results"], reply.body["results"], "for ever");

    let listed = house.web.get("/api/v1/shadow/drift-checks").await.ok(200);
    let ids: Vec<&Value> = listed.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|c| &c["checkId"])
        .collect();
    assert_eq!(ids, [&json!("c3"), &json!("c2"), &json!("c1")]);
    let path = "/api/v1/shadow/drift-checks/c1/results?mismatchType=missing_credit&class=missing";
    let some = house.web.get(path).await.ok(200);
    assert_eq!(some.body["items"].as_array().expect("items").len(), 1);
    let path = "/api/v1/shadow/drift-checks/c1/results?limit=2";
    let page = house.web.get(path).await.ok(200);
    let cursor = page.body["nextCursor"].as_str().expect("more");
    let rest = house
        .web
        .get(&format!("{path}&cursor={cursor}"))
        .await
        .ok(200);
    assert_eq!(rest.body["items"][0]["accountId"], "stranger");
    assert_eq!(rest.body["nextCursor"], Value::Null);
}

/// INV-S17: automatic only within all limits, and told from what is proposed.
#[tokio::test]
pub async fn the_policy_posts_within_its_limits() {
    let house = house(|control| control.policy.mode = Mode::Auto).await;
    for (account, amount) in [("R1", "10000"), ("R2", "100")] {
        house
            .event(
                &format!("{account}-a"),
                account,
                "credit",
                amount,
                MS - 5 * DAY,
            )
            .await;
        let twice = format!(
            r#"{{"eventId":"{account}-b","accountId":"{account}","type":"credit","amount":20,"timestamp":{},"reference":"R"}}"#,
            MS - 4 * DAY
        );
        house.web.event(&twice).await.ok(202);
        house.web.event(&twice.replace("-b", "-c")).await.ok(202);
    }
    let body = r#"{"checkId":"auto","accounts":[{"accountId":"R1","reportedBalance":10020},
        {"accountId":"R2","reportedBalance":120}]}"#;
    let reply = house.check(body).await.ok(200);
    sums_hold(&reply.body);
    assert_eq!(
        reply.body["results"][0]["explanation"]["class"],
        "duplicate"
    );
    assert_eq!(
        reply.body["drifts"][0]["correctionAction"],
        "auto_corrected"
    );
    assert_eq!(reply.body["results"][0]["correctionStatus"], "applied");
    assert_eq!(
        reply.body["drifts"][1]["correctionAction"], "proposed",
        "over 1 %"
    );
    assert_eq!(house.balance("R1").await, 10020);
    assert_eq!(house.balance("R2").await, 140);
    let audit = "/api/v1/shadow/audit?actor=policy&action=correction.approved";
    let audit = house.web.get(audit).await.ok(200);
    assert_eq!(
        audit.body["items"].as_array().expect("items").len(),
        1,
        "INV-S17"
    );
    let after = house
        .check(&body.replace("\"auto\"", "\"again\""))
        .await
        .ok(200);
    assert_eq!(after.body["results"][0]["status"], "MATCH");
}

/// A pair applies whole or not at all.
#[tokio::test]
pub async fn an_entry_in_the_wrong_book_is_moved_by_a_pair() {
    let house = house(|_| {}).await;
    house.event("a", "P1", "credit", "1000", MS - 9 * DAY).await;
    house.event("b", "P2", "credit", "1000", MS - 9 * DAY).await;
    house
        .event("stray", "P2", "credit", "70", MS - 5 * DAY)
        .await;
    let body = r#"{"checkId":"pair","accounts":[{"accountId":"P1","reportedBalance":1070},
        {"accountId":"P2","reportedBalance":1000}]}"#;
    let reply = house.check(body).await.ok(200);
    sums_hold(&reply.body);
    for at in 0..2 {
        assert_eq!(
            reply.body["results"][at]["explanation"]["class"],
            "wrong_account"
        );
        assert_eq!(reply.body["drifts"][at]["correctionAction"], "proposed");
    }
    assert_eq!(reply.body["correctionsGenerated"], 2);
    let id = reply.body["results"][1]["correctionEventId"]
        .as_str()
        .expect("an id")
        .to_owned();
    house
        .admin(SECOND, &format!("corrections/{id}/approve"), "")
        .await
        .ok(200);
    assert_eq!(house.balance("P1").await, 1070);
    assert_eq!(house.balance("P2").await, 1000);
    let back = r#"{"reason":"no"}"#;
    house
        .admin(SECOND, &format!("corrections/{id}/reverse"), back)
        .await
        .ok(200);
    assert_eq!(house.balance("P1").await, 1000, "both legs");
    assert_eq!(house.balance("P2").await, 1070);
}

/// A rejected debit that the bank has paid: its redrive is proposed.
#[tokio::test]
pub async fn a_rejected_event_is_proposed_for_redrive() {
    let house = house(|_| {}).await;
    house.event("a", "Q", "credit", "10", MS - 9 * DAY).await;
    house.event("d", "Q", "debit", "60", MS - 8 * DAY).await;
    house
        .event("c", "Q", "credit", "100", MS - 9 * DAY + 1)
        .await;
    let body = r#"{"checkId":"re","accounts":[{"accountId":"Q","reportedBalance":50}]}"#;
    let reply = house.check(body).await.ok(200);
    assert_eq!(
        reply.body["results"][0]["explanation"]["events"],
        json!(["d"])
    );
    let id = reply.body["results"][0]["correctionEventId"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert!(id.starts_with("REDRIVE-"));
    house
        .admin(ADMIN, &format!("corrections/{id}/approve"), "")
        .await
        .ok(200);
    assert_eq!(house.balance("Q").await, 50);
}

/// Streams of lines are taken with 202, run beside the requests and are replayed; what is wrong
/// leaves nothing behind.
#[tokio::test]
pub async fn streams_are_paged() {
    let house = house(|control| {
        let tolerance = florin_shadow::drift::tolerance::Tolerance {
            absolute: 300,
            percent: None,
        };
        control.tolerances.insert("BRL".into(), tolerance);
    })
    .await;
    let mut csv = String::from("accountId,reportedBalance,asOf\n");
    for n in 0..4_500 {
        if n % 1_000 == 0 {
            house
                .event(&format!("e{n}"), &format!("S{n}"), "credit", "10", MS - DAY)
                .await;
            house
                .event(&format!("f{n}"), &format!("S{n}"), "credit", "5", MS - HOUR)
                .await;
        }
        let reported = if n == 3_000 { "12.5" } else { "10" };
        let reported = if n % 1_000 == 0 { reported } else { "0" };
        csv.push_str(&format!("S{n},{reported},{}\n", MS - 2 * HOUR));
    }
    let csv_type = [("content-type", "text/csv")];
    let path = "/api/v1/shadow/drift-check?checkId=big&mode=report";
    let send = async |body: &str| {
        house
            .web
            .send(AUDITOR, "POST", path, &csv_type, body.as_bytes().to_vec())
            .await
    };
    let bad = send(&csv.replace("S4499", "S4498")).await;
    assert_eq!(bad.code(), (400, "duplicate_account"));
    assert_eq!(bad.body["line"], 4_501);
    let none = house.web.get("/api/v1/shadow/drift-checks/big").await;
    assert_eq!(none.code(), (404, "check_not_found"));
    let taken = send(&csv).await.ok(202);
    assert_eq!(taken.headers["location"], "/api/v1/shadow/drift-checks/big");
    assert_eq!(taken.body["state"], "running");
    house.checker.resume().await.expect("runs");
    let done = house
        .web
        .get("/api/v1/shadow/drift-checks/big")
        .await
        .ok(200);
    assert_eq!(done.body["state"], "done");
    assert_eq!(
        (&done.body["totalAccounts"], &done.body["accountsDone"]),
        (&json!(4_500), &json!(4_500))
    );
    assert_eq!(done.body["mismatches"], 0);
    assert_eq!(done.body["toleratedTotal"], 2.5);
    let mut seen = 0;
    let mut path = "/api/v1/shadow/drift-checks/big/results?limit=500".to_owned();
    loop {
        let page = house.web.get(&path).await.ok(200);
        for item in page.body["items"].as_array().expect("items") {
            assert_eq!(item["accountId"], format!("S{seen}"));
            seen += 1;
        }
        let Some(cursor) = page.body["nextCursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/shadow/drift-checks/big/results?limit=500&cursor={cursor}");
    }
    assert_eq!(seen, 4_500);
    let again = send(&csv).await.ok(202);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = send(&csv.replace("12.5", "12.4")).await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    let lines = [("content-type", "application/x-ndjson")];
    let path = "/api/v1/shadow/drift-check?checkId=nd";
    let body = b"{\"accountId\":\"S0\",\"reportedBalance\":\"15\"}\n\n{\"accountId\":\"S1000\",\"reportedBalance\":99}".to_vec();
    house
        .web
        .send(AUDITOR, "POST", path, &lines, body)
        .await
        .ok(202);
    house.checker.resume().await.expect("runs");
    let found = house
        .web
        .get("/api/v1/shadow/drift-checks/nd/results?status=MISMATCH")
        .await
        .ok(200);
    assert_eq!(found.body["items"][0]["accountId"], "S1000");
    let empty = house
        .web
        .send(AUDITOR, "POST", path, &lines, Vec::new())
        .await;
    assert_eq!(empty.code(), (409, "idempotency_conflict"));
}
