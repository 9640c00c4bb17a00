//! The provenance log (contract D6): what a leaf says, and how a holder proves his own.
//!
//! A leaf shows outsiders that a ticket went one step further, and neither person nor price: it
//! holds a commitment to the payload under a random salt, and the hash of the ticket's leaf before
//! it. Salt and payload are with the holder.

mod receipt;

use florin_base::Timestamp;
use florin_ledger::proof::Hash;
use florin_ledger::proof::hash::leaf as leaf_hash;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::canonical::{NotWhole, canonical};
use super::ticket_status::Transition;

pub use receipt::{ProofError, Proven, Receipt, ReceiptEntry, TicketCheckpoint, prove};

/// What a commitment is about.
pub const DOMAIN: &[u8] = b"florin.provenance.v1";

/// One transition of a ticket, as it is committed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload<'a> {
    /// When, in microseconds.
    pub at: i64,
    /// Currency of the price.
    pub currency: &'a str,
    /// The event.
    pub event_id: &'a str,
    /// Generation from then on.
    pub generation: u16,
    /// E-mail of the holder from then on, in lower case.
    pub holder: Option<&'a str>,
    /// What happened.
    pub kind: Transition,
    /// What was paid for the ticket without fees (s of contract C1), as a decimal.
    pub price: &'a str,
    /// The ticket.
    pub ticket_id: &'a str,
}

impl Payload<'_> {
    /// Its canonical JSON.
    pub fn canonical(&self) -> String {
        let value = json!({
            "at": instant(self.at),
            "currency": self.currency,
            "eventId": self.event_id,
            "generation": self.generation,
            "holder": self.holder,
            "kind": self.kind.as_str(),
            "price": self.price,
            "ticketId": self.ticket_id,
        });
        canonical(&value).expect("the payload's only number is a generation")
    }
}

/// An instant without needless zeros: `2030-01-01T00:00:00Z`, or with six fraction digits.
fn instant(micros: i64) -> String {
    let text = Timestamp(micros).to_string();
    match text.strip_suffix(".000000Z") {
        Some(whole) => format!("{whole}Z"),
        None => text,
    }
}

/// SHA-256 of [`DOMAIN`], a zero byte, the salt and the canonical payload.
pub fn commit(salt: &[u8; 32], payload: &str) -> Hash {
    let digest = Sha256::new()
        .chain_update(DOMAIN)
        .chain_update([0])
        .chain_update(salt)
        .chain_update(payload);
    Hash(digest.finalize().into())
}

/// The commitment to a payload that was read as JSON.
///
/// # Errors
/// [`NotWhole`] for a payload that nobody here has written.
pub fn commit_value(salt: &[u8; 32], payload: &Value) -> Result<Hash, NotWhole> {
    Ok(commit(salt, &canonical(payload)?))
}

/// The bytes of a leaf and their hash. `prev` is the hash of the ticket's leaf before it.
pub fn leaf(commit: &Hash, prev: Option<&Hash>) -> (String, Hash) {
    let prev = prev.map_or(Value::Null, |hash| json!(hash));
    let value = json!({"commit": commit, "prev": prev, "v": 1});
    let text = canonical(&value).expect("the leaf's only number is its version");
    let hash = leaf_hash(text.as_bytes());
    (text, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of contract D6.
    #[test]
    fn the_published_vector_holds() {
        let salt: [u8; 32] = std::array::from_fn(|i| 0x20 + i as u8);
        let payload = Payload {
            at: Timestamp::parse("2030-01-01T00:00:00Z").unwrap().0,
            currency: "EUR",
            event_id: "019a9c00-0000-7000-8000-0000000000ee",
            generation: 1,
            holder: Some("ana@example.com"),
            kind: Transition::Issued,
            price: "45.00",
            ticket_id: "019a9c00-0000-7000-8000-000000000001",
        }
        .canonical();
        assert_eq!(
            payload,
            r#"{"at":"2030-01-01T00:00:00Z","currency":"EUR","eventId":"019a9c00-0000-7000-8000-0000000000ee","generation":1,"holder":"ana@example.com","kind":"issued","price":"45.00","ticketId":"019a9c00-0000-7000-8000-000000000001"}"#
        );
        let commit = commit(&salt, &payload);
        assert_eq!(
            commit.to_string(),
            "5418fc2e85a025847d64444c0efa69d3b038b34efa8fab308cbc58ac06e32298"
        );
        assert_eq!(
            commit_value(&salt, &serde_json::from_str(&payload).unwrap()),
            Ok(commit)
        );
        let (_, hash) = leaf(&commit, None);
        assert_eq!(
            hash.to_string(),
            "51a240cc98dd395f2b82d18580e112cc22e9aed6a3625e655c0d5bef02d77fb8"
        );
        let (text, _) = leaf(&commit, Some(&hash));
        assert!(text.contains(&format!("\"prev\":\"{hash}\"")), "{text}");
    }

    #[test]
    fn fractions_of_a_second_are_written_only_when_there_are_some() {
        assert_eq!(instant(0), "1970-01-01T00:00:00Z");
        assert_eq!(instant(1), "1970-01-01T00:00:00.000001Z");
    }
}
