//! A ledger that moves between engines in the middle of a random history: what was recorded,
//! refused and answered before is known afterwards, and both engines go on from there like the
//! naive ledger.

use florin_base::Secret;
use florin_ledger::{
    Policy, PostgresOptions,
    migrate::{MigrateError, Place, Step, migrate},
    model::WalletType,
    verify::{Evidence, VerifyError, verify_database},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{
    generate::Generator,
    postgres_server,
    property::{Kept, World},
    support::{Bank, setting},
};

fn database(test: &str) -> Option<(String, String)> {
    let server = postgres_server::shared(test)?;
    Some((server.url.clone(), postgres_server::schema()))
}

fn place(url: &str, schema: &str) -> Place {
    Place::Database {
        url: Secret::new(url.into()),
        schema: schema.into(),
    }
}

#[test]
fn a_random_history_goes_on_after_moves_in_both_directions() {
    let Some((url, schema)) = database("a_random_history_goes_on_after_moves") else {
        return;
    };
    let seed = setting("FLORIN_SEED", 21);
    let steps = setting("FLORIN_CASES", 400);
    eprintln!("FLORIN_SEED={seed} FLORIN_CASES={steps}");
    let mut world = World::on(seed, Kept::Files);
    let mut generator = Generator::new(seed);
    world.go_on(&mut generator, steps);
    let moved = world.move_to(Kept::Database(url.clone(), schema), "database");
    assert_eq!(moved.report.records, world.model.seq());
    assert!(moved.notes > 0 && moved.checkpoints > 0);
    world.go_on(&mut generator, steps);
    let moved = world.move_to(Kept::Files, "files");
    assert_eq!(moved.report.records, world.model.seq());
    world.go_on(&mut generator, steps);
    // From one database to another, too.
    let other = postgres_server::schema();
    world.move_to(Kept::Database(url.clone(), other.clone()), "other");
    world.go_on(&mut generator, steps / 4);
    let third = postgres_server::schema();
    world.move_to(Kept::Database(url, third), "third");
    world.go_on(&mut generator, steps / 4);
}

/// Enough commits for more than one transaction of a move.
const DEPOSITS: u64 = 700;

/// A ledger in a directory with a little history.
fn little(dir: &std::path::Path) {
    let bank = Bank::open_with(dir, Policy::default(), |o| {
        o.segment_bytes = florin_ledger::journal::DEFAULT_SEGMENT_BYTES;
    });
    let ana = bank.wallet("ana", "BRL");
    for n in 0..DEPOSITS {
        bank.run(bank.movement(WalletType::Deposit, ana, "1.00", &format!("d{n}")));
    }
}

#[test]
fn a_target_that_holds_something_is_refused_and_a_half_filled_one_is_not_opened() {
    let Some((url, schema)) = database("a_target_that_holds_something_is_refused") else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    little(&dir.path().join("a"));
    little(&dir.path().join("b"));
    let directory = |name: &str| Place::Directory(dir.path().join(name));
    let refused = |from: &Place, to: &Place| match migrate(from, to, &mut |_| {}) {
        Err(MigrateError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    };
    assert!(refused(&directory("a"), &directory("b")).contains("not empty"));

    // A move that ends in the middle: everything after the first records is missing.
    let target = place(&url, &schema);
    let broken = std::panic::catch_unwind(|| {
        migrate(&directory("a"), &target, &mut |step| {
            if matches!(step, Step::Moved(seq) if seq > 600) {
                panic!("the machine stops");
            }
        })
    });
    assert!(broken.is_err());
    let mut options = PostgresOptions::new(url.clone(), dir.path().join("replica"));
    options.schema = schema.clone();
    let clock = std::sync::Arc::new(florin_base::clock::ManualClock::new(0));
    let opened = Bank::open_postgres(options.clone(), Policy::default(), clock);
    let why = opened.err().expect("not opened").to_string();
    assert!(why.contains("only in part"), "{why}");
    assert!(refused(&directory("b"), &target).contains("holds the ledger"));
    let moved = migrate(&directory("a"), &target, &mut |_| {}).expect("it goes on");
    assert_eq!(moved.report.records, DEPOSITS + 7 + 3);
    assert!(refused(&directory("a"), &target).contains("in use"));
}

#[test]
fn inv_l3_a_balance_changed_in_the_database_is_found() {
    let Some((url, schema)) = database("a_balance_changed_in_the_database_is_found") else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    little(&dir.path().join("a"));
    let from = Place::Directory(dir.path().join("a"));
    migrate(&from, &place(&url, &schema), &mut |_| {}).expect("it moves");
    let mut options = PostgresOptions::new(url.clone(), dir.path().join("replica"));
    options.schema = schema.clone();
    let verify = || verify_database(&options, &Evidence::default(), &mut |_| {});
    let good = verify().expect("good");
    assert!(good.checkpoints_verified > 0 && good.signatures_verified > 0);
    let change = |sql: &str| {
        let sql = format!("SET search_path = {schema}; {sql}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&url).await.expect("a server");
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut connection)
                .await
                .expect("changed");
        });
    };
    let kind = || match verify() {
        Err(VerifyError::Violation(violation)) => violation.kind.word(),
        other => panic!("no violation: {other:?}"),
    };
    change("UPDATE balances SET cp = cp + 1 WHERE slot = 0");
    assert_eq!(kind(), "stored_balance");
    change("UPDATE balances SET cp = cp - 1 WHERE slot = 0; UPDATE head SET chain = sha256(chain)");
    assert_eq!(kind(), "chain_mismatch");
    change("DELETE FROM journal WHERE first_seq = (SELECT max(first_seq) FROM journal)");
    assert_eq!(kind(), "journal_damaged");
}
