//! Topics as they are, and as the table says they should be.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Serialize;

use super::super::topics::{DEAD_LETTERS, Partitions, TOPICS};
use super::super::{BusError, BusSettings};
use super::client::{self, Reach};

/// Longest wait for the controller.
const WAIT: Duration = Duration::from_secs(10);
/// Hours for which dead letters stay: thirty days.
const DEAD_LETTER_MS: &str = "2592000000";

/// Takes an admin client's words over into the log.
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::report(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// What became of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Full name.
    pub name: String,
    /// Partitions there are, or will be.
    pub partitions: i32,
    /// True: it did not exist and was created.
    pub created: bool,
    /// Why it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn admin(reach: &Reach) -> Result<AdminClient<Quiet>, BusError> {
    let config = reach.config();
    config.create_with_context(Quiet).map_err(BusError::of)
}

/// Partitions of the topics there are, by full name. Blocks.
fn existing(reach: &Reach, client: &AdminClient<Quiet>) -> Result<Vec<(String, i32)>, BusError> {
    let metadata = client.inner().fetch_metadata(None, WAIT);
    let metadata = metadata.map_err(|error| reach.away(&error))?;
    let topics = metadata.topics().iter();
    Ok(topics
        .map(|topic| {
            let partitions = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
            (topic.name().to_owned(), partitions)
        })
        .collect())
}

/// The topics of the table as they are in the cluster; changes nothing.
///
/// # Errors
/// [`BusError`] when no broker answers.
pub async fn list(reach: &Arc<Reach>) -> Result<Vec<Outcome>, BusError> {
    let client = admin(reach)?;
    let own = Arc::clone(reach);
    let found = tokio::task::spawn_blocking(move || existing(&own, &client)).await;
    let found = found.map_err(BusError::of)??;
    let outcome = |topic: &super::super::topics::Topic| {
        let name = format!("{}{}", reach.settings.prefix, topic.name);
        let wanted = topic.partitions(reach.settings.partitions);
        match found.iter().find(|(other, _)| *other == name) {
            None => Outcome {
                name,
                partitions: wanted,
                created: false,
                error: Some("does not exist".to_owned()),
            },
            Some((_, partitions)) => Outcome {
                name,
                partitions: *partitions,
                created: false,
                error: topic_error(topic.partitions, *partitions),
            },
        }
    };
    Ok(TOPICS.iter().map(outcome).collect())
}

/// What is wrong with the number of partitions of a topic that exists.
fn topic_error(wanted: Partitions, partitions: i32) -> Option<String> {
    match wanted {
        Partitions::One if partitions != 1 => Some(format!(
            "has {partitions} partitions and needs exactly one for its total order"
        )),
        Partitions::AtLeast(least) if partitions < i32::from(least) => {
            Some(format!("has {partitions} partitions, fewer than {least}"))
        }
        _ => None,
    }
}

/// Creates the topics of the table that are missing. Those that exist are left as they are:
/// partitions that are added later break the order of keys.
///
/// # Errors
/// [`BusError`] when no broker answers.
pub async fn apply(reach: &Arc<Reach>) -> Result<Vec<Outcome>, BusError> {
    let mut outcomes = list(reach).await?;
    let client = admin(reach)?;
    for (topic, outcome) in TOPICS.iter().zip(&mut outcomes) {
        if outcome.error.as_deref() != Some("does not exist") {
            continue;
        }
        let config = topic.config();
        let created = create(
            &client,
            &reach.settings,
            &outcome.name,
            outcome.partitions,
            &config,
        )
        .await;
        outcome.created = created.is_ok();
        outcome.error = created.err().map(|error| error.0);
    }
    Ok(outcomes)
}

/// Creates a topic for dead letters if it is missing.
///
/// # Errors
/// [`BusError`] when the cluster refuses or does not answer.
pub async fn ensure_one(reach: &Arc<Reach>, name: &str) -> Result<(), BusError> {
    debug_assert!(name.ends_with(DEAD_LETTERS));
    let client = admin(reach)?;
    let (looked, own) = (name.to_owned(), Arc::clone(reach));
    let known = tokio::task::spawn_blocking(move || {
        let found = existing(&own, &client)?;
        Ok::<_, BusError>((found.iter().any(|(other, _)| *other == looked), client))
    });
    let (known, client) = known.await.map_err(BusError::of)??;
    if known {
        return Ok(());
    }
    let config = [("retention.ms", DEAD_LETTER_MS.to_owned())];
    create(&client, &reach.settings, name, 1, &config).await
}

/// Creates a topic with four partitions.
#[cfg(test)]
pub(super) async fn create_for_tests(
    reach: &Reach,
    name: &str,
    config: &[(&'static str, String)],
) -> Result<(), BusError> {
    let client = admin(reach)?;
    create(&client, &reach.settings, name, 4, config).await
}

async fn create(
    client: &AdminClient<Quiet>,
    settings: &BusSettings,
    name: &str,
    partitions: i32,
    config: &[(&'static str, String)],
) -> Result<(), BusError> {
    let copies = match settings.replication {
        0 => -1,
        copies => i32::from(copies),
    };
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(copies));
    for (key, value) in config {
        topic = topic.set(key, value);
    }
    let options = AdminOptions::new()
        .request_timeout(Some(WAIT))
        .operation_timeout(Some(WAIT));
    let results = client.create_topics([&topic], &options).await;
    match results.map_err(BusError::of)?.pop() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | Some(Ok(_)) => Ok(()),
        Some(Err((name, code))) => Err(BusError(format!("{name}: {code}"))),
        None => Err(BusError(
            "the cluster did not answer for the topic".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_with_a_wrong_number_of_partitions_are_told() {
        assert_eq!(topic_error(Partitions::AtLeast(6), 48), None);
        assert_eq!(topic_error(Partitions::One, 1), None);
        assert_eq!(topic_error(Partitions::AtLeast(1), 12), None);
        assert!(
            topic_error(Partitions::One, 4)
                .expect("told")
                .contains("exactly one")
        );
        assert!(
            topic_error(Partitions::AtLeast(6), 4)
                .expect("told")
                .contains("fewer than 6")
        );
    }
}
