//! `florin demo`.

use clap::{Args, Subcommand};

use crate::demo::ticketing::TicketingDemo;
use crate::demo::tour;
use crate::out::Output;

/// A guided tour in this terminal: real money moves through a ledger that is gone afterwards
#[derive(Debug, Args)]
pub struct Demo {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    Ticketing(TicketingDemo),
}

impl Demo {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self.what {
            None => super::block_on(tour::run(output))?,
            Some(What::Ticketing(demo)) => demo.run(output)?,
        }
        Ok(0)
    }
}
