//! Forward-only migrations, embedded in the binary and verified by checksum.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::{Db, SqlError, query};

/// One step: a file `migrations/sqlite/NNNN_name.sql`, later mirrored in `migrations/postgres`.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The number in the file's name.
    pub version: i64,
    /// The name in the file's name.
    pub name: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
}

/// The steps of one room, ascending by version.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// Who owns the tables.
    pub room: &'static str,
    /// The steps.
    pub steps: &'static [Migration],
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS florin_migrations (
    room       TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    name       TEXT   NOT NULL,
    checksum   TEXT   NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (room, version)
)";

pub(super) async fn run(db: &Db, set: &Migrations, applied_at: i64) -> Result<(), SqlError> {
    db.execute(query(TABLE)).await?;
    let mut applied = BTreeMap::new();
    let select = "SELECT version, checksum FROM florin_migrations WHERE room = $1";
    for row in db.fetch_all(query(select).bind(set.room)).await? {
        applied.insert(row.get::<i64>("version")?, row.get::<String>("checksum")?);
    }
    for step in set.steps {
        match applied.remove(&step.version) {
            Some(checksum) if checksum == checksum_of(step) => {}
            Some(_) => {
                return Err(refuse(
                    set,
                    step.version,
                    "its text changed after it was applied",
                ));
            }
            None => apply(db, set, step, applied_at).await?,
        }
    }
    match applied.keys().next() {
        Some(version) => Err(refuse(set, *version, "unknown to this version of florin")),
        None => Ok(()),
    }
}

async fn apply(db: &Db, set: &Migrations, step: &Migration, at: i64) -> Result<(), SqlError> {
    let mut tx = db.begin().await?;
    tx.execute_script(step.sqlite).await?;
    let insert = "INSERT INTO florin_migrations (room, version, name, checksum, applied_at)
                  VALUES ($1, $2, $3, $4, $5)";
    let row = query(insert)
        .bind(set.room)
        .bind(step.version)
        .bind(step.name)
        .bind(checksum_of(step))
        .bind(at);
    tx.execute(row).await?;
    tx.commit().await
}

fn checksum_of(step: &Migration) -> String {
    hex::encode(Sha256::digest(step.sqlite))
}

fn refuse(set: &Migrations, version: i64, reason: &str) -> SqlError {
    SqlError::Migration {
        room: set.room.to_owned(),
        version,
        reason: reason.to_owned(),
    }
}
