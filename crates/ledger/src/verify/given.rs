//! Checkpoints and keys as people keep them: notes, JSON, lists.

use serde_json::{Deserializer, Value};
use uuid::Uuid;

use super::report::Kind;
use crate::proof::{Checkpoint, CheckpointBody, NoteError, SignedNote, VerifierKey};

/// A checkpoint to hold against the records, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenCheckpoint {
    /// The signed note.
    pub note: String,
    /// The JSON form it came in; its other members must agree with the note.
    pub json: Option<Checkpoint>,
}

impl From<Checkpoint> for GivenCheckpoint {
    fn from(checkpoint: Checkpoint) -> Self {
        Self {
            note: checkpoint.note.clone(),
            json: Some(checkpoint),
        }
    }
}

/// What is wrong with a checkpoint.
pub(super) type Finding = (Kind, String);

impl GivenCheckpoint {
    fn named(&self) -> String {
        let number = self.json.as_ref().map(|c| format!(" {}", c.number));
        format!("checkpoint{}", number.unwrap_or_default())
    }

    /// What the note states, its signature by one of `keys` checked unless there are none.
    pub(super) fn body(
        &self,
        keys: &[VerifierKey],
        ledger_id: Option<Uuid>,
    ) -> Result<CheckpointBody, Finding> {
        let found = |kind, error: NoteError| (kind, format!("{}: {error}", self.named()));
        let note =
            SignedNote::parse(&self.note).map_err(|e| found(Kind::CheckpointMalformed, e))?;
        let body =
            CheckpointBody::parse(note.text()).map_err(|e| found(Kind::CheckpointMalformed, e))?;
        if !keys.is_empty() {
            note.verify(keys)
                .map_err(|e| found(Kind::CheckpointSignature, e))?;
        }
        if let Some(expected) = ledger_id.filter(|id| *id != body.ledger_id) {
            let error = NoteError::OtherLedger {
                found: body.ledger_id,
                expected,
            };
            return Err(found(Kind::CheckpointOfOtherLedger, error));
        }
        if let Some(json) = &self.json {
            let members = [
                ("treeSize", json.tree_size == body.tree_size),
                ("rootHash", json.root_hash == body.root_hash),
                ("batch", json.batch == body.batch),
                ("chainHash", json.chain_hash == body.chain_hash),
            ];
            if let Some((member, _)) = members.into_iter().find(|(_, equal)| !equal) {
                return Err(found(
                    Kind::CheckpointMalformed,
                    NoteError::Mismatch(member),
                ));
            }
        }
        Ok(body)
    }
}

/// Reads a file of checkpoints: one signed note, or JSON checkpoints (one, one a line, or the
/// answer of `GET /ledger/checkpoints`).
///
/// # Errors
/// A sentence: neither of these.
pub fn read_checkpoints(text: &str) -> Result<Vec<GivenCheckpoint>, String> {
    if !text.trim_start().starts_with(['{', '[']) {
        SignedNote::parse(text).map_err(|e| format!("neither JSON nor a signed note: {e}"))?;
        let note = text.to_owned();
        return Ok(vec![GivenCheckpoint { note, json: None }]);
    }
    let mut found = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Value>() {
        for value in items(value.map_err(|e| e.to_string())?, "items") {
            let checkpoint: Checkpoint =
                serde_json::from_value(value).map_err(|e| format!("no checkpoint: {e}"))?;
            found.push(checkpoint.into());
        }
    }
    Ok(found)
}

/// Reads a file of public keys: C2SP verifier keys, one a line (empty lines and those starting
/// with `#` are passed over), or the answer of `GET /ledger/checkpoints/keys`.
///
/// # Errors
/// A sentence: no keys, or a key that is none.
pub fn read_keys(text: &str) -> Result<Vec<VerifierKey>, String> {
    let mut texts: Vec<String> = Vec::new();
    if text.trim_start().starts_with(['{', '[']) {
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        for key in items(value, "keys") {
            let text = match &key {
                Value::String(text) => Some(text.as_str()),
                other => other.get("key").and_then(Value::as_str),
            };
            texts.push(text.ok_or("a key without its member `key`")?.to_owned());
        }
    } else {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        texts.extend(lines.map(str::to_owned));
    }
    if texts.is_empty() {
        return Err("there is no key in it".to_owned());
    }
    let keys = texts.iter().map(|text| {
        text.parse()
            .map_err(|e| format!("{text:?} is no verifier key: {e}"))
    });
    keys.collect()
}

/// The elements of a list, also of one in a member; a lone value is its own list.
fn items(value: Value, member: &str) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        Value::Object(mut object) => {
            for name in [member, "items"] {
                match object.remove(name) {
                    Some(Value::Array(list)) => return list,
                    Some(other) => {
                        object.insert(name.to_owned(), other);
                    }
                    None => {}
                }
            }
            vec![Value::Object(object)]
        }
        other => vec![other],
    }
}
