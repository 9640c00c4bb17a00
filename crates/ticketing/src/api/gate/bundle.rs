//! Keys and scan bundles (contract D2, D4).

use std::io::Write as _;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::{keeper, permission};
use crate::Ticketing;
use crate::api::input::Search;
use crate::api::problem::event_not_found;
use crate::gate::{bundle, keys};
use crate::store;

const SIGNATURE: HeaderName = HeaderName::from_static("florin-signature");

#[derive(OpenApi)]
#[openapi(paths(list_keys, get))]
struct Document;

pub(super) fn routes() -> Routes<Ticketing> {
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/events/{id}/keys", Access::Public),
            list_keys,
        )
        .route(
            RouteSpec::get("/api/v1/events/{id}/scan-bundle", Access::Optional),
            get,
        )
        .document(Document::openapi())
}

/// A key that signs an event's tickets.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventKey)]
struct KeyShown {
    /// First four bytes of SHA-256 of the public key, in hex.
    kid: String,
    /// Ed25519, 32 bytes in hex.
    public_key: String,
    /// `active`, `retired`, `disabled`.
    status: String,
}

/// The keys of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventKeys)]
struct KeysShown {
    items: Vec<KeyShown>,
}

/// The public keys that check an event's tickets.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/keys", tag = "Gate",
    params(("id" = String, Path)),
    responses((status = 200, body = KeysShown), (status = 404, description = "`event_not_found`"))
)]
async fn list_keys(
    State(room): State<Ticketing>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let event = store::events::load(&room.store.db, &id).await?;
    let shown = event.filter(|event| event.status.is_shown());
    shown.ok_or_else(event_not_found)?;
    let keys = keys::list(&room, &id).await?;
    let items = keys
        .iter()
        .map(|key| KeyShown {
            kid: key.id.to_string(),
            public_key: hex::encode(key.public.to_bytes()),
            status: key.status.clone(),
        })
        .collect();
    Ok(Json(KeysShown { items }).into_response())
}

/// Which bundle.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
struct BundleQuery {
    /// `sequence` of an earlier bundle: only what changed since.
    since: Option<i64>,
    /// With the holders' names.
    names: Option<bool>,
}

/// What a scanner needs to work without a network, signed.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/scan-bundle", tag = "Gate",
    params(("id" = String, Path), BundleQuery, ("X-Device-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "The bundle; `Florin-Signature` over its uncompressed bytes", body = Object),
        (status = 404, description = "`event_not_found`"),
    )
)]
async fn get(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Search(query): Search<BundleQuery>,
) -> Result<Response, Problem> {
    let read = permission::CHECKINS_READ;
    let keeper = keeper(&room, caller.as_ref(), &headers, &id, read).await?;
    if query.since.is_some_and(|since| since < 0) {
        return Err(Problem::validation("since", "Must be 0 or more."));
    }
    let names = query.names.unwrap_or(false);
    let signed = bundle::make(&room, &keeper.event.id, query.since, names).await?;
    let accepted = headers.get_all(ACCEPT_ENCODING).iter();
    let gzip = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().split(';').next() == Some("gzip"));
    let body = match gzip {
        true => tokio::task::spawn_blocking(move || compressed(&signed.body))
            .await
            .map_err(Problem::internal)?
            .map_err(Problem::internal)?,
        false => signed.body,
    };
    let signature = signed.signature.to_string();
    let mut response = Response::new(axum::body::Body::from(body));
    let to = response.headers_mut();
    to.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    to.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    to.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if gzip {
        to.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    to.insert(
        SIGNATURE,
        HeaderValue::from_str(&signature).map_err(Problem::internal)?,
    );
    Ok(response)
}

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body)?;
    gzip.finish()
}
