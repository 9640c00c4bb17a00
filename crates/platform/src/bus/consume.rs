//! Consumer groups: messages of others, each with an effect in SQL exactly once.
//!
//! **Boundary.** A room gives a [`Handler`]; what fetches messages (a broker's client) hands them
//! to an [`Inbox`], which knows nothing of brokers.
//!
//! **Invariants.** The position of a partition moves in the transaction of the effect, and moves
//! first: of two members that handle the same message, after a rebalance or a crash, one finds
//! it moved and does nothing. A message that can never be handled is put aside with its reason
//! and bytes before the position moves over it; one that cannot be handled now is tried again.

use std::collections::BTreeMap;
use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use bytes::Bytes;
use florin_base::Clock;
use futures_util::FutureExt as _;

use super::Publishing;
use crate::sql::{Db, SqlError, Tx, query};

/// One message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Topic, with the configured prefix.
    pub topic: Box<str>,
    /// Partition.
    pub partition: i32,
    /// Place in the partition.
    pub offset: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Content; empty for a tombstone.
    pub value: Bytes,
    /// Headers, in their order.
    pub headers: Vec<(Box<str>, Bytes)>,
}

impl Received {
    /// The last header of this name, if it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().rev().find(|(key, _)| **key == *name);
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// Why a message had no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// It can never have one: it is put aside.
    Poison {
        /// Stable code, snake_case.
        reason: Box<str>,
        /// For people; nothing secret.
        detail: String,
    },
    /// Not now; it is tried again, and what follows in its partition waits.
    Later(String),
}

impl Rejected {
    /// A message that can never have an effect.
    pub fn poison(reason: &str, detail: impl Into<String>) -> Self {
        Self::Poison {
            reason: reason.into(),
            detail: detail.into(),
        }
    }
}

impl From<SqlError> for Rejected {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(_) | SqlError::CommitUnknown(_) => Self::Later(error.to_string()),
            _ => Self::poison("handler_failed", error.to_string()),
        }
    }
}

/// A pending effect.
pub type Handling<'a> = Pin<Box<dyn Future<Output = Result<(), Rejected>> + Send + 'a>>;

/// What a room does with messages.
pub trait Handler: Send + Sync + 'static {
    /// Has an effect of a whole batch in a store of the room's own, before any position moves;
    /// it is safe to be had twice. An error holds the batch back.
    fn prepare<'a>(&'a self, _messages: &'a [Received]) -> Handling<'a> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Has the effect of one message, in `tx` alone: whatever is done elsewhere may be done
    /// twice. After an error nothing of `tx` stays.
    fn handle<'a>(&'a self, message: &'a Received, tx: &'a mut Tx) -> Handling<'a>;

    /// True: [`Handler::prepare`] has every effect and [`Handler::handle`] none, so that a
    /// batch's positions move together.
    fn prepares_all(&self) -> bool {
        false
    }

    /// Told now and then how many messages of a topic (full name) wait behind this member.
    fn behind(&self, _topic: &str, _messages: i64) {}
}

/// What a consumer group reads and does.
pub struct Group {
    /// Name, without the configured prefix.
    pub name: String,
    /// Topics, without the configured prefix.
    pub topics: Vec<String>,
    /// What is done with a message.
    pub handler: Arc<dyn Handler>,
}

/// Where messages are put that can never be handled.
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps the message with the reason; answers when it is kept. It may be kept twice.
    fn park<'a>(
        &'a self,
        message: &'a Received,
        reason: &'a str,
        detail: &'a str,
    ) -> Publishing<'a>;
}

/// Why an [`Inbox`] stopped; the same messages are to be given again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("messages cannot be handled now: {0}")]
pub struct Stalled(pub String);

impl From<SqlError> for Stalled {
    fn from(error: SqlError) -> Self {
        Self(error.to_string())
    }
}

/// What came of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Messages that had their effect.
    pub handled: u64,
    /// Messages that had it before.
    pub known: u64,
    /// Messages that were put aside.
    pub parked: u64,
}

/// The messages of one group, taken in.
#[derive(Clone)]
pub struct Inbox {
    /// Service tables; the migrations of the bus have run.
    pub db: Db,
    /// Name of the group.
    pub group: Arc<str>,
    /// The room.
    pub handler: Arc<dyn Handler>,
    /// Where poison goes.
    pub letters: Arc<dyn DeadLetters>,
    /// Stamps positions, for people who read the table.
    pub clock: Arc<dyn Clock>,
}

impl Inbox {
    /// Takes in messages, in order for each partition: all in one transaction, and one by one
    /// when one of them is rejected.
    ///
    /// # Errors
    /// [`Stalled`]: a part of them may have had its effect; giving all of them again is safe.
    pub async fn take(&self, messages: &[Received]) -> Result<Taken, Stalled> {
        self.prepare(messages).await?;
        if self.handler.prepares_all() {
            return self.pass(messages).await;
        }
        let taken = match self.take_together(messages).await {
            Ok(taken) => taken,
            Err(_) => self.take_singly(messages).await?,
        };
        self.count(taken);
        Ok(taken)
    }

    /// What the room does with a batch before any position moves.
    ///
    /// # Errors
    /// [`Stalled`]: giving the batch again is safe.
    pub(super) async fn prepare(&self, messages: &[Received]) -> Result<(), Stalled> {
        let prepared = self.handler.prepare(messages).await;
        prepared.map_err(|rejected| {
            Stalled(match rejected {
                Rejected::Later(why) => why,
                Rejected::Poison { detail, .. } => detail,
            })
        })
    }

    fn count(&self, taken: Taken) {
        let group = self.group.to_string();
        for (result, count) in [
            ("handled", taken.handled),
            ("known", taken.known),
            ("dead_letter", taken.parked),
        ] {
            metrics::counter!("bus_messages_consumed_total", "group" => group.clone(), "result" => result)
                .increment(count);
        }
    }

    /// Moves the positions over messages whose effects were had ([`Self::prepare`]), of a room
    /// that [prepares all](Handler::prepares_all).
    ///
    /// # Errors
    /// [`Stalled`]: the positions stand where they stood.
    pub(super) async fn pass(&self, messages: &[Received]) -> Result<Taken, Stalled> {
        let mut last: BTreeMap<(&str, i32), (&Received, u64)> = BTreeMap::new();
        for message in messages {
            let of_part = last.entry((&message.topic, message.partition));
            let (newest, count) = of_part.or_insert((message, 0));
            if message.offset > newest.offset {
                *newest = message;
            }
            *count += 1;
        }
        let mut taken = Taken::default();
        let mut tx = self.db.begin().await?;
        for (message, count) in last.into_values() {
            match self.advance(message, &mut tx).await? {
                true => taken.handled += count,
                false => taken.known += count,
            }
        }
        tx.commit().await?;
        self.count(taken);
        Ok(taken)
    }

    async fn take_together(&self, messages: &[Received]) -> Result<Taken, Rejected> {
        let mut taken = Taken::default();
        let mut tx = self.db.begin().await?;
        for message in messages {
            if self.take_one(message, &mut tx).await? {
                taken.handled += 1;
            } else {
                taken.known += 1;
            }
        }
        tx.commit().await?;
        Ok(taken)
    }

    async fn take_singly(&self, messages: &[Received]) -> Result<Taken, Stalled> {
        let mut taken = Taken::default();
        for message in messages {
            let mut tx = self.db.begin().await?;
            match self.take_one(message, &mut tx).await {
                Ok(true) => taken.handled += 1,
                Ok(false) => taken.known += 1,
                Err(Rejected::Later(why)) => return Err(Stalled(why)),
                Err(Rejected::Poison { reason, detail }) => {
                    drop(tx);
                    self.park(message, &reason, &detail).await?;
                    taken.parked += 1;
                    continue;
                }
            }
            tx.commit().await?;
        }
        Ok(taken)
    }

    /// Whether the message had its effect now; false: it had it before.
    async fn take_one(&self, message: &Received, tx: &mut Tx) -> Result<bool, Rejected> {
        if !self.advance(message, tx).await? {
            return Ok(false);
        }
        let handling = AssertUnwindSafe(self.handler.handle(message, tx));
        match handling.catch_unwind().await {
            Ok(done) => done.map(|()| true),
            Err(_) => Err(Rejected::poison("handler_panicked", "see the log")),
        }
    }

    async fn park(&self, message: &Received, reason: &str, detail: &str) -> Result<(), Stalled> {
        tracing::warn!(
            group = &*self.group,
            topic = &*message.topic,
            partition = message.partition,
            offset = message.offset,
            reason,
            "a message cannot be handled and is put aside"
        );
        let kept = self.letters.park(message, reason, detail).await;
        kept.map_err(|error| Stalled(error.to_string()))?;
        let mut tx = self.db.begin().await?;
        self.advance(message, &mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Moves the position over a message. False: it was moved before.
    async fn advance(&self, message: &Received, tx: &mut Tx) -> Result<bool, SqlError> {
        let upsert = "INSERT INTO bus_positions (group_name, topic, part, next_offset, updated_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (group_name, topic, part)
            DO UPDATE SET next_offset = excluded.next_offset, updated_at = excluded.updated_at
            WHERE bus_positions.next_offset < excluded.next_offset";
        let upsert = query(upsert)
            .bind(&*self.group)
            .bind(&*message.topic)
            .bind(i64::from(message.partition))
            .bind(message.offset + 1)
            .bind(self.clock.wall_micros());
        Ok(tx.execute(upsert).await? == 1)
    }

    /// Sets the position of a partition back to a message: what lies behind it is to be read
    /// again, or for the first time.
    ///
    /// # Errors
    /// As [`Db::execute`].
    pub async fn set_back(&self, message: &Received) -> Result<(), SqlError> {
        let update = "UPDATE bus_positions SET next_offset = $4, updated_at = $5
            WHERE group_name = $1 AND topic = $2 AND part = $3 AND next_offset > $4";
        let update = query(update)
            .bind(&*self.group)
            .bind(&*message.topic)
            .bind(i64::from(message.partition))
            .bind(message.offset)
            .bind(self.clock.wall_micros());
        self.db.execute(update).await.map(drop)
    }

    /// Where a partition goes on; `None` for one that was never read.
    ///
    /// # Errors
    /// As [`Db::fetch_all`].
    pub async fn next_offset(&self, topic: &str, partition: i32) -> Result<Option<i64>, SqlError> {
        let select = "SELECT next_offset FROM bus_positions
            WHERE group_name = $1 AND topic = $2 AND part = $3";
        let select = query(select)
            .bind(&*self.group)
            .bind(topic)
            .bind(i64::from(partition));
        let row = self.db.fetch_optional(select).await?;
        row.map(|row| row.get::<i64>("next_offset")).transpose()
    }
}

#[cfg(test)]
mod tests;
