//! Service tables: users, keys, webhooks, the audit log and whatever else is not the ledger.
//!
//! **Boundary.** Rooms write one SQL text in the subset that SQLite and PostgreSQL share and run
//! it through [`Db`] and [`Tx`]; which database answers is this module's business. Values go in
//! as [`Arg`] and come out through [`Row::get`], all concrete types: no generics over databases
//! reach a room.
//!
//! **The shared subset.** `$1` parameters, `ON CONFLICT`, `RETURNING`, CTEs, window functions,
//! `CASE`, `COALESCE`, `COUNT`. Four types: whole numbers (`BIGINT`; `INTEGER` in SQLite), text
//! (`TEXT COLLATE "C"`; `TEXT`), bytes (`BYTEA`; `BLOB`) and truth (`BOOLEAN`; `INTEGER`). Text
//! holds no NUL, and it is ordered by its bytes. A truth value is compared with a bound one,
//! never with 0 or 1. `SUM` is cast: `CAST(SUM(n) AS BIGINT)`. `LIKE`, dates, `MAX(a, b)`,
//! `rowid` and `INSERT OR IGNORE` differ and are not used. A statement that may meet a row that
//! is there says `ON CONFLICT`: after a failed statement a transaction can only be rolled back.
//!
//! **Invariants.**
//! - Of one [lane](Db::lane) at most one transaction writes at a time, over all processes: what
//!   a transaction of a lane has read of the lane's tables is still so when it writes.
//! - A statement sees everything that was committed before it.
//! - A committed transaction is on disk before [`Tx::commit`] returns.
//! - A [`Tx`] that is dropped without `commit` leaves nothing behind.
//! - Migrations only go forward, one process at a time, and an applied one whose text changed
//!   stops the start.
//! - Every wait is bounded: a call or a transaction ends within [`PATIENCE`], work of nobody's
//!   request ([`Db::patient`]) within [`BACKGROUND_PATIENCE`].

mod error;
mod migrate;
mod postgres;
mod probe;
mod query;
mod settings;
mod sqlite;

pub use error::SqlError;
pub use migrate::{Migration, Migrations};
pub use probe::{PostgresProbe, PostgresTrouble, probe_postgres};
pub use query::{Arg, Column, List, Query, Row, query};
pub(crate) use settings::is_loopback;
pub use settings::{PostgresAddress, PostgresSettings};

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postgres::{PostgresDb, PostgresTx};
use sqlite::{SqliteDb, SqliteTx};

/// Longest wait for a free connection of SQLite; then [`SqlError::Unavailable`]. The ledger
/// contract wants `store_unavailable` within one second (ledger-wallets.md, part E).
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(900);

/// Longest wait for a lock that another process holds on the same SQLite file.
pub const BUSY_TIMEOUT: Duration = Duration::from_millis(900);

/// Longest time of a call or transaction on PostgreSQL, from asking for a connection to the
/// answer, for the same reason; a request may have waited for something else before.
pub const PATIENCE: Duration = Duration::from_millis(800);

/// The same for housekeeping, for which nobody waits.
pub const BACKGROUND_PATIENCE: Duration = Duration::from_secs(30);

/// Connections that serve reads beside the single writer of SQLite.
pub const READERS: u32 = 4;

/// A handle to the service tables; cheap to clone.
#[derive(Clone, Debug)]
pub struct Db(Store);

#[derive(Clone, Debug)]
enum Store {
    /// The embedded default: one file, write-ahead log.
    Sqlite(SqliteDb),
    /// A schema that several processes share.
    Postgres(PostgresDb),
}

/// A write transaction. Dropped without [`Tx::commit`], it rolls back. After a statement of it
/// failed, nothing but that is left.
#[derive(Debug)]
pub struct Tx {
    running: Running,
    failed: bool,
    ended: Option<Ended>,
}

/// Raises a counter when it is dropped.
#[derive(Debug)]
struct Ended(Arc<AtomicU64>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
enum Running {
    /// Holds the writer connection of a SQLite file.
    Sqlite(SqliteTx),
    /// Holds the lock of a lane.
    Postgres(PostgresTx),
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
        Ok(Self(Store::Sqlite(SqliteDb::open(path).await?)))
    }

    /// As [`Db::open_sqlite`], for a file that takes thousands of rows a second: up to 96 MiB of
    /// page cache, and a write-ahead log of 128 MiB.
    ///
    /// # Errors
    /// As [`Db::open_sqlite`].
    pub async fn open_sqlite_busy(path: &Path) -> Result<Self, SqlError> {
        Ok(Self(Store::Sqlite(SqliteDb::open_busy(path).await?)))
    }

    /// A database of its own, gone with the last handle; for tests. It lies in a temporary file
    /// and is never synced: SQLite's own in-memory databases make readers wait for the writer,
    /// which no test should have to know.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`] if the temporary folder cannot be written.
    pub async fn open_memory() -> Result<Self, SqlError> {
        Ok(Self(Store::Sqlite(SqliteDb::open_scratch().await?)))
    }

    /// Opens a schema on a PostgreSQL server, making it when it is missing. Waits for a server
    /// that is starting too, up to [`BACKGROUND_PATIENCE`].
    ///
    /// # Errors
    /// [`SqlError::Settings`] for settings that cannot be used, [`SqlError::Unavailable`] when
    /// the server does not answer or refuses the log-in, [`SqlError::Statement`] when its user
    /// may not make the schema.
    pub async fn open_postgres(settings: PostgresSettings) -> Result<Self, SqlError> {
        Ok(Self(Store::Postgres(PostgresDb::open(settings).await?)))
    }

    /// Other processes may use the same tables: what is remembered of them may be outdated.
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Store::Postgres(_))
    }

    /// The same tables with a lane of its own: its transactions wait for each other, in all
    /// processes, and not for those of other lanes. A room that writes a good deal takes one,
    /// under its own name, and then writes its tables through nothing else. In such a
    /// transaction another room's tables are changed only by that room's functions that say so,
    /// such as [`append_in`](crate::audit::AuditLog::append_in), and those come last. In SQLite
    /// all lanes are one.
    #[must_use]
    pub fn lane(&self, name: &'static str) -> Self {
        match &self.0 {
            Store::Sqlite(_) => self.clone(),
            Store::Postgres(db) => Self(Store::Postgres(db.lane(name))),
        }
    }

    /// The same tables for work that no request waits for: its calls may take up to
    /// [`BACKGROUND_PATIENCE`].
    #[must_use]
    pub fn patient(&self) -> Self {
        self.with_patience(BACKGROUND_PATIENCE)
    }

    /// The same tables for transactions that find every row by a key. PostgreSQL keeps the plan
    /// of a prepared statement, and one that was made while a table was empty reads all of it
    /// for ever after, or until statistics are gathered: here it uses the index from the first
    /// row on. SQLite always does.
    #[must_use]
    pub fn indexed(&self) -> Self {
        match &self.0 {
            Store::Sqlite(_) => self.clone(),
            Store::Postgres(db) => Self(Store::Postgres(db.indexed())),
        }
    }

    /// The same tables for work that may take that long, such as counting all rows of a table.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        match &self.0 {
            Store::Sqlite(_) => self.clone(),
            Store::Postgres(db) => Self(Store::Postgres(db.with_patience(patience))),
        }
    }

    /// All rows of a reading statement. Sees every transaction committed before the call. The
    /// statement may be sent twice when a connection turns out to be dead.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`] or [`SqlError::Statement`].
    pub async fn fetch_all(&self, query: Query) -> Result<Vec<Row>, SqlError> {
        match &self.0 {
            Store::Sqlite(db) => db.fetch_all(query).await,
            Store::Postgres(db) => db.fetch_all(query).await,
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
    /// As [`Tx::execute`] and [`Tx::commit`].
    pub async fn execute(&self, query: Query) -> Result<u64, SqlError> {
        let mut tx = self.begin().await?;
        let changed = tx.execute(query).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Starts a write transaction. It waits for the one of its lane before it to end; keep it
    /// short and await nothing else inside.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`] when its turn does not come in time.
    pub async fn begin(&self) -> Result<Tx, SqlError> {
        Ok(Tx::of(match &self.0 {
            Store::Sqlite(db) => Running::Sqlite(db.begin().await?),
            Store::Postgres(db) => Running::Postgres(db.begin().await?),
        }))
    }

    /// Starts a write transaction that waits only for those of the same key in its lane, and
    /// for those of the lane that were started without a key. What it reads in order to write
    /// must belong to the key: a room's hot object, such as one endpoint or one event. In SQLite
    /// it is [`Db::begin`].
    ///
    /// # Errors
    /// As [`Db::begin`].
    pub async fn begin_keyed(&self, key: &str) -> Result<Tx, SqlError> {
        Ok(Tx::of(match &self.0 {
            Store::Sqlite(db) => Running::Sqlite(db.begin().await?),
            Store::Postgres(db) => Running::Postgres(db.begin_keyed(key).await?),
        }))
    }

    /// Applies the migrations of one room that are not applied yet, all or none of them, one
    /// process at a time. `applied_at` is the wall clock in microseconds, kept for people who
    /// read the table.
    ///
    /// # Errors
    /// [`SqlError::Migration`] if an applied migration differs from the embedded one or is
    /// unknown to this binary and not made for it.
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
        match &self.0 {
            Store::Sqlite(db) => db.pool_stats(),
            Store::Postgres(db) => db.pool_stats(),
        }
    }

    /// Sets the gauge `db_pool_connections{state}`.
    pub fn measure(&self) {
        let stats = self.pool_stats();
        for (state, count) in [
            ("active", stats.active),
            ("idle", stats.idle),
            ("max", stats.max),
        ] {
            metrics::gauge!("db_pool_connections", "state" => state).set(f64::from(count));
        }
    }

    /// Closes all connections; later calls answer [`SqlError::Unavailable`].
    pub async fn close(&self) {
        match &self.0 {
            Store::Sqlite(db) => db.close().await,
            Store::Postgres(db) => db.close().await,
        }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn postgres_settings(&self) -> Option<PostgresSettings> {
        match &self.0 {
            Store::Sqlite(_) => None,
            Store::Postgres(db) => Some(db.settings()),
        }
    }
}

impl Tx {
    fn of(running: Running) -> Self {
        Self {
            running,
            failed: false,
            ended: None,
        }
    }

    /// Raises this counter when the transaction has ended, however that was: after its effect can
    /// be seen, and before [`Tx::commit`] returns. For what is remembered of the tables.
    pub fn count_end(&mut self, counter: &Arc<AtomicU64>) {
        self.ended = Some(Ended(Arc::clone(counter)));
    }

    /// Runs one statement; answers the number of rows it changed.
    ///
    /// # Errors
    /// [`SqlError::Duplicate`] for a broken unique constraint, else as [`Db::fetch_all`]. After
    /// an error the transaction can only be dropped.
    pub async fn execute(&mut self, query: Query) -> Result<u64, SqlError> {
        self.usable()?;
        let done = match &mut self.running {
            Running::Sqlite(tx) => tx.execute(query).await,
            Running::Postgres(tx) => tx.execute(query).await,
        };
        self.keep(done)
    }

    /// All rows of a statement (also of one with `RETURNING`), seen inside the transaction.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch_all(&mut self, query: Query) -> Result<Vec<Row>, SqlError> {
        self.usable()?;
        let rows = match &mut self.running {
            Running::Sqlite(tx) => tx.fetch_all(query).await,
            Running::Postgres(tx) => tx.fetch_all(query).await,
        };
        self.keep(rows)
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
    /// [`SqlError::CommitUnknown`] when the answer was lost; any other error means that nothing
    /// was done.
    pub async fn commit(self) -> Result<(), SqlError> {
        self.usable()?;
        match self.running {
            Running::Sqlite(tx) => tx.commit().await,
            Running::Postgres(tx) => tx.commit().await,
        }
    }

    /// Several statements separated by `;`, without parameters. Only migrations need this.
    async fn execute_script(
        &mut self,
        sqlite: &'static str,
        postgres: &str,
    ) -> Result<(), SqlError> {
        self.usable()?;
        let done = match &mut self.running {
            Running::Sqlite(tx) => tx.execute_script(sqlite).await,
            Running::Postgres(tx) => tx.execute_script(postgres.to_owned()).await,
        };
        self.keep(done)
    }

    fn usable(&self) -> Result<(), SqlError> {
        match self.failed {
            true => Err(SqlError::Failed),
            false => Ok(()),
        }
    }

    /// PostgreSQL gives a transaction up at its first error; here SQLite does too, so that a
    /// caller who goes on is found by any test.
    fn keep<T>(&mut self, done: Result<T, SqlError>) -> Result<T, SqlError> {
        self.failed |= done.is_err();
        done
    }
}

/// Parts of a limit. A process that stood still together with its machine loses one of them: what
/// it waits for had no time either.
const PARTS: u32 = 4;

/// What the work comes to; `None` when it took longer than the limit while this process ran.
async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..PARTS {
        if let Ok(done) = tokio::time::timeout(limit / PARTS, work.as_mut()).await {
            return Some(done);
        }
    }
    None
}

fn record_acquired(started: Instant) {
    metrics::histogram!("db_pool_acquire_seconds").record(started.elapsed());
}

#[cfg(test)]
mod tests;
