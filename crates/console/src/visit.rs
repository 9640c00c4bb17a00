//! From a request to a page: session, form token, who the visitor is; and back to an answer.
//!
//! Pages are functions from a [`Visit`] to an [`Outcome`], registered with [`get`], [`post`] and
//! [`upload`]. Everything that must be the same for all of them happens here.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest as _, FromRequestParts as _, RawPathParams, Request, State};
use axum::response::Response;
use florin_base::Secret;
use florin_platform::http::auth::Access;
use florin_platform::http::json::RawBody;
use florin_platform::http::limit::LimitClass;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_body_util::Limited;
use parking_lot::Mutex;

use crate::Console;
use crate::api::{ApiError, Client, items, text};
use crate::reply::{self, Failure, Outcome, Page, Reply, Said};
use crate::session::refresh::Current;
use crate::session::{Session, same};
use crate::ui::layout;
use crate::{BASE, sign_in};

/// Largest form, in bytes.
const FORM_LIMIT: usize = 64 * 1024;
/// Field of a form that carries the session's token.
pub const FORM_TOKEN: &str = "_form";
/// Field of a form that makes sending it twice act once.
pub const ONCE: &str = "_once";
/// Header by which the script asks for a part of a page.
const PART: &str = "x-part";
/// Header that carries the session's token where no form does.
const TOKEN_HEADER: &str = "x-form-token";
/// Purpose of the cookie that holds a word for the next page.
const SAID: &str = "said";
/// Cookie of the colour scheme.
pub const THEME: &str = "florin_theme";

/// Who the visitor is, as the API says (`GET /api/v1/auth/me`).
#[derive(Debug, Clone, Default)]
pub struct Me {
    /// Name for people.
    pub name: String,
    /// What owners of wallets are compared with.
    pub user_id: String,
    /// Names of the roles.
    pub roles: Vec<String>,
    /// What they allow.
    permissions: Vec<String>,
    /// Where no role `gateway` runs nobody says what is allowed: everything is offered then.
    unknown: bool,
}

impl Me {
    /// Holds the permission, with any reach.
    pub fn may(&self, permission: &str) -> bool {
        self.unknown
            || self.permissions.iter().any(|held| {
                held.strip_prefix(permission)
                    .is_some_and(|rest| rest.is_empty() || rest == "@own")
            })
    }

    /// Holds the permission for everybody's objects.
    pub fn may_all(&self, permission: &str) -> bool {
        self.unknown || self.permissions.iter().any(|held| held == permission)
    }
}

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

/// What a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Nothing.
    Nothing,
    /// A form with the session's token.
    Form,
    /// A file of at most so many bytes as the body, the token in a header.
    File(usize),
}

/// Registers a page.
pub fn get<F, Fut>(routes: Routes<Console>, path: &'static str, page: F) -> Routes<Console>
where
    F: Fn(Visit) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let spec = RouteSpec::get(path, Access::Public).undocumented();
    routes.route(
        spec,
        move |State(console): State<Console>, request: Request| {
            serve(console, request, Takes::Nothing, page.clone())
        },
    )
}

/// Registers what a form is sent to.
pub fn post<F, Fut>(routes: Routes<Console>, path: &'static str, page: F) -> Routes<Console>
where
    F: Fn(Visit) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let spec = RouteSpec::post(path, Access::Public)
        .class(LimitClass::Write)
        .body_limit(FORM_LIMIT)
        .undocumented();
    routes.route(
        spec,
        move |State(console): State<Console>, request: Request| {
            serve(console, request, Takes::Form, page.clone())
        },
    )
}

/// Registers what a file is sent to: the body is the file, of at most `limit` bytes, and is not
/// read here; see [`Visit::take_body`].
pub fn upload<F, Fut>(
    routes: Routes<Console>,
    path: &'static str,
    limit: usize,
    page: F,
) -> Routes<Console>
where
    F: Fn(Visit) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let spec = RouteSpec::post(path, Access::Public)
        .class(LimitClass::Write)
        .body_limit(limit)
        .undocumented();
    routes.route(
        spec,
        move |State(console): State<Console>, request: Request| {
            serve(console, request, Takes::File(limit), page.clone())
        },
    )
}

async fn serve<F, Fut>(console: Console, request: Request, takes: Takes, page: F) -> Response
where
    F: Fn(Visit) -> Fut,
    Fut: Future<Output = Outcome>,
{
    let frame = Frame::of(&console, &request);
    let session = match enter(&console, request.headers(), client_of(&request)).await {
        Ok(Some(session)) => session,
        Ok(None) => return frame.sign_in(),
        Err(error) => return frame.failed(None, &Failure::Api(error)),
    };
    let changed = session.changed;
    let session = session.session;
    let mut response = match visit(&console, request, takes, session.clone()).await {
        Ok(visit) => {
            let shown = Shown::of(&visit);
            match page(visit).await {
                Ok(reply) => frame.answer(Some(&shown), reply),
                Err(Failure::SignedOut) => frame.sign_in(),
                Err(failure) if is_unauthenticated(&failure) => frame.sign_in(),
                Err(failure) => frame.failed(Some(&shown), &failure),
            }
        }
        Err(failure) if is_unauthenticated(&failure) => return frame.sign_in(),
        Err(failure) => frame.failed(None, &failure),
    };
    if changed {
        let cookies = console.0.sessions.cookies(&session).unwrap_or_default();
        for cookie in cookies {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    response
}

fn is_unauthenticated(failure: &Failure) -> bool {
    let Failure::Api(error) = failure else {
        return matches!(failure, Failure::SignedOut);
    };
    let refusal = error.refusal();
    refusal.is_some_and(|refusal| refusal.status == StatusCode::UNAUTHORIZED)
}

/// The session of a request with a good access token.
async fn enter(
    console: &Console,
    headers: &HeaderMap,
    client: IpAddr,
) -> Result<Option<Current>, ApiError> {
    let sessions = &console.0.sessions;
    let Some(session) = sessions.read(headers) else {
        return Ok(None);
    };
    let renew = |session| sign_in::renew(console, session, client);
    sessions.current(session, renew).await
}

async fn visit(
    console: &Console,
    request: Request,
    takes: Takes,
    session: Session,
) -> Result<Visit, Failure> {
    let client = client_of(&request);
    let (mut parts, body) = request.into_parts();
    let params = RawPathParams::from_request_parts(&mut parts, &()).await;
    let params = params.map_err(|_| Failure::NotFound)?;
    let params = params.iter();
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let params = params.collect();
    let query = parts.uri.query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes());
    let query = query.into_owned().collect();
    let (headers, uri) = (parts.headers.clone(), parts.uri.clone());
    let token = session.form_token.expose();
    let (form, body) = match takes {
        Takes::Nothing => (Vec::new(), None),
        Takes::Form => (own_form(parts, body, token).await?, None),
        Takes::File(limit) => {
            let given = headers.get(TOKEN_HEADER);
            let given = given.and_then(|value| value.to_str().ok());
            own(&headers, given, token)?;
            (Vec::new(), Some(Body::new(Limited::new(body, limit))))
        }
    };
    let access = Secret::new(session.access.expose().clone());
    let api = Client::new(Arc::clone(&console.0.api), Some(access), client);
    let me = me(&api).await?;
    Ok(Visit {
        console: console.clone(),
        api,
        me,
        uri,
        headers,
        session,
        params,
        query,
        form,
        body: Mutex::new(body),
    })
}

async fn own_form(parts: Parts, body: Body, token: &str) -> Result<Vec<(String, String)>, Failure> {
    let headers = parts.headers.clone();
    let read = RawBody::from_request(Request::from_parts(parts, body), &()).await;
    let RawBody(bytes) = read.map_err(|problem| Failure::Bad(problem.detail().to_owned()))?;
    let form: Vec<(String, String)> = form_urlencoded::parse(&bytes).into_owned().collect();
    own(&headers, Some(value(&form, FORM_TOKEN)), token)?;
    Ok(form)
}

/// Refuses what other sites send. Browsers that say where a request comes from are believed; the
/// token is asked for in any case.
fn own(headers: &HeaderMap, given: Option<&str>, token: &str) -> Result<(), Failure> {
    let site = headers.get("sec-fetch-site");
    let foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
    match given {
        Some(given) if !foreign && same(given, token) => Ok(()),
        _ => Err(Failure::ForeignForm),
    }
}

/// Refuses a form of another site before anybody has signed in.
pub(crate) fn is_own(headers: &HeaderMap, given: &str, token: &str) -> bool {
    own(headers, Some(given), token).is_ok()
}

async fn me(api: &Client) -> Result<Me, Failure> {
    let me = match api.get("/api/v1/auth/me").json().await {
        Ok(me) => me,
        // The role that knows may be away; the pages of the others still work.
        Err(ApiError::Refused(refusal)) if refusal.status != StatusCode::UNAUTHORIZED => {
            return Ok(Me {
                unknown: true,
                ..Me::default()
            });
        }
        Err(error) => return Err(error.into()),
    };
    let list = |member| items(&me, member).iter().filter_map(|one| one.as_str());
    let names = ["displayName", "userName", "subject"];
    let names = names.map(|member| text(&me, member));
    let name = names.into_iter().find(|name| !name.is_empty());
    Ok(Me {
        name: name.unwrap_or_default().to_owned(),
        user_id: text(&me, "userId").to_owned(),
        roles: list("roles").map(str::to_owned).collect(),
        permissions: list("permissions").map(str::to_owned).collect(),
        unknown: false,
    })
}

/// The visitor's address, proxies taken off.
pub(crate) fn client_of(request: &Request) -> IpAddr {
    let info = request.extensions().get::<RequestInfo>();
    info.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), RequestInfo::client)
}

/// What the frame of a page shows of the visit.
pub struct Shown {
    /// Who visits.
    pub me: Me,
    /// Token for the forms of the frame.
    pub form_token: String,
}

impl Shown {
    fn of(visit: &Visit) -> Self {
        Self {
            me: visit.me.clone(),
            form_token: visit.form_token().to_owned(),
        }
    }
}

/// What stands around every page.
pub struct Frame {
    console: Console,
    /// Path with query.
    pub here: String,
    /// Path.
    pub path: String,
    /// `light`, `dark` or nothing: as the system has it.
    pub theme: Option<&'static str>,
    /// A word from the page before.
    pub said: Option<Said>,
    part: Option<String>,
}

impl Frame {
    /// The frame of a request.
    pub fn of(console: &Console, request: &Request) -> Self {
        let headers = request.headers();
        let uri = request.uri();
        let here = uri.path_and_query().map_or(BASE, |path| path.as_str());
        let part = headers.get(PART).and_then(|part| part.to_str().ok());
        let said = match part {
            None => console.0.sessions.read_pending(SAID, headers),
            Some(_) => None,
        };
        Self {
            here: here.to_owned(),
            path: uri.path().to_owned(),
            theme: theme_of(headers),
            said: said.and_then(|bytes| said_of(&bytes)),
            part: part.map(str::to_owned),
            console: console.clone(),
        }
    }

    /// The console.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// To the sign-in page, and back here afterwards.
    fn sign_in(&self) -> Response {
        if self.part.is_some() {
            // The script loads the page anew, which leads to the sign-in.
            return reply::guarded(plain(StatusCode::UNAUTHORIZED, "Signed out."));
        }
        let mut next = form_urlencoded::Serializer::new(String::new());
        next.append_pair("next", reply::own_path(&self.here));
        reply::see(&format!("{BASE}/sign-in?{}", next.finish()))
    }

    fn answer(&self, shown: Option<&Shown>, reply: Reply) -> Response {
        match reply {
            Reply::Page(page) => self.page(shown, page),
            Reply::Raw(response) => reply::guarded(response),
            Reply::To { path, said } => {
                let mut response = reply::see(reply::own_path(&path));
                let cookie = said.and_then(|said| {
                    let text = format!("{}{}", if said.good { '+' } else { '-' }, said.text);
                    self.console.0.sessions.pending(SAID, text.as_bytes())
                });
                if let Some(cookie) = cookie {
                    response.headers_mut().append(SET_COOKIE, cookie);
                }
                response
            }
        }
    }

    /// A page in its frame, or alone when the script asked for a part.
    pub fn page(&self, shown: Option<&Shown>, page: Page) -> Response {
        let status = page.status;
        if self.part.is_some() {
            return reply::html(status, page.content);
        }
        let mut response = reply::html(status, layout::document(self, shown, page));
        if self.said.is_some()
            && let Some(cookie) = self.console.0.sessions.end_pending(SAID)
        {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response
    }

    /// A page that says what went wrong.
    pub fn failed(&self, shown: Option<&Shown>, failure: &Failure) -> Response {
        if let Failure::Api(ApiError::Away(_) | ApiError::Unreadable(_)) = failure {
            tracing::warn!(%failure, path = self.path, "a page of the console failed");
        }
        self.page(shown, crate::ui::failure::page(failure))
    }
}

fn said_of(bytes: &[u8]) -> Option<Said> {
    let text = std::str::from_utf8(bytes).ok()?;
    let good = text.starts_with('+');
    let text = text.get(1..)?.to_owned();
    Some(Said { good, text })
}

fn theme_of(headers: &HeaderMap) -> Option<&'static str> {
    let given = crate::session::cookie::read_cookies(headers, THEME).next();
    ["light", "dark"]
        .into_iter()
        .find(|theme| given == Some(*theme))
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_compared_whole() {
        let me = Me {
            permissions: vec!["wallets:read@own".into(), "ledger:read".into()],
            ..Me::default()
        };
        assert!(me.may("wallets:read") && !me.may_all("wallets:read"));
        assert!(me.may_all("ledger:read"));
        assert!(!me.may("ledger:rea") && !me.may("wallets:write"));
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        let mut headers = HeaderMap::new();
        assert!(is_own(&headers, "t0ken", "t0ken"));
        assert!(!is_own(&headers, "t0kem", "t0ken"));
        assert!(!is_own(&headers, "", "t0ken"));
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        assert!(!is_own(&headers, "t0ken", "t0ken"));
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        assert!(is_own(&headers, "t0ken", "t0ken"));
    }
}
