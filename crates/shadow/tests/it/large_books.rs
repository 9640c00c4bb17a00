//! Large books are read in part: what is decided is what a book in memory decides (INV-S3,
//! INV-S6, INV-S10; contract F1).

use std::sync::Arc;

use florin_base::clock::ManualClock;
use florin_platform::sql::{Db, query};
use florin_shadow::model::{BookId, Event};
use florin_shadow::store::intake::{Intake, IntakeReply, Item};
use florin_shadow::store::read::{self, Known as View};
use florin_shadow::store::rebuild::{Request, verify};
use florin_shadow::store::{Actor, Settings, Shadow};
use florin_shadow::worker::deadlines;

use crate::permutations::Chance;
use crate::support::{Known, NOW, event};

const TIME: i64 = 1_735_561_800_000;
const SPAN: u64 = 100_000;

async fn open(db: &Db, clock: &Arc<ManualClock>) -> Shadow {
    let settings = Settings::default();
    let opened = Shadow::open(db.clone(), clock.clone(), Arc::new(Known), settings);
    opened.await.expect("opens")
}

async fn take(shadow: &Shadow, events: &[Event]) {
    let item = |event: &Event| Item {
        event: event.clone(),
        entrance: "http",
        actor: Actor::system("test"),
    };
    let intake = Intake {
        items: events.iter().map(item).collect(),
        atomic: false,
        key: None,
        also: None,
    };
    let reply = shadow.take(intake).await.expect("taken");
    assert!(matches!(reply, IntakeReply::Done(_)));
}

fn random(chance: &mut Chance, name: &str, count: u64) -> Vec<Event> {
    (0..count)
        .map(|n| {
            let amount = i128::from(chance.next(1_000) + 1);
            let signed = if chance.next(2) == 0 { amount } else { -amount };
            let at = TIME + chance.next(SPAN) as i64;
            event(&format!("{name}-{n}"), "BIG", signed, at)
        })
        .collect()
}

/// Digest, and balances at some instants.
async fn shown(shadow: &Shadow) -> (String, Vec<i128>) {
    let (db, id) = (shadow.db(), BookId::new("BIG", "BRL"));
    let head = read::head(db).await.expect("a head");
    let view = View {
        log_seq: head.log_seq,
        at: None,
    };
    let (digest, _) = read::digest(db, &id, view).await.expect("reads");
    let mut balances = Vec::new();
    for as_of in [None, Some(TIME + 20_000), Some(TIME + 77_000)] {
        let balance = read::balance(db, &id, as_of, None).await.expect("reads");
        balances.push(balance.minor);
    }
    (digest, balances)
}

async fn reading_in_part(db: Db, whole_db: Db) {
    let clock = Arc::new(ManualClock::new(NOW));
    let whole = open(&whole_db, &clock).await;
    let mut chance = Chance::fresh();
    for round in 0..20 {
        // A process that has just started, on the tables of those before.
        let part = open(&db, &clock).await;
        let count = if round == 0 {
            6_000
        } else {
            1 + chance.next(6)
        };
        let events = random(&mut chance, &format!("R{round}"), count);
        for shadow in [&whole, &part] {
            take(shadow, &events).await;
        }
        if chance.next(3) == 0 {
            clock.advance(i64::try_from(chance.next(40)).expect("small") * 1_000_000);
            for shadow in [&whole, &part] {
                deadlines::work_all(shadow).await.expect("works");
            }
        }
        let id = BookId::new("BIG", "BRL");
        let floor = shown(&whole).await;
        assert_eq!(shown(&part).await, floor, "round {round}");
        let lowest = |shadow: &Shadow| {
            let (shadow, id) = (shadow.clone(), id.clone());
            async move {
                let read = shadow.write(move |session| {
                    Box::pin(async move {
                        let book = session.book(&id).await?;
                        Ok((book.lowest(), book.balance(), book.present(), book.len()))
                    })
                });
                read.await.expect("reads")
            }
        };
        let (a, b) = (lowest(&whole).await, lowest(&part).await);
        assert_eq!((a.0, a.1, a.3), (b.0, b.1, b.3), "round {round}");
        clock.advance(1_000);
    }
    clock.advance(60_000_000);
    let part = open(&db, &clock).await;
    deadlines::work_all(&part).await.expect("works");
    let part = open(&db, &clock).await;
    take(&part, &random(&mut chance, "last", 3)).await;
    let present = part
        .write(|session| {
            Box::pin(async move { Ok(session.book(&BookId::new("BIG", "BRL")).await?.present()) })
        })
        .await
        .expect("reads");
    assert!(present < 2_500, "{present} events were read for three");
    let report = verify(&db, &Request::default(), &|_| {}).await;
    let report = report.expect("runs");
    assert!(report.is_good(), "{report:?}");
}

#[tokio::test]
pub async fn inv_s3_a_book_read_in_part_decides_as_one_in_memory() {
    let db = crate::postgres_rooms::tables().await;
    let whole = crate::postgres_rooms::tables().await;
    reading_in_part(db, whole).await;
}

/// Outlines of an older version do not tell enough: the book is read whole, and told anew.
#[tokio::test]
pub async fn outlines_of_an_older_version_are_made_again() {
    let db = crate::postgres_rooms::tables().await;
    let clock = Arc::new(ManualClock::new(NOW));
    let mut chance = Chance::fresh();
    take(&open(&db, &clock).await, &random(&mut chance, "a", 4_000)).await;
    let forget = "UPDATE shadow_blocks SET applied = NULL, l0 = NULL, g0 = NULL";
    db.execute(query(forget)).await.expect("forgets");
    let shadow = open(&db, &clock).await;
    take(&shadow, &random(&mut chance, "b", 2)).await;
    let told = "SELECT COUNT(*) AS n FROM shadow_blocks WHERE applied IS NULL OR l0 IS NULL";
    let rows = db.fetch_all(query(told)).await.expect("reads");
    assert_eq!(rows[0].get::<i64>("n").expect("a count"), 0);
    let report = verify(&db, &Request::default(), &|_| {}).await;
    assert!(report.expect("runs").is_good());
}
