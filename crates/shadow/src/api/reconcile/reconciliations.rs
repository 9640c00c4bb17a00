//! `POST|GET …/reconciliations`, `GET …/reconciliations/{id}`, `…/{id}/report` (contract D2, D3).

use std::time::Duration;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::{accepted, created};
use florin_platform::http::router::{RouteSpec, Routes};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::Body;
use super::statements::narrow;
use super::{Shared, Walk};
use crate::api::problem::{conflict, field, not_found, ours};
use crate::api::{actor, money, permission, query, scope};
use crate::matching::bridge::BridgeOut;
use crate::matching::report::{self, Format};
use crate::matching::rows::{self, RunRow};
use crate::matching::service::{RunRequest, Started};
use crate::model::MoneyForm;
use crate::statements::day::Day;
use crate::store::WriteError;

const PATH: &str = "/api/v1/shadow/reconciliations";
/// Seconds that a caller waits unless it says otherwise.
const WAIT_DEFAULT: u64 = 10;
/// Most seconds that a caller may wait.
const WAIT_MAX: u64 = 60;

#[derive(utoipa::OpenApi)]
#[openapi(paths(post, list, one, report))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    Routes::new()
        .route(RouteSpec::post(PATH, permission::MATCH), post)
        .route(RouteSpec::get(PATH, permission::READ), list)
        .route(
            RouteSpec::get("/api/v1/shadow/reconciliations/{id}", permission::READ),
            one,
        )
        .route(
            RouteSpec::get(
                "/api/v1/shadow/reconciliations/{id}/report",
                permission::READ,
            ),
            report,
        )
        .document(<Document as utoipa::OpenApi>::openapi())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    rules: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PostBody {
    account_id: String,
    currency: Option<String>,
    from: String,
    to: String,
    settings: Option<Settings>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PostQuery {
    /// Seconds to wait for the end, 0 to 60; 10 when left out.
    wait: Option<u64>,
    money: Option<String>,
}

fn day(name: &str, text: &str) -> Result<Day, Problem> {
    Day::parse_iso(text, false)
        .ok_or_else(|| field(name, "invalid_date", "A day such as 2026-01-31 is needed."))
}

fn rules(settings: Option<Settings>) -> Result<[bool; 4], Problem> {
    let Some(words) = settings.unwrap_or_default().rules else {
        return Ok([true; 4]);
    };
    let mut on = [false; 4];
    for word in words {
        let at = ["R1", "R2", "R3", "R4"]
            .iter()
            .position(|known| *known == word);
        match at {
            Some(at) => on[at] = true,
            None => {
                return Err(field(
                    "settings.rules",
                    "validation_failed",
                    "R1, R2, R3 or R4.",
                ));
            }
        }
    }
    Ok(on)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RunOut {
    reconciliation_id: String,
    account_id: String,
    currency: String,
    from: Day,
    to: Day,
    state: String,
    settings: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge: Option<BridgeOut>,
    created_by: String,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
}

fn print(run: RunRow, form: MoneyForm) -> Result<RunOut, WriteError> {
    let summary = run.summary.as_ref();
    let bridge = match summary {
        Some(summary) => Some(summary.terms()?.print(summary.scale, form)),
        None => None,
    };
    Ok(RunOut {
        log_seq: summary.map(|summary| summary.log_seq),
        matches: summary.map(|summary| summary.rules.iter().map(|rule| rule.matches).sum()),
        bridge,
        reconciliation_id: run.id,
        account_id: run.account_id,
        currency: run.currency,
        from: run.from,
        to: run.to,
        state: run.state,
        settings: run.settings,
        problem: run.problem,
        created_by: run.actor,
        created_at: Timestamp(run.created_at),
        finished_at: run.finished_at.map(Timestamp),
    })
}

/// Begins a reconciliation and waits for its end as long as the caller wants.
#[utoipa::path(
    post, path = "/api/v1/shadow/reconciliations", tag = "Shadow statements",
    request_body = super::shapes::RunBody,
    params(PostQuery),
    responses(
        (status = 201, description = "Done within `wait`", body = super::shapes::RunShape),
        (status = 202, description = "It goes on", body = super::shapes::RunShape),
        (status = 400, description = "`invalid_date`, `invalid_id`, `currency_unknown`"),
        (status = 409, description = "`idempotency_conflict`; `bridge_broken`: the run has failed"),
        (status = 422, description = "`statement_missing`: no statement of this book is known"),
    )
)]
async fn post(
    State(api): State<Shared>,
    caller: Caller,
    Query(asked): Query<PostQuery>,
    IdempotencyKey(key): IdempotencyKey,
    Body(body): Body<PostBody>,
) -> Result<Response, Problem> {
    let form = money::form(asked.money.as_deref())?;
    let wait = asked.wait.unwrap_or(WAIT_DEFAULT);
    if wait > WAIT_MAX {
        return Err(field("wait", "validation_failed", "0 to 60 seconds."));
    }
    let book = query::book(api.shadow(), &body.account_id, body.currency.as_deref())?;
    scope::check(&caller, &book.account_id)?;
    let (from, to) = (day("from", &body.from)?, day("to", &body.to)?);
    if from >= to {
        return Err(field(
            "to",
            "validation_failed",
            "`to` is exclusive and lies after `from`.",
        ));
    }
    let request = RunRequest {
        book,
        from,
        to,
        rules: rules(body.settings)?,
        automatic: false,
        key,
    };
    let started = api.reconciler.start(request, &actor(&caller)).await;
    let (id, again) = match started.map_err(Problem::from).map_err(ours)? {
        Started::Known(id) => (id, true),
        Started::New(run) => {
            let (id, reconciler) = (run.id.clone(), api.reconciler.clone());
            // It goes on when the caller does not wait any longer, or goes away.
            let mut working = tokio::spawn(async move { reconciler.perform(run).await });
            let ended = tokio::time::timeout(Duration::from_secs(wait), &mut working).await;
            if let Ok(result) = ended {
                result.map_err(Problem::internal)??;
            }
            (id, false)
        }
    };
    let place = format!("{PATH}/{id}");
    let row = rows::run(api.shadow().db(), &id).await?;
    let row = row.ok_or_else(|| Problem::internal("a run is there after its start"))?;
    let running = row.state == "running";
    let out = print(row, form)?;
    let response = match running {
        true => accepted(&place, out),
        false => created(&place, out),
    };
    match again {
        true => response.map(replayed),
        false => response,
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct ListQuery {
    account_id: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    money: Option<String>,
}

/// Lists reconciliations.
#[utoipa::path(
    get, path = "/api/v1/shadow/reconciliations", tag = "Shadow statements",
    params(ListQuery),
    responses(
        (status = 200, description = "Runs, oldest first", body = super::shapes::RunPage),
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
    let filters = [("accountId", account)];
    let cursor = query.cursor.as_deref();
    let walk = Walk::new(&api, "shadow.reconciliations", filters, query.limit, cursor)?;
    let [after] = walk.numbers();
    let found = rows::runs(api.shadow().db(), account, after, walk.wanted()).await?;
    let mut out = Vec::with_capacity(found.len());
    for run in found {
        out.push(([run.number], print(run, form)?));
    }
    Ok(Json(walk.page(&api, out)).into_response())
}

async fn find(api: &Shared, caller: &Caller, id: &str) -> Result<RunRow, Problem> {
    let missing = || {
        not_found(
            "reconciliation_not_found",
            "There is no such reconciliation.",
        )
    };
    let run = rows::run(api.shadow().db(), id)
        .await?
        .ok_or_else(missing)?;
    scope::check(caller, &run.account_id)?;
    Ok(run)
}

/// Shows a reconciliation.
#[utoipa::path(
    get, path = "/api/v1/shadow/reconciliations/{id}", tag = "Shadow statements",
    params(("id" = String, Path), super::statements::MoneyQuery),
    responses(
        (status = 200, description = "The run", body = super::shapes::RunShape),
        (status = 404, description = "`reconciliation_not_found`"),
    )
)]
async fn one(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<super::statements::MoneyQuery>,
) -> Result<Response, Problem> {
    let form = money::form(query.money.as_deref())?;
    let run = find(&api, &caller, &id).await?;
    Ok(Json(print(run, form)?).into_response())
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReportQuery {
    /// `json` (default) or `csv`.
    format: Option<String>,
    money: Option<String>,
}

/// The report of a finished reconciliation.
#[utoipa::path(
    get, path = "/api/v1/shadow/reconciliations/{id}/report", tag = "Shadow statements",
    params(("id" = String, Path), ReportQuery),
    responses(
        (status = 200, description = "Counts, sums, open items and the bridge; with `format=csv` a row for each item", body = super::shapes::ReportShape),
        (status = 404, description = "`reconciliation_not_found`"),
        (status = 409, description = "`invalid_state`: it is not done"),
    )
)]
async fn report(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let form = money::form(query.money.as_deref())?;
    let (format, content_type) = match query.format.as_deref() {
        None | Some("json") => (Format::Json, "application/json"),
        Some("csv") => (Format::Csv, "text/csv; charset=utf-8"),
        Some(_) => {
            return Err(field(
                "format",
                "validation_failed",
                "Either `json` or `csv`.",
            ));
        }
    };
    let run = find(&api, &caller, &id).await?;
    let db = api.shadow().db().clone();
    let stream = report::stream(db, run, format, form).map_err(|_| {
        conflict(
            "invalid_state",
            "Only a reconciliation that is done has a report.",
        )
    })?;
    let mut response = Response::new(Bytes::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}
