//! `/orgs/{id}/balance`, `/payouts`: what organisers may have and get (contract C4).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::audit::Entry;
use florin_platform::http::auth::{Caller, Permission};
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::query;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

use super::input::Body;
use super::once::shown;
use super::problem::org_not_found;
use super::scope::in_org;
use super::{permission, problem};
use crate::api::money::{minor, print};
use crate::orders::payouts::request::{self, Requested};
use crate::orders::payouts::{self, PayoutRow, available};
use crate::store::idempotency::Once;
use crate::{Ticketing, limits};

#[derive(OpenApi)]
#[openapi(
    tags((name = "Payouts", description = "What organisers may have, and get")),
    paths(balance, list, create, get, mark_paid, mark_failed)
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let all = "/api/v1/orgs/{id}/payouts";
    let admin = permission::TICKETING_ADMIN;
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/orgs/{id}/balance", permission::PAYOUTS_READ),
            balance,
        )
        .route(RouteSpec::get(all, permission::PAYOUTS_READ), list)
        .route(RouteSpec::post(all, permission::PAYOUTS_WRITE), create)
        .route(
            RouteSpec::get("/api/v1/payouts/{id}", permission::PAYOUTS_READ),
            get,
        )
        .route(
            RouteSpec::post("/api/v1/payouts/{id}/mark-paid", admin),
            mark_paid,
        )
        .route(
            RouteSpec::post("/api/v1/payouts/{id}/mark-failed", admin),
            mark_failed,
        )
        .document(Document::openapi())
}

async fn may(
    room: &Ticketing,
    caller: &Caller,
    org_id: &str,
    needs: Permission,
) -> Result<(), Problem> {
    in_org(room, caller, org_id, None, needs, org_not_found)
        .await
        .map(drop)
}

/// What an organisation may have now, in each currency of its events.
#[utoipa::path(
    get, path = "/api/v1/orgs/{id}/balance", tag = "Payouts", params(("id" = String, Path)),
    responses((status = 200, body = Value), (status = 404, description = "`org_not_found`"))
)]
async fn balance(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    may(&room, &caller, &id, permission::PAYOUTS_READ).await?;
    let text = "SELECT DISTINCT currency FROM tk_events WHERE org_id = $1 ORDER BY currency";
    let mut tx = room.store.begin().await?;
    let org = available::org(&mut tx, &id).await?;
    let mut items = Vec::new();
    for row in tx.fetch_all(query(text).bind(&id)).await? {
        let currency: String = row.get("currency")?;
        let scale = room.settings.scale(&currency).unwrap_or(2);
        let (_, balance) = available::now(&room, &mut tx, &org, &currency).await?;
        let money = |amount: i128| print(i64::try_from(amount).unwrap_or(i64::MAX), scale);
        items.push(json!({
            "currency": currency,
            "available": money(balance.available),
            "pending": money(balance.pending),
            "openChargebacks": money(balance.chargebacks),
        }));
    }
    Ok(Json(json!({"orgId": id, "items": items})))
}

/// Payouts of an organisation, newest first; the last 500.
#[utoipa::path(
    get, path = "/api/v1/orgs/{id}/payouts", tag = "Payouts", params(("id" = String, Path)),
    responses((status = 200, body = Value), (status = 404, description = "`org_not_found`"))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Page<Value>>, Problem> {
    may(&room, &caller, &id, permission::PAYOUTS_READ).await?;
    let statement = payouts::select("WHERE org_id = $1 ORDER BY id DESC LIMIT 500").bind(&id);
    let rows = room.store.db.fetch_all(statement).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        items.push(printed(&room, &payouts::payout(row)?));
    }
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

fn printed(room: &Ticketing, payout: &PayoutRow) -> Value {
    let scale = room.settings.scale(&payout.currency).unwrap_or(2);
    payouts::show(payout, scale)
}

/// How much, in which currency.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PayoutRequest)]
struct PayoutBody {
    /// All that is available without it.
    #[schema(example = "250.00")]
    amount: Option<String>,
    /// Its currency.
    #[schema(example = "EUR")]
    currency: String,
}

/// Start a payout.
#[utoipa::path(
    post, path = "/api/v1/orgs/{id}/payouts", tag = "Payouts", request_body = PayoutBody,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header, description = "Needed")),
    responses(
        (status = 201, body = Value),
        (status = 404, description = "`org_not_found`"),
        (status = 409, description = "`payout_unavailable`, `payout_not_ready`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body { body, json }: Body<PayoutBody>,
) -> Result<Response, Problem> {
    let key = key.as_deref().ok_or_else(problem::key_required)?;
    may(&room, &caller, &id, permission::PAYOUTS_WRITE).await?;
    room.limits.take(limits::PAYOUT, &id).await?;
    let scale = room
        .settings
        .scale(&body.currency)
        .ok_or_else(|| Problem::validation("currency", "Must be a registered currency."))?;
    let amount = body.amount.as_deref();
    let amount = amount
        .map(|text| minor("amount", text, scale))
        .transpose()?;
    let once = Once::new(&room.secrets, format!("payouts:{id}"), key, &json);
    match request::request(&room, &id, &body.currency, amount, &once).await? {
        Requested::Again(kept) => shown(kept).map(replayed),
        Requested::New(payout) => {
            room.told.notify_one();
            let entry = Entry::new(
                &*caller.subject,
                "ticketing.payout.requested",
                format!("payout:{}", payout.id),
            );
            room.note(entry).await;
            let now = request::now(&room, &payout.id).await?;
            let location = format!("/api/v1/payouts/{}", payout.id);
            let mut response = (StatusCode::CREATED, Json(printed(&room, &now))).into_response();
            let location = HeaderValue::from_str(&location).map_err(Problem::internal)?;
            response.headers_mut().insert(LOCATION, location);
            Ok(response)
        }
    }
}

async fn readable(room: &Ticketing, caller: &Caller, id: &str) -> Result<PayoutRow, Problem> {
    let payout = request::now(room, id).await?;
    let needs = permission::PAYOUTS_READ;
    in_org(
        room,
        caller,
        &payout.org_id,
        None,
        needs,
        payouts::not_found,
    )
    .await?;
    Ok(payout)
}

/// A payout.
#[utoipa::path(
    get, path = "/api/v1/payouts/{id}", tag = "Payouts", params(("id" = String, Path)),
    responses((status = 200, body = Value), (status = 404, description = "`payout_not_found`"))
)]
async fn get(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let payout = readable(&room, &caller, &id).await?;
    Ok(Json(printed(&room, &payout)))
}

/// What the bank says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PayoutPaidRequest)]
struct PaidBody {
    /// Reference of the bank.
    reference: String,
}

/// The bank paid it.
#[utoipa::path(
    post, path = "/api/v1/payouts/{id}/mark-paid", tag = "Payouts", request_body = PaidBody,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Value),
        (status = 404, description = "`payout_not_found`"),
        (status = 409, description = "`payout_state`"),
    )
)]
async fn mark_paid(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Body { body, .. }: Body<PaidBody>,
) -> Result<Json<Value>, Problem> {
    readable(&room, &caller, &id).await?;
    let reference = super::check::line("reference", &body.reference, 1, 140)?;
    marked(&room, &caller, &id, "paid", Some(&reference), None).await
}

/// Why it failed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PayoutFailedRequest)]
struct FailedBody {
    /// Why.
    reason: Option<String>,
}

/// The bank could not pay it: everything goes back to where it came from.
#[utoipa::path(
    post, path = "/api/v1/payouts/{id}/mark-failed", tag = "Payouts", request_body = FailedBody,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Value),
        (status = 404, description = "`payout_not_found`"),
        (status = 409, description = "`payout_state`"),
    )
)]
async fn mark_failed(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Body { body, .. }: Body<FailedBody>,
) -> Result<Json<Value>, Problem> {
    readable(&room, &caller, &id).await?;
    let reason = body.reason.unwrap_or_else(|| "failed".to_owned());
    let reason = super::check::line("reason", &reason, 1, 500)?;
    marked(&room, &caller, &id, "failed", None, Some(&reason)).await
}

async fn marked(
    room: &Ticketing,
    caller: &Caller,
    id: &str,
    status: &'static str,
    reference: Option<&str>,
    failure: Option<&str>,
) -> Result<Json<Value>, Problem> {
    let payout = payouts::mark(room, id, status, reference, failure).await?;
    room.told.notify_one();
    let kind = match status {
        "paid" => "ticketing.payout.marked_paid",
        _ => "ticketing.payout.marked_failed",
    };
    room.note(Entry::new(&*caller.subject, kind, format!("payout:{id}")))
        .await;
    Ok(Json(printed(room, &payout)))
}
