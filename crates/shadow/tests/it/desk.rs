//! A shadow ledger with checks, corrections, monitors and, where wanted, a ledger to link to.

use std::path::Path;
use std::sync::Arc;

use florin_ledger::{Ledger, OpenOptions, Policy};
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::limit::{LimitConfig, Limits};
use florin_platform::http::page::Cursors;
use florin_platform::http::router::App;
use florin_platform::identity::RoleBook;
use florin_shadow::api::control::{ControlApi, routes};
use florin_shadow::api::{ShadowApi, event_routes, ledger_routes};
use florin_shadow::corrections::control::Control;
use florin_shadow::corrections::hooks::NoHooks;
use florin_shadow::corrections::service::Corrections;
use florin_shadow::corrections::steps::Desk;
use florin_shadow::drift::Checker;
use florin_shadow::drift::statements::SqlEvidence;
use florin_shadow::links::Links;
use florin_shadow::monitors::{Monitors, NoVerifier};
use florin_shadow::store::Settings;
use florin_shadow::worker::checkpoint::Key;
use florin_shadow::worker::topics::Entrance;
use serde_json::Value;

use crate::support::{Bench, Known, bench};
use crate::web::{Named, Reply, Web};

/// Another admin.
pub const SECOND: &str = "admin:second";

/// Everything behind the routes.
pub struct House {
    pub web: Web,
    pub checker: Checker,
    pub monitors: Monitors,
    pub links: Option<Links>,
    pub ledger: Option<Ledger>,
    _dir: Option<tempfile::TempDir>,
}

/// With the settings of the contract, changed by `change`.
pub async fn house(change: impl FnOnce(&mut Control)) -> House {
    build(bench(arrival()).await, change, false)
}

/// The same, with a ledger.
pub async fn house_with_ledger() -> House {
    build(bench(arrival()).await, |_| {}, true)
}

/// Debits are decided at once, so that tests need not wait for a grace.
pub fn arrival() -> Settings {
    Settings {
        policy: florin_shadow::model::Policy::Arrival,
        ..Settings::default()
    }
}

pub fn build(bench: Bench, change: impl FnOnce(&mut Control), with_ledger: bool) -> House {
    let dir = with_ledger.then(|| tempfile::tempdir().expect("a directory"));
    let path = dir.as_ref().map(|dir| dir.path().to_owned());
    House {
        _dir: dir,
        ..build_at(bench, change, path.as_deref())
    }
}

/// With a ledger in this folder, if any.
pub fn build_at(
    bench: Bench,
    change: impl FnOnce(&mut Control),
    ledger_dir: Option<&Path>,
) -> House {
    let mut control = Control::of_contract(&Known);
    change(&mut control);
    let desk = Desk::new(Arc::new(control), Arc::new(NoHooks));
    let corrections = Corrections::new(bench.shadow.clone(), desk);
    let evidence = Arc::new(SqlEvidence::new(bench.shadow.db().clone()));
    let checker = Checker::new(corrections.clone(), evidence);
    let ledger = ledger_dir.map(|dir| {
        let options = OpenOptions {
            segment_bytes: 4 << 20,
            disk_free_min_per_mille: 0,
            ..OpenOptions::new(dir)
        };
        let ledger = Ledger::open(options, Policy::default(), bench.clock.clone());
        ledger.expect("opens")
    });
    let links = ledger
        .clone()
        .map(|ledger| Links::new(corrections.clone(), ledger));
    let monitors = Monitors::new(checker.clone(), links.clone(), Arc::new(NoVerifier));
    let cursors = Cursors::new(b"an example key of 32 bytes......");
    let shadow_api = Arc::new(ShadowApi {
        shadow: bench.shadow.clone(),
        entrance: Entrance::new(corrections.clone()),
        cursors: cursors.clone(),
        signer: Arc::new(Key::from_seed("test", &[7; 32])),
    });
    let control_api = Arc::new(ControlApi {
        checker: checker.clone(),
        monitors: monitors.clone(),
        links: links.clone(),
        cursors,
    });
    let unlimited = LimitConfig {
        read: None,
        write: None,
        address: None,
        ..LimitConfig::default()
    };
    let kit = Kit::new(KitConfig::default())
        .with_authenticator(Arc::new(Named(
            RoleBook::try_new(&Default::default()).expect("built-in roles"),
        )))
        .with_limits(Arc::new(Limits::new(unlimited)));
    let app = App::builder(kit)
        .mount(event_routes(true).bind(shadow_api.clone()))
        .mount(ledger_routes(true).bind(shadow_api))
        .mount(routes(true).bind(control_api))
        .build()
        .expect("routes");
    House {
        web: Web {
            router: app.router(),
            bench,
        },
        checker,
        monitors,
        links,
        ledger,
        _dir: None,
    }
}

impl House {
    /// A credit or debit of an account, in whole currency units.
    pub async fn event(&self, id: &str, account: &str, kind: &str, amount: &str, at: i64) {
        let body = crate::web::json(id, account, kind, amount, at);
        self.web.event(&body).await.ok(202);
    }

    /// Posts a drift check as the auditor.
    pub async fn check(&self, body: &str) -> Reply {
        self.web
            .post_as(crate::web::AUDITOR, "/api/v1/shadow/drift-check", body)
            .await
    }

    /// Posts as an admin.
    pub async fn admin(&self, who: &str, path: &str, body: &str) -> Reply {
        let path = format!("/api/v1/shadow/{path}");
        self.web.post_as(who, &path, body).await
    }

    /// The balance as it is printed.
    pub async fn balance(&self, account: &str) -> Value {
        let path = format!("/api/v1/shadow/accounts/{account}/shadow-balance");
        self.web.get(&path).await.ok(200).body["balance"].clone()
    }

    /// The status of a correction.
    pub async fn status(&self, id: &str) -> String {
        let path = format!("/api/v1/shadow/corrections/{id}");
        let reply = self.web.get(&path).await.ok(200);
        reply.body["status"].as_str().expect("a status").to_owned()
    }
}
