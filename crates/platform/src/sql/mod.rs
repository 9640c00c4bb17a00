//! Service tables: users, keys, webhooks, the audit log and whatever else is not the ledger.
//!
//! **Boundary.** Rooms write one SQL text in the subset that SQLite and PostgreSQL share (`$1`
//! parameters, `ON CONFLICT`, `RETURNING`, CTEs, window functions) and run it through [`Db`] and
//! [`Tx`]; which database answers is this module's business. Values go in as [`Arg`] and come out
//! through [`Row::get`], all concrete types: no generics over databases reach a room.
//!
//! **Invariants.**
//! - One writer connection: write transactions of this process never meet each other half-way.
//! - A committed transaction is on disk (`synchronous = FULL`) before [`Tx::commit`] returns.
//! - A [`Tx`] that is dropped without `commit` leaves nothing behind.
//! - Migrations only go forward, and an applied one whose text changed stops the start.
//! - Every wait is bounded: by [`ACQUIRE_TIMEOUT`] for a connection, [`BUSY_TIMEOUT`] for a lock
//!   held by another process.

mod error;
mod migrate;
mod query;
mod sqlite;

pub use error::SqlError;
pub use migrate::{Migration, Migrations};
pub use query::{Arg, Column, Query, Row, query};

use std::path::Path;
use std::time::Duration;

use sqlite::{SqliteDb, SqliteTx};

/// Longest wait for a free connection; then [`SqlError::Unavailable`]. The ledger contract wants
/// `store_unavailable` within one second (ledger-wallets.md, part E).
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(900);

/// Longest wait for a lock that another process holds on the same SQLite file.
pub const BUSY_TIMEOUT: Duration = Duration::from_millis(900);

/// Connections that serve reads beside the single writer.
pub const READERS: u32 = 4;

/// A handle to the service tables; cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// The embedded default: one file, write-ahead log.
    Sqlite(SqliteDb),
}

/// A write transaction. Dropped without [`Tx::commit`], it rolls back.
#[derive(Debug)]
pub enum Tx {
    /// Holds the writer connection of a SQLite file.
    Sqlite(SqliteTx),
}

/// Connections of the pools, for the metric `db_pool_connections{state}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// Connections in use now.
    pub active: u32,
    /// Open connections waiting for work.
    pub idle: u32,
    /// Upper bound of open connections.
    pub max: u32,
}

impl Db {
    /// Opens or creates the SQLite file at `path` (mode 0600 when created).
    ///
    /// # Errors
    /// [`SqlError::Unavailable`] if the file cannot be created, opened or put into WAL mode.
    pub async fn open_sqlite(path: &Path) -> Result<Self, SqlError> {
        Ok(Self::Sqlite(SqliteDb::open(path).await?))
    }

    /// A database of its own, gone with the last handle; for tests. It lies in a temporary file
    /// and is never synced: SQLite's own in-memory databases make readers wait for the writer,
    /// which no test should have to know.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`] if the temporary folder cannot be written.
    pub async fn open_memory() -> Result<Self, SqlError> {
        Ok(Self::Sqlite(SqliteDb::open_scratch().await?))
    }

    /// All rows of a reading statement, from a reader connection. Sees every transaction
    /// committed before the call.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`] or [`SqlError::Statement`].
    pub async fn fetch_all(&self, query: Query) -> Result<Vec<Row>, SqlError> {
        match self {
            Self::Sqlite(db) => db.fetch_all(query).await,
        }
    }

    /// The first row of a reading statement, if any.
    ///
    /// # Errors
    /// As [`Db::fetch_all`].
    pub async fn fetch_optional(&self, query: Query) -> Result<Option<Row>, SqlError> {
        Ok(self.fetch_all(query).await?.into_iter().next())
    }

    /// Runs one writing statement in a transaction of its own; answers the rows it changed.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn execute(&self, query: Query) -> Result<u64, SqlError> {
        let mut tx = self.begin().await?;
        let changed = tx.execute(query).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Starts a write transaction. It waits for the one before it to end; keep it short and await
    /// nothing else inside.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`] when the writer does not become free in time.
    pub async fn begin(&self) -> Result<Tx, SqlError> {
        match self {
            Self::Sqlite(db) => Ok(Tx::Sqlite(db.begin().await?)),
        }
    }

    /// Applies the migrations of one room that are not applied yet, each in its own transaction.
    /// `applied_at` is the wall clock in microseconds, kept for people who read the table.
    ///
    /// # Errors
    /// [`SqlError::Migration`] if an applied migration differs from the embedded one or is
    /// unknown to this binary.
    pub async fn migrate(&self, set: &Migrations, applied_at: i64) -> Result<(), SqlError> {
        migrate::run(self, set, applied_at).await
    }

    /// Asks the store for a trivial answer, for `/ready`.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`].
    pub async fn ping(&self) -> Result<(), SqlError> {
        self.fetch_all(query("SELECT 1 AS one")).await.map(drop)
    }

    /// What the pools hold now.
    pub fn pool_stats(&self) -> PoolStats {
        match self {
            Self::Sqlite(db) => db.pool_stats(),
        }
    }

    /// Closes all connections; later calls answer [`SqlError::Unavailable`].
    pub async fn close(&self) {
        match self {
            Self::Sqlite(db) => db.close().await,
        }
    }
}

impl Tx {
    /// Runs one statement; answers the number of rows it changed.
    ///
    /// # Errors
    /// [`SqlError::Duplicate`] for a broken unique constraint, else as [`Db::fetch_all`].
    pub async fn execute(&mut self, query: Query) -> Result<u64, SqlError> {
        match self {
            Self::Sqlite(tx) => tx.execute(query).await,
        }
    }

    /// All rows of a statement (also of one with `RETURNING`), seen inside the transaction.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch_all(&mut self, query: Query) -> Result<Vec<Row>, SqlError> {
        match self {
            Self::Sqlite(tx) => tx.fetch_all(query).await,
        }
    }

    /// The first row of a statement, if any.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch_optional(&mut self, query: Query) -> Result<Option<Row>, SqlError> {
        Ok(self.fetch_all(query).await?.into_iter().next())
    }

    /// Makes the transaction durable and visible.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`]: the outcome is then unknown to the caller.
    pub async fn commit(self) -> Result<(), SqlError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
        }
    }

    /// Several statements separated by `;`, without parameters. Only migrations need this.
    async fn execute_script(&mut self, script: &'static str) -> Result<(), SqlError> {
        match self {
            Self::Sqlite(tx) => tx.execute_script(script).await,
        }
    }
}

#[cfg(test)]
mod tests;
