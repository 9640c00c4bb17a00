//! Holds: cases 34 to 41.

use florin_base::Timestamp;
use serde_json::json;

use crate::support::{SECOND, SERVICE, Server, path};

#[tokio::test]
async fn case_34_one_capture_takes_a_part_and_releases_the_rest() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let hold = server.hold(&wallet, "100.00").await.ok(201);
    let id = hold.text_of("id").to_owned();
    assert_eq!(hold.header("location"), format!("/api/v1/holds/{id}"));
    assert_eq!(hold.text_of("status"), "ACTIVE");
    let time = |member| {
        Timestamp::parse(hold.text_of(member))
            .expect("a time")
            .micros()
    };
    assert_eq!(
        time("expiresAt") - time("createdAt"),
        604_800 * SECOND,
        "7 days"
    );
    let captured = server
        .capture(&id, json!({"amount": "60.00", "referenceId": "c1"}))
        .await
        .ok(200);
    assert_eq!(captured.text_of("type"), "CAPTURE");
    assert_eq!(captured.text_of("holdId"), id);
    assert_eq!(captured.text_of("amount"), "60.00");
    assert_eq!(captured.text_of("newBalance"), "40.00");
    assert_eq!(
        server.figures(&wallet).await,
        ("40.00".into(), "0.00".into(), "40.00".into())
    );
    let again = server
        .capture(&id, json!({"amount": "40.00", "referenceId": "c2"}))
        .await;
    assert_eq!(again.code(), (409, "hold_already_captured"));
    let read = server
        .get(SERVICE, &format!("/api/v1/holds/{id}"))
        .await
        .ok(200);
    assert_eq!(read.text_of("status"), "CAPTURED");
    assert_eq!(read.text_of("capturedAmount"), "60.00");
    assert_eq!(read.text_of("transactionId"), captured.text_of("id"));
}

#[tokio::test]
async fn case_35_the_same_capture_again_is_a_replay() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let id = server
        .hold(&wallet, "100.00")
        .await
        .ok(201)
        .text_of("id")
        .to_owned();
    let body = json!({"amount": "60.00", "referenceId": "c1"});
    let first = server.capture(&id, body.clone()).await.ok(200);
    let again = server.capture(&id, body).await.ok(200);
    assert!(again.is_replay());
    assert_eq!(again.text, first.text);
}

#[tokio::test]
async fn case_36_no_capture_above_the_hold() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let id = server
        .hold(&wallet, "50.00")
        .await
        .ok(201)
        .text_of("id")
        .to_owned();
    let refused = server.capture(&id, json!({"amount": "50.01"})).await;
    assert_eq!(refused.code(), (422, "exceeds_hold_amount"));
    assert_eq!(server.figures(&wallet).await.1, "50.00");
    server.capture(&id, json!({})).await.ok(200);
}

#[tokio::test]
async fn case_37_capture_races_void() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    for _ in 0..20 {
        let id = server
            .hold(&wallet, "1.00")
            .await
            .ok(201)
            .text_of("id")
            .to_owned();
        let (capture, void) = tokio::join!(server.capture(&id, json!({})), server.void(&id));
        match (capture.status, void.status) {
            (200, 409) => assert_eq!(void.code(), (409, "hold_already_captured")),
            (409, 200) => assert_eq!(capture.code(), (409, "hold_already_voided")),
            other => panic!("{other:?}: {} {}", capture.text, void.text),
        }
    }
}

#[tokio::test]
async fn cases_38_and_39_the_expiry_decides_by_ledger_time() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let place = |reference: &'static str| {
        let body = json!({"amount": "10.00", "expiresInSeconds": 60, "referenceId": reference});
        let path = path(&wallet, "holds");
        let server = &server;
        async move {
            server
                .post(SERVICE, &path, body)
                .await
                .ok(201)
                .text_of("id")
                .to_owned()
        }
    };
    let (one, two) = (place("a").await, place("b").await);
    server.clock.advance(60 * SECOND - 1_000);
    server.capture(&one, json!({})).await.ok(200);
    server.clock.advance(1_000);
    let late = server.capture(&two, json!({})).await;
    assert_eq!(late.code(), (409, "hold_expired"));
    assert_eq!(
        server.figures(&wallet).await,
        ("90.00".into(), "0.00".into(), "90.00".into())
    );
    let read = server
        .get(SERVICE, &format!("/api/v1/holds/{two}"))
        .await
        .ok(200);
    assert_eq!(read.text_of("status"), "EXPIRED");
}

#[tokio::test]
async fn case_40_frozen_wallets_keep_their_holds_but_let_go() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let id = server
        .hold(&wallet, "10.00")
        .await
        .ok(201)
        .text_of("id")
        .to_owned();
    server.status(&wallet, "freeze").await.ok(200);
    assert_eq!(
        server.capture(&id, json!({})).await.code(),
        (409, "wallet_frozen")
    );
    let voided = server.void(&id).await.ok(200);
    assert_eq!(voided.text_of("status"), "VOIDED");
    let again = server.void(&id).await.ok(200);
    assert_eq!(again.text_of("status"), "VOIDED");
    assert_eq!(server.figures(&wallet).await.1, "0.00");
}

#[tokio::test]
async fn case_41_a_withdrawal_may_use_what_an_expiry_released() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let body = json!({"amount": "100.00", "expiresInSeconds": 1, "referenceId": "h"});
    server
        .post(SERVICE, &path(&wallet, "holds"), body)
        .await
        .ok(201);
    assert_eq!(
        server.withdraw(&wallet, "1.00").await.code(),
        (400, "insufficient_funds")
    );
    server.clock.advance(SECOND);
    let done = server.withdraw(&wallet, "100.00").await.ok(200);
    assert_eq!(done.text_of("newBalance"), "0.00");
}

#[tokio::test]
async fn holds_are_listed_newest_first_by_status() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(
            server
                .hold(&wallet, "1.00")
                .await
                .ok(201)
                .text_of("id")
                .to_owned(),
        );
    }
    server.void(&ids[1]).await.ok(200);
    server.capture(&ids[2], json!({})).await.ok(200);
    let list = |query: &'static str| {
        let path = path(&wallet, query);
        let server = &server;
        async move {
            let reply = server.get(SERVICE, &path).await.ok(200);
            let items = reply.body["items"].as_array().expect("items").clone();
            let ids: Vec<String> = items
                .iter()
                .map(|hold| hold["id"].as_str().expect("id").to_owned())
                .collect();
            (ids, reply.body["nextCursor"].as_str().map(str::to_owned))
        }
    };
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(list("holds").await, (newest_first.clone(), None));
    let active = [4, 3, 0].map(|i: usize| ids[i].clone()).to_vec();
    assert_eq!(list("holds?status=ACTIVE").await, (active, None));
    assert_eq!(list("holds?status=CAPTURED").await.0, [ids[2].clone()]);
    let (first, cursor) = list("holds?limit=2").await;
    assert_eq!(first, newest_first[..2]);
    let cursor = cursor.expect("more");
    server.hold(&wallet, "1.00").await.ok(201);
    let rest = path(&wallet, &format!("holds?limit=3&cursor={cursor}"));
    let rest = server.get(SERVICE, &rest).await.ok(200);
    assert_eq!(rest.body["items"][0]["id"], *newest_first[2]);
    assert!(rest.body["nextCursor"].is_null(), "{}", rest.text);
}

#[tokio::test]
async fn a_hold_may_favour_a_wallet_of_the_same_currency() {
    let server = Server::start();
    let payer = server.funded("maria", "BRL", "100.00").await;
    let payee = server.wallet("joao", "BRL").await;
    let foreign = server.wallet("joao", "USD").await;
    let body = |to: &str| json!({"amount": "10.00", "destinationWalletId": to, "referenceId": "h"});
    let refused = server
        .post(SERVICE, &path(&payer, "holds"), body(&foreign))
        .await;
    assert_eq!(refused.code(), (422, "currency_mismatch"));
    let hold = server
        .post(SERVICE, &path(&payer, "holds"), body(&payee))
        .await
        .ok(201);
    assert_eq!(hold.text_of("destinationWalletId"), payee);
    assert_eq!(server.balance(&payee).await, "0.00");
    let captured = server.capture(hold.text_of("id"), json!({})).await.ok(200);
    assert_eq!(captured.text_of("toWalletId"), payee);
    assert_eq!(server.balance(&payee).await, "10.00");
    for wrong in [json!(0), json!(2_678_401)] {
        let body = json!({"amount": "1.00", "expiresInSeconds": wrong});
        let refused = server.post(SERVICE, &path(&payer, "holds"), body).await;
        assert_eq!(refused.code(), (400, "validation_failed"));
        assert_eq!(refused.body["errors"][0]["field"], "expiresInSeconds");
    }
}
