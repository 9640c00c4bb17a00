//! Hashes of the contract: content digest (A1), book digest (B3), log chain (B4), derived ids.

use sha2::{Digest as _, Sha256};

use super::event::{Direction, Event, Key, State};

/// SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of bytes in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(sha256(bytes))
}

/// The first 16 hex digits of SHA-256 over the parts joined by LF: the `h` of ids such as
/// `CORR-{accountId}-{h}` (contract C3, C4).
pub fn short_id(parts: &[&str]) -> String {
    let mut text = sha256_hex(parts.join("\n").as_bytes());
    text.truncate(16);
    text
}

/// Content digest of an event: all fields of contract A1 after normalisation, each with its
/// length in front so that borders cannot move; an absent field differs from an empty one.
pub fn content(event: &Event) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut put = |value: Option<&str>| match value {
        None => hash.update([0]),
        Some(text) => {
            hash.update([1]);
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
    };
    put(Some(&event.event_id));
    put(Some(&event.account_id));
    put(Some(event.direction.as_str()));
    put(Some(&event.amount.to_string()));
    put(Some(&event.timestamp.to_string()));
    put(Some(&event.currency));
    put(event.reference.as_deref());
    put(event.description.as_deref());
    put(event.source.as_deref());
    put(event.sequence.map(|n| n.to_string()).as_deref());
    hash.finalize().into()
}

/// The digest of a book in the making: lines are added in key order (contract B3).
#[derive(Debug, Clone, Default)]
pub struct BookDigest {
    hash: Sha256,
    events: u64,
}

impl BookDigest {
    /// No line yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one event; `amount` in minor units, positive.
    pub fn add(
        &mut self,
        key: &Key,
        direction: Direction,
        amount: i128,
        state: State,
        correction: bool,
    ) {
        let line = format!(
            "{}\t{}\t{}\t{amount}\t{}\t{}\n",
            key.timestamp,
            key.event_id,
            direction.as_str(),
            state.as_str(),
            u8::from(correction)
        );
        self.hash.update(line.as_bytes());
        self.events += 1;
    }

    /// Lines so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The digest in hex.
    pub fn finish(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

/// The next link of the log's chain: SHA-256(previous hash + canonical bytes).
pub fn link(previous: &[u8; 32], canonical: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(canonical);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            event_id: "E1".into(),
            account_id: "A1".into(),
            direction: Direction::Credit,
            amount: 100,
            timestamp: 1_735_561_800_000,
            currency: "BRL".into(),
            reference: None,
            description: None,
            source: None,
            sequence: None,
        }
    }

    #[test]
    fn the_content_digest_sees_every_field() {
        let base = content(&event());
        let mut other = event();
        other.reference = Some(String::new());
        assert_ne!(content(&other), base);
        let mut other = event();
        other.sequence = Some(0);
        assert_ne!(content(&other), base);
        assert_eq!(content(&event()), base);
    }

    #[test]
    fn the_book_digest_is_the_hash_of_its_lines() {
        let mut digest = BookDigest::new();
        digest.add(
            &Key::new(5, "E1"),
            Direction::Debit,
            250,
            State::Held,
            false,
        );
        assert_eq!(digest.events(), 1);
        assert_eq!(digest.finish(), sha256_hex(b"5\tE1\tdebit\t250\theld\t0\n"));
    }

    #[test]
    fn short_ids_are_16_hex_digits_of_the_joined_parts() {
        assert_eq!(
            short_id(&["c1", "A1", "BRL"]),
            sha256_hex(b"c1\nA1\nBRL")[..16]
        );
    }
}
