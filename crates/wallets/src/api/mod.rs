//! What the routes of wallets and ledger share: the state behind them and the permissions.
//!
//! Boundary: handlers check permission, shape and grammar, hand a call to the ledger, and print
//! its answer. Invariant: no handler decides about money.

pub mod answer;
pub mod ledger;
pub mod meter;
pub mod wallets;

use std::{borrow::Cow, sync::Arc, time::Duration};

use florin_base::Timestamp;
use florin_ledger::{
    Ledger, Query, ReadView, View,
    call::{Head, WalletView},
};
use florin_platform::http::{page::Cursors, problem::Problem, router::Routes, shutdown::Shutdown};

use answer::{MinSeq, unavailable};

/// Permissions of both APIs (contract, section C).
pub mod permission {
    use florin_platform::http::auth::Permission;

    /// All GETs of wallets, holds and transactions.
    pub const WALLETS_READ: Permission = Permission::new("wallets:read");
    /// Create a wallet, withdraw, transfer, place a hold.
    pub const WALLETS_WRITE: Permission = Permission::new("wallets:write");
    /// Deposit.
    pub const WALLETS_DEPOSIT: Permission = Permission::new("wallets:deposit");
    /// Capture and void holds.
    pub const WALLETS_CAPTURE: Permission = Permission::new("wallets:capture");
    /// A transfer with `rate`.
    pub const WALLETS_FX: Permission = Permission::new("wallets:fx");
    /// Freeze, unfreeze, close.
    pub const WALLETS_STATUS: Permission = Permission::new("wallets:status");
    /// PUT limits; a tier other than `standard`.
    pub const WALLETS_LIMITS: Permission = Permission::new("wallets:limits");
    /// Reverse a transaction.
    pub const WALLETS_REVERSE: Permission = Permission::new("wallets:reverse");
    /// Ledger GETs (not export) and lookup.
    pub const LEDGER_READ: Permission = Permission::new("ledger:read");
    /// Transfers, new accounts.
    pub const LEDGER_WRITE: Permission = Permission::new("ledger:write");
    /// Reverse a ledger transfer.
    pub const LEDGER_REVERSE: Permission = Permission::new("ledger:reverse");
    /// Assets, changes of accounts.
    pub const LEDGER_ADMIN: Permission = Permission::new("ledger:admin");
    /// Giving `effectiveAt`, also on wallet routes.
    pub const LEDGER_BACKDATE: Permission = Permission::new("ledger:backdate");
    /// Writing to `florin:` accounts.
    pub const LEDGER_SYSTEM: Permission = Permission::new("ledger:system");
    /// Import.
    pub const LEDGER_IMPORT: Permission = Permission::new("ledger:import");
    /// Export.
    pub const LEDGER_EXPORT: Permission = Permission::new("ledger:export");
    /// Make a checkpoint now.
    pub const LEDGER_CHECKPOINT: Permission = Permission::new("ledger:checkpoint");
}

/// What the handlers work with; shared by all requests.
pub struct ApiState {
    /// The ledger.
    pub ledger: Ledger,
    /// Makes and reads the cursors of lists.
    pub cursors: Cursors,
    /// Currency of a wallet created without one.
    pub default_currency: Box<str>,
    /// Ends streams that would go on for ever.
    pub shutdown: Shutdown,
    /// Time between two heartbeats of a quiet stream; [`HEARTBEAT`].
    pub heartbeat: Duration,
}

pub use ledger::HEARTBEAT;

/// [`ApiState`] as handlers hold it.
pub type Shared = Arc<ApiState>;

/// The routes of both APIs, each with its permission.
pub fn routes() -> Routes<Shared> {
    wallets::routes().merge(ledger::routes())
}

impl ApiState {
    /// Where the ledger stands.
    pub async fn head(&self) -> Result<Head, Problem> {
        match self.ledger.query(Query::Head).await.map_err(unavailable)? {
            View::Head(head) => Ok(head),
            _ => Err(Problem::internal("the head was asked for")),
        }
    }

    /// A wallet now; another's does not exist for `owner`.
    pub async fn wallet(
        &self,
        id: u128,
        owner: Option<Box<str>>,
    ) -> Result<Box<WalletView>, Problem> {
        let query = Query::Wallet { id, owner };
        match self.ledger.query(query).await.map_err(unavailable)? {
            View::Wallet(Some(wallet)) => Ok(wallet),
            View::Wallet(None) => Err(wallets::answer::wallet_not_found()),
            _ => Err(Problem::internal("a wallet was asked for")),
        }
    }

    /// A view for lists, history and the feed: at least as new as the caller asks for, and as
    /// `seen`, which a page or a reader was shown before. It may come from a read replica.
    pub async fn view(&self, min: MinSeq, seen: u64) -> Result<ReadView, Problem> {
        let view = self.ledger.recent_view(min.seq().max(seen)).await;
        let view = view.map_err(unavailable)?;
        min.check(view.seq())?;
        Ok(view)
    }

    /// Ledger time now. A read view taken after it holds everything recorded up to it.
    pub async fn now(&self) -> Result<Timestamp, Problem> {
        self.ledger.settled_time().await.map_err(unavailable)
    }
}

/// A time of a query string with the `+` of its offset, which arrives as a space where it was
/// not escaped.
pub fn mend_plus(text: &str) -> Cow<'_, str> {
    match text.rfind(' ') {
        Some(at) if at > "2026-01-01T".len() => {
            Cow::Owned(format!("{}+{}", &text[..at], &text[at + 1..]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// A time of a query string, with a zone.
pub fn query_time(field: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let time = Timestamp::parse(&mend_plus(text));
    time.map(Some)
        .map_err(|error| Problem::validation(field, format!("The time {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unescaped_offset_is_understood() {
        let time = |text| query_time("from", Some(text)).expect("a time");
        assert_eq!(
            time("2026-01-01T02:00:00 02:00"),
            time("2026-01-01T00:00:00Z")
        );
        assert_eq!(time("2026-01-01 00:00:00Z"), time("2026-01-01T00:00:00Z"));
        assert!(query_time("from", Some("2026-01-01T00:00:00")).is_err());
    }
}
