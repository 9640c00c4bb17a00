//! `/events`: the events of organisers, and what becomes of them (contract A2, A3).

pub mod body;
mod search;
pub mod show;
mod steps;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::audit::Entry;
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use florin_platform::sql::Tx;
use http::header::{CACHE_CONTROL, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use self::body::EventBody;
use self::show::EventShown;
use super::given::Given;
use super::input::{Body, Search};
use super::once::Creation;
use super::problem::{conflict, event_not_found, org_not_found};
use super::scope::in_org;
use super::{check, pages, permission};
use crate::Ticketing;
use crate::events::{self, edit, publish};
use crate::model::event::{Event, Format, HOLD_SECONDS, Status, Visibility};
use crate::model::org::Org;
use crate::model::ticket_type::QUANTITY_MAX;
use crate::{limits, outbox, store};

#[derive(OpenApi)]
#[openapi(
    tags((name = "Events", description = "Events, what they sell, and when")),
    paths(
        create, get, by_slug, patch, delete, search::list,
        steps::publish, steps::postpone, steps::reschedule, steps::cancel
    )
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let all = "/api/v1/events";
    let one = "/api/v1/events/{id}";
    let write = permission::EVENTS_WRITE;
    Routes::new()
        .route(RouteSpec::post(all, write), create)
        .route(RouteSpec::get(all, Access::Optional), search::list)
        .route(RouteSpec::get(one, Access::Optional), get)
        .route(
            RouteSpec::get("/api/v1/events/by-slug/{slug}", Access::Optional),
            by_slug,
        )
        .route(RouteSpec::patch(one, write), patch)
        .route(RouteSpec::delete(one, write), delete)
        .merge(steps::routes())
        .document(Document::openapi())
}

/// Opens a private event.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct AccessQuery {
    /// Access key of a private event.
    pub access_key: Option<String>,
}

/// The event's organisation allows the caller this; the event.
///
/// # Errors
/// 404 `event_not_found`, 403, the store's.
pub async fn allowed(
    room: &Ticketing,
    caller: &Caller,
    id: &str,
    permission: florin_platform::http::auth::Permission,
) -> Result<Event, Problem> {
    let event = store::events::load(&room.store.db, id).await?;
    let event = event.ok_or_else(event_not_found)?;
    let org = &event.org_id;
    in_org(room, caller, org, Some(id), permission, event_not_found).await?;
    Ok(event)
}

/// An answer with an event, its version as `ETag`.
fn with_tag(shown: &EventShown, version: i64) -> Response {
    let mut response = Json(shown).into_response();
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).expect("digits are ASCII");
    response.headers_mut().insert(ETAG, tag);
    response
}

/// Create a draft.
#[utoipa::path(
    post, path = "/api/v1/events", tag = "Events",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the call safe to repeat")),
    request_body = EventBody,
    responses(
        (status = 201, description = "A draft", body = EventShown),
        (status = 404, description = "`org_not_found`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    key: IdempotencyKey,
    Body { mut body, json }: Body<EventBody>,
) -> Result<Response, Problem> {
    let required =
        |name: &'static str| move || Problem::validation(name, "This field is required.");
    let org_id = body.org_id.take().ok_or_else(required("orgId"))?;
    body.title.as_ref().ok_or_else(required("title"))?;
    body.time_zone.as_ref().ok_or_else(required("timeZone"))?;
    let permission = permission::EVENTS_WRITE;
    in_org(&room, &caller, &org_id, None, permission, org_not_found).await?;
    let org = store::orgs::load(&room.store.db, &org_id).await?;
    let org = org.ok_or_else(org_not_found)?;
    let mut event = blank(&room, &org);
    let capacity = read_capacity(std::mem::take(&mut body.capacity))?;
    body.apply(&room, &mut event)?;
    if !event.image_ids.is_empty() {
        let message = "Images are added once the event is there.";
        return Err(Problem::validation("imageIds", message));
    }
    let creation = Creation::new(&room, &caller, "events", &key, &json);
    let mut tx = room.store.begin().await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known);
    }
    room.limits.take(limits::EVENT_CREATE, &org_id).await?;
    event.slug = edit::event_slug(&room.store, &mut tx, &event.title).await?;
    store::events::insert(&mut tx, &event).await?;
    if let Given::Value(capacity) = capacity {
        edit::set_capacity(&room.store, &mut tx, &event.id, Some(capacity)).await?;
    }
    store::search::index(&mut tx, &event, &org.name).await?;
    let organiser = None;
    let limit = match capacity {
        Given::Value(units) => Some(units),
        _ => None,
    };
    let shown = show::event(&room, &event, true, organiser, &[], limit);
    let location = format!("/api/v1/events/{}", event.id);
    let answer = creation
        .keep(
            &mut tx,
            StatusCode::CREATED,
            Some(location),
            &shown,
            event.created_at,
        )
        .await?;
    tx.commit().await?;
    let object = format!("event:{}", event.id);
    room.note(Entry::new(&*caller.subject, "ticketing.event.created", object).after(&shown))
        .await;
    Ok(answer)
}

fn read_capacity(given: Given<i64>) -> Result<Given<i64>, Problem> {
    given.try_map(|units| check::range("capacity", units, 1, QUANTITY_MAX))
}

fn blank(room: &Ticketing, org: &Org) -> Event {
    let now = room.now();
    Event {
        id: room.store.id(),
        org_id: org.id.clone(),
        slug: String::new(),
        title: String::new(),
        summary: String::new(),
        description: String::new(),
        category: None,
        tags: Vec::new(),
        format: Format::InPerson,
        visibility: Visibility::Public,
        access_key: None,
        starts_at: None,
        ends_at: None,
        time_zone: "UTC".to_owned(),
        venue: None,
        online_url: None,
        currency: org.currency.clone(),
        hold_seconds: HOLD_SECONDS,
        fee_payer: org.fee_payer,
        reentry: false,
        check_in_opens_at: None,
        check_in_closes_at: None,
        sales_paused: false,
        refund_policy: None,
        max_per_buyer: None,
        image_ids: Vec::new(),
        status: Status::Draft,
        status_reason: None,
        refund_until: None,
        version: 1,
        created_at: now,
        updated_at: now,
        published_at: None,
        next_type_no: 1,
    }
}

/// By what an event is looked for.
enum Which<'a> {
    Id(&'a str),
    Slug(&'a str),
}

impl Which<'_> {
    async fn load(&self, room: &Ticketing) -> Result<Option<Event>, Problem> {
        match self {
            Self::Id(id) => store::events::load(&room.store.db, id).await,
            Self::Slug(slug) => store::events::by_slug(&room.store.db, slug).await,
        }
    }

    fn page(&self) -> String {
        match self {
            Self::Id(id) => format!("event {id}"),
            Self::Slug(slug) => format!("slug {slug}"),
        }
    }
}

async fn show_to(
    room: &Ticketing,
    caller: Option<Caller>,
    info: &RequestInfo,
    headers: &HeaderMap,
    which: Which<'_>,
    key: Option<&str>,
) -> Result<Response, Problem> {
    if caller.is_none() {
        let address = info.client().to_string();
        room.limits.take(limits::PAGES, &address).await?;
    }
    if caller.is_none() && key.is_none() {
        let read = async {
            let event = which.load(room).await?;
            let seen = events::visible(room, None, event, None).await?;
            show::whole(room, &seen.event, false).await
        };
        return pages::page(room, &which.page(), headers, read).await;
    }
    let event = which.load(room).await?;
    let seen = events::visible(room, caller.as_deref(), event, key).await?;
    let shown = show::whole(room, &seen.event, seen.member).await?;
    let mut response = with_tag(&shown, seen.event.version);
    let caching = match seen.member || seen.event.visibility == Visibility::Private {
        true => HeaderValue::from_static("private, no-store"),
        false => HeaderValue::from_static("public, max-age=1"),
    };
    response.headers_mut().insert(CACHE_CONTROL, caching);
    Ok(response)
}

/// One event; guests may ask with `If-None-Match`.
#[utoipa::path(
    get, path = "/api/v1/events/{id}", tag = "Events",
    params(("id" = String, Path), AccessQuery),
    responses((status = 200, body = EventShown), (status = 304, description = "As it was"), (status = 404, description = "`event_not_found`"))
)]
async fn get(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Search(query): Search<AccessQuery>,
) -> Result<Response, Problem> {
    let key = query.access_key.as_deref();
    show_to(&room, caller, &info, &headers, Which::Id(&id), key).await
}

/// One event by its slug.
#[utoipa::path(
    get, path = "/api/v1/events/by-slug/{slug}", tag = "Events",
    params(("slug" = String, Path), AccessQuery),
    responses((status = 200, body = EventShown), (status = 404, description = "`event_not_found`"))
)]
async fn by_slug(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    Search(query): Search<AccessQuery>,
) -> Result<Response, Problem> {
    let key = query.access_key.as_deref();
    show_to(&room, caller, &info, &headers, Which::Slug(&slug), key).await
}

/// Change an event.
#[utoipa::path(
    patch, path = "/api/v1/events/{id}", tag = "Events",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "`\"<version>\"`")),
    request_body = EventBody,
    responses(
        (status = 200, body = EventShown),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`event_state`, `event_incomplete`, `use_reschedule`, `currency_fixed`, `quantity_below_committed`"),
        (status = 412, description = "`version_mismatch`"),
    )
)]
async fn patch(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body { mut body, .. }: Body<EventBody>,
) -> Result<Response, Problem> {
    let found = allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    room.limits
        .take(limits::EVENT_UPDATE, &found.org_id)
        .await?;
    if body.org_id.take().is_some_and(|org| org != found.org_id) {
        return Err(Problem::validation(
            "orgId",
            "An event stays where it was made.",
        ));
    }
    let expected = check::if_match(&headers)?;
    let capacity = read_capacity(std::mem::take(&mut body.capacity))?;
    let organiser = store::orgs::load(&room.store.db, &found.org_id).await?;
    let mut tx = room.store.begin_event(&id).await?;
    let before = events::load_in(&mut tx, &id)
        .await?
        .ok_or_else(event_not_found)?;
    edit::check_version(expected, before.version)?;
    let mut event = before.clone();
    body.apply(&room, &mut event)?;
    check_images(&mut tx, &before, &event).await?;
    match capacity {
        Given::Left => {}
        Given::Null => edit::set_capacity(&room.store, &mut tx, &id, None).await?,
        Given::Value(units) => edit::set_capacity(&room.store, &mut tx, &id, Some(units)).await?,
    }
    let types = events::types_in(&mut tx, &id).await?;
    let pools = events::pools_in(&mut tx, &id).await?;
    edit::check_change(&before, &event, &types, &pools)?;
    event.version += 1;
    event.updated_at = room.now();
    store::events::update(&mut tx, &event).await?;
    let name = organiser.map(|org| org.name).unwrap_or_default();
    store::search::index(&mut tx, &event, &name).await?;
    if event.status != Status::Draft {
        let data = events::told(&event);
        outbox::tell(&room.store, &mut tx, &event.org_id, "event.updated", &data).await?;
        events::after_stock_change(&room.store, &mut tx, &id).await?;
    }
    let event = events::load_in(&mut tx, &id)
        .await?
        .ok_or_else(event_not_found)?;
    tx.commit().await?;
    room.told.notify_one();
    let shown = show::whole(&room, &event, true).await?;
    let entry = Entry::new(
        &*caller.subject,
        "ticketing.event.changed",
        format!("event:{id}"),
    );
    room.note(entry.after(&shown)).await;
    Ok(with_tag(&shown, event.version))
}

async fn check_images(tx: &mut Tx, before: &Event, event: &Event) -> Result<(), Problem> {
    if before.image_ids == event.image_ids {
        return Ok(());
    }
    let (ready, _) = store::images::ready_in(tx, &event.id).await?;
    match event.image_ids.iter().all(|id| ready.contains(id)) {
        true => Ok(()),
        false => Err(Problem::validation(
            "imageIds",
            "Images of this event that are ready.",
        )),
    }
}

/// Delete a draft.
#[utoipa::path(
    delete, path = "/api/v1/events/{id}", tag = "Events",
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`event_state`"),
    )
)]
async fn delete(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let images = store::images::list(&room.store.db, &id).await?;
    let mut tx = room.store.begin_event(&id).await?;
    let event = events::load_in(&mut tx, &id)
        .await?
        .ok_or_else(event_not_found)?;
    if event.status != Status::Draft {
        return Err(publish::wrong_state(&event));
    }
    store::events::delete_draft(&mut tx, &id).await?;
    tx.commit().await?;
    for image in &images {
        crate::events::images::forget(&room, image).await;
    }
    let entry = Entry::new(
        &*caller.subject,
        "ticketing.event.deleted",
        format!("event:{id}"),
    );
    room.note(entry).await;
    Ok(no_content())
}

/// 409 when there are so many already.
pub(super) fn at_most(count: usize, max: usize, code: &'static str) -> Result<(), Problem> {
    match count < max {
        true => Ok(()),
        false => Err(conflict(code, format!("There may be at most {max}."))),
    }
}
