//! Calls of the wallet routes and of other rooms that pay from and into wallets.

use florin_base::{Decimal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::{AccountId, Metadata, Status, TransferId, WalletType};

/// An amount as it stood in the body of a wallet call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletAmount {
    /// The decimal as written.
    pub decimal: Decimal,
    /// It was a JSON number (profile `compat` rounds those).
    pub is_number: bool,
}

/// An exchange rate: target per one source, in major units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// As written; at most 20 digits before and 18 after the point, above zero.
    pub text: Box<str>,
    /// Its value.
    pub value: Decimal,
}

/// The identity of a wallet operation (contract B3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// `referenceId`, the header's key, or one made by the server.
    pub id: Box<str>,
    /// Made by the server: there is nothing to look up.
    pub generated: bool,
}

/// Deposit, withdraw, transfer, hold, and the in-process payments of other rooms.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsUpdate {
    /// New tier, if given.
    pub tier: Option<Box<str>>,
    /// For each of out.perTransaction, out.daily, out.monthly, in.…: left out, null, or an amount.
    pub members: [LimitMember; 6],
}

/// One member of a limits body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LimitMember {
    /// Left out: the tier's value.
    #[default]
    Tier,
    /// `null`: no limit.
    Unlimited,
    /// A decimal amount.
    Amount(Decimal),
}
