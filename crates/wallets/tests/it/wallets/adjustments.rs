//! Ledger calls on wallet accounts as their owners see them: case 45, INV-L18.

use serde_json::{Value, json};

use crate::support::{SERVICE, Server, path};

const ADMIN: &str = "admin:root";

fn account(wallet: &str) -> String {
    format!("florin:wallet:{wallet}")
}

fn item(id: &str, debit: &str, credit: &str, amount: &str, linked: bool) -> Value {
    json!({
        "id": id, "debitAccountId": debit, "creditAccountId": credit, "amountMinor": amount,
        "asset": "BRL", "code": "correction", "linked": linked,
    })
}

#[tokio::test]
async fn case_45_one_leg_of_a_chain_reverses_the_chain() {
    let server = Server::start();
    let one = server.funded("maria", "BRL", "10.00").await;
    let two = server.wallet("joao", "BRL").await;
    let three = server.wallet("ana", "BRL").await;
    let chain = json!({"transfers": [
        item("c1", &account(&one), &account(&two), "500", true),
        item("c2", &account(&two), &account(&three), "300", false),
    ]});
    let posted = server
        .post(ADMIN, "/api/v1/ledger/transfers", chain)
        .await
        .ok(200);
    assert_eq!(
        posted.body["results"][1]["code"], "created",
        "{}",
        posted.text
    );
    let list = server
        .get("user:ana", &path(&three, "transactions"))
        .await
        .ok(200);
    assert_eq!(list.body["items"][0]["type"], "ADJUSTMENT");
    assert_eq!(list.body["items"][0]["id"], "c2");
    assert_eq!(list.body["items"][0]["newBalance"], "3.00");
    assert!(list.body["items"][0].get("referenceId").is_none());
    let reversed = server.reverse("c2", "wrong").await.ok(200);
    assert_eq!(reversed.text_of("id"), "c2:rev");
    for (wallet, balance) in [(&one, "10.00"), (&two, "0.00"), (&three, "0.00")] {
        assert_eq!(server.balance(wallet).await, balance);
    }
    let other = server.get(SERVICE, "/api/v1/transactions/c1").await.ok(200);
    assert_eq!(other.text_of("status"), "REVERSED");
    assert_eq!(other.text_of("reversedBy"), "c1:rev");
}

#[tokio::test]
async fn inv_l18_both_apis_tell_the_same_balance() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "10.00").await;
    server.hold(&wallet, "4.00").await.ok(201);
    let ledger = format!("/api/v1/ledger/accounts/{}/balance", account(&wallet));
    let ledger = server.get(ADMIN, &ledger).await.ok(200);
    assert_eq!(ledger.body["balance"], "1000");
    assert_eq!(ledger.body["available"], "600");
    let figures = server.figures(&wallet).await;
    assert_eq!(figures, ("10.00".into(), "4.00".into(), "6.00".into()));
}

#[tokio::test]
async fn transfers_beside_wallets_are_no_transactions() {
    let server = Server::start();
    for id in ["cash", "sales"] {
        let body = json!({"id": id, "asset": "BRL", "kind": "asset", "mayOverdraw": true});
        server
            .post(ADMIN, "/api/v1/ledger/accounts", body)
            .await
            .ok(201);
    }
    let transfer = item("t1", "cash", "sales", "500", false);
    server
        .post(ADMIN, "/api/v1/ledger/transfers", transfer)
        .await
        .ok(201);
    let read = server.get(SERVICE, "/api/v1/transactions/t1").await;
    assert_eq!(read.code(), (404, "transaction_not_found"));
    assert_eq!(
        server.reverse("t1", "x").await.code(),
        (404, "transaction_not_found")
    );
    let bad = server.get(SERVICE, "/api/v1/transactions/a%20b").await;
    assert_eq!(bad.code(), (400, "invalid_id"));
}
