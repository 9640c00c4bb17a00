//! `/media/{id}`: images as they are served, and where they are uploaded to when blobs lie in a
//! folder (contract A5).

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use florin_platform::blobs::{BlobError, Put};
use florin_platform::http::auth::Access;
use florin_platform::http::json::{Path, Query, RawBody};
use florin_platform::http::problem::{Problem, Status};
use florin_platform::http::router::{RouteSpec, Routes};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use crate::Ticketing;
use crate::events::images::{self, SIZE_MAX};
use crate::store;

const PATH: &str = "/api/v1/media/{id}";

#[derive(OpenApi)]
#[openapi(paths(get, put))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let most = usize::try_from(SIZE_MAX).unwrap_or(usize::MAX);
    Routes::new()
        .route(RouteSpec::get(PATH, Access::Public), get)
        .route(RouteSpec::put(PATH, Access::Public).body_limit(most), put)
        .document(Document::openapi())
}

fn not_found() -> Problem {
    Problem::not_found("image_not_found", "There is no such image.")
}

fn digest(room: &Ticketing, id: &str, expires: i64) -> String {
    let covered = format!("PUT\n{id}\n{expires}");
    hex::encode(room.secrets.digest("media", covered.as_bytes()))
}

/// A URL to which the bytes of an image may be PUT until a time in seconds since 1970.
pub fn upload_url(room: &Ticketing, id: &str, expires: i64) -> String {
    let base = &room.settings.public_url;
    let signature = digest(room, id, expires);
    format!("{base}/api/v1/media/{id}?expires={expires}&signature={signature}")
}

/// An image of an event.
#[utoipa::path(
    get, path = "/api/v1/media/{id}", tag = "Events",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The bytes", content_type = "image/*", body = String),
        (status = 404, description = "`image_not_found`"),
    )
)]
async fn get(State(room): State<Ticketing>, Path(id): Path<String>) -> Result<Response, Problem> {
    let image = store::images::load(&room.store.db, &id).await?;
    let image = image
        .filter(|image| image.status == "ready")
        .ok_or_else(not_found)?;
    let key = images::key(&image.blob_key)?;
    let reading = room.blobs.read(&key).await.map_err(|error| match error {
        BlobError::NotFound(_) => not_found(),
        other => images::away(other),
    })?;
    let mut response = Response::new(Body::from_stream(reading.pieces));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(&image.content_type).map_err(Problem::internal)?;
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_LENGTH, reading.meta.size.into());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    let caching = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(CACHE_CONTROL, caching);
    Ok(response)
}

/// What the signed URL says.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Signed {
    /// Seconds since 1970.
    expires: i64,
    /// Of whoever made the URL.
    signature: String,
}

/// Upload the bytes of an image; the URL comes from `POST …/images`.
#[utoipa::path(
    put, path = "/api/v1/media/{id}", tag = "Events",
    params(("id" = String, Path), Signed),
    request_body(content = String, content_type = "image/*", description = "The bytes"),
    responses(
        (status = 200, description = "Kept"),
        (status = 403, description = "`forbidden`: the URL was not signed for this, or it has ended"),
        (status = 413, description = "`body_too_large`"),
    )
)]
async fn put(
    State(room): State<Ticketing>,
    Path(id): Path<String>,
    Query(signed): Query<Signed>,
    headers: HeaderMap,
    RawBody(bytes): RawBody,
) -> Result<StatusCode, Problem> {
    let refused = || {
        let detail = "The URL was not signed here for this, or it has ended: ask for a new one.";
        Problem::new(Status::Forbidden, "forbidden", detail)
    };
    let expected = digest(&room, &id, signed.expires);
    let equal: bool =
        subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), signed.signature.as_bytes()).into();
    if !equal || signed.expires <= room.now() / 1_000_000 {
        return Err(refused());
    }
    let image = store::images::load(&room.store.db, &id).await?;
    let image = image
        .filter(|image| image.status == "pending")
        .ok_or_else(refused)?;
    let said = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if said != Some(&*image.content_type) {
        let message = "The type must be the one that was declared.";
        return Err(super::problem::field("Content-Type", "image_type", message));
    }
    let put = Put {
        content_type: Some(image.content_type.clone()),
        ..Put::default()
    };
    let key = images::key(&image.blob_key)?;
    room.blobs
        .put(&key, bytes, &put)
        .await
        .map_err(images::away)?;
    Ok(StatusCode::OK)
}
