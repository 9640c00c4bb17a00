//! Starting and ending the binary.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};

use rustix::process::{Pid, Signal, kill_process};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Who;
use super::client::{Call, Client, Reply};

/// Passwords are cheap to compute in tests, and no caller is slowed down.
const CONFIG: &str = "\
[auth.password]
memory_kib = 64
iterations = 1
[limits]
read_per_second = 0
write_per_second = 0
token_per_user_minute = 0
token_per_address_minute = 0
address_per_second = 0
intake_per_second = 0
drift_checks_per_minute = 0
corrections_per_minute = 0
imports_per_minute = 0
[log]
format = \"json\"
";

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_florin");

/// Names the PostgreSQL server of all servers of the tests.
const SHARED: &str = "FLORIN_TEST_POSTGRES";

/// The disk of the machine may be nearly full; what happens then has tests of its own.
pub const ANY_DISK: (&str, &str) = ("FLORIN__LEDGER__DISK_FREE_MIN_PERCENT", "0");

/// How a server is to be started.
pub struct Launch {
    config: String,
    args: Vec<&'static str>,
    dir: Option<PathBuf>,
    limits_apply: bool,
    through: Option<&'static str>,
    env: Vec<(&'static str, String)>,
    port: u16,
}

/// A server that runs. Dropped, it is killed and its folder removed.
pub struct Server {
    child: Child,
    /// What it said when it was ready.
    pub ready: Value,
    pub client: Client,
    data_dir: PathBuf,
    log: PathBuf,
    _home: Option<TempDir>,
    _stdout: BufReader<ChildStdout>,
    ana: OnceLock<String>,
    bob: OnceLock<String>,
}

impl Launch {
    /// `florin serve --demo` with everything that development may have.
    pub fn new() -> Self {
        Self {
            config: String::new(),
            args: vec!["--demo", "--unsafe-dev", "--dev-clock"],
            dir: None,
            limits_apply: false,
            through: None,
            env: Vec::new(),
            port: 0,
        }
    }

    /// A setting of the environment, `FLORIN__SECTION__KEY`.
    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// On this port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Further settings, as TOML sections that the harness does not set itself.
    pub fn config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self
    }

    /// The default rate limits and passwords hold.
    pub fn with_limits(mut self) -> Self {
        self.limits_apply = true;
        self
    }

    pub fn arg(mut self, arg: &'static str) -> Self {
        self.args.push(arg);
        self
    }

    pub fn without(mut self, arg: &str) -> Self {
        self.args.retain(|known| *known != arg);
        self
    }

    /// On a folder that outlives the server.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Through `sh`, after this command.
    pub fn through(mut self, command: &'static str) -> Self {
        self.through = Some(command);
        self
    }

    fn command(&self) -> Command {
        match self.through {
            None => program(),
            Some(before) => {
                let mut command = clean("sh");
                command
                    .arg("-c")
                    .arg(format!("{before}; exec \"$0\" \"$@\""))
                    .arg(PROGRAM);
                command
            }
        }
    }

    /// Starts the process and does not wait for it.
    pub fn spawn(&self, dir: &Path) -> Child {
        let config = dir.join("florin.toml");
        let base = if self.limits_apply { "" } else { CONFIG };
        fs::write(&config, format!("{base}{}", self.config)).expect("configuration");
        let log = File::options()
            .create(true)
            .append(true)
            .open(dir.join("server.log"));
        self.command()
            .args(["serve", "--output", "json", "--port"])
            .arg(self.port.to_string())
            .arg("--data-dir")
            .arg(dir.join("data"))
            .arg("--config")
            .arg(&config)
            .args(&self.args)
            .env("RUST_BACKTRACE", "1")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(shared_stores(dir))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("log file"))
            .spawn()
            .expect("the binary starts")
    }

    /// Starts it and waits until it is ready; `None` when it ended before.
    pub fn try_start(self) -> Option<Server> {
        let home = match &self.dir {
            Some(_) => None,
            None => Some(tempfile::tempdir().expect("temporary folder")),
        };
        let dir = match (&self.dir, &home) {
            (Some(dir), _) => dir.clone(),
            (None, Some(home)) => home.path().to_owned(),
            (None, None) => unreachable!("made above"),
        };
        let mut child = self.spawn(&dir);
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("stdout");
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            child.kill().ok();
            child.wait().expect("ends");
            eprintln!("{}", tail(&dir.join("server.log")));
            return None;
        };
        let url = ready["url"].as_str().expect("url");
        let tls = ready["certificate"]
            .as_str()
            .map(|path| trusting(Path::new(path)));
        let (_, addr) = url.split_once("://").expect("a scheme");
        let mut addr: SocketAddr = addr.parse().expect("address and port");
        if self.port != 0 {
            // `url` is the public one, which may be another process in front of this one.
            addr.set_port(self.port);
        }
        Some(Server {
            client: Client::new(addr, tls),
            data_dir: dir.join("data"),
            log: dir.join("server.log"),
            ready,
            child,
            _home: home,
            _stdout: stdout,
            ana: OnceLock::new(),
            bob: OnceLock::new(),
        })
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Server {
        self.try_start().expect("the server starts")
    }
}

/// With `FLORIN_TEST_POSTGRES=postgres://…` every server of the tests has its ledger and tables
/// there, each folder in schemas of its own: the same tests, on the other engine.
fn shared_stores(dir: &Path) -> Vec<(&'static str, String)> {
    let Ok(url) = std::env::var(SHARED) else {
        return Vec::new();
    };
    let folder = dir.file_name().unwrap_or_default().to_string_lossy();
    let folder = hex::encode(&*folder);
    vec![
        ("FLORIN__LEDGER__URL", url.clone()),
        ("FLORIN__LEDGER__SCHEMA", format!("l_{folder}")),
        ("FLORIN__DATABASE__URL", url),
        ("FLORIN__DATABASE__SCHEMA", format!("t_{folder}")),
    ]
}

/// Whether the servers of the tests have their ledger on PostgreSQL.
pub fn on_postgres() -> bool {
    std::env::var_os(SHARED).is_some()
}

/// TLS that trusts this certificate alone.
pub fn trusting(certificate: &Path) -> Arc<ClientConfig> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
    roots.add(certificate).expect("a good certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(25);
    format!(
        "log of the server, last lines:\n{}",
        lines[from..].join("\n")
    )
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The end of what it logged.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A member of the demo credentials.
    #[track_caller]
    pub fn demo(&self, member: &str) -> &str {
        self.ready["demo"][member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member}: {}", self.ready))
    }

    /// SIGKILL.
    pub fn kill(mut self) -> Option<TempDir> {
        self.child.kill().expect("killed");
        self.child.wait().expect("ends");
        self._home.take()
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(self) -> (ExitStatus, Option<TempDir>) {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(mut self) -> (ExitStatus, Option<TempDir>) {
        let status = self.child.wait().expect("ends");
        (status, self._home.take())
    }

    /// SIGKILL, without waiting.
    pub fn send_kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is ours");
    }

    fn token(&self, name: &str, password: &str) -> String {
        let body = json!({"userName": self.demo(name), "password": self.demo(password)});
        let reply = self
            .client
            .call("POST", "/api/v1/auth/token")
            .json(&body)
            .send()
            .ok(200);
        reply.text_of("accessToken").to_owned()
    }

    /// A call with the credential of this caller.
    pub fn call(&self, who: Who, method: &str, path: &str) -> Call<'_> {
        let call = self.client.call(method, path);
        let bearer = |token: &String| format!("Bearer {token}");
        match who {
            Who::Nobody => call,
            Who::Ana => {
                let token = self
                    .ana
                    .get_or_init(|| self.token("userName", "userPassword"));
                call.header("authorization", &bearer(token))
            }
            Who::Bob => {
                let token = self
                    .bob
                    .get_or_init(|| self.token("secondUserName", "secondUserPassword"));
                call.header("authorization", &bearer(token))
            }
            Who::Service => call.header("x-api-key", self.demo("serviceApiKey")),
            Who::Operator => call.header("x-api-key", self.demo("operatorApiKey")),
            Who::Auditor => call.header("x-api-key", self.demo("auditorApiKey")),
            Who::Admin => call.header("x-api-key", self.demo("adminApiKey")),
        }
    }

    #[track_caller]
    pub fn get(&self, who: Who, path: &str) -> Reply {
        self.call(who, "GET", path).send()
    }

    #[track_caller]
    pub fn post(&self, who: Who, path: &str, body: Value) -> Reply {
        self.call(who, "POST", path).json(&body).send()
    }

    #[track_caller]
    pub fn put(&self, who: Who, path: &str, body: Value) -> Reply {
        self.call(who, "PUT", path).json(&body).send()
    }

    #[track_caller]
    pub fn patch(&self, who: Who, path: &str, body: Value) -> Reply {
        self.call(who, "PATCH", path).json(&body).send()
    }

    #[track_caller]
    pub fn delete(&self, who: Who, path: &str) -> Reply {
        self.call(who, "DELETE", path).send()
    }
}

impl Server {
    /// A credential of the demo that its log shows, by the name of the credential (INV-S26).
    fn shown_secret(&self) -> Option<String> {
        let log = self.log();
        let demo = self.ready["demo"].as_object()?;
        let secrets = demo
            .iter()
            .filter(|(name, _)| name.ends_with("ApiKey") || name.ends_with("Password"));
        let tokens = [&self.ana, &self.bob].map(|token| token.get().cloned());
        let secrets = secrets.filter_map(|(name, value)| Some((name.clone(), value.as_str()?)));
        let shown = secrets
            .filter(|(_, value)| log.contains(value))
            .map(|(name, _)| name);
        let tokens = tokens.into_iter().flatten();
        let tokens = tokens.filter(|token| log.contains(token));
        shown.chain(tokens.map(|_| "a token".to_owned())).next()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if !std::thread::panicking() {
            assert_eq!(self.shown_secret(), None, "shown in the log: INV-S26");
        }
    }
}

/// `florin`, with nothing of the tests' environment but where programs and temporary files are.
pub fn program() -> Command {
    clean(PROGRAM)
}

fn clean(program: &str) -> Command {
    let kept = ["PATH", "TMPDIR"].map(|name| Some((name, std::env::var_os(name)?)));
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(kept.into_iter().flatten())
        .env(ANY_DISK.0, ANY_DISK.1);
    command
}

/// Runs `florin` with these arguments and waits for its end: exit code, stdout, stderr.
pub fn florin(args: &[&str]) -> (Option<i32>, String, String) {
    florin_with(args, &[])
}

/// The same with settings of the environment.
pub fn florin_with(args: &[&str], env: &[(&'static str, String)]) -> (Option<i32>, String, String) {
    let output = program()
        .args(args)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}
