//! Lost answers and a store that stops: cases 62 and 64 of the contract's table. Case 63 is
//! part of the crash test.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use florin_platform::testing::process::Standstill;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;

use crate::server::launch::on_postgres;
use crate::server::moves::{fresh, item};
use crate::server::{Launch, Server, Who, cases, path};

#[test]
fn edge_cases_of_lost_answers() {
    let server = Launch::new().start();
    cases!(server; case_62_a_client_that_did_not_wait);
}

fn case_62_a_client_that_did_not_wait(server: &Server) {
    let wallet = server.empty("BRL");
    let mut replayed = 0;
    for _ in 0..30 {
        let body = json!({"amount": "1.00", "referenceId": fresh("lost")});
        let call = server.call(Who::Service, "POST", &path(&wallet, "deposit"));
        call.json(&body).send_and_leave().expect("sent");
        let again = server
            .post(Who::Service, &path(&wallet, "deposit"), body.clone())
            .ok(200);
        replayed += u32::from(again.is_replay());
        let third = server
            .post(Who::Service, &path(&wallet, "deposit"), body)
            .ok(200);
        assert!(third.is_replay());
        assert_eq!(third.text, again.text);
    }
    assert_eq!(
        server.balance(&wallet),
        "30.00",
        "one posting each; {replayed} of them the lost one"
    );
    assert_eq!(server.transactions(&wallet).len(), 30);
}

/// Largest file the process may write to, in bytes: everything behind fails like a broken disk.
fn bound_files(server: &Server, bytes: u64) {
    let pid = Pid::from_raw(server.pid().try_into().expect("a process id"));
    let now = getrlimit(Resource::Fsize);
    let bound = Rlimit {
        current: Some(bytes),
        maximum: now.maximum,
    };
    prlimit(pid, Resource::Fsize, bound).expect("the process is ours");
}

/// What became of a posting under load.
pub struct Sent {
    pub id: String,
    pub status: u16,
    pub code: String,
    /// While this process ran.
    pub took: Duration,
}

/// Four callers post to an account, one posting after the other, until each has sent so many after
/// the store was stopped.
pub fn post_until_stopped(
    server: &Server,
    account: &str,
    after: u32,
    stop: impl FnOnce(),
) -> Vec<Sent> {
    let source = server.source("BRL");
    let (sent, stopped) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let standstill = Standstill::watch();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut after_stop = 0;
                while after_stop < after {
                    after_stop += u32::from(stopped.load(Ordering::SeqCst));
                    let id = fresh("s");
                    let body = item(&id, &source, account, "1", "BRL");
                    let (reply, took) = standstill.measure(|| server.single(body));
                    let (status, code) = reply.code();
                    let code = code.to_owned();
                    sent.lock().expect("whole").push(Sent {
                        id,
                        status,
                        code,
                        took,
                    });
                }
            });
        }
        while sent.lock().expect("whole").len() < 100 {
            std::thread::yield_now();
        }
        stop();
        stopped.store(true, Ordering::SeqCst);
    });
    sent.into_inner().expect("whole")
}

/// Whoever was not told that a posting is there was told so within a second, by the codes of a
/// store that stopped.
pub fn told_in_time(sent: &[Sent]) {
    let refused = sent.iter().filter(|s| s.code == "store_unavailable");
    assert!(refused.count() > 0, "the store was stopped");
    for s in sent {
        let known = s.status == 201
            || (s.status == 503 && matches!(&*s.code, "store_unavailable" | "commit_unknown"));
        assert!(known, "{} {}", s.status, s.code);
        assert!(
            s.status == 201 || s.took < Duration::from_secs(1),
            "{:?} {}",
            s.took,
            s.code
        );
    }
}

#[test]
fn case_64_the_store_stops_under_load() {
    if on_postgres() {
        println!(
            "SKIPPED case_64_the_store_stops_under_load on PostgreSQL: distributed.rs stops the server there"
        );
        return;
    }
    // Without the trap the signal of a file that grows too large would end the process.
    let server = Launch::new().through("trap '' XFSZ").start();
    let a = server.account("BRL", json!({}));
    let sent = post_until_stopped(&server, &a, 20, || bound_files(&server, 4096));
    let ready = server.get(Who::Nobody, "/ready");
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert!(ready.text.contains("store"), "{}", ready.text);
    server.get(Who::Nobody, "/health").ok(200);
    told_in_time(&sent);
    let home = server.kill().expect("its own folder");
    after_return(&Launch::new().dir(home.path()).start(), &a, &sent);
}

/// Every 201 is there, no `store_unavailable` is; what was unknown is there once or not at all.
pub fn after_return(server: &Server, account: &str, sent: &[Sent]) {
    let mut count = 0;
    for chunk in sent.chunks(1000) {
        let ids: Vec<&str> = chunk.iter().map(|s| &*s.id).collect();
        let found = server
            .post(
                Who::Service,
                "/api/v1/ledger/transfers/lookup",
                json!({"ids": ids}),
            )
            .ok(200);
        let results = found.body["results"].as_array().expect("results");
        for (result, s) in results.iter().zip(chunk) {
            let recorded = result["status"] == "recorded";
            count += u64::from(recorded);
            match (s.status, &*s.code) {
                (201, _) => assert!(recorded, "{} was acknowledged", s.id),
                (_, "store_unavailable") => assert!(!recorded, "{} was refused", s.id),
                _ => {}
            }
        }
    }
    assert_eq!(server.minor(account).0, count.to_string());
    server.books_are_balanced();
}
