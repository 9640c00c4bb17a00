//! `/.well-known`: what others need to verify Florin's tokens.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::Shared;
use crate::http::auth::Access;
use crate::http::json::Json;
use crate::http::router::{RouteSpec, Routes};

#[derive(OpenApi)]
#[openapi(paths(jwks, configuration))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    const CONFIGURATION: &str = "/.well-known/openid-configuration";
    Routes::new()
        .route(
            RouteSpec::get("/.well-known/jwks.json", Access::Public),
            jwks,
        )
        .route(RouteSpec::get(CONFIGURATION, Access::Public), configuration)
        .document(Document::openapi())
}

#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "Identity",
    responses((status = 200, description = "Public keys (RFC 7517), the signing one first", body = Object))
)]
async fn jwks(State(api): State<Shared>) -> Response {
    cacheable(json!(api.service.jwks()))
}

#[utoipa::path(
    get, path = "/.well-known/openid-configuration", tag = "Identity",
    responses((status = 200, description = "OpenID Connect Discovery 1.0, as far as it applies", body = Object))
)]
async fn configuration(State(api): State<Shared>) -> Response {
    let issuer = api.service.issuer();
    let base = issuer.trim_end_matches('/');
    cacheable(json!({
        "issuer": issuer,
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "token_endpoint": format!("{base}/api/v1/auth/token"),
        "userinfo_endpoint": format!("{base}/api/v1/auth/me"),
        "revocation_endpoint": format!("{base}/api/v1/auth/logout"),
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "response_types_supported": ["token"],
        "grant_types_supported": ["password", "refresh_token"],
        "subject_types_supported": ["public"],
        "claims_supported": ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "sid", "name", "roles"],
    }))
}

/// For a minute: short enough that a rotated key is seen before the old one ends.
fn cacheable(body: Value) -> Response {
    let mut response = Json(body).into_response();
    let value = HeaderValue::from_static("public, max-age=60");
    response.headers_mut().insert(CACHE_CONTROL, value);
    response
}
