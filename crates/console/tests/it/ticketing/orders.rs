//! Orders, what goes back of them, and of a whole event.

use super::*;

#[tokio::test]
async fn an_order_is_found_by_its_number() {
    let mut browser = organiser().await;
    let call = "GET /api/v1/orders/by-number/7k3qd-9m2xs";
    browser.api.answer(call, 200, order());
    let found = browser
        .get("/console/ticketing/orders?order=7k3qd-9m2xs")
        .await;
    assert_eq!(
        (found.status, found.header("location")),
        (303, "/console/ticketing/orders/r1")
    );
    let wrong =
        json!({"code": "order_number_invalid", "detail": "The last character checks the others."});
    browser.api.answer(call, 400, wrong);
    let shown = browser
        .get("/console/ticketing/orders?order=7k3qd-9m2xs")
        .await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("The last character checks the others."));
}

#[tokio::test]
async fn an_order_shows_its_transfers_and_is_refunded_once_with_a_reason() {
    let mut browser = organiser().await;
    let api = &browser.api;
    api.answer("GET /api/v1/orders/r1/refunds", 200, list(json!([])));
    let posted = list(json!([posting("P2", "tk:r1:1:P2:net")]));
    api.answer("GET /api/v1/orders/r1/postings", 200, posted);
    let shown = browser.get("/console/ticketing/orders/r1").await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    for part in [
        "Order 7K3QD-9M2XS",
        "Standing",
        "href=\"/console/ledger/transfers/tk%3Ar1%3A1%3AP2%3Anet\"",
        "href=\"/console/ledger/accounts/florin%3Atk%3Apayable%3Ao1%3Ae1%3AEUR\"",
        "data-dialog=\"refund\"",
    ] {
        assert!(shown.text.contains(part), "{part}: {}", shown.text);
    }
    let call = "POST /api/v1/orders/r1/refunds";
    browser.api.answer(call, 202, list(json!([])));
    let path = "/console/ticketing/orders/r1/refunds";
    let without = send(&mut browser, &shown, path, "amount=").await;
    assert_eq!(without.status, 400);
    assert!(
        browser.api.calls(call).is_empty(),
        "no refund without a reason"
    );
    let done = send(
        &mut browser,
        &shown,
        path,
        "reason=ill&amount=30.00&keep=yes",
    )
    .await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, "/console/ticketing/orders/r1#refunds")
    );
    let came = &browser.api.calls(call)[0];
    let wanted =
        json!({"reason": "ill", "all": true, "amountPerTicket": "30.00", "keepTickets": true});
    assert_eq!(came.body, wanted);
    assert_eq!(came.headers["idempotency-key"], "once-1");
    let no = json!({"code": "insufficient_payable", "detail": "Too little is payable."});
    browser.api.answer(call, 409, no);
    send(&mut browser, &shown, path, "reason=ill").await;
    let shown = browser.get("/console/ticketing/orders/r1").await;
    assert!(shown.text.contains("Too little is payable."));
}

#[tokio::test]
async fn one_ticket_is_refunded_from_the_list_of_attendees() {
    let mut browser = organiser().await;
    let rows = list(
        json!([{"ticketId": "k1", "number": "7K3QD-9M2XS-01", "orderId": "r1",
        "ticketTypeId": "t1", "status": "used", "channel": "online", "usedAt": AT, "inside": true,
        "holder": {"name": "=1+1", "email": "ana@example.org"}}]),
    );
    let call = "GET /api/v1/events/e1/attendees";
    browser.api.answer(call, 200, rows);
    let path = "/console/ticketing/events/e1/attendees";
    let shown = browser
        .get(&format!("{path}?ticketTypeId=t1&status=used"))
        .await;
    assert_eq!(
        browser.api.calls(call)[0].path,
        "/api/v1/events/e1/attendees?ticketTypeId=t1&status=used&limit=50"
    );
    assert!(shown.text.contains("inside") && shown.text.contains("data-dialog=\"refund-k1\""));
    let refund = "POST /api/v1/orders/r1/refunds";
    browser.api.answer(refund, 202, list(json!([])));
    let form = "reason=ill&ticket=k1&event=e1&force=yes";
    let done = send(
        &mut browser,
        &shown,
        "/console/ticketing/orders/r1/refunds",
        form,
    )
    .await;
    assert_eq!((done.status, done.header("location")), (303, path));
    let wanted = json!({"reason": "ill", "ticketIds": ["k1"], "force": true});
    assert_eq!(browser.api.calls(refund)[0].body, wanted);
    let file = browser.get(&format!("{path}?export=csv")).await;
    assert!(file.header("content-type").starts_with("text/csv"));
    assert!(
        file.text.contains(",'=1+1,ana@example.org,"),
        "{}",
        file.text
    );
}

#[tokio::test]
async fn calling_an_event_off_leads_to_the_refunds_and_they_are_found_again() {
    let mut browser = organiser().await;
    let shown = browser.get("/console/ticketing/events/e1").await;
    assert!(shown.text.contains("data-dialog=\"cancel\""));
    let call = "POST /api/v1/events/e1/cancel";
    browser.api.answer(
        call,
        202,
        json!({"refundJobId": "j1", "event": event("cancelled")}),
    );
    let path = "/console/ticketing/events/e1/cancel";
    let done = send(&mut browser, &shown, path, "reason=storm").await;
    let job = "/console/ticketing/events/e1/refund-jobs/j1";
    assert_eq!((done.status, done.header("location")), (303, job));
    assert_eq!(browser.api.calls(call)[0].body, json!({"reason": "storm"}));
    let state = |status: &str, done: u64| {
        json!({"id": "j1", "status": status, "total": 3, "done": done, "failed": 0,
            "amount": "92.91", "currency": "EUR", "createdAt": AT, "finishedAt": null})
    };
    let call = "GET /api/v1/events/e1/refund-jobs/j1";
    for (status, count, asks) in [
        ("running", 1, Some("data-live=\"1\"")),
        ("done", 2, Some("data-live=\"10\"")),
        ("done", 3, None),
    ] {
        browser.api.answer(call, 200, state(status, count));
        let part = [("x-part", "refund-job")];
        let shown = browser.send(Method::GET, job, "", &part).await;
        assert!(shown.text.contains("id=\"refund-job\""), "{}", shown.text);
        assert!(
            shown.text.contains(&format!("value=\"{count}\"")),
            "{}",
            shown.text
        );
        let live = asks.map_or_else(
            || !shown.text.contains("data-live"),
            |asks| shown.text.contains(asks),
        );
        assert!(live, "{status} {count}: {}", shown.text);
    }
    let api = &browser.api;
    api.answer("GET /api/v1/events/e1", 200, event("cancelled"));
    let jobs = list(json!([state("done", 3)]));
    api.answer("GET /api/v1/events/e1/refund-jobs", 200, jobs);
    let shown = browser.get("/console/ticketing/events/e1").await;
    assert!(
        shown.text.contains(&format!("href=\"{job}\"")),
        "{}",
        shown.text
    );
    assert!(!shown.text.contains("data-dialog=\"cancel\""));
}

#[tokio::test]
async fn refunds_of_an_event_are_listed_by_state_and_by_job() {
    let mut browser = organiser().await;
    let refund = json!({"id": "b1", "orderId": "r1", "eventId": "e1", "status": "failed",
        "amount": "46.46", "currency": "EUR", "cause": "event_cancelled", "reason": "storm",
        "keepTickets": false, "method": "card", "failure": "card_closed", "jobId": "j1",
        "tickets": [{"ticketId": "k1", "amount": "46.46"}], "createdAt": AT});
    let job = json!({"id": "j1", "status": "done", "total": 3, "done": 2, "failed": 1,
        "amount": "92.91", "currency": "EUR", "createdAt": AT, "finishedAt": AT});
    let call = "GET /api/v1/events/e1/refunds";
    browser.api.answer(call, 200, list(json!([refund])));
    let jobs = "GET /api/v1/events/e1/refund-jobs";
    browser.api.answer(jobs, 200, list(json!([job])));
    let path = "/console/ticketing/events/e1/refunds";
    let page = browser.get(&format!("{path}?status=failed&jobId=j1")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let asked = &browser.api.calls(call)[0].path;
    assert!(asked.contains("status=failed&jobId=j1&limit=50"), "{asked}");
    for shown in [
        "href=\"/console/ticketing/orders/r1#refunds\"",
        "href=\"/console/ticketing/events/e1/refund-jobs/j1\"",
        "card_closed",
        "data-dialog=\"retry-b1\"",
    ] {
        assert!(page.text.contains(shown), "no {shown} in {}", page.text);
    }
    let file = browser.get(&format!("{path}?export=csv")).await;
    assert!(
        file.text
            .contains("b1,r1,failed,46.46,EUR,event_cancelled,storm"),
        "{}",
        file.text
    );
}

#[tokio::test]
async fn an_order_shows_its_tickets() {
    let mut browser = organiser().await;
    let api = &browser.api;
    api.answer("GET /api/v1/orders/r1", 200, order());
    let call = "GET /api/v1/events/e1/attendees";
    let ticket = json!({"ticketId": "k1", "number": "7K3QD-9M2XS-01", "orderId": "r1",
        "ticketTypeId": "t1", "status": "valid", "channel": "online",
        "holder": {"name": "Ana", "email": "ana@example.org"}, "usedAt": null, "inside": false});
    api.answer(call, 200, list(json!([ticket])));
    let page = browser.get("/console/ticketing/orders/r1").await;
    let asked = &browser.api.calls(call)[0].path;
    assert!(asked.contains("orderId=r1"), "{asked}");
    let words = words(&page.text);
    assert!(words.contains("7K3QD-9M2XS-01"), "{words}");
    assert!(
        page.text.contains("data-dialog=\"refund-k1\""),
        "one ticket alone"
    );
}
