//! Amounts and currencies: cases 15 to 18, 26, and profile `compat`.

use florin_ledger::Policy;
use serde_json::json;

use crate::support::{SERVICE, Server, path};

async fn deposit_raw(server: &Server, wallet: &str, amount: &str) -> (u16, String) {
    let body = format!(
        r#"{{"amount":{amount},"referenceId":"{}"}}"#,
        server.reference()
    );
    let reply = server
        .post_text(SERVICE, &path(wallet, "deposit"), &body)
        .await;
    let (status, code) = reply.code();
    (status, code.to_owned())
}

fn refused(code: &str) -> (u16, String) {
    (400, code.to_owned())
}

#[tokio::test]
async fn case_15_the_range_is_inclusive_at_both_ends() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    for outside in ["0", "\"-10.00\"", "\"1000000.01\""] {
        let got = deposit_raw(&server, &wallet, outside).await;
        assert_eq!(got, refused("amount_out_of_range"), "{outside}");
    }
    for inside in ["\"0.01\"", "\"1000000.00\""] {
        assert_eq!(
            deposit_raw(&server, &wallet, inside).await.0,
            200,
            "{inside}"
        );
    }
    assert_eq!(server.balance(&wallet).await, "1000000.01");
}

#[tokio::test]
async fn case_16_decimals_beyond_the_currency_are_refused_zeros_included() {
    let server = Server::start();
    let brl = server.wallet("maria", "BRL").await;
    let jpy = server.wallet("maria", "JPY").await;
    for (wallet, amount) in [(&brl, "10.015"), (&brl, "\"10.000\""), (&jpy, "1.5")] {
        let got = deposit_raw(&server, wallet, amount).await;
        assert_eq!(got, refused("amount_precision"), "{amount}");
    }
}

#[tokio::test]
async fn case_16_profile_compat_rounds_numbers_and_prints_numbers() {
    let policy = Policy {
        compat: true,
        ..Policy::default()
    };
    let server = Server::with_policy(policy);
    let brl = server.wallet("maria", "BRL").await;
    let jpy = server.wallet("maria", "JPY").await;
    assert_eq!(deposit_raw(&server, &brl, "10.015").await.0, 200);
    assert_eq!(deposit_raw(&server, &jpy, "1.5").await.0, 200);
    let text = |wallet: String| {
        let server = &server;
        async move { server.get(SERVICE, &path(&wallet, "balance")).await.text }
    };
    let brl_text = text(brl.clone()).await;
    assert!(brl_text.contains("\"balance\":10.02,"), "{brl_text}");
    let jpy_text = text(jpy).await;
    assert!(jpy_text.contains("\"balance\":2,"), "{jpy_text}");
    let text_amount = deposit_raw(&server, &brl, "\"10.015\"").await;
    assert_eq!(text_amount, refused("amount_precision"));
}

#[tokio::test]
async fn case_17_only_plain_decimals_are_amounts() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    for amount in [
        "1e2", "\"1,00\"", "\" 1\"", "\"\"", "\"NaN\"", "true", "null",
    ] {
        let got = deposit_raw(&server, &wallet, amount).await;
        assert_eq!(got, refused("amount_invalid"), "{amount}");
    }
    let missing = server
        .post(SERVICE, &path(&wallet, "deposit"), json!({}))
        .await;
    assert_eq!(missing.code(), (400, "validation_failed"));
    assert_eq!(missing.body["errors"][0]["field"], "amount");
    let unknown = json!({"amount": "1.00", "amonut": "1.00"});
    let unknown = server
        .post(SERVICE, &path(&wallet, "deposit"), unknown)
        .await;
    assert_eq!(unknown.code(), (400, "unknown_field"));
    assert_eq!(unknown.body["error"], "UNKNOWN_FIELD");
    assert_eq!(server.balance(&wallet).await, "0.00");
}

#[tokio::test]
async fn case_18_one_wei_is_exact() {
    let server = Server::start();
    let wallet = server.wallet("maria", "ETH").await;
    let wei = "0.000000000000000001";
    let reply = server.deposit(&wallet, wei).await.ok(200);
    assert_eq!(reply.text_of("newBalance"), wei);
    assert_eq!(reply.text_of("amount"), wei);
}

#[tokio::test]
async fn case_26_the_currency_is_a_check() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let body = json!({"amount": "1.00", "currency": "USD", "referenceId": "a"});
    let reply = server.post(SERVICE, &path(&wallet, "deposit"), body).await;
    assert_eq!(reply.code(), (422, "currency_mismatch"));
    assert_eq!(reply.body["error"], "CURRENCY_MISMATCH");
    let body = json!({"amount": "1.00", "currency": "BRL", "referenceId": "a"});
    server
        .post(SERVICE, &path(&wallet, "deposit"), body)
        .await
        .ok(200);
}
