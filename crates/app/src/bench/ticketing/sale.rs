//! Reserves on one hot event, and an on-sale that is drained to the last ticket.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serde_json::Value;

use super::buyers::{Buyer, CHECKOUTS, Crowd, Pays, RESERVES};
use super::drive::{Pace, Seen, drive};
use super::place::{Gig, Person, Place, Store};
use super::{Row, Ticketing, median, millis, number, rate};
use crate::bench::server::cpu_seconds;
use crate::bench::set_up::set_up;
use crate::bench::work::Shape;

/// Units that no run can sell out.
const PLENTY: u64 = 10_000_000;
/// Wallets that a sale is paid from.
const WALLETS: u64 = 1_000;
/// A sale that takes longer is given up.
const SALE_MAX: Duration = Duration::from_secs(600);

/// One run, as far as it is a figure.
struct Figures {
    reserves: u64,
    orders: u64,
    p50: u64,
    p99: u64,
    checkout_p99: u64,
    cores: u64,
    took: Duration,
}

fn crowd(place: &Place, gig: &Gig, pays: Pays, buyers: u64, run: u32) -> anyhow::Result<Rc<Crowd>> {
    let payer = match pays {
        Pays::Wallet(_) => place.key("serviceApiKey")?.headers,
        Pays::Free | Pays::Never => String::new(),
    };
    Ok(Rc::new(Crowd {
        gig: gig.clone(),
        host: place.target()?.host.clone(),
        payer,
        pays,
        buyers,
        tag: format!("run{run}"),
        begun: Cell::new(0),
        reserved: Cell::new(0),
        sold: Cell::new(0),
    }))
}

fn run(
    place: &Place,
    crowd: &Rc<Crowd>,
    connections: u64,
    most: Duration,
) -> anyhow::Result<Figures> {
    let mut buyers: Vec<Buyer> = (0..connections).map(|_| Buyer::new(crowd)).collect();
    let before = cpu_seconds(place.pid()?).unwrap_or_default();
    let pace = Pace {
        most,
        rate: None,
        kinds: 3,
    };
    let Seen { times, took } = drive(place.target()?, &mut buyers, pace)?;
    let used = cpu_seconds(place.pid()?).unwrap_or_default() - before;
    Ok(Figures {
        reserves: rate(times[RESERVES].count(), took),
        orders: times[CHECKOUTS].count(),
        p50: times[RESERVES].quantile(500),
        p99: times[RESERVES].quantile(990),
        checkout_p99: times[CHECKOUTS].quantile(990),
        cores: (100.0 * used / took.as_secs_f64()) as u64,
        took,
    })
}

/// Exact stock of the one type, from the server.
pub fn stock(organiser: &mut Person, gig: &Gig) -> anyhow::Result<(u64, u64)> {
    let shown = organiser.must("GET", &format!("events/{}/capacity", gig.event), None)?;
    let counter = |name: &str| shown["types"][0][name].as_u64();
    match (counter("sold"), counter("held")) {
        (Some(sold), Some(held)) => Ok((sold, held)),
        _ => bail!("no counters in {shown}"),
    }
}

fn middle(all: &[Figures], of: impl Fn(&Figures) -> u64) -> u64 {
    median(all.iter().map(of).collect())
}

/// Reserves alone: every buyer is a new one.
pub fn reserves(args: &Ticketing, store: &Store, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let mut place = Place::start(&args.dir, "reserve", store)?;
    let mut organiser = place.organiser()?;
    let org = organiser.founds()?;
    let mut all = Vec::new();
    for turn in 0..=args.runs {
        let gig = organiser.opens(&org, "50.00", PLENTY, false)?;
        let crowd = crowd(&place, &gig, Pays::Never, 0, turn)?;
        // The first run warms up.
        let seconds = if turn == 0 { 2 } else { args.seconds };
        let figures = run(
            &place,
            &crowd,
            args.connections,
            Duration::from_secs(seconds),
        )?;
        let (sold, held) = stock(&mut organiser, &gig)?;
        ensure!(
            (sold, held) == (0, crowd.reserved.get()),
            "{held} units are held, {} were answered",
            crowd.reserved.get()
        );
        if turn > 0 {
            all.push(figures);
        }
    }
    place.stop()?;
    rows.push(Row::new(
        format!(
            "{}: reserves of 1 to 4 units by new guests, one event, one type, {} connections",
            store.name(),
            args.connections
        ),
        format!(
            "{}/s, p50 {}, p99 {}; {} server cores",
            number(middle(&all, |f| f.reserves)),
            millis(middle(&all, |f| f.p50)),
            millis(middle(&all, |f| f.p99)),
            hundredths(middle(&all, |f| f.cores)),
        ),
        "≥ 2,000/s, p99 < 500 ms",
    ));
    Ok(())
}

/// 1.50 of 150.
pub fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

/// A sale until nothing is left: each buyer pays what he reserved.
pub fn drained(
    args: &Ticketing,
    store: &Store,
    free: bool,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let name = if free { "free" } else { "wallet" };
    let mut place = Place::start(&args.dir, &format!("sale_{name}"), store)?;
    let pays = match free {
        true => Pays::Free,
        false => Pays::Wallet(WALLETS),
    };
    if !free {
        let bar = indicatif::ProgressBar::hidden();
        set_up(place.target()?, Shape::Wallet, WALLETS, &bar)?;
    }
    let mut organiser = place.organiser()?;
    let org = organiser.founds()?;
    let price = if free { "0.00" } else { "50.00" };
    let mut all = Vec::new();
    for turn in 1..=args.sale_runs {
        let gig = organiser.opens(&org, price, args.tickets, false)?;
        let crowd = crowd(&place, &gig, pays, args.buyers, turn)?;
        let figures = run(&place, &crowd, args.connections, SALE_MAX)?;
        let (sold, held) = stock(&mut organiser, &gig)?;
        ensure!(
            (sold, held, crowd.sold.get()) == (args.tickets, 0, args.tickets),
            "{sold} units sold and {held} held on the server, {} paid, of {}",
            crowd.sold.get(),
            args.tickets
        );
        report_agrees(&mut organiser, &gig, args.tickets, free)?;
        eprintln!(
            "{}: {name} sale {turn} in {:?}, {} reserves/s, reserve p50 {} p99 {}, checkout p99 {}",
            store.name(),
            figures.took,
            figures.reserves,
            millis(figures.p50),
            millis(figures.p99),
            millis(figures.checkout_p99),
        );
        all.push(figures);
    }
    place.stop()?;
    let seconds = middle(&all, |f| f.took.as_millis() as u64);
    rows.push(Row::new(
        format!(
            "{}: on-sale of {} tickets, {} buyers, {}, drained",
            store.name(),
            number(args.tickets),
            number(args.buyers),
            if free { "free" } else { "paid from wallets" },
        ),
        format!(
            "{} s, no fault, none oversold; {} reserves/s beside as many checkouts, reserve p50 {}, \
             p99 {}, checkout p99 {}; {} server cores",
            seconds.div_ceil(1_000),
            number(middle(&all, |f| f.reserves)),
            millis(middle(&all, |f| f.p50)),
            millis(middle(&all, |f| f.p99)),
            millis(middle(&all, |f| f.checkout_p99)),
            hundredths(middle(&all, |f| f.cores)),
        ),
        "drained without error, reserve p99 < 500 ms",
    ));
    Ok(())
}

/// The report counts every ticket and every cent; it may be some seconds behind.
fn report_agrees(
    organiser: &mut Person,
    gig: &Gig,
    tickets: u64,
    free: bool,
) -> anyhow::Result<()> {
    let path = format!("analytics/events/{}/overview", gig.event);
    let gross = match free {
        true => "0.00".to_owned(),
        false => format!("{}.00", tickets * 50),
    };
    let begun = Instant::now();
    loop {
        let shown: Value = organiser.must("GET", &path, None)?;
        if shown["ticketsSold"] == tickets && shown["grossSales"] == gross.as_str() {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(120) {
            bail!("the report of a drained sale: {shown}");
        }
        crate::bench::shadow::pause(Duration::from_millis(200));
    }
}

/// Sells everything of an event for nothing, as quickly as it goes.
pub fn sell_all(place: &Place, gig: &Gig, args: &Ticketing, turn: u32) -> anyhow::Result<()> {
    let crowd = crowd(place, gig, Pays::Free, 0, 1_000 + turn)?;
    run(place, &crowd, args.connections.min(64), SALE_MAX).map(drop)
}

/// Sells everything of an event to wallets; how many orders that made.
pub fn sell_for_wallets(place: &Place, gig: &Gig, args: &Ticketing) -> anyhow::Result<u64> {
    let bar = indicatif::ProgressBar::hidden();
    set_up(place.target()?, Shape::Wallet, WALLETS, &bar)?;
    let crowd = crowd(place, gig, Pays::Wallet(WALLETS), 0, 2_000)?;
    let figures = run(place, &crowd, args.connections, SALE_MAX)?;
    Ok(figures.orders)
}

/// Sells the first buyer one ticket, paid from a wallet.
pub fn sell_one(place: &Place, gig: &Gig) -> anyhow::Result<()> {
    let bar = indicatif::ProgressBar::hidden();
    set_up(place.target()?, Shape::Wallet, 2, &bar)?;
    let crowd = crowd(place, gig, Pays::Wallet(2), 0, 3_000)?;
    let mut buyer = [Buyer::single(&crowd)];
    let pace = Pace {
        most: SALE_MAX,
        rate: None,
        kinds: 3,
    };
    drive(place.target()?, &mut buyer, pace)?;
    ensure!(crowd.sold.get() == 1, "the first sale failed");
    Ok(())
}
