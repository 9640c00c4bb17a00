//! Metrics as log lines for CloudWatch, each minute, on stdout: `telemetry.embedded_metrics`.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use florin_platform::telemetry::emf::Emf;
use florin_platform::telemetry::metrics::MetricsHandle;
use tokio::task::JoinHandle;

use super::parts::Wired;
use crate::roles::Role;

/// CloudWatch keeps metrics by the minute.
const EVERY: Duration = Duration::from_secs(60);

/// Starts writing, when it is switched on; ends when the task is aborted.
pub fn start(
    wired: &Wired,
    selected: &[&'static Role],
    metrics: &MetricsHandle,
) -> Option<JoinHandle<()>> {
    let config = &wired.config;
    if !config.telemetry.embedded_metrics {
        return None;
    }
    // A process of one role is that unit; one of several is the whole platform.
    let unit = match selected {
        [only] => only.name,
        _ => "florin",
    };
    let mut emf = Emf::new(config.environment.word(), unit);
    let (metrics, clock) = (metrics.clone(), Arc::clone(&wired.clock));
    Some(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let now_ms = clock.wall_micros() / 1000;
            let line = format!("{}\n", emf.line(&metrics.render(), now_ms));
            if let Err(error) = std::io::stdout().write_all(line.as_bytes()) {
                tracing::warn!(%error, "metrics for CloudWatch could not be written");
            }
        }
    }))
}
