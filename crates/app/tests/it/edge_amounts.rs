//! Amounts and currencies: cases 15 to 19, 25 to 29 of the contract's table.

use serde_json::{Value, json};

use crate::server::moves::{codes, fresh, item};
use crate::server::{Launch, Reply, Rng, Server, Who, cases, path};

#[test]
fn edge_cases_of_amounts() {
    let server = Launch::new().start();
    cases!(server;
        case_15_the_range_of_one_call,
        case_16_more_decimals_than_the_currency_has,
        case_17_only_plain_decimals_are_amounts,
        case_18_eighteen_decimals_are_exact,
        case_19_minor_units_of_the_ledger,
        case_25_a_wallet_of_an_unknown_currency,
        case_26_the_wallets_currency_counts,
        case_27_currencies_meet_by_a_rate_only,
        case_28_a_conversion_to_nothing,
        case_29_conversions_round_down,
        inv_l17_conversions_gain_nothing,
    );
}

/// A deposit whose amount is written as it stands.
fn deposit(server: &Server, wallet: &str, amount: &str) -> Reply {
    let body = format!(
        r#"{{"amount": {amount}, "referenceId": "{}"}}"#,
        fresh("ref")
    );
    server
        .call(Who::Service, "POST", &path(wallet, "deposit"))
        .text(&body)
        .send()
}

fn case_15_the_range_of_one_call(server: &Server) {
    let wallet = server.empty("BRL");
    for amount in [
        "0",
        "\"0\"",
        "\"0.00\"",
        "-10.00",
        "\"-10.00\"",
        "1000000.01",
        "\"1000000.01\"",
    ] {
        deposit(server, &wallet, amount).refused(400, "amount_out_of_range");
    }
    deposit(server, &wallet, "0.01").ok(200);
    deposit(server, &wallet, "1000000.00").ok(200);
    assert_eq!(server.balance(&wallet), "1000000.01");
    let yen = server.empty("JPY");
    deposit(server, &yen, "1").ok(200);
    deposit(server, &yen, "0").refused(400, "amount_out_of_range");
}

fn case_16_more_decimals_than_the_currency_has(server: &Server) {
    let wallet = server.empty("BRL");
    for amount in ["10.015", "\"10.000\"", "\"10.015\"", "10.000"] {
        let refused = deposit(server, &wallet, amount).refused(400, "amount_precision");
        assert_eq!(refused.text_of("field"), "amount");
    }
    let yen = server.empty("JPY");
    deposit(server, &yen, "1.5").refused(400, "amount_precision");
    assert_eq!(server.balance(&wallet), "0.00");
}

#[test]
fn case_16_profile_compat_rounds_numbers_half_even_and_prints_numbers() {
    let server = Launch::new()
        .config("[wallets]\nprofile = \"compat\"\n")
        .start();
    let wallet = server.empty("BRL");
    let yen = server.empty("JPY");
    let first = deposit(&server, &wallet, "10.015").ok(200);
    assert!(first.text.contains("\"amount\":10.02"), "{}", first.text);
    for (amount, total) in [("10.025", "20.04"), ("0.005", "")] {
        let reply = deposit(&server, &wallet, amount);
        match total {
            "" => assert_eq!(reply.code(), (400, "amount_out_of_range"), "{}", reply.text),
            total => assert!(
                reply
                    .ok(200)
                    .text
                    .contains(&format!("\"newBalance\":{total}"))
            ),
        }
    }
    let two = deposit(&server, &yen, "1.5").ok(200);
    assert!(
        two.text.contains("\"newBalance\":2,") || two.text.contains("\"newBalance\":2}"),
        "{}",
        two.text
    );
    deposit(&server, &wallet, "\"10.015\"").refused(400, "amount_precision");
    let shown = server.get(Who::Service, &path(&wallet, "balance")).ok(200);
    assert!(shown.text.contains("\"balance\":20.04"), "{}", shown.text);
    let ready = server.get(Who::Nobody, "/ready").ok(200);
    assert!(
        ready.text.contains("compat"),
        "the profile is shown: {}",
        ready.text
    );
    server
        .get(Who::Nobody, "/api/v1/wallets")
        .refused(401, "unauthenticated");
}

fn case_17_only_plain_decimals_are_amounts(server: &Server) {
    let wallet = server.empty("BRL");
    for amount in [
        "1e2", "\"1,00\"", "\" 1\"", "\"\"", "\"NaN\"", "true", "\"+1\"", "\"1e2\"", "\"01\"",
        "\".5\"", "\"1.\"",
    ] {
        deposit(server, &wallet, amount).refused(400, "amount_invalid");
    }
    assert_eq!(server.balance(&wallet), "0.00");
    assert!(server.transactions(&wallet).is_empty());
}

fn case_18_eighteen_decimals_are_exact(server: &Server) {
    let wallet = server.empty("ETH");
    let reply = deposit(server, &wallet, "\"0.000000000000000001\"").ok(200);
    assert_eq!(reply.text_of("newBalance"), "0.000000000000000001");
    deposit(server, &wallet, "\"999999.999999999999999999\"").ok(200);
    assert_eq!(server.balance(&wallet), "1000000.000000000000000000");
    deposit(server, &wallet, "\"0.0000000000000000001\"").refused(400, "amount_precision");
}

fn case_19_minor_units_of_the_ledger(server: &Server) {
    let (source, account) = (server.source("BRL"), server.account("BRL", json!({})));
    let send = |amount: &str| server.batch(&[item(&fresh("t"), &source, &account, amount, "BRL")]);
    assert_eq!(codes(&send("0")), ["amount_must_not_be_zero"]);
    for wrong in [
        "12.5",
        "340282366920938463463374607431768211456",
        "-1",
        "01",
        "",
        "1e3",
    ] {
        let reply = send(wrong);
        assert_eq!(codes(&reply), ["amount_invalid"], "{wrong}");
        assert!(reply.body.get("batch").is_none(), "nothing was recorded");
    }
    let number = json!({"transfers": [{
        "id": fresh("t"), "debitAccountId": source, "creditAccountId": account,
        "amountMinor": 12, "asset": "BRL", "code": "test",
    }]});
    let reply = server.post(Who::Service, "/api/v1/ledger/transfers", number);
    assert_eq!(reply.status, 400, "{}", reply.text);
    server
        .single(item(&fresh("t"), &source, &account, "0", "BRL"))
        .refused(400, "amount_must_not_be_zero");
    server
        .single(item(&fresh("t"), &source, &account, "12.5", "BRL"))
        .refused(400, "amount_invalid");
    assert_eq!(server.minor(&account).0, "0");
}

fn case_25_a_wallet_of_an_unknown_currency(server: &Server) {
    let create = |currency: Value| {
        let body = json!({"userId": fresh("user"), "currency": currency});
        server.post(Who::Service, "/api/v1/wallets", body)
    };
    create(json!("ZZZ")).refused(400, "currency_unknown");
    let made = server
        .post(
            Who::Service,
            "/api/v1/wallets",
            json!({"userId": fresh("user")}),
        )
        .ok(201);
    assert_eq!(made.text_of("currency"), "BRL", "the default");
    assert_eq!(
        made.header("location"),
        format!("/api/v1/wallets/{}", made.id())
    );
    assert_eq!(
        (made.text_of("balance"), made.text_of("status")),
        ("0.00", "ACTIVE")
    );
}

fn case_26_the_wallets_currency_counts(server: &Server) {
    let wallet = server.empty("BRL");
    let send = |currency: &str| {
        let body = json!({"amount": "1.00", "currency": currency, "referenceId": fresh("ref")});
        server.post(Who::Service, &path(&wallet, "deposit"), body)
    };
    send("USD").refused(422, "currency_mismatch");
    send("BRL").ok(200);
    assert_eq!(server.balance(&wallet), "1.00");
    let hold = json!({"amount": "1.00", "currency": "USD", "referenceId": fresh("ref")});
    server
        .post(Who::Service, &path(&wallet, "holds"), hold)
        .refused(422, "currency_mismatch");
}

fn convert(
    server: &Server,
    who: Who,
    from: &str,
    to: &str,
    amount: &str,
    rate: Option<&str>,
) -> Reply {
    let mut body = json!({"amount": amount, "toWalletId": to, "referenceId": fresh("fx")});
    if let Some(rate) = rate {
        body["rate"] = json!({"value": rate, "source": "desk"});
    }
    server.post(who, &path(from, "transfer"), body)
}

fn case_27_currencies_meet_by_a_rate_only(server: &Server) {
    let reais = server.wallet(server.demo("userName"), "BRL");
    server.deposit(&reais, "100.00").ok(200);
    let dollars = server.wallet(server.demo("userName"), "USD");
    convert(server, Who::Service, &reais, &dollars, "10.00", None).refused(422, "rate_required");
    convert(server, Who::Ana, &reais, &dollars, "10.00", Some("0.2")).refused(403, "forbidden");
    let before = server.last_seq();
    let done = convert(server, Who::Service, &reais, &dollars, "10.00", Some("0.2")).ok(200);
    assert_eq!(
        (done.text_of("amount"), done.text_of("currency")),
        ("10.00", "BRL")
    );
    assert_eq!(
        (
            done.text_of("destinationAmount"),
            done.text_of("destinationCurrency")
        ),
        ("2.00", "USD")
    );
    assert_eq!(
        (server.balance(&reais), server.balance(&dollars)),
        ("90.00".into(), "2.00".into())
    );
    let legs: Vec<Value> = server
        .changes(before)
        .into_iter()
        .filter(|l| l["type"] == "transfer")
        .collect();
    assert_eq!(legs.len(), 2, "{legs:?}");
    assert_eq!(legs[0]["data"]["creditAccountId"], "florin:fx:BRL");
    assert_eq!(legs[1]["data"]["debitAccountId"], "florin:fx:USD");
    assert_eq!(legs[1]["data"]["id"], format!("{}:2", done.id()));
    assert_eq!(legs[0]["data"]["chainId"], legs[1]["data"]["chainId"]);
    let other = server.empty("BRL");
    convert(server, Who::Service, &reais, &other, "10.00", Some("1"))
        .refused(400, "rate_not_allowed");
}

fn case_28_a_conversion_to_nothing(server: &Server) {
    let (yen, bitcoin) = (server.funded("JPY", "100"), server.empty("USD"));
    convert(server, Who::Service, &yen, &bitcoin, "1", Some("0.0065"))
        .refused(400, "amount_too_small");
    assert_eq!(server.balance(&yen), "100");
}

fn case_29_conversions_round_down(server: &Server) {
    let (reais, yen) = (server.funded("BRL", "10.00"), server.funded("JPY", "100"));
    let dollars = server.empty("USD");
    let first = convert(
        server,
        Who::Service,
        &reais,
        &dollars,
        "10.00",
        Some("0.1999"),
    )
    .ok(200);
    assert_eq!(first.text_of("destinationAmount"), "1.99");
    let second = convert(server, Who::Service, &yen, &dollars, "100", Some("0.0065")).ok(200);
    assert_eq!(second.text_of("destinationAmount"), "0.65");
    assert_eq!(server.balance(&dollars), "2.64");
}

/// Random rates and scales against exact integers: the target is the exact product, rounded
/// down; a target of nothing is refused. The trial balance at the end covers the sums.
fn inv_l17_conversions_gain_nothing(server: &Server) {
    let mut rng = Rng::new(17);
    let source = server.funded("BRL", "1000000.00");
    let targets =
        [("USD", 2), ("JPY", 0), ("BTC", 8)].map(|(code, scale)| (server.empty(code), scale));
    for round in 0..40 {
        let (target, scale) = rng.pick(&targets).clone();
        let cents = u128::from(1 + rng.below(10_000));
        let digits = u128::from(1 + rng.below(1_000_000));
        let decimals = usize::try_from(rng.below(8)).expect("small");
        let text = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = text.split_at(text.len() - decimals);
        let rate = if fraction.is_empty() {
            whole.to_owned()
        } else {
            format!("{whole}.{fraction}")
        };
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let exact = cents * digits * 10_u128.pow(scale)
            / 10_u128.pow(u32::try_from(decimals).expect("small") + 2);
        let reply = convert(server, Who::Service, &source, &target, &amount, Some(&rate));
        let what = format!(
            "round {round}: {amount} at {rate}, scale {scale}: {}",
            reply.text
        );
        match exact {
            0 => assert_eq!(reply.code(), (400, "amount_too_small"), "{what}"),
            _ => {
                let got: u128 = reply
                    .ok(200)
                    .text_of("destinationAmount")
                    .replace('.', "")
                    .parse()
                    .expect("digits");
                assert_eq!(got, exact, "{what}");
            }
        }
    }
}
