//! Concurrent clients with journals, a reader at the tip of the feed, and the kill.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::intent::{Entry, Intent, Kind, Leg, Move, NOT_DONE, balance, item, leg};
use super::world::World;
use crate::server::{Rng, Server, Who, path};

/// Clients at the same time.
const CLIENTS: u64 = 8;
/// How long a client waits after a call without an answer.
const AFTER_A_FAILURE: Duration = Duration::from_millis(20);

/// What the clients and the reader wrote down in a round.
pub struct Journals {
    /// One for each client, in its own order.
    pub clients: Vec<Vec<Entry>>,
    /// Whole lines of the feed, from the first record of the round on.
    pub tip: Vec<String>,
}

/// Sends until the process was killed after `acks` acknowledgements.
pub fn run(server: &Server, world: &World, acks: u64, seed: u64) -> Journals {
    let answered = AtomicU64::new(0);
    let killed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (answered, killed) = (&answered, &killed);
        let tip = scope.spawn(move || read_tip(server, world.seq));
        let client = |number: u64| {
            scope.spawn(move || {
                let mut client = Client {
                    server,
                    world,
                    rng: Rng::new(seed ^ number.wrapping_mul(0x9e37_79b9)),
                    prefix: format!("{seed:016x}-{number}"),
                    count: 0,
                    journal: Vec::new(),
                    on_ack: &|| {
                        if answered.fetch_add(1, Ordering::SeqCst) + 1 == acks {
                            killed.store(true, Ordering::SeqCst);
                            server.send_kill();
                        }
                    },
                };
                while client.step().is_some() {}
                assert!(
                    killed.load(Ordering::SeqCst),
                    "a connection broke before the kill"
                );
                client.journal
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let clients = clients
            .into_iter()
            .map(|thread| thread.join().expect("a client"))
            .collect();
        Journals {
            clients,
            tip: tip.join().expect("the reader"),
        }
    })
}

/// Sends while `meanwhile` does something to the processes, and until it has ended. Calls may fail
/// there; a client goes on with another after a moment.
pub fn run_during(
    server: &Server,
    world: &World,
    seed: u64,
    meanwhile: impl FnOnce(&AtomicU64),
) -> Journals {
    let answered = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (answered, over) = (&answered, &over);
        let client = |number: u64| {
            scope.spawn(move || {
                let mut client = Client {
                    server,
                    world,
                    rng: Rng::new(seed ^ number.wrapping_mul(0x9e37_79b9)),
                    prefix: format!("{seed:016x}-{number}"),
                    count: 0,
                    journal: Vec::new(),
                    on_ack: &|| {
                        answered.fetch_add(1, Ordering::SeqCst);
                    },
                };
                while !over.load(Ordering::SeqCst) {
                    if client.step().is_none() {
                        std::thread::park_timeout(AFTER_A_FAILURE);
                    }
                }
                client.journal
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        // A panic there must not leave the clients sending for ever.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| meanwhile(answered)));
        over.store(true, Ordering::SeqCst);
        let clients = clients
            .into_iter()
            .map(|thread| thread.join().expect("a client"))
            .collect();
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
        Journals {
            clients,
            tip: Vec::new(),
        }
    })
}

/// Reads the feed while it grows, until the connection breaks.
fn read_tip(server: &Server, after: u64) -> Vec<String> {
    let path = format!("/api/v1/ledger/changes?after={after}&follow=true");
    let mut seen = Vec::new();
    if let Ok(mut lines) = server.call(Who::Service, "GET", &path).lines() {
        while let Ok(Some(line)) = lines.next() {
            if !line.starts_with("{\"heartbeat\"") {
                seen.push(line);
            }
        }
    }
    seen
}

struct Client<'a> {
    server: &'a Server,
    world: &'a World,
    rng: Rng,
    prefix: String,
    count: u64,
    journal: Vec<Entry>,
    on_ack: &'a (dyn Fn() + Sync),
}

impl Client<'_> {
    fn name(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.prefix, self.count)
    }

    fn amount(&mut self) -> i64 {
        i64::try_from(1 + self.rng.below(5_000)).expect("small")
    }

    /// Writes the intent down, sends it, writes the answer down. `None` when there is none.
    fn send(&mut self, intent: Intent) -> Option<(bool, String)> {
        let call = self
            .server
            .call(Who::Service, "POST", &intent.path)
            .json(&intent.body);
        self.journal.push(Entry {
            intent,
            ack: None,
            not_done: false,
        });
        let reply = call.try_send().ok()?;
        let entry = self.journal.last_mut().expect("just written");
        entry.not_done = NOT_DONE.contains(&reply.code().1);
        let ack = entry.intent.read(&reply)?;
        let told = (
            ack.recorded.iter().all(|recorded| *recorded),
            ack.id.clone(),
        );
        entry.ack = Some(ack);
        (self.on_ack)();
        Some(told)
    }

    fn step(&mut self) -> Option<()> {
        match self.rng.below(10) {
            0..4 => self.single(),
            4..6 => self.batch(),
            6..9 => self.wallet(),
            _ => self.hold(),
        }
    }

    fn single(&mut self) -> Option<()> {
        let places = self.rng.two_of(self.world.accounts);
        let (id, amount) = (self.name(), self.amount());
        let names = self.world.names(places);
        self.send(Intent::single(&id, names, places, amount))
            .map(drop)
    }

    /// Two items alone, then a chain of three.
    fn batch(&mut self) -> Option<()> {
        let (mut items, mut legs) = (Vec::new(), Vec::new());
        for index in 0..5 {
            let places = self.rng.two_of(self.world.accounts);
            let (id, amount) = (self.name(), self.amount());
            let linked = index == 2 || index == 3;
            items.push(item(&id, self.world.names(places), amount, linked));
            legs.push(leg(&id, places, amount));
        }
        let body = json!({ "transfers": items });
        let path = "/api/v1/ledger/transfers".to_owned();
        self.send(Intent {
            kind: Kind::Batch,
            path,
            body,
            legs,
        })
        .map(drop)
    }

    fn wallet(&mut self) -> Option<()> {
        let (from, to) = self.world.two_wallets(&mut self.rng);
        let (reference, cents) = (self.name(), self.amount());
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let body = |more: Value| {
            let mut body = json!({"amount": amount, "referenceId": reference});
            body.as_object_mut()
                .expect("object")
                .extend(more.as_object().expect("object").clone());
            body
        };
        let wallet = &self.world.places[from].name;
        let intent = match self.rng.below(3) {
            0 => Intent::wallet(
                path(wallet, "deposit"),
                body(json!({})),
                vec![balance(from, cents)],
            ),
            1 => Intent::wallet(
                path(wallet, "withdraw"),
                body(json!({})),
                vec![balance(from, -cents)],
            ),
            _ => {
                let more = json!({"destinationWalletId": self.world.places[to].name});
                let moves = vec![balance(from, -cents), balance(to, cents)];
                Intent::wallet(path(wallet, "transfer"), body(more), moves)
            }
        };
        self.send(intent).map(drop)
    }

    /// Places a hold, then captures a part of it or voids it.
    fn hold(&mut self) -> Option<()> {
        let (place, _) = self.world.two_wallets(&mut self.rng);
        let (reference, cents) = (self.name(), self.amount());
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let held = |held| Move {
            place,
            balance: 0,
            held,
        };
        let placing = Intent::wallet(
            path(&self.world.places[place].name, "holds"),
            json!({"amount": amount, "referenceId": reference}),
            vec![held(cents)],
        );
        let (true, hold) = self.send(placing)? else {
            return Some(());
        };
        if self.rng.below(2) == 0 {
            let voiding = Intent {
                kind: Kind::Void,
                path: format!("/api/v1/holds/{hold}/void"),
                body: json!({}),
                legs: vec![Leg {
                    id: String::new(),
                    moves: vec![held(-cents)],
                }],
            };
            return self.send(voiding).map(drop);
        }
        let taken = 1 + i64::try_from(self.rng.below(cents.unsigned_abs())).expect("small");
        let amount = format!("{}.{:02}", taken / 100, taken % 100);
        let body = json!({"amount": amount, "referenceId": self.name()});
        let moves = vec![Move {
            place,
            balance: -taken,
            held: -cents,
        }];
        self.send(Intent::wallet(
            format!("/api/v1/holds/{hold}/capture"),
            body,
            moves,
        ))
        .map(drop)
    }
}
