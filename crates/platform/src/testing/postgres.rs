//! A PostgreSQL server of one test.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use florin_base::Secret;
use parking_lot::Mutex;

use super::process::{Running, command, find, folder, free_port, skipped, tied};
use crate::sql::{Db, PostgresSettings};

/// Where Debian keeps the server programs, newest first.
fn folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    found.sort();
    found.reverse();
    found
}

/// A server in a temporary folder. Text is ordered by a language there, so that a column whose
/// order was left to the database would be noticed.
#[derive(Debug)]
pub struct TestPostgres {
    dir: tempfile::TempDir,
    program: PathBuf,
    port: u16,
    running: Mutex<Option<Running>>,
    schemas: AtomicU32,
}

impl TestPostgres {
    /// Starts a server; `None`, said by name, where there is no program.
    pub async fn start() -> Option<Arc<Self>> {
        let server = Self::make()?;
        server.run();
        Some(Arc::new(server))
    }

    /// Starts a server that speaks TLS, with a certificate for `localhost` that only who has
    /// [`TestPostgres::certificate`] trusts.
    pub async fn start_with_tls() -> Option<Arc<Self>> {
        let server = Self::make()?;
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
        let made = made.expect("a certificate");
        super::process::write_secret(&server.key(), &made.signing_key.serialize_pem());
        super::process::write_secret(&server.certificate(), &made.cert.pem());
        server.run();
        Some(Arc::new(server))
    }

    /// Where its certificate lies, when it has one.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("server.crt")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("server.key")
    }

    /// Where it listens, by name.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn make() -> Option<Self> {
        let (initdb, program) = (find("initdb", &folders()), find("postgres", &folders()));
        let (Some(initdb), Some(program)) = (initdb, program) else {
            skipped("PostgreSQL's server is not installed (apt install postgresql)");
            return None;
        };
        let dir = folder();
        let made = command(&initdb, dir.path())
            .args([
                "-D", "data", "-U", "florin", "-A", "trust", "-N", "-E", "UTF8",
            ])
            .args(["--locale", "C.UTF-8", "--locale-provider", "icu"])
            .args(["--icu-locale", "en-US"])
            .status();
        assert!(made.expect("initdb runs").success(), "initdb");
        Some(Self {
            dir,
            program,
            port: free_port(),
            running: Mutex::new(None),
            schemas: AtomicU32::new(0),
        })
    }

    /// Starts the server where it is stopped.
    pub fn run(&self) {
        let port = self.port.to_string();
        let here = self.dir.path().display().to_string();
        let child = tied(&self.program, self.dir.path())
            .args(["-D", "data", "-p", &port, "-k", &here])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "max_connections=200", "-c", "shared_buffers=16MB"])
            .args(self.tls())
            .spawn();
        *self.running.lock() = Some(Running(child.expect("postgres starts")));
    }

    fn tls(&self) -> Vec<String> {
        let (key, certificate) = (self.key(), self.certificate());
        if !key.exists() {
            return Vec::new();
        }
        let files = [("ssl_key_file", key), ("ssl_cert_file", certificate)];
        let files = files.map(|(name, path)| format!("{name}={}", path.display()));
        let all = files.into_iter().chain(["ssl=on".to_owned()]);
        all.flat_map(|setting| ["-c".to_owned(), setting]).collect()
    }

    /// Ends the server at once, as a crash would; its children notice by themselves.
    pub fn crash(&self) {
        let mut running = self.running.lock().take().expect("runs");
        running.signal("QUIT");
        running.0.wait().expect("ended");
    }

    /// Stops all processes of the server, as a machine that hangs, or lets them go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "STOP" } else { "CONT" };
        let running = self.running.lock();
        let parent = running.as_ref().expect("runs");
        parent.signal(signal);
        for child in children_of(parent.0.id()) {
            let _ = std::process::Command::new("kill")
                .args([&format!("-{signal}"), &child.to_string()])
                .status();
        }
    }

    /// Ends every session of Florin's processes, as a network that fails between them does.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn end_sessions(&self) {
        let text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'florin'";
        let psql = self.programs().join("psql");
        let done = std::process::Command::new(psql)
            .args(["-qtA", &self.url(), "-c", text])
            .stdout(std::process::Stdio::null())
            .status();
        assert!(done.expect("psql runs").success());
    }

    /// Takes every connection that is left, until they are dropped.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn fill(&self) -> Vec<TcpStream> {
        // Length, version 3.0, and who wants which database.
        let mut hello = vec![0, 0, 0, 0, 0, 3, 0, 0];
        hello.extend_from_slice(b"user\0florin\0database\0postgres\0\0");
        hello[3] = u8::try_from(hello.len()).expect("short");
        let mut taken = Vec::new();
        loop {
            let mut connection = TcpStream::connect(("127.0.0.1", self.port)).expect("listens");
            connection.write_all(&hello).expect("reads");
            let mut kind = [0];
            connection.read_exact(&mut kind).expect("answers");
            // `R`: let in; `E`: there is no connection left.
            match kind {
                [b'R'] => taken.push(connection),
                other => {
                    assert_eq!(other, [b'E']);
                    return taken;
                }
            }
        }
    }

    /// The folder of the server's programs.
    pub fn programs(&self) -> &Path {
        self.program.parent().expect("a program lies in a folder")
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("postgres://florin@127.0.0.1:{}/postgres", self.port)
    }

    /// Settings for a schema of its own. Tests run beside much else: they wait longer.
    pub fn settings(&self) -> PostgresSettings {
        let schema = self.schemas.fetch_add(1, Ordering::Relaxed);
        let url = self.url();
        PostgresSettings {
            schema: format!("test_{schema}"),
            pool_max: 8,
            patience: Duration::from_secs(20),
            ..PostgresSettings::new(Secret::new(url))
        }
    }

    /// An empty schema. Also waits for a server that has just been started.
    pub async fn fresh(&self) -> Db {
        Db::open_postgres(self.settings()).await.expect("opens")
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let list = Path::new("/proc")
        .join(parent.to_string())
        .join("task")
        .join(parent.to_string())
        .join("children");
    let text = std::fs::read_to_string(list).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}
