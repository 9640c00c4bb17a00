//! A stand-in for AWS of one test: the `moto_server` of Python's moto, which keeps everything in
//! memory and takes any credentials.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{Running, find, free_port, skipped};

/// Longest wait for the first answer; a busy machine reads all of Python first.
const START: Duration = Duration::from_secs(60);

/// Where it listens; ended with the test.
#[derive(Debug)]
pub struct TestMoto {
    url: String,
    _running: Option<Running>,
}

impl TestMoto {
    /// Starts a server, or takes the one of `FLORIN_TEST_MOTO=http://host:port`; `None`, said by
    /// name, where there is neither. Blocks until it listens.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Option<Self> {
        if let Ok(url) = std::env::var("FLORIN_TEST_MOTO") {
            return Some(Self {
                url,
                _running: None,
            });
        }
        let Some(program) = find("moto_server", &[]) else {
            skipped("no stand-in for AWS (pip install 'moto[server]')");
            return None;
        };
        let port = free_port();
        // As this user: where Python's programs are a user's own, nobody else can read them.
        let mut command = match find("setpriv", &[]) {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let child = command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut running = Running(child.expect("moto_server starts"));
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = running.0.try_wait().expect("a child");
            assert!(ended.is_none(), "moto_server ended: {ended:?}");
            assert!(begun.elapsed() < START, "moto_server does not listen");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Some(Self {
            url: format!("http://127.0.0.1:{port}"),
            _running: Some(running),
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }
}
