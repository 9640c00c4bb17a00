//! The event bus: where feed readers put what they read.
//!
//! **Boundary.** A bus carries bytes under a topic and a key and knows nothing of their meaning.
//! The default is [`LocalBus`], inside the process; a broker is another [`Bus`].
//!
//! **Invariants.** [`Bus::publish`] answers only when every message was accepted, in order for
//! each key; a reader saves its [`Positions`] after that, so that a message may come twice but
//! never not at all.

mod local;
mod positions;

use std::{future::Future, pin::Pin};

use bytes::Bytes;

pub use local::{LocalBus, QUEUE_MAX, Subscription};
pub use positions::{MIGRATIONS, Positions};

/// Events of wallets, keyed by wallet.
pub const WALLET_EVENTS: &str = "wallet-events";
/// Wallets as they are, keyed by wallet; only the last of each key counts.
pub const WALLET_SNAPSHOTS: &str = "wallet-snapshots";
/// Lines of the ledger's feed in their total order, without a key.
pub const LEDGER_CHANGES: &str = "ledger-changes";

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Messages of one key stay in order; empty on topics with a single order.
    pub key: Box<str>,
    /// Content.
    pub value: Bytes,
    /// Number of the record it comes from.
    pub seq: u64,
}

/// A bus did not accept messages; the same ones are to be published again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bus did not accept messages: {0}")]
pub struct BusError(pub String);

/// A pending [`Bus::publish`].
pub type Publishing<'a> = Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + 'a>>;

/// Carries messages to whoever listens.
pub trait Bus: Send + Sync + 'static {
    /// False when nobody would get messages of this topic now; then making them is a waste.
    fn wants(&self, topic: &str) -> bool;

    /// Hands over messages in order; answers when all of them are accepted.
    fn publish<'a>(&'a self, topic: &'a str, messages: Vec<Message>) -> Publishing<'a>;
}
