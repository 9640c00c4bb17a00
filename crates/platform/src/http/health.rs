//! `/health` (is the process alive), `/ready` and `/q/health` (can it serve), `/metrics`.
//!
//! Rooms register [`ReadyCheck`]s. A needed check that is down makes the answer 503; a helper
//! that is down makes it 200 with `status: "degraded"`: a lost helper must not take the service
//! out of rotation (ledger-wallets contract, section E).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::auth::Access;
use super::json::{Json, json_bytes};
use super::router::{BoundRoutes, RouteSpec, Routes};
use crate::telemetry::metrics::MetricsHandle;

/// A check that does not answer within this time is down.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// As it should be.
    Ok,
    /// Works, with less than it should have.
    Degraded,
    /// Does not work.
    Down,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub state: Readiness,
    /// What is wrong, for people; nothing secret.
    pub detail: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Verdict {
    /// All is well.
    pub const fn ok() -> Self {
        Self {
            state: Readiness::Ok,
            detail: None,
            remedy: None,
        }
    }

    /// Works with less.
    pub fn degraded(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::bad(Readiness::Degraded, detail.into(), remedy.into())
    }

    /// Does not work.
    pub fn down(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::bad(Readiness::Down, detail.into(), remedy.into())
    }

    fn bad(state: Readiness, detail: String, remedy: String) -> Self {
        Self {
            state,
            detail: Some(detail),
            remedy: Some(remedy),
        }
    }
}

/// A pending verdict.
pub type CheckFuture<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// One thing that must, or should, work for the process to serve.
pub trait ReadyCheck: Send + Sync + 'static {
    /// Short name in the answer (`store`, `disk`).
    fn name(&self) -> &str;
    /// Whether the service cannot work without it.
    fn needed(&self) -> bool;
    /// Looks; must not block the thread.
    fn check(&self) -> CheckFuture<'_>;
}

/// A check from a function that answers at once.
pub struct FnCheck<F> {
    name: &'static str,
    needed: bool,
    look: F,
}

impl<F: Fn() -> Verdict + Send + Sync + 'static> FnCheck<F> {
    /// Wraps the function.
    pub fn new(name: &'static str, needed: bool, look: F) -> Arc<Self> {
        Arc::new(Self { name, needed, look })
    }
}

impl<F: Fn() -> Verdict + Send + Sync + 'static> ReadyCheck for FnCheck<F> {
    fn name(&self) -> &str {
        self.name
    }

    fn needed(&self) -> bool {
        self.needed
    }

    fn check(&self) -> CheckFuture<'_> {
        let verdict = (self.look)();
        Box::pin(std::future::ready(verdict))
    }
}

/// The checks of a process and the facts that `/ready` shows.
#[derive(Default)]
pub struct Health {
    checks: Mutex<Vec<Arc<dyn ReadyCheck>>>,
    info: Mutex<BTreeMap<String, Value>>,
    draining: AtomicBool,
}

/// The body of `/ready`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The whole: down when a needed check is down, degraded when any check is not ok.
    pub status: Readiness,
    /// Names of the checks that are not ok.
    pub not_ready: Vec<String>,
    /// Every check.
    pub checks: Vec<CheckReport>,
    /// Facts such as `wallets.profile`.
    pub info: BTreeMap<String, Value>,
}

/// One check in the body of `/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Name.
    pub name: String,
    /// Whether the service cannot work without it.
    pub needed: bool,
    /// Verdict.
    pub state: Readiness,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Health {
    /// No checks yet: ready.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Adds a check; one of the same name is replaced.
    pub fn register(&self, check: Arc<dyn ReadyCheck>) {
        let mut checks = self.checks.lock();
        checks.retain(|known| known.name() != check.name());
        checks.push(check);
    }

    /// Adds a fact.
    pub fn inform(&self, name: impl Into<String>, value: impl Into<Value>) {
        self.info.lock().insert(name.into(), value.into());
    }

    /// Says "not ready" from now on, while the server finishes what it has begun.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Runs all checks side by side.
    pub async fn report(&self) -> Report {
        let checks = self.checks.lock().clone();
        let looks = checks.iter().map(|check| look(&**check));
        let mut reports = futures_util::future::join_all(looks).await;
        if self.draining.load(Ordering::Relaxed) {
            let verdict = Verdict::down("the server is shutting down", "use another instance");
            reports.push(report_of("server", true, verdict));
        }
        let status = reports
            .iter()
            .map(|report| match report.state {
                Readiness::Down if !report.needed => Readiness::Degraded,
                state => state,
            })
            .max()
            .unwrap_or(Readiness::Ok);
        let bad = reports
            .iter()
            .filter(|report| report.state != Readiness::Ok);
        Report {
            status,
            not_ready: bad.map(|report| report.name.clone()).collect(),
            checks: reports,
            info: self.info.lock().clone(),
        }
    }
}

async fn look(check: &dyn ReadyCheck) -> CheckReport {
    let verdict = tokio::time::timeout(CHECK_TIMEOUT, check.check()).await;
    let verdict = verdict.unwrap_or_else(|_| {
        Verdict::down(
            "no answer within 1 s",
            "see the log of the component behind it",
        )
    });
    report_of(check.name(), check.needed(), verdict)
}

fn report_of(name: &str, needed: bool, verdict: Verdict) -> CheckReport {
    CheckReport {
        name: name.to_string(),
        needed,
        state: verdict.state,
        detail: verdict.detail,
        remedy: verdict.remedy,
    }
}

#[derive(Clone)]
struct Probes {
    health: Arc<Health>,
    metrics: Option<MetricsHandle>,
}

/// The probe routes: public, unlimited, answered even when the server is full.
pub fn routes(health: Arc<Health>, metrics: Option<MetricsHandle>) -> BoundRoutes {
    let probe = |path| RouteSpec::get(path, Access::Public).probe().undocumented();
    Routes::new()
        .route(probe("/health"), alive)
        .route(probe("/ready"), ready)
        .route(probe("/q/health"), ready)
        .route(probe("/metrics"), prometheus)
        .bind(Probes { health, metrics })
}

async fn alive() -> Response {
    json_bytes(&b"{\"status\":\"ok\"}"[..])
}

async fn ready(State(probes): State<Probes>) -> Response {
    let report = probes.health.report().await;
    let down = report.status == Readiness::Down;
    let mut response = Json(report).into_response();
    if down {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn prometheus(State(probes): State<Probes>) -> Response {
    let text = probes.metrics.map(|metrics| metrics.render());
    let mut response = text.unwrap_or_default().into_response();
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn needed_checks_decide_and_helpers_degrade() {
        let health = Health::new();
        assert_eq!(health.report().await.status, Readiness::Ok);
        health.register(FnCheck::new("broker", false, || {
            Verdict::down("no connection", "start it")
        }));
        let report = health.report().await;
        assert_eq!(report.status, Readiness::Degraded);
        assert_eq!(report.not_ready, ["broker"]);
        health.register(FnCheck::new("store", true, || {
            Verdict::down("gone", "mount it")
        }));
        assert_eq!(health.report().await.status, Readiness::Down);
        health.register(FnCheck::new("store", true, Verdict::ok));
        assert_eq!(health.report().await.status, Readiness::Degraded);
        health.set_draining();
        assert_eq!(health.report().await.status, Readiness::Down);
    }

    struct Stuck;

    impl ReadyCheck for Stuck {
        fn name(&self) -> &str {
            "stuck"
        }
        fn needed(&self) -> bool {
            true
        }
        fn check(&self) -> CheckFuture<'_> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_down() {
        let health = Health::new();
        health.register(Arc::new(Stuck));
        let report = health.report().await;
        assert_eq!(report.status, Readiness::Down);
        assert_eq!(
            report.checks[0].detail.as_deref(),
            Some("no answer within 1 s")
        );
    }
}
