//! Statements: INV-L20, contract B7.

use serde_json::{Value, json};

use crate::support::{SECOND, SERVICE, Server, path};

/// Minor units of a decimal with two digits.
fn minor(text: &str) -> i64 {
    text.replace('.', "").parse().expect("a decimal")
}

/// Movements over three hours from the server's start.
async fn busy_wallet(server: &Server) -> String {
    let wallet = server.wallet("maria", "BRL").await;
    for hour in 0..3 {
        for step in 1..=4 {
            server.deposit(&wallet, &format!("{step}.50")).await.ok(200);
            server.clock.advance(60 * SECOND);
        }
        let body = json!({"amount": "2.00", "referenceId": format!("-w{hour}"),
                          "description": "=SUM(A1), \"quoted\""});
        server
            .post(SERVICE, &path(&wallet, "withdraw"), body)
            .await
            .ok(200);
        let hold = server.hold(&wallet, "1.00").await.ok(201);
        server
            .capture(hold.text_of("id"), json!({"amount": "0.40"}))
            .await
            .ok(200);
        server.clock.advance(3_600 * SECOND - 240 * SECOND);
    }
    wallet
}

async fn statement(server: &Server, wallet: &str, query: &str) -> Value {
    server
        .get(SERVICE, &path(wallet, &format!("statement?{query}")))
        .await
        .ok(200)
        .body
}

#[tokio::test]
async fn inv_l20_opening_plus_items_is_closing_and_neighbours_join() {
    let server = Server::start();
    let wallet = busy_wallet(&server).await;
    for axis in ["recorded", "effective"] {
        let borders = [
            "2026-03-10T00:00:00Z",
            "2026-03-10T12:02:00Z",
            "2026-03-10T13:00:00Z",
            "2026-03-11T00:00:00Z",
        ];
        let mut closing = "0.00".to_owned();
        let mut count = 0;
        for pair in borders.windows(2) {
            let query = format!("from={}&to={}&axis={axis}", pair[0], pair[1]);
            let body = statement(&server, &wallet, &query).await;
            assert_eq!(body["opening"], *closing, "{query}");
            let mut running = minor(&closing);
            for item in body["items"].as_array().expect("items") {
                let amount = minor(item["amount"].as_str().expect("amount"));
                running += if item["direction"] == "IN" {
                    amount
                } else {
                    -amount
                };
                assert_eq!(
                    minor(item["balanceAfter"].as_str().expect("balance")),
                    running
                );
                count += 1;
            }
            closing = body["closing"].as_str().expect("closing").to_owned();
            assert_eq!(minor(&closing), running, "{query}");
            let (into, out) = (&body["totals"]["in"], &body["totals"]["out"]);
            let moved = minor(into.as_str().expect("in")) - minor(out.as_str().expect("out"));
            assert_eq!(
                minor(body["opening"].as_str().expect("opening")) + moved,
                running
            );
        }
        assert_eq!(count, 18, "{axis}");
        assert_eq!(closing, server.balance(&wallet).await);
    }
}

#[tokio::test]
async fn pages_are_one_statement_as_of_the_first() {
    let server = Server::start();
    let wallet = busy_wallet(&server).await;
    for axis in ["recorded", "effective"] {
        let query = format!("from=2026-03-10T00:00:00Z&to=2026-03-12T00:00:00Z&axis={axis}");
        let whole = statement(&server, &wallet, &query).await;
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = statement(&server, &wallet, &format!("{query}&limit=5{cursor}")).await;
            for member in ["opening", "closing", "totals", "asOfSeq"] {
                assert_eq!(page[member], whole[member], "{member}");
            }
            items.extend(page["items"].as_array().expect("items").clone());
            server.deposit(&wallet, "9.00").await.ok(200);
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(json!(items), whole["items"], "{axis}");
        assert_eq!(whole["totals"]["count"], items.len());
    }
}

#[tokio::test]
async fn csv_is_the_same_statement() {
    let server = Server::start();
    let wallet = busy_wallet(&server).await;
    let query = "from=2026-03-10T00:00:00Z&to=2026-03-12T00:00:00Z";
    let whole = statement(&server, &wallet, query).await;
    let csv = path(&wallet, &format!("statement?{query}&format=csv"));
    let reply = server.get(SERVICE, &csv).await.ok(200);
    assert_eq!(reply.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<&str> = reply.text.split_terminator("\r\n").collect();
    assert_eq!(
        lines[0],
        "recordedAt,effectiveAt,transactionId,type,direction,amount,currency,balanceAfter,referenceId,description"
    );
    let items = whole["items"].as_array().expect("items");
    assert_eq!(lines.len(), items.len() + 3);
    assert_eq!(
        lines[1],
        "2026-03-10T00:00:00.000000Z,,,OPENING,,,BRL,0.00,,"
    );
    let closing = whole["closing"].as_str().expect("closing");
    let last = format!("2026-03-12T00:00:00.000000Z,,,CLOSING,,,BRL,{closing},,");
    assert_eq!(lines[lines.len() - 1], last);
    for (line, item) in lines[2..].iter().zip(items) {
        let text = |member: &str| item[member].as_str().unwrap_or_default().to_owned();
        let start = [
            text("recordedAt"),
            text("effectiveAt"),
            text("transactionId"),
            text("type"),
            text("direction"),
            text("amount"),
            "BRL".into(),
            text("balanceAfter"),
        ]
        .join(",");
        assert!(line.starts_with(&start), "{line}\n{item}");
    }
    let withdrawal = lines
        .iter()
        .find(|line| line.contains("WITHDRAWAL"))
        .expect("one");
    assert!(
        withdrawal.ends_with(",'-w0,\"'=SUM(A1), \"\"quoted\"\"\""),
        "{withdrawal}"
    );
}

#[tokio::test]
async fn a_statement_is_final_when_nothing_can_come_any_more() {
    let server = Server::start();
    let wallet = busy_wallet(&server).await;
    let query = "from=2026-03-10T00:00:00Z&to=2026-03-10T13:00:00Z";
    assert_eq!(statement(&server, &wallet, query).await["final"], true);
    let open = statement(
        &server,
        &wallet,
        "from=2026-03-10T00:00:00Z&to=2026-03-11T00:00:00Z",
    )
    .await;
    assert_eq!(open["final"], false);
    let effective = statement(&server, &wallet, &format!("{query}&axis=effective")).await;
    assert_eq!(effective["final"], false, "the period is not closed");
    for (query, field) in [
        ("to=2026-03-11T00:00:00Z", "from"),
        ("from=2026-03-11T00:00:00Z", "to"),
        ("from=2026-03-11T00:00:00Z&to=2026-03-10T00:00:00Z", "to"),
        (
            "from=2026-03-10T00:00:00Z&to=2026-03-11T00:00:00Z&format=pdf",
            "format",
        ),
    ] {
        let refused = server
            .get(SERVICE, &path(&wallet, &format!("statement?{query}")))
            .await;
        assert_eq!(refused.code(), (400, "validation_failed"), "{query}");
        assert_eq!(refused.body["errors"][0]["field"], field, "{query}");
    }
}
