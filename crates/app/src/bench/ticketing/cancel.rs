//! An event with many orders is cancelled: how soon it is answered, and how fast money goes back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use super::place::{Place, Store};
use super::{Row, Ticketing, millis, number, rate, sale};
use crate::bench::shadow::pause;

/// A refund of everything that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(900);

/// Sells to wallets, cancels, waits for the last refund.
pub fn measure(args: &Ticketing, store: &Store, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let mut place = Place::start(&args.dir, "cancel", store)?;
    let mut organiser = place.organiser()?;
    let org = organiser.founds()?;
    let gig = organiser.opens(&org, "50.00", args.refunds, false)?;
    let orders = sale::sell_for_wallets(&place, &gig, args)?;
    let begun = Instant::now();
    let path = format!("events/{}/cancel", gig.event);
    let shown = organiser.must("POST", &path, Some(&json!({"reason": "Rain"})))?;
    let answered = begun.elapsed();
    let job = shown["refundJobId"].as_str().context("refundJobId")?;
    let path = format!("events/{}/refund-jobs/{job}", gig.event);
    loop {
        let shown = organiser.must("GET", &path, None)?;
        let done = |name: &str| shown[name].as_u64().unwrap_or_default();
        ensure!(done("failed") == 0, "refunds failed: {shown}");
        if done("done") >= orders {
            break;
        }
        if begun.elapsed() > PATIENCE {
            bail!("the refunds do not end: {shown}");
        }
        pause(Duration::from_millis(100));
    }
    let took = begun.elapsed();
    place.stop()?;
    let micros = u64::try_from(answered.as_micros())?;
    rows.push(Row::new(
        format!(
            "{}: cancel of an event with {} orders paid from wallets",
            store.name(),
            number(orders)
        ),
        format!(
            "answered in {}, {} refunds/s to the last",
            millis(micros),
            number(rate(orders, took))
        ),
        "answer < 2 s, ≥ 500 refunds/s",
    ));
    Ok(())
}
