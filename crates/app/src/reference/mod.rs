//! The generated reference files: made from the code, committed, compared by the tests.

mod cli_page;
mod errors;
mod metrics;
mod roles_page;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use florin_platform::http::openapi::{self, ApiInfo};
use florin_platform::http::router::render_table;

use crate::{config, roles};

/// Head of the OpenAPI file.
pub fn api_info() -> ApiInfo {
    ApiInfo {
        title: "Florin".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "A durable double-entry ledger, and wallets on top of it. \
            Amounts of the ledger are whole minor units in strings; wallets speak decimals. \
            Send any call again with the same identity: it counts once."
            .to_owned(),
    }
}

/// The OpenAPI file of all roles.
pub fn openapi() -> String {
    openapi::pretty(&openapi::assemble(&api_info(), &roles::describe_all()))
}

/// All files: name and content.
fn files() -> Vec<(&'static str, String)> {
    vec![
        ("openapi.json", openapi()),
        ("florin.toml", config::default::render()),
        ("cli.md", cli_page::render()),
        ("permissions.txt", render_table(&roles::describe_all().rows)),
        ("metrics.md", metrics::render()),
        ("errors.md", errors::render()),
        ("roles.md", roles_page::render()),
    ]
}

/// Names of the files that differ from the code or are missing.
pub fn differing(dir: &Path) -> anyhow::Result<Vec<&'static str>> {
    let mut names = Vec::new();
    for (name, wanted) in files() {
        match fs::read_to_string(dir.join(name)) {
            Ok(text) if text == wanted => {}
            Ok(_) => names.push(name),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => names.push(name),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read {name} in {}", dir.display()));
            }
        }
    }
    Ok(names)
}

/// Writes the files that differ and answers their names.
pub fn write(dir: &Path) -> anyhow::Result<Vec<&'static str>> {
    let changed = differing(dir)?;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (name, text) in files() {
        if changed.contains(&name) {
            fs::write(dir.join(name), text)
                .with_context(|| format!("cannot write {name} in {}", dir.display()))?;
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_document_describes_exactly_what_is_served() {
        let document: Value = serde_json::from_str(&openapi()).expect("JSON");
        assert_eq!(
            openapi::gaps(&document, &roles::describe_all()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_file_ends_cleanly() {
        for (name, text) in files() {
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{name}");
            let spaced = text.lines().position(|line| line.ends_with(' '));
            assert_eq!(spaced.map(|at| at + 1), None, "{name}: trailing space");
        }
    }

    #[test]
    fn files_are_written_once_and_then_agree() {
        let dir = tempfile::tempdir().expect("folder");
        let all = files().len();
        assert_eq!(differing(dir.path()).expect("read").len(), all);
        assert_eq!(write(dir.path()).expect("written").len(), all);
        assert_eq!(differing(dir.path()).expect("read"), Vec::<&str>::new());
        fs::write(dir.path().join("roles.md"), "changed\n").expect("written");
        assert_eq!(differing(dir.path()).expect("read"), ["roles.md"]);
    }
}
