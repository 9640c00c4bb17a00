//! The heart of Florin: a double-entry ledger in integer minor units.
//!
//! **Purpose.** Decide transfers by one rule book ([`rules`]), keep them durably in an
//! append-only [`journal`], answer reads from memory and from a derived, rebuildable
//! [`index`], publish every record once and in order (the change feed), and prove all of it
//! ([`proof`]).
//!
//! **Boundary.** No HTTP, no configuration files, no knowledge of users beyond the owner name
//! of a wallet. Imports only `florin-base`. The rules know no clock and no I/O.
//!
//! **Invariants** (numbers of the contract): per asset Σ debits = Σ credits at every `seq`
//! (INV-L1, INV-L2); stored balances equal the fold of the records (INV-L3); an id has one
//! outcome for ever (INV-L5); `seq` has no gaps and `recordedAt` never falls (INV-L7); nothing
//! is answered before it is durable (INV-L10); a refusal adds no record (INV-L12).
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod call;
pub mod checkpoints;
pub mod codes;
pub mod csv;
pub mod engine;
pub mod exchange;
mod handle;
pub mod index;
pub mod journal;
pub mod migrate;
pub mod model;
pub mod policy;
mod postgres;
pub mod proof;
pub mod record;
pub mod rules;
pub mod verify;
mod view;

pub use call::{Answer, Call, Outcome, Query, Unavailable, View};
pub use codes::ResultCode;
pub use engine::{OpenError, OpenOptions};
pub use handle::Ledger;
pub use policy::Policy;
pub use postgres::{ArchiveError, Archived, Part, PostgresOptions, Sequencing};
pub use view::ReadView;
