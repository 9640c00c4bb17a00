//! PostgreSQL behind [`super::Db`]: a pool, and transactions that take turns.
//!
//! **Isolation.** Every statement sees what was committed before it (READ COMMITTED), and a
//! transaction begins with an advisory lock on its lane: of one lane at most one writes at a
//! time, over all processes. Read-then-write is therefore as right as with the single writer of
//! SQLite, nothing has to be repeated for want of serialisability, and deadlocks between lanes
//! end by the lock time-out. Keyed transactions share the lane and take turns by key only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgPool, PgPoolOptions, Postgres};
use sqlx::{AssertSqlSafe, raw_sql};

use super::error::{is_cancelled, is_dead, is_plan_change};
use super::{Arg, BACKGROUND_PATIENCE, List, PoolStats, PostgresSettings, Query, Row, SqlError};

/// Connections that turn out dead are replaced this often within one call.
const REPLACED_MAX: u32 = 64;

/// Time for the rollback of a transaction that was dropped.
const ROLLBACK: Duration = Duration::from_secs(2);

/// Connections older than this are replaced: after a failover the pool finds the new writer.
const LIFETIME: Duration = Duration::from_secs(1_800);

/// Unused connections above the first are closed after this time.
const IDLE: Duration = Duration::from_secs(300);

/// See [`Db::indexed`](super::Db::indexed).
const INDEXED: &str = "SET LOCAL enable_seqscan = off;";

/// A schema on a PostgreSQL server.
#[derive(Clone, Debug)]
pub struct PostgresDb {
    pool: PgPool,
    settings: Arc<PostgresSettings>,
    /// Connections older than this know tables as they no longer are.
    stale: Arc<Mutex<Option<Instant>>>,
    lane: &'static str,
    patience: Duration,
    /// Transactions keep to indexes.
    indexed: bool,
}

/// A transaction of a lane.
#[derive(Debug)]
pub struct PostgresTx {
    connection: Option<PoolConnection<Postgres>>,
    deadline: Instant,
    stale: Arc<Mutex<Option<Instant>>>,
    /// A statement is on its way or broke off: the connection cannot be used again.
    broken: bool,
}

impl PostgresDb {
    pub(super) async fn open(settings: PostgresSettings) -> Result<Self, SqlError> {
        let stale: Arc<Mutex<Option<Instant>>> = Arc::default();
        let known = Arc::clone(&stale);
        let pool = PgPoolOptions::new()
            .max_connections(settings.pool_max.max(2))
            .min_connections(1)
            // The real bound is the patience of the call, see `acquire`.
            .acquire_timeout(BACKGROUND_PATIENCE)
            .idle_timeout(Some(IDLE))
            .max_lifetime(Some(LIFETIME))
            // A dead connection is noticed by its first use, and replaced then.
            .test_before_acquire(false)
            .before_acquire(move |_, found| {
                let fresh = match *known.lock() {
                    Some(at) => found.age < at.elapsed(),
                    None => true,
                };
                Box::pin(std::future::ready(Ok(fresh)))
            })
            .connect_lazy_with(settings.options()?);
        let db = Self {
            pool,
            patience: settings.patience,
            settings: Arc::new(settings),
            stale,
            lane: "service",
            indexed: false,
        };
        db.with_patience(BACKGROUND_PATIENCE).make_schema().await?;
        Ok(db)
    }

    /// The schema is made only when it is missing, since that needs a right that the server's
    /// user may lack.
    async fn make_schema(&self) -> Result<(), SqlError> {
        let select = "SELECT nspname::text AS name FROM pg_namespace WHERE nspname = $1";
        let find = super::query(select).bind(&self.settings.schema);
        if !self.fetch_all(find.clone()).await?.is_empty() {
            return Ok(());
        }
        let mut tx = self.lane("schema").begin().await?;
        if tx.fetch_all(find).await?.is_empty() {
            tx.execute_script(format!("CREATE SCHEMA {}", self.settings.schema))
                .await?;
        }
        tx.commit().await
    }

    pub(super) fn lane(&self, name: &'static str) -> Self {
        let mut other = self.clone();
        other.lane = name;
        other
    }

    pub(super) fn with_patience(&self, patience: Duration) -> Self {
        let mut other = self.clone();
        other.patience = self.patience.max(patience);
        other
    }

    pub(super) fn indexed(&self) -> Self {
        let mut other = self.clone();
        other.indexed = true;
        other
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn settings(&self) -> PostgresSettings {
        (*self.settings).clone()
    }

    pub(super) async fn fetch_all(&self, query: Query) -> Result<Vec<Row>, SqlError> {
        let deadline = Instant::now() + self.patience;
        let mut replaced = 0;
        loop {
            let mut connection = self.acquire(deadline).await?;
            let args = arguments(query.args.clone())?;
            let run = sqlx::query_with(AssertSqlSafe(query.sql.clone()), args)
                .fetch_all(&mut *connection);
            let error = match within(deadline, run).await {
                Ok(rows) => return Ok(rows.into_iter().map(Row::Postgres).collect()),
                Err(error) => error,
            };
            if is_plan_change(&error) {
                *self.stale.lock() = Some(Instant::now());
            }
            // The session's bound is for what requests wait for: a longer one is told first.
            if is_cancelled(&error) && self.patience > self.settings.patience {
                return self.fetch_in_patience(query).await;
            }
            // A reading statement may be asked again on another connection.
            let again = is_dead(&error) || is_plan_change(&error);
            if again || error.as_database_error().is_none() {
                connection.close_on_drop();
            }
            replaced += 1;
            if !again || replaced > REPLACED_MAX {
                return Err(error.into());
            }
        }
    }

    async fn fetch_in_patience(&self, query: Query) -> Result<Vec<Row>, SqlError> {
        let mut tx = self.begin_with("").await?;
        let rows = tx.fetch_all(query).await?;
        tx.commit().await?;
        Ok(rows)
    }

    pub(super) async fn begin(&self) -> Result<PostgresTx, SqlError> {
        let lane = self.key(None);
        self.begin_with(&format!("SELECT pg_advisory_xact_lock({lane})"))
            .await
    }

    pub(super) async fn begin_keyed(&self, key: &str) -> Result<PostgresTx, SqlError> {
        let (lane, key) = (self.key(None), self.key(Some(key)));
        self.begin_with(&format!(
            "SELECT pg_advisory_xact_lock_shared({lane}); SELECT pg_advisory_xact_lock({key})"
        ))
        .await
    }

    async fn begin_with(&self, locks: &str) -> Result<PostgresTx, SqlError> {
        let mut bounds = match self.patience > self.settings.patience {
            true => {
                let millis = self.patience.as_millis();
                format!(
                    "SET LOCAL statement_timeout = {millis}; SET LOCAL lock_timeout = {millis};
                     SET LOCAL idle_in_transaction_session_timeout = {millis};"
                )
            }
            false => String::new(),
        };
        if self.indexed {
            bounds.push_str(INDEXED);
        }
        let text = format!("BEGIN; {bounds} {locks}");
        let deadline = Instant::now() + self.patience;
        let mut replaced = 0;
        loop {
            let mut tx = PostgresTx {
                connection: Some(self.acquire(deadline).await?),
                deadline,
                stale: Arc::clone(&self.stale),
                broken: false,
            };
            let Err(error) = tx.script(text.clone()).await else {
                return Ok(tx);
            };
            replaced += 1;
            // Nothing was done yet, so a dead connection may be replaced.
            if !is_dead(&error) || replaced > REPLACED_MAX {
                return Err(error.into());
            }
        }
    }

    async fn acquire(&self, deadline: Instant) -> Result<PoolConnection<Postgres>, SqlError> {
        let started = Instant::now();
        let left = deadline.saturating_duration_since(started);
        let acquired = tokio::time::timeout(left, self.pool.acquire()).await;
        super::record_acquired(started);
        Ok(acquired.unwrap_or(Err(sqlx::Error::PoolTimedOut))?)
    }

    /// Number of the advisory lock of this lane, or of a key in it. Advisory locks are the
    /// database's, so the schema is part of it.
    fn key(&self, key: Option<&str>) -> i64 {
        let mut hash = Sha256::new();
        for part in ["florin lane 1", &self.settings.schema, self.lane] {
            hash.update(part);
            hash.update([0]);
        }
        if let Some(key) = key {
            hash.update([1]);
            hash.update(key);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let mut number = [0; 8];
        number.copy_from_slice(&hash[..8]);
        i64::from_be_bytes(number)
    }

    pub(super) fn pool_stats(&self) -> PoolStats {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        PoolStats {
            active: self.pool.size().saturating_sub(idle),
            idle,
            max: self.settings.pool_max.max(2),
        }
    }

    pub(super) async fn close(&self) {
        // Connections in use are waited for, but a server that is away must not hold up a stop.
        let _ = tokio::time::timeout(ROLLBACK, self.pool.close()).await;
    }
}

impl PostgresTx {
    pub(super) async fn execute(&mut self, query: Query) -> Result<u64, SqlError> {
        let args = arguments(query.args)?;
        let (deadline, connection) = self.use_connection()?;
        let run = sqlx::query_with(AssertSqlSafe(query.sql), args).execute(&mut **connection);
        let done = within(deadline, run).await;
        Ok(self.settle(done)?.rows_affected())
    }

    pub(super) async fn fetch_all(&mut self, query: Query) -> Result<Vec<Row>, SqlError> {
        let args = arguments(query.args)?;
        let (deadline, connection) = self.use_connection()?;
        let run = sqlx::query_with(AssertSqlSafe(query.sql), args).fetch_all(&mut **connection);
        let rows = within(deadline, run).await;
        let rows = self.settle(rows)?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    pub(super) async fn execute_script(&mut self, text: String) -> Result<(), SqlError> {
        Ok(self.script(text).await?)
    }

    async fn script(&mut self, text: String) -> Result<(), sqlx::Error> {
        let (deadline, connection) = self.use_connection()?;
        let run = raw_sql(AssertSqlSafe(text)).execute(&mut **connection);
        let done = within(deadline, run).await;
        self.settle(done).map(drop)
    }

    pub(super) async fn commit(mut self) -> Result<(), SqlError> {
        // Nothing was sent: certainly not done.
        if self.deadline <= Instant::now() {
            return Err(SqlError::Unavailable(sqlx::Error::PoolTimedOut));
        }
        let done = self.script("COMMIT".to_owned()).await;
        match done {
            Ok(()) => {
                if let Some(connection) = self.connection.take() {
                    drop(connection);
                }
                Ok(())
            }
            // The server said no before anything was durable.
            Err(error) if error.as_database_error().is_some() && !is_dead(&error) => {
                Err(error.into())
            }
            Err(error) => Err(SqlError::CommitUnknown(error)),
        }
    }

    fn use_connection(&mut self) -> Result<(Instant, &mut PoolConnection<Postgres>), sqlx::Error> {
        if self.broken {
            return Err(broken_off());
        }
        // Stays set when the call is dropped while it waits.
        self.broken = true;
        match &mut self.connection {
            Some(connection) => Ok((self.deadline, connection)),
            None => Err(broken_off()),
        }
    }

    fn settle<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        match &done {
            Ok(_) => self.broken = false,
            Err(error) => {
                if is_plan_change(error) {
                    *self.stale.lock() = Some(Instant::now());
                }
                self.broken = error.as_database_error().is_none() || is_dead(error);
            }
        }
        done
    }
}

impl Drop for PostgresTx {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        // Closing ends the transaction on the server too.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return connection.close_on_drop();
        };
        if self.broken {
            return connection.close_on_drop();
        }
        runtime.spawn(async move {
            let undo = raw_sql("ROLLBACK").execute(&mut *connection);
            if !matches!(tokio::time::timeout(ROLLBACK, undo).await, Ok(Ok(_))) {
                connection.close_on_drop();
            }
        });
    }
}

fn broken_off() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other("the transaction broke off"))
}

async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match tokio::time::timeout_at(deadline.into(), work).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

fn arguments(args: Vec<Arg>) -> Result<PgArguments, SqlError> {
    use sqlx::Arguments as _;
    let mut bound = PgArguments::default();
    for arg in args {
        match arg {
            Arg::Int(value) => bound.add(value),
            Arg::Text(value) => bound.add(value),
            Arg::Bytes(value) => bound.add(value),
            Arg::Bool(value) => bound.add(value),
            Arg::List(List::Ints(values)) => bound.add(values),
            Arg::List(List::Texts(values)) => bound.add(values),
            Arg::List(List::Bytes(values)) => bound.add(values),
            Arg::List(List::Bools(values)) => bound.add(values),
        }
        .map_err(|error| SqlError::Statement(sqlx::Error::Encode(error)))?;
    }
    Ok(bound)
}
