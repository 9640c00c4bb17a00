//! `…/alerts` (contract E).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::page::{FilterDigest, PageLimits};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::Query as Sql;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::control::{Control, after, numbered};
use super::problem::{self, ours};
use super::{actor, permission, scope};
use crate::monitors::table::{self, ALERT, Alert};

#[derive(OpenApi)]
#[openapi(paths(list, acknowledge))]
struct Document;

pub(super) fn routes() -> Routes<Control> {
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/shadow/alerts", permission::READ),
            list,
        )
        .route(
            RouteSpec::post(
                "/api/v1/shadow/alerts/{id}/acknowledge",
                permission::CONFIGURE,
            ),
            acknowledge,
        )
        .document(Document::openapi())
}

/// An alert.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowAlert)]
struct Shown {
    id: String,
    monitor: String,
    kind: String,
    severity: String,
    account_id: Option<String>,
    currency: Option<String>,
    /// `open`, `acknowledged` or `cleared`.
    state: String,
    /// Figures and evidence.
    #[schema(value_type = Object)]
    figures: serde_json::Value,
    #[schema(value_type = String)]
    raised_at: Timestamp,
    #[schema(value_type = Option<String>)]
    acknowledged_at: Option<Timestamp>,
    acknowledged_by: Option<String>,
    #[schema(value_type = Option<String>)]
    cleared_at: Option<Timestamp>,
}

fn shown(alert: Alert) -> Shown {
    Shown {
        id: alert.id,
        monitor: alert.monitor,
        kind: alert.kind,
        severity: alert.severity,
        account_id: alert.account,
        currency: alert.currency,
        state: alert.state,
        figures: alert.figures,
        raised_at: Timestamp(alert.raised_at),
        acknowledged_at: alert.acknowledged_at.map(Timestamp),
        acknowledged_by: alert.acknowledged_by,
        cleared_at: alert.cleared_at.map(Timestamp),
    }
}

/// Filters of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// `open`, `acknowledged` or `cleared`.
    state: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// An alert without an account is about all of them.
fn reaches(caller: &Caller, alert: &Alert) -> bool {
    match &alert.account {
        Some(account) => scope::reaches(caller, account),
        None => !scope::is_narrowed(caller),
    }
}

/// Alerts, newest first.
#[utoipa::path(
    get, path = "/api/v1/shadow/alerts", tag = "Shadow ledger", params(Filters),
    responses((status = 200, description = "A page of alerts", body = Vec<Shown>))
)]
async fn list(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    let size = PageLimits::default().resolve(filters.limit).map_err(ours)?;
    let state = filters.state.as_deref();
    if state.is_some_and(|word| !["open", "acknowledged", "cleared"].contains(&word)) {
        return Err(problem::field(
            "state",
            "validation_failed",
            "No such state.",
        ));
    }
    let given = state.map(|word| ("state", word));
    let digest = FilterDigest::new("shadow alerts", given);
    let below = after(&api.cursors, digest, filters.cursor.as_deref())?;
    let narrow = if state.is_some() {
        "AND state = $3"
    } else {
        ""
    };
    let text = format!(
        "SELECT {ALERT} FROM shadow_alerts WHERE made_seq < $1 {narrow}
         ORDER BY made_seq DESC LIMIT $2"
    );
    let mut statement = Sql::assembled(text)
        .bind(below.unwrap_or(i64::MAX))
        .bind(i64::try_from(size + 1).unwrap_or(i64::MAX));
    if let Some(state) = state {
        statement = statement.bind(state);
    }
    let rows = api.shadow().db().fetch_all(statement).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in &rows {
        all.push(Alert::from_row(row)?);
    }
    let more = all.len() > size;
    all.truncate(size);
    let next = all.last().filter(|_| more).map(|alert| alert.made_seq);
    let seen = all.into_iter().filter(|alert| reaches(&caller, alert));
    let items: Vec<Shown> = seen.map(shown).collect();
    Ok(Json(numbered(&api.cursors, digest, items, next)).into_response())
}

/// Say that somebody looks after an alert.
#[utoipa::path(
    post, path = "/api/v1/shadow/alerts/{id}/acknowledge", tag = "Shadow ledger",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Shown),
        (status = 404, description = "`alert_not_found`"),
        (status = 409, description = "`invalid_state`"),
    )
)]
async fn acknowledge(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let found = table::find_alert(api.shadow().db(), &id).await?;
    if found.is_some_and(|alert| !reaches(&caller, &alert)) {
        scope::check_whole(&caller)?;
    }
    let done = api.monitors.acknowledge(id, actor(&caller)).await;
    Ok(Json(shown(done.map_err(ours)?)))
}
