//! The routes of webhooks (ledger-wallets contract, B8; contracts, "webhooks").

mod bodies;

use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use florin_base::ids::parse_canonical_uuid;
use http::StatusCode;
use http::header::LOCATION;
use utoipa::OpenApi;

use self::bodies::{
    CreateRequest, CreatedBody, DeliveryBody, DeliveryDetail, DeliveryPage, EndpointBody,
    EndpointPage, ListQuery, PageQuery, ReplayedBody, RotatedBody,
};
use super::{
    model::{Delivery, Endpoint, State},
    service::{Registered, Webhooks, sql_problem},
    sign::SigningSecret,
    store,
};
use crate::http::auth::{Caller, Permission};
use crate::http::client::{Targets, check_url};
use crate::http::idempotency::{IdempotencyKey, replayed};
use crate::http::json::{Json, Path, Query};
use crate::http::page::{FilterDigest, Page, PageLimits, Position};
use crate::http::problem::{Problem, Status};
use crate::http::router::{RouteSpec, Routes};
use crate::sql::SqlError;

/// Everything about webhooks (contract, section C).
pub const MANAGE: Permission = Permission::new("webhooks:manage");

/// Longest URL, in bytes.
const URL_MAX: usize = 2_048;
/// How long the former secret signs beside the new one, in microseconds (24 h).
const ROTATION_MICROS: i64 = 86_400 * 1_000_000;

#[derive(OpenApi)]
#[openapi(
    tags((name = "Webhooks", description = "Signed notifications of events (Standard Webhooks)")),
    paths(create, list, get, delete, rotate, replay, deliveries, delivery, redeliver)
)]
struct Document;

/// The routes of webhooks, each with its permission.
pub fn routes() -> Routes<Webhooks> {
    Routes::new()
        .document(Document::openapi())
        .route(RouteSpec::post("/api/v1/webhooks", MANAGE), create)
        .route(RouteSpec::get("/api/v1/webhooks", MANAGE), list)
        .route(RouteSpec::get("/api/v1/webhooks/{id}", MANAGE), get)
        .route(RouteSpec::delete("/api/v1/webhooks/{id}", MANAGE), delete)
        .route(
            RouteSpec::post("/api/v1/webhooks/{id}/rotate", MANAGE),
            rotate,
        )
        .route(
            RouteSpec::post("/api/v1/webhooks/{id}/replay", MANAGE),
            replay,
        )
        .route(
            RouteSpec::get("/api/v1/webhooks/{id}/deliveries", MANAGE),
            deliveries,
        )
        .route(
            RouteSpec::get("/api/v1/webhooks/{id}/deliveries/{deliveryId}", MANAGE),
            delivery,
        )
        .route(
            RouteSpec::post(
                "/api/v1/webhooks/{id}/deliveries/{deliveryId}/redeliver",
                MANAGE,
            ),
            redeliver,
        )
}

fn not_found() -> Problem {
    Problem::not_found("webhook_not_found", "There is no webhook with this id.")
}

fn delivery_not_found() -> Problem {
    Problem::not_found(
        "delivery_not_found",
        "This webhook has no delivery with this id.",
    )
}

async fn find(hooks: &Webhooks, id: &str) -> Result<Endpoint, Problem> {
    let all = hooks.current().await.map_err(sql_problem)?;
    let found = all.iter().find(|endpoint| *endpoint.id == *id);
    found.cloned().ok_or_else(not_found)
}

/// The body as an endpoint, with a fresh secret.
fn read(hooks: &Webhooks, request: CreateRequest) -> Result<Endpoint, Problem> {
    let settings = &hooks.inner.settings;
    if request.url.len() > URL_MAX {
        let message = format!("The URL may have at most {URL_MAX} bytes.");
        return Err(Problem::validation("url", message));
    }
    let url = check_url(&request.url, settings.targets)
        .map_err(|error| Problem::validation("url", format!("{error}.")))?;
    if settings.targets == Targets::PublicOnly && url.scheme() != "https" {
        return Err(Problem::validation(
            "url",
            "The URL must start with https://.",
        ));
    }
    let events = request.events.filter(|events| !events.is_empty());
    for (index, name) in events.iter().flatten().enumerate() {
        if !settings.known_events.contains(&&**name) {
            let message = format!("Known events are {}.", settings.known_events.join(", "));
            return Err(Problem::validation(format!("events[{index}]"), message));
        }
    }
    if let Some(wallet) = &request.wallet_id
        && parse_canonical_uuid(wallet).is_none()
    {
        return Err(Problem::invalid_id(
            "walletId",
            "Must be a UUID in lower case.",
        ));
    }
    Ok(Endpoint {
        id: hooks.new_id(),
        url: request.url,
        events,
        key: request.wallet_id,
        secret: SigningSecret::generate(),
        previous: None,
        disabled: None,
        since_seq: 0,
        created_at: hooks.now(),
    })
}

/// The first member in which two registrations differ.
fn difference(a: &Endpoint, b: &Endpoint) -> Option<&'static str> {
    [
        ("url", a.url == b.url),
        ("events", a.events == b.events),
        ("walletId", a.key == b.key),
    ]
    .into_iter()
    .find(|(_, equal)| !equal)
    .map(|(member, _)| member)
}

/// Registers a receiver. It gets what is recorded from now on; the secret is shown only here.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "Webhooks",
    request_body = CreateRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the call safe to repeat")),
    responses(
        (status = 201, description = "Registered", body = CreatedBody),
        (status = 409, description = "`idempotency_conflict` or `too_many_webhooks`"),
    )
)]
async fn create(
    Shared(hooks): Shared<Webhooks>,
    caller: Caller,
    key: IdempotencyKey,
    Json(request): Json<CreateRequest>,
) -> Result<Response, Problem> {
    let wanted = read(&hooks, request)?;
    let identity = key.as_deref().map(|key| (&*caller.subject, key));
    match hooks.register(wanted.clone(), identity).await? {
        Registered::New(endpoint) => Ok(created(&endpoint)),
        Registered::Known(known) => match difference(&known, &wanted) {
            None => Ok(replayed(created(&known))),
            Some(member) => Err(Problem::field(
                Status::Conflict,
                "idempotency_conflict",
                member,
                "This key was used with another value here.",
            )
            .with("field", member)),
        },
    }
}

fn created(endpoint: &Endpoint) -> Response {
    let body = CreatedBody::from(endpoint);
    let location = format!("/api/v1/webhooks/{}", endpoint.id);
    (StatusCode::CREATED, [(LOCATION, location)], Json(body)).into_response()
}

/// Lists receivers in order of creation.
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "Webhooks",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 500, default 50"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = EndpointPage))
)]
async fn list(
    Shared(hooks): Shared<Webhooks>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let limit = PageLimits::default().resolve(query.limit)?;
    let digest = FilterDigest::new("webhooks", []);
    let cursors = &hooks.inner.cursors;
    let after = cursors
        .open_optional(digest, query.cursor.as_deref())?
        .map(|position| position.after);
    let all = hooks.current().await.map_err(sql_problem)?;
    // The cursor holds creation time and id of the last one shown.
    let place = |e: &Endpoint| [&e.created_at.to_be_bytes()[..], e.id.as_bytes()].concat();
    let mut rest = all
        .iter()
        .filter(|e| after.as_ref().is_none_or(|after| place(e) > *after));
    let shown: Vec<&Endpoint> = rest.by_ref().take(limit).collect();
    let next_cursor = match (rest.next(), shown.last()) {
        (Some(_), Some(last)) => {
            let position = Position {
                snapshot: 0,
                after: place(last),
            };
            Some(cursors.seal(digest, &position))
        }
        _ => None,
    };
    let items: Vec<EndpointBody> = shown.into_iter().map(EndpointBody::from).collect();
    Ok(Json(Page { items, next_cursor }).into_response())
}

/// Shows a receiver, without its secret.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}", tag = "Webhooks",
    params(("id" = String, Path, description = "Id of the webhook")),
    responses(
        (status = 200, description = "The webhook", body = EndpointBody),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
async fn get(
    Shared(hooks): Shared<Webhooks>,
    Path(id): Path<String>,
) -> Result<Json<EndpointBody>, Problem> {
    Ok(Json(EndpointBody::from(&find(&hooks, &id).await?)))
}

/// Removes a receiver with its deliveries and their log.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{id}", tag = "Webhooks",
    params(("id" = String, Path, description = "Id of the webhook")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
async fn delete(
    Shared(hooks): Shared<Webhooks>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    find(&hooks, &id).await?;
    let db = &hooks.inner.db;
    store::delete_endpoint(db, &id).await.map_err(sql_problem)?;
    hooks.reload().await.map_err(sql_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new secret. For 24 hours every message carries a signature of the former one too.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/rotate", tag = "Webhooks",
    params(("id" = String, Path, description = "Id of the webhook")),
    responses(
        (status = 200, description = "The new secret, shown only here", body = RotatedBody),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
async fn rotate(
    Shared(hooks): Shared<Webhooks>,
    Path(id): Path<String>,
) -> Result<Json<RotatedBody>, Problem> {
    find(&hooks, &id).await?;
    let new = SigningSecret::generate();
    let until = hooks.now() + ROTATION_MICROS;
    store::rotate(&hooks.inner.db, &id, &new, until)
        .await
        .map_err(sql_problem)?;
    hooks.reload().await.map_err(sql_problem)?;
    Ok(Json(RotatedBody::new(&id, &new, until)))
}

/// Queues everything parked again, in order, and enables the receiver if it was disabled.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/replay", tag = "Webhooks",
    params(("id" = String, Path, description = "Id of the webhook")),
    responses(
        (status = 202, description = "Queued", body = ReplayedBody),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
async fn replay(
    Shared(hooks): Shared<Webhooks>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    find(&hooks, &id).await?;
    let queued = store::replay(&hooks.inner.db, &id, hooks.now())
        .await
        .map_err(sql_problem)?;
    hooks.reload().await.map_err(sql_problem)?;
    Ok((StatusCode::ACCEPTED, Json(ReplayedBody { queued })).into_response())
}

/// Lists deliveries, newest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}/deliveries", tag = "Webhooks",
    params(
        ("id" = String, Path, description = "Id of the webhook"),
        ("state" = Option<String>, Query, description = "ready, waiting, accepted or parked"),
        ("limit" = Option<u32>, Query, description = "1 to 500, default 50"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = DeliveryPage),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
async fn deliveries(
    Shared(hooks): Shared<Webhooks>,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    find(&hooks, &id).await?;
    let limit = PageLimits::default().resolve(query.limit)?;
    let state = match query.state.as_deref().map(State::from_word) {
        Some(None) => {
            let message = "Must be ready, waiting, accepted or parked.";
            return Err(Problem::validation("state", message));
        }
        given => given.flatten(),
    };
    let digest = FilterDigest::new(
        &format!("webhooks/{id}/deliveries"),
        state.map(|state| ("state", state.word())),
    );
    let cursors = &hooks.inner.cursors;
    let before = match cursors.open_optional(digest, query.cursor.as_deref())? {
        Some(position) => position
            .after
            .try_into()
            .map_or(i64::MAX, i64::from_le_bytes),
        None => i64::MAX,
    };
    let most = i64::try_from(limit).unwrap_or(i64::MAX) + 1;
    let mut found = store::list(&hooks.inner.db, &id, state, before, most)
        .await
        .map_err(sql_problem)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|last| {
        let after = last.place.to_le_bytes().to_vec();
        cursors.seal(digest, &Position { snapshot: 0, after })
    });
    let items: Vec<DeliveryBody> = found.iter().map(DeliveryBody::from).collect();
    Ok(Json(Page { items, next_cursor }).into_response())
}

/// Shows a delivery with what is sent and the log of its tries.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}/deliveries/{deliveryId}", tag = "Webhooks",
    params(
        ("id" = String, Path, description = "Id of the webhook"),
        ("deliveryId" = String, Path, description = "Id of the delivery"),
    ),
    responses(
        (status = 200, description = "The delivery", body = DeliveryDetail),
        (status = 404, description = "`webhook_not_found` or `delivery_not_found`"),
    )
)]
async fn delivery(
    Shared(hooks): Shared<Webhooks>,
    Path((id, delivery_id)): Path<(String, String)>,
) -> Result<Json<DeliveryDetail>, Problem> {
    find(&hooks, &id).await?;
    let found = load(&hooks, &id, &delivery_id).await?;
    let tries = store::tries(&hooks.inner.db, &delivery_id)
        .await
        .map_err(sql_problem)?;
    Ok(Json(DeliveryDetail::new(&found, &tries)))
}

async fn load(hooks: &Webhooks, id: &str, delivery: &str) -> Result<Delivery, Problem> {
    store::find(&hooks.inner.db, id, delivery)
        .await
        .map_err(sql_problem)?
        .ok_or_else(delivery_not_found)
}

/// Queues one finished delivery again, behind what is on its way for the same wallet.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/deliveries/{deliveryId}/redeliver", tag = "Webhooks",
    params(
        ("id" = String, Path, description = "Id of the webhook"),
        ("deliveryId" = String, Path, description = "Id of the delivery"),
    ),
    responses(
        (status = 202, description = "Queued, or still on its way", body = DeliveryBody),
        (status = 404, description = "`webhook_not_found` or `delivery_not_found`"),
        (status = 409, description = "`webhook_disabled`: replay enables it"),
    )
)]
async fn redeliver(
    Shared(hooks): Shared<Webhooks>,
    Path((id, delivery_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    if find(&hooks, &id).await?.disabled.is_some() {
        let detail = "Nothing is sent to a disabled webhook; replay enables it.";
        return Err(Problem::conflict("webhook_disabled", detail));
    }
    load(&hooks, &id, &delivery_id).await?;
    let queue = async {
        let mut tx = hooks.inner.db.begin().await?;
        store::requeue(&mut tx, &id, &delivery_id, hooks.now()).await?;
        tx.commit().await
    };
    queue.await.map_err(|error: SqlError| sql_problem(error))?;
    hooks.inner.wake.notify_one();
    let found = load(&hooks, &id, &delivery_id).await?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryBody::from(&found))).into_response())
}
