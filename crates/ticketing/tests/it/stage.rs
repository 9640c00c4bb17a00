//! A ticketing room without a socket: the router over a scratch database, an embedded ledger in a
//! temporary folder, a clock that the test moves, and callers named in the header as
//! `role+role:subject`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use florin_base::Timestamp;
use florin_base::clock::ManualClock;
use florin_ledger::{Ledger, OpenOptions, Policy};
use florin_platform::blobs;
use florin_platform::cache::Cache;
use florin_platform::http::auth::{Authentication, Authenticator, CredentialKind, Principal};
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::limit::Limits;
use florin_platform::http::page::Cursors;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::App;
use florin_platform::identity::RoleBook;
use florin_platform::testing::{fresh_db, neighbour};
use florin_ticketing::{Parts, Settings, Ticketing, api};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// Where the clock stands when a stage is built.
pub const START: &str = "2030-01-01T12:00:00Z";
/// Secret of the installation.
const SECRET: [u8; 32] = [9; 32];
/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub const DAY: i64 = 86_400 * SECOND;
/// Organiser of the events of [`Stage::event`].
pub const OLGA: &str = "user:olga";
/// A buyer.
pub const ANA: &str = "user:ana";
/// Another buyer.
pub const BOB: &str = "user:bob";
/// Verifies organisations, sets fee rules.
pub const ADMIN: &str = "admin:root";
/// A guest, without any credential.
pub const GUEST: &str = "";

struct Named(RoleBook);

impl Authenticator for Named {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap, _: IpAddr) -> Authentication<'a> {
        let shown = headers.get("authorization").and_then(|v| v.to_str().ok());
        let Some((roles, subject)) = shown.and_then(|text| text.split_once(':')) else {
            return Authentication::Now(Err(Problem::unauthenticated("Nobody.")));
        };
        let roles: Arc<[Box<str>]> = roles.split('+').map(Box::from).collect();
        Authentication::Now(Ok(Arc::new(Principal {
            subject: subject.into(),
            owner: subject.into(),
            kind: CredentialKind::Token,
            credential: format!("user:{subject}").into(),
            token_id: None,
            permissions: self.0.permissions(&roles),
            roles,
            accounts: None,
        })))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    pub text: String,
    pub body: Value,
}

impl Reply {
    /// Status and code of a problem.
    pub fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    #[track_caller]
    pub fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!(self.code(), (status, code), "{}", self.text);
        self
    }

    /// A text member.
    #[track_caller]
    pub fn text_of(&self, member: &str) -> String {
        match self.body[member].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("no text `{member}` in {}: {}", self.status, self.text),
        }
    }

    #[track_caller]
    pub fn id(&self) -> String {
        self.text_of("id")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |v| v.to_str().expect("ASCII"))
    }

    pub fn is_replay(&self) -> bool {
        self.header("idempotency-replayed") == "true"
    }

    /// The list of a page.
    #[track_caller]
    pub fn items(&self) -> &Vec<Value> {
        match self.body["items"].as_array() {
            Some(items) => items,
            None => panic!("no items in {}: {}", self.status, self.text),
        }
    }
}

/// One call, built up.
pub struct Call<'a> {
    router: Router,
    who: &'a str,
    method: &'a str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `Idempotency-Key`.
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Adds `X-Access-Token`.
    pub fn token(self, token: &str) -> Self {
        self.header("x-access-token", token)
    }

    pub fn json(mut self, body: Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    /// Through another process of the installation.
    pub fn via(mut self, router: &Router) -> Self {
        self.router = router.clone();
        self
    }

    pub fn bytes(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.header("content-type", content_type)
    }

    pub async fn send(self) -> Reply {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        if !self.who.is_empty() {
            request = request.header("authorization", self.who);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(self.body)).expect("a request");
        let response = self.router.oneshot(request).await.expect("answers");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            bytes: bytes.to_vec(),
            text,
        }
    }
}

/// The room and everything it stands on.
pub struct Stage {
    pub room: Ticketing,
    pub router: Router,
    pub ledger: Ledger,
    pub clock: Arc<ManualClock>,
    _dir: TempDir,
    counter: AtomicU32,
}

/// An event that sells one type, as [`Stage::event`] makes it.
#[derive(Debug, Clone)]
pub struct Gig {
    pub org: String,
    pub event: String,
    pub kind: String,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        Self::build(settings, |parts| parts).await
    }

    /// With other parts than the usual ones, such as a provider of card payments.
    pub async fn build(settings: Settings, change: impl FnOnce(Parts) -> Parts) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let start = Timestamp::parse(START).expect("a time");
        let clock = Arc::new(ManualClock::new(start.micros()));
        let options = OpenOptions {
            segment_bytes: 4 << 20,
            disk_free_min_per_mille: 0,
            ..OpenOptions::new(dir.path().join("ledger"))
        };
        let ledger = Ledger::open(options, Policy::default(), clock.clone()).expect("opens");
        let folder = dir.path().join("blobs");
        let url = settings.public_url.clone();
        let blobs = blobs::open(&Default::default(), &folder, &[5; 32], &url, clock.clone());
        let parts = change(Parts {
            db: fresh_db().await,
            clock: clock.clone(),
            ledger: ledger.clone(),
            cursors: Cursors::new(b"an example key of 32 bytes......"),
            blobs: blobs.expect("opens"),
            cache: Cache::local(clock.clone()),
            audit: None,
            webhooks: None,
            secret: SECRET,
            card: None,
            mailer: None,
            settings,
        });
        let room = Ticketing::open(parts).await.expect("opens");
        Self {
            router: router(&room),
            room,
            ledger,
            clock,
            _dir: dir,
            counter: AtomicU32::new(0),
        }
    }

    /// Another process of the same installation: a room of its own over the same tables, ledger
    /// and clock. On SQLite it shares the one handle that there can be.
    pub async fn replica(&self) -> Ticketing {
        let room = &self.room;
        let parts = Parts {
            db: neighbour(&room.store.db).await,
            clock: self.clock.clone(),
            ledger: self.ledger.clone(),
            cursors: room.cursors.clone(),
            blobs: room.blobs.clone(),
            cache: room.cache.clone(),
            audit: None,
            webhooks: None,
            secret: SECRET,
            card: room.card.clone(),
            mailer: room.mailer.clone(),
            settings: room.settings.clone(),
        };
        Ticketing::open(parts).await.expect("opens")
    }

    /// A key that was not used before.
    pub fn fresh(&self, stem: &str) -> String {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        format!("{stem}-{n}")
    }

    /// Lets the clock run on.
    pub fn advance(&self, micros: i64) {
        self.clock.advance(micros);
    }

    /// The clock as RFC 3339 plus some microseconds.
    pub fn at(&self, micros: i64) -> String {
        Timestamp(self.room.now() + micros).to_string()
    }

    pub fn call<'a>(&'a self, who: &'a str, method: &'a str, path: &str) -> Call<'a> {
        Call {
            router: self.router.clone(),
            who,
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub async fn get(&self, who: &str, path: &str) -> Reply {
        self.call(who, "GET", path).send().await
    }

    /// POSTs with a fresh `Idempotency-Key`.
    pub async fn post(&self, who: &str, path: &str, body: Value) -> Reply {
        let key = self.fresh("key");
        self.call(who, "POST", path)
            .key(&key)
            .json(body)
            .send()
            .await
    }

    pub async fn patch(&self, who: &str, path: &str, body: Value) -> Reply {
        self.call(who, "PATCH", path).json(body).send().await
    }

    pub async fn put(&self, who: &str, path: &str, body: Value) -> Reply {
        self.call(who, "PUT", path).json(body).send().await
    }

    pub async fn delete(&self, who: &str, path: &str) -> Reply {
        self.call(who, "DELETE", path).send().await
    }

    /// A verified organisation of Olga's, paid out to nobody yet.
    pub async fn org(&self) -> String {
        let name = self.fresh("Org");
        let body = json!({
            "name": name, "legalName": "Org Ltd", "country": "DE",
            "defaultCurrency": "EUR", "contactEmail": "olga@example.com",
        });
        let org = self.post(OLGA, "/api/v1/orgs", body).await.ok(201).id();
        let body = json!({"verified": true});
        self.patch(ADMIN, &format!("/api/v1/orgs/{org}"), body)
            .await
            .ok(200);
        org
    }

    /// A draft of an event in Berlin that starts in 30 days and lasts four hours; `more` is laid
    /// over its fields.
    pub async fn draft(&self, org: &str, more: Value) -> String {
        let mut body = json!({
            "orgId": org, "title": self.fresh("Concert"), "category": "music",
            "startsAt": self.at(30 * DAY), "endsAt": self.at(30 * DAY + 4 * 3_600 * SECOND),
            "timeZone": "Europe/Berlin", "currency": "EUR",
            "venue": {"name": "Hall", "address": "Street 1", "city": "Berlin", "country": "DE",
                      "lat": 52.52, "lng": 13.405},
        });
        lay_over(&mut body, &more);
        self.post(OLGA, "/api/v1/events", body).await.ok(201).id()
    }

    /// A ticket type; `more` is laid over name "Standing", price 50.00, quantity 100.
    pub async fn kind(&self, event: &str, more: Value) -> String {
        let mut body = json!({"name": "Standing", "price": "50.00", "quantity": 100});
        lay_over(&mut body, &more);
        let path = format!("/api/v1/events/{event}/ticket-types");
        self.post(OLGA, &path, body).await.ok(201).id()
    }

    pub async fn publish(&self, event: &str) -> Reply {
        let path = format!("/api/v1/events/{event}/publish");
        self.post(OLGA, &path, json!({})).await
    }

    /// A published event with one type of this price and quantity.
    pub async fn event(&self, price: &str, quantity: u32) -> Gig {
        self.event_with(json!({}), json!({"price": price, "quantity": quantity}))
            .await
    }

    /// A published event with one type; both bodies laid over the usual ones.
    pub async fn event_with(&self, event: Value, kind: Value) -> Gig {
        let org = self.org().await;
        let event = self.draft(&org, event).await;
        let kind = self.kind(&event, kind).await;
        self.publish(&event).await.ok(200);
        Gig { org, event, kind }
    }
}

/// The router of a room, as `florin serve` mounts it, without rate limits of the kit.
pub fn router(room: &Ticketing) -> Router {
    let roles = RoleBook::try_new(&Default::default()).expect("built-in roles");
    let kit = Kit::new(KitConfig::default())
        .with_authenticator(Arc::new(Named(roles)))
        .with_limits(Arc::new(Limits::unlimited()));
    let app = App::builder(kit)
        .mount(api::event_routes().bind(room.clone()))
        .mount(api::order_routes().bind(room.clone()))
        .mount(api::analytics_routes().bind(room.clone()));
    app.build().expect("routes").router()
}

/// Members of `more` take the place of those of `body`; null removes one.
pub fn lay_over(body: &mut Value, more: &Value) {
    let into = body.as_object_mut().expect("an object");
    for (name, value) in more.as_object().expect("an object") {
        match value {
            Value::Null => drop(into.remove(name)),
            value => drop(into.insert(name.clone(), value.clone())),
        }
    }
}
