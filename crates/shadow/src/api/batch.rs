//! `POST …/events/batch` (contract A2).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency;
use florin_platform::http::json::{Json, Query, RawBody, json_bytes};
use florin_platform::http::problem::{Problem, Status};
use florin_platform::http::router::{RouteSpec, Routes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::events::{first_code, key_conflict, key_of};
use super::{Shared, actor, class, permission, problem, scope, trace_id};
use crate::intake::{Door, elements, parse_event};
use crate::model::digest::sha256;
use crate::store::intake::{Intake, IntakeReply, Item, KeyUse, Outcome};

/// Most events of an array.
const ARRAY_MAX: usize = 10_000;
/// Largest array, bytes.
const ARRAY_BYTES: usize = 8 << 20;
/// Most lines of NDJSON.
const LINES_MAX: usize = 100_000;
/// Largest NDJSON body, bytes.
const LINES_BYTES: usize = 32 << 20;

#[derive(OpenApi)]
#[openapi(paths(post))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    Routes::new()
        .route(spec("/api/v1/shadow/events/batch"), post)
        .document(Document::openapi())
}

/// The route at another path.
pub(super) fn spec(path: &'static str) -> RouteSpec {
    RouteSpec::post(path, permission::INTAKE)
        .body_limit(LINES_BYTES)
        .class(class::intake())
}

/// What a batch may ask for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// `errors` leaves out accepted items.
    results: Option<String>,
    /// All or nothing.
    atomic: Option<bool>,
}

/// The answer to a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowBatchAnswer)]
struct BatchAnswer {
    accepted: usize,
    duplicates: usize,
    conflicts: usize,
    invalid: usize,
    results: Vec<BatchResult>,
    trace_id: Option<String>,
}

/// What became of one item.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowBatchResult)]
struct BatchResult {
    index: usize,
    event_id: Option<String>,
    /// `accepted`, `duplicate`, `conflict` or `invalid`.
    status: &'static str,
    state: Option<&'static str>,
    code: Option<&'static str>,
}

/// One element before it is stored.
enum Read {
    /// Which of the items it is.
    Item(String),
    Invalid(Option<String>, &'static str),
}

/// Record many events.
#[utoipa::path(
    post, path = "/api/v1/shadow/events/batch", tag = "Shadow ledger", params(Asked),
    request_body(content = Vec<Object>, description = "A JSON array, or `application/x-ndjson`"),
    responses(
        (status = 202, description = "What became of each", body = BatchAnswer),
        (status = 413, description = "`batch_too_large`, `body_too_large`"),
    )
)]
pub(super) async fn post(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
    body: Result<RawBody, Problem>,
) -> Result<Response, Problem> {
    let lines = is_ndjson(&headers)?;
    let RawBody(bytes) = body.map_err(problem::ours)?;
    if !lines && bytes.len() > ARRAY_BYTES {
        let detail = format!("An array may have at most {ARRAY_BYTES} bytes.");
        return Err(problem::ours(Problem::new(
            Status::PayloadTooLarge,
            "body_too_large",
            detail,
        )));
    }
    let errors_only = match asked.results.as_deref() {
        None | Some("all") => false,
        Some("errors") => true,
        Some(_) => {
            let message = "`results` is `all` or `errors`.";
            return Err(problem::field("results", "validation_failed", message));
        }
    };
    let raw = split(&bytes, lines)?;
    let now_ms = api.shadow.clock().wall_micros().div_euclid(1_000);
    let by = actor(&caller);
    let mut items = Vec::with_capacity(raw.len());
    let mut read = Vec::with_capacity(raw.len());
    for element in raw {
        match parse_event(element, &Door::BATCH, &api.shadow, now_ms) {
            Err(faults) => read.push(Read::Invalid(id_of(element), first_code(&faults))),
            Ok(event) if !scope::reaches(&caller, &event.account_id) => {
                read.push(Read::Invalid(Some(event.event_id), "account_out_of_scope"));
            }
            Ok(event) => {
                read.push(Read::Item(event.event_id.clone()));
                items.push(Item {
                    event,
                    entrance: Door::BATCH.entrance,
                    actor: by.clone(),
                });
            }
        }
    }
    let atomic = asked.atomic.unwrap_or(false);
    if atomic && read.iter().any(|read| matches!(read, Read::Invalid(..))) {
        return Err(atomic_invalid(&read));
    }
    let key = key_of(&headers)?.map(|key| KeyUse {
        scope: format!("batch\n{}\n{key}", caller.subject),
        body_digest: sha256(&bytes),
        answer: {
            let trace = trace_id();
            let read = read.iter().map(Read::copy).collect::<Vec<_>>();
            Box::new(move |outcomes| {
                let answer = answer_of(&read, outcomes, errors_only, trace);
                serde_json::to_string(&answer).ok().map(|text| (202, text))
            })
        },
    });
    let intake = Intake {
        items,
        atomic,
        key,
        also: None,
    };
    let reply = api.shadow.take(intake).await;
    match reply.map_err(Problem::from).map_err(problem::ours)? {
        IntakeReply::Done(outcomes) => {
            let answer = answer_of(&read, &outcomes, errors_only, trace_id());
            tally(&answer);
            Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
        }
        IntakeReply::Nothing(outcomes) => Err(atomic_conflict(&read, &outcomes)),
        IntakeReply::Replay { answer, .. } => {
            let response = (StatusCode::ACCEPTED, json_bytes(answer)).into_response();
            Ok(idempotency::replayed(response))
        }
        IntakeReply::KeyConflict(differs) => Err(key_conflict(differs)),
    }
}

impl Read {
    fn copy(&self) -> Self {
        match self {
            Self::Item(id) => Self::Item(id.clone()),
            Self::Invalid(id, code) => Self::Invalid(id.clone(), code),
        }
    }
}

fn tally(answer: &BatchAnswer) {
    for (result, count) in [
        ("accepted", answer.accepted),
        ("duplicate", answer.duplicates),
        ("conflict", answer.conflicts),
        ("invalid", answer.invalid),
    ] {
        metrics::counter!("shadow_events_total", "entrance" => "batch", "result" => result)
            .increment(count as u64);
    }
}

fn is_ndjson(headers: &HeaderMap) -> Result<bool, Problem> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given.map(|text| text.split(';').next().unwrap_or(text).trim());
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(false),
        Some(essence) if essence.eq_ignore_ascii_case("application/x-ndjson") => Ok(true),
        _ => Err(problem::ours(Problem::new(
            Status::UnsupportedMediaType,
            "unsupported_media_type",
            "A batch is sent as `application/json` or `application/x-ndjson`.",
        ))),
    }
}

fn split(bytes: &[u8], lines: bool) -> Result<Vec<&[u8]>, Problem> {
    let found: Vec<&[u8]> = match lines {
        true => bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
            .collect(),
        false => {
            let Some(found) = elements(bytes) else {
                let message = "The body must be a JSON array of events.";
                return Err(problem::field("", "malformed_json", message));
            };
            found.into_iter().map(str::as_bytes).collect()
        }
    };
    let most = if lines { LINES_MAX } else { ARRAY_MAX };
    if found.is_empty() {
        return Err(problem::field(
            "",
            "empty_batch",
            "The batch has no events.",
        ));
    }
    if found.len() > most {
        let detail = format!("A batch may have at most {most} events.");
        return Err(problem::ours(Problem::new(
            Status::PayloadTooLarge,
            "batch_too_large",
            detail,
        )));
    }
    Ok(found)
}

/// The id of a faulty element, so that a client finds it again.
fn id_of(element: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(element).ok()?;
    let id = value.get("eventId")?.as_str()?;
    Some(id.chars().take(128).collect())
}

fn result_of(index: usize, event_id: &str, outcome: Option<&Outcome>) -> BatchResult {
    let (status, state, code) = match outcome {
        Some(Outcome::Accepted { state, .. }) => ("accepted", Some(state.as_str()), None),
        Some(Outcome::Duplicate { state, .. }) => {
            ("duplicate", Some(state.as_str()), Some("duplicate_event"))
        }
        Some(Outcome::Conflict { state, .. }) => {
            ("conflict", Some(state.as_str()), Some("event_conflict"))
        }
        Some(Outcome::Linked) => ("invalid", None, Some("linked_book")),
        Some(Outcome::Overflow) | None => ("invalid", None, Some("overflow")),
    };
    BatchResult {
        index,
        event_id: Some(event_id.to_owned()),
        status,
        state,
        code,
    }
}

fn results(read: &[Read], outcomes: &[Outcome]) -> Vec<BatchResult> {
    let mut outcomes = outcomes.iter();
    let result = |(index, read): (usize, &Read)| match read {
        Read::Item(id) => result_of(index, id, outcomes.next()),
        Read::Invalid(id, code) => BatchResult {
            index,
            event_id: id.clone(),
            status: "invalid",
            state: None,
            code: Some(code),
        },
    };
    read.iter().enumerate().map(result).collect()
}

fn answer_of(
    read: &[Read],
    outcomes: &[Outcome],
    errors_only: bool,
    trace_id: Option<String>,
) -> BatchAnswer {
    let mut results = results(read, outcomes);
    let count = |status: &str| {
        results
            .iter()
            .filter(|result| result.status == status)
            .count()
    };
    let (accepted, duplicates) = (count("accepted"), count("duplicate"));
    let (conflicts, invalid) = (count("conflict"), count("invalid"));
    if errors_only {
        results.retain(|result| result.status != "accepted");
    }
    BatchAnswer {
        accepted,
        duplicates,
        conflicts,
        invalid,
        results,
        trace_id,
    }
}

fn named(problem: Problem, results: &[BatchResult]) -> Problem {
    let wrong = results
        .iter()
        .filter_map(|result| Some((result, result.code?)));
    problem::ours(wrong.take(100).fold(problem, |problem, (result, code)| {
        problem.with_error(
            format!("[{}]", result.index),
            code,
            "This item stands against the whole batch.",
        )
    }))
}

fn atomic_invalid(read: &[Read]) -> Problem {
    let wrong: Vec<BatchResult> = results(read, &[])
        .into_iter()
        .zip(read)
        .filter(|(_, read)| matches!(read, Read::Invalid(..)))
        .map(|(result, _)| result)
        .collect();
    let code = match wrong.as_slice() {
        [only] => only.code.unwrap_or("validation_failed"),
        _ => "validation_failed",
    };
    let detail = "The batch is atomic and has items that are not valid; nothing was stored.";
    named(Problem::new(Status::BadRequest, code, detail), &wrong)
}

fn atomic_conflict(read: &[Read], outcomes: &[Outcome]) -> Problem {
    let mut wrong = results(read, outcomes);
    wrong.retain(|result| result.status == "conflict" || result.status == "invalid");
    let code = wrong
        .iter()
        .find_map(|result| result.code)
        .unwrap_or("event_conflict");
    let detail = "The batch is atomic and an item conflicts; nothing was stored.";
    named(Problem::conflict(code, detail), &wrong)
}
