//! An API that answers what it is told, a console over it, and a browser that keeps cookies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use florin_base::clock::{Clock, ManualClock};
use florin_console::api::{Api, Away, Call, Calling};
use florin_console::oidc::Oidc;
use florin_console::{Console, Parts, Settings, routes};
use florin_platform::cache::Cache;
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::limit::Limits;
use florin_platform::http::router::App;
use florin_platform::http::shutdown;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A call that came.
#[derive(Debug, Clone)]
pub struct Came {
    pub method: Method,
    pub path: String,
    pub token: Option<String>,
    pub headers: HeaderMap,
    pub body: Value,
}

/// The API: answers by method and path without query; 404 `not_found` for all others.
#[derive(Default)]
pub struct Fake {
    answers: Mutex<HashMap<String, Option<(u16, Value)>>>,
    pub came: Mutex<Vec<Came>>,
}

impl Fake {
    /// From now on this is answered.
    pub fn answer(&self, call: &str, status: u16, body: Value) {
        let answer = Some((status, body));
        self.answers.lock().insert(call.to_owned(), answer);
    }

    /// From now on this text is answered, as it is.
    pub fn answer_text(&self, call: &str, status: u16, text: &str) {
        self.answer(call, status, Value::String(text.to_owned()));
    }

    /// From now on there is no answer.
    pub fn silence(&self, call: &str) {
        self.answers.lock().insert(call.to_owned(), None);
    }

    /// Calls whose method and path, without query, are these.
    pub fn calls(&self, call: &str) -> Vec<Came> {
        let came = self.came.lock();
        let same = |one: &&Came| {
            let path = one.path.split('?').next().unwrap_or_default();
            format!("{} {path}", one.method) == call
        };
        came.iter().filter(same).cloned().collect()
    }
}

/// The fake as the console holds it.
pub struct Shared(pub Arc<Fake>);

impl Api for Shared {
    fn call(&self, call: Call) -> Calling<'_> {
        Box::pin(async move {
            let bytes = call.body.collect().await.expect("a body").to_bytes();
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            let path = call.path.split('?').next().unwrap_or_default();
            let name = format!("{} {path}", call.method);
            let answer = self.0.answers.lock().get(&name).cloned();
            self.0.came.lock().push(Came {
                method: call.method,
                path: call.path,
                token: call.token.map(|token| token.into_inner()),
                headers: call.headers,
                body,
            });
            let absent =
                || json!({"code": "not_found", "detail": "There is nothing at this path."});
            let (status, body) = match answer {
                None => (404, absent()),
                Some(None) => return Err(Away("nobody is there".to_owned())),
                Some(Some(answer)) => answer,
            };
            let body = match body {
                Value::String(text) => text,
                body => body.to_string(),
            };
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            Ok(response)
        })
    }
}

/// A browser in front of a console.
pub struct Browser {
    pub api: Arc<Fake>,
    pub clock: Arc<ManualClock>,
    app: App,
    pub cookies: Vec<(String, String)>,
    _trigger: shutdown::ShutdownTrigger,
}

/// What came back.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Page {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The token of the first form.
    pub fn form_token(&self) -> String {
        let at = self.text.find("name=\"_form\" value=\"").expect("a form");
        let rest = &self.text[at + 20..];
        rest[..rest.find('"').expect("its end")].to_owned()
    }
}

pub fn me(permissions: &[&str]) -> Value {
    json!({"subject": "u1", "userId": "u1", "userName": "vera", "roles": ["auditor"], "permissions": permissions})
}

fn tokens(name: &str) -> Value {
    json!({"accessToken": format!("access-{name}"), "refreshToken": format!("refresh-{name}"), "expiresIn": 900})
}

impl Browser {
    pub fn new(oidc: Option<Oidc>) -> Self {
        let api = Arc::new(Fake::default());
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let (trigger, shutdown) = shutdown::pair();
        let console = Console::new(Parts {
            settings: Settings {
                public_url: "http://localhost:8080".to_owned(),
                environment: "development".to_owned(),
                session: Duration::from_secs(12 * 3_600),
            },
            api: Arc::new(Shared(Arc::clone(&api))),
            secret: [3; 32],
            cache: Cache::local(Arc::clone(&shared)),
            oidc,
            clock: shared,
            shutdown,
        });
        let kit = Kit::new(KitConfig::default()).with_limits(Arc::new(Limits::unlimited()));
        let app = App::builder(kit).mount(routes().bind(console)).build();
        api.answer("POST /api/v1/auth/token", 200, tokens("1"));
        api.answer("POST /api/v1/auth/refresh", 200, tokens("2"));
        api.answer("POST /api/v1/auth/logout", 204, Value::Null);
        let all = [
            "ledger:read",
            "wallets:read",
            "wallets:status",
            "wallets:reverse",
        ];
        api.answer("GET /api/v1/auth/me", 200, me(&all));
        Self {
            api,
            clock,
            app: app.expect("routes"),
            cookies: Vec::new(),
            _trigger: trigger,
        }
    }

    /// One that has signed in.
    pub async fn signed_in() -> Self {
        let mut browser = Self::new(None);
        let door = browser.get("/console/sign-in").await;
        let form = format!("_form={}&user=vera&password=secret", door.form_token());
        let page = browser.post("/console/sign-in", &form).await;
        assert_eq!((page.status, page.header("location")), (303, "/console"));
        browser
    }

    pub fn paths(&self) -> Vec<(String, String)> {
        let rows = self.app.route_table().iter();
        rows.map(|row| (row.method.clone(), row.path.clone()))
            .collect()
    }

    pub async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, "", &[]).await
    }

    pub async fn post(&mut self, path: &str, form: &str) -> Page {
        self.send(Method::POST, path, form, &[]).await
    }

    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        form: &str,
        headers: &[(&str, &str)],
    ) -> Page {
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("cookie", pairs.collect::<Vec<_>>().join("; "))
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Body::from(form.to_owned()))
            .expect("a request");
        let response = self.app.router().oneshot(request).await.expect("answers");
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        for cookie in head.headers.get_all("set-cookie") {
            self.keep(cookie.to_str().expect("ASCII"));
        }
        Page {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    fn keep(&mut self, cookie: &str) {
        let (name, rest) = cookie.split_once('=').expect("a cookie");
        let value = rest.split(';').next().unwrap_or_default();
        self.cookies.retain(|(known, _)| known != name);
        if !cookie.contains("Max-Age=0") {
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }
}
