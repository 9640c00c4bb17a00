//! Ticketing: figures that add up, actions that ask first, lists that lead on, a stream.

mod lists;
mod money;
mod orders;

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
