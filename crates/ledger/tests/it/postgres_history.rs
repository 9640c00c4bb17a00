//! What a replica must not believe: a database with another history, and its own clock when that
//! is wrong.

use std::{sync::Arc, time::Duration};

use florin_base::clock::{Clock, ManualClock, SystemClock};
use florin_ledger::{Ledger, Policy, Unavailable};

use super::{
    postgres_server,
    postgres_site::{Site, accounts, check, runtime, transfer, transfers},
};

const DAY: i64 = 86_400_000_000;

/// Ends every session of Florin on the server, so that the next call connects anew.
async fn end_sessions(site: &Site) {
    let mut sql = site.sql().await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'florin' AND pid <> pg_backend_pid()",
    )
    .execute(&mut sql)
    .await
    .expect("ended");
}

#[test]
fn a_database_that_lacks_acknowledged_commits_is_refused_until_a_restart() {
    let Some(server) = postgres_server::Server::start("-c fsync=off") else {
        println!("SKIPPED a_database_that_lacks_acknowledged_commits: PostgreSQL is not installed");
        return;
    };
    let site = Site::new(&server);
    runtime().block_on(async {
        let ledger = site.open("a").await;
        accounts(&ledger, 0).await;
        let call = |id: &str| transfers(vec![transfer(id, "x", "y", 5)]);
        ledger.submit(call("one")).await.expect("an answer");
        ledger.submit(call("two")).await.expect("an answer");
        // As after a fail-over to a standby that was behind: the last commit has another content.
        let mut sql = site.sql().await;
        sqlx::raw_sql(
            "UPDATE batches SET chain = '\\x00' WHERE batch = (SELECT max(batch) FROM batches)",
        )
        .execute(&mut sql)
        .await
        .expect("changed");
        end_sessions(&site).await;
        let refused = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let answer = ledger.submit(call("three")).await;
                if ledger.status().failed.is_some() {
                    return answer;
                }
            }
        });
        let refused = refused.await.expect("it is noticed");
        assert!(
            matches!(refused, Err(Unavailable::StoreUnavailable)),
            "{refused:?}"
        );
        let again = ledger.submit(call("four")).await;
        assert!(
            matches!(again, Err(Unavailable::StoreUnavailable)),
            "{again:?}"
        );
        let why = ledger.status().failed.expect("said");
        assert!(why.contains("restored"), "{why}");
    });
}

/// Case 61, with a clock that is wrong from the start.
#[test]
fn a_clock_that_was_wrong_leaves_no_trace_in_ledger_time() {
    let Some(server) = postgres_server::shared("a_clock_that_was_wrong") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let good = site.open("good").await;
        accounts(&good, 0).await;
        let now = SystemClock.wall_micros();
        let clock = Arc::new(ManualClock::new(now + 2 * DAY));
        let wrong = Ledger::open_postgres(site.options("wrong"), Policy::default(), clock.clone());
        let wrong = wrong.await.expect("opens");
        let call = |id: &str| transfers(vec![transfer(id, "x", "y", 5)]);
        let refused = wrong.submit(call("early")).await;
        assert!(
            matches!(refused, Err(Unavailable::ClockUnsafe)),
            "{refused:?}"
        );
        clock.set_wall(now);
        let answer = wrong
            .submit(call("late"))
            .await
            .expect("the clock is right again");
        assert!(answer.recorded_at.0 < now + DAY, "{:?}", answer.recorded_at);
        good.submit(call("after")).await.expect("the others go on");
        check(&site).await;
    });
}
