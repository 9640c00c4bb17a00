//! `GET …/lines`, `…/lines/{id}`, `POST …/lines/{id}/keep|ignore` (contract D1, duplicates).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::Deserialize;

use super::body::Body;
use super::statements::{MoneyQuery, narrow};
use super::{Shared, Walk, reason};
use crate::api::problem::{field, not_found, ours};
use crate::api::{actor, money, permission, scope};
use crate::matching::rows;
use crate::model::MoneyForm;
use crate::statements::render::LineOut;
use crate::statements::stored::{Statement, StoredLine, parse_line_id};
use crate::statements::tables;

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, one, keep, ignore))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/shadow/lines", permission::READ),
            list,
        )
        .route(
            RouteSpec::get("/api/v1/shadow/lines/{id}", permission::READ),
            one,
        )
        .route(
            RouteSpec::post("/api/v1/shadow/lines/{id}/keep", permission::IMPORT),
            keep,
        )
        .route(
            RouteSpec::post("/api/v1/shadow/lines/{id}/ignore", permission::IMPORT),
            ignore,
        )
        .document(<Document as utoipa::OpenApi>::openapi())
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct ListQuery {
    account_id: Option<String>,
    statement_id: Option<String>,
    status: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    money: Option<String>,
}

/// Lists lines in the order of import.
#[utoipa::path(
    get, path = "/api/v1/shadow/lines", tag = "Shadow statements",
    params(ListQuery),
    responses(
        (status = 200, description = "Lines in the order of import", body = super::shapes::LinePage),
        (status = 400, description = "A filter that is not known"),
    )
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let form = money::form(query.money.as_deref())?;
    let (account, statement) = (query.account_id.as_deref(), query.statement_id.as_deref());
    let status = query.status.as_deref();
    if status.is_some_and(|s| !["matched", "ambiguous", "unmatched", "ignored"].contains(&s)) {
        let message = "One of matched, ambiguous, unmatched, ignored.";
        return Err(field("status", "validation_failed", message));
    }
    narrow(&caller, account)?;
    let filters = [
        ("accountId", account),
        ("statementId", statement),
        ("status", status),
    ];
    let walk = Walk::new(
        &api,
        "shadow.lines",
        filters,
        query.limit,
        query.cursor.as_deref(),
    )?;
    let [after_statement, after_line] = walk.numbers();
    let filter = tables::LineFilter {
        account,
        statement,
        status,
        after: (after_statement, after_line),
        limit: walk.wanted(),
    };
    let found = tables::lines(api.shadow().db(), &filter).await?;
    let mut out = Vec::with_capacity(found.len());
    let mut of: Option<Statement> = None;
    for line in found {
        if of
            .as_ref()
            .is_none_or(|statement| statement.number != line.statement)
        {
            of = tables::statement_numbered(api.shadow().db(), line.statement).await?;
        }
        let statement = of
            .as_ref()
            .ok_or_else(|| Problem::internal("a line without statement"))?;
        out.push((
            [line.statement, line.n],
            print(&api, statement, line, form).await?,
        ));
    }
    Ok(Json(walk.page(&api, out)).into_response())
}

async fn print(
    api: &Shared,
    statement: &Statement,
    line: StoredLine,
    form: MoneyForm,
) -> Result<LineOut, Problem> {
    let matched = match line.status() {
        "matched" => rows::of_line(api.shadow().db(), &line.id(), form).await?,
        _ => None,
    };
    Ok(LineOut::new(
        line,
        &statement.currency,
        statement.scale,
        form,
        matched,
    )?)
}

async fn find(api: &Shared, caller: &Caller, id: &str) -> Result<(Statement, StoredLine), Problem> {
    let missing = || not_found("line_not_found", "There is no such line.");
    let (statement_id, n) = parse_line_id(id).ok_or_else(missing)?;
    let db = api.shadow().db();
    let statement = tables::statement(db, statement_id)
        .await?
        .ok_or_else(missing)?;
    scope::check(caller, &statement.account_id)?;
    let filter = tables::LineFilter {
        statement: Some(statement_id),
        after: (statement.number, n - 1),
        limit: 1,
        ..tables::LineFilter::default()
    };
    let line = tables::lines(db, &filter)
        .await?
        .pop()
        .filter(|line| line.n == n);
    Ok((statement, line.ok_or_else(missing)?))
}

/// Shows a line.
#[utoipa::path(
    get, path = "/api/v1/shadow/lines/{id}", tag = "Shadow statements",
    params(("id" = String, Path), super::statements::MoneyQuery),
    responses(
        (status = 200, description = "The line", body = super::shapes::LineShape),
        (status = 404, description = "`line_not_found`"),
    )
)]
async fn one(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<MoneyQuery>,
) -> Result<Response, Problem> {
    let form = money::form(query.money.as_deref())?;
    let (statement, line) = find(&api, &caller, &id).await?;
    Ok(Json(print(&api, &statement, line, form).await?).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonBody {
    pub(super) reason: Option<String>,
}

/// Takes a line into automatic matching.
#[utoipa::path(
    post, path = "/api/v1/shadow/lines/{id}/keep", tag = "Shadow statements",
    request_body = super::shapes::ReasonShape,
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "It takes part in matching again", body = super::shapes::LineShape),
        (status = 400, description = "`required`: the reason"),
        (status = 404, description = "`line_not_found`"),
        (status = 409, description = "`invalid_state`: the line is matched, or was decided"),
    )
)]
async fn keep(
    api: State<Shared>,
    caller: Caller,
    id: Path<String>,
    body: Body<ReasonBody>,
) -> Result<Response, Problem> {
    decide(api, caller, id, body, false).await
}

/// Takes a line out of matching for good.
#[utoipa::path(
    post, path = "/api/v1/shadow/lines/{id}/ignore", tag = "Shadow statements",
    request_body = super::shapes::ReasonShape,
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "It is out for good; the bridge counts it apart", body = super::shapes::LineShape),
        (status = 400, description = "`required`: the reason"),
        (status = 404, description = "`line_not_found`"),
        (status = 409, description = "`invalid_state`: the line is matched, or was decided"),
    )
)]
async fn ignore(
    api: State<Shared>,
    caller: Caller,
    id: Path<String>,
    body: Body<ReasonBody>,
) -> Result<Response, Problem> {
    decide(api, caller, id, body, true).await
}

async fn decide(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<ReasonBody>,
    ignore: bool,
) -> Result<Response, Problem> {
    let reason = reason(body.reason)?;
    find(&api, &caller, &id).await?;
    let decided = api
        .reconciler
        .decide(&id, ignore, &reason, &actor(&caller))
        .await;
    decided.map_err(ours)?;
    let (statement, line) = find(&api, &caller, &id).await?;
    let out = print(&api, &statement, line, MoneyForm::Number).await?;
    Ok(Json(out).into_response())
}
