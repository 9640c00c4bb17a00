//! The binary `florin`: command line, configuration, roles, wiring.
//!
//! **Purpose.** Turn a command line into a running process: read the configuration, open the
//! parts that the chosen roles need, join their routes, serve, and end in order; and the
//! commands around it (users, keys, ledger files, reference pages).
//!
//! **Boundary.** The only crate that sees all others, and the only one that reads the
//! environment, prints, and uses `anyhow`. No rule about money stands here.
//!
//! **Invariants.** Data goes to stdout, everything else to stderr; an error is one line and,
//! where there is a remedy, a `hint:` line; the exit code is 0 only for success; what starts,
//! in which order, comes from the one table in [`roles`].
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod archive;
mod aws;
mod bench;
mod cli;
mod config;
mod demo;
mod doctor;
mod dr;
mod fail;
mod inproc;
mod ledger;
mod out;
mod probe;
mod reference;
mod roles;
mod serve;
mod shadow;
mod ticket;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Batches make and free tens of thousands of small pieces on different threads, which costs the
/// system's allocator measurably more (`bench/README.md`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(fail::report(&error)),
    }
}
