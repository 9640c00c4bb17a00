//! Disputes: a cardholder asks (inquiry) or takes his money back, and somebody decides.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::book::Book;
use super::objects::{BalanceTransaction, Dispute};

/// The provider's fee for a dispute, minor units; it is not given back.
const FEE: i64 = 1_500;

/// Opens a dispute, or an inquiry, on a charge.
pub fn open(book: &mut Book, charge_id: &str, inquiry: bool, now: i64) {
    let Some(charge) = book.charges.get(charge_id).cloned() else {
        return;
    };
    let id = book.id("dp", now);
    let dispute = Dispute {
        id: id.clone(),
        intent: charge.intent.clone(),
        charge: charge.id.clone(),
        amount: charge.amount - charge.refunded,
        currency: charge.currency.clone(),
        status: if inquiry {
            "warning_needs_response"
        } else {
            "needs_response"
        },
        balance_transactions: Vec::new(),
        created: now,
    };
    book.disputes.insert(id.clone(), dispute);
    if inquiry {
        let told = shown(book, &id);
        book.tell("charge.dispute.created", told, now);
    } else {
        withdraw(book, &id, now);
        let told = shown(book, &id);
        book.tell("charge.dispute.created", told.clone(), now);
        book.tell("charge.dispute.funds_withdrawn", told, now);
    }
}

fn withdraw(book: &mut Book, id: &str, now: i64) {
    adjust(book, id, -1, FEE, now);
    let charge = book.disputes.get(id).map(|dispute| dispute.charge.clone());
    if let Some(charge) = charge.and_then(|charge| book.charges.get_mut(&charge)) {
        charge.disputed = true;
    }
}

/// What `POST /_control/dispute` may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Open,
    Inquiry,
    Win,
    Lose,
}

/// Acts on the dispute of an intent.
pub fn act(book: &mut Book, intent_id: &str, action: Action, now: i64) -> Result<Value, Refusal> {
    let intent = book.intents.get(intent_id);
    let intent = intent.ok_or_else(|| Refusal::missing("payment_intent", intent_id))?;
    let charge = intent.latest_charge.clone();
    let charge = charge.filter(|id| book.charges.get(id).is_some_and(|charge| charge.paid));
    let Some(charge) = charge else {
        return Err(Refusal::invalid(
            "paymentIntent",
            "The intent was not paid.",
        ));
    };
    let running = book.disputes.values().find(|dispute| {
        let ended = ["won", "lost", "warning_closed"].contains(&dispute.status);
        dispute.charge == charge && !ended
    });
    let running = running.map(|dispute| (dispute.id.clone(), dispute.is_inquiry()));
    match (action, running) {
        (Action::Open, Some((id, true))) => escalate(book, &id, now),
        (Action::Open, None) => open(book, &charge, false, now),
        (Action::Inquiry, None) => open(book, &charge, true, now),
        (Action::Open | Action::Inquiry, Some(_)) => {
            return Err(Refusal::invalid("action", "A dispute is open already."));
        }
        (Action::Win | Action::Lose, None) => {
            return Err(Refusal::invalid("action", "There is no open dispute."));
        }
        (Action::Win | Action::Lose, Some((id, true))) => close(book, &id, "warning_closed", now),
        (Action::Win, Some((id, false))) => {
            adjust(book, &id, 1, 0, now);
            let charge = book.charges.get_mut(&charge);
            if let Some(charge) = charge {
                charge.disputed = false;
            }
            set(book, &id, "won");
            let told = shown(book, &id);
            book.tell("charge.dispute.funds_reinstated", told, now);
            close(book, &id, "won", now);
        }
        (Action::Lose, Some((id, false))) => close(book, &id, "lost", now),
    }
    let mut of_charge = book
        .disputes
        .values()
        .filter(|dispute| dispute.charge == charge);
    let last = of_charge.next_back().map(|dispute| dispute.id.clone());
    Ok(last.map_or(Value::Null, |id| shown(book, &id)))
}

/// An inquiry becomes a dispute.
fn escalate(book: &mut Book, id: &str, now: i64) {
    set(book, id, "needs_response");
    withdraw(book, id, now);
    let told = shown(book, id);
    book.tell("charge.dispute.funds_withdrawn", told.clone(), now);
    book.tell("charge.dispute.updated", told, now);
}

fn close(book: &mut Book, id: &str, status: &'static str, now: i64) {
    set(book, id, status);
    let told = shown(book, id);
    book.tell("charge.dispute.closed", told, now);
}

fn set(book: &mut Book, id: &str, status: &'static str) {
    if let Some(dispute) = book.disputes.get_mut(id) {
        dispute.status = status;
    }
}

fn adjust(book: &mut Book, id: &str, sign: i64, fee: i64, now: i64) {
    let Some(dispute) = book.disputes.get(id).cloned() else {
        return;
    };
    let transaction = book.move_balance(BalanceTransaction {
        id: String::new(),
        kind: "adjustment",
        category: if sign < 0 {
            "dispute"
        } else {
            "dispute_reversal"
        },
        amount: sign * dispute.amount,
        fee,
        currency: dispute.currency,
        source: dispute.id,
        created: now,
    });
    if let Some(dispute) = book.disputes.get_mut(id) {
        dispute.balance_transactions.push(transaction);
    }
}

/// A dispute as Stripe prints it: its balance transactions stand in it whole.
pub fn shown(book: &Book, id: &str) -> Value {
    let Some(dispute) = book.disputes.get(id) else {
        return Value::Null;
    };
    let is_its = |id: &String| dispute.balance_transactions.contains(id);
    let its = book
        .transactions
        .iter()
        .filter(|transaction| is_its(&transaction.id));
    json!({
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": its.map(|transaction| transaction.json()).collect::<Vec<_>>(),
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": dispute.currency,
        "is_charge_refundable": dispute.is_inquiry(),
        "livemode": false,
        "metadata": {},
        "payment_intent": dispute.intent,
        "reason": "fraudulent",
        "status": dispute.status,
    })
}
