//! `/api/v1/keys`: API keys, for administrators.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::super::api_keys::{ApiKey, NewApiKey};
use super::super::roles::KEYS_MANAGE;
use super::{Shared, after, created, page, page_size, secret_answer};
use crate::http::auth::Caller;
use crate::http::idempotency::IdempotencyKey;
use crate::http::json::{Json, Path, Query};
use crate::http::page::{FilterDigest, Page};
use crate::http::problem::Problem;
use crate::http::router::{RouteSpec, Routes};

#[derive(OpenApi)]
#[openapi(paths(create, list, get, revoke))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    const ONE: &str = "/api/v1/keys/{id}";
    Routes::new()
        .route(RouteSpec::post("/api/v1/keys", KEYS_MANAGE), create)
        .route(RouteSpec::get("/api/v1/keys", KEYS_MANAGE), list)
        .route(RouteSpec::get(ONE, KEYS_MANAGE), get)
        .route(RouteSpec::delete(ONE, KEYS_MANAGE), revoke)
        .document(Document::openapi())
}

/// An API key without its secret.
#[derive(ToSchema)]
#[schema(as = ApiKey, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes `identity::ApiKey` in the OpenAPI file")]
struct KeyBody {
    id: String,
    name: String,
    /// Whose key it is; `null`: it speaks for itself as `key:<id>`.
    user_id: Option<String>,
    roles: Vec<String>,
    /// Narrows the roles' permissions; `null` leaves them.
    scopes: Option<Vec<String>>,
    /// Accounts of the shadow ledger that it reaches; `null`: those of its user.
    accounts: Option<Vec<String>>,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// What goes into `X-API-Key`; only in the first answer to the creating call.
    key: Option<String>,
}

/// A page of API keys.
#[derive(ToSchema)]
#[schema(as = ApiKeyPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes a page in the OpenAPI file")]
struct KeyPage {
    items: Vec<KeyBody>,
    next_cursor: Option<String>,
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = NewApiKey)]
struct Create {
    /// For people, 1–100 characters.
    name: String,
    /// Whose key it is to be.
    user_id: Option<String>,
    /// Names of existing roles; of a user's key only those count that he has too.
    roles: Vec<String>,
    /// Permissions such as `wallets:read`, at most 64.
    scopes: Option<Vec<String>>,
    /// Accounts of the shadow ledger that it is to reach: ids, starts of ids followed by `*`, or
    /// `*`; at most 50. Of a user's key only those count that he reaches too.
    accounts: Option<Vec<String>>,
    /// In the future.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    key: &'a ApiKey,
    #[serde(rename = "key", skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

#[utoipa::path(
    post, path = "/api/v1/keys", tag = "Identity", request_body = Create,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Makes a retry safe; its answer lacks `key`, which is shown once")),
    responses(
        (status = 201, description = "Made; `key` is shown this once", body = KeyBody),
        (status = 404, description = "`user_not_found`"),
        (status = 409, description = "`idempotency_conflict`"),
    )
)]
async fn create(
    State(api): State<Shared>,
    caller: Caller,
    idempotency: IdempotencyKey,
    Json(request): Json<Create>,
) -> Result<Response, Problem> {
    let new = NewApiKey {
        name: request.name,
        user_id: request.user_id,
        roles: request.roles,
        scopes: request.scopes,
        accounts: request.accounts,
        expires_at: request.expires_at,
    };
    let made = api
        .service
        .create_key(&caller.subject, new, idempotency.as_deref())
        .await?;
    let (key, text) = &made.value;
    let body = Made {
        key,
        text: text.as_ref().map(|text| text.expose().as_str()),
    };
    let answer = secret_answer(StatusCode::CREATED, &body);
    created(answer, &format!("/api/v1/keys/{}", key.id), made.replayed)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ListQuery {
    user_id: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[utoipa::path(
    get, path = "/api/v1/keys", tag = "Identity",
    params(
        ("userId" = Option<String>, Query, description = "Only keys of this user"),
        ("limit" = Option<u32>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "Keys by id, revoked ones too", body = KeyPage))
)]
async fn list(
    State(api): State<Shared>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ApiKey>>, Problem> {
    let size = page_size(query.limit)?;
    let user = query.user_id.as_deref();
    let digest = FilterDigest::new("keys", user.map(|user| ("userId", user)));
    let after = after(&api.cursors, digest, query.cursor.as_deref())?;
    let keys = api.service.keys(user, after.as_deref(), size + 1).await?;
    Ok(Json(page(&api.cursors, digest, keys, size, |key| &key.id)))
}

#[utoipa::path(
    get, path = "/api/v1/keys/{id}", tag = "Identity",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The key without its secret", body = KeyBody),
        (status = 404, description = "`key_not_found`"),
    )
)]
async fn get(State(api): State<Shared>, Path(id): Path<String>) -> Result<Json<ApiKey>, Problem> {
    Ok(Json(api.service.key(&id).await?))
}

#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "Identity",
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "Revoked; refused from now on"),
        (status = 404, description = "`key_not_found`"),
    )
)]
async fn revoke(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    api.service.revoke_key(&caller.subject, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
