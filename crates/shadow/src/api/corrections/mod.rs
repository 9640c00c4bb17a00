//! `POST …/correct/{accountId}` and `…/corrections` (contract C4); redrive and reject of events
//! (contract A4).

mod ask;
mod reads;
mod steps;

use axum::response::Response;
use bytes::Bytes;
use florin_platform::http::auth::Caller;
use florin_platform::http::problem::{Problem, Status as Http};
use florin_platform::http::respond::with_location;
use florin_platform::http::router::{RouteSpec, Routes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::control::{Control, ControlApi};
use super::problem::{self, ours};
use super::{class, money, permission, scope, trace_id};
use crate::corrections::model::Correction;
use crate::corrections::steps::not_found;
use crate::corrections::table;
use crate::model::{Money, MoneyForm};

#[derive(OpenApi)]
#[openapi(paths(
    ask::correct,
    reads::list,
    reads::get,
    steps::approve,
    steps::reject,
    steps::reverse,
    steps::redrive,
    steps::reject_event
))]
struct Document;

pub(super) fn routes(aliases: bool) -> Routes<Control> {
    let one = "/api/v1/shadow/corrections/{id}";
    let post = RouteSpec::post;
    let limited = |path, permission| RouteSpec::post(path, permission).class(class::corrections());
    let all = Routes::new()
        .route(
            limited("/api/v1/shadow/correct/{accountId}", permission::CORRECT),
            ask::correct,
        )
        .route(
            RouteSpec::get("/api/v1/shadow/corrections", permission::READ),
            reads::list,
        )
        .route(RouteSpec::get(one, permission::READ), reads::get)
        .route(
            post(
                "/api/v1/shadow/corrections/{id}/approve",
                permission::APPROVE,
            ),
            steps::approve,
        )
        .route(
            post(
                "/api/v1/shadow/corrections/{id}/reject",
                permission::APPROVE,
            ),
            steps::reject,
        )
        .route(
            limited(
                "/api/v1/shadow/corrections/{id}/reverse",
                permission::CORRECT,
            ),
            steps::reverse,
        )
        .route(
            limited(
                "/api/v1/shadow/events/{eventId}/redrive",
                permission::CORRECT,
            ),
            steps::redrive,
        )
        .route(
            limited(
                "/api/v1/shadow/events/{eventId}/reject",
                permission::CORRECT,
            ),
            steps::reject_event,
        )
        .document(Document::openapi());
    match aliases {
        true => all.route(
            limited("/correct/{accountId}", permission::CORRECT).undocumented(),
            ask::correct,
        ),
        false => all,
    }
}

/// A correction in an answer to a step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowCorrectionAnswer)]
struct StepAnswer {
    event_id: String,
    account_id: String,
    /// `credit` or `debit`.
    r#type: &'static str,
    #[schema(value_type = f64)]
    amount: Money,
    currency: String,
    timestamp: i64,
    /// `proposed`, `approved`, `applied`, `rejected` or `reversed`.
    status: &'static str,
    reason: String,
    proposed_by: String,
    approved_by: Option<String>,
    trace_id: Option<String>,
}

fn step_answer(api: &ControlApi, made: &Correction, form: MoneyForm) -> StepAnswer {
    let (direction, amount) = made.entry();
    StepAnswer {
        event_id: made.id.clone(),
        account_id: made.book.account_id.clone(),
        r#type: direction.as_str(),
        amount: money::print(api.shadow(), &made.book.currency, amount, form),
        currency: made.book.currency.clone(),
        timestamp: made.timestamp,
        status: made.status.as_str(),
        reason: made.reason.clone(),
        proposed_by: made.proposed_by.clone(),
        approved_by: made.approved_by.clone(),
        trace_id: trace_id(),
    }
}

/// 200 when it is in the books or decided for good, 202 while it waits.
fn answered(api: &ControlApi, made: &Correction, form: MoneyForm) -> Result<Response, Problem> {
    let status = match made.status.pending() {
        true => StatusCode::ACCEPTED,
        false => StatusCode::OK,
    };
    // `#` may stand in an id and would end a URL's path.
    let id = made.id.replace('#', "%23");
    let location = format!("/api/v1/shadow/corrections/{id}");
    with_location(status, &location, step_answer(api, made, form))
}

fn time_fault(fault: crate::model::instant::InstantFault) -> Problem {
    problem::field("timestamp", fault.code(), format!("The timestamp {fault}."))
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = given.map(|text| text.split(';').next().unwrap_or(text).trim());
    match essence.is_some_and(|text| text.eq_ignore_ascii_case("application/json")) {
        true => Ok(()),
        false => Err(ours(Problem::new(
            Http::UnsupportedMediaType,
            "unsupported_media_type",
            "The body must be sent as `Content-Type: application/json`.",
        ))),
    }
}

/// A reason, and the time of a reversal.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShadowReason)]
struct Why {
    /// 1 to 500 characters.
    reason: Option<String>,
    /// Of a reversal: when it counts, epoch ms or RFC 3339.
    #[schema(value_type = Option<i64>)]
    timestamp: Option<Box<serde_json::value::RawValue>>,
}

fn why(headers: &HeaderMap, body: &Bytes) -> Result<Why, Problem> {
    if body.is_empty() {
        return Ok(Why::default());
    }
    must_be_json(headers)?;
    serde_json::from_slice(body).map_err(|error| {
        let fault = crate::drift::input::json_fault(&error, "");
        super::control::faulty(vec![fault])
    })
}

async fn reachable(api: &ControlApi, caller: &Caller, id: &str) -> Result<Correction, Problem> {
    let found = table::find(api.shadow().db(), id).await?;
    let found = found.ok_or_else(|| ours(not_found()))?;
    scope::check(caller, &found.book.account_id)?;
    Ok(found)
}
