//! Commits appended as they were recorded: a ledger moved here from elsewhere.
//!
//! Boundary: nothing is judged. Each record is replayed onto the same working state that batches
//! are judged on, and written by the same statements, so that balances, history, identities,
//! reservations, hashes and head come out as if the ledger had always been here.

use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    PostgresOptions,
    apply::{self, HeadAfter},
    book::Working,
    cache::Cache,
    collect::Keys,
    directory::Directory,
    load,
    schema::{self, Connections},
    writes::Writes,
};
use crate::{
    engine::pending_of,
    model::{Body, Mode, Record},
    proof::{Frontier, Hash, hash},
    record::codec::Commit,
    rules::{
        Start,
        book::{Book, Known, OpenPending},
        identities, note_identity, replay_limits,
    },
};

/// Records written in one transaction, about.
const TRANSACTION_RECORDS: usize = 20_000;
/// Commits written in one transaction, at most.
const TRANSACTION_COMMITS: usize = 500;
/// Accounts remembered between commits.
const CACHED: usize = 200_000;
/// Most times a commit is replayed until everything it needs is loaded.
const ROUNDS_MAX: usize = 4;

/// Why commits cannot be appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// The database or the way to it.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// What there is does not fit what is to come.
    #[error("{0}")]
    Refused(String),
}

impl From<load::LoadError> for AppendError {
    fn from(error: load::LoadError) -> Self {
        match error {
            load::LoadError::Sql(error) => Self::Sql(error),
            load::LoadError::Malformed(error) => Self::Refused(error.to_string()),
        }
    }
}

fn refused(what: impl std::fmt::Display) -> AppendError {
    AppendError::Refused(what.to_string())
}

/// See the module text.
pub(crate) struct Appender {
    connection: PgConnection,
    working: Working,
    channel: String,
    writer: Uuid,
    attempt: i64,
    /// Where the target stands.
    batch: u64,
    seq: u64,
    note: u64,
    accounts: u64,
    chain: Hash,
    frontier: Frontier,
    /// What the open transaction has; none is open at 0 commits.
    commits: usize,
    records: usize,
}

impl Appender {
    /// Opens a schema that is empty, or holds the beginning of the same ledger. Until
    /// [`Self::finish`] no process opens it as a ledger.
    pub(crate) async fn open(
        options: &PostgresOptions,
        ledger_id: Uuid,
    ) -> Result<Self, AppendError> {
        let connections = Connections::new(options).map_err(refused)?;
        let facts = schema::prepare(&connections, options, ledger_id)
            .await
            .map_err(refused)?;
        let mut connection = connections.mover().await?;
        let mut tx = connection.begin().await?;
        let (before, seq, note): (Uuid, i64, i64) =
            sqlx::query_as("SELECT ledger_id, seq, note FROM head FOR UPDATE")
                .fetch_one(&mut *tx)
                .await?;
        let unfinished: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM unfinished)")
            .fetch_one(&mut *tx)
            .await?;
        if seq == 0 && note == 0 {
            sqlx::query("UPDATE head SET ledger_id = $1, chain = $2")
                .bind(ledger_id)
                .bind(hash::chain0(ledger_id).as_bytes().as_slice())
                .execute(&mut *tx)
                .await?;
        } else if before != ledger_id {
            return Err(refused(format!(
                "the target holds the ledger {before}; move into a schema of its own"
            )));
        } else if !unfinished {
            return Err(refused("the target holds this ledger already, in use"));
        }
        sqlx::query("INSERT INTO unfinished DEFAULT VALUES ON CONFLICT DO NOTHING")
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        let (batch, seq, note, accounts, chain, frontier): (i64, i64, i64, i64, Vec<u8>, Vec<u8>) =
            sqlx::query_as("SELECT batch, seq, note, accounts, chain, frontier FROM head")
                .fetch_one(&mut connection)
                .await?;
        let chain = chain
            .try_into()
            .map_err(|_| refused("the head's chain hash does not have 32 bytes"))?;
        let directory = std::sync::Arc::new(Directory::new(CACHED));
        Ok(Self {
            connection,
            working: Working::new(directory, facts.identity_key, Cache::new(CACHED)),
            channel: format!("{}_head", options.schema),
            writer: Uuid::from_u128(ledger_id.as_u128() ^ 1),
            attempt: 0,
            batch: batch as u64,
            seq: seq as u64,
            note: note as u64,
            accounts: accounts as u64,
            chain: Hash(chain),
            frontier: Frontier::from_bytes(&frontier).map_err(refused)?,
            commits: 0,
            records: 0,
        })
    }

    /// Last record and note that are there.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.seq, self.note)
    }

    /// Appends the commit that comes next.
    pub(crate) async fn append(&mut self, commit: &Commit) -> Result<(), AppendError> {
        let h = &commit.header;
        if (h.first_seq, h.first_note) != (self.seq + 1, self.note + 1) {
            return Err(refused(format!(
                "record {} and note {} come next, not {} and {}",
                self.seq + 1,
                self.note + 1,
                h.first_seq,
                h.first_note
            )));
        }
        if self.commits == 0 {
            self.begin().await?;
        }
        self.replay(commit).await?;
        self.write(commit).await?;
        self.commits += 1;
        self.records += commit.records.len();
        if self.commits >= TRANSACTION_COMMITS || self.records >= TRANSACTION_RECORDS {
            self.flush().await?;
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), AppendError> {
        sqlx::raw_sql("BEGIN").execute(&mut self.connection).await?;
        let (seq, note): (i64, i64) = sqlx::query_as("SELECT seq, note FROM head FOR UPDATE")
            .fetch_one(&mut self.connection)
            .await?;
        if (seq as u64, note as u64) != (self.seq, self.note) {
            return Err(refused("somebody else wrote to the target"));
        }
        Ok(())
    }

    /// Makes what was appended durable.
    pub(crate) async fn flush(&mut self) -> Result<(), AppendError> {
        if self.commits > 0 {
            sqlx::raw_sql("COMMIT")
                .execute(&mut self.connection)
                .await?;
            (self.commits, self.records) = (0, 0);
            self.working.cache.age();
        }
        Ok(())
    }

    /// Everything was appended: the target may be opened as a ledger from now on.
    pub(crate) async fn finish(mut self) -> Result<(), AppendError> {
        self.flush().await?;
        sqlx::query("DELETE FROM unfinished")
            .execute(&mut self.connection)
            .await?;
        Ok(self.connection.close().await?)
    }

    /// Loads what a commit needs and replays it onto the working state.
    async fn replay(&mut self, commit: &Commit) -> Result<(), AppendError> {
        let assets = self.working.assets().to_vec();
        self.working.begin(self.accounts, assets);
        if self.seq > 0 && self.working.assets().is_empty() {
            let assets = load::assets(&mut self.connection, 0).await?;
            self.working.begin(self.accounts, assets);
        }
        let keys = self.keys(commit);
        load::load(&mut self.connection, &mut self.working, keys).await?;
        for _ in 0..ROUNDS_MAX {
            for record in &commit.records {
                replay(&mut self.working, record);
            }
            for (number, note) in (commit.header.first_note..).zip(&commit.notes) {
                note_identity(note, number, |space, scope, id, known| {
                    self.working.remember(space, scope, id, known);
                });
            }
            let missed = self.working.take_missed();
            if missed.is_empty() {
                return Ok(());
            }
            load::load(&mut self.connection, &mut self.working, missed).await?;
            self.working.forget_judgement();
        }
        Err(refused("a commit needs accounts that are not there"))
    }

    /// Accounts and reservations that a commit needs and does not make.
    fn keys(&self, commit: &Commit) -> Keys {
        let mut keys = Keys::default();
        for record in &commit.records {
            keys.slots.extend(record.touches.iter().map(|t| t.slot));
            match &record.body {
                Body::Transfer(t) => {
                    keys.slots.extend([t.debit, t.credit]);
                    keys.pendings.extend(t.pending_id.clone());
                }
                Body::Expired {
                    pending_id,
                    debit,
                    credit,
                    ..
                } => {
                    keys.slots.extend([*debit, *credit]);
                    keys.pendings.insert(pending_id.clone());
                }
                Body::AccountUpdated { slot, .. } | Body::WalletUpdated { slot, .. } => {
                    keys.slots.insert(*slot);
                }
                Body::WalletCreated(wallet) => drop(keys.slots.insert(wallet.slot)),
                Body::AssetCreated(_) | Body::AccountCreated(_) => {}
            }
        }
        // The rows that a commit adds are found in its own changes.
        keys.slots.retain(|slot| u64::from(*slot) < self.accounts);
        keys
    }

    async fn write(&mut self, commit: &Commit) -> Result<(), AppendError> {
        let h = &commit.header;
        let start = Start {
            batch: h.batch,
            now: h.recorded_at,
            last_seq: h.first_seq - 1,
            last_note: h.first_note - 1,
        };
        let mut writes = Writes::of(&self.working, start, &commit.records);
        writes
            .seal(
                &self.working,
                start,
                &commit.records,
                &commit.notes,
                &self.chain,
                &mut self.frontier,
            )
            .await;
        let tails = std::mem::take(&mut writes.tails);
        self.chain = writes.chain.unwrap_or(self.chain);
        self.attempt += 1;
        self.seq += commit.records.len() as u64;
        self.note += commit.notes.len() as u64;
        self.accounts += self.working.new_slots().len() as u64;
        if !commit.records.is_empty() {
            self.batch = h.batch;
        }
        let head = HeadAfter {
            writer: self.writer,
            attempt: self.attempt,
            channel: self.channel.clone(),
            before_seq: start.last_seq,
            seq: self.seq,
            batch: self.batch,
            note: self.note,
            accounts: self.accounts,
            assets: self.working.assets().len(),
            recorded_at: h.recorded_at.0,
            chain: self.chain.as_bytes().to_vec(),
            frontier: self.frontier.to_bytes(),
            replaces: true,
            links: Vec::new(),
            link_numbers: Vec::new(),
        };
        apply::apply(&mut self.connection, head, writes).await?;
        self.working.committed(tails);
        Ok(())
    }
}

/// Takes over what a record says, as an embedded ledger does when it recovers.
fn replay(book: &mut Working, record: &Record) {
    let resolved = replay_body(book, record);
    for touch in record.touches.iter() {
        book.hot_mut(touch.slot).totals = touch.after;
    }
    replay_limits(record, resolved.as_ref(), |slot, change| {
        if book.wallet(slot).is_some() {
            let windows = change(book.windows(slot));
            book.set_windows(slot, windows);
        }
    });
    identities(record, |space, scope, id| {
        book.remember(space, scope, id, Known::Record(record.seq));
    });
}

/// The reservation that the record resolved.
fn replay_body(book: &mut Working, record: &Record) -> Option<OpenPending> {
    match &record.body {
        Body::AssetCreated(asset) => drop(book.add_asset(asset.clone())),
        Body::AccountCreated(account) => {
            book.add_account(account, record.seq, record.recorded_at);
        }
        Body::AccountUpdated {
            slot,
            version,
            change,
        } => {
            book.hot_mut(*slot).version = *version;
            if let Some(status) = change.status {
                book.hot_mut(*slot).status = status;
            }
            if let Some(floor) = change.floor {
                book.set_floor(*slot, floor);
            }
            if let Some(metadata) = &change.metadata {
                book.set_metadata(*slot, metadata.clone());
            }
        }
        Body::Transfer(t) => match (t.mode, t.pending_id.as_deref()) {
            (Mode::Pending, _) => book.add_pending(&t.id, pending_of(record, t)),
            (Mode::Post | Mode::Void, Some(id)) => return book.remove_pending(id),
            _ => {}
        },
        Body::Expired { pending_id, .. } => return book.remove_pending(pending_id),
        Body::WalletCreated(wallet) => book.add_wallet(wallet, record.recorded_at),
        Body::WalletUpdated {
            slot,
            version,
            change,
            ..
        } => {
            let hot = book.hot_mut(*slot);
            hot.version = *version;
            if let Some(status) = change.status {
                hot.status = status;
            }
            if let Some(info) = book.wallet_mut(*slot) {
                info.updated_at = record.recorded_at;
                if let Some(tier) = change.tier.as_deref() {
                    info.tier = tier.into();
                }
                if let Some(limits) = change.limits {
                    info.limits = limits.map(Box::new);
                }
            }
        }
    }
    None
}
