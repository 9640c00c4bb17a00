//! The house rules that a machine can check: sizes, module headers, leftovers, white space.
//!
//! Every exception is named with its reason, and an exception that is no longer needed fails.

pub mod lexer;
mod pages;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a Rust file.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 100;

/// Files that may be longer: path, reason.
const LONG_FILES: &[(&str, &str)] = &[(
    "crates/app/src/config/keys.rs",
    "one table, which becomes one file: settings are looked for from top to bottom",
)];

/// Functions that may be longer: path, name, reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[
    (
        "crates/shadow/src/matching/gather.rs",
        "gather",
        "one query after the other into one picture; each is a few lines of SQL",
    ),
    (
        "crates/shadow/tests/it/corrections.rs",
        "bad_requests_have_their_codes",
        "a table of requests and codes",
    ),
];

/// Folders that are not ours to judge: build output, data, version control.
const FOLDERS_SKIPPED: &[&str] = &["target", ".git", ".florin", "data", "corpus", "artifacts"];

/// Files whose lines are checked.
const TEXT_EXTENSIONS: &[&str] = &[
    "rs", "toml", "md", "sh", "sql", "json", "yml", "yaml", "html", "css", "js", "txt",
];
const TEXT_NAMES: &[&str] = &[
    "dev",
    "run",
    ".gitignore",
    ".gitattributes",
    ".editorconfig",
];

/// What is left behind by editors, merges and accidents.
const LEFTOVER_ENDINGS: &[&str] = &[
    ".orig",
    ".rej",
    ".bak",
    ".swp",
    ".tmp",
    "~",
    ".DS_Store",
    ".profraw",
    ".log",
];

/// A text file of the repository.
#[derive(Debug)]
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate stands in crates/")
        .to_owned()
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of the repository can be read")
        .map(|entry| entry.expect("entry").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if !FOLDERS_SKIPPED.contains(&name.as_ref()) {
                walk(&path, visit);
            }
        } else {
            visit(&path);
        }
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .expect("below the root")
        .to_string_lossy()
        .replace('\\', "/")
}

/// All text files of the repository, in order of path.
pub fn files() -> Vec<File> {
    let mut found = Vec::new();
    walk(&root(), &mut |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if (TEXT_EXTENSIONS.contains(&extension.as_ref()) || TEXT_NAMES.contains(&name.as_ref()))
            && let Ok(text) = fs::read_to_string(path)
        {
            found.push(File {
                path: relative(path),
                text,
            });
        }
    });
    found
}

fn rust_files() -> Vec<File> {
    let mut found = files();
    found.retain(|file| file.path.ends_with(".rs"));
    found
}

/// Whether `word` stands in `line` and not inside a longer word.
pub fn has_word(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[track_caller]
fn none(what: &str, complaints: Vec<String>) {
    assert!(
        complaints.is_empty(),
        "{what}:\n  {}",
        complaints.join("\n  ")
    );
}

#[test]
fn files_fit_in_the_head() {
    let mut wrong = Vec::new();
    let mut unused: Vec<&str> = LONG_FILES.iter().map(|(path, _)| *path).collect();
    for file in rust_files() {
        let lines = file.text.lines().count();
        if lines <= FILE_LINES_MAX {
            continue;
        }
        if LONG_FILES.iter().any(|(path, _)| *path == file.path) {
            unused.retain(|path| *path != file.path);
        } else {
            wrong.push(format!("{}: {lines} lines", file.path));
        }
    }
    wrong.extend(unused.iter().map(|p| format!("{p}: exception not needed")));
    none("files over 500 lines are one thought too many", wrong);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut wrong = Vec::new();
    let mut unused: Vec<(&str, &str)> = LONG_FUNCTIONS.iter().map(|(p, f, _)| (*p, *f)).collect();
    for file in rust_files() {
        for function in lexer::functions(&lexer::blank(&file.text)) {
            if function.lines <= FUNCTION_LINES_MAX {
                continue;
            }
            let is_exception =
                |(path, name): &(&str, &str)| *path == file.path && *name == function.name;
            if LONG_FUNCTIONS.iter().any(|(p, f, _)| is_exception(&(p, f))) {
                unused.retain(|exception| !is_exception(exception));
            } else {
                wrong.push(format!(
                    "{}:{}: fn {}: {} lines",
                    file.path, function.line, function.name, function.lines
                ));
            }
        }
    }
    wrong.extend(
        unused
            .iter()
            .map(|(p, f)| format!("{p}: fn {f}: exception not needed")),
    );
    none("functions over 100 lines do not fit on a screen", wrong);
}

#[test]
fn every_file_opens_with_its_purpose() {
    let wrong = rust_files()
        .iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.path.clone())
        .collect();
    none("these files do not open with a //! purpose", wrong);
}

#[test]
fn every_crate_states_boundary_and_invariants() {
    let mut wrong = Vec::new();
    for file in rust_files() {
        let is_root = file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs");
        if !is_root {
            continue;
        }
        let header: Vec<&str> = file
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        for part in ["Boundary", "Invariants"] {
            if !header.iter().any(|line| has_word(line, part)) {
                wrong.push(format!("{}: no **{part}.** in the header", file.path));
            }
        }
    }
    none("crates that do not say what they are for", wrong);
}

#[test]
fn inline_public_modules_are_documented() {
    let mut wrong = Vec::new();
    for file in rust_files() {
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let opens = line.trim_start().starts_with("pub mod ") && line.ends_with('{');
            let above = lines[..number]
                .iter()
                .rev()
                .map(|l| l.trim_start())
                .find(|l| !l.starts_with("#["));
            let documented = above.is_some_and(|l| l.starts_with("///"))
                || lines
                    .get(number + 1)
                    .is_some_and(|l| l.trim_start().starts_with("//!"));
            if opens && !documented {
                wrong.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    none("public modules without a word of documentation", wrong);
}

/// The files that may declare `path` as their module.
fn possible_parents(path: &str) -> Vec<String> {
    let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
    let mut parents = vec![
        format!("{folder}.rs"),
        format!("{folder}/mod.rs"),
        format!("{folder}/lib.rs"),
        format!("{folder}/main.rs"),
    ];
    if path.ends_with("/mod.rs") {
        let (above, _) = folder.rsplit_once('/').unwrap_or(("", folder));
        parents.extend(["lib.rs", "main.rs", "mod.rs"].map(|name| format!("{above}/{name}")));
        parents.push(format!("{above}.rs"));
    }
    parents
}

fn module_name(path: &str) -> &str {
    let path = path.strip_suffix("/mod.rs").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Cargo finds these without a `mod` line.
fn is_target(path: &str) -> bool {
    ["lib", "main", "build"].contains(&module_name(path))
        || path.contains("/src/bin/")
        || path.contains("/benches/")
        || path.starts_with("fuzz/targets/")
        || path.contains("/examples/")
}

/// A neighbour that says `#[path = "file.rs"]`.
fn names_by_path(neighbour: &File, path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    neighbour.path.starts_with(folder)
        && !neighbour.path[folder.len() + 1..].contains('/')
        && neighbour.text.contains(&format!("#[path = \"{name}\"]"))
}

#[test]
fn every_module_belongs_to_a_crate() {
    let files = rust_files();
    let mut wrong = Vec::new();
    for file in &files {
        if is_target(&file.path) {
            continue;
        }
        let declaration = format!("mod {};", module_name(&file.path));
        let parents = possible_parents(&file.path);
        let declared = files.iter().any(|parent| {
            parents.contains(&parent.path) && has_word(&parent.text, &declaration)
                || names_by_path(parent, &file.path)
        });
        if !declared {
            wrong.push(file.path.clone());
        }
    }
    none("files that no `mod` line brings in", wrong);
}

#[test]
fn no_module_is_empty() {
    let wrong = rust_files()
        .iter()
        .filter(|file| lexer::blank(&file.text).trim().is_empty())
        .map(|file| file.path.clone())
        .collect();
    none("files without code", wrong);
}

#[test]
fn nothing_is_left_over() {
    let mut wrong = Vec::new();
    walk(&root(), &mut |path| {
        let path_text = relative(path);
        let empty = fs::metadata(path).is_ok_and(|meta| meta.len() == 0);
        if empty || LEFTOVER_ENDINGS.iter().any(|end| path_text.ends_with(end)) {
            wrong.push(path_text);
        }
    });
    none("left-over or empty files", wrong);
}

#[test]
fn lines_end_cleanly() {
    let mut wrong = Vec::new();
    for file in files() {
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            wrong.push(format!("{}: no newline at the end", file.path));
        }
        if file.text.ends_with("\n\n") {
            wrong.push(format!("{}: blank line at the end", file.path));
        }
        for (number, line) in file.text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                wrong.push(format!("{}:{}: trailing space", file.path, number + 1));
            }
        }
    }
    none("white space", wrong);
}

#[test]
fn libraries_deny_what_could_lose_money() {
    let mut wrong = Vec::new();
    for file in rust_files() {
        // What only tests call may stop on a surprise.
        if !file.path.starts_with("crates/") || !file.path.ends_with("/src/lib.rs") {
            continue;
        }
        let needs_no_floats = ["base", "ledger", "wallets", "shadow", "ticketing"]
            .iter()
            .any(|room| file.path == format!("crates/{room}/src/lib.rs"));
        if needs_no_floats && !file.text.contains("deny(clippy::float_arithmetic)") {
            wrong.push(format!("{}: #![deny(clippy::float_arithmetic)]", file.path));
        }
        if !file.text.contains("clippy::unwrap_used") {
            wrong.push(format!("{}: #![warn(clippy::unwrap_used)]", file.path));
        }
    }
    none("missing lints at the head of a library", wrong);
}

#[test]
fn words_are_whole_words() {
    assert!(has_word("a tokio::spawn", "tokio"));
    assert!(!has_word("let instantly = Instants;", "Instant"));
    assert!(has_word("mod main;mod x;", "mod x;"));
}

#[test]
fn parents_of_modules() {
    assert_eq!(module_name("crates/a/src/b/mod.rs"), "b");
    assert_eq!(module_name("crates/a/src/b/c.rs"), "c");
    assert!(possible_parents("crates/a/src/b/c.rs").contains(&"crates/a/src/b.rs".to_owned()));
    assert!(possible_parents("crates/a/src/b/mod.rs").contains(&"crates/a/src/lib.rs".to_owned()));
}
