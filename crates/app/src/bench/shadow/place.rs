//! A server of its own for a part of the measurement, with the keys of its roles and its memory.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::caller::Caller;
use crate::bench::server::{Scratch, Server};

/// Nobody is slowed down while it is measured how fast the server is.
const NO_LIMITS: [(&str, &str); 7] = [
    ("FLORIN__LIMITS__READ_PER_SECOND", "0"),
    ("FLORIN__LIMITS__WRITE_PER_SECOND", "0"),
    ("FLORIN__LIMITS__ADDRESS_PER_SECOND", "0"),
    ("FLORIN__LIMITS__INTAKE_PER_SECOND", "0"),
    ("FLORIN__LIMITS__DRIFT_CHECKS_PER_MINUTE", "0"),
    ("FLORIN__LIMITS__CORRECTIONS_PER_MINUTE", "0"),
    ("FLORIN__LIMITS__IMPORTS_PER_MINUTE", "0"),
];

/// A running server and its folder.
pub struct Place {
    server: Server,
    scratch: Scratch,
}

impl Place {
    /// Starts one with default settings but for `env`.
    pub fn start(dir: &Path, name: &str, env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let scratch = Scratch::new(dir, &format!("florin-bench-shadow-{name}"))?;
        let env = [&NO_LIMITS[..], env].concat();
        let server = Server::start_with(scratch.path(), &env)?;
        Ok(Self { server, scratch })
    }

    /// Where its data lies.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Calls it as role `service`.
    pub fn service(&self) -> anyhow::Result<Caller> {
        self.caller("serviceApiKey")
    }

    /// Calls it as role `operator`.
    pub fn operator(&self) -> anyhow::Result<Caller> {
        self.caller("operatorApiKey")
    }

    /// Calls it as role `auditor`.
    pub fn auditor(&self) -> anyhow::Result<Caller> {
        self.caller("auditorApiKey")
    }

    fn caller(&self, key: &str) -> anyhow::Result<Caller> {
        Caller::new(&self.server.target.host, self.server.demo(key)?)
    }

    /// Forgets the largest memory seen so far; answers what is resident now.
    pub fn mark_memory(&self) -> anyhow::Result<u64> {
        let pid = self.server.pid();
        // 5: reset the peak (proc_pid_clear_refs(5)).
        fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        self.status("VmRSS:")
    }

    /// The largest memory since [`Place::mark_memory`].
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.server.pid()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        let kib: u64 = kib.context("memory of a process")?.trim().parse()?;
        Ok(kib * 1024)
    }

    /// Ends it in order.
    pub fn stop(self) -> anyhow::Result<()> {
        self.server.stop().map(drop)
    }
}
