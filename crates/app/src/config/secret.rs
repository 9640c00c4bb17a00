//! Secret references and redaction. A value may name where the real one is: `env:NAME`,
//! `file:/path`, `aws-secretsmanager://…` or `vault://…`; what is shown to people is the
//! reference, never what it leads to. References are followed once, at start.

use std::collections::BTreeMap;
use std::sync::Arc;

use florin_base::{Secret, SystemClock};
use florin_platform::identity::admin::Setting;
use florin_platform::secrets::{self, Reference, SecretError};
use toml::{Table, Value};

use super::keys;
use super::layers::{Layers, Origin};
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
    /// Asks the stores of secrets, once for all references.
    pub stores: &'a dyn Fn(&[Reference]) -> FromStores,
}

impl Lookup<'static> {
    /// In the surroundings of this process.
    pub fn process() -> Self {
        Self {
            env: &|name| std::env::var(name).ok(),
            file: &|path| std::fs::read_to_string(path),
            stores: &|references| {
                let env = Arc::new(|name: &str| std::env::var(name).ok());
                secrets::read_all(references, env, Arc::new(SystemClock))
            },
        }
    }
}

/// The secrets in the order of their references, or which one cannot be had.
pub type FromStores = Result<Vec<Secret<String>>, (usize, SecretError)>;

/// Secrets of stores by the reference that leads to them.
type Found = BTreeMap<String, Secret<String>>;

fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:/") || is_of_store(text)
}

fn is_of_store(text: &str) -> bool {
    matches!(Reference::parse(text), Ok(Some(_)) | Err(_))
}

/// Replaces all references below `table` by what they lead to.
pub fn resolve(table: &mut Table, lookup: &Lookup<'_>) -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    for (name, value) in table.iter() {
        collect(name, value, &mut wanted)?;
    }
    let (paths, references): (Vec<String>, Vec<Reference>) = wanted.into_iter().unzip();
    let secrets = (lookup.stores)(&references).map_err(|(at, error)| {
        let setting = paths.get(at).map_or("a secret", String::as_str);
        failure(format!("`{setting}`: {error}"), error.remedy)
    })?;
    let texts = references
        .iter()
        .map(|reference| reference.text().to_owned());
    let found: Found = texts.zip(secrets).collect();
    for (name, value) in table.iter_mut() {
        resolve_value(name, value, lookup, &found)?;
    }
    Ok(())
}

/// How many references to stores a configuration holds.
pub fn count_of_stores(table: &Table) -> usize {
    let mut wanted = Vec::new();
    let read = table
        .iter()
        .try_for_each(|(name, value)| collect(name, value, &mut wanted));
    read.map_or(0, |()| wanted.len())
}

/// The references to stores below a value, with the names of their settings.
fn collect(path: &str, value: &Value, wanted: &mut Vec<(String, Reference)>) -> anyhow::Result<()> {
    match value {
        Value::String(text) => {
            let read = Reference::parse(text)
                .map_err(|error| failure(format!("`{path}`: {error}"), error.remedy))?;
            wanted.extend(read.map(|reference| (path.to_owned(), reference)));
            Ok(())
        }
        Value::Table(inner) => inner
            .iter()
            .try_for_each(|(name, value)| collect(&format!("{path}.{name}"), value, wanted)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .try_for_each(|(at, value)| collect(&format!("{path}[{at}]"), value, wanted)),
        _ => Ok(()),
    }
}

fn resolve_value(
    path: &str,
    value: &mut Value,
    lookup: &Lookup<'_>,
    found: &Found,
) -> anyhow::Result<()> {
    match value {
        Value::String(text) => {
            if let Some(secret) = found.get(text) {
                *text = secret.expose().clone();
            } else if let Some(name) = text.strip_prefix("env:") {
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
        Value::Table(inner) => inner.iter_mut().try_for_each(|(name, value)| {
            resolve_value(&format!("{path}.{name}"), value, lookup, found)
        }),
        Value::Array(list) => list.iter_mut().enumerate().try_for_each(|(at, value)| {
            resolve_value(&format!("{path}[{at}]"), value, lookup, found)
        }),
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

/// All values with their origin for a list, secrets redacted.
pub fn listed(layers: &Layers) -> Vec<Setting> {
    let shown = |(key, value, origin): (&'static keys::Key, &Value, &Origin)| Setting {
        name: key.name.to_owned(),
        value: redacted(key, value).to_string(),
        origin: origin.to_string(),
        about: key.about.to_owned(),
    };
    layers.iter().map(shown).collect()
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
            stores: &|_| Ok(Vec::new()),
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
    fn stores_are_asked_once_and_their_refusals_name_the_setting() {
        let text = "a = \"vault://secret/x#k\"\nb = [\"aws-secretsmanager://n\", \"plain\"]\n";
        let stores = |references: &[Reference]| -> FromStores {
            let texts: Vec<&str> = references.iter().map(Reference::text).collect();
            assert_eq!(texts, ["vault://secret/x#k", "aws-secretsmanager://n"]);
            Ok(vec!["one".to_owned().into(), "two".to_owned().into()])
        };
        let mut lookup = Lookup {
            env: &|_| None,
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
            stores: &stores,
        };
        let mut table: Table = toml::from_str(text).expect("TOML");
        assert_eq!(count_of_stores(&table), 2);
        resolve(&mut table, &lookup).expect("all there");
        assert_eq!(table["a"].as_str(), Some("one"));
        assert_eq!(table["b"][0].as_str(), Some("two"));
        assert_eq!(table["b"][1].as_str(), Some("plain"));
        let refusing = |_: &[Reference]| -> FromStores {
            let error = SecretError {
                what: "`aws-secretsmanager://n`: gone".to_owned(),
                remedy: "make it".to_owned(),
            };
            Err((1, error))
        };
        lookup.stores = &refusing;
        let mut table: Table = toml::from_str(text).expect("TOML");
        let error = resolve(&mut table, &lookup).expect_err("refused");
        assert_eq!(error.to_string(), "`b[0]`: `aws-secretsmanager://n`: gone");
        let mut broken: Table = toml::from_str("x = \"vault://nowhere\"\n").expect("TOML");
        let error = resolve(&mut broken, &lookup).expect_err("no reference");
        assert!(
            error.to_string().starts_with("`x`: `vault://nowhere`"),
            "{error}"
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
        set("bus.sasl_password", "\"vault://secret/bus#password\"");
        let shown = show(&layers);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            shown.contains("env:X")
                && shown.contains("https://a")
                && shown.contains("vault://secret/bus#password"),
            "{shown}"
        );
        assert!(
            shown.contains("signing_key = \"[redacted]\"  # --x"),
            "{shown}"
        );
        let rows = listed(&layers);
        let secret = rows.iter().find(|row| row.name.ends_with(".signing_key"));
        let secret = secret.expect("it was set");
        assert_eq!((&*secret.value, &*secret.origin), ("\"[redacted]\"", "--x"));
        assert!(rows.iter().all(|row| !row.value.contains("hunter2")));
    }
}
