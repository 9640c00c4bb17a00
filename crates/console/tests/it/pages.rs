//! Pages over answers of every kind: rows, refusals, silence, words that look like markup.

use http::Method;
use serde_json::{Value, json};

use crate::fake::{Browser, me};

fn page(items: Value, next: Option<&str>) -> Value {
    json!({"items": items, "nextCursor": next})
}

fn wallet(label: &str) -> Value {
    json!({"walletId": "w1", "userId": "ana", "label": label, "currency": "BRL", "status": "ACTIVE",
        "balance": "1234567.89", "held": "0.00", "available": "1234567.89", "tier": "standard",
        "createdAt": "2026-01-31T12:00:00.000000Z", "updatedAt": "2026-01-31T12:00:00.000000Z"})
}

#[tokio::test]
async fn a_list_asks_for_one_page_and_leads_to_the_next() {
    let mut browser = Browser::signed_in().await;
    let rows = page(json!([wallet("everyday")]), Some("c2/+"));
    browser.api.answer("GET /api/v1/wallets", 200, rows);
    let shown = browser.get("/console/wallets?userId=ana&cursor=c1").await;
    assert_eq!(shown.status, 200);
    let asked = browser.api.calls("GET /api/v1/wallets");
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].path,
        "/api/v1/wallets?userId=ana&limit=50&cursor=c1"
    );
    assert!(
        shown
            .text
            .contains("href=\"/console/wallets?userId=ana&amp;cursor=c2%2F%2B\""),
        "{}",
        shown.text
    );
    assert!(shown.text.contains("First page"));
    assert!(
        shown
            .text
            .contains("datetime=\"2026-01-31T12:00:00.000000Z\"")
    );
    assert!(
        shown.text.contains("<span class=\"g\">567</span>.89"),
        "exact, grouped for the eye"
    );
}

#[tokio::test]
async fn words_of_others_are_never_markup() {
    let mut browser = Browser::signed_in().await;
    let evil = "<script>alert(1)</script>\"'><img src=x>";
    let rows = page(json!([wallet(evil)]), None);
    browser.api.answer("GET /api/v1/wallets", 200, rows);
    let path = "/console/wallets?userId=%22%3E%3Cscript%3Ealert(2)%3C/script%3E";
    let shown = browser.get(path).await;
    assert_eq!(
        shown.text.matches("<script").count(),
        1,
        "our own: {}",
        shown.text
    );
    assert!(!shown.text.contains("<img src=x"));
}

#[tokio::test]
async fn refusals_are_said_plainly() {
    let mut browser = Browser::signed_in().await;
    let absent = browser.get("/console/wallets").await;
    assert_eq!(absent.status, 404);
    assert!(
        absent.text.contains("This part does not run."),
        "{}",
        absent.text
    );
    let forbidden = json!({"code": "forbidden", "detail": "This needs the permission `wallets:read`.", "traceId": "t-1"});
    browser.api.answer("GET /api/v1/wallets", 403, forbidden);
    let shown = browser.get("/console/wallets").await;
    assert_eq!(shown.status, 403);
    assert!(
        shown.text.contains("Not permitted.")
            && shown.text.contains("wallets:read")
            && shown.text.contains("t-1")
    );
    browser.api.silence("GET /api/v1/wallets");
    let shown = browser.get("/console/wallets").await;
    assert_eq!(shown.status, 503);
    assert!(shown.text.contains("The API does not answer."));
    // The overview works without any of its parts.
    let shown = browser.get("/console").await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("This part does not run."));
}

#[tokio::test]
async fn an_action_is_a_call_in_the_visitor_s_name() {
    let mut browser = Browser::signed_in().await;
    browser
        .api
        .answer("POST /api/v1/wallets/w1/freeze", 200, wallet(""));
    browser
        .api
        .answer("GET /api/v1/wallets/w1", 200, wallet(""));
    let shown = browser.get("/console/wallets/w1").await;
    assert!(shown.text.contains("data-dialog=\"freeze\""));
    let token = shown.form_token();
    let done = browser
        .post(
            "/console/wallets/w1/freeze",
            &format!("reason=lost&_form={token}"),
        )
        .await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, "/console/wallets/w1")
    );
    let call = &browser.api.calls("POST /api/v1/wallets/w1/freeze")[0];
    assert_eq!(call.body, json!({"reason": "lost"}));
    assert_eq!(call.token.as_deref(), Some("access-1"));
    assert!(
        browser
            .get("/console/wallets/w1")
            .await
            .text
            .contains("The wallet is frozen.")
    );
    assert!(
        !browser
            .get("/console/wallets/w1")
            .await
            .text
            .contains("The wallet is frozen.")
    );
    let no = json!({"code": "wallet_not_empty", "detail": "It holds money."});
    browser.api.answer("POST /api/v1/wallets/w1/close", 409, no);
    browser
        .post(
            "/console/wallets/w1/close",
            &format!("reason=old&_form={token}"),
        )
        .await;
    assert!(
        browser
            .get("/console/wallets/w1")
            .await
            .text
            .contains("It holds money.")
    );
    let foreign = [("sec-fetch-site", "same-site")];
    let form = format!("reason=lost&_form={token}");
    let refused = browser
        .send(Method::POST, "/console/wallets/w1/freeze", &form, &foreign)
        .await;
    assert_eq!(refused.status, 403);
    assert_eq!(browser.api.calls("POST /api/v1/wallets/w1/freeze").len(), 1);
}

#[tokio::test]
async fn what_is_not_permitted_is_not_offered() {
    let mut browser = Browser::signed_in().await;
    browser
        .api
        .answer("GET /api/v1/auth/me", 200, me(&["wallets:read@own"]));
    browser
        .api
        .answer("GET /api/v1/wallets/w1", 200, wallet(""));
    let shown = browser.get("/console/wallets/w1").await;
    assert!(!shown.text.contains("data-dialog=\"freeze\""));
    assert!(!shown.text.contains("/console/ledger/accounts\""));
    assert!(shown.text.contains("href=\"/console/wallets\""));
}

#[tokio::test]
async fn a_part_comes_alone() {
    let mut browser = Browser::signed_in().await;
    let part = browser
        .send(Method::GET, "/console", "", &[("x-part", "state")])
        .await;
    assert_eq!(part.status, 200);
    assert!(!part.text.contains("<html") && part.text.contains("id=\"state\""));
    browser.cookies.clear();
    let part = browser
        .send(Method::GET, "/console", "", &[("x-part", "state")])
        .await;
    assert_eq!(part.status, 401, "the script loads the page anew");
}
