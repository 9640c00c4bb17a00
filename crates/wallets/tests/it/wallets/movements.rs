//! Deposits, withdrawals and transfers: cases 1 to 3 and 21 to 25.

use std::sync::Arc;

use serde_json::json;

use crate::support::{SERVICE, Server, path};

#[tokio::test]
async fn case_1_two_withdrawals_race_for_the_last_cent() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "0.01").await;
    let (one, two) = tokio::join!(
        server.withdraw(&wallet, "0.01"),
        server.withdraw(&wallet, "0.01")
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    let refused = if one.status == 400 { one } else { two };
    assert_eq!(refused.code(), (400, "insufficient_funds"));
    assert_eq!(server.balance(&wallet).await, "0.00");
}

#[tokio::test]
async fn case_2_a_hundred_racing_withdrawals_take_exactly_what_is_there() {
    let server = Arc::new(Server::start());
    let wallet = server.funded("maria", "BRL", "50.00").await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (server, wallet) = (Arc::clone(&server), wallet.clone());
        running.spawn(async move { server.withdraw(&wallet, "1.00").await.status });
    }
    let statuses = running.join_all().await;
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 50);
    assert_eq!(statuses.iter().filter(|s| **s == 400).count(), 50);
    assert_eq!(server.balance(&wallet).await, "0.00");
}

#[tokio::test]
async fn case_3_held_money_cannot_be_withdrawn() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    server.hold(&wallet, "60.00").await.ok(201);
    let refused = server.withdraw(&wallet, "50.00").await;
    assert_eq!(refused.code(), (400, "insufficient_funds"));
    assert_eq!(
        server.figures(&wallet).await,
        ("100.00".into(), "60.00".into(), "40.00".into())
    );
    server.withdraw(&wallet, "40.00").await.ok(200);
}

#[tokio::test]
async fn case_21_a_wallet_does_not_pay_itself() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "1.00").await;
    let refused = server.transfer(&wallet, &wallet, "1.00").await;
    assert_eq!(refused.code(), (400, "same_wallet"));
}

#[tokio::test]
async fn case_22_one_destination_by_either_name() {
    let server = Server::start();
    let from = server.funded("maria", "BRL", "10.00").await;
    let to = server.wallet("joao", "BRL").await;
    let other = server.wallet("ana", "BRL").await;
    let transfer = path(&from, "transfer");
    for body in [
        json!({"amount": "1.00", "destinationWalletId": to, "toWalletId": other}),
        json!({"amount": "1.00"}),
    ] {
        let refused = server.post(SERVICE, &transfer, body).await;
        assert_eq!(
            refused.code(),
            (400, "validation_failed"),
            "{}",
            refused.text
        );
    }
    for body in [
        json!({"amount": "1.00", "destinationWalletId": to, "toWalletId": to}),
        json!({"amount": "1.00", "toWalletId": to}),
    ] {
        server.post(SERVICE, &transfer, body).await.ok(200);
    }
    assert_eq!(server.balance(&to).await, "2.00");
}

#[tokio::test]
async fn case_23_destinations_unknown_closed_and_frozen() {
    let server = Server::start();
    let from = server.funded("maria", "BRL", "10.00").await;
    let unknown = "0190f000-0000-7000-8000-00000000000a";
    let refused = server.transfer(&from, unknown, "1.00").await;
    assert_eq!(refused.code(), (404, "destination_not_found"));
    let to = server.wallet("joao", "BRL").await;
    server.status(&to, "freeze").await.ok(200);
    server.transfer(&from, &to, "1.00").await.ok(200);
    let closed = server.wallet("ana", "BRL").await;
    server.status(&closed, "close").await.ok(200);
    let refused = server.transfer(&from, &closed, "1.00").await;
    assert_eq!(refused.code(), (409, "destination_closed"));
    let bad = server.transfer(&from, "x", "1.00").await;
    assert_eq!(bad.code(), (400, "invalid_id"));
}

#[tokio::test]
async fn case_25_unknown_currencies_have_no_wallets() {
    let server = Server::start();
    let body = json!({"userId": "maria", "currency": "XYZ"});
    let refused = server.post(SERVICE, "/api/v1/wallets", body).await;
    assert_eq!(refused.code(), (400, "currency_unknown"));
    let default = server
        .post(SERVICE, "/api/v1/wallets", json!({"userId": "maria"}))
        .await;
    assert_eq!(default.ok(201).text_of("currency"), "BRL");
}

#[tokio::test]
async fn a_transfer_shows_both_sides_to_who_may_read_both() {
    let server = Server::start();
    let from = server.funded("maria", "BRL", "10.00").await;
    let to = server.wallet("joao", "BRL").await;
    let reply = server.transfer(&from, &to, "2.50").await.ok(200);
    assert_eq!(reply.text_of("type"), "TRANSFER");
    assert_eq!(reply.text_of("direction"), "OUT");
    assert_eq!(reply.text_of("newBalance"), "7.50");
    assert_eq!(
        reply.body["balances"],
        json!([
            {"walletId": from, "balance": "7.50", "available": "7.50"},
            {"walletId": to, "balance": "2.50", "available": "2.50"},
        ])
    );
    let location = reply.header("location").to_owned();
    let read = server.get(SERVICE, &location).await.ok(200);
    assert!(
        read.body.get("direction").is_none(),
        "no wallet in the path: {}",
        read.text
    );
    assert_eq!(read.text_of("amount"), "2.50");
}
