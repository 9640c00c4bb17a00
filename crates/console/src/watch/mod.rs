//! The figures of the last hours: `/metrics` looked at every few seconds and kept in memory.
//!
//! **Boundary.** For the eye only: it begins with the process, ends with it, and sees the process
//! that answers `/metrics` at the API's address. Prometheus keeps the real history.
//!
//! **Invariants.** Memory is bounded: [`FINE`] samples at [`EVERY`], [`COARSE`] at one a minute,
//! each of a fixed set of series ([`KEPT`]). Money is summed in integers.

mod text;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use florin_base::Clock;
use parking_lot::RwLock;

use crate::api::{Api, Client};
use text::Line;

/// Time between two looks.
pub const EVERY: Duration = Duration::from_secs(5);
/// Samples at that distance: half an hour.
pub const FINE: usize = 360;
/// Samples a minute apart: a day.
pub const COARSE: usize = 1_440;
/// Looks between two coarse samples.
const MINUTE: u64 = 12;
/// Most series: labels are bounded, but not by us.
const SERIES_MAX: usize = 400;

/// How the series of a family become one number, or one for each value of a label.
#[derive(Debug, Clone, Copy)]
enum Fold {
    Sum,
    Largest,
    By(&'static str),
    /// By two labels, joined by `/`.
    ByTwo(&'static str, &'static str),
    /// As `By`, in integers: money.
    Money(&'static str),
}

/// The families that are kept. A series is named by its family, with `:` and the label behind.
const KEPT: &[(&str, Fold)] = &[
    ("ledger_results_total", Fold::By("code")),
    ("ledger_last_seq", Fold::Largest),
    ("ledger_queue_depth", Fold::Largest),
    ("ledger_index_lag_records", Fold::Largest),
    ("ledger_checkpoint_age_seconds", Fold::Largest),
    ("ledger_invariant_violations_total", Fold::Sum),
    ("gateway_upstreams", Fold::ByTwo("role", "state")),
    ("disk_free_ratio", Fold::Largest),
    ("process_cpu_usage", Fold::Largest),
    ("process_resident_memory_bytes", Fold::Largest),
    ("event_lag_seconds", Fold::By("channel")),
    ("event_lag_records", Fold::By("channel")),
    ("webhook_tries_total", Fold::By("accepted")),
    ("wallet_total_count", Fold::Largest),
    ("wallet_transactions_total", Fold::Sum),
    ("wallet_money_deposited_total", Fold::Money("currency")),
    ("wallet_money_withdrawn_total", Fold::Money("currency")),
    ("wallet_money_transferred_total", Fold::Money("currency")),
    ("shadow_events_total", Fold::By("result")),
    ("shadow_event_state", Fold::By("state")),
    ("shadow_dead_letters", Fold::By("status")),
    ("shadow_corrections_open", Fold::Largest),
    ("shadow_drift_unexplained", Fold::Largest),
    ("shadow_deadline_lag_seconds", Fold::Largest),
    ("shadow_feed_lag_seconds", Fold::Largest),
    ("shadow_kafka_lag", Fold::By("topic")),
    ("shadow_books", Fold::Largest),
];

/// Requests by outcome, and their times by bucket; streams and the console's own are left out.
const REQUESTS: &str = "http_server_requests_seconds_count";
const BUCKETS: &str = "http_server_requests_seconds_bucket";
const OTHER_ROUTES: &[&str] = &[
    "/console",
    "/health",
    "/ready",
    "/metrics",
    "/q/",
    "/openapi",
    "/actuator",
    "/api/v1/ledger/changes",
    "/api/v1/analytics/events/{id}/live",
];

/// What was seen at one time.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When, in microseconds.
    pub at: i64,
    values: Box<[f64]>,
    money: Box<[u128]>,
}

#[derive(Default)]
struct Inner {
    names: Names,
    money_names: Names,
    fine: VecDeque<Arc<Sample>>,
    coarse: VecDeque<Arc<Sample>>,
    looks: u64,
    away: Option<String>,
}

#[derive(Default)]
struct Names {
    places: HashMap<String, usize>,
}

impl Names {
    fn place(&mut self, name: &str) -> Option<usize> {
        if let Some(place) = self.places.get(name) {
            return Some(*place);
        }
        let next = self.places.len();
        (next < SERIES_MAX).then(|| {
            self.places.insert(name.to_owned(), next);
            next
        })
    }

    /// Places of a series, or of all series of a family.
    fn of(&self, wanted: &str) -> Vec<(String, usize)> {
        let belongs = |name: &str| {
            name.strip_prefix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        let found = self.places.iter().filter(|(name, _)| belongs(name));
        let mut found: Vec<_> = found.map(|(n, place)| (n.clone(), *place)).collect();
        found.sort();
        found
    }
}

/// The samples; clones would be apart, so it is shared by reference.
#[derive(Default)]
pub struct Watch(RwLock<Inner>);

/// How far back a picture goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// In addresses.
    pub word: &'static str,
    /// For people.
    pub name: &'static str,
    seconds: i64,
}

/// The ranges that can be chosen; the second is shown first.
pub const RANGES: [Range; 4] = [
    Range {
        word: "5m",
        name: "5 minutes",
        seconds: 300,
    },
    Range {
        word: "30m",
        name: "30 minutes",
        seconds: 1_800,
    },
    Range {
        word: "6h",
        name: "6 hours",
        seconds: 21_600,
    },
    Range {
        word: "24h",
        name: "24 hours",
        seconds: 86_400,
    },
];

impl Range {
    /// The range with this word, or the usual one.
    pub fn of(word: &str) -> Self {
        let found = RANGES.into_iter().find(|range| range.word == word);
        found.unwrap_or(RANGES[1])
    }
}

/// Samples of a range, with the names behind their numbers.
pub struct Window {
    samples: Vec<Arc<Sample>>,
    names: HashMap<String, usize>,
    money_names: Vec<(String, usize)>,
}

impl Watch {
    /// Keeps what `/metrics` says.
    pub fn keep(&self, at: i64, metrics: &str) {
        let mut inner = self.0.write();
        let inner = &mut *inner;
        let (mut values, mut money) = (Vec::new(), Vec::new());
        for line in metrics.lines().filter_map(text::parse) {
            if let Some((name, value)) = request(&line) {
                add(&mut inner.names, &mut values, &name, value, false);
                continue;
            }
            let Some((family, fold)) = KEPT.iter().find(|(family, _)| *family == line.family)
            else {
                continue;
            };
            let value = |label: &str| line.label(label).unwrap_or("?");
            let by = |label: &str| format!("{family}:{}", value(label));
            match fold {
                Fold::Sum => add(&mut inner.names, &mut values, family, line.number(), false),
                Fold::Largest => add(&mut inner.names, &mut values, family, line.number(), true),
                Fold::By(label) => {
                    add(
                        &mut inner.names,
                        &mut values,
                        &by(label),
                        line.number(),
                        false,
                    );
                }
                Fold::ByTwo(one, two) => {
                    let name = format!("{}/{}", by(one), value(two));
                    add(&mut inner.names, &mut values, &name, line.number(), false);
                }
                Fold::Money(label) => {
                    if let (Some(place), Ok(value)) = (
                        inner.money_names.place(&by(label)),
                        line.value.parse::<u128>(),
                    ) {
                        if money.len() <= place {
                            money.resize(place + 1, 0);
                        }
                        money[place] += value;
                    }
                }
            }
        }
        let sample = Arc::new(Sample {
            at,
            values: values.into(),
            money: money.into(),
        });
        inner.away = None;
        push(&mut inner.fine, Arc::clone(&sample), FINE);
        if inner.looks.is_multiple_of(MINUTE) {
            push(&mut inner.coarse, sample, COARSE);
        }
        inner.looks += 1;
    }

    fn missed(&self, why: String) {
        self.0.write().away = Some(why);
    }

    /// Why the last look saw nothing, if it did not.
    pub fn away(&self) -> Option<String> {
        self.0.read().away.clone()
    }

    /// The samples of a range.
    pub fn window(&self, range: Range) -> Window {
        let inner = self.0.read();
        let tier = match range.seconds <= 1_800 {
            true => &inner.fine,
            false => &inner.coarse,
        };
        let newest = inner.fine.back().map_or(0, |sample| sample.at);
        let from = newest - range.seconds * 1_000_000;
        let mut samples: Vec<_> = tier.iter().filter(|s| s.at >= from).cloned().collect();
        // A coarse picture ends at now all the same.
        if let Some(last) = inner.fine.back()
            && samples.last().is_some_and(|sample| sample.at < last.at)
        {
            samples.push(Arc::clone(last));
        }
        Window {
            samples,
            names: inner.names.places.clone(),
            money_names: inner
                .money_names
                .of("wallet_money_deposited_total")
                .into_iter()
                .chain(inner.money_names.of("wallet_money_withdrawn_total"))
                .chain(inner.money_names.of("wallet_money_transferred_total"))
                .collect(),
        }
    }
}

fn push(tier: &mut VecDeque<Arc<Sample>>, sample: Arc<Sample>, most: usize) {
    if tier.len() == most {
        tier.pop_front();
    }
    tier.push_back(sample);
}

fn add(names: &mut Names, values: &mut Vec<f64>, name: &str, value: f64, largest: bool) {
    let Some(place) = names.place(name) else {
        return;
    };
    if values.len() <= place {
        values.resize(place + 1, f64::NAN);
    }
    let before = values[place];
    values[place] = match (before.is_nan(), largest) {
        (true, _) => value,
        (false, true) => before.max(value),
        (false, false) => before + value,
    };
}

/// A line about requests of the API, under the name by which it is kept.
fn request(line: &Line<'_>) -> Option<(String, f64)> {
    let label = match line.family {
        REQUESTS => "outcome",
        BUCKETS => "le",
        _ => return None,
    };
    let route = line.label("route").unwrap_or_default();
    let other = OTHER_ROUTES.iter().any(|other| route.starts_with(other));
    (!other).then(|| {
        let name = format!("{}:{}", line.family, line.label(label).unwrap_or("?"));
        (name, line.number())
    })
}

impl Window {
    /// Samples there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// True before the first look.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Times of the samples, in microseconds.
    pub fn times(&self) -> Vec<i64> {
        self.samples.iter().map(|sample| sample.at).collect()
    }

    fn places(&self, wanted: &str) -> Vec<usize> {
        let belongs = |name: &str| {
            name.strip_prefix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        let found = self.names.iter().filter(|(name, _)| belongs(name));
        found.map(|(_, place)| *place).collect()
    }

    fn sum(sample: &Sample, places: &[usize]) -> f64 {
        let values = places.iter().filter_map(|place| sample.values.get(*place));
        values.filter(|value| !value.is_nan()).sum::<f64>() + 0.0
    }

    /// The newest value of a gauge, or the sum over its family; `None` when it was never seen.
    pub fn newest(&self, wanted: &str) -> Option<f64> {
        let places = self.places(wanted);
        let last = self.samples.last().filter(|_| !places.is_empty())?;
        Some(Self::sum(last, &places))
    }

    /// The values of a gauge, one a sample.
    pub fn values(&self, wanted: &str) -> Vec<f64> {
        let places = self.places(wanted);
        let values = self.samples.iter();
        values.map(|sample| Self::sum(sample, &places)).collect()
    }

    /// How much a counter grew each second, between each two samples.
    pub fn rates(&self, wanted: &str) -> Vec<f64> {
        let places = self.places(wanted);
        let rate = |pair: &[Arc<Sample>]| {
            let grown = Self::sum(&pair[1], &places) - Self::sum(&pair[0], &places);
            let seconds = (pair[1].at - pair[0].at).max(1) as f64 / 1e6;
            // A counter that fell began anew.
            grown.max(0.0) / seconds
        };
        self.samples.windows(2).map(rate).collect()
    }

    /// How much a counter grew over the whole range.
    pub fn growth(&self, wanted: &str) -> f64 {
        let places = self.places(wanted);
        let grown = |pair: &[Arc<Sample>]| {
            (Self::sum(&pair[1], &places) - Self::sum(&pair[0], &places)).max(0.0)
        };
        // The sum of nothing is -0.0.
        self.samples.windows(2).map(grown).sum::<f64>() + 0.0
    }

    /// The labels seen of a family, with their newest values.
    pub fn labels(&self, family: &str) -> Vec<(String, f64)> {
        let prefix = format!("{family}:");
        let Some(last) = self.samples.last() else {
            return Vec::new();
        };
        let found = self.names.iter().filter_map(|(name, place)| {
            let label = name.strip_prefix(&prefix)?;
            Some((label.to_owned(), Self::sum(last, &[*place])))
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// What moved in the range: kind (`deposited`, …), currency, minor units.
    pub fn moved(&self) -> Vec<(String, String, u128)> {
        let mut found = Vec::new();
        for (name, place) in &self.money_names {
            let of = |sample: &Sample| sample.money.get(*place).copied().unwrap_or(0);
            let grown = |pair: &[Arc<Sample>]| of(&pair[1]).saturating_sub(of(&pair[0]));
            let moved: u128 = self.samples.windows(2).map(grown).sum();
            let Some((family, currency)) = name.split_once(':') else {
                continue;
            };
            let kind = family.trim_start_matches("wallet_money_");
            let kind = kind.trim_end_matches("_total").to_owned();
            found.push((kind, currency.to_owned(), moved));
        }
        found
    }

    /// The time below which a share of the requests of the range stayed, in seconds: linear
    /// inside a bucket. `None` without requests.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let mut edges: Vec<(f64, f64)> = self
            .labels(BUCKETS)
            .into_iter()
            .map(|(edge, _)| {
                let grown = self.growth(&format!("{BUCKETS}:{edge}"));
                (edge.parse().unwrap_or(f64::INFINITY), grown)
            })
            .collect();
        edges.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = edges.last().map_or(0.0, |(_, count)| *count);
        if all <= 0.0 {
            return None;
        }
        let wanted = all * share;
        let (mut low, mut below) = (0.0, 0.0);
        for (edge, count) in edges {
            if count >= wanted {
                if !edge.is_finite() {
                    return Some(low);
                }
                let inside = (count - below).max(f64::MIN_POSITIVE);
                return Some(low + (edge - low) * (wanted - below) / inside);
            }
            (low, below) = (edge, count);
        }
        Some(low)
    }

    /// Requests of the range: all, and those that the server failed.
    pub fn requests(&self) -> (f64, f64) {
        let failed = self.growth(&format!("{REQUESTS}:server_error"));
        (self.growth(REQUESTS), failed)
    }

    /// Requests each second.
    pub fn request_rates(&self) -> Vec<f64> {
        self.rates(REQUESTS)
    }
}

/// Looks for ever.
pub async fn run(watch: &Watch, api: &Arc<dyn Api>, clock: &dyn Clock) {
    let client = Client::new(Arc::clone(api), None, IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match client.get("/metrics").bytes().await {
            Ok(bytes) => watch.keep(clock.wall_micros(), &String::from_utf8_lossy(&bytes)),
            Err(error) => watch.missed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
