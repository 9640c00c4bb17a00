//! Approve, reject, reverse; redrive and reject of events.

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path, RawBody};
use florin_platform::http::problem::Problem;
use http::HeaderMap;

use super::{StepAnswer, Why, answered, reachable, time_fault, why};
use crate::api::control::{Control, ControlApi, reason};
use crate::api::problem::ours;
use crate::api::{actor, scope, trace_id};
use crate::corrections::service::{Done, event_not_found};
use crate::model::MoneyForm;
use crate::model::instant::{check_range, parse_millis, parse_rfc3339};
use crate::store::read;

/// The answer to a step, marked where it is an earlier one.
fn step(api: &ControlApi, done: Result<Done, Problem>) -> Result<Response, Problem> {
    let done = done.map_err(ours)?;
    let response = answered(api, &done.correction, MoneyForm::Number)?;
    Ok(match done.replayed {
        true => replayed(response),
        false => response,
    })
}

/// Approve a correction; above the limit its proposer may not.
#[utoipa::path(
    post, path = "/api/v1/shadow/corrections/{id}/approve", tag = "Shadow ledger",
    params(("id" = String, Path)), request_body = Why,
    responses(
        (status = 200, description = "Applied", body = StepAnswer),
        (status = 202, description = "Of a linked book: its transfer is on the way", body = StepAnswer),
        (status = 403, description = "`four_eyes_required`"),
        (status = 409, description = "`invalid_state`, `would_go_negative`, `idempotency_conflict`"),
    )
)]
pub(super) async fn approve(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let why = why(&headers, &body)?;
    let text = match why.reason.as_deref() {
        None => "approved".to_owned(),
        given => reason(given)?,
    };
    reachable(&api, &caller, &id).await?;
    let done = api.corrections().approve(id, actor(&caller), text, key);
    step(&api, done.await)
}

/// Reject a proposed correction.
#[utoipa::path(
    post, path = "/api/v1/shadow/corrections/{id}/reject", tag = "Shadow ledger",
    params(("id" = String, Path)), request_body = Why,
    responses((status = 200, body = StepAnswer), (status = 409, description = "`invalid_state`"))
)]
pub(super) async fn reject(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let text = reason(why(&headers, &body)?.reason.as_deref())?;
    reachable(&api, &caller, &id).await?;
    let done = api.corrections().reject(id, actor(&caller), text).await;
    answered(&api, &done.map_err(ours)?, MoneyForm::Number)
}

/// Propose the opposite of an applied correction.
#[utoipa::path(
    post, path = "/api/v1/shadow/corrections/{id}/reverse", tag = "Shadow ledger",
    params(("id" = String, Path)), request_body = Why,
    responses(
        (status = 200, description = "Reversed", body = StepAnswer),
        (status = 202, description = "The reversal waits for approval", body = StepAnswer),
        (status = 409, description = "`invalid_state`, `already_reversed`, `would_go_negative`, `idempotency_conflict`"),
    )
)]
pub(super) async fn reverse(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let why = why(&headers, &body)?;
    let text = reason(why.reason.as_deref())?;
    let at = why.timestamp.as_deref().map(|raw| {
        let raw = raw.get();
        match serde_json::from_str::<String>(raw) {
            Ok(text) => parse_rfc3339(&text),
            Err(_) => parse_millis(raw),
        }
    });
    let at = at.transpose().map_err(time_fault)?;
    if let Some(at) = at {
        let now = api.shadow().clock().wall_micros() / 1_000;
        let skew = api.shadow().settings().max_future_skew_ms;
        check_range(at, now, skew).map_err(time_fault)?;
    }
    reachable(&api, &caller, &id).await?;
    let done = api.corrections().reverse(id, actor(&caller), text, at, key);
    step(&api, done.await)
}

/// 404 `event_not_found`, or 403 where the caller does not reach its account.
async fn reachable_event(api: &ControlApi, caller: &Caller, id: &str) -> Result<(), Problem> {
    let found = read::event(api.shadow().db(), id).await?;
    let found = found.ok_or_else(|| ours(event_not_found()))?;
    scope::check(caller, &found.event.account_id)
}

/// Apply a rejected or reviewed event after all.
#[utoipa::path(
    post, path = "/api/v1/shadow/events/{eventId}/redrive", tag = "Shadow ledger",
    params(("eventId" = String, Path)), request_body = Why,
    responses(
        (status = 200, description = "Applied", body = StepAnswer),
        (status = 202, description = "It waits for somebody else's approval", body = StepAnswer),
        (status = 409, description = "`invalid_state`, `would_go_negative`, `idempotency_conflict`"),
    )
)]
pub(super) async fn redrive(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(event): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let text = reason(why(&headers, &body)?.reason.as_deref())?;
    reachable_event(&api, &caller, &event).await?;
    let done = api.corrections().redrive(event, actor(&caller), text, key);
    step(&api, done.await)
}

/// Refuse a held or reviewed event for good.
#[utoipa::path(
    post, path = "/api/v1/shadow/events/{eventId}/reject", tag = "Shadow ledger",
    params(("eventId" = String, Path)), request_body = Why,
    responses((status = 200, description = "Rejected"), (status = 409, description = "`invalid_state`"))
)]
pub(super) async fn reject_event(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(event): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let text = reason(why(&headers, &body)?.reason.as_deref())?;
    reachable_event(&api, &caller, &event).await?;
    let done = api
        .corrections()
        .reject_event(event.clone(), actor(&caller), text)
        .await;
    done.map_err(ours)?;
    let answer = serde_json::json!({
        "eventId": event, "state": "rejected", "traceId": trace_id(),
    });
    Ok(Json(answer).into_response())
}
