//! Who sees a ticket, what is on it, and who may change it (contract D1, D2, G).

use florin_ticketing::tickets::mail;
use serde_json::json;

use super::{code, key, sell};
use crate::stage::{ANA, BOB, GUEST, OLGA, Stage};

#[tokio::test]
async fn the_owner_sees_the_code_and_staff_does_not() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let sold = sell(&stage, &gig, "ana", 2).await;
    let one = format!("/api/v1/tickets/{}", sold[0].id);
    let own = stage.get(ANA, &one).await.ok(200);
    assert_eq!(
        own.text_of("token"),
        code(&key(&stage, &gig).await, &sold[0].id, 1)
    );
    assert_eq!(
        own.body["paid"],
        json!({
            "currency": "EUR", "net": "42.06", "tax": "2.94", "fees": "1.46", "total": "46.46",
        })
    );
    let staff = stage.get(OLGA, &one).await.ok(200);
    assert!(staff.body.get("token").is_none());
    stage.get(BOB, &one).await.refused(404, "ticket_not_found");
    stage
        .get(GUEST, &one)
        .await
        .refused(404, "ticket_not_found");
    stage
        .get(GUEST, "/api/v1/tickets")
        .await
        .refused(401, "unauthenticated");
    let listed = stage.get(ANA, "/api/v1/tickets?limit=1").await.ok(200);
    assert_eq!(listed.items().len(), 1);
    let cursor = listed.text_of("nextCursor");
    let rest = stage
        .get(ANA, &format!("/api/v1/tickets?limit=1&cursor={cursor}"))
        .await
        .ok(200);
    assert_eq!(rest.items()[0]["id"], sold[1].id.as_str());
    assert!(rest.body["nextCursor"].is_null());
    let attendees = format!("/api/v1/events/{}/attendees", gig.event);
    assert_eq!(stage.get(OLGA, &attendees).await.ok(200).items().len(), 2);
    stage
        .get(ANA, &attendees)
        .await
        .refused(404, "event_not_found");
}

#[tokio::test]
async fn pictures_page_and_calendar_are_the_owners() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let one = format!("/api/v1/tickets/{}", ticket.id);
    let svg = stage.get(ANA, &format!("{one}/qr.svg")).await.ok(200);
    assert!(svg.text.starts_with("<svg ") && svg.header("content-type") == "image/svg+xml");
    let png = stage.get(ANA, &format!("{one}/qr.png")).await.ok(200);
    assert_eq!(&png.bytes[..8], b"\x89PNG\r\n\x1a\n");
    let page = stage.get(ANA, &format!("{one}/print")).await.ok(200);
    assert!(
        page.text.contains(&ticket.number) && page.text.contains("Ana A."),
        "{}",
        page.text
    );
    assert!(page.text.contains("Europe/Berlin"));
    let ics = stage.get(ANA, &format!("{one}/calendar.ics")).await.ok(200);
    assert!(ics.text.contains("BEGIN:VEVENT\r\n") && ics.text.contains("LOCATION:Hall\\, "));
    for file in ["qr.svg", "qr.png", "print", "calendar.ics"] {
        stage
            .get(BOB, &format!("{one}/{file}"))
            .await
            .refused(404, "ticket_not_found");
        stage
            .get(OLGA, &format!("{one}/{file}"))
            .await
            .refused(404, "ticket_not_found");
    }
}

/// Row 51: the holder may be changed whatever the event's stock, until the ticket is used.
#[tokio::test]
async fn row_51_another_holder_touches_no_stock() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 1).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let capacity = format!("/api/v1/events/{}/capacity", gig.event);
    let before = stage.get(OLGA, &capacity).await.ok(200).body;
    let one = format!("/api/v1/tickets/{}", ticket.id);
    let body = json!({"holder": {"name": "Carla", "email": "Carla@Example.com"}});
    let changed = stage.patch(ANA, &one, body.clone()).await.ok(200);
    assert_eq!(
        changed.body["holder"],
        json!({"name": "Carla", "email": "carla@example.com"})
    );
    assert_eq!(changed.body["generation"], 1, "the printed code stays good");
    assert_eq!(stage.get(OLGA, &capacity).await.ok(200).body, before);
    stage
        .patch(BOB, &one, body.clone())
        .await
        .refused(404, "ticket_not_found");
    stage
        .post(OLGA, &format!("{one}/void"), json!({}))
        .await
        .ok(200);
    stage
        .patch(ANA, &one, body)
        .await
        .refused(409, "ticket_state");
}

#[tokio::test]
async fn a_void_gives_the_unit_back_and_a_reissue_a_new_code() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let sold = sell(&stage, &gig, "ana", 2).await;
    let one = |n: usize| format!("/api/v1/tickets/{}", sold[n].id);
    let capacity = format!("/api/v1/events/{}/capacity", gig.event);
    stage
        .post(ANA, &format!("{}/void", one(0)), json!({}))
        .await
        .refused(404, "ticket_not_found");
    let void = stage
        .post(OLGA, &format!("{}/void", one(0)), json!({}))
        .await
        .ok(200);
    assert_eq!(void.text_of("status"), "cancelled");
    let left = stage.get(OLGA, &capacity).await.ok(200);
    assert_eq!(left.body["types"][0]["sold"], 1);
    stage
        .post(OLGA, &format!("{}/void", one(0)), json!({}))
        .await
        .refused(409, "ticket_state");
    let new = stage
        .post(OLGA, &format!("{}/reissue", one(1)), json!({}))
        .await
        .ok(200);
    assert_eq!(new.body["generation"], 2);
    let own = stage.get(ANA, &one(1)).await.ok(200);
    assert_eq!(
        own.text_of("token"),
        code(&key(&stage, &gig).await, &sold[1].id, 2)
    );
}

/// Mails with tickets leave soon after the commit, with codes and a calendar file.
#[tokio::test]
async fn tickets_are_mailed_with_their_codes() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    sell(&stage, &gig, "ana", 3).await;
    assert_eq!(mail::drain(&stage.room).await.unwrap(), 1);
    assert_eq!(mail::drain(&stage.room).await.unwrap(), 0);
    let text = "SELECT person_id, recipient, kind, content FROM tk_mails";
    let rows = stage
        .room
        .store
        .db
        .fetch_all(florin_platform::sql::query(text))
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<String>("kind").unwrap(), "order.confirmed");
    let id: String = rows[0].get("person_id").unwrap();
    let db = &stage.room.store.db;
    let persons = stage
        .room
        .vault
        .load(db, std::slice::from_ref(&id))
        .await
        .unwrap();
    let open = |field: &str, column: &str| {
        let sealed: Vec<u8> = rows[0].get(column).unwrap();
        persons[&id].open(field, &sealed).unwrap()
    };
    assert_eq!(open("mail.recipient", "recipient"), "ana@example.com");
    let mail: florin_ticketing::mail::Mail =
        serde_json::from_str(&open("mail.content", "content")).unwrap();
    let names: Vec<&str> = mail
        .attachments
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(names.len(), 4, "three codes and a calendar file: {names:?}");
    assert!(names[0].ends_with("-01.png") && names[3] == "event.ics");
}
