//! Receipts made by hand, good and bad.

use florin_ledger::proof::hash::batch_root;
use serde_json::json;

use super::super::{Payload, commit, leaf};
use super::*;

struct Log {
    leaves: Vec<Hash>,
    signer: Signer,
    id: Uuid,
}

const TICKET: &str = "019a9c00-0000-7000-8000-000000000001";

impl Log {
    fn new() -> Self {
        let id = Uuid::from_u128(5);
        let signer = Signer::from_seed(&TicketCheckpoint::origin(id), &[3; 32]).unwrap();
        Self {
            leaves: Vec::new(),
            signer,
            id,
        }
    }

    fn key(&self) -> &VerifierKey {
        self.signer.verifier_key()
    }

    fn append(
        &mut self,
        prev: Option<&ReceiptEntry>,
        kind: Transition,
        ticket: &str,
    ) -> ReceiptEntry {
        let payload = Payload {
            at: 0,
            currency: "EUR",
            event_id: "e",
            generation: 1,
            holder: Some("ana@example.com"),
            kind,
            price: "1.00",
            ticket_id: ticket,
        }
        .canonical();
        let salt = [self.leaves.len() as u8; 32];
        let (text, hash) = leaf(&commit(&salt, &payload), prev.map(|entry| &entry.leaf_hash));
        self.leaves.push(hash);
        ReceiptEntry {
            index: self.leaves.len() as u64 - 1,
            leaf: BASE64.encode(text),
            leaf_hash: hash,
            salt: Some(hex::encode(salt)),
            payload: Some(serde_json::from_str(&payload).unwrap()),
            audit_path: Vec::new(),
        }
    }

    fn note(&self, size: usize) -> String {
        TicketCheckpoint {
            log_id: self.id,
            size: size as u64,
            root: batch_root(&self.leaves[..size]),
        }
        .sign(&self.signer)
    }

    fn receipt(&self, mut entries: Vec<ReceiptEntry>) -> Receipt {
        for entry in &mut entries {
            entry.audit_path = path(entry.index as usize, &self.leaves);
        }
        Receipt {
            entries,
            checkpoint: self.note(self.leaves.len()),
            log_key: self.key().to_string(),
            anchors: Vec::new(),
        }
    }
}

fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut rest, sibling) = match index < left.len() {
        true => (path(index, left), batch_root(right)),
        false => (path(index - left.len(), right), batch_root(left)),
    };
    rest.push(sibling);
    rest
}

fn story() -> (Log, Receipt) {
    let mut log = Log::new();
    let issued = log.append(None, Transition::Issued, TICKET);
    log.append(None, Transition::Issued, "another");
    let used = log.append(Some(&issued), Transition::Used, TICKET);
    log.append(None, Transition::Issued, "a third");
    let refunded = log.append(Some(&used), Transition::Refunded, TICKET);
    let receipt = log.receipt(vec![issued, used, refunded]);
    (log, receipt)
}

fn complaint(receipt: &Receipt, log: &Log) -> String {
    match prove(receipt, log.key(), None) {
        Err(ProofError::Invalid(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_receipt_proves_the_ticket_and_its_status() {
    let (log, receipt) = story();
    let proven = prove(&receipt, log.key(), None).unwrap();
    assert_eq!(proven.ticket_id.as_deref(), Some(TICKET));
    assert_eq!(proven.status, Some(TicketStatus::Refunded));
    assert_eq!(proven.kinds.len(), 3);
    assert_eq!(proven.checkpoint.size, 5);
    let text = serde_json::to_string(&receipt).unwrap();
    assert_eq!(serde_json::from_str::<Receipt>(&text).unwrap(), receipt);
}

#[test]
fn every_change_is_seen() {
    let (log, good) = story();
    let change = |edit: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        edit(&mut receipt);
        complaint(&receipt, &log)
    };
    let price = change(&|r| r.entries[0].payload.as_mut().unwrap()["price"] = json!("2.00"));
    assert!(price.contains("not what was committed to"), "{price}");
    let gap = change(&|r| drop(r.entries.remove(1)));
    assert!(gap.contains("does not follow"), "{gap}");
    let start = change(&|r| drop(r.entries.remove(0)));
    assert!(start.contains("does not follow"), "{start}");
    let place = change(&|r| r.entries[1].index = 3);
    assert!(place.contains("not in the log"), "{place}");
    let hash = change(&|r| r.entries[1].leaf_hash = Hash([0; 32]));
    assert!(hash.contains("another hash"), "{hash}");
    let salt = change(&|r| r.entries[1].salt = None);
    assert!(salt.contains("go together"), "{salt}");
    let none = change(&|r| r.entries.clear());
    assert!(none.contains("no leaf"), "{none}");
    let note = change(&|r| r.checkpoint = r.checkpoint.replace("\n5\n", "\n6\n"));
    assert!(note.contains("signature"), "{note}");
    let other = Log::new();
    let stranger = Signer::from_seed("florin/tickets/x", &[4; 32]).unwrap();
    let unknown = prove(&good, stranger.verifier_key(), None).unwrap_err();
    assert!(matches!(unknown, ProofError::Invalid(_)), "{unknown}");
    assert!(prove(&good, other.key(), None).is_ok(), "the same key");
}

#[test]
fn a_ticket_cannot_come_back_from_the_dead() {
    let mut log = Log::new();
    let issued = log.append(None, Transition::Issued, TICKET);
    let refunded = log.append(Some(&issued), Transition::Refunded, TICKET);
    let used = log.append(Some(&refunded), Transition::Used, TICKET);
    let receipt = log.receipt(vec![issued.clone(), refunded, used]);
    let text = complaint(&receipt, &log);
    assert!(text.contains("a refunded ticket cannot be used"), "{text}");
    let twice = log.append(Some(&issued), Transition::Issued, TICKET);
    let text = complaint(&log.receipt(vec![issued, twice]), &log);
    assert!(text.contains("issued once"), "{text}");
}

/// Row 65: the opening is gone with the person, the log is as consistent as before.
#[test]
fn row_65_hidden_payloads_leave_the_chain_provable() {
    let (log, mut receipt) = story();
    for entry in &mut receipt.entries[..2] {
        (entry.salt, entry.payload) = (None, None);
    }
    let proven = prove(&receipt, log.key(), None).unwrap();
    assert_eq!(proven.kinds, [None, None, Some(Transition::Refunded)]);
    assert_eq!(proven.status, Some(TicketStatus::Refunded));
    for entry in &mut receipt.entries {
        (entry.salt, entry.payload) = (None, None);
    }
    let proven = prove(&receipt, log.key(), None).unwrap();
    assert_eq!((proven.ticket_id, proven.status), (None, None));
}

#[test]
fn a_kept_checkpoint_must_be_of_the_same_history() {
    let (log, receipt) = story();
    let kept = log.note(5);
    assert!(prove(&receipt, log.key(), Some((&kept, &[]))).is_ok());
    let smaller = log.note(4);
    let needs = prove(&receipt, log.key(), Some((&smaller, &[]))).unwrap_err();
    assert!(matches!(needs, ProofError::Unreadable(_)), "{needs}");
    // From 4 to 5 leaves: the fifth leaf is all that is new.
    let proof = [log.leaves[4]];
    assert!(prove(&receipt, log.key(), Some((&smaller, &proof))).is_ok());
    let mut forked = Log::new();
    forked.append(None, Transition::Issued, "somebody else");
    let fork = forked.note(1);
    let seen = prove(&receipt, log.key(), Some((&fork, &proof))).unwrap_err();
    assert!(seen.to_string().contains("forked"), "{seen}");
}

#[test]
fn notes_have_one_form() {
    let log = Log::new();
    let checkpoint = TicketCheckpoint {
        log_id: log.id,
        size: 7,
        root: Hash([1; 32]),
    };
    let note = checkpoint.sign(&log.signer);
    assert_eq!(TicketCheckpoint::open(&note, log.key()), Ok(checkpoint));
    assert_eq!(
        note.lines().next(),
        Some("florin/tickets/00000000-0000-0000-0000-000000000005")
    );
    let text = format!(
        "{}\n07\n{}\n",
        TicketCheckpoint::origin(log.id),
        BASE64.encode([1; 32])
    );
    let loose = SignedNote::sign_text(text, &[&log.signer]).to_string();
    assert!(TicketCheckpoint::open(&loose, log.key()).is_err());
}
