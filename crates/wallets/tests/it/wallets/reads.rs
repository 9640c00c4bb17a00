//! Lists, transactions and the balance at a time: cases 57 to 59, 66.

use florin_base::Timestamp;
use serde_json::{Value, json};

use crate::support::{SECOND, SERVICE, Server, path};

fn ids(body: &Value) -> Vec<String> {
    let items = body["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item["id"].as_str().expect("id").to_owned())
        .collect()
}

#[tokio::test]
async fn case_66_a_walk_shows_the_wallet_as_of_its_first_page() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let mut posted = Vec::new();
    for _ in 0..7 {
        let reply = server.deposit(&wallet, "1.00").await.ok(200);
        posted.push(reply.text_of("id").to_owned());
    }
    posted.reverse();
    let first = server
        .get(SERVICE, &path(&wallet, "transactions?limit=3"))
        .await
        .ok(200);
    assert_eq!(ids(&first.body), posted[..3]);
    let cursor = first.text_of("nextCursor").to_owned();
    server.deposit(&wallet, "1.00").await.ok(200);
    server.reverse(&posted[4], "between pages").await.ok(200);
    let second = path(&wallet, &format!("transactions?limit=4&cursor={cursor}"));
    let second = server.get(SERVICE, &second).await.ok(200);
    assert_eq!(ids(&second.body), posted[3..]);
    assert_eq!(
        second.body["items"][1]["status"], "COMPLETED",
        "as of the first page"
    );
    assert!(second.body["nextCursor"].is_null());
    let other = path(
        &wallet,
        &format!("transactions?type=DEPOSIT&cursor={cursor}"),
    );
    assert_eq!(
        server.get(SERVICE, &other).await.code(),
        (400, "cursor_mismatch")
    );
    let altered = path(&wallet, &format!("transactions?cursor=A{cursor}"));
    assert_eq!(
        server.get(SERVICE, &altered).await.code(),
        (400, "cursor_invalid")
    );
}

#[tokio::test]
async fn transactions_are_filtered() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "100.00").await;
    let other = server.wallet("joao", "BRL").await;
    server.clock.advance(3_600 * SECOND);
    let out = server.withdraw(&wallet, "10.00").await.ok(200);
    server.transfer(&wallet, &other, "20.00").await.ok(200);
    let undone = server.deposit(&wallet, "5.00").await.ok(200);
    server.reverse(undone.text_of("id"), "x").await.ok(200);
    let hold = server.hold(&wallet, "1.00").await.ok(201);
    server.capture(hold.text_of("id"), json!({})).await.ok(200);
    let types = |query: &str| {
        let path = path(&wallet, &format!("transactions{query}"));
        let server = &server;
        async move {
            let reply = server.get(SERVICE, &path).await.ok(200);
            let items = reply.body["items"].as_array().expect("items").clone();
            let types = items
                .iter()
                .map(|item| item["type"].as_str().expect("type").to_owned());
            types.collect::<Vec<_>>().join(" ")
        }
    };
    let all = "CAPTURE REVERSAL DEPOSIT TRANSFER WITHDRAWAL DEPOSIT";
    assert_eq!(types("").await, all);
    assert_eq!(types("?type=TRANSFER").await, "TRANSFER");
    assert_eq!(types("?direction=IN").await, "DEPOSIT DEPOSIT");
    assert_eq!(types("?status=REVERSED").await, "DEPOSIT");
    assert_eq!(
        types("?minAmount=10.00&maxAmount=20").await,
        "TRANSFER WITHDRAWAL"
    );
    let reference = format!("?referenceId={}", out.text_of("referenceId"));
    assert_eq!(types(&reference).await, "WITHDRAWAL");
    assert_eq!(types("?to=2026-03-10T13:00:00Z").await, "DEPOSIT");
    assert_eq!(
        types("?from=2026-03-10T13:00:00Z&axis=effective&limit=2").await,
        "CAPTURE REVERSAL"
    );
    for (query, code) in [
        ("?type=HOLD", "validation_failed"),
        ("?axis=x", "validation_failed"),
        ("?minAmount=1.001", "amount_precision"),
        ("?from=2026-03-10T13:00:00", "validation_failed"),
        ("?limit=501", "validation_failed"),
        ("?colour=red", "unknown_field"),
    ] {
        let refused = server
            .get(SERVICE, &path(&wallet, &format!("transactions{query}")))
            .await;
        assert_eq!(refused.code(), (400, code), "{query}");
    }
}

#[tokio::test]
async fn case_57_back_dated_records_count_when_they_say() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "10.00").await;
    let body = json!({
        "amount": "4.00", "referenceId": "late", "effectiveAt": "2026-03-01T00:00:00Z",
    });
    let done = server
        .post(SERVICE, &path(&wallet, "withdraw"), body)
        .await
        .ok(200);
    assert_eq!(done.text_of("effectiveAt"), "2026-03-01T00:00:00.000000Z");
    let at = |axis: &'static str| {
        let path = path(
            &wallet,
            &format!("balance/historical?timestamp=2026-03-05T00:00Z&axis={axis}"),
        );
        let server = &server;
        async move {
            server
                .get(SERVICE, &path)
                .await
                .ok(200)
                .text_of("balance")
                .to_owned()
        }
    };
    assert_eq!(at("effective").await, "-4.00", "the dip is shown as it is");
    assert_eq!(at("recorded").await, "0.00");
    let future = json!({
        "amount": "1.00", "referenceId": "future", "effectiveAt": "2026-03-10T12:00:01Z",
    });
    let refused = server
        .post(SERVICE, &path(&wallet, "deposit"), future)
        .await;
    assert_eq!(refused.code(), (422, "effective_time_in_future"));
}

#[tokio::test]
async fn cases_58_and_59_the_balance_at_a_time() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "10.00").await;
    server.clock.advance(60 * SECOND);
    let second = server.deposit(&wallet, "5.00").await.ok(200);
    let recorded = Timestamp::parse(second.text_of("createdAt")).expect("a time");
    let (at, before) = (
        recorded.to_string(),
        Timestamp(recorded.micros() - 1).to_string(),
    );
    let without_zone = at.trim_end_matches('Z');
    server.clock.advance(60 * SECOND);
    for route in ["balance/historical", "balance/history"] {
        for (sent, balance, count) in [
            ("2026-03-10T11:59:59", "0.00", 0),
            ("2026-03-10T12:00:30", "10.00", 1),
            (&before, "10.00", 1),
            (&at, "15.00", 2),
            (without_zone, "15.00", 2),
            ("2026-03-10T12:02", "15.00", 2),
            ("2026-03-10T14:01:30%2B02:00", "15.00", 2),
            ("2026-03-10T14:01:30+02:00", "15.00", 2),
            ("2030-01-01T00:00", "15.00", 2),
        ] {
            let path = path(&wallet, &format!("{route}?timestamp={sent}"));
            let reply = server.get(SERVICE, &path).await.ok(200);
            assert_eq!(reply.text_of("balance"), balance, "{sent}");
            assert_eq!(reply.body["transactionCount"], count, "{sent}");
            assert_eq!(reply.text_of("timestamp"), sent.replace("%2B", "+"));
        }
        for wrong in [
            "",
            "?timestamp=",
            "?timestamp=yesterday",
            "?timestamp=2026-02-30T00:00",
        ] {
            let refused = server
                .get(SERVICE, &path(&wallet, &format!("{route}{wrong}")))
                .await;
            assert_eq!(refused.code(), (400, "validation_failed"), "{wrong}");
        }
    }
    let future = path(&wallet, "balance/historical?timestamp=2030-01-01T00:00");
    let future = server.get(SERVICE, &future).await.ok(200);
    // Ledger time grows by a microsecond with each commit or read under a clock that stands.
    let as_of = future.text_of("asOf");
    assert!(as_of.starts_with("2026-03-10T12:02:00.0000"), "{as_of}");
}

#[tokio::test]
async fn case_60_a_clock_set_back_changes_nothing() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let before = server
        .deposit(&wallet, "1.00")
        .await
        .ok(200)
        .text_of("createdAt")
        .to_owned();
    let hour_ago = Timestamp::parse("2026-03-10T11:00:00Z").expect("a time");
    server.clock.set_wall(hour_ago.micros());
    let after = server
        .deposit(&wallet, "1.00")
        .await
        .ok(200)
        .text_of("createdAt")
        .to_owned();
    assert!(after >= before, "{before} {after}");
}

#[tokio::test]
async fn wallets_are_listed_in_order_of_creation() {
    let server = Server::start();
    let mut made = Vec::new();
    for currency in ["BRL", "USD", "BRL", "BRL"] {
        made.push(server.wallet("maria", currency).await);
    }
    server.status(&made[2], "freeze").await.ok(200);
    let list = |query: String| {
        let server = &server;
        async move {
            server
                .get(SERVICE, &format!("/api/v1/users/maria/wallets{query}"))
                .await
        }
    };
    assert_eq!(ids(&list(String::new()).await.ok(200).body), made);
    let brl = list("?currency=BRL".into()).await.ok(200);
    assert_eq!(
        ids(&brl.body),
        [made[0].clone(), made[2].clone(), made[3].clone()]
    );
    let frozen = list("?status=FROZEN".into()).await.ok(200);
    assert_eq!(ids(&frozen.body), [made[2].clone()]);
    let first = list("?limit=3".into()).await.ok(200);
    assert_eq!(ids(&first.body), made[..3]);
    let cursor = first.text_of("nextCursor").to_owned();
    server.clock.advance(SECOND);
    server.wallet("maria", "BRL").await;
    let rest = list(format!("?limit=3&cursor={cursor}")).await.ok(200);
    assert_eq!(
        ids(&rest.body),
        made[3..],
        "later wallets are not part of the walk"
    );
    assert!(rest.body["nextCursor"].is_null());
    let unknown = list("?currency=XYZ".into()).await;
    assert_eq!(unknown.code(), (400, "currency_unknown"));
}

#[tokio::test]
async fn reads_name_their_seq_and_honour_a_smallest_one() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let written = server.deposit(&wallet, "1.00").await.ok(200);
    let seq: u64 = written.header("x-florin-seq").parse().expect("a number");
    assert_eq!(written.body["seq"], seq);
    for (min, status) in [(seq, 200), (seq + 1, 409)] {
        let request = http::Request::get(path(&wallet, "balance"))
            .header("authorization", SERVICE)
            .header("x-min-seq", min);
        let reply = server
            .send(request.body(axum::body::Body::empty()).expect("a request"))
            .await;
        assert_eq!(reply.status, status, "{}", reply.text);
    }
    let read = server.get(SERVICE, &path(&wallet, "balance")).await.ok(200);
    assert_eq!(read.header("x-florin-seq"), seq.to_string());
    assert_eq!(read.body["asOfSeq"], seq);
}
