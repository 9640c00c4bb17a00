//! `florin dr lost` (DEP-143): which acknowledged records the promoted ledger does not have.
//!
//! The feed outlives the database: in the archive, in an export, at a consumer of
//! `ledger-changes`. What stands there after the promoted ledger's head was told to somebody and is
//! gone. Loss is named, not hidden; nothing is posted again here.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use florin_ledger::verify::{Evidence, verify_export};
use serde::Serialize;
use serde_json::Value;

use super::drill::{evidence, resolved, verified};
use super::place::Place;
use crate::out::{Output, table};

/// Longest line of the feed that is read, bytes.
const LINE_MAX: usize = 1 << 24;

/// List the records of a feed that a ledger does not have, after a failover
///
/// The feed: exact lines from the archive, an export, or a consumer of `ledger-changes`. One that
/// begins at the first record is also compared, hash by hash, up to the ledger's head. Exit code 0:
/// nothing is missing; 1: something is, or the two are not the same ledger.
#[derive(Debug, Args)]
pub struct Lost {
    /// The ledger that was promoted: the URL of a database, or a data directory
    #[arg(
        long,
        value_name = "URL|DIR",
        env = "FLORIN_DRILL_TARGET",
        hide_env_values = true
    )]
    target: String,
    /// Lines of the feed
    #[arg(long, value_name = "FILE")]
    feed: PathBuf,
}

/// A record that is missing.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Missing {
    seq: u64,
    kind: String,
    id: String,
    reference: String,
    amount_minor: String,
    asset: String,
}

/// The records behind `head`, in the feed's order, and the first number in the feed.
fn behind(
    feed: &mut dyn std::io::BufRead,
    head: u64,
) -> anyhow::Result<(Option<u64>, Vec<Missing>)> {
    let (mut first, mut found) = (None, Vec::new());
    let mut line = String::new();
    loop {
        line.clear();
        if feed.read_line(&mut line)? == 0 {
            return Ok((first, found));
        }
        anyhow::ensure!(line.len() <= LINE_MAX, "a line of the feed is too long");
        let record: Value = serde_json::from_str(&line).context("a line of the feed is no JSON")?;
        let seq = record
            .get("seq")
            .and_then(Value::as_u64)
            .context("a line of the feed has no seq")?;
        first.get_or_insert(seq);
        if seq > head {
            let text = |path: &str| {
                record
                    .pointer(path)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            found.push(Missing {
                seq,
                kind: text("/type"),
                id: text("/data/id"),
                reference: text("/data/origin/referenceId"),
                amount_minor: text("/data/amountMinor"),
                asset: text("/data/asset"),
            });
        }
    }
}

impl Lost {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let target = Place::parse(&resolved(&self.target)?);
        let scratch = std::env::temp_dir();
        let report = verified("the ledger", target.verify(&scratch, &Evidence::default()))?;
        let (first, missing) = behind(&mut self.open()?, report.head.seq)?;
        let whole = first == Some(1);
        if whole {
            // The feed must contain the ledger's head as it is.
            let evidence = evidence(&target, &report)?;
            let same = verify_export(&mut self.open()?, &evidence, &mut |_| {});
            verified("the feed, held against the ledger,", same)?;
        }
        output.print(
            &serde_json::json!({"head": report.head.seq, "compared": whole, "missing": missing}),
            || {
                let rows: Vec<Vec<String>> = missing
                    .iter()
                    .map(|m| {
                        vec![
                            m.seq.to_string(),
                            m.kind.clone(),
                            m.id.clone(),
                            m.reference.clone(),
                            m.amount_minor.clone(),
                            m.asset.clone(),
                        ]
                    })
                    .collect();
                let compared = if whole {
                    "same up to there"
                } else {
                    "not compared: the feed does not begin at 1"
                };
                let head = format!(
                    "head {}, {compared}, {} records missing",
                    report.head.seq,
                    missing.len()
                );
                match rows.is_empty() {
                    true => head,
                    false => format!(
                        "{head}\n{}",
                        table(
                            &["SEQ", "TYPE", "ID", "REFERENCE", "MINOR UNITS", "ASSET"],
                            &rows
                        )
                    ),
                }
            },
        )?;
        Ok(u8::from(!missing.is_empty()))
    }

    fn open(&self) -> anyhow::Result<BufReader<File>> {
        let path: &Path = &self.feed;
        Ok(BufReader::new(
            File::open(path).with_context(|| path.display().to_string())?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_143_what_stands_behind_the_head_is_named() {
        let feed = "{\"seq\":4,\"type\":\"transfer\",\"data\":{\"id\":\"a\"}}\n{\"seq\":5,\"type\":\"transfer\",\"data\":{\"id\":\"b\",\"amountMinor\":\"7\",\"asset\":\"BRL\",\"origin\":{\"referenceId\":\"r\"}}}\n";
        let (first, missing) = behind(&mut feed.as_bytes(), 4).expect("read");
        assert_eq!((first, missing.len()), (Some(4), 1));
        let lost = &missing[0];
        assert_eq!(
            (
                lost.seq,
                lost.id.as_str(),
                lost.reference.as_str(),
                lost.amount_minor.as_str()
            ),
            (5, "b", "r", "7")
        );
        assert!(behind(&mut "what".as_bytes(), 0).is_err());
    }
}
