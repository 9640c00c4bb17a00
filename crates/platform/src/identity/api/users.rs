//! `/api/v1/users`: accounts, for administrators.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Secret;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

use super::super::roles::USERS_MANAGE;
use super::super::users::{NewUser, User, UserChange, UserFilter};
use super::{Shared, after, created, given, page, page_size};
use crate::http::auth::Caller;
use crate::http::idempotency::IdempotencyKey;
use crate::http::json::{Json, Path, Query};
use crate::http::page::{FilterDigest, Page};
use crate::http::problem::Problem;
use crate::http::router::{RouteSpec, Routes};

#[derive(OpenApi)]
#[openapi(paths(create, list, get, change, set_password))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    const ONE: &str = "/api/v1/users/{id}";
    const PASSWORD: &str = "/api/v1/users/{id}/password";
    Routes::new()
        .route(RouteSpec::post("/api/v1/users", USERS_MANAGE), create)
        .route(RouteSpec::get("/api/v1/users", USERS_MANAGE), list)
        .route(RouteSpec::get(ONE, USERS_MANAGE), get)
        .route(RouteSpec::patch(ONE, USERS_MANAGE), change)
        .route(RouteSpec::put(PASSWORD, USERS_MANAGE), set_password)
        .document(Document::openapi())
}

/// A user.
#[derive(ToSchema)]
#[schema(as = User, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes `identity::User` in the OpenAPI file")]
pub(super) struct UserBody {
    /// `sub` of his tokens, `userId` of his wallets.
    id: String,
    /// In lower case.
    user_name: String,
    display_name: Option<String>,
    roles: Vec<String>,
    /// Accounts of the shadow ledger that he reaches; `null`: nothing is said.
    accounts: Option<Vec<String>>,
    disabled: bool,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A page of users.
#[derive(ToSchema)]
#[schema(as = UserPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes a page in the OpenAPI file")]
struct UserPage {
    items: Vec<UserBody>,
    next_cursor: Option<String>,
}

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = NewUser)]
struct Create {
    /// 1–100 of `[A-Za-z0-9_@.-]`; made when left out.
    id: Option<String>,
    /// 1–100 of `[A-Za-z0-9_@.+-]`; kept in lower case.
    user_name: String,
    /// At least 12 characters; without one the user cannot log in.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Secret<String>>,
    display_name: Option<String>,
    /// `["user"]` when left out.
    roles: Option<Vec<String>>,
    /// Accounts of the shadow ledger that he is to reach: ids, starts of ids followed by `*`, or
    /// `*`; at most 50. Role `user` reaches none without it.
    accounts: Option<Vec<String>>,
}

#[utoipa::path(
    post, path = "/api/v1/users", tag = "Identity", request_body = Create,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe")),
    responses(
        (status = 201, description = "Made", body = UserBody),
        (status = 409, description = "`user_exists` or `idempotency_conflict`"),
    )
)]
async fn create(
    State(api): State<Shared>,
    caller: Caller,
    key: IdempotencyKey,
    Json(request): Json<Create>,
) -> Result<Response, Problem> {
    let new = NewUser {
        id: request.id,
        user_name: request.user_name,
        password: request.password,
        display_name: request.display_name,
        roles: request.roles.unwrap_or_else(|| vec!["user".to_owned()]),
        accounts: request.accounts,
    };
    let made = api
        .service
        .create_user(&caller.subject, new, key.as_deref())
        .await?;
    let path = format!("/api/v1/users/{}", made.value.id);
    let answer = (StatusCode::CREATED, Json(made.value)).into_response();
    created(answer, &path, made.replayed)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ListQuery {
    user_name: Option<String>,
    disabled: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[utoipa::path(
    get, path = "/api/v1/users", tag = "Identity",
    params(
        ("userName" = Option<String>, Query, description = "Exactly this name, in any case"),
        ("disabled" = Option<bool>, Query),
        ("limit" = Option<u32>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "Users by id", body = UserPage))
)]
async fn list(
    State(api): State<Shared>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<User>>, Problem> {
    let size = page_size(query.limit)?;
    let disabled = query.disabled.map(|disabled| disabled.to_string());
    let filters = [("userName", &query.user_name), ("disabled", &disabled)];
    let filters = filters
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let digest = FilterDigest::new("users", filters);
    let after = after(&api.cursors, digest, query.cursor.as_deref())?;
    let filter = UserFilter {
        user_name: query.user_name.clone(),
        disabled: query.disabled,
    };
    let users = api
        .service
        .users(&filter, after.as_deref(), size + 1)
        .await?;
    Ok(Json(page(&api.cursors, digest, users, size, |user| {
        &user.id
    })))
}

#[utoipa::path(
    get, path = "/api/v1/users/{id}", tag = "Identity",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The user", body = UserBody),
        (status = 404, description = "`user_not_found`"),
    )
)]
async fn get(State(api): State<Shared>, Path(id): Path<String>) -> Result<Json<User>, Problem> {
    Ok(Json(api.service.user(&id).await?))
}

/// What is to change; members left out stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = UserChange)]
struct Change {
    /// `null` removes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    display_name: Option<Option<String>>,
    /// All of them; access tokens issued before fall at once.
    roles: Option<Vec<String>>,
    /// All of them; `null` says nothing about accounts. Access tokens issued before fall at once.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    accounts: Option<Option<Vec<String>>>,
    /// `true` cuts the user off at once.
    disabled: Option<bool>,
}

#[utoipa::path(
    patch, path = "/api/v1/users/{id}", tag = "Identity", request_body = Change,
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The user as he is now", body = UserBody),
        (status = 404, description = "`user_not_found`"),
    )
)]
async fn change(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(request): Json<Change>,
) -> Result<Json<User>, Problem> {
    let change = UserChange {
        display_name: request.display_name,
        roles: request.roles,
        accounts: request.accounts,
        disabled: request.disabled,
    };
    Ok(Json(
        api.service
            .change_user(&caller.subject, &id, change)
            .await?,
    ))
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPassword)]
struct SetPassword {
    /// At least 12 characters.
    #[schema(value_type = String, format = Password)]
    password: Secret<String>,
}

#[utoipa::path(
    put, path = "/api/v1/users/{id}/password", tag = "Identity", request_body = SetPassword,
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "Set; all log-ins of the user have ended"),
        (status = 404, description = "`user_not_found`"),
    )
)]
async fn set_password(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(request): Json<SetPassword>,
) -> Result<Response, Problem> {
    let set = api
        .service
        .set_password(&caller.subject, &id, request.password);
    set.await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
