//! Forward-only migrations, embedded in the binary and verified by checksum.
//!
//! A release expands the tables, and only a later one, when nothing reads the old form any more,
//! contracts them: while replicas of two releases run side by side, both must work. A binary
//! therefore accepts newer steps that it does not know, except those whose name begins with
//! `contract_`, which were not made for it.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Db, SqlError, Tx, query};

/// One step: the files `migrations/sqlite/NNNN_name.sql` and `migrations/postgres/NNNN_name.sql`.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The number in the file's name.
    pub version: i64,
    /// The name in the file's name.
    pub name: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
    /// The text for PostgreSQL: the same tables and columns.
    pub postgres: &'static str,
}

/// The steps of one room, ascending by version.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// Who owns the tables.
    pub room: &'static str,
    /// The steps.
    pub steps: &'static [Migration],
}

/// Longest time for all steps of a room, waiting for another process included: an index on a large
/// table takes its time.
const PATIENCE: Duration = Duration::from_secs(900);

/// Steps with this beginning take away what the binary before them reads.
const CONTRACT: &str = "contract_";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS florin_migrations (
    room       TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    name       TEXT   NOT NULL,
    checksum   TEXT   NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (room, version)
)";

pub(super) async fn run(db: &Db, set: &Migrations, applied_at: i64) -> Result<(), SqlError> {
    // The lane holds back other replicas that start at the same time.
    let db = db.lane("migrations").with_patience(PATIENCE);
    let mut tx = db.begin().await?;
    tx.execute(query(TABLE)).await?;
    let mut applied = BTreeMap::new();
    let select = "SELECT version, name, checksum FROM florin_migrations WHERE room = $1";
    for row in tx.fetch_all(query(select).bind(set.room)).await? {
        let name_and_sum = (row.get::<String>("name")?, row.get::<String>("checksum")?);
        applied.insert(row.get::<i64>("version")?, name_and_sum);
    }
    for step in set.steps {
        let text = match db.is_shared() {
            true => step.postgres,
            false => step.sqlite,
        };
        let checksum = hex::encode(Sha256::digest(text));
        match applied.remove(&step.version) {
            Some((_, known)) if known == checksum => {}
            Some(_) => {
                return Err(refuse(
                    set,
                    step.version,
                    "its text changed after it was applied",
                ));
            }
            None => apply(&mut tx, set, step, checksum, applied_at).await?,
        }
    }
    let last = set.steps.last().map_or(i64::MIN, |step| step.version);
    for (version, (name, _)) in &applied {
        if *version < last || name.starts_with(CONTRACT) {
            return Err(refuse(set, *version, "unknown to this version of florin"));
        }
        tracing::info!(
            room = set.room,
            version,
            name,
            "a newer florin expanded the tables"
        );
    }
    tx.commit().await
}

async fn apply(
    tx: &mut Tx,
    set: &Migrations,
    step: &Migration,
    checksum: String,
    at: i64,
) -> Result<(), SqlError> {
    tx.execute_script(step.sqlite, step.postgres).await?;
    let insert = "INSERT INTO florin_migrations (room, version, name, checksum, applied_at)
                  VALUES ($1, $2, $3, $4, $5)";
    let row = query(insert)
        .bind(set.room)
        .bind(step.version)
        .bind(step.name)
        .bind(checksum)
        .bind(at);
    tx.execute(row).await.map(drop)
}

fn refuse(set: &Migrations, version: i64, reason: &str) -> SqlError {
    SqlError::Migration {
        room: set.room.to_owned(),
        version,
        reason: reason.to_owned(),
    }
}
