//! Which bus, and how it is reached.

use std::path::PathBuf;
use std::sync::Arc;

use florin_base::{Clock, Secret};
use serde::Deserialize;

use super::{Bus, LocalBus};

/// Settings of the bus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusSettings {
    /// `kafka://host:port,host:port`, with TLS `kafkas://…`; empty: inside the process.
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
    /// How `sasl_user` signs in. Absent: with SCRAM-SHA-512 over TLS, else with PLAIN.
    #[serde(default)]
    pub sasl_mechanism: Option<SaslMechanism>,
    /// User of the brokers.
    #[serde(default)]
    pub sasl_user: Option<String>,
    /// Its password.
    #[serde(default)]
    pub sasl_password: Option<Secret<String>>,
    /// Certificates that brokers are believed by, PEM. Absent: the roots of the system.
    #[serde(default)]
    pub tls_ca: Option<PathBuf>,
}

/// How a user signs in with brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaslMechanism {
    /// The password itself.
    Plain,
    /// A proof of the password, SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// A proof of the password, SHA-512; the one of Amazon MSK.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
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
            sasl_mechanism: None,
            sasl_user: None,
            sasl_password: None,
            tls_ca: None,
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
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

const PLAINTEXT: &str = "kafka://";
const TLS: &str = "kafkas://";

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
        let brokers = self.url.strip_prefix(PLAINTEXT);
        let brokers = brokers.or_else(|| self.url.strip_prefix(TLS));
        let brokers = brokers.unwrap_or_default();
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
        if self.sasl_mechanism.is_some() && self.sasl_user.is_none() {
            return Err(OpenError::new(
                "`bus.sasl_mechanism` without a user",
                "give bus.sasl_user and bus.sasl_password, or leave the mechanism out",
            ));
        }
        if self.tls_ca.is_some() && !self.is_tls() {
            return Err(OpenError::new(
                "`bus.tls_ca` without TLS",
                "write kafkas://host:port in bus.url",
            ));
        }
        Ok(Some(brokers))
    }

    /// Brokers are reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.url.starts_with(TLS)
    }

    /// How the user signs in, if there is one.
    pub fn mechanism(&self) -> SaslMechanism {
        match self.sasl_mechanism {
            Some(mechanism) => mechanism,
            None if self.is_tls() => SaslMechanism::ScramSha512,
            None => SaslMechanism::Plain,
        }
    }
}

/// The configured bus. Does not wait for brokers: they may come later.
///
/// # Errors
/// [`OpenError`] for settings that cannot work.
pub fn open(settings: &BusSettings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Bus>, OpenError> {
    match settings.brokers()? {
        None => Ok(Arc::new(LocalBus::new())),
        Some(_) => kafka(settings, clock),
    }
}

#[cfg(feature = "kafka")]
fn kafka(settings: &BusSettings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Bus>, OpenError> {
    let reach = super::kafka::Reach::open(settings)?;
    let bus = super::kafka::KafkaBus::new(reach, clock)
        .map_err(|error| OpenError::new(format!("`bus.url`: {error}"), "see the bus settings"))?;
    Ok(Arc::new(bus))
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: &BusSettings, _: Arc<dyn Clock>) -> Result<Arc<dyn Bus>, OpenError> {
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
        let tls = with("kafkas://a:1");
        assert_eq!(tls.brokers(), Ok(Some("a:1")));
        assert_eq!(tls.mechanism(), SaslMechanism::ScramSha512);
        assert_eq!(with("kafka://a:1").mechanism(), SaslMechanism::Plain);
        let mut unasked = with("kafka://a:1");
        unasked.tls_ca = Some("ca.pem".into());
        let refused = unasked.brokers().expect_err("no TLS");
        assert!(refused.what.contains("tls_ca"), "{refused}");
        let mut nobody = with("kafkas://a:1");
        nobody.sasl_mechanism = Some(SaslMechanism::Plain);
        let refused = nobody.brokers().expect_err("nobody");
        assert!(refused.what.contains("sasl_mechanism"), "{refused}");
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
