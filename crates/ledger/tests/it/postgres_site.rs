//! A ledger in a PostgreSQL schema of its own, and what must hold of it after anything.

use std::{sync::Arc, time::Duration};

use florin_base::clock::SystemClock;
use florin_ledger::{
    Answer, Call, Ledger, Outcome, Policy, PostgresOptions, ResultCode, Unavailable,
    call::{Item, ItemResult, TransfersCall},
    rules::prepare::{RawItem, prepare},
};
use sqlx::{Connection, PgConnection, Row};
use tokio::runtime::Runtime;

use super::{
    postgres_proxy::Proxy,
    postgres_server::{self, Server},
};

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A ledger in a schema of its own, with as many handles as asked for.
pub struct Site {
    pub url: String,
    schema: String,
    dir: tempfile::TempDir,
}

impl Site {
    pub fn new(server: &Server) -> Self {
        Self {
            url: server.url.clone(),
            schema: postgres_server::schema(),
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    pub fn options(&self, name: &str) -> PostgresOptions {
        self.options_at(&self.url, name)
    }

    fn options_at(&self, url: &str, name: &str) -> PostgresOptions {
        let mut options = PostgresOptions::new(url, self.dir.path().join(name));
        // Nearly every batch is written in two steps, with the next one judged beside it.
        options.large_batch = 2;
        options.schema = self.schema.clone();
        options
    }

    /// Of a process that reaches the server through a proxy of its own.
    pub async fn options_by_proxy(&self, server: &Server, name: &str) -> (PostgresOptions, Proxy) {
        let proxy = Proxy::start(server.port).await;
        let [direct, by_proxy] = [server.port, proxy.port].map(|port| port.to_string());
        let url = self.url.replace(&direct, &by_proxy);
        (self.options_at(&url, name), proxy)
    }

    pub async fn open_by_proxy(&self, server: &Server, name: &str) -> (Ledger, Proxy) {
        let (options, proxy) = self.options_by_proxy(server, name).await;
        (self.open_with(options).await, proxy)
    }

    pub async fn open(&self, name: &str) -> Ledger {
        self.open_with(self.options(name)).await
    }

    pub async fn open_with(&self, options: PostgresOptions) -> Ledger {
        Ledger::open_postgres(options, Policy::default(), Arc::new(SystemClock))
            .await
            .expect("the ledger opens")
    }

    pub async fn sql(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.url).await.expect("a server");
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "SET search_path = {}",
            self.schema
        )))
        .execute(&mut connection)
        .await
        .expect("a schema");
        connection
    }
}

pub fn item(json: &str) -> Item {
    let raw: RawItem<'_> = serde_json::from_str(json).expect("well formed");
    prepare(raw, || "made".into())
}

pub fn transfer(id: &str, debit: &str, credit: &str, amount: u64) -> Item {
    item(&format!(
        r#"{{"id":"{id}","debitAccountId":"{debit}","creditAccountId":"{credit}","asset":"BRL","code":"t","amountMinor":"{amount}"}}"#
    ))
}

pub fn transfers(items: Vec<Item>) -> Call {
    Call::Transfers(TransfersCall {
        actor: Some("tester".into()),
        items,
        key: None,
    })
}

pub fn account(id: &str) -> Call {
    Call::CreateAccount(florin_ledger::call::CreateAccount {
        actor: None,
        id: florin_ledger::model::AccountId::parse(id).expect("an id"),
        asset: "BRL".into(),
        kind: florin_ledger::model::AccountKind::Liability,
        normal: None,
        floor: florin_ledger::model::Floor::None,
        metadata: Default::default(),
        key: None,
    })
}

pub fn results(answer: &Answer) -> &[ItemResult] {
    match &answer.outcome {
        Outcome::Items(results) => results,
        other => panic!("not a list: {other:?}"),
    }
}

pub fn codes(answer: &Answer) -> Vec<ResultCode> {
    results(answer).iter().map(|r| r.code).collect()
}

/// What must hold after anything: numbers without gaps, sums of zero, one identity for each
/// transfer, the head where the journal ends. Returns (last seq, count of ids).
pub async fn check(site: &Site) -> (i64, i64) {
    let mut sql = site.sql().await;
    let row = sqlx::query(
        "SELECT h.seq, h.batch, (SELECT coalesce(sum(records), 0) FROM journal), \
         (SELECT count(*) FROM batches), \
         (SELECT coalesce(max(first_seq + records - 1), 0) FROM journal), \
         (SELECT coalesce(sum(dp - cp), 0)::bigint FROM balances), \
         (SELECT coalesce(sum(dr - cr), 0)::bigint FROM balances), \
         (SELECT count(*) FROM ids), \
         (SELECT count(*) FROM (SELECT first_seq, lag(first_seq + records) OVER (ORDER BY first_seq) AS before \
            FROM journal) j WHERE before <> first_seq), \
         h.accounts, (SELECT count(*) FROM balances), (SELECT count(*) FROM accounts) FROM head h",
    )
    .fetch_one(&mut sql)
    .await
    .expect("a head");
    let seq: i64 = row.get(0);
    assert_eq!(row.get::<i64, _>(2), seq, "records in the journal");
    assert_eq!(row.get::<i64, _>(3), row.get::<i64, _>(1), "batches");
    assert_eq!(row.get::<i64, _>(4), seq, "the journal ends at the head");
    assert_eq!(row.get::<i64, _>(5), 0, "posted sums");
    assert_eq!(row.get::<i64, _>(6), 0, "reserved sums");
    assert_eq!(row.get::<i64, _>(8), 0, "gaps");
    assert_eq!(row.get::<i64, _>(9), row.get::<i64, _>(10), "balances");
    assert_eq!(row.get::<i64, _>(9), row.get::<i64, _>(11), "accounts");
    (seq, row.get(7))
}

pub async fn balance(site: &Site, name: &str) -> i64 {
    let mut sql = site.sql().await;
    sqlx::query_scalar("SELECT cp - dp FROM balances JOIN accounts USING (slot) WHERE name = $1")
        .bind(name)
        .fetch_one(&mut sql)
        .await
        .expect("an account")
}

/// Opens accounts `x`, `y` and `n` more named `a0`, `a1` …
pub async fn accounts(ledger: &Ledger, more: usize) {
    for id in ["x", "y"] {
        ledger.submit(account(id)).await.expect("an answer");
    }
    for number in 0..more {
        let call = account(&format!("a{number}"));
        ledger.submit(call).await.expect("an answer");
    }
}

/// Sends a call until it is answered; only an unknown outcome may have been done before.
pub async fn until_done(ledger: &Ledger, call: Call) {
    until_settled(ledger, call, false).await;
}

/// The same for a call that may have been done.
pub async fn until_settled(ledger: &Ledger, call: Call, mut maybe_done: bool) {
    for _ in 0..400 {
        match ledger.submit(call.clone()).await {
            Ok(answer) => {
                let code = codes(&answer)[0];
                let expected =
                    code == ResultCode::Created || (maybe_done && code == ResultCode::Exists);
                assert!(expected, "{code:?} after an unknown outcome: {maybe_done}");
                return;
            }
            Err(Unavailable::CommitUnknown) => maybe_done = true,
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never answered");
}
