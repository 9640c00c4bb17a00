//! The routes of part D over a scratch store, and small statements to send to them.

use std::io::Write as _;
use std::sync::Arc;

use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::limit::{LimitConfig, Limits};
use florin_platform::http::page::Cursors;
use florin_platform::http::router::App;
use florin_platform::identity::RoleBook;
use florin_shadow::api::ShadowApi;
use florin_shadow::api::reconcile::{self, ReconcileApi};
use florin_shadow::corrections::control::Control;
use florin_shadow::corrections::service::Corrections;
use florin_shadow::corrections::steps::Desk;
use florin_shadow::matching::hooks::MatchHooks;
use florin_shadow::matching::service::Reconciler;
use florin_shadow::statements::Statements;
use florin_shadow::statements::input::Limits as Sizes;
use florin_shadow::store::Settings;
use florin_shadow::worker::checkpoint::Key;
use florin_shadow::worker::topics::Entrance;
use serde_json::{Value, json};

use crate::support::{Bench, Known, bench};
use crate::web::{Named, Reply, Web};

pub const OPERATOR: &str = "operator:olga";
pub const AUDITOR: &str = "auditor:eve";
pub const DAY_MS: i64 = 86_400_000;
/// 2025-01-01T00:00:00Z in epoch milliseconds.
pub const JAN: i64 = 1_735_689_600_000;

pub struct World {
    pub web: Web,
    pub desk: Desk,
    pub reconciler: Reconciler,
}

pub async fn world() -> World {
    let settings = Settings {
        grace_ms: 0,
        ..Settings::default()
    };
    world_on(bench(settings).await, Sizes::default())
}

pub fn world_on(bench: Bench, sizes: Sizes) -> World {
    let shadow = bench.shadow.clone();
    let hooks = Arc::new(MatchHooks::new(shadow.db()));
    let desk = Desk::new(Arc::new(Control::of_contract(&Known)), hooks);
    let reconciler = Reconciler::new(shadow.clone(), desk.clone());
    let cursors = || Cursors::new(b"an example key of 32 bytes......");
    let api = Arc::new(ReconcileApi {
        statements: Statements::new(shadow.clone(), sizes),
        reconciler: reconciler.clone(),
        cursors: cursors(),
    });
    let events = Arc::new(ShadowApi {
        entrance: Entrance::new(Corrections::new(shadow.clone(), desk.clone())),
        shadow,
        cursors: cursors(),
        signer: Arc::new(Key::from_seed("test", &[7; 32])),
    });
    let unlimited = LimitConfig {
        read: None,
        write: None,
        address: None,
        ..LimitConfig::default()
    };
    let roles = RoleBook::try_new(&Default::default()).expect("built-in roles");
    let kit = Kit::new(KitConfig::default())
        .with_authenticator(Arc::new(Named(roles)))
        .with_limits(Arc::new(Limits::new(unlimited)));
    let app = App::builder(kit)
        .mount(florin_shadow::api::event_routes(true).bind(events))
        .mount(reconcile::routes().bind(api))
        .build()
        .expect("routes");
    let router = app.router();
    World {
        web: Web { bench, router },
        desk,
        reconciler,
    }
}

impl World {
    pub async fn json(&self, method: &str, path: &str, body: Value) -> Reply {
        let headers = [("content-type", "application/json")];
        let path = format!("/api/v1/shadow{path}");
        let body = body.to_string().into_bytes();
        self.web.send(OPERATOR, method, &path, &headers, body).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        let path = format!("/api/v1/shadow{path}");
        self.web.send(AUDITOR, "GET", &path, &[], Vec::new()).await
    }

    pub async fn import(&self, params: &str, file: impl Into<Vec<u8>>) -> Reply {
        let path = format!("/api/v1/shadow/statements?{params}");
        let headers = [("content-type", "application/octet-stream")];
        self.web
            .send(OPERATOR, "POST", &path, &headers, file.into())
            .await
    }

    pub async fn count(&self, table: &'static str) -> i64 {
        let text = format!("SELECT COUNT(*) AS n FROM {table}");
        let rows = self
            .web
            .bench
            .db
            .fetch_all(florin_platform::sql::Query::assembled(text));
        rows.await.expect("counts")[0].get("n").expect("a number")
    }

    /// Runs over January and answers the finished run.
    pub async fn reconcile(&self, account: &str) -> Reply {
        let body = json!({"accountId": account, "from": "2025-01-01", "to": "2025-02-01"});
        self.json("POST", "/reconciliations", body).await.ok(201)
    }

    pub async fn items(&self, path: &str) -> Vec<Value> {
        let page = self.get(path).await.ok(200);
        page.body["items"].as_array().expect("items").clone()
    }
}

/// A small camt statement: opening, lines (amount in cents, day, reference), closing.
pub fn camt(id: &str, opening: i128, lines: &[(i128, u32, &str)]) -> String {
    let money = |minor: i128| format!("{}.{:02}", minor.abs() / 100, minor.abs() % 100);
    let sign = |minor: i128| if minor < 0 { "DBIT" } else { "CRDT" };
    let balance = |code: &str, minor: i128, day: u32| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"BRL\">{}</Amt>\
             <CdtDbtInd>{}</CdtDbtInd><Dt><Dt>2025-01-{day:02}</Dt></Dt></Bal>",
            money(minor),
            sign(minor)
        )
    };
    let last = lines.iter().map(|line| line.1).max().unwrap_or(1);
    let first = lines.iter().map(|line| line.1).min().unwrap_or(1);
    let entries: String = lines
        .iter()
        .map(|(amount, day, reference)| {
            format!(
                "<Ntry><Amt Ccy=\"BRL\">{}</Amt><CdtDbtInd>{}</CdtDbtInd><Sts>BOOK</Sts>\
                 <BookgDt><Dt>2025-01-{day:02}</Dt></BookgDt><NtryDtls><TxDtls><Refs>\
                 <EndToEndId>{reference}</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>\n",
                money(*amount),
                sign(*amount)
            )
        })
        .collect();
    let closing = opening + lines.iter().map(|line| line.0).sum::<i128>();
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><Stmt>\
         <Id>{id}</Id><Acct><Id><Othr><Id>REF1</Id></Othr></Id><Ccy>BRL</Ccy></Acct>{}{}{entries}\
         </Stmt></BkToCstmrStmt></Document>",
        balance("OPBD", opening, first),
        balance("CLBD", closing, last)
    )
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    packer.write_all(bytes).expect("packs");
    packer.finish().expect("packs")
}
