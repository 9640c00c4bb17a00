//! Refunds as the provider tells of them: ours, and those made at its own console (contract B5).

use florin_platform::http::problem::Problem;

use super::intents::{self, ASK_AFTER, IntentRow};
use super::provider::{Refund, RefundStatus};
use super::refunds::{RefundRow, apply, first, insert, refund, select};
use crate::Ticketing;
use crate::orders::desk::Cx;
use crate::orders::refunds;

/// Takes in what the provider tells of a refund, whoever made it.
///
/// # Errors
/// 503 when the ledger or the store is away; the same may be applied again.
pub async fn take_in(room: &Ticketing, shown: &Refund) -> Result<(), Problem> {
    let db = &room.store.db;
    let mut known = first(db, "provider_id", &shown.id).await?;
    if let (None, Some(reference)) = (&known, &shown.reference) {
        known = first(db, "id", reference).await?;
    }
    if let Some(row) = known {
        return apply(room, &row, shown).await;
    }
    let Some(intent_id) = &shown.intent_id else {
        return Ok(());
    };
    let Some(paid) = intents::by_provider(db, intent_id).await? else {
        return Ok(());
    };
    if paid.state != "paid" || shown.status == RefundStatus::Failed {
        // A payment that goes back by itself, or money that never left.
        tracing::warn!(
            intent = paid.id,
            refund = shown.id,
            "a refund of another's making"
        );
        return Ok(());
    }
    let (lane, paid, told) = (paid.event_id.clone(), paid, shown.clone());
    let row = room
        .desk
        .run(&lane, move |cx| {
            let (paid, told) = (paid.clone(), told.clone());
            Box::pin(async move { from_console(cx, &paid, &told).await })
        })
        .await?;
    match row {
        Some(row) => apply(room, &row, shown).await,
        None => Ok(()),
    }
}

async fn from_console(
    cx: &mut Cx,
    paid: &IntentRow,
    shown: &Refund,
) -> Result<Option<RefundRow>, Problem> {
    let statement = select("WHERE provider_id = $1").bind(&shown.id);
    if let Some(row) = cx.tx.fetch_optional(statement).await? {
        return refund(&row).map(Some);
    }
    let reason = "Made at the card payment provider.";
    let taken = refunds::external::taken_in(cx, &paid.order_id, shown.amount, reason).await?;
    let Some((made, _)) = taken else {
        tracing::error!(
            intent = paid.id,
            refund = shown.id,
            "more went back than was left"
        );
        return Ok(None);
    };
    let row = RefundRow {
        id: format!("{}:1", made.id),
        kind: "console".to_owned(),
        refund_id: made.id,
        attempt: 1,
        order_id: paid.order_id.clone(),
        event_id: paid.event_id.clone(),
        org_id: paid.org_id.clone(),
        intent_id: paid.id.clone(),
        amount: shown.amount,
        currency: shown.currency.clone(),
        reason: None,
        state: "pending".to_owned(),
        provider_id: Some(shown.id.clone()),
        tries: 0,
        ask_at: cx.now + ASK_AFTER,
    };
    insert(&mut cx.tx, &row, cx.now).await?;
    Ok(Some(row))
}
