//! Reads from memory and what they show.

use florin_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    AccountFacts, AccountId, AccountKind, AssetNo, Floor, Limits, Metadata, Slot, Status, Totals,
};

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
    /// Ledger time: everything recorded up to it is decided, everything later will be after it.
    Time,
}

/// An account now.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// [`Query::Time`].
    Time(Timestamp),
}
