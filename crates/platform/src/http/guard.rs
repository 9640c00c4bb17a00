//! The one middleware: trace id, admission, authentication, permission, rate limits, panic
//! barrier, metrics, access log, in this order, around every handler.
//!
//! One layer instead of ten keeps the cost of a request at a few allocations; what a route
//! needs is looked up once, at registration (`RouteMeta`).

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method};
use metrics::Histogram;
use tower::Service;

use super::admission::Admission;
use super::auth::{Access, Authentication, Authenticator, NoAuthenticator, Principal};
use super::limit::{Decision, LimitClass, Limits};
use super::problem::{ErrorForm, Outcome, Problem, Severity, Status};
use super::proxy::TrustedProxies;
use super::router::{RequestInfo, RouteMeta};
use super::trace::{self, TraceContext};
use crate::telemetry::otel::{ServerSpan, Tracer};

/// Address of the peer of the connection; the server puts it into each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Bounds of the kit.
#[derive(Debug, Clone)]
pub struct KitConfig {
    /// Requests in progress above which the answer is 503 `overloaded`.
    pub max_in_progress: usize,
    /// Time within which a body must have arrived.
    pub body_timeout: Duration,
    /// Requests slower than this stand in the log at level info.
    pub slow: Duration,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted: TrustedProxies,
}

impl Default for KitConfig {
    fn default() -> Self {
        Self {
            max_in_progress: 8192,
            body_timeout: Duration::from_secs(30),
            slow: Duration::from_secs(1),
            trusted: TrustedProxies::default(),
        }
    }
}

/// What all routes share.
pub struct Kit {
    config: KitConfig,
    authenticator: Arc<dyn Authenticator>,
    limits: Arc<Limits>,
    admission: Admission,
    tracer: Option<Tracer>,
}

impl Kit {
    /// A kit that knows no callers and has the default limits.
    pub fn new(config: KitConfig) -> Self {
        Self {
            admission: Admission::new(config.max_in_progress),
            config,
            authenticator: Arc::new(NoAuthenticator),
            limits: Arc::new(Limits::new(Default::default())),
            tracer: None,
        }
    }

    /// Sets who recognises callers.
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = authenticator;
        self
    }

    /// Sets the rate limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Arc<Limits>) -> Self {
        self.limits = limits;
        self
    }

    /// Sends a span for each sampled request.
    #[must_use]
    pub fn with_tracer(mut self, tracer: Option<Tracer>) -> Self {
        self.tracer = tracer;
        self
    }
}

/// Handles of `http_server_requests_seconds{method,route,status,outcome}` for one route, made
/// when first used: no label is formatted on the hot path.
pub(super) struct RouteMetrics {
    method: Method,
    route: &'static str,
    slots: [[OnceLock<Histogram>; Outcome::ALL.len()]; STATUSES.len() + 1],
}

/// Statuses with a slot of their own; all others share the last one, looked up by name.
const STATUSES: [u16; 17] = [
    200, 201, 202, 204, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503, 101,
];

impl RouteMetrics {
    pub(super) fn new(method: Method, route: &'static str) -> Self {
        Self {
            method,
            route,
            slots: Default::default(),
        }
    }

    fn record(&self, status: u16, outcome: Outcome, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        match STATUSES.iter().position(|known| *known == status) {
            Some(row) => self.slots[row][outcome as usize]
                .get_or_init(|| self.histogram(status, outcome))
                .record(seconds),
            None => self.histogram(status, outcome).record(seconds),
        }
    }

    fn histogram(&self, status: u16, outcome: Outcome) -> Histogram {
        metrics::histogram!(
            "http_server_requests_seconds",
            "method" => self.method.to_string(),
            "route" => self.route,
            "status" => status.to_string(),
            "outcome" => outcome.as_str()
        )
    }
}

/// A handler behind the kit.
pub(super) struct Guard<I> {
    kit: Arc<Kit>,
    meta: Arc<RouteMeta>,
    inner: I,
}

impl<I> Guard<I> {
    pub(super) fn new(kit: Arc<Kit>, meta: Arc<RouteMeta>, inner: I) -> Self {
        Self { kit, meta, inner }
    }
}

impl<I: Clone> Clone for Guard<I> {
    fn clone(&self) -> Self {
        Self {
            kit: Arc::clone(&self.kit),
            meta: Arc::clone(&self.meta),
            inner: self.inner.clone(),
        }
    }
}

type GuardFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl<I> Service<Request> for Guard<I>
where
    I: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    I::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = GuardFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> GuardFuture {
        let guard = self.clone();
        // The handler that was polled ready is the one to call.
        let inner = std::mem::replace(&mut self.inner, guard.inner);
        let (kit, meta) = (guard.kit, guard.meta);
        Box::pin(async move { Ok(run(kit, meta, inner, request).await) })
    }
}

async fn run<I>(kit: Arc<Kit>, meta: Arc<RouteMeta>, inner: I, request: Request) -> Response
where
    I: Service<Request, Response = Response, Error = Infallible> + Send,
    I::Future: Send,
{
    let mut context = TraceContext::from_headers(request.headers());
    if let Some(tracer) = &kit.tracer {
        tracer.decide(&mut context);
    }
    let error_form = meta.error_form;
    trace::scope_with(context, error_form, async {
        let started = Instant::now();
        let echoed = echo(&context, &request);
        let span = kit
            .tracer
            .as_ref()
            .and_then(|tracer| tracer.begin(&context, &request));
        let method = request.method().clone();
        let mut limited = None;
        let mut response = match serve(&kit, &meta, inner, request, &mut limited).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        };
        if let Some(decision) = limited {
            decision.apply(response.headers_mut());
        }
        response.headers_mut().insert(trace::X_TRACE_ID, echoed);
        finish(&kit, &meta, &method, &response, started.elapsed(), span);
        response
    })
    .await
}

/// The trace id as a header; the caller's own value is shared instead of copied.
fn echo(context: &TraceContext, request: &Request) -> HeaderValue {
    match request.headers().get(&trace::X_TRACE_ID) {
        Some(given) if given.as_bytes() == context.id.as_str().as_bytes() => given.clone(),
        _ => HeaderValue::from_str(context.id.as_str()).expect("trace ids are visible ASCII"),
    }
}

async fn serve<I>(
    kit: &Kit,
    meta: &Arc<RouteMeta>,
    mut inner: I,
    mut request: Request,
    limited: &mut Option<Decision>,
) -> Result<Response, Problem>
where
    I: Service<Request, Response = Response, Error = Infallible> + Send,
    I::Future: Send,
{
    let _permit = match meta.admission {
        true => Some(kit.admission.enter()?),
        false => None,
    };
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
    let client = kit.config.trusted.client(peer, request.headers());
    if let Some(principal) = authorize(kit, meta, request.headers(), client, limited).await? {
        request.extensions_mut().insert(principal);
    }
    request.extensions_mut().insert(RequestInfo {
        meta: Arc::clone(meta),
        client,
        body_timeout: kit.config.body_timeout,
    });
    let handled = AssertUnwindSafe(async { inner.call(request).await });
    match handled.catch_unwind().await {
        Ok(Ok(response)) => Ok(response),
        Err(panic) => Err(Problem::internal(format_args!(
            "panic in the handler: {}",
            panic_text(&*panic)
        ))),
    }
}

/// Checks the caller against the route's rule and the rate limits.
async fn authorize(
    kit: &Kit,
    meta: &RouteMeta,
    headers: &HeaderMap,
    client: IpAddr,
    limited: &mut Option<Decision>,
) -> Result<Option<Arc<Principal>>, Problem> {
    let anonymous = meta.access == Access::Optional && !shows_credential(headers);
    if meta.access == Access::Public || anonymous {
        if meta.class != LimitClass::None {
            *limited = kit.limits.anonymous(meta.class, client).await?;
        }
        return Ok(None);
    }
    let answer = match kit.authenticator.authenticate(headers, client) {
        Authentication::Now(answer) => answer,
        Authentication::Later(answer) => answer.await,
    };
    let principal = match answer {
        Ok(principal) => principal,
        Err(problem) => {
            // Guessing credentials uses up the address's allowance.
            *limited = kit.limits.anonymous(meta.class, client).await?;
            return Err(problem);
        }
    };
    *limited = kit.limits.caller(meta.class, &principal, client).await?;
    if let Access::Needs(permission) = meta.access {
        principal.require(permission)?;
    }
    Ok(Some(principal))
}

fn shows_credential(headers: &HeaderMap) -> bool {
    headers.contains_key(http::header::AUTHORIZATION) || headers.contains_key("x-api-key")
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn finish(
    kit: &Kit,
    meta: &RouteMeta,
    method: &Method,
    response: &Response,
    elapsed: Duration,
    span: Option<ServerSpan>,
) {
    let status = response.status().as_u16();
    let problem = response.extensions().get::<Problem>();
    let outcome = match (response.extensions().get::<Outcome>(), problem) {
        (Some(outcome), _) => *outcome,
        (None, Some(problem)) => problem.outcome(),
        (None, None) => Outcome::of_status(status),
    };
    meta.metrics.record(status, outcome, elapsed);
    if let (Some(tracer), Some(span)) = (&kit.tracer, span) {
        tracer.end(span, meta.path, status, outcome);
    }
    if let Some(problem) = problem {
        log_problem(problem);
    }
    let millis = elapsed.as_micros() as f64 / 1000.0;
    let (method, route) = (method.as_str(), meta.path);
    if status >= 500 {
        tracing::warn!(target: "florin::access", method, route, status, millis, "request failed");
    } else if elapsed >= kit.config.slow {
        tracing::info!(target: "florin::access", method, route, status, millis, "slow request");
    } else {
        tracing::debug!(target: "florin::access", method, route, status, millis, "request");
    }
}

fn log_problem(problem: &Problem) {
    let code = problem.code();
    let cause = problem.cause().unwrap_or_default();
    let detail = problem.detail();
    match problem.severity() {
        // The words for the caller may quote what he sent, which is not the log's business.
        Severity::Debug => tracing::debug!(code, cause, "refused"),
        Severity::Info => tracing::info!(code, cause, "{detail}"),
        Severity::Warn => tracing::warn!(code, cause, "{detail}"),
        Severity::Error => tracing::error!(code, cause, "{detail}"),
    }
}

/// Unknown paths and methods answer with problems, trace ids and metrics like any other route.
pub(super) fn with_fallbacks(router: Router, kit: &Arc<Kit>) -> Router {
    let unmatched = |path| {
        Arc::new(RouteMeta {
            path,
            access: Access::Public,
            class: LimitClass::Read,
            body_limit: 0,
            admission: true,
            error_form: ErrorForm::Plain,
            metrics: RouteMetrics::new(
                Method::from_bytes(b"OTHER").expect("OTHER is a token"),
                path,
            ),
        })
    };
    let not_found = Guard::new(
        Arc::clone(kit),
        unmatched("unmatched"),
        Refuse(|| Problem::not_found("not_found", "There is nothing at this path.")),
    );
    let wrong_method = Guard::new(
        Arc::clone(kit),
        unmatched("method_not_allowed"),
        Refuse(|| {
            let detail = "This path exists, but not with this method; see `Allow`.";
            Problem::new(Status::MethodNotAllowed, "method_not_allowed", detail)
        }),
    );
    router
        .fallback_service(not_found)
        .method_not_allowed_fallback(move |request: Request| {
            let mut guard = wrong_method.clone();
            async move {
                let answer: Result<Response, Infallible> = guard.call(request).await;
                answer
            }
        })
}

/// A service that always refuses.
#[derive(Clone)]
struct Refuse(fn() -> Problem);

impl Service<Request> for Refuse {
    type Response = Response;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request) -> Self::Future {
        std::future::ready(Ok((self.0)().into_response()))
    }
}
