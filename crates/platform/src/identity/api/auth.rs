//! `/api/v1/auth`: refresh, log out, who am I, own password. Log-in and sign-up: [`super::login`].

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Secret;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::{Shared, secret_answer};
use crate::http::auth::{Access, Caller, CredentialKind};
use crate::http::json::{Json, RawBody, parse};
use crate::http::limit::LimitClass;
use crate::http::problem::{Problem, Status};
use crate::http::router::{RouteSpec, Routes};

/// Largest body of these routes, in bytes.
const BODY_LIMIT: usize = 16 * 1024;

#[derive(OpenApi)]
#[openapi(paths(refresh, logout, me, password))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    let open = |path| {
        RouteSpec::post(path, Access::Public)
            .class(LimitClass::Token)
            .body_limit(BODY_LIMIT)
    };
    let own_password = RouteSpec::put("/api/v1/auth/password", Access::Authenticated);
    Routes::new()
        .route(open("/api/v1/auth/refresh"), refresh)
        .route(open("/api/v1/auth/logout"), logout)
        .route(RouteSpec::get("/api/v1/auth/me", Access::Authenticated), me)
        .route(own_password, password)
        .document(Document::openapi())
}

/// Access and refresh token.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes `identity::Tokens` in the OpenAPI file")]
pub(super) struct Tokens {
    /// JWT for `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: String,
    /// Seconds until the access token expires.
    expires_in: u32,
    /// For one use at `/api/v1/auth/refresh`.
    refresh_token: String,
    /// Seconds until the refresh token expires.
    refresh_expires_in: i64,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = RefreshRequest)]
struct RefreshRequest {
    #[schema(value_type = String)]
    refresh_token: Secret<String>,
}

#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "Identity", request_body = RefreshRequest,
    responses(
        (status = 200, description = "New tokens; the old refresh token is used up", body = Tokens),
        (status = 401, description = "`unauthenticated`: unknown, expired, or used before, which ends the log-in"),
    )
)]
async fn refresh(
    State(api): State<Shared>,
    Json(request): Json<RefreshRequest>,
) -> Result<Response, Problem> {
    let tokens = api.service.refresh(&request.refresh_token).await?;
    Ok(secret_answer(StatusCode::OK, &tokens))
}

#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "Identity",
    request_body(content = Option<RefreshRequest>, description = "Only without `Authorization: Bearer`"),
    responses(
        (status = 204, description = "The log-in has ended; its tokens are refused from now on"),
        (status = 401, description = "`unauthenticated`: neither a good access token nor a refresh token"),
    )
)]
async fn logout(
    State(api): State<Shared>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let session = api.service.session_of(&headers)?;
    let refresh = match body.is_empty() {
        true => None,
        false => Some(parse::<RefreshRequest>(&body)?),
    };
    match (session, refresh) {
        (Some(session), _) => api.service.log_out(&session).await?,
        (None, Some(request)) => {
            api.service
                .log_out_by_refresh(&request.refresh_token)
                .await?
        }
        (None, None) => {
            return Err(Problem::unauthenticated(
                "An access or refresh token is needed.",
            ));
        }
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The caller as Florin sees him.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Me)]
struct Me {
    /// `sub` of the token, or whom the API key speaks for.
    subject: String,
    /// What `userId` of the caller's own wallets must be.
    user_id: String,
    /// `token` or `apiKey`.
    credential: &'static str,
    /// Of a local user.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    /// Of a local user who has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// Names of the roles.
    roles: Vec<String>,
    /// What they allow; `@own` reaches the caller's own objects only.
    permissions: Vec<String>,
    /// Accounts of the shadow ledger that the caller reaches, where that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<String>>,
}

#[utoipa::path(
    get, path = "/api/v1/auth/me", tag = "Identity",
    responses((status = 200, description = "The caller", body = Me))
)]
async fn me(State(api): State<Shared>, caller: Caller) -> Result<Json<Me>, Problem> {
    // Callers of foreign issuers have no account here.
    let user = api.service.user(&caller.subject).await.ok();
    let (user_name, display_name) = match user {
        Some(user) => (Some(user.user_name), user.display_name),
        None => (None, None),
    };
    Ok(Json(Me {
        subject: caller.subject.to_string(),
        user_id: caller.owner.to_string(),
        credential: match caller.kind {
            CredentialKind::ApiKey => "apiKey",
            CredentialKind::Token => "token",
            CredentialKind::System => "system",
        },
        user_name,
        display_name,
        roles: caller.roles.iter().map(|role| role.to_string()).collect(),
        permissions: caller.permissions.names(),
        accounts: accounts_of(&caller),
    }))
}

/// The caller's password and the one to take its place.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = OwnPassword)]
struct OwnPassword {
    #[schema(value_type = String, format = Password)]
    current_password: Secret<String>,
    /// At least 12 characters.
    #[schema(value_type = String, format = Password)]
    password: Secret<String>,
}

#[utoipa::path(
    put, path = "/api/v1/auth/password", tag = "Identity", request_body = OwnPassword,
    responses(
        (status = 204, description = "Set; all log-ins of the caller have ended"),
        (status = 429, description = "`rate_limited`: too many attempts"),
    )
)]
async fn password(
    State(api): State<Shared>,
    caller: Caller,
    Json(request): Json<OwnPassword>,
) -> Result<Response, Problem> {
    if caller.kind != CredentialKind::Token {
        let detail = "Only a logged-in user changes a password this way.";
        return Err(Problem::new(Status::Forbidden, "forbidden", detail));
    }
    api.limits.login(&caller.credential).await?;
    let change = api.service.change_own_password(
        &caller.subject,
        request.current_password,
        request.password,
    );
    change.await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn accounts_of(caller: &Caller) -> Option<Vec<String>> {
    let accounts = caller.accounts.as_ref()?;
    Some(accounts.iter().map(|one| one.to_string()).collect())
}
