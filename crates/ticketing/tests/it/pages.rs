//! Public pages are remembered for a moment, and are right after a change (contract A4, G).

use serde_json::json;

use crate::stage::{ANA, GUEST, OLGA, SECOND, Stage};

#[tokio::test]
async fn a_public_page_is_right_at_once_after_a_change() {
    let stage = Stage::new().await;
    let gig = stage.event("0.00", 2).await;
    let page = format!("/api/v1/events/{}", gig.event);
    let first = stage.get(GUEST, &page).await.ok(200);
    assert_eq!(first.header("cache-control"), "public, max-age=1");
    assert_eq!(first.body["title"], first.text_of("title"));
    let tag = first.header("etag").to_owned();
    let again = stage.call(GUEST, "GET", &page);
    let again = again.header("if-none-match", &tag).send().await.ok(304);
    assert_eq!((again.header("etag"), again.text.as_str()), (&*tag, ""));
    stage
        .patch(OLGA, &page, json!({"title": "Another title"}))
        .await
        .ok(200);
    let after = stage.call(GUEST, "GET", &page);
    let after = after.header("if-none-match", &tag).send().await.ok(200);
    assert_eq!(after.body["title"], "Another title");
    let slug = format!("/api/v1/events/by-slug/{}", after.text_of("slug"));
    let by_slug = stage.get(GUEST, &slug).await.ok(200);
    assert_eq!(by_slug.body, after.body);
    // Members are never shown what is remembered for guests, nor the other way round.
    let member = stage.get(OLGA, &page).await.ok(200);
    assert_eq!(member.header("cache-control"), "private, no-store");
    assert_eq!(
        member.header("etag"),
        format!("\"{}\"", member.body["version"])
    );
    let stranger = stage.get(ANA, &page).await.ok(200);
    assert_eq!(stranger.body, after.body);
}

#[tokio::test]
async fn what_is_left_follows_every_sale() {
    let stage = Stage::new().await;
    let gig = stage.event("0.00", 2).await;
    let left = format!("/api/v1/events/{}/availability", gig.event);
    let shown = stage.get(GUEST, &left).await.ok(200);
    assert_eq!(shown.body["types"][0]["availability"], "few");
    let order = stage.reserve(ANA, &gig, 2).await.ok(201).id();
    let shown = stage.get(GUEST, &left).await.ok(200);
    assert_eq!(shown.body["types"][0]["availability"], "none");
    stage
        .checkout(ANA, &order, json!({"method": "free"}))
        .await
        .ok(200);
    let shown = stage.get(GUEST, &left).await.ok(200);
    assert_eq!(shown.body["status"], "sold_out");
}

#[tokio::test]
async fn drafts_and_private_events_are_on_no_page() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    let draft = stage.draft(&org, json!({})).await;
    let page = format!("/api/v1/events/{draft}");
    stage
        .get(GUEST, &page)
        .await
        .refused(404, "event_not_found");
    stage.kind(&draft, json!({})).await;
    stage.publish(&draft).await.ok(200);
    stage.get(GUEST, &page).await.ok(200);
    let body = json!({"visibility": "private", "accessKey": "open-sesame"});
    stage.patch(OLGA, &page, body).await.ok(200);
    stage
        .get(GUEST, &page)
        .await
        .refused(404, "event_not_found");
    let open = format!("{page}?accessKey=open-sesame");
    let opened = stage.get(GUEST, &open).await.ok(200);
    assert_eq!(opened.header("cache-control"), "private, no-store");
    stage
        .get(GUEST, &page)
        .await
        .refused(404, "event_not_found");
}

#[tokio::test]
async fn a_page_gets_old_within_a_second() {
    let stage = Stage::new().await;
    let gig = stage.event("0.00", 2).await;
    let page = format!("/api/v1/events/{}", gig.event);
    let shown = stage.get(GUEST, &page).await.ok(200);
    assert_eq!(shown.body["phase"], "upcoming");
    // Nothing is written here; the clock alone runs on to the concert.
    stage.advance((30 * 24 + 1) * 3_600 * SECOND);
    let shown = stage.get(GUEST, &page).await.ok(200);
    assert_eq!(shown.body["phase"], "live");
}
