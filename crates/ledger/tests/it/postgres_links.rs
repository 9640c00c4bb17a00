//! What becomes of calls on their way when a link to the sequencer falls silent.

use std::time::Duration;

use florin_ledger::{Call, ResultCode, Unavailable, call::UpdateWallet, model::Status};
use sqlx::PgConnection;
use tokio::time::timeout;

use super::{
    postgres_proxy::Action,
    postgres_sequencer::{
        LONG, behind_a_proxy, deposit, is_linked, linked, pair, plays, posted, wallet,
    },
    postgres_server,
    postgres_site::{
        Site, accounts, balance, check, codes, runtime, transfer, transfers, until_settled,
    },
};

/// The head is held, so that the sequencer has calls and decides nothing.
async fn hold_the_head(site: &Site) -> PgConnection {
    let mut holder = site.sql().await;
    let hold = sqlx::raw_sql("BEGIN; SELECT 1 FROM head FOR UPDATE");
    hold.execute(&mut holder).await.expect("the lock");
    holder
}

async fn the_head_is_waited_for(site: &Site) {
    let mut sql = site.sql().await;
    let waiting = async {
        loop {
            // Whoever waits for a row that is locked holds it as a tuple.
            let asked = "SELECT count(*) FROM pg_locks WHERE relation = 'head'::regclass AND locktype = 'tuple'";
            let count = sqlx::query_scalar::<_, i64>(asked).fetch_one(&mut sql);
            if count.await.expect("a count") > 0 {
                return;
            }
        }
    };
    let waited = timeout(LONG, waiting).await;
    waited.expect("the sequencer waits for the head");
}

#[test]
fn calls_of_a_link_that_was_ended_are_never_decided_by_the_sequencer() {
    let Some(server) = postgres_server::shared("calls_of_a_link_that_was_ended") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let (first, second, proxy) = pair(&site).await;
        accounts(&first, 0).await;
        let new = wallet(&second, "eve");
        let id = new.id;
        second
            .submit(Call::CreateWallet(new))
            .await
            .expect("a wallet");
        let new = wallet(&second, "mallory");
        let other = new.id;
        second
            .submit(Call::CreateWallet(new))
            .await
            .expect("a wallet");
        let mut holder = hold_the_head(&site).await;
        let calls = [
            transfers(vec![transfer("held", "x", "y", 5)]),
            deposit(&second, id, 300, None),
            Call::UpdateWallet(Box::new(UpdateWallet {
                actor: None,
                owner: None,
                id: other,
                status: Some(Status::Frozen),
                limits: None,
                reason: Some("review".into()),
            })),
        ];
        let tasks = calls.map(|call| {
            let ledger = second.clone();
            tokio::spawn(async move { ledger.submit(call).await })
        });
        the_head_is_waited_for(&site).await;
        proxy.block(true);
        let mut links = site.sql().await;
        let ending = async {
            loop {
                let asked = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM writers");
                if asked.fetch_one(&mut links).await.expect("a count") == 1 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LONG, ending)
            .await
            .expect("the silent link is ended");
        sqlx::raw_sql("COMMIT")
            .execute(&mut holder)
            .await
            .expect("the lock goes");
        for (task, created) in tasks.into_iter().zip([true, false, false]) {
            let answer = timeout(LONG, task)
                .await
                .expect("in time")
                .expect("no panic");
            let answer = answer.expect("not decided there, so decided here");
            if created {
                assert_eq!(codes(&answer), [ResultCode::Created]);
            }
            assert!(!answer.replayed, "{answer:?}");
        }
        proxy.block(false);
        assert_eq!(balance(&site, "y").await, 5);
        assert_eq!(posted(&second, id).await, 300, "once");
        // The sequencer is well, and the next calls go over a new link.
        plays(&second, is_linked).await;
        let call = transfers(vec![transfer("after", "x", "y", 1)]);
        assert_eq!(
            codes(&second.submit(call).await.expect("an answer")),
            [ResultCode::Created]
        );
        check(&site).await;
    });
}

/// The sequencer decided the call and could not say so any more; the process that called asks for
/// it, and its own way to the database is blocked: what is recorded is not called not done.
#[test]
fn a_call_that_was_decided_is_never_refused_as_not_done() {
    let Some(server) = postgres_server::shared("a_call_that_was_decided") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let (first, link) = behind_a_proxy(&site).await;
        let (options, database) = site.options_by_proxy(server, "second").await;
        let second = linked(&site, options).await;
        accounts(&first, 0).await;
        let mut holder = hold_the_head(&site).await;
        let call = transfers(vec![transfer("decided", "x", "y", 1)]);
        let sent = tokio::spawn({
            let (ledger, call) = (second.clone(), call.clone());
            async move { ledger.submit(call).await }
        });
        the_head_is_waited_for(&site).await;
        link.block(true);
        // The next batch of the process itself gets no further than to the head.
        database.trap("FROM head FOR UPDATE", Action::Block);
        let free = sqlx::raw_sql("COMMIT").execute(&mut holder).await;
        free.expect("the lock goes");
        let told = timeout(LONG, sent).await.expect("in time");
        assert_eq!(
            told.expect("no panic").err(),
            Some(Unavailable::CommitUnknown)
        );
        assert!(database.is_sprung(), "it was not asked for");
        assert_eq!(balance(&site, "y").await, 1, "it was decided");
        link.block(false);
        database.block(false);
        until_settled(&second, call, true).await;
        assert_eq!(balance(&site, "y").await, 1, "once");
        check(&site).await;
    });
}
