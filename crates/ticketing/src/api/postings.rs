//! `/orders/{id}/postings`, `/events/{id}/postings`: what was posted in the ledger (contract C3).

use axum::extract::State;
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::{FilterDigest, Page, PageLimits, Position};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, OpenApi};

use super::events::allowed;
use super::input::Search;
use super::permission;
use super::scope::in_org;
use crate::Ticketing;
use crate::money::projector::{self, Of};
use crate::orders::row;

#[derive(OpenApi)]
#[openapi(
    tags((name = "Postings", description = "What was posted in the ledger")),
    paths(of_order, of_event)
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let needs = permission::PAYOUTS_READ;
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/orders/{id}/postings", needs),
            of_order,
        )
        .route(
            RouteSpec::get("/api/v1/events/{id}/postings", needs),
            of_event,
        )
        .document(Document::openapi())
}

/// Page of postings.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// Postings on a page, at most 500.
    limit: Option<u32>,
    /// Where the page starts.
    cursor: Option<String>,
}

async fn page(
    room: &Ticketing,
    list: &str,
    of: Of<'_>,
    id: &str,
    asked: &PageQuery,
) -> Result<Json<Page<Value>>, Problem> {
    let limit = PageLimits::default().resolve(asked.limit)?;
    let digest = FilterDigest::new(list, [("id", id)]);
    let after = match &asked.cursor {
        None => 0,
        Some(cursor) => room.cursors.open(digest, cursor)?.snapshot,
    };
    // Every posting acknowledged before this call is shown.
    projector::catch_up(room).await?;
    let (items, last) = projector::list(room, of, after, limit).await?;
    let next_cursor = last.map(|last| {
        let after = Vec::new();
        room.cursors.seal(
            digest,
            &Position {
                snapshot: last,
                after,
            },
        )
    });
    Ok(Json(Page { items, next_cursor }))
}

/// Postings of an order, oldest first.
#[utoipa::path(
    get, path = "/api/v1/orders/{id}/postings", tag = "Postings",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, description = "A page", body = Value), (status = 404, description = "`order_not_found`"))
)]
async fn of_order(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(asked): Search<PageQuery>,
) -> Result<Json<Page<Value>>, Problem> {
    let found = row::find(&room.store.db, &id).await?;
    let order = found.ok_or_else(row::not_found)?;
    let (needs, event) = (permission::PAYOUTS_READ, Some(&*order.event_id));
    in_org(&room, &caller, &order.org_id, event, needs, row::not_found).await?;
    page(&room, "order-postings", Of::Order(&id), &id, &asked).await
}

/// Postings of an event, oldest first.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/postings", tag = "Postings",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, description = "A page", body = Value), (status = 404, description = "`event_not_found`"))
)]
async fn of_event(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(asked): Search<PageQuery>,
) -> Result<Json<Page<Value>>, Problem> {
    let event = allowed(&room, &caller, &id, permission::PAYOUTS_READ).await?;
    page(
        &room,
        "event-postings",
        Of::Event(&event.id),
        &event.id,
        &asked,
    )
    .await
}
