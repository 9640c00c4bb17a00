//! Checkout: free, from a wallet, or by card (contract B2).

use florin_platform::http::problem::Problem;
use florin_platform::sql::query;
use serde_json::Value;

use super::attendees::{self, Asked};
use super::confirm::{self, How, confirm};
use super::desk::Cx;
use super::payment::{method_mismatch, payable};
use super::retake;
use super::row::{self, OrderRow};
use super::show::{self, Beside, HoldRow, ItemRow};
use super::wallet_pay::{self, Begun, Finished, Payer};
use crate::Ticketing;
use crate::money::{MoneyError, due};
use crate::store::idempotency::{Kept, Once};

/// What a checkout answers.
#[derive(Debug, Clone)]
pub enum Checked {
    /// The order is confirmed: its body.
    Done(Value),
    /// The first answer of the same request.
    Again(Kept),
}

/// Whether everything that the types of an order ask of attendees was said.
///
/// # Errors
/// 400 `attendee_required`; the store's.
pub async fn complete(cx: &mut Cx, order: &OrderRow) -> Result<(), Problem> {
    let text = "SELECT id, attendee_fields, questions FROM tk_types
        WHERE event_id = $1 AND (attendee_fields <> 'none' OR questions <> '[]')";
    let rows = cx.tx.fetch_all(query(text).bind(&order.event_id)).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut asked = Vec::with_capacity(rows.len());
    for row in &rows {
        let questions: String = row.get("questions")?;
        asked.push(Asked {
            type_id: row.get("id")?,
            fields: row.get("attendee_fields")?,
            questions: serde_json::from_str(&questions).unwrap_or_default(),
        });
    }
    let ids = [order.person_id.clone()];
    let vault = cx.room.vault.clone();
    let persons = vault.load_in(&mut cx.tx, &ids).await?;
    let named = persons
        .get(&order.person_id)
        .map(|person| confirm::attendees(order, person))
        .unwrap_or_default();
    attendees::complete(&named, &retake::units(order), &asked)
}

/// Confirms an order that costs nothing.
///
/// # Errors
/// 404, 409 `order_state`, `payment_method_mismatch`, 410 `hold_expired`, 400
/// `attendee_required`; the store's.
pub async fn free(room: &Ticketing, order: &OrderRow, once: &Once) -> Result<Checked, Problem> {
    let lane = order.event_id.clone();
    let (order_id, once) = (order.id.clone(), once.clone());
    room.desk
        .run(&lane, move |cx| {
            let (order_id, once) = (order_id.clone(), once.clone());
            Box::pin(async move { free_in(cx, &order_id, &once).await })
        })
        .await
}

async fn free_in(cx: &mut Cx, order_id: &str, once: &Once) -> Result<Checked, Problem> {
    if let Some(kept) = once.replay(&mut cx.tx).await? {
        return Ok(Checked::Again(kept));
    }
    let found = row::find_in(&mut cx.tx, order_id).await?;
    let order = found.ok_or_else(row::not_found)?;
    payable(&order, cx.now)?;
    if order.total != 0 {
        return Err(method_mismatch());
    }
    complete(cx, &order).await?;
    let how = How {
        method: "free",
        payment_id: None,
        late: false,
        dues: Vec::new(),
    };
    confirm(cx, &order, &how).await?;
    let body = keep(cx, order_id, once).await?;
    Ok(Checked::Done(body))
}

/// Prints the order as it is in this transaction, and keeps that as the request's answer.
pub(super) async fn keep(cx: &mut Cx, order_id: &str, once: &Once) -> Result<Value, Problem> {
    let found = row::find_in(&mut cx.tx, order_id).await?;
    let order = found.ok_or_else(row::not_found)?;
    let beside = beside_in(cx, order_id).await?;
    let vault = cx.room.vault.clone();
    let ids = [order.person_id.clone()];
    let persons = vault.load_in(&mut cx.tx, &ids).await?;
    let person = persons.get(&order.person_id);
    let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
    let body = show::order(&order, &beside, person, scale);
    let sealed = person.map(|person| person.seal("answer", &body.to_string()));
    let kept = Kept {
        status: 200,
        location: None,
        person: Some(order.person_id.clone()),
        body: sealed.unwrap_or_default(),
    };
    once.keep(&mut cx.tx, &kept, cx.now).await?;
    Ok(body)
}

async fn beside_in(cx: &mut Cx, order_id: &str) -> Result<Beside, Problem> {
    let mut beside = Beside::default();
    let text = "SELECT type_id, quantity, unit_price, discount, tax, total
        FROM tk_order_items WHERE order_id = $1 ORDER BY line";
    for row in cx.tx.fetch_all(query(text).bind(order_id)).await? {
        beside.items.push(ItemRow {
            type_id: row.get("type_id")?,
            quantity: row.get("quantity")?,
            unit_price: row.get("unit_price")?,
            discount: row.get("discount")?,
            tax: row.get("tax")?,
            total: row.get("total")?,
        });
    }
    let text = "SELECT id, type_id, quantity, state FROM tk_holds WHERE order_id = $1 ORDER BY id";
    for row in cx.tx.fetch_all(query(text).bind(order_id)).await? {
        beside.holds.push(HoldRow {
            id: row.get("id")?,
            type_id: row.get("type_id")?,
            quantity: row.get("quantity")?,
            state: row.get("state")?,
        });
    }
    Ok(beside)
}

/// Pays an order from a wallet.
///
/// # Errors
/// As [`free`], 402 `payment_declined`, 422 `currency_mismatch`, 404 `wallet_not_found`, 409
/// `payment_in_progress`, 503 when the ledger is away.
pub async fn wallet(
    room: &Ticketing,
    order: &OrderRow,
    payer: Payer,
    once: &Once,
) -> Result<Checked, Problem> {
    let attempt = match begin(room, order, payer, once).await? {
        Begun::Again(kept) => return Ok(Checked::Again(kept)),
        Begun::Attempt(attempt) => attempt,
    };
    match wallet_pay::reserve(room, &attempt, order).await {
        Ok(_) => {}
        Err(MoneyError::Wallet(code)) => {
            if wallet_pay::run_decline(room, &attempt, code.word()).await? {
                return Err(wallet_pay::refusal(code));
            }
            // Another took the attempt up while this one waited: what came of it is the answer.
        }
        // Recovery ends the attempt, whatever became of it.
        Err(error) => return Err(wallet_pay::unavailable(&error)),
    }
    let (dues, answer) = match wallet_pay::run_finish(room, &attempt).await? {
        Finished::Confirmed(body, dues) => (dues, Ok(Checked::Done(body))),
        Finished::Released(problem, dues) => (dues, Err(problem)),
    };
    // What the ledger cannot take at this moment is due, and posted as soon as it can.
    if let Err(error) = due::drive(room, &dues).await {
        tracing::warn!(order = order.number, %error, "postings of a sale wait");
    }
    answer
}

async fn begin(
    room: &Ticketing,
    order: &OrderRow,
    payer: Payer,
    once: &Once,
) -> Result<Begun, Problem> {
    let lane = order.event_id.clone();
    let (order_id, once) = (order.id.clone(), once.clone());
    room.desk
        .run(&lane, move |cx| {
            let (order_id, payer, once) = (order_id.clone(), payer.clone(), once.clone());
            Box::pin(async move { wallet_pay::begin(cx, &order_id, &payer, &once).await })
        })
        .await
}

/// [`opened`], inside a transaction.
///
/// # Errors
/// The store's.
pub(super) async fn opened_in(cx: &mut Cx, kept: &Kept) -> Result<Option<Value>, Problem> {
    let ids: Vec<String> = kept.person.iter().cloned().collect();
    let vault = cx.room.vault.clone();
    let persons = vault.load_in(&mut cx.tx, &ids).await?;
    let person = kept.person.as_ref().and_then(|id| persons.get(id));
    let text = person.and_then(|person| person.open("answer", &kept.body));
    text.map(|text| serde_json::from_str(&text).map_err(Problem::internal))
        .transpose()
}

/// The body of a kept answer, opened with the key of the person it tells about; `None` once the
/// person is erased.
///
/// # Errors
/// The store's.
pub async fn opened(room: &Ticketing, kept: &Kept) -> Result<Option<Value>, Problem> {
    let Some(person_id) = &kept.person else {
        return serde_json::from_slice(&kept.body)
            .map(Some)
            .map_err(Problem::internal);
    };
    let ids = [person_id.clone()];
    let persons = room.vault.load(&room.store.db, &ids).await?;
    let text = persons
        .get(person_id)
        .and_then(|person| person.open("answer", &kept.body));
    text.map(|text| serde_json::from_str(&text).map_err(Problem::internal))
        .transpose()
}
