//! The batcher's session on the server: how it is known there, what became of its last commit,
//! and what its errors mean.

use std::time::Duration;

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::schema::{Connections, within};

/// A connection with what identifies its session on the server.
pub(super) struct Session {
    pub connection: PgConnection,
    pub pid: i32,
    pub started: String,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum OpenFailed {
    /// The database is away, or takes no writes.
    Away(sqlx::Error),
    /// It answers, but it is not the ledger that was there before.
    Another(&'static str),
}

impl From<sqlx::Error> for OpenFailed {
    fn from(error: sqlx::Error) -> Self {
        Self::Away(error)
    }
}

impl Session {
    /// Connects, learns who it is, and makes sure that the ledger there goes on from the commit
    /// known last: after a fail-over to a server that lacks it, or a restored backup, accounts
    /// that this process remembers may be others.
    pub(super) async fn open(
        connections: &Connections,
        ledger: Uuid,
        known: Option<&(u64, Vec<u8>)>,
    ) -> Result<Self, OpenFailed> {
        let mut session = Self::connect(connections).await?;
        let limit = Duration::from_millis(500);
        let found = sqlx::query_scalar::<_, Uuid>("SELECT ledger_id FROM head");
        let found = found.fetch_one(&mut session.connection);
        if within(limit, found).await? != ledger {
            return Err(OpenFailed::Another("the database holds another ledger"));
        }
        if let Some((batch, chain)) = known {
            let same =
                sqlx::query_scalar::<_, Vec<u8>>("SELECT chain FROM batches WHERE batch = $1")
                    .bind(i64::try_from(*batch).unwrap_or(i64::MAX))
                    .fetch_optional(&mut session.connection);
            if within(limit, same).await?.as_ref() != Some(chain) {
                return Err(OpenFailed::Another(
                    "the database lacks commits that were acknowledged: it was restored, or failed over to a server that was behind",
                ));
            }
        }
        Ok(session)
    }

    /// A standby is no use.
    async fn connect(connections: &Connections) -> Result<Self, sqlx::Error> {
        let mut connection = connections.writer().await?;
        let row = sqlx::query(
            "SELECT pid, backend_start::text, (SELECT pg_is_in_recovery()) FROM pg_stat_activity \
             WHERE pid = pg_backend_pid()",
        )
        .fetch_one(&mut connection);
        let row = within(Duration::from_millis(500), row).await?;
        if row.try_get::<bool, _>(2)? {
            return Err(sqlx::Error::Configuration(
                "the server is a standby and takes no writes".into(),
            ));
        }
        Ok(Self {
            pid: row.try_get(0)?,
            started: row.try_get(1)?,
            connection,
        })
    }
}

/// Number of the last attempt of a writer that was committed, read under the head's lock. A
/// session that may still hold the lock is ended first. It ends with a commit of its own: where a
/// standby must have every commit, that one waits for it, and with it for those before.
pub(super) async fn outcome(
    connection: &mut PgConnection,
    pid: i32,
    started: &str,
    writer: Uuid,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2",
    )
    .bind(pid)
    .bind(started)
    .execute(&mut *connection)
    .await?;
    sqlx::raw_sql("BEGIN; SELECT 1 FROM head FOR UPDATE")
        .execute(&mut *connection)
        .await?;
    let last = sqlx::query_scalar("SELECT attempt FROM writers WHERE writer = $1")
        .bind(writer)
        .fetch_optional(&mut *connection)
        .await?;
    sqlx::query("UPDATE writers SET at = at WHERE writer = $1")
        .bind(writer)
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(last)
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}

/// Others are in the way: the database itself is well.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    // serialization_failure, deadlock_detected, lock_not_available
    code_of(error).is_some_and(|code| matches!(&*code, "40001" | "40P01" | "55P03"))
}

/// An identity taken for new is known: a call was sent again.
pub(super) fn is_doubled(error: &sqlx::Error) -> bool {
    // A reservation sent again is met before its identity.
    let doubled = [Some("ids_pkey"), Some("pendings_pkey")];
    let of_ids = |e: &dyn sqlx::error::DatabaseError| doubled.contains(&e.constraint());
    error.as_database_error().is_some_and(of_ids)
}

/// The batch holds calls of a link that its other side ended.
pub(super) fn is_ended(error: &sqlx::Error) -> bool {
    code_of(error).is_some_and(|code| code == "FL001")
}

/// The server said nothing for too long.
pub(super) fn is_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
}

/// The connection or the server is gone, which another connection may cure.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match code_of(error) {
        // Shut down, crashed, starting, session ended while idle, connection failures.
        Some(code) => {
            matches!(
                &*code,
                "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006"
            ) || code.starts_with("08")
        }
        None => !matches!(
            error,
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound
        ),
    }
}
