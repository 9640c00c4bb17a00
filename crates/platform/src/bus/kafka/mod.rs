//! The bus over Kafka.
//!
//! **Boundary.** Speaks to brokers through librdkafka, built without TLS: plaintext, or
//! SASL/PLAIN. For brokers that want TLS or SCRAM a tunnel of this process stands between. There
//! is no OAUTHBEARER (IAM).
//!
//! **Invariants.**
//! - Producers are idempotent and wait for all in-sync replicas (`acks=all`); a topic has one
//!   producer, and one [`Bus::publish`] of it at a time.
//! - A producer that failed is thrown away with everything it had under way, so that what was
//!   accepted of a failed call is a beginning of it, in order for each key.
//! - With transactions the producer of a topic carries the topic's transactional id: taking a
//!   topic over makes the brokers refuse whatever the former publisher still sends.
//! - What waits in memory is one call of [`Bus::publish`] for each topic, and no more.

pub mod admin;
mod client;
pub mod dead_letters;
pub mod group;
mod lane;
pub mod lists;
pub mod mock;
pub(crate) mod tunnel;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use florin_base::{Clock, Timestamp};
use parking_lot::Mutex;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::Producer as _;
use tokio::time::Instant;

use super::consume::{DeadLetters, Group, Received};
use super::{Bus, BusError, BusSettings, Consuming, Message, Publishing, topics};
use crate::http::shutdown::Shutdown;
use crate::sql::Db;
pub use client::Reach;
use client::State;
use lane::{Lane, Outgoing};

/// Header with the identity of an event: the same on every delivery.
pub const HEADER_EVENT_ID: &str = "florin-event-id";
/// Header with the number of the record an event comes from.
pub const HEADER_SEQ: &str = "florin-seq";

/// A verdict of [`Bus::probe`] serves this long.
const PROBE_KEEPS: Duration = Duration::from_secs(2);
/// Longest wait of a probe; `/ready` gives a check one second.
const PROBE_WAIT: Duration = Duration::from_millis(800);

/// The producer that only probes; no topic has this name.
const PROBE: &str = "";

/// Topics of a cluster.
pub struct KafkaBus {
    reach: Arc<Reach>,
    clock: Arc<dyn Clock>,
    state: State,
    lanes: Mutex<BTreeMap<String, Arc<Lane>>>,
    topics_made: tokio::sync::Mutex<bool>,
    probed: tokio::sync::Mutex<Option<(Instant, Result<(), BusError>)>>,
}

impl KafkaBus {
    /// A bus that connects when it is first used.
    ///
    /// # Errors
    /// [`KafkaError`] when the client refuses the settings.
    pub fn new(reach: Arc<Reach>, clock: Arc<dyn Clock>) -> Result<Self, KafkaError> {
        let bus = Self {
            reach,
            clock,
            state: State::default(),
            lanes: Mutex::default(),
            topics_made: tokio::sync::Mutex::new(false),
            probed: tokio::sync::Mutex::new(None),
        };
        // Builds a client once, so that a wrong setting stops the start and not the first event.
        bus.reach.config().create_native_config()?;
        Ok(bus)
    }

    /// The name of a topic in the cluster.
    pub fn full_name(&self, topic: &str) -> String {
        format!("{}{topic}", self.settings().prefix)
    }

    /// The settings.
    pub fn settings(&self) -> &BusSettings {
        &self.reach.settings
    }

    /// How the cluster is reached.
    pub fn reach(&self) -> &Arc<Reach> {
        &self.reach
    }

    /// The topic's producer, or a new one that shuts nobody out.
    fn lane(&self, topic: &str) -> Result<Arc<Lane>, BusError> {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(topic) {
            return Ok(Arc::clone(lane));
        }
        let lane = Lane::plain(&self.reach)?;
        let lane = Arc::new(lane);
        lanes.insert(topic.to_owned(), Arc::clone(&lane));
        Ok(lane)
    }

    /// Throws the topic's producer away. Its end may wait for its thread: not on this one.
    fn discard(&self, topic: &str) {
        if let Some(lane) = self.lanes.lock().remove(topic) {
            tokio::task::spawn_blocking(move || drop(lane));
        }
    }

    /// Publishes to a topic by its full name. On an error the producer is thrown away.
    async fn send(&self, topic: &str, messages: Vec<Outgoing>) -> Result<(), BusError> {
        if messages.is_empty() {
            return Ok(());
        }
        let lane = self.lane(topic)?;
        let count = messages.len() as u64;
        let abandoned = Abandoned(self, topic);
        let sent = lane.send(topic, messages).await;
        match &sent {
            Ok(()) => {
                std::mem::forget(abandoned);
                self.state.good();
                metrics::counter!("bus_messages_published_total", "topic" => topic.to_owned())
                    .increment(count);
            }
            Err(error) => self.state.bad(&error.0),
        }
        sent
    }

    /// Asks the brokers for the feed's topic.
    async fn look(&self) -> Result<(), BusError> {
        let lane = self.lane(PROBE)?;
        let (topic, reach) = (self.full_name(topics::LEDGER_CHANGES), self.reach.clone());
        let look = move || {
            let client = lane.producer.client();
            let metadata = client
                .fetch_metadata(Some(&topic), PROBE_WAIT)
                .map_err(|error| reach.away(&error))?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            match found.map(|found| (found.error(), found.partitions().len())) {
                Some((None, partitions)) if partitions > 0 => Ok(()),
                _ => Err(BusError(format!("the topic {topic} does not exist"))),
            }
        };
        let looked = tokio::task::spawn_blocking(look).await;
        looked.map_err(BusError::of).and_then(|verdict| verdict)
    }

    /// Creates missing topics once, if settings say so. A cluster that refuses is left as it is:
    /// publishing tells whether topics are there.
    async fn make_topics(&self) {
        let mut made = self.topics_made.lock().await;
        if *made || !self.settings().create_topics {
            return;
        }
        match admin::apply(&self.reach).await {
            Ok(outcomes) => {
                for outcome in outcomes.iter().filter(|outcome| outcome.error.is_some()) {
                    tracing::warn!(topic = outcome.name, error = ?outcome.error, "the topic could not be created");
                }
                *made = true;
            }
            Err(error) => tracing::warn!(%error, "topics could not be looked at"),
        }
    }
}

/// Throws a topic's producer away when a call fails or is given up half-way.
struct Abandoned<'a>(&'a KafkaBus, &'a str);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        self.0.discard(self.1);
    }
}

impl Bus for KafkaBus {
    fn wants(&self, _topic: &str) -> bool {
        true
    }

    fn publish<'a>(&'a self, topic: &'a str, messages: Vec<Message>) -> Publishing<'a> {
        Box::pin(async move {
            let messages = messages.into_iter().map(outgoing).collect();
            self.send(&self.full_name(topic), messages).await
        })
    }

    fn take_over<'a>(&'a self, topic: &'a str) -> Publishing<'a> {
        Box::pin(async move {
            self.make_topics().await;
            let full = self.full_name(topic);
            self.discard(&full);
            if !self.settings().transactions {
                return Ok(());
            }
            let (reach, name) = (self.reach.clone(), full.clone());
            let open = move || Lane::fenced(&reach, &name);
            let opened = tokio::task::spawn_blocking(open).await;
            match opened.map_err(BusError::of).and_then(|lane| lane) {
                Ok(lane) => {
                    self.lanes.lock().insert(full, Arc::new(lane));
                    self.state.good();
                    Ok(())
                }
                Err(error) => {
                    self.state.bad(&error.0);
                    Err(error)
                }
            }
        })
    }

    fn consume(self: Arc<Self>, db: Db, group: Group, shutdown: Shutdown) -> Consuming {
        Box::pin(async move {
            self.make_topics().await;
            group::run(self, db, group, shutdown).await;
        })
    }

    fn probe(&self) -> Publishing<'_> {
        Box::pin(async move {
            let mut probed = self.probed.lock().await;
            if let Some((at, verdict)) = &*probed
                && at.elapsed() < PROBE_KEEPS
            {
                return verdict.clone();
            }
            let verdict = match self.state.trouble() {
                Some(why) => Err(BusError(why)),
                None => self.look().await,
            };
            *probed = Some((Instant::now(), verdict.clone()));
            verdict
        })
    }
}

impl Drop for KafkaBus {
    fn drop(&mut self) {
        // Producers wait for their threads; dropping them one after the other adds up.
        let lanes = std::mem::take(&mut *self.lanes.lock());
        let ending: Vec<_> = lanes
            .into_values()
            .map(|lane| std::thread::spawn(move || drop(lane)))
            .collect();
        for thread in ending {
            // A thread that panicked has dropped its producer.
            let _ = thread.join();
        }
    }
}

fn outgoing(message: Message) -> Outgoing {
    let seq = message.seq.to_string();
    let own = [(HEADER_EVENT_ID, &*message.id), (HEADER_SEQ, seq.as_str())];
    let further = message.headers.iter();
    let further = further.map(|(key, value)| (&**key, &**value));
    let mut headers = OwnedHeaders::new_with_capacity(2 + message.headers.len());
    for (key, value) in own.into_iter().chain(further) {
        headers = headers.insert(Header {
            key,
            value: Some(value),
        });
    }
    Outgoing {
        key: (!message.key.is_empty()).then(|| message.key.as_bytes().to_vec().into()),
        value: message.value,
        headers,
    }
}

impl DeadLetters for KafkaBus {
    fn park<'a>(
        &'a self,
        message: &'a Received,
        reason: &'a str,
        detail: &'a str,
    ) -> Publishing<'a> {
        Box::pin(async move {
            let topic = format!("{}{}", message.topic, topics::DEAD_LETTERS);
            let at = Timestamp(self.clock.wall_micros()).to_string();
            if self.settings().create_topics {
                admin::ensure_one(&self.reach, &topic).await?;
            }
            let letter = dead_letters::outgoing(message, reason, detail, &at);
            self.send(&topic, vec![letter]).await
        })
    }
}

#[cfg(test)]
mod tests;
