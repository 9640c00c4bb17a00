//! Ticketing: organisers publish events and sell tickets, buyers pay, gates scan, and anybody can
//! check that a ticket was really issued (contract `ticketing`).
//!
//! **Purpose.** Events with stock that cannot be oversold, orders paid from a wallet, by card or
//! free, tickets that a gate can check with or without a network, and every cent in the ledger.
//!
//! **Boundary.** Keeps no balance: money is decided and kept by the ledger, under transfer ids
//! derived from the order, refund or payout. Imports `base`, `ledger` and `platform`, and no other
//! room. The money provider is reached through [`card::Provider`].
//!
//! **Invariants.** Those of the contract (H2). The ones that shape the code:
//! - held + sold ≤ quantity of each type and pool is a constraint of the store (INV-T1); a hold is
//!   a row that leaves `held` exactly once, in the transaction that moves the counters (INV-T3).
//! - What an order moved is found again by its ids after any crash, and ended or undone.
//! - Personal fields are encrypted under a key per person ([`privacy`]); destroying it erases them.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod analytics;
pub mod api;
pub mod card;
pub mod events;
pub mod fake_stripe;
pub mod gate;
pub mod limits;
pub mod mail;
pub mod model;
pub mod money;
pub mod orders;
pub mod outbox;
pub mod privacy;
pub mod provenance;
mod room;
pub mod settings;
pub mod store;
pub mod tickets;
pub mod worker;

pub use room::{Inner, Parts, Secrets, Ticketing};
pub use settings::Settings;

/// Names of all events that this room tells organisers (contract F).
pub const EVENT_NAMES: [&str; 31] = [
    "event.published",
    "event.updated",
    "event.sold_out",
    "event.postponed",
    "event.rescheduled",
    "event.cancelled",
    "event.completed",
    "order.reserved",
    "order.confirmed",
    "order.expired",
    "order.cancelled",
    "order.refunded",
    "order.partially_refunded",
    "payment.failed",
    "payment.late_returned",
    "refund.created",
    "refund.succeeded",
    "refund.failed",
    "ticket.issued",
    "ticket.transferred",
    "ticket.voided",
    "ticket.checked_in",
    "ticket.conflict",
    "dispute.opened",
    "dispute.won",
    "dispute.lost",
    "payout.created",
    "payout.paid",
    "payout.failed",
    "export.ready",
    "ping",
];
