//! `/v1/refunds`: money back, at once, later or never.

use serde_json::Value;

use super::answer::Refusal;
use super::book::Book;
use super::charges::Method;
use super::form::Form;
use super::objects::{BalanceTransaction, Charge, Refund, RefundStatus};

/// Seconds after which a pending refund ends.
const SETTLES_AFTER: i64 = 2;

const NEW: &[&str] = &[
    "payment_intent",
    "charge",
    "amount",
    "reason",
    "metadata",
    "expand",
];

/// POST `/v1/refunds`.
pub fn create(book: &mut Book, form: &Form, now: i64) -> Result<Value, Refusal> {
    form.only(NEW)?;
    let charge = charge_of(book, form)?;
    let open = charge.amount - charge.refunded;
    let amount = form.int("amount")?.unwrap_or(open);
    if charge.disputed {
        let message = format!("Charge {} has been charged back.", charge.id);
        return Err(Refusal::invalid("charge", message).with("code", "charge_disputed"));
    }
    if amount <= 0 {
        return Err(Refusal::invalid("amount", "Amount must be at least 1"));
    }
    if open == 0 {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(Refusal::invalid("charge", message).with("code", "charge_already_refunded"));
    }
    if amount > open {
        let message =
            format!("Refund amount ({amount}) is greater than unrefunded amount ({open})");
        return Err(Refusal::invalid("amount", message));
    }
    let settles = match Method::of(&charge.method) {
        Some(Method::RefundsLater) => Some((now + SETTLES_AFTER, RefundStatus::Succeeded)),
        Some(Method::RefundsFail) => Some((now + SETTLES_AFTER, RefundStatus::Failed)),
        _ => None,
    };
    let id = book.id("re", now);
    let transaction = book.move_balance(movement("refund", "refund", -amount, &charge, &id, now));
    let refund = Refund {
        id: id.clone(),
        intent: charge.intent.clone(),
        charge: charge.id.clone(),
        amount,
        currency: charge.currency.clone(),
        status: match settles {
            Some(_) => RefundStatus::Pending,
            None => RefundStatus::Succeeded,
        },
        reason: form.get("reason").map(str::to_owned),
        failure_reason: None,
        balance_transaction: Some(transaction),
        failure_balance_transaction: None,
        metadata: form.map("metadata"),
        created: now,
        settles,
    };
    let told = refund.json();
    book.refunds.insert(id, refund);
    let charge = add_refunded(book, &charge.id, amount);
    book.tell("refund.created", told.clone(), now);
    book.tell("charge.refunded", charge, now);
    Ok(told)
}

/// Ends pending refunds whose time has come; whether there were any.
pub fn settle_due(book: &mut Book, now: i64) -> bool {
    let is_due = |refund: &&Refund| refund.settles.is_some_and(|(at, _)| at <= now);
    let due: Vec<Refund> = book.refunds.values().filter(is_due).cloned().collect();
    for mut refund in due.iter().cloned() {
        let Some((_, end)) = refund.settles.take() else {
            continue;
        };
        refund.status = end;
        if end == RefundStatus::Failed {
            refund.failure_reason = Some("lost_or_stolen_card");
            if let Some(charge) = book.charges.get(&refund.charge).cloned() {
                let (id, amount) = (refund.id.clone(), refund.amount);
                let back = movement(
                    "refund_failure",
                    "refund_failure",
                    amount,
                    &charge,
                    &id,
                    now,
                );
                refund.failure_balance_transaction = Some(book.move_balance(back));
                add_refunded(book, &charge.id, -amount);
            }
        }
        let told = refund.json();
        book.refunds.insert(refund.id.clone(), refund);
        let kind = match end {
            RefundStatus::Failed => "refund.failed",
            _ => "refund.updated",
        };
        book.tell(kind, told, now);
    }
    !due.is_empty()
}

fn charge_of(book: &Book, form: &Form) -> Result<Charge, Refusal> {
    let id = match (form.get("payment_intent"), form.get("charge")) {
        (Some(intent), None) => {
            let found = book.intents.get(intent);
            let intent = found.ok_or_else(|| Refusal::missing("payment_intent", intent))?;
            intent.latest_charge.clone()
        }
        (None, Some(charge)) => Some(charge.to_owned()),
        _ => {
            let message =
                "One of the following params should be provided: payment_intent or charge.";
            return Err(Refusal::invalid("payment_intent", message));
        }
    };
    let charge = id.and_then(|id| book.charges.get(&id).cloned());
    charge.filter(|charge| charge.paid).ok_or_else(|| {
        Refusal::invalid(
            "payment_intent",
            "This PaymentIntent does not have a successful charge to refund.",
        )
    })
}

fn add_refunded(book: &mut Book, charge: &str, amount: i64) -> Value {
    match book.charges.get_mut(charge) {
        Some(charge) => {
            charge.refunded += amount;
            charge.json()
        }
        None => Value::Null,
    }
}

fn movement(
    kind: &'static str,
    category: &'static str,
    amount: i64,
    charge: &Charge,
    source: &str,
    now: i64,
) -> BalanceTransaction {
    BalanceTransaction {
        id: String::new(),
        kind,
        category,
        amount,
        fee: 0,
        currency: charge.currency.clone(),
        source: source.to_owned(),
        created: now,
    }
}
