//! `/events/{id}/ticket-types`, `/ticket-types/{id}`: what is sold (contract A4).

mod body;
mod capacity;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::{Access, Caller, Principal};
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use self::body::{TypeBody, TypeShown, show};
use super::events::{allowed, at_most};
use super::given::Given;
use super::input::{Body, Search};
use super::once::Creation;
use super::{check, permission};
use crate::Ticketing;
use crate::events::{self, edit, publish};
use crate::limits;
use crate::model::event::{Event, Status};
use crate::model::promo;
use crate::model::ticket_type::{AttendeeFields, Pool, TicketType};
use crate::store;

/// Highest number that a token can carry.
const TYPE_NO_MAX: i64 = 65_535;

#[derive(OpenApi)]
#[openapi(paths(
    create,
    list,
    patch,
    delete,
    capacity::availability,
    capacity::capacity
))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let of_event = "/api/v1/events/{id}/ticket-types";
    let one = "/api/v1/ticket-types/{id}";
    Routes::new()
        .route(RouteSpec::post(of_event, permission::EVENTS_WRITE), create)
        .route(RouteSpec::get(of_event, Access::Optional), list)
        .route(RouteSpec::patch(one, permission::EVENTS_WRITE), patch)
        .route(RouteSpec::delete(one, permission::EVENTS_WRITE), delete)
        .route(
            RouteSpec::get("/api/v1/events/{id}/availability", Access::Optional),
            capacity::availability,
        )
        .route(
            RouteSpec::get("/api/v1/events/{id}/capacity", permission::ORDERS_READ),
            capacity::capacity,
        )
        .document(Document::openapi())
}

fn type_not_found() -> Problem {
    Problem::not_found("ticket_type_not_found", "There is no such ticket type.")
}

fn blank(room: &Ticketing, event: &Event) -> TicketType {
    let now = room.now();
    TicketType {
        id: room.store.id(),
        event_id: event.id.clone(),
        type_no: event.next_type_no,
        name: String::new(),
        description: String::new(),
        position: event.next_type_no,
        hidden: false,
        price: 0,
        quantity: None,
        sale_starts_at: None,
        sale_ends_at: None,
        min_per_order: 1,
        max_per_order: 10,
        max_per_buyer: None,
        transferable: true,
        refundable_until: None,
        tax_rate_bp: 0,
        price_includes_tax: true,
        valid_from: None,
        valid_until: None,
        areas: None,
        attendee_fields: AttendeeFields::None,
        questions: Vec::new(),
        pool_ids: Vec::new(),
        sold: 0,
        held: 0,
        held_ever: 0,
        converted: 0,
        released: 0,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn scale_of(room: &Ticketing, event: &Event) -> Result<u8, Problem> {
    let scale = room.settings.scale(&event.currency);
    scale.ok_or_else(|| Problem::internal("the currency of an event is no asset any more"))
}

/// Add a ticket type.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/ticket-types", tag = "Events",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = TypeBody,
    responses(
        (status = 201, body = TypeShown),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`event_state`, `too_many_types`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    key: IdempotencyKey,
    Body { mut body, json }: Body<TypeBody>,
) -> Result<Response, Problem> {
    let found = allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    room.limits
        .take(limits::EVENT_UPDATE, &found.org_id)
        .await?;
    for (name, given) in [
        ("name", body.name.is_some()),
        ("price", body.price.is_some()),
    ] {
        if !given {
            return Err(Problem::validation(name, "This field is required."));
        }
    }
    // A new type stands in the pool of the whole event, whatever else is said.
    if body.pool_ids == Given::Left {
        body.pool_ids = Given::Null;
    }
    let creation = Creation::new(&room, &caller, &format!("types:{id}"), &key, &json);
    let mut tx = room.store.begin_event(&id).await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known);
    }
    let event = events::load_in(&mut tx, &id).await?;
    let mut event = event.ok_or_else(super::problem::event_not_found)?;
    let types = events::types_in(&mut tx, &id).await?;
    at_most(types.len(), edit::TYPES_MAX, "too_many_types")?;
    if event.next_type_no > TYPE_NO_MAX {
        at_most(1, 1, "too_many_types")?;
    }
    let pools = events::pools_in(&mut tx, &id).await?;
    let mut kind = blank(&room, &event);
    body.apply(&mut kind, scale_of(&room, &event)?, &pools)?;
    edit::check_type(&event, None, &kind, &pools)?;
    store::types::insert(&mut tx, &kind).await?;
    event.next_type_no += 1;
    store::events::update(&mut tx, &event).await?;
    events::after_stock_change(&room.store, &mut tx, &id).await?;
    let shown = show(&room, &event, &kind, &pools, true);
    let location = format!("/api/v1/ticket-types/{}", kind.id);
    let answer = creation
        .keep(
            &mut tx,
            StatusCode::CREATED,
            Some(location),
            &shown,
            kind.created_at,
        )
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// Which types are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// An access code: lists the hidden types that it opens.
    promo_code: Option<String>,
    /// Access key of a private event.
    access_key: Option<String>,
}

/// What is shown to this caller: the event, its types and pools, whether he is a member.
struct Listed {
    event: Event,
    types: Vec<TicketType>,
    pools: Vec<Pool>,
    member: bool,
}

async fn listed(
    room: &Ticketing,
    caller: Option<Caller>,
    info: &RequestInfo,
    id: &str,
    query: &ListQuery,
) -> Result<Listed, Problem> {
    let address = info.client().to_string();
    if caller.is_none() {
        room.limits.take(limits::PAGES, &address).await?;
    }
    found(room, caller.as_deref(), &address, id, query).await
}

async fn found(
    room: &Ticketing,
    principal: Option<&Principal>,
    address: &str,
    id: &str,
    query: &ListQuery,
) -> Result<Listed, Problem> {
    let db = &room.store.db;
    let event = store::events::load(db, id).await?;
    let seen = events::visible(room, principal, event, query.access_key.as_deref()).await?;
    let mut types = store::types::list(db, id).await?;
    let pools = store::types::pools(db, id).await?;
    if !seen.member {
        let opened = match &query.promo_code {
            None => None,
            Some(code) => access_code(room, id, code, address).await?,
        };
        let now = room.now();
        let opens = |kind: &TicketType| {
            opened
                .as_ref()
                .is_some_and(|code| code.opens(&kind.id, now))
        };
        types.retain(|kind| !kind.hidden || opens(kind));
    }
    Ok(Listed {
        event: seen.event,
        types,
        pools,
        member: seen.member,
    })
}

/// The code of an event; wrong guesses are counted.
async fn access_code(
    room: &Ticketing,
    event_id: &str,
    code: &str,
    address: &str,
) -> Result<Option<promo::Promo>, Problem> {
    let found = match promo::normal(code) {
        Some(code) => store::promos::find(&room.store.db, event_id, &code).await?,
        None => None,
    };
    if found.is_none() {
        room.limits.take(limits::GUESS, address).await?;
    }
    Ok(found)
}

/// What an event sells. Hidden types are listed with their access code.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/ticket-types", tag = "Events",
    params(("id" = String, Path), ListQuery),
    responses((status = 200, body = Vec<TypeShown>), (status = 404, description = "`event_not_found`"))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
    Search(query): Search<ListQuery>,
) -> Result<Response, Problem> {
    let found = listed(&room, caller, &info, &id, &query).await?;
    let items: Vec<TypeShown> = found
        .types
        .iter()
        .map(|kind| show(&room, &found.event, kind, &found.pools, found.member))
        .collect();
    let page = Page {
        items,
        next_cursor: None,
    };
    Ok(Json(page).into_response())
}

async fn event_of(room: &Ticketing, type_id: &str) -> Result<String, Problem> {
    let event = store::types::event_of(&room.store.db, type_id).await?;
    event.ok_or_else(type_not_found)
}

async fn allowed_type(room: &Ticketing, caller: &Caller, type_id: &str) -> Result<Event, Problem> {
    let event_id = event_of(room, type_id).await?;
    let found = allowed(room, caller, &event_id, permission::EVENTS_WRITE).await;
    found.map_err(|problem| match problem.code() {
        "event_not_found" => type_not_found(),
        _ => problem,
    })
}

/// Change a ticket type. Orders keep the price at which they were reserved.
#[utoipa::path(
    patch, path = "/api/v1/ticket-types/{id}", tag = "Events",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "`\"<version>\"`")),
    request_body = TypeBody,
    responses(
        (status = 200, body = TypeShown),
        (status = 404, description = "`ticket_type_not_found`"),
        (status = 409, description = "`quantity_below_committed`, `type_in_use`, `event_state`"),
        (status = 412, description = "`version_mismatch`"),
    )
)]
async fn patch(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body { body, .. }: Body<TypeBody>,
) -> Result<Response, Problem> {
    let found = allowed_type(&room, &caller, &id).await?;
    room.limits
        .take(limits::EVENT_UPDATE, &found.org_id)
        .await?;
    let expected = check::if_match(&headers)?;
    let mut tx = room.store.begin_event(&found.id).await?;
    let event = events::load_in(&mut tx, &found.id).await?;
    let event = event.ok_or_else(type_not_found)?;
    let types = events::types_in(&mut tx, &event.id).await?;
    let pools = events::pools_in(&mut tx, &event.id).await?;
    let before = types
        .iter()
        .find(|kind| kind.id == id)
        .ok_or_else(type_not_found)?;
    edit::check_version(expected, before.version)?;
    let mut kind = before.clone();
    body.apply(&mut kind, scale_of(&room, &event)?, &pools)?;
    edit::check_type(&event, Some(before), &kind, &pools)?;
    kind.version += 1;
    kind.updated_at = room.now();
    store::types::update(&mut tx, &kind).await?;
    events::after_stock_change(&room.store, &mut tx, &event.id).await?;
    tx.commit().await?;
    room.told.notify_one();
    Ok(Json(show(&room, &event, &kind, &pools, true)).into_response())
}

/// Delete a ticket type of which nothing was ever held.
#[utoipa::path(
    delete, path = "/api/v1/ticket-types/{id}", tag = "Events",
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "`ticket_type_not_found`"),
        (status = 409, description = "`type_in_use`, `event_incomplete`"),
    )
)]
async fn delete(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = allowed_type(&room, &caller, &id).await?;
    let mut tx = room.store.begin_event(&found.id).await?;
    let types = events::types_in(&mut tx, &found.id).await?;
    let kind = types
        .iter()
        .find(|kind| kind.id == id)
        .ok_or_else(type_not_found)?;
    if kind.held_ever > 0 || kind.sold > 0 {
        return Err(edit::type_in_use());
    }
    if found.status != Status::Draft && types.len() == 1 {
        let lacks = [("ticketTypes", "A published event keeps one ticket type.")];
        return Err(publish::incomplete(&lacks));
    }
    store::types::delete(&mut tx, &id).await?;
    events::after_stock_change(&room.store, &mut tx, &found.id).await?;
    tx.commit().await?;
    room.told.notify_one();
    Ok(no_content())
}
