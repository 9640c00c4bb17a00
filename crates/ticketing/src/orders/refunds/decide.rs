//! The decision of a refund: tickets die, rows stand, postings are remembered, in one commit.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Row, query};
use serde_json::json;

use super::super::card_port;
use super::super::desk::Cx;
use super::super::row::OrderRow;
use super::{RefundRow, find_in};
use crate::api::money::print;
use crate::model::amounts::{FeePayer, Minor, Paid};
use crate::money::due::{self, Due, DueRow};
use crate::outbox;
use crate::store::{bulk, stock};
use crate::tickets::{self, Death};

/// A ticket with what is left of it.
#[derive(Debug, Clone)]
pub struct Left {
    /// Its id.
    pub id: String,
    /// Its type.
    pub type_id: String,
    /// Its status.
    pub status: String,
    /// It was handed on.
    pub transferred: bool,
    /// It was used.
    pub used: bool,
    /// What was paid for it and did not go back.
    pub left: Paid,
}

impl Left {
    /// It is refunded or cancelled.
    pub fn is_dead(&self) -> bool {
        matches!(&*self.status, "refunded" | "cancelled")
    }
}

/// The tickets of an order in the order of their numbers, with what is left of each.
///
/// # Errors
/// The store's.
pub async fn left(cx: &mut Cx, order: &OrderRow) -> Result<Vec<Left>, Problem> {
    let text = "SELECT id, position, type_id, status, transferred, used_at
        FROM tk_tickets WHERE order_id = $1 ORDER BY position";
    let tickets = cx.tx.fetch_all(query(text).bind(&order.id)).await?;
    let text = "SELECT ticket_id, CAST(SUM(net) AS BIGINT) AS net, CAST(SUM(tax) AS BIGINT) AS tax,
        CAST(SUM(platform_fee) AS BIGINT) AS platform_fee,
        CAST(SUM(processing_fee) AS BIGINT) AS processing_fee
        FROM tk_refund_tickets WHERE order_id = $1 GROUP BY ticket_id";
    let gone = cx.tx.fetch_all(query(text).bind(&order.id)).await?;
    let gone: Vec<(String, Paid)> = gone.iter().map(paid).collect::<Result<_, _>>()?;
    let one = |row: &Row| {
        let id: String = row.get("id")?;
        let position: i64 = row.get("position")?;
        let part = usize::try_from(position - 1)
            .ok()
            .and_then(|at| order.parts.get(at))
            .ok_or_else(|| Problem::internal("a ticket without its part of the order"))?;
        let back = gone.iter().find(|(ticket, _)| *ticket == id);
        let back = back.map_or_else(Paid::default, |(_, paid)| *paid);
        Ok(Left {
            id,
            type_id: row.get("type_id")?,
            status: row.get("status")?,
            transferred: row.get("transferred")?,
            used: row.get::<Option<i64>>("used_at")?.is_some(),
            left: part.paid().minus(&back),
        })
    };
    tickets.iter().map(one).collect()
}

fn paid(row: &Row) -> Result<(String, Paid), Problem> {
    let paid = Paid {
        net: row.get("net")?,
        tax: row.get("tax")?,
        platform_fee: row.get("platform_fee")?,
        processing_fee: row.get("processing_fee")?,
    };
    Ok((row.get("ticket_id")?, paid))
}

/// A refund that was found good.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The tickets and what goes back of each.
    pub lines: Vec<(Left, Paid)>,
    /// What becomes of the tickets; `None`: they stay good.
    pub death: Option<Death>,
    /// See [`RefundRow::cause`].
    pub cause: &'static str,
    /// Why.
    pub reason: Option<String>,
    /// The job that it belongs to.
    pub job_id: Option<String>,
    /// It was made at the provider already: nothing is asked of it.
    pub done_outside: bool,
}

/// Writes a decision. The caller has judged it in this transaction.
///
/// # Errors
/// 409 `ticket_state` when a ticket is dead already; the store's.
pub async fn decide(
    cx: &mut Cx,
    order: &OrderRow,
    decision: &Decision,
) -> Result<(RefundRow, Vec<DueRow>), Problem> {
    cx.dirty = true;
    let add = |sum: Paid, (_, parts): &(Left, Paid)| sum.plus(parts);
    let parts = decision.lines.iter().fold(Paid::default(), add);
    let amount = parts.by_buyer(order.fee_payer);
    let (method, wallet_id) = way(cx, order, amount).await?;
    let refund = RefundRow {
        id: cx.room.store.id(),
        order_id: order.id.clone(),
        event_id: order.event_id.clone(),
        org_id: order.org_id.clone(),
        status: match method {
            "none" => "succeeded",
            _ => "created",
        }
        .to_owned(),
        amount,
        currency: order.currency.clone(),
        parts,
        fee_payer: order.fee_payer.word().to_owned(),
        cause: decision.cause.to_owned(),
        reason: decision.reason.clone(),
        keep_tickets: decision.death.is_none(),
        method: method.to_owned(),
        wallet_id,
        attempt: 1,
        failure: None,
        job_id: decision.job_id.clone(),
        created_at: cx.now,
        updated_at: cx.now,
    };
    insert(cx, &refund, order.fee_payer, &decision.lines).await?;
    kill(cx, decision).await?;
    follow(cx, order, amount).await?;
    let dues = dues(cx, order, &refund, decision.done_outside).await?;
    let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
    let data = json!({"refundId": refund.id, "orderId": order.id, "eventId": order.event_id,
        "status": refund.status, "amount": print(amount, scale), "currency": order.currency,
        "cause": refund.cause, "keepTickets": refund.keep_tickets});
    let store = cx.room.store.clone();
    outbox::tell(&store, &mut cx.tx, &order.org_id, "refund.created", &data).await?;
    Ok((refund, dues))
}

/// The way the money came.
async fn way(
    cx: &mut Cx,
    order: &OrderRow,
    amount: Minor,
) -> Result<(&'static str, Option<String>), Problem> {
    match order.payment_method.as_deref() {
        _ if amount == 0 => Ok(("none", None)),
        Some("wallet") => {
            let text = "SELECT wallet_id FROM tk_wallet_payments WHERE id = $1";
            let statement = query(text).bind(order.payment_id.clone());
            let row = cx.tx.fetch_optional(statement).await?;
            let row = row.ok_or_else(|| Problem::internal("an order without its payment"))?;
            Ok(("wallet", Some(row.get("wallet_id")?)))
        }
        Some("card") => Ok(("card", None)),
        _ => Ok(("none", None)),
    }
}

async fn insert(
    cx: &mut Cx,
    refund: &RefundRow,
    payer: FeePayer,
    lines: &[(Left, Paid)],
) -> Result<(), Problem> {
    let text = "INSERT INTO tk_refunds (id, order_id, event_id, org_id, status, amount, currency,
        net, tax, platform_fee, processing_fee, cause, reason, keep_tickets, method, wallet_id,
        attempt, job_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
        $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";
    let statement = query(text)
        .bind(&refund.id)
        .bind(&refund.order_id)
        .bind(&refund.event_id)
        .bind(&refund.org_id)
        .bind(&refund.status)
        .bind(refund.amount)
        .bind(&refund.currency)
        .bind(refund.parts.net)
        .bind(refund.parts.tax)
        .bind(refund.parts.platform_fee)
        .bind(refund.parts.processing_fee)
        .bind(&refund.cause)
        .bind(refund.reason.clone())
        .bind(refund.keep_tickets)
        .bind(&refund.method)
        .bind(refund.wallet_id.clone())
        .bind(refund.attempt)
        .bind(refund.job_id.clone())
        .bind(refund.created_at)
        .bind(refund.updated_at);
    cx.tx.execute(statement).await?;
    let rows = lines
        .iter()
        .map(|(ticket, parts)| {
            vec![
                Arg::from(&refund.id),
                Arg::from(&ticket.id),
                Arg::from(&refund.order_id),
                Arg::from(parts.by_buyer(payer)),
                Arg::from(parts.net),
                Arg::from(parts.tax),
                Arg::from(parts.platform_fee),
                Arg::from(parts.processing_fee),
            ]
        })
        .collect();
    let prefix = "INSERT INTO tk_refund_tickets
        (refund_id, ticket_id, order_id, amount, net, tax, platform_fee, processing_fee)";
    let marks = cx.room.store.marks();
    bulk::insert(&mut cx.tx, marks, prefix, "", rows).await?;
    Ok(())
}

/// The tickets that live still die; what they held goes back for sale unless they were used.
async fn kill(cx: &mut Cx, decision: &Decision) -> Result<(), Problem> {
    let Some(death) = decision.death else {
        return Ok(());
    };
    let ids: Vec<String> = decision
        .lines
        .iter()
        .filter(|(ticket, _)| !ticket.is_dead())
        .map(|(ticket, _)| ticket.id.clone())
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let room = cx.room.clone();
    let killed = tickets::kill(&room, &mut cx.tx, &ids, death, cx.now).await?;
    for ticket in killed.iter().filter(|k| k.held_stock && !k.was_used) {
        let pools = stock::pools_of(&mut cx.tx, &ticket.type_id).await?;
        cx.moves.give_back(&ticket.type_id, &pools, 1);
    }
    Ok(())
}

/// The order's status and sum follow its refunds.
async fn follow(cx: &mut Cx, order: &OrderRow, amount: Minor) -> Result<(), Problem> {
    let text = "SELECT COUNT(*) AS n FROM tk_tickets
        WHERE order_id = $1 AND status NOT IN ('refunded', 'cancelled')";
    let row = cx.tx.fetch_optional(query(text).bind(&order.id)).await?;
    let alive: i64 = row.map_or(Ok(0), |row| row.get("n"))?;
    let refunded = order.refunded + amount;
    let status = match alive == 0 && refunded == order.total {
        true => "refunded",
        false => "partially_refunded",
    };
    let text = "UPDATE tk_orders SET refunded = $1, status = $2, updated_at = $3 WHERE id = $4";
    let statement = query(text)
        .bind(refunded)
        .bind(status)
        .bind(cx.now)
        .bind(&order.id);
    cx.tx.execute(statement).await?;
    let kind = match status {
        "refunded" => "order.refunded",
        _ => "order.partially_refunded",
    };
    let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
    let data = json!({"orderId": order.id, "number": order.number, "eventId": order.event_id,
        "status": status, "refundedAmount": print(refunded, scale), "currency": order.currency});
    let store = cx.room.store.clone();
    outbox::tell(&store, &mut cx.tx, &order.org_id, kind, &data).await
}

async fn dues(
    cx: &mut Cx,
    order: &OrderRow,
    refund: &RefundRow,
    done_outside: bool,
) -> Result<Vec<DueRow>, Problem> {
    if refund.amount == 0 && refund.parts == Paid::default() {
        return Ok(Vec::new());
    }
    let mut dues = vec![Due::RefundDecided {
        refund_id: refund.id.clone(),
    }];
    if let (true, Some(wallet_id)) = (refund.method == "wallet", &refund.wallet_id) {
        dues.push(Due::RefundToWallet {
            refund_id: refund.id.clone(),
            attempt: refund.attempt,
            wallet_id: wallet_id.clone(),
        });
    }
    if refund.method == "card" && !done_outside {
        card_port::order_refund(&mut cx.tx, order, refund, cx.now).await?;
    }
    let store = cx.room.store.clone();
    due::plan(&store, &mut cx.tx, &refund.id, &dues).await
}

/// The refund as it stands now in this transaction.
///
/// # Errors
/// 404; the store's.
pub async fn again(cx: &mut Cx, id: &str) -> Result<RefundRow, Problem> {
    find_in(&mut cx.tx, id).await?.ok_or_else(super::not_found)
}
