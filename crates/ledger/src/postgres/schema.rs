//! Connections, migrations and the first row of a ledger in PostgreSQL.
//!
//! Migrations only go forward and run under an advisory lock, so that replicas may start
//! together. A schema made by a newer version stops the start.

use std::{pin::pin, str::FromStr, time::Duration};

use florin_base::IdSource;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};
use uuid::Uuid;

use super::PostgresOptions;
use crate::{
    engine::OpenError,
    proof::{Frontier, hash},
};

/// Longest wait for a connection (contract E: 503 within a second).
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(450);
/// Longest wait at the first start, when the database may be starting too.
const FIRST_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Name of the lock under which schemas are changed ("florin" in ASCII).
const MIGRATION_LOCK: i64 = 0x666c_6f72_696e;

/// Every migration, in order. Applied ones are never edited.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../migrations/postgres/0001_ledger.sql"),
    include_str!("../../migrations/postgres/0002_reads.sql"),
    include_str!("../../migrations/postgres/0003_sequencer.sql"),
];

/// What every start reads.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub ledger_id: Uuid,
    pub identity_key: [u8; 16],
}

fn refused(what: impl std::fmt::Display) -> OpenError {
    OpenError::Refused(what.to_string())
}

/// A schema name that needs no quotes.
fn is_schema(name: &str) -> bool {
    // The channel `{schema}_head` has at most 63 characters too.
    (1..=58).contains(&name.len())
        && name
            .bytes()
            .enumerate()
            .all(|(i, b)| b.is_ascii_lowercase() || b == b'_' || (i > 0 && b.is_ascii_digit()))
}

/// How connections are made: for the batcher, for reads, for the change feed's signal.
#[derive(Clone)]
pub(super) struct Connections {
    base: PgConnectOptions,
    reads: PgConnectOptions,
    read_patience: Duration,
}

impl Connections {
    pub(super) fn new(options: &PostgresOptions) -> Result<Self, OpenError> {
        if !is_schema(&options.schema) {
            return Err(refused(format!(
                "the schema name {:?} must match ^[a-z_][a-z0-9_]{{0,57}}$",
                options.schema
            )));
        }
        let parse = |url: &str| {
            PgConnectOptions::from_str(url)
                .map(|parsed| {
                    parsed
                        .application_name("florin")
                        .disable_statement_logging()
                        .options([
                            ("client_min_messages", "warning"),
                            ("search_path", options.schema.as_str()),
                            ("jit", "off"),
                        ])
                })
                // The URL may hold a password, so its text is not repeated.
                .map_err(|_| refused("the database URL cannot be read; write postgres://user:password@host:port/name"))
        };
        let base = parse(options.url.expose())?;
        let reads = match &options.replica_url {
            Some(url) => parse(url.expose())?,
            None => base.clone(),
        };
        Ok(Self {
            base,
            reads,
            read_patience: options.read_patience,
        })
    }

    /// A connection for whatever writes. Plans are chosen once and always walk indexes: with
    /// thousands of keys in an array, the planner would otherwise scan whole tables.
    pub(super) async fn writer(&self) -> Result<PgConnection, sqlx::Error> {
        let options = self.base.clone().options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_bitmapscan", "off"),
            ("synchronous_commit", "on"),
            ("work_mem", "64MB"),
            ("lock_timeout", "5s"),
            ("statement_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "2s"),
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "5000"),
        ]);
        within(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await
    }

    /// A connection for moving and verifying whole ledgers, which takes its time.
    pub(super) async fn mover(&self) -> Result<PgConnection, sqlx::Error> {
        let options = self.base.clone().options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_bitmapscan", "off"),
        ]);
        within(FIRST_CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await
    }

    /// A pool on the primary, for reads that must show every acknowledged write.
    pub(super) fn pool(&self, size: u32) -> PgPool {
        self.pool_of(self.base.clone(), size)
    }

    /// A pool on the replica, for reads that may be stale; on the primary when there is none.
    pub(super) fn stale_pool(&self, size: u32) -> PgPool {
        self.pool_of(self.reads.clone(), size)
    }

    fn pool_of(&self, options: PgConnectOptions, size: u32) -> PgPool {
        PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(self.read_patience)
            .connect_lazy_with(options.options([
                ("default_transaction_read_only", "on"),
                ("statement_timeout", "20s"),
            ]))
    }
}

/// Parts of a limit. A process that stood still together with its machine loses one of them: the
/// other side may be well.
const PARTS: u32 = 4;

/// What the work comes to; `None` when it took longer than the limit while this process ran.
pub(super) async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..PARTS {
        if let Ok(done) = tokio::time::timeout(limit / PARTS, work.as_mut()).await {
            return Some(done);
        }
    }
    None
}

/// A time-out reads like a lost connection.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
    let done = in_time(limit, work).await;
    done.unwrap_or_else(|| Err(sqlx::Error::Io(late())))
}

/// Brings the schema up to date and reads what never changes.
pub(super) async fn prepare(
    connections: &Connections,
    options: &PostgresOptions,
    new_id: Uuid,
) -> Result<Facts, OpenError> {
    let work = async {
        let mut connection = PgConnection::connect_with(&connections.base).await?;
        let facts = migrate(&mut connection, &options.schema, new_id).await?;
        connection.close().await?;
        Ok(facts)
    };
    let facts = within(FIRST_CONNECT_TIMEOUT, work).await;
    facts
        .map_err(|error| {
            refused(format!(
                "the ledger's database: {error}; check ledger.url, that the server runs and that the user may \
                 create a schema"
            ))
        })?
        .map_err(refused)
}

async fn migrate(
    connection: &mut PgConnection,
    schema: &str,
    new_id: Uuid,
) -> Result<Result<Facts, String>, sqlx::Error> {
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *tx)
        .await?;
    // The name was checked to need no quotes.
    let create = format!(
        "CREATE SCHEMA IF NOT EXISTS {schema};
         CREATE TABLE IF NOT EXISTS {schema}.migrations (number integer PRIMARY KEY, sha256 bytea NOT NULL);"
    );
    sqlx::raw_sql(AssertSqlSafe(create))
        .execute(&mut *tx)
        .await?;
    let applied: Vec<(i32, Vec<u8>)> =
        sqlx::query_as("SELECT number, sha256 FROM migrations ORDER BY number")
            .fetch_all(&mut *tx)
            .await?;
    if applied.len() > MIGRATIONS.len() {
        return Ok(Err(format!(
            "the schema {schema} was made by a newer version of Florin; start that version"
        )));
    }
    for (number, text) in (1i32..).zip(MIGRATIONS) {
        let digest = sha256(text);
        match applied.get(number as usize - 1) {
            Some((_, before)) if *before == digest => {}
            Some(_) => {
                return Ok(Err(format!(
                    "migration {number} of the schema {schema} is not the one that was applied"
                )));
            }
            None => {
                sqlx::raw_sql(text).execute(&mut *tx).await?;
                sqlx::query("INSERT INTO migrations (number, sha256) VALUES ($1, $2)")
                    .bind(number)
                    .bind(digest)
                    .execute(&mut *tx)
                    .await?;
            }
        }
    }
    sqlx::query(
        "INSERT INTO head (ledger_id, identity_key, chain, frontier) VALUES ($1, $2, $3, $4)
         ON CONFLICT (one) DO NOTHING",
    )
    .bind(new_id)
    .bind(&IdSource::random_32()[..16])
    .bind(hash::chain0(new_id).as_bytes().as_slice())
    .bind(Frontier::new().to_bytes())
    .execute(&mut *tx)
    .await?;
    let row = sqlx::query("SELECT ledger_id, identity_key FROM head")
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    let key: Vec<u8> = row.try_get(1)?;
    let Ok(identity_key) = key.try_into() else {
        return Ok(Err("the head's identity_key does not have 16 bytes".into()));
    };
    Ok(Ok(Facts {
        ledger_id: row.try_get(0)?,
        identity_key,
    }))
}

fn sha256(text: &str) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_names_need_no_quotes() {
        for good in ["florin_ledger", "_a1", "x"] {
            assert!(is_schema(good), "{good}");
        }
        for wrong in ["", "1a", "Florin", "a-b", "a;b", &"x".repeat(64)] {
            assert!(!is_schema(wrong), "{wrong}");
        }
    }
}
