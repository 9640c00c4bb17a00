//! One event, built from a record of the ledger and nothing else.

use florin_base::Timestamp;
use florin_ledger::{
    Ledger, ReadView,
    engine::{IdLookup, ReadError},
    model::{
        AccountId, Asset, Body, Record, Slot, Status, Touch, Transfer, WalletChange, WalletType,
    },
};
use serde::Serialize;
use uuid::Uuid;

use crate::model::{
    money::{Id, Money, MoneyStyle},
    transaction::{Direction, transaction_id, type_of},
    wallet::Figures,
};

/// What receivers get (contract B8). Members without a value are left out; money is always
/// printed as text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// UUIDv5 of the ledger's id and `{seq}/{walletId}`: the same on every delivery.
    pub event_id: Uuid5,
    /// One of [`super::NAMES`].
    pub event_type: &'static str,
    /// Of this shape: 1.
    pub version: u8,
    /// The wallet it is about.
    pub wallet_id: Id,
    /// Its owner.
    pub user_id: Box<str>,
    /// 1, 2, 3 … for each wallet without gaps.
    pub wallet_seq: u64,
    /// The record.
    pub seq: u64,
    /// When it was recorded.
    pub timestamp: Timestamp,
    /// When it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Timestamp>,
    /// The transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<Box<str>>,
    /// The hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<Box<str>>,
    /// IN or OUT, for what moves money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Of the wallet.
    pub currency: Box<str>,
    /// Posted, right after the record.
    pub balance: Money,
    /// Reserved, right after the record.
    pub held: Money,
    /// What is left, right after the record.
    pub available: Money,
    /// New status, for what sets one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// Identity of the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<Box<str>>,
    /// The wallet on the other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterparty_wallet_id: Option<Id>,
    /// The transaction that was reversed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversal_of: Option<Box<str>>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

/// A UUID of version 5, printed in its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uuid5(pub Uuid);

impl Serialize for Uuid5 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An event with what channels need to know of it.
#[derive(Debug)]
pub struct WalletEvent {
    /// The wallet.
    pub wallet: u128,
    /// What is sent.
    pub envelope: Envelope,
}

impl WalletEvent {
    /// The JSON that is sent.
    pub fn json(&self) -> String {
        serde_json::to_string(&self.envelope).expect("an envelope has only strings and numbers")
    }
}

/// The events of a record: one for each wallet that it is an event of, the paying side first.
///
/// # Errors
/// [`ReadError`] when the hold of an expiry cannot be read.
pub fn events_of(
    ledger: &Ledger,
    view: &ReadView,
    record: &Record,
) -> Result<Vec<WalletEvent>, ReadError> {
    let mut events = Vec::new();
    for touch in record.touches.iter().filter(|touch| touch.is_event) {
        let facts = ledger.facts(touch.slot);
        let Some(wallet) = facts.id.wallet() else {
            continue;
        };
        let asset = ledger.asset(facts.asset);
        let mut envelope = blank(ledger, record, touch, wallet, &asset);
        match &record.body {
            Body::Transfer(transfer) => moved(&mut envelope, ledger, transfer, touch.slot, &asset),
            Body::Expired {
                pending_id,
                debit,
                credit,
                amount,
                effective_at,
            } => {
                let held = view.transfer(pending_id)?;
                let other = if *debit == touch.slot {
                    *credit
                } else {
                    *debit
                };
                let amount = Money::positive(*amount, &asset, MoneyStyle::Text);
                envelope.effective_at = Some(*effective_at);
                envelope.amount = Some(amount);
                envelope.counterparty_wallet_id = wallet_of(ledger, other);
                expired(&mut envelope, &held, pending_id, *debit == touch.slot);
            }
            Body::WalletCreated(new) => {
                envelope.event_type = "WalletCreated";
                envelope.user_id = new.user_id.clone();
                envelope.status = Some(Status::Open.wallet_word());
                envelope.reference_id = new.reference_id.clone();
            }
            Body::WalletUpdated { change, .. } => changed(&mut envelope, change),
            Body::AssetCreated(_) | Body::AccountCreated(_) | Body::AccountUpdated { .. } => {}
        }
        events.push(WalletEvent { wallet, envelope });
    }
    Ok(events)
}

/// What every event says.
fn blank(ledger: &Ledger, record: &Record, touch: &Touch, wallet: u128, asset: &Asset) -> Envelope {
    let name = format!("{}/{}", record.seq, Id(wallet));
    let figures = Figures::of(&touch.after, asset, MoneyStyle::Text);
    Envelope {
        event_id: Uuid5(Uuid::new_v5(&ledger.ledger_id(), name.as_bytes())),
        event_type: "WalletAdjusted",
        version: 1,
        wallet_id: Id(wallet),
        user_id: ledger
            .wallet_owner(touch.slot)
            .map_or_else(Box::default, |owner| (*owner).into()),
        wallet_seq: touch.after.events,
        seq: record.seq,
        timestamp: record.recorded_at,
        effective_at: None,
        transaction_id: None,
        hold_id: None,
        direction: None,
        amount: None,
        currency: asset.code.clone(),
        balance: figures.balance,
        held: figures.held,
        available: figures.available,
        status: None,
        reference_id: None,
        counterparty_wallet_id: None,
        reversal_of: None,
        reason: None,
    }
}

fn wallet_of(ledger: &Ledger, slot: Slot) -> Option<Id> {
    match ledger.facts(slot).id {
        AccountId::Wallet(id) => Some(Id(id)),
        AccountId::Named(_) => None,
    }
}

/// The event of a transfer for the wallet in `slot`. Wallets are liabilities: a debit is money
/// going out.
fn moved(envelope: &mut Envelope, ledger: &Ledger, t: &Transfer, slot: Slot, asset: &Asset) {
    let pays = t.debit == slot;
    let direction = if pays { Direction::Out } else { Direction::In };
    let kind = type_of_event(t);
    let (name, shows_direction) = name_of(kind, pays);
    envelope.event_type = name;
    envelope.direction = shows_direction.then_some(direction);
    envelope.effective_at = Some(t.effective_at);
    envelope.amount = Some(Money::positive(t.amount, asset, MoneyStyle::Text));
    envelope.counterparty_wallet_id = wallet_of(ledger, if pays { t.credit } else { t.debit });
    envelope.reversal_of = t.reversal_of.as_deref().map(|id| transaction_id(id).into());
    envelope.reason = t.reversal_of.as_ref().and(t.description.clone());
    match kind {
        WalletType::Hold => envelope.hold_id = Some(t.id.clone()),
        WalletType::HoldVoid => envelope.hold_id = t.pending_id.clone(),
        _ => envelope.transaction_id = Some(transaction_id(&t.id).into()),
    }
    let Some(origin) = &t.origin else {
        return;
    };
    envelope.reference_id = origin.reference_id.clone();
    if kind == WalletType::Capture {
        envelope.hold_id = origin.hold_id.clone();
    }
    // The legs of a conversion meet in a liquidity account; the origin knows both ends.
    if envelope.counterparty_wallet_id.is_none() && origin.rate.is_some() {
        let ends = [Some(origin.wallet_id), origin.destination_wallet_id];
        let other = ends
            .into_iter()
            .flatten()
            .find(|id| *id != envelope.wallet_id.0);
        envelope.counterparty_wallet_id = other.map(Id);
    }
}

/// A transfer of the ledger API on a wallet's account is an adjustment, reversals apart.
fn type_of_event(t: &Transfer) -> WalletType {
    match (&t.origin, &t.reversal_of) {
        (Some(origin), None) => origin.r#type,
        _ => type_of(t),
    }
}

/// Name of the event, and whether it says a direction.
fn name_of(kind: WalletType, pays: bool) -> (&'static str, bool) {
    match kind {
        WalletType::Deposit => ("FundsDeposited", true),
        WalletType::Withdrawal => ("FundsWithdrawn", true),
        WalletType::Transfer => ("FundsTransferred", true),
        WalletType::Capture if pays => ("HoldCaptured", true),
        WalletType::Capture => ("FundsTransferred", true),
        WalletType::Reversal => ("TransactionReversed", true),
        WalletType::Payment => ("FundsPaid", true),
        WalletType::Refund => ("FundsRefunded", true),
        WalletType::Payout => ("FundsPaidOut", true),
        WalletType::Hold => ("HoldPlaced", false),
        WalletType::HoldVoid => ("HoldVoided", false),
        WalletType::Adjustment => ("WalletAdjusted", true),
    }
}

/// An expired hold; a pending transfer of the ledger API is an adjustment.
fn expired(envelope: &mut Envelope, held: &IdLookup, pending_id: &str, pays: bool) {
    let origin = match held {
        IdLookup::Recorded(record) => record.transfer().and_then(|t| t.origin.as_ref()),
        IdLookup::Refused(_) | IdLookup::Unknown => None,
    };
    if let Some(origin) = origin {
        envelope.event_type = "HoldExpired";
        envelope.hold_id = Some(pending_id.into());
        envelope.reference_id = origin.reference_id.clone();
    } else {
        envelope.transaction_id = Some(pending_id.into());
        envelope.direction = Some(if pays { Direction::Out } else { Direction::In });
    }
}

fn changed(envelope: &mut Envelope, change: &WalletChange) {
    envelope.event_type = match change.status {
        Some(Status::Frozen) => "WalletFrozen",
        Some(Status::Open) => "WalletUnfrozen",
        Some(Status::Closed) => "WalletClosed",
        None => "WalletLimitsChanged",
    };
    envelope.status = change.status.map(Status::wallet_word);
    envelope.reason = change.reason.clone();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::NAMES;

    #[test]
    fn every_name_is_listed_and_every_type_has_one() {
        for kind in WalletType::ALL {
            for pays in [true, false] {
                let (name, _) = name_of(*kind, pays);
                assert!(NAMES.contains(&name), "{name}");
            }
        }
        assert_eq!(name_of(WalletType::Capture, true).0, "HoldCaptured");
        assert_eq!(name_of(WalletType::Capture, false).0, "FundsTransferred");
    }
}
