//! One suite, two engines: the embedded engine, PostgreSQL (three replicas in turns) and the
//! naive ledger take the same random calls under the same clock. Each engine is compared with the
//! naive one in every result, record, total and read of the past; here the two are compared with
//! each other: answers, feed lines, hashes, and the same again for an import of all they made.
//!
//! `FLORIN_SEED` repeats one run, `FLORIN_CASES` sets the number of steps.

use std::sync::Arc;

use florin_base::{Timestamp, clock::ManualClock};
use florin_ledger::{
    Call, Outcome, Policy, PostgresOptions,
    call::ImportCall,
    exchange::parse_line,
    proof::{Hash, hash},
};
use serde_json::Value;

use super::{
    postgres_server,
    property::{Kept, World},
    property_calls::assets,
    property_runs::run,
    support::{Bank, START, setting},
};

/// Lines of a call of an import.
const IMPORT: usize = 500;

fn lines(bank: &Bank) -> Vec<String> {
    let mut bytes = Vec::new();
    let view = bank.read();
    view.feed(0, usize::MAX, &mut bytes).expect("readable");
    let text = String::from_utf8(bytes).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

/// Ledger time is the wall clock's unless a batch came in the same microsecond: then it is one
/// more, and how often an engine takes the time of its reads is its own affair.
const TIME_APART_MAX: i64 = 5_000;

/// Equal in every member but the batch (an expiry may be committed on its own before the call
/// that needs it, whenever the engine finds the time), and in times but for microseconds.
fn agree(own: &Value, other: &Value) -> bool {
    match (own, other) {
        (Value::Object(own), Value::Object(other)) => {
            let is_expiry = own.get("type").is_some_and(|t| t == "transfer.expired");
            let compared = |key: &str| key != "batch" && !(is_expiry && key == "recordedAt");
            own.keys().eq(other.keys())
                && own
                    .iter()
                    .all(|(key, value)| !compared(key) || agree(value, &other[key]))
        }
        (Value::String(own), Value::String(other)) if own != other => {
            let times = (Timestamp::parse(own), Timestamp::parse(other));
            matches!(times, (Ok(a), Ok(b)) if (a.0 - b.0).abs() <= TIME_APART_MAX)
        }
        (own, other) => own == other,
    }
}

fn compare_feeds(files: &Bank, database: &Bank) {
    let (own, other) = (lines(files), lines(database));
    assert_eq!(own.len(), other.len(), "as many records");
    for (a, b) in own.iter().zip(&other) {
        let parsed = |line: &String| serde_json::from_str(line).expect("JSON");
        assert!(agree(&parsed(a), &parsed(b)), "{a}\n{b}");
    }
    // Roots do not hold the ledger's id: equal lines give equal trees.
    for (bank, lines) in [(files, &own), (database, &other)] {
        let leaves: Vec<Hash> = lines
            .iter()
            .map(|line| hash::leaf(line.as_bytes()))
            .collect();
        let root = bank.read().root(lines.len() as u64).expect("readable");
        assert_eq!(root, hash::batch_root(&leaves));
    }
    eprintln!("{} records agree", own.len());
}

fn database() -> Option<Kept> {
    let server = postgres_server::shared("differential")?;
    Some(Kept::Database(
        server.url.clone(),
        postgres_server::schema(),
    ))
}

#[test]
fn embedded_postgres_and_the_naive_ledger_agree() {
    let Some(kept) = database() else { return };
    let steps = setting("FLORIN_CASES", 1_000);
    let seed = setting("FLORIN_SEED", 11);
    let (files, database) = std::thread::scope(|scope| {
        let files = scope.spawn(move || run(seed, steps, Kept::Files));
        let database = scope.spawn(move || run(seed, steps, kept));
        (
            files.join().expect("the embedded engine agrees"),
            database.join().expect("PostgreSQL agrees"),
        )
    });
    for (n, (own, other)) in files.answers.iter().zip(&database.answers).enumerate() {
        assert_eq!(own, other, "step {n}");
    }
    assert_eq!(files.answers.len(), database.answers.len());
    compare_feeds(files.bank(), database.bank());
    imports_agree(&files);
}

/// What one world recorded, imported into an empty ledger of each engine.
fn imports_agree(world: &World) {
    let Some(Kept::Database(url, schema)) = database() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let files = Bank::open_with(&dir.path().join("files"), Policy::default(), |o| {
        o.assets = assets();
    });
    let mut options = PostgresOptions::new(url, dir.path().join("database"));
    // Nearly every batch is written in two steps, with the next one judged beside it.
    options.large_batch = 2;
    options.schema = schema;
    options.assets = assets();
    let clock = Arc::new(ManualClock::new(START));
    let database =
        Bank::open_postgres(options, Policy::default(), clock).expect("the ledger opens");
    let later = world.clock_micros() - START;
    files.clock.advance(later);
    database.clock.advance(later);
    let exported = lines(world.bank());
    for chunk in exported.chunks(IMPORT) {
        let parsed = chunk
            .iter()
            .map(|line| parse_line(line.as_bytes(), Some("importer")).expect("a line"));
        let call = Call::Import(ImportCall {
            actor: Some("importer".into()),
            lines: parsed.collect(),
            skip_floors: true,
        });
        let (own, other) = (files.submit(call.clone()), database.submit(call));
        let (Outcome::Lines(own, low), Outcome::Lines(other, other_low)) =
            (&own.outcome, &other.outcome)
        else {
            panic!("no lines: {own:?} {other:?}");
        };
        assert_eq!(own, other);
        assert_eq!(low, other_low);
    }
    compare_feeds(&files, &database);
}
