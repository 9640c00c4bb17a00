//! One book of many entries: what a first touch, a late event and a balance cost.
//! `cargo run --release -p florin-shadow --example big_book [entries] [folder]`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use florin_base::SystemClock;
use florin_platform::sql::{Db, query};
use florin_shadow::model::{BookId, Currencies, Direction, Event};
use florin_shadow::store::intake::{Intake, Item};
use florin_shadow::store::{Actor, Settings, Shadow, read};

const TIME: i64 = 1_600_000_000_000;
const BATCH: i64 = 10_000;
/// How often each thing is done.
const TIMES: i64 = 300;

struct One;

impl Currencies for One {
    fn scale(&self, code: &str) -> Option<u8> {
        (code == "BRL").then_some(2)
    }

    fn default_code(&self) -> &str {
        "BRL"
    }
}

fn event(id: String, signed: i128, timestamp: i64) -> Event {
    let direction = match signed > 0 {
        true => Direction::Credit,
        false => Direction::Debit,
    };
    Event {
        event_id: id,
        account_id: "BIG".to_owned(),
        direction,
        amount: signed.abs(),
        timestamp,
        currency: "BRL".to_owned(),
        reference: None,
        description: None,
        source: None,
        sequence: None,
    }
}

async fn open(db: &Db) -> Shadow {
    let settings = Settings {
        grace_ms: 0,
        ..Settings::default()
    };
    let opened = Shadow::open(db.clone(), Arc::new(SystemClock), Arc::new(One), settings);
    opened.await.expect("opens")
}

async fn take(shadow: &Shadow, events: Vec<Event>) {
    let item = |event| Item {
        event,
        entrance: "batch",
        actor: Actor::system("example"),
    };
    let intake = Intake {
        items: events.into_iter().map(item).collect(),
        atomic: false,
        key: None,
        also: None,
    };
    shadow.take(intake).await.expect("taken");
}

/// Median, 99th percentile and maximum, in milliseconds.
fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |at: usize| times[at.min(times.len() - 1)].as_micros() / 10;
    let text = |at| format!("{}.{:02}", ms(at) / 100, ms(at) % 100);
    let (half, most) = (times.len() / 2, times.len() * 99 / 100);
    let last = times.len() - 1;
    println!(
        "| {what} | {} | {} | {} |",
        text(half),
        text(most),
        text(last)
    );
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let entries: i64 = args
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).expect("a folder");
    let db = Db::open_sqlite(&dir.path().join("shadow.db")).await;
    let db = db.expect("opens");
    let shadow = open(&db).await;
    let began = Instant::now();
    for batch in 0..entries / BATCH {
        let events = (0..BATCH).map(|n| {
            let nth = batch * BATCH + n;
            let signed = if nth % 3 == 2 { -150 } else { 100 };
            event(format!("E{nth}"), signed, TIME + nth * 10)
        });
        take(&shadow, events.collect()).await;
    }
    let rate = entries as u128 * 1_000 / began.elapsed().as_millis().max(1);
    println!("{entries} entries of one book, taken in at {rate} a second\n");
    println!("| what | median, ms | p99, ms | most, ms |\n|---|---:|---:|---:|");
    let at = |n: i64| TIME + (n * 7_919_777) % (entries * 10);
    let mut times = Vec::new();
    for n in 0..10 {
        let fresh = open(&db).await;
        let began = Instant::now();
        take(&fresh, vec![event(format!("F{n}"), 5, at(n) + 1)]).await;
        times.push(began.elapsed());
    }
    show("first event into it after a start", times);
    let shadow = open(&db).await;
    take(&shadow, vec![event("warm".to_owned(), 5, TIME)]).await;
    let mut times = Vec::new();
    for n in 0..TIMES {
        let signed = if n % 2 == 0 { 5 } else { -3 };
        let began = Instant::now();
        take(&shadow, vec![event(format!("L{n}"), signed, at(n) + 3)]).await;
        times.push(began.elapsed());
    }
    show("late event, anywhere", times);
    let id = BookId::new("BIG", "BRL");
    for (what, as_of) in [("balance", None), ("balance at an instant", Some(()))] {
        let mut times = Vec::new();
        for n in 0..TIMES {
            let as_of = as_of.map(|()| at(n));
            let began = Instant::now();
            let read = read::balance(&db, &id, as_of, None).await;
            times.push(began.elapsed());
            assert!(read.expect("reads").minor >= 0);
        }
        show(what, times);
    }
    let head = read::head(&db).await.expect("a head");
    let known = read::Known {
        log_seq: head.log_seq,
        at: None,
    };
    let mut times = Vec::new();
    for n in 0..TIMES {
        let began = Instant::now();
        let after = florin_shadow::model::Key::new(at(n), "");
        let carried = read::balance(&db, &id, Some(at(n)), Some(known)).await;
        let window = read::Window {
            book: &id,
            after,
            to: i64::MAX,
            known,
            limit: 500,
        };
        let carried = carried.expect("reads").minor;
        let page = read::window(&db, &window, carried, None).await;
        times.push(began.elapsed());
        page.expect("reads");
    }
    show("page of 500 running balances by the window function", times);
    let whole = "SELECT CAST(SUM(m0) AS BIGINT) AS n FROM shadow_entries WHERE state = 'applied'";
    let plain = db.fetch_all(query(whole)).await.expect("reads");
    let balance = read::balance(&db, &id, None, None).await.expect("reads");
    let plain: i64 = plain[0].get("n").expect("a sum");
    assert_eq!(i128::from(plain), balance.minor, "sums in blocks are exact");
}
