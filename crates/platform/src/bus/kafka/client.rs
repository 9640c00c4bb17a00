//! What all clients share: settings, and how they report.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;

use super::super::settings::{OpenError, SaslMechanism};
use super::super::{BusError, BusSettings};
use super::tunnel::{self, Credentials, Gate, Stream, Tunnel};

/// Longest time until a connection is usable: longer than a tunnel needs.
const SET_UP_MS: &str = "6000";
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

/// How a cluster is reached: settings, addresses, and the tunnel between where brokers want TLS or
/// SCRAM.
pub struct Reach {
    /// The settings.
    pub settings: BusSettings,
    /// What the client connects to.
    brokers: String,
    gate: Arc<Gate>,
    tunnel: Option<Tunnel>,
}

impl Reach {
    /// Does not wait for brokers.
    ///
    /// # Errors
    /// [`OpenError`] for settings that cannot work.
    pub fn open(settings: &BusSettings) -> Result<Arc<Self>, OpenError> {
        let brokers = settings.brokers()?.ok_or_else(|| {
            OpenError::new(
                "`bus.url` is empty: topics are inside the process",
                "set it, such as FLORIN__BUS__URL=kafka://127.0.0.1:9092",
            )
        })?;
        let tls = match settings.is_tls() {
            false => None,
            true => Some(tunnel::trust(settings.tls_ca.as_deref()).map_err(|why| {
                OpenError::new(
                    format!("`bus.tls_ca`: {why}"),
                    "a file of PEM certificates that the brokers' one is signed by",
                )
            })?),
        };
        let user = settings
            .sasl_user
            .clone()
            .zip(settings.sasl_password.clone());
        let who = user.map(|(user, password)| Credentials {
            mechanism: settings.mechanism(),
            user,
            password,
        });
        let is_plain = |who: &Credentials| who.mechanism == SaslMechanism::Plain;
        let needs_tunnel = tls.is_some() || !who.as_ref().is_none_or(is_plain);
        let gate = Arc::new(Gate { tls, who });
        let tunnel = match needs_tunnel {
            false => None,
            true => Some(Tunnel::start(brokers, Arc::clone(&gate)).map_err(|error| {
                OpenError::new(
                    format!("`bus.url`: no way to the brokers: {error}"),
                    "see the limits of this process",
                )
            })?),
        };
        let brokers = match &tunnel {
            Some(tunnel) => tunnel.brokers.clone(),
            None => brokers.to_owned(),
        };
        Ok(Arc::new(Self {
            settings: settings.clone(),
            brokers,
            gate,
            tunnel,
        }))
    }

    /// Signs in with each broker of `bus.url`, and leaves.
    ///
    /// # Errors
    /// [`BusError`] names the first broker that cannot be reached or believed, or that refuses.
    pub async fn sign_in(&self) -> Result<(), BusError> {
        for broker in self.named() {
            self.enter(broker).await?;
        }
        Ok(())
    }

    /// A connection of its own to the first broker of `bus.url` that can be entered.
    pub(super) async fn enter_any(&self) -> Result<Box<dyn Stream>, BusError> {
        let mut trouble = None;
        for broker in self.named() {
            match self.enter(broker).await {
                Ok(stream) => return Ok(stream),
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        Err(trouble.unwrap_or_else(|| BusError("`bus.url` names no broker".to_owned())))
    }

    /// A connection of its own to a broker.
    pub(super) async fn enter(&self, broker: &str) -> Result<Box<dyn Stream>, BusError> {
        let told = |error: &dyn std::fmt::Display| BusError(format!("{broker}: {error}"));
        let (host, port) = tunnel::address(broker).ok_or_else(|| told(&"no address"))?;
        let entered = self.gate.enter(host, port).await;
        Ok(entered.map_err(|error| told(&error))?.0)
    }

    fn named(&self) -> impl Iterator<Item = &str> {
        let brokers = self.settings.brokers().ok().flatten();
        brokers.unwrap_or_default().split(',')
    }

    /// An answer that did not come, and why where that is known.
    pub fn away(&self, error: &KafkaError) -> BusError {
        let trouble = self.tunnel.as_ref().and_then(Tunnel::trouble);
        BusError(match trouble {
            Some(why) => format!("brokers do not answer: {error}: {why}"),
            None => format!("brokers do not answer: {error}"),
        })
    }

    /// Settings of every client.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "florin")
            .set("socket.keepalive.enable", "true")
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", SET_UP_MS)
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            .set("allow.auto.create.topics", "false");
        let settings = &self.settings;
        let user = match &self.tunnel {
            Some(tunnel) => Some((tunnel::USER, &tunnel.password)),
            None => settings
                .sasl_user
                .as_deref()
                .zip(settings.sasl_password.as_ref()),
        };
        if let Some((user, password)) = user {
            config
                .set("security.protocol", "sasl_plaintext")
                .set("sasl.mechanisms", "PLAIN")
                .set("sasl.username", user)
                .set("sasl.password", password.expose());
        }
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }
}
