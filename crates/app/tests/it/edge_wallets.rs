//! Funds, destinations, statuses and limits: cases 1 to 3, 21 to 24, 30 to 33, 69, 70 and 72 of
//! the contract's table.

use serde_json::json;

use crate::server::moves::{fresh, item, race};
use crate::server::{Launch, Reply, Server, Who, cases, path};

#[test]
fn edge_cases_of_wallets() {
    let server = Launch::new().start();
    cases!(server;
        case_01_two_withdrawals_race_for_the_last_cent,
        case_02_a_hundred_withdrawals_race_for_fifty,
        case_03_reserved_money_cannot_be_withdrawn,
        case_21_to_the_same_wallet_or_account,
        case_22_which_destination,
        case_23_destinations_unknown_closed_and_frozen,
        case_24_wallets_that_cannot_be_seen,
        case_30_frozen_wallets_take_money_and_give_none,
        case_31_closed_is_closed,
        case_32_only_empty_wallets_close,
        case_33_closing_races_a_deposit,
        case_69_ten_withdrawals_race_for_the_daily_limit,
        case_70_a_voided_hold_uses_up_no_limit,
        case_72_users_neither_deposit_nor_capture,
    );
}

fn count(replies: &[Reply], status: u16) -> usize {
    replies
        .iter()
        .filter(|reply| reply.status == status)
        .count()
}

fn case_01_two_withdrawals_race_for_the_last_cent(server: &Server) {
    for _ in 0..10 {
        let wallet = server.funded("BRL", "0.01");
        let replies = race(2, |_| server.withdraw(&wallet, "0.01"));
        assert_eq!((count(&replies, 200), count(&replies, 400)), (1, 1));
        let refused = replies
            .iter()
            .find(|reply| reply.status == 400)
            .expect("one");
        assert_eq!(refused.code(), (400, "insufficient_funds"));
        assert_eq!(server.balance(&wallet), "0.00");
    }
}

fn case_02_a_hundred_withdrawals_race_for_fifty(server: &Server) {
    let wallet = server.funded("BRL", "50.00");
    let replies = race(100, |_| server.withdraw(&wallet, "1.00"));
    assert_eq!((count(&replies, 200), count(&replies, 400)), (50, 50));
    assert!(
        replies
            .iter()
            .all(|r| r.status == 200 || r.code() == (400, "insufficient_funds"))
    );
    assert_eq!(server.balance(&wallet), "0.00");
    assert_eq!(server.transactions(&wallet).len(), 51);
}

fn case_03_reserved_money_cannot_be_withdrawn(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    server.hold(&wallet, "70.00").ok(201);
    assert_eq!(
        server.figures(&wallet),
        ("100.00".into(), "70.00".into(), "30.00".into())
    );
    server
        .withdraw(&wallet, "30.01")
        .refused(400, "insufficient_funds");
    server.withdraw(&wallet, "30.00").ok(200);
    assert_eq!(
        server.figures(&wallet),
        ("70.00".into(), "70.00".into(), "0.00".into())
    );
}

fn case_21_to_the_same_wallet_or_account(server: &Server) {
    let wallet = server.funded("BRL", "10.00");
    server
        .transfer(&wallet, &wallet, "1.00")
        .refused(400, "same_wallet");
    let account = server.source("BRL");
    server
        .single(item(&fresh("t"), &account, &account, "1", "BRL"))
        .refused(400, "accounts_must_differ");
}

fn case_22_which_destination(server: &Server) {
    let (from, to, other) = (
        server.funded("BRL", "10.00"),
        server.empty("BRL"),
        server.empty("BRL"),
    );
    let send = |more: serde_json::Value| {
        let mut body = json!({"amount": "1.00", "referenceId": fresh("ref")});
        body.as_object_mut()
            .expect("object")
            .extend(more.as_object().expect("object").clone());
        server.post(Who::Service, &path(&from, "transfer"), body)
    };
    send(json!({"toWalletId": to, "destinationWalletId": other})).refused(400, "validation_failed");
    send(json!({})).refused(400, "validation_failed");
    send(json!({"toWalletId": to, "destinationWalletId": to})).ok(200);
    send(json!({"toWalletId": to})).ok(200);
    assert_eq!(
        (server.balance(&from), server.balance(&to)),
        ("8.00".into(), "2.00".into())
    );
}

fn case_23_destinations_unknown_closed_and_frozen(server: &Server) {
    let from = server.funded("BRL", "10.00");
    let unknown = "0190f000-0000-7000-8000-00000000dead";
    server
        .transfer(&from, unknown, "1.00")
        .refused(404, "destination_not_found");
    let closed = server.empty("BRL");
    server.status(&closed, "close").ok(200);
    server
        .transfer(&from, &closed, "1.00")
        .refused(409, "destination_closed");
    let frozen = server.empty("BRL");
    server.status(&frozen, "freeze").ok(200);
    server.transfer(&from, &frozen, "1.00").ok(200);
    assert_eq!(
        (server.balance(&from), server.balance(&frozen)),
        ("9.00".into(), "1.00".into())
    );
}

fn case_24_wallets_that_cannot_be_seen(server: &Server) {
    let bobs = server.wallet(server.demo("secondUserName"), "BRL");
    let unknown = "0190f000-0000-7000-8000-00000000beef";
    for rest in ["", "/balance", "/transactions", "/limits"] {
        let get = |who, id: &str| server.get(who, &format!("/api/v1/wallets/{id}{rest}"));
        get(Who::Service, "not-a-uuid").refused(400, "invalid_id");
        get(Who::Service, unknown).refused(404, "wallet_not_found");
        let hidden = get(Who::Ana, &bobs).refused(404, "wallet_not_found");
        let absent = get(Who::Ana, unknown).refused(404, "wallet_not_found");
        assert_eq!(hidden.body["detail"], absent.body["detail"], "the same 404");
        assert_eq!(hidden.body["title"], absent.body["title"]);
    }
    let body = json!({"amount": "1.00", "referenceId": fresh("ref")});
    server
        .post(Who::Service, &path("x", "withdraw"), body.clone())
        .refused(400, "invalid_id");
    server
        .post(Who::Service, &path(unknown, "withdraw"), body.clone())
        .refused(404, "wallet_not_found");
    server
        .post(Who::Ana, &path(&bobs, "withdraw"), body)
        .refused(404, "wallet_not_found");
}

fn case_30_frozen_wallets_take_money_and_give_none(server: &Server) {
    let (wallet, other) = (server.funded("BRL", "10.00"), server.empty("BRL"));
    let frozen = server.status(&wallet, "freeze").ok(200);
    assert_eq!(frozen.text_of("status"), "FROZEN");
    server
        .withdraw(&wallet, "1.00")
        .refused(409, "wallet_frozen");
    server
        .transfer(&wallet, &other, "1.00")
        .refused(409, "wallet_frozen");
    server.hold(&wallet, "1.00").refused(409, "wallet_frozen");
    server.deposit(&wallet, "5.00").ok(200);
    let seq = server.last_seq();
    server.status(&wallet, "freeze").ok(200);
    assert_eq!(server.last_seq(), seq, "already in that status: no record");
    server.status(&wallet, "unfreeze").ok(200);
    server.withdraw(&wallet, "15.00").ok(200);
}

fn case_31_closed_is_closed(server: &Server) {
    let (wallet, other) = (server.empty("BRL"), server.funded("BRL", "10.00"));
    let closed = server.status(&wallet, "close").ok(200);
    assert_eq!(closed.text_of("status"), "CLOSED");
    server
        .deposit(&wallet, "1.00")
        .refused(409, "wallet_closed");
    server
        .withdraw(&wallet, "1.00")
        .refused(409, "wallet_closed");
    server
        .transfer(&wallet, &other, "1.00")
        .refused(409, "wallet_closed");
    server.hold(&wallet, "1.00").refused(409, "wallet_closed");
    server
        .transfer(&other, &wallet, "1.00")
        .refused(409, "destination_closed");
    server
        .status(&wallet, "unfreeze")
        .refused(409, "wallet_closed");
    server
        .status(&wallet, "freeze")
        .refused(409, "wallet_closed");
    server.status(&wallet, "close").ok(200);
    server.get(Who::Service, &path(&wallet, "balance")).ok(200);
}

fn case_32_only_empty_wallets_close(server: &Server) {
    let wallet = server.funded("BRL", "0.01");
    server
        .status(&wallet, "close")
        .refused(409, "wallet_not_empty");
    let hold = server.hold(&wallet, "0.01").ok(201).id();
    server
        .status(&wallet, "close")
        .refused(409, "wallet_not_empty");
    server.void(&hold).ok(200);
    server.withdraw(&wallet, "0.01").ok(200);
    server.status(&wallet, "close").ok(200);
    // A hold in favour of a wallet keeps it open too.
    let (payer, payee) = (server.funded("BRL", "5.00"), server.empty("BRL"));
    let body = json!({"amount": "5.00", "destinationWalletId": payee, "referenceId": fresh("ref")});
    server
        .post(Who::Service, &path(&payer, "holds"), body)
        .ok(201);
    server
        .status(&payee, "close")
        .refused(409, "wallet_not_empty");
}

fn case_33_closing_races_a_deposit(server: &Server) {
    for _ in 0..20 {
        let wallet = server.empty("BRL");
        let replies = race(2, |index| match index {
            0 => server.status(&wallet, "close"),
            _ => server.deposit(&wallet, "1.00"),
        });
        match (replies[0].code(), replies[1].code()) {
            ((200, _), (409, "wallet_closed")) => assert_eq!(server.balance(&wallet), "0.00"),
            ((409, "wallet_not_empty"), (200, _)) => assert_eq!(server.balance(&wallet), "1.00"),
            other => panic!("{other:?}"),
        }
    }
}

fn case_69_ten_withdrawals_race_for_the_daily_limit(server: &Server) {
    let wallet = server.funded("BRL", "5000.00");
    server
        .limits(&wallet, json!({"out": {"daily": "1000.00"}}))
        .ok(200);
    let replies = race(10, |_| server.withdraw(&wallet, "300.00"));
    assert_eq!((count(&replies, 200), count(&replies, 422)), (3, 7));
    for refused in replies.iter().filter(|reply| reply.status == 422) {
        assert_eq!(refused.code(), (422, "limit_exceeded"));
        assert_eq!(
            (refused.text_of("limit"), refused.text_of("remaining")),
            ("out.daily", "100.00")
        );
        assert!(
            refused.text_of("resetsAt").ends_with("T00:00:00.000000Z"),
            "{}",
            refused.text
        );
    }
    assert_eq!(server.balance(&wallet), "4100.00");
    let shown = server.get(Who::Service, &path(&wallet, "limits")).ok(200);
    assert_eq!(shown.body["out"]["daily"]["used"], "900.00");
    assert_eq!(shown.body["out"]["daily"]["remaining"], "100.00");
    server.withdraw(&wallet, "100.00").ok(200);
    server
        .withdraw(&wallet, "0.01")
        .refused(422, "limit_exceeded");
}

fn case_70_a_voided_hold_uses_up_no_limit(server: &Server) {
    let wallet = server.funded("BRL", "1000.00");
    server
        .limits(&wallet, json!({"out": {"daily": "1000.00"}}))
        .ok(200);
    let hold = server.hold(&wallet, "500.00").ok(201).id();
    // Limits are judged before funds, and the hold counts.
    server
        .withdraw(&wallet, "500.01")
        .refused(422, "limit_exceeded");
    server.void(&hold).ok(200);
    server.withdraw(&wallet, "1000.00").ok(200);
    assert_eq!(server.balance(&wallet), "0.00");
}

fn case_72_users_neither_deposit_nor_capture(server: &Server) {
    let wallet = server.wallet(server.demo("userName"), "BRL");
    let body = json!({"amount": "1.00", "referenceId": fresh("ref")});
    server
        .post(Who::Ana, &path(&wallet, "deposit"), body.clone())
        .refused(403, "forbidden");
    server.deposit(&wallet, "10.00").ok(200);
    let hold = server
        .post(Who::Ana, &path(&wallet, "holds"), body)
        .ok(201)
        .id();
    for verb in ["capture", "void"] {
        let path = format!("/api/v1/holds/{hold}/{verb}");
        server
            .post(Who::Ana, &path, json!({}))
            .refused(403, "forbidden");
    }
    assert_eq!(
        server.figures(&wallet),
        ("10.00".into(), "1.00".into(), "9.00".into())
    );
}
