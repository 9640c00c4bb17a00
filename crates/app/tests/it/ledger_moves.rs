//! A ledger that moves between engines and months that move to files and back, through the
//! commands, as an operator does it.

use std::path::Path;

use florin_platform::testing::postgres::TestPostgres;
use serde_json::{Value, json};

use crate::server::launch::{florin_with, on_postgres};
use crate::server::{Launch, Server};

type Env = Vec<(&'static str, String)>;

/// Runs a command that must end well and answers what it printed.
#[track_caller]
fn good(args: &[&str], env: &Env) -> Value {
    let args = [args, &["--output", "json"]].concat();
    let (code, out, err) = florin_with(&args, env);
    assert_eq!(code, Some(0), "{args:?}: {out} {err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// Runs a command that must be refused, with an exit code, and answers error and hint.
#[track_caller]
fn refused(args: &[&str], env: &Env, code: i32) -> String {
    let (ended, out, err) = florin_with(args, env);
    assert_eq!(ended, Some(code), "{args:?}: {out} {err}");
    assert_eq!(out, "", "nothing on stdout");
    assert!(err.contains("error: ") && err.contains("hint: "), "{err}");
    err
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// What verification finds at the end of a ledger that is good.
#[track_caller]
fn head(data_dir: &Path, env: &Env) -> Value {
    let report = good(&["ledger", "verify", "--data-dir", text(data_dir)], env);
    assert_eq!(report["ok"], true, "{report}");
    report["head"].clone()
}

/// A few postings of every kind that leaves a trace.
fn history(server: &Server) {
    let (one, other) = (server.funded("BRL", "50.00"), server.funded("BRL", "5.00"));
    for wallet in [&one, &other, &one] {
        server.withdraw(wallet, "1.00").ok(200);
    }
    server.books_are_balanced();
}

async fn database() -> Option<std::sync::Arc<TestPostgres>> {
    let postgres = TestPostgres::start().await?;
    // Waits until it answers.
    drop(postgres.fresh().await);
    Some(postgres)
}

#[test]
fn a_ledger_moves_to_postgresql_and_back_by_command() {
    if on_postgres() {
        println!("SKIPPED a_ledger_moves_to_postgresql_and_back: it begins with a directory");
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(postgres) = runtime.block_on(database()) else {
        return;
    };
    let server = Launch::new().start();
    history(&server);
    let data = server.data_dir().to_owned();
    let (_, _home) = server.stop();
    let (none, url) = (Env::new(), postgres.url());
    let at_first = head(&data, &none);
    assert!(at_first["seq"].as_u64() > Some(0), "{at_first}");

    let from = data.join("ledger");
    let to_database = ["ledger", "migrate", "--from", text(&from), "--to", &url];
    let moved = good(&to_database, &none);
    for member in ["rootHash", "chainHash"] {
        assert_eq!(moved[member], at_first[member], "{moved}");
    }
    assert_eq!(moved["records"], at_first["seq"]);
    let on_database = vec![("FLORIN__LEDGER__URL", url.clone())];
    let scratch = tempfile::tempdir().expect("temporary folder");
    assert_eq!(head(scratch.path(), &on_database), at_first);
    // The source is as it was, and a target that is whole is not moved to again.
    assert_eq!(head(&data, &none), at_first);
    assert!(refused(&to_database, &none, 1).contains("in use"));

    let back = tempfile::tempdir().expect("temporary folder");
    let dir = back.path().join("data").join("ledger");
    std::fs::create_dir_all(back.path().join("data")).expect("a folder");
    let to_directory = ["ledger", "migrate", "--from", &url, "--to", text(&dir)];
    let moved = good(&to_directory, &none);
    assert_eq!(moved["rootHash"], at_first["rootHash"], "{moved}");
    assert_eq!(head(&back.path().join("data"), &none), at_first);
    assert!(refused(&to_directory, &none, 1).contains("not empty"));

    // It goes on where it was moved to.
    let server = Launch::new().dir(back.path()).start();
    history(&server);
}

fn archive<'a>(more: &[&'a str], data: [&'a str; 2]) -> Vec<&'a str> {
    [&["ledger", "archive"], more, &data[..]].concat()
}

#[test]
fn months_move_to_files_and_back_by_command() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(postgres) = runtime.block_on(database()) else {
        return;
    };
    let env = vec![("FLORIN__LEDGER__URL", postgres.url())];
    let launch = Launch::new().env("FLORIN__LEDGER__URL", postgres.url());
    if on_postgres() {
        println!("SKIPPED months_move_to_files_and_back: it has a database of its own");
        return;
    }
    let server = launch.start();
    history(&server);
    let home = tempfile::tempdir().expect("temporary folder");
    let data = ["--data-dir", text(home.path())];
    let far = archive(&["--before", "2999-01-01T00:00:00Z"], data);

    // The running month stays.
    assert_eq!(good(&far, &env), json!({"archived": []}));
    let (code, out, _) = florin_with(&far, &env);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("Nothing to archive"), "{out}");
    server.advance(41 * 86_400);
    history(&server);
    let before = head(home.path(), &env);
    let done = good(&far, &env);
    let months = done["archived"].as_array().expect("a list");
    assert!(!months.is_empty(), "{done}");
    for month in months {
        let file = Path::new(month["file"].as_str().expect("a path"));
        assert!(file.is_absolute() && file.is_file(), "{month}");
        assert_eq!(month["sha256"].as_str().map(str::len), Some(64), "{month}");
        assert!(month["records"].as_u64() > Some(0), "{month}");
    }
    let verify = ["ledger", "verify", data[0], data[1]];
    let said = refused(&verify, &env, 2);
    assert!(
        said.contains("are archived in") && said.contains("--restore"),
        "{said}"
    );

    // A server goes on meanwhile.
    history(&server);
    let file = |month: &Value| month["file"].as_str().expect("a path").to_owned();
    let damaged = home.path().join("damaged");
    let mut bytes = std::fs::read(file(&months[0])).expect("the file");
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&damaged, bytes).expect("written");
    let said = refused(&archive(&["--restore", text(&damaged)], data), &env, 1);
    assert!(said.contains("checksum"), "{said}");
    for month in months {
        let file = file(month);
        let restore = archive(&["--restore", &file], data);
        let back = good(&restore, &env);
        assert_eq!(back["restored"]["sha256"], month["sha256"]);
        assert!(refused(&restore, &env, 1).contains("are not archived"));
    }
    let after = head(home.path(), &env);
    assert!(after["seq"].as_u64() > before["seq"].as_u64(), "{after}");
    server.books_are_balanced();
}

#[test]
fn an_embedded_ledger_has_no_months_to_archive() {
    let home = tempfile::tempdir().expect("temporary folder");
    let args = ["ledger", "archive", "--before", "2026-01-01T00:00:00Z"];
    let args = [&args[..], &["--data-dir", text(home.path())]].concat();
    let said = refused(&args, &Env::new(), 1);
    assert!(said.contains("in one piece"), "{said}");
    let args = ["ledger", "archive", "--before", "yesterday"];
    assert!(refused(&args, &Env::new(), 1).contains("--before yesterday"));
}
