//! The roles as separate processes on PostgreSQL, Redis and a Kafka-protocol broker: three
//! replicas of wallets behind one gateway answer as one, and lose nothing when any of them, or
//! what they stand on, goes away (INV-L6, L7, L9, L11, L13, L26).
//!
//! `FLORIN_FAULT_ROUNDS` (default 50) and `FLORIN_FAULT_SEED` widen or repeat a run.

pub mod cluster;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::crash::load::run_during;
use crate::crash::number;
use crate::crash::world::World;
use crate::edge_faults::{Sent, after_return, post_until_stopped, told_in_time};
use crate::server::moves::{fresh, item};
use crate::server::{Rng, Who, path};
use cluster::{Cluster, Fleet, REPLICAS};

/// Longest wait for acknowledgements to come again after a fault has passed.
const RECOVERY: Duration = Duration::from_secs(30);

/// Waits until so many more calls are acknowledged.
fn await_acks(answered: &AtomicU64, more: u64, what: &str) {
    let wanted = answered.load(Ordering::SeqCst) + more;
    let until = Instant::now() + RECOVERY;
    while answered.load(Ordering::SeqCst) < wanted {
        assert!(Instant::now() < until, "no answers any more: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn replicas_answer_as_one() {
    let Some(Cluster { gateway, fleet }) = Cluster::start("replicas_answer_as_one") else {
        return;
    };
    let wallet = gateway.funded("BRL", "100.00");
    let body = json!({"amount": "1.00", "referenceId": "once"});
    let first = gateway
        .post(Who::Service, &path(&wallet, "withdraw"), body.clone())
        .ok(200);
    let key = gateway.demo("serviceApiKey");
    for number in 0..REPLICAS {
        let client = &fleet.replica(number).client;
        // A write acknowledged anywhere is seen everywhere.
        let seen = client
            .call("GET", &path(&wallet, "balance"))
            .header("x-api-key", key)
            .send()
            .ok(200);
        assert_eq!(seen.text_of("balance"), "99.00", "{}", seen.text);
        // An identity settled anywhere is settled everywhere.
        let again = client
            .call("POST", &path(&wallet, "withdraw"))
            .header("x-api-key", key)
            .json(&body)
            .send()
            .ok(200);
        assert!(again.is_replay(), "{}", again.text);
        assert_eq!(again.body["id"], first.body["id"]);
    }
    one_decides_for_all(&fleet);
    gateway.books_are_balanced();
}

/// One replica is the sequencer and the others hand their calls over to it.
fn one_decides_for_all(fleet: &Fleet) {
    let until = Instant::now() + RECOVERY;
    loop {
        let parts: Vec<(bool, bool)> = (0..REPLICAS)
            .map(|number| {
                let metrics = fleet.replica(number).client.call("GET", "/metrics").send();
                let is = |name: &str| metrics.text.lines().any(|line| line == format!("{name} 1"));
                (is("ledger_is_sequencer"), is("ledger_is_linked"))
            })
            .collect();
        let sequencers = parts.iter().filter(|part| **part == (true, false)).count();
        let linked = parts.iter().filter(|part| **part == (false, true)).count();
        if (sequencers, linked) == (1, REPLICAS - 1) {
            return;
        }
        assert!(Instant::now() < until, "nobody decides for all: {parts:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_rolling_restart_fails_no_request() {
    let Some(cluster) = Cluster::start("a_rolling_restart_fails_no_request") else {
        return;
    };
    let Cluster { gateway, mut fleet } = cluster;
    let mut world = World::new(&gateway);
    let journals = run_during(&gateway, &world, 7, |answered| {
        for number in 0..REPLICAS {
            await_acks(answered, 50, "before a restart");
            fleet.stop_replica(number);
            await_acks(answered, 50, "while a replica is away");
            fleet.start_replica(number);
        }
        await_acks(answered, 50, "after the last restart");
    });
    let what = "rolling restart";
    world.settle(&gateway, journals, what);
    world.compare(&gateway, what);
    println!("{}", world.counts);
    assert_eq!(world.counts.unanswered, 0, "{}", world.counts);
}

#[test]
fn case_64_the_store_stops_under_load() {
    let Some(Cluster { gateway, fleet }) = Cluster::start("case_64 on PostgreSQL") else {
        return;
    };
    let account = gateway.account("BRL", json!({}));
    let mut sent = post_until_stopped(&gateway, &account, 10, || fleet.postgres.freeze(true));
    let slowest = sent.iter().map(|s| s.took).max();
    let unknown = sent.iter().filter(|s| s.code == "commit_unknown").count();
    println!(
        "{} calls, {unknown} unknown, the slowest {slowest:?}",
        sent.len()
    );
    told_in_time(&sent);
    fleet.postgres.freeze(false);
    let (id, until) = (fresh("back"), Instant::now() + RECOVERY);
    let body = item(&id, &gateway.source("BRL"), &account, "1", "BRL");
    while gateway.single(body.clone()).status >= 500 {
        assert!(Instant::now() < until, "it does not come back");
    }
    sent.push(Sent {
        id,
        status: 201,
        code: String::new(),
        took: Duration::ZERO,
    });
    after_return(&gateway, &account, &sent);
}

#[test]
fn nothing_is_lost_whatever_goes_away() {
    let (rounds, seed) = (
        number("FLORIN_FAULT_ROUNDS", 50),
        number("FLORIN_FAULT_SEED", 1),
    );
    println!("rounds {rounds}, seed {seed}");
    let Some(cluster) = Cluster::start("nothing_is_lost_whatever_goes_away") else {
        return;
    };
    let Cluster { gateway, mut fleet } = cluster;
    let mut world = World::new(&gateway);
    let mut rng = Rng::new(seed);
    for round in 1..=rounds {
        let mut what = format!("seed {seed}, round {round}");
        let journals = run_during(&gateway, &world, rng.next(), |answered| {
            await_acks(answered, 1 + rng.below(60), "before the fault");
            let happened = fault(&mut fleet, &mut rng, answered);
            what = format!("{what}: {happened}");
            await_acks(answered, 20, &what);
        });
        world.settle(&gateway, journals, &what);
        world.compare(&gateway, &what);
    }
    println!("{}", world.counts);
    assert!(world.counts.acknowledged > rounds * 20, "{}", world.counts);
}

/// What happens to the processes in a round.
fn fault(fleet: &mut Fleet, rng: &mut Rng, answered: &AtomicU64) -> &'static str {
    let victim = usize::try_from(rng.below(REPLICAS as u64)).expect("small");
    // Lengths of faults are meant to be random: there is no event to wait for.
    let moment = Duration::from_millis(20 + rng.below(400));
    match rng.below(9) {
        0 => {
            fleet.kill_replica(victim);
            fleet.start_replica(victim);
            "a replica was killed"
        }
        1 => {
            fleet.replica(victim).signal(Signal::STOP);
            std::thread::park_timeout(moment);
            fleet.replica(victim).signal(Signal::CONT);
            "a replica stood still"
        }
        2 => {
            fleet.postgres.crash();
            std::thread::park_timeout(moment);
            fleet.postgres.run();
            "PostgreSQL crashed"
        }
        3 => {
            fleet.postgres.freeze(true);
            std::thread::park_timeout(moment);
            fleet.postgres.freeze(false);
            "PostgreSQL stood still"
        }
        4 => {
            fleet.redis.kill();
            await_acks(answered, 5, "without Redis");
            fleet.redis.run();
            "Redis was killed"
        }
        5 => {
            fleet.kill_workers();
            await_acks(answered, 5, "without workers");
            fleet.start_workers();
            "the workers were killed"
        }
        6 => {
            fleet.postgres.end_sessions();
            "every session of PostgreSQL was cut"
        }
        7 => {
            let taken = fleet.postgres.fill();
            await_acks(answered, 5, "with no connection left");
            drop(taken);
            "every connection of PostgreSQL was taken"
        }
        _ => {
            let Some(broker) = &fleet.broker else {
                return "nothing: there is no broker";
            };
            broker.freeze(true);
            await_acks(answered, 5, "without the broker");
            broker.freeze(false);
            "the broker stood still"
        }
    }
}
