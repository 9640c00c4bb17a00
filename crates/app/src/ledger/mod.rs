//! `florin ledger`: proofs, files and repairs of the ledger, its move to another engine, its
//! archives.

mod archive;
mod clock;
mod export;
mod import;
mod import_report;
mod migrate;
mod rebuild_index;
mod target;
mod verify;

use clap::Subcommand;

use crate::out::Output;

/// Folder of the index inside that of the ledger.
const INDEX_FOLDER: &str = "index";

/// Verify, export, import and repair the ledger
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    Verify(verify::Verify),
    Export(export::Export),
    Import(Box<import::ImportArgs>),
    RebuildIndex(rebuild_index::RebuildIndex),
    Migrate(migrate::Migrate),
    Archive(archive::Archive),
    #[command(subcommand)]
    Clock(clock::ClockCommand),
}

impl LedgerCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Verify(command) => command.run(output),
            Self::Export(command) => command.run(output),
            Self::Import(command) => command.run(output),
            Self::RebuildIndex(command) => command.run(output),
            Self::Migrate(command) => command.run(output),
            Self::Archive(command) => command.run(output),
            Self::Clock(command) => command.run(output),
        }
    }
}
