//! A server with one route of each kind.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use florin_platform::http::auth::{
    Access, Authentication, Authenticator, Caller, CredentialKind, Permission, PermissionSet,
    Principal,
};
use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::health::{self, Health};
use florin_platform::http::json::{Json, Path, Query};
use florin_platform::http::limit::{LimitClass, LimitConfig, Limits};
use florin_platform::http::openapi::ApiInfo;
use florin_platform::http::problem::{Problem, Status};
use florin_platform::http::router::{App, RequestInfo, RouteSpec, Routes};
use florin_platform::http::server::{DrainReport, Server, ServerConfig};
use florin_platform::http::shutdown::{self, ShutdownTrigger};
use florin_platform::telemetry::metrics;
use florin_platform::telemetry::otel::Tracer;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub const THINGS_READ: Permission = Permission::new("things:read");
pub const THINGS_WRITE: Permission = Permission::new("things:write");

/// Knows callers by `X-API-Key`: `admin`, `reader`, `service`.
pub struct Keys;

impl Authenticator for Keys {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap, _peer: IpAddr) -> Authentication<'a> {
        let key = headers.get("x-api-key").and_then(|key| key.to_str().ok());
        let grants: &[&str] = match key {
            Some("admin" | "service") => &["things:read", "things:write"],
            Some("reader") => &["things:read"],
            _ => {
                let refused = Problem::unauthenticated("The credential is not accepted.");
                // The slow path must work as well as the fast one.
                return Authentication::Later(Box::pin(async { Err(refused) }));
            }
        };
        let name = key.unwrap_or_default();
        Authentication::Now(Ok(Arc::new(Principal {
            accounts: None,
            subject: name.into(),
            owner: name.into(),
            kind: CredentialKind::ApiKey,
            credential: format!("key:{name}").into(),
            token_id: None,
            roles: vec![name.into()].into(),
            permissions: Arc::new(PermissionSet::parse(grants.iter().copied())),
        })))
    }
}

/// Lets a test hold a request inside its handler.
#[derive(Default)]
pub struct Gate {
    pub entered: Notify,
    pub leave: Notify,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewThing {
    name: String,
    count: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thing {
    id: u32,
    name: String,
    by: String,
    client: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    limit: Option<u32>,
}

async fn get_thing(
    caller: Caller,
    Path(id): Path<u32>,
    Query(filter): Query<Filter>,
    request: axum::Extension<RequestInfo>,
) -> Json<Thing> {
    Json(Thing {
        id,
        name: format!("limit {:?}", filter.limit),
        by: caller.subject.to_string(),
        client: request.client().to_string(),
    })
}

async fn create_thing(caller: Caller, Json(new): Json<NewThing>) -> Result<Json<Thing>, Problem> {
    if new.count == Some(0) {
        let detail = "There is not enough.";
        return Err(Problem::new(Status::BadRequest, "insufficient_funds", detail).refused());
    }
    Ok(Json(Thing {
        id: 1,
        name: new.name,
        by: caller.subject.to_string(),
        client: String::new(),
    }))
}

async fn big(Json(value): Json<String>) -> Json<usize> {
    Json(value.len())
}

async fn slow(State(gate): State<Arc<Gate>>) -> &'static str {
    gate.entered.notify_one();
    gate.leave.notified().await;
    "done"
}

async fn panics() -> &'static str {
    panic!("the vault code is 1234");
}

async fn plain() -> &'static str {
    "hello"
}

pub fn routes() -> Routes<Arc<Gate>> {
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/things/{id}", THINGS_READ),
            get_thing,
        )
        .route(
            RouteSpec::post("/api/v1/things", THINGS_WRITE).error_member(),
            create_thing,
        )
        .route(
            RouteSpec::post("/api/v1/big", THINGS_WRITE).body_limit(16 << 20),
            big,
        )
        .route(RouteSpec::get("/api/v1/slow", Access::Public), slow)
        .route(RouteSpec::get("/api/v1/panics", Access::Public), panics)
        .route(RouteSpec::get("/api/v1/plain", Access::Public), plain)
        .route(
            RouteSpec::post("/api/v1/login", Access::Public).class(LimitClass::Token),
            plain,
        )
}

/// Settings of a test server.
pub struct Setup {
    pub kit: KitConfig,
    pub limits: Limits,
    pub server: ServerConfig,
    pub tracer: Option<Tracer>,
}

impl Setup {
    pub fn new() -> Self {
        Self {
            kit: KitConfig::default(),
            limits: Limits::unlimited(),
            server: ServerConfig::new("127.0.0.1:0".parse().expect("address")),
            tracer: None,
        }
    }

    pub fn with_limits(limits: LimitConfig) -> Self {
        Self {
            limits: Limits::new(limits),
            ..Self::new()
        }
    }

    pub fn start(self) -> Running {
        let gate = Arc::new(Gate::default());
        let health = Health::new();
        let kit = Kit::new(self.kit)
            .with_authenticator(Arc::new(Keys))
            .with_limits(Arc::new(self.limits))
            .with_tracer(self.tracer);
        let info = ApiInfo {
            title: "Test".to_string(),
            version: "1".to_string(),
            description: "Test".to_string(),
        };
        let recorder = metrics::install().expect("recorder");
        let app = App::builder(kit)
            .mount(routes().bind(Arc::clone(&gate)))
            .mount(health::routes(Arc::clone(&health), Some(recorder)))
            .with_openapi(&info)
            .build()
            .expect("routes are valid");
        let server = Server::bind(self.server).expect("a free port");
        let base = format!(
            "{}://localhost:{}",
            server.scheme(),
            server.local_addr().port()
        );
        let (trigger, shutdown) = shutdown::pair();
        let served = tokio::spawn(server.serve(app.router(), shutdown));
        Running {
            base,
            gate,
            health,
            trigger,
            served,
            client: Outgoing::new(&ClientConfig::new(Targets::Any)).expect("client"),
        }
    }
}

/// A server that runs until the test ends.
pub struct Running {
    pub base: String,
    pub gate: Arc<Gate>,
    pub health: Arc<Health>,
    pub trigger: ShutdownTrigger,
    pub served: JoinHandle<DrainReport>,
    pub client: Outgoing,
}

impl Running {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn port(&self) -> u16 {
        let port = self.base.rsplit(':').next().expect("port");
        port.parse().expect("number")
    }

    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(&self.url(path)).expect("URL")
    }

    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(&self.url(path)).expect("URL")
    }

    pub fn admin_post(&self, path: &str, body: &'static str) -> reqwest::RequestBuilder {
        self.post(path)
            .header("x-api-key", "admin")
            .header("content-type", "application/json")
            .body(body)
    }
}

/// Status, headers and JSON body.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, HeaderMap, serde_json::Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.expect("a body");
    let json = serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text));
    (status, headers, json)
}
