//! The same promises on PostgreSQL, with two processes that share one log.

use florin_platform::testing::postgres::TestPostgres;
use florin_shadow::store::Settings;
use florin_shadow::store::intake::Outcome;
use florin_shadow::store::rebuild::{Request, swap, verify};
use florin_shadow::worker::deadlines;

use crate::permutations::Chance;
use crate::support::{bench_on, event, take};
use crate::web::{json, over};

const TIME: i64 = 1_735_561_800_000;

#[tokio::test]
async fn inv_s6_two_writers_share_one_log_on_postgres() {
    let Some(server) = TestPostgres::start().await else {
        println!("skipped: shadow on PostgreSQL, the server's programs are absent");
        return;
    };
    let db = server.fresh().await;
    let first = bench_on(db.clone(), Settings::default()).await;
    let second = bench_on(db.clone(), Settings::default()).await;
    let mut chance = Chance::fresh();
    for round in 0..12 {
        let writer = if round % 2 == 0 { &first } else { &second };
        let events = (0..60)
            .map(|n| {
                let amount = i128::from(chance.next(100) + 1);
                let signed = if chance.next(2) == 0 { amount } else { -amount };
                let at = TIME + chance.next(1_000) as i64;
                event(&format!("E{round}-{n}"), &format!("A{}", n % 3), signed, at)
            })
            .collect();
        for outcome in take(&writer.shadow, events).await {
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        }
        first.clock.advance(6_000_000);
        second.clock.advance(6_000_000);
        deadlines::work_all(&writer.shadow).await.expect("works");
    }
    let report = verify(&db, &Request::default(), &|_| {})
        .await
        .expect("runs");
    assert!(report.is_good(), "{report:?}");
    let report = swap(&db, &Request::default(), &|_| {}).await.expect("runs");
    assert!(report.is_good(), "{report:?}");
    let web = over(second);
    web.event(&json("LATE", "A1", "credit", "3.5", TIME))
        .await
        .ok(202);
    let balance = web
        .get("/api/v1/shadow/accounts/A1/shadow-balance?detail=true")
        .await
        .ok(200);
    let as_of = web
        .get(&format!(
            "/api/v1/shadow/accounts/A1/shadow-balance?asOf={}",
            TIME + 5_000
        ))
        .await
        .ok(200);
    assert_eq!(balance.body["balance"], as_of.body["balance"]);
    let page = web
        .get("/api/v1/shadow/accounts/A1/entries?limit=500")
        .await
        .ok(200);
    let items = page.body["items"].as_array().expect("items");
    let last = items.last().expect("entries");
    assert_eq!(last["runningBalance"], balance.body["balance"], "INV-S10");
    web.get("/api/v1/shadow/events/LATE").await.ok(200);
    web.put("/api/v1/shadow/books/A1/BRL", r#"{"floor":null}"#)
        .await
        .ok(200);
}
