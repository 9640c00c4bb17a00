//! The migrations of both folders make the same tables.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

/// A column: kind, NOT NULL, place in the primary key (0: none).
type Shape = (&'static str, bool, i64);
type Tables = BTreeMap<String, BTreeMap<String, Shape>>;

fn files(store: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(store);
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    found.sort();
    found
}

/// Runs all files of a folder in the order of their numbers.
async fn apply_all(db: &Db, store: &str) {
    for (name, text) in files(store) {
        let step = Migration {
            version: name[..4].parse().expect("NNNN_name.sql"),
            name: "all",
            sqlite: String::leak(text.clone()),
            postgres: String::leak(text),
        };
        let set = Migrations {
            room: String::leak(name),
            steps: Box::leak(Box::new([step])),
        };
        db.migrate(&set, 1).await.unwrap();
    }
}

fn kind(declared: &str) -> &'static str {
    match declared {
        "INTEGER" | "BIGINT" | "bigint" | "BOOLEAN" | "boolean" => "number",
        "TEXT" | "text" => "text",
        "BLOB" | "bytea" => "bytes",
        other => panic!("{other} is not of the shared subset"),
    }
}

async fn of_sqlite() -> Tables {
    let db = Db::open_memory().await.unwrap();
    apply_all(&db, "sqlite").await;
    let select = "SELECT m.name AS table_name, c.name AS name, c.type AS type,
            c.\"notnull\" AS not_null, c.pk AS key
        FROM sqlite_master m, pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'";
    let mut tables = Tables::new();
    for row in db.fetch_all(query(select)).await.unwrap() {
        let shape = (
            kind(&row.get::<String>("type").unwrap()),
            row.get::<i64>("not_null").unwrap() == 1,
            row.get("key").unwrap(),
        );
        let columns = tables.entry(row.get("table_name").unwrap()).or_default();
        columns.insert(row.get("name").unwrap(), shape);
    }
    tables
}

async fn of_postgres(db: &Db) -> Tables {
    apply_all(db, "postgres").await;
    let select = "SELECT c.relname::text AS table_name, a.attname::text AS name,
            format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
            COALESCE(array_position(i.indkey::int2[], a.attnum), -1) AS key,
            l.collname::text AS collation
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace";
    let mut tables = Tables::new();
    for row in db.fetch_all(query(select)).await.unwrap() {
        let (table, name): (String, String) =
            (row.get("table_name").unwrap(), row.get("name").unwrap());
        let kind = kind(&row.get::<String>("type").unwrap());
        let collation: Option<String> = row.get("collation").unwrap();
        if kind == "text" && table != "florin_migrations" {
            assert_eq!(
                collation.as_deref(),
                Some("C"),
                "{table}.{name}: order of texts"
            );
        }
        // Places in a vector of columns count from 0.
        let key = row.get::<i64>("key").unwrap() + 1;
        let shape = (kind, row.get("not_null").unwrap(), key);
        tables.entry(table).or_default().insert(name, shape);
    }
    tables
}

#[test]
fn both_folders_hold_the_same_numbers_and_names() {
    let names = |store| -> Vec<String> { files(store).into_iter().map(|file| file.0).collect() };
    let sqlite = names("sqlite");
    assert!(sqlite.len() >= 4, "{sqlite:?}");
    assert_eq!(sqlite, names("postgres"));
    let mut numbers: Vec<&str> = sqlite.iter().map(|name| &name[..4]).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), sqlite.len(), "a number stands once");
}

#[tokio::test]
async fn both_make_the_same_columns_on_postgres() {
    let Some(server) = crate::testing::postgres::TestPostgres::start().await else {
        return;
    };
    let (sqlite, postgres) = (of_sqlite().await, of_postgres(&server.fresh().await).await);
    let names = |tables: &Tables| tables.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&sqlite), names(&postgres));
    for (table, columns) in &sqlite {
        assert_eq!(columns, &postgres[table], "{table}");
    }
}
