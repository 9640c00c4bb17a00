//! The text in a ticket's QR code (contract D2).
//!
//! `FT1.` and the base32 of 89 bytes: version, key id, ticket id, generation, type number, and an
//! Ed25519 signature over [`DOMAIN`], a zero byte and the first 25. Signatures are deterministic,
//! so that a token is never stored: the event's key makes the same text again.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::base32;

/// What every token begins with.
pub const PREFIX: &str = "FT1.";
/// What a token's signature is about, so that it can stand for nothing else.
pub const DOMAIN: &[u8] = b"florin.ticket.v1";
/// Characters of a token.
pub const TEXT_LENGTH: usize = 147;

const VERSION: u8 = 1;
const BODY: usize = 25;
const BYTES: usize = BODY + 64;

/// First four bytes of SHA-256 of a public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 4]);

impl KeyId {
    /// The id of a public key.
    pub fn of(public_key: &[u8; 32]) -> Self {
        let digest: [u8; 32] = Sha256::digest(public_key).into();
        Self([digest[0], digest[1], digest[2], digest[3]])
    }

    /// Reads eight lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 4];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        (hex::encode(bytes) == text).then_some(Self(bytes))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// What a token states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The ticket.
    pub ticket_id: Uuid,
    /// Raised whenever an older code must stop working; from 1.
    pub generation: u16,
    /// The ticket type's number within its event.
    pub type_no: u16,
}

/// A token that was read and not yet verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The key that is said to have signed.
    pub key_id: KeyId,
    /// What it states.
    pub claims: Claims,
    signature: [u8; 64],
}

/// The text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no ticket code")]
pub struct Malformed;

/// The key pair of an event. Prints without its secret.
pub struct TicketKey {
    key: SigningKey,
    id: KeyId,
}

impl TicketKey {
    /// The pair with a 32-byte secret.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let id = KeyId::of(key.verifying_key().as_bytes());
        Self { key, id }
    }

    /// The id of the public half.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// The text of a ticket's QR code.
    pub fn token(&self, claims: &Claims) -> String {
        let body = body(self.id, claims);
        let mut bytes = [0; BYTES];
        bytes[..BODY].copy_from_slice(&body);
        bytes[BODY..].copy_from_slice(&self.key.sign(&signed(&body)).to_bytes());
        format!("{PREFIX}{}", base32::encode(&bytes))
    }

    /// Signs another message of the event's, such as a scan bundle.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKey({}, secret redacted)", self.id)
    }
}

/// The public half of an event's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads 32 bytes; `None` when they are no point of the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes).ok().map(Self)
    }

    /// Reads 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Self::from_bytes(&bytes)
    }

    /// The 32 bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        KeyId::of(self.0.as_bytes())
    }

    /// Whether this key has signed the message. Weak keys never verify.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl Token {
    /// Reads a text. Verifies nothing.
    ///
    /// # Errors
    /// [`Malformed`] unless the text is exactly what [`TicketKey::token`] could have made.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let encoded = text.strip_prefix(PREFIX).ok_or(Malformed)?;
        let bytes: [u8; BYTES] = base32::decode(encoded)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(Malformed)?;
        if bytes[0] != VERSION {
            return Err(Malformed);
        }
        let (mut key_id, mut ticket_id, mut signature) = ([0; 4], [0; 16], [0; 64]);
        key_id.copy_from_slice(&bytes[1..5]);
        ticket_id.copy_from_slice(&bytes[5..21]);
        signature.copy_from_slice(&bytes[BODY..]);
        Ok(Self {
            key_id: KeyId(key_id),
            claims: Claims {
                ticket_id: Uuid::from_bytes(ticket_id),
                generation: u16::from_be_bytes([bytes[21], bytes[22]]),
                type_no: u16::from_be_bytes([bytes[23], bytes[24]]),
            },
            signature,
        })
    }

    /// Whether `key` has signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let body = body(self.key_id, &self.claims);
        key.verifies(&signed(&body), &self.signature)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The whole text would open a door.
        write!(f, "Token({} {:?})", self.key_id, self.claims)
    }
}

fn body(key_id: KeyId, claims: &Claims) -> [u8; BODY] {
    let mut body = [0; BODY];
    body[0] = VERSION;
    body[1..5].copy_from_slice(&key_id.0);
    body[5..21].copy_from_slice(claims.ticket_id.as_bytes());
    body[21..23].copy_from_slice(&claims.generation.to_be_bytes());
    body[23..].copy_from_slice(&claims.type_no.to_be_bytes());
    body
}

fn signed(body: &[u8; BODY]) -> [u8; DOMAIN.len() + 1 + BODY] {
    let mut message = [0; DOMAIN.len() + 1 + BODY];
    message[..DOMAIN.len()].copy_from_slice(DOMAIN);
    message[DOMAIN.len() + 1..].copy_from_slice(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTOR: &str = "FT1.AFLEOWVHAGNJYAAAABYABAAAAAAAAAAAAEAACAABRLHRLG2FNSEKRXJB6VY7CGFX5ISZQMOFZYBEOTFJ5UXJXII5H5BDVEUYKG3GAC4FSESQGLXYHY37JIZI5DVRF3YHUTBBV4NWMFFJWBA";

    fn vector_key() -> TicketKey {
        TicketKey::from_seed(&std::array::from_fn(|i| i as u8))
    }

    fn vector_claims() -> Claims {
        Claims {
            ticket_id: "019a9c00-0000-7000-8000-000000000001".parse().unwrap(),
            generation: 1,
            type_no: 1,
        }
    }

    /// The vector of contract D6.
    #[test]
    fn the_published_vector_holds() {
        let key = vector_key();
        assert_eq!(
            hex::encode(key.public().to_bytes()),
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
        );
        assert_eq!(key.id().to_string(), "56475aa7");
        assert_eq!(key.token(&vector_claims()), VECTOR);
        assert_eq!(VECTOR.len(), TEXT_LENGTH);
        let token = Token::parse(VECTOR).unwrap();
        assert_eq!((token.key_id, token.claims), (key.id(), vector_claims()));
        assert!(token.is_signed_by(&key.public()));
    }

    /// Row 52, second half: no single character can be changed.
    #[test]
    fn row_52_a_changed_token_is_malformed_or_unsigned() {
        let key = vector_key().public();
        for at in 0..VECTOR.len() {
            for other in ["A", "B", "7", "a", "1", " "] {
                let mut text = VECTOR.to_owned();
                text.replace_range(at..=at, other);
                if text == VECTOR {
                    continue;
                }
                let good = Token::parse(&text).is_ok_and(|token| token.is_signed_by(&key));
                assert!(!good, "{text}");
            }
        }
    }

    #[test]
    fn only_whole_tokens_of_version_one_are_read() {
        for text in [
            "",
            "FT1.",
            "FT2.AFLEOWVH",
            &VECTOR[..VECTOR.len() - 1],
            &format!("{VECTOR}A"),
            &format!("{VECTOR}="),
            &VECTOR.to_lowercase(),
        ] {
            assert_eq!(Token::parse(text), Err(Malformed), "{text}");
        }
        let mut other = [0u8; BYTES];
        other[0] = 2;
        let text = format!("{PREFIX}{}", base32::encode(&other));
        assert_eq!(Token::parse(&text), Err(Malformed));
    }

    #[test]
    fn another_key_does_not_verify() {
        let other = TicketKey::from_seed(&[9; 32]);
        let token = Token::parse(VECTOR).unwrap();
        assert!(!token.is_signed_by(&other.public()));
        assert!(!format!("{other:?} {token:?}").contains("AFLEOWVH"));
        assert_eq!(KeyId::parse("56475aa7"), Some(token.key_id));
        assert_eq!(KeyId::parse("56475AA7"), None);
    }
}
