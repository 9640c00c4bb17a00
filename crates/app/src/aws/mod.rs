//! `florin aws …`: what the binary does around its deployment on AWS.
//!
//! **Purpose.** Check a running platform, estimate its cost from a plan, say where a unit belongs
//! and what a load needs, and make and change the values of secrets (deployment contract, part B5).
//!
//! **Boundary.** Reads `deploy/units.json`, the price table and the pinned versions, which are built
//! in, and calls AWS through one small signed client. Makes and changes values of secrets, and
//! nothing else.
//!
//! **Invariants.** What could not be looked at is never reported as good. Money is integers.

mod check;
pub mod client;
mod cost;
mod place;
mod quotas;
mod secrets;
mod sigv4;
mod size;
pub mod units;
mod versions;
pub mod xml;

use clap::Subcommand;

use crate::out::Output;

pub use check::outputs;

/// Check a deployment on AWS, estimate its cost, place and size its units, make its secrets
#[derive(Debug, Subcommand)]
pub enum AwsCommand {
    Check(check::Check),
    Cost(cost::Cost),
    Place(place::Place),
    Quotas(quotas::Quotas),
    Size(size::Size),
    Versions(versions::Versions),
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    Rotate(secrets::rotate::Rotate),
}

impl AwsCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Check(command) => command.run(output),
            Self::Cost(command) => command.run(output),
            Self::Place(command) => command.run(output),
            Self::Quotas(command) => command.run(output),
            Self::Size(command) => command.run(output),
            Self::Versions(command) => command.run(output),
            Self::Secrets(command) => command.run(output),
            Self::Rotate(command) => command.run(output),
        }
    }
}
