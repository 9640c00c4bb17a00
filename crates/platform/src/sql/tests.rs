//! The promises of [`super`], on a file and in memory.

use super::*;

const STEPS: &[Migration] = &[Migration {
    version: 1,
    name: "things",
    sqlite: "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT, b BLOB, ok BOOLEAN NOT NULL);
             CREATE TABLE parts (thing TEXT NOT NULL REFERENCES things (id));",
}];
const THINGS: Migrations = Migrations {
    room: "test",
    steps: STEPS,
};

async fn memory() -> Db {
    let db = Db::open_memory().await.unwrap();
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

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    let db = memory().await;
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
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    let db = memory().await;
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

#[tokio::test]
async fn constraints_are_told_apart_from_outages() {
    let db = memory().await;
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
    db.close().await;
    let refused = db.ping().await.unwrap_err();
    assert_eq!(refused.code(), "store_unavailable");
}

#[tokio::test]
async fn a_second_writer_is_refused_in_time() {
    let db = memory().await;
    let _held = db.begin().await.unwrap();
    assert!(matches!(db.begin().await, Err(SqlError::Unavailable(_))));
    assert_eq!(db.pool_stats().max, 5);
}

#[tokio::test]
async fn migrations_run_once_and_refuse_changes() {
    let db = memory().await;
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
        }],
    };
    let error = db.migrate(&CHANGED, 9).await.unwrap_err();
    assert!(error.to_string().contains("test/0001"), "{error}");
    const OLDER: Migrations = Migrations {
        room: "test",
        steps: &[],
    };
    let error = db.migrate(&OLDER, 9).await.unwrap_err();
    assert!(
        error.to_string().contains("unknown to this version"),
        "{error}"
    );
}

#[tokio::test]
async fn a_failing_migration_leaves_nothing() {
    const BROKEN: Migrations = Migrations {
        room: "broken",
        steps: &[Migration {
            version: 1,
            name: "half",
            sqlite: "CREATE TABLE half (id TEXT); CREATE TABLE half (id TEXT);",
        }],
    };
    let db = memory().await;
    db.migrate(&BROKEN, 1).await.unwrap_err();
    let rows = db
        .fetch_all(query("SELECT name FROM sqlite_master WHERE name = 'half'"))
        .await
        .unwrap();
    assert!(rows.is_empty());
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
