//! The read replica: which views may come from it, and what happens when it is behind or away.
//!
//! Boundary: reads that may be stale (contract E); nothing is decided by it. Invariants: a view
//! from it shows everything that this process knows to be committed; it is asked only while this
//! process hears from the primary, so that what is not known cannot be old; it must hold the same
//! ledger; nobody waits long for it, and a read that fails on it is done on the primary.

use std::time::Duration;

use parking_lot::Mutex;
use sqlx::{Row as _, postgres::PgPool};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::{Reads, store::broken, view::PgView};
use crate::engine::ReadError;

/// Longest wait for the replica to catch up with what is known here (contract E).
const WAIT: Duration = Duration::from_millis(200);
/// Time between two looks at the replica.
const STEP: Duration = Duration::from_millis(10);
/// For how long a replica that did not catch up is left alone.
const REST: Duration = Duration::from_secs(1);
/// For how long one that holds another ledger is.
const REST_WRONG: Duration = Duration::from_secs(60);
/// Without word from the primary for so long, nobody knows how far the replica lags (contract E).
const LAG_MAX: Duration = Duration::from_secs(5);
/// Longest wait for a single read of it.
const READ_MAX: Duration = Duration::from_secs(5);

/// A replica, if one is configured.
pub(super) struct Replica {
    pool: Option<PgPool>,
    rests_until: Mutex<Option<Instant>>,
}

impl Replica {
    pub(super) fn new(pool: Option<PgPool>) -> Self {
        Self {
            pool,
            rests_until: Mutex::default(),
        }
    }

    /// Nobody asks it for a while.
    pub(super) fn rest(&self, duration: Duration) {
        *self.rests_until.lock() = Some(Instant::now() + duration);
    }

    /// After a read that failed.
    pub(super) fn failed(&self, error: &ReadError) {
        tracing::warn!(%error, "a read of the replica failed; the primary is asked");
        self.rest(REST);
    }

    fn awake(&self) -> Option<&PgPool> {
        let until = *self.rests_until.lock();
        let rests = until.is_some_and(|until| Instant::now() < until);
        self.pool.as_ref().filter(|_| !rests)
    }
}

/// A read of the replica, which may hang.
pub(super) async fn in_time<T>(
    read: impl Future<Output = Result<T, ReadError>>,
) -> Result<T, ReadError> {
    let read = timeout(READ_MAX, read).await;
    read.unwrap_or_else(|_| Err(broken("it did not answer in time")))
}

/// Where a replica stands, and of which ledger.
async fn stand(pool: PgPool) -> Result<(u64, Uuid), ReadError> {
    let row = sqlx::query("SELECT seq, ledger_id FROM head");
    let row = row.fetch_one(&pool).await.map_err(broken)?;
    let seq: i64 = row.try_get(0).map_err(broken)?;
    Ok((seq as u64, row.try_get(1).map_err(broken)?))
}

impl Reads {
    /// A view on the replica that shows at least `min`, if it gets that far in time.
    pub(super) async fn replica_view(&self, min: u64) -> Option<PgView> {
        let (store, replica) = (&self.store, &self.store.replica);
        let pool = replica.awake()?;
        if store.shared.silent_for() > LAG_MAX {
            return None;
        }
        let until = Instant::now() + WAIT;
        loop {
            // A server that hangs does not answer with an error.
            let asked = timeout_at(until, store.run(stand(pool.clone()))).await;
            match asked.unwrap_or_else(|_| Err(broken("it did not answer in time"))) {
                Ok((_, ledger)) if ledger != store.shared.ledger_id => {
                    tracing::error!(%ledger, "ledger.replica_url leads to another ledger; it is not used");
                    replica.rest(REST_WRONG);
                    return None;
                }
                Ok((seq, _)) if seq >= min => {
                    return Some(PgView {
                        store: store.clone(),
                        tree: self.tree.clone(),
                        pool: pool.clone(),
                        is_replica: true,
                        seq,
                    });
                }
                Ok(_) if Instant::now() + STEP < until => tokio::time::sleep(STEP).await,
                Ok((seq, _)) => {
                    tracing::debug!(seq, min, "the read replica is behind");
                    replica.rest(REST);
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, "the read replica does not answer");
                    replica.rest(REST);
                    return None;
                }
            }
        }
    }
}
