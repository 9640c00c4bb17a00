//! The state one batch is judged on: what was loaded under the head's lock, what this process
//! remembers, and over both the changes of the batch.
//!
//! Whatever the rules ask for in vain is written down. Such a judgement is thrown away, what was
//! missed is loaded, and the batch is judged again: it is decided on loaded state only.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use florin_base::Timestamp;
use hashbrown::{HashMap, HashSet};
use uuid::Uuid;

use super::{
    cache::{Account, Cache, Cold, Live, Wallet},
    collect::Keys,
    directory::{Directory, Row},
    rows,
    shown::nobody,
};
use crate::{
    model::{
        AccountId, Asset, AssetNo, Floor, Metadata, NewAccount, NewWallet, Record, Slot, Status,
        Totals, TransferId,
    },
    rules::book::{Book, Fault, Hot, Known, Note, OpenPending, Space, WalletInfo, Windows},
};

/// What was loaded for one batch; absent things are known to be absent.
#[derive(Default)]
pub(super) struct Loaded {
    /// Accounts that were loaded by id.
    pub slots: HashMap<AccountId, Slot>,
    pub absent: HashSet<AccountId>,
    pub identities: HashMap<Uuid, Option<Known>>,
    /// Identities taken for new without a look: an insert of theirs would fail.
    pub trusted: HashSet<Uuid>,
    pub pendings: HashMap<TransferId, Option<OpenPending>>,
    /// Due reservations, at most one more than a batch expires.
    pub due: BTreeMap<(i64, u64), TransferId>,
    pub records: HashMap<u64, Record>,
    /// Records that are in no partition of the journal any more.
    pub archived: HashSet<u64>,
    pub notes: HashMap<u64, Note>,
    pub owners: HashMap<(Box<str>, AssetNo), usize>,
}

/// The changes of the batch in progress.
#[derive(Default)]
pub(super) struct Changes {
    pub accounts: HashMap<Slot, Live>,
    pub ids: HashMap<AccountId, Slot>,
    pub assets: Vec<Arc<Asset>>,
    pub identities: HashMap<Uuid, Known>,
    pub pendings: HashMap<TransferId, Option<OpenPending>>,
    due: BTreeMap<(i64, u64), TransferId>,
    owners: HashMap<(Box<str>, AssetNo), usize>,
}

pub(super) struct Working {
    directory: Arc<Directory>,
    hash_key: [u8; 16],
    pub cache: Cache,
    pub loaded: Loaded,
    pub changes: Changes,
    assets: Vec<Arc<Asset>>,
    first_new_slot: Slot,
    new_slots: Slot,
    missed: RefCell<Keys>,
    /// Stands for an account that is not loaded; totals in the middle of their range, so that
    /// the arithmetic of a judgement that will be thrown away stays inside it.
    nobody: Live,
}

impl Working {
    pub(super) fn new(directory: Arc<Directory>, hash_key: [u8; 16], cache: Cache) -> Self {
        Self {
            directory,
            hash_key,
            cache,
            loaded: Loaded::default(),
            changes: Changes::default(),
            assets: Vec::new(),
            first_new_slot: 0,
            new_slots: 0,
            missed: RefCell::default(),
            nobody: nobody(),
        }
    }

    /// Begins a batch on a head with so many accounts.
    pub(super) fn begin(&mut self, accounts: u64, assets: Vec<Arc<Asset>>) {
        self.loaded = Loaded::default();
        self.first_new_slot = Slot::try_from(accounts).unwrap_or(Slot::MAX);
        self.forget_judgement();
        self.assets = assets;
    }

    /// Takes identities for new without a look.
    pub(super) fn trust(&mut self, identities: Vec<Uuid>) {
        let new = identities.iter().map(|key| (*key, None));
        self.loaded.identities.extend(new);
        self.loaded.trusted.extend(identities);
    }

    /// Throws the judgement away; what was loaded stays.
    pub(super) fn forget_judgement(&mut self) {
        let before = self.assets.len().saturating_sub(self.changes.assets.len());
        self.assets.truncate(before);
        self.changes = Changes {
            due: self.loaded.due.clone(),
            ..Changes::default()
        };
        self.new_slots = 0;
        self.missed = RefCell::default();
    }

    /// What the judgement asked for in vain.
    pub(super) fn take_missed(&mut self) -> Keys {
        self.missed.take()
    }

    /// Identities that were taken for new and that the judgement does not write: nothing would
    /// notice that they are known after all.
    pub(super) fn take_unverified(&mut self) -> HashSet<Uuid> {
        let written = &self.changes.identities;
        // Those written now may not be after another judgement, so they stay in the set.
        let trusted = &mut self.loaded.trusted;
        trusted
            .extract_if(|key| !written.contains_key(key))
            .collect()
    }

    /// Any of these identities is known.
    pub(super) fn knows_any(&self, keys: &HashSet<Uuid>) -> bool {
        let known = |key| self.loaded.identities.get(key).is_some_and(Option::is_some);
        keys.iter().any(known)
    }

    /// The batch is committed: its changes become what is remembered.
    pub(super) fn committed(&mut self, tails: Vec<(Slot, Vec<u64>)>) {
        let changes = std::mem::take(&mut self.changes);
        self.directory.set_assets(&self.assets);
        let new = |slot: &Slot| *slot >= self.first_new_slot;
        let wallets = |live: &Live| live.cold.wallet.is_some();
        self.directory.add(
            changes
                .accounts
                .iter()
                .filter(|(slot, live)| new(slot) || wallets(live))
                .map(|(slot, live)| (*slot, live.cold.row.clone())),
        );
        for (slot, live) in changes.accounts {
            self.cache.set(slot, live);
        }
        for (slot, tail) in tails {
            self.cache.set_tail(slot, tail);
        }
    }

    pub(super) fn key(&self, space: Space, scope: &[u8], id: &str) -> Uuid {
        rows::key(&self.hash_key, space, scope, id)
    }

    /// The account of an id, if this process met it.
    pub(super) fn met(&self, id: &AccountId) -> Option<Slot> {
        self.directory.slot(id)
    }

    /// Accounts that are committed and were loaded.
    pub(super) fn meet(&self, rows: Vec<(Slot, Arc<Row>)>) {
        self.directory.add(rows);
    }

    /// The asset of an account, if this process met it.
    pub(super) fn met_asset(&self, slot: Slot) -> Option<AssetNo> {
        self.directory.row(slot).map(|row| row.asset)
    }

    pub(super) fn live(&self, slot: Slot) -> Option<&Live> {
        let changed = self.changes.accounts.get(&slot);
        changed.or_else(|| self.cache.get(slot).map(|account| &account.live))
    }

    pub(super) fn account(&self, slot: Slot) -> Option<&Account> {
        self.cache.get(slot)
    }

    /// Accounts that the batch created, in order.
    pub(super) fn new_slots(&self) -> std::ops::Range<Slot> {
        self.first_new_slot..self.first_new_slot + self.new_slots
    }

    /// Assets that the batch created, in order, after so many older ones.
    pub(super) fn new_assets(&self) -> (usize, &[Arc<Asset>]) {
        (
            self.assets.len() - self.changes.assets.len(),
            &self.changes.assets,
        )
    }

    pub(super) fn assets(&self) -> &[Arc<Asset>] {
        &self.assets
    }

    pub(super) fn is_new(&self, slot: Slot) -> bool {
        slot >= self.first_new_slot
    }

    pub(super) fn live_or_missed(&self, slot: Slot) -> &Live {
        self.live(slot).unwrap_or_else(|| {
            self.missed.borrow_mut().slots.insert(slot);
            &self.nobody
        })
    }

    fn live_mut(&mut self, slot: Slot) -> &mut Live {
        let Self {
            changes,
            cache,
            missed,
            nobody,
            ..
        } = self;
        changes.accounts.entry(slot).or_insert_with(|| {
            cache
                .get(slot)
                .map(|account| &account.live)
                .unwrap_or_else(|| {
                    missed.get_mut().slots.insert(slot);
                    nobody
                })
                .clone()
        })
    }

    fn cold_mut(&mut self, slot: Slot) -> &mut Cold {
        Arc::make_mut(&mut self.live_mut(slot).cold)
    }
}

impl Book for Working {
    fn asset_no(&self, code: &str) -> Option<AssetNo> {
        let place = self.assets.iter().position(|asset| *asset.code == *code);
        place.and_then(|place| AssetNo::try_from(place).ok())
    }

    fn asset(&self, no: AssetNo) -> Arc<Asset> {
        let asset = self.assets.get(usize::from(no)).cloned();
        // Only an account that is not loaded has an asset that does not exist.
        asset.unwrap_or_else(|| Arc::new(Asset::standard().remove(0)))
    }

    fn asset_count(&self) -> usize {
        self.assets.len()
    }

    fn add_asset(&mut self, asset: Asset) -> AssetNo {
        let no = AssetNo::try_from(self.assets.len()).expect("fewer than 65 536 assets");
        let asset = Arc::new(asset);
        self.assets.push(asset.clone());
        self.changes.assets.push(asset);
        no
    }

    fn slot(&self, id: &AccountId) -> Option<Slot> {
        if let Some(slot) = self.changes.ids.get(id) {
            return Some(*slot);
        }
        let loaded = self.loaded.slots.get(id).copied();
        let met = loaded.or_else(|| self.directory.slot(id));
        if met.is_none() && !self.loaded.absent.contains(id) {
            self.missed.borrow_mut().accounts.insert(id.clone());
        }
        met
    }

    fn id(&self, slot: Slot) -> AccountId {
        self.live_or_missed(slot).cold.row.id.clone()
    }

    fn created_seq(&self, slot: Slot) -> u64 {
        self.live_or_missed(slot).cold.row.created_seq
    }

    fn hot(&self, slot: Slot) -> &Hot {
        &self.live_or_missed(slot).hot
    }

    fn hot_mut(&mut self, slot: Slot) -> &mut Hot {
        &mut self.live_mut(slot).hot
    }

    fn floor(&self, slot: Slot) -> Floor {
        self.live_or_missed(slot).cold.floor
    }

    fn set_floor(&mut self, slot: Slot, floor: Floor) {
        self.live_mut(slot).hot.has_floor = floor != Floor::Zero;
        self.cold_mut(slot).floor = floor;
    }

    fn set_metadata(&mut self, slot: Slot, metadata: Metadata) {
        self.cold_mut(slot).metadata = metadata;
    }

    fn add_account(&mut self, account: &NewAccount, seq: u64, at: Timestamp) -> Slot {
        let slot = self.first_new_slot + self.new_slots;
        self.new_slots += 1;
        let row = Row {
            id: account.id.clone(),
            asset: account.asset,
            kind: account.kind,
            normal: account.normal,
            created_seq: seq,
            created_at: at,
            owner: None,
        };
        let hot = Hot {
            totals: Totals::default(),
            asset: account.asset,
            normal: account.normal,
            status: Status::Open,
            is_wallet: account.id.wallet().is_some(),
            has_floor: account.floor != Floor::Zero,
            version: 1,
        };
        let cold = Cold {
            row: Arc::new(row),
            floor: account.floor,
            metadata: account.metadata.clone(),
            wallet: None,
        };
        let live = Live {
            hot,
            windows: None,
            cold: Arc::new(cold),
        };
        self.changes.accounts.insert(slot, live);
        self.changes.ids.insert(account.id.clone(), slot);
        slot
    }

    fn remove_last_account(&mut self, slot: Slot) {
        self.new_slots -= 1;
        if let Some(live) = self.changes.accounts.remove(&slot) {
            self.changes.ids.remove(&live.cold.row.id);
            if let Some(wallet) = &live.cold.wallet {
                let key = ((&*wallet.info.user_id).into(), live.hot.asset);
                if let Some(count) = self.changes.owners.get_mut(&key) {
                    *count -= 1;
                }
            }
        }
    }

    fn wallet(&self, slot: Slot) -> Option<&WalletInfo> {
        let wallet = self.live_or_missed(slot).cold.wallet.as_ref();
        wallet.map(|wallet| &wallet.info)
    }

    fn wallet_mut(&mut self, slot: Slot) -> Option<&mut WalletInfo> {
        let wallet = self.cold_mut(slot).wallet.as_mut();
        wallet.map(|wallet| &mut wallet.info)
    }

    fn add_wallet(&mut self, wallet: &NewWallet, at: Timestamp) {
        let user_id: Arc<str> = (&*wallet.user_id).into();
        let asset = self.live_or_missed(wallet.slot).hot.asset;
        let key = (wallet.user_id.clone(), asset);
        *self.changes.owners.entry(key).or_default() += 1;
        let cold = self.cold_mut(wallet.slot);
        Arc::make_mut(&mut cold.row).owner = Some(user_id.clone());
        cold.wallet = Some(Wallet {
            info: WalletInfo {
                user_id,
                tier: (&*wallet.tier).into(),
                limits: None,
                updated_at: at,
            },
            label: wallet.label.clone(),
            metadata: wallet.metadata.clone(),
        });
    }

    fn wallets_of(&self, user_id: &str, asset: AssetNo) -> usize {
        let key = (user_id.into(), asset);
        let added = self.changes.owners.get(&key).copied().unwrap_or(0);
        match self.loaded.owners.get(&key) {
            Some(count) => count + added,
            None => {
                self.missed.borrow_mut().owners.insert(key);
                0
            }
        }
    }

    fn windows(&self, slot: Slot) -> Windows {
        let windows = self.live_or_missed(slot).windows.as_deref();
        windows.copied().unwrap_or_default()
    }

    fn set_windows(&mut self, slot: Slot, windows: Windows) {
        self.live_mut(slot).windows = Some(Box::new(windows));
    }

    fn pending(&self, id: &str) -> Option<&OpenPending> {
        if let Some(now) = self.changes.pendings.get(id) {
            return now.as_ref();
        }
        match self.loaded.pendings.get(id) {
            Some(pending) => pending.as_ref(),
            None => {
                self.missed.borrow_mut().pendings.insert(id.into());
                None
            }
        }
    }

    fn add_pending(&mut self, id: &str, pending: OpenPending) {
        if let Some(at) = pending.expires_at {
            self.changes.due.insert((at.0, pending.seq), id.into());
        }
        self.changes.pendings.insert(id.into(), Some(pending));
    }

    fn remove_pending(&mut self, id: &str) -> Option<OpenPending> {
        let pending = self.pending(id).cloned()?;
        if let Some(at) = pending.expires_at {
            self.changes.due.remove(&(at.0, pending.seq));
        }
        self.changes.pendings.insert(id.into(), None);
        Some(pending)
    }

    fn next_due(&self, now: Timestamp) -> Option<TransferId> {
        let ((at, _), id) = self.changes.due.first_key_value()?;
        (*at <= now.0).then(|| id.clone())
    }

    fn lookup(&mut self, space: Space, scope: &[u8], id: &str) -> Result<Option<Known>, Fault> {
        let key = self.key(space, scope, id);
        if let Some(known) = self.changes.identities.get(&key) {
            return Ok(Some(*known));
        }
        if let Some(known) = self.loaded.identities.get(&key) {
            return Ok(*known);
        }
        self.missed.get_mut().identities.insert(key);
        Err(Fault("an identity is not loaded".into()))
    }

    fn remember(&mut self, space: Space, scope: &[u8], id: &str, known: Known) {
        let key = self.key(space, scope, id);
        self.changes.identities.insert(key, known);
    }

    fn forget(&mut self, space: Space, scope: &[u8], id: &str) {
        let key = self.key(space, scope, id);
        self.changes.identities.remove(&key);
    }

    fn record(&mut self, seq: u64) -> Result<Record, Fault> {
        self.loaded.records.get(&seq).cloned().ok_or_else(|| {
            if self.loaded.archived.contains(&seq) {
                return Fault(format!("record {seq} is archived"));
            }
            self.missed.get_mut().records.insert(seq);
            Fault(format!("record {seq} is not loaded"))
        })
    }

    fn note(&mut self, number: u64) -> Result<Note, Fault> {
        self.loaded.notes.get(&number).cloned().ok_or_else(|| {
            self.missed.get_mut().notes.insert(number);
            Fault(format!("note {number} is not loaded"))
        })
    }
}
