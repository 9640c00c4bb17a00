//! Messages of topics, in and out (contract A3, A5; row 50, INV-S2, INV-S13, INV-S14, INV-S18).

use std::sync::Arc;

use florin_platform::bus::consume::Received;
use florin_platform::bus::{Bus as _, LocalBus, Message, Subscription};
use florin_shadow::store::Settings;
use florin_shadow::worker::mirror::Topics;
use florin_shadow::worker::outbox::{readers, step};
use florin_shadow::worker::topics::{CORRECTIONS, DEAD, EVENTS, Entrance, RAW};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::desk::{House, SECOND, build, house};
use crate::support::bench;
use crate::web::{ADMIN, Web, json as event_json, web};

const TIME: i64 = 1_735_561_800_000;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn message(topic: &str, offset: i64, value: &str) -> Received {
    Received {
        topic: topic.into(),
        partition: 0,
        offset,
        key: Some("A1".into()),
        value: value.to_owned().into(),
        headers: vec![("X-Trace-Id".into(), "trace-7".into())],
    }
}

fn entrance(house: &House) -> Entrance {
    Entrance::new(house.checker.corrections().clone())
}

async fn letters(web: &Web) -> Vec<Value> {
    let list = web.get("/api/v1/shadow/dead-letters").await.ok(200);
    list.body["items"].as_array().expect("letters").clone()
}

#[tokio::test]
pub async fn row_50_inv_s14_a_bad_message_is_parked_and_stops_nothing() {
    let house = house(|_| {}).await;
    let entrance = entrance(&house);
    let web = &house.web;
    let messages = [
        message(RAW, 0, &event_json("E1", "A1", "credit", "10", TIME)),
        message(RAW, 1, "not json"),
        message(RAW, 2, &event_json("E1", "A1", "credit", "11", TIME)),
        message(RAW, 3, &event_json("CORR-1", "A1", "credit", "11", TIME)),
        message(RAW, 4, &event_json("E1", "A1", "credit", "10", TIME)),
        message(RAW, 5, &event_json("E2", "A1", "debit", "4", TIME + 1)),
    ];
    // Redelivery has no effect.
    for _ in 0..2 {
        entrance.take(&messages).await.expect("taken");
    }
    assert_eq!(house.balance("A1").await, 6);
    let parked = letters(web).await;
    let shown: Vec<(i64, &str)> = parked
        .iter()
        .map(|l| {
            (
                l["offset"].as_i64().expect("offset"),
                l["reason"].as_str().expect("reason"),
            )
        })
        .collect();
    let wanted = [
        (1, "malformed_json"),
        (3, "reserved_id"),
        (2, "event_conflict"),
    ];
    assert_eq!(shown, wanted);
    let id = parked[1]["id"].as_str().expect("id");
    let path = format!("/api/v1/shadow/dead-letters/{id}");
    let still = web
        .post_as(ADMIN, &format!("{path}/redrive"), "")
        .await
        .ok(200);
    assert_eq!(still.body["status"], "parked");
    assert_eq!(still.body["reason"], "reserved_id");
    let gone = web
        .post_as(ADMIN, &format!("{path}/discard"), r#"{"reason":"a test"}"#)
        .await
        .ok(200);
    assert_eq!(gone.body["status"], "discarded");
    let twice = web.post_as(ADMIN, &format!("{path}/redrive"), "").await;
    assert_eq!(twice.code(), (409, "invalid_state"));
}

/// Every row that says what is wrong with an event says it of a message, too.
#[tokio::test]
pub async fn row_50_each_fault_of_an_event_has_its_code_at_the_topic() {
    let house = house(|_| {}).await;
    let now = crate::support::NOW / 1_000;
    let with = |field: &str, value: &str| {
        let good = [
            ("eventId", "\"E9\""),
            ("accountId", "\"A1\""),
            ("type", "\"credit\""),
            ("amount", "1"),
            ("timestamp", "1735561800000"),
        ];
        let replaced = good.iter().map(|(name, old)| match *name == field {
            true => format!("\"{name}\":{value}"),
            false => format!("\"{name}\":{old}"),
        });
        let mut members: Vec<String> = replaced.collect();
        if !good.iter().any(|(name, _)| *name == field) {
            members.push(format!("\"{field}\":{value}"));
        }
        format!("{{{}}}", members.join(","))
    };
    let id_of_129 = format!("\"{}\"", "x".repeat(129));
    let far = (now + 3_600_000).to_string();
    let huge = format!("1{}", "0".repeat(28));
    let rows: [(u8, String, &str); 18] = [
        (1, "NaN".to_owned(), "malformed_json"),
        (2, with("isCorrection", "true"), "unknown_field"),
        (
            3,
            r#"{"eventId":"E9","eventId":"E9"}"#.to_owned(),
            "duplicate_field",
        ),
        (9, with("accountId", "null"), "required"),
        (10, with("eventId", &id_of_129), "invalid_id"),
        (11, with("eventId", "\"CORR-A1-1\""), "reserved_id"),
        (12, with("type", "\"CREDIT\""), "invalid_type"),
        (13, with("amount", "-5"), "amount_out_of_range"),
        (14, with("amount", "10.000"), "amount_precision"),
        (15, with("amount", "1e2"), "amount_invalid"),
        (16, with("amount", "true"), "amount_invalid"),
        (17, with("amount", &huge), "amount_out_of_range"),
        (18, with("timestamp", "1735561800"), "timestamp_too_old"),
        (19, with("timestamp", &far), "timestamp_in_future"),
        (
            20,
            with("timestamp", "\"2025-01-01T00:00:00\""),
            "timestamp_zone_missing",
        ),
        (
            21,
            with("timestamp", "\"2024-12-30T00:00:00.0001Z\""),
            "timestamp_precision",
        ),
        (22, with("timestamp", "1.5"), "invalid_timestamp"),
        (23, with("currency", "\"XXQ\""), "currency_unknown"),
    ];
    let messages: Vec<Received> = (0..)
        .zip(&rows)
        .map(|(offset, (_, value, _))| message(RAW, offset, value))
        .chain([message(RAW, 99, &with("description", "\"fine\""))])
        .collect();
    entrance(&house).take(&messages).await.expect("taken");
    let parked = letters(&house.web).await;
    assert_eq!(parked.len(), rows.len());
    for (letter, (row, value, code)) in parked.iter().zip(&rows) {
        assert_eq!(letter["reason"], *code, "row {row}: {value}");
        assert_eq!(letter["payload"], *value, "row {row}");
    }
    assert_eq!(house.balance("A1").await, 1, "the next event is applied");
}

fn correction(id: &str, amount: &str, more: &str) -> String {
    format!(
        r#"{{"eventId":"{id}","accountId":"A1","type":"credit","amount":{amount},"timestamp":{TIME}{more}}}"#
    )
}

#[tokio::test]
pub async fn inv_s18_a_correction_of_a_topic_is_proposed_and_never_applied() {
    let house = house(|_| {}).await;
    let entrance = entrance(&house);
    let reason = r#","reason":"late","causeEventId":"E1","checkId":"C-1""#;
    let messages = [
        message(CORRECTIONS, 0, &correction("CORR-A1-x", "5", reason)),
        message(CORRECTIONS, 1, &correction("CORR-A1-y", "5", "")),
        message(CORRECTIONS, 2, &correction("CORR-A1-x", "6", reason)),
        message(
            CORRECTIONS,
            3,
            &correction("CORR-A1-z", "5", r#","reason":" ""#),
        ),
        message(
            CORRECTIONS,
            4,
            &correction("K", "5", r#","reason":"a","reason":"b""#),
        ),
        message(
            CORRECTIONS,
            5,
            &correction("K", "5", r#","reason":"a","checkId":"/""#),
        ),
    ];
    for _ in 0..2 {
        entrance.take(&messages).await.expect("taken");
    }
    assert_eq!(house.status("CORR-A1-x").await, "proposed");
    assert_eq!(house.balance("A1").await, 0);
    let parked = letters(&house.web).await;
    let reasons: Vec<&Value> = parked.iter().map(|letter| &letter["reason"]).collect();
    let wanted = [
        "required",
        "event_conflict",
        "required",
        "duplicate_field",
        "invalid_id",
    ];
    assert_eq!(reasons, wanted);
    let shown = house.web.get("/api/v1/shadow/corrections/CORR-A1-x").await;
    assert_eq!(shown.body["causeEventId"], "E1", "{}", shown.text);
    let id = parked[1]["id"].as_str().expect("id");
    let path = format!("dead-letters/{id}/redrive");
    let still = house.admin(ADMIN, &path, "").await.ok(200);
    assert_eq!(still.body["reason"], "event_conflict");
    house
        .admin(SECOND, "corrections/CORR-A1-x/approve", "")
        .await
        .ok(200);
    assert_eq!(house.balance("A1").await, 5);
}

fn all(subscription: &mut Subscription) -> Vec<Message> {
    std::iter::from_fn(|| subscription.next().now_or_never().flatten()).collect()
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let found = message.headers.iter().find(|(key, _)| **key == *name);
    found.map(|(_, value)| &**value)
}

fn back(topic: &str, messages: &[Message]) -> Vec<Received> {
    let received = |(offset, message): (i64, &Message)| Received {
        topic: topic.into(),
        partition: 0,
        offset,
        key: Some(message.key.as_bytes().to_vec().into()),
        value: message.value.clone(),
        headers: (message.headers.iter())
            .map(|(key, value)| (key.clone(), value.as_bytes().to_vec().into()))
            .collect(),
    };
    (1_000..).zip(messages).map(received).collect()
}

#[tokio::test]
pub async fn inv_s2_copies_go_out_once_for_each_and_change_nothing_when_they_come_back() {
    let house = house(|_| {}).await;
    let entrance = entrance(&house);
    let bus = Arc::new(LocalBus::new());
    let [mut raw, mut corrections, mut dead, mut events] =
        [RAW, CORRECTIONS, DEAD, EVENTS].map(|topic| bus.subscribe(topic));
    let full = format!(
        r#"{{"eventId":"H1","accountId":"A1","type":"credit","amount":"7.50","timestamp":{TIME},"reference":"R","description":"d","source":"cbs","sequence":3}}"#
    );
    let headers = [("content-type", "application/json"), ("x-trace-id", TRACE)];
    let path = "/api/v1/shadow/events";
    house
        .web
        .send(crate::web::SERVICE, "POST", path, &headers, full.into())
        .await
        .ok(202);
    let from_topic = [
        message(RAW, 0, &event_json("K1", "A1", "credit", "1", TIME)),
        message(RAW, 1, "{"),
    ];
    entrance.take(&from_topic).await.expect("taken");
    let manual = r#"{"type":"credit","amount":2,"reason":"found","eventId":"M1"}"#;
    house.admin(ADMIN, "correct/A1", manual).await.ok(200);
    let topics = Topics {
        shadow: house.web.bench.shadow.clone(),
        bus: bus.clone(),
    };
    assert!(bus.wants(RAW));
    while step(&topics.shadow, readers::TOPICS, &topics)
        .await
        .expect("told")
        > 0
    {}
    let raw = all(&mut raw);
    assert_eq!(raw.len(), 1, "what came by a topic is not copied to it");
    let copy: Value = serde_json::from_slice(&raw[0].value).expect("JSON");
    let wanted = json!({"eventId": "H1", "accountId": "A1", "type": "credit", "amount": "7.5",
        "timestamp": TIME, "currency": "BRL", "reference": "R", "description": "d",
        "source": "cbs", "sequence": 3});
    assert_eq!(copy, wanted);
    assert_eq!(&*raw[0].key, "A1");
    let installation = house.web.bench.shadow.installation();
    assert_eq!(header(&raw[0], "florin-origin"), Some(installation));
    assert_eq!(header(&raw[0], "X-Trace-Id"), Some(TRACE));
    let parent = header(&raw[0], "traceparent").expect("a parent");
    assert!(parent.starts_with(&format!("00-{TRACE}-")), "{parent}");
    let corrections = all(&mut corrections);
    assert_eq!(corrections.len(), 1);
    let copy: Value = serde_json::from_slice(&corrections[0].value).expect("JSON");
    assert_eq!(
        (&copy["eventId"], &copy["reason"]),
        (&json!("M1"), &json!("found"))
    );
    let dead = all(&mut dead);
    assert_eq!(dead.len(), 1);
    assert_eq!((&*dead[0].key, &*dead[0].value), ("A1", b"{".as_slice()));
    let place = ["reason", "topic", "partition", "offset"]
        .map(|name| header(&dead[0], &format!("florin-{name}")).expect("a header"));
    assert_eq!(place, ["malformed_json", RAW, "0", "1"]);
    assert!(header(&dead[0], "florin-at").is_some());
    let told = all(&mut events);
    assert!(
        told.iter()
            .any(|one| header(one, "X-Trace-Id") == Some(TRACE))
    );

    let digest = "/api/v1/shadow/accounts/A1/digest";
    let before = house.web.get(digest).await.ok(200).text;
    let head = house.web.get("/api/v1/shadow/log/head").await.ok(200).text;
    entrance.take(&back(RAW, &raw)).await.expect("taken");
    let copies = back(CORRECTIONS, &corrections);
    entrance.take(&copies).await.expect("taken");
    assert_eq!(house.web.get(digest).await.ok(200).text, before);
    assert_eq!(
        house.web.get("/api/v1/shadow/log/head").await.ok(200).text,
        head
    );
    assert_eq!(letters(&house.web).await.len(), 1);
}

/// A set twice, in other orders, by each door of three servers (INV-S13): the same books.
#[tokio::test]
pub async fn inv_s2_duplicates_change_nothing_by_any_door() {
    let events: Vec<String> = (0..120)
        .map(|n: i64| {
            let (kind, amount) = match n % 3 {
                0 => ("debit", n % 17 + 1),
                _ => ("credit", n % 11 + 1),
            };
            let (account, time) = (format!("A{}", n % 4), TIME + (n * 37) % 60);
            event_json(&format!("E{n}"), &account, kind, &amount.to_string(), time)
        })
        .collect();
    let digests = |web: Web| async move {
        let list = web.get("/api/v1/shadow/digests").await.ok(200);
        let items = list.body["items"].as_array().expect("items").clone();
        let digest = |item: &Value| (item["accountId"].clone(), item["digest"].clone());
        items.iter().map(digest).collect::<Vec<_>>()
    };
    let single = web(Settings::default()).await;
    for (nth, event) in events.iter().chain(events.iter().rev()).enumerate() {
        let status = if nth < events.len() { 202 } else { 409 };
        single.event(event).await.ok(status);
    }
    let batched = web(Settings::default()).await;
    for half in [&events[60..], &events[..60], &events[..]] {
        let body = format!("[{}]", half.join(","));
        let path = "/api/v1/shadow/events/batch";
        batched
            .post_as(crate::web::SERVICE, path, &body)
            .await
            .ok(202);
    }
    let house = build(bench(Settings::default()).await, |_| {}, false);
    let entrance = entrance(&house);
    for round in 0..2 {
        let reversed = events.iter().rev();
        let messages: Vec<Received> = (0..)
            .zip(reversed)
            .map(|(offset, event)| message(RAW, offset + 1_000 * round, event))
            .collect();
        for some in messages.chunks(7) {
            entrance.take(some).await.expect("taken");
        }
    }
    let wanted = digests(single).await;
    assert_eq!(wanted.len(), 4);
    assert_eq!(digests(batched).await, wanted);
    assert_eq!(digests(house.web).await, wanted);
}
