//! Messages of topics: judged like any other event, and parked when they are none (contract A3).
//!
//! **Invariants.** A message is recorded, known or parked, never dropped (INV-S14). Faults of
//! content park it; faults of the store are errors, and the same message is brought again.

use crate::intake::{self, Door, Taken};
use crate::store::dead_letters::Letter;
use crate::store::intake::Outcome;
use crate::store::{Actor, Shadow, WriteError};

/// Events of the bank or core banking system.
pub const RAW: &str = "transactions.raw";
/// Corrections that were made elsewhere.
pub const CORRECTIONS: &str = "transactions.corrections";
/// Dead letters, outgoing.
pub const DEAD: &str = "transactions.dlq";
/// Events of this room, outgoing.
pub const EVENTS: &str = "shadow.events";
/// The consumer group.
pub const GROUP: &str = "florin-shadow";

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A new event.
    Recorded,
    /// Recorded before with the same content.
    Known,
    /// To be parked, with this code.
    Dead(String),
}

/// Judges the bytes of a message of [`RAW`] and records what is new; parks nothing.
///
/// # Errors
/// The store's: nothing was done.
pub async fn judge(
    shadow: &Shadow,
    payload: &[u8],
    trace_id: Option<String>,
) -> Result<Verdict, WriteError> {
    let actor = Actor {
        trace_id,
        ..Actor::system("kafka")
    };
    let taken = intake::take(shadow, payload, &Door::KAFKA, actor, None).await?;
    Ok(match taken {
        Taken::Faulty(faults) => {
            let code = faults.first().map_or("malformed_json", |fault| fault.code);
            Verdict::Dead(code.to_owned())
        }
        Taken::Judged(Outcome::Accepted { .. }) => Verdict::Recorded,
        Taken::Judged(Outcome::Duplicate { .. }) => Verdict::Known,
        Taken::Judged(Outcome::Conflict { .. }) => Verdict::Dead("event_conflict".to_owned()),
        Taken::Judged(Outcome::Linked) => Verdict::Dead("linked_book".to_owned()),
        Taken::Judged(Outcome::Overflow) => Verdict::Dead("overflow".to_owned()),
    })
}

/// Takes one message of [`RAW`] in: recorded, known, or parked with its bytes.
///
/// # Errors
/// The store's: the same message is to be brought again.
pub async fn take(shadow: &Shadow, letter: Letter) -> Result<Verdict, WriteError> {
    let verdict = judge(shadow, &letter.payload, letter.trace_id.clone()).await?;
    let result = match &verdict {
        Verdict::Recorded => "accepted",
        Verdict::Known => "duplicate",
        Verdict::Dead(_) => "dead",
    };
    metrics::counter!("shadow_events_total", "entrance" => "kafka", "result" => result)
        .increment(1);
    if let Verdict::Dead(reason) = &verdict {
        let letter = Letter {
            reason: reason.clone(),
            ..letter
        };
        shadow
            .write(move |session| Box::pin(async move { session.park(&letter).await }))
            .await?;
    }
    Ok(verdict)
}

/// Submits the original bytes of a parked letter again.
///
/// # Errors
/// The store's.
pub async fn again(shadow: &Shadow, letter: &Letter) -> Result<Verdict, WriteError> {
    judge(shadow, &letter.payload, letter.trace_id.clone()).await
}
