//! A member of a consumer group.
//!
//! Where a room's effects may be had twice, the next batch has its effects while the positions
//! still move over the one before: a member that is lost in between has some messages read again.
//!
//! Messages go into an [`Inbox`] in batches; what the group's position in SQL says counts, and
//! what the brokers keep is only a hint that saves reading. A member that is given a partition
//! goes on at the position in SQL.
//!
//! **A topic that was made anew** begins at offset 0 again, behind the position in SQL: brokers
//! refuse that position, and the client begins at the first message there is. A message before
//! the position that a partition was given with tells of it. Where the room's effects may be had
//! twice ([`Handler::prepares_all`](super::super::consume::Handler::prepares_all)) the position
//! is then set back, so that the next start does not pass over messages; elsewhere it stands, and
//! what lies before it counts as known.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::runtime::Handle;

pub use super::super::consume::Group;
use super::super::consume::{DeadLetters, Inbox, Received, Stalled};
use super::dead_letters::received;
use super::{KafkaBus, client};
use crate::http::shutdown::Shutdown;
use crate::sql::Db;

/// Most messages of one batch.
const BATCH_MAX: usize = 500;
/// The same where the room takes a batch into its own store at once: each batch costs two commits.
const LARGE_BATCH_MAX: usize = 4_000;
/// Longest wait for a message before the member looks whether it is to end.
const POLL: Duration = Duration::from_millis(100);
/// First and last wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Time between two looks at how much waits, and the longest wait for one answer.
const LOOK: Duration = Duration::from_secs(5);
const LOOK_WAIT: Duration = Duration::from_secs(1);
/// Messages that the client fetches ahead, for each partition.
const AHEAD: &str = "8000";
/// A member that says nothing for so long has lost its partitions. Tests do not wait so long for
/// members that were lost.
const SESSION_MS: &str = if cfg!(test) { "6000" } else { "30000" };

/// Takes part in a group until the server drains. Several members share the partitions.
pub async fn run(bus: Arc<KafkaBus>, db: Db, group: Group, shutdown: Shutdown) {
    let inbox = Inbox {
        db,
        group: format!("{}{}", bus.settings().prefix, group.name).into(),
        handler: Arc::clone(&group.handler),
        letters: Arc::clone(&bus) as Arc<dyn DeadLetters>,
        clock: Arc::clone(&bus.clock),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let member = Member {
        begun: Begun::default(),
        topics: group
            .topics
            .iter()
            .map(|name| bus.full_name(name))
            .collect(),
        bus,
        inbox,
        stop: Arc::clone(&stop),
        runtime: Handle::current(),
    };
    let mut working = tokio::task::spawn_blocking(move || member.work());
    tokio::select! {
        () = shutdown.drain() => {
            stop.store(true, Ordering::SeqCst);
            let _ = working.await;
        }
        ended = &mut working => {
            if let Err(error) = ended {
                tracing::error!(%error, "a consumer broke off");
            }
        }
    }
}

/// The positions with which partitions were given to a member.
type Begun = Arc<Mutex<HashMap<(Box<str>, i32), i64>>>;

struct Member {
    begun: Begun,
    bus: Arc<KafkaBus>,
    topics: Vec<String>,
    inbox: Inbox,
    stop: Arc<AtomicBool>,
    runtime: Handle,
}

/// Sets the beginning of each partition that the member is given.
struct Positions {
    begun: Begun,
    inbox: Inbox,
    stop: Arc<AtomicBool>,
    runtime: Handle,
}

impl ClientContext for Positions {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::report(&error, reason);
    }
}

impl ConsumerContext for Positions {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let done = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.set(partitions);
                consumer.assign(partitions)
            }
            _ => consumer.unassign(),
        };
        let count = partitions.count();
        tracing::debug!(
            group = &*self.inbox.group,
            ?what,
            count,
            "partitions changed hands"
        );
        if let Err(error) = done {
            tracing::error!(group = &*self.inbox.group, %error, "partitions could not be taken");
        }
    }
}

impl Positions {
    /// Positions are read until they are known: a wrong beginning could pass over messages.
    fn set(&self, partitions: &mut TopicPartitionList) {
        for mut element in partitions.elements() {
            let (topic, partition) = (element.topic().to_owned(), element.partition());
            let next = loop {
                let read = self.inbox.next_offset(&topic, partition);
                match self.runtime.block_on(read) {
                    Ok(next) => break next,
                    Err(_) if self.stop.load(Ordering::SeqCst) => return,
                    Err(error) => {
                        tracing::warn!(%error, "a group's position could not be read; trying again");
                        self.runtime.block_on(tokio::time::sleep(RETRY.0));
                    }
                }
            };
            let place = (topic.as_str().into(), partition);
            match next {
                Some(next) => self.begun.lock().insert(place, next),
                None => self.begun.lock().remove(&place),
            };
            // A partition that was never read goes on at the brokers' hint, or begins.
            if let Some(next) = next
                && let Err(error) = element.set_offset(Offset::Offset(next))
            {
                tracing::error!(topic, partition, %error, "a position could not be set");
            }
        }
    }
}

impl Member {
    fn work(&self) {
        let consumer = match self.connect() {
            Ok(consumer) => consumer,
            Err(error) => {
                tracing::error!(group = &*self.inbox.group, %error, "the consumer cannot be made");
                return;
            }
        };
        let mut looked = Instant::now();
        // Messages that had their effects, and whose positions are still to be moved.
        let mut prepared = Vec::new();
        while !self.stopping() {
            let batch = self.fetch(&consumer);
            if looked.elapsed() >= LOOK {
                self.look_behind(&consumer);
                looked = Instant::now();
            }
            if !self.take(&prepared, &batch) {
                continue;
            }
            self.hint(&consumer, &prepared);
            prepared = match self.inbox.handler.prepares_all() {
                true => batch,
                false => {
                    self.hint(&consumer, &batch);
                    Vec::new()
                }
            };
        }
        // So that the next member does not read them again.
        if self.take(&prepared, &[]) {
            self.hint(&consumer, &prepared);
        }
        consumer.unsubscribe();
    }

    fn connect(&self) -> Result<BaseConsumer<Positions>, KafkaError> {
        let mut config = self.bus.reach().config();
        config
            .set("group.id", &*self.inbox.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("session.timeout.ms", SESSION_MS)
            .set("queued.min.messages", AHEAD)
            // Topics that appear later are found within this time.
            .set("topic.metadata.refresh.interval.ms", "10000");
        let consumer: BaseConsumer<Positions> = config.create_with_context(Positions {
            begun: Arc::clone(&self.begun),
            inbox: self.inbox.clone(),
            stop: Arc::clone(&self.stop),
            runtime: self.runtime.clone(),
        })?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(consumer)
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// What there is, at most one batch; waits a little for the first message.
    fn fetch(&self, consumer: &BaseConsumer<Positions>) -> Vec<Received> {
        let mut batch = Vec::new();
        let mut wait = POLL;
        let most = match self.inbox.handler.prepares_all() {
            true => LARGE_BATCH_MAX,
            false => BATCH_MAX,
        };
        while batch.len() < most {
            match consumer.poll(wait) {
                Some(Ok(message)) => batch.push(received(&message)),
                Some(Err(error)) => {
                    tracing::debug!(group = &*self.inbox.group, %error, "nothing could be fetched");
                    break;
                }
                None => break,
            }
            wait = Duration::ZERO;
        }
        batch
    }

    /// Takes a batch in while the positions move over the one before, however often that needs to
    /// be tried. False: the end came before.
    fn take(&self, prepared: &[Received], batch: &[Received]) -> bool {
        let mut wait = RETRY.0;
        let (mut passed, mut taken) = (prepared.is_empty(), batch.is_empty());
        while !passed || !taken {
            let (passing, taking) = self.runtime.block_on(join(
                async {
                    if passed {
                        Ok(())
                    } else {
                        self.pass(prepared).await
                    }
                },
                async {
                    if taken {
                        Ok(())
                    } else {
                        self.effects(batch).await
                    }
                },
            ));
            (passed, taken) = (passing.is_ok(), taking.is_ok());
            for error in [passing, taking].into_iter().filter_map(Result::err) {
                let group = &*self.inbox.group;
                tracing::warn!(group, %error, "trying again");
            }
            if passed && taken {
                break;
            }
            if self.stopping() {
                return false;
            }
            self.runtime.block_on(tokio::time::sleep(wait));
            wait = (wait * 2).min(RETRY.1);
        }
        true
    }

    /// The effects of a batch, with its positions where these must move together.
    async fn effects(&self, batch: &[Received]) -> Result<(), Stalled> {
        match self.inbox.handler.prepares_all() {
            true => self.inbox.prepare(batch).await,
            false => self.inbox.take(batch).await.map(drop),
        }
    }

    /// Moves the positions over a batch that had its effects.
    async fn pass(&self, prepared: &[Received]) -> Result<(), Stalled> {
        self.begin_anew(prepared).await?;
        self.inbox.pass(prepared).await.map(drop)
    }

    /// Sets positions back of partitions whose topic was made anew.
    async fn begin_anew(&self, batch: &[Received]) -> Result<(), Stalled> {
        for message in batch {
            let place = (message.topic.clone(), message.partition);
            let begun = self.begun.lock().get(&place).copied();
            let Some(begun) = begun.filter(|begun| message.offset < *begun) else {
                continue;
            };
            tracing::warn!(
                group = &*self.inbox.group,
                topic = &*message.topic,
                partition = message.partition,
                position = begun,
                offset = message.offset,
                "the topic was made anew, or its end was lost: it is read from its beginning"
            );
            self.inbox.set_back(message).await?;
            self.begun.lock().insert(place, message.offset);
        }
        Ok(())
    }

    /// Tells the room how many messages of each topic wait behind this member's places.
    fn look_behind(&self, consumer: &BaseConsumer<Positions>) {
        let Ok(places) = consumer.position() else {
            return;
        };
        for topic in &self.topics {
            let mut behind = 0;
            for place in places.elements_for_topic(topic) {
                let ends = consumer.fetch_watermarks(topic, place.partition(), LOOK_WAIT);
                let Ok((low, end)) = ends else { return };
                let next = match place.offset() {
                    Offset::Offset(offset) => offset,
                    _ => low,
                };
                behind += (end - next).max(0);
            }
            self.inbox.handler.behind(topic, behind);
        }
    }

    /// Tells the brokers how far the group has come, for tools and for lag.
    fn hint(&self, consumer: &BaseConsumer<Positions>, batch: &[Received]) {
        if batch.is_empty() {
            return;
        }
        let mut offsets = TopicPartitionList::new();
        for message in batch {
            let next = Offset::Offset(message.offset + 1);
            let topic = &message.topic;
            if offsets.find_partition(topic, message.partition).is_none() {
                offsets.add_partition(topic, message.partition);
            }
            let set = offsets.set_partition_offset(topic, message.partition, next);
            if let Err(error) = set {
                tracing::debug!(%error, "an offset could not be noted");
            }
        }
        if let Err(error) = consumer.commit(&offsets, CommitMode::Async) {
            tracing::debug!(%error, "offsets could not be told");
        }
    }
}
