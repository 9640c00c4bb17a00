//! Balances, entries, digests and what was known when (contract B1 to B3).

use florin_platform::bus::consume::Received;
use florin_shadow::store::Settings;
use florin_shadow::worker::deadlines;

use crate::permutations::Chance;
use crate::support::event;
use crate::web::{Web, json, web};

const TIME: i64 = 1_735_561_800_000;

async fn feed(web: &Web, events: &[(&str, &str, &str, i64)]) {
    for (id, kind, amount, at) in events {
        web.event(&json(id, "B21", kind, amount, TIME + at))
            .await
            .ok(202);
    }
}

async fn balance(web: &Web, query: &str) -> String {
    let path = format!("/api/v1/shadow/accounts/B21/shadow-balance{query}");
    web.get(&path).await.ok(200).text
}

/// INV-S7, INV-S12 and the exact shape of the answer.
#[tokio::test]
pub async fn inv_s7_the_last_event_has_the_greatest_key() {
    let web = web(Settings::default()).await;
    assert_eq!(
        balance(&web, "").await,
        r#"{"accountId":"B21","balance":0,"currency":"BRL","lastEvent":null}"#
    );
    feed(
        &web,
        &[
            ("EVT-503", "debit", "0.10", 300),
            ("EVT-501", "credit", "1350.25", 100),
            ("EVT-502", "credit", "0.2", 200),
        ],
    )
    .await;
    // The debit came first and was held; the credit before it let it in.
    assert_eq!(
        balance(&web, "").await,
        r#"{"accountId":"B21","balance":1350.35,"currency":"BRL","lastEvent":"EVT-503"}"#
    );
    assert_eq!(
        balance(&web, &format!("?asOf={}", TIME + 200)).await,
        format!(
            r#"{{"accountId":"B21","balance":1350.45,"currency":"BRL","lastEvent":"EVT-502","asOf":{}}}"#,
            TIME + 200
        )
    );
    assert_eq!(
        balance(&web, "?money=string").await,
        r#"{"accountId":"B21","balance":"1350.35","currency":"BRL","lastEvent":"EVT-503"}"#
    );
    let alias = web.get("/accounts/B21/shadow-balance").await.ok(200);
    assert_eq!(alias.text, balance(&web, "").await);
}

/// INV-S8: an answer for (asOf, knownAt) never changes, byte for byte.
#[tokio::test]
pub async fn inv_s8_what_was_known_stays_known() {
    let web = web(Settings::default()).await;
    let mut chance = Chance::fresh();
    let mut asked: Vec<(String, String)> = Vec::new();
    for round in 0..20_i64 {
        for n in 0..3 {
            let kind = if chance.next(3) == 0 {
                "debit"
            } else {
                "credit"
            };
            let amount = (chance.next(90) + 1).to_string();
            let at = chance.next(10_000) as i64;
            let id = format!("R{round}-{n}");
            web.event(&json(&id, "B21", kind, &amount, TIME + at))
                .await
                .ok(202);
        }
        web.bench.clock.advance(7_000_000);
        if round % 3 == 0 {
            deadlines::work_all(&web.bench.shadow).await.expect("works");
        }
        let now = florin_base::Timestamp(florin_base::Clock::wall_micros(&*web.bench.clock));
        for query in [
            format!("?knownAt={now}"),
            format!("?knownAt={now}&asOf={}", TIME + 5_000),
            format!("?knownAt={now}&detail=true"),
        ] {
            let answer = balance(&web, &query).await;
            asked.push((query, answer));
        }
        for (query, before) in &asked {
            let after = balance(&web, query).await;
            assert_eq!(strip_open(&after), strip_open(before), "{query}");
        }
    }
}

/// `openUntil`, floor and policy speak of now.
fn strip_open(answer: &str) -> String {
    match answer.find(",\"openUntil\"") {
        Some(at) => {
            let digest = answer.find(",\"digest\"").expect("a digest");
            format!("{}{}", &answer[..at], &answer[digest..])
        }
        None => answer.to_owned(),
    }
}

/// INV-S10: the last running balance is the balance, through all pages, while events arrive.
#[tokio::test]
pub async fn inv_s10_pages_fit_together_and_end_in_the_balance() {
    let web = web(Settings::default()).await;
    let events = (0..1_300_i64)
        .map(|n| {
            let signed = if n % 3 == 2 { -50 } else { 100 };
            event(&format!("E{n:05}"), "B21", signed, TIME + n * 10)
        })
        .collect();
    crate::support::take(&web.bench.shadow, events).await;
    let whole = web
        .get("/api/v1/shadow/accounts/B21/shadow-balance")
        .await
        .body["balance"]
        .clone();
    let mut path = "/api/v1/shadow/accounts/B21/entries?limit=500".to_owned();
    let (mut seen, mut last, mut page_no) = (0, serde_json::Value::Null, 0);
    loop {
        let page = web.get(&path).await.ok(200);
        let items = page.body["items"].as_array().expect("items").clone();
        seen += items.len();
        last = items
            .last()
            .map_or(last, |item| item["runningBalance"].clone());
        // Arrives between two pages and must not be seen by the walk.
        let late = event(&format!("LATE{page_no}"), "B21", 7, TIME + page_no);
        crate::support::take(&web.bench.shadow, vec![late]).await;
        page_no += 1;
        match page.body["nextCursor"].as_str() {
            Some(cursor) => {
                path = format!("/api/v1/shadow/accounts/B21/entries?limit=500&cursor={cursor}");
            }
            None => break,
        }
    }
    assert_eq!((seen, page_no), (1_300, 3));
    assert_eq!(last, whole);
    // From the middle: what stands before is summed, not shown.
    let from = TIME + 6_000;
    let page = web
        .get(&format!(
            "/api/v1/shadow/accounts/B21/entries?from={from}&limit=1"
        ))
        .await
        .ok(200);
    let as_of = web
        .get(&format!(
            "/api/v1/shadow/accounts/B21/shadow-balance?asOf={from}"
        ))
        .await;
    assert_eq!(
        page.body["items"][0]["runningBalance"],
        as_of.body["balance"]
    );
}

/// INV-S9 and decisions: a held debit is rejected at its deadline, and each step is told.
#[tokio::test]
pub async fn a_deadline_makes_a_held_debit_final() {
    let web = web(Settings::default()).await;
    let reply = web
        .event(&json("E1", "B21", "debit", "5", TIME))
        .await
        .ok(202);
    assert_eq!(reply.body["state"], "held");
    assert_eq!(reply.body["reason"], "insufficient");
    web.bench.clock.advance(31_000_000);
    deadlines::work_all(&web.bench.shadow).await.expect("works");
    let shown = web.get("/api/v1/shadow/events/E1").await.ok(200);
    assert_eq!(shown.body["state"], "rejected");
    assert_eq!(shown.body["final"], true);
    assert_eq!(shown.body["redrivable"], false);
    let steps: Vec<&str> = shown.body["decisions"]
        .as_array()
        .expect("decisions")
        .iter()
        .map(|step| step["to"].as_str().expect("to"))
        .collect();
    assert_eq!(steps, ["held", "rejected"]);
    // A credit before it comes too late for the grace, and makes it redrivable.
    web.event(&json("E0", "B21", "credit", "9", TIME - 1))
        .await
        .ok(202);
    let shown = web.get("/api/v1/shadow/events/E1").await.ok(200);
    assert_eq!(shown.body["state"], "rejected");
    assert_eq!(shown.body["redrivable"], true);
    assert_eq!(
        web.get("/api/v1/shadow/events/E7").await.code(),
        (404, "event_not_found")
    );
    let listed = web
        .get("/api/v1/shadow/events?redrivable=true")
        .await
        .ok(200);
    assert_eq!(listed.body["items"][0]["eventId"], "E1");
}

/// Floors: nobody sets one that history broke; lifting one lets held debits in.
#[tokio::test]
pub async fn floors_decide_and_cannot_be_set_against_history() {
    let web = web(Settings::default()).await;
    web.event(&json("E1", "B21", "debit", "5", TIME))
        .await
        .ok(202);
    let path = "/api/v1/shadow/books/B21/BRL";
    let set = web.put(path, r#"{"floor":-5}"#).await.ok(200);
    assert_eq!(set.body["floor"], -5);
    assert_eq!(
        web.get("/api/v1/shadow/events/E1").await.body["state"],
        "applied"
    );
    let refused = web.put(path, r#"{"floor":0}"#).await;
    assert_eq!(refused.code(), (409, "floor_violated"));
    let fixed = web.put(path, r#"{"policy":"derived"}"#).await;
    assert_eq!(fixed.code(), (409, "policy_fixed"));
    web.put(path, r#"{"floor":null}"#).await.ok(200);
    web.put("/api/v1/shadow/books/NEW/BRL", r#"{"policy":"arrival"}"#)
        .await
        .ok(200);
    let reply = web
        .event(&json("E2", "NEW", "debit", "5", TIME))
        .await
        .ok(202);
    assert_eq!(reply.body["state"], "rejected");
}

/// INV-S3, INV-S13: the same digest whatever the order and the door.
#[tokio::test]
pub async fn inv_s13_the_same_set_has_the_same_digest_by_every_door() {
    let mut chance = Chance::fresh();
    let mut bodies: Vec<String> = (0..60)
        .map(|n| {
            let kind = if chance.next(2) == 0 {
                "debit"
            } else {
                "credit"
            };
            let amount = (chance.next(50) + 1).to_string();
            json(
                &format!("E{n}"),
                "B21",
                kind,
                &amount,
                TIME + chance.next(40) as i64,
            )
        })
        .collect();
    let settings = Settings {
        grace_ms: 3_600_000,
        ..Settings::default()
    };
    let mut digests = Vec::new();
    for door in 0..4 {
        let web = web(settings.clone()).await;
        chance.shuffle(&mut bodies);
        match door {
            0 => {
                for body in &bodies {
                    web.event(body).await.ok(202);
                }
            }
            1 => {
                for some in bodies.chunks(7) {
                    let body = format!("[{}]", some.join(","));
                    web.post_as(crate::web::SERVICE, "/events/batch", &body)
                        .await
                        .ok(202);
                }
            }
            _ => {
                let entrance = crate::web::entrance(&web.bench.shadow);
                let message = |(offset, body): (usize, &String)| Received {
                    topic: "transactions.raw".into(),
                    partition: 0,
                    offset: offset as i64,
                    key: None,
                    value: body.clone().into(),
                    headers: Vec::new(),
                };
                let messages: Vec<Received> = bodies.iter().enumerate().map(message).collect();
                for some in messages.chunks(9) {
                    entrance.take(some).await.expect("taken");
                }
            }
        }
        let reply = web.get("/api/v1/shadow/accounts/B21/digest").await.ok(200);
        assert_eq!(reply.body["events"], 60);
        digests.push((reply.body["digest"].clone(), balance(&web, "").await));
    }
    assert!(
        digests.windows(2).all(|pair| pair[0] == pair[1]),
        "{digests:?}"
    );
}
