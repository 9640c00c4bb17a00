//! Pages that set the shadow ledger up: monitors, links, profiles, references, settings of books;
//! and a book at a pair of times.

use serde_json::{Value, json};

use crate::fake::{Browser, Page, me};

const AT: &str = "2026-01-31T12:00:00.000000Z";

async fn admin() -> Browser {
    let browser = Browser::signed_in().await;
    let held = ["shadow:read", "shadow:configure", "shadow:import"];
    browser.api.answer("GET /api/v1/auth/me", 200, me(&held));
    browser
}

fn list(items: Value) -> Value {
    json!({"items": items, "nextCursor": null})
}

async fn send(browser: &mut Browser, page: &Page, path: &str, form: &str) -> Page {
    let form = format!("{form}&_once=k1&_form={}", page.form_token());
    browser.post(path, &form).await
}

fn has(page: &Page, text: &str) {
    assert!(page.text.contains(text), "no {text:?} in {}", page.text);
}

#[tokio::test]
async fn a_monitor_is_set_up_changed_and_removed() {
    let mut browser = admin().await;
    let monitor = json!({"name": "drift-hourly", "kind": "drift", "accounts": ["core-*"],
        "currency": null, "everySeconds": 3600, "threshold": {"absolute": "0.05", "percent": null},
        "sustainSeconds": 300, "severity": "HIGH", "setBy": "key:k", "lookedAt": AT});
    let all = "GET /api/v1/shadow/monitors";
    browser.api.answer(all, 200, list(json!([monitor])));
    let page = browser.get("/console/shadow/monitors").await;
    has(&page, "href=\"/console/shadow/monitors/drift-hourly\"");
    has(&page, "title=\"3600 s\"");
    let put = "PUT /api/v1/shadow/monitors/late";
    browser.api.answer(put, 201, monitor.clone());
    let form = "name=late&kind=statement_late&accounts=bank%3A*%2C+core&everySeconds=60\
                &sustainSeconds=&absolute=&percent=0.5&severity=LOW&currency=";
    let done = send(&mut browser, &page, "/console/shadow/monitors", form).await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, "/console/shadow/monitors/late")
    );
    assert_eq!(
        browser.api.calls(put)[0].body,
        json!({"kind": "statement_late", "accounts": ["bank:*", "core"], "everySeconds": 60,
            "severity": "LOW", "threshold": {"percent": "0.5"}})
    );
    let one = "GET /api/v1/shadow/monitors/drift-hourly";
    browser.api.answer(one, 200, monitor);
    let place = "/console/shadow/monitors/drift-hourly";
    let page = browser.get(place).await;
    has(&page, "value=\"core-*\"");
    has(&page, "data-dialog=\"remove\"");
    let gone = "DELETE /api/v1/shadow/monitors/drift-hourly";
    browser.api.answer(gone, 204, Value::String(String::new()));
    send(&mut browser, &page, &format!("{place}/delete"), "").await;
    assert_eq!(browser.api.calls(gone).len(), 1);
}

#[tokio::test]
async fn a_link_shows_three_balances_and_leads_to_each() {
    let mut browser = admin().await;
    let link = json!({"accountId": "clearing", "currency": "BRL",
        "ledgerAccount": "florin:external:BRL", "orientation": "asset", "accountRef": "DE89",
        "position": 7, "madeBy": "key:k", "madeAt": AT});
    browser
        .api
        .answer("GET /api/v1/shadow/links", 200, list(json!([link])));
    let page = browser.get("/console/shadow/links").await;
    has(
        &page,
        "href=\"/console/ledger/accounts/florin%3Aexternal%3ABRL\"",
    );
    let one = "GET /api/v1/shadow/links/clearing";
    browser.api.answer(one, 200, link.clone());
    let status = json!({"accountId": "clearing", "currency": "BRL", "ledgerBalance": "12.50",
        "shadowBalance": "12.50", "bankBalance": "12.00", "feedPosition": 7, "lagSeconds": 0});
    let call = "GET /api/v1/shadow/links/clearing/status";
    browser.api.answer(call, 200, status);
    let shown = browser
        .get("/console/shadow/links/clearing?currency=BRL")
        .await;
    has(&shown, "equal");
    has(
        &shown,
        "href=\"/console/shadow/statements?accountId=clearing&amp;currency=BRL\"",
    );
    let asked = &browser.api.calls(call)[0].path;
    assert!(asked.ends_with("?currency=BRL&money=string"), "{asked}");
    let put = "PUT /api/v1/shadow/links/psp";
    let no = json!({"code": "book_not_empty", "detail": "The book has events already."});
    browser.api.answer(put, 409, no);
    let form = "accountId=psp&ledgerAccount=florin%3Aexternal%3ABRL&currency=&orientation=liability&accountRef=";
    let done = send(&mut browser, &page, "/console/shadow/links", form).await;
    assert_eq!(done.header("location"), "/console/shadow/links");
    assert_eq!(
        browser.api.calls(put)[0].body,
        json!({"ledgerAccount": "florin:external:BRL", "orientation": "liability"})
    );
    let page = browser.get("/console/shadow/links").await;
    has(&page, "The book has events already.");
}

#[tokio::test]
async fn only_what_was_changed_of_a_book_is_sent() {
    let mut browser = admin().await;
    let book = json!({"accountId": "A1", "currency": "BRL", "floor": 0, "policy": "watermark",
        "graceSeconds": 30, "zone": "UTC", "tolerance": null, "linked": false, "events": 4});
    browser
        .api
        .answer("GET /api/v1/shadow/books/A1/BRL", 200, book.clone());
    let path = "/console/shadow/accounts/A1/settings/BRL";
    let page = browser.get(path).await;
    assert!(
        !page.text.contains("name=\"policy\""),
        "fixed with the first event"
    );
    let put = "PUT /api/v1/shadow/books/A1/BRL";
    browser.api.answer(put, 200, book);
    let form = "floor=-500&graceSeconds=30&zone=UTC&absolute=0.05&percent=";
    send(&mut browser, &page, path, form).await;
    let wanted = json!({"floor": "-500", "tolerance": {"absolute": "0.05"}});
    assert_eq!(browser.api.calls(put)[0].body, wanted);
    let form = "floor=&graceSeconds=30&zone=UTC&absolute=&percent=";
    send(&mut browser, &page, path, form).await;
    assert_eq!(browser.api.calls(put)[1].body, json!({"floor": null}));
    let form = "floor=0&graceSeconds=30&zone=UTC&absolute=&percent=";
    send(&mut browser, &page, path, form).await;
    assert_eq!(browser.api.calls(put).len(), 2, "nothing was changed");
}

#[tokio::test]
async fn a_profile_is_written_as_the_api_takes_it() {
    let mut browser = admin().await;
    let profile = json!({"name": "my-bank", "delimiter": ";", "quote": "\"", "encoding": "UTF-8",
        "skipRows": 0, "header": true, "datePattern": "DD.MM.YYYY", "zone": "UTC",
        "decimalMark": ",", "newestFirst": false, "signs": {"credit": ["C"], "debit": ["D"]},
        "columns": {"date": "Date", "amount": "Amount", "text": ["A", "B"]}});
    let names = list(json!([{"name": "my-bank"}]));
    browser
        .api
        .answer("GET /api/v1/shadow/csv-profiles", 200, names);
    let page = browser.get("/console/shadow/profiles").await;
    has(&page, "href=\"/console/shadow/profiles/my-bank\"");
    let one = "GET /api/v1/shadow/csv-profiles/my-bank";
    browser.api.answer(one, 200, profile.clone());
    let shown = browser.get("/console/shadow/profiles/my-bank").await;
    has(&shown, "value=\"A, B\"");
    let put = "PUT /api/v1/shadow/csv-profiles/other";
    browser.api.answer(put, 200, profile);
    let form = "name=other&delimiter=tab&quote=%22&encoding=UTF-8&datePattern=YYYYMMDD&zone=UTC\
                &decimalMark=.&thousandsMark=blank&currency=&skipRows=2&newestFirst=true\
                &column.date=1&column.amount=3&column.text=4%2C+5&signs.credit=&signs.debit=";
    let done = send(&mut browser, &page, "/console/shadow/profiles", form).await;
    assert_eq!(done.header("location"), "/console/shadow/profiles/other");
    assert_eq!(
        browser.api.calls(put)[0].body,
        json!({"header": false, "newestFirst": true, "delimiter": "\t", "quote": "\"",
            "encoding": "UTF-8", "datePattern": "YYYYMMDD", "zone": "UTC", "decimalMark": ".",
            "thousandsMark": " ", "skipRows": 2,
            "columns": {"date": 1, "amount": 3, "text": [4, 5]}})
    );
}

#[tokio::test]
async fn a_reference_loses_its_blanks() {
    let mut browser = admin().await;
    let refs = list(json!([{"accountRef": "DE89", "accountId": "A1"}]));
    browser
        .api
        .answer("GET /api/v1/shadow/account-refs", 200, refs);
    let page = browser.get("/console/shadow/references").await;
    has(&page, "href=\"/console/shadow/accounts/A1\"");
    let put = "PUT /api/v1/shadow/account-refs/DE8937040044";
    browser.api.answer(put, 200, json!({}));
    let form = "ref=DE89+3704+0044&accountId=A1";
    send(&mut browser, &page, "/console/shadow/references", form).await;
    assert_eq!(browser.api.calls(put)[0].body, json!({"accountId": "A1"}));
}

#[tokio::test]
async fn a_book_is_shown_at_a_pair_of_times() {
    let mut browser = admin().await;
    let balance = "GET /api/v1/shadow/accounts/A1/shadow-balance";
    let shown = json!({"accountId": "A1", "balance": "10.00", "currency": "BRL", "lastEvent": "E1",
        "asOf": 1_735_561_800_000_i64, "knownAt": AT, "logSeq": 7, "entries": 1,
        "held": {"count": 0, "sum": "0.00"}, "review": {"count": 0, "sum": "0.00"},
        "rejected": {"count": 0, "sum": "0.00"}, "floor": "0.00", "policy": "watermark"});
    browser.api.answer(balance, 200, shown);
    let entries = "GET /api/v1/shadow/accounts/A1/entries";
    browser.api.answer(entries, 200, list(json!([])));
    let path = "/console/shadow/accounts/A1?asOf=2024-12-30T12%3A30&knownAt=2026-01-31T12%3A00";
    let page = browser.get(path).await;
    for call in [balance, entries] {
        let asked = &browser.api.calls(call)[0].path;
        assert!(
            asked.contains("asOf=2024-12-30T12%3A30%3A00.000000Z"),
            "{asked}"
        );
        assert!(
            asked.contains("knownAt=2026-01-31T12%3A00%3A00.000000Z"),
            "{asked}"
        );
    }
    has(&page, "datetime=\"2024-12-30T12:30:00.000000Z\"");
    let wrong = browser.get("/console/shadow/accounts/A1?asOf=soon").await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn the_word_after_an_upload_is_kept_for_the_visitor() {
    let mut browser = admin().await;
    let statements = "GET /api/v1/shadow/statements";
    browser.api.answer(statements, 200, list(json!([])));
    let call = "POST /api/v1/shadow/statements";
    browser.api.answer(call, 201, json!({"importId": "i1"}));
    let page = browser.get("/console/shadow/statements").await;
    has(&page, "data-upload=\"/console/shadow/statements/upload\"");
    let token = page.form_token();
    let headers = [("x-part", "upload"), ("x-form-token", token.as_str())];
    let path = "/console/shadow/statements/upload?name=x.sta";
    let sent = browser
        .send(http::Method::POST, path, "bytes", &headers)
        .await;
    let place = "/console/shadow/imports/i1";
    assert_eq!((sent.status, sent.header("x-place")), (204, place));
    let import = json!({"importId": "i1", "fileDigest": "d", "statements": []});
    browser
        .api
        .answer("GET /api/v1/shadow/imports/i1", 200, import);
    has(&browser.get(place).await, "The file is imported.");
}
