//! `florin config`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::production::{DevSwitches, refusals};
use crate::config::{self, ConfigArgs, default, secret};
use crate::fail::with_code;
use crate::out::Output;

/// Print, judge and show the configuration
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print a configuration file with every setting, its default and its meaning
    Default,
    /// Judge the configuration without starting; exit code 1 when it cannot be used
    Check(Check),
    /// Show every value in force and where it comes from, secrets redacted
    Show(Show),
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Options of `show`.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    config: ConfigArgs,
}

impl ConfigCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Default => {
                let text = default::render();
                output.print(&json!({ "toml": text }), || text.clone())?;
                Ok(0)
            }
            Self::Check(check) => run_check(&check.config, output),
            Self::Show(show) => run_show(&show.config, output),
        }
    }
}

fn run_check(args: &ConfigArgs, output: Output) -> anyhow::Result<u8> {
    let loaded = config::load(args, Vec::new())?;
    let found = refusals(&loaded.config, DevSwitches::default());
    let fatal = found.iter().filter(|refusal| refusal.fatal).count();
    let environment = loaded.config.environment.word();
    let listed: Vec<_> = found
        .iter()
        .map(|refusal| json!({"setting": refusal.setting, "why": refusal.why, "fix": refusal.fix, "fatal": refusal.fatal}))
        .collect();
    let answer = json!({"ok": fatal == 0, "environment": environment, "found": listed});
    output.print(&answer, || {
        let mut lines: Vec<String> = found
            .iter()
            .map(|refusal| {
                let kind = if refusal.fatal { "error" } else { "warning" };
                format!(
                    "{kind}: {}: {}\nhint: {}",
                    refusal.setting, refusal.why, refusal.fix
                )
            })
            .collect();
        if fatal == 0 {
            lines.push(format!("The configuration is fine for {environment}."));
        }
        lines.join("\n")
    })?;
    match fatal {
        0 => Ok(0),
        _ => Err(with_code(
            format!("{fatal} settings are refused in {environment}"),
            None,
            1,
        )),
    }
}

fn run_show(args: &ConfigArgs, output: Output) -> anyhow::Result<u8> {
    let loaded = config::load(args, Vec::new())?;
    let mut rows = serde_json::Map::new();
    for (key, value, origin) in loaded.layers.iter() {
        let shown = secret::redacted(key, value);
        rows.insert(
            key.name.to_owned(),
            json!({"value": shown, "from": origin.to_string()}),
        );
    }
    output.print(&rows, || secret::show(&loaded.layers))?;
    Ok(0)
}
