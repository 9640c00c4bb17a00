//! Readers of the change feed, one for each channel, each with a durable position.
//!
//! Of several processes one reads a channel at a time: the holder of its lease. What a reader
//! that was succeeded still tries is refused: its topic was taken over, and its position moves
//! only from where it saw it last.

use std::{collections::BTreeSet, fmt::Display, future::Future, sync::Arc, time::Duration};

use florin_base::Clock;
use florin_ledger::{Ledger, ReadView};
use florin_platform::{
    bus::{
        Bus, LEDGER_CHANGES, Lease, Leases, Message, Positions, WALLET_EVENTS, WALLET_SNAPSHOTS,
    },
    http::shutdown::Shutdown,
    webhooks::{Event, Webhooks},
};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use uuid::Uuid;

use super::{envelope::events_of, snapshot};
use crate::model::money::Id;

/// Name of the webhooks' channel.
pub const WEBHOOKS_CHANNEL: &str = "webhooks";
/// The channels that are topics of the bus.
pub const TOPIC_CHANNELS: [&str; 3] = [LEDGER_CHANGES, WALLET_EVENTS, WALLET_SNAPSHOTS];

/// Records read at a time: what waits in memory while a broker is away.
const CHUNK: usize = 1_000;
/// First and last wait between two tries after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
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
    /// Who may read: this process alone, or one of several.
    pub leases: Leases,
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

/// Why a chunk was not given.
enum Failed {
    /// It is given again.
    Again(String),
    /// Another reader has the channel, or has moved its position.
    Lost,
}

impl Failed {
    fn of(error: impl Display) -> Self {
        Self::Again(error.to_string())
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
    lease: Lease,
    /// This reader's is the only publisher of its topic.
    taken_over: bool,
    /// Last `seq` given to the channel, or that nobody wanted.
    position: u64,
    saved: u64,
    saved_at: Instant,
}

impl Reader {
    fn new(channels: Channels, target: Target) -> Self {
        let lease = channels.leases.lease(format!("feed/{}", target.channel()));
        Self {
            channels,
            target,
            lease,
            taken_over: false,
            position: 0,
            saved: 0,
            saved_at: Instant::now(),
        }
    }

    async fn run(mut self, shutdown: Shutdown) {
        let work = async {
            loop {
                let clock = Arc::clone(&self.channels.clock);
                self.lease.acquire(|| clock.wall_micros()).await;
                if self.read().await.is_ok() {
                    return;
                }
                let channel = self.target.channel();
                tracing::info!(channel, "another reader has the channel");
                self.taken_over = false;
                // Nothing of what was given and not saved is this reader's to save.
                self.position = self.saved;
            }
        };
        tokio::select! {
            () = shutdown.drain() => {}
            () = work => {}
        }
        // Whoever comes next looks at the position first.
        if self.save().await.is_ok() {
            self.lease.release(self.channels.clock.wall_micros()).await;
        }
    }

    /// Gives what is recorded from now on, as long as the lease is held. `Ok` when the ledger
    /// is closed.
    async fn read(&mut self) -> Result<(), Failed> {
        self.load().await;
        let mut watch = self.channels.ledger.watch();
        watch.mark_changed();
        let mut wait = RETRY.0;
        while self.news(&mut watch).await? {
            let end = *watch.borrow_and_update();
            loop {
                match self.catch_up(end).await {
                    Ok(()) => break,
                    Err(Failed::Lost) => return Err(Failed::Lost),
                    Err(Failed::Again(error)) => {
                        let channel = self.target.channel();
                        metrics::counter!("wallet_outbox_events_failed_total").increment(1);
                        tracing::warn!(channel, error, "events could not be given; trying again");
                        self.taken_over = false;
                        self.guard(tokio::time::sleep(wait)).await?;
                        wait = (wait * 2).min(RETRY.1);
                    }
                }
            }
            wait = RETRY.0;
        }
        Ok(())
    }

    /// Does something that may take long, and holds on to the lease meanwhile.
    async fn guard<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failed> {
        let Some(rhythm) = self.lease.rhythm() else {
            return Ok(work.await);
        };
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = tokio::time::sleep(rhythm) => {}
            }
            self.hold().await?;
        }
    }

    /// Goes on holding the lease.
    async fn hold(&mut self) -> Result<(), Failed> {
        match self.lease.check(self.channels.clock.wall_micros()).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Failed::Lost),
        }
    }

    /// Waits for records; saves the position when none come. False when the ledger is closed.
    async fn news(&mut self, watch: &mut watch::Receiver<u64>) -> Result<bool, Failed> {
        if self.saved != self.position {
            match tokio::time::timeout(SAVE_GIVEN, watch.changed()).await {
                Ok(changed) => return Ok(changed.is_ok()),
                Err(_) => self.save().await?,
            }
        }
        Ok(self.guard(watch.changed()).await?.is_ok())
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
                    tokio::time::sleep(RETRY.0).await;
                }
            }
        }
    }

    async fn save(&mut self) -> Result<(), Failed> {
        if self.saved == self.position {
            return Ok(());
        }
        let now = self.channels.clock.wall_micros();
        let channel = self.target.channel();
        let positions = &self.channels.positions;
        let moved = positions.advance(channel, self.saved, self.position, now);
        match moved.await {
            Ok(true) => {
                self.saved = self.position;
                self.saved_at = Instant::now();
                Ok(())
            }
            Ok(false) => Err(Failed::Lost),
            // The older position is as good: what follows it is given again.
            Err(error) => {
                tracing::warn!(channel, %error, "a feed position could not be saved");
                Ok(())
            }
        }
    }

    /// Moves on to the end without reading, if nobody wants anything now.
    async fn skip(&mut self, end: u64) -> Result<bool, Failed> {
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
            self.save().await?;
        }
        Ok(idle)
    }

    /// Gives everything up to the end.
    async fn catch_up(&mut self, end: u64) -> Result<(), Failed> {
        let channel = self.target.channel();
        let records = metrics::gauge!("event_lag_records", "channel" => channel);
        let seconds = metrics::gauge!("event_lag_seconds", "channel" => channel);
        records.set(records_behind(end, self.position));
        if self.position >= end || self.skip(end).await? {
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
        let last = chunk.last;
        self.hold().await?;
        if self.target == Target::Webhooks {
            let webhooks = &self.channels.webhooks;
            let accepted = webhooks.accept(WEBHOOKS_CHANNEL, last, &chunk.events);
            if accepted.await.map_err(Failed::of)? {
                self.saved = last;
                self.saved_at = Instant::now();
            }
        } else {
            let messages = match self.target {
                Target::Snapshots => snapshots(&self.channels.ledger, chunk.wallets).await?,
                _ => chunk.messages,
            };
            self.publish(messages).await?;
        }
        self.position = last;
        if self.saved_at.elapsed() >= SAVE_GIVEN {
            self.save().await?;
        }
        Ok(())
    }

    async fn publish(&mut self, messages: Vec<Message>) -> Result<(), Failed> {
        let (topic, bus) = (self.target.channel(), Arc::clone(&self.channels.bus));
        if !self.taken_over {
            let taken = self.guard(bus.take_over(topic)).await?;
            taken.map_err(Failed::of)?;
            // Only now is it sure that nobody has succeeded this reader before it shut the
            // others out.
            let now = self.channels.clock.wall_micros();
            if !self.lease.beat(now).await.unwrap_or(false) {
                return Err(Failed::Lost);
            }
            self.taken_over = true;
        }
        let published = self.guard(bus.publish(topic, messages)).await?;
        published.map_err(Failed::of)
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
            chunk.messages.push(Message {
                key: Box::default(),
                value,
                seq,
                id: id_of(ledger, &seq.to_string()),
                headers: Vec::new(),
            });
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
                    recorded_at: None,
                    body: json.into(),
                }),
                _ => chunk.messages.push(Message {
                    key,
                    value: json.into(),
                    seq,
                    id: event.envelope.event_id.0.to_string().into(),
                    headers: Vec::new(),
                }),
            }
        }
    }
    Ok(chunk)
}

/// Identity of a message that has no event id: the same on every delivery.
fn id_of(ledger: &Ledger, name: &str) -> Box<str> {
    let id = Uuid::new_v5(&ledger.ledger_id(), name.as_bytes());
    id.to_string().into()
}

async fn snapshots(ledger: &Ledger, wallets: BTreeSet<u128>) -> Result<Vec<Message>, Failed> {
    let mut messages = Vec::with_capacity(wallets.len());
    for wallet in wallets {
        if let Some((json, seq)) = snapshot::of(ledger, wallet).await.map_err(Failed::of)? {
            let key = Id(wallet).to_string();
            messages.push(Message {
                id: id_of(ledger, &format!("snapshot/{seq}/{key}")),
                key: key.into(),
                value: json.into(),
                seq,
                headers: Vec::new(),
            });
        }
    }
    Ok(messages)
}
