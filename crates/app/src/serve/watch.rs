//! Looks at the ledger once a second: gauges for `/metrics`, and the file by which an operator
//! accepts the clock.

use std::path::PathBuf;
use std::time::Duration;

use florin_ledger::Ledger;
use florin_platform::http::shutdown::Shutdown;
use metrics::gauge;

use super::parts::ACCEPT_CLOCK_FILE;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until draining begins.
pub async fn ledger(ledger: Ledger, data_dir: PathBuf, shutdown: Shutdown) {
    let accept = data_dir.join(ACCEPT_CLOCK_FILE);
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.drain() => return,
        }
        measure(&ledger);
        if accept.exists() {
            take_clock(&ledger, &accept).await;
        }
    }
}

fn measure(ledger: &Ledger) {
    let status = ledger.status();
    gauge!("ledger_last_seq").set(status.head.seq as f64);
    gauge!("ledger_queue_depth").set(ledger.queue_depth() as f64);
    gauge!("ledger_index_lag_records").set(ledger.index_lag() as f64);
    if let Some(per_mille) = status.disk_free_per_mille {
        gauge!("disk_free_ratio").set(f64::from(per_mille) / 1000.0);
    }
}

async fn take_clock(ledger: &Ledger, file: &std::path::Path) {
    match ledger.accept_clock().await {
        Ok(()) => tracing::warn!("an operator accepted the wall clock as it is"),
        Err(error) => {
            tracing::error!(%error, "the clock could not be accepted");
            return;
        }
    }
    if let Err(error) = tokio::fs::remove_file(file).await {
        tracing::error!(%error, file = %file.display(), "could not be removed; the clock will be accepted again");
    }
}
