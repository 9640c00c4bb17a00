//! A view of a ledger in PostgreSQL as of a `seq`: single records, identities, the feed.
//!
//! Records never change and `seq` has no gaps, so that a view needs no transaction: it never
//! looks at anything recorded later than its `seq`.

use std::sync::Arc;

use florin_base::Timestamp;
use sqlx::{Row as _, postgres::PgPool};

use super::{
    super::rows,
    proofs::LedgerTree,
    replica,
    store::{LineNames, Store, broken},
};
use crate::{
    engine::{IdLookup, ReadError, TransferState},
    model::{Body, Mode, Record},
    record::line::write_line,
    rules::book::{Known, Space},
};

/// See the module text. All methods block.
#[derive(Clone)]
pub(crate) struct PgView {
    pub(super) store: Arc<Store>,
    pub(super) tree: Arc<LedgerTree>,
    pub(super) pool: PgPool,
    /// Whether `pool` leads to the read replica.
    pub(super) is_replica: bool,
    pub(super) seq: u64,
}

impl PgView {
    /// Runs a read of this view on the readers' threads and blocks for its answer. The primary
    /// holds all that its replica showed: what fails there is read here.
    pub(super) fn block<T, W>(&self, work: impl FnOnce(Self) -> W + Clone) -> Result<T, ReadError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, ReadError>> + Send + 'static,
    {
        if self.is_replica {
            let read = replica::in_time(work.clone()(self.clone()));
            match self.store.block(read) {
                Err(error) => self.store.replica.failed(&error),
                done => return done,
            }
        }
        self.store.block(work(Self {
            pool: match self.is_replica {
                true => self.store.primary.clone(),
                false => self.pool.clone(),
            },
            is_replica: false,
            ..self.clone()
        }))
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn as_of(&self, seq: u64) -> Self {
        Self {
            seq: seq.min(self.seq),
            ..self.clone()
        }
    }

    pub(crate) fn record(&self, seq: u64) -> Result<Record, ReadError> {
        if let Some(chunk) = self.store.cached(seq)
            && let Some(record) = chunk.get(seq)
        {
            return Ok(record.clone());
        }
        self.block(move |view| async move {
            let chunk = view.store.load_chunk(&view.pool, seq).await?;
            let record = chunk.get(seq).cloned();
            record.ok_or_else(|| {
                broken(format!(
                    "record {seq} is not in the journal; it may have been archived"
                ))
            })
        })
    }

    /// What an identity stands for, whenever that was recorded.
    async fn known(&self, space: Space, id: &str) -> Result<Option<Known>, ReadError> {
        let key = rows::key(&self.store.shared.hash_key, space, &[], id);
        let found: Option<(i64,)> = sqlx::query_as("SELECT known FROM ids WHERE key = $1")
            .bind(key)
            .fetch_optional(&self.pool)
            .await
            .map_err(broken)?;
        found
            .map(|(number,)| rows::known(number).map_err(broken))
            .transpose()
    }

    /// The record of an identity, if it is in the view.
    async fn recorded(&self, space: Space, id: &str) -> Result<Option<Record>, ReadError> {
        match self.known(space, id).await? {
            Some(Known::Record(seq)) if seq <= self.seq => {
                let chunk = match self.store.cached(seq) {
                    Some(chunk) => chunk,
                    None => self.store.load_chunk(&self.pool, seq).await?,
                };
                Ok(chunk.get(seq).cloned())
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn transfer(&self, id: &str) -> Result<IdLookup, ReadError> {
        let id = id.to_owned();
        self.block(move |view| async move {
            let known = view.known(Space::Transfer, &id).await?;
            if let Some(Known::Refused(code)) = known {
                return Ok(IdLookup::Refused(code));
            }
            let Some(Known::Record(seq)) = known else {
                return Ok(IdLookup::Unknown);
            };
            if seq > view.seq {
                return Ok(IdLookup::Unknown);
            }
            let mut records = view.store.records(&view.pool, &[seq]).await?;
            let record = records.pop().map(Box::new).map(IdLookup::Recorded);
            record.ok_or_else(|| {
                broken(format!(
                    "record {seq} is not in the journal; it may have been archived"
                ))
            })
        })
    }

    pub(crate) fn state(&self, record: &Record) -> Result<TransferState, ReadError> {
        let mut state = TransferState {
            state: "recorded",
            posted_amount: None,
            resolved_by: None,
            reversed_by: None,
        };
        let Some(t) = record.transfer() else {
            return Ok(state);
        };
        let id = t.id.clone();
        match t.mode {
            Mode::Void => {}
            Mode::Pending => {
                state.state = "pending";
                let asked = id.clone();
                let resolver = self
                    .block(|view| async move { view.recorded(Space::Resolution, &asked).await })?;
                if let Some(resolver) = resolver {
                    resolve(&mut state, &id, &resolver);
                }
            }
            Mode::Single | Mode::Post => {
                let reversal: Box<str> = format!("{id}:rev").into();
                let asked = reversal.clone();
                let found =
                    self.block(|view| async move { view.recorded(Space::Transfer, &asked).await })?;
                state.reversed_by = found.map(|record| (reversal, record.seq));
            }
        }
        Ok(state)
    }

    pub(crate) fn recorded_at(&self, seq: u64) -> Result<Timestamp, ReadError> {
        self.record(seq).map(|record| record.recorded_at)
    }

    pub(crate) fn seq_at(&self, recorded: Timestamp) -> Result<u64, ReadError> {
        self.block(move |view| async move { view.last_through(recorded.0).await })
    }

    /// Last `seq` with `recordedAt` at or before a time; 0 if none.
    pub(super) async fn last_through(&self, recorded: i64) -> Result<u64, ReadError> {
        let next: Option<(i64,)> = sqlx::query_as(
            "SELECT first_seq FROM batches WHERE recorded_at > $1 ORDER BY recorded_at LIMIT 1",
        )
        .bind(recorded)
        .fetch_optional(&self.pool)
        .await
        .map_err(broken)?;
        Ok(next.map_or(self.seq, |(first,)| (first as u64 - 1).min(self.seq)))
    }

    /// Last `seq` with `recordedAt` before a time; 0 if none.
    pub(super) async fn last_before(&self, recorded: i64) -> Result<u64, ReadError> {
        self.last_through(recorded.saturating_sub(1)).await
    }

    pub(crate) fn feed(
        &self,
        after: u64,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<u64, ReadError> {
        let last = self.last_of(after, limit);
        for seq in after + 1..=last {
            self.write_line(&self.record(seq)?, out)?;
            out.push(b'\n');
        }
        Ok(last)
    }

    pub(crate) fn records(
        &self,
        after: u64,
        limit: usize,
        mut f: impl FnMut(&Record),
    ) -> Result<u64, ReadError> {
        let last = self.last_of(after, limit);
        for seq in after + 1..=last {
            f(&self.record(seq)?);
        }
        Ok(last)
    }

    fn last_of(&self, after: u64, limit: usize) -> u64 {
        self.seq.min(after.saturating_add(limit as u64)).max(after)
    }

    fn write_line(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), ReadError> {
        write_line(record, &LineNames::of(&self.store, record)?, out);
        Ok(())
    }

    pub(crate) fn line(&self, seq: u64) -> Result<Vec<u8>, ReadError> {
        let mut line = Vec::new();
        self.write_line(&self.record(seq)?, &mut line)?;
        Ok(line)
    }

    pub(crate) fn accounts(&self) -> Result<usize, ReadError> {
        self.block(|view| async move {
            let row = sqlx::query("SELECT accounts FROM head")
                .fetch_one(&view.pool)
                .await
                .map_err(broken)?;
            let count: i64 = row.try_get(0).map_err(broken)?;
            Ok(count as usize)
        })
    }
}

/// What a post, void or expiry makes of a reservation.
fn resolve(state: &mut TransferState, pending: &str, resolver: &Record) {
    let id: Box<str> = match &resolver.body {
        Body::Transfer(by) if by.mode == Mode::Post => {
            state.state = "posted";
            state.posted_amount = Some(by.amount);
            by.id.clone()
        }
        Body::Transfer(by) => {
            state.state = "voided";
            by.id.clone()
        }
        _ => {
            state.state = "expired";
            format!("{pending}:exp").into()
        }
    };
    state.resolved_by = Some((id, resolver.seq));
}
