//! What identity refuses, and how that looks over HTTP.

use std::borrow::Cow;

use crate::http::problem::{Problem, Status};
use crate::sql::SqlError;

/// An error of the identity module.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No credential, or one that is not accepted; the text is for logs and says why.
    #[error("unauthenticated: {0}")]
    Unauthenticated(Cow<'static, str>),
    /// Sign-up is closed.
    #[error("sign-up is closed")]
    SignupClosed,
    /// A field of the request breaks a rule.
    #[error("{field}: {message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule, for people.
        message: Cow<'static, str>,
    },
    /// There is no such user.
    #[error("no such user")]
    UserNotFound,
    /// There is no such API key.
    #[error("no such API key")]
    KeyNotFound,
    /// The user name or id is taken.
    #[error("the user exists already")]
    UserExists,
    /// An idempotency key was used for another request.
    #[error("another request used the idempotency key; `{0}` differs")]
    IdempotencyConflict(String),
    /// More passwords wait for their check than are allowed to.
    #[error("too many password checks at once")]
    Overloaded,
    /// A foreign issuer's keys cannot be had.
    #[error("keys of the issuer cannot be fetched: {0}")]
    IssuerUnavailable(String),
    /// The service tables.
    #[error(transparent)]
    Store(#[from] SqlError),
    /// A fault of this program or its key file.
    #[error("{0}")]
    Internal(String),
}

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        use IdentityError as E;
        match error {
            // Callers must not learn whether name or password was wrong, nor why a token fell.
            E::Unauthenticated(why) => {
                Self::unauthenticated("The credential is missing, wrong, expired or revoked.")
                    .with_cause(why)
            }
            E::SignupClosed => Self::new(
                Status::Forbidden,
                "signup_closed",
                "Accounts are made by administrators on this server.",
            ),
            E::Invalid { field, message } => Self::validation(field, message),
            E::UserNotFound => Self::not_found("user_not_found", "There is no such user."),
            E::KeyNotFound => Self::not_found("key_not_found", "There is no such API key."),
            E::UserExists => Self::conflict("user_exists", "A user with this name or id exists."),
            E::IdempotencyConflict(field) => Self::conflict(
                "idempotency_conflict",
                "The key was used for another request.",
            )
            .with("field", field),
            E::Overloaded => Self::overloaded(),
            E::IssuerUnavailable(why) => Self::unavailable(
                "issuer_unavailable",
                "The issuer of the token cannot be asked for its keys.",
            )
            .with_cause(why),
            E::Store(error) => error.into(),
            E::Internal(why) => Self::internal(why),
        }
    }
}

/// A token that fell, for a reason that only the log learns.
pub(super) fn unauthenticated(why: impl Into<Cow<'static, str>>) -> IdentityError {
    IdentityError::Unauthenticated(why.into())
}

pub(super) fn invalid(field: &'static str, message: impl Into<Cow<'static, str>>) -> IdentityError {
    let message = message.into();
    IdentityError::Invalid { field, message }
}
