//! `florin bench shadow`: what the shadow ledger takes in, answers, checks, reads and proves, as
//! its contract promises (F1).
//!
//! **Boundary.** Each part has a server of its own and speaks HTTP to it; only the readers of
//! statements are measured in process too. Every count that a server gives back is compared with
//! what was sent: a difference is an error, never a result.

mod books;
mod caller;
mod drift;
mod intake;
#[cfg(feature = "kafka")]
mod kafka;
mod place;
mod prove;
mod statements;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::machine;
use crate::out::Output;

/// Measure the shadow ledger, on servers of its own
///
/// With `--only` one part of it. Smaller figures give a quick look; those of `bench/shadow/run`
/// are the defaults and take about ten minutes on two cores.
#[derive(Debug, Args)]
pub struct Shadow {
    /// Only this part; may be given several times
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Write the table to this file
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Folder for the data, which is removed at the end
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Seconds of each intake
    #[arg(long, default_value_t = 40, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Events of one batch
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Books that events spread over
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    books: u64,
    /// Entries of the large book
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10..))]
    entries: u64,
    /// Accounts of the drift check
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..))]
    accounts: u64,
    /// Lines of the statements
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10..=1_200_000))]
    lines: u64,
    /// Lines and entries that are matched
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10..))]
    matches: u64,
    /// Messages of the intake from Kafka
    #[arg(long, default_value_t = 300_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..))]
    messages: u64,
    /// PostgreSQL server for the intake from Kafka, which is left out without one; a schema is
    /// made in it
    #[arg(
        long,
        value_name = "URL",
        env = "FLORIN_BENCH_POSTGRES",
        hide_env_values = true
    )]
    postgres: Option<String>,
    /// Brokers for the intake from Kafka; without them librdkafka's own, in this process
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
}

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Batches and single events over HTTP
    Intake,
    /// A large book: late events, balances, entries
    Books,
    /// `florin shadow rebuild --verify`, alone and beside an intake
    Rebuild,
    /// One drift check of many accounts
    Drift,
    /// Statements: readers, import, matching
    Statements,
    /// Intake from Kafka on PostgreSQL
    Kafka,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    what: String,
    measured: String,
    /// What the contract promises on two cores.
    promised: String,
}

impl Row {
    /// A line, told at once.
    pub fn new(what: impl Into<String>, measured: impl Into<String>, promised: &str) -> Self {
        let row = Self {
            what: what.into(),
            measured: measured.into(),
            promised: promised.to_owned(),
        };
        eprintln!("{}: {}", row.what, row.measured);
        row
    }
}

/// Everything measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// Of the program.
    pub version: &'static str,
    /// The kind of machine.
    pub machine: String,
    /// How long it took.
    pub seconds: u64,
    /// The table.
    pub rows: Vec<Row>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
}

impl Shadow {
    /// Measures it all.
    pub fn run(self, output: Output) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut rows = Vec::new();
        let mut skipped = Vec::new();
        let wanted = |part| self.only.is_empty() || self.only.contains(&part);
        if wanted(Part::Intake) {
            intake::measure(&self, &mut rows)?;
        }
        if wanted(Part::Books) || wanted(Part::Rebuild) {
            self.large_book(&wanted, &mut rows)?;
        }
        if wanted(Part::Drift) {
            drift::measure(&self, &mut rows)?;
        }
        if wanted(Part::Statements) {
            statements::measure(&self, &mut rows)?;
        }
        if wanted(Part::Kafka) {
            self.kafka_rows(&mut rows, &mut skipped)?;
        }
        for missing in &skipped {
            eprintln!("skipped: {missing}");
        }
        let results = Results {
            version: env!("CARGO_PKG_VERSION"),
            machine: machine(&self.dir),
            seconds: begun.elapsed().as_secs(),
            rows,
            skipped,
        };
        let page = results.page(
            "# Shadow ledger: results",
            "`bench/shadow/run` (`florin bench shadow`)",
            "`bench/shadow/README.md`",
        );
        if let Some(path) = &self.results {
            std::fs::write(path, &page)?;
        }
        Ok(output.print(&results, || page)?)
    }

    /// The large book serves the rebuild too: it takes the longest to make.
    fn large_book(&self, wanted: &dyn Fn(Part) -> bool, rows: &mut Vec<Row>) -> anyhow::Result<()> {
        let place = place::Place::start(&self.dir, "book", &[])?;
        let made = books::fill(&place, self.entries)?;
        rows.push(Row::new(
            format!(
                "batches of 10,000 into one book in key order, until it has {} entries",
                number(self.entries)
            ),
            format!("{} events/s", rate(self.entries, made)),
            "≥ 20,000 events/s",
        ));
        if wanted(Part::Books) {
            books::measure(&place, self.entries, rows)?;
        }
        if wanted(Part::Rebuild) {
            prove::measure(&place, self, rows)?;
        }
        place.stop()
    }

    #[cfg(feature = "kafka")]
    fn kafka_rows(&self, rows: &mut Vec<Row>, skipped: &mut Vec<String>) -> anyhow::Result<()> {
        match &self.postgres {
            Some(url) => kafka::measure(self, url, rows),
            None => {
                skipped.push("intake from Kafka: give --postgres URL".to_owned());
                Ok(())
            }
        }
    }

    #[cfg(not(feature = "kafka"))]
    #[allow(clippy::unnecessary_wraps, reason = "as with the feature")]
    fn kafka_rows(&self, _rows: &mut Vec<Row>, skipped: &mut Vec<String>) -> anyhow::Result<()> {
        let missing = match (&self.postgres, &self.brokers) {
            (None, None) => "intake from Kafka: built without the feature `kafka`",
            _ => "intake from Kafka: --postgres and --brokers need the feature `kafka`",
        };
        skipped.push(format!("{missing} ({} messages)", number(self.messages)));
        Ok(())
    }
}

impl Results {
    /// The table as a page; `made_by` and `explained_in` are names of commands and files.
    pub fn page(&self, title: &str, made_by: &str, explained_in: &str) -> String {
        let mut page = format!(
            "{title}\n\nMade by {made_by}, Florin {}, in {} s. Generator and server share the machine; \
             everything acknowledged is on the disk. {explained_in} says how the figures are \
             taken.\n\nMachine: {}.\n\n| what | measured | promised |\n|---|---:|---:|\n",
            self.version, self.seconds, self.machine
        );
        for row in &self.rows {
            page.push_str(&format!(
                "| {} | {} | {} |\n",
                row.what, row.measured, row.promised
            ));
        }
        for missing in &self.skipped {
            page.push_str(&format!("\nSkipped: {missing}.\n"));
        }
        page
    }
}

/// Digits in groups of three.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many a second.
fn rate(count: u64, took: Duration) -> String {
    let micros = took.as_micros().max(1);
    let each = u128::from(count) * 1_000_000 / micros;
    number(u64::try_from(each).unwrap_or(u64::MAX))
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", number(bytes.div_ceil(1 << 20)))
}

/// Waits until a server is asked again; it announces nothing that could be awaited.
#[allow(
    clippy::disallowed_methods,
    reason = "a measuring tool looks at a server from outside"
)]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(
            (number(0), number(999), number(1_000)),
            ("0".into(), "999".into(), "1,000".into())
        );
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(rate(50_000, Duration::from_millis(2_500)), "20,000");
        assert_eq!(mib((1 << 20) + 1), "2 MiB");
    }
}
