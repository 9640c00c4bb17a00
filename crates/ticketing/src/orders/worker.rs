//! What runs for as long as the room does: holds that end, payments and postings that nobody
//! finishes, refund jobs, payouts, the copy of the postings.
//!
//! Everything here may run in any number of processes and may be interrupted anywhere.

use std::time::Duration;

use florin_platform::http::problem::Problem;
use tokio::sync::watch;

use super::payouts::{request, review};
use super::refunds::job;
use super::{expiry, wallet_pay};
use crate::Ticketing;
use crate::money::{due, projector};

/// Units of holds that are over are back for sale within twice this time.
const EXPIRY: Duration = Duration::from_millis(500);
/// Payments and postings that nobody finishes are looked for this often.
const RECOVERY: Duration = Duration::from_secs(1);
/// Refund jobs are looked for this often.
const JOBS: Duration = Duration::from_millis(500);
/// Payouts of the day are looked for this often.
const PAYOUTS: Duration = Duration::from_secs(30);
/// The feed is read this often, and whenever it moves.
const POSTINGS: Duration = Duration::from_millis(500);

/// Runs until `stop` is true.
pub async fn run(room: Ticketing, stop: watch::Receiver<bool>) {
    first(&room).await;
    tokio::join!(
        expire(room.clone(), stop.clone()),
        recover(room.clone(), stop.clone()),
        refund(room.clone(), stop.clone()),
        pay_out(room.clone(), stop.clone()),
        copy(room, stop),
    );
}

/// What a process that died has left half done is ended before anything else, where nobody else
/// can be at work on it.
async fn first(room: &Ticketing) {
    if room.store.db.is_shared() {
        return;
    }
    tell("payments", wallet_pay::sweep(room, true).await);
    tell("postings", due::sweep(room, true).await);
}

fn tell(what: &str, done: Result<usize, Problem>) {
    match done {
        Ok(0) => {}
        Ok(count) => tracing::debug!(count, "{what} were swept"),
        Err(problem) => tracing::warn!(%problem, "{what} were not swept"),
    }
}

/// Waits; true when it is time to stop.
async fn pause(stop: &mut watch::Receiver<bool>, time: Duration) -> bool {
    tokio::select! {
        changed = stop.changed() => changed.is_err() || *stop.borrow(),
        () = tokio::time::sleep(time) => *stop.borrow(),
    }
}

async fn expire(room: Ticketing, mut stop: watch::Receiver<bool>) {
    loop {
        let done = expiry::sweep(&room).await;
        let more = matches!(done, Ok(count) if count > 0);
        tell("holds", done);
        let time = if more { Duration::ZERO } else { EXPIRY };
        if pause(&mut stop, time).await {
            return;
        }
    }
}

async fn recover(room: Ticketing, mut stop: watch::Receiver<bool>) {
    loop {
        tell("payments", wallet_pay::sweep(&room, false).await);
        tell("postings", due::sweep(&room, false).await);
        if pause(&mut stop, RECOVERY).await {
            return;
        }
    }
}

async fn refund(room: Ticketing, mut stop: watch::Receiver<bool>) {
    loop {
        tell("refunds", job::sweep(&room).await);
        if pause(&mut stop, JOBS).await {
            return;
        }
    }
}

async fn pay_out(room: Ticketing, mut stop: watch::Receiver<bool>) {
    loop {
        tell("payouts", request::daily(&room).await);
        tell("waiting payouts", review::sweep(&room).await);
        if pause(&mut stop, PAYOUTS).await {
            return;
        }
    }
}

async fn copy(room: Ticketing, mut stop: watch::Receiver<bool>) {
    let mut feed = room.ledger.watch();
    loop {
        if let Err(problem) = projector::catch_up(&room).await {
            tracing::warn!(%problem, "postings were not copied");
        }
        tokio::select! {
            _ = feed.changed() => {}
            () = tokio::time::sleep(POSTINGS) => {}
            changed = stop.changed() => {
                if changed.is_err() || *stop.borrow() {
                    return;
                }
            }
        }
        // A feed that moves all the time is read in pieces, not record by record.
        if pause(&mut stop, Duration::from_millis(50)).await {
            return;
        }
    }
}
