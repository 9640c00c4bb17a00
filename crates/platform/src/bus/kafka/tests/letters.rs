//! Dead letters: kept with their reason, listed, given again, passed over.

use super::super::dead_letters::{self, Deal};
use super::groups::{Keeper, Running, tables, until};
use super::*;

const IN: &str = "transactions.events";

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_kept_with_its_reason_and_given_again() {
    let cluster = Cluster::any();
    cluster.topic(IN).await;
    let bus = cluster.bus();
    let db = tables().await;
    let mut all = messages(0, 10);
    all[3].value = "x3".into();
    all[6].value = "x6".into();
    bus.publish(IN, all).await.expect("accepted");
    let running = Running::start(&cluster, &db, Keeper("a"));
    until(&db, |all| all.len() == 8).await;
    let full = bus.full_name(IN);
    let kept = async {
        loop {
            let letters = dead_letters::list(&bus, &full, 10).await.expect("listed");
            if letters.len() == 2 {
                return letters;
            }
        }
    };
    let mut letters = tokio::time::timeout(LONG, kept).await.expect("in time");
    letters.sort_by(|a, b| a.key.cmp(&b.key));
    let keys: Vec<_> = letters.iter().map(|letter| letter.key.as_str()).collect();
    assert_eq!(keys, ["k3", "k6"]);
    for letter in &letters {
        assert_eq!((letter.reason.as_str(), letter.bytes), ("invalid_type", 2));
        assert_eq!(
            (&letter.topic, letter.detail.as_str()),
            (&full, "an x in it")
        );
        assert_eq!(letter.at, "2023-11-14T22:13:20.000000Z");
    }
    // Still poison: it comes back with the bytes it had, as a new letter.
    let dealt = dead_letters::deal(&bus, &full, 1, Deal::Redrive).await;
    assert_eq!(dealt.expect("redriven"), 1);
    let back = async {
        loop {
            let letters = dead_letters::list(&bus, &full, 10).await.expect("listed");
            if letters.iter().any(|letter| letter.place == 2) {
                return letters;
            }
        }
    };
    let letters = tokio::time::timeout(LONG, back).await.expect("in time");
    assert_eq!(letters.len(), 2, "one left, one come back: {letters:?}");
    let dealt = dead_letters::deal(&bus, &full, 10, Deal::Discard).await;
    assert_eq!(dealt.expect("passed over"), 2);
    let none = dead_letters::list(&bus, &full, 10).await.expect("listed");
    assert_eq!(none, []);
    running.stop().await;
}

#[test]
fn a_letter_keeps_key_bytes_and_foreign_headers() {
    let message = Received {
        topic: "t".into(),
        partition: 3,
        offset: 9,
        key: Some("k".into()),
        value: "v".into(),
        headers: vec![
            ("a".into(), "1".into()),
            ("florin-reason".into(), "old".into()),
        ],
    };
    let long = "ä".repeat(400);
    let letter = dead_letters::outgoing(&message, "invalid_type", &long, "now");
    assert_eq!((letter.key, letter.value), (message.key, message.value));
    use rdkafka::message::Headers as _;
    let headers = letter.headers.as_borrowed();
    let found: Vec<(String, usize)> = headers
        .iter()
        .map(|header| {
            (
                header.key.to_owned(),
                header.value.unwrap_or_default().len(),
            )
        })
        .collect();
    let expected = [
        ("a", 1),
        ("florin-reason", 12),
        ("florin-detail", 512),
        ("florin-topic", 1),
        ("florin-partition", 1),
        ("florin-offset", 1),
        ("florin-at", 3),
    ];
    assert_eq!(
        found,
        expected.map(|(name, length)| (name.to_owned(), length))
    );
}
