//! Random histories of a sale, and every figure of its report counted again in the most naive way:
//! money line by line from the postings, tickets and passages row by row (INV-T11; contract E,
//! the table of metrics). `FLORIN_RECOUNT_SEED` and `FLORIN_RECOUNT_ROUNDS` choose others.

use florin_platform::sql::{Row, query};
use florin_ticketing::analytics::fold;
use serde_json::{Value, json};

use crate::shop::unlimited;
use crate::stage::{ANA, BOB, Gig, OLGA, SECOND, Stage};
use crate::tickets::nonce;

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

/// A sale with three types, two codes and two wallets.
struct Fair {
    stage: Stage,
    gig: Gig,
    kinds: Vec<String>,
    wallets: [String; 2],
    orders: Vec<String>,
    check_ins: Vec<String>,
    scans: u128,
}

async fn fair(dice: &mut Dice) -> Fair {
    let stage = unlimited().await;
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
            false => json!({"method": "wallet", "walletId": self.wallets[buyer]}),
        };
        self.stage.checkout(who, &cart.id(), body).await.ok(200);
        self.orders.push(cart.id());
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

/// A line of a posting, as it stands in the ledger.
struct Line {
    posting: String,
    component: String,
    debit: String,
    credit: String,
    amount: i64,
}

impl Line {
    fn read(row: &Row) -> Self {
        let text = |name: &str| row.get::<String>(name).expect("text");
        Self {
            posting: text("posting"),
            component: text("component"),
            debit: text("debit"),
            credit: text("credit"),
            amount: row.get("amount").expect("amount"),
        }
    }

    fn of(&self, postings: &[&str]) -> bool {
        postings.is_empty() || postings.contains(&&*self.posting)
    }
}

fn shown(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100)
}

/// Half up, four decimals.
fn ratio(part: i64, whole: i64) -> Value {
    match whole {
        0 => Value::Null,
        _ => {
            let scaled = (part * 20_000 + whole) / (2 * whole);
            format!("{}.{:04}", scaled / 10_000, scaled % 10_000).into()
        }
    }
}

async fn money(fair: &Fair) -> Value {
    let rows = fair
        .rows(
            "SELECT posting, component, debit, credit, amount FROM tk_posting_lines
             WHERE event_id = $1",
        )
        .await;
    let lines: Vec<Line> = rows.iter().map(Line::read).collect();
    let name = |kind: &str| format!("florin:tk:{kind}:");
    let credits = |postings: &[&str], kind: &str| -> i64 {
        let fit = |l: &&Line| l.of(postings) && l.credit.starts_with(&name(kind));
        lines.iter().filter(fit).map(|l| l.amount).sum()
    };
    let debits = |postings: &[&str], kind: &str| -> i64 {
        let fit = |l: &&Line| l.of(postings) && l.debit.starts_with(&name(kind));
        lines.iter().filter(fit).map(|l| l.amount).sum()
    };
    let grown = |postings: &[&str], kind: &str| credits(postings, kind) - debits(postings, kind);
    let sales = ["P2", "P2o"];
    let net =
        |l: &&Line| l.of(&sales) && l.component == "net" && l.credit.starts_with(&name("payable"));
    let gross = lines.iter().filter(net).map(|l| l.amount).sum::<i64>() + credits(&sales, "tax");
    let figures = ["P2", "P2o", "P5"];
    let (refunds, paid) = (credits(&["P5"], "refunds"), debits(&sales, "clearing"));
    json!({
        "grossSales": shown(gross),
        "tax": shown(grown(&figures, "tax")),
        "platformFees": shown(grown(&figures, "fee:platform")),
        "processingFees": shown(grown(&figures, "fee:processing")),
        "refunds": shown(refunds),
        "lateReturns": shown(credits(&["P7"], "refunds")),
        "organiserNet": shown(grown(&[], "payable")),
        "payable": shown(grown(&[], "payable")),
        "payouts": "0.00",
        "buyersPaid": shown(paid),
        "refundRate": ratio(refunds, paid),
    })
}

async fn tickets(fair: &Fair) -> Value {
    let holding = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1
        AND channel = 'online' AND status IN ('valid', 'used', 'suspended', 'listed')";
    let comps = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1
        AND channel = 'comp' AND status IN ('valid', 'used', 'suspended', 'listed')";
    let came = "SELECT COUNT(DISTINCT c.ticket_id) AS n FROM tk_check_ins c
        WHERE c.event_id = $1 AND c.counted = TRUE AND c.direction = 'in'
        AND c.conflict IS NULL AND c.undone_at IS NULL";
    let entries = "SELECT COUNT(*) AS n FROM tk_check_ins WHERE event_id = $1
        AND counted = TRUE AND direction = 'in' AND conflict IS NULL AND undone_at IS NULL";
    let discounts = "SELECT CAST(COALESCE(SUM(discount), 0) AS BIGINT) AS n FROM tk_orders
        WHERE event_id = $1 AND confirmed_at IS NOT NULL AND channel = 'online'";
    let orders = "SELECT COUNT(*) AS n FROM tk_orders WHERE event_id = $1
        AND confirmed_at IS NOT NULL AND tickets > 0";
    let gross = "SELECT CAST(COALESCE(SUM(tickets), 0) AS BIGINT) AS n FROM tk_orders
        WHERE event_id = $1 AND confirmed_at IS NOT NULL";
    let inside = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1 AND inside = TRUE";
    let issued = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1";
    let (sold, comps) = (fair.number(holding).await, fair.number(comps).await);
    let came = fair.number(came).await;
    let (orders, gross) = (fair.number(orders).await, fair.number(gross).await);
    let average = match orders {
        0 => Value::Null,
        n => shown((2 * gross + n) / (2 * n)).into(),
    };
    json!({
        "ticketsIssued": fair.number(issued).await,
        "ticketsSold": sold,
        "comps": comps,
        "sellThrough": ratio(sold + comps, 140),
        "orders": orders,
        "averageOrder": average,
        "discounts": shown(fair.number(discounts).await),
        "attended": came,
        "attendance": ratio(came, sold + comps),
        "insideNow": fair.number(inside).await,
        "checkInsLastHour": fair.number(entries).await,
        "noShow": null,
        "chargebackRate": null,
    })
}

/// Every figure is what was counted; groups sum to the whole.
async fn compare(fair: &Fair, seed: u64) {
    fold::catch_up(&fair.stage.room).await.expect("folds");
    let path = format!("/api/v1/analytics/events/{}", fair.gig.event);
    let report = fair.stage.get(OLGA, &format!("{path}/overview")).await;
    let report = report.ok(200).body;
    for counted in [money(fair).await, tickets(fair).await] {
        for (figure, value) in counted.as_object().expect("an object") {
            assert_eq!(&report[figure], value, "{figure}, seed {seed}: {report}");
        }
    }
    let by_type = report["types"].as_array().expect("types").iter();
    let sold: i64 = by_type
        .map(|kind| kind["ticketsSold"].as_i64().expect("n"))
        .sum();
    assert_eq!(report["ticketsSold"], sold, "types, seed {seed}");
    let issued = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1";
    let issued = fair.number(issued).await;
    for by in ["hour", "type", "channel", "source"] {
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
        for _ in 0..14 {
            fair.buy(&mut dice).await;
            if dice.roll(3) == 0 {
                fair.refund(&mut dice).await;
            }
            if dice.roll(4) == 0 {
                fair.comp(&mut dice).await;
            }
        }
        compare(&fair, seed).await;
        // The doors are open; the sale goes on.
        fair.stage.advance((30 * 24 - 5) * 3_600 * SECOND);
        for _ in 0..20 {
            match dice.roll(6) {
                0 => fair.undo(&mut dice).await,
                1 => fair.refund(&mut dice).await,
                2 => fair.buy(&mut dice).await,
                _ => fair.scan(&mut dice).await,
            }
        }
        compare(&fair, seed).await;
    }
}
