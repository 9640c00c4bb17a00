//! `florin ticket scan` and `florin ticket verify`, without any server.

use std::path::{Path, PathBuf};
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use florin_base::Timestamp;
use florin_ledger::proof::Signer;
use florin_ticketing::model::bundle::{
    Bundle, BundleKey, BundleSignature, BundleTicket, BundleType,
};
use florin_ticketing::model::provenance::{
    Payload, Receipt, ReceiptEntry, TicketCheckpoint, commit, leaf,
};
use florin_ticketing::model::ticket_status::{TicketStatus, Transition};
use florin_ticketing::model::token::{Claims, TicketKey};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::server::program;

const HOUR: i64 = 3_600 * 1_000_000;

/// Exit code, stdout, stderr.
fn florin(args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = program().args(args).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        status.code().expect("not killed"),
        text(stdout),
        text(stderr),
    )
}

fn write(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("writes");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn code(key: &TicketKey, id: u128) -> String {
    key.token(&Claims {
        ticket_id: Uuid::from_u128(id),
        generation: 1,
        type_no: 1,
    })
}

fn bundle(key: &TicketKey) -> String {
    let bundle = Bundle {
        event_id: Uuid::from_u128(1),
        sequence: 1,
        since: None,
        issued_at: Timestamp(0),
        expires_at: Timestamp(24 * HOUR),
        keys: vec![BundleKey {
            kid: key.id().to_string(),
            public_key: hex::encode(key.public().to_bytes()),
            status: "active".to_owned(),
        }],
        types: vec![BundleType(
            1,
            "Floor".to_owned(),
            Timestamp(0),
            Timestamp(48 * HOUR),
            Some(vec![0]),
        )],
        reentry: false,
        tickets: vec![BundleTicket {
            id: Uuid::from_u128(2),
            type_no: 1,
            generation: 1,
            state: TicketStatus::Valid,
            used_at: None,
            name: None,
        }],
        revoked: Vec::new(),
    };
    let body = serde_json::to_string(&bundle).expect("serialises");
    let signature = BundleSignature::sign(key, body.as_bytes());
    format!("{{\"signature\":\"{signature}\",\"bundle\":{body}}}")
}

#[test]
fn a_gate_without_network_admits_once_and_says_why_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let key = TicketKey::from_seed(&[7; 32]);
    let file = write(&dir, "bundle.json", bundle(&key));
    let state = dir.path().join("state.json");
    let good = code(&key, 2);
    let scan = |token: &str, at: &str, more: &[&str]| {
        let mut args = vec!["ticket", "scan", "--bundle", text(&file), "--token", token];
        args.extend(["--at", at, "--state", text(&state), "--output", "json"]);
        args.extend(more);
        let (code, out, err) = florin(&args);
        let value: Value = serde_json::from_str(&out).unwrap_or(Value::Null);
        (
            code,
            value["reason"].as_str().unwrap_or_default().to_owned(),
            err,
        )
    };
    let noon = "1970-01-01T12:00:00Z";
    let area = scan(&good, noon, &["--area", "3"]);
    assert_eq!((area.0, area.1.as_str()), (1, "wrong_area"));
    let first = scan(&good, noon, &["--area", "0", "--gate", "north"]);
    assert_eq!((first.0, first.1.as_str()), (0, "ok"), "{}", first.2);
    let second = scan(&good, noon, &[]);
    assert_eq!((second.0, second.1.as_str()), (1, "already_used"));
    let stranger = scan(&code(&TicketKey::from_seed(&[8; 32]), 2), noon, &[]);
    assert_eq!((stranger.0, stranger.1.as_str()), (1, "bad_signature"));
    assert_eq!(scan("no ticket", noon, &[]).0, 2);

    // Row 55 and row 56: sold after the bundle, scanned 25 hours after it.
    let late = scan(&code(&key, 3), "1970-01-02T01:00:00Z", &[]);
    assert_eq!((late.0, late.1.as_str()), (0, "ok"));
    assert!(late.2.contains("warning: "), "{}", late.2);
    let kept: Value = serde_json::from_slice(&std::fs::read(&state).expect("reads")).expect("JSON");
    let scans = kept["scans"].as_array().expect("a list");
    assert_eq!(scans.len(), 6, "every scan is kept for the upload");
    assert_eq!(scans[5]["staleBundle"], true);

    let other = hex::encode(TicketKey::from_seed(&[8; 32]).public().to_bytes());
    assert_eq!(
        scan(&good, noon, &["--key", &other]).0,
        2,
        "signed by somebody else"
    );
    let changed = bundle(&key).replace("\"valid\"", "\"used\"");
    let changed = write(&dir, "changed.json", changed);
    let args = [
        "ticket",
        "scan",
        "--bundle",
        text(&changed),
        "--token",
        &good,
    ];
    assert_eq!(florin(&args).0, 2);
}

#[test]
fn a_receipt_is_valid_invalid_or_unreadable() {
    let dir = tempfile::tempdir().expect("a folder");
    let log_id = Uuid::from_u128(5);
    let signer = Signer::from_seed(&TicketCheckpoint::origin(log_id), &[3; 32]).expect("a name");
    let payload = Payload {
        at: 0,
        currency: "EUR",
        event_id: "e",
        generation: 1,
        holder: None,
        kind: Transition::Issued,
        price: "1.00",
        ticket_id: "t",
    }
    .canonical();
    let (bytes, hash) = leaf(&commit(&[1; 32], &payload), None);
    let checkpoint = TicketCheckpoint {
        log_id,
        size: 1,
        root: hash,
    };
    let receipt = Receipt {
        entries: vec![ReceiptEntry {
            index: 0,
            leaf: BASE64.encode(bytes),
            leaf_hash: hash,
            salt: Some(hex::encode([1; 32])),
            payload: serde_json::from_str(&payload).ok(),
            audit_path: Vec::new(),
        }],
        checkpoint: checkpoint.sign(&signer),
        log_key: signer.verifier_key().to_string(),
        anchors: Vec::new(),
    };
    let good = serde_json::to_string(&receipt).expect("serialises");
    let key = signer.verifier_key().to_string();
    let verify = |receipt: &str, more: &[&str]| {
        let file = write(&dir, "receipt.json", receipt);
        let mut args = vec!["ticket", "verify", "--receipt", text(&file), "--key", &key];
        args.extend(more);
        florin(&args)
    };
    let (code, out, _) = verify(&good, &[]);
    assert_eq!((code, out.lines().next()), (0, Some("valid")));
    assert!(out.contains("issued"), "{out}");
    let note = write(&dir, "checkpoint", &receipt.checkpoint);
    assert_eq!(verify(&good, &["--checkpoint", text(&note)]).0, 0);
    let (code, _, err) = verify(&good.replace("1.00", "2.00"), &[]);
    assert_eq!(code, 1);
    assert!(err.contains("not what was committed to"), "{err}");
    assert_eq!(verify("{}", &[]).0, 2);
    let other = write(&dir, "other", "no note");
    assert_eq!(verify(&good, &["--checkpoint", text(&other)]).0, 2);
}
