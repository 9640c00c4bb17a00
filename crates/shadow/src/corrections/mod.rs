//! Corrections: proposed, decided by four eyes, applied through the log, reversed (contract C4).
//!
//! **Boundary.** [`rules`] says what may follow what and who may do it; [`steps`] does it inside
//! a transaction of the log; [`service`] is what handlers, checks, monitors and readers call.
//! Nothing here keeps a balance: an applied correction is an entry like any other.

pub mod control;
pub mod doors;
pub mod hooks;
pub mod ids;
pub mod model;
pub mod rules;
pub mod service;
pub mod steps;
pub mod table;

use uuid::Uuid;

/// The ledger transfer that brings a linked book's correction: one for ever, whoever posts it.
pub fn transfer_of(correction: &str) -> Uuid {
    let name = format!("florin shadow correction {correction}");
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}
