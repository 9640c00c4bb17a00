//! Payouts (contract C4): what an organisation may have, lines per event, and what becomes of them.

pub mod available;
pub mod request;
pub mod review;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, Tx, query};
use serde_json::{Value, json};

use super::judge::time;
use crate::api::money::print;
use crate::api::problem::conflict;
use crate::model::amounts::Minor;
use crate::money::Subject;
use crate::money::due::{self, Due};
use crate::money::p08_payout::Line;
use crate::{Ticketing, outbox};

/// A payout. Amounts in minor units.
#[derive(Debug, Clone)]
pub struct PayoutRow {
    /// Its id.
    pub id: String,
    /// Its organisation.
    pub org_id: String,
    /// Its currency.
    pub currency: String,
    /// Σ of its lines.
    pub amount: Minor,
    /// `requested`, `in_transit`, `paid` or `failed`.
    pub status: String,
    /// `{kind, walletId}` or `{kind, label}`.
    pub method: Value,
    /// What it takes from which event.
    pub lines: Vec<Line>,
    /// Of the bank.
    pub reference: Option<String>,
    /// Why it is held.
    pub hold_reason: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

impl PayoutRow {
    /// What its postings say they belong to.
    pub fn subject(&self) -> Subject {
        Subject {
            org_id: self.org_id.clone(),
            payout_id: Some(self.id.clone()),
            ..Subject::default()
        }
    }

    /// The wallet that it goes to.
    pub fn wallet_id(&self) -> Option<&str> {
        match self.method["kind"].as_str() {
            Some("wallet") => self.method["walletId"].as_str(),
            _ => None,
        }
    }
}

/// 404 of a payout.
pub fn not_found() -> Problem {
    Problem::not_found("payout_not_found", "There is no such payout.")
}

/// `SELECT …` of payouts with what follows.
pub fn select(rest: &str) -> Query {
    Query::assembled(format!(
        "SELECT id, org_id, currency, amount, status, method, lines, reference, hold_reason,
        failure, created_at, updated_at FROM tk_payouts {rest}"
    ))
}

/// Reads a row of [`select`].
///
/// # Errors
/// 500 for a damaged row.
pub fn payout(row: &Row) -> Result<PayoutRow, Problem> {
    let (method, lines): (String, String) = (row.get("method")?, row.get("lines")?);
    Ok(PayoutRow {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        currency: row.get("currency")?,
        amount: row.get("amount")?,
        status: row.get("status")?,
        method: serde_json::from_str(&method).map_err(Problem::internal)?,
        lines: serde_json::from_str(&lines).map_err(Problem::internal)?,
        reference: row.get("reference")?,
        hold_reason: row.get("hold_reason")?,
        failure: row.get("failure")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// A payout.
///
/// # Errors
/// The store's.
pub async fn find(db: &Db, id: &str) -> Result<Option<PayoutRow>, Problem> {
    let row = db.fetch_optional(select("WHERE id = $1").bind(id)).await?;
    row.as_ref().map(payout).transpose()
}

/// The payout as the routes print it.
pub fn show(payout: &PayoutRow, scale: u8) -> Value {
    let line = |line: &Line| {
        json!({"eventId": line.event_id, "net": print(line.net, scale),
            "tax": print(line.tax, scale)})
    };
    json!({
        "id": payout.id,
        "orgId": payout.org_id,
        "status": payout.status,
        "amount": print(payout.amount, scale),
        "currency": payout.currency,
        "method": payout.method,
        "lines": payout.lines.iter().map(line).collect::<Vec<_>>(),
        "reference": payout.reference,
        "holdReason": payout.hold_reason,
        "failure": payout.failure,
        "createdAt": time(payout.created_at),
        "updatedAt": time(payout.updated_at),
    })
}

/// What webhooks say of a payout.
fn told(payout: &PayoutRow, status: &str, scale: u8) -> Value {
    json!({"payoutId": payout.id, "orgId": payout.org_id, "status": status,
        "amount": print(payout.amount, scale), "currency": payout.currency})
}

/// P8 is posted: the payout is on its way.
///
/// # Errors
/// The store's.
pub async fn on_its_way(room: &Ticketing, id: &str) -> Result<(), Problem> {
    let text = "UPDATE tk_payouts SET status = 'in_transit', updated_at = $1
        WHERE id = $2 AND status = 'requested'";
    let mut tx = room.store.begin().await?;
    tx.execute(query(text).bind(room.now()).bind(id)).await?;
    tx.commit().await?;
    Ok(())
}

/// A payout into a wallet ended: `failed` names the wallet's code.
///
/// # Errors
/// The store's.
pub async fn wallet_ended(
    room: &Ticketing,
    id: &str,
    failed: Option<&'static str>,
) -> Result<(), Problem> {
    let mut tx = room.store.begin().await?;
    match failed {
        None => end(room, &mut tx, id, "paid", None, None).await?,
        Some(code) => end(room, &mut tx, id, "failed", None, Some(code)).await?,
    };
    tx.commit().await?;
    count(failed.is_some());
    Ok(())
}

/// Somebody waits for money that did not come: an alarm hangs on it.
fn count(failed: bool) {
    metrics::counter!("ticketing_payouts_failed_total").increment(u64::from(failed));
}

/// Ends a payout that is under way; `None` when it has ended before. A failed one gives back what
/// it took.
///
/// # Errors
/// 404; the store's.
pub async fn end(
    room: &Ticketing,
    tx: &mut Tx,
    id: &str,
    status: &'static str,
    reference: Option<&str>,
    failure: Option<&str>,
) -> Result<Option<PayoutRow>, Problem> {
    let row = tx.fetch_optional(select("WHERE id = $1").bind(id)).await?;
    let row = row.ok_or_else(not_found)?;
    let mut found = payout(&row)?;
    // One that never started has no posting: it can be given up, and not be paid.
    let started = found.status == "in_transit";
    if !started {
        let text = "SELECT id FROM tk_due WHERE line = $1 LIMIT 1";
        let starts = tx.fetch_optional(query(text).bind(id)).await?.is_some();
        if starts || found.status != "requested" || status == "paid" {
            return Ok(None);
        }
    }
    let text = "UPDATE tk_payouts SET status = $1, reference = $2, failure = $3, updated_at = $4
        WHERE id = $5";
    let statement = query(text)
        .bind(status)
        .bind(reference.map(str::to_owned))
        .bind(failure.map(str::to_owned))
        .bind(room.now())
        .bind(id);
    tx.execute(statement).await?;
    let payout_id = id.to_owned();
    let due = match (status, found.wallet_id()) {
        _ if !started => None,
        ("failed", _) => Some(Due::PayoutFailed { payout_id }),
        ("paid", None) => Some(Due::PayoutPaid { payout_id }),
        // The wallet's own PAYOUT was the posting.
        _ => None,
    };
    if let Some(due) = due {
        due::plan(&room.store, tx, id, &[due]).await?;
    }
    let kind = match status {
        "paid" => "payout.paid",
        _ => "payout.failed",
    };
    let scale = room.settings.scale(&found.currency).unwrap_or(2);
    let data = told(&found, status, scale);
    outbox::tell(&room.store, tx, &found.org_id, kind, &data).await?;
    found.status = status.to_owned();
    found.reference = reference.map(str::to_owned);
    found.failure = failure.map(str::to_owned);
    Ok(Some(found))
}

/// An admin says what became of a payout that the bank pays.
///
/// # Errors
/// 404; 409 `payout_state`; the store's.
pub async fn mark(
    room: &Ticketing,
    id: &str,
    status: &'static str,
    reference: Option<&str>,
    failure: Option<&str>,
) -> Result<PayoutRow, Problem> {
    let wrong = || conflict("payout_state", "The payout's status does not allow this.");
    let found = find(&room.store.db, id).await?.ok_or_else(not_found)?;
    // P8 first: its line must not hold the end before the start.
    due::drive_line(room, id).await?;
    let waits = found.status == "requested";
    if found.wallet_id().is_some() && !(waits && status == "failed") {
        return Err(wrong());
    }
    let mut tx = room.store.begin().await?;
    let ended = end(room, &mut tx, id, status, reference, failure).await?;
    let ended = ended.ok_or_else(wrong)?;
    tx.commit().await?;
    count(status == "failed");
    if let Err(problem) = due::drive_line(room, id).await {
        tracing::warn!(payout = id, %problem, "postings of a payout wait");
    }
    Ok(ended)
}
