//! `florin dr drill` (DEP-139): note where the ledger stands, back it up, restore it elsewhere,
//! recompute all of it there, and compare.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use florin_base::ids::IdSource;
use florin_ledger::proof::{Checkpoint, CheckpointBody, Signer};
use florin_ledger::verify::{Evidence, Report, VerifyError};
use serde::Serialize;
use toml::{Table, Value};

use super::place::{self, Place};
use super::snapshot;
use crate::config::secret::{self, Lookup};
use crate::fail::{failure, with_code};
use crate::out::Output;

/// Exit code when what was restored is not what was backed up.
const NOT_THE_SAME: u8 = 1;

/// Back up, restore elsewhere, recompute and compare; report how long it took
///
/// The ledger may run on meanwhile. What is compared: the head that was noted before, by root and
/// chain hash; every balance, recomputed from the records; the sums of each asset; the tables of
/// the rooms. Exit code 0: the same; 1: not the same, or the backup is damaged.
#[derive(Debug, Args)]
pub struct Drill {
    /// What is backed up: the URL of a database, or the data directory of a stopped server
    #[arg(
        long,
        value_name = "URL|DIR",
        env = "FLORIN_DRILL_SOURCE",
        hide_env_values = true
    )]
    source: String,
    /// Where it is restored: the URL of an empty database, or a folder that is not there
    #[arg(
        long,
        value_name = "URL|DIR",
        env = "FLORIN_DRILL_TARGET",
        hide_env_values = true,
        required_unless_present = "aws"
    )]
    target: Option<String>,
    /// Restore the newest snapshot of this environment's database on AWS, compare, remove it again
    #[arg(long, value_name = "ENVIRONMENT", conflicts_with_all = ["target", "backup", "restored"])]
    aws: Option<String>,
    /// A backup that exists (`pg_dump --format=custom`), instead of a new one
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    /// The target was restored already, from a snapshot or to a point in time; nothing is backed up
    #[arg(long, conflicts_with = "backup")]
    restored: bool,
    /// Folder of `pg_dump` and `pg_restore`; left out: they are found on the path
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Folder for the backup while the drill runs; left out: the system's for temporary files
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    ok: bool,
    noted: Stand,
    restored: Stand,
    /// Records that came after the backup: what a loss of the source would have cost.
    records_after_backup: u64,
    backup_ms: u128,
    restore_ms: u128,
    verify_ms: u128,
    tables: BTreeMap<String, [i64; 2]>,
    /// Rows of rooms that were read on both sides and compared, one a table.
    rows_compared: u32,
    differences: Vec<String>,
    /// Where the report is kept, below the bucket of backups.
    report: Option<String>,
}

/// Where a ledger stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stand {
    seq: u64,
    batch: u64,
    root_hash: String,
    chain_hash: Option<String>,
    accounts: u64,
    /// Σ of posted debits by asset; credits are the same, or the verification fails.
    sums: BTreeMap<String, String>,
}

impl Stand {
    fn of(report: &Report) -> Self {
        let sums = report.sums.iter();
        Self {
            seq: report.head.seq,
            batch: report.head.batch,
            root_hash: report.head.root_hash.to_string(),
            chain_hash: report.head.chain_hash.map(|hash| hash.to_string()),
            accounts: report.accounts,
            sums: sums
                .map(|s| (s.asset.to_string(), s.totals.debits_posted.to_string()))
                .collect(),
        }
    }
}

impl Drill {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let scratch = self.scratch.clone().unwrap_or_else(std::env::temp_dir);
        let scratch = scratch.join(format!("florin-drill-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
        let done = match &self.aws {
            Some(environment) => self.of_a_snapshot(environment, &scratch),
            None => self.drill(&scratch),
        };
        std::fs::remove_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
        let outcome = done?;
        output.print(&outcome, || said(&outcome))?;
        Ok(if outcome.ok { 0 } else { NOT_THE_SAME })
    }

    /// Restored by AWS, compared, kept as a report, and removed.
    fn of_a_snapshot(&self, environment: &str, scratch: &Path) -> anyhow::Result<Outcome> {
        let source = resolved(&self.source)?;
        let started = Instant::now();
        let restored = snapshot::restore(environment)?;
        let restore_ms = started.elapsed().as_millis();
        let done = snapshot::moved(&source, &restored.host, &restored.port)
            .and_then(|target| self.compare(&source, &target, true, scratch));
        let kept = done.as_ref().ok().map(|outcome| {
            let report = serde_json::json!(outcome);
            restored.keep(&report)
        });
        // First of all it must not go on costing money.
        restored.remove()?;
        let mut outcome = done?;
        outcome.restore_ms = restore_ms;
        outcome.report = kept.transpose()?;
        Ok(outcome)
    }

    fn drill(&self, scratch: &Path) -> anyhow::Result<Outcome> {
        let target = self.target.as_deref().unwrap_or_default();
        let (source, target) = (resolved(&self.source)?, resolved(target)?);
        self.compare(&source, &target, self.restored, scratch)
    }

    fn compare(
        &self,
        source: &str,
        target: &str,
        is_restored: bool,
        scratch: &Path,
    ) -> anyhow::Result<Outcome> {
        let (source, target) = (Place::parse(source), Place::parse(target));
        let noted = verified("the source", source.verify(scratch, &Evidence::default()))?;
        let tables = source.rooms()?;
        let samples = source.samples()?;
        let evidence = match is_restored {
            // A snapshot is older than the note: the ledger is recomputed, and may end before it.
            true => Evidence::default(),
            false => evidence(&source, &noted)?,
        };

        let (mut backup_ms, mut restore_ms) = (0, 0);
        if !is_restored {
            let started = Instant::now();
            let backup = self.back_up(&source, scratch)?;
            backup_ms = started.elapsed().as_millis();
            let started = Instant::now();
            self.restore(&backup, &target)?;
            restore_ms = started.elapsed().as_millis();
        }
        let started = Instant::now();
        let restored = verified("the restored ledger", target.verify(scratch, &evidence))?;
        let verify_ms = started.elapsed().as_millis();

        let now = match &source {
            Place::Database(_) => {
                // Whatever was restored must be a part of what the source has recorded.
                let part = self::evidence(&target, &restored)?;
                let whose = "the source, against what was restored,";
                verified(whose, source.verify(scratch, &part))?.head.seq
            }
            Place::Folder(_) => noted.head.seq,
        };
        let tables = paired(tables, &target.rooms()?);
        let is_older = self.backup.is_some() || is_restored;
        let mut differences = differences(&noted, &restored, &tables, is_older);
        // What changed meanwhile, or since an older backup, is not compared.
        let mut rows_compared = 0;
        if !is_older {
            let (after, found) = (source.samples()?, target.samples()?);
            let unmoved = samples
                .iter()
                .filter(|(name, row)| after.get(*name) == Some(*row));
            for (name, row) in unmoved {
                rows_compared += 1;
                if found.get(name) != Some(row) {
                    differences.push(format!("a row of {name} came back other than it was"));
                }
            }
        }
        Ok(Outcome {
            ok: differences.is_empty(),
            noted: Stand::of(&noted),
            restored: Stand::of(&restored),
            records_after_backup: now.saturating_sub(restored.head.seq),
            backup_ms,
            restore_ms,
            verify_ms,
            tables,
            rows_compared,
            differences,
            report: None,
        })
    }

    /// The file or folder that holds the backup.
    fn back_up(&self, source: &Place, scratch: &Path) -> anyhow::Result<PathBuf> {
        if let Some(file) = &self.backup {
            return Ok(file.clone());
        }
        match source {
            Place::Database(url) => {
                let file = scratch.join("florin.dump");
                let args = [
                    OsStr::new("--format=custom"),
                    OsStr::new("--file"),
                    file.as_os_str(),
                ];
                place::program(self.programs.as_deref(), "pg_dump", url, &args)?;
                Ok(file)
            }
            Place::Folder(dir) => {
                let copy = scratch.join("data");
                place::copy(dir, &copy)?;
                Ok(copy)
            }
        }
    }

    fn restore(&self, backup: &Path, target: &Place) -> anyhow::Result<()> {
        match target {
            Place::Database(url) => {
                let args = ["--exit-on-error", "--no-owner", "--no-privileges"].map(OsStr::new);
                let args = [args.as_slice(), &[backup.as_os_str()]].concat();
                place::program(self.programs.as_deref(), "pg_restore", url, &args).map_err(
                    |error| {
                        with_code(
                            format!("the backup cannot be restored: {error:#}"),
                            Some(BACKUP_HINT.to_owned()),
                            NOT_THE_SAME,
                        )
                    },
                )
            }
            Place::Folder(dir) if dir.exists() => Err(failure(
                format!("{} is there already", dir.display()),
                "name a folder that does not exist",
            )),
            Place::Folder(dir) => place::copy(backup, dir),
        }
    }
}

const BACKUP_HINT: &str = "the target must be an empty database; otherwise the backup is damaged: take the one before, and find out why";

/// What a reference leads to, else the text itself.
pub fn resolved(text: &str) -> anyhow::Result<String> {
    let mut table = Table::from_iter([("place".to_owned(), Value::String(text.to_owned()))]);
    secret::resolve(&mut table, &Lookup::process())?;
    Ok(table
        .get("place")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned())
}

/// The report, or words that say whose ledger does not verify.
pub fn verified(whose: &str, found: Result<Report, VerifyError>) -> anyhow::Result<Report> {
    found.map_err(|error| {
        let hint = "florin ledger verify says more; do not use what was restored";
        with_code(
            format!("{whose} does not verify: {error}"),
            Some(hint.to_owned()),
            NOT_THE_SAME,
        )
    })
}

/// What another copy of the ledger must contain: the noted head, as a checkpoint of a key that exists for
/// this drill alone. The verification then compares root and chain hash where the note stands,
/// whatever was recorded later.
pub fn evidence(source: &Place, noted: &Report) -> anyhow::Result<Evidence> {
    let (Some(chain_hash), Some(id)) = (noted.head.chain_hash, source.ledger_id()?) else {
        return Ok(Evidence::default());
    };
    if noted.head.seq == 0 {
        return Ok(Evidence::default());
    }
    let body = CheckpointBody {
        ledger_id: id.parse().context("the ledger's id")?,
        tree_size: noted.head.seq,
        root_hash: noted.head.root_hash,
        batch: noted.head.batch,
        chain_hash,
    };
    let signer = Signer::from_seed("florin/drill", &IdSource::random_32())?;
    let checkpoint = Checkpoint::sign(1, &body, &[&signer]);
    Ok(Evidence {
        checkpoints: vec![checkpoint.into()],
        keys: vec![signer.verifier_key().clone()],
        ledger_id: Some(body.ledger_id),
    })
}

/// Rows of each table before the backup, and restored; -1: no such table.
fn paired(
    noted: BTreeMap<String, i64>,
    restored: &BTreeMap<String, i64>,
) -> BTreeMap<String, [i64; 2]> {
    let pair = |(name, rows): (String, i64)| {
        let found = restored.get(&name).copied().unwrap_or(-1);
        (name, [rows, found])
    };
    noted.into_iter().map(pair).collect()
}

/// What is wrong with what was restored. An older backup may end before the note.
fn differences(
    noted: &Report,
    restored: &Report,
    tables: &BTreeMap<String, [i64; 2]>,
    is_older: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    if restored.head.seq < noted.head.seq && !is_older {
        found.push(format!(
            "the restored ledger ends at {}, noted was {}",
            restored.head.seq, noted.head.seq
        ));
    }
    let same = restored.head.seq == noted.head.seq;
    if same && Stand::of(restored) != Stand::of(noted) {
        found.push("head, accounts or sums differ at the same record".to_owned());
    }
    for (name, [before, after]) in tables {
        match (*before, *after) {
            (_, -1) => found.push(format!("{name} is not in the backup")),
            (1.., 0) => found.push(format!("{name} had {before} rows and came back empty")),
            _ => {}
        }
    }
    found
}

fn said(outcome: &Outcome) -> String {
    let mut lines = vec![
        match outcome.ok {
            true => "the restored ledger is the same".to_owned(),
            false => "THE RESTORED LEDGER IS NOT THE SAME".to_owned(),
        },
        format!(
            "  noted      record {}, root {}",
            outcome.noted.seq, outcome.noted.root_hash
        ),
        format!(
            "  restored   record {}, {} accounts recomputed",
            outcome.restored.seq, outcome.restored.accounts
        ),
        format!(
            "  after the backup came {} records",
            outcome.records_after_backup
        ),
        format!(
            "  backup {} ms, restore {} ms, verify {} ms",
            outcome.backup_ms, outcome.restore_ms, outcome.verify_ms
        ),
        format!(
            "  {} tables or files beside the ledger, a row of {} compared",
            outcome.tables.len(),
            outcome.rows_compared
        ),
    ];
    lines.extend(outcome.differences.iter().map(|what| format!("  {what}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_missing_or_came_back_empty_is_told() {
        let noted = BTreeMap::from([
            ("florin.users".to_owned(), 3),
            ("florin.jobs".to_owned(), 0),
            ("florin.audit".to_owned(), 9),
        ]);
        let restored = BTreeMap::from([
            ("florin.users".to_owned(), 0),
            ("florin.jobs".to_owned(), 0),
        ]);
        let tables = paired(noted, &restored);
        assert_eq!(tables["florin.users"], [3, 0]);
        assert_eq!(tables["florin.audit"], [9, -1]);
        let report = Report {
            records: 0,
            batches: 0,
            assets: 0,
            accounts: 0,
            open_pendings: 0,
            checkpoints_verified: 0,
            signatures_verified: 0,
            covered_seq: 0,
            sums: vec![],
            floor_skipped_records: 0,
            floor_skipped: vec![],
            below_floor: vec![],
            torn_bytes: 0,
            head: florin_ledger::verify::Head {
                seq: 5,
                batch: 2,
                recorded_at: None,
                root_hash: florin_ledger::proof::Hash([0; 32]),
                chain_hash: None,
            },
        };
        let found = differences(&report, &report, &tables, false);
        assert_eq!(
            found,
            [
                "florin.audit is not in the backup",
                "florin.users had 3 rows and came back empty"
            ]
        );
        let mut short = report.clone();
        short.head.seq = 4;
        assert_eq!(
            differences(&report, &short, &BTreeMap::new(), false).len(),
            1
        );
        assert!(differences(&report, &short, &BTreeMap::new(), true).is_empty());
    }
}
