//! The gateway's forwarding, against processes that misbehave on cue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use florin_platform::http::forward::{Forward, ForwardConfig};
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::limit::Limits;
use florin_platform::http::proxy::TrustedProxies;
use florin_platform::http::router::App;
use florin_platform::http::server::{Server, ServerConfig};
use florin_platform::http::shutdown::{self, ShutdownTrigger};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::support::{Keys, Setup, answer, routes};

/// What a scripted process does with its next request.
#[derive(Clone, Copy)]
enum Turn {
    /// Answers with this status and body.
    Say(u16, &'static str),
    /// Reads the request and closes the connection.
    Vanish,
}

/// A process that does as told and keeps what it was sent.
struct Scripted {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn start(turns: impl IntoIterator<Item = Turn>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let turns = Arc::new(Mutex::new(turns.into_iter().collect::<VecDeque<_>>()));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, Arc::clone(&turns), Arc::clone(&kept)));
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }
}

async fn talk(
    mut stream: TcpStream,
    turns: Arc<Mutex<VecDeque<Turn>>>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    while let Some(request) = read_request(&mut stream).await {
        if request.starts_with("GET /ready ") {
            let ready = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(ready).await.expect("answered");
            continue;
        }
        seen.lock().push(request);
        let turn = turns.lock().pop_front();
        match turn {
            Some(Turn::Say(status, body)) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: keep-alive\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let answer = format!("{head}{body}");
                stream.write_all(answer.as_bytes()).await.expect("answered");
            }
            Some(Turn::Vanish) | None => return,
        }
    }
}

/// One whole request as text, `None` when the connection ended.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse::<usize>().expect("a number"))
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&more[..count]),
        }
    }
}

/// A gateway before some processes.
struct Gateway {
    base: String,
    client: Outgoing,
    forward: Forward,
    _trigger: ShutdownTrigger,
}

impl Gateway {
    async fn start(upstreams: &[&str], probe: Duration) -> Self {
        let (trigger, shutdown) = shutdown::pair();
        let urls = upstreams.iter().map(|url| (*url).to_owned()).collect();
        let mut config = ForwardConfig::new("things", urls);
        config.probe_interval = probe;
        config.buffer_max = 64 << 10;
        let forward = Forward::start(config, shutdown.clone())
            .await
            .expect("upstreams are URLs");
        let kit = Kit::new(KitConfig {
            trusted: TrustedProxies::new(vec!["127.0.0.1".parse().expect("address")]),
            ..KitConfig::default()
        })
        .with_authenticator(Arc::new(Keys))
        .with_limits(Arc::new(Limits::unlimited()));
        let app = App::builder(kit)
            .mount(routes().describe().forward(&forward))
            .build()
            .expect("routes are valid");
        let listen = "127.0.0.1:0".parse().expect("address");
        let server = Server::bind(ServerConfig::new(listen)).expect("a free port");
        let base = format!("http://localhost:{}", server.local_addr().port());
        tokio::spawn(server.serve(app.router(), shutdown));
        Self {
            base,
            client: Outgoing::new(&ClientConfig::new(Targets::Any)).expect("client"),
            forward,
            _trigger: trigger,
        }
    }

    /// Looks once, then not again while the test runs.
    async fn quiet(upstreams: &[&str]) -> Self {
        Self::start(upstreams, Duration::from_secs(3600)).await
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.client
            .get(&url)
            .expect("URL")
            .header("x-api-key", "admin")
    }

    fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.base);
        let request = self.client.post(&url).expect("URL");
        request
            .header("x-api-key", "admin")
            .header("content-type", "application/json")
            .body(body)
    }
}

/// An address where nobody listens, kept so that nobody else can.
struct Nobody {
    url: String,
    _socket: TcpSocket,
}

fn nobody() -> Nobody {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("address"))
        .expect("a free port");
    let url = format!("http://{}", socket.local_addr().expect("bound"));
    Nobody {
        url,
        _socket: socket,
    }
}

#[tokio::test]
async fn a_request_and_its_answer_pass_unchanged() {
    let behind = Setup::new().start();
    let gateway = Gateway::quiet(&[&behind.base]).await;
    let asked = gateway.get("/api/v1/things/7?limit=3");
    let asked = asked
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-trace-id", "trace-1");
    let (status, headers, body) = answer(asked).await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        serde_json::json!({"id": 7, "name": "limit Some(3)", "by": "admin", "client": "127.0.0.1"}),
        "the process behind believes no proxy here"
    );
    assert_eq!(headers["x-trace-id"], "trace-1");
    let (status, _, body) =
        answer(gateway.post("/api/v1/things", r#"{"name":"a","count":0}"#)).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (400, Some("insufficient_funds"))
    );
    assert_eq!(body["error"], "INSUFFICIENT_FUNDS");
    let long = format!("\"{}\"", "x".repeat(200_000));
    let (status, _, body) = answer(gateway.post("/api/v1/big", long)).await;
    assert_eq!((status, body), (200, serde_json::json!(200_000)));
}

#[tokio::test]
async fn the_gateway_refuses_whom_the_route_refuses_and_says_who_the_client_is() {
    let behind = Scripted::start([Turn::Say(200, "{}")]).await;
    let gateway = Gateway::quiet(&[&behind.url]).await;
    let stranger = gateway
        .client
        .get(&format!("{}/api/v1/things/7", gateway.base));
    let (status, _, body) = answer(stranger.expect("URL")).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (401, Some("unauthenticated"))
    );
    let reader = gateway
        .client
        .post(&format!("{}/api/v1/things", gateway.base));
    let reader = reader.expect("URL").header("x-api-key", "reader");
    let (status, _, _) = answer(reader).await;
    assert_eq!(status, 403);
    assert_eq!(behind.seen(), Vec::<String>::new());
    let asked = gateway
        .get("/api/v1/things/7")
        .header("x-forwarded-for", "203.0.113.9");
    assert_eq!(answer(asked).await.0, 200);
    let seen = behind.seen().concat().to_lowercase();
    assert!(seen.contains("x-forwarded-for: 203.0.113.9\r\n"), "{seen}");
    assert!(seen.contains("traceparent: 00-"), "{seen}");
}

#[tokio::test]
async fn a_process_that_cannot_be_reached_is_passed_over() {
    let behind = Scripted::start(vec![Turn::Say(200, "{}"); 8]).await;
    let away = nobody();
    let gateway = Gateway::quiet(&[&away.url, &behind.url]).await;
    for _ in 0..8 {
        assert_eq!(answer(gateway.post("/api/v1/things", "{}")).await.0, 200);
    }
    assert_eq!(behind.seen().len(), 8);
    let alone = Gateway::quiet(&[&away.url]).await;
    let (status, headers, body) = answer(alone.post("/api/v1/things", "{}")).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (503, Some("upstream_unavailable"))
    );
    assert_eq!(headers["retry-after"], "1");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_only_where_that_is_safe() {
    let fresh = || async {
        let lost = Scripted::start([Turn::Vanish]).await;
        let lost_too = Scripted::start([Turn::Vanish]).await;
        let good = Scripted::start([Turn::Say(200, "{}")]).await;
        let gateway = Gateway::quiet(&[&lost.url, &lost_too.url, &good.url]).await;
        (lost, lost_too, good, gateway)
    };
    let count = |all: [&Scripted; 3]| all.iter().map(|one| one.seen().len()).sum::<usize>();

    let (a, b, good, gateway) = fresh().await;
    assert_eq!(answer(gateway.get("/api/v1/things/7")).await.0, 200);
    assert_eq!(good.seen().len(), 1);
    assert!(count([&a, &b, &good]) >= 1);

    let (a, b, good, gateway) = fresh().await;
    let keyed = gateway
        .post("/api/v1/things", "{}")
        .header("idempotency-key", "k");
    assert_eq!(answer(keyed).await.0, 200);
    assert!(count([&a, &b, &good]) >= 1);

    // One of three requests at most meets the good process; no request reaches two of them.
    let (a, b, good, gateway) = fresh().await;
    let mut codes = Vec::new();
    for sent in 1..=3 {
        let (status, _, body) = answer(gateway.post("/api/v1/things", "{}")).await;
        codes.push((status, body["code"].as_str().unwrap_or_default().to_owned()));
        assert_eq!(count([&a, &b, &good]), sent, "{codes:?}");
    }
    codes.sort();
    codes.dedup();
    let expected = [(200, String::new()), (503, "commit_unknown".to_owned())];
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn a_doubt_stays_whatever_comes_after() {
    let away = r#"{"code":"store_unavailable"}"#;
    for after in [Turn::Vanish, Turn::Say(503, away)] {
        let lost = Scripted::start([Turn::Vanish]).await;
        let other = Scripted::start([after]).await;
        let gateway = Gateway::quiet(&[&lost.url]).await;
        let keyed = |gateway: &Gateway| {
            let call = gateway.post("/api/v1/things", "{}");
            call.header("idempotency-key", "k")
        };
        let (_, _, body) = answer(keyed(&gateway)).await;
        assert_eq!(body["code"], "commit_unknown", "nobody else is left");
        let lost = Scripted::start([Turn::Vanish]).await;
        let gateway = Gateway::quiet(&[&lost.url, &other.url]).await;
        let (_, _, body) = answer(keyed(&gateway)).await;
        assert_eq!(lost.seen().len() + other.seen().len(), 2);
        assert_eq!(body["code"], "commit_unknown");
    }
    // A key that stays behind makes nothing repeatable.
    let lost = Scripted::start([Turn::Vanish]).await;
    let good = Scripted::start([Turn::Say(200, "{}")]).await;
    let gateway = Gateway::quiet(&[&lost.url, &good.url]).await;
    for _ in 0..2 {
        let call = gateway.post("/api/v1/things", "{}");
        let call = call.header("idempotency-key", "k");
        let call = call.header("connection", "idempotency-key");
        answer(call).await;
    }
    assert_eq!((lost.seen().len(), good.seen().len()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_promises_nothing_was_done_moves_on() {
    let away = r#"{"code":"store_unavailable"}"#;
    let refuses = Scripted::start(vec![Turn::Say(503, away); 9]).await;
    let good = Scripted::start(vec![Turn::Say(200, "{}"); 9]).await;
    let gateway = Gateway::quiet(&[&refuses.url, &good.url]).await;
    for _ in 0..4 {
        assert_eq!(answer(gateway.post("/api/v1/things", "{}")).await.0, 200);
    }
    assert_eq!(good.seen().len(), 4);
    let alone = Gateway::quiet(&[&refuses.url]).await;
    let (status, _, body) = answer(alone.post("/api/v1/things", "{}")).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (503, Some("store_unavailable"))
    );
    // Load is not spread further: a full process is believed.
    let full = Scripted::start(vec![Turn::Say(503, r#"{"code":"overloaded"}"#); 2]).await;
    let away_too = nobody();
    let gateway = Gateway::quiet(&[&full.url, &away_too.url]).await;
    let (status, _, body) = answer(gateway.post("/api/v1/things", "{}")).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("overloaded")));
    assert_eq!(full.seen().len(), 1);
}

#[tokio::test]
async fn a_draining_process_gets_nothing_more_and_one_that_comes_back_does() {
    let mut setup = Setup::new();
    setup.server.drain_delay = Duration::from_secs(3600);
    let leaving = setup.start();
    let staying = Setup::new().start();
    let gateway = Gateway::start(&[&leaving.base, &staying.base], Duration::from_millis(5)).await;
    let wait_for = |ready: usize| {
        let forward = gateway.forward.clone();
        async move {
            while forward.ready() != (ready, 2) {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait_for(2))
        .await
        .expect("both ready");
    leaving.health.set_draining();
    leaving.trigger.advance();
    tokio::time::timeout(Duration::from_secs(10), wait_for(1))
        .await
        .expect("one ready");
    for _ in 0..20 {
        assert_eq!(answer(gateway.get("/api/v1/plain")).await.0, 200);
    }
    // The port is still open: who did not look in time is served as well.
    assert_eq!(answer(leaving.get("/api/v1/plain")).await.0, 200);
    leaving.trigger.advance();
    leaving.served.await.expect("ended");
    for _ in 0..20 {
        assert_eq!(answer(gateway.get("/api/v1/plain")).await.0, 200);
    }
}
