//! A server without a socket: the router over a ledger of its own, with a clock that the test
//! moves and callers named by role and subject.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use axum::{Router, body::Body};
use florin_base::{Timestamp, clock::ManualClock};
use florin_ledger::{Ledger, OpenOptions, Policy};
use florin_platform::{
    http::{
        auth::{Authentication, Authenticator, CredentialKind, Principal},
        guard::{Kit, KitConfig},
        limit::Limits,
        page::Cursors,
        problem::Problem,
        router::App,
        shutdown,
    },
    identity::RoleBook,
};
use florin_wallets::api::{ApiState, HEARTBEAT, routes};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// Where the clock stands when a server starts.
pub const START: &str = "2026-03-10T12:00:00Z";
/// Deposits, holds, conversions.
pub const SERVICE: &str = "service:shop";
/// Statuses, limits, reversals.
pub const OPERATOR: &str = "operator:ops";
/// Small segments, since every test has a ledger of its own.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;

/// Recognises `Authorization: <role>:<subject>`.
struct Named(RoleBook);

impl Authenticator for Named {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap, _: IpAddr) -> Authentication<'a> {
        let shown = headers.get("authorization").and_then(|v| v.to_str().ok());
        let named = shown.and_then(|text| text.split_once(':'));
        Authentication::Now(match named {
            None => Err(Problem::unauthenticated("Nobody.")),
            Some((role, subject)) => {
                let roles: Arc<[Box<str>]> = Arc::new([Box::from(role)]);
                Ok(Arc::new(Principal {
                    accounts: None,
                    subject: subject.into(),
                    owner: subject.into(),
                    kind: CredentialKind::Token,
                    credential: format!("user:{subject}").into(),
                    token_id: None,
                    permissions: self.0.permissions(&roles),
                    roles,
                }))
            }
        })
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Reply {
    /// Status and code of a problem.
    pub fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    pub fn is_replay(&self) -> bool {
        self.headers
            .get("idempotency-replayed")
            .is_some_and(|v| v == "true")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |v| v.to_str().expect("ASCII"))
    }

    /// A string member.
    #[track_caller]
    pub fn text_of(&self, member: &str) -> &str {
        match self.body[member].as_str() {
            Some(text) => text,
            None => panic!("no text `{member}` in {}: {}", self.status, self.text),
        }
    }

    #[track_caller]
    pub fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

pub struct Server {
    router: Router,
    pub ledger: Ledger,
    pub clock: Arc<ManualClock>,
    counter: AtomicU32,
    _dir: TempDir,
}

/// Beside the built-in roles: one that may post but not date its postings.
fn own_roles() -> BTreeMap<String, Vec<String>> {
    let grants = ["ledger:read".to_owned(), "ledger:write".to_owned()];
    BTreeMap::from([("poster".to_owned(), grants.into())])
}

impl Server {
    pub fn start() -> Self {
        Self::with_policy(Policy::default())
    }

    pub fn with_policy(policy: Policy) -> Self {
        Self::build(policy, HEARTBEAT)
    }

    /// A server whose quiet streams beat this often.
    pub fn with_heartbeat(heartbeat: Duration) -> Self {
        Self::build(Policy::default(), heartbeat)
    }

    fn build(policy: Policy, heartbeat: Duration) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let start = Timestamp::parse(START).expect("a time");
        let clock = Arc::new(ManualClock::new(start.micros()));
        let options = OpenOptions {
            segment_bytes: SEGMENT_BYTES,
            disk_free_min_per_mille: 0,
            ..OpenOptions::new(dir.path())
        };
        let ledger = Ledger::open(options, policy, clock.clone()).expect("opens");
        let (_trigger, shutdown) = shutdown::pair();
        let state = ApiState {
            ledger: ledger.clone(),
            cursors: Cursors::new(b"a cursor key of 32 bytes for use"),
            default_currency: "BRL".into(),
            shutdown,
            heartbeat,
        };
        let roles = RoleBook::try_new(&own_roles()).expect("roles");
        let kit = Kit::new(KitConfig::default())
            .with_authenticator(Arc::new(Named(roles)))
            .with_limits(Arc::new(Limits::unlimited()));
        let app = App::builder(kit).mount(routes().bind(Arc::new(state)));
        Self {
            router: app.build().expect("routes").router(),
            ledger,
            clock,
            counter: AtomicU32::new(0),
            _dir: dir,
        }
    }

    /// The body of an answer, to be read while it is made.
    pub async fn open(&self, request: Request<Body>) -> Body {
        let router = self.router.clone();
        router
            .oneshot(request)
            .await
            .expect("infallible")
            .into_body()
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    pub async fn get(&self, who: &str, path: &str) -> Reply {
        let request = Request::get(path).header("authorization", who);
        self.send(request.body(Body::empty()).expect("a request"))
            .await
    }

    pub async fn post(&self, who: &str, path: &str, body: Value) -> Reply {
        self.post_text(who, path, &body.to_string()).await
    }

    pub async fn put(&self, who: &str, path: &str, body: Value) -> Reply {
        let request = Self::request(Method::PUT, who, path);
        self.send(request.body(body.to_string().into()).expect("a request"))
            .await
    }

    pub async fn post_text(&self, who: &str, path: &str, body: &str) -> Reply {
        let request = Self::request(Method::POST, who, path);
        self.send(request.body(body.to_owned().into()).expect("a request"))
            .await
    }

    pub async fn post_with_key(&self, who: &str, path: &str, key: &str, body: Value) -> Reply {
        let request = Self::request(Method::POST, who, path).header("idempotency-key", key);
        self.send(request.body(body.to_string().into()).expect("a request"))
            .await
    }

    fn request(method: Method, who: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", who)
            .header("content-type", "application/json")
    }

    /// A new wallet's id.
    pub async fn wallet(&self, user: &str, currency: &str) -> String {
        let body = json!({"userId": user, "currency": currency});
        let reply = self.post(SERVICE, "/api/v1/wallets", body).await.ok(201);
        reply.text_of("id").to_owned()
    }

    /// A new wallet with money in it.
    pub async fn funded(&self, user: &str, currency: &str, amount: &str) -> String {
        let wallet = self.wallet(user, currency).await;
        self.deposit(&wallet, amount).await.ok(200);
        wallet
    }

    /// A reference not used before.
    pub fn reference(&self) -> String {
        let count = self
            .counter
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("ref-{count}")
    }

    pub async fn deposit(&self, wallet: &str, amount: &str) -> Reply {
        let body = json!({"amount": amount, "referenceId": self.reference()});
        self.post(SERVICE, &path(wallet, "deposit"), body).await
    }

    pub async fn withdraw(&self, wallet: &str, amount: &str) -> Reply {
        let body = json!({"amount": amount, "referenceId": self.reference()});
        self.post(SERVICE, &path(wallet, "withdraw"), body).await
    }

    pub async fn transfer(&self, from: &str, to: &str, amount: &str) -> Reply {
        let body = json!({
            "amount": amount, "destinationWalletId": to, "referenceId": self.reference(),
        });
        self.post(SERVICE, &path(from, "transfer"), body).await
    }

    pub async fn hold(&self, wallet: &str, amount: &str) -> Reply {
        let body = json!({"amount": amount, "referenceId": self.reference()});
        self.post(SERVICE, &path(wallet, "holds"), body).await
    }

    pub async fn capture(&self, hold: &str, body: Value) -> Reply {
        self.post(SERVICE, &format!("/api/v1/holds/{hold}/capture"), body)
            .await
    }

    pub async fn void(&self, hold: &str) -> Reply {
        self.post(SERVICE, &format!("/api/v1/holds/{hold}/void"), json!({}))
            .await
    }

    pub async fn status(&self, wallet: &str, verb: &str) -> Reply {
        self.post(OPERATOR, &path(wallet, verb), json!({"reason": "test"}))
            .await
    }

    pub async fn reverse(&self, transaction: &str, reason: &str) -> Reply {
        let path = format!("/api/v1/transactions/{transaction}/reverse");
        self.post(OPERATOR, &path, json!({"reason": reason})).await
    }

    /// `balance`, `held` and `available`.
    pub async fn figures(&self, wallet: &str) -> (String, String, String) {
        let reply = self.get(SERVICE, &path(wallet, "balance")).await.ok(200);
        let text = |member| reply.text_of(member).to_owned();
        (text("balance"), text("held"), text("available"))
    }

    pub async fn balance(&self, wallet: &str) -> String {
        self.figures(wallet).await.0
    }
}

/// `/api/v1/wallets/{wallet}/{rest}`.
pub fn path(wallet: &str, rest: &str) -> String {
    format!("/api/v1/wallets/{wallet}/{rest}")
}
