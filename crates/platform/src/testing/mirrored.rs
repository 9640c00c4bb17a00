//! The migrations of both folders of a crate make the same tables.

use std::collections::BTreeMap;
use std::path::Path;

use super::postgres::TestPostgres;
use crate::sql::{Db, Migration, Migrations, query};

/// A column: kind, NOT NULL, place in the primary key (0: none).
type Shape = (&'static str, bool, i64);
type Tables = BTreeMap<String, BTreeMap<String, Shape>>;

/// Asserts that `sqlite` and `postgres` below a folder hold the same file names, each number once.
pub fn same_names(migrations: &Path) {
    let names = |store| -> Vec<String> {
        let files = files(migrations, store).into_iter();
        files.map(|(name, _)| name).collect()
    };
    let sqlite = names("sqlite");
    assert!(
        !sqlite.is_empty(),
        "no migrations in {}",
        migrations.display()
    );
    assert_eq!(sqlite, names("postgres"));
    let mut numbers: Vec<&str> = sqlite.iter().map(|name| &name[..4]).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), sqlite.len(), "a number stands once");
}

/// Asserts that they make the same tables and columns, with texts ordered by their bytes.
pub async fn same_tables(server: &TestPostgres, migrations: &Path) {
    let sqlite = of_sqlite(migrations).await;
    let postgres = of_postgres(&server.fresh().await, migrations).await;
    let names = |tables: &Tables| tables.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&sqlite), names(&postgres));
    for (table, columns) in &sqlite {
        assert_eq!(columns, &postgres[table], "{table}");
    }
}

fn files(migrations: &Path, store: &str) -> Vec<(String, String)> {
    let folder = migrations.join(store);
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .expect("readable")
        .map(|entry| {
            let entry = entry.expect("readable");
            let text = std::fs::read_to_string(entry.path()).expect("readable");
            (entry.file_name().into_string().expect("readable"), text)
        })
        .collect();
    found.sort();
    found
}

/// Runs all files of a folder in the order of their numbers.
async fn apply_all(db: &Db, migrations: &Path, store: &str) {
    for (name, text) in files(migrations, store) {
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
        db.migrate(&set, 1).await.expect("readable");
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

async fn of_sqlite(migrations: &Path) -> Tables {
    let db = Db::open_memory().await.expect("readable");
    apply_all(&db, migrations, "sqlite").await;
    let select = "SELECT m.name AS table_name, c.name AS name, c.type AS type,
            c.\"notnull\" AS not_null, c.pk AS key
        FROM sqlite_master m, pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'";
    let mut tables = Tables::new();
    for row in db.fetch_all(query(select)).await.expect("readable") {
        let shape = (
            kind(&row.get::<String>("type").expect("readable")),
            row.get::<i64>("not_null").expect("readable") == 1,
            row.get("key").expect("readable"),
        );
        let columns = tables
            .entry(row.get("table_name").expect("readable"))
            .or_default();
        columns.insert(row.get("name").expect("readable"), shape);
    }
    tables
}

async fn of_postgres(db: &Db, migrations: &Path) -> Tables {
    apply_all(db, migrations, "postgres").await;
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
    for row in db.fetch_all(query(select)).await.expect("readable") {
        let (table, name): (String, String) = (
            row.get("table_name").expect("readable"),
            row.get("name").expect("readable"),
        );
        let kind = kind(&row.get::<String>("type").expect("readable"));
        let collation: Option<String> = row.get("collation").expect("readable");
        if kind == "text" && table != "florin_migrations" {
            assert_eq!(
                collation.as_deref(),
                Some("C"),
                "{table}.{name}: order of texts"
            );
        }
        // Places in a vector of columns count from 0.
        let key = row.get::<i64>("key").expect("readable") + 1;
        let shape = (kind, row.get("not_null").expect("readable"), key);
        tables.entry(table).or_default().insert(name, shape);
    }
    tables
}
