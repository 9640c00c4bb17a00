//! A ledger in PostgreSQL as the source or the target of a move, and as a whole to be verified.

use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::runtime::Runtime;
use uuid::Uuid;

use florin_base::{Secret, Timestamp};

use super::{
    PostgresOptions,
    append::{AppendError, Appender},
    commits::{Commits, CommitsError},
    rows,
    schema::Connections,
};
use crate::{
    checkpoints::{Carried, KeyValidity},
    migrate::{self, MigrateError, refused},
    model::{Slot, Totals},
    proof::{Checkpoint, Frontier, Hash},
    record::codec::Commit,
};

/// A row of `checkpoint_keys`: key, secret, in use from, in use until.
type ListedKey = (String, Option<Vec<u8>>, i64, Option<i64>);

fn runtime() -> Result<Runtime, std::io::Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

impl From<AppendError> for MigrateError {
    fn from(error: AppendError) -> Self {
        refused(format!("the target: {error}"))
    }
}

impl From<CommitsError> for MigrateError {
    fn from(error: CommitsError) -> Self {
        refused(format!("the source: {error}"))
    }
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        refused(format!("the database: {error}"))
    }
}

/// The target of a move.
pub(crate) struct Target {
    runtime: Runtime,
    appender: Appender,
    options: PostgresOptions,
    ledger_id: Uuid,
}

impl Target {
    pub(crate) fn open(options: &PostgresOptions, ledger_id: Uuid) -> Result<Self, MigrateError> {
        let runtime = runtime().map_err(refused)?;
        let appender = runtime.block_on(Appender::open(options, ledger_id))?;
        Ok(Self {
            runtime,
            appender,
            options: options.clone(),
            ledger_id,
        })
    }

    /// Puts the checkpoints there and lets the ledger be opened.
    pub(crate) fn finish(mut self, carried: &Carried) -> Result<(), MigrateError> {
        let work = async {
            self.appender.flush().await?;
            let connections = Connections::new(&self.options).map_err(refused)?;
            let mut connection = connections.mover().await?;
            put_checkpoints(&mut connection, carried, self.ledger_id).await?;
            connection.close().await?;
            self.appender.finish().await?;
            Ok(())
        };
        self.runtime.block_on(work)
    }
}

impl migrate::Target for Target {
    fn place(&self) -> (u64, u64) {
        self.appender.place()
    }

    fn append(&mut self, commit: &Commit) -> Result<(), MigrateError> {
        Ok(self.runtime.block_on(self.appender.append(commit))?)
    }
}

async fn put_checkpoints(
    connection: &mut PgConnection,
    carried: &Carried,
    ledger_id: Uuid,
) -> Result<(), MigrateError> {
    let mut tx = connection.begin().await?;
    sqlx::raw_sql("DELETE FROM checkpoints; DELETE FROM checkpoint_keys")
        .execute(&mut *tx)
        .await?;
    for checkpoint in &carried.checkpoints {
        debug_assert!(checkpoint.note.contains(&ledger_id.to_string()));
        let body = serde_json::to_string(checkpoint).map_err(refused)?;
        sqlx::query(
            "INSERT INTO checkpoints (number, tree_size, batch, body) VALUES ($1, $2, $3, $4)",
        )
        .bind(checkpoint.number as i64)
        .bind(checkpoint.tree_size as i64)
        .bind(checkpoint.batch as i64)
        .bind(body)
        .execute(&mut *tx)
        .await?;
    }
    for (no, listed) in (1i32..).zip(&carried.keys) {
        let in_use = listed.valid_until.is_none();
        let seed = carried.seed.as_ref().filter(|_| in_use);
        sqlx::query(
            "INSERT INTO checkpoint_keys (no, key, seed, valid_from, valid_until)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(no)
        .bind(listed.key.to_string())
        .bind(seed.map(|seed| seed.expose().to_vec()))
        .bind(listed.valid_from.0)
        .bind(listed.valid_until.map(|at| at.0))
        .execute(&mut *tx)
        .await?;
    }
    Ok(tx.commit().await?)
}

/// Where the head says that the ledger stands.
pub(crate) struct HeadRow {
    pub ledger_id: Uuid,
    pub seq: u64,
    pub batch: u64,
    pub note: u64,
    pub chain: Hash,
    pub root: Hash,
}

async fn head(connection: &mut PgConnection) -> Result<HeadRow, MigrateError> {
    let row = sqlx::query("SELECT ledger_id, seq, batch, note, chain, frontier FROM head")
        .fetch_one(connection)
        .await?;
    let number = |at: usize| row.try_get::<i64, _>(at).map(|n| n as u64);
    let chain: Vec<u8> = row.try_get(4)?;
    let frontier: Vec<u8> = row.try_get(5)?;
    let chain = chain
        .try_into()
        .map_err(|_| refused("the head's chain hash does not have 32 bytes"))?;
    Ok(HeadRow {
        ledger_id: row.try_get(0)?,
        seq: number(1)?,
        batch: number(2)?,
        note: number(3)?,
        chain: Hash(chain),
        root: Frontier::from_bytes(&frontier).map_err(refused)?.root(),
    })
}

/// A ledger in one state, to be read as a whole.
pub(crate) struct Source {
    runtime: Runtime,
    /// In a transaction that sees one state.
    connection: Mutex<PgConnection>,
    head: HeadRow,
    /// Holds the head's lock, so that nobody posts; absent when the ledger may run on.
    _holding: Option<PgConnection>,
}

impl Source {
    /// Opens it and keeps everybody from posting until it is dropped.
    pub(crate) fn open(options: &PostgresOptions) -> Result<Self, MigrateError> {
        Self::begin(options, true)
    }

    /// Opens it as it is now; postings go on.
    pub(crate) fn glance(options: &PostgresOptions) -> Result<Self, MigrateError> {
        Self::begin(options, false)
    }

    fn begin(options: &PostgresOptions, hold: bool) -> Result<Self, MigrateError> {
        let runtime = runtime().map_err(refused)?;
        let opened = runtime.block_on(async {
            let connections = Connections::new(options).map_err(refused)?;
            let mut connection = connections.mover().await?;
            let is_ledger: bool = sqlx::query_scalar("SELECT to_regclass('head') IS NOT NULL")
                .fetch_one(&mut connection)
                .await?;
            if !is_ledger {
                let schema = &options.schema;
                return Err(refused(format!(
                    "there is no ledger in the schema {schema}"
                )));
            }
            let holding = match hold {
                true => {
                    let mut holding = connections.mover().await?;
                    sqlx::raw_sql("BEGIN; SELECT seq FROM head FOR UPDATE")
                        .execute(&mut holding)
                        .await?;
                    Some(holding)
                }
                false => None,
            };
            sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                .execute(&mut connection)
                .await?;
            let unfinished: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM unfinished)")
                .fetch_one(&mut connection)
                .await?;
            if unfinished {
                return Err(refused("the ledger was not moved to its end"));
            }
            let head = head(&mut connection).await?;
            Ok((connection, head, holding))
        });
        let (connection, head, holding) = opened?;
        Ok(Self {
            runtime,
            connection: Mutex::new(connection),
            head,
            _holding: holding,
        })
    }

    pub(crate) fn ledger_id(&self) -> Uuid {
        self.head.ledger_id
    }

    pub(crate) fn head(&self) -> &HeadRow {
        &self.head
    }

    /// Calls `visit` with every commit in order, until it says to stop.
    pub(crate) fn each(&self, mut visit: impl FnMut(Commit) -> bool) -> Result<(), CommitsError> {
        let mut connection = self.connection.lock();
        let mut commits = Commits::after(0, 0, 0);
        while let Some(commit) = self.runtime.block_on(commits.next(&mut connection))? {
            if !visit(commit) {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(crate) fn walk(&self, out: &SyncSender<Commit>) -> Result<(), MigrateError> {
        Ok(self.each(|commit| out.send(commit).is_ok())?)
    }

    /// The stored totals of accounts after a slot, at most `limit`, in order.
    pub(crate) fn balances(
        &self,
        after: Option<Slot>,
        limit: usize,
    ) -> Result<Vec<(Slot, Totals)>, MigrateError> {
        let mut connection = self.connection.lock();
        let read = sqlx::query(
            "SELECT slot, dp, cp, dr, cr, high, postings, events FROM balances
             WHERE slot > $1 ORDER BY slot LIMIT $2",
        )
        .bind(after.map_or(-1, i64::from))
        .bind(limit as i64)
        .fetch_all(&mut *connection);
        let found = self.runtime.block_on(read)?;
        found
            .iter()
            .map(|row| {
                let number = |at: usize| row.try_get::<i64, _>(at);
                let low = [number(1)?, number(2)?, number(3)?, number(4)?];
                let high: Option<&[u8]> = row.try_get(5)?;
                let totals = rows::totals(low, high, number(6)?, number(7)?);
                let slot: i32 = row.try_get(0)?;
                Ok((slot as Slot, totals.map_err(refused)?))
            })
            .collect()
    }

    pub(crate) fn checkpoints(&self) -> Result<Carried, MigrateError> {
        let mut connection = self.connection.lock();
        self.runtime.block_on(async {
            let bodies: Vec<String> =
                sqlx::query_scalar("SELECT body FROM checkpoints ORDER BY number")
                    .fetch_all(&mut *connection)
                    .await?;
            let listed: Vec<ListedKey> = sqlx::query_as(
                "SELECT key, seed, valid_from, valid_until FROM checkpoint_keys ORDER BY no",
            )
            .fetch_all(&mut *connection)
            .await?;
            let checkpoints: Result<Vec<Checkpoint>, _> = bodies
                .iter()
                .map(|body| serde_json::from_str(body))
                .collect();
            let mut carried = Carried {
                checkpoints: checkpoints.map_err(refused)?,
                keys: Vec::new(),
                seed: None,
            };
            for (key, seed, from, until) in listed {
                carried.keys.push(KeyValidity {
                    key: key.parse().map_err(refused)?,
                    valid_from: Timestamp(from),
                    valid_until: until.map(Timestamp),
                });
                let seed = seed.and_then(|seed| <[u8; 32]>::try_from(seed).ok());
                carried.seed = seed.filter(|_| until.is_none()).map(Secret::new);
            }
            Ok(carried)
        })
    }
}
