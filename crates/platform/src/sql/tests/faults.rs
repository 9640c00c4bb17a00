//! The server goes away in the middle of the work.

use std::time::Instant;

use super::*;
use crate::testing::postgres::TestPostgres;
use crate::testing::process::Standstill;

/// The ledger contract's bound for `store_unavailable` (ledger-wallets.md, part E).
const BOUND: Duration = Duration::from_secs(1);

async fn impatient(server: &TestPostgres) -> Db {
    let ready = server.fresh().await;
    ready.migrate(&THINGS, 7).await.unwrap();
    let settings = PostgresSettings {
        patience: PATIENCE,
        ..ready.postgres_settings().expect("a server")
    };
    Db::open_postgres(settings).await.unwrap()
}

#[tokio::test]
async fn a_server_that_hangs_is_reported_within_a_second_on_postgres() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let db = impatient(&server).await;
    db.execute(insert("a")).await.unwrap();
    let mut caught = db.lane("caught").begin().await.unwrap();
    caught.execute(insert("b")).await.unwrap();
    server.freeze(true);
    let standstill = Standstill::watch();
    let started = Instant::now();
    let (read, written, committed) = tokio::join!(
        db.fetch_all(query("SELECT id FROM things")),
        db.execute(insert("c")),
        caught.commit()
    );
    let took = started.elapsed().saturating_sub(standstill.lost());
    assert!(took < BOUND, "{took:?}");
    assert_eq!(read.unwrap_err().code(), "store_unavailable");
    assert_eq!(written.unwrap_err().code(), "store_unavailable");
    assert_eq!(committed.unwrap_err().code(), "commit_unknown");
    server.freeze(false);
    let patient = db.patient();
    patient
        .execute(insert("d"))
        .await
        .expect("recovers by itself");
    let select = "SELECT id FROM things WHERE id IN ('c', 'd')";
    let rows = patient.fetch_all(query(select)).await.unwrap();
    let ids: Vec<String> = rows.iter().map(|row| row.get("id").unwrap()).collect();
    assert_eq!(ids, ["d"], "what was refused was not done");
}

#[tokio::test]
async fn a_server_that_crashed_is_found_again_on_postgres() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let db = impatient(&server).await;
    // Several connections, all of which die.
    let opened = futures_util::future::join_all((0..6).map(|_| db.ping())).await;
    assert!(opened.iter().all(Result::is_ok));
    let mut caught = db.begin().await.unwrap();
    caught.execute(insert("lost")).await.unwrap();
    server.crash();
    assert_eq!(
        caught.commit().await.unwrap_err().code(),
        "commit_unknown",
        "nobody can say"
    );
    let standstill = Standstill::watch();
    let started = Instant::now();
    assert_eq!(db.ping().await.unwrap_err().code(), "store_unavailable");
    let took = started.elapsed().saturating_sub(standstill.lost());
    assert!(took < BOUND, "{took:?}");
    server.run();
    let patient = db.patient();
    patient.execute(insert("a")).await.expect("found again");
    assert_eq!(count(&patient).await, 1);
}

/// A connection that the server ended while nobody used it costs no caller anything.
#[tokio::test]
async fn ended_connections_are_replaced_unseen_on_postgres() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let db = crate::testing::on(&server, with_things()).await;
    let opened = futures_util::future::join_all((0..6).map(|_| db.ping())).await;
    assert!(opened.iter().all(Result::is_ok));
    let admin = neighbour(&db).await;
    let end = "SELECT COUNT(pg_terminate_backend(pid)) AS n FROM pg_stat_activity
               WHERE application_name = 'florin' AND pid <> pg_backend_pid()
               AND state = 'idle'";
    let row = admin.fetch_optional(query(end)).await.unwrap().unwrap();
    assert!(row.get::<i64>("n").unwrap() >= 1);
    db.execute(insert("a")).await.expect("replaced");
    assert_eq!(count(&db).await, 1);
}

/// A process that stops inside a transaction must not hold the others up for ever.
#[tokio::test]
async fn a_stopped_writer_loses_its_lane_on_postgres() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let db = impatient(&server).await;
    let mut stopped = db.begin().await.unwrap();
    stopped.execute(insert("a")).await.unwrap();
    let other = neighbour(&db).await.patient();
    other.execute(insert("b")).await.expect("its turn comes");
    let late = stopped.commit().await.unwrap_err();
    assert_eq!(late.code(), "store_unavailable", "{late}");
    assert_eq!(count(&other).await, 1, "and nothing of it stayed");
}
