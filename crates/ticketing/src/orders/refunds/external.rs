//! Money that the provider sent back by itself: a refund made at its own console is taken in and
//! posted. Tickets die only when the order is repaid in full; else somebody should look
//! (contract B5).

use florin_platform::http::problem::Problem;
use florin_platform::sql::query;

use super::super::desk::Cx;
use super::super::row;
use super::RefundRow;
use super::decide::{Decision, Left, decide, left};
use crate::model::amounts::{Minor, Paid, refund};
use crate::money::due::DueRow;
use crate::tickets::Death;

/// Takes in what the provider sent back of an order. The amount is laid on the tickets in the
/// order of their numbers. `None` when it is more than what is left: that is not ours to book.
///
/// # Errors
/// 404; the store's.
pub async fn taken_in(
    cx: &mut Cx,
    order_id: &str,
    amount: Minor,
    reason: &str,
) -> Result<Option<(RefundRow, Vec<DueRow>)>, Problem> {
    let found = row::find_in(&mut cx.tx, order_id).await?;
    let order = found.ok_or_else(row::not_found)?;
    let tickets = left(cx, &order).await?;
    let whole: Minor = tickets
        .iter()
        .map(|t| t.left.by_buyer(order.fee_payer))
        .sum();
    if amount > whole || amount <= 0 {
        return Ok(None);
    }
    let in_full = order.refunded + amount == order.total;
    let mut rest = amount;
    let mut lines: Vec<(Left, Paid)> = Vec::new();
    for ticket in tickets {
        let take = rest.min(ticket.left.by_buyer(order.fee_payer));
        rest -= take;
        let parts = refund(&ticket.left, order.fee_payer, take)
            .ok_or_else(|| Problem::internal("more than what is left of a ticket"))?;
        if take > 0 || in_full {
            lines.push((ticket, parts));
        }
    }
    let decision = Decision {
        lines,
        death: in_full.then_some(Death::Refunded),
        cause: "provider",
        reason: Some(reason.to_owned()),
        job_id: None,
        done_outside: true,
    };
    let decided = decide(cx, &order, decision).await?;
    if !in_full {
        let text = "UPDATE tk_orders SET needs_review = $1 WHERE id = $2";
        cx.tx.execute(query(text).bind(true).bind(order_id)).await?;
    }
    Ok(Some(decided))
}
