//! Orders that are given up: by the buyer, or with their event (contract B3).

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Tx, query};
use serde_json::json;

use super::desk::Cx;
use super::payment::wrong_state;
use super::refunds::job;
use super::row::{self, OrderRow};
use super::{card_port, expiry, payment};
use crate::api::problem::conflict;
use crate::model::event::Event;
use crate::{Ticketing, outbox};

/// Cancels an open order. A payment that has succeeded meanwhile confirms it instead.
///
/// # Errors
/// 409 `order_state`, `payment_succeeded`, `payment_in_progress`; the store's.
pub async fn cancel(room: &Ticketing, order: &OrderRow) -> Result<OrderRow, Problem> {
    if order.status == "pending" && !card_port::cancel_now(room, &order.id).await? {
        return Err(conflict(
            "payment_succeeded",
            "The payment has succeeded; the order is confirmed by it.",
        ));
    }
    let lane = order.event_id.clone();
    let id = order.id.clone();
    room.desk
        .run(&lane, move |cx| {
            let id = id.clone();
            Box::pin(async move { cancel_in(cx, &id).await })
        })
        .await
}

async fn cancel_in(cx: &mut Cx, id: &str) -> Result<OrderRow, Problem> {
    let found = row::find_in(&mut cx.tx, id).await?;
    let order = found.ok_or_else(row::not_found)?;
    if !order.is_open() {
        return Err(wrong_state(&order));
    }
    if payment::wallet_at_work(cx, id).await? {
        return Err(payment::in_progress());
    }
    expiry::end(cx, std::slice::from_ref(&order), "cancelled").await?;
    let found = row::find_in(&mut cx.tx, id).await?;
    found.ok_or_else(row::not_found)
}

/// An event was cancelled, in the transaction that cancels it: everything held goes back, open
/// orders are cancelled, and the refund of all others begins. The number of statements does not
/// grow with that of the orders; tickets are ended by the job, and until then the event's status
/// tells what they are worth. Answers the id of the refund job.
///
/// # Errors
/// The store's.
pub async fn event_cancelled(
    room: &Ticketing,
    tx: &mut Tx,
    event: &Event,
    reason: &str,
) -> Result<String, Problem> {
    let now = room.now();
    release_all(tx, &event.id, now).await?;
    let text = "SELECT id FROM tk_orders WHERE event_id = $1 AND status = 'pending'";
    for row in tx.fetch_all(query(text).bind(&event.id)).await? {
        card_port::abandon(tx, &row.get::<String>("id")?, now).await?;
    }
    let text = "UPDATE tk_promos SET uses = uses - (SELECT COUNT(*) FROM tk_promo_uses u
            WHERE u.promo_id = tk_promos.id AND u.state = 'taken')
        WHERE event_id = $1";
    tx.execute(query(text).bind(&event.id)).await?;
    let text = "UPDATE tk_promo_uses SET state = 'returned' WHERE state = 'taken'
        AND promo_id IN (SELECT id FROM tk_promos WHERE event_id = $1)";
    tx.execute(query(text).bind(&event.id)).await?;
    let text = "UPDATE tk_orders SET status = 'cancelled', updated_at = $1
        WHERE event_id = $2 AND status IN ('reserved', 'pending')
        RETURNING id, number, org_id";
    let ended = tx.fetch_all(query(text).bind(now).bind(&event.id)).await?;
    for row in &ended {
        let data = json!({"orderId": row.get::<String>("id")?, "eventId": event.id,
            "number": row.get::<String>("number")?, "status": "cancelled"});
        let org_id: String = row.get("org_id")?;
        outbox::tell(&room.store, tx, &org_id, "order.cancelled", &data).await?;
    }
    let (currency, org_id) = (&event.currency, &event.org_id);
    job::begin(&room.store, tx, &event.id, org_id, currency, Some(reason)).await
}

/// Every unit that is held of an event goes back.
async fn release_all(tx: &mut Tx, event_id: &str, now: i64) -> Result<(), Problem> {
    let text = "UPDATE tk_holds SET state = 'released', left_at = $1
        WHERE event_id = $2 AND state = 'held'";
    tx.execute(query(text).bind(now).bind(event_id)).await?;
    let text = "UPDATE tk_types SET released = released + held, held = 0 WHERE event_id = $1";
    tx.execute(query(text).bind(event_id)).await?;
    let text = "UPDATE tk_pools SET held = 0 WHERE event_id = $1";
    tx.execute(query(text).bind(event_id)).await?;
    Ok(())
}
