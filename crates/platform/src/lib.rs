//! Ports to the outside and their adapters.
//!
//! **Purpose.** The HTTP kit, identity, service tables, bus, webhooks, audit and telemetry that
//! every room stands on.
//!
//! **Boundary.** Knows HTTP, SQL, identity and telemetry, but no ledger and no room; rooms and the
//! binary build on it.
//!
//! **Invariants.** Every queue, body, page and wait has a named bound; secrets print as redacted;
//! a route without a permission rule cannot be registered.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod audit;
pub mod blobs;
pub mod bus;
pub mod cache;
pub mod http;
pub mod identity;
pub mod secrets;
pub mod sql;
pub mod telemetry;
pub mod webhooks;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
