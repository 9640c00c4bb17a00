//! Wallets and their limits in the journal.

use super::{
    bytes::{Put, Read, Take},
    codec::{put_metadata, put_option, take_metadata, take_option, word},
};
use crate::model::{DirectionLimits, Limits, NewWallet, Status, WalletChange};

pub(super) fn put_wallet(wallet: &NewWallet, out: &mut Vec<u8>) {
    out.extend_from_slice(&wallet.id.to_be_bytes());
    out.varint(u128::from(wallet.slot));
    out.text(&wallet.user_id);
    out.text(&wallet.tier);
    put_option(wallet.label.as_deref(), out, |label, out| out.text(label));
    put_metadata(&wallet.metadata, out);
    put_option(wallet.reference_id.as_deref(), out, |reference, out| {
        out.text(reference)
    });
}

pub(super) fn take_wallet(take: &mut Take<'_>) -> Read<NewWallet> {
    Ok(NewWallet {
        id: take.u128_be()?,
        slot: take.varint_u32()?,
        user_id: take.text()?,
        tier: take.text()?,
        label: take_option(take, Take::text)?,
        metadata: take_metadata(take)?,
        reference_id: take_option(take, Take::text)?,
    })
}

/// Appends limits.
pub fn put_limits(limits: Limits, out: &mut Vec<u8>) {
    for d in [limits.out, limits.r#in] {
        for value in [d.per_transaction, d.daily, d.monthly] {
            put_option(value, out, |value, out| out.varint(value));
        }
    }
}

/// Reads limits.
///
/// # Errors
/// [`Malformed`] when they are not there.
pub fn take_limits(take: &mut Take<'_>) -> Read<Limits> {
    let mut direction = || {
        Ok(DirectionLimits {
            per_transaction: take_option(take, Take::varint)?,
            daily: take_option(take, Take::varint)?,
            monthly: take_option(take, Take::varint)?,
        })
    };
    Ok(Limits {
        out: direction()?,
        r#in: direction()?,
    })
}

pub(super) fn put_wallet_change(change: &WalletChange, out: &mut Vec<u8>) {
    put_option(change.status, out, |status, out| out.push(status as u8));
    put_option(change.tier.as_deref(), out, |tier, out| out.text(tier));
    put_option(change.limits, out, |limits, out| {
        put_option(limits, out, put_limits)
    });
    put_option(change.reason.as_deref(), out, |reason, out| {
        out.text(reason)
    });
}

pub(super) fn take_wallet_change(take: &mut Take<'_>) -> Read<WalletChange> {
    Ok(WalletChange {
        status: take_option(take, |t| word(t.byte()?, Status::from_number))?,
        tier: take_option(take, Take::text)?,
        limits: take_option(take, |t| take_option(t, take_limits))?,
        reason: take_option(take, Take::text)?,
    })
}
