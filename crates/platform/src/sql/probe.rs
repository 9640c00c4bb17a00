//! A look at a PostgreSQL server for people: what is wrong, in words, without waiting long.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::{PostgresSettings, SqlError};

/// Longest look.
const LOOK: Duration = Duration::from_secs(5);

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresProbe {
    /// Such as 150004 for 15.4.
    pub version: i32,
    /// It copies another server and takes no writes.
    pub is_standby: bool,
    /// A commit is on its disk when it answers (`fsync`, `full_page_writes`).
    pub is_durable: bool,
    /// This connection is encrypted.
    pub tls: bool,
    /// Most connections of all clients.
    pub max_connections: i32,
    /// The schema is there.
    pub has_schema: bool,
    /// The user may make the schema, or tables in it where it is there.
    pub may_create: bool,
}

/// Why there was nothing to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresTrouble {
    /// The name has no address, or nothing listens there.
    Unreachable,
    /// No answer in time.
    Silent,
    /// User or password.
    LogIn,
    /// There is no such database.
    NoDatabase,
    /// Its certificate is not trusted, or it offers no TLS where TLS is wanted.
    Tls,
    /// All its connections are taken.
    Full,
    /// It is starting or stopping.
    NotReady,
    /// Something else.
    Other,
}

/// Connects once and asks.
///
/// # Errors
/// What stands in the way, and the driver's or the server's words for it.
pub async fn probe_postgres(
    settings: &PostgresSettings,
) -> Result<PostgresProbe, (PostgresTrouble, String)> {
    let options = settings
        .options()
        .map_err(|error| (PostgresTrouble::Other, error.to_string()))?;
    let look = async {
        let mut connection = options.connect().await?;
        let seen = ask(&mut connection, &settings.schema).await;
        // The answer is there; how the connection ends does not matter.
        let _ = connection.close().await;
        seen
    };
    match tokio::time::timeout(LOOK, look).await {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error)) => Err((trouble(&error), words(error))),
        Err(_) => Err((PostgresTrouble::Silent, "no answer in time".to_owned())),
    }
}

async fn ask(connection: &mut PgConnection, schema: &str) -> Result<PostgresProbe, sqlx::Error> {
    let select = "SELECT current_setting('server_version_num')::int4 AS version,
            pg_is_in_recovery() AS is_standby,
            current_setting('fsync')::bool AND current_setting('full_page_writes')::bool
                AS is_durable,
            COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), FALSE) AS tls,
            current_setting('max_connections')::int4 AS max_connections,
            n.oid IS NOT NULL AS has_schema,
            CASE WHEN n.oid IS NULL
                THEN has_database_privilege(current_database(), 'CREATE')
                ELSE has_schema_privilege(n.oid, 'CREATE') END AS may_create
        FROM (SELECT 1) AS one LEFT JOIN pg_namespace n ON n.nspname = $1";
    let row = sqlx::query(AssertSqlSafe(select))
        .bind(schema)
        .fetch_one(connection)
        .await?;
    Ok(PostgresProbe {
        version: row.try_get("version")?,
        is_standby: row.try_get("is_standby")?,
        is_durable: row.try_get("is_durable")?,
        tls: row.try_get("tls")?,
        max_connections: row.try_get("max_connections")?,
        has_schema: row.try_get("has_schema")?,
        may_create: row.try_get("may_create")?,
    })
}

fn trouble(error: &sqlx::Error) -> PostgresTrouble {
    use PostgresTrouble as T;
    match error {
        // A handshake that fails comes as data that is not valid.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => T::Tls,
        sqlx::Error::Io(_) => T::Unreachable,
        sqlx::Error::Tls(_) => T::Tls,
        sqlx::Error::Database(db) => match db.code().as_deref() {
            Some("28P01" | "28000") => T::LogIn,
            Some("3D000") => T::NoDatabase,
            Some("53300") => T::Full,
            Some("57P01" | "57P02" | "57P03") => T::NotReady,
            _ => T::Other,
        },
        _ => T::Other,
    }
}

fn words(error: sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Database(db) => db.message().to_owned(),
        other => SqlError::from(other).to_string(),
    }
}
