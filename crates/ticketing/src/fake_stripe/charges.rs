//! Money in: what the test payment methods do, and the charge of an intent.

use serde_json::json;

use super::book::Book;
use super::disputes;
use super::objects::{BalanceTransaction, Charge, Failure, Intent, IntentStatus};

/// The provider's own fee: 2.9 % and 30 minor units (300 where there are three decimals).
const FEE_BP: i64 = 290;

/// What a payment method does when it is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Pays,
    Declines(Decline),
    NeedsAuthentication,
    PaysAndDisputes,
    PaysAndInquires,
    RefundsLater,
    RefundsFail,
}

/// How it declines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decline {
    Generic,
    Funds,
}

impl Method {
    /// The method of a token; `None` for tokens that are not known.
    pub fn of(token: &str) -> Option<Self> {
        Some(match token {
            "pm_card_visa" | "pm_card_mastercard" | "pm_card_amex" => Self::Pays,
            "pm_card_visa_chargeDeclined" => Self::Declines(Decline::Generic),
            "pm_card_visa_chargeDeclinedInsufficientFunds" => Self::Declines(Decline::Funds),
            "pm_card_authenticationRequired" => Self::NeedsAuthentication,
            "pm_card_createDispute" => Self::PaysAndDisputes,
            "pm_card_createDisputeInquiry" => Self::PaysAndInquires,
            "pm_card_pendingRefund" => Self::RefundsLater,
            "pm_card_refundFail" => Self::RefundsFail,
            _ => return None,
        })
    }
}

impl Decline {
    const fn failure(self) -> Failure {
        match self {
            Self::Generic => Failure {
                code: "card_declined",
                decline_code: Some("generic_decline"),
                message: "Your card was declined.",
            },
            Self::Funds => Failure {
                code: "card_declined",
                decline_code: Some("insufficient_funds"),
                message: "Your card has insufficient funds.",
            },
        }
    }
}

/// Authentication that was not passed.
pub const NOT_AUTHENTICATED: Failure = Failure {
    code: "payment_intent_authentication_failure",
    decline_code: None,
    message: "The provided payment method has failed authentication.",
};

/// The provider's fee for a charge.
pub fn fee(amount: i64, currency: &str) -> i64 {
    let fixed = match currency {
        "kwd" | "bhd" | "jod" | "omr" | "tnd" => 300,
        _ => 30,
    };
    (amount * FEE_BP + 5_000).div_euclid(10_000) + fixed
}

/// Charges an intent's method, authentication passed or not needed. Answers the charge's id, and
/// the failure if it was declined.
pub fn charge(
    book: &mut Book,
    intent_id: &str,
    amount: i64,
    now: i64,
) -> Option<(String, Option<Failure>)> {
    let intent = book.intents.get(intent_id)?.clone();
    let token = intent.method.clone()?;
    match Method::of(&token)? {
        Method::Declines(how) => {
            let failure = how.failure();
            let id = fail(book, &intent, &token, &failure, now);
            Some((id, Some(failure)))
        }
        method => {
            let id = succeed(book, &intent, &token, amount, now);
            match method {
                Method::PaysAndDisputes => disputes::open(book, &id, false, now),
                Method::PaysAndInquires => disputes::open(book, &id, true, now),
                _ => {}
            }
            Some((id, None))
        }
    }
}

fn succeed(book: &mut Book, intent: &Intent, token: &str, amount: i64, now: i64) -> String {
    let id = book.id("ch", now);
    let transaction = book.move_balance(BalanceTransaction {
        id: String::new(),
        kind: "charge",
        category: "charge",
        amount,
        fee: fee(amount, &intent.currency),
        currency: intent.currency.clone(),
        source: id.clone(),
        created: now,
    });
    let charge = new_charge(&id, intent, token, amount, now, None, Some(transaction));
    let told = charge.json();
    book.charges.insert(id.clone(), charge);
    if let Some(intent) = book.intents.get_mut(&intent.id) {
        intent.status = IntentStatus::Succeeded;
        intent.amount_received = amount;
        intent.latest_charge = Some(id.clone());
        intent.last_error = None;
        intent.next_action = None;
        let paid = intent.json();
        book.tell("charge.succeeded", told, now);
        book.tell("payment_intent.succeeded", paid, now);
    }
    id
}

fn fail(book: &mut Book, intent: &Intent, token: &str, failure: &Failure, now: i64) -> String {
    let id = book.id("ch", now);
    let charge = new_charge(
        &id,
        intent,
        token,
        intent.amount,
        now,
        Some(failure.clone()),
        None,
    );
    let told = charge.json();
    book.charges.insert(id.clone(), charge);
    book.tell("charge.failed", told, now);
    declined(book, &intent.id, failure, Some(id.clone()), now);
    id
}

/// An intent goes back to waiting for another method.
pub fn declined(
    book: &mut Book,
    intent_id: &str,
    failure: &Failure,
    charge: Option<String>,
    now: i64,
) {
    let Some(intent) = book.intents.get_mut(intent_id) else {
        return;
    };
    intent.status = IntentStatus::NeedsMethod;
    intent.method = None;
    intent.next_action = None;
    intent.last_error = Some(failure.clone());
    if charge.is_some() {
        intent.latest_charge = charge;
    }
    let told = intent.json();
    book.tell("payment_intent.payment_failed", told, now);
}

fn new_charge(
    id: &str,
    intent: &Intent,
    token: &str,
    amount: i64,
    now: i64,
    failure: Option<Failure>,
    balance_transaction: Option<String>,
) -> Charge {
    Charge {
        id: id.to_owned(),
        intent: intent.id.clone(),
        amount,
        refunded: 0,
        currency: intent.currency.clone(),
        method: token.to_owned(),
        paid: failure.is_none(),
        failure,
        disputed: false,
        balance_transaction,
        metadata: intent.metadata.clone(),
        created: now,
    }
}

/// What the customer must do to pass authentication.
pub fn next_action(base: &str, intent: &Intent) -> serde_json::Value {
    let url = format!("{base}/3d-secure/{}", intent.id);
    match &intent.return_url {
        Some(back) => json!({
            "type": "redirect_to_url",
            "redirect_to_url": {"url": url, "return_url": back},
        }),
        None => json!({
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url},
        }),
    }
}
