//! Money that goes back by card: refunds of orders, payments that bought nothing, and refunds
//! made at the provider's own console.
//!
//! A row is one try. The steps are those of contract C3: what is owed stands in the account
//! `refunds:{id}` first (P5, P7), then the provider sends it, then P6.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, Tx, query};

use super::decide::away;
use super::intents::{self, ASK_AFTER, IntentRow};
use super::provider::{Intent, NewRefund, ProviderError, Refund, RefundStatus};
use crate::Ticketing;
use crate::model::amounts::Minor;
use crate::money::due::{self, Due};
use crate::money::{self, MoneyError, Subject, p06_refund_done, p07_late_return};
use crate::orders::desk::Cx;
use crate::orders::refunds;

/// First and longest wait after a try that had no answer.
const WAIT: (i64, i64) = (1_000_000, 60_000_000);
/// How long a row is taken by the process that works on it.
const CLAIM: i64 = 60_000_000;
/// Tries of a return that the provider could not make, and the wait between them.
const RETURN_TRIES: i64 = 5;
const RETURN_WAIT: i64 = 3_600_000_000;

/// A refund of an order, to be sent by card.
#[derive(Debug, Clone)]
pub struct NewCardRefund {
    /// The refund.
    pub refund_id: String,
    /// The try, from 1.
    pub attempt: u32,
    /// Its order.
    pub order_id: String,
    /// Its event.
    pub event_id: String,
    /// Its organisation.
    pub org_id: String,
    /// The intent that was paid (our row).
    pub intent_row_id: String,
    /// Minor units.
    pub amount: Minor,
    /// Currency.
    pub currency: String,
}

/// One try.
#[derive(Debug, Clone)]
pub struct RefundRow {
    /// `{refund_id}:{attempt}`.
    pub id: String,
    /// `refund`, `return` or `console`.
    pub kind: String,
    /// Names the account.
    pub refund_id: String,
    /// The try, from 1.
    pub attempt: i64,
    /// Its order.
    pub order_id: String,
    /// Its event.
    pub event_id: String,
    /// Its organisation.
    pub org_id: String,
    /// The intent that was paid (our row).
    pub intent_id: String,
    /// Minor units.
    pub amount: Minor,
    /// Currency.
    pub currency: String,
    /// Why a payment goes back.
    pub reason: Option<String>,
    /// `created`, `pending`, `succeeded` or `failed`.
    pub state: String,
    /// The provider's id.
    pub provider_id: Option<String>,
    /// Times that the worker has tried.
    pub tries: i64,
    /// When it is tried next.
    pub ask_at: i64,
}

impl RefundRow {
    fn subject(&self) -> Subject {
        Subject {
            org_id: self.org_id.clone(),
            event_id: Some(self.event_id.clone()),
            order_id: Some(self.order_id.clone()),
            refund_id: Some(self.refund_id.clone()),
            ..Subject::default()
        }
    }
}

const COLUMNS: &str = "SELECT id, kind, refund_id, attempt, order_id, event_id, org_id, intent_id,
    amount, currency, reason, state, provider_id, tries, ask_at FROM tk_card_refunds";

pub(super) fn select(rest: &str) -> Query {
    Query::assembled(format!("{COLUMNS} {rest}"))
}

pub(super) fn refund(row: &Row) -> Result<RefundRow, Problem> {
    Ok(RefundRow {
        id: row.get("id")?,
        kind: row.get("kind")?,
        refund_id: row.get("refund_id")?,
        attempt: row.get("attempt")?,
        order_id: row.get("order_id")?,
        event_id: row.get("event_id")?,
        org_id: row.get("org_id")?,
        intent_id: row.get("intent_id")?,
        amount: row.get("amount")?,
        currency: row.get("currency")?,
        reason: row.get("reason")?,
        state: row.get("state")?,
        provider_id: row.get("provider_id")?,
        tries: row.get("tries")?,
        ask_at: row.get("ask_at")?,
    })
}

/// Orders a refund, in the transaction that decides it.
///
/// # Errors
/// The store's.
pub async fn order(tx: &mut Tx, new: &NewCardRefund, now: i64) -> Result<(), Problem> {
    let attempt = i64::from(new.attempt);
    let row = RefundRow {
        id: format!("{}:{attempt}", new.refund_id),
        kind: "refund".to_owned(),
        refund_id: new.refund_id.clone(),
        attempt,
        order_id: new.order_id.clone(),
        event_id: new.event_id.clone(),
        org_id: new.org_id.clone(),
        intent_id: new.intent_row_id.clone(),
        amount: new.amount,
        currency: new.currency.clone(),
        reason: None,
        state: "created".to_owned(),
        provider_id: None,
        tries: 0,
        ask_at: now,
    };
    insert(tx, &row, now).await
}

/// Orders the return of a payment that bought nothing.
///
/// # Errors
/// The store's.
pub async fn order_return(
    tx: &mut Tx,
    paid: &IntentRow,
    return_id: &str,
    intent: &Intent,
    reason: &str,
    now: i64,
) -> Result<(), Problem> {
    let row = RefundRow {
        id: format!("{return_id}:1"),
        kind: "return".to_owned(),
        refund_id: return_id.to_owned(),
        attempt: 1,
        order_id: paid.order_id.clone(),
        event_id: paid.event_id.clone(),
        org_id: paid.org_id.clone(),
        intent_id: paid.id.clone(),
        amount: intent.received,
        currency: intent.currency.clone(),
        reason: Some(reason.to_owned()),
        state: "created".to_owned(),
        provider_id: None,
        tries: 0,
        ask_at: now,
    };
    insert(tx, &row, now).await
}

pub(super) async fn insert(tx: &mut Tx, row: &RefundRow, now: i64) -> Result<(), Problem> {
    let text = "INSERT INTO tk_card_refunds (id, kind, refund_id, attempt, order_id, event_id,
        org_id, intent_id, amount, currency, reason, state, provider_id, ask_at, created_at,
        updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        ON CONFLICT DO NOTHING";
    let statement = query(text)
        .bind(&row.id)
        .bind(&row.kind)
        .bind(&row.refund_id)
        .bind(row.attempt)
        .bind(&row.order_id)
        .bind(&row.event_id)
        .bind(&row.org_id)
        .bind(&row.intent_id)
        .bind(row.amount)
        .bind(&row.currency)
        .bind(row.reason.clone())
        .bind(&row.state)
        .bind(row.provider_id.clone())
        .bind(row.ask_at)
        .bind(now)
        .bind(now);
    tx.execute(statement).await?;
    Ok(())
}

/// Tries whose turn it is.
///
/// # Errors
/// The store's.
pub async fn due(db: &Db, now: i64, limit: i64) -> Result<Vec<RefundRow>, Problem> {
    let text = "WHERE state IN ('created', 'pending') AND ask_at <= $1 ORDER BY ask_at LIMIT $2";
    let rows = db.fetch_all(select(text).bind(now).bind(limit)).await?;
    rows.iter().map(refund).collect()
}

pub(super) async fn first(db: &Db, column: &str, id: &str) -> Result<Option<RefundRow>, Problem> {
    let statement = select(&format!("WHERE {column} = $1")).bind(id);
    let row = db.fetch_optional(statement).await?;
    row.as_ref().map(refund).transpose()
}

/// Takes a try one step further: asks the provider for it, or how it is.
///
/// # Errors
/// 503 when the provider, the ledger or the store is away; it is tried again later.
pub async fn step(room: &Ticketing, row: &RefundRow) -> Result<(), Problem> {
    if !claim(room, row).await? {
        return Ok(());
    }
    let Some(provider) = room.card.as_deref() else {
        return Ok(());
    };
    if !owed(room, row).await? {
        return postpone(room, row).await;
    }
    let paid = intents::find(&room.store.db, &row.intent_id).await?;
    let Some(intent_id) = paid.and_then(|paid| paid.provider_id) else {
        return ended(room, row, None, Some("payment_not_found")).await;
    };
    let shown = match &row.provider_id {
        Some(id) => provider.refund_now(id).await,
        None => {
            let new = NewRefund {
                reference: row.id.clone(),
                intent_id: intent_id.clone(),
                amount: row.amount,
            };
            provider.refund(&new).await
        }
    };
    match shown {
        Ok(shown) => apply(room, row, &shown).await,
        Err(ProviderError::Unavailable(error)) => {
            tracing::warn!(refund = row.id, error, "the provider does not answer");
            postpone(room, row).await
        }
        Err(error) => {
            // Perhaps it was made under a key that the provider has forgotten.
            let all = provider.refunds_of(&intent_id).await;
            let Ok(all) = all else {
                return postpone(room, row).await;
            };
            let ours = all
                .iter()
                .find(|refund| refund.reference.as_deref() == Some(&*row.id));
            match (ours, error) {
                (Some(shown), _) => apply(room, row, shown).await,
                (None, ProviderError::Refused { code }) => {
                    ended(room, row, None, Some(&code)).await
                }
                (None, _) => ended(room, row, None, Some("refused")).await,
            }
        }
    }
}

/// What is to be sent stands in the account of the refund: the ledger would refuse P6 for ever if
/// it came first.
async fn owed(room: &Ticketing, row: &RefundRow) -> Result<bool, Problem> {
    if row.kind == "return" {
        let posting = p07_late_return::returned(
            &row.subject(),
            &row.refund_id,
            &row.order_id,
            &row.currency,
            row.amount,
        );
        money::post(&room.ledger, &posting).await.map_err(away)?;
        return Ok(true);
    }
    due::drive_line(room, &row.refund_id).await?;
    let text = "SELECT id FROM tk_due WHERE line = $1 AND state = 'due' LIMIT 1";
    let waits = room
        .store
        .db
        .fetch_optional(query(text).bind(&row.refund_id));
    Ok(waits.await?.is_none())
}

async fn claim(room: &Ticketing, row: &RefundRow) -> Result<bool, Problem> {
    let text = "UPDATE tk_card_refunds SET ask_at = $1, tries = tries + 1
        WHERE id = $2 AND ask_at = $3 AND state IN ('created', 'pending')";
    let statement = query(text)
        .bind(room.now() + CLAIM)
        .bind(&row.id)
        .bind(row.ask_at);
    let mut tx = room.store.begin_event(&row.event_id).await?;
    let taken = tx.execute(statement).await? == 1;
    tx.commit().await?;
    Ok(taken)
}

async fn postpone(room: &Ticketing, row: &RefundRow) -> Result<(), Problem> {
    let wait = (WAIT.0 << row.tries.clamp(0, 8)).min(WAIT.1);
    let text = "UPDATE tk_card_refunds SET ask_at = $1 WHERE id = $2";
    let statement = query(text).bind(room.now() + wait).bind(&row.id);
    let mut tx = room.store.begin_event(&row.event_id).await?;
    tx.execute(statement).await?;
    tx.commit().await?;
    Ok(())
}

/// Applies what the provider shows of a try. `row` may be outdated: what becomes of the try is
/// decided on the row as it is in the event's lane, and posted after it.
///
/// # Errors
/// 503 when the ledger or the store is away; the same may be applied again.
pub async fn apply(room: &Ticketing, row: &RefundRow, shown: &Refund) -> Result<(), Problem> {
    match shown.status {
        RefundStatus::Pending if row.state == "succeeded" || row.state == "failed" => Ok(()),
        RefundStatus::Pending => pending(room, row, &shown.id).await,
        RefundStatus::Succeeded => {
            if !owed(room, row).await? {
                return postpone(room, row).await;
            }
            ended(room, row, Some(&shown.id), None).await
        }
        RefundStatus::Failed => {
            let why = shown.failure.as_deref().unwrap_or("failed");
            ended(room, row, Some(&shown.id), Some(why)).await
        }
    }
}

/// Posts P6 of a try, or that it came back.
///
/// # Errors
/// [`MoneyError`].
pub async fn post(room: &Ticketing, try_id: &str, back: bool) -> Result<(), MoneyError> {
    let store_away = |problem: Problem| {
        tracing::warn!(%problem, "a posting waits for the tables");
        MoneyError::Unavailable(florin_ledger::Unavailable::StoreUnavailable)
    };
    let found = first(&room.store.db, "id", try_id).await;
    let row = found
        .map_err(store_away)?
        .ok_or_else(|| MoneyError::Refused {
            posting: "P6".to_owned(),
            key: try_id.to_owned(),
            code: "row_not_found".to_owned(),
        })?;
    let make = match back {
        false => p06_refund_done::done,
        true => p06_refund_done::came_back,
    };
    let subject = row.subject();
    let posting = make(&subject, &row.id, &row.refund_id, &row.currency, row.amount);
    money::post(&room.ledger, &posting).await.map(drop)
}

async fn pending(room: &Ticketing, row: &RefundRow, provider_id: &str) -> Result<(), Problem> {
    let (row, provider_id) = (row.clone(), provider_id.to_owned());
    let lane = row.event_id.clone();
    room.desk
        .run(&lane, move |cx| {
            let (row, provider_id) = (row.clone(), provider_id.clone());
            Box::pin(async move {
                cx.dirty = true;
                let text = "UPDATE tk_card_refunds SET state = 'pending', provider_id = $1,
                    ask_at = $2, updated_at = $3 WHERE id = $4 AND state IN ('created', 'pending')";
                let statement = query(text)
                    .bind(provider_id)
                    .bind(cx.now + ASK_AFTER)
                    .bind(cx.now)
                    .bind(&row.id);
                cx.tx.execute(statement).await?;
                if row.kind == "refund" {
                    let store = cx.room.store.clone();
                    refunds::pending(&store, &mut cx.tx, &row.refund_id).await?;
                }
                Ok(())
            })
        })
        .await
}

async fn ended(
    room: &Ticketing,
    row: &RefundRow,
    provider_id: Option<&str>,
    failure: Option<&str>,
) -> Result<(), Problem> {
    let (id, provider_id) = (row.id.clone(), provider_id.map(str::to_owned));
    let failure = failure.map(str::to_owned);
    let lane = row.event_id.clone();
    room.desk
        .run(&lane, move |cx| {
            let (id, provider_id, failure) = (id.clone(), provider_id.clone(), failure.clone());
            Box::pin(async move { end(cx, &id, provider_id, failure).await })
        })
        .await?;
    due::drive_line(room, &row.refund_id).await
}

async fn end(
    cx: &mut Cx,
    id: &str,
    provider_id: Option<String>,
    failure: Option<String>,
) -> Result<(), Problem> {
    let found = cx
        .tx
        .fetch_optional(select("WHERE id = $1").bind(id))
        .await?;
    let found = found.ok_or_else(|| Problem::internal("a refund without its row"))?;
    let row = refund(&found)?;
    let try_id = row.id.clone();
    let due = match (&*row.state, &failure) {
        ("created" | "pending", None) => Some(Due::CardRefundDone { try_id }),
        ("created" | "pending", Some(_)) => None,
        ("succeeded", Some(_)) => Some(Due::CardRefundBack { try_id }),
        ("failed", None) => {
            tracing::error!(
                refund = row.id,
                "a refund that had failed was made after all"
            );
            return Ok(());
        }
        _ => return Ok(()),
    };
    cx.dirty = true;
    let state = match failure {
        None => "succeeded",
        Some(_) => "failed",
    };
    let text = "UPDATE tk_card_refunds SET state = $1, provider_id = COALESCE($2, provider_id),
        failure = $3, updated_at = $4 WHERE id = $5";
    let statement = query(text)
        .bind(state)
        .bind(provider_id)
        .bind(failure.clone())
        .bind(cx.now)
        .bind(&row.id);
    cx.tx.execute(statement).await?;
    let store = cx.room.store.clone();
    let dues: Vec<Due> = due.into_iter().collect();
    due::plan(&store, &mut cx.tx, &row.refund_id, &dues).await?;
    match (&*row.kind, failure) {
        ("return", None) => Ok(()),
        ("return", Some(why)) => return_failed(&mut cx.tx, &row, &why, cx.now).await,
        (_, None) => refunds::succeeded(&store, &mut cx.tx, &row.refund_id).await,
        (_, Some(why)) if row.state == "succeeded" => {
            refunds::came_back(&store, &mut cx.tx, &row.refund_id, &why).await
        }
        (_, Some(why)) => refunds::failed(&store, &mut cx.tx, &row.refund_id, &why).await,
    }
}

/// Nobody decides about a return that failed, so it is tried again a few times; then its sum
/// stays visible in its account until a person deals with it.
async fn return_failed(tx: &mut Tx, row: &RefundRow, why: &str, now: i64) -> Result<(), Problem> {
    tracing::error!(refund = row.id, why, "a payment could not be returned");
    if row.attempt >= RETURN_TRIES {
        return Ok(());
    }
    let attempt = row.attempt + 1;
    let next = RefundRow {
        id: format!("{}:{attempt}", row.refund_id),
        attempt,
        state: "created".to_owned(),
        provider_id: None,
        tries: 0,
        ask_at: now + RETURN_WAIT,
        ..row.clone()
    };
    insert(tx, &next, now).await
}
