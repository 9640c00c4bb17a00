//! Signed checkpoints in the C2SP signed-note and tlog-checkpoint formats (contract A9).
//!
//! A checkpoint says: ledger L had n lines with this tree root, and its hash chain stood here
//! after batch b. The note text is what counts; [`Checkpoint`]'s other members are a
//! convenience and [`Checkpoint::verify`] refuses them when they differ from it.
//!
//! Parsing is strict: a text is accepted only if writing its values again gives the same
//! bytes, so that no two notes mean the same checkpoint.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::hash::Hash;
use super::keys::{self, KEY_ID_BYTES, Signer, VerifierKey};

const ORIGIN_PREFIX: &str = "florin/ledger/";
const SIGNATURE_BYTES: usize = 64;
/// Longest note that is read, in bytes.
pub const MAX_NOTE_BYTES: usize = 16 * 1024;
/// Most signature lines that are read.
pub const MAX_SIGNATURES: usize = 32;

/// Why a note, a checkpoint or a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`] or with more than [`MAX_SIGNATURES`] signatures.
    #[error("the note is too large")]
    TooLarge,
    /// Not text, blank line, signature lines.
    #[error("malformed note: {0}")]
    Malformed(&'static str),
    /// The signature line (from 1) is not `— name base64`.
    #[error("malformed signature line {line}: {reason}")]
    MalformedSignature {
        /// Which signature line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A line of the checkpoint text is not what the format asks for.
    #[error("checkpoint line {line}: expected {expected}")]
    MalformedCheckpoint {
        /// Line of the text, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// The key name is empty or holds a space, `+` or a control character.
    #[error("a key name must not be empty or hold spaces, `+` or control characters: {0:?}")]
    KeyName(String),
    /// Not a verifier key `name+keyid+base64`.
    #[error("malformed verifier key: {0}")]
    MalformedKey(&'static str),
    /// None of the given keys has signed.
    #[error("no signature by a known key (signed by {signed_by})")]
    UnknownKeys {
        /// The names found, separated by commas.
        signed_by: String,
    },
    /// A given key's signature does not fit the text.
    #[error("the signature of {0} is wrong: the text was changed or another key signed it")]
    BadSignature(String),
    /// The note is about another ledger.
    #[error("the checkpoint is of ledger {found}, expected {expected}")]
    OtherLedger {
        /// Ledger named in the note.
        found: Uuid,
        /// Ledger asked about.
        expected: Uuid,
    },
    /// A member of the JSON form differs from the note.
    #[error("`{0}` differs from the signed note")]
    Mismatch(&'static str),
}

/// What a checkpoint states and its signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointBody {
    /// The ledger.
    pub ledger_id: Uuid,
    /// Leaves in the tree = last `seq` of `batch`.
    pub tree_size: u64,
    /// Root of that tree.
    pub root_hash: Hash,
    /// Last batch covered.
    pub batch: u64,
    /// `chain(batch)`.
    pub chain_hash: Hash,
}

impl CheckpointBody {
    /// First line of the text and default key name: `florin/ledger/{ledgerId}`.
    #[must_use]
    pub fn origin(ledger_id: Uuid) -> String {
        format!("{ORIGIN_PREFIX}{ledger_id}")
    }

    /// The text that is signed: four lines, each with its line end.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\nchain {} {}\n",
            Self::origin(self.ledger_id),
            self.tree_size,
            BASE64.encode(self.root_hash.0),
            self.batch,
            BASE64.encode(self.chain_hash.0),
        )
    }

    /// Reads a text made by [`CheckpointBody::text`].
    ///
    /// # Errors
    /// [`NoteError::MalformedCheckpoint`] names the line.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let wrong = |line, expected| NoteError::MalformedCheckpoint { line, expected };
        let mut lines = text.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        let ledger_id = next()
            .strip_prefix(ORIGIN_PREFIX)
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or_else(|| wrong(1, "florin/ledger/ and a lower-case UUID"))?;
        let tree_size = next()
            .parse()
            .map_err(|_| wrong(2, "the tree size as a decimal number"))?;
        let root_hash = hash_from_base64(next()).ok_or_else(|| wrong(3, "the root in base64"))?;
        let mut chain = next().split(' ');
        let chain = (chain.next(), chain.next(), chain.next(), chain.next());
        let (Some("chain"), Some(batch), Some(chain_hash), None) = chain else {
            return Err(wrong(4, "`chain`, the batch number and its hash in base64"));
        };
        let batch = batch.parse().map_err(|_| wrong(4, "the batch number"))?;
        let chain_hash =
            hash_from_base64(chain_hash).ok_or_else(|| wrong(4, "the chain hash in base64"))?;
        let body = Self {
            ledger_id,
            tree_size,
            root_hash,
            batch,
            chain_hash,
        };
        // Catches what the number and UUID parsers forgive: `+1`, `01`, upper case, more lines.
        let canonical = body.text();
        if canonical == text {
            return Ok(body);
        }
        let differs = canonical.split('\n').zip(text.split('\n'));
        let line = 1 + differs.take_while(|(left, right)| left == right).count();
        Err(wrong(line, "the canonical form and nothing else"))
    }
}

fn hash_from_base64(text: &str) -> Option<Hash> {
    BASE64.decode(text).ok()?.try_into().ok().map(Hash)
}

/// One signature of a note, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub key_name: String,
    /// First four bytes of the key's hash.
    pub key_id: [u8; KEY_ID_BYTES],
    /// What follows the key id: 64 bytes for Ed25519.
    pub signature: Vec<u8>,
}

/// A text with signatures. [`fmt::Display`] gives the note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Signs `body` with each of `signers`, in order (several while a key is being replaced).
    #[must_use]
    pub fn sign(body: &CheckpointBody, signers: &[&Signer]) -> Self {
        Self::sign_text(body.text(), signers)
    }

    /// Signs another log's `text`, which ends with a line end.
    #[must_use]
    pub fn sign_text(text: String, signers: &[&Signer]) -> Self {
        debug_assert!(text.ends_with('\n'), "a note's text ends with a line end");
        let sign = |signer: &&Signer| NoteSignature {
            key_name: signer.name().to_owned(),
            key_id: signer.verifier_key().key_id(),
            signature: signer.sign(text.as_bytes()).to_vec(),
        };
        let signatures = signers.iter().map(sign).collect();
        Self { text, signatures }
    }

    /// Splits a note into text and signatures. Verifies nothing.
    ///
    /// # Errors
    /// [`NoteError`] when it is not a signed note.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        if note.chars().any(|c| c.is_ascii_control() && c != '\n') {
            return Err(NoteError::Malformed("it holds control characters"));
        }
        let split = note
            .rfind("\n\n")
            .ok_or(NoteError::Malformed("no blank line before the signatures"))?;
        let (text, signatures) = (&note[..=split], &note[split + 2..]);
        let signatures = signatures
            .strip_suffix('\n')
            .ok_or(NoteError::Malformed("no line end after the last signature"))?;
        let lines = signatures.split('\n').enumerate();
        if lines.clone().count() > MAX_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        let signatures = lines
            .map(|(at, line)| parse_signature(at + 1, line))
            .collect::<Result<_, _>>()?;
        let text = text.to_owned();
        Ok(Self { text, signatures })
    }

    /// The signed text, with its last line end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, verified or not.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Names of the keys among `keys` that have signed: at least one. Signatures by other keys
    /// are passed over.
    ///
    /// # Errors
    /// [`NoteError::UnknownKeys`] when none of `keys` has signed; [`NoteError::BadSignature`]
    /// when a signature claims one of `keys` and is wrong, whatever the others say.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<&str>, NoteError> {
        let mut good = Vec::new();
        for signature in &self.signatures {
            let known = keys
                .iter()
                .find(|key| key.name() == signature.key_name && key.key_id() == signature.key_id);
            let Some(key) = known else { continue };
            if !key.verifies(self.text.as_bytes(), &signature.signature) {
                return Err(NoteError::BadSignature(signature.key_name.clone()));
            }
            good.push(signature.key_name.as_str());
        }
        if good.is_empty() {
            let names = self.signatures.iter().map(|s| s.key_name.as_str());
            let signed_by = names.collect::<Vec<_>>().join(", ");
            return Err(NoteError::UnknownKeys { signed_by });
        }
        Ok(good)
    }
}

fn parse_signature(line_number: usize, line: &str) -> Result<NoteSignature, NoteError> {
    let wrong = |reason| NoteError::MalformedSignature {
        line: line_number,
        reason,
    };
    let (key_name, encoded) = line
        .strip_prefix("— ")
        .ok_or_else(|| wrong("it does not start with an em dash and a space"))?
        .split_once(' ')
        .ok_or_else(|| wrong("no space after the key name"))?;
    keys::check_name(key_name)?;
    let bytes = BASE64
        .decode(encoded)
        .map_err(|_| wrong("not standard base64"))?;
    let (key_id, signature) = bytes
        .split_first_chunk::<KEY_ID_BYTES>()
        .filter(|(_, signature)| !signature.is_empty())
        .ok_or_else(|| wrong("no signature after the key id"))?;
    Ok(NoteSignature {
        key_name: key_name.to_owned(),
        key_id: *key_id,
        signature: signature.to_vec(),
    })
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let mut bytes = Vec::with_capacity(KEY_ID_BYTES + SIGNATURE_BYTES);
            bytes.extend_from_slice(&signature.key_id);
            bytes.extend_from_slice(&signature.signature);
            writeln!(f, "— {} {}", signature.key_name, BASE64.encode(bytes))?;
        }
        Ok(())
    }
}

impl FromStr for SignedNote {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        Self::parse(note)
    }
}

/// A numbered checkpoint as routes and exports show it: camelCase JSON, hashes in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// Number in this ledger, from 1. Not signed: a name, not a statement.
    pub number: u64,
    /// Leaves in the tree = last `seq` covered.
    pub tree_size: u64,
    /// Root of that tree.
    pub root_hash: Hash,
    /// Last batch covered.
    pub batch: u64,
    /// `chain(batch)`.
    pub chain_hash: Hash,
    /// The signed note.
    pub note: String,
}

impl Checkpoint {
    /// Signs `body` and numbers it.
    #[must_use]
    pub fn sign(number: u64, body: &CheckpointBody, signers: &[&Signer]) -> Self {
        Self {
            number,
            tree_size: body.tree_size,
            root_hash: body.root_hash,
            batch: body.batch,
            chain_hash: body.chain_hash,
            note: SignedNote::sign(body, signers).to_string(),
        }
    }

    /// What the note states, after checking its signature by one of `keys`, the ledger and that
    /// the other members agree with it.
    ///
    /// # Errors
    /// The first [`NoteError`] found.
    pub fn verify(
        &self,
        ledger_id: Uuid,
        keys: &[VerifierKey],
    ) -> Result<CheckpointBody, NoteError> {
        let note = SignedNote::parse(&self.note)?;
        note.verify(keys)?;
        let body = CheckpointBody::parse(note.text())?;
        if body.ledger_id != ledger_id {
            return Err(NoteError::OtherLedger {
                found: body.ledger_id,
                expected: ledger_id,
            });
        }
        let members = [
            ("treeSize", self.tree_size == body.tree_size),
            ("rootHash", self.root_hash == body.root_hash),
            ("batch", self.batch == body.batch),
            ("chainHash", self.chain_hash == body.chain_hash),
        ];
        match members.iter().find(|(_, equal)| !equal) {
            Some((member, _)) => Err(NoteError::Mismatch(member)),
            None => Ok(body),
        }
    }
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
