//! `florin openapi`.

use std::io::Write as _;

use clap::Args;

/// Print the OpenAPI 3.1 description of all routes
#[derive(Debug, Args)]
pub struct Openapi {}

impl Openapi {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<u8> {
        std::io::stdout()
            .lock()
            .write_all(crate::reference::openapi().as_bytes())?;
        Ok(0)
    }
}
