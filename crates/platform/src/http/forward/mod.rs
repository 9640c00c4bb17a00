//! The gateway's half of a request: hands it to one of the processes that serve the role.
//!
//! **Boundary.** Which path belongs to which role comes from the roles' own descriptions
//! ([`Description::forward`](super::router::Description::forward)); no rule stands here. The
//! gateway's guard has authenticated the caller and counted the request before it comes here; the
//! process behind verifies the same again, so that going round the gateway gains nothing.
//!
//! **Invariants.**
//! - A request is sent a second time only if the first certainly did nothing (no connection, or
//!   an answer that promises so) or if repeating it is harmless: a safe or idempotent method, or
//!   an `Idempotency-Key`. A call that writes and whose answer was lost, with no later answer, is
//!   503 `commit_unknown`, whatever came after.
//! - Bodies above [`ForwardConfig::buffer_max`] are passed on while they arrive and are never
//!   sent twice.
//! - The address that the process behind sees in `X-Forwarded-For` is the client's as the gateway
//!   judged it; what the client claimed itself is dropped.

mod headers;
mod target;
mod upstreams;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::time::Instant;
use tower::Service;

use self::target::Target;
use self::upstreams::Upstreams;
use super::json::read_body;
use super::problem::Problem;
use super::router::RequestInfo;
use super::shutdown::Shutdown;

/// Answers of the processes behind that promise that nothing was done, and that another process
/// may not have to give (ledger-wallets contract, section E).
const NOT_DONE: [&str; 2] = ["store_unavailable", "clock_unsafe"];
/// Longest problem that is read to see its code.
const PROBLEM_MAX: u64 = 16 << 10;
/// Most processes tried for one request.
const TRIES: usize = 3;
/// A further try begins within this time or not at all: a store that is away is away for all, and
/// the caller is to hear of it within a second (ledger-wallets contract, section E), of which the
/// last try may take nearly all.
const RETRY_WITHIN: Duration = Duration::from_millis(100);

/// Where a role is served, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardConfig {
    /// The role's name, for messages and metrics.
    pub role: &'static str,
    /// `http://host:port` or `https://host:port`. A name stands for all its addresses and is
    /// looked up again every [`ForwardConfig::lookup_interval`].
    pub upstreams: Vec<String>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer.
    pub answer_timeout: Duration,
    /// Time between two looks at `/ready` of each process.
    pub probe_interval: Duration,
    /// Time between two look-ups of a name.
    pub lookup_interval: Duration,
    /// Largest body in bytes that is kept for a second try.
    pub buffer_max: usize,
    /// Extra root certificates, PEM, for `https`.
    pub extra_roots: Vec<Vec<u8>>,
}

impl ForwardConfig {
    /// Defaults: 500 ms to connect, 60 s for an answer, looks twice a second, names every 5 s,
    /// bodies up to 1 MiB kept.
    pub fn new(role: &'static str, upstreams: Vec<String>) -> Self {
        Self {
            role,
            upstreams,
            connect_timeout: Duration::from_millis(500),
            answer_timeout: Duration::from_secs(60),
            probe_interval: Duration::from_millis(500),
            lookup_interval: Duration::from_secs(5),
            buffer_max: 1 << 20,
            extra_roots: Vec::new(),
        }
    }
}

/// Why a role cannot be forwarded to.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// Not `http://host:port` or `https://host:port`.
    #[error("`{0}` is not an upstream; write http://host:port or https://host:port")]
    Url(String),
    /// No upstream at all.
    #[error("role {0} has no upstream")]
    Empty(&'static str),
    /// A certificate that cannot be read.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Hands requests to the processes of one role; clones share it.
#[derive(Debug, Clone)]
pub struct Forward {
    upstreams: Arc<Upstreams>,
}

/// What became of one try.
enum Tried {
    /// The answer.
    Answer(Response),
    /// Certainly nothing was done.
    NotDone(Problem),
    /// Perhaps it was done.
    Unknown(String),
}

/// The part of a problem that decides about a second try.
#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    code: String,
}

/// A request in a form that can be sent more than once.
struct Parts {
    method: Method,
    path: String,
    headers: HeaderMap,
    /// Sending it twice does no harm.
    repeatable: bool,
}

impl Forward {
    /// Looks names up once, then at the upstreams until the process ends. A name that cannot be
    /// looked up yet is no error: it is tried again.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub async fn start(config: ForwardConfig, shutdown: Shutdown) -> Result<Self, ForwardError> {
        let upstreams = Arc::new(Upstreams::new(config)?);
        upstreams.look_up().await;
        tokio::spawn(Arc::clone(&upstreams).watch(shutdown));
        Ok(Self { upstreams })
    }

    /// How many processes are ready, and how many are known.
    pub fn ready(&self) -> (usize, usize) {
        self.upstreams.ready()
    }

    async fn pass(&self, request: Request) -> Result<Response, Problem> {
        let info = request.extensions().get::<RequestInfo>().cloned();
        let info = info.ok_or_else(|| Problem::internal("a forwarded request has no guard"))?;
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let headers = headers::outgoing(&head.headers, info.client());
        let parts = Parts {
            // What `Connection` names does not go along, so it counts only if it is still there.
            repeatable: head.method.is_idempotent() || headers.contains_key("idempotency-key"),
            path: path.to_owned(),
            headers,
            method: head.method,
        };
        let length = head.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let config = self.upstreams.config();
        let bodyless = length.is_none() && !head.headers.contains_key(header::TRANSFER_ENCODING);
        if bodyless || length.is_some_and(|length| length <= config.buffer_max as u64) {
            let body = read_body(body, info.body_limit(), info.body_timeout()).await?;
            return self.pass_kept(&parts, body).await;
        }
        if length.is_some_and(|length| length > info.body_limit() as u64) {
            return read_body(body, info.body_limit(), info.body_timeout())
                .await
                .and(Err(Problem::internal("a body shrank")));
        }
        self.pass_stream(&parts, body).await
    }

    /// Tries one process after the other, as far as that is safe.
    async fn pass_kept(&self, parts: &Parts, body: Bytes) -> Result<Response, Problem> {
        let mut tried: Vec<Arc<Target>> = Vec::new();
        let mut last = self.nobody();
        // Once a try may have done something, no later one can say that nothing was done.
        let mut doubt = None;
        let begun = Instant::now();
        while tried.is_empty() || tried.len() < TRIES && begun.elapsed() < RETRY_WITHIN {
            let Some(target) = self.upstreams.pick(&tried) else {
                break;
            };
            let outcome = self.send(&target, parts, body.clone().into()).await;
            tried.push(target);
            match outcome {
                Tried::Answer(answer) => return Ok(answer),
                Tried::NotDone(problem) => last = problem,
                Tried::Unknown(cause) if parts.method.is_safe() => {
                    last = self.nobody().with_cause(cause);
                }
                Tried::Unknown(cause) if parts.repeatable => doubt = Some(cause),
                Tried::Unknown(cause) => return Err(unknown(cause)),
            }
            metrics::counter!("gateway_retries_total", "role" => self.upstreams.config().role)
                .increment(1);
        }
        Err(doubt.map_or(last, unknown))
    }

    async fn pass_stream(&self, parts: &Parts, body: Body) -> Result<Response, Problem> {
        let Some(target) = self.upstreams.pick(&[]) else {
            return Err(self.nobody());
        };
        let body = reqwest::Body::wrap_stream(body.into_data_stream());
        match self.send(&target, parts, body).await {
            Tried::Answer(answer) => Ok(answer),
            Tried::NotDone(problem) => Err(problem),
            Tried::Unknown(cause) if parts.method.is_safe() => Err(self.nobody().with_cause(cause)),
            Tried::Unknown(cause) => Err(unknown(cause)),
        }
    }

    async fn send(&self, target: &Arc<Target>, parts: &Parts, body: reqwest::Body) -> Tried {
        let Some(url) = target.url(&parts.path) else {
            // The guard matched the path as it was sent; one that means another path is refused.
            return Tried::Answer(
                Problem::not_found("not_found", "There is nothing at this path.").into_response(),
            );
        };
        let mut headers = parts.headers.clone();
        if let Some(current) = super::trace::current() {
            current.context().inject(&mut headers);
        }
        let busy = target.enter();
        let request = target.client().request(parts.method.clone(), url);
        let sent = request.headers(headers).body(body).send();
        let sent = tokio::time::timeout(self.upstreams.config().answer_timeout, sent).await;
        drop(busy);
        match sent {
            Ok(Ok(answer)) => judge(answer).await,
            Ok(Err(error)) if error.is_connect() => {
                target.set_ready(false);
                Tried::NotDone(self.nobody().with_cause(error.without_url()))
            }
            Ok(Err(error)) => {
                target.set_ready(false);
                Tried::Unknown(error.without_url().to_string())
            }
            Err(_) => Tried::Unknown("no answer in time".to_owned()),
        }
    }

    /// Nobody took the request: it was not done.
    fn nobody(&self) -> Problem {
        let role = self.upstreams.config().role;
        Problem::unavailable(
            "upstream_unavailable",
            format!("No process of role {role} takes requests now; this one was not done."),
        )
    }
}

/// An answer, unless it says that nothing was done and that another process might.
async fn judge(answer: reqwest::Response) -> Tried {
    let length = answer.content_length().unwrap_or(u64::MAX);
    if answer.status() != StatusCode::SERVICE_UNAVAILABLE || length > PROBLEM_MAX {
        return Tried::Answer(headers::incoming(answer.into()));
    }
    let (mut head, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
    let Ok(body) = body.collect().await else {
        return Tried::Unknown("the answer broke off".to_owned());
    };
    let body = body.to_bytes();
    let code = serde_json::from_slice::<Code>(&body).map(|problem| problem.code);
    headers::drop_hops(&mut head.headers);
    let answer = Response::from_parts(head, Body::from(body));
    match code {
        Ok(code) if NOT_DONE.contains(&code.as_str()) => {
            let code = if code == NOT_DONE[0] {
                NOT_DONE[0]
            } else {
                NOT_DONE[1]
            };
            Tried::NotDone(Problem::unavailable(
                code,
                "The store behind this service is away; the request was not done.",
            ))
        }
        _ => Tried::Answer(answer),
    }
}

fn unknown(cause: String) -> Problem {
    Problem::unavailable(
        "commit_unknown",
        "The connection to the service was lost; whether the request was done is not known. The same identity again settles it.",
    )
    .with_cause(cause)
}

/// The forwarder as the inner service of a guard.
#[derive(Debug, Clone)]
pub(super) struct Forwarding(pub(super) Forward);

impl Service<Request> for Forwarding {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let forward = self.0.clone();
        Box::pin(async move {
            let answer = forward.pass(request).await;
            Ok(answer.unwrap_or_else(IntoResponse::into_response))
        })
    }
}
