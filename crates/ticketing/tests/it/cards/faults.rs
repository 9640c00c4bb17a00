//! What is lost on the way: rows 15 to 17, and calls whose answer never came.

use florin_platform::sql::query;
use florin_ticketing::card::worker;
use serde_json::json;

use super::{Cards, HOOK_SECRET};
use crate::shop::no_limits;
use crate::stage::{ADMIN, ANA, SECOND};

async fn inbox(cards: &Cards) -> i64 {
    let all = "SELECT COUNT(*) AS n FROM tk_card_inbox WHERE provider = $1";
    cards.count(all, "stripe").await
}

#[tokio::test]
async fn row_15_without_any_event_the_poller_confirms_within_two_minutes() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    cards.control("webhooks", json!({"mode": "drop"})).await;
    let order = cards.reserve(ANA, &gig, 1).await.ok(201).id();
    cards
        .card(ANA, &order, Some("pm_card_authenticationRequired"))
        .await
        .ok(200);
    let pass = json!({"paymentIntent": cards.intent(&order).await, "result": "success"});
    cards.control("authenticate", pass).await;
    cards.work().await;
    assert_eq!(
        cards.order(&order).await["status"],
        "pending",
        "not yet silent"
    );
    cards.advance(60 * SECOND);
    cards.work().await;
    assert_eq!(cards.order(&order).await["status"], "confirmed", "INV-T5");
    assert_eq!(inbox(&cards).await, 0);
    cards.check_money().await;
}

/// INV-T5 for what no intent waits for: an intent that was given up is paid after all, and no
/// event is delivered.
#[tokio::test]
async fn what_was_never_delivered_is_found_in_the_provider_s_list() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    worker::sweep(&cards.room).await.expect("sweeps");
    cards.control("webhooks", json!({"mode": "drop"})).await;
    let order = cards.reserve(ANA, &gig, 1).await.ok(201).id();
    cards
        .card(ANA, &order, Some("pm_card_authenticationRequired"))
        .await
        .ok(200);
    let intent = cards.intent(&order).await;
    cards.expire(1_900).await;
    cards.work().await;
    let late = json!({"paymentIntent": intent, "result": "success", "force": true});
    cards.control("authenticate", late).await;
    cards.advance(30 * SECOND);
    let seen = worker::sweep(&cards.room).await.expect("sweeps");
    assert!(seen > 0);
    assert_eq!(cards.order(&order).await["status"], "confirmed");
    let taken = inbox(&cards).await;
    assert!(taken > 0);
    // The same again changes nothing (INV-T12).
    worker::sweep(&cards.room).await.expect("sweeps");
    assert_eq!(inbox(&cards).await, taken);
    cards.check_money().await;
}

#[tokio::test]
async fn row_16_a_bad_signature_is_refused_and_nothing_is_stored() {
    let cards = Cards::new().await;
    let body = json!({
        "id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "created": 1,
        "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
    });
    let now = cards.room.now() / SECOND;
    let path = "/api/v1/payments/stripe/webhook";
    let signed = |secret: &str, time: i64| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = ring::hmac::sign(&key, format!("{time}.{body}").as_bytes());
        format!("t={time},v1={}", hex::encode(tag))
    };
    let send = |header: String| {
        let call = cards
            .call("", "POST", path)
            .header("stripe-signature", &header);
        call.json(body.clone()).send()
    };
    for header in [
        signed("whsec_other", now),
        signed(HOOK_SECRET, now - 301),
        "t=1".to_owned(),
    ] {
        send(header).await.refused(400, "signature_invalid");
    }
    let plain = cards.call("", "POST", path).json(body.clone()).send().await;
    plain.refused(400, "signature_invalid");
    assert_eq!(inbox(&cards).await, 0);
    send(signed(HOOK_SECRET, now - 299)).await.ok(200);
    assert_eq!(inbox(&cards).await, 1);
}

#[tokio::test]
async fn row_17_a_store_that_fails_answers_500_and_the_retry_takes_effect_once() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.reserve(ANA, &gig, 1).await.ok(201).id();
    cards
        .card(ANA, &order, Some("pm_card_authenticationRequired"))
        .await
        .ok(200);
    cards.quiet().await;
    let db = &cards.room.store.db;
    let break_it = query("ALTER TABLE tk_card_inbox RENAME TO tk_card_inbox_away");
    db.execute(break_it).await.expect("renames");
    let pass = json!({"paymentIntent": cards.intent(&order).await, "result": "success"});
    cards.control("authenticate", pass).await;
    let mut attempts = 0;
    while attempts == 0 {
        let state = cards.provider().await;
        let all = state["events"].as_array().expect("events");
        let told = all
            .iter()
            .find(|event| event["type"] == "payment_intent.succeeded");
        let told = told.expect("told");
        attempts = told["attempts"].as_i64().expect("a number");
        assert_eq!(told["delivered"], 0);
    }
    assert_eq!(cards.order(&order).await["status"], "pending");
    let mend = query("ALTER TABLE tk_card_inbox_away RENAME TO tk_card_inbox");
    db.execute(mend).await.expect("renames");
    cards.becomes(&order, "confirmed").await;
    assert_eq!(cards.tickets(&order).await.len(), 1);
    cards.quiet().await;
    cards.check_money().await;
}

#[tokio::test]
async fn calls_whose_answer_is_lost_are_made_once() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    for path in [
        "POST /v1/payment_intents",
        "POST /v1/payment_intents/*/confirm",
    ] {
        for kind in ["fail", "fail_after"] {
            let fault = json!({"path": path, "kind": kind, "next": 2});
            cards.control("faults", fault).await;
            cards.bought(ANA, &gig, 1, "pm_card_visa").await;
            cards.control("faults", json!({"clear": true})).await;
        }
    }
    let provider = cards.provider().await;
    assert_eq!(provider["charges"].as_array().map(Vec::len), Some(4));
    // A provider that is away for long: nothing certain is said, and the same call goes on later.
    let order = cards.reserve(ANA, &gig, 1).await.ok(201).id();
    let away = json!({"path": "/v1/payment_intents", "kind": "fail_after", "next": 20});
    cards.control("faults", away).await;
    cards
        .card(ANA, &order, Some("pm_card_visa"))
        .await
        .refused(503, "provider_unavailable");
    cards.control("faults", json!({"clear": true})).await;
    let paid = cards.card(ANA, &order, Some("pm_card_visa")).await.ok(200);
    assert_eq!(paid.body["status"], "confirmed");
    let provider = cards.provider().await;
    assert_eq!(provider["charges"].as_array().map(Vec::len), Some(5));
    cards.quiet().await;
    cards.check_money().await;
}

#[tokio::test]
async fn the_day_is_compared_with_the_provider() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let order = cards.bought(ANA, &gig, 2, "pm_card_visa").await;
    let path = "/api/v1/payments/reconciliation?date=2030-01-01";
    let day = cards.get(ADMIN, path).await.ok(200);
    assert_eq!(day.body["matched"], 1, "{}", day.text);
    assert_eq!(day.body["differences"], json!([]));
    assert_eq!(
        day.body["balances"][0]["provider"],
        day.body["balances"][0]["ledger"]
    );
    // Somebody takes money at the provider that nobody told us of.
    cards.control("webhooks", json!({"mode": "drop"})).await;
    let form = format!("payment_intent={}&amount=100", cards.intent(&order).await);
    cards.console("/v1/refunds", &form).await;
    let day = cards.get(ADMIN, path).await.ok(200);
    assert_eq!(day.body["matched"], 1, "{}", day.text);
    assert_eq!(day.body["differences"][0]["kind"], "missing_in_ledger");
    assert_eq!(day.body["differences"][0]["provider"], "-1.00");
    cards
        .get(ADMIN, "/api/v1/payments/reconciliation?date=2030-02-30")
        .await
        .refused(400, "date_invalid");
    cards
        .get(ADMIN, "/api/v1/payments/reconciliation?date=2031-01-01")
        .await
        .refused(400, "date_in_future");
}

#[tokio::test]
async fn the_provider_pays_its_balance_to_the_bank() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    cards.bought(ANA, &gig, 1, "pm_card_visa").await;
    let before = cards.balance("psp:stripe").await;
    cards.control("payout", json!({})).await;
    let posted = "SELECT COUNT(*) AS n FROM tk_card_payouts WHERE currency = $1";
    cards.reaches(posted, "EUR", 1).await;
    assert_eq!(cards.balance("psp:stripe").await, 0);
    assert_eq!(cards.balance("bank").await, before);
    cards.quiet().await;
    cards.check_money().await;
}

/// INV-T5: a call fails before or after it took effect, at each step there is, every event is
/// lost, and the buyer never comes back: 120 s after the provider took the money, it has bought
/// tickets or is on its way back.
#[tokio::test]
async fn inv_t5_a_fault_at_any_step_ends_in_tickets_or_money_within_two_minutes() {
    const STEPS: [&str; 5] = [
        "POST /v1/payment_intents",
        "POST /v1/payment_intents/*/confirm",
        "GET /v1/payment_intents",
        "POST /v1/payment_intents/*/cancel",
        "POST /v1/refunds",
    ];
    let cards = Cards::with(no_limits()).await;
    let gig = cards.event("50.00", 500).await;
    cards.control("webhooks", json!({"mode": "drop"})).await;
    worker::sweep(&cards.room).await.expect("sweeps");
    let mut number = 0;
    for step in STEPS {
        for kind in ["fail", "fail_after"] {
            for story in ["pays", "asks his bank", "cancels, and pays after all"] {
                number += 1;
                let who = format!("user:fault{number}");
                let what = format!("{step} {kind}: he {story}");
                let fault = json!({"path": step, "kind": kind, "next": 3});
                cards.control("faults", fault).await;
                let order = cards.reserve(&who, &gig, 1).await.ok(201).id();
                let method = match story {
                    "pays" => "pm_card_visa",
                    _ => "pm_card_authenticationRequired",
                };
                // Whatever he is answered.
                cards.card(&who, &order, Some(method)).await;
                if story.starts_with("cancels") {
                    let path = format!("/api/v1/orders/{order}/cancel");
                    cards.post(&who, &path, json!({})).await;
                }
                pass(&cards, &order, story).await;
                let until = cards.room.now() + 120 * SECOND;
                while cards.room.now() < until {
                    cards.advance(10 * SECOND);
                    cards.work().await;
                    // A sweep that fails is done again.
                    drop(worker::sweep(&cards.room).await);
                }
                cards.control("faults", json!({"clear": true})).await;
                decided(&cards, &order, &what).await;
            }
        }
    }
    for _ in 0..3 {
        cards.expire(1_900).await;
        cards.work().await;
        worker::sweep(&cards.room).await.expect("sweeps");
    }
    cards.check_money().await;
    cards.check_stock(&gig.event).await;
}

/// His bank lets the payment pass, if the provider has heard of it.
async fn pass(cards: &Cards, order: &str, story: &str) {
    let state = cards.provider().await;
    let intents = state["paymentIntents"].as_array().expect("intents");
    for intent in intents
        .iter()
        .filter(|one| one["metadata"]["order_id"] == *order)
    {
        if story != "pays" && intent["status"] != "requires_payment_method" {
            let body = json!({
                "paymentIntent": intent["id"], "result": "success", "force": true,
            });
            cards.control("authenticate", body).await;
        }
    }
}

async fn decided(cards: &Cards, order: &str, what: &str) {
    let state = cards.provider().await;
    let list = |name: &str| state[name].as_array().expect("a list").clone();
    let shown = cards.order(order).await;
    for intent in list("paymentIntents") {
        if intent["metadata"]["order_id"] != *order || intent["status"] != "succeeded" {
            continue;
        }
        let went_back = list("refunds")
            .iter()
            .any(|refund| refund["payment_intent"] == intent["id"]);
        let has_tickets = shown["status"] == "confirmed" && cards.tickets(order).await.len() == 1;
        assert!(has_tickets != went_back, "INV-T5, {what}: {intent} {shown}");
    }
}
