//! The proof that a transfer is in the ledger, checked here step by step.
//!
//! **Boundary.** Pure: from the API's answer and its published keys to steps that hold or not.
//! Written from contract A9, RFC 9162 §2.1.3.2 and C2SP signed-note; shares no code with the
//! ledger, so that a mistake there is not repeated here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, signature};
use serde_json::Value;

use crate::api::{items, number, text};

/// First byte of what is hashed for a line, and for an inner node.
const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;
/// Number of Ed25519 in keys of signed notes.
const ED25519: u8 = 0x01;
/// Bytes before the signature.
const KEY_ID: usize = 4;

/// A step of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// It holds.
    pub holds: bool,
    /// What was checked, for people.
    pub what: String,
    /// What came out.
    pub found: String,
}

type Hash = [u8; 32];

fn step(holds: bool, what: &str, found: impl Into<String>) -> Step {
    Step {
        holds,
        what: what.to_owned(),
        found: found.into(),
    }
}

/// Checks a proof. `keys` is the answer of `/checkpoints/keys`, `transfer` that of the transfer.
pub fn check(proof: &Value, keys: &Value, transfer: &Value) -> Vec<Step> {
    let line = text(proof, "line");
    let leaf = leaf_of(line);
    let size = number(proof, "checkpoint.treeSize");
    let path: Option<Vec<Hash>> = items(proof, "auditPath").iter().map(hash_of).collect();
    let root = path.and_then(|path| climb(leaf, number(proof, "leafIndex"), size, &path));
    let claimed = text(proof, "checkpoint.rootHash");
    let root_text = root.map(hex::encode).unwrap_or_default();
    let note = text(proof, "checkpoint.note");
    vec![
        step(
            speaks_of(line, transfer),
            "The line of the feed speaks of this transfer",
            format!("record {}", number(proof, "seq")),
        ),
        step(
            hex::encode(leaf) == text(proof, "leafHash"),
            "The line has the leaf's hash (SHA-256 of 0x00 and its bytes)",
            hex::encode(leaf),
        ),
        step(
            !root_text.is_empty() && root_text == claimed,
            "The path leads from the leaf to the checkpoint's root",
            format!("{} hashes → {root_text}", items(proof, "auditPath").len()),
        ),
        signed_root(note, size, root),
        signed_by(note, keys),
    ]
}

fn leaf_of(line: &str) -> Hash {
    let mut bytes = vec![LEAF];
    bytes.extend_from_slice(line.as_bytes());
    sha256(&bytes)
}

fn sha256(bytes: &[u8]) -> Hash {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = vec![NODE];
    bytes.extend_from_slice(left);
    bytes.extend_from_slice(right);
    sha256(&bytes)
}

fn hash_of(value: &Value) -> Option<Hash> {
    let bytes = hex::decode(value.as_str()?).ok()?;
    bytes.try_into().ok()
}

/// The root to which a path leads: at each level the sibling stands left of a right child and of
/// the last node of an odd row, right of a left child. `None` when the path has another length.
fn climb(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, leaf);
    let mut siblings = path.iter();
    while last > 0 {
        // A last node without a sibling moves up as it is.
        if place.is_multiple_of(2) && place == last {
            (place, last) = (place / 2, last / 2);
            continue;
        }
        let sibling = siblings.next()?;
        hash = match place % 2 {
            0 => node(&hash, sibling),
            _ => node(sibling, &hash),
        };
        (place, last) = (place / 2, last / 2);
    }
    siblings.next().is_none().then_some(hash)
}

/// The members that matter are the same in the line that was hashed and in what the page shows.
fn speaks_of(line: &str, transfer: &Value) -> bool {
    let Ok(record) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    let data = &record["data"];
    let same = |member: &str| data[member] == transfer[member];
    let expired = text(&record, "type") == "transfer.expired";
    number(&record, "seq") == number(transfer, "seq")
        && same("amountMinor")
        && same("debitAccountId")
        && same("creditAccountId")
        && (expired || same("id"))
}

fn parts(note: &str) -> Option<(&str, &str)> {
    let end = note.find("\n\n")?;
    Some((&note[..=end], &note[end + 2..]))
}

fn signed_root(note: &str, size: u64, root: Option<Hash>) -> Step {
    let what = "The signed checkpoint states this size and this root";
    let Some((signed, _)) = parts(note) else {
        return step(false, what, "the note cannot be read");
    };
    let mut lines = signed.lines();
    let origin = lines.next().unwrap_or_default();
    let stated_size = lines.next().and_then(|line| line.parse::<u64>().ok());
    let stated_root = lines.next().and_then(|line| BASE64.decode(line).ok());
    let same = stated_size == Some(size)
        && root.is_some_and(|root| stated_root.as_deref() == Some(&root[..]));
    step(same, what, format!("{origin}, {size} records"))
}

fn signed_by(note: &str, keys: &Value) -> Step {
    let what = "A published key of this ledger has signed the checkpoint (Ed25519)";
    let Some((signed, signatures)) = parts(note) else {
        return step(false, what, "the note cannot be read");
    };
    for line in signatures.lines() {
        let Some((name, blob)) = line
            .strip_prefix("— ")
            .and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let Some(blob) = BASE64.decode(blob).ok().filter(|blob| blob.len() > KEY_ID) else {
            continue;
        };
        for key in items(keys, "items") {
            let Some((known, id, public)) = key_of(text(key, "key")) else {
                continue;
            };
            if known != name || id[..] != blob[..KEY_ID] {
                continue;
            }
            let verifier = signature::UnparsedPublicKey::new(&signature::ED25519, &public);
            let good = verifier.verify(signed.as_bytes(), &blob[KEY_ID..]).is_ok();
            return step(good, what, name);
        }
    }
    step(false, what, "no published key has signed it")
}

/// `name+id+base64(algorithm, public key)`; the id is the beginning of a hash over the rest.
fn key_of(text: &str) -> Option<(&str, [u8; KEY_ID], Vec<u8>)> {
    let mut members = text.splitn(3, '+');
    let (name, id, blob) = (members.next()?, members.next()?, members.next()?);
    let blob = BASE64.decode(blob).ok()?;
    let (algorithm, public) = blob.split_first()?;
    let mut named = name.as_bytes().to_vec();
    named.push(b'\n');
    named.extend_from_slice(&blob);
    let hash = sha256(&named);
    let expected: [u8; KEY_ID] = hash[..KEY_ID].try_into().ok()?;
    let same = *algorithm == ED25519 && hex::encode(expected) == id;
    same.then(|| (name, expected, public.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    /// The root over leaves as RFC 6962 defines it, by its recursion.
    fn tree(leaves: &[Hash]) -> Hash {
        match leaves {
            [only] => *only,
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                node(&tree(&leaves[..half]), &tree(&leaves[half..]))
            }
        }
    }

    fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        match index < half {
            true => [path(left, index), vec![tree(right)]].concat(),
            false => [path(right, index - half), vec![tree(left)]].concat(),
        }
    }

    #[test]
    fn every_leaf_of_small_trees_climbs_to_its_root() {
        for size in 1..=33_usize {
            let leaves: Vec<Hash> = (0..size).map(|n| leaf_of(&n.to_string())).collect();
            let root = tree(&leaves);
            for index in 0..size {
                let path = path(&leaves, index);
                let found = climb(leaves[index], index as u64, size as u64, &path);
                assert_eq!(found, Some(root), "{index} of {size}");
                let long = [path.clone(), vec![root]].concat();
                assert_eq!(climb(leaves[index], index as u64, size as u64, &long), None);
                let other = (index + 1) % size;
                let wrong = climb(leaves[other], index as u64, size as u64, &path);
                assert!(size == 1 || wrong != Some(root), "{index} of {size}");
            }
        }
    }

    fn proof() -> (Value, Value, Value) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("32 bytes");
        let line = r#"{"data":{"amountMinor":"5","creditAccountId":"c","debitAccountId":"d","id":"t1"},"seq":2,"type":"transfer"}"#;
        let leaves = [leaf_of("first"), leaf_of(line), leaf_of("third")];
        let root = tree(&leaves);
        let signed = format!("florin/ledger/x\n3\n{}\nchain 1 x\n", BASE64.encode(root));
        let mut blob = vec![ED25519];
        blob.extend_from_slice(pair.public_key().as_ref());
        let mut named = b"demo\n".to_vec();
        named.extend_from_slice(&blob);
        let id = &sha256(&named)[..KEY_ID];
        let mut signature = id.to_vec();
        signature.extend_from_slice(pair.sign(signed.as_bytes()).as_ref());
        let note = format!("{signed}\n— demo {}\n", BASE64.encode(signature));
        let key = format!("demo+{}+{}", hex::encode(id), BASE64.encode(blob));
        let path: Vec<String> = path(&leaves, 1).iter().map(hex::encode).collect();
        let proof = json!({
            "line": line, "seq": 2, "leafIndex": 1, "leafHash": hex::encode(leaves[1]),
            "auditPath": path,
            "checkpoint": {"treeSize": 3, "rootHash": hex::encode(root), "note": note},
        });
        let transfer = json!({"id": "t1", "seq": 2, "amountMinor": "5", "debitAccountId": "d", "creditAccountId": "c"});
        (proof, json!({"items": [{"key": key}]}), transfer)
    }

    fn held(steps: &[Step]) -> Vec<bool> {
        steps.iter().map(|step| step.holds).collect()
    }

    #[test]
    fn a_whole_proof_holds_and_each_change_is_found() {
        let (whole, keys, transfer) = proof();
        assert_eq!(held(&check(&whole, &keys, &transfer)), [true; 5]);

        let mut other = transfer.clone();
        other["amountMinor"] = json!("6");
        assert!(!check(&whole, &keys, &other)[0].holds);

        let mut line = whole.clone();
        line["line"] = json!(text(&whole, "line").replace("\"5\"", "\"6\""));
        let steps = check(&line, &keys, &transfer);
        assert!(!steps[0].holds && !steps[1].holds && !steps[2].holds);

        let mut root = whole.clone();
        root["checkpoint"]["rootHash"] = json!(hex::encode([0; 32]));
        assert!(!check(&root, &keys, &transfer)[2].holds);

        let mut note = whole.clone();
        let changed = text(&whole, "checkpoint.note").replace("chain 1 x", "chain 2 x");
        note["checkpoint"]["note"] = json!(changed);
        assert!(!check(&note, &keys, &transfer)[4].holds);
        let none = json!({"items": []});
        assert!(!check(&whole, &none, &transfer)[4].holds);
    }
}
