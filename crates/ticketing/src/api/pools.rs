//! `/events/{id}/pools`: units that several ticket types share (contract A4).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::events::{allowed, at_most};
use super::input::Body;
use super::once::Creation;
use super::{check, permission};
use crate::Ticketing;
use crate::events::{self, edit};
use crate::limits;
use crate::model::ticket_type::{Pool, QUANTITY_MAX};
use crate::store;

#[derive(OpenApi)]
#[openapi(paths(list, create, patch, delete))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let all = "/api/v1/events/{id}/pools";
    let one = "/api/v1/events/{id}/pools/{poolId}";
    let write = permission::EVENTS_WRITE;
    Routes::new()
        .route(RouteSpec::get(all, write), list)
        .route(RouteSpec::post(all, write), create)
        .route(RouteSpec::patch(one, write), patch)
        .route(RouteSpec::delete(one, write), delete)
        .document(Document::openapi())
}

/// Fields of a pool; both are needed at creation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PoolRequest)]
struct PoolBody {
    /// 1 to 80 characters.
    name: Option<String>,
    /// 1 to 10 000 000 units.
    capacity: Option<i64>,
}

/// A pool.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Pool)]
struct PoolShown {
    id: String,
    event_id: String,
    name: String,
    capacity: i64,
    sold: i64,
    held: i64,
    available: i64,
}

impl From<&Pool> for PoolShown {
    fn from(pool: &Pool) -> Self {
        Self {
            id: pool.id.clone(),
            event_id: pool.event_id.clone(),
            name: pool.name.clone(),
            capacity: pool.capacity,
            sold: pool.sold,
            held: pool.held,
            available: pool.rest(),
        }
    }
}

fn not_found() -> Problem {
    Problem::not_found("pool_not_found", "There is no such pool.")
}

/// Pools of an event.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/pools", tag = "Events",
    params(("id" = String, Path)),
    responses((status = 200, body = Vec<PoolShown>), (status = 404, description = "`event_not_found`"))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let pools = store::types::pools(&room.store.db, &id).await?;
    let own = pools.iter().filter(|pool| !pool.whole_event);
    let page = Page {
        items: own.map(PoolShown::from).collect::<Vec<_>>(),
        next_cursor: None,
    };
    Ok(Json(page).into_response())
}

/// Add a pool; ticket types name it in `poolIds`.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/pools", tag = "Events",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = PoolBody,
    responses(
        (status = 201, body = PoolShown),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`event_state`, `too_many_pools`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    key: IdempotencyKey,
    Body { body, json }: Body<PoolBody>,
) -> Result<Response, Problem> {
    let event = allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    room.limits
        .take(limits::EVENT_UPDATE, &event.org_id)
        .await?;
    let required = |name: &'static str| Problem::validation(name, "This field is required.");
    let name = body.name.ok_or_else(|| required("name"))?;
    let capacity = body.capacity.ok_or_else(|| required("capacity"))?;
    let pool = Pool {
        id: room.store.id(),
        name: check::line("name", &name, 1, 80)?,
        capacity: check::range("capacity", capacity, 1, QUANTITY_MAX)?,
        whole_event: false,
        sold: 0,
        held: 0,
        event_id: id.clone(),
    };
    let creation = Creation::new(&room, &caller, &format!("pools:{id}"), &key, &json);
    let mut tx = room.store.begin_event(&id).await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known);
    }
    events::not_over_in(&mut tx, &id).await?;
    let pools = events::pools_in(&mut tx, &id).await?;
    at_most(pools.len(), edit::POOLS_MAX, "too_many_pools")?;
    let now = room.now();
    store::types::insert_pool(&mut tx, &pool, now).await?;
    let location = format!("/api/v1/events/{id}/pools/{}", pool.id);
    let shown = PoolShown::from(&pool);
    let answer = creation
        .keep(&mut tx, StatusCode::CREATED, Some(location), &shown, now)
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// Change a pool.
#[utoipa::path(
    patch, path = "/api/v1/events/{id}/pools/{poolId}", tag = "Events",
    params(("id" = String, Path), ("poolId" = String, Path)), request_body = PoolBody,
    responses(
        (status = 200, body = PoolShown),
        (status = 404, description = "`event_not_found`, `pool_not_found`"),
        (status = 409, description = "`quantity_below_committed`"),
    )
)]
async fn patch(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, pool_id)): Path<(String, String)>,
    Body { body, .. }: Body<PoolBody>,
) -> Result<Json<PoolShown>, Problem> {
    let event = allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    room.limits
        .take(limits::EVENT_UPDATE, &event.org_id)
        .await?;
    let mut tx = room.store.begin_event(&id).await?;
    let pools = events::pools_in(&mut tx, &id).await?;
    let found = pools
        .into_iter()
        .find(|pool| pool.id == pool_id && !pool.whole_event);
    let mut pool = found.ok_or_else(not_found)?;
    if let Some(name) = body.name {
        pool.name = check::line("name", &name, 1, 80)?;
    }
    if let Some(capacity) = body.capacity {
        pool.capacity = check::range("capacity", capacity, 1, QUANTITY_MAX)?;
    }
    if pool.rest() < 0 {
        return Err(edit::below_committed("capacity", pool.sold + pool.held));
    }
    store::types::update_pool(&mut tx, &pool).await?;
    events::after_stock_change(&room.store, &mut tx, &id).await?;
    tx.commit().await?;
    room.told.notify_one();
    Ok(Json(PoolShown::from(&pool)))
}

/// Delete a pool that no type is in.
#[utoipa::path(
    delete, path = "/api/v1/events/{id}/pools/{poolId}", tag = "Events",
    params(("id" = String, Path), ("poolId" = String, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "`event_not_found`, `pool_not_found`"),
        (status = 409, description = "`type_in_use`"),
    )
)]
async fn delete(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, pool_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let mut tx = room.store.begin_event(&id).await?;
    let pools = events::pools_in(&mut tx, &id).await?;
    if !pools
        .iter()
        .any(|pool| pool.id == pool_id && !pool.whole_event)
    {
        return Err(not_found());
    }
    let types = events::types_in(&mut tx, &id).await?;
    if types.iter().any(|kind| kind.pool_ids.contains(&pool_id)) {
        return Err(edit::type_in_use());
    }
    store::types::delete_pool(&mut tx, &pool_id).await?;
    tx.commit().await?;
    Ok(no_content())
}
