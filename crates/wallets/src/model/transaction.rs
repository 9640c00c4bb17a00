//! A transaction as a wallet's owner sees it, made from one or two ledger records
//! (contract B4).
//!
//! | kind | records |
//! |---|---|
//! | deposit, withdrawal, transfer, payment, refund, payout | one |
//! | capture | the post of the hold |
//! | conversion | two legs: payer → `florin:fx:{A}`, `florin:fx:{B}` → payee with id `{id}:2` |
//! | reversal | as the original, ids with `:rev` |
//! | adjustment | a ledger transfer on a wallet's account that no wallet route made |

use florin_base::Timestamp;
use florin_ledger::model::{Asset, Mode, Record, Side, Slot, Transfer, WalletType};
use serde::{Serialize, Serializer, ser::SerializeSeq};
use utoipa::ToSchema;

use super::{
    money::{Id, Money, MoneyStyle, Pairs},
    wallet::{Figures, WALLET_SIDE},
};

/// Ending of the id of a conversion's second leg.
pub const SECOND_LEG: &str = ":2";
/// Ending of the id of a reversal.
pub const REVERSAL: &str = ":rev";

/// One account of a record, as far as its reader may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// The account.
    pub slot: Slot,
    /// The wallet it belongs to; `None` for every other account.
    pub wallet: Option<u128>,
    /// The reader may see the wallet's figures.
    pub readable: bool,
}

/// A transfer record with its two parties.
#[derive(Debug, Clone, Copy)]
pub struct Leg<'a> {
    /// The record.
    pub record: &'a Record,
    /// The transfer in it.
    pub transfer: &'a Transfer,
    /// Who was debited.
    pub debit: Party,
    /// Who was credited.
    pub credit: Party,
    /// Its currency.
    pub asset: &'a Asset,
}

impl Leg<'_> {
    /// The party whose wallet this is.
    pub fn party(&self, wallet: u128) -> Option<Party> {
        [self.debit, self.credit]
            .into_iter()
            .find(|party| party.wallet == Some(wallet))
    }
}

/// Money went out of or into the wallet looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Direction {
    /// Into it.
    In,
    /// Out of it.
    Out,
}

impl Direction {
    /// Seen from a wallet's account on that side of a transfer.
    pub fn of(side: Side) -> Self {
        if side == WALLET_SIDE {
            Self::In
        } else {
            Self::Out
        }
    }

    /// The word in JSON and CSV.
    pub const fn word(self) -> &'static str {
        match self {
            Self::In => "IN",
            Self::Out => "OUT",
        }
    }

    /// The value for a word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "IN" => Some(Self::In),
            "OUT" => Some(Self::Out),
            _ => None,
        }
    }
}

/// The record moves money of a wallet at once: single or post. Pending transfers, voids and
/// expiries only reserve and release.
pub fn is_posting(transfer: &Transfer) -> bool {
    matches!(transfer.mode, Mode::Single | Mode::Post)
}

/// Type of a transaction.
pub fn type_of(transfer: &Transfer) -> WalletType {
    match &transfer.origin {
        _ if transfer.reversal_of.is_some() => WalletType::Reversal,
        Some(origin) if origin.r#type == WalletType::Hold => WalletType::Capture,
        Some(origin) => origin.r#type,
        None => WalletType::Adjustment,
    }
}

/// Id of the transaction that a posting belongs to: a conversion's second leg belongs to the
/// first, also when reversed.
pub fn transaction_id(transfer_id: &str) -> std::borrow::Cow<'_, str> {
    let (base, reversed) = match transfer_id.strip_suffix(REVERSAL) {
        Some(base) => (base, true),
        None => (transfer_id, false),
    };
    match base.strip_suffix(SECOND_LEG) {
        Some(first) if reversed => format!("{first}{REVERSAL}").into(),
        Some(first) => first.into(),
        None => transfer_id.into(),
    }
}

/// Where the other leg of a conversion stands: `seq` before or after. `None` for a transfer
/// that is whole by itself.
pub fn partner_seq(record: &Record) -> Option<u64> {
    let transfer = record.transfer()?;
    let (_, index) = transfer.chain.as_ref()?;
    let converts = transfer.reversal_of.is_some()
        || transfer
            .origin
            .as_ref()
            .is_some_and(|origin| origin.rate.is_some());
    match index {
        _ if !converts => None,
        0 => record.seq.checked_add(1),
        1 => record.seq.checked_sub(1),
        _ => None,
    }
}

/// Two records are the legs of one conversion.
pub fn are_partners(one: &Transfer, other: &Transfer) -> bool {
    let same_chain = match (&one.chain, &other.chain) {
        (Some(one), Some(other)) => one.0 == other.0,
        _ => false,
    };
    same_chain && transaction_id(&one.id) == transaction_id(&other.id)
}

/// A wallet's figures right after a transaction.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WalletBalance {
    /// The wallet.
    #[schema(value_type = String, format = "uuid")]
    wallet_id: Id,
    /// What was posted.
    #[schema(value_type = String, example = "120.00")]
    balance: Money,
    /// `balance` less what holds reserve.
    #[schema(value_type = String, example = "100.00")]
    available: Money,
}

/// At most two wallets, without an allocation.
#[derive(Debug, Clone, Copy, Default)]
struct Balances([Option<WalletBalance>; 2]);

impl Serialize for Balances {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = self.0.iter().flatten().count();
        let mut items = serializer.serialize_seq(Some(count))?;
        for item in self.0.iter().flatten() {
            items.serialize_element(item)?;
        }
        items.end()
    }
}

/// A movement of wallet money.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transaction<'a> {
    /// Id of the ledger transfer.
    #[schema(example = "01977f2e-4b6a-7c3d-9e1f-2a3b4c5d6e7f")]
    id: &'a str,
    /// Equal to `id`.
    transaction_id: &'a str,
    /// `DEPOSIT`, `WITHDRAWAL`, `TRANSFER`, `CAPTURE`, `REVERSAL`, `ADJUSTMENT`, `PAYMENT`,
    /// `REFUND` or `PAYOUT`.
    #[schema(example = "TRANSFER")]
    r#type: &'static str,
    /// `COMPLETED` or `REVERSED`.
    #[schema(example = "COMPLETED")]
    status: &'static str,
    /// The wallet in the path of the call.
    #[schema(value_type = String, format = "uuid")]
    wallet_id: Id,
    /// The wallet that paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    from_wallet_id: Option<Id>,
    /// The wallet that received.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    to_wallet_id: Option<Id>,
    /// Seen from the path's wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    /// What was paid.
    #[schema(value_type = String, example = "12.50")]
    amount: Money,
    /// Its currency.
    #[schema(example = "BRL")]
    currency: &'a str,
    /// What was received, for a conversion.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2.49")]
    destination_amount: Option<Money>,
    /// Its currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_currency: Option<&'a str>,
    /// Target for one source, in major units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.1999")]
    rate: Option<&'a str>,
    /// Identity of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "order-1001")]
    reference_id: Option<&'a str>,
    /// The server made the identity: the call is not safe to retry.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reference_id_generated: bool,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// Caller's own pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Pairs<'a>>,
    /// When it counts.
    #[schema(value_type = String, format = DateTime)]
    effective_at: Timestamp,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Number of its record.
    seq: u64,
    /// Balance of the path's wallet right after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "107.50")]
    new_balance: Option<Money>,
    /// Figures of the wallets that the caller may read.
    #[schema(value_type = Vec<WalletBalance>)]
    balances: Balances,
    /// The hold it captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_id: Option<&'a str>,
    /// The transaction it reverses.
    #[serde(skip_serializing_if = "Option::is_none")]
    reversal_of: Option<&'a str>,
    /// The transaction that reversed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reversed_by: Option<&'a str>,
}

/// What a transaction is made from, beside its legs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen<'a> {
    /// The wallet in the path; without one the transaction is seen from the only wallet that
    /// the caller may read, if it is one.
    pub from_wallet: Option<u128>,
    /// Id of its reversal.
    pub reversed_by: Option<&'a str>,
    /// The call's identity was made by the server.
    pub reference_generated: bool,
    /// How money is printed.
    pub style: MoneyStyle,
}

impl<'a> Transaction<'a> {
    /// The transaction of `leg`, with the other leg of a conversion.
    pub fn new(leg: Leg<'a>, partner: Option<Leg<'a>>, seen: Seen<'a>) -> Self {
        let second = |leg: &Leg<'_>| transaction_id(&leg.transfer.id) != *leg.transfer.id;
        let (main, other) = match partner {
            Some(partner) if second(&leg) => (partner, Some(leg)),
            partner => (leg, partner),
        };
        let legs = [Some(main), other];
        let side = |pick: fn(&Leg<'a>) -> Party| {
            legs.into_iter()
                .flatten()
                .find(|leg| pick(leg).wallet.is_some())
                .map(|leg| (leg, pick(&leg)))
        };
        let (from, to) = (side(|leg| leg.debit), side(|leg| leg.credit));
        let viewpoint = viewpoint(from, to, seen.from_wallet);
        let paid = from.map_or(main, |(leg, _)| leg);
        let received = to.filter(|_| other.is_some()).map(|(leg, _)| leg);
        let balances = Balances([from, to].map(|end| {
            let (leg, party) = end.filter(|(_, party)| party.readable)?;
            let totals = leg.record.touches.of(party.slot)?.after;
            let figures = Figures::of(&totals, leg.asset, seen.style);
            Some(WalletBalance {
                wallet_id: Id(party.wallet?),
                balance: figures.balance,
                available: figures.available,
            })
        }));
        let wallet = |end: Option<(Leg<'_>, Party)>| end.and_then(|(_, party)| party.wallet);
        let transfer = main.transfer;
        let origin = transfer.origin.as_ref();
        let own = viewpoint.map(|(_, wallet)| wallet);
        let path_wallet = seen.from_wallet.or(own);
        let path_wallet = path_wallet.or(origin.map(|origin| origin.wallet_id));
        Self {
            id: &transfer.id,
            transaction_id: &transfer.id,
            r#type: type_of(transfer).word(),
            status: status_word(seen.reversed_by),
            wallet_id: Id(path_wallet.or(wallet(from)).or(wallet(to)).unwrap_or(0)),
            from_wallet_id: wallet(from).map(Id),
            to_wallet_id: wallet(to).map(Id),
            direction: viewpoint.map(|(direction, _)| direction),
            amount: Money::positive(paid.transfer.amount, paid.asset, seen.style),
            currency: &paid.asset.code,
            destination_amount: received
                .map(|leg| Money::positive(leg.transfer.amount, leg.asset, seen.style)),
            destination_currency: received.map(|leg| &*leg.asset.code),
            rate: origin.and_then(|origin| origin.rate.as_deref()),
            reference_id: origin.and_then(|origin| origin.reference_id.as_deref()),
            reference_id_generated: seen.reference_generated,
            description: transfer.description.as_deref(),
            metadata: Pairs::some(&transfer.metadata),
            effective_at: transfer.effective_at,
            created_at: main.record.recorded_at,
            seq: main.record.seq,
            new_balance: own.and_then(|own| balances.of(own)),
            balances,
            hold_id: hold_of(transfer),
            reversal_of: transfer.reversal_of.as_deref(),
            reversed_by: seen.reversed_by,
        }
    }
}

impl Balances {
    fn of(&self, wallet: u128) -> Option<Money> {
        let mut known = self.0.iter().flatten();
        known
            .find(|known| known.wallet_id.0 == wallet)
            .map(|known| known.balance)
    }
}

/// From which wallet the transaction is seen (contract G, `direction`): the path's, else the
/// only one that the caller may read.
fn viewpoint(
    from: Option<(Leg<'_>, Party)>,
    to: Option<(Leg<'_>, Party)>,
    path: Option<u128>,
) -> Option<(Direction, u128)> {
    let readable = |direction, end: Option<(Leg<'_>, Party)>| {
        let (_, party) = end.filter(|(_, party)| party.readable)?;
        Some((direction, party.wallet?))
    };
    let (out, r#in) = (readable(Direction::Out, from), readable(Direction::In, to));
    match path {
        Some(path) => [out, r#in]
            .into_iter()
            .flatten()
            .find(|(_, wallet)| *wallet == path),
        None => match (out, r#in) {
            (Some(only), None) | (None, Some(only)) => Some(only),
            _ => None,
        },
    }
}

/// `COMPLETED`, or `REVERSED` when a reversal is known.
pub const fn status_word(reversed_by: Option<&str>) -> &'static str {
    match reversed_by {
        Some(_) => "REVERSED",
        None => "COMPLETED",
    }
}

fn hold_of(transfer: &Transfer) -> Option<&str> {
    let origin = transfer.origin.as_ref()?;
    match (transfer.mode, &origin.hold_id) {
        (_, Some(hold)) => Some(hold),
        (Mode::Post, None) => transfer.pending_id.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
