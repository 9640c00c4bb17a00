//! `florin aws rotate` through Lambda's protocol, a mock of Secrets Manager, PostgreSQL, and brokers
//! that want TLS and SCRAM.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use florin_platform::testing::postgres::TestPostgres;
use florin_platform::testing::process::{Running, free_port, skipped};
use serde_json::{Value, json};

use crate::server::launch::florin_with;

/// The steps of a rotation that were answered, by the stand-in of Lambda's runtime.
#[derive(Default)]
struct Lambda {
    steps: Mutex<Vec<Value>>,
    answers: Mutex<Vec<(String, String)>>,
}

async fn runtime(
    State(lambda): State<Arc<Lambda>>,
    request: axum::extract::Request,
) -> (StatusCode, HeaderMap, String) {
    let path = request.uri().path().to_owned();
    let mut headers = HeaderMap::new();
    if path.ends_with("/next") {
        let Some(step) = lambda.steps.lock().expect("not poisoned").pop() else {
            return (StatusCode::GONE, headers, String::new());
        };
        headers.insert(
            "lambda-runtime-aws-request-id",
            "call-1".parse().expect("a header"),
        );
        return (StatusCode::OK, headers, step.to_string());
    }
    let body = axum::body::to_bytes(request.into_body(), 1 << 16)
        .await
        .expect("a body");
    let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
    lambda
        .answers
        .lock()
        .expect("not poisoned")
        .push((kind, String::from_utf8_lossy(&body).into_owned()));
    (StatusCode::ACCEPTED, headers, String::new())
}

async fn secrets(http: &reqwest::Client, port: u16, action: &str, body: Value) -> Value {
    let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-west-2/secretsmanager/aws4_request, SignedHeaders=host, Signature=0";
    let sent = http
        .post(format!("http://127.0.0.1:{port}/"))
        .header("x-amz-target", format!("secretsmanager.{action}"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("authorization", scope)
        .body(body.to_string());
    let answer = sent
        .send()
        .await
        .expect("the mock answers")
        .text()
        .await
        .expect("text");
    serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{action}: {answer}"))
}

const SECRET: &str = "florin/staging/wallets/db";
const TOKEN: &str = "11111111-2222-4333-8444-555555555555";

/// A mock of Secrets Manager; `None` where there is none.
fn mock() -> Option<(Running, u16)> {
    let look = Command::new("python3")
        .args(["-c", "import moto.server"])
        .output();
    if !look.is_ok_and(|done| done.status.success()) {
        return None;
    }
    let port = free_port();
    let started = Command::new("python3")
        .args([
            "-c",
            "from moto.server import main; main()",
            "-H",
            "127.0.0.1",
            "-p",
        ])
        .arg(port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Some((Running(started.expect("the mock starts")), port))
}

/// What a rotation stands on; `None`, said by name, without the mock.
fn ground() -> Option<(tokio::runtime::Runtime, Running, u16, reqwest::Client)> {
    let Some((running, moto)) = mock() else {
        skipped("no moto (pip install moto[server]==5.2.1)");
        return None;
    };
    florin_platform::http::client::install_crypto();
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    Some((tokio, running, moto, reqwest::Client::new()))
}

/// Waits for the mock, and puts secrets into it.
async fn prepared(http: &reqwest::Client, moto: u16, values: &[(&str, Value)]) {
    let url = format!("http://127.0.0.1:{moto}/moto-api/");
    let mut tries = 240;
    while http.get(&url).send().await.is_err() {
        tries -= 1;
        assert!(tries > 0, "the mock does not answer");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    for (name, value) in values {
        let body = json!({"Name": name, "SecretString": value.to_string()});
        secrets(http, moto, "CreateSecret", body).await;
    }
}

/// Lambda's runtime, which asks for all steps; the first comes twice, as after a crash.
fn lambda(tokio: &tokio::runtime::Runtime, secret: &str) -> (Arc<Lambda>, String) {
    let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port");
    let api = listener.local_addr().expect("an address").to_string();
    let lambda = Arc::new(Lambda::default());
    let step = |name: &str| json!({"Step": name, "SecretId": secret, "ClientRequestToken": TOKEN, "RotationToken": "t"});
    // They are taken from the end.
    let steps = [
        "finishSecret",
        "testSecret",
        "setSecret",
        "createSecret",
        "createSecret",
    ];
    lambda
        .steps
        .lock()
        .expect("not poisoned")
        .extend(steps.map(step));
    let app = axum::Router::new()
        .fallback(runtime)
        .with_state(Arc::clone(&lambda));
    tokio.spawn(async move { axum::serve(listener, app).await });
    (lambda, api)
}

fn psql(postgres: &TestPostgres, url: &str, sql: &str) -> String {
    let done = Command::new(postgres.programs().join("psql"))
        .args([
            "--tuples-only",
            "--no-align",
            "--dbname",
            url,
            "--command",
            sql,
        ])
        .output();
    let done = done.expect("psql");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

/// Rotates a secret; what is current after it. It ends when the runtime goes away.
fn rotate(
    tokio: &tokio::runtime::Runtime,
    moto: u16,
    secret: &str,
    more: &[(&'static str, String)],
) -> Value {
    let (lambda, api) = lambda(tokio, secret);
    let mut env = vec![
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{moto}")),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-west-2".to_owned()),
        ("FLORIN_MASTER_SECRET", "master".to_owned()),
    ];
    env.extend_from_slice(more);
    let (_, out, err) = florin_with(&["aws", "rotate"], &env);
    let answers = lambda.answers.lock().expect("not poisoned").clone();
    let good = answers.iter().all(|(kind, _)| kind == "response");
    assert!(good && answers.len() == 5, "{answers:?} {out} {err}");

    let body = json!({"SecretId": secret, "VersionStage": "AWSCURRENT"});
    let http = reqwest::Client::new();
    let value = tokio.block_on(secrets(&http, moto, "GetSecretValue", body));
    assert_eq!(value["VersionId"], TOKEN, "the new version is current");
    let made = value["SecretString"].as_str().expect("a text");
    let made: Value = serde_json::from_str(made).expect("JSON");
    let new = made.get("password").or(made.get("next"));
    let new = new.and_then(Value::as_str).expect("a password or key");
    assert!(
        ![&out, &err].iter().any(|said| said.contains(new)),
        "a value was printed"
    );
    made
}

#[test]
fn dep_095_dep_096_a_rotation_makes_the_other_user_and_makes_it_current() {
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    let (Some(postgres), Some((_mock, moto))) = (tokio.block_on(TestPostgres::start()), mock())
    else {
        return skipped("no PostgreSQL, or no moto (pip install moto[server]==5.2.1)");
    };
    drop(tokio.block_on(postgres.fresh()));
    florin_platform::http::client::install_crypto();
    let http = reqwest::Client::new();
    let place = postgres.url().replace("postgres://florin@", "@");
    let url = format!("postgres://wallets_a:old{place}");
    let current =
        json!({"username": "wallets_a", "password": "old", "url": url, "replica_url": url});
    let master = json!({"username": "florin", "password": "a:b@c"});
    let values = [("master", master), (SECRET, current)];
    tokio.block_on(prepared(&http, moto, &values));
    let made = rotate(&tokio, moto, SECRET, &[]);
    let password = made["password"].as_str().expect("a password");
    assert_eq!(made["username"], "wallets_b");
    assert_eq!(
        made["replica_url"],
        format!("postgres://wallets_b:{password}{place}")
    );

    let kept = "SELECT left(rolpassword, 19) FROM pg_authid WHERE rolname = 'wallets_b'";
    assert_eq!(
        psql(&postgres, &postgres.url(), kept),
        "SCRAM-SHA-256$4096:",
        "a verifier"
    );
    // Two users, one owner: what one makes the other may change.
    let url = format!("postgres://wallets_b{place}");
    psql(&postgres, &url, "CREATE SCHEMA rotated");
    let owner = "SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'rotated'";
    assert_eq!(psql(&postgres, &url, owner), "florin_units");
}

/// Brokers hear of a new password only later: the user is tried until they all know it, and the
/// unit is told of it after that.
#[cfg(feature = "kafka")]
#[test]
fn dep_095_a_new_user_of_the_brokers_is_current_once_they_let_it_in() {
    use florin_platform::testing::brokers::{Manner, SecuredBrokers};

    let Some((tokio, _mock, moto, http)) = ground() else {
        return;
    };
    let entered = tokio.enter();
    let brokers = SecuredBrokers::start(Manner::default());
    drop(entered);
    let own = "florin/staging/wallets/kafka";
    let theirs = ["a", "b"].map(|which| format!("AmazonMSK_florin_staging_wallets_{which}"));
    let user = |which: &str, password: &str| {
        let name = format!("florin-staging-wallets_{which}");
        json!({"username": name, "password": password})
    };
    let mut current = user("a", "old");
    current["url"] = Value::String(brokers.settings().url.clone());
    let values = [
        (own, current),
        (&theirs[0], user("a", "old")),
        (&theirs[1], user("b", "never used")),
    ];
    tokio.block_on(prepared(&http, moto, &values));
    brokers.let_in("florin-staging-wallets_a", "old");
    // Not before it was tried in vain.
    let follow = |rotated: &std::thread::ScopedJoinHandle<'_, Value>| {
        while brokers.refused() == 0 && !rotated.is_finished() {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let body = json!({"SecretId": theirs[1]});
        let value = tokio.block_on(secrets(&http, moto, "GetSecretValue", body));
        let value = value["SecretString"].as_str().expect("a text").to_owned();
        let value: Value = serde_json::from_str(&value).expect("JSON");
        let text = |name: &str| value[name].as_str().expect("a text").to_owned();
        brokers.let_in(&text("username"), &text("password"));
        value
    };
    let authority = brokers.authority().to_str().expect("UTF-8").to_owned();
    let more = [("SSL_CERT_FILE", authority)];
    let (made, theirs_now) = std::thread::scope(|threads| {
        let rotated = threads.spawn(|| rotate(&tokio, moto, own, &more));
        let theirs = follow(&rotated);
        (rotated.join().expect("rotated"), theirs)
    });
    assert_eq!(made["username"], "florin-staging-wallets_b");
    assert_eq!(
        theirs_now,
        user("b", made["password"].as_str().expect("a password"))
    );
    assert_eq!(made["url"], brokers.settings().url.as_str());
    assert!(brokers.refused() > 0 && brokers.signed_in() > 0);
    // The one in use is what it was.
    let body = json!({"SecretId": theirs[0]});
    let first = tokio.block_on(secrets(&http, moto, "GetSecretValue", body));
    assert_eq!(first["SecretString"], user("a", "old").to_string());
}

#[test]
fn dep_095_keys_that_sign_tokens_move_on_by_one() {
    let Some((tokio, _mock, moto, http)) = ground() else {
        return;
    };
    let name = "florin/staging/shared/signing-key";
    let seed = |byte: &str| byte.repeat(32);
    let keys = json!({"current": seed("02"), "next": seed("03"), "former": seed("01")});
    tokio.block_on(prepared(&http, moto, &[(name, keys)]));
    let made = rotate(&tokio, moto, name, &[]);
    assert_eq!(made["former"], seed("02"));
    assert_eq!(made["current"], seed("03"));
    let next = made["next"].as_str().expect("a key");
    assert!(next.len() == 64 && next != seed("03"), "a new one");
}
