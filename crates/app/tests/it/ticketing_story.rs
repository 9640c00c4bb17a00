//! One sale from the first draft to the last cent, over HTTP on the real binary: read it from top
//! to bottom. Olga organises; Ana buys from her wallet, Bob by card; one ticket is refunded, one
//! handed on to Cleo; somebody scans twice and somebody forges; Olga is paid out. At the end every
//! figure of the report is counted again from the transfers of the ledger.
//!
//! `florin demo ticketing` tells the same story; the last test runs it, twice.

#[path = "../../src/demo/ticketing/figures.rs"]
pub mod figures;

use std::time::{Duration, Instant};

use florin_base::Timestamp;
use serde_json::{Value, json};

use crate::server::{Launch, Reply, Server, Who, program};
use figures::{minor, recount};

const HOUR: i64 = 3_600 * 1_000_000;
const PASSWORD: &str = "a-long-password-of-the-story";
/// Longest wait for something that comes by itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// Somebody with an account of his own.
struct Person<'s> {
    server: &'s Server,
    name: &'static str,
    bearer: String,
}

impl<'s> Person<'s> {
    fn joins(server: &'s Server, name: &'static str) -> Self {
        let body = json!({"id": name, "userName": name, "password": PASSWORD, "roles": ["user"]});
        server.post(Who::Admin, "/api/v1/users", body).ok(201);
        Self::signs_in(server, name)
    }

    fn signs_in(server: &'s Server, name: &'static str) -> Self {
        let body = json!({"userName": name, "password": PASSWORD});
        let token = server.post(Who::Nobody, "/api/v1/auth/token", body).ok(200);
        let bearer = format!("Bearer {}", token.text_of("accessToken"));
        Self {
            server,
            name,
            bearer,
        }
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let call = self.server.client.call("GET", &format!("/api/v1/{path}"));
        call.header("authorization", &self.bearer)
            .send()
            .ok(200)
            .body
    }

    /// A POST under an `Idempotency-Key` that is made from the path.
    #[track_caller]
    fn post(&self, path: &str, body: Value) -> Reply {
        let call = self.server.client.call("POST", &format!("/api/v1/{path}"));
        let call = call.header("authorization", &self.bearer);
        let key = format!("{}:{path}:{}", self.name, body["nonce"]);
        call.header("idempotency-key", &key).json(&body).send()
    }

    #[track_caller]
    fn patch(&self, path: &str, body: Value) -> Reply {
        let call = self.server.client.call("PATCH", &format!("/api/v1/{path}"));
        call.header("authorization", &self.bearer)
            .json(&body)
            .send()
    }

    /// A wallet in EUR with this much money in it.
    fn wallet(&self, money: &str) -> String {
        let body = json!({"userId": self.name, "currency": "EUR"});
        let made = self.server.post(Who::Service, "/api/v1/wallets", body);
        let id = made.ok(201).text_of("walletId").to_owned();
        if money != "0.00" {
            let path = format!("/api/v1/wallets/{id}/deposit");
            let body = json!({"amount": money, "referenceId": "salary"});
            self.server.post(Who::Service, &path, body).ok(200);
        }
        id
    }

    fn balance(&self, wallet: &str) -> Value {
        self.get(&format!("wallets/{wallet}/balance"))["balance"].clone()
    }

    fn tickets(&self, order: &str) -> Vec<Value> {
        let shown = self.get(&format!("tickets?orderId={order}"));
        shown["items"].as_array().expect("items").clone()
    }

    /// Looks at an object until it is so.
    #[track_caller]
    fn waits_for(&self, path: &str, member: &str, wanted: &str) -> Value {
        let begun = Instant::now();
        loop {
            let shown = self.get(path);
            if shown[member] == wanted {
                return shown;
            }
            let late = begun.elapsed() > PATIENCE;
            assert!(!late, "{path} is not {wanted}: {shown}");
            std::thread::yield_now();
        }
    }
}

/// Ids of what is sold.
struct Sale {
    org: String,
    event: String,
    kind: String,
    began: i64,
}

fn id(shown: &Value) -> String {
    shown["id"].as_str().expect("an id").to_owned()
}

/// An organisation, a concert tonight, a hundred tickets at 50.00 with 7 % tax included, a code
/// for ten per cent off; published.
fn olga_opens_the_sale(olga: &Person<'_>) -> Sale {
    let body = json!({
        "name": "Night Shift", "legalName": "Night Shift Ltd", "country": "DE",
        "defaultCurrency": "EUR", "contactEmail": "olga@example.org", "payoutDelayDays": 0,
    });
    let org = olga.post("orgs", body).ok(201).body;
    let began = org["createdAt"].as_str().expect("a time");
    let began = Timestamp::parse(began).expect("a time").micros();
    let body = json!({
        "orgId": org["id"], "title": "Night Shift live", "category": "music",
        "startsAt": Timestamp(began + 2 * HOUR).to_string(),
        "endsAt": Timestamp(began + 5 * HOUR).to_string(),
        "timeZone": "Europe/Berlin", "currency": "EUR",
        "venue": {"name": "Halle 5", "address": "Kai 5", "city": "Bremen", "country": "DE",
                  "lat": 53.08, "lng": 8.8},
    });
    let event = olga.post("events", body).ok(201).id();
    let body = json!({
        "name": "Standing", "price": "50.00", "quantity": 100, "taxRateBp": 700,
        "priceIncludesTax": true,
    });
    let path = format!("events/{event}/ticket-types");
    let kind = olga.post(&path, body).ok(201).id();
    let body = json!({"code": "TENOFF", "kind": "percent", "bp": 1_000});
    let path = format!("events/{event}/promo-codes");
    olga.post(&path, body).ok(201);
    let path = format!("events/{event}/publish");
    let shown = olga.post(&path, json!({})).ok(200).body;
    assert_eq!(shown["status"], "published");
    Sale {
        org: id(&org),
        event,
        kind,
        began,
    }
}

/// Reserves: the order as it was answered.
fn reserves(buyer: &Person<'_>, sale: &Sale, quantity: u32, code: Option<&str>) -> Value {
    let body = json!({
        "eventId": sale.event, "promoCode": code,
        "items": [{"ticketTypeId": sale.kind, "quantity": quantity}],
        "buyer": {"email": format!("{}@example.org", buyer.name), "name": buyer.name},
    });
    buyer.post("orders", body).ok(201).body
}

/// The answer of the gate: result and reason.
fn scan(olga: &Person<'_>, sale: &Sale, code: &str, number: u32) -> (String, String) {
    let body = json!({
        "token": code, "nonce": format!("00000000-0000-4000-8000-{number:012}"),
        "deviceId": "north-1", "gate": "north", "direction": "in",
        "scannedAt": Timestamp(sale.began).to_string(),
    });
    let path = format!("events/{}/check-ins", sale.event);
    let answer = olga.post(&path, body).ok(200);
    (
        answer.text_of("result").to_owned(),
        answer.text_of("reason").to_owned(),
    )
}

fn words(result: &str, reason: &str) -> (String, String) {
    (result.to_owned(), reason.to_owned())
}

/// A code with one letter of its signature changed.
fn forged(code: &str) -> String {
    let at = code.len() - 20;
    let letter = if code.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    format!("{}{letter}{}", &code[..at], &code[at + 1..])
}

/// All transfers of an event, from the ledger itself.
fn transfers(server: &Server, sale: &Sale) -> Vec<Value> {
    let (org, event) = (&sale.org, &sale.event);
    let lists = [
        format!("transfers?metadata.eventId={event}&limit=500"),
        format!("accounts/florin:tk:payable:{org}:{event}:EUR/transfers?limit=500"),
        format!("accounts/florin:tk:tax:{org}:{event}:EUR/transfers?limit=500"),
    ];
    let mut all = Vec::new();
    for list in lists {
        let page = server.get(Who::Auditor, &format!("/api/v1/ledger/{list}"));
        let page = page.ok(200).body;
        assert_eq!(page["nextCursor"], Value::Null, "more than a page");
        all.extend(page["items"].as_array().expect("items").clone());
    }
    all
}

fn balance(server: &Server, account: &str) -> i64 {
    let path = format!("/api/v1/ledger/accounts/florin:tk:{account}:EUR/balance");
    let shown = server.get(Who::Auditor, &path).ok(200);
    shown.text_of("balance").parse().expect("minor units")
}

/// Every money figure of overview and revenue is what the transfers of the ledger sum to.
fn the_report_is_the_ledger(server: &Server, olga: &Person<'_>, sale: &Sale) {
    let counted = recount(&transfers(server, sale));
    for report in ["overview", "revenue"] {
        let shown = olga.get(&format!("analytics/events/{}/{report}", sale.event));
        for (figure, amount) in &counted {
            assert_eq!(
                minor(&shown[figure]),
                Some(*amount),
                "{figure} of {report}: {shown}"
            );
        }
        assert_eq!(shown["grossSales"], "140.00");
        assert_eq!(shown["buyersPaid"], "144.66");
        assert_eq!(shown["refunds"], "46.46");
        assert_eq!(shown["tax"], "6.21");
        assert_eq!(shown["platformFees"], "3.20");
        assert_eq!(shown["organiserNet"], "88.79");
        assert_eq!(shown["payouts"], "95.00");
        assert_eq!(shown["payable"], "0.00");
    }
    let payable = format!("payable:{}:{}", sale.org, sale.event);
    let tax = format!("tax:{}:{}", sale.org, sale.event);
    assert_eq!((balance(server, &payable), balance(server, &tax)), (0, 0));
    assert_eq!(balance(server, "fee:platform"), 320);
}

#[test]
fn a_sale_from_the_first_draft_to_the_last_cent() {
    let server = Launch::new().start();
    let people = ["olga.t", "ana.t", "bob.t", "cleo.t"].map(|name| Person::joins(&server, name));
    let [olga, ana, bob, cleo] = &people;
    let purse = olga.wallet("0.00");
    let wallet = ana.wallet("200.00");
    let sale = olga_opens_the_sale(olga);

    // Ana takes two with the code and pays from her wallet: 2 × 45.00, fee 2.91.
    let order = reserves(ana, &sale, 2, Some("TENOFF"));
    assert_eq!(order["amounts"]["total"], "92.91");
    let path = format!("orders/{}/checkout", id(&order));
    let paid = ana.post(&path, json!({"method": "wallet", "walletId": wallet}));
    assert_eq!(paid.ok(200).text_of("status"), "confirmed");
    assert_eq!(ana.balance(&wallet), "107.09");

    // Row 23: a card number in a name is refused, and no log has it.
    let body = json!({
        "eventId": sale.event, "items": [{"ticketTypeId": sale.kind, "quantity": 1}],
        "buyer": {"email": "bob@example.org", "name": "4242 4242 4242 4242"},
    });
    let refused = bob.post("orders", body).refused(400, "card_data_refused");
    assert!(!refused.text.contains("4242"), "{}", refused.text);
    assert!(!server.log().contains("4242 4242"));

    // Bob takes one and pays by card: 50.00, fee 1.75.
    let bobs = reserves(bob, &sale, 1, None);
    assert_eq!(bobs["amounts"]["total"], "51.75");
    let path = format!("orders/{}/checkout", id(&bobs));
    let card = json!({"method": "card", "paymentMethodId": "pm_card_visa"});
    bob.post(&path, card).ok(200);
    bob.waits_for(&format!("orders/{}", id(&bobs)), "status", "confirmed");

    // One of Ana's friends is ill: the first ticket is refunded, with its share of the fee.
    let hers = ana.tickets(&id(&order));
    let path = format!("orders/{}/refunds", id(&order));
    let body = json!({"ticketIds": [hers[0]["id"]], "reason": "A friend is ill"});
    let refund = olga.post(&path, body).ok(202).body["items"][0].clone();
    assert_eq!(refund["amount"], "46.46");
    olga.waits_for(&format!("refunds/{}", id(&refund)), "status", "succeeded");
    assert_eq!(ana.balance(&wallet), "153.55");

    // Bob gives his ticket to Cleo; she gets a new code.
    let his = bob.tickets(&id(&bobs)).remove(0);
    let path = format!("tickets/{}/transfers", id(&his));
    let offer = bob.post(&path, json!({"recipientEmail": "cleo@example.org"}));
    let path = format!("transfers/{}/accept", offer.ok(201).text_of("token"));
    let body = json!({"name": "Cleo", "email": "cleo@example.org"});
    let now_hers = cleo.post(&path, body).ok(200).body;

    // The door: once each, the second time not, nor the old code, nor a forged one.
    let (anas, old) = (hers[1]["token"].as_str(), his["token"].as_str());
    let (anas, old) = (anas.expect("a code"), old.expect("a code"));
    let new = now_hers["token"].as_str().expect("a code");
    let at_the_door = |code: &str, number| scan(olga, &sale, code, number);
    assert_eq!(at_the_door(anas, 1), words("admitted", "ok"));
    assert_eq!(at_the_door(anas, 2), words("denied", "already_used"));
    assert_eq!(at_the_door(old, 3), words("denied", "revoked"));
    assert_eq!(at_the_door(new, 4), words("admitted", "ok"));
    assert_eq!(
        at_the_door(&forged(new), 5),
        words("denied", "bad_signature")
    );

    // The concert is over, the platform knows Olga, and she is paid: net and tax.
    let hours = json!({"advanceSeconds": 6 * 3_600});
    server.put(Who::Admin, "/api/v1/dev/clock", hours).ok(200);
    let olga = &Person::signs_in(&server, "olga.t");
    olga.waits_for(&format!("events/{}", sale.event), "status", "completed");
    let org = format!("orgs/{}", sale.org);
    let verified = json!({"verified": true});
    server
        .patch(Who::Admin, &format!("/api/v1/{org}"), verified)
        .ok(200);
    let method = json!({"payoutMethod": {"kind": "wallet", "walletId": purse}});
    olga.patch(&org, method).ok(200);
    olga.post(&format!("{org}/payouts"), json!({"currency": "EUR"}));
    let payouts = olga.get(&format!("{org}/payouts"));
    assert_eq!(payouts["items"][0]["amount"], "95.00", "{payouts}");
    assert_eq!(payouts["items"][0]["status"], "paid");
    assert_eq!(olga.balance(&purse), "95.00");

    // Two people came of two that were expected.
    let report = olga.get(&format!("analytics/events/{}/attendance", sale.event));
    assert_eq!(
        (&report["attended"], &report["expected"]),
        (&2.into(), &2.into())
    );
    the_report_is_the_ledger(&server, olga, &sale);
    server.books_are_balanced();
}

#[test]
fn florin_demo_ticketing_tells_it_twice_and_moves_no_cent_the_second_time() {
    let server = Launch::new().start();
    let url = server.ready["url"].as_str().expect("a URL").to_owned();
    let tell = || {
        let output = program()
            .args(["demo", "ticketing", "--output", "json", "--url", &url])
            .env("FLORIN_KEY", server.demo("serviceApiKey"))
            .env("FLORIN_ADMIN_KEY", server.demo("adminApiKey"))
            .output()
            .expect("the binary runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{errors}\n{text}\n{}",
            server.log_tail()
        );
        let lines = text.lines().map(serde_json::from_str);
        lines
            .collect::<Result<Vec<Value>, _>>()
            .expect("a document on each line")
    };
    // All postings but P4: the provider tells its costs when it likes.
    let moved = || {
        let postings = ["P1", "P2", "P3", "P5", "P6", "P8", "P9"].into_iter();
        let count = |posting: &str| {
            let path = format!("/api/v1/ledger/transfers?metadata.posting={posting}&limit=500");
            let page = server.get(Who::Auditor, &path).ok(200).body;
            page["items"].as_array().expect("items").len()
        };
        postings
            .map(|posting| (posting, count(posting)))
            .collect::<Vec<_>>()
    };
    let first = tell();
    let books = moved();
    let titles: Vec<&Value> = first.iter().map(|line| &line["title"]).collect();
    assert!(
        titles.iter().any(|title| *title == "A forged ticket"),
        "{titles:?}"
    );
    let figures = |told: &[Value]| told.last().expect("figures")["figures"].clone();
    let payouts = figures(&first);
    let payouts = payouts.as_array().expect("a list").iter();
    let payouts: Vec<&Value> = payouts.filter(|row| row["figure"] == "payouts").collect();
    assert_eq!(
        (&payouts[0]["report"], &payouts[0]["ledger"]),
        (&"95.00".into(), &"95.00".into())
    );
    let second = tell();
    assert_eq!(figures(&second), figures(&first));
    assert_eq!(moved(), books, "the second telling moved money");
    let ordered = second
        .iter()
        .filter(|line| line["path"] == "/api/v1/orders");
    assert!(ordered.clone().count() == 2 && ordered.clone().all(|line| line["replayed"] == true));
    server.books_are_balanced();
}
