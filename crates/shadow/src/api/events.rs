//! `POST` and `GET …/events` (contract A1, A4).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency;
use florin_platform::http::json::{Json, JsonBytes, Path, Query, json_bytes};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::Query as Sql;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::{Shared, actor, class, money, permission, problem, scope, trace_id};
use crate::intake::{Door, Fault, parse_event};
use crate::model::digest::sha256;
use crate::model::{Money, Reason, State};
use crate::store::intake::{Intake, IntakeReply, Item, KeyUse, Outcome};
use crate::store::{Stored, read};

#[derive(OpenApi)]
#[openapi(paths(post, get))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    Routes::new()
        .route(
            RouteSpec::post("/api/v1/shadow/events", permission::INTAKE).class(class::intake()),
            post,
        )
        .route(
            RouteSpec::get("/api/v1/shadow/events/{eventId}", permission::READ),
            get,
        )
        .document(Document::openapi())
}

/// An event, for the OpenAPI file; the handler reads the bytes itself to keep every digit.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the body")]
struct EventBody {
    /// Unique over the installation and for ever.
    event_id: String,
    /// Account.
    account_id: String,
    /// `credit` or `debit`.
    #[serde(rename = "type")]
    kind: String,
    /// JSON number or decimal string.
    #[schema(value_type = f64)]
    amount: String,
    /// Epoch milliseconds or RFC 3339.
    timestamp: i64,
    /// Asset code.
    currency: Option<String>,
    /// At most 140 characters.
    reference: Option<String>,
    /// At most 500 characters.
    description: Option<String>,
    /// At most 64 characters.
    source: Option<String>,
    /// Counts up per source.
    sequence: Option<i64>,
}

/// The answer to a recorded event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AcceptedAnswer<'a> {
    /// `accepted`.
    status: &'static str,
    /// Its id.
    event_id: &'a str,
    /// As decided.
    state: &'static str,
    /// Why it is not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Trace id.
    trace_id: Option<String>,
}

fn accepted(
    event_id: &str,
    state: State,
    reason: Option<Reason>,
    trace_id: Option<String>,
) -> String {
    let answer = AcceptedAnswer {
        status: "accepted",
        event_id,
        state: state.as_str(),
        reason: reason.map(Reason::as_str),
        trace_id,
    };
    serde_json::to_string(&answer).expect("plain values")
}

/// Record one event.
#[utoipa::path(
    post, path = "/api/v1/shadow/events", tag = "Shadow ledger", request_body = EventBody,
    responses(
        (status = 202, description = "Recorded and durable", body = AcceptedAnswer),
        (status = 409, description = "`duplicate_event`, `event_conflict`, `linked_book`"),
    )
)]
pub(super) async fn post(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<JsonBytes, Problem>,
) -> Result<Response, Problem> {
    let JsonBytes(bytes) = body.map_err(problem::ours)?;
    let now_ms = api.shadow.clock().wall_micros().div_euclid(1_000);
    let event = parse_event(&bytes, &Door::HTTP, &api.shadow, now_ms)
        .map_err(|faults| problem::faulty(&faults))?;
    scope::check(&caller, &event.account_id)?;
    let key = key_of(&headers)?;
    let event_id = event.event_id.clone();
    let key = key.map(|key| KeyUse {
        scope: format!("events\n{}\n{key}", caller.subject),
        body_digest: sha256(&bytes),
        answer: {
            let (event_id, trace) = (event_id.clone(), trace_id());
            Box::new(move |outcomes| match outcomes.first() {
                Some(Outcome::Accepted { state, reason, .. }) => {
                    Some((202, accepted(&event_id, *state, *reason, trace)))
                }
                _ => None,
            })
        },
    });
    let intake = Intake {
        items: vec![Item {
            event,
            entrance: Door::HTTP.entrance,
            actor: actor(&caller),
        }],
        atomic: false,
        key,
        also: None,
    };
    let reply = api.shadow.take(intake).await;
    answer(
        &event_id,
        reply.map_err(Problem::from).map_err(problem::ours)?,
    )
}

/// The key of the request; an ill-formed one is 400 `idempotency_key_invalid`.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    match idempotency::idempotency_key(headers) {
        Ok(key) => Ok(key.map(str::to_owned)),
        Err(_) => {
            let message = "The key must be 1 to 255 visible ASCII characters, given once.";
            Err(problem::field(
                "Idempotency-Key",
                "idempotency_key_invalid",
                message,
            ))
        }
    }
}

fn answer(event_id: &str, reply: IntakeReply) -> Result<Response, Problem> {
    let outcome = match reply {
        IntakeReply::Done(mut outcomes) | IntakeReply::Nothing(mut outcomes) => outcomes.pop(),
        IntakeReply::Replay { answer, .. } => {
            count("http", "replayed");
            let response = (StatusCode::ACCEPTED, json_bytes(answer)).into_response();
            return Ok(idempotency::replayed(response));
        }
        IntakeReply::KeyConflict(differs) => return Err(key_conflict(differs)),
    };
    match outcome {
        Some(Outcome::Accepted { state, reason, .. }) => {
            count("http", "accepted");
            let body = accepted(event_id, state, reason, trace_id());
            Ok((StatusCode::ACCEPTED, json_bytes(body)).into_response())
        }
        Some(outcome) => Err(refused(event_id, &outcome)),
        None => Err(Problem::internal("an intake without outcome")),
    }
}

/// Counts an event at a door.
pub(crate) fn count(entrance: &'static str, result: &'static str) {
    metrics::counter!("shadow_events_total", "entrance" => entrance, "result" => result)
        .increment(1);
}

/// 409 for a key that was used for another request.
pub(super) fn key_conflict(first_difference: &'static str) -> Problem {
    problem::ours(crate::store::keys::conflict(first_difference))
}

/// 409 for an item that was not recorded.
fn refused(event_id: &str, outcome: &Outcome) -> Problem {
    let stored = |recorded_at: i64, state: State| {
        serde_json::json!({
            "recordedAt": Timestamp(recorded_at),
            "state": state.as_str(),
        })
    };
    match outcome {
        Outcome::Duplicate { recorded_at, state } => {
            count("http", "duplicate");
            problem::conflict("duplicate_event", "This event is recorded already.")
                .with("eventId", event_id)
                .with("identical", true)
                .with("stored", stored(*recorded_at, *state))
        }
        Outcome::Conflict {
            recorded_at,
            state,
            first_difference,
            incident,
        } => {
            count("http", "conflict");
            problem::conflict(
                "event_conflict",
                "This event id is recorded with other content; nothing was changed.",
            )
            .with("eventId", event_id)
            .with("identical", false)
            .with("stored", stored(*recorded_at, *state))
            .with("firstDifference", *first_difference)
            .with("incidentId", incident.clone())
        }
        Outcome::Linked => problem::conflict(
            "linked_book",
            "This book mirrors an account of the ledger and takes no other events.",
        ),
        Outcome::Overflow | Outcome::Accepted { .. } => {
            problem::conflict("overflow", "The sums of this book would leave 128 bits.")
        }
    }
}

/// An event as it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'a> {
    event_id: &'a str,
    account_id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[schema(value_type = f64)]
    amount: Money,
    timestamp: i64,
    currency: &'a str,
    reference: Option<&'a str>,
    description: Option<&'a str>,
    source: Option<&'a str>,
    sequence: Option<i64>,
    state: &'static str,
    #[serde(rename = "final")]
    is_final: bool,
    reason: Option<&'static str>,
    is_correction: bool,
    cause_event_id: Option<&'a str>,
    #[schema(value_type = String)]
    recorded_at: Timestamp,
    log_seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    redrivable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Object>)]
    decisions: Option<Vec<Decision>>,
}

/// A decision about an event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Decision {
    log_seq: i64,
    at: Timestamp,
    from: Option<String>,
    to: String,
    #[serde(rename = "final")]
    is_final: bool,
    reason: Option<String>,
    running_balance: Option<Money>,
    policy: String,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(super) fn shown<'a>(
    api: &Shared,
    stored: &'a Stored,
    form: crate::model::MoneyForm,
    redrivable: Option<bool>,
    decisions: Option<Vec<Decision>>,
) -> Shown<'a> {
    let event = &stored.event;
    Shown {
        event_id: &event.event_id,
        account_id: &event.account_id,
        kind: event.direction.as_str(),
        amount: money::print(&api.shadow, &event.currency, event.amount, form),
        timestamp: event.timestamp,
        currency: &event.currency,
        reference: event.reference.as_deref(),
        description: event.description.as_deref(),
        source: event.source.as_deref(),
        sequence: event.sequence,
        state: stored.state.as_str(),
        is_final: stored.is_final,
        reason: stored.reason.map(Reason::as_str),
        is_correction: stored.correction,
        cause_event_id: stored.cause.as_deref(),
        recorded_at: Timestamp(stored.recorded_at),
        log_seq: stored.log_seq,
        redrivable,
        decisions,
    }
}

/// How to print money.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Form {
    /// `string`: decimal strings with the full scale.
    money: Option<String>,
}

/// One event with its decisions.
#[utoipa::path(
    get, path = "/api/v1/shadow/events/{eventId}", tag = "Shadow ledger",
    params(("eventId" = String, Path), Form),
    responses((status = 200, body = Shown), (status = 404, description = "`event_not_found`"))
)]
async fn get(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Path(event_id): Path<String>,
    Query(form): Query<Form>,
) -> Result<Response, Problem> {
    let form = money::form(form.money.as_deref())?;
    let stored = find(&api, &event_id).await?;
    scope::check(&caller, &stored.event.account_id)?;
    let decisions = decisions(&api, &stored, form).await?;
    let redrivable = redrivable(&api, &stored).await?;
    Ok(Json(shown(&api, &stored, form, redrivable, Some(decisions))).into_response())
}

/// The stored event, or 404 `event_not_found`.
pub(super) async fn find(api: &Shared, event_id: &str) -> Result<Stored, Problem> {
    let found = read::event(api.shadow.db(), event_id).await?;
    found.ok_or_else(|| problem::not_found("event_not_found", "There is no such event."))
}

/// For a refused debit: whether it would fit now.
pub(super) async fn redrivable(api: &Shared, stored: &Stored) -> Result<Option<bool>, Problem> {
    if !matches!(stored.state, State::Rejected | State::HeldForReview) {
        return Ok(None);
    }
    let (book, key) = (stored.book(), stored.event.key());
    let verdict = api
        .shadow
        .write(move |session| Box::pin(async move { session.would_fit(&book, &key).await }))
        .await?;
    Ok(Some(
        verdict.is_some_and(|verdict| verdict.refused.is_none()),
    ))
}

async fn decisions(
    api: &Shared,
    stored: &Stored,
    form: crate::model::MoneyForm,
) -> Result<Vec<Decision>, Problem> {
    // The first clause lets the partial index serve; records of events and plain finals are
    // found by their numbers.
    let text = "SELECT log_seq, recorded_at, kind, actor, body FROM shadow_log
        WHERE subject = $1 AND kind <> 'event' AND kind <> 'final' AND kind = 'decision'
        UNION ALL SELECT log_seq, recorded_at, kind, actor, body FROM shadow_log
        WHERE log_seq = $2 OR log_seq = $3 ORDER BY log_seq";
    let wanted = Sql::assembled(text.to_owned())
        .bind(&stored.event.event_id)
        .bind(stored.log_seq)
        .bind(stored.final_seq.unwrap_or(stored.log_seq));
    let mut decisions: Vec<Decision> = Vec::new();
    for row in api.shadow.db().fetch_all(wanted).await? {
        let log_seq = row.get("log_seq")?;
        if decisions.iter().any(|known| known.log_seq == log_seq) {
            continue;
        }
        let body: String = row.get("body")?;
        let body: serde_json::Value = serde_json::from_str(&body).map_err(Problem::internal)?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let running = text("running").and_then(|digits| digits.parse::<i128>().ok());
        let is_event = row.get::<String>("kind")? == "event";
        decisions.push(Decision {
            log_seq,
            at: Timestamp(row.get("recorded_at")?),
            from: text("from"),
            to: text(if is_event { "state" } else { "to" }).unwrap_or_default(),
            is_final: body["final"].as_bool().unwrap_or(false),
            reason: text("reason"),
            running_balance: running
                .map(|minor| money::print(&api.shadow, &stored.event.currency, minor, form)),
            policy: text("policy").unwrap_or_default(),
            actor: match is_event {
                true => "policy".to_owned(),
                false => row.get("actor")?,
            },
            note: text("note"),
        });
    }
    Ok(decisions)
}

/// Faults of an event as they are shown for an item of a batch.
pub(super) fn first_code(faults: &[Fault]) -> &'static str {
    faults
        .first()
        .map_or("validation_failed", |fault| fault.code)
}
