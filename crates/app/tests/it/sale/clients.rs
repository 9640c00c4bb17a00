//! Guests who buy, and what they wrote down.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::provider::Provider;
use super::text;
use crate::server::{Reply, Rng, Server, Who};

/// Clients at the same time.
pub const CLIENTS: u64 = 6;
/// What each of their wallets begins with.
pub const PURSE: &str = "50000.00";
/// How long a client waits after a call without an answer.
const AFTER_A_FAILURE: Duration = Duration::from_millis(30);
/// Tries of a call that was answered with 503.
const TRIES: u64 = 200;

/// What is sold, and everything that was said about it.
pub struct Sale {
    pub org: String,
    pub event: String,
    pub kinds: [String; 2],
    /// One for each client.
    pub wallets: Vec<String>,
    /// Nothing else is sold on this server.
    pub is_only: bool,
    pub journal: Journal,
}

/// What was answered, and what was not.
#[derive(Default)]
pub struct Journal {
    /// Orders that were answered with 201.
    pub orders: Vec<String>,
    /// Orders that were answered as confirmed.
    pub confirmed: Vec<String>,
    /// Orders that were answered as cancelled.
    pub cancelled: Vec<String>,
    /// Refunds that were answered with 202.
    pub refunds: Vec<String>,
    /// Calls without an answer, to be sent again.
    open: Vec<Ask>,
    /// Some that were answered, to be sent again as well.
    again: Vec<(Ask, u16, String)>,
    counts: BTreeMap<String, u64>,
}

/// A call.
#[derive(Clone)]
pub struct Ask {
    what: &'static str,
    who: Who,
    path: String,
    key: String,
    token: Option<String>,
    body: Value,
}

impl Ask {
    fn send(&self, server: &Server) -> std::io::Result<Reply> {
        let mut call = server
            .call(self.who, "POST", &self.path)
            .header("idempotency-key", &self.key);
        if let Some(token) = &self.token {
            call = call.header("x-access-token", token);
        }
        call.json(&self.body).try_send()
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} orders, {} confirmed, {} cancelled, {} refunds; {:?}",
            self.orders.len(),
            self.confirmed.len(),
            self.cancelled.len(),
            self.refunds.len(),
            self.counts
        )
    }
}

impl Journal {
    /// Writes an answer down. 503 is none: it is certainly not done, or not known.
    fn answered(&mut self, ask: &Ask, reply: &Reply) {
        let (status, code) = reply.code();
        let counted = format!("{} {status} {code}", ask.what);
        *self.counts.entry(counted).or_default() += 1;
        if status >= 500 {
            assert_eq!(status, 503, "{}: {}", ask.what, reply.text);
            self.open.push(ask.clone());
            return;
        }
        let id = || text(&reply.body, "id").to_owned();
        match (ask.what, status) {
            ("reserve", 201) => self.orders.push(id()),
            ("pay", 200) if reply.body["status"] == "confirmed" => self.confirmed.push(id()),
            ("cancel", 200) => self.cancelled.push(id()),
            ("refund", 202) => {
                let items = reply.body["items"].as_array().expect("items");
                let ids = items.iter().map(|item| text(item, "id").to_owned());
                self.refunds.extend(ids);
            }
            _ => {}
        }
    }

    fn join(&mut self, other: Self) {
        self.orders.extend(other.orders);
        self.confirmed.extend(other.confirmed);
        self.cancelled.extend(other.cancelled);
        self.refunds.extend(other.refunds);
        self.open.extend(other.open);
        self.again.extend(other.again);
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }
}

impl Sale {
    /// Sends again what had no answer, and some of what had one: it says the same.
    pub fn settle(&mut self, server: &Server, what: &str) {
        let (open, again) = (
            std::mem::take(&mut self.journal.open),
            std::mem::take(&mut self.journal.again),
        );
        for ask in open {
            let reply = insist(server, &ask, what);
            self.journal.answered(&ask, &reply);
        }
        for (ask, status, id) in again {
            let reply = insist(server, &ask, what);
            assert_eq!(reply.status, status, "{what}: {} {}", ask.what, reply.text);
            assert_eq!(text(&reply.body, "id"), id, "{what}: {}", reply.text);
        }
    }
}

/// Sends until there is an answer.
fn insist(server: &Server, ask: &Ask, what: &str) -> Reply {
    for _ in 0..TRIES {
        match ask.send(server) {
            Ok(reply) if reply.status != 503 => return reply,
            _ => std::thread::park_timeout(AFTER_A_FAILURE * 4),
        }
    }
    panic!("{what}: no answer to {} {}", ask.what, ask.path)
}

struct Guest<'a> {
    servers: &'a [&'a Server],
    provider: &'a Provider,
    sale: &'a Sale,
    wallet: &'a str,
    rng: Rng,
    prefix: String,
    count: u64,
    journal: Journal,
    on_answer: &'a dyn Fn(),
}

impl Guest<'_> {
    /// Sends a call; `None` when there was no answer.
    fn ask(&mut self, ask: &Ask) -> Option<Reply> {
        let server = *self.rng.pick(self.servers);
        match ask.send(server) {
            Ok(reply) => {
                self.journal.answered(ask, &reply);
                if reply.status < 500 {
                    (self.on_answer)();
                    if self.rng.below(6) == 0 && reply.status < 300 && ask.what != "cancel" {
                        let id = text(&reply.body, "id").to_owned();
                        // A pending payment goes on meanwhile: its answer is shown as it is then.
                        if reply.body["status"] != "pending" {
                            self.journal.again.push((ask.clone(), reply.status, id));
                        }
                    }
                }
                (reply.status < 500).then_some(reply)
            }
            Err(_) => {
                *self
                    .journal
                    .counts
                    .entry(format!("{} unanswered", ask.what))
                    .or_default() += 1;
                self.journal.open.push(ask.clone());
                std::thread::park_timeout(AFTER_A_FAILURE);
                None
            }
        }
    }

    fn make(&mut self, what: &'static str, path: String, body: Value) -> Ask {
        self.count += 1;
        Ask {
            what,
            who: Who::Nobody,
            path,
            key: format!("{}-{}", self.prefix, self.count),
            token: None,
            body,
        }
    }

    /// One guest from reserve to whatever becomes of him; `None` when something had no answer.
    fn step(&mut self) -> Option<()> {
        let email = format!("{}-{}@example.org", self.prefix, self.count);
        let kind = &self.sale.kinds[usize::try_from(self.rng.below(2)).expect("small")];
        let quantity = 1 + self.rng.below(3);
        let body = json!({
            "eventId": self.sale.event, "buyer": {"email": email},
            "items": [{"ticketTypeId": kind, "quantity": quantity}],
        });
        let ask = self.make("reserve", "/api/v1/orders".to_owned(), body);
        let reserved = self.ask(&ask)?;
        if reserved.status != 201 {
            let (status, code) = reserved.code();
            let known = ["sold_out", "not_enough"].contains(&code);
            assert!(status == 409 && known, "{}", reserved.text);
            return Some(());
        }
        let (order, token) = (reserved.id(), reserved.text_of("accessToken").to_owned());
        let choice = self.rng.below(12);
        if choice == 0 {
            return Some(());
        }
        if choice == 1 {
            let path = format!("/api/v1/orders/{order}/cancel");
            let mut ask = self.make("cancel", path, json!({}));
            ask.token = Some(token);
            return self.ask(&ask).map(drop);
        }
        let body = match choice {
            2..=6 => json!({"method": "wallet", "walletId": self.wallet}),
            7..=9 => json!({"method": "card", "paymentMethodId": "pm_card_visa"}),
            10 => json!({"method": "card", "paymentMethodId": "pm_card_visa_chargeDeclined"}),
            _ => json!({"method": "card", "paymentMethodId": "pm_card_authenticationRequired"}),
        };
        let path = format!("/api/v1/orders/{order}/checkout");
        let mut ask = self.make("pay", path, body);
        ask.token = Some(token.clone());
        if choice <= 6 {
            ask.who = Who::Service;
        }
        let paid = self.ask(&ask)?;
        if paid.body["status"] == "pending" {
            let intent = text(&paid.body["payment"], "intentId").to_owned();
            match self.rng.below(4) {
                0 => {}
                1 => self.provider.authenticate(&intent, false),
                _ => self.provider.authenticate(&intent, true),
            }
        }
        if paid.status == 200 && paid.body["status"] == "confirmed" {
            return self.change_his_mind(&order, &token);
        }
        Some(())
    }

    fn change_his_mind(&mut self, order: &str, token: &str) -> Option<()> {
        let path = format!("/api/v1/orders/{order}/refunds");
        let (who, body) = match self.rng.below(8) {
            0 => (Who::Nobody, json!({"all": true, "reason": "ill"})),
            1 => (Who::Ana, json!({"all": true, "reason": "kind"})),
            2 => {
                let body = json!({
                    "all": true, "amountPerTicket": "1.00", "keepTickets": true, "reason": "rain",
                });
                (Who::Ana, body)
            }
            _ => return Some(()),
        };
        let mut ask = self.make("refund", path, body);
        ask.who = who;
        if who == Who::Nobody {
            ask.token = Some(token.to_owned());
        }
        self.ask(&ask).map(drop)
    }
}

/// Guests buy until the process was killed after so many answers.
pub fn run_until_killed(
    server: &Server,
    provider: &Provider,
    sale: &mut Sale,
    answers: u64,
    seed: u64,
) {
    let answered = AtomicU64::new(0);
    let killed = AtomicBool::new(false);
    let on_answer = || {
        if answered.fetch_add(1, Ordering::SeqCst) + 1 == answers {
            killed.store(true, Ordering::SeqCst);
            server.send_kill();
        }
    };
    // Tokens are had before, so that no log-in meets the kill.
    drop(server.get(Who::Ana, "/api/v1/orders?limit=1"));
    let go_on = || !killed.load(Ordering::SeqCst);
    run(&[server], provider, sale, seed, &on_answer, &go_on);
}

/// Guests buy for as long as `go_on` says; calls go to any of the servers.
pub fn run(
    servers: &[&Server],
    provider: &Provider,
    sale: &mut Sale,
    seed: u64,
    on_answer: &(dyn Fn() + Sync),
    go_on: &(dyn Fn() -> bool + Sync),
) {
    let journals: Vec<Journal> = std::thread::scope(|scope| {
        let sale = &*sale;
        let guest = |number: u64| {
            scope.spawn(move || {
                let mut guest = Guest {
                    servers,
                    provider,
                    sale,
                    wallet: &sale.wallets[usize::try_from(number).expect("small")],
                    rng: Rng::new(seed ^ number.wrapping_mul(0x9e37_79b9)),
                    prefix: format!("{seed:016x}-{number}"),
                    count: 0,
                    journal: Journal::default(),
                    on_answer,
                };
                while go_on() {
                    guest.step();
                }
                guest.journal
            })
        };
        let guests: Vec<_> = (0..CLIENTS).map(guest).collect();
        let join =
            |thread: std::thread::ScopedJoinHandle<'_, Journal>| thread.join().expect("a guest");
        guests.into_iter().map(join).collect()
    });
    for journal in journals {
        sale.journal.join(journal);
    }
}
