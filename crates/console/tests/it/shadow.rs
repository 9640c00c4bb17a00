//! Pages of the shadow ledger: exact amounts, four eyes, evidence, files, matching by hand.

use http::Method;
use serde_json::{Value, json};

use crate::fake::{Browser, Page, me};

const ALL: [&str; 6] = [
    "shadow:read",
    "shadow:correct",
    "shadow:approve",
    "shadow:import",
    "shadow:match",
    "shadow:check",
];

async fn signed_in(permissions: &[&str]) -> Browser {
    let browser = Browser::signed_in().await;
    browser
        .api
        .answer("GET /api/v1/auth/me", 200, me(permissions));
    browser
}

fn list(items: Value) -> Value {
    json!({"items": items, "nextCursor": null})
}

fn event(state: &str) -> Value {
    json!({"eventId": "E1", "accountId": "A1", "type": "debit", "amount": "12345678901234567.89",
        "timestamp": 1_735_561_800_000_i64, "currency": "BRL", "state": state, "final": true,
        "reason": "insufficient", "isCorrection": false, "redrivable": true,
        "recordedAt": "2026-01-31T12:00:00.000000Z", "logSeq": 7, "decisions": []})
}

fn correction() -> Value {
    json!({"eventId": "CORR-A1-1", "accountId": "A1", "type": "credit", "amount": "150.00",
        "currency": "BRL", "timestamp": 1_735_561_800_000_i64, "status": "proposed",
        "kind": "manual", "reason": "lost", "proposedBy": "u1", "approvedBy": null,
        "proposedAt": "2026-01-31T12:00:00.000000Z", "history": []})
}

fn has(page: &Page, text: &str) {
    assert!(page.text.contains(text), "no {text:?} in {}", page.text);
}

/// What is read, without the markup.
fn words(page: &Page) -> String {
    let pieces = page.text.split('<');
    let outside = pieces.map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
    outside.collect()
}

#[tokio::test]
async fn events_are_filtered_by_the_api_and_stay_exact() {
    let mut browser = signed_in(&ALL).await;
    let rows = list(json!([event("rejected")]));
    browser.api.answer("GET /api/v1/shadow/events", 200, rows);
    let path = "/console/shadow/events?state=rejected&accountId=A1&from=2026-01-01T00:00";
    let page = browser.get(path).await;
    assert_eq!(page.status, 200);
    let asked = &browser.api.calls("GET /api/v1/shadow/events")[0].path;
    assert_eq!(
        asked,
        "/api/v1/shadow/events?accountId=A1&state=rejected&money=string\
         &from=2026-01-01T00%3A00%3A00.000000Z&limit=50"
    );
    has(&page, "<span class=\"g\">567</span>.89");
    has(&page, "datetime=\"2024-12-30T12:30:00.000000Z\"");
    let csv = browser.get("/console/shadow/events?export=csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    has(&csv, "E1,A1,debit,12345678901234567.89,BRL,1735561800000");
}

#[tokio::test]
async fn a_redrive_carries_its_reason_and_says_when_it_waits() {
    let mut browser = signed_in(&ALL).await;
    let one = "GET /api/v1/shadow/events/E1";
    browser.api.answer(one, 200, event("rejected"));
    let page = browser.get("/console/shadow/events/E1").await;
    has(&page, "data-dialog=\"redrive\"");
    assert!(!page.text.contains("data-dialog=\"reject\""));
    let redrive = "POST /api/v1/shadow/events/E1/redrive";
    browser.api.answer(redrive, 202, correction());
    let form = format!("reason=found&_once=k1&_form={}", page.form_token());
    let done = browser
        .post("/console/shadow/events/E1/redrive", &form)
        .await;
    assert_eq!(done.header("location"), "/console/shadow/events/E1");
    let call = &browser.api.calls(redrive)[0];
    assert_eq!(call.body, json!({"reason": "found"}));
    assert_eq!(call.headers["idempotency-key"], "k1");
    let page = browser.get("/console/shadow/events/E1").await;
    has(&page, "another person has to approve it");
}

#[tokio::test]
async fn four_eyes_are_the_api_s_and_told_before() {
    let mut browser = signed_in(&ALL).await;
    let rows = list(json!([correction()]));
    let path = "GET /api/v1/shadow/corrections";
    browser.api.answer(path, 200, rows);
    let page = browser.get("/console/shadow/corrections").await;
    let asked = &browser.api.calls(path)[0].path;
    assert!(asked.contains("status=proposed"), "an inbox: {asked}");
    has(&page, "You proposed it");
    let no = json!({"code": "four_eyes_required", "detail": "Somebody else has to approve it."});
    let approve = "POST /api/v1/shadow/corrections/CORR-A1-1/approve";
    browser.api.answer(approve, 403, no);
    let form = format!("reason=&_once=k&_form={}", page.form_token());
    let place = "/console/shadow/corrections/CORR-A1-1";
    let done = browser.post(&format!("{place}/approve"), &form).await;
    assert_eq!((done.status, done.header("location")), (303, place));
    assert_eq!(browser.api.calls(approve)[0].body, json!({}));
    let one = "GET /api/v1/shadow/corrections/CORR-A1-1";
    browser.api.answer(one, 200, correction());
    has(
        &browser.get(place).await,
        "Somebody else has to approve it.",
    );
    let me = me(&["shadow:read"]);
    browser.api.answer("GET /api/v1/auth/me", 200, me);
    let page = browser.get("/console/shadow/corrections").await;
    assert!(!page.text.contains("Approve</button>"));
}

#[tokio::test]
async fn rival_explanations_stand_side_by_side() {
    let mut browser = signed_in(&ALL).await;
    let solution = |class: &str, events: Value, lines: Value| json!({"class": class, "basis": "record", "events": events, "lines": lines});
    let mut explanation = solution("missing", json!(["E1"]), json!([]));
    explanation["arithmetic"] = "1350 + 50 = 1400".into();
    explanation["rivals"] = 1.into();
    explanation["others"] = json!([solution("duplicate", json!(["E9"]), json!(["L-1"]))]);
    let row = json!({"accountId": "A1", "currency": "BRL", "asOf": null, "reportedBalance": "1400.00",
        "shadowBalance": "1350.00", "difference": "50.00", "pendingCorrections": "0.00",
        "status": "MISMATCH", "mismatchType": "manual_review", "explanation": explanation,
        "correctionEventId": null, "message": "2 explanations are possible."});
    let check = json!({"checkId": "C1", "state": "done", "mode": "propose", "totalAccounts": 2,
        "accountsDone": 2, "driftsDetected": 1, "toleratedTotal": "0.00", "logSeq": 9});
    let results = "GET /api/v1/shadow/drift-checks/C1/results";
    browser.api.answer(results, 200, list(json!([row])));
    browser
        .api
        .answer("GET /api/v1/shadow/drift-checks/C1", 200, check);
    let board = browser.get("/console/shadow/drift/C1").await;
    has(&board, "2 rival explanations");
    has(&board, "Nothing is explained.");
    let link = "/console/shadow/drift/C1/evidence?accountId=A1&amp;currency=BRL";
    has(&board, link);
    browser
        .api
        .answer("GET /api/v1/shadow/events/E1", 200, event("rejected"));
    let page = browser.get(&link.replace("&amp;", "&")).await;
    assert_eq!(page.status, 200);
    for text in [
        "rival-0",
        "rival-1",
        "1350 + 50 = 1400",
        "not recorded as an event",
        "L-1",
    ] {
        has(&page, text);
    }
    let page = browser
        .get("/console/shadow/drift/C1/evidence?accountId=B")
        .await;
    assert_eq!(page.status, 404);
}

#[tokio::test]
async fn a_check_that_runs_shows_how_far_it_is() {
    let mut browser = signed_in(&ALL).await;
    let mut check =
        json!({"checkId": "C1", "state": "running", "totalAccounts": 10, "accountsDone": 4});
    let path = "GET /api/v1/shadow/drift-checks/C1";
    browser.api.answer(path, 200, check.clone());
    let page = browser.get("/console/shadow/drift/C1").await;
    has(&page, "id=\"progress\" data-live=\"1\"");
    has(&page, "4 of 10");
    check["state"] = "done".into();
    browser.api.answer(path, 200, check);
    let headers = [("x-part", "progress")];
    let part = browser
        .send(Method::GET, "/console/shadow/drift/C1", "", &headers)
        .await;
    has(&part, "Show the result");
    assert!(!part.text.contains("data-live"));
}

#[tokio::test]
async fn a_statement_goes_to_the_api_as_it_comes() {
    let mut browser = signed_in(&ALL).await;
    browser
        .api
        .answer("GET /api/v1/shadow/statements", 200, list(json!([])));
    let page = browser.get("/console/shadow/statements").await;
    let token = page.text.split("data-token=\"").nth(1).expect("a form");
    let token = token.split('"').next().expect("its end").to_owned();
    let send = "POST /api/v1/shadow/statements";
    browser.api.answer(send, 201, json!({"importId": "I1"}));
    let place = "/console/shadow/statements/upload?accountId=A1&mode=&name=x.mt940";
    let without = browser.send(Method::POST, place, ":20:", &[]).await;
    assert_eq!(without.status, 403);
    let headers = [("x-form-token", token.as_str())];
    let done = browser.send(Method::POST, place, ":20:", &headers).await;
    assert_eq!(done.header("location"), "/console/shadow/imports/I1");
    let calls = browser.api.calls(send);
    assert_eq!(calls.len(), 1);
    assert_eq!(
        calls[0].path,
        "/api/v1/shadow/statements?accountId=A1&money=string"
    );
    let no = json!({"code": "statement_out_of_balance", "detail": "It does not add up."});
    browser.api.answer(send, 422, no);
    let page = browser.send(Method::POST, place, ":20:", &headers).await;
    assert_eq!(page.status, 400);
    has(&page, "It does not add up.");
}

fn report() -> Value {
    let tally = json!({"count": 1, "sum": "5.00"});
    let item = |side: &str, id: &str, status: &str, amount: &str| {
        json!({"side": side, "id": id, "date": "2026-01-02", "amount": amount, "status": status,
            "reason": "no_candidate",
            "candidates": {"count": 2, "sets": [{"lines": [id], "entries": ["E7"]}]}})
    };
    json!({"accountId": "A1", "currency": "BRL",
        "bridge": {"bankClosing": "30.00", "shadowBalance": "20.00", "startDifference": "0.00",
            "gaps": "0.00", "openLines": "10.00", "ignoredLines": "0.00", "openEntries": "0.00",
            "variance": "0.00", "holds": true},
        "rules": [{"rule": "R1", "matches": 1, "lines": tally, "entries": tally}],
        "items": [item("line", "L-1", "unmatched", "9.99"), item("line", "L-2", "unmatched", "0.01"),
            item("line", "L-gone", "unmatched", "1.00"), item("entry", "E1", "unmatched", "10.00"),
            item("line", "L-3", "ambiguous", "4.00")]})
}

#[tokio::test]
async fn the_workbench_matches_what_was_ticked() {
    let mut browser = signed_in(&ALL).await;
    let run = json!({"reconciliationId": "R1", "accountId": "A1", "currency": "BRL",
        "from": "2026-01-01", "to": "2026-02-01", "state": "done", "logSeq": 3});
    let path = "/api/v1/shadow/reconciliations/R1";
    browser.api.answer(&format!("GET {path}"), 200, run);
    browser
        .api
        .answer(&format!("GET {path}/report"), 200, report());
    let made = json!({"matchId": "M1", "rule": "manual", "state": "active", "lines": ["L-gone"],
        "entries": ["E8"], "variance": "0.00", "currency": "BRL", "createdBy": "u2"});
    let matches = "GET /api/v1/shadow/matches";
    browser.api.answer(matches, 200, list(json!([made])));
    let here = "/console/shadow/reconciliations/R1";
    let page = browser.get(here).await;
    for text in [
        "holds",
        "value=\"L-1\"",
        "value=\"E1\"",
        "data-dialog=\"undo-M1\"",
        "take-0-0",
    ] {
        has(&page, text);
    }
    assert!(!page.text.contains("value=\"L-gone\""), "matched since");
    assert!(
        words(&page).contains("Sum 10.00 BRL"),
        "both sides are summed"
    );
    let no = json!({"code": "sums_differ", "detail": "The sums differ by 0.01."});
    let make = "POST /api/v1/shadow/matches";
    browser.api.answer(make, 422, no);
    let token = page.form_token();
    let form = format!(
        "accountId=A1&currency=BRL&line=L-1&line=L-2&event=E1&reason=same&acceptVariance=&_once=k\
         &back={here}&_form={token}"
    );
    let done = browser.post("/console/shadow/matches", &form).await;
    assert_eq!(done.header("location"), here);
    let body = json!({"accountId": "A1", "currency": "BRL", "lineIds": ["L-1", "L-2"],
        "eventIds": ["E1"], "reason": "same"});
    assert_eq!(browser.api.calls(make)[0].body, body);
    has(&browser.get(here).await, "The sums differ by 0.01.");
    let form = form.replace(&format!("back={here}"), "back=https://elsewhere.example");
    let done = browser.post("/console/shadow/matches", &form).await;
    assert_eq!(done.header("location"), "/console");
}

#[tokio::test]
async fn a_letter_that_is_still_wrong_is_said_to_be() {
    let mut browser = signed_in(&ALL).await;
    let letter = json!({"id": "D1", "topic": "t", "partition": 0, "offset": 5, "reason": "required",
        "payload": "<b>{}</b>", "encoding": "utf-8", "digest": "aa", "status": "parked",
        "receivedAt": "2026-01-31T12:00:00.000000Z"});
    let one = "GET /api/v1/shadow/dead-letters/D1";
    browser.api.answer(one, 200, letter);
    let page = browser.get("/console/shadow/dead-letters/D1").await;
    has(&page, "&lt;b&gt;");
    let still = json!({"id": "D1", "status": "parked", "result": null, "reason": "invalid_type"});
    let redrive = "POST /api/v1/shadow/dead-letters/D1/redrive";
    browser.api.answer(redrive, 200, still);
    let form = format!("_once=k&_form={}", page.form_token());
    let path = "/console/shadow/dead-letters/D1";
    browser.post(&format!("{path}/redrive"), &form).await;
    has(
        &browser.get(path).await,
        "It is still parked: invalid_type.",
    );
}

#[tokio::test]
async fn every_page_stands_when_nothing_is_there() {
    let mut browser = signed_in(&ALL).await;
    for name in [
        "accounts",
        "events",
        "dead-letters",
        "drift-checks",
        "corrections",
        "statements",
        "lines",
        "reconciliations",
        "matches",
        "alerts",
        "audit",
    ] {
        let path = format!("GET /api/v1/shadow/{name}");
        browser.api.answer(&path, 200, list(json!([])));
        let page = name.trim_end_matches("-checks");
        let shown = browser.get(&format!("/console/shadow/{page}")).await;
        assert_eq!(shown.status, 200, "{name}: {}", shown.text);
        has(&shown, "class=\"empty\"");
        has(&shown, "Export CSV");
    }
    assert_eq!(browser.get("/console/shadow").await.status, 200);
}
