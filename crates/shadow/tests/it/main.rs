//! The promises of the shadow ledger, through its public doors.

mod bad_input;
mod bank;
#[cfg(feature = "failpoints")]
mod crash;
mod corrections;
mod desk;
mod drift;
mod drift_faults;
mod drift_faults_world;
mod fuzzed;
mod links;
mod monitors;
mod permutations;
mod postgres;
mod reading;
mod rebuilding;
mod reconciling;
mod statements;
mod support;
mod topics;
mod web;
mod writing;
