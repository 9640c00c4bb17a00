//! Real components as children of a test: found, started on a free port as somebody without
//! rights, and stopped with it.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// User and group `nobody` of Debian; the servers refuse to run as root.
const NOBODY: u32 = 65_534;

/// Says by name that the running test has nothing to run on.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    println!("SKIPPED {}: {why}", thread.name().unwrap_or("a test"));
}

/// Notices how long this process stood still, with its machine or for want of a processor: such
/// time says nothing about those that it waits for.
#[derive(Debug)]
pub struct Standstill {
    lost: Arc<AtomicU64>,
    _ends: mpsc::SyncSender<()>,
}

impl Standstill {
    /// Watches until it is dropped.
    pub fn watch() -> Self {
        const TICK: Duration = Duration::from_millis(10);
        /// Less is how threads take turns.
        const NOTICED: Duration = Duration::from_millis(50);
        let (ends, ended) = mpsc::sync_channel::<()>(0);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        std::thread::spawn(move || {
            let mut before = Instant::now();
            while ended.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                let late = before.elapsed().saturating_sub(TICK);
                if late > NOTICED {
                    let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
                    counted.fetch_add(micros, Ordering::SeqCst);
                }
                before = Instant::now();
            }
        });
        Self { lost, _ends: ends }
    }

    /// How long it stood still since it is watched.
    pub fn lost(&self) -> Duration {
        // What was lost just now is counted with the next tick.
        std::thread::park_timeout(Duration::from_millis(20));
        Duration::from_micros(self.lost.load(Ordering::SeqCst))
    }

    /// How long some work took while the process ran.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let (lost, started) = (self.lost(), Instant::now());
        let done = work();
        let took = started.elapsed();
        (done, took.saturating_sub(self.lost().saturating_sub(lost)))
    }
}

/// A program in one of these folders, or in those of `PATH`.
pub fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().cloned().chain(std::env::split_paths(&path));
    all.map(|folder| folder.join(program))
        .find(|file| file.is_file())
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

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A folder that the servers may write to, gone with the test.
pub fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    if is_root() {
        std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
    }
    dir
}

/// Writes a file that only the servers may read; the certificate is no secret, but they look at
/// both alike.
pub fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("written");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).expect("private");
    if is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("given away");
    }
}

/// A command that runs as nobody when the test runs as root, away from the test's own folder.
pub fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The same, ended by the system when the test dies without ending it.
pub fn tied(program: &Path, dir: &Path) -> Command {
    let Some(setpriv) = find("setpriv", &[]) else {
        return command(program, dir);
    };
    let mut command = Command::new(setpriv);
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .args(["--pdeathsig", "KILL"]);
    if is_root() {
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
    }
    command.arg(program);
    command
}

/// A running server, killed when dropped.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.0.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success(), "{name}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A stopped process takes the signal too.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
