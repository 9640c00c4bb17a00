//! What a page answers, and the headers that every answer carries.
//!
//! **Invariant.** No answer of the console allows scripts or styles inside pages, anything from
//! other hosts, or being framed.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderName};
use http::{HeaderValue, StatusCode};
use maud::Markup;

use crate::api::ApiError;

/// Only own files; nothing inline; nowhere else.
pub const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// What a page function answers.
pub enum Reply {
    /// A page, put into the frame.
    Page(Page),
    /// See there.
    To {
        /// Path.
        path: String,
        /// Shown there once.
        said: Option<Said>,
    },
    /// Anything else: downloads, streams.
    Raw(Response),
}

/// A page without its frame.
pub struct Page {
    /// Title, also the heading.
    pub title: String,
    /// Stands beside the heading: states, actions.
    pub beside: Option<Markup>,
    /// What it shows.
    pub content: Markup,
    /// Status.
    pub status: StatusCode,
}

/// A word after an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// It went well.
    pub good: bool,
    /// For people.
    pub text: String,
}

/// Why there is no page.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// There is no such page.
    #[error("there is no such page")]
    NotFound,
    /// What was sent cannot be used; for people.
    #[error("{0}")]
    Bad(String),
    /// A form without the token of its sign-in.
    #[error("the form does not belong to this sign-in")]
    ForeignForm,
    /// Nobody is signed in.
    #[error("not signed in")]
    SignedOut,
}

/// What a page function gives.
pub type Outcome = Result<Reply, Failure>;

impl Page {
    /// A page.
    pub fn new(title: impl Into<String>, content: Markup) -> Self {
        Self {
            title: title.into(),
            beside: None,
            content,
            status: StatusCode::OK,
        }
    }

    /// Adds what stands beside the heading.
    #[must_use]
    pub fn beside(mut self, beside: Markup) -> Self {
        self.beside = Some(beside);
        self
    }
}

impl From<Page> for Reply {
    fn from(page: Page) -> Self {
        Self::Page(page)
    }
}

impl Reply {
    /// To another page, with a word that all went well.
    pub fn done(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self::To {
            path: path.into(),
            said: Some(Said {
                good: true,
                text: text.into(),
            }),
        }
    }

    /// To another page, with a word on what did not go.
    pub fn not_done(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self::To {
            path: path.into(),
            said: Some(Said {
                good: false,
                text: text.into(),
            }),
        }
    }

    /// After an action: to `path` with the word, or with what the API refused.
    ///
    /// # Errors
    /// Failures other than refusals of the action itself.
    pub fn after<T>(
        result: Result<T, ApiError>,
        path: impl Into<String>,
        text: impl Into<String>,
    ) -> Outcome {
        match result {
            Ok(_) => Ok(Self::done(path, text)),
            Err(error) => Self::refused(error, path),
        }
    }

    /// After an action that failed: to `path` with what the API refused.
    ///
    /// # Errors
    /// Failures other than refusals of the action itself.
    pub fn refused(error: ApiError, path: impl Into<String>) -> Outcome {
        match error {
            ApiError::Refused(refusal) if refusal.status != StatusCode::UNAUTHORIZED => {
                Ok(Self::not_done(path, words_of(&refusal)))
            }
            error => Err(error.into()),
        }
    }
}

/// A refusal in one sentence, with its fields.
pub fn words_of(refusal: &crate::api::Refusal) -> String {
    let mut words = refusal.detail.clone();
    for (field, message) in &refusal.fields {
        if !words.contains(message.as_str()) {
            words.push_str(&format!(" {field}: {message}"));
        }
    }
    if words.is_empty() {
        words = format!("The server answered {}.", refusal.status.as_u16());
    }
    words
}

/// HTML of a whole document.
pub fn html(status: StatusCode, markup: Markup) -> Response {
    let mut response = Response::new(Body::from(markup.into_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, html);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    guarded(response)
}

/// 303 to a path of the console.
pub fn see(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let place = HeaderValue::from_str(path);
    let place = place.unwrap_or_else(|_| HeaderValue::from_static(crate::BASE));
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, place);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    guarded(response)
}

/// Adds the headers that every answer carries.
pub fn guarded(mut response: Response) -> Response {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A path inside the console to return to; anything else leads to its first page.
pub fn own_path(path: &str) -> &str {
    let inside = path == crate::BASE
        || path
            .strip_prefix(crate::BASE)
            .is_some_and(|rest| rest.starts_with(['/', '?']));
    let plain = path
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'"');
    match inside && plain {
        true => path,
        false => crate::BASE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        assert_eq!(own_path("/console/ledger?x=1"), "/console/ledger?x=1");
        for foreign in [
            "https://example.org/console",
            "//example.org",
            "/consolex",
            "/console/\r\nx",
            "/console\\x",
            "",
        ] {
            assert_eq!(own_path(foreign), "/console", "{foreign}");
        }
    }
}
