//! Late, double and wrong payments: rows 18 to 22.

use serde_json::json;

use super::Cards;
use crate::stage::{ANA, BOB, Gig};

/// An order of Ana's that waits for her bank, and its intent.
async fn waiting(cards: &Cards, gig: &Gig) -> (String, String) {
    let order = cards.reserve(ANA, gig, 1).await.ok(201).id();
    cards
        .card(ANA, &order, Some("pm_card_authenticationRequired"))
        .await
        .ok(200);
    let intent = cards.intent(&order).await;
    (order, intent)
}

async fn pay_after_all(cards: &Cards, intent: &str) {
    let body = json!({"paymentIntent": intent, "result": "success", "force": true});
    cards.control("authenticate", body).await;
}

const RETURNED: &str = "SELECT COUNT(*) AS n FROM tk_card_refunds
    WHERE order_id = $1 AND kind = 'return' AND state = 'succeeded'";
const DECIDED: &str = "SELECT COUNT(*) AS n FROM tk_card_intents
    WHERE order_id = $1 AND state IN ('paid', 'returning')";

/// The money of the newest payment went back whole, and nothing of it is left anywhere.
async fn went_back(cards: &Cards, order: &str) {
    cards.reaches(DECIDED, order, 1).await;
    cards.work().await;
    cards.reaches(RETURNED, order, 1).await;
    let names: Vec<String> = cards
        .postings(order)
        .await
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["P1", "P4", "P7", "P6"]);
    assert_eq!(cards.tickets(order).await.len(), 0);
    cards.quiet().await;
    cards.check_money().await;
}

#[tokio::test]
async fn row_18_paid_after_expiry_with_stock_left_is_honoured() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 1).await;
    let (order, intent) = waiting(&cards, &gig).await;
    cards.expire(1_900).await;
    assert_eq!(cards.order(&order).await["status"], "expired");
    cards.work().await;
    let shown = cards.provider().await;
    assert_eq!(shown["paymentIntents"][0]["status"], "canceled");
    pay_after_all(&cards, &intent).await;
    let shown = cards.becomes(&order, "confirmed").await;
    assert_eq!(shown["lateHonoured"], true, "{shown}");
    assert_eq!(cards.tickets(&order).await.len(), 1);
    cards.quiet().await;
    cards.check_money().await;
    cards.check_stock(&gig.event).await;
}

#[tokio::test]
async fn row_19_paid_after_expiry_with_none_left_goes_back() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 1).await;
    let (order, intent) = waiting(&cards, &gig).await;
    cards.expire(1_900).await;
    let quick = cards.bought(BOB, &gig, 1, "pm_card_visa").await;
    pay_after_all(&cards, &intent).await;
    went_back(&cards, &order).await;
    assert_eq!(cards.order(&order).await["status"], "expired");
    assert_eq!(cards.tickets(&quick).await.len(), 1);
    cards.check_stock(&gig.event).await;
}

#[tokio::test]
async fn row_20_paid_after_the_buyer_cancelled_goes_back() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 1).await;
    let (order, intent) = waiting(&cards, &gig).await;
    let path = format!("/api/v1/orders/{order}/cancel");
    cards.post(ANA, &path, json!({})).await.ok(200);
    assert_eq!(cards.order(&order).await["status"], "cancelled");
    pay_after_all(&cards, &intent).await;
    went_back(&cards, &order).await;
    assert_eq!(cards.order(&order).await["status"], "cancelled");
    cards.check_stock(&gig.event).await;
}

#[tokio::test]
async fn a_cancel_finds_that_the_payment_has_succeeded() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 1).await;
    let (order, intent) = waiting(&cards, &gig).await;
    cards.control("webhooks", json!({"mode": "drop"})).await;
    let pass = json!({"paymentIntent": intent, "result": "success"});
    cards.control("authenticate", pass).await;
    assert_eq!(cards.order(&order).await["status"], "pending");
    let path = format!("/api/v1/orders/{order}/cancel");
    cards
        .post(ANA, &path, json!({}))
        .await
        .refused(409, "payment_succeeded");
    assert_eq!(cards.order(&order).await["status"], "confirmed");
    assert_eq!(cards.tickets(&order).await.len(), 1);
    cards.check_money().await;
}

#[tokio::test]
async fn row_21_a_cent_less_is_not_confirmed_and_goes_back() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 1).await;
    let (order, intent) = waiting(&cards, &gig).await;
    // 50.00 and 1.75 of fees.
    let body = json!({"paymentIntent": intent, "result": "success", "amountReceived": 5_174});
    cards.control("authenticate", body).await;
    went_back(&cards, &order).await;
    let shown = cards.order(&order).await;
    assert_eq!(shown["status"], "reserved", "{shown}");
    assert_eq!(shown["needsReview"], true, "{shown}");
    // The hold lives: another payment, of the right sum, is taken.
    let paid = cards.card(ANA, &order, Some("pm_card_visa")).await.ok(200);
    assert_eq!(paid.body["status"], "confirmed");
    cards.check_money().await;
}

#[tokio::test]
async fn row_22_a_second_payment_of_an_order_goes_back_and_the_tickets_stay() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 5).await;
    let (order, intent) = waiting(&cards, &gig).await;
    let fail = json!({"paymentIntent": intent, "result": "fail"});
    cards.control("authenticate", fail).await;
    cards.becomes(&order, "reserved").await;
    let wallet = cards.wallet("ana", "EUR", "200.00").await;
    let body = json!({"method": "wallet", "walletId": wallet});
    let paid = cards.checkout(ANA, &order, body).await.ok(200);
    assert_eq!(paid.body["status"], "confirmed");
    let before = cards.tickets(&order).await;
    pay_after_all(&cards, &intent).await;
    cards.reaches(DECIDED, &order, 1).await;
    cards.work().await;
    cards.reaches(RETURNED, &order, 1).await;
    assert_eq!(cards.tickets(&order).await, before);
    assert_eq!(cards.order(&order).await["status"], "confirmed");
    cards.quiet().await;
    cards.check_money().await;
    cards.check_stock(&gig.event).await;
}
