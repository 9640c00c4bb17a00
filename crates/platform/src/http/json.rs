//! Strict input: JSON bodies, query strings and path parameters, with problems that name the
//! field.
//!
//! Invariants: a body is read up to the route's limit and never beyond; unknown fields are
//! refused by name where the target type says `#[serde(deny_unknown_fields)]`, which every
//! request type does; a field given twice is refused (by serde for structs, by
//! [`super::object::JsonObject`] for free-form objects).

use std::time::Duration;

use axum::body::Body;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::problem::{Problem, Status};
use super::router::RequestInfo;

/// Default body limit in bytes (contracts, "unknown input").
pub const DEFAULT_BODY_LIMIT: usize = 1 << 20;

/// Longest field name that is repeated to the caller, in bytes.
const MAX_NAME: usize = 128;

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON body as `T`, or a JSON answer.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes = read_json(request).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => json_bytes(bytes),
            Err(error) => Problem::internal(format_args!("answer: {error}")).into_response(),
        }
    }
}

/// An answer from JSON text that was made elsewhere.
pub fn json_bytes(bytes: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(bytes.into()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, APPLICATION_JSON);
    response
}

/// The unparsed bytes of a JSON body, for handlers that parse with borrowed types (see
/// [`parse`]) or compare bodies.
#[derive(Debug, Clone)]
pub struct JsonBytes(pub Bytes);

impl<S: Sync> FromRequest<S> for JsonBytes {
    type Rejection = Problem;
    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        read_json(request).await.map(Self)
    }
}

/// The bytes of a body of any type, up to the route's limit.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

impl<S: Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;
    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (limit, timeout) = bounds(&request);
        read_body(request.into_body(), limit, timeout)
            .await
            .map(Self)
    }
}

async fn read_json(request: Request) -> Result<Bytes, Problem> {
    require_json(request.headers())?;
    let (limit, timeout) = bounds(&request);
    read_body(request.into_body(), limit, timeout).await
}

fn bounds(request: &Request) -> (usize, Duration) {
    match request.extensions().get::<RequestInfo>() {
        Some(info) => (info.body_limit(), info.body_timeout()),
        None => (DEFAULT_BODY_LIMIT, Duration::from_secs(30)),
    }
}

/// 415 unless the content type is `application/json` (parameters are ignored: RFC 8259
/// defines none).
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE);
    let essence = given
        .and_then(|value| value.to_str().ok())
        .map(|text| text.split(';').next().unwrap_or(text).trim());
    if essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(Problem::new(
        Status::UnsupportedMediaType,
        "unsupported_media_type",
        "The body must be sent as `Content-Type: application/json`.",
    ))
}

/// Reads a body of at most `limit` bytes within `timeout`. A body that arrives in one piece is
/// not copied.
pub(super) async fn read_body(
    body: Body,
    limit: usize,
    timeout: Duration,
) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            Status::PayloadTooLarge,
            "body_too_large",
            format!("The body may have at most {limit} bytes."),
        )
        .with("limit", limit)
    };
    let mut body = body;
    if body.size_hint().lower() > limit as u64 {
        discard(body).await;
        return Err(too_large());
    }
    let collect = collect(&mut body, limit);
    match tokio::time::timeout(timeout, collect).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(BodyError::TooLarge)) => {
            discard(body).await;
            Err(too_large())
        }
        Ok(Err(BodyError::Broken(error))) => Err(Problem::new(
            Status::BadRequest,
            "validation_failed",
            "The body ended before its stated length or is not framed correctly.",
        )
        .with_cause(error)),
        Err(_) => Err(Problem::new(
            Status::RequestTimeout,
            "request_timeout",
            "The body did not arrive in time.",
        )),
    }
}

enum BodyError {
    TooLarge,
    Broken(axum::Error),
}

/// Reads a little of a body that is refused: closing a connection on a client that still sends
/// resets it, and the client may never see the answer.
async fn discard(mut body: Body) {
    const MOST: u64 = 8 << 20;
    const LONGEST: Duration = Duration::from_millis(500);
    if body.size_hint().lower() > MOST {
        return;
    }
    let read = async {
        let mut seen = 0;
        while let Ok(Some(data)) = next_data(&mut body).await {
            seen += data.len() as u64;
            if seen > MOST {
                break;
            }
        }
    };
    // Whether all of it came makes no difference to the answer.
    let _ = tokio::time::timeout(LONGEST, read).await;
}

async fn collect(body: &mut Body, limit: usize) -> Result<Bytes, BodyError> {
    let Some(first) = next_data(body).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > limit {
        return Err(BodyError::TooLarge);
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let Some(second) = next_data(body).await? else {
        return Ok(first);
    };
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let capacity = (first.len() + second.len()).saturating_add(expected);
    let mut all = BytesMut::with_capacity(capacity.min(limit));
    all.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(data) = next {
        if all.len() + data.len() > limit {
            return Err(BodyError::TooLarge);
        }
        all.extend_from_slice(&data);
        next = next_data(body).await?;
    }
    Ok(all.freeze())
}

async fn next_data(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        // Trailers carry nothing that any route reads.
        if let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Parses a JSON body; borrowed targets (`&str`, `&RawValue`) point into `bytes`. Errors: 400
/// `unknown_field` or `validation_failed`, naming the path of the field.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| explain::<T>(bytes, &error))
}

/// Finds the path only after a failure, so that good bodies pay nothing for it.
#[cold]
fn explain<'a, T: Deserialize<'a>>(bytes: &'a [u8], error: &serde_json::Error) -> Problem {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Problem::validation("", "A JSON body is needed.");
    }
    if !error.is_data() {
        return Problem::validation("", format!("The body is not valid JSON: {error}."));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(found) => {
            let path = found.path().to_string();
            data_problem(&path, &found.inner().to_string())
        }
        Ok(_) => data_problem("", &error.to_string()),
    }
}

/// Maps serde's messages, which are the only thing its derive hands out.
fn data_problem(path: &str, message: &str) -> Problem {
    let path = if path == "." { "" } else { path };
    let message = without_position(message);
    if let Some(name) = quoted(message, "unknown field `") {
        return Problem::unknown_field(join(path, name));
    }
    if let Some(name) = quoted(message, "missing field `") {
        return Problem::validation(join(path, name), "This field is required.");
    }
    if let Some(name) = quoted(message, "duplicate field `") {
        return Problem::validation(join(path, name), "This field is given more than once.");
    }
    Problem::validation(shorten(path), format!("{}.", shorten_text(message)))
}

/// Serde's path of a key error may or may not already end in the key.
fn join(path: &str, name: &str) -> String {
    let name = shorten(name);
    if path.is_empty() || path == name {
        return name;
    }
    match path.strip_suffix(name.as_str()) {
        Some(parent) if parent.ends_with('.') => path.to_string(),
        _ => format!("{path}.{name}"),
    }
}

fn quoted<'m>(message: &'m str, prefix: &str) -> Option<&'m str> {
    let rest = message.strip_prefix(prefix)?;
    let end = rest.find("`, ").or_else(|| rest.rfind('`'))?;
    Some(&rest[..end])
}

fn without_position(message: &str) -> &str {
    match message.rfind(" at line ") {
        Some(index) => &message[..index],
        None => message,
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}

fn shorten_text(text: &str) -> String {
    text.chars().take(4 * MAX_NAME).collect()
}

/// The query string as `T` (which denies unknown fields). Errors as for JSON bodies; the
/// field is the parameter's name.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// For routes without parameters: `Query<NoQuery>` refuses every one by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}

/// Parses a query string; see [`Query`].
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let deserializer = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        data_problem(&path, &error.inner().to_string())
    })
}

/// The parameters of the path as `T`. Errors: 400 `invalid_id` naming the parameter.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(path_problem(&rejection)),
        }
    }
}

fn path_problem(rejection: &PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(inner) = rejection else {
        return Problem::internal(format_args!("path parameters: {rejection}"));
    };
    let (field, message) = match inner.kind() {
        ErrorKind::ParseErrorAtKey { key, .. }
        | ErrorKind::InvalidUtf8InPathParam { key }
        | ErrorKind::DeserializeError { key, .. } => (key.as_str(), inner.body_text()),
        ErrorKind::WrongNumberOfParameters { .. } | ErrorKind::UnsupportedType { .. } => {
            return Problem::internal(format_args!("path parameters: {}", inner.body_text()));
        }
        _ => ("id", inner.body_text()),
    };
    Problem::invalid_id(field, shorten_text(&message))
}

#[cfg(test)]
mod tests;
