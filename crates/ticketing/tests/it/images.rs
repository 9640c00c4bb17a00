//! Images of events: signed upload, checked before they are shown (contract A5).

use serde_json::json;

use crate::events::event_path;
use crate::stage::{GUEST, OLGA, Stage};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0123456789";

/// Begins an image of so many bytes; answers its id and the URL without the host.
async fn begin(stage: &Stage, event: &str, size: usize) -> (String, String) {
    let body = json!({"contentType": "image/png", "sizeBytes": size, "altText": "A stage"});
    let path = format!("{}/images", event_path(event));
    let reply = stage.post(OLGA, &path, body).await.ok(201);
    let url = reply.body["upload"]["url"]
        .as_str()
        .expect("a URL")
        .to_owned();
    assert_eq!(reply.body["upload"]["headers"]["content-type"], "image/png");
    let place = url.find("/api/").expect("a path");
    (reply.id(), url[place..].to_owned())
}

#[tokio::test]
async fn an_image_is_checked_after_its_upload() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 5).await;
    let (id, url) = begin(&stage, &gig.event, PNG.len()).await;
    let complete = |id: &str| {
        let path = format!("{}/images/{id}/complete", event_path(&gig.event));
        let stage = &stage;
        async move { stage.post(OLGA, &path, json!({})).await }
    };
    let put = |url: &str, kind: &'static str, bytes: &[u8]| {
        stage.call(GUEST, "PUT", url).bytes(kind, bytes).send()
    };
    put(&url.replace("signature=", "signature=0"), "image/png", PNG)
        .await
        .refused(403, "forbidden");
    put(&url, "image/gif", PNG).await.refused(400, "image_type");
    put(&url, "image/png", PNG).await.ok(200);
    let ready = complete(&id).await.ok(200);
    assert_eq!(ready.text_of("status"), "ready");
    let media = format!("/api/v1/media/{id}");
    let served = stage.get(GUEST, &media).await.ok(200);
    assert_eq!(served.bytes, PNG);
    assert_eq!(served.header("content-type"), "image/png");
    assert_eq!(served.header("x-content-type-options"), "nosniff");
    assert!(served.header("cache-control").contains("immutable"));
    // The URL writes nothing any more.
    put(&url, "image/png", b"\x89PNG\r\n\x1a\nevil")
        .await
        .refused(403, "forbidden");
    let order = json!({"imageIds": [id]});
    let shown = stage
        .patch(OLGA, &event_path(&gig.event), order)
        .await
        .ok(200);
    assert_eq!(shown.body["images"][0]["altText"], "A stage");

    // Row 58: other bytes than declared, other sizes, none at all.
    let (html, url) = begin(&stage, &gig.event, 6).await;
    put(&url, "image/png", b"<html>").await.ok(200);
    assert_eq!(
        complete(&html).await.ok(200).text_of("reason"),
        "image_type"
    );
    let (short, url) = begin(&stage, &gig.event, 1_000_000).await;
    put(&url, "image/png", PNG).await.ok(200);
    assert_eq!(
        complete(&short).await.ok(200).text_of("reason"),
        "image_size"
    );
    let (missing, _) = begin(&stage, &gig.event, 10).await;
    assert_eq!(
        complete(&missing).await.ok(200).text_of("reason"),
        "image_missing"
    );
    let (_, url) = begin(&stage, &gig.event, 1_000_000).await;
    put(&url, "image/png", &vec![0; 11 << 20])
        .await
        .refused(413, "body_too_large");
    let svg = json!({"contentType": "image/svg+xml", "sizeBytes": 10, "altText": ""});
    let path = format!("{}/images", event_path(&gig.event));
    stage
        .post(OLGA, &path, svg)
        .await
        .refused(400, "image_type");
    stage
        .get(GUEST, &format!("/api/v1/media/{html}"))
        .await
        .refused(404, "image_not_found");
}
