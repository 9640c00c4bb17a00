//! The formulas of part E of the deployment contract. Pure.

use super::Line;
use crate::aws::units::Unit;

/// Share of postings among the calls of the Wallet Service's own mix, per cent.
const POSTINGS_PERCENT: u64 = 55;
/// Calls a second that one task of 4 processors answers (ledger contract's floor).
const CALLS_PER_TASK: u64 = 5_000;
/// Work at the head of the ledger for one item, microseconds: planned; 17 to 29 were measured.
const ITEM_MICROS: u64 = 40;
/// Per million: above this share the head is too busy.
const HEAD_SHARE_MAX: u64 = 700_000;
/// Time for which the head's lock is held in a cycle: two round trips and a quorum commit.
const HELD_MICROS: u64 = 7_000;
/// Half of the p95 that transfers may have.
const CYCLE_MAX_MICROS: u64 = 250_000;
/// Bytes of log for a transfer; 0.45 KB lean, 2.5 to 3.7 times as much after a checkpoint. Measured.
const LOG_BYTES: u64 = 1_000;
/// Write I/Os of Aurora for a transfer, hundredths.
const WRITE_IOS_HUNDREDTHS: (u64, u64) = (25, 92);
/// What I/O-Optimized costs more for production's three instances, cents a month, and what a
/// million I/Os cost otherwise. Of the contract's part E; unverified.
const OPTIMISED_CENTS: u64 = 75_000;
const IO_CENTS_PER_MILLION: u64 = 20;
/// Bytes of an account and of a wallet with their indexes.
const WALLET_BYTES: u64 = 800;
/// Bytes of indexes of the newest partition for each transfer a second.
const NEWEST_INDEX_BYTES: u64 = 2_000_000;
const YEAR_SECONDS: u64 = 31_500_000;
const MONTH_SECONDS: u64 = 2_628_000;
/// Bytes that a transfer takes in the database.
const TRANSFER_BYTES: u64 = 400;
/// Bytes of the identity of a transfer, kept for ever.
const IDENTITY_BYTES: u64 = 56;
/// Bytes of a transfer in the archive, compressed.
const ARCHIVE_BYTES: u64 = 120;
/// Bytes to Kafka for a transfer before compression: two events, a feed line, snapshots.
const EVENT_BYTES: u64 = 2_900;
/// Compression of Kafka's batches.
const KAFKA_RATIO: u64 = 3;
/// Bytes on a broker's disk for a transfer a second, over the seven days that are kept.
const BROKER_BYTES: u64 = 604_800 * 1_000;
/// Events a second that one consumer takes.
const CONSUMER_EVENTS: u64 = 1_000;
/// Bytes of a wallet in the cache.
const CACHED_BYTES: u64 = 450;
/// Bytes of a call and its answer at the edge.
const CALL_BYTES: u64 = 2_500;

/// What is to be carried.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Wallets that exist.
    pub wallets: u64,
    /// Durable transfers a second at the peak.
    pub tps: u64,
    /// Durable transfers a second, yearly average.
    pub average_tps: u64,
    /// Tasks that post at the same time.
    pub posting_tasks: u64,
}

impl Load {
    /// Calls a second.
    pub fn calls(&self) -> u64 {
        rounded(self.tps * 100, POSTINGS_PERCENT)
    }

    /// Share of its time for which the head works on items, per million.
    pub fn head_share(&self) -> u64 {
        self.tps * ITEM_MICROS
    }

    fn head_free(&self) -> u64 {
        1_000_000_u64.saturating_sub(self.head_share())
    }

    /// One turn of the lock through all tasks that post, microseconds; none: it never ends.
    pub fn cycle_micros(&self) -> Option<u64> {
        let free = self.head_free();
        (free > 0).then(|| rounded(self.posting_tasks * HELD_MICROS * 1_000_000, free))
    }

    /// Most tasks that may post at once.
    pub fn posting_tasks_max(&self) -> u64 {
        CYCLE_MAX_MICROS * self.head_free() / 1_000_000 / HELD_MICROS
    }

    /// Tasks of unit `wallets`, a lost zone included.
    pub fn tasks(&self) -> u64 {
        (self.calls().div_ceil(CALLS_PER_TASK) * 3).div_ceil(2)
    }

    /// Items of a batch.
    pub fn batch(&self) -> u64 {
        let cycle = self.cycle_micros().unwrap_or(u64::MAX / 1_000_000);
        rounded(
            self.tps.saturating_mul(cycle),
            self.posting_tasks * 1_000_000,
        )
    }

    /// Yearly averages between which I/O-Optimized begins to pay: with the most and with the least
    /// I/Os for a transfer.
    pub fn optimised_from() -> (u64, u64) {
        let at = |hundredths: u64| {
            OPTIMISED_CENTS * 1_000_000 * 100 / (MONTH_SECONDS * IO_CENTS_PER_MILLION * hundredths)
        };
        (at(WRITE_IOS_HUNDREDTHS.1), at(WRITE_IOS_HUNDREDTHS.0))
    }

    /// Months until Aurora's 128 TiB are full.
    pub fn storage_months(&self) -> u64 {
        const AURORA_BYTES: u64 = 128 << 40;
        AURORA_BYTES * 12 / (self.average_tps * YEAR_SECONDS * TRANSFER_BYTES).max(1)
    }
}

fn rounded(value: u64, by: u64) -> u64 {
    (value + by / 2) / by.max(1)
}

/// Connections to the writer when every unit has as many copies as it may have.
pub fn connections(units: &[Unit]) -> u64 {
    units
        .iter()
        .map(|unit| unit.production.max.unsigned_abs() * unit.connections)
        .sum()
}

const GIB: u64 = 1 << 30;
/// Connections at which the alarm rings: four fifths of `max_connections`.
const CONNECTIONS_ALARM: u64 = 1_600;

fn line(
    quantity: &'static str,
    formula: &'static str,
    value: u64,
    unit: &'static str,
    has: Option<u64>,
) -> Line {
    Line {
        quantity,
        formula,
        value,
        unit,
        has,
        fits: has.is_none_or(|has| value <= has),
    }
}

/// The whole table.
pub fn lines(load: &Load, units: &[Unit]) -> Vec<Line> {
    let wallets = units.iter().find(|unit| unit.name == "wallets");
    let tasks_max = wallets.map(|unit| unit.production.max.unsigned_abs());
    let mut lines = vec![
        line("calls", "R = tps / 0.55", load.calls(), "/s", None),
        line(
            "tasks of wallets",
            "ceil(R / 5000) x 1.5",
            load.tasks(),
            "tasks",
            tasks_max,
        ),
        line(
            "share of the head",
            "tps x 40 us; at most 0.7",
            load.head_share() / 1_000,
            "per mille",
            Some(HEAD_SHARE_MAX / 1_000),
        ),
        line(
            "lock cycle",
            "C = k x 7 ms / (1 - share)",
            load.cycle_micros()
                .map_or(u64::MAX, |micros| rounded(micros, 1_000)),
            "ms",
            Some(CYCLE_MAX_MICROS / 1_000),
        ),
        line(
            "p95 of a transfer",
            "2 x C",
            load.cycle_micros()
                .map_or(u64::MAX, |micros| rounded(2 * micros, 1_000)),
            "ms",
            Some(2 * CYCLE_MAX_MICROS / 1_000),
        ),
        line(
            "tasks that post",
            "k; at most 0.25 s x (1 - share) / 7 ms",
            load.posting_tasks,
            "tasks",
            Some(load.posting_tasks_max()),
        ),
        line(
            "items of a batch",
            "tps x C / k",
            load.batch(),
            "items",
            Some(8_190),
        ),
        line(
            "connections to the writer",
            "sum over units of max x connections",
            connections(units),
            "connections",
            Some(CONNECTIONS_ALARM),
        ),
    ];
    lines.extend(stored(load));
    lines.extend(moved(load));
    lines
}

/// What lies somewhere.
fn stored(load: &Load) -> Vec<Line> {
    let year = |bytes: u64| load.average_tps * YEAR_SECONDS * bytes / 1_000_000_000;
    vec![
        line(
            "log written",
            "tps x 1 KB",
            load.tps * LOG_BYTES / 1_000_000,
            "MB/s",
            None,
        ),
        line(
            "write I/Os of Aurora, at least",
            "tps x 0.25",
            load.tps * WRITE_IOS_HUNDREDTHS.0 / 100,
            "/s",
            None,
        ),
        line(
            "write I/Os of Aurora, at most",
            "tps x 0.92",
            load.tps * WRITE_IOS_HUNDREDTHS.1 / 100,
            "/s",
            None,
        ),
        line(
            "average from which aurora-iopt1 pays, at least",
            "750 USD / (month x 0.92 x 0.20 USD per million)",
            Load::optimised_from().0,
            "/s",
            None,
        ),
        line(
            "average from which aurora-iopt1 pays, at most",
            "750 USD / (month x 0.25 x 0.20 USD per million)",
            Load::optimised_from().1,
            "/s",
            None,
        ),
        line(
            "working set",
            "wallets x 800 B + tps x 2 MB",
            (load.wallets * WALLET_BYTES + load.tps * NEWEST_INDEX_BYTES) / 1_000_000_000,
            "GB",
            Some(48),
        ),
        line(
            "storage a year",
            "average x 31.5 M s x 400 B",
            year(TRANSFER_BYTES),
            "GB",
            None,
        ),
        line(
            "time until 128 TiB are full",
            "12 x 128 TiB / storage a year",
            load.storage_months(),
            "months",
            None,
        ),
        line(
            "index of ids a year",
            "average x 31.5 M s x 56 B",
            year(IDENTITY_BYTES),
            "GB",
            None,
        ),
        line(
            "archive a year",
            "average x 31.5 M s x 120 B",
            year(ARCHIVE_BYTES),
            "GB",
            None,
        ),
        line(
            "disk of a broker",
            "average x 1 KB x 7 days",
            load.average_tps * BROKER_BYTES / 1_000_000_000,
            "GB",
            Some(4_096 * GIB / 1_000_000_000),
        ),
        line(
            "memory of Redis",
            "wallets x 450 B",
            load.wallets * CACHED_BYTES / 1_000_000_000,
            "GB",
            Some(13 * 3 / 4),
        ),
    ]
}

/// What moves, and what is paid for each call.
fn moved(load: &Load) -> Vec<Line> {
    let fee =
        |cents_per_million: u64| load.calls() * MONTH_SECONDS / 1_000_000 * cents_per_million / 100;
    vec![
        line(
            "into Kafka",
            "tps x 2.9 KB / 3",
            rounded(load.tps * EVENT_BYTES, KAFKA_RATIO * 1_000_000),
            "MB/s",
            None,
        ),
        line(
            "partitions of wallet-events",
            "ceil(2 x tps / 1000)",
            (2 * load.tps).div_ceil(CONSUMER_EVENTS),
            "partitions",
            Some(48),
        ),
        line(
            "operations of Redis",
            "2 x R",
            2 * load.calls(),
            "/s",
            Some(100_000),
        ),
        line(
            "traffic at the edge",
            "R x 2.5 KB",
            load.calls() * CALL_BYTES * 8 / 1_000_000,
            "Mbit/s",
            Some(10_000),
        ),
        line(
            "capacity units of a load balancer",
            "R x 2.5 KB x 3600 s / 1 GB",
            (load.calls() * CALL_BYTES * 3_600).div_ceil(1_000_000_000),
            "LCU",
            None,
        ),
        line(
            "fees of the web ACL",
            "R x month x 0.60 USD per million",
            fee(60),
            "USD/month",
            None,
        ),
        line(
            "fees of CloudFront, if calls went through it",
            "R x month x 1.00 USD per million",
            fee(100),
            "USD/month",
            None,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::units;

    fn load(tps: u64, posting_tasks: u64) -> Load {
        Load {
            wallets: 10_000_000,
            tps,
            average_tps: tps,
            posting_tasks,
        }
    }

    fn value(load: &Load, quantity: &str) -> u64 {
        let lines = lines(load, &units::all().expect("the built-in file"));
        let line = lines.iter().find(|line| line.quantity == quantity);
        line.unwrap_or_else(|| panic!("no line {quantity}")).value
    }

    /// Two columns of the contract's part E, at 5 000 and at 15 000 transfers a second.
    #[test]
    fn dep_063_the_contracts_figures_come_out() {
        let (five, fifteen) = (load(5_000, 6), load(15_000, 6));
        let both = |quantity: &str| (value(&five, quantity), value(&fifteen, quantity));
        assert_eq!(both("calls"), (9_091, 27_273));
        assert_eq!(both("tasks of wallets"), (3, 9));
        assert_eq!(both("share of the head"), (200, 600));
        assert_eq!(both("lock cycle"), (53, 105));
        assert_eq!(both("p95 of a transfer"), (105, 210));
        assert_eq!(
            (five.posting_tasks_max(), fifteen.posting_tasks_max()),
            (28, 14)
        );
        assert_eq!(both("items of a batch"), (44, 263));
        assert_eq!(both("log written"), (5, 15));
        assert_eq!(both("write I/Os of Aurora, at least"), (1_250, 3_750));
        assert_eq!(both("write I/Os of Aurora, at most"), (4_600, 13_800));
        assert_eq!(both("working set"), (18, 38));
        assert_eq!(both("storage a year"), (63_000, 189_000));
        assert_eq!(both("time until 128 TiB are full"), (26, 8));
        assert_eq!(both("index of ids a year"), (8_820, 26_460));
        assert_eq!(both("archive a year"), (18_900, 56_700));
        assert_eq!(both("into Kafka"), (5, 15));
        assert_eq!(both("disk of a broker"), (3_024, 9_072));
        assert_eq!(both("partitions of wallet-events"), (10, 30));
        assert_eq!(both("memory of Redis"), (4, 4));
        assert_eq!(both("operations of Redis"), (18_182, 54_546));
        assert_eq!(both("capacity units of a load balancer"), (82, 246));
        let (waf, cdn) = (
            value(&five, "fees of the web ACL"),
            value(&five, "fees of CloudFront, if calls went through it"),
        );
        assert!(
            waf.abs_diff(14_400) < 150 && cdn.abs_diff(23_900) < 150,
            "{waf} {cdn}"
        );
    }

    #[test]
    fn dep_003_twenty_small_tasks_are_too_many_at_fifteen_thousand() {
        let crowd = load(15_000, 20);
        let lines = lines(&crowd, &units::all().expect("the built-in file"));
        let wrong: Vec<&str> = lines
            .iter()
            .filter(|line| !line.fits)
            .map(|line| line.quantity)
            .collect();
        assert_eq!(value(&crowd, "lock cycle"), 350);
        assert_eq!(
            wrong,
            [
                "lock cycle",
                "p95 of a transfer",
                "tasks that post",
                "disk of a broker"
            ]
        );
        assert_eq!(value(&load(5_000, 20), "lock cycle"), 175);
    }

    #[test]
    fn dep_065_optimised_storage_pays_between_two_averages() {
        let (least, most) = Load::optimised_from();
        assert!(
            (1_500..=1_650).contains(&least) && (5_600..=5_750).contains(&most),
            "{least} {most}"
        );
    }

    #[test]
    fn a_head_that_is_busy_all_the_time_never_ends_its_cycle() {
        let flood = load(30_000, 6);
        assert_eq!(flood.cycle_micros(), None);
        assert_eq!(flood.posting_tasks_max(), 0);
        assert!(
            lines(&flood, &[])
                .iter()
                .any(|line| line.quantity == "lock cycle" && !line.fits)
        );
    }

    #[test]
    fn dep_084_averages_count_for_what_is_kept() {
        let calm = Load {
            average_tps: 580,
            ..load(5_000, 6)
        };
        assert_eq!(value(&calm, "disk of a broker"), 350);
        let small = Load {
            average_tps: 16,
            ..load(5_000, 6)
        };
        assert_eq!(value(&small, "storage a year"), 201);
    }

    #[test]
    fn dep_067_dep_071_all_units_at_their_most_stay_below_the_alarm() {
        let sum = connections(&units::all().expect("the built-in file"));
        assert_eq!(sum, 1_144);
        assert!(sum < CONNECTIONS_ALARM);
    }
}
