//! Sign-in, refreshing, sign-out.

use serde_json::{Value, json};

use crate::fake::Browser;

const SECOND: i64 = 1_000_000;

#[tokio::test]
async fn every_page_asks_for_a_sign_in_first() {
    let mut browser = Browser::new(None);
    let mut asked = 0;
    for (method, path) in browser.paths() {
        let open = [
            "/console/sign-in",
            "/console/assets/{name}",
            "/console/oidc/start",
            "/console/oidc/callback",
        ];
        if open.contains(&path.as_str()) {
            continue;
        }
        let parts = path.split('/').map(|part| match part.starts_with('{') {
            true => "1",
            false => part,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let method = method.parse().expect("a method");
        let page = browser.send(method, &path, "", &[]).await;
        assert_eq!(page.status, 303, "{path}");
        assert!(
            page.header("location")
                .starts_with("/console/sign-in?next="),
            "{path}"
        );
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
    assert!(
        browser.api.came.lock().is_empty(),
        "nothing was asked of the API"
    );
}

#[tokio::test]
async fn tokens_are_refreshed_once_and_a_refusal_ends_the_sign_in() {
    let mut browser = Browser::signed_in().await;
    browser.api.answer(
        "GET /api/v1/wallets",
        200,
        json!({"items": [], "nextCursor": null}),
    );
    browser.get("/console/wallets").await;
    assert_eq!(
        browser.api.calls("GET /api/v1/wallets")[0].token.as_deref(),
        Some("access-1")
    );
    assert!(browser.api.calls("POST /api/v1/auth/refresh").is_empty());
    browser.clock.advance(850 * SECOND);
    let old = browser.cookies.clone();
    let page = browser.get("/console/wallets").await;
    assert_eq!(page.status, 200);
    assert!(
        page.headers.contains_key("set-cookie"),
        "the browser is told"
    );
    // A request that was on its way with the old cookie gets what the first one got.
    browser.cookies = old;
    browser.get("/console/wallets").await;
    let refreshed = browser.api.calls("POST /api/v1/auth/refresh");
    assert_eq!(refreshed.len(), 1);
    assert_eq!(refreshed[0].body, json!({"refreshToken": "refresh-1"}));
    let last = browser.api.calls("GET /api/v1/wallets");
    assert_eq!(last[2].token.as_deref(), Some("access-2"));
    browser.clock.advance(900 * SECOND);
    let no = json!({"code": "unauthenticated", "detail": "used before"});
    browser.api.answer("POST /api/v1/auth/refresh", 401, no);
    let page = browser.get("/console/wallets").await;
    assert_eq!(page.status, 303, "{}", page.text);
}

#[tokio::test]
async fn a_wrong_password_and_a_foreign_form_stay_outside() {
    let mut browser = Browser::new(None);
    let no = json!({"code": "unauthenticated", "detail": "no"});
    browser.api.answer("POST /api/v1/auth/token", 401, no);
    let door = browser
        .get("/console/sign-in?next=//elsewhere.example")
        .await;
    assert!(door.text.contains("name=\"next\" value=\"/console\""));
    let token = door.form_token();
    let page = browser
        .post(
            "/console/sign-in",
            &format!("_form={token}&user=vera&password=x"),
        )
        .await;
    assert_eq!(page.status, 401);
    assert!(page.text.contains("User name or password is wrong."));
    assert!(page.text.contains("value=\"vera\""), "the name stays");
    let page = browser
        .post("/console/sign-in", "_form=x&user=vera&password=x")
        .await;
    assert!(page.text.contains("too old"), "{}", page.text);
    assert_eq!(browser.api.calls("POST /api/v1/auth/token").len(), 1);
}

#[tokio::test]
async fn signing_out_ends_it_at_the_api_too() {
    let mut browser = Browser::signed_in().await;
    let page = browser.get("/console").await;
    let token = page.form_token();
    let page = browser
        .post("/console/sign-out", &format!("_form={token}"))
        .await;
    assert_eq!(page.header("location"), "/console/sign-in?again=1");
    let out = browser.api.calls("POST /api/v1/auth/logout");
    assert_eq!(out[0].token.as_deref(), Some("access-1"));
    assert_eq!(browser.get("/console").await.status, 303);
}

#[tokio::test]
async fn a_sign_in_ends_after_its_longest_time() {
    let mut browser = Browser::signed_in().await;
    browser.api.answer("GET /api/v1/ledger", 200, Value::Null);
    for _ in 0..12 {
        assert_eq!(browser.get("/console").await.status, 200);
        browser.clock.advance(3_600 * SECOND);
    }
    assert_eq!(browser.get("/console").await.status, 303);
}
