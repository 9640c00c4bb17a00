//! Every invariant, every row of bad input and every crash point of the contract (F2 to F4) is
//! named by a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const INVARIANTS: u32 = 26;
const ROWS: u32 = 50;

/// The points of contract F2 that have a name.
const CRASH_POINTS: [&str; 18] = [
    "intake.before_commit",
    "batch.mid",
    "intake.after_commit",
    "outbox.before_publish",
    "outbox.after_publish",
    "kafka.after_commit_before_offset",
    "dlq.before_publish",
    "deadline.mid",
    "drift.after_corrections_before_answer",
    "correction.approve_mid",
    "pair.mid",
    "link.transfer_posted_before_feed",
    "import.mid",
    "match.mid",
    "swap.mid",
    // Without a name there: a torn last record, a full disk, a store that is gone.
    "a_torn_last_record_is_cut_and_nothing_acknowledged_with_it",
    "a_full_disk_refuses_and_recovers",
    "a_store_that_is_gone_refuses_writes_and_comes_back",
];

fn sources(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).expect("a folder of tests") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("named.rs") {
            text.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// Numbers that begin a text such as `38 to 46`, `41 and 42`, `2, 3, 10` or `9_to_23`.
fn numbers(text: &str) -> Vec<u32> {
    let words = text.split([' ', '_', ',', '.', ':', ')', '(', ';', '"', '}']);
    let mut found: Vec<u32> = Vec::new();
    let mut range = false;
    for word in words.filter(|word| !word.is_empty()) {
        match word.parse::<u32>() {
            Ok(to) if range && !found.is_empty() => {
                let from = found[found.len() - 1];
                found.extend(from + 1..=to);
                range = false;
            }
            Ok(number) => found.push(number),
            Err(_) if word == "to" => range = true,
            Err(_) if word == "and" => {}
            Err(_) => break,
        }
    }
    found
}

fn after<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(word)
        .map(move |(at, _)| &text[at + word.len()..])
        .map(|rest| &rest[..rest.floor_char_boundary(60)])
}

fn all() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for dir in ["tests", "src", "../app/tests"] {
        sources(&here.join(dir), &mut text);
    }
    text.to_lowercase()
}

#[test]
fn every_invariant_is_named_by_a_test() {
    let text = all();
    let named: BTreeSet<u32> = ["inv-s", "inv_s"]
        .into_iter()
        .flat_map(|word| after(&text, word))
        .flat_map(|rest| numbers(rest).into_iter().take(1))
        .collect();
    let missing: Vec<u32> = (1..=INVARIANTS).filter(|n| !named.contains(n)).collect();
    assert!(missing.is_empty(), "no test names INV-S {missing:?}");
}

#[test]
fn every_row_of_bad_input_is_named_by_a_test() {
    let text = all();
    let named: BTreeSet<u32> = ["row ", "row_", "rows ", "rows_"]
        .into_iter()
        .flat_map(|word| after(&text, word))
        .flat_map(numbers)
        .collect();
    let missing: Vec<u32> = (1..=ROWS).filter(|n| !named.contains(n)).collect();
    assert!(missing.is_empty(), "no test names the rows {missing:?}");
}

#[test]
fn every_crash_point_is_killed_by_a_test() {
    let mut text = String::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    sources(&here.join("tests"), &mut text);
    let missing = CRASH_POINTS.iter().filter(|point| !text.contains(*point));
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "no test kills at {missing:?}");
}
