//! A segment: lines of the feed, packed, and the manifest that ties them to a signed checkpoint.
//! Pure but for reading the view.

use std::io::{Read as _, Write as _};

use anyhow::Context as _;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use florin_ledger::ReadView;
use florin_ledger::proof::hash::leaf;
use florin_ledger::proof::{Checkpoint, Frontier, Hash, VerifierKey, verify_consistency};
use florin_platform::blobs::Key;
use ring::digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Records of a segment at most.
pub const RECORDS_MAX: u64 = 65_536;
/// Bytes of lines after which no more are added.
const LINES_FULL: usize = 32 << 20;
/// Bytes of lines of one segment: what is full, and one more read of the longest lines.
pub const LINES_MAX: u64 = 128 << 20;
/// Bytes of a packed segment.
pub const PACKED_MAX: u64 = 128 << 20;
/// Records read at a time. A line has less than 1 MiB.
const READ: u64 = 64;

/// What a segment is, and who signed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// Whose records.
    pub ledger_id: Uuid,
    /// The first record.
    pub first_seq: u64,
    /// The last record.
    pub last_seq: u64,
    /// Bytes of the lines, line ends included.
    pub bytes: u64,
    /// SHA-256 of those bytes, hex.
    pub sha256: String,
    /// Root of the tree over all records up to the last one.
    pub root_hash: Hash,
    /// A signed checkpoint at or after the last record.
    pub checkpoint: Checkpoint,
    /// Proof that the checkpoint's tree begins with this one (RFC 6962, section 2.1.2).
    pub consistency: Vec<Hash>,
}

/// Lines and their manifest.
#[derive(Debug)]
pub struct Segment {
    /// Exact lines, each with its line end.
    pub lines: Vec<u8>,
    /// What they are.
    pub manifest: Manifest,
}

/// What is wrong with a segment that was read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It does not begin where the one before ended.
    #[error("begins at {found}, expected {expected}")]
    Gap {
        /// Number that should come.
        expected: u64,
        /// Number that came.
        found: u64,
    },
    /// Another ledger's.
    #[error("belongs to another ledger")]
    OtherLedger,
    /// Bytes that were not written.
    #[error("its lines are not those of its manifest")]
    Lines,
    /// The tree over the lines is another one.
    #[error("its records do not give the root of its manifest")]
    Root,
    /// The checkpoint does not cover it, or says something else.
    #[error("its checkpoint does not vouch for it: {0}")]
    Checkpoint(String),
}

fn key(ledger: Uuid, first: u64, ending: &str) -> anyhow::Result<Key> {
    Key::parse(&format!("{ledger}/{first:020}.{ending}")).context("a name of the archive")
}

/// Name of the lines.
///
/// # Errors
/// None in practice: the name is made of digits.
pub fn lines_key(ledger: Uuid, first: u64) -> anyhow::Result<Key> {
    key(ledger, first, "ndjson.gz")
}

/// Name of the manifest.
///
/// # Errors
/// As [`lines_key`].
pub fn manifest_key(ledger: Uuid, first: u64) -> anyhow::Result<Key> {
    key(ledger, first, "json")
}

/// Lines in some bytes.
pub fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// Lines out of their package.
///
/// # Errors
/// A package that is none, or larger than a segment can be.
pub fn unpacked(packed: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut lines = Vec::new();
    GzDecoder::new(packed)
        .take(LINES_MAX + 1)
        .read_to_end(&mut lines)
        .context("a segment cannot be unpacked")?;
    anyhow::ensure!(lines.len() as u64 <= LINES_MAX, "a segment is too large");
    Ok(lines)
}

impl Manifest {
    /// Whether another one speaks of the same records.
    pub fn describes_as(&self, other: &Self) -> bool {
        let said = |one: &Self| {
            (
                one.ledger_id,
                one.first_seq,
                one.last_seq,
                one.bytes,
                one.root_hash,
            )
        };
        said(self) == said(other) && self.sha256 == other.sha256
    }
}

impl Segment {
    /// Records after `after`: exactly so many, or a full segment as far as the checkpoint covers
    /// it. Blocks.
    ///
    /// # Errors
    /// The view cannot be read.
    pub fn make(
        view: &ReadView,
        ledger_id: Uuid,
        after: u64,
        records: Option<u64>,
        checkpoint: Checkpoint,
    ) -> anyhow::Result<Self> {
        let end = checkpoint
            .tree_size
            .min(after + records.unwrap_or(RECORDS_MAX));
        let full = records.map_or(LINES_FULL, |_| usize::MAX);
        let (mut lines, mut last) = (Vec::new(), after);
        while last < end && lines.len() < full {
            let next = view.feed(last, usize::try_from((end - last).min(READ))?, &mut lines)?;
            anyhow::ensure!(next > last, "record {} cannot be read", last + 1);
            last = next;
        }
        anyhow::ensure!(last > after, "no record after {after}");
        // What could not be read again is not written.
        anyhow::ensure!(
            lines.len() as u64 <= LINES_MAX && count(&lines) == last - after,
            "the records after {after} do not make a segment"
        );
        let consistency = match last == checkpoint.tree_size {
            true => Vec::new(),
            false => view.consistency(last, checkpoint.tree_size)?,
        };
        let manifest = Manifest {
            ledger_id,
            first_seq: after + 1,
            last_seq: last,
            bytes: lines.len() as u64,
            sha256: sha256(&lines),
            root_hash: view.root(last)?,
            checkpoint,
            consistency,
        };
        Ok(Self { lines, manifest })
    }

    /// The lines packed.
    ///
    /// # Errors
    /// None in practice: memory is written.
    pub fn packed(&self) -> anyhow::Result<Vec<u8>> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(&self.lines)?;
        Ok(packer.finish()?)
    }

    /// Holds lines and manifest against each other, against what came before, and against the
    /// signature; `tree` holds all records before and then these too. Without keys the signature
    /// is not looked at.
    ///
    /// # Errors
    /// The first [`Damage`] that is found.
    pub fn check(
        &self,
        ledger_id: Uuid,
        tree: &mut Frontier,
        keys: &[VerifierKey],
    ) -> Result<(), Damage> {
        let manifest = &self.manifest;
        if manifest.ledger_id != ledger_id {
            return Err(Damage::OtherLedger);
        }
        let expected = tree.size() + 1;
        if manifest.first_seq != expected {
            return Err(Damage::Gap {
                expected,
                found: manifest.first_seq,
            });
        }
        let whole = self.lines.last() == Some(&b'\n')
            && self.lines.len() as u64 == manifest.bytes
            && sha256(&self.lines) == manifest.sha256;
        let records = manifest.last_seq.checked_sub(tree.size());
        if !whole || records != Some(count(&self.lines)) {
            return Err(Damage::Lines);
        }
        let (ends, mut from) = (memchr::memchr_iter(b'\n', &self.lines), 0);
        for end in ends {
            tree.push(leaf(&self.lines[from..end]));
            from = end + 1;
        }
        if tree.root() != manifest.root_hash {
            return Err(Damage::Root);
        }
        let checkpoint = &manifest.checkpoint;
        if !keys.is_empty() {
            checkpoint
                .verify(ledger_id, keys)
                .map_err(|error| Damage::Checkpoint(error.to_string()))?;
        }
        verify_consistency(
            manifest.last_seq,
            &manifest.root_hash,
            checkpoint.tree_size,
            &checkpoint.root_hash,
            &manifest.consistency,
        )
        .map_err(|error| Damage::Checkpoint(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use florin_ledger::proof::{CheckpointBody, Signer};

    use super::*;

    const LEDGER: Uuid = Uuid::from_u128(7);

    fn signer() -> Signer {
        Signer::from_seed("test", &[3; 32]).expect("a name")
    }

    fn lines(from: u64, to: u64) -> Vec<u8> {
        (from..=to)
            .flat_map(|seq| format!("{{\"seq\":{seq}}}\n").into_bytes())
            .collect()
    }

    fn tree(to: u64) -> Frontier {
        let mut tree = Frontier::new();
        for seq in 1..=to {
            tree.push(leaf(format!("{{\"seq\":{seq}}}").as_bytes()));
        }
        tree
    }

    /// Records `first..=last` under a checkpoint at exactly `last`.
    fn segment(first: u64, last: u64) -> Segment {
        let body = CheckpointBody {
            ledger_id: LEDGER,
            tree_size: last,
            root_hash: tree(last).root(),
            batch: last,
            chain_hash: Hash([1; 32]),
        };
        let lines = lines(first, last);
        let manifest = Manifest {
            ledger_id: LEDGER,
            first_seq: first,
            last_seq: last,
            bytes: lines.len() as u64,
            sha256: sha256(&lines),
            root_hash: tree(last).root(),
            checkpoint: Checkpoint::sign(1, &body, &[&signer()]),
            consistency: Vec::new(),
        };
        Segment { lines, manifest }
    }

    fn keys() -> Vec<VerifierKey> {
        vec![signer().verifier_key().clone()]
    }

    #[test]
    fn dep_089_segments_follow_each_other_and_hold_against_the_signature() {
        let mut before = Frontier::new();
        for (first, last) in [(1, 5), (6, 6), (7, 300)] {
            let one = segment(first, last);
            let packed = one.packed().expect("memory");
            assert_eq!(unpacked(&packed).expect("a package"), one.lines);
            one.check(LEDGER, &mut before, &keys()).expect("whole");
        }
        assert_eq!(before.size(), 300);
        let again = segment(7, 300).check(LEDGER, &mut before, &keys());
        assert_eq!(
            again,
            Err(Damage::Gap {
                expected: 301,
                found: 7
            })
        );
    }

    #[test]
    fn dep_089_whatever_is_changed_is_found() {
        type Change = fn(&mut Segment);
        let changes: [(Change, &str); 7] = [
            (|s| s.lines[8] ^= 1, "lines"),
            (
                |s| {
                    s.lines.pop();
                },
                "lines",
            ),
            (|s| s.manifest.last_seq += 1, "lines"),
            (|s| s.manifest.root_hash = Hash([9; 32]), "root"),
            (
                |s| {
                    // Lines and manifest changed together: the signature tells.
                    s.lines[8] ^= 1;
                    s.manifest.sha256 = sha256(&s.lines);
                    let mut other = Frontier::new();
                    for line in s.lines.split_inclusive(|byte| *byte == b'\n') {
                        other.push(leaf(&line[..line.len() - 1]));
                    }
                    s.manifest.root_hash = other.root();
                },
                "checkpoint",
            ),
            (
                |s| s.manifest.checkpoint.root_hash = Hash([9; 32]),
                "checkpoint",
            ),
            (|s| s.manifest.ledger_id = Uuid::from_u128(8), "ledger"),
        ];
        for (at, (change, found)) in changes.into_iter().enumerate() {
            let mut one = segment(1, 5);
            change(&mut one);
            let damage = one
                .check(LEDGER, &mut Frontier::new(), &keys())
                .expect_err("changed");
            let word = match damage {
                Damage::Lines => "lines",
                Damage::Root => "root",
                Damage::Checkpoint(_) => "checkpoint",
                Damage::OtherLedger => "ledger",
                Damage::Gap { .. } => "gap",
            };
            assert_eq!(word, found, "change {at}");
        }
    }

    #[test]
    fn names_sort_as_their_records_do() {
        let of = |first| lines_key(LEDGER, first).expect("a key").to_string();
        assert!(of(9) < of(10) && of(99_999) < of(100_000));
        assert!(manifest_key(LEDGER, u64::MAX).is_ok());
    }
}
