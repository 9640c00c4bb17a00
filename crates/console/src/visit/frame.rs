//! What stands around every page, and how an answer becomes a response.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderName, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Me, PART, Visit};
use crate::api::ApiError;
use crate::reply::{self, Failure, Page, Reply, Said};
use crate::ui::layout;
use crate::{BASE, Console};

/// Purpose of the cookie that holds a word for the next page.
const SAID: &str = "said";
/// Cookie of the colour scheme.
pub const THEME: &str = "florin_theme";
/// Header of an answer to the script: it goes there by itself.
const PLACE: HeaderName = HeaderName::from_static("x-place");

/// What the frame of a page shows of the visit.
pub struct Shown {
    /// Who visits.
    pub me: Me,
    /// Token for the forms of the frame.
    pub form_token: String,
}

impl Shown {
    pub(super) fn of(visit: &Visit) -> Self {
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
    pub(super) fn sign_in(&self) -> Response {
        if self.part.is_some() {
            // The script loads the page anew, which leads to the sign-in.
            return reply::guarded(plain(StatusCode::UNAUTHORIZED, "Signed out."));
        }
        let mut next = form_urlencoded::Serializer::new(String::new());
        next.append_pair("next", reply::own_path(&self.here));
        reply::see(&format!("{BASE}/sign-in?{}", next.finish()))
    }

    pub(super) fn answer(&self, shown: Option<&Shown>, reply: Reply) -> Response {
        match reply {
            Reply::Page(page) => self.page(shown, page),
            Reply::Raw(response) => reply::guarded(response),
            Reply::To { path, said } => {
                let mut response = self.to(reply::own_path(&path));
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

    /// To another page. A script would follow a redirect by itself, take the word that is meant
    /// for the eyes of the visitor, and throw it away: it is told where to go.
    fn to(&self, path: &str) -> Response {
        if self.part.is_none() {
            return reply::see(path);
        }
        let mut response = reply::guarded(Response::new(Body::empty()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        if let Ok(place) = HeaderValue::from_str(path) {
            response.headers_mut().insert(PLACE, place);
        }
        response
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
