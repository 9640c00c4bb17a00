//! The promises of [`super`], on both stores.

use super::*;
use crate::testing::{fresh_db, neighbour};

mod faults;
mod mirrored;
mod sharing;

const STEPS: &[Migration] = &[Migration {
    version: 1,
    name: "things",
    sqlite: "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT, b BLOB, ok BOOLEAN NOT NULL);
             CREATE TABLE parts (thing TEXT NOT NULL REFERENCES things (id));",
    postgres: "CREATE TABLE things (id TEXT COLLATE \"C\" PRIMARY KEY, n BIGINT, b BYTEA,
                 ok BOOLEAN NOT NULL);
               CREATE TABLE parts (thing TEXT COLLATE \"C\" NOT NULL REFERENCES things (id));",
}];
const THINGS: Migrations = Migrations {
    room: "test",
    steps: STEPS,
};

async fn with_things() -> Db {
    let db = fresh_db().await;
    db.migrate(&THINGS, 7).await.unwrap();
    db
}

fn insert(id: &str) -> Query {
    query("INSERT INTO things (id, n, b, ok) VALUES ($1, $2, $3, $4)")
        .bind(id)
        .bind(Some(5_i64))
        .bind(None::<Vec<u8>>)
        .bind(true)
}

async fn count(db: &Db) -> i64 {
    let rows = db
        .fetch_all(query("SELECT COUNT(*) AS n FROM things"))
        .await
        .unwrap();
    rows[0].get("n").unwrap()
}

async fn values_come_back_as_they_went_in() {
    let db = with_things().await;
    db.execute(insert("a")).await.unwrap();
    let row = db
        .fetch_optional(query("SELECT * FROM things WHERE id = $1").bind("a"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<String>("id").unwrap(), "a");
    assert_eq!(row.get::<Option<i64>>("n").unwrap(), Some(5));
    assert_eq!(row.get::<Option<Vec<u8>>>("b").unwrap(), None);
    assert!(row.get::<bool>("ok").unwrap());
    assert!(matches!(
        row.get::<i64>("absent"),
        Err(SqlError::Column { .. })
    ));
    assert!(matches!(
        row.get::<Vec<u8>>("b"),
        Err(SqlError::Column { .. })
    ));
    assert!(matches!(row.get::<i64>("id"), Err(SqlError::Column { .. })));
}

async fn extreme_values_keep_every_bit() {
    let db = with_things().await;
    let texts = ["", "ü€𝄞", "'\"\\;--", "a\nb\tc"];
    let numbers = [i64::MIN, -1, 0, i64::MAX];
    let bytes: [&[u8]; 4] = [&[], &[0], &[0xff, 0, 0x80], &[7; 70_000]];
    for at in 0..4 {
        let row = query("INSERT INTO things (id, n, b, ok) VALUES ($1, $2, $3, $4)")
            .bind(texts[at])
            .bind(numbers[at])
            .bind(bytes[at])
            .bind(at % 2 == 0);
        db.execute(row).await.unwrap();
        let select = "SELECT id, n, b, ok FROM things WHERE id = $1 AND n = $2 AND b = $3
                      AND ok = $4";
        let select = query(select)
            .bind(texts[at])
            .bind(numbers[at])
            .bind(bytes[at])
            .bind(at % 2 == 0);
        let row = db.fetch_optional(select).await.unwrap().expect("found");
        assert_eq!(row.get::<String>("id").unwrap(), texts[at]);
        assert_eq!(row.get::<i64>("n").unwrap(), numbers[at]);
        assert_eq!(row.get::<Vec<u8>>("b").unwrap(), bytes[at]);
        assert_eq!(row.get::<bool>("ok").unwrap(), at % 2 == 0);
    }
}

async fn the_shared_subset_means_the_same() {
    let db = with_things().await;
    for (id, n) in [("a", 1_i64), ("B", 2), ("_", 3), ("b", 4), ("é", 5)] {
        let row = query("INSERT INTO things (id, n, ok) VALUES ($1, $2, $3)");
        db.execute(row.bind(id).bind(n).bind(n > 2)).await.unwrap();
    }
    let ids = async |query: Query| -> Vec<String> {
        let rows = db.fetch_all(query).await.unwrap();
        rows.iter().map(|row| row.get("id").unwrap()).collect()
    };
    let by_bytes = ["B", "_", "a", "b", "é"];
    assert_eq!(
        ids(query("SELECT id FROM things ORDER BY id")).await,
        by_bytes
    );
    let after = "SELECT id FROM things WHERE id > $1 AND ($2 IS NULL OR ok = $2) ORDER BY id
                 LIMIT $3";
    let after = query(after).bind("_").bind(Some(true)).bind(1_i64);
    assert_eq!(ids(after).await, ["b"]);
    let sums = "SELECT CAST(SUM(n) AS BIGINT) AS sum, MAX(n) AS most, COUNT(*) AS count, 1 AS one,
                COALESCE(MIN(trace), $1) AS none
                FROM (SELECT n, CASE WHEN n > 9 THEN id END AS trace FROM things) AS t";
    let row = db
        .fetch_optional(query(sums).bind("none"))
        .await
        .unwrap()
        .unwrap();
    let number = |name| row.get::<i64>(name).unwrap();
    assert_eq!(
        [
            number("sum"),
            number("most"),
            number("count"),
            number("one")
        ],
        [15, 5, 5, 1]
    );
    assert_eq!(row.get::<String>("none").unwrap(), "none");
    let upsert = "INSERT INTO things (id, n, ok) VALUES ($1, $2, $3)
                  ON CONFLICT (id) DO UPDATE SET n = things.n + excluded.n RETURNING n";
    let mut tx = db.begin().await.unwrap();
    let upsert = query(upsert).bind("a").bind(10_i64).bind(false);
    let row = tx.fetch_optional(upsert).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 11);
    let ranked = "WITH ranked AS (SELECT id, ROW_NUMBER() OVER (ORDER BY n DESC) AS place
                    FROM things)
                  SELECT id FROM ranked WHERE place = 1";
    let row = tx.fetch_optional(query(ranked)).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("id").unwrap(), "a");
}

async fn a_dropped_transaction_leaves_nothing() {
    let db = with_things().await;
    let mut tx = db.begin().await.unwrap();
    tx.execute(insert("a")).await.unwrap();
    assert_eq!(count(&db).await, 0, "not visible before the commit");
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    let rows = tx.fetch_all(query("SELECT id FROM things")).await.unwrap();
    assert!(rows.is_empty());
    tx.execute(insert("b")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&db).await, 1);
}

async fn a_failed_transaction_cannot_be_committed() {
    let db = with_things().await;
    db.execute(insert("a")).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.execute(insert("b")).await.unwrap();
    assert!(matches!(
        tx.execute(insert("a")).await,
        Err(SqlError::Duplicate(_))
    ));
    assert!(matches!(
        tx.execute(insert("c")).await,
        Err(SqlError::Failed)
    ));
    assert!(matches!(tx.commit().await, Err(SqlError::Failed)));
    assert_eq!(count(&db).await, 1);
    db.execute(insert("d")).await.unwrap();
}

async fn constraints_are_told_apart_from_outages() {
    let db = with_things().await;
    db.execute(insert("a")).await.unwrap();
    assert!(matches!(
        db.execute(insert("a")).await,
        Err(SqlError::Duplicate(_))
    ));
    let orphan = query("INSERT INTO parts (thing) VALUES ($1)").bind("nobody");
    assert!(matches!(
        db.execute(orphan).await,
        Err(SqlError::Statement(_))
    ));
    assert!(matches!(
        db.fetch_all(query("SELECT nothing FROM things")).await,
        Err(SqlError::Statement(_))
    ));
    db.close().await;
    let refused = db.ping().await.unwrap_err();
    assert_eq!(refused.code(), "store_unavailable");
}

async fn migrations_run_once_and_refuse_changes() {
    let db = with_things().await;
    db.migrate(&THINGS, 8).await.unwrap();
    let rows = db
        .fetch_all(query("SELECT applied_at FROM florin_migrations"))
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<i64>("applied_at").unwrap(), 7);

    const CHANGED: Migrations = Migrations {
        room: "test",
        steps: &[Migration {
            version: 1,
            name: "things",
            sqlite: "SELECT 1",
            postgres: "SELECT 1",
        }],
    };
    let error = db.migrate(&CHANGED, 9).await.unwrap_err();
    assert!(error.to_string().contains("test/0001"), "{error}");
}

/// A release beside its successor, or after a roll-back.
async fn newer_expansions_are_accepted_and_contractions_are_not() {
    const fn step(version: i64, name: &'static str) -> Migration {
        Migration {
            version,
            name,
            sqlite: "SELECT 1",
            postgres: "SELECT 1",
        }
    }
    const fn set(steps: &'static [Migration]) -> Migrations {
        Migrations {
            room: "test",
            steps,
        }
    }
    const OLD: &[Migration] = &[step(1, "a")];
    const EXPANDED: &[Migration] = &[step(1, "a"), step(2, "b")];
    const CONTRACTED: &[Migration] = &[step(1, "a"), step(2, "b"), step(3, "contract_a")];
    const SKIPPED: &[Migration] = &[step(1, "a"), step(3, "contract_a")];
    let db = fresh_db().await;
    for steps in [OLD, EXPANDED, OLD, CONTRACTED] {
        db.migrate(&set(steps), 1).await.unwrap();
    }
    for (steps, version) in [(OLD, "test/0003"), (SKIPPED, "test/0002")] {
        let error = db.migrate(&set(steps), 1).await.unwrap_err().to_string();
        assert!(
            error.contains(version) && error.contains("unknown to this version"),
            "{error}"
        );
    }
}

async fn a_failing_migration_leaves_nothing() {
    const HALF: &str = "CREATE TABLE half (id TEXT); CREATE TABLE half (id TEXT);";
    const BROKEN: Migrations = Migrations {
        room: "broken",
        steps: &[Migration {
            version: 1,
            name: "half",
            sqlite: HALF,
            postgres: HALF,
        }],
    };
    let db = fresh_db().await;
    db.migrate(&BROKEN, 1).await.unwrap_err();
    assert!(matches!(
        db.fetch_all(query("SELECT id FROM half")).await,
        Err(SqlError::Statement(_))
    ));
}

async fn processes_that_start_at_once_migrate_once() {
    let db = fresh_db().await;
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let db = neighbour(&db).await;
        starting.spawn(async move { db.migrate(&THINGS, 7).await });
    }
    for done in starting.join_all().await {
        done.unwrap();
    }
    assert_eq!(count(&db).await, 0);
}

crate::testing::conformance! {
    values_come_back_as_they_went_in,
    extreme_values_keep_every_bit,
    the_shared_subset_means_the_same,
    a_dropped_transaction_leaves_nothing,
    a_failed_transaction_cannot_be_committed,
    constraints_are_told_apart_from_outages,
    migrations_run_once_and_refuse_changes,
    newer_expansions_are_accepted_and_contractions_are_not,
    a_failing_migration_leaves_nothing,
    processes_that_start_at_once_migrate_once,
}

#[tokio::test]
async fn a_second_writer_of_a_file_is_refused_in_time() {
    let db = Db::open_memory().await.unwrap();
    let _held = db.begin().await.unwrap();
    assert!(matches!(db.begin().await, Err(SqlError::Unavailable(_))));
    assert_eq!(db.pool_stats().max, 5);
    assert_eq!(db.pool_stats().active, 1, "the writer is in use");
}

#[tokio::test]
async fn a_file_is_private_durable_and_read_by_readers() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("service.db");
    let db = Db::open_sqlite(&path).await.unwrap();
    db.migrate(&THINGS, 7).await.unwrap();
    db.execute(insert("a")).await.unwrap();
    assert_eq!(count(&db).await, 1);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut tx = db.begin().await.unwrap();
    let mode = tx
        .fetch_optional(query("PRAGMA journal_mode"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(mode.get::<String>("journal_mode").unwrap(), "wal");
    let sync = tx
        .fetch_optional(query("PRAGMA synchronous"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(sync.get::<i64>("synchronous").unwrap(), 2, "FULL");
    tx.commit().await.unwrap();
    db.close().await;

    let again = Db::open_sqlite(&path).await.unwrap();
    assert_eq!(count(&again).await, 1);
}
