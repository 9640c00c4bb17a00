//! `florin bench ticketing`: what a sale, its door and its report do, as the ticketing contract
//! promises (H1).
//!
//! **Boundary.** Each part has a server of its own and speaks HTTP to it; only codes are verified
//! in process, as a scanner does, and the large event is copied by SQL while its server is down.
//! Every run ends with a comparison of what the server counts and what was answered: a difference
//! is an error, never a result.

mod buyers;
mod cancel;
mod door;
mod drive;
mod large;
mod pages;
mod place;
mod sale;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use self::place::Store;
use super::machine;
pub(super) use super::shadow::{Row, number};
use crate::out::Output;

/// Measure ticketing, on servers of its own
///
/// With `--only` one part of it. The defaults are those of `bench/ticketing/run` and take about
/// twenty minutes on two cores, twice that with --postgres.
#[derive(Debug, Args)]
pub struct Ticketing {
    /// Only this part; may be given several times
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Write the table to this file
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Folder for the data, which is removed at the end
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Seconds of each run
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often; the result is the median
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// How often a sale is drained
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    sale_runs: u32,
    /// Connections that buyers come over
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=8_000))]
    connections: u64,
    /// Buyers of a sale that is drained
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    buyers: u64,
    /// Tickets of a sale that is drained
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    tickets: u64,
    /// Orders of the event that is reported on
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=10_000_000))]
    orders: u64,
    /// Tickets of the event that is cancelled
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    refunds: u64,
    /// PostgreSQL server: everything is measured on it too, ledger and tables in schemas of their
    /// own
    #[arg(
        long,
        value_name = "URL",
        env = "FLORIN_BENCH_POSTGRES",
        hide_env_values = true
    )]
    postgres: Option<String>,
    /// Leave out the measurement without PostgreSQL
    #[arg(long, requires = "postgres")]
    postgres_only: bool,
}

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Reserves on one hot event
    Reserve,
    /// An on-sale of free tickets, drained
    Free,
    /// An on-sale paid from wallets, drained
    Wallet,
    /// Codes verified without a network
    Offline,
    /// Check-ins over HTTP
    Door,
    /// Event page and availability
    Pages,
    /// An event is cancelled
    Cancel,
    /// Report and export of a large event
    Large,
}

impl Ticketing {
    /// Measures it all.
    pub fn run(self, output: Output) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut stores = Vec::new();
        if !self.postgres_only {
            stores.push(Store::Embedded);
        }
        stores.extend(self.postgres.clone().map(Store::Postgres));
        let mut rows = Vec::new();
        let wanted = |part| self.only.is_empty() || self.only.contains(&part);
        if wanted(Part::Offline) {
            door::offline(&self, &mut rows)?;
        }
        for store in &stores {
            self.on(store, &wanted, &mut rows)?;
        }
        let skipped = match self.postgres {
            Some(_) => Vec::new(),
            None => vec!["PostgreSQL: give --postgres URL".to_owned()],
        };
        let results = super::shadow::Results {
            version: env!("CARGO_PKG_VERSION"),
            machine: machine(&self.dir),
            seconds: begun.elapsed().as_secs(),
            rows,
            skipped,
        };
        let page = results.page(
            "# Ticketing: results",
            "`bench/ticketing/run` (`florin bench ticketing`)",
            "`bench/ticketing/README.md`",
        );
        if let Some(path) = &self.results {
            std::fs::write(path, &page)?;
        }
        Ok(output.print(&results, || page)?)
    }

    fn on(
        &self,
        store: &Store,
        wanted: &dyn Fn(Part) -> bool,
        rows: &mut Vec<Row>,
    ) -> anyhow::Result<()> {
        if wanted(Part::Reserve) {
            sale::reserves(self, store, rows)?;
        }
        if wanted(Part::Free) {
            sale::drained(self, store, true, rows)?;
        }
        if wanted(Part::Wallet) {
            sale::drained(self, store, false, rows)?;
        }
        if wanted(Part::Door) {
            door::online(self, store, rows)?;
        }
        if wanted(Part::Pages) {
            pages::measure(self, store, rows)?;
        }
        if wanted(Part::Cancel) {
            cancel::measure(self, store, rows)?;
        }
        if wanted(Part::Large) {
            large::measure(self, store, rows)?;
        }
        Ok(())
    }
}

/// So many a second.
fn rate(count: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// The middle one; of two the smaller.
fn median(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    match all.len() {
        0 => 0,
        count => all[(count - 1) / 2],
    }
}

/// Milliseconds with one decimal.
fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_rate() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![4, 2]), 2);
        assert_eq!(rate(30, Duration::from_millis(1_500)), 20);
        assert_eq!(millis(12_345), "12.3 ms");
    }
}
