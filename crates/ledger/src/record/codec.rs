//! A commit as the payload of one journal frame.
//!
//! Layout: header (41 bytes: version, batch, first `seq`, `recordedAt`, count of records, first
//! note, count of notes), then the records, then the notes. Each entry starts with its length
//! and its distance from the start of the payload (4 bytes each, little-endian), so that an
//! entry can be read on its own and finds its commit's header.

use florin_base::Timestamp;

use super::{
    bytes::{Malformed, Put, Read, Take},
    notes::{put_note, take_note},
    transfers::{put_transfer, take_transfer},
    wallets::{put_wallet, put_wallet_change, take_wallet, take_wallet_change},
};
use crate::{
    model::{
        AccountChange, AccountId, AccountKind, Asset, AssetKind, Body, Floor, Metadata, NewAccount,
        Record, Side, Status, Totals, Touch, Touches,
    },
    rules::book::Note,
};

/// Version of the layout.
const VERSION: u8 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 41;
/// Bytes before the body of an entry: its length and its distance from the payload's start.
pub const ENTRY_HEAD_BYTES: usize = 8;

/// The header of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Number of the commit.
    pub batch: u64,
    /// First record in it (the next one if there is none).
    pub first_seq: u64,
    /// Ledger time.
    pub recorded_at: Timestamp,
    /// Count of records.
    pub records: u32,
    /// First note in it (the next one if there is none).
    pub first_note: u64,
    /// Count of notes.
    pub notes: u32,
}

/// Encodes a commit; `offsets` receives where each record, then each note, starts.
pub fn encode(
    header: &Header,
    records: &[Record],
    notes: &[Note],
    out: &mut Vec<u8>,
    offsets: &mut Vec<u32>,
) {
    out.clear();
    offsets.clear();
    out.push(VERSION);
    out.extend_from_slice(&header.batch.to_le_bytes());
    out.extend_from_slice(&header.first_seq.to_le_bytes());
    out.micros(header.recorded_at.0);
    out.extend_from_slice(&header.records.to_le_bytes());
    out.extend_from_slice(&header.first_note.to_le_bytes());
    out.extend_from_slice(&header.notes.to_le_bytes());
    for record in records {
        entry(out, offsets, |out| put_record(record, out));
    }
    for note in notes {
        entry(out, offsets, |out| put_note(note, out));
    }
}

fn entry(out: &mut Vec<u8>, offsets: &mut Vec<u32>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    offsets.push(start as u32);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(start as u32).to_le_bytes());
    body(out);
    let length = (out.len() - start - ENTRY_HEAD_BYTES) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Reads a header.
///
/// # Errors
/// [`Malformed`] for anything but a header of this version.
pub fn decode_header(bytes: &[u8]) -> Read<Header> {
    let mut take = Take::new(bytes);
    if take.byte()? != VERSION {
        return Err(Malformed("unknown version of a commit"));
    }
    let header = Header {
        batch: take.u64()?,
        first_seq: take.u64()?,
        recorded_at: Timestamp(take.micros()?),
        records: take.u32()?,
        first_note: take.u64()?,
        notes: take.u32()?,
    };
    let last_seq = header.first_seq.checked_add(header.records.into());
    let last_note = header.first_note.checked_add(header.notes.into());
    if last_seq.is_none() || last_note.is_none() {
        return Err(Malformed("numbers beyond the largest"));
    }
    Ok(header)
}

/// Length of an entry's body and distance of the entry from its payload's start.
///
/// # Errors
/// [`Malformed`] when cut short.
pub fn decode_entry_head(bytes: &[u8]) -> Read<(usize, u64)> {
    let mut take = Take::new(bytes);
    Ok((take.u32()? as usize, u64::from(take.u32()?)))
}

/// A whole commit.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its header.
    pub header: Header,
    /// Its records.
    pub records: Vec<Record>,
    /// Its notes.
    pub notes: Vec<Note>,
    /// Where each record, then each note, starts in the payload.
    pub offsets: Vec<u32>,
}

/// Reads a whole commit.
///
/// # Errors
/// [`Malformed`] when the bytes are not a commit of this version.
pub fn decode(payload: &[u8]) -> Read<Commit> {
    let header = decode_header(payload)?;
    let count = header.records as usize + header.notes as usize;
    let mut commit = Commit {
        header,
        records: Vec::new(),
        notes: Vec::new(),
        offsets: Vec::with_capacity(count.min(payload.len())),
    };
    let mut at = HEADER_BYTES;
    for index in 0..count {
        let head = payload.get(at..).ok_or(Malformed("cut short"))?;
        let (length, distance) = decode_entry_head(head)?;
        if distance != at as u64 {
            return Err(Malformed("entry out of place"));
        }
        let body = head
            .get(ENTRY_HEAD_BYTES..ENTRY_HEAD_BYTES + length)
            .ok_or(Malformed("cut short"))?;
        commit.offsets.push(at as u32);
        if index < header.records as usize {
            commit.records.push(decode_record(
                body,
                &header,
                header.first_seq + index as u64,
            )?);
        } else {
            commit.notes.push(take_note(body)?);
        }
        at += ENTRY_HEAD_BYTES + length;
    }
    if at == payload.len() {
        Ok(commit)
    } else {
        Err(Malformed("bytes after the last entry"))
    }
}

/// Reads the body of a record's entry.
///
/// # Errors
/// [`Malformed`] when it is not one.
pub fn decode_record(body: &[u8], header: &Header, seq: u64) -> Read<Record> {
    let mut take = Take::new(body);
    let record = take_record(&mut take, header, seq)?;
    if take.is_empty() {
        Ok(record)
    } else {
        Err(Malformed("bytes after a record"))
    }
}

/// Reads the body of a note's entry.
///
/// # Errors
/// [`Malformed`] when it is not one.
pub fn decode_note(body: &[u8]) -> Read<Note> {
    take_note(body)
}

fn put_record(record: &Record, out: &mut Vec<u8>) {
    let number = match &record.body {
        Body::AssetCreated(_) => 1,
        Body::AccountCreated(_) => 2,
        Body::AccountUpdated { .. } => 3,
        Body::Transfer(_) => 4,
        Body::Expired { .. } => 5,
        Body::WalletCreated(_) => 6,
        Body::WalletUpdated { .. } => 7,
    };
    out.push(number | if record.actor.is_some() { 0x80 } else { 0 });
    out.maybe_text(record.actor.as_deref());
    match &record.body {
        Body::AssetCreated(asset) => put_asset(asset, out),
        Body::AccountCreated(account) => put_account(account, out),
        Body::AccountUpdated {
            slot,
            version,
            change,
        } => {
            out.varint(u128::from(*slot));
            out.varint(u128::from(*version));
            put_account_change(change, out);
        }
        Body::Transfer(t) => put_transfer(t, record.recorded_at, out),
        Body::Expired {
            pending_id,
            debit,
            credit,
            amount,
            effective_at,
        } => {
            out.text(pending_id);
            out.varint(u128::from(*debit));
            out.varint(u128::from(*credit));
            out.varint(*amount);
            out.micros(effective_at.0);
        }
        Body::WalletCreated(wallet) => put_wallet(wallet, out),
        Body::WalletUpdated {
            id,
            slot,
            version,
            change,
        } => {
            out.extend_from_slice(&id.to_be_bytes());
            out.varint(u128::from(*slot));
            out.varint(u128::from(*version));
            put_wallet_change(change, out);
        }
    }
    put_touches(&record.touches, out);
}

fn take_record(take: &mut Take<'_>, header: &Header, seq: u64) -> Read<Record> {
    let number = take.byte()?;
    let actor = if number & 0x80 != 0 {
        Some(take.text()?)
    } else {
        None
    };
    let body = match number & 0x7F {
        1 => Body::AssetCreated(take_asset(take)?),
        2 => Body::AccountCreated(take_account(take)?),
        3 => Body::AccountUpdated {
            slot: take.varint_u32()?,
            version: take.varint_u32()?,
            change: take_account_change(take)?,
        },
        4 => Body::Transfer(Box::new(take_transfer(take, header.recorded_at)?)),
        5 => Body::Expired {
            pending_id: take.text()?,
            debit: take.varint_u32()?,
            credit: take.varint_u32()?,
            amount: take.varint()?,
            effective_at: Timestamp(take.micros()?),
        },
        6 => Body::WalletCreated(Box::new(take_wallet(take)?)),
        7 => Body::WalletUpdated {
            id: take.u128_be()?,
            slot: take.varint_u32()?,
            version: take.varint_u32()?,
            change: Box::new(take_wallet_change(take)?),
        },
        _ => return Err(Malformed("unknown record")),
    };
    let touches = take_touches(take)?;
    Ok(Record {
        seq,
        batch: header.batch,
        recorded_at: header.recorded_at,
        actor,
        body,
        touches,
    })
}

fn put_touches(touches: &Touches, out: &mut Vec<u8>) {
    let count = touches.iter().count() as u8;
    let events = touches
        .iter()
        .enumerate()
        .fold(0, |bits, (i, t)| bits | u8::from(t.is_event) << i);
    out.push(count | events << 4);
    for touch in touches.iter() {
        out.varint(u128::from(touch.slot));
        put_totals(&touch.after, out);
    }
}

fn take_touches(take: &mut Take<'_>) -> Read<Touches> {
    let head = take.byte()?;
    let mut touches = Touches::default();
    for (i, place) in [&mut touches.first, &mut touches.second]
        .into_iter()
        .enumerate()
    {
        if i < usize::from(head & 0x0F) {
            let slot = take.varint_u32()?;
            *place = Some(Touch {
                slot,
                after: take_totals(take)?,
                is_event: head >> 4 & 1 << i != 0,
            });
        }
    }
    Ok(touches)
}

/// Appends totals and counters.
pub fn put_totals(t: &Totals, out: &mut Vec<u8>) {
    for value in [
        t.debits_posted,
        t.credits_posted,
        t.debits_pending,
        t.credits_pending,
    ] {
        out.varint(value);
    }
    out.varint(u128::from(t.postings));
    out.varint(u128::from(t.events));
}

/// Reads totals and counters.
///
/// # Errors
/// [`Malformed`] when they are not there.
pub fn take_totals(take: &mut Take<'_>) -> Read<Totals> {
    Ok(Totals {
        debits_posted: take.varint()?,
        credits_posted: take.varint()?,
        debits_pending: take.varint()?,
        credits_pending: take.varint()?,
        postings: take.varint_u64()?,
        events: take.varint_u64()?,
    })
}

pub(crate) fn put_metadata(metadata: &Metadata, out: &mut Vec<u8>) {
    out.push(metadata.pairs().len() as u8);
    for (key, value) in metadata.pairs() {
        out.text(key);
        out.text(value);
    }
}

pub(crate) fn take_metadata(take: &mut Take<'_>) -> Read<Metadata> {
    let count = take.byte()?;
    let pairs = (0..count)
        .map(|_| Ok((take.text()?, take.text()?)))
        .collect::<Read<Vec<_>>>()?;
    Metadata::try_new(pairs).map_err(Malformed)
}

pub(crate) fn put_option<T>(
    value: Option<T>,
    out: &mut Vec<u8>,
    put: impl FnOnce(T, &mut Vec<u8>),
) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(value, out);
    }
}

pub(crate) fn take_option<'a, T>(
    take: &mut Take<'a>,
    read: impl FnOnce(&mut Take<'a>) -> Read<T>,
) -> Read<Option<T>> {
    match take.byte()? {
        0 => Ok(None),
        1 => read(take).map(Some),
        _ => Err(Malformed("neither present nor absent")),
    }
}

pub(crate) fn word<T>(number: u8, from: impl FnOnce(u8) -> Option<T>) -> Read<T> {
    from(number).ok_or(Malformed("unknown word"))
}

pub(crate) fn put_asset(asset: &Asset, out: &mut Vec<u8>) {
    out.text(&asset.code);
    out.push(asset.scale);
    out.push(asset.kind as u8);
    put_option(asset.name.as_deref(), out, |name, out| out.text(name));
    put_metadata(&asset.metadata, out);
}

pub(crate) fn take_asset(take: &mut Take<'_>) -> Read<Asset> {
    Ok(Asset {
        code: take.text()?,
        scale: take.byte()?,
        kind: word(take.byte()?, AssetKind::from_number)?,
        name: take_option(take, Take::text)?,
        metadata: take_metadata(take)?,
    })
}

pub(crate) fn put_floor(floor: Floor, out: &mut Vec<u8>) {
    match floor {
        Floor::Zero => out.push(0),
        Floor::None => out.push(1),
        Floor::Minus(depth) => {
            out.push(2);
            out.varint(depth);
        }
    }
}

pub(crate) fn take_floor(take: &mut Take<'_>) -> Read<Floor> {
    match take.byte()? {
        0 => Ok(Floor::Zero),
        1 => Ok(Floor::None),
        2 => take.varint().map(Floor::Minus),
        _ => Err(Malformed("unknown floor")),
    }
}

/// Appends an account id.
pub fn put_account_id(id: &AccountId, out: &mut Vec<u8>) {
    match id {
        AccountId::Wallet(wallet) => {
            out.push(1);
            out.extend_from_slice(&wallet.to_be_bytes());
        }
        AccountId::Named(name) => {
            out.push(0);
            out.text(name);
        }
    }
}

/// Reads an account id.
///
/// # Errors
/// [`Malformed`] when it is not one.
pub fn take_account_id(take: &mut Take<'_>) -> Read<AccountId> {
    match take.byte()? {
        0 => take.text().map(|text| AccountId::Named((&*text).into())),
        1 => take.u128_be().map(AccountId::Wallet),
        _ => Err(Malformed("unknown account id")),
    }
}

fn put_account(account: &NewAccount, out: &mut Vec<u8>) {
    put_account_id(&account.id, out);
    out.varint(u128::from(account.asset));
    out.push(account.kind as u8);
    out.push(account.normal as u8);
    put_floor(account.floor, out);
    put_metadata(&account.metadata, out);
}

pub(crate) fn take_asset_no(take: &mut Take<'_>) -> Read<u16> {
    u16::try_from(take.varint_u32()?).map_err(|_| Malformed("asset number too large"))
}

fn take_account(take: &mut Take<'_>) -> Read<NewAccount> {
    Ok(NewAccount {
        id: take_account_id(take)?,
        asset: take_asset_no(take)?,
        kind: word(take.byte()?, AccountKind::from_number)?,
        normal: word(take.byte()?, Side::from_number)?,
        floor: take_floor(take)?,
        metadata: take_metadata(take)?,
    })
}

fn put_account_change(change: &AccountChange, out: &mut Vec<u8>) {
    put_option(change.floor, out, put_floor);
    put_option(change.status, out, |status, out| out.push(status as u8));
    put_option(change.metadata.as_ref(), out, put_metadata);
}

fn take_account_change(take: &mut Take<'_>) -> Read<AccountChange> {
    Ok(AccountChange {
        floor: take_option(take, take_floor)?,
        status: take_option(take, |t| word(t.byte()?, Status::from_number))?,
        metadata: take_option(take, take_metadata)?,
    })
}
