//! A transfer in the journal.

use florin_base::Timestamp;

use super::{
    bytes::{Put, Read, Take},
    codec::{put_metadata, put_option, take_asset_no, take_metadata, take_option, word},
};
use crate::model::{Metadata, Mode, Origin, Transfer, WalletType};

// Presence bits of a transfer's optional members.
const EFFECTIVE: u16 = 1;
const PENDING: u16 = 1 << 1;
const TIMEOUT: u16 = 1 << 2;
const EXPIRES: u16 = 1 << 3;
const CHAIN: u16 = 1 << 4;
const REVERSAL: u16 = 1 << 5;
const DESCRIPTION: u16 = 1 << 6;
const METADATA: u16 = 1 << 7;
const SOURCE: u16 = 1 << 8;
const ORIGIN: u16 = 1 << 9;
const FLOOR_SKIPPED: u16 = 1 << 10;
const WINDOW: u16 = 1 << 11;
const RESERVED: u16 = 1 << 12;

pub(super) fn put_transfer(t: &Transfer, recorded_at: Timestamp, out: &mut Vec<u8>) {
    let bits = [
        (t.effective_at != recorded_at, EFFECTIVE),
        (t.pending_id.is_some(), PENDING),
        (t.timeout_seconds.is_some(), TIMEOUT),
        (t.expires_at.is_some(), EXPIRES),
        (t.chain.is_some(), CHAIN),
        (t.reversal_of.is_some(), REVERSAL),
        (t.description.is_some(), DESCRIPTION),
        (!t.metadata.is_empty(), METADATA),
        (t.source_recorded_at.is_some(), SOURCE),
        (t.origin.is_some(), ORIGIN),
        (t.floor_skipped, FLOOR_SKIPPED),
        (t.limit_window.is_some(), WINDOW),
        (t.reserved.is_some(), RESERVED),
    ];
    let flags = bits
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(0u16, |flags, (_, bit)| flags | bit);
    out.extend_from_slice(&flags.to_le_bytes());
    out.push(t.mode as u8);
    out.text(&t.id);
    out.varint(u128::from(t.debit));
    out.varint(u128::from(t.credit));
    out.varint(t.amount);
    out.varint(u128::from(t.asset));
    out.text(&t.code);
    if flags & EFFECTIVE != 0 {
        out.micros(t.effective_at.0);
    }
    out.maybe_text(t.pending_id.as_deref());
    if let Some(seconds) = t.timeout_seconds {
        out.varint(u128::from(seconds));
    }
    if let Some(at) = t.expires_at {
        out.micros(at.0);
    }
    if let Some((id, index)) = &t.chain {
        out.text(id);
        out.varint(u128::from(*index));
    }
    out.maybe_text(t.reversal_of.as_deref());
    out.maybe_text(t.description.as_deref());
    if flags & METADATA != 0 {
        put_metadata(&t.metadata, out);
    }
    if let Some(at) = t.source_recorded_at {
        out.micros(at.0);
    }
    if let Some(origin) = &t.origin {
        put_origin(origin, out);
    }
    if let Some(at) = t.limit_window {
        out.micros(at.0);
    }
    if let Some(reserved) = t.reserved {
        out.varint(reserved);
    }
}

pub(super) fn take_transfer(take: &mut Take<'_>, recorded_at: Timestamp) -> Read<Transfer> {
    let flags = u16::from_le_bytes([take.byte()?, take.byte()?]);
    let has = |bit: u16| flags & bit != 0;
    let mode = word(take.byte()?, Mode::from_number)?;
    Ok(Transfer {
        mode,
        id: take.text()?,
        debit: take.varint_u32()?,
        credit: take.varint_u32()?,
        amount: take.varint()?,
        asset: take_asset_no(take)?,
        code: take.text()?,
        effective_at: if has(EFFECTIVE) {
            Timestamp(take.micros()?)
        } else {
            recorded_at
        },
        pending_id: if has(PENDING) {
            Some(take.text()?)
        } else {
            None
        },
        timeout_seconds: if has(TIMEOUT) {
            Some(take.varint_u32()?)
        } else {
            None
        },
        expires_at: if has(EXPIRES) {
            Some(Timestamp(take.micros()?))
        } else {
            None
        },
        chain: if has(CHAIN) {
            Some((take.text()?, take.varint_u32()?))
        } else {
            None
        },
        reversal_of: if has(REVERSAL) {
            Some(take.text()?)
        } else {
            None
        },
        description: if has(DESCRIPTION) {
            Some(take.text()?)
        } else {
            None
        },
        metadata: if has(METADATA) {
            take_metadata(take)?
        } else {
            Metadata::default()
        },
        source_recorded_at: if has(SOURCE) {
            Some(Timestamp(take.micros()?))
        } else {
            None
        },
        origin: if has(ORIGIN) {
            Some(take_origin(take)?)
        } else {
            None
        },
        floor_skipped: has(FLOOR_SKIPPED),
        limit_window: if has(WINDOW) {
            Some(Timestamp(take.micros()?))
        } else {
            None
        },
        reserved: if has(RESERVED) {
            Some(take.varint()?)
        } else {
            None
        },
    })
}

fn put_origin(origin: &Origin, out: &mut Vec<u8>) {
    out.text(&origin.module);
    out.push(origin.r#type as u8);
    put_option(origin.reference_id.as_deref(), out, |text, out| {
        out.text(text)
    });
    out.extend_from_slice(&origin.wallet_id.to_be_bytes());
    put_option(origin.destination_wallet_id, out, |id, out| {
        out.extend_from_slice(&id.to_be_bytes())
    });
    put_option(origin.hold_id.as_deref(), out, |text, out| out.text(text));
    put_option(origin.rate.as_deref(), out, |text, out| out.text(text));
}

fn take_origin(take: &mut Take<'_>) -> Read<Origin> {
    Ok(Origin {
        module: take.text()?,
        r#type: word(take.byte()?, WalletType::from_number)?,
        reference_id: take_option(take, Take::text)?,
        wallet_id: take.u128_be()?,
        destination_wallet_id: take_option(take, Take::u128_be)?,
        hold_id: take_option(take, Take::text)?,
        rate: take_option(take, Take::text)?,
    })
}
