//! Webhooks for all rooms: signed, retried, ordered, logged (contracts, "webhooks"; ledger-wallets
//! contract, B8).
//!
//! **Boundary.** Rooms hand in [`Event`]s with [`Webhooks::accept`]; who gets them, when, and how
//! it went is this module's business. What an event means is not. Secrets stay in the service
//! tables, because every try signs with them.
//!
//! **Invariants.**
//! - Events and the position of the feed they come from are stored in one transaction: an event
//!   is neither lost nor queued twice.
//! - A worker claims a delivery before it sends it, and no other sends it while the claim lasts;
//!   what a worker that died had claimed is sent again after [`CLAIM`].
//! - The next event of a key waits until the former one was accepted or parked.
//! - A delivery that was never accepted stays, parked, until somebody replays or deletes it.
//! - An event is sent only to endpoints that are older than it.
//! - While an endpoint is disabled, new events are not kept for it.
//! - Unless every target is allowed (`--unsafe-dev`), only public addresses are called, and only
//!   over TLS; redirects are not followed.

pub mod api;
mod model;
mod schedule;
mod service;
mod sign;
mod store;
mod worker;

use crate::sql::{Migration, Migrations};

pub use api::routes;
pub use model::{Delivery, Endpoint, Event, NUMBERED, State};
pub use schedule::{TRIES, wait_micros};
pub use service::{Head, HeadFuture, Settings, Webhooks};
pub use sign::SigningSecret;
pub use worker::CLAIM;

/// The tables of this module. Positions live in those of [`crate::bus`].
pub const MIGRATIONS: Migrations = Migrations {
    room: "webhooks",
    steps: &[
        Migration {
            version: 4,
            name: "webhooks",
            sqlite: include_str!("../../migrations/sqlite/0004_webhooks.sql"),
            postgres: include_str!("../../migrations/postgres/0004_webhooks.sql"),
        },
        Migration {
            version: 5,
            name: "webhooks_place",
            sqlite: include_str!("../../migrations/sqlite/0005_webhooks_place.sql"),
            postgres: include_str!("../../migrations/postgres/0005_webhooks_place.sql"),
        },
        Migration {
            version: 12,
            name: "webhooks_sequence",
            sqlite: include_str!("../../migrations/sqlite/0012_webhooks_sequence.sql"),
            postgres: include_str!("../../migrations/postgres/0012_webhooks_sequence.sql"),
        },
    ],
};

#[cfg(test)]
mod tests;
