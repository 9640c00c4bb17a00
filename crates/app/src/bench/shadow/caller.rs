//! Calls of a measurement: one connection, one key, whole answers.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::Value;

use crate::bench::client::{Client, Reply, Target};
use crate::bench::wire;

/// A connection with a key.
pub struct Caller {
    client: Client,
    host: String,
    key: String,
}

impl Caller {
    /// Connects.
    pub fn new(host: &str, key: &str) -> anyhow::Result<Self> {
        let target = Target {
            host: host.to_owned(),
            key: key.to_owned(),
            admin_key: key.to_owned(),
        };
        Ok(Self {
            client: Client::new(&target)?,
            host: target.host,
            key: target.key,
        })
    }

    /// A POST; the time runs from the first byte sent to the last received.
    pub fn post(
        &mut self,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> anyhow::Result<(Reply, Duration)> {
        let mut request = wire::request("POST", path, &self.host, &self.key, kind);
        request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        request.extend_from_slice(body);
        let begun = Instant::now();
        let reply = self.client.exchange(&request)?;
        Ok((reply, begun.elapsed()))
    }

    /// A POST that must have this status.
    pub fn must(
        &mut self,
        path: &str,
        kind: &str,
        body: &[u8],
        status: u16,
    ) -> anyhow::Result<(Value, Duration)> {
        let (reply, took) = self.post(path, kind, body)?;
        if reply.status != status {
            let text = String::from_utf8_lossy(&reply.body);
            let start: String = text.chars().take(500).collect();
            bail!("POST {path}: {} {start}", reply.status);
        }
        Ok((reply.json()?, took))
    }

    /// A GET that must succeed.
    pub fn get(&mut self, path: &str) -> anyhow::Result<(Value, Duration)> {
        let begun = Instant::now();
        let body = self.client.get(path)?;
        Ok((body, begun.elapsed()))
    }
}
