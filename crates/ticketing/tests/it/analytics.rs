//! Figures, exports and the live stream (contract E).

use axum::body::Body;
use florin_platform::blobs::Key;
use florin_ticketing::analytics::export;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::stage::{ADMIN, ANA, BOB, Gig, OLGA, Stage};

fn minor(shown: &Value) -> i128 {
    let text = shown.as_str().expect("a decimal");
    text.replace('.', "").parse().expect("digits")
}

async fn report(stage: &Stage, gig: &Gig, what: &str) -> Value {
    let path = format!("/api/v1/analytics/events/{}/{what}", gig.event);
    stage.get(OLGA, &path).await.ok(200).body
}

/// Two sales and one refunded ticket; the wallets of both buyers.
async fn sold(stage: &Stage) -> Gig {
    let tax = json!({"price": "50.00", "quantity": 10, "taxRateBp": 700});
    let gig = stage.event_with(json!({}), tax).await;
    let wallet = stage.wallet("ana", "EUR", "500.00").await;
    let order = stage.buy(ANA, &gig, 2, &wallet).await;
    let other = stage.wallet("bob", "EUR", "500.00").await;
    stage.buy(BOB, &gig, 3, &other).await;
    let (ticket, _) = stage.tickets(&order).await[0].clone();
    let body = json!({"ticketIds": [ticket], "reason": "ill"});
    stage.refund(OLGA, &order, body).await.ok(202);
    gig
}

#[tokio::test]
async fn inv_t11_every_figure_is_a_fold_of_the_ledger() {
    let stage = Stage::new().await;
    let gig = sold(&stage).await;
    let shown = report(&stage, &gig, "overview").await;
    let payable = stage
        .balance(&format!("payable:{}:{}", gig.org, gig.event))
        .await;
    let tax = stage
        .balance(&format!("tax:{}:{}", gig.org, gig.event))
        .await;
    let fees = stage.balance("fee:platform").await;
    assert_eq!(minor(&shown["payable"]), payable);
    assert_eq!(
        minor(&shown["organiserNet"]),
        payable,
        "nothing was paid out"
    );
    assert_eq!(minor(&shown["tax"]), tax);
    assert_eq!(minor(&shown["platformFees"]), fees);
    assert_eq!(shown["grossSales"], "250.00");
    // grossSales + fees that buyers paid = what was taken out of clearing.
    let refunded = minor(&shown["refunds"]);
    assert_eq!(minor(&shown["buyersPaid"]) - refunded, payable + tax + fees);
    assert_eq!(shown["ticketsIssued"], 5);
    assert_eq!(shown["ticketsSold"], 4);
    assert_eq!(shown["orders"], 2);
    assert_eq!(shown["averageOrder"], "125.00");
    assert_eq!(shown["sellThrough"], "0.4000");
    assert_eq!(shown["chargebackRate"], Value::Null);
    assert!(shown["ledgerPosition"].as_u64().expect("a seq") > 0);
    assert_eq!(shown["types"][0]["ticketsSold"], 4);
    let revenue = report(&stage, &gig, "revenue").await;
    for name in ["grossSales", "tax", "refunds", "payable", "platformFees"] {
        assert_eq!(revenue[name], shown[name], "{name}");
    }
    let platform = stage
        .get(ADMIN, "/api/v1/analytics/platform/overview")
        .await
        .ok(200);
    assert_eq!(platform.body["currencies"][0]["grossSales"], "250.00");
    stage
        .get(OLGA, "/api/v1/analytics/platform/overview")
        .await
        .refused(403, "forbidden");
    let path = format!("/api/v1/analytics/compare?eventIds={}", gig.event);
    let side = stage.get(OLGA, &path).await.ok(200);
    assert_eq!(side.items()[0]["grossSales"], "250.00");
    let path = format!("/api/v1/analytics/events/{}/overview", gig.event);
    stage.get(BOB, &path).await.refused(404, "event_not_found");
}

#[tokio::test]
async fn sales_of_all_groups_sum_to_the_overview() {
    let stage = Stage::new().await;
    let gig = sold(&stage).await;
    for by in ["hour", "day", "type", "channel", "source"] {
        let shown = report(&stage, &gig, &format!("sales?groupBy={by}")).await;
        let items = shown["items"].as_array().expect("items");
        let tickets: i64 = items
            .iter()
            .map(|item| item["tickets"].as_i64().expect("n"))
            .sum();
        let gross: i128 = items.iter().map(|item| minor(&item["gross"])).sum();
        assert_eq!((tickets, gross), (5, 25_000), "{by}: {shown}");
    }
    let day = report(&stage, &gig, "sales?groupBy=day&from=2029-12-31T00:00:00Z").await;
    // Midnight in Berlin; the days before are there, and empty.
    assert_eq!(day["items"][0]["tickets"], 0);
    let last = day["items"]
        .as_array()
        .and_then(|items| items.last())
        .expect("a day");
    assert_eq!(last["start"], "2029-12-31T23:00:00.000000Z");
    let path = format!("/api/v1/analytics/events/{}/sales?groupBy=moon", gig.event);
    stage.get(OLGA, &path).await.refused(400, "group_invalid");
}

#[tokio::test]
async fn the_funnel_counts_visitors_once_for_each_step() {
    let stage = Stage::new().await;
    let gig = stage.event("0.00", 10).await;
    let step = |visitor: &str, step: &str| {
        json!({"eventId": gig.event, "visitorId": visitor, "step": step,
               "source": {"utmSource": "mail"}})
    };
    let steps = json!([
        step("v1", "view"),
        step("v1", "view"),
        step("v2", "view"),
        step("v2", "select")
    ]);
    stage
        .post("", "/api/v1/analytics/track", steps)
        .await
        .ok(204);
    let items = json!([{"ticketTypeId": gig.kind, "quantity": 1}]);
    let more = json!({"visitorId": "v2", "source": {"utmSource": "mail"}});
    let order = stage
        .cart(ANA, &gig.event, items.clone(), more)
        .await
        .ok(201)
        .id();
    stage
        .checkout(ANA, &order, json!({"method": "free"}))
        .await
        .ok(200);
    let order = stage
        .cart(BOB, &gig.event, items, json!({}))
        .await
        .ok(201)
        .id();
    stage
        .checkout(BOB, &order, json!({"method": "free"}))
        .await
        .ok(200);
    let shown = report(&stage, &gig, "funnel").await;
    let counts: Vec<i64> = shown["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["visitors"].as_i64().expect("n"))
        .collect();
    assert_eq!(counts, [2, 1, 1, 1]);
    assert_eq!(shown["steps"][0]["dropOff"], "0.5000");
    assert_eq!(shown["conversion"], "0.5000");
    assert_eq!(shown["unattributed"], 1);
    let sources = report(&stage, &gig, "sources").await;
    let mail = sources["items"].as_array().expect("items").iter();
    let mail = mail.filter(|item| item["source"]["utmSource"] == "mail");
    assert_eq!(
        mail.map(|item| item["visitors"].as_i64())
            .collect::<Vec<_>>(),
        [Some(2)]
    );
}

#[tokio::test]
async fn row_61_an_export_is_written_and_formulas_are_harmless() {
    let stage = Stage::new().await;
    let named = json!({"price": "0.00", "quantity": 10, "attendeeFields": "name"});
    let gig = stage.event_with(json!({}), named).await;
    let items = json!([{"ticketTypeId": gig.kind, "quantity": 1}]);
    let more = json!({"attendees": [{"ticketTypeId": gig.kind, "name": "=1+1"}]});
    let order = stage.cart(ANA, &gig.event, items, more).await.ok(201).id();
    stage
        .checkout(ANA, &order, json!({"method": "free"}))
        .await
        .ok(200);
    let path = "/api/v1/analytics/exports";
    let ask = |kind: &str, format: &str| json!({"kind": kind, "format": format, "filter": {"eventId": gig.event}});
    let made = stage
        .post(OLGA, path, ask("attendees", "csv"))
        .await
        .ok(202);
    assert_eq!(made.body["status"], "queued");
    let raw = stage.post(OLGA, path, ask("orders", "json")).await.ok(202);
    while export::step(&stage.room).await.expect("works") > 0 {}
    let done = stage
        .get(OLGA, &format!("{path}/{}", made.id()))
        .await
        .ok(200);
    assert_eq!(done.body["status"], "ready", "{}", done.text);
    assert_eq!(done.body["rows"], 1);
    assert!(done.body["download"]["url"].is_string());
    let read = |id: String, format: &str| {
        let key = Key::parse(&format!("exports/{}/{id}.{format}", gig.org)).expect("a key");
        let blobs = stage.room.blobs.clone();
        async move { String::from_utf8(blobs.get(&key, 1 << 20).await.expect("there").to_vec()) }
    };
    let csv = read(made.id(), "csv").await.expect("UTF-8");
    assert!(csv.starts_with("ticketId,number,orderId,"), "{csv}");
    assert!(csv.contains(",'=1+1,"), "{csv}");
    let text = read(raw.id(), "json").await.expect("UTF-8");
    let list: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(list[0]["orderId"], json!(order));
    // Row 62: a scanner may not export, and strangers find nothing.
    stage
        .get(BOB, &format!("{path}/{}", made.id()))
        .await
        .refused(404, "export_not_found");
    stage.advance(8 * crate::stage::DAY);
    while export::step(&stage.room).await.expect("works") > 0 {}
    let gone = stage
        .get(OLGA, &format!("{path}/{}", made.id()))
        .await
        .ok(200);
    assert_eq!(gone.body["status"], "expired");
}

#[tokio::test]
async fn the_stream_sends_a_snapshot_and_then_what_changed() {
    let stage = Stage::new().await;
    let gig = stage.event("50.00", 10).await;
    let body = json!({"eventId": gig.event});
    let token = stage
        .post(OLGA, "/api/v1/analytics/stream-tokens", body)
        .await
        .ok(201);
    let uri = format!(
        "/api/v1/analytics/events/{}/live?token={}",
        gig.event,
        token.text_of("token")
    );
    let open = |uri: &str| {
        let request = Request::get(uri).body(Body::empty()).expect("a request");
        stage.router.clone().oneshot(request)
    };
    let response = open(&uri).await.expect("answers");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut next = async || {
        loop {
            let frame = body.frame().await.expect("goes on").expect("a frame");
            let text = frame
                .into_data()
                .map(|data| data.to_vec())
                .unwrap_or_default();
            let text = String::from_utf8(text).expect("UTF-8");
            if text.contains("data:") {
                return text;
            }
        }
    };
    let first = next().await;
    assert!(
        first.contains("event: snapshot") && first.contains("id: 1"),
        "{first}"
    );
    let wallet = stage.wallet("ana", "EUR", "500.00").await;
    stage.buy(ANA, &gig, 2, &wallet).await;
    let second = next().await;
    assert!(
        second.contains("event: delta") && second.contains("\"grossSales\""),
        "{second}"
    );
    let again = open(&uri).await.expect("answers");
    assert_eq!(again.status(), 401, "a token opens one stream");
}
