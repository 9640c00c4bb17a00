//! What the roles of a process share: the open parts, and how each is opened and closed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use florin_base::{Clock, IdSource, Secret};
use florin_ledger::{Ledger, OpenError, OpenOptions, PostgresOptions};
use florin_platform::audit::{self, AuditLog};
use florin_platform::blobs::{self, Blobs};
use florin_platform::bus::{self, Bus, Leases, LocalBus, Positions};
use florin_platform::cache::Cache;
use florin_platform::http::auth::{Authenticator, NoAuthenticator};
use florin_platform::http::client::{ClientConfig, Outgoing, Targets, install_crypto};
use florin_platform::http::health::Health;
use florin_platform::http::limit::Limits;
use florin_platform::http::page::Cursors;
use florin_platform::http::shutdown::Shutdown;
use florin_platform::identity::{self, AuthService};
use florin_platform::sql::Db;
use florin_platform::webhooks::{self, Webhooks};
use florin_wallets::api::{ApiState, HEARTBEAT};
use florin_wallets::events::Channels;
use tokio::task::JoinSet;

use super::files;
use super::watch::{CheckpointAge, Watched};
use crate::config::{self, Config, Environment};
use crate::fail::{OrHint as _, failure};
use crate::roles::{self, Part, PartRow};

/// File of the key that signs cursors: they never expire, so the key outlives restarts.
const CURSOR_KEY: &str = "cursor.key";
/// The service tables.
pub const TABLES_FILE: &str = "florin.db";
/// Left by `florin ledger clock accept`, removed by the server that took it.
pub const ACCEPT_CLOCK_FILE: &str = "clock.accept";
/// File of the key that signs URLs of blobs.
const BLOB_KEY: &str = "blobs.key";
/// The folder of the blobs.
pub const BLOBS_FOLDER: &str = "blobs";
/// The folder of the embedded ledger.
pub const LEDGER_FOLDER: &str = "ledger";

/// What every part may use, and the parts that are open.
pub struct Wired {
    /// Settings in force.
    pub config: Config,
    /// The same as administrators are shown it, secrets redacted.
    pub settings: Arc<[identity::admin::Setting]>,
    /// Where everything lies.
    pub data_dir: PathBuf,
    /// The one clock.
    pub clock: Arc<dyn Clock>,
    /// Checks behind `/ready`.
    pub health: Arc<Health>,
    /// Rate limits, shared by kit and log-in.
    pub limits: Arc<Limits>,
    /// Makes and reads cursors.
    pub cursors: Cursors,
    /// What processes remember together.
    pub cache: Cache,
    /// Hears of the end.
    pub shutdown: Shutdown,
    /// `--unsafe-dev`.
    pub unsafe_dev: bool,
    pub(super) bus: Arc<dyn Bus>,
    checkpoint_age: CheckpointAge,
    db: Option<Db>,
    audit: Option<AuditLog>,
    identity: Option<Arc<AuthService>>,
    ledger: Option<Ledger>,
    webhooks: Option<Webhooks>,
    blobs: Option<Blobs>,
    pub(super) shadow: Option<super::shadow::OpenShadow>,
    pub(super) ticketing: Option<florin_ticketing::Ticketing>,
    pub(super) console: Option<super::console::OpenConsole>,
}

const ORDER: &str = "the table of roles starts a part before it is used";

impl Wired {
    /// Nothing open yet. Makes the data directory when it is missing.
    pub fn new(
        config: Config,
        data_dir: &Path,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
        unsafe_dev: bool,
    ) -> anyhow::Result<Self> {
        install_crypto();
        files::make_data_dir(data_dir)?;
        let cursors = cursors(&config, data_dir)?;
        let cache = match config.cache.redis() {
            Some(settings) => Cache::redis(&settings)?,
            None => Cache::local(Arc::clone(&clock)),
        };
        let limits = config.limits.kit();
        let scope = match config.gateway.upstreams.is_empty() {
            true => "limit",
            false => "gateway limit",
        };
        let shared = cache.limits(scope, limits.max_keys);
        let limits = shared
            .into_iter()
            .fold(Limits::new(limits), Limits::with_store);
        let health = Health::new();
        if cache.is_shared() {
            health.register(cache.check());
        }
        Ok(Self {
            limits: Arc::new(limits),
            cache,
            config,
            settings: Arc::default(),
            data_dir: data_dir.to_owned(),
            clock,
            health,
            cursors,
            shutdown,
            unsafe_dev,
            bus: Arc::new(LocalBus::new()),
            checkpoint_age: CheckpointAge::default(),
            db: None,
            audit: None,
            identity: None,
            ledger: None,
            webhooks: None,
            blobs: None,
            shadow: None,
            ticketing: None,
            console: None,
        })
    }

    /// Opens one part; what it needs is open already.
    pub async fn start(&mut self, row: &PartRow) -> anyhow::Result<()> {
        tracing::debug!(part = row.name, "starting");
        match row.part {
            Part::Tables => self.start_tables().await,
            Part::Audit => self.start_audit().await,
            Part::Identity => self.start_identity().await,
            Part::Ledger => self.start_ledger().await,
            Part::Bus => self.start_bus().await,
            Part::Webhooks => self.start_webhooks().await,
            Part::Blobs => self.start_blobs(),
            Part::Shadow => self.start_shadow().await,
            Part::Ticketing => self.start_ticketing().await,
            Part::Console => self.start_console(),
        }
    }

    /// Closes one part; nothing uses it any more.
    pub async fn stop(&mut self, row: &PartRow) {
        tracing::debug!(part = row.name, "stopping");
        match row.part {
            Part::Tables => {
                if let Some(db) = self.db.take() {
                    db.close().await;
                }
            }
            Part::Audit => self.audit = None,
            Part::Identity => self.identity = None,
            Part::Ledger => self.stop_ledger().await,
            Part::Bus => self.bus = Arc::new(LocalBus::new()),
            Part::Webhooks => self.webhooks = None,
            Part::Blobs => self.blobs = None,
            Part::Shadow => self.shadow = None,
            Part::Ticketing => self.ticketing = None,
            Part::Console => self.console = None,
        }
    }

    async fn start_tables(&mut self) -> anyhow::Result<()> {
        let path = self.data_dir.join(TABLES_FILE);
        let db = match self.config.database.postgres() {
            Some(settings) => Db::open_postgres(settings)
                .await
                .or_hint("the server of database.url; florin doctor looks closer")?,
            None => Db::open_sqlite(&path).await.or_hint(format!(
                "the data directory {} must be writable; florin doctor looks closer",
                self.data_dir.display()
            ))?,
        };
        super::checks::tables(&self.health, db.clone());
        self.db = Some(db);
        Ok(())
    }

    async fn start_audit(&mut self) -> anyhow::Result<()> {
        let audit = AuditLog::open(self.db(), Arc::clone(&self.clock)).await?;
        self.audit = Some(audit);
        Ok(())
    }

    async fn start_identity(&mut self) -> anyhow::Result<()> {
        let parts = identity::Parts {
            settings: super::shadow::with_hierarchy(&self.config)?,
            production: self.config.environment == Environment::Production,
            data_dir: &self.data_dir,
            db: self.db(),
            audit: self.audit(),
            clock: Arc::clone(&self.clock),
            client: Outgoing::new(&ClientConfig::new(Targets::Any))?,
        };
        let signals = self.cache.signals(identity::CUTS_TOPIC);
        let service = AuthService::open(parts).await?.with_signals(signals);
        self.identity = Some(Arc::new(service));
        Ok(())
    }

    async fn start_ledger(&mut self) -> anyhow::Result<()> {
        let dir = self.data_dir.join(LEDGER_FOLDER);
        let ledger = match self.config.ledger.postgres() {
            Some(url) => self.open_shared_ledger(url, dir).await?,
            None => self.open_embedded_ledger(dir).await?,
        };
        super::checks::ledger(
            &self.health,
            &ledger,
            self.config.ledger.disk_free_min_percent,
        );
        super::checks::checkpoints(&self.health, self.checkpoint_age.clone());
        self.health
            .inform("ledgerId", ledger.ledger_id().to_string());
        self.health
            .inform("wallets.profile", self.config.wallets.profile.word());
        self.ledger = Some(ledger);
        Ok(())
    }

    async fn open_shared_ledger(
        &self,
        url: Secret<String>,
        dir: PathBuf,
    ) -> anyhow::Result<Ledger> {
        let settings = &self.config.ledger;
        files::make_data_dir(&dir)?;
        let selected = roles::select(&self.config.roles)?;
        let serves_wallets = selected.iter().any(|role| role.name == "wallets");
        let options = PostgresOptions {
            url,
            sequencing: settings.sequencing(serves_wallets),
            replica_url: settings.replica(),
            schema: settings.schema.clone(),
            dir,
            assets: config::assets(&self.config)?,
            queue_max: settings.queue_max,
            accounts_cached: settings.accounts_cached,
            pool_max: settings.pool_max,
            checkpoint_key: settings.checkpoint_key(),
            checkpoint_interval: settings.checkpoint_interval,
            checkpoint_key_name: settings.checkpoint_key_name.clone(),
            ..PostgresOptions::new("", "")
        };
        let policy = config::policy(&self.config)?;
        Ledger::open_postgres(options, policy, Arc::clone(&self.clock))
            .await
            .map_err(|error| {
                failure(
                    format!("the ledger on the server of ledger.url does not open: {error}"),
                    "florin doctor looks closer",
                )
            })
    }

    async fn open_embedded_ledger(&self, dir: PathBuf) -> anyhow::Result<Ledger> {
        let settings = &self.config.ledger;
        let options = OpenOptions {
            assets: config::assets(&self.config)?,
            queue_max: settings.queue_max,
            snapshot_bytes: u64::from(settings.snapshot_mib) << 20,
            disk_free_min_per_mille: settings.disk_free_min_percent * 10,
            checkpoint_interval: settings.checkpoint_interval,
            checkpoint_key_name: settings.checkpoint_key_name.clone(),
            ..OpenOptions::new(&dir)
        };
        let policy = config::policy(&self.config)?;
        let clock = Arc::clone(&self.clock);
        let opened =
            tokio::task::spawn_blocking(move || Ledger::open(options, policy, clock)).await?;
        opened.map_err(|error| ledger_refused(&dir, &error))
    }

    /// Closing takes a last snapshot and checkpoint, which blocks.
    async fn stop_ledger(&mut self) {
        if let Some(ledger) = self.ledger.take()
            && let Err(error) = tokio::task::spawn_blocking(move || ledger.close()).await
        {
            tracing::error!(%error, "the ledger did not close cleanly; the next start recovers");
        }
    }

    async fn start_webhooks(&mut self) -> anyhow::Result<()> {
        let db = self.db();
        let now = self.clock.wall_micros();
        db.migrate(&webhooks::MIGRATIONS, now).await?;
        let targets = match self.unsafe_dev {
            true => Targets::Any,
            false => Targets::PublicOnly,
        };
        let ledger = self.ledger();
        let head: webhooks::Head = Arc::new(move || {
            let seq = ledger.durable_seq();
            Box::pin(std::future::ready(Ok(seq)))
        });
        let settings = webhooks::Settings::new(targets, super::shadow::event_names());
        let outgoing = Outgoing::new(&ClientConfig::new(targets))?;
        let clock = Arc::clone(&self.clock);
        let opened = Webhooks::open(db, clock, outgoing, self.cursors.clone(), settings, head);
        self.webhooks = Some(opened.await?);
        Ok(())
    }

    /// The bus connects when it is first used: brokers may come later.
    async fn start_bus(&mut self) -> anyhow::Result<()> {
        let now = self.clock.wall_micros();
        self.db().migrate(&bus::MIGRATIONS, now).await?;
        let opened = bus::open(&self.config.bus, Arc::clone(&self.clock));
        self.bus = opened.map_err(|error| failure(error.to_string(), error.remedy))?;
        if !self.config.bus.url.is_empty() {
            super::checks::broker(&self.health, Arc::clone(&self.bus));
        }
        Ok(())
    }

    /// Documents and files.
    fn start_blobs(&mut self) -> anyhow::Result<()> {
        let key = files::secret_file(&self.data_dir.join(BLOB_KEY), IdSource::random_32)?;
        let url = self.config.server.public_url.clone().unwrap_or_default();
        let folder = self.data_dir.join(BLOBS_FOLDER);
        let clock = Arc::clone(&self.clock);
        let opened = blobs::open(&self.config.blobs, &folder, &key, &url, clock);
        let opened = opened.map_err(|error| failure(error.to_string(), error.remedy))?;
        self.blobs = Some(opened);
        Ok(())
    }

    /// Documents and files.
    pub fn blobs(&self) -> Blobs {
        self.blobs.clone().expect(ORDER)
    }

    /// The service tables.
    pub fn db(&self) -> Db {
        self.db.clone().expect(ORDER)
    }

    /// The audit log.
    pub fn audit(&self) -> AuditLog {
        self.audit.clone().expect(ORDER)
    }

    /// Users, tokens, keys.
    pub fn identity(&self) -> Arc<AuthService> {
        self.identity.clone().expect(ORDER)
    }

    /// Who recognises callers: nobody, where the roles of this process need no identity.
    pub fn authenticator(&self) -> Arc<dyn Authenticator> {
        match self.identity.clone() {
            Some(identity) => identity,
            None => Arc::new(NoAuthenticator),
        }
    }

    /// The ledger, where this process has it.
    pub fn open_ledger(&self) -> Option<Ledger> {
        self.ledger.clone()
    }

    /// The ledger.
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone().expect(ORDER)
    }

    /// The webhooks.
    pub fn webhooks(&self) -> Webhooks {
        self.webhooks.clone().expect(ORDER)
    }

    /// What every process does beside its roles for as long as it serves: it keeps the shared
    /// memory, takes over what others revoked, and measures the tables. Ends when dropped.
    pub fn follow(&self) -> JoinSet<()> {
        let mut running = JoinSet::new();
        running.spawn(self.cache.clone().run());
        if let Some(identity) = self.identity.clone() {
            running.spawn(async move { identity.follow().await });
        }
        if let Some(db) = self.db.clone() {
            running.spawn(super::watch::measure_tables(db));
        }
        running
    }

    /// What the routes of identity work with.
    pub fn identity_api(&self) -> identity::api::Shared {
        Arc::new(identity::api::IdentityApi {
            service: self.identity(),
            limits: Arc::clone(&self.limits),
            cursors: self.cursors.clone(),
        })
    }

    /// What the routes of administration work with.
    pub fn admin_api(&self) -> identity::admin::Shared {
        Arc::new(identity::admin::AdminApi {
            settings: Arc::clone(&self.settings),
            service: self.identity(),
        })
    }

    /// What the route of the audit log works with.
    pub fn audit_api(&self) -> audit::api::Shared {
        Arc::new(audit::api::AuditApi {
            audit: self.audit(),
            cursors: self.cursors.clone(),
        })
    }

    /// What the routes of wallets and ledger work with.
    pub fn api_state(&self) -> florin_wallets::api::Shared {
        Arc::new(ApiState {
            ledger: self.ledger(),
            default_currency: self.config.wallets.default_currency.as_str().into(),
            cursors: self.cursors.clone(),
            shutdown: self.shutdown.clone(),
            heartbeat: HEARTBEAT,
        })
    }

    /// What is looked at once a second.
    pub fn watched(&self) -> Watched {
        Watched {
            ledger: self.ledger(),
            data_dir: self.data_dir.clone(),
            checkpoint_age: self.checkpoint_age.clone(),
        }
    }

    /// Of several processes over the same tables one reads a channel of the feed at a time.
    pub fn leases(&self) -> Leases {
        let db = self.db();
        match db.is_shared() {
            true => Leases::Shared {
                db,
                holder: uuid_of(&*self.clock),
            },
            false => Leases::Sole,
        }
    }

    /// What reads the change feed.
    pub fn channels(&self) -> Channels {
        Channels {
            ledger: self.ledger(),
            bus: Arc::clone(&self.bus),
            webhooks: self.webhooks(),
            positions: Positions::new(self.db()),
            leases: self.leases(),
            clock: Arc::clone(&self.clock),
        }
    }
}

/// A name that no other process has.
fn uuid_of(clock: &dyn Clock) -> String {
    IdSource::new().uuid_v7(clock.wall_micros()).to_string()
}

/// Several processes must read each other's cursors: a secret of the configuration comes first.
fn cursors(config: &Config, data_dir: &Path) -> anyhow::Result<Cursors> {
    let secrets = [&config.server.cursor_key, &config.auth.signing_key];
    if let Some(secret) = secrets.into_iter().flatten().next() {
        return Ok(Cursors::from_secret(secret.expose()));
    }
    let key = files::secret_file(&data_dir.join(CURSOR_KEY), IdSource::random_32)?;
    Ok(Cursors::new(&key))
}

/// Words and remedy for a ledger that does not open.
fn ledger_refused(dir: &Path, error: &OpenError) -> anyhow::Error {
    match error {
        OpenError::Locked(_) => failure(
            error.to_string(),
            "stop that process, or give this one its own --data-dir; ledger commands can go through a running server: --server URL --api-key KEY",
        ),
        OpenError::TakesNoPostings(_) => failure(
            format!("the ledger in {} cannot be begun: {error}", dir.display()),
            "look at the disk; ledger.disk_free_min_percent says how much of it must be free",
        ),
        OpenError::Refused(_) => failure(
            format!("the ledger in {} does not open: {error}", dir.display()),
            "nothing was changed; keep a copy of the folder, florin doctor looks closer",
        ),
    }
}
