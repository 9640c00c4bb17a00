//! Clocks: cases 60, 61 and 71 of the contract's table. They move the clock of their server one
//! after the other.

use florin_base::Timestamp;
use serde_json::json;

use crate::edge_reads::shifted;
use crate::server::moves::{fresh, item};
use crate::server::{Launch, Server, Who, cases, path};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

#[test]
fn edge_cases_of_clocks() {
    let server = Launch::new().start();
    cases!(server;
        case_71_midnight_opens_a_new_window,
        case_60_the_wall_clock_is_set_back,
        case_61_the_wall_clock_jumps_ahead,
    );
}

fn recorded_at(server: &Server) -> String {
    server
        .get(Who::Service, "/api/v1/ledger")
        .ok(200)
        .text_of("recordedAt")
        .to_owned()
}

/// The wall clock now, by moving both clocks one second.
fn now(server: &Server) -> String {
    let moved = server
        .put(
            Who::Admin,
            "/api/v1/dev/clock",
            json!({"advanceSeconds": 1}),
        )
        .ok(200);
    moved.text_of("now").to_owned()
}

fn case_71_midnight_opens_a_new_window(server: &Server) {
    let wallet = server.funded("BRL", "5000.00");
    server
        .limits(&wallet, json!({"out": {"daily": "1000.00"}}))
        .ok(200);
    // From noon on, so that neither midnight is near by chance.
    let noon = Timestamp::parse(&now(server)).expect("a time").micros();
    let noon = (noon / DAY + 1) * DAY + DAY / 2 - noon;
    server.advance(noon / 1_000_000);
    let now = now(server);
    let today = &now[..10];
    let eve = format!("{today}T23:59:50Z");
    server.set_wall(&eve);
    let late = server.withdraw(&wallet, "1000.00").ok(200);
    assert!(
        late.text_of("createdAt").starts_with(today),
        "{}",
        late.text
    );
    server
        .withdraw(&wallet, "0.01")
        .refused(422, "limit_exceeded");
    let midnight = shifted(&format!("{today}T23:59:59Z"), 1_100_000);
    assert!(midnight.ends_with("T00:00:00.100000Z"), "{midnight}");
    server.set_wall(&midnight);
    let early = server.withdraw(&wallet, "1000.00").ok(200);
    assert_eq!(early.text_of("createdAt")[..10], midnight[..10]);
    assert_eq!(server.balance(&wallet), "3000.00");
}

fn case_60_the_wall_clock_is_set_back(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    let body = json!({"amount": "40.00", "expiresInSeconds": 600, "referenceId": fresh("h")});
    server
        .post(Who::Service, &path(&wallet, "holds"), body)
        .ok(201);
    let before = recorded_at(server);
    server.set_wall(&shifted(&now(server), -3_600_000_000));
    let mut last = before;
    for _ in 0..5 {
        let done = server.withdraw(&wallet, "1.00").ok(200);
        let at = done.text_of("createdAt").to_owned();
        assert!(at > last, "{at} after {last}");
        last = at;
    }
    let ready = server.get(Who::Nobody, "/ready").ok(200);
    assert_eq!(ready.body["status"], "degraded", "{}", ready.text);
    assert!(ready.text.contains("\"clock\""), "{}", ready.text);
    server.advance(590);
    server
        .withdraw(&wallet, "60.00")
        .refused(400, "insufficient_funds");
    server.advance(11);
    assert_eq!(server.figures(&wallet).0, "95.00");
    server.withdraw(&wallet, "95.00").ok(200);
    server.set_wall(&shifted(&recorded_at(server), 1_000_000));
    server.get(Who::Nobody, "/ready").ok(200);
}

fn case_61_the_wall_clock_jumps_ahead(server: &Server) {
    let wallet = server.funded("BRL", "100.00");
    let body = json!({"amount": "40.00", "expiresInSeconds": 3600, "referenceId": fresh("h")});
    let hold = server
        .post(Who::Service, &path(&wallet, "holds"), body)
        .ok(201)
        .id();
    let good = now(server);
    server.set_wall(&shifted(&good, 2 * 86_400_000_000));
    let refused = server
        .withdraw(&wallet, "1.00")
        .refused(503, "clock_unsafe");
    assert!(!refused.header("retry-after").is_empty());
    let (source, to) = ("florin:external:BRL", format!("florin:wallet:{wallet}"));
    let item = item(&fresh("t"), source, &to, "1", "BRL");
    server
        .post(Who::Admin, "/api/v1/ledger/transfers", item)
        .refused(503, "clock_unsafe");
    assert_eq!(
        server.figures(&wallet),
        ("100.00".into(), "40.00".into(), "60.00".into())
    );
    let shown = server
        .get(Who::Service, &format!("/api/v1/holds/{hold}"))
        .ok(200);
    assert_eq!(shown.text_of("status"), "ACTIVE");
    let ready = server.get(Who::Nobody, "/ready");
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert!(ready.text.contains("clock"), "{}", ready.text);
    server.get(Who::Nobody, "/health").ok(200);
    server.set_wall(&good);
    server.withdraw(&wallet, "1.00").ok(200);
    server.get(Who::Nobody, "/ready").ok(200);
    assert_eq!(
        server.figures(&wallet),
        ("99.00".into(), "40.00".into(), "59.00".into())
    );
}
