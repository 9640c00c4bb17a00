//! What `deploy/` promises about the binary: units start with the settings they are given, runbooks
//! name commands that exist.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use florin_platform::testing::postgres::TestPostgres;
use florin_platform::testing::process::{Running, free_port};
use florin_platform::testing::redis::TestRedis;
use serde_json::Value;

use crate::server::launch::florin_with;
use crate::server::program;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join("deploy").join(name)).expect("a file of deploy");
    serde_json::from_str(&text).expect("JSON")
}

fn units() -> Vec<Value> {
    table("units.json")["units"]
        .as_array()
        .expect("a list")
        .clone()
}

fn words(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The environment of a unit, as task definitions and manifests give it.
fn environment(unit: &Value, words_of: &BTreeMap<&str, String>) -> BTreeMap<String, String> {
    let table = table("settings.json");
    let needs = words(&unit["needs"]);
    let applies = |row: &Value| {
        let when = row["when"].as_str().expect("a reason");
        when == "always"
            || needs.contains(&when)
            || (when == "upstreams" && unit["name"] == "gateway")
    };
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    let mut found = BTreeMap::new();
    for row in table["settings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|row| applies(row))
    {
        let value = text(row, "value");
        let word = value
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let value = word.map_or(value.clone(), |word| {
            words_of
                .get(word)
                .cloned()
                .unwrap_or_else(|| panic!("{word} is not known"))
        });
        found.insert(text(row, "name"), value);
    }
    for row in table["secrets"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|row| applies(row))
    {
        let secret = format!("{}#{}", text(row, "secret"), text(row, "member"));
        found.insert(
            text(row, "name"),
            words_of
                .get(secret.as_str())
                .cloned()
                .unwrap_or_else(|| panic!("{secret} is not known")),
        );
    }
    found
}

/// DEP-011, DEP-055, DEP-066, DEP-070, DEP-074, DEP-105: each unit of this version starts in
/// production with what its task definition tells it, over PostgreSQL with a verified certificate
/// and over Redis, and serves 8443's kind of TLS.
#[test]
fn dep_011_dep_062_dep_066_dep_074_dep_105_units_start_with_the_settings_they_are_given() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (Some(postgres), Some(redis)) = (
        runtime.block_on(TestPostgres::start_with_tls()),
        TestRedis::start(),
    ) else {
        println!(
            "SKIPPED units_start_with_the_settings_they_are_given: PostgreSQL or Redis is not installed"
        );
        return;
    };
    drop(runtime.block_on(postgres.fresh()));
    let database = format!(
        "postgres://florin@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}",
        postgres.port(),
        postgres.certificate().display()
    );
    let home = tempfile::tempdir().expect("temporary folder");
    let key = "0123456789abcdef".repeat(4);
    for name in ["wallets", "gateway", "workers", "shadow-ledger"] {
        let unit = units()
            .into_iter()
            .find(|unit| unit["name"] == name)
            .expect("a unit");
        let words_of = BTreeMap::from([
            ("environment", "production".to_owned()),
            ("public_url", "https://api.example.com".to_owned()),
            ("trusted_proxies", "10.0.1.0/24,10.0.11.0/24".to_owned()),
            (
                "upstreams",
                "wallets=https://wallets.internal.example.com".to_owned(),
            ),
            ("database_pool", "4".to_owned()),
            // A folder stands in for the bucket.
            (
                "archive_url",
                home.path().join("archive").display().to_string(),
            ),
            ("db#url", database.clone()),
            ("db#replica_url", database.clone()),
            ("cache#url", redis.url()),
            // Nobody listens there: units run without brokers, and say so.
            ("kafka_url", "kafkas://127.0.0.1:1".to_owned()),
            ("kafka#username", format!("florin-production-{name}")),
            ("kafka#password", key.clone()),
            ("shared/signing-key#current", key.clone()),
            ("shared/signing-key#next", key.chars().rev().collect()),
            ("shared/signing-key#former", key.to_uppercase()),
            ("shared/cursor-key#", key.clone()),
            ("shared/ticketing-key#", key.clone()),
            ("shared/console-key#", key.clone()),
            ("shared/checkpoint-key#", key.clone()),
        ]);
        let mut env = environment(&unit, &words_of);
        assert_eq!(env["FLORIN__SERVER__PORT"], "8443", "DEP-011");
        let port = free_port();
        env.insert("FLORIN__SERVER__PORT".to_owned(), port.to_string());
        env.insert("FLORIN__SERVER__LISTEN".to_owned(), "127.0.0.1".to_owned());
        env.insert(
            "FLORIN_DATA_DIR".to_owned(),
            home.path().join(name).display().to_string(),
        );
        let log = home.path().join(format!("{name}.log"));
        let mut command = program();
        command.arg("serve").envs(&env).stdout(Stdio::null());
        for role in words(&unit["roles"]) {
            command.args(["--role", role]);
        }
        let mut running = Running(
            command
                .stderr(std::fs::File::create(&log).expect("a log"))
                .spawn()
                .expect("it starts"),
        );
        let url = format!("https://127.0.0.1:{port}/ready");
        let ready = (0..240).any(|_| {
            std::thread::park_timeout(Duration::from_millis(250));
            let ended = running.0.try_wait().expect("its state").is_some();
            ended || florin_with(&["probe", "--url", &url], &[]).0 == Some(0)
        });
        let said = std::fs::read_to_string(&log).expect("its log");
        let ended = running.0.try_wait().expect("its state");
        assert!(ready && ended.is_none(), "{name}: {ended:?} {said}");
        assert!(!said.contains(&key), "{name}: a key stands in the log");
    }
}

/// DEP-001 to DEP-009: a unit is told about each store that a part of its roles opens.
#[test]
fn dep_001_dep_009_dep_119_dep_148_needs_of_units_cover_the_parts_of_their_roles() {
    let (code, out, err) = florin_with(&["roles", "--output", "json"], &[]);
    assert_eq!(code, Some(0), "{err}");
    let roles: Vec<Value> = serde_json::from_str(&out).expect("JSON");
    let units = units();
    let listed: Value = table("roles.json");
    let listed = words(&listed["roles"]);
    for role in &roles {
        let name = role["name"].as_str().expect("a name");
        assert!(
            listed.contains(&name),
            "deploy/render.py does not know role {name} yet: run ./dev gen, then deploy/render.py"
        );
        let unit = units
            .iter()
            .find(|unit| words(&unit["roles"]).contains(&name))
            .expect("a unit");
        let (needs, parts) = (words(&unit["needs"]), words(&role["parts"]));
        for (part, need) in [("tables", "database"), ("ledger", "ledger")] {
            assert!(
                !parts.contains(&part) || needs.contains(&need),
                "{name} opens {part}, its unit does not need {need}"
            );
        }
    }
}

/// The troubles of the contract's part B6: those that the guides name, then those that were added.
const TROUBLES: [&str; 29] = [
    "eks-access",
    "database-connect",
    "edge-unreachable",
    "load-balancer-checks",
    "ecs-service-start",
    "terraform-state",
    "slow-queries",
    "scale-by-hand",
    "roll-back",
    "database-failover",
    "az-lost",
    "cache-failover",
    "region-lost",
    "kafka-lag",
    "rotation-failed",
    "key-disabled",
    "certificate-expiring",
    "waf-blocks-customers",
    "drift-found",
    "ledger-invariant",
    "lost-transfers",
    "disk-filling",
    "bill-alarm",
    "guardduty-finding",
    "vault-sealed",
    "network-stopped",
    "spot-reclaim",
    "dead-letters",
    "end-of-support",
];

/// DEP-155: every runbook has its parts, its links lead somewhere, and its commands exist.
#[test]
fn dep_155_runbooks_are_whole_and_name_commands_that_exist() {
    let dir = root().join("docs/operate/runbooks");
    let mut count = 0;
    let mut commands = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(&dir).expect("runbooks") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a page");
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            assert!(
                link.starts_with("http") || dir.join(link).exists(),
                "{name}: {link} leads nowhere"
            );
        }
        for call in text
            .split(['`', '\n'])
            .filter_map(|part| part.trim().strip_prefix("florin "))
        {
            let parts = call.split_whitespace().take_while(|word| {
                word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
            });
            commands.insert(parts.map(str::to_owned).collect::<Vec<_>>());
        }
        if name == "README.md" {
            continue;
        }
        count += 1;
        let headings: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .collect();
        assert_eq!(
            headings,
            [
                "Symptom",
                "First look",
                "Causes",
                "Repair",
                "Verify",
                "Never"
            ],
            "{name}"
        );
    }
    for trouble in TROUBLES {
        let page = format!("{trouble}.md");
        assert!(dir.join(&page).exists(), "no runbook {page} (part B6)");
    }
    assert!(count >= TROUBLES.len(), "{count} pages");
    for command in commands.iter().filter(|command| !command.is_empty()) {
        let mut args: Vec<&str> = command.iter().map(String::as_str).collect();
        args.push("--help");
        assert_eq!(
            florin_with(&args, &[]).0,
            Some(0),
            "florin {command:?} does not exist"
        );
    }
    assert!(commands.len() > 10, "{commands:?}");
}

/// DEP-018, DEP-150: pins are exact, and the image has what the settings point to.
#[test]
fn dep_018_dep_150_the_versions_and_the_image_have_no_latest() {
    let (code, out, _) = florin_with(&["aws", "versions", "--output", "json"], &[]);
    assert!(code.is_some());
    let rows: Vec<Value> = serde_json::from_str(&out).expect("JSON");
    assert!(
        rows.iter()
            .all(|row| row["days_left"].is_i64() && row["version"] != "latest")
    );
    let file = std::fs::read_to_string(root().join("deploy/image/Containerfile")).expect("a file");
    assert!(
        file.contains("--features kafka,s3"),
        "the image speaks Kafka and S3"
    );
    assert!(
        file.contains("rds.pem"),
        "the image knows the authorities of RDS"
    );
}
