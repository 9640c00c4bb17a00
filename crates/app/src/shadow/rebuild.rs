//! `florin shadow rebuild` (contract shadow-ledger, B4): exit code 0 equal, 1 divergence or
//! broken chain, 2 could not run.

use clap::Args;
use florin_platform::sql::Db;
use florin_shadow::store::rebuild::{self, Report, Request};

use crate::cli::block_on;
use crate::config::{self, ConfigArgs};
use crate::fail::with_code;
use crate::out::{Output, progress};
use crate::serve::shadow::SHADOW_FILE;

/// Exit code when something differs.
const DIVERGENCE: u8 = 1;
/// Exit code when it could not be found out.
const COULD_NOT_RUN: u8 = 2;
/// Steps by which a server that runs beside a verification comes first at the processor.
const NICE: i32 = 5;

/// Rebuild everything derived from the log, beside live, and compare or replace
///
/// Works on the tables of a server that may be running: serving goes on, and a verification lets
/// it go first at the processor (nice 5). Exit code 0: equal; 1: a divergence (the first differing
/// event is named) or a broken chain; 2: could not run.
#[derive(Debug, Args)]
pub struct Rebuild {
    /// Compare digests per book at the same record
    #[arg(long, required_unless_present = "swap")]
    verify: bool,
    /// Put the rebuilt tables in place, in one transaction; needs --yes-replace-live
    #[arg(long, requires = "yes_replace_live", conflicts_with = "account")]
    swap: bool,
    /// Yes, replace the live tables
    #[arg(long)]
    yes_replace_live: bool,
    /// A head that was kept elsewhere: the log must still hold exactly this record
    #[arg(long, value_name = "SEQ:HASH", value_parser = parse_head)]
    expect_head: Option<(i64, [u8; 32])>,
    /// Only the books of this account; the chain is verified whole all the same
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

fn parse_head(text: &str) -> Result<(i64, [u8; 32]), String> {
    let wrong = || "such as 1200:9f86d0…, as the head and the checkpoints print it".to_owned();
    let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
    let seq = seq.parse().map_err(|_| wrong())?;
    let digits = hash.as_bytes();
    if digits.len() != 64 {
        return Err(wrong());
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let pair = hash.get(at * 2..at * 2 + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok((seq, bytes))
}

impl Rebuild {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let could_not = |error: anyhow::Error| {
            let hint = "give the folder with --data-dir, or the database as for florin serve";
            with_code(format!("{error:#}"), Some(hint.to_owned()), COULD_NOT_RUN)
        };
        // A replacement holds what the server waits for: that one is not to dawdle.
        if !self.swap
            && let Err(error) = rustix::process::nice(NICE)
        {
            tracing::debug!(%error, "the verification runs at full priority");
        }
        let report = block_on(self.work(output)).map_err(could_not)?;
        output.print(&report, || text(&report))?;
        Ok(match report.is_good() {
            true => 0,
            false => DIVERGENCE,
        })
    }

    async fn work(&self, output: Output) -> anyhow::Result<Report> {
        let db = self.open().await?;
        let request = Request {
            expect_head: self.expect_head,
            account: self.account.clone(),
        };
        let bar = progress(output, "rebuilding", None, false);
        let show = |seq: i64| bar.set_position(seq.unsigned_abs());
        let report = match self.swap {
            true => rebuild::swap(&db, &request, &show).await,
            false => rebuild::verify(&db, &request, &show).await,
        };
        bar.finish_and_clear();
        db.close().await;
        Ok(report?)
    }

    async fn open(&self) -> anyhow::Result<Db> {
        let loaded = config::load(&self.config, Vec::new())?;
        if let Some(settings) = loaded.config.database.postgres() {
            return Ok(Db::open_postgres(settings).await?.lane("shadow").patient());
        }
        let path = loaded.data_dir()?.join(SHADOW_FILE);
        anyhow::ensure!(path.exists(), "there is no {}", path.display());
        Ok(Db::open_sqlite(&path).await?)
    }
}

fn text(report: &Report) -> String {
    match report {
        Report::Equal {
            log_seq,
            books,
            events,
            seconds,
            ..
        } => format!("Equal: {events} events in {books} books at record {log_seq}, in {seconds} s"),
        Report::Divergence {
            log_seq,
            divergent_books,
            first_divergence: first,
            ..
        } => format!(
            "DIVERGENCE: {divergent_books} books differ at record {log_seq}\n  first: {} of {}/{} (record {})\n  {}: live {}, rebuilt {}",
            first.event_id,
            first.account_id,
            first.currency,
            first.log_seq,
            first.field,
            first.live,
            first.rebuilt
        ),
        Report::Chain { broken_at, .. } => {
            format!("BROKEN CHAIN: the log does not fit at record {broken_at}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_are_printed() {
        let hash = "ab".repeat(32);
        assert_eq!(parse_head(&format!("12:{hash}")), Ok((12, [0xab; 32])));
        for bad in ["12", "x:00", &format!("12:{}", "a".repeat(63)), "12:zz"] {
            assert!(parse_head(bad).is_err(), "{bad}");
        }
    }
}
