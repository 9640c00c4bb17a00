//! The commands in a program with Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;

use florin_base::SystemClock;
use florin_platform::bus::BusSettings;
use florin_platform::bus::access::Grant;
use florin_platform::bus::kafka::admin::{self, Outcome};
use florin_platform::bus::kafka::dead_letters::{self, Deal};
use florin_platform::bus::kafka::lists::{self, Entry};
use florin_platform::bus::kafka::mock::MockBroker as Broker;
use florin_platform::bus::kafka::{KafkaBus, Reach};
use florin_platform::http::shutdown;
use serde_json::json;

use super::{Connection, DeadLetters, Letters, MockBroker, Topics};
use crate::cli::block_on;
use crate::config;
use crate::fail::{OrHint as _, failure};
use crate::out::{Output, table};

const AWAY: &str = "the brokers of bus.url must be reachable from here; florin doctor looks closer";

fn cluster(connection: &Connection) -> anyhow::Result<Arc<Reach>> {
    let settings = config::load(&connection.config, Vec::new())?.config.bus;
    let reach = Reach::open(&settings);
    reach.map_err(|error| failure(error.to_string(), error.remedy))
}

pub fn topics(command: Topics, output: Output) -> anyhow::Result<u8> {
    let outcomes = match command {
        Topics::List(connection) => {
            let reach = cluster(&connection)?;
            block_on(async { admin::list(&reach).await.or_hint(AWAY) })?
        }
        Topics::Apply(connection) => {
            let reach = cluster(&connection)?;
            block_on(async { admin::apply(&reach).await.or_hint(AWAY) })?
        }
    };
    let wrong = outcomes.iter().any(|outcome| outcome.error.is_some());
    output.print(&json!({"topics": outcomes}), || {
        let row = |outcome: &Outcome| {
            let state = match (&outcome.error, outcome.created) {
                (Some(error), _) => error.clone(),
                (None, true) => "created".to_owned(),
                (None, false) => "ok".to_owned(),
            };
            vec![outcome.name.clone(), outcome.partitions.to_string(), state]
        };
        let rows: Vec<_> = outcomes.iter().map(row).collect();
        table(&["topic", "partitions", "state"], &rows)
    })?;
    Ok(u8::from(wrong))
}

/// Adds what is missing; answers with it, by user.
pub fn add_lists(
    settings: &BusSettings,
    users: Vec<(String, Vec<Grant>)>,
) -> anyhow::Result<Vec<(String, Vec<Grant>)>> {
    let reach = Reach::open(settings);
    let reach = reach.map_err(|error| failure(error.to_string(), error.remedy))?;
    let entries = users.into_iter().flat_map(|(user, grants)| {
        let entry = move |grant| Entry {
            user: user.clone(),
            grant,
        };
        grants.into_iter().map(entry)
    });
    let entries: Vec<Entry> = entries.collect();
    let added = block_on(async {
        let missing = lists::missing(&reach, &entries).await.or_hint(AWAY)?;
        if !missing.is_empty() {
            lists::add(&reach, &missing).await.or_hint(AWAY)?;
        }
        anyhow::Ok(missing)
    })?;
    let mut users: BTreeMap<String, Vec<Grant>> = BTreeMap::new();
    for Entry { user, grant } in added {
        users.entry(user).or_default().push(grant);
    }
    Ok(users.into_iter().collect())
}

fn bus(letters: &Letters) -> anyhow::Result<(KafkaBus, String)> {
    let bus = KafkaBus::new(cluster(&letters.connection)?, Arc::new(SystemClock))?;
    let topic = bus.full_name(&letters.topic);
    Ok((bus, topic))
}

pub fn dead_letters(command: DeadLetters, output: Output) -> anyhow::Result<u8> {
    let (letters, deal) = match command {
        DeadLetters::List(letters) => return list(&letters, output),
        DeadLetters::Redrive(letters) => (letters, Deal::Redrive),
        DeadLetters::Discard(letters) => (letters, Deal::Discard),
    };
    let dealt = block_on(async {
        let (bus, topic) = bus(&letters)?;
        let dealt = dead_letters::deal(&bus, &topic, letters.limit, deal).await;
        dealt.or_hint(AWAY)
    })?;
    let word = match deal {
        Deal::Redrive => "redriven",
        Deal::Discard => "discarded",
    };
    output.print(&json!({word: dealt}), || format!("{dealt} {word}"))?;
    Ok(0)
}

fn list(letters: &Letters, output: Output) -> anyhow::Result<u8> {
    let found = block_on(async {
        let (bus, topic) = bus(letters)?;
        let found = dead_letters::list(&bus, &topic, letters.limit).await;
        found.or_hint(AWAY)
    })?;
    output.print(&json!({"items": found}), || {
        let row = |letter: &dead_letters::DeadLetter| {
            vec![
                letter.place.to_string(),
                letter.reason.clone(),
                letter.key.clone(),
                format!("{}[{}]@{}", letter.topic, letter.partition, letter.offset),
                letter.at.clone(),
                letter.detail.clone(),
            ]
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        table(&["place", "reason", "key", "from", "at", "detail"], &rows)
    })?;
    Ok(0)
}

pub fn mock_broker(command: MockBroker, output: Output) -> anyhow::Result<u8> {
    let loaded = config::load(&command.connection.config, Vec::new())?;
    let settings = loaded.config.bus;
    block_on(async move {
        let broker = Broker::start(command.brokers, &settings)?;
        for topic in &command.topic {
            let partitions = i32::from(settings.partitions);
            broker.create(&format!("{}{topic}", settings.prefix), partitions)?;
        }
        let brokers = broker.brokers();
        output.print(&json!({"url": format!("kafka://{brokers}")}), || {
            format!("kafka://{brokers}\nset FLORIN__BUS__CREATE_TOPICS=false; Ctrl-C ends it")
        })?;
        let (_trigger, shutdown) = shutdown::on_signals()?;
        shutdown.drain().await;
        Ok(0)
    })
}
