//! Secret references and redaction. A value may name where the real one is: `env:NAME` or
//! `file:/path`; what is shown to people is the reference, never what it leads to.

use toml::{Table, Value};

use super::keys;
use super::layers::Layers;
use crate::fail::failure;

/// What is shown instead of a secret.
pub const REDACTED: &str = "[redacted]";

/// Last words of member names that are secret inside tables.
const SECRET_ENDINGS: &[&str] = &["secret", "password", "token", "key", "authorization"];

/// Looks secrets up; passed in, so that tests need no environment.
pub struct Lookup<'a> {
    /// Reads a variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a file.
    pub file: &'a dyn Fn(&str) -> std::io::Result<String>,
}

fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:/")
}

/// Replaces all references below `table` by what they lead to.
pub fn resolve(table: &mut Table, lookup: &Lookup<'_>) -> anyhow::Result<()> {
    for (name, value) in table.iter_mut() {
        resolve_value(name, value, lookup)?;
    }
    Ok(())
}

fn resolve_value(path: &str, value: &mut Value, lookup: &Lookup<'_>) -> anyhow::Result<()> {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("env:") {
                let found = (lookup.env)(name).ok_or_else(|| {
                    failure(
                        format!("`{path}` refers to the variable {name}, which is not set"),
                        format!("set {name} in the environment of the server"),
                    )
                })?;
                *text = found;
            } else if let Some(file) = text.strip_prefix("file:").filter(|f| f.starts_with('/')) {
                let found = (lookup.file)(file).map_err(|error| {
                    failure(
                        format!("`{path}` refers to the file {file}: {error}"),
                        "the file must exist and be readable by the server",
                    )
                })?;
                *text = found.trim_end_matches(['\r', '\n']).to_owned();
            }
            Ok(())
        }
        Value::Table(inner) => inner
            .iter_mut()
            .try_for_each(|(name, value)| resolve_value(&format!("{path}.{name}"), value, lookup)),
        Value::Array(list) => list
            .iter_mut()
            .enumerate()
            .try_for_each(|(at, value)| resolve_value(&format!("{path}[{at}]"), value, lookup)),
        _ => Ok(()),
    }
}

/// The value as it may be shown.
pub fn redacted(key: &keys::Key, value: &Value) -> Value {
    redact(key.secret, value)
}

fn redact(secret: bool, value: &Value) -> Value {
    match value {
        Value::String(text) if secret && !is_reference(text) => Value::String(REDACTED.to_owned()),
        Value::Table(inner) => Value::Table(
            inner
                .iter()
                .map(|(name, value)| (name.clone(), redact(secret || is_secret_name(name), value)))
                .collect(),
        ),
        Value::Array(list) => {
            Value::Array(list.iter().map(|value| redact(secret, value)).collect())
        }
        other => other.clone(),
    }
}

fn is_secret_name(name: &str) -> bool {
    SECRET_ENDINGS
        .iter()
        .any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

/// All values with their origin, as TOML that could be read again, secrets redacted.
pub fn show(layers: &Layers) -> String {
    let mut text = String::new();
    let mut section = "";
    for (key, value, origin) in layers.iter() {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            text.push_str(&format!("\n[{of}]\n"));
            section = of;
        }
        text.push_str(&format!("{name} = {}  # {origin}\n", redacted(key, value)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::Origin;

    #[test]
    fn references_are_followed_and_named_when_broken() {
        let env = |name: &str| (name == "A").then(|| "one".to_owned());
        let file = |path: &str| match path {
            "/b" => Ok("two\n".to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let lookup = Lookup {
            env: &env,
            file: &file,
        };
        let mut table: Table =
            toml::from_str("a = \"env:A\"\nb = [{ c = \"file:/b\" }]\nd = \"file:relative\"\n")
                .expect("TOML");
        resolve(&mut table, &lookup).expect("all there");
        assert_eq!(table["a"].as_str(), Some("one"));
        assert_eq!(table["b"][0]["c"].as_str(), Some("two"));
        assert_eq!(table["d"].as_str(), Some("file:relative"));
        let mut broken: Table = toml::from_str("x = [\"env:MISSING\"]\n").expect("TOML");
        let error = resolve(&mut broken, &lookup)
            .expect_err("not set")
            .to_string();
        assert_eq!(
            error,
            "`x[0]` refers to the variable MISSING, which is not set"
        );
    }

    #[test]
    fn secrets_are_not_shown_but_references_are() {
        let mut layers = Layers::defaults();
        let mut set = |name: &str, text: &str| {
            let value = crate::config::layers::toml_value(text).expect("TOML");
            layers.set(name, value, Origin::Flag("--x")).expect("known");
        };
        set("auth.signing_key", "\"hunter2-hunter2\"");
        set(
            "telemetry.headers",
            "{ authorization = \"Bearer hunter2\", x = \"env:X\" }",
        );
        set(
            "auth.issuers",
            "[{ issuer = \"https://a\", hs256_secret = \"hunter2\" }]",
        );
        let shown = show(&layers);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            shown.contains("env:X") && shown.contains("https://a"),
            "{shown}"
        );
        assert!(
            shown.contains("signing_key = \"[redacted]\"  # --x"),
            "{shown}"
        );
    }
}
