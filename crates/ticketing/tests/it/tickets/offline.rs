//! Scans that were made without a network and told later (contract D4).

use florin_ticketing::tickets::{self, Death};
use serde_json::{Value, json};

use super::{code, key, open_doors, row, scan, sell, verdict};
use crate::stage::{Gig, OLGA, SECOND, Stage};

const MINUTE: i64 = 60 * SECOND;

async fn upload(stage: &Stage, gig: &Gig, device_now: &str, scans: Vec<Value>) -> Vec<Value> {
    let path = format!("/api/v1/events/{}/check-ins/batch", gig.event);
    let body = json!({"deviceNow": device_now, "offline": true, "scans": scans});
    stage.post(OLGA, &path, body).await.ok(200).items().clone()
}

async fn conflicts(stage: &Stage, gig: &Gig) -> Vec<(String, String)> {
    let path = format!("/api/v1/events/{}/check-ins?conflict=true", gig.event);
    let reply = stage.get(OLGA, &path).await.ok(200);
    let word = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    reply
        .items()
        .iter()
        .map(|row| (word(row, "nonce"), word(row, "conflict")))
        .collect()
}

/// Row 46: two gates without a network let the same ticket in.
#[tokio::test]
async fn row_46_the_earlier_of_two_gates_is_the_entry_whoever_tells_first() {
    for turned in [false, true] {
        let stage = Stage::new().await;
        let gig = stage.event("45.00", 10).await;
        let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
        let token = code(&key(&stage, &gig).await, &ticket.id, 1);
        open_doors(&stage);
        let early = scan(&token, 2, &stage.at(-5 * MINUTE));
        let late = scan(&token, 1, &stage.at(-3 * MINUTE));
        let mut gates = [early, late];
        if turned {
            gates.reverse();
        }
        for one in gates {
            let answer = upload(&stage, &gig, &stage.at(0), vec![one]).await;
            assert_eq!(answer[0]["result"], "admitted", "the person has passed");
        }
        let found = conflicts(&stage, &gig).await;
        assert_eq!(found, [(super::nonce(1), "duplicate".to_owned())]);
        let ticket = row(&stage, &ticket.id).await;
        assert_eq!(ticket.used_at, Some(stage.room.now() - 5 * MINUTE));
    }
}

/// Row 47: a clock ten minutes ahead.
#[tokio::test]
async fn row_47_the_devices_clock_is_corrected_and_its_word_kept() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let token = code(&key(&stage, &gig).await, &ticket.id, 1);
    open_doors(&stage);
    let said = stage.at(9 * MINUTE);
    let one = scan(&token, 1, &said);
    upload(&stage, &gig, &stage.at(10 * MINUTE), vec![one]).await;
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let row = stage.get(OLGA, &path).await.ok(200).items()[0].clone();
    assert_eq!(row["scannedAt"], said.as_str());
    assert_eq!(row["effectiveAt"], stage.at(-MINUTE).as_str());
}

/// Row 53: one scan that cannot be read among a thousand.
#[tokio::test]
async fn row_53_one_malformed_scan_holds_up_no_other() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 1_000).await;
    let key = key(&stage, &gig).await;
    open_doors(&stage);
    let mut scans = Vec::new();
    for n in 0..10 {
        for ticket in sell(&stage, &gig, "ana", 100).await {
            let token = code(&key, &ticket.id, 1);
            scans.push(scan(
                &token,
                1_000 * n + scans.len() as u128,
                &stage.at(-MINUTE),
            ));
        }
    }
    scans[500]["token"] = json!("no code at all");
    scans[501]["nonce"] = json!(7);
    let answers = upload(&stage, &gig, &stage.at(0), scans).await;
    assert_eq!(answers.len(), 1_000);
    for (n, answer) in answers.iter().enumerate() {
        let expected = match n {
            500 | 501 => ("denied", "malformed", None),
            _ => ("admitted", "ok", None),
        };
        assert_eq!(verdict(answer), expected, "scan {n}");
    }
}

/// Row 57: refunded at 20:10, let in at 20:00, told at 20:20.
#[tokio::test]
async fn row_57_an_entry_before_the_refund_counts() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let sold = sell(&stage, &gig, "ana", 2).await;
    let key = key(&stage, &gig).await;
    open_doors(&stage);
    let room = &stage.room;
    let before = stage.at(-10 * MINUTE);
    let mut tx = room.store.begin_event(&gig.event).await.unwrap();
    let ids: Vec<String> = sold.iter().map(|t| t.id.clone()).collect();
    tickets::kill(room, &mut tx, &ids, Death::Refunded, room.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    stage.advance(10 * MINUTE);
    let scans = vec![
        scan(&code(&key, &sold[0].id, 1), 1, &before),
        scan(&code(&key, &sold[1].id, 1), 2, &stage.at(-MINUTE)),
    ];
    let answers = upload(&stage, &gig, &stage.at(0), scans).await;
    assert_eq!(
        verdict(&answers[0]),
        ("admitted", "ok", Some("refunded_after_entry"))
    );
    assert_eq!(verdict(&answers[1]), ("admitted", "ok", Some("revoked")));
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let listed = stage.get(OLGA, &path).await.ok(200);
    let counted = |n: usize| listed.items()[n]["counted"].as_bool();
    assert_eq!(
        (counted(0), counted(1)),
        (Some(false), Some(true)),
        "newest first"
    );
    assert_eq!(row(&stage, &sold[0].id).await.status.as_str(), "refunded");
}

/// Row 56, second half: what a stale scanner tells is marked. What it denied is kept too.
#[tokio::test]
async fn row_56_scans_with_a_stale_bundle_are_marked() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let sold = sell(&stage, &gig, "ana", 2).await;
    let key = key(&stage, &gig).await;
    open_doors(&stage);
    let mut stale = scan(&code(&key, &sold[0].id, 1), 1, &stage.at(-MINUTE));
    stale["staleBundle"] = json!(true);
    let mut refused = scan(&code(&key, &sold[1].id, 1), 2, &stage.at(-MINUTE));
    (refused["result"], refused["reason"]) = (json!("denied"), json!("already_used"));
    let answers = upload(&stage, &gig, &stage.at(0), vec![stale, refused]).await;
    assert_eq!(verdict(&answers[1]), ("denied", "already_used", None));
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let listed = stage.get(OLGA, &path).await.ok(200);
    assert_eq!(listed.items()[1]["staleBundle"], true);
    assert_eq!(row(&stage, &sold[1].id).await.status.as_str(), "valid");
}

/// An online entry that an earlier one without network overtakes becomes the conflict.
#[tokio::test]
async fn an_earlier_scan_that_is_told_later_becomes_the_entry() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let token = code(&key(&stage, &gig).await, &ticket.id, 1);
    open_doors(&stage);
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let online = scan(&token, 1, &stage.at(0));
    stage.post(OLGA, &path, online).await.ok(200);
    stage.advance(MINUTE);
    let before = scan(&token, 2, &stage.at(-5 * MINUTE));
    let answers = upload(&stage, &gig, &stage.at(0), vec![before]).await;
    assert_eq!(verdict(&answers[0]), ("admitted", "ok", None));
    let found = conflicts(&stage, &gig).await;
    assert_eq!(found, [(super::nonce(1), "duplicate".to_owned())]);
}
