//! A wallet, its balance and its limits (contract B1, B6).

use florin_base::Timestamp;
use florin_ledger::{
    call::{LimitsView, WalletView},
    model::{Asset, DirectionLimits, NewWallet, Side, Status, Totals},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::money::{Id, Money, MoneyStyle, Pairs};

/// The side on which wallet accounts grow: they are liabilities.
pub const WALLET_SIDE: Side = Side::Credit;

/// A wallet, its balances as of one `seq`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wallet<'a> {
    /// UUIDv7.
    #[schema(value_type = String, format = "uuid")]
    id: Id,
    /// Equal to `id`.
    #[schema(value_type = String, format = "uuid")]
    wallet_id: Id,
    /// Owner.
    #[schema(example = "maria")]
    user_id: &'a str,
    /// Currency code.
    #[schema(example = "BRL")]
    currency: &'a str,
    /// What was posted.
    #[schema(value_type = String, example = "120.00")]
    balance: Money,
    /// What active holds reserve.
    #[schema(value_type = String, example = "20.00")]
    held: Money,
    /// `balance` less `held`.
    #[schema(value_type = String, example = "100.00")]
    available: Money,
    /// `ACTIVE`, `FROZEN` or `CLOSED`.
    #[schema(example = "ACTIVE")]
    status: &'static str,
    /// Tier of limits.
    #[schema(example = "standard")]
    tier: &'a str,
    /// Shown name.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    /// Caller's own pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Pairs<'a>>,
    /// Grows by 1 with each change of status, tier or limits.
    version: u32,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Balance, reservation and what is left of a wallet's totals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub balance: Money,
    pub held: Money,
    pub available: Money,
}

impl Figures {
    pub(crate) const fn of(totals: &Totals, asset: &Asset, style: MoneyStyle) -> Self {
        Self {
            balance: Money::signed(totals.balance(WALLET_SIDE), asset, style),
            held: Money::positive(totals.held(WALLET_SIDE), asset, style),
            available: Money::signed(totals.available(WALLET_SIDE), asset, style),
        }
    }
}

impl<'a> Wallet<'a> {
    /// A wallet as it is now.
    pub fn now(view: &'a WalletView, asset: &'a Asset, style: MoneyStyle) -> Self {
        let figures = Figures::of(&view.totals, asset, style);
        Self {
            id: Id(view.id),
            wallet_id: Id(view.id),
            user_id: &view.user_id,
            currency: &asset.code,
            balance: figures.balance,
            held: figures.held,
            available: figures.available,
            status: view.status.wallet_word(),
            tier: &view.tier,
            label: view.label.as_deref(),
            metadata: Pairs::some(&view.metadata),
            version: view.version,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }

    /// A wallet as it was right after it was recorded, for the answer to its creation.
    pub fn created(
        wallet: &'a NewWallet,
        recorded_at: Timestamp,
        asset: &'a Asset,
        style: MoneyStyle,
    ) -> Self {
        let figures = Figures::of(&Totals::default(), asset, style);
        Self {
            id: Id(wallet.id),
            wallet_id: Id(wallet.id),
            user_id: &wallet.user_id,
            currency: &asset.code,
            balance: figures.balance,
            held: figures.held,
            available: figures.available,
            status: Status::Open.wallet_word(),
            tier: &wallet.tier,
            label: wallet.label.as_deref(),
            metadata: Pairs::some(&wallet.metadata),
            version: 1,
            created_at: recorded_at,
            updated_at: recorded_at,
        }
    }
}

/// The balance of a wallet as of one `seq`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Balance<'a> {
    /// The wallet.
    #[schema(value_type = String, format = "uuid")]
    wallet_id: Id,
    /// What was posted.
    #[schema(value_type = String, example = "120.00")]
    balance: Money,
    /// What active holds reserve.
    #[schema(value_type = String, example = "20.00")]
    held: Money,
    /// `balance` less `held`.
    #[schema(value_type = String, example = "100.00")]
    available: Money,
    /// Currency code.
    #[schema(example = "BRL")]
    currency: &'a str,
    /// The ledger's `seq` this is as of.
    as_of_seq: u64,
}

impl<'a> Balance<'a> {
    /// The balance now.
    pub fn now(view: &WalletView, asset: &'a Asset, style: MoneyStyle) -> Self {
        let figures = Figures::of(&view.totals, asset, style);
        Self {
            wallet_id: Id(view.id),
            balance: figures.balance,
            held: figures.held,
            available: figures.available,
            currency: &asset.code,
            as_of_seq: view.as_of_seq,
        }
    }
}

/// The balance of a wallet at a time past.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BalanceThen<'a> {
    /// The wallet.
    #[schema(value_type = String, format = "uuid")]
    pub wallet_id: Id,
    /// What was posted by then.
    #[schema(value_type = String, example = "120.00")]
    pub balance: Money,
    /// Currency code.
    #[schema(example = "BRL")]
    pub currency: &'a str,
    /// As sent.
    #[schema(example = "2026-01-31T12:00")]
    pub timestamp: &'a str,
    /// The same in UTC; now for a time in the future.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Count of postings up to then.
    pub transaction_count: u64,
}

/// Limits of a wallet and what is left of them (contract B6).
#[derive(Debug, Serialize, ToSchema)]
pub struct Limits<'a> {
    /// Tier of limits.
    #[schema(example = "standard")]
    tier: &'a str,
    /// Withdrawals, transfers out, holds.
    out: DirectionUse,
    /// Deposits, transfers in, holds in favour.
    r#in: DirectionUse,
}

/// Limits of one direction.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectionUse {
    per_transaction: LimitUse,
    daily: LimitUse,
    monthly: LimitUse,
}

/// One limit; `limit` null = none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitUse {
    /// The limit, null = none.
    #[schema(value_type = Option<String>, example = "1000.00")]
    limit: Option<Money>,
    /// Used in the running window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "300.00")]
    used: Option<Money>,
    /// What is left of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "700.00")]
    remaining: Option<Money>,
    /// End of the running window (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    resets_at: Option<Timestamp>,
}

impl<'a> Limits<'a> {
    /// The limits in force and their use now.
    pub fn now(view: &'a LimitsView, asset: &Asset, style: MoneyStyle) -> Self {
        let direction = |limits: &DirectionLimits, day: u128, month: u128| {
            let one = |limit: Option<u128>, window: Option<(u128, Timestamp)>| LimitUse {
                limit: limit.map(|limit| Money::positive(limit, asset, style)),
                used: window.map(|(used, _)| Money::positive(used, asset, style)),
                remaining: limit.map(|limit| {
                    let used = window.map_or(0, |(used, _)| used);
                    Money::positive(limit.saturating_sub(used), asset, style)
                }),
                resets_at: window.map(|(_, end)| end),
            };
            DirectionUse {
                per_transaction: one(limits.per_transaction, None),
                daily: one(limits.daily, Some((day, view.day_resets_at))),
                monthly: one(limits.monthly, Some((month, view.month_resets_at))),
            }
        };
        let used = &view.used;
        Self {
            tier: &view.wallet.tier,
            out: direction(&view.limits.out, used.out_day, used.out_month),
            r#in: direction(&view.limits.r#in, used.in_day, used.in_month),
        }
    }
}
