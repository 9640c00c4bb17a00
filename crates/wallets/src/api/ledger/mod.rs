//! The routes below `/api/v1/ledger` (contract A6).
//!
//! Boundary: amounts are whole minor units in strings, never decimals; a batch of transfers is
//! judged by the ledger alone.

use axum::Router;

use super::Shared;

/// All routes of this part, each with its permission.
pub fn routes() -> Router<Shared> {
    Router::new()
}
