//! A PostgreSQL server of its own for a test process, in a temporary directory on a free port.
//!
//! The server ends with the process, however that ends: a shell waits on a pipe that the process
//! holds open, then stops the server and removes its files. `FLORIN_TEST_POSTGRES_URL` names a
//! running server to use instead.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Where Debian and Ubuntu keep the programs, newest first.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop()
}

/// A running server.
pub struct Server {
    pub url: String,
    pub port: u16,
    bin: PathBuf,
    dir: PathBuf,
    /// Holds the pipe whose end stops the server.
    _keeper: Option<Child>,
}

/// A command as a user that PostgreSQL accepts, which root is not.
fn unprivileged(program: &Path) -> Command {
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        let mut command = Command::new("runuser");
        command.args(["-u", "nobody", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// A port that nobody listens on now, below those that the system hands out by itself, so that no
/// connection takes it before it is used; the tests of other processes begin elsewhere.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    let start = std::process::id().wrapping_mul(37);
    loop {
        let number = start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % COUNT).expect("below 32,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Server {
    /// Starts a server with settings of its own (`-c name=value`).
    pub fn start(settings: &str) -> Option<Self> {
        let init = "initdb -A trust -U florin -E UTF8 --locale=C --no-sync -D";
        Self::launch(init, settings)
    }

    /// Starts a streaming hot standby of this server.
    pub fn standby(&self) -> Option<Self> {
        let copy = format!(
            "pg_basebackup -h 127.0.0.1 -p {} -U florin -R -X stream -c fast --no-sync -D",
            self.port
        );
        Self::launch(&copy, "-c fsync=off")
    }

    /// Makes a data directory by a command that ends with its name, and starts a server on it.
    fn launch(make: &str, settings: &str) -> Option<Self> {
        let bin = programs()?;
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("florin-pg-{}-{port}", std::process::id()));
        let (b, d) = (bin.display(), dir.display());
        let script = format!(
            "{b}/{make} {d} >/dev/null 2>&1 && \
             {b}/pg_ctl -D {d} -w -l {d}/log -o '-p {port} -k {d} -c listen_addresses=127.0.0.1 {settings}' \
             start >/dev/null 2>&1 && echo ready || {{ cat {d}/log; rm -rf {d}; exit 1; }}; \
             read _; {b}/pg_ctl -D {d} -m immediate stop >/dev/null 2>&1; rm -rf {d}"
        );
        let mut keeper = unprivileged(Path::new("/bin/sh"))
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir("/tmp")
            .spawn()
            .expect("a shell");
        let output = keeper.stdout.take().expect("piped");
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        if line.trim() != "ready" {
            output.read_to_string(&mut line).expect("its log");
            panic!("the server did not start: {line}");
        }
        Some(Self {
            url: format!("postgres://florin@127.0.0.1:{port}/postgres"),
            port,
            bin,
            dir,
            _keeper: Some(keeper),
        })
    }

    /// Stops it at once, as a crash would.
    pub fn crash(&self) {
        self.control(&["-m", "immediate", "-w", "stop"]);
    }

    /// Starts it after [`Server::crash`].
    pub fn start_again(&self) {
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c fsync=off",
            self.port,
            self.dir.display()
        );
        let log = self.dir.join("log").display().to_string();
        self.control(&["-w", "-l", &log, "-o", &options, "start"]);
    }

    fn control(&self, arguments: &[&str]) {
        let status = unprivileged(&self.bin.join("pg_ctl"))
            .arg("-D")
            .arg(&self.dir)
            .args(arguments)
            .current_dir("/tmp")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("pg_ctl runs");
        assert!(status.success(), "pg_ctl {arguments:?}");
    }
}

/// The server that the tests of this process share; `None`, said by name, when PostgreSQL is not
/// installed.
pub fn shared(test: &str) -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| match std::env::var("FLORIN_TEST_POSTGRES_URL") {
        Ok(url) => Some(Server {
            url,
            port: 0,
            bin: PathBuf::new(),
            dir: PathBuf::new(),
            _keeper: None,
        }),
        Err(_) => Server::start("-c fsync=off -c max_connections=60"),
    });
    if server.is_none() {
        println!("SKIPPED {test}: PostgreSQL is not installed");
    }
    server.as_ref()
}

/// A schema name that no other test uses.
pub fn schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    format!("t{}_{number}", std::process::id())
}
