//! A ticket sale under kill -9 (ticketing contract, B, C, H2): the real binary, the card payment
//! provider in a process of its own that loses, delays and repeats what it tells, and calls to it
//! that fail; on one process with its own files, and on three replicas on PostgreSQL.
//!
//! Each round: guests reserve, pay from wallets and by card, cancel, go away and are refunded;
//! after a random number of answers a process gets SIGKILL; it is started again, what had no
//! answer is sent again under its key, and within the time that recovery has the books agree:
//! tickets with sold units, holds with counters, postings with orders and refunds, each once
//! (INV-T1 to INV-T9). All the while whatever the provider took more than 120 s ago has its tickets
//! or goes back (INV-T5). At the end both sides agree to the cent (INV-T10, INV-T12), every report
//! is what the transfers of the ledger sum to (INV-T11), and the organiser has heard of all of it
//! (INV-T17).
//!
//! `FLORIN_SALE_ROUNDS` (default 10; of replicas `FLORIN_SALE_FLEET_ROUNDS`, 50), `FLORIN_SALE_SEED`
//! and `FLORIN_SALE_BUYERS` widen or repeat a run.

mod books;
mod clients;
mod fleet;
mod provider;
mod reports;
mod told;

use std::path::Path;
use std::time::{Duration, Instant};

use florin_platform::testing::process::free_port;
use florin_ticketing::limits;
use serde_json::{Value, json};

use crate::crash::number;
use crate::server::{Launch, Rng, Server, Who};
use books::Books;
use clients::{Journal, Sale};
use provider::Provider;
use told::Told;

/// Most answers before a kill.
const ANSWERS_MAX: u64 = 120;
/// Recovery ends or undoes everything within 10 s of a start (contract C3); the rest is the
/// test's own reading on a busy machine.
const RECOVERY: Duration = Duration::from_secs(25);
/// Payments are decided within 120 s, also when every event is lost (contract B3).
const DECISION: Duration = Duration::from_secs(150);

/// Settings that a server of this test has.
fn config(provider: &Provider) -> String {
    let limits: Vec<String> = limits::ALL
        .iter()
        .map(|limit| format!("{} = 0", limit.name))
        .collect();
    format!(
        "[ticketing.limits]\n{}\n[ticketing.stripe]\nbase_url = \"{}\"\n\
         secret_key = \"{}\"\npublishable_key = \"{}\"\nwebhook_secrets = [\"{}\"]\n",
        limits.join("\n"),
        provider.url,
        provider::SECRET_KEY,
        provider::PUBLISHABLE_KEY,
        provider::HOOK_SECRET,
    )
}

/// An organisation with an event that sells two types, one of them scarce; Ana organises it.
fn open_sale(server: &Server, scarce: u64, hold_seconds: u64) -> Sale {
    let body = json!({
        "name": "Hall", "legalName": "Hall Ltd", "country": "DE",
        "defaultCurrency": "EUR", "contactEmail": "hall@example.com",
    });
    let org = server.post(Who::Ana, "/api/v1/orgs", body).ok(201).id();
    let body = json!({
        "orgId": org, "title": "The sale", "category": "music", "timeZone": "Europe/Berlin",
        "startsAt": "2090-06-01T18:00:00Z", "endsAt": "2090-06-01T22:00:00Z", "currency": "EUR",
        "holdSeconds": hold_seconds,
        "venue": {"name": "Hall", "address": "Street 1", "city": "Berlin", "country": "DE",
                  "lat": 52.52, "lng": 13.405},
    });
    let event = server.post(Who::Ana, "/api/v1/events", body).ok(201).id();
    let kinds = [("10.00", scarce), ("25.00", 1_000_000)].map(|(price, quantity)| {
        let body = json!({
            "name": price, "price": price, "quantity": quantity, "taxRateBp": 700,
            "refundableUntil": "2090-05-01T00:00:00Z",
        });
        let path = format!("/api/v1/events/{event}/ticket-types");
        server.post(Who::Ana, &path, body).ok(201).id()
    });
    let path = format!("/api/v1/events/{event}/publish");
    server.post(Who::Ana, &path, json!({})).ok(200);
    let wallets = (0..clients::CLIENTS)
        .map(|_| {
            let wallet = server.wallet("purse", "EUR");
            server.deposit(&wallet, clients::PURSE).ok(200);
            wallet
        })
        .collect();
    Sale {
        org,
        event,
        kinds,
        wallets,
        is_only: true,
        journal: Journal::default(),
    }
}

/// Compares until the books agree or the time is over.
fn settled(server: &Server, sale: &Sale, provider: Option<&Provider>, what: &str) {
    let limit = match provider {
        Some(_) => DECISION,
        None => RECOVERY,
    };
    let started = Instant::now();
    loop {
        let read = Books::read(server, sale);
        let found = read.disagreements(server, sale, provider);
        if found.is_empty() {
            return;
        }
        if started.elapsed() > limit {
            eprintln!("{}", server.log_tail());
            panic!("{what}:\n{}", found.join("\n"));
        }
        std::thread::park_timeout(Duration::from_millis(250));
    }
}

/// The organiser has heard of everything.
fn heard(server: &Server, sale: &Sale, told: &mut Told) {
    let (all, confirmed) = Books::read(server, sale).orders();
    let started = Instant::now();
    loop {
        let missing = told.missing(&confirmed, &all);
        if missing.is_empty() {
            return;
        }
        assert!(started.elapsed() < DECISION, "{}", missing.join("\n"));
        std::thread::park_timeout(Duration::from_millis(250));
    }
}

/// Cancels the event, kills the process while it pays everybody back, and sees it done (row 35).
fn cancel_under_fire(
    mut server: Server,
    launch: &dyn Fn() -> Launch,
    sale: &Sale,
    rng: &mut Rng,
) -> Server {
    let path = format!("/api/v1/events/{}/cancel", sale.event);
    let body = json!({"reason": "Rain"});
    let job = server.post(Who::Ana, &path, body).ok(202);
    let job = job.text_of("refundJobId").to_owned();
    let path = format!("/api/v1/events/{}/refund-jobs/{job}", sale.event);
    for _ in 0..3 {
        // The moment is meant to be random: there is no event to wait for.
        std::thread::park_timeout(Duration::from_millis(rng.below(400)));
        server.kill();
        server = launch().start();
    }
    let started = Instant::now();
    loop {
        let shown = server.get(Who::Ana, &path).ok(200).body;
        let n = |name: &str| shown[name].as_i64().expect("a number");
        if shown["status"] == "done" && n("done") + n("failed") >= n("total") {
            assert_eq!(n("failed"), 0, "{shown}");
            return server;
        }
        assert!(started.elapsed() < DECISION, "refunds stand still: {shown}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

#[test]
fn kill_at_random_moments_of_a_sale_loses_no_cent_and_no_ticket() {
    let rounds = number("FLORIN_SALE_ROUNDS", 10);
    let seed = number("FLORIN_SALE_SEED", 1);
    println!("rounds {rounds}, seed {seed}");
    let home = tempfile::tempdir().expect("temporary folder");
    let port = free_port();
    let provider = Provider::start(port);
    let text = config(&provider);
    let dir: &Path = home.path();
    let launch = || Launch::new().config(&text).dir(dir).port(port);
    let mut server = launch().start();
    let mut sale = open_sale(&server, 60, 15);
    let mut told = Told::listen(&server, &sale);
    let mut rng = Rng::new(seed);
    for round in 1..=rounds {
        let answers = 1 + rng.below(ANSWERS_MAX);
        let what = format!("seed {seed}, round {round}, killed after {answers} answers");
        provider.weather(&mut rng);
        told.weather(&mut rng);
        told.collect();
        clients::run_until_killed(&server, &provider, &mut sale, answers, rng.next());
        server.kill();
        server = launch()
            .try_start()
            .unwrap_or_else(|| panic!("does not start again: {what}"));
        sale.settle(&server, &what);
        settled(&server, &sale, None, &what);
    }
    provider.calm();
    told.calm();
    let what = format!("seed {seed}, after {rounds} rounds");
    settled(&server, &sale, Some(&provider), &what);
    server = cancel_under_fire(server, &launch, &sale, &mut rng);
    settled(&server, &sale, Some(&provider), "after the cancellation");
    heard(&server, &sale, &mut told);
    println!("{}", sale.journal);
    server.books_are_balanced();
}

/// A member of an answer that is text.
fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}
