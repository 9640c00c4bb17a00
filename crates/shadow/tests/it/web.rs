//! The routes without a socket, with callers named in the header: `role+role:subject[:accounts]`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use florin_platform::http::auth::{Authentication, Authenticator, CredentialKind, Principal};
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::limit::{LimitConfig, Limits};
use florin_platform::http::page::Cursors;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::App;
use florin_platform::identity::RoleBook;
use florin_shadow::api::{ShadowApi, event_routes, ledger_routes};
use florin_shadow::corrections::control::Control;
use florin_shadow::corrections::hooks::NoHooks;
use florin_shadow::corrections::service::Corrections;
use florin_shadow::corrections::steps::Desk;
use florin_shadow::store::{Settings, Shadow};
use florin_shadow::worker::checkpoint::Key;
use florin_shadow::worker::topics::Entrance;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::support::{Bench, Known, bench};

/// Posts events to every account.
pub const SERVICE: &str = "service:feed";
/// Reads everything.
pub const AUDITOR: &str = "auditor:eve";
/// Configures, corrects.
pub const ADMIN: &str = "admin:root";

pub struct Named(pub RoleBook);

impl Authenticator for Named {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap, _: IpAddr) -> Authentication<'a> {
        let shown = headers.get("authorization").and_then(|v| v.to_str().ok());
        let Some((roles, rest)) = shown.and_then(|text| text.split_once(':')) else {
            return Authentication::Now(Err(Problem::unauthenticated("Nobody.")));
        };
        let roles: Arc<[Box<str>]> = roles.split('+').map(Box::from).collect();
        let (subject, accounts) = match rest.split_once(':') {
            Some((subject, accounts)) => (subject, Some(accounts)),
            None => (rest, None),
        };
        Authentication::Now(Ok(Arc::new(Principal {
            subject: subject.into(),
            owner: subject.into(),
            kind: CredentialKind::Token,
            credential: format!("user:{subject}").into(),
            token_id: None,
            permissions: self.0.permissions(&roles),
            roles,
            accounts: accounts.map(|all| all.split(',').map(Box::from).collect()),
        })))
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

    #[track_caller]
    pub fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

pub struct Web {
    pub bench: Bench,
    pub router: Router,
}

pub async fn web(settings: Settings) -> Web {
    over(bench(settings).await)
}

/// The entrance of topics, with the settings of the contract.
pub fn entrance(shadow: &Shadow) -> Entrance {
    let desk = Desk::new(Arc::new(Control::of_contract(&Known)), Arc::new(NoHooks));
    Entrance::new(Corrections::new(shadow.clone(), desk))
}

/// The routes over a shadow ledger that is there already.
pub fn over(bench: Bench) -> Web {
    let api = Arc::new(ShadowApi {
        shadow: bench.shadow.clone(),
        entrance: entrance(&bench.shadow),
        cursors: Cursors::new(b"an example key of 32 bytes......"),
        signer: Arc::new(Key::from_seed("test", &[7; 32])),
    });
    let unlimited = LimitConfig {
        read: None,
        write: None,
        address: None,
        ..LimitConfig::default()
    };
    let kit = Kit::new(KitConfig::default())
        .with_authenticator(Arc::new(Named(
            RoleBook::try_new(&Default::default()).expect("built-in roles"),
        )))
        .with_limits(Arc::new(Limits::new(unlimited)));
    let app = App::builder(kit)
        .mount(event_routes(true).bind(api.clone()))
        .mount(ledger_routes(true).bind(api))
        .build()
        .expect("routes");
    Web {
        router: app.router(),
        bench,
    }
}

impl Web {
    pub async fn send(
        &self,
        who: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if !who.is_empty() {
            request = request.header("authorization", who);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.expect("a body");
        let text = String::from_utf8(bytes.to_bytes().to_vec()).expect("UTF-8");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply {
            status,
            headers,
            text,
            body,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(AUDITOR, "GET", path, &[], Vec::new()).await
    }

    pub async fn post_as(&self, who: &str, path: &str, body: &str) -> Reply {
        let json = [("content-type", "application/json")];
        self.send(who, "POST", path, &json, body.as_bytes().to_vec())
            .await
    }

    /// Posts an event as the service.
    pub async fn event(&self, body: &str) -> Reply {
        self.post_as(SERVICE, "/api/v1/shadow/events", body).await
    }

    pub async fn put(&self, path: &str, body: &str) -> Reply {
        let json = [("content-type", "application/json")];
        self.send(ADMIN, "PUT", path, &json, body.as_bytes().to_vec())
            .await
    }
}

/// JSON of an event.
pub fn json(id: &str, account: &str, kind: &str, amount: &str, timestamp: i64) -> String {
    format!(
        r#"{{"eventId":"{id}","accountId":"{account}","type":"{kind}","amount":{amount},"timestamp":{timestamp}}}"#
    )
}
