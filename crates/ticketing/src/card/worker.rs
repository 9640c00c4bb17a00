//! What runs beside the requests: silent intents are asked for, refunds are sent, what was never
//! delivered is fetched, and each day is compared with the provider.
//!
//! **Invariants.** Nothing here is needed for right answers, only for answers at all: every step
//! may be done by several processes at once, and by none for a while. A payment is decided within
//! 120 s also when every event is lost (INV-T5).

use std::time::Duration;

use florin_platform::http::problem::Problem;
use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::query;

use super::cancel::give_up;
use super::checkout::provider_away;
use super::decide;
use super::inbox::{self, Source};
use super::intents::{self, IntentRow};
use super::provider::ProviderError;
use super::{reconcile, refunds};
use crate::Ticketing;
use crate::orders::row;

/// How often due work is looked for.
const LOOK: Duration = Duration::from_millis(500);
/// Work of one look.
const BATCH: i64 = 64;
/// Calls to the provider at a time.
const PARALLEL: usize = 8;
/// How often the provider's list of events is read.
const SWEEP: Duration = Duration::from_secs(20);
/// How long an intent is taken by the process that looks.
const CLAIM: i64 = 30_000_000;
/// Events this young may not stand in the list yet, seconds.
const OVERLAP: i64 = 30;
/// Longest time read at once when much was missed, seconds.
const SLICE: i64 = 3_600;
/// Age after which an event that cannot be taken in is left to people, seconds.
const GIVE_UP: i64 = 86_400;
/// How far back the list is read when it was never read before, seconds.
const FIRST: i64 = 300;

/// Runs until draining begins.
pub async fn run(room: Ticketing, shutdown: Shutdown) {
    if room.card.is_none() {
        shutdown.drain().await;
        return;
    }
    tokio::select! {
        () = shutdown.drain() => {}
        () = steps(&room) => {}
        () = sweeps(&room) => {}
        () = reconcile::nightly(&room) => {}
    }
}

async fn steps(room: &Ticketing) {
    loop {
        match step(room).await {
            Ok(0) => {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = room.card_wake.notified() => {}
                }
            }
            Ok(_) => {}
            Err(problem) => {
                tracing::warn!(%problem, "card payments wait");
                tokio::time::sleep(LOOK * 4).await;
            }
        }
    }
}

/// Does what is due now; answers how much that was.
///
/// # Errors
/// The store's. A single intent or refund that cannot be taken further does not stop the others.
pub async fn step(room: &Ticketing) -> Result<usize, Problem> {
    let now = room.now();
    let db = &room.store.db;
    let mut waiting = intents::due(db, now, BATCH).await?;
    waiting.extend(intents::costless(db, now, BATCH).await?);
    let owed = refunds::due(db, now, BATCH).await?;
    let count = waiting.len() + owed.len();
    let mut running = tokio::task::JoinSet::new();
    for row in waiting {
        while running.len() >= PARALLEL {
            running.join_next().await;
        }
        let room = room.clone();
        running.spawn(async move {
            if let Err(problem) = ask(&room, &row).await {
                tracing::warn!(intent = row.id, %problem, "a card payment waits");
            }
        });
    }
    for row in owed {
        while running.len() >= PARALLEL {
            running.join_next().await;
        }
        let room = room.clone();
        running.spawn(async move {
            if let Err(problem) = refunds::step(&room, &row).await {
                tracing::warn!(refund = row.id, %problem, "a card refund waits");
            }
        });
    }
    while running.join_next().await.is_some() {}
    Ok(count)
}

/// Asks the provider for a silent intent, or gives it up when its order went another way.
async fn ask(room: &Ticketing, row: &IntentRow) -> Result<(), Problem> {
    let mut tx = room.store.begin_event(&row.event_id).await?;
    let taken = intents::claim(&mut tx, row, room.now() + CLAIM).await?;
    tx.commit().await?;
    let Some(provider) = room.card.as_deref().filter(|_| taken) else {
        return Ok(());
    };
    if row.is_decided() {
        return cost(room, row).await;
    }
    let order = row::find(&room.store.db, &row.order_id).await?;
    let open = order
        .is_some_and(|order| order.is_open() && order.expires_at.is_none_or(|at| room.now() < at));
    if !open {
        return give_up(room, row).await.map(drop);
    }
    let shown = match &row.provider_id {
        Some(id) => provider.intent(id).await,
        None => match provider.create(&row.new_intent()).await {
            // What is known of it beyond being there comes with the next look.
            Err(ProviderError::Refused { code }) => {
                tracing::warn!(intent = row.id, code, "the provider refuses an intent");
                return give_up(room, row).await.map(drop);
            }
            made => made,
        },
    };
    let shown = shown.map_err(|error| provider_away(&error))?;
    decide::apply(room, row, &shown).await?;
    silent(room, row).await
}

/// What the provider kept of a payment was not known when it was decided.
async fn cost(room: &Ticketing, row: &IntentRow) -> Result<(), Problem> {
    let Some((provider, id)) = room.card.as_deref().zip(row.provider_id.as_deref()) else {
        return Ok(());
    };
    let shown = provider
        .intent(id)
        .await
        .map_err(|error| provider_away(&error))?;
    decide::apply(room, row, &shown).await.map(drop)
}

/// Nothing new: the next look is as far away as the first was.
async fn silent(room: &Ticketing, row: &IntentRow) -> Result<(), Problem> {
    let text = "UPDATE tk_card_intents SET ask_at = $1
        WHERE id = $2 AND state IN ('creating', 'open')";
    let statement = query(text)
        .bind(room.now() + intents::ASK_AFTER)
        .bind(&row.id);
    let mut tx = room.store.begin_event(&row.event_id).await?;
    tx.execute(statement).await?;
    tx.commit().await?;
    Ok(())
}

async fn sweeps(room: &Ticketing) {
    let mut every = tokio::time::interval(SWEEP);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if let Err(problem) = sweep(room).await {
            tracing::warn!(%problem, "the provider's events wait");
        }
    }
}

/// Reads the provider's list of events from where it was read to, and takes in what was never
/// delivered; answers how many there were to look at.
///
/// # Errors
/// 503 when provider, ledger or store is away; the same are read again.
pub async fn sweep(room: &Ticketing) -> Result<usize, Problem> {
    let Some(provider) = room.card.as_deref() else {
        return Ok(0);
    };
    let now = room.now().div_euclid(1_000_000);
    let mut from = position(room).await?.unwrap_or(now - FIRST) - OVERLAP;
    let mut seen = 0;
    while from < now {
        let until = (from + SLICE).min(now);
        let events = provider.events(from, until).await;
        let events = events.map_err(|error| provider_away(&error))?;
        seen += events.len();
        let mut waiting = None;
        for event in &events {
            // One that cannot be taken in does not stop the others; it is read again, for a while.
            if let Err(problem) = inbox::receive(room, event, Source::Poller).await {
                tracing::warn!(event = event.id, %problem, "an event of the provider waits");
                waiting = waiting.or(Some(problem).filter(|_| now - event.created < GIVE_UP));
            }
        }
        if let Some(problem) = waiting {
            return Err(problem);
        }
        keep_position(room, until).await?;
        from = until;
    }
    Ok(seen)
}

async fn position(room: &Ticketing) -> Result<Option<i64>, Problem> {
    let text = "SELECT position FROM tk_card_positions WHERE reader = 'events'";
    let row = room.store.db.fetch_optional(query(text)).await?;
    Ok(row.map(|row| row.get("position")).transpose()?)
}

async fn keep_position(room: &Ticketing, position: i64) -> Result<(), Problem> {
    let text = "INSERT INTO tk_card_positions (reader, position) VALUES ('events', $1)
        ON CONFLICT (reader) DO UPDATE SET position = $2 WHERE tk_card_positions.position < $3";
    let statement = query(text).bind(position).bind(position).bind(position);
    room.store
        .db
        .lane("ticketing_inbox")
        .execute(statement)
        .await?;
    Ok(())
}
