//! Identity of calls: cases 4 to 14 of the contract's table.

use serde_json::json;

use crate::server::moves::{codes, fresh, item, race};
use crate::server::{Launch, Server, Who, cases, path};

#[test]
fn edge_cases_of_identity() {
    let server = Launch::new().start();
    cases!(server;
        case_04_the_same_call_again_is_answered_as_before,
        case_05_amounts_are_compared_by_value,
        case_06_another_amount_conflicts,
        case_07_another_operation_conflicts,
        case_08_the_scope_is_the_wallet,
        case_09_two_equal_calls_at_once_post_once,
        case_10_a_refusal_is_remembered,
        case_11_a_malformed_call_leaves_its_identity_free,
        case_12_two_different_identities,
        case_13_without_identity_the_server_makes_one,
        case_14_ledger_calls_need_an_identity,
        replays_show_the_balance_of_then,
    );
}

fn case_04_the_same_call_again_is_answered_as_before(server: &Server) {
    let wallet = server.empty("BRL");
    let body = json!({"amount": "25.00", "referenceId": "salary", "description": "May"});
    let send = || {
        server
            .post(Who::Service, &path(&wallet, "deposit"), body.clone())
            .ok(200)
    };
    let first = send();
    assert!(!first.is_replay());
    assert_eq!(
        first.header("location"),
        format!("/api/v1/transactions/{}", first.id())
    );
    let again = send();
    assert!(again.is_replay());
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(server.balance(&wallet), "25.00");
    assert_eq!(server.transactions(&wallet).len(), 1);
    let by_header = server
        .call(Who::Service, "POST", &path(&wallet, "deposit"))
        .header("idempotency-key", "salary")
        .json(&json!({"amount": "25.00", "description": "May"}))
        .send()
        .ok(200);
    assert!(by_header.is_replay(), "the header is the same identity");
    assert_eq!(by_header.text_of("referenceId"), "salary");
}

fn case_05_amounts_are_compared_by_value(server: &Server) {
    let wallet = server.empty("BRL");
    let send = |amount: &str| {
        let body = format!(r#"{{"amount": {amount}, "referenceId": "r"}}"#);
        server
            .call(Who::Service, "POST", &path(&wallet, "deposit"))
            .text(&body)
            .send()
            .ok(200)
    };
    let first = send(r#""10.50""#);
    let again = send("10.5");
    assert!(again.is_replay());
    assert_eq!(again.text, first.text);
    assert_eq!(first.text_of("amount"), "10.50");
    assert_eq!(server.balance(&wallet), "10.50");
}

fn case_06_another_amount_conflicts(server: &Server) {
    let wallet = server.empty("BRL");
    let send = |amount| {
        let body = json!({"amount": amount, "referenceId": "r"});
        server.post(Who::Service, &path(&wallet, "deposit"), body)
    };
    send("10.00").ok(200);
    let refused = send("10.01").refused(409, "idempotency_conflict");
    assert_eq!(refused.text_of("field"), "amount");
    assert_eq!(refused.text_of("error"), "IDEMPOTENCY_CONFLICT");
    assert_eq!(server.balance(&wallet), "10.00");
}

fn case_07_another_operation_conflicts(server: &Server) {
    let wallet = server.empty("BRL");
    let send = |verb| {
        let body = json!({"amount": "10.00", "referenceId": "r"});
        server.post(Who::Service, &path(&wallet, verb), body)
    };
    send("deposit").ok(200);
    let refused = send("withdraw").refused(409, "idempotency_conflict");
    assert_eq!(refused.text_of("field"), "operation");
    let refused = send("holds").refused(409, "idempotency_conflict");
    assert_eq!(refused.text_of("field"), "operation");
    assert_eq!(
        server.figures(&wallet),
        ("10.00".into(), "0.00".into(), "10.00".into())
    );
}

fn case_08_the_scope_is_the_wallet(server: &Server) {
    let (one, two) = (server.empty("BRL"), server.empty("BRL"));
    for wallet in [&one, &two] {
        let body = json!({"amount": "10.00", "referenceId": "deposit-001"});
        let reply = server
            .post(Who::Service, &path(wallet, "deposit"), body)
            .ok(200);
        assert!(!reply.is_replay());
    }
    assert_eq!(
        (server.balance(&one), server.balance(&two)),
        ("10.00".into(), "10.00".into())
    );
}

fn case_09_two_equal_calls_at_once_post_once(server: &Server) {
    let wallet = server.empty("BRL");
    for _ in 0..20 {
        let reference = fresh("race");
        let body = json!({"amount": "1.00", "referenceId": reference});
        let replies = race(2, |_| {
            server
                .post(Who::Service, &path(&wallet, "deposit"), body.clone())
                .ok(200)
        });
        let replays = replies.iter().filter(|reply| reply.is_replay()).count();
        assert_eq!(replays, 1, "{} {}", replies[0].text, replies[1].text);
        assert_eq!(replies[0].text, replies[1].text);
    }
    assert_eq!(server.balance(&wallet), "20.00");
}

fn case_10_a_refusal_is_remembered(server: &Server) {
    let wallet = server.funded("BRL", "5.00");
    let send = |reference| {
        let body = json!({"amount": "10.00", "referenceId": reference});
        server.post(Who::Service, &path(&wallet, "withdraw"), body)
    };
    let first = send("w1").refused(400, "insufficient_funds");
    server.deposit(&wallet, "100.00").ok(200);
    let again = send("w1").refused(400, "insufficient_funds");
    assert!(again.is_replay() && !first.is_replay());
    assert_eq!(server.balance(&wallet), "105.00");
    send("w2").ok(200);
    assert_eq!(server.balance(&wallet), "95.00");
}

fn case_11_a_malformed_call_leaves_its_identity_free(server: &Server) {
    let wallet = server.empty("BRL");
    let send = |amount| {
        let body = json!({"amount": amount, "referenceId": "r"});
        server.post(Who::Service, &path(&wallet, "deposit"), body)
    };
    send("10.005").refused(400, "amount_precision");
    send("0").refused(400, "amount_out_of_range");
    assert!(!send("10.00").ok(200).is_replay());
    assert_eq!(server.balance(&wallet), "10.00");
}

fn case_12_two_different_identities(server: &Server) {
    let wallet = server.empty("BRL");
    server
        .call(Who::Service, "POST", &path(&wallet, "deposit"))
        .header("idempotency-key", "a")
        .json(&json!({"amount": "10.00", "referenceId": "b"}))
        .send()
        .refused(400, "identity_mismatch");
    assert_eq!(server.balance(&wallet), "0.00");
}

fn case_13_without_identity_the_server_makes_one(server: &Server) {
    let wallet = server.empty("BRL");
    let send = || {
        server
            .post(
                Who::Service,
                &path(&wallet, "deposit"),
                json!({"amount": "10.00"}),
            )
            .ok(200)
    };
    let first = send();
    assert_eq!(first.body["referenceIdGenerated"], true);
    let second = send();
    assert!(!second.is_replay());
    assert_ne!(first.text_of("referenceId"), second.text_of("referenceId"));
    assert_eq!(server.balance(&wallet), "20.00");
}

fn case_14_ledger_calls_need_an_identity(server: &Server) {
    let (source, account) = (server.source("BRL"), server.account("BRL", json!({})));
    let mut bare = item("x", &source, &account, "5", "BRL");
    bare.as_object_mut().expect("object").remove("id");
    server
        .single(bare.clone())
        .refused(400, "identity_required");
    let with_id = item(&fresh("t"), &source, &account, "5", "BRL");
    server
        .batch(&[with_id.clone(), bare.clone()])
        .refused(400, "identity_required");
    assert_eq!(server.minor(&account).0, "0", "nothing was judged");
    let key = fresh("key");
    let send = |body: &serde_json::Value| {
        let call = server.call(Who::Service, "POST", "/api/v1/ledger/transfers");
        call.header("idempotency-key", &key).json(body).send()
    };
    let first = send(&json!({"transfers": [bare, with_id]})).ok(200);
    assert_eq!(codes(&first), ["created", "created"]);
    let again = send(&json!({"transfers": [bare, with_id]})).ok(200);
    assert!(again.is_replay());
    assert_eq!(
        again.text, first.text,
        "the stored answer comes back unchanged"
    );
    send(&json!({"transfers": [bare]})).refused(409, "idempotency_conflict");
    assert_eq!(server.minor(&account).0, "10");
}

fn replays_show_the_balance_of_then(server: &Server) {
    let wallet = server.funded("BRL", "50.00");
    let body = json!({"amount": "10.00", "referenceId": "w"});
    let first = server
        .post(Who::Service, &path(&wallet, "withdraw"), body.clone())
        .ok(200);
    assert_eq!(first.text_of("newBalance"), "40.00");
    server.deposit(&wallet, "500.00").ok(200);
    let again = server
        .post(Who::Service, &path(&wallet, "withdraw"), body)
        .ok(200);
    assert_eq!(again.text_of("newBalance"), "40.00");
    assert_eq!(again.text, first.text);
}
