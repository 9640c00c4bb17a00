//! RFC 9457 problems: the one shape in which every refusal leaves the process.
//!
//! Boundary: a room builds a [`Problem`] from its own error type; the kit renders it, adds the
//! trace id and logs the cause. Invariants: a 5xx body carries nothing but its fixed text and
//! code (the cause goes to the log under the same trace id); `code` is stable snake_case.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

pub use super::status::Status;
use super::trace;

/// Media type of problem bodies (RFC 9457, section 3).
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// How loudly a problem is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// An ordinary refusal; nobody needs to look.
    Debug,
    /// Worth counting.
    Info,
    /// The service protects itself or depends on something that fails.
    Warn,
    /// A fault of this program.
    Error,
}

/// How a request ended, for metrics: the label `outcome` of `http_server_requests_seconds`
/// (ledger-wallets contract, section E).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Status below 400.
    Success,
    /// An orderly refusal by a business rule (funds, limits, status of the object).
    Refused,
    /// The caller's mistake.
    ClientError,
    /// Ours.
    ServerError,
}

impl Outcome {
    /// Every member.
    pub const ALL: [Self; 4] = [
        Self::Success,
        Self::Refused,
        Self::ClientError,
        Self::ServerError,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
        }
    }

    /// The outcome of a status that no handler has marked.
    pub const fn of_status(status: u16) -> Self {
        match status {
            0..=399 => Self::Success,
            400..=499 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

/// Further members of a route's problems, for clients that read other names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorForm {
    /// None.
    #[default]
    Plain,
    /// `error`: the code in upper case (ledger-wallets contract, section 0).
    UpperCode,
    /// `error` (= `code`) and `message` (= `detail`) (shadow-ledger contract, section 0).
    Words,
}

/// One violated field of a validation problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field (`items[3].amount`), a query parameter's or a header's name.
    pub field: String,
    /// Stable snake_case code.
    pub code: Cow<'static, str>,
    /// For people.
    pub message: Cow<'static, str>,
}

/// A refusal. One pointer wide, so that `Result<T, Problem>` stays small.
#[derive(Clone)]
pub struct Problem(Box<Inner>);

#[derive(Clone)]
struct Inner {
    status: Status,
    code: Cow<'static, str>,
    title: Option<Cow<'static, str>>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    extra: Vec<(Cow<'static, str>, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
    severity: Severity,
    outcome: Outcome,
}

impl Problem {
    /// A problem with its status, stable code and a sentence for people.
    pub fn new(
        status: Status,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            code: code.into(),
            title: None,
            detail: detail.into(),
            errors: Vec::new(),
            extra: Vec::new(),
            headers: Vec::new(),
            cause: None,
            severity: status.severity(),
            outcome: Outcome::of_status(status.as_u16()),
        }))
    }

    /// 400 `validation_failed` about one field.
    pub fn validation(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::field(Status::BadRequest, "validation_failed", field, message)
    }

    /// A problem with a code of its own about one field; the field also stands in `errors`.
    pub fn field(
        status: Status,
        code: &'static str,
        field: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let message = message.into();
        Self::new(status, code, message.clone()).with_error(field, code, message)
    }

    /// 400 `unknown_field`.
    pub fn unknown_field(field: impl Into<String>) -> Self {
        let field = field.into();
        let detail = format!("The field `{field}` is not known here.");
        Self::field(Status::BadRequest, "unknown_field", field, detail)
    }

    /// 400 `invalid_id`.
    pub fn invalid_id(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::field(Status::BadRequest, "invalid_id", field, message)
    }

    /// 404 with the code of the thing (`wallet_not_found`).
    pub fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::NotFound, code, detail)
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::Conflict, code, detail)
    }

    /// 401 `unauthenticated` with `WWW-Authenticate`.
    pub fn unauthenticated(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::Unauthorized, "unauthenticated", detail).with_header(
            http::header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"florin\""),
        )
    }

    /// 403 `forbidden`; names the permission that the caller lacks.
    pub fn forbidden(permission: &str) -> Self {
        Self::new(
            Status::Forbidden,
            "forbidden",
            format!("This needs the permission `{permission}`."),
        )
        .with("permission", permission)
    }

    /// 503 `overloaded`: a bounded queue is full; the request was not begun.
    pub fn overloaded() -> Self {
        Self::unavailable("overloaded", "The server is full at the moment.")
    }

    /// 503 with a code of its own and `Retry-After: 1`.
    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::ServiceUnavailable, code, detail).with_retry_after(Duration::from_secs(1))
    }

    /// 500 `internal_error`; `cause` is logged, never shown.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(
            Status::InternalServerError,
            "internal_error",
            "The server failed; the trace id leads to the cause in its log.",
        )
        .with_cause(cause)
    }

    /// Sets the title; without it the title is the code in words.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// Adds an entry to `errors`.
    #[must_use]
    pub fn with_error(
        mut self,
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.0.errors.push(FieldError {
            field: field.into(),
            code: code.into(),
            message: message.into(),
        });
        self
    }

    /// Adds a top-level member such as `field`, `limit`, `remaining`, `resetsAt`, `firstCode`.
    /// A second value for the same name replaces the first.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        let name = name.into();
        let value = value.into();
        match self.0.extra.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.extra.push((name, value)),
        }
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Adds `Retry-After`, in whole seconds rounded up, at least 1.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.0.headers.retain(|(name, _)| *name != RETRY_AFTER);
        self.with_header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Adds the internal cause: logged with the trace id, never shown.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Sets how loudly this is logged.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.0.severity = severity;
        self
    }

    /// Marks a refusal by a business rule, which metrics count apart from mistakes.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.0.outcome = Outcome::Refused;
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The violated fields.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The internal cause, if one was given.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// How loudly this is logged.
    pub fn severity(&self) -> Severity {
        self.0.severity
    }

    /// How metrics count this.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The body. `form` adds members, unless the problem already has such a member.
    pub fn to_json(&self, trace_id: Option<&str>, form: ErrorForm) -> Vec<u8> {
        let view = View {
            inner: &self.0,
            trace_id,
            form,
        };
        serde_json::to_vec(&view).expect("a problem holds only strings and JSON values")
    }

    /// The answer with a given trace id; see [`Problem::to_json`].
    pub fn render(self, trace_id: Option<&str>, form: ErrorForm) -> Response {
        let body = Bytes::from(self.to_json(trace_id, form));
        let mut response = Response::new(axum::body::Body::from(body));
        *response.status_mut() = self.0.status.code();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        for (name, value) in &self.0.headers {
            headers.append(name.clone(), value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Renders with the trace id of the request that runs on this task. The problem itself stays
/// in the response's extensions for the access log and the metrics.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match trace::current() {
            Some(context) => {
                let form = context.error_form();
                self.render(Some(context.trace_id()), form)
            }
            None => self.render(None, ErrorForm::Plain),
        }
    }
}

struct View<'a> {
    inner: &'a Inner,
    trace_id: Option<&'a str>,
    form: ErrorForm,
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inner = self.inner;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("urn:florin:problem:{}", inner.code))?;
        match &inner.title {
            Some(title) => map.serialize_entry("title", title)?,
            None => map.serialize_entry("title", &title_of(&inner.code))?,
        }
        map.serialize_entry("status", &inner.status.as_u16())?;
        map.serialize_entry("detail", &inner.detail)?;
        map.serialize_entry("code", &inner.code)?;
        if let Some(trace_id) = self.trace_id {
            map.serialize_entry("traceId", trace_id)?;
        }
        if !inner.errors.is_empty() {
            map.serialize_entry("errors", &Errors(&inner.errors))?;
        }
        let lacks = |member: &str| !inner.extra.iter().any(|(name, _)| name == member);
        match self.form {
            ErrorForm::UpperCode if lacks("error") => {
                map.serialize_entry("error", &inner.code.to_ascii_uppercase())?;
            }
            ErrorForm::Words => {
                if lacks("error") {
                    map.serialize_entry("error", &inner.code)?;
                }
                if lacks("message") {
                    map.serialize_entry("message", &inner.detail)?;
                }
            }
            ErrorForm::Plain | ErrorForm::UpperCode => {}
        }
        for (name, value) in &inner.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

struct Errors<'a>(&'a [FieldError]);

impl Serialize for Errors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0)
    }
}

impl Serialize for FieldError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("field", &self.field)?;
        map.serialize_entry("code", &self.code)?;
        map.serialize_entry("message", &self.message)?;
        map.end()
    }
}

/// The code in words: `insufficient_funds` becomes `Insufficient funds`.
fn title_of(code: &str) -> String {
    let mut title = code.replace('_', " ");
    if let Some(first) = title.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    title
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("status", &self.0.status.as_u16())
            .field("code", &self.0.code)
            .field("detail", &self.0.detail)
            .field("errors", &self.0.errors)
            .field("extra", &self.0.extra)
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.0.status.as_u16(),
            self.0.code,
            self.0.detail
        )
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests;
