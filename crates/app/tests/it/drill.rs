//! `florin dr` on real databases and folders: a drill under load, after a crash, and with damaged
//! backups, which it must refuse; a failover against a stand-in for AWS, step by step.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::HeaderMap;
use florin_platform::testing::postgres::TestPostgres;
use serde_json::{Value, json};

use crate::server::launch::{florin_with, on_postgres};
use crate::server::{Launch, Server, Who, path};

fn drill(args: &[&str]) -> (Option<i32>, Value, String) {
    let args = [&["dr", "drill", "--output", "json"], args].concat();
    let (code, out, err) = florin_with(&args, &[]);
    let outcome = serde_json::from_str(&out).unwrap_or(Value::Null);
    (code, outcome, err)
}

/// A PostgreSQL server with databases by name.
pub struct Site(Arc<TestPostgres>);

impl Site {
    /// `None`, said by name, where there is no PostgreSQL.
    pub fn start(test: &str) -> Option<Self> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let Some(postgres) = runtime.block_on(TestPostgres::start()) else {
            println!(
                "SKIPPED {test}: PostgreSQL's server is not installed (apt install postgresql)"
            );
            return None;
        };
        drop(runtime.block_on(postgres.fresh()));
        Some(Self(postgres))
    }

    fn url(&self, name: &str) -> String {
        self.0.url().replace("/postgres", &format!("/{name}"))
    }

    /// Runs one of PostgreSQL's own programs.
    pub fn program(&self, name: &str, args: &[&str]) {
        let output = Command::new(self.0.programs().join(name))
            .args(args)
            .output();
        let output = output.expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {said}");
    }

    /// One value, by a statement.
    pub fn ask(&self, url: &str, sql: &str) -> String {
        let args = [
            "--no-align",
            "--tuples-only",
            "--dbname",
            url,
            "--command",
            sql,
        ];
        let output = Command::new(self.0.programs().join("psql"))
            .args(args)
            .output();
        let output = output.expect("psql runs");
        assert!(output.status.success(), "{sql}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// An empty database.
    pub fn create(&self, name: &str) -> String {
        self.program("createdb", &["--maintenance-db", &self.0.url(), name]);
        self.url(name)
    }

    pub fn dump(&self, url: &str, file: &str) {
        self.program("pg_dump", &["--format=custom", "--file", file, url]);
    }

    fn drill(&self, source: &str, target: &str, more: &[&str]) -> (Option<i32>, Value, String) {
        let programs = self.0.programs().to_str().expect("plain path");
        let args = [
            "--source",
            source,
            "--target",
            target,
            "--programs",
            programs,
        ];
        drill(&[&args, more].concat())
    }

    /// On which port it listens.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// A server whose ledger and tables lie in a database.
    pub fn serve(&self, url: &str) -> Server {
        let launch = Launch::new().env("FLORIN__LEDGER__URL", url);
        launch.env("FLORIN__DATABASE__URL", url).start()
    }
}

fn settings(url: &str) -> [(&'static str, String); 2] {
    [
        ("FLORIN__LEDGER__URL", url.to_owned()),
        ("FLORIN__DATABASE__URL", url.to_owned()),
    ]
}

/// DEP-119: tables are made before any server runs, and doing it again changes nothing.
fn migrate(url: &str) {
    let scratch = tempfile::tempdir().expect("temporary folder");
    let dir = scratch.path().to_str().expect("plain");
    for _ in 0..2 {
        let (code, out, err) = florin_with(&["migrate", "--data-dir", dir], &settings(url));
        assert_eq!(code, Some(0), "{out} {err}");
        assert!(out.contains("ledger") && out.contains("tables"), "{out}");
    }
}

/// A drill while somebody posts all the time.
fn under_load(site: &Site, server: &Server, live: &str, restored: &str) -> Value {
    let wallet = server.funded("BRL", "1000.00");
    let stop = AtomicBool::new(false);
    let (code, outcome, err) = std::thread::scope(|scope| {
        let posting = scope.spawn(|| {
            let mut count = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let body = json!({"amount": "0.01", "referenceId": format!("load-{count}")});
                let withdrawn = server.post(Who::Service, &path(&wallet, "withdraw"), body);
                withdrawn.ok(200);
                count += 1;
            }
            count
        });
        let done = site.drill(live, restored, &[]);
        stop.store(true, Ordering::Relaxed);
        assert!(posting.join().expect("posts") > 0, "there was load");
        done
    });
    assert_eq!(code, Some(0), "{outcome} {err}");
    outcome
}

/// DEP-143: what was acknowledged after the backup is named, from the feed.
fn lost_are_named(live: &str, restored: &str, after: u64) {
    let home = tempfile::tempdir().expect("temporary folder");
    let (feed, dir) = (home.path().join("feed.ndjson"), home.path());
    let (feed, dir) = (feed.to_str().expect("plain"), dir.to_str().expect("plain"));
    let export = ["ledger", "export", "--to-file", feed, "--data-dir", dir];
    let (code, _, err) = florin_with(&export, &settings(live));
    assert_eq!(code, Some(0), "{err}");
    let lost = [
        "dr", "lost", "--target", restored, "--feed", feed, "--output", "json",
    ];
    let (code, out, err) = florin_with(&lost, &[]);
    let lost: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {err}"));
    let missing = lost["missing"].as_array().expect("a list");
    assert!(missing.len() as u64 >= after, "{lost}");
    assert_eq!(code, Some(i32::from(!missing.is_empty())), "{err}");
    assert_eq!(lost["compared"], true);
    let of_the_load = |record: &Value| {
        record["reference"]
            .as_str()
            .is_some_and(|text| text.starts_with("load-"))
    };
    assert!(missing.iter().all(of_the_load), "{lost}");
}

#[test]
fn dep_139_dep_119_dep_143_a_drill_under_load_finds_the_same_ledger() {
    let Some(site) = Site::start("dep_139_a_drill_under_load") else {
        return;
    };
    let (live, restored) = (site.create("live"), site.create("restored"));
    migrate(&live);
    let server = site.serve(&live);
    let outcome = under_load(&site, &server, &live, &restored);
    assert_eq!(outcome["ok"], true);
    let seq = |end: &str| outcome[end]["seq"].as_u64().expect("a number");
    assert!(
        seq("restored") >= seq("noted") && seq("noted") > 0,
        "{outcome}"
    );
    assert_eq!(outcome["differences"], json!([]));
    // A row of each room's tables was read on both sides: users, keys, the wallets' own.
    assert!(outcome["rowsCompared"].as_u64() > Some(3), "{outcome}");
    let users = &outcome["tables"]["florin.users"];
    assert!(
        users[0].as_i64() > Some(0) && users[0] == users[1],
        "{users}"
    );
    lost_are_named(
        &live,
        &restored,
        outcome["recordsAfterBackup"].as_u64().expect("a number"),
    );

    // What was restored serves, and its books are balanced.
    site.serve(&restored).books_are_balanced();
    // A target that holds something is refused.
    let (code, _, err) = site.drill(&live, &restored, &[]);
    assert_eq!(code, Some(1), "{err}");
}

#[test]
fn dep_139_a_damaged_backup_and_a_forged_ledger_are_refused() {
    let Some(site) = Site::start("dep_139_a_damaged_backup") else {
        return;
    };
    let live = site.create("live");
    drop(site.serve(&live).funded("BRL", "10.00"));
    let home = tempfile::tempdir().expect("temporary folder");
    let file = |name: &str| home.path().join(name).to_str().expect("plain").to_owned();

    // A backup that is cut off cannot be restored.
    let (whole, cut, lie) = (file("whole"), file("cut"), file("lie"));
    site.dump(&live, &whole);
    let bytes = std::fs::read(&whole).expect("the dump");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
    let (code, _, err) = site.drill(&live, &site.create("broken"), &["--backup", &cut]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("cannot be restored"), "{err}");

    // An empty database is no ledger.
    let (code, _, err) = site.drill(&site.create("empty"), &site.create("target"), &[]);
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains("there is no ledger in the schema florin_ledger"),
        "{err}"
    );

    // What a snapshot restored is compared without another backup; one that is older may end before.
    let older = site.create("older");
    site.program(
        "pg_restore",
        &["--exit-on-error", "--dbname", &older, &whole],
    );
    let (code, outcome, err) = site.drill(&live, &older, &["--restored"]);
    assert_eq!(code, Some(0), "{outcome} {err}");
    assert_eq!(outcome["backupMs"], 0);

    // A backup of a ledger in which somebody raised a balance is restored, and found out.
    let forged = site.create("forged");
    site.program(
        "pg_restore",
        &["--exit-on-error", "--dbname", &forged, &whole],
    );
    let raise = "UPDATE florin_ledger.balances SET cp = cp + 1";
    site.program(
        "psql",
        &["--quiet", "--dbname", &forged, "--command", raise],
    );
    site.dump(&forged, &lie);
    let (code, _, err) = site.drill(&live, &site.create("checked"), &["--backup", &lie]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("does not verify"), "{err}");
}

#[test]
fn dep_139_a_folder_after_a_crash_is_restored_and_a_damaged_one_refused() {
    if on_postgres() {
        println!("SKIPPED dep_139_a_folder…: this run has its ledgers in PostgreSQL");
        return;
    }
    let server = Launch::new().start();
    let wallet = server.funded("BRL", "10.00");
    server.withdraw(&wallet, "1.00").ok(200);
    let home = server.kill().expect("its folder");
    let data = home.path().join("data");
    let data = if data.is_dir() {
        data
    } else {
        home.path().to_owned()
    };
    let elsewhere = tempfile::tempdir().expect("temporary folder");
    let target = elsewhere.path().join("restored");
    let (source, to) = (
        data.to_str().expect("plain"),
        target.to_str().expect("plain"),
    );
    let (code, outcome, err) = drill(&["--source", source, "--target", to]);
    assert_eq!(code, Some(0), "{outcome} {err}");
    assert_eq!(outcome["noted"], outcome["restored"]);

    // One byte of the journal, far from its end.
    let mut segments: Vec<_> = walk(&data.join("ledger"))
        .into_iter()
        .filter(|file| file.to_string_lossy().contains("journal"))
        .collect();
    segments.sort();
    let segment = segments.first().expect("a segment");
    let mut bytes = std::fs::read(segment).expect("read");
    let at = bytes.len().min(400) / 2;
    bytes[at] ^= 0xff;
    std::fs::write(segment, bytes).expect("written");
    let third = elsewhere.path().join("third");
    let (code, _, err) = drill(&[
        "--source",
        source,
        "--target",
        third.to_str().expect("plain"),
    ]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("the source does not verify"), "{err}");
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push(path),
        }
    }
    found
}

/// What the stand-in was asked for, and what it answers next.
#[derive(Default)]
struct Aws {
    asked: Mutex<Vec<String>>,
    promoted: AtomicBool,
    lag: &'static str,
    /// The old region does not answer.
    lost: bool,
}

async fn answer(
    State(aws): State<Arc<Aws>>,
    headers: HeaderMap,
    body: String,
) -> (axum::http::StatusCode, String) {
    let scope = headers
        .get("authorization")
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let action = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("Action="))
        .map(str::to_owned);
    let target = headers
        .get("x-amz-target")
        .and_then(|v| v.to_str().ok())
        .map(|t| t.rsplit('.').next().unwrap_or(t).to_owned());
    let action = action.or(target).unwrap_or_default();
    let region = if scope.contains("/us-east-1/") {
        "east"
    } else {
        "west"
    };
    aws.asked
        .lock()
        .expect("not poisoned")
        .push(format!("{region} {action}"));
    if region == "west" && aws.lost {
        return (axum::http::StatusCode::SERVICE_UNAVAILABLE, String::new());
    }
    let text = match action.as_str() {
        "DescribeGlobalClusters" => {
            let east = aws.promoted.load(Ordering::SeqCst);
            format!("<R><M><DBClusterArn>arn:aws:rds:us-west-2:1:cluster:old</DBClusterArn><IsWriter>{}</IsWriter></M><M><DBClusterArn>arn:aws:rds:us-east-1:1:cluster:new</DBClusterArn><IsWriter>{east}</IsWriter></M></R>", !east)
        }
        "GetMetricStatistics" => aws.lag.to_owned(),
        "DescribeSecurityGroups" => "<R><groupId>sg-1</groupId></R>".to_owned(),
        "DescribeSecurityGroupRules" => "<R><item><securityGroupRuleId>sgr-1</securityGroupRuleId><isEgress>false</isEgress></item><item><securityGroupRuleId>sgr-2</securityGroupRuleId><isEgress>true</isEgress></item></R>".to_owned(),
        "RevokeSecurityGroupIngress" => {
            assert!(body.contains("SecurityGroupRuleId.1=sgr-1") && !body.contains("sgr-2"), "{body}");
            "<R/>".to_owned()
        }
        "FailoverGlobalCluster" => {
            aws.promoted.store(true, Ordering::SeqCst);
            "<R/>".to_owned()
        }
        _ => "{}".to_owned(),
    };
    (axum::http::StatusCode::OK, text)
}

/// Runs `florin dr failover` against the stand-in: code, what was said, what was asked for.
fn failover(aws: Aws, args: &[&str]) -> (Option<i32>, String, Vec<String>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let aws = Arc::new(aws);
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let app = axum::Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&aws));
    let serving = runtime.spawn(async move { axum::serve(listener, app).await });
    let env = [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ];
    let args = [&["dr", "failover"], args].concat();
    let (code, out, err) = florin_with(&args, &env);
    serving.abort();
    let asked = aws.asked.lock().expect("not poisoned").clone();
    (code, format!("{out}{err}"), asked)
}

const NEAR: &str = "<R><Maximum>420.0</Maximum></R>";

#[test]
fn dep_142_a_failover_fences_before_it_promotes() {
    let (code, said, asked) = failover(
        Aws {
            lag: NEAR,
            ..Aws::default()
        },
        &["--confirm", "production"],
    );
    assert_eq!(code, Some(0), "{said}");
    let at = |what: &str| {
        asked
            .iter()
            .position(|call| call == what)
            .unwrap_or_else(|| panic!("not asked: {what} in {asked:?}"))
    };
    let (fence, promote) = (
        at("west RevokeSecurityGroupIngress"),
        at("east FailoverGlobalCluster"),
    );
    assert!(
        fence < promote && promote < at("east UpdateService"),
        "{asked:?}"
    );
    assert!(
        said.contains("fenced: 1 ways") && said.contains("started: wallets, 6 tasks"),
        "{said}"
    );
}

#[test]
fn dep_142_nothing_changes_without_a_fence_a_confirmation_or_a_known_lag() {
    let changed = |asked: &[String]| {
        asked.iter().any(|call| {
            [
                "FailoverGlobalCluster",
                "UpdateService",
                "RevokeSecurityGroupIngress",
            ]
            .iter()
            .any(|verb| call.ends_with(verb))
        })
    };
    let (code, said, asked) = failover(
        Aws {
            lag: NEAR,
            ..Aws::default()
        },
        &["--confirm", "staging"],
    );
    assert_eq!((code, asked.len()), (Some(1), 0), "{said}");
    let (code, said, asked) = failover(
        Aws {
            lag: "<R/>",
            ..Aws::default()
        },
        &["--confirm", "production"],
    );
    assert!(code == Some(1) && !changed(&asked), "{said} {asked:?}");
    let (code, said, asked) = failover(
        Aws {
            lag: NEAR,
            lost: true,
            ..Aws::default()
        },
        &["--confirm", "production"],
    );
    assert!(
        code == Some(1) && !changed(&asked) && said.contains("cannot be fenced"),
        "{said} {asked:?}"
    );
    let (code, said, asked) = failover(
        Aws {
            lag: NEAR,
            lost: true,
            ..Aws::default()
        },
        &["--confirm", "production", "--primary-lost"],
    );
    assert!(
        code == Some(0) && changed(&asked) && said.contains("NOT fenced, as asked"),
        "{said} {asked:?}"
    );
}
