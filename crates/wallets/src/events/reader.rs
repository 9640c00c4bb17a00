//! Readers of the change feed, one for each channel, each with a durable position.

use std::{collections::BTreeSet, fmt::Display, sync::Arc, time::Duration};

use florin_base::Clock;
use florin_ledger::{Ledger, ReadView};
use florin_platform::{
    bus::{Bus, LEDGER_CHANGES, Message, Positions, WALLET_EVENTS, WALLET_SNAPSHOTS},
    http::shutdown::Shutdown,
    webhooks::{Event, Webhooks},
};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{envelope::events_of, snapshot};
use crate::model::money::Id;

/// Name of the webhooks' channel.
pub const WEBHOOKS_CHANNEL: &str = "webhooks";

/// Records read at a time.
const CHUNK: usize = 256;
/// Time between two tries after a failure.
const RETRY: Duration = Duration::from_millis(500);
/// A position that moved over records nobody wanted is saved this often.
const SAVE_SKIPPED: Duration = Duration::from_secs(10);
/// A position that moved over records that were given is saved this often, and when the feed is
/// quiet for so long. What follows the saved one may come twice after a crash.
const SAVE_GIVEN: Duration = Duration::from_secs(1);

/// Everything that reads the feed.
#[derive(Clone)]
pub struct Channels {
    /// The ledger.
    pub ledger: Ledger,
    /// Where topics go.
    pub bus: Arc<dyn Bus>,
    /// Where webhooks go.
    pub webhooks: Webhooks,
    /// Where positions are kept.
    pub positions: Positions,
    /// Stamps saved positions, for people who read the table.
    pub clock: Arc<dyn Clock>,
}

/// Where a reader puts what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Changes,
    Events,
    Snapshots,
    Webhooks,
}

impl Target {
    const ALL: [Self; 4] = [Self::Changes, Self::Events, Self::Snapshots, Self::Webhooks];

    const fn channel(self) -> &'static str {
        match self {
            Self::Changes => LEDGER_CHANGES,
            Self::Events => WALLET_EVENTS,
            Self::Snapshots => WALLET_SNAPSHOTS,
            Self::Webhooks => WEBHOOKS_CHANNEL,
        }
    }
}

/// Why a chunk was not given; it is given again.
struct Failed(String);

impl Failed {
    fn of(error: impl Display) -> Self {
        Self(error.to_string())
    }
}

/// What a chunk of records came to.
struct Chunk {
    last: u64,
    /// Ledger time of the last record, in microseconds.
    recorded_at: i64,
    messages: Vec<Message>,
    events: Vec<Event>,
    wallets: BTreeSet<u128>,
}

impl Channels {
    /// Reads the feed into all channels until the server drains.
    pub async fn run(self, shutdown: Shutdown) {
        let mut readers = JoinSet::new();
        for target in Target::ALL {
            let reader = Reader::new(self.clone(), target);
            readers.spawn(reader.run(shutdown.clone()));
        }
        while readers.join_next().await.is_some() {}
    }
}

struct Reader {
    channels: Channels,
    target: Target,
    /// Last `seq` given to the channel, or that nobody wanted.
    position: u64,
    saved: u64,
    saved_at: Instant,
}

impl Reader {
    fn new(channels: Channels, target: Target) -> Self {
        Self {
            channels,
            target,
            position: 0,
            saved: 0,
            saved_at: Instant::now(),
        }
    }

    async fn run(mut self, shutdown: Shutdown) {
        let work = async {
            self.load().await;
            let mut watch = self.channels.ledger.watch();
            watch.mark_changed();
            while self.news(&mut watch).await {
                let end = *watch.borrow_and_update();
                while let Err(Failed(error)) = self.catch_up(end).await {
                    let channel = self.target.channel();
                    metrics::counter!("wallet_outbox_events_failed_total").increment(1);
                    tracing::warn!(channel, error, "events could not be given; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        tokio::select! {
            () = shutdown.drain() => {}
            () = work => {}
        }
        self.save().await;
    }

    /// Waits for records; saves the position when none come. False when the ledger is closed.
    async fn news(&mut self, watch: &mut watch::Receiver<u64>) -> bool {
        if self.saved != self.position {
            match tokio::time::timeout(SAVE_GIVEN, watch.changed()).await {
                Ok(changed) => return changed.is_ok(),
                Err(_) => self.save().await,
            }
        }
        watch.changed().await.is_ok()
    }

    /// A position that cannot be read must not be taken for the beginning.
    async fn load(&mut self) {
        loop {
            match self.channels.positions.load(self.target.channel()).await {
                Ok(found) => {
                    self.position = found.unwrap_or(0);
                    self.saved = self.position;
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "a feed position could not be read; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn save(&mut self) {
        if self.saved == self.position {
            return;
        }
        let now = self.channels.clock.wall_micros();
        let channel = self.target.channel();
        match self
            .channels
            .positions
            .save(channel, self.position, now)
            .await
        {
            Ok(()) => {
                self.saved = self.position;
                self.saved_at = Instant::now();
            }
            // The older position is as good: what follows it is given again.
            Err(error) => tracing::warn!(channel, %error, "a feed position could not be saved"),
        }
    }

    /// Moves on to the end without reading, if nobody wants anything now.
    async fn skip(&mut self, end: u64) -> bool {
        let idle = match self.target {
            Target::Webhooks => {
                // No endpoint can be added between the look and the step.
                let _gate = self.channels.webhooks.gate().await;
                let idle = self.channels.webhooks.is_idle();
                if idle {
                    self.position = self.position.max(end);
                }
                idle
            }
            topic => {
                let idle = !self.channels.bus.wants(topic.channel());
                if idle {
                    self.position = self.position.max(end);
                }
                idle
            }
        };
        if idle && self.saved_at.elapsed() >= SAVE_SKIPPED {
            self.save().await;
        }
        idle
    }

    /// Gives everything up to the end.
    async fn catch_up(&mut self, end: u64) -> Result<(), Failed> {
        let channel = self.target.channel();
        let records = metrics::gauge!("event_lag_records", "channel" => channel);
        let seconds = metrics::gauge!("event_lag_seconds", "channel" => channel);
        records.set(records_behind(end, self.position));
        if self.position >= end || self.skip(end).await {
            records.set(0.0);
            seconds.set(0.0);
            return Ok(());
        }
        let view = self.channels.ledger.read_view().await.map_err(Failed::of)?;
        while self.position < view.seq() {
            let (target, after) = (self.target, self.position);
            let (ledger, view) = (self.channels.ledger.clone(), view.clone());
            let read = move || read_chunk(&ledger, &view, target, after);
            let chunk = tokio::task::spawn_blocking(read)
                .await
                .map_err(Failed::of)??;
            let (last, recorded_at) = (chunk.last, chunk.recorded_at);
            let created = (chunk.messages.len() + chunk.events.len()) as u64;
            if target != Target::Changes {
                metrics::counter!("wallet_outbox_events_created_total").increment(created);
            }
            let started = Instant::now();
            self.give(chunk).await?;
            let took = started.elapsed();
            metrics::histogram!("wallet_outbox_publishing_duration_seconds").record(took);
            if target != Target::Changes {
                metrics::counter!("wallet_outbox_events_published_total").increment(created);
            }
            self.position = last;
            records.set(records_behind(end, last));
            seconds.set(seconds_since(
                recorded_at,
                self.channels.clock.wall_micros(),
            ));
        }
        seconds.set(0.0);
        Ok(())
    }

    async fn give(&mut self, chunk: Chunk) -> Result<(), Failed> {
        let channel = self.target.channel();
        let last = chunk.last;
        let bus = &self.channels.bus;
        let published = match self.target {
            Target::Webhooks => {
                let webhooks = &self.channels.webhooks;
                let accepted = webhooks.accept(channel, last, &chunk.events).await;
                if accepted.map_err(Failed::of)? {
                    self.saved = last;
                    self.saved_at = Instant::now();
                }
                Ok(())
            }
            Target::Snapshots => {
                let messages = snapshots(&self.channels.ledger, chunk.wallets).await?;
                bus.publish(channel, messages).await
            }
            Target::Changes | Target::Events => bus.publish(channel, chunk.messages).await,
        };
        published.map_err(Failed::of)?;
        self.position = last;
        if self.saved_at.elapsed() >= SAVE_GIVEN {
            self.save().await;
        }
        Ok(())
    }
}

/// Records behind, as metrics want it.
fn records_behind(end: u64, position: u64) -> f64 {
    end.saturating_sub(position) as f64
}

/// Age of a record in seconds, as metrics want it.
#[allow(
    clippy::float_arithmetic,
    reason = "a gauge is a float; no money is counted here"
)]
fn seconds_since(recorded_at: i64, now: i64) -> f64 {
    now.saturating_sub(recorded_at).max(0) as f64 / 1e6
}

fn read_chunk(
    ledger: &Ledger,
    view: &ReadView,
    target: Target,
    after: u64,
) -> Result<Chunk, Failed> {
    let mut chunk = Chunk {
        last: after,
        recorded_at: view
            .record(after + 1)
            .map_err(Failed::of)?
            .recorded_at
            .micros(),
        messages: Vec::new(),
        events: Vec::new(),
        wallets: BTreeSet::new(),
    };
    let end = view.seq().min(after + CHUNK as u64);
    for seq in after + 1..=end {
        chunk.last = seq;
        if target == Target::Changes {
            let value = view.line(seq).map_err(Failed::of)?.into();
            let key = Box::default();
            chunk.messages.push(Message { key, value, seq });
            continue;
        }
        let record = view.record(seq).map_err(Failed::of)?;
        chunk.recorded_at = record.recorded_at.micros();
        if target == Target::Snapshots {
            let wallet = |slot| ledger.facts(slot).id.wallet();
            let touched = record.touches.iter().filter_map(|touch| wallet(touch.slot));
            chunk.wallets.extend(touched);
            continue;
        }
        for event in events_of(ledger, view, &record).map_err(Failed::of)? {
            let key: Box<str> = Id(event.wallet).to_string().into();
            let json = event.json();
            match target {
                Target::Webhooks => chunk.events.push(Event {
                    id: event.envelope.event_id.0.to_string().into(),
                    event_type: event.envelope.event_type.into(),
                    key,
                    seq,
                    body: json.into(),
                }),
                _ => chunk.messages.push(Message {
                    key,
                    value: json.into(),
                    seq,
                }),
            }
        }
    }
    Ok(chunk)
}

async fn snapshots(ledger: &Ledger, wallets: BTreeSet<u128>) -> Result<Vec<Message>, Failed> {
    let mut messages = Vec::with_capacity(wallets.len());
    for wallet in wallets {
        if let Some((json, seq)) = snapshot::of(ledger, wallet).await.map_err(Failed::of)? {
            let key = Id(wallet).to_string().into();
            messages.push(Message {
                key,
                value: json.into(),
                seq,
            });
        }
    }
    Ok(messages)
}
