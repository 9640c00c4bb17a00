//! Check-in with and without a network, devices, scan bundles, conflicts (contract D3, D4).
//!
//! **Flow.** Codes are read and verified outside of any transaction ([`scan::prepare`]); then
//! one transaction of the event judges them in order ([`record`]; what many gates send one by one
//! comes [`together`]), settles each ticket anew from
//! all of its scans, and writes scans, tickets and leaves. The rules are pure and the same as
//! those of a scanner without network ([`crate::model::scan`], [`crate::model::settle`]).
//!
//! **Invariants.** A once-ticket has at most one entry without conflict (INV-T13); a dead,
//! suspended or old code is never admitted online (INV-T14); nothing that was sent is dropped.

pub mod bundle;
pub mod devices;
mod facts;
pub mod keys;
pub mod list;
pub mod record;
pub mod scan;
pub mod sequence;
mod settle;
mod settled;
pub mod together;

pub use facts::Facts;
