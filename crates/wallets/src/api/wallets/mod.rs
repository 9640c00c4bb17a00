//! The routes of wallets, holds and transactions (contract, part B).
//!
//! Boundary: decimals and owners live here, minor units and accounts in the ledger.

use axum::Router;

use super::Shared;

/// All routes of this part, each with its permission.
pub fn routes() -> Router<Shared> {
    Router::new()
}
