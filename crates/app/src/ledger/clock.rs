//! `florin ledger clock accept`: an operator takes the wall clock as it is.
//!
//! The command leaves a file in the data directory; the server that has the ledger looks for it
//! every second, accepts its clock and removes the file. Whoever may write there may do this.

use std::fs;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::block_on;
use crate::config::{self, ConfigArgs};
use crate::fail::failure;
use crate::out::Output;
use crate::serve::files;
use crate::serve::parts::ACCEPT_CLOCK_FILE;

/// Longest wait for the server.
const WAIT: Duration = Duration::from_secs(10);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// The clock that stamps postings
#[derive(Debug, Subcommand)]
pub enum ClockCommand {
    /// Take the wall clock as it is, after postings stopped with `clock_unsafe`
    Accept(Accept),
}

/// Options of `accept`.
#[derive(Debug, Args)]
pub struct Accept {
    #[command(flatten)]
    config: ConfigArgs,
}

impl ClockCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let Self::Accept(accept) = self;
        block_on(accept.run(output))?;
        Ok(0)
    }
}

impl Accept {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let dir = config::load(&self.config, Vec::new())?.data_dir()?;
        let path = dir.join(ACCEPT_CLOCK_FILE);
        if !dir.exists() {
            return Err(failure(
                format!("there is no data directory {}", dir.display()),
                "give it with --data-dir",
            ));
        }
        files::write_private(&path, "accept\n")?;
        let taken = async {
            while path.exists() {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(WAIT, taken).await.is_err() {
            // The server may take it at this very moment; then there is nothing left to remove.
            let _ = fs::remove_file(&path);
            return Err(failure(
                format!("no running server took it in {}", dir.display()),
                "a server that is started anew takes the clock as it is",
            ));
        }
        output.print(&json!({"accepted": true}), || {
            "The server takes the clock as it is; postings go on.".to_owned()
        })?;
        Ok(())
    }
}
