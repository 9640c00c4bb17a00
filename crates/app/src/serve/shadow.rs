//! The shadow ledger in this process: its tables, its currencies, and where its outbox delivers.

use std::collections::BTreeMap;
use std::sync::Arc;

use florin_base::IdSource;
use florin_platform::bus::{Bus, Message};
use florin_platform::sql::Db;
use florin_platform::webhooks::{Event, Webhooks};
use florin_shadow::api::ShadowApi;
use florin_shadow::model::{Currencies, Policy};
use florin_shadow::store::{Settings, Shadow};
use florin_shadow::worker::checkpoint::Key;
use florin_shadow::worker::outbox::{Delivering, Outlet, Told};
use florin_shadow::worker::topics;

use super::files;
use super::parts::Wired;
use crate::config::{self, Config, ShadowPolicy};
use crate::fail::OrHint as _;

/// The tables of the shadow ledger, where they lie in the data directory: a file of their own,
/// so that a large intake holds nobody else up.
pub const SHADOW_FILE: &str = "shadow.db";
/// File of the key that signs checkpoints of the log.
const SIGNING_KEY: &str = "shadow.key";

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
        ..Settings::default()
    }
}

/// Names of all events that webhooks may ask for.
pub fn event_names() -> Vec<&'static str> {
    let mut names = florin_wallets::events::NAMES.to_vec();
    names.extend(florin_shadow::EVENT_NAMES);
    names
}

impl Wired {
    pub(super) async fn start_shadow(&mut self) -> anyhow::Result<()> {
        let db = match self.config.database.postgres() {
            Some(_) => self.db(),
            None => Db::open_sqlite(&self.data_dir.join(SHADOW_FILE))
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
        self.shadow = Some(Arc::new(ShadowApi {
            shadow,
            cursors: self.cursors.clone(),
            signer: Arc::new(Key::from_seed("florin/shadow", &seed)),
        }));
        Ok(())
    }

    /// What the routes of the shadow ledger work with.
    pub fn shadow_api(&self) -> florin_shadow::api::Shared {
        let open = self.shadow.clone();
        open.expect("the table of roles starts a part before it is used")
    }

    /// The shadow ledger.
    pub fn shadow(&self) -> Shadow {
        self.shadow_api().shadow.clone()
    }

    /// Where the outbox of the shadow ledger delivers.
    pub fn shadow_outlet(&self) -> ShadowOutlet {
        ShadowOutlet {
            bus: Arc::clone(&self.bus),
            webhooks: self.webhooks(),
        }
    }
}

/// The topic `shadow.events`, and webhooks.
pub struct ShadowOutlet {
    bus: Arc<dyn Bus>,
    webhooks: Webhooks,
}

impl Outlet for ShadowOutlet {
    fn deliver<'a>(&'a self, told: &'a [Told]) -> Delivering<'a> {
        Box::pin(async move {
            let events: Result<Vec<Event>, String> = told.iter().map(event).collect();
            let events = events?;
            if self.bus.wants(topics::EVENTS) {
                let messages = events.iter().map(message).collect();
                let published = self.bus.publish(topics::EVENTS, messages).await;
                published.map_err(|error| error.to_string())?;
            }
            let last = told.last().map_or(0, |told| told.log_seq.unsigned_abs());
            let accepted = self.webhooks.accept("shadow", last, &events).await;
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
        body: serde_json::to_string(told)
            .map_err(|error| error.to_string())?
            .into(),
    })
}

fn message(event: &Event) -> Message {
    Message {
        key: event.key.clone(),
        value: event.body.to_string().into(),
        seq: event.seq,
        id: event.id.clone(),
    }
}
