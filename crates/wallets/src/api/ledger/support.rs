//! What the ledger handlers share: problems for the ledger's own errors, blocking reads, the
//! header that names the `seq` of an answer.

use std::fmt::Display;

use axum::response::Response;
use florin_ledger::{
    Ledger, ReadView, ResultCode, Unavailable,
    call::{ItemResult, Refusal},
    engine::ReadError,
    model::{AccountId, Record, Slot},
};
use florin_platform::http::problem::{Problem, Status};
use http::{HeaderName, HeaderValue, StatusCode, header::LOCATION};

/// `X-Florin-Seq`: the `seq` an answer reflects; on writes the `seq` written (contract E).
pub const X_FLORIN_SEQ: HeaderName = HeaderName::from_static("x-florin-seq");

/// A call that was not decided, as a problem.
pub fn unavailable(error: Unavailable) -> Problem {
    match error {
        Unavailable::Overloaded => Problem::overloaded(),
        Unavailable::StoreUnavailable => Problem::unavailable(
            "store_unavailable",
            "The ledger takes no postings now; this call was not done.",
        ),
        Unavailable::ClockUnsafe => Problem::unavailable(
            "clock_unsafe",
            "The clock jumped ahead; this call was not done.",
        ),
        Unavailable::CommitUnknown => Problem::unavailable(
            "commit_unknown",
            "The outcome is not known. Send the same call again: its identity settles it.",
        ),
    }
}

/// A failed read, as a problem that shows nothing of its cause.
pub fn read_failed(error: impl Display) -> Problem {
    Problem::unavailable("store_unavailable", "The ledger could not be read.").with_cause(error)
}

/// Runs a read that may wait for files off the request threads.
pub async fn blocking<T, F>(ledger: &Ledger, read: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce(ReadView) -> Result<T, ReadError> + Send + 'static,
{
    let view = ledger.read_view().await.map_err(unavailable)?;
    run(move || read(view)).await
}

/// As [`blocking`], for work that already has its view.
pub async fn run<T, F>(work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ReadError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(read_failed),
        Err(error) => Err(Problem::internal(error)),
    }
}

/// Names the `seq` of an answer.
#[must_use]
pub fn with_seq(mut response: Response, seq: u64) -> Response {
    response
        .headers_mut()
        .insert(X_FLORIN_SEQ, HeaderValue::from(seq));
    response
}

/// Gives an answer its status and `Location`.
#[must_use]
pub fn located(mut response: Response, status: StatusCode, location: &str) -> Response {
    *response.status_mut() = status;
    if let Ok(value) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// The account of a path, or 404 `account_not_found`.
pub fn account_slot(ledger: &Ledger, id: &str) -> Result<Slot, Problem> {
    AccountId::parse(id)
        .and_then(|id| ledger.slot_of(&id))
        .ok_or_else(account_not_found)
}

/// 404 `account_not_found`.
pub fn account_not_found() -> Problem {
    Problem::not_found("account_not_found", "There is no account with this id.")
}

/// 404 `transfer_not_found`.
pub fn transfer_not_found() -> Problem {
    Problem::not_found("transfer_not_found", "There is no transfer with this id.")
}

/// The refusal of a call that is not a transfer list.
pub fn refused(refusal: &Refusal) -> Problem {
    let code = refusal.code;
    let status = Status::from_u16(code.http()).unwrap_or(Status::Conflict);
    let detail = sentence(code.word());
    let mut problem = Problem::new(status, code.word(), detail).refused();
    if let Some(field) = refusal.field.as_deref() {
        problem =
            problem
                .with("field", field)
                .with_error(field, code.word(), sentence(code.word()));
    }
    problem
}

/// The refusal of a transfer in the single form (contract A4).
pub fn result_problem(result: &ItemResult) -> Problem {
    let code = result.code;
    let status = Status::from_u16(code.http()).unwrap_or(Status::Conflict);
    let mut problem = Problem::new(status, code.word(), explain(code)).refused();
    if let Some(field) = result.field {
        problem = problem
            .with("field", field)
            .with_error(field, code.word(), explain(code));
    }
    if let Some(first) = result.first_code {
        problem = problem.with("firstCode", first.word());
    }
    problem
}

/// A code in words.
fn sentence(code: &str) -> String {
    let mut text = code.replace('_', " ");
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

/// Why a transfer was refused, for people.
fn explain(code: ResultCode) -> String {
    let text = match code {
        ResultCode::LinkedChainOpen => "The last item of a call cannot be linked to a next one.",
        ResultCode::IdAlreadyFailed => {
            "This id was refused before and keeps that outcome for ever; use a new id."
        }
        ResultCode::InsufficientFunds => {
            "The account would be left with less available than its floor."
        }
        ResultCode::EffectiveTimeInFuture => {
            "`effectiveAt` is later than the ledger's time; leave it out for now."
        }
        ResultCode::Overflow => "A total of the account would pass 2^128 - 1.",
        ResultCode::AmountInvalid => "`amountMinor` must be whole minor units below 2^128.",
        ResultCode::AccountsMustDiffer => "Debit and credit account must differ.",
        other => return sentence(other.word()),
    };
    text.to_owned()
}

/// The accounts that a record moves stand under `florin:`.
pub fn touches_reserved(ledger: &Ledger, record: &Record) -> bool {
    let reserved = |slot: Slot| ledger.facts(slot).id.is_reserved();
    record
        .transfer()
        .is_some_and(|t| reserved(t.debit) || reserved(t.credit))
}
