//! The batcher's session on the server: how it is known there, what became of its last commit,
//! and what its errors mean.

use std::time::Duration;

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::{
    attempt::rollback,
    schema::{Connections, within},
};

/// A connection with what identifies its session on the server.
pub(super) struct Session {
    pub connection: PgConnection,
    pub pid: i32,
    pub started: String,
}

impl Session {
    /// Connects and learns who it is; a standby is no use.
    pub(super) async fn open(connections: &Connections) -> Result<Self, sqlx::Error> {
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
/// session that may still hold the lock is ended first.
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
    rollback(connection).await?;
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
