//! What can go wrong with the service tables.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use crate::http::problem::Problem;

/// An error of the service tables. On HTTP all but [`SqlError::Duplicate`], which rooms turn into
/// their own conflict, are a 503 `store_unavailable` (certainly not done), a 503
/// `commit_unknown`, or a 500 that shows nothing internal.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The store cannot be reached, is locked, full or read-only. Worth a later try.
    #[error("store_unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The answer to a commit was lost: the transaction may be in the store or not. Asking for
    /// its effect, or the same call with the same identity again, settles it.
    #[error("commit_unknown: {0}")]
    CommitUnknown(#[source] sqlx::Error),
    /// A statement of the transaction failed, so that it cannot be committed: a defect of the
    /// caller, who went on.
    #[error("a statement of the transaction failed before; it was rolled back")]
    Failed,
    /// The settings of the store cannot be used. Never quotes the URL.
    #[error("{0}")]
    Settings(&'static str),
    /// A unique constraint refused the row; the text names the columns.
    #[error("duplicate: {0}")]
    Duplicate(String),
    /// The statement or its parameters are wrong: a defect.
    #[error("statement refused: {0}")]
    Statement(#[source] sqlx::Error),
    /// A column is missing or holds another type: a defect or a damaged table.
    #[error("column `{column}`: {reason}")]
    Column {
        /// Name that was asked for.
        column: String,
        /// What the driver says.
        reason: String,
    },
    /// The schema in the store does not fit this binary.
    #[error("migration {room}/{version:04}: {reason}")]
    Migration {
        /// Owner of the migration.
        room: String,
        /// Its number.
        version: i64,
        /// What does not fit.
        reason: String,
    },
}

impl SqlError {
    /// The stable code that callers over HTTP see.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "store_unavailable",
            Self::CommitUnknown(_) => "commit_unknown",
            Self::Duplicate(_) => "already_exists",
            Self::Failed
            | Self::Settings(_)
            | Self::Statement(_)
            | Self::Column { .. }
            | Self::Migration { .. } => "internal",
        }
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(db) if db.is_unique_violation() => Self::Duplicate(db.message().to_owned()),
            E::Database(db) if !is_outage(&**db) => Self::Statement(error),
            E::ColumnNotFound(_) | E::ColumnDecode { .. } | E::Decode(_) | E::Encode(_) => {
                Self::Statement(error)
            }
            _ => Self::Unavailable(error),
        }
    }
}

/// The error speaks of the surroundings and not of the statement.
fn is_outage(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        // Classes: connection, roll-back by the server, resources, operator, system; a standby
        // that takes no writes; a lock not had in time; a transaction that idled too long; a
        // plan made for tables that have changed.
        return ["08", "40", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class))
            || ["25006", "25P03", "55P03", "0A000"].contains(&&*code);
    }
    // SQLite: BUSY (5), LOCKED (6), READONLY (8), IOERR (10), CORRUPT (11), FULL (13), CANTOPEN
    // (14); extended codes carry the primary one in the low byte.
    let primary = code.parse::<u32>().map(|code| code & 0xff);
    matches!(primary, Ok(5 | 6 | 8 | 10 | 11 | 13 | 14))
}

/// The connection is of no use any more, while another may be: the server ended it, or the wire
/// broke. A time-out does not count, since it says that the server does not answer.
pub(super) fn is_dead(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != std::io::ErrorKind::TimedOut,
        sqlx::Error::Database(db) => {
            let code = db.code().unwrap_or_default();
            code.starts_with("08") || ["57P01", "57P02", "57P03", "25P03"].contains(&&*code)
        }
        _ => false,
    }
}

/// The server ended the statement, after `statement_timeout`.
pub(super) fn is_cancelled(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|db| db.code());
    code.as_deref() == Some("57014")
}

/// A prepared statement of this connection was made for tables that have since changed.
pub(super) fn is_plan_change(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(db) = error else {
        return false;
    };
    db.code().as_deref() == Some("0A000") && db.message().contains("cached plan")
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        match &error {
            SqlError::Unavailable(cause) => Self::unavailable(
                "store_unavailable",
                "The store does not answer; nothing was done.",
            )
            .with_cause(cause),
            SqlError::CommitUnknown(cause) => Self::unavailable(
                "commit_unknown",
                "The store did not say whether the change was made; send the same call again.",
            )
            .with_cause(cause),
            SqlError::Duplicate(_) => {
                Self::conflict("already_exists", "Something with this name exists already.")
            }
            _ => Self::internal(&error),
        }
    }
}
