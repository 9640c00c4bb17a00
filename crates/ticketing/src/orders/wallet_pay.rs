//! Paying from a wallet (contract C3, the fixed order): an attempt is written, the ledger reserves
//! the money (P3 pending), tickets are issued and the hold is sold in one commit, then P3 is
//! posted and P2 after it.
//!
//! **Recovery.** An attempt that nobody finishes is taken up after its lease: the same reservation
//! is asked for again, which finds the first one or makes it, so that it cannot appear later; then
//! the order is confirmed by it, or it is released. Money without tickets is never posted.

use std::collections::{BTreeMap, BTreeSet};

use florin_ledger::call::RefusalCode;
use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::{Arg, Row, query};
use serde_json::Value;

use super::checkout::{Judged, judge_all, keep_all, opened_in};
use super::confirm::{Confirmed, How, confirm_all};
use super::desk::Cx;
use super::payment::{in_progress, method_mismatch, payable, tell_failed, wrong_state};
use super::row::{self, OrderRow};
use crate::Ticketing;
use crate::money::due::{self, Due, DueRow};
use crate::money::{Account, MoneyError, wallet};
use crate::store::bulk::{self, Update};
use crate::store::idempotency::{Kept, Once};

/// Time after which another may take an attempt up.
const LEASE_MICROS: i64 = 8_000_000;
/// Attempts that one sweep takes up.
const SWEEP_MAX: i64 = 64;

/// An attempt to pay from a wallet; its id is that of the ledger's hold.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its id.
    pub id: String,
    /// Its order.
    pub order_id: String,
    /// Its event.
    pub event_id: String,
    /// The wallet.
    pub wallet_id: String,
    /// Only a wallet of this user is visible.
    pub owner_sub: Option<String>,
    /// The request, so that whoever ends the attempt can keep its answer.
    pub once: Once,
}

/// Who pays, from which wallet.
#[derive(Debug, Clone)]
pub struct Payer {
    /// The wallet, a UUID.
    pub wallet_id: String,
    /// Only a wallet of this user is visible.
    pub owner_sub: Option<String>,
}

/// What the first step answers.
pub enum Begun {
    /// The request was answered before.
    Again(Kept),
    /// An attempt is at work.
    Attempt(Attempt),
}

/// A request to pay from a wallet.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The order.
    pub order_id: String,
    /// Its event.
    pub event_id: String,
    /// Who pays.
    pub payer: Payer,
    /// The request.
    pub once: Once,
}

/// First step, at the desk: attempts of orders of one event, none twice, that may be paid.
///
/// # Errors
/// What fails all of them. In the place of a request: 404, 409 `order_state`,
/// `payment_in_progress`, `payment_method_mismatch`, 410 `hold_expired`, 409
/// `idempotency_conflict`, 400 `attendee_required`.
pub(super) async fn begin_all(
    cx: &mut Cx,
    asks: &[&Ask],
) -> Result<Vec<Result<Begun, Problem>>, Problem> {
    let requests: Vec<(&str, &Once)> = asks.iter().map(|ask| (&*ask.order_id, &ask.once)).collect();
    let at_work = orders_at_work(cx, &requests).await?;
    let now = cx.now;
    let rule = |order: &OrderRow| {
        payable(order, now)?;
        if order.total == 0 {
            return Err(method_mismatch());
        }
        if order.status == "pending" || at_work.contains(&order.id) {
            return Err(in_progress());
        }
        Ok(())
    };
    let judged = judge_all(cx, &requests, rule).await?;
    let (mut rows, mut answers) = (Vec::new(), Vec::with_capacity(asks.len()));
    for (ask, judged) in asks.iter().zip(judged) {
        let order = match judged {
            Err(problem) => {
                answers.push(Err(problem));
                continue;
            }
            Ok(Judged::Again(kept)) => {
                answers.push(Ok(Begun::Again(kept)));
                continue;
            }
            Ok(Judged::Fit(order)) => order,
        };
        let attempt = Attempt {
            id: cx.room.store.id(),
            order_id: order.id.clone(),
            event_id: order.event_id.clone(),
            wallet_id: ask.payer.wallet_id.clone(),
            owner_sub: ask.payer.owner_sub.clone(),
            once: ask.once.clone(),
        };
        rows.push(attempt_row(&attempt, &order, now)?);
        answers.push(Ok(Begun::Attempt(attempt)));
    }
    let prefix = "INSERT INTO tk_wallet_payments (id, order_id, event_id, wallet_id, owner_sub,
        amount, currency, request, state, lease_until, created_at)";
    let marks = cx.room.store.marks();
    bulk::insert(&mut cx.tx, marks, prefix, "", rows).await?;
    Ok(answers)
}

fn attempt_row(attempt: &Attempt, order: &OrderRow, now: i64) -> Result<Vec<Arg>, Problem> {
    let request = serde_json::to_string(&attempt.once).map_err(Problem::internal)?;
    Ok(vec![
        Arg::from(&attempt.id),
        Arg::from(&attempt.order_id),
        Arg::from(&attempt.event_id),
        Arg::from(&attempt.wallet_id),
        Arg::from(attempt.owner_sub.clone()),
        Arg::from(order.total),
        Arg::from(&order.currency),
        Arg::from(request),
        Arg::from("authorising"),
        Arg::from(now + LEASE_MICROS),
        Arg::from(now),
    ])
}

/// Those of the orders that have an attempt at work.
async fn orders_at_work(
    cx: &mut Cx,
    requests: &[(&str, &Once)],
) -> Result<BTreeSet<String>, Problem> {
    let prefix = "SELECT order_id FROM tk_wallet_payments
        WHERE state = 'authorising' AND order_id IN";
    let keys = requests.iter().map(|(id, _)| Arg::from(*id)).collect();
    let marks = cx.room.store.marks();
    let rows = bulk::select(&mut cx.tx, marks, prefix, "", &[], keys).await?;
    Ok(rows
        .iter()
        .map(|row| row.get("order_id"))
        .collect::<Result<_, _>>()?)
}

/// Second step: the ledger reserves the money. May be repeated for the same attempt.
///
/// # Errors
/// As [`wallet::reserve`].
pub async fn reserve(
    room: &Ticketing,
    attempt: &Attempt,
    order: &OrderRow,
) -> Result<String, MoneyError> {
    let number = florin_base::ids::parse_canonical_uuid(&attempt.wallet_id);
    let number = number.ok_or(MoneyError::Wallet(RefusalCode::WalletNotFound))?;
    let scale = room.settings.scale(&order.currency).unwrap_or(2);
    let subject = order.subject();
    let ask = wallet::Move {
        posting: "P3",
        key: &attempt.id,
        wallet: number.as_u128(),
        owner: attempt.owner_sub.as_deref(),
        counter: Account::Clearing(order.id.clone()),
        amount: order.total,
        currency: (&order.currency, scale),
        description: format!("Order {}", order.number),
        subject: &subject,
    };
    wallet::reserve(&room.ledger, &ask).await
}

/// What the third step came to.
pub enum Finished {
    /// The order is confirmed: its body, and the postings that are due.
    Confirmed(Value, Vec<DueRow>),
    /// It is not, and the reservation is released; why.
    Released(Problem, Vec<DueRow>),
}

/// Third step, at the desk: orders of one event, none twice, are confirmed by their attempts, or
/// the reservations are to be released.
///
/// # Errors
/// What fails all of them. In the place of an attempt: 404 `order_not_found`.
pub(super) async fn finish_all(
    cx: &mut Cx,
    attempts: &[&Attempt],
) -> Result<Vec<Result<Finished, Problem>>, Problem> {
    let ids: Vec<String> = attempts.iter().map(|one| one.order_id.clone()).collect();
    let marks = cx.room.store.marks();
    let orders = row::all_in(&mut cx.tx, marks, &ids).await?;
    let working = states_of(cx, attempts).await?;
    let mut answers: Vec<Option<Result<Finished, Problem>>> = Vec::with_capacity(attempts.len());
    let mut fit = Vec::new();
    let mut states = Vec::new();
    for (place, attempt) in attempts.iter().enumerate() {
        let Some(order) = orders.get(&attempt.order_id) else {
            answers.push(Some(Err(row::not_found())));
            continue;
        };
        if order.was_confirmed() && order.payment_id.as_deref() == Some(&*attempt.id) {
            answers.push(Some(Ok(ended(cx, attempt).await?)));
            continue;
        }
        let at_work = working.get(&attempt.id).map(String::as_str) == Some("authorising");
        let refusal = match payable(order, cx.now) {
            Err(problem) => Some(problem),
            Ok(()) if !at_work => Some(wrong_state(order)),
            Ok(()) => None,
        };
        match refusal {
            Some(problem) => answers.push(Some(Ok(released(cx, attempt, problem).await?))),
            None => {
                states.push(vec![Arg::from(&attempt.id), Arg::from("paid")]);
                fit.push((place, order, how(attempt)));
                answers.push(None);
            }
        }
    }
    bulk::update(&mut cx.tx, marks, &STATE, states).await?;
    let confirmed: Vec<Confirmed<'_>> = fit
        .iter()
        .map(|(_, order, how)| Confirmed { order, how })
        .collect();
    let dues = confirm_all(cx, &confirmed).await?;
    let done: Vec<(&str, &Once)> = fit
        .iter()
        .map(|(place, order, _)| (&*order.id, &attempts[*place].once))
        .collect();
    let bodies = keep_all(cx, &done).await?;
    for (((place, ..), body), dues) in fit.iter().zip(bodies).zip(dues) {
        answers[*place] = Some(Ok(Finished::Confirmed(body, dues)));
    }
    let missing = || Err(Problem::internal("an attempt that was not judged"));
    let answers = answers.into_iter();
    Ok(answers.map(|a| a.unwrap_or_else(missing)).collect())
}

fn how(attempt: &Attempt) -> How {
    How {
        method: "wallet",
        payment_id: Some(attempt.id.clone()),
        late: false,
        dues: vec![Due::Capture {
            hold: attempt.id.clone(),
        }],
    }
}

/// Another has ended this attempt, and kept the answer.
async fn ended(cx: &mut Cx, attempt: &Attempt) -> Result<Finished, Problem> {
    let body = match attempt.once.replay(&mut cx.tx).await? {
        Some(kept) => opened_in(cx, &kept).await?,
        None => None,
    };
    Ok(Finished::Confirmed(body.unwrap_or_default(), Vec::new()))
}

async fn released(cx: &mut Cx, attempt: &Attempt, why: Problem) -> Result<Finished, Problem> {
    cx.dirty = true;
    set_state(cx, &attempt.id, "released", None).await?;
    let due = Due::Release {
        hold: attempt.id.clone(),
    };
    let store = cx.room.store.clone();
    // A line of its own: the order's may hold the postings of the payment that confirmed it.
    let dues = due::plan(&store, &mut cx.tx, &attempt.id, &[due]).await?;
    Ok(Finished::Released(why, dues))
}

/// An attempt's state, by its id.
const STATE: Update = Update {
    table: "tk_wallet_payments",
    columns: &["id", "state"],
    set: "state = new.state",
};

/// States of attempts, by id.
async fn states_of(
    cx: &mut Cx,
    attempts: &[&Attempt],
) -> Result<BTreeMap<String, String>, Problem> {
    let keys = attempts.iter().map(|one| Arg::from(&one.id)).collect();
    let marks = cx.room.store.marks();
    let prefix = "SELECT id, state FROM tk_wallet_payments WHERE id IN";
    let rows = bulk::select(&mut cx.tx, marks, prefix, "", &[], keys).await?;
    let state = |row: &Row| -> Result<_, Problem> { Ok((row.get("id")?, row.get("state")?)) };
    rows.iter().map(state).collect()
}

/// Instead of the third step: the wallet refused. The order stays reserved. False when another
/// has ended the attempt otherwise in the meantime.
///
/// # Errors
/// The store's.
pub async fn decline(cx: &mut Cx, attempt: &Attempt, code: &str) -> Result<bool, Problem> {
    cx.dirty = true;
    match state_of(cx, &attempt.id).await?.as_deref() {
        Some("authorising") => {}
        state => return Ok(state == Some("declined")),
    }
    set_state(cx, &attempt.id, "declined", Some(code)).await?;
    tell_failed(cx, &attempt.order_id, code).await?;
    Ok(true)
}

async fn state_of(cx: &mut Cx, id: &str) -> Result<Option<String>, Problem> {
    let text = "SELECT state FROM tk_wallet_payments WHERE id = $1";
    let row = cx.tx.fetch_optional(query(text).bind(id)).await?;
    Ok(row.map(|row| row.get("state")).transpose()?)
}

async fn set_state(cx: &mut Cx, id: &str, state: &str, code: Option<&str>) -> Result<(), Problem> {
    let text = "UPDATE tk_wallet_payments SET state = $1, decline_code = $2 WHERE id = $3";
    let statement = query(text)
        .bind(state)
        .bind(code.map(str::to_owned))
        .bind(id);
    cx.tx.execute(statement).await?;
    Ok(())
}

/// The answer for a wallet's refusal (contract B2).
pub fn refusal(code: RefusalCode) -> Problem {
    match code {
        RefusalCode::WalletNotFound => wallet_not_found(),
        // An order's total always fits its own currency, so that more decimals than the wallet has
        // mean another one.
        RefusalCode::CurrencyMismatch
        | RefusalCode::AmountPrecision
        | RefusalCode::CounterAccountInvalid => Problem::new(
            Status::UnprocessableEntity,
            "currency_mismatch",
            "The wallet has another currency than the order.",
        )
        .refused(),
        code => Problem::new(
            Status::PaymentRequired,
            "payment_declined",
            "The wallet refused the payment; the order is still reserved.",
        )
        .with("declineCode", code.word())
        .refused(),
    }
}

/// 404 of a wallet.
pub fn wallet_not_found() -> Problem {
    Problem::not_found("wallet_not_found", "There is no such wallet.")
}

/// The answer while the ledger is away.
pub fn unavailable(error: &MoneyError) -> Problem {
    use florin_ledger::Unavailable as U;
    match error {
        MoneyError::Unavailable(U::Overloaded) => Problem::overloaded(),
        MoneyError::Unavailable(U::ClockUnsafe) => {
            Problem::unavailable("clock_unsafe", "The clock jumped; payments wait.")
        }
        MoneyError::Unavailable(U::CommitUnknown) => Problem::unavailable(
            "commit_unknown",
            "The outcome is not known yet; send the same request again.",
        ),
        MoneyError::Unavailable(U::StoreUnavailable) => {
            Problem::unavailable("store_unavailable", "The ledger takes no postings now.")
        }
        MoneyError::Wallet(code) => refusal(*code),
        MoneyError::Refused { .. } => Problem::internal(error),
    }
}

fn attempt(row: &Row) -> Result<Attempt, Problem> {
    let request: String = row.get("request")?;
    Ok(Attempt {
        once: serde_json::from_str(&request).map_err(Problem::internal)?,
        id: row.get("id")?,
        order_id: row.get("order_id")?,
        event_id: row.get("event_id")?,
        wallet_id: row.get("wallet_id")?,
        owner_sub: row.get("owner_sub")?,
    })
}

/// Ends attempts that nobody finishes; `all`: also those whose lease runs (after a start, on a
/// store that only this process has).
///
/// # Errors
/// The store's.
pub async fn sweep(room: &Ticketing, all: bool) -> Result<usize, Problem> {
    let until = if all { i64::MAX } else { room.now() };
    let text =
        "SELECT id, order_id, event_id, wallet_id, owner_sub, request FROM tk_wallet_payments
        WHERE state = 'authorising' AND lease_until <= $1 ORDER BY lease_until LIMIT $2";
    let statement = query(text).bind(until).bind(SWEEP_MAX);
    let rows = room.store.db.fetch_all(statement).await?;
    for row in &rows {
        let attempt = attempt(row)?;
        if let Err(problem) = take_up(room, &attempt).await {
            tracing::warn!(attempt = attempt.id, %problem, "a payment waits to be ended");
        }
    }
    Ok(rows.len())
}

async fn take_up(room: &Ticketing, attempt: &Attempt) -> Result<(), Problem> {
    let found = row::find(&room.store.db, &attempt.order_id).await?;
    let order = found.ok_or_else(row::not_found)?;
    match reserve(room, attempt, &order).await {
        Ok(_) => {
            let finished = room.desk.finish(attempt).await?;
            let dues = match &finished {
                Finished::Confirmed(_, dues) | Finished::Released(_, dues) => dues,
            };
            due::drive(room, dues)
                .await
                .map_err(|error| unavailable(&error))
        }
        Err(MoneyError::Wallet(code)) => run_decline(room, attempt, code.word()).await.map(drop),
        Err(error) => Err(unavailable(&error)),
    }
}

/// [`decline`] at the desk.
///
/// # Errors
/// As [`decline`].
pub async fn run_decline(room: &Ticketing, attempt: &Attempt, code: &str) -> Result<bool, Problem> {
    let lane = attempt.event_id.clone();
    let (attempt, code) = (attempt.clone(), code.to_owned());
    room.desk
        .run(&lane, move |cx| {
            let (attempt, code) = (attempt.clone(), code.clone());
            Box::pin(async move { decline(cx, &attempt, &code).await })
        })
        .await
}
