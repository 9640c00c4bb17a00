//! A server of our own for a measurement, and what the system says about processes.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::client::Target;

/// Its log, in the data directory.
const LOG: &str = "bench-server.log";
/// Clock ticks of /proc/[pid]/stat per second: 100 on every Linux that runs Rust's std.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where and as whom to call it.
    pub target: Target,
    /// From the start of the process until it was ready.
    pub start_time: Duration,
    ready: Value,
}

impl Server {
    /// Starts `florin serve` on a data directory and waits until it is ready.
    pub fn start(data_dir: &Path) -> anyhow::Result<Self> {
        Self::start_with(data_dir, &[])
    }

    /// The same with settings of the environment.
    pub fn start_with(data_dir: &Path, env: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_as(data_dir, &[], env)
    }

    /// The same with further options of `florin serve`.
    pub fn start_as(
        data_dir: &Path,
        options: &[&str],
        env: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(data_dir)?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(data_dir.join(LOG))?;
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "serve",
                "--demo",
                "--port",
                "0",
                "--output",
                "json",
                "--data-dir",
            ])
            .arg(data_dir)
            .args(options)
            .env_remove("FLORIN_DATA_DIR")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take().context("its stdout is a pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let start_time = begun.elapsed();
        let ready: Value = match serde_json::from_str(&line) {
            Ok(ready) => ready,
            Err(_) => {
                let status = child.wait()?;
                bail!(
                    "the server did not start ({status}); see {}",
                    data_dir.join(LOG).display()
                );
            }
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let target = Target::new(
            &text(&ready["url"]),
            &text(&ready["demo"]["serviceApiKey"]),
            &text(&ready["demo"]["adminApiKey"]),
        )?;
        Ok(Self {
            child,
            target,
            start_time,
            ready,
        })
    }

    /// A member of its demo credentials.
    pub fn demo(&self, member: &str) -> anyhow::Result<&str> {
        self.ready["demo"][member]
            .as_str()
            .with_context(|| format!("no {member} in the demo credentials"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order; answers how long that took.
    pub fn stop(mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let pid = i32::try_from(self.pid())?;
        let pid = rustix::process::Pid::from_raw(pid).context("a process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(begun.elapsed())
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended by `stop` or `kill`, or no longer needed.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Seconds of processor time a process has used; `None` where /proc does not tell.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = text.rsplit_once(") ")?.1;
    let mut fields = after_name.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

/// Resident bytes of a process, with files mapped.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Bytes that the files under a folder take on the disk.
pub fn disk_bytes(dir: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk_bytes(&entry.path())?,
            Ok(meta) => meta.blocks() * 512,
            // Replaced by a merge meanwhile.
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

/// A folder that is removed at the end.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder under `parent`.
    pub fn new(parent: &Path, name: &str) -> anyhow::Result<Self> {
        let path = parent.join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays; the measurement is done.
        let _left = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_used_time() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).expect("Linux") > 1 << 20);
        assert!(cpu_seconds(pid).expect("Linux") >= 0.0);
    }
}
