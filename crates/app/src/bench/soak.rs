//! `florin bench soak`: a steady load for a long time, looked at interval by interval: whether
//! rate, times and memory stay as they are while vacuums, checkpoints and readers of the feed do
//! their work beside it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::check;
use super::load::{Load, Pace, Window};
use super::make_accounts;
use super::pick::Spread;
use super::run::WARM_UP;
use super::server::{Scratch, Server, resident_bytes};
use super::work::{Expected, Maker, Shape, Work};
use crate::out::{Output, progress};

/// Connections of the load.
const CONNECTIONS: usize = 128;
/// Width of the picture and height of one of its panels, in pixels.
const WIDTH: f64 = 860.0;
const PANEL: f64 = 150.0;

/// A steady load for a long time, interval by interval
///
/// On a server of its own; settings of the environment reach it, such as `FLORIN__LEDGER__URL`.
#[derive(Debug, Args)]
pub struct Soak {
    /// Wallet transfers per second
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    rate: u32,
    /// How long
    #[arg(long, default_value_t = 30, value_name = "N")]
    minutes: u64,
    /// Seconds of an interval
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Wallets
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    accounts: u64,
    /// Folder for the data of the server; removed at the end
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Write the intervals as a picture (SVG) to this file
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// One interval.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Interval {
    /// Seconds since the start, at its end.
    seconds: f64,
    transfers_per_second: f64,
    p50_micros: u64,
    p95_micros: u64,
    p99_micros: u64,
    max_micros: u64,
    /// Resident memory of the server.
    resident_bytes: u64,
}

/// One of the figures of an interval.
type Figure = fn(&Interval) -> f64;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Soaked {
    rate: u32,
    accounts: u64,
    intervals: Vec<Interval>,
    /// Answers other than success.
    faults: std::collections::BTreeMap<String, u64>,
    unsent: u64,
    transfers: u64,
    /// The check at the end passed (else there is no result).
    conserved: bool,
}

impl Soak {
    /// Measures; a difference at the end is an error.
    pub fn run(self, output: Output) -> anyhow::Result<()> {
        let scratch = Scratch::new(&self.dir, "florin-bench-soak")?;
        let server = Server::start(scratch.path())?;
        let accounts = self.accounts.max(2);
        make_accounts(&server.target, Shape::Wallet, accounts, output)?;
        let work = Work {
            shape: Shape::Wallet,
            batch: 1,
            reads_per_cent: 0,
            spread: Spread::Uniform,
            accounts,
        };
        let pace = Pace {
            connections: CONNECTIONS,
            rate: Some(f64::from(self.rate)),
            warm_up: WARM_UP,
            measure: Duration::from_secs(self.minutes * 60),
        };
        let mut maker = Maker::new(work, &server.target, "soak-", 1);
        let mut expected = Expected::new(accounts);
        let before = check::before(&server.target, Shape::Wallet, accounts)?;
        let bar = progress(output, "soaking", Some(self.minutes * 60), false);
        let mut intervals = Vec::new();
        let pid = server.pid();
        let load = Load::new(&server.target, &mut maker, &mut expected, pace)?;
        let every = Duration::from_secs(self.every);
        let seen = load.watched(every, |window| intervals.push(interval(&window, pid)));
        let seen = seen.run(&bar, || ())?;
        bar.finish_and_clear();
        check::after(&server.target, Shape::Wallet, &before, &mut expected)?;
        server.stop()?;
        let soaked = Soaked {
            rate: self.rate,
            accounts,
            intervals,
            faults: expected.faults,
            unsent: seen.unsent,
            transfers: expected.transfers,
            conserved: true,
        };
        if let Some(path) = &self.picture {
            std::fs::write(path, soaked.picture())?;
        }
        Ok(output.print(&soaked, || soaked.text())?)
    }
}

fn interval(window: &Window, pid: u32) -> Interval {
    let times = &window.times;
    Interval {
        seconds: window.until.as_secs_f64(),
        transfers_per_second: times.count() as f64 / window.length.as_secs_f64(),
        p50_micros: times.quantile(500),
        p95_micros: times.quantile(950),
        p99_micros: times.quantile(990),
        max_micros: times.max(),
        resident_bytes: resident_bytes(pid).unwrap_or_default(),
    }
}

impl Soaked {
    /// The worst interval and the middle one, for each figure.
    fn text(&self) -> String {
        let of = |figure: Figure| {
            let mut all: Vec<f64> = self.intervals.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            let at = |place: usize| all.get(place).copied().unwrap_or_default();
            (at(0), at(all.len() / 2), at(all.len().saturating_sub(1)))
        };
        let mut out = format!(
            "{} transfers/s offered, {} wallets, {} intervals; smallest, middle, largest of the intervals:\n",
            self.rate,
            self.accounts,
            self.intervals.len()
        );
        let rows: [(&str, Figure); 5] = [
            ("transfers/s", |i| i.transfers_per_second),
            ("p50 ms", |i| i.p50_micros as f64 / 1e3),
            ("p95 ms", |i| i.p95_micros as f64 / 1e3),
            ("p99 ms", |i| i.p99_micros as f64 / 1e3),
            ("memory MiB", |i| {
                i.resident_bytes as f64 / f64::from(1 << 20)
            }),
        ];
        for (name, figure) in rows {
            let (low, middle, high) = of(figure);
            let _infallible = writeln!(out, "  {name:<12} {low:>10.1} {middle:>10.1} {high:>10.1}");
        }
        let _infallible = write!(
            out,
            "{} transfers, {} unsent, faults {:?}; the books balance",
            self.transfers, self.unsent, self.faults
        );
        out
    }

    fn picture(&self) -> String {
        let panels: [(&str, Vec<(&str, Figure)>); 3] = [
            (
                "transfers per second",
                vec![("#1f6feb", |i| i.transfers_per_second)],
            ),
            (
                "milliseconds: p50, p95, p99",
                vec![
                    ("#2da44e", |i| i.p50_micros as f64 / 1e3),
                    ("#bf8700", |i| i.p95_micros as f64 / 1e3),
                    ("#cf222e", |i| i.p99_micros as f64 / 1e3),
                ],
            ),
            (
                "resident memory of the server, MiB",
                vec![("#8250df", |i| i.resident_bytes as f64 / f64::from(1 << 20))],
            ),
        ];
        let height = panels.len() as f64 * (PANEL + 50.0) + 20.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        for (number, (title, lines)) in panels.iter().enumerate() {
            self.panel(
                number as f64 * (PANEL + 50.0) + 30.0,
                title,
                lines,
                &mut svg,
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn panel(&self, top: f64, title: &str, lines: &[(&str, Figure)], svg: &mut String) {
        let (left, right) = (60.0, WIDTH - 20.0);
        let figures = |figure: Figure| self.intervals.iter().map(figure);
        let most = lines
            .iter()
            .flat_map(|(_, figure)| figures(*figure))
            .fold(1.0, f64::max)
            * 1.1;
        let end = self.intervals.last().map_or(1.0, |i| i.seconds.max(1.0));
        let bottom = top + PANEL;
        let _infallible = writeln!(
            svg,
            "<text x=\"{left}\" y=\"{:.0}\" font-weight=\"bold\">{title}</text>\n<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>",
            top - 8.0
        );
        for share in [0.0, 0.5, 1.0] {
            let y = bottom - PANEL * share;
            let _infallible = writeln!(
                svg,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{:.0}</text>\n<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{:.0} min</text>",
                left - 6.0,
                y + 4.0,
                most * share,
                left + (right - left) * share,
                bottom + 15.0,
                end * share / 60.0
            );
        }
        for (colour, figure) in lines {
            let mut path = String::new();
            for (interval, value) in self.intervals.iter().zip(figures(*figure)) {
                let x = left + (right - left) * interval.seconds / end;
                let y = bottom - PANEL * value / most;
                let command = if path.is_empty() { 'M' } else { 'L' };
                let _infallible = write!(path, "{command}{x:.1} {y:.1}");
            }
            let _infallible = writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
            );
        }
    }
}
