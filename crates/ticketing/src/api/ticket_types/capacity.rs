//! What is left: for the public, and exactly for members (contract A4).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::RequestInfo;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::events::allowed;
use super::super::input::Search;
use super::super::{pages, permission};
use super::{ListQuery, Listed, found, listed};
use crate::model::ticket_type::TicketType;
use crate::{Ticketing, limits, store};

/// What is left of a type, as the public is told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TypeAvailability)]
struct AvailabilityRow {
    ticket_type_id: String,
    availability: &'static str,
    sale_state: &'static str,
}

/// What is left of an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventAvailability)]
pub(super) struct AvailabilityShown {
    event_id: String,
    status: &'static str,
    types: Vec<AvailabilityRow>,
}

/// What is left, cacheable for a second.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/availability", tag = "Events",
    params(("id" = String, Path), ListQuery),
    responses((status = 200, body = AvailabilityShown), (status = 304, description = "As it was"), (status = 404, description = "`event_not_found`"))
)]
pub(super) async fn availability(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    axum::Extension(info): axum::Extension<RequestInfo>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Search(query): Search<ListQuery>,
) -> Result<Response, Problem> {
    if caller.is_none() && query.access_key.is_none() && query.promo_code.is_none() {
        let address = info.client().to_string();
        room.limits.take(limits::PAGES, &address).await?;
        let read = async {
            let found = found(&room, None, &address, &id, &query).await?;
            Ok(left(&room, found))
        };
        return pages::page(&room, &format!("left {id}"), &headers, read).await;
    }
    let found = listed(&room, caller, &info, &id, &query).await?;
    let caching = match query.access_key.is_some() || query.promo_code.is_some() || found.member {
        true => "private, max-age=1",
        false => "public, max-age=1",
    };
    let mut response = Json(left(&room, found)).into_response();
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}

fn left(room: &Ticketing, found: Listed) -> AvailabilityShown {
    let now = room.now();
    let row = |kind: &TicketType| AvailabilityRow {
        ticket_type_id: kind.id.clone(),
        availability: kind.availability(&found.pools).word(),
        sale_state: kind.sale_state(&found.event, &found.pools, now).word(),
    };
    AvailabilityShown {
        status: found.event.status.word(),
        types: found.types.iter().map(row).collect(),
        event_id: found.event.id,
    }
}

/// Exact stock of a type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TypeCapacity)]
struct TypeCapacity {
    ticket_type_id: String,
    quantity: Option<i64>,
    sold: i64,
    held: i64,
    available: i64,
}

/// Exact stock of a pool.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PoolCapacity)]
struct PoolCapacity {
    pool_id: String,
    quantity: i64,
    sold: i64,
    held: i64,
    available: i64,
}

/// Units that went through holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HoldUnits)]
struct HoldUnits {
    held: i64,
    converted: i64,
    released: i64,
}

/// Exact stock of an event, in units.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventCapacity)]
pub(super) struct CapacityShown {
    types: Vec<TypeCapacity>,
    pools: Vec<PoolCapacity>,
    holds: HoldUnits,
}

/// Exact stock, for members.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/capacity", tag = "Events",
    params(("id" = String, Path)),
    responses((status = 200, body = CapacityShown), (status = 404, description = "`event_not_found`"))
)]
pub(super) async fn capacity(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<CapacityShown>, Problem> {
    allowed(&room, &caller, &id, permission::ORDERS_READ).await?;
    let (types, pools) = store::types::at_once(&room.store.db, &id).await?;
    let sum = |count: fn(&TicketType) -> i64| types.iter().map(count).sum();
    Ok(Json(CapacityShown {
        holds: HoldUnits {
            held: sum(|kind| kind.held),
            converted: sum(|kind| kind.converted),
            released: sum(|kind| kind.released),
        },
        pools: pools
            .iter()
            .map(|pool| PoolCapacity {
                pool_id: pool.id.clone(),
                quantity: pool.capacity,
                sold: pool.sold,
                held: pool.held,
                available: pool.rest(),
            })
            .collect(),
        types: types
            .iter()
            .map(|kind| TypeCapacity {
                ticket_type_id: kind.id.clone(),
                quantity: kind.quantity,
                sold: kind.sold,
                held: kind.held,
                available: kind.available(&pools),
            })
            .collect(),
    }))
}
