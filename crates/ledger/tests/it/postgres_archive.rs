//! Months that move to files and come back: what is found meanwhile, what is refused, and that
//! nothing else changes.

use std::{path::Path, sync::Arc};

use florin_base::{Timestamp, clock::ManualClock};
use florin_ledger::{
    ArchiveError, Ledger, Policy, PostgresOptions, ResultCode,
    engine::IdLookup,
    verify::{Evidence, Report, VerifyError, verify_database},
};

use super::{
    postgres_server,
    postgres_site::{Site, accounts, check, codes, runtime, transfer, transfers},
};

const DAY: i64 = 86_400_000_000;

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

async fn verify(options: PostgresOptions) -> Result<Report, VerifyError> {
    let work = move || verify_database(&options, &Evidence::default(), &mut |_| {});
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

/// What a process that has read nothing before finds under an id.
async fn lookup(
    site: &Site,
    clock: &Arc<ManualClock>,
    id: &'static str,
) -> Result<IdLookup, String> {
    let open = Ledger::open_postgres(site.options("reader"), Policy::default(), clock.clone());
    let reader = open.await.expect("the ledger opens");
    let view = reader.read_view().await.expect("a view");
    let found = tokio::task::spawn_blocking(move || view.transfer(id)).await;
    found.expect("no panic").map_err(|error| error.to_string())
}

/// Rows of `archives`, and tables of January: the month, and one that is being filled.
async fn state(site: &Site) -> (i64, bool, bool) {
    let mut sql = site.sql().await;
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM archives), to_regclass('journal_2026_01') IS NOT NULL, \
         to_regclass('restoring_journal_2026_01') IS NOT NULL",
    )
    .fetch_one(&mut sql)
    .await
    .expect("a row")
}

/// A ledger with a January and a February.
async fn two_months(site: &Site, clock: &Arc<ManualClock>) -> Ledger {
    let open = Ledger::open_postgres(site.options("a"), Policy::default(), clock.clone());
    let ledger = open.await.expect("the ledger opens");
    accounts(&ledger, 0).await;
    for id in ["old", "older"] {
        let call = transfers(vec![transfer(id, "x", "y", 5)]);
        ledger.submit(call).await.expect("an answer");
    }
    clock.advance(20 * DAY);
    let call = transfers(vec![transfer("new", "y", "x", 2)]);
    ledger.submit(call).await.expect("an answer");
    ledger
}

/// A file with one byte changed, or without its end.
fn spoiled(file: &Path, name: &str, spoil: impl FnOnce(&mut Vec<u8>)) -> std::path::PathBuf {
    let mut bytes = std::fs::read(file).expect("the file");
    spoil(&mut bytes);
    let spoiled = file.with_file_name(name);
    std::fs::write(&spoiled, bytes).expect("written");
    spoiled
}

#[test]
fn a_month_comes_back_from_its_file_as_it_was() {
    let Some(server) = postgres_server::shared("a_month_comes_back_from_its_file") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let clock = Arc::new(ManualClock::new(time("2026-01-20T12:00:00Z").0));
        let ledger = two_months(&site, &clock).await;
        let before = verify(site.options("v")).await.expect("good");
        let march = time("2026-03-01T00:00:00Z");
        let archived = ledger.archive_before(march).await.expect("January is old");
        let [month] = &*archived else {
            panic!("one month: {archived:?}")
        };
        assert_eq!(state(&site).await, (1, false, false));
        let absent = lookup(&site, &clock, "old").await.expect_err("not found");
        assert!(absent.contains("archived"), "{absent}");
        match verify(site.options("v")).await {
            Err(VerifyError::CouldNotRun(why)) => {
                assert!(why.contains("are archived in"), "{why}");
            }
            other => panic!("it has not everything to verify: {other:?}"),
        }

        // A copy is as good as the original, wherever it lies.
        let copy = spoiled(&month.file, "copy", |_| {});
        let restored = ledger.restore_archive(&copy).await.expect("restored");
        assert_eq!(
            (restored.first_seq, restored.last_seq, restored.sha256),
            (month.first_seq, month.last_seq, month.sha256)
        );
        assert_eq!((restored.from, restored.to), (month.from, month.to));
        assert_eq!(state(&site).await, (0, true, false));
        let found = lookup(&site, &clock, "old").await.expect("found");
        assert!(matches!(found, IdLookup::Recorded(_)), "{found:?}");
        let again = transfers(vec![transfer("old", "x", "y", 5)]);
        let again = ledger.submit(again).await.expect("an answer");
        assert_eq!(codes(&again), [ResultCode::Exists]);
        let after = verify(site.options("v")).await.expect("good");
        assert_eq!((after.head, after.sums), (before.head, before.sums));
        check(&site).await;

        // What is not archived any more is not restored twice, and can be archived again.
        let twice = ledger.restore_archive(&copy).await;
        assert!(matches!(twice, Err(ArchiveError::NotArchived { first_seq, .. }) if first_seq == month.first_seq));
        let again = ledger.archive_before(march).await.expect("archived again");
        assert_eq!(again, archived);
    });
}

#[test]
fn a_file_that_is_not_the_month_changes_nothing() {
    let Some(server) = postgres_server::shared("a_file_that_is_not_the_month") else {
        return;
    };
    let (site, other) = (Site::new(server), Site::new(server));
    runtime().block_on(async {
        let clock = Arc::new(ManualClock::new(time("2026-01-20T12:00:00Z").0));
        let ledger = two_months(&site, &clock).await;
        let march = time("2026-03-01T00:00:00Z");
        let months = ledger.archive_before(march).await.expect("archived");
        let file = months[0].file.clone();
        let clock = Arc::new(ManualClock::new(time("2026-01-20T12:00:00Z").0));
        let neighbour = two_months(&other, &clock).await;
        let foreign = neighbour.archive_before(march).await.expect("archived");
        let middle = std::fs::metadata(&file).expect("a file").len() as usize / 2;
        let cases = [
            (foreign[0].file.clone(), "another ledger"),
            (
                spoiled(&file, "flipped", |b| b[middle] ^= 1),
                "not what it should be",
            ),
            (spoiled(&file, "cut", |b| b.truncate(middle)), "cut short"),
            (spoiled(&file, "longer", |b| b.push(0)), "cut short"),
            (
                spoiled(&file, "text", |b| *b = b"hello".to_vec()),
                "no archive",
            ),
            (file.with_file_name("missing"), "No such file"),
        ];
        for (path, why) in cases {
            let error = ledger.restore_archive(&path).await.expect_err("refused");
            assert!(error.to_string().contains(why), "{why}: {error}");
            assert_eq!(state(&site).await, (1, false, false), "{why}");
        }
        // A file that is whole, but not the one that was noted.
        let mut sql = site.sql().await;
        let note = "UPDATE archives SET sha256 = sha256(sha256)";
        sqlx::raw_sql(note)
            .execute(&mut sql)
            .await
            .expect("changed");
        let error = ledger.restore_archive(&file).await.expect_err("refused");
        assert!(error.to_string().contains("SHA-256"), "{error}");
        assert_eq!(state(&site).await, (1, false, false));
    });
}
