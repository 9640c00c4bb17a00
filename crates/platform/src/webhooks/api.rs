//! The routes of webhooks (ledger-wallets contract, B8; contracts, "webhooks").

mod acts;
mod bodies;

use axum::extract::State as Shared;
use axum::response::Response;
use utoipa::OpenApi;

pub use self::acts::Desk;
pub use self::bodies::{
    CreateRequest, CreatedBody, DeliveryBody, DeliveryDetail, DeliveryPage, EndpointBody,
    EndpointPage, ListQuery, PageQuery, ReplayedBody, RotatedBody,
};
use super::service::Webhooks;
use crate::http::auth::{Caller, Permission};
use crate::http::idempotency::IdempotencyKey;
use crate::http::json::{Json, Path, Query};
use crate::http::problem::Problem;
use crate::http::router::{RouteSpec, Routes};

/// Everything about webhooks (contract, section C).
pub const MANAGE: Permission = Permission::new("webhooks:manage");

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
    Desk::all(&hooks)
        .create(&caller.subject, &key, request)
        .await
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
    Desk::all(&hooks).list(query).await
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
async fn get(Shared(hooks): Shared<Webhooks>, Path(id): Path<String>) -> Result<Response, Problem> {
    Desk::all(&hooks).get(&id).await
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
) -> Result<Response, Problem> {
    Desk::all(&hooks).delete(&id).await
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
) -> Result<Response, Problem> {
    Desk::all(&hooks).rotate(&id).await
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
    Desk::all(&hooks).replay(&id).await
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
    Desk::all(&hooks).deliveries(&id, query).await
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
) -> Result<Response, Problem> {
    Desk::all(&hooks).delivery(&id, &delivery_id).await
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
    Desk::all(&hooks).redeliver(&id, &delivery_id).await
}
