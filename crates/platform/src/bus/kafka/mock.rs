//! A broker for development and tests: librdkafka's own, in this process, in memory.
//!
//! It keeps nothing and checks nobody. Its ports are chosen by the system; it has no way of
//! creating topics from outside, so `bus.create_topics` must be off.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::super::topics::{DEAD_LETTERS, TOPICS};
use super::super::{BusError, BusSettings};

/// A running cluster; ends when it is dropped.
pub struct MockBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl MockBroker {
    /// Starts brokers on loopback with the topics of the table.
    ///
    /// # Errors
    /// [`BusError`] when the library refuses.
    pub fn start(brokers: i32, settings: &BusSettings) -> Result<Self, BusError> {
        let cluster = MockCluster::new(brokers).map_err(BusError::of)?;
        let broker = Self { cluster };
        for topic in TOPICS {
            let name = format!("{}{}", settings.prefix, topic.name);
            broker.create(&name, topic.partitions(settings.partitions))?;
        }
        Ok(broker)
    }

    /// Creates a topic by its full name, and one for its dead letters.
    ///
    /// # Errors
    /// [`BusError`] when the library refuses.
    pub fn create(&self, name: &str, partitions: i32) -> Result<(), BusError> {
        self.cluster
            .create_topic(name, partitions, 1)
            .map_err(BusError::of)?;
        let letters = format!("{name}{DEAD_LETTERS}");
        self.cluster
            .create_topic(&letters, 1, 1)
            .map_err(BusError::of)
    }

    /// `host:port` of the brokers, joined by commas.
    pub fn brokers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// The cluster, for faults.
    pub fn cluster(&self) -> &MockCluster<'static, DefaultProducerContext> {
        &self.cluster
    }
}
