//! SQLite behind [`super::Db`]: one writer connection, a few readers, write-ahead log.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, SqlStr, Transaction};

use super::{
    ACQUIRE_TIMEOUT, Arg, BACKGROUND_PATIENCE, BUSY_TIMEOUT, PoolStats, Query, READERS, Row,
    SqlError, in_time,
};

/// Pools of one SQLite database.
#[derive(Clone, Debug)]
pub struct SqliteDb {
    writer: SqlitePool,
    readers: SqlitePool,
    _scratch: Option<Arc<ScratchFile>>,
}

/// A transaction on the writer connection, begun IMMEDIATE so that it can never fail half-way for
/// want of the write lock.
#[derive(Debug)]
pub struct SqliteTx(Transaction<'static, Sqlite>);

/// What a file may use of memory, and how long its write-ahead log may grow.
struct Sizes {
    /// Page cache of the writer; negative: KiB.
    writer_cache: &'static str,
    /// The same of each reader.
    reader_cache: &'static str,
    /// Pages of 4 KiB in the log after which a commit moves them to the file.
    checkpoint_pages: &'static str,
}

/// SQLite's own sizes.
const SMALL: Sizes = Sizes {
    writer_cache: "-2000",
    reader_cache: "-2000",
    checkpoint_pages: "1000",
};

/// For thousands of rows a second all over the file: with the small sizes each commit reads its
/// pages again, and moves the same pages to the file again and again.
const BUSY: Sizes = Sizes {
    writer_cache: "-65536",
    reader_cache: "-8192",
    checkpoint_pages: "32768",
};

impl SqliteDb {
    pub(super) async fn open(path: &Path) -> Result<Self, SqlError> {
        Self::connect(path, SqliteSynchronous::Full, &SMALL, None).await
    }

    pub(super) async fn open_busy(path: &Path) -> Result<Self, SqlError> {
        Self::connect(path, SqliteSynchronous::Full, &BUSY, None).await
    }

    pub(super) async fn open_scratch() -> Result<Self, SqlError> {
        let name = florin_base::IdSource::random_32();
        let file = format!("florin-scratch-{}.db", hex::encode(name));
        let scratch = ScratchFile(std::env::temp_dir().join(file));
        let path = scratch.0.clone();
        let scratch = Some(Arc::new(scratch));
        Self::connect(&path, SqliteSynchronous::Off, &SMALL, scratch).await
    }

    async fn connect(
        path: &Path,
        synchronous: SqliteSynchronous,
        sizes: &Sizes,
        scratch: Option<Arc<ScratchFile>>,
    ) -> Result<Self, SqlError> {
        create_private(path).map_err(io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("trusted_schema", "OFF");
        let writing = options
            .clone()
            .pragma("cache_size", sizes.writer_cache)
            .pragma("wal_autocheckpoint", sizes.checkpoint_pages);
        let reading = options.pragma("cache_size", sizes.reader_cache);
        // The writer goes first: it switches the file to WAL before a read-only connection looks.
        let writer = pool(1).connect_with(writing).await?;
        let readers = pool(READERS).connect_with(reading.read_only(true)).await?;
        Ok(Self {
            writer,
            readers,
            _scratch: scratch,
        })
    }

    pub(super) async fn fetch_all(&self, query: Query) -> Result<Vec<Row>, SqlError> {
        let mut connection = acquire(&self.readers).await?;
        let rows = sqlx::query_with(AssertSqlSafe(query.sql), arguments(query.args)?)
            .fetch_all(&mut *connection)
            .await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    pub(super) async fn begin(&self) -> Result<SqliteTx, SqlError> {
        match self.begin_once().await {
            // SQLite rolls a transaction back by itself when the disk is full or fails, and the
            // driver goes on believing in it: such a connection takes no transaction any more.
            Err(SqlError::Unavailable(sqlx::Error::InvalidSavePointStatement)) => {
                acquire(&self.writer).await?.close().await?;
                self.begin_once().await
            }
            begun => begun,
        }
    }

    async fn begin_once(&self) -> Result<SqliteTx, SqlError> {
        let writer = acquire(&self.writer).await?;
        let begin = SqlStr::from_static("BEGIN IMMEDIATE");
        Ok(SqliteTx(Transaction::begin(writer, Some(begin)).await?))
    }

    pub(super) fn pool_stats(&self) -> PoolStats {
        let idle = self.writer.num_idle() + self.readers.num_idle();
        let idle = u32::try_from(idle).unwrap_or(u32::MAX);
        PoolStats {
            active: (self.writer.size() + self.readers.size()).saturating_sub(idle),
            idle,
            max: 1 + READERS,
        }
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl SqliteTx {
    pub(super) async fn execute(&mut self, query: Query) -> Result<u64, SqlError> {
        let done = sqlx::query_with(AssertSqlSafe(query.sql), arguments(query.args)?)
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn fetch_all(&mut self, query: Query) -> Result<Vec<Row>, SqlError> {
        let rows = sqlx::query_with(AssertSqlSafe(query.sql), arguments(query.args)?)
            .fetch_all(&mut *self.0)
            .await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    pub(super) async fn execute_script(&mut self, script: &'static str) -> Result<(), SqlError> {
        sqlx::raw_sql(script).execute(&mut *self.0).await?;
        Ok(())
    }

    pub(super) async fn commit(self) -> Result<(), SqlError> {
        self.0.commit().await.map_err(|error| {
            // A lock not had leaves the transaction as it was; of anything else, such as a
            // failed sync, the file decides.
            let busy = error.as_database_error().and_then(|error| error.code());
            match busy.as_deref() {
                Some("5" | "261" | "517" | "6") => SqlError::Unavailable(error),
                _ => SqlError::CommitUnknown(error),
            }
        })
    }
}

async fn acquire(pool: &SqlitePool) -> Result<PoolConnection<Sqlite>, SqlError> {
    let started = Instant::now();
    let acquired = in_time(ACQUIRE_TIMEOUT, pool.acquire()).await;
    super::record_acquired(started);
    Ok(acquired.unwrap_or(Err(sqlx::Error::PoolTimedOut))?)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        // The real bound is that of `acquire`.
        .acquire_timeout(BACKGROUND_PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        // A local file has no half-dead connections to look for.
        .test_before_acquire(false)
}

/// Password hashes live in this file, so nobody else on the machine may read it; the WAL takes
/// over its mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

fn io(error: std::io::Error) -> SqlError {
    SqlError::Unavailable(sqlx::Error::Io(error))
}

/// The file of a scratch database and what SQLite puts beside it; gone with the last handle.
#[derive(Debug)]
struct ScratchFile(PathBuf);

impl Drop for ScratchFile {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(suffix);
            // A leftover in the temporary folder harms nobody, and there is nobody to tell.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn arguments(args: Vec<Arg>) -> Result<SqliteArguments, SqlError> {
    use sqlx::Arguments as _;
    let mut bound = SqliteArguments::default();
    for arg in args {
        match arg {
            Arg::Int(value) => bound.add(value),
            Arg::Text(value) => bound.add(value),
            Arg::Bytes(value) => bound.add(value),
            Arg::Bool(value) => bound.add(value),
            Arg::List(_) => Err("SQLite has no arrays".into()),
        }
        .map_err(|error| SqlError::Statement(sqlx::Error::Encode(error)))?;
    }
    Ok(bound)
}
