//! `GET …/corrections` and `…/corrections/{id}` with its history.

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::page::{FilterDigest, PageLimits};
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Query as Sql, query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::reachable;
use crate::api::control::{Control, ControlApi, after, numbered};
use crate::api::problem::{self, ours};
use crate::api::{money, scope};
use crate::corrections::model::{COLUMNS, Correction, RECORD, StepBody};
use crate::corrections::rules::{Kind, Status};
use crate::model::{Money, MoneyForm};

/// A correction with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowCorrection)]
pub(super) struct Shown {
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
pub(super) struct Step {
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
pub(super) struct Filters {
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
pub(super) async fn list(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    scope::check_list(&caller, filters.account_id.as_deref())?;
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
    let given = named
        .iter()
        .filter_map(|(name, value)| Some((*name, (*value)?)));
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
    let items: Vec<Shown> = all
        .into_iter()
        .map(|made| shown(&api, made, form))
        .collect();
    Ok(Json(numbered(&api.cursors, digest, items, next)).into_response())
}

/// How money is printed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Printing {
    /// `string` prints amounts as decimal strings.
    money: Option<String>,
}

/// One correction with its history.
#[utoipa::path(
    get, path = "/api/v1/shadow/corrections/{id}", tag = "Shadow ledger",
    params(("id" = String, Path), Printing),
    responses((status = 200, body = Shown), (status = 404, description = "`correction_not_found`"))
)]
pub(super) async fn get(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(id): Path<String>,
    Query(printing): Query<Printing>,
) -> Result<Json<Shown>, Problem> {
    let form = money::form(printing.money.as_deref())?;
    let found = reachable(&api, &caller, &id).await?;
    let mut shown = shown(&api, found, form);
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
