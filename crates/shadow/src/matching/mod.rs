//! Matching of statement lines and entries, and the report (contract D2, D3).
//!
//! **Boundary.** [`item`], [`engine`] and [`bridge`] are pure: what is open in, matches and
//! reasons out. Everything that reads tables or writes them is called through [`service`].
//!
//! **Invariants.** A line and an entry are in at most one active match, which the tables
//! guarantee too; the same items give the same matches in whatever order they come (INV-S21);
//! the bridge holds to the minor unit or the run has failed (INV-S22).

pub mod bridge;
pub mod engine;
mod flips;
pub mod gather;
mod groups;
pub mod hooks;
pub mod item;
mod load;
pub mod manual;
mod measures;
mod pairs;
mod record;
pub mod report;
pub mod rows;
pub mod run;
pub mod service;
mod state;
pub mod summary;
mod sums;
pub mod watch;

/// Days between a line and an entry of the same reference (contract D2, R1).
pub const R1_DAYS: i32 = 30;
/// Days between a line and an entry of the same amount, and between an item and the parts of
/// its sum (R2, R4).
pub const R2_DAYS: i32 = 3;
/// Most items of a sum (R4).
pub const R4_ITEMS_MAX: usize = 5;
/// Most candidates of a sum (R4).
pub const R4_CANDIDATES_MAX: usize = 40;
/// Most steps of one search for a sum (R4).
pub const R4_STEPS_MAX: u64 = 200_000;
/// Most steps of all searches of a run; what comes after them has met a bound.
pub const R4_RUN_STEPS_MAX: u64 = 400_000_000;
/// Most candidate sets that are shown.
pub const CANDIDATES_SHOWN: usize = 20;
