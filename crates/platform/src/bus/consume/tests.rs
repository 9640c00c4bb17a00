//! Effects exactly once, poison aside, whatever is given twice.

use std::sync::atomic::{AtomicBool, Ordering};

use florin_base::clock::ManualClock;
use parking_lot::Mutex;

use super::*;
use crate::bus::{BusError, MIGRATIONS};
use crate::sql::{Migration, Migrations};

const EFFECTS: Migrations = Migrations {
    room: "effects",
    steps: &[Migration {
        version: 1,
        name: "effects",
        sqlite: "CREATE TABLE effects (n BIGINT NOT NULL)",
        postgres: "CREATE TABLE effects (n BIGINT NOT NULL)",
    }],
};

/// Writes the number in the message; `x` is poison, `p` panics, `t` breaks a transaction.
#[derive(Default)]
struct Writer {
    closed: AtomicBool,
}

impl Handler for Writer {
    fn handle<'a>(&'a self, message: &'a Received, tx: &'a mut Tx) -> Handling<'a> {
        Box::pin(async move {
            let text = std::str::from_utf8(&message.value).expect("UTF-8");
            // The effect comes first: a rejection must take it back.
            let n: i64 = text
                .trim_matches(char::is_alphabetic)
                .parse()
                .expect("number");
            tx.execute(query("INSERT INTO effects (n) VALUES ($1)").bind(n))
                .await?;
            if self.closed.load(Ordering::SeqCst) {
                return Err(Rejected::Later("closed".to_owned()));
            }
            match text.as_bytes()[0] {
                b'x' => Err(Rejected::poison("invalid_type", "x")),
                b'p' => panic!("a defect of the room"),
                b't' => {
                    tx.execute(query("INSERT INTO nowhere VALUES (1)")).await?;
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }
}

#[derive(Default)]
struct Shelf {
    letters: Mutex<Vec<(i64, String)>>,
    full: AtomicBool,
}

impl DeadLetters for Shelf {
    fn park<'a>(&'a self, message: &'a Received, reason: &'a str, _: &'a str) -> Publishing<'a> {
        Box::pin(async move {
            if self.full.load(Ordering::SeqCst) {
                return Err(BusError("away".to_owned()));
            }
            let letter = (message.offset, reason.to_owned());
            self.letters.lock().push(letter);
            Ok(())
        })
    }
}

struct Rig {
    inbox: Inbox,
    writer: Arc<Writer>,
    shelf: Arc<Shelf>,
}

async fn rig() -> Rig {
    let db = Db::open_memory().await.expect("opens");
    db.migrate(&MIGRATIONS, 0).await.expect("migrates");
    db.migrate(&EFFECTS, 0).await.expect("migrates");
    let (writer, shelf) = (Arc::new(Writer::default()), Arc::new(Shelf::default()));
    let inbox = Inbox {
        db,
        group: "g".into(),
        handler: writer.clone(),
        letters: shelf.clone(),
        clock: Arc::new(ManualClock::new(0)),
    };
    Rig {
        inbox,
        writer,
        shelf,
    }
}

fn messages(values: &[&str]) -> Vec<Received> {
    let message = |(offset, value): (usize, &&str)| Received {
        topic: "t".into(),
        partition: 0,
        offset: offset as i64,
        key: None,
        value: Bytes::copy_from_slice(value.as_bytes()),
        headers: Vec::new(),
    };
    values.iter().enumerate().map(message).collect()
}

impl Rig {
    async fn effects(&self) -> Vec<i64> {
        let rows = self
            .inbox
            .db
            .fetch_all(query("SELECT n FROM effects ORDER BY n"))
            .await
            .expect("reads");
        rows.iter().map(|row| row.get("n").expect("n")).collect()
    }

    async fn next(&self) -> Option<i64> {
        self.inbox.next_offset("t", 0).await.expect("reads")
    }
}

#[tokio::test]
async fn what_comes_twice_has_its_effect_once() {
    let rig = rig().await;
    let all = messages(&["1", "2", "3"]);
    let taken = rig.inbox.take(&all[..2]).await.expect("taken");
    assert_eq!((taken.handled, taken.known), (2, 0));
    let taken = rig.inbox.take(&all).await.expect("taken");
    assert_eq!((taken.handled, taken.known), (1, 2));
    assert_eq!(rig.effects().await, [1, 2, 3]);
    assert_eq!(rig.next().await, Some(3));
}

#[tokio::test]
async fn poison_is_put_aside_and_stops_nothing() {
    let rig = rig().await;
    let all = messages(&["1", "x2", "p3", "t4", "5"]);
    let taken = rig.inbox.take(&all).await.expect("taken");
    assert_eq!((taken.handled, taken.known, taken.parked), (2, 0, 3));
    assert_eq!(rig.effects().await, [1, 5], "rejected effects are undone");
    let letters = rig.shelf.letters.lock().clone();
    let expected = [
        (1, "invalid_type".to_owned()),
        (2, "handler_panicked".to_owned()),
        (3, "handler_failed".to_owned()),
    ];
    assert_eq!(letters, expected);
    let again = rig.inbox.take(&all).await.expect("taken");
    assert_eq!((again.known, again.parked), (5, 0), "parked once");
}

#[tokio::test]
async fn what_cannot_be_handled_now_waits_with_what_follows() {
    let rig = rig().await;
    let all = messages(&["1", "2"]);
    rig.writer.closed.store(true, Ordering::SeqCst);
    let stalled = rig.inbox.take(&all).await.expect_err("stalls");
    assert_eq!(stalled, Stalled("closed".to_owned()));
    assert_eq!((rig.effects().await, rig.next().await), (vec![], None));
    rig.writer.closed.store(false, Ordering::SeqCst);
    rig.inbox.take(&all).await.expect("taken");
    assert_eq!(rig.effects().await, [1, 2]);
}

#[tokio::test]
async fn poison_that_cannot_be_put_aside_is_not_passed_over() {
    let rig = rig().await;
    let all = messages(&["x1", "2"]);
    rig.shelf.full.store(true, Ordering::SeqCst);
    rig.inbox.take(&all).await.expect_err("stalls");
    assert_eq!((rig.effects().await, rig.next().await), (vec![], None));
    rig.shelf.full.store(false, Ordering::SeqCst);
    let taken = rig.inbox.take(&all).await.expect("taken");
    assert_eq!((taken.handled, taken.parked), (1, 1));
}

#[test]
fn the_last_header_of_a_name_counts() {
    let mut message = messages(&["1"]).remove(0);
    for value in ["a", "b"] {
        message.headers.push(("h".into(), value.into()));
    }
    assert_eq!(
        (message.header("h"), message.header("i")),
        (Some("b"), None)
    );
}
