//! `florin aws secrets init` and `florin aws rotate`: values of secrets, made and changed without
//! a person or a file seeing them (DEP-093 to DEP-096).
//!
//! Invariants: no value is printed, logged or given as an argument; a secret that has a value is
//! never overwritten by `init`; rotation leaves the old value good until the new one is current.

mod brokers;
mod init;
pub mod rotate;
mod value;

use clap::Subcommand;

use crate::out::Output;

/// Values of the secrets of an environment
#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    Init(init::Init),
}

impl SecretsCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Init(command) => command.run(output),
        }
    }
}
