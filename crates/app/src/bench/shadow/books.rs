//! One large book: late events, balances at any time, pages of entries.

use std::time::Duration;

use anyhow::bail;

use super::intake::{self, BASE, millis};
use super::place::Place;
use super::{Row, number};
use crate::bench::histogram::Histogram;

/// The large book.
const BOOK: &str = "LARGE";
/// Time between two entries of it, in milliseconds.
const STEP: u64 = 10;
/// Calls of one kind.
const CALLS: u64 = 500;

/// Makes the book; answers how long that took.
pub fn fill(place: &Place, entries: u64) -> anyhow::Result<Duration> {
    let write = |n: u64, body: &mut Vec<u8>| {
        // Credits first, so that no debit ever waits for one.
        let n4 = if n < 4 { 0 } else { n };
        let mut event = Vec::new();
        intake::put("l-", n4, BOOK, BASE + n * STEP, &mut event);
        let text = String::from_utf8(event).unwrap_or_default();
        let text = text.replacen(&format!("\"l-{n4}\""), &format!("\"l-{n}\""), 1);
        body.extend_from_slice(text.as_bytes());
    };
    intake::fill(place, entries, 10_000, &write)
}

fn times(
    calls: u64,
    mut call: impl FnMut(u64) -> anyhow::Result<Duration>,
) -> anyhow::Result<Histogram> {
    let mut times = Histogram::default();
    for n in 0..calls {
        let took = call(n)?;
        times.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
    Ok(times)
}

fn told(times: &Histogram) -> String {
    format!(
        "p50 {}, p99 {}",
        millis(times.quantile(500)),
        millis(times.quantile(990))
    )
}

/// Late events into it, and reads of it.
pub fn measure(place: &Place, entries: u64, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let size = number(entries);
    let mut service = place.service()?;
    let at = |n: u64| BASE + intake::spread(n, entries) * STEP + 1;
    let late = times(CALLS, |n| {
        let mut body = Vec::new();
        intake::put("late-", n, BOOK, at(n), &mut body);
        let path = "/api/v1/shadow/events";
        let (_, took) = service.must(path, "application/json", &body, 202)?;
        Ok(took)
    })?;
    rows.push(Row::new(
        format!("a late event into a book of {size} entries"),
        told(&late),
        "p99 < 50 ms",
    ));
    let path = format!("/api/v1/shadow/accounts/{BOOK}/shadow-balance");
    let newest = times(CALLS, |_| Ok(service.get(&path)?.1))?;
    rows.push(Row::new(
        format!("balance of that book, now, {size} entries"),
        told(&newest),
        "p99 < 10 ms",
    ));
    let back = times(CALLS, |n| {
        Ok(service.get(&format!("{path}?asOf={}", at(n)))?.1)
    })?;
    rows.push(Row::new(
        "its balance at any instant (`asOf`)",
        told(&back),
        "p99 < 10 ms",
    ));
    let mut auditor = place.auditor()?;
    let pages = times(CALLS / 5, |n| {
        let from = at(n);
        let path = format!("/api/v1/shadow/accounts/{BOOK}/entries?from={from}&limit=50");
        let (page, took) = auditor.get(&path)?;
        match page["items"]
            .as_array()
            .is_some_and(|items| !items.is_empty())
        {
            true => Ok(took),
            false if from + 2 * STEP > BASE + entries * STEP => Ok(took),
            false => bail!("a page without entries: {page}"),
        }
    })?;
    rows.push(Row::new(
        "a page of 50 entries with running balances, anywhere in it",
        told(&pages),
        "< 50 ms",
    ));
    Ok(())
}
