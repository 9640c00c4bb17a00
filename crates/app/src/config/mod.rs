//! Configuration: one table of settings ([`keys`]), values laid over each other ([`layers`]),
//! secret references ([`secret`]), and what the rest of the binary works with ([`Config`]).
//!
//! Invariants: a setting that is not in the table is refused; a value never appears in a message
//! unless it was shown to be no secret; production's refusals ([`production`]) name the setting.

mod archive;
mod closest;
mod console;
pub mod default;
pub mod keys;
pub mod layers;
mod policy;
pub mod production;
pub mod secret;
mod settings;
mod shadow;
mod ticketing;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::fail::{OrHint as _, failure};
pub use console::oidc;
use layers::{Layers, Origin};
pub use policy::{assets, policy};
pub use settings::{Cache as CacheSetting, Config, Environment, LogForm, Profile};
pub use shadow::{ShadowPolicy, control};
pub use ticketing::{settings as ticketing, stripe};

/// Options of every command that reads the configuration.
#[derive(Debug, Clone, Args, Default)]
pub struct ConfigArgs {
    /// Configuration file (TOML); settings left out have their defaults
    #[arg(
        long,
        value_name = "FILE",
        env = "FLORIN_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// Where ledger and service tables lie
    #[arg(
        long,
        value_name = "DIR",
        env = "FLORIN_DATA_DIR",
        hide_env_values = true
    )]
    pub data_dir: Option<PathBuf>,
}

/// A configuration with where its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What counts.
    pub config: Config,
    /// Values and origins, references unresolved.
    pub layers: Layers,
}

impl Loaded {
    /// The directory in force: the setting, else the user's own.
    pub fn data_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.config.data_dir {
            return Ok(std::path::absolute(dir)?);
        }
        let base =
            match std::env::var_os("XDG_DATA_HOME").filter(|dir| Path::new(dir).is_absolute()) {
                Some(dir) => PathBuf::from(dir),
                None => match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
                    Some(home) => Path::new(&home).join(".local/share"),
                    None => {
                        return Err(failure(
                            "no data directory is known",
                            "give one: --data-dir DIR",
                        ));
                    }
                },
            };
        Ok(base.join("florin"))
    }
}

/// Reads the configuration of this process: file, environment, then `flags`.
pub fn load(
    args: &ConfigArgs,
    flags: Vec<(&'static str, &'static str, toml::Value)>,
) -> anyhow::Result<Loaded> {
    let mut layers = Layers::defaults();
    if let Some(path) = &args.config {
        layers.add_file(path)?;
    }
    layers.add_env(
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    )?;
    if let Some(dir) = &args.data_dir {
        let text = dir.to_str().context("--data-dir must be UTF-8")?;
        layers.set("data_dir", text.into(), Origin::Flag("--data-dir"))?;
    }
    for (name, flag, value) in flags {
        layers.set(name, value, Origin::Flag(flag))?;
    }
    resolve(layers)
}

/// Follows references and gives the values their types.
pub fn resolve(layers: Layers) -> anyhow::Result<Loaded> {
    let mut table = layers.nested();
    secret::resolve(&mut table, &secret::Lookup::process())?;
    let config: Config =
        toml::Value::Table(table)
            .try_into()
            .map_err(|error: toml::de::Error| {
                // The message of the parser may quote a value; only its first line names the fault.
                let text = error
                    .message()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                failure(
                    format!("the configuration cannot be used: {text}"),
                    "florin config show says where each value comes from",
                )
            })?;
    let loaded = Loaded { config, layers };
    check(&loaded.config)?;
    Ok(loaded)
}

/// What types alone do not say.
fn check(config: &Config) -> anyhow::Result<()> {
    if config.server.tls_certificate.is_some() != config.server.tls_key.is_some() {
        return Err(failure(
            "`server.tls_certificate` and `server.tls_key` belong together",
            "give both, or neither",
        ));
    }
    if config.server.has_tls()
        && config.server.tls_self_signed
        && config.server.tls_certificate.is_some()
    {
        return Err(failure(
            "`server.tls_self_signed` and `server.tls_certificate` exclude each other",
            "leave one of them out",
        ));
    }
    for range in &config.server.trusted_proxies {
        range
            .parse::<florin_platform::http::proxy::Cidr>()
            .map_err(|error| {
                failure(
                    format!("`server.trusted_proxies`: {error}"),
                    "such as \"10.0.0.0/8\"",
                )
            })?;
    }
    check_stores(config)?;
    crate::roles::select(&config.roles)?;
    let policy = policy(config)?;
    let known = assets(config)?;
    if !known
        .iter()
        .any(|asset| *asset.code == *config.wallets.default_currency)
    {
        return Err(failure(
            format!(
                "`wallets.default_currency`: there is no asset {}",
                config.wallets.default_currency
            ),
            "use a built-in one, or add it to `ledger.assets`",
        ));
    }
    drop(policy);
    control(config).map(drop)
}

/// URLs that cannot be used are found before anything is opened; they are never quoted.
fn check_stores(config: &Config) -> anyhow::Result<()> {
    if let Some(settings) = config.database.postgres() {
        settings
            .check()
            .context("`database`")
            .or_hint("such as postgres://user:password@host:5432/name")?;
    }
    let brokers = config.bus.brokers();
    brokers.map_err(|error| failure(error.to_string(), error.remedy))?;
    let bucket = config.blobs.bucket();
    bucket.map_err(|error| failure(error.to_string(), error.remedy))?;
    if let Some(settings) = config.cache.redis() {
        settings
            .is_exposed()
            .context("`cache`")
            .or_hint("such as rediss://user:password@host:6379/0")?;
    }
    Ok(())
}

/// `500ms`, `60s`, `15m`, `24h`, `90d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use florin_platform::http::limit::LimitConfig;
    use florin_platform::identity;

    use super::*;

    #[test]
    fn the_defaults_are_complete_and_agree_with_the_libraries() {
        let config = resolve(Layers::defaults()).expect("usable").config;
        assert_eq!(
            LimitConfig {
                named: Vec::new(),
                ..config.limits.kit()
            },
            LimitConfig::default()
        );
        // The issuer is filled in when the address is known.
        assert_eq!(
            format!("{:?}", config.auth),
            format!("{:?}", identity::Settings::default())
        );
        assert_eq!(config.server.max_in_progress, 8192);
        assert_eq!(
            policy(&config).expect("usable"),
            florin_ledger::Policy::default()
        );
        assert_eq!(assets(&config).expect("usable").len(), 7);
    }

    #[test]
    fn the_default_file_says_what_holds_without_it() {
        let text = default::render();
        let parsed: toml::Table = toml::from_str(&text).expect("TOML");
        assert_eq!(parsed, Layers::defaults().nested());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(
            parse_duration("90d"),
            Some(Duration::from_secs(90 * 86_400))
        );
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        for wrong in ["", "5", "s", "1w", "-1s", "1.5s", "99999999999999999999s"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    fn with(settings: &[(&str, &str)]) -> anyhow::Result<Config> {
        let mut layers = Layers::defaults();
        for (name, text) in settings {
            let value = layers::toml_value(text).expect("TOML");
            layers.set(name, value, Origin::Flag("--x"))?;
        }
        Ok(resolve(layers)?.config)
    }

    #[test]
    fn urls_of_stores_are_checked_and_never_quoted() {
        for (name, good, wrong) in [
            (
                "database.url",
                "\"postgres://a:hunter2@db/money\"",
                "\"mysql://a:hunter2@db/money\"",
            ),
            ("cache.url", "\"redis://:hunter2@h\"", "\"h:hunter2\""),
        ] {
            with(&[(name, good)]).expect("usable");
            assert!(with(&[(name, "\"\"")]).is_ok(), "empty: none");
            let refused = with(&[(name, wrong)]).expect_err("refused");
            assert!(!format!("{refused:#}").contains("hunter2"), "{refused:#}");
        }
        let schema = [
            ("database.url", "\"postgres://a@db/money\""),
            ("database.schema", "\"Mine; DROP\""),
        ];
        assert!(with(&schema).is_err());
    }

    #[test]
    fn contradictions_are_refused() {
        let message = |settings: &[(&str, &str)]| with(settings).expect_err("refused").to_string();
        assert!(message(&[("server.tls_key", "\"k\"")]).contains("belong together"));
        assert!(message(&[("wallets.default_currency", "\"GBP\"")]).contains("no asset GBP"));
        assert!(message(&[("roles", "[\"gatewy\"]")]).contains("gatewy"));
        assert!(
            message(&[("server.trusted_proxies", "[\"10.0.0.0/99\"]")]).contains("10.0.0.0/99")
        );
        let pound = "[{ code = \"GBP\", scale = 2, kind = \"fiat\" }]";
        let both = [
            ("ledger.assets", pound),
            ("wallets.default_currency", "\"GBP\""),
        ];
        assert_eq!(with(&both).expect("usable").wallets.default_currency, "GBP");
    }
}
