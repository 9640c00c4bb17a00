//! What a scanner takes along to work without a network (contract D4): the signed snapshot of an
//! event's tickets, written by the server and read by the scanner.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use florin_base::Timestamp;
use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::ticket_status::TicketStatus;
use super::token::{KeyId, PublicKey, TicketKey};

/// What a bundle's signature is about.
pub const DOMAIN: &[u8] = b"florin.scan-bundle.v1";
/// A bundle is stale after this time, in microseconds.
pub const LIFE_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// The snapshot, or what changed since an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// The event.
    pub event_id: Uuid,
    /// Number of changes to the event's tickets so far; goes into `since` of the next bundle.
    pub sequence: i64,
    /// The `since` that was asked for: the bundle holds only what changed after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it becomes stale.
    pub expires_at: Timestamp,
    /// The event's keys.
    pub keys: Vec<BundleKey>,
    /// The ticket types.
    pub types: Vec<BundleType>,
    /// In and out alternate.
    pub reentry: bool,
    /// Tickets that hold stock.
    pub tickets: Vec<BundleTicket>,
    /// Tickets of which codes must not open the gate.
    pub revoked: Vec<BundleRevoked>,
}

/// A key of the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleKey {
    /// Eight hex digits.
    pub kid: String,
    /// 64 hex digits.
    pub public_key: String,
    /// `active`, `retired` or `disabled`.
    pub status: String,
}

/// `[typeNo, name, validFrom, validUntil, areas]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleType(
    /// Number of the type within its event.
    pub u16,
    /// Its name.
    pub String,
    /// Start of the entry window.
    pub Timestamp,
    /// End of it.
    pub Timestamp,
    /// Areas that it opens; null = every.
    pub Option<Vec<u8>>,
);

/// `[id, typeNo, generation, state, usedAt]`, with the holder's name as sixth where asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleTicket {
    /// The ticket.
    pub id: Uuid,
    /// Number of its type.
    pub type_no: u16,
    /// Its generation.
    pub generation: u16,
    /// Its status.
    pub state: TicketStatus,
    /// When its holder came in; with re-entry only while inside.
    pub used_at: Option<Timestamp>,
    /// `None`: names were not asked for; `Some(None)`: nameless.
    pub name: Option<Option<String>>,
}

/// `[id, minGeneration, reason]`: codes below the generation are revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleRevoked(
    /// The ticket.
    pub Uuid,
    /// Least generation that is not revoked.
    pub u16,
    /// `refunded`, `cancelled`, `transferred` or `reissued`.
    pub String,
);

impl Serialize for BundleTicket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(if self.name.is_some() { 6 } else { 5 })?;
        tuple.serialize_element(&self.id)?;
        tuple.serialize_element(&self.type_no)?;
        tuple.serialize_element(&self.generation)?;
        tuple.serialize_element(self.state.as_str())?;
        tuple.serialize_element(&self.used_at)?;
        if let Some(name) = &self.name {
            tuple.serialize_element(name)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for BundleTicket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = BundleTicket;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[id, typeNo, generation, state, usedAt]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<BundleTicket, A::Error> {
                let short = || de::Error::custom("a ticket of a bundle has five members");
                let id = seq.next_element()?.ok_or_else(short)?;
                let type_no = seq.next_element()?.ok_or_else(short)?;
                let generation = seq.next_element()?.ok_or_else(short)?;
                let state: std::borrow::Cow<'de, str> = seq.next_element()?.ok_or_else(short)?;
                let state = TicketStatus::from_word(&state)
                    .ok_or_else(|| de::Error::custom("unknown ticket state"))?;
                let used_at = seq.next_element()?.ok_or_else(short)?;
                Ok(BundleTicket {
                    id,
                    type_no,
                    generation,
                    state,
                    used_at,
                    name: seq.next_element()?,
                })
            }
        }
        deserializer.deserialize_seq(Row)
    }
}

/// `Florin-Signature: ed25519=<base64>; kid=<hex>` over the uncompressed body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleSignature {
    /// The key that signed.
    pub key_id: KeyId,
    /// Over [`DOMAIN`], a zero byte and the body.
    pub signature: [u8; 64],
}

impl BundleSignature {
    /// Signs a body.
    pub fn sign(key: &TicketKey, body: &[u8]) -> Self {
        Self {
            key_id: key.id(),
            signature: key.sign(&signed(body)),
        }
    }

    /// Whether `key` has signed this body.
    pub fn verify(&self, key: &PublicKey, body: &[u8]) -> bool {
        key.id() == self.key_id && key.verifies(&signed(body), &self.signature)
    }

    /// Reads the header.
    pub fn parse(text: &str) -> Option<Self> {
        let (signature, key_id) = text.split_once(';')?;
        let signature = signature.trim().strip_prefix("ed25519=")?;
        Some(Self {
            key_id: KeyId::parse(key_id.trim().strip_prefix("kid=")?)?,
            signature: BASE64.decode(signature).ok()?.try_into().ok()?,
        })
    }
}

impl fmt::Display for BundleSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = BASE64.encode(self.signature);
        write!(f, "ed25519={signature}; kid={}", self.key_id)
    }
}

fn signed(body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(DOMAIN.len() + 1 + body.len());
    message.extend_from_slice(DOMAIN);
    message.push(0);
    message.extend_from_slice(body);
    message
}

/// A bundle as a file: the body as it was signed, byte for byte, and its signature.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleFile {
    /// The header's value.
    pub signature: String,
    /// The body.
    pub bundle: Box<RawValue>,
}

/// Why a bundle cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not a file `{signature, bundle}`.
    #[error("this is no scan bundle: {0}")]
    Unreadable(String),
    /// None of the bundle's keys has signed it.
    #[error("the bundle's signature is wrong: it was changed, or made by somebody else")]
    BadSignature,
    /// Signed, but not by the key that was asked for.
    #[error("the bundle was signed by key {found}, expected {expected}")]
    OtherKey {
        /// Who signed.
        found: KeyId,
        /// Who should have.
        expected: KeyId,
    },
}

impl Bundle {
    /// Reads and verifies a file. `pinned` is the public key known beforehand; without it the
    /// bundle's own list is believed, which proves that nothing was changed, not who made it.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn open(file: &[u8], pinned: Option<&PublicKey>) -> Result<Self, BundleError> {
        let unreadable = |error: serde_json::Error| BundleError::Unreadable(error.to_string());
        let file: BundleFile = serde_json::from_slice(file).map_err(unreadable)?;
        let signature = BundleSignature::parse(&file.signature)
            .ok_or_else(|| BundleError::Unreadable("the signature has another form".to_owned()))?;
        let body = file.bundle.get();
        let bundle: Self = serde_json::from_str(body).map_err(unreadable)?;
        if let Some(key) = pinned
            && key.id() != signature.key_id
        {
            return Err(BundleError::OtherKey {
                found: signature.key_id,
                expected: key.id(),
            });
        }
        let listed = bundle.keys().find(|(id, _)| *id == signature.key_id);
        let key = pinned.copied().or(listed.map(|(_, key)| key));
        match key {
            Some(key) if signature.verify(&key, body.as_bytes()) => Ok(bundle),
            _ => Err(BundleError::BadSignature),
        }
    }

    /// The keys that may have signed tickets: all that are not disabled.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, PublicKey)> + '_ {
        self.keys
            .iter()
            .filter(|key| key.status != "disabled")
            .filter_map(|key| PublicKey::from_hex(&key.public_key))
            .map(|key| (key.id(), key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(key: &TicketKey) -> Bundle {
        let ticket = |id, name| BundleTicket {
            id: Uuid::from_u128(id),
            type_no: 1,
            generation: 3,
            state: TicketStatus::Used,
            used_at: Some(Timestamp(1_000_000)),
            name,
        };
        Bundle {
            event_id: Uuid::from_u128(1),
            sequence: 9,
            since: None,
            issued_at: Timestamp(0),
            expires_at: Timestamp(LIFE_MICROS),
            keys: vec![BundleKey {
                kid: key.id().to_string(),
                public_key: hex::encode(key.public().to_bytes()),
                status: "active".to_owned(),
            }],
            types: vec![BundleType(
                1,
                "Floor".to_owned(),
                Timestamp(0),
                Timestamp(5),
                Some(vec![0, 3]),
            )],
            reentry: false,
            tickets: vec![
                ticket(2, None),
                ticket(3, Some(None)),
                ticket(4, Some(Some("Ana".to_owned()))),
            ],
            revoked: vec![BundleRevoked(
                Uuid::from_u128(2),
                3,
                "transferred".to_owned(),
            )],
        }
    }

    fn file(key: &TicketKey, body: &str) -> Vec<u8> {
        let signature = BundleSignature::sign(key, body.as_bytes());
        format!(r#"{{"signature":"{signature}","bundle":{body}}}"#).into_bytes()
    }

    #[test]
    fn a_bundle_is_read_back_and_any_change_is_seen() {
        let key = TicketKey::from_seed(&[5; 32]);
        let bundle = sample(&key);
        let body = serde_json::to_string(&bundle).unwrap();
        assert!(
            body.contains(r#",1,3,"used","1970-01-01T00:00:01.000000Z"]"#),
            "{body}"
        );
        assert_eq!(Bundle::open(&file(&key, &body), None), Ok(bundle.clone()));
        assert_eq!(
            Bundle::open(&file(&key, &body), Some(&key.public())),
            Ok(bundle)
        );

        let mut changed = file(&key, &body);
        let at = changed.windows(4).position(|w| w == b"used").unwrap();
        changed[at..at + 4].copy_from_slice(b"vali");
        assert!(Bundle::open(&changed, None).is_err());
        let other = TicketKey::from_seed(&[6; 32]);
        assert_eq!(
            Bundle::open(&file(&other, &body), None),
            Err(BundleError::BadSignature)
        );
        assert!(matches!(
            Bundle::open(&file(&key, &body), Some(&other.public())),
            Err(BundleError::OtherKey { .. })
        ));
        assert!(matches!(
            Bundle::open(b"{}", None),
            Err(BundleError::Unreadable(_))
        ));
    }

    #[test]
    fn the_header_has_one_form() {
        let key = TicketKey::from_seed(&[5; 32]);
        let signature = BundleSignature::sign(&key, b"x");
        let text = signature.to_string();
        assert_eq!(BundleSignature::parse(&text), Some(signature));
        assert!(signature.verify(&key.public(), b"x") && !signature.verify(&key.public(), b"y"));
        for bad in [
            "",
            "ed25519=AA==; kid=00000000",
            "kid=00000000",
            &text.replace("kid", "key"),
        ] {
            assert_eq!(BundleSignature::parse(bad), None, "{bad}");
        }
    }
}
