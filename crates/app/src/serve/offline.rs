//! The ledger of a stopped server, opened by a command: the same routes, no network, no login.
//! Whoever may write to the data directory may do this.

use std::sync::Arc;

use florin_base::{Clock as _, SystemClock};
use florin_platform::bus::{self, Positions};
use florin_platform::http::auth::{CredentialKind, Principal};
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::limit::Limits;
use florin_platform::http::router::App;
use florin_platform::http::shutdown::{self, ShutdownTrigger};
use florin_platform::identity::{AuthService, RoleBook};

use super::parts::Wired;
use crate::config::{self, ConfigArgs, Loaded};
use crate::inproc::{Always, InProcess};
use crate::roles::{self, Part, PartRow};

/// Subject of records that a command makes.
pub const ACTOR: &str = "florin-cli";

/// An open ledger and a caller with every permission on its routes.
pub struct Offline {
    /// The open parts.
    pub wired: Wired,
    /// The caller.
    pub caller: InProcess,
    parts: Vec<&'static PartRow>,
    _trigger: ShutdownTrigger,
}

impl Offline {
    /// Opens the ledger of the configured data directory.
    pub async fn open(loaded: Loaded) -> anyhow::Result<Self> {
        let data_dir = loaded.data_dir()?;
        let (trigger, shutdown) = shutdown::pair();
        let mut wired = Wired::new(
            loaded.config,
            &data_dir,
            Arc::new(SystemClock),
            shutdown,
            false,
        )?;
        let parts: Vec<_> = roles::PARTS
            .iter()
            .filter(|row| row.part == Part::Ledger)
            .collect();
        for row in &parts {
            wired.start(row).await?;
        }
        let kit = Kit::new(KitConfig::default())
            .with_limits(Arc::new(Limits::unlimited()))
            .with_authenticator(Arc::new(Always(Arc::new(everything(&wired)?))));
        let state = wired.api_state();
        let app = App::builder(kit)
            .mount(florin_wallets::api::routes().bind(state))
            .build()?;
        Ok(Self {
            wired,
            caller: InProcess::new(app.router()),
            parts,
            _trigger: trigger,
        })
    }

    /// Closes the ledger.
    pub async fn close(mut self) {
        drop(self.caller);
        for row in self.parts.iter().rev() {
            self.wired.stop(row).await;
        }
    }
}

/// Runs something with users and keys of the configured data directory, whether a server runs
/// on it or not.
pub async fn with_identity<T>(
    args: &ConfigArgs,
    work: impl AsyncFnOnce(&AuthService) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let loaded = config::load(args, Vec::new())?;
    let data_dir = loaded.data_dir()?;
    let (_trigger, shutdown) = shutdown::pair();
    let mut wired = Wired::new(
        loaded.config,
        &data_dir,
        Arc::new(SystemClock),
        shutdown,
        false,
    )?;
    let role = roles::ROLES.iter().filter(|role| role.name == "gateway");
    let parts = roles::start_order(&role.collect::<Vec<_>>());
    for row in &parts {
        wired.start(row).await?;
    }
    let done = work(&*wired.identity()).await;
    for row in parts.iter().rev() {
        wired.stop(row).await;
    }
    done
}

/// Runs something with the positions of the readers of the feed, whether a server runs or not.
pub async fn with_positions<T>(
    args: &ConfigArgs,
    work: impl AsyncFnOnce(&Positions, i64) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let loaded = config::load(args, Vec::new())?;
    let data_dir = loaded.data_dir()?;
    let (_trigger, shutdown) = shutdown::pair();
    let clock = Arc::new(SystemClock);
    let mut wired = Wired::new(loaded.config, &data_dir, clock, shutdown, false)?;
    let parts = roles::PARTS.iter().filter(|row| row.part == Part::Tables);
    let parts: Vec<_> = parts.collect();
    for row in &parts {
        wired.start(row).await?;
    }
    let (db, now) = (wired.db(), SystemClock.wall_micros());
    db.migrate(&bus::MIGRATIONS, now).await?;
    let done = work(&Positions::new(db), now).await;
    for row in parts.iter().rev() {
        wired.stop(row).await;
    }
    done
}

/// A caller with every role.
fn everything(wired: &Wired) -> anyhow::Result<Principal> {
    let book = RoleBook::try_new(&wired.config.auth.roles)?;
    let roles: Arc<[Box<str>]> = book.names().map(Box::from).collect();
    Ok(Principal {
        accounts: None,
        subject: ACTOR.into(),
        owner: ACTOR.into(),
        kind: CredentialKind::System,
        credential: format!("system:{ACTOR}").into(),
        token_id: None,
        permissions: book.permissions(&roles),
        roles,
    })
}
