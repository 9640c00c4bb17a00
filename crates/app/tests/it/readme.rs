//! The commands of the README and of the recipes, run as a reader runs them.
//!
//! `./dev run` is the real script; only the compiler behind it is replaced, by one that finds
//! everything already built, so that what is served is the binary under test.

mod blocks;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{ANY_DISK, PROGRAM};
use crate::tidy::root;
use blocks::{Block, blocks};

/// From `./dev run` to the first answer, when nothing is left to build.
const START_MAX: Duration = Duration::from_secs(30);
const MARK: &str = "=== block ";

/// A served demo in a folder that looks like a clone of the repository.
struct Demo {
    clone: TempDir,
    server: Child,
    stdout: BufReader<ChildStdout>,
    /// What the server said when it was ready.
    started: Value,
}

fn write_script(path: &Path, text: &str) {
    fs::write(path, text).expect("write");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("chmod");
}

/// A folder with `dev`, a compiler that has nothing to do, and the binary where it would put it.
fn clone_of_the_repository() -> TempDir {
    let clone = tempfile::tempdir().expect("temporary folder");
    let at = clone.path();
    fs::copy(root().join("dev"), at.join("dev")).expect("dev");
    fs::copy(root().join("Cargo.toml"), at.join("Cargo.toml")).expect("Cargo.toml");
    let tools = at.join("cargo/bin");
    fs::create_dir_all(&tools).expect("tools");
    write_script(&tools.join("cargo"), "#!/bin/sh\nexit 0\n");
    write_script(&tools.join("rustc"), "#!/bin/sh\necho 'rustc 9.0.0 (x)'\n");
    let release = at.join("target/release");
    fs::create_dir_all(&release).expect("target");
    symlink(PROGRAM, release.join("florin")).expect("link");
    clone
}

impl Demo {
    /// Starts `run`, a line such as `./dev run`, on a free port.
    fn start(run: &str) -> Self {
        let clone = clone_of_the_repository();
        let mut server = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {run} --port 0 -- --output json"))
            .current_dir(clone.path())
            .env(ANY_DISK.0, ANY_DISK.1)
            .env("CARGO_HOME", clone.path().join("cargo"))
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("FLORIN_DATA_DIR")
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut stdout = BufReader::new(server.stdout.take().expect("piped"));
        let (send, receive) = sync_channel(1);
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = send.send(line);
            stdout
        });
        let Ok(line) = receive.recv_timeout(START_MAX) else {
            let _ = server.kill();
            panic!("`{run}` was not ready within {START_MAX:?}");
        };
        let started = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("`{run}` said {line:?} instead of JSON: {e}"));
        Self {
            clone,
            server,
            stdout: reader.join().expect("reader"),
            started,
        }
    }

    /// Runs all blocks in one shell, as a reader types them into one terminal, and compares.
    fn run(&self, page: &str, page_blocks: &[Block]) {
        let script: Vec<String> = page_blocks
            .iter()
            .map(|block| format!("echo '{MARK}{}'\n{}\n", block.name, block.commands))
            .collect();
        let output = Command::new("sh")
            .args(["-eu", "-c", &script.concat()])
            .current_dir(self.clone.path())
            .env(ANY_DISK.0, ANY_DISK.1)
            .output()
            .expect("sh runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{page}: {text}\n{errors}");
        for block in page_blocks {
            let start = format!("{MARK}{}\n", block.name);
            let (_, after) = text.split_once(&start).expect("every block ran");
            let shown = after.split(MARK).next().unwrap_or_default();
            let missing = block.missing_in(shown);
            assert!(
                missing.is_empty(),
                "{page}, block {}: {missing:?} is not in\n{shown}\n{errors}",
                block.name
            );
        }
    }

    /// Ctrl-C; the server drains and ends well.
    fn stop(&mut self) {
        let killed = Command::new("kill")
            .args(["-INT", &self.server.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(killed.success());
        let status = self.server.wait().expect("wait");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("stdout");
        assert!(status.success(), "the server ended with {status}: {rest}");
    }
}

/// A failed test leaves no server behind.
impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn readme_blocks() -> (Block, Vec<Block>) {
    let mut all = blocks(&page("README.md")).expect("every sh block of README.md is tested");
    let run = all.remove(0);
    assert_eq!(run.name, "run", "the README starts with how to run it");
    (run, all)
}

#[test]
fn the_readme_does_what_it_says() {
    let (run, rest) = readme_blocks();
    assert!(rest.len() >= 3, "transfer, entries, retry");
    let mut demo = Demo::start(&run.commands);
    let url = demo.started["url"].as_str().expect("url");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    demo.run("README.md", &rest);
    demo.stop();
}

#[test]
fn the_recipes_do_what_they_say() {
    let (run, _) = readme_blocks();
    let mut demo = Demo::start(&run.commands);
    let mut pages: Vec<_> = fs::read_dir(root().join("docs/recipes"))
        .expect("docs/recipes")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    pages.sort();
    let mut ran = 0;
    for name in pages {
        let path = format!("docs/recipes/{}", name.to_string_lossy());
        let recipe = blocks(&page(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        if !recipe.is_empty() {
            demo.run(&path, &recipe);
            ran += 1;
        }
    }
    assert!(ran >= 2, "{ran} recipes with commands");
    demo.stop();
}

#[test]
fn demo_credentials_are_made_on_the_spot() {
    let (run, _) = readme_blocks();
    let mut first = Demo::start(&run.commands);
    let mut second = Demo::start(&run.commands);
    for secret in ["adminPassword", "serviceApiKey", "userPassword"] {
        let (a, b) = (
            first.started["demo"][secret].as_str(),
            second.started["demo"][secret].as_str(),
        );
        assert!(a.is_some_and(|s| s.len() >= 12), "{secret}: too short");
        assert_ne!(a, b, "{secret} is the same in two installations");
    }
    first.stop();
    second.stop();
}
