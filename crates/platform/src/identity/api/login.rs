//! Log-in and sign-up: `/api/v1/auth/token`, `/api/v1/auth/signup`, and the same at the root for
//! clients of older systems (contracts/README.md, "identity routes"; shadow-ledger contract,
//! section E).
//!
//! The root answers one token that lives an hour and is not refreshed, and refuses in the words
//! that its clients read; the canonical path answers a refresh token besides.

use axum::extract::State;
use axum::response::Response;
use florin_base::Secret;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{OpenApi, ToSchema};

use super::super::dev::DevSignup;
use super::super::error::IdentityError;
use super::super::sessions::{PlainToken, Tokens};
use super::super::users::User;
use super::{IdentityApi, Shared, created, secret_answer};
use crate::http::auth::Access;
use crate::http::json::{Query, RawBody, parse, require_json};
use crate::http::limit::LimitClass;
use crate::http::problem::{ErrorForm, Problem, Status};
use crate::http::router::{RouteSpec, Routes};

/// Largest body of these routes, in bytes.
const BODY_LIMIT: usize = 16 * 1024;
/// Who a development token speaks for when no name is given.
const DEV_NAME: &str = "dev";

#[derive(OpenApi)]
#[openapi(paths(token, signup))]
struct Document;

fn open(path: &'static str) -> RouteSpec {
    RouteSpec::post(path, Access::Public)
        .class(LimitClass::Token)
        .body_limit(BODY_LIMIT)
}

pub(super) fn routes() -> Routes<Shared> {
    Routes::new()
        .route(open("/api/v1/auth/token"), token)
        .route(open("/api/v1/auth/signup"), signup)
        .document(Document::openapi())
}

/// `POST /auth/token` and `POST /auth/signup`, for clients of older systems.
pub fn root_routes() -> Routes<Shared> {
    Routes::new()
        .route(open("/auth/token").undocumented(), root_token)
        .route(open("/auth/signup").undocumented(), root_signup)
        .with_error_form(ErrorForm::Words)
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = TokenRequest)]
struct TokenRequest {
    /// In any case, or the user's id; `username` and `userId` are accepted too.
    #[serde(alias = "username", alias = "userId")]
    user_name: String,
    #[schema(value_type = String, format = Password)]
    password: Secret<String>,
}

/// What `--dev-auth` accepts besides: roles instead of a password.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct DevRequest {
    #[serde(alias = "username", alias = "userId")]
    user_name: Option<String>,
    password: Option<Secret<String>>,
    role: Option<String>,
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct DevQuery {
    role: Option<String>,
}

/// Access and refresh token, and whose they are.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(
    dead_code,
    reason = "describes the answer; the handler prints its parts"
)]
struct TokenAnswer {
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
    /// The access token again.
    token: String,
    /// Id of the user.
    user_id: String,
    /// What he logs in with.
    username: String,
    /// The first of his roles.
    role: Option<String>,
    /// All of them.
    roles: Vec<String>,
}

/// What is asked of a log-in.
enum Asked {
    Password(String, Secret<String>),
    Dev(String, Vec<String>),
}

fn asked(
    api: &IdentityApi,
    query: DevQuery,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Asked, Problem> {
    if !api.service.has_local_users() {
        return Err(nothing_here());
    }
    let by_password = || -> Result<Asked, Problem> {
        require_json(headers)?;
        let request: TokenRequest = parse(body)?;
        Ok(Asked::Password(request.user_name, request.password))
    };
    if !api.service.dev_auth() {
        return by_password();
    }
    let request: DevRequest = match body.is_empty() {
        true => DevRequest::default(),
        false => {
            require_json(headers)?;
            parse(body)?
        }
    };
    let mut roles = request.roles;
    roles.extend(request.role);
    roles.extend(query.role);
    match request.password.is_some() || roles.is_empty() {
        true => by_password(),
        false => {
            let name = request.user_name.unwrap_or_else(|| DEV_NAME.to_owned());
            Ok(Asked::Dev(name, roles))
        }
    }
}

fn nothing_here() -> Problem {
    let detail = "Callers log in at their own identity provider.";
    Problem::not_found("not_found", detail)
}

/// The name behind a name or id, and one attempt taken from its allowance. The allowance is per
/// name as it is looked up, so that spelling gains nothing; an id that nobody has goes the same
/// way as a wrong password.
async fn admitted(api: &IdentityApi, given: &str) -> Result<String, Problem> {
    let given = given.trim();
    let name = match api.service.user(given).await {
        Ok(user) => user.user_name,
        Err(IdentityError::UserNotFound) => given.to_ascii_lowercase(),
        Err(error) => return Err(error.into()),
    };
    api.limits.login(&name).await?;
    Ok(name)
}

/// The members that existing clients read.
fn plain(token: &PlainToken, id: &str, name: &str, roles: &[String]) -> Response {
    let answer = json!({
        "token": token.token.expose(),
        "tokenType": "Bearer",
        "expiresIn": token.expires_in,
        "userId": id,
        "username": name,
        "role": roles.first(),
        "roles": roles,
    });
    secret_answer(StatusCode::OK, &answer)
}

async fn dev_token(api: &IdentityApi, name: &str, roles: &[String]) -> Result<Response, Problem> {
    let (subject, roles, token) = api.service.dev_token(name, roles).await?;
    Ok(plain(&token, &subject, name, &roles))
}

#[utoipa::path(
    post, path = "/api/v1/auth/token", tag = "Identity", request_body = TokenRequest,
    responses(
        (status = 200, description = "Logged in", body = TokenAnswer),
        (status = 401, description = "`unauthenticated`: name, password or account is not good"),
        (status = 404, description = "`not_found`: callers log in at another provider"),
        (status = 429, description = "`rate_limited`: too many attempts for this name or address"),
    )
)]
async fn token(
    State(api): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<DevQuery>,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let (name, password) = match asked(&api, query, &headers, &body)? {
        Asked::Dev(name, roles) => return dev_token(&api, &name, &roles).await,
        Asked::Password(name, password) => (name, password),
    };
    let name = admitted(&api, &name).await?;
    let tokens = api.service.log_in(&name, password).await?;
    let user = api.service.user_by_name(&name).await?;
    let mut answer = json!(tokens);
    answer["token"] = json!(tokens.access_token.expose());
    answer["userId"] = json!(user.id);
    answer["username"] = json!(user.user_name);
    answer["role"] = json!(user.roles.first());
    answer["roles"] = json!(user.roles);
    Ok(secret_answer(StatusCode::OK, &answer))
}

async fn root_token(
    State(api): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<DevQuery>,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let (name, password) = match asked(&api, query, &headers, &body)? {
        Asked::Dev(name, roles) => return dev_token(&api, &name, &roles).await,
        Asked::Password(name, password) => (name, password),
    };
    let name = admitted(&api, &name).await?;
    match api.service.log_in_plain(&name, password).await {
        Ok((user, token)) => Ok(plain(&token, &user.id, &user.user_name, &user.roles)),
        Err(IdentityError::Unauthenticated(why)) => Err(Problem::new(
            Status::Unauthorized,
            "invalid_credentials",
            "Name or password is wrong.",
        )
        .with_cause(why)),
        Err(error) => Err(error.into()),
    }
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = SignupRequest)]
struct SignupRequest {
    /// 1–100 of `[A-Za-z0-9_@.+-]`; kept in lower case.
    user_name: String,
    /// At least 12 characters.
    #[schema(value_type = String, format = Password)]
    password: Secret<String>,
    /// For people.
    display_name: Option<String>,
}

/// The account and its first tokens.
#[derive(Serialize)]
struct SignupAnswer {
    user: User,
    #[serde(flatten)]
    tokens: Tokens,
}

#[utoipa::path(
    post, path = "/api/v1/auth/signup", tag = "Identity", request_body = SignupRequest,
    responses(
        (status = 201, description = "The account with the role `user`, logged in", body = super::auth::Tokens),
        (status = 403, description = "`signup_closed`: administrators make accounts here"),
        (status = 404, description = "`not_found`: accounts are kept by another provider"),
        (status = 409, description = "`user_exists`"),
    )
)]
async fn signup(
    State(api): State<Shared>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    if !api.service.has_local_users() {
        return Err(nothing_here());
    }
    require_json(&headers)?;
    let request: SignupRequest = parse(&body)?;
    let signed_up = api
        .service
        .sign_up(request.user_name, request.password, request.display_name);
    let (user, tokens) = signed_up.await?;
    let path = format!("/api/v1/users/{}", user.id);
    let answer = secret_answer(StatusCode::CREATED, &SignupAnswer { user, tokens });
    created(answer, &path, false)
}

async fn root_signup(
    State(api): State<Shared>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    if !api.service.has_local_users() {
        return Err(nothing_here());
    }
    if !api.service.dev_auth() {
        return Err(Problem::new(
            Status::Forbidden,
            "signup_disabled",
            "Accounts are made by administrators here.",
        ));
    }
    require_json(&headers)?;
    let request: DevRequest = parse(&body)?;
    let missing = |field| Problem::validation(field, "It is required.");
    let mut roles = request.roles;
    roles.extend(request.role);
    let new = DevSignup {
        name: request.user_name.ok_or_else(|| missing("userName"))?,
        password: request.password.ok_or_else(|| missing("password"))?,
        roles,
    };
    let user = api.service.dev_sign_up(new).await?;
    let answer = json!({
        "userId": user.id,
        "username": user.user_name,
        "role": user.roles.first(),
        "roles": user.roles,
    });
    let path = format!("/api/v1/users/{}", user.id);
    created(secret_answer(StatusCode::CREATED, &answer), &path, false)
}
