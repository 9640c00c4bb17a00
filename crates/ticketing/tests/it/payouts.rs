//! Payouts and fee rules (contract C1, C4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use florin_ticketing::orders::payouts::review::{Looking, Review};
use florin_ticketing::orders::payouts::{self, PayoutRow};
use serde_json::json;

use crate::money::to_wallet;
use crate::shop::cases;
use crate::stage::{ADMIN, ANA, BOB, DAY, OLGA, Stage};

async fn rows_39_and_43_payouts_follow_what_the_ledger_owes() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 50).await;
    let wallet = stage.wallet("ana", "EUR", "500.00").await;
    let order = stage.buy(ANA, &gig, 4, &wallet).await;
    let path = format!("/api/v1/orgs/{}/payouts", gig.org);
    let all = json!({"currency": "EUR"});
    stage
        .post(OLGA, &path, all.clone())
        .await
        .refused(409, "payout_not_ready");
    let purse = to_wallet(&stage, &gig).await;
    stage
        .post(OLGA, &path, all.clone())
        .await
        .refused(409, "payout_unavailable");
    stage.advance(31 * DAY);
    florin_ticketing::worker::complete_events(&stage.room)
        .await
        .expect("completes");
    stage
        .post(OLGA, &path, all.clone())
        .await
        .refused(409, "payout_unavailable");
    stage.advance(7 * DAY);
    let balance = stage
        .get(OLGA, &format!("/api/v1/orgs/{}/balance", gig.org))
        .await
        .ok(200);
    assert_eq!(balance.items()[0]["available"], "40.00");
    let much = json!({"currency": "EUR", "amount": "40.01"});
    stage
        .post(OLGA, &path, much)
        .await
        .refused(409, "payout_unavailable");
    let part = json!({"currency": "EUR", "amount": "15.00"});
    let paid = stage.post(OLGA, &path, part).await.ok(201);
    assert_eq!(paid.body["status"], "paid");
    assert_eq!(paid.body["lines"][0]["net"], "15.00");
    assert_eq!(stage.wallet_has(&purse).await.0, 1_500);
    assert_eq!(stage.balance(&format!("payouts:{}", paid.id())).await, 0);
    stage
        .get(BOB, &format!("/api/v1/payouts/{}", paid.id()))
        .await
        .refused(404, "payout_not_found");
    // A refund after the payout, by will: the payable still covers it.
    let tickets = stage.tickets(&order).await;
    let one = json!({"ticketIds": [tickets[0].0]});
    stage.refund(OLGA, &order, one).await.ok(202);
    let balance = stage
        .get(OLGA, &format!("/api/v1/orgs/{}/balance", gig.org))
        .await
        .ok(200);
    assert_eq!(balance.items()[0]["available"], "15.00");
    stage.post(OLGA, &path, all).await.ok(201);
    assert_eq!(stage.wallet_has(&purse).await.0, 3_000);
    let two = json!({"ticketIds": [tickets[1].0]});
    stage
        .refund(OLGA, &order, two)
        .await
        .refused(409, "insufficient_payable");
    stage.check_clearing().await;
}

async fn a_bank_payout_is_marked_by_an_admin_and_a_failed_one_gives_back() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 50).await;
    let wallet = stage.wallet("ana", "EUR", "500.00").await;
    stage.buy(ANA, &gig, 4, &wallet).await;
    let body = json!({"payoutMethod": {"kind": "bank_manual", "label": "House bank"}});
    stage
        .patch(OLGA, &format!("/api/v1/orgs/{}", gig.org), body)
        .await
        .ok(200);
    stage.advance(38 * DAY);
    florin_ticketing::worker::complete_events(&stage.room)
        .await
        .expect("completes");
    let payable = format!("payable:{}:{}", gig.org, gig.event);
    assert_eq!(payouts::request::daily(&stage.room).await.expect("pays"), 1);
    assert_eq!(payouts::request::daily(&stage.room).await.expect("pays"), 0);
    let path = format!("/api/v1/orgs/{}/payouts", gig.org);
    let listed = stage.get(OLGA, &path).await.ok(200);
    let payout = listed.items()[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(listed.items()[0]["status"], "in_transit");
    assert_eq!(stage.balance(&payable).await, 0);
    let failed = format!("/api/v1/payouts/{payout}/mark-failed");
    stage
        .post(OLGA, &failed, json!({}))
        .await
        .refused(403, "forbidden");
    stage
        .post(ADMIN, &failed, json!({"reason": "no such account"}))
        .await
        .ok(200);
    assert_eq!(stage.balance(&payable).await, 4_000);
    let again = stage
        .post(OLGA, &path, json!({"currency": "EUR"}))
        .await
        .ok(201)
        .id();
    let paid = format!("/api/v1/payouts/{again}/mark-paid");
    stage
        .post(ADMIN, &paid, json!({"reference": "T-1"}))
        .await
        .ok(200);
    stage
        .post(ADMIN, &paid, json!({"reference": "T-1"}))
        .await
        .refused(409, "payout_state");
    assert_eq!(stage.balance(&format!("payouts:{again}")).await, 0);
    assert_eq!(stage.balance("bank").await, -4_000);
}

/// Holds every payout for as long as it is told to.
struct Careful(AtomicBool);

impl Review for Careful {
    fn look<'a>(&'a self, payout: &'a PayoutRow) -> Looking<'a> {
        let holds = self.0.load(Ordering::SeqCst);
        let reason = format!("{} looks odd", payout.amount);
        Box::pin(std::future::ready(Ok(holds.then_some(reason))))
    }
}

async fn a_payout_that_is_held_waits_for_the_word_and_is_not_available_twice() {
    let stage = Stage::new().await;
    let careful = Arc::new(Careful(AtomicBool::new(true)));
    stage.room.review_payouts(careful.clone());
    let gig = stage.event("10.00", 50).await;
    let wallet = stage.wallet("ana", "EUR", "500.00").await;
    stage.buy(ANA, &gig, 4, &wallet).await;
    let purse = to_wallet(&stage, &gig).await;
    stage.advance(38 * DAY);
    florin_ticketing::worker::complete_events(&stage.room)
        .await
        .expect("completes");
    let path = format!("/api/v1/orgs/{}/payouts", gig.org);
    let part = json!({"currency": "EUR", "amount": "15.00"});
    let held = stage.post(OLGA, &path, part).await.ok(201);
    assert_eq!(held.body["status"], "requested");
    assert_eq!(held.body["holdReason"], "1500 looks odd");
    let payable = format!("payable:{}:{}", gig.org, gig.event);
    assert_eq!(stage.balance(&payable).await, 4_000, "nothing has moved");
    let all = json!({"currency": "EUR"});
    let rest = stage.post(OLGA, &path, all.clone()).await.ok(201);
    assert_eq!(rest.body["amount"], "25.00", "what waits is not available");
    stage
        .post(OLGA, &path, all)
        .await
        .refused(409, "payout_unavailable");
    // An admin may give one up, and not pay what never started.
    let mark = |what: &str| format!("/api/v1/payouts/{}/{what}", rest.id());
    let reference = json!({"reference": "T"});
    stage
        .post(ADMIN, &mark("mark-paid"), reference)
        .await
        .refused(409, "payout_state");
    let reason = json!({"reason": "no"});
    stage
        .post(ADMIN, &mark("mark-failed"), reason)
        .await
        .ok(200);
    assert_eq!(stage.balance(&payable).await, 4_000);
    payouts::review::sweep(&stage.room).await.expect("asks");
    careful.0.store(false, Ordering::SeqCst);
    payouts::review::sweep(&stage.room).await.expect("asks");
    payouts::review::sweep(&stage.room).await.expect("asks");
    let path = format!("/api/v1/payouts/{}", held.id());
    let shown = stage.get(OLGA, &path).await.ok(200).body;
    assert_eq!(
        (&shown["status"], &shown["holdReason"]),
        (&json!("paid"), &json!(null))
    );
    assert_eq!(stage.wallet_has(&purse).await.0, 1_500);
    assert_eq!(stage.balance(&payable).await, 2_500);
}

async fn the_narrowest_fee_rule_applies_and_is_frozen() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 50).await;
    let rule = |scope: &str, id: Option<&str>, fixed: &str| {
        json!({"scope": scope, "scopeId": id, "currency": "EUR",
            "platform": {"percentBp": 0, "fixed": fixed}})
    };
    stage
        .put(OLGA, "/api/v1/fee-rules", rule("platform", None, "1.00"))
        .await
        .refused(403, "forbidden");
    stage
        .put(ADMIN, "/api/v1/fee-rules", rule("platform", None, "1.00"))
        .await
        .ok(200);
    let first = stage.reserve(ANA, &gig, 1).await.ok(201);
    assert_eq!(first.body["amounts"]["platformFee"], "1.00");
    stage
        .put(
            ADMIN,
            "/api/v1/fee-rules",
            rule("event", Some(&gig.event), "2.00"),
        )
        .await
        .ok(200);
    stage
        .put(
            ADMIN,
            "/api/v1/fee-rules",
            rule("org", Some(&gig.org), "3.00"),
        )
        .await
        .ok(200);
    let second = stage.reserve(BOB, &gig, 1).await.ok(201);
    assert_eq!(second.body["amounts"]["platformFee"], "2.00");
    let kept = stage
        .get(ANA, &format!("/api/v1/orders/{}", first.id()))
        .await
        .ok(200);
    assert_eq!(kept.body["amounts"]["total"], "11.00");
    assert_eq!(
        stage
            .get(ADMIN, "/api/v1/fee-rules")
            .await
            .ok(200)
            .items()
            .len(),
        3
    );
}

/// Row 41: what the organiser pays in fees is cut to what he gets.
async fn row_41_fees_of_a_cheap_ticket_leave_the_organiser_nothing_and_owe_nothing() {
    let stage = Stage::new().await;
    let kind = json!({"price": "0.20", "quantity": 10});
    let gig = stage
        .event_with(json!({"feePayer": "organizer"}), kind)
        .await;
    let wallet = stage.wallet("ana", "EUR", "5.00").await;
    stage.buy(ANA, &gig, 2, &wallet).await;
    assert_eq!(stage.wallet_has(&wallet).await.0, 460, "no fee on top");
    let payable = format!("payable:{}:{}", gig.org, gig.event);
    // 2.9 % of 0.40 and 0.30: 0.31 of the 0.40.
    assert_eq!(stage.balance(&payable).await, 9);
    stage.buy(ANA, &gig, 1, &wallet).await;
    assert_eq!(stage.balance(&payable).await, 9, "0.20 of the 0.20");
    assert_eq!(stage.balance("fee:platform").await, 31 + 20);
    stage.check_clearing().await;
    stage.check_stock(&gig.event).await;
}

cases! {
    row_41_fees_of_a_cheap_ticket_leave_the_organiser_nothing_and_owe_nothing,
    rows_39_and_43_payouts_follow_what_the_ledger_owes,
    a_payout_that_is_held_waits_for_the_word_and_is_not_available_twice,
    a_bank_payout_is_marked_by_an_admin_and_a_failed_one_gives_back,
    the_narrowest_fee_rule_applies_and_is_frozen,
}
