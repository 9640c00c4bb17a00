//! What organisers are told (contract F), and what is kept of persons (contract G).

use std::sync::Arc;

use florin_base::SystemClock;
use florin_platform::bus;
use florin_platform::http::client::{ClientConfig, Outgoing, Targets, install_crypto};
use florin_platform::http::page::Cursors;
use florin_platform::sql::query;
use florin_platform::testing::fresh_db;
use florin_platform::webhooks::{self, Webhooks};
use florin_ticketing::outbox;
use florin_ticketing::{EVENT_NAMES, Parts, Settings};
use serde_json::{Value, json};

use crate::stage::{ADMIN, ANA, BOB, GUEST, Gig, OLGA, Stage};

async fn with_webhooks(targets: Targets) -> Stage {
    install_crypto();
    let db = fresh_db().await;
    db.migrate(&bus::MIGRATIONS, 1).await.expect("migrates");
    db.migrate(&webhooks::MIGRATIONS, 1)
        .await
        .expect("migrates");
    let outgoing = Outgoing::new(&ClientConfig::new(targets)).expect("a client");
    let cursors = Cursors::new(b"an example key of 32 bytes......");
    let settings = webhooks::Settings::new(targets, EVENT_NAMES.to_vec());
    let head: webhooks::Head = Arc::new(|| Box::pin(std::future::ready(Ok(0))));
    let clock = Arc::new(SystemClock);
    let opened = Webhooks::open(db.clone(), clock, outgoing, cursors, settings, head);
    let hooks = opened.await.expect("opens");
    Stage::build(Settings::default(), |parts| Parts {
        db,
        webhooks: Some(hooks),
        ..parts
    })
    .await
}

async fn deliveries(stage: &Stage, org: &str, hook: &str) -> Vec<Value> {
    let path = format!("/api/v1/orgs/{org}/webhooks/{hook}/deliveries");
    let page = stage.get(OLGA, &path).await.ok(200);
    page.items().clone()
}

#[tokio::test]
async fn organisers_are_told_of_their_own_events() {
    let stage = with_webhooks(Targets::Any).await;
    let (org, other) = (stage.org().await, stage.org().await);
    let hooks = |org: &str| format!("/api/v1/orgs/{org}/webhooks");
    let body = json!({"url": "http://127.0.0.1:9/hook", "events": ["event.published"]});
    let made = stage.post(OLGA, &hooks(&org), body.clone()).await.ok(201);
    assert!(made.text_of("secret").starts_with("whsec_"));
    assert!(made.header("location").starts_with(&hooks(&org)));
    let hook = made.id();
    let others = stage
        .post(OLGA, &hooks(&other), body.clone())
        .await
        .ok(201)
        .id();
    stage
        .post(ANA, &hooks(&org), body)
        .await
        .refused(404, "org_not_found");
    let unknown = json!({"url": "http://127.0.0.1:9/x", "events": ["FundsDeposited"]});
    stage
        .post(OLGA, &hooks(&org), unknown)
        .await
        .refused(400, "validation_failed");

    let event = stage.draft(&org, json!({})).await;
    stage.kind(&event, json!({})).await;
    stage.publish(&event).await.ok(200);
    assert_eq!(outbox::hand_on(&stage.room).await.expect("hands on"), 1);
    assert_eq!(outbox::hand_on(&stage.room).await.expect("hands on"), 0);
    let told = deliveries(&stage, &org, &hook).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["eventType"], "event.published");
    let delivery = told[0]["id"].as_str().expect("an id");
    let path = format!("{}/{hook}/deliveries/{delivery}", hooks(&org));
    let sent = stage.get(OLGA, &path).await.ok(200).text_of("body");
    let sent: Value = serde_json::from_str(&sent).expect("JSON");
    assert_eq!(sent["data"]["eventId"], json!(event));
    assert_eq!(sent["sequence"], 1);
    assert_eq!(
        (&sent["type"], &sent["orgId"]),
        (&json!("event.published"), &json!(org))
    );
    assert!(deliveries(&stage, &other, &others).await.is_empty());
    // One organisation does not see the other's receiver.
    let foreign = format!("{}/{others}", hooks(&org));
    stage
        .get(OLGA, &foreign)
        .await
        .refused(404, "webhook_not_found");
    stage
        .post(OLGA, &format!("{}/{hook}/test", hooks(&org)), json!({}))
        .await
        .ok(202);
    assert_eq!(
        deliveries(&stage, &org, &hook).await[0]["eventType"],
        "ping"
    );
    // Of a time, what is finished is queued again; nothing is finished yet, since nobody sends.
    let replay = format!("{}/{hook}/replay", hooks(&org));
    let body = json!({"from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"});
    let queued = stage.post(OLGA, &replay, body).await.ok(202);
    assert_eq!(queued.body["queued"], 0);
    let text = "UPDATE webhook_deliveries SET state = 'accepted', finished_at = created_at
        WHERE event_type = 'event.published'";
    let lane = stage.room.store.db.lane("webhooks");
    assert_eq!(lane.execute(query(text)).await.expect("writes"), 1);
    let body = json!({"from": "2100-01-01T00:00:00Z", "to": "2100-01-02T00:00:00Z"});
    let queued = stage.post(OLGA, &replay, body).await.ok(202);
    assert_eq!(queued.body["queued"], 0);
    let body = json!({"from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"});
    let queued = stage.post(OLGA, &replay, body).await.ok(202);
    assert_eq!(queued.body["queued"], 1);
    stage
        .post(OLGA, &replay, json!({"from": "2100-01-01T00:00:00Z"}))
        .await
        .refused(400, "validation_failed");
    stage.post(OLGA, &replay, json!({})).await.ok(202);
    let all = stage.get(OLGA, &hooks(&org)).await.ok(200);
    assert_eq!(all.items().len(), 1);
    assert!(all.items()[0].get("walletId").is_none());
    stage
        .delete(OLGA, &format!("{}/{hook}", hooks(&org)))
        .await
        .ok(204);
}

/// What was created under a key is answered again, whatever has become of its event since; made
/// anew it is refused.
#[tokio::test]
async fn a_creation_is_answered_again_when_its_event_is_over() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 5).await;
    let event = format!("/api/v1/events/{}", gig.event);
    let image = json!({"contentType": "image/png", "sizeBytes": 8, "altText": ""});
    let made = [
        (
            "ticket-types",
            json!({"name": "Late", "price": "1.00", "quantity": 1}),
        ),
        (
            "promo-codes",
            json!({"code": "TEN", "kind": "percent", "bp": 1_000}),
        ),
        ("pools", json!({"name": "Hall", "capacity": 5})),
        ("images", image),
    ];
    let ask = |what: &str, key: &str, body: &serde_json::Value| {
        let call = stage.call(OLGA, "POST", &format!("{event}/{what}"));
        call.key(key).json(body.clone()).send()
    };
    let mut ids = Vec::new();
    for (what, body) in &made {
        ids.push(ask(what, "once", body).await.ok(201).id());
    }
    let cancel = json!({"reason": "Rain"});
    stage
        .post(OLGA, &format!("{event}/cancel"), cancel)
        .await
        .ok(202);
    for ((what, body), id) in made.iter().zip(&ids) {
        let again = ask(what, "once", body).await.ok(201);
        assert!(again.is_replay(), "{what}");
        assert_eq!(again.id(), *id, "{what}");
        ask(what, "anew", body).await.refused(409, "event_state");
    }
    // A scanner's key is answered again too, and opens the gate.
    let scanner = || {
        let call = stage.call(OLGA, "POST", &format!("{event}/devices"));
        call.key("once").json(json!({"name": "North"})).send()
    };
    let first = scanner().await.ok(201);
    let again = scanner().await.ok(201);
    assert!(
        again.is_replay() && again.body == first.body,
        "{}",
        again.text
    );
    let call = stage.call(GUEST, "GET", &format!("{event}/scan-bundle"));
    let call = call.header("x-device-key", &again.text_of("key"));
    call.send().await.ok(200);
    // An export may be asked for at any time, under a key once.
    let body = json!({"kind": "orders", "format": "csv", "filter": {"eventId": gig.event}});
    let export = |key: &str| {
        let call = stage.call(OLGA, "POST", "/api/v1/analytics/exports");
        call.key(key).json(body.clone()).send()
    };
    let first = export("once").await.ok(202).id();
    let again = export("once").await.ok(202);
    assert!(again.is_replay() && again.id() == first, "{}", again.text);
    assert_ne!(export("anew").await.ok(202).id(), first);
}

#[tokio::test]
async fn row_63_private_addresses_are_no_receivers() {
    let stage = with_webhooks(Targets::PublicOnly).await;
    let org = stage.org().await;
    let path = format!("/api/v1/orgs/{org}/webhooks");
    for url in [
        "http://127.0.0.1/x",
        "https://127.0.0.1/x",
        "https://10.0.0.1/x",
        "http://example.com/x",
    ] {
        let reply = stage.post(OLGA, &path, json!({"url": url})).await;
        assert_eq!(
            reply.code(),
            (400, "url_not_allowed"),
            "{url}: {}",
            reply.text
        );
    }
}

/// Reserves and takes a free ticket; answers the order.
async fn take(stage: &Stage, who: &str, gig: &Gig, email: &str) -> String {
    let body = json!({
        "eventId": gig.event, "items": [{"ticketTypeId": gig.kind, "quantity": 1}],
        "buyer": {"email": email, "name": "Ana Example"},
    });
    let order = stage.post(who, "/api/v1/orders", body).await.ok(201);
    let path = format!("/api/v1/orders/{}/checkout", order.id());
    let key = stage.fresh("pay");
    let mut call = stage.call(who, "POST", &path).key(&key);
    if let Some(token) = order.body["accessToken"].as_str() {
        call = call.token(token);
    }
    call.json(json!({"method": "free"})).send().await.ok(200);
    order.id()
}

#[tokio::test]
async fn row_65_an_erased_person_reads_null_and_figures_stay() {
    let stage = Stage::new().await;
    let gig = stage.event("0", 10).await;
    let order = take(&stage, ANA, &gig, "ana.secret@example.org").await;
    let export = stage
        .post(ANA, "/api/v1/privacy/people/export", json!({}))
        .await
        .ok(202);
    assert_eq!(export.text_of("person"), "sub:ana");
    let contact = &export.body["data"]["orders"][0]["contact"];
    assert_eq!(
        contact["email"], "ana.secret@example.org",
        "{}",
        export.text
    );
    // Only with the permission for others.
    let ana = json!({"subject": "ana", "keepTickets": true});
    let erase = "/api/v1/privacy/people/erase";
    stage
        .post(BOB, erase, ana.clone())
        .await
        .refused(403, "forbidden");
    stage
        .post(GUEST, erase, ana.clone())
        .await
        .refused(401, "unauthenticated");
    stage
        .post(ANA, erase, json!({}))
        .await
        .refused(409, "has_valid_tickets");
    stage.post(ADMIN, erase, ana.clone()).await.ok(204);
    stage
        .post(ADMIN, erase, ana)
        .await
        .refused(404, "person_not_found");

    let orders = format!("/api/v1/events/{}/orders", gig.event);
    let seen = stage.get(OLGA, &orders).await.ok(200);
    assert_eq!(seen.items()[0]["id"], json!(order));
    assert!(
        !seen.text.contains("ana.secret") && !seen.text.contains("Ana Example"),
        "{}",
        seen.text
    );
    let attendees = format!("/api/v1/events/{}/attendees", gig.event);
    let attendees = stage.get(OLGA, &attendees).await.ok(200);
    assert!(!attendees.text.contains("ana.secret"), "{}", attendees.text);
    let capacity = format!("/api/v1/events/{}/capacity", gig.event);
    let capacity = stage.get(OLGA, &capacity).await.ok(200);
    assert_eq!(capacity.body["types"][0]["sold"], 1);
    // The same person may come back, as somebody new.
    take(&stage, ANA, &gig, "ana.secret@example.org").await;
    let again = stage
        .post(ANA, "/api/v1/privacy/people/export", json!({}))
        .await
        .ok(202);
    assert_eq!(
        again.body["data"]["orders"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn an_open_payment_keeps_a_person() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 10).await;
    let body = json!({
        "eventId": gig.event, "items": [{"ticketTypeId": gig.kind, "quantity": 1}],
        "buyer": {"email": "ana@example.org"},
    });
    stage.post(ANA, "/api/v1/orders", body).await.ok(201);
    let erase = json!({"keepTickets": true});
    stage
        .post(ANA, "/api/v1/privacy/people/erase", erase)
        .await
        .refused(409, "has_open_matters");
}

#[tokio::test]
async fn a_cancelled_event_releases_and_pays_back() {
    let stage = Stage::new().await;
    let gig = stage.event("0", 10).await;
    take(&stage, ANA, &gig, "ana@example.org").await;
    let path = format!("/api/v1/events/{}/cancel", gig.event);
    let reason = json!({"reason": "Storm"});
    let send = || {
        stage
            .call(OLGA, "POST", &path)
            .key("c")
            .json(reason.clone())
            .send()
    };
    let cancelled = send().await.ok(202);
    let job = cancelled.text_of("refundJobId");
    assert!(send().await.ok(202).is_replay());
    let job = format!("/api/v1/events/{}/refund-jobs/{job}", gig.event);
    stage.get(OLGA, &job).await.ok(200);
    let event = stage
        .get(GUEST, &format!("/api/v1/events/{}", gig.event))
        .await
        .ok(200);
    assert_eq!(event.text_of("status"), "cancelled");
    let tickets = stage.get(ANA, "/api/v1/tickets").await.ok(200);
    assert_eq!(
        tickets.items()[0]["status"],
        "cancelled",
        "{}",
        tickets.text
    );
    let body = json!({
        "eventId": gig.event, "items": [{"ticketTypeId": gig.kind, "quantity": 1}],
        "buyer": {"email": "bob@example.org"},
    });
    stage
        .post(BOB, "/api/v1/orders", body)
        .await
        .refused(409, "event_state");
}

#[tokio::test]
async fn limits_hold_and_can_be_lifted() {
    let settings = Settings {
        limits: [("event_create", 2), ("pages", 0)].into(),
        ..Settings::default()
    };
    let stage = Stage::with(settings).await;
    let org = stage.org().await;
    stage.draft(&org, json!({})).await;
    stage.draft(&org, json!({})).await;
    let body = json!({"orgId": org, "title": "One more", "timeZone": "UTC"});
    let refused = stage.post(OLGA, "/api/v1/events", body.clone()).await;
    let refused = refused.refused(429, "rate_limited");
    assert_eq!(refused.header("ratelimit-limit"), "2");
    assert!(!refused.header("retry-after").is_empty());
    stage.advance(1_800 * 1_000_000);
    stage.post(OLGA, "/api/v1/events", body).await.ok(201);
    for _ in 0..1_100 {
        stage
            .get(GUEST, "/api/v1/events/none")
            .await
            .refused(404, "event_not_found");
    }
}
