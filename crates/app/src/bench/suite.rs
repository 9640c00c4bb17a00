//! All measurements of `bench/RESULTS.md`, and that page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::load::Pace;
use super::pick::Spread;
use super::run::{Measured, Scenario, WARM_UP, rate_text, time_text};
use super::server::{Scratch, Server};
use super::size::{self, Size};
use super::work::{Shape, Work};
use super::{machine, make_accounts};
use crate::out::Output;

/// What is measured, and where its page goes.
#[derive(Debug, Args)]
pub struct Suite {
    /// Write the page of results to this file
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Folder for the data, which is removed at the end
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Accounts while load is measured: half of them wallets, half ledger accounts
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    accounts: u64,
    /// How often each scenario runs; results are medians
    #[arg(long, default_value_t = 5, value_name = "N")]
    runs: u32,
    /// Seconds of one run
    #[arg(long, default_value_t = 4, value_name = "N")]
    seconds: u64,
    /// Transfers of the ledger for the time to start
    #[arg(long, default_value_t = 10_000_000, value_name = "N")]
    transfers: u64,
    /// Wallets of the ledger for memory
    #[arg(long, default_value_t = 10_000_000, value_name = "N")]
    wallets: u64,
}

/// Everything measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Results {
    version: &'static str,
    machine: String,
    accounts: u64,
    /// Accounts made and funded per second through the API.
    set_up_per_second: f64,
    scenarios: Vec<Measured>,
    startup: Size,
    memory: Size,
}

/// Shape, transfers a call, reads per cent, spread, connections, requests per second.
type Row = (Shape, u32, u32, Spread, usize, Option<f64>);

const ROWS: &[Row] = &[
    (Shape::Wallet, 1, 0, Spread::Uniform, 64, None),
    (Shape::Wallet, 1, 0, Spread::Uniform, 128, None),
    (Shape::Wallet, 1, 0, Spread::Uniform, 256, None),
    (Shape::Wallet, 1, 0, Spread::Zipf, 128, None),
    (Shape::Wallet, 1, 0, Spread::Hot, 128, None),
    (Shape::Wallet, 1, 50, Spread::Uniform, 128, None),
    (Shape::Wallet, 1, 0, Spread::Uniform, 256, Some(10_000.0)),
    (Shape::Wallet, 1, 0, Spread::Uniform, 256, Some(15_000.0)),
    (Shape::Ledger, 1, 0, Spread::Uniform, 128, None),
    (Shape::Ledger, 100, 0, Spread::Uniform, 16, None),
    (Shape::Ledger, 100, 0, Spread::Hot, 16, None),
    (Shape::Ledger, 8_190, 0, Spread::Uniform, 4, None),
    (Shape::Ledger, 8_190, 0, Spread::Hot, 4, None),
];

impl Suite {
    /// Measures it all.
    pub fn run(self, output: Output) -> anyhow::Result<()> {
        let (set_up_per_second, scenarios) = self.load(output)?;
        let startup = {
            let scratch = Scratch::new(&self.dir, "florin-bench-start")?;
            let accounts = self.accounts.max(2);
            size::measure(scratch.path(), accounts, self.transfers, self.runs, output)?
        };
        eprintln!("{}", startup.text());
        let memory = {
            let scratch = Scratch::new(&self.dir, "florin-bench-memory")?;
            size::measure(scratch.path(), self.wallets.max(2), 0, 1, output)?
        };
        eprintln!("{}", memory.text());
        let results = Results {
            version: env!("CARGO_PKG_VERSION"),
            machine: machine(&self.dir),
            accounts: self.accounts,
            set_up_per_second,
            scenarios,
            startup,
            memory,
        };
        let page = self.page(&results);
        if let Some(path) = &self.results {
            write_page(path, &page)?;
        }
        Ok(output.print(&results, || page.clone())?)
    }

    /// Every row of the table on one server; the ledger grows from row to row.
    fn load(&self, output: Output) -> anyhow::Result<(f64, Vec<Measured>)> {
        let scratch = Scratch::new(&self.dir, "florin-bench-load")?;
        let server = Server::start(scratch.path())?;
        let half = (self.accounts / 2).max(2);
        let mut took = Duration::ZERO;
        for shape in [Shape::Wallet, Shape::Ledger] {
            took += make_accounts(&server.target, shape, half, output)?;
        }
        let mut measured = Vec::new();
        for row in ROWS {
            let scenario = self.scenario(row, half);
            let result = scenario.run(&server.target, Some(server.pid()), output)?;
            eprintln!("{}", result.text());
            measured.push(result);
        }
        server.stop()?;
        Ok(((2 * half) as f64 / took.as_secs_f64(), measured))
    }

    fn scenario(&self, row: &Row, accounts: u64) -> Scenario {
        let (shape, batch, reads_per_cent, spread, connections, rate) = *row;
        Scenario {
            work: Work {
                shape,
                batch,
                reads_per_cent,
                spread,
                accounts,
            },
            pace: Pace {
                connections,
                rate,
                warm_up: WARM_UP,
                measure: Duration::from_secs(self.seconds),
            },
            runs: self.runs,
            seed: 1,
        }
    }

    fn page(&self, results: &Results) -> String {
        let mut page = String::new();
        let _infallible = self.write_page(results, &mut page);
        page
    }

    fn write_page(&self, results: &Results, page: &mut String) -> std::fmt::Result {
        writeln!(page, "# Results\n")?;
        writeln!(
            page,
            "Made by `bench/run` (`florin bench suite`), Florin {}. Generator and server share the machine; every \
             acknowledged transfer is on the disk (`fdatasync` before the answer). Figures are medians of {} runs of \
             {} s after {} s of warm-up; `bench/README.md` says how they are taken.\n",
            results.version,
            self.runs,
            self.seconds,
            WARM_UP.as_secs()
        )?;
        writeln!(page, "Machine: {}.\n", results.machine)?;
        writeln!(page, "## Load over HTTP\n")?;
        writeln!(
            page,
            "{} accounts: half wallets, half ledger accounts, made and funded through the API at {} a second. Every \
             run ended with its check: debits equal credits, and sums and sampled balances changed by exactly what \
             was acknowledged.\n",
            rate_text(results.accounts as f64),
            rate_text(results.set_up_per_second)
        )?;
        load_table(&results.scenarios, page)?;
        ratios(&results.scenarios, page)?;
        self.size_tables(results, page)
    }

    fn size_tables(&self, results: &Results, page: &mut String) -> std::fmt::Result {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        writeln!(page, "\n## Start, memory, disk\n")?;
        writeln!(
            page,
            "| ledger | ready after a stop | ready after a kill | resident memory | disk | bytes a transfer |"
        )?;
        writeln!(page, "|---|---:|---:|---:|---:|---:|")?;
        for size in [&results.startup, &results.memory] {
            let bytes = size
                .disk_bytes_per_transfer
                .map_or_else(|| "–".to_owned(), |bytes| bytes.to_string());
            let killed = size
                .start_after_kill_seconds
                .map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.2} s"));
            writeln!(
                page,
                "| {} wallets, {} transfers | {:.2} s | {killed} | {:.2} GiB | {:.2} GiB | {bytes} |",
                rate_text(size.wallets as f64),
                rate_text(size.transfers as f64),
                size.start_median(),
                gib(size.resident_bytes),
                gib(size.disk_bytes),
            )?;
        }
        if let Some(rate) = results.startup.fill_transfers_per_second {
            writeln!(
                page,
                "\nIn process, without HTTP and JSON, the engine recorded these {} transfers in batches of 8,190 at \
                 {} a second, durable.",
                rate_text(results.startup.transfers as f64),
                rate_text(rate)
            )?;
        }
        Ok(())
    }
}

fn load_table(scenarios: &[Measured], page: &mut String) -> std::fmt::Result {
    writeln!(
        page,
        "| requests | connections | offered | transfers/s | requests/s | p50 | p95 | p99 | max | server cores | generator cores | faults |"
    )?;
    writeln!(
        page,
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    )?;
    for scenario in scenarios {
        let m = &scenario.median;
        let offered = scenario.rate.map_or_else(
            || "closed loop".to_owned(),
            |rate| format!("{}/s", rate_text(rate)),
        );
        let faults: u64 = scenario.faults.values().sum::<u64>() + scenario.unsent;
        writeln!(
            page,
            "| {} | {} | {offered} | {} | {} | {} | {} | {} | {} | {:.2} | {:.2} | {faults} |",
            scenario.name,
            scenario.connections,
            rate_text(m.transfers_per_second),
            rate_text(m.requests_per_second),
            time_text(m.times.p50_micros),
            time_text(m.times.p95_micros),
            time_text(m.times.p99_micros),
            time_text(m.times.max_micros),
            m.server_cores.unwrap_or_default(),
            m.generator_cores,
        )?;
        if let Some(reads) = &m.reads {
            writeln!(
                page,
                "| … its reads | | | | | {} | {} | {} | {} | | | |",
                time_text(reads.p50_micros),
                time_text(reads.p95_micros),
                time_text(reads.p99_micros),
                time_text(reads.max_micros),
            )?;
        }
    }
    Ok(())
}

/// How two accounts alone do against all of them.
fn ratios(scenarios: &[Measured], page: &mut String) -> std::fmt::Result {
    let find = |name: &str, connections: usize| {
        scenarios
            .iter()
            .find(|s| s.name == name && s.connections == connections && s.rate.is_none())
            .map(|s| s.median.transfers_per_second)
    };
    let mut parts = Vec::new();
    for hot in scenarios
        .iter()
        .filter(|s| s.name.ends_with(Spread::Hot.word()))
    {
        let base = hot.name.trim_end_matches(Spread::Hot.word());
        let uniform = find(
            &format!("{base}{}", Spread::Uniform.word()),
            hot.connections,
        );
        if let Some(uniform) = uniform.filter(|rate| *rate > 0.0) {
            let ratio = hot.median.transfers_per_second / uniform;
            parts.push(format!("{} {ratio:.2}", base.trim_end_matches(", ")));
        }
    }
    match parts.is_empty() {
        true => Ok(()),
        false => writeln!(page, "\nHot pair against uniform: {}.", parts.join(", ")),
    }
}

fn write_page(path: &Path, page: &str) -> anyhow::Result<()> {
    use anyhow::Context as _;
    std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))
}
