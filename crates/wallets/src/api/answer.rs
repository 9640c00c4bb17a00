//! How answers of wallets and ledger leave: their `seq`, replays, and what stands in the way of
//! a decision.

use std::fmt::Display;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use florin_ledger::{Answer, Ledger, ReadView, Unavailable, engine::ReadError};
use florin_platform::http::{
    idempotency,
    json::json_bytes,
    problem::{Problem, Status},
};
use http::{HeaderName, HeaderValue, StatusCode, header::LOCATION, request::Parts};
use serde::Serialize;

/// `X-Florin-Seq`: the `seq` an answer reflects; on writes the `seq` written (contract E).
pub const X_FLORIN_SEQ: HeaderName = HeaderName::from_static("x-florin-seq");
/// `X-Min-Seq`: the caller wants data at least as new (contract E).
pub const X_MIN_SEQ: HeaderName = HeaderName::from_static("x-min-seq");

/// Room for a transaction, so that its answer is written without growing, in bytes.
const BODY_USUAL: usize = 1_024;

/// A JSON answer with the `seq` it reflects.
pub fn json(body: &impl Serialize, seq: u64) -> Result<Response, Problem> {
    let mut bytes = Vec::with_capacity(BODY_USUAL);
    serde_json::to_writer(&mut bytes, body).map_err(Problem::internal)?;
    Ok(with_seq(json_bytes(bytes), seq))
}

/// Names the `seq` of an answer.
#[must_use]
pub fn with_seq(mut response: Response, seq: u64) -> Response {
    let value = HeaderValue::from(seq);
    response.headers_mut().insert(X_FLORIN_SEQ, value);
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

/// Marks the answer to a call as a replay if it is one.
pub fn mark_replay(response: Response, answer: &Answer) -> Response {
    if answer.replayed {
        idempotency::replayed(response)
    } else {
        response
    }
}

/// A refusal of a decided call: with its `seq`, and marked as a replay if it is one.
pub fn refusal(problem: Problem, answer: &Answer) -> Response {
    let response = with_seq(problem.into_response(), answer.seq);
    mark_replay(response, answer)
}

/// A call that was not decided.
pub fn unavailable(error: Unavailable) -> Problem {
    match error {
        Unavailable::Overloaded => Problem::overloaded(),
        Unavailable::StoreUnavailable => Problem::unavailable(
            "store_unavailable",
            "The ledger takes no postings now; this call was not done.",
        ),
        Unavailable::ClockUnsafe => Problem::unavailable(
            "clock_unsafe",
            "The clock jumped ahead and postings wait for it; this call was not done.",
        ),
        Unavailable::CommitUnknown => Problem::unavailable(
            "commit_unknown",
            "The outcome is not known. Send the same call again: its identity settles it.",
        ),
    }
}

/// A read that failed after its call was decided: what would say "not done" must not (contract
/// D, uncertain outcome).
pub fn after_commit(problem: Problem) -> Problem {
    tracing::warn!(?problem, "the answer to a decided call could not be read");
    unavailable(Unavailable::CommitUnknown)
}

/// A read that failed; the cause is for the log.
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
    match tokio::task::spawn_blocking(move || read(view)).await {
        Ok(done) => done.map_err(read_failed),
        Err(error) => Err(Problem::internal(error)),
    }
}

/// The smallest `seq` that the caller takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MinSeq(u64);

impl<S: Sync> FromRequestParts<S> for MinSeq {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(&X_MIN_SEQ) else {
            return Ok(Self::default());
        };
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        number
            .map(Self)
            .ok_or_else(|| Problem::validation("X-Min-Seq", "Must be a whole number."))
    }
}

impl MinSeq {
    /// The number, 0 when the caller asked for nothing.
    pub fn seq(self) -> u64 {
        self.0
    }

    /// Every acknowledged write is visible here, so a `seq` beyond the end was never given out
    /// by this store: 409 `seq_ahead`, as on the change feed.
    pub fn check(self, seq: u64) -> Result<(), Problem> {
        if self.0 <= seq {
            return Ok(());
        }
        let detail = "The ledger has not come as far as `X-Min-Seq`; it may have been restored.";
        Err(Problem::new(Status::Conflict, "seq_ahead", detail).with("lastSeq", seq))
    }
}
