//! What can go wrong when something is written.

use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::SqlError;

/// A write that did not happen, or of which it is not known whether it did.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The store refused; nothing was done.
    #[error(transparent)]
    Store(#[from] SqlError),
    /// The commit was sent and its answer lost: the same request again settles it.
    #[error("commit_unknown")]
    CommitUnknown,
    /// Too much waits already; nothing was done.
    #[error("overloaded")]
    Overloaded,
    /// The writer has stopped; nothing was done.
    #[error("stopped")]
    Stopped,
    /// A derived row cannot be read; `florin shadow rebuild` makes it again.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// The work itself refused; nothing was done.
    #[error("{0}")]
    Refused(Problem),
}

impl From<Problem> for WriteError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => error.into(),
            WriteError::CommitUnknown => Self::new(
                Status::ServiceUnavailable,
                "commit_unknown",
                "It is not known whether this was recorded; send the same request again.",
            ),
            WriteError::Overloaded => Self::overloaded(),
            WriteError::Stopped => Self::unavailable(
                "store_unavailable",
                "The server is stopping; nothing was done.",
            ),
            WriteError::Damaged(_) => Self::internal(error),
            WriteError::Refused(problem) => problem,
        }
    }
}
