//! Results, refusals and answers.

use florin_base::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountView, WalletView, words::Word};
use crate::{
    codes::ResultCode,
    model::{AccountId, Record, TransferId},
};

/// The result of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemResult {
    /// The item's id.
    pub id: TransferId,
    /// What became of it.
    pub code: ResultCode,
    /// Its record, now or before.
    pub seq: Option<u64>,
    /// The field at fault.
    #[serde(with = "super::words::maybe")]
    pub field: Option<Word>,
    /// The refusal remembered for the id (`id_already_failed`).
    pub first_code: Option<ResultCode>,
}

/// Which limit refused, with figures where the caller may see them (contract B6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    /// `out.perTransaction`, `out.daily`, …
    #[serde(with = "super::words")]
    pub limit: Word,
    /// What is left, in minor units of the path wallet; absent for the other side's limit.
    pub remaining: Option<u128>,
    /// When the window ends; absent for `perTransaction` and for the other side's limit.
    pub resets_at: Option<Timestamp>,
}

crate::model::words! {
    /// Refusals of the wallet routes and of account, asset and reversal calls.
    RefusalCode {
        WalletNotFound = "wallet_not_found", HoldNotFound = "hold_not_found",
        TransactionNotFound = "transaction_not_found", DestinationNotFound = "destination_not_found",
        AccountNotFound = "account_not_found", AssetNotFound = "asset_not_found",
        TransferNotFound = "transfer_not_found", IdempotencyConflict = "idempotency_conflict",
        AmountPrecision = "amount_precision", AmountOutOfRange = "amount_out_of_range",
        AmountTooSmall = "amount_too_small", SameWallet = "same_wallet",
        CurrencyUnknown = "currency_unknown", CurrencyMismatch = "currency_mismatch",
        RateRequired = "rate_required", RateNotAllowed = "rate_not_allowed",
        WalletClosed = "wallet_closed", WalletFrozen = "wallet_frozen",
        DestinationClosed = "destination_closed", WalletNotEmpty = "wallet_not_empty",
        TooManyWallets = "too_many_wallets", TierUnknown = "tier_unknown",
        LimitExceeded = "limit_exceeded", InsufficientFunds = "insufficient_funds",
        HoldAlreadyCaptured = "hold_already_captured", HoldAlreadyVoided = "hold_already_voided",
        HoldExpired = "hold_expired", ExceedsHoldAmount = "exceeds_hold_amount",
        TransferNotReversible = "transfer_not_reversible", AlreadyReversed = "already_reversed",
        EffectiveTimeInFuture = "effective_time_in_future",
        EffectiveTimeInClosedPeriod = "effective_time_in_closed_period",
        EffectiveTimeBeforeOriginal = "effective_time_before_original",
        EffectiveTimeBeforePending = "effective_time_before_pending",
        Overflow = "overflow", AccountClosed = "account_closed", AccountNotEmpty = "account_not_empty",
        VersionMismatch = "version_mismatch", DebitAccountClosed = "debit_account_closed",
        CreditAccountClosed = "credit_account_closed", CounterAccountInvalid = "counter_account_invalid",
        TooManyAssets = "too_many_assets",
    }
}

impl RefusalCode {
    /// HTTP status of the refusal (contract B and its clarifications).
    pub const fn http(self) -> u16 {
        match self {
            Self::WalletNotFound
            | Self::HoldNotFound
            | Self::TransactionNotFound
            | Self::DestinationNotFound
            | Self::AccountNotFound
            | Self::AssetNotFound
            | Self::TransferNotFound => 404,
            Self::AmountPrecision
            | Self::AmountOutOfRange
            | Self::AmountTooSmall
            | Self::SameWallet
            | Self::CurrencyUnknown
            | Self::RateNotAllowed
            | Self::TierUnknown
            | Self::InsufficientFunds => 400,
            Self::CurrencyMismatch
            | Self::RateRequired
            | Self::LimitExceeded
            | Self::ExceedsHoldAmount
            | Self::EffectiveTimeInFuture
            | Self::EffectiveTimeInClosedPeriod
            | Self::EffectiveTimeBeforeOriginal
            | Self::EffectiveTimeBeforePending
            | Self::Overflow
            | Self::CounterAccountInvalid => 422,
            Self::VersionMismatch => 412,
            _ => 409,
        }
    }

    /// Remembered under the identity of a wallet operation: everything from the status check on
    /// (contract B3).
    pub const fn is_remembered(self) -> bool {
        matches!(
            self,
            Self::WalletClosed
                | Self::WalletFrozen
                | Self::DestinationClosed
                | Self::LimitExceeded
                | Self::InsufficientFunds
                | Self::Overflow
        )
    }
}

/// Why a call that is not a transfer list was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The code.
    pub code: RefusalCode,
    /// The member of the body at fault.
    pub field: Option<std::borrow::Cow<'static, str>>,
    /// For `limit_exceeded`.
    pub limit: Option<LimitHit>,
}

impl From<RefusalCode> for Refusal {
    fn from(code: RefusalCode) -> Self {
        Self {
            code,
            field: None,
            limit: None,
        }
    }
}

impl Refusal {
    /// A refusal that names the member of the body at fault.
    pub fn at(code: RefusalCode, field: &'static str) -> Self {
        Self {
            code,
            field: Some(field.into()),
            limit: None,
        }
    }
}

/// The result of one line of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineResult {
    /// Id of the asset, account, wallet or transfer.
    pub id: Box<str>,
    /// `created`, `exists`, or the code of a refusal.
    #[serde(with = "super::words")]
    pub code: Word,
    /// The field at fault.
    pub field: Option<std::borrow::Cow<'static, str>>,
}

/// What became of a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// One result for each item of [`Call::Transfers`].
    Items(Vec<ItemResult>),
    /// One result for each line of [`Call::Import`], and the accounts that it left below their
    /// lower bound (`floors=skip`).
    Lines(Vec<LineResult>, Vec<AccountId>),
    /// Done: the call's own records, in order. For [`Call::UpdateWallet`] without a change,
    /// [`Call::PatchAccount`] of nothing, and the void of a voided hold: empty.
    Done(Vec<Record>),
    /// Refused; nothing was recorded.
    Refused(Refusal),
}

/// A call's outcome with where it stands in the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// What became of the call.
    pub outcome: Outcome,
    /// An earlier outcome, answered again.
    pub replayed: bool,
    /// The commit, if this call recorded anything in it.
    pub batch: Option<u64>,
    /// Ledger time of the decision.
    pub recorded_at: Timestamp,
    /// Last `seq` that the answer reflects.
    pub seq: u64,
    /// The wallet after the call, for [`Call::CreateWallet`] and [`Call::UpdateWallet`].
    pub wallet: Option<Box<WalletView>>,
    /// The account after the call, for [`Call::CreateAccount`] and [`Call::PatchAccount`].
    pub account: Option<Box<AccountView>>,
}

/// Why a call was not decided. Every one except `CommitUnknown` promises that it was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Unavailable {
    /// The queue is full.
    #[error("too many calls are waiting")]
    Overloaded,
    /// The store takes no postings now (disk full, read-only, stopped after a fault).
    #[error("the store takes no postings now")]
    StoreUnavailable,
    /// The wall clock jumped ahead.
    #[error("the clock jumped; postings wait for an operator")]
    ClockUnsafe,
    /// The outcome was lost while committing; the same identity again settles it.
    #[error("the outcome is not known; send the same call again")]
    CommitUnknown,
}
