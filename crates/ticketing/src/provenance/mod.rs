//! The log of salted commitments, its checkpoints and proofs (contract D6).
//!
//! A leaf is written in the transaction of the ticket's step ([`append`]) without a place in the
//! log, so that steps of different events do not wait for each other. The next checkpoint gives
//! all waiting leaves their places, in one transaction for the whole installation ([`log`]).
//!
//! **Invariants (INV-T15).** A placed leaf never moves; a ticket's leaves are placed in their
//! order, and `prev` is unique by a constraint; a checkpoint's tree is a prefix of every later one.

mod append;
pub mod log;
pub mod read;

pub use append::{NewLeaf, Step, append};
