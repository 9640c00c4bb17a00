//! The promises of the shadow ledger, through its public doors.

mod permutations;
mod support;
mod writing;
