//! A holder's receipt, and its verification without network (contract D6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use florin_ledger::proof::hash::leaf as leaf_hash;
use florin_ledger::proof::{
    Hash, NoteError, SignedNote, Signer, VerifierKey, verify_consistency, verify_inclusion,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::super::ticket_status::{TicketStatus, Transition};
use super::commit_value;

const ORIGIN_PREFIX: &str = "florin/tickets/";

/// What a checkpoint of the log states: how many leaves there were, under which root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketCheckpoint {
    /// The log of this installation.
    pub log_id: Uuid,
    /// Leaves.
    pub size: u64,
    /// Root over them (RFC 6962).
    pub root: Hash,
}

impl TicketCheckpoint {
    /// First line of the note and name of its key.
    pub fn origin(log_id: Uuid) -> String {
        format!("{ORIGIN_PREFIX}{log_id}")
    }

    fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            Self::origin(self.log_id),
            self.size,
            BASE64.encode(self.root.0)
        )
    }

    /// The signed note.
    pub fn sign(&self, signer: &Signer) -> String {
        SignedNote::sign_text(self.text(), &[signer]).to_string()
    }

    /// Reads a note that `key` has signed.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let note = SignedNote::parse(note)?;
        note.verify(std::slice::from_ref(key))?;
        Self::read(note.text())
    }

    fn read(text: &str) -> Result<Self, NoteError> {
        let wrong = |line, expected| NoteError::MalformedCheckpoint { line, expected };
        let mut lines = text.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        let log_id = next()
            .strip_prefix(ORIGIN_PREFIX)
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or_else(|| wrong(1, "florin/tickets/ and a lower-case UUID"))?;
        let size = next()
            .parse()
            .map_err(|_| wrong(2, "the number of leaves"))?;
        let root = BASE64
            .decode(next())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Hash)
            .ok_or_else(|| wrong(3, "the root in base64"))?;
        let body = Self { log_id, size, root };
        match body.text() == text {
            true => Ok(body),
            false => Err(wrong(1, "three lines in their canonical form")),
        }
    }
}

/// What `GET /tickets/{id}/proof` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The ticket's leaves, oldest first.
    pub entries: Vec<ReceiptEntry>,
    /// The signed note that covers them.
    pub checkpoint: String,
    /// Who signs notes, as a C2SP verifier key.
    pub log_key: String,
    /// Where roots were anchored.
    #[serde(default)]
    pub anchors: Vec<Value>,
}

/// One leaf with its place in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptEntry {
    /// Place in the log, from 0.
    pub index: u64,
    /// The leaf's bytes in base64.
    pub leaf: String,
    /// Its hash.
    pub leaf_hash: Hash,
    /// 32 bytes in hex; null for others' holdings and erased people.
    pub salt: Option<String>,
    /// What was committed to; null with the salt.
    pub payload: Option<Value>,
    /// Sibling hashes, leaf side first.
    pub audit_path: Vec<Hash>,
}

/// What a receipt proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// What the checkpoint states.
    pub checkpoint: TicketCheckpoint,
    /// The ticket, if a leaf could be opened.
    pub ticket_id: Option<String>,
    /// Kinds of the leaves; `None` where the payload is not shown.
    pub kinds: Vec<Option<Transition>>,
    /// The status after the last leaf, if that one could be opened.
    pub status: Option<TicketStatus>,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The text is no receipt or checkpoint: nothing can be said.
    #[error("{0}")]
    Unreadable(String),
    /// Something does not fit.
    #[error("{0}")]
    Invalid(String),
}

fn invalid(text: impl Into<String>) -> ProofError {
    ProofError::Invalid(text.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaf {
    commit: Hash,
    prev: Option<Hash>,
    v: u8,
}

/// Verifies a receipt: signature, place of each leaf in the log, the chain of the ticket's leaves,
/// and every payload that is shown. `kept` is a checkpoint that the verifier holds from before or
/// elsewhere, with the hashes that lead from the smaller to the larger of the two if they differ.
///
/// # Errors
/// [`ProofError`].
pub fn prove(
    receipt: &Receipt,
    key: &VerifierKey,
    kept: Option<(&str, &[Hash])>,
) -> Result<Proven, ProofError> {
    let checkpoint = open(&receipt.checkpoint, key)?;
    if let Some((note, path)) = kept {
        same_log(&checkpoint, &open(note, key)?, path)?;
    }
    if receipt.entries.is_empty() {
        return Err(invalid("the receipt holds no leaf"));
    }
    let mut proven = Proven {
        checkpoint,
        ticket_id: None,
        kinds: Vec::new(),
        status: None,
    };
    let mut before: Option<&ReceiptEntry> = None;
    for entry in &receipt.entries {
        let leaf = placed(entry, &checkpoint)?;
        if leaf.prev != before.map(|entry| entry.leaf_hash) {
            return Err(invalid(format!(
                "leaf {} does not follow the ticket's leaf before it",
                entry.index
            )));
        }
        if before.is_some_and(|before| before.index >= entry.index) {
            return Err(invalid("the leaves are not in the order of the log"));
        }
        let kind = opened(entry, &leaf.commit, &mut proven.ticket_id)?;
        proven.status = step(&proven, kind, before.is_none())
            .map_err(|text| invalid(format!("leaf {}: {text}", entry.index)))?;
        proven.kinds.push(kind);
        before = Some(entry);
    }
    Ok(proven)
}

fn open(note: &str, key: &VerifierKey) -> Result<TicketCheckpoint, ProofError> {
    TicketCheckpoint::open(note, key).map_err(|error| match error {
        NoteError::BadSignature(_) | NoteError::UnknownKeys { .. } => invalid(error.to_string()),
        other => ProofError::Unreadable(format!("the checkpoint: {other}")),
    })
}

fn same_log(
    ours: &TicketCheckpoint,
    kept: &TicketCheckpoint,
    path: &[Hash],
) -> Result<(), ProofError> {
    if ours.log_id != kept.log_id {
        return Err(invalid("the two checkpoints are of different logs"));
    }
    if ours.size != kept.size && path.is_empty() {
        return Err(ProofError::Unreadable(format!(
            "the checkpoints have {} and {} leaves: their consistency proof is needed",
            kept.size, ours.size
        )));
    }
    let (old, new) = match kept.size <= ours.size {
        true => (kept, ours),
        false => (ours, kept),
    };
    verify_consistency(old.size, &old.root, new.size, &new.root, path)
        .map_err(|error| invalid(format!("the log was forked or rewritten: {error}")))
}

/// The leaf stands where the receipt says.
fn placed(entry: &ReceiptEntry, checkpoint: &TicketCheckpoint) -> Result<Leaf, ProofError> {
    let unreadable = |what: &str| ProofError::Unreadable(format!("leaf {}: {what}", entry.index));
    let bytes = BASE64
        .decode(&entry.leaf)
        .map_err(|_| unreadable("it is not base64"))?;
    let leaf: Leaf = serde_json::from_slice(&bytes).map_err(|_| unreadable("it is no leaf"))?;
    if leaf.v != 1 {
        return Err(unreadable("its version is not known here"));
    }
    if leaf_hash(&bytes) != entry.leaf_hash {
        return Err(invalid(format!("leaf {} has another hash", entry.index)));
    }
    let (index, size) = (entry.index, checkpoint.size);
    verify_inclusion(
        &entry.leaf_hash,
        index,
        size,
        &entry.audit_path,
        &checkpoint.root,
    )
    .map_err(|error| invalid(format!("leaf {index} is not in the log: {error}")))?;
    Ok(leaf)
}

/// The payload is the one that was committed to, and of the same ticket as all others.
fn opened(
    entry: &ReceiptEntry,
    commit: &Hash,
    ticket: &mut Option<String>,
) -> Result<Option<Transition>, ProofError> {
    let (salt, payload) = match (&entry.salt, &entry.payload) {
        (Some(salt), Some(payload)) => (salt, payload),
        (None, None) => return Ok(None),
        _ => return Err(invalid("salt and payload go together")),
    };
    let salt: Hash = salt
        .parse()
        .map_err(|_| ProofError::Unreadable("a salt is 64 hex digits".to_owned()))?;
    if commit_value(&salt.0, payload).ok().as_ref() != Some(commit) {
        return Err(invalid(format!(
            "the payload of leaf {} is not what was committed to",
            entry.index
        )));
    }
    let text = |name: &str| payload[name].as_str().unwrap_or_default();
    let id = text("ticketId").to_owned();
    if ticket.get_or_insert_with(|| id.clone()) != &id {
        return Err(invalid("the leaves are of different tickets"));
    }
    Transition::from_word(text("kind"))
        .map(Some)
        .ok_or_else(|| invalid(format!("leaf {} is of an unknown kind", entry.index)))
}

/// The status after a leaf; unknown after one that is not shown.
fn step(
    proven: &Proven,
    kind: Option<Transition>,
    first: bool,
) -> Result<Option<TicketStatus>, String> {
    let Some(kind) = kind else {
        return Ok(None);
    };
    match (kind, first, proven.status) {
        (Transition::Issued, true, _) => Ok(Some(TicketStatus::Valid)),
        (Transition::Issued, false, _) => Err("a ticket is issued once".to_owned()),
        (_, true, _) => Err("the first leaf is not its issue".to_owned()),
        (kind, false, Some(status)) => match status.after(kind) {
            Some(next) => Ok(Some(next)),
            None => Err(format!(
                "a {} ticket cannot be {}",
                status.as_str(),
                kind.as_str()
            )),
        },
        // The leaf before is hidden; each of these has one outcome whatever was before.
        (kind, false, None) => Ok(Some(match kind {
            Transition::Refunded => TicketStatus::Refunded,
            Transition::Cancelled => TicketStatus::Cancelled,
            Transition::Suspended => TicketStatus::Suspended,
            Transition::Used => TicketStatus::Used,
            _ => TicketStatus::Valid,
        })),
    }
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
