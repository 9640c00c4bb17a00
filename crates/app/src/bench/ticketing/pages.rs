//! What everybody looks at before a sale: the page of the event, and what is left.

use std::time::Duration;

use anyhow::bail;

use super::drive::{Act, Answer, Pace, drive};
use super::place::{Place, Store, put};
use super::{Row, Ticketing, median, millis, number, rate, sale};
use crate::bench::server::cpu_seconds;

/// Connections that look.
const CONNECTIONS: usize = 128;

struct Visitor {
    host: String,
    paths: [String; 2],
    seen: usize,
}

impl Act for Visitor {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let path = &self.paths[self.seen % 2];
        self.seen += 1;
        put(out, "GET", path, &self.host, "", "", "");
        true
    }

    fn answer(&mut self, answer: &Answer<'_>) -> anyhow::Result<usize> {
        if answer.status != 200 || answer.body.is_empty() {
            bail!("a page was answered {}", answer.words());
        }
        Ok(0)
    }
}

/// Both pages in turn, closed loop, by guests.
pub fn measure(args: &Ticketing, store: &Store, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let mut place = Place::start(&args.dir, "pages", store)?;
    let mut organiser = place.organiser()?;
    let org = organiser.founds()?;
    let gig = organiser.opens(&org, "50.00", 100_000, false)?;
    let target = place.target()?;
    let visitor = |_| Visitor {
        host: target.host.clone(),
        paths: [
            format!("events/{}", gig.event),
            format!("events/{}/availability", gig.event),
        ],
        seen: 0,
    };
    let (mut rates, mut p99, mut cores) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=args.runs {
        let mut visitors: Vec<Visitor> = (0..CONNECTIONS).map(visitor).collect();
        let before = cpu_seconds(place.pid()?).unwrap_or_default();
        let pace = Pace {
            most: Duration::from_secs(if turn == 0 { 1 } else { args.seconds.min(5) }),
            rate: None,
            kinds: 1,
        };
        let seen = drive(target, &mut visitors, pace)?;
        let used = cpu_seconds(place.pid()?).unwrap_or_default() - before;
        if turn > 0 {
            rates.push(rate(seen.times[0].count(), seen.took));
            p99.push(seen.times[0].quantile(990));
            cores.push((100.0 * used / seen.took.as_secs_f64()) as u64);
        }
    }
    place.stop()?;
    rows.push(Row::new(
        format!(
            "{}: event page and availability in turn, {CONNECTIONS} connections",
            store.name()
        ),
        format!(
            "{}/s, p99 {}; {} server cores",
            number(median(rates)),
            millis(median(p99)),
            sale::hundredths(median(cores)),
        ),
        "≥ 5,000/s, p99 < 50 ms",
    ));
    Ok(())
}
