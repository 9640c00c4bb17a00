//! Looks at the shared database: how old its oldest transaction is, whoever's. One that stays open
//! holds back vacuum and locks (deployment contract, DEP-125).
//!
//! Boundary: reads `pg_stat_activity` alone. Of users whose transactions may not be seen nothing is
//! known; on AWS units are members of `pg_monitor`, who see all.

use std::time::Duration;

use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::{Db, SqlError, query};
use metrics::gauge;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(15);

/// Seconds since the oldest open transaction of another session began.
const OLDEST: &str =
    "SELECT COALESCE(MAX(EXTRACT(EPOCH FROM clock_timestamp() - xact_start)), 0)::bigint AS age
    FROM pg_stat_activity
    WHERE xact_start IS NOT NULL AND backend_type = 'client backend' AND pid <> pg_backend_pid()";

/// Runs until draining begins; does nothing where the tables are the process's own.
pub async fn run(db: Db, shutdown: Shutdown) {
    if !db.is_shared() {
        return shutdown.drain().await;
    }
    let mut turns = shutdown.turns(LOOK);
    while turns.next().await {
        match oldest(&db).await {
            Ok(seconds) => gauge!("db_oldest_transaction_seconds").set(seconds as f64),
            Err(error) => tracing::warn!(%error, "transactions of the database could not be seen"),
        }
    }
}

async fn oldest(db: &Db) -> Result<i64, SqlError> {
    let row = db.fetch_optional(query(OLDEST)).await?;
    row.map_or(Ok(0), |row| row.get("age"))
}

#[cfg(test)]
mod tests {
    use florin_platform::testing::postgres::TestPostgres;

    use super::*;

    #[tokio::test]
    async fn dep_125_an_open_transaction_is_seen_and_idle_sessions_are_not() {
        let Some(server) = TestPostgres::start().await else {
            println!("SKIPPED an_open_transaction_is_seen: PostgreSQL is not installed");
            return;
        };
        let (one, other) = (server.fresh().await, server.fresh().await);
        assert_eq!(oldest(&one).await.expect("reads"), 0);
        let mut tx = other.begin().await.expect("begins");
        tx.execute(query("SELECT pg_sleep(1.2)"))
            .await
            .expect("sleeps");
        assert!(oldest(&one).await.expect("reads") >= 1);
        tx.commit().await.expect("ends");
        assert_eq!(oldest(&one).await.expect("reads"), 0);
        one.close().await;
        other.close().await;
    }
}
