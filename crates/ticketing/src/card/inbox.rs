//! What the provider tells: each event once (INV-T12). An event is a hint which object to look at;
//! the object is read from the provider before anything is done.

use florin_platform::http::problem::Problem;
use florin_platform::sql::query;

use super::checkout::provider_away;
use super::intents::{self, IntentRow};
use super::provider::{Intent, ProviderError, ProviderEvent};
use super::{Provider, console, decide, disputes, settlement};
use crate::Ticketing;

/// Where an event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was delivered.
    Webhook,
    /// It was found in the provider's list.
    Poller,
}

impl Source {
    const fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Poller => "poller",
        }
    }
}

/// Takes an event in and does what follows from it. When this returns, all of it is durable;
/// an event that was taken in before has no effect.
///
/// # Errors
/// 503 or 500 when something was not done; the provider sends it again.
pub async fn receive(
    room: &Ticketing,
    event: &ProviderEvent,
    source: Source,
) -> Result<(), Problem> {
    let provider = room.card.as_deref();
    let provider = provider.ok_or_else(|| Problem::internal("an event without a provider"))?;
    if is_done(room, provider.name(), event).await? {
        return Ok(());
    }
    note(room, provider.name(), event, source).await?;
    let done = handle(room, provider, event).await;
    match &done {
        Ok(handled) => {
            let state = if *handled { "done" } else { "ignored" };
            finish(room, provider.name(), event, state, None).await?;
        }
        Err(problem) => {
            let fault = Some(problem.code().to_owned());
            finish(room, provider.name(), event, "failed", fault).await?;
        }
    }
    done.map(drop)
}

async fn is_done(room: &Ticketing, provider: &str, event: &ProviderEvent) -> Result<bool, Problem> {
    let text = "SELECT state FROM tk_card_inbox WHERE provider = $1 AND event_id = $2";
    let statement = query(text).bind(provider).bind(&event.id);
    let row = room.store.db.fetch_optional(statement).await?;
    let state: Option<String> = row.map(|row| row.get("state")).transpose()?;
    Ok(matches!(state.as_deref(), Some("done" | "ignored")))
}

/// A lane of its own: the inbox is nobody's event.
const LANE: &str = "ticketing_inbox";

async fn note(
    room: &Ticketing,
    provider: &str,
    event: &ProviderEvent,
    source: Source,
) -> Result<(), Problem> {
    let text = "INSERT INTO tk_card_inbox (provider, event_id, kind, object_id, intent_id,
        happened_at, source, state, tries, received_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'received', 1, $8)
        ON CONFLICT (provider, event_id) DO UPDATE SET tries = tk_card_inbox.tries + 1";
    let statement = query(text)
        .bind(provider)
        .bind(&event.id)
        .bind(&event.kind)
        .bind(&event.object_id)
        .bind(event.intent_id.clone())
        .bind(event.created.saturating_mul(1_000_000))
        .bind(source.word())
        .bind(room.now());
    room.store.db.lane(LANE).execute(statement).await?;
    Ok(())
}

async fn finish(
    room: &Ticketing,
    provider: &str,
    event: &ProviderEvent,
    state: &str,
    fault: Option<String>,
) -> Result<(), Problem> {
    let text = "UPDATE tk_card_inbox SET state = $1, fault = $2, done_at = $3
        WHERE provider = $4 AND event_id = $5 AND state NOT IN ('done', 'ignored')";
    let done_at = (state != "failed").then(|| room.now());
    let statement = query(text)
        .bind(state)
        .bind(fault)
        .bind(done_at)
        .bind(provider)
        .bind(&event.id);
    room.store.db.lane(LANE).execute(statement).await?;
    Ok(())
}

/// Whether the event was about something of ours.
async fn handle(
    room: &Ticketing,
    provider: &dyn Provider,
    event: &ProviderEvent,
) -> Result<bool, Problem> {
    let kind = event.kind.as_str();
    if let Some(what) = kind.strip_prefix("payment_intent.") {
        let known = ["succeeded", "payment_failed", "canceled", "processing"];
        return match known.contains(&what) {
            true => look(room, provider, &event.object_id).await,
            false => Ok(false),
        };
    }
    match kind {
        "charge.refunded" => all_refunds(room, provider, event).await,
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            let shown = found(provider.refund_now(&event.object_id).await)?;
            match shown {
                Some(shown) => console::take_in(room, &shown).await.map(|()| true),
                None => Ok(false),
            }
        }
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => {
            match found(provider.dispute(&event.object_id).await)? {
                Some(shown) => disputes::apply(room, &shown).await.map(|()| true),
                None => Ok(false),
            }
        }
        "payout.paid" => match found(provider.payout(&event.object_id).await)? {
            Some(shown) => settlement::apply(room, &shown).await.map(|()| true),
            None => Ok(false),
        },
        _ => Ok(false),
    }
}

fn found<T>(shown: Result<T, ProviderError>) -> Result<Option<T>, Problem> {
    match shown {
        Ok(shown) => Ok(Some(shown)),
        Err(ProviderError::Missing) => Ok(None),
        Err(error) => Err(provider_away(&error)),
    }
}

/// Reads an intent and applies what it shows.
async fn look(
    room: &Ticketing,
    provider: &dyn Provider,
    provider_id: &str,
) -> Result<bool, Problem> {
    let Some(shown) = found(provider.intent(provider_id).await)? else {
        return Ok(false);
    };
    match row_of(room, &shown).await? {
        Some(row) => decide::apply(room, &row, &shown).await.map(|_| true),
        None => Ok(false),
    }
}

/// Our row of an intent: by the provider's id, or by the reference that it carries when the
/// answer to its making was lost.
async fn row_of(room: &Ticketing, shown: &Intent) -> Result<Option<IntentRow>, Problem> {
    let db = &room.store.db;
    if let Some(row) = intents::by_provider(db, &shown.id).await? {
        return Ok(Some(row));
    }
    let Some(reference) = &shown.reference else {
        return Ok(None);
    };
    let row = intents::find(db, reference).await?;
    Ok(row.filter(|row| row.provider_id.is_none()))
}

async fn all_refunds(
    room: &Ticketing,
    provider: &dyn Provider,
    event: &ProviderEvent,
) -> Result<bool, Problem> {
    let Some(intent_id) = &event.intent_id else {
        return Ok(false);
    };
    let Some(all) = found(provider.refunds_of(intent_id).await)? else {
        return Ok(false);
    };
    for shown in &all {
        console::take_in(room, shown).await?;
    }
    Ok(!all.is_empty())
}
