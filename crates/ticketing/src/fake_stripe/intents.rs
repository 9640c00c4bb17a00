//! `/v1/payment_intents`.

use serde_json::Value;

use super::answer::Refusal;
use super::book::Book;
use super::charges::{self, Method};
use super::form::Form;
use super::objects::{Intent, IntentStatus};

/// Parameters of a new intent.
const NEW: &[&str] = &[
    "amount",
    "currency",
    "payment_method",
    "payment_method_types",
    "automatic_payment_methods",
    "capture_method",
    "confirmation_method",
    "confirm",
    "return_url",
    "description",
    "receipt_email",
    "metadata",
    "statement_descriptor_suffix",
    "expand",
];
/// Parameters of a confirmation.
const CONFIRM: &[&str] = &[
    "payment_method",
    "return_url",
    "client_secret",
    "use_stripe_sdk",
    "expand",
];
/// Why an intent may be cancelled.
const REASONS: &[&str] = &[
    "duplicate",
    "fraudulent",
    "requested_by_customer",
    "abandoned",
];

/// Smallest charge of a currency in minor units, as Stripe publishes them for settlement in the
/// same currency; others 50.
pub fn minimum(currency: &str) -> i64 {
    match currency {
        "gbp" => 30,
        "dkk" => 250,
        "nok" | "sek" => 300,
        "pln" => 200,
        "czk" => 1_500,
        "mxn" => 1_000,
        "hkd" => 400,
        "huf" => 17_500,
        "thb" => 1_000,
        "aed" | "myr" => 200,
        _ => 50,
    }
}

/// POST `/v1/payment_intents`.
pub fn create(book: &mut Book, form: &Form, base: &str, now: i64) -> Result<Value, Refusal> {
    form.only(NEW)?;
    let currency = form.need("currency")?.to_ascii_lowercase();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        let message = format!("Invalid currency: {currency}");
        return Err(Refusal::invalid("currency", message));
    }
    form.need("amount")?;
    let amount = form.int("amount")?.unwrap_or_default();
    if amount < minimum(&currency) {
        let least = minimum(&currency);
        let message = format!("Amount must be at least {least} {currency}");
        return Err(Refusal::invalid("amount", message).with("code", "amount_too_small"));
    }
    if amount > 99_999_999_999 {
        let message = "Amount must be no more than 99999999999";
        return Err(Refusal::invalid("amount", message).with("code", "amount_too_large"));
    }
    let method = method(form)?;
    let id = book.id("pi", now);
    let secret = format!("{id}_secret_{}", book.id("s", now).trim_start_matches("s_"));
    let intent = Intent {
        id: id.clone(),
        secret,
        amount,
        amount_received: 0,
        currency,
        status: match method {
            Some(_) => IntentStatus::NeedsConfirmation,
            None => IntentStatus::NeedsMethod,
        },
        method,
        return_url: None,
        description: form.get("description").map(str::to_owned),
        metadata: form.map("metadata"),
        latest_charge: None,
        last_error: None,
        created: now,
        canceled_at: None,
        cancellation_reason: None,
        next_action: None,
    };
    let told = intent.json();
    book.intents.insert(id.clone(), intent);
    book.tell("payment_intent.created", told, now);
    match form.flag("confirm")? {
        true => confirmed(book, &id, form, base, now),
        false => shown(book, &id),
    }
}

/// POST `/v1/payment_intents/{id}/confirm`.
pub fn confirm(
    book: &mut Book,
    id: &str,
    form: &Form,
    base: &str,
    now: i64,
) -> Result<Value, Refusal> {
    form.only(CONFIRM)?;
    confirmed(book, id, form, base, now)
}

fn confirmed(
    book: &mut Book,
    id: &str,
    form: &Form,
    base: &str,
    now: i64,
) -> Result<Value, Refusal> {
    let given = method(form)?;
    let intent = found(book, id)?;
    if !intent.status.is_open() {
        let message = format!(
            "You cannot confirm this PaymentIntent because it has a status of {}.",
            intent.status.word()
        );
        return Err(Refusal::unexpected_state(message, intent.json()));
    }
    if let Some(url) = form.get("return_url") {
        intent.return_url = Some(url.to_owned());
    }
    intent.method = given.or(intent.method.take());
    let Some(token) = intent.method.clone() else {
        let message =
            "You cannot confirm this PaymentIntent because it's missing a payment method.";
        return Err(Refusal::unexpected_state(message, intent.json()));
    };
    if Method::of(&token) == Some(Method::NeedsAuthentication) {
        intent.status = IntentStatus::NeedsAction;
        intent.next_action = Some(charges::next_action(base, intent));
        let told = intent.json();
        book.tell("payment_intent.requires_action", told.clone(), now);
        return Ok(told);
    }
    let amount = intent.amount;
    let (charge, failure) = charges::charge(book, id, amount, now)
        .ok_or_else(|| Refusal::missing("payment_method", &token))?;
    let shown = shown(book, id)?;
    match failure {
        Some(failure) => Err(Refusal::declined(&failure, &charge, shown)),
        None => Ok(shown),
    }
}

/// POST `/v1/payment_intents/{id}/cancel`.
pub fn cancel(book: &mut Book, id: &str, form: &Form, now: i64) -> Result<Value, Refusal> {
    form.only(&["cancellation_reason", "expand"])?;
    let reason = form.get("cancellation_reason");
    if reason.is_some_and(|reason| !REASONS.contains(&reason)) {
        return Err(Refusal::invalid("cancellation_reason", "Invalid reason"));
    }
    let intent = found(book, id)?;
    if !intent.status.is_open() {
        let message = format!(
            "You cannot cancel this PaymentIntent because it has a status of {}.",
            intent.status.word()
        );
        return Err(Refusal::unexpected_state(message, intent.json()));
    }
    intent.status = IntentStatus::Canceled;
    intent.canceled_at = Some(now);
    intent.cancellation_reason = reason.map(str::to_owned);
    intent.next_action = None;
    let told = intent.json();
    book.tell("payment_intent.canceled", told.clone(), now);
    Ok(told)
}

/// How authentication ended (`POST /_control/authenticate` and the page of the fake).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticated {
    Passed,
    Failed,
    Processing,
}

/// Ends the authentication of an intent. `force` does it whatever its status is: so that a
/// cancelled intent is paid after all, or a paid one is told of as failed.
pub fn authenticate(
    book: &mut Book,
    id: &str,
    how: Authenticated,
    force: bool,
    received: Option<i64>,
    now: i64,
) -> Result<Value, Refusal> {
    let intent = found(book, id)?;
    let waits = matches!(
        intent.status,
        IntentStatus::NeedsAction | IntentStatus::Processing
    );
    if !waits && !force {
        let message = format!("The intent has a status of {}.", intent.status.word());
        return Err(Refusal::unexpected_state(message, intent.json()));
    }
    match how {
        Authenticated::Processing => {
            intent.status = IntentStatus::Processing;
            intent.next_action = None;
            let told = intent.json();
            book.tell("payment_intent.processing", told, now);
        }
        Authenticated::Failed if intent.status == IntentStatus::Succeeded => {
            // What an older state looked like, told late.
            let mut old = intent.json();
            old["status"] = IntentStatus::NeedsMethod.word().into();
            old["amount_received"] = 0.into();
            book.tell("payment_intent.payment_failed", old, now);
        }
        Authenticated::Failed => {
            charges::declined(book, id, &charges::NOT_AUTHENTICATED, None, now);
        }
        Authenticated::Passed => {
            let amount = received.unwrap_or(intent.amount);
            if intent.method.is_none() {
                intent.method = Some("pm_card_visa".to_owned());
            }
            charges::charge(book, id, amount, now);
        }
    }
    shown(book, id)
}

fn method(form: &Form) -> Result<Option<String>, Refusal> {
    match form.get("payment_method") {
        None => Ok(None),
        Some(token) if Method::of(token).is_some() => Ok(Some(token.to_owned())),
        Some(token) => {
            Err(Refusal::missing("PaymentMethod", token).with("param", "payment_method"))
        }
    }
}

fn found<'a>(book: &'a mut Book, id: &str) -> Result<&'a mut Intent, Refusal> {
    let found = book.intents.get_mut(id);
    found.ok_or_else(|| Refusal::missing("payment_intent", id).with("param", "intent"))
}

fn shown(book: &mut Book, id: &str) -> Result<Value, Refusal> {
    found(book, id).map(|intent| intent.json())
}

/// An intent as a browser may see it: with its client secret.
pub fn opens(book: &Book, id: &str, secret: Option<&str>) -> bool {
    let intent = book.intents.get(id);
    intent.is_some_and(|intent| Some(intent.secret.as_str()) == secret)
}
