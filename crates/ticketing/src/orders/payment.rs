//! The order's side of a payment: what a wallet attempt or a card intent does to its status
//! (contract B2, B3). Everything here runs in a transaction of the order's event.

use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::query;
use serde_json::json;

use super::confirm::{How, confirm};
use super::desk::Cx;
use super::row::{self, OrderRow};
use super::{judge, retake};
use crate::api::problem::conflict;
use crate::model::amounts::Minor;
use crate::money::due::{self, DueRow};
use crate::{Ticketing, outbox};

/// Longest life of a hold that a card payment lengthens, from the order's creation.
const CARD_LIFE: i64 = 1_800_000_000;
/// Least time that a card payment gets, unless holds are shorter.
const CARD_TIME: i64 = 600_000_000;

/// 410 of an order whose hold is over.
pub fn hold_expired() -> Problem {
    Problem::new(
        Status::Gone,
        "hold_expired",
        "The tickets are no longer held; reserve again.",
    )
    .refused()
}

/// 409 of an order in another status.
pub fn wrong_state(order: &OrderRow) -> Problem {
    conflict("order_state", "The order's status does not allow this.")
        .with("orderStatus", &*order.status)
}

/// 409 while another payment is at work.
pub fn in_progress() -> Problem {
    conflict(
        "payment_in_progress",
        "Another payment of this order is at work.",
    )
}

/// Whether an order may be paid now.
///
/// # Errors
/// 410 `hold_expired`, 409 `order_state`.
pub fn payable(order: &OrderRow, now: i64) -> Result<(), Problem> {
    let over = order.expires_at.is_some_and(|at| now >= at);
    match &*order.status {
        "expired" => Err(hold_expired()),
        "reserved" | "pending" if over => Err(hold_expired()),
        "reserved" | "pending" => Ok(()),
        _ => Err(wrong_state(order)),
    }
}

/// A wallet attempt of the order is at work.
///
/// # Errors
/// The store's.
pub async fn wallet_at_work(cx: &mut Cx, order_id: &str) -> Result<bool, Problem> {
    let text = "SELECT id FROM tk_wallet_payments WHERE order_id = $1 AND state = 'authorising'";
    let found = cx.tx.fetch_optional(query(text).bind(order_id)).await?;
    Ok(found.is_some())
}

/// An order that a card payment was begun for.
#[derive(Debug, Clone)]
pub struct StartedOrder {
    /// The order.
    pub order: OrderRow,
    /// When its hold ends now.
    pub expires_at: i64,
}

/// A card intent was made: the order is pending, and its hold lasts long enough, once.
///
/// # Errors
/// 404, 409 `order_state`, `payment_in_progress`, `payment_method_mismatch`, 410 `hold_expired`;
/// the store's.
pub async fn started(
    cx: &mut Cx,
    order_id: &str,
    intent_id: &str,
) -> Result<StartedOrder, Problem> {
    let found = row::find_in(&mut cx.tx, order_id).await?;
    let mut order = found.ok_or_else(row::not_found)?;
    payable(&order, cx.now)?;
    if order.total == 0 {
        return Err(method_mismatch());
    }
    let other = order.status == "pending" && order.payment_id.as_deref() != Some(intent_id);
    if other || wallet_at_work(cx, order_id).await? {
        return Err(in_progress());
    }
    let mut expires_at = order.expires_at.unwrap_or(cx.now);
    if !order.extended {
        let text = "SELECT hold_seconds FROM tk_events WHERE id = $1";
        let row = cx
            .tx
            .fetch_optional(query(text).bind(&order.event_id))
            .await?;
        let seconds: i64 = row.map_or(Ok(0), |row| row.get("hold_seconds"))?;
        let time = CARD_TIME.min(seconds * 1_000_000);
        let longest = order.created_at + CARD_LIFE;
        expires_at = longest.min(expires_at.max(cx.now + time));
    }
    cx.dirty = true;
    let text = "UPDATE tk_orders SET status = 'pending', payment_method = 'card',
        payment_status = 'requires_action', payment_id = $1, expires_at = $2, extended = $3,
        updated_at = $4 WHERE id = $5";
    let statement = query(text)
        .bind(intent_id)
        .bind(expires_at)
        .bind(true)
        .bind(cx.now)
        .bind(order_id);
    cx.tx.execute(statement).await?;
    order.expires_at = Some(expires_at);
    order.status = "pending".to_owned();
    Ok(StartedOrder { order, expires_at })
}

/// 409 when the method does not fit the total.
pub fn method_mismatch() -> Problem {
    conflict(
        "payment_method_mismatch",
        "A total of 0 is confirmed with `free`, and any other is paid.",
    )
}

/// The provider is working on it.
///
/// # Errors
/// The store's.
pub async fn processing(cx: &mut Cx, order_id: &str) -> Result<(), Problem> {
    payment_status(cx, order_id, "pending", "pending", "processing").await
}

/// The card was declined: the order is reserved again, its hold as it was.
///
/// # Errors
/// The store's.
pub async fn declined(cx: &mut Cx, order_id: &str, code: &str) -> Result<(), Problem> {
    payment_status(cx, order_id, "pending", "reserved", "failed").await?;
    tell_failed(cx, order_id, code).await
}

/// The intent was given up.
///
/// # Errors
/// The store's.
pub async fn canceled(cx: &mut Cx, order_id: &str) -> Result<(), Problem> {
    payment_status(cx, order_id, "pending", "reserved", "canceled").await
}

async fn payment_status(
    cx: &mut Cx,
    order_id: &str,
    from: &str,
    to: &str,
    status: &str,
) -> Result<(), Problem> {
    cx.dirty = true;
    let text = "UPDATE tk_orders SET status = $1, payment_status = $2, updated_at = $3
        WHERE id = $4 AND status = $5";
    let statement = query(text)
        .bind(to)
        .bind(status)
        .bind(cx.now)
        .bind(order_id)
        .bind(from);
    cx.tx.execute(statement).await?;
    Ok(())
}

/// Tells the organisation that a payment failed.
///
/// # Errors
/// The store's.
pub async fn tell_failed(cx: &mut Cx, order_id: &str, code: &str) -> Result<(), Problem> {
    let Some(order) = row::find_in(&mut cx.tx, order_id).await? else {
        return Ok(());
    };
    let data = json!({"orderId": order.id, "number": order.number, "eventId": order.event_id,
        "status": order.status, "declineCode": code});
    let store = cx.room.store.clone();
    outbox::tell(&store, &mut cx.tx, &order.org_id, "payment.failed", &data).await
}

/// Money that arrived by card.
#[derive(Debug, Clone)]
pub struct Paid {
    /// The order.
    pub order_id: String,
    /// The intent that it came by.
    pub intent_id: String,
    /// Minor units.
    pub amount: Minor,
    /// Currency, in upper case.
    pub currency: String,
}

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Another payment confirmed the order.
    Double,
    /// The hold was over, and what it held is gone.
    Expired,
    /// The order was cancelled.
    Cancelled,
    /// It is not the order's total.
    WrongAmount,
}

/// What becomes of money that arrived.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The order is confirmed by it.
    Confirmed {
        /// After its hold had ended.
        late_honoured: bool,
        /// What is due now; see [`settle`].
        dues: Vec<DueRow>,
    },
    /// It was confirmed by it before.
    AlreadyConfirmedByThis,
    /// The whole sum goes back (P7).
    Return {
        /// Why.
        reason: Reason,
    },
}

/// Money arrived. Confirms the order if it can still be; a payment takes effect once (INV-T12).
///
/// # Errors
/// 404 `order_not_found`; the store's.
pub async fn paid(cx: &mut Cx, paid: &Paid) -> Result<Verdict, Problem> {
    let found = row::find_in(&mut cx.tx, &paid.order_id).await?;
    let order = found.ok_or_else(row::not_found)?;
    let back = |reason| Ok(Verdict::Return { reason });
    if order.was_confirmed() {
        let this = order.payment_id.as_deref() == Some(&*paid.intent_id);
        return match this && order.payment_method.as_deref() == Some("card") {
            true => Ok(Verdict::AlreadyConfirmedByThis),
            false => back(Reason::Double),
        };
    }
    if paid.amount != order.total || paid.currency != order.currency {
        tracing::error!(
            order = order.number,
            paid = paid.amount,
            total = order.total,
            "a payment differs from its order; it goes back"
        );
        wrong_amount(cx, &order).await?;
        return back(Reason::WrongAmount);
    }
    if order.status == "cancelled" {
        return back(Reason::Cancelled);
    }
    let late = order.expires_at.is_some_and(|at| cx.now >= at);
    if order.status == "expired" && !retake::retake(cx, &order).await? {
        return back(Reason::Expired);
    }
    let how = How {
        method: "card",
        payment_id: Some(paid.intent_id.clone()),
        late,
        dues: Vec::new(),
    };
    let dues = confirm(cx, &order, &how).await?;
    Ok(Verdict::Confirmed {
        late_honoured: late,
        dues,
    })
}

async fn wrong_amount(cx: &mut Cx, order: &OrderRow) -> Result<(), Problem> {
    cx.dirty = true;
    let text = "UPDATE tk_orders SET needs_review = $1, updated_at = $2 WHERE id = $3";
    let statement = query(text).bind(true).bind(cx.now).bind(&order.id);
    cx.tx.execute(statement).await?;
    payment_status(cx, &order.id, "pending", "reserved", "failed").await
}

/// Posts what is due for an order, after the commit. What cannot be posted now is posted later.
///
/// # Errors
/// The store's.
pub async fn settle(room: &Ticketing, order_id: &str) -> Result<(), Problem> {
    due::drive_line(room, order_id).await
}

/// An instant of the order, as problems show it.
pub fn shown(at: i64) -> String {
    judge::time(at)
}
