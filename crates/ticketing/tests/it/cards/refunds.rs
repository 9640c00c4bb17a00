//! Money back by card: row 32, refunds that take their time, refunds of the provider's console.

use florin_ticketing::card::provider::{NewRefund, Refund, RefundStatus};
use florin_ticketing::card::refunds;
use serde_json::json;

use super::Cards;
use crate::stage::{ANA, OLGA, SECOND};

const ENDED: &str = "SELECT COUNT(*) AS n FROM tk_refunds
    WHERE order_id = $1 AND status IN ('succeeded', 'failed')";

async fn refund_id(cards: &Cards, order: &str) -> String {
    let path = format!("/api/v1/orders/{order}/refunds");
    let list = cards.get(OLGA, &path).await.ok(200);
    list.items()[0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_refund_goes_back_to_the_card() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 2, "pm_card_visa").await;
    let tickets = cards.tickets(&order).await;
    let body = json!({"ticketIds": [tickets[0].0], "reason": "ill"});
    cards.refund(OLGA, &order, body).await.ok(202);
    cards.work().await;
    cards.reaches(ENDED, &order, 1).await;
    let shown = cards
        .get(OLGA, &format!("/api/v1/orders/{order}/refunds"))
        .await
        .ok(200);
    assert_eq!(shown.items()[0]["status"], "succeeded");
    // Half of 103.20.
    assert_eq!(shown.items()[0]["amount"], "51.60");
    let refunds = cards.provider().await["refunds"].clone();
    assert_eq!(refunds[0]["amount"], 5_160);
    let names: Vec<String> = cards
        .postings(&order)
        .await
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["P1", "P4", "P2", "P5", "P6"]);
    assert_eq!(cards.order(&order).await["status"], "partially_refunded");
    cards.quiet().await;
    cards.check_money().await;
    cards.check_stock(&gig.event).await;
}

#[tokio::test]
async fn a_refund_that_takes_its_time_is_pending_until_it_is_there() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 1, "pm_card_pendingRefund").await;
    cards
        .refund(OLGA, &order, json!({"all": true, "reason": "ill"}))
        .await
        .ok(202);
    cards.work().await;
    let id = refund_id(&cards, &order).await;
    let shown = cards
        .get(OLGA, &format!("/api/v1/refunds/{id}"))
        .await
        .ok(200);
    assert_eq!(shown.body["status"], "pending");
    assert_eq!(cards.balance(&format!("refunds:{id}")).await, 5_175);
    cards.advance(5 * SECOND);
    cards.reaches(ENDED, &order, 1).await;
    let shown = cards
        .get(OLGA, &format!("/api/v1/refunds/{id}"))
        .await
        .ok(200);
    assert_eq!(shown.body["status"], "succeeded");
    // The posting follows the commit; the provider's message is answered after both.
    cards.quiet().await;
    assert_eq!(cards.balance(&format!("refunds:{id}")).await, 0);
    cards.check_money().await;
}

#[tokio::test]
async fn row_32_a_refund_that_fails_stays_visible_and_goes_to_a_wallet() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 1, "pm_card_refundFail").await;
    cards
        .refund(OLGA, &order, json!({"all": true, "reason": "ill"}))
        .await
        .ok(202);
    cards.work().await;
    cards.advance(5 * SECOND);
    cards.reaches(ENDED, &order, 1).await;
    let id = refund_id(&cards, &order).await;
    let shown = cards
        .get(OLGA, &format!("/api/v1/refunds/{id}"))
        .await
        .ok(200);
    assert_eq!(shown.body["status"], "failed");
    cards.quiet().await;
    assert_eq!(
        cards.balance(&format!("refunds:{id}")).await,
        5_175,
        "the sum stays there"
    );
    let wallet = cards.wallet("ana", "EUR", "0").await;
    let retry = json!({"to": "wallet", "walletId": wallet});
    let path = format!("/api/v1/refunds/{id}/retry");
    let again = cards.post(OLGA, &path, retry).await;
    assert!([200, 202].contains(&again.status), "{}", again.text);
    let done = "SELECT COUNT(*) AS n FROM tk_refunds WHERE id = $1 AND status = 'succeeded'";
    cards.reaches(done, &id, 1).await;
    assert_eq!(cards.wallet_has(&wallet).await.0, 5_175);
    assert_eq!(cards.balance(&format!("refunds:{id}")).await, 0);
    cards.quiet().await;
    cards.check_money().await;
}

#[tokio::test]
async fn refunds_whose_answers_are_lost_are_made_once() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 1, "pm_card_visa").await;
    let fault = json!({"path": "POST /v1/refunds", "kind": "fail_after", "next": 5});
    cards.control("faults", fault).await;
    cards
        .refund(OLGA, &order, json!({"all": true, "reason": "ill"}))
        .await
        .ok(202);
    for _ in 0..5 {
        cards.work().await;
        cards.advance(61 * SECOND);
    }
    cards.reaches(ENDED, &order, 1).await;
    let refunds = cards.provider().await["refunds"].clone();
    assert_eq!(refunds.as_array().map(Vec::len), Some(1));
    assert_eq!(cards.order(&order).await["status"], "refunded");
    cards.quiet().await;
    cards.check_money().await;
}

#[tokio::test]
async fn refunds_of_the_provider_s_console_are_taken_in() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 2, "pm_card_visa").await;
    let intent = cards.intent(&order).await;
    cards
        .console(
            "/v1/refunds",
            &format!("payment_intent={intent}&amount=2000"),
        )
        .await;
    cards.reaches(ENDED, &order, 1).await;
    let shown = cards.order(&order).await;
    assert_eq!(shown["status"], "partially_refunded");
    assert_eq!(shown["needsReview"], true);
    let alive = |tickets: Vec<(String, String)>| {
        tickets
            .iter()
            .filter(|(_, status)| status == "valid")
            .count()
    };
    assert_eq!(alive(cards.tickets(&order).await), 2, "tickets stay");
    cards.quiet().await;
    cards.check_money().await;
    cards
        .console("/v1/refunds", &format!("payment_intent={intent}"))
        .await;
    cards.reaches(ENDED, &order, 2).await;
    assert_eq!(cards.order(&order).await["status"], "refunded");
    assert_eq!(alive(cards.tickets(&order).await), 0, "repaid in full");
    cards.quiet().await;
    cards.check_money().await;
    cards.check_stock(&gig.event).await;
}

/// Two processes have read a refund and its row before either applied anything: one saw it made,
/// the other saw that the card's bank refused it after all. Whoever is quicker, both sides agree
/// in the end (INV-T10), and P6 stands only where the money left.
#[tokio::test]
async fn what_two_processes_saw_of_a_refund_is_posted_as_it_ended() {
    for made_first in [true, false] {
        let cards = Cards::new().await;
        cards.control("webhooks", json!({"mode": "drop"})).await;
        let gig = cards.event("50.00", 10).await;
        let order = cards.bought(ANA, &gig, 1, "pm_card_refundFail").await;
        let all = json!({"all": true, "reason": "ill"});
        cards.refund(OLGA, &order, all).await.ok(202);
        let room = &cards.room;
        let due = refunds::due(&room.store.db, room.now(), 10).await;
        let row = due.expect("reads").remove(0);
        let provider = room.card.as_deref().expect("takes cards");
        let new = NewRefund {
            reference: row.id.clone(),
            intent_id: cards.intent(&order).await,
            amount: row.amount,
        };
        let pending = provider.refund(&new).await.expect("made");
        cards.advance(6 * SECOND);
        let failed = loop {
            let shown = provider.refund_now(&pending.id).await.expect("there");
            if shown.status == RefundStatus::Failed {
                break shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let made = Refund {
            status: RefundStatus::Succeeded,
            ..pending
        };
        let seen = match made_first {
            true => [&made, &failed],
            false => [&failed, &made],
        };
        for shown in seen {
            refunds::apply(room, &row, shown).await.expect("applies");
        }
        let shown = cards
            .get(OLGA, &format!("/api/v1/refunds/{}", row.refund_id))
            .await
            .ok(200);
        assert_eq!(shown.body["status"], "failed", "{}", shown.text);
        let sum = cards.balance(&format!("refunds:{}", row.refund_id)).await;
        assert_eq!(sum, 5_175, "the sum stays there");
        cards.check_money().await;
        // And it can be paid another way, once.
        let wallet = cards.wallet("ana", "EUR", "0").await;
        let retry = json!({"to": "wallet", "walletId": wallet});
        let path = format!("/api/v1/refunds/{}/retry", row.refund_id);
        cards.post(OLGA, &path, retry).await.ok(202);
        assert_eq!(cards.wallet_has(&wallet).await.0, 5_175);
        cards.check_money().await;
    }
}
