//! `florin demo`.

use clap::Args;

use crate::demo::tour;
use crate::out::Output;

/// A guided tour in this terminal: real money moves through a ledger that is gone afterwards
#[derive(Debug, Args)]
pub struct Demo {}

impl Demo {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        super::block_on(tour::run(output))?;
        Ok(0)
    }
}
