//! What can go wrong with the service tables.

use crate::http::problem::Problem;

/// An error of the service tables. On HTTP all but [`SqlError::Duplicate`], which rooms turn into
/// their own conflict, are a 503 `store_unavailable` or a 500 that shows nothing internal.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The store cannot be reached, is locked, full or read-only. Worth a later try.
    #[error("store_unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
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
            Self::Duplicate(_) => "already_exists",
            Self::Statement(_) | Self::Column { .. } | Self::Migration { .. } => "internal",
        }
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(db) if db.is_unique_violation() => Self::Duplicate(db.message().to_owned()),
            E::Database(db) if !is_outage(db.code().as_deref()) => Self::Statement(error),
            E::ColumnNotFound(_) | E::ColumnDecode { .. } | E::Decode(_) | E::Encode(_) => {
                Self::Statement(error)
            }
            _ => Self::Unavailable(error),
        }
    }
}

/// SQLite result codes that speak of the surroundings and not of the statement: BUSY (5),
/// LOCKED (6), READONLY (8), IOERR (10), CORRUPT (11), FULL (13), CANTOPEN (14); extended codes
/// carry the primary one in the low byte.
fn is_outage(code: Option<&str>) -> bool {
    let Some(code) = code.and_then(|code| code.parse::<u32>().ok()) else {
        return false;
    };
    matches!(code & 0xff, 5 | 6 | 8 | 10 | 11 | 13 | 14)
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        match &error {
            SqlError::Unavailable(cause) => Self::unavailable(
                "store_unavailable",
                "The store does not answer; nothing was done.",
            )
            .with_cause(cause),
            SqlError::Duplicate(_) => {
                Self::conflict("already_exists", "Something with this name exists already.")
            }
            _ => Self::internal(&error),
        }
    }
}
