//! The shadow ledger: a second, independent record of accounts that somebody else keeps.
//!
//! **Purpose.** Take the events of a core banking system, a bank or our own ledger in whatever
//! order they come, say what the balance must be at any instant, compare it with what is
//! reported, explain the difference by evidence and repair it under control (contract
//! `shadow-ledger`).
//!
//! **Boundary.** Shadows and never moves money: only a linked book's correction posts a ledger
//! transfer, through a trait that `app` wires. Imports `base` and `platform`; no other room.
//!
//! **Invariants.**
//! - Everything is a record in the append-only `shadow_log`; entries, books, blocks and states
//!   are derived from it by one reducer ([`model::reducer`]) and may be made again.
//! - One writer per store decides and appends; a record, what it changes and what it says to the
//!   outside are one transaction.
//! - The order of events is ([`model::Key`]) timestamp and id, never arrival.
//! - Amounts are whole minor units in checked 128-bit integers; no float anywhere.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod api;
pub mod corrections;
pub mod drift;
pub mod intake;
pub mod links;
pub mod matching;
pub mod model;
pub mod monitors;
pub mod statements;
pub mod store;
pub mod worker;

/// Names of all events that this room emits (contract E).
pub const EVENT_NAMES: [&str; 24] = [
    "shadow.event.applied",
    "shadow.event.held",
    "shadow.event.flipped",
    "shadow.event.rejected",
    "shadow.event.held_for_review",
    "shadow.event.conflict",
    "shadow.dead_letter.parked",
    "shadow.dead_letter.redriven",
    "shadow.dead_letter.discarded",
    "shadow.drift.detected",
    "shadow.drift.cleared",
    "shadow.correction.proposed",
    "shadow.correction.approved",
    "shadow.correction.applied",
    "shadow.correction.rejected",
    "shadow.correction.reversed",
    "shadow.statement.imported",
    "shadow.statement.refused",
    "shadow.reconciliation.finished",
    "shadow.match.created",
    "shadow.match.undone",
    "shadow.alert.raised",
    "shadow.alert.cleared",
    "shadow.rebuild.finished",
];
