//! The commands as a person or a script meets them: words, hints, exit codes, files.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{ANY_DISK, Launch, Who, program};

/// What a command said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

fn florin(args: &[&str]) -> Command {
    let mut command = program();
    command.args(args);
    command
}

fn say(command: &mut Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary runs");
    Said {
        code: status.code().expect("not killed"),
        out: String::from_utf8(stdout).expect("UTF-8"),
        err: String::from_utf8(stderr).expect("UTF-8"),
    }
}

fn run(args: &[&str]) -> Said {
    say(&mut florin(args))
}

/// One line of error, one of hint, no trace, exit code 1.
#[track_caller]
fn refused(said: &Said, error: &str, hint: &str) {
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!((said.code, lines.len()), (1, 2), "{}", said.err);
    assert!(
        lines[0].starts_with("error: ") && lines[0].contains(error),
        "{}",
        said.err
    );
    assert!(
        lines[1].starts_with("hint: ") && lines[1].contains(hint),
        "{}",
        said.err
    );
    assert_eq!(said.out, "", "nothing on stdout");
}

fn folder() -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let text = dir.path().join("data").to_str().expect("UTF-8").to_owned();
    (dir, text)
}

#[test]
fn a_taken_port_is_named_and_leaves_no_trace() {
    let (_dir, data) = folder();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let said = run(&["serve", "--data-dir", &data, "--port", &port]);
    refused(&said, "in use", "--port");
    assert!(!Path::new(&data).exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let (dir, _) = folder();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").expect("written");
    let said = run(&[
        "serve",
        "--port",
        "0",
        "--data-dir",
        file.to_str().expect("UTF-8"),
    ]);
    refused(&said, "cannot write to the data directory", "--data-dir");
}

#[test]
fn a_disk_without_room_is_named() {
    let (_dir, data) = folder();
    let with_all_free = |args: &[&str]| say(florin(args).env(ANY_DISK.0, "100"));
    let said = with_all_free(&["serve", "--port", "0", "--data-dir", &data]);
    assert_eq!((said.code, &*said.out), (1, ""), "{}", said.err);
    let why = "cannot be begun: it takes no postings: the disk has less than 100.0 % of its space free\nhint: look at the disk; ledger.disk_free_min_percent says";
    assert!(said.err.contains(why), "{}", said.err);
    let found = with_all_free(&["doctor", "--output", "json", "--data-dir", &data]).json();
    let findings = found["findings"].as_array().expect("findings");
    let space = findings.iter().find(|f| f["check"] == "disk space");
    let remedy = &space.expect("it is looked at")["remedy"];
    assert_eq!(remedy, "below 100 % postings stop: free some space");
}

#[test]
fn wrong_settings_are_refused_before_anything_starts() {
    let (_dir, data) = folder();
    let said = say(florin(&["config", "check"]).env("FLORIN__SERVER__PROT", "1"));
    refused(&said, "unknown setting `server.prot`", "`server.port`");
    let said = run(&["serve", "--data-dir", &data, "--role", "nobody"]);
    refused(
        &said,
        "there is no role `nobody`",
        "gateway, wallets, shadow-events, shadow-ledger, shadow-drift, ticketing-events, ticketing-orders, ticketing-analytics, console, workers",
    );
    let said = run(&["serve", "--data-dir", &data, "--dev-clock"]);
    refused(&said, "--dev-clock needs --unsafe-dev", "--unsafe-dev");
    assert!(!Path::new(&data).exists());
}

#[test]
fn production_refuses_and_names_each_setting() {
    let (_dir, data) = folder();
    let mut command = florin(&[
        "serve",
        "--data-dir",
        &data,
        "--port",
        "0",
        "--listen",
        "0.0.0.0",
    ]);
    command.args(["--unsafe-dev", "--dev-clock", "--demo"]);
    command.env("FLORIN__ENVIRONMENT", "production");
    command.env("FLORIN__WALLETS__PROFILE", "compat");
    command.env("FLORIN__AUTH__SIGNING_KEY", "changeme");
    let said = say(&mut command);
    assert_eq!(said.code, 78, "{}", said.err);
    for setting in [
        "--unsafe-dev",
        "--dev-clock",
        "--demo",
        "wallets.profile",
        "server.listen",
        "auth.signing_key",
    ] {
        assert!(
            said.err.contains(&format!("  {setting}: ")),
            "{setting}: {}",
            said.err
        );
    }
    assert!(!said.err.contains("changeme"), "a secret is shown");
    assert!(!Path::new(&data).exists());
}

#[test]
fn a_running_server_keeps_others_out_and_serves_commands() {
    let server = Launch::new().start();
    let data = server.ready["dataDir"].as_str().expect("dataDir");
    let url = server.ready["url"].as_str().expect("url");
    let key = |name: &str| {
        server.ready["demo"][name]
            .as_str()
            .expect("a key")
            .to_owned()
    };
    let said = run(&["serve", "--port", "0", "--data-dir", data]);
    refused(&said, "open in another process", "--data-dir");
    let said = run(&["ledger", "verify", "--data-dir", data]);
    assert_eq!(said.code, 2, "{}", said.err);

    let (_dir, export) = folder();
    let (auditor, service) = (key("auditorApiKey"), key("serviceApiKey"));
    let args = [
        "ledger",
        "export",
        "--server",
        url,
        "--to-file",
        &export,
        "--api-key",
    ];
    let said = run(&[&args[..], &[&service]].concat());
    refused(&said, "forbidden", "admin");
    let said = run(&[&args[..], &[&auditor, "--output", "json"]].concat());
    assert_eq!(
        (said.code, said.json()["file"].as_str()),
        (0, Some(export.as_str())),
        "{}",
        said.err
    );
    let said = run(&["ledger", "verify", "--export", &export, "--output", "json"]);
    let verified = said.json();
    assert_eq!((said.code, &verified["ok"]), (0, &Value::Bool(true)));

    let (_dir, file) = folder();
    let made = server.post(Who::Auditor, "/api/v1/ledger/checkpoints", json!({}));
    std::fs::write(&file, made.body.to_string()).expect("written");
    let text = std::fs::read_to_string(&export).expect("the export");
    let changed = text.replacen("\"amountMinor\":\"", "\"amountMinor\":\"1", 1);
    std::fs::write(&export, changed).expect("written");
    let said = run(&[
        "ledger",
        "verify",
        "--export",
        &export,
        "--checkpoint",
        &file,
    ]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("VIOLATION: "), "{}", said.out);
}

#[test]
fn users_and_keys_are_shown_once_and_can_be_taken_back() {
    let (_dir, data) = folder();
    let json = |args: &[&str]| {
        let said = run(&[args, &["--data-dir", &data, "--output", "json"]].concat());
        assert_eq!(said.code, 0, "{args:?}: {}", said.err);
        said.json()
    };
    let made = json(&["user", "create", "Carla", "--role", "operator"]);
    assert_eq!(made["user"]["userName"], "carla");
    assert_eq!(made["password"].as_str().map(str::len), Some(23));
    let again = run(&["user", "create", "carla", "--data-dir", &data]);
    refused(&again, "exists already", "florin user list");
    assert_eq!(json(&["user", "disable", "carla"])["disabled"], true);
    assert_eq!(
        json(&["user", "roles", "carla", "auditor", "user"])["roles"][0],
        "auditor"
    );
    let users = json(&["user", "list"]).to_string();
    assert!(
        users.contains("carla") && !users.contains("password"),
        "{users}"
    );
    let key = json(&["key", "create", "ci", "--scope", "ledger:read"]);
    assert!(
        key["apiKey"]
            .as_str()
            .is_some_and(|text| text.starts_with("fl_")),
        "{key}"
    );
    let id = key["key"]["id"].as_str().expect("id").to_owned();
    assert!(json(&["key", "revoke", &id])["revokedAt"].is_string());
    let text = key["apiKey"].as_str().expect("text");
    assert!(
        !json(&["key", "list"]).to_string().contains(text),
        "a key's text is shown again"
    );
}

#[test]
fn the_tour_is_balanced_and_replays() {
    let said = run(&["demo", "--output", "json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let steps: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let statuses: Vec<_> = steps.iter().map(|step| step["status"].as_u64()).collect();
    assert_eq!(
        statuses[..8],
        [201, 201, 200, 200, 200, 400, 201, 200].map(Some)
    );
    assert_eq!(
        (&steps[3]["replayed"], &steps[4]["replayed"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    assert_eq!(steps[8]["answer"]["available"], "45.50");
    assert_eq!(steps[10]["answer"]["assets"][0]["difference"], "0");
}

#[test]
fn dep_081_acls_are_lines_for_kafkas_own_tool() {
    let said = run(&[
        "kafka",
        "acls",
        "--user",
        "florin-staging-{role}",
        "--operator",
        "florin-staging-wallets",
    ]);
    assert_eq!(said.code, 0, "{}", said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    for line in [
        "--add --allow-principal User:florin-staging-workers --operation Describe --operation Write --topic ledger-changes",
        "--add --allow-principal User:florin-staging-workers --operation Describe --operation Write --transactional-id florin-feed-ledger-changes",
        "--add --allow-principal User:florin-staging-shadow-events --operation Describe --operation Read --topic transactions.raw",
        "--add --allow-principal User:florin-staging-shadow-events --operation Read --group florin-shadow",
        "--add --allow-principal User:florin-staging-wallets --operation Create --operation Describe --operation DescribeConfigs --topic ledger-changes",
        "--add --allow-principal User:florin-staging-wallets --operation Alter --cluster",
    ] {
        assert!(lines.contains(&line), "{line} is not in\n{}", said.out);
    }
    // Nobody else may do anything, and only the operator creates topics.
    let users = lines.iter().filter_map(|line| line.split(' ').nth(2));
    let users: std::collections::BTreeSet<&str> = users.collect();
    let known = ["shadow-events", "wallets", "workers"].map(|u| format!("User:florin-staging-{u}"));
    assert!(users.iter().eq(&known), "{users:?}");
    let creators = lines.iter().filter(|line| line.contains("Create"));
    assert!(
        creators
            .clone()
            .all(|line| line.contains("User:florin-staging-wallets "))
    );
    let first = run(&["kafka", "acls", "--output", "json"]).json();
    assert_eq!(
        first["acls"][0],
        json!({"user": "shadow-events", "resource": "topic", "name": "ledger-changes", "operations": ["Describe"]})
    );
    refused(
        &run(&["kafka", "acls", "--user", "florin"]),
        "names one user for all roles",
        "{role}",
    );
    refused(
        &run(&["kafka", "acls", "--operator", "a b"]),
        "`--operator`",
        "letters, digits",
    );
    refused(
        &run(&["kafka", "acls", "--apply", "--operator", "a"]),
        "lists are about users",
        "bus.sasl_user",
    );
}

#[test]
fn the_doctor_finds_nothing_wrong_with_a_fresh_folder() {
    let (dir, _) = folder();
    let data = dir.path().to_str().expect("UTF-8");
    let said = run(&["doctor", "--data-dir", data, "--output", "json"]);
    let report = said.json();
    let bad: Vec<_> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .collect();
    let disk_is_full = bad
        .iter()
        .any(|f| f["check"] == "disk space" && f["health"] == "bad");
    assert!(said.code == 0 || disk_is_full, "{report}");
    assert!(
        bad.iter()
            .any(|f| f["check"] == "data directory" && f["health"] != "bad"),
        "{report}"
    );
}

#[test]
fn the_reference_pages_agree_with_the_code() {
    let dir = crate::tidy::root().join("docs/reference");
    let said = run(&["gen", "--check", "--dir", dir.to_str().expect("UTF-8")]);
    assert_eq!(said.code, 0, "{}", said.err);
}

/// The counts that the data's description states; the ledger balances afterwards, and importing
/// again changes nothing (case 74).
#[test]
fn real_bank_data_is_imported() {
    let Some(file) = florin_platform::testing::bank_transactions_file() else {
        return;
    };
    let (_dir, data) = folder();
    let profile = crate::tidy::root().join("docs/examples/bank-csv.toml");
    let mut args = vec![
        "ledger",
        "import",
        "--floors",
        "skip",
        "--output",
        "json",
        "--data-dir",
        &data,
    ];
    args.extend([
        "--profile",
        profile.to_str().expect("UTF-8"),
        file.to_str().expect("UTF-8"),
    ]);
    let first = run(&args);
    assert_eq!(first.code, 0, "{}", first.err);
    let report = first.json();
    let balances = &report["file"]["balances"];
    let counts = [
        "accounts",
        "consistent",
        "consistentWithinRounding",
        "inconsistent",
        "undecided",
        "belowZeroAccounts",
        "belowZeroLines",
    ];
    assert_eq!(
        counts.map(|name| balances[name].as_u64()),
        [591, 276, 299, 16, 0, 12, 39].map(Some)
    );
    let accounts = balances["perAccount"].as_array().expect("accounts");
    for account in accounts {
        let known = match account["verdict"].as_str() {
            Some("consistent") => account["differenceMinor"] == "0",
            Some("consistent_within_rounding") => account["differenceMinor"].is_string(),
            Some("inconsistent") => account["day"].is_string(),
            _ => false,
        };
        assert!(known, "{account}");
    }
    assert_eq!(
        (&report["posted"]["refused"], &report["balanced"]),
        (&Value::from(0), &Value::Bool(true))
    );
    assert_eq!(report["posted"]["created"], 1 + 591 + 23_932);
    let again = run(&args).json();
    assert_eq!(
        (&again["posted"]["created"], &again["posted"]["exists"]),
        (&Value::from(0), &Value::from(24_524))
    );
    let verified = run(&["ledger", "verify", "--data-dir", &data, "--output", "json"]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
}
