//! `POST …/correct/{accountId}` and `…/corrections` (contract C4); redrive and reject of events
//! (contract A4).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path, Query, RawBody};
use florin_platform::http::page::{FilterDigest, PageLimits};
use florin_platform::http::problem::{Problem, Status as Http};
use florin_platform::http::respond::with_location;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::{Query as Sql, query};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::control::{Control, ControlApi, after, numbered, reason};
use super::problem::{self, ours};
use super::{actor, money, permission, scope, trace_id};
use crate::corrections::model::{COLUMNS, Correction, RECORD, StepBody};
use crate::corrections::rules::{Kind, Status};
use crate::corrections::service::Manual;
use crate::corrections::steps::not_found;
use crate::corrections::table;
use crate::intake::{Ids, is_id, is_reserved};
use crate::model::amount::parse_amount;
use crate::model::instant::{check_range, parse_millis, parse_query, parse_rfc3339};
use crate::model::{Direction, Money, MoneyForm};

#[derive(OpenApi)]
#[openapi(paths(correct, list, get, approve, reject, reverse, redrive, reject_event))]
struct Document;

pub(super) fn routes(aliases: bool) -> Routes<Control> {
    let one = "/api/v1/shadow/corrections/{id}";
    let post = RouteSpec::post;
    let all = Routes::new()
        .route(
            post("/api/v1/shadow/correct/{accountId}", permission::CORRECT),
            correct,
        )
        .route(
            RouteSpec::get("/api/v1/shadow/corrections", permission::READ),
            list,
        )
        .route(RouteSpec::get(one, permission::READ), get)
        .route(
            post(
                "/api/v1/shadow/corrections/{id}/approve",
                permission::APPROVE,
            ),
            approve,
        )
        .route(
            post(
                "/api/v1/shadow/corrections/{id}/reject",
                permission::APPROVE,
            ),
            reject,
        )
        .route(
            post(
                "/api/v1/shadow/corrections/{id}/reverse",
                permission::CORRECT,
            ),
            reverse,
        )
        .route(
            post(
                "/api/v1/shadow/events/{eventId}/redrive",
                permission::CORRECT,
            ),
            redrive,
        )
        .route(
            post(
                "/api/v1/shadow/events/{eventId}/reject",
                permission::CORRECT,
            ),
            reject_event,
        )
        .document(Document::openapi());
    match aliases {
        true => all.route(
            post("/correct/{accountId}", permission::CORRECT).undocumented(),
            correct,
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

/// The correction as fields of a query or members of a body.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Params {
    /// `credit` or `debit`.
    r#type: Option<String>,
    /// Decimal.
    amount: Option<String>,
    /// Asset code.
    currency: Option<String>,
    /// Epoch ms or RFC 3339.
    timestamp: Option<String>,
    /// Why.
    reason: Option<String>,
    /// `string` prints amounts as decimal strings.
    money: Option<String>,
}

impl Params {
    fn any(&self) -> bool {
        [
            &self.r#type,
            &self.amount,
            &self.currency,
            &self.timestamp,
            &self.reason,
        ]
        .iter()
        .any(|given| given.is_some())
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ShadowCorrectRequest)]
struct CorrectBody {
    /// `credit` or `debit`.
    r#type: Option<String>,
    /// Number or decimal string.
    #[schema(value_type = Option<f64>)]
    amount: Option<Box<serde_json::value::RawValue>>,
    /// 1 to 500 characters.
    reason: Option<String>,
    /// Asset code.
    currency: Option<String>,
    /// Epoch ms or RFC 3339.
    #[schema(value_type = Option<i64>)]
    timestamp: Option<Box<serde_json::value::RawValue>>,
    /// The caller's own id of the correction.
    event_id: Option<String>,
    /// The event that it is about.
    cause_event_id: Option<String>,
    /// Equal to the path, if given.
    account_id: Option<String>,
}

/// What was asked, in one form.
#[derive(Default)]
struct Asked {
    direction: Option<String>,
    amount: Option<String>,
    reason: Option<String>,
    currency: Option<String>,
    timestamp: Option<i64>,
    event_id: Option<String>,
    cause: Option<String>,
    from_json: bool,
}

fn time_fault(fault: crate::model::instant::InstantFault) -> Problem {
    problem::field("timestamp", fault.code(), format!("The timestamp {fault}."))
}

fn from_query(params: &Params) -> Result<Asked, Problem> {
    let timestamp = params.timestamp.as_deref().map(parse_query).transpose();
    Ok(Asked {
        direction: params.r#type.clone(),
        amount: params.amount.clone(),
        reason: params.reason.clone(),
        currency: params.currency.clone(),
        timestamp: timestamp.map_err(time_fault)?,
        ..Asked::default()
    })
}

fn from_json(bytes: &[u8], account: &str) -> Result<Asked, Problem> {
    let body: CorrectBody = serde_json::from_slice(bytes).map_err(|error| {
        let fault = crate::drift::input::json_fault(&error, "");
        super::control::faulty(vec![fault])
    })?;
    if body.account_id.is_some_and(|given| given != account) {
        let message = "The account of the body is not that of the path.";
        return Err(problem::field("accountId", "account_mismatch", message));
    }
    let text = |raw: &serde_json::value::RawValue| {
        let raw = raw.get();
        match serde_json::from_str::<String>(raw) {
            Ok(text) => (text, true),
            Err(_) => (raw.to_owned(), false),
        }
    };
    let timestamp = body
        .timestamp
        .as_deref()
        .map(|raw| match text(raw) {
            (text, true) => parse_rfc3339(&text),
            (text, false) => parse_millis(&text),
        })
        .transpose()
        .map_err(time_fault)?;
    Ok(Asked {
        direction: body.r#type,
        amount: body.amount.as_deref().map(|raw| text(raw).0),
        reason: body.reason,
        currency: body.currency,
        timestamp,
        event_id: body.event_id,
        cause: body.cause_event_id,
        from_json: true,
    })
}

fn manual(
    api: &ControlApi,
    account: &str,
    asked: Asked,
    key: Option<String>,
) -> Result<Manual, Problem> {
    let compat = api.corrections().desk().control().compat;
    let shadow = api.shadow();
    let direction = match asked.direction.as_deref() {
        None if compat => Direction::Credit,
        None => {
            let message = "The type is required.";
            return Err(problem::field("type", "required", message));
        }
        Some(word) => Direction::from_word(word).ok_or_else(|| {
            let message = "The type is `credit` or `debit`.";
            problem::field("type", "invalid_type", message)
        })?,
    };
    let book = super::query::book(shadow, account, asked.currency.as_deref())?;
    let scale = shadow.currencies().scale(&book.currency).unwrap_or(0);
    let amount = asked.amount.as_deref().ok_or_else(|| {
        let message = "The amount is required.";
        problem::field("amount", "required", message)
    })?;
    let amount = parse_amount(amount, scale)
        .map_err(|fault| problem::field("amount", fault.code(), format!("The amount {fault}.")))?;
    if let Some(at) = asked.timestamp {
        let now = shadow.clock().wall_micros() / 1_000;
        let skew = shadow.settings().max_future_skew_ms;
        check_range(at, now, skew).map_err(time_fault)?;
    }
    let may_be_silent = !asked.from_json || compat;
    let reason = match asked.reason.as_deref() {
        None if may_be_silent => "manual correction".to_owned(),
        given => reason(given)?,
    };
    for (name, id) in [
        ("eventId", &asked.event_id),
        ("causeEventId", &asked.cause),
    ] {
        if id.as_deref().is_some_and(|id| !is_id(id, Ids::EVENT)) {
            return Err(problem::field(name, "invalid_id", "This is no event id."));
        }
    }
    if asked.event_id.as_deref().is_some_and(is_reserved) && !compat {
        let message = "Ids with this prefix are given by the server.";
        return Err(problem::field("eventId", "reserved_id", message));
    }
    Ok(Manual {
        book,
        direction,
        amount,
        timestamp: asked.timestamp,
        reason,
        event_id: asked.event_id,
        cause: asked.cause,
        key,
    })
}

/// Ask for a correction.
#[utoipa::path(
    post, path = "/api/v1/shadow/correct/{accountId}", tag = "Shadow ledger",
    params(("accountId" = String, Path), Params), request_body = CorrectBody,
    responses(
        (status = 200, description = "Applied", body = StepAnswer),
        (status = 202, description = "It waits for somebody else's approval", body = StepAnswer),
        (status = 409, description = "`would_go_negative`, `event_conflict`, `probable_repeat`, …"),
    )
)]
async fn correct(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(account): Path<String>,
    Query(params): Query<Params>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let form = money::form(params.money.as_deref())?;
    let account = super::query::account(&account)?;
    scope::check(&caller, account)?;
    let asked = match (params.any(), body.is_empty()) {
        (true, false) => {
            let detail = "The correction stands in the query or in the body, not in both.";
            let problem = Problem::new(Http::BadRequest, "ambiguous_request", detail);
            return Err(ours(problem));
        }
        (_, true) => from_query(&params)?,
        (false, false) => {
            must_be_json(&headers)?;
            from_json(&body, account)?
        }
    };
    let manual = manual(&api, account, asked, key)?;
    let done = api
        .corrections()
        .correct(manual, actor(&caller))
        .await
        .map_err(ours)?;
    let response = answered(&api, &done.correction, form)?;
    Ok(match done.replayed {
        true => replayed(response),
        false => response,
    })
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

/// Approve a correction; above the limit its proposer may not.
#[utoipa::path(
    post, path = "/api/v1/shadow/corrections/{id}/approve", tag = "Shadow ledger",
    params(("id" = String, Path)), request_body = Why,
    responses(
        (status = 200, description = "Applied", body = StepAnswer),
        (status = 202, description = "Of a linked book: its transfer is on the way", body = StepAnswer),
        (status = 403, description = "`four_eyes_required`"),
        (status = 409, description = "`invalid_state`, `would_go_negative`"),
    )
)]
async fn approve(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let why = why(&headers, &body)?;
    let text = match why.reason.as_deref() {
        None => "approved".to_owned(),
        given => reason(given)?,
    };
    reachable(&api, &caller, &id).await?;
    let done = api.corrections().approve(id, actor(&caller), text).await;
    answered(&api, &done.map_err(ours)?, MoneyForm::Number)
}

/// Reject a proposed correction.
#[utoipa::path(
    post, path = "/api/v1/shadow/corrections/{id}/reject", tag = "Shadow ledger",
    params(("id" = String, Path)), request_body = Why,
    responses((status = 200, body = StepAnswer), (status = 409, description = "`invalid_state`"))
)]
async fn reject(
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
        (status = 409, description = "`invalid_state`, `already_reversed`, `would_go_negative`"),
    )
)]
async fn reverse(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
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
    let done = api
        .corrections()
        .reverse(id, actor(&caller), text, at)
        .await;
    answered(&api, &done.map_err(ours)?, MoneyForm::Number)
}

/// Apply a rejected or reviewed event after all.
#[utoipa::path(
    post, path = "/api/v1/shadow/events/{eventId}/redrive", tag = "Shadow ledger",
    params(("eventId" = String, Path)), request_body = Why,
    responses(
        (status = 200, description = "Applied", body = StepAnswer),
        (status = 202, description = "It waits for somebody else's approval", body = StepAnswer),
        (status = 409, description = "`invalid_state`, `would_go_negative`"),
    )
)]
async fn redrive(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(event): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let text = reason(why(&headers, &body)?.reason.as_deref())?;
    let done = api
        .corrections()
        .redrive(event, actor(&caller), text)
        .await;
    answered(&api, &done.map_err(ours)?, MoneyForm::Number)
}

/// Refuse a held or reviewed event for good.
#[utoipa::path(
    post, path = "/api/v1/shadow/events/{eventId}/reject", tag = "Shadow ledger",
    params(("eventId" = String, Path)), request_body = Why,
    responses((status = 200, description = "Rejected"), (status = 409, description = "`invalid_state`"))
)]
async fn reject_event(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(event): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let text = reason(why(&headers, &body)?.reason.as_deref())?;
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

/// A correction with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowCorrection)]
struct Shown {
    event_id: String,
    account_id: String,
    r#type: &'static str,
    #[schema(value_type = f64)]
    amount: Money,
    currency: String,
    timestamp: i64,
    status: &'static str,
    kind: &'static str,
    reason: String,
    proposed_by: String,
    approved_by: Option<String>,
    cause_event_id: Option<String>,
    check_id: Option<String>,
    line_id: Option<String>,
    partner_event_id: Option<String>,
    target: Option<String>,
    transfer_id: Option<String>,
    #[schema(value_type = String)]
    proposed_at: Timestamp,
    #[schema(value_type = Option<String>)]
    decided_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    applied_at: Option<Timestamp>,
    log_seq: i64,
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<Step>>,
}

/// A step of a correction's life.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowCorrectionStep)]
struct Step {
    log_seq: i64,
    #[schema(value_type = String)]
    at: Timestamp,
    actor: String,
    role: Option<String>,
    action: String,
    before: Option<String>,
    after: String,
    reason: String,
    policy_version: String,
    trace_id: Option<String>,
}

fn shown(api: &ControlApi, made: Correction, form: MoneyForm) -> Shown {
    let (direction, amount) = made.entry();
    Shown {
        amount: money::print(api.shadow(), &made.book.currency, amount, form),
        event_id: made.id,
        account_id: made.book.account_id,
        r#type: direction.as_str(),
        currency: made.book.currency,
        timestamp: made.timestamp,
        status: made.status.as_str(),
        kind: made.kind.as_str(),
        reason: made.reason,
        proposed_by: made.proposed_by,
        approved_by: made.approved_by,
        cause_event_id: made.cause,
        check_id: made.check_id,
        line_id: made.line_id,
        partner_event_id: made.partner,
        target: made.target,
        transfer_id: made.transfer_id,
        proposed_at: Timestamp(made.proposed_at),
        decided_at: made.decided_at.map(Timestamp),
        applied_at: made.applied_at.map(Timestamp),
        log_seq: made.log_seq,
        trace_id: made.trace_id,
        history: None,
    }
}

/// Filters of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Filters {
    /// `proposed`, `approved`, `applied`, `rejected` or `reversed`.
    status: Option<String>,
    /// `auto`, `manual`, `redrive`, `reversal`, `pair` or `variance`.
    kind: Option<String>,
    /// Account.
    account_id: Option<String>,
    /// `string` prints amounts as decimal strings.
    money: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// Corrections, newest first.
#[utoipa::path(
    get, path = "/api/v1/shadow/corrections", tag = "Shadow ledger", params(Filters),
    responses((status = 200, description = "A page of corrections", body = Vec<Shown>))
)]
async fn list(
    AxumState(api): AxumState<Control>,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    let form = money::form(filters.money.as_deref())?;
    let size = PageLimits::default().resolve(filters.limit).map_err(ours)?;
    let wrong = |name: &str| problem::field(name, "validation_failed", "No such value.");
    let status = filters.status.as_deref();
    if status.is_some_and(|word| Status::from_word(word).is_none()) {
        return Err(wrong("status"));
    }
    let kind = filters.kind.as_deref();
    if kind.is_some_and(|word| Kind::from_word(word).is_none()) {
        return Err(wrong("kind"));
    }
    let account = filters.account_id.as_deref();
    let named = [("status", status), ("kind", kind), ("accountId", account)];
    let given = named.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let digest = FilterDigest::new("shadow corrections", given);
    let below = after(&api.cursors, digest, filters.cursor.as_deref())?;
    let mut text = format!("SELECT {COLUMNS} FROM shadow_corrections WHERE made_seq < $1");
    for (at, (column, _)) in [("status", status), ("kind", kind), ("account_id", account)]
        .iter()
        .filter(|(_, value)| value.is_some())
        .enumerate()
    {
        text.push_str(&format!(" AND {column} = ${}", at + 3));
    }
    text.push_str(" ORDER BY made_seq DESC LIMIT $2");
    let mut statement = Sql::assembled(text)
        .bind(below.unwrap_or(i64::MAX))
        .bind(i64::try_from(size + 1).unwrap_or(i64::MAX));
    for value in [status, kind, account].into_iter().flatten() {
        statement = statement.bind(value);
    }
    let rows = api.shadow().db().fetch_all(statement).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in &rows {
        all.push(Correction::from_row(row)?);
    }
    let more = all.len() > size;
    all.truncate(size);
    let next = all.last().filter(|_| more).map(|made| made.made_seq);
    let items: Vec<Shown> = all.into_iter().map(|made| shown(&api, made, form)).collect();
    Ok(Json(numbered(&api.cursors, digest, items, next)).into_response())
}

/// One correction with its history.
#[utoipa::path(
    get, path = "/api/v1/shadow/corrections/{id}", tag = "Shadow ledger",
    params(("id" = String, Path)),
    responses((status = 200, body = Shown), (status = 404, description = "`correction_not_found`"))
)]
async fn get(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let found = reachable(&api, &caller, &id).await?;
    let mut shown = shown(&api, found, MoneyForm::Number);
    shown.history = Some(history(&api, &id).await?);
    Ok(Json(shown))
}

async fn history(api: &ControlApi, id: &str) -> Result<Vec<Step>, Problem> {
    let text = "SELECT log_seq, recorded_at, actor, role, trace_id, body FROM shadow_log
        WHERE subject = $1 AND kind = $2 AND kind <> 'event' AND kind <> 'final'
        ORDER BY log_seq";
    let rows = api
        .shadow()
        .db()
        .fetch_all(query(text).bind(id).bind(RECORD))
        .await?;
    let mut steps = Vec::with_capacity(rows.len());
    for row in &rows {
        let body: String = row.get("body")?;
        let body: StepBody = serde_json::from_str(&body).map_err(Problem::internal)?;
        steps.push(Step {
            log_seq: row.get("log_seq")?,
            at: Timestamp(row.get("recorded_at")?),
            actor: row.get("actor")?,
            role: row.get("role")?,
            action: body.action,
            before: body.before,
            after: body.after,
            reason: body.reason,
            policy_version: body.policy_version,
            trace_id: row.get("trace_id")?,
        });
    }
    Ok(steps)
}

