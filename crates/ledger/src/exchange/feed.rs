//! Reads one exact feed line (contract A8) back into its values, with names instead of numbers.
//!
//! Reading is strict about members, types and words. It is lenient about spelling (spaces, order
//! of members, `Z` or an offset): who needs the exact bytes writes the values again and compares.

use florin_base::{Timestamp, ids::parse_canonical_uuid};
use serde::Deserialize;

use super::{
    error::{LineError, wrong},
    shapes::{
        RawAccount, RawAccountUpdate, RawAsset, RawDirection, RawExpired, RawLine, RawOrigin,
        RawTransfer, RawWallet, RawWalletUpdate,
    },
};
use crate::{
    model::{
        AccountChange, AccountId, AccountKind, Asset, AssetKind, DirectionLimits, Floor, Limits,
        Metadata, Mode, Origin, Side, Status, TransferId, WalletChange, WalletType,
    },
    rules::prepare::{RawPairs, Text, parse_minor},
};

/// One line of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedLine {
    /// Its place in the ledger, from 1.
    pub seq: u64,
    /// Its commit, from 1.
    pub batch: u64,
    /// Ledger time of the commit.
    pub recorded_at: Timestamp,
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// What was recorded.
    pub data: FeedData,
}

/// The `data` of a line by its `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedData {
    /// `asset.created`.
    AssetCreated(Asset),
    /// `account.created`.
    AccountCreated(FeedAccount),
    /// `account.updated`.
    AccountUpdated {
        /// The account.
        id: AccountId,
        /// Its version after the change.
        version: u32,
        /// What changed.
        change: AccountChange,
    },
    /// `transfer`.
    Transfer(Box<FeedTransfer>),
    /// `transfer.expired`.
    Expired {
        /// The pending transfer.
        pending_id: TransferId,
        /// When its release counts.
        effective_at: Timestamp,
    },
    /// `wallet.created`.
    WalletCreated(Box<FeedWallet>),
    /// `wallet.updated`.
    WalletUpdated {
        /// The wallet.
        id: u128,
        /// Its version after the change.
        version: u32,
        /// What changed.
        change: Box<WalletChange>,
    },
}

/// The data of `account.created`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedAccount {
    /// Its id.
    pub id: AccountId,
    /// Asset code.
    pub asset: Box<str>,
    /// Its kind.
    pub kind: AccountKind,
    /// The side on which it grows.
    pub normal: Side,
    /// Its lower bound.
    pub floor: Floor,
    /// Caller's own pairs.
    pub metadata: Metadata,
}

/// The data of `transfer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedTransfer {
    /// Unique in the ledger.
    pub id: TransferId,
    /// What it does.
    pub mode: Mode,
    /// Account debited.
    pub debit: AccountId,
    /// Account credited.
    pub credit: AccountId,
    /// Minor units.
    pub amount: u128,
    /// Asset code.
    pub asset: Box<str>,
    /// Type of posting.
    pub code: Box<str>,
    /// When it counts.
    pub effective_at: Timestamp,
    /// The pending transfer that it resolves.
    pub pending_id: Option<TransferId>,
    /// Time-out in seconds.
    pub timeout_seconds: Option<u32>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Chain and place in it.
    pub chain: Option<(TransferId, u32)>,
    /// The transfer that it reverses.
    pub reversal_of: Option<TransferId>,
    /// Free text.
    pub description: Option<Box<str>>,
    /// Caller's own pairs.
    pub metadata: Metadata,
    /// When the source of an import recorded it.
    pub source_recorded_at: Option<Timestamp>,
    /// Which room's operation it belongs to.
    pub origin: Option<Origin>,
    /// Imported with floors skipped.
    pub floor_skipped: bool,
}

/// The data of `wallet.created`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedWallet {
    /// Its id.
    pub id: u128,
    /// Its owner.
    pub user_id: Box<str>,
    /// Currency code.
    pub currency: Box<str>,
    /// Tier of limits.
    pub tier: Box<str>,
    /// Shown name.
    pub label: Option<Box<str>>,
    /// Caller's own pairs.
    pub metadata: Metadata,
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8], within: &'static str) -> Result<T, LineError> {
    serde_json::from_slice(bytes).map_err(|error| LineError::from_json::<T>(bytes, &error, within))
}

pub(super) fn time(text: &str, field: &'static str) -> Result<Timestamp, LineError> {
    Timestamp::parse(text).map_err(|why| wrong(field, why))
}

pub(super) fn account_id(text: &str, field: &'static str) -> Result<AccountId, LineError> {
    AccountId::parse(text).ok_or_else(|| wrong(field, "must be an account id"))
}

fn minor(text: &str, field: &'static str) -> Result<u128, LineError> {
    parse_minor(text).ok_or_else(|| wrong(field, "must be whole minor units below 2^128"))
}

fn uuid(text: &str, field: &'static str) -> Result<u128, LineError> {
    let uuid = parse_canonical_uuid(text);
    uuid.map(|id| id.as_u128())
        .ok_or_else(|| wrong(field, "must be a lower-case UUID"))
}

pub(super) fn metadata(pairs: Option<RawPairs>) -> Result<Metadata, LineError> {
    Metadata::try_new(pairs.unwrap_or_default().0).map_err(|why| wrong("metadata", why))
}

pub(super) fn word<T>(
    text: &str,
    field: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, LineError> {
    read(text).ok_or_else(|| wrong(field, "is not one of the known words"))
}

/// `mayOverdraw` with `floorMinor` (contract A1).
pub(super) fn floor(may_overdraw: bool, floor_minor: Option<&str>) -> Result<Floor, LineError> {
    match (may_overdraw, floor_minor) {
        (false, None) => Ok(Floor::Zero),
        (true, None) => Ok(Floor::None),
        (false, Some(_)) => Err(wrong("floorMinor", "needs `mayOverdraw` true")),
        (true, Some(text)) => {
            let depth = match text.strip_prefix('-') {
                Some(digits) => parse_minor(digits).filter(|depth| *depth > 0),
                None => parse_minor(text).filter(|depth| *depth == 0),
            };
            depth
                .filter(|depth| *depth <= 1 << 127)
                .map(Floor::Minus)
                .ok_or_else(|| wrong("floorMinor", "must be a whole number from -(2^127) to 0"))
        }
    }
}

fn wallet_status(text: &str) -> Option<Status> {
    Status::ALL
        .iter()
        .copied()
        .find(|status| status.wallet_word() == text)
}

impl FeedLine {
    /// Reads a line, without its line end.
    ///
    /// # Errors
    /// [`LineError`] names the member that is not what contract A8 says.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let raw: RawLine<'_> = json(line, "")?;
        if raw.v != 1 {
            return Err(wrong("v", "is a version that this build does not read"));
        }
        let recorded_at = time(&raw.recorded_at, "recordedAt")?;
        let data = raw.data.get().as_bytes();
        let (actor, data) = match &*raw.r#type {
            "asset.created" => asset(json(data, "data")?)?,
            "account.created" => account(json(data, "data")?)?,
            "account.updated" => account_update(json(data, "data")?)?,
            "transfer" => transfer(json(data, "data")?)?,
            "transfer.expired" => expired(json(data, "data")?)?,
            "wallet.created" => wallet(json(data, "data")?)?,
            "wallet.updated" => wallet_update(json(data, "data")?)?,
            _ => return Err(wrong("type", "is not a type of record")),
        };
        Ok(Self {
            seq: raw.seq,
            batch: raw.batch,
            recorded_at,
            actor,
            data,
        })
    }
}

type Read = Result<(Option<Box<str>>, FeedData), LineError>;

fn asset(raw: RawAsset) -> Read {
    let asset = Asset {
        code: raw.code,
        scale: raw.scale,
        kind: word(&raw.kind, "kind", AssetKind::from_word)?,
        name: raw.name,
        metadata: metadata(raw.metadata)?,
    };
    Ok((raw.actor, FeedData::AssetCreated(asset)))
}

fn account(raw: RawAccount<'_>) -> Read {
    let account = FeedAccount {
        id: account_id(&raw.id, "id")?,
        asset: raw.asset,
        kind: word(&raw.kind, "kind", AccountKind::from_word)?,
        normal: word(&raw.normal_side, "normalSide", Side::from_word)?,
        floor: floor(raw.may_overdraw, raw.floor_minor.as_deref())?,
        metadata: metadata(raw.metadata)?,
    };
    Ok((raw.actor, FeedData::AccountCreated(account)))
}

fn account_update(raw: RawAccountUpdate<'_>) -> Read {
    let floor = match (raw.may_overdraw, raw.floor_minor.as_deref()) {
        (None, None) => None,
        (None, Some(_)) => return Err(wrong("floorMinor", "needs `mayOverdraw`")),
        (Some(may), text) => Some(floor(may, text)?),
    };
    let status = raw.status.as_deref();
    let change = AccountChange {
        floor,
        status: status
            .map(|text| word(text, "status", Status::from_word))
            .transpose()?,
        metadata: raw
            .metadata
            .map(|pairs| metadata(Some(pairs)))
            .transpose()?,
    };
    let data = FeedData::AccountUpdated {
        id: account_id(&raw.id, "id")?,
        version: raw.version,
        change,
    };
    Ok((raw.actor, data))
}

fn transfer(raw: RawTransfer<'_>) -> Read {
    let maybe_time =
        |text: Option<Text<'_>>, field| text.map(|text| time(&text, field)).transpose();
    let chain = match (raw.chain_id, raw.chain_index) {
        (None, None) => None,
        (Some(id), Some(index)) => Some((id, index)),
        (Some(_), None) => return Err(wrong("chainIndex", "is missing beside `chainId`")),
        (None, Some(_)) => return Err(wrong("chainId", "is missing beside `chainIndex`")),
    };
    let transfer = FeedTransfer {
        id: raw.id,
        mode: word(&raw.mode, "mode", Mode::from_word)?,
        debit: account_id(&raw.debit_account_id, "debitAccountId")?,
        credit: account_id(&raw.credit_account_id, "creditAccountId")?,
        amount: minor(&raw.amount_minor, "amountMinor")?,
        asset: raw.asset,
        code: raw.code,
        effective_at: time(&raw.effective_at, "effectiveAt")?,
        pending_id: raw.pending_id,
        timeout_seconds: raw.timeout_seconds,
        expires_at: maybe_time(raw.expires_at, "expiresAt")?,
        chain,
        reversal_of: raw.reversal_of,
        description: raw.description,
        metadata: metadata(raw.metadata)?,
        source_recorded_at: maybe_time(raw.source_recorded_at, "sourceRecordedAt")?,
        origin: raw.origin.map(origin).transpose()?,
        floor_skipped: raw.floor_skipped.unwrap_or(false),
    };
    Ok((raw.actor, FeedData::Transfer(Box::new(transfer))))
}

fn origin(raw: RawOrigin<'_>) -> Result<Origin, LineError> {
    Ok(Origin {
        module: raw.module,
        r#type: word(&raw.r#type, "origin.type", WalletType::from_word)?,
        reference_id: raw.reference_id,
        wallet_id: uuid(&raw.wallet_id, "origin.walletId")?,
        destination_wallet_id: raw
            .destination_wallet_id
            .map(|id| uuid(&id, "origin.destinationWalletId"))
            .transpose()?,
        hold_id: raw.hold_id,
        rate: raw.rate,
    })
}

fn expired(raw: RawExpired<'_>) -> Read {
    if raw.id.strip_suffix(":exp") != Some(&*raw.pending_id) {
        return Err(wrong("id", "must be `pendingId` with :exp"));
    }
    let data = FeedData::Expired {
        effective_at: time(&raw.effective_at, "effectiveAt")?,
        pending_id: raw.pending_id,
    };
    Ok((raw.actor, data))
}

fn wallet(raw: RawWallet<'_>) -> Read {
    let wallet = FeedWallet {
        id: uuid(&raw.id, "id")?,
        user_id: raw.user_id,
        currency: raw.currency,
        tier: raw.tier,
        label: raw.label,
        metadata: metadata(raw.metadata)?,
    };
    Ok((raw.actor, FeedData::WalletCreated(Box::new(wallet))))
}

fn wallet_update(raw: RawWalletUpdate<'_>) -> Read {
    let status = raw.status.as_deref();
    let change = WalletChange {
        status: status
            .map(|text| word(text, "status", wallet_status))
            .transpose()?,
        tier: raw.tier,
        limits: match raw.limits {
            None => None,
            Some(None) => Some(None),
            Some(Some(raw)) => Some(Some(Limits {
                out: direction(raw.out)?,
                r#in: direction(raw.r#in)?,
            })),
        },
        reason: raw.reason,
    };
    let data = FeedData::WalletUpdated {
        id: uuid(&raw.id, "id")?,
        version: raw.version,
        change: Box::new(change),
    };
    Ok((raw.actor, data))
}

fn direction(raw: RawDirection<'_>) -> Result<DirectionLimits, LineError> {
    let limit = |text: Option<Text<'_>>| text.map(|text| minor(&text, "limits")).transpose();
    Ok(DirectionLimits {
        per_transaction: limit(raw.per_transaction)?,
        daily: limit(raw.daily)?,
        monthly: limit(raw.monthly)?,
    })
}
