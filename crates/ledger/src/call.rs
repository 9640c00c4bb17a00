//! What callers ask of a ledger and what they are answered. Both engines speak these types.

use florin_base::{Decimal, Timestamp};

use crate::{
    codes::ResultCode,
    model::{
        AccountChange, AccountFacts, AccountId, AccountKind, Asset, AssetNo, Floor, Limits,
        Metadata, Mode, Record, Side, Slot, Status, Totals, TransferId, WalletType,
    },
};

/// One item of a transfer call with its values read. Grammar (ranks 3 to 9) was judged by
/// [`crate::rules::prepare`]; what it found stands in `invalid`.
#[derive(Debug, Clone)]
pub struct Item {
    /// Caller's id, or one made from the call's `Idempotency-Key`.
    pub id: TransferId,
    /// What it does.
    pub mode: Mode,
    /// `debitAccountId`, if given.
    pub debit: Option<AccountId>,
    /// `creditAccountId`, if given.
    pub credit: Option<AccountId>,
    /// `amountMinor`, if given.
    pub amount: Option<u128>,
    /// Asset code, if given.
    pub asset: Option<Box<str>>,
    /// Type of posting, if given.
    pub code: Option<Box<str>>,
    /// The pending transfer a post or void resolves.
    pub pending_id: Option<TransferId>,
    /// Time-out of a pending transfer, in seconds.
    pub timeout_seconds: Option<u32>,
    /// When it counts, if given.
    pub effective_at: Option<Timestamp>,
    /// Chained to the next item.
    pub linked: bool,
    /// Free text.
    pub description: Option<Box<str>>,
    /// Caller's own pairs.
    pub metadata: Metadata,
    /// The first refusal by value, with its field.
    pub invalid: Option<(ResultCode, &'static str)>,
}

/// An `Idempotency-Key` with its scope (contract A3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallKey {
    /// Subject of the credential.
    pub scope: Box<str>,
    /// The key as sent.
    pub key: Box<str>,
    /// One 8-byte digest for each item (or member of the body), to name the first that differs.
    pub digests: Vec<u64>,
}

/// `POST /ledger/transfers`.
#[derive(Debug, Clone)]
pub struct TransfersCall {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// 1 to 8190 items.
    pub items: Vec<Item>,
    /// The call's key.
    pub key: Option<CallKey>,
}

/// `POST /ledger/transfers/{id}/reverse` and `POST /transactions/{id}/reverse`.
#[derive(Debug, Clone)]
pub struct ReverseCall {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// The transfer to reverse; a member of a chain reverses the chain.
    pub id: TransferId,
    /// Why.
    pub reason: Box<str>,
    /// When it counts, if given.
    pub effective_at: Option<Timestamp>,
    /// Caller's own pairs.
    pub metadata: Metadata,
    /// Called on a wallet route: only wallet transactions, and wallet codes for refusals.
    pub as_wallet: bool,
}

/// `POST /ledger/accounts`.
#[derive(Debug, Clone)]
pub struct CreateAccount {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// Its id (caller's, or made by the server when `key` is given).
    pub id: AccountId,
    /// Asset code.
    pub asset: Box<str>,
    /// Its kind.
    pub kind: AccountKind,
    /// The side on which it grows; `None` = the kind's usual side.
    pub normal: Option<Side>,
    /// Its lower bound.
    pub floor: Floor,
    /// Caller's own pairs.
    pub metadata: Metadata,
    /// Identity when the server made the id.
    pub key: Option<CallKey>,
}

/// `PATCH /ledger/accounts/{id}`.
#[derive(Debug, Clone)]
pub struct PatchAccount {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// The account.
    pub id: AccountId,
    /// What changes.
    pub change: AccountChange,
    /// `If-Match`.
    pub if_version: Option<u32>,
}

/// An amount as it stood in the body of a wallet call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalletAmount {
    /// The decimal as written.
    pub decimal: Decimal,
    /// It was a JSON number (profile `compat` rounds those).
    pub is_number: bool,
}

/// An exchange rate: target per one source, in major units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// As written; at most 20 digits before and 18 after the point, above zero.
    pub text: Box<str>,
    /// Its value.
    pub value: Decimal,
}

/// The identity of a wallet operation (contract B3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `referenceId`, the header's key, or one made by the server.
    pub id: Box<str>,
    /// Made by the server: there is nothing to look up.
    pub generated: bool,
}

/// Deposit, withdraw, transfer, hold, and the in-process payments of other rooms.
#[derive(Debug, Clone)]
pub struct WalletMove {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// Only a wallet of this user is visible (role `user`).
    pub owner: Option<Box<str>>,
    /// DEPOSIT, WITHDRAWAL, TRANSFER, HOLD, PAYMENT, REFUND or PAYOUT.
    pub op: WalletType,
    /// The wallet in the path.
    pub wallet: u128,
    /// Id of the ledger transfer to be made (a UUIDv7).
    pub transfer_id: TransferId,
    /// How much, in the source wallet's currency.
    pub amount: WalletAmount,
    /// `currency`, if given.
    pub currency: Option<Box<str>>,
    /// The receiving wallet of a transfer or hold.
    pub destination: Option<u128>,
    /// Account on the other side for PAYMENT, REFUND and PAYOUT; `None` = `florin:external:{asset}`.
    pub counter_account: Option<AccountId>,
    /// Exchange rate, if given.
    pub rate: Option<Rate>,
    /// Life of a hold, in seconds.
    pub expires_in_seconds: Option<u32>,
    /// Identity.
    pub reference: Reference,
    /// Free text.
    pub description: Option<Box<str>>,
    /// Caller's own pairs.
    pub metadata: Metadata,
    /// When it counts, if given.
    pub effective_at: Option<Timestamp>,
    /// Room that asks, `wallets` for the wallet routes.
    pub module: Box<str>,
}

/// `POST /holds/{id}/capture` and `/void`.
#[derive(Debug, Clone)]
pub struct ResolveHold {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// Only holds of this user's wallets are visible.
    pub owner: Option<Box<str>>,
    /// The hold.
    pub hold: TransferId,
    /// Capture (else void).
    pub capture: bool,
    /// How much to capture; `None` = all.
    pub amount: Option<WalletAmount>,
    /// Id of the ledger transfer to be made.
    pub transfer_id: TransferId,
    /// Identity, scope: the hold.
    pub reference: Reference,
    /// Room that asks.
    pub module: Box<str>,
}

/// `POST /wallets`.
#[derive(Debug, Clone)]
pub struct CreateWallet {
    /// Subject of the credential; scope of the identity.
    pub actor: Option<Box<str>>,
    /// Id of the new wallet (a UUIDv7).
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
    /// Identity.
    pub reference: Reference,
}

/// Freeze, unfreeze, close, limits.
#[derive(Debug, Clone)]
pub struct UpdateWallet {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// Only a wallet of this user is visible.
    pub owner: Option<Box<str>>,
    /// The wallet.
    pub id: u128,
    /// New status.
    pub status: Option<Status>,
    /// New tier and limits.
    pub limits: Option<LimitsUpdate>,
    /// Why.
    pub reason: Option<Box<str>>,
}

/// The body of `PUT /wallets/{id}/limits`, resolved: a left-out member has the tier's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsUpdate {
    /// New tier, if given.
    pub tier: Option<Box<str>>,
    /// For each of out.perTransaction, out.daily, out.monthly, in.…: left out, null, or an amount.
    pub members: [LimitMember; 6],
}

/// One member of a limits body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LimitMember {
    /// Left out: the tier's value.
    #[default]
    Tier,
    /// `null`: no limit.
    Unlimited,
    /// A decimal amount.
    Amount(Decimal),
}

/// One line of an import (contract A10).
#[derive(Debug, Clone)]
pub enum ImportLine {
    /// An asset.
    Asset(Asset),
    /// An account with the code of its asset.
    Account(CreateAccount),
    /// A transfer (`single`), or any transfer of an export.
    Transfer(Box<ImportTransfer>),
    /// An expiry of an export.
    Expired {
        /// The pending transfer.
        pending_id: TransferId,
        /// When it expired.
        effective_at: Timestamp,
    },
    /// A wallet of an export.
    Wallet {
        /// Its content.
        wallet: CreateWallet,
    },
    /// An account change of an export.
    AccountUpdate(PatchAccount),
    /// A wallet change of an export: status and limits as recorded.
    WalletUpdate {
        /// The wallet.
        id: u128,
        /// What changed.
        change: Box<crate::model::WalletChange>,
    },
}

/// A transfer line of an import.
#[derive(Debug, Clone)]
pub struct ImportTransfer {
    /// Its values.
    pub item: Item,
    /// When the source recorded it.
    pub source_recorded_at: Option<Timestamp>,
    /// Members that only the server makes, kept from an export.
    pub chain: Option<(TransferId, u32)>,
    /// As above.
    pub reversal_of: Option<TransferId>,
    /// As above.
    pub origin: Option<crate::model::Origin>,
    /// A line of an export: server-made members are taken over, time-outs are not compared.
    pub exported: bool,
}

/// A part of an import: at most 8190 lines, committed together.
#[derive(Debug, Clone)]
pub struct ImportCall {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// The lines.
    pub lines: Vec<ImportLine>,
    /// `floors=skip`.
    pub skip_floors: bool,
}

/// Anything that may write.
#[derive(Debug, Clone)]
pub enum Call {
    /// Transfers.
    Transfers(TransfersCall),
    /// A reversal.
    Reverse(ReverseCall),
    /// A new asset.
    CreateAsset {
        /// Subject of the credential.
        actor: Option<Box<str>>,
        /// The asset.
        asset: Asset,
    },
    /// A new account.
    CreateAccount(CreateAccount),
    /// A change of an account.
    PatchAccount(PatchAccount),
    /// A new wallet.
    CreateWallet(CreateWallet),
    /// A movement of a wallet's money.
    WalletMove(Box<WalletMove>),
    /// Capture or void.
    ResolveHold(Box<ResolveHold>),
    /// Status or limits of a wallet.
    UpdateWallet(Box<UpdateWallet>),
    /// Part of an import.
    Import(ImportCall),
}

/// The result of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemResult {
    /// The item's id.
    pub id: TransferId,
    /// What became of it.
    pub code: ResultCode,
    /// Its record, now or before.
    pub seq: Option<u64>,
    /// The field at fault.
    pub field: Option<&'static str>,
    /// The refusal remembered for the id (`id_already_failed`).
    pub first_code: Option<ResultCode>,
}

/// Which limit refused, with figures where the caller may see them (contract B6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitHit {
    /// `out.perTransaction`, `out.daily`, …
    pub limit: &'static str,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineResult {
    /// Id of the asset, account, wallet or transfer.
    pub id: Box<str>,
    /// `created`, `exists`, or the code of a refusal.
    pub code: &'static str,
    /// The field at fault.
    pub field: Option<std::borrow::Cow<'static, str>>,
}

/// What became of a call.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
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

/// Reads that show every acknowledged write and are answered from memory.
#[derive(Debug, Clone)]
pub enum Query {
    /// One account.
    Account(AccountId),
    /// One wallet; another user's does not exist for `owner`.
    Wallet {
        /// The wallet.
        id: u128,
        /// Restricts to this user's wallets.
        owner: Option<Box<str>>,
    },
    /// Limits and use of a wallet.
    Limits {
        /// The wallet.
        id: u128,
        /// Restricts to this user's wallets.
        owner: Option<Box<str>>,
    },
    /// Wallets in order of creation, after a slot.
    Wallets {
        /// Only this user's.
        user_id: Option<Box<str>>,
        /// Only with this status.
        status: Option<Status>,
        /// Only of this asset.
        asset: Option<AssetNo>,
        /// Only those created after this slot.
        after: Option<Slot>,
        /// At most so many.
        limit: usize,
    },
    /// Accounts in order of creation, after a slot.
    Accounts {
        /// Only of this asset.
        asset: Option<AssetNo>,
        /// Only of this kind.
        kind: Option<AccountKind>,
        /// Only with this status.
        status: Option<Status>,
        /// Only ids starting so.
        id_prefix: Option<Box<str>>,
        /// Only with all these pairs.
        metadata: Vec<(Box<str>, Box<str>)>,
        /// Only those created after this slot.
        after: Option<Slot>,
        /// At most so many.
        limit: usize,
    },
    /// Sums over all accounts, by asset.
    TrialBalance,
    /// Where the ledger stands.
    Head,
}

/// An account now.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// Its ordinal.
    pub slot: Slot,
    /// What never changes.
    pub facts: AccountFacts,
    /// Its totals.
    pub totals: Totals,
    /// Its status.
    pub status: Status,
    /// Its lower bound.
    pub floor: Floor,
    /// Caller's own pairs.
    pub metadata: Metadata,
    /// Grows by 1 with each PATCH, from 1.
    pub version: u32,
    /// The `seq` all this is as of.
    pub as_of_seq: u64,
}

/// A wallet now.
#[derive(Debug, Clone)]
pub struct WalletView {
    /// Its id.
    pub id: u128,
    /// Its account.
    pub slot: Slot,
    /// Its owner.
    pub user_id: Box<str>,
    /// Its currency.
    pub asset: AssetNo,
    /// Its totals.
    pub totals: Totals,
    /// Its status.
    pub status: Status,
    /// Its tier.
    pub tier: Box<str>,
    /// Its own limits, if it has any.
    pub limits: Option<Limits>,
    /// Shown name.
    pub label: Option<Box<str>>,
    /// Caller's own pairs.
    pub metadata: Metadata,
    /// Grows by 1 with each change, from 1.
    pub version: u32,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The `seq` all this is as of.
    pub as_of_seq: u64,
}

/// Use of a wallet's limits in the running windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Out, this UTC day.
    pub out_day: u128,
    /// Out, this UTC month.
    pub out_month: u128,
    /// In, this UTC day.
    pub in_day: u128,
    /// In, this UTC month.
    pub in_month: u128,
}

/// Limits in force and their use.
#[derive(Debug, Clone)]
pub struct LimitsView {
    /// The wallet.
    pub wallet: WalletView,
    /// What is in force: the wallet's own, else its tier's.
    pub limits: Limits,
    /// Use.
    pub used: Used,
    /// End of the running day.
    pub day_resets_at: Timestamp,
    /// End of the running month.
    pub month_resets_at: Timestamp,
}

/// Sums of one asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetSums {
    /// Asset code.
    pub asset: Box<str>,
    /// Σ of the four totals over all accounts.
    pub totals: Totals,
    /// Count of accounts.
    pub accounts: u64,
}

/// Where the ledger stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Last record.
    pub seq: u64,
    /// Last commit.
    pub batch: u64,
    /// Its ledger time.
    pub recorded_at: Timestamp,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone)]
pub enum View {
    /// [`Query::Account`].
    Account(Option<Box<AccountView>>),
    /// [`Query::Wallet`].
    Wallet(Option<Box<WalletView>>),
    /// [`Query::Limits`].
    Limits(Option<Box<LimitsView>>),
    /// [`Query::Wallets`]; `true` when there may be more after the last slot scanned.
    Wallets(Vec<WalletView>, Option<Slot>),
    /// [`Query::Accounts`]; the last slot scanned when there may be more.
    Accounts(Vec<AccountView>, Option<Slot>),
    /// [`Query::TrialBalance`].
    TrialBalance(Vec<AssetSums>, Head),
    /// [`Query::Head`].
    Head(Head),
}

/// Why a call was not decided. Every one except `CommitUnknown` promises that it was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
