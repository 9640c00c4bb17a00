//! Reads: cases 58, 59, 66 and 67 of the contract's table, and the invariants about what reads
//! show.

use florin_base::Timestamp;
use serde_json::{Value, json};

use crate::server::moves::{fresh, item, item_with};
use crate::server::{Launch, Rng, Server, Who, cases, path};

#[test]
fn edge_cases_of_reads() {
    let server = Launch::new().start();
    cases!(server;
        case_58_times_with_and_without_zone,
        case_59_the_record_of_that_very_time_counts,
        case_66_cursors,
        case_67_the_feed_beyond_its_end,
        inv_l14_the_past_stays,
        inv_l15_history_adds_up,
        inv_l18_wallets_are_accounts,
        inv_l20_statements_add_up_and_join,
        x_florin_seq_is_what_an_answer_reflects,
    );
}

/// The time that many microseconds later.
pub fn shifted(time: &str, micros: i64) -> String {
    Timestamp(Timestamp::parse(time).expect("a time").micros() + micros).to_string()
}

fn historical(server: &Server, wallet: &str, query: &str) -> crate::server::Reply {
    server.get(
        Who::Service,
        &path(wallet, &format!("balance/historical{query}")),
    )
}

fn case_58_times_with_and_without_zone(server: &Server) {
    let wallet = server.empty("BRL");
    let first = server.deposit(&wallet, "10.00").ok(200);
    server.deposit(&wallet, "5.00").ok(200);
    let at = first.text_of("createdAt").to_owned();
    let bare = at.trim_end_matches('Z');
    let with_zone = historical(server, &wallet, &format!("?timestamp={at}")).ok(200);
    let without = historical(server, &wallet, &format!("?timestamp={bare}")).ok(200);
    let offset = historical(server, &wallet, &format!("?timestamp={bare}%2B00:00")).ok(200);
    for reply in [&with_zone, &without, &offset] {
        assert_eq!(reply.text_of("balance"), "10.00", "{}", reply.text);
        assert_eq!(reply.text_of("asOf"), at);
        assert_eq!(reply.body["transactionCount"], 1);
    }
    assert_eq!(without.text_of("timestamp"), bare, "as sent");
    for wrong in [
        "",
        "?timestamp=",
        "?timestamp=yesterday",
        "?timestamp=2026-13-01T00:00",
    ] {
        assert_eq!(historical(server, &wallet, wrong).status, 400, "{wrong}");
    }
    let minute = historical(server, &wallet, "?timestamp=2020-01-01T00:00").ok(200);
    assert_eq!(
        (
            minute.text_of("balance"),
            minute.body["transactionCount"].clone()
        ),
        ("0.00", json!(0))
    );
    let future = historical(server, &wallet, "?timestamp=2999-01-01T00:00:00Z").ok(200);
    assert_eq!(future.text_of("balance"), "15.00");
    let alias = server
        .get(
            Who::Service,
            &path(&wallet, &format!("balance/history?timestamp={at}")),
        )
        .ok(200);
    assert_eq!(alias.text, with_zone.text);
}

fn case_59_the_record_of_that_very_time_counts(server: &Server) {
    let wallet = server.funded("BRL", "10.00");
    let done = server.withdraw(&wallet, "4.00").ok(200);
    let at = done.text_of("createdAt");
    let balance = |at: &str| {
        historical(server, &wallet, &format!("?timestamp={at}"))
            .ok(200)
            .text_of("balance")
            .to_owned()
    };
    assert_eq!(balance(at), "6.00");
    assert_eq!(balance(&shifted(at, -1)), "10.00");
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item["id"].as_str().expect("id").to_owned())
        .collect()
}

fn case_66_cursors(server: &Server) {
    let wallet = server.empty("BRL");
    for _ in 0..7 {
        server.deposit(&wallet, "1.00").ok(200);
    }
    let all: Vec<String> = server
        .transactions(&wallet)
        .iter()
        .map(|t| t["id"].as_str().expect("id").to_owned())
        .collect();
    let get = |query: &str| {
        server.get(
            Who::Service,
            &path(&wallet, &format!("transactions?{query}")),
        )
    };
    let first = get("limit=3").ok(200);
    let cursor = first.text_of("nextCursor").to_owned();
    get(&format!("limit=3&type=DEPOSIT&cursor={cursor}")).refused(400, "cursor_mismatch");
    let other = server.empty("BRL");
    server
        .get(
            Who::Service,
            &path(&other, &format!("transactions?limit=3&cursor={cursor}")),
        )
        .refused(400, "cursor_mismatch");
    let altered: String = cursor.chars().rev().collect();
    get(&format!("limit=3&cursor={altered}")).refused(400, "cursor_invalid");
    let second = get(&format!("limit=3&cursor={cursor}")).ok(200);
    for _ in 0..3 {
        server.deposit(&wallet, "1.00").ok(200);
    }
    let again = get(&format!("limit=3&cursor={cursor}")).ok(200);
    assert_eq!(again.text, second.text, "the same page after new records");
    let last = get(&format!("limit=3&cursor={}", second.text_of("nextCursor"))).ok(200);
    assert!(last.body["nextCursor"].is_null(), "{}", last.text);
    let walked = [ids(&first.body), ids(&second.body), ids(&last.body)].concat();
    assert_eq!(
        walked, all,
        "one walk shows the wallet as of its first page"
    );
    get("limit=0").refused(400, "validation_failed");
    get("limit=501").refused(400, "validation_failed");
    get("colour=blue").ok(400);
    ledger_cursors(server);
}

fn ledger_cursors(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let post = || {
        server
            .single(item(&fresh("t"), &source, &a, "1", "BRL"))
            .ok(201)
    };
    for _ in 0..5 {
        post();
    }
    let get = |query: &str| {
        server.get(
            Who::Service,
            &format!("/api/v1/ledger/accounts/{a}/transfers?{query}"),
        )
    };
    let first = get("limit=2").ok(200);
    let cursor = first.text_of("nextCursor").to_owned();
    let second = get(&format!("limit=2&cursor={cursor}")).ok(200);
    post();
    assert_eq!(
        get(&format!("limit=2&cursor={cursor}")).ok(200).text,
        second.text
    );
    get(&format!("limit=2&order=desc&cursor={cursor}")).refused(400, "cursor_mismatch");
    let third = get(&format!("limit=2&cursor={}", second.text_of("nextCursor"))).ok(200);
    assert_eq!(
        ids(&third.body).len(),
        1,
        "the sixth is newer than the walk"
    );
    assert!(third.body["nextCursor"].is_null());
}

fn case_67_the_feed_beyond_its_end(server: &Server) {
    let last = server.last_seq();
    let get = |after: u64| {
        server.get(
            Who::Auditor,
            &format!("/api/v1/ledger/changes?after={after}"),
        )
    };
    get(last + 1).refused(409, "seq_ahead");
    let empty = get(last).ok(200);
    assert_eq!(empty.text, "");
    assert_eq!(empty.header("content-type"), "application/x-ndjson");
    let tail = get(last - 1).ok(200);
    assert_eq!(tail.json_lines().len(), 1);
    assert!(tail.text.ends_with('\n'));
}

fn inv_l14_the_past_stays(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let mut times = Vec::new();
    for amount in ["10", "20", "30"] {
        let done = server
            .single(item(&fresh("t"), &source, &a, amount, "BRL"))
            .ok(201);
        times.push(done.text_of("recordedAt").to_owned());
    }
    let sample = || {
        let mut found = Vec::new();
        for recorded in &times {
            for effective in [times[0].as_str(), "2026-01-01T00:00:00Z", times[2].as_str()] {
                let query = format!("effectiveAt={effective}&recordedAt={recorded}");
                let reply = server.get(
                    Who::Service,
                    &format!("/api/v1/ledger/accounts/{a}/balance?{query}"),
                );
                found.push(reply.ok(200).text_of("balance").to_owned());
            }
        }
        found
    };
    let before = sample();
    let dated = json!({"effectiveAt": "2025-12-01T00:00:00Z"});
    server
        .single(item_with(&fresh("t"), &source, &a, "7", "BRL", dated))
        .ok(201);
    assert_eq!(sample(), before);
    assert_eq!(before[..3], ["10", "0", "10"]);
    let now = server.get(
        Who::Service,
        &format!("/api/v1/ledger/accounts/{a}/balance?effectiveAt=2026-01-01T00:00:00Z"),
    );
    assert_eq!(now.ok(200).text_of("balance"), "7");
}

fn inv_l15_history_adds_up(server: &Server) {
    let source = server.source("BRL");
    let accounts: Vec<String> = (0..3)
        .map(|_| server.account("BRL", json!({"mayOverdraw": true})))
        .collect();
    let mut rng = Rng::new(0xf10a);
    for _ in 0..40 {
        let account = rng.pick(&accounts).clone();
        let amount = (1 + rng.below(100)).to_string();
        let (debit, credit) = if rng.below(2) == 0 {
            (&source, &account)
        } else {
            (&account, &source)
        };
        let more = match rng.below(3) {
            0 => json!({"effectiveAt": format!("2025-0{}-01T00:00:00Z", 1 + rng.below(9))}),
            _ => json!({}),
        };
        server
            .single(item_with(&fresh("t"), debit, credit, &amount, "BRL", more))
            .ok(201);
    }
    for account in &accounts {
        let (balance, _) = server.minor(account);
        for axis in ["recorded", "effective"] {
            let reply = server.get(
                Who::Service,
                &format!("/api/v1/ledger/accounts/{account}/history?axis={axis}&limit=500"),
            );
            let items = reply.ok(200).body["items"]
                .as_array()
                .expect("items")
                .clone();
            let mut sum = 0_i64;
            for item in &items {
                let amount: i64 = item["amountMinor"]
                    .as_str()
                    .expect("amount")
                    .parse()
                    .expect("number");
                sum += if item["side"] == "credit" {
                    amount
                } else {
                    -amount
                };
                assert_eq!(item["balanceAfter"], sum.to_string(), "{axis}");
            }
            assert_eq!(sum.to_string(), balance, "{axis}");
        }
    }
}

fn inv_l18_wallets_are_accounts(server: &Server) {
    let (wallet, other) = (server.funded("BRL", "100.00"), server.empty("BRL"));
    server.transfer(&wallet, &other, "12.34").ok(200);
    server.hold(&wallet, "5.00").ok(201);
    for wallet in [wallet, other] {
        let (balance, _, available) = server.figures(&wallet);
        let (minor, minor_available) = server.minor(&format!("florin:wallet:{wallet}"));
        assert_eq!(
            (balance.replace('.', ""), available.replace('.', "")),
            (minor, minor_available)
        );
    }
}

fn minor(text: &Value) -> i64 {
    text.as_str()
        .expect("amount")
        .replace('.', "")
        .parse()
        .expect("number")
}

fn inv_l20_statements_add_up_and_join(server: &Server) {
    let (wallet, other) = (server.funded("BRL", "100.00"), server.empty("BRL"));
    let mut times = Vec::new();
    for cents in 1..=6_u32 {
        let done = server
            .transfer(&wallet, &other, &format!("{cents}.10"))
            .ok(200);
        times.push(done.text_of("createdAt").to_owned());
    }
    let statement = |from: &str, to: &str, more: &str| {
        server
            .get(
                Who::Service,
                &path(&wallet, &format!("statement?from={from}&to={to}{more}")),
            )
            .ok(200)
    };
    let mut closing: Option<Value> = None;
    for pair in [&times[0], &times[2], &times[3], &times[5]].windows(2) {
        let reply = statement(pair[0], pair[1], "").body;
        let items = reply["items"].as_array().expect("items");
        let moved: i64 = items
            .iter()
            .map(|item| {
                let amount = minor(&item["amount"]);
                if item["direction"] == "IN" {
                    amount
                } else {
                    -amount
                }
            })
            .sum();
        assert_eq!(
            minor(&reply["opening"]) + moved,
            minor(&reply["closing"]),
            "{reply}"
        );
        assert!(
            closing.is_none_or(|closing| closing == reply["opening"]),
            "neighbours join: {reply}"
        );
        assert_eq!(reply["totals"]["count"], items.len());
        closing = Some(reply["closing"].clone());
        let csv = statement(pair[0], pair[1], "&format=csv");
        assert!(csv.header("content-type").starts_with("text/csv"));
        let rows: Vec<&str> = csv.text.lines().collect();
        assert_eq!(
            rows.len(),
            items.len() + 3,
            "head, opening, items, closing: {}",
            csv.text
        );
        assert!(rows[1].contains("OPENING") && rows[rows.len() - 1].contains("CLOSING"));
        for (row, item) in rows[2..].iter().zip(items) {
            assert!(
                row.contains(item["transactionId"].as_str().expect("id")),
                "{row}"
            );
            assert!(
                row.contains(item["balanceAfter"].as_str().expect("balance")),
                "{row}"
            );
        }
    }
}

fn x_florin_seq_is_what_an_answer_reflects(server: &Server) {
    let wallet = server.funded("BRL", "1.00");
    let done = server.withdraw(&wallet, "0.50").ok(200);
    assert_eq!(done.header("x-florin-seq"), done.body["seq"].to_string());
    let shown = server.get(Who::Service, &path(&wallet, "balance")).ok(200);
    assert_eq!(
        shown.header("x-florin-seq"),
        shown.body["asOfSeq"].to_string()
    );
    let read = |seq: &str| {
        let call = server.call(Who::Service, "GET", &path(&wallet, "balance"));
        call.header("x-min-seq", seq).send()
    };
    read(done.header("x-florin-seq")).ok(200);
    assert_eq!(read("x").status, 400);
}
