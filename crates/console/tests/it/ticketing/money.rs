//! Postings, payouts, and what organisers are told.

use super::*;

#[tokio::test]
async fn postings_of_one_kind_are_looked_for_and_the_file_has_all() {
    let mut browser = organiser().await;
    let page = list(json!([posting("P2", "tk:a"), posting("P5", "tk:b")]));
    let call = "GET /api/v1/events/e1/postings";
    browser.api.answer(call, 200, page);
    let path = "/console/ticketing/events/e1/postings";
    let shown = browser.get(&format!("{path}?posting=P5")).await;
    assert!(
        shown.text.contains("tk%3Ab") && !shown.text.contains("tk%3Aa"),
        "{}",
        shown.text
    );
    let file = browser.get(&format!("{path}?posting=P5&export=csv")).await;
    let lines: Vec<&str> = file.text.lines().collect();
    assert_eq!(lines.len(), 3, "{}", file.text);
    assert!(lines[1].starts_with("P2,net,tk:a,tk:a,5,florin:tk:clearing:r1:EUR,"));
    assert!(lines[2].contains(",84.12,EUR,"));
}

#[tokio::test]
async fn payouts_are_asked_for_by_organisers_and_marked_by_admins() {
    let mut browser = organiser().await;
    let api = &browser.api;
    let org = json!({"id": "o1", "name": "Lumen", "status": "active", "verified": true});
    api.answer("GET /api/v1/orgs/o1", 200, org);
    let balance = list(
        json!([{"currency": "EUR", "available": "12.06", "pending": "0.00",
        "openChargebacks": "0.00"}]),
    );
    api.answer("GET /api/v1/orgs/o1/balance", 200, balance);
    api.answer("GET /api/v1/orgs/o1/payouts", 200, list(json!([])));
    let path = "/console/ticketing/organisations/o1/payouts";
    let shown = browser.get(path).await;
    assert!(
        shown.text.contains("data-dialog=\"request\""),
        "{}",
        shown.text
    );
    let payout = json!({"id": "p1", "orgId": "o1", "status": "in_transit", "amount": "12.06",
        "currency": "EUR", "method": {"kind": "bank_manual", "label": "Main"},
        "lines": [{"eventId": "e1", "net": "12.06", "tax": "0.00"}], "createdAt": AT});
    let call = "POST /api/v1/orgs/o1/payouts";
    browser.api.answer(call, 201, payout.clone());
    browser
        .api
        .answer("GET /api/v1/payouts/p1", 200, payout.clone());
    let done = send(&mut browser, &shown, path, "currency=EUR&amount=").await;
    let page = "/console/ticketing/payouts/p1";
    assert_eq!((done.status, done.header("location")), (303, page));
    let came = &browser.api.calls(call)[0];
    assert_eq!(came.body, json!({"currency": "EUR"}));
    assert_eq!(came.headers["idempotency-key"], "once-1");
    let shown = browser.get(page).await;
    assert!(shown.text.contains("href=\"/console/ticketing/events/e1\""));
    assert!(
        !shown.text.contains("data-dialog=\"paid\""),
        "an organiser marks nothing"
    );
    let held = ["payouts:read", "ticketing:admin"];
    browser.api.answer("GET /api/v1/auth/me", 200, me(&held));
    let shown = browser.get(page).await;
    assert!(shown.text.contains("data-dialog=\"paid\""));
    let call = "POST /api/v1/payouts/p1/mark-paid";
    browser.api.answer(call, 200, payout);
    let paid = "/console/ticketing/payouts/p1/paid";
    send(&mut browser, &shown, paid, "reference=SEPA-1").await;
    assert_eq!(
        browser.api.calls(call)[0].body,
        json!({"reference": "SEPA-1"})
    );
}

#[tokio::test]
async fn deliveries_that_ended_are_sent_again() {
    let mut browser = organiser().await;
    let api = &browser.api;
    let hook = "/api/v1/orgs/o1/webhooks/w1";
    let answer =
        json!({"id": "w1", "url": "https://example.org/in", "status": "enabled", "createdAt": AT});
    api.answer(&format!("GET {hook}"), 200, answer);
    let row = |id: &str, state: &str| {
        json!({"id": id, "eventId": "x", "eventType": "order.confirmed", "state": state,
            "tries": 2, "createdAt": AT})
    };
    let rows = list(json!([row("d1", "parked"), row("d2", "ready")]));
    api.answer(&format!("GET {hook}/deliveries"), 200, rows);
    let page = "/console/ticketing/organisations/o1/webhooks/w1";
    let shown = browser.get(&format!("{page}?state=parked")).await;
    let log = browser.api.calls(&format!("GET {hook}/deliveries"));
    assert!(log[0].path.ends_with("/deliveries?state=parked&limit=50"));
    assert!(
        shown.text.contains("/deliveries/d1/redeliver\""),
        "{}",
        shown.text
    );
    assert!(!shown.text.contains("/deliveries/d2/redeliver\""));
    let call = format!("POST {hook}/deliveries/d1/redeliver");
    browser.api.answer(&call, 202, row("d1", "ready"));
    let path = format!("{page}/deliveries/d1/redeliver");
    let done = send(&mut browser, &shown, &path, "x=1").await;
    assert_eq!((done.status, done.header("location")), (303, page));
    assert_eq!(browser.api.calls(&call).len(), 1);
    let mut detail = row("d1", "parked");
    detail["body"] = "{\"type\":\"order.confirmed\"}".into();
    detail["log"] = json!([{"number": 1, "at": AT, "status": 503, "durationMs": 12},
        {"number": 2, "at": AT, "error": "timeout", "durationMs": 10000}]);
    browser
        .api
        .answer(&format!("GET {hook}/deliveries/d1"), 200, detail);
    let shown = browser.get(&format!("{page}/deliveries/d1")).await;
    assert!(
        shown.text.contains("503") && shown.text.contains("timeout"),
        "{}",
        shown.text
    );
}
