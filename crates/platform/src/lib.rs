//! Ports to the outside and their adapters.
//!
//! Boundary: knows HTTP, SQL, identity and telemetry, but no ledger and no room; rooms and the
//! binary build on it. Invariants: every queue, body, page and wait has a named bound; secrets
//! print as redacted; a route without a permission rule cannot be registered.

pub mod audit;
pub mod http;
pub mod identity;
pub mod sql;
pub mod telemetry;
pub mod bus;
pub mod webhooks;
