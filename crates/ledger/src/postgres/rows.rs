//! Forms of values in rows: keys of identities, totals, windows, tails, chunks of entries. Pure.

use florin_base::{Timestamp, ids::parse_canonical_uuid};
use uuid::Uuid;

use crate::{
    call::Used,
    codes::ResultCode,
    engine::identity_key,
    model::{Record, Totals},
    record::{
        bytes::{Malformed, Put, Read, Take},
        codec::{ENTRY_HEAD_BYTES, Header, decode_entry_head, decode_record},
    },
    rules::book::{Known, Space, Windows},
};

/// Most bytes of entries in one chunk, so that its row fits a page of 8 KiB.
const CHUNK_BYTES: usize = 8_000;
/// Bits of the version digit of a UUID.
const VERSION_SHIFT: u32 = 76;
/// Version digit of hashed keys.
const HASHED: u128 = 0xE;

/// The key of an identity in `ids`.
pub(super) fn key(hash_key: &[u8; 16], space: Space, scope: &[u8], id: &str) -> Uuid {
    if space == Space::Transfer
        && let Some(uuid) = parse_canonical_uuid(id)
        && uuid.as_u128() >> VERSION_SHIFT & 0xF == 7
    {
        return uuid;
    }
    let hash = identity_key(hash_key, space, scope, id);
    Uuid::from_u128(hash & !(0xF << VERSION_SHIFT) | HASHED << VERSION_SHIFT)
}

/// A [`Known`] as `ids.known`.
pub(super) fn known_number(known: Known) -> i64 {
    match known {
        Known::Record(seq) => (seq as i64) << 2,
        Known::Refused(code) => i64::from(code as u8) << 2 | 1,
        Known::Note(number) => (number as i64) << 2 | 2,
    }
}

/// The [`Known`] of `ids.known`.
pub(super) fn known(number: i64) -> Read<Known> {
    let value = (number >> 2) as u64;
    match number & 3 {
        0 => Ok(Known::Record(value)),
        1 => u8::try_from(value)
            .ok()
            .and_then(ResultCode::from_number)
            .map(Known::Refused)
            .ok_or(Malformed("unknown result code")),
        2 => Ok(Known::Note(value)),
        _ => Err(Malformed("unknown kind of identity")),
    }
}

/// `balances.high` of totals: `None` when every total fits 64 bits.
pub(super) fn high(t: &Totals) -> Option<Vec<u8>> {
    let values = [
        t.debits_posted,
        t.credits_posted,
        t.debits_pending,
        t.credits_pending,
    ];
    if values.iter().all(|value| value >> 64 == 0) {
        return None;
    }
    let bytes = values
        .iter()
        .flat_map(|value| ((value >> 64) as u64).to_le_bytes());
    Some(bytes.collect())
}

/// Totals of a row of `balances`; `low` are dp, cp, dr, cr.
pub(super) fn totals(
    low: [i64; 4],
    high: Option<&[u8]>,
    postings: i64,
    events: i64,
) -> Read<Totals> {
    let mut values = low.map(|low| u128::from(low as u64));
    if let Some(high) = high {
        let (parts, rest) = high.as_chunks::<8>();
        if parts.len() != 4 || !rest.is_empty() {
            return Err(Malformed("high parts of totals"));
        }
        for (value, part) in values.iter_mut().zip(parts) {
            *value |= u128::from(u64::from_le_bytes(*part)) << 64;
        }
    }
    let [
        debits_posted,
        credits_posted,
        debits_pending,
        credits_pending,
    ] = values;
    Ok(Totals {
        debits_posted,
        credits_posted,
        debits_pending,
        credits_pending,
        postings: postings as u64,
        events: events as u64,
    })
}

/// `balances.windows`; `None` for windows never used.
pub(super) fn put_windows(windows: &Windows) -> Option<Vec<u8>> {
    if *windows == Windows::default() {
        return None;
    }
    let mut out = Vec::with_capacity(32);
    out.micros(windows.day);
    out.micros(windows.month);
    let used = &windows.used;
    for value in [used.out_day, used.out_month, used.in_day, used.in_month] {
        out.varint(value);
    }
    Some(out)
}

/// Reads what [`put_windows`] wrote.
pub(super) fn take_windows(bytes: &[u8]) -> Read<Windows> {
    let mut take = Take::new(bytes);
    Ok(Windows {
        day: take.micros()?,
        month: take.micros()?,
        used: Used {
            out_day: take.varint()?,
            out_month: take.varint()?,
            in_day: take.varint()?,
            in_month: take.varint()?,
        },
    })
}

/// Numbers of records, 8 bytes little-endian each (`balances.tail`, `entries.seqs`).
pub(super) fn put_seqs(seqs: &[u64]) -> Vec<u8> {
    seqs.iter().flat_map(|seq| seq.to_le_bytes()).collect()
}

/// Reads what [`put_seqs`] wrote.
pub(super) fn take_seqs(bytes: &[u8]) -> Read<Vec<u64>> {
    let (parts, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Malformed("numbers of records cut short"));
    }
    Ok(parts.iter().map(|part| u64::from_le_bytes(*part)).collect())
}

/// A run of entries for one row of `journal` or `notes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Place of its first entry in the commit.
    pub first: usize,
    /// Count of entries.
    pub count: usize,
    /// Where its bytes start and end in the payload.
    pub bytes: (usize, usize),
}

/// Cuts consecutive entries into chunks; `starts` are where they start, `end` is where the last
/// one ends.
pub(super) fn chunks(starts: &[u32], end: usize) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for (index, start) in starts.iter().enumerate() {
        let start = *start as usize;
        let stop = starts.get(index + 1).map_or(end, |next| *next as usize);
        match chunks.last_mut() {
            Some(chunk) if stop - chunk.bytes.0 <= CHUNK_BYTES => {
                chunk.count += 1;
                chunk.bytes.1 = stop;
            }
            _ => chunks.push(Chunk {
                first: index,
                count: 1,
                bytes: (start, stop),
            }),
        }
    }
    chunks
}

/// The bodies of a chunk's entries, in order.
pub(super) fn bodies(entries: &[u8]) -> impl Iterator<Item = Read<&[u8]>> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (body, after) = match split_entry(rest) {
            Ok(parts) => parts,
            Err(error) => {
                rest = &[];
                return Some(Err(error));
            }
        };
        rest = after;
        Some(Ok(body))
    })
}

fn split_entry(bytes: &[u8]) -> Read<(&[u8], &[u8])> {
    let (length, _) = decode_entry_head(bytes)?;
    let body = bytes.get(ENTRY_HEAD_BYTES..ENTRY_HEAD_BYTES + length);
    let body = body.ok_or(Malformed("an entry is cut short"))?;
    Ok((body, &bytes[ENTRY_HEAD_BYTES + length..]))
}

/// The commit that a record's entry needs to be read.
pub(super) fn header(batch: u64, recorded_at: i64) -> Header {
    Header {
        batch,
        first_seq: 0,
        recorded_at: Timestamp(recorded_at),
        records: 0,
        first_note: 0,
        notes: 0,
    }
}

/// The records of a row of `journal`, in order.
pub(super) fn records(
    entries: &[u8],
    first_seq: u64,
    batch: u64,
    recorded_at: i64,
) -> Read<Vec<Record>> {
    let header = header(batch, recorded_at);
    (first_seq..)
        .zip(bodies(entries))
        .map(|(seq, body)| decode_record(body?, &header, seq))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_uuid7_transfer_ids_are_the_ids_and_never_meet_hashed_ones() {
        let hash_key = [7; 16];
        let id = "01989c5e-7a2b-7c3d-8e4f-0123456789ab";
        assert_eq!(key(&hash_key, Space::Transfer, &[], id).to_string(), id);
        for (space, id) in [
            (Space::Resolution, id),
            (Space::Transfer, "a"),
            (Space::Transfer, "01989c5e-7a2b-4c3d-8e4f-0123456789ab"),
        ] {
            let hashed = key(&hash_key, space, &[], id);
            assert_eq!(hashed.as_u128() >> VERSION_SHIFT & 0xF, HASHED);
            assert_ne!(hashed.to_string(), id);
        }
    }

    #[test]
    fn values_come_back_as_they_were() {
        for value in [
            Known::Record(i64::MAX as u64 >> 2),
            Known::Refused(ResultCode::InsufficientFunds),
            Known::Note(3),
        ] {
            assert_eq!(known(known_number(value)), Ok(value));
        }
        let big = Totals {
            debits_posted: u128::MAX,
            credits_posted: 1 << 63,
            debits_pending: 5,
            credits_pending: 1 << 64,
            postings: 9,
            events: 2,
        };
        for t in [big, Totals::default()] {
            let low = [
                t.debits_posted,
                t.credits_posted,
                t.debits_pending,
                t.credits_pending,
            ]
            .map(|v| v as i64);
            let back = totals(low, high(&t).as_deref(), t.postings as i64, t.events as i64);
            assert_eq!(back, Ok(t));
        }
        let mut windows = Windows {
            day: -3,
            month: 24_300,
            used: Used::default(),
        };
        windows.used.in_month = u128::MAX;
        let bytes = put_windows(&windows).expect("not empty");
        assert_eq!(take_windows(&bytes), Ok(windows));
        assert_eq!(take_seqs(&put_seqs(&[1, u64::MAX])), Ok(vec![1, u64::MAX]));
    }

    #[test]
    fn chunks_hold_every_entry_once_and_fit_a_page() {
        let starts = [41, 4_041, 8_041, 8_042, 30_000];
        let chunks = chunks(&starts, 30_010);
        let shapes: Vec<_> = chunks.iter().map(|c| (c.first, c.count, c.bytes)).collect();
        assert_eq!(
            shapes,
            [
                (0, 2, (41, 8_041)),
                (2, 1, (8_041, 8_042)),
                (3, 1, (8_042, 30_000)),
                (4, 1, (30_000, 30_010)),
            ]
        );
    }
}
