//! Paths at the root that existing clients of older systems ask for (contract shadow-ledger,
//! section 0 and E): `/actuator/…` and `/auth/…`. Switched off with `shadow.root_aliases`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Access;
use florin_platform::http::health::{Health, Readiness};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::limit::LimitClass;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{BoundRoutes, RouteSpec, Routes};
use florin_platform::identity::api::{Shared, root_routes};
use florin_platform::telemetry::metrics::MetricsHandle;
use serde_json::json;

#[derive(Clone)]
struct Actuator {
    health: Arc<Health>,
    metrics: MetricsHandle,
}

/// `/actuator/health`, `/actuator/metrics`, `/actuator/prometheus`.
pub fn actuator(health: Arc<Health>, metrics: MetricsHandle) -> BoundRoutes {
    let open = |path| {
        RouteSpec::get(path, Access::Public)
            .class(LimitClass::None)
            .undocumented()
    };
    Routes::new()
        .route(open("/actuator/health"), health_of)
        .route(open("/actuator/metrics"), names)
        .route(open("/actuator/metrics/{name}"), metric)
        .route(open("/actuator/prometheus"), prometheus)
        .bind(Actuator { health, metrics })
}

async fn health_of(State(actuator): State<Actuator>) -> Response {
    match actuator.health.report().await.status {
        Readiness::Down => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "DOWN" })),
        )
            .into_response(),
        _ => Json(json!({ "status": "UP" })).into_response(),
    }
}

/// The sum over all series of each metric; histograms give their counts and sums apart, as the
/// text form does.
fn sums(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let name = series.split('{').next().unwrap_or(series);
        if name.ends_with("_bucket") {
            continue;
        }
        if let Ok(value) = value.parse::<f64>() {
            *sums.entry(name.to_owned()).or_insert(0.0) += value;
        }
    }
    sums
}

async fn names(State(actuator): State<Actuator>) -> Response {
    let names: Vec<String> = sums(&actuator.metrics.render()).into_keys().collect();
    Json(json!({ "names": names })).into_response()
}

async fn metric(
    State(actuator): State<Actuator>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let sums = sums(&actuator.metrics.render());
    let Some(value) = sums.get(&name) else {
        let detail = "There is no such metric.";
        return Err(Problem::not_found("metric_not_found", detail));
    };
    let measurements = json!([{ "statistic": "VALUE", "value": value }]);
    Ok(Json(json!({ "name": name, "measurements": measurements })).into_response())
}

async fn prometheus(State(actuator): State<Actuator>) -> Response {
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, text)], actuator.metrics.render()).into_response()
}

/// `POST /auth/token`, `POST /auth/signup`.
pub fn auth(identity: Shared) -> BoundRoutes {
    root_routes().bind(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_series() {
        let text =
            "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\nb_bucket{le=\"1\"} 9\nb_sum 1.5\n";
        let sums = sums(text);
        assert_eq!(sums.get("a"), Some(&5.0));
        assert_eq!(sums.get("b_sum"), Some(&1.5));
        assert_eq!(sums.len(), 2);
    }
}
