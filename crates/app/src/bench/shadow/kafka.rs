//! Intake from Kafka on PostgreSQL: messages are there before the server starts, so that its own
//! pace is measured and not that of the generator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use florin_base::SystemClock;
use florin_platform::bus::kafka::mock::MockBroker;
use florin_platform::bus::{self, BusSettings, Message};
use florin_shadow::worker::topics::RAW;

use super::intake::{self, BASE};
use super::place::Place;
use super::{Row, Shadow, number, rate};

/// Messages of one publication.
const CHUNK: u64 = 2_000;
/// Longest wait for the end.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(50);

fn settings(url: &str) -> BusSettings {
    BusSettings {
        url: url.to_owned(),
        create_topics: false,
        transactions: false,
        ..BusSettings::default()
    }
}

/// Publishes, then starts a server and waits until it has taken everything.
pub fn measure(shadow: &Shadow, postgres: &str, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let count = shadow.messages;
    let mut broker = None;
    let brokers = match &shadow.brokers {
        Some(given) => given.clone(),
        None => {
            let started = MockBroker::start(1, &settings("kafka://127.0.0.1:1"))?;
            let address = started.brokers();
            broker = Some(started);
            address
        }
    };
    let url = format!("kafka://{brokers}");
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(publish(&settings(&url), count, shadow.books))?;
    let schema = format!("florin_bench_{}", std::process::id());
    let create = if broker.is_some() { "false" } else { "true" };
    let env = [
        ("FLORIN__BUS__URL", url.as_str()),
        ("FLORIN__BUS__CREATE_TOPICS", create),
        ("FLORIN__BUS__TRANSACTIONS", "false"),
        ("FLORIN__DATABASE__URL", postgres),
        ("FLORIN__DATABASE__SCHEMA", schema.as_str()),
    ];
    let place = Place::start(&shadow.dir, "kafka", &env)?;
    let took = taken(&place, count)?;
    place.stop()?;
    drop(broker);
    let kind = if shadow.brokers.is_some() {
        ""
    } else {
        " (librdkafka's own broker)"
    };
    rows.push(Row::new(
        format!("{} events from Kafka{kind} on PostgreSQL", number(count)),
        format!("{} events/s", rate(count, took)),
        "≥ 10,000 events/s",
    ));
    Ok(())
}

async fn publish(settings: &BusSettings, count: u64, books: u64) -> anyhow::Result<()> {
    let bus = bus::open(settings, Arc::new(SystemClock))?;
    let mut from = 0;
    while from < count {
        let to = (from + CHUNK).min(count);
        let messages = (from..to).map(|n| {
            let account = format!("A{}", intake::spread(n, books));
            let mut value = Vec::new();
            intake::put("k-", n, &account, BASE + n, &mut value);
            Message {
                key: account.into(),
                value: value.into(),
                seq: n,
                id: format!("k-{n}").into(),
                headers: Vec::new(),
            }
        });
        bus.publish(RAW, messages.collect()).await?;
        from = to;
    }
    Ok(())
}

/// From the first record to the one that made the log as long as there are messages.
fn taken(place: &Place, count: u64) -> anyhow::Result<Duration> {
    let mut auditor = place.auditor()?;
    let started = Instant::now();
    let mut first: Option<(Instant, u64)> = None;
    loop {
        // A server that works at its limit may answer 503 for a moment.
        let seq = match auditor.get("/api/v1/shadow/log/head") {
            Ok((head, _)) => head["logSeq"].as_u64().context("logSeq")?,
            Err(error) if started.elapsed() > PATIENCE => return Err(error),
            Err(_) => {
                super::pause(LOOK);
                continue;
            }
        };
        if seq > 0 && first.is_none() {
            first = Some((Instant::now(), seq));
        }
        if seq >= count {
            let (since, before) = first.unwrap_or((started, 0));
            // What was there at the first look is counted as fast as the rest.
            let rest = since.elapsed().as_secs_f64();
            let share = count as f64 / (count - before.min(count - 1)) as f64;
            return Ok(Duration::from_secs_f64(rest * share));
        }
        if started.elapsed() > PATIENCE {
            bail!("{seq} of {count} messages were taken");
        }
        super::pause(LOOK);
    }
}
