//! Assets, accounts, balances, trial balance.

use serde_json::json;

use super::{ACCOUNTS, ADMIN, SERVICE, balance, codes, item, open, patch, server, with};
use crate::support::Server;

#[tokio::test]
async fn an_account_is_made_once() {
    let server = Server::start();
    let body = || json!({"id": "acc:1", "asset": "BRL", "kind": "asset", "metadata": {"k": "v"}});
    let made = server.post(SERVICE, ACCOUNTS, body()).await.ok(201);
    assert_eq!(made.header("location"), "/api/v1/ledger/accounts/acc:1");
    assert_eq!(
        (made.text_of("normalSide"), made.text_of("status")),
        ("debit", "open")
    );
    assert_eq!(
        (&made.body["version"], &made.body["mayOverdraw"]),
        (&json!(1), &json!(false))
    );
    let again = server.post(SERVICE, ACCOUNTS, body()).await.ok(200);
    assert!(again.is_replay());
    assert_eq!(again.body, made.body);
    let other = server
        .post(SERVICE, ACCOUNTS, with(body(), json!({"kind": "expense"})))
        .await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    let read = server
        .get(SERVICE, "/api/v1/ledger/accounts/acc:1")
        .await
        .ok(200);
    assert_eq!(read.body, made.body);
    let none = server.get(SERVICE, "/api/v1/ledger/accounts/none").await;
    assert_eq!(none.code(), (404, "account_not_found"));
}

#[tokio::test]
async fn a_made_id_is_kept_by_its_key() {
    let server = Server::start();
    let body = |asset: &str| json!({"asset": asset, "kind": "asset"});
    let keyed = |asset: &str| server.post_with_key(SERVICE, ACCOUNTS, "k", body(asset));
    let made = keyed("BRL").await.ok(201);
    let again = keyed("BRL").await.ok(200);
    assert_eq!(made.text_of("id"), again.text_of("id"));
    assert_eq!(keyed("USD").await.code(), (409, "idempotency_conflict"));
}

#[tokio::test]
async fn bad_accounts_are_refused_by_member() {
    let server = Server::start();
    for (members, field) in [
        (json!({"id": " x"}), "id"),
        (json!({"kind": "money"}), "kind"),
        (json!({"normalSide": "left"}), "normalSide"),
        (json!({"floorMinor": "-5"}), "floorMinor"),
        (
            json!({"mayOverdraw": true, "floorMinor": "5"}),
            "floorMinor",
        ),
        (json!({"metadata": {"a b": "c"}}), "metadata"),
    ] {
        let body = with(json!({"id": "x", "asset": "BRL", "kind": "asset"}), members);
        let reply = server.post(SERVICE, ACCOUNTS, body).await;
        assert_eq!(reply.code(), (400, "validation_failed"), "{field}");
        assert_eq!(reply.body["errors"][0]["field"], field);
    }
    let body = json!({"id": "x", "asset": "ZZZ", "kind": "asset"});
    assert_eq!(
        server.post(SERVICE, ACCOUNTS, body).await.code(),
        (404, "asset_not_found")
    );
}

#[tokio::test]
async fn a_patch_counts_versions_and_may_ask_for_one() {
    let server = server().await;
    let path = "/api/v1/ledger/accounts/poor";
    let overdraw = json!({"mayOverdraw": true, "floorMinor": "-10"});
    let denied = patch(&server, SERVICE, path, overdraw.clone(), None).await;
    assert_eq!(denied.code(), (403, "forbidden"));
    let changed = patch(&server, ADMIN, path, overdraw, Some("\"1\""))
        .await
        .ok(200);
    assert_eq!(
        (changed.text_of("floorMinor"), &changed.body["version"]),
        ("-10", &json!(2))
    );
    let stale = patch(
        &server,
        ADMIN,
        path,
        json!({"status": "frozen"}),
        Some("\"1\""),
    )
    .await;
    assert_eq!(stale.code(), (412, "version_mismatch"));
    let items = vec![item("t1", "poor", "a", "10"), item("t2", "poor", "a", "1")];
    assert_eq!(
        codes(&server, items).await,
        ["created", "insufficient_funds"]
    );
    let full = patch(&server, ADMIN, path, json!({"status": "closed"}), None).await;
    assert_eq!(full.code(), (409, "account_not_empty"));
    assert_eq!(
        codes(&server, vec![item("t3", "a", "poor", "10")]).await,
        ["created"]
    );
    patch(&server, ADMIN, path, json!({"status": "closed"}), None)
        .await
        .ok(200);
    let closed = patch(&server, ADMIN, path, json!({"status": "open"}), None).await;
    assert_eq!(closed.code(), (409, "account_closed"));
}

#[tokio::test]
async fn a_wallets_status_is_not_changed_here() {
    let server = server().await;
    let wallet = server.wallet("maria", "BRL").await;
    let path = format!("/api/v1/ledger/accounts/florin:wallet:{wallet}");
    let reply = patch(&server, ADMIN, &path, json!({"status": "frozen"}), None).await;
    assert_eq!(reply.code(), (400, "validation_failed"));
    let read = server.get(SERVICE, &path).await.ok(200);
    assert_eq!(read.text_of("kind"), "liability");
}

#[tokio::test]
async fn balances_now_and_then() {
    let server = server().await;
    assert_eq!(
        codes(&server, vec![item("t1", "a", "b", "5")]).await,
        ["created"]
    );
    let first = server
        .get(SERVICE, "/api/v1/ledger/transfers/t1")
        .await
        .ok(200);
    let at = first.text_of("recordedAt").to_owned();
    server.clock.advance(1_000_000);
    let dated = with(
        item("t2", "a", "b", "7"),
        json!({"effectiveAt": "2020-01-01T00:00:00Z"}),
    );
    assert_eq!(codes(&server, vec![dated]).await, ["created"]);
    assert_eq!(balance(&server, "b").await, "12");
    let path = |query: &str| format!("/api/v1/ledger/accounts/b/balance?{query}");
    let then = server
        .get(SERVICE, &path(&format!("recordedAt={at}")))
        .await
        .ok(200);
    assert_eq!(
        (then.text_of("balance"), then.text_of("recordedAt")),
        ("5", at.as_str())
    );
    assert_eq!(then.body["asOfSeq"], first.body["seq"]);
    let early = server
        .get(SERVICE, &path("effectiveAt=2020-06-01T00:00:00Z"))
        .await
        .ok(200);
    assert_eq!(early.text_of("balance"), "7");
    let bad = server.get(SERVICE, &path("effectiveAt=yesterday")).await;
    assert_eq!(bad.code(), (400, "validation_failed"));
}

#[tokio::test]
async fn the_trial_balance_is_even() {
    let server = server().await;
    open(&server, "usd", "USD", true).await;
    assert_eq!(
        codes(
            &server,
            vec![item("t1", "a", "b", "5"), item("t2", "b", "a", "2")]
        )
        .await,
        ["created"; 2]
    );
    let sums = server
        .get(SERVICE, "/api/v1/ledger/trial-balance")
        .await
        .ok(200);
    let row = |asset: &str| {
        let rows = sums.body["assets"].as_array().expect("rows");
        rows.iter()
            .find(|row| row["asset"] == asset)
            .expect("the asset")
            .clone()
    };
    let brl = row("BRL");
    assert_eq!(
        (&brl["debitsPosted"], &brl["creditsPosted"]),
        (&json!("7"), &json!("7"))
    );
    assert_eq!(
        (&brl["difference"], &brl["accounts"]),
        (&json!("0"), &json!(3))
    );
    assert_eq!(row("USD")["debitsPosted"], "0");
    let early = server
        .get(
            SERVICE,
            "/api/v1/ledger/trial-balance?recordedAt=2020-01-01T00:00:00Z",
        )
        .await
        .ok(200);
    assert_eq!(early.body["asOfSeq"], 0);
}

#[tokio::test]
async fn assets_are_added_by_admins() {
    let server = Server::start();
    let path = "/api/v1/ledger/assets";
    let body = || json!({"code": "CHF", "scale": 2, "kind": "fiat", "name": "Swiss franc"});
    assert_eq!(
        server.post(SERVICE, path, body()).await.code(),
        (403, "forbidden")
    );
    let made = server.post(ADMIN, path, body()).await.ok(201);
    assert_eq!(made.header("location"), "/api/v1/ledger/assets/CHF");
    assert!(server.post(ADMIN, path, body()).await.ok(200).is_replay());
    let other = server
        .post(ADMIN, path, with(body(), json!({"scale": 3})))
        .await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    let read = server
        .get(SERVICE, "/api/v1/ledger/assets/CHF")
        .await
        .ok(200);
    assert_eq!(read.body, body());
    let none = server.get(SERVICE, "/api/v1/ledger/assets/ZZZ").await;
    assert_eq!(none.code(), (404, "asset_not_found"));
    let page = server
        .get(SERVICE, "/api/v1/ledger/assets?limit=2")
        .await
        .ok(200);
    assert_eq!(page.body["items"].as_array().map(Vec::len), Some(2));
    assert!(page.body["nextCursor"].is_string());
}
