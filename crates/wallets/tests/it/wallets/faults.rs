//! What cannot be decided now: case 61, and a store that takes nothing.

use florin_base::Timestamp;
use serde_json::json;

use crate::support::{SERVICE, Server, path};

#[tokio::test]
async fn case_61_a_clock_that_jumps_ahead_stops_postings_not_reads() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "10.00").await;
    let body = json!({"amount": "1.00", "expiresInSeconds": 3600, "referenceId": "h"});
    let hold = server
        .post(SERVICE, &path(&wallet, "holds"), body)
        .await
        .ok(201);
    let start = Timestamp::parse(crate::support::START).expect("a time");
    server
        .clock
        .set_wall(start.micros() + 2 * 86_400 * crate::support::SECOND);
    let refused = server.deposit(&wallet, "1.00").await;
    assert_eq!(refused.code(), (503, "clock_unsafe"));
    assert_eq!(refused.body["error"], "CLOCK_UNSAFE");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(server.figures(&wallet).await.1, "1.00", "the hold stands");
    let location = hold.header("location").to_owned();
    let read = server.get(SERVICE, &location).await.ok(200);
    assert_eq!(read.text_of("status"), "ACTIVE");
    server.clock.set_wall(start.micros());
    server.deposit(&wallet, "1.00").await.ok(200);
}

#[tokio::test]
async fn a_closed_store_says_that_nothing_was_done() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "10.00").await;
    server.ledger.close();
    let refused = server.deposit(&wallet, "1.00").await;
    assert_eq!(refused.code(), (503, "store_unavailable"));
    assert!(!refused.header("retry-after").is_empty());
}
