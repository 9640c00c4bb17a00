//! `POST /ledger/import`: lines of JSON in, one result line each out (contract A10).
//!
//! Lines are read while they arrive and committed in calls of at most 8190; a line that cannot
//! be read is answered and skipped. Results are sent while lines still come in; a client that
//! sends everything before it reads is given room for [`results::RESULTS_MAX`] bytes of results.

mod lines;
mod results;

use std::time::Duration;

use axum::{
    body::BodyDataStream,
    extract::{Request, State},
    response::Response,
};
use florin_ledger::{
    Call, Ledger, Outcome, Unavailable,
    call::{ImportCall, ImportLine},
    exchange::{Chunks, parse_line},
    model::AccountId,
};
use florin_platform::http::{
    auth::{Caller, Principal},
    problem::Problem,
};
use futures_util::StreamExt;

use self::{
    lines::Lines,
    results::{Place, Results},
};
use super::{
    params::Params,
    stream::{self, NDJSON},
    support::unavailable,
};
use crate::api::{Shared, permission};

/// Longest wait for the next bytes of the body.
const IDLE: Duration = Duration::from_secs(60);

/// The line moves or names an account under `florin:`.
fn is_reserved(line: &ImportLine) -> bool {
    let reserved = |id: &Option<AccountId>| id.as_ref().is_some_and(AccountId::is_reserved);
    match line {
        ImportLine::Asset(_) => false,
        ImportLine::Account(account) => account.id.is_reserved(),
        ImportLine::AccountUpdate(patch) => patch.id.is_reserved(),
        ImportLine::Transfer(transfer) => {
            reserved(&transfer.item.debit) || reserved(&transfer.item.credit)
        }
        ImportLine::Expired { .. }
        | ImportLine::Wallet { .. }
        | ImportLine::WalletUpdate { .. } => true,
    }
}

/// An import under way.
struct Import {
    ledger: Ledger,
    actor: Box<str>,
    /// The caller may write to accounts under `florin:`.
    system: bool,
    skip_floors: bool,
    chunks: Chunks,
    results: Results,
}

/// Why an import stopped before its end.
enum Stopped {
    /// The reader went away.
    Gone,
    /// The ledger did not decide; what was answered before is done.
    Undecided(Unavailable),
    /// The body broke off or stood still.
    Body(&'static str),
}

impl Import {
    async fn run(mut self, mut body: BodyDataStream) {
        let stopped = match self.read(&mut body).await {
            Ok(()) => self.results.finish().await.err(),
            Err(stopped) => Some(stopped),
        };
        match stopped {
            None | Some(Stopped::Gone) => {}
            Some(Stopped::Undecided(error)) => {
                let problem = unavailable(error);
                self.results.fail(problem.code(), problem.detail()).await;
            }
            Some(Stopped::Body(detail)) => self.results.fail("validation_failed", detail).await,
        }
    }

    async fn read(&mut self, body: &mut BodyDataStream) -> Result<(), Stopped> {
        let mut lines = Lines::default();
        loop {
            let next = tokio::time::timeout(IDLE, body.next()).await;
            let bytes = match next {
                Ok(Some(Ok(bytes))) => bytes,
                Ok(None) => break,
                Ok(Some(Err(_))) => return Err(Stopped::Body("The body broke off.")),
                Err(_) => return Err(Stopped::Body("The body stood still for a minute.")),
            };
            lines.feed(&bytes);
            while let Some(line) = lines.next() {
                self.take(&line).await?;
            }
        }
        if let Some(line) = lines.rest() {
            self.take(&line).await?;
        }
        let last = std::mem::take(&mut self.chunks).finish();
        self.submit(last).await
    }

    async fn take(&mut self, line: &[u8]) -> Result<(), Stopped> {
        let number = self.results.next_line();
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let parsed = match parse_line(line, Some(&self.actor)) {
            Ok(parsed) if !self.system && is_reserved(&parsed) => {
                let place = Place::Refused(number, "forbidden", None);
                self.results.expect(place);
                return Ok(());
            }
            Ok(parsed) => parsed,
            Err(error) => {
                let place = Place::Refused(number, error.code, error.field);
                self.results.expect(place);
                return Ok(());
            }
        };
        self.results.expect(Place::Judged(number));
        match self.chunks.push(parsed) {
            Some(full) => self.submit(full).await,
            None => Ok(()),
        }
    }

    async fn submit(&mut self, lines: Vec<ImportLine>) -> Result<(), Stopped> {
        if lines.is_empty() {
            return Ok(());
        }
        let call = Call::Import(ImportCall {
            actor: Some(self.actor.clone()),
            lines,
            skip_floors: self.skip_floors,
        });
        let answer = self.ledger.submit(call).await.map_err(Stopped::Undecided)?;
        match answer.outcome {
            Outcome::Lines(results, below) => self.results.judged(results, below).await,
            _ => Err(Stopped::Undecided(Unavailable::StoreUnavailable)),
        }
    }
}

/// Imports assets, accounts and transfers with their original dates, or an export.
#[utoipa::path(
    post, path = "/api/v1/ledger/import", tag = "Ledger",
    params(("floors" = Option<String>, Query, description = "check (default) or skip: post even where an account ends below its floor")),
    request_body(content = String, content_type = "application/x-ndjson", description = "One line each, at most 64 KiB"),
    responses((status = 200, description = "One result line per line, then a summary", content_type = "application/x-ndjson", body = String))
)]
pub async fn post(
    State(api): State<Shared>,
    caller: Caller,
    mut params: Params,
    request: Request,
) -> Result<Response, Problem> {
    let floors = |text: &str| match text {
        "check" => Some(false),
        "skip" => Some(true),
        _ => None,
    };
    let skip_floors = params
        .with("floors", "check or skip", floors)?
        .unwrap_or(false);
    params.end()?;
    let (sink, response) = stream::response(NDJSON);
    let principal: &Principal = &caller;
    let import = Import {
        ledger: api.ledger.clone(),
        actor: (*principal.subject).into(),
        system: principal.holds(permission::LEDGER_SYSTEM),
        skip_floors,
        chunks: Chunks::new(),
        results: Results::new(sink),
    };
    tokio::spawn(import.run(request.into_body().into_data_stream()));
    Ok(response)
}
