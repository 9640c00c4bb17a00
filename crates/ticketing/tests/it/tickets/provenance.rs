//! The public log and a holder's proof (contract D6).

use florin_ledger::proof::{Hash, VerifierKey, verify_consistency, verify_inclusion};
use florin_ticketing::model::provenance::{Receipt, TicketCheckpoint, prove};
use florin_ticketing::model::ticket_status::{TicketStatus, Transition};
use florin_ticketing::provenance::log::checkpoint;
use florin_ticketing::tickets::{self, Death};
use serde_json::{Value, json};

use super::{row, sell};
use crate::stage::{ANA, BOB, GUEST, OLGA, Reply, Stage};

async fn log_key(stage: &Stage) -> VerifierKey {
    let reply = stage.get(GUEST, "/api/v1/provenance/key").await.ok(200);
    reply.text_of("logKey").parse().unwrap()
}

fn receipt(reply: &Reply) -> Receipt {
    serde_json::from_value(reply.body.clone()).unwrap()
}

fn hashes(value: &Value) -> Vec<Hash> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Row 64: pending until a checkpoint covers it.
#[tokio::test]
async fn row_64_a_proof_waits_for_the_next_checkpoint() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let path = format!("/api/v1/tickets/{}/proof", ticket.id);
    stage
        .get(GUEST, "/api/v1/provenance/checkpoint")
        .await
        .refused(404, "checkpoint_not_found");
    let early = stage
        .get(ANA, &path)
        .await
        .refused(409, "checkpoint_pending");
    assert!(!early.header("retry-after").is_empty());
    assert_eq!(checkpoint(&stage.room).await.unwrap(), Some(1));
    assert_eq!(checkpoint(&stage.room).await.unwrap(), None, "nothing new");
    let reply = stage.get(ANA, &path).await.ok(200);
    let proven = prove(&receipt(&reply), &log_key(&stage).await, None).unwrap();
    assert_eq!(proven.ticket_id.as_deref(), Some(ticket.id.as_str()));
    assert_eq!(proven.status, Some(TicketStatus::Valid));
    let payload = &reply.body["entries"][0]["payload"];
    assert_eq!(
        (&payload["holder"], &payload["price"]),
        (&json!("ana@example.com"), &json!("45.00"))
    );
    stage.get(BOB, &path).await.refused(404, "ticket_not_found");
    let staff = stage.get(OLGA, &path).await.ok(200);
    assert!(
        staff.body["entries"][0]["payload"].is_null(),
        "nobody else sees what is inside"
    );
    assert!(prove(&receipt(&staff), &log_key(&stage).await, None).is_ok());
}

/// INV-T15: one leaf per transition, consistent checkpoints, no `prev` twice.
#[tokio::test]
async fn inv_t15_the_log_only_grows_and_no_ticket_forks() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 700).await;
    let room = &stage.room;
    let mut sold = Vec::new();
    let mut sizes = Vec::new();
    for round in 0..7 {
        sold.extend(sell(&stage, &gig, "ana", 100).await);
        let mut tx = room.store.begin_event(&gig.event).await.unwrap();
        let some: Vec<String> = sold[round * 13..][..9]
            .iter()
            .map(|t| t.id.clone())
            .collect();
        tickets::suspend(room, &mut tx, &some, room.now())
            .await
            .unwrap();
        tickets::restore(room, &mut tx, &some[..5], room.now())
            .await
            .unwrap();
        tickets::kill(room, &mut tx, &some[..3], Death::Refunded, room.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        sizes.push(checkpoint(room).await.unwrap().unwrap());
    }
    assert_eq!(
        sizes.last(),
        Some(&(7 * (100 + 9 + 5 + 3))),
        "one leaf per transition"
    );
    let key = log_key(&stage).await;
    let mut roots = Vec::new();
    for size in &sizes {
        let path = format!("/api/v1/provenance/checkpoints/{size}");
        let reply = stage.get(GUEST, &path).await.ok(200);
        let note = TicketCheckpoint::open(&reply.text_of("note"), &key).unwrap();
        assert_eq!(note.size, *size);
        roots.push((*size, note.root));
    }
    for (from, old) in &roots {
        for (to, new) in roots.iter().filter(|(to, _)| to >= from) {
            let path = format!("/api/v1/provenance/consistency?from={from}&to={to}");
            let reply = stage.get(GUEST, &path).await.ok(200);
            let path = hashes(&reply.body["path"]);
            verify_consistency(*from, old, *to, new, &path).unwrap();
        }
    }
    let (size, root) = *roots.last().unwrap();
    let mut prevs = std::collections::BTreeSet::new();
    let mut from = 0;
    loop {
        let path = format!("/api/v1/provenance/leaves?from={from}&limit=500");
        let reply = stage.get(GUEST, &path).await.ok(200);
        for item in reply.items() {
            let index = item["index"].as_u64().unwrap();
            let leaf: Hash = item["leafHash"].as_str().unwrap().parse().unwrap();
            if index % 97 == 0 {
                let path = format!("/api/v1/provenance/inclusion?index={index}&size={size}");
                let proof = stage.get(GUEST, &path).await.ok(200);
                let path = hashes(&proof.body["auditPath"]);
                verify_inclusion(&leaf, index, size, &path, &root).unwrap();
            }
            use base64::Engine as _;
            let text = item["leaf"].as_str().unwrap();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap();
            let leaf: Value = serde_json::from_slice(&bytes).unwrap();
            if let Some(prev) = leaf["prev"].as_str() {
                assert!(prevs.insert(prev.to_owned()), "a fork at {index}");
            }
        }
        match reply.body["nextFrom"].as_u64() {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(prevs.len() as u64, size - 700);
    let too_far = format!("/api/v1/provenance/inclusion?index=0&size={}", size + 1);
    stage
        .get(GUEST, &too_far)
        .await
        .refused(400, "validation_failed");
}

/// The new owner opens his own leaves only; the chain is whole for him too.
#[tokio::test]
async fn a_transfer_hides_what_was_before_it() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let path = format!("/api/v1/tickets/{}/transfers", ticket.id);
    let body = json!({"recipientEmail": "bob@example.com"});
    let token = stage.post(ANA, &path, body).await.ok(201).text_of("token");
    let body = json!({"name": "Bob", "email": "bob@example.com"});
    let accept = format!("/api/v1/transfers/{token}/accept");
    stage.post(BOB, &accept, body).await.ok(200);
    checkpoint(&stage.room).await.unwrap();
    let path = format!("/api/v1/tickets/{}/proof", ticket.id);
    let reply = stage.get(BOB, &path).await.ok(200);
    assert!(reply.body["entries"][0]["salt"].is_null());
    assert_eq!(
        reply.body["entries"][1]["payload"]["holder"],
        "bob@example.com"
    );
    let proven = prove(&receipt(&reply), &log_key(&stage).await, None).unwrap();
    assert_eq!(proven.kinds, [None, Some(Transition::Transferred)]);
    stage.get(ANA, &path).await.refused(404, "ticket_not_found");
}

/// Row 65, the log's part: the person is gone, the chain is as provable as before.
#[tokio::test]
async fn row_65_an_erased_holder_leaves_a_consistent_log() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 10).await;
    let ticket = sell(&stage, &gig, "ana", 1).await.remove(0);
    let person = row(&stage, &ticket.id).await.holder_person;
    checkpoint(&stage.room).await.unwrap();
    let text =
        "UPDATE tk_people SET sealed_key = NULL, lookup = NULL, erased_at = $2 WHERE id = $1";
    let erase = florin_platform::sql::query(text)
        .bind(&person)
        .bind(stage.room.now());
    stage.room.store.db.execute(erase).await.unwrap();
    let room = &stage.room;
    let mut tx = room.store.begin_event(&gig.event).await.unwrap();
    let ids = [ticket.id.clone()];
    tickets::kill(room, &mut tx, &ids, Death::Cancelled, room.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    checkpoint(room).await.unwrap();
    let one = format!("/api/v1/tickets/{}", ticket.id);
    let shown = stage.get(ANA, &one).await.ok(200);
    assert_eq!(
        shown.body["holder"],
        json!({"name": null, "email": null, "erased": true})
    );
    let reply = stage.get(ANA, &format!("{one}/proof")).await.ok(200);
    assert_eq!(reply.body["entries"].as_array().unwrap().len(), 2);
    assert!(reply.body["entries"][0]["payload"].is_null());
    assert!(prove(&receipt(&reply), &log_key(&stage).await, None).is_ok());
}
