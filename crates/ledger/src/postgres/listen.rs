//! Notices what other processes committed: LISTEN, and a light poll while that is away, so that
//! followers of the feed wake whichever process wrote.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use florin_base::Timestamp;
use sqlx::{
    Row as _,
    postgres::{PgListener, PgPool},
};

use super::Shared;
use crate::call::Head;

/// How often the head is read while there is no LISTEN.
const POLL: Duration = Duration::from_millis(100);
/// How often it is read all the same.
const SAFETY_POLL: Duration = Duration::from_secs(1);

/// Where the ledger stands.
pub(super) async fn head(pool: &PgPool) -> Result<Head, sqlx::Error> {
    let row = sqlx::query("SELECT seq, batch, recorded_at FROM head")
        .fetch_one(pool)
        .await?;
    Ok(Head {
        seq: row.try_get::<i64, _>(0)? as u64,
        batch: row.try_get::<i64, _>(1)? as u64,
        recorded_at: Timestamp(row.try_get(2)?),
    })
}

/// Follows the head until the ledger is closed.
pub(super) async fn follow(shared: Weak<Shared>, pool: PgPool, channel: String) {
    let mut listener: Option<PgListener> = None;
    loop {
        if listener.is_none() {
            listener = listen(&pool, &channel).await;
        }
        let wait = match &mut listener {
            // A notification, a lost connection and a quiet second all mean: look.
            Some(live) => match tokio::time::timeout(SAFETY_POLL, live.try_recv()).await {
                Ok(Ok(Some(_))) | Err(_) => Duration::ZERO,
                Ok(Ok(None) | Err(_)) => {
                    listener = None;
                    Duration::ZERO
                }
            },
            None => POLL,
        };
        tokio::time::sleep(wait).await;
        let Some(shared) = alive(&shared) else { return };
        if let Ok(head) = head(&pool).await {
            shared.advance(head);
        }
    }
}

fn alive(shared: &Weak<Shared>) -> Option<Arc<Shared>> {
    shared.upgrade().filter(|shared| !shared.queue.is_closed())
}

async fn listen(pool: &PgPool, channel: &str) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.eager_reconnect(false);
    listener.listen(channel).await.ok()?;
    Some(listener)
}
