//! What tests stand on: a store for each test, SQLite always and a real
//! PostgreSQL where its programs are installed.

#[cfg(feature = "kafka")]
pub mod brokers;
pub mod mirrored;
pub mod moto;
pub mod postgres;
pub mod process;
pub mod redis;

use std::path::PathBuf;
use std::sync::Arc;

use crate::sql::Db;
use postgres::TestPostgres;

tokio::task_local! {
    static SERVER: Arc<TestPostgres>;
}

/// The file of real transactions of a bank, in the folder `FLORIN_SHARED_DATA` or in
/// `../shared/data` beside the repository; `None`, said by name, where it is absent.
pub fn bank_transactions_file() -> Option<PathBuf> {
    let named = std::env::var_os("FLORIN_SHARED_DATA").filter(|folder| !folder.is_empty());
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let folder = named.map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let file = folder.join("bank-transactions.csv");
    if !file.is_file() {
        process::skipped("no bank-transactions.csv (FLORIN_SHARED_DATA)");
        return None;
    }
    Some(file)
}

/// What is in [`bank_transactions_file`].
///
/// # Panics
/// When it cannot be read.
pub fn bank_transactions() -> Option<String> {
    let file = bank_transactions_file()?;
    Some(std::fs::read_to_string(file).expect("readable"))
}

/// An empty store of the kind that the running case is about.
pub async fn fresh_db() -> Db {
    match SERVER.try_with(Arc::clone) {
        Ok(server) => server.fresh().await,
        Err(_) => Db::open_memory().await.expect("opens"),
    }
}

/// A second handle to the same store, as another process would have it. SQLite serves one
/// process, so there it is the same handle.
pub async fn neighbour(db: &Db) -> Db {
    match db.postgres_settings() {
        Some(settings) => Db::open_postgres(settings).await.expect("opens"),
        None => db.clone(),
    }
}

/// Runs a case on a server.
pub async fn on<T>(server: &Arc<TestPostgres>, case: impl Future<Output = T>) -> T {
    SERVER.scope(Arc::clone(server), case).await
}

#[cfg(test)]
/// Makes tests of cases, `async fn`s without arguments: each on SQLite, and all of them on one
/// PostgreSQL.
macro_rules! conformance {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case().await;
                }
            )+
        }

        #[tokio::test]
        async fn on_postgres() {
            let Some(server) = crate::testing::postgres::TestPostgres::start().await else {
                return;
            };
            $(
                eprintln!("on PostgreSQL: {}", stringify!($case));
                crate::testing::on(&server, $case()).await;
            )+
        }
    };
}
#[cfg(test)]
pub(crate) use conformance;
