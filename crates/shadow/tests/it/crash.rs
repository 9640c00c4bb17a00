//! A real process is killed at each named point; what it acknowledged is there, once, and the
//! next start goes on (contract F2, INV-S1, INV-S2, INV-S6). Needs the feature `failpoints`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use florin_platform::sql::{Db, query};
use florin_shadow::model::{Event, State};
use florin_shadow::store::Settings;
use florin_shadow::store::intake::Outcome;
use florin_shadow::store::rebuild::{Request, verify};
use florin_shadow::worker::deadlines;
use florin_shadow::worker::outbox::{self, Delivering, Outlet, Told, readers};

use crate::support::{Bench, bench_on, event, take};

const DIR: &str = "FLORIN_CRASH_DIR";
const TIME: i64 = 1_735_561_800_000;

fn batch() -> Vec<Event> {
    (0..20)
        .map(|n| {
            let signed = if n % 2 == 0 { 100 } else { -150 };
            event(&format!("E{n}"), &format!("A{}", n % 3), signed, TIME + n)
        })
        .collect()
}

async fn open(dir: &Path) -> Bench {
    let db = Db::open_sqlite(&dir.join("shadow.db"))
        .await
        .expect("opens");
    bench_on(db, Settings::default()).await
}

pub fn note(dir: &Path, file: &str, line: &str) {
    let path = dir.join(file);
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    let mut file = opened.expect("opens");
    writeln!(file, "{line}").expect("writes");
    file.sync_all().expect("syncs");
}

struct ToFile(PathBuf);

impl Outlet for ToFile {
    fn deliver<'a>(&'a self, told: &'a [Told]) -> Delivering<'a> {
        for one in told {
            note(&self.0, "told", &one.log_seq.to_string());
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Everything that the process does, in order; safe to be done again after a crash.
async fn work(dir: &Path) {
    let bench = open(dir).await;
    for (at, outcome) in take(&bench.shadow, batch()).await.iter().enumerate() {
        match outcome {
            Outcome::Accepted { .. } => note(dir, "acked", &format!("E{at}")),
            Outcome::Duplicate { .. } => note(dir, "acked", &format!("E{at}")),
            other => panic!("{other:?}"),
        }
    }
    let outlet = ToFile(dir.to_owned());
    while outbox::step(&bench.shadow, readers::WEBHOOKS, &outlet)
        .await
        .expect("told")
        > 0
    {}
    bench.clock.advance(31_000_000);
    deadlines::work_all(&bench.shadow).await.expect("worked");
    while outbox::step(&bench.shadow, readers::WEBHOOKS, &outlet)
        .await
        .expect("told")
        > 0
    {}
}

/// The process that is killed; does nothing when it is run as a test.
#[tokio::test]
async fn child() {
    if let Some(dir) = std::env::var_os(DIR) {
        work(Path::new(&dir)).await;
    }
}

fn run_child(dir: &Path, point: &str) -> bool {
    let me = std::env::current_exe().expect("this test");
    let status = Command::new(me)
        .args(["crash::child", "--exact", "--test-threads=1"])
        .env(DIR, dir)
        .env("FLORIN_FAILPOINT", point)
        .output()
        .expect("runs")
        .status;
    status.success()
}

pub fn lines(dir: &Path, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

async fn rows(db: &Db, text: &'static str) -> Vec<(String, i64)> {
    let rows = db.fetch_all(query(text)).await.expect("reads");
    rows.iter()
        .map(|row| {
            (
                row.get::<String>("a").expect("a"),
                row.get::<i64>("n").expect("n"),
            )
        })
        .collect()
}

async fn check(dir: &Path, point: &str) {
    let bench = open(dir).await;
    let db = &bench.db;
    let report = verify(db, &Request::default(), &|_| {})
        .await
        .expect("runs");
    assert!(report.is_good(), "{point}: {report:?}");
    let events = "SELECT subject AS a, COUNT(*) AS n FROM shadow_log WHERE kind = 'event'
        GROUP BY subject";
    let recorded: BTreeMap<String, i64> = rows(db, events).await.into_iter().collect();
    for id in lines(dir, "acked") {
        assert_eq!(recorded.get(&id), Some(&1), "{point}: acked {id} (INV-S1)");
    }
    assert!(
        recorded.is_empty() || recorded.len() == 20,
        "{point}: all or none"
    );
    let finals = "SELECT event_id AS a, COUNT(*) AS n FROM shadow_changes GROUP BY event_id";
    let finals = rows(db, finals).await;
    assert!(finals.iter().all(|(_, n)| *n == 1), "{point}: decided once");
}

#[tokio::test]
async fn inv_s1_every_acknowledged_event_is_there_once_after_a_crash() {
    for point in [
        "intake.before_commit",
        "batch.mid",
        "intake.after_commit",
        "outbox.before_publish",
        "outbox.after_publish",
        "deadline.mid",
        "outbox.before_publish:2",
        "outbox.after_publish:2",
    ] {
        let dir = tempfile::tempdir().expect("folder");
        assert!(!run_child(dir.path(), point), "{point} kills the process");
        let stored = {
            let bench = open(dir.path()).await;
            rows(
                &bench.db,
                "SELECT kind AS a, COUNT(*) AS n FROM shadow_log GROUP BY kind",
            )
            .await
        };
        let nothing = point == "intake.before_commit" || point == "batch.mid";
        assert_eq!(stored.is_empty(), nothing, "{point}: {stored:?}");
        check(dir.path(), point).await;
        // The same work again: nothing twice, nothing missing.
        assert!(run_child(dir.path(), "none"), "{point}: goes on");
        check(dir.path(), point).await;
        let bench = open(dir.path()).await;
        let head = florin_shadow::store::read::head(&bench.db)
            .await
            .expect("a head");
        let told = lines(dir.path(), "told");
        let emitting = "SELECT emits AS a, log_seq AS n FROM shadow_log WHERE emits IS NOT NULL";
        for (name, seq) in rows(&bench.db, emitting).await {
            assert!(told.contains(&seq.to_string()), "{point}: {name} {seq}");
        }
        assert!(head.log_seq >= 20);
        let open = "SELECT state AS a, COUNT(*) AS n FROM shadow_entries WHERE is_open
            GROUP BY state";
        assert!(rows(&bench.db, open).await.is_empty(), "{point}: all final");
        let states = "SELECT state AS a, COUNT(*) AS n FROM shadow_entries GROUP BY state";
        let total: i64 = rows(&bench.db, states).await.iter().map(|(_, n)| n).sum();
        assert_eq!(total, 20, "{point}: INV-S5");
        assert!(
            rows(&bench.db, states)
                .await
                .iter()
                .all(|(state, _)| State::from_word(state).is_some())
        );
    }
}
