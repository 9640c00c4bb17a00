//! `/orders/{id}/refunds`, `/refunds`: refunds and the jobs of whole events (contract B5).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use super::events::allowed;
use super::input::Body;
use super::once::shown;
use super::orders::opened;
use super::scope::in_org;
use super::{permission, problem};
use crate::money::due;
use crate::orders::access::Opened;
use crate::orders::desk::Cx;
use crate::orders::refunds::ask::{Ask, Refunded, Who, ask};
use crate::orders::refunds::{self, RefundRow, job, retry};
use crate::orders::row;
use crate::store::idempotency::Once;
use crate::{Ticketing, limits};

#[derive(OpenApi)]
#[openapi(
    tags((name = "Refunds", description = "Money back, single, partial and for whole events")),
    paths(create, of_order, get, again, job_state)
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let of_order_path = "/api/v1/orders/{id}/refunds";
    Routes::new()
        .route(RouteSpec::post(of_order_path, Access::Optional), create)
        .route(RouteSpec::get(of_order_path, Access::Optional), of_order)
        .route(
            RouteSpec::get("/api/v1/refunds/{id}", Access::Optional),
            get,
        )
        .route(
            RouteSpec::post("/api/v1/refunds/{id}/retry", permission::ORDERS_REFUND),
            again,
        )
        .route(
            RouteSpec::get(
                "/api/v1/events/{id}/refund-jobs/{jobId}",
                permission::ORDERS_READ,
            ),
            job_state,
        )
        .document(Document::openapi())
}

/// What is to be refunded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = RefundRequest)]
struct RefundBody {
    /// These tickets, or `all`.
    ticket_ids: Option<Vec<String>>,
    /// All tickets of the order that live.
    all: Option<bool>,
    /// So much of each; without it all that is left.
    #[schema(example = "30.00")]
    amount_per_ticket: Option<String>,
    /// The tickets stay good.
    keep_tickets: Option<bool>,
    /// Why.
    reason: Option<String>,
    /// Used tickets too.
    force: Option<bool>,
}

fn read(body: RefundBody, scale: u8) -> Result<Ask, Problem> {
    let all = body.all.unwrap_or(false);
    if all == body.ticket_ids.is_some() {
        return Err(Problem::validation(
            "ticketIds",
            "Give either `ticketIds` or `all`.",
        ));
    }
    let amount = body.amount_per_ticket.as_deref();
    let amount = amount
        .map(|text| super::money::minor("amountPerTicket", text, scale))
        .transpose()?;
    if amount == Some(0) {
        return Err(Problem::validation("amountPerTicket", "Must be above 0."));
    }
    if body
        .reason
        .as_ref()
        .is_some_and(|text| text.chars().count() > 500)
    {
        return Err(Problem::validation(
            "reason",
            "Must be at most 500 characters.",
        ));
    }
    Ok(Ask {
        ticket_ids: body.ticket_ids,
        amount_per_ticket: amount,
        keep_tickets: body.keep_tickets.unwrap_or(false),
        reason: body.reason,
        force: body.force.unwrap_or(false),
    })
}

/// Refund tickets. From the answer on gates refuse them, before any money moves.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/refunds", tag = "Refunds", request_body = RefundBody,
    params(
        ("id" = String, Path), ("Idempotency-Key" = String, Header, description = "Needed"),
        ("X-Access-Token" = Option<String>, Header)
    ),
    responses(
        (status = 202, description = "The refunds, as `items`", body = Value),
        (status = 403, description = "`forbidden`, `refund_limit`"),
        (status = 404, description = "`order_not_found`, `ticket_not_found`"),
        (status = 409, description = "`order_state`, `ticket_state`, `refund_period_over`, `ticket_transferred`, `ticket_used`, `refund_exceeds`, `insufficient_payable`, `payment_disputed`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body { body, json }: Body<RefundBody>,
) -> Result<Response, Problem> {
    let key = key.as_deref().ok_or_else(problem::key_required)?;
    let needs = permission::ORDERS_REFUND;
    let (order, right) = opened(&room, &caller, &headers, &info, &id, needs).await?;
    let person = caller
        .as_ref()
        .map_or(&*order.person_id, |caller| &*caller.subject);
    room.limits.take(limits::REFUND, person).await?;
    let who = match right {
        Opened::Buyer => Who::Buyer,
        Opened::Staff(right) if right.is_support() => Who::Support,
        Opened::Staff(_) => Who::Organizer,
    };
    let scale = room.settings.scale(&order.currency).unwrap_or(2);
    let asked = read(body, scale)?;
    let once = Once::new(&room.secrets, format!("refunds:{id}"), key, &json);
    let refunded = match who {
        Who::Buyer => {
            let lane = order.event_id.clone();
            room.desk
                .run(&lane, move |cx| {
                    let (id, asked, once) = (id.clone(), asked.clone(), once.clone());
                    Box::pin(async move { ask(cx, &id, who, &asked, &once).await })
                })
                .await?
        }
        // Judged one after another against all events of the organisation.
        Who::Organizer | Who::Support => {
            let mut cx = Cx::new(room.clone(), room.store.begin().await?);
            let refunded = ask(&mut cx, &id, who, &asked, &once).await?;
            cx.close_event(&order.event_id).await?;
            cx.tx.commit().await?;
            refunded
        }
    };
    room.told.notify_one();
    match refunded {
        Refunded::Again(kept) => shown(kept).map(replayed),
        Refunded::New(body, dues) => {
            if let Err(error) = due::drive(&room, &dues).await {
                tracing::warn!(order = order.number, %error, "postings of a refund wait");
            }
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
    }
}

/// A refund as answers show it, with its tickets.
///
/// # Errors
/// The store's.
pub(super) async fn printed(room: &Ticketing, refund: &RefundRow) -> Result<Value, Problem> {
    let tickets = refunds::tickets_of(&room.store.db, &refund.id).await?;
    let scale = room.settings.scale(&refund.currency).unwrap_or(2);
    Ok(refunds::show(refund, &tickets, scale))
}

/// Refunds of an order, oldest first.
#[utoipa::path(
    get, path = "/api/v1/orders/{id}/refunds", tag = "Refunds",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses((status = 200, description = "All of them", body = Value), (status = 404, description = "`order_not_found`"))
)]
async fn of_order(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
) -> Result<Json<Page<Value>>, Problem> {
    let needs = permission::ORDERS_READ;
    let (order, _) = opened(&room, &caller, &headers, &info, &id, needs).await?;
    let statement = refunds::select("WHERE r.order_id = $1 ORDER BY r.id").bind(&order.id);
    let rows = room.store.db.fetch_all(statement).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        items.push(printed(&room, &refunds::refund(row)?).await?);
    }
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// A refund.
#[utoipa::path(
    get, path = "/api/v1/refunds/{id}", tag = "Refunds",
    params(("id" = String, Path), ("X-Access-Token" = Option<String>, Header)),
    responses((status = 200, body = Value), (status = 404, description = "`refund_not_found`"))
)]
async fn get(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = refunds::find(&room.store.db, &id).await?;
    let refund = found.ok_or_else(refunds::not_found)?;
    let needs = permission::ORDERS_READ;
    let opening = opened(&room, &caller, &headers, &info, &refund.order_id, needs).await;
    match opening {
        Ok(_) => printed(&room, &refund).await.map(Json),
        Err(problem) if problem.status().as_u16() == 404 => Err(refunds::not_found()),
        Err(problem) => Err(problem),
    }
}

/// Where a failed refund goes now.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = RefundRetryRequest)]
struct RetryBody {
    /// `wallet`: into the wallet named; without it the way the money came.
    to: Option<String>,
    /// A wallet of the refund's currency.
    wallet_id: Option<String>,
}

/// Try a refund that failed again.
#[utoipa::path(
    post, path = "/api/v1/refunds/{id}/retry", tag = "Refunds", request_body = RetryBody,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header, description = "Needed")),
    responses(
        (status = 202, body = Value),
        (status = 404, description = "`refund_not_found`"),
        (status = 409, description = "`refund_state`"),
    )
)]
async fn again(
    State(room): State<Ticketing>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body { body, json }: Body<RetryBody>,
) -> Result<Response, Problem> {
    let key = key.as_deref().ok_or_else(problem::key_required)?;
    let found = refunds::find(&room.store.db, &id).await?;
    let refund = found.ok_or_else(refunds::not_found)?;
    let (needs, event) = (permission::ORDERS_REFUND, Some(&*refund.event_id));
    in_org(
        &room,
        &caller,
        &refund.org_id,
        event,
        needs,
        refunds::not_found,
    )
    .await?;
    let to_wallet = match (body.to.as_deref(), body.wallet_id) {
        (None, None) => None,
        (Some("wallet"), Some(wallet)) => Some(wallet),
        (Some("wallet"), None) => {
            return Err(Problem::validation("walletId", "This field is required."));
        }
        _ => return Err(Problem::validation("to", "Must be `wallet`.")),
    };
    let once = Once::new(&room.secrets, format!("refund-retry:{id}"), key, &json);
    let lane = refund.event_id.clone();
    let refund_id = id.clone();
    let (kept, dues) = room
        .desk
        .run(&lane, move |cx| {
            let (id, to_wallet, once) = (refund_id.clone(), to_wallet.clone(), once.clone());
            Box::pin(async move { retry::retry(cx, &id, to_wallet.as_deref(), &once).await })
        })
        .await?;
    if let Some(kept) = kept {
        return shown(kept).map(replayed);
    }
    if let Err(error) = due::drive(&room, &dues).await {
        tracing::warn!(refund = id, %error, "postings of a refund wait");
    }
    let found = refunds::find(&room.store.db, &id).await?;
    let refund = found.ok_or_else(row::not_found)?;
    let body = printed(&room, &refund).await?;
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// How far the refunds of an event are.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/refund-jobs/{jobId}", tag = "Refunds",
    params(("id" = String, Path), ("jobId" = String, Path)),
    responses((status = 200, body = Value), (status = 404, description = "`event_not_found`, `refund_job_not_found`"))
)]
async fn job_state(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, job_id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    allowed(&room, &caller, &id, permission::ORDERS_READ).await?;
    job::show(&room, &id, &job_id).await.map(Json)
}
