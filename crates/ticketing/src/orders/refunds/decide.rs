//! The decision of a refund: tickets die, rows stand, postings are remembered, in one commit.
//! Those of a cancelled event are decided many at a time, in as many statements as one.

use std::collections::{BTreeMap, BTreeSet};

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Row};
use serde_json::json;

use super::super::card_port;
use super::super::desk::Cx;
use super::super::row::OrderRow;
use super::{RefundRow, find_in};
use crate::api::money::print;
use crate::model::amounts::{Minor, Paid};
use crate::money::due::{self, Due, DueRow};
use crate::outbox;
use crate::store::bulk::{self, Update};
use crate::store::stock;
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
    let mut all = left_all(cx, std::slice::from_ref(order)).await?;
    Ok(all.pop().unwrap_or_default())
}

/// [`left`] of many orders, in their order.
///
/// # Errors
/// The store's.
pub(super) async fn left_all(cx: &mut Cx, orders: &[OrderRow]) -> Result<Vec<Vec<Left>>, Problem> {
    let marks = cx.room.store.marks();
    let keys = || orders.iter().map(|order| Arg::from(&order.id)).collect();
    let prefix = "SELECT ticket_id, CAST(SUM(net) AS BIGINT) AS net,
        CAST(SUM(tax) AS BIGINT) AS tax, CAST(SUM(platform_fee) AS BIGINT) AS platform_fee,
        CAST(SUM(processing_fee) AS BIGINT) AS processing_fee
        FROM tk_refund_tickets WHERE order_id IN";
    let gone = bulk::select(&mut cx.tx, marks, prefix, "GROUP BY ticket_id", &[], keys()).await?;
    let gone: BTreeMap<String, Paid> = gone.iter().map(paid).collect::<Result<_, _>>()?;
    let prefix = "SELECT order_id, id, position, type_id, status, transferred, used_at
        FROM tk_tickets WHERE order_id IN";
    let suffix = "ORDER BY order_id, position";
    let rows = bulk::select(&mut cx.tx, marks, prefix, suffix, &[], keys()).await?;
    let mut tickets: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        tickets.entry(row.get("order_id")?).or_default().push(row);
    }
    let of_order = |order: &OrderRow| {
        let tickets = tickets
            .get(&order.id)
            .map(Vec::as_slice)
            .unwrap_or_default();
        tickets
            .iter()
            .map(|row| ticket(order, row, &gone))
            .collect()
    };
    orders.iter().map(of_order).collect()
}

fn ticket(order: &OrderRow, row: &Row, gone: &BTreeMap<String, Paid>) -> Result<Left, Problem> {
    let id: String = row.get("id")?;
    let position: i64 = row.get("position")?;
    let part = usize::try_from(position - 1)
        .ok()
        .and_then(|at| order.parts.get(at))
        .ok_or_else(|| Problem::internal("a ticket without its part of the order"))?;
    let back = gone.get(&id).copied().unwrap_or_default();
    Ok(Left {
        id,
        type_id: row.get("type_id")?,
        status: row.get("status")?,
        transferred: row.get("transferred")?,
        used: row.get::<Option<i64>>("used_at")?.is_some(),
        left: part.paid().minus(&back),
    })
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

/// A refund with the postings that are due.
pub type Decided = (RefundRow, Vec<DueRow>);

/// Writes a decision. The caller has judged it in this transaction.
///
/// # Errors
/// 409 `ticket_state` when a ticket is dead already; the store's.
pub async fn decide(cx: &mut Cx, order: &OrderRow, decision: Decision) -> Result<Decided, Problem> {
    let mut all = decide_all(cx, &[(order, decision)]).await?;
    all.pop()
        .ok_or_else(|| Problem::internal("a refund that was not decided"))
}

/// [`decide`] for orders, none twice, in their order.
///
/// # Errors
/// As [`decide`], for all of them.
pub(super) async fn decide_all(
    cx: &mut Cx,
    all: &[(&OrderRow, Decision)],
) -> Result<Vec<Decided>, Problem> {
    cx.dirty = true;
    let wallets = wallets(cx, all).await?;
    let mut refunds = Vec::with_capacity(all.len());
    for (order, decision) in all {
        refunds.push(refund(cx, order, decision, &wallets)?);
    }
    insert(cx, all, &refunds).await?;
    for death in [Death::Refunded, Death::Cancelled] {
        kill(cx, all, death).await?;
    }
    follow(cx, all, &refunds).await?;
    let dues = dues(cx, all, &refunds).await?;
    let told: Vec<(&str, &'static str, String)> = all
        .iter()
        .zip(&refunds)
        .map(|((order, _), refund)| {
            let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
            let data = json!({"refundId": refund.id, "orderId": order.id,
                "eventId": order.event_id, "status": refund.status,
                "amount": print(refund.amount, scale), "currency": order.currency,
                "cause": refund.cause, "keepTickets": refund.keep_tickets});
            (&*order.org_id, "refund.created", data.to_string())
        })
        .collect();
    let store = cx.room.store.clone();
    outbox::tell_all(&store, &mut cx.tx, &told).await?;
    Ok(refunds.into_iter().zip(dues).collect())
}

/// The row of a refund.
fn refund(
    cx: &Cx,
    order: &OrderRow,
    decision: &Decision,
    wallets: &BTreeMap<String, String>,
) -> Result<RefundRow, Problem> {
    let add = |sum: Paid, (_, parts): &(Left, Paid)| sum.plus(parts);
    let parts = decision.lines.iter().fold(Paid::default(), add);
    let amount = parts.by_buyer(order.fee_payer);
    let (method, wallet_id) = way(order, amount, wallets)?;
    Ok(RefundRow {
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
    })
}

/// The wallets that orders were paid from, by payment.
async fn wallets(
    cx: &mut Cx,
    all: &[(&OrderRow, Decision)],
) -> Result<BTreeMap<String, String>, Problem> {
    let by_wallet = |order: &&OrderRow| order.payment_method.as_deref() == Some("wallet");
    let keys = all
        .iter()
        .map(|(order, _)| *order)
        .filter(by_wallet)
        .filter_map(|order| order.payment_id.as_ref())
        .map(Arg::from)
        .collect();
    let prefix = "SELECT id, wallet_id FROM tk_wallet_payments WHERE id IN";
    let marks = cx.room.store.marks();
    let rows = bulk::select(&mut cx.tx, marks, prefix, "", &[], keys).await?;
    let pair = |row: &Row| Ok((row.get("id")?, row.get("wallet_id")?));
    rows.iter().map(pair).collect()
}

/// The way the money came.
fn way(
    order: &OrderRow,
    amount: Minor,
    wallets: &BTreeMap<String, String>,
) -> Result<(&'static str, Option<String>), Problem> {
    match order.payment_method.as_deref() {
        _ if amount == 0 => Ok(("none", None)),
        Some("wallet") => {
            let payment = order.payment_id.as_ref();
            let wallet = payment.and_then(|id| wallets.get(id));
            let wallet = wallet.ok_or_else(|| Problem::internal("an order without its payment"))?;
            Ok(("wallet", Some(wallet.clone())))
        }
        Some("card") => Ok(("card", None)),
        _ => Ok(("none", None)),
    }
}

async fn insert(
    cx: &mut Cx,
    all: &[(&OrderRow, Decision)],
    refunds: &[RefundRow],
) -> Result<(), Problem> {
    let marks = cx.room.store.marks();
    let prefix = "INSERT INTO tk_refunds (id, order_id, event_id, org_id, status, amount, currency,
        net, tax, platform_fee, processing_fee, cause, reason, keep_tickets, method, wallet_id,
        attempt, job_id, created_at, updated_at)";
    let rows = refunds.iter().map(columns).collect();
    bulk::insert(&mut cx.tx, marks, prefix, "", rows).await?;
    let lines = all
        .iter()
        .zip(refunds)
        .flat_map(|((order, decision), refund)| {
            decision.lines.iter().map(|(ticket, parts)| {
                vec![
                    Arg::from(&refund.id),
                    Arg::from(&ticket.id),
                    Arg::from(&refund.order_id),
                    Arg::from(parts.by_buyer(order.fee_payer)),
                    Arg::from(parts.net),
                    Arg::from(parts.tax),
                    Arg::from(parts.platform_fee),
                    Arg::from(parts.processing_fee),
                ]
            })
        });
    let prefix = "INSERT INTO tk_refund_tickets
        (refund_id, ticket_id, order_id, amount, net, tax, platform_fee, processing_fee)";
    bulk::insert(&mut cx.tx, marks, prefix, "", lines.collect()).await?;
    Ok(())
}

fn columns(refund: &RefundRow) -> Vec<Arg> {
    vec![
        Arg::from(&refund.id),
        Arg::from(&refund.order_id),
        Arg::from(&refund.event_id),
        Arg::from(&refund.org_id),
        Arg::from(&refund.status),
        Arg::from(refund.amount),
        Arg::from(&refund.currency),
        Arg::from(refund.parts.net),
        Arg::from(refund.parts.tax),
        Arg::from(refund.parts.platform_fee),
        Arg::from(refund.parts.processing_fee),
        Arg::from(&refund.cause),
        Arg::from(refund.reason.clone()),
        Arg::from(refund.keep_tickets),
        Arg::from(&refund.method),
        Arg::from(refund.wallet_id.clone()),
        Arg::from(refund.attempt),
        Arg::from(refund.job_id.clone()),
        Arg::from(refund.created_at),
        Arg::from(refund.updated_at),
    ]
}

/// The tickets that live still die; what they held goes back for sale unless they were used.
async fn kill(cx: &mut Cx, all: &[(&OrderRow, Decision)], death: Death) -> Result<(), Problem> {
    let ids: Vec<String> = all
        .iter()
        .filter(|(_, decision)| decision.death == Some(death))
        .flat_map(|(_, decision)| &decision.lines)
        .filter(|(ticket, _)| !ticket.is_dead())
        .map(|(ticket, _)| ticket.id.clone())
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let room = cx.room.clone();
    let killed = tickets::kill(&room, &mut cx.tx, &ids, death, cx.now).await?;
    let mut back: BTreeMap<String, i64> = BTreeMap::new();
    for ticket in killed.into_iter().filter(|k| k.held_stock && !k.was_used) {
        *back.entry(ticket.type_id).or_default() += 1;
    }
    for (type_id, units) in back {
        let pools = stock::pools_of(&mut cx.tx, &type_id).await?;
        cx.moves.give_back(&type_id, &pools, units);
    }
    Ok(())
}

const FOLLOWED: Update = Update {
    table: "tk_orders",
    columns: &["id", "refunded", "status", "updated_at"],
    set: "refunded = new.refunded, status = new.status, updated_at = new.updated_at",
};

/// The status and the sum of the orders follow their refunds.
async fn follow(
    cx: &mut Cx,
    all: &[(&OrderRow, Decision)],
    refunds: &[RefundRow],
) -> Result<(), Problem> {
    let marks = cx.room.store.marks();
    let prefix = "SELECT order_id FROM tk_tickets
        WHERE status NOT IN ('refunded', 'cancelled') AND order_id IN";
    let keys = all.iter().map(|(order, _)| Arg::from(&order.id)).collect();
    let rows = bulk::select(&mut cx.tx, marks, prefix, "GROUP BY order_id", &[], keys).await?;
    let alive = rows.iter().map(|row| row.get("order_id"));
    let alive: BTreeSet<String> = alive.collect::<Result<_, _>>()?;
    let mut rows = Vec::with_capacity(all.len());
    let mut told = Vec::with_capacity(all.len());
    for ((order, _), refund) in all.iter().zip(refunds) {
        let refunded = order.refunded + refund.amount;
        let (status, kind) = match !alive.contains(&order.id) && refunded == order.total {
            true => ("refunded", "order.refunded"),
            false => ("partially_refunded", "order.partially_refunded"),
        };
        rows.push(vec![
            Arg::from(&order.id),
            Arg::from(refunded),
            Arg::from(status),
            Arg::from(cx.now),
        ]);
        let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
        let data = json!({"orderId": order.id, "number": order.number,
            "eventId": order.event_id, "status": status,
            "refundedAmount": print(refunded, scale), "currency": order.currency});
        told.push((&*order.org_id, kind, data.to_string()));
    }
    bulk::update(&mut cx.tx, marks, &FOLLOWED, rows).await?;
    let store = cx.room.store.clone();
    outbox::tell_all(&store, &mut cx.tx, &told).await
}

async fn dues(
    cx: &mut Cx,
    all: &[(&OrderRow, Decision)],
    refunds: &[RefundRow],
) -> Result<Vec<Vec<DueRow>>, Problem> {
    let mut planned: Vec<(&str, Vec<Due>)> = Vec::with_capacity(refunds.len());
    for ((order, decision), refund) in all.iter().zip(refunds) {
        let mut dues = Vec::new();
        if refund.amount != 0 || refund.parts != Paid::default() {
            dues.push(Due::RefundDecided {
                refund_id: refund.id.clone(),
            });
        }
        if let (true, Some(wallet_id)) = (refund.method == "wallet", &refund.wallet_id) {
            dues.push(Due::RefundToWallet {
                refund_id: refund.id.clone(),
                attempt: refund.attempt,
                wallet_id: wallet_id.clone(),
            });
        }
        if refund.method == "card" && !decision.done_outside {
            card_port::order_refund(&mut cx.tx, order, refund, cx.now).await?;
        }
        planned.push((&refund.id, dues));
    }
    let lines: Vec<(&str, &[Due])> = planned
        .iter()
        .map(|(line, dues)| (*line, dues.as_slice()))
        .collect();
    let store = cx.room.store.clone();
    due::plan_all(&store, &mut cx.tx, &lines).await
}

/// The refund as it stands now in this transaction.
///
/// # Errors
/// 404; the store's.
pub async fn again(cx: &mut Cx, id: &str) -> Result<RefundRow, Problem> {
    find_in(&mut cx.tx, id).await?.ok_or_else(super::not_found)
}
