//! The direction of imports: `base <- ledger, platform <- rooms <- console <- app`.
//!
//! Rooms do not import each other, ledger and platform do not know each other, and a few
//! outside crates stay behind their port. What one room offers another is a small trait in the
//! asking room, wired in `app`.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Every crate of the workspace and its layer; an arrow must point to a lower layer.
const LAYERS: &[(&str, u8)] = &[
    ("florin-base", 0),
    ("florin-ledger", 1),
    ("florin-platform", 1),
    ("florin-wallets", 2),
    ("florin-shadow", 2),
    ("florin-ticketing", 2),
    ("florin-compliance", 2),
    ("florin-chains", 2),
    ("florin-markets", 2),
    ("florin-networks", 2),
    ("florin-console", 3),
    ("florin", 4),
];

/// Outside crates that only some crates may use, with the reason.
const PORTS: &[(&str, &[&str], &str)] = &[
    (
        "sqlx",
        // The ledger's engine speaks to its own tables in its own way.
        &["florin-platform", "florin-ledger"],
        "SQL goes through platform::sql, which runs one text on both databases",
    ),
    ("clap", &["florin"], "only the binary has a command line"),
    (
        "anyhow",
        &["florin"],
        "libraries have designed errors with stable codes",
    ),
];

/// What the pure core may not touch, with the reason.
const IMPURE: &[(&str, &str)] = &[
    ("SystemTime", "no clock: time is passed in"),
    ("Instant", "no clock: time is passed in"),
    ("tokio", "no async in rules"),
    ("async fn", "no async in rules"),
    ("std::fs", "no I/O in rules"),
    ("std::net", "no I/O in rules"),
    ("std::thread", "no threads in rules"),
    ("std::env", "no environment in rules"),
    ("getrandom", "no chance in rules"),
];

/// An arrow between crates; dev-dependencies count too.
#[derive(Debug)]
struct Arrow {
    from: String,
    to: String,
    /// `normal`, `dev` or `build`.
    kind: String,
}

fn workspace() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(crate::tidy::root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn packages(workspace: &Value) -> &[Value] {
    workspace["packages"].as_array().expect("packages")
}

fn arrows(workspace: &Value) -> Vec<Arrow> {
    let mut found = Vec::new();
    for package in packages(workspace) {
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            found.push(Arrow {
                from: text(&package["name"]),
                to: text(&dependency["name"]),
                kind: dependency["kind"].as_str().unwrap_or("normal").to_owned(),
            });
        }
    }
    found
}

/// The complaints about `arrows`, given each crate's layer.
fn against_direction(arrows: &[Arrow], layers: &BTreeMap<&str, u8>) -> Vec<String> {
    let mut wrong = Vec::new();
    for arrow in arrows {
        let (Some(from), Some(to)) = (
            layers.get(arrow.from.as_str()),
            layers.get(arrow.to.as_str()),
        ) else {
            continue;
        };
        if from <= to {
            wrong.push(format!(
                "{} (layer {from}) imports {} (layer {to}), {} dependency",
                arrow.from, arrow.to, arrow.kind
            ));
        }
    }
    wrong
}

#[test]
fn imports_follow_the_direction() {
    let layers = LAYERS.iter().copied().collect();
    let wrong = against_direction(&arrows(&workspace()), &layers);
    assert!(
        wrong.is_empty(),
        "arrows against base <- ledger, platform <- rooms <- console <- app:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn an_arrow_against_the_direction_is_found() {
    let layers = LAYERS.iter().copied().collect();
    let arrow = |from: &str, to: &str| Arrow {
        from: from.into(),
        to: to.into(),
        kind: "normal".into(),
    };
    let allowed = [
        arrow("florin-wallets", "florin-ledger"),
        arrow("florin", "florin-base"),
        arrow("florin-base", "serde"),
    ];
    assert_eq!(against_direction(&allowed, &layers), Vec::<String>::new());
    for (from, to) in [
        ("florin-base", "florin-ledger"),
        ("florin-ledger", "florin-platform"),
        ("florin-platform", "florin-ledger"),
        ("florin-wallets", "florin-ticketing"),
        ("florin-console", "florin"),
    ] {
        assert_eq!(
            against_direction(&[arrow(from, to)], &layers).len(),
            1,
            "{from} -> {to}"
        );
    }
}

#[test]
fn every_crate_has_a_layer_and_stands_in_the_folder_of_its_name() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    for package in packages(&workspace()) {
        let name = text(&package["name"]);
        assert!(
            layers.contains_key(name.as_str()),
            "{name} has no layer: declare it in LAYERS"
        );
        let folder = match name.as_str() {
            "florin" => "app",
            other => other.trim_start_matches("florin-"),
        };
        let manifest = text(&package["manifest_path"]);
        assert!(
            manifest.ends_with(&format!("crates/{folder}/Cargo.toml")),
            "{name} belongs in crates/{folder}, stands in {manifest}"
        );
    }
}

#[test]
fn outside_crates_stay_behind_their_port() {
    let mut wrong = Vec::new();
    for arrow in arrows(&workspace()) {
        // Tests may look behind a port.
        if arrow.kind == "dev" {
            continue;
        }
        for (outside, users, reason) in PORTS {
            if arrow.to == *outside && !users.contains(&arrow.from.as_str()) {
                wrong.push(format!("{} uses {outside}: {reason}", arrow.from));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Pure: the rules of the ledger, and each room's `model.rs`.
fn is_pure(path: &str) -> bool {
    path.starts_with("crates/ledger/src/rules")
        || (path.starts_with("crates/") && path.contains("/src/model"))
}

#[test]
fn the_pure_core_touches_neither_clock_nor_disk() {
    let mut wrong = Vec::new();
    for file in crate::tidy::files() {
        if !is_pure(&file.path) {
            continue;
        }
        let code = crate::tidy::lexer::blank(&file.text);
        for (number, line) in code.lines().enumerate() {
            for (word, reason) in IMPURE {
                if crate::tidy::has_word(line, word) {
                    wrong.push(format!("{}:{}: {word}: {reason}", file.path, number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
