//! The model: what every balance must be, and which records must be there.

use std::collections::HashSet;
use std::fmt;

use florin_platform::testing::process::Standstill;
use serde_json::json;

use super::feed::Feed;
use super::intent::{Ack, Entry, Intent, Kind};
use super::load::Journals;
use crate::server::{Rng, Server, Who};

/// Ledger accounts; the first may be overdrawn without end.
const ACCOUNTS: usize = 5;
const WALLETS: usize = 4;
/// Every so many acknowledged calls one is sent again.
const RESEND_EVERY: usize = 3;
/// How often a call is sent until it is settled.
const RESENDS: usize = 100;

/// An account or a wallet, and what the model says it holds, in minor units.
pub struct Place {
    pub name: String,
    pub balance: i64,
    pub held: i64,
}

/// Figures for the summary.
#[derive(Debug, Default)]
pub struct Counts {
    pub acknowledged: u64,
    pub unanswered: u64,
    /// Of the unanswered: recorded before the kill.
    pub committed_unanswered: u64,
    pub records: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            acknowledged,
            unanswered,
            committed_unanswered,
            records,
        } = self;
        write!(
            f,
            "{acknowledged} acknowledged, {unanswered} unanswered of which {committed_unanswered} \
             had been committed, {records} records"
        )
    }
}

pub struct World {
    /// Accounts, then wallets.
    pub places: Vec<Place>,
    /// How many of them are accounts.
    pub accounts: usize,
    /// Last record compared.
    pub seq: u64,
    pub counts: Counts,
    feed: Feed,
    /// Ids that must be in the feed once.
    recorded: HashSet<String>,
    voids: u64,
}

impl World {
    /// Makes accounts and wallets, with some money in each.
    pub fn new(server: &Server) -> Self {
        let place = |name| Place {
            name,
            balance: 0,
            held: 0,
        };
        let mut places = vec![place(server.source("BRL"))];
        places.extend((1..ACCOUNTS).map(|_| place(server.account("BRL", json!({})))));
        for _ in 0..WALLETS {
            let wallet = server.funded("BRL", "100.00");
            places.push(Place {
                name: wallet,
                balance: 10_000,
                held: 0,
            });
        }
        let seq = server.last_seq();
        Self {
            places,
            accounts: ACCOUNTS,
            seq,
            counts: Counts::default(),
            feed: Feed::at(server, seq),
            recorded: HashSet::new(),
            voids: 0,
        }
    }

    pub fn names(&self, (debit, credit): (usize, usize)) -> (&str, &str) {
        (&self.places[debit].name, &self.places[credit].name)
    }

    /// Indexes of two different wallets.
    pub fn two_wallets(&self, rng: &mut Rng) -> (usize, usize) {
        let (one, two) = rng.two_of(self.places.len() - self.accounts);
        (self.accounts + one, self.accounts + two)
    }

    fn resend(server: &Server, intent: &Intent, what: &str) -> Ack {
        let standstill = Standstill::watch();
        for _ in 0..RESENDS {
            let reply = server.post(Who::Service, &intent.path, intent.body.clone());
            match intent.read(&reply) {
                Some(ack) => return ack,
                // The machine stood still meanwhile: the same call again settles it.
                None if reply.status == 503 && !standstill.lost().is_zero() => {}
                None => panic!("{what}: {}", reply.text),
            }
        }
        panic!("{what}: {} is never settled", intent.path)
    }

    /// Sends everything unanswered again, and some of what was answered; takes all of it into
    /// the model.
    pub fn settle(&mut self, server: &Server, journals: Journals, what: &str) {
        self.feed.read_on(server, &journals.tip, what);
        let mut number = 0;
        for journal in journals.clients {
            let mut last = 0;
            for Entry {
                intent,
                ack,
                not_done,
            } in journal
            {
                number += 1;
                let ack = match ack {
                    Some(ack) => {
                        self.counts.acknowledged += 1;
                        // INV-L13: what was answered before this was sent has a smaller `seq`.
                        let seq = ack
                            .seq
                            .filter(|_| intent.kind != Kind::Void)
                            .unwrap_or(last);
                        assert!(seq >= last, "{seq} after {last}: {what}");
                        last = seq;
                        if number % RESEND_EVERY == 0 {
                            same_again(&intent, &ack, &Self::resend(server, &intent, what), what);
                        }
                        ack
                    }
                    None => {
                        self.counts.unanswered += 1;
                        let ack = Self::resend(server, &intent, what);
                        self.counts.committed_unanswered += u64::from(ack.replayed);
                        assert!(
                            !(not_done && ack.replayed),
                            "an answer promised that nothing was done: {} {what}",
                            ack.text
                        );
                        same_again(&intent, &ack, &Self::resend(server, &intent, what), what);
                        ack
                    }
                };
                self.take(&intent, &ack);
            }
        }
    }

    fn take(&mut self, intent: &Intent, ack: &Ack) {
        for (leg, recorded) in intent.legs.iter().zip(&ack.recorded) {
            if !recorded {
                continue;
            }
            for moved in &leg.moves {
                self.places[moved.place].balance += moved.balance;
                self.places[moved.place].held += moved.held;
            }
            match intent.kind {
                Kind::Void => self.voids += 1,
                Kind::Wallet => assert!(self.recorded.insert(ack.id.clone()), "{} twice", ack.id),
                Kind::Batch | Kind::Single => assert!(self.recorded.insert(leg.id.clone())),
            }
        }
    }

    /// Compares every balance and every record with the server's.
    pub fn compare(&mut self, server: &Server, what: &str) {
        for (index, place) in self.places.iter().enumerate() {
            let is_wallet = index >= self.accounts;
            let (balance, available) = if is_wallet {
                let (balance, _, available) = server.figures(&place.name);
                (balance.replace('.', ""), available.replace('.', ""))
            } else {
                server.minor(&place.name)
            };
            let number = |text: String| text.parse::<i64>().expect("a number");
            let found = (number(balance), number(available));
            let expected = (place.balance, place.balance - place.held);
            assert_eq!(found, expected, "{}: {what}", place.name);
        }
        server.books_are_balanced();
        self.feed.read_on(server, &[], what);
        self.seq = self.feed.seq();
        self.counts.records = self.seq;
        assert_eq!(self.feed.voids, self.voids, "voids: {what}");
        let lost: Vec<_> = self
            .recorded
            .difference(&self.feed.transfers)
            .take(3)
            .collect();
        assert!(lost.is_empty(), "lost {lost:?}: {what}");
        let extra: Vec<_> = self
            .feed
            .transfers
            .difference(&self.recorded)
            .take(3)
            .collect();
        assert!(
            extra.is_empty(),
            "recorded though nobody sent or all were refused {extra:?}: {what}"
        );
    }
}

/// The same call again has the outcome it had.
fn same_again(intent: &Intent, first: &Ack, again: &Ack, what: &str) {
    assert_eq!(
        again.recorded, first.recorded,
        "{what}: {} then {}",
        first.text, again.text
    );
    match intent.kind {
        Kind::Wallet => {
            assert_eq!(again.status, first.status, "{what}: {}", again.text);
            // A problem tells the trace id of its own request.
            let told = |ack: &Ack| (ack.status < 300).then(|| ack.text.clone());
            assert_eq!(told(again), told(first), "{what}");
            assert!(again.replayed, "{what}: {}", again.text);
        }
        Kind::Single if first.status < 300 => assert!(again.replayed, "{what}: {}", again.text),
        _ => {}
    }
}
