//! Scanners with keys of their own (contract D4).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::audit::Entry;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::{FilterDigest, Page};
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use super::permission;
use crate::Ticketing;
use crate::api::check;
use crate::api::events::allowed;
use crate::api::input::{Body, Search};
use crate::api::once;
use crate::api::orgs::{PageQuery, page_of, paged};
use crate::gate::devices::{self, Device};
use crate::store::idempotency::{Kept, Once};

#[derive(OpenApi)]
#[openapi(paths(register, list, revoke))]
struct Document;

pub(super) fn routes() -> Routes<Ticketing> {
    let all = "/api/v1/events/{id}/devices";
    let one = "/api/v1/events/{id}/devices/{deviceId}";
    let write = permission::DEVICES_WRITE;
    Routes::new()
        .route(RouteSpec::post(all, write), register)
        .route(RouteSpec::get(all, write), list)
        .route(RouteSpec::delete(one, write), revoke)
        .document(Document::openapi())
}

/// A new scanner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = DeviceRequest)]
struct DeviceBody {
    /// For people, 1 to 100 characters.
    name: String,
}

/// A scanner.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Device)]
struct DeviceShown {
    id: String,
    event_id: String,
    name: String,
    /// `active` or `revoked`.
    status: &'static str,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>)]
    revoked_at: Option<Timestamp>,
    /// Goes into `X-Device-Key`; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

fn shown(device: &Device, key: Option<String>) -> DeviceShown {
    DeviceShown {
        id: device.id.clone(),
        event_id: device.event_id.clone(),
        name: device.name.clone(),
        status: match device.revoked_at {
            Some(_) => "revoked",
            None => "active",
        },
        created_at: Timestamp(device.created_at),
        revoked_at: device.revoked_at.map(Timestamp),
        key,
    }
}

/// Register a scanner of an event; its key opens the event's gate and nothing else.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/devices", tag = "Gate",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = DeviceBody,
    responses((status = 201, body = DeviceShown), (status = 404, description = "`event_not_found`"))
)]
async fn register(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    key: IdempotencyKey,
    Body { body, json }: Body<DeviceBody>,
) -> Result<Response, Problem> {
    let event = allowed(&room, &caller, &id, permission::DEVICES_WRITE).await?;
    let name = check::line("name", &body.name, 1, 100)?;
    let scope = format!("devices:{id}:sub:{}", caller.subject);
    let first = key
        .as_deref()
        .map(|key| Once::new(&room.secrets, scope, key, &json));
    let mut tx = room.store.begin_event(&id).await?;
    if let Some(once) = &first
        && let Some(kept) = once.replay(&mut tx).await?
    {
        return with_key(&room, kept).map(replayed);
    }
    let (org, by) = (&event.org_id, &caller.subject);
    let device = devices::register(&room, &mut tx, &id, org, &name, by).await?;
    let kept = Kept {
        status: StatusCode::CREATED.as_u16(),
        location: Some(format!("/api/v1/events/{id}/devices/{}", device.id)),
        person: None,
        body: serde_json::to_vec(&shown(&device, None)).map_err(Problem::internal)?,
    };
    if let Some(once) = &first {
        once.keep(&mut tx, &kept, device.created_at).await?;
    }
    tx.commit().await?;
    let object = format!("device:{}", device.id);
    room.note(Entry::new(
        &*caller.subject,
        "ticketing.device.registered",
        object,
    ))
    .await;
    with_key(&room, kept)
}

/// The answer of a registration: what is kept of it, and the key.
fn with_key(room: &Ticketing, mut kept: Kept) -> Result<Response, Problem> {
    let mut body: Value = serde_json::from_slice(&kept.body).map_err(Problem::internal)?;
    let key = devices::key(room, body["id"].as_str().unwrap_or_default());
    body["key"] = key.into();
    kept.body = body.to_string().into_bytes();
    once::shown(kept)
}

/// The scanners of an event.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/devices", tag = "Gate",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, description = "A page", body = Vec<DeviceShown>))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(query): Search<PageQuery>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::DEVICES_WRITE).await?;
    let digest = FilterDigest::new("devices", [("event", id.as_str())]);
    let (after, limit) = page_of(&room, digest, &query)?;
    let found = devices::list(&room.store.db, &id, &after, limit + 1).await?;
    let page: Page<DeviceShown> = paged(
        &room,
        digest,
        found,
        limit,
        |device| &device.id,
        |device| shown(device, None),
    );
    Ok(Json(page).into_response())
}

/// Revoke a scanner's key.
#[utoipa::path(
    delete, path = "/api/v1/events/{id}/devices/{deviceId}", tag = "Gate",
    params(("id" = String, Path), ("deviceId" = String, Path)),
    responses((status = 204, description = "Revoked"), (status = 404, description = "`device_not_found`"))
)]
async fn revoke(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, device_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::DEVICES_WRITE).await?;
    let mut tx = room.store.begin_event(&id).await?;
    devices::revoke(&mut tx, &id, &device_id, room.now()).await?;
    tx.commit().await?;
    let object = format!("device:{device_id}");
    room.note(Entry::new(
        &*caller.subject,
        "ticketing.device.revoked",
        object,
    ))
    .await;
    Ok(no_content())
}
