//! What the routes of wallets and ledger share: the state behind them and the permissions.
//!
//! Boundary: handlers check permission, shape and grammar, hand a call to the ledger, and print
//! its answer. Invariant: no handler decides about money.

pub mod ledger;
pub mod wallets;

use std::sync::Arc;

use florin_base::Clock;
use florin_ledger::Ledger;
use florin_platform::http::{page::Cursors, shutdown::Shutdown};

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
    /// Tells whether a period has passed; the ledger's own clock decides postings.
    pub clock: Arc<dyn Clock>,
    /// Currency of a wallet created without one.
    pub default_currency: Box<str>,
    /// Makes and reads the cursors of lists.
    pub cursors: Cursors,
    /// Ends streams that would go on for ever.
    pub shutdown: Shutdown,
}

/// [`ApiState`] as handlers hold it.
pub type Shared = Arc<ApiState>;
