//! The door: codes verified without a network, and scans over one.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use florin_base::Timestamp;
use florin_ticketing::model::bundle::{
    Bundle, BundleKey, BundleSignature, BundleTicket, BundleType, LIFE_MICROS,
};
use florin_ticketing::model::offline::{First, Memory, Scanner, remember};
use florin_ticketing::model::scan::Direction;
use florin_ticketing::model::ticket_status::TicketStatus;
use florin_ticketing::model::token::{Claims, TicketKey};
use uuid::Uuid;

use super::drive::{Act, Answer, Pace, drive};
use super::place::{Gig, Place, Store, put};
use super::{Row, Ticketing, median, millis, number, rate, sale};
use crate::bench::histogram::Histogram;
use crate::bench::server::cpu_seconds;
use crate::bench::shadow::pause;

/// Tickets of the bundle.
const TICKETS: u128 = 100_000;
/// Codes judged in one run.
const SCANS: u128 = 20_000;
/// Connections of the online door.
const GATES: usize = 32;
/// Scans a second that the online door must take.
const ONLINE: u64 = 500;
/// Longest wait for what a sale leaves behind.
const REST_MAX: Duration = Duration::from_secs(120);

fn bundle(key: &TicketKey) -> Bundle {
    let ticket = |n| BundleTicket {
        id: Uuid::from_u128(n),
        type_no: 1,
        generation: 1,
        state: TicketStatus::Valid,
        used_at: None,
        name: None,
    };
    Bundle {
        event_id: Uuid::from_u128(u128::MAX),
        sequence: 1,
        since: None,
        issued_at: Timestamp(0),
        expires_at: Timestamp(LIFE_MICROS),
        keys: vec![BundleKey {
            kid: key.id().to_string(),
            public_key: hex::encode(key.public().to_bytes()),
            status: "active".to_owned(),
        }],
        types: vec![BundleType(
            1,
            "Floor".to_owned(),
            Timestamp(0),
            Timestamp(LIFE_MICROS),
            None,
        )],
        reentry: false,
        tickets: (0..TICKETS).map(ticket).collect(),
        revoked: Vec::new(),
    }
}

/// Verifies codes on one core, in this process.
pub fn offline(args: &Ticketing, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let key = TicketKey::from_seed(&[7; 32]);
    let body = serde_json::to_string(&bundle(&key))?;
    let signature = BundleSignature::sign(&key, body.as_bytes());
    let file = format!(r#"{{"signature":"{signature}","bundle":{body}}}"#);
    let tokens: Vec<String> = (0..SCANS)
        .map(|n| {
            key.token(&Claims {
                ticket_id: Uuid::from_u128(n * 7_919 % TICKETS),
                generation: 1,
                type_no: 1,
            })
        })
        .collect();
    let (mut rates, mut p99, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.runs {
        let begun = Instant::now();
        let opened = Bundle::open(file.as_bytes(), Some(&key.public()));
        let opened = opened.map_err(|error| anyhow::anyhow!("the bundle: {error:?}"))?;
        let scanner = Scanner::new(&opened);
        loads.push(u64::try_from(begun.elapsed().as_micros())?);
        let mut memory = Memory::new();
        let mut times = Histogram::default();
        let begun = Instant::now();
        for token in &tokens {
            let one = Instant::now();
            let answer = scanner.judge(&memory, token, 1, Some(3), Direction::In);
            let claims = answer.claims.context("a code that says nothing")?;
            ensure!(answer.reason.is_admitted(), "{:?}", answer.reason);
            let first = First {
                at: Timestamp(1),
                gate: None,
                device_id: None,
            };
            remember(&mut memory, claims.ticket_id, first, Direction::In);
            times.record(u64::try_from(one.elapsed().as_micros())?);
        }
        rates.push(rate(times.count(), begun.elapsed()));
        p99.push(times.quantile(990));
    }
    rows.push(Row::new(
        format!(
            "offline verification of codes, one core, bundle of {} tickets ({} MB)",
            number(TICKETS as u64),
            file.len() / 1_000_000
        ),
        format!(
            "{}/s, p99 {} µs; bundle loaded in {}",
            number(median(rates)),
            median(p99),
            millis(median(loads))
        ),
        "≥ 5,000/s, p99 < 5 ms, loaded < 2 s",
    ));
    Ok(())
}

/// A gate that scans one ticket after the other.
struct Gate {
    host: String,
    headers: String,
    event: String,
    /// Ids of the tickets still to come.
    tickets: Vec<String>,
    at: String,
}

impl Act for Gate {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(ticket) = self.tickets.pop() else {
            return false;
        };
        // The ticket's own id does for the scan's.
        let body = format!(
            "{{\"ticketId\":\"{ticket}\",\"nonce\":\"{ticket}\",\"deviceId\":\"gate\",\
             \"direction\":\"in\",\"scannedAt\":\"{}\"}}",
            self.at
        );
        let path = format!("events/{}/check-ins", self.event);
        put(
            out,
            "POST",
            &path,
            &self.host,
            &self.headers,
            &ticket,
            &body,
        );
        true
    }

    fn answer(&mut self, answer: &Answer<'_>) -> anyhow::Result<usize> {
        match (answer.status, answer.member("reason")) {
            (200, Some("ok")) => Ok(0),
            _ => bail!("a scan was answered {}", answer.words()),
        }
    }
}

/// Scans at a fixed rate over HTTP.
pub fn online(args: &Ticketing, store: &Store, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let mut place = Place::start(&args.dir, "door", store)?;
    let mut organiser = place.organiser()?;
    let org = organiser.founds()?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for turn in 0..args.runs {
        let count = ONLINE * args.seconds;
        let gig = organiser.opens(&org, "0.00", count, true)?;
        sale::sell_all(&place, &gig, args, turn)?;
        let path = format!("events/{}/scan-bundle", gig.event);
        let shown = organiser.must("GET", &path, None)?;
        let tickets = shown["tickets"].as_array().context("tickets")?.iter();
        let ids: Option<Vec<String>> = tickets
            .map(|ticket| Some(ticket[0].as_str()?.to_owned()))
            .collect();
        let ids = ids.context("ids of tickets")?;
        ensure!(
            ids.len() as u64 == count,
            "{} tickets of {count}",
            ids.len()
        );
        rests(&place)?;
        let times = scans(&place, &gig, &organiser.headers, &ids, args.seconds)?;
        p50.push(times.quantile(500));
        p99.push(times.quantile(990));
    }
    place.stop()?;
    rows.push(Row::new(
        format!(
            "{}: check-ins over HTTP at {ONLINE}/s, {GATES} gates, open loop",
            store.name()
        ),
        format!("p50 {}, p99 {}", millis(median(p50)), millis(median(p99))),
        "p99 < 100 ms at 500/s",
    ));
    Ok(())
}

/// Waits until what the sale left behind is done, its mails above all: doors open later.
fn rests(place: &Place) -> anyhow::Result<()> {
    let spent = || anyhow::Ok(cpu_seconds(place.pid()?).unwrap_or_default());
    let begun = Instant::now();
    while begun.elapsed() < REST_MAX {
        let before = spent()?;
        pause(Duration::from_secs(1));
        if spent()? - before < 0.05 {
            return Ok(());
        }
    }
    bail!("the server is still at work after {} s", REST_MAX.as_secs());
}

fn scans(
    place: &Place,
    gig: &Gig,
    headers: &str,
    ids: &[String],
    seconds: u64,
) -> anyhow::Result<Histogram> {
    let target = place.target()?;
    let at = Timestamp(florin_base::Clock::wall_micros(&florin_base::SystemClock)).to_string();
    let mut gates: Vec<Gate> = (0..GATES)
        .map(|gate| Gate {
            host: target.host.clone(),
            headers: headers.to_owned(),
            event: gig.event.clone(),
            // One more than its share for each: an idle gate must never be the last one.
            tickets: ids.iter().skip(gate).step_by(GATES).cloned().collect(),
            at: at.clone(),
        })
        .collect();
    let pace = Pace {
        most: Duration::from_secs(seconds),
        rate: Some(ONLINE as f64 * 0.999),
        kinds: 1,
    };
    let mut seen = drive(target, &mut gates, pace)?;
    Ok(seen.times.swap_remove(0))
}
