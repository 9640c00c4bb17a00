//! Problems that several routes answer.

use florin_platform::http::problem::{Problem, Status};

/// 409 by a rule: counted apart from mistakes.
pub fn conflict(code: &'static str, detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::conflict(code, detail).refused()
}

/// 400 with a code of its own about one field.
pub fn field(name: impl Into<String>, code: &'static str, message: &'static str) -> Problem {
    Problem::field(Status::BadRequest, code, name, message)
}

/// 400 `idempotency_key_required`.
pub fn key_required() -> Problem {
    field(
        "Idempotency-Key",
        "idempotency_key_required",
        "This call moves money or takes stock: it needs an `Idempotency-Key`.",
    )
}

/// 404 of an event that is not there, or not for this caller.
pub fn event_not_found() -> Problem {
    Problem::not_found("event_not_found", "There is no such event.")
}

/// 404 of an organisation.
pub fn org_not_found() -> Problem {
    Problem::not_found("org_not_found", "There is no such organisation.")
}
