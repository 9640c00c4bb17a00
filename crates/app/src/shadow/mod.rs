//! `florin shadow`: proofs and repairs of the shadow ledger.

mod rebuild;

use clap::Subcommand;

use crate::out::Output;

/// Verify and rebuild the shadow ledger
#[derive(Debug, Subcommand)]
pub enum ShadowCommand {
    Rebuild(rebuild::Rebuild),
}

impl ShadowCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Rebuild(command) => command.run(output),
        }
    }
}
