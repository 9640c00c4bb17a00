//! `florin shadow rebuild --verify`, alone and beside an intake.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::place::Place;
use super::{Row, Shadow, intake, number};

/// Seconds of the intake that is compared with, at most.
const ALONE: u64 = 10;

/// Events and seconds of a verification, which must find both sides equal.
fn verify(place: &Place) -> anyhow::Result<(u64, f64)> {
    let output = Command::new(std::env::current_exe()?)
        .args([
            "shadow",
            "rebuild",
            "--verify",
            "--output",
            "json",
            "--data-dir",
        ])
        .arg(place.dir())
        .env_remove("FLORIN_DATA_DIR")
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("the rebuild ended with {}: {said}", output.status);
    }
    let report: Value = serde_json::from_str(&said).context("the report of the rebuild")?;
    if report["equal"] != true {
        bail!("the rebuild differs: {report}");
    }
    let seconds: f64 = report["seconds"].to_string().parse().context("seconds")?;
    let events = report["events"].as_u64().context("events")?;
    Ok((events, seconds))
}

fn told(events: u64, seconds: f64) -> String {
    let took = Duration::from_secs_f64(seconds.max(0.001));
    format!(
        "{} events/s ({} events)",
        super::rate(events, took),
        number(events)
    )
}

/// Both.
pub fn measure(place: &Place, shadow: &Shadow, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let (events, seconds) = verify(place)?;
    rows.push(Row::new(
        "rebuild --verify",
        told(events, seconds),
        "≥ 50,000 events/s",
    ));
    let time = Duration::from_secs(shadow.seconds.min(ALONE));
    let pour = |prefix: &str, time, stop: &(dyn Fn() -> bool + Sync)| {
        intake::pour(place, prefix, shadow.books, shadow.batch, time, stop)
    };
    let (alone, alone_took, _) = pour("alone-", time, &|| false)?;
    let done = AtomicBool::new(false);
    let (proved, beside) = std::thread::scope(|scope| {
        let proving = scope.spawn(|| {
            let proved = verify(place);
            done.store(true, Ordering::SeqCst);
            proved
        });
        let stop = || done.load(Ordering::SeqCst);
        let beside = pour("beside-", Duration::from_secs(600), &stop);
        (proving.join(), beside)
    });
    let (events, seconds) = proved.map_err(|_| anyhow::anyhow!("the rebuild broke off"))??;
    let (beside, beside_took, _) = beside?;
    let each = |count: u64, took: Duration| count as f64 / took.as_secs_f64().max(0.001);
    let share = each(beside, beside_took) / each(alone, alone_took).max(1.0);
    rows.push(Row::new(
        "intake beside a rebuild, as a share of its rate alone",
        format!("{:.0} % (rebuild {})", 100.0 * share, told(events, seconds)),
        "≥ 50 %",
    ));
    Ok(())
}
