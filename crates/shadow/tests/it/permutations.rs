//! INV-S3: one set of events, any order, gives one result; judged by a naive model that sorts.

use florin_base::IdSource;
use florin_shadow::model::book::{Book, Policy, Rules};
use florin_shadow::model::decide::{self, Arrival};
use florin_shadow::model::{BookId, Event, State};

use crate::support::{NOW, event};

/// A small generator whose seed is printed, so that a failure can be repeated.
pub struct Chance(u64);

impl Chance {
    pub fn fresh() -> Self {
        let bytes = IdSource::random_32();
        let seed = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        println!("seed {seed}");
        Self(seed | 1)
    }

    pub fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.next(at as u64 + 1) as usize);
        }
    }
}

/// What a book must say, by the words of the contract: sort, then decide each debit in key order
/// against all credits and the debits accepted before it.
pub fn naive(events: &[Event], floor: i128) -> Vec<(String, State, Option<&'static str>)> {
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by_key(|event| event.key());
    let mut counts: Vec<i128> = sorted.iter().map(|e| e.signed().max(0)).collect();
    let mut told = Vec::new();
    for at in 0..sorted.len() {
        if sorted[at].signed() > 0 {
            told.push((sorted[at].event_id.clone(), State::Applied, None));
            continue;
        }
        counts[at] = sorted[at].signed();
        let mut running: i128 = counts[..=at].iter().sum();
        let refused = match running < floor {
            true => Some("insufficient"),
            false => {
                let breaks = counts[at + 1..].iter().any(|count| {
                    running += count;
                    running < floor
                });
                breaks.then_some("breaks_history")
            }
        };
        if refused.is_some() {
            counts[at] = 0;
        }
        let state = match refused {
            None => State::Applied,
            Some(_) => State::Held,
        };
        told.push((sorted[at].event_id.clone(), state, refused));
    }
    told
}

fn random_set(chance: &mut Chance, size: u64) -> Vec<Event> {
    (0..size)
        .map(|n| {
            let amount = i128::from(chance.next(100) + 1);
            let signed = if chance.next(5) < 2 { amount } else { -amount };
            let timestamp = 1_735_000_000_000 + chance.next(size) as i64;
            event(&format!("E{n}"), "A1", signed, timestamp)
        })
        .collect()
}

fn book(policy: Policy) -> Book {
    let rules = Rules {
        floor: Some(0),
        policy,
        grace_micros: 600_000_000,
    };
    Book::new(1, BookId::new("A1", "BRL"), rules)
}

/// Feeds the events in groups, each group one commit.
pub fn feed(book: &mut Book, events: &[Event], chance: &mut Chance) {
    let mut at = 0;
    let mut seq = 0;
    while at < events.len() {
        let group = (1 + chance.next(4) as usize).min(events.len() - at);
        let arrivals: Vec<(&Event, Arrival)> = events[at..at + group]
            .iter()
            .map(|event| {
                seq += 1;
                let arrival = Arrival {
                    recorded_at: NOW + seq,
                    log_seq: seq,
                };
                (event, arrival)
            })
            .collect();
        decide::take(book, &arrivals).expect("no overflow");
        at += group;
    }
}

fn told(book: &Book) -> Vec<(String, State, Option<&'static str>)> {
    book.slots()
        .map(|slot| {
            let reason = slot.reason.map(|reason| reason.as_str());
            (slot.key.event_id.clone(), slot.state, reason)
        })
        .collect()
}

#[test]
fn inv_s3_any_order_gives_the_result_of_the_sorted_set() {
    let mut chance = Chance::fresh();
    for set in 0..1_000 {
        let size = 1 + chance.next(40);
        let mut events = random_set(&mut chance, size);
        let expected = naive(&events, 0);
        for policy in [Policy::Watermark, Policy::Derived] {
            for _ in 0..3 {
                chance.shuffle(&mut events);
                let mut book = book(policy);
                feed(&mut book, &events, &mut chance);
                assert_eq!(told(&book), expected, "set {set}, {policy:?}");
            }
        }
    }
}

/// INV-S3 when final, INV-S4: the states after all deadlines follow from those before, and the
/// running balance never falls below the floor.
#[test]
fn inv_s3_final_states_are_the_same_in_any_order() {
    let mut chance = Chance::fresh();
    for _ in 0..300 {
        let size = 1 + chance.next(40);
        let mut events = random_set(&mut chance, size);
        let expected: Vec<_> = naive(&events, 0)
            .into_iter()
            .map(|(id, state, reason)| match (state, reason) {
                (State::Held, Some("breaks_history")) => (id, State::HeldForReview),
                (State::Held, _) => (id, State::Rejected),
                (state, _) => (id, state),
            })
            .collect();
        for _ in 0..3 {
            chance.shuffle(&mut events);
            let mut book = book(Policy::Watermark);
            feed(&mut book, &events, &mut chance);
            let mut now = NOW + 600_000_000;
            while book.open() > 0 {
                decide::expire(&mut book, now);
                now += 5;
            }
            let found: Vec<_> = book
                .slots()
                .map(|slot| (slot.key.event_id.clone(), slot.state))
                .collect();
            assert_eq!(found, expected);
            assert!(book.lowest().is_none_or(|low| low >= 0));
        }
    }
}

/// INV-S4, INV-S9: whatever comes late, decided history stays and never falls below the floor.
#[test]
fn inv_s9_final_states_stay_under_late_events() {
    let mut chance = Chance::fresh();
    for _ in 0..300 {
        let mut book = book(Policy::Watermark);
        let mut settled: Vec<(String, State)> = Vec::new();
        for round in 0..6 {
            let size = 1 + chance.next(20);
            let mut events = random_set(&mut chance, size);
            for event in &mut events {
                event.event_id = format!("R{round}-{}", event.event_id);
            }
            feed(&mut book, &events, &mut chance);
            assert!(book.lowest().is_none_or(|low| low >= 0));
            for (id, state) in &settled {
                let slot = book.slots().find(|slot| slot.key.event_id == *id);
                assert_eq!(slot.expect("still there").state, *state);
            }
            decide::expire(&mut book, NOW + 601_000_000);
            settled = book
                .slots()
                .map(|slot| (slot.key.event_id.clone(), slot.state))
                .collect();
        }
    }
}

/// Blocks are cut and summed rightly: a long book against a plain sum.
#[test]
fn inv_s10_blocks_sum_to_what_a_plain_loop_sums() {
    let mut chance = Chance::fresh();
    let mut events = random_set(&mut chance, 5_000);
    chance.shuffle(&mut events);
    let mut book = book(Policy::Arrival);
    feed(&mut book, &events, &mut chance);
    let plain: i128 = book
        .slots()
        .filter(|slot| slot.state == State::Applied)
        .map(|slot| slot.signed)
        .sum();
    assert_eq!(book.balance(), plain);
    assert!(book.blocks().len() > 9);
    let (mut running, mut low) = (0, i128::MAX);
    for slot in book.slots() {
        running += slot.counted();
        low = low.min(running);
    }
    assert_eq!(book.lowest(), Some(low));
    assert!(low >= 0);
    let keys: Vec<_> = book.slots().map(|slot| &slot.key).collect();
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
}
