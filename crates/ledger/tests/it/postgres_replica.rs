//! Reads that may be stale, on a real streaming standby (contract E): what they may lack, what
//! never asks it, and what happens when it is behind, hangs, or is away.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use florin_base::{Secret, clock::SystemClock};
use florin_ledger::{
    Answer, Call, Ledger, Policy, PostgresOptions, Query, ReadView, ResultCode, Unavailable, View,
    engine::{IdLookup, ReadError},
    model::AccountId,
};
use sqlx::{Connection, PgConnection};

use super::{
    postgres_proxy::Proxy,
    postgres_server::Server,
    postgres_site::{Site, accounts, check, codes, runtime, transfer, transfers},
};

/// Longest wait for something that comes by itself.
const SOON: Duration = Duration::from_secs(30);
/// A replica that hangs is left after 200 ms; the rest is the machine's.
const LEFT_IN: Duration = Duration::from_secs(3);

/// A primary and its standby, and ways to both that can be blocked.
struct Pair {
    site: Site,
    standby: Server,
    to_primary: Proxy,
    to_standby: Proxy,
}

fn servers(test: &str) -> Option<(Server, Server)> {
    let primary = Server::start("-c fsync=off");
    let pair = primary.and_then(|primary| {
        let standby = primary.standby()?;
        Some((primary, standby))
    });
    if pair.is_none() {
        println!("SKIPPED {test}: PostgreSQL is not installed");
    }
    pair
}

fn url(port: u16) -> String {
    format!("postgres://florin@127.0.0.1:{port}/postgres")
}

impl Pair {
    async fn new(primary: &Server, standby: Server) -> Self {
        Self {
            site: Site::new(primary),
            to_primary: Proxy::start(primary.port).await,
            to_standby: Proxy::start(standby.port).await,
            standby,
        }
    }

    /// A ledger that reads from the standby, both behind their proxies.
    async fn reader(&self) -> Ledger {
        let options = PostgresOptions {
            url: Secret::new(url(self.to_primary.port)),
            replica_url: Some(Secret::new(url(self.to_standby.port))),
            ..self.site.options("reader")
        };
        self.site.open_with(options).await
    }

    /// The last record that the standby has.
    async fn standby_seq(&self) -> u64 {
        let mut sql = PgConnection::connect(&self.standby.url).await.expect("up");
        let schema = self.site.options("").schema;
        let text = format!("SELECT seq FROM {schema}.head");
        let seq: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
            .fetch_one(&mut sql)
            .await
            .expect("a head");
        seq as u64
    }

    async fn replayed(&self, seq: u64) {
        until("replayed", async || self.standby_seq().await >= seq).await;
    }

    async fn replay(&self, goes_on: bool) {
        let mut sql = PgConnection::connect(&self.standby.url).await.expect("up");
        let text = match goes_on {
            true => "SELECT pg_wal_replay_resume()",
            false => "SELECT pg_wal_replay_pause()",
        };
        sqlx::raw_sql(text).execute(&mut sql).await.expect("done");
        let wanted = if goes_on { "not paused" } else { "paused" };
        until(wanted, async || {
            let mut sql = PgConnection::connect(&self.standby.url).await.expect("up");
            let state: String = sqlx::query_scalar("SELECT pg_get_wal_replay_pause_state()")
                .fetch_one(&mut sql)
                .await
                .expect("a state");
            state == wanted
        })
        .await;
    }
}

async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !so().await {
        assert!(started.elapsed() < SOON, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What another process posts; returns the `seq`.
async fn post(ledger: &Ledger, id: &str) -> u64 {
    let call = transfers(vec![transfer(id, "x", "y", 5)]);
    let answer = ledger.submit(call).await.expect("an answer");
    assert_eq!(codes(&answer), [ResultCode::Created], "{id}");
    ledger.durable_seq()
}

async fn lookup(view: ReadView, id: &'static str) -> Result<IdLookup, ReadError> {
    let found = tokio::task::spawn_blocking(move || view.transfer(id)).await;
    found.expect("no panic")
}

async fn heard(ledger: &Ledger, seq: u64) {
    let mut watch = ledger.watch();
    let heard = tokio::time::timeout(SOON, watch.wait_for(|known| *known >= seq)).await;
    heard.expect("in time").expect("open");
}

/// A view while the primary is blocked: a standby that took longer than 200 ms is left alone for a
/// second, and asked as long as the primary was heard of within 5.
async fn from_standby(ledger: &Ledger) -> ReadView {
    let blocked = Instant::now();
    loop {
        match ledger.recent_view(0).await {
            Ok(view) => return view,
            Err(Unavailable::StoreUnavailable) if blocked.elapsed() < Duration::from_secs(4) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(why) => panic!("not from the standby: {why:?}"),
        }
    }
}

/// The answer of a process that may still be on its way back to the primary: until it is there it
/// refuses at once, with nothing done.
async fn answered(ledger: &Ledger, call: Call) -> Answer {
    let started = Instant::now();
    loop {
        match ledger.submit(call.clone()).await {
            Err(Unavailable::StoreUnavailable) if started.elapsed() < SOON => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            answer => return answer.expect("an answer"),
        }
    }
}

#[test]
fn stale_reads_come_from_the_standby_and_lack_only_what_was_not_heard_of() {
    let Some((primary, standby)) = servers("stale_reads_come_from_the_standby") else {
        return;
    };
    runtime().block_on(async {
        let pair = Pair::new(&primary, standby).await;
        let writer = pair.site.open("writer").await;
        accounts(&writer, 0).await;
        let first = post(&writer, "one").await;
        let reader = pair.reader().await;
        heard(&reader, first).await;
        pair.replayed(first).await;

        // With the way to the primary blocked, only the standby can answer.
        pair.replay(false).await;
        pair.to_primary.block(true);
        let second = post(&writer, "two").await;
        let old = from_standby(&reader).await;
        assert_eq!(old.seq(), first, "what was posted since is not there");
        let found = lookup(old.clone(), "one").await.expect("found");
        assert!(matches!(found, IdLookup::Recorded(_)), "{found:?}");
        let found = lookup(old, "two").await.expect("an answer");
        assert!(matches!(found, IdLookup::Unknown), "{found:?}");
        // Who asks for more (X-Min-Seq) never gets less.
        let more = reader.recent_view(second).await.err();
        assert_eq!(more, Some(Unavailable::StoreUnavailable));

        // What this process has heard of is always there.
        pair.to_primary.block(false);
        heard(&reader, second).await;
        let new = reader.recent_view(0).await.expect("from the primary");
        assert_eq!((new.seq(), pair.standby_seq().await), (second, first));

        // Decisions and reads of one thing never ask the standby, which is still behind.
        let again = transfers(vec![transfer("two", "x", "y", 5)]);
        let again = answered(&reader, again).await;
        assert_eq!(codes(&again), [ResultCode::Exists]);
        let third = post(&reader, "three").await;
        let id = AccountId::parse("y").expect("an id");
        let now = reader.query(Query::Account(id)).await.expect("an answer");
        match now {
            View::Account(Some(account)) => {
                assert_eq!(account.totals.credits_posted.to_string(), "15");
            }
            other => panic!("no account: {other:?}"),
        }
        assert_eq!(pair.standby_seq().await, first);

        // It is used again once it has caught up.
        pair.replay(true).await;
        pair.replayed(third).await;
        until("used again", async || {
            let view = reader.recent_view(third).await.expect("a view");
            view.seq() == third
        })
        .await;
        check(&pair.site).await;
    });
}

#[test]
fn without_word_from_the_primary_the_standby_is_not_asked_for_long() {
    let Some((primary, standby)) = servers("without_word_from_the_primary") else {
        return;
    };
    runtime().block_on(async {
        let pair = Pair::new(&primary, standby).await;
        let writer = pair.site.open("writer").await;
        accounts(&writer, 0).await;
        let first = post(&writer, "one").await;
        let reader = pair.reader().await;
        heard(&reader, first).await;
        pair.replayed(first).await;
        pair.to_primary.block(true);
        // It may lag by 5 seconds at most, and nobody knows by how much it does.
        from_standby(&reader).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        for _ in 0..3 {
            let refused = reader.recent_view(0).await.err();
            assert_eq!(refused, Some(Unavailable::StoreUnavailable));
        }
        pair.to_primary.block(false);
        until("answered", async || reader.recent_view(0).await.is_ok()).await;
    });
}

#[test]
fn a_standby_that_hangs_or_is_away_is_left_for_the_primary() {
    let Some((primary, standby)) = servers("a_standby_that_hangs_or_is_away") else {
        return;
    };
    runtime().block_on(async {
        let pair = Pair::new(&primary, standby).await;
        let writer = pair.site.open("writer").await;
        accounts(&writer, 0).await;
        let first = post(&writer, "one").await;
        let reader = pair.reader().await;
        heard(&reader, first).await;
        pair.replayed(first).await;
        let begun = reader.recent_view(0).await.expect("from the standby");

        pair.to_standby.block(true);
        let asked = Instant::now();
        let view = reader.recent_view(0).await.expect("from the primary");
        assert!(asked.elapsed() < LEFT_IN, "{:?}", asked.elapsed());
        assert_eq!(view.seq(), first);
        pair.to_standby.block(false);

        // A read that had begun there is done on the primary.
        pair.standby.crash();
        let found = lookup(begun, "one").await.expect("found");
        assert!(matches!(found, IdLookup::Recorded(_)), "{found:?}");
        let second = post(&writer, "two").await;
        let view = reader.recent_view(second).await.expect("from the primary");
        assert_eq!(view.seq(), second);
        post(&reader, "three").await;

        pair.standby.start_again();
        let third = reader.durable_seq();
        pair.replayed(third).await;
        until("the standby answers alone", async || {
            pair.to_primary.block(true);
            let view = reader.recent_view(0).await;
            pair.to_primary.block(false);
            // The primary must be heard of in between.
            tokio::time::sleep(Duration::from_millis(300)).await;
            view.is_ok_and(|view| view.seq() == third)
        })
        .await;
    });
}

#[test]
fn a_replica_of_another_ledger_is_not_read() {
    let Some(primary) = Server::start("-c fsync=off") else {
        println!("SKIPPED a_replica_of_another_ledger: PostgreSQL is not installed");
        return;
    };
    runtime().block_on(async {
        let site = Site::new(&primary);
        let mut sql = PgConnection::connect(&site.url).await.expect("up");
        let make = sqlx::raw_sql("CREATE DATABASE elsewhere");
        make.execute(&mut sql).await.expect("made");
        let elsewhere = site.url.replace("/postgres", "/elsewhere");
        let options = PostgresOptions {
            url: Secret::new(elsewhere.clone()),
            ..site.options("other")
        };
        let open = Ledger::open_postgres(options, Policy::default(), Arc::new(SystemClock));
        let other = open.await.expect("the other ledger opens");
        accounts(&other, 5).await;
        let options = PostgresOptions {
            replica_url: Some(Secret::new(elsewhere)),
            ..site.options("mine")
        };
        let mine = site.open_with(options).await;
        assert!(other.durable_seq() > mine.durable_seq());
        let view = mine.recent_view(0).await.expect("from the primary");
        assert_eq!(view.seq(), mine.durable_seq());
    });
}
