//! What the log tells to topics: events of this room, copies of what came in over HTTP, and dead
//! letters (contract A3).
//!
//! **Invariants.** A copy carries the installation's id in `florin-origin`; what came from a
//! topic is not copied back to it. Bytes and key of a dead letter are the original ones.

use std::sync::Arc;

use florin_base::Timestamp;
use florin_platform::bus::{Bus, Message};
use serde_json::{Map, Value, json};

use super::outbox::{Delivering, Outlet, Told};
use super::topics::{CORRECTIONS, DEAD, EVENTS, ORIGIN, RAW};
use crate::corrections::model::{RECORD as CORRECTION, StepBody};
use crate::corrections::rules::{Door, Kind, Status};
use crate::model::amount::minimal;
use crate::model::digest::sha256_hex;
use crate::store::bodies::EventBody;
use crate::store::dead_letters::{self, DEAD_LETTER};
use crate::store::record::kind;
use crate::store::{Shadow, WriteError, failpoint};

/// Every topic that is published, in the order in which a page goes out: a reader of
/// [`EVENTS`] finds the copy of what it is told about.
pub const PUBLISHED: [&str; 4] = [RAW, CORRECTIONS, DEAD, EVENTS];

/// Publishes to the topics.
pub struct Topics {
    /// Whose log it is.
    pub shadow: Shadow,
    /// Where it goes.
    pub bus: Arc<dyn Bus>,
}

impl Outlet for Topics {
    fn wants(&self) -> bool {
        PUBLISHED.iter().any(|topic| self.bus.wants(topic))
    }

    fn take_over(&self) -> Delivering<'_> {
        Box::pin(async move {
            for topic in PUBLISHED {
                let taken = self.bus.take_over(topic).await;
                taken.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }

    fn deliver<'a>(&'a self, told: &'a [Told]) -> Delivering<'a> {
        Box::pin(async move {
            for topic in PUBLISHED {
                if !self.bus.wants(topic) {
                    continue;
                }
                let messages = messages(&self.shadow, topic, told).await;
                let messages = messages.map_err(|error| error.to_string())?;
                if !messages.is_empty() {
                    if topic == DEAD {
                        failpoint::reach("dlq.before_publish");
                    }
                    let published = self.bus.publish(topic, messages).await;
                    published.map_err(|error| error.to_string())?;
                }
            }
            Ok(())
        })
    }
}

/// What a topic gets of a page of the log, in its order.
///
/// # Errors
/// The store's.
pub async fn messages(
    shadow: &Shadow,
    topic: &str,
    told: &[Told],
) -> Result<Vec<Message>, WriteError> {
    let mut messages = Vec::new();
    for told in told {
        let message = match topic {
            RAW => raw(shadow, told),
            CORRECTIONS => correction(shadow, told),
            DEAD => dead(shadow, told).await?,
            _ => Some(event(told)?),
        };
        messages.extend(message);
    }
    Ok(messages)
}

fn message(told: &Told, value: impl Into<bytes::Bytes>) -> Message {
    Message {
        key: told.account_id.as_deref().unwrap_or_default().into(),
        value: value.into(),
        seq: told.log_seq.unsigned_abs(),
        id: format!("shadow-{}", told.log_seq).into(),
        headers: trace_headers(told),
    }
}

fn event(told: &Told) -> Result<Message, WriteError> {
    let body = serde_json::to_vec(told);
    Ok(message(
        told,
        body.map_err(|_| WriteError::Damaged("record"))?,
    ))
}

/// The copy of an event that came in over HTTP.
fn raw(shadow: &Shadow, told: &Told) -> Option<Message> {
    if told.record != kind::EVENT {
        return None;
    }
    let body: EventBody = serde_json::from_value(told.data.clone()).ok()?;
    if !matches!(body.entrance.as_str(), "http" | "batch") {
        return None;
    }
    let mut members = Map::new();
    members.insert("eventId".to_owned(), body.event_id.into());
    let (way, time) = (body.direction, body.timestamp);
    common(shadow, told, &mut members, &way, &body.minor, time)?;
    let texts = [
        ("reference", body.reference),
        ("description", body.description),
        ("source", body.source),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            members.insert(name.to_owned(), text.into());
        }
    }
    if let Some(sequence) = body.sequence {
        members.insert("sequence".to_owned(), sequence.into());
    }
    Some(copy(shadow, told, members))
}

/// The copy of a correction of ours that was applied.
fn correction(shadow: &Shadow, told: &Told) -> Option<Message> {
    if told.record != CORRECTION {
        return None;
    }
    let body: StepBody = serde_json::from_value(told.data.clone()).ok()?;
    let applied = Status::from_word(&body.after) == Some(Status::Applied);
    let first = body.before.as_deref() == Some(Status::Approved.as_str());
    let has_entry = Kind::from_word(&body.kind).is_some_and(Kind::has_entry);
    if !applied || !first || !has_entry || body.door == Door::Kafka.as_str() {
        return None;
    }
    let mut members = Map::new();
    members.insert("eventId".to_owned(), told.subject.clone()?.into());
    let (way, time) = (body.direction, body.timestamp);
    common(shadow, told, &mut members, &way, &body.minor, time)?;
    members.insert("reason".to_owned(), body.reason.into());
    for (name, id) in [("causeEventId", body.cause), ("checkId", body.check_id)] {
        if let Some(id) = id {
            members.insert(name.to_owned(), id.into());
        }
    }
    Some(copy(shadow, told, members))
}

/// The members that events and corrections share.
fn common(
    shadow: &Shadow,
    told: &Told,
    members: &mut Map<String, Value>,
    way: &str,
    minor: &str,
    timestamp: i64,
) -> Option<()> {
    let (account, currency) = (told.account_id.as_deref()?, told.currency.as_deref()?);
    let scale = shadow.currencies().scale(currency)?;
    let amount = minimal(minor.parse().ok()?, scale);
    members.insert("accountId".to_owned(), account.into());
    members.insert("type".to_owned(), way.into());
    // As text: the amount may have more digits than a reader's numbers.
    members.insert("amount".to_owned(), amount.into());
    members.insert("timestamp".to_owned(), timestamp.into());
    members.insert("currency".to_owned(), currency.into());
    Some(())
}

fn copy(shadow: &Shadow, told: &Told, members: Map<String, Value>) -> Message {
    let mut message = message(told, Value::Object(members).to_string());
    let origin = shadow.installation();
    message.headers.push((ORIGIN.into(), origin.into()));
    message
}

/// A letter as it was parked.
async fn dead(shadow: &Shadow, told: &Told) -> Result<Option<Message>, WriteError> {
    let parked = told.record == DEAD_LETTER && told.data["status"] == json!("parked");
    let Some(id) = told.subject.as_deref().filter(|_| parked) else {
        return Ok(None);
    };
    let Some(kept) = dead_letters::find(shadow, id).await? else {
        return Ok(None);
    };
    let letter = kept.letter;
    let mut message = message(told, letter.payload);
    message.key = letter.key.unwrap_or_default().into();
    let reason = told.data["reason"].as_str().unwrap_or(&letter.reason);
    let headers = [
        ("florin-reason", reason.to_owned()),
        ("florin-topic", letter.topic),
        ("florin-partition", letter.partition.to_string()),
        ("florin-offset", letter.offset.to_string()),
        ("florin-at", Timestamp(kept.received_at).to_string()),
    ];
    let headers = headers.map(|(name, value)| (name.into(), value.into()));
    message.headers.extend(headers);
    Ok(Some(message))
}

/// Length of a W3C trace id and of a span id in hex digits.
const TRACE_LEN: usize = 32;
const SPAN_LEN: usize = 16;

/// `X-Trace-Id`, and a `traceparent` that is the same on every delivery. A trace id that is
/// none of W3C's stands for one by its digest.
fn trace_headers(told: &Told) -> Vec<(Box<str>, Box<str>)> {
    let Some(id) = &told.trace_id else {
        return Vec::new();
    };
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let w3c = id.len() == TRACE_LEN && id.bytes().all(hex) && id.bytes().any(|b| b != b'0');
    let mut trace = match w3c {
        true => id.clone(),
        false => sha256_hex(id.as_bytes()),
    };
    trace.truncate(TRACE_LEN);
    let mut span = sha256_hex(told.log_seq.to_string().as_bytes());
    span.truncate(SPAN_LEN);
    vec![
        ("X-Trace-Id".into(), id.as_str().into()),
        ("traceparent".into(), format!("00-{trace}-{span}-00").into()),
    ]
}
