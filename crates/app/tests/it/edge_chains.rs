//! Ids and chains within the ledger's calls: cases 47 to 52 of the contract's table.

use serde_json::{Value, json};

use crate::server::moves::{codes, fresh, item, item_with};
use crate::server::{Launch, Server, cases};

#[test]
fn edge_cases_of_chains() {
    let server = Launch::new().start();
    cases!(server;
        case_47_one_id_twice_in_a_call,
        cases_48_and_49_a_chain_without_funds,
        case_50_a_chain_that_is_left_open,
        case_51_a_recorded_chain_again,
        case_52_spending_what_the_item_before_brought,
    );
}

fn case_47_one_id_twice_in_a_call(server: &Server) {
    let (source, account) = (server.source("BRL"), server.account("BRL", json!({})));
    let (one, two) = (fresh("t"), fresh("t"));
    let reply = server.batch(&[
        item(&one, &source, &account, "5", "BRL"),
        item(&one, &source, &account, "5", "BRL"),
        item(&two, &source, &account, "5", "BRL"),
        item(&two, &source, &account, "6", "BRL"),
    ]);
    assert_eq!(
        codes(&reply),
        [
            "created",
            "exists",
            "created",
            "exists_with_different_amount"
        ]
    );
    assert_eq!(server.minor(&account).0, "10");
    let different = |more: Value| {
        let reply = server.batch(&[item_with(&one, &source, &account, "5", "BRL", more)]);
        codes(&reply)[0].to_owned()
    };
    assert_eq!(different(json!({})), "exists");
    assert_eq!(
        different(json!({"code": "other"})),
        "exists_with_different_code"
    );
    assert_eq!(
        different(json!({"asset": "USD"})),
        "exists_with_different_asset"
    );
    assert_eq!(
        different(json!({"description": "x"})),
        "exists_with_different_description"
    );
    assert_eq!(
        different(json!({"metadata": {"a": "b"}})),
        "exists_with_different_metadata"
    );
    assert_eq!(
        different(json!({"mode": "pending"})),
        "exists_with_different_mode"
    );
    let again = server
        .single(item(&one, &source, &account, "5", "BRL"))
        .ok(200);
    assert!(again.is_replay());
    server
        .single(item(&one, &source, &account, "7", "BRL"))
        .refused(409, "exists_with_different_amount");
}

fn cases_48_and_49_a_chain_without_funds(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let ids = [fresh("c"), fresh("c"), fresh("c")];
    let chain = [
        item_with(&ids[0], &source, &a, "1", "BRL", json!({"linked": true})),
        item_with(&ids[1], &a, &source, "10", "BRL", json!({"linked": true})),
        item(&ids[2], &source, &a, "1", "BRL"),
    ];
    let before = server.last_seq();
    let failed = [
        "linked_transfer_failed",
        "insufficient_funds",
        "linked_transfer_failed",
    ];
    let first = server.batch(&chain);
    assert_eq!(codes(&first), failed);
    assert!(first.body.get("batch").is_none());
    assert_eq!(server.last_seq(), before, "nothing recorded");
    server
        .single(item(&fresh("top-up"), &source, &a, "100", "BRL"))
        .ok(201);
    let again = server.batch(&chain);
    assert_eq!(
        codes(&again),
        [
            "linked_transfer_failed",
            "id_already_failed",
            "linked_transfer_failed"
        ]
    );
    assert_eq!(again.body["results"][1]["firstCode"], "insufficient_funds");
    assert_eq!(server.minor(&a).0, "100");
    // Ids refused by their chain alone stay free.
    let alone = server.batch(&[item(&ids[0], &source, &a, "1", "BRL")]);
    assert_eq!(codes(&alone), ["created"]);
}

fn case_50_a_chain_that_is_left_open(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let reply = server.batch(&[
        item(&fresh("o"), &source, &a, "3", "BRL"),
        item_with(
            &fresh("o"),
            &source,
            &a,
            "5",
            "BRL",
            json!({"linked": true}),
        ),
        item_with(
            &fresh("o"),
            &source,
            &a,
            "7",
            "BRL",
            json!({"linked": true}),
        ),
    ]);
    assert_eq!(
        codes(&reply),
        ["created", "linked_transfer_failed", "linked_chain_open"]
    );
    assert_eq!(server.minor(&a).0, "3", "items outside go through");
}

fn case_51_a_recorded_chain_again(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let ids = [fresh("c"), fresh("c")];
    let chain = [
        item_with(&ids[0], &source, &a, "5", "BRL", json!({"linked": true})),
        item(&ids[1], &a, &source, "2", "BRL"),
    ];
    assert_eq!(codes(&server.batch(&chain)), ["created", "created"]);
    assert_eq!(codes(&server.batch(&chain)), ["exists", "exists"]);
    let alone = server.batch(&[item(&ids[0], &source, &a, "5", "BRL")]);
    assert_eq!(codes(&alone), ["exists_with_different_chain"]);
    assert_eq!(server.minor(&a).0, "3");
}

fn case_52_spending_what_the_item_before_brought(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let reply = server.batch(&[
        item(&fresh("t"), &source, &a, "100", "BRL"),
        item(&fresh("t"), &a, &source, "100", "BRL"),
    ]);
    assert_eq!(codes(&reply), ["created", "created"]);
    assert_eq!(server.minor(&a).0, "0");
}
