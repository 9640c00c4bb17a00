//! `florin dr …`: disaster recovery: the drill, and what a failover needs.
//!
//! **Purpose.** Show that a backup can be restored and that what was restored is the same ledger
//! (deployment contract, DEP-139); say what a failover to the recovery region would lose, and do
//! it in the order that never leaves two writers (DEP-142).
//!
//! **Boundary.** The drill uses PostgreSQL's own programs and the ledger's independent
//! verification; it reads the source and writes to the target alone.
//!
//! **Invariants.** A drill that could not look at something fails. The source is never written to.
//! A failover changes nothing before its fence stands.

mod drill;
mod failover;
mod lost;
mod place;
mod snapshot;

use clap::Subcommand;

use crate::archive;
use crate::out::Output;

/// Disaster recovery: restore drills, failover to the other region
#[derive(Debug, Subcommand)]
pub enum DrCommand {
    Drill(drill::Drill),
    Status(failover::Status),
    Failover(failover::Failover),
    Lost(lost::Lost),
    Archived(archive::Archived),
}

impl DrCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Drill(command) => command.run(output),
            Self::Status(command) => command.run(output),
            Self::Failover(command) => command.run(output),
            Self::Lost(command) => command.run(output),
            Self::Archived(command) => command.run(output),
        }
    }
}
