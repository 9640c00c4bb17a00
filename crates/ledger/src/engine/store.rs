//! What is on disk, for every reader: the journal, the index made from it, the directory.

use std::sync::Arc;

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

use super::directory::Directory;
use crate::{
    codes::ResultCode,
    engine::ReadError,
    index::{ArrayId, ArraySpec, Cumulate, Index, Layout, TableId, TableSpec},
    journal::{JournalReader, Lsn},
    model::{Body, Mode, Record, Slot, Totals},
    record::{
        bytes::{Put, Read, Take},
        codec::{self, ENTRY_HEAD_BYTES, HEADER_BYTES, Header},
    },
    rules::book::{Known, Note, Space},
};

/// Identities: keyed hash → [`Known`].
pub(super) const IDS: TableId = TableId(0);
/// (account, `seq`) → what the record did and the totals after it.
pub(super) const ENTRIES: TableId = TableId(1);
/// (account, `effectiveAt`, `seq`) → what a record changed that does not count when recorded.
pub(super) const BACKDATED: TableId = TableId(2);
/// `seq` - 1 → address of the record's entry.
pub(super) const SEQS: ArrayId = ArrayId(0);
/// `batch` - 1 → first `seq`, ledger time, address of the payload.
pub(super) const BATCHES: ArrayId = ArrayId(1);
/// `batch` - 1 → chain hash.
pub(super) const CHAIN: ArrayId = ArrayId(2);
/// Note number - 1 → address of the note's entry.
pub(super) const NOTES: ArrayId = ArrayId(3);
/// Merkle nodes over 256 leaves each.
pub(super) const LEVEL8: ArrayId = ArrayId(4);

/// Bytes of an element of [`BATCHES`].
pub(super) const BATCH_BYTES: usize = 24;

/// Tables and arrays of the index.
pub(super) fn layout() -> Layout {
    Layout {
        tables: vec![
            TableSpec::point("ids", 16),
            TableSpec::ordered("entries", 12, 4),
            TableSpec::ordered("backdated", 20, 4)
                .cumulate(Arc::new(Sums))
                .keep_merged_inputs()
                .flush_records(1 << 14),
        ],
        arrays: vec![
            ArraySpec::new("seqs", 8),
            ArraySpec::new("batches", BATCH_BYTES),
            ArraySpec::new("chain", 32),
            ArraySpec::new("notes", 8),
            ArraySpec::new("level8", 32),
        ],
    }
}

/// Change of the totals of an account by one record, or a sum of such changes; modulo 2^128, so
/// that sums of decreases and increases come out exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Delta([u128; 5]);

impl Delta {
    /// What a record changed about the totals of an account.
    pub(crate) fn of(record: &Record, slot: Slot) -> Self {
        let (debit, released, posted, reserved) = match &record.body {
            Body::Transfer(t) => {
                let full = t.reserved.unwrap_or(t.amount);
                match t.mode {
                    Mode::Single => (t.debit, 0, t.amount, 0),
                    Mode::Pending => (t.debit, 0, 0, t.amount),
                    Mode::Post => (t.debit, full, t.amount, 0),
                    Mode::Void => (t.debit, t.amount, 0, 0),
                }
            }
            Body::Expired { debit, amount, .. } => (*debit, *amount, 0, 0),
            _ => return Self::default(),
        };
        let pending = reserved.wrapping_sub(released);
        let count = u128::from(posted > 0);
        if slot == debit {
            Self([posted, 0, pending, 0, count])
        } else {
            Self([0, posted, 0, pending, count])
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_add(other.0[i])))
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_sub(other.0[i])))
    }

    pub(crate) const fn from_totals(t: &Totals) -> Self {
        Self([
            t.debits_posted,
            t.credits_posted,
            t.debits_pending,
            t.credits_pending,
            t.postings as u128,
        ])
    }

    pub(crate) const fn to_totals(self) -> Totals {
        Totals {
            debits_posted: self.0[0],
            credits_posted: self.0[1],
            debits_pending: self.0[2],
            credits_pending: self.0[3],
            postings: self.0[4] as u64,
            events: 0,
        }
    }

    pub(crate) fn put(self, out: &mut Vec<u8>) {
        for value in self.0 {
            let signed = value as i128;
            out.varint(((signed << 1) ^ (signed >> 127)) as u128);
        }
    }

    pub(crate) fn take(bytes: &[u8]) -> Read<Self> {
        let mut take = Take::new(bytes);
        let mut delta = Self::default();
        for value in &mut delta.0 {
            let zigzag = take.varint()?;
            *value = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
        }
        Ok(delta)
    }
}

/// Running sums of [`Delta`]s.
struct Sums;

impl Cumulate for Sums {
    fn add(&self, sum: &mut Vec<u8>, _key: &[u8], delta: &[u8]) {
        let before = Delta::take(sum).unwrap_or_default();
        let delta = Delta::take(delta).unwrap_or_default();
        sum.clear();
        before.plus(delta).put(sum);
    }
}

/// The files of a ledger.
pub(super) struct Store {
    pub index: Index,
    pub journal: JournalReader,
    pub directory: Arc<Directory>,
    pub hash_key: [u8; 16],
}

fn broken(error: impl std::fmt::Display) -> ReadError {
    ReadError::Store(error.to_string())
}

/// The place of an identity in [`IDS`].
pub(crate) fn identity_key(hash_key: &[u8; 16], space: Space, scope: &[u8], id: &str) -> u128 {
    let mut hasher = SipHasher13::new_with_key(hash_key);
    hasher.write_u8(space as u8);
    hasher.write_u32(scope.len() as u32);
    hasher.write(scope);
    hasher.write(id.as_bytes());
    hasher.finish128().as_u128()
}

/// A [`Known`] as a value of [`IDS`].
pub(super) fn put_known(known: Known, out: &mut Vec<u8>) {
    match known {
        Known::Record(seq) => {
            out.push(0);
            out.varint(u128::from(seq));
        }
        Known::Refused(code) => out.extend_from_slice(&[1, code as u8]),
        Known::Note(number) => {
            out.push(2);
            out.varint(u128::from(number));
        }
    }
}

fn take_known(bytes: &[u8]) -> Option<Known> {
    let mut take = Take::new(bytes);
    match take.byte().ok()? {
        0 => take.varint_u64().ok().map(Known::Record),
        1 => ResultCode::from_number(take.byte().ok()?).map(Known::Refused),
        2 => take.varint_u64().ok().map(Known::Note),
        _ => None,
    }
}

impl Store {
    pub(super) fn known(&self, key: u128) -> Result<Option<Known>, ReadError> {
        let Some(value) = self.index.get(IDS, &key.to_be_bytes()).map_err(broken)? else {
            return Ok(None);
        };
        take_known(&value)
            .map(Some)
            .ok_or_else(|| broken("an identity in the index is malformed"))
    }

    fn entry(&self, lsn: u64) -> Result<(Header, Vec<u8>), ReadError> {
        let mut head = [0; ENTRY_HEAD_BYTES];
        self.journal
            .read_exact_at(Lsn(lsn), &mut head)
            .map_err(broken)?;
        let (length, distance) = codec::decode_entry_head(&head).map_err(broken)?;
        let mut body = vec![0; length];
        self.journal
            .read_exact_at(Lsn(lsn + ENTRY_HEAD_BYTES as u64), &mut body)
            .map_err(broken)?;
        let mut header = [0; HEADER_BYTES];
        let start = lsn
            .checked_sub(distance)
            .ok_or_else(|| broken("an entry points before the journal"))?;
        self.journal
            .read_exact_at(Lsn(start), &mut header)
            .map_err(broken)?;
        Ok((codec::decode_header(&header).map_err(broken)?, body))
    }

    fn address(&self, array: ArrayId, number: u64) -> Result<u64, ReadError> {
        let missing = || broken(format!("number {number} is not in the index"));
        let index = number.checked_sub(1).ok_or_else(missing)?;
        let bytes = self
            .index
            .array(array)
            .get::<8>(index)
            .map_err(broken)?
            .ok_or_else(missing)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A record that is indexed.
    pub(super) fn record(&self, seq: u64) -> Result<Record, ReadError> {
        let (header, body) = self.entry(self.address(SEQS, seq)?)?;
        codec::decode_record(&body, &header, seq).map_err(broken)
    }

    /// A note that is indexed.
    pub(super) fn note(&self, number: u64) -> Result<Note, ReadError> {
        let (_, body) = self.entry(self.address(NOTES, number)?)?;
        codec::decode_note(&body).map_err(broken)
    }

    /// Address of the last payload with records that is indexed.
    pub(super) fn last_indexed_payload(&self) -> Result<Option<u64>, ReadError> {
        Ok(self
            .batch(self.index.array(BATCHES).len())?
            .map(|(_, _, payload)| payload))
    }

    /// First `seq`, ledger time in microseconds, payload address of an indexed commit.
    pub(super) fn batch(&self, number: u64) -> Result<Option<(u64, i64, u64)>, ReadError> {
        let Some(index) = number.checked_sub(1) else {
            return Ok(None);
        };
        let bytes = self
            .index
            .array(BATCHES)
            .get::<BATCH_BYTES>(index)
            .map_err(broken)?;
        Ok(bytes.map(|b| split_batch(&b)))
    }
}

/// The parts of an element of [`BATCHES`].
pub(super) fn split_batch(bytes: &[u8]) -> (u64, i64, u64) {
    let part = |at: usize| -> [u8; 8] {
        bytes[at..at + 8]
            .try_into()
            .expect("elements have 24 bytes")
    };
    (
        u64::from_le_bytes(part(0)),
        i64::from_le_bytes(part(8)),
        u64::from_le_bytes(part(16)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_with_decreases_sum_exactly() {
        let up = Delta([5, 0, 100, u128::MAX, 1]);
        let mut sum = Vec::new();
        let mut bytes = Vec::new();
        up.put(&mut bytes);
        Sums.add(&mut sum, &[], &bytes);
        let mut bytes = Vec::new();
        Delta([1, 0, 100u128.wrapping_neg(), 1, 0]).put(&mut bytes);
        Sums.add(&mut sum, &[], &bytes);
        assert_eq!(Delta::take(&sum), Ok(Delta([6, 0, 0, 0, 1])));
    }
}
