//! The promises of [`super`].

use florin_base::clock::ManualClock;

use super::*;

const START: i64 = 1_800_000_000_000_000;

async fn log_with(entries: usize) -> AuditLog {
    let db = crate::testing::fresh_db().await;
    let clock = Arc::new(ManualClock::new(START));
    let log = AuditLog::open(db, clock.clone()).await.unwrap();
    for n in 0..entries {
        let entry = Entry::new(
            "u1",
            if n % 2 == 0 { "a" } else { "b" },
            format!("user:{n}"),
        )
        .after(&serde_json::json!({ "n": n }));
        assert_eq!(log.append(entry).await.unwrap(), n as i64 + 1);
        clock.advance(1_000_000);
    }
    log
}

/// Changes the table behind the log's back, triggers and all.
async fn tamper(log: &AuditLog, sql: &str) {
    let (on, zeros) = match log.db.is_shared() {
        true => (" ON audit_log", "decode(repeat('00', 32), 'hex')"),
        false => ("", "zeroblob(32)"),
    };
    for statement in [
        format!("DROP TRIGGER audit_log_no_update{on}"),
        format!("DROP TRIGGER audit_log_no_delete{on}"),
        sql.replace("ZEROS", zeros),
    ] {
        log.db.execute(Query::assembled(statement)).await.unwrap();
    }
}

async fn first_fault(sql: &'static str) -> (i64, Broken) {
    let log = log_with(5).await;
    tamper(&log, sql).await;
    match log.verify().await.unwrap() {
        Verdict::Broken { seq, why } => (seq, why),
        Verdict::Whole { .. } => panic!("not found: {sql}"),
    }
}

async fn an_untouched_log_is_whole() {
    let empty = log_with(0).await.verify().await.unwrap();
    assert_eq!(
        empty,
        Verdict::Whole {
            entries: 0,
            head: "0".repeat(64)
        }
    );
    let log = log_with(5).await;
    let Verdict::Whole { entries, head } = log.verify().await.unwrap() else {
        panic!("broken");
    };
    assert_eq!(entries, 5);
    let last = &log.page(&Filter::default(), None, 1).await.unwrap()[0];
    assert_eq!((last.seq, hex::encode(&last.hash)), (5, head));
}

async fn any_tampering_is_found_at_its_place() {
    let cases = [
        (
            "UPDATE audit_log SET actor = 'u2' WHERE seq = 3",
            (3, Broken::Content),
        ),
        (
            "UPDATE audit_log SET after = NULL WHERE seq = 2",
            (2, Broken::Content),
        ),
        (
            "UPDATE audit_log SET at = at + 1 WHERE seq = 1",
            (1, Broken::Content),
        ),
        (
            "UPDATE audit_log SET hash = ZEROS WHERE seq = 4",
            (4, Broken::Content),
        ),
        (
            "UPDATE audit_log SET prev_hash = ZEROS WHERE seq = 4",
            (4, Broken::Link),
        ),
        ("DELETE FROM audit_log WHERE seq = 3", (3, Broken::Missing)),
        ("DELETE FROM audit_log WHERE seq = 5", (5, Broken::Missing)),
        ("UPDATE audit_head SET hash = ZEROS", (5, Broken::Head)),
        (
            "UPDATE audit_log SET seq = 0 WHERE seq = 5",
            (5, Broken::Missing),
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(first_fault(sql).await, expected, "{sql}");
    }
}

async fn the_store_itself_refuses_changes() {
    let log = log_with(1).await;
    for sql in ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"] {
        let error = log.db.execute(query(sql)).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

async fn an_entry_shares_the_fate_of_its_transaction() {
    let log = log_with(1).await;
    let mut tx = log.db.begin().await.unwrap();
    log.append_in(&mut tx, Entry::new("u1", "x", "y:1"))
        .await
        .unwrap();
    drop(tx);
    let verdict = log.verify().await.unwrap();
    assert!(
        matches!(verdict, Verdict::Whole { entries: 1, .. }),
        "{verdict:?}"
    );
}

async fn filters_narrow_and_pages_join() {
    let log = log_with(5).await;
    let seqs = |page: Vec<Record>| page.iter().map(|r| r.seq).collect::<Vec<_>>();
    let all = Filter::default();
    assert_eq!(seqs(log.page(&all, None, 2).await.unwrap()), [5, 4]);
    let fourth = log.page(&all, None, 2).await.unwrap()[1].place();
    assert_eq!(
        seqs(log.page(&all, Some(fourth), 9).await.unwrap()),
        [3, 2, 1]
    );
    let only_a = Filter {
        action: Some("a".into()),
        ..Filter::default()
    };
    assert_eq!(seqs(log.page(&only_a, None, 9).await.unwrap()), [5, 3, 1]);
    let object = Filter {
        actor: Some("u1".into()),
        object: Some("user:1".into()),
        ..Filter::default()
    };
    assert_eq!(seqs(log.page(&object, None, 9).await.unwrap()), [2]);
    let second_third = Filter {
        from: Some(Timestamp(START + 1_000_000)),
        to: Some(Timestamp(START + 3_000_000)),
        ..Filter::default()
    };
    assert_eq!(
        seqs(log.page(&second_third, None, 9).await.unwrap()),
        [3, 2]
    );
}

/// Another process's clock is behind: its entry stands where its time says, and no page and no
/// bound loses it.
async fn a_list_loses_nothing_to_clocks_that_differ() {
    let db = crate::testing::fresh_db().await;
    let clock = Arc::new(ManualClock::new(START));
    let log = AuditLog::open(db, clock.clone()).await.unwrap();
    for at in [10, 20, 15, 30, 20] {
        clock.set_wall(START + at);
        log.append(Entry::new("u1", "a", "user:1")).await.unwrap();
    }
    let seqs = |page: &[Record]| page.iter().map(|r| r.seq).collect::<Vec<_>>();
    let mut seen = Vec::new();
    let mut below = None;
    loop {
        let page = log.page(&Filter::default(), below, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        below = Some(last.place());
        seen.extend(seqs(&page));
    }
    assert_eq!(seen, [4, 5, 2, 3, 1]);
    let before_20 = Filter {
        to: Some(Timestamp(START + 20)),
        actor: Some("u1".into()),
        ..Filter::default()
    };
    let page = log.page(&before_20, None, 9).await.unwrap();
    assert_eq!(seqs(&page), [3, 1]);
}

/// Two processes append, some of it in transactions of another lane, some of that given up.
async fn writers_of_two_processes_leave_the_chain_whole() {
    let log = log_with(0).await;
    let other = AuditLog::open(
        crate::testing::neighbour(&log.db).await,
        Arc::clone(&log.clock),
    );
    let other = other.await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6 {
        let log = if writer % 2 == 0 {
            log.clone()
        } else {
            other.clone()
        };
        let db = log.db.lane(["audit", "room", "room"][writer % 3]);
        writers.spawn(async move {
            for n in 0..10 {
                let mut tx = db.begin().await?;
                let entry = Entry::new("u1", "x", format!("y:{writer}-{n}"));
                log.append_in(&mut tx, entry).await?;
                if n % 5 != 4 {
                    tx.commit().await?;
                }
            }
            Ok::<_, SqlError>(())
        });
    }
    for done in writers.join_all().await {
        done.unwrap();
    }
    let verdict = other.verify().await.unwrap();
    assert!(
        matches!(verdict, Verdict::Whole { entries: 48, .. }),
        "{verdict:?}"
    );
}

crate::testing::conformance! {
    writers_of_two_processes_leave_the_chain_whole,
    an_untouched_log_is_whole,
    any_tampering_is_found_at_its_place,
    the_store_itself_refuses_changes,
    an_entry_shares_the_fate_of_its_transaction,
    filters_narrow_and_pages_join,
    a_list_loses_nothing_to_clocks_that_differ,
}
