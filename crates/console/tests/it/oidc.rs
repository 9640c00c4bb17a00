//! Sign-in through a provider, over a provider of our own on a loopback port.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use florin_base::Secret;
use florin_console::oidc::{Oidc, OidcSettings};
use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use parking_lot::Mutex;
use ring::digest;
use serde_json::json;

use crate::fake::Browser;

#[derive(Default)]
struct Provider {
    /// The nonce to put into the next id token.
    nonce: Mutex<String>,
    /// Forms that came to the token endpoint.
    forms: Mutex<Vec<HashMap<String, String>>>,
    refuses: Mutex<bool>,
}

fn fields(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

async fn provider() -> (Arc<Provider>, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let state = Arc::new(Provider::default());
    let discovery = json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "authorization_response_iss_parameter_supported": true,
    });
    let token = Arc::clone(&state);
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(|| async move { discovery.to_string() }))
        .route("/token", post(move |body: Bytes| async move {
            let form = fields(&String::from_utf8_lossy(&body));
            let renewal = form["grant_type"] == "refresh_token";
            token.forms.lock().push(form);
            if *token.refuses.lock() {
                return (http::StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string());
            }
            let claims = json!({"nonce": *token.nonce.lock()}).to_string();
            let id = format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims));
            let answer = match renewal {
                false => json!({"access_token": "outside-1", "id_token": id, "refresh_token": "again", "expires_in": 300}),
                true => json!({"access_token": "outside-2", "expires_in": 300}),
            };
            (http::StatusCode::OK, answer.to_string())
        }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (state, url)
}

fn oidc(url: &str) -> Oidc {
    let settings = OidcSettings {
        issuer: url.to_owned(),
        client_id: "florin-console".to_owned(),
        client_secret: Some(Secret::new("s:1".to_owned())),
        scopes: "openid profile".to_owned(),
        name: "the provider".to_owned(),
        use_id_token: false,
    };
    let client = Outgoing::new(&ClientConfig::new(Targets::Any)).expect("a client");
    Oidc::new(settings, client)
}

/// Begins a sign-in; the query that the provider got.
async fn begin(browser: &mut Browser, provider: &Provider) -> HashMap<String, String> {
    let page = browser
        .get("/console/oidc/start?next=%2Fconsole%2Fwallets")
        .await;
    assert_eq!(page.status, 303, "{}", page.text);
    let (place, query) = page.header("location").split_once('?').expect("a query");
    assert!(place.ends_with("/authorize"), "{place}");
    let query = fields(query);
    provider.nonce.lock().clone_from(&query["nonce"]);
    query
}

fn back(query: &HashMap<String, String>, issuer: &str) -> String {
    let issuer: String = form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
    format!(
        "/console/oidc/callback?code=c1&state={}&iss={issuer}",
        query["state"]
    )
}

#[tokio::test]
async fn a_visitor_comes_in_through_the_provider_and_stays() {
    let (provider, url) = provider().await;
    let mut browser = Browser::new(Some(oidc(&url)));
    let door = browser.get("/console/sign-in").await;
    assert!(door.text.contains("Sign in with the provider"));
    let query = begin(&mut browser, &provider).await;
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(
        query["redirect_uri"],
        "http://localhost:8080/console/oidc/callback"
    );
    let page = browser.get(&back(&query, &url)).await;
    assert_eq!(
        (page.status, page.header("location")),
        (303, "/console/wallets"),
        "{}",
        page.text
    );
    let form = provider.forms.lock()[0].clone();
    let challenge = digest::digest(&digest::SHA256, form["code_verifier"].as_bytes());
    assert_eq!(URL_SAFE_NO_PAD.encode(challenge), query["code_challenge"]);
    assert_eq!(form["code"], "c1");
    let asked = browser.api.calls("GET /api/v1/auth/me");
    assert_eq!(
        asked[0].token.as_deref(),
        Some("outside-1"),
        "the API decides"
    );

    let rows = json!({"items": [], "nextCursor": null});
    browser.api.answer("GET /api/v1/wallets", 200, rows);
    browser.clock.advance(290_000_000);
    assert_eq!(browser.get("/console/wallets").await.status, 200);
    assert_eq!(provider.forms.lock()[1]["refresh_token"], "again");
    let asked = browser.api.calls("GET /api/v1/wallets");
    assert_eq!(asked[0].token.as_deref(), Some("outside-2"));
    *provider.refuses.lock() = true;
    browser.clock.advance(600_000_000);
    assert_eq!(browser.get("/console/wallets").await.status, 303);
}

#[tokio::test]
async fn what_was_not_begun_here_is_refused() {
    let (provider, url) = provider().await;
    let mut browser = Browser::new(Some(oidc(&url)));
    let query = begin(&mut browser, &provider).await;
    let kept = browser.cookies.clone();
    let good = back(&query, &url);
    for wrong in [
        good.replace(&query["state"], "other"),
        back(&query, "https://other.example"),
        good.replace("code=c1", "error=access_denied"),
    ] {
        let page = browser.get(&wrong).await;
        assert_eq!(page.status, 401, "{wrong}");
        assert!(
            provider.forms.lock().is_empty(),
            "no code was exchanged: {wrong}"
        );
        browser.cookies.clone_from(&kept);
    }
    browser.cookies.clear();
    assert_eq!(browser.get(&good).await.status, 401, "another browser");
    browser.cookies.clone_from(&kept);
    "someone else's".clone_into(&mut provider.nonce.lock());
    assert_eq!(browser.get(&good).await.status, 401, "another id token");
    browser.cookies.clone_from(&kept);
    provider.nonce.lock().clone_from(&query["nonce"]);
    let no = json!({"code": "unauthenticated", "detail": "unknown issuer"});
    browser.api.answer("GET /api/v1/auth/me", 401, no);
    let page = browser.get(&good).await;
    assert_eq!(page.status, 401);
    assert!(page.text.contains("auth.issuers"), "{}", page.text);
    let names: Vec<&str> = browser
        .cookies
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(
        !names.contains(&"florin_console"),
        "nobody is signed in: {names:?}"
    );
}
