//! What all clients share: settings, and how they report.

use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;

use super::super::BusSettings;

/// Trouble is forgotten after this time: whoever has it tries again sooner.
const TROUBLE_KEEPS: Duration = Duration::from_secs(60);

/// Whether things go well, as far as producers have heard.
#[derive(Debug, Default)]
pub struct State {
    trouble: Mutex<Option<(Instant, String)>>,
}

impl State {
    /// Something was accepted.
    pub fn good(&self) {
        *self.trouble.lock() = None;
    }

    /// Something was not.
    pub fn bad(&self, why: &str) {
        *self.trouble.lock() = Some((Instant::now(), why.to_owned()));
    }

    /// What is wrong, if anything.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().clone();
        trouble
            .filter(|(since, _)| since.elapsed() < TROUBLE_KEEPS)
            .map(|(_, why)| why)
    }
}

/// Takes a client's words over into the log.
#[derive(Clone)]
pub struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        report(&error, reason);
    }
}

/// One line of a client, in the log of the program.
pub fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, "kafka: {message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, "kafka: {message}");
        }
    }
}

/// One error of a client, in the log of the program. The client goes on by itself.
pub fn report(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::AllBrokersDown) => {
            tracing::warn!(reason, "no broker can be reached");
        }
        _ => tracing::debug!(%error, reason, "kafka client"),
    }
}

/// Settings of every client.
pub fn common(settings: &BusSettings, brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "florin")
        .set("socket.keepalive.enable", "true")
        .set("socket.timeout.ms", "10000")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        .set("allow.auto.create.topics", "false");
    if let (Some(user), Some(password)) = (&settings.sasl_user, &settings.sasl_password) {
        config
            .set("security.protocol", "sasl_plaintext")
            .set("sasl.mechanisms", "PLAIN")
            .set("sasl.username", user)
            .set("sasl.password", password.expose());
    }
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}
