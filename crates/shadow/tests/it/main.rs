//! The promises of the shadow ledger, through its public doors.

mod bad_input;
mod bank;
mod permutations;
mod reading;
mod rebuilding;
mod statements;
mod support;
mod web;
mod writing;
