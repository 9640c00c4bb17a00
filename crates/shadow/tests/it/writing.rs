//! The log and its writer.

use std::sync::atomic::{AtomicBool, Ordering};

use florin_platform::sql::query;
use florin_shadow::model::State;
use florin_shadow::store::Settings;
use florin_shadow::store::intake::Outcome;
use florin_shadow::worker::outbox::{Delivering, End, Outlet, Passing, Told, advance, position};
use parking_lot::Mutex;

use crate::support::{bench, event, take};

#[tokio::test]
pub async fn an_event_is_recorded_once_and_told_apart_after_that() {
    let bench = bench(Settings::default()).await;
    let first = event("E1", "A1", 500, 1_735_000_000_000);
    let outcome = take(&bench.shadow, vec![first.clone()]).await;
    let Outcome::Accepted { state, log_seq, .. } = outcome[0] else {
        panic!("{outcome:?}");
    };
    assert_eq!((state, log_seq), (State::Applied, 1));
    let again = take(&bench.shadow, vec![first]).await;
    assert!(matches!(again[0], Outcome::Duplicate { .. }), "{again:?}");
    let other = take(
        &bench.shadow,
        vec![event("E1", "A1", 501, 1_735_000_000_000)],
    )
    .await;
    let Outcome::Conflict {
        first_difference,
        incident: Some(_),
        ..
    } = &other[0]
    else {
        panic!("{other:?}");
    };
    assert_eq!(*first_difference, "amount");
    let rows = bench
        .db
        .fetch_all(query(
            "SELECT log_seq, kind FROM shadow_log ORDER BY log_seq",
        ))
        .await
        .expect("reads");
    let kinds: Vec<String> = rows.iter().map(|r| r.get("kind").expect("kind")).collect();
    assert_eq!(kinds, ["event", "incident"]);
}

/// INV-S11: the database itself refuses to change or delete a record.
#[tokio::test]
async fn inv_s11_the_log_refuses_update_and_delete() {
    let bench = bench(Settings::default()).await;
    take(&bench.shadow, vec![event("E1", "A1", 5, 1_735_000_000_000)]).await;
    for text in [
        "UPDATE shadow_log SET body = '{}'",
        "DELETE FROM shadow_log",
    ] {
        let refused = bench.db.execute(query(text)).await.expect_err(text);
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
}

/// Somebody may come and go.
#[derive(Default)]
struct Door {
    somebody: AtomicBool,
    told: Mutex<Vec<i64>>,
}

impl Outlet for Door {
    fn pass<'a>(&'a self, end: End<'a>) -> Passing<'a> {
        Box::pin(async move {
            match self.somebody.load(Ordering::SeqCst) {
                true => Ok(None),
                false => end.await.map(Some),
            }
        })
    }

    fn deliver<'a>(&'a self, told: &'a [Told]) -> Delivering<'a> {
        self.told.lock().extend(told.iter().map(|one| one.log_seq));
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn what_nobody_wants_is_passed_without_being_read() {
    let bench = bench(Settings::default()).await;
    let feed = |ids: [&str; 2]| ids.map(|id| event(id, "A1", 5, 1_735_000_000_000)).to_vec();
    let door = Door::default();
    let go_on = || advance(&bench.shadow, "test", &door);
    take(&bench.shadow, feed(["E1", "E2"])).await;
    assert_eq!(go_on().await.expect("passes"), None);
    let stands = position(&bench.shadow, "test").await;
    assert_eq!(stands.expect("a position"), 2);
    door.somebody.store(true, Ordering::SeqCst);
    take(&bench.shadow, feed(["E3", "E4"])).await;
    assert_eq!(go_on().await.expect("tells"), Some(2));
    assert_eq!(*door.told.lock(), [3, 4]);
}

/// Wall time of a large intake on a real file, printed for whoever looks; asserts the counts.
#[tokio::test]
#[ignore = "a measurement"]
async fn measure_batches() {
    use crate::support::bench_on;
    use florin_platform::sql::Db;
    let dir = tempfile::tempdir().expect("folder");
    let db = Db::open_sqlite(&dir.path().join("shadow.db"))
        .await
        .expect("opens");
    let bench = bench_on(db, Settings::default()).await;
    for round in 0..10_u64 {
        let events = (0..10_000_u64)
            .map(|n| {
                let id = round * 10_000 + n;
                let account = format!("ACC-{}", (id * 7_919) % 100_000);
                let signed = if id % 2 == 0 { 1_000 } else { -10 };
                event(
                    &format!("EVT-{id:09}"),
                    &account,
                    signed,
                    1_735_000_000_000 + id as i64,
                )
            })
            .collect();
        let started = std::time::Instant::now();
        let outcomes = take(&bench.shadow, events).await;
        println!("round {round}: {:?}", started.elapsed());
        assert_eq!(outcomes.len(), 10_000);
    }
    let started = std::time::Instant::now();
    for round in 0..10_u64 {
        let events = (0..10_000_u64)
            .map(|n| {
                let id = round * 10_000 + n;
                let signed = if id % 2 == 0 { 1_000 } else { -10 };
                event(
                    &format!("ONE-{id:09}"),
                    "ONE",
                    signed,
                    1_735_000_000_000 + id as i64,
                )
            })
            .collect();
        take(&bench.shadow, events).await;
    }
    println!("one book, 100,000: {:?}", started.elapsed());
}
