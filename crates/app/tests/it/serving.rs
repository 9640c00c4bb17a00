//! How a server meets the world: rate limits, TLS, what only development has, and what stands in
//! the way of a start.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::Signal;
use serde_json::json;

use crate::server::launch::{florin, on_postgres};
use crate::server::moves::{fresh, item};
use crate::server::{Launch, Who};

#[test]
fn callers_are_slowed_down() {
    let config = "[limits]\nread_per_second = 5\nwrite_per_second = 3\n[auth.password]\nmemory_kib = 64\niterations = 1\n";
    let server = Launch::new().with_limits().config(config).start();
    let get = || server.get(Who::Auditor, "/api/v1/ledger");
    let first = get().ok(200);
    assert_eq!(first.header("ratelimit-limit"), "5");
    assert!(
        !first.header("ratelimit-remaining").is_empty()
            && !first.header("ratelimit-reset").is_empty()
    );
    let refused = (0..50)
        .map(|_| get())
        .find(|reply| reply.status == 429)
        .expect("slowed down");
    assert_eq!(refused.code(), (429, "rate_limited"));
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(refused.header("ratelimit-remaining"), "0");
    // Others have allowances of their own; the role `service` has none to use up.
    server.get(Who::Operator, "/api/v1/ledger").ok(200);
    for _ in 0..20 {
        server.get(Who::Service, "/api/v1/ledger").ok(200);
    }
    let name = server.demo("userName").to_owned();
    let attempt = |name: &str| {
        let body = json!({"userName": name, "password": "a wrong password"});
        server.post(Who::Nobody, "/api/v1/auth/token", body)
    };
    let statuses: Vec<u16> = (0..6).map(|_| attempt(&name).status).collect();
    assert_eq!(
        statuses,
        [401, 401, 401, 401, 401, 429],
        "5 in a minute for one name"
    );
    let spelled = attempt(&name.to_ascii_uppercase());
    assert_eq!(spelled.status, 429, "spelling gains nothing");
    assert!(!spelled.header("retry-after").is_empty());
    server.get(Who::Nobody, "/health").ok(200);
}

#[test]
fn tls_with_a_certificate_made_on_the_spot() {
    let server = Launch::new().arg("--self-signed").start();
    assert!(
        server.ready["url"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://"))
    );
    server.get(Who::Nobody, "/health").ok(200);
    let wallet = server.funded("BRL", "1.00");
    assert_eq!(server.balance(&wallet), "1.00");
    let mut plain = TcpStream::connect(server.client.addr()).expect("connects");
    plain
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("sent");
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).ok();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "nothing in the clear");
}

#[test]
fn the_dev_clock_exists_in_development_only() {
    let server = Launch::new().without("--dev-clock").start();
    let reply = server.put(
        Who::Admin,
        "/api/v1/dev/clock",
        json!({"advanceSeconds": 1}),
    );
    assert_eq!(reply.status, 404, "{}", reply.text);
    let refuses = |args: &[&str], name: &str| {
        let dir = tempfile::tempdir().expect("temporary folder");
        let data = dir.path().join("data");
        let data = data.to_str().expect("plain");
        let config = dir.path().join("florin.toml");
        std::fs::write(&config, "environment = \"production\"\n").expect("written");
        let config = config.to_str().expect("plain");
        let common = [
            "serve",
            "--port",
            "0",
            "--data-dir",
            data,
            "--config",
            config,
        ];
        let (code, out, err) = florin(&[&common, args].concat());
        assert_eq!((code, out.as_str()), (Some(78), ""), "{err}");
        assert!(err.contains(name), "{err}");
    };
    refuses(&["--unsafe-dev"], "--unsafe-dev");
    refuses(&["--unsafe-dev", "--dev-clock"], "--dev-clock");
    refuses(&["--demo"], "--demo");
    if !on_postgres() {
        let other = server.data_dir().to_str().expect("plain").to_owned();
        let (code, _, err) = florin(&["serve", "--port", "0", "--data-dir", &other]);
        assert_eq!(code, Some(1));
        assert!(err.contains("hint: "), "one process at a time: {err}");
    }
    let port = server.client.addr().port().to_string();
    let dir = tempfile::tempdir().expect("temporary folder");
    let data = dir.path().to_str().expect("plain").to_owned();
    let (code, _, err) = florin(&["serve", "--port", &port, "--data-dir", &data]);
    assert_eq!(code, Some(1));
    assert!(err.contains("hint: ") && err.contains(&port), "{err}");
}

/// The first signal: what was accepted is finished and answered, streams end, the next start
/// finds everything.
#[test]
fn stopping_finishes_what_was_accepted() {
    let server = Launch::new().start();
    let (source, account) = (server.source("BRL"), server.account("BRL", json!({})));
    let answered = AtomicU64::new(0);
    let after = server.last_seq();
    let path = format!("/api/v1/ledger/changes?after={after}&follow=true");
    let mut feed = server
        .call(Who::Service, "GET", &path)
        .lines()
        .expect("a stream");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let item = item(&fresh("t"), &source, &account, "1", "BRL");
                    let call = server.call(Who::Service, "POST", "/api/v1/ledger/transfers");
                    let Ok(reply) = call.json(&item).try_send() else {
                        return;
                    };
                    assert_eq!(reply.status, 201, "{}", reply.text);
                    if answered.fetch_add(1, Ordering::SeqCst) == 100 {
                        server.signal(Signal::TERM);
                    }
                }
            });
        }
    });
    let mut lines = 0_u64;
    while let Ok(Some(line)) = feed.next() {
        lines += u64::from(!line.contains("heartbeat"));
    }
    let (status, home) = server.wait();
    assert!(status.success(), "{status}");
    let answered = answered.into_inner();
    assert!(lines <= answered, "{lines} lines, {answered} answers");
    let home = home.expect("its own folder");
    let server = Launch::new().dir(home.path()).start();
    assert_eq!(server.minor(&account).0, answered.to_string());
    server.books_are_balanced();
}

/// DEP-095 of the deployment contract: what runs it starts one with the secrets of that day.
#[test]
fn dep_095_a_process_ends_in_order_at_its_age() {
    let server = Launch::new()
        .config("[server]\nmax_lifetime = \"2s\"\n")
        .start();
    let wallet = server.funded("BRL", "1.00");
    let log = server.data_dir().to_owned();
    let (status, dir) = server.wait();
    assert_eq!(status.code(), Some(0), "in {}", log.display());
    let again = Launch::new().dir(dir.expect("its folder").path()).start();
    assert_eq!(again.balance(&wallet), "1.00");
}
