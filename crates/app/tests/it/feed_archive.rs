//! The archive of the feed (deployment contract, DEP-089) against a bucket that is stricter than a
//! mock: it takes nothing without its checksum, replaces nothing, and removes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use florin_platform::testing::postgres::TestPostgres;
use serde_json::Value;

use crate::server::Who;
use crate::server::launch::{Launch, Server, florin_with};

/// Bucket and prefix, as in paths.
const PREFIX: &str = "/locked-bucket/feed/";
const CONFIG: &str = "[ledger]\ncheckpoint_interval = \"1s\"\n[archive]\ninterval = \"1s\"\nurl = \"s3://locked-bucket/feed\"\n";
/// Objects of which nobody took notice yet.
const NEWS: usize = 1_024;
/// Longest wait for something that takes some seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A bucket whose objects are locked.
struct Bucket {
    objects: Mutex<BTreeMap<String, Bytes>>,
    /// What was refused, and why.
    refused: Mutex<Vec<String>>,
    /// Manifests that are still turned away.
    failing: Mutex<u32>,
    kept: Mutex<mpsc::SyncSender<String>>,
}

fn checksum(body: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, body);
    BASE64.encode(digest.as_ref())
}

fn put(bucket: &Bucket, name: &str, headers: &HeaderMap, body: Bytes) -> StatusCode {
    let said = |what: &str| {
        headers
            .get(what)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    let refuse = |status: StatusCode, why: &str| {
        bucket
            .refused
            .lock()
            .expect("not poisoned")
            .push(format!("{name}: {why}"));
        status
    };
    if said("x-amz-checksum-sha256") != Some(checksum(&body)) {
        return refuse(StatusCode::BAD_REQUEST, "no checksum of its own");
    }
    if said("if-none-match").as_deref() != Some("*") {
        return refuse(StatusCode::FORBIDDEN, "might replace");
    }
    let mut failing = bucket.failing.lock().expect("not poisoned");
    if name.ends_with(".json") && *failing > 0 {
        *failing -= 1;
        return StatusCode::FORBIDDEN;
    }
    let mut objects = bucket.objects.lock().expect("not poisoned");
    if objects.contains_key(name) {
        return StatusCode::PRECONDITION_FAILED;
    }
    objects.insert(name.to_owned(), body);
    let kept = bucket.kept.lock().expect("not poisoned");
    // Nobody may listen any more; what waits says enough.
    let _ = kept.try_send(name.to_owned());
    StatusCode::OK
}

async fn answer(
    State(bucket): State<Arc<Bucket>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query = uri.query().unwrap_or_default();
    if method == Method::GET && query.contains("list-type=2") {
        let after = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("start-after="));
        let after = after.unwrap_or_default().replace("%2F", "/");
        let objects = bucket.objects.lock().expect("not poisoned");
        let listed = objects.iter().filter_map(|(name, body)| {
            let key = name.strip_prefix("/locked-bucket/")?;
            (key > after.as_str()).then(|| format!("<Contents><Key>{key}</Key><LastModified>2026-11-21T00:00:00.000Z</LastModified><Size>{}</Size><ETag>\"1\"</ETag></Contents>", body.len()))
        });
        let listed: String = listed.collect();
        return format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
        )
        .into_response();
    }
    let name = uri.path().to_owned();
    match method {
        Method::PUT => (put(&bucket, &name, &headers, body), [("etag", "\"1\"")]).into_response(),
        Method::GET => match bucket.objects.lock().expect("not poisoned").get(&name) {
            Some(body) => {
                let headers = [
                    ("etag", "\"1\""),
                    ("last-modified", "Sat, 21 Nov 2026 00:00:00 GMT"),
                ];
                (headers, body.clone()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => {
            bucket
                .refused
                .lock()
                .expect("not poisoned")
                .push(format!("{method} {name}"));
            StatusCode::METHOD_NOT_ALLOWED.into_response()
        }
    }
}

struct Rig {
    bucket: Arc<Bucket>,
    news: mpsc::Receiver<String>,
    env: Vec<(&'static str, String)>,
    _tokio: tokio::runtime::Runtime,
}

fn rig() -> Rig {
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    let (kept, news) = mpsc::sync_channel(NEWS);
    let bucket = Arc::new(Bucket {
        objects: Mutex::default(),
        refused: Mutex::default(),
        failing: Mutex::new(0),
        kept: Mutex::new(kept),
    });
    let listener = tokio
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let app = axum::Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&bucket));
    let app = app.layer(axum::extract::DefaultBodyLimit::disable());
    tokio.spawn(async move { axum::serve(listener, app).await });
    let env = vec![
        (
            "FLORIN__BLOBS__ENDPOINT",
            format!("http://127.0.0.1:{port}"),
        ),
        ("FLORIN__BLOBS__PATH_STYLE", "true".to_owned()),
        ("FLORIN__BLOBS__REGION", "us-west-2".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "made-up".to_owned()),
    ];
    Rig {
        bucket,
        news,
        env,
        _tokio: tokio,
    }
}

impl Rig {
    fn launch(&self) -> Launch {
        let launch = Launch::new().config(CONFIG);
        self.env.iter().fold(launch, |launch, (name, value)| {
            launch.env(name, value.clone())
        })
    }

    /// Waits until a manifest says that this record is archived.
    #[track_caller]
    fn archived(&self, seq: u64) {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let last = self
                .manifests()
                .iter()
                .map(|m| m["lastSeq"].as_u64().expect("a number"))
                .max();
            if last.is_some_and(|last| last >= seq) {
                return;
            }
            let left = until.saturating_duration_since(std::time::Instant::now());
            let news = self.news.recv_timeout(left);
            assert!(
                news.is_ok(),
                "record {seq} is not archived; refused: {:?}",
                self.bucket.refused.lock()
            );
        }
    }

    fn manifests(&self) -> Vec<Value> {
        let objects = self.bucket.objects.lock().expect("not poisoned");
        let manifests = objects.iter().filter(|(name, _)| name.ends_with(".json"));
        manifests
            .map(|(_, body)| serde_json::from_slice(body).expect("JSON"))
            .collect()
    }

    /// `florin dr archived`: code and outcome.
    fn read(&self, args: &[&str]) -> (Option<i32>, Value, String) {
        let all = [
            &[
                "dr",
                "archived",
                "--archive",
                "s3://locked-bucket/feed",
                "--output",
                "json",
            ],
            args,
        ]
        .concat();
        let (code, out, err) = florin_with(&all, &self.env);
        (code, serde_json::from_str(&out).unwrap_or_default(), err)
    }
}

fn feed(server: &Server) -> String {
    server
        .get(Who::Auditor, "/api/v1/ledger/changes?limit=100000")
        .ok(200)
        .text
}

fn last(feed: &str) -> u64 {
    let line: Value = serde_json::from_str(feed.lines().last().expect("a record")).expect("JSON");
    line["seq"].as_u64().expect("a number")
}

fn spend(server: &Server, code: &str) {
    let asset = serde_json::json!({"code": code, "scale": 2, "kind": "other"});
    server
        .post(Who::Admin, "/api/v1/ledger/assets", asset)
        .ok(201);
}

/// DEP-089, DEP-143: what is archived is the feed byte for byte, without gap and overlap also over a
/// restart and over objects that the bucket did not take at once; all of it holds against the keys.
#[test]
fn dep_089_dep_143_the_feed_is_archived_once_and_holds_against_its_signatures() {
    if !cfg!(feature = "s3") {
        println!("SKIPPED the_feed_is_archived_once: built without the feature s3");
        return;
    }
    let rig = rig();
    *rig.bucket.failing.lock().expect("not poisoned") = 1;
    let home = tempfile::tempdir().expect("a folder");
    let server = rig.launch().dir(home.path()).start();
    let before = last(&feed(&server));
    rig.archived(before);
    server.stop();
    let server = rig.launch().dir(home.path()).start();
    spend(&server, "AAA");
    spend(&server, "BBB");
    let lines = feed(&server);
    let end = last(&lines);
    assert!(end > before, "{end}");
    rig.archived(end);
    let metrics = server.get(Who::Nobody, "/metrics").text;
    let age = metrics
        .lines()
        .find_map(|line| line.strip_prefix("feed_archive_age_seconds "));
    assert!(
        age.is_some_and(|age| age.parse::<f64>().is_ok_and(|age| age < 60.0)),
        "{age:?}"
    );

    let starts: BTreeSet<u64> = rig
        .manifests()
        .iter()
        .map(|m| m["firstSeq"].as_u64().expect("a number"))
        .collect();
    assert!(starts.len() >= 2 && starts.contains(&1), "{starts:?}");
    assert_eq!(
        *rig.bucket.refused.lock().expect("not poisoned"),
        Vec::<String>::new()
    );

    let keys = home.path().join("keys.json");
    let answered = server
        .get(Who::Auditor, "/api/v1/ledger/checkpoints/keys")
        .ok(200);
    std::fs::write(&keys, answered.text).expect("writes");
    let file = home.path().join("feed.ndjson");
    let (keys, file) = (keys.to_str().expect("text"), file.to_str().expect("text"));
    let (code, said, err) = rig.read(&["--key", keys, "--to-file", file]);
    assert_eq!(code, Some(0), "{said} {err}");
    assert_eq!(
        (&said["signaturesChecked"], &said["damage"]),
        (&Value::Bool(true), &Value::Null)
    );
    let kept = std::fs::read_to_string(file).expect("reads");
    let whole = feed(&server);
    assert!(
        whole.starts_with(&kept) && kept.starts_with(&lines),
        "byte for byte"
    );
    let (code, out, err) = florin_with(&["ledger", "verify", "--export", file], &[]);
    assert_eq!(code, Some(0), "{out} {err}");

    missing(&rig, keys);
    damaged(&rig, keys);
}

/// A manifest before the last one is gone: not the end, but a hole.
fn missing(rig: &Rig, keys: &str) {
    let gone = {
        let mut objects = rig.bucket.objects.lock().expect("not poisoned");
        let mut names = objects.keys().filter(|name| name.ends_with(".json"));
        let name = names.next().expect("a manifest").clone();
        let body = objects.remove(&name).expect("there");
        (name, body)
    };
    let (code, said, err) = rig.read(&["--key", keys]);
    assert_eq!(code, Some(1), "{said} {err}");
    let named = said["damage"]["segment"].as_str().expect("a name");
    assert!(gone.0.ends_with(named), "{said}");
    rig.bucket
        .objects
        .lock()
        .expect("not poisoned")
        .insert(gone.0, gone.1);
}

/// Something in the bucket is not what was written: it is named.
fn damaged(rig: &Rig, keys: &str) {
    let first = {
        let mut objects = rig.bucket.objects.lock().expect("not poisoned");
        let name = objects
            .keys()
            .find(|name| name.ends_with(".ndjson.gz"))
            .expect("lines")
            .clone();
        let mut body = objects[&name].to_vec();
        let middle = body.len() / 2;
        body[middle] ^= 1;
        objects.insert(name.clone(), body.into());
        name
    };
    let (code, said, err) = rig.read(&["--key", keys]);
    assert_eq!(code, Some(1), "{said} {err}");
    let named = said["damage"]["segment"].as_str().expect("a name");
    assert!(
        first.ends_with(named) && first.starts_with(PREFIX),
        "{first} {named}"
    );
}

/// DEP-089: of several workers over one database one archives; the other goes on where it ended.
#[test]
fn dep_089_two_workers_over_postgresql_keep_one_archive() {
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(postgres) = tokio.block_on(TestPostgres::start()) else {
        println!("SKIPPED two_workers_keep_one_archive: PostgreSQL is not installed");
        return;
    };
    if !cfg!(feature = "s3") {
        println!("SKIPPED two_workers_keep_one_archive: built without the feature s3");
        return;
    }
    drop(tokio.block_on(postgres.fresh()));
    let rig = rig();
    let over_postgres = |launch: Launch| {
        let names = ["FLORIN__LEDGER__URL", "FLORIN__DATABASE__URL"];
        names
            .iter()
            .fold(launch, |launch, name| launch.env(name, postgres.url()))
    };
    let one = over_postgres(rig.launch()).start();
    let two = over_postgres(rig.launch().without("--demo")).start();
    let keys = ["adminApiKey", "auditorApiKey"].map(|name| one.demo(name).to_owned());
    spend(&one, "AAA");
    rig.archived(last(&feed(&one)));
    one.stop();
    // The keys are in the tables that both share.
    let asset = serde_json::json!({"code": "BBB", "scale": 2, "kind": "other"});
    let call = two.client.call("POST", "/api/v1/ledger/assets");
    call.header("x-api-key", &keys[0])
        .json(&asset)
        .send()
        .ok(201);
    let path = "/api/v1/ledger/changes?limit=100000";
    let call = two.client.call("GET", path).header("x-api-key", &keys[1]);
    let lines = call.send().ok(200).text;
    rig.archived(last(&lines));
    let (code, said, err) = rig.read(&[]);
    assert_eq!(code, Some(0), "{said} {err}");
    assert!(said["records"].as_u64() >= Some(last(&lines)), "{said}");
    assert_eq!(
        *rig.bucket.refused.lock().expect("not poisoned"),
        Vec::<String>::new()
    );
}

/// DEP-089: a folder, named by its full path, holds an archive as a bucket does; one that is not
/// there is not made by who wants to read it.
#[test]
fn dep_089_a_folder_holds_an_archive_too() {
    let home = tempfile::tempdir().expect("a folder");
    let archive = home.path().join("archive").display().to_string();
    let read = |from: &str| florin_with(&["dr", "archived", "--archive", from], &[]);
    let (code, out, err) = read(&archive);
    assert!(
        code == Some(2) && !home.path().join("archive").exists(),
        "{code:?} {out} {err}"
    );
    let server = Launch::new()
        .config("[ledger]\ncheckpoint_interval = \"1s\"\n[archive]\ninterval = \"1s\"\n")
        .env("FLORIN__ARCHIVE__URL", archive.clone())
        .start();
    let end = last(&feed(&server));
    let until = std::time::Instant::now() + PATIENCE;
    let said = loop {
        let (code, out, err) = florin_with(
            &["dr", "archived", "--archive", &archive, "--output", "json"],
            &[],
        );
        let said: Value = serde_json::from_str(&out).unwrap_or_default();
        if said["records"].as_u64() >= Some(end) {
            assert_eq!(code, Some(0), "{said} {err}");
            break said;
        }
        assert!(std::time::Instant::now() < until, "{code:?} {out} {err}");
        std::thread::park_timeout(Duration::from_millis(500));
    };
    assert_eq!(said["damage"], Value::Null);
}
