//! Statuses: cases 30 to 33.

use serde_json::json;

use crate::support::{OPERATOR, SERVICE, Server, path};

#[tokio::test]
async fn case_30_frozen_wallets_receive_but_do_not_pay() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "10.00").await;
    let frozen = server.status(&wallet, "freeze").await.ok(200);
    assert_eq!(frozen.text_of("status"), "FROZEN");
    assert_eq!(
        server.withdraw(&wallet, "1.00").await.code(),
        (409, "wallet_frozen")
    );
    assert_eq!(
        server.hold(&wallet, "1.00").await.code(),
        (409, "wallet_frozen")
    );
    server.deposit(&wallet, "1.00").await.ok(200);
    let version = frozen.body["version"].clone();
    let again = server.status(&wallet, "freeze").await.ok(200);
    assert_eq!(again.body["version"], version, "no change, no event");
    let active = server.status(&wallet, "unfreeze").await.ok(200);
    assert_eq!(active.text_of("status"), "ACTIVE");
    server.withdraw(&wallet, "1.00").await.ok(200);
}

#[tokio::test]
async fn case_31_closed_is_final() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let other = server.funded("joao", "BRL", "10.00").await;
    server.status(&wallet, "close").await.ok(200);
    assert_eq!(
        server.deposit(&wallet, "1.00").await.code(),
        (409, "wallet_closed")
    );
    assert_eq!(
        server.withdraw(&wallet, "1.00").await.code(),
        (409, "wallet_closed")
    );
    assert_eq!(
        server.hold(&wallet, "1.00").await.code(),
        (409, "wallet_closed")
    );
    let transfer = server.transfer(&wallet, &other, "1.00").await;
    assert_eq!(transfer.code(), (409, "wallet_closed"));
    for verb in ["freeze", "unfreeze"] {
        assert_eq!(
            server.status(&wallet, verb).await.code(),
            (409, "wallet_closed"),
            "{verb}"
        );
    }
    let closed = server.status(&wallet, "close").await.ok(200);
    assert_eq!(closed.text_of("status"), "CLOSED");
    server.get(SERVICE, &path(&wallet, "balance")).await.ok(200);
}

#[tokio::test]
async fn case_32_only_empty_wallets_close() {
    let server = Server::start();
    let cent = server.funded("maria", "BRL", "0.01").await;
    assert_eq!(
        server.status(&cent, "close").await.code(),
        (409, "wallet_not_empty")
    );
    let payer = server.funded("joao", "BRL", "5.00").await;
    let receiver = server.wallet("ana", "BRL").await;
    let body = json!({"amount": "5.00", "destinationWalletId": receiver, "referenceId": "h"});
    server
        .post(SERVICE, &path(&payer, "holds"), body)
        .await
        .ok(201);
    assert_eq!(
        server.status(&receiver, "close").await.code(),
        (409, "wallet_not_empty")
    );
    server.withdraw(&cent, "0.01").await.ok(200);
    server.status(&cent, "close").await.ok(200);
}

#[tokio::test]
async fn case_33_close_races_a_deposit() {
    let server = Server::start();
    for _ in 0..20 {
        let wallet = server.wallet("maria", "BRL").await;
        let (close, deposit) = tokio::join!(
            server.status(&wallet, "close"),
            server.deposit(&wallet, "1.00")
        );
        match (close.status, deposit.status) {
            (200, 409) => assert_eq!(deposit.code(), (409, "wallet_closed")),
            (409, 200) => assert_eq!(close.code(), (409, "wallet_not_empty")),
            other => panic!("{other:?}: {} {}", close.text, deposit.text),
        }
    }
}

#[tokio::test]
async fn a_status_call_needs_no_body_and_knows_its_members() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    server
        .post_text(OPERATOR, &path(&wallet, "freeze"), "")
        .await
        .ok(200);
    let unknown = server
        .post(OPERATOR, &path(&wallet, "freeze"), json!({"why": "x"}))
        .await;
    assert_eq!(unknown.code(), (400, "unknown_field"));
    let long = json!({"reason": "x".repeat(501)});
    let long = server.post(OPERATOR, &path(&wallet, "freeze"), long).await;
    assert_eq!(long.code(), (400, "validation_failed"));
}
