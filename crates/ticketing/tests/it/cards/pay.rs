//! Paying by card: rows 11 to 14, and what a buyer is shown.

use serde_json::json;

use super::Cards;
use crate::stage::{ADMIN, ANA, BOB, GUEST};

#[tokio::test]
async fn a_card_pays_and_every_cent_is_posted() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 2, "pm_card_visa").await;
    // 100.00 and 2.90 + 0.30 of fees; the provider keeps 2.9 % and 0.30 of 103.20.
    let lines = |name: &str, component: &str, amount: i64| {
        (name.to_owned(), vec![(component.to_owned(), amount)])
    };
    assert_eq!(
        cards.postings(&order).await,
        vec![
            lines("P1", "payment", 10_320),
            lines("P4", "provider_cost", 329),
            (
                "P2".to_owned(),
                vec![("net".to_owned(), 10_000), ("platform_fee".to_owned(), 320)]
            ),
        ]
    );
    assert_eq!(cards.balance("psp:stripe").await, 10_320 - 329);
    let shown = cards.order(&order).await;
    assert_eq!(shown["payment"]["method"], "card");
    assert_eq!(shown["payment"]["status"], "succeeded");
    cards.check_money().await;
    cards.check_stock(&gig.event).await;
}

#[tokio::test]
async fn row_11_two_clicks_with_two_keys_are_one_intent_and_one_charge() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.reserve(ANA, &gig, 1).await.ok(201).id();
    let (first, second) = tokio::join!(
        cards.card(ANA, &order, Some("pm_card_visa")),
        cards.card(ANA, &order, Some("pm_card_visa")),
    );
    for reply in [&first, &second] {
        // Whoever came after the other finds the order confirmed.
        let late = reply.code() == (409, "order_state");
        assert!(reply.status == 200 || late, "{}", reply.text);
    }
    assert!(first.status == 200 || second.status == 200);
    assert_eq!(cards.order(&order).await["status"], "confirmed");
    let provider = cards.provider().await;
    assert_eq!(provider["paymentIntents"].as_array().map(Vec::len), Some(1));
    assert_eq!(provider["charges"].as_array().map(Vec::len), Some(1));
    cards.check_money().await;
}

#[tokio::test]
async fn a_second_checkout_without_a_method_shows_the_same_intent() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.reserve(GUEST, &gig, 1).await.ok(201);
    let token = order.text_of("accessToken");
    let path = format!("/api/v1/orders/{}/checkout", order.id());
    let ask = || {
        let call = cards.call(GUEST, "POST", &path).token(&token);
        call.json(json!({"method": "card"}))
    };
    let first = ask().key("a").send().await.ok(200);
    let second = ask().key("b").send().await.ok(200);
    let replay = ask().key("a").send().await.ok(200);
    assert!(replay.is_replay());
    for reply in [&first, &second, &replay] {
        assert_eq!(reply.body["status"], "pending");
        assert_eq!(
            reply.body["payment"], first.body["payment"],
            "{}",
            reply.text
        );
    }
    let secret = first.body["payment"]["clientSecret"]
        .as_str()
        .expect("a secret");
    assert!(secret.starts_with("pi_"));
    assert_eq!(first.body["payment"]["publishableKey"], "pk_test_florin");
    assert_eq!(
        cards.provider().await["paymentIntents"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    // The browser confirms with what it was given; the event confirms the order.
    let intent = first.body["payment"]["intentId"].as_str().expect("an id");
    let form = format!("payment_method=pm_card_visa&client_secret={secret}");
    cards
        .console(&format!("/v1/payment_intents/{intent}/confirm"), &form)
        .await;
    cards.becomes(&order.id(), "confirmed").await;
    cards.check_money().await;
}

#[tokio::test]
async fn row_12_declined_the_order_is_reserved_and_a_retry_works() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.reserve(ANA, &gig, 1).await.ok(201);
    let (id, expires) = (order.id(), order.text_of("expiresAt"));
    let declined = cards
        .card(
            ANA,
            &id,
            Some("pm_card_visa_chargeDeclinedInsufficientFunds"),
        )
        .await
        .refused(402, "payment_declined");
    assert_eq!(declined.body["declineCode"], "insufficient_funds");
    let shown = cards.order(&id).await;
    assert_eq!(shown["status"], "reserved");
    assert_eq!(shown["payment"]["status"], "failed");
    assert_eq!(shown["holds"][0]["state"], "held");
    assert_eq!(
        shown["expiresAt"],
        json!(expires),
        "the hold was long enough"
    );
    cards
        .card(ANA, &id, Some("pm_card_visa_chargeDeclined"))
        .await
        .refused(402, "payment_declined");
    let paid = cards.card(ANA, &id, Some("pm_card_visa")).await.ok(200);
    assert_eq!(paid.body["status"], "confirmed");
    let provider = cards.provider().await;
    assert_eq!(provider["paymentIntents"].as_array().map(Vec::len), Some(1));
    cards.quiet().await;
    assert_eq!(cards.order(&id).await["status"], "confirmed");
    cards.check_money().await;
}

#[tokio::test]
async fn row_13_authentication_is_asked_for_and_confirms_after_it() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.reserve(ANA, &gig, 1).await.ok(201).id();
    let body = json!({
        "method": "card", "paymentMethodId": "pm_card_authenticationRequired",
        "returnUrl": "https://shop.example/back",
    });
    let waits = cards.checkout(ANA, &order, body).await.ok(200);
    assert_eq!(waits.body["status"], "pending");
    assert_eq!(waits.body["payment"]["status"], "requires_action");
    let action = &waits.body["payment"]["nextAction"];
    assert_eq!(
        action["redirect_to_url"]["return_url"],
        "https://shop.example/back"
    );
    let other = cards.wallet("ana", "EUR", "200.00").await;
    cards
        .checkout(ANA, &order, json!({"method": "wallet", "walletId": other}))
        .await
        .refused(409, "payment_in_progress");
    let intent = cards.intent(&order).await;
    let pass = json!({"paymentIntent": intent, "result": "success"});
    cards.control("authenticate", pass).await;
    cards.becomes(&order, "confirmed").await;
    let second = cards.reserve(BOB, &gig, 1).await.ok(201).id();
    cards
        .card(BOB, &second, Some("pm_card_authenticationRequired"))
        .await
        .ok(200);
    let fail = json!({"paymentIntent": cards.intent(&second).await, "result": "fail"});
    cards.control("authenticate", fail).await;
    let shown = cards.becomes(&second, "reserved").await;
    assert_eq!(shown["payment"]["status"], "failed");
    cards.check_money().await;
}

#[tokio::test]
async fn row_14_events_repeated_and_out_of_order_take_effect_once() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    cards.control("webhooks", json!({"repeat": 3})).await;
    let order = cards.reserve(ANA, &gig, 1).await.ok(201).id();
    cards
        .card(ANA, &order, Some("pm_card_authenticationRequired"))
        .await
        .ok(200);
    let intent = cards.intent(&order).await;
    let pass = json!({"paymentIntent": intent, "result": "success"});
    cards.control("authenticate", pass).await;
    cards.becomes(&order, "confirmed").await;
    cards.control("webhooks", json!({"repeat": 1})).await;
    let fail = json!({"paymentIntent": intent, "result": "fail", "force": true});
    cards.control("authenticate", fail).await;
    let failed = "SELECT COUNT(*) AS n FROM tk_card_inbox
        WHERE kind = 'payment_intent.payment_failed' AND state = 'done' AND object_id = $1";
    cards.reaches(failed, &intent, 1).await;
    cards.quiet().await;
    let delivered: Vec<i64> = cards.provider().await["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| {
            let kind = event["type"].as_str().unwrap_or_default();
            ["payment_intent.succeeded", "payment_intent.payment_failed"].contains(&kind)
        })
        .map(|event| event["delivered"].as_i64().expect("a number"))
        .collect();
    assert_eq!(delivered, [3, 1], "four times 200");
    assert_eq!(cards.order(&order).await["status"], "confirmed");
    let ones = cards.postings(&order).await;
    let count = ones.iter().filter(|(name, _)| name == "P1").count();
    assert_eq!(count, 1, "INV-T12: {ones:?}");
    assert_eq!(cards.tickets(&order).await.len(), 1);
    cards.check_money().await;
}

#[tokio::test]
async fn what_cannot_be_paid_by_card_is_refused() {
    let cards = Cards::new().await;
    let gig = cards.event("0.10", 10).await;
    let order = cards.reserve(ANA, &gig, 1).await.ok(201).id();
    // 0.10 and 0.10 of fees.
    cards
        .card(ANA, &order, Some("pm_card_visa"))
        .await
        .refused(409, "amount_below_minimum");
    assert_eq!(cards.order(&order).await["status"], "reserved");
    cards
        .card(ANA, &order, Some("tok_visa"))
        .await
        .refused(400, "payment_method_invalid");
    let gig = cards.event("50.00", 10).await;
    let order = cards.reserve(ANA, &gig, 1).await.ok(201).id();
    cards
        .card(ANA, &order, Some("pm_card_unheardOf"))
        .await
        .refused(402, "payment_declined");
    assert_eq!(cards.order(&order).await["status"], "reserved");
    cards.card(ANA, &order, Some("pm_card_visa")).await.ok(200);
    let inbox = cards.get(ADMIN, "/api/v1/payments/inbox").await.ok(200);
    assert!(!inbox.items().is_empty());
    cards
        .get(ANA, "/api/v1/payments/inbox")
        .await
        .refused(403, "forbidden");
}
