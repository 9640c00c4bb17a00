//! Checkpoints and proofs, checked with the outside half of the proof code.

use florin_ledger::proof::{
    Checkpoint, Hash, VerifierKey, hash, verify_consistency, verify_inclusion,
};
use serde_json::{Value, json};

use super::{ADMIN, SERVICE, codes, item, server};
use crate::support::Server;

const CHECKPOINTS: &str = "/api/v1/ledger/checkpoints";

async fn make(server: &Server, status: u16) -> Checkpoint {
    let reply = server.post(ADMIN, CHECKPOINTS, json!({})).await.ok(status);
    let number = &reply.body["number"];
    assert_eq!(reply.header("location"), format!("{CHECKPOINTS}/{number}"));
    serde_json::from_str(&reply.text).expect("a checkpoint")
}

fn hashes(value: &Value) -> Vec<Hash> {
    serde_json::from_value(value.clone()).expect("hashes in hex")
}

#[tokio::test]
async fn case_68_a_proof_waits_for_a_checkpoint() {
    let server = server().await;
    make(&server, 201).await;
    assert_eq!(
        codes(&server, vec![item("t1", "a", "b", "1")]).await,
        ["created"]
    );
    let path = "/api/v1/ledger/proofs/t1";
    let early = server.get(SERVICE, path).await;
    assert_eq!(early.code(), (409, "checkpoint_pending"));
    assert!(!early.header("retry-after").is_empty());
    make(&server, 201).await;
    make(&server, 200).await;
    let proof = server.get(SERVICE, path).await.ok(200);
    assert_eq!(
        proof.body["checkpoint"]["number"], 2,
        "the oldest that covers it"
    );
    let old = server.get(SERVICE, &format!("{path}?checkpoint=1")).await;
    assert_eq!(old.code(), (400, "validation_failed"));
    let none = server.get(SERVICE, &format!("{path}?checkpoint=9")).await;
    assert_eq!(none.code(), (404, "checkpoint_not_found"));
    let none = server.get(SERVICE, "/api/v1/ledger/proofs/t9").await;
    assert_eq!(none.code(), (404, "transfer_not_found"));
}

#[tokio::test]
async fn inv_l23_proofs_verify_against_signed_checkpoints() {
    let server = server().await;
    let items = (0..20)
        .map(|n| item(&format!("t{n}"), "a", "b", "1"))
        .collect();
    assert_eq!(codes(&server, items).await, ["created"; 20]);
    let first = make(&server, 201).await;
    assert_eq!(
        codes(&server, vec![item("u", "a", "b", "1")]).await,
        ["created"]
    );
    let second = make(&server, 201).await;
    let listed = server
        .get(SERVICE, &format!("{CHECKPOINTS}/keys"))
        .await
        .ok(200);
    let key: VerifierKey = listed.body["items"][0]["key"]
        .as_str()
        .expect("a key")
        .parse()
        .expect("a verifier key");
    let id = server.ledger.ledger_id();
    for checkpoint in [&first, &second] {
        checkpoint
            .verify(id, std::slice::from_ref(&key))
            .expect("the signature is good");
    }
    for n in [0, 7, 19] {
        let proof = server
            .get(SERVICE, &format!("/api/v1/ledger/proofs/t{n}"))
            .await
            .ok(200);
        let leaf = hash::leaf(proof.text_of("line").as_bytes());
        assert_eq!(hashes(&json!([proof.body["leafHash"]])), [leaf]);
        let index = proof.body["leafIndex"].as_u64().expect("a number");
        let path = hashes(&proof.body["auditPath"]);
        verify_inclusion(&leaf, index, first.tree_size, &path, &first.root_hash).expect("included");
        verify_inclusion(&leaf, index + 1, first.tree_size, &path, &first.root_hash)
            .expect_err("not at another place");
    }
    let path = format!("{CHECKPOINTS}/2/consistency?from=1");
    let proof = server.get(SERVICE, &path).await.ok(200);
    assert_eq!(proof.body["from"], first.tree_size);
    verify_consistency(
        first.tree_size,
        &first.root_hash,
        second.tree_size,
        &second.root_hash,
        &hashes(&proof.body["path"]),
    )
    .expect("one extends the other");
}

#[tokio::test]
async fn checkpoints_are_listed_newest_first() {
    let server = server().await;
    for n in 1..=3 {
        assert_eq!(
            codes(&server, vec![item(&format!("t{n}"), "a", "b", "1")]).await,
            ["created"]
        );
        make(&server, 201).await;
    }
    let numbers = |page: &Value| -> Vec<u64> {
        let items = page["items"].as_array().expect("items");
        items
            .iter()
            .filter_map(|item| item["number"].as_u64())
            .collect()
    };
    let page = server
        .get(SERVICE, &format!("{CHECKPOINTS}?limit=2"))
        .await
        .ok(200);
    assert_eq!(numbers(&page.body), [3, 2]);
    let cursor = page.text_of("nextCursor");
    let next = server
        .get(SERVICE, &format!("{CHECKPOINTS}?limit=2&cursor={cursor}"))
        .await
        .ok(200);
    assert_eq!(
        (numbers(&next.body), &next.body["nextCursor"]),
        (vec![1], &Value::Null)
    );
    let one = server
        .get(SERVICE, &format!("{CHECKPOINTS}/2"))
        .await
        .ok(200);
    assert_eq!(one.body, page.body["items"][1]);
    assert_eq!(
        server
            .get(SERVICE, &format!("{CHECKPOINTS}/9"))
            .await
            .code(),
        (404, "checkpoint_not_found")
    );
    let denied = server.post(SERVICE, CHECKPOINTS, json!({})).await;
    assert_eq!(denied.code(), (403, "forbidden"));
}
