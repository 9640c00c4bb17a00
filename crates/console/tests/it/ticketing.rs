//! Ticketing: figures that add up, actions that ask first, lists that lead on, a stream.

use http::Method;
use serde_json::{Value, json};

use crate::fake::{Browser, Page, me};

const AT: &str = "2030-06-29T18:00:00.000000Z";

fn list(items: Value) -> Value {
    json!({"items": items, "nextCursor": null})
}

fn event(status: &str) -> Value {
    json!({"id": "e1", "orgId": "o1", "title": "Night of <Lights>", "status": status,
        "currency": "EUR", "organiser": {"id": "o1", "name": "Lumen"}, "startsAt": AT,
        "endsAt": AT, "venue": {"name": "Hall", "city": "Berlin"}, "phase": "upcoming"})
}

fn overview() -> Value {
    json!({"eventId": "e1", "currency": "EUR", "asOf": AT, "ledgerPosition": 77,
        "ticketsSold": 1234, "comps": 6, "sellThrough": "0.6200", "orders": 2,
        "averageOrder": "45.00", "grossSales": "90.00", "refunds": "46.46", "refundRate": "0.5001",
        "discounts": "10.00", "tax": "2.94", "platformFees": "1.45", "processingFees": "0.00",
        "chargebacksOpen": "0.00", "chargebacksLost": "0.00", "chargebackRate": null,
        "organiserNet": "42.06", "payable": "12.06", "payouts": "30.00", "buyersPaid": "92.91",
        "lateReturns": "0.00", "attended": 620, "attendance": "0.5000", "noShow": null,
        "insideNow": 600, "checkInsLastHour": 44})
}

fn order() -> Value {
    json!({"id": "r1", "number": "7K3QD-9M2XS", "eventId": "e1", "orgId": "o1",
        "status": "confirmed", "channel": "online", "currency": "EUR", "feePayer": "buyer",
        "buyer": {"name": "Ana", "email": "ana@example.org", "phone": null},
        "items": [{"ticketTypeId": "t1", "quantity": 2, "unitPrice": "50.00", "discount": "10.00",
            "tax": "5.88", "total": "90.00"}],
        "amounts": {"subtotal": "100.00", "discount": "10.00", "tax": "5.88", "tickets": "90.00",
            "platformFee": "2.91", "processingFee": "0.00", "total": "92.91"},
        "holds": [{"id": "h1", "ticketTypeId": "t1", "quantity": 2, "state": "converted", "expiresAt": AT}],
        "payment": {"method": "card", "status": "succeeded"}, "refundedAmount": "0.00",
        "createdAt": AT, "confirmedAt": AT})
}

fn posting(kind: &str, transfer: &str) -> Value {
    json!({"chainId": transfer, "posting": kind, "seq": 5, "recordedAt": AT, "currency": "EUR",
        "transfers": [{"id": transfer, "debitAccountId": "florin:tk:clearing:r1:EUR",
            "creditAccountId": "florin:tk:payable:o1:e1:EUR", "amount": "84.12", "component": "net"}]})
}

/// What is read of a page: its text without markup.
fn words(page: &str) -> String {
    let pieces = page.split('<').map(|piece| piece.split_once('>'));
    pieces.flatten().map(|(_, text)| text).collect()
}

fn types() -> Value {
    list(
        json!([{"id": "t1", "name": "Standing", "price": "50.00", "currency": "EUR",
        "quantity": 2000, "sold": 1234, "held": 3, "available": 763, "saleState": "open",
        "availability": "many"}]),
    )
}

/// An organiser in front of one event.
async fn organiser() -> Browser {
    let browser = Browser::signed_in().await;
    let held = [
        "orgs:read@own",
        "events:write@own",
        "orders:read@own",
        "orders:refund@own",
        "tickets:manage@own",
        "checkins:read@own",
        "payouts:read@own",
        "payouts:write@own",
        "analytics:read@own",
        "hooks:write@own",
    ];
    let api = &browser.api;
    api.answer("GET /api/v1/auth/me", 200, me(&held));
    api.answer("GET /api/v1/events/e1", 200, event("published"));
    api.answer("GET /api/v1/events/e1/ticket-types", 200, types());
    api.answer("GET /api/v1/orders/r1", 200, order());
    browser
}

async fn send(browser: &mut Browser, page: &Page, path: &str, form: &str) -> Page {
    let form = format!("{form}&_form={}&_once=once-1", page.form_token());
    browser.post(path, &form).await
}

#[tokio::test]
async fn an_event_tells_where_its_money_goes_and_leads_to_the_rows() {
    let mut browser = organiser().await;
    let api = &browser.api;
    let figures = "GET /api/v1/analytics/events/e1";
    api.answer(&format!("{figures}/overview"), 200, overview());
    let sales = json!({"currency": "EUR", "groupBy": "day", "timeZone": "Europe/Berlin", "items": [
        {"start": "2030-06-01T22:00:00Z", "tickets": 1000, "orders": 1, "gross": "60.05"},
        {"start": "2030-06-02T22:00:00Z", "tickets": 234, "orders": 1, "gross": "29.95"}]});
    api.answer(&format!("{figures}/sales"), 200, sales);
    let funnel = json!({"conversion": "0.2500", "unattributed": 7, "steps": [
        {"step": "view", "visitors": 400, "dropOff": "0.5000"},
        {"step": "select", "visitors": 200, "dropOff": "0.2500"},
        {"step": "hold", "visitors": 150, "dropOff": "0.3333"},
        {"step": "paid", "visitors": 100, "dropOff": null}]});
    api.answer(&format!("{figures}/funnel"), 200, funnel);
    let shown = browser.get("/console/ticketing/events/e1").await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let text = &shown.text;
    assert!(
        text.contains("Night of &lt;Lights&gt;"),
        "words of others are no markup"
    );
    for exact in ["90.00 EUR", "60.05 EUR", "25.00 % of those who looked paid"] {
        assert!(text.contains(exact), "{exact}: {text}");
    }
    // The way of the money ends in the payout: 42.06 net, 30.00 paid out, 12.06 left.
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    let bars = [
        "The organiser's net",
        "Paid out or on its way",
        "Still to be paid out",
    ]
    .map(at);
    assert!(bars.is_sorted(), "{bars:?}");
    for step in [
        "Buyers paid92.91 EUR",
        "Refunds-46.46 EUR",
        "The organiser's net42.06 EUR",
        "Paid out or on its way-30.00 EUR",
        "Still to be paid out12.06 EUR",
    ] {
        assert!(words(text).contains(step), "{step}: {}", words(text));
    }
    assert!(!text.contains("Other postings"), "it adds up");
    for rows in [
        "/console/ticketing/events/e1/attendees",
        "/console/ticketing/events/e1/postings?posting=P5",
        "/console/ticketing/organisations/o1/payouts",
        "/console/ticketing/events/e1/check-ins?result=admitted",
        "/console/ticketing/events/e1/orders?status=confirmed",
    ] {
        assert!(text.contains(&format!("href=\"{rows}\"")), "{rows}");
    }
    assert!(text.contains("data-stream=\"/console/ticketing/events/e1/stream\""));
    let mut ids: Vec<&str> = text
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "each id once");
}

#[tokio::test]
async fn a_part_that_is_refused_does_not_take_the_page_with_it() {
    let mut browser = organiser().await;
    let forbidden = json!({"code": "forbidden", "detail": "This needs `analytics:read`."});
    browser
        .api
        .answer("GET /api/v1/analytics/events/e1/overview", 403, forbidden);
    let shown = browser.get("/console/ticketing/events/e1").await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("This needs `analytics:read`."));
    assert!(shown.text.contains("Standing"));
}

#[tokio::test]
async fn the_gate_is_drawn_again_when_something_changed() {
    let mut browser = organiser().await;
    let mut news = overview();
    news["insideNow"] = 601.into();
    let stream = format!(
        "event: snapshot\nid: 1\ndata: {}\n\n:\n\nevent: delta\nid: 2\ndata: {{\"insideNow\":602}}\n\n",
        news
    );
    browser
        .api
        .answer_text("GET /api/v1/analytics/events/e1/live", 200, &stream);
    let shown = browser.get("/console/ticketing/events/e1/stream").await;
    assert_eq!(shown.header("content-type"), "text/event-stream");
    let data: Vec<&str> = shown
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    let last = data.last().expect("a message");
    assert!(last.contains(">602<"), "{last}");
    assert!(
        last.contains("620") && !last.contains('\n'),
        "what did not change stays: {last}"
    );
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
    let mut refunded = order();
    refunded["status"] = "refunded".into();
    api.answer("GET /api/v1/events/e1/orders", 200, list(json!([refunded])));
    let refunds = list(json!([{"id": "b1", "jobId": "j1"}]));
    api.answer("GET /api/v1/orders/r1/refunds", 200, refunds);
    let shown = browser.get("/console/ticketing/events/e1").await;
    assert!(
        shown.text.contains(&format!("href=\"{job}\"")),
        "{}",
        shown.text
    );
    assert!(!shown.text.contains("data-dialog=\"cancel\""));
}

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
async fn lists_say_what_they_hold_and_give_files() {
    let mut browser = organiser().await;
    let api = &browser.api;
    let org = json!({"id": "o1", "name": "Lumen", "status": "active", "verified": false,
        "defaultCurrency": "EUR", "payoutMethod": {"kind": "wallet", "walletId": "w9"}});
    api.answer("GET /api/v1/orgs", 200, list(json!([org])));
    api.answer("GET /api/v1/events", 200, list(json!([event("sold_out")])));
    api.answer("GET /api/v1/events/e1/orders", 200, list(json!([order()])));
    let scan = json!({"id": "c1", "eventId": "e1", "ticketId": "k1", "deviceId": "gate-1",
        "result": "admitted", "reason": "ok", "direction": "in", "counted": false,
        "conflict": "duplicate", "online": true, "effectiveAt": AT});
    api.answer("GET /api/v1/events/e1/check-ins", 200, list(json!([scan])));
    let sales = json!({"currency": "EUR", "timeZone": "Europe/Berlin", "items": [
        {"ticketTypeId": "t1", "tickets": 1234, "orders": 2, "gross": "90.00"}]});
    api.answer("GET /api/v1/analytics/events/e1/sales", 200, sales);
    let capacity =
        json!({"types": [], "pools": [], "holds": {"held": 3, "converted": 2, "released": 1}});
    api.answer("GET /api/v1/events/e1/capacity", 200, capacity);
    let under = "/console/ticketing/events/e1";
    for (path, word, line) in [
        ("/console/ticketing/organisations", "wallet w9", "o1,Lumen,"),
        (
            "/console/ticketing/events?orgId=o1",
            "sold out",
            "e1,Night of <Lights>,sold_out,",
        ),
        (
            &*format!("{under}/orders"),
            "ana@example.org",
            "7K3QD-9M2XS,r1,confirmed,online,Ana,",
        ),
        (
            &format!("{under}/check-ins"),
            "duplicate",
            "c1,k1,gate-1,,in,admitted,ok,false,duplicate,",
        ),
        (
            &format!("{under}/sales?groupBy=type"),
            "Standing",
            "Standing,1234,2,90.00,EUR",
        ),
        (
            &format!("{under}/ticket-types"),
            "Standing",
            "t1,,Standing,50.00,EUR,2000,1234,3,763,open,many,",
        ),
    ] {
        let shown = browser.get(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.text);
        assert!(shown.text.contains(word), "{path}: {word}: {}", shown.text);
        assert!(shown.text.contains("export=csv"), "{path}");
        let sign = if path.contains('?') { '&' } else { '?' };
        let file = browser.get(&format!("{path}{sign}export=csv")).await;
        assert!(
            file.header("content-type").starts_with("text/csv"),
            "{path}"
        );
        let found = file.text.lines().nth(1).unwrap_or_default();
        assert!(found.starts_with(line), "{path}: {found}");
    }
}
