//! The rush: 10,000 buyers for 1,000 tickets of one type, through one process and through three,
//! on both stores. Some pay from a wallet, some by card, some change their mind, some go away.
//! Nothing is oversold, every unit's way is known, and nobody has paid without ticket or refund
//! (INV-T1 to INV-T5, INV-T7).
//!
//! `FLORIN_RUSH_BUYERS` and `FLORIN_RUSH_SEED` make it larger, or another one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use florin_platform::testing::on;
use florin_platform::testing::postgres::TestPostgres;
use florin_ticketing::Ticketing;
use florin_ticketing::card::worker as cards_worker;
use florin_ticketing::money::due;
use florin_ticketing::orders::{expiry, wallet_pay};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::cards::Cards;
use crate::shop::no_limits;
use crate::stage::{Gig, OLGA, Reply, SECOND, router};

/// Tickets on sale.
const TICKETS: i64 = 1_000;
/// What a ticket costs with its fees, minor units: 10.00 and 0.29 + 0.30.
const PRICE: i128 = 1_059;
/// What each buyer has, minor units.
const PURSE: i128 = 2_000;
/// Buyers at work at a time.
const AT_ONCE: usize = 96;
/// How often a call is sent while the store is busy.
const TRIES: usize = 100;
/// Waves of further buyers within which everything is sold: seven of ten buyers pay.
const WAVES_MAX: usize = 20;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// A number that depends on seed and buyer alone.
fn dice(seed: u64, buyer: usize, sides: u64) -> u64 {
    let mut z = (seed ^ (buyer as u64)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % sides
}

struct Rush {
    cards: Cards,
    rooms: Vec<Ticketing>,
    doors: Vec<Router>,
    gig: Gig,
    seed: u64,
    next: AtomicUsize,
    over: AtomicBool,
    /// What buyers were answered, counted.
    answers: Mutex<BTreeMap<String, usize>>,
    /// Wallets, and the orders that they were to pay.
    purses: Mutex<Vec<(String, String)>>,
}

impl Rush {
    async fn new(processes: usize) -> Arc<Self> {
        let cards = Cards::with(no_limits()).await;
        let kind = json!({"price": "10.00", "quantity": TICKETS});
        let gig = cards.event_with(json!({}), kind).await;
        let mut rooms = vec![cards.room.clone()];
        for _ in 1..processes {
            rooms.push(cards.replica().await);
        }
        Arc::new(Self {
            doors: rooms.iter().map(router).collect(),
            rooms,
            gig,
            seed: number("FLORIN_RUSH_SEED", 1),
            next: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            answers: Mutex::default(),
            purses: Mutex::default(),
            cards,
        })
    }

    async fn post(&self, buyer: usize, path: &str, body: Value) -> Reply {
        let who = format!("user:rush{buyer}");
        let key = self.cards.fresh("rush");
        for time in 0..TRIES {
            // Each call may reach another process, and so may its repetition.
            let at = buyer.wrapping_add(path.len()).wrapping_add(time);
            let door = dice(self.seed, at, self.doors.len() as u64);
            let call = self.cards.call(&who, "POST", path).key(&key);
            let call = call.via(&self.doors[usize::try_from(door).expect("small")]);
            let reply = call.json(body.clone()).send().await;
            // A busy store says so, and the same call is sent again.
            if reply.status != 503 {
                return reply;
            }
            self.count("again", &reply);
        }
        panic!("{who} gets no answer to {path}")
    }

    fn count(&self, what: &str, reply: &Reply) {
        let (status, code) = reply.code();
        let mut answers = self.answers.lock().expect("not poisoned");
        *answers
            .entry(format!("{what} {status} {code}"))
            .or_default() += 1;
    }

    /// One buyer: wants one ticket, and then does as the dice say.
    async fn buy(&self, buyer: usize) {
        let items = json!([{"ticketTypeId": self.gig.kind, "quantity": 1}]);
        let cart = json!({"eventId": self.gig.event, "items": items});
        let reserved = self.post(buyer, "/api/v1/orders", cart).await;
        self.count("reserve", &reserved);
        if reserved.status != 201 {
            return drop(reserved.refused(409, "sold_out"));
        }
        let order = reserved.id();
        match dice(self.seed.wrapping_add(7), buyer, 20) {
            // Goes away, and the hold lapses.
            0 | 1 => {}
            2 | 3 => {
                let path = format!("/api/v1/orders/{order}/cancel");
                let reply = self.post(buyer, &path, json!({})).await;
                self.count("cancel", &reply);
                // Said twice, the second one finds it done.
                let again = reply.code() == (409, "order_state");
                assert!(reply.status == 200 || again, "{}", reply.text);
            }
            4 => self.pay_by_card(buyer, &order, "pm_card_visa", 200).await,
            5 => {
                let method = "pm_card_visa_chargeDeclined";
                self.pay_by_card(buyer, &order, method, 402).await;
            }
            6 => {
                let method = "pm_card_authenticationRequired";
                self.pay_by_card(buyer, &order, method, 200).await;
            }
            _ => self.pay_from_wallet(buyer, &order).await,
        }
    }

    async fn pay_by_card(&self, buyer: usize, order: &str, method: &str, status: u16) {
        let path = format!("/api/v1/orders/{order}/checkout");
        let body = json!({"method": "card", "paymentMethodId": method});
        let reply = self.post(buyer, &path, body).await;
        self.count(method, &reply);
        drop(reply.ok(status));
    }

    async fn pay_from_wallet(&self, buyer: usize, order: &str) {
        let wallet = self
            .cards
            .wallet(&format!("rush{buyer}"), "EUR", "20.00")
            .await;
        let path = format!("/api/v1/orders/{order}/checkout");
        let body = json!({"method": "wallet", "walletId": wallet});
        let reply = self.post(buyer, &path, body).await;
        self.count("wallet", &reply);
        // Said twice, the second one may find the first at work.
        let again = reply.code() == (409, "payment_in_progress");
        assert!(reply.status == 200 || again, "{}", reply.text);
        let mut purses = self.purses.lock().expect("not poisoned");
        purses.push((wallet, order.to_owned()));
    }

    /// Buyers come until so many have come in all.
    async fn run(self: &Arc<Self>, buyers: usize) {
        let crowd = (0..AT_ONCE).map(|_| {
            let rush = Arc::clone(self);
            tokio::spawn(async move {
                loop {
                    let buyer = rush.next.fetch_add(1, Ordering::Relaxed);
                    if buyer >= buyers {
                        return;
                    }
                    rush.buy(buyer).await;
                }
            })
        });
        for done in join_all(crowd.collect::<Vec<_>>()).await {
            done.expect("a buyer");
        }
        // Each of the crowd has asked for one number more than there was.
        self.next.store(buyers, Ordering::Relaxed);
    }

    /// Time goes on until no hold of a buyer who went away, or waits for his bank, can be alive.
    async fn lapse(&self) {
        self.cards.advance(1_901 * SECOND);
        self.workers().await;
        self.cards.advance(61 * SECOND);
        self.workers().await;
    }

    /// What came back is sold to those who come after, to the last unit; how many waves it took.
    async fn sell_out(self: &Arc<Self>, mut come: usize) -> usize {
        let sold = "SELECT sold AS n FROM tk_types WHERE id = $1";
        for wave in 0..WAVES_MAX {
            let left = TICKETS - self.cards.count(sold, &self.gig.kind).await;
            if left == 0 {
                return wave;
            }
            come += usize::try_from(2 * left + 4).expect("small");
            self.run(come).await;
            self.lapse().await;
        }
        panic!("it is not sold out after {WAVES_MAX} waves");
    }

    async fn capacity(&self) -> Value {
        let path = format!("/api/v1/events/{}/capacity", self.gig.event);
        loop {
            let shown = self.cards.get(OLGA, &path).await;
            if shown.status != 503 {
                return shown.ok(200).body;
            }
        }
    }

    /// INV-T1, looked at all the while from outside.
    async fn watch(self: Arc<Self>) -> usize {
        let mut looks = 0;
        while !self.over.load(Ordering::Relaxed) {
            let shown = self.capacity().await;
            let kind = &shown["types"][0];
            let n = |name: &str| kind[name].as_i64().expect("a number");
            assert!(n("held") + n("sold") <= TICKETS, "INV-T1: {shown}");
            assert!(n("held") >= 0 && n("sold") >= 0, "{shown}");
            assert_eq!(n("available"), TICKETS - n("held") - n("sold"), "{shown}");
            looks += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        looks
    }

    /// The workers of all processes at once, until nothing is left to do.
    async fn workers(&self) {
        for _ in 0..100 {
            let work = self.rooms.iter().map(|room| async move {
                let mut done = expiry::sweep(room).await.expect("sweeps");
                done += cards_worker::step(room).await.expect("steps");
                done += wallet_pay::sweep(room, false).await.expect("sweeps");
                done + due::sweep(room, false).await.expect("sweeps")
            });
            if join_all(work).await.iter().sum::<usize>() == 0 {
                return;
            }
        }
        panic!("the workers do not come to an end");
    }

    async fn check(&self) {
        self.cards.check_stock(&self.gig.event).await;
        self.cards.quiet().await;
        self.cards.check_money().await;
        let purses = self.purses.lock().expect("not poisoned").clone();
        for (wallet, order) in &purses {
            let paid = "SELECT COUNT(*) AS n FROM tk_orders WHERE id = $1
                AND status = 'confirmed'";
            let left = PURSE - i128::from(self.cards.count(paid, order).await) * PRICE;
            assert_eq!(
                self.cards.wallet_has(wallet).await,
                (left, left),
                "{wallet}"
            );
        }
        // What became of the holds is what was counted, each once (INV-T3).
        let kind = &self.gig.kind;
        let rows = "SELECT COALESCE(CAST(SUM(quantity) AS BIGINT), 0) AS n FROM tk_holds
            WHERE type_id = $1 AND state = 'converted'";
        let counted = "SELECT converted AS n FROM tk_types WHERE id = $1";
        let (rows, counted) = (
            self.cards.count(rows, kind).await,
            self.cards.count(counted, kind).await,
        );
        assert_eq!(rows, counted, "INV-T3");
        self.paid_means_tickets().await;
    }

    /// INV-T5: of wallets and of cards, each payment that was kept has its tickets.
    async fn paid_means_tickets(&self) {
        let db = &self.cards.room.store.db;
        let text = "SELECT COUNT(*) AS n FROM tk_wallet_payments p JOIN tk_orders o
            ON o.id = p.order_id WHERE p.state = 'paid'
            AND (o.status <> 'confirmed' OR o.payment_id <> p.id)";
        let row = db.fetch_optional(florin_platform::sql::query(text)).await;
        let wrong: i64 = row.expect("reads").expect("a row").get("n").expect("n");
        assert_eq!(wrong, 0, "INV-T5");
        let open = "SELECT COUNT(*) AS n FROM tk_wallet_payments WHERE state = $1";
        assert_eq!(self.cards.count(open, "authorising").await, 0, "INV-T5");
        let state = self.cards.provider().await;
        for intent in state["paymentIntents"].as_array().expect("intents") {
            if intent["status"] == "succeeded" {
                let order = intent["metadata"]["order_id"].as_str().expect("an order");
                let shown = self.cards.order(order).await;
                assert_eq!(shown["status"], "confirmed", "INV-T5: {intent}");
            }
        }
    }
}

async fn rush(processes: usize, store: &str) {
    let buyers = usize::try_from(number("FLORIN_RUSH_BUYERS", 10_000)).expect("small");
    let rush = Rush::new(processes).await;
    let started = Instant::now();
    let watch = tokio::spawn(Arc::clone(&rush).watch());
    rush.run(buyers).await;
    let took = started.elapsed();
    // What a busy store left half done is ended within ten seconds.
    rush.cards.advance(10 * SECOND);
    rush.workers().await;
    rush.check().await;
    // Who went away loses his hold once, however many processes sweep.
    rush.lapse().await;
    let held = "SELECT held AS n FROM tk_types WHERE id = $1";
    assert_eq!(rush.cards.count(held, &rush.gig.kind).await, 0);
    rush.check().await;
    let waves = rush.sell_out(buyers).await;
    rush.over.store(true, Ordering::Relaxed);
    let looks = watch.await.expect("INV-T1 held");
    rush.check().await;
    let shown = rush.capacity().await;
    assert_eq!(shown["types"][0]["sold"], TICKETS, "{shown}");
    assert_eq!(shown["types"][0]["held"], 0, "{shown}");
    let answers = rush.answers.lock().expect("not poisoned");
    println!(
        "{store}, {processes} processes, seed {}: {buyers} buyers in {took:?}, {looks} looks, \
         sold out {waves} waves later; {answers:?}; {}",
        rush.seed, shown["holds"]
    );
    assert!(answers["reserve 201 "] > usize::try_from(TICKETS).expect("small"));
}

async fn rush_on_postgres(processes: usize) {
    if let Some(server) = TestPostgres::start().await {
        on(&server, Box::pin(rush(processes, "PostgreSQL"))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_buyers_on_sqlite() {
    Box::pin(rush(1, "SQLite")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_buyers_on_postgres() {
    Box::pin(rush_on_postgres(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_buyers_through_three_processes_on_postgres() {
    Box::pin(rush_on_postgres(3)).await;
}
