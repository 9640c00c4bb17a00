//! A server of its own for a part of the measurement, an organiser on it, and events to sell.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use florin_base::{SystemClock, Timestamp, clock::Clock as _};
use serde_json::{Value, json};

use crate::bench::client::Target;
use crate::bench::names::ASSET;
use crate::bench::server::{Scratch, Server};
use crate::bench::wire;

/// Nobody is slowed down while it is measured how fast the server is.
const ENV: [(&str, &str); 4] = [
    ("FLORIN__LIMITS__READ_PER_SECOND", "0"),
    ("FLORIN__LIMITS__WRITE_PER_SECOND", "0"),
    ("FLORIN__LIMITS__ADDRESS_PER_SECOND", "0"),
    ("FLORIN__TICKETING__LIMITS", LIMITS),
];
const LIMITS: &str = "{ reserve = 0, reserve_address = 0, quote = 0, pages = 0, checkout = 0, \
    refund = 0, event_create = 0, event_update = 0, check_in = 0, check_in_batch = 0, guess = 0, \
    analytics = 0, export = 0 }";
const HOUR: i64 = 3_600_000_000;

/// Where tables and ledger lie.
#[derive(Debug, Clone)]
pub enum Store {
    /// In the data directory.
    Embedded,
    /// On this server, in schemas of their own.
    Postgres(String),
}

impl Store {
    /// As a row of the table names it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Embedded => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }
}

/// A running server and its folder.
pub struct Place {
    /// `None` while it is stopped.
    server: Option<Server>,
    scratch: Scratch,
    store: Store,
    schema: String,
}

/// What is sold.
#[derive(Debug, Clone)]
pub struct Gig {
    /// The event.
    pub event: String,
    /// Its one type.
    pub kind: String,
}

impl Place {
    /// Starts one.
    pub fn start(dir: &Path, name: &str, store: &Store) -> anyhow::Result<Self> {
        let scratch = Scratch::new(dir, &format!("florin-bench-ticketing-{name}"))?;
        let mut place = Self {
            server: None,
            scratch,
            store: store.clone(),
            schema: format!("bench_{name}_{}", std::process::id()),
        };
        place.resume()?;
        Ok(place)
    }

    /// Starts it again on what it has.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        let (tables, ledger) = (self.schema.clone(), format!("{}_l", self.schema));
        let mut env = ENV.to_vec();
        if let Store::Postgres(url) = &self.store {
            env.extend([
                ("FLORIN__DATABASE__URL", url.as_str()),
                ("FLORIN__DATABASE__SCHEMA", &tables),
                ("FLORIN__LEDGER__URL", url),
                ("FLORIN__LEDGER__SCHEMA", &ledger),
            ]);
        }
        self.server = Some(Server::start_with(self.scratch.path(), &env)?);
        Ok(())
    }

    /// Ends the server in order; its data stays until the end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        match self.server.take() {
            Some(server) => server.stop().map(drop),
            None => Ok(()),
        }
    }

    fn server(&self) -> anyhow::Result<&Server> {
        self.server.as_ref().context("the server is stopped")
    }

    /// Where it is.
    pub fn target(&self) -> anyhow::Result<&Target> {
        Ok(&self.server()?.target)
    }

    /// Its process.
    pub fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.server()?.pid())
    }

    /// Where its data lies.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Where its tables lie.
    pub fn store(&self) -> (&Store, &str) {
        (&self.store, &self.schema)
    }

    /// An organiser, signed in.
    pub fn organiser(&self) -> anyhow::Result<Person> {
        let server = self.server()?;
        let body =
            json!({"userName": server.demo("userName")?, "password": server.demo("userPassword")?});
        let mut person = Person::new(&server.target, "")?;
        let token = person.must("POST", "auth/token", Some(&body))?;
        let token = token["accessToken"].as_str().context("a token")?;
        Person::new(
            &server.target,
            &format!("authorization: Bearer {token}\r\n"),
        )
    }

    /// Somebody with an API key of the demo.
    pub fn key(&self, member: &str) -> anyhow::Result<Person> {
        let server = self.server()?;
        let header = format!("x-api-key: {}\r\n", server.demo(member)?);
        Person::new(&server.target, &header)
    }
}

/// Somebody who makes one call after the other.
pub struct Person {
    client: crate::bench::client::Client,
    host: String,
    /// The lines of the head that say who he is.
    pub headers: String,
}

/// Calls made, over all servers: each has an idempotency key of its own.
static CALLS: AtomicU64 = AtomicU64::new(0);

impl Person {
    /// With these lines in each head.
    pub fn new(target: &Target, headers: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client: crate::bench::client::Client::new(target)?,
            host: target.host.clone(),
            headers: headers.to_owned(),
        })
    }

    /// A call that must succeed; its body.
    pub fn must(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let key = format!("bench-{}", CALLS.fetch_add(1, Ordering::Relaxed));
        let text = body.map(Value::to_string).unwrap_or_default();
        let mut request = Vec::new();
        put(
            &mut request,
            method,
            path,
            &self.host,
            &self.headers,
            &key,
            &text,
        );
        let reply = self.client.exchange(&request)?;
        if reply.status >= 300 {
            let text = String::from_utf8_lossy(&reply.body);
            let text: String = text.chars().take(500).collect();
            bail!("{method} {path}: {} {text}", reply.status);
        }
        match reply.body.is_empty() {
            true => Ok(Value::Null),
            false => reply.json(),
        }
    }

    /// An organisation; its id.
    pub fn founds(&mut self) -> anyhow::Result<String> {
        let body = json!({
            "name": "Bench", "legalName": "Bench Ltd", "country": "DE",
            "defaultCurrency": ASSET, "contactEmail": "bench@example.org",
        });
        id(&self.must("POST", "orgs", Some(&body))?)
    }

    /// A published event in 30 days, or about to begin, with one type.
    pub fn opens(
        &mut self,
        org: &str,
        price: &str,
        quantity: u64,
        doors_open: bool,
    ) -> anyhow::Result<Gig> {
        let ahead = if doors_open { 3 * HOUR } else { 720 * HOUR };
        let begins = SystemClock.wall_micros() + ahead;
        let body = json!({
            "orgId": org, "title": "Bench", "category": "music", "timeZone": "UTC",
            "startsAt": Timestamp(begins).to_string(),
            "endsAt": Timestamp(begins + 4 * HOUR).to_string(),
            "format": "virtual", "onlineUrl": "https://example.org/live", "currency": ASSET,
        });
        let event = id(&self.must("POST", "events", Some(&body))?)?;
        let body = json!({"name": "Standing", "price": price, "quantity": quantity});
        let path = format!("events/{event}/ticket-types");
        let kind = id(&self.must("POST", &path, Some(&body))?)?;
        let path = format!("events/{event}/publish");
        self.must("POST", &path, Some(&json!({})))?;
        Ok(Gig { event, kind })
    }
}

/// Member `id`.
pub fn id(shown: &Value) -> anyhow::Result<String> {
    let found = shown["id"].as_str();
    Ok(found
        .with_context(|| format!("no id in {shown}"))?
        .to_owned())
}

/// Writes a request with an idempotency key.
pub fn put(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    host: &str,
    headers: &str,
    key: &str,
    body: &str,
) {
    out.extend_from_slice(
        format!("{method} /api/v1/{path} HTTP/1.1\r\nhost: {host}\r\n{headers}").as_bytes(),
    );
    if method != "GET" {
        let kind = "content-type: application/json\r\n";
        let head = format!(
            "{kind}idempotency-key: {key}\r\ncontent-length: {}\r\n",
            body.len()
        );
        out.extend_from_slice(head.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body.as_bytes());
}

/// A count in a body, such as `"sold":`.
pub fn count(body: &[u8], name: &str) -> Option<u64> {
    let mark = format!("\"{name}\":");
    let start = wire::find(body, mark.as_bytes())? + mark.len();
    let digits = body[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    std::str::from_utf8(&body[start..start + digits.count()])
        .ok()?
        .parse()
        .ok()
}
