//! A receiver of webhooks on the loopback interface.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver as Queue, SyncSender, sync_channel};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use serde_json::Value;

/// Deliveries that may wait to be looked at.
const WAITING_MAX: usize = 4_096;
/// Longest wait for a delivery.
const PATIENCE: Duration = Duration::from_secs(30);

/// One delivery.
#[derive(Debug)]
pub struct Event {
    /// `webhook-id`.
    pub id: String,
    timestamp: String,
    signature: String,
    pub text: String,
    pub body: Value,
}

pub struct Receiver {
    port: u16,
    status: Arc<AtomicU16>,
    events: Queue<Event>,
}

impl Receiver {
    /// Listens; every delivery is answered 200.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let status = Arc::new(AtomicU16::new(200));
        let (sender, events) = sync_channel(WAITING_MAX);
        let answer = Arc::clone(&status);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, answer) = (sender.clone(), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &sender, &answer));
            }
        });
        Self {
            port,
            status,
            events,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// From now on deliveries get this status.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// The next deliveries.
    #[track_caller]
    pub fn take(&self, count: usize) -> Vec<Event> {
        let next = |index| match self.events.recv_timeout(PATIENCE) {
            Ok(event) => event,
            Err(_) => panic!("delivery {} of {count} did not come", index + 1),
        };
        (0..count).map(next).collect()
    }

    /// The next deliveries with different keys.
    #[track_caller]
    pub fn take_new(&self, count: usize, key: impl Fn(&Event) -> String) -> Vec<Event> {
        let (mut known, mut found) = (HashSet::new(), Vec::new());
        while found.len() < count {
            let event = self.take(1).remove(0);
            if known.insert(key(&event)) {
                found.push(event);
            }
        }
        found
    }

    /// What came so far.
    pub fn pending(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// Forgets what came so far.
    pub fn drain(&self) {
        while self.events.try_recv().is_ok() {}
    }
}

fn serve(stream: TcpStream, events: &SyncSender<Event>, status: &AtomicU16) {
    let mut reader = BufReader::new(stream);
    while let Some(event) = read(&mut reader) {
        let status = status.load(Ordering::SeqCst);
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
        // Answered before it is seen: what a test does next finds the delivery accepted.
        let told = reader.get_mut().write_all(answer.as_bytes());
        if told.is_err() || events.send(event).is_err() {
            return;
        }
    }
}

/// One request; `None` at the end of the connection.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Event> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None if line.trim_end().is_empty() => break,
            None => assert!(line.starts_with("POST /hook "), "{line}"),
        }
    }
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let mut bytes = vec![0; header("content-length").parse().ok()?];
    reader.read_exact(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    assert_eq!(header("content-type"), "application/json");
    Some(Event {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: serde_json::from_str(&text).ok()?,
        text,
    })
}

impl Event {
    /// One of the signatures is made with this secret (Standard Webhooks).
    #[track_caller]
    pub fn verify(&self, secret: &str) {
        let key = BASE64
            .decode(secret.strip_prefix("whsec_").expect("prefix"))
            .expect("base64");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.text);
        let good = self
            .signature
            .split(' ')
            .filter_map(|one| one.strip_prefix("v1,"))
            .any(|one| {
                let tag = BASE64.decode(one).unwrap_or_default();
                hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
            });
        assert!(good, "{} does not sign this", self.signature);
        assert!(
            self.timestamp
                .parse::<u64>()
                .is_ok_and(|seconds| seconds > 1_700_000_000)
        );
    }
}
