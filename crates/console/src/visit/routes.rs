//! How pages are registered, and what happens to a request before its page and after it.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, RawPathParams, Request, State};
use axum::response::Response;
use florin_base::Secret;
use florin_platform::http::auth::Access;
use florin_platform::http::limit::LimitClass;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use http_body_util::Limited;
use parking_lot::Mutex;

use super::foreign::{own, own_form};
use super::me::me;
use super::{Frame, Shown, Visit};
use crate::api::{ApiError, Client};
use crate::reply::{Failure, Outcome};
use crate::session::Session;
use crate::session::refresh::Current;
use crate::{Console, sign_in};

/// Largest form, in bytes.
const FORM_LIMIT: usize = 64 * 1024;
/// Header that carries the session's token where no form does.
const TOKEN_HEADER: &str = "x-form-token";

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
    let spec = RouteSpec::get(path, Access::Public);
    register(routes, spec, Takes::Nothing, page)
}

/// Registers what a form is sent to.
pub fn post<F, Fut>(routes: Routes<Console>, path: &'static str, page: F) -> Routes<Console>
where
    F: Fn(Visit) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let spec = RouteSpec::post(path, Access::Public)
        .class(LimitClass::Write)
        .body_limit(FORM_LIMIT);
    register(routes, spec, Takes::Form, page)
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
        .body_limit(limit);
    register(routes, spec, Takes::File(limit), page)
}

fn register<F, Fut>(
    routes: Routes<Console>,
    spec: RouteSpec,
    takes: Takes,
    page: F,
) -> Routes<Console>
where
    F: Fn(Visit) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    routes.route(
        spec.undocumented(),
        move |State(console): State<Console>, request: Request| {
            serve(console, request, takes, page.clone())
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

/// The visitor's address, proxies taken off.
pub(crate) fn client_of(request: &Request) -> IpAddr {
    let info = request.extensions().get::<RequestInfo>();
    info.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), RequestInfo::client)
}
