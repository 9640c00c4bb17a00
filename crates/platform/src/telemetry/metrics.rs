//! Prometheus metrics: one recorder for the process, fed through the `metrics` facade.
//!
//! Histograms have the bucket edges of the ledger-wallets contract, section E. Invariant: no
//! label holds a wallet, user or other id without bound.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

/// Bucket edges in seconds.
pub const BUCKETS: [f64; 12] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
];

/// Bucket edges of `ledger_batch_size`, in records.
const BATCH_SIZES: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 100.0, 1_000.0, 8_190.0, 16_384.0];

fn batch_sizes() -> Matcher {
    Matcher::Full("ledger_batch_size".into())
}

/// How often samples are folded into buckets, which bounds the memory they take in between.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The recorder of the process.
#[derive(Clone)]
pub struct MetricsHandle {
    prometheus: PrometheusHandle,
    process: &'static Process,
}

/// Metrics cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[error("metrics recorder: {0}")]
pub struct MetricsError(String);

/// Installs the recorder; later calls give back the first one.
pub fn install() -> Result<MetricsHandle, MetricsError> {
    static INSTALLED: OnceLock<Result<MetricsHandle, String>> = OnceLock::new();
    let install = || {
        let prometheus = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            .and_then(|builder| builder.set_buckets_for_metric(batch_sizes(), &BATCH_SIZES))
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(|error| error.to_string())?;
        static PROCESS: OnceLock<Process> = OnceLock::new();
        Ok(MetricsHandle {
            prometheus,
            process: PROCESS.get_or_init(Process::default),
        })
    };
    INSTALLED.get_or_init(install).clone().map_err(MetricsError)
}

impl MetricsHandle {
    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        self.process.observe();
        self.prometheus.render()
    }

    /// Folds samples; call every few seconds, or use [`MetricsHandle::keep_up`].
    pub fn upkeep(&self) {
        self.prometheus.run_upkeep();
    }

    /// Runs the upkeep for as long as the runtime lives.
    pub fn keep_up(&self) -> tokio::task::JoinHandle<()> {
        let handle = self.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(UPKEEP_EVERY);
            loop {
                ticks.tick().await;
                handle.upkeep();
            }
        })
    }
}

/// Gauges about the process, from `/proc`.
#[derive(Default)]
struct Process {
    last: Mutex<Option<(Instant, Duration)>>,
}

impl Process {
    fn observe(&self) {
        if let Some(bytes) = resident_bytes() {
            metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
        }
        let (Some(used), now) = (cpu_time(), Instant::now()) else {
            return;
        };
        let before = self.last.lock().replace((now, used));
        if let Some((then, used_then)) = before {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let wall = now.duration_since(then).as_secs_f64() * cores as f64;
            if wall > 0.0 {
                let share = used.saturating_sub(used_then).as_secs_f64() / wall;
                metrics::gauge!("process_cpu_usage").set(share.clamp(0.0, 1.0));
            }
        } else {
            metrics::gauge!("process_cpu_usage").set(0.0);
        }
        let seconds = used.as_secs_f64();
        metrics::gauge!("process_cpu_seconds").set(seconds);
    }
}

/// `VmRSS` of `/proc/self/status`, which is in kB whatever the page size.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// User and system time of `/proc/self/stat` (fields 14 and 15), in ticks of 10 ms: the unit
/// that Linux shows to user space is fixed at 100 per second.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in field 2 may hold spaces; its closing parenthesis is the last one.
    let fields = stat.rsplit_once(')')?.1;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_the_edges_of_the_contract() {
        let handle = install().expect("recorder");
        metrics::histogram!("test_duration_seconds").record(0.015);
        let text = handle.render();
        for edge in ["0.001", "0.002", "0.005", "0.01"] {
            let line = format!("test_duration_seconds_bucket{{le=\"{edge}\"}} 0");
            assert!(text.contains(&line), "{line}\n{text}");
        }
        for edge in ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "+Inf"] {
            let line = format!("test_duration_seconds_bucket{{le=\"{edge}\"}} 1");
            assert!(text.contains(&line), "{line}\n{text}");
        }
        assert!(text.contains("process_resident_memory_bytes "));
        assert!(text.contains("process_cpu_usage "));
        assert!(install().is_ok(), "a second call finds the first");
    }

    #[test]
    fn the_process_is_measured() {
        assert!(resident_bytes().expect("VmRSS") > 100_000);
        assert!(cpu_time().is_some());
    }
}
