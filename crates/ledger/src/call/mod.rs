//! What callers ask of a ledger and what they are answered. Both engines speak these types.
//!
//! Their serde forms are those of the link between two processes of one build
//! ([`crate::postgres`]); the API has shapes of its own.

mod import;
mod outcome;
mod query;
mod wallets;
mod weight;
mod words;

use florin_base::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    import::{ImportCall, ImportLine, ImportTransfer},
    outcome::{
        Answer, ItemResult, LimitHit, LineResult, Outcome, Refusal, RefusalCode, Unavailable,
    },
    query::{AccountView, AssetSums, Head, LimitsView, Query, Used, View, WalletView},
    wallets::{
        CreateWallet, LimitMember, LimitsUpdate, Rate, Reference, ResolveHold, UpdateWallet,
        WalletAmount, WalletMove,
    },
    words::Word,
};
use crate::{
    codes::ResultCode,
    model::{
        AccountChange, AccountId, AccountKind, Asset, Floor, Metadata, Mode, Side, TransferId,
    },
};

/// One item of a transfer call with its values read. Grammar (ranks 3 to 9) was judged by
/// [`crate::rules::prepare`]; what it found stands in `invalid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    #[serde(with = "words::fault")]
    pub invalid: Option<(ResultCode, Word)>,
}

/// An `Idempotency-Key` with its scope (contract A3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallKey {
    /// Subject of the credential.
    pub scope: Box<str>,
    /// The key as sent.
    pub key: Box<str>,
    /// One 8-byte digest for each item (or member of the body), to name the first that differs.
    pub digests: Vec<u64>,
}

/// `POST /ledger/transfers`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TransfersCall {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// 1 to 8190 items.
    pub items: Vec<Item>,
    /// The call's key.
    pub key: Option<CallKey>,
}

/// `POST /ledger/transfers/{id}/reverse` and `POST /transactions/{id}/reverse`.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// Anything that may write.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
