//! Events of wallets (contract B8), read from the ledger's change feed: the feed is the outbox.
//!
//! **Boundary.** Nothing here is asked while a posting is decided. Each channel (the bus topics
//! and the webhooks) has a reader of its own with its own durable position, can fall behind
//! without holding up another, and can start again from any record.
//!
//! **Invariants.** Exactly one event for each wallet touched by a record that is an event of it;
//! `walletSeq` is 1, 2, 3 … for each wallet without gaps, and `eventId` follows from the record
//! and the wallet alone, so that a redelivery is byte for byte the same (INV-L21). A position
//! is saved after its events were accepted: they may come twice, never not at all. Of several
//! processes one at a time reads a channel, so that the order holds when they change hands.

mod envelope;
mod reader;
mod snapshot;

pub use envelope::{Envelope, WalletEvent, events_of};
pub use reader::{Channels, TOPIC_CHANNELS, WEBHOOKS_CHANNEL};

/// Every event name, for webhooks to be chosen from.
pub const NAMES: &[&str] = &[
    "WalletCreated",
    "WalletFrozen",
    "WalletUnfrozen",
    "WalletClosed",
    "WalletLimitsChanged",
    "FundsDeposited",
    "FundsWithdrawn",
    "FundsTransferred",
    "FundsPaid",
    "FundsRefunded",
    "FundsPaidOut",
    "HoldPlaced",
    "HoldVoided",
    "HoldExpired",
    "HoldCaptured",
    "TransactionReversed",
    "WalletAdjusted",
];
