//! Paying an order by card (contract B2).

use florin_platform::http::problem::{Problem, Status};
use serde_json::Value;

use super::Provider;
use super::decide::{self, Decided};
use super::intents::{self, ASK_AFTER, IntentRow};
use super::provider::{Confirm, Intent, IntentStatus, ProviderError};
use crate::Ticketing;
use crate::api::problem::{conflict, field};
use crate::orders::desk::Cx;
use crate::orders::{checkout, payment, row};

/// Longest time for which an attempt to charge counts as under way.
const CONFIRM_LEASE: i64 = 60_000_000;
/// Longest token of a payment method after `pm_`.
const TOKEN_MAX: usize = 64;
/// Longest address that a browser comes back to.
const RETURN_URL_MAX: usize = 2_000;

/// What a buyer gives with `method: "card"`.
#[derive(Debug, Clone, Default)]
pub struct CardCheckout {
    /// Token of a payment method; without it the browser confirms the intent.
    pub payment_method_id: Option<String>,
    /// Where the browser comes back to from the bank.
    pub return_url: Option<String>,
}

/// What a card checkout came to.
#[derive(Debug, Clone)]
pub enum CardOutcome {
    /// The order is confirmed.
    Confirmed,
    /// The buyer, or his bank, must do something.
    Pending(PendingPayment),
    /// 402 `payment_declined`; the order is reserved again.
    Declined {
        /// The provider's code.
        code: String,
    },
}

/// What a browser needs to go on. Shown, never stored.
#[derive(Debug, Clone)]
pub struct PendingPayment {
    /// The provider's id.
    pub intent_id: String,
    /// Opens the intent for the browser.
    pub client_secret: String,
    /// Key of the provider for browsers.
    pub publishable_key: String,
    /// What the cardholder must do, in the provider's own shape.
    pub next_action: Option<Value>,
    /// `requires_action` or `processing`.
    pub status: &'static str,
}

impl CardCheckout {
    /// Checks tokens and addresses.
    ///
    /// # Errors
    /// 400 `payment_method_invalid`, `return_url_invalid`.
    pub fn check(&self) -> Result<(), Problem> {
        let is_token = |text: &String| {
            text.strip_prefix("pm_").is_some_and(|rest| {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                (1..=TOKEN_MAX).contains(&rest.len()) && rest.bytes().all(plain)
            })
        };
        if !self.payment_method_id.as_ref().is_none_or(is_token) {
            return Err(field(
                "paymentMethodId",
                "payment_method_invalid",
                "A token of a payment method, such as pm_card_visa.",
            ));
        }
        let is_url = |url: &String| {
            let web = url.starts_with("https://") || url.starts_with("http://");
            web && url.len() <= RETURN_URL_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !self.return_url.as_ref().is_none_or(is_url) {
            return Err(field(
                "returnUrl",
                "return_url_invalid",
                "An address that begins with https:// or http://.",
            ));
        }
        Ok(())
    }
}

/// 503: the provider does not answer; the same request may be sent again.
pub fn provider_away(error: &ProviderError) -> Problem {
    Problem::unavailable(
        "provider_unavailable",
        "The card payment provider does not answer at the moment; send the same request again.",
    )
    .with_cause(error)
}

pub(super) fn provider(room: &Ticketing) -> Result<&dyn Provider, Problem> {
    room.card.as_deref().ok_or_else(|| {
        conflict(
            "card_unavailable",
            "This installation takes no card payments.",
        )
    })
}

/// An attempt to charge that is to be made.
#[derive(Debug, Clone)]
struct Begun {
    row: IntentRow,
    confirm: Option<(i64, String)>,
}

/// Pays an order by card, or goes on with a payment that was begun.
///
/// # Errors
/// 404, 409 `order_state`, `payment_in_progress`, `payment_method_mismatch`,
/// `amount_below_minimum`, `card_unavailable`, 410 `hold_expired`, 400 `attendee_required`,
/// `payment_method_invalid`; 503 `provider_unavailable` and the store's.
pub async fn checkout(
    room: &Ticketing,
    order_id: &str,
    event_id: &str,
    ask: &CardCheckout,
) -> Result<CardOutcome, Problem> {
    ask.check()?;
    let provider = provider(room)?;
    // An intent may turn out to have been given up a moment ago; then a new one is made, once.
    for _ in 0..2 {
        let begun = begin(room, order_id, event_id, ask).await?;
        let (decided, intent) = charge(room, provider, &begun, ask).await?;
        match decided {
            Decided::Paid => return Ok(CardOutcome::Confirmed),
            Decided::Declined(code) => return Ok(CardOutcome::Declined { code }),
            Decided::Returned => return Err(payment::hold_expired()),
            Decided::Waits => return Ok(waiting(provider, &begun, &intent)),
            Decided::Closed => {}
        }
    }
    Err(payment::in_progress())
}

/// An attempt of ours that was declined, and applied by somebody quicker, is declined all the same.
fn waiting(provider: &dyn Provider, begun: &Begun, intent: &Intent) -> CardOutcome {
    match (&begun.confirm, intent.status, &intent.declined) {
        (Some(_), IntentStatus::NeedsMethod, Some(code)) => {
            CardOutcome::Declined { code: code.clone() }
        }
        _ => CardOutcome::Pending(pending(provider, intent)),
    }
}

fn pending(provider: &dyn Provider, intent: &Intent) -> PendingPayment {
    PendingPayment {
        intent_id: intent.id.clone(),
        client_secret: intent.client_secret.clone(),
        publishable_key: provider.publishable_key().to_owned(),
        next_action: intent.next_action.clone(),
        status: match intent.status {
            IntentStatus::Processing => "processing",
            _ => "requires_action",
        },
    }
}

/// What opens the live intent of an order, for a buyer who asks again.
///
/// # Errors
/// 503 when the provider does not answer; the store's.
pub async fn pending_now(
    room: &Ticketing,
    order_id: &str,
) -> Result<Option<PendingPayment>, Problem> {
    let row = intents::live(&room.store.db, order_id).await?;
    let Some(id) = row.and_then(|row| row.provider_id) else {
        return Ok(None);
    };
    let provider = provider(room)?;
    let intent = provider
        .intent(&id)
        .await
        .map_err(|error| provider_away(&error))?;
    Ok(Some(pending(provider, &intent)))
}

async fn begin(
    room: &Ticketing,
    order_id: &str,
    event_id: &str,
    ask: &CardCheckout,
) -> Result<Begun, Problem> {
    let (order_id, method) = (order_id.to_owned(), ask.payment_method_id.clone());
    room.desk
        .run(event_id, move |cx| {
            let (order_id, method) = (order_id.clone(), method.clone());
            Box::pin(async move { begin_in(cx, &order_id, method.as_deref()).await })
        })
        .await
}

async fn begin_in(cx: &mut Cx, order_id: &str, method: Option<&str>) -> Result<Begun, Problem> {
    let found = row::find_in(&mut cx.tx, order_id).await?;
    let order = found.ok_or_else(row::not_found)?;
    payment::payable(&order, cx.now)?;
    checkout::complete(cx, &order).await?;
    let minimum = provider(&cx.room)?.minimum(&order.currency);
    if order.total > 0 && order.total < minimum {
        return Err(below_minimum());
    }
    let live = intents::live_in(&mut cx.tx, order_id).await?;
    let confirm = match (&live, method) {
        (_, None) => None,
        (None, Some(method)) => Some((1, method.to_owned())),
        (Some(row), Some(method)) => attempt(row, method, cx.now)?,
    };
    let is_new = live.is_none();
    let row = live.unwrap_or_else(|| IntentRow {
        id: cx.room.store.id(),
        order_id: order.id.clone(),
        order_number: order.number.clone(),
        event_id: order.event_id.clone(),
        org_id: order.org_id.clone(),
        amount: order.total,
        currency: order.currency.clone(),
        state: "creating".to_owned(),
        provider_id: None,
        provider_status: None,
        charge_id: None,
        declined: None,
        received: None,
        cost: None,
        confirms: 0,
        confirm_at: None,
        confirm_method: None,
        tries: 0,
        ask_at: cx.now + ASK_AFTER,
    });
    // Refuses without having written anything.
    payment::started(cx, order_id, &row.id).await?;
    cx.dirty = true;
    if is_new {
        intents::insert(&mut cx.tx, &row, cx.now).await?;
    }
    if let Some((number, method)) = &confirm {
        intents::confirming(&mut cx.tx, &row.id, *number, method, cx.now).await?;
    }
    Ok(Begun { row, confirm })
}

/// Which attempt a method is charged by: the one that is under way, or the next.
fn attempt(row: &IntentRow, method: &str, now: i64) -> Result<Option<(i64, String)>, Problem> {
    let under_way = row.confirm_at.is_some_and(|at| now < at + CONFIRM_LEASE);
    match (under_way, row.provider_status.as_deref()) {
        // The same attempt again has one effect at the provider.
        (true, _) if row.confirm_method.as_deref() == Some(method) => {
            Ok(Some((row.confirms, method.to_owned())))
        }
        (true, _) => Err(payment::in_progress()),
        (false, None | Some("needs_method" | "needs_confirmation")) => {
            Ok(Some((row.confirms + 1, method.to_owned())))
        }
        (false, Some(_)) => Ok(None),
    }
}

fn below_minimum() -> Problem {
    conflict(
        "amount_below_minimum",
        "The total is below what the card payment provider takes.",
    )
}

/// Makes the intent known to the provider and charges it, if that was asked.
async fn charge(
    room: &Ticketing,
    provider: &dyn Provider,
    begun: &Begun,
    ask: &CardCheckout,
) -> Result<(Decided, Intent), Problem> {
    let row = &begun.row;
    let known = match (&row.provider_id, &begun.confirm) {
        (None, _) => {
            let made = provider.create(&row.new_intent()).await;
            let made = match made {
                Err(ProviderError::Refused { code }) => return refused(room, row, &code).await,
                made => made.map_err(|error| provider_away(&error))?,
            };
            if begun.confirm.is_some() {
                remember(room, row, &made.id).await?;
            }
            made
        }
        (Some(id), None) => provider
            .intent(id)
            .await
            .map_err(|error| provider_away(&error))?,
        // It is about to be charged; what it was before does not matter.
        (Some(id), Some(_)) => blank(id, row),
    };
    let shown = match &begun.confirm {
        None => known,
        Some((number, method)) => {
            let confirm = Confirm {
                key: format!("florin-confirm-{}-{number}", row.id),
                payment_method: method.clone(),
                return_url: ask.return_url.clone(),
            };
            match provider.confirm(&known.id, &confirm).await {
                Ok(intent) => intent,
                Err(ProviderError::Declined(decline)) => Intent {
                    declined: Some(decline.code),
                    ..decline.intent
                },
                Err(ProviderError::State(intent)) => *intent,
                Err(ProviderError::Refused { code }) => {
                    return declined_without_charge(room, row, known, code).await;
                }
                Err(ProviderError::Missing) => {
                    return declined_without_charge(room, row, known, "payment_method".to_owned())
                        .await;
                }
                // Perhaps it was charged: what the provider shows decides.
                Err(error @ ProviderError::Unavailable(_)) => provider
                    .intent(&known.id)
                    .await
                    .map_err(|_| provider_away(&error))?,
            }
        }
    };
    // The row as it is now: an event may have been quicker.
    let fresh = intents::find(&room.store.db, &row.id).await?;
    let fresh = fresh.ok_or_else(|| Problem::internal("an intent without its row"))?;
    let shown = with_cost(provider, shown).await;
    let decided = decide::apply(room, &fresh, &shown).await?;
    Ok((decided, shown))
}

/// A payment whose cost did not come along is read once more; without an answer the poller brings
/// the cost later.
async fn with_cost(provider: &dyn Provider, shown: Intent) -> Intent {
    let paid = shown.status == IntentStatus::Succeeded;
    if !paid || shown.cost.is_some() {
        return shown;
    }
    match provider.intent(&shown.id).await {
        Ok(wide) => wide,
        Err(_) => shown,
    }
}

fn blank(id: &str, row: &IntentRow) -> Intent {
    Intent {
        id: id.to_owned(),
        status: IntentStatus::NeedsMethod,
        received: 0,
        currency: row.currency.clone(),
        client_secret: String::new(),
        next_action: None,
        declined: None,
        charge_id: row.charge_id.clone(),
        cost: None,
        reference: Some(row.id.clone()),
    }
}

/// The provider's id is kept before the card is charged, so that its events are understood.
async fn remember(room: &Ticketing, row: &IntentRow, provider_id: &str) -> Result<(), Problem> {
    let (id, provider_id) = (row.id.clone(), provider_id.to_owned());
    room.desk
        .run(&row.event_id, move |cx| {
            let (id, provider_id) = (id.clone(), provider_id.clone());
            Box::pin(async move {
                cx.dirty = true;
                let text = "UPDATE tk_card_intents SET provider_id = $1, state = 'open'
                    WHERE id = $2 AND state = 'creating'";
                let statement = florin_platform::sql::query(text).bind(provider_id).bind(id);
                cx.tx.execute(statement).await?;
                Ok(())
            })
        })
        .await
}

/// The provider makes no intent of it: the order is reserved again.
async fn refused(
    room: &Ticketing,
    row: &IntentRow,
    code: &str,
) -> Result<(Decided, Intent), Problem> {
    tracing::warn!(
        order = row.order_number,
        code,
        "the provider refuses an intent"
    );
    let id = row.id.clone();
    let order_id = row.order_id.clone();
    room.desk
        .run(&row.event_id, move |cx| {
            let (id, order_id) = (id.clone(), order_id.clone());
            Box::pin(async move {
                cx.dirty = true;
                intents::close(&mut cx.tx, &id, cx.now).await?;
                payment::canceled(cx, &order_id).await
            })
        })
        .await?;
    Err(match code {
        "amount_too_small" => below_minimum(),
        code => conflict(
            "payment_refused",
            "The card payment provider does not take this payment.",
        )
        .with("providerCode", code),
    })
}

/// The provider refused to charge at all, such as for a token that it does not know.
async fn declined_without_charge(
    room: &Ticketing,
    row: &IntentRow,
    known: Intent,
    code: String,
) -> Result<(Decided, Intent), Problem> {
    let fresh = intents::find(&room.store.db, &row.id).await?;
    let fresh = fresh.ok_or_else(|| Problem::internal("an intent without its row"))?;
    let shown = Intent {
        declined: Some(code),
        status: IntentStatus::NeedsMethod,
        ..known
    };
    let decided = decide::apply(room, &fresh, &shown).await?;
    Ok((decided, shown))
}

/// 402 `payment_declined` with the provider's code.
pub fn declined(code: &str) -> Problem {
    Problem::new(
        Status::PaymentRequired,
        "payment_declined",
        "The card was declined; another one may be tried.",
    )
    .with("declineCode", code)
    .refused()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_of_payment_methods_are_taken() {
        let with = |token: &str| CardCheckout {
            payment_method_id: Some(token.to_owned()),
            return_url: None,
        };
        assert!(with("pm_card_visa").check().is_ok());
        assert!(CardCheckout::default().check().is_ok());
        for bad in ["pm_", "card_visa", "4242424242424242", "pm_a b", "tok_visa"] {
            assert!(with(bad).check().is_err(), "{bad}");
        }
        assert!(with(&format!("pm_{}", "a".repeat(65))).check().is_err());
        let back = |url: &str| CardCheckout {
            payment_method_id: None,
            return_url: Some(url.to_owned()),
        };
        assert!(back("https://shop.example/back?order=1").check().is_ok());
        assert!(back("javascript:alert(1)").check().is_err());
    }
}
