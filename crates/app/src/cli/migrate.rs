//! `florin migrate`: brings the tables of the configured stores to this version, and ends
//! (deployment contract, DEP-119: a task of its own before the new units).

use std::sync::Arc;

use clap::Args;
use florin_base::SystemClock;
use florin_platform::http::shutdown;
use serde_json::json;

use crate::config::{self, ConfigArgs};
use crate::out::Output;
use crate::roles::PARTS;
use crate::serve::parts::Wired;

/// Bring the tables of ledger and rooms to this version, and end
///
/// Servers do the same when they start; this does it before they do. Migrations go forward only,
/// and the version before reads what they make, so old and new processes may run side by side.
#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Migrate {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let loaded = config::load(&self.config, Vec::new())?;
        let data_dir = loaded.data_dir()?;
        let parts = super::block_on(async {
            let (_trigger, shutdown) = shutdown::pair();
            let clock = Arc::new(SystemClock);
            let mut wired = Wired::new(loaded.config, &data_dir, clock, shutdown, false)?;
            let mut opened = Vec::new();
            let mut outcome = Ok(());
            for row in PARTS {
                outcome = wired.start(row).await;
                if outcome.is_err() {
                    break;
                }
                opened.push(row);
            }
            for row in opened.iter().rev() {
                wired.stop(row).await;
            }
            outcome.map(|()| opened.iter().map(|row| row.name).collect::<Vec<_>>())
        })?;
        output.print(&json!({"parts": parts}), || {
            format!("up to date: {}", parts.join(", "))
        })?;
        Ok(0)
    }
}
