//! Real transactions of a bank, shuffled, with duplicates and late arrivals: the shadow's
//! balances meet what the bank printed, whatever the order (INV-S3, INV-S4, INV-S5).

use std::collections::{BTreeMap, BTreeSet};

use florin_base::Timestamp;
use florin_shadow::model::{BookId, Direction, Event, State};
use florin_shadow::store::intake::Outcome;
use florin_shadow::store::read::{self, Known};
use florin_shadow::store::{Settings, Shadow};

use crate::permutations::{Chance, naive};
use crate::support::take;
use crate::web::{SERVICE, Web, web};

/// The rounding that the page beside the data states, minor units.
pub const TOLERANCE: i128 = 300;

/// A line of the file.
pub struct Line {
    pub event: Event,
    /// The balance that the bank printed after it, minor units.
    pub printed: i128,
}

fn minor(text: &str) -> i128 {
    florin_shadow::model::amount::parse_signed(text, 2).expect("two decimals")
}

/// The file, or nothing where it is absent. The order inside a day is not recorded: credits of a
/// day come before its debits, which is the order least likely to break the floor.
pub fn lines() -> Option<Vec<Line>> {
    let text = florin_platform::testing::bank_transactions()?;
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let day = format!("{}T00:00:00Z", cells[2]);
        let day = Timestamp::parse(&day).expect("a day").micros() / 1_000;
        let direction = Direction::from_word(cells[3]).expect("a direction");
        let event = Event {
            event_id: format!("T{}", cells[0]),
            account_id: format!("ACC-{}", cells[1]),
            direction,
            amount: minor(cells[5]),
            timestamp: day + i64::from(direction == Direction::Debit),
            currency: "CZK".into(),
            reference: None,
            description: (!cells[4].is_empty()).then(|| cells[4].to_owned()),
            source: None,
            sequence: None,
        };
        Line {
            event,
            printed: minor(cells[6]),
        }
    };
    Some(
        text.lines()
            .skip(1)
            .filter(|l| !l.is_empty())
            .map(line)
            .collect(),
    )
}

pub fn by_account(lines: &[Line]) -> BTreeMap<&str, Vec<&Line>> {
    let mut accounts: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        accounts
            .entry(&line.event.account_id)
            .or_default()
            .push(line);
    }
    accounts
}

pub fn settings() -> Settings {
    Settings {
        grace_ms: 3_600_000,
        ..Settings::default()
    }
}

pub fn json_of(event: &Event) -> String {
    format!(
        r#"{{"eventId":"{}","accountId":"{}","type":"{}","amount":"{}","timestamp":{},"currency":"CZK"}}"#,
        event.event_id,
        event.account_id,
        event.direction.as_str(),
        florin_shadow::model::amount::full(event.amount, 2),
        event.timestamp
    )
}

/// Every tenth event comes twice.
fn shuffled(lines: &[Line], chance: &mut Chance) -> Vec<Event> {
    let mut events: Vec<Event> = lines.iter().map(|line| line.event.clone()).collect();
    let again: Vec<Event> = events.iter().step_by(10).cloned().collect();
    events.extend(again);
    for event in &mut events {
        event.description = None;
    }
    chance.shuffle(&mut events);
    events
}

async fn lift(web: &Web, accounts: &BTreeSet<&str>) {
    for account in accounts {
        web.put(
            &format!("/api/v1/shadow/books/{account}/CZK"),
            r#"{"floor":null}"#,
        )
        .await
        .ok(200);
    }
}

async fn known(shadow: &Shadow) -> Known {
    let head = read::head(shadow.db()).await.expect("a head");
    Known {
        log_seq: head.log_seq,
        at: None,
    }
}

#[tokio::test]
async fn the_shadow_meets_what_the_bank_printed() {
    let Some(lines) = lines() else { return };
    let accounts = by_account(&lines);
    assert_eq!((lines.len(), accounts.len()), (23_932, 591));
    let below: BTreeSet<&str> = lines
        .iter()
        .filter(|line| line.printed < 0)
        .map(|line| line.event.account_id.as_str())
        .collect();
    assert_eq!(below.len(), 12);
    let mut chance = Chance::fresh();
    let web = web(settings()).await;
    lift(&web, &below).await;
    let events = shuffled(&lines, &mut chance);
    let (mut accepted, mut duplicates) = (0, 0);
    for some in events.chunks(5_000) {
        let bodies: Vec<String> = some.iter().map(json_of).collect();
        let body = format!("[{}]", bodies.join(","));
        let reply = web
            .post_as(SERVICE, "/events/batch?results=errors", &body)
            .await
            .ok(202);
        accepted += reply.body["accepted"].as_u64().expect("a count");
        duplicates += reply.body["duplicates"].as_u64().expect("a count");
    }
    assert_eq!((accepted, duplicates), (23_932, 2_394));
    let mut apart = Vec::new();
    for (account, lines) in &accounts {
        let book = BookId::new(*account, "CZK");
        let balance = read::balance(web.bench.shadow.db(), &book, None, None)
            .await
            .expect("a balance");
        // The last day's order is unknown: one of its printed balances is the closing one.
        let last = lines.iter().map(|l| l.event.timestamp / 86_400_000).max();
        let closing = lines
            .iter()
            .filter(|l| Some(l.event.timestamp / 86_400_000) == last)
            .map(|l| (l.printed - balance.minor).abs())
            .min()
            .expect("a last day");
        if closing > TOLERANCE {
            println!("{account}: apart by {closing} minor units");
            apart.push(*account);
        }
    }
    assert!(
        apart.len() <= 16,
        "only inconsistent accounts may stand apart: {apart:?}"
    );
}

/// With the floor kept, exactly the debits that would break it do not count; and 20 orders give
/// one result.
#[tokio::test]
async fn inv_s4_with_the_floor_kept_exactly_the_breaking_debits_are_held() {
    let Some(lines) = lines() else { return };
    let mut chance = Chance::fresh();
    let bench = crate::support::bench(settings()).await;
    for some in shuffled(&lines, &mut chance).chunks(5_000) {
        for outcome in take(&bench.shadow, some.to_vec()).await {
            assert!(
                matches!(
                    outcome,
                    Outcome::Accepted { .. } | Outcome::Duplicate { .. }
                ),
                "{outcome:?}"
            );
        }
    }
    let known = known(&bench.shadow).await;
    for (account, lines) in by_account(&lines) {
        let events: Vec<Event> = lines.iter().map(|line| line.event.clone()).collect();
        let expected: BTreeSet<String> = naive(&events, 0)
            .into_iter()
            .filter(|(_, state, _)| *state == State::Held)
            .map(|(id, ..)| id)
            .collect();
        let window = read::Window {
            book: &BookId::new(account, "CZK"),
            after: florin_shadow::model::Key::new(i64::MIN, ""),
            to: i64::MAX,
            known,
            limit: 10_000,
        };
        let listed = read::window(bench.shadow.db(), &window, 0, None)
            .await
            .expect("reads");
        assert_eq!(listed.len(), events.len());
        let held: BTreeSet<String> = listed
            .iter()
            .filter(|listed| listed.stored.state != State::Applied)
            .map(|listed| listed.stored.event.event_id.clone())
            .collect();
        assert_eq!(held, expected, "{account}");
        assert!(
            listed
                .iter()
                .filter(|listed| listed.stored.state == State::Applied)
                .all(|listed| listed.running >= 0),
            "{account}: INV-S4"
        );
    }
}

/// The digest of every account is the same for 20 random orders (by the pure rules, which the
/// other tests tie to the tables).
#[test]
fn inv_s3_twenty_orders_of_real_transactions_give_one_digest() {
    use florin_shadow::model::book::{Book, Policy, Rules};
    use florin_shadow::model::digest::BookDigest;
    let Some(lines) = lines() else { return };
    let mut chance = Chance::fresh();
    for (account, lines) in by_account(&lines) {
        let mut first = None;
        let mut events: Vec<Event> = lines.iter().map(|line| line.event.clone()).collect();
        for _ in 0..20 {
            chance.shuffle(&mut events);
            let rules = Rules {
                floor: Some(0),
                policy: Policy::Watermark,
                grace_micros: 3_600_000_000,
            };
            let mut book = Book::new(1, BookId::new(account, "CZK"), rules);
            crate::permutations::feed(&mut book, &events, &mut chance);
            let mut digest = BookDigest::new();
            for slot in book.slots() {
                let direction = match slot.signed < 0 {
                    true => Direction::Debit,
                    false => Direction::Credit,
                };
                digest.add(&slot.key, direction, slot.signed.abs(), slot.state, false);
            }
            let digest = digest.finish();
            assert_eq!(first.get_or_insert_with(|| digest.clone()), &digest);
        }
    }
}
