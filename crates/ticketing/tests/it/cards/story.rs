//! Seeded histories: payments, refunds, disputes, lost calls, lost and repeated events in any
//! order. At the end the invariants hold: nobody paid without a ticket or his money (INV-T5), each
//! posting is there once (INV-T6), clearing is empty (INV-T7), the provider's balance is ours
//! (INV-T10).

use florin_ticketing::card::worker;
use serde_json::json;

use super::Cards;
use crate::stage::{Gig, OLGA, SECOND};

/// A small generator, so that a failing history can be run again by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let sides = all.len() as u64;
        all[usize::try_from(self.roll(sides)).expect("small")]
    }
}

const METHODS: [&str; 7] = [
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_visa_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_card_createDispute",
    "pm_card_pendingRefund",
    "pm_card_refundFail",
];
const FAULTS: [&str; 4] = [
    "POST /v1/payment_intents",
    "POST /v1/payment_intents/*/confirm",
    "GET /v1/payment_intents",
    "POST /v1/refunds",
];

async fn weather(cards: &Cards, dice: &mut Dice) {
    let hook = match dice.roll(5) {
        0 => json!({"mode": "drop"}),
        1 => json!({"mode": "deliver", "repeat": 3, "order": "random"}),
        2 => json!({"mode": "deliver", "repeat": 1, "order": "reverse"}),
        _ => json!({"mode": "deliver", "repeat": 1, "order": "created"}),
    };
    cards.control("webhooks", hook).await;
    if dice.roll(3) == 0 {
        let kind = dice.pick(&["fail", "fail_after"]);
        let fault = json!({
            "path": dice.pick(&FAULTS), "kind": kind, "next": 1 + dice.roll(4),
        });
        cards.control("faults", fault).await;
    }
}

async fn buy(cards: &Cards, dice: &mut Dice, gig: &Gig, orders: &mut Vec<String>) {
    let who = format!("user:buyer{}", dice.roll(40));
    let reply = cards
        .reserve(&who, gig, 1 + i64::try_from(dice.roll(2)).expect("small"))
        .await;
    if reply.status != 201 {
        return;
    }
    let order = reply.id();
    // Whatever comes of it, the invariants decide.
    cards.card(&who, &order, Some(dice.pick(&METHODS))).await;
    if dice.roll(4) == 0 {
        cards
            .post(&who, &format!("/api/v1/orders/{order}/cancel"), json!({}))
            .await;
    }
    orders.push(order);
}

async fn meddle(cards: &Cards, dice: &mut Dice, orders: &[String]) {
    let Some(order) = orders.get(usize::try_from(dice.roll(60)).expect("small")) else {
        return;
    };
    match dice.roll(4) {
        0 => {
            cards
                .refund(OLGA, order, json!({"all": true, "reason": "x"}))
                .await;
        }
        1 => {
            let tickets = cards.tickets(order).await;
            if let Some((id, _)) = tickets.first() {
                let body = json!({"ticketIds": [id], "reason": "x"});
                cards.refund(OLGA, order, body).await;
            }
        }
        _ => {
            let state = cards.provider().await;
            let intents = state["paymentIntents"].as_array().expect("intents").clone();
            let of_order = intents
                .iter()
                .filter(|i| i["metadata"]["order_id"] == **order);
            for intent in of_order {
                let open = ["requires_action", "canceled", "requires_payment_method"];
                let waits = open.contains(&intent["status"].as_str().unwrap_or_default());
                if waits && dice.roll(2) == 0 {
                    let body = json!({
                        "paymentIntent": intent["id"], "force": true,
                        "result": dice.pick(&["success", "success", "fail"]),
                    });
                    cards.control("authenticate", body).await;
                }
            }
        }
    }
}

/// The weather clears, and everybody has the time that the contract gives.
async fn calm(cards: &Cards) {
    cards.control("faults", json!({"clear": true})).await;
    let clear = json!({"mode": "deliver", "repeat": 1, "order": "created"});
    cards.control("webhooks", clear).await;
    for _ in 0..4 {
        cards.expire(61).await;
        cards.work().await;
        worker::sweep(&cards.room).await.expect("sweeps");
    }
    cards.expire(2_000).await;
    for _ in 0..4 {
        cards.advance(61 * SECOND);
        cards.work().await;
        worker::sweep(&cards.room).await.expect("sweeps");
        cards.quiet().await;
    }
}

/// INV-T5: of everything the provider took, each payment has tickets or went back.
async fn nobody_paid_for_nothing(cards: &Cards, seed: u64) {
    let state = cards.provider().await;
    for intent in state["paymentIntents"].as_array().expect("intents") {
        if intent["status"] != "succeeded" {
            continue;
        }
        let order = intent["metadata"]["order_id"].as_str().expect("an order");
        let id = intent["id"].as_str().expect("an id");
        let text = "SELECT COUNT(*) AS n FROM tk_card_intents WHERE provider_id = $1
            AND (state = 'paid' OR (state = 'returning' AND EXISTS (SELECT 1 FROM tk_card_refunds r
                WHERE r.intent_id = tk_card_intents.id AND r.kind = 'return')))";
        assert_eq!(
            cards.count(text, id).await,
            1,
            "INV-T5, seed {seed}: {order} {intent}"
        );
    }
}

#[tokio::test]
async fn seeded_histories_end_with_every_cent_in_its_place() {
    let rounds: u64 = std::env::var("FLORIN_CARD_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3);
    let first: u64 = std::env::var("FLORIN_CARD_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    for seed in first..first + rounds {
        println!("seed {seed}");
        let cards = Cards::new().await;
        worker::sweep(&cards.room).await.expect("sweeps");
        let gig = cards.event("50.00", 12).await;
        let mut dice = Dice(seed);
        let mut orders = Vec::new();
        for _ in 0..40 {
            match dice.roll(8) {
                0 => weather(&cards, &mut dice).await,
                1 | 2 => meddle(&cards, &mut dice, &orders).await,
                3 => {
                    cards.advance(61 * SECOND);
                    cards.work().await;
                }
                4 => cards.expire(300).await,
                _ => buy(&cards, &mut dice, &gig, &mut orders).await,
            }
        }
        calm(&cards).await;
        nobody_paid_for_nothing(&cards, seed).await;
        cards.check_money().await;
        cards.check_stock(&gig.event).await;
    }
}
