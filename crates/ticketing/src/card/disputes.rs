//! Disputes (contract C5, D1): the money is withdrawn, the tickets open no gate; it comes back, or
//! the organiser bears it and the tickets are cancelled. An inquiry does nothing.

use std::collections::BTreeSet;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Db, Query, Row, Tx, query};
use serde_json::json;

use super::decide::away;
use super::intents::{self, IntentRow};
use super::provider::{Dispute, DisputeStatus};
use crate::api::money::print;
use crate::model::amounts::Minor;
use crate::money::{self, p10_dispute};
use crate::orders::desk::Cx;
use crate::orders::refunds::job;
use crate::store::bulk::{self, Marks};
use crate::store::stock;
use crate::tickets::{self, Death};
use crate::{Ticketing, outbox};

/// A dispute as it stands in the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeRow {
    /// Our id.
    pub id: String,
    /// The provider's id.
    pub provider_id: String,
    /// The intent that was paid (our row).
    pub intent_id: String,
    /// Its order.
    pub order_id: String,
    /// Its event.
    pub event_id: String,
    /// Its organisation.
    pub org_id: String,
    /// What is disputed.
    pub amount: Minor,
    /// What the provider took for it.
    pub fee: Minor,
    /// Currency.
    pub currency: String,
    /// `inquiry`, `open`, `won`, `lost` or `closed`.
    pub state: String,
    /// When the money was withdrawn.
    pub opened_at: Option<i64>,
    /// When it was decided.
    pub closed_at: Option<i64>,
    /// When it was first heard of.
    pub created_at: i64,
}

const COLUMNS: &str = "SELECT id, provider_id, intent_id, order_id, event_id, org_id, amount, fee,
    currency, state, opened_at, closed_at, created_at FROM tk_card_disputes";

/// `SELECT …` of disputes with what follows.
pub fn select(rest: &str) -> Query {
    Query::assembled(format!("{COLUMNS} {rest}"))
}

/// Reads a row of [`select`].
///
/// # Errors
/// 500 for a damaged row.
pub fn dispute(row: &Row) -> Result<DisputeRow, Problem> {
    Ok(DisputeRow {
        id: row.get("id")?,
        provider_id: row.get("provider_id")?,
        intent_id: row.get("intent_id")?,
        order_id: row.get("order_id")?,
        event_id: row.get("event_id")?,
        org_id: row.get("org_id")?,
        amount: row.get("amount")?,
        fee: row.get("fee")?,
        currency: row.get("currency")?,
        state: row.get("state")?,
        opened_at: row.get("opened_at")?,
        closed_at: row.get("closed_at")?,
        created_at: row.get("created_at")?,
    })
}

/// Those of the orders whose payment is in an open dispute: nothing of them is refunded meanwhile
/// (409 `payment_disputed`).
///
/// # Errors
/// The store's.
pub async fn open_for_orders(
    tx: &mut Tx,
    marks: Marks,
    orders: &[String],
) -> Result<BTreeSet<String>, Problem> {
    let prefix = "SELECT order_id FROM tk_card_disputes WHERE state = 'open' AND order_id IN";
    let keys = orders.iter().map(Arg::from).collect();
    let rows = bulk::select(tx, marks, prefix, "", &[], keys).await?;
    let ids = rows.iter().map(|row| row.get("order_id"));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// What is in open dispute of an organisation, minor units: it is not paid out.
///
/// # Errors
/// The store's.
pub async fn open_amount(tx: &mut Tx, org_id: &str, currency: &str) -> Result<Minor, Problem> {
    let row = tx.fetch_optional(open_sum(org_id, currency)).await?;
    row.map_or(Ok(0), |row| Ok(row.get("open")?))
}

/// [`open_amount`] outside a transaction.
///
/// # Errors
/// The store's.
pub async fn open_amount_now(db: &Db, org_id: &str, currency: &str) -> Result<Minor, Problem> {
    let row = db.fetch_optional(open_sum(org_id, currency)).await?;
    row.map_or(Ok(0), |row| Ok(row.get("open")?))
}

fn open_sum(org_id: &str, currency: &str) -> Query {
    let text = "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS open FROM tk_card_disputes
        WHERE org_id = $1 AND currency = $2 AND state = 'open'";
    query(text).bind(org_id).bind(currency)
}

async fn by_provider(db: &Db, provider_id: &str) -> Result<Option<DisputeRow>, Problem> {
    let statement = select("WHERE provider_id = $1").bind(provider_id);
    let row = db.fetch_optional(statement).await?;
    row.as_ref().map(dispute).transpose()
}

const fn state_of(status: DisputeStatus) -> &'static str {
    match status {
        DisputeStatus::Inquiry => "inquiry",
        DisputeStatus::InquiryClosed => "closed",
        DisputeStatus::Open => "open",
        DisputeStatus::Won => "won",
        DisputeStatus::Lost => "lost",
    }
}

/// Applies what the provider shows of a dispute: first that the money was withdrawn, then how it
/// ended, each in its commit and then posted; also when only the end was heard of.
///
/// # Errors
/// 503 when the ledger or the store is away; the same may be applied again.
pub async fn apply(room: &Ticketing, shown: &Dispute) -> Result<(), Problem> {
    let db = &room.store.db;
    let known = by_provider(db, &shown.id).await?;
    let paid = match (&known, &shown.intent_id) {
        (Some(row), _) => intents::find(db, &row.intent_id).await?,
        (None, Some(intent)) => intents::by_provider(db, intent).await?,
        (None, None) => None,
    };
    let Some(paid) = paid else {
        return Ok(());
    };
    let row = match known {
        Some(row) => row,
        None => begin(room, &paid, shown).await?,
    };
    let wanted = state_of(shown.status);
    let withdrawn = shown.withdrawn.filter(|_| {
        matches!(
            shown.status,
            DisputeStatus::Open | DisputeStatus::Won | DisputeStatus::Lost
        )
    });
    let mut row = row;
    if let Some((amount, fee)) = withdrawn {
        row = step(room, &row, "open", (amount, fee)).await?;
        post_withdrawn(room, &paid, &row).await?;
    }
    match shown.status {
        DisputeStatus::Open => Ok(()),
        DisputeStatus::Inquiry | DisputeStatus::InquiryClosed => {
            let sums = (row.amount, row.fee);
            step(room, &row, wanted, sums).await.map(drop)
        }
        // Money that is said to be back but is not there yet is awaited.
        DisputeStatus::Won if withdrawn.is_some() && shown.reinstated.is_none() => Ok(()),
        DisputeStatus::Won | DisputeStatus::Lost => {
            let sums = (row.amount, row.fee);
            let row = step(room, &row, wanted, sums).await?;
            if withdrawn.is_some() {
                post_end(room, &paid, &row, shown).await?;
            }
            Ok(())
        }
    }
}

async fn begin(room: &Ticketing, paid: &IntentRow, shown: &Dispute) -> Result<DisputeRow, Problem> {
    let now = room.now();
    let row = DisputeRow {
        id: room.store.id(),
        provider_id: shown.id.clone(),
        intent_id: paid.id.clone(),
        order_id: paid.order_id.clone(),
        event_id: paid.event_id.clone(),
        org_id: paid.org_id.clone(),
        amount: shown.amount,
        fee: 0,
        currency: shown.currency.clone(),
        state: "inquiry".to_owned(),
        opened_at: None,
        closed_at: None,
        created_at: now,
    };
    let text = "INSERT INTO tk_card_disputes (id, provider_id, intent_id, order_id, event_id,
        org_id, amount, fee, currency, state, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
    let statement = query(text)
        .bind(&row.id)
        .bind(&row.provider_id)
        .bind(&row.intent_id)
        .bind(&row.order_id)
        .bind(&row.event_id)
        .bind(&row.org_id)
        .bind(row.amount)
        .bind(row.fee)
        .bind(&row.currency)
        .bind(&row.state)
        .bind(now)
        .bind(now);
    let mut tx = room.store.begin_event(&row.event_id).await?;
    tx.execute(statement).await?;
    tx.commit().await?;
    // Another process may have been quicker; its row counts.
    let kept = by_provider(&room.store.db, &shown.id).await?;
    kept.ok_or_else(|| Problem::internal("a dispute without its row"))
}

/// Rank of a state: a dispute only goes forward, whatever order it is told in.
fn rank(state: &str) -> u8 {
    match state {
        "inquiry" => 0,
        "open" => 1,
        _ => 2,
    }
}

async fn step(
    room: &Ticketing,
    row: &DisputeRow,
    state: &'static str,
    sums: (Minor, Minor),
) -> Result<DisputeRow, Problem> {
    if rank(state) <= rank(&row.state) {
        return Ok(row.clone());
    }
    let known = row.clone();
    room.desk
        .run(&row.event_id, move |cx| {
            let known = known.clone();
            Box::pin(async move { step_in(cx, &known.id, state, sums).await })
        })
        .await
}

async fn step_in(
    cx: &mut Cx,
    id: &str,
    state: &'static str,
    (amount, fee): (Minor, Minor),
) -> Result<DisputeRow, Problem> {
    let found = cx
        .tx
        .fetch_optional(select("WHERE id = $1").bind(id))
        .await?;
    let found = found.as_ref().map(dispute).transpose()?;
    let mut row = found.ok_or_else(|| Problem::internal("a dispute without its row"))?;
    if rank(state) <= rank(&row.state) {
        return Ok(row);
    }
    cx.dirty = true;
    if state == "open" {
        row.opened_at = Some(cx.now);
    } else {
        row.closed_at = Some(cx.now);
    }
    (row.state, row.amount, row.fee) = (state.to_owned(), amount, fee);
    let text = "UPDATE tk_card_disputes SET state = $1, amount = $2, fee = $3, opened_at = $4,
        closed_at = $5, updated_at = $6 WHERE id = $7";
    let statement = query(text)
        .bind(state)
        .bind(amount)
        .bind(fee)
        .bind(row.opened_at)
        .bind(row.closed_at)
        .bind(cx.now)
        .bind(id);
    cx.tx.execute(statement).await?;
    let room = cx.room.clone();
    match state {
        "open" => {
            tickets::suspend_order(&room, &mut cx.tx, &row.order_id, cx.now).await?;
            payment_status(cx, &row.order_id, "disputed").await?;
            tell(cx, &row, "dispute.opened").await?;
        }
        "won" => {
            tickets::restore_order(&room, &mut cx.tx, &row.order_id, cx.now).await?;
            payment_status(cx, &row.order_id, "succeeded").await?;
            tell(cx, &row, "dispute.won").await?;
            // The event may have been cancelled meanwhile: then the money is the buyer's.
            job::left_over(cx, &row.order_id).await?;
        }
        "lost" => {
            cancel_tickets(cx, &row.order_id).await?;
            payment_status(cx, &row.order_id, "charged_back").await?;
            tell(cx, &row, "dispute.lost").await?;
        }
        _ => {}
    }
    Ok(row)
}

/// What still lives of the order's tickets is cancelled; units go back for sale unless they were
/// used.
async fn cancel_tickets(cx: &mut Cx, order_id: &str) -> Result<(), Problem> {
    let text = "SELECT id FROM tk_tickets
        WHERE order_id = $1 AND status IN ('valid', 'used', 'suspended', 'listed')";
    let rows = cx.tx.fetch_all(query(text).bind(order_id)).await?;
    let ids: Vec<String> = rows
        .iter()
        .map(|row| row.get("id"))
        .collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(());
    }
    let room = cx.room.clone();
    let killed = tickets::kill(&room, &mut cx.tx, &ids, Death::Cancelled, cx.now).await?;
    for ticket in killed.iter().filter(|one| one.held_stock && !one.was_used) {
        let pools = stock::pools_of(&mut cx.tx, &ticket.type_id).await?;
        cx.moves.give_back(&ticket.type_id, &pools, 1);
    }
    Ok(())
}

async fn payment_status(cx: &mut Cx, order_id: &str, status: &str) -> Result<(), Problem> {
    let text = "UPDATE tk_orders SET payment_status = $1, updated_at = $2 WHERE id = $3";
    let statement = query(text).bind(status).bind(cx.now).bind(order_id);
    cx.tx.execute(statement).await?;
    Ok(())
}

async fn tell(cx: &mut Cx, row: &DisputeRow, kind: &'static str) -> Result<(), Problem> {
    let scale = cx.room.settings.scale(&row.currency).unwrap_or(2);
    let data = json!({"disputeId": row.id, "orderId": row.order_id, "eventId": row.event_id,
        "status": row.state, "amount": print(row.amount, scale), "currency": row.currency});
    let store = cx.room.store.clone();
    outbox::tell(&store, &mut cx.tx, &row.org_id, kind, &data).await
}

fn disputed(row: &DisputeRow) -> p10_dispute::Disputed {
    p10_dispute::Disputed {
        dispute_id: row.id.clone(),
        currency: row.currency.clone(),
        amount: row.amount,
        fee: row.fee,
    }
}

async fn post_withdrawn(
    room: &Ticketing,
    paid: &IntentRow,
    row: &DisputeRow,
) -> Result<(), Problem> {
    let posting = p10_dispute::withdrawn(&paid.subject(), &disputed(row));
    money::post(&room.ledger, &posting).await.map_err(away)?;
    Ok(())
}

async fn post_end(
    room: &Ticketing,
    paid: &IntentRow,
    row: &DisputeRow,
    shown: &Dispute,
) -> Result<(), Problem> {
    let posting = match &*row.state {
        "won" => {
            let fee_back = shown.reinstated.map_or(0, |(_, fee)| fee);
            p10_dispute::won(&paid.subject(), &disputed(row), fee_back)
        }
        "lost" => p10_dispute::lost(&paid.subject(), &disputed(row)),
        _ => return Ok(()),
    };
    money::post(&room.ledger, &posting).await.map_err(away)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispute_goes_forward_only() {
        let order = ["inquiry", "open", "won"];
        for pair in order.windows(2) {
            assert!(rank(pair[0]) < rank(pair[1]));
        }
        assert_eq!(rank("won"), rank("lost"));
        assert_eq!(state_of(DisputeStatus::InquiryClosed), "closed");
    }
}
