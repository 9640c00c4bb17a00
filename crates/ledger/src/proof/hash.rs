//! The hashes of contract A9: leaf, node, batch root and chain. All are SHA-256.
//!
//! Every kind of input starts with its own byte (`0x00` leaf, `0x01` node, `0x02` chain,
//! `0x03` chain start), so that no input of one kind can stand for one of another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;
const CHAIN: u8 = 0x02;
const CHAIN_START: u8 = 0x03;
const LEDGER_FORMAT: &[u8; 15] = b"florin-ledger/1";

/// A SHA-256 hash: 32 bytes, shown and serialised as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// The text is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hex digits")]
pub struct HashParseError;

impl Hash {
    /// The 32 raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashParseError;

    fn from_str(text: &str) -> Result<Self, HashParseError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| HashParseError)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Hash of a feed line. `line` is the canonical line without its final `\n`.
#[must_use]
pub fn leaf(line: &[u8]) -> Hash {
    debug_assert!(line.last() != Some(&b'\n'), "the line end is not hashed");
    Hash(
        Sha256::new()
            .chain_update([LEAF])
            .chain_update(line)
            .finalize()
            .into(),
    )
}

/// Hash of an inner node of the tree.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [NODE; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    Hash(Sha256::digest(bytes).into())
}

/// Root of the tree without leaves: the hash of no bytes.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// Root of the RFC 6962 tree over `leaves`; for the leaves of one batch, its `batchRoot`.
#[must_use]
pub fn batch_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node(&batch_root(left), &batch_root(right))
        }
    }
}

/// `chain(0)`: binds the chain to one ledger.
#[must_use]
pub fn chain0(ledger_id: Uuid) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([CHAIN_START])
            .chain_update(LEDGER_FORMAT)
            .chain_update(ledger_id.as_bytes())
            .finalize()
            .into(),
    )
}

/// `chain(b)` from `chain(b − 1)`: `batch` is b (from 1), `first_seq` the `seq` of its first
/// line, `count` its number of lines and `batch_root` the root over its leaves.
#[must_use]
pub fn chain(previous: &Hash, batch: u64, first_seq: u64, count: u64, batch_root: &Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([CHAIN])
            .chain_update(previous.0)
            .chain_update(batch.to_be_bytes())
            .chain_update(first_seq.to_be_bytes())
            .chain_update(count.to_be_bytes())
            .chain_update(batch_root.0)
            .finalize()
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(code: &str, seq: u64) -> String {
        format!(
            r#"{{"batch":1,"data":{{"code":"{code}","kind":"fiat","scale":2}},"recordedAt":"2026-01-01T00:00:00.000000Z","seq":{seq},"type":"asset.created","v":1}}"#
        )
    }

    /// INV-L23: the vector of contract A9.
    #[test]
    fn the_published_vector_holds() {
        let ledger_id: Uuid = "0190f000-0000-7000-8000-000000000001".parse().unwrap();
        let leaves = [
            leaf(line("BRL", 1).as_bytes()),
            leaf(line("USD", 2).as_bytes()),
        ];
        assert_eq!(
            leaves.map(|l| l.to_string()),
            [
                "3f3c8564ca47f6dc347d1e491ed63f815c42fccb88de8823312b38d6a01de13f",
                "c71d05048eb124e03b877c37e893dff425fdd456461f82bcce855772bc5113a8"
            ]
        );
        let root = batch_root(&leaves);
        assert_eq!(
            root.to_string(),
            "6f28a1c61f3213cfe8bbf912dfb66b1a8bf5386f723987b7e008301fba0d0ade"
        );
        let start = chain0(ledger_id);
        assert_eq!(
            start.to_string(),
            "edc94d2d6c3a2d544565f10b043f6c2f63184f1534daf3fceaf068de073c6084"
        );
        assert_eq!(
            chain(&start, 1, 1, 2, &root).to_string(),
            "edf795180ae53629acd8fb0bbe256ecd78e384a66304dac1ab37d7fd10644a14"
        );
    }

    #[test]
    fn the_empty_tree_is_the_hash_of_no_bytes() {
        assert_eq!(
            batch_root(&[]).to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn hex_is_read_strictly() {
        let text = empty_root().to_string();
        assert_eq!(text.parse(), Ok(empty_root()));
        assert_eq!(text[1..].parse::<Hash>(), Err(HashParseError));
        assert_eq!(text.replace('e', "g").parse::<Hash>(), Err(HashParseError));
    }
}
