//! Reversals: cases 42 to 46.

use serde_json::json;

use crate::support::{OPERATOR, SERVICE, Server};

#[tokio::test]
async fn case_42_reversed_once() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let id = server
        .deposit(&wallet, "10.00")
        .await
        .ok(200)
        .text_of("id")
        .to_owned();
    let first = server.reverse(&id, "mistake").await.ok(200);
    assert_eq!(first.text_of("id"), format!("{id}:rev"));
    assert_eq!(first.text_of("type"), "REVERSAL");
    assert_eq!(first.text_of("reversalOf"), id);
    assert_eq!(first.text_of("description"), "mistake");
    assert_eq!(first.text_of("direction"), "OUT");
    assert_eq!(
        first.header("location"),
        format!("/api/v1/transactions/{id}:rev")
    );
    let again = server.reverse(&id, "mistake").await.ok(200);
    assert!(again.is_replay());
    assert_eq!(again.text, first.text);
    let other = server.reverse(&id, "another reason").await;
    assert_eq!(other.code(), (409, "already_reversed"));
    assert_eq!(server.balance(&wallet).await, "0.00");
    let original = server
        .get(SERVICE, &format!("/api/v1/transactions/{id}"))
        .await
        .ok(200);
    assert_eq!(original.text_of("status"), "REVERSED");
    assert_eq!(original.text_of("reversedBy"), format!("{id}:rev"));
    let read = server.get(SERVICE, first.header("location")).await.ok(200);
    assert_eq!(read.text_of("id"), format!("{id}:rev"));
}

#[tokio::test]
async fn case_43_reversals_are_not_reversed() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let id = server
        .deposit(&wallet, "10.00")
        .await
        .ok(200)
        .text_of("id")
        .to_owned();
    server.reverse(&id, "mistake").await.ok(200);
    let refused = server.reverse(&format!("{id}:rev"), "again").await;
    assert_eq!(refused.code(), (409, "transfer_not_reversible"));
    let unknown = server
        .reverse("0190f000-0000-7000-8000-00000000000a", "x")
        .await;
    assert_eq!(unknown.code(), (404, "transaction_not_found"));
    let hold = server.wallet("maria", "BRL").await;
    server.deposit(&hold, "1.00").await.ok(200);
    let hold = server
        .hold(&hold, "1.00")
        .await
        .ok(201)
        .text_of("id")
        .to_owned();
    assert_eq!(
        server.reverse(&hold, "x").await.code(),
        (404, "transaction_not_found")
    );
}

#[tokio::test]
async fn case_44_a_refused_reversal_may_be_tried_again() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let id = server
        .deposit(&wallet, "10.00")
        .await
        .ok(200)
        .text_of("id")
        .to_owned();
    server.withdraw(&wallet, "10.00").await.ok(200);
    assert_eq!(
        server.reverse(&id, "mistake").await.code(),
        (400, "insufficient_funds")
    );
    server.deposit(&wallet, "10.00").await.ok(200);
    server.reverse(&id, "mistake").await.ok(200);
    assert_eq!(server.balance(&wallet).await, "0.00");
}

#[tokio::test]
async fn case_46_frozen_wallets_give_back_closed_ones_do_not() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let id = server
        .deposit(&wallet, "10.00")
        .await
        .ok(200)
        .text_of("id")
        .to_owned();
    let second = server
        .deposit(&wallet, "5.00")
        .await
        .ok(200)
        .text_of("id")
        .to_owned();
    server.status(&wallet, "freeze").await.ok(200);
    server.reverse(&id, "mistake").await.ok(200);
    server.status(&wallet, "unfreeze").await.ok(200);
    server.withdraw(&wallet, "5.00").await.ok(200);
    server.status(&wallet, "close").await.ok(200);
    assert_eq!(
        server.reverse(&second, "mistake").await.code(),
        (409, "wallet_closed")
    );
}

#[tokio::test]
async fn a_reversal_needs_a_reason_and_not_the_future() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let id = server
        .deposit(&wallet, "10.00")
        .await
        .ok(200)
        .text_of("id")
        .to_owned();
    let path = format!("/api/v1/transactions/{id}/reverse");
    for body in [
        json!({}),
        json!({"reason": ""}),
        json!({"reason": "x".repeat(501)}),
    ] {
        let refused = server.post(OPERATOR, &path, body).await;
        assert_eq!(
            refused.code(),
            (400, "validation_failed"),
            "{}",
            refused.text
        );
    }
    let body = json!({"reason": "x", "effectiveAt": "2026-03-10T12:00:01Z"});
    let refused = server.post(OPERATOR, &path, body).await;
    assert_eq!(refused.code(), (422, "effective_time_in_future"));
    let body = json!({"reason": "x", "effectiveAt": "2026-03-01T00:00:00Z"});
    let refused = server.post(OPERATOR, &path, body).await;
    assert_eq!(refused.code(), (422, "effective_time_before_original"));
    let as_service = server.post(SERVICE, &path, json!({"reason": "x"})).await;
    assert_eq!(as_service.code(), (403, "forbidden"));
    assert_eq!(server.balance(&wallet).await, "10.00");
}
