//! Words that do not belong into the repository: unfinished work, traces of one machine, and
//! anything about how a text came to be instead of what it says.

use super::{File, files, has_word, none};

/// Unfinished or temporary code; in Rust code only (comments are judged by `UNFINISHED_WORDS`).
const UNFINISHED_CODE: &[&str] = &["todo!", "unimplemented!", "dbg!"];

// The lists are cut in two so that this file passes its own check.
const UNFINISHED_WORDS: &[(&str, &str)] = &[("TO", "DO"), ("FIX", "ME"), ("XX", "X")];

const MACHINE: &[(&str, &str)] = &[
    ("/ho", "me/"),
    ("/ro", "ot/"),
    ("/wo", "rk/"),
    ("/Us", "ers/"),
    ("replace", "-with ="),
    ("arti", "factory"),
    ("index", "-url"),
    ("GO", "PROXY="),
];

/// Compared in lower case.
const MAKING: &[(&str, &str)] = &[
    ("language ", "model"),
    ("ll", "m"),
    ("chat", "gpt"),
    ("co", "pilot"),
    ("clau", "de"),
    ("anth", "ropic"),
    ("ai ", "assistant"),
    ("ai-", "generated"),
    ("generated ", "by ai"),
    ("coding ", "agent"),
    ("sub", "agent"),
    ("agent-", "made"),
    ("this ", "session"),
    ("previous ", "session"),
    ("co-authored", "-by"),
    ("the ", "brief says"),
    ("as requested ", "in"),
];

const CONFLICT: &[(&str, &str)] = &[("<<<<", "<<< "), (">>>>", ">>> "), ("||||", "||| ")];

fn joined(list: &[(&str, &str)]) -> Vec<String> {
    list.iter().map(|(a, b)| format!("{a}{b}")).collect()
}

/// The standard index is named in every lock file and in the licence check.
const STANDARD_REGISTRY: &str = "https://github.com/rust-lang/crates.io-index";

fn complaints(file: &File, judge: impl Fn(&str) -> Option<String>) -> Vec<String> {
    file.text
        .lines()
        .enumerate()
        .filter_map(|(number, line)| {
            judge(line).map(|why| format!("{}:{}: {why}", file.path, number + 1))
        })
        .collect()
}

fn all_complaints(judge: impl Fn(&File, &str) -> Option<String>) -> Vec<String> {
    files()
        .iter()
        .flat_map(|file| complaints(file, |line| judge(file, line)))
        .collect()
}

#[test]
fn nothing_is_unfinished() {
    let words = joined(UNFINISHED_WORDS);
    let in_text = all_complaints(|_, line| words.iter().find(|w| has_word(line, w)).cloned());
    none("unfinished work", in_text);
    let mut in_code = Vec::new();
    for file in files().into_iter().filter(|f| f.path.ends_with(".rs")) {
        let code = File {
            text: super::lexer::blank(&file.text),
            path: file.path,
        };
        in_code.extend(complaints(&code, |line| {
            let macro_found = UNFINISHED_CODE.iter().find(|m| {
                line.match_indices(**m)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
            macro_found.map(|m| (*m).to_owned())
        }));
    }
    none("unfinished code", in_code);
}

#[test]
fn no_trace_of_one_machine() {
    let words = joined(MACHINE);
    let wrong = all_complaints(|_, line| words.iter().find(|w| line.contains(*w)).cloned());
    none("paths or mirrors of somebody's machine", wrong);
}

#[test]
fn dependencies_come_from_the_standard_registry() {
    let lock = std::fs::read_to_string(super::root().join("Cargo.lock")).expect("Cargo.lock");
    let wrong = lock
        .lines()
        .filter(|line| line.starts_with("source = ") && !line.contains(STANDARD_REGISTRY))
        .map(str::to_owned)
        .collect();
    none("sources in Cargo.lock", wrong);
}

/// Holds where `cargo deny` is not installed, too.
#[test]
fn banned_crates_stay_out() {
    let read = |name: &str| std::fs::read_to_string(super::root().join(name)).expect("root file");
    let (lock, deny) = (read("Cargo.lock"), read("deny.toml"));
    let banned: Vec<&str> = deny
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ crate = \""))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(banned.contains(&"openssl"), "{banned:?}");
    let wrong = banned
        .iter()
        .filter(|name| lock.contains(&format!("\nname = \"{name}\"\n")))
        .map(|name| (*name).to_owned())
        .collect();
    none("crates in Cargo.lock that deny.toml bans", wrong);
}

#[test]
fn the_text_speaks_of_florin_only() {
    let words = joined(MAKING);
    let wrong = all_complaints(|_, line| {
        let lower = line.to_lowercase();
        words.iter().find(|w| has_word(&lower, w)).cloned()
    });
    none("words about how the text was made", wrong);
}

#[test]
fn no_conflict_markers() {
    let marks = joined(CONFLICT);
    let wrong = all_complaints(|_, line| marks.iter().find(|m| line.starts_with(*m)).cloned());
    none("conflict markers", wrong);
}

#[test]
fn each_list_finds_what_it_is_for() {
    let file = File {
        path: "x.md".into(),
        text: format!("fine\nsee {}{}\n", "/ho", "me/me"),
    };
    let words = joined(MACHINE);
    let found = complaints(&file, |line| {
        words.iter().find(|w| line.contains(*w)).cloned()
    });
    assert_eq!(found, [format!("x.md:2: {}{}", "/ho", "me/")]);
}
