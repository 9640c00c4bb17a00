//! Messages of topics: judged like what comes over HTTP, and parked when they are none of it
//! (contract A3).
//!
//! **Invariants.** A message is recorded, known or parked, never dropped (INV-S14). Faults of
//! content park it; faults of the store are errors, and the same message is brought again. A
//! correction of a topic is proposed, whoever wrote it (INV-S18).

use std::sync::Arc;

use florin_platform::bus::access::SHADOW_GROUP;
use florin_platform::bus::consume::{Handler, Handling, Received, Rejected};
use florin_platform::bus::topics as bus;
use florin_platform::http::problem::Problem;
use florin_platform::http::trace::TraceId;
use florin_platform::sql::Tx;
use parking_lot::Mutex;

use crate::corrections::service::Corrections;
use crate::intake::{self, Door, Fault, Taken, parse_correction, parse_event};
use crate::store::dead_letters::Letter;
use crate::store::intake::{Intake, IntakeReply, Item, Outcome};
use crate::store::{Actor, Shadow, WriteError, failpoint};

/// Events of the bank or core banking system.
pub const RAW: &str = bus::TRANSACTIONS_RAW;
/// Corrections that were made elsewhere.
pub const CORRECTIONS: &str = bus::TRANSACTIONS_CORRECTIONS;
/// Dead letters, outgoing.
pub const DEAD: &str = bus::TRANSACTIONS_DLQ;
/// Events of this room, outgoing.
pub const EVENTS: &str = bus::SHADOW_EVENTS;
/// The consumer group.
pub const GROUP: &str = SHADOW_GROUP;
/// Header that says which installation a message is a mirror of.
pub const ORIGIN: &str = "florin-origin";

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A new event or proposal.
    Recorded,
    /// Recorded before with the same content.
    Known,
    /// To be parked, with this code.
    Dead(String),
}

impl Verdict {
    fn of_faults(faults: &[Fault]) -> Self {
        let code = faults.first().map_or("malformed_json", |fault| fault.code);
        Self::Dead(code.to_owned())
    }

    fn of_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Accepted { .. } => Self::Recorded,
            Outcome::Duplicate { .. } => Self::Known,
            Outcome::Conflict { .. } => Self::Dead("event_conflict".to_owned()),
            Outcome::Linked => Self::Dead("linked_book".to_owned()),
            Outcome::Overflow => Self::Dead("overflow".to_owned()),
        }
    }

    fn count(&self) {
        let result = match self {
            Self::Recorded => "accepted",
            Self::Known => "duplicate",
            Self::Dead(_) => "dead",
        };
        metrics::counter!("shadow_events_total", "entrance" => "kafka", "result" => result)
            .increment(1);
    }
}

/// The entrance of topics: events to the books, corrections to the desk. Cheap to clone.
#[derive(Clone)]
pub struct Entrance {
    shadow: Shadow,
    corrections: Corrections,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Entrance {
    /// Over the corrections of a shadow ledger.
    pub fn new(corrections: Corrections) -> Self {
        Self {
            shadow: corrections.shadow().clone(),
            corrections,
            trouble: Arc::default(),
        }
    }

    /// Why messages wait, while they do.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Submits the original bytes of a parked letter again.
    ///
    /// # Errors
    /// The store's: nothing was done.
    pub async fn again(&self, letter: &Letter) -> Result<Verdict, WriteError> {
        if letter.topic.ends_with(CORRECTIONS) {
            return self
                .correction(&letter.payload, letter.trace_id.clone())
                .await;
        }
        let actor = actor(letter.trace_id.clone());
        let taken = intake::take(&self.shadow, &letter.payload, &Door::KAFKA, actor, None).await?;
        Ok(match taken {
            Taken::Faulty(faults) => Verdict::of_faults(&faults),
            Taken::Judged(outcome) => Verdict::of_outcome(&outcome),
        })
    }

    /// Takes a batch of messages in, of both topics: new events are recorded in one commit,
    /// corrections are proposed, and what is neither is parked with its bytes.
    ///
    /// # Errors
    /// The store's: the same messages are to be brought again.
    pub async fn take(&self, messages: &[Received]) -> Result<(), WriteError> {
        let of_events = |message: &&Received| !message.topic.ends_with(CORRECTIONS);
        let (events, corrections): (Vec<&Received>, Vec<&Received>) =
            messages.iter().partition(of_events);
        let mut letters = self.take_events(&events).await?;
        for message in corrections {
            let verdict = self.correction(&message.value, trace_of(message)).await?;
            verdict.count();
            self.note_origin(message);
            if let Verdict::Dead(reason) = verdict {
                letters.push(letter_of(message, &reason));
            }
        }
        if letters.is_empty() {
            return Ok(());
        }
        self.shadow
            .write(move |session| {
                Box::pin(async move {
                    for letter in &letters {
                        session.park(letter).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn take_events(&self, messages: &[&Received]) -> Result<Vec<Letter>, WriteError> {
        let now_ms = self.shadow.clock().wall_micros().div_euclid(1_000);
        let mut letters = Vec::new();
        let mut items = Vec::new();
        let mut senders = Vec::new();
        for &message in messages {
            match parse_event(&message.value, &Door::KAFKA, &self.shadow, now_ms) {
                Ok(event) => {
                    note_key(message, &event.account_id);
                    self.note_origin(message);
                    items.push(Item {
                        event,
                        entrance: Door::KAFKA.entrance,
                        actor: actor(trace_of(message)),
                    });
                    senders.push(message);
                }
                Err(faults) => {
                    let verdict = Verdict::of_faults(&faults);
                    verdict.count();
                    if let Verdict::Dead(reason) = verdict {
                        letters.push(letter_of(message, &reason));
                    }
                }
            }
        }
        if items.is_empty() {
            return Ok(letters);
        }
        let intake = Intake {
            items,
            atomic: false,
            key: None,
            also: None,
        };
        let IntakeReply::Done(outcomes) = self.shadow.take(intake).await? else {
            return Err(WriteError::Damaged("an intake without outcome"));
        };
        for (outcome, message) in outcomes.iter().zip(senders) {
            let verdict = Verdict::of_outcome(outcome);
            verdict.count();
            if let Verdict::Dead(reason) = verdict {
                letters.push(letter_of(message, &reason));
            }
        }
        Ok(letters)
    }

    /// Judges the bytes of a message of [`CORRECTIONS`]; parks nothing.
    async fn correction(
        &self,
        payload: &[u8],
        trace_id: Option<String>,
    ) -> Result<Verdict, WriteError> {
        let now_ms = self.shadow.clock().wall_micros().div_euclid(1_000);
        let sent = match parse_correction(payload, &self.shadow, now_ms) {
            Ok(sent) => sent,
            Err(faults) => return Ok(Verdict::of_faults(&faults)),
        };
        match self.corrections.from_kafka(sent, actor(trace_id)).await {
            Ok(done) if done.replayed => Ok(Verdict::Known),
            Ok(_) => Ok(Verdict::Recorded),
            Err(problem) => refusal(problem),
        }
    }

    fn note_origin(&self, message: &Received) {
        if message.header(ORIGIN) == Some(self.shadow.installation()) {
            metrics::counter!("shadow_own_copies_total").increment(1);
        }
    }
}

/// What a message is refused for parks it; what is wrong with us makes it wait.
fn refusal(problem: Problem) -> Result<Verdict, WriteError> {
    match problem.status().code().is_server_error() {
        true => Err(WriteError::Refused(problem)),
        false => Ok(Verdict::Dead(problem.code().to_owned())),
    }
}

impl Handler for Entrance {
    fn prepare<'a>(&'a self, messages: &'a [Received]) -> Handling<'a> {
        Box::pin(async move {
            let taken = self.take(messages).await;
            let why = taken.as_ref().err().map(ToString::to_string);
            self.trouble.lock().clone_from(&why);
            if let Some(why) = why {
                return Err(Rejected::Later(why));
            }
            failpoint::reach("kafka.after_commit_before_offset");
            Ok(())
        })
    }

    /// Everything was done before: recorded, known or parked.
    fn handle<'a>(&'a self, _message: &'a Received, _tx: &'a mut Tx) -> Handling<'a> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn prepares_all(&self) -> bool {
        true
    }

    fn behind(&self, topic: &str, messages: i64) {
        metrics::gauge!("shadow_kafka_lag", "topic" => topic.to_owned()).set(messages as f64);
    }
}

fn actor(trace_id: Option<String>) -> Actor {
    Actor {
        trace_id,
        ..Actor::system("kafka")
    }
}

fn note_key(message: &Received, account_id: &str) {
    if message.key.as_deref() != Some(account_id.as_bytes()) {
        metrics::counter!("shadow_kafka_key_mismatch_total").increment(1);
    }
}

/// The trace id of a message, where it is well formed.
fn trace_of(message: &Received) -> Option<String> {
    let given = message.header("X-Trace-Id");
    let given = given.and_then(|text| TraceId::parse(text.as_bytes()));
    let parent = message.header("traceparent");
    let parent = parent.and_then(|text| TraceId::of_traceparent(text.as_bytes()));
    given.or(parent).map(|id| id.to_string())
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
