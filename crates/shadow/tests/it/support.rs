//! What the tests share: a shadow ledger over a scratch database and a clock that stands still.

use std::sync::Arc;

use florin_base::clock::ManualClock;
use florin_platform::sql::Db;
use florin_shadow::model::{Currencies, Direction, Event};
use florin_shadow::store::intake::{Intake, IntakeReply, Item, Outcome};
use florin_shadow::store::{Actor, Settings, Shadow};

/// 2025-01-01T00:00:00Z in microseconds.
pub const NOW: i64 = 1_735_689_600_000_000;

pub struct Known;

impl Currencies for Known {
    fn scale(&self, code: &str) -> Option<u8> {
        match code {
            "BRL" | "USD" | "CZK" => Some(2),
            "JPY" => Some(0),
            _ => None,
        }
    }

    fn default_code(&self) -> &str {
        "BRL"
    }
}

pub struct Bench {
    pub shadow: Shadow,
    pub clock: Arc<ManualClock>,
    pub db: Db,
}

pub async fn bench(settings: Settings) -> Bench {
    let db = crate::postgres_rooms::tables().await;
    bench_on(db, settings).await
}

pub async fn bench_on(db: Db, settings: Settings) -> Bench {
    let clock = Arc::new(ManualClock::new(NOW));
    let shadow = Shadow::open(db.clone(), clock.clone(), Arc::new(Known), settings)
        .await
        .expect("opens");
    Bench { shadow, clock, db }
}

pub fn event(id: &str, account: &str, signed: i128, timestamp: i64) -> Event {
    Event {
        event_id: id.to_owned(),
        account_id: account.to_owned(),
        direction: match signed > 0 {
            true => Direction::Credit,
            false => Direction::Debit,
        },
        amount: signed.abs(),
        timestamp,
        currency: "BRL".to_owned(),
        reference: None,
        description: None,
        source: None,
        sequence: None,
    }
}

pub async fn take(shadow: &Shadow, events: Vec<Event>) -> Vec<Outcome> {
    let items = events
        .into_iter()
        .map(|event| Item {
            event,
            entrance: "http",
            actor: Actor::system("test"),
        })
        .collect();
    let intake = Intake {
        items,
        atomic: false,
        key: None,
        also: None,
    };
    match shadow.take(intake).await.expect("taken") {
        IntakeReply::Done(outcomes) => outcomes,
        other => panic!("{other:?}"),
    }
}
