//! Random histories of a sale, and every figure of its report counted again in the most naive way:
//! money record by record from the ledger, up to the position that the report names; tickets and
//! passages row by row (INV-T11; contract E, the table of metrics). People pay from wallets and by
//! card, late, twice and in dispute, are refunded, and the organiser is paid out.
//! `FLORIN_RECOUNT_SEED` and `FLORIN_RECOUNT_ROUNDS` choose others.

mod naive;

use florin_platform::sql::{Row, query};
use florin_ticketing::money::due;
use florin_ticketing::worker;
use serde_json::{Value, json};

use crate::cards::Cards;
use crate::money::to_wallet;
use crate::shop::no_limits;
use crate::stage::{ANA, BOB, DAY, Gig, OLGA, SECOND, START};
use crate::tickets::nonce;
use naive::{money, shown, tickets};

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }

    fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.roll(count as u64)).expect("small")
    }
}

/// Cards that buyers have.
const METHODS: [&str; 4] = [
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_createDispute",
    "pm_card_authenticationRequired",
];

/// A sale with three types, two codes and two wallets.
struct Fair {
    stage: Cards,
    gig: Gig,
    kinds: Vec<String>,
    wallets: [String; 2],
    orders: Vec<String>,
    /// Orders whose buyer's bank has not spoken yet.
    waiting: Vec<String>,
    /// Orders whose buyer has called his bank.
    disputed: Vec<String>,
    check_ins: Vec<String>,
    scans: u128,
}

async fn fair(dice: &mut Dice) -> Fair {
    let stage = Cards::with(no_limits()).await;
    let payer = ["buyer", "organizer"][dice.place(2)];
    let tax = dice.roll(3) * 700;
    let first = json!({"price": "50.00", "quantity": 60, "taxRateBp": tax});
    let gig = stage.event_with(json!({"feePayer": payer}), first).await;
    let mut kinds = vec![gig.kind.clone()];
    for (name, price, included) in [("Gallery", "33.33", false), ("Children", "0.00", true)] {
        let body = json!({"name": name, "price": price, "quantity": 40, "taxRateBp": 1_900,
            "priceIncludesTax": included});
        kinds.push(stage.kind(&gig.event, body).await);
    }
    let path = format!("/api/v1/events/{}/promo-codes", gig.event);
    for body in [
        json!({"code": "THIRD", "kind": "percent", "bp": 3_333}),
        json!({"code": "GIFT", "kind": "percent", "bp": 10_000}),
    ] {
        stage.post(OLGA, &path, body).await.ok(201);
    }
    let wallets = [
        stage.wallet("ana", "EUR", "100000.00").await,
        stage.wallet("bob", "EUR", "100000.00").await,
    ];
    Fair {
        stage,
        gig,
        kinds,
        wallets,
        orders: Vec::new(),
        waiting: Vec::new(),
        disputed: Vec::new(),
        check_ins: Vec::new(),
        scans: 0,
    }
}

impl Fair {
    /// Reserves a cart of one or two types, perhaps with a code; mostly pays.
    async fn buy(&mut self, dice: &mut Dice) {
        let buyer = dice.place(2);
        let who = [ANA, BOB][buyer];
        let first = dice.place(3);
        let mut items =
            vec![json!({"ticketTypeId": self.kinds[first], "quantity": 1 + dice.roll(3)})];
        if dice.roll(3) == 0 {
            let other = &self.kinds[(first + 1) % 3];
            items.push(json!({"ticketTypeId": other, "quantity": 1}));
        }
        let code = [Value::Null, "THIRD".into(), "GIFT".into()][dice.place(3)].clone();
        let source = [json!({"utmSource": "mail"}), Value::Null][dice.place(2)].clone();
        let more = json!({"promoCode": code, "source": source});
        let cart = self
            .stage
            .cart(who, &self.gig.event, items.into(), more)
            .await;
        if cart.status != 201 {
            assert_eq!(cart.status, 409, "{}", cart.text);
            return;
        }
        if dice.roll(6) == 0 {
            let path = format!("/api/v1/orders/{}/cancel", cart.id());
            self.stage.post(who, &path, json!({})).await.ok(200);
            return;
        }
        let body = match cart.body["amounts"]["total"] == "0.00" {
            true => json!({"method": "free"}),
            false if dice.roll(2) == 0 => return self.by_card(dice, who, &cart.id()).await,
            false => json!({"method": "wallet", "walletId": self.wallets[buyer]}),
        };
        self.stage.checkout(who, &cart.id(), body).await.ok(200);
        self.orders.push(cart.id());
    }

    async fn by_card(&mut self, dice: &mut Dice, who: &str, order: &str) {
        let method = METHODS[dice.place(METHODS.len())];
        self.stage.card(who, order, Some(method)).await.ok(200);
        match method {
            "pm_card_authenticationRequired" => self.waiting.push(order.to_owned()),
            _ => self.orders.push(order.to_owned()),
        }
        if method == "pm_card_createDispute" {
            self.disputed.push(order.to_owned());
        }
        self.stage.quiet().await;
    }

    /// A bank speaks at last, perhaps when the order has long expired.
    async fn bank(&mut self, dice: &mut Dice) {
        if self.waiting.is_empty() {
            return;
        }
        let order = self.waiting.remove(dice.place(self.waiting.len()));
        if dice.roll(2) == 0 {
            self.stage.expire(1_900).await;
            self.stage.work().await;
        }
        let result = ["success", "success", "fail"][dice.place(3)];
        let intent = self.stage.intent(&order).await;
        let body = json!({"paymentIntent": intent, "result": result, "force": true});
        self.stage.control("authenticate", body).await;
        self.stage.quiet().await;
        self.stage.work().await;
        self.stage.quiet().await;
        if self.stage.order(&order).await["status"] == "confirmed" {
            self.orders.push(order);
        }
    }

    /// A dispute ends.
    async fn court(&mut self, dice: &mut Dice) {
        if self.disputed.is_empty() {
            return;
        }
        let order = self.disputed.remove(dice.place(self.disputed.len()));
        let action = ["win", "lose"][dice.place(2)];
        let intent = self.stage.intent(&order).await;
        let body = json!({"paymentIntent": intent, "action": action});
        self.stage.control("dispute", body).await;
        self.stage.quiet().await;
    }

    /// The event is over, and the organiser is paid out, whole or in part.
    async fn pay_out(&mut self, dice: &mut Dice) {
        to_wallet(&self.stage, &self.gig).await;
        self.stage.advance(9 * DAY);
        worker::complete_events(&self.stage.room)
            .await
            .expect("completes");
        let path = format!("/api/v1/orgs/{}/payouts", self.gig.org);
        let body = [
            json!({"currency": "EUR"}),
            json!({"currency": "EUR", "amount": "12.34"}),
        ][dice.place(2)]
        .clone();
        let reply = self.stage.post(OLGA, &path, body).await;
        let none = reply.code() == (409, "payout_unavailable");
        assert!(reply.status == 201 || none, "{}", reply.text);
    }

    /// Microseconds that have gone by since the beginning.
    fn spent(&self) -> i64 {
        let start = florin_base::Timestamp::parse(START).expect("a time");
        self.stage.room.now() - start.micros()
    }

    /// Everything that was begun is done.
    async fn settle(&self) {
        self.stage.quiet().await;
        self.stage.work().await;
        due::sweep(&self.stage.room, false).await.expect("posts");
        self.stage.quiet().await;
        self.stage.check_money().await;
        self.stage.check_stock(&self.gig.event).await;
    }

    /// Some money of an order goes back, or all of a ticket's.
    async fn refund(&mut self, dice: &mut Dice) {
        if self.orders.is_empty() {
            return;
        }
        let order = self.orders[dice.place(self.orders.len())].clone();
        let tickets = self.stage.tickets(&order).await;
        let (ticket, _) = &tickets[dice.place(tickets.len())];
        let body = match dice.roll(3) {
            0 => json!({"ticketIds": [ticket], "amountPerTicket": "1.23", "keepTickets": true}),
            _ => json!({"ticketIds": [ticket], "force": true, "reason": "x"}),
        };
        let reply = self.stage.refund(OLGA, &order, body).await;
        assert!([202, 409].contains(&reply.status), "{}", reply.text);
    }

    async fn comp(&mut self, dice: &mut Dice) {
        let path = format!("/api/v1/events/{}/comps", self.gig.event);
        let kind = &self.kinds[dice.place(3)];
        let guest = json!({"name": "Guest", "email": "guest@example.org"});
        let body = json!({"ticketTypeId": kind, "attendees": [guest]});
        let reply = self.stage.post(OLGA, &path, body).await;
        assert!([201, 409].contains(&reply.status), "{}", reply.text);
    }

    /// Any ticket at the door, whatever became of it.
    async fn scan(&mut self, dice: &mut Dice) {
        let text = "SELECT id FROM tk_tickets WHERE event_id = $1 ORDER BY id";
        let rows = self.rows(text).await;
        if rows.is_empty() {
            return;
        }
        let id: String = rows[dice.place(rows.len())].get("id").expect("id");
        self.scans += 1;
        let body = json!({
            "ticketId": id, "nonce": nonce(self.scans), "deviceId": "d", "direction": "in",
            "scannedAt": self.stage.at(0),
        });
        let path = format!("/api/v1/events/{}/check-ins", self.gig.event);
        let reply = self.stage.post(OLGA, &path, body).await.ok(200);
        if reply.body["result"] == "admitted" {
            let path = format!("{path}?limit=1");
            let newest = self.stage.get(OLGA, &path).await.ok(200);
            self.check_ins
                .push(newest.items()[0]["id"].as_str().expect("id").to_owned());
        }
    }

    async fn undo(&mut self, dice: &mut Dice) {
        if self.check_ins.is_empty() {
            return;
        }
        let at = dice.place(self.check_ins.len());
        let path = format!("/api/v1/check-ins/{}/undo", self.check_ins.remove(at));
        let reply = self.stage.post(OLGA, &path, json!({})).await;
        assert!([200, 409].contains(&reply.status), "{}", reply.text);
    }

    async fn rows(&self, text: &'static str) -> Vec<Row> {
        let db = &self.stage.room.store.db;
        db.fetch_all(query(text).bind(&self.gig.event))
            .await
            .expect("reads")
    }

    async fn number(&self, text: &'static str) -> i64 {
        self.stage.count(text, &self.gig.event).await
    }
}

/// Every figure is what was counted; groups sum to the whole.
async fn compare(fair: &Fair, seed: u64, over: bool) {
    fair.settle().await;
    let path = format!("/api/v1/analytics/events/{}", fair.gig.event);
    let report = fair.stage.get(OLGA, &format!("{path}/overview")).await;
    let report = report.ok(200).body;
    let position = report["ledgerPosition"].as_u64().expect("a position");
    for counted in [money(fair, position).await, tickets(fair, over).await] {
        for (figure, value) in counted.as_object().expect("an object") {
            assert_eq!(
                &report[figure], value,
                "INV-T11 {figure}, seed {seed}: {report}"
            );
        }
    }
    let revenue = fair.stage.get(OLGA, &format!("{path}/revenue")).await;
    let revenue = revenue.ok(200).body;
    for figure in ["chargebacksOpen", "lateReturns", "payouts", "organiserNet"] {
        assert_eq!(revenue[figure], report[figure], "{figure}, seed {seed}");
    }
    let by_type = report["types"].as_array().expect("types").iter();
    let sold: i64 = by_type
        .map(|kind| kind["ticketsSold"].as_i64().expect("n"))
        .sum();
    assert_eq!(report["ticketsSold"], sold, "types, seed {seed}");
    let issued = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1";
    let issued = fair.number(issued).await;
    let groups: &[&str] = match over {
        // The hours of a month and more are too many.
        true => &["day", "type", "channel", "source"],
        false => &["hour", "day", "type", "channel", "source"],
    };
    for by in groups {
        let by_path = format!("{path}/sales?groupBy={by}");
        let groups = fair.stage.get(OLGA, &by_path).await.ok(200).body;
        let items = groups["items"].as_array().expect("items");
        let tickets: i64 = items
            .iter()
            .map(|i| i["tickets"].as_i64().expect("n"))
            .sum();
        let gross: i64 = items
            .iter()
            .map(|i| i["gross"].as_str().expect("text").replace('.', ""))
            .map(|digits| digits.parse::<i64>().expect("digits"))
            .sum();
        let whole = (
            issued,
            report["grossSales"].as_str().expect("text").to_owned(),
        );
        assert_eq!((tickets, shown(gross)), whole, "{by}, seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_t11_every_figure_of_random_histories_is_counted_again() {
    let setting = |name: &str, default: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let first = setting("FLORIN_RECOUNT_SEED", 1);
    for seed in first..first + setting("FLORIN_RECOUNT_ROUNDS", 4) {
        println!("seed {seed}");
        let mut dice = Dice(seed);
        let mut fair = Box::pin(fair(&mut dice)).await;
        for _ in 0..16 {
            fair.buy(&mut dice).await;
            match dice.roll(12) {
                0..=3 => fair.refund(&mut dice).await,
                4..=6 => fair.comp(&mut dice).await,
                7 | 8 => fair.bank(&mut dice).await,
                9 => fair.court(&mut dice).await,
                _ => {}
            }
        }
        compare(&fair, seed, false).await;
        // The doors are open; the sale goes on.
        fair.stage
            .advance((30 * 24 - 5) * 3_600 * SECOND - fair.spent());
        for _ in 0..20 {
            match dice.roll(8) {
                0 => fair.undo(&mut dice).await,
                1 => fair.refund(&mut dice).await,
                2 => fair.buy(&mut dice).await,
                3 => fair.court(&mut dice).await,
                _ => fair.scan(&mut dice).await,
            }
        }
        compare(&fair, seed, false).await;
        fair.pay_out(&mut dice).await;
        compare(&fair, seed, true).await;
    }
}
