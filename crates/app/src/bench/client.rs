//! A blocking client for everything around a measurement: setting up, settling, checking.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::wire::{self, Body};
use crate::fail::failure;

/// Longest silence of the server.
const SILENCE: Duration = Duration::from_secs(120);

/// Where to send requests, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port`.
    pub host: String,
    /// A key that may move money (role `service`).
    pub key: String,
    /// A key that may import (role `admin`).
    pub admin_key: String,
}

/// A connection that is kept open.
#[derive(Debug)]
pub struct Client {
    target: Target,
    stream: TcpStream,
    bytes: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        let text = || String::from_utf8_lossy(&self.body).into_owned();
        serde_json::from_slice(&self.body).with_context(text)
    }
}

impl Target {
    /// From a URL `http://host:port`.
    pub fn new(url: &str, key: &str, admin_key: &str) -> anyhow::Result<Self> {
        let host = url.strip_prefix("http://").ok_or_else(|| {
            failure(
                format!("{url} is no plain HTTP URL"),
                "such as http://127.0.0.1:8080",
            )
        })?;
        Ok(Self {
            host: host.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
            admin_key: admin_key.to_owned(),
        })
    }

    /// Opens a connection.
    pub fn connect(&self) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect(&self.host)
            .with_context(|| format!("no connection to {}", self.host))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Client {
    /// Connects.
    pub fn new(target: &Target) -> anyhow::Result<Self> {
        let stream = target.connect()?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self {
            target: target.clone(),
            stream,
            bytes: Vec::new(),
        })
    }

    /// A GET as the service, which must succeed.
    pub fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let key = self.target.key.clone();
        let mut request = wire::request("GET", path, &self.target.host, &key, "");
        request.extend_from_slice(b"\r\n");
        let reply = self.exchange(&request)?;
        match reply.status {
            200 => reply.json(),
            status => bail!(
                "GET {path}: {status} {}",
                String::from_utf8_lossy(&reply.body)
            ),
        }
    }

    /// A POST of JSON as the administrator.
    pub fn post(&mut self, path: &str, body: &str) -> anyhow::Result<Reply> {
        let key = self.target.admin_key.clone();
        let mut request = wire::request("POST", path, &self.target.host, &key, "application/json");
        request
            .extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
        self.exchange(&request)
    }

    /// The server hung up while nothing was asked, as it does after some silence.
    fn is_closed(&self) -> bool {
        let asked = self.stream.set_nonblocking(true).is_ok();
        let closed = asked && matches!(self.stream.peek(&mut [0]), Ok(0));
        self.stream.set_nonblocking(false).is_err() || closed
    }

    /// Sends bytes made before and reads one answer.
    pub fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Reply> {
        if self.is_closed() {
            *self = Self::new(&self.target)?;
        }
        self.stream.write_all(request)?;
        let head = loop {
            match wire::head(&self.bytes)? {
                Some(head) => break head,
                None => self.read_more()?,
            }
        };
        self.bytes.drain(..head.bytes);
        let mut body = Vec::new();
        match head.body {
            Body::Length(length) => {
                while self.bytes.len() < length {
                    self.read_more()?;
                }
                body.extend(self.bytes.drain(..length));
            }
            Body::Chunked => self.chunks(|chunk| body.extend_from_slice(chunk))?,
        }
        if head.closes {
            *self = Self::new(&self.target)?;
        }
        Ok(Reply {
            status: head.status,
            body,
        })
    }

    /// Sends an import while reading its results; answers its summary line.
    pub fn import(
        &mut self,
        lines: impl FnOnce(&mut dyn Write) -> anyhow::Result<()> + Send,
    ) -> anyhow::Result<Value> {
        let key = self.target.admin_key.clone();
        let mut head = wire::request(
            "POST",
            "/api/v1/ledger/import",
            &self.target.host,
            &key,
            "application/x-ndjson",
        );
        head.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        let mut writing = self.stream.try_clone()?;
        let mut tail = Vec::new();
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || -> anyhow::Result<()> {
                writing.write_all(&head)?;
                let mut body = ChunkWriter {
                    stream: writing,
                    buffer: Vec::with_capacity(2 * CHUNK),
                };
                lines(&mut body)?;
                body.end()
            });
            let answered = self.import_results(&mut tail);
            let written = writer
                .join()
                .map_err(|_| anyhow::anyhow!("the import broke off"))?;
            answered.and(written)
        })?;
        let last = tail.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        let line: Value = serde_json::from_slice(last.unwrap_or_default())
            .with_context(|| String::from_utf8_lossy(&tail).into_owned())?;
        Ok(line)
    }

    fn import_results(&mut self, tail: &mut Vec<u8>) -> anyhow::Result<()> {
        let head = loop {
            match wire::head(&self.bytes)? {
                Some(head) => break head,
                None => self.read_more()?,
            }
        };
        self.bytes.drain(..head.bytes);
        if head.status != 200 {
            self.read_more().ok();
            bail!(
                "import: {} {}",
                head.status,
                String::from_utf8_lossy(&self.bytes)
            );
        }
        self.chunks(|chunk| {
            tail.extend_from_slice(chunk);
            if tail.len() > 2 * CHUNK {
                tail.drain(..tail.len() - CHUNK);
            }
        })
    }

    fn chunks(&mut self, mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        loop {
            let end = loop {
                match wire::find(&self.bytes, b"\r\n") {
                    Some(end) => break end,
                    None => self.read_more()?,
                }
            };
            let text = std::str::from_utf8(&self.bytes[..end])?;
            let length =
                usize::from_str_radix(text.trim(), 16).context("a chunk without length")?;
            while self.bytes.len() < end + 2 + length + 2 {
                self.read_more()?;
            }
            each(&self.bytes[end + 2..end + 2 + length]);
            self.bytes.drain(..end + 2 + length + 2);
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn read_more(&mut self) -> anyhow::Result<()> {
        let before = self.bytes.len();
        self.bytes.resize(before + CHUNK, 0);
        let read = loop {
            match self.stream.read(&mut self.bytes[before..]) {
                // A read with a limit is interrupted when its process is stopped and goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => bail!("the server closed the connection"),
            _ => Ok(()),
        }
    }
}

/// Bytes sent or read at once.
const CHUNK: usize = 64 << 10;

/// A body in chunks.
struct ChunkWriter {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl ChunkWriter {
    fn send(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        write!(self.stream, "{:x}\r\n", self.buffer.len())?;
        self.buffer.extend_from_slice(b"\r\n");
        self.stream.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.send()?;
        self.stream.write_all(b"0\r\n\r\n")?;
        Ok(())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.send()
    }
}
