//! The same promises on PostgreSQL, with two processes that share one log.

use florin_base::Clock as _;
use florin_platform::sql::query;
use florin_platform::testing::postgres::TestPostgres;
use florin_shadow::store::Settings;
use florin_shadow::store::intake::Outcome;
use florin_shadow::store::rebuild::{Request, swap, verify};
use florin_shadow::worker::deadlines;

use crate::desk::{SECOND, arrival, build_at};
use crate::permutations::Chance;
use crate::support::{NOW, bench_on, event, take};
use crate::web::{ADMIN, json, over};

const TIME: i64 = 1_735_561_800_000;

#[tokio::test]
async fn inv_s6_two_writers_share_one_log_on_postgres() {
    let Some(server) = TestPostgres::start().await else {
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

/// INV-S18, INV-S19: whichever process a decision reaches, one wins, nobody applies his own above
/// the limit, and the books hold what was decided.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn inv_s18_deciders_of_two_processes_race_for_one_correction() {
    const ROUNDS: i64 = 15;
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let db = server.fresh().await;
    let one = build_at(bench_on(db.clone(), arrival()).await, |_| {}, None);
    let two = build_at(bench_on(db.clone(), arrival()).await, |_| {}, None);
    let ms = NOW / 1_000;
    one.event("E1", "A1", "credit", "10000", ms - 10).await;
    let mut applied = 0;
    for n in 0..ROUNDS {
        let body = format!(r#"{{"type":"debit","amount":500,"reason":"r","eventId":"C{n}"}}"#);
        one.admin(ADMIN, "correct/A1", &body).await.ok(202);
        let approve = format!("corrections/C{n}/approve");
        let reject = format!("corrections/C{n}/reject");
        let meanwhile = format!("F{n}");
        let (own, first, second, no, _) = tokio::join!(
            two.admin(ADMIN, &approve, ""),
            one.admin(SECOND, &approve, ""),
            two.admin(SECOND, &approve, ""),
            one.admin(ADMIN, &reject, r#"{"reason":"no"}"#),
            // The book changes in the other process meanwhile.
            two.event(&meanwhile, "A1", "credit", "1", ms - 5),
        );
        assert!(
            own.code() == (403, "four_eyes_required") || own.code() == (409, "invalid_state"),
            "{}",
            own.text
        );
        let mut won = 0;
        for reply in [&first, &second, &no] {
            match reply.status {
                200 => won += 1,
                _ => assert_eq!(reply.code(), (409, "invalid_state"), "{}", reply.text),
            }
        }
        assert_eq!(won, 1, "round {n}");
        let status = one.status(&format!("C{n}")).await;
        assert_eq!(two.status(&format!("C{n}")).await, status);
        applied += i64::from(status == "applied");
        assert_eq!(status == "rejected", no.status == 200, "{status}");
    }
    for house in [&one, &two] {
        assert_eq!(house.balance("A1").await, 10_000 + ROUNDS - 500 * applied);
    }
    let alone = "SELECT COUNT(*) AS n FROM shadow_corrections
        WHERE status = 'applied' AND proposed_by = approved_by";
    let alone = db.fetch_all(query(alone)).await.expect("reads");
    assert_eq!(alone[0].get::<i64>("n").expect("a number"), 0, "four eyes");
    let report = verify(&db, &Request::default(), &|_| {}).await;
    assert!(report.expect("runs").is_good());
}

/// INV-S4, INV-S9: two processes decide what is due while both take events in; each event is
/// decided for good once, and a process that starts anew goes on where they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn inv_s9_two_processes_decide_what_is_due_once() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let db = server.fresh().await;
    let mut first = bench_on(db.clone(), Settings::default()).await;
    let second = bench_on(db.clone(), Settings::default()).await;
    let mut chance = Chance::fresh();
    for round in 0..10 {
        let mut batch = |name: &str| -> Vec<_> {
            (0..30)
                .map(|n| {
                    let amount = i128::from(chance.next(100) + 1);
                    let signed = if chance.next(2) == 0 { amount } else { -amount };
                    let at = TIME + chance.next(500) as i64;
                    event(
                        &format!("{name}{round}-{n}"),
                        &format!("A{}", n % 4),
                        signed,
                        at,
                    )
                })
                .collect()
        };
        let (one, two) = (batch("X"), batch("Y"));
        first.clock.advance(17_000_000);
        second.clock.advance(17_000_000);
        let (_, _, due, also_due) = tokio::join!(
            take(&first.shadow, one),
            take(&second.shadow, two),
            deadlines::work_all(&first.shadow),
            deadlines::work_all(&second.shadow),
        );
        due.expect("works");
        also_due.expect("works");
        if round % 3 == 2 {
            let clock = first.clock.clone();
            first = bench_on(db.clone(), Settings::default()).await;
            first.clock.advance(clock.wall_micros() - NOW);
        }
    }
    first.clock.advance(60_000_000);
    second.clock.advance(60_000_000);
    let (one, two) = tokio::join!(
        deadlines::work_all(&first.shadow),
        deadlines::work_all(&second.shadow)
    );
    one.expect("works");
    two.expect("works");
    let count = |text: &'static str| {
        let db = db.clone();
        async move {
            let rows = db.fetch_all(query(text)).await.expect("reads");
            rows[0].get::<i64>("n").expect("a number")
        }
    };
    assert_eq!(count("SELECT COUNT(*) AS n FROM shadow_entries").await, 600);
    let open = "SELECT COUNT(*) AS n FROM shadow_entries WHERE is_open";
    assert_eq!(count(open).await, 0, "all is decided");
    let twice = "SELECT COUNT(*) AS n FROM (SELECT subject FROM shadow_log
        WHERE kind = 'final' OR (kind = 'decision' AND body LIKE '%\"final\":true%')
        GROUP BY subject HAVING COUNT(*) > 1) AS f";
    assert_eq!(count(twice).await, 0, "each is final once");
    let report = verify(&db, &Request::default(), &|_| {}).await;
    assert!(report.expect("runs").is_good());
    let web = over(second);
    for account in 0..4 {
        let path = format!("/api/v1/shadow/accounts/A{account}/entries?limit=500");
        let page = web.get(&path).await.ok(200);
        for item in page.body["items"].as_array().expect("items") {
            let running = item["runningBalance"].as_f64().expect("a number");
            assert!(running >= 0.0, "INV-S4 {item}");
        }
    }
}
