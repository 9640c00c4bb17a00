//! Verification of a whole ledger: the core of `florin ledger verify` (contract A9).
//!
//! Purpose: tell whether the records of a stopped ledger or of an export are what they claim to
//! be. Everything is computed anew from the records: lines, gaps, leaves, batches, chain, tree,
//! signatures, and every balance by a fold of its own against contract A1 to A5.
//!
//! **Boundary.** Shares the words and the line format with the ledger, and nothing with its
//! rule book: a mistake there is found here. Reads; changes nothing.
//!
//! **Invariants checked.** INV-L1 to INV-L5, L7 to L9, L16 by the fold; L6 and L22 by hashes: any
//! changed, dropped, added or swapped line up to the newest checkpoint given is found.
//!
//! **Limits.** Memory: about 300 bytes an account, 200 an open pending transfer, 40 a transfer
//! id. An export must be whole (from `seq` 1): a part cannot be folded. What an export does not
//! carry (remembered refusals, settings such as the closed period) is not checked from it.

mod chains;
mod database;
mod fold;
mod given;
mod hashes;
mod ids;
mod report;
mod resolve;
mod run;
mod source;
mod transfers;

pub use database::verify_database;
pub use given::{GivenCheckpoint, read_checkpoints, read_keys};
pub use report::{Head, Kind, Report, Violation};
pub use source::{verify_directory, verify_export};

use uuid::Uuid;

use crate::proof::VerifierKey;

/// What the caller holds against the records.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Checkpoints kept outside the ledger. A directory's own are checked too.
    pub checkpoints: Vec<GivenCheckpoint>,
    /// Keys that must have signed them; a directory's own checkpoints may also be signed by its
    /// own keys. Without any key signatures are not checked, and the report says so.
    pub keys: Vec<VerifierKey>,
    /// The ledger, where neither a directory nor a checkpoint names it.
    pub ledger_id: Option<Uuid>,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Records checked.
    pub records: u64,
    /// Commits checked.
    pub batches: u64,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The records are not what they should be (exit code 1).
    #[error("{0}")]
    Violation(Box<Violation>),
    /// It could not be found out (exit code 2).
    #[error("{0}")]
    CouldNotRun(String),
}

impl From<Violation> for VerifyError {
    fn from(violation: Violation) -> Self {
        Self::Violation(Box::new(violation))
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fold_tests;
#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
