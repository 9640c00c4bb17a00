//! `florin doctor`.

use clap::Args;
use serde_json::json;

use crate::config::ConfigArgs;
use crate::doctor::{self, Health};
use crate::out::Output;

/// Look at this machine and this installation: what is wrong, and what to do about it
///
/// Changes nothing. Exit code 1 when something stands in the way of serving.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Doctor {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let findings = doctor::examine(&self.config);
        let bad = findings
            .iter()
            .filter(|finding| finding.health == Health::Bad)
            .count();
        output.print(&json!({"ok": bad == 0, "findings": findings}), || {
            let mut lines = Vec::new();
            for finding in &findings {
                lines.push(format!(
                    "{:<5} {:<14} {}",
                    finding.health.word(),
                    finding.check,
                    finding.what
                ));
                if let Some(remedy) = &finding.remedy {
                    lines.push(format!("      hint: {remedy}"));
                }
            }
            lines.join("\n")
        })?;
        Ok(u8::from(bad > 0))
    }
}
