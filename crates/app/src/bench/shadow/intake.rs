//! Events over HTTP: batches and single ones.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

use super::caller::Caller;
use super::place::Place;
use super::{Row, Shadow, number, rate};
use crate::bench::histogram::Histogram;

/// 2025-01-01T00:00:00Z, epoch milliseconds.
pub const BASE: u64 = 1_735_689_600_000;
/// Connections that send batches.
pub const BATCHES: u64 = 4;
/// Connections that send single events.
const SINGLES: u64 = 64;
/// How long events wait for earlier ones, by default, and a little more.
const GRACE: Duration = Duration::from_secs(31);

const BATCH: &str = "/api/v1/shadow/events/batch?results=errors";
const ONE: &str = "/api/v1/shadow/events";

/// Writes an event of a measurement. One in four takes out less than any other brings in, so
/// that events are decided and not only stored.
pub fn put(prefix: &str, n: u64, account: &str, at: u64, body: &mut Vec<u8>) {
    let debit = n % 4 == 3;
    let (kind, units) = if debit {
        ("debit", 1 + n % 5)
    } else {
        ("credit", 10 + n % 90)
    };
    let cents = n % 100;
    body.extend_from_slice(
        format!(
            "{{\"eventId\":\"{prefix}{n}\",\"accountId\":\"{account}\",\"type\":\"{kind}\",\
             \"amount\":{units}.{cents:02},\"timestamp\":{at}}}"
        )
        .as_bytes(),
    );
}

/// Spreads numbers over books without a pattern that a cache could like.
pub fn spread(n: u64, over: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % over
}

/// Sends the batch of events `from..to`, which must all be taken.
pub fn send(
    caller: &mut Caller,
    from: u64,
    to: u64,
    write: &dyn Fn(u64, &mut Vec<u8>),
) -> anyhow::Result<Duration> {
    let mut body = Vec::with_capacity(usize::try_from((to - from) * 128)?);
    body.push(b'[');
    for n in from..to {
        if n > from {
            body.push(b',');
        }
        write(n, &mut body);
    }
    body.push(b']');
    let (answer, took) = caller.must(BATCH, "application/json", &body, 202)?;
    if answer["accepted"].as_u64() != Some(to - from) {
        bail!(
            "{} of {} events were taken: {answer}",
            answer["accepted"],
            to - from
        );
    }
    Ok(took)
}

/// Sends events `0..count` in batches over [`BATCHES`] connections; answers how long it took.
pub fn fill(
    place: &Place,
    count: u64,
    batch: u64,
    write: &(dyn Fn(u64, &mut Vec<u8>) + Sync),
) -> anyhow::Result<Duration> {
    let next = AtomicU64::new(0);
    let begun = Instant::now();
    let work = || -> anyhow::Result<()> {
        let mut caller = place.service()?;
        loop {
            let from = next.fetch_add(batch, Ordering::SeqCst);
            if from >= count {
                return Ok(());
            }
            send(&mut caller, from, (from + batch).min(count), write)?;
        }
    };
    together(BATCHES, &work)?;
    Ok(begun.elapsed())
}

/// Runs the same work on several threads; the first error counts.
pub fn together(
    threads: u64,
    work: &(dyn Fn() -> anyhow::Result<()> + Sync),
) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a connection broke off"))?
        })
    })
}

/// How many events went in within `time`, and the times of the batches. `stop` ends it early.
pub fn pour(
    place: &Place,
    prefix: &str,
    books: u64,
    batch: u64,
    time: Duration,
    stop: &(dyn Fn() -> bool + Sync),
) -> anyhow::Result<(u64, Duration, Histogram)> {
    let next = AtomicU64::new(0);
    let taken = AtomicU64::new(0);
    let times = std::sync::Mutex::new(Histogram::default());
    let begun = Instant::now();
    let work = || -> anyhow::Result<()> {
        let mut caller = place.service()?;
        while begun.elapsed() < time && !stop() {
            let from = next.fetch_add(batch, Ordering::SeqCst);
            let write = |n: u64, body: &mut Vec<u8>| {
                let account = format!("A{}", spread(n, books));
                put(prefix, n, &account, BASE + n, body);
            };
            let took = send(&mut caller, from, from + batch, &write)?;
            taken.fetch_add(batch, Ordering::SeqCst);
            record(&times, took);
        }
        Ok(())
    };
    together(BATCHES, &work)?;
    let elapsed = begun.elapsed();
    let times = times
        .into_inner()
        .unwrap_or_else(|broken| broken.into_inner());
    Ok((taken.into_inner(), elapsed, times))
}

fn record(times: &std::sync::Mutex<Histogram>, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let mut times = times.lock().unwrap_or_else(|broken| broken.into_inner());
    times.record(micros);
}

/// Milliseconds with one decimal.
pub fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

/// Batches over many books, then single events.
pub fn measure(shadow: &Shadow, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let place = Place::start(&shadow.dir, "intake", &[])?;
    let time = Duration::from_secs(shadow.seconds);
    let (taken, took, times) = pour(&place, "b-", shadow.books, shadow.batch, time, &|| false)?;
    rows.push(Row::new(
        format!(
            "batches of {}, 4 connections, over {} books",
            number(shadow.batch),
            number(shadow.books)
        ),
        format!(
            "{} events/s, p99 of a batch {}",
            rate(taken, took),
            millis(times.quantile(990))
        ),
        "≥ 20,000 events/s",
    ));
    place.stop()?;
    singles(shadow, rows)
}

/// Single events, on a server of its own. What waits is decided after [`GRACE`]: the times before
/// it, in which nothing is due yet, do not count.
fn singles(shadow: &Shadow, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let place = Place::start(&shadow.dir, "singles", &[])?;
    let next = AtomicU64::new(0);
    let times = std::sync::Mutex::new(Histogram::default());
    let time = Duration::from_secs((shadow.seconds / 4).max(1));
    let begun = Instant::now();
    let work = || -> anyhow::Result<()> {
        let mut caller = place.service()?;
        let mut body = Vec::new();
        while begun.elapsed() < GRACE + time {
            let n = next.fetch_add(1, Ordering::SeqCst);
            body.clear();
            let account = format!("A{}", spread(n, shadow.books));
            put("s-", n, &account, BASE + n, &mut body);
            let (_, took) = caller.must(ONE, "application/json", &body, 202)?;
            if begun.elapsed() >= GRACE {
                record(&times, took);
            }
        }
        Ok(())
    };
    together(SINGLES, &work)?;
    let times = times
        .into_inner()
        .unwrap_or_else(|broken| broken.into_inner());
    rows.push(Row::new(
        format!("single events, {SINGLES} connections, while as many are decided"),
        format!(
            "{} events/s, p50 {}, p99 {}",
            rate(times.count(), begun.elapsed().saturating_sub(GRACE)),
            millis(times.quantile(500)),
            millis(times.quantile(990))
        ),
        "≥ 2,000/s, p99 < 50 ms",
    ));
    place.stop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn events_are_json_and_spread() {
        let mut body = Vec::new();
        put("e-", 7, "A1", BASE, &mut body);
        let event: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            (&event["type"], &event["eventId"]),
            (&"debit".into(), &"e-7".into())
        );
        let seen: std::collections::BTreeSet<u64> = (0..1_000).map(|n| spread(n, 16)).collect();
        assert_eq!(seen.len(), 16);
        assert_eq!(millis(12_345), "12.3 ms");
    }
}
