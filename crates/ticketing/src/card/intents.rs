//! Intents as they stand in the tables. At most one of an order is live (`creating`, `open`).

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, Tx, query};

use super::provider::{Intent, IntentStatus, NewIntent};
use crate::model::amounts::Minor;
use crate::money::Subject;

/// After so long without news the provider is asked (contract B3: after 60 s).
pub const ASK_AFTER: i64 = 45_000_000;
/// Looks after which the cost of a payment is left to the daily comparison.
const COST_TRIES: i64 = 100;

/// An intent of an order. Amounts are minor units, times microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentRow {
    /// Its id.
    pub id: String,
    /// Its order.
    pub order_id: String,
    /// The order's number.
    pub order_number: String,
    /// Its event.
    pub event_id: String,
    /// Its organisation.
    pub org_id: String,
    /// The order's total.
    pub amount: Minor,
    /// Its currency.
    pub currency: String,
    /// `creating`, `open`, `paid`, `returning` or `closed`.
    pub state: String,
    /// The provider's id, once it is known.
    pub provider_id: Option<String>,
    /// The provider's status when it was last seen.
    pub provider_status: Option<String>,
    /// The last charge that was seen.
    pub charge_id: Option<String>,
    /// Why the last attempt was declined.
    pub declined: Option<String>,
    /// What came in.
    pub received: Option<Minor>,
    /// What the provider kept, once it is posted.
    pub cost: Option<Minor>,
    /// Attempts to charge it from here.
    pub confirms: i64,
    /// When the last of them began, while its end is not known.
    pub confirm_at: Option<i64>,
    /// Its payment method.
    pub confirm_method: Option<String>,
    /// Times that the worker has looked.
    pub tries: i64,
    /// When the provider is asked next.
    pub ask_at: i64,
}

impl IntentRow {
    /// It can still be paid.
    pub fn is_live(&self) -> bool {
        matches!(&*self.state, "creating" | "open")
    }

    /// Nothing new will be decided about it, unless it was given up and is paid after all.
    pub fn is_decided(&self) -> bool {
        matches!(&*self.state, "paid" | "returning")
    }

    /// What its postings say they belong to.
    pub fn subject(&self) -> Subject {
        Subject {
            org_id: self.org_id.clone(),
            event_id: Some(self.event_id.clone()),
            order_id: Some(self.order_id.clone()),
            ..Subject::default()
        }
    }

    /// What the provider is asked to make of it.
    pub fn new_intent(&self) -> NewIntent {
        NewIntent {
            reference: self.id.clone(),
            order_id: self.order_id.clone(),
            order_number: self.order_number.clone(),
            amount: self.amount,
            currency: self.currency.clone(),
        }
    }

    /// Whether the provider shows something that was not seen before.
    pub fn is_news(&self, intent: &Intent) -> bool {
        self.confirm_at.is_some()
            || self.provider_id.is_none()
            || self.provider_status.as_deref() != Some(word(intent.status))
            || self.charge_id != intent.charge_id
            || self.declined != intent.declined
    }
}

/// A status as the rows keep it.
pub const fn word(status: IntentStatus) -> &'static str {
    match status {
        IntentStatus::NeedsMethod => "needs_method",
        IntentStatus::NeedsConfirmation => "needs_confirmation",
        IntentStatus::NeedsAction => "needs_action",
        IntentStatus::Processing => "processing",
        IntentStatus::Succeeded => "succeeded",
        IntentStatus::Canceled => "canceled",
    }
}

const COLUMNS: &str = "SELECT id, order_id, order_number, event_id, org_id, amount, currency,
    state, provider_id, provider_status, charge_id, declined, received, cost, confirms,
    confirm_at, confirm_method, tries, ask_at FROM tk_card_intents";

/// `SELECT …` of intents with what follows.
pub fn select(rest: &str) -> Query {
    Query::assembled(format!("{COLUMNS} {rest}"))
}

/// Reads a row of [`select`].
///
/// # Errors
/// 500 for a damaged row.
pub fn intent(row: &Row) -> Result<IntentRow, Problem> {
    Ok(IntentRow {
        id: row.get("id")?,
        order_id: row.get("order_id")?,
        order_number: row.get("order_number")?,
        event_id: row.get("event_id")?,
        org_id: row.get("org_id")?,
        amount: row.get("amount")?,
        currency: row.get("currency")?,
        state: row.get("state")?,
        provider_id: row.get("provider_id")?,
        provider_status: row.get("provider_status")?,
        charge_id: row.get("charge_id")?,
        declined: row.get("declined")?,
        received: row.get("received")?,
        cost: row.get("cost")?,
        confirms: row.get("confirms")?,
        confirm_at: row.get("confirm_at")?,
        confirm_method: row.get("confirm_method")?,
        tries: row.get("tries")?,
        ask_at: row.get("ask_at")?,
    })
}

async fn first(db: &Db, statement: Query) -> Result<Option<IntentRow>, Problem> {
    let row = db.fetch_optional(statement).await?;
    row.as_ref().map(intent).transpose()
}

/// An intent by our id.
///
/// # Errors
/// The store's.
pub async fn find(db: &Db, id: &str) -> Result<Option<IntentRow>, Problem> {
    first(db, select("WHERE id = $1").bind(id)).await
}

/// An intent by our id, inside a transaction.
///
/// # Errors
/// The store's.
pub async fn find_in(tx: &mut Tx, id: &str) -> Result<Option<IntentRow>, Problem> {
    let row = tx.fetch_optional(select("WHERE id = $1").bind(id)).await?;
    row.as_ref().map(intent).transpose()
}

/// An intent by the provider's id.
///
/// # Errors
/// The store's.
pub async fn by_provider(db: &Db, provider_id: &str) -> Result<Option<IntentRow>, Problem> {
    first(db, select("WHERE provider_id = $1").bind(provider_id)).await
}

/// The live intent of an order.
///
/// # Errors
/// The store's.
pub async fn live(db: &Db, order_id: &str) -> Result<Option<IntentRow>, Problem> {
    first(db, live_query(order_id)).await
}

/// The live intent of an order, inside a transaction.
///
/// # Errors
/// The store's.
pub async fn live_in(tx: &mut Tx, order_id: &str) -> Result<Option<IntentRow>, Problem> {
    let row = tx.fetch_optional(live_query(order_id)).await?;
    row.as_ref().map(intent).transpose()
}

fn live_query(order_id: &str) -> Query {
    select("WHERE order_id = $1 AND state IN ('creating', 'open')").bind(order_id)
}

/// Intents whose turn it is.
///
/// # Errors
/// The store's.
pub async fn due(db: &Db, now: i64, limit: i64) -> Result<Vec<IntentRow>, Problem> {
    let text = "WHERE state IN ('creating', 'open') AND ask_at <= $1 ORDER BY ask_at LIMIT $2";
    let rows = db.fetch_all(select(text).bind(now).bind(limit)).await?;
    rows.iter().map(intent).collect()
}

/// Paid intents of which it is not known what the provider kept; asked for less and less often.
///
/// # Errors
/// The store's.
pub async fn costless(db: &Db, now: i64, limit: i64) -> Result<Vec<IntentRow>, Problem> {
    let text = "WHERE state IN ('paid', 'returning') AND cost IS NULL AND ask_at <= $1
        AND tries < $2 ORDER BY ask_at LIMIT $3";
    let statement = select(text).bind(now).bind(COST_TRIES).bind(limit);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(intent).collect()
}

/// Takes an intent for a while, so that no other process looks at the same time; false when one
/// was quicker.
///
/// # Errors
/// The store's.
pub async fn claim(tx: &mut Tx, row: &IntentRow, until: i64) -> Result<bool, Problem> {
    let text = "UPDATE tk_card_intents SET ask_at = $1, tries = tries + 1
        WHERE id = $2 AND ask_at = $3";
    let statement = query(text).bind(until).bind(&row.id).bind(row.ask_at);
    Ok(tx.execute(statement).await? == 1)
}

/// A new intent, not yet known to the provider.
///
/// # Errors
/// The store's.
pub async fn insert(tx: &mut Tx, row: &IntentRow, now: i64) -> Result<(), Problem> {
    let text = "INSERT INTO tk_card_intents (id, order_id, order_number, event_id, org_id, amount,
        currency, state, ask_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'creating', $8, $9, $10)";
    let statement = query(text)
        .bind(&row.id)
        .bind(&row.order_id)
        .bind(&row.order_number)
        .bind(&row.event_id)
        .bind(&row.org_id)
        .bind(row.amount)
        .bind(&row.currency)
        .bind(row.ask_at)
        .bind(now)
        .bind(now);
    tx.execute(statement).await?;
    Ok(())
}

/// An attempt to charge begins, or goes on.
///
/// # Errors
/// The store's.
pub async fn confirming(
    tx: &mut Tx,
    id: &str,
    attempt: i64,
    method: &str,
    now: i64,
) -> Result<(), Problem> {
    let text = "UPDATE tk_card_intents SET confirms = $1, confirm_at = $2, confirm_method = $3,
        ask_at = $4, updated_at = $5 WHERE id = $6";
    let statement = query(text)
        .bind(attempt)
        .bind(now)
        .bind(method)
        .bind(now + ASK_AFTER)
        .bind(now)
        .bind(id);
    tx.execute(statement).await?;
    Ok(())
}

/// What was seen at the provider, and what became of the intent by it. An attempt that was under
/// way has ended.
///
/// # Errors
/// The store's.
pub async fn seen(
    tx: &mut Tx,
    id: &str,
    intent: &Intent,
    state: &str,
    now: i64,
) -> Result<(), Problem> {
    let text = "UPDATE tk_card_intents SET state = $1, provider_id = $2, provider_status = $3,
        charge_id = $4, declined = $5, received = $6, confirm_at = NULL, ask_at = $7,
        updated_at = $8 WHERE id = $9";
    let statement = query(text)
        .bind(state)
        .bind(&intent.id)
        .bind(word(intent.status))
        .bind(intent.charge_id.clone())
        .bind(intent.declined.clone())
        .bind(intent.received)
        .bind(now + ASK_AFTER)
        .bind(now)
        .bind(id);
    tx.execute(statement).await?;
    Ok(())
}

/// What the provider kept was posted.
///
/// # Errors
/// The store's.
pub async fn cost_posted(tx: &mut Tx, id: &str, cost: Minor) -> Result<(), Problem> {
    let text = "UPDATE tk_card_intents SET cost = $1 WHERE id = $2";
    tx.execute(query(text).bind(cost).bind(id)).await?;
    Ok(())
}

/// An order gives its intent up: it is cancelled at the provider as soon as possible.
///
/// # Errors
/// The store's.
pub async fn abandon(tx: &mut Tx, order_id: &str, now: i64) -> Result<(), Problem> {
    let text = "UPDATE tk_card_intents SET ask_at = $1, updated_at = $2
        WHERE order_id = $3 AND state IN ('creating', 'open')";
    let statement = query(text).bind(now).bind(now).bind(order_id);
    tx.execute(statement).await?;
    Ok(())
}

/// The provider never made it, and nobody wants it any more.
///
/// # Errors
/// The store's.
pub async fn close(tx: &mut Tx, id: &str, now: i64) -> Result<(), Problem> {
    let text = "UPDATE tk_card_intents SET state = 'closed', confirm_at = NULL, updated_at = $1
        WHERE id = $2 AND state IN ('creating', 'open')";
    tx.execute(query(text).bind(now).bind(id)).await?;
    Ok(())
}
