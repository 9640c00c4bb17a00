//! A wallet's statement over a period (contract B7).
//!
//! Invariant: opening plus the signed items is the closing (INV-L20).

use florin_base::{Signed, Timestamp};
use florin_ledger::{
    call::WalletView,
    model::{Asset, Totals, Transfer},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    money::{Id, Money, MoneyStyle},
    transaction::{Direction, transaction_id, type_of},
};

/// Which of the two times orders and bounds a list (contract A7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// When the ledger learned it.
    #[default]
    Recorded,
    /// When it counts.
    Effective,
}

impl Axis {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Effective => "effective",
        }
    }

    /// The value for a word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "recorded" => Some(Self::Recorded),
            "effective" => Some(Self::Effective),
            _ => None,
        }
    }
}

/// The figures of a period, equal on every page of one walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Totals before it.
    pub before: Posted,
    /// Totals at its end.
    pub end: Posted,
}

/// What was posted on a wallet up to a moment. Both sums only grow along an axis, so that their
/// differences are what moved in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Posted {
    /// Σ of what went out, in minor units.
    pub debits: u128,
    /// Σ of what came in, in minor units.
    pub credits: u128,
    /// Count of postings.
    pub count: u64,
}

impl From<Totals> for Posted {
    fn from(totals: Totals) -> Self {
        Self {
            debits: totals.debits_posted,
            credits: totals.credits_posted,
            count: totals.postings,
        }
    }
}

impl Posted {
    /// The balance then.
    pub const fn balance(&self) -> Signed {
        Signed::difference(self.credits, self.debits)
    }

    /// After one more posting. Exact: no total passes 2^128 - 1 (rank 51).
    pub const fn after(self, direction: Direction, amount: u128) -> Self {
        let (debits, credits) = match direction {
            Direction::In => (self.debits, self.credits.saturating_add(amount)),
            Direction::Out => (self.debits.saturating_add(amount), self.credits),
        };
        Self {
            debits,
            credits,
            count: self.count + 1,
        }
    }
}

/// Σ of a period.
#[derive(Debug, Serialize, ToSchema)]
pub struct PeriodTotals {
    #[schema(value_type = String, example = "250.00")]
    r#in: Money,
    #[schema(value_type = String, example = "130.00")]
    out: Money,
    count: u64,
}

/// One movement.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatementItem<'a> {
    /// Its transaction.
    #[schema(value_type = String)]
    pub transaction_id: std::borrow::Cow<'a, str>,
    /// Type of the transaction.
    #[schema(example = "DEPOSIT")]
    pub r#type: &'static str,
    /// Seen from the wallet.
    pub direction: Direction,
    /// In the wallet's currency, without sign.
    #[schema(value_type = String, example = "12.50")]
    pub amount: Money,
    /// Balance right after it, on the chosen axis.
    #[schema(value_type = String, example = "107.50")]
    pub balance_after: Money,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
    /// When it counts.
    #[schema(value_type = String, format = DateTime)]
    pub effective_at: Timestamp,
    /// Identity of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<&'a str>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
}

impl<'a> StatementItem<'a> {
    /// The item of an entry on the wallet's account.
    pub fn new(
        transfer: &'a Transfer,
        direction: Direction,
        recorded_at: Timestamp,
        balance_after: Signed,
        asset: &Asset,
        style: MoneyStyle,
    ) -> Self {
        let origin = transfer.origin.as_ref();
        Self {
            transaction_id: transaction_id(&transfer.id),
            r#type: type_of(transfer).word(),
            direction,
            amount: Money::positive(transfer.amount, asset, style),
            balance_after: Money::signed(balance_after, asset, style),
            recorded_at,
            effective_at: transfer.effective_at,
            reference_id: origin.and_then(|origin| origin.reference_id.as_deref()),
            description: transfer.description.as_deref(),
        }
    }
}

/// A page of a statement.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statement<'a> {
    /// The wallet.
    #[schema(value_type = String, format = "uuid")]
    wallet_id: Id,
    /// Its currency.
    #[schema(example = "BRL")]
    currency: &'a str,
    /// First instant of the period.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// First instant after the period.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// The time that bounds the period.
    axis: Axis,
    /// The ledger's `seq` all pages are as of.
    as_of_seq: u64,
    /// Nothing can come into the period any more.
    r#final: bool,
    /// Balance before the period.
    #[schema(value_type = String, example = "95.00")]
    opening: Money,
    /// Balance at its end.
    #[schema(value_type = String, example = "215.00")]
    closing: Money,
    /// Σ of the whole period.
    totals: PeriodTotals,
    /// The movements of this page.
    items: Vec<StatementItem<'a>>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
}

/// What a statement's head says, beside its figures.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The wallet.
    pub wallet: &'a WalletView,
    /// Its currency.
    pub asset: &'a Asset,
    /// First instant of the period.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// The time that bounds it.
    pub axis: Axis,
    /// As of this `seq`.
    pub as_of_seq: u64,
    /// Nothing can come into it any more.
    pub is_final: bool,
    /// How money is printed.
    pub style: MoneyStyle,
}

impl<'a> Statement<'a> {
    /// A page.
    pub fn new(
        head: Head<'a>,
        period: &Period,
        items: Vec<StatementItem<'a>>,
        next_cursor: Option<String>,
    ) -> Self {
        let (asset, style) = (head.asset, head.style);
        let Period { before, end } = period;
        Self {
            wallet_id: Id(head.wallet.id),
            currency: &asset.code,
            from: head.from,
            to: head.to,
            axis: head.axis,
            as_of_seq: head.as_of_seq,
            r#final: head.is_final,
            opening: Money::signed(before.balance(), asset, style),
            closing: Money::signed(end.balance(), asset, style),
            totals: PeriodTotals {
                r#in: Money::positive(end.credits.saturating_sub(before.credits), asset, style),
                out: Money::positive(end.debits.saturating_sub(before.debits), asset, style),
                count: end.count.saturating_sub(before.count),
            },
            items,
            next_cursor,
        }
    }
}
