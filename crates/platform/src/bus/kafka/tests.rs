//! The bus against librdkafka's own cluster, and against the one in `FLORIN_TEST_KAFKA`
//! (`host:port`) where a test needs no faults.

mod faults;
mod groups;
mod letters;
mod lists;
mod publish;
mod secured;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use florin_base::{IdSource, clock::ManualClock};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::admin::Quiet;
use super::dead_letters::received;
use super::mock::MockBroker;
use super::*;

/// Nothing here takes longer.
const LONG: Duration = Duration::from_secs(60);
const TOPIC: &str = topics::WALLET_EVENTS;
/// Enough keys for every partition to have some.
const KEYS: u64 = 23;

/// A cluster with topics of its own.
struct Cluster {
    mock: Option<MockBroker>,
    settings: BusSettings,
}

impl Cluster {
    /// The mock.
    fn mock() -> Self {
        let settings = BusSettings {
            prefix: "t.".to_owned(),
            create_topics: false,
            ..BusSettings::default()
        };
        let mock = MockBroker::start(1, &settings).expect("starts");
        Self {
            settings: BusSettings {
                url: format!("kafka://{}", mock.brokers()),
                ..settings
            },
            mock: Some(mock),
        }
    }

    /// The cluster of the environment, else the mock.
    fn any() -> Self {
        let Some(brokers) = std::env::var("FLORIN_TEST_KAFKA").ok() else {
            return Self::mock();
        };
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let random = hex::encode(&IdSource::random_32()[..6]);
        let settings = BusSettings {
            url: format!("kafka://{brokers}"),
            prefix: format!("t-{random}-{number}."),
            transactions: std::env::var("FLORIN_TEST_KAFKA_TRANSACTIONS").is_ok(),
            ..BusSettings::default()
        };
        Self {
            mock: None,
            settings,
        }
    }

    fn reach(&self) -> Arc<Reach> {
        Reach::open(&self.settings).expect("settings")
    }

    fn bus(&self) -> Arc<KafkaBus> {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
        Arc::new(KafkaBus::new(self.reach(), clock).expect("settings"))
    }

    /// A topic beside those of the table, with one for its dead letters.
    async fn topic(&self, name: &str) {
        let full = format!("{}{name}", self.settings.prefix);
        match &self.mock {
            Some(mock) => mock.create(&full, 4).expect("created"),
            None => {
                let (config, reach) = ([], self.reach());
                let made = admin::create_for_tests(&reach, &full, &config);
                made.await.expect("created");
                let letters = format!("{full}{}", topics::DEAD_LETTERS);
                let made = admin::ensure_one(&reach, &letters);
                made.await.expect("created");
            }
        }
    }

    /// Reads `count` messages of a topic from its beginning, by partition.
    async fn read(&self, topic: &str, count: usize) -> Vec<Received> {
        let full = format!("{}{topic}", self.settings.prefix);
        let reach = self.reach();
        let read = move || {
            let mut config = reach.config();
            config
                .set("group.id", "reader")
                .set("isolation.level", "read_committed");
            let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet).expect("made");
            let metadata = consumer.fetch_metadata(Some(&full), LONG).expect("answers");
            let mut all = TopicPartitionList::new();
            for partition in metadata.topics()[0].partitions() {
                all.add_partition_offset(&full, partition.id(), Offset::Beginning)
                    .expect("added");
            }
            consumer.assign(&all).expect("assigned");
            let mut got = Vec::new();
            while got.len() < count {
                let message = consumer.poll(LONG).expect("a message in time");
                got.push(received(&message.expect("no error")));
            }
            got
        };
        tokio::task::spawn_blocking(read).await.expect("reads")
    }
}

/// `count` messages of a few keys; the value says key and number.
fn messages(from: u64, count: u64) -> Vec<Message> {
    let message = |seq: u64| Message {
        key: format!("k{}", seq % KEYS).into(),
        value: format!("k{}/{seq}", seq % KEYS).into(),
        seq,
        id: format!("id-{seq}").into(),
        headers: Vec::new(),
    };
    (from..from + count).map(message).collect()
}

/// Event ids by key, in the order in which they came, later copies left out.
fn first_ids(got: &[Received]) -> BTreeMap<String, Vec<u64>> {
    let mut ids: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for message in got {
        let key = String::from_utf8(message.key.clone().expect("key").to_vec()).expect("UTF-8");
        let seq = message
            .header(HEADER_SEQ)
            .expect("seq")
            .parse()
            .expect("number");
        let of_key = ids.entry(key).or_default();
        if !of_key.contains(&seq) {
            of_key.push(seq);
        }
    }
    ids
}

/// Every number of every key, in order.
fn expected(from: u64, count: u64) -> BTreeMap<String, Vec<u64>> {
    let mut ids: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for seq in from..from + count {
        ids.entry(format!("k{}", seq % KEYS)).or_default().push(seq);
    }
    ids
}

/// Publishes as a reader does: takes over again after each failure.
async fn publish(bus: &KafkaBus, topic: &str, messages: Vec<Message>) -> u32 {
    let mut failures = 0;
    let trying = async {
        while bus.publish(topic, messages.clone()).await.is_err() {
            failures += 1;
            while bus.take_over(topic).await.is_err() {
                failures += 1;
            }
        }
    };
    tokio::time::timeout(LONG, trying).await.expect("in time");
    failures
}
