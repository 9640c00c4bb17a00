//! Corrections, checks, links, imports, matches, rebuilds and topics under `kill -9` at each
//! named point (contract F2): what is there afterwards, and that the same request settles it.
//! Needs the feature `failpoints`.
//!
//! A scene runs in processes of its own, one after the other: `before` makes the world, `act` is
//! killed, `killed` looks at what is left, `act` again ends it, `end` looks at that.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use florin_base::clock::ManualClock;
use florin_platform::bus::consume::{DeadLetters, Inbox, Received};
use florin_platform::bus::{self, Bus, Message, Publishing};
use florin_platform::sql::{Db, query};
use florin_shadow::statements::Statements;
use florin_shadow::statements::input::Limits as Sizes;
use florin_shadow::store::Settings;
use florin_shadow::store::rebuild::{Report, Request, swap, verify};
use florin_shadow::worker::mirror::Topics;
use florin_shadow::worker::outbox::{readers, step};
use florin_shadow::worker::topics::{DEAD, RAW};
use serde_json::json;

use crate::crash::{lines, note};
use crate::desk::{House, SECOND, arrival, build_at};
use crate::links::{link, moved};
use crate::reconciling_world::{World, camt, world_on};
use crate::support::{NOW, bench_on, event, take};
use crate::web::{ADMIN, json as event_json};

const SCENE: &str = "FLORIN_CRASH_SCENE";
const PHASE: &str = "FLORIN_CRASH_PHASE";
const PLACE: &str = "FLORIN_CRASH_PLACE";
/// SIGKILL.
const KILLED: i32 = 9;
const MS: i64 = NOW / 1_000;
const DAY: i64 = 86_400_000;

fn process(scene: &str, phase: &str, dir: &Path, point: &str) -> Output {
    let me = std::env::current_exe().expect("this test");
    Command::new(me)
        .args(["crash_points::child", "--exact", "--test-threads=1"])
        .env(SCENE, scene)
        .env(PHASE, phase)
        .env(PLACE, dir)
        .env("FLORIN_FAILPOINT", point)
        .output()
        .expect("runs")
}

#[track_caller]
fn play(scene: &str, point: &str) {
    let dir = tempfile::tempdir().expect("folder");
    let good = |phase: &str| {
        let output = process(scene, phase, dir.path(), "none");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{point}, {phase}: {said}");
    };
    good("before");
    let killed = process(scene, "act", dir.path(), point);
    let said = String::from_utf8_lossy(&killed.stdout);
    assert_eq!(killed.status.signal(), Some(KILLED), "{point}: {said}");
    good("killed");
    good("act");
    good("end");
}

/// The processes of the scenes; does nothing when it is run as a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(scene) = std::env::var(SCENE) else {
        return;
    };
    let phase = std::env::var(PHASE).expect("a phase");
    let dir = PathBuf::from(std::env::var_os(PLACE).expect("a place"));
    match scene.as_str() {
        "check" => check(&dir, &phase).await,
        "approve" => approve(&dir, &phase).await,
        "pair" => pair(&dir, &phase).await,
        "link" => linked(&dir, &phase).await,
        "import" => import(&dir, &phase).await,
        "match" => matching(&dir, &phase).await,
        "swap" => swapping(&dir, &phase).await,
        "topic" => topic(&dir, &phase).await,
        other => panic!("no scene {other}"),
    }
}

async fn open(dir: &Path) -> Db {
    let db = Db::open_sqlite(&dir.join("shadow.db")).await;
    db.expect("opens")
}

async fn house(dir: &Path) -> House {
    build_at(bench_on(open(dir).await, arrival()).await, |_| {}, None)
}

/// INV-S6 on what is there.
async fn proven(db: &Db) {
    let report = verify(db, &Request::default(), &|_| {}).await;
    let report = report.expect("runs");
    assert!(report.is_good(), "{report:?}");
}

async fn count(db: &Db, text: &'static str) -> i64 {
    let rows = db.fetch_all(query(text)).await.expect("reads");
    rows[0].get("n").expect("a number")
}

const CORRECTIONS: &str = "SELECT COUNT(*) AS n FROM shadow_corrections";
const STEPS: &str = "SELECT COUNT(*) AS n FROM shadow_log WHERE kind = 'correction'";

#[test]
fn inv_s16_a_check_that_was_cut_off_makes_no_second_correction() {
    play("check", "drift.after_corrections_before_answer");
    play("check", "drift.after_corrections_before_answer:2");
}

const CHECK: &str = r#"{"checkId":"re","accounts":[{"accountId":"Q","reportedBalance":50}]}"#;

async fn check(dir: &Path, phase: &str) {
    let house = house(dir).await;
    let db = &house.web.bench.db;
    match phase {
        "before" => {
            house.event("a", "Q", "credit", "10", MS - 9 * DAY).await;
            house.event("d", "Q", "debit", "60", MS - 8 * DAY).await;
            house
                .event("c", "Q", "credit", "100", MS - 9 * DAY + 1)
                .await;
        }
        "act" => {
            let reply = house.check(CHECK).await.ok(200);
            assert_eq!(reply.body["correctionsGenerated"], 1, "{}", reply.text);
        }
        "killed" => {
            assert_eq!(count(db, CORRECTIONS).await, 1);
            assert_eq!(house.balance("Q").await, 110);
            proven(db).await;
        }
        _ => {
            assert_eq!(
                (count(db, CORRECTIONS).await, count(db, STEPS).await),
                (1, 1)
            );
            let first = house.check(CHECK).await.ok(200);
            let again = house.check(CHECK).await.ok(200);
            assert_eq!(first.body["results"], again.body["results"]);
            let id = first.body["results"][0]["correctionEventId"].clone();
            assert_eq!(house.status(id.as_str().expect("an id")).await, "proposed");
            assert_eq!(count(db, CORRECTIONS).await, 1);
            proven(db).await;
        }
    }
}

#[test]
fn inv_s1_an_approval_that_was_cut_off_is_none() {
    play("approve", "correction.approve_mid");
}

async fn approve(dir: &Path, phase: &str) {
    let house = house(dir).await;
    let db = &house.web.bench.db;
    match phase {
        "before" => {
            house.event("E1", "A1", "credit", "1000", MS - DAY).await;
            let body = r#"{"type":"credit","amount":200,"reason":"r","eventId":"X"}"#;
            house.admin(ADMIN, "correct/A1", body).await.ok(202);
        }
        "act" => {
            house
                .admin(SECOND, "corrections/X/approve", "")
                .await
                .ok(200);
        }
        "killed" => {
            assert_eq!(house.status("X").await, "proposed");
            assert_eq!(house.balance("A1").await, 1000);
            proven(db).await;
        }
        _ => {
            assert_eq!(house.status("X").await, "applied");
            assert_eq!(house.balance("A1").await, 1200);
            assert_eq!(
                count(db, STEPS).await,
                3,
                "proposed, approved, applied: INV-S19"
            );
            proven(db).await;
        }
    }
}

#[test]
fn inv_s1_a_pair_that_was_cut_off_has_no_leg() {
    play("pair", "pair.mid");
}

const PAIR: &str = r#"{"checkId":"pair","accounts":[{"accountId":"P1","reportedBalance":1070},
    {"accountId":"P2","reportedBalance":1000}]}"#;

async fn pair(dir: &Path, phase: &str) {
    let house = house(dir).await;
    let db = &house.web.bench.db;
    let check = house.check(PAIR);
    match phase {
        "before" => {
            house.event("a", "P1", "credit", "1000", MS - 9 * DAY).await;
            house.event("b", "P2", "credit", "1000", MS - 9 * DAY).await;
            house.event("s", "P2", "credit", "70", MS - 5 * DAY).await;
            let made = check.await.ok(200);
            assert_eq!(made.body["correctionsGenerated"], 2, "{}", made.text);
        }
        "act" => {
            let made = check.await.ok(200);
            let id = made.body["results"][1]["correctionEventId"].clone();
            let path = format!("corrections/{}/approve", id.as_str().expect("an id"));
            house.admin(SECOND, &path, "").await.ok(200);
        }
        "killed" => {
            assert_eq!(house.balance("P1").await, 1000);
            assert_eq!(house.balance("P2").await, 1070);
            assert_eq!(count(db, STEPS).await, 2, "both are proposed");
            proven(db).await;
        }
        _ => {
            assert_eq!(house.balance("P1").await, 1070);
            assert_eq!(house.balance("P2").await, 1000);
            assert_eq!(count(db, STEPS).await, 6);
            proven(db).await;
        }
    }
}

#[test]
fn inv_s24_a_posted_transfer_is_posted_once_and_comes_by_the_feed() {
    play("link", "link.transfer_posted_before_feed");
}

async fn linked(dir: &Path, phase: &str) {
    let bench = bench_on(open(dir).await, arrival()).await;
    let house = build_at(bench, |_| {}, Some(&dir.join("ledger")));
    let links = house.links.clone().expect("links");
    match phase {
        "before" => {
            moved(&house, "t1", true, 100_000).await;
            link(&house).await;
            links.step().await.expect("mirrors");
            let body = r#"{"type":"credit","amount":250,"reason":"bank fee","eventId":"FEE"}"#;
            house.admin(ADMIN, "correct/BANK", body).await.ok(202);
            let path = "corrections/FEE/approve";
            house.admin(SECOND, path, "").await.ok(202);
        }
        "act" => {
            links.step().await.expect("posts and mirrors");
            links.step().await.expect("posts nothing twice");
        }
        "killed" => {
            assert_eq!(house.status("FEE").await, "approved");
            assert_eq!(house.balance("BANK").await, 1000);
            proven(&house.web.bench.db).await;
        }
        _ => {
            assert_eq!(house.status("FEE").await, "applied");
            assert_eq!(house.balance("BANK").await, 1250);
            let path = "/api/v1/shadow/links/BANK/status";
            let status = house.web.get(path).await.ok(200).body;
            assert_eq!(status["ledgerBalance"], 1250, "posted once");
            assert_eq!(status["ledgerBalance"], status["shadowBalance"]);
            proven(&house.web.bench.db).await;
        }
    }
}

async fn world(dir: &Path) -> World {
    let settings = Settings {
        grace_ms: 0,
        ..Settings::default()
    };
    let world = world_on(bench_on(open(dir).await, settings).await, Sizes::default());
    world.web.bench.clock.advance(30 * DAY * 1_000);
    world
}

async fn feed(world: &World) {
    let events = vec![
        event("E1", "A1", 10_000, MS + DAY),
        event("E2", "A1", -2_500, MS + 2 * DAY),
        event("E3", "A1", 700, MS + 3 * DAY),
    ];
    take(&world.web.bench.shadow, events).await;
}

fn file() -> String {
    camt(
        "S1",
        500,
        &[(10_000, 2, "I"), (-2_500, 3, "X"), (700, 4, "Y")],
    )
}

#[test]
fn inv_s20_no_import_is_half_stored() {
    for point in ["import.mid", "import.mid:2", "import.mid:3"] {
        play("import", point);
    }
}

async fn import(dir: &Path, phase: &str) {
    let world = world(dir).await;
    match phase {
        "before" => feed(&world).await,
        "act" => {
            world.import("accountId=A1", file()).await.ok(201);
        }
        "killed" => {
            // A restart comes later than what it finds.
            world.web.bench.clock.advance(1_000_000);
            let statements = Statements::new(world.web.bench.shadow.clone(), Sizes::default());
            statements.recover().await.expect("forgets");
            for table in ["shadow_statements", "shadow_lines", "shadow_imports"] {
                assert_eq!(world.count(table).await, 0, "{table}");
            }
            assert!(world.items("/statements?accountId=A1").await.is_empty());
            assert!(world.items("/matches?accountId=A1").await.is_empty());
        }
        _ => {
            assert_eq!(world.count("shadow_statements").await, 1);
            assert_eq!(world.count("shadow_lines").await, 3);
            world.import("accountId=A1", file()).await.ok(200);
            assert_eq!(world.count("shadow_lines").await, 3);
            assert_eq!(world.items("/matches?accountId=A1").await.len(), 3);
        }
    }
}

#[test]
fn inv_s21_a_run_that_was_cut_off_matches_nothing() {
    play("match", "match.mid");
    play("match", "match.mid:2");
}

async fn matching(dir: &Path, phase: &str) {
    let world = world(dir).await;
    match phase {
        "before" => {
            feed(&world).await;
            let query = "accountId=A1&autoMatch=false";
            world.import(query, file()).await.ok(201);
        }
        "act" => {
            let run = world.reconcile("A1").await;
            assert_eq!(run.body["state"], "done", "{}", run.text);
            assert_eq!(run.body["bridge"]["holds"], json!(true), "INV-S22");
        }
        "killed" => {
            assert!(world.items("/matches?accountId=A1").await.is_empty());
            let lines = world.items("/lines?accountId=A1").await;
            let open = |line: &serde_json::Value| line["status"] == "unmatched";
            assert!(lines.len() == 3 && lines.iter().all(open), "{lines:?}");
            world.reconciler.recover().await.expect("recovers");
        }
        _ => {
            let matches = world.items("/matches?accountId=A1").await;
            let mut taken: Vec<String> = matches
                .iter()
                .flat_map(|one| one["lines"].as_array().expect("lines").clone())
                .map(|id| id.to_string())
                .collect();
            taken.sort();
            taken.dedup();
            assert_eq!((matches.len(), taken.len()), (3, 3), "each line once");
        }
    }
}

#[test]
fn inv_s6_a_swap_that_was_cut_off_leaves_the_old_tables() {
    play("swap", "swap.mid");
    play("swap", "swap.mid:2");
}

async fn swapping(dir: &Path, phase: &str) {
    let bench = bench_on(open(dir).await, Settings::default()).await;
    match phase {
        "before" => {
            let events = (0..50).map(|n| event(&format!("E{n}"), "A", 100 + i128::from(n), MS + n));
            take(&bench.shadow, events.collect()).await;
            let alter = "UPDATE shadow_entries SET m0 = m0 + 1 WHERE event_id = 'E7'";
            bench.db.execute(query(alter)).await.expect("altered");
        }
        "act" => {
            let report = swap(&bench.db, &Request::default(), &|_| {}).await;
            assert!(report.expect("runs").is_good());
        }
        "killed" => {
            let report = verify(&bench.db, &Request::default(), &|_| {}).await;
            let Report::Divergence {
                first_divergence, ..
            } = report.expect("runs")
            else {
                panic!("the old tables are not there");
            };
            assert_eq!(first_divergence.event_id, "E7");
            let all = "SELECT COUNT(*) AS n FROM shadow_entries";
            assert_eq!(count(&bench.db, all).await, 50);
        }
        _ => proven(&bench.db).await,
    }
}

#[test]
fn inv_s14_messages_are_recorded_once_and_letters_published_after_all() {
    play("topic", "kafka.after_commit_before_offset");
    play("topic", "dlq.before_publish");
}

/// Writes down what is published to the dead letters.
struct Shelf(PathBuf);

impl Bus for Shelf {
    fn wants(&self, _: &str) -> bool {
        true
    }

    fn publish<'a>(&'a self, topic: &'a str, messages: Vec<Message>) -> Publishing<'a> {
        for message in messages.iter().filter(|_| topic == DEAD) {
            note(&self.0, "dead", &String::from_utf8_lossy(&message.value));
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

impl DeadLetters for Shelf {
    fn park<'a>(&'a self, _: &'a Received, reason: &'a str, detail: &'a str) -> Publishing<'a> {
        panic!("the room parks by itself: {reason} {detail}");
    }
}

async fn topic(dir: &Path, phase: &str) {
    let db = open(dir).await;
    db.migrate(&bus::MIGRATIONS, NOW).await.expect("migrates");
    let bench = bench_on(db.clone(), arrival()).await;
    let inbox = Inbox {
        db: db.clone(),
        group: "florin-shadow".into(),
        handler: Arc::new(crate::web::entrance(&bench.shadow)),
        letters: Arc::new(Shelf(dir.to_owned())),
        clock: Arc::new(ManualClock::new(NOW)),
    };
    let values = [
        event_json("K1", "A", "credit", "10", MS - 5),
        "broken".to_owned(),
        event_json("K2", "A", "debit", "4", MS - 4),
    ];
    let messages: Vec<Received> = (0..)
        .zip(values)
        .map(|(offset, value)| Received {
            topic: RAW.into(),
            partition: 0,
            offset,
            key: Some("A".into()),
            value: value.into(),
            headers: Vec::new(),
        })
        .collect();
    let records = "SELECT COUNT(*) AS n FROM shadow_log";
    let parked = "SELECT COUNT(*) AS n FROM shadow_dead_letters WHERE status = 'parked'";
    match phase {
        "before" => {}
        "act" => {
            inbox.take(&messages).await.expect("taken");
            let topics = Topics {
                shadow: bench.shadow.clone(),
                bus: Arc::new(Shelf(dir.to_owned())),
            };
            while step(&bench.shadow, readers::TOPICS, &topics)
                .await
                .expect("told")
                > 0
            {}
        }
        "killed" => {
            assert_eq!(count(&db, records).await, 3, "two events and a letter");
            assert_eq!(count(&db, parked).await, 1);
            assert!(lines(dir, "dead").is_empty());
            proven(&db).await;
        }
        _ => {
            assert_eq!(count(&db, records).await, 3, "redelivery has no effect");
            assert_eq!(lines(dir, "dead"), ["broken"]);
            let next = inbox.next_offset(RAW, 0).await.expect("reads");
            assert_eq!(next, Some(3));
            proven(&db).await;
        }
    }
}
