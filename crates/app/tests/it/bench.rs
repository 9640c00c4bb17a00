//! `florin bench` against servers of its own: money moves, events go in, and its own checks pass.

use serde_json::Value;

use crate::server::program;

fn measure(arguments: &[&str]) -> Value {
    let dir = tempfile::tempdir().expect("a directory");
    let output = program()
        .args([
            "bench",
            "--output",
            "json",
            "--accounts",
            "40",
            "--seconds",
            "1",
        ])
        .args(["--warm-up", "0", "--connections", "4", "--dir"])
        .arg(dir.path())
        .args(arguments)
        .output()
        .expect("florin runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let left = std::fs::read_dir(dir.path()).expect("its folder").count();
    assert_eq!(left, 0, "the data is removed");
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

#[test]
fn a_closed_loop_of_wallet_transfers_conserves_money() {
    let measured = measure(&["--spread", "zipf", "--reads", "20"]);
    assert_eq!(measured["conserved"], true);
    assert_eq!(measured["faults"], serde_json::json!({}));
    assert!(measured["transfers"].as_u64() > Some(0), "{measured}");
    assert!(
        measured["median"]["reads"]["p50Micros"].as_u64() > Some(0),
        "{measured}"
    );
}

/// Each part has a row with a figure in it.
fn all_measured(results: &Value, parts: &[&str]) {
    let rows = results["rows"].as_array().expect("rows");
    for part in parts {
        let row = rows
            .iter()
            .find(|row| row["what"].as_str().is_some_and(|what| what.contains(part)));
        let row = row.unwrap_or_else(|| panic!("no {part}: {results}"));
        assert!(
            row["measured"]
                .as_str()
                .is_some_and(|text| text.contains(char::is_numeric))
        );
    }
}

#[test]
fn ticketing_is_measured_part_by_part() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = program()
        .args(["bench", "ticketing", "--output", "json", "--seconds", "1"])
        .args(["--runs", "1", "--sale-runs", "1", "--connections", "8"])
        .args(["--buyers", "20", "--tickets", "60", "--refunds", "40"])
        .args(["--orders", "300"])
        .arg("--dir")
        .arg(dir.path())
        .output()
        .expect("florin runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let results: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let parts = [
        "offline verification",
        "SQLite: reserves",
        "on-sale of 60 tickets, 20 buyers, free, drained",
        "on-sale of 60 tickets, 20 buyers, paid from wallets, drained",
        "check-ins over HTTP",
        "event page and availability",
        "cancel of an event",
        "overview of an event with 300 orders",
        "export of 300 tickets",
    ];
    all_measured(&results, &parts);
    let left = std::fs::read_dir(dir.path()).expect("its folder").count();
    assert_eq!(left, 0, "the data is removed");
}

#[test]
fn the_shadow_ledger_is_measured_part_by_part() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = program()
        .args(["bench", "shadow", "--output", "json", "--seconds", "1"])
        .args(["--batch", "50", "--books", "20", "--entries", "400"])
        .args(["--accounts", "200", "--lines", "300", "--matches", "40"])
        .arg("--dir")
        .arg(dir.path())
        .output()
        .expect("florin runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let results: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let parts = [
        "batches of 50",
        "single events",
        "a late event",
        "rebuild --verify",
        "intake beside a rebuild",
        "drift check of 200 accounts",
        "importing camt.053",
        "importing MT940",
        "matching 40 lines",
    ];
    all_measured(&results, &parts);
    assert!(
        results["skipped"][0]
            .as_str()
            .is_some_and(|what| what.contains("Kafka"))
    );
    let left = std::fs::read_dir(dir.path()).expect("its folder").count();
    assert_eq!(left, 0, "the data is removed");
}

#[test]
fn an_open_loop_of_batches_keeps_its_rate() {
    let measured = measure(&[
        "--shape", "ledger", "--batch", "10", "--rate", "20", "--spread", "hot",
    ]);
    assert_eq!(
        (&measured["conserved"], &measured["unsent"]),
        (&true.into(), &0.into())
    );
    let transfers = measured["transfers"].as_u64().expect("a count");
    // About 20 calls of 10 in a second, at random times.
    assert!(
        (50..500).contains(&transfers) && transfers.is_multiple_of(10),
        "{measured}"
    );
}
