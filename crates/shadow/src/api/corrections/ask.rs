//! `POST …/correct/{accountId}`: a correction that a person asks for, by query or by body.

use axum::extract::State as AxumState;
use axum::response::Response;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Path, Query, RawBody};
use florin_platform::http::problem::{Problem, Status as Http};
use http::HeaderMap;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{StepAnswer, answered, must_be_json, time_fault};
use crate::api::control::{Control, ControlApi, reason};
use crate::api::problem::{self, ours};
use crate::api::{actor, money, query, scope};
use crate::corrections::service::Manual;
use crate::intake::{Ids, is_id, is_reserved};
use crate::model::Direction;
use crate::model::amount::parse_amount;
use crate::model::instant::{check_range, parse_millis, parse_query, parse_rfc3339};

/// The correction as fields of a query or members of a body.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
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
pub(super) struct CorrectBody {
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
        crate::api::control::faulty(vec![fault])
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
    let book = query::book(shadow, account, asked.currency.as_deref())?;
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
    for (name, id) in [("eventId", &asked.event_id), ("causeEventId", &asked.cause)] {
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
pub(super) async fn correct(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(account): Path<String>,
    Query(params): Query<Params>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let form = money::form(params.money.as_deref())?;
    let account = query::account(&account)?;
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
