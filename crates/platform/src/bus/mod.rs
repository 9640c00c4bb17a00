//! The event bus: where feed readers put what they read, and where rooms get what others send.
//!
//! **Boundary.** A bus carries bytes under a topic and a key and knows nothing of their meaning.
//! The default is [`LocalBus`], inside the process: it keeps nothing, and rooms of the same
//! process read the feed itself when they must not miss anything. With the feature `kafka` a
//! `kafka://` URL leads to a broker; [`open`] chooses.
//!
//! **Invariants.**
//! - [`Bus::publish`] answers only when every message was accepted, in order for each key; a
//!   reader saves its [`Positions`] after that, so that a message may come twice but never not
//!   at all.
//! - One process at a time publishes a topic of the feed: it holds the topic's [`Lease`], and
//!   [`Bus::take_over`] shuts out whoever published before.
//! - A consumer group's position is committed with the effect of the message ([`consume`]).

pub mod access;
pub mod consume;
#[cfg(feature = "kafka")]
pub mod kafka;
mod lease;
mod local;
mod positions;
mod settings;
pub mod topics;

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;

use crate::http::shutdown::Shutdown;
use crate::sql::Db;
use consume::Group;

pub use lease::{Lease, Leases, TTL as LEASE_TTL};
pub use local::{LocalBus, QUEUE_MAX, Subscription};
pub use positions::{MIGRATIONS, Positions};
pub use settings::{BusSettings, OpenError, open};
pub use topics::{LEDGER_CHANGES, WALLET_EVENTS, WALLET_SNAPSHOTS};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Messages of one key stay in order; empty on topics with a single order.
    pub key: Box<str>,
    /// Content.
    pub value: Bytes,
    /// Number of the record it comes from.
    pub seq: u64,
    /// The same on every delivery; receivers drop what they know.
    pub id: Box<str>,
    /// Further headers, in this order.
    pub headers: Vec<(Box<str>, Box<str>)>,
}

/// A bus did not accept messages; the same ones are to be published again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bus did not accept messages: {0}")]
pub struct BusError(pub String);

impl BusError {
    /// From anything that says what went wrong.
    pub fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A pending answer of a [`Bus`].
pub type Publishing<'a> = Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + 'a>>;

/// A member of a consumer group at work.
pub type Consuming = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries messages to whoever listens.
pub trait Bus: Send + Sync + 'static {
    /// False when nobody would get messages of this topic now; then making them is a waste.
    fn wants(&self, topic: &str) -> bool;

    /// Hands over messages in order; answers when all of them are accepted. After an error any
    /// of them may have been accepted, in order, and [`Bus::take_over`] comes before the next
    /// try.
    fn publish<'a>(&'a self, topic: &'a str, messages: Vec<Message>) -> Publishing<'a>;

    /// Makes this process the only publisher of a topic: what another one still has under way
    /// is refused or has arrived when this answers. The caller holds the topic's lease, and
    /// looks again that it does before it publishes.
    fn take_over<'a>(&'a self, _topic: &'a str) -> Publishing<'a> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether messages would be accepted now; answers within a second.
    fn probe(&self) -> Publishing<'_> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Takes part in a consumer group until draining begins; `db` has the positions. A bus that
    /// brings nothing from outside has nothing to hand over and only waits for the end.
    fn consume(self: Arc<Self>, _db: Db, _group: Group, shutdown: Shutdown) -> Consuming {
        Box::pin(async move { shutdown.drain().await })
    }
}
