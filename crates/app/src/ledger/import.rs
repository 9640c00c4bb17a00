//! `florin ledger import`: lines of JSON as they are, or CSV through a mapping profile, with a
//! check of the balances that it states. Both end in the ledger's import route.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::body::Bytes;
use axum::http::Method;
use clap::{Args, ValueEnum};
use florin_ledger::csv::{self, CsvError, Import, Profile};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use serde_json::Value;

use super::import_report::{Posted, Refusal, Report};
use super::target::{Bytestream, Target, TargetArgs};
use crate::cli::block_on;
use crate::fail::{OrHint as _, failure, with_code};
use crate::out::{Output, progress};

/// Bytes sent at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Refused lines that are kept for the report.
const REFUSALS_SHOWN: usize = 20;

/// Post a file of lines of JSON, or of CSV with a mapping profile, with its original dates
///
/// Importing a file again changes nothing. Exit code 0: all lines are in the ledger; 1: some were
/// refused, or the file is wrong (then nothing of it is posted).
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Mapping profile (TOML); makes FILE a CSV
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Whether transfers that leave an account below its floor are refused
    #[arg(long, value_enum, default_value_t)]
    floors: Floors,
    /// Check file and balances, post nothing
    #[arg(long, requires = "profile")]
    check_only: bool,
    /// List every account, not only those with something to tell
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// What happens at an account's floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Floors {
    /// Refuse what would go below.
    #[default]
    Check,
    /// Post it and list the accounts.
    Skip,
}

impl ImportArgs {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        block_on(self.import(output))
    }

    async fn import(self, output: Output) -> anyhow::Result<u8> {
        let mapped = match &self.profile {
            Some(profile) => Some(map(&self.file, profile, output)?),
            None => None,
        };
        let mut report = Report::of(mapped.as_ref());
        if self.check_only {
            output.print(&report, || report.text(self.all))?;
            return Ok(0);
        }
        // Opening the target first would keep a server's files locked while a wrong file is read.
        let target = self.target.open().await?;
        let (lines, bytes): (Bytestream, u64) = match mapped {
            Some(import) => mapped_lines(&import)?,
            None => file_lines(&self.file)?,
        };
        report.posted = Some(post(&target, lines, bytes, self.floors, output).await?);
        let trial = target.get("/api/v1/ledger/trial-balance").await?;
        report.balanced = Some(is_balanced(&trial));
        target.close().await;
        output.print(&report, || report.text(self.all))?;
        match report.failed() {
            None => Ok(0),
            Some(why) => Err(with_code(why, None, 1)),
        }
    }
}

fn map(file: &Path, profile: &Path, output: Output) -> anyhow::Result<Import> {
    let text = std::fs::read_to_string(profile)
        .with_context(|| format!("cannot read the profile {}", profile.display()))
        .or_hint("docs/examples/bank-csv.toml shows one")?;
    let profile: Profile = toml::from_str(&text)
        .with_context(|| format!("the profile {}", profile.display()))
        .or_hint("docs/examples/bank-csv.toml shows every setting")?;
    let opened = open(file)?;
    let bar = progress(output, "reading", Some(opened.metadata()?.len()), true);
    let read = csv::read(bar.wrap_read(BufReader::new(opened)), &profile);
    bar.finish_and_clear();
    read.map_err(|error| {
        let hint = match &error {
            CsvError::Profile { .. } => "docs/examples/bank-csv.toml shows every setting",
            CsvError::Io(_) => "is the file readable?",
            CsvError::Rows(_) => "nothing was posted; correct the lines, or the profile",
        };
        failure(format!("{}: {error}", file.display()), hint)
    })
}

fn open(file: &Path) -> anyhow::Result<File> {
    File::open(file)
        .with_context(|| format!("cannot read {}", file.display()))
        .or_hint("give the file to import")
}

/// The lines of a mapped file, kept in memory: `csv` bounds how many there are.
fn mapped_lines(import: &Import) -> anyhow::Result<(Bytestream, u64)> {
    let mut text = Vec::new();
    import.write_lines(&mut text)?;
    let total = text.len() as u64;
    let text = Bytes::from(text);
    let starts = (0..text.len()).step_by(CHUNK_BYTES);
    let chunks: Vec<io::Result<Bytes>> = starts
        .map(|start| Ok(text.slice(start..text.len().min(start + CHUNK_BYTES))))
        .collect();
    Ok((stream::iter(chunks).boxed(), total))
}

fn file_lines(file: &Path) -> anyhow::Result<(Bytestream, u64)> {
    let mut opened = open(file)?;
    let total = opened.metadata()?.len();
    refuse_csv(&mut opened, file)?;
    let chunks = stream::unfold(Some(opened), |opened| async {
        let mut opened = opened?;
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = opened.read(&mut chunk).map(|length| {
                chunk.truncate(length);
                chunk
            });
            (opened, read)
        });
        match read.await {
            Ok((_, Ok(chunk))) if chunk.is_empty() => None,
            Ok((opened, Ok(chunk))) => Some((Ok(Bytes::from(chunk)), Some(opened))),
            Ok((_, Err(error))) => Some((Err(error), None)),
            Err(error) => Some((Err(io::Error::other(error)), None)),
        }
    });
    Ok((chunks.boxed(), total))
}

/// Somebody forgot `--profile`: say so once instead of refusing each line.
fn refuse_csv(opened: &mut File, file: &Path) -> anyhow::Result<()> {
    let mut first = String::new();
    // A first line that is no text is not JSON either; the route says so with its number.
    let _ = BufReader::new(&*opened)
        .take(64 << 10)
        .read_line(&mut first);
    opened.seek(SeekFrom::Start(0))?;
    let line = first.trim();
    if !line.is_empty() && !line.starts_with('{') {
        let message = format!("{} does not hold lines of JSON", file.display());
        return Err(failure(
            message,
            "for CSV give a mapping profile: --profile P.toml",
        ));
    }
    Ok(())
}

async fn post(
    target: &Target,
    lines: Bytestream,
    bytes: u64,
    floors: Floors,
    output: Output,
) -> anyhow::Result<Posted> {
    let bar = progress(output, "posting", Some(bytes), true);
    let counted = {
        let bar = bar.clone();
        lines
            .inspect_ok(move |chunk| bar.inc(chunk.len() as u64))
            .boxed()
    };
    let floors = match floors {
        Floors::Check => "check",
        Floors::Skip => "skip",
    };
    let path = format!("/api/v1/ledger/import?floors={floors}");
    let answers = target.send(Method::POST, &path, Some(counted)).await?;
    let posted = read_answers(answers, &bar).await;
    bar.finish_and_clear();
    posted
}

/// Result lines, then the summary or the reason why the rest was not done.
async fn read_answers(mut answers: Bytestream, bar: &ProgressBar) -> anyhow::Result<Posted> {
    let mut posted = Posted::default();
    let mut rest: Vec<u8> = Vec::new();
    let mut ended = false;
    while let Some(chunk) = answers.try_next().await? {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line: Value = serde_json::from_slice(&line).context("the answer is no JSON")?;
            ended = take(&mut posted, &line)?;
        }
        bar.set_message(format!("posting, {} refused", posted.refused_lines.len()));
    }
    match ended {
        true => Ok(posted),
        false => Err(failure(
            "the answer broke off",
            "import the file again: what is in the ledger counts once",
        )),
    }
}

/// Takes one line of the answer; true for the last one.
fn take(posted: &mut Posted, line: &Value) -> anyhow::Result<bool> {
    if let Some(summary) = line.get("summary") {
        posted.summary = serde_json::from_value(summary.clone()).context("summary")?;
        return Ok(true);
    }
    if let Some(error) = line.get("error") {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let message = format!(
            "stopped at line {}: {}: {}",
            error["line"],
            text("code"),
            text("detail")
        );
        return Err(failure(
            message,
            "import the file again: what is in the ledger counts once",
        ));
    }
    let code = line["code"].as_str().unwrap_or_default();
    if !matches!(code, "created" | "exists") && posted.refused_lines.len() < REFUSALS_SHOWN {
        let refusal: Refusal = serde_json::from_value(line.clone()).context("result line")?;
        posted.refused_lines.push(refusal);
    }
    Ok(false)
}

fn is_balanced(trial: &Value) -> bool {
    let assets = trial["assets"].as_array();
    assets.is_some_and(|assets| assets.iter().all(|asset| asset["difference"] == "0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_are_counted_until_the_summary() {
        let mut posted = Posted::default();
        let refused =
            json!({"line": 2, "id": "x", "code": "insufficient_funds", "field": "debitAccountId"});
        assert!(
            !take(
                &mut posted,
                &json!({"line": 1, "id": "a", "code": "created"})
            )
            .expect("a line")
        );
        assert!(!take(&mut posted, &refused).expect("a line"));
        let summary =
            json!({"summary": {"created": 1, "exists": 0, "refused": 1, "belowFloor": ["a"]}});
        assert!(take(&mut posted, &summary).expect("the summary"));
        assert_eq!(posted.refused_lines[0].code, "insufficient_funds");
        assert_eq!((posted.summary.created, posted.summary.refused), (1, 1));
        let broken = json!({"error": {"code": "store_unavailable", "detail": "full", "line": 9}});
        let error = take(&mut posted, &broken).expect_err("stopped").to_string();
        assert_eq!(error, "stopped at line 9: store_unavailable: full");
    }

    #[test]
    fn a_difference_anywhere_is_not_balanced() {
        let trial = |other: &str| json!({"assets": [{"difference": "0"}, {"difference": other}]});
        assert!(is_balanced(&trial("0")) && !is_balanced(&trial("-1")) && !is_balanced(&json!({})));
    }
}
