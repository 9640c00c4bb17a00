//! Payouts that are asked for, and those of each day.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Tx, query};
use serde_json::{Value, json};

use super::available::{self, Org};
use super::{PayoutRow, find, not_found, review, show, told};
use crate::api::problem::conflict;
use crate::model::amounts::Minor;
use crate::money::due::{self, DueRow};
use crate::store::idempotency::{Kept, Once};
use crate::{Ticketing, outbox};

/// Microseconds of a day, and the time of day at which payouts of all organisations begin.
const DAY: i64 = 86_400_000_000;
const TIME_OF_DAY: i64 = 6 * 3_600_000_000;

/// What a request answers.
#[derive(Debug)]
pub enum Requested {
    /// The payout.
    New(PayoutRow),
    /// The first answer of the same request.
    Again(Kept),
}

/// Starts a payout of an amount, or of all that is available.
///
/// # Errors
/// 409 `payout_unavailable`, `payout_not_ready`; the store's.
pub async fn request(
    room: &Ticketing,
    org_id: &str,
    currency: &str,
    amount: Option<Minor>,
    once: &Once,
) -> Result<Requested, Problem> {
    let mut tx = room.store.begin().await?;
    if let Some(kept) = once.replay(&mut tx).await? {
        return Ok(Requested::Again(kept));
    }
    let org = available::org(&mut tx, org_id).await?;
    let (payout, dues) = start(room, &mut tx, &org, currency, amount).await?;
    let scale = room.settings.scale(currency).unwrap_or(2);
    let kept = Kept {
        status: 201,
        location: Some(format!("/api/v1/payouts/{}", payout.id)),
        person: None,
        body: show(&payout, scale).to_string().into_bytes(),
    };
    once.keep(&mut tx, &kept, room.now()).await?;
    tx.commit().await?;
    drive(room, &payout.id, &dues).await;
    Ok(Requested::New(payout))
}

async fn drive(room: &Ticketing, id: &str, dues: &[DueRow]) {
    if dues.is_empty()
        && let Err(problem) = review::ask(room, id).await
    {
        tracing::warn!(payout = id, %problem, "a payout waits for its review");
    }
    if let Err(error) = due::drive(room, dues).await {
        tracing::warn!(payout = id, %error, "postings of a payout wait");
    }
}

async fn start(
    room: &Ticketing,
    tx: &mut Tx,
    org: &Org,
    currency: &str,
    amount: Option<Minor>,
) -> Result<(PayoutRow, Vec<DueRow>), Problem> {
    let method = method(org)?;
    let scale = room.settings.scale(currency).unwrap_or(2);
    let (events, balance) = available::now(room, tx, org, currency).await?;
    let most = Minor::try_from(balance.available).unwrap_or(Minor::MAX);
    let amount = amount.unwrap_or(most);
    let least = 10i64.pow(u32::from(scale));
    if amount > most || amount < least {
        return Err(conflict(
            "payout_unavailable",
            "That much is not available, or it is less than 1.00.",
        )
        .with("available", crate::api::money::print(most, scale)));
    }
    let payout = PayoutRow {
        id: room.store.id(),
        org_id: org.id.clone(),
        currency: currency.to_owned(),
        amount,
        status: "requested".to_owned(),
        method,
        lines: available::lines(&events, amount),
        reference: None,
        hold_reason: None,
        failure: None,
        created_at: room.now(),
        updated_at: room.now(),
    };
    insert(tx, &payout).await?;
    let dues = match room.payout_review() {
        None => review::begin(room, tx, &payout).await?,
        Some(_) => Vec::new(),
    };
    let data = told(&payout, "requested", scale);
    outbox::tell(&room.store, tx, &org.id, "payout.created", &data).await?;
    Ok((payout, dues))
}

fn method(org: &Org) -> Result<Value, Problem> {
    let not_ready = |detail| Err(conflict("payout_not_ready", detail));
    match &org.method {
        _ if !org.verified => not_ready("The organisation is not verified yet."),
        None => not_ready("The organisation has no payout method."),
        Some((kind, target)) if kind == "wallet" => Ok(json!({"kind": kind, "walletId": target})),
        Some((kind, target)) => Ok(json!({"kind": kind, "label": target})),
    }
}

async fn insert(tx: &mut Tx, payout: &PayoutRow) -> Result<(), Problem> {
    let text = "INSERT INTO tk_payouts
        (id, org_id, currency, amount, status, method, lines, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let lines = serde_json::to_string(&payout.lines).map_err(Problem::internal)?;
    let statement = query(text)
        .bind(&payout.id)
        .bind(&payout.org_id)
        .bind(&payout.currency)
        .bind(payout.amount)
        .bind(&payout.status)
        .bind(payout.method.to_string())
        .bind(lines)
        .bind(payout.created_at)
        .bind(payout.updated_at);
    tx.execute(statement).await?;
    Ok(())
}

/// A payout as it stands now.
///
/// # Errors
/// 404; the store's.
pub async fn now(room: &Ticketing, id: &str) -> Result<PayoutRow, Problem> {
    find(&room.store.db, id).await?.ok_or_else(not_found)
}

/// Payouts of the day, once after 06:00 UTC: everything available of every organisation that may
/// be paid. An organisation that was paid before a crash has nothing available after it.
///
/// # Errors
/// The store's.
pub async fn daily(room: &Ticketing) -> Result<usize, Problem> {
    let now = room.now();
    let day = now.div_euclid(DAY);
    if now.rem_euclid(DAY) < TIME_OF_DAY {
        return Ok(0);
    }
    let db = &room.store.db;
    let text = "SELECT day FROM tk_payout_days WHERE day = $1";
    if db.fetch_optional(query(text).bind(day)).await?.is_some() {
        return Ok(0);
    }
    let text = "SELECT DISTINCT o.id, e.currency FROM tk_orgs o JOIN tk_events e ON e.org_id = o.id
        WHERE o.verified = $1 AND o.payout_kind IS NOT NULL
        AND e.status IN ('completed', 'cancelled')";
    let mut started = 0;
    for row in db.fetch_all(query(text).bind(true)).await? {
        let (org_id, currency): (String, String) = (row.get("id")?, row.get("currency")?);
        let mut tx = room.store.begin().await?;
        let org = available::org(&mut tx, &org_id).await?;
        match start(room, &mut tx, &org, &currency, None).await {
            Ok((payout, dues)) => {
                tx.commit().await?;
                drive(room, &payout.id, &dues).await;
                started += 1;
            }
            // Nothing is available: the usual case.
            Err(problem) if problem.status().as_u16() == 409 => {}
            Err(problem) => return Err(problem),
        }
    }
    let text = "INSERT INTO tk_payout_days (day, done_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let mut tx = room.store.begin().await?;
    tx.execute(query(text).bind(day).bind(now)).await?;
    tx.commit().await?;
    Ok(started)
}
