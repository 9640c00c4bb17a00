//! The ledger's calls: cases 20, 53 to 57 and 73 of the contract's table.

use serde_json::{Value, json};

use crate::edge_reads::shifted;
use crate::server::moves::{codes, fresh, item, item_with};
use crate::server::{Launch, Reply, Server, Who, cases};

const TRANSFERS: &str = "/api/v1/ledger/transfers";

#[test]
fn edge_cases_of_the_ledger() {
    let config = "[ledger]\nclosed_before = \"2020-01-01T00:00:00Z\"\n";
    let server = Launch::new().config(config).start();
    cases!(server;
        case_20_totals_do_not_overflow,
        case_53_calls_that_are_refused_whole,
        case_54_the_rank_decides,
        case_55_another_asset,
        case_56_effective_times,
        case_57_a_back_dated_debit,
        case_73_reserved_accounts,
        post_and_void_of_pendings,
        inv_l5_an_id_has_one_outcome,
        inv_l12_a_refusal_changes_nothing,
    );
}

/// The fields of a batch answer.
fn fields(reply: &Reply) -> Vec<&str> {
    let results = reply.body["results"].as_array().expect("results");
    results
        .iter()
        .map(|result| result["field"].as_str().unwrap_or(""))
        .collect()
}

fn case_20_totals_do_not_overflow(server: &Server) {
    let asset = json!({"code": "WIDE", "scale": 0, "kind": "other"});
    server
        .post(Who::Admin, "/api/v1/ledger/assets", asset)
        .ok(201);
    let (a, b) = (server.source("WIDE"), server.source("WIDE"));
    let all = "340282366920938463463374607431768211455";
    let first = server.batch(&[item(&fresh("t"), &a, &b, all, "WIDE")]);
    assert_eq!(codes(&first), ["created"]);
    let second = server.batch(&[item(&fresh("t"), &a, &b, "1", "WIDE")]);
    assert_eq!(
        (codes(&second), fields(&second)),
        (vec!["overflow"], vec!["debitsPosted"])
    );
    assert_eq!(server.minor(&b).0, all);
    assert_eq!(server.minor(&a).0, format!("-{all}"));
    server
        .single(item(&fresh("t"), &a, &b, "1", "WIDE"))
        .refused(422, "overflow");
}

fn case_53_calls_that_are_refused_whole(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    server.batch(&[]).refused(400, "validation_failed");
    let many: Vec<Value> = (0..8191)
        .map(|n| item(&format!("many-{n}"), &source, &a, "1", "BRL"))
        .collect();
    server.batch(&many).refused(400, "validation_failed");
    let mut five: Vec<Value> = many[..6].to_vec();
    five[5]["colour"] = json!("blue");
    server.batch(&five).refused(400, "unknown_field");
    assert_eq!(server.minor(&a).0, "0", "nothing recorded");
    let most = server.batch(&many[..8190]).ok(200);
    assert!(codes(&most).iter().all(|code| *code == "created"));
    assert_eq!(server.minor(&a).0, "8190");
    let huge = " ".repeat(16 << 20) + "{}";
    let refused = server
        .call(Who::Service, "POST", TRANSFERS)
        .text(&huge)
        .send();
    assert_eq!(refused.status, 413, "{}", refused.text);
}

fn case_54_the_rank_decides(server: &Server) {
    let reply = server.batch(&[item(&fresh("t"), "nobody:1", "nobody:2", "0", "BRL")]);
    assert_eq!(codes(&reply), ["amount_must_not_be_zero"]);
    let reply = server.batch(&[item(&fresh("t"), "nobody:1", "nobody:2", "1", "BRL")]);
    assert_eq!(codes(&reply), ["debit_account_not_found"]);
    let reply = server.batch(&[item(&fresh("t"), "nobody:1", "nobody:2", "1", "NOPE")]);
    assert_eq!(codes(&reply), ["asset_not_found"]);
}

fn case_55_another_asset(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let reply = server.batch(&[item(&fresh("t"), &source, &a, "1", "USD")]);
    assert_eq!(
        (codes(&reply), fields(&reply)),
        (vec!["asset_mismatch"], vec!["debitAccountId"])
    );
}

fn case_56_effective_times(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let send = |who, at: &str| {
        let item = item_with(
            &fresh("t"),
            &source,
            &a,
            "1",
            "BRL",
            json!({"effectiveAt": at}),
        );
        server.post(who, TRANSFERS, json!({"transfers": [item]}))
    };
    // One second ahead of the last posting: judged before that second has passed.
    let refused = (0..20).any(|_| {
        let now = server.batch(&[item(&fresh("t"), &source, &a, "1", "BRL")]);
        let ahead = shifted(now.text_of("recordedAt"), 1_000_000);
        let reply = send(Who::Service, &ahead);
        let late = reply.text_of("recordedAt") >= ahead.as_str();
        assert_eq!(
            codes(&reply),
            [if late {
                "created"
            } else {
                "effective_time_in_future"
            }]
        );
        !late
    });
    assert!(refused, "one of them was judged in time");
    assert_eq!(
        codes(&send(Who::Service, "2019-12-31T23:59:59.999999Z")),
        ["effective_time_in_closed_period"]
    );
    assert_eq!(
        codes(&send(Who::Service, "2020-01-01T00:00:00Z")),
        ["created"]
    );
    let far = json!({"effectiveAt": "2999-01-01T00:00:00Z"});
    server
        .single(item_with(&fresh("t"), &source, &a, "1", "BRL", far))
        .refused(422, "effective_time_in_future");
    let before = server.minor(&a).0;
    // `ledger:write` without `ledger:backdate`.
    let body =
        json!({"name": "writer", "roles": ["service"], "scopes": ["ledger:write", "ledger:read"]});
    let key = server.post(Who::Admin, "/api/v1/keys", body).ok(201);
    let call = |body: &Value| {
        let call = server.client.call("POST", TRANSFERS);
        call.header("x-api-key", key.text_of("key"))
            .json(body)
            .send()
    };
    let dated = item_with(
        &fresh("t"),
        &source,
        &a,
        "1",
        "BRL",
        json!({"effectiveAt": "2026-01-01T00:00:00Z"}),
    );
    call(&json!({"transfers": [item(&fresh("t"), &source, &a, "1", "BRL"), dated]}))
        .refused(403, "forbidden");
    assert_eq!(server.minor(&a).0, before, "nothing was judged");
    assert_eq!(
        codes(&call(
            &json!({"transfers": [item(&fresh("t"), &source, &a, "1", "BRL")]})
        )),
        ["created"]
    );
}

fn case_57_a_back_dated_debit(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    server
        .single(item(&fresh("t"), &source, &a, "100", "BRL"))
        .ok(201);
    let dated = item_with(
        &fresh("t"),
        &a,
        &source,
        "80",
        "BRL",
        json!({"effectiveAt": "2024-05-01T12:00:00Z"}),
    );
    assert_eq!(codes(&server.batch(&[dated])), ["created"]);
    let history = |axis: &str| {
        let path = format!("/api/v1/ledger/accounts/{a}/history?axis={axis}");
        let body = server.get(Who::Service, &path).ok(200).body;
        let items = body["items"].as_array().expect("items").clone();
        items
            .iter()
            .map(|i| i["balanceAfter"].as_str().expect("balance").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(history("effective"), ["-80", "20"], "the dip is shown");
    assert_eq!(history("recorded"), ["100", "20"]);
    let path = format!("/api/v1/ledger/accounts/{a}/balance?effectiveAt=2024-05-01T12:00:00Z");
    assert_eq!(
        server.get(Who::Service, &path).ok(200).text_of("balance"),
        "-80"
    );
}

fn case_73_reserved_accounts(server: &Server) {
    let account = |who| {
        let body = json!({"id": fresh("florin:mine"), "asset": "BRL", "kind": "liability"});
        server.post(who, "/api/v1/ledger/accounts", body)
    };
    account(Who::Service).refused(403, "reserved_prefix");
    account(Who::Admin).refused(403, "reserved_prefix");
    let wallet = server.funded("BRL", "10.00");
    let (source, own) = (server.source("BRL"), format!("florin:wallet:{wallet}"));
    server
        .single(item(&fresh("t"), &source, &own, "100", "BRL"))
        .refused(403, "forbidden");
    let both = [
        item(
            &fresh("t"),
            &source,
            &server.account("BRL", json!({})),
            "1",
            "BRL",
        ),
        item(&fresh("t"), &source, &own, "1", "BRL"),
    ];
    server.batch(&both).refused(403, "forbidden");
    assert_eq!(server.balance(&wallet), "10.00");
    server
        .post(
            Who::Admin,
            TRANSFERS,
            item(&fresh("t"), &source, &own, "100", "BRL"),
        )
        .ok(201);
    assert_eq!(server.balance(&wallet), "11.00");
    assert_eq!(server.transactions(&wallet)[0]["type"], "ADJUSTMENT");
    server
        .get(Who::Auditor, &format!("/api/v1/ledger/accounts/{own}"))
        .ok(200);
}

fn post_and_void_of_pendings(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    server
        .single(item(&fresh("t"), &source, &a, "100", "BRL"))
        .ok(201);
    let (one, two) = (fresh("p"), fresh("p"));
    let pending = |id: &str| item_with(id, &a, &source, "60", "BRL", json!({"mode": "pending"}));
    assert_eq!(codes(&server.batch(&[pending(&one)])), ["created"]);
    assert_eq!(
        codes(&server.batch(&[pending(&two)])),
        ["insufficient_funds"],
        "reserved"
    );
    assert_eq!(server.minor(&a), ("100".into(), "40".into()));
    let resolve = |id: &str, mode: &str, more: Value| {
        let mut item = json!({"id": id, "mode": mode, "pendingId": one});
        item.as_object_mut()
            .expect("object")
            .extend(more.as_object().expect("object").clone());
        let reply = server.batch(&[item]);
        codes(&reply)[0].to_owned()
    };
    assert_eq!(
        resolve(&fresh("r"), "post", json!({"amountMinor": "61"})),
        "exceeds_pending_amount"
    );
    assert_eq!(
        resolve(&fresh("r"), "post", json!({"debitAccountId": source})),
        "pending_transfer_mismatch"
    );
    assert_eq!(
        resolve(&fresh("r"), "void", json!({"amountMinor": "60"})),
        "field_not_allowed"
    );
    assert_eq!(resolve(&one, "post", json!({})), "pending_id_must_differ");
    assert_eq!(
        resolve(&fresh("r"), "post", json!({"amountMinor": "25"})),
        "created"
    );
    assert_eq!(
        server.minor(&a),
        ("75".into(), "75".into()),
        "the rest is released"
    );
    assert_eq!(
        resolve(&fresh("r"), "void", json!({})),
        "pending_transfer_already_posted"
    );
    let shown = server
        .get(Who::Service, &format!("{TRANSFERS}/{one}"))
        .ok(200);
    assert_eq!(
        (shown.text_of("state"), shown.text_of("postedAmountMinor")),
        ("posted", "25")
    );
}

fn inv_l5_an_id_has_one_outcome(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let (good, bad, free) = (fresh("g"), fresh("b"), fresh("f"));
    server.single(item(&good, &source, &a, "1", "BRL")).ok(201);
    server
        .single(item(&bad, &a, &source, "5", "BRL"))
        .refused(400, "insufficient_funds");
    server
        .single(item(&free, &a, &source, "0", "BRL"))
        .refused(400, "amount_must_not_be_zero");
    server
        .single(item(&fresh("t"), &source, &a, "100", "BRL"))
        .ok(201);
    let failed = server
        .single(item(&bad, &a, &source, "5", "BRL"))
        .refused(409, "id_already_failed");
    assert_eq!(failed.text_of("firstCode"), "insufficient_funds");
    server
        .single(item(&bad, &source, &a, "9", "BRL"))
        .refused(409, "id_already_failed");
    server
        .single(item(&bad, &source, &a, "0", "BRL"))
        .refused(400, "amount_must_not_be_zero");
    server.single(item(&free, &a, &source, "2", "BRL")).ok(201);
    let body = json!({"ids": [good, bad, fresh("u")]});
    let found = server
        .post(Who::Auditor, &format!("{TRANSFERS}/lookup"), body)
        .ok(200);
    let results = found.body["results"].as_array().expect("results");
    let words: Vec<&str> = results
        .iter()
        .map(|r| r["status"].as_str().expect("status"))
        .collect();
    assert_eq!(words, ["recorded", "refused", "unknown"]);
    assert_eq!(results[0]["transfer"]["amountMinor"], "1");
    assert_eq!(results[1]["firstCode"], "insufficient_funds");
    assert_eq!(server.minor(&a).0, "99");
}

fn inv_l12_a_refusal_changes_nothing(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let wallet = server.funded("BRL", "1.00");
    let before = (
        server.minor(&a),
        server.minor(&source),
        server.figures(&wallet),
        server.last_seq(),
    );
    server
        .single(item(&fresh("t"), &a, &source, "1", "BRL"))
        .refused(400, "insufficient_funds");
    server
        .single(item(&fresh("t"), &a, "nobody", "1", "BRL"))
        .refused(404, "credit_account_not_found");
    server
        .withdraw(&wallet, "1.01")
        .refused(400, "insufficient_funds");
    server
        .hold(&wallet, "1.01")
        .refused(400, "insufficient_funds");
    server
        .reverse("0190f000-0000-7000-8000-00000000dead", "x")
        .refused(404, "transaction_not_found");
    let after = (
        server.minor(&a),
        server.minor(&source),
        server.figures(&wallet),
        server.last_seq(),
    );
    assert_eq!(before, after);
}
