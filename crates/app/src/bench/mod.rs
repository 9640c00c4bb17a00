//! `florin bench`: a load generator, and what a ledger of a given size costs.
//!
//! **Boundary.** Speaks to a server as any client does, over HTTP; only [`fill`] opens a ledger
//! in process, to make a large one before a server starts on it.
//!
//! **Invariants.** Every measurement ends with a check that nothing was made or lost; a
//! difference is an error, never a result. Times of an open loop count from when a request fell
//! due. Results go to stdout, progress to stderr.

mod check;
mod client;
mod fill;
mod histogram;
mod load;
mod names;
mod pick;
mod run;
pub mod server;
mod set_up;
mod shadow;
mod size;
mod soak;
mod suite;
mod ticketing;
mod wire;
mod work;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use self::client::Target;
use self::load::Pace;
use self::pick::Spread;
use self::run::Scenario;
use self::server::{Scratch, Server};
use self::work::{Shape, Work};
use crate::fail::failure;
use crate::out::{Output, progress};

/// Measure: put load on a server, its own or a running one
///
/// Makes accounts and money through the API, warms up, measures, and checks at the end that
/// nothing was made or lost. Nobody else may move money meanwhile.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Bench {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything in `bench/RESULTS.md`, on servers of its own
    Suite(suite::Suite),
    /// Time to start with a ledger of a given size, and its disk
    Startup(SizeArgs),
    /// Memory of a server with a given number of wallets
    Memory(SizeArgs),
    Soak(soak::Soak),
    Shadow(shadow::Shadow),
    Ticketing(ticketing::Ticketing),
}

#[derive(Debug, Args)]
struct SizeArgs {
    /// Wallets in the ledger [default: startup 1000000, memory 10000000]
    #[arg(long, value_name = "N")]
    accounts: Option<u64>,
    /// Transfers in the ledger [default: startup 10000000, memory 0]
    #[arg(long, value_name = "N")]
    transfers: Option<u64>,
    /// How often the server is started
    #[arg(long, default_value_t = 5, value_name = "N")]
    runs: u32,
    /// Folder for the data, which is removed at the end
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// A running server, such as http://127.0.0.1:8080; without it one is started for the
    /// measurement
    #[arg(long, value_name = "URL", requires = "key")]
    url: Option<String>,
    /// Start a server for the measurement, which is the default
    #[arg(long, conflicts_with = "url")]
    spawn: bool,
    /// API key of role `service` for the load
    #[arg(long, env = "FLORIN_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    /// API key of role `admin` for setting up
    #[arg(
        long,
        env = "FLORIN_ADMIN_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    admin_key: Option<String>,
    /// The accounts are there from an earlier measurement
    #[arg(long)]
    skip_set_up: bool,
    /// Folder for the data of a server that is started here; removed at the end
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// What is asked of the server
    #[arg(long, value_enum, default_value_t)]
    shape: Shape,
    /// Transfers of one ledger call, up to 8190
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8190))]
    batch: u32,
    /// Of a hundred requests so many read a balance instead
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    reads: u32,
    /// Which accounts move money
    #[arg(long, value_enum, default_value_t)]
    spread: Spread,
    /// Number of accounts
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=50_000_000))]
    accounts: u64,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Open loop: requests per second, whatever the server does; without it a closed loop
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Seconds before it is measured
    #[arg(long, default_value_t = run::WARM_UP.as_secs(), value_name = "N")]
    warm_up: u64,
    /// Seconds measured
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often; the result is the median
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Repeats the same choices of accounts
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

impl Bench {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self.what {
            None => self.load.run(output)?,
            Some(What::Suite(suite)) => suite.run(output)?,
            Some(What::Startup(args)) => args.run((1_000_000, 10_000_000), output)?,
            Some(What::Memory(args)) => args.run((10_000_000, 0), output)?,
            Some(What::Soak(soak)) => soak.run(output)?,
            Some(What::Shadow(shadow)) => shadow.run(output)?,
            Some(What::Ticketing(ticketing)) => ticketing.run(output)?,
        }
        Ok(0)
    }
}

impl SizeArgs {
    fn run(self, default: (u64, u64), output: Output) -> anyhow::Result<()> {
        let scratch = Scratch::new(&self.dir, "florin-bench")?;
        let size = size::measure(
            scratch.path(),
            self.accounts.unwrap_or(default.0).max(2),
            self.transfers.unwrap_or(default.1),
            self.runs,
            output,
        )?;
        Ok(output.print(&size, || size.text())?)
    }
}

impl LoadArgs {
    fn scenario(&self) -> Scenario {
        Scenario {
            work: Work {
                shape: self.shape,
                batch: self.batch,
                reads_per_cent: self.reads,
                spread: self.spread,
                accounts: self.accounts,
            },
            pace: Pace {
                connections: self.connections as usize,
                rate: self.rate.map(f64::from),
                warm_up: Duration::from_secs(self.warm_up),
                measure: Duration::from_secs(self.seconds),
            },
            runs: self.runs,
            seed: self.seed,
        }
    }

    fn run(self, output: Output) -> anyhow::Result<()> {
        if self.shape == Shape::Wallet && self.batch > 1 {
            return Err(failure(
                "wallet calls have no batches",
                "--shape ledger --batch N",
            ));
        }
        match &self.url {
            Some(url) => {
                let key = self.key.as_deref().unwrap_or_default();
                let admin_key = self.admin_key.as_deref().unwrap_or(key);
                let target = Target::new(url, key, admin_key)?;
                self.measure(&target, None, output)
            }
            None => {
                let scratch = Scratch::new(&self.dir, "florin-bench")?;
                let server = Server::start(scratch.path())?;
                self.measure(&server.target, Some(server.pid()), output)?;
                server.stop()?;
                Ok(())
            }
        }
    }

    fn measure(&self, target: &Target, server: Option<u32>, output: Output) -> anyhow::Result<()> {
        if !self.skip_set_up {
            make_accounts(target, self.shape, self.accounts, output)?;
        }
        let measured = self.scenario().run(target, server, output)?;
        Ok(output.print(&measured, || measured.text())?)
    }
}

/// Sets up with a bar; answers how long it took.
fn make_accounts(
    target: &Target,
    shape: Shape,
    accounts: u64,
    output: Output,
) -> anyhow::Result<Duration> {
    let bar = progress(output, "setting up", Some(2 * accounts), false);
    let took = set_up::set_up(target, shape, accounts, &bar)?;
    bar.finish_and_clear();
    Ok(took)
}

/// The kind of machine, for the head of a report: processor, cores, memory, system.
fn machine(dir: &Path) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
            .unwrap_or_else(|| "unknown".to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    format!(
        "{} ({cores} cores), {:.0} GiB memory, Linux {}, data on {}",
        field(&read("/proc/cpuinfo"), "model name"),
        kib / f64::from(1 << 20),
        read("/proc/sys/kernel/osrelease").trim(),
        file_system(dir)
    )
}

/// The kind of file system a folder is on, by the longest mount point above it.
fn file_system(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(point, _)| dir.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}
