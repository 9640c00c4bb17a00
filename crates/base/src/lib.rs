//! What every Florin crate may use and nothing else: money, ids, time, clocks and CSV records.
//!
//! **Boundary.** No I/O apart from reading the clock, the system's random source and a stream
//! that is handed in, no async, no dependency on another Florin crate. Everything else in Florin
//! may import this crate; it imports none of them.
//!
//! **Invariants.**
//! - Amounts are whole minor units in checked integers; no floating point anywhere.
//! - A [`Timestamp`] is UTC with microsecond resolution, and its text form always has exactly
//!   six fraction digits and `Z`.
//! - Time and chance are passed in through [`Clock`] and [`IdSource`]; only [`clock`] and
//!   [`ids`] touch the system sources.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod clock;
pub mod csv;
pub mod ids;
pub mod money;
pub mod secret;
pub mod time;

pub use clock::{Clock, DevClock, SystemClock};
pub use ids::IdSource;
pub use money::{AmountError, Decimal, Signed};
pub use secret::Secret;
pub use time::Timestamp;
