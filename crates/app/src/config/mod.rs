//! Configuration: one table of settings ([`keys`]), values laid over each other ([`layers`]),
//! secret references ([`secret`]), and what the rest of the binary works with ([`Config`]).
//!
//! Invariants: a setting that is not in the table is refused; a value never appears in a message
//! unless it was shown to be no secret; production's refusals ([`production`]) name the setting.

pub mod default;
pub mod keys;
pub mod layers;
mod policy;
pub mod production;
pub mod secret;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use florin_base::Secret;
use florin_platform::http::limit::{LimitConfig, Quota, RoleLimit};
use florin_platform::identity;
use serde::{Deserialize, Deserializer};

use crate::fail::failure;
use layers::{Layers, Origin};
pub use policy::{AssetSetting, assets, policy};

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

/// Which world this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// One person's machine.
    Development,
    /// As production, for trying.
    Staging,
    /// The public.
    Production,
}

impl Environment {
    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// All settings, secrets in the clear (their types do not print them).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which world this is.
    pub environment: Environment,
    /// Where everything lies.
    #[serde(default)]
    pub data_dir: Option<PathBuf>,
    /// Names of roles; empty: all.
    pub roles: Vec<String>,
    /// `server`.
    pub server: Server,
    /// `ledger`.
    pub ledger: Ledger,
    /// `wallets`.
    pub wallets: Wallets,
    /// `auth`.
    pub auth: identity::Settings,
    /// `limits`.
    pub limits: Limits,
    /// `log`.
    pub log: Log,
    /// `telemetry`.
    pub telemetry: Telemetry,
}

/// `server`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address to listen on.
    pub listen: IpAddr,
    /// Port; `None`: the role's own.
    #[serde(default)]
    pub port: Option<u16>,
    /// URL of callers.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Certificate chain.
    #[serde(default)]
    pub tls_certificate: Option<PathBuf>,
    /// Its key.
    #[serde(default)]
    pub tls_key: Option<PathBuf>,
    /// Makes a certificate on the spot.
    pub tls_self_signed: bool,
    /// Believed proxies.
    pub trusted_proxies: Vec<String>,
    /// Bound of connections.
    pub max_connections: usize,
    /// Bound of requests.
    pub max_in_progress: usize,
    /// Time for a handshake.
    #[serde(deserialize_with = "duration")]
    pub handshake_timeout: Duration,
    /// Time between two requests of a connection.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
    /// Time for a body.
    #[serde(deserialize_with = "duration")]
    pub body_timeout: Duration,
    /// Time to finish after the first signal.
    #[serde(deserialize_with = "duration")]
    pub drain_timeout: Duration,
    /// From here on a request is slow.
    #[serde(deserialize_with = "duration")]
    pub slow_request: Duration,
}

impl Server {
    /// TLS ends here.
    pub fn has_tls(&self) -> bool {
        self.tls_self_signed || self.tls_certificate.is_some()
    }
}

/// `ledger`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Assets beside the built-in ones.
    pub assets: Vec<AssetSetting>,
    /// Nothing may count before.
    #[serde(default)]
    pub closed_before: Option<String>,
    /// Largest jump of the wall clock.
    #[serde(deserialize_with = "duration")]
    pub clock_forward_max: Duration,
    /// Time between two checkpoints.
    #[serde(deserialize_with = "duration")]
    pub checkpoint_interval: Duration,
    /// Name of the signing key.
    #[serde(default)]
    pub checkpoint_key_name: Option<String>,
    /// Below this share of free space postings stop.
    pub disk_free_min_percent: u32,
    /// Journal between two snapshots.
    pub snapshot_mib: u32,
    /// Bound of waiting calls.
    pub queue_max: usize,
}

/// `wallets`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wallets {
    /// Currency of a wallet created without one.
    pub default_currency: String,
    /// How lenient amounts are.
    pub profile: Profile,
    /// Most wallets of a user in a currency.
    pub per_user_max: usize,
    /// Ranges by currency.
    pub amounts: BTreeMap<String, policy::RangeSetting>,
    /// Limits by tier and currency.
    pub tiers: BTreeMap<String, BTreeMap<String, policy::LimitsSetting>>,
}

/// `wallets.profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// As the contract says.
    Strict,
    /// For clients that send and expect JSON numbers.
    Compat,
}

impl Profile {
    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Compat => "compat",
        }
    }
}

/// `limits`; 0 means without limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    read_per_second: u32,
    write_per_second: u32,
    token_per_user_minute: u32,
    token_per_address_minute: u32,
    address_per_second: u32,
    roles: BTreeMap<String, RoleAllowance>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleAllowance {
    read_per_second: u32,
    write_per_second: u32,
}

impl Limits {
    /// For the HTTP kit.
    pub fn kit(&self) -> LimitConfig {
        let second = |limit: u32| (limit > 0).then(|| Quota::per_second(limit));
        let minute = |limit: u32| (limit > 0).then(|| Quota::per_minute(limit));
        let role = |(name, role): (&String, &RoleAllowance)| RoleLimit {
            role: name.clone(),
            read: second(role.read_per_second),
            write: second(role.write_per_second),
        };
        LimitConfig {
            read: second(self.read_per_second),
            write: second(self.write_per_second),
            token_user: minute(self.token_per_user_minute),
            token_address: minute(self.token_per_address_minute),
            address: second(self.address_per_second),
            roles: self.roles.iter().map(role).collect(),
            ..LimitConfig::default()
        }
    }
}

/// `log`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Directives.
    pub filter: String,
    /// Form of the lines.
    pub format: LogForm,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogForm {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One object a line.
    Json,
    /// For people.
    Text,
}

/// `telemetry`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Collector; none: no traces.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// `service.name`.
    pub service_name: String,
    /// Share of requests.
    pub sample_ratio: f64,
    /// Headers for the collector.
    pub headers: BTreeMap<String, Secret<String>>,
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
    let lookup = secret::Lookup {
        env: &|name| std::env::var(name).ok(),
        file: &|path| std::fs::read_to_string(path),
    };
    secret::resolve(&mut table, &lookup)?;
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

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| serde::de::Error::custom("not a duration such as 60s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_complete_and_agree_with_the_libraries() {
        let config = resolve(Layers::defaults()).expect("usable").config;
        assert_eq!(
            format!("{:?}", config.limits.kit()),
            format!("{:?}", LimitConfig::default())
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
