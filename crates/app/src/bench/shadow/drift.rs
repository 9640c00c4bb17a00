//! One drift check of many accounts, in one stream.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::intake::{self, BASE};
use super::place::Place;
use super::{Row, Shadow, mib, number, rate};

const CHECK: &str = "/api/v1/shadow/drift-check?checkId=bench&mode=report";
const STATE: &str = "/api/v1/shadow/drift-checks/bench";
/// One account in so many differs.
const DRIFTING: u64 = 100;
/// Longest wait for the end.
const PATIENCE: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(100);

/// One event for each account, then the check.
pub fn measure(shadow: &Shadow, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let place = Place::start(&shadow.dir, "drift", &[])?;
    let accounts = shadow.accounts;
    let write = |n: u64, body: &mut Vec<u8>| {
        let event = format!(
            "{{\"eventId\":\"d-{n}\",\"accountId\":\"D{n:07}\",\"type\":\"credit\",\"amount\":100,\
             \"timestamp\":{}}}",
            BASE + n
        );
        body.extend_from_slice(event.as_bytes());
    };
    let took = intake::fill(&place, accounts, 10_000, &write)?;
    rows.push(Row::new(
        format!("batches of 10,000 that begin {} books", number(accounts)),
        format!("{} events/s", rate(accounts, took)),
        "–",
    ));
    let mut lines = Vec::with_capacity(usize::try_from(accounts * 48)?);
    for n in 0..accounts {
        let reported = if n % DRIFTING == 0 { "101.23" } else { "100" };
        let line = format!("{{\"accountId\":\"D{n:07}\",\"reportedBalance\":{reported}}}\n");
        lines.extend_from_slice(line.as_bytes());
    }
    let before = place.mark_memory()?;
    let mut auditor = place.auditor()?;
    let begun = Instant::now();
    auditor.must(CHECK, "application/x-ndjson", &lines, 202)?;
    let check = loop {
        let (check, _) = auditor.get(STATE)?;
        match check["state"].as_str() {
            Some("done") => break check,
            _ if begun.elapsed() > PATIENCE => bail!("the check does not end: {check}"),
            _ => super::pause(LOOK),
        }
    };
    let took = begun.elapsed();
    let growth = place.peak_memory()?.saturating_sub(before);
    let expected = accounts.div_ceil(DRIFTING);
    let found = (
        check["totalAccounts"].as_u64(),
        check["driftsDetected"].as_u64(),
    );
    if found != (Some(accounts), Some(expected)) {
        bail!("{expected} of {accounts} accounts differ, found: {check}");
    }
    rows.push(Row::new(
        format!(
            "drift check of {} accounts in one stream, 1 % drifting",
            number(accounts)
        ),
        format!("{:.1} s, memory + {}", took.as_secs_f64(), mib(growth)),
        "≤ 90 s, memory + ≤ 256 MiB",
    ));
    place.stop()
}
