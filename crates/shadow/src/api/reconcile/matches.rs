//! `POST|GET …/matches`, `GET …/matches/{id}`, `POST …/matches/{id}/undo` (contract D2).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::created;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::Body;
use super::lines::ReasonBody;
use super::statements::{MoneyQuery, narrow};
use super::{Shared, Walk, reason};
use crate::api::problem::{field, not_found, ours};
use crate::api::{actor, money, permission, query, scope};
use crate::matching::manual::{ITEMS_MAX, ManualMatch};
use crate::matching::rows::{self, MatchFilter};
use crate::model::MoneyForm;
use crate::model::amount::parse_signed;

const PATH: &str = "/api/v1/shadow/matches";

#[derive(utoipa::OpenApi)]
#[openapi(paths(post, list, one, undo))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    Routes::new()
        .route(RouteSpec::post(PATH, permission::MATCH), post)
        .route(RouteSpec::get(PATH, permission::READ), list)
        .route(
            RouteSpec::get("/api/v1/shadow/matches/{id}", permission::READ),
            one,
        )
        .route(
            RouteSpec::post("/api/v1/shadow/matches/{id}/undo", permission::MATCH),
            undo,
        )
        .document(<Document as utoipa::OpenApi>::openapi())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MatchBody {
    account_id: String,
    currency: Option<String>,
    line_ids: Vec<String>,
    event_ids: Vec<String>,
    reason: Option<String>,
    accept_variance: Option<Box<RawValue>>,
}

fn ids(name: &str, list: &[String]) -> Result<(), Problem> {
    if list.is_empty() {
        return Err(field(name, "required", "At least one is needed."));
    }
    if list.len() > ITEMS_MAX {
        return Err(field(name, "too_long", "At most 1000 are taken."));
    }
    let mut sorted: Vec<&String> = list.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        true => Err(field(name, "validation_failed", "One is named twice.")),
        false => Ok(()),
    }
}

/// Makes a match by hand.
#[utoipa::path(
    post, path = "/api/v1/shadow/matches", tag = "Shadow statements",
    request_body = super::shapes::MatchBodyShape,
    responses(
        (status = 201, description = "Matched; with a variance it is `proposed` until its correction is approved", body = super::shapes::MatchShape),
        (status = 400, description = "`required`, `too_long`, `amount_precision`"),
        (status = 404, description = "`line_not_found`, `event_not_found`"),
        (status = 409, description = "`already_matched`, `idempotency_conflict`"),
        (status = 422, description = "`sums_differ` with `lines`, `entries`, `difference`; `account_mismatch`"),
    )
)]
async fn post(
    State(api): State<Shared>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Body(body): Body<MatchBody>,
) -> Result<Response, Problem> {
    let book = query::book(api.shadow(), &body.account_id, body.currency.as_deref())?;
    scope::check(&caller, &book.account_id)?;
    ids("lineIds", &body.line_ids)?;
    ids("eventIds", &body.event_ids)?;
    let reason = reason(body.reason)?;
    let scale = api.shadow().currencies().scale(&book.currency).unwrap_or(0);
    let accept_variance = match &body.accept_variance {
        None => None,
        Some(raw) => {
            let text = raw.get().trim();
            let text = text
                .strip_prefix('"')
                .and_then(|t| t.strip_suffix('"'))
                .unwrap_or(text);
            Some(parse_signed(text, scale).map_err(|fault| {
                field(
                    "acceptVariance",
                    fault.code(),
                    format!("The variance {fault}."),
                )
            })?)
        }
    };
    let wanted = ManualMatch {
        book,
        lines: body.line_ids,
        events: body.event_ids,
        reason,
        accept_variance,
        key,
    };
    let made = api
        .reconciler
        .match_by_hand(wanted, &actor(&caller))
        .await
        .map_err(ours)?;
    let out = rows::one(api.shadow().db(), &made.id, MoneyForm::Number).await?;
    let out = out.ok_or_else(|| Problem::internal("a match is there after its commit"))?;
    let response = created(&format!("{PATH}/{}", made.id), out.as_made())?;
    Ok(match made.replayed {
        true => replayed(response),
        false => response,
    })
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct ListQuery {
    account_id: Option<String>,
    currency: Option<String>,
    state: Option<String>,
    rule: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    money: Option<String>,
}

/// Lists matches, undone ones included.
#[utoipa::path(
    get, path = "/api/v1/shadow/matches", tag = "Shadow statements",
    params(ListQuery),
    responses(
        (status = 200, description = "Matches, undone ones included", body = super::shapes::MatchPage),
    )
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let form = money::form(query.money.as_deref())?;
    let account = query.account_id.as_deref();
    narrow(&caller, account)?;
    let filters = [
        ("accountId", account),
        ("currency", query.currency.as_deref()),
        ("state", query.state.as_deref()),
        ("rule", query.rule.as_deref()),
    ];
    let walk = Walk::new(
        &api,
        "shadow.matches",
        filters,
        query.limit,
        query.cursor.as_deref(),
    )?;
    let [after] = walk.numbers();
    let filter = MatchFilter {
        account,
        currency: query.currency.as_deref(),
        state: query.state.as_deref(),
        rule: query.rule.as_deref(),
        after,
        limit: walk.wanted(),
    };
    let found = rows::many(api.shadow().db(), &filter, form).await?;
    let found = found
        .into_iter()
        .map(|(number, out)| ([number], out))
        .collect();
    Ok(Json(walk.page(&api, found)).into_response())
}

/// Shows a match.
#[utoipa::path(
    get, path = "/api/v1/shadow/matches/{id}", tag = "Shadow statements",
    params(("id" = String, Path), MoneyQuery),
    responses(
        (status = 200, description = "The match", body = super::shapes::MatchShape),
        (status = 404, description = "`match_not_found`"),
    )
)]
async fn one(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<MoneyQuery>,
) -> Result<Response, Problem> {
    let form = money::form(query.money.as_deref())?;
    match rows::one(api.shadow().db(), &id, form).await? {
        Some(out) => {
            scope::check(&caller, out.account_id())?;
            Ok(Json(out).into_response())
        }
        None => Err(not_found("match_not_found", "There is no such match.")),
    }
}

/// Undoes a match.
#[utoipa::path(
    post, path = "/api/v1/shadow/matches/{id}/undo", tag = "Shadow statements",
    request_body = super::shapes::ReasonShape,
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "Undone; both sides are open again", body = super::shapes::MatchShape),
        (status = 404, description = "`match_not_found`"),
        (status = 409, description = "`invalid_state`"),
    )
)]
async fn undo(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<ReasonBody>,
) -> Result<Response, Problem> {
    let reason = reason(body.reason)?;
    let db = api.shadow().db();
    let missing = || not_found("match_not_found", "There is no such match.");
    let before = rows::one(db, &id, MoneyForm::Number)
        .await?
        .ok_or_else(missing)?;
    scope::check(&caller, before.account_id())?;
    api.reconciler
        .undo(&id, &reason, &actor(&caller))
        .await
        .map_err(ours)?;
    let out = rows::one(db, &id, MoneyForm::Number)
        .await?
        .ok_or_else(missing)?;
    Ok(Json(out).into_response())
}
