//! Ed25519 keys of signed notes: the secret [`Signer`] and the public [`VerifierKey`].
//!
//! Key id = first four bytes of SHA-256(name ‖ `\n` ‖ `0x01` ‖ public key), where `0x01` is the
//! signed-note algorithm number of Ed25519 (contract A9, C2SP signed-note).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::note::NoteError;

/// Bytes of a key id.
pub const KEY_ID_BYTES: usize = 4;
const ED25519: u8 = 0x01;

/// A key name may not be empty nor hold spaces, `+` or control characters.
pub(super) fn check_name(name: &str) -> Result<(), NoteError> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(forbidden) {
        return Err(NoteError::KeyName(name.to_owned()));
    }
    Ok(())
}

/// A named secret key. Prints without the secret; the secret is overwritten on drop.
pub struct Signer {
    key: SigningKey,
    public: VerifierKey,
}

impl Signer {
    /// The key with the given 32-byte secret `seed`. The caller overwrites its own copy.
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let public = VerifierKey::from_public(name, key.verifying_key())?;
        Ok(Self { key, public })
    }

    /// Name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        self.public.name()
    }

    /// The public half, to be published.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.public
    }

    pub(super) fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.key.sign(text).to_bytes()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, secret redacted)", self.public)
    }
}

/// A public key in C2SP form: [`fmt::Display`] gives `name+keyid+base64(0x01 ‖ public key)`,
/// the key id as eight lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    fn from_public(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        check_name(name)?;
        let name = name.to_owned();
        Ok(Self { name, key })
    }

    /// Name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 32-byte public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// First four bytes of SHA-256(name ‖ `\n` ‖ `0x01` ‖ public key).
    #[must_use]
    pub fn key_id(&self) -> [u8; KEY_ID_BYTES] {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Whether `signature` is this key's signature over `text`. Weak keys never verify.
    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text, &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        let id = hex::encode(self.key_id());
        write!(f, "{}+{id}+{}", self.name, BASE64.encode(bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // Base64 may hold `+`, names may not: the first two separate.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::MalformedKey("expected name+keyid+base64"));
        };
        let bytes = BASE64
            .decode(key)
            .map_err(|_| NoteError::MalformedKey("the key is not standard base64"))?;
        let [ED25519, public @ ..] = bytes.as_slice() else {
            return Err(NoteError::MalformedKey("not an Ed25519 key (type 0x01)"));
        };
        let public: &[u8; 32] = public
            .try_into()
            .map_err(|_| NoteError::MalformedKey("an Ed25519 key has 32 bytes"))?;
        let public = VerifyingKey::from_bytes(public)
            .map_err(|_| NoteError::MalformedKey("the bytes are no Ed25519 point"))?;
        let key = Self::from_public(name, public)?;
        if hex::encode(key.key_id()) != id {
            return Err(NoteError::MalformedKey(
                "the key id does not fit name and key",
            ));
        }
        Ok(key)
    }
}
