//! Reads of a ledger in PostgreSQL: the current state by one statement each, history by views
//! pinned to a `seq`, proofs and checkpoints from tables that all replicas share.
//!
//! Boundary: reads decide nothing. Invariants: an answer shows every write acknowledged before
//! it was asked for, unless it says that it may be older ([`Postgres::recent_view`]); a view
//! never shows a record beyond its `seq`; what is kept in memory never changes once written
//! (accounts' facts, assets, chunks of the journal), so that no replica can be out of date.

mod accounts;
mod bitemporal;
mod checkpoints;
mod chunks;
mod history;
mod proofs;
mod replica;
mod store;
mod view;

use std::{sync::Arc, time::Duration};

use florin_base::Timestamp;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) use self::view::PgView;
use self::{
    accounts::{AccountFilter, WalletFilter},
    checkpoints::{PgShelf, seed_of},
    proofs::LedgerTree,
    store::Store,
};
use super::{Postgres, PostgresOptions, Shared, listen, schema::Connections};
use crate::{
    call::{Head, Query, Unavailable, View},
    checkpoints::Checkpoints,
    engine::{OpenError, ReadError, make_checkpoint},
    model::{AccountFacts, AccountId, Asset, AssetNo, Slot},
    proof::Checkpoint,
};

/// Connections that listen for the head: one, and one to look at it.
const LISTENERS: u32 = 2;

/// Says why a read failed and that the store is away.
fn away(error: &ReadError) -> Unavailable {
    tracing::warn!(%error, "a read of the ledger's database failed");
    Unavailable::StoreUnavailable
}

/// The reading half of the engine.
pub(super) struct Reads {
    store: Arc<Store>,
    tree: Arc<LedgerTree>,
    checkpoints: Arc<Checkpoints>,
    checkpointer: Mutex<Option<JoinHandle<()>>>,
}

impl Reads {
    pub(super) async fn open(
        shared: Arc<Shared>,
        connections: &Connections,
        options: &PostgresOptions,
        ledger_id: Uuid,
    ) -> Result<Self, OpenError> {
        let refused = |what: String| OpenError::Refused(what);
        let now = Timestamp(shared.clock.wall_micros());
        let store = Arc::new(Store::new(shared, connections, options)?);
        let seed = options.checkpoint_key.as_ref().map(seed_of).transpose();
        let name = options.checkpoint_key_name.as_deref();
        let shelf = PgShelf::open(store.clone(), ledger_id, name, seed.map_err(refused)?);
        let shelf = Arc::new(shelf);
        let prepared = {
            let shelf = shelf.clone();
            store
                .runtime()
                .spawn(async move { shelf.prepare(now).await })
        };
        prepared
            .await
            .map_err(|e| refused(e.to_string()))?
            .map_err(|e| refused(e.to_string()))?;
        let checkpoints = Arc::new(Checkpoints::shared(ledger_id, shelf));
        let reads = Self {
            tree: Arc::new(proofs::tree(store.clone())),
            store,
            checkpoints,
            checkpointer: Mutex::default(),
        };
        reads.refuse_unfinished().await?;
        reads.head().await.map_err(|e| refused(e.to_string()))?;
        reads.start_checkpointer(options.checkpoint_interval);
        Ok(reads)
    }

    /// A ledger that was moved here only in part is not opened.
    async fn refuse_unfinished(&self) -> Result<(), OpenError> {
        let store = self.store.clone();
        let look = async move {
            let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM unfinished)");
            found.fetch_one(&store.primary).await.map_err(store::broken)
        };
        match self.store.run(look).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(OpenError::Refused(
                "a ledger was moved here only in part: run `florin ledger migrate` again, to its end".into(),
            )),
            Err(error) => Err(OpenError::Refused(error.to_string())),
        }
    }

    /// Follows the head as other processes move it.
    pub(super) fn follow(&self, connections: &Connections, channel: String) {
        let runtime = self.store.runtime();
        let pool = {
            let _entered = runtime.enter();
            connections.pool(LISTENERS)
        };
        let shared = Arc::downgrade(&self.store.shared);
        runtime.spawn(listen::follow(shared, pool, channel));
    }

    /// Every replica tries in the interval; whoever comes first makes the checkpoint, the others
    /// find no news.
    fn start_checkpointer(&self, interval: Duration) {
        let maker = self.maker();
        let task = self.store.runtime().spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let maker = maker.clone();
                // A panic was logged; the next interval tries again.
                drop(tokio::task::spawn_blocking(move || maker.make_quietly()).await);
            }
        });
        *self.checkpointer.lock() = Some(task);
    }

    fn maker(&self) -> Maker {
        Maker {
            store: self.store.clone(),
            tree: self.tree.clone(),
            checkpoints: self.checkpoints.clone(),
        }
    }

    /// Stops making checkpoints, with a last one.
    pub(super) fn stop(&self) {
        let task = self.checkpointer.lock().take();
        if let Some(task) = task {
            task.abort();
            self.maker().make_quietly();
        }
    }

    pub(super) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    async fn head(&self) -> Result<Head, ReadError> {
        let store = self.store.clone();
        let head = self
            .store
            .run(async move { store.head_now(&store.primary).await })
            .await?;
        self.store.shared.advance(head);
        Ok(head)
    }

    /// A view on the primary.
    fn view_at(&self, seq: u64) -> PgView {
        PgView {
            store: self.store.clone(),
            tree: self.tree.clone(),
            pool: self.store.primary.clone(),
            is_replica: false,
            seq,
        }
    }
}

/// Makes checkpoints of what is committed.
#[derive(Clone)]
struct Maker {
    store: Arc<Store>,
    tree: Arc<LedgerTree>,
    checkpoints: Arc<Checkpoints>,
}

impl Maker {
    fn make(&self) -> Result<Option<(Checkpoint, bool)>, String> {
        let store = self.store.clone();
        let head = self
            .store
            .block(async move { store.head_now(&store.primary).await });
        let view = PgView {
            store: self.store.clone(),
            tree: self.tree.clone(),
            pool: self.store.primary.clone(),
            is_replica: false,
            seq: head.map_err(|e| e.to_string())?.seq,
        };
        make_checkpoint(&view.into(), &self.checkpoints)
    }

    fn make_quietly(&self) {
        if let Err(error) = self.make() {
            tracing::warn!(%error, "no checkpoint was made");
        }
    }
}

impl Postgres {
    pub(crate) async fn query(&self, query: Query) -> Result<View, Unavailable> {
        if let Query::Time = query {
            return self.settled_time().await.map(View::Time);
        }
        let store = self.reads.store.clone();
        let work = async move { answer(&store, query).await };
        let done = self.reads.store.run(work).await;
        done.map_err(|error| away(&error))
    }

    /// A view of everything acknowledged before, on any replica.
    pub(crate) async fn read_view(&self) -> Result<PgView, Unavailable> {
        let head = self.reads.head().await.map_err(|error| away(&error))?;
        Ok(self.reads.view_at(head.seq))
    }

    /// A view of everything acknowledged by this process and at least `min`; it may lack what
    /// others wrote a moment ago. From the read replica when there is one that keeps up.
    pub(crate) async fn recent_view(&self, min: u64) -> Result<PgView, Unavailable> {
        match self.reads.replica_view(min.max(self.durable_seq())).await {
            Some(view) => Ok(view),
            None => self.read_view().await,
        }
    }

    pub(crate) async fn asset_by_code(
        &self,
        code: &str,
    ) -> Result<Option<(AssetNo, Arc<Asset>)>, Unavailable> {
        let find = |assets: Vec<Arc<Asset>>| {
            let mut numbered = (0..).zip(assets);
            numbered.find(|(_, asset)| *asset.code == *code)
        };
        match find(self.directory().assets()) {
            Some(found) => Ok(Some(found)),
            None => self.assets().await.map(find),
        }
    }

    pub(crate) async fn assets(&self) -> Result<Vec<Arc<Asset>>, Unavailable> {
        let store = self.reads.store.clone();
        let work = async move { store.load_assets(&store.primary).await };
        let read = self.reads.store.run(work).await;
        read.map_err(|error| away(&error))
    }

    /// # Panics
    /// When this process never met the asset and the database does not answer.
    pub(crate) fn asset(&self, no: AssetNo) -> Arc<Asset> {
        let asset = self.reads.store.asset(no);
        asset.expect("what was answered was met before, or the database answers")
    }

    pub(crate) async fn wallets(&self) -> Result<u64, Unavailable> {
        let store = self.reads.store.clone();
        let work = async move { store.count_wallets().await };
        let read = self.reads.store.run(work).await;
        read.map_err(|error| away(&error))
    }

    pub(crate) async fn slot_of(&self, id: &AccountId) -> Result<Option<Slot>, Unavailable> {
        if let Some(slot) = self.directory().slot(id) {
            return Ok(Some(slot));
        }
        let (store, id) = (self.reads.store.clone(), id.clone());
        let work = async move { store.find(&store.primary, &id).await };
        let read = self.reads.store.run(work).await;
        read.map_err(|error| away(&error))
    }

    /// # Panics
    /// When this process never met the account and the database does not answer.
    pub(crate) fn facts(&self, slot: Slot) -> AccountFacts {
        let row = self.reads.store.row(slot);
        row.expect("what was answered was met before, or the database answers")
            .facts()
    }

    pub(crate) fn wallet_owner(&self, slot: Slot) -> Option<Arc<str>> {
        let store = &self.reads.store;
        let row = store.row(slot).ok()?;
        if row.owner.is_some() || row.id.wallet().is_none() {
            return row.owner.clone();
        }
        // The account may have been met before it became a wallet.
        let again = store.clone();
        let rows = store.block(async move {
            let pool = again.primary.clone();
            again.load_rows(&pool, vec![slot]).await
        });
        rows.ok()?.first()?.1.owner.clone()
    }

    pub(crate) async fn checkpoint_now(&self) -> Result<Option<(Checkpoint, bool)>, Unavailable> {
        let maker = self.reads.maker();
        let made = self
            .reads
            .store
            .runtime()
            .spawn_blocking(move || maker.make());
        made.await
            .map_err(|_| Unavailable::StoreUnavailable)?
            .map_err(|error| {
                tracing::error!(error, "no checkpoint was made");
                Unavailable::StoreUnavailable
            })
    }

    pub(crate) fn checkpoints(&self) -> &Checkpoints {
        self.reads.checkpoints()
    }
}

async fn answer(store: &Arc<Store>, query: Query) -> Result<View, ReadError> {
    let pool = &store.primary;
    Ok(match query {
        Query::Account(id) => {
            let found = store.account_now(pool, &id).await?;
            View::Account(found.map(|found| Box::new(found.account())))
        }
        Query::Wallet { id, owner } => {
            let found = store.wallet_now(pool, id, owner.as_deref()).await?;
            View::Wallet(found.map(|(wallet, _)| Box::new(wallet)))
        }
        Query::Limits { id, owner } => {
            // Windows are days and months: the clock tells them, unless the ledger is ahead.
            let head = store.head_now(pool).await?;
            let now = Timestamp(store.shared.clock.wall_micros()).max(head.recorded_at);
            let found = store.limits_now(pool, id, owner.as_deref(), now).await?;
            View::Limits(found.map(Box::new))
        }
        Query::Wallets {
            user_id,
            status,
            asset,
            after,
            limit,
        } => {
            let filter = WalletFilter {
                user_id,
                status,
                asset,
                after,
                limit,
            };
            let (found, more) = store.wallets_now(pool, filter).await?;
            View::Wallets(found, more)
        }
        Query::Accounts {
            asset,
            kind,
            status,
            id_prefix,
            metadata,
            after,
            limit,
        } => {
            let filter = AccountFilter {
                asset,
                kind,
                status,
                id_prefix,
                metadata,
                after,
                limit,
            };
            let (found, more) = store.accounts_now(pool, filter).await?;
            View::Accounts(found, more)
        }
        Query::TrialBalance => {
            let (sums, head) = store.trial_balance_now(pool).await?;
            View::TrialBalance(sums, head)
        }
        Query::Head => View::Head(store.head_now(pool).await?),
        Query::Time => return Err(store::broken("time is the batcher's")),
    })
}
