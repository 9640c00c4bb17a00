//! The shadow ledger in this process: its tables, its currencies, and where its outbox delivers.

use std::collections::BTreeMap;
use std::sync::Arc;

use florin_base::IdSource;
use florin_platform::bus::consume::Group;
use florin_platform::http::shutdown::Shutdown;
use florin_platform::identity::{self, RoleBook};
use florin_platform::sql::Db;
use florin_platform::webhooks::{Event, Webhooks};
use florin_shadow::api::control::{Control as ControlShared, ControlApi};
use florin_shadow::api::reconcile::{ReconcileApi, Shared as ReconcileShared};
use florin_shadow::api::{ShadowApi, permission};
use florin_shadow::corrections::control::Control;
use florin_shadow::corrections::service::Corrections;
use florin_shadow::corrections::steps::Desk;
use florin_shadow::drift::Checker;
use florin_shadow::drift::statements::SqlEvidence;
use florin_shadow::links::Links;
use florin_shadow::matching::hooks::MatchHooks;
use florin_shadow::matching::service::Reconciler;
use florin_shadow::model::{Currencies, Policy};
use florin_shadow::monitors::{Divergent, Monitors, Verifier};
use florin_shadow::statements::Statements;
use florin_shadow::store::rebuild;
use florin_shadow::store::{Settings, Shadow};
use florin_shadow::worker::checkpoint::Key;
use florin_shadow::worker::mirror::Topics;
use florin_shadow::worker::outbox::{Delivering, End, Outlet, Passing, Told, readers};
use florin_shadow::worker::topics::{self, Entrance};

use super::files;
use super::parts::Wired;
use crate::config::{self, Config, ShadowPolicy};
use crate::fail::OrHint as _;
use crate::roles::Working;

/// The tables of the shadow ledger, where they lie in the data directory: a file of their own,
/// so that a large intake holds nobody else up.
pub const SHADOW_FILE: &str = "shadow.db";
/// File of the key that signs checkpoints of the log.
const SIGNING_KEY: &str = "shadow.key";

/// Shares of the books that the self-check verifies in turn, one an hour.
const SHARES: i64 = 24;
const HOUR_MICROS: i64 = 3_600_000_000;

/// Everything of the shadow ledger that is open in this process.
#[derive(Clone)]
pub struct OpenShadow {
    /// Parts A and B.
    pub api: florin_shadow::api::Shared,
    /// Part C, links and monitors.
    pub control: ControlShared,
    /// Part D.
    pub reconcile: ReconcileShared,
}

/// Verifies a share of the books each hour.
struct Shares(Shadow);

impl Verifier for Shares {
    fn verify_share(&self) -> Divergent<'_> {
        Box::pin(async {
            let hour = self.0.clock().wall_micros().div_euclid(HOUR_MICROS);
            rebuild::verify_part(self.0.db(), hour.rem_euclid(SHARES), SHARES).await
        })
    }
}

/// The registered assets.
struct Assets {
    scales: BTreeMap<Box<str>, u8>,
    default: String,
}

impl Currencies for Assets {
    fn scale(&self, code: &str) -> Option<u8> {
        self.scales.get(code).copied()
    }

    fn default_code(&self) -> &str {
        &self.default
    }
}

/// Which currencies the shadow ledger knows.
pub fn currencies(config: &Config) -> anyhow::Result<Arc<dyn Currencies>> {
    let assets = config::assets(config)?;
    Ok(Arc::new(Assets {
        scales: assets
            .iter()
            .map(|asset| (asset.code.as_ref().into(), asset.scale))
            .collect(),
        default: config.wallets.default_currency.clone(),
    }))
}

/// What the configuration says about the shadow ledger.
pub fn settings(config: &Config) -> Settings {
    let shadow = &config.shadow;
    let millis = |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Settings {
        policy: match shadow.policy {
            ShadowPolicy::Watermark => Policy::Watermark,
            ShadowPolicy::Derived => Policy::Derived,
            ShadowPolicy::Arrival => Policy::Arrival,
        },
        grace_ms: millis(shadow.grace),
        max_future_skew_ms: millis(shadow.max_future_skew),
        compat: shadow.compat,
    }
}

/// The settings of identity; with `shadow.role_hierarchy` role `admin` also holds what the other
/// roles hold in the shadow ledger.
pub fn with_hierarchy(config: &Config) -> anyhow::Result<identity::Settings> {
    let mut settings = config.auth.clone();
    if config.shadow.role_hierarchy {
        let book = RoleBook::try_new(&settings.roles)?;
        let admin: [Box<str>; 1] = ["admin".into()];
        let mut names = book.permissions(&admin).names();
        names.extend(permission::ALL.map(|permission| permission.as_str().to_owned()));
        settings.roles.insert("admin".to_owned(), names);
    }
    Ok(settings)
}

/// Names of all events that webhooks may ask for.
pub fn event_names() -> Vec<&'static str> {
    let mut names = florin_wallets::events::NAMES.to_vec();
    names.extend(florin_shadow::EVENT_NAMES);
    names.extend(florin_ticketing::EVENT_NAMES);
    names
}

impl Wired {
    pub(super) async fn start_shadow(&mut self) -> anyhow::Result<()> {
        let db = match self.config.database.postgres() {
            Some(_) => self.db(),
            None => Db::open_sqlite_busy(&self.data_dir.join(SHADOW_FILE))
                .await
                .or_hint("the data directory must be writable; florin doctor looks closer")?,
        };
        let seed = files::secret_file(&self.data_dir.join(SIGNING_KEY), IdSource::random_32)?;
        let shadow = Shadow::open(
            db,
            Arc::clone(&self.clock),
            currencies(&self.config)?,
            settings(&self.config),
        )
        .await?;
        let rules = config::control(&self.config)?;
        let (control, reconcile) = self.open_control(&shadow, rules);
        let entrance = Entrance::new(control.checker.corrections().clone());
        if !self.config.bus.url.is_empty() {
            super::checks::topics(&self.health, entrance.clone());
        }
        let api = Arc::new(ShadowApi {
            shadow: shadow.clone(),
            entrance,
            cursors: self.cursors.clone(),
            signer: Arc::new(Key::from_seed("florin/shadow", &seed)),
        });
        self.shadow = Some(OpenShadow {
            api,
            control,
            reconcile,
        });
        Ok(())
    }

    fn open_control(&self, shadow: &Shadow, rules: Control) -> (ControlShared, ReconcileShared) {
        let hooks = Arc::new(MatchHooks::new(shadow.db()));
        let desk = Desk::new(Arc::new(rules), hooks);
        let corrections = Corrections::new(shadow.clone(), desk.clone());
        let evidence = Arc::new(SqlEvidence::new(shadow.db().clone()));
        let checker = Checker::new(corrections.clone(), evidence);
        let links = self
            .open_ledger()
            .map(|ledger| Links::new(corrections, ledger));
        let verifier = Arc::new(Shares(shadow.clone()));
        let control = ControlApi {
            monitors: Monitors::new(checker.clone(), links.clone(), verifier),
            checker,
            links,
            cursors: self.cursors.clone(),
        };
        let reconcile = ReconcileApi {
            statements: Statements::new(shadow.clone(), Default::default()),
            reconciler: Reconciler::new(shadow.clone(), desk),
            cursors: self.cursors.clone(),
        };
        (Arc::new(control), Arc::new(reconcile))
    }

    fn open_shadow(&self) -> OpenShadow {
        let open = self.shadow.clone();
        open.expect("the table of roles starts a part before it is used")
    }

    /// What the routes of checks, corrections, links and monitors work with.
    pub fn shadow_control(&self) -> ControlShared {
        self.open_shadow().control
    }

    /// What the routes of statements and matches work with.
    pub fn shadow_reconcile(&self) -> ReconcileShared {
        self.open_shadow().reconcile
    }

    /// What the routes of the shadow ledger work with.
    pub fn shadow_api(&self) -> florin_shadow::api::Shared {
        self.open_shadow().api
    }

    /// The shadow ledger.
    pub fn shadow(&self) -> Shadow {
        self.shadow_api().shadow.clone()
    }

    /// Tells webhooks what the shadow log says.
    pub fn tell_shadow_webhooks(&self, shutdown: Shutdown) -> Working {
        let outlet = ShadowWebhooks(self.webhooks());
        self.tell_shadow(readers::WEBHOOKS, outlet, shutdown)
    }

    /// Publishes what the shadow log says to topics.
    pub fn tell_shadow_topics(&self, shutdown: Shutdown) -> Working {
        let outlet = Topics {
            shadow: self.shadow(),
            bus: Arc::clone(&self.bus),
        };
        self.tell_shadow(readers::TOPICS, outlet, shutdown)
    }

    fn tell_shadow(
        &self,
        reader: &'static str,
        outlet: impl Outlet,
        shutdown: Shutdown,
    ) -> Working {
        let lease = self.leases().lease(format!("shadow/{reader}"));
        let shadow = self.shadow();
        Box::pin(async move {
            florin_shadow::worker::outbox::run(shadow, reader, &outlet, lease, shutdown).await;
        })
    }

    /// Takes part in the consumer group of the topics of events and corrections.
    pub fn take_shadow_topics(&self, shutdown: Shutdown) -> Working {
        let entrance = self.shadow_api().entrance.clone();
        let group = Group {
            name: topics::GROUP.to_owned(),
            topics: vec![topics::RAW.to_owned(), topics::CORRECTIONS.to_owned()],
            handler: Arc::new(entrance),
        };
        Arc::clone(&self.bus).consume(self.db(), group, shutdown)
    }
}

/// Webhooks that asked for events of the shadow ledger.
struct ShadowWebhooks(Webhooks);

impl Outlet for ShadowWebhooks {
    fn pass<'a>(&'a self, end: End<'a>) -> Passing<'a> {
        Box::pin(async move {
            let passed = self.0.pass(end).await;
            passed.map_err(|error| error.to_string())?
        })
    }

    fn deliver<'a>(&'a self, told: &'a [Told]) -> Delivering<'a> {
        Box::pin(async move {
            let events: Result<Vec<Event>, String> = told.iter().map(event).collect();
            let last = told.last().map_or(0, |told| told.log_seq.unsigned_abs());
            let accepted = self.0.accept("shadow", last, &events?).await;
            accepted.map(drop).map_err(|error| error.to_string())
        })
    }
}

fn event(told: &Told) -> Result<Event, String> {
    Ok(Event {
        id: format!("shadow-{}", told.log_seq).into(),
        event_type: told.kind.as_str().into(),
        key: told.account_id.as_deref().unwrap_or_default().into(),
        seq: told.log_seq.unsigned_abs(),
        recorded_at: Some(told.at.0),
        body: serde_json::to_string(told)
            .map_err(|error| error.to_string())?
            .into(),
    })
}
