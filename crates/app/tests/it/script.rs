//! The script `dev`, as far as it goes without building: what it deletes, and how it refuses.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::tidy::root;

fn dev(arguments: &[&str]) -> Output {
    Command::new("sh")
        .arg(root().join("dev"))
        .args(arguments)
        .env_remove("FLORIN_DATA_DIR")
        .stdin(Stdio::null())
        .output()
        .expect("sh runs")
}

/// The command fails with one `error:` line, a `hint:`, and no trace of the shell.
#[track_caller]
fn refuses(arguments: &[&str], with: &str) {
    let output = dev(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("error: {with}")), "{said}");
    assert!(said.contains("hint: "), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

#[test]
fn help_lists_every_command() {
    let script = fs::read_to_string(root().join("dev")).expect("dev");
    let output = dev(&["help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    let (_, cases) = script.split_once("case $command in").expect("commands");
    let commands: Vec<&str> = cases
        .lines()
        .filter_map(|line| line.trim().split_once(") "))
        .map(|(name, _)| name.split(' ').next().unwrap_or(name))
        .filter(|name| *name != "*")
        .collect();
    assert!(commands.len() >= 7, "{commands:?}");
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
    }
}

#[test]
fn a_mistake_gets_a_hint() {
    refuses(&["run", "--port", "http"], "--port http is not a number");
    refuses(&["run", "--prot", "1"], "unknown option --prot");
}

#[test]
fn an_unwritable_data_directory_gets_a_hint() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "x").expect("write");
    let below_a_file = file.join("data");
    refuses(
        &["run", "--data-dir", text(&below_a_file)],
        "cannot write to the data directory",
    );
}

#[test]
fn reset_deletes_only_what_is_ours() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).expect("folder");
    fs::write(photos.join("cat.jpg"), "x").expect("write");
    refuses(
        &["reset", "--yes", "--data-dir", text(&photos)],
        &format!("{} does not look like Florin's data", photos.display()),
    );
    assert!(photos.join("cat.jpg").exists());
}

#[test]
fn reset_waits_for_no_server_and_deletes_after_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let data = folder.path().join("data");
    fs::create_dir_all(data.join("ledger")).expect("folder");
    let lock = File::create(data.join("ledger/journal.lock")).expect("lock file");
    lock.lock().expect("lock");
    let reset = ["reset", "--yes", "--data-dir", text(&data)];
    refuses(&reset, "a server is using");
    assert!(data.exists());
    drop(lock);
    assert!(dev(&reset).status.success());
    assert!(!data.exists());
}

#[test]
fn reset_asks_before_it_deletes() {
    let folder = tempfile::tempdir().expect("temporary folder");
    refuses(
        &["reset", "--data-dir", text(folder.path())],
        "this deletes",
    );
}
