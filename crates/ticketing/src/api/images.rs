//! `/events/{id}/images`: images by upload to a signed URL (contract A5).

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::blobs::{SIGNED_PUT, Signing};
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{OpenApi, ToSchema};

use super::events::show::image_url;
use super::events::{allowed, at_most};
use super::input::Body;
use super::once::Creation;
use super::{check, media, permission};
use crate::Ticketing;
use crate::events;
use crate::events::images::{self, SIZE_MAX, TYPES};
use crate::store::images::Image;
use crate::{limits, store};

#[derive(OpenApi)]
#[openapi(paths(list, create, complete, delete))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let all = "/api/v1/events/{id}/images";
    let write = permission::EVENTS_WRITE;
    Routes::new()
        .route(RouteSpec::get(all, write), list)
        .route(RouteSpec::post(all, write), create)
        .route(
            RouteSpec::post("/api/v1/events/{id}/images/{imageId}/complete", write),
            complete,
        )
        .route(
            RouteSpec::delete("/api/v1/events/{id}/images/{imageId}", write),
            delete,
        )
        .document(Document::openapi())
}

/// An image to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = EventImageRequest)]
struct ImageBody {
    /// `image/jpeg`, `image/png`, `image/webp`, `image/gif`.
    content_type: String,
    /// At most 10 MiB.
    size_bytes: i64,
    /// At most 300 characters, for people who do not see it.
    alt_text: String,
}

/// Where the bytes go.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventImageUpload)]
struct Upload {
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
    #[schema(value_type = String)]
    expires_at: Timestamp,
}

/// An image.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventImageState)]
struct ImageState {
    id: String,
    /// `pending`, `ready`, `rejected`.
    status: String,
    /// Of a rejected one: `image_type`, `image_size`, `image_missing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    content_type: String,
    size_bytes: i64,
    alt_text: String,
    /// Of a ready one.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Of a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<Upload>,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

fn show(room: &Ticketing, image: &Image, upload: Option<Upload>) -> ImageState {
    ImageState {
        id: image.id.clone(),
        status: image.status.clone(),
        reason: image.reason.clone(),
        content_type: image.content_type.clone(),
        size_bytes: image.size_bytes,
        alt_text: image.alt_text.clone(),
        url: (image.status == "ready").then(|| image_url(room, &image.id)),
        upload,
        created_at: Timestamp(image.created_at),
    }
}

fn not_found() -> Problem {
    Problem::not_found("image_not_found", "There is no such image.")
}

/// Images of an event.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/images", tag = "Events",
    params(("id" = String, Path)),
    responses((status = 200, body = Vec<ImageState>), (status = 404, description = "`event_not_found`"))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let found = store::images::list(&room.store.db, &id).await?;
    let page = Page {
        items: found
            .iter()
            .map(|image| show(&room, image, None))
            .collect::<Vec<_>>(),
        next_cursor: None,
    };
    Ok(Json(page).into_response())
}

/// Begin an image: PUT its bytes to `upload.url` with `upload.headers`, then call `complete`.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/images", tag = "Events",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = ImageBody,
    responses(
        (status = 201, body = ImageState),
        (status = 400, description = "`image_type`, `image_size`"),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`too_many_images`, `event_state`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    key: IdempotencyKey,
    Body { body, json }: Body<ImageBody>,
) -> Result<Response, Problem> {
    let event = allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    room.limits.take(limits::IMAGE, &event.org_id).await?;
    if !TYPES.contains(&&*body.content_type) {
        let message = "JPEG, PNG, WebP or GIF.";
        return Err(super::problem::field("contentType", "image_type", message));
    }
    if !(1..=SIZE_MAX).contains(&body.size_bytes) {
        let message = "1 byte to 10 MiB.";
        return Err(super::problem::field("sizeBytes", "image_size", message));
    }
    let now = room.now();
    let image_id = room.store.id();
    let image = Image {
        status: "pending".to_owned(),
        reason: None,
        content_type: body.content_type,
        size_bytes: body.size_bytes,
        alt_text: check::line("altText", &body.alt_text, 0, 300)?,
        blob_key: images::upload_key(&id, &image_id),
        created_at: now,
        id: image_id,
        event_id: id.clone(),
    };
    let upload = upload(&room, &image).await?;
    let creation = Creation::new(&room, &caller, &format!("images:{id}"), &key, &json);
    let mut tx = room.store.begin_event(&id).await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known);
    }
    events::not_over_in(&mut tx, &id).await?;
    let (_, count) = store::images::ready_in(&mut tx, &id).await?;
    at_most(count, images::IMAGES_MAX, "too_many_images")?;
    store::images::insert(&mut tx, &image).await?;
    let location = format!("/api/v1/events/{id}/images/{}", image.id);
    let shown = show(&room, &image, Some(upload));
    let answer = creation
        .keep(&mut tx, StatusCode::CREATED, Some(location), &shown, now)
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// A signed URL of the bucket, or of our own media route where blobs lie in a folder.
async fn upload(room: &Ticketing, image: &Image) -> Result<Upload, Problem> {
    let signing = Signing::Put {
        lives: SIGNED_PUT,
        content_type: image.content_type.clone(),
        sha256: None,
    };
    let key = images::key(&image.blob_key)?;
    let signed = room
        .blobs
        .sign(&key, &signing)
        .await
        .map_err(images::away)?;
    let ours = format!("{}/api/v1/blobs", room.settings.public_url);
    if !signed.url.starts_with(&ours) && !signed.url.starts_with("/api/v1/blobs") {
        return Ok(Upload {
            method: signed.method,
            url: signed.url,
            headers: signed.headers.into_iter().collect(),
            expires_at: signed.expires_at,
        });
    }
    let lives = i64::try_from(Duration::as_micros(&SIGNED_PUT)).unwrap_or(0);
    let expires = (room.now() + lives) / 1_000_000;
    Ok(Upload {
        method: "PUT",
        url: media::upload_url(room, &image.id, expires),
        headers: BTreeMap::from([("content-type".to_owned(), image.content_type.clone())]),
        expires_at: Timestamp(expires * 1_000_000),
    })
}

async fn of_event(room: &Ticketing, event_id: &str, image_id: &str) -> Result<Image, Problem> {
    let found = store::images::load(&room.store.db, image_id).await?;
    found
        .filter(|image| image.event_id == event_id)
        .ok_or_else(not_found)
}

/// Judge the uploaded bytes: `ready`, or `rejected` with a reason.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/images/{imageId}/complete", tag = "Events",
    params(("id" = String, Path), ("imageId" = String, Path)),
    responses(
        (status = 200, body = ImageState),
        (status = 404, description = "`event_not_found`, `image_not_found`"),
    )
)]
async fn complete(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, image_id)): Path<(String, String)>,
) -> Result<Json<ImageState>, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let image = of_event(&room, &id, &image_id).await?;
    let image = images::complete(&room, image).await?;
    Ok(Json(show(&room, &image, None)))
}

/// Delete an image.
#[utoipa::path(
    delete, path = "/api/v1/events/{id}/images/{imageId}", tag = "Events",
    params(("id" = String, Path), ("imageId" = String, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "`event_not_found`, `image_not_found`"),
    )
)]
async fn delete(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, image_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let image = of_event(&room, &id, &image_id).await?;
    let mut tx = room.store.begin_event(&id).await?;
    store::images::delete(&mut tx, &image_id).await?;
    if let Some(mut event) = events::load_in(&mut tx, &id).await?
        && event.image_ids.contains(&image_id)
    {
        event.image_ids.retain(|known| *known != image_id);
        event.version += 1;
        event.updated_at = room.now();
        store::events::update(&mut tx, &event).await?;
    }
    tx.commit().await?;
    images::forget(&room, &image).await;
    Ok(no_content())
}
