//! The routes of webhooks, through the kit's router.

use super::*;
use crate::http::auth::{Authentication, Authenticator, CredentialKind, PermissionSet, Principal};
use crate::http::guard::{Kit, KitConfig};
use crate::http::router::App;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::net::IpAddr;
use tower::ServiceExt as _;

struct Anybody;

impl Authenticator for Anybody {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap, _: IpAddr) -> Authentication<'a> {
        let grants: &[&str] = match headers.contains_key("x-nothing") {
            true => &[],
            false => &["webhooks:manage"],
        };
        Authentication::Now(Ok(Arc::new(Principal {
            accounts: None,
            subject: "svc".into(),
            owner: "svc".into(),
            kind: CredentialKind::Token,
            credential: "user:svc".into(),
            token_id: None,
            roles: vec!["service".into()].into(),
            permissions: Arc::new(PermissionSet::parse(grants.iter().copied())),
        })))
    }
}

fn router(hooks: &Webhooks) -> axum::Router {
    let kit = Kit::new(KitConfig::default()).with_authenticator(Arc::new(Anybody));
    let app = App::builder(kit)
        .mount(routes().bind(hooks.clone()))
        .build();
    app.expect("routes are good").router()
}

async fn call(
    router: &axum::Router,
    method: &str,
    path: &str,
    body: Option<Value>,
    key: Option<&str>,
) -> (u16, HeaderMap, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let body = match body {
        Some(body) => {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    let request = request.body(body).expect("a request");
    let response = router.clone().oneshot(request).await.expect("infallible");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    (
        status,
        headers,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

async fn the_life_of_a_webhook() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let router = router(&rig.hooks);
    let wanted = json!({"url": receiver.url, "events": ["FundsDeposited"]});
    let (status, headers, made) = call(
        &router,
        "POST",
        "/api/v1/webhooks",
        Some(wanted.clone()),
        Some("k1"),
    )
    .await;
    assert_eq!(status, 201, "{made}");
    assert!(
        made["secret"]
            .as_str()
            .expect("shown once")
            .starts_with("whsec_")
    );
    let path = headers["location"].to_str().expect("ASCII").to_owned();
    let (status, headers, again) = call(
        &router,
        "POST",
        "/api/v1/webhooks",
        Some(wanted),
        Some("k1"),
    )
    .await;
    assert_eq!((status, &again), (201, &made));
    assert_eq!(headers["idempotency-replayed"], "true");
    let other = json!({"url": receiver.url});
    let (status, _, problem) =
        call(&router, "POST", "/api/v1/webhooks", Some(other), Some("k1")).await;
    assert_eq!((status, problem["field"].as_str()), (409, Some("events")));
    let (_, _, shown) = call(&router, "GET", &path, None, None).await;
    assert_eq!(
        (shown["status"].as_str(), shown.get("secret")),
        (Some("enabled"), None)
    );
    let (_, _, page) = call(&router, "GET", "/api/v1/webhooks", None, None).await;
    assert_eq!(page["items"], json!([shown]));
    assert!(page["nextCursor"].is_null());
    let (status, ..) = call(&router, "DELETE", &path, None, None).await;
    assert_eq!(status, 204);
    let (status, _, problem) = call(&router, "GET", &path, None, None).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (404, Some("webhook_not_found"))
    );
}

async fn deliveries_are_logged_and_redelivered() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let router = router(&rig.hooks);
    let endpoint = rig.add(&receiver.url, None, None).await;
    rig.give(&[event("e1", "w1", 101), event("e2", "w1", 102)])
        .await;
    rig.deliver().await;
    let base = format!("/api/v1/webhooks/{}/deliveries", endpoint.id);
    let (_, _, page) = call(&router, "GET", &format!("{base}?limit=1"), None, None).await;
    assert_eq!(page["items"][0]["eventId"], "e2", "newest first");
    let cursor = page["nextCursor"].as_str().expect("more");
    let next = format!("{base}?limit=1&cursor={cursor}");
    let (_, _, page) = call(&router, "GET", &next, None, None).await;
    assert_eq!(
        (page["items"][0]["eventId"].as_str(), &page["nextCursor"]),
        (Some("e1"), &Value::Null)
    );
    let id = page["items"][0]["id"].as_str().expect("an id").to_owned();
    let again = format!("{base}/{id}/redeliver");
    let (status, _, queued) = call(&router, "POST", &again, None, None).await;
    assert_eq!((status, queued["state"].as_str()), (202, Some("ready")));
    rig.deliver().await;
    assert_eq!(receiver.ids(), ["e1", "e2", "e1"]);
    let (_, _, detail) = call(&router, "GET", &format!("{base}/{id}"), None, None).await;
    assert_eq!(detail["tries"], 2);
    assert_eq!(detail["log"][1]["status"], 200);
    let (status, _, wrong) = call(&router, "GET", &format!("{base}?state=lost"), None, None).await;
    assert_eq!(
        (status, wrong["code"].as_str()),
        (400, Some("validation_failed"))
    );
}

async fn bad_registrations_are_refused() {
    let rig = rig_with(Targets::PublicOnly).await;
    let router = router(&rig.hooks);
    for url in [
        "ftp://example.com",
        "http://example.com",
        "https://127.0.0.1/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/x",
        "https://[::1]/x",
        "https://localhost/x",
        "not a url",
    ] {
        let body = Some(json!({"url": url}));
        let (status, _, problem) = call(&router, "POST", "/api/v1/webhooks", body, None).await;
        assert_eq!(
            (status, problem["errors"][0]["field"].as_str()),
            (400, Some("url")),
            "{url}"
        );
    }
    let good = "https://example.com/x";
    for (body, field) in [
        (json!({"url": good, "events": ["Nothing"]}), "events[0]"),
        (json!({"url": good, "walletId": "w"}), "walletId"),
        (json!({"url": good, "colour": 1}), "colour"),
    ] {
        let (status, _, problem) =
            call(&router, "POST", "/api/v1/webhooks", Some(body), None).await;
        assert_eq!(
            (status, problem["errors"][0]["field"].as_str()),
            (400, Some(field))
        );
    }
    assert!(rig.hooks.endpoints().is_empty());
}

crate::testing::conformance! {
    the_life_of_a_webhook,
    deliveries_are_logged_and_redelivered,
    bad_registrations_are_refused,
}
