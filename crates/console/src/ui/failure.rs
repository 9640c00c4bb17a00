//! What is not there, not allowed or away, said plainly.

use http::StatusCode;
use maud::{Markup, html};

use crate::api::{ApiError, Refusal};
use crate::reply::{Failure, Page, words_of};

/// In place of a part of a page.
pub fn note(error: &ApiError) -> Markup {
    let (title, words, trace) = words(error);
    html! {
        div.notice role="note" {
            strong { (title) } " " (words)
            @if let Some(trace) = trace { " " span.note { "Trace id " code { (trace) } } }
        }
    }
}

fn words(error: &ApiError) -> (&'static str, String, Option<&str>) {
    match error {
        ApiError::Refused(refusal) => {
            let (title, words) = refused(refusal);
            (title, words, refusal.trace_id.as_deref())
        }
        ApiError::Away(_) => (
            "The API does not answer.",
            "See the log of this process; the next try may succeed.".to_owned(),
            None,
        ),
        ApiError::Unreadable(_) => (
            "The answer could not be read.",
            "See the log of this process.".to_owned(),
            None,
        ),
    }
}

fn refused(refusal: &Refusal) -> (&'static str, String) {
    if refusal.is_absent_room() {
        let words = "No process with this role answers here. florin roles lists them; \
                     gateway.upstreams says where they are.";
        return ("This part does not run.", words.to_owned());
    }
    if refusal.is_forbidden() {
        return ("Not permitted.", words_of(refusal));
    }
    let title = match refusal.status {
        StatusCode::NOT_FOUND => "Not found.",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests.",
        StatusCode::SERVICE_UNAVAILABLE => "Not available at the moment.",
        status if status.is_server_error() => "The server failed.",
        _ => "Refused.",
    };
    (title, words_of(refusal))
}

/// In place of a whole page.
pub fn page(failure: &Failure) -> Page {
    let (status, title, content) = match failure {
        Failure::Api(error) => {
            let status = error
                .refusal()
                .map_or(StatusCode::SERVICE_UNAVAILABLE, |refusal| refusal.status);
            (status, words(error).0, note(error))
        }
        Failure::NotFound => (
            StatusCode::NOT_FOUND,
            "Not found.",
            html! { p { "There is no such page." } },
        ),
        Failure::Bad(why) => (
            StatusCode::BAD_REQUEST,
            "It did not work.",
            html! { div.notice { (why) } },
        ),
        Failure::ForeignForm => (
            StatusCode::FORBIDDEN,
            "Not done.",
            html! {
                div.notice {
                    "The form does not belong to this sign-in: it may be old. Nothing was done; "
                    "go back, load the page again and repeat."
                }
            },
        ),
        Failure::SignedOut => (
            StatusCode::UNAUTHORIZED,
            "Signed out.",
            html! { p { a href="/console/sign-in" { "Sign in" } } },
        ),
    };
    let mut page = Page::new(title.trim_end_matches('.'), content);
    page.status = status;
    page
}
