//! `florin ledger verify` (contract A9): exit code 0 good, 1 violation, 2 could not run.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use florin_ledger::PostgresOptions;
use florin_ledger::verify::{
    Evidence, Progress, Report, VerifyError, Violation, read_checkpoints, read_keys,
    verify_database, verify_directory, verify_export,
};
use serde_json::{Value, json};

use crate::config::{self, ConfigArgs};
use crate::fail::with_code;
use crate::out::{Output, progress};
use crate::serve::parts::LEDGER_FOLDER;

/// Exit code when a violation was found.
const VIOLATION: u8 = 1;
/// Exit code when it could not be found out.
const COULD_NOT_RUN: u8 = 2;

/// What to do about a ledger that is in use.
const RUNNING: &str = "florin ledger export --server URL --api-key KEY --to-file FILE, then florin ledger verify --export FILE";

/// What to do about records that are in a file.
const ARCHIVED: &str = "florin ledger archive --restore FILE, then verify again";

/// Recompute everything: lines, gaps, hashes, signatures, rules, balances
///
/// Works on the files of a stopped server, on a ledger in PostgreSQL, stopped or running, or on
/// an export, anywhere. Exit code 0: good; 1: a
/// violation (its kind, batch and first seq are printed); 2: could not run.
#[derive(Debug, Args)]
pub struct Verify {
    /// Verify this export (lines of JSON, whole) instead of the configured ledger
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Checkpoints kept elsewhere: a signed note, or answers of the checkpoint routes
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Keys that must have signed them: verifier keys, one a line, or the answer of the key route
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Where the configured ledger is.
enum Kept {
    Directory(PathBuf),
    Database(Box<PostgresOptions>),
}

impl Verify {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self.verify(output) {
            Ok(report) => {
                output.print(&good_json(&report), || good_text(&report))?;
                Ok(0)
            }
            Err(VerifyError::Violation(violation)) => {
                output.print(&bad_json(&violation), || bad_text(&violation))?;
                Ok(VIOLATION)
            }
            Err(VerifyError::CouldNotRun(why)) => {
                let hint = match () {
                    () if why.contains("is running") => RUNNING,
                    () if why.contains("are archived") => ARCHIVED,
                    () => "give the folder with --data-dir, or an export with --export",
                };
                Err(with_code(why, Some(hint.to_owned()), COULD_NOT_RUN))
            }
        }
    }

    fn verify(&self, output: Output) -> Result<Report, VerifyError> {
        let evidence = self.evidence()?;
        let bar = progress(output, "verifying", None, false);
        let mut show = |at: Progress| bar.set_position(at.records);
        let verified = match &self.export {
            Some(path) => {
                let file = File::open(path).map_err(|error| could_not(path, &error))?;
                verify_export(
                    &mut BufReader::with_capacity(1 << 20, file),
                    &evidence,
                    &mut show,
                )
            }
            None => match self.kept()? {
                Kept::Directory(dir) => verify_directory(&dir, &evidence, &mut show),
                Kept::Database(options) => verify_database(&options, &evidence, &mut show),
            },
        };
        bar.finish_and_clear();
        verified
    }

    fn kept(&self) -> Result<Kept, VerifyError> {
        let could_not = |error: anyhow::Error| VerifyError::CouldNotRun(format!("{error:#}"));
        let loaded = config::load(&self.config, Vec::new()).map_err(could_not)?;
        let dir = loaded.data_dir().map_err(could_not)?.join(LEDGER_FOLDER);
        let settings = &loaded.config.ledger;
        Ok(match settings.postgres() {
            None => Kept::Directory(dir),
            Some(url) => Kept::Database(Box::new(PostgresOptions {
                schema: settings.schema.clone(),
                ..PostgresOptions::new(url.expose(), dir)
            })),
        })
    }

    fn evidence(&self) -> Result<Evidence, VerifyError> {
        let mut evidence = Evidence::default();
        if let Some(path) = &self.checkpoint {
            evidence.checkpoints =
                read_checkpoints(&read(path)?).map_err(|error| could_not(path, &error))?;
        }
        if let Some(path) = &self.key {
            evidence.keys = read_keys(&read(path)?).map_err(|error| could_not(path, &error))?;
        }
        Ok(evidence)
    }
}

fn read(path: &Path) -> Result<String, VerifyError> {
    std::fs::read_to_string(path).map_err(|error| could_not(path, &error))
}

fn could_not(path: &Path, error: &dyn std::fmt::Display) -> VerifyError {
    VerifyError::CouldNotRun(format!("{}: {error}", path.display()))
}

fn good_json(report: &Report) -> Value {
    let sums = report.sums.iter().map(|sums| {
        let totals = &sums.totals;
        json!({
            "asset": sums.asset,
            "accounts": sums.accounts,
            "debitsPosted": totals.debits_posted.to_string(),
            "creditsPosted": totals.credits_posted.to_string(),
            "debitsPending": totals.debits_pending.to_string(),
            "creditsPending": totals.credits_pending.to_string(),
        })
    });
    let ids = |ids: &[florin_ledger::model::AccountId]| {
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    json!({
        "ok": true,
        "records": report.records,
        "batches": report.batches,
        "assets": report.assets,
        "accounts": report.accounts,
        "openPendings": report.open_pendings,
        "checkpointsVerified": report.checkpoints_verified,
        "signaturesVerified": report.signatures_verified,
        "coveredSeq": report.covered_seq,
        "sums": sums.collect::<Vec<_>>(),
        "floorSkippedRecords": report.floor_skipped_records,
        "floorSkipped": ids(&report.floor_skipped),
        "belowFloor": ids(&report.below_floor),
        "tornBytes": report.torn_bytes,
        "head": {
            "seq": report.head.seq,
            "batch": report.head.batch,
            "recordedAt": report.head.recorded_at.map(|at| at.to_string()),
            "rootHash": report.head.root_hash.to_string(),
            "chainHash": report.head.chain_hash.map(|hash| hash.to_string()),
        },
    })
}

fn good_text(report: &Report) -> String {
    let mut lines = vec![
        format!(
            "Good: {} records in {} batches, {} accounts, {} assets",
            report.records, report.batches, report.accounts, report.assets
        ),
        format!("  root   {}", report.head.root_hash),
    ];
    if let Some(chain) = report.head.chain_hash {
        lines.push(format!("  chain  {chain}"));
    }
    lines.push(match report.checkpoints_verified {
        0 => "  no checkpoint vouches for it: a last stretch that was cut off would not be seen"
            .to_owned(),
        count => format!(
            "  {count} checkpoints agree, {} signatures checked; they vouch for seq 1 to {}",
            report.signatures_verified, report.covered_seq
        ),
    });
    if report.open_pendings > 0 {
        lines.push(format!(
            "  {} pending transfers are open",
            report.open_pendings
        ));
    }
    if report.torn_bytes > 0 {
        lines.push(format!(
            "  {} bytes at the end were half written by a crash; they were never acknowledged",
            report.torn_bytes
        ));
    }
    if report.floor_skipped_records > 0 {
        lines.push(format!(
            "  {} records of {} accounts were imported without a floor check, {} accounts are below their floor",
            report.floor_skipped_records,
            report.floor_skipped.len(),
            report.below_floor.len()
        ));
        lines.extend(report.below_floor.iter().map(|id| format!("    {id}")));
    }
    lines.join("\n")
}

fn bad_json(violation: &Violation) -> Value {
    json!({
        "ok": false,
        "kind": violation.kind.word(),
        "batch": violation.batch,
        "seq": violation.seq,
        "detail": violation.detail,
    })
}

fn bad_text(violation: &Violation) -> String {
    format!(
        "VIOLATION: {}\n  batch {}, first seq {}\n  {}",
        violation.kind, violation.batch, violation.seq, violation.detail
    )
}
