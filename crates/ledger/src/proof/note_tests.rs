//! Notes against the letter of contract A9, and against each kind of damage.

use sha2::{Digest, Sha256};

use super::super::hash::{batch_root, chain, chain0, empty_root, leaf};
use super::*;

const LEDGER: &str = "0190f000-0000-7000-8000-000000000001";

fn body() -> CheckpointBody {
    let ledger_id: Uuid = LEDGER.parse().unwrap();
    let root_hash = batch_root(&[leaf(b"one"), leaf(b"two")]);
    CheckpointBody {
        ledger_id,
        tree_size: 2,
        root_hash,
        batch: 1,
        chain_hash: chain(&chain0(ledger_id), 1, 1, 2, &root_hash),
    }
}

fn signer(seed: u8) -> Signer {
    let name = CheckpointBody::origin(body().ledger_id);
    Signer::from_seed(&name, &[seed; 32]).unwrap()
}

/// INV-L23: text, key id and signature rebuilt here byte by byte, with the contract's words.
#[test]
fn a_note_has_the_contracts_bytes() {
    let signer = signer(7);
    let body = body();
    let note = SignedNote::sign(&body, &[&signer]).to_string();
    let (text, signature) = note.split_once("\n\n").unwrap();
    let root = BASE64.encode(body.root_hash.0);
    let chain = BASE64.encode(body.chain_hash.0);
    assert_eq!(
        text,
        format!("florin/ledger/{LEDGER}\n2\n{root}\nchain 1 {chain}")
    );
    let prefix = format!("— florin/ledger/{LEDGER} ");
    let encoded = signature.strip_prefix(&prefix).unwrap();
    let bytes = BASE64.decode(encoded.strip_suffix('\n').unwrap()).unwrap();

    let public = signer.verifier_key().public_key();
    let mut named = format!("florin/ledger/{LEDGER}\n\x01").into_bytes();
    named.extend_from_slice(&public);
    assert_eq!(bytes[..4], Sha256::digest(&named)[..4]);
    let key = ed25519_dalek::VerifyingKey::from_bytes(&public).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&bytes[4..]).unwrap();
    let signed = format!("{text}\n");
    assert!(key.verify_strict(signed.as_bytes(), &signature).is_ok());
}

/// The key of RFC 8032 §7.1 test 1 in verifier form, and its id.
#[test]
fn verifier_keys_round_trip_and_are_checked() {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
    let key = Signer::from_seed("example.org/log", &seed).unwrap();
    let key = key.verifier_key().clone();
    assert_eq!(
        hex::encode(key.public_key()),
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    );
    let text = key.to_string();
    assert_eq!(text.parse::<VerifierKey>().as_ref(), Ok(&key));
    for damaged in [
        text.replace("example", "exemple"),
        text.replace("+A", "+B"),
        text[..text.len() - 4].to_owned(),
        text.replacen('+', " ", 1),
        "name".to_owned(),
        format!("+{}", text.split_once('+').unwrap().1),
    ] {
        assert!(damaged.parse::<VerifierKey>().is_err(), "{damaged}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?}", signer(0xab));
    assert!(printed.contains("redacted"));
    assert!(!printed.contains("abababab") && !printed.contains("171, 171"));
}

#[test]
fn checkpoints_have_the_contracts_json() {
    let checkpoint = Checkpoint::sign(3, &body(), &[&signer(7)]);
    let json = serde_json::to_value(&checkpoint).unwrap();
    let members: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    let mut expected = [
        "number",
        "treeSize",
        "rootHash",
        "batch",
        "chainHash",
        "note",
    ];
    let mut found = members.clone();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(json["rootHash"], body().root_hash.to_string());
    assert_eq!(
        serde_json::from_value::<Checkpoint>(json).unwrap(),
        checkpoint
    );
    let keys = [signer(7).verifier_key().clone()];
    assert_eq!(checkpoint.verify(body().ledger_id, &keys), Ok(body()));
}

#[test]
fn a_checkpoint_that_says_other_things_than_its_note_is_refused() {
    let keys = [signer(7).verifier_key().clone()];
    let good = Checkpoint::sign(3, &body(), &[&signer(7)]);
    let verify = |change: &dyn Fn(&mut Checkpoint)| {
        let mut checkpoint = good.clone();
        change(&mut checkpoint);
        checkpoint.verify(body().ledger_id, &keys).unwrap_err()
    };
    let mismatch = NoteError::Mismatch;
    assert_eq!(verify(&|c| c.tree_size = 3), mismatch("treeSize"));
    assert_eq!(
        verify(&|c| c.root_hash = empty_root()),
        mismatch("rootHash")
    );
    assert_eq!(verify(&|c| c.batch = 2), mismatch("batch"));
    assert_eq!(
        verify(&|c| c.chain_hash = empty_root()),
        mismatch("chainHash")
    );
    let other = Uuid::from_u128(1);
    assert!(matches!(
        good.verify(other, &keys),
        Err(NoteError::OtherLedger { .. })
    ));
}

#[test]
fn keys_decide_which_signatures_count() {
    let note = SignedNote::sign(&body(), &[&signer(7), &signer(8)]);
    let note: SignedNote = note.to_string().parse().unwrap();
    let key = |seed| signer(seed).verifier_key().clone();
    assert_eq!(note.verify(&[key(7), key(8)]).unwrap().len(), 2);
    assert_eq!(note.verify(&[key(8), key(9)]).unwrap().len(), 1);
    assert!(matches!(
        note.verify(&[key(9)]),
        Err(NoteError::UnknownKeys { .. })
    ));
    let changed: SignedNote = note
        .to_string()
        .replacen("\n2\n", "\n3\n", 1)
        .parse()
        .unwrap();
    assert!(matches!(
        changed.verify(&[key(7)]),
        Err(NoteError::BadSignature(_))
    ));
}

#[test]
fn only_the_canonical_text_is_a_checkpoint() {
    let text = body().text();
    assert_eq!(CheckpointBody::parse(&text), Ok(body()));
    for (line, damaged) in [
        (1, text.replace("florin/", "other/")),
        (1, text.replace("0190f", "0190F")),
        (2, text.replace("\n2\n", "\n02\n")),
        (2, text.replace("\n2\n", "\n+2\n")),
        (2, text.replace("\n2\n", "\n-2\n")),
        (3, text.replacen("=\n", "\n", 1)),
        (4, text.replace("chain 1", "chain  1")),
        (4, text.replace("chain 1", "chain one")),
        (4, text.replace("chain", "Chain")),
        (5, text.trim_end().to_owned()),
        (6, format!("{text}more\n")),
    ] {
        let refused = CheckpointBody::parse(&damaged);
        let Err(NoteError::MalformedCheckpoint { line: found, .. }) = refused else {
            panic!("{damaged:?}: {refused:?}");
        };
        assert!(found == line || line > 4, "{damaged:?} named line {found}");
    }
}

#[test]
fn malformed_notes_are_refused() {
    let note = SignedNote::sign(&body(), &[&signer(7)]).to_string();
    let first = note.rfind("— ").unwrap();
    for damaged in [
        String::new(),
        note[..first].to_owned(),
        note.trim_end().to_owned(),
        note.replace('—', "-"),
        note.replace("\n\n", "\n"),
        note.replace("\n\n", "\n\n\n"),
        note.replacen("\n2\n", "\n2\r\n", 1),
        format!("{note}— name\n"),
        format!("{note}— na+me AAAAAAAA\n"),
        format!("{note}— name AAAA\n"),
        "x".repeat(MAX_NOTE_BYTES + 1),
        format!("{note}{}", "— name AAAAAAAA\n".repeat(MAX_SIGNATURES)),
    ] {
        let parsed =
            SignedNote::parse(&damaged).and_then(|note| CheckpointBody::parse(note.text()));
        assert!(parsed.is_err(), "{damaged:?}");
    }
}
