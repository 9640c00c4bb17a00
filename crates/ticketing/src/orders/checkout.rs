//! Checkout: free, from a wallet, or by card (contract B2).

use florin_platform::http::problem::Problem;
use florin_platform::sql::query;
use serde_json::Value;

use super::attendees::{self, Asked};
use super::confirm::{self, Confirmed, How};
use super::desk::Cx;
use super::payment::{method_mismatch, payable};
use super::retake;
use super::row::{self, OrderRow};
use super::show::{self, Beside};
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

/// What the types of an event ask of attendees; those that ask nothing are left out.
async fn asked_of(cx: &mut Cx, event_id: &str) -> Result<Vec<Asked>, Problem> {
    let text = "SELECT id, attendee_fields, questions FROM tk_types
        WHERE event_id = $1 AND (attendee_fields <> 'none' OR questions <> '[]')";
    let rows = cx.tx.fetch_all(query(text).bind(event_id)).await?;
    let mut asked = Vec::with_capacity(rows.len());
    for row in &rows {
        let questions: String = row.get("questions")?;
        asked.push(Asked {
            type_id: row.get("id")?,
            fields: row.get("attendee_fields")?,
            questions: serde_json::from_str(&questions).unwrap_or_default(),
        });
    }
    Ok(asked)
}

/// Whether everything that the types of an order ask of attendees was said.
///
/// # Errors
/// 400 `attendee_required`; the store's.
pub async fn complete(cx: &mut Cx, order: &OrderRow) -> Result<(), Problem> {
    let mut all = complete_all(cx, &[order]).await?;
    all.pop().unwrap_or(Ok(()))
}

/// [`complete`] for orders of one event, in their order.
///
/// # Errors
/// The store's; what is missing stands in the place of its order.
async fn complete_all(
    cx: &mut Cx,
    orders: &[&OrderRow],
) -> Result<Vec<Result<(), Problem>>, Problem> {
    let asked = match orders.first() {
        Some(order) => asked_of(cx, &order.event_id).await?,
        None => Vec::new(),
    };
    if asked.is_empty() {
        return Ok(orders.iter().map(|_| Ok(())).collect());
    }
    let persons = confirm::persons_of(cx, orders.iter().copied()).await?;
    let judge = |order: &&OrderRow| {
        let person = persons.get(&order.person_id);
        let named = person.map(|person| confirm::attendees(order, person));
        attendees::complete(&named.unwrap_or_default(), &retake::units(order), &asked)
    };
    Ok(orders.iter().map(judge).collect())
}

/// A request to pay that is no refusal.
pub(super) enum Judged {
    /// It was answered before.
    Again(Kept),
    /// Its order may be paid.
    Fit(Box<OrderRow>),
}

/// Judges requests to pay, as (order, request): orders of one event, none twice, by `rule` and by
/// what the types ask of attendees.
///
/// # Errors
/// What fails all of them. In the place of a request: 404, 409 `idempotency_conflict`, what `rule`
/// says, 400 `attendee_required`.
pub(super) async fn judge_all(
    cx: &mut Cx,
    requests: &[(&str, &Once)],
    mut rule: impl FnMut(&OrderRow) -> Result<(), Problem>,
) -> Result<Vec<Result<Judged, Problem>>, Problem> {
    let marks = cx.room.store.marks();
    let onces: Vec<&Once> = requests.iter().map(|(_, once)| *once).collect();
    let ids: Vec<String> = requests.iter().map(|(id, _)| (*id).to_owned()).collect();
    let replays = Once::replay_all(&mut cx.tx, marks, &onces).await?;
    let mut orders = row::all_in(&mut cx.tx, marks, &ids).await?;
    let mut judge = |id: &String, replay: Result<Option<Kept>, Problem>| {
        if let Some(kept) = replay? {
            return Ok(Judged::Again(kept));
        }
        let order = orders.remove(id).ok_or_else(row::not_found)?;
        rule(&order)?;
        Ok(Judged::Fit(Box::new(order)))
    };
    let mut judged: Vec<Result<Judged, Problem>> = ids
        .iter()
        .zip(replays)
        .map(|(id, replay)| judge(id, replay))
        .collect();
    let fit: Vec<(usize, &OrderRow)> = judged
        .iter()
        .enumerate()
        .filter_map(|(place, judged)| match judged {
            Ok(Judged::Fit(order)) => Some((place, &**order)),
            _ => None,
        })
        .collect();
    let orders: Vec<&OrderRow> = fit.iter().map(|(_, order)| *order).collect();
    let complete = complete_all(cx, &orders).await?;
    let places: Vec<usize> = fit.iter().map(|(place, _)| *place).collect();
    for (place, complete) in places.into_iter().zip(complete) {
        if let Err(problem) = complete {
            judged[place] = Err(problem);
        }
    }
    Ok(judged)
}

/// A checkout of an order that costs nothing.
#[derive(Debug, Clone)]
pub struct Free {
    /// The order.
    pub order_id: String,
    /// Its event.
    pub event_id: String,
    /// The request.
    pub once: Once,
}

/// Confirms an order that costs nothing.
///
/// # Errors
/// 404, 409 `order_state`, `payment_method_mismatch`, 410 `hold_expired`, 400
/// `attendee_required`; the store's.
pub async fn free(room: &Ticketing, order: &OrderRow, once: &Once) -> Result<Checked, Problem> {
    let ask = Free {
        order_id: order.id.clone(),
        event_id: order.event_id.clone(),
        once: once.clone(),
    };
    room.desk.free(ask).await
}

/// [`free`] for orders of one event, none twice, in their order.
///
/// # Errors
/// What fails all of them; a refusal stands in the place of its request.
pub(super) async fn free_all(
    cx: &mut Cx,
    asks: &[&Free],
) -> Result<Vec<Result<Checked, Problem>>, Problem> {
    let requests: Vec<(&str, &Once)> = asks.iter().map(|ask| (&*ask.order_id, &ask.once)).collect();
    let now = cx.now;
    let judged = judge_all(cx, &requests, |order| costs_nothing(order, now)).await?;
    let mut answers: Vec<Option<Result<Checked, Problem>>> = Vec::with_capacity(asks.len());
    let mut paid = Vec::with_capacity(asks.len());
    for (place, judged) in judged.into_iter().enumerate() {
        answers.push(match judged {
            Err(problem) => Some(Err(problem)),
            Ok(Judged::Again(kept)) => Some(Ok(Checked::Again(kept))),
            Ok(Judged::Fit(order)) => {
                paid.push((place, order));
                None
            }
        });
    }
    let how = How {
        method: "free",
        payment_id: None,
        late: false,
        dues: Vec::new(),
    };
    let confirmed: Vec<Confirmed<'_>> = paid
        .iter()
        .map(|(_, order)| Confirmed { order, how: &how })
        .collect();
    confirm::confirm_all(cx, &confirmed).await?;
    let done: Vec<(&str, &Once)> = paid
        .iter()
        .map(|(place, order)| (&*order.id, &asks[*place].once))
        .collect();
    let bodies = keep_all(cx, &done).await?;
    for ((place, _), body) in paid.iter().zip(bodies) {
        answers[*place] = Some(Ok(Checked::Done(body)));
    }
    let missing = || Err(Problem::internal("a checkout that was not judged"));
    let answers = answers.into_iter();
    Ok(answers.map(|a| a.unwrap_or_else(missing)).collect())
}

fn costs_nothing(order: &OrderRow, now: i64) -> Result<(), Problem> {
    payable(order, now)?;
    match order.total {
        0 => Ok(()),
        _ => Err(method_mismatch()),
    }
}

/// Prints the order as it is in this transaction, and keeps that as the request's answer.
pub(super) async fn keep(cx: &mut Cx, order_id: &str, once: &Once) -> Result<Value, Problem> {
    let mut bodies = keep_all(cx, &[(order_id, once)]).await?;
    bodies.pop().ok_or_else(row::not_found)
}

/// [`keep`] for orders, none twice, in their order.
///
/// # Errors
/// 404 when one is missing, 503 when a key is at work elsewhere at this moment; the store's.
pub(super) async fn keep_all(cx: &mut Cx, all: &[(&str, &Once)]) -> Result<Vec<Value>, Problem> {
    let marks = cx.room.store.marks();
    let ids: Vec<String> = all.iter().map(|(id, _)| (*id).to_owned()).collect();
    let orders = row::all_in(&mut cx.tx, marks, &ids).await?;
    let beside = show::beside_in(&mut cx.tx, marks, &ids).await?;
    let persons = confirm::persons_of(cx, orders.values()).await?;
    let empty = Beside::default();
    let mut bodies = Vec::with_capacity(all.len());
    let mut answers = Vec::with_capacity(all.len());
    for (id, once) in all {
        let order = orders.get(*id).ok_or_else(row::not_found)?;
        let person = persons.get(&order.person_id);
        let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
        let body = show::order(order, beside.get(*id).unwrap_or(&empty), person, scale);
        let sealed = person.map(|person| person.seal("answer", &body.to_string()));
        let kept = Kept {
            status: 200,
            location: None,
            person: Some(order.person_id.clone()),
            body: sealed.unwrap_or_default(),
        };
        answers.push((*once, kept));
        bodies.push(body);
    }
    Once::keep_all(&mut cx.tx, marks, &answers, cx.now).await?;
    Ok(bodies)
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
    let ask = wallet_pay::Ask {
        order_id: order.id.clone(),
        event_id: order.event_id.clone(),
        payer,
        once: once.clone(),
    };
    let attempt = match room.desk.begin(ask).await? {
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
    let (dues, answer) = match room.desk.finish(&attempt).await? {
        Finished::Confirmed(body, dues) => (dues, Ok(Checked::Done(body))),
        Finished::Released(problem, dues) => (dues, Err(problem)),
    };
    // What the ledger cannot take at this moment is due, and posted as soon as it can.
    if let Err(error) = due::drive(room, &dues).await {
        tracing::warn!(order = order.number, %error, "postings of a sale wait");
    }
    answer
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
