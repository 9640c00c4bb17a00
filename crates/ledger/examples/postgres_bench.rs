//! Measures the PostgreSQL engine without HTTP: transfers per second and latency of calls.
//!
//! `postgres_bench URL SCHEMA ACCOUNTS ITEMS CALLERS SECONDS uniform|hot [HANDLES [RATE [RUNS]]]`
//!
//! ITEMS are the transfers of one call, CALLERS the calls in flight, HANDLES the replicas. Makes
//! the accounts when the schema has fewer. RATE is calls per second of all callers together, each
//! timed from when it fell due; without it (or 0) a caller calls again as soon as it has its
//! answer. With FLORIN_BENCH_LINKED set the replicas elect a sequencer and hand their calls over
//! to it; FLORIN_BENCH_CACHED bounds the accounts that each remembers (twice as many as there are,
//! so that all of them stay; ten million take 8 GiB). RUNS measurements follow each other, a line
//! for each; 0 makes the accounts and leaves. Before a uniform load on one replica, or on linked
//! ones, every account moves once, so that the figures are those of a process that remembers its
//! accounts, on pages that were touched since the last checkpoint.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measuring tool"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use florin_base::clock::SystemClock;
use florin_ledger::{
    Call, Ledger, Outcome, Part, Policy, PostgresOptions, ResultCode, Sequencing,
    call::{CreateAccount, ImportCall, ImportLine, Item, TransfersCall},
    model::{AccountId, AccountKind, Floor, Mode},
};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LINES: u64 = 8_000;

fn name(number: u64) -> AccountId {
    AccountId::parse(&format!("bench:{number}")).expect("an id")
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }
}

async fn make_accounts(ledger: &Ledger, from: u64, to: u64) {
    let begun = Instant::now();
    let mut next = from;
    while next < to {
        let end = (next + LINES).min(to);
        let line = |number| {
            ImportLine::Account(CreateAccount {
                actor: None,
                id: name(number),
                asset: "BRL".into(),
                kind: AccountKind::Liability,
                normal: None,
                floor: Floor::None,
                metadata: Default::default(),
                key: None,
            })
        };
        let lines = (next..end).map(line).collect();
        let call = ImportCall {
            actor: None,
            lines,
            skip_floors: false,
        };
        let answer = ledger.submit(Call::Import(call)).await.expect("an answer");
        assert!(matches!(answer.outcome, Outcome::Lines(..)));
        next = end;
    }
    println!("{} accounts made in {:?}", to - from, begun.elapsed());
}

/// Moves every account once.
async fn warm(ledger: &Ledger, accounts: u64) {
    let begun = Instant::now();
    let pairs: Vec<u64> = (0..accounts / 2).collect();
    for some in pairs.chunks(8_190) {
        let items = some
            .iter()
            .map(|pair| item(ledger, 2 * pair, 2 * pair + 1, 1))
            .collect();
        let call = TransfersCall {
            actor: None,
            items,
            key: None,
        };
        ledger
            .submit(Call::Transfers(call))
            .await
            .expect("an answer");
    }
    println!("warm after {:?}", begun.elapsed());
}

fn item(ledger: &Ledger, debit: u64, credit: u64, amount: u64) -> Item {
    Item {
        id: ledger.new_id().to_string().into(),
        mode: Mode::Single,
        debit: Some(name(debit)),
        credit: Some(name(credit)),
        amount: Some(u128::from(amount)),
        asset: Some("BRL".into()),
        code: Some("bench".into()),
        pending_id: None,
        timeout_seconds: None,
        effective_at: None,
        linked: false,
        description: None,
        metadata: Default::default(),
        invalid: None,
    }
}

fn items(
    ledger: &Ledger,
    random: &mut Random,
    count: usize,
    accounts: u64,
    hot: bool,
) -> Vec<Item> {
    (0..count)
        .map(|_| {
            let debit = if hot { 0 } else { random.below(accounts) };
            let credit = if hot {
                1
            } else {
                (debit + 1 + random.below(accounts - 1)) % accounts
            };
            item(ledger, debit, credit, random.below(1_000) + 1)
        })
        .collect()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments[place].parse::<u64>().expect("a number");
    let (accounts, size, callers, seconds) = (number(2), number(3), number(4), number(5));
    let hot = arguments[6] == "hot";
    let handles = arguments.get(7).map_or(1, |h| h.parse().expect("a number"));
    let rate: f64 = arguments.get(8).map_or(0.0, |r| r.parse().expect("a rate"));
    let dir = tempfile::tempdir().expect("a directory");
    let linked = std::env::var_os("FLORIN_BENCH_LINKED").is_some();
    let cached = std::env::var("FLORIN_BENCH_CACHED");
    let cached = cached.map_or(2 * accounts as usize, |c| c.parse().expect("a number"));
    let mut ledgers = Vec::new();
    for handle in 0..handles {
        let mut options =
            PostgresOptions::new(arguments[0].clone(), dir.path().join(handle.to_string()));
        options.schema = arguments[1].clone();
        options.sequencing = linked.then(|| Sequencing {
            candidate: true,
            listen: ([127, 0, 0, 1], 0).into(),
            advertise: None,
        });
        options.accounts_cached = cached;
        let opened = Ledger::open_postgres(options, Policy::default(), Arc::new(SystemClock)).await;
        ledgers.push(opened.expect("the ledger opens"));
    }
    // The measurement begins when every replica has found its part.
    while linked
        && ledgers
            .iter()
            .any(|ledger: &Ledger| ledger.part() == Part::Alone)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The standard assets come first in `seq`; accounts follow in order.
    let made = ledgers[0].durable_seq();
    if made < accounts {
        make_accounts(&ledgers[0], made.saturating_sub(7), accounts).await;
    }
    let runs: u64 = arguments.get(9).map_or(1, |r| r.parse().expect("a number"));
    if runs > 0 && !hot && (linked || ledgers.len() == 1) {
        warm(&ledgers[0], accounts).await;
    }
    let load = Load {
        accounts,
        size,
        callers,
        seconds,
        hot,
        rate,
    };
    for run in 0..runs {
        load.run(&ledgers, run).await;
    }
}

/// What every run does.
struct Load {
    accounts: u64,
    size: u64,
    callers: u64,
    seconds: u64,
    hot: bool,
    rate: f64,
}

impl Load {
    async fn run(&self, ledgers: &[Ledger], run: u64) {
        let Self {
            accounts,
            size,
            callers,
            hot,
            rate,
            ..
        } = *self;
        let done = Arc::new(AtomicU64::new(0));
        let pause = (rate > 0.0).then(|| Duration::from_secs_f64(callers as f64 / rate));
        let until = Instant::now() + Duration::from_secs(self.seconds);
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let ledger = ledgers[caller as usize % ledgers.len()].clone();
                let done = done.clone();
                tokio::spawn(async move {
                    let mut random = Random(
                        0x9E37_79B9_7F4A_7C15 ^ ((run * callers + caller + 1) * 0x1234_5678_9ABC),
                    );
                    let mut waits = Vec::new();
                    // Callers fall due one after the other, not all at once.
                    let mut due =
                        Instant::now() + pause.unwrap_or_default() * caller as u32 / callers as u32;
                    while Instant::now() < until {
                        if pause.is_some() {
                            tokio::time::sleep_until(due.into()).await;
                        }
                        let items = items(&ledger, &mut random, size as usize, accounts, hot);
                        let call = TransfersCall {
                            actor: None,
                            items,
                            key: None,
                        };
                        let begun = pause.map_or_else(Instant::now, |_| due);
                        due += pause.unwrap_or_default();
                        match ledger.submit(Call::Transfers(call)).await {
                            Ok(answer) => {
                                let Outcome::Items(results) = answer.outcome else {
                                    panic!("not a list")
                                };
                                assert!(results.iter().all(|r| r.code == ResultCode::Created));
                                done.fetch_add(results.len() as u64, Ordering::Relaxed);
                                waits.push(begun.elapsed());
                            }
                            Err(error) => println!("{error}"),
                        }
                    }
                    waits
                })
            })
            .collect();
        let begun = Instant::now();
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await.expect("a task ends"));
        }
        assert!(!waits.is_empty(), "nothing was answered");
        let elapsed = begun.elapsed();
        waits.sort();
        let rate = done.load(Ordering::Relaxed) as f64 / elapsed.as_secs_f64();
        println!(
            "{rate:.0} transfers/s; calls of {size}: p50 {:?} p95 {:?} p99 {:?} ({} calls)",
            waits[waits.len() / 2],
            waits[waits.len() * 95 / 100],
            waits[waits.len() * 99 / 100],
            waits.len()
        );
    }
}
