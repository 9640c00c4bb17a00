//! `/3d-secure/{intent}`: the page to which a cardholder is sent, with two buttons.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};

use super::Shared;
use super::form::Form;
use super::intents::{self, Authenticated};

const PAGE: &str = include_str!("page.html");

/// Shows the page, or takes the answer and sends the browser back to the shop.
pub fn handle(fake: &Shared, method: &str, id: &str, body: &[u8]) -> Response {
    match method {
        "GET" => html(StatusCode::OK, PAGE),
        _ => {
            let passed = Form::parse(body).get("result") == Some("success");
            let how = match passed {
                true => Authenticated::Passed,
                false => Authenticated::Failed,
            };
            let now = fake.now();
            let mut book = fake.book.lock();
            let done = intents::authenticate(&mut book, id, how, false, None, now);
            let back = book
                .intents
                .get(id)
                .and_then(|intent| intent.return_url.clone());
            drop(book);
            fake.due.notify_one();
            match (done, back) {
                (Ok(_), Some(back)) => see_other(&back),
                (Ok(_), None) => html(StatusCode::OK, "<!doctype html><p>Done.</p>"),
                (Err(_), _) => html(
                    StatusCode::CONFLICT,
                    "<!doctype html><p>This payment does not wait for authentication.</p>",
                ),
            }
        }
    }
}

fn html(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn see_other(url: &str) -> Response {
    match HeaderValue::from_str(url) {
        Ok(location) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(_) => html(StatusCode::OK, "<!doctype html><p>Done.</p>"),
    }
}
