//! Disputes: rows 37 and 38.

use florin_ticketing::orders::refunds::job;
use serde_json::{Value, json};

use super::Cards;
use crate::stage::{ADMIN, ANA, OLGA};

const IN_STATE: &str = "SELECT COUNT(*) AS n FROM tk_card_disputes WHERE state = $1";

async fn act(cards: &Cards, order: &str, action: &str) {
    let body = json!({"paymentIntent": cards.intent(order).await, "action": action});
    cards.control("dispute", body).await;
}

async fn status(cards: &Cards, order: &str) -> String {
    cards.tickets(order).await[0].1.clone()
}

async fn qr(cards: &Cards, order: &str) -> Value {
    let path = format!("/api/v1/tickets?orderId={order}");
    cards.get(ANA, &path).await.ok(200).items()[0]["token"].clone()
}

async fn names(cards: &Cards, order: &str) -> Vec<String> {
    cards
        .postings(order)
        .await
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

#[tokio::test]
async fn row_37_an_inquiry_does_nothing_a_dispute_suspends_and_a_won_one_restores() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 1, "pm_card_visa").await;
    let before = qr(&cards, &order).await;
    act(&cards, &order, "inquiry").await;
    cards.reaches(IN_STATE, "inquiry", 1).await;
    assert_eq!(status(&cards, &order).await, "valid");
    assert_eq!(names(&cards, &order).await, ["P1", "P4", "P2"]);
    act(&cards, &order, "open").await;
    cards.reaches(IN_STATE, "open", 1).await;
    assert_eq!(status(&cards, &order).await, "suspended");
    assert_eq!(cards.order(&order).await["payment"]["status"], "disputed");
    cards.quiet().await;
    cards.check_money().await;
    let list = cards
        .get(ADMIN, "/api/v1/payments/disputes?state=open")
        .await
        .ok(200);
    assert_eq!(list.items()[0]["amount"], "51.75");
    assert_eq!(list.items()[0]["fee"], "15.00");
    let id = list.items()[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(cards.balance(&format!("chargebacks:{id}")).await, 5_175);
    act(&cards, &order, "win").await;
    cards.reaches(IN_STATE, "won", 1).await;
    assert_eq!(status(&cards, &order).await, "valid");
    assert_eq!(
        qr(&cards, &order).await,
        before,
        "the same code works again"
    );
    assert_eq!(
        names(&cards, &order).await,
        ["P1", "P4", "P2", "P10", "P11"]
    );
    assert_eq!(cards.balance(&format!("chargebacks:{id}")).await, 0);
    assert_eq!(cards.order(&order).await["payment"]["status"], "succeeded");
    cards.quiet().await;
    cards.check_money().await;
}

#[tokio::test]
async fn row_37_a_lost_dispute_is_borne_by_the_organiser_and_cancels_the_tickets() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 1, "pm_card_createDispute").await;
    cards.reaches(IN_STATE, "open", 1).await;
    act(&cards, &order, "lose").await;
    cards.reaches(IN_STATE, "lost", 1).await;
    assert_eq!(status(&cards, &order).await, "cancelled");
    cards.quiet().await;
    // The dispute may be heard of before the sale is posted; both are there in the end.
    let mut posted = names(&cards, &order).await;
    posted.sort();
    assert_eq!(posted, ["P1", "P10", "P12", "P2", "P4"]);
    let payable = format!("payable:{}:{}", gig.org, gig.event);
    assert_eq!(cards.balance(&payable).await, 5_000 - 5_175);
    assert_eq!(
        cards.order(&order).await["payment"]["status"],
        "charged_back"
    );
    cards.check_money().await;
    cards.check_stock(&gig.event).await;
}

#[tokio::test]
async fn a_dispute_of_which_only_the_end_was_heard_is_posted_whole() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 1, "pm_card_visa").await;
    cards.quiet().await;
    cards.control("webhooks", json!({"mode": "drop"})).await;
    act(&cards, &order, "open").await;
    cards
        .control("webhooks", json!({"mode": "deliver", "order": "reverse"}))
        .await;
    act(&cards, &order, "lose").await;
    cards.reaches(IN_STATE, "lost", 1).await;
    cards.quiet().await;
    assert_eq!(
        names(&cards, &order).await,
        ["P1", "P4", "P2", "P10", "P12"]
    );
    assert_eq!(status(&cards, &order).await, "cancelled");
    cards.check_money().await;
}

#[tokio::test]
async fn row_38_nothing_is_refunded_while_a_dispute_is_open() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 1, "pm_card_createDispute").await;
    cards.reaches(IN_STATE, "open", 1).await;
    let all = json!({"all": true, "reason": "ill"});
    cards
        .refund(OLGA, &order, all.clone())
        .await
        .refused(409, "payment_disputed");
    act(&cards, &order, "win").await;
    cards.reaches(IN_STATE, "won", 1).await;
    cards.refund(OLGA, &order, all).await.ok(202);
    cards.work().await;
    cards.quiet().await;
    cards.check_money().await;
}

#[tokio::test]
async fn an_inquiry_of_the_card_itself_blocks_nothing() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards
        .bought(ANA, &gig, 1, "pm_card_createDisputeInquiry")
        .await;
    cards.reaches(IN_STATE, "inquiry", 1).await;
    cards
        .refund(OLGA, &order, json!({"all": true, "reason": "ill"}))
        .await
        .ok(202);
    cards.work().await;
    cards.quiet().await;
    assert_eq!(cards.order(&order).await["status"], "refunded");
    cards.check_money().await;
}

/// Row 38 meets row 36: the event is cancelled while a payment is in dispute. The job leaves the
/// order alone; when the dispute is won, the money is the buyer's all the same.
#[tokio::test]
async fn a_dispute_that_is_won_after_the_event_was_cancelled_is_paid_back() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 1, "pm_card_createDispute").await;
    cards.reaches(IN_STATE, "open", 1).await;
    let other = cards.bought(ANA, &gig, 1, "pm_card_visa").await;
    let path = format!("/api/v1/events/{}/cancel", gig.event);
    let job = cards.post(OLGA, &path, json!({"reason": "Rain"})).await;
    let job = job.ok(202).text_of("refundJobId");
    while job::sweep(&cards.room).await.expect("works") > 0 {}
    cards.work().await;
    assert_eq!(cards.order(&other).await["status"], "refunded");
    assert_eq!(cards.order(&order).await["status"], "confirmed");
    act(&cards, &order, "win").await;
    cards.reaches(IN_STATE, "won", 1).await;
    cards.work().await;
    cards.quiet().await;
    assert_eq!(cards.order(&order).await["status"], "refunded");
    assert_eq!(status(&cards, &order).await, "cancelled");
    let job = format!("/api/v1/events/{}/refund-jobs/{job}", gig.event);
    let shown = cards.get(OLGA, &job).await.ok(200).body;
    assert_eq!((&shown["total"], &shown["done"]), (&json!(2), &json!(2)));
    cards.check_money().await;
    cards.check_stock(&gig.event).await;
}
