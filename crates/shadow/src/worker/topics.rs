//! Messages of topics: judged like any other event, and parked when they are none (contract A3).
//!
//! **Invariants.** A message is recorded, known or parked, never dropped (INV-S14). Faults of
//! content park it; faults of the store are errors, and the same message is brought again.

use florin_platform::bus::consume::{Handler, Handling, Received, Rejected};
use florin_platform::http::trace::TraceId;
use florin_platform::sql::Tx;

use crate::intake::{self, Door, Taken, parse_event};
use crate::store::dead_letters::Letter;
use crate::store::intake::{Intake, IntakeReply, Item, Outcome};
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

/// Header that says which installation a message is a mirror of.
const ORIGIN: &str = "florin-origin";

/// Takes the messages of [`RAW`] in, a batch in one commit; positions move after it.
pub struct RawHandler(pub Shadow);

impl Handler for RawHandler {
    fn prepare<'a>(&'a self, messages: &'a [Received]) -> Handling<'a> {
        Box::pin(async move {
            take_batch(&self.0, messages)
                .await
                .map_err(|error| Rejected::Later(error.to_string()))?;
            crate::store::failpoint::reach("kafka.after_commit_before_offset");
            Ok(())
        })
    }

    /// Everything was done before: recorded, known or parked.
    fn handle<'a>(&'a self, _message: &'a Received, _tx: &'a mut Tx) -> Handling<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Takes a batch of messages in: new events are recorded in one commit, and what is no event is
/// parked with its bytes (INV-S14).
///
/// # Errors
/// The store's: the same messages are to be brought again.
pub async fn take_batch(shadow: &Shadow, messages: &[Received]) -> Result<(), WriteError> {
    let now_ms = shadow.clock().wall_micros().div_euclid(1_000);
    let mut letters = Vec::new();
    let mut items = Vec::new();
    let mut senders = Vec::new();
    for message in messages {
        match parse_event(&message.value, &Door::KAFKA, shadow, now_ms) {
            Ok(event) => {
                note_message(shadow, message, &event.account_id);
                items.push(Item {
                    event,
                    entrance: Door::KAFKA.entrance,
                    actor: Actor {
                        trace_id: trace_of(message),
                        ..Actor::system("kafka")
                    },
                });
                senders.push(message);
            }
            Err(faults) => {
                let code = faults.first().map_or("malformed_json", |fault| fault.code);
                letters.push(letter_of(message, code));
            }
        }
    }
    let total = items.len();
    if total > 0 {
        let intake = Intake {
            items,
            atomic: false,
            key: None,
            also: None,
        };
        let IntakeReply::Done(outcomes) = shadow.take(intake).await? else {
            return Err(WriteError::Damaged("an intake without outcome"));
        };
        for (outcome, message) in outcomes.iter().zip(senders) {
            let result = match outcome {
                Outcome::Accepted { .. } => "accepted",
                Outcome::Duplicate { .. } => "duplicate",
                Outcome::Conflict { .. } => {
                    letters.push(letter_of(message, "event_conflict"));
                    "dead"
                }
                Outcome::Linked => {
                    letters.push(letter_of(message, "linked_book"));
                    "dead"
                }
                Outcome::Overflow => {
                    letters.push(letter_of(message, "overflow"));
                    "dead"
                }
            };
            metrics::counter!("shadow_events_total", "entrance" => "kafka", "result" => result)
                .increment(1);
        }
    }
    if letters.is_empty() {
        return Ok(());
    }
    shadow
        .write_at("dlq.before_publish", move |session| {
            Box::pin(async move {
                for letter in &letters {
                    session.park(letter).await?;
                }
                Ok(())
            })
        })
        .await
}

fn note_message(shadow: &Shadow, message: &Received, account_id: &str) {
    if message.key.as_deref() != Some(account_id.as_bytes()) {
        metrics::counter!("shadow_kafka_key_mismatch_total").increment(1);
    }
    if message.header(ORIGIN) == Some(shadow.settings().installation.as_str()) {
        metrics::counter!("shadow_own_copies_total").increment(1);
    }
}

/// The trace id of a message, where it is well formed.
fn trace_of(message: &Received) -> Option<String> {
    let given = message.header("X-Trace-Id")?;
    TraceId::parse(given.as_bytes()).map(|id| id.to_string())
}

fn letter_of(message: &Received, reason: &str) -> Letter {
    let key = message.key.as_deref();
    Letter {
        topic: message.topic.to_string(),
        partition: i64::from(message.partition),
        offset: message.offset,
        key: key.map(|key| String::from_utf8_lossy(key).replace('\0', "")),
        reason: reason.to_owned(),
        payload: message.value.to_vec(),
        trace_id: trace_of(message),
    }
}
