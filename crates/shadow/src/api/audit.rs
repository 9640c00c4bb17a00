//! `GET …/audit`: who did what, from the log itself (contract C4).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Query};
use florin_platform::http::page::{FilterDigest, PageLimits};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::{Arg, Query as Sql, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::control::{Control, after, numbered};
use super::problem::ours;
use super::{permission, scope};

#[derive(OpenApi)]
#[openapi(paths(list))]
struct Document;

pub(super) fn routes() -> Routes<Control> {
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/shadow/audit", permission::READ),
            list,
        )
        .document(Document::openapi())
}

/// Filters of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Account.
    account_id: Option<String>,
    /// Event, correction, check, monitor, …
    subject: Option<String>,
    /// Who.
    actor: Option<String>,
    /// What was done, such as `correction.approved`.
    action: Option<String>,
    /// Not before this recorded time.
    from: Option<String>,
    /// Before this recorded time.
    to: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// One line of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowAuditRecord)]
struct Shown {
    log_seq: i64,
    #[schema(value_type = String)]
    at: Timestamp,
    actor: String,
    role: Option<String>,
    action: String,
    subject: Option<String>,
    #[schema(value_type = Option<Object>)]
    before: Value,
    #[schema(value_type = Option<Object>)]
    after: Value,
    reason: Option<String>,
    policy_version: Option<String>,
    trace_id: Option<String>,
}

fn shown(row: &Row) -> Result<Shown, Problem> {
    let body: String = row.get("body")?;
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| body.get(*name)?.as_str());
        found.next().map(str::to_owned)
    };
    let value = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| body.get(*name));
        found.next().cloned().unwrap_or_default()
    };
    let kind: String = row.get("kind")?;
    let action = text(&["action"]).unwrap_or_else(|| match (kind.as_str(), text(&["to"])) {
        ("decision", Some(to)) => format!("event.{to}"),
        _ => kind.clone(),
    });
    Ok(Shown {
        log_seq: row.get("log_seq")?,
        at: Timestamp(row.get("recorded_at")?),
        actor: row.get("actor")?,
        role: row.get("role")?,
        action,
        subject: row.get("subject")?,
        before: value(&["before", "from"]),
        after: match kind.as_str() {
            "setting" => body.clone(),
            _ => value(&["after", "to"]),
        },
        reason: text(&["note", "reason"]),
        policy_version: text(&["policyVersion", "policy"]),
        trace_id: row.get("trace_id")?,
    })
}

/// The kinds of record that an action may stand for, and the text that its record holds.
fn of_action(action: &str) -> (String, Option<String>) {
    match action.split_once('.') {
        Some(("event", to)) => ("decision".to_owned(), Some(format!("\"to\":\"{to}\""))),
        Some((kind, _)) => (kind.to_owned(), Some(format!("\"action\":\"{action}\""))),
        None => (action.to_owned(), None),
    }
}

/// Decisions, corrections, settings and whatever else people answer for, newest first.
#[utoipa::path(
    get, path = "/api/v1/shadow/audit", tag = "Shadow ledger", params(Filters),
    responses((status = 200, description = "A page of the trail", body = Vec<Shown>))
)]
async fn list(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    scope::check_list(&caller, filters.account_id.as_deref())?;
    let size = PageLimits::default().resolve(filters.limit).map_err(ours)?;
    let named = [
        ("accountId", &filters.account_id),
        ("subject", &filters.subject),
        ("actor", &filters.actor),
        ("action", &filters.action),
        ("from", &filters.from),
        ("to", &filters.to),
    ];
    let given = named
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let digest = FilterDigest::new("shadow audit", given);
    let below = after(&api.cursors, digest, filters.cursor.as_deref())?;
    let time = |name: &str, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| super::query::recorded_time(name, text))
            .transpose()
    };
    let mut args: Vec<Arg> = vec![below.unwrap_or(i64::MAX).into()];
    let mut text = "SELECT log_seq, recorded_at, kind, subject, actor, role, trace_id, body
        FROM shadow_log WHERE log_seq < $1 AND kind <> 'event' AND kind <> 'final'"
        .to_owned();
    let mut narrow = |condition: &str, value: Arg| {
        args.push(value);
        text.push_str(&format!(" AND {condition} ${}", args.len()));
    };
    for (condition, value) in [
        ("account_id =", &filters.account_id),
        ("subject =", &filters.subject),
        ("actor =", &filters.actor),
    ] {
        if let Some(value) = value {
            narrow(condition, value.into());
        }
    }
    if let Some(action) = &filters.action {
        let (kind, holds) = of_action(action);
        narrow("kind =", kind.into());
        if let Some(holds) = holds {
            narrow("body LIKE", format!("%{}%", holds.replace('%', "")).into());
        }
    }
    if let Some(from) = time("from", &filters.from)? {
        narrow("recorded_at >=", from.into());
    }
    if let Some(to) = time("to", &filters.to)? {
        narrow("recorded_at <", to.into());
    }
    args.push(i64::try_from(size + 1).unwrap_or(i64::MAX).into());
    text.push_str(&format!(" ORDER BY log_seq DESC LIMIT ${}", args.len()));
    let mut statement = Sql::assembled(text);
    for arg in args {
        statement = statement.bind(arg);
    }
    let rows = api.shadow().db().fetch_all(statement).await?;
    let items: Result<Vec<Shown>, Problem> = rows.iter().take(size).map(shown).collect();
    let items = items?;
    let more = rows.len() > size;
    let next = items.last().filter(|_| more).map(|last| last.log_seq);
    Ok(Json(numbered(&api.cursors, digest, items, next)).into_response())
}
