//! Check-in online (contract D3).

use florin_ticketing::tickets::{self, Death};
use serde_json::json;

use super::{code, key, nonce, open_doors, row, scan, sell, verdict};
use crate::stage::{ANA, BOB, DAY, GUEST, OLGA, SECOND, Stage};

const OK: (&str, &str, Option<&str>) = ("admitted", "ok", None);

fn denied(reason: &'static str) -> (&'static str, &'static str, Option<&'static str>) {
    ("denied", reason, None)
}

/// Rows 44 and 45: twice is already used, the same nonce is the same scan.
#[tokio::test]
async fn row_44_and_45_a_ticket_opens_the_gate_once() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let token = code(&key(&stage, &gig).await, &ticket.id, 1);
    open_doors(&stage);
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let at = stage.at(0);
    let first = stage.post(OLGA, &path, scan(&token, 1, &at)).await.ok(200);
    assert_eq!(verdict(&first.body), OK);
    assert_eq!(first.body["ticket"]["status"], "used");
    stage.advance(SECOND);
    let again = stage.post(OLGA, &path, scan(&token, 2, &at)).await.ok(200);
    assert_eq!(verdict(&again.body), denied("already_used"), "row 44");
    assert_eq!(again.body["first"]["gate"], "north");
    assert_eq!(again.body["first"]["at"], at.as_str());
    let same = stage.post(OLGA, &path, scan(&token, 1, &at)).await.ok(200);
    assert_eq!(same.body, first.body, "row 45");
    let list = stage.get(OLGA, &path).await.ok(200);
    assert_eq!(list.items().len(), 2, "one row per nonce");
    assert_eq!(list.items()[0]["reason"], "already_used", "newest first");
    let shown = stage
        .get(ANA, &format!("/api/v1/tickets/{}", ticket.id))
        .await
        .ok(200);
    assert_eq!(
        (shown.text_of("status"), shown.text_of("usedAt")),
        ("used".into(), at)
    );
}

/// Row 52, and the other reasons that have nothing to do with the ticket's past.
#[tokio::test]
async fn row_52_foreign_forged_and_early_codes_are_denied() {
    let stage = Stage::new().await;
    let (gig, other) = (
        stage.event("45.00", 10).await,
        stage.event("1.00", 10).await,
    );
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let theirs = sell(&stage, &other, "ana", 1).await.remove(0);
    let keys = (key(&stage, &gig).await, key(&stage, &other).await);
    let good = code(&keys.0, &ticket.id, 1);
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let at = stage.at(0);
    let ask = |n: u128, token: String| {
        let body = scan(&token, n, &at);
        let (stage, path) = (&stage, path.as_str());
        async move { stage.post(OLGA, path, body).await.ok(200).body }
    };
    assert_eq!(
        verdict(&ask(1, good.clone()).await),
        denied("not_yet_valid")
    );
    open_doors(&stage);
    let foreign = code(&keys.1, &theirs.id, 1);
    assert_eq!(verdict(&ask(2, foreign).await), denied("wrong_event"));
    let mut flipped = good.clone();
    flipped.replace_range(60..61, if &good[60..61] == "A" { "B" } else { "A" });
    assert_eq!(verdict(&ask(3, flipped).await), denied("bad_signature"));
    assert_eq!(
        verdict(&ask(4, "FT1.NONSENSE".into()).await),
        denied("malformed")
    );
    let ghost = code(&keys.0, "019a9c00-0000-7000-8000-00000000abcd", 1);
    assert_eq!(verdict(&ask(5, ghost).await), denied("unknown_ticket"));
    let area = json!({
        "ticketNumber": ticket.number, "nonce": nonce(6), "deviceId": "d", "area": 3,
        "scannedAt": at,
    });
    let by_number = stage.post(OLGA, &path, area).await.ok(200);
    assert_eq!(
        verdict(&by_number.body),
        OK,
        "a type without areas opens every one"
    );
    stage.advance(2 * DAY);
    assert_eq!(verdict(&ask(7, good).await), denied("no_longer_valid"));
    let shown = stage.get(OLGA, &path).await.ok(200);
    assert_eq!(shown.items().len(), 7, "nothing that was sent is dropped");
}

/// INV-T14: dead, suspended and old codes never open the gate.
#[tokio::test]
async fn inv_t14_dead_suspended_and_old_codes_are_denied() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let sold = sell(&stage, &gig, "ana", 4).await;
    let key = key(&stage, &gig).await;
    open_doors(&stage);
    let room = &stage.room;
    let now = room.now();
    let mut tx = room.store.begin_event(&gig.event).await.unwrap();
    let id = |n: usize| vec![sold[n].id.clone()];
    let killed = tickets::kill(room, &mut tx, &id(0), Death::Refunded, now)
        .await
        .unwrap();
    assert!(killed[0].held_stock && !killed[0].was_used);
    tickets::kill(room, &mut tx, &id(1), Death::Cancelled, now)
        .await
        .unwrap();
    tickets::suspend(room, &mut tx, &id(2), now).await.unwrap();
    tickets::reissue(room, &mut tx, &sold[3].id, now)
        .await
        .unwrap();
    let twice = tickets::kill(room, &mut tx, &id(0), Death::Refunded, now).await;
    assert_eq!(twice.expect_err("dead already").code(), "ticket_state");
    tx.commit().await.unwrap();
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    for (n, reason) in ["refunded", "cancelled", "suspended", "revoked"]
        .into_iter()
        .enumerate()
    {
        let token = code(&key, &sold[n].id, 1);
        let body = scan(&token, n as u128, &stage.at(0));
        let answer = stage.post(OLGA, &path, body).await.ok(200);
        assert_eq!(verdict(&answer.body), denied(reason));
    }
    let new = scan(&code(&key, &sold[3].id, 2), 9, &stage.at(0));
    assert_eq!(
        verdict(&stage.post(OLGA, &path, new).await.ok(200).body),
        OK
    );
    let mut tx = room.store.begin_event(&gig.event).await.unwrap();
    tickets::restore(room, &mut tx, &id(2), room.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let same = scan(&code(&key, &sold[2].id, 1), 10, &stage.at(0));
    let answer = stage.post(OLGA, &path, same).await.ok(200);
    assert_eq!(
        verdict(&answer.body),
        OK,
        "a dispute that was won: the same code works"
    );
}

/// Row 54: the printed code is good on the new date.
#[tokio::test]
async fn row_54_a_rescheduled_event_keeps_its_codes() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let token = code(&key(&stage, &gig).await, &ticket.id, 1);
    let event = format!("/api/v1/events/{}", gig.event);
    let path = format!("{event}/check-ins");
    stage
        .post(
            OLGA,
            &format!("{event}/postpone"),
            json!({"reason": "storm"}),
        )
        .await
        .ok(200);
    open_doors(&stage);
    let body = scan(&token, 1, &stage.at(0));
    let waiting = stage.post(OLGA, &path, body).await.ok(200);
    assert_eq!(verdict(&waiting.body), denied("event_postponed"));
    let starts = stage.at(30 * DAY);
    let ends = stage.at(30 * DAY + 4 * 3_600 * SECOND);
    let body = json!({"startsAt": starts, "endsAt": ends});
    stage
        .post(OLGA, &format!("{event}/reschedule"), body)
        .await
        .ok(200);
    let body = scan(&token, 2, &stage.at(0));
    let early = stage.post(OLGA, &path, body).await.ok(200);
    assert_eq!(verdict(&early.body), denied("not_yet_valid"));
    stage.advance(30 * DAY);
    let body = scan(&token, 3, &stage.at(0));
    assert_eq!(
        verdict(&stage.post(OLGA, &path, body).await.ok(200).body),
        OK
    );
}

#[tokio::test]
async fn with_reentry_in_and_out_alternate_and_the_ticket_stays_valid() {
    let stage = Stage::new().await;
    let kind = json!({"price": "45.00", "quantity": 10});
    let gig = stage.event_with(json!({"reentry": true}), kind).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let token = code(&key(&stage, &gig).await, &ticket.id, 1);
    open_doors(&stage);
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let walk = [
        ("out", "not_inside"),
        ("in", "ok"),
        ("in", "already_inside"),
        ("out", "ok"),
        ("out", "not_inside"),
        ("in", "ok"),
    ];
    for (n, (way, reason)) in walk.into_iter().enumerate() {
        stage.advance(SECOND);
        let mut body = scan(&token, n as u128, &stage.at(0));
        body["direction"] = json!(way);
        let answer = stage.post(OLGA, &path, body).await.ok(200);
        assert_eq!(answer.text_of("reason"), reason, "step {n}");
    }
    let ticket = row(&stage, &ticket.id).await;
    assert_eq!((ticket.status.as_str(), ticket.inside), ("valid", true));
}

#[tokio::test]
async fn an_entry_can_be_undone_and_the_ticket_is_valid_again() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let token = code(&key(&stage, &gig).await, &ticket.id, 1);
    open_doors(&stage);
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let body = scan(&token, 1, &stage.at(0));
    let entry = stage.post(OLGA, &path, body).await.ok(200).id();
    let undo = format!("/api/v1/check-ins/{entry}/undo");
    stage
        .post(BOB, &undo, json!({}))
        .await
        .refused(404, "check_in_not_found");
    stage.post(OLGA, &undo, json!({})).await.ok(200);
    stage
        .post(OLGA, &undo, json!({}))
        .await
        .refused(409, "check_in_state");
    assert_eq!(row(&stage, &ticket.id).await.status.as_str(), "valid");
    let body = scan(&token, 2, &stage.at(0));
    assert_eq!(
        verdict(&stage.post(OLGA, &path, body).await.ok(200).body),
        OK
    );
}

#[tokio::test]
async fn only_the_gates_own_people_and_devices_scan() {
    let stage = Stage::new().await;
    let (gig, other) = (
        stage.event("45.00", 10).await,
        stage.event("1.00", 10).await,
    );
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let token = code(&key(&stage, &gig).await, &ticket.id, 1);
    open_doors(&stage);
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let body = scan(&token, 1, &stage.at(0));
    stage
        .post(GUEST, &path, body.clone())
        .await
        .refused(401, "unauthenticated");
    stage
        .post(ANA, &path, body.clone())
        .await
        .refused(404, "event_not_found");
    let devices = format!("/api/v1/events/{}/devices", gig.event);
    let made = stage
        .post(OLGA, &devices, json!({"name": "North 1"}))
        .await
        .ok(201);
    let (device, device_key) = (made.id(), made.text_of("key"));
    let send = |path: String, body: serde_json::Value| {
        let call = stage
            .call(GUEST, "POST", &path)
            .header("x-device-key", &device_key);
        call.json(body).send()
    };
    send(path.clone(), body.clone())
        .await
        .refused(400, "validation_failed");
    let mut own = body.clone();
    own["deviceId"] = json!(device);
    let elsewhere = format!("/api/v1/events/{}/check-ins", other.event);
    send(elsewhere, own.clone())
        .await
        .refused(404, "event_not_found");
    assert_eq!(
        verdict(&send(path.clone(), own.clone()).await.ok(200).body),
        OK
    );
    stage
        .delete(OLGA, &format!("{devices}/{device}"))
        .await
        .ok(204);
    own["nonce"] = json!(nonce(2));
    send(path, own).await.refused(401, "unauthenticated");
    let listed = stage.get(OLGA, &devices).await.ok(200);
    assert_eq!(listed.items()[0]["status"], "revoked");
    assert!(listed.items()[0].get("key").is_none());
}
