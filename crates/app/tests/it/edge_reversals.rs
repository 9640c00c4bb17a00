//! Reversals: cases 42 to 46 of the contract's table, and INV-L16.

use serde_json::json;

use crate::server::moves::{codes, fresh, item, item_with, race};
use crate::server::{Launch, Server, Who, cases, path};

#[test]
fn edge_cases_of_reversals() {
    let server = Launch::new().start();
    cases!(server;
        case_42_reversed_twice,
        case_43_a_reversal_stays,
        case_44_a_deposit_already_spent,
        case_45_one_leg_takes_its_chain_along,
        case_46_frozen_and_closed_wallets,
        inv_l16_racing_reversals_leave_one,
        a_reversal_counts_not_before_its_original,
    );
}

fn case_42_reversed_twice(server: &Server) {
    let wallet = server.empty("BRL");
    let deposit = server.deposit(&wallet, "10.00").ok(200).id();
    let first = server.reverse(&deposit, "mistake").ok(200);
    assert_eq!(
        first.header("location"),
        format!("/api/v1/transactions/{deposit}:rev")
    );
    assert_eq!(
        (first.text_of("type"), first.text_of("reversalOf")),
        ("REVERSAL", deposit.as_str())
    );
    let again = server.reverse(&deposit, "mistake").ok(200);
    assert!(again.is_replay() && !first.is_replay());
    assert_eq!(again.text, first.text);
    server
        .reverse(&deposit, "another reason")
        .refused(409, "already_reversed");
    assert_eq!(server.balance(&wallet), "0.00");
    let original = server
        .get(Who::Service, &format!("/api/v1/transactions/{deposit}"))
        .ok(200);
    assert_eq!(original.text_of("status"), "REVERSED");
    assert_eq!(original.text_of("reversedBy"), format!("{deposit}:rev"));
}

fn case_43_a_reversal_stays(server: &Server) {
    let wallet = server.empty("BRL");
    let deposit = server.deposit(&wallet, "10.00").ok(200).id();
    let reversal = server.reverse(&deposit, "mistake").ok(200).id();
    server
        .reverse(&reversal, "mistake")
        .refused(409, "transfer_not_reversible");
    let path = format!("/api/v1/ledger/transfers/{reversal}/reverse");
    server
        .post(Who::Admin, &path, json!({"reason": "x"}))
        .refused(409, "transfer_not_reversible");
    server
        .reverse("0190f000-0000-7000-8000-00000000dead", "x")
        .refused(404, "transaction_not_found");
    let unknown = "/api/v1/ledger/transfers/nothing/reverse";
    server
        .post(Who::Admin, unknown, json!({"reason": "x"}))
        .refused(404, "transfer_not_found");
}

fn case_44_a_deposit_already_spent(server: &Server) {
    let wallet = server.empty("BRL");
    let deposit = server.deposit(&wallet, "10.00").ok(200).id();
    server.withdraw(&wallet, "10.00").ok(200);
    server
        .reverse(&deposit, "fraud")
        .refused(400, "insufficient_funds");
    server.deposit(&wallet, "15.00").ok(200);
    server.reverse(&deposit, "fraud").ok(200);
    assert_eq!(server.balance(&wallet), "5.00");
}

fn case_45_one_leg_takes_its_chain_along(server: &Server) {
    let (source, a, b) = (
        server.source("BRL"),
        server.account("BRL", json!({})),
        server.account("BRL", json!({})),
    );
    let ids = [fresh("leg"), fresh("leg")];
    let reply = server.batch(&[
        item_with(&ids[0], &source, &a, "500", "BRL", json!({"linked": true})),
        item(&ids[1], &a, &b, "200", "BRL"),
    ]);
    assert_eq!(codes(&reply), ["created", "created"]);
    let before = server.last_seq();
    let path = format!("/api/v1/ledger/transfers/{}/reverse", ids[1]);
    let done = server
        .post(Who::Operator, &path, json!({"reason": "undo"}))
        .ok(200);
    assert_eq!(
        done.id(),
        format!("{}:rev", ids[1]),
        "the reversal of the named leg"
    );
    assert_eq!(
        (server.minor(&a).0, server.minor(&b).0),
        ("0".into(), "0".into())
    );
    let records = server.changes(before);
    let undone: Vec<&str> = records
        .iter()
        .filter_map(|l| l["data"]["reversalOf"].as_str())
        .collect();
    assert_eq!(
        undone,
        [ids[1].as_str(), ids[0].as_str()],
        "in reverse order"
    );
    assert_eq!(records[0]["data"]["chainId"], records[1]["data"]["chainId"]);
    let path = format!("/api/v1/ledger/transfers/{}/reverse", ids[0]);
    let again = server
        .post(Who::Operator, &path, json!({"reason": "undo"}))
        .ok(200);
    assert!(
        again.is_replay(),
        "the chain is reversed as a whole: {}",
        again.text
    );
}

fn case_46_frozen_and_closed_wallets(server: &Server) {
    let frozen = server.empty("BRL");
    let deposit = server.deposit(&frozen, "10.00").ok(200).id();
    server.status(&frozen, "freeze").ok(200);
    server.reverse(&deposit, "fraud").ok(200);
    assert_eq!(server.balance(&frozen), "0.00");
    let closed = server.empty("BRL");
    let deposit = server.deposit(&closed, "10.00").ok(200).id();
    server.withdraw(&closed, "10.00").ok(200);
    server.status(&closed, "close").ok(200);
    server
        .reverse(&deposit, "fraud")
        .refused(409, "wallet_closed");
}

fn inv_l16_racing_reversals_leave_one(server: &Server) {
    for _ in 0..10 {
        let wallet = server.funded("BRL", "100.00");
        let deposit = server.deposit(&wallet, "10.00").ok(200).id();
        let reasons = ["one", "two", "three", "four"];
        let replies = race(4, |index| server.reverse(&deposit, reasons[index]));
        let won: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(won.len(), 1);
        for lost in replies.iter().filter(|reply| reply.status != 200) {
            assert_eq!(lost.code(), (409, "already_reversed"), "{}", lost.text);
        }
        assert_eq!(server.balance(&wallet), "100.00");
    }
}

fn a_reversal_counts_not_before_its_original(server: &Server) {
    let wallet = server.empty("BRL");
    let body = json!({"amount": "10.00", "referenceId": fresh("r"), "effectiveAt": "2026-01-10T00:00:00Z"});
    let deposit = server
        .post(Who::Service, &path(&wallet, "deposit"), body)
        .ok(200)
        .id();
    let reverse = |at: &str| {
        let path = format!("/api/v1/transactions/{deposit}/reverse");
        server.post(
            Who::Operator,
            &path,
            json!({"reason": "x", "effectiveAt": at}),
        )
    };
    reverse("2026-01-09T23:59:59Z").refused(422, "effective_time_before_original");
    let done = reverse("2026-01-10T00:00:00Z").ok(200);
    assert_eq!(done.text_of("effectiveAt"), "2026-01-10T00:00:00.000000Z");
}
