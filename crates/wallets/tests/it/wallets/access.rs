//! Who may do what, and who sees what: cases 24 and 72, INV-L25, contract C.

use serde_json::json;

use crate::support::{OPERATOR, SERVICE, Server, path};

const MARIA: &str = "user:maria";
const JOAO: &str = "user:joao";
const UNKNOWN: &str = "0190f000-0000-7000-8000-00000000000a";

#[tokio::test]
async fn case_24_anothers_wallet_is_as_good_as_none() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "10.00").await;
    let hold = server
        .hold(&wallet, "1.00")
        .await
        .ok(201)
        .text_of("id")
        .to_owned();
    let deposit = server
        .deposit(&wallet, "1.00")
        .await
        .ok(200)
        .text_of("id")
        .to_owned();
    let reads = [
        format!("/api/v1/wallets/{wallet}"),
        path(&wallet, "balance"),
        path(&wallet, "transactions"),
        path(&wallet, "holds"),
        path(&wallet, "limits"),
        path(&wallet, "balance/historical?timestamp=2026-03-10T12:00"),
        path(
            &wallet,
            "statement?from=2026-03-01T00:00:00Z&to=2026-03-11T00:00:00Z",
        ),
        format!("/api/v1/holds/{hold}"),
        format!("/api/v1/transactions/{deposit}"),
    ];
    for read in &reads {
        server.get(MARIA, read).await.ok(200);
        let other = server.get(JOAO, read).await;
        let unknown_path = read
            .replace(&wallet, UNKNOWN)
            .replace(&hold, UNKNOWN)
            .replace(&deposit, UNKNOWN);
        let unknown = server.get(JOAO, &unknown_path).await;
        assert_eq!(other.status, 404, "{read}: {}", other.text);
        assert_eq!(other.code(), unknown.code(), "{read}");
        assert_eq!(other.text_of("detail"), unknown.text_of("detail"), "{read}");
        let bad = server
            .get(MARIA, &read.replace(&wallet, "not-a-uuid"))
            .await;
        if read.contains(&wallet) {
            assert_eq!(bad.code(), (400, "invalid_id"), "{read}");
        }
    }
    let body = json!({"amount": "1.00"});
    let withdrawal = server
        .post(JOAO, &path(&wallet, "withdraw"), body.clone())
        .await;
    assert_eq!(withdrawal.code(), (404, "wallet_not_found"));
    assert_eq!(withdrawal.body["error"], "WALLET_NOT_FOUND");
    server
        .post(MARIA, &path(&wallet, "withdraw"), body)
        .await
        .ok(200);
}

#[tokio::test]
async fn case_72_users_neither_deposit_nor_capture() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "10.00").await;
    let deposit = server
        .post(MARIA, &path(&wallet, "deposit"), json!({"amount": "1.00"}))
        .await;
    assert_eq!(deposit.code(), (403, "forbidden"));
    let body = json!({"amount": "1.00", "referenceId": "h"});
    let hold = server
        .post(MARIA, &path(&wallet, "holds"), body)
        .await
        .ok(201);
    for verb in ["capture", "void"] {
        let path = format!("/api/v1/holds/{}/{verb}", hold.text_of("id"));
        assert_eq!(
            server.post(MARIA, &path, json!({})).await.code(),
            (403, "forbidden"),
            "{verb}"
        );
    }
    for verb in ["freeze", "unfreeze", "close"] {
        let refused = server.post(MARIA, &path(&wallet, verb), json!({})).await;
        assert_eq!(refused.code(), (403, "forbidden"), "{verb}");
    }
    let backdated = json!({"amount": "1.00", "effectiveAt": "2026-03-01T00:00:00Z"});
    let refused = server
        .post(MARIA, &path(&wallet, "withdraw"), backdated)
        .await;
    assert_eq!(refused.code(), (403, "forbidden"));
    let nobody = server.get("", &path(&wallet, "balance")).await;
    assert_eq!(nobody.code(), (401, "unauthenticated"));
}

#[tokio::test]
async fn users_create_and_list_their_own_wallets_only() {
    let server = Server::start();
    let own = server
        .post(MARIA, "/api/v1/wallets", json!({"currency": "BRL"}))
        .await
        .ok(201);
    assert_eq!(own.text_of("userId"), "maria");
    let other = json!({"userId": "joao", "currency": "BRL"});
    assert_eq!(
        server.post(MARIA, "/api/v1/wallets", other).await.code(),
        (403, "forbidden")
    );
    let tier = json!({"currency": "BRL", "tier": "gold"});
    assert_eq!(
        server.post(MARIA, "/api/v1/wallets", tier).await.code(),
        (403, "forbidden")
    );
    server.wallet("joao", "BRL").await;
    let list = server.get(MARIA, "/api/v1/wallets").await.ok(200);
    assert_eq!(
        list.body["items"].as_array().map(Vec::len),
        Some(1),
        "{}",
        list.text
    );
    for path in ["/api/v1/wallets?userId=joao", "/api/v1/users/joao/wallets"] {
        assert_eq!(
            server.get(MARIA, path).await.code(),
            (403, "forbidden"),
            "{path}"
        );
        let seen = server.get(OPERATOR, path).await.ok(200);
        assert_eq!(seen.body["items"][0]["userId"], "joao");
    }
}

/// INV-L25: only ids show of the other side.
#[tokio::test]
async fn inv_l25_the_other_sides_figures_stay_hidden() {
    let server = Server::start();
    let maria = server.funded("maria", "BRL", "10.00").await;
    let joao = server.funded("joao", "BRL", "777.77").await;
    let body = json!({"amount": "1.00", "toWalletId": joao, "referenceId": "t"});
    let sent = server
        .post(MARIA, &path(&maria, "transfer"), body)
        .await
        .ok(200);
    assert_eq!(sent.text_of("newBalance"), "9.00");
    assert_eq!(sent.text_of("toWalletId"), joao);
    assert_eq!(sent.body["balances"].as_array().map(Vec::len), Some(1));
    let location = sent.header("location").to_owned();
    let (from_maria, from_joao) = (
        server.get(MARIA, &location).await,
        server.get(JOAO, &location).await,
    );
    let (from_maria, from_joao) = (from_maria.ok(200), from_joao.ok(200));
    assert_eq!(
        (
            from_maria.text_of("direction"),
            from_joao.text_of("direction")
        ),
        ("OUT", "IN")
    );
    assert_eq!(from_joao.text_of("newBalance"), "778.77");
    for text in [&sent.text, &from_maria.text] {
        assert!(!text.contains("778.77"), "{text}");
    }
    assert!(!from_joao.text.contains("9.00"), "{}", from_joao.text);
    let list = server.get(JOAO, &path(&joao, "transactions")).await.ok(200);
    assert!(!list.text.contains("\"9.00\""), "{}", list.text);
    let third = server.get("user:ana", &location).await;
    assert_eq!(third.code(), (404, "transaction_not_found"));
}

#[tokio::test]
async fn unknown_wallets_of_every_verb_are_404() {
    let server = Server::start();
    let body = json!({"amount": "1.00"});
    for verb in ["deposit", "withdraw", "holds"] {
        let reply = server
            .post(SERVICE, &path(UNKNOWN, verb), body.clone())
            .await;
        assert_eq!(reply.code(), (404, "wallet_not_found"), "{verb}");
        let bad = server.post(SERVICE, &path("x", verb), body.clone()).await;
        assert_eq!(bad.code(), (400, "invalid_id"), "{verb}");
    }
    let transfer = server.post(SERVICE, &path(UNKNOWN, "transfer"), body).await;
    assert_eq!(
        transfer.code(),
        (404, "wallet_not_found"),
        "before the missing destination"
    );
    for verb in ["freeze", "unfreeze", "close"] {
        assert_eq!(
            server.status(UNKNOWN, verb).await.code(),
            (404, "wallet_not_found"),
            "{verb}"
        );
    }
    assert_eq!(
        server.capture(UNKNOWN, json!({})).await.code(),
        (404, "hold_not_found")
    );
    assert_eq!(server.void(UNKNOWN).await.code(), (404, "hold_not_found"));
    assert_eq!(server.void("x").await.code(), (400, "invalid_id"));
}
