//! Messages of topics (contract A3, A5; row 50, INV-S14).

use florin_platform::bus::consume::Received;
use florin_shadow::store::Settings;
use florin_shadow::worker::topics::take_batch;

use crate::web::{ADMIN, json, web};

const TIME: i64 = 1_735_561_800_000;

fn message(offset: i64, value: &str) -> Received {
    Received {
        topic: "transactions.raw".into(),
        partition: 0,
        offset,
        key: Some("A1".into()),
        value: value.to_owned().into(),
        headers: vec![("X-Trace-Id".into(), "trace-7".into())],
    }
}

#[tokio::test]
async fn row_50_inv_s14_a_bad_message_is_parked_and_stops_nothing() {
    let web = web(Settings::default()).await;
    let messages = [
        message(0, &json("E1", "A1", "credit", "10", TIME)),
        message(1, "not json"),
        message(2, &json("E1", "A1", "credit", "11", TIME)),
        message(3, &json("CORR-1", "A1", "credit", "11", TIME)),
        message(4, &json("E1", "A1", "credit", "10", TIME)),
        message(5, &json("E2", "A1", "debit", "4", TIME + 1)),
    ];
    // Redelivery has no effect.
    for _ in 0..2 {
        take_batch(&web.bench.shadow, &messages)
            .await
            .expect("taken");
    }
    let balance = web.get("/accounts/A1/shadow-balance").await.ok(200);
    assert_eq!(balance.body["balance"], 6);
    let list = web.get("/api/v1/shadow/dead-letters").await.ok(200);
    let letters: Vec<(i64, &str)> = list.body["items"]
        .as_array()
        .expect("letters")
        .iter()
        .map(|l| {
            (
                l["offset"].as_i64().expect("offset"),
                l["reason"].as_str().expect("reason"),
            )
        })
        .collect();
    assert_eq!(
        letters,
        [
            (1, "malformed_json"),
            (3, "reserved_id"),
            (2, "event_conflict")
        ]
    );
    let id = list.body["items"][1]["id"].as_str().expect("id");
    let path = format!("/api/v1/shadow/dead-letters/{id}");
    let still = web
        .post_as(ADMIN, &format!("{path}/redrive"), "")
        .await
        .ok(200);
    assert_eq!(still.body["status"], "parked");
    assert_eq!(still.body["reason"], "reserved_id");
    let gone = web
        .post_as(ADMIN, &format!("{path}/discard"), r#"{"reason":"a test"}"#)
        .await
        .ok(200);
    assert_eq!(gone.body["status"], "discarded");
    let twice = web.post_as(ADMIN, &format!("{path}/redrive"), "").await;
    assert_eq!(twice.code(), (409, "invalid_state"));
}
