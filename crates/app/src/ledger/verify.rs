//! `florin ledger verify` (contract A9): exit code 0 good, 1 violation, 2 could not run.

use std::path::PathBuf;

use clap::Args;

use crate::config::ConfigArgs;
use crate::fail::with_code;
use crate::out::Output;

/// Recompute everything: lines, gaps, hashes, signatures, rules, balances
///
/// Exit code 0: good; 1: a violation (kind, batch and first seq are printed); 2: could not run.
#[derive(Debug, Args)]
pub struct Verify {
    /// Verify this export instead of the files of a server
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Signed checkpoints that the records must agree with
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Verifier keys that the checkpoints must be signed by
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Verify {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let _ = (self.export, self.checkpoint, self.key, self.config, output);
        Err(with_code("verification is not part of this build", None, 2))
    }
}
