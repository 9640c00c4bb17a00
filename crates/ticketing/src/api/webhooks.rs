//! `/orgs/{id}/webhooks`: what organisers are told, at receivers of their own (contract F). One
//! engine for all rooms does the work; an organisation sees the receivers of its own key.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Path, parse};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::webhooks::api::{
    CreateRequest, CreatedBody, DeliveryBody, DeliveryDetail, DeliveryPage, Desk, EndpointBody,
    EndpointPage, ListQuery, PageQuery, ReplayedBody, RotatedBody,
};
use serde::Deserialize;
use serde_json::json;
use utoipa::{OpenApi, ToSchema};

use super::input::{Body, Search};
use super::permission::HOOKS_WRITE;
use super::problem::org_not_found;
use super::scope::in_org;
use crate::{EVENT_NAMES, Ticketing, limits, outbox};

#[derive(OpenApi)]
#[openapi(paths(
    create, list, get, delete, rotate, replay, test, deliveries, delivery, redeliver
))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let all = "/api/v1/orgs/{id}/webhooks";
    let one = "/api/v1/orgs/{id}/webhooks/{hookId}";
    Routes::new()
        .route(RouteSpec::post(all, HOOKS_WRITE), create)
        .route(RouteSpec::get(all, HOOKS_WRITE), list)
        .route(RouteSpec::get(one, HOOKS_WRITE), get)
        .route(RouteSpec::delete(one, HOOKS_WRITE), delete)
        .route(
            RouteSpec::post("/api/v1/orgs/{id}/webhooks/{hookId}/rotate", HOOKS_WRITE),
            rotate,
        )
        .route(
            RouteSpec::post("/api/v1/orgs/{id}/webhooks/{hookId}/replay", HOOKS_WRITE),
            replay,
        )
        .route(
            RouteSpec::post("/api/v1/orgs/{id}/webhooks/{hookId}/test", HOOKS_WRITE),
            test,
        )
        .route(
            RouteSpec::get(
                "/api/v1/orgs/{id}/webhooks/{hookId}/deliveries",
                HOOKS_WRITE,
            ),
            deliveries,
        )
        .route(
            RouteSpec::get(
                "/api/v1/orgs/{id}/webhooks/{hookId}/deliveries/{deliveryId}",
                HOOKS_WRITE,
            ),
            delivery,
        )
        .route(
            RouteSpec::post(
                "/api/v1/orgs/{id}/webhooks/{hookId}/deliveries/{deliveryId}/redeliver",
                HOOKS_WRITE,
            ),
            redeliver,
        )
        .document(Document::openapi())
}

/// The receivers of an organisation in which the caller may manage them.
async fn desk<'a>(room: &'a Ticketing, caller: &Caller, org: &str) -> Result<Desk<'a>, Problem> {
    in_org(room, caller, org, None, HOOKS_WRITE, org_not_found).await?;
    let hooks = room.webhooks.as_ref().ok_or_else(|| {
        Problem::unavailable("store_unavailable", "This process has no webhooks.")
    })?;
    Ok(Desk {
        hooks,
        key: Some(org.into()),
        path: format!("/api/v1/orgs/{org}/webhooks"),
        events: Some(&EVENT_NAMES),
    })
}

/// A receiver to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrganisationWebhookRequest)]
struct HookBody {
    /// Where events are POSTed; `https` and public.
    url: String,
    /// Names of the events wanted; left out: all.
    events: Option<Vec<String>>,
    /// At most 200 characters; for the caller's own use, not kept.
    description: Option<String>,
}

/// Register a receiver. The secret is shown only here.
#[utoipa::path(
    post, path = "/api/v1/orgs/{id}/webhooks", tag = "Organisations",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = HookBody,
    responses(
        (status = 201, body = CreatedBody),
        (status = 400, description = "`url_not_allowed`"),
        (status = 404, description = "`org_not_found`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    key: IdempotencyKey,
    Body { body, .. }: Body<HookBody>,
) -> Result<Response, Problem> {
    let desk = desk(&room, &caller, &id).await?;
    if let Some(text) = &body.description {
        super::check::line("description", text, 0, 200)?;
    }
    let request = CreateRequest {
        url: body.url.into(),
        events: body
            .events
            .map(|names| names.into_iter().map(Box::from).collect()),
        wallet_id: None,
    };
    desk.create(&caller.subject, &key, request).await
}

/// Receivers of an organisation.
#[utoipa::path(
    get, path = "/api/v1/orgs/{id}/webhooks", tag = "Organisations",
    params(("id" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = EndpointPage), (status = 404, description = "`org_not_found`"))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(query): Search<PageQuery>,
) -> Result<Response, Problem> {
    desk(&room, &caller, &id).await?.list(query).await
}

/// One receiver, without its secret.
#[utoipa::path(
    get, path = "/api/v1/orgs/{id}/webhooks/{hookId}", tag = "Organisations",
    params(("id" = String, Path), ("hookId" = String, Path)),
    responses((status = 200, body = EndpointBody), (status = 404, description = "`org_not_found`, `webhook_not_found`"))
)]
async fn get(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, hook)): Path<(String, String)>,
) -> Result<Response, Problem> {
    desk(&room, &caller, &id).await?.get(&hook).await
}

/// Remove a receiver with its deliveries and their log.
#[utoipa::path(
    delete, path = "/api/v1/orgs/{id}/webhooks/{hookId}", tag = "Organisations",
    params(("id" = String, Path), ("hookId" = String, Path)),
    responses((status = 204, description = "Removed"), (status = 404, description = "`org_not_found`, `webhook_not_found`"))
)]
async fn delete(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, hook)): Path<(String, String)>,
) -> Result<Response, Problem> {
    desk(&room, &caller, &id).await?.delete(&hook).await
}

/// Make a new secret; the former one signs too for 24 hours.
#[utoipa::path(
    post, path = "/api/v1/orgs/{id}/webhooks/{hookId}/rotate", tag = "Organisations",
    params(("id" = String, Path), ("hookId" = String, Path)),
    responses((status = 200, body = RotatedBody), (status = 404, description = "`org_not_found`, `webhook_not_found`"))
)]
async fn rotate(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, hook)): Path<(String, String)>,
) -> Result<Response, Problem> {
    desk(&room, &caller, &id).await?.rotate(&hook).await
}

/// What to send again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrganisationWebhookReplay)]
struct ReplayBody {
    /// Everything told from this time on; with `to`.
    from: Option<String>,
    /// Until before this time; with `from`.
    to: Option<String>,
}

/// Queue again, and enable the receiver if it was disabled: everything parked, or with a body
/// everything of a time, what was accepted too (at most 10,000).
#[utoipa::path(
    post, path = "/api/v1/orgs/{id}/webhooks/{hookId}/replay", tag = "Organisations",
    params(("id" = String, Path), ("hookId" = String, Path)),
    request_body = Option<ReplayBody>,
    responses((status = 202, body = ReplayedBody), (status = 404, description = "`org_not_found`, `webhook_not_found`"))
)]
async fn replay(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, hook)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Problem> {
    let desk = desk(&room, &caller, &id).await?;
    room.limits.take(limits::WEBHOOK, &id).await?;
    let asked = match body.is_empty() {
        true => ReplayBody::default(),
        false => parse(&body)?,
    };
    let (from, to) = match (asked.from, asked.to) {
        (None, None) => return desk.replay(&hook).await,
        (Some(from), Some(to)) => (from, to),
        (given, _) => {
            let missing = if given.is_some() { "to" } else { "from" };
            return Err(Problem::validation(missing, "`from` and `to` go together."));
        }
    };
    let from = super::check::instant("from", &from)?;
    let to = super::check::instant("to", &to)?;
    if from >= to {
        return Err(Problem::validation("to", "Must be after `from`."));
    }
    desk.replay_between(&hook, from, to).await
}

/// Send a `ping` to the receiver.
#[utoipa::path(
    post, path = "/api/v1/orgs/{id}/webhooks/{hookId}/test", tag = "Organisations",
    params(("id" = String, Path), ("hookId" = String, Path)),
    responses(
        (status = 202, description = "Queued"),
        (status = 404, description = "`org_not_found`, `webhook_not_found`"),
        (status = 409, description = "`webhook_disabled`"),
    )
)]
async fn test(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, hook)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let desk = desk(&room, &caller, &id).await?;
    room.limits.take(limits::WEBHOOK, &id).await?;
    let ping = outbox::message(
        &room.store.id(),
        &id,
        "ping",
        room.now(),
        json!({}),
        u64::MAX,
    );
    desk.test(&hook, ping).await
}

/// Deliveries to a receiver, newest first.
#[utoipa::path(
    get, path = "/api/v1/orgs/{id}/webhooks/{hookId}/deliveries", tag = "Organisations",
    params(
        ("id" = String, Path), ("hookId" = String, Path),
        ("state" = Option<String>, Query, description = "ready, waiting, accepted or parked"),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = DeliveryPage), (status = 404, description = "`org_not_found`, `webhook_not_found`"))
)]
async fn deliveries(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, hook)): Path<(String, String)>,
    Search(query): Search<ListQuery>,
) -> Result<Response, Problem> {
    let desk = desk(&room, &caller, &id).await?;
    desk.deliveries(&hook, query).await
}

/// A delivery with what is sent and the log of its tries.
#[utoipa::path(
    get, path = "/api/v1/orgs/{id}/webhooks/{hookId}/deliveries/{deliveryId}", tag = "Organisations",
    params(("id" = String, Path), ("hookId" = String, Path), ("deliveryId" = String, Path)),
    responses((status = 200, body = DeliveryDetail), (status = 404, description = "`org_not_found`, `webhook_not_found`, `delivery_not_found`"))
)]
async fn delivery(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, hook, delivery)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let desk = desk(&room, &caller, &id).await?;
    desk.delivery(&hook, &delivery).await
}

/// Queue one finished delivery again.
#[utoipa::path(
    post, path = "/api/v1/orgs/{id}/webhooks/{hookId}/deliveries/{deliveryId}/redeliver", tag = "Organisations",
    params(("id" = String, Path), ("hookId" = String, Path), ("deliveryId" = String, Path)),
    responses(
        (status = 202, body = DeliveryBody),
        (status = 404, description = "`org_not_found`, `webhook_not_found`, `delivery_not_found`"),
        (status = 409, description = "`webhook_disabled`"),
    )
)]
async fn redeliver(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, hook, delivery)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let desk = desk(&room, &caller, &id).await?;
    room.limits.take(limits::WEBHOOK, &id).await?;
    desk.redeliver(&hook, &delivery).await
}
