//! `florin ticket`: tickets checked without a network.

mod scan;
mod verify;

use clap::Subcommand;

use crate::out::Output;

/// Exit code for input that cannot be read: nothing can be said.
const UNREADABLE: u8 = 2;

/// Check tickets and their proofs, without a network
#[derive(Debug, Subcommand)]
pub enum TicketCommand {
    Verify(verify::Verify),
    Scan(Box<scan::ScanArgs>),
}

impl TicketCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Verify(command) => command.run(output),
            Self::Scan(command) => command.run(output),
        }
    }
}

/// The bytes of a file.
fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unreadable(format!("{}: {error}", path.display())))
}

fn unreadable(message: impl Into<String>) -> anyhow::Error {
    crate::fail::with_code(message, None, UNREADABLE)
}
