//! What is in force, for administrators: the settings of the process and what its roles allow.
//!
//! **Boundary.** Whoever reads the configuration hands the settings over as they may be shown.
//!
//! **Invariant.** Values are shown as they were handed over: no secret is ever among them.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::AuthService;
use crate::http::auth::Permission;
use crate::http::json::Json;
use crate::http::router::{RouteSpec, Routes};

/// Reads settings and roles (contracts, "identity routes").
pub const CONFIG_READ: Permission = Permission::new("config:read");

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Setting {
    /// Full name, sections joined by dots.
    pub name: String,
    /// The value as TOML; secrets are the reference to them, or `[redacted]`.
    pub value: String,
    /// `default`, a file, a variable or a flag.
    pub origin: String,
    /// What it does.
    pub about: String,
}

/// A permission of a role.
#[derive(Debug, Serialize, ToSchema)]
struct Grant {
    role: String,
    /// `@own` behind it reaches own objects only.
    permission: String,
}

/// All settings that have a value.
#[derive(Serialize, ToSchema)]
struct Settings {
    items: Vec<Setting>,
}

/// All permissions of all roles.
#[derive(Serialize, ToSchema)]
struct Grants {
    items: Vec<Grant>,
}

/// What the handlers work with.
pub struct AdminApi {
    /// As they may be shown.
    pub settings: Arc<[Setting]>,
    /// Knows the roles.
    pub service: Arc<AuthService>,
}

/// [`AdminApi`] as handlers hold it.
pub type Shared = Arc<AdminApi>;

#[derive(OpenApi)]
#[openapi(paths(config, roles))]
struct Document;

/// The routes, each with its permission.
pub fn routes() -> Routes<Shared> {
    let read = |path| RouteSpec::get(path, CONFIG_READ);
    Routes::new()
        .route(read("/api/v1/admin/config"), config)
        .route(read("/api/v1/admin/roles"), roles)
        .document(Document::openapi())
}

#[utoipa::path(
    get, path = "/api/v1/admin/config", tag = "Identity",
    responses((status = 200, description = "Settings of the process that answers, secrets redacted", body = Settings))
)]
async fn config(State(api): State<Shared>) -> Json<Settings> {
    let items = api.settings.to_vec();
    Json(Settings { items })
}

#[utoipa::path(
    get, path = "/api/v1/admin/roles", tag = "Identity",
    responses((status = 200, description = "What each role allows, those of the configuration included", body = Grants))
)]
async fn roles(State(api): State<Shared>) -> Json<Grants> {
    let grants = api.service.roles().grants();
    let items = grants.map(|(role, permission)| Grant {
        role: role.to_owned(),
        permission: permission.to_owned(),
    });
    Json(Grants {
        items: items.collect(),
    })
}
