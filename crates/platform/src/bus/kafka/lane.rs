//! One producer of one topic.

use std::time::Duration;

use bytes::Bytes;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::sync::Mutex;

use super::super::BusError;
use super::super::access::FEED_ID;
use super::client::{Context, Reach};

/// A call that is not accepted by then has failed.
const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// Longest wait for the brokers' transaction coordinator.
const TRANSACTION_WAIT: Duration = Duration::from_secs(10);
/// A transaction that its producer leaves open is aborted by the brokers after this time.
const TRANSACTION_TIMEOUT_MS: &str = "45000";
/// Messages in the client's queue: more than one call ever brings.
const QUEUE_MESSAGES: &str = "20000";

/// A message on its way out.
pub struct Outgoing {
    /// Key; `None`: partitions in turn.
    pub key: Option<Bytes>,
    /// Content.
    pub value: Bytes,
    /// Headers.
    pub headers: OwnedHeaders,
}

/// A producer, used by one call at a time.
pub struct Lane {
    /// The client.
    pub producer: FutureProducer<Context>,
    fenced: bool,
    /// True from the beginning of a call to its good end: a call that was given up leaves it so.
    busy: Mutex<bool>,
}

impl Lane {
    /// A producer that shuts nobody out.
    pub fn plain(reach: &Reach) -> Result<Self, BusError> {
        let mut config = reach.config();
        // Calls have a deadline of their own: a single message that times out while a later one
        // of its key arrives would break the order.
        config.set("message.timeout.ms", "0");
        Self::open(config, false).map_err(BusError::of)
    }

    /// A producer that shuts out whoever had the topic before. Blocks.
    pub fn fenced(reach: &Reach, topic: &str) -> Result<Self, BusError> {
        let mut config = reach.config();
        config
            .set("transactional.id", format!("{FEED_ID}{topic}"))
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
            .set("message.timeout.ms", TRANSACTION_TIMEOUT_MS);
        let lane = Self::open(config, true).map_err(BusError::of)?;
        lane.producer
            .init_transactions(TRANSACTION_WAIT)
            .map_err(BusError::of)?;
        Ok(lane)
    }

    fn open(mut config: rdkafka::ClientConfig, fenced: bool) -> Result<Self, KafkaError> {
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            // As Java clients choose partitions, so that all producers of a key agree.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", QUEUE_MESSAGES)
            .set("topic.metadata.propagation.max.ms", "10000");
        Ok(Self {
            producer: config.create_with_context(Context)?,
            fenced,
            busy: Mutex::new(false),
        })
    }

    /// Sends messages in order; answers when all are accepted. After an error the lane is of no
    /// more use.
    pub async fn send(&self, topic: &str, messages: Vec<Outgoing>) -> Result<(), BusError> {
        let mut busy = self.busy.lock().await;
        if std::mem::replace(&mut *busy, true) {
            return Err(BusError("an earlier call was given up half-way".to_owned()));
        }
        let sent = tokio::time::timeout(SEND_DEADLINE, self.send_all(topic, messages));
        match sent.await {
            Ok(done) => done?,
            Err(_) => {
                let seconds = SEND_DEADLINE.as_secs();
                return Err(BusError(format!("not accepted within {seconds} s")));
            }
        }
        *busy = false;
        Ok(())
    }

    async fn send_all(&self, topic: &str, messages: Vec<Outgoing>) -> Result<(), BusError> {
        if self.fenced {
            self.producer.begin_transaction().map_err(BusError::of)?;
        }
        let mut deliveries = Vec::with_capacity(messages.len());
        for message in messages {
            let mut record = FutureRecord::<[u8], [u8]>::to(topic)
                .payload(&message.value)
                .headers(message.headers);
            if let Some(key) = &message.key {
                record = record.key(key);
            }
            let delivery = self.producer.send_result(record);
            deliveries.push(delivery.map_err(|(error, _)| BusError::of(error))?);
        }
        for delivery in deliveries {
            match delivery.await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(self.cause(&error)),
                Err(_) => return Err(BusError("the client ended".to_owned())),
            }
        }
        match self.fenced {
            true => self.commit().await,
            false => Ok(()),
        }
    }

    /// Commits; the client's call blocks and may be repeated.
    async fn commit(&self) -> Result<(), BusError> {
        loop {
            let producer = self.producer.clone();
            let commit = move || producer.commit_transaction(TRANSACTION_WAIT);
            match tokio::task::spawn_blocking(commit).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(KafkaError::Transaction(error))) if error.is_retriable() => {}
                Ok(Err(error)) => return Err(self.cause(&error)),
                Err(error) => return Err(BusError::of(error)),
            }
        }
    }

    /// What made it fail: behind a fatal error stands its reason.
    fn cause(&self, error: &KafkaError) -> BusError {
        match self.producer.client().fatal_error() {
            Some((code, reason)) => BusError(format!("{code}: {reason}")),
            None => BusError::of(error),
        }
    }
}
