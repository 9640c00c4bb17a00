//! Looks at the ledger once a second: gauges for `/metrics`, and the file by which an operator
//! accepts the clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use florin_ledger::{Ledger, Part, Query, View};
use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::Db;
use metrics::{counter, gauge};

use super::parts::ACCEPT_CLOCK_FILE;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two sums over all accounts: the writer makes them, some milliseconds for a
/// million accounts.
const SUMS: Duration = Duration::from_secs(300);

/// Seconds for which records have waited for a checkpoint; 0 when none wait.
#[derive(Debug, Clone, Default)]
pub struct CheckpointAge(Arc<AtomicU64>);

impl CheckpointAge {
    /// The seconds.
    pub fn seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is looked at.
pub struct Watched {
    /// The ledger.
    pub ledger: Ledger,
    /// Where an operator leaves his word.
    pub data_dir: PathBuf,
    /// What `/ready` reads.
    pub checkpoint_age: CheckpointAge,
}

/// Runs until draining begins.
pub async fn run(watched: Watched, shutdown: Shutdown) {
    let accept = watched.data_dir.join(ACCEPT_CLOCK_FILE);
    let ledger = &watched.ledger;
    let mut waiting = None;
    let mut summed = Instant::now();
    count_wallets(ledger).await;
    counter!("ledger_invariant_violations_total").increment(0);
    let mut turns = shutdown.turns(LOOK);
    while turns.next().await {
        measure(ledger);
        let age = checkpoint_age(ledger, &mut waiting).await;
        watched.checkpoint_age.0.store(age, Ordering::Relaxed);
        gauge!("ledger_checkpoint_age_seconds").set(age as f64);
        if summed.elapsed() >= SUMS {
            check_sums(ledger).await;
            count_wallets(ledger).await;
            summed = Instant::now();
        }
        if accept.exists() {
            take_clock(ledger, &accept).await;
        }
    }
}

fn measure(ledger: &Ledger) {
    let status = ledger.status();
    gauge!("ledger_last_seq").set(status.head.seq as f64);
    gauge!("ledger_queue_depth").set(ledger.queue_depth() as f64);
    let part = ledger.part();
    let is = |yes: bool| f64::from(u8::from(yes));
    gauge!("ledger_is_sequencer").set(is(matches!(part, Part::Sequencer { .. })));
    gauge!("ledger_is_linked").set(is(matches!(part, Part::Linked { .. })));
    gauge!("ledger_index_lag_records").set(ledger.index_lag() as f64);
    if let Some(per_mille) = status.disk_free_per_mille {
        gauge!("disk_free_ratio").set(f64::from(per_mille) / 1000.0);
    }
}

/// Measures the pools of the service tables for ever.
pub async fn measure_tables(db: Db) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        db.measure();
    }
}

async fn count_wallets(ledger: &Ledger) {
    if let Ok(count) = ledger.wallets().await {
        gauge!("wallet_total_count").set(count as f64);
    }
}

/// INV-L1 and INV-L2: over all accounts of an asset debits equal credits, posted and pending.
async fn check_sums(ledger: &Ledger) {
    let Ok(View::TrialBalance(assets, head)) = ledger.query(Query::TrialBalance).await else {
        return;
    };
    for sums in &assets {
        let totals = &sums.totals;
        if totals.debits_posted != totals.credits_posted
            || totals.debits_pending != totals.credits_pending
        {
            counter!("ledger_invariant_violations_total").increment(1);
            tracing::error!(asset = %sums.asset, seq = head.seq, "debits do not equal credits");
        }
    }
}

/// For how long some record has had no checkpoint, in seconds. `waiting` is such a record and
/// when it was first seen without one; under load there always is a newest one without.
async fn checkpoint_age(ledger: &Ledger, waiting: &mut Option<(u64, Instant)>) -> u64 {
    let asked = ledger.clone();
    let newest = tokio::task::spawn_blocking(move || asked.checkpoints().newest()).await;
    let covered = match newest {
        Ok(Ok(newest)) => newest.map_or(0, |checkpoint| checkpoint.tree_size),
        // Files that cannot be read vouch for nothing.
        _ => 0,
    };
    let head = ledger.status().head.seq;
    if waiting.is_some_and(|(seq, _)| covered >= seq) {
        *waiting = None;
    }
    if covered >= head {
        return 0;
    }
    let (_, since) = waiting.get_or_insert_with(|| (head, Instant::now()));
    since.elapsed().as_secs()
}

async fn take_clock(ledger: &Ledger, file: &Path) {
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
