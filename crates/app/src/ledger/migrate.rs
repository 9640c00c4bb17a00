//! `florin ledger migrate`: a ledger moves from one engine to the other.

use std::path::PathBuf;

use clap::Args;
use florin_base::Secret;
use florin_ledger::migrate::{MigrateError, Moved, Place, Step, migrate};
use serde_json::json;
use toml::{Table, Value};

use crate::config::secret::{self, Lookup};
use crate::fail::{failure, with_code};
use crate::out::{Output, progress};

/// Exit code when an end did not verify, or the two differ.
const UNPROVEN: u8 = 1;

/// Move a ledger between a directory and PostgreSQL, as it was recorded
///
/// Numbers, times, hashes, ids, remembered refusals, keyed answers and checkpoints stay what they
/// are. Stop the servers first: the source takes no postings meanwhile and is not changed. At the
/// end both are verified independently and must agree. A move into a database that was
/// interrupted goes on when the command is repeated.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Where the ledger is: its directory (the folder `ledger` of a data directory), or the URL
    /// of a database (`postgres://…`; better a reference such as `env:NAME` or `file:/PATH`, which hides the password)
    #[arg(long, value_name = "DIR|URL")]
    from: String,
    /// Where it shall be: a directory that is empty or not there, or the URL of a database
    #[arg(long, value_name = "DIR|URL")]
    to: String,
    /// Schema of a database that is the source
    #[arg(long, value_name = "NAME", default_value = "florin_ledger")]
    from_schema: String,
    /// Schema of a database that is the target
    #[arg(long, value_name = "NAME", default_value = "florin_ledger")]
    to_schema: String,
}

fn place(text: &str, schema: &str) -> anyhow::Result<Place> {
    let url = resolved(text)?;
    let is_reference = url.expose() != text;
    let is_url = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.expose().starts_with(scheme));
    match (is_url, is_reference) {
        (true, _) => Ok(Place::Database {
            url,
            schema: schema.to_owned(),
        }),
        (false, false) => Ok(Place::Directory(PathBuf::from(text))),
        (false, true) => Err(failure(
            format!("{text} does not hold the URL of a PostgreSQL database"),
            "it starts with postgres://",
        )),
    }
}

/// What a reference leads to, else the text itself.
fn resolved(text: &str) -> anyhow::Result<Secret<String>> {
    let mut table = Table::from_iter([("url".to_owned(), Value::String(text.to_owned()))]);
    secret::resolve(&mut table, &Lookup::process())?;
    let url = table.get("url").and_then(Value::as_str);
    Ok(Secret::new(url.unwrap_or_default().to_owned()))
}

impl Migrate {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let from = place(&self.from, &self.from_schema)?;
        let to = place(&self.to, &self.to_schema)?;
        let bar = progress(output, "moving", None, false);
        let moved = migrate(&from, &to, &mut |step| {
            let (what, records) = match step {
                Step::Moved(records) => ("moving", records),
                Step::SourceVerified(records) => ("verifying source", records),
                Step::TargetVerified(records) => ("verifying target", records),
            };
            bar.set_message(what);
            bar.set_position(records);
        });
        bar.finish_and_clear();
        let moved = moved.map_err(|error| match error {
            MigrateError::Refused(why) => failure(why, "florin ledger migrate --help"),
            unproven => with_code(
                unproven.to_string(),
                Some("go on with the source, which is as it was".to_owned()),
                UNPROVEN,
            ),
        })?;
        output.print(&answer(&moved), || text(&moved))?;
        Ok(0)
    }
}

fn answer(moved: &Moved) -> serde_json::Value {
    let head = &moved.report.head;
    json!({
        "ledgerId": moved.ledger_id.to_string(),
        "records": moved.report.records,
        "batches": moved.report.batches,
        "accounts": moved.report.accounts,
        "notes": moved.notes,
        "checkpoints": moved.checkpoints,
        "rootHash": head.root_hash.to_string(),
        "chainHash": head.chain_hash.map(|hash| hash.to_string()),
    })
}

fn text(moved: &Moved) -> String {
    let report = &moved.report;
    let mut lines = vec![
        format!(
            "Moved and proven equal: {} records in {} batches, {} accounts, {} remembered answers, {} checkpoints",
            report.records, report.batches, report.accounts, moved.notes, moved.checkpoints
        ),
        format!("  ledger {}", moved.ledger_id),
        format!("  root   {}", report.head.root_hash),
    ];
    if let Some(chain) = report.head.chain_hash {
        lines.push(format!("  chain  {chain}"));
    }
    lines
        .push("Start the server on the target, and keep the source away from every server.".into());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_database_and_anything_else_a_directory() {
        let directory = place("data/ledger", "s").expect("a place");
        assert!(matches!(directory, Place::Directory(_)));
        let database = place("postgres://localhost/florin", "s").expect("a place");
        assert!(matches!(database, Place::Database { schema, .. } if schema == "s"));
        assert!(place("env:FLORIN_NO_SUCH_VARIABLE", "s").is_err());
    }
}
