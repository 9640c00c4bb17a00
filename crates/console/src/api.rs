//! The one way from a page to data: the public API, with the visitor's own token.
//!
//! **Boundary.** [`Api`] is implemented in `app`: in process over the server's own router, or over
//! HTTP to a gateway. [`Client`] is what pages use.
//!
//! **Invariants.** No call carries another credential than the visitor's, or none. An answer
//! above [`MAX_ANSWER`] is not read into memory; downloads are passed on as they come.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use florin_base::Secret;
use form_urlencoded::Serializer;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use serde_json::Value;

/// Largest answer that a page reads, in bytes.
pub const MAX_ANSWER: usize = 16 << 20;

/// A request to the API.
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path with its query.
    pub path: String,
    /// Headers beside the credential.
    pub headers: HeaderMap,
    /// Body.
    pub body: Body,
    /// The visitor's access token; `None` for routes that need none.
    pub token: Option<Secret<String>>,
    /// The visitor's address, for rate limits.
    pub client: IpAddr,
}

/// What the API answered; the body has not been read.
pub type Answer = http::Response<Body>;

/// The API did not answer at all.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Away(pub String);

/// A pending answer.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Result<Answer, Away>> + Send + 'a>>;

/// The public API, wherever it runs.
pub trait Api: Send + Sync + 'static {
    /// Makes one call.
    fn call(&self, call: Call) -> Calling<'_>;
}

/// What the API refused, in its own words (contracts, "errors").
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Status.
    pub status: StatusCode,
    /// Stable code.
    pub code: String,
    /// For people.
    pub detail: String,
    /// Violated fields with their messages.
    pub fields: Vec<(String, String)>,
    /// Leads to the log.
    pub trace_id: Option<String>,
    /// Seconds to wait.
    pub retry_after: Option<String>,
}

impl Refusal {
    /// Nothing answers at this path: the role behind it does not run here.
    pub fn is_absent_room(&self) -> bool {
        self.code == "not_found" && self.status == StatusCode::NOT_FOUND
            || self.code == "upstream_unavailable"
    }

    /// The visitor's roles do not allow it.
    pub fn is_forbidden(&self) -> bool {
        self.status == StatusCode::FORBIDDEN
    }
}

/// Why a call gave no value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// Refused.
    #[error("{} {}", .0.status, .0.code)]
    Refused(Box<Refusal>),
    /// No answer.
    #[error("the API does not answer: {0}")]
    Away(#[from] Away),
    /// An answer that cannot be read.
    #[error("the answer of the API cannot be read: {0}")]
    Unreadable(String),
}

impl ApiError {
    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ProblemBody {
    code: String,
    detail: String,
    trace_id: Option<String>,
    errors: Vec<ProblemField>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ProblemField {
    field: String,
    message: String,
}

/// The API in one visitor's name; clones share it.
#[derive(Clone)]
pub struct Client {
    api: Arc<dyn Api>,
    token: Option<Secret<String>>,
    client: IpAddr,
}

impl Client {
    /// In the name of the owner of `token`.
    pub fn new(api: Arc<dyn Api>, token: Option<Secret<String>>, client: IpAddr) -> Self {
        Self { api, token, client }
    }

    /// A GET to build on.
    pub fn get(&self, path: impl Into<String>) -> Ask<'_> {
        Ask::new(self, Method::GET, path.into())
    }

    /// A POST to build on.
    pub fn post(&self, path: impl Into<String>) -> Ask<'_> {
        Ask::new(self, Method::POST, path.into())
    }

    /// A report that is one whatever its status: `/ready` says 503 when it is not.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn report(&self, path: &str) -> Result<Value, ApiError> {
        let answer = self.api.call(self.get(path).into_call()).await?;
        let (head, body) = answer.into_parts();
        let bytes = read(Answer::new(body)).await?;
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(report) if report.get("checks").is_some() => Ok(report),
            _ => Err(refusal_of(head.status, &head.headers, &bytes)),
        }
    }

    /// A PUT to build on.
    pub fn put(&self, path: impl Into<String>) -> Ask<'_> {
        Ask::new(self, Method::PUT, path.into())
    }

    /// A PATCH to build on.
    pub fn patch(&self, path: impl Into<String>) -> Ask<'_> {
        Ask::new(self, Method::PATCH, path.into())
    }

    /// A DELETE to build on.
    pub fn delete(&self, path: impl Into<String>) -> Ask<'_> {
        Ask::new(self, Method::DELETE, path.into())
    }
}

/// A call being built.
pub struct Ask<'c> {
    client: &'c Client,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Body,
}

impl<'c> Ask<'c> {
    fn new(client: &'c Client, method: Method, path: String) -> Self {
        Self {
            client,
            method,
            path,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }

    /// Adds a query parameter; an empty value is left out.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        if !value.as_ref().is_empty() {
            self.query
                .push((name.to_owned(), value.as_ref().to_owned()));
        }
        self
    }

    /// Adds several, leaving empty ones out.
    #[must_use]
    pub fn queries<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        for (name, value) in pairs {
            self = self.query(name, value);
        }
        self
    }

    /// Adds a header; one that cannot stand in HTTP is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Adds `Idempotency-Key`: the same form sent twice acts once.
    #[must_use]
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header(HeaderName::from_static("idempotency-key"), key)
    }

    /// A JSON body.
    #[must_use]
    pub fn json_body(mut self, body: &Value) -> Self {
        let json = HeaderValue::from_static("application/json");
        self.headers.insert(CONTENT_TYPE, json);
        self.body = Body::from(body.to_string());
        self
    }

    /// Any body, passed on as it comes.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: Body) -> Self {
        self.body = body;
        self.header(CONTENT_TYPE, content_type)
    }

    /// Makes the call; refusals are errors, the body of a success is not read.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn send(self) -> Result<Answer, ApiError> {
        let api = Arc::clone(&self.client.api);
        let answer = api.call(self.into_call()).await?;
        match answer.status().is_success() {
            true => Ok(answer),
            false => Err(refused(answer).await),
        }
    }

    fn into_call(self) -> Call {
        let mut path = self.path;
        if !self.query.is_empty() {
            let mut query = Serializer::new(String::new());
            query.extend_pairs(self.query);
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&query.finish());
        }
        Call {
            method: self.method,
            path,
            headers: self.headers,
            body: self.body,
            token: self.client.token.clone(),
            client: self.client.client,
        }
    }

    /// Makes the call and reads the body.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn bytes(self) -> Result<Bytes, ApiError> {
        read(self.send().await?).await
    }

    /// Makes the call and reads the body as JSON; an empty one is `null`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn json(self) -> Result<Value, ApiError> {
        let bytes = self.bytes().await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| ApiError::Unreadable(error.to_string()))
    }
}

async fn read(answer: Answer) -> Result<Bytes, ApiError> {
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    body.map(|read| read.to_bytes())
        .map_err(|error| ApiError::Unreadable(error.to_string()))
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

async fn refused(answer: Answer) -> ApiError {
    let (head, body) = answer.into_parts();
    // A refusal whose body breaks off is one all the same.
    let bytes = read(Answer::new(body)).await.unwrap_or_default();
    refusal_of(head.status, &head.headers, &bytes)
}

fn refusal_of(status: StatusCode, headers: &HeaderMap, bytes: &[u8]) -> ApiError {
    let problem: ProblemBody = serde_json::from_slice(bytes).unwrap_or_default();
    let fields = problem.errors.into_iter();
    let trace_id = problem.trace_id;
    ApiError::Refused(Box::new(Refusal {
        status,
        code: problem.code,
        detail: problem.detail,
        fields: fields.map(|error| (error.field, error.message)).collect(),
        trace_id: trace_id.or_else(|| header(headers, "x-trace-id")),
        retry_after: header(headers, "retry-after"),
    }))
}

/// Text of a member; empty when it is missing or no text. Members of members by `a.b`.
pub fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    find(value, member).and_then(Value::as_str).unwrap_or("")
}

/// A whole number of a member; 0 when it is missing.
pub fn number(value: &Value, member: &str) -> u64 {
    find(value, member).and_then(Value::as_u64).unwrap_or(0)
}

/// A flag of a member.
pub fn flag(value: &Value, member: &str) -> bool {
    find(value, member)
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// The items of a page or of a member that is a list.
pub fn items<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    let list = find(value, member).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// Any scalar as text, for tables: texts as they are, numbers and flags printed, else empty.
pub fn shown(value: &Value, member: &str) -> String {
    match find(value, member) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

fn find<'v>(value: &'v Value, member: &str) -> Option<&'v Value> {
    member
        .split('.')
        .try_fold(value, |value, name| value.get(name))
}

/// A segment of a path: everything but unreserved characters in percent form (RFC 3986).
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_read_or_empty() {
        let value = json!({"a": {"b": "x"}, "n": 3, "list": [1, 2]});
        assert_eq!(text(&value, "a.b"), "x");
        assert_eq!(text(&value, "a.c"), "");
        assert_eq!(number(&value, "n"), 3);
        assert_eq!(items(&value, "list").len(), 2);
        assert_eq!(shown(&value, "n"), "3");
    }

    #[test]
    fn segments_cannot_leave_their_place() {
        assert_eq!(segment("florin:fee/BRL?x"), "florin%3Afee%2FBRL%3Fx");
        assert_eq!(segment("../é"), "..%2F%C3%A9");
    }
}
