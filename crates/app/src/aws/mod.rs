//! `florin aws …`: what the binary does around its deployment on AWS.
//!
//! **Purpose.** Check a running platform, estimate its cost from a plan, and say where a unit
//! belongs (deployment contract, part B5).
//!
//! **Boundary.** Reads `deploy/units.json` and the price table, which are built in, and calls
//! AWS through one small signed client. Makes and changes nothing but the canary object of
//! the check.
//!
//! **Invariants.** What could not be looked at is never reported as good. Money is integers.

mod check;
mod client;
mod cost;
mod place;
mod sigv4;
mod units;
mod xml;

use clap::Subcommand;

use crate::out::Output;

/// Check a deployment on AWS, estimate its cost, place its units
#[derive(Debug, Subcommand)]
pub enum AwsCommand {
    Check(check::Check),
    Cost(cost::Cost),
    Place(place::Place),
}

impl AwsCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Check(command) => command.run(output),
            Self::Cost(command) => command.run(output),
            Self::Place(command) => command.run(output),
        }
    }
}
