//! A small HTTP/1.1 client that blocks: it keeps connections, tells a broken connection from an
//! answer, and hands out bodies whole or line by line.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::Value;

use super::transport::Conn;

/// A kept connection that is older is not used again: the server may be closing it.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Calls one server.
pub struct Client {
    addr: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    idle: Mutex<Vec<Conn>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub bytes: Vec<u8>,
    pub text: String,
    /// Null when the body is not JSON.
    pub body: Value,
}

/// A call being put together.
pub struct Call<'c> {
    client: &'c Client,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// An answer that comes line by line.
pub struct Lines {
    conn: Conn,
    pub status: u16,
    rest: Vec<u8>,
}

impl Client {
    pub fn new(addr: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Self {
        let idle = Mutex::default();
        Self { addr, tls, idle }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        Call {
            client: self,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    fn take(&self) -> io::Result<Conn> {
        let kept = {
            let mut idle = self.idle.lock().expect("never poisoned: no panic inside");
            idle.retain(|conn| conn.used.elapsed() < IDLE_MAX);
            idle.pop()
        };
        match kept {
            Some(conn) => Ok(conn),
            None => self.connect(),
        }
    }

    /// A new connection of its own.
    pub fn connect(&self) -> io::Result<Conn> {
        Conn::open(self.addr, self.tls.as_ref())
    }

    fn keep(&self, mut conn: Conn) {
        conn.used = std::time::Instant::now();
        self.idle
            .lock()
            .expect("never poisoned: no panic inside")
            .push(conn);
    }
}

impl Call<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    pub fn text(self, body: &str) -> Self {
        self.body(body.as_bytes().to_vec(), "application/json")
    }

    pub fn body(mut self, body: Vec<u8>, content_type: &str) -> Self {
        self.body = Some(body);
        self.header("content-type", content_type)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\n",
            self.method, self.path, self.client.addr
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() || self.method != "GET" {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }

    /// Sends and reads the answer; an error is a connection that broke.
    pub fn try_send(self) -> io::Result<Reply> {
        let mut conn = self.client.take()?;
        let sent = conn.send(&self.bytes());
        // A server that refuses a body answers before it has read it all.
        let (status, headers) = conn.head()?;
        let bytes = match self.method.as_str() {
            "HEAD" => Vec::new(),
            _ => conn.body(status, &headers)?,
        };
        let closes = |(name, value): &(String, String)| name == "connection" && value == "close";
        if sent.is_ok() && !headers.iter().any(closes) {
            self.client.keep(conn);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Reply {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            bytes,
            text,
        })
    }

    /// Sends and reads the answer.
    #[track_caller]
    pub fn send(self) -> Reply {
        let what = format!("{} {}", self.method, self.path);
        match self.try_send() {
            Ok(reply) => reply,
            Err(error) => panic!("{what}: {error}"),
        }
    }

    /// Sends and goes away without reading the answer.
    pub fn send_and_leave(self) -> io::Result<()> {
        self.client.connect()?.send(&self.bytes())
    }

    /// Sends and reads the answer line by line.
    pub fn lines(self) -> io::Result<Lines> {
        let mut conn = self.client.connect()?;
        conn.send(&self.bytes())?;
        let (status, _) = conn.head()?;
        Ok(Lines {
            conn,
            status,
            rest: Vec::new(),
        })
    }
}

impl Lines {
    /// The next line; `None` at the end of the body.
    pub fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            let chunk = self.conn.chunk()?;
            if chunk.is_empty() {
                return Ok(None);
            }
            self.rest.extend_from_slice(&chunk);
        }
    }
}

impl Reply {
    /// Status and code of a problem.
    pub fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// A header, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn is_replay(&self) -> bool {
        self.header("idempotency-replayed") == "true"
    }

    /// A string member.
    #[track_caller]
    pub fn text_of(&self, member: &str) -> &str {
        match self.body[member].as_str() {
            Some(text) => text,
            None => panic!("no text `{member}` in {}: {}", self.status, self.text),
        }
    }

    /// The string member `id`.
    #[track_caller]
    pub fn id(&self) -> String {
        self.text_of("id").to_owned()
    }

    #[track_caller]
    pub fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Refused with this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!(self.code(), (status, code), "{}", self.text);
        self
    }

    /// The lines of a body of lines, as JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let read = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.text.lines().map(read).collect()
    }
}
