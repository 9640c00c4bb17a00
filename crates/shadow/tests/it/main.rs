//! The promises of the shadow ledger, through its public doors.

mod bad_input;
mod bank;
mod corrections;
mod crash;
mod crash_points;
mod desk;
mod drift;
mod drift_faults;
mod drift_faults_world;
mod fuzzed;
mod importing;
mod links;
mod monitors;
mod permutations;
mod postgres;
mod reading;
mod rebuilding;
mod reconciling;
mod reconciling_world;
mod statements;
mod statements_formats;
mod support;
mod topics;
mod web;
mod writing;
