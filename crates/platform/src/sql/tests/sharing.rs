//! Two processes on one store.

use std::sync::Arc;

use super::*;
use crate::testing::process::Standstill;

/// Reads a number, then writes it one larger: right only if nobody writes between.
async fn count_up(db: &Db, id: &str, keyed: bool) -> Result<(), SqlError> {
    let mut tx = match keyed {
        true => db.begin_keyed(id).await?,
        false => db.begin().await?,
    };
    let select = query("SELECT n FROM things WHERE id = $1").bind(id);
    let row = tx.fetch_optional(select).await?.expect("there");
    let next = row.get::<i64>("n")? + 1;
    tokio::task::yield_now().await;
    let update = query("UPDATE things SET n = $2 WHERE id = $1");
    tx.execute(update.bind(id).bind(next)).await?;
    tx.commit().await
}

async fn number(db: &Db, id: &str) -> i64 {
    let select = query("SELECT n FROM things WHERE id = $1").bind(id);
    let row = db.fetch_optional(select).await.unwrap().unwrap();
    row.get("n").unwrap()
}

async fn a_lane_has_one_writer() {
    let db = with_things().await.lane("things");
    for id in ["a", "b"] {
        db.execute(insert(id)).await.unwrap();
    }
    let other = neighbour(&db).await.lane("things");
    let mut running = tokio::task::JoinSet::new();
    for at in 0..40 {
        let db = if at % 2 == 0 {
            db.clone()
        } else {
            other.clone()
        };
        let id = if at % 4 < 2 { "a" } else { "b" };
        running.spawn(async move { count_up(&db, id, at % 3 == 0).await });
    }
    for done in running.join_all().await {
        done.unwrap();
    }
    assert_eq!(
        number(&db, "a").await + number(&other, "b").await,
        5 + 5 + 40
    );
}

crate::testing::conformance! { a_lane_has_one_writer }

#[tokio::test]
async fn lanes_and_keys_pass_each_other_on_postgres() {
    let Some(server) = crate::testing::postgres::TestPostgres::start().await else {
        return;
    };
    let db = crate::testing::on(&server, with_things()).await;
    let (one, other) = (db.lane("one"), db.lane("other"));
    let held = one.begin().await.unwrap();
    other
        .begin()
        .await
        .expect("another lane")
        .commit()
        .await
        .unwrap();
    drop(held);

    let held = one.begin_keyed("a").await.unwrap();
    one.begin_keyed("b")
        .await
        .expect("another key")
        .commit()
        .await
        .unwrap();
    let whole = {
        let one = one.clone();
        tokio::spawn(async move { one.begin().await?.commit().await })
    };
    // The waiting is seen by the server, so that the test need not guess a time.
    let waits = "SELECT COUNT(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    loop {
        let row = db.fetch_optional(query(waits)).await.unwrap().unwrap();
        if row.get::<i64>("n").unwrap() == 1 {
            break;
        }
        assert!(
            !whole.is_finished(),
            "the lane as a whole waits for its keys"
        );
    }
    held.commit().await.unwrap();
    whole.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_transaction_that_waits_too_long_is_refused_in_time_on_postgres() {
    let Some(server) = crate::testing::postgres::TestPostgres::start().await else {
        return;
    };
    let ready = server.fresh().await;
    let settings = PostgresSettings {
        patience: PATIENCE,
        ..ready.postgres_settings().expect("a server")
    };
    let db = Db::open_postgres(settings).await.unwrap();
    let held = ready.begin().await.unwrap();
    let standstill = Standstill::watch();
    let started = std::time::Instant::now();
    let refused = db.begin().await.unwrap_err();
    assert_eq!(refused.code(), "store_unavailable", "{refused}");
    let took = started.elapsed().saturating_sub(standstill.lost());
    assert!(took < std::time::Duration::from_millis(1_000), "{took:?}");
    drop(held);
    db.patient()
        .begin()
        .await
        .expect("its turn")
        .commit()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_pool_refuses_in_time_and_is_counted_on_postgres() {
    let Some(server) = crate::testing::postgres::TestPostgres::start().await else {
        return;
    };
    server.fresh().await.close().await;
    let settings = PostgresSettings {
        pool_max: 2,
        patience: PATIENCE,
        ..server.settings()
    };
    let db = Db::open_postgres(settings).await.unwrap();
    let held = [
        db.patient().lane("a").begin().await.unwrap(),
        db.patient().lane("b").begin().await.unwrap(),
    ];
    let stats = db.pool_stats();
    assert_eq!((stats.active, stats.idle, stats.max), (2, 0, 2));
    let standstill = Standstill::watch();
    let started = std::time::Instant::now();
    assert!(matches!(db.ping().await, Err(SqlError::Unavailable(_))));
    let took = started.elapsed().saturating_sub(standstill.lost());
    assert!(took < std::time::Duration::from_millis(1_000), "{took:?}");
    for tx in held {
        tx.commit().await.unwrap();
    }
    db.ping().await.unwrap();
}

/// A column added by a newer release changes what `SELECT *` answers on connections that have
/// prepared it.
#[tokio::test]
async fn a_widened_table_is_read_on_without_an_error_on_postgres() {
    let Some(server) = crate::testing::postgres::TestPostgres::start().await else {
        return;
    };
    let db = crate::testing::on(&server, with_things()).await;
    db.execute(insert("a")).await.unwrap();
    let read = || query("SELECT * FROM things WHERE id = $1").bind("a");
    let all = futures_util::future::join_all((0..8).map(|_| db.fetch_all(read())));
    assert!(all.await.iter().all(Result::is_ok));
    const WIDER: Migrations = Migrations {
        room: "wider",
        steps: &[Migration {
            version: 2,
            name: "wider",
            sqlite: "SELECT 1",
            postgres: "ALTER TABLE things ADD COLUMN more BIGINT",
        }],
    };
    let newer = neighbour(&db).await;
    newer.migrate(&WIDER, 1).await.unwrap();
    for _ in 0..20 {
        let rows = db.fetch_all(read()).await.expect("reads on");
        assert_eq!(rows[0].get::<Option<i64>>("more").unwrap(), None);
    }
    let db = Arc::new(db);
    let mut tx = db.begin().await.unwrap();
    assert_eq!(tx.fetch_all(read()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_probe_says_what_is_wrong_on_postgres() {
    use super::super::PostgresTrouble as T;
    let Some(server) = crate::testing::postgres::TestPostgres::start().await else {
        return;
    };
    let db = server.fresh().await;
    let settings = db.postgres_settings().expect("a server");
    let seen = probe_postgres(&settings).await.unwrap();
    assert!(seen.version >= 130_000 && seen.has_schema && seen.may_create && !seen.is_standby);
    assert!(!seen.is_durable, "the test's server does not sync");
    let with = |url: String| PostgresSettings {
        url: florin_base::Secret::new(url),
        ..settings.clone()
    };
    let url = settings.url.expose();
    let cases = [
        (url.replace("/postgres", "/nothing"), T::NoDatabase),
        (url.replace("florin@", "nobody@"), T::LogIn),
        (format!("{url}?sslmode=require"), T::Tls),
        (
            "postgres://florin@127.0.0.1:1/postgres".to_owned(),
            T::Unreachable,
        ),
    ];
    for (url, expected) in cases {
        let (trouble, words) = probe_postgres(&with(url)).await.unwrap_err();
        assert_eq!(trouble, expected, "{words}");
    }
}

/// `sslmode` and `sslrootcert` mean what the server's own clients mean by them.
/// DEP-066 of the deployment contract.
#[tokio::test]
async fn tls_is_as_strict_as_asked_on_postgres() {
    use super::super::PostgresTrouble as T;
    use crate::testing::postgres::TestPostgres;
    crate::http::client::install_crypto();
    let Some(server) = TestPostgres::start_with_tls().await else {
        return;
    };
    // Answers when the server is up.
    server.fresh().await.close().await;
    let look = async |host: &str, query: &str| {
        let url = format!("postgres://florin@{host}:{}/postgres{query}", server.port());
        let settings = PostgresSettings::new(florin_base::Secret::new(url));
        probe_postgres(&settings).await.map(|seen| seen.tls)
    };
    let root = format!("&sslrootcert={}", server.certificate().display());
    assert_eq!(look("127.0.0.1", "?sslmode=disable").await, Ok(false));
    assert_eq!(look("127.0.0.1", "").await, Ok(true), "preferred");
    let mode = |mode: &str, rest: &str| format!("?sslmode={mode}{rest}");
    assert_eq!(look("127.0.0.1", &mode("require", "")).await, Ok(true));
    assert_eq!(
        look("localhost", &mode("verify-full", &root)).await,
        Ok(true)
    );
    assert_eq!(look("127.0.0.1", &mode("verify-ca", &root)).await, Ok(true));
    for (host, query) in [
        ("127.0.0.1", mode("verify-full", &root)),
        ("localhost", mode("verify-full", "")),
        ("localhost", mode("verify-ca", "")),
    ] {
        let (trouble, words) = look(host, &query).await.expect_err("not trusted");
        assert_eq!(trouble, T::Tls, "{host} {query}: {words}");
    }
}

/// What no request waits for may take longer than one that does, also when it is a single read.
#[tokio::test]
async fn patient_reads_take_their_time_on_postgres() {
    let Some(server) = crate::testing::postgres::TestPostgres::start().await else {
        return;
    };
    let ready = server.fresh().await;
    let settings = PostgresSettings {
        patience: std::time::Duration::from_millis(400),
        ..ready.postgres_settings().expect("PostgreSQL")
    };
    let db = Db::open_postgres(settings).await.unwrap();
    let slow = || query("SELECT 7::bigint AS n FROM pg_sleep(1)");
    let refused = db.fetch_all(slow()).await.unwrap_err();
    assert_eq!(refused.code(), "store_unavailable", "{refused}");
    let rows = db.patient().fetch_all(slow()).await.expect("in time");
    assert_eq!(rows[0].get::<i64>("n").unwrap(), 7);
}
