//! Identity of wallet operations: cases 4 to 13.

use serde_json::json;

use crate::support::{SERVICE, Server, path};

#[tokio::test]
async fn case_4_the_same_call_again_is_a_replay_with_the_first_answer() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let body = json!({"amount": "10.50", "referenceId": "deposit-1", "description": "first"});
    let deposit = path(&wallet, "deposit");
    let first = server.post(SERVICE, &deposit, body.clone()).await.ok(200);
    assert!(!first.is_replay());
    assert_eq!(first.text_of("type"), "DEPOSIT");
    assert_eq!(first.text_of("status"), "COMPLETED");
    assert_eq!(first.text_of("direction"), "IN");
    assert_eq!(first.text_of("referenceId"), "deposit-1");
    assert_eq!(first.text_of("transactionId"), first.text_of("id"));
    assert_eq!(
        first.header("location"),
        format!("/api/v1/transactions/{}", first.text_of("id"))
    );
    assert!(!first.header("x-florin-seq").is_empty());
    server.deposit(&wallet, "5.00").await.ok(200);
    let again = server.post(SERVICE, &deposit, body).await.ok(200);
    assert!(again.is_replay());
    assert_eq!(again.text, first.text, "balances as of then");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(server.balance(&wallet).await, "15.50");
}

#[tokio::test]
async fn cases_5_and_6_amounts_are_compared_by_value() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let deposit = path(&wallet, "deposit");
    let send = |amount: serde_json::Value| {
        server.post(
            SERVICE,
            &deposit,
            json!({"amount": amount, "referenceId": "a"}),
        )
    };
    send(json!("10.50")).await.ok(200);
    assert!(send(json!(10.5)).await.ok(200).is_replay());
    let other = send(json!("10.51")).await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    assert_eq!(other.body["field"], "amount");
    assert_eq!(server.balance(&wallet).await, "10.50");
}

#[tokio::test]
async fn cases_7_and_8_the_scope_is_the_wallet_over_all_operations() {
    let server = Server::start();
    let one = server.funded("maria", "BRL", "50.00").await;
    let two = server.wallet("joao", "BRL").await;
    let body = json!({"amount": "10.00", "referenceId": "same"});
    server
        .post(SERVICE, &path(&one, "deposit"), body.clone())
        .await
        .ok(200);
    let withdrawal = server
        .post(SERVICE, &path(&one, "withdraw"), body.clone())
        .await;
    assert_eq!(withdrawal.code(), (409, "idempotency_conflict"));
    assert_eq!(withdrawal.body["field"], "operation");
    let elsewhere = server
        .post(SERVICE, &path(&two, "deposit"), body)
        .await
        .ok(200);
    assert!(!elsewhere.is_replay());
}

#[tokio::test]
async fn case_9_two_equal_calls_at_once_post_once() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let (path, body) = (
        path(&wallet, "deposit"),
        json!({"amount": "1.00", "referenceId": "a"}),
    );
    let one = server.post(SERVICE, &path, body.clone());
    let two = server.post(SERVICE, &path, body);
    let (one, two) = tokio::join!(one, two);
    let (one, two) = (one.ok(200), two.ok(200));
    assert_ne!(one.is_replay(), two.is_replay());
    assert_eq!(one.text, two.text);
    assert_eq!(server.balance(&wallet).await, "1.00");
}

#[tokio::test]
async fn case_10_a_refusal_for_funds_is_remembered() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let withdraw = path(&wallet, "withdraw");
    let body = json!({"amount": "5.00", "referenceId": "w1"});
    let refused = server.post(SERVICE, &withdraw, body.clone()).await;
    assert_eq!(refused.code(), (400, "insufficient_funds"));
    assert_eq!(refused.body["error"], "INSUFFICIENT_FUNDS");
    server.deposit(&wallet, "100.00").await.ok(200);
    let again = server.post(SERVICE, &withdraw, body).await;
    assert_eq!(again.code(), (400, "insufficient_funds"));
    assert!(again.is_replay());
    server.withdraw(&wallet, "5.00").await.ok(200);
}

#[tokio::test]
async fn case_11_a_refusal_for_precision_leaves_the_identity_free() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let deposit = path(&wallet, "deposit");
    let body = json!({"amount": "1.001", "referenceId": "a"});
    let refused = server.post(SERVICE, &deposit, body).await;
    assert_eq!(refused.code(), (400, "amount_precision"));
    let body = json!({"amount": "1.00", "referenceId": "a"});
    server.post(SERVICE, &deposit, body).await.ok(200);
}

#[tokio::test]
async fn case_12_header_and_body_are_one_identity() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let deposit = path(&wallet, "deposit");
    let body = json!({"amount": "1.00", "referenceId": "b"});
    let mismatch = server.post_with_key(SERVICE, &deposit, "a", body).await;
    assert_eq!(mismatch.code(), (400, "identity_mismatch"));
    let body = json!({"amount": "1.00"});
    let first = server
        .post_with_key(SERVICE, &deposit, "a", body.clone())
        .await
        .ok(200);
    assert_eq!(first.text_of("referenceId"), "a");
    assert!(
        server
            .post_with_key(SERVICE, &deposit, "a", body)
            .await
            .ok(200)
            .is_replay()
    );
    let body = json!({"amount": "1.00", "referenceId": "a"});
    assert!(
        server
            .post(SERVICE, &deposit, body)
            .await
            .ok(200)
            .is_replay()
    );
}

#[tokio::test]
async fn case_13_without_identity_the_server_makes_one() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let deposit = path(&wallet, "deposit");
    let first = server
        .post(SERVICE, &deposit, json!({"amount": "1.00"}))
        .await
        .ok(200);
    assert_eq!(first.body["referenceIdGenerated"], true);
    let second = server
        .post(SERVICE, &deposit, json!({"amount": "1.00"}))
        .await
        .ok(200);
    assert_ne!(first.text_of("id"), second.text_of("id"));
    assert_eq!(server.balance(&wallet).await, "2.00");
}

#[tokio::test]
async fn wallets_are_created_once_per_identity_of_the_caller() {
    let server = Server::start();
    let body = json!({"userId": "maria", "currency": "BRL", "label": "Savings"});
    let create =
        |key: &'static str, body| server.post_with_key(SERVICE, "/api/v1/wallets", key, body);
    let first = create("k1", body.clone()).await.ok(201);
    assert_eq!(first.text_of("walletId"), first.text_of("id"));
    assert_eq!(
        first.header("location"),
        format!("/api/v1/wallets/{}", first.text_of("id"))
    );
    assert_eq!(first.text_of("balance"), "0.00");
    assert_eq!(first.body["version"], 1);
    let wallet = first.text_of("id").to_owned();
    server.deposit(&wallet, "1.00").await.ok(200);
    let again = create("k1", body).await.ok(201);
    assert!(again.is_replay());
    assert_eq!(again.text, first.text);
    let other = json!({"userId": "maria", "currency": "USD", "label": "Savings"});
    let conflict = create("k1", other).await;
    assert_eq!(conflict.code(), (409, "idempotency_conflict"));
    assert_eq!(conflict.body["field"], "currency");
}

#[tokio::test]
async fn the_first_difference_is_named_in_the_contracts_order() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let (one, two) = (
        server.wallet("joao", "BRL").await,
        server.wallet("ana", "BRL").await,
    );
    let base = json!({
        "amount": "1.00", "destinationWalletId": one, "referenceId": "t1",
        "description": "d", "metadata": {"k": "v"},
    });
    let transfer = path(&wallet, "transfer");
    server.post(SERVICE, &transfer, base.clone()).await.ok(200);
    assert!(
        server
            .post(SERVICE, &transfer, base.clone())
            .await
            .ok(200)
            .is_replay()
    );
    for (changes, field) in [
        (json!({"metadata": {"k": "w"}}), "metadata"),
        (
            json!({"metadata": {"k": "w"}, "description": "e"}),
            "description",
        ),
        (
            json!({"description": "e", "effectiveAt": "2026-03-01T00:00:00Z"}),
            "effectiveAt",
        ),
        (
            json!({"description": "e", "destinationWalletId": two}),
            "destinationWalletId",
        ),
        (
            json!({"amount": "2.00", "destinationWalletId": two}),
            "amount",
        ),
    ] {
        let mut body = base.clone();
        for (name, value) in changes.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let conflict = server.post(SERVICE, &transfer, body).await;
        assert_eq!(conflict.code(), (409, "idempotency_conflict"), "{changes}");
        assert_eq!(conflict.body["field"], field, "{changes}");
    }
}

#[tokio::test]
async fn holds_replay_with_their_place_and_compare_their_life() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let holds = path(&wallet, "holds");
    let body =
        |seconds: u32| json!({"amount": "1.00", "expiresInSeconds": seconds, "referenceId": "h1"});
    let first = server.post(SERVICE, &holds, body(60)).await.ok(201);
    let again = server.post(SERVICE, &holds, body(60)).await.ok(201);
    assert!(again.is_replay());
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("location"), first.header("location"));
    let other = server.post(SERVICE, &holds, body(61)).await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    assert_eq!(other.body["field"], "expiresInSeconds");
    let generated = server
        .post(SERVICE, &holds, json!({"amount": "1.00"}))
        .await
        .ok(201);
    assert_eq!(generated.body["referenceIdGenerated"], true);
}
