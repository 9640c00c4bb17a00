//! Handing tickets on (contract D5).

use serde_json::json;

use super::{code, key, open_doors, row, scan, sell, verdict};
use crate::stage::{ANA, BOB, DAY, GUEST, Gig, OLGA, Stage};

async fn offered(stage: &Stage, ticket: &str) -> (String, String) {
    let path = format!("/api/v1/tickets/{ticket}/transfers");
    let body = json!({"recipientEmail": "Bob@Example.com", "message": "Have fun"});
    let reply = stage.post(ANA, &path, body).await.ok(201);
    (reply.id(), reply.text_of("token"))
}

fn accept(token: &str) -> String {
    format!("/api/v1/transfers/{token}/accept")
}

async fn admitted(stage: &Stage, gig: &Gig, token: &str, n: u128) -> String {
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let body = scan(token, n, &stage.at(0));
    let answer = stage.post(OLGA, &path, body).await.ok(200);
    verdict(&answer.body).1.to_owned()
}

/// Row 48: the old code is revoked, the new one works.
#[tokio::test]
async fn row_48_a_transferred_ticket_has_a_new_code() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let key = key(&stage, &gig).await;
    let (_, token) = offered(&stage, &ticket.id).await;
    let one = format!("/api/v1/tickets/{}", ticket.id);
    let path = format!("{one}/transfers");
    let again = json!({"recipientEmail": "carl@example.com"});
    stage
        .post(ANA, &path, again)
        .await
        .refused(409, "transfer_pending");
    let seen = stage
        .get(GUEST, &format!("/api/v1/transfers/{token}"))
        .await
        .ok(200);
    assert_eq!(
        (seen.text_of("status"), seen.text_of("message")),
        ("pending".into(), "Have fun".into())
    );
    assert!(stage.get(ANA, &one).await.ok(200).body["pendingTransfer"].is_object());

    let body = json!({"name": "Bob B.", "email": "bob@example.com"});
    let taken = stage
        .post(GUEST, &accept(&token), body.clone())
        .await
        .ok(200);
    assert_eq!(taken.body["generation"], 2);
    assert_eq!(taken.body["holder"]["name"], "Bob B.");
    let access = taken.text_of("accessToken");
    assert_eq!(taken.text_of("token"), code(&key, &ticket.id, 2));
    stage
        .post(GUEST, &accept(&token), body)
        .await
        .refused(409, "ticket_state");
    stage.get(ANA, &one).await.refused(404, "ticket_not_found");
    let opened = stage
        .call(GUEST, "GET", &one)
        .token(&access)
        .send()
        .await
        .ok(200);
    assert_eq!(opened.body["transferred"], true);
    stage
        .call(GUEST, "GET", &one)
        .token("wrong")
        .send()
        .await
        .refused(404, "ticket_not_found");

    open_doors(&stage);
    assert_eq!(
        admitted(&stage, &gig, &code(&key, &ticket.id, 1), 1).await,
        "revoked"
    );
    assert_eq!(
        admitted(&stage, &gig, &code(&key, &ticket.id, 2), 2).await,
        "ok"
    );
}

/// Row 49: whoever comes in first decides.
#[tokio::test]
async fn row_49_a_scan_withdraws_the_offer() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    open_doors(&stage);
    let (_, token) = offered(&stage, &ticket.id).await;
    let code = code(&key(&stage, &gig).await, &ticket.id, 1);
    assert_eq!(admitted(&stage, &gig, &code, 1).await, "ok");
    let body = json!({"name": "Bob", "email": "bob@example.com"});
    stage
        .post(BOB, &accept(&token), body)
        .await
        .refused(409, "ticket_state");
    let path = format!("/api/v1/tickets/{}/transfers", ticket.id);
    let body = json!({"recipientEmail": "bob@example.com"});
    stage
        .post(ANA, &path, body)
        .await
        .refused(409, "ticket_state");
}

/// Row 50: accepted twice, and too late.
#[tokio::test]
async fn row_50_an_offer_is_accepted_once_and_in_time() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let sold = sell(&stage, &gig, "ana", 2).await;
    let body = json!({"name": "Bob", "email": "bob@example.com"});
    let (_, token) = offered(&stage, &sold[0].id).await;
    let taken = stage.post(BOB, &accept(&token), body.clone()).await.ok(200);
    assert!(
        taken.body.get("accessToken").is_none(),
        "an account needs none"
    );
    stage
        .post(BOB, &accept(&token), body.clone())
        .await
        .refused(409, "ticket_state");
    assert_eq!(
        row(&stage, &sold[0].id).await.owner_sub.as_deref(),
        Some("bob")
    );
    let (_, token) = offered(&stage, &sold[1].id).await;
    stage.advance(3 * DAY);
    stage
        .post(BOB, &accept(&token), body)
        .await
        .refused(410, "transfer_expired");
    offered(&stage, &sold[1].id).await;
}

#[tokio::test]
async fn an_offer_can_be_withdrawn_and_repeated_under_its_key() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let path = format!("/api/v1/tickets/{}/transfers", ticket.id);
    let body = json!({"recipientEmail": "bob@example.com"});
    let send = || {
        stage
            .call(ANA, "POST", &path)
            .key("k")
            .json(body.clone())
            .send()
    };
    let first = send().await.ok(201);
    let second = send().await.ok(201);
    assert!(second.is_replay());
    assert_eq!(
        second.body, first.body,
        "with the token, which the tables do not hold"
    );
    stage
        .delete(BOB, &format!("{path}/{}", first.id()))
        .await
        .refused(404, "ticket_not_found");
    stage
        .delete(ANA, &format!("{path}/{}", first.id()))
        .await
        .ok(204);
    let body = json!({"name": "Bob", "email": "bob@example.com"});
    let token = first.text_of("token");
    stage
        .post(BOB, &accept(&token), body)
        .await
        .refused(409, "ticket_state");
}

#[tokio::test]
async fn some_tickets_cannot_be_handed_on() {
    let stage = Stage::new().await;
    let kind = json!({"price": "45.00", "quantity": 10, "transferable": false});
    let gig = stage.event_with(json!({}), kind).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let path = format!("/api/v1/tickets/{}/transfers", ticket.id);
    let body = json!({"recipientEmail": "bob@example.com"});
    stage
        .post(ANA, &path, body.clone())
        .await
        .refused(409, "not_transferable");
    stage
        .post(BOB, &path, body.clone())
        .await
        .refused(404, "ticket_not_found");
    stage
        .post(OLGA, &path, body)
        .await
        .refused(404, "ticket_not_found");
}
