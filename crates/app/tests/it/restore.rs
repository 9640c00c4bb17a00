//! A backup taken from a running server, restored into another database: the same ledger, proved,
//! and going on (`docs/operate/processes.md`, "Backup and restore").

use std::path::Path;
use std::process::Command;

use florin_platform::testing::postgres::TestPostgres;
use serde_json::json;

use crate::server::launch::florin_with;
use crate::server::{Launch, Server, Who, path};

/// Settings of a server on a database.
fn settings(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("FLORIN__LEDGER__URL", url.to_owned()),
        ("FLORIN__DATABASE__URL", url.to_owned()),
    ]
}

fn launch(url: &str) -> Launch {
    settings(url)
        .into_iter()
        .fold(Launch::new(), |launch, (name, value)| {
            launch.env(name, value)
        })
}

/// Runs one of PostgreSQL's own programs.
fn program(folder: &Path, name: &str, args: &[&str]) {
    let output = Command::new(folder.join(name)).args(args).output();
    let output = output.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {said}");
}

fn trial_balance(server: &Server) -> String {
    let reply = server
        .get(Who::Auditor, "/api/v1/ledger/trial-balance")
        .ok(200);
    reply.text
}

#[test]
fn a_backup_restored_elsewhere_is_the_same_ledger() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(postgres) = runtime.block_on(TestPostgres::start()) else {
        println!(
            "SKIPPED a_backup_restored_elsewhere_is_the_same_ledger: PostgreSQL's server is not installed (apt install postgresql)"
        );
        return;
    };
    drop(runtime.block_on(postgres.fresh()));
    let server = launch(&postgres.url()).start();
    let wallet = server.funded("BRL", "100.00");
    let body = json!({"amount": "25.00", "referenceId": "before"});
    server
        .post(Who::Service, &path(&wallet, "withdraw"), body.clone())
        .ok(200);
    let held = json!({"amount": "5.00", "referenceId": "held"});
    server
        .post(Who::Service, &path(&wallet, "holds"), held)
        .ok(201);
    let books = trial_balance(&server);

    let home = tempfile::tempdir().expect("temporary folder");
    let file = home.path().join("florin.dump");
    let file = file.to_str().expect("plain path");
    let bin = postgres.programs();
    let url = postgres.url();
    program(bin, "pg_dump", &["--format=custom", "--file", file, &url]);
    // What comes after the backup is not in it.
    let later = json!({"amount": "1.00", "referenceId": "after"});
    server
        .post(Who::Service, &path(&wallet, "withdraw"), later)
        .ok(200);

    let elsewhere = url.replace("/postgres", "/restored");
    program(bin, "createdb", &["--maintenance-db", &url, "restored"]);
    program(
        bin,
        "pg_restore",
        &["--exit-on-error", "--dbname", &elsewhere, file],
    );
    let env = settings(&elsewhere);
    let (code, out, err) = florin_with(
        &[
            "ledger",
            "verify",
            "--data-dir",
            home.path().to_str().expect("plain"),
        ],
        &env,
    );
    assert_eq!(code, Some(0), "{out} {err}");

    let restored = launch(&elsewhere).start();
    assert_eq!(trial_balance(&restored), books);
    assert_eq!(
        restored.figures(&wallet),
        ("75.00".into(), "5.00".into(), "70.00".into())
    );
    let again = restored
        .post(Who::Service, &path(&wallet, "withdraw"), body)
        .ok(200);
    assert!(again.is_replay(), "identities come along: {}", again.text);
    let more = json!({"amount": "70.00", "referenceId": "more"});
    restored
        .post(Who::Service, &path(&wallet, "withdraw"), more)
        .ok(200);
    restored.books_are_balanced();
}
