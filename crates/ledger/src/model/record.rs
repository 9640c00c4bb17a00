//! The immutable records of the change feed (contract A2, A8).

use florin_base::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AccountId, AccountKind, Asset, AssetNo, Floor, Limits, Metadata, Mode, Side, Slot, Status,
    Totals, words,
};

words! {
    /// Type of a wallet transaction (contract B4); `Hold` marks the pending transfer of a hold.
    WalletType {
        Deposit = "DEPOSIT", Withdrawal = "WITHDRAWAL", Transfer = "TRANSFER", Capture = "CAPTURE",
        Reversal = "REVERSAL", Adjustment = "ADJUSTMENT", Payment = "PAYMENT", Refund = "REFUND",
        Payout = "PAYOUT", Hold = "HOLD", HoldVoid = "HOLD_VOID",
    }
}

/// Which room's operation a transfer came from (contract A8, `origin`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the room, `wallets` for the wallet routes.
    pub module: Box<str>,
    /// Type of operation.
    pub r#type: WalletType,
    /// The caller's reference, as the identity of the operation.
    pub reference_id: Option<Box<str>>,
    /// The wallet in the path of the call.
    pub wallet_id: u128,
    /// The receiving wallet.
    pub destination_wallet_id: Option<u128>,
    /// The hold (id of its pending transfer).
    pub hold_id: Option<TransferId>,
    /// Exchange rate, as given by the caller.
    pub rate: Option<Box<str>>,
}

/// The id of a transfer: caller's, a UUID, or made by the server with a `:` suffix.
pub type TransferId = Box<str>;

/// One transfer as recorded (contract A2, A8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Unique in the ledger.
    pub id: TransferId,
    /// What it does.
    pub mode: Mode,
    /// Account debited.
    pub debit: Slot,
    /// Account credited.
    pub credit: Slot,
    /// Minor units; for a post what is moved, for a void the full reservation.
    pub amount: u128,
    /// Asset of both accounts.
    pub asset: AssetNo,
    /// Type of posting, `^[a-z][a-z0-9_]{0,31}$`.
    pub code: Box<str>,
    /// When it counts.
    pub effective_at: Timestamp,
    /// The pending transfer a post or void resolves.
    pub pending_id: Option<TransferId>,
    /// Time-out given with a pending transfer, in seconds.
    pub timeout_seconds: Option<u32>,
    /// When a pending transfer expires.
    pub expires_at: Option<Timestamp>,
    /// Id of the chain's first item and the place in the chain from 0.
    pub chain: Option<(TransferId, u32)>,
    /// The transfer this one reverses.
    pub reversal_of: Option<TransferId>,
    /// Free text.
    pub description: Option<Box<str>>,
    /// Caller's own pairs.
    pub metadata: Metadata,
    /// When the source of an import recorded it; kept, not an axis.
    pub source_recorded_at: Option<Timestamp>,
    /// Which room's operation it belongs to.
    pub origin: Option<Origin>,
    /// Imported with floors skipped (contract G).
    pub floor_skipped: bool,
    /// For a post: the whole reservation, in minor units. Kept in the journal, not in the feed.
    pub reserved: Option<u128>,
    /// For a reversal of something counted against limits: the time in whose windows it gives
    /// back. Kept in the journal, not in the feed.
    pub limit_window: Option<Timestamp>,
}

/// An account as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccount {
    /// Its id.
    pub id: AccountId,
    /// Its asset.
    pub asset: AssetNo,
    /// Its kind.
    pub kind: AccountKind,
    /// The side on which it grows.
    pub normal: Side,
    /// Its lower bound.
    pub floor: Floor,
    /// Caller's own pairs.
    pub metadata: Metadata,
}

/// What a PATCH of an account changed; `None` = unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccountChange {
    /// New lower bound.
    pub floor: Option<Floor>,
    /// New status.
    pub status: Option<Status>,
    /// New pairs, replacing all.
    pub metadata: Option<Metadata>,
}

/// A wallet as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewWallet {
    /// Its id; its account is `florin:wallet:{id}`.
    pub id: u128,
    /// Its account.
    pub slot: Slot,
    /// Its owner.
    pub user_id: Box<str>,
    /// Tier of limits.
    pub tier: Box<str>,
    /// Shown name.
    pub label: Option<Box<str>>,
    /// Caller's own pairs.
    pub metadata: Metadata,
    /// The caller's identity of the creation, kept for replay.
    pub reference_id: Option<Box<str>>,
}

/// What changed about a wallet; `None` = unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WalletChange {
    /// New status.
    pub status: Option<Status>,
    /// New tier.
    pub tier: Option<Box<str>>,
    /// New limits, whole; `Some(None)` drops the wallet's own ones in favour of its tier's.
    pub limits: Option<Option<Limits>>,
    /// Why.
    pub reason: Option<Box<str>>,
}

/// The content of a record (contract A8: `type` and `data`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// `asset.created`.
    AssetCreated(Asset),
    /// `account.created`.
    AccountCreated(NewAccount),
    /// `account.updated`.
    AccountUpdated {
        /// The account.
        slot: Slot,
        /// Its version after the change.
        version: u32,
        /// What changed.
        change: AccountChange,
    },
    /// `transfer`.
    Transfer(Box<Transfer>),
    /// `transfer.expired`; its id is `{pendingId}:exp`.
    Expired {
        /// The pending transfer.
        pending_id: TransferId,
        /// Account of the reserved debit.
        debit: Slot,
        /// Account of the reserved credit.
        credit: Slot,
        /// What is released, in minor units.
        amount: u128,
        /// Its `expiresAt`.
        effective_at: Timestamp,
    },
    /// `wallet.created`.
    WalletCreated(Box<NewWallet>),
    /// `wallet.updated`.
    WalletUpdated {
        /// The wallet.
        id: u128,
        /// Its account.
        slot: Slot,
        /// Its version after the change.
        version: u32,
        /// What changed.
        change: Box<WalletChange>,
    },
}

/// An account's totals right after a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// The account.
    pub slot: Slot,
    /// Its totals after the record.
    pub after: Totals,
    /// The record is an event of this wallet, number `after.events`.
    pub is_event: bool,
}

/// One immutable record of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// 1, 2, 3 … without gaps.
    pub seq: u64,
    /// Number of the commit.
    pub batch: u64,
    /// Ledger time of the commit.
    pub recorded_at: Timestamp,
    /// Subject of the credential; absent for the server's own acts.
    pub actor: Option<Box<str>>,
    /// What was recorded.
    pub body: Body,
    /// Totals after it: debit account first, then credit account; the wallet's account for
    /// wallet records; empty for assets. Not part of the feed line.
    pub touches: Touches,
}

/// At most two [`Touch`]es, without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Touches {
    /// The debited account, or the account of an account or wallet record.
    pub first: Option<Touch>,
    /// The credited account.
    pub second: Option<Touch>,
}

impl Touches {
    /// Those present, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Touch> {
        self.first.iter().chain(self.second.iter())
    }

    /// The totals of an account after the record.
    pub fn of(&self, slot: Slot) -> Option<&Touch> {
        self.iter().find(|t| t.slot == slot)
    }
}

impl Record {
    /// The transfer in it.
    pub fn transfer(&self) -> Option<&Transfer> {
        match &self.body {
            Body::Transfer(t) => Some(t),
            _ => None,
        }
    }
}
