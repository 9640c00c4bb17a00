//! `florin aws size`: the sizing paper (docs/deployment/sizing.md) as a calculator.
//!
//! Integers throughout: microseconds, thousandths, bytes. Constants that were measured are marked
//! so; the others are planning values. A row that production does not carry says so.

mod formulas;

use clap::Args;
use serde::Serialize;

use crate::out::{Output, table};
use formulas::Load;

/// Calculate what a load needs: tasks, lock cycle, connections, storage, Kafka, Redis, fees
///
/// Arithmetic on measured and planned constants, not a measurement of AWS. Exit code 1: something
/// does not fit what production has.
#[derive(Debug, Args)]
pub struct Size {
    /// Wallets that exist
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    wallets: u64,
    /// Durable transfers a second at the peak
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    tps: u64,
    /// Durable transfers a second on a yearly average; left out: the peak, all year
    #[arg(long, value_name = "N")]
    average_tps: Option<u64>,
    /// Tasks of all units that post at the same time
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    posting_tasks: u64,
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What.
    pub quantity: &'static str,
    /// By which formula.
    pub formula: &'static str,
    /// What the load needs, in `unit`.
    pub value: u64,
    /// Unit of `value`.
    pub unit: &'static str,
    /// What production has, in the same unit; none: nothing to compare with.
    pub has: Option<u64>,
    /// Whether that suffices.
    pub fits: bool,
}

impl Size {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let load = Load {
            wallets: self.wallets,
            tps: self.tps,
            average_tps: self.average_tps.unwrap_or(self.tps),
            posting_tasks: self.posting_tasks,
        };
        let lines = formulas::lines(&load, &super::units::all()?);
        let fits = lines.iter().all(|line| line.fits);
        output.print(&lines, || {
            let rows: Vec<Vec<String>> = lines
                .iter()
                .map(|line| {
                    vec![
                        line.quantity.to_owned(),
                        format!("{} {}", line.value, line.unit),
                        line.has.map_or_else(String::new, |has| has.to_string()),
                        if line.fits { "" } else { "TOO SMALL" }.to_owned(),
                        line.formula.to_owned(),
                    ]
                })
                .collect();
            table(
                &["QUANTITY", "NEEDS", "PRODUCTION HAS", "", "FORMULA"],
                &rows,
            )
        })?;
        Ok(u8::from(!fits))
    }
}
