//! Refunds of a whole event: a job walks over its orders, a few in each commit, and stands where
//! it stopped after a crash. Each ticket is refunded once, since what is left of it is read in the
//! commit that gives it back.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Row, Tx, query};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::super::card_port;
use super::super::desk::Cx;
use super::super::judge::time;
use super::super::row::{self, OrderRow};
use super::decide::{Decision, Left, decide_all, left_all};
use crate::Ticketing;
use crate::api::money::print;
use crate::model::amounts::Paid;
use crate::money::due::{self, DueRow};
use crate::store::Store;
use crate::tickets::Death;

/// Orders of one commit.
const STEP: i64 = 128;

/// Begins the refunds of an event, in the transaction that cancels it; answers the job's id.
///
/// # Errors
/// The store's.
pub async fn begin(
    store: &Store,
    tx: &mut Tx,
    event_id: &str,
    org_id: &str,
    currency: &str,
    reason: Option<&str>,
) -> Result<String, Problem> {
    let text = "SELECT COUNT(*) AS n FROM tk_orders
        WHERE event_id = $1 AND status IN ('confirmed', 'partially_refunded')";
    let row = tx.fetch_optional(query(text).bind(event_id)).await?;
    let total: i64 = row.map_or(Ok(0), |row| row.get("n"))?;
    let id = store.id();
    let text = "INSERT INTO tk_refund_jobs
        (id, event_id, org_id, currency, state, total, position, reason, created_at)
        VALUES ($1, $2, $3, $4, 'running', $5, '', $6, $7)";
    let statement = query(text)
        .bind(&id)
        .bind(event_id)
        .bind(org_id)
        .bind(currency)
        .bind(total)
        .bind(reason.map(str::to_owned))
        .bind(store.now());
    tx.execute(statement).await?;
    Ok(id)
}

/// The job as the routes print it.
///
/// # Errors
/// 404 `refund_job_not_found`; the store's.
pub async fn show(room: &Ticketing, event_id: &str, job_id: &str) -> Result<Value, Problem> {
    let db = &room.store.db;
    let text = "SELECT currency, state, total, created_at, finished_at FROM tk_refund_jobs
        WHERE id = $1 AND event_id = $2";
    let statement = query(text).bind(job_id).bind(event_id);
    let Some(job) = db.fetch_optional(statement).await? else {
        return Err(Problem::not_found(
            "refund_job_not_found",
            "There is no such job.",
        ));
    };
    let text = "SELECT status, COUNT(*) AS n, CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS amount
        FROM tk_refunds WHERE job_id = $1 GROUP BY status";
    let (mut done, mut failed, mut amount) = (0, 0, 0);
    for row in db.fetch_all(query(text).bind(job_id)).await? {
        let (status, n, sum): (String, i64, i64) =
            (row.get("status")?, row.get("n")?, row.get("amount")?);
        match &*status {
            "succeeded" => {
                done += n;
                amount += sum;
            }
            "failed" => failed += n,
            _ => {}
        }
    }
    let currency: String = job.get("currency")?;
    let scale = room.settings.scale(&currency).unwrap_or(2);
    let finished: Option<i64> = job.get("finished_at")?;
    Ok(json!({
        "id": job_id,
        "eventId": event_id,
        "status": job.get::<String>("state")?,
        "total": job.get::<i64>("total")?,
        "done": done,
        "failed": failed,
        "amount": print(amount, scale),
        "currency": currency,
        "createdAt": time(job.get("created_at")?),
        "finishedAt": finished.map(time),
    }))
}

/// A job that runs.
#[derive(Debug, Clone)]
struct Job {
    id: String,
    event_id: String,
    reason: Option<String>,
}

fn job(row: &Row) -> Result<Job, Problem> {
    Ok(Job {
        id: row.get("id")?,
        event_id: row.get("event_id")?,
        reason: row.get("reason")?,
    })
}

/// Works on all running jobs until nothing is left of them; answers how many orders were done.
///
/// # Errors
/// The store's.
pub async fn sweep(room: &Ticketing) -> Result<usize, Problem> {
    let text = "SELECT id, event_id, reason FROM tk_refund_jobs
        WHERE state = 'running' ORDER BY created_at LIMIT 16";
    let mut done = 0;
    for row in room.store.db.fetch_all(query(text)).await? {
        let job = job(&row)?;
        let mut posting: Option<JoinHandle<()>> = None;
        while let Some(dues) = step(room, &job).await? {
            done += dues.len();
            // The money of one step moves while the next is decided.
            let next = tokio::spawn(post(room.clone(), dues));
            if let Some(before) = posting.replace(next) {
                before.await.map_err(Problem::internal)?;
            }
        }
        if let Some(last) = posting {
            last.await.map_err(Problem::internal)?;
        }
    }
    Ok(done)
}

/// The refunds of one step, each with its own line, side by side: the ledger takes them in one
/// commit. What it does not take now is due.
async fn post(room: Ticketing, dues: Vec<Vec<DueRow>>) {
    let drive = dues.into_iter().map(|dues| {
        let room = room.clone();
        async move {
            if let Err(error) = due::drive(&room, &dues).await {
                tracing::warn!(%error, "postings of a refund wait");
            }
        }
    });
    futures_util::future::join_all(drive).await;
}

async fn step(room: &Ticketing, job: &Job) -> Result<Option<Vec<Vec<DueRow>>>, Problem> {
    let lane = job.event_id.clone();
    let job = job.clone();
    room.desk
        .run(&lane, move |cx| {
            let job = job.clone();
            Box::pin(async move { step_in(cx, &job).await })
        })
        .await
}

/// One commit of a job: `None` when it is done.
async fn step_in(cx: &mut Cx, job: &Job) -> Result<Option<Vec<Vec<DueRow>>>, Problem> {
    let text = "SELECT position FROM tk_refund_jobs WHERE id = $1 AND state = 'running'";
    let Some(row) = cx.tx.fetch_optional(query(text).bind(&job.id)).await? else {
        return Ok(None);
    };
    let position: String = row.get("position")?;
    let text = "WHERE event_id = $1 AND id > $2
        AND status IN ('confirmed', 'partially_refunded') ORDER BY id LIMIT $3";
    let statement = row::select(text)
        .bind(&job.event_id)
        .bind(&position)
        .bind(STEP);
    let rows = cx.tx.fetch_all(statement).await?;
    let orders: Vec<OrderRow> = rows.iter().map(row::order).collect::<Result<_, _>>()?;
    cx.dirty = true;
    let Some(last) = orders.last().map(|order| order.id.clone()) else {
        let text = "UPDATE tk_refund_jobs SET state = 'done', finished_at = $1 WHERE id = $2";
        let statement = query(text).bind(cx.now).bind(&job.id);
        cx.tx.execute(statement).await?;
        return Ok(None);
    };
    let dues = whole(cx, &orders, job).await?;
    let text = "UPDATE tk_refund_jobs SET position = $1 WHERE id = $2";
    cx.tx.execute(query(text).bind(&last).bind(&job.id)).await?;
    Ok(Some(dues))
}

/// Gives back what a job had to leave alone: its payment was in dispute then, and no longer is.
///
/// # Errors
/// The store's.
pub async fn left_over(cx: &mut Cx, order_id: &str) -> Result<(), Problem> {
    let Some(order) = row::find_in(&mut cx.tx, order_id).await? else {
        return Ok(());
    };
    let text = "SELECT id, event_id, reason FROM tk_refund_jobs
        WHERE event_id = $1 ORDER BY created_at LIMIT 1";
    let found = cx
        .tx
        .fetch_optional(query(text).bind(&order.event_id))
        .await?;
    let open = matches!(&*order.status, "confirmed" | "partially_refunded");
    match found {
        Some(row) if open => whole(cx, &[order], &job(&row)?).await.map(drop),
        _ => Ok(()),
    }
}

/// Gives back all that is left of orders; answers what is due of each that gave something back.
async fn whole(cx: &mut Cx, orders: &[OrderRow], job: &Job) -> Result<Vec<Vec<DueRow>>, Problem> {
    let marks = cx.room.store.marks();
    let ids: Vec<String> = orders.iter().map(|order| order.id.clone()).collect();
    // A dispute decides about its money; the ticket is worth nothing either way.
    let disputed = card_port::disputed(&mut cx.tx, marks, &ids).await?;
    let tickets = left_all(cx, orders).await?;
    let mut decisions = Vec::with_capacity(orders.len());
    for (order, tickets) in orders.iter().zip(tickets) {
        let lines: Vec<(Left, Paid)> = tickets
            .into_iter()
            .filter(|ticket| !ticket.is_dead() || ticket.left != Paid::default())
            .map(|ticket| {
                let parts = ticket.left;
                (ticket, parts)
            })
            .collect();
        if lines.is_empty() || disputed.contains(&order.id) {
            continue;
        }
        let decision = Decision {
            lines,
            death: Some(Death::Cancelled),
            cause: "event_cancelled",
            reason: job.reason.clone(),
            job_id: Some(job.id.clone()),
            done_outside: false,
        };
        decisions.push((order, decision));
    }
    let decided = decide_all(cx, &decisions).await?;
    Ok(decided.into_iter().map(|(_, dues)| dues).collect())
}
