//! One suite, two engines: the embedded engine, PostgreSQL (three replicas in turns) and the
//! naive ledger take the same random calls under the same clock. Each engine is compared with the
//! naive one in every result, record, total and read of the past; here the two are compared with
//! each other: answers, feed lines, hashes, and the same again for an import of all they made.
//!
//! `FLORIN_SEED` repeats one run, `FLORIN_CASES` sets the number of steps.

use std::sync::Arc;

use florin_base::clock::ManualClock;
use florin_ledger::{
    Call, Outcome, Policy, PostgresOptions, call::ImportCall, exchange::parse_line,
};

use super::{
    postgres_server,
    property::{Kept, World, run},
    property_calls::assets,
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

/// A line without its batch, and an expiry without its time: an expiry may be committed on its
/// own before the call that needs it, whenever the engine finds the time.
fn settled(line: &str) -> String {
    let after_batch = line.split_once(',').map_or(line, |(_, rest)| rest);
    match line.contains("\"type\":\"transfer.expired\"") {
        true => after_batch
            .split("\"recordedAt\"")
            .next()
            .unwrap_or_default()
            .to_owned(),
        false => after_batch.to_owned(),
    }
}

fn compare_feeds(files: &Bank, database: &Bank) {
    let (own, other) = (lines(files), lines(database));
    assert_eq!(own.len(), other.len(), "as many records");
    for (a, b) in own.iter().zip(&other) {
        assert_eq!(settled(a), settled(b));
    }
    // Roots do not hold the ledger's id: equal lines give equal trees.
    let size = own.len() as u64;
    let same_bytes = own == other;
    let (own, other) = (files.read(), database.read());
    let roots = (
        own.root(size).expect("readable"),
        other.root(size).expect("readable"),
    );
    assert_eq!(roots.0 == roots.1, same_bytes);
    eprintln!("{size} records, the same bytes: {same_bytes}");
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
    let steps = setting("FLORIN_CASES", 1_500);
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
