//! Scan bundles: what the server signs, a scanner without network reads (contract D4).

use florin_base::Timestamp;
use florin_ticketing::model::bundle::{Bundle, BundleSignature};
use florin_ticketing::model::offline::{Memory, Scanner};
use florin_ticketing::model::scan::{Direction, Reason};
use florin_ticketing::tickets::{self, Death};

use super::{code, key, open_doors, scan, sell};
use crate::stage::{ANA, Gig, OLGA, Stage};

/// The file that a scanner keeps: body and signature as the server sent them.
async fn file(stage: &Stage, gig: &Gig, query: &str) -> Vec<u8> {
    let path = format!("/api/v1/events/{}/scan-bundle{query}", gig.event);
    let reply = stage.get(OLGA, &path).await.ok(200);
    let signature = reply.header("florin-signature");
    assert!(BundleSignature::parse(signature).is_some(), "{signature}");
    format!(
        "{{\"signature\":\"{signature}\",\"bundle\":{}}}",
        reply.text
    )
    .into_bytes()
}

async fn public_key(stage: &Stage, gig: &Gig) -> florin_ticketing::model::token::PublicKey {
    let path = format!("/api/v1/events/{}/keys", gig.event);
    let reply = stage.get("", &path).await.ok(200);
    let text = reply.items()[0]["publicKey"].as_str().unwrap().to_owned();
    florin_ticketing::model::token::PublicKey::from_hex(&text).unwrap()
}

#[tokio::test]
async fn a_scanner_judges_by_the_bundle_as_the_server_does() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 20).await;
    let sold = sell(&stage, &gig, "ana", 5).await;
    let key = key(&stage, &gig).await;
    open_doors(&stage);
    let room = &stage.room;
    let mut tx = room.store.begin_event(&gig.event).await.unwrap();
    let dead = [sold[1].id.clone()];
    tickets::kill(room, &mut tx, &dead, Death::Refunded, room.now())
        .await
        .unwrap();
    tickets::reissue(room, &mut tx, &sold[2].id, room.now())
        .await
        .unwrap();
    tickets::suspend(room, &mut tx, &[sold[3].id.clone()], room.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    let body = scan(&code(&key, &sold[4].id, 1), 1, &stage.at(0));
    stage.post(OLGA, &path, body).await.ok(200);

    let pinned = public_key(&stage, &gig).await;
    let bundle = Bundle::open(&file(&stage, &gig, "").await, Some(&pinned)).unwrap();
    assert_eq!(
        bundle.expires_at.0 - bundle.issued_at.0,
        24 * 3_600 * 1_000_000
    );
    let scanner = Scanner::new(&bundle);
    let now = room.now();
    let ask = |n: usize, generation| {
        let text = code(&key, &sold[n].id, generation);
        scanner.judge(&Memory::new(), &text, now, None, Direction::In)
    };
    assert_eq!(ask(0, 1).reason, Reason::Ok);
    assert_eq!(ask(1, 1).reason, Reason::Refunded);
    assert_eq!(ask(2, 1).reason, Reason::Revoked);
    assert_eq!(ask(2, 2).reason, Reason::Ok);
    assert_eq!(ask(3, 1).reason, Reason::Suspended);
    let used = ask(4, 1);
    assert_eq!(
        (used.reason, used.first.unwrap().at),
        (Reason::AlreadyUsed, Timestamp(now))
    );

    let later = sell(&stage, &gig, "bob", 1).await.remove(0);
    let text = code(&key, &later.id, 1);
    let fresh = scanner.judge(&Memory::new(), &text, now, None, Direction::In);
    assert_eq!(fresh.reason, Reason::Ok, "row 55: sold after the bundle");
}

#[tokio::test]
async fn a_difference_holds_what_changed_since_and_names_only_on_request() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 20).await;
    let sold = sell(&stage, &gig, "ana", 3).await;
    open_doors(&stage);
    let whole = Bundle::open(&file(&stage, &gig, "").await, None).unwrap();
    assert_eq!((whole.tickets.len(), whole.revoked.len()), (3, 0));
    assert!(whole.tickets.iter().all(|ticket| ticket.name.is_none()));
    let named = Bundle::open(&file(&stage, &gig, "?names=true").await, None).unwrap();
    assert_eq!(named.tickets[0].name, Some(Some("Ana A.".to_owned())));

    let since = format!("?since={}", whole.sequence);
    let nothing = Bundle::open(&file(&stage, &gig, &since).await, None).unwrap();
    assert_eq!(
        (nothing.tickets.len(), nothing.sequence),
        (0, whole.sequence)
    );
    let room = &stage.room;
    let mut tx = room.store.begin_event(&gig.event).await.unwrap();
    let dead = [sold[1].id.clone()];
    tickets::kill(room, &mut tx, &dead, Death::Cancelled, room.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let change = Bundle::open(&file(&stage, &gig, &since).await, None).unwrap();
    assert_eq!((change.tickets.len(), change.revoked.len()), (0, 1));
    assert_eq!(change.revoked[0].2, "cancelled");
    assert!(change.sequence > whole.sequence);
    let mut scanner = Scanner::new(&whole);
    scanner.update(&change);
    let text = code(&key(&stage, &gig).await, &sold[1].id, 1);
    let answer = scanner.judge(&Memory::new(), &text, room.now(), None, Direction::In);
    assert_eq!(answer.reason, Reason::Cancelled);

    let path = format!("/api/v1/events/{}/scan-bundle", gig.event);
    stage.get(ANA, &path).await.refused(404, "event_not_found");
    let zipped = stage
        .call(OLGA, "GET", &path)
        .header("accept-encoding", "br, gzip;q=0.9");
    let zipped = zipped.send().await.ok(200);
    assert_eq!(zipped.header("content-encoding"), "gzip");
    let mut body = String::new();
    let mut reader = flate2::read::GzDecoder::new(zipped.bytes.as_slice());
    std::io::Read::read_to_string(&mut reader, &mut body).unwrap();
    let signature = BundleSignature::parse(zipped.header("florin-signature")).unwrap();
    assert!(signature.verify(&public_key(&stage, &gig).await, body.as_bytes()));
}
