//! Metrics for CloudWatch, as log lines in its embedded metric format.
//!
//! Each line carries the chosen metrics of a process since the line before: gauges as they are,
//! counters as what they rose by, histograms as their buckets. CloudWatch takes the metrics out
//! of the log, so no call to AWS is made and no credential is needed.
//!
//! Invariants: a closed list of metrics (each is paid for), two dimensions, `Environment` and
//! `Unit`; pure but for what it remembers of the line before. Source: the CloudWatch embedded
//! metric format specification; deployment contract, DEP-121.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Namespace of all metrics.
pub const NAMESPACE: &str = "Florin";
/// CloudWatch takes so many values of one metric from a line.
const VALUES_MAX: usize = 100;

/// How a metric becomes a value of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The largest value over all labels.
    Gauge,
    /// The value of the series that has this label.
    GaugeOf(&'static str),
    /// What the sum over all labels rose by.
    Counter,
    /// What each bucket rose by, at its upper edge.
    Histogram,
}

use Kind::{Counter, Gauge, GaugeOf, Histogram};

/// What goes to CloudWatch: name, kind, CloudWatch's unit. At most 60 (DEP-121).
const METRICS: &[(&str, Kind, &str)] = &[
    ("db_oldest_transaction_seconds", Gauge, "Seconds"),
    ("db_pool_connections", Gauge, "Count"),
    ("disk_free_ratio", Gauge, "None"),
    ("event_lag_records", Gauge, "Count"),
    ("event_lag_seconds", Gauge, "Seconds"),
    ("feed_archive_age_seconds", Gauge, "Seconds"),
    ("http_server_connections_refused_total", Counter, "Count"),
    ("http_server_requests_seconds", Histogram, "Seconds"),
    ("ledger_batch_size", Histogram, "Count"),
    ("ledger_checkpoint_age_seconds", Gauge, "Seconds"),
    ("ledger_commit_duration_seconds", Histogram, "Seconds"),
    ("ledger_index_lag_records", Gauge, "Count"),
    ("ledger_invariant_violations_total", Counter, "Count"),
    ("ledger_last_seq", Gauge, "Count"),
    ("ledger_queue_depth", Gauge, "Count"),
    ("process_cpu_usage", Gauge, "None"),
    ("process_resident_memory_bytes", Gauge, "Bytes"),
    // Letters that somebody dealt with ring nobody.
    ("shadow_dead_letters", GaugeOf("status=\"parked\""), "Count"),
    ("shadow_deadline_lag_seconds", Gauge, "Seconds"),
    ("shadow_drift_unexplained", Gauge, "Count"),
    ("shadow_kafka_lag", Gauge, "Count"),
    ("ticketing_payouts_failed_total", Counter, "Count"),
    ("wallet_holds_placed_total", Counter, "Count"),
    ("wallet_operations_failed_total", Counter, "Count"),
    ("wallet_outbox_events_failed_total", Counter, "Count"),
    ("wallet_transactions_total", Counter, "Count"),
    ("webhook_tries_total", Counter, "Count"),
];

/// One line after the other, for one process.
#[derive(Debug)]
pub struct Emf {
    environment: String,
    unit: String,
    before: BTreeMap<String, f64>,
}

/// A sample of Prometheus' text format.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.trim_end_matches('}')),
                None => (series, ""),
            };
            let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
            Some(Sample {
                name,
                labels,
                value,
            })
        })
}

/// The upper edge of a bucket; none for the last, which has no edge.
fn edge(labels: &str) -> Option<&str> {
    let after = labels.split("le=\"").nth(1)?;
    let edge = after.split('"').next()?;
    (edge != "+Inf").then_some(edge)
}

impl Emf {
    /// For a process of this unit in this environment.
    pub fn new(environment: impl Into<String>, unit: impl Into<String>) -> Self {
        Self {
            environment: environment.into(),
            unit: unit.into(),
            before: BTreeMap::new(),
        }
    }

    /// What a series that only rises rose by; all of it after a start.
    fn rise(&mut self, series: String, now: f64) -> f64 {
        let before = self.before.insert(series, now).unwrap_or(0.0);
        if now >= before { now - before } else { now }
    }

    /// The line for what `/metrics` says now (Prometheus text), without a line end.
    pub fn line(&mut self, prometheus: &str, now_ms: i64) -> String {
        let (mut directives, mut members) = (Vec::new(), Map::new());
        for (name, kind, unit) in METRICS {
            let value = match kind {
                Gauge => gauge(prometheus, name, ""),
                GaugeOf(label) => gauge(prometheus, name, label),
                Counter => self.counter(prometheus, name),
                Histogram => self.histogram(prometheus, name),
            };
            if let Some(value) = value {
                directives.push(json!({"Name": name, "Unit": unit}));
                members.insert((*name).to_owned(), value);
            }
        }
        members.insert("Environment".to_owned(), json!(self.environment));
        members.insert("Unit".to_owned(), json!(self.unit));
        members.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now_ms,
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Environment", "Unit"]],
                    "Metrics": directives,
                }],
            }),
        );
        Value::Object(members).to_string()
    }

    fn counter(&mut self, prometheus: &str, name: &str) -> Option<Value> {
        let mut found = samples(prometheus)
            .filter(|sample| sample.name == name)
            .peekable();
        found.peek()?;
        let sum = found.map(|sample| sample.value).sum();
        Some(json!(self.rise(name.to_owned(), sum)))
    }

    /// Buckets are cumulative in Prometheus; CloudWatch wants the count at each edge.
    fn histogram(&mut self, prometheus: &str, name: &str) -> Option<Value> {
        let bucket = format!("{name}_bucket");
        let mut sums: Vec<(&str, f64)> = Vec::new();
        for sample in samples(prometheus).filter(|sample| sample.name == bucket) {
            let Some(edge) = edge(sample.labels) else {
                continue;
            };
            match sums.iter_mut().find(|(known, _)| *known == edge) {
                Some((_, sum)) => *sum += sample.value,
                None => sums.push((edge, sample.value)),
            }
        }
        let (mut values, mut counts, mut below) = (Vec::new(), Vec::new(), 0.0);
        for (edge, sum) in sums.into_iter().take(VALUES_MAX) {
            let rose = self.rise(format!("{name} {edge}"), sum);
            let here = rose - below;
            below = rose;
            if here > 0.0
                && let Ok(edge) = edge.parse::<f64>()
            {
                values.push(edge);
                counts.push(here);
            }
        }
        (!values.is_empty()).then(|| json!({"Values": values, "Counts": counts}))
    }
}

fn gauge(prometheus: &str, name: &str, label: &str) -> Option<Value> {
    samples(prometheus)
        .filter(|sample| sample.name == name && sample.labels.contains(label))
        .map(|sample| sample.value)
        .reduce(f64::max)
        .map(|value| json!(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "# TYPE ledger_queue_depth gauge\n\
        ledger_queue_depth 7\n\
        event_lag_seconds{channel=\"bus\"} 2\n\
        event_lag_seconds{channel=\"webhooks\"} 9\n\
        webhook_tries_total{accepted=\"true\"} 5\n\
        webhook_tries_total{accepted=\"false\"} 1\n\
        ledger_commit_duration_seconds_bucket{le=\"0.001\"} 2\n\
        ledger_commit_duration_seconds_bucket{le=\"0.002\"} 5\n\
        ledger_commit_duration_seconds_bucket{le=\"+Inf\"} 6\n\
        something_else 3\n";

    fn parsed(line: &str) -> Value {
        serde_json::from_str(line).expect("one JSON document")
    }

    #[test]
    fn dep_121_gauges_are_the_largest_and_counters_what_they_rose_by() {
        let mut emf = Emf::new("staging", "wallets");
        let line = parsed(&emf.line(FIRST, 1_000));
        assert_eq!(line["ledger_queue_depth"], 7.0);
        assert_eq!(line["event_lag_seconds"], 9.0);
        assert_eq!(line["webhook_tries_total"], 6.0);
        assert_eq!(
            (&line["Environment"], &line["Unit"]),
            (&json!("staging"), &json!("wallets"))
        );
        let second = FIRST.replace("accepted=\"true\"} 5", "accepted=\"true\"} 8");
        let line = parsed(&emf.line(&second, 2_000));
        assert_eq!(line["webhook_tries_total"], 3.0);
        assert_eq!(line["_aws"]["Timestamp"], 2_000);
    }

    #[test]
    fn dep_127_letters_that_were_dealt_with_do_not_count() {
        let letters = "shadow_dead_letters{status=\"redriven\"} 9\n\
            shadow_dead_letters{status=\"parked\"} 2\n";
        let line = parsed(&Emf::new("staging", "shadow-ledger").line(letters, 1));
        assert_eq!(line["shadow_dead_letters"], 2.0);
    }

    #[test]
    fn buckets_are_counts_at_their_edges_and_are_left_out_when_nothing_happened() {
        let mut emf = Emf::new("staging", "wallets");
        let line = parsed(&emf.line(FIRST, 1));
        let buckets = &line["ledger_commit_duration_seconds"];
        assert_eq!(
            *buckets,
            json!({"Values": [0.001, 0.002], "Counts": [2.0, 3.0]})
        );
        let line = parsed(&emf.line(FIRST, 2));
        assert!(line.get("ledger_commit_duration_seconds").is_none());
    }

    #[test]
    fn every_metric_of_a_line_is_declared_and_nothing_else_is_sent() {
        let line = parsed(&Emf::new("production", "workers").line(FIRST, 1));
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metrics["Namespace"], NAMESPACE);
        assert_eq!(metrics["Dimensions"], json!([["Environment", "Unit"]]));
        let declared = metrics["Metrics"].as_array().expect("a list");
        assert_eq!(declared.len(), 4);
        for metric in declared {
            let name = metric["Name"].as_str().expect("a name");
            assert!(line.get(name).is_some(), "{name}");
        }
        assert!(line.get("something_else").is_none());
        assert!(METRICS.len() <= 60, "each metric is paid for");
    }

    #[test]
    fn a_counter_that_starts_again_counts_from_nothing() {
        let mut emf = Emf::new("staging", "wallets");
        emf.line("wallet_transactions_total 100\n", 1);
        let line = parsed(&emf.line("wallet_transactions_total 4\n", 2));
        assert_eq!(line["wallet_transactions_total"], 4.0);
    }
}
