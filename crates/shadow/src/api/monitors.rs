//! `…/monitors` (contract E).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::{created, no_content};
use florin_platform::http::router::{RouteSpec, Routes};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{OpenApi, ToSchema};

use super::control::{Control, faulty};
use super::problem::{self, ours};
use super::{actor, permission, scope};
use crate::drift::input::{AskedTolerance, name_ok};
use crate::drift::tolerance::{Tolerance, percent_text};
use crate::model::amount::full;
use crate::monitors::rules::{
    ACCOUNTS_MAX, Accounts, EVERY_MAX, EVERY_MIN, Kind, Monitor, SUSTAIN_MAX, Severity,
};
use crate::monitors::table::{self, Kept};

#[derive(OpenApi)]
#[openapi(paths(put, list, get, delete))]
struct Document;

pub(super) fn routes() -> Routes<Control> {
    let one = "/api/v1/shadow/monitors/{name}";
    Routes::new()
        .route(RouteSpec::put(one, permission::CONFIGURE), put)
        .route(
            RouteSpec::get("/api/v1/shadow/monitors", permission::READ),
            list,
        )
        .route(RouteSpec::get(one, permission::READ), get)
        .route(RouteSpec::delete(one, permission::CONFIGURE), delete)
        .document(Document::openapi())
}

/// Ids and prefixes: one or many.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ShadowMonitorAccounts)]
enum Patterns {
    /// One id or prefix.
    One(String),
    /// Many.
    Many(Vec<String>),
}

/// A monitor to be set up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ShadowMonitorRequest)]
struct Asked {
    /// `drift`, `held_age`, `review_age`, `sequence_gap`, `feed_lag`, `dead_letters`,
    /// `statement_gap`, `statement_late` or `self_check`.
    kind: String,
    /// Ids, or prefixes with `*`; all accounts if absent.
    accounts: Option<Patterns>,
    /// Only this currency.
    currency: Option<String>,
    /// At least 10.
    every_seconds: Option<i64>,
    /// `{absolute, percent}`.
    #[schema(value_type = Option<Object>)]
    threshold: Option<Box<RawValue>>,
    /// How long a state must last.
    sustain_seconds: Option<i64>,
    /// `LOW`, `MEDIUM`, `HIGH` or `CRITICAL`.
    severity: Option<String>,
}

/// A monitor.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowMonitor)]
struct Shown {
    name: String,
    kind: &'static str,
    accounts: Vec<String>,
    currency: Option<String>,
    every_seconds: i64,
    threshold: Threshold,
    sustain_seconds: i64,
    severity: &'static str,
    set_by: String,
    #[schema(value_type = Option<String>)]
    looked_at: Option<Timestamp>,
}

/// What is not yet a drift.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShadowMonitorThreshold)]
struct Threshold {
    /// Decimal in the monitor's currency.
    absolute: String,
    percent: Option<String>,
}

fn shown(api: &super::control::ControlApi, kept: Kept) -> Shown {
    let monitor = kept.monitor;
    let currencies = api.shadow().currencies();
    let code = monitor
        .currency
        .clone()
        .unwrap_or_else(|| currencies.default_code().to_owned());
    let scale = currencies.scale(&code).unwrap_or(0);
    Shown {
        name: monitor.name,
        kind: monitor.kind.as_str(),
        accounts: monitor.accounts.0,
        currency: monitor.currency,
        every_seconds: monitor.every_seconds,
        threshold: Threshold {
            absolute: full(monitor.threshold.absolute, scale),
            percent: monitor.threshold.percent.map(percent_text),
        },
        sustain_seconds: monitor.sustain_seconds,
        severity: monitor.severity.as_str(),
        set_by: monitor.set_by,
        looked_at: kept.looked_at.map(Timestamp),
    }
}

fn wrong(field: &str, message: &str) -> Problem {
    problem::field(field, "validation_failed", message)
}

fn within(
    field: &str,
    given: Option<i64>,
    default: i64,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, Problem> {
    let value = given.unwrap_or(default);
    match range.contains(&value) {
        true => Ok(value),
        false => {
            let message = format!("It must be {} to {}.", range.start(), range.end());
            Err(wrong(field, &message))
        }
    }
}

fn read(
    api: &super::control::ControlApi,
    name: String,
    asked: Asked,
    by: String,
) -> Result<Monitor, Problem> {
    if !name_ok(&name) {
        return Err(problem::field(
            "name",
            "invalid_id",
            "This is no name of a monitor.",
        ));
    }
    let kind = Kind::from_word(&asked.kind).ok_or_else(|| wrong("kind", "No such kind."))?;
    let currencies = api.shadow().currencies();
    let code = asked
        .currency
        .clone()
        .unwrap_or_else(|| currencies.default_code().to_owned());
    let Some(scale) = currencies.scale(&code) else {
        let message = "The currency is not a registered asset.";
        return Err(problem::field("currency", "currency_unknown", message));
    };
    let accounts = match asked.accounts {
        None => Vec::new(),
        Some(Patterns::One(one)) => vec![one],
        Some(Patterns::Many(many)) => many,
    };
    let plain = |text: &String| {
        let id = text.strip_suffix('*').unwrap_or(text);
        id.is_empty() && text == "*" || crate::drift::input::account_ok(id)
    };
    if accounts.len() > ACCOUNTS_MAX || !accounts.iter().all(plain) {
        return Err(wrong("accounts", "At most 1000 account ids or prefixes."));
    }
    let threshold = match asked.threshold {
        None => Tolerance::default(),
        Some(raw) => AskedTolerance::from_json(raw.get())
            .and_then(|asked| asked.of_scale(scale))
            .map_err(|fault| faulty(vec![fault]))?
            .unwrap_or_default(),
    };
    let severity = match asked.severity.as_deref() {
        None => kind.default_severity(),
        Some(word) => {
            Severity::from_word(word).ok_or_else(|| wrong("severity", "No such severity."))?
        }
    };
    Ok(Monitor {
        every_seconds: within(
            "everySeconds",
            asked.every_seconds,
            60,
            EVERY_MIN..=EVERY_MAX,
        )?,
        sustain_seconds: within(
            "sustainSeconds",
            asked.sustain_seconds,
            kind.default_sustain(),
            0..=SUSTAIN_MAX,
        )?,
        name,
        kind,
        accounts: Accounts(accounts),
        currency: asked.currency,
        threshold,
        severity,
        set_by: by,
    })
}

/// Set a monitor up, or anew.
#[utoipa::path(
    put, path = "/api/v1/shadow/monitors/{name}", tag = "Shadow ledger",
    params(("name" = String, Path)), request_body = Asked,
    responses(
        (status = 200, description = "Set anew", body = Shown),
        (status = 201, description = "Set up", body = Shown),
    )
)]
async fn put(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(name): Path<String>,
    Json(asked): Json<Asked>,
) -> Result<Response, Problem> {
    scope::check_whole(&caller)?;
    let by = actor(&caller);
    let monitor = read(&api, name, asked, by.subject.clone())?;
    let new = api.monitors.put(monitor.clone(), by).await.map_err(ours)?;
    let kept = Kept {
        monitor,
        looked_at: None,
        cursor: None,
    };
    let shown = shown(&api, kept);
    match new {
        true => created(&format!("/api/v1/shadow/monitors/{}", shown.name), shown),
        false => Ok(Json(shown).into_response()),
    }
}

/// All monitors, by name.
#[utoipa::path(
    get, path = "/api/v1/shadow/monitors", tag = "Shadow ledger",
    responses((status = 200, description = "All monitors", body = Vec<Shown>))
)]
async fn list(AxumState(api): AxumState<Control>, caller: Caller) -> Result<Response, Problem> {
    scope::check_whole(&caller)?;
    let all = api.monitors.all().await?;
    let page = Page {
        items: all
            .into_iter()
            .map(|kept| shown(&api, kept))
            .collect::<Vec<_>>(),
        next_cursor: None,
    };
    Ok(Json(page).into_response())
}

/// One monitor.
#[utoipa::path(
    get, path = "/api/v1/shadow/monitors/{name}", tag = "Shadow ledger",
    params(("name" = String, Path)),
    responses((status = 200, body = Shown), (status = 404, description = "`monitor_not_found`"))
)]
async fn get(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Shown>, Problem> {
    scope::check_whole(&caller)?;
    let found = table::find(api.shadow().db(), &name).await?;
    let found = found.ok_or_else(|| ours(crate::monitors::not_found()))?;
    Ok(Json(shown(&api, found)))
}

/// Take a monitor away; its open alerts are cleared.
#[utoipa::path(
    delete, path = "/api/v1/shadow/monitors/{name}", tag = "Shadow ledger",
    params(("name" = String, Path)),
    responses((status = 204), (status = 404, description = "`monitor_not_found`"))
)]
async fn delete(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    scope::check_whole(&caller)?;
    let gone = api.monitors.remove(name, actor(&caller)).await;
    gone.map_err(ours)?;
    Ok(no_content())
}
