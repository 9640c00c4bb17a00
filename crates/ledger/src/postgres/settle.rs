//! What became of a commit whose connection was lost.
//!
//! Callers hear within a second, if need be that it is not known; the process goes on asking, as
//! what it remembers of accounts hangs on the answer.

use std::{mem::take, pin::pin, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    attempt::Decided,
    batcher::{Batcher, Next, RECONNECT, RETRY_BUSY, refuse_all},
    queue::Message,
    schema::CONNECT_TIMEOUT,
    session::{Session, is_timeout, outcome},
};
use crate::{
    call::{Head, Unavailable},
    model::Slot,
};

/// How long the outcome of a commit is asked for.
const SETTLE: Duration = Duration::from_secs(3);

/// A batch whose commit was sent.
pub(super) struct InDoubt {
    pub after: Head,
    /// Hash chain after it.
    pub chain: Vec<u8>,
    pub tails: Vec<(Slot, Vec<u64>)>,
    /// Its changes are remembered already.
    pub applied: bool,
}

/// A session that was lost while it committed.
pub(super) struct Lost {
    pub session: Session,
    pub decided: Decided,
    /// Since when its batch is being decided.
    pub since: Instant,
}

impl Batcher {
    /// Finds out what became of it; a batch that cannot wait so long is answered and emptied.
    pub(super) async fn settle_in_time(
        &mut self,
        lost: Lost,
        error: &sqlx::Error,
        batch: &mut Vec<Message>,
    ) -> Next {
        tracing::warn!(%error, "the connection was lost while committing");
        let mut patience = CONNECT_TIMEOUT;
        if is_timeout(error) {
            // Its callers have waited nearly a second for a server that says nothing, and so have
            // those behind them.
            patience = Duration::ZERO;
            self.away(error);
            self.refuse_waiting();
        }
        let mut settled = pin!(self.settle(lost));
        if let Ok(next) = timeout(patience, settled.as_mut()).await {
            return next;
        }
        refuse_all(take(batch), Unavailable::CommitUnknown);
        settled.await
    }

    /// Finds out what became of a commit whose connection was lost. Whoever holds the head's lock
    /// sees every commit before: the lost session has either committed or never will.
    async fn settle(&mut self, lost: Lost) -> Next {
        self.valid_at = None;
        let begun = Instant::now();
        let Lost {
            session,
            decided,
            since,
        } = lost;
        let (pid, started) = (session.pid, session.started);
        drop(session.connection);
        while begun.elapsed() < SETTLE {
            if self.session.is_none() && !self.connect().await {
                tokio::time::sleep(RECONNECT).await;
                continue;
            }
            let Some(mut session) = self.session.take() else {
                continue;
            };
            let mut pulse = self.take_pulse();
            let asked = outcome(&mut session.connection, pid, &started, self.writer);
            let asked = pulse.during(asked).await;
            self.pulse = Some(pulse);
            match asked {
                Ok(last) => {
                    self.session = Some(session);
                    let happened = last.is_some_and(|last| last >= self.attempt);
                    tracing::info!(happened, "the outcome of the lost commit was found");
                    self.settled(happened);
                    return match happened {
                        true => Next::Answer(decided),
                        false if since.elapsed() < RETRY_BUSY => Next::Again,
                        // A commit that the server refuses every time.
                        false => Next::Refuse(Unavailable::StoreUnavailable),
                    };
                }
                Err(error) => tracing::warn!(%error, "the outcome of a lost commit is asked again"),
            }
        }
        self.settled(false);
        self.shared.queue.set_away(true);
        tracing::error!("the outcome of a commit could not be found out");
        Next::Refuse(Unavailable::CommitUnknown)
    }

    /// The last commit happened or did not.
    pub(super) fn settled(&mut self, happened: bool) {
        let Some(InDoubt {
            after,
            chain,
            tails,
            applied,
        }) = self.in_doubt.take()
        else {
            return;
        };
        if happened {
            if !applied {
                self.working.committed(tails);
            }
            self.working.cache.age();
            self.doubts = self.doubts.saturating_sub(1);
            self.valid_at = Some(after.seq);
            self.known = (after.batch > 0).then_some((after.batch, chain));
            self.shared.advance(after);
        }
    }
}
