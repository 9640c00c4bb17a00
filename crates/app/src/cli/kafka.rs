//! `florin kafka …`: topics, who may use them, dead letters, rebuilding, and a broker for
//! development.
//!
//! Without the feature `kafka` the commands are there and say what is missing, so that the
//! command line is the same everywhere.

use clap::{Args, Subcommand};

use crate::config::ConfigArgs;
use crate::fail::failure;
use crate::out::Output;

#[cfg(not(feature = "kafka"))]
mod absent;
#[cfg(not(feature = "kafka"))]
use absent as present;
mod acls;
#[cfg(feature = "kafka")]
mod present;

/// Topics on Kafka and their dead letters
#[derive(Debug, Subcommand)]
pub enum KafkaCommand {
    /// The topics Florin publishes
    #[command(subcommand)]
    Topics(Topics),
    /// Messages that could not be handled
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    Acls(acls::Acls),
    Rebuild(Rebuild),
    MockBroker(MockBroker),
}

/// `florin kafka topics …`.
#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Show the topics as they are and what is wrong with them; exit code 1 when something is
    List(Connection),
    /// Create the topics that are missing; those that exist are left as they are
    Apply(Connection),
}

/// `florin kafka dead-letters …`.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// Show the letters that have not been dealt with
    List(Letters),
    /// Publish the original bytes to their topic again, in order, and count them as dealt with
    Redrive(Letters),
    /// Count letters as dealt with, in order; their bytes stay in the topic until it forgets them
    Discard(Letters),
}

/// How the cluster is reached.
#[derive(Debug, Args)]
pub struct Connection {
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Which letters.
#[derive(Debug, Args)]
pub struct Letters {
    #[command(flatten)]
    pub connection: Connection,
    /// Topic whose letters they are, without the configured prefix
    #[arg(long, value_name = "NAME")]
    pub topic: String,
    /// Most letters
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

/// Send the readers of the change feed back to its beginning
///
/// Every event is published again, with the id it had; receivers drop what they know. A running
/// server notices when it next saves its position.
#[derive(Debug, Args)]
pub struct Rebuild {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only this topic: ledger-changes, wallet-events or wallet-snapshots
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,
}

/// Run a broker in memory, for development: it keeps nothing and checks nobody
#[derive(Debug, Args)]
#[command(hide = true)]
pub struct MockBroker {
    #[command(flatten)]
    pub connection: Connection,
    /// Number of brokers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub brokers: i32,
    /// Further topics, without the configured prefix
    #[arg(long, value_name = "NAME")]
    pub topic: Vec<String>,
}

impl KafkaCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Topics(command) => present::topics(command, output),
            Self::DeadLetters(command) => present::dead_letters(command, output),
            Self::Acls(command) => command.run(output),
            Self::Rebuild(command) => command.run(output),
            Self::MockBroker(command) => present::mock_broker(command, output),
        }
    }
}

impl Rebuild {
    fn run(self, output: Output) -> anyhow::Result<u8> {
        let all = florin_wallets::events::TOPIC_CHANNELS;
        let channels: Vec<&str> = match &self.topic {
            None => all.to_vec(),
            Some(topic) => all.into_iter().filter(|known| known == topic).collect(),
        };
        if channels.is_empty() {
            let known = all.join(", ");
            return Err(failure("there is no such topic of the feed", known));
        }
        let reset = channels.clone();
        crate::cli::block_on(async move {
            crate::serve::offline::with_positions(&self.config, async |positions, now| {
                for channel in &reset {
                    positions.save(channel, 0, now).await?;
                }
                Ok(())
            })
            .await
        })?;
        output.print(&serde_json::json!({"rebuilding": channels}), || {
            format!("from the beginning: {}", channels.join(", "))
        })?;
        Ok(0)
    }
}
