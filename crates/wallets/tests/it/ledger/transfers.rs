//! `POST /ledger/transfers`, lookup and reverse.

use florin_base::Timestamp;
use florin_ledger::Policy;
use serde_json::json;

use super::{
    ADMIN, SERVICE, TRANSFERS, balance, batch, codes, item, last_seq, open, patch, server, with,
};
use crate::support::Server;

#[tokio::test]
async fn the_single_form_answers_the_transfer() {
    let server = server().await;
    let made = server
        .post(SERVICE, TRANSFERS, item("t1", "a", "b", "150"))
        .await
        .ok(201);
    assert_eq!(made.header("location"), "/api/v1/ledger/transfers/t1");
    assert_eq!(made.header("x-florin-seq"), made.body["seq"].to_string());
    assert_eq!(
        (made.text_of("state"), made.text_of("mode")),
        ("recorded", "single")
    );
    assert_eq!(made.text_of("effectiveAt"), made.text_of("recordedAt"));
    let read = server
        .get(SERVICE, "/api/v1/ledger/transfers/t1")
        .await
        .ok(200);
    assert_eq!(
        read.body, made.body,
        "what was answered is what was recorded"
    );
    let again = server
        .post(SERVICE, TRANSFERS, item("t1", "a", "b", "150"))
        .await
        .ok(200);
    assert!(again.is_replay());
    assert_eq!(again.body, made.body);
    let other = server
        .post(SERVICE, TRANSFERS, item("t1", "a", "b", "151"))
        .await;
    assert_eq!(other.code(), (409, "exists_with_different_amount"));
    assert_eq!(balance(&server, "b").await, "150");
}

#[tokio::test]
async fn a_pending_transfer_is_posted_once() {
    let server = server().await;
    let pending = with(
        item("p", "a", "b", "100"),
        json!({"mode": "pending", "timeoutSeconds": 60}),
    );
    let made = server.post(SERVICE, TRANSFERS, pending).await.ok(201);
    assert_eq!(made.text_of("state"), "pending");
    let read = server
        .get(SERVICE, "/api/v1/ledger/transfers/p")
        .await
        .ok(200);
    assert_eq!(read.body, made.body);
    let post = json!({"id": "p1", "mode": "post", "pendingId": "p", "amountMinor": "60"});
    let posted = server.post(SERVICE, TRANSFERS, post).await.ok(201);
    assert_eq!(
        (posted.text_of("debitAccountId"), posted.text_of("code")),
        ("a", "test")
    );
    let read = server
        .get(SERVICE, "/api/v1/ledger/transfers/p")
        .await
        .ok(200);
    assert_eq!(
        (read.text_of("state"), read.text_of("resolvedBy")),
        ("posted", "p1")
    );
    assert_eq!(read.text_of("postedAmountMinor"), "60");
    let void = json!({"id": "p2", "mode": "void", "pendingId": "p"});
    let late = server.post(SERVICE, TRANSFERS, void).await;
    assert_eq!(late.code(), (409, "pending_transfer_already_posted"));
}

#[tokio::test]
async fn case_14_a_call_without_any_identity_is_refused_whole() {
    let server = server().await;
    let before = last_seq(&server).await;
    let mut bare = item("x", "a", "b", "1");
    bare.as_object_mut().expect("an object").remove("id");
    let reply = batch(&server, vec![item("t1", "a", "b", "1"), bare.clone()]).await;
    assert_eq!(reply.code(), (400, "identity_required"));
    let reply = server.post(SERVICE, TRANSFERS, bare.clone()).await;
    assert_eq!(reply.code(), (400, "identity_required"));
    assert_eq!(last_seq(&server).await, before);
    let keyed = |body| server.post_with_key(SERVICE, TRANSFERS, "k1", body);
    let made = keyed(bare.clone()).await.ok(201);
    let again = keyed(bare.clone()).await.ok(201);
    assert!(again.is_replay() && !made.is_replay());
    assert_eq!(
        again.body, made.body,
        "the stored answer comes back unchanged"
    );
    let other = keyed(with(bare, json!({"amountMinor": "2"}))).await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    assert_eq!(other.text_of("field"), "amountMinor");
    assert_eq!(balance(&server, "b").await, "1");
}

#[tokio::test]
async fn a_key_covers_a_whole_batch() {
    let server = server().await;
    let items = |amount: &str| json!({"transfers": [item("t1", "a", "b", "1"), item("t2", "a", "b", amount)]});
    let first = server
        .post_with_key(SERVICE, TRANSFERS, "k", items("2"))
        .await
        .ok(200);
    let again = server
        .post_with_key(SERVICE, TRANSFERS, "k", items("2"))
        .await
        .ok(200);
    assert_eq!(first.text, again.text, "created stays created");
    assert!(again.is_replay());
    let other = server
        .post_with_key(SERVICE, TRANSFERS, "k", items("3"))
        .await;
    assert_eq!(other.code(), (409, "idempotency_conflict"));
    assert_eq!(other.text_of("field"), "transfers[1]");
}

#[tokio::test]
async fn case_19_amounts_out_of_grammar() {
    let server = server().await;
    let too_big = "340282366920938463463374607431768211456";
    let items = vec![
        item("t1", "a", "b", "0"),
        item("t2", "a", "b", "12.5"),
        item("t3", "a", "b", too_big),
    ];
    let expected = [
        "amount_must_not_be_zero",
        "amount_invalid",
        "amount_invalid",
    ];
    assert_eq!(codes(&server, items).await, expected);
    let number = with(item("t4", "a", "b", "1"), json!({"amountMinor": 12}));
    let reply = batch(&server, vec![item("t5", "a", "b", "1"), number]).await;
    assert_eq!(reply.code(), (400, "validation_failed"));
    assert_eq!(
        balance(&server, "b").await,
        "0",
        "nothing of the call was judged"
    );
}

#[tokio::test]
async fn case_20_totals_do_not_overflow() {
    let server = server().await;
    let most = "340282366920938463463374607431768211455";
    assert_eq!(
        codes(&server, vec![item("t1", "a", "b", most)]).await,
        ["created"]
    );
    let reply = batch(&server, vec![item("t2", "a", "b", "1")])
        .await
        .ok(200);
    let result = &reply.body["results"][0];
    assert_eq!(
        (result["code"].as_str(), result["field"].as_str()),
        (Some("overflow"), Some("debitsPosted"))
    );
    assert!(reply.body.get("batch").is_none_or(|batch| batch.is_u64()));
}

#[tokio::test]
async fn case_21_accounts_must_differ() {
    let server = server().await;
    assert_eq!(
        codes(&server, vec![item("t1", "a", "a", "1")]).await,
        ["accounts_must_differ"]
    );
}

#[tokio::test]
async fn case_45_a_leg_of_a_chain_reverses_the_chain() {
    let server = server().await;
    let first = with(item("c1", "a", "b", "10"), json!({"linked": true}));
    assert_eq!(
        codes(&server, vec![first, item("c2", "b", "a", "4")]).await,
        ["created"; 2]
    );
    let path = "/api/v1/ledger/transfers/c2/reverse";
    let reverse = |reason: &str| server.post(ADMIN, path, json!({"reason": reason}));
    let done = reverse("wrong").await.ok(200);
    assert_eq!(
        (done.text_of("id"), done.text_of("reversalOf")),
        ("c2:rev", "c2")
    );
    assert_eq!(done.header("location"), "/api/v1/ledger/transfers/c2:rev");
    assert_eq!(done.text_of("description"), "wrong");
    assert_eq!(
        (balance(&server, "a").await, balance(&server, "b").await),
        ("0".into(), "0".into())
    );
    assert!(reverse("wrong").await.ok(200).is_replay());
    assert_eq!(reverse("other").await.code(), (409, "already_reversed"));
    let original = server
        .get(SERVICE, "/api/v1/ledger/transfers/c1")
        .await
        .ok(200);
    assert_eq!(original.text_of("reversedBy"), "c1:rev");
    let again = server
        .post(
            ADMIN,
            "/api/v1/ledger/transfers/c1:rev/reverse",
            json!({"reason": "x"}),
        )
        .await;
    assert_eq!(
        again.code(),
        (409, "transfer_not_reversible"),
        "case 43 on the ledger"
    );
}

#[tokio::test]
async fn case_47_one_id_twice_in_a_batch() {
    let server = server().await;
    let same = vec![item("t1", "a", "b", "1"), item("t1", "a", "b", "1")];
    assert_eq!(codes(&server, same).await, ["created", "exists"]);
    let different = vec![item("t2", "a", "b", "1"), item("t2", "b", "a", "2")];
    assert_eq!(
        codes(&server, different).await,
        ["created", "exists_with_different_debit_account"]
    );
}

#[tokio::test]
async fn cases_48_and_49_a_chain_that_lacks_funds_fails_whole_and_for_ever() {
    let server = server().await;
    let chain = || {
        vec![
            with(item("c1", "a", "b", "1"), json!({"linked": true})),
            with(item("c2", "poor", "b", "5"), json!({"linked": true})),
            item("c3", "a", "b", "1"),
        ]
    };
    let before = last_seq(&server).await;
    let failed = "linked_transfer_failed";
    assert_eq!(
        codes(&server, chain()).await,
        [failed, "insufficient_funds", failed]
    );
    assert_eq!(last_seq(&server).await, before, "INV-L12: nothing recorded");
    assert_eq!(
        codes(&server, vec![item("up", "a", "poor", "5")]).await,
        ["created"]
    );
    let reply = batch(&server, chain()).await.ok(200);
    let result = &reply.body["results"][1];
    assert_eq!(result["code"], "id_already_failed");
    assert_eq!(result["firstCode"], "insufficient_funds");
    assert_eq!(reply.body["results"][2]["code"], failed);
    let found = server
        .post(
            SERVICE,
            "/api/v1/ledger/transfers/lookup",
            json!({"ids": ["c2", "up", "none"]}),
        )
        .await
        .ok(200);
    assert_eq!(
        found.body["results"][0],
        json!({"id": "c2", "status": "refused", "firstCode": "insufficient_funds"})
    );
    assert_eq!(found.body["results"][1]["transfer"]["amountMinor"], "5");
    assert_eq!(
        found.body["results"][2],
        json!({"id": "none", "status": "unknown"})
    );
}

#[tokio::test]
async fn cases_50_and_51_open_and_repeated_chains() {
    let server = server().await;
    let linked = |id: &str| with(item(id, "a", "b", "1"), json!({"linked": true}));
    let open = vec![item("t0", "a", "b", "1"), linked("c1"), linked("c2")];
    let expected = ["created", "linked_transfer_failed", "linked_chain_open"];
    assert_eq!(codes(&server, open).await, expected);
    let chain = || vec![linked("c1"), linked("c2"), item("c3", "a", "b", "1")];
    assert_eq!(codes(&server, chain()).await, ["created"; 3]);
    assert_eq!(codes(&server, chain()).await, ["exists"; 3]);
    let alone = vec![item("c1", "a", "b", "1")];
    assert_eq!(codes(&server, alone).await, ["exists_with_different_chain"]);
}

#[tokio::test]
async fn case_52_items_are_judged_in_order() {
    let server = server().await;
    let items = vec![item("t1", "a", "poor", "5"), item("t2", "poor", "b", "5")];
    assert_eq!(codes(&server, items).await, ["created", "created"]);
}

#[tokio::test]
async fn case_53_sizes_and_unknown_members() {
    let server = server().await;
    let before = last_seq(&server).await;
    assert_eq!(
        batch(&server, vec![]).await.code(),
        (400, "validation_failed")
    );
    let many = (0..8191)
        .map(|n| item(&format!("t{n}"), "a", "b", "1"))
        .collect();
    assert_eq!(
        batch(&server, many).await.code(),
        (400, "validation_failed")
    );
    let mut items: Vec<_> = (0..6)
        .map(|n| item(&format!("t{n}"), "a", "b", "1"))
        .collect();
    items[5]["colour"] = json!("red");
    let reply = batch(&server, items).await;
    assert_eq!(reply.code(), (400, "unknown_field"));
    assert_eq!(reply.body["errors"][0]["field"], "transfers[5].colour");
    let bad = server
        .post_text(SERVICE, TRANSFERS, "{\"transfers\":[")
        .await;
    assert_eq!(bad.code(), (400, "validation_failed"));
    let mode = with(item("t", "a", "b", "1"), json!({"mode": "undo"}));
    assert_eq!(
        batch(&server, vec![mode]).await.code(),
        (400, "validation_failed")
    );
    assert_eq!(last_seq(&server).await, before);
}

#[tokio::test]
async fn the_largest_batch_is_recorded_whole() {
    let server = server().await;
    let many = (0..8190)
        .map(|n| item(&format!("t{n}"), "a", "b", "1"))
        .collect();
    let reply = batch(&server, many).await.ok(200);
    let results = reply.body["results"].as_array().expect("results");
    assert!(results.iter().all(|result| result["code"] == "created"));
    assert!(reply.body["batch"].is_u64());
    assert_eq!(balance(&server, "b").await, "8190");
}

#[tokio::test]
async fn case_54_the_lowest_rank_is_the_result() {
    let server = server().await;
    let items = vec![item("t1", "nobody", "no-one", "0")];
    assert_eq!(codes(&server, items).await, ["amount_must_not_be_zero"]);
}

#[tokio::test]
async fn case_55_the_asset_of_both_accounts() {
    let server = server().await;
    let dollars = with(item("t1", "a", "b", "1"), json!({"asset": "USD"}));
    let reply = batch(&server, vec![dollars]).await.ok(200);
    let result = &reply.body["results"][0];
    assert_eq!(
        (result["code"].as_str(), result["field"].as_str()),
        (Some("asset_mismatch"), Some("debitAccountId"))
    );
}

#[tokio::test]
async fn case_56_effective_times() {
    let server = server().await;
    let at = |id: &str, time: &str| with(item(id, "a", "b", "1"), json!({"effectiveAt": time}));
    let codes = codes(
        &server,
        vec![
            at("t1", "2999-01-01T00:00:00Z"),
            at("t2", "2020-01-01T00:00:00Z"),
        ],
    )
    .await;
    assert_eq!(codes, ["effective_time_in_future", "created"]);
    let reply = server
        .post("poster:eve", TRANSFERS, at("t3", "2020-01-01T00:00:00Z"))
        .await;
    assert_eq!(reply.code(), (403, "forbidden"));
}

#[tokio::test]
async fn case_56_a_closed_period_stays_closed() {
    let closed_before = Some(Timestamp::parse("2026-01-01T00:00:00Z").expect("a time"));
    let server = Server::with_policy(Policy {
        closed_before,
        ..Policy::default()
    });
    for id in ["a", "b"] {
        open(&server, id, "BRL", true).await;
    }
    let at = |id: &str, time: &str| with(item(id, "a", "b", "1"), json!({"effectiveAt": time}));
    let items = vec![
        at("t1", "2025-12-31T23:59:59.999999Z"),
        at("t2", "2026-01-01T00:00:00Z"),
    ];
    let expected = ["effective_time_in_closed_period", "created"];
    assert_eq!(codes(&server, items).await, expected);
}

#[tokio::test]
async fn case_73_florins_own_accounts() {
    let server = server().await;
    let body = json!({"id": "florin:mine", "asset": "BRL", "kind": "asset"});
    let reply = server.post(ADMIN, super::ACCOUNTS, body).await;
    assert_eq!(reply.code(), (403, "reserved_prefix"));
    let before = last_seq(&server).await;
    let system = || {
        vec![
            item("t1", "a", "b", "1"),
            item("t2", "florin:external:BRL", "b", "1"),
        ]
    };
    assert_eq!(batch(&server, system()).await.code(), (403, "forbidden"));
    assert_eq!(
        last_seq(&server).await,
        before,
        "nothing of the call was judged"
    );
    let reply = server
        .post(ADMIN, TRANSFERS, json!({"transfers": system()}))
        .await
        .ok(200);
    assert_eq!(reply.body["results"][1]["code"], "created");
    let reverse = server
        .post(
            "operator:ops",
            "/api/v1/ledger/transfers/t2/reverse",
            json!({"reason": "x"}),
        )
        .await;
    assert_eq!(
        reverse.code(),
        (403, "forbidden"),
        "a reversal writes there too"
    );
}

#[tokio::test]
async fn a_hold_of_a_wallet_is_not_resolved_without_the_permission_for_its_account() {
    let server = server().await;
    let wallet = server.funded("maria", "BRL", "10.00").await;
    let hold = server.hold(&wallet, "5.00").await.ok(201);
    let post = json!({"id": "p1", "mode": "post", "pendingId": hold.text_of("id")});
    assert_eq!(
        server.post(SERVICE, TRANSFERS, post).await.code(),
        (403, "forbidden")
    );
}

#[tokio::test]
async fn a_frozen_account_is_not_lowered() {
    let server = server().await;
    open(&server, "f", "BRL", true).await;
    let patch = patch(
        &server,
        ADMIN,
        "/api/v1/ledger/accounts/f",
        json!({"status": "frozen"}),
        None,
    )
    .await;
    assert_eq!(patch.ok(200).text_of("status"), "frozen");
    let items = vec![item("t1", "f", "b", "1"), item("t2", "a", "f", "1")];
    assert_eq!(
        codes(&server, items).await,
        ["debit_account_frozen", "created"]
    );
}
