//! `florin gen`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::fail::failure;
use crate::out::Output;
use crate::reference;

/// Write the generated reference files, or compare them
#[derive(Debug, Args)]
pub struct Gen {
    /// Folder of the files
    #[arg(long, value_name = "DIR", default_value = "docs/reference")]
    dir: PathBuf,
    /// Write nothing; exit code 1 when a file differs
    #[arg(long)]
    check: bool,
}

impl Gen {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let changed = match self.check {
            true => reference::differing(&self.dir)?,
            false => reference::write(&self.dir)?,
        };
        if self.check && !changed.is_empty() {
            let message = format!(
                "{} differ from the code: {}",
                self.dir.display(),
                changed.join(", ")
            );
            return Err(failure(message, "write them anew: ./dev gen"));
        }
        output.print(&json!({"dir": self.dir, "changed": changed}), || {
            match (self.check, changed.is_empty()) {
                (true, _) => "The reference files agree with the code.".to_owned(),
                (false, true) => "Nothing changed.".to_owned(),
                (false, false) => format!("Written: {}", changed.join(", ")),
            }
        })?;
        Ok(0)
    }
}
