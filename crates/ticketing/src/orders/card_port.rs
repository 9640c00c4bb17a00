//! The one place where orders ask the card payments for something.
//!
//! **Boundary.** Orders know intents, disputes and the provider only through these functions; what
//! they do is [`crate::card`]'s business.

use std::collections::BTreeSet;

use florin_platform::http::problem::Problem;
use florin_platform::sql::Tx;

use super::refunds::RefundRow;
use super::row::OrderRow;
use crate::Ticketing;
use crate::card::refunds::NewCardRefund;
use crate::card::{self, Cancelled, disputes, intents};
use crate::store::bulk::Marks;

/// The order is given up: its intent is cancelled at the provider after the commit.
///
/// # Errors
/// The store's.
pub async fn abandon(tx: &mut Tx, order_id: &str, now: i64) -> Result<(), Problem> {
    intents::abandon(tx, order_id, now).await
}

/// The payment of the order is in an open dispute.
///
/// # Errors
/// The store's.
pub async fn is_disputed(tx: &mut Tx, marks: Marks, order_id: &str) -> Result<bool, Problem> {
    Ok(!disputed(tx, marks, &[order_id.to_owned()])
        .await?
        .is_empty())
}

/// Those of the orders whose payment is in an open dispute.
///
/// # Errors
/// The store's.
pub async fn disputed(
    tx: &mut Tx,
    marks: Marks,
    orders: &[String],
) -> Result<BTreeSet<String>, Problem> {
    disputes::open_for_orders(tx, marks, orders).await
}

/// Open chargebacks of an organisation in a currency, minor units.
///
/// # Errors
/// The store's.
pub async fn open_chargebacks(tx: &mut Tx, org_id: &str, currency: &str) -> Result<i128, Problem> {
    let open = disputes::open_amount(tx, org_id, currency).await?;
    Ok(open.into())
}

/// The provider is asked to send a refund back, after the commit.
///
/// # Errors
/// The store's.
pub async fn order_refund(
    tx: &mut Tx,
    order: &OrderRow,
    refund: &RefundRow,
    now: i64,
) -> Result<(), Problem> {
    let new = NewCardRefund {
        refund_id: refund.id.clone(),
        attempt: u32::try_from(refund.attempt).unwrap_or(1),
        order_id: order.id.clone(),
        event_id: order.event_id.clone(),
        org_id: order.org_id.clone(),
        intent_row_id: order.payment_id.clone().unwrap_or_default(),
        amount: refund.amount,
        currency: refund.currency.clone(),
    };
    card::refunds::order(tx, &new, now).await
}

/// Gives up the intent of a pending order at the provider; false when it has succeeded.
///
/// # Errors
/// 503 when the provider does not answer.
pub async fn cancel_now(room: &Ticketing, order_id: &str) -> Result<bool, Problem> {
    Ok(card::cancel_now(room, order_id).await? == Cancelled::Gone)
}
