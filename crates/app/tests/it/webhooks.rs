//! Webhooks (contract B8): every event of a story, signed, in order per wallet, redelivered the
//! same, over outages and restarts. Case 65; INV-L21.

pub mod receiver;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::moves::{fresh, item};
use crate::server::{Launch, Server, Who, path};
use receiver::{Event, Receiver};

const HOOKS: &str = "/api/v1/webhooks";

/// Registers the receiver: id and secret.
fn register(server: &Server, receiver: &Receiver, more: Value) -> (String, String) {
    let mut body = json!({"url": receiver.url()});
    body.as_object_mut()
        .expect("object")
        .extend(more.as_object().expect("object").clone());
    let made = server.post(Who::Service, HOOKS, body).ok(201);
    assert_eq!(made.header("location"), format!("{HOOKS}/{}", made.id()));
    let secret = made.text_of("secret").to_owned();
    let shown = server
        .get(Who::Service, &format!("{HOOKS}/{}", made.id()))
        .ok(200);
    assert!(!shown.text.contains(&secret), "shown once");
    (made.id(), secret)
}

/// INV-L21: `walletSeq` without gaps from `first`, and ids that follow from record and wallet.
fn check_order(server: &Server, events: &[Event], first: u64) -> BTreeMap<String, Vec<String>> {
    let ready = server.get(Who::Nobody, "/ready").ok(200);
    let ledger_id = ready.body["info"]["ledgerId"]
        .as_str()
        .expect("ledgerId")
        .to_owned();
    let ledger: Uuid = ledger_id.parse().expect("a UUID");
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let body = &event.body;
        let wallet = body["walletId"].as_str().expect("walletId");
        let seen = names.entry(wallet.to_owned()).or_default();
        assert_eq!(body["walletSeq"], first + seen.len() as u64, "{body}");
        let id = Uuid::new_v5(&ledger, format!("{}/{wallet}", body["seq"]).as_bytes());
        assert_eq!(
            (body["eventId"].as_str(), event.id.as_str()),
            (Some(&*id.to_string()), &*id.to_string())
        );
        seen.push(body["eventType"].as_str().expect("eventType").to_owned());
    }
    names
}

/// Everything that raises an event, on two wallets.
fn story(server: &Server) -> (String, String) {
    let (a, b) = (server.empty("BRL"), server.empty("BRL"));
    let deposit = server.deposit(&a, "500.00").ok(200).id();
    server.withdraw(&a, "10.00").ok(200);
    server.transfer(&a, &b, "20.00").ok(200);
    let hold = server.hold(&a, "5.00").ok(201).id();
    server.void(&hold).ok(200);
    let hold = server.hold(&a, "6.00").ok(201).id();
    server
        .capture(&hold, json!({"amount": "4.00", "referenceId": fresh("c")}))
        .ok(200);
    let body = json!({"amount": "7.00", "destinationWalletId": b, "referenceId": fresh("h")});
    let hold = server
        .post(Who::Service, &path(&a, "holds"), body)
        .ok(201)
        .id();
    server
        .capture(&hold, json!({"referenceId": fresh("c")}))
        .ok(200);
    let body = json!({"amount": "8.00", "expiresInSeconds": 60, "referenceId": fresh("h")});
    server.post(Who::Service, &path(&a, "holds"), body).ok(201);
    server.advance(61);
    server.deposit(&b, "1.00").ok(200);
    server.status(&a, "freeze").ok(200);
    server.status(&a, "freeze").ok(200);
    server.status(&a, "unfreeze").ok(200);
    server
        .limits(&a, json!({"out": {"daily": "100000.00"}}))
        .ok(200);
    server.deposit(&a, "100.00").ok(200);
    server.reverse(&deposit, "test").ok(200);
    let item = item(
        &fresh("t"),
        "florin:external:BRL",
        &format!("florin:wallet:{b}"),
        "100",
        "BRL",
    );
    server
        .post(Who::Admin, "/api/v1/ledger/transfers", item)
        .ok(201);
    server.withdraw(&b, "29.00").ok(200);
    server.status(&b, "close").ok(200);
    (a, b)
}

const STORY_OF_A: [&str; 17] = [
    "WalletCreated",
    "FundsDeposited",
    "FundsWithdrawn",
    "FundsTransferred",
    "HoldPlaced",
    "HoldVoided",
    "HoldPlaced",
    "HoldCaptured",
    "HoldPlaced",
    "HoldCaptured",
    "HoldPlaced",
    "HoldExpired",
    "WalletFrozen",
    "WalletUnfrozen",
    "WalletLimitsChanged",
    "FundsDeposited",
    "TransactionReversed",
];
const STORY_OF_B: [&str; 7] = [
    "WalletCreated",
    "FundsTransferred",
    "FundsTransferred",
    "FundsDeposited",
    "WalletAdjusted",
    "FundsWithdrawn",
    "WalletClosed",
];

#[test]
fn every_event_of_a_story_signed_and_in_order() {
    let server = Launch::new().start();
    let receiver = Receiver::start();
    let (hook, secret) = register(&server, &receiver, json!({}));
    let (a, b) = story(&server);
    // A deposit of 500.00 is reversed after 55 went out: the top-up pays for it.
    assert_eq!(server.balance(&a), "59.00");
    let events = receiver.take(STORY_OF_A.len() + STORY_OF_B.len());
    for event in &events {
        event.verify(&secret);
        assert_eq!(event.body["version"], 1);
    }
    let names = check_order(&server, &events, 1);
    assert_eq!(names[&a], STORY_OF_A);
    assert_eq!(names[&b], STORY_OF_B);
    let of = |wallet: &str, seq: u64| {
        let found =
            |event: &&Event| event.body["walletId"] == wallet && event.body["walletSeq"] == seq;
        events.iter().find(found).expect("there").body.clone()
    };
    let out = of(&a, 4);
    assert_eq!(
        (&out["direction"], &out["amount"]),
        (&json!("OUT"), &json!("20.00"))
    );
    assert_eq!(
        (&out["counterpartyWalletId"], &out["balance"]),
        (&json!(b), &json!("470.00"))
    );
    let came = of(&b, 2);
    assert_eq!(
        (&came["direction"], &came["balance"]),
        (&json!("IN"), &json!("20.00"))
    );
    assert_eq!(out["transactionId"], came["transactionId"]);
    assert_eq!(
        (&of(&a, 8)["direction"], &of(&a, 8)["amount"]),
        (&json!("OUT"), &json!("4.00"))
    );
    assert_eq!(of(&b, 3)["direction"], "IN");
    assert_eq!(of(&a, 13)["reason"], "test");
    redelivered_the_same(&server, &receiver, &hook, &events[3]);
    rotated(&server, &receiver, &hook, &secret);
}

fn redelivered_the_same(server: &Server, receiver: &Receiver, hook: &str, event: &Event) {
    let deliveries = server
        .get(
            Who::Service,
            &format!("{HOOKS}/{hook}/deliveries?limit=500"),
        )
        .ok(200);
    let items = deliveries.body["items"].as_array().expect("items");
    let found = items
        .iter()
        .find(|item| item["eventId"] == event.id.as_str())
        .expect("listed");
    let id = found["id"].as_str().expect("id");
    server
        .post(
            Who::Service,
            &format!("{HOOKS}/{hook}/deliveries/{id}/redeliver"),
            json!({}),
        )
        .ok(202);
    let again = receiver.take(1).remove(0);
    assert_eq!(
        (&again.id, &again.text),
        (&event.id, &event.text),
        "byte for byte"
    );
    let log = server
        .get(Who::Service, &format!("{HOOKS}/{hook}/deliveries/{id}"))
        .ok(200);
    assert!(
        log.body["log"]
            .as_array()
            .is_some_and(|tries| !tries.is_empty()),
        "{}",
        log.text
    );
    server
        .get(Who::Service, &format!("{HOOKS}/{hook}/deliveries/none"))
        .refused(404, "delivery_not_found");
}

fn rotated(server: &Server, receiver: &Receiver, hook: &str, old: &str) {
    let rotated = server
        .post(Who::Service, &format!("{HOOKS}/{hook}/rotate"), json!({}))
        .ok(200);
    let new = rotated.text_of("secret");
    assert_ne!(new, old);
    server.empty("BRL");
    let event = receiver.take(1).remove(0);
    event.verify(new);
    event.verify(old);
    server
        .delete(Who::Service, &format!("{HOOKS}/{hook}"))
        .ok(204);
    server
        .get(Who::Service, &format!("{HOOKS}/{hook}"))
        .refused(404, "webhook_not_found");
}

#[test]
fn only_what_was_asked_for_and_nothing_from_before() {
    let server = Launch::new().start();
    let receiver = Receiver::start();
    let (mine, other) = (server.funded("BRL", "50.00"), server.funded("BRL", "50.00"));
    let (hook, secret) = register(
        &server,
        &receiver,
        json!({"walletId": mine, "events": ["FundsWithdrawn"]}),
    );
    server.deposit(&mine, "1.00").ok(200);
    server.withdraw(&other, "1.00").ok(200);
    server.withdraw(&mine, "2.00").ok(200);
    server.withdraw(&mine, "3.00").ok(200);
    let events = receiver.take(2);
    let amounts: Vec<&str> = events
        .iter()
        .map(|e| e.body["amount"].as_str().expect("amount"))
        .collect();
    assert_eq!(amounts, ["2.00", "3.00"]);
    events.iter().for_each(|event| event.verify(&secret));
    let refuse = |body: Value| {
        server
            .post(Who::Service, HOOKS, body)
            .refused(400, "validation_failed")
    };
    refuse(json!({"url": receiver.url(), "events": ["Nothing"]}));
    refuse(json!({"url": "ftp://example.com/"}));
    refuse(json!({"url": "not a url"}));
    // Row 63 of the ticketing contract: 302 is a failure, and nobody goes where it points.
    receiver.answer(302);
    server.withdraw(&mine, "4.00").ok(200);
    receiver.take(1);
    let path = format!("{HOOKS}/{hook}/deliveries?limit=500");
    let failed = || {
        let listed = server.get(Who::Service, &path).ok(200);
        let items = listed.body["items"].as_array().expect("items").clone();
        let tried = |item: &Value| item["state"] == "ready" && item["tries"] == 1;
        items.into_iter().find(tried)
    };
    while failed().is_none() {
        std::thread::yield_now();
    }
    // 410 disables: it is tried again, and then never more.
    receiver.answer(410);
    receiver.take(1);
    let listed = || server.get(Who::Service, HOOKS).ok(200).body["items"][0].clone();
    while listed()["status"] != "disabled" {
        std::thread::yield_now();
    }
    assert!(listed()["disabledReason"].is_string());
}

#[test]
fn private_targets_are_refused_outside_development() {
    let server = Launch::new()
        .without("--unsafe-dev")
        .without("--dev-clock")
        .start();
    for url in [
        "http://127.0.0.1:9/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/",
        "https://[::1]/",
        "http://example.com/",
    ] {
        let refused = server.post(Who::Service, HOOKS, json!({ "url": url }));
        assert_eq!(
            refused.code(),
            (400, "validation_failed"),
            "{url}: {}",
            refused.text
        );
    }
}

/// The receiver is down for an hour under load, then the server restarts: all events, in order
/// for each wallet, each with the id it had on its first try.
#[test]
fn case_65_an_outage_of_an_hour_and_a_restart_lose_nothing() {
    let server = Launch::new().start();
    let receiver = Receiver::start();
    receiver.answer(503);
    register(&server, &receiver, json!({}));
    let wallets: Vec<String> = (0..3).map(|_| server.empty("BRL")).collect();
    let load = |server: &Server| {
        for _ in 0..10 {
            for (index, wallet) in wallets.iter().enumerate() {
                server.deposit(wallet, "2.00").ok(200);
                server
                    .transfer(wallet, &wallets[(index + 1) % 3], "1.00")
                    .ok(200);
            }
        }
    };
    load(&server);
    let tried = receiver.take(3);
    assert!(
        tried
            .iter()
            .all(|event| event.body["eventType"] == "WalletCreated"),
        "the next waits for the former"
    );
    for _ in 0..6 {
        server.advance(600);
    }
    load(&server);
    server.get(Who::Nobody, "/health").ok(200);
    let home = server.kill().expect("its own folder");
    receiver.answer(200);
    receiver.drain();
    let server = Launch::new().dir(home.path()).start();
    server.advance(2 * 86_400);
    // For each wallet: its creation, and 20 deposits, 20 transfers out, 20 in.
    let events = receiver.take_new(3 * 61, |event| event.id.clone());
    let names = check_order(&server, &events, 1);
    for wallet in &wallets {
        assert_eq!(names[wallet].len(), 61);
        assert_eq!(names[wallet][0], "WalletCreated");
    }
    for event in &tried {
        let again = events
            .iter()
            .find(|known| known.id == event.id)
            .expect("delivered again");
        assert_eq!(
            again.text, event.text,
            "INV-L21: the same on every delivery"
        );
    }
}
