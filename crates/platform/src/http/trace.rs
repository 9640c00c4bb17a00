//! Trace ids: one per request, in every log line, answer and outgoing call.
//!
//! `X-Trace-Id` is kept when well formed (1-64 of `[A-Za-z0-9_-]`), made otherwise; a W3C
//! `traceparent` is continued (contracts, "tracing"). The context lives in a task-local, which
//! costs no allocation and no lock, so that log lines and problems find it anywhere below the
//! handler. Work moved to another task takes it along with [`scope`].

use std::fmt::{self, Write as _};
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::problem::ErrorForm;

/// `X-Trace-Id`.
pub const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// `traceparent` (W3C Trace Context, level 1).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Longest `X-Trace-Id` that is kept, in bytes.
pub const MAX_TRACE_ID_LEN: usize = 64;

tokio::task_local! {
    static CURRENT: Scope;
}

struct Scope {
    context: TraceContext,
    error_form: ErrorForm,
}

/// A trace id of 1-64 bytes, held inline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId {
    len: u8,
    bytes: [u8; MAX_TRACE_ID_LEN],
}

impl TraceId {
    /// The id, if it is well formed.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if text.is_empty() || text.len() > MAX_TRACE_ID_LEN || !text.iter().all(allowed) {
            return None;
        }
        let mut bytes = [0; MAX_TRACE_ID_LEN];
        bytes[..text.len()].copy_from_slice(text);
        Some(Self {
            len: text.len() as u8,
            bytes,
        })
    }

    /// The id that a W3C `traceparent` carries, if it is well formed.
    pub fn of_traceparent(text: &[u8]) -> Option<Self> {
        parse_traceparent(text).map(|parent| Self::from_w3c(parent.trace))
    }

    fn from_w3c(trace: u128) -> Self {
        let mut bytes = [0; MAX_TRACE_ID_LEN];
        write_hex(&mut bytes[..32], trace);
        Self { len: 32, bytes }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)])
            .expect("only ASCII passes the constructors")
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Position of a request in its traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// What the caller sees: `X-Trace-Id`, `traceId`.
    pub id: TraceId,
    /// W3C trace id, never 0.
    pub w3c_trace: u128,
    /// The caller's span, if it sent one.
    pub parent_span: Option<u64>,
    /// The span of this request, never 0.
    pub span: u64,
    /// The caller's decision to record; `None` without `traceparent`.
    pub sampled: Option<bool>,
}

impl TraceContext {
    /// Reads the headers of a request, making what is missing. Without `X-Trace-Id` the
    /// visible id is the W3C trace id, so that both systems of names agree.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let given = headers
            .get(&X_TRACE_ID)
            .and_then(|value| TraceId::parse(value.as_bytes()));
        let parent = headers
            .get(&TRACEPARENT)
            .and_then(|value| parse_traceparent(value.as_bytes()));
        let w3c_trace = match (&parent, &given) {
            (Some(parent), _) => parent.trace,
            (None, Some(id)) => parse_hex(id.as_str().as_bytes(), 32)
                .filter(|trace| *trace != 0)
                .unwrap_or_else(fresh_trace),
            (None, None) => fresh_trace(),
        };
        Self {
            id: given.unwrap_or_else(|| TraceId::from_w3c(w3c_trace)),
            w3c_trace,
            parent_span: parent.as_ref().map(|parent| parent.span),
            span: fresh_span(),
            sampled: parent.map(|parent| parent.sampled),
        }
    }

    /// A context for work that no request started (workers, schedules, the command line).
    pub fn fresh() -> Self {
        let w3c_trace = fresh_trace();
        Self {
            id: TraceId::from_w3c(w3c_trace),
            w3c_trace,
            parent_span: None,
            span: fresh_span(),
            sampled: None,
        }
    }

    /// The `traceparent` to send on: this request's span is the parent of what follows.
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        let flags = u8::from(self.sampled.unwrap_or(false));
        let _ = write!(
            text,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.w3c_trace, self.span
        );
        text
    }

    /// Sets both headers on an outgoing call.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(self.id.as_str()) {
            headers.insert(X_TRACE_ID, value);
        }
        if let Ok(value) = HeaderValue::from_str(&self.traceparent()) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

impl<S: Sync> FromRequestParts<S> for TraceContext {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(current().map_or_else(Self::fresh, |current| current.context))
    }
}

/// The context of the running task; see [`current`].
#[derive(Debug, Clone, Copy)]
pub struct Current {
    context: TraceContext,
    error_form: ErrorForm,
}

impl Current {
    /// The whole context.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// The visible id.
    pub fn trace_id(&self) -> &str {
        self.context.id.as_str()
    }

    /// Further members of this route's problems.
    pub(crate) fn error_form(&self) -> ErrorForm {
        self.error_form
    }
}

/// The context of the request that runs on this task, if one does.
pub fn current() -> Option<Current> {
    CURRENT
        .try_with(|scope| Current {
            context: scope.context,
            error_form: scope.error_form,
        })
        .ok()
}

/// Runs a future under a context: for spawned tasks and background work.
pub fn scope<F: Future>(context: TraceContext, future: F) -> impl Future<Output = F::Output> {
    scope_with(context, ErrorForm::Plain, future)
}

pub(crate) fn scope_with<F: Future>(
    context: TraceContext,
    error_form: ErrorForm,
    future: F,
) -> impl Future<Output = F::Output> {
    let scope = Scope {
        context,
        error_form,
    };
    CURRENT.scope(scope, future)
}

/// Calls `write` with the current trace id, without copying it.
pub fn with_current_id<R>(write: impl FnOnce(&str) -> R) -> Option<R> {
    CURRENT
        .try_with(|scope| write(scope.context.id.as_str()))
        .ok()
}

#[derive(Debug, PartialEq, Eq)]
struct Traceparent {
    trace: u128,
    span: u64,
    sampled: bool,
}

/// W3C Trace Context, section 3.2: `version-trace-span-flags`; versions above 00 may carry
/// more fields behind; version ff and all-zero ids are invalid.
fn parse_traceparent(text: &[u8]) -> Option<Traceparent> {
    let whole = text.len() == 55 || (text.len() > 55 && &text[..2] != b"00" && text[55] == b'-');
    if !whole || text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
        return None;
    }
    let version = parse_hex(&text[..2], 2)?;
    let trace = parse_hex(&text[3..35], 32)?;
    let span = parse_hex(&text[36..52], 16)? as u64;
    let flags = parse_hex(&text[53..55], 2)?;
    (version != 0xff && trace != 0 && span != 0).then_some(Traceparent {
        trace,
        span,
        sampled: flags & 1 == 1,
    })
}

fn parse_hex(text: &[u8], len: usize) -> Option<u128> {
    if text.len() != len {
        return None;
    }
    text.iter().try_fold(0_u128, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

fn write_hex(out: &mut [u8], mut value: u128) {
    for slot in out.iter_mut().rev() {
        *slot = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

/// Ids need to be unique, not secret: a keyed hash over a counter, with keys drawn once from
/// the operating system, avoids a system call per request.
struct IdSource {
    keys: [RandomState; 2],
    counter: AtomicU64,
}

static IDS: LazyLock<IdSource> = LazyLock::new(|| IdSource {
    keys: [RandomState::new(), RandomState::new()],
    counter: AtomicU64::new(1),
});

impl IdSource {
    fn next(&self, key: usize, count: u64) -> u64 {
        let mut hasher = self.keys[key].build_hasher();
        hasher.write_u64(count);
        hasher.finish().max(1)
    }
}

fn fresh_trace() -> u128 {
    let count = IDS.counter.fetch_add(1, Ordering::Relaxed);
    u128::from(IDS.next(0, count)) << 64 | u128::from(IDS.next(1, count))
}

pub(crate) fn fresh_span() -> u64 {
    let count = IDS.counter.fetch_add(1, Ordering::Relaxed);
    IDS.next(1, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn well_formed_ids_are_kept_and_others_replaced() {
        let kept = TraceContext::from_headers(&headers(&[("x-trace-id", "Abc_9-z")]));
        assert_eq!(kept.id.as_str(), "Abc_9-z");
        let long = "a".repeat(64);
        assert!(TraceId::parse(long.as_bytes()).is_some());
        for bad in ["", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(TraceId::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
        let made = TraceContext::from_headers(&headers(&[("x-trace-id", "a b")]));
        assert_eq!(made.id.as_str().len(), 32);
        assert_ne!(made, TraceContext::from_headers(&HeaderMap::new()));
    }

    #[test]
    fn traceparent_is_continued() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::from_headers(&headers(&[("traceparent", parent)]));
        assert_eq!(context.id.as_str(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.parent_span, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(context.sampled, Some(true));
        let onward = context.traceparent();
        assert!(onward.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(onward.ends_with("-01"));
        assert_ne!(onward, parent, "a new span stands in it");
    }

    #[test]
    fn malformed_traceparents_are_ignored() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(parse_traceparent(bad.as_bytes()), None, "{bad}");
        }
        let later = b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        assert!(parse_traceparent(later).is_some());
    }

    #[tokio::test]
    async fn the_context_follows_the_task() {
        assert!(current().is_none());
        let context = TraceContext::fresh();
        let seen = scope(context, async { current().map(|c| c.context()) }).await;
        assert_eq!(seen, Some(context));
    }
}
