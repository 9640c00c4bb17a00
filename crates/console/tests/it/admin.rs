//! Administration: people, keys and secrets that are shown once, webhooks, roles, configuration.

use serde_json::{Value, json};

use crate::fake::{Browser, me};

async fn signed_in() -> Browser {
    let browser = Browser::signed_in().await;
    let all = [
        "users:manage",
        "keys:manage",
        "webhooks:manage",
        "audit:read",
        "config:read",
    ];
    browser.api.answer("GET /api/v1/auth/me", 200, me(&all));
    browser
}

fn list(items: Value) -> Value {
    json!({"items": items, "nextCursor": null})
}

fn user(disabled: bool) -> Value {
    json!({"id": "u2", "userName": "ana", "displayName": "Ana", "roles": ["user", "auditor"],
        "accounts": null, "disabled": disabled, "createdAt": "2026-01-31T12:00:00.000000Z",
        "updatedAt": "2026-01-31T12:00:00.000000Z"})
}

#[tokio::test]
async fn users_are_made_changed_and_cut_off() {
    let mut browser = signed_in().await;
    let rows = list(json!([user(false)]));
    browser.api.answer("GET /api/v1/users", 200, rows);
    browser.api.answer("POST /api/v1/users", 201, user(false));
    browser.api.answer("GET /api/v1/users/u2", 200, user(false));
    browser
        .api
        .answer("PATCH /api/v1/users/u2", 200, user(true));
    let page = browser.get("/console/admin/users").await;
    assert!(page.text.contains("user, auditor"), "{}", page.text);
    let token = page.form_token();
    let form = format!(
        "userName=ana&displayName=&roles=user%2C+auditor&accounts=A*&password=long-enough-1&_once=k&_form={token}"
    );
    let done = browser.post("/console/admin/users", &form).await;
    assert_eq!(done.header("location"), "/console/admin/users/u2");
    let body = json!({"userName": "ana", "roles": ["user", "auditor"], "accounts": ["A*"],
        "password": "long-enough-1"});
    assert_eq!(browser.api.calls("POST /api/v1/users")[0].body, body);
    let page = browser.get("/console/admin/users/u2").await;
    assert!(page.text.contains("data-dialog=\"disable\""));
    let form = format!("_once=k&_form={token}");
    browser.post("/console/admin/users/u2/disable", &form).await;
    let form = format!("displayName=&roles=user&accounts=&_once=k&_form={token}");
    browser.post("/console/admin/users/u2", &form).await;
    let calls = browser.api.calls("PATCH /api/v1/users/u2");
    assert_eq!(calls[0].body, json!({"disabled": true}));
    let body = json!({"displayName": null, "roles": ["user"], "accounts": null});
    assert_eq!(calls[1].body, body);
}

#[tokio::test]
async fn a_key_is_shown_once_and_nowhere_else() {
    let mut browser = signed_in().await;
    browser.api.answer("GET /api/v1/keys", 200, list(json!([])));
    let mut key = json!({"id": "k1", "name": "till", "userId": null, "roles": ["service"],
        "createdBy": "u1", "createdAt": "2026-01-31T12:00:00.000000Z"});
    let page = browser.get("/console/admin/keys").await;
    let token = page.form_token();
    key["key"] = "shown-this-once".into();
    browser.api.answer("POST /api/v1/keys", 201, key.clone());
    let form = format!(
        "name=till&roles=service&userId=&scopes=&accounts=&expiresAt=2027-01-01T00%3A00&_once=k9&_form={token}"
    );
    let page = browser.post("/console/admin/keys", &form).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("shown-this-once"));
    assert_eq!(page.header("cache-control"), "no-store");
    let set = page.headers.get_all("set-cookie").iter();
    assert_eq!(set.count(), 0, "no cookie carries it");
    let call = &browser.api.calls("POST /api/v1/keys")[0];
    let body = json!({"name": "till", "roles": ["service"],
        "expiresAt": "2027-01-01T00:00:00.000000Z"});
    assert_eq!(call.body, body);
    assert_eq!(call.headers["idempotency-key"], "k9");
    let revoked = "DELETE /api/v1/keys/k1";
    browser.api.answer(revoked, 204, Value::Null);
    let form = format!("_once=k&_form={token}");
    browser.post("/console/admin/keys/k1/revoke", &form).await;
    assert_eq!(browser.api.calls(revoked).len(), 1);
}

#[tokio::test]
async fn a_delivery_shows_its_tries_and_goes_again() {
    let mut browser = signed_in().await;
    let hook =
        json!({"id": "h1", "url": "https://example.com/x", "status": "enabled", "sinceSeq": 4});
    browser.api.answer("GET /api/v1/webhooks/h1", 200, hook);
    let one = json!({"id": "d1", "eventId": "e1", "eventType": "FundsDeposited", "key": "w1",
        "state": "parked", "tries": 2, "body": "{}", "log": [
            {"number": 1, "at": "2026-01-31T12:00:00.000000Z", "status": 500, "durationMs": 12}]});
    let path = "/api/v1/webhooks/h1/deliveries";
    let rows = list(json!([one.clone()]));
    browser.api.answer(&format!("GET {path}"), 200, rows);
    browser.api.answer(&format!("GET {path}/d1"), 200, one);
    let page = browser.get("/console/admin/webhooks/h1?state=parked").await;
    let asked = &browser.api.calls(&format!("GET {path}"))[0].path;
    assert_eq!(asked, &format!("{path}?state=parked&limit=50"));
    assert!(page.text.contains("Redeliver"));
    let here = "/console/admin/webhooks/h1/deliveries/d1";
    let page = browser.get(here).await;
    assert!(page.text.contains("500") && page.text.contains("12 ms"));
    let again = format!("POST {path}/d1/redeliver");
    let no = json!({"code": "webhook_disabled", "detail": "Nothing is sent to it."});
    browser.api.answer(&again, 409, no);
    let form = format!("_once=k&_form={}", page.form_token());
    browser.post(&format!("{here}/redeliver"), &form).await;
    assert!(
        browser
            .get(here)
            .await
            .text
            .contains("Nothing is sent to it.")
    );
}

#[tokio::test]
async fn roles_configuration_and_audit_are_shown() {
    let mut browser = signed_in().await;
    let grants = json!([
        {"role": "user", "permission": "wallets:read@own"},
        {"role": "admin", "permission": "wallets:read"},
    ]);
    browser
        .api
        .answer("GET /api/v1/admin/roles", 200, json!({"items": grants}));
    let page = browser.get("/console/admin/roles").await;
    assert!(
        page.text.contains("data-name=\"admin\">all</td>"),
        "{}",
        page.text
    );
    assert!(page.text.contains("data-name=\"user\">own</td>"));
    let settings = json!([
        {"name": "auth.secret", "value": "\"[redacted]\"", "origin": "default", "about": "A."},
        {"name": "server.port", "value": "8080", "origin": "FLORIN_SERVER_PORT", "about": "B."},
    ]);
    let path = "GET /api/v1/admin/config";
    browser.api.answer(path, 200, json!({"items": settings}));
    let page = browser.get("/console/admin/config").await;
    assert!(page.text.contains("[redacted]"));
    let page = browser.get("/console/admin/config?origin=given").await;
    assert!(page.text.contains("server.port") && !page.text.contains("auth.secret"));
    let csv = browser.get("/console/admin/config?export=csv").await;
    assert!(csv.text.contains("server.port,8080,FLORIN_SERVER_PORT,B."));
    let entry = json!({"seq": 3, "at": "2026-01-31T12:00:00.000000Z", "actor": "u1",
        "action": "user.disabled", "object": "user:u2", "hash": "ab"});
    let rows = list(json!([entry]));
    browser.api.answer("GET /api/v1/audit", 200, rows);
    let page = browser
        .get("/console/admin/audit?action=user.disabled")
        .await;
    assert!(page.text.contains("user.disabled"));
    let asked = &browser.api.calls("GET /api/v1/audit")[0].path;
    assert_eq!(asked, "/api/v1/audit?action=user.disabled&limit=50");
}
