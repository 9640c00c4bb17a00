//! What goes wrong between processes: refunds and payouts that are asked for at once, stores that
//! stand still, and what must be found nowhere afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use florin_platform::sql::{Db, PostgresSettings, Query, query};
use florin_platform::testing::postgres::TestPostgres;
use florin_ticketing::mail::{Delivering, Mail, Mailer};
use florin_ticketing::orders::payouts::request;
use florin_ticketing::{Parts, Ticketing, mail, tickets, worker};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::cards::Cards;
use crate::money::to_wallet;
use crate::shop::{cases, no_limits, unlimited};
use crate::stage::{ADMIN, ANA, DAY, GUEST, Gig, OLGA, Reply, Stage, router};

/// Three processes of one installation.
async fn three(stage: &Stage) -> (Vec<Ticketing>, Vec<Router>) {
    let rooms = vec![
        stage.room.clone(),
        stage.replica().await,
        stage.replica().await,
    ];
    let doors = rooms.iter().map(router).collect();
    (rooms, doors)
}

async fn post(stage: &Stage, door: &Router, who: &str, path: &str, body: Value) -> Reply {
    let key = stage.fresh("edge");
    let call = stage.call(who, "POST", path).key(&key).json(body);
    call.via(door).send().await
}

/// An event that ended long enough ago, with this many orders of one ticket of 10.00 each.
async fn sold_and_over(stage: &Stage, orders: usize) -> (Gig, Vec<String>, String) {
    let gig = stage.event("10.00", 50).await;
    let wallet = stage.wallet("ana", "EUR", "900.00").await;
    let mut sold = Vec::new();
    for _ in 0..orders {
        sold.push(stage.buy(ANA, &gig, 1, &wallet).await);
    }
    let purse = to_wallet(stage, &gig).await;
    stage.advance(38 * DAY);
    worker::complete_events(&stage.room)
        .await
        .expect("completes");
    (gig, sold, purse)
}

async fn row_5_a_quantity_never_goes_below_what_is_sold_and_held() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 10).await;
    let wallet = stage.wallet("ana", "EUR", "900.00").await;
    stage.buy(ANA, &gig, 3, &wallet).await;
    stage.reserve(ANA, &gig, 2).await.ok(201);
    let path = format!("/api/v1/ticket-types/{}", gig.kind);
    stage
        .patch(OLGA, &path, json!({"quantity": 4}))
        .await
        .refused(409, "quantity_below_committed");
    stage
        .patch(OLGA, &path, json!({"quantity": 5}))
        .await
        .ok(200);
    stage.reserve(ANA, &gig, 1).await.refused(409, "sold_out");
    stage.check_stock(&gig.event).await;
}

/// Lowered while others buy: whoever comes first, both keep INV-T1.
async fn row_5_a_quantity_is_lowered_while_others_buy() {
    let stage = unlimited().await;
    let (_, doors) = three(&stage).await;
    let gig = stage.event("10.00", 20).await;
    let path = format!("/api/v1/ticket-types/{}", gig.kind);
    let cart = json!({
        "eventId": gig.event, "items": [{"ticketTypeId": gig.kind, "quantity": 1}],
    });
    let buyers: Vec<String> = (0..30).map(|n| format!("user:low{n}")).collect();
    let race = buyers
        .iter()
        .enumerate()
        .map(|(n, who)| post(&stage, &doors[n % 3], who, "/api/v1/orders", cart.clone()));
    let lower = stage.patch(OLGA, &path, json!({"quantity": 10}));
    let (replies, lowered) = tokio::join!(join_all(race), lower);
    let won = replies.iter().filter(|reply| reply.status == 201).count();
    match lowered.code() {
        (200, _) => assert_eq!(won, 10),
        code => {
            assert_eq!(code, (409, "quantity_below_committed"));
            assert_eq!(won, 20);
        }
    }
    stage.check_stock(&gig.event).await;
}

/// INV-T9: refunds of any kind race through three processes; no ticket and no order gives back
/// more than was paid, and the wallet has what was answered.
async fn inv_t9_racing_refunds_never_pass_what_was_paid() {
    let stage = unlimited().await;
    let (_, doors) = three(&stage).await;
    for seed in 1..=4_u64 {
        println!("seed {seed}");
        let kind = json!({"price": "25.00", "quantity": 100, "taxRateBp": 700});
        let gig = stage.event_with(json!({}), kind).await;
        let wallet = stage.wallet("ana", "EUR", "500.00").await;
        let order = stage.buy(ANA, &gig, 4, &wallet).await;
        let paid = 50_000 - stage.wallet_has(&wallet).await.0;
        let tickets = stage.tickets(&order).await;
        let path = format!("/api/v1/orders/{order}/refunds");
        let mut state = seed;
        let mut roll = |sides: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((state >> 33) % sides).expect("small")
        };
        let asks: Vec<Value> = (0..24)
            .map(|_| {
                let one = &tickets[roll(4)].0;
                match roll(6) {
                    0 => json!({"all": true}),
                    1 | 2 => json!({"ticketIds": [one]}),
                    n => {
                        let amount = ["3.00", "7.50", "11.11"][n - 3];
                        json!({
                            "ticketIds": [one], "keepTickets": true, "amountPerTicket": amount,
                        })
                    }
                }
            })
            .collect();
        let race = asks
            .iter()
            .enumerate()
            .map(|(n, ask)| post(&stage, &doors[n % 3], OLGA, &path, ask.clone()));
        let mut promised = 0;
        for reply in join_all(race).await {
            let known = ["ticket_state", "refund_exceeds", "insufficient_payable"];
            match reply.code() {
                (202, _) => promised += reply.items().iter().map(money).sum::<i128>(),
                (409, code) => assert!(known.contains(&code), "{}", reply.text),
                _ => panic!("{}", reply.text),
            }
        }
        assert!(promised <= paid, "INV-T9: {promised} of {paid}");
        assert_eq!(stage.wallet_has(&wallet).await.0, 50_000 - paid + promised);
        let over = "SELECT COUNT(*) AS n FROM tk_tickets t WHERE t.order_id = $1
            AND t.paid_net + t.paid_tax + t.paid_platform + t.paid_processing <
                (SELECT COALESCE(SUM(r.amount), 0) FROM tk_refund_tickets r
                    WHERE r.ticket_id = t.id)";
        assert_eq!(stage.count(over, &order).await, 0, "INV-T9");
        stage.check_clearing().await;
        stage.check_stock(&gig.event).await;
    }
}

/// Minor units of a refund.
fn money(refund: &Value) -> i128 {
    let shown = refund["amount"].as_str().expect("money");
    shown.replace('.', "").parse().expect("digits")
}

/// What is available is paid once, however many ask for it at once and whatever is posted late.
async fn payouts_that_are_asked_for_at_once_pay_once() {
    let stage = unlimited().await;
    let (rooms, doors) = three(&stage).await;
    for round in 0..4 {
        let (gig, _, purse) = sold_and_over(&stage, 4).await;
        let path = format!("/api/v1/orgs/{}/payouts", gig.org);
        let race = (0..9).map(|n| {
            let body = match n % 3 {
                0 => json!({"currency": "EUR", "amount": "15.00"}),
                _ => json!({"currency": "EUR"}),
            };
            post(&stage, &doors[n % 3], OLGA, &path, body)
        });
        let daily = rooms.iter().map(request::daily);
        let (replies, days) = tokio::join!(join_all(race), join_all(daily));
        for day in days {
            day.expect("pays");
        }
        for reply in &replies {
            let none = reply.code() == (409, "payout_unavailable");
            assert!(reply.status == 201 || none, "{}", reply.text);
        }
        assert_eq!(stage.wallet_has(&purse).await.0, 4_000, "round {round}");
        let payable = format!("payable:{}:{}", gig.org, gig.event);
        assert_eq!(stage.balance(&payable).await, 0, "round {round}");
        stage.advance(DAY);
    }
    stage.check_clearing().await;
}

/// Of what is left exactly as much is given back as it covers: nothing is counted twice while its
/// posting is being struck out, and nothing is forgotten while it is not there yet.
async fn refunds_by_will_are_judged_against_what_was_decided_before() {
    let stage = unlimited().await;
    let (_, doors) = three(&stage).await;
    let (gig, orders, _) = sold_and_over(&stage, 8).await;
    let path = format!("/api/v1/orgs/{}/payouts", gig.org);
    let part = json!({"currency": "EUR", "amount": "50.00"});
    stage.post(OLGA, &path, part).await.ok(201);
    let all = json!({"all": true});
    // One after another, at once: each of the first two is covered.
    stage.refund(OLGA, &orders[0], all.clone()).await.ok(202);
    stage.refund(OLGA, &orders[1], all.clone()).await.ok(202);
    // 10.00 are left, and five want them.
    let race = orders[2..7].iter().enumerate().map(|(n, order)| {
        let path = format!("/api/v1/orders/{order}/refunds");
        let (stage, doors, all) = (&stage, &doors, all.clone());
        async move { post(stage, &doors[n % 3], OLGA, &path, all).await }
    });
    let replies = join_all(race).await;
    let won = replies.iter().filter(|reply| reply.status == 202).count();
    assert_eq!(won, 1);
    for lost in replies.iter().filter(|reply| reply.status != 202) {
        assert_eq!(lost.code(), (409, "insufficient_payable"));
    }
    let payable = format!("payable:{}:{}", gig.org, gig.event);
    assert_eq!(stage.balance(&payable).await, 0);
}

/// A payout whose process died before its posting is not paid a second time.
async fn a_payout_that_is_not_posted_yet_is_not_available_again() {
    let stage = unlimited().await;
    let (gig, _, purse) = sold_and_over(&stage, 4).await;
    let lines = json!([{"eventId": gig.event, "net": 3_000, "tax": 0}]).to_string();
    let text = "INSERT INTO tk_payouts
        (id, org_id, currency, amount, status, method, lines, created_at, updated_at)
        VALUES ($1, $2, 'EUR', 3000, 'requested', $3, $4, 0, 0)";
    let method = json!({"kind": "wallet", "walletId": purse}).to_string();
    let payout = "019a9c00-0000-7000-8000-0000000000f1";
    let row = query(text).bind(payout).bind(&gig.org).bind(method);
    let db = &stage.room.store.db;
    db.execute(row.bind(lines)).await.expect("writes");
    let due = "INSERT INTO tk_due (id, line, place, body, state, next_at, created_at)
        VALUES ($1, $2, $3, $4, 'due', 0, 0)";
    for (place, kind) in [(0_i64, "payout_started"), (1, "payout_to_wallet")] {
        let body = json!({"kind": kind, "payout_id": payout}).to_string();
        let row = query(due).bind(format!("due-{place}")).bind(payout);
        db.execute(row.bind(place).bind(body))
            .await
            .expect("writes");
    }
    let path = format!("/api/v1/orgs/{}/payouts", gig.org);
    let paid = stage.post(OLGA, &path, json!({"currency": "EUR"})).await;
    assert_eq!(paid.ok(201).body["amount"], "10.00");
    florin_ticketing::money::due::sweep(&stage.room, false)
        .await
        .expect("posts");
    assert_eq!(stage.wallet_has(&purse).await.0, 4_000);
    let payable = format!("payable:{}:{}", gig.org, gig.event);
    assert_eq!(stage.balance(&payable).await, 0);
}

/// An organiser whose money is on its way is not erased.
async fn an_open_payout_keeps_its_organiser() {
    let stage = Stage::new().await;
    let (gig, ..) = sold_and_over(&stage, 1).await;
    let body = json!({"payoutMethod": {"kind": "bank_manual", "label": "House bank"}});
    let org = format!("/api/v1/orgs/{}", gig.org);
    stage.patch(OLGA, &org, body).await.ok(200);
    // He bought something himself, so that something is kept of him.
    let other = stage.event("0", 5).await;
    let order = stage.reserve(OLGA, &other, 1).await.ok(201).id();
    let free = json!({"method": "free"});
    stage.checkout(OLGA, &order, free).await.ok(200);
    let path = format!("{org}/payouts");
    let payout = stage
        .post(OLGA, &path, json!({"currency": "EUR"}))
        .await
        .ok(201)
        .id();
    let erase = "/api/v1/privacy/people/erase";
    let keep = json!({"keepTickets": true});
    stage
        .post(OLGA, erase, keep.clone())
        .await
        .refused(409, "has_open_matters");
    let paid = format!("/api/v1/payouts/{payout}/mark-paid");
    let reference = json!({"reference": "T-1"});
    stage.post(ADMIN, &paid, reference).await.ok(200);
    stage.post(OLGA, erase, keep).await.ok(204);
}

/// Counts what it is given.
#[derive(Default)]
struct Counting(Mutex<BTreeMap<String, u32>>);

impl Mailer for Counting {
    fn deliver<'a>(&'a self, _: &'a str, to: &'a str, _: &'a Mail) -> Delivering<'a> {
        *self
            .0
            .lock()
            .expect("not poisoned")
            .entry(to.to_owned())
            .or_default() += 1;
        // The others get their chance while this one is on its way.
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        })
    }
}

/// Each mail is sent by one of the processes.
async fn three_processes_send_each_mail_once() {
    let counting = Arc::new(Counting::default());
    let mailer = Some(Arc::clone(&counting) as Arc<dyn Mailer>);
    let stage = Stage::build(no_limits(), |parts| Parts { mailer, ..parts }).await;
    let (rooms, _) = three(&stage).await;
    let gig = stage.event("0", 50).await;
    for n in 0..12 {
        let buyer = json!({"buyer": {"email": format!("m{n}@example.org")}});
        let items = json!([{"ticketTypeId": gig.kind, "quantity": 1}]);
        let order = stage.cart(GUEST, &gig.event, items, buyer).await.ok(201);
        let (path, token) = (
            format!("/api/v1/orders/{}/checkout", order.id()),
            order.text_of("accessToken"),
        );
        let call = stage.call(GUEST, "POST", &path).token(&token);
        let call = call.key("c").json(json!({"method": "free"}));
        call.send().await.ok(200);
    }
    for done in join_all(rooms.iter().map(tickets::mail::drain)).await {
        done.expect("writes");
    }
    for _ in 0..3 {
        for done in join_all(rooms.iter().map(mail::send_due)).await {
            done.expect("sends");
        }
    }
    let sent = counting.0.lock().expect("not poisoned");
    assert_eq!(sent.len(), 12, "{sent:?}");
    assert!(sent.values().all(|times| *times == 1), "{sent:?}");
}

cases! {
    three_processes_send_each_mail_once,
    row_5_a_quantity_never_goes_below_what_is_sold_and_held,
    row_5_a_quantity_is_lowered_while_others_buy,
    inv_t9_racing_refunds_never_pass_what_was_paid,
    payouts_that_are_asked_for_at_once_pay_once,
    refunds_by_will_are_judged_against_what_was_decided_before,
    a_payout_that_is_not_posted_yet_is_not_available_again,
    an_open_payout_keeps_its_organiser,
}

/// Calls that wait for a store that stands still are answered together, and not one after another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_still_refuses_all_who_wait_in_time() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    drop(server.fresh().await);
    let impatient = PostgresSettings {
        patience: Duration::from_millis(800),
        ..server.settings()
    };
    let db = Db::open_postgres(impatient).await.expect("opens");
    let stage = Stage::build(no_limits(), |parts| Parts { db, ..parts }).await;
    let gig = stage.event("0", 500).await;
    stage.reserve("user:first", &gig, 1).await.ok(201);
    server.freeze(true);
    let started = Instant::now();
    let buyers: Vec<String> = (0..100).map(|n| format!("user:still{n}")).collect();
    let replies = join_all(buyers.iter().map(|who| stage.reserve(who, &gig, 1))).await;
    let took = started.elapsed();
    server.freeze(false);
    for reply in &replies {
        let (status, code) = reply.code();
        let known = ["store_unavailable", "commit_unknown"].contains(&code);
        assert!(status == 503 && known, "{}", reply.text);
    }
    println!("{took:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    let mut after = stage.reserve("user:after", &gig, 1).await;
    while after.status == 503 {
        after = stage.reserve("user:after", &gig, 1).await;
    }
    after.ok(201);
    stage.check_stock(&gig.event).await;
}

/// Every value of every table, as bytes.
async fn dump(db: &Db) -> Vec<u8> {
    let text = "SELECT m.name AS tab, c.name AS col FROM sqlite_master m
        JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1, 2";
    let mut all = Vec::new();
    for row in db.fetch_all(query(text)).await.expect("reads") {
        let (table, column): (String, String) =
            (row.get("tab").expect("tab"), row.get("col").expect("col"));
        let text = format!("SELECT hex(\"{column}\") AS v FROM \"{table}\"");
        for row in db.fetch_all(Query::assembled(text)).await.expect("reads") {
            let shown: String = row.get("v").expect("v");
            all.extend(hex::decode(shown).expect("hex"));
            all.push(b'\n');
        }
    }
    all
}

fn has(dump: &[u8], what: &str) -> bool {
    dump.windows(what.len()).any(|part| part == what.as_bytes())
}

/// INV-T18: after a sale, a card payment and an erasure the tables hold no card number, no token,
/// no secret and nothing that was erased.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_t18_no_secret_and_nothing_erased_is_kept() {
    let cards = Cards::new().await;
    let gig = cards.event("50.00", 10).await;
    let card = json!({"buyer": {"email": "g@example.org", "name": "4242 4242 4242 4242"}});
    let items = json!([{"ticketTypeId": gig.kind, "quantity": 1}]);
    cards
        .cart(GUEST, &gig.event, items.clone(), card)
        .await
        .refused(400, "card_data_refused");
    // Row 24: digits that are no card.
    let note = json!({"buyer": {"email": "h@example.org", "name": "42424242424241"}});
    cards
        .cart(GUEST, &gig.event, items.clone(), note)
        .await
        .ok(201);
    let buyer = json!({"buyer": {
        "email": "erika.muster@example.org", "name": "Erika Muster", "phone": "+491701234567",
    }});
    let order = cards.cart(GUEST, &gig.event, items, buyer).await.ok(201);
    let token = order.text_of("accessToken");
    let path = format!("/api/v1/orders/{}/checkout", order.id());
    let pay = |key: &'static str, body: Value| {
        let call = cards.call(GUEST, "POST", &path).token(&token).key(key);
        call.json(body).send()
    };
    let waits = pay("a", json!({"method": "card"})).await.ok(200);
    let secret = waits.body["payment"]["clientSecret"]
        .as_str()
        .expect("shown");
    let paid = json!({"method": "card", "paymentMethodId": "pm_card_visa"});
    pay("b", paid).await.ok(200);
    cards.work().await;
    tickets::mail::drain(&cards.room).await.expect("sends");
    let personal = ["erika.muster", "Erika Muster", "491701234567"];
    let seen = cards
        .get(OLGA, &format!("/api/v1/events/{}/orders", gig.event))
        .await
        .ok(200);
    assert!(seen.text.contains(personal[0]), "as long as it is kept");
    let sealed = dump(&cards.room.store.db).await;
    assert!(sealed.len() > 10_000, "{} bytes", sealed.len());
    let secrets = [&*token, secret, crate::cards::HOOK_SECRET, "sk_test_florin"];
    for never in secrets.iter().chain(&personal) {
        assert!(!has(&sealed, never), "INV-T18: {never}");
    }
    assert!(!has(&sealed, "4242 4242") && !has(&sealed, "4242424242424242"));
    let who = json!({"email": "erika.muster@example.org", "keepTickets": true});
    cards
        .post(ADMIN, "/api/v1/privacy/people/erase", who)
        .await
        .ok(204);
    let seen = cards
        .get(OLGA, &format!("/api/v1/events/{}/orders", gig.event))
        .await
        .ok(200);
    for gone in personal {
        assert!(!seen.text.contains(gone), "INV-T18: {gone}");
        assert!(
            !has(&dump(&cards.room.store.db).await, gone),
            "INV-T18: {gone}"
        );
    }
    let shown = cards.order(&order.id()).await;
    assert_eq!(shown["buyer"]["erased"], true, "{shown}");
    cards.quiet().await;
    cards.check_money().await;
}
