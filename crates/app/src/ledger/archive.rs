//! `florin ledger archive`: months of a ledger in PostgreSQL move to files and back.

use std::path::{Path, PathBuf};

use clap::Args;
use florin_base::Timestamp;
use florin_ledger::{ArchiveError, Archived, Ledger};
use serde_json::{Value, json};

use crate::cli::block_on;
use crate::config::{self, ConfigArgs};
use crate::fail::failure;
use crate::out::Output;
use crate::serve::offline::Offline;

/// Move whole months of records from PostgreSQL to files, or back
///
/// Balances, identities, history and hashes stay in the database; records of an archived month
/// are not found until it is restored. Servers may run on. The files lie in `ledger/archives` of
/// the data directory: keep them like the database itself.
#[derive(Debug, Args)]
pub struct Archive {
    /// Archive every month that ended by this time (RFC 3339), except the running one
    #[arg(long, value_name = "TIME", required_unless_present = "restore")]
    before: Option<String>,
    /// Bring the month of this file back
    #[arg(long, value_name = "FILE", conflicts_with = "before")]
    restore: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Archive {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let time = self.before.as_deref().map(time).transpose()?;
        let loaded = config::load(&self.config, Vec::new())?;
        if loaded.config.ledger.postgres().is_none() {
            return Err(failure(
                ArchiveError::Embedded.to_string(),
                "stop the server and copy its data directory; florin ledger migrate moves a ledger to PostgreSQL",
            ));
        }
        block_on(async {
            let offline = Offline::open(loaded).await?;
            let ledger = offline.wired.ledger();
            let done = match (&self.restore, time) {
                (Some(file), _) => restore(&ledger, file, output).await,
                (None, Some(time)) => archive(&ledger, time, output).await,
                (None, None) => Ok(()),
            };
            drop(ledger);
            offline.close().await;
            done
        })?;
        Ok(0)
    }
}

fn time(text: &str) -> anyhow::Result<Timestamp> {
    Timestamp::parse(text).map_err(|error| {
        failure(
            format!("--before {text}: {error}"),
            "write a time with its zone, such as 2026-03-01T00:00:00Z",
        )
    })
}

fn refused(error: &ArchiveError) -> anyhow::Error {
    let hint = match error {
        ArchiveError::Embedded | ArchiveError::Store(_) => "florin doctor looks closer",
        ArchiveError::Io { .. } => "check the path, the rights and the free space",
        ArchiveError::Different { .. } => "nothing was changed; try another copy of the file",
        ArchiveError::NotArchived { .. } => {
            "nothing was changed; florin ledger verify reads the records"
        }
    };
    failure(error.to_string(), hint)
}

async fn archive(ledger: &Ledger, time: Timestamp, output: Output) -> anyhow::Result<()> {
    let months = ledger.archive_before(time).await;
    let months = months.map_err(|error| refused(&error))?;
    let listed: Vec<Value> = months.iter().map(listed).collect();
    output.print(&json!({"archived": listed}), || {
        if months.is_empty() {
            return format!("Nothing to archive: no month with records ended by {time}.");
        }
        let mut lines: Vec<String> = months.iter().map(text).collect();
        lines.push("Keep these files: the database does not have the records any more.".into());
        lines.join("\n")
    })?;
    Ok(())
}

async fn restore(ledger: &Ledger, file: &Path, output: Output) -> anyhow::Result<()> {
    let month = ledger.restore_archive(file).await;
    let month = month.map_err(|error| refused(&error))?;
    output.print(&json!({"restored": listed(&month)}), || {
        format!("{}\nThe records are in the database again.", text(&month))
    })?;
    Ok(())
}

/// The month as people write it: `2026-01`.
fn month_of(month: &Archived) -> String {
    month.from.to_string().chars().take(7).collect()
}

fn records(month: &Archived) -> u64 {
    month.last_seq - month.first_seq + 1
}

fn listed(month: &Archived) -> Value {
    json!({
        "month": month_of(month),
        "file": month.file.display().to_string(),
        "records": records(month),
        "firstSeq": month.first_seq,
        "lastSeq": month.last_seq,
        "sha256": hex::encode(month.sha256),
    })
}

fn text(month: &Archived) -> String {
    format!(
        "{}  {} records ({} to {})\n  file    {}\n  sha256  {}",
        month_of(month),
        records(month),
        month.first_seq,
        month.last_seq,
        month.file.display(),
        hex::encode(month.sha256)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_shown_with_its_file_and_digest() {
        let month = Archived {
            first_seq: 11,
            last_seq: 30,
            from: Timestamp::parse("2026-01-01T00:00:00Z").expect("a time"),
            to: Timestamp::parse("2026-02-01T00:00:00Z").expect("a time"),
            file: "/a/journal_2026_01.archive".into(),
            sha256: [0xab; 32],
        };
        let shown = listed(&month);
        assert_eq!(
            (&shown["month"], &shown["records"]),
            (&json!("2026-01"), &json!(20))
        );
        assert_eq!(shown["sha256"], "ab".repeat(32));
        assert!(
            text(&month).contains("20 records (11 to 30)"),
            "{}",
            text(&month)
        );
        assert!(time("yesterday").is_err());
    }
}
