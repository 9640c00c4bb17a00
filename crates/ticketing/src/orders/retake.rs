//! A payment that came after its hold had ended: everything that was released is taken again, or
//! nothing (contract B3, "expired → confirmed").

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, query};

use super::desk::Cx;
use super::row::OrderRow;
use super::sheet;
use crate::store::bulk;
use crate::store::holds::{self, Hold};

/// Takes again what an expired order held: stock, pools, promo use, buyer limit. False when some
/// of it is gone, or the event is over or cancelled; then nothing was written.
///
/// # Errors
/// The store's.
pub async fn retake(cx: &mut Cx, order: &OrderRow) -> Result<bool, Problem> {
    cx.flush().await?;
    let loaded = sheet::load(&mut cx.tx, &cx.room.settings, &order.event_id).await?;
    let Some(mut sheet) = loaded else {
        return Ok(false);
    };
    if !matches!(&*sheet.event.status, "published" | "sold_out" | "postponed") {
        return Ok(false);
    }
    let units = units(order);
    let mut fresh = Vec::new();
    for (type_id, quantity) in &units {
        let Some(index) = sheet.type_index(type_id) else {
            return Ok(false);
        };
        if sheet.available(index) < *quantity {
            return Ok(false);
        }
        sheet.hold(index, *quantity);
        fresh.push(Hold {
            id: cx.room.store.id(),
            order_id: order.id.clone(),
            type_id: type_id.clone(),
            pools: sheet.pool_ids(index),
            quantity: *quantity,
            state: "held".to_owned(),
        });
    }
    if !within_limits(cx, order, &sheet, &units).await? || !promo(cx, order).await? {
        return Ok(false);
    }
    cx.dirty = true;
    let rows = fresh
        .iter()
        .map(|hold| holds::row(hold, &order.event_id, cx.now))
        .collect();
    let marks = cx.room.store.marks();
    bulk::insert(&mut cx.tx, marks, holds::INSERT, "", rows).await?;
    for hold in &fresh {
        cx.moves.hold(&hold.type_id, &hold.pools, hold.quantity);
    }
    Ok(true)
}

/// Units of each type of an order.
pub fn units(order: &OrderRow) -> Vec<(String, i64)> {
    let mut units: Vec<(String, i64)> = Vec::new();
    for part in &order.parts {
        match units.iter_mut().find(|(id, _)| *id == part.type_id) {
            Some((_, count)) => *count += 1,
            None => units.push((part.type_id.clone(), 1)),
        }
    }
    units
}

async fn within_limits(
    cx: &mut Cx,
    order: &OrderRow,
    sheet: &sheet::Sheet,
    units: &[(String, i64)],
) -> Result<bool, Problem> {
    let limited = sheet.event.max_per_buyer.is_some()
        || sheet.types.iter().any(|kind| kind.max_per_buyer.is_some());
    if !limited {
        return Ok(true);
    }
    let mut has: Vec<(String, i64)> = Vec::new();
    // Found by the buyer, as in `reserve`.
    let held = "SELECT h.type_id AS kind, CAST(SUM(h.quantity) AS BIGINT) AS n
        FROM tk_orders o JOIN tk_holds h ON h.order_id = o.id
        WHERE o.event_id || '' = $1 AND o.buyer = $2 AND h.state || '' = 'held' GROUP BY h.type_id";
    let sold = "SELECT t.type_id AS kind, COUNT(*) AS n
        FROM tk_orders o JOIN tk_tickets t ON t.order_id = o.id
        WHERE o.event_id || '' = $1 AND o.buyer = $2 AND o.channel = 'online'
        AND t.status IN ('valid', 'used', 'suspended', 'listed') GROUP BY t.type_id";
    for text in [held, sold] {
        let statement = query(text)
            .bind(&order.event_id)
            .bind(Arg::from(order.buyer.clone()));
        for row in cx.tx.fetch_all(statement).await? {
            has.push((row.get("kind")?, row.get("n")?));
        }
    }
    let of = |id: &str| -> i64 {
        let all = has.iter().filter(|(kind, _)| kind == id);
        all.map(|(_, n)| n).sum()
    };
    let all: i64 =
        has.iter().map(|(_, n)| n).sum::<i64>() + units.iter().map(|(_, n)| n).sum::<i64>();
    let types_fit = units.iter().all(|(id, wanted)| {
        let most = sheet
            .type_index(id)
            .and_then(|at| sheet.types[at].max_per_buyer);
        most.is_none_or(|most| of(id) + wanted <= most)
    });
    Ok(types_fit && sheet.event.max_per_buyer.is_none_or(|most| all <= most))
}

async fn promo(cx: &mut Cx, order: &OrderRow) -> Result<bool, Problem> {
    let Some(promo_id) = &order.promo_id else {
        return Ok(true);
    };
    let text = "UPDATE tk_promos SET uses = uses + 1
        WHERE id = $1 AND (max_uses IS NULL OR uses < max_uses)";
    if cx.tx.execute(query(text).bind(promo_id)).await? == 0 {
        return Ok(false);
    }
    cx.dirty = true;
    let text = "UPDATE tk_promo_uses SET state = 'taken' WHERE order_id = $1";
    cx.tx.execute(query(text).bind(&order.id)).await?;
    Ok(true)
}
