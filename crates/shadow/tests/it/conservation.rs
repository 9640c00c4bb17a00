//! Nothing is lost, nothing is made (INV-S2, INV-S5, INV-S12).

use florin_shadow::model::book::{Book, Policy, Rules};
use florin_shadow::model::decide::{self, Arrival};
use florin_shadow::model::{BookId, Event};
use florin_shadow::store::Settings;
use florin_shadow::worker::deadlines;
use serde_json::{Value, json};

use crate::desk::{House, SECOND, build};
use crate::permutations::Chance;
use crate::support::{bench, event};
use crate::web::{ADMIN, json as event_json, web};

const TIME: i64 = 1_735_561_800_000;
/// Pages are large enough for every book here.
const ALL: &str = "limit=500";

/// Amount in cents of a printed number.
fn cents(value: &Value) -> i128 {
    let text = value.to_string();
    florin_shadow::model::amount::parse_signed(&text, 2).expect("an amount")
}

async fn listed(house: &House, account: &str, state: &str) -> Vec<Value> {
    let path = format!("/api/v1/shadow/accounts/{account}/entries?{ALL}&state={state}");
    let page = house.web.get(&path).await.ok(200);
    assert!(page.body["nextCursor"].is_null(), "one page");
    page.body["items"].as_array().expect("items").clone()
}

/// INV-S5 on one book: its balance is what its entries add up to, and each recorded event is in
/// exactly one state. Answers its recorded events.
async fn conserved(house: &House, account: &str) -> usize {
    let path = format!("/api/v1/shadow/accounts/{account}/shadow-balance?detail=true");
    let shown = house.web.get(&path).await.ok(200).body;
    let applied = listed(house, account, "applied").await;
    let sum = |way: &str| -> i128 {
        let of_way = applied.iter().filter(|entry| entry["type"] == way);
        of_way.map(|entry| cents(&entry["amount"])).sum()
    };
    let balance = cents(&shown["balance"]);
    assert_eq!(balance, sum("credit") - sum("debit"), "{account}");
    assert!(balance >= 0, "{account}: INV-S4");
    assert_eq!(shown["entries"], applied.len(), "{account}");
    let mut ids: Vec<String> = Vec::new();
    let mut count = 0;
    for (state, name) in [
        ("applied", None),
        ("held", Some("held")),
        ("held_for_review", Some("review")),
        ("rejected", Some("rejected")),
    ] {
        let events = listed(house, account, state).await;
        if let Some(name) = name {
            assert_eq!(shown[name]["count"], events.len(), "{account}: {state}");
            let amounts = events.iter().map(|entry| cents(&entry["amount"]));
            assert_eq!(cents(&shown[name]["sum"]), amounts.sum::<i128>());
        }
        count += events.len();
        ids.extend(events.iter().map(|entry| entry["eventId"].to_string()));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "{account}: one state each");
    let path = format!("/api/v1/shadow/accounts/{account}/digest");
    let digest = house.web.get(&path).await.ok(200).body;
    assert_eq!(digest["events"], count, "{account}: all that were recorded");
    count
}

#[tokio::test]
pub async fn inv_s5_balances_are_the_sum_of_entries_and_events_have_one_state() {
    let house = build(bench(Settings::default()).await, |_| {}, false);
    let mut chance = Chance::fresh();
    let mut sent = 0;
    for round in 0..8 {
        let bodies: Vec<String> = (0..60)
            .map(|n| {
                let kind = ["credit", "debit"][chance.next(2) as usize];
                let amount = format!("{}.{:02}", chance.next(90), chance.next(99) + 1);
                let account = format!("A{}", chance.next(3));
                let at = TIME + chance.next(5_000) as i64;
                event_json(&format!("E{round}-{n}"), &account, kind, &amount, at)
            })
            .collect();
        let body = format!("[{}]", bodies.join(","));
        let path = "/api/v1/shadow/events/batch";
        house
            .web
            .post_as(crate::web::SERVICE, path, &body)
            .await
            .ok(202);
        sent += bodies.len();
        house.web.bench.clock.advance(11_000_000);
        let shadow = &house.web.bench.shadow;
        deadlines::work_all(shadow).await.expect("works");
        let mut recorded = 0;
        for account in ["A0", "A1", "A2"] {
            recorded += conserved(&house, account).await;
        }
        assert_eq!(recorded, sent, "counts per state = events recorded");
    }
    // Corrections, a redrive and a reversal keep it.
    let body = r#"{"type":"credit","amount":9000,"reason":"r","eventId":"C"}"#;
    house.admin(ADMIN, "correct/A0", body).await.ok(202);
    house
        .admin(SECOND, "corrections/C/approve", "")
        .await
        .ok(200);
    let unapplied = listed(&house, "A0", "rejected").await;
    let review = listed(&house, "A0", "held_for_review").await;
    for one in unapplied.iter().chain(&review).take(5) {
        let id = one["eventId"].as_str().expect("an id");
        let why = r#"{"reason":"r"}"#;
        let redriven = house
            .admin(ADMIN, &format!("events/{id}/redrive"), why)
            .await;
        assert!(
            [200, 202, 409].contains(&redriven.status),
            "{}",
            redriven.text
        );
        conserved(&house, "A0").await;
    }
    conserved(&house, "A0").await;
}

/// INV-S2: the same set again, in another order and by the other door, changes nothing: not a
/// balance, not a digest, not the `logSeq` of an event, not the log.
#[tokio::test]
pub async fn inv_s2_a_set_that_comes_again_by_the_other_door_leaves_no_trace() {
    let web = web(Settings::default()).await;
    let mut chance = Chance::fresh();
    let mut events: Vec<String> = (0..80)
        .map(|n| {
            let kind = ["credit", "debit"][chance.next(2) as usize];
            let account = format!("A{}", chance.next(3));
            let amount = (chance.next(50) + 1).to_string();
            let at = TIME + chance.next(500) as i64;
            event_json(&format!("E{n}"), &account, kind, &amount, at)
        })
        .collect();
    for event in &events {
        web.event(event).await.ok(202);
    }
    let everything = || async {
        let mut all = Vec::new();
        for path in ["digests", "accounts", "log/head", "events?limit=500"] {
            let reply = web.get(&format!("/api/v1/shadow/{path}")).await.ok(200);
            all.push(reply.text);
        }
        all
    };
    let before = everything().await;
    assert!(before[3].contains("\"logSeq\":"), "{}", before[3]);
    let entrance = crate::web::entrance(&web.bench.shadow);
    for _ in 0..2 {
        chance.shuffle(&mut events);
        let messages: Vec<_> = (0..)
            .zip(&events)
            .map(|(offset, event)| florin_platform::bus::consume::Received {
                topic: "transactions.raw".into(),
                partition: 0,
                offset,
                key: None,
                value: event.clone().into(),
                headers: Vec::new(),
            })
            .collect();
        entrance.take(&messages).await.expect("taken");
        let body = format!("[{}]", events.join(","));
        let path = "/api/v1/shadow/events/batch?results=errors";
        let reply = web.post_as(crate::web::SERVICE, path, &body).await.ok(202);
        assert_eq!(reply.body["duplicates"], 80);
        assert_eq!(everything().await, before);
    }
}

/// INV-S12: a million cents are ten thousand, in memory; and what the tables add up is exact.
#[test]
fn inv_s12_a_million_cents_are_ten_thousand() {
    let rules = Rules {
        floor: Some(0),
        policy: Policy::Watermark,
        grace_micros: 0,
    };
    let mut book = Book::new(1, BookId::new("A", "BRL"), rules);
    for some in 0..50_i64 {
        let events: Vec<Event> = (0..20_000)
            .map(|n| event(&format!("E{some}-{n}"), "A", 1, TIME + some * 20_000 + n))
            .collect();
        let arrival = Arrival {
            recorded_at: TIME * 1_000,
            log_seq: some + 1,
        };
        let arrivals: Vec<_> = events.iter().map(|event| (event, arrival)).collect();
        decide::take(&mut book, &arrivals).expect("has room");
    }
    assert_eq!(book.len(), 1_000_000);
    let printed = florin_shadow::model::amount::minimal(book.balance(), 2);
    assert_eq!(printed, "10000");
}

#[tokio::test]
pub async fn inv_s12_tables_and_numbers_are_exact() {
    let web = web(Settings::default()).await;
    for part in 0..2 {
        let lines: Vec<String> = (0..10_000)
            .map(|n| event_json(&format!("E{part}-{n}"), "CENTS", "credit", "0.01", TIME + n))
            .collect();
        let body = format!("[{}]", lines.join(","));
        let path = "/api/v1/shadow/events/batch?results=errors";
        web.post_as(crate::web::SERVICE, path, &body).await.ok(202);
    }
    let text = |account: &'static str, query: &'static str| {
        let path = format!("/api/v1/shadow/accounts/{account}/shadow-balance{query}");
        let web = &web;
        async move { web.get(&path).await.ok(200).text }
    };
    let whole = text("CENTS", "").await;
    assert!(whole.contains("\"balance\":200,"), "{whole}");
    let part = text("CENTS", "?asOf=1735561800098").await;
    assert!(part.contains("\"balance\":1.98,"), "{part}");
    for (id, amount) in [("a", "0.1"), ("b", "0.2")] {
        web.event(&event_json(id, "SUM", "credit", amount, TIME))
            .await
            .ok(202);
    }
    let sum = text("SUM", "").await;
    assert!(sum.contains("\"balance\":0.3,"), "{sum}");
    // Larger than any 64-bit number and than any double can tell apart.
    let large = "9999999999999999999999999999.99";
    for (id, kind, amount) in [
        ("l1", "credit", large),
        ("l2", "credit", large),
        ("l3", "debit", "0.01"),
    ] {
        web.event(&event_json(id, "LARGE", kind, amount, TIME))
            .await
            .ok(202);
    }
    let sum = text("LARGE", "").await;
    let wanted = "\"balance\":19999999999999999999999999999.97,";
    assert!(sum.contains(wanted), "{sum}");
    let entries = web
        .get("/api/v1/shadow/accounts/LARGE/entries")
        .await
        .ok(200);
    assert!(
        entries
            .text
            .contains("\"runningBalance\":19999999999999999999999999999.97"),
        "{}",
        entries.text
    );
    assert_eq!(
        json!(
            web.get("/api/v1/shadow/accounts/LARGE/digest")
                .await
                .ok(200)
                .body["events"]
        ),
        3
    );
}
