//! What the rest of the binary works with: the settings with their types.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use florin_base::Secret;
use florin_ledger::Sequencing;
use florin_platform::blobs::BlobSettings;
use florin_platform::bus::BusSettings;
use florin_platform::cache::CacheSettings;
use florin_platform::http::limit::{LimitConfig, Quota, RoleLimit};
use florin_platform::identity;
use florin_platform::sql::PostgresSettings;
use florin_shadow::api::class;
use serde::{Deserialize, Deserializer};

use super::archive::ArchiveSection;
use super::console::ConsoleSection;
use super::parse_duration;
use super::policy::{AssetSetting, LimitsSetting, RangeSetting};
use super::shadow::Shadow;
use super::ticketing::Ticketing;

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
    /// `gateway`.
    pub gateway: Gateway,
    /// `database`.
    pub database: Database,
    /// `cache`.
    pub cache: Cache,
    /// `bus`.
    pub bus: BusSettings,
    /// `blobs`.
    pub blobs: BlobSettings,
    /// `archive`.
    pub archive: ArchiveSection,
    /// `ledger`.
    pub ledger: Ledger,
    /// `wallets`.
    pub wallets: Wallets,
    /// `shadow`.
    pub shadow: Shadow,
    /// `ticketing`.
    pub ticketing: Ticketing,
    /// `console`.
    pub console: ConsoleSection,
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
    /// Time in which new connections are taken after the first signal.
    #[serde(deserialize_with = "duration")]
    pub drain_delay: Duration,
    /// Time to finish after that.
    #[serde(deserialize_with = "duration")]
    pub drain_timeout: Duration,
    /// Age at which the process ends in order; zero: never.
    #[serde(deserialize_with = "duration")]
    pub max_lifetime: Duration,
    /// From here on a request is slow.
    #[serde(deserialize_with = "duration")]
    pub slow_request: Duration,
    /// Secret of the cursors.
    #[serde(default)]
    pub cursor_key: Option<Secret<String>>,
}

impl Server {
    /// TLS ends here.
    pub fn has_tls(&self) -> bool {
        self.tls_self_signed || self.tls_certificate.is_some()
    }
}

/// `gateway`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// `role=url`.
    pub upstreams: Vec<String>,
    /// Time for the head of an answer.
    #[serde(deserialize_with = "duration")]
    pub answer_timeout: Duration,
    /// Time between looks.
    #[serde(deserialize_with = "duration")]
    pub probe_interval: Duration,
}

/// `database`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    #[serde(default)]
    url: Option<Secret<String>>,
    schema: String,
    pool_max: u32,
}

impl Database {
    /// The server of the service tables; `None`: SQLite in the data directory.
    pub fn postgres(&self) -> Option<PostgresSettings> {
        let url = self.url.clone().filter(|url| !url.expose().is_empty())?;
        Some(PostgresSettings {
            schema: self.schema.clone(),
            pool_max: self.pool_max,
            ..PostgresSettings::new(url)
        })
    }
}

/// `cache`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    #[serde(default)]
    url: Option<Secret<String>>,
    prefix: String,
}

impl Cache {
    /// The shared server; `None`: inside the process.
    pub fn redis(&self) -> Option<CacheSettings> {
        let url = self.url.clone().filter(|url| !url.expose().is_empty())?;
        Some(CacheSettings {
            url,
            prefix: self.prefix.clone(),
        })
    }
}

/// `ledger`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// PostgreSQL server.
    #[serde(default)]
    url: Option<Secret<String>>,
    /// Its schema.
    pub schema: String,
    /// A replica of it for reads.
    #[serde(default)]
    replica_url: Option<Secret<String>>,
    /// Who commits for several processes.
    pub sequencer: Sequencer,
    /// Where an elected process takes calls.
    pub sequencer_listen: SocketAddr,
    /// How others reach it.
    #[serde(default)]
    sequencer_address: Option<String>,
    /// Connections for reads.
    pub pool_max: u32,
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
    /// Secret of the signing key.
    #[serde(default)]
    checkpoint_key: Option<Secret<String>>,
    /// Below this share of free space postings stop.
    pub disk_free_min_percent: u32,
    /// Journal between two snapshots.
    pub snapshot_mib: u32,
    /// Bound of waiting calls.
    pub queue_max: usize,
    /// Accounts remembered between batches (PostgreSQL).
    pub accounts_cached: usize,
}

/// `ledger.sequencer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sequencer {
    /// Hands calls over to an elected process, which this one may be.
    Elect,
    /// Hands calls over and is never elected.
    Follow,
    /// Commits by itself.
    Off,
}

impl Ledger {
    /// Whether and how a process takes part in the election of a sequencer; only one that serves
    /// wallets is elected.
    pub fn sequencing(&self, serves_wallets: bool) -> Option<Sequencing> {
        let candidate = match self.sequencer {
            Sequencer::Elect => serves_wallets,
            Sequencer::Follow => false,
            Sequencer::Off => return None,
        };
        Some(Sequencing {
            candidate,
            listen: self.sequencer_listen,
            advertise: self
                .sequencer_address
                .clone()
                .filter(|address| !address.is_empty()),
        })
    }

    /// The server of the ledger; `None`: the embedded engine.
    pub fn postgres(&self) -> Option<Secret<String>> {
        given(&self.url)
    }

    /// The secret that signs checkpoints, where configuration holds it.
    pub fn checkpoint_key(&self) -> Option<Secret<String>> {
        given(&self.checkpoint_key)
    }

    /// The server for reads that may be a little old.
    pub fn replica(&self) -> Option<Secret<String>> {
        given(&self.replica_url)
    }
}

/// An empty URL is none: the environment cannot leave a variable out where a file has it.
fn given(url: &Option<Secret<String>>) -> Option<Secret<String>> {
    url.clone().filter(|url| !url.expose().is_empty())
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
    pub amounts: BTreeMap<String, RangeSetting>,
    /// Limits by tier and currency.
    pub tiers: BTreeMap<String, BTreeMap<String, LimitsSetting>>,
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
    intake_per_second: u32,
    drift_checks_per_minute: u32,
    corrections_per_minute: u32,
    imports_per_minute: u32,
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
            named: vec![
                (class::INTAKE, second(self.intake_per_second)),
                (class::DRIFT_CHECKS, minute(self.drift_checks_per_minute)),
                (class::CORRECTIONS, minute(self.corrections_per_minute)),
                (class::IMPORTS, minute(self.imports_per_minute)),
            ],
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
    /// Writes metrics as log lines for CloudWatch.
    pub embedded_metrics: bool,
    /// Headers for the collector.
    pub headers: BTreeMap<String, Secret<String>>,
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| serde::de::Error::custom("not a duration such as 60s"))
}
