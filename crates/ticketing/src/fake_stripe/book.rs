//! All state of the fake, and the two things every change makes: balance transactions and events.

use std::collections::{BTreeMap, HashMap, VecDeque};

use florin_base::IdSource;
use serde_json::Value;
use tokio::time::Instant;

use super::faults::Fault;
use super::objects::{
    BalanceTransaction, Charge, Dispute, Endpoint, Event, Intent, Payout, Refund,
};

/// Objects of one kind above which the oldest idempotency keys and events are forgotten.
const REMEMBERED_MAX: usize = 500_000;
/// Deliveries that wait; further ones are dropped like those of an endpoint that never answers.
const DELIVERIES_MAX: usize = 200_000;

/// How webhooks are delivered (`POST /_control/webhooks`).
#[derive(Debug, Clone)]
pub struct Delivering {
    pub drop: bool,
    pub repeat: u32,
    pub delay_ms: u64,
    pub order: Order,
}

/// In which order events that are due together leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Created,
    Reverse,
    Random,
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub event: usize,
    pub endpoint: String,
    pub attempt: u32,
    pub due: Instant,
}

/// The first answer under an `Idempotency-Key`.
#[derive(Debug, Clone)]
pub struct Kept {
    pub call: String,
    pub status: u16,
    pub body: Value,
}

pub struct Book {
    pub clock_offset: i64,
    pub intents: BTreeMap<String, Intent>,
    pub charges: BTreeMap<String, Charge>,
    pub refunds: BTreeMap<String, Refund>,
    pub disputes: BTreeMap<String, Dispute>,
    pub payouts: BTreeMap<String, Payout>,
    pub transactions: Vec<BalanceTransaction>,
    pub events: Vec<Event>,
    pub endpoints: Vec<Endpoint>,
    pub deliveries: VecDeque<Delivery>,
    /// Attempts under way.
    pub in_flight: usize,
    pub delivering: Delivering,
    pub faults: Vec<Fault>,
    pub kept: HashMap<String, Kept>,
    /// Calls by method and path pattern, for `/_control/state`.
    pub calls: BTreeMap<String, u64>,
    ids: IdSource,
    last_id: i64,
}

impl Book {
    pub fn new() -> Self {
        Self {
            clock_offset: 0,
            intents: BTreeMap::new(),
            charges: BTreeMap::new(),
            refunds: BTreeMap::new(),
            disputes: BTreeMap::new(),
            payouts: BTreeMap::new(),
            transactions: Vec::new(),
            events: Vec::new(),
            endpoints: Vec::new(),
            deliveries: VecDeque::new(),
            in_flight: 0,
            delivering: Delivering {
                drop: false,
                repeat: 1,
                delay_ms: 0,
                order: Order::Created,
            },
            faults: Vec::new(),
            kept: HashMap::new(),
            calls: BTreeMap::new(),
            ids: IdSource::new(),
            last_id: 0,
        }
    }

    /// A fresh id with Stripe's prefix; later ids sort after earlier ones, so that the order of
    /// the maps is the order of creation.
    pub fn id(&mut self, prefix: &str, now: i64) -> String {
        self.last_id = (self.last_id + 1).max(now.saturating_mul(1_000_000));
        let id = self.ids.uuid_v7(self.last_id);
        format!("{prefix}_{}", id.simple())
    }

    /// Books a movement of the balance and answers its id.
    pub fn move_balance(&mut self, mut movement: BalanceTransaction) -> String {
        let id = self.id("txn", movement.created);
        movement.id.clone_from(&id);
        self.transactions.push(movement);
        id
    }

    /// The balance of each currency: Σ net.
    pub fn balance(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for transaction in &self.transactions {
            *sums.entry(transaction.currency.clone()).or_insert(0) += transaction.net();
        }
        sums
    }

    /// Records an event and puts it on its way to the endpoints that want it.
    pub fn tell(&mut self, kind: &'static str, object: Value, now: i64) {
        if self.events.len() >= REMEMBERED_MAX {
            return;
        }
        let id = self.id("evt", now);
        let number = self.events.len();
        self.events.push(Event {
            id,
            kind,
            object,
            created: now,
            attempts: 0,
            delivered: 0,
        });
        self.dispatch(number);
    }

    /// Puts an event on its way as the control routes want it.
    pub fn dispatch(&mut self, number: usize) {
        if self.delivering.drop {
            return;
        }
        let kind = self.events[number].kind;
        let due = self.due();
        let wanting = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.wants(kind));
        let ids: Vec<String> = wanting.map(|endpoint| endpoint.id.clone()).collect();
        for endpoint in ids {
            for _ in 0..self.delivering.repeat {
                if self.deliveries.len() >= DELIVERIES_MAX {
                    return;
                }
                self.deliveries.push_back(Delivery {
                    event: number,
                    endpoint: endpoint.clone(),
                    attempt: 1,
                    due,
                });
            }
        }
    }

    /// When a new event leaves. Events that are to change places leave together.
    fn due(&self) -> Instant {
        let now = Instant::now();
        let alone = now + self.delivering.delay();
        if self.delivering.order == Order::Created {
            return alone;
        }
        let gathering = self
            .deliveries
            .iter()
            .filter(|delivery| delivery.attempt == 1);
        let next = gathering
            .map(|delivery| delivery.due)
            .filter(|due| *due > now)
            .min();
        next.unwrap_or(alone)
    }

    /// Remembers the answer of a key.
    pub fn keep(&mut self, key: &str, kept: Kept) {
        if self.kept.len() < REMEMBERED_MAX {
            self.kept.insert(key.to_owned(), kept);
        }
    }
}

impl Delivering {
    /// Events that are to change places wait for each other.
    fn delay(&self) -> std::time::Duration {
        const GATHER_MS: u64 = 300;
        let least = match self.order {
            Order::Created => 0,
            Order::Reverse | Order::Random => GATHER_MS,
        };
        std::time::Duration::from_millis(self.delay_ms.max(least))
    }
}
