//! The HTTP kit: everything that the HTTP APIs of all rooms share (contracts, "Conventions
//! that every HTTP API shares").
//!
//! A room describes its routes with [`router::Routes`] and returns [`problem::Problem`]s; the
//! kit does the rest in one middleware. [`server`] serves the result.
//!
//! ```
//! use florin_platform::http::auth::{Caller, Permission};
//! use florin_platform::http::json::Json;
//! use florin_platform::http::problem::Problem;
//! use florin_platform::http::router::{RouteSpec, Routes};
//!
//! const THINGS_WRITE: Permission = Permission::new("things:write");
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields, rename_all = "camelCase")]
//! struct NewThing {
//!     name: String,
//! }
//!
//! async fn create(caller: Caller, Json(new): Json<NewThing>) -> Result<Json<String>, Problem> {
//!     if new.name.is_empty() {
//!         return Err(Problem::validation("name", "must not be empty"));
//!     }
//!     Ok(Json(format!("{} by {}", new.name, caller.subject)))
//! }
//!
//! fn routes() -> Routes<()> {
//!     Routes::new().route(RouteSpec::post("/api/v1/things", THINGS_WRITE), create)
//! }
//! assert_eq!(routes().describe().rows[0].permission, "things:write");
//! ```

pub mod admission;
pub mod auth;
pub mod client;
pub mod forward;
pub mod guard;
pub mod health;
pub mod idempotency;
pub mod json;
pub mod limit;
pub mod object;
pub mod openapi;
pub mod page;
pub mod problem;
pub mod proxy;
pub mod respond;
pub mod router;
pub mod server;
pub mod shutdown;
mod status;
mod swagger;
pub mod tls;
pub mod trace;
