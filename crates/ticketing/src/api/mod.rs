//! The routes of ticketing: one file per resource, in three groups.
//!
//! **Boundary.** A handler checks permission, scope, shape and grammar, calls the part that
//! decides, and prints. Every route needs one permission of contract A1; in organisations it is
//! held by membership ([`scope`]).
//!
//! **For those who add routes:** write `routes() -> Routes<Ticketing>` beside your handlers and
//! merge it in one of the groups below.

pub mod permission;
pub mod problem;
pub mod scope;

use florin_platform::http::router::Routes;

use crate::Ticketing;

/// Events, organisations, tickets, gate, provenance (contract A, D, F, G).
pub fn event_routes() -> Routes<Ticketing> {
    Routes::new()
}

/// Orders and money (contract B, C).
pub fn order_routes() -> Routes<Ticketing> {
    Routes::new()
}

/// Analytics (contract E).
pub fn analytics_routes() -> Routes<Ticketing> {
    Routes::new()
}
