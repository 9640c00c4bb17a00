//! INV-S6 and INV-S11: what is derived follows from the log, and what does not is named.

use florin_platform::sql::{Db, query};
use florin_shadow::store::Settings;
use florin_shadow::store::rebuild::{Report, Request, swap, verify};
use florin_shadow::worker::deadlines;

use crate::permutations::Chance;
use crate::support::{Bench, bench, event, take};

async fn busy() -> Bench {
    let bench = bench(Settings::default()).await;
    let mut chance = Chance::fresh();
    for round in 0..20 {
        let events = (0..40)
            .map(|n| {
                let amount = i128::from(chance.next(100) + 1);
                let signed = if chance.next(2) == 0 { amount } else { -amount };
                let account = format!("A{}", chance.next(4));
                let at = 1_735_000_000_000 + chance.next(1_000) as i64;
                event(&format!("E{round}-{n}"), &account, signed, at)
            })
            .collect();
        take(&bench.shadow, events).await;
        bench.clock.advance(5_000_000);
        deadlines::work_all(&bench.shadow).await.expect("works");
    }
    bench
}

async fn look(db: &Db) -> Report {
    verify(db, &Request::default(), &|_| {})
        .await
        .expect("could run")
}

#[tokio::test]
pub async fn inv_s6_rebuilt_equals_live_and_an_altered_row_is_named() {
    let bench = busy().await;
    let Report::Equal { books, events, .. } = look(&bench.db).await else {
        panic!("not equal");
    };
    assert_eq!((books, events), (4, 800));
    bench
        .db
        .execute(query(
            "UPDATE shadow_entries SET m0 = m0 + 1 WHERE event_id = 'E3-7'",
        ))
        .await
        .expect("derived rows may be altered");
    let report = look(&bench.db).await;
    let Report::Divergence {
        divergent_books,
        first_divergence,
        ..
    } = &report
    else {
        panic!("{report:?}");
    };
    assert_eq!(*divergent_books, 1);
    assert_eq!(first_divergence.event_id, "E3-7");
    assert_eq!(first_divergence.field, "amount");
    bench
        .db
        .execute(query("DELETE FROM shadow_entries WHERE event_id = 'E1-0'"))
        .await
        .expect("derived rows may be deleted");
    let Report::Divergence {
        first_divergence, ..
    } = look(&bench.db).await
    else {
        panic!("a missing row was not found");
    };
    assert_eq!(
        (first_divergence.event_id.as_str(), first_divergence.field),
        ("E1-0", "presence")
    );
    let report = swap(&bench.db, &Request::default(), &|_| {})
        .await
        .expect("could run");
    assert!(report.is_good(), "{report:?}");
    // The writer forgets what it remembered and goes on.
    let outcome = take(
        &bench.shadow,
        vec![event("AFTER", "A1", 5, 1_735_000_000_000)],
    )
    .await;
    assert_eq!(outcome.len(), 1);
    assert!(look(&bench.db).await.is_good());
}

/// INV-S11: an edit of the log behind the database's back is found, and a head that somebody
/// kept proves a rewritten end.
#[tokio::test]
async fn inv_s11_an_edited_log_is_a_broken_chain() {
    let bench = busy().await;
    let head = florin_shadow::store::read::head(&bench.db)
        .await
        .expect("a head");
    let kept = Request {
        expect_head: Some((head.log_seq, head.hash)),
        account: None,
    };
    let report = verify(&bench.db, &kept, &|_| {}).await.expect("could run");
    assert!(report.is_good());
    let other = Request {
        expect_head: Some((5, [9; 32])),
        account: None,
    };
    let report = verify(&bench.db, &other, &|_| {}).await.expect("could run");
    assert!(
        matches!(report, Report::Chain { broken_at: 5, .. }),
        "{report:?}"
    );
    for text in [
        "DROP TRIGGER shadow_log_no_update",
        "UPDATE shadow_log SET actor = 'mallory' WHERE log_seq = 17",
    ] {
        bench.db.execute(query(text)).await.expect(text);
    }
    let report = look(&bench.db).await;
    assert!(
        matches!(report, Report::Chain { broken_at: 17, .. }),
        "{report:?}"
    );
    let report = swap(&bench.db, &Request::default(), &|_| {})
        .await
        .expect("could run");
    assert!(matches!(report, Report::Chain { .. }), "nothing is swapped");
}
