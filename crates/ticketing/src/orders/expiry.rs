//! Holds that end: by time, by the buyer, or with their event.
//!
//! Of an order that is no longer open, everything that was taken goes back in one transaction:
//! units, promo use, and the card intent is given up.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, query};
use serde_json::json;

use super::card_port;
use super::desk::Cx;
use super::row::{self, OrderRow};
use crate::api::money::print;
use crate::store::{bulk, holds};
use crate::{Ticketing, outbox};

/// Orders that one sweep of an event ends.
const SWEEP_MAX: i64 = 256;

/// Ends the orders of this transaction's event: `expired` or `cancelled`. Orders that are not
/// open any more are left alone; answers how many were ended.
///
/// # Errors
/// The store's.
pub async fn end(cx: &mut Cx, orders: &[OrderRow], status: &str) -> Result<usize, Problem> {
    let open: Vec<&OrderRow> = orders.iter().filter(|order| order.is_open()).collect();
    if open.is_empty() {
        return Ok(0);
    }
    cx.dirty = true;
    let marks = cx.room.store.marks();
    let ids: Vec<String> = open.iter().map(|order| order.id.clone()).collect();
    holds::release(&mut cx.tx, marks, &ids, cx.now, &mut cx.moves).await?;
    // Found by the id: by the status all open orders would be read.
    let prefix = "UPDATE tk_orders SET status = $1, updated_at = $2
        WHERE status || '' IN ('reserved', 'pending') AND id IN";
    let first = [Arg::from(status), Arg::from(cx.now)];
    let keys = ids.iter().map(Arg::from).collect();
    bulk::execute(&mut cx.tx, marks, prefix, "", &first, keys).await?;
    let kind = match status {
        "expired" => "order.expired",
        _ => "order.cancelled",
    };
    for order in open {
        give_back_promo(cx, order).await?;
        if order.status == "pending" {
            card_port::abandon(&mut cx.tx, &order.id, cx.now).await?;
        }
        let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
        let data = json!({"orderId": order.id, "number": order.number,
            "eventId": order.event_id, "status": status, "currency": order.currency,
            "total": print(order.total, scale)});
        let store = cx.room.store.clone();
        outbox::tell(&store, &mut cx.tx, &order.org_id, kind, &data).await?;
    }
    Ok(ids.len())
}

async fn give_back_promo(cx: &mut Cx, order: &OrderRow) -> Result<(), Problem> {
    let Some(promo_id) = &order.promo_id else {
        return Ok(());
    };
    let text = "UPDATE tk_promo_uses SET state = 'returned'
        WHERE order_id = $1 AND state = 'taken'";
    if cx.tx.execute(query(text).bind(&order.id)).await? == 1 {
        let text = "UPDATE tk_promos SET uses = uses - 1 WHERE id = $1";
        cx.tx.execute(query(text).bind(promo_id)).await?;
    }
    Ok(())
}

/// Ends orders whose hold is over, event by event; answers how many. Any number of processes may
/// sweep: an order leaves its open status once.
///
/// # Errors
/// The store's.
pub async fn sweep(room: &Ticketing) -> Result<usize, Problem> {
    let now = room.now();
    let text = "SELECT DISTINCT event_id FROM tk_orders
        WHERE status IN ('reserved', 'pending') AND expires_at <= $1 LIMIT 64";
    let rows = room.store.db.fetch_all(query(text).bind(now)).await?;
    let mut ended = 0;
    for row in rows {
        let event_id: String = row.get("event_id")?;
        let lane = event_id.clone();
        ended += room
            .desk
            .run(&lane, move |cx| {
                let event_id = event_id.clone();
                Box::pin(async move { due(cx, &event_id).await })
            })
            .await?;
    }
    Ok(ended)
}

async fn due(cx: &mut Cx, event_id: &str) -> Result<usize, Problem> {
    // A wallet attempt that is at work decides for itself whether it came in time.
    let text = "WHERE event_id = $1 AND status IN ('reserved', 'pending') AND expires_at <= $2
        ORDER BY expires_at LIMIT $3";
    let statement = row::select(text)
        .bind(event_id)
        .bind(cx.now)
        .bind(SWEEP_MAX);
    let rows = cx.tx.fetch_all(statement).await?;
    let orders: Vec<OrderRow> = rows.iter().map(row::order).collect::<Result<_, _>>()?;
    end(cx, &orders, "expired").await
}
