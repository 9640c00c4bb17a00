//! Probes, metrics and traces.

use std::sync::Arc;

use axum::extract::State;
use florin_platform::http::auth::Access;
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::health::{FnCheck, Verdict};
use florin_platform::http::json::{Json, RawBody};
use florin_platform::http::limit::Limits;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{App, RouteSpec, Routes};
use florin_platform::http::server::{Server, ServerConfig};
use florin_platform::http::shutdown;
use florin_platform::telemetry::otel::{OtelConfig, Tracer};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::support::{Setup, answer};

#[tokio::test]
async fn readiness_names_what_is_not_ready() {
    let server = Setup::new().start();
    assert_eq!(
        answer(server.get("/health")).await.2,
        json!({"status": "ok"})
    );
    server.health.inform("wallets.profile", "strict");
    server.health.register(FnCheck::new("broker", false, || {
        Verdict::down("no connection", "start the broker")
    }));
    let (status, _, body) = answer(server.get("/ready")).await;
    assert_eq!((status, &body["status"]), (200, &json!("degraded")));
    assert_eq!(body["notReady"], json!(["broker"]));
    assert_eq!(body["info"]["wallets.profile"], "strict");
    let full = || Verdict::down("the disk is full", "free space");
    server.health.register(FnCheck::new("disk", true, full));
    for path in ["/ready", "/q/health"] {
        let (status, _, body) = answer(server.get(path)).await;
        assert_eq!((status, &body["status"]), (503, &json!("down")));
        assert_eq!(body["checks"][1]["remedy"], "free space");
    }
    assert_eq!(answer(server.get("/health")).await.0, 200);
}

#[tokio::test]
async fn metrics_count_by_route_and_outcome() {
    let server = Setup::new().start();
    answer(server.admin_post("/api/v1/things", r#"{"name":"a","count":0}"#)).await;
    answer(server.admin_post("/api/v1/things", r#"{"name":1}"#)).await;
    answer(server.get("/no/such/path/4711")).await;
    answer(
        server
            .get("/api/v1/things/4711")
            .header("x-api-key", "admin"),
    )
    .await;
    let text = answer(server.get("/metrics")).await.2;
    let text = text.as_str().expect("text");
    for (route, status, outcome) in [
        ("/api/v1/things", "400", "refused"),
        ("/api/v1/things", "400", "client_error"),
        ("unmatched", "404", "client_error"),
        ("/api/v1/things/{id}", "200", "success"),
    ] {
        let found = text.lines().any(|line| {
            line.starts_with("http_server_requests_seconds_count{")
                && line.contains(&format!("route=\"{route}\""))
                && line.contains(&format!("status=\"{status}\""))
                && line.contains(&format!("outcome=\"{outcome}\""))
        });
        assert!(found, "{route} {status} {outcome}\n{text}");
    }
    assert!(!text.contains("4711"), "no ids as labels");
}

async fn receive(
    State(sender): State<mpsc::Sender<Value>>,
    RawBody(body): RawBody,
) -> Result<Json<Value>, Problem> {
    let body = serde_json::from_slice(&body).map_err(Problem::internal)?;
    sender.send(body).await.map_err(Problem::internal)?;
    Ok(Json(json!({})))
}

/// A collector made of the kit itself; returns its base URL.
fn collector(sender: mpsc::Sender<Value>) -> String {
    let kit = Kit::new(KitConfig::default()).with_limits(Arc::new(Limits::unlimited()));
    let route = RouteSpec::post("/v1/traces", Access::Public);
    let app = App::builder(kit).mount(Routes::new().route(route, receive).bind(sender));
    let server = Server::bind(ServerConfig::new("127.0.0.1:0".parse().expect("address")));
    let server = server.expect("a free port");
    let base = format!("http://{}", server.local_addr());
    let router = app.build().expect("valid").router();
    tokio::spawn(async move {
        let (_trigger, shutdown) = shutdown::pair();
        server.serve(router, shutdown).await
    });
    base
}

/// DEP-130 of the deployment contract.
#[tokio::test]
async fn sampled_requests_reach_the_collector() {
    let (sender, mut received) = mpsc::channel(8);
    let tracer = Tracer::start(OtelConfig {
        endpoint: collector(sender),
        service_name: "florin-test".to_string(),
        service_version: "1".to_string(),
        headers: Vec::new(),
        sample_ratio: 0.0,
    });
    let tracer = tracer.expect("client");
    let mut setup = Setup::new();
    setup.tracer = Some(tracer.clone());
    let server = setup.start();
    answer(server.get("/api/v1/plain")).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    answer(server.get("/api/v1/panics").header("traceparent", parent)).await;
    tracer.flush().await;
    let body = received.recv().await.expect("spans");
    let resource = &body["resourceSpans"][0];
    assert_eq!(
        resource["resource"]["attributes"][0],
        json!({"key": "service.name", "value": {"stringValue": "florin-test"}})
    );
    let spans = resource["scopeSpans"][0]["spans"]
        .as_array()
        .expect("spans");
    assert_eq!(
        spans.len(),
        1,
        "only the caller's sampled request: {spans:?}"
    );
    let span = &spans[0];
    assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(span["name"], "GET /api/v1/panics");
    assert_eq!(
        (&span["kind"], &span["status"]["code"]),
        (&json!(2), &json!(2))
    );
    let attributes = span["attributes"].as_array().expect("attributes");
    let status = json!({"key": "http.response.status_code", "value": {"intValue": "500"}});
    assert!(attributes.contains(&status), "{attributes:?}");
}
