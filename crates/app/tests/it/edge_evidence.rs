//! Proofs, import and export: cases 68 and 74 of the contract's table, INV-L6, INV-L22 to
//! INV-L24.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, signature};
use serde_json::{Value, json};

use crate::server::launch::florin;
use crate::server::moves::{fresh, item, item_with};
use crate::server::{Launch, Reply, Rng, Server, Who, cases};

#[test]
fn edge_cases_of_evidence() {
    let server = Launch::new().start();
    cases!(server;
        case_68_a_proof_waits_for_a_checkpoint,
        case_74_importing_twice,
        inv_l24_an_export_imports_into_another_ledger,
        inv_l22_a_changed_export_is_found,
    );
    inv_l6_lines_stay_over_a_restart(server);
}

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
    pairs.map(|pair| byte(pair).expect("hex")).collect()
}

/// RFC 9162, section 2.1.3.2, written from the text of the standard.
fn root_of(leaf: Vec<u8>, index: u64, size: u64, path: &[Vec<u8>]) -> Vec<u8> {
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for step in path {
        assert_ne!(last, 0, "the path is too long");
        if node % 2 == 1 || node == last {
            hash = sha256(&[&[1], step, &hash]);
            while node % 2 == 0 && node != 0 {
                node /= 2;
                last /= 2;
            }
        } else {
            hash = sha256(&[&[1], &hash, step]);
        }
        node /= 2;
        last /= 2;
    }
    assert_eq!(last, 0, "the path is too short");
    hash
}

/// INV-L23: verifies a proof against its signed checkpoint with nothing of Florin's.
fn verify_proof(server: &Server, proof: &Value) {
    let line = proof["line"].as_str().expect("line");
    let leaf = sha256(&[&[0], line.as_bytes()]);
    assert_eq!(leaf, unhex(proof["leafHash"].as_str().expect("leafHash")));
    let path: Vec<Vec<u8>> = proof["auditPath"]
        .as_array()
        .expect("path")
        .iter()
        .map(|hash| unhex(hash.as_str().expect("hash")))
        .collect();
    let note = proof["checkpoint"]["note"].as_str().expect("note");
    let lines: Vec<&str> = note.split('\n').collect();
    let size: u64 = lines[1].parse().expect("size");
    let root = root_of(
        leaf,
        proof["leafIndex"].as_u64().expect("index"),
        size,
        &path,
    );
    assert_eq!(
        BASE64.encode(&root),
        lines[2],
        "the root of the signed note"
    );
    let (text, signatures) = note.split_once("\n\n").expect("a signed note");
    let keys = server
        .get(Who::Auditor, "/api/v1/ledger/checkpoints/keys")
        .ok(200);
    let signed = signatures
        .lines()
        .next()
        .expect("a signature")
        .strip_prefix("\u{2014} ")
        .expect("dash");
    let (name, signature) = signed.rsplit_once(' ').expect("name and signature");
    assert_eq!(name, lines[0]);
    let signature = BASE64.decode(signature).expect("base64");
    // A C2SP verifier key: name+id+base64(0x01 and the public key).
    let start = keys
        .text
        .find(&format!("{name}+"))
        .expect("the key is listed");
    let key = keys.text[start + name.len() + 1..]
        .split('"')
        .next()
        .expect("end");
    let key = BASE64
        .decode(key.split_once('+').expect("id").1)
        .expect("base64");
    let id = sha256(&[name.as_bytes(), b"\n", &key]);
    assert_eq!(signature[..4], id[..4]);
    let public = signature::UnparsedPublicKey::new(&signature::ED25519, &key[1..]);
    public
        .verify(format!("{text}\n").as_bytes(), &signature[4..])
        .expect("a good signature");
}

fn case_68_a_proof_waits_for_a_checkpoint(server: &Server) {
    let (source, a) = (server.source("BRL"), server.account("BRL", json!({})));
    let id = fresh("proof");
    server.single(item(&id, &source, &a, "1", "BRL")).ok(201);
    let prove = || server.get(Who::Auditor, &format!("/api/v1/ledger/proofs/{id}"));
    let early = prove();
    assert_eq!(early.code(), (409, "checkpoint_pending"), "{}", early.text);
    assert!(!early.header("retry-after").is_empty());
    let made = server
        .post(Who::Auditor, "/api/v1/ledger/checkpoints", json!({}))
        .ok(201);
    let proof = prove().ok(200);
    assert_eq!(proof.body["transferId"], id.as_str());
    assert_eq!(proof.body["checkpoint"]["number"], made.body["number"]);
    verify_proof(server, &proof.body);
    let again = server
        .post(Who::Auditor, "/api/v1/ledger/checkpoints", json!({}))
        .ok(200);
    assert_eq!(again.body["number"], made.body["number"], "no news");
    server
        .get(Who::Auditor, "/api/v1/ledger/proofs/nothing")
        .refused(404, "transfer_not_found");
    server
        .get(Who::Auditor, "/api/v1/ledger/checkpoints/999999")
        .refused(404, "checkpoint_not_found");
}

fn import(server: &Server, text: &str, query: &str) -> Vec<Value> {
    let call = server.call(Who::Admin, "POST", &format!("/api/v1/ledger/import{query}"));
    let reply: Reply = call
        .body(text.as_bytes().to_vec(), "application/x-ndjson")
        .send()
        .ok(200);
    reply.json_lines()
}

fn case_74_importing_twice(server: &Server) {
    let (cash, sales) = (fresh("cash"), fresh("sales"));
    let (one, two) = (fresh("i"), fresh("i"));
    let dated = |id: &str, at: &str| {
        let mut item = item_with(id, &cash, &sales, "250", "BRL", json!({"effectiveAt": at}));
        item["type"] = json!("transfer");
        item.to_string()
    };
    let lines = [
        json!({"type": "account", "id": cash, "asset": "BRL", "kind": "asset"}).to_string(),
        json!({"type": "account", "id": sales, "asset": "BRL", "kind": "income"}).to_string(),
        dated(&one, "1993-01-05T00:00:00Z"),
        dated(&two, "2026-01-05T00:00:00Z"),
    ];
    let file = lines.join("\n") + "\n";
    let codes = |results: &[Value]| -> Vec<String> {
        results
            .iter()
            .filter_map(|r| r["code"].as_str().map(str::to_owned))
            .collect()
    };
    let first = import(server, &file, "");
    assert_eq!(
        codes(&first),
        ["created"; 4],
        "a line dated before its account was made too: {first:?}"
    );
    assert_eq!(first[4]["summary"]["created"], 4);
    let again = import(server, &file, "");
    assert_eq!(codes(&again), ["exists"; 4]);
    assert_eq!(server.minor(&cash).0, "500");
    let then = format!("/api/v1/ledger/accounts/{cash}/balance?effectiveAt=2000-01-01T00:00:00Z");
    assert_eq!(
        server.get(Who::Service, &then).ok(200).text_of("balance"),
        "250"
    );
}

/// Balances of accounts at some effective times.
fn sample(server: &Server, accounts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for account in accounts {
        for at in [
            "2024-12-31T00:00:00Z",
            "2025-02-01T00:00:00Z",
            "2025-05-01T00:00:00Z",
            "2025-10-01T00:00:00Z",
        ] {
            let path = format!("/api/v1/ledger/accounts/{account}/balance?effectiveAt={at}");
            found.push(
                server
                    .get(Who::Service, &path)
                    .ok(200)
                    .text_of("balance")
                    .to_owned(),
            );
        }
        found.push(server.minor(account).0);
    }
    found
}

fn inv_l24_an_export_imports_into_another_ledger(server: &Server) {
    let source = server.source("BRL");
    let accounts: Vec<String> = (0..3)
        .map(|_| server.account("BRL", json!({"mayOverdraw": true})))
        .collect();
    let mut rng = Rng::new(24);
    for _ in 0..30 {
        let month = 1 + rng.below(9);
        let dated = json!({"effectiveAt": format!("2025-0{month}-15T00:00:00Z")});
        let amount = (1 + rng.below(500)).to_string();
        server
            .single(item_with(
                &fresh("t"),
                &source,
                rng.pick::<String>(&accounts),
                &amount,
                "BRL",
                dated,
            ))
            .ok(201);
    }
    let (payer, payee) = (server.funded("BRL", "100.00"), server.empty("BRL"));
    server.hold(&payer, "10.00").ok(201);
    server.transfer(&payer, &payee, "25.00").ok(200);
    let export = server
        .get(Who::Auditor, "/api/v1/ledger/export?format=ndjson")
        .ok(200);
    assert_eq!(
        export.json_lines().len() as u64,
        server.last_seq(),
        "every record"
    );
    let other = Launch::new().start();
    let results = import(&other, &export.text, "");
    let summary = &results[results.len() - 1]["summary"];
    assert_eq!(
        summary["refused"],
        0,
        "{:?}",
        results
            .iter()
            .filter(|r| { !matches!(r["code"].as_str(), Some("created" | "exists")) })
            .take(5)
            .collect::<Vec<_>>()
    );
    assert_eq!(sample(&other, &accounts), sample(server, &accounts));
    for wallet in [&payer, &payee] {
        assert_eq!(other.figures(wallet), server.figures(wallet));
    }
    other.books_are_balanced();
}

fn inv_l22_a_changed_export_is_found(server: &Server) {
    let made = server.post(Who::Auditor, "/api/v1/ledger/checkpoints", json!({}));
    let note = made.text_of("note").to_owned();
    let export = server
        .get(Who::Auditor, "/api/v1/ledger/export?format=ndjson")
        .ok(200)
        .text;
    let size = usize::try_from(made.body["treeSize"].as_u64().expect("size")).expect("fits");
    let lines: Vec<&str> = export.lines().collect();
    let dir = tempfile::tempdir().expect("temporary folder");
    let (file, checkpoint) = (
        dir.path().join("export.ndjson"),
        dir.path().join("checkpoint"),
    );
    std::fs::write(&checkpoint, note).expect("written");
    let verify = |lines: &[String]| {
        std::fs::write(&file, lines.join("\n") + "\n").expect("written");
        let (file, checkpoint) = (
            file.to_str().expect("plain"),
            checkpoint.to_str().expect("plain"),
        );
        let data = server.data_dir().to_str().expect("plain");
        florin(&[
            "ledger",
            "verify",
            "--export",
            file,
            "--checkpoint",
            checkpoint,
            "--data-dir",
            data,
        ])
    };
    let whole: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let (code, out, err) = verify(&whole);
    assert_eq!(code, Some(0), "{out} {err}");
    let seed = 0x22;
    let mut rng = Rng::new(seed);
    for round in 0..6 {
        let mut changed = whole.clone();
        let at = usize::try_from(rng.below(size as u64 - 1)).expect("fits");
        match round % 4 {
            0 => changed[at] = changed[at].replacen("\"v\":1", "\"v\":2", 1),
            1 => drop(changed.remove(at)),
            2 => changed.swap(at, at + 1),
            _ => changed.insert(at, changed[at].clone()),
        }
        let (code, out, err) = verify(&changed);
        assert_eq!(
            code,
            Some(1),
            "seed {seed}, round {round}, line {at}: {out} {err}"
        );
    }
}

fn inv_l6_lines_stay_over_a_restart(server: Server) {
    let read = |server: &Server| {
        server
            .get(Who::Auditor, "/api/v1/ledger/changes?limit=100000")
            .ok(200)
            .text
    };
    let before = read(&server);
    assert_eq!(read(&server), before);
    let (status, home) = server.stop();
    assert!(status.success(), "{status}");
    let home = home.expect("its own folder");
    let again = Launch::new().dir(home.path()).start();
    let after = read(&again);
    assert!(after.starts_with(&before), "the same bytes for ever");
    again.books_are_balanced();
}
