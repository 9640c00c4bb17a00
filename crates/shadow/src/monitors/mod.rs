//! Monitors: scheduled looks at the books, and the alerts that follow (contract E).
//!
//! **Boundary.** [`rules`] says when a state becomes an alert; [`service`] looks, remembers and
//! tells. A monitor changes nothing but its own memory and alerts.
//!
//! **Invariants.** One open alert for a monitor and a book; raised and cleared in the transaction
//! that remembers it; every instant comes from the clock of the shadow ledger.

mod observe;
pub mod rules;
mod service;
pub mod table;

use std::future::Future;
use std::pin::Pin;

pub use service::{Monitors, RECORD, not_found};

use crate::model::BookId;
use crate::store::WriteError;

/// Divergent books, each with what differs.
pub type Divergent<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<(BookId, String)>, WriteError>> + Send + 'a>>;

/// Rebuilds a rolling share of books beside live and compares (all of them within 24 h).
pub trait Verifier: Send + Sync + 'static {
    /// The share that is due now.
    fn verify_share(&self) -> Divergent<'_>;
}

/// Verifies nothing: for processes in which nothing can be rebuilt.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoVerifier;

impl Verifier for NoVerifier {
    fn verify_share(&self) -> Divergent<'_> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}
