//! Organisations, events, what they sell, and what becomes of them (contract A).

use serde_json::{Value, json};

use crate::stage::{ADMIN, ANA, BOB, DAY, GUEST, OLGA, SECOND, Stage};

pub const HOUR: i64 = 3_600 * SECOND;

pub fn event_path(id: &str) -> String {
    format!("/api/v1/events/{id}")
}

#[tokio::test]
async fn organisations_are_seen_by_their_members_alone() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    let path = format!("/api/v1/orgs/{org}");
    let seen = stage.get(OLGA, &path).await.ok(200);
    assert_eq!(seen.body["verified"], true);
    assert_eq!(seen.body["payoutDelayDays"], 7);
    stage.get(ANA, &path).await.refused(404, "org_not_found");
    stage
        .get(GUEST, &path)
        .await
        .refused(401, "unauthenticated");
    stage.get(ADMIN, &path).await.ok(200);
    // Only an admin verifies.
    let verified = json!({"verified": false});
    stage
        .patch(OLGA, &path, verified)
        .await
        .refused(403, "forbidden");
    let mine = stage.get(OLGA, "/api/v1/orgs").await.ok(200);
    assert_eq!(mine.items().len(), 1);
    assert!(
        stage
            .get(ANA, "/api/v1/orgs")
            .await
            .ok(200)
            .items()
            .is_empty()
    );
}

#[tokio::test]
async fn a_creation_under_one_key_happens_once() {
    let stage = Stage::new().await;
    let body = |name: &str| {
        json!({"name": name, "legalName": "L", "country": "DE", "defaultCurrency": "EUR",
               "contactEmail": "a@b.example"})
    };
    let post = |body: Value| {
        stage
            .call(OLGA, "POST", "/api/v1/orgs")
            .key("k")
            .json(body)
            .send()
    };
    let first = post(body("One")).await.ok(201);
    let again = post(body("One")).await.ok(201);
    assert!(again.is_replay() && !first.is_replay());
    assert_eq!(first.id(), again.id());
    let other = post(body("Two")).await.refused(409, "idempotency_conflict");
    assert_eq!(other.body["field"], "name");
    assert_eq!(stage.get(OLGA, "/api/v1/orgs").await.items().len(), 1);
}

#[tokio::test]
async fn members_act_within_their_roles() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 5).await;
    let members = format!("/api/v1/orgs/{}/members", gig.org);
    let add = |body: Value| stage.post(OLGA, &members, body);
    let scanner = json!({"userId": "ana", "role": "scanner", "eventIds": [gig.event]});
    let ana = add(scanner.clone()).await.ok(201).id();
    add(scanner).await.refused(409, "already_member");
    add(json!({"email": "Bob@Example.org", "role": "support"}))
        .await
        .ok(201);
    add(json!({"userId": "x", "email": "x@y.z", "role": "support"}))
        .await
        .refused(400, "validation_failed");
    add(json!({"userId": "x", "role": "boss"}))
        .await
        .refused(400, "validation_failed");
    // Row 62: a member without the permission gets 403, a stranger 404.
    let change = json!({"title": "Another"});
    stage
        .patch(ANA, &event_path(&gig.event), change.clone())
        .await
        .refused(403, "forbidden");
    stage
        .patch(BOB, &event_path(&gig.event), change)
        .await
        .refused(404, "event_not_found");
    let capacity = format!("{}/capacity", event_path(&gig.event));
    stage.get("user:bob@example.org", &capacity).await.ok(200);
    stage.get(ANA, &capacity).await.refused(403, "forbidden");
    // The last organizer stays.
    let all = stage.get(OLGA, &members).await.ok(200);
    let founder = all
        .items()
        .iter()
        .find(|member| member["role"] == "organizer");
    let founder = founder.expect("a founder")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let one = |id: &str| format!("{members}/{id}");
    stage
        .delete(OLGA, &one(&founder))
        .await
        .refused(409, "last_organizer");
    stage.delete(OLGA, &one(&ana)).await.ok(204);
    stage
        .delete(OLGA, &one(&ana))
        .await
        .refused(404, "member_not_found");
}

#[tokio::test]
async fn an_event_is_published_when_it_is_whole() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    let bare = json!({"orgId": org, "title": "Bare", "timeZone": "UTC"});
    let bare = stage.post(OLGA, "/api/v1/events", bare).await.ok(201).id();
    let refused = stage.publish(&bare).await.refused(409, "event_incomplete");
    let fields: Vec<&str> = refused.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| error["field"].as_str().expect("a field"))
        .collect();
    assert_eq!(
        fields,
        ["category", "startsAt", "endsAt", "venue", "ticketTypes"]
    );
    stage
        .get(ANA, &event_path(&bare))
        .await
        .refused(404, "event_not_found");

    let event = stage.draft(&org, json!({})).await;
    stage.kind(&event, json!({})).await;
    let shown = stage.publish(&event).await.ok(200);
    assert_eq!(
        (shown.text_of("status"), shown.text_of("phase")),
        ("published".into(), "upcoming".into())
    );
    assert_eq!(
        shown.text_of("startsAtLocal"),
        "2030-01-31T13:00:00+01:00[Europe/Berlin]"
    );
    stage.publish(&event).await.refused(409, "event_state");
    stage
        .delete(OLGA, &event_path(&event))
        .await
        .refused(409, "event_state");
    stage.delete(OLGA, &event_path(&bare)).await.ok(204);
    let seen = stage.get(GUEST, &event_path(&event)).await.ok(200);
    assert_eq!(seen.header("cache-control"), "public, max-age=1");
    let by_slug = format!("/api/v1/events/by-slug/{}", seen.text_of("slug"));
    assert_eq!(stage.get(GUEST, &by_slug).await.ok(200).id(), event);
}

#[tokio::test]
async fn fields_of_an_event_are_checked() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    let create = |more: Value| {
        let mut body = json!({"orgId": org, "title": "A title", "timeZone": "Europe/Berlin"});
        crate::stage::lay_over(&mut body, &more);
        stage.post(OLGA, "/api/v1/events", body)
    };
    for (more, code) in [
        (json!({"timeZone": "Berlin"}), "bad_time_zone"),
        (json!({"title": "ab"}), "validation_failed"),
        (json!({"category": "dance"}), "validation_failed"),
        (json!({"holdSeconds": 9}), "validation_failed"),
        (json!({"currency": "QQQ"}), "currency_unknown"),
        (json!({"tags": ["x"]}), "validation_failed"),
        (
            json!({"onlineUrl": "http://x.example"}),
            "validation_failed",
        ),
        (
            json!({"startsAt": "2030-02-01T10:00:00"}),
            "validation_failed",
        ),
        (
            json!({"startsAt": "2030-02-01T10:00:00Z", "endsAt": "2030-02-01T10:00:00Z"}),
            "validation_failed",
        ),
        (json!({"nothing": 1}), "unknown_field"),
        (
            json!({"summary": "4242 4242 4242 4242"}),
            "card_data_refused",
        ),
    ] {
        let reply = create(more.clone()).await;
        assert_eq!(reply.code(), (400, code), "{more}: {}", reply.text);
        assert!(!reply.text.contains("4242"), "{}", reply.text);
    }
    let html = create(json!({"description": "<b>Loud</b> & 1 < 2"}))
        .await
        .ok(201);
    assert_eq!(html.text_of("description"), "Loud & 1 < 2");
}

#[tokio::test]
async fn a_stale_version_is_refused() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 5).await;
    let path = event_path(&gig.event);
    let tag = stage.get(OLGA, &path).await.header("etag").to_owned();
    let patch = |title: &str| {
        let call = stage.call(OLGA, "PATCH", &path).header("if-match", &tag);
        call.json(json!({"title": title})).send()
    };
    let changed = patch("First change").await.ok(200);
    assert_ne!(changed.header("etag"), tag);
    patch("Second change")
        .await
        .refused(412, "version_mismatch");
}

#[tokio::test]
async fn private_events_open_with_their_key() {
    let stage = Stage::new().await;
    let gig = stage
        .event_with(json!({"visibility": "private"}), json!({}))
        .await;
    let path = event_path(&gig.event);
    let key = stage.get(OLGA, &path).await.ok(200).text_of("accessKey");
    stage.get(ANA, &path).await.refused(404, "event_not_found");
    let wrong = format!("{path}?accessKey=wrong-key");
    stage
        .get(GUEST, &wrong)
        .await
        .refused(404, "event_not_found");
    let seen = stage
        .get(GUEST, &format!("{path}?accessKey={key}"))
        .await
        .ok(200);
    assert!(seen.body.get("accessKey").is_none());
    let types = format!("{path}/ticket-types?accessKey={key}");
    assert_eq!(stage.get(GUEST, &types).await.ok(200).items().len(), 1);
    let found = stage.get(GUEST, "/api/v1/events").await.ok(200);
    assert!(found.items().is_empty());
    let own = format!("/api/v1/events?orgId={}", gig.org);
    assert_eq!(stage.get(OLGA, &own).await.ok(200).items().len(), 1);
}

#[tokio::test]
async fn types_pools_and_availability() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    let event = stage.draft(&org, json!({"capacity": 50})).await;
    let pools = format!("{}/pools", event_path(&event));
    let pool = stage
        .post(OLGA, &pools, json!({"name": "Floor", "capacity": 30}))
        .await
        .ok(201)
        .id();
    let early = stage
        .kind(
            &event,
            json!({"name": "Early", "quantity": 8, "poolIds": [pool]}),
        )
        .await;
    let late = stage
        .kind(
            &event,
            json!({"name": "Late", "quantity": null, "poolIds": [pool]}),
        )
        .await;
    let hidden = stage
        .kind(
            &event,
            json!({"name": "Crew", "hidden": true, "price": "0"}),
        )
        .await;
    stage.publish(&event).await.ok(200);

    let types = format!("{}/ticket-types", event_path(&event));
    let seen = stage.get(GUEST, &types).await.ok(200);
    let ids: Vec<&Value> = seen.items().iter().map(|kind| &kind["id"]).collect();
    assert_eq!(ids, [&json!(early), &json!(late)]);
    assert_eq!(seen.items()[0]["availability"], "few");
    assert_eq!(seen.items()[1]["availability"], "many");
    assert!(seen.items()[0].get("sold").is_none());
    let codes = format!("{}/promo-codes", event_path(&event));
    let code = json!({"code": "crew-26", "kind": "access", "ticketTypeIds": [hidden]});
    stage.post(OLGA, &codes, code.clone()).await.ok(201);
    stage
        .post(OLGA, &codes, code)
        .await
        .refused(409, "code_exists");
    let opened = stage
        .get(GUEST, &format!("{types}?promoCode=CREW-26"))
        .await
        .ok(200);
    assert_eq!(opened.items().len(), 3);

    let capacity = format!("{}/capacity", event_path(&event));
    let exact = stage.get(OLGA, &capacity).await.ok(200);
    let available: Vec<&Value> = exact.body["types"]
        .as_array()
        .expect("types")
        .iter()
        .map(|kind| &kind["available"])
        .collect();
    assert_eq!(available, [&json!(8), &json!(30), &json!(50)]);
    assert_eq!(exact.body["pools"].as_array().map(Vec::len), Some(2));
    // A type in a pool keeps the pool alive; the pool of the event is no choice.
    stage
        .delete(OLGA, &format!("{pools}/{pool}"))
        .await
        .refused(409, "type_in_use");
    assert_eq!(stage.get(OLGA, &pools).await.ok(200).items().len(), 1);
    let wrong = json!({"price": "1.005"});
    stage
        .patch(OLGA, &format!("/api/v1/ticket-types/{early}"), wrong)
        .await
        .refused(400, "amount_precision");
}

#[tokio::test]
async fn row_40_prices_have_the_decimals_of_the_currency() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    let event = stage.draft(&org, json!({"currency": "JPY"})).await;
    let path = format!("{}/ticket-types", event_path(&event));
    let kind = json!({"name": "A", "price": "1000.5", "quantity": 1});
    stage
        .post(OLGA, &path, kind)
        .await
        .refused(400, "amount_precision");
    let kind = json!({"name": "A", "price": "1000", "quantity": 1});
    assert_eq!(
        stage.post(OLGA, &path, kind).await.ok(201).text_of("price"),
        "1000"
    );
}

#[tokio::test]
async fn a_rescheduled_event_moves_its_windows_on_the_wall() {
    let stage = Stage::new().await;
    // Begins in winter time, moves across the clock change of 2030-03-31.
    let event = json!({"startsAt": "2030-03-20T19:00:00Z", "endsAt": "2030-03-20T23:00:00Z"});
    let kind = json!({
        "saleEndsAt": "2030-03-20T17:00:00Z", "refundableUntil": "2030-03-10T11:00:00Z",
        "validFrom": "2030-03-20T18:00:00Z", "validUntil": "2030-03-20T21:00:00Z",
    });
    let gig = stage.event_with(event, kind).await;
    let path = event_path(&gig.event);
    let dates = json!({"startsAt": "2030-04-20T18:00:00Z", "endsAt": "2030-04-20T22:00:00Z"});
    let reschedule = format!("{path}/reschedule");
    stage
        .post(OLGA, &reschedule, dates.clone())
        .await
        .refused(409, "event_state");
    let reason = json!({"reason": "The singer is ill"});
    let postponed = stage
        .post(OLGA, &format!("{path}/postpone"), reason)
        .await
        .ok(200);
    assert_eq!(postponed.text_of("status"), "postponed");
    let moved = stage.post(OLGA, &reschedule, dates).await.ok(200);
    assert_eq!(moved.text_of("status"), "published");
    assert_eq!(
        moved.text_of("startsAtLocal"),
        "2030-04-20T20:00:00+02:00[Europe/Berlin]"
    );
    assert_eq!(moved.text_of("refundUntil"), stage.at(14 * DAY));
    let types = stage
        .get(OLGA, &format!("{path}/ticket-types"))
        .await
        .ok(200);
    let kind = &types.items()[0];
    for (member, expected) in [
        ("saleEndsAt", "2030-04-20T16:00:00.000000Z"),
        ("refundableUntil", "2030-04-10T10:00:00.000000Z"),
        ("validFrom", "2030-04-20T17:00:00.000000Z"),
        ("validUntil", "2030-04-20T20:00:00.000000Z"),
    ] {
        assert_eq!(kind[member], expected, "{member}");
    }
}

#[tokio::test]
async fn row_60_times_of_a_clock_change_night_are_kept() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    // Both hours 02:30 of the night of 2030-10-27 in Berlin.
    let times = json!({"startsAt": "2030-10-27T00:30:00Z", "endsAt": "2030-10-27T01:30:00Z"});
    let event = stage.draft(&org, times).await;
    let path = event_path(&event);
    let read = stage.get(OLGA, &path).await.ok(200);
    assert_eq!(
        read.text_of("startsAtLocal"),
        "2030-10-27T02:30:00+02:00[Europe/Berlin]"
    );
    assert_eq!(
        read.text_of("endsAtLocal"),
        "2030-10-27T02:30:00+01:00[Europe/Berlin]"
    );
    let back = json!({
        "startsAt": read.body["startsAt"], "endsAt": read.body["endsAt"],
        "timeZone": read.body["timeZone"], "venue": read.body["venue"],
    });
    let written = stage.patch(OLGA, &path, back).await.ok(200);
    for member in [
        "startsAt",
        "endsAt",
        "startsAtLocal",
        "endsAtLocal",
        "venue",
    ] {
        assert_eq!(written.body[member], read.body[member], "{member}");
    }
}

#[tokio::test]
async fn events_end_by_themselves() {
    let stage = Stage::new().await;
    let over = stage.event("10.00", 5).await;
    let waiting = stage.event("10.00", 5).await;
    let path = event_path(&waiting.event);
    let reason = json!({"reason": "No date yet"});
    stage
        .post(OLGA, &format!("{path}/postpone"), reason)
        .await
        .ok(200);
    let complete = || florin_ticketing::events::lifecycle::complete_due(&stage.room);
    assert_eq!(complete().await.expect("works"), 0);
    stage.advance(30 * DAY + 4 * HOUR);
    assert_eq!(complete().await.expect("works"), 1);
    let status = |path: String| {
        let stage = &stage;
        async move { stage.get(OLGA, &path).await.ok(200).text_of("status") }
    };
    assert_eq!(status(event_path(&over.event)).await, "completed");
    assert_eq!(status(path.clone()).await, "postponed");
    stage.advance(90 * DAY);
    assert_eq!(complete().await.expect("works"), 1);
    assert_eq!(status(path.clone()).await, "completed");
    let change = json!({"title": "Too late"});
    stage
        .patch(OLGA, &path, change)
        .await
        .refused(409, "event_state");
    let steps = [
        ("postpone", json!({"reason": "x"})),
        ("cancel", json!({"reason": "x"})),
    ];
    for (step, body) in steps {
        let path = format!("{path}/{step}");
        stage
            .post(OLGA, &path, body)
            .await
            .refused(409, "event_state");
    }
}

#[tokio::test]
async fn an_organisation_that_is_suspended_publishes_nothing() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    let event = stage.draft(&org, json!({})).await;
    stage.kind(&event, json!({})).await;
    let path = format!("/api/v1/orgs/{org}");
    let suspended = json!({"status": "suspended"});
    stage.patch(ADMIN, &path, suspended).await.ok(200);
    stage.publish(&event).await.refused(403, "org_suspended");
}
