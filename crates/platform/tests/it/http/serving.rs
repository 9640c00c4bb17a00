//! Connections, TLS, HTTP/2 and the orderly end.

use std::time::Duration;

use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use florin_platform::http::tls::{TlsMaterial, TlsSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Setup, answer};

#[tokio::test]
async fn draining_finishes_what_is_in_progress() {
    let server = Setup::new().start();
    let held = tokio::spawn(answer(server.get("/api/v1/slow")));
    server.gate.entered.notified().await;
    let idle = TcpStream::connect(("127.0.0.1", server.port())).await;
    let mut idle = idle.expect("connected");
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("sent");
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.expect("answered");
    assert_eq!(&first, b"HTTP/1.1 200");
    server.trigger.advance();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest)
        .await
        .expect("idle connections are closed");
    let refused = TcpStream::connect(("127.0.0.1", server.port())).await;
    assert!(refused.is_err(), "no new connections");
    server.gate.leave.notify_one();
    let (status, _, body) = held.await.expect("task");
    assert_eq!((status, body.as_str()), (200, Some("done")));
    assert_eq!(server.served.await.expect("ended").cut_off, 0);
}

#[tokio::test]
async fn the_deadline_and_the_second_signal_end_it() {
    let mut setup = Setup::new();
    setup.server.drain_deadline = Duration::from_millis(20);
    let server = setup.start();
    let held = tokio::spawn(server.get("/api/v1/slow").send());
    server.gate.entered.notified().await;
    server.trigger.advance();
    assert_eq!(server.served.await.expect("ended").cut_off, 1);
    assert!(held.await.expect("task").is_err());

    let server = Setup::new().start();
    let held = tokio::spawn(server.get("/api/v1/slow").send());
    server.gate.entered.notified().await;
    server.trigger.advance();
    server.trigger.advance();
    assert_eq!(server.served.await.expect("ended").cut_off, 1);
    assert!(held.await.expect("task").is_err());
}

#[tokio::test]
async fn tls_with_a_certificate_made_on_the_spot() {
    let names = vec!["localhost".to_string()];
    let material = TlsMaterial::load(TlsSource::SelfSigned { names }).expect("certificate");
    let mut setup = Setup::new();
    setup.server.tls = Some(material.clone());
    let server = setup.start();
    let mut config = ClientConfig::new(Targets::Any);
    config.extra_roots = vec![material.certificate_pem().into_bytes()];
    let trusting = Outgoing::new(&config).expect("client");
    let response = trusting
        .get(&server.url("/api/v1/plain"))
        .expect("URL")
        .send()
        .await;
    let response = response.expect("an answer");
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.text().await.expect("text"), "hello");
    let distrusting = server.get("/api/v1/plain").send().await;
    assert!(distrusting.is_err(), "an unknown certificate is refused");
}

#[tokio::test]
async fn connections_are_bounded() {
    let mut setup = Setup::new();
    setup.server.max_connections = 1;
    let server = setup.start();
    let address = ("127.0.0.1", server.port());
    let mut first = TcpStream::connect(address).await.expect("connected");
    first
        .write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("sent");
    let mut head = [0; 12];
    first.read_exact(&mut head).await.expect("answered");
    let mut second = TcpStream::connect(address).await.expect("connected");
    let mut text = String::new();
    second.read_to_string(&mut text).await.expect("closed");
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    assert!(text.contains("\"code\":\"overloaded\""), "{text}");
}

#[tokio::test]
async fn silent_and_slow_clients_are_cut_off() {
    let mut setup = Setup::new();
    setup.server.handshake_timeout = Duration::from_millis(50);
    setup.server.idle_timeout = Duration::from_millis(50);
    let server = setup.start();
    for start in [&b""[..], b"PR", b"GET /hea"] {
        let mut client = TcpStream::connect(("127.0.0.1", server.port()))
            .await
            .expect("connected");
        client.write_all(start).await.expect("sent");
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut rest));
        assert!(ended.await.is_ok(), "{start:?}");
    }
}

#[tokio::test]
async fn http2_without_tls() {
    let server = Setup::new().start();
    let client = reqwest::Client::builder().http2_prior_knowledge().build();
    let request = client.expect("client").get(server.url("/api/v1/plain"));
    let response = request.send().await.expect("an answer");
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.status(), 200);
}
