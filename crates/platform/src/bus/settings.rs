//! Which bus, and how it is reached.

use std::sync::Arc;

use florin_base::{Clock, Secret};
use serde::Deserialize;

use super::{Bus, LocalBus};

/// Settings of the bus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusSettings {
    /// `kafka://host:port,host:port`; empty: inside the process.
    pub url: String,
    /// Stands before the name of every topic and group.
    pub prefix: String,
    /// Missing topics are created at start.
    pub create_topics: bool,
    /// Partitions of topics keyed by wallet, when they are created.
    pub partitions: u16,
    /// Copies of each partition, when topics are created; 0: as the brokers are set.
    pub replication: u16,
    /// Former publishers are shut out by the brokers' transactions; false where brokers have
    /// none: then only the lease and time keep them apart.
    pub transactions: bool,
    /// User for SASL/PLAIN.
    #[serde(default)]
    pub sasl_user: Option<String>,
    /// Its password.
    #[serde(default)]
    pub sasl_password: Option<Secret<String>>,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            prefix: String::new(),
            create_topics: true,
            partitions: 12,
            replication: 0,
            transactions: true,
            sasl_user: None,
            sasl_password: None,
        }
    }
}

/// Why the configured bus cannot be had. The words name the setting; the remedy is apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct OpenError {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl OpenError {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

const SCHEME: &str = "kafka://";

impl BusSettings {
    /// The brokers to ask first, `host:port` joined by commas; `None` for the bus inside the
    /// process.
    ///
    /// # Errors
    /// [`OpenError`] for a URL of another kind.
    pub fn brokers(&self) -> Result<Option<&str>, OpenError> {
        if self.url.is_empty() {
            return Ok(None);
        }
        if self.url.starts_with("kafkas://") || self.url.starts_with("kafka+ssl://") {
            return Err(OpenError::new(
                "`bus.url`: this program's Kafka client has no TLS",
                "reach the brokers over a private plaintext listener, kafka://host:port, or through a proxy that speaks TLS to them",
            ));
        }
        let brokers = self.url.strip_prefix(SCHEME).unwrap_or_default();
        let brokers = brokers.trim_end_matches('/');
        let valid = |broker: &str| {
            let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        };
        if brokers.contains(['@', '/', '?']) || !brokers.split(',').all(valid) {
            return Err(OpenError::new(
                "`bus.url` is not a list of brokers",
                "such as \"kafka://broker-1:9092,broker-2:9092\"; the user goes into bus.sasl_user",
            ));
        }
        if self.sasl_user.is_some() != self.sasl_password.is_some() {
            return Err(OpenError::new(
                "`bus.sasl_user` and `bus.sasl_password` belong together",
                "give both, or neither",
            ));
        }
        Ok(Some(brokers))
    }
}

/// The configured bus. Does not wait for brokers: they may come later.
///
/// # Errors
/// [`OpenError`] for settings that cannot work.
pub fn open(settings: &BusSettings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Bus>, OpenError> {
    match settings.brokers()? {
        None => Ok(Arc::new(LocalBus::new())),
        Some(brokers) => kafka(settings, brokers, clock),
    }
}

#[cfg(feature = "kafka")]
fn kafka(
    settings: &BusSettings,
    brokers: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Bus>, OpenError> {
    let bus = super::kafka::KafkaBus::new(settings, brokers, clock)
        .map_err(|error| OpenError::new(format!("`bus.url`: {error}"), "see the bus settings"))?;
    Ok(Arc::new(bus))
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: &BusSettings, _: &str, _: Arc<dyn Clock>) -> Result<Arc<dyn Bus>, OpenError> {
    Err(OpenError::new(
        "`bus.url` is a Kafka URL, and this program was built without Kafka",
        "build it with the feature: cargo build --release --features kafka; or leave bus.url empty",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str) -> BusSettings {
        BusSettings {
            url: url.to_owned(),
            ..BusSettings::default()
        }
    }

    #[test]
    fn urls_are_judged() {
        assert_eq!(with("").brokers(), Ok(None));
        assert_eq!(with("kafka://a:1,b:2/").brokers(), Ok(Some("a:1,b:2")));
        for wrong in [
            "redis://a:1",
            "kafka://",
            "kafka://a",
            "kafka://u:p@a:1",
            "kafka://a:1,",
            "kafka://:1",
        ] {
            assert!(with(wrong).brokers().is_err(), "{wrong}");
        }
        let tls = with("kafkas://a:1").brokers().expect_err("no TLS");
        assert!(tls.what.contains("no TLS"), "{tls}");
        let mut half = with("kafka://a:1");
        half.sasl_user = Some("u".to_owned());
        assert!(
            half.brokers()
                .expect_err("half")
                .what
                .contains("sasl_password")
        );
    }

    #[cfg(not(feature = "kafka"))]
    #[test]
    fn a_program_without_kafka_names_the_feature() {
        let clock = Arc::new(florin_base::clock::ManualClock::new(0));
        let opened = open(&with("kafka://127.0.0.1:9092"), clock);
        let error = opened.err().expect("refused");
        assert!(error.remedy.contains("--features kafka"), "{error:?}");
    }
}
