//! What runs for as long as the room does, in three groups as the routes.
//!
//! **For those who add work:** write a `run(room, shutdown)` beside your part, or a step that can
//! be repeated for ever, and join it in one of the groups below.

use std::time::Duration;

use florin_platform::http::problem::Problem;
use florin_platform::http::shutdown::Shutdown;

use crate::Ticketing;
use crate::{events, mail, outbox, provenance, tickets};

/// Time between two looks for events that are over; they end at most 60 s late (contract A3).
const COMPLETE: Duration = Duration::from_secs(5);
/// Time between two looks for mails.
const MAILS: Duration = Duration::from_millis(500);
/// Time between two checkpoints of the provenance log; at most 60 s (contract D6).
const CHECKPOINT: Duration = Duration::from_secs(10);
/// Time between two looks for offers that nobody accepted.
const OFFERS: Duration = Duration::from_secs(60);
/// Time between two looks for exports.
const EXPORTS: Duration = Duration::from_secs(1);
/// Time between two folds of postings; figures are at most 5 s old (contract E).
const FIGURES: Duration = Duration::from_secs(1);
/// Time between two looks for what organisers are to be told.
const OUTBOX: Duration = Duration::from_millis(500);

/// Statuses of events, mails.
pub async fn run_events(room: Ticketing, shutdown: Shutdown) {
    let complete = every("event statuses", COMPLETE, &shutdown, || {
        complete_events(&room)
    });
    let mails = every("mails", MAILS, &shutdown, || mail::send_due(&room));
    tokio::join!(complete, mails, run_tickets(&room, &shutdown));
}

/// Mails with tickets, checkpoints of the provenance log, offers that nobody accepted.
async fn run_tickets(room: &Ticketing, shutdown: &Shutdown) {
    let ticket_mails = every("ticket mails", MAILS, shutdown, || {
        tickets::mail::drain(room)
    });
    // One checkpoint covers what has come in the meantime: the pause is kept.
    let log = every("provenance log", CHECKPOINT, shutdown, || async {
        provenance::log::checkpoint(room).await.map(|_| 0)
    });
    let offers = every("offers of tickets", OFFERS, shutdown, || async {
        tickets::transfer::expire_due(room).await.map(|_| 0)
    });
    tokio::join!(ticket_mails, log, offers);
}

/// Orders, payments, refunds, payouts.
pub async fn run_orders(room: Ticketing, shutdown: Shutdown) {
    // A first failure must be seen as a rise.
    metrics::counter!("ticketing_payouts_failed_total").increment(0);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let cards = crate::card::worker::run(room.clone(), shutdown.clone());
    let orders = crate::orders::worker::run(room, stopped);
    let draining = async {
        shutdown.drain().await;
        // Nobody listens any more when all of them have ended by themselves.
        let _ = stop.send(true);
    };
    tokio::join!(orders, cards, draining);
}

/// Exports, figures.
pub async fn run_analytics(room: Ticketing, shutdown: Shutdown) {
    let exports = every("exports", EXPORTS, &shutdown, || {
        crate::analytics::export::step(&room)
    });
    // A fold of its own pace, so that the first report of a large sale finds little to do.
    let figures = every("figures", FIGURES, &shutdown, || async {
        crate::analytics::fold::catch_up(&room).await.map(|_| 0)
    });
    tokio::join!(exports, figures);
}

/// Ends events whose time has come; answers how many.
///
/// # Errors
/// The store's.
pub async fn complete_events(room: &Ticketing) -> Result<usize, Problem> {
    events::lifecycle::complete_due(room).await
}

/// Hands what organisers are to be told to the webhooks; runs where these are.
pub async fn run_outbox(room: Ticketing, shutdown: Shutdown) {
    loop {
        let step = tokio::select! {
            done = outbox::hand_on(&room) => done,
            () = shutdown.drain() => return,
        };
        match step {
            Ok(0) => {}
            Ok(_) => continue,
            Err(problem) => told("outbox", &problem),
        }
        tokio::select! {
            () = room.told.notified() => {}
            () = tokio::time::sleep(OUTBOX) => {}
            () = shutdown.drain() => return,
        }
    }
}

fn told(worker: &'static str, problem: &Problem) {
    let cause = problem.cause().unwrap_or_default();
    tracing::warn!(worker, code = problem.code(), cause, "waits");
}

/// Repeats a step: at once while it finds work, else after a pause. A step that fails is told
/// and tried again.
pub async fn every<F>(
    name: &'static str,
    pause: Duration,
    shutdown: &Shutdown,
    mut step: impl FnMut() -> F,
) where
    F: Future<Output = Result<usize, Problem>>,
{
    loop {
        let found = tokio::select! {
            done = step() => done,
            () = shutdown.drain() => return,
        };
        let more = match found {
            Ok(found) => found > 0,
            Err(problem) => {
                told(name, &problem);
                false
            }
        };
        if !more {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.drain() => return,
            }
        }
    }
}
