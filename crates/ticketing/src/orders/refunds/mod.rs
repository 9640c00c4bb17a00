//! Refunds (contract B5): who may, how much of what, and what becomes of them.
//!
//! **Order of steps.** Tickets die and the refund row stands in one commit, so that gates refuse
//! the ticket before any money moves; then P5, then the money, then P6. Each is repeated until it
//! is done.
//!
//! **Invariants.** The refunds of a ticket that did not fail never pass what was paid for it
//! (INV-T9); a refund that failed keeps its claim, since its sum waits in its account.

pub mod ask;
pub mod decide;
pub mod external;
pub mod job;
pub mod retry;

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Db, Query, Row, Tx, query};
use serde_json::{Value, json};

use super::desk::Cx;
use super::judge::time;
use crate::api::money::print;
use crate::model::amounts::{Minor, Paid};
use crate::money::Subject;
use crate::outbox;
use crate::store::Store;
use crate::store::bulk::{self, Update};

/// A refund. Amounts in minor units.
#[derive(Debug, Clone)]
pub struct RefundRow {
    /// Its id.
    pub id: String,
    /// Its order.
    pub order_id: String,
    /// Its event.
    pub event_id: String,
    /// Its organisation.
    pub org_id: String,
    /// `created`, `pending`, `succeeded` or `failed`.
    pub status: String,
    /// What the buyer gets.
    pub amount: Minor,
    /// Its currency.
    pub currency: String,
    /// What each part gives.
    pub parts: Paid,
    /// Who had borne the fees of the order.
    pub fee_payer: String,
    /// `buyer`, `organizer`, `support`, `event_cancelled` or `provider`.
    pub cause: String,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// The tickets stay good.
    pub keep_tickets: bool,
    /// `wallet`, `card` or `none`.
    pub method: String,
    /// The wallet that gets it.
    pub wallet_id: Option<String>,
    /// Tries so far.
    pub attempt: i64,
    /// Why it failed.
    pub failure: Option<String>,
    /// The job that it belongs to.
    pub job_id: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

impl RefundRow {
    /// What its postings say they belong to.
    pub fn subject(&self) -> Subject {
        Subject {
            org_id: self.org_id.clone(),
            event_id: Some(self.event_id.clone()),
            order_id: Some(self.order_id.clone()),
            refund_id: Some(self.id.clone()),
            ..Subject::default()
        }
    }
}

/// 404 of a refund.
pub fn not_found() -> Problem {
    Problem::not_found("refund_not_found", "There is no such refund.")
}

const COLUMNS: &str = "SELECT r.id, r.order_id, r.event_id, r.org_id, r.status, r.amount,
    r.currency, r.net, r.tax, r.platform_fee, r.processing_fee, o.fee_payer, r.cause, r.reason,
    r.keep_tickets, r.method, r.wallet_id, r.attempt, r.failure, r.job_id, r.created_at,
    r.updated_at FROM tk_refunds r JOIN tk_orders o ON o.id = r.order_id";

/// `SELECT …` of refunds (`r`) and their orders (`o`) with what follows.
pub fn select(rest: &str) -> Query {
    Query::assembled(format!("{COLUMNS} {rest}"))
}

/// Reads a row of [`select`].
///
/// # Errors
/// 500 for a damaged row.
pub fn refund(row: &Row) -> Result<RefundRow, Problem> {
    Ok(RefundRow {
        id: row.get("id")?,
        order_id: row.get("order_id")?,
        event_id: row.get("event_id")?,
        org_id: row.get("org_id")?,
        status: row.get("status")?,
        amount: row.get("amount")?,
        currency: row.get("currency")?,
        parts: Paid {
            net: row.get("net")?,
            tax: row.get("tax")?,
            platform_fee: row.get("platform_fee")?,
            processing_fee: row.get("processing_fee")?,
        },
        fee_payer: row.get("fee_payer")?,
        cause: row.get("cause")?,
        reason: row.get("reason")?,
        keep_tickets: row.get("keep_tickets")?,
        method: row.get("method")?,
        wallet_id: row.get("wallet_id")?,
        attempt: row.get("attempt")?,
        failure: row.get("failure")?,
        job_id: row.get("job_id")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// A refund.
///
/// # Errors
/// The store's.
pub async fn find(db: &Db, id: &str) -> Result<Option<RefundRow>, Problem> {
    let row = db
        .fetch_optional(select("WHERE r.id = $1").bind(id))
        .await?;
    row.as_ref().map(refund).transpose()
}

/// A refund, inside a transaction.
///
/// # Errors
/// The store's.
pub async fn find_in(tx: &mut Tx, id: &str) -> Result<Option<RefundRow>, Problem> {
    let row = tx
        .fetch_optional(select("WHERE r.id = $1").bind(id))
        .await?;
    row.as_ref().map(refund).transpose()
}

/// The refund as the routes print it.
pub fn show(refund: &RefundRow, tickets: &[(String, Minor)], scale: u8) -> Value {
    let tickets: Vec<Value> = tickets
        .iter()
        .map(|(id, amount)| json!({"ticketId": id, "amount": print(*amount, scale)}))
        .collect();
    json!({
        "id": refund.id,
        "orderId": refund.order_id,
        "eventId": refund.event_id,
        "status": refund.status,
        "amount": print(refund.amount, scale),
        "currency": refund.currency,
        "cause": refund.cause,
        "reason": refund.reason,
        "keepTickets": refund.keep_tickets,
        "method": refund.method,
        "tickets": tickets,
        "failure": refund.failure,
        "jobId": refund.job_id,
        "createdAt": time(refund.created_at),
        "updatedAt": time(refund.updated_at),
    })
}

/// The tickets of a refund, with what went back for each.
///
/// # Errors
/// The store's.
pub async fn tickets_of(db: &Db, refund_id: &str) -> Result<Vec<(String, Minor)>, Problem> {
    let text = "SELECT ticket_id, amount FROM tk_refund_tickets
        WHERE refund_id = $1 ORDER BY ticket_id";
    let rows = db.fetch_all(query(text).bind(refund_id)).await?;
    let pair = |row: &Row| Ok((row.get("ticket_id")?, row.get("amount")?));
    rows.iter().map(pair).collect()
}

/// A refund is under way at the provider.
///
/// # Errors
/// The store's.
pub async fn pending(store: &Store, tx: &mut Tx, refund_id: &str) -> Result<(), Problem> {
    mark(store, tx, refund_id, "pending", None).await
}

/// The money arrived.
///
/// # Errors
/// The store's.
pub async fn succeeded(store: &Store, tx: &mut Tx, refund_id: &str) -> Result<(), Problem> {
    mark(store, tx, refund_id, "succeeded", None).await
}

/// The money could not be sent; its sum stays in the refund's account until it is tried again.
///
/// # Errors
/// The store's.
pub async fn failed(
    store: &Store,
    tx: &mut Tx,
    refund_id: &str,
    reason: &str,
) -> Result<(), Problem> {
    mark(store, tx, refund_id, "failed", Some(reason)).await
}

/// A card's bank refused a refund that was reported as made: its sum is back in the refund's
/// account, and it may be tried again another way.
///
/// # Errors
/// The store's.
pub async fn came_back(
    store: &Store,
    tx: &mut Tx,
    refund_id: &str,
    reason: &str,
) -> Result<(), Problem> {
    let text = "UPDATE tk_refunds SET status = 'pending' WHERE id = $1 AND status = 'succeeded'";
    tx.execute(query(text).bind(refund_id)).await?;
    mark(store, tx, refund_id, "failed", Some(reason)).await
}

async fn mark(
    store: &Store,
    tx: &mut Tx,
    refund_id: &str,
    status: &str,
    failure: Option<&str>,
) -> Result<(), Problem> {
    let text = "UPDATE tk_refunds SET status = $1, failure = $2, updated_at = $3
        WHERE id = $4 AND status IN ('created', 'pending') AND status <> $5";
    let statement = query(text)
        .bind(status)
        .bind(failure.map(str::to_owned))
        .bind(store.now())
        .bind(refund_id)
        .bind(status);
    if tx.execute(statement).await? == 0 {
        return Ok(());
    }
    let kind = match status {
        "succeeded" => "refund.succeeded",
        "failed" => "refund.failed",
        _ => return Ok(()),
    };
    let Some(refund) = find_in(tx, refund_id).await? else {
        return Ok(());
    };
    let data = end(&refund, status, failure);
    outbox::tell(store, tx, &refund.org_id, kind, &data).await
}

/// What is told of a refund's end.
fn end(refund: &RefundRow, status: &str, failure: Option<&str>) -> Value {
    json!({"refundId": refund.id, "orderId": refund.order_id, "eventId": refund.event_id,
        "status": status, "amountMinor": refund.amount, "currency": refund.currency,
        "failure": failure})
}

/// A refund into a wallet that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The refund.
    pub refund_id: String,
    /// Its order.
    pub order_id: String,
    /// Its event.
    pub event_id: String,
    /// The wallet's code, if the money could not be sent.
    pub failure: Option<&'static str>,
}

const ENDED: Update = Update {
    table: "tk_refunds",
    columns: &["id", "status", "failure", "updated_at"],
    set: "status = new.status, failure = new.failure, updated_at = new.updated_at",
};

/// Writes the ends of refunds, none twice. Those that had ended before stay as they are.
///
/// # Errors
/// What fails all of them. In the place of a refund: 404 `refund_not_found`.
pub(super) async fn end_all(
    cx: &mut Cx,
    all: &[&Ended],
) -> Result<Vec<Result<(), Problem>>, Problem> {
    cx.dirty = true;
    let marks = cx.room.store.marks();
    let prefix = format!("{COLUMNS} WHERE r.id IN");
    let keys = all
        .iter()
        .map(|ended| Arg::from(&ended.refund_id))
        .collect();
    let found = bulk::select(&mut cx.tx, marks, &prefix, "", &[], keys).await?;
    let found: Vec<RefundRow> = found.iter().map(refund).collect::<Result<_, _>>()?;
    let found: BTreeMap<&str, &RefundRow> = found.iter().map(|r| (&*r.id, r)).collect();
    let (mut rows, mut told) = (Vec::new(), Vec::new());
    let mut answers = Vec::with_capacity(all.len());
    for ended in all {
        let Some(refund) = found.get(&*ended.refund_id) else {
            answers.push(Err(not_found()));
            continue;
        };
        answers.push(Ok(()));
        if !matches!(&*refund.status, "created" | "pending") {
            continue;
        }
        let (status, kind) = match ended.failure {
            None => ("succeeded", "refund.succeeded"),
            Some(_) => ("failed", "refund.failed"),
        };
        rows.push(vec![
            Arg::from(&refund.id),
            Arg::from(status),
            Arg::from(ended.failure.map(str::to_owned)),
            Arg::from(cx.now),
        ]);
        let data = end(refund, status, ended.failure).to_string();
        told.push((&*refund.org_id, kind, data));
    }
    bulk::update(&mut cx.tx, marks, &ENDED, rows).await?;
    let store = cx.room.store.clone();
    outbox::tell_all(&store, &mut cx.tx, &told).await?;
    Ok(answers)
}
