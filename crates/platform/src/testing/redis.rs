//! A Redis server of one test.

use std::path::PathBuf;

use parking_lot::Mutex;

use super::process::{Running, find, folder, free_port, skipped, tied};

/// A server that keeps nothing on disk.
#[derive(Debug)]
pub struct TestRedis {
    dir: tempfile::TempDir,
    program: PathBuf,
    port: u16,
    running: Mutex<Option<Running>>,
}

impl TestRedis {
    /// Starts a server; `None`, said by name, where there is no program.
    pub fn start() -> Option<Self> {
        let Some(program) = find("redis-server", &[]) else {
            skipped("Redis is not installed (apt install redis-server)");
            return None;
        };
        let server = Self {
            dir: folder(),
            program,
            port: free_port(),
            running: Mutex::new(None),
        };
        server.run();
        Some(server)
    }

    /// Starts the server where it is stopped.
    pub fn run(&self) {
        let child = tied(&self.program, self.dir.path())
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .spawn();
        *self.running.lock() = Some(Running(child.expect("redis-server starts")));
    }

    /// Kills the server.
    pub fn kill(&self) {
        drop(self.running.lock().take());
    }

    /// Stops the process as it is, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let running = self.running.lock();
        let server = running.as_ref().expect("runs");
        server.signal(if frozen { "STOP" } else { "CONT" });
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
