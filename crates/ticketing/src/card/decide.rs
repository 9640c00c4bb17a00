//! What an intent, as the provider shows it, means for its order.
//!
//! Events, polls and the answers of our own calls all end here, each with the object as it was
//! just read. The order of steps is that of contract C3: P1, then the decision in one commit, then
//! P2 or P7. Each may be repeated; the decision is made once, under the event's lane.

use florin_platform::http::problem::Problem;
use serde_json::json;

use super::intents::{self, IntentRow};
use super::provider::{Intent, IntentStatus};
use super::refunds;
use crate::api::money::print;
use crate::money::{self, MoneyError, p01_card_in, p04_provider_cost};
use crate::orders::desk::Cx;
use crate::orders::payment::{self, Paid, Reason, Verdict};
use crate::orders::row;
use crate::{Ticketing, outbox};

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// It confirmed its order.
    Paid,
    /// Its money goes back.
    Returned,
    /// It waits for the buyer or for his bank.
    Waits,
    /// The last attempt was declined; another may follow.
    Declined(String),
    /// It was given up.
    Closed,
}

/// A posting that is not there yet: certainly not done, or to be looked at by a person.
pub fn away(error: MoneyError) -> Problem {
    match error {
        MoneyError::Unavailable(_) => {
            Problem::unavailable("store_unavailable", "The ledger takes no postings now.")
                .with_cause(error)
        }
        MoneyError::Refused { .. } | MoneyError::Wallet(_) => Problem::internal(error),
    }
}

/// Applies what the provider shows.
///
/// # Errors
/// 503 when the ledger or the store is away; the same may be applied again.
pub async fn apply(room: &Ticketing, row: &IntentRow, intent: &Intent) -> Result<Decided, Problem> {
    match intent.status {
        IntentStatus::Succeeded => succeeded(room, row, intent).await,
        _ if row.is_decided() => Ok(decided(row)),
        _ if !row.is_news(intent) => Ok(unchanged(intent)),
        _ => {
            let (id, intent) = (row.id.clone(), intent.clone());
            room.desk
                .run(&row.event_id, move |cx| {
                    let (id, intent) = (id.clone(), intent.clone());
                    Box::pin(async move { not_paid(cx, &id, &intent).await })
                })
                .await
        }
    }
}

fn decided(row: &IntentRow) -> Decided {
    match &*row.state {
        "paid" => Decided::Paid,
        "returning" => Decided::Returned,
        _ => Decided::Closed,
    }
}

fn unchanged(intent: &Intent) -> Decided {
    match intent.status {
        IntentStatus::Canceled => Decided::Closed,
        _ => Decided::Waits,
    }
}

async fn succeeded(room: &Ticketing, row: &IntentRow, intent: &Intent) -> Result<Decided, Problem> {
    let subject = row.subject();
    if !row.is_decided() {
        let posting = p01_card_in::received(
            &subject,
            &row.id,
            &row.order_id,
            &intent.currency,
            intent.received,
        );
        money::post(&room.ledger, &posting).await.map_err(away)?;
    }
    if let (None, Some(cost)) = (row.cost, intent.cost) {
        let posting = p04_provider_cost::kept(&subject, &row.id, &intent.currency, cost);
        money::post(&room.ledger, &posting).await.map_err(away)?;
    }
    let (id, told) = (row.id.clone(), intent.clone());
    let done = room
        .desk
        .run(&row.event_id, move |cx| {
            let (id, intent) = (id.clone(), told.clone());
            Box::pin(async move { paid(cx, &id, &intent).await })
        })
        .await?;
    match done {
        Decided::Paid => payment::settle(room, &row.order_id).await?,
        Decided::Returned => room.card_wake.notify_one(),
        _ => {}
    }
    Ok(done)
}

/// Money is there: it confirms the order or goes back. Decided once.
async fn paid(cx: &mut Cx, id: &str, intent: &Intent) -> Result<Decided, Problem> {
    let Some(row) = intents::find_in(&mut cx.tx, id).await? else {
        return Err(Problem::internal("an intent without its row"));
    };
    if let (None, Some(cost)) = (row.cost, intent.cost) {
        cx.dirty = true;
        intents::cost_posted(&mut cx.tx, id, cost).await?;
    }
    if row.is_decided() {
        return Ok(decided(&row));
    }
    let arrived = Paid {
        order_id: row.order_id.clone(),
        intent_id: row.id.clone(),
        amount: intent.received,
        currency: intent.currency.clone(),
    };
    let verdict = payment::paid(cx, &arrived).await?;
    cx.dirty = true;
    match verdict {
        Verdict::Confirmed { .. } | Verdict::AlreadyConfirmedByThis => {
            intents::seen(&mut cx.tx, id, intent, "paid", cx.now).await?;
            Ok(Decided::Paid)
        }
        Verdict::Return { reason } => {
            intents::seen(&mut cx.tx, id, intent, "returning", cx.now).await?;
            give_back(cx, &row, intent, reason).await?;
            Ok(Decided::Returned)
        }
    }
}

async fn give_back(
    cx: &mut Cx,
    row: &IntentRow,
    intent: &Intent,
    reason: Reason,
) -> Result<(), Problem> {
    let word = reason_word(reason);
    let store = cx.room.store.clone();
    let return_id = store.id();
    refunds::order_return(&mut cx.tx, row, &return_id, intent, word, cx.now).await?;
    let scale = cx.room.settings.scale(&intent.currency).unwrap_or(2);
    let data = json!({"orderId": row.order_id, "number": row.order_number,
        "eventId": row.event_id, "refundId": return_id, "reason": word,
        "amount": print(intent.received, scale), "currency": intent.currency});
    outbox::tell(
        &store,
        &mut cx.tx,
        &row.org_id,
        "payment.late_returned",
        &data,
    )
    .await
}

/// Why money goes back, in rows, answers and webhooks.
pub const fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::Double => "double",
        Reason::Expired => "expired",
        Reason::Cancelled => "cancelled",
        Reason::WrongAmount => "wrong_amount",
    }
}

/// Anything but paid.
async fn not_paid(cx: &mut Cx, id: &str, intent: &Intent) -> Result<Decided, Problem> {
    let Some(row) = intents::find_in(&mut cx.tx, id).await? else {
        return Err(Problem::internal("an intent without its row"));
    };
    if row.is_decided() {
        return Ok(decided(&row));
    }
    if !row.is_news(intent) {
        return Ok(unchanged(intent));
    }
    cx.dirty = true;
    let order = row::find_in(&mut cx.tx, &row.order_id).await?;
    // An order that went another way in the meantime does not hear of this one any more.
    let waits = order.is_some_and(|order| {
        order.status == "pending" && order.payment_id.as_deref() == Some(&*row.id)
    });
    // One that was given up stays so, whatever is told of it late.
    let closed = intent.status == IntentStatus::Canceled || row.state == "closed";
    let state = if closed { "closed" } else { "open" };
    intents::seen(&mut cx.tx, id, intent, state, cx.now).await?;
    match (intent.status, &intent.declined) {
        (IntentStatus::Canceled, _) => {
            if waits {
                payment::canceled(cx, &row.order_id).await?;
            }
            Ok(Decided::Closed)
        }
        (IntentStatus::NeedsMethod, Some(code)) => {
            if waits {
                payment::declined(cx, &row.order_id, code).await?;
            }
            Ok(Decided::Declined(code.clone()))
        }
        (IntentStatus::Processing, _) => {
            if waits {
                payment::processing(cx, &row.order_id).await?;
            }
            Ok(Decided::Waits)
        }
        _ => Ok(Decided::Waits),
    }
}
