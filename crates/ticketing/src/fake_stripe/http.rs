//! The protocol: who calls, faults on purpose, idempotency keys, and the way to each call.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::Value;

use super::answer::{Refusal, json_answer};
use super::book::{Book, Kept};
use super::form::Form;
use super::{Shared, control, endpoints, faults, intents, lists, page, refunds};

/// Largest body of a call.
const BODY_MAX: usize = 1 << 20;
/// How long a call that hangs is held open.
const HANG: Duration = Duration::from_secs(600);

pub fn router(fake: Shared) -> Router {
    Router::new().fallback(serve).with_state(fake)
}

async fn serve(State(fake): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        let refusal = Refusal::of(413, "invalid_request_error", "The body is too large.");
        return json_answer(413, &refusal.body());
    };
    let method = parts.method.as_str();
    let path = parts.uri.path().to_owned();
    if let Some(what) = path.strip_prefix("/_control/") {
        return control::handle(&fake, method, what, &body);
    }
    if let Some(id) = path.strip_prefix("/3d-secure/") {
        return page::handle(&fake, method, id, &body);
    }
    let call = Call {
        method,
        path: &path,
        form: form_of(method, parts.uri.query(), &body),
        headers: &parts.headers,
    };
    call.answer(&fake).await
}

fn form_of(method: &str, query: Option<&str>, body: &Bytes) -> Form {
    match method {
        "POST" => Form::parse(body),
        _ => Form::parse(query.unwrap_or_default().as_bytes()),
    }
}

struct Call<'a> {
    method: &'a str,
    path: &'a str,
    form: Form,
    headers: &'a HeaderMap,
}

/// Whose key the call shows.
enum Key {
    Secret,
    Publishable,
}

impl Call<'_> {
    async fn answer(&self, fake: &Shared) -> Response {
        let key = match self.key() {
            Ok(key) => key,
            Err(refusal) => return json_answer(refusal.status, &refusal.body()),
        };
        let fault = {
            let mut book = fake.book.lock();
            *book.calls.entry(self.pattern()).or_insert(0) += 1;
            faults::take(&mut book.faults, self.method, self.path)
        };
        let answered = match &fault {
            Some(fault) if !fault.kind.is_after() => None,
            _ => Some(self.decide(fake, &key)),
        };
        fake.due.notify_one();
        match (fault, answered) {
            (Some(fault), _) if fault.kind.hangs() => {
                tokio::time::sleep(HANG).await;
                lost(504)
            }
            (Some(fault), _) => lost(fault.status),
            (None, Some(response)) => response,
            (None, None) => lost(500),
        }
    }

    /// `METHOD path` with ids left out.
    fn pattern(&self) -> String {
        let segments = self.path.split('/').map(|part| match part.contains('_') {
            true if part.contains(|c: char| c.is_ascii_digit()) => "*",
            _ => part,
        });
        format!("{} {}", self.method, segments.collect::<Vec<_>>().join("/"))
    }

    fn key(&self) -> Result<Key, Refusal> {
        let header = self.headers.get(AUTHORIZATION);
        let text = header
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let shown = if let Some(key) = text.strip_prefix("Bearer ") {
            key.to_owned()
        } else if let Some(basic) = text.strip_prefix("Basic ") {
            let pair = STANDARD.decode(basic).unwrap_or_default();
            let pair = String::from_utf8(pair).unwrap_or_default();
            pair.split(':').next().unwrap_or_default().to_owned()
        } else {
            let message = "You did not provide an API key.";
            return Err(Refusal::of(401, "invalid_request_error", message));
        };
        match shown.as_str() {
            key if key.starts_with("sk_test_") => Ok(Key::Secret),
            key if key.starts_with("pk_test_") => Ok(Key::Publishable),
            _ => Err(Refusal::of(
                401,
                "invalid_request_error",
                "Invalid API Key provided.",
            )),
        }
    }

    fn decide(&self, fake: &Shared, key: &Key) -> Response {
        let now = fake.now();
        let mut book = fake.book.lock();
        let idempotency = self.headers.get("idempotency-key");
        let idempotency = idempotency.and_then(|value| value.to_str().ok());
        let call = format!("{} {} {}", self.method, self.path, self.form.fingerprint());
        if let Some(kept) = idempotency.and_then(|key| book.kept.get(key)) {
            return replay(kept, &call);
        }
        let done = self.route(&mut book, key, &fake.base, now);
        let done = done.map(|object| lists::expand(&book, &self.form, object));
        let (status, body) = match done {
            Ok(body) => (200, body),
            Err(refusal) => (refusal.status, refusal.body()),
        };
        if let (Some(key), "POST") = (idempotency, self.method) {
            let kept = Kept {
                call,
                status,
                body: body.clone(),
            };
            book.keep(key, kept);
        }
        json_answer(status, &body)
    }

    fn route(&self, book: &mut Book, key: &Key, base: &str, now: i64) -> Result<Value, Refusal> {
        let path = self.path.trim_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        if let Key::Publishable = key {
            let allowed = match (self.method, segments.as_slice()) {
                ("GET", ["v1", "payment_intents", id])
                | ("POST", ["v1", "payment_intents", id, "confirm"]) => {
                    intents::opens(book, id, self.form.get("client_secret"))
                }
                _ => false,
            };
            if !allowed {
                let message = "This API call cannot be made with a publishable API key.";
                return Err(Refusal::of(403, "invalid_request_error", message));
            }
        }
        let form = &self.form;
        match (self.method, segments.as_slice()) {
            ("POST", ["v1", "payment_intents"]) => intents::create(book, form, base, now),
            ("POST", ["v1", "payment_intents", id, "confirm"]) => {
                intents::confirm(book, id, form, base, now)
            }
            ("POST", ["v1", "payment_intents", id, "cancel"]) => {
                intents::cancel(book, id, form, now)
            }
            ("POST", ["v1", "refunds"]) => refunds::create(book, form, now),
            ("POST", ["v1", "webhook_endpoints"]) => endpoints::create(book, form, now),
            ("DELETE", ["v1", "webhook_endpoints", id]) => endpoints::delete(book, id),
            ("GET", ["v1", "payment_intents"]) => lists::intents(book, form),
            ("GET", ["v1", "refunds"]) => lists::refunds(book, form),
            ("GET", ["v1", "balance_transactions"]) => lists::transactions(book, form),
            ("GET", ["v1", "events"]) => lists::events(book, form),
            ("GET", ["v1", "webhook_endpoints"]) => lists::endpoints(book, form),
            ("GET", ["v1", "balance"]) => Ok(lists::balance(book)),
            ("GET", ["v1", kind, id]) => lists::one(book, kind, id, form),
            _ => {
                let message = format!("Unrecognized request URL ({}: {}).", self.method, self.path);
                Err(Refusal::of(404, "invalid_request_error", message))
            }
        }
    }
}

fn replay(kept: &Kept, call: &str) -> Response {
    if kept.call != call {
        let message = "Keys for idempotent requests can only be used with the same parameters \
            they were first used with.";
        return json_answer(400, &Refusal::of(400, "idempotency_error", message).body());
    }
    let mut response = json_answer(kept.status, &kept.body);
    let yes = http::HeaderValue::from_static("true");
    response.headers_mut().insert("idempotent-replayed", yes);
    response
}

/// The answer of a call that fails on purpose.
fn lost(status: u16) -> Response {
    let refusal = Refusal::of(status, "api_error", "An error on purpose (faults).");
    json_answer(status, &refusal.body())
}
