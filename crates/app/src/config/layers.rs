//! Where values come from: defaults, the file, the environment, flags; the later wins. Also
//! the checks that need only names and kinds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toml::{Table, Value};

use super::keys::{self, Kind};
use crate::fail::failure;

/// Prefix of variables that are settings.
pub const ENV_PREFIX: &str = "FLORIN__";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table of settings.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// An option of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Values by full name, each with its origin. Secret references are not resolved yet.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

impl Layers {
    /// The defaults.
    pub fn defaults() -> Self {
        let mut layers = Self::default();
        for key in keys::KEYS {
            if let Some(default) = key.default {
                let value = toml_value(default).expect("defaults are TOML, a test reads them all");
                layers.values.insert(key.name, (value, Origin::Default));
            }
        }
        layers
    }

    /// Lays the file over what is there.
    pub fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            failure(
                format!("cannot read the configuration {}: {error}", path.display()),
                "give another file with --config, or make one: florin config default > florin.toml",
            )
        })?;
        self.add_text(&text, path)
    }

    fn add_text(&mut self, text: &str, path: &Path) -> anyhow::Result<()> {
        let table: Table = toml::from_str(text)
            .with_context(|| format!("{} is not valid TOML", path.display()))?;
        let mut found = Vec::new();
        flatten("", table, &mut found);
        for (name, value) in found {
            self.set(&name, value, Origin::File(path.to_owned()))?;
        }
        Ok(())
    }

    /// Lays variables over what is there: `FLORIN__SERVER__PORT` is `server.port`.
    pub fn add_env(&mut self, vars: impl Iterator<Item = (String, String)>) -> anyhow::Result<()> {
        for (variable, text) in vars {
            let Some(rest) = variable.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            let name = rest.to_ascii_lowercase().replace("__", ".");
            let origin = Origin::Env(variable.clone());
            let Some(key) = keys::find(&name) else {
                return Err(unknown(&name, &origin));
            };
            let value = from_text(key.kind, &text)
                .ok_or_else(|| wrong_kind(key.name, key.kind, &origin))?;
            self.set(&name, value, origin)?;
        }
        Ok(())
    }

    /// Sets one value, after checking its name and kind.
    pub fn set(&mut self, name: &str, value: Value, origin: Origin) -> anyhow::Result<()> {
        let key = keys::find(name).ok_or_else(|| unknown(name, &origin))?;
        if !fits(key.kind, &value) {
            return Err(wrong_kind(key.name, key.kind, &origin));
        }
        self.values.insert(key.name, (value, origin));
        Ok(())
    }

    /// All values by name, in order of the table of settings.
    pub fn iter(&self) -> impl Iterator<Item = (&'static keys::Key, &Value, &Origin)> {
        keys::KEYS.iter().filter_map(|key| {
            let (value, origin) = self.values.get(key.name)?;
            Some((key, value, origin))
        })
    }

    /// Where a value came from; `None`: it has none.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.values.get(name).map(|(_, origin)| origin)
    }

    /// The values as one nested table.
    pub fn nested(&self) -> Table {
        let mut root = Table::new();
        for (name, (value, _)) in &self.values {
            let mut parts: Vec<&str> = name.split('.').collect();
            let last = parts.pop().unwrap_or_default();
            let mut table = &mut root;
            for part in parts {
                let inner = table
                    .entry(part)
                    .or_insert_with(|| Value::Table(Table::new()));
                table = inner
                    .as_table_mut()
                    .expect("sections hold no values of their own");
            }
            table.insert(last.to_owned(), value.clone());
        }
        root
    }
}

/// Parses one TOML value.
pub fn toml_value(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    table.remove("value")
}

fn flatten(prefix: &str, table: Table, found: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let full = match prefix {
            "" => name,
            _ => format!("{prefix}.{name}"),
        };
        match value {
            Value::Table(inner) if keys::is_section(&full) => flatten(&full, inner, found),
            value => found.push((full, value)),
        }
    }
}

fn from_text(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Text | Kind::Duration => Some(Value::String(text.to_owned())),
        Kind::List if !text.trim_start().starts_with('[') => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Some(Value::Array(
                parts.map(|part| Value::String(part.to_owned())).collect(),
            ))
        }
        Kind::Number | Kind::Fraction | Kind::Flag | Kind::List | Kind::Table => toml_value(text),
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Text => value.is_str(),
        Kind::Number => value.as_integer().is_some_and(|number| number >= 0),
        Kind::Fraction => value.is_float() || value.is_integer(),
        Kind::Flag => value.is_bool(),
        Kind::Duration => value
            .as_str()
            .is_some_and(|text| super::parse_duration(text).is_some()),
        Kind::List => value
            .as_array()
            .is_some_and(|list| list.iter().all(Value::is_str)),
        Kind::Table => value.is_table() || value.is_array(),
    }
}

fn unknown(name: &str, origin: &Origin) -> anyhow::Error {
    let hint = match super::closest::closest(name) {
        Some(known) => format!("did you mean `{known}`? all settings: florin config default"),
        None => "all settings: florin config default".to_owned(),
    };
    failure(format!("unknown setting `{name}` ({origin})"), hint)
}

fn wrong_kind(name: &str, kind: Kind, origin: &Origin) -> anyhow::Error {
    let (wanted, example) = match kind {
        Kind::Text => ("a text", "\"text\""),
        Kind::Number => ("a whole number, not negative", "100"),
        Kind::Fraction => ("a number", "0.5"),
        Kind::Flag => ("true or false", "true"),
        Kind::Duration => (
            "a duration with its unit",
            "\"500ms\", \"60s\", \"15m\", \"24h\", \"90d\"",
        ),
        Kind::List => ("a list of texts", "[\"a\", \"b\"]"),
        Kind::Table => ("a table or a list of tables", "see florin config default"),
    };
    failure(
        format!("`{name}` must be {wanted} ({origin})"),
        format!("such as {example}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(text: &str, env: &[(&str, &str)]) -> anyhow::Result<Layers> {
        let mut layers = Layers::defaults();
        layers.add_text(text, Path::new("florin.toml"))?;
        let vars = env
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        layers.add_env(vars)?;
        Ok(layers)
    }

    #[test]
    fn the_later_layer_wins_and_says_so() {
        let text = "environment = \"staging\"\n[server]\nport = 1\nlisten = \"0.0.0.0\"\n";
        let env = [
            ("FLORIN__SERVER__PORT", "2"),
            ("FLORIN__ROLES", "wallets, workers"),
            ("HOME", "x"),
        ];
        let layers = layers(text, &env).expect("valid");
        let nested = layers.nested();
        assert_eq!(nested["server"]["port"].as_integer(), Some(2));
        assert_eq!(nested["server"]["listen"].as_str(), Some("0.0.0.0"));
        assert_eq!(nested["roles"].as_array().map(Vec::len), Some(2));
        let origin = |name| layers.origin(name).expect("set").to_string();
        assert_eq!(origin("server.port"), "FLORIN__SERVER__PORT");
        assert_eq!(origin("environment"), "florin.toml");
        assert_eq!(origin("log.filter"), "default");
    }

    #[test]
    fn unknown_names_and_wrong_kinds_are_refused_with_a_hint() {
        let message =
            |text: &str, env: &[(&str, &str)]| layers(text, env).expect_err("refused").to_string();
        assert_eq!(
            message("[server]\nprot = 1\n", &[]),
            "unknown setting `server.prot` (florin.toml)"
        );
        assert_eq!(
            message("[nothing]\nx = 1\n", &[]),
            "unknown setting `nothing` (florin.toml)"
        );
        assert_eq!(
            message("", &[("FLORIN__SERVER__PROT", "1")]),
            "unknown setting `server.prot` (FLORIN__SERVER__PROT)"
        );
        assert_eq!(
            message("[server]\nport = \"x\"\n", &[]),
            "`server.port` must be a whole number, not negative (florin.toml)"
        );
        assert_eq!(
            message("[server]\nidle_timeout = \"30\"\n", &[]),
            "`server.idle_timeout` must be a duration with its unit (florin.toml)"
        );
    }

    #[test]
    fn tables_keep_their_inside() {
        let text = "[auth.roles]\nteller = [\"wallets:read\"]\n[auth.password]\niterations = 3\n";
        let nested = layers(text, &[]).expect("valid").nested();
        assert_eq!(
            nested["auth"]["roles"]["teller"][0].as_str(),
            Some("wallets:read")
        );
        assert_eq!(
            nested["auth"]["password"]["iterations"].as_integer(),
            Some(3)
        );
    }
}
