//! The checks behind `/ready` that the parts bring (ledger-wallets contract, section E).

use std::sync::Arc;

use florin_ledger::Ledger;
use florin_ledger::engine::ClockState;
use florin_platform::bus::Bus;
use florin_platform::http::health::{CheckFuture, FnCheck, Health, ReadyCheck, Verdict};
use florin_platform::sql::Db;
use florin_shadow::worker::topics::Entrance;

use super::watch::CheckpointAge;

/// Records between journal and index at which the index counts as behind.
const INDEX_LAG_MAX: u64 = 1_000_000;

struct Tables(Db);

impl ReadyCheck for Tables {
    fn name(&self) -> &str {
        "tables"
    }

    fn needed(&self) -> bool {
        true
    }

    fn check(&self) -> CheckFuture<'_> {
        Box::pin(async {
            match self.0.ping().await {
                Ok(()) => Verdict::ok(),
                Err(_) => Verdict::down(
                    "the service tables do not answer",
                    "see the log; florin doctor looks closer",
                ),
            }
        })
    }
}

struct Broker(Arc<dyn Bus>);

impl ReadyCheck for Broker {
    fn name(&self) -> &str {
        "broker"
    }

    fn needed(&self) -> bool {
        false
    }

    fn check(&self) -> CheckFuture<'_> {
        Box::pin(async {
            match self.0.probe().await {
                Ok(()) => Verdict::ok(),
                Err(error) => Verdict::degraded(
                    error.0,
                    "postings go on and events catch up; florin doctor looks closer",
                ),
            }
        })
    }
}

/// Whether the bus takes events (`broker`, a helper).
pub fn broker(health: &Health, bus: Arc<dyn Bus>) {
    health.register(Arc::new(Broker(bus)));
}

/// Whether what comes by topics is recorded (`topics`, a helper).
pub fn topics(health: &Health, entrance: Entrance) {
    health.register(FnCheck::new("topics", false, move || {
        match entrance.trouble() {
            None => Verdict::ok(),
            Some(why) => Verdict::degraded(
                format!("messages of topics wait: {why}"),
                "they are tried again until the store takes them; florin doctor looks closer",
            ),
        }
    }));
}

/// Whether the service tables answer.
pub fn tables(health: &Health, db: Db) {
    health.register(Arc::new(Tables(db)));
}

/// Whether the ledger can post (`store`, `sequencer`, `clock`, `disk`) and be read in full
/// (`index`).
pub fn ledger(health: &Health, ledger: &Ledger, disk_free_min_percent: u32) {
    let add = |name: &'static str, needed: bool, look: fn(&Ledger, u32) -> Verdict| {
        let ledger = ledger.clone();
        health.register(FnCheck::new(name, needed, move || {
            look(&ledger, disk_free_min_percent)
        }));
    };
    add("store", true, |ledger, _| match ledger.status().failed {
        None => Verdict::ok(),
        Some(why) => Verdict::down(
            why,
            "look at the disk, then restart: recovery reads the journal",
        ),
    });
    add("sequencer", true, |ledger, _| {
        match ledger.status().refusing {
            None => Verdict::ok(),
            Some(why) => Verdict::down(why, "it recovers by itself when the cause is gone"),
        }
    });
    add("clock", true, |ledger, _| match ledger.status().clock {
        ClockState::Good => Verdict::ok(),
        ClockState::Behind => Verdict::degraded(
            "the wall clock was set back; ledger time goes on by the boot-time clock",
            "correct the clock",
        ),
        ClockState::Unsafe => Verdict::down(
            "the wall clock jumped ahead; postings wait",
            "correct the clock, or: florin ledger clock accept",
        ),
    });
    add("disk", true, |ledger, min_percent| {
        match ledger.status().disk_free_per_mille {
            Some(free) if free < min_percent * 10 => Verdict::down(
                format!("only {}.{} % of the disk is free", free / 10, free % 10),
                "free some space; it recovers by itself",
            ),
            _ => Verdict::ok(),
        }
    });
    add("index", false, |ledger, _| {
        match (ledger.index_stopped(), ledger.index_lag()) {
            (true, _) => Verdict::down(
                "the index stopped after a fault",
                "restart; then florin ledger rebuild-index if it stays",
            ),
            (false, lag) if lag > INDEX_LAG_MAX => Verdict::degraded(
                format!("the index is {lag} records behind"),
                "lookups wait; it catches up by itself",
            ),
            _ => Verdict::ok(),
        }
    });
}

/// Records wait this long for a checkpoint before somebody should know, in seconds.
const CHECKPOINT_AGE_MAX: u64 = 300;

/// Whether new records get their signed checkpoints (`checkpoints`, a helper).
pub fn checkpoints(health: &Health, age: CheckpointAge) {
    health.register(FnCheck::new("checkpoints", false, move || {
        match age.seconds() {
            seconds if seconds > CHECKPOINT_AGE_MAX => Verdict::degraded(
                format!("records have waited {seconds} s for a checkpoint"),
                "see the log; POST /api/v1/ledger/checkpoints tries at once",
            ),
            _ => Verdict::ok(),
        }
    }));
}
