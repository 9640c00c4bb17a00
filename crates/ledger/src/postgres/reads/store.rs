//! What every reader shares: connections, a small runtime of their own, and what was read before.
//!
//! The runtime is the readers' own, so that a read may wait for the database from anywhere: from
//! a blocking thread of a server as well as from a test without a runtime.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, mpsc::sync_channel},
};

use florin_base::Timestamp;
use sqlx::{Row as _, postgres::PgPool, postgres::PgRow};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::super::{PostgresOptions, Shared, directory::Row, rows, schema::Connections};
use crate::{
    engine::{OpenError, ReadError},
    model::{AccountId, AccountKind, Asset, AssetNo, Body, Record, Side, Slot},
    record::{bytes::Take, codec::take_asset, line::Names},
};

use super::{
    chunks::{Chunk, Chunks},
    replica::Replica,
};

/// Threads that wait for the database; the work is the database's.
const THREADS: usize = 2;
/// Chunks read beside the one asked for when a reader walks along: about 128 KiB.
const READ_AHEAD: i64 = 16;
/// Longest wait of a read for its answer; statements have a shorter limit of their own.
const READ_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// A read failed; the text is for logs only.
pub(super) fn broken(error: impl std::fmt::Display) -> ReadError {
    ReadError::Store(error.to_string())
}

/// See the module text.
pub(super) struct Store {
    pub shared: Arc<Shared>,
    /// Absent only while it is dropped.
    runtime: Option<Runtime>,
    /// Shows every acknowledged write.
    pub primary: PgPool,
    /// May be stale.
    pub replica: Replica,
    chunks: Chunks,
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Also from inside an async task, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

impl Store {
    pub(super) fn new(
        shared: Arc<Shared>,
        connections: &Connections,
        options: &PostgresOptions,
    ) -> Result<Self, OpenError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("florin-pg-read")
            .enable_all()
            .build()
            .map_err(|e| OpenError::Refused(format!("no threads for reads: {e}")))?;
        let (primary, replica) = {
            let _entered = runtime.enter();
            let primary = connections.pool(options.pool_max);
            let url = options.replica_url.as_ref();
            let replica = url.map(|_| connections.stale_pool(options.pool_max));
            (primary, Replica::new(replica))
        };
        Ok(Self {
            shared,
            runtime: Some(runtime),
            primary,
            replica,
            chunks: Chunks::default(),
        })
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.runtime
            .as_ref()
            .expect("it is taken only when the store is dropped")
    }

    /// Runs a read on the readers' threads and blocks for its answer.
    pub(super) fn block<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ReadError>> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (sender, receiver) = sync_channel(1);
        self.runtime().spawn(async move {
            // Whoever asked may have gone away.
            drop(sender.send(work.await));
        });
        receiver
            .recv_timeout(READ_TIMEOUT)
            .map_err(|_| broken("the database did not answer in time"))?
    }

    /// The same for callers that may await.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ReadError>> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.runtime().spawn(work).await.map_err(broken)?
    }

    /// An account, from what was met before or from the database.
    pub(super) fn row(self: &Arc<Self>, slot: Slot) -> Result<Arc<Row>, ReadError> {
        if let Some(row) = self.shared.directory.row(slot) {
            return Ok(row);
        }
        let store = self.clone();
        let rows = self.block(async move {
            let pool = store.primary.clone();
            store.load_rows(&pool, vec![slot]).await
        })?;
        rows.into_iter()
            .next()
            .map(|(_, row)| row)
            .ok_or_else(|| broken(format!("there is no account {slot}")))
    }

    /// An asset, from what was met before or from the database.
    pub(super) fn asset(self: &Arc<Self>, no: AssetNo) -> Result<Arc<Asset>, ReadError> {
        if let Some(asset) = self.shared.directory.asset(no) {
            return Ok(asset);
        }
        let store = self.clone();
        let assets = self.block(async move {
            let pool = store.primary.clone();
            store.load_assets(&pool).await
        })?;
        assets
            .get(usize::from(no))
            .cloned()
            .ok_or_else(|| broken(format!("there is no asset {no}")))
    }

    /// All assets there are now.
    pub(super) async fn load_assets(&self, pool: &PgPool) -> Result<Vec<Arc<Asset>>, ReadError> {
        let mut assets = self.shared.directory.assets();
        let more: Vec<(Vec<u8>,)> =
            sqlx::query_as("SELECT body FROM assets WHERE no >= $1 ORDER BY no")
                .bind(assets.len() as i32)
                .fetch_all(pool)
                .await
                .map_err(broken)?;
        for (body,) in more {
            let asset = take_asset(&mut Take::new(&body)).map_err(broken)?;
            assets.push(Arc::new(asset));
        }
        self.shared.directory.set_assets(&assets);
        Ok(assets)
    }

    /// Reads accounts and keeps what never changes about them.
    pub(super) async fn load_rows(
        &self,
        pool: &PgPool,
        slots: Vec<Slot>,
    ) -> Result<Vec<(Slot, Arc<Row>)>, ReadError> {
        let slots: Vec<i32> = slots.into_iter().map(|slot| slot as i32).collect();
        let found = sqlx::query(
            "SELECT slot, wallet, name, asset, kind, normal, created_seq, created_at, owner
             FROM accounts WHERE slot = ANY($1)",
        )
        .bind(slots)
        .fetch_all(pool)
        .await
        .map_err(broken)?;
        let rows: Vec<(Slot, Arc<Row>)> = found
            .iter()
            .map(|row| {
                Ok((
                    row.try_get::<i32, _>(0).map_err(broken)? as Slot,
                    account(row)?,
                ))
            })
            .collect::<Result<_, ReadError>>()?;
        self.shared.directory.add(rows.iter().cloned());
        Ok(rows)
    }

    /// The account of an id.
    pub(super) async fn find(
        &self,
        pool: &PgPool,
        id: &AccountId,
    ) -> Result<Option<Slot>, ReadError> {
        if let Some(slot) = self.shared.directory.slot(id) {
            return Ok(Some(slot));
        }
        let query = match id {
            AccountId::Wallet(wallet) => sqlx::query(
                "SELECT slot, wallet, name, asset, kind, normal, created_seq, created_at, owner
                 FROM accounts WHERE wallet = $1",
            )
            .bind(Uuid::from_u128(*wallet)),
            AccountId::Named(name) => sqlx::query(
                "SELECT slot, wallet, name, asset, kind, normal, created_seq, created_at, owner
                 FROM accounts WHERE name = $1",
            )
            .bind(name.as_str().to_owned()),
        };
        let Some(row) = query.fetch_optional(pool).await.map_err(broken)? else {
            return Ok(None);
        };
        let slot = row.try_get::<i32, _>(0).map_err(broken)? as Slot;
        self.shared.directory.add([(slot, account(&row)?)]);
        Ok(Some(slot))
    }

    /// The chunk with a record, if it was read before.
    pub(super) fn cached(&self, seq: u64) -> Option<Arc<Chunk>> {
        self.chunks.find(seq)
    }

    /// Reads the chunk with a record; more along with it for readers that walk.
    pub(super) async fn load_chunk(
        &self,
        pool: &PgPool,
        seq: u64,
    ) -> Result<Arc<Chunk>, ReadError> {
        let forward = seq > 1 && self.chunks.find(seq - 1).is_some();
        let backward = self.chunks.find(seq + 1).is_some();
        let found = match (forward, backward) {
            (true, false) => self.ahead(pool, seq).await?,
            (false, true) => self.behind(pool, seq).await?,
            _ => self.chunks_of(pool, vec![seq]).await?,
        };
        let holds = |chunk: &&Arc<Chunk>| chunk.get(seq).is_some();
        let wanted = found.iter().find(holds).cloned();
        wanted.ok_or_else(|| {
            broken(format!(
                "record {seq} is not in the journal; it may have been archived"
            ))
        })
    }

    /// The chunks with the records given, each once.
    pub(super) async fn chunks_of(
        &self,
        pool: &PgPool,
        seqs: Vec<u64>,
    ) -> Result<Vec<Arc<Chunk>>, ReadError> {
        let seqs: Vec<i64> = seqs.into_iter().map(|seq| seq as i64).collect();
        let found = sqlx::query(
            "SELECT j.first_seq, j.recorded_at, j.batch, j.entries
             FROM (SELECT DISTINCT c.first_seq, c.recorded_at
                   FROM unnest($1::bigint[]) AS w(seq)
                   CROSS JOIN LATERAL (SELECT recorded_at FROM batches
                       WHERE first_seq <= w.seq ORDER BY first_seq DESC LIMIT 1) b
                   CROSS JOIN LATERAL (SELECT first_seq, recorded_at FROM journal
                       WHERE recorded_at = b.recorded_at AND first_seq <= w.seq
                       ORDER BY first_seq DESC LIMIT 1) c) k
             CROSS JOIN LATERAL (SELECT first_seq, recorded_at, batch, entries FROM journal
                 WHERE first_seq = k.first_seq AND recorded_at = k.recorded_at) j",
        )
        .bind(seqs)
        .fetch_all(pool)
        .await
        .map_err(broken)?;
        self.take_chunks(pool, found).await
    }

    /// The chunk that starts with a record and those after it.
    async fn ahead(&self, pool: &PgPool, seq: u64) -> Result<Vec<Arc<Chunk>>, ReadError> {
        let found = sqlx::query(
            "SELECT first_seq, recorded_at, batch, entries FROM journal
             WHERE first_seq >= $1 AND recorded_at >= (SELECT recorded_at FROM batches
                 WHERE first_seq <= $1 ORDER BY first_seq DESC LIMIT 1)
             ORDER BY first_seq LIMIT $2",
        )
        .bind(seq as i64)
        .bind(READ_AHEAD)
        .fetch_all(pool)
        .await
        .map_err(broken)?;
        self.take_chunks(pool, found).await
    }

    /// The chunk that ends with a record and those before it.
    async fn behind(&self, pool: &PgPool, seq: u64) -> Result<Vec<Arc<Chunk>>, ReadError> {
        let found = sqlx::query(
            "SELECT first_seq, recorded_at, batch, entries FROM journal
             WHERE first_seq <= $1 AND recorded_at <= (SELECT recorded_at FROM batches
                 WHERE first_seq <= $1 ORDER BY first_seq DESC LIMIT 1)
             ORDER BY first_seq DESC LIMIT $2",
        )
        .bind(seq as i64)
        .bind(READ_AHEAD)
        .fetch_all(pool)
        .await
        .map_err(broken)?;
        self.take_chunks(pool, found).await
    }

    /// Decodes rows of the journal and meets the accounts and assets in them.
    async fn take_chunks(
        &self,
        pool: &PgPool,
        found: Vec<PgRow>,
    ) -> Result<Vec<Arc<Chunk>>, ReadError> {
        let mut chunks = Vec::with_capacity(found.len());
        for row in found {
            let first_seq = row.try_get::<i64, _>(0).map_err(broken)? as u64;
            let recorded_at = row.try_get(1).map_err(broken)?;
            let batch = row.try_get::<i64, _>(2).map_err(broken)? as u64;
            let entries: Vec<u8> = row.try_get(3).map_err(broken)?;
            let records = rows::records(&entries, first_seq, batch, recorded_at);
            chunks.push(Arc::new(Chunk {
                first_seq,
                records: records.map_err(broken)?,
            }));
        }
        self.meet(pool, chunks.iter().flat_map(|chunk| &chunk.records))
            .await?;
        for chunk in &chunks {
            self.chunks.add(chunk.clone());
        }
        Ok(chunks)
    }

    /// Makes sure that the accounts and assets of records are known here.
    async fn meet(
        &self,
        pool: &PgPool,
        records: impl Iterator<Item = &Record>,
    ) -> Result<(), ReadError> {
        let directory = &self.shared.directory;
        let (mut slots, mut assets) = (Vec::new(), 0);
        for record in records {
            slots.extend(slots_of(record).filter(|slot| directory.row(*slot).is_none()));
            assets = assets.max(asset_of(record).map_or(0, |no| usize::from(no) + 1));
        }
        slots.sort_unstable();
        slots.dedup();
        if !slots.is_empty() {
            for (_, row) in self.load_rows(pool, slots).await? {
                assets = assets.max(usize::from(row.asset) + 1);
            }
        }
        if directory.assets().len() < assets {
            self.load_assets(pool).await?;
        }
        Ok(())
    }

    /// Records by number, in the order given. A number may stand twice.
    pub(super) async fn records(
        &self,
        pool: &PgPool,
        seqs: &[u64],
    ) -> Result<Vec<Record>, ReadError> {
        let mut held: BTreeMap<u64, Arc<Chunk>> = BTreeMap::new();
        let mut missing = Vec::new();
        for seq in seqs {
            match self.cached(*seq) {
                Some(chunk) => drop(held.insert(chunk.first_seq, chunk)),
                None => missing.push(*seq),
            }
        }
        if !missing.is_empty() {
            for chunk in self.chunks_of(pool, missing).await? {
                held.insert(chunk.first_seq, chunk);
            }
        }
        seqs.iter()
            .map(|seq| {
                let chunk = held.range(..=*seq).next_back();
                let record = chunk.and_then(|(_, chunk)| chunk.get(*seq)).cloned();
                record.ok_or_else(|| {
                    broken(format!(
                        "record {seq} is not in the journal; it may have been archived"
                    ))
                })
            })
            .collect()
    }
}

/// Accounts that a record names by number.
fn slots_of(record: &Record) -> impl Iterator<Item = Slot> {
    let (first, second) = match &record.body {
        Body::Transfer(t) => (Some(t.debit), Some(t.credit)),
        Body::Expired { debit, credit, .. } => (Some(*debit), Some(*credit)),
        Body::AccountUpdated { slot, .. } | Body::WalletUpdated { slot, .. } => (Some(*slot), None),
        Body::WalletCreated(wallet) => (Some(wallet.slot), None),
        Body::AccountCreated(_) | Body::AssetCreated(_) => (None, None),
    };
    let touched = record.touches.first.map(|touch| touch.slot);
    first.into_iter().chain(second).chain(touched)
}

/// Asset that a record names by number.
fn asset_of(record: &Record) -> Option<AssetNo> {
    match &record.body {
        Body::Transfer(t) => Some(t.asset),
        Body::AccountCreated(account) => Some(account.asset),
        _ => None,
    }
}

/// UTF-8 kept as bytes.
pub(super) fn text(bytes: &[u8]) -> Result<&str, ReadError> {
    std::str::from_utf8(bytes).map_err(broken)
}

/// The id of an account's row: `wallet`, else `name`.
pub(super) fn account_id(wallet: Option<Uuid>, name: Option<&str>) -> Result<AccountId, ReadError> {
    match (wallet, name) {
        (Some(wallet), _) => Ok(AccountId::Wallet(wallet.as_u128())),
        (None, Some(name)) => Ok(AccountId::Named(name.into())),
        (None, None) => Err(broken("an account has no id")),
    }
}

/// What never changes, from the columns slot, wallet, name, asset, kind, normal, created_seq,
/// created_at, owner.
pub(super) fn account(row: &PgRow) -> Result<Arc<Row>, ReadError> {
    let word = || broken("an account has an unknown kind or side");
    let number = |at: usize| -> Result<u8, ReadError> {
        let number: i16 = row.try_get(at).map_err(broken)?;
        u8::try_from(number).map_err(|_| word())
    };
    let wallet = row.try_get(1).map_err(broken)?;
    let name: Option<&str> = row.try_get(2).map_err(broken)?;
    let owner: Option<&[u8]> = row.try_get(8).map_err(broken)?;
    Ok(Arc::new(Row {
        id: account_id(wallet, name)?,
        asset: row.try_get::<i16, _>(3).map_err(broken)? as AssetNo,
        kind: AccountKind::from_number(number(4)?).ok_or_else(word)?,
        normal: Side::from_number(number(5)?).ok_or_else(word)?,
        created_seq: row.try_get::<i64, _>(6).map_err(broken)? as u64,
        created_at: Timestamp(row.try_get(7).map_err(broken)?),
        owner: owner.map(text).transpose()?.map(Into::into),
    }))
}

/// The names behind the numbers of one record, found before its line is written.
pub(super) struct LineNames {
    rows: HashMap<Slot, Arc<Row>>,
    assets: Vec<Arc<Asset>>,
}

impl LineNames {
    pub(super) fn of(store: &Arc<Store>, record: &Record) -> Result<Self, ReadError> {
        let mut rows = HashMap::with_capacity(2);
        let mut assets = asset_of(record).map_or(0, |no| usize::from(no) + 1);
        for slot in slots_of(record) {
            let row = store.row(slot)?;
            assets = assets.max(usize::from(row.asset) + 1);
            rows.insert(slot, row);
        }
        if let Some(last) = assets.checked_sub(1) {
            store.asset(last as AssetNo)?;
        }
        Ok(Self {
            rows,
            assets: store.shared.directory.assets(),
        })
    }

    fn row(&self, slot: Slot) -> &Row {
        self.rows
            .get(&slot)
            .expect("every slot of the record was looked up")
    }
}

impl Names for LineNames {
    fn account(&self, slot: Slot, out: &mut Vec<u8>) {
        self.row(slot).id.write_to(out);
    }

    fn asset(&self, no: AssetNo, out: &mut Vec<u8>) {
        let asset = self.assets.get(usize::from(no));
        let asset = asset.expect("every asset of the record was looked up");
        out.extend_from_slice(asset.code.as_bytes());
    }

    fn asset_of(&self, slot: Slot) -> AssetNo {
        self.row(slot).asset
    }
}
