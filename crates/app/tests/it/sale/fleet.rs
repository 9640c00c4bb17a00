//! Three replicas on PostgreSQL: a rush through all of them, and kills of any of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use florin_base::Timestamp;
use florin_platform::testing::postgres::TestPostgres;
use florin_platform::testing::process::{Standstill, free_port};
use florin_platform::testing::redis::TestRedis;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::provider::Provider;
use super::{books, clients, config, open_sale, settled, text};
use crate::crash::number;
use crate::server::{Launch, Rng, Server, Who};

/// Processes that serve everything.
const REPLICAS: usize = 3;
/// 32 bytes in hex that only tests know: every process signs with it.
const SIGNING_KEY: &str = "6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b";
/// Guests of the rush at a time.
const CROWD: u64 = 24;

struct Fleet {
    servers: Vec<Option<Server>>,
    ports: Vec<u16>,
    provider: Provider,
    postgres: Arc<TestPostgres>,
    redis: TestRedis,
    home: TempDir,
    demo: Value,
}

impl Fleet {
    /// Starts everything; `None`, said by name, where a component is missing.
    fn start(test: &str) -> Option<Self> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let Some(postgres) = runtime.block_on(TestPostgres::start()) else {
            println!(
                "SKIPPED {test}: PostgreSQL's server is not installed (apt install postgresql)"
            );
            return None;
        };
        // Waits until the server answers.
        drop(runtime.block_on(postgres.fresh()));
        let Some(redis) = TestRedis::start() else {
            println!("SKIPPED {test}: Redis is not installed (apt install redis-server)");
            return None;
        };
        let ports: Vec<u16> = (0..REPLICAS).map(|_| free_port()).collect();
        let mut fleet = Self {
            servers: (0..REPLICAS).map(|_| None).collect(),
            provider: Provider::start(ports[0]),
            ports,
            postgres,
            redis,
            home: tempfile::tempdir().expect("temporary folder"),
            demo: Value::Null,
        };
        let first = fleet.launch(0).arg("--demo").start();
        fleet.demo = first.ready["demo"].clone();
        fleet.servers[0] = Some(first);
        for number in 1..REPLICAS {
            fleet.run(number);
        }
        Some(fleet)
    }

    fn launch(&self, number: usize) -> Launch {
        let dir = self.home.path().join(format!("replica-{number}"));
        std::fs::create_dir_all(&dir).expect("a folder");
        Launch::new()
            .without("--demo")
            .without("--unsafe-dev")
            .without("--dev-clock")
            .config(&config(&self.provider))
            .dir(&dir)
            .port(self.ports[number])
            .env("FLORIN__SERVER__DRAIN_DELAY", "1s")
            .env("FLORIN__AUTH__SIGNING_KEY", SIGNING_KEY)
            .env("FLORIN__DATABASE__URL", self.postgres.url())
            .env("FLORIN__LEDGER__URL", self.postgres.url())
            .env("FLORIN__CACHE__URL", self.redis.url())
    }

    fn run(&mut self, number: usize) {
        let mut server = self.launch(number).start();
        server.ready["demo"] = self.demo.clone();
        self.servers[number] = Some(server);
    }

    fn all(&self) -> Vec<&Server> {
        self.servers.iter().flatten().collect()
    }

    fn any(&self, rng: &mut Rng) -> &Server {
        let number = rng.below(REPLICAS as u64);
        let number = usize::try_from(number).expect("small");
        self.servers[number].as_ref().expect("runs")
    }

    fn kill(&mut self, number: usize) {
        drop(self.servers[number].take().expect("runs").kill());
    }
}

#[test]
fn buyers_race_through_three_replicas_and_nothing_is_oversold() {
    let buyers = number("FLORIN_SALE_BUYERS", 2_000);
    let (seed, scarce) = (number("FLORIN_SALE_SEED", 1), buyers / 10);
    let Some(fleet) = Fleet::start("a race through three replicas") else {
        return;
    };
    let all = fleet.all();
    let mut sale = open_sale(all[0], scarce, 900);
    let started = Instant::now();
    let (next, won, lost) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let (over, standstill) = (AtomicBool::new(false), Standstill::watch());
    let path = format!("/api/v1/events/{}/capacity", sale.event);
    let (sold, servers) = (&sale, &all[..]);
    let watch = || {
        let mut known = Duration::ZERO;
        while !over.load(Ordering::SeqCst) {
            let reply = servers[0].get(Who::Ana, &path);
            let lost = match reply.status {
                503 => standstill.lost(),
                _ => known,
            };
            if lost > known {
                known = lost;
                continue;
            }
            let shown = reply.ok(200).body;
            let kind = &shown["types"][0];
            let n = |name: &str| kind[name].as_u64().expect("a number");
            assert!(n("held") + n("sold") <= n("quantity"), "INV-T1: {shown}");
        }
    };
    let guest = || {
        let mut confirmed = Vec::new();
        loop {
            let buyer = next.fetch_add(1, Ordering::SeqCst);
            if buyer >= buyers {
                return confirmed;
            }
            match buy(servers, sold, seed, buyer) {
                None => drop(lost.fetch_add(1, Ordering::SeqCst)),
                Some(order) => {
                    won.fetch_add(1, Ordering::SeqCst);
                    confirmed.push(order);
                }
            }
        }
    };
    let confirmed: Vec<String> = std::thread::scope(|scope| {
        let watch = scope.spawn(watch);
        let crowd: Vec<_> = (0..CROWD).map(|_| scope.spawn(guest)).collect();
        let ended: Vec<_> = crowd.into_iter().map(|guest| guest.join()).collect();
        over.store(true, Ordering::SeqCst);
        watch.join().expect("INV-T1 held");
        ended
            .into_iter()
            .flat_map(|guest| guest.expect("a guest"))
            .collect()
    });
    let took = started.elapsed();
    sale.journal.confirmed = confirmed;
    assert_eq!(won.load(Ordering::SeqCst), scarce, "exactly what there was");
    assert_eq!(lost.load(Ordering::SeqCst), buyers - scarce);
    for server in &all {
        settled(server, &sale, Some(&fleet.provider), "after the race");
    }
    println!(
        "seed {seed}: {buyers} buyers for {scarce} tickets through {REPLICAS} replicas in {took:?}"
    );
    all[0].books_are_balanced();
}

/// One guest wants one ticket, through any replica, and pays it through any other: nobody gives
/// up, so that exactly the stock is sold. Answers the order.
fn buy(servers: &[&Server], sale: &clients::Sale, seed: u64, buyer: u64) -> Option<String> {
    let mut rng = Rng::new(seed ^ buyer.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let key = format!("race-{seed}-{buyer}");
    let email = format!("{key}@example.org");
    let cart = json!({
        "eventId": sale.event, "buyer": {"email": email},
        "items": [{"ticketTypeId": sale.kinds[0], "quantity": 1}],
    });
    let reserved = insist(|| {
        let call = rng
            .pick(servers)
            .call(Who::Nobody, "POST", "/api/v1/orders");
        call.header("idempotency-key", &key).json(&cart).send()
    });
    if reserved.status != 201 {
        drop(reserved.refused(409, "sold_out"));
        return None;
    }
    let (order, token) = (reserved.id(), reserved.text_of("accessToken").to_owned());
    let path = format!("/api/v1/orders/{order}/checkout");
    let (who, body) = match rng.below(10) {
        0 => (
            Who::Nobody,
            json!({"method": "card", "paymentMethodId": "pm_card_visa"}),
        ),
        n => {
            let wallet = &sale.wallets[usize::try_from(n).expect("small") % sale.wallets.len()];
            (
                Who::Service,
                json!({"method": "wallet", "walletId": wallet}),
            )
        }
    };
    let paid = insist(|| {
        let call = rng.pick(servers).call(who, "POST", &path);
        let call = call.header("idempotency-key", &key);
        call.header("x-access-token", &token).json(&body).send()
    });
    let paid = paid.ok(200);
    assert_eq!(text(&paid.body, "status"), "confirmed", "{}", paid.text);
    Some(order)
}

/// Sends a call until it is decided: also while a try whose answer was lost is still at work.
fn insist(mut call: impl FnMut() -> crate::server::Reply) -> crate::server::Reply {
    let mut lost = false;
    loop {
        let reply = call();
        let at_work = lost && reply.code().1 == "payment_in_progress";
        if reply.status != 503 && !at_work {
            return reply;
        }
        lost = true;
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

/// Rounds of one sale: all that it wrote is read again and again at its end.
const ROUNDS_OF_A_SALE: u64 = 10;
/// Most answers before a kill, and answers of the others after it.
const ANSWERS_MAX: u64 = 60;
const ANSWERS_AFTER: u64 = 20;
/// Whatever was paid is decided within this time (contract B3), whoever dies meanwhile.
const DECIDED_SECONDS: i64 = 120;

/// INV-T5 under fire: what the provider took more than 120 s ago has its tickets or goes back.
#[derive(Default)]
struct Decided {
    /// Intents that were found decided.
    seen: BTreeSet<String>,
    latest: i64,
}

impl Decided {
    fn look(&mut self, server: &Server, provider: &Provider, what: &str) {
        let state = provider.state();
        let list = |name: &str| state[name].as_array().expect("a list").iter();
        let now = Timestamp::parse(text(&state, "now")).expect("a time");
        let now = now.micros() / 1_000_000;
        for charge in list("charges").filter(|charge| charge["status"] == "succeeded") {
            let (intent, at) = (text(charge, "payment_intent"), &charge["created"]);
            let age = now - at.as_i64().expect("seconds");
            if age <= DECIDED_SECONDS || self.seen.contains(intent) {
                continue;
            }
            let back = list("refunds").any(|refund| refund["payment_intent"] == intent);
            let of = list("paymentIntents").find(|one| one["id"] == intent);
            let order = text(&of.expect("its intent")["metadata"], "order_id");
            let path = format!("/api/v1/orders/{order}");
            let shown = books::get(server, Who::Admin, &path);
            let kept = books::was_confirmed(&shown);
            assert!(
                kept || back,
                "INV-T5 after {age} s, {what}: {charge} {shown}"
            );
            self.seen.insert(intent.to_owned());
            self.latest = self.latest.max(age);
        }
    }
}

/// One round: everybody buys through all replicas, one of which dies after so many answers and
/// comes back; what had no answer is sent again.
fn round(fleet: &mut Fleet, sale: &mut clients::Sale, rng: &mut Rng, what: &str) {
    let victim = usize::try_from(rng.below(REPLICAS as u64)).expect("small");
    let answers = 1 + rng.below(ANSWERS_MAX);
    let what = format!("{what}, replica {victim} after {answers} answers");
    fleet.provider.weather(rng);
    for server in fleet.all() {
        // Log-ins are had before the kill.
        drop(server.get(Who::Ana, "/api/v1/orders?limit=1"));
    }
    let answered = AtomicU64::new(0);
    let on_answer = || {
        if answered.fetch_add(1, Ordering::SeqCst) + 1 == answers {
            fleet.all()[victim].send_kill();
        }
    };
    // The others serve on, and so some time after the kill.
    let go_on = || answered.load(Ordering::SeqCst) < answers + ANSWERS_AFTER;
    let (all, provider) = (fleet.all(), &fleet.provider);
    clients::run(&all, provider, sale, rng.next(), &on_answer, &go_on);
    fleet.kill(victim);
    fleet.run(victim);
    sale.settle(fleet.any(rng), &what);
}

#[test]
fn kills_of_replicas_in_a_sale_lose_no_cent_and_no_ticket() {
    let rounds = number("FLORIN_SALE_FLEET_ROUNDS", 50);
    let seed = number("FLORIN_SALE_SEED", 1);
    println!("rounds {rounds}, seed {seed}");
    let Some(mut fleet) = Fleet::start("kills of replicas in a sale") else {
        return;
    };
    let started = Instant::now();
    let mut rng = Rng::new(seed);
    let mut decided = Decided::default();
    let mut sales = Vec::new();
    for first in (1..=rounds).step_by(usize::try_from(ROUNDS_OF_A_SALE).expect("small")) {
        let mut sale = open_sale(fleet.all()[0], 60, 15);
        sale.is_only = rounds <= ROUNDS_OF_A_SALE;
        for number in first..=rounds.min(first + ROUNDS_OF_A_SALE - 1) {
            let what = format!("seed {seed}, round {number}");
            round(&mut fleet, &mut sale, &mut rng, &what);
            decided.look(fleet.all()[0], &fleet.provider, &what);
        }
        let what = format!("seed {seed}, round {first} and those after it");
        settled(fleet.any(&mut rng), &sale, None, &what);
        println!("{:?}: {}", started.elapsed(), sale.journal);
        sales.push(sale);
    }
    fleet.provider.calm();
    for sale in &sales {
        let what = format!("seed {seed}, after {rounds} rounds");
        settled(fleet.any(&mut rng), sale, Some(&fleet.provider), &what);
    }
    decided.look(fleet.all()[0], &fleet.provider, "at the end");
    let (looked, latest) = (decided.seen.len(), decided.latest);
    println!(
        "{rounds} kills, {:?}; {looked} payments looked at 120 s and more after them, \
         the oldest {latest} s",
        started.elapsed()
    );
    fleet.all()[0].books_are_balanced();
}
