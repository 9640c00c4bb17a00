//! `method: "card"` of a checkout: the provider's answer as the order's.

use florin_platform::http::problem::Problem;
use serde_json::{Value, json};

use super::checkout::{self, Checked};
use super::desk::Cx;
use super::row::OrderRow;
use crate::Ticketing;
use crate::card::{self, CardCheckout, CardOutcome, PendingPayment};
use crate::store::idempotency::{Kept, Once};

/// Pays an order by card, or goes on with a payment that was begun. The answer is kept without
/// what opens the intent; that is read from the provider each time.
///
/// # Errors
/// 402 `payment_declined`, else as [`card::checkout()`]; 409 `idempotency_conflict`.
pub async fn checkout(
    room: &Ticketing,
    order: &OrderRow,
    ask: &CardCheckout,
    once: &Once,
) -> Result<Checked, Problem> {
    if let Some(kept) = replay(room, order, once).await? {
        return again(room, order, kept).await.map(Checked::Again);
    }
    let pending = match card::checkout(room, &order.id, &order.event_id, ask).await? {
        CardOutcome::Declined { code } => return Err(card::declined(&code)),
        CardOutcome::Confirmed => None,
        CardOutcome::Pending(pending) => Some(pending),
    };
    match keep(room, order, once).await? {
        Checked::Again(kept) => again(room, order, kept).await.map(Checked::Again),
        Checked::Done(mut body) => {
            if let Some(pending) = pending {
                show(&mut body, &pending);
            }
            Ok(Checked::Done(body))
        }
    }
}

fn show(body: &mut Value, pending: &PendingPayment) {
    let payment = &mut body["payment"];
    payment["method"] = "card".into();
    payment["status"] = pending.status.into();
    payment["intentId"] = json!(pending.intent_id);
    payment["clientSecret"] = json!(pending.client_secret);
    payment["publishableKey"] = json!(pending.publishable_key);
    if let Some(action) = &pending.next_action {
        payment["nextAction"] = action.clone();
    }
}

async fn replay(room: &Ticketing, order: &OrderRow, once: &Once) -> Result<Option<Kept>, Problem> {
    let once = once.clone();
    room.desk
        .run(&order.event_id, move |cx: &mut Cx| {
            let once = once.clone();
            Box::pin(async move { once.replay(&mut cx.tx).await })
        })
        .await
}

/// Keeps the order as it is now, unless the same request was answered in the meantime.
async fn keep(room: &Ticketing, order: &OrderRow, once: &Once) -> Result<Checked, Problem> {
    let (order_id, once) = (order.id.clone(), once.clone());
    room.desk
        .run(&order.event_id, move |cx: &mut Cx| {
            let (order_id, once) = (order_id.clone(), once.clone());
            Box::pin(async move {
                if let Some(kept) = once.replay(&mut cx.tx).await? {
                    return Ok(Checked::Again(kept));
                }
                let body = checkout::keep(cx, &order_id, &once).await?;
                Ok(Checked::Done(body))
            })
        })
        .await
}

/// A first answer that told of a pending payment, with what opens the intent as it is now.
async fn again(room: &Ticketing, order: &OrderRow, mut kept: Kept) -> Result<Kept, Problem> {
    let Some(mut body) = checkout::opened(room, &kept).await? else {
        return Ok(kept);
    };
    if body["status"] != "pending" {
        return Ok(kept);
    }
    let Some(pending) = card::pending_now(room, &order.id).await? else {
        return Ok(kept);
    };
    show(&mut body, &pending);
    let ids: Vec<String> = kept.person.iter().cloned().collect();
    let persons = room.vault.load(&room.store.db, &ids).await?;
    if let Some(person) = persons.values().next() {
        kept.body = person.seal("answer", &body.to_string());
    }
    Ok(kept)
}
