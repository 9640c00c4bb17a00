//! From a request to a page: session, form token, who the visitor is; and back to an answer.
//!
//! Pages are functions from a [`Visit`] to an [`Outcome`](crate::reply::Outcome), registered with
//! [`get`], [`post`] and [`upload`]. Everything that must be the same for all of them happens in
//! `routes.rs`; what stands around a page is made by [`Frame`].

mod foreign;
mod frame;
mod me;
mod routes;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Uri};
use parking_lot::Mutex;

use crate::Console;
use crate::api::Client;
use crate::session::Session;

pub(crate) use foreign::is_own;
pub use frame::{Frame, Shown, THEME};
pub use me::Me;
pub(crate) use routes::client_of;
pub use routes::{get, post, upload};

/// Field of a form that carries the session's token.
pub const FORM_TOKEN: &str = "_form";
/// Field of a form that makes sending it twice act once.
pub const ONCE: &str = "_once";
/// Header by which the script asks for a part of a page, or says that it sends a file.
const PART: &str = "x-part";

/// A request for a page by somebody who is signed in.
pub struct Visit {
    /// The console.
    pub console: Console,
    /// The API in the visitor's name.
    pub api: Client,
    /// Who he is.
    pub me: Me,
    /// Path with query.
    pub uri: Uri,
    /// Headers of the request.
    pub headers: HeaderMap,
    session: Session,
    params: Vec<(String, String)>,
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    /// Behind a lock, since a body may not be shared between threads otherwise.
    body: Mutex<Option<Body>>,
}

fn value<'p>(pairs: &'p [(String, String)], name: &str) -> &'p str {
    let found = pairs.iter().find(|(key, _)| key == name);
    found.map_or("", |(_, value)| value.as_str())
}

impl Visit {
    /// A part of the path; empty when the route has none of this name.
    pub fn param(&self, name: &str) -> &str {
        value(&self.params, name)
    }

    /// A query parameter; empty when it is not there.
    pub fn query(&self, name: &str) -> &str {
        value(&self.query, name).trim()
    }

    /// All query parameters.
    pub fn queries(&self) -> &[(String, String)] {
        &self.query
    }

    /// A field of the form that was sent; empty when it is not there.
    pub fn form(&self, name: &str) -> &str {
        value(&self.form, name).trim()
    }

    /// All values of a field, for check boxes.
    pub fn form_all<'v>(&'v self, name: &'v str) -> impl Iterator<Item = &'v str> {
        let named = self.form.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.trim())
    }

    /// Identity of the form that was sent, for `Idempotency-Key`.
    pub fn once(&self) -> &str {
        self.form(ONCE)
    }

    /// The body of an upload, and its type.
    pub fn take_body(&self) -> (String, Body) {
        let given = self.headers.get(CONTENT_TYPE);
        let given = given.and_then(|value| value.to_str().ok());
        let kind = given.unwrap_or("application/octet-stream").to_owned();
        (kind, self.body.lock().take().unwrap_or_default())
    }

    /// The part of the page that the script asks for, by the id of its element.
    pub fn part(&self) -> Option<&str> {
        self.headers.get(PART).and_then(|value| value.to_str().ok())
    }

    /// Whether the part with this id is wanted: always, for a whole page.
    pub fn wants(&self, id: &str) -> bool {
        self.part().is_none_or(|part| part == id)
    }

    /// The visitor asks for the rows as a file.
    pub fn exports(&self) -> bool {
        self.query("export") == "csv"
    }

    /// Token for the forms of this visitor.
    pub fn form_token(&self) -> &str {
        self.session.form_token.expose()
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// This page with some query parameters replaced; empty values take them away. The cursor is
    /// dropped unless it is one of them.
    pub fn here_with(&self, changes: &[(&str, &str)]) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.query {
            let changed = changes.iter().any(|(key, _)| key == name);
            if !changed && name != "cursor" && !value.is_empty() {
                out.append_pair(name, value);
            }
        }
        for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
            out.append_pair(name, value);
        }
        match out.finish() {
            query if query.is_empty() => self.path().to_owned(),
            query => format!("{}?{query}", self.path()),
        }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }
}
