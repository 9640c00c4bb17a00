//! The commit path of the PostgreSQL engine against a real server: several writers on one ledger,
//! connections lost at every step, a server that restarts, a writer that is paused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use florin_base::clock::ManualClock;
use florin_ledger::{Ledger, Policy, ResultCode, Unavailable};

use super::{
    postgres_proxy::Action,
    postgres_server::{self, Server},
    postgres_site::{
        Site, account, accounts, balance, check, codes, item, results, runtime, transfer,
        transfers, until_done, until_settled,
    },
    support::START,
};

#[test]
fn a_transfer_is_recorded_once_and_answered_again() {
    let Some(server) = postgres_server::shared("a_transfer_is_recorded_once") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let ledger = site.open("a").await;
        for id in ["x", "y"] {
            ledger.submit(account(id)).await.expect("an answer");
        }
        let call = transfers(vec![
            transfer("one", "x", "y", 5),
            transfer("two", "y", "nobody", 1),
            transfer("one", "x", "y", 5),
        ]);
        let first = ledger.submit(call.clone()).await.expect("an answer");
        let expected = [
            ResultCode::Created,
            ResultCode::CreditAccountNotFound,
            ResultCode::Exists,
        ];
        assert_eq!(codes(&first), expected);
        // Another process, which remembers nothing, answers the same.
        let other = site.open("b").await;
        let again = other.submit(call).await.expect("an answer");
        let expected = [
            ResultCode::Exists,
            ResultCode::IdAlreadyFailed,
            ResultCode::Exists,
        ];
        assert_eq!(codes(&again), expected);
        assert_eq!(results(&again)[0].seq, results(&first)[0].seq);
        assert_eq!(balance(&site, "y").await, 5);
        check(&site).await;
    });
}

#[test]
fn three_writers_on_one_ledger_give_each_id_one_outcome() {
    let Some(server) = postgres_server::shared("three_writers_on_one_ledger") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let ledgers = [
            site.open("a").await,
            site.open("b").await,
            site.open("c").await,
        ];
        accounts(&ledgers[0], 8).await;
        let before = check(&site).await;
        // Every id is sent by two callers through two writers at about the same time.
        let tasks: Vec<_> = (0..24usize)
            .map(|caller| {
                let ledger = ledgers[caller % 3].clone();
                tokio::spawn(async move {
                    let mut created = 0;
                    for round in 0..20 {
                        let items = (0..5)
                            .map(|n| {
                                let id = format!("t{}-{round}-{n}", caller / 2);
                                let from = format!("a{}", (caller / 2 + n) % 8);
                                transfer(&id, &from, "y", 1)
                            })
                            .collect();
                        let answer = ledger.submit(transfers(items)).await.expect("an answer");
                        for result in results(&answer) {
                            assert!(result.code.is_success(), "{result:?}");
                            created += usize::from(result.code == ResultCode::Created);
                        }
                    }
                    created
                })
            })
            .collect();
        let mut created = 0;
        for task in tasks {
            created += task.await.expect("a task ends");
        }
        assert_eq!(created, 12 * 20 * 5);
        assert_eq!(balance(&site, "y").await, 1_200);
        let after = check(&site).await;
        assert_eq!((after.0 - before.0, after.1 - before.1), (1_200, 1_200));
        // Every writer hears of what the others wrote.
        for ledger in &ledgers {
            let mut watch = ledger.watch();
            let reached = watch.wait_for(|seq| *seq as i64 == after.0);
            let reached = tokio::time::timeout(Duration::from_secs(5), reached).await;
            assert!(reached.is_ok(), "a follower was not woken");
        }
    });
}

#[test]
fn a_connection_lost_at_any_step_loses_and_doubles_nothing() {
    let Some(server) = postgres_server::shared("a_connection_lost_at_any_step") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let (ledger, proxy) = site.open_by_proxy(server, "a").await;
        accounts(&ledger, 0).await;
        let steps = ["BEGIN", "FROM accounts a", "SELECT commit_batch", "COMMIT"];
        let mut sent = 0;
        for step in steps {
            for action in [Action::CutBefore, Action::CutAfter] {
                // First a new connection, which sends the text of every statement again.
                proxy.trap("BEGIN", Action::CutBefore);
                proxy.trap(step, action);
                sent += 1;
                submit_one(&ledger, sent).await;
                assert!(proxy.is_sprung(), "{step} {action:?} never passed");
                assert_eq!(balance(&site, "y").await, sent, "after {step} {action:?}");
            }
        }
        check(&site).await;
    });
}

async fn submit_one(ledger: &Ledger, number: i64) {
    let call = transfers(vec![transfer(&format!("n{number}"), "x", "y", 1)]);
    let answer = ledger.submit(call).await.expect("the outcome is found out");
    assert_eq!(codes(&answer), [ResultCode::Created], "transfer {number}");
}

#[test]
fn sessions_ended_at_random_lose_and_double_nothing() {
    let Some(server) = postgres_server::shared("sessions_ended_at_random") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let ledgers = [site.open("a").await, site.open("b").await];
        accounts(&ledgers[0], 0).await;
        let callers: Vec<_> = (0..8usize)
            .map(|caller| {
                let ledger = ledgers[caller % 2].clone();
                tokio::spawn(async move {
                    for round in 0..40 {
                        let call =
                            transfers(vec![transfer(&format!("k{caller}-{round}"), "x", "y", 1)]);
                        until_done(&ledger, call).await;
                    }
                })
            })
            .collect();
        let mut sql = site.sql().await;
        let mut ended = 0i64;
        while callers.iter().any(|caller| !caller.is_finished()) {
            ended += sqlx::query_scalar::<_, i64>(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE application_name = 'florin' AND state <> 'idle' AND pid <> pg_backend_pid()",
            )
            .fetch_one(&mut sql)
            .await
            .expect("a count");
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        for caller in callers {
            caller.await.expect("a task ends");
        }
        assert!(ended > 0, "nothing was ended");
        assert_eq!(balance(&site, "y").await, 320);
        check(&site).await;
    });
}

#[test]
fn a_server_that_crashes_and_restarts_is_refused_quickly_and_found_again() {
    let Some(server) = Server::start("-c fsync=off") else {
        println!("SKIPPED a_server_that_crashes_and_restarts: PostgreSQL is not installed");
        return;
    };
    let site = Site::new(&server);
    runtime().block_on(async {
        let ledger = site.open("a").await;
        accounts(&ledger, 0).await;
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let ledger = ledger.clone();
                tokio::spawn(async move {
                    for round in 0..50 {
                        let id = format!("c{caller}-{round}");
                        until_done(&ledger, transfers(vec![transfer(&id, "x", "y", 1)])).await;
                    }
                })
            })
            .collect();
        server.crash();
        let begun = Instant::now();
        let call = || transfers(vec![transfer("away", "x", "y", 1)]);
        let refused = ledger.submit(call()).await;
        assert!(refused.is_err(), "{refused:?}");
        let waited = begun.elapsed();
        assert!(waited < Duration::from_millis(1_500), "{waited:?}");
        assert!(ledger.status().refusing.is_some());
        server.start_again();
        until_done(&ledger, call()).await;
        for caller in callers {
            caller.await.expect("a task ends");
        }
        assert_eq!(ledger.status().refusing, None);
        assert_eq!(balance(&site, "y").await, 201);
        check(&site).await;
    });
}

#[test]
fn a_writer_cut_off_with_the_lock_in_hand_does_not_stop_the_others() {
    let Some(server) = postgres_server::shared("a_writer_cut_off_with_the_lock") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let (paused, proxy) = site.open_by_proxy(server, "paused").await;
        let other = site.open("other").await;
        accounts(&paused, 0).await;
        // The id stands in the records, which are sent with the lock in hand.
        proxy.trap("late", Action::Block);
        let begun = Instant::now();
        let call = transfers(vec![transfer("late", "x", "y", 1)]);
        let lost = paused.submit(call.clone()).await;
        assert_eq!(lost.err(), Some(Unavailable::StoreUnavailable));
        assert!(begun.elapsed() < Duration::from_secs(3));
        // The lock is free again once the server gives the silent session up.
        until_done(&other, transfers(vec![transfer("other", "x", "y", 1)])).await;
        proxy.block(false);
        until_done(&paused, call).await;
        assert_eq!(balance(&site, "y").await, 2);
        check(&site).await;
    });
}

/// Case 64 of the contract: a commit under way is called unknown, what waits behind it refused,
/// both within a second; sent again, each is there once.
#[test]
fn callers_hear_in_time_of_a_server_that_falls_silent_while_it_commits() {
    let Some(server) = postgres_server::shared("a_server_that_falls_silent") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let (ledger, proxy) = site.open_by_proxy(server, "silent").await;
        accounts(&ledger, 0).await;
        proxy.trap("COMMIT", Action::Block);
        let call = |id: &str| transfers(vec![transfer(id, "x", "y", 1)]);
        // Time while this process runs: what its machine stands still is one tick of it.
        let (clock, tick) = (Arc::new(AtomicU32::new(0)), Duration::from_millis(10));
        let ticking = clock.clone();
        let ticker = tokio::spawn(async move {
            loop {
                tokio::time::sleep(tick).await;
                ticking.fetch_add(1, Ordering::SeqCst);
            }
        });
        let submit = |id| {
            let (ledger, clock, call) = (ledger.clone(), clock.clone(), call(id));
            tokio::spawn(async move {
                let begun = clock.load(Ordering::SeqCst);
                let told = ledger.submit(call).await.err();
                (told, tick * (clock.load(Ordering::SeqCst) - begun))
            })
        };
        let first = submit("first");
        while !proxy.is_sprung() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let behind = submit("behind").await.expect("a task ends");
        let first = first.await.expect("a task ends");
        let late = submit("late").await.expect("a task ends");
        assert_eq!(first.0, Some(Unavailable::CommitUnknown));
        assert_eq!(behind.0, Some(Unavailable::StoreUnavailable));
        assert_eq!(late.0, Some(Unavailable::StoreUnavailable));
        for (_, took) in [first, behind, late] {
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
        ticker.abort();
        proxy.block(false);
        until_settled(&ledger, call("first"), true).await;
        until_done(&ledger, call("behind")).await;
        until_done(&ledger, call("late")).await;
        assert_eq!(balance(&site, "y").await, 3);
        check(&site).await;
    });
}

#[test]
fn a_full_queue_refuses_and_a_held_lock_is_waited_for() {
    let Some(server) = postgres_server::shared("a_full_queue_refuses") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let mut options = site.options("a");
        options.queue_max = 4;
        let ledger = site.open_with(options).await;
        accounts(&ledger, 0).await;
        let mut holder = site.sql().await;
        sqlx::raw_sql("BEGIN; SELECT 1 FROM head FOR UPDATE")
            .execute(&mut holder)
            .await
            .expect("the lock");
        let submit = |number: usize| {
            let ledger = ledger.clone();
            let call = transfers(vec![transfer(&format!("q{number}"), "x", "y", 1)]);
            tokio::spawn(async move { ledger.submit(call).await })
        };
        let first = submit(0);
        // The first is taken into a batch, which waits for the lock.
        let mut watcher = site.sql().await;
        let waiters = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
             WHERE NOT l.granted AND a.application_name = 'florin' AND a.query LIKE '%FOR UPDATE%'";
        for _ in 0..200 {
            let count: i64 = sqlx::query_scalar(waiters)
                .fetch_one(&mut watcher)
                .await
                .expect("a count");
            if count > 0 && ledger.queue_depth() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let others: Vec<_> = (1..=10).map(submit).collect();
        let mut full = 0;
        let (mut waiting, mut answers) = (Vec::new(), vec![first]);
        for other in others {
            if tokio::time::timeout(Duration::from_millis(100), async { other.is_finished() })
                .await
                .is_ok_and(|finished| finished)
            {
                full += 1;
            } else {
                waiting.push(other);
            }
        }
        answers.append(&mut waiting);
        sqlx::raw_sql("COMMIT")
            .execute(&mut holder)
            .await
            .expect("the lock is free");
        let mut created = 0;
        for answer in answers {
            match answer.await.expect("a task ends") {
                Ok(answer) => {
                    assert_eq!(codes(&answer), [ResultCode::Created]);
                    created += 1;
                }
                Err(error) => {
                    assert_eq!(error, Unavailable::Overloaded);
                    full += 1;
                }
            }
        }
        assert_eq!((created, full), (5, 6));
        assert_eq!(balance(&site, "y").await, 5);
        check(&site).await;
    });
}

#[test]
fn reservations_expire_with_nobody_calling() {
    let Some(server) = postgres_server::shared("reservations_expire_with_nobody_calling") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let clock = Arc::new(ManualClock::new(START));
        let open = Ledger::open_postgres(site.options("a"), Policy::default(), clock.clone());
        let ledger = open.await.expect("the ledger opens");
        accounts(&ledger, 0).await;
        let pending = item(
            r#"{"id":"p","mode":"pending","debitAccountId":"x","creditAccountId":"y","asset":"BRL","code":"t","amountMinor":"7","timeoutSeconds":60}"#,
        );
        ledger
            .submit(transfers(vec![pending]))
            .await
            .expect("an answer");
        let before = ledger.durable_seq();
        clock.advance(61_000_000);
        let mut watch = ledger.watch();
        let expired = watch.wait_for(|seq| *seq > before);
        let expired = tokio::time::timeout(Duration::from_secs(5), expired).await;
        assert!(expired.is_ok(), "nothing expired");
        check(&site).await;
        let mut sql = site.sql().await;
        let open: i64 = sqlx::query_scalar("SELECT count(*) FROM pendings")
            .fetch_one(&mut sql)
            .await
            .expect("a count");
        assert_eq!(open, 0);
    });
}

#[test]
fn old_months_move_to_files_and_everything_else_stays() {
    let Some(server) = postgres_server::shared("old_months_move_to_files") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        const DAY: i64 = 86_400_000_000;
        let clock = Arc::new(ManualClock::new(START));
        let open = Ledger::open_postgres(site.options("a"), Policy::default(), clock.clone());
        let ledger = open.await.expect("the ledger opens");
        accounts(&ledger, 0).await;
        let old = || transfers(vec![transfer("old", "x", "y", 5)]);
        ledger.submit(old()).await.expect("an answer");
        let last_of_month = ledger.durable_seq();
        let march = florin_base::Timestamp::parse("2026-03-01T00:00:00Z").expect("a time");
        let none = ledger.archive_before(march).await.expect("nothing is old");
        assert_eq!(none, []);
        clock.advance(20 * DAY);
        let new = || transfers(vec![transfer("new", "y", "x", 2)]);
        ledger.submit(new()).await.expect("an answer");
        let archived = ledger.archive_before(march).await.expect("January is old");
        let [month] = &*archived else {
            panic!("one month: {archived:?}")
        };
        assert_eq!((month.first_seq, month.last_seq), (1, last_of_month));
        let bytes = std::fs::read(&month.file).expect("the file");
        assert!(bytes.windows(3).any(|w| w == b"old"), "the record is there");
        let mut sql = site.sql().await;
        let left: i64 = sqlx::query_scalar("SELECT min(first_seq) FROM journal")
            .fetch_one(&mut sql)
            .await
            .expect("a number");
        assert_eq!(left as u64, last_of_month + 1);
        // Balances go on; a known id is never judged anew, with or without its record.
        assert_eq!(balance(&site, "y").await, 3);
        let again = ledger.submit(old()).await;
        assert_eq!(again.err(), Some(Unavailable::StoreUnavailable));
        let again = ledger.submit(new()).await.expect("an answer");
        assert_eq!(codes(&again), [ResultCode::Exists]);
        let more = transfers(vec![transfer("more", "x", "y", 1)]);
        let more = ledger.submit(more).await.expect("an answer");
        assert_eq!(codes(&more), [ResultCode::Created]);
        assert_eq!(balance(&site, "y").await, 4);
    });
}
