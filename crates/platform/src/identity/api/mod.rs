//! The routes of identity: log-in, own account, users, API keys, published keys
//! (contracts/README.md, "identity routes").

mod auth;
mod keys;
mod login;
mod users;
mod well_known;

pub use login::root_routes;

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::AuthService;
use crate::http::idempotency::replayed;
use crate::http::json::Json;
use crate::http::limit::Limits;
use crate::http::page::{Cursors, FilterDigest, Page, PageLimits, Position};
use crate::http::problem::Problem;
use crate::http::router::Routes;

/// What the handlers work with; shared by all requests.
pub struct IdentityApi {
    /// Users, log-ins and keys.
    pub service: Arc<AuthService>,
    /// Bounds log-in attempts per user name.
    pub limits: Arc<Limits>,
    /// Makes and reads the cursors of lists.
    pub cursors: Cursors,
}

/// [`IdentityApi`] as handlers hold it.
pub type Shared = Arc<IdentityApi>;

/// All routes of identity.
pub fn routes() -> Routes<Shared> {
    Routes::new()
        .merge(login::routes())
        .merge(auth::routes())
        .merge(users::routes())
        .merge(keys::routes())
        .merge(well_known::routes())
}

/// An answer that no cache may keep: it holds a credential.
fn secret_answer(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 201 with `Location`, marked when an earlier call made the thing.
fn created(mut response: Response, path: &str, again: bool) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(path).map_err(Problem::internal)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(if again { replayed(response) } else { response })
}

/// Asks for one item more than the page holds, to know whether another page follows.
fn page_size(limit: Option<u32>) -> Result<usize, Problem> {
    PageLimits::default().resolve(limit)
}

/// Where a list by id goes on.
fn after(
    cursors: &Cursors,
    digest: FilterDigest,
    cursor: Option<&str>,
) -> Result<Option<String>, Problem> {
    let position = cursors.open_optional(digest, cursor)?;
    let id = position.map(|position| String::from_utf8(position.after));
    id.transpose().map_err(Problem::internal)
}

/// Cuts a list that was asked for one item more to its page.
fn page<T>(
    cursors: &Cursors,
    digest: FilterDigest,
    mut items: Vec<T>,
    size: usize,
    id: impl Fn(&T) -> &str,
) -> Page<T> {
    let more = items.len() > size;
    items.truncate(size);
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| {
        let position = Position {
            snapshot: 0,
            after: id(last).as_bytes().to_vec(),
        };
        cursors.seal(digest, &position)
    });
    Page { items, next_cursor }
}

/// Keeps `null` apart from a member that was left out.
fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}
