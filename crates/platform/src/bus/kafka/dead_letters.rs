//! Messages that could not be handled: kept beside their topic with the reason, listed, and
//! given again when the cause is gone.
//!
//! A topic's dead letters lie in `{topic}.dlq`, original key and bytes, one partition, in the
//! order in which they were put aside. How far they have been dealt with is the position of one
//! consumer group. Giving a letter again publishes the original bytes to the original topic:
//! nothing can be changed on this way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Serialize;

use super::super::BusError;
use super::super::access::LETTERS_GROUP;
use super::super::consume::Received;
use super::super::topics::DEAD_LETTERS;
use super::admin::Quiet;
use super::lane::Outgoing;
use super::{KafkaBus, Reach};

/// Why it was put aside: a stable code.
pub const HEADER_REASON: &str = "florin-reason";
/// More about the reason, for people.
pub const HEADER_DETAIL: &str = "florin-detail";
/// Topic it came from, full name.
pub const HEADER_TOPIC: &str = "florin-topic";
/// Partition it came from.
pub const HEADER_PARTITION: &str = "florin-partition";
/// Its place there.
pub const HEADER_OFFSET: &str = "florin-offset";
/// When it was put aside (RFC 3339).
pub const HEADER_AT: &str = "florin-at";
/// On a message that was given again: its place among the dead letters.
pub const HEADER_REDRIVEN: &str = "florin-redriven";

/// Bytes of a detail that are kept.
const DETAIL_MAX: usize = 512;
/// Longest wait for a broker's answer.
const WAIT: Duration = Duration::from_secs(10);
/// The one partition of dead letters.
const PARTITION: i32 = 0;

/// A letter as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Place among the dead letters.
    pub place: i64,
    /// Why it was put aside.
    pub reason: String,
    /// More about it.
    pub detail: String,
    /// Topic it came from.
    pub topic: String,
    /// Partition it came from.
    pub partition: String,
    /// Its place there.
    pub offset: String,
    /// When it was put aside (RFC 3339).
    pub at: String,
    /// Key, as text.
    pub key: String,
    /// Bytes of the content.
    pub bytes: usize,
}

/// The letter of a message.
pub(super) fn outgoing(message: &Received, reason: &str, detail: &str, at: &str) -> Outgoing {
    let mut headers = OwnedHeaders::new();
    for (key, value) in &message.headers {
        if !is_ours(key) {
            headers = headers.insert(Header {
                key,
                value: Some(value.as_ref()),
            });
        }
    }
    let end = (0..=DETAIL_MAX.min(detail.len()))
        .rev()
        .find(|at| detail.is_char_boundary(*at));
    let (partition, offset) = (message.partition.to_string(), message.offset.to_string());
    let ours = [
        (HEADER_REASON, reason),
        (HEADER_DETAIL, &detail[..end.unwrap_or(0)]),
        (HEADER_TOPIC, &message.topic),
        (HEADER_PARTITION, &partition),
        (HEADER_OFFSET, &offset),
        (HEADER_AT, at),
    ];
    for (key, value) in ours {
        headers = headers.insert(Header {
            key,
            value: Some(value),
        });
    }
    Outgoing {
        key: message.key.clone(),
        value: message.value.clone(),
        headers,
    }
}

/// Headers that say where a letter comes from; those of an earlier round are left out.
fn is_ours(key: &str) -> bool {
    [
        HEADER_REASON,
        HEADER_DETAIL,
        HEADER_TOPIC,
        HEADER_PARTITION,
        HEADER_OFFSET,
        HEADER_AT,
        HEADER_REDRIVEN,
    ]
    .contains(&key)
}

/// Reads the letters of one topic that have not been dealt with, in order.
struct Reader {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    next: i64,
    end: i64,
}

impl Reader {
    /// `topic` is the full name of the topic whose letters are wanted. Blocks.
    fn open(reach: &Reach, topic: &str) -> Result<Self, BusError> {
        let mut config = reach.config();
        config
            .set(
                "group.id",
                format!("{}{LETTERS_GROUP}", reach.settings.prefix),
            )
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer<Quiet> =
            config.create_with_context(Quiet).map_err(BusError::of)?;
        let topic = format!("{topic}{DEAD_LETTERS}");
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&topic, PARTITION);
        let watermarks = consumer.fetch_watermarks(&topic, PARTITION, WAIT);
        let (low, end) =
            watermarks.map_err(|error| BusError(format!("{topic} cannot be read: {error}")))?;
        let committed = consumer
            .committed_offsets(wanted, WAIT)
            .map_err(BusError::of)?;
        let next = committed.elements().first().map(|element| element.offset());
        let next = match next {
            Some(Offset::Offset(offset)) => offset.clamp(low, end),
            _ => low,
        };
        let mut assigned = TopicPartitionList::new();
        assigned
            .add_partition_offset(&topic, PARTITION, Offset::Offset(next))
            .map_err(BusError::of)?;
        consumer.assign(&assigned).map_err(BusError::of)?;
        Ok(Self {
            consumer,
            topic,
            next,
            end,
        })
    }

    /// The next letter and its place; `None` at the end that was there when reading began.
    fn next(&mut self) -> Result<Option<Received>, BusError> {
        while self.next < self.end {
            match self.consumer.poll(WAIT) {
                Some(Ok(message)) => {
                    self.next = message.offset() + 1;
                    return Ok(Some(received(&message)));
                }
                Some(Err(error)) => return Err(BusError::of(error)),
                // Places without a message (marks of transactions) at the very end.
                None if self.position() >= self.end => self.next = self.end,
                None => return Err(BusError(format!("{} is not answered for", self.topic))),
            }
        }
        Ok(None)
    }

    fn position(&self) -> i64 {
        let positions = self.consumer.position().ok();
        let offset = positions.and_then(|positions| {
            let first = positions.elements().first().map(|element| element.offset());
            first.and_then(Offset::to_raw)
        });
        offset.unwrap_or(self.next)
    }

    /// Everything before the next letter has been dealt with.
    fn commit(&self) -> Result<(), BusError> {
        let mut dealt = TopicPartitionList::new();
        dealt
            .add_partition_offset(&self.topic, PARTITION, Offset::Offset(self.next))
            .map_err(BusError::of)?;
        let committed = self.consumer.commit(&dealt, CommitMode::Sync);
        committed.map_err(BusError::of)
    }
}

/// A message of the client in our own words.
pub(super) fn received(message: &rdkafka::message::BorrowedMessage<'_>) -> Received {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let own = |header: Header<'_, &[u8]>| {
            let value = header.value.unwrap_or_default();
            (Box::from(header.key), Bytes::copy_from_slice(value))
        };
        headers.iter().map(own).collect()
    });
    Received {
        topic: message.topic().into(),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(Bytes::copy_from_slice),
        value: message
            .payload()
            .map_or_else(Bytes::new, Bytes::copy_from_slice),
        headers,
    }
}

/// The letters of a topic (full name) that have not been dealt with, at most `limit`.
///
/// # Errors
/// [`BusError`] when the brokers do not answer or the topic has no dead letters.
pub async fn list(bus: &KafkaBus, topic: &str, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
    let (reach, topic) = (Arc::clone(bus.reach()), topic.to_owned());
    let read = move || {
        let mut reader = Reader::open(&reach, &topic)?;
        let mut letters = Vec::new();
        while letters.len() < limit
            && let Some(letter) = reader.next()?
        {
            letters.push(shown(&letter));
        }
        Ok(letters)
    };
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(BusError::of)?
}

fn shown(letter: &Received) -> DeadLetter {
    let header = |name: &str| letter.header(name).unwrap_or_default().to_owned();
    DeadLetter {
        place: letter.offset,
        reason: header(HEADER_REASON),
        detail: header(HEADER_DETAIL),
        topic: header(HEADER_TOPIC),
        partition: header(HEADER_PARTITION),
        offset: header(HEADER_OFFSET),
        at: header(HEADER_AT),
        key: String::from_utf8_lossy(letter.key.as_deref().unwrap_or_default()).into_owned(),
        bytes: letter.value.len(),
    }
}

/// What is done with letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deal {
    /// Their bytes are published again to their topic.
    Redrive,
    /// Nothing: they count as dealt with.
    Discard,
}

/// Deals with at most `limit` letters of a topic (full name), in their order; answers how many.
/// A letter counts as dealt with after its topic has accepted it: after a crash it may come
/// twice.
///
/// # Errors
/// [`BusError`]: the letters up to the failing one have been dealt with.
pub async fn deal(
    bus: &KafkaBus,
    topic: &str,
    limit: usize,
    deal: Deal,
) -> Result<usize, BusError> {
    let (reach, source) = (Arc::clone(bus.reach()), topic.to_owned());
    let open = move || Reader::open(&reach, &source);
    let opened = tokio::task::spawn_blocking(open).await;
    let mut reader = opened.map_err(BusError::of)??;
    let mut dealt = 0;
    while dealt < limit {
        let next = move || reader.next().map(|letter| (reader, letter));
        let read = tokio::task::spawn_blocking(next).await;
        let (back, letter) = read.map_err(BusError::of)??;
        reader = back;
        let Some(letter) = letter else { break };
        if deal == Deal::Redrive {
            bus.send(topic, vec![again(&letter)]).await?;
        }
        let commit = move || reader.commit().map(|()| reader);
        let committed = tokio::task::spawn_blocking(commit).await;
        reader = committed.map_err(BusError::of)??;
        dealt += 1;
    }
    Ok(dealt)
}

/// The original message, marked as given again.
fn again(letter: &Received) -> Outgoing {
    let mut headers = OwnedHeaders::new();
    for (key, value) in letter.headers.iter().filter(|(key, _)| !is_ours(key)) {
        headers = headers.insert(Header {
            key,
            value: Some(value.as_ref()),
        });
    }
    let place = letter.offset.to_string();
    headers = headers.insert(Header {
        key: HEADER_REDRIVEN,
        value: Some(place.as_str()),
    });
    Outgoing {
        key: letter.key.clone(),
        value: letter.value.clone(),
        headers,
    }
}
