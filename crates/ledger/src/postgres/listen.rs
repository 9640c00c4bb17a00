//! Notices what other processes committed: LISTEN, and a light poll while that is away, so that
//! followers of the feed wake whichever process wrote.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use florin_base::Timestamp;
use sqlx::{
    Row as _,
    postgres::{PgListener, PgNotification, PgPool},
};

use super::Shared;
use crate::call::Head;

/// How often the head is read while there is no LISTEN.
const POLL: Duration = Duration::from_millis(100);
/// How long notifications gather: at hundreds of commits a second, each would cost a read.
const GATHER: Duration = Duration::from_millis(2);
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
        let told = match &mut listener {
            Some(live) => match tokio::time::timeout(SAFETY_POLL, live.try_recv()).await {
                Ok(Ok(Some(told))) => Some(newest(live, &told).await),
                // A quiet second.
                Err(_) => None,
                Ok(Ok(None) | Err(_)) => {
                    listener = None;
                    None
                }
            },
            None => {
                tokio::time::sleep(POLL).await;
                None
            }
        };
        let Some(shared) = alive(&shared) else { return };
        // Own commits, and those that a sequencer told of, are no news.
        let is_news = told.is_none_or(|told| told.is_none_or(|seq| seq > *shared.seq.borrow()));
        if is_news && let Ok(head) = head(&pool).await {
            shared.advance(head);
        }
    }
}

/// The last `seq` of a notification and of those that follow it at once.
async fn newest(listener: &mut PgListener, first: &PgNotification) -> Option<u64> {
    let mut seq = first.payload().parse().ok();
    tokio::time::sleep(GATHER).await;
    while let Some(next) = listener.next_buffered() {
        seq = next.payload().parse().ok();
    }
    seq
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
