//! What the ledger handlers share: problems for refusals, blocking reads, lookups of a path.

use florin_ledger::{
    Ledger, ResultCode,
    call::{ItemResult, Refusal},
    engine::ReadError,
    model::{AccountId, Record, Slot},
};
use florin_platform::http::problem::{Problem, Status};

pub use crate::api::answer::{blocking, located, read_failed, unavailable, with_seq};
use crate::api::{Shared, answer::MinSeq};

/// Runs a read that may wait for files off the request threads, with a view taken before.
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

/// Refuses a read that asks for more than the ledger has (`X-Min-Seq`).
pub async fn fresh(api: &Shared, min: MinSeq) -> Result<(), Problem> {
    match min == MinSeq::default() {
        true => Ok(()),
        false => min.check(api.head().await?.seq),
    }
}

/// The account of a path, or 404 `account_not_found`.
pub async fn account_slot(ledger: &Ledger, id: &str) -> Result<Slot, Problem> {
    let id = AccountId::parse(id).ok_or_else(account_not_found)?;
    let found = ledger.slot_of(&id).await.map_err(unavailable)?;
    found.ok_or_else(account_not_found)
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
