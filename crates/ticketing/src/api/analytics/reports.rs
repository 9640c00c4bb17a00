//! Figures of events, side by side, and of the platform.

use axum::extract::State;
use florin_base::Timestamp;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::query;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, OpenApi};

use crate::analytics::figures::{self, Attendance, Money, Tickets};
use crate::analytics::fold;
use crate::analytics::sales::{self, By};
use crate::api::events::allowed;
use crate::api::input::Search;
use crate::api::permission;
use crate::api::problem::field;
use crate::model::event::Event;
use crate::{Ticketing, limits};

/// Most events side by side.
const COMPARE_MAX: usize = 10;

#[derive(OpenApi)]
#[openapi(
    tags((name = "Analytics", description = "Figures of sales, money, visitors and attendance")),
    paths(overview, sales_report, revenue, funnel, sources, attendance, compare, platform)
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let needs = permission::ANALYTICS_READ;
    let of = |path| RouteSpec::get(path, needs);
    Routes::new()
        .route(of("/api/v1/analytics/events/{id}/overview"), overview)
        .route(of("/api/v1/analytics/events/{id}/sales"), sales_report)
        .route(of("/api/v1/analytics/events/{id}/revenue"), revenue)
        .route(of("/api/v1/analytics/events/{id}/funnel"), funnel)
        .route(of("/api/v1/analytics/events/{id}/sources"), sources)
        .route(of("/api/v1/analytics/events/{id}/attendance"), attendance)
        .route(of("/api/v1/analytics/compare"), compare)
        .route(
            RouteSpec::get(
                "/api/v1/analytics/platform/overview",
                permission::PLATFORM_ANALYTICS,
            ),
            platform,
        )
        .document(Document::openapi())
}

/// The event, if the caller may see its figures.
pub(super) async fn seen(
    room: &Ticketing,
    caller: &Caller,
    event_id: &str,
) -> Result<Event, Problem> {
    let event = allowed(room, caller, event_id, permission::ANALYTICS_READ).await?;
    room.limits.take(limits::ANALYTICS, &event.org_id).await?;
    Ok(event)
}

/// All figures of an event, and of each of its types.
#[utoipa::path(
    get, path = "/api/v1/analytics/events/{id}/overview", tag = "Analytics",
    params(("id" = String, Path)), responses((status = 200, body = Object))
)]
async fn overview(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let event = seen(&room, &caller, &id).await?;
    Ok(Json(figures::overview(&room, &event).await?))
}

/// What is grouped.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct SalesQuery {
    /// `hour`, `day` (default), `type`, `channel` or `source`.
    group_by: Option<String>,
    /// From this time on.
    from: Option<String>,
    /// Until before this time.
    to: Option<String>,
}

fn instant(name: &'static str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let parse = |text: &str| {
        let time = Timestamp::parse(text);
        time.map(|time| time.micros())
            .map_err(|error| Problem::validation(name, error.to_string()))
    };
    text.map(parse).transpose()
}

/// Sales of an event, grouped.
#[utoipa::path(
    get, path = "/api/v1/analytics/events/{id}/sales", tag = "Analytics",
    params(("id" = String, Path), SalesQuery), responses((status = 200, body = Object))
)]
async fn sales_report(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(asked): Search<SalesQuery>,
) -> Result<Json<Value>, Problem> {
    let event = seen(&room, &caller, &id).await?;
    let by = By::parse(asked.group_by.as_deref().unwrap_or("day"))?;
    let from = instant("from", asked.from.as_deref())?;
    let to = instant("to", asked.to.as_deref())?;
    let position = fold::catch_up(&room).await?;
    let body = sales::grouped(&room, &event, by, from, to).await?;
    Ok(Json(with_position(&room, body, position)))
}

fn with_position(room: &Ticketing, mut body: Value, position: u64) -> Value {
    body["asOf"] = Timestamp(room.now()).to_string().into();
    body["ledgerPosition"] = position.into();
    body
}

/// Money of an event.
#[utoipa::path(
    get, path = "/api/v1/analytics/events/{id}/revenue", tag = "Analytics",
    params(("id" = String, Path)), responses((status = 200, body = Object))
)]
async fn revenue(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let event = seen(&room, &caller, &id).await?;
    let scale = room.settings.scale(&event.currency).unwrap_or(2);
    let (money, position) = figures::money_of(&room, &event).await?;
    let mut body = money.show(scale);
    let more = json!({"eventId": event.id, "currency": event.currency});
    figures::merge(&mut body, more);
    Ok(Json(with_position(&room, Value::Object(body), position)))
}

/// Visitors from the first look to the payment.
#[utoipa::path(
    get, path = "/api/v1/analytics/events/{id}/funnel", tag = "Analytics",
    params(("id" = String, Path)), responses((status = 200, body = Object))
)]
async fn funnel(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let event = seen(&room, &caller, &id).await?;
    let position = fold::catch_up(&room).await?;
    let body = sales::funnel(&room, &event).await?;
    Ok(Json(with_position(&room, body, position)))
}

/// Where visitors and sales came from.
#[utoipa::path(
    get, path = "/api/v1/analytics/events/{id}/sources", tag = "Analytics",
    params(("id" = String, Path)), responses((status = 200, body = Object))
)]
async fn sources(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let event = seen(&room, &caller, &id).await?;
    let position = fold::catch_up(&room).await?;
    let body = sales::sources(&room, &event).await?;
    Ok(Json(with_position(&room, body, position)))
}

/// Who came.
#[utoipa::path(
    get, path = "/api/v1/analytics/events/{id}/attendance", tag = "Analytics",
    params(("id" = String, Path)), responses((status = 200, body = Object))
)]
async fn attendance(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let event = seen(&room, &caller, &id).await?;
    let position = fold::catch_up(&room).await?;
    let tickets = Tickets::of(&room, &event.id).await?;
    let expected = tickets.holding(None, "online") + tickets.holding(None, "comp");
    let attendance = Attendance::of(&room, &event.id).await?;
    let mut body = attendance.show(expected, event.ends_at.is_some_and(|at| at <= room.now()));
    body["eventId"] = event.id.into();
    body["expected"] = expected.into();
    Ok(Json(with_position(&room, body, position)))
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct CompareQuery {
    /// Ids, separated by commas, at most 10.
    event_ids: String,
}

/// The figures of several events side by side.
#[utoipa::path(
    get, path = "/api/v1/analytics/compare", tag = "Analytics", params(CompareQuery),
    responses((status = 200, body = Object))
)]
async fn compare(
    State(room): State<Ticketing>,
    caller: Caller,
    Search(asked): Search<CompareQuery>,
) -> Result<Json<Value>, Problem> {
    let ids: Vec<&str> = asked
        .event_ids
        .split(',')
        .filter(|id| !id.is_empty())
        .collect();
    if ids.is_empty() || ids.len() > COMPARE_MAX {
        return Err(field("eventIds", "event_ids_invalid", "1 to 10 ids."));
    }
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        let event = seen(&room, &caller, id).await?;
        items.push(figures::overview(&room, &event).await?);
    }
    let position = items
        .iter()
        .filter_map(|item| item["ledgerPosition"].as_u64())
        .min();
    let body = json!({"items": items});
    Ok(Json(with_position(&room, body, position.unwrap_or(0))))
}

/// Totals over all organisations, for each currency.
#[utoipa::path(
    get, path = "/api/v1/analytics/platform/overview", tag = "Analytics",
    responses((status = 200, body = Object))
)]
async fn platform(State(room): State<Ticketing>) -> Result<Json<Value>, Problem> {
    let position = fold::catch_up(&room).await?;
    let text = "SELECT currency, posting, component, account,
        CAST(SUM(debits) AS BIGINT) AS debits, CAST(SUM(credits) AS BIGINT) AS credits
        FROM tk_money_sums GROUP BY currency, posting, component, account";
    let mut currencies: std::collections::BTreeMap<String, Money> = Default::default();
    for row in room.store.db.fetch_all(query(text)).await? {
        let money = currencies.entry(row.get("currency")?).or_default();
        let (posting, component): (String, String) = (row.get("posting")?, row.get("component")?);
        let account: String = row.get("account")?;
        let sums = (row.get("debits")?, row.get("credits")?);
        money.add(&posting, &component, &account, sums);
    }
    let items: Vec<Value> = currencies
        .into_iter()
        .map(|(currency, money)| {
            let scale = room.settings.scale(&currency).unwrap_or(2);
            let mut shown: Map<String, Value> = money.show(scale);
            shown.insert("currency".to_owned(), currency.into());
            Value::Object(shown)
        })
        .collect();
    let count = |text: &'static str| {
        let room = room.clone();
        async move {
            let row = room.store.db.fetch_optional(query(text)).await?;
            row.map_or(Ok(0), |row| Ok::<i64, Problem>(row.get("n")?))
        }
    };
    let body = json!({
        "currencies": items,
        "organisations": count("SELECT COUNT(*) AS n FROM tk_orgs").await?,
        "events": count("SELECT COUNT(*) AS n FROM tk_events").await?,
        "tickets": count("SELECT CAST(COALESCE(SUM(sold), 0) AS BIGINT) AS n FROM tk_types").await?,
    });
    Ok(Json(with_position(&room, body, position)))
}
