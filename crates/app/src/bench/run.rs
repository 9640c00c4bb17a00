//! One scenario, several times: warm-up, measurement, check, medians.

use std::collections::BTreeMap;
use std::time::Duration;

use florin_base::{Clock as _, SystemClock};
use serde::Serialize;

use super::check;
use super::client::Target;
use super::histogram::Histogram;
use super::load::{Load, Pace, Seen};
use super::server::cpu_seconds;
use super::work::{Expected, Maker, Shape, Work};
use crate::out::{Output, progress};

/// A scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its requests.
    pub work: Work,
    /// How hard, how long.
    pub pace: Pace,
    /// How often.
    pub runs: u32,
    /// Choice of accounts and times.
    pub seed: u64,
}

/// Times in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// Half of the requests took no longer.
    pub p50_micros: u64,
    /// 95 % took no longer.
    pub p95_micros: u64,
    /// 99 % took no longer.
    pub p99_micros: u64,
    /// The longest.
    pub max_micros: u64,
}

impl Times {
    fn of(histogram: &Histogram) -> Self {
        Self {
            p50_micros: histogram.quantile(500),
            p95_micros: histogram.quantile(950),
            p99_micros: histogram.quantile(990),
            max_micros: histogram.max(),
        }
    }
}

/// Figures of one run, or medians of several.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Requests answered per second.
    pub requests_per_second: f64,
    /// Transfers recorded per second.
    pub transfers_per_second: f64,
    /// Times of requests that move money.
    pub times: Times,
    /// Times of reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<Times>,
    /// Processor seconds that the server used per second; 2.0 = two cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cores: Option<f64>,
    /// The same of the generator.
    pub generator_cores: f64,
}

/// Result of a scenario.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// What was asked.
    pub name: String,
    /// Connections.
    pub connections: usize,
    /// Requests per second offered (open loop).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Medians.
    pub median: Figures,
    /// Each run.
    pub runs: Vec<Figures>,
    /// Answers other than success, by status and code, over all runs.
    pub faults: BTreeMap<String, u64>,
    /// Requests that fell due and were never sent.
    pub unsent: u64,
    /// Transfers done over all runs, warm-up included.
    pub transfers: u64,
    /// The check at the end of each run passed (else there is no result).
    pub conserved: bool,
}

impl Scenario {
    /// In words.
    pub fn name(&self) -> String {
        let what = match (self.work.shape, self.work.batch) {
            (Shape::Wallet, _) => "wallet transfers".to_owned(),
            (Shape::Ledger, 1) => "ledger transfers".to_owned(),
            (Shape::Ledger, batch) => format!("ledger batches of {batch}"),
        };
        let reads = match self.work.reads_per_cent {
            0 => String::new(),
            share => format!(", {share} % reads"),
        };
        format!("{what}, {}{reads}", self.work.spread.word())
    }

    /// Measures; any difference at the end of a run is an error. `server` is the process of the
    /// server, when it is ours.
    pub fn run(
        &self,
        target: &Target,
        server: Option<u32>,
        output: Output,
    ) -> anyhow::Result<Measured> {
        let mut measured = Measured {
            name: self.name(),
            connections: self.pace.connections,
            rate: self.pace.rate,
            median: Figures::default(),
            runs: Vec::new(),
            faults: BTreeMap::new(),
            unsent: 0,
            transfers: 0,
            conserved: true,
        };
        for run in 0..self.runs {
            let figures = self.once(run, target, server, output, &mut measured)?;
            measured.runs.push(figures);
        }
        measured.median = median(&measured.runs);
        Ok(measured)
    }

    fn once(
        &self,
        run: u32,
        target: &Target,
        server: Option<u32>,
        output: Output,
        measured: &mut Measured,
    ) -> anyhow::Result<Figures> {
        // Ids must differ from those of every earlier run against the same ledger.
        let tag = format!("b{:x}-", SystemClock.wall_micros());
        let seed = self.seed.wrapping_add(u64::from(run));
        let (shape, accounts) = (self.work.shape, self.work.accounts);
        let mut maker = Maker::new(self.work, target, &tag, seed);
        let mut expected = Expected::new(accounts);
        let before = check::before(target, shape, accounts)?;
        let seconds = (self.pace.warm_up + self.pace.measure).as_secs();
        let name = format!("{} {}/{}", measured.name, run + 1, self.runs);
        let bar = progress(output, &name, Some(seconds), false);
        let cpu = || {
            (
                server.and_then(cpu_seconds),
                cpu_seconds(std::process::id()),
            )
        };
        let mut at_start = cpu();
        let load = Load::new(target, &mut maker, &mut expected, self.pace)?;
        let (seen, at_end) = {
            let seen = load.run(&bar, || at_start = cpu())?;
            (seen, cpu())
        };
        bar.finish_and_clear();
        check::after(target, shape, &before, &mut expected)?;
        for (code, count) in expected.faults {
            *measured.faults.entry(code).or_default() += count;
        }
        measured.unsent += seen.unsent;
        measured.transfers += expected.transfers;
        Ok(figures(&seen, at_start, at_end))
    }
}

type Cpu = (Option<f64>, Option<f64>);

fn figures(seen: &Seen, at_start: Cpu, at_end: Cpu) -> Figures {
    let used = |from: Option<f64>, to: Option<f64>| Some((to? - from?) / seen.seconds);
    Figures {
        requests_per_second: (seen.writes.count() + seen.reads.count()) as f64 / seen.seconds,
        transfers_per_second: seen.transfers as f64 / seen.seconds,
        times: Times::of(&seen.writes),
        reads: (seen.reads.count() > 0).then(|| Times::of(&seen.reads)),
        server_cores: used(at_start.0, at_end.0),
        generator_cores: used(at_start.1, at_end.1).unwrap_or_default(),
    }
}

/// The middle one of several, each figure by itself.
fn median(runs: &[Figures]) -> Figures {
    let float = |of: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let whole = |of: &dyn Fn(&Figures) -> u64| {
        let mut values: Vec<u64> = runs.iter().map(of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let times = |of: fn(&Figures) -> Times| Times {
        p50_micros: whole(&|f| of(f).p50_micros),
        p95_micros: whole(&|f| of(f).p95_micros),
        p99_micros: whole(&|f| of(f).p99_micros),
        max_micros: whole(&|f| of(f).max_micros),
    };
    let has = |of: fn(&Figures) -> bool| runs.iter().any(of);
    Figures {
        requests_per_second: float(|f| f.requests_per_second),
        transfers_per_second: float(|f| f.transfers_per_second),
        times: times(|f| f.times),
        reads: has(|f| f.reads.is_some()).then(|| times(|f| f.reads.unwrap_or_default())),
        server_cores: has(|f| f.server_cores.is_some())
            .then(|| float(|f| f.server_cores.unwrap_or_default())),
        generator_cores: float(|f| f.generator_cores),
    }
}

/// A time for people.
pub fn time_text(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{:.2} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// A rate for people: whole, with thin groups of three.
pub fn rate_text(rate: f64) -> String {
    let digits = format!("{:.0}", rate);
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Measured {
    /// For people.
    pub fn text(&self) -> String {
        let m = &self.median;
        let line = |times: &Times| {
            format!(
                "p50 {}, p95 {}, p99 {}, max {}",
                time_text(times.p50_micros),
                time_text(times.p95_micros),
                time_text(times.p99_micros),
                time_text(times.max_micros)
            )
        };
        let pace = match self.rate {
            Some(rate) => format!("{} requests/s offered", rate_text(rate)),
            None => "closed loop".to_owned(),
        };
        let mut text = format!(
            "{}\n  {} connections, {pace}, median of {} runs\n  {} transfers/s, {} requests/s\n  {}\n",
            self.name,
            self.connections,
            self.runs.len(),
            rate_text(m.transfers_per_second),
            rate_text(m.requests_per_second),
            line(&m.times),
        );
        if let Some(reads) = &m.reads {
            text.push_str(&format!("  reads: {}\n", line(reads)));
        }
        if let Some(cores) = m.server_cores {
            text.push_str(&format!(
                "  processor: server {cores:.2} cores, generator {:.2}\n",
                m.generator_cores
            ));
        }
        for (code, count) in &self.faults {
            text.push_str(&format!("  {code}: {count}\n"));
        }
        if self.unsent > 0 {
            text.push_str(&format!("  never sent: {}\n", self.unsent));
        }
        text.push_str(&format!(
            "  conservation: {} transfers acknowledged, nothing made or lost\n",
            rate_text(self.transfers as f64)
        ));
        text
    }
}

/// The usual lengths: long enough for a merge of the index to fall into a run.
pub const WARM_UP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_taken_figure_by_figure() {
        let run = |rate: f64, p50: u64| Figures {
            requests_per_second: rate,
            times: Times {
                p50_micros: p50,
                ..Times::default()
            },
            ..Figures::default()
        };
        let middle = median(&[run(3.0, 10), run(1.0, 30), run(2.0, 20)]);
        assert_eq!(middle.requests_per_second, 2.0);
        assert_eq!(middle.times.p50_micros, 20);
        assert!(middle.reads.is_none() && middle.server_cores.is_none());
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(rate_text(1_234_567.4), "1,234,567");
        assert_eq!(
            (rate_text(999.0), time_text(1_500)),
            ("999".into(), "1.50 ms".into())
        );
        assert_eq!(time_text(2_340_000), "2.34 s");
    }
}
