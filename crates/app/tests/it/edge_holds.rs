//! Holds: cases 34 to 41 of the contract's table.

use serde_json::json;

use crate::server::moves::{fresh, race};
use crate::server::{Launch, Server, Who, cases, path};

#[test]
fn edge_cases_of_holds() {
    let server = Launch::new().start();
    cases!(server;
        case_34_one_capture_takes_a_part_and_releases_the_rest,
        case_35_the_same_capture_again,
        case_36_no_capture_above_the_hold,
        case_37_capture_races_void,
        case_38_no_capture_from_expires_at_on,
        case_39_capture_races_expiry,
        case_40_frozen_wallets_keep_their_holds,
        case_41_a_hold_that_just_expired_frees_its_money,
    );
}

fn place(server: &Server, wallet: &str, amount: &str, seconds: u64) -> String {
    let body = json!({"amount": amount, "expiresInSeconds": seconds, "referenceId": fresh("hold")});
    server
        .post(Who::Service, &path(wallet, "holds"), body)
        .ok(201)
        .id()
}

fn shown(server: &Server, hold: &str) -> serde_json::Value {
    server
        .get(Who::Service, &format!("/api/v1/holds/{hold}"))
        .ok(200)
        .body
}

fn case_34_one_capture_takes_a_part_and_releases_the_rest(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    let placed = server.hold(&wallet, "100.00").ok(201);
    let hold = placed.id();
    assert_eq!(placed.header("location"), format!("/api/v1/holds/{hold}"));
    assert_eq!(placed.text_of("status"), "ACTIVE");
    let done = server
        .capture(&hold, json!({"amount": "60.00", "referenceId": "c1"}))
        .ok(200);
    assert_eq!(
        (done.text_of("type"), done.text_of("amount")),
        ("CAPTURE", "60.00")
    );
    assert_eq!(done.text_of("newBalance"), "40.00");
    assert_eq!(
        server.figures(&wallet),
        ("40.00".into(), "0.00".into(), "40.00".into())
    );
    server
        .capture(&hold, json!({"amount": "40.00", "referenceId": "c2"}))
        .refused(409, "hold_already_captured");
    let hold = shown(server, &hold);
    assert_eq!(
        (&hold["status"], &hold["capturedAmount"]),
        (&json!("CAPTURED"), &json!("60.00"))
    );
    assert_eq!(hold["transactionId"], done.id());
}

fn case_35_the_same_capture_again(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    let hold = server.hold(&wallet, "100.00").ok(201).id();
    let body = json!({"amount": "60.00", "referenceId": "c1"});
    let first = server.capture(&hold, body.clone()).ok(200);
    let again = server.capture(&hold, body).ok(200);
    assert!(again.is_replay() && !first.is_replay());
    assert_eq!(again.text, first.text);
    assert_eq!(server.balance(&wallet), "40.00");
}

fn case_36_no_capture_above_the_hold(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    let hold = server.hold(&wallet, "50.00").ok(201).id();
    server
        .capture(&hold, json!({"amount": "50.01"}))
        .refused(422, "exceeds_hold_amount");
    assert_eq!(shown(server, &hold)["status"], "ACTIVE");
    assert_eq!(server.figures(&wallet).1, "50.00");
    server.capture(&hold, json!({})).ok(200);
    assert_eq!(server.balance(&wallet), "50.00");
    // The rank decides: above the hold comes before captured.
    server
        .capture(&hold, json!({"amount": "50.01"}))
        .refused(422, "exceeds_hold_amount");
}

fn case_37_capture_races_void(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    for _ in 0..20 {
        let hold = server.hold(&wallet, "1.00").ok(201).id();
        let replies = race(2, |index| match index {
            0 => server.capture(&hold, json!({})),
            _ => server.void(&hold),
        });
        match (replies[0].code(), replies[1].code()) {
            ((200, _), (409, "hold_already_captured")) => {}
            ((409, "hold_already_voided"), (200, _)) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(server.figures(&wallet).1, "0.00", "resolved once, wholly");
    }
}

fn case_38_no_capture_from_expires_at_on(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    let hold = place(server, &wallet, "60.00", 3600);
    assert_eq!(server.figures(&wallet).2, "40.00");
    server.advance(3600);
    server
        .capture(&hold, json!({}))
        .refused(409, "hold_expired");
    assert_eq!(
        server.figures(&wallet),
        ("100.00".into(), "0.00".into(), "100.00".into())
    );
    assert_eq!(shown(server, &hold)["status"], "EXPIRED");
    server.void(&hold).refused(409, "hold_expired");
}

fn case_39_capture_races_expiry(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    for _ in 0..5 {
        let hold = place(server, &wallet, "1.00", 30);
        let replies = race(3, |index| match index {
            0 => {
                server.advance(30);
                None
            }
            _ => Some(server.capture(&hold, json!({"referenceId": format!("c{index}")}))),
        });
        let state = shown(server, &hold);
        let won = replies
            .iter()
            .flatten()
            .filter(|reply| reply.status == 200)
            .count();
        let expires = state["expiresAt"].as_str().expect("expiresAt");
        for reply in replies.iter().flatten() {
            match reply.code() {
                (200, _) => assert!(reply.text_of("createdAt") < expires, "{}", reply.text),
                (409, "hold_expired" | "hold_already_captured") => {}
                other => panic!("{other:?}"),
            }
        }
        let status = if won == 1 { "CAPTURED" } else { "EXPIRED" };
        assert_eq!((won <= 1, &state["status"]), (true, &json!(status)));
        let path = format!("/api/v1/ledger/transfers/{hold}");
        let transfer = server.get(Who::Service, &path).ok(200);
        assert!(
            transfer.body["resolvedBy"].is_string(),
            "one resolution: {}",
            transfer.text
        );
    }
    assert_eq!(server.figures(&wallet).1, "0.00");
}

fn case_40_frozen_wallets_keep_their_holds(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    let hold = server.hold(&wallet, "10.00").ok(201).id();
    server.status(&wallet, "freeze").ok(200);
    server
        .capture(&hold, json!({}))
        .refused(409, "wallet_frozen");
    assert_eq!(server.void(&hold).ok(200).text_of("status"), "VOIDED");
    assert_eq!(
        server.void(&hold).ok(200).text_of("status"),
        "VOIDED",
        "also when repeated"
    );
    server
        .capture(&hold, json!({}))
        .refused(409, "hold_already_voided");
    assert_eq!(
        server.figures(&wallet),
        ("100.00".into(), "0.00".into(), "100.00".into())
    );
}

fn case_41_a_hold_that_just_expired_frees_its_money(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    let hold = place(server, &wallet, "60.00", 100);
    server
        .withdraw(&wallet, "41.00")
        .refused(400, "insufficient_funds");
    let before = server.last_seq();
    server.advance(100);
    let done = server.withdraw(&wallet, "100.00").ok(200);
    let records = server.changes(before);
    let expiry = records
        .iter()
        .find(|line| line["data"]["pendingId"] == hold.as_str());
    let expiry = expiry.unwrap_or_else(|| panic!("no expiry in {records:?}"));
    assert_eq!(expiry["type"], "transfer.expired");
    assert_eq!(expiry["data"]["id"], format!("{hold}:exp"));
    assert!(
        expiry["seq"].as_u64() < done.body["seq"].as_u64(),
        "{expiry} {}",
        done.text
    );
    assert_eq!(
        expiry["data"]["effectiveAt"],
        shown(server, &hold)["expiresAt"]
    );
}
