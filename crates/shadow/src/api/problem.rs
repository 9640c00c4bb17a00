//! Problems of this room: beside the shared form they carry `error` and `message`, which
//! existing clients read (contract section 0).

use florin_platform::http::problem::{Problem, Status};

use crate::intake::Fault;

/// Adds `error` (= `code`) and `message` (= `detail`).
#[must_use]
pub fn ours(problem: Problem) -> Problem {
    let (code, detail) = (problem.code().to_owned(), problem.detail().to_owned());
    problem.with("error", code).with("message", detail)
}

/// 400 for faults of a body: one fault gives its code, several `validation_failed` with all.
pub fn faulty(faults: &[Fault]) -> Problem {
    let first = faults.first();
    let problem = match (first, faults.len()) {
        (Some(fault), 1) => Problem::new(Status::BadRequest, fault.code, fault.message.clone()),
        _ => Problem::new(
            Status::BadRequest,
            "validation_failed",
            "Several fields are wrong; `errors` names each.",
        ),
    };
    let named = faults.iter().filter(|fault| !fault.field.is_empty());
    ours(named.fold(problem, |problem, fault| {
        problem.with_error(fault.field.clone(), fault.code, fault.message.clone())
    }))
}

/// 400 for one field or query parameter.
pub fn field(name: &str, code: &'static str, message: impl Into<String>) -> Problem {
    faulty(&[Fault::new(name, code, message)])
}

/// 404.
pub fn not_found(code: &'static str, detail: &'static str) -> Problem {
    ours(Problem::not_found(code, detail))
}

/// 409.
pub fn conflict(code: &'static str, detail: &'static str) -> Problem {
    ours(Problem::conflict(code, detail).refused())
}
