//! The writer's state: every account in memory, lent to the rules as their book.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use florin_base::Timestamp;

use super::{chunked::Chunked, directory::Directory, history::History};
use crate::{
    model::{
        AccountId, Asset, AssetNo, Body, Floor, Metadata, Mode, NewAccount, NewWallet, Record,
        Slot, Status, Totals, TransferId,
    },
    rules::{
        book::{Book, Fault, Hot, Known, Note, OpenPending, Space, WalletInfo, Windows},
        replay_limits,
    },
};

/// The changing part of one account in memory.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub hot: Hot,
    pub wallet: Option<WalletInfo>,
    pub windows: Option<Box<Windows>>,
}

/// What few accounts have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rare {
    pub floor: Floor,
    pub metadata: Metadata,
    pub label: Option<Box<str>>,
    pub wallet_metadata: Metadata,
}

/// Everything the writer knows, apart from history on disk.
pub(super) struct State {
    pub directory: Arc<Directory>,
    pub accounts: Chunked<Account>,
    pub rare: HashMap<Slot, Rare>,
    pub pendings: HashMap<TransferId, OpenPending>,
    /// Open pendings by (expiry in microseconds, `seq`).
    pub due: BTreeMap<(i64, u64), TransferId>,
    /// Absent only while the journal is replayed, which looks nothing up.
    pub history: Option<History>,
    tiers: HashMap<Box<str>, Arc<str>>,
}

impl State {
    pub(super) fn new(directory: Arc<Directory>, history: Option<History>) -> Self {
        Self {
            directory,
            accounts: Chunked::default(),
            rare: HashMap::new(),
            pendings: HashMap::new(),
            due: BTreeMap::new(),
            history,
            tiers: HashMap::new(),
        }
    }

    fn history(&self) -> Result<&History, Fault> {
        self.history
            .as_ref()
            .ok_or_else(|| Fault("the ledger is still replaying".into()))
    }

    pub(super) fn account(&self, slot: Slot) -> &Account {
        self.accounts
            .get(slot as usize)
            .expect("slots come from this state")
    }

    fn account_mut(&mut self, slot: Slot) -> &mut Account {
        self.accounts
            .get_mut(slot as usize)
            .expect("slots come from this state")
    }

    /// Makes an account a wallet, as a snapshot had it.
    pub(super) fn set_wallet(&mut self, slot: Slot, info: WalletInfo) {
        self.account_mut(slot).wallet = Some(info);
    }

    pub(super) fn rare(&self, slot: Slot) -> Rare {
        self.rare.get(&slot).cloned().unwrap_or_default()
    }

    fn change_rare(&mut self, slot: Slot, change: impl FnOnce(&mut Rare)) {
        let rare = self.rare.entry(slot).or_default();
        change(rare);
        if *rare == Rare::default() {
            self.rare.remove(&slot);
        }
    }

    /// One shared string for each tier name.
    pub(super) fn tier(&mut self, name: &str) -> Arc<str> {
        if let Some(tier) = self.tiers.get(name) {
            return tier.clone();
        }
        let tier: Arc<str> = name.into();
        self.tiers.insert(name.into(), tier.clone());
        tier
    }

    /// Takes a committed record over while recovering. Totals are absolute, so records already
    /// in a snapshot do no harm; `counts_windows` tells whether an account's use of limits was
    /// saved before this record.
    pub(super) fn replay(&mut self, record: &Record, counts_windows: impl Fn(Slot) -> bool) {
        let resolved = self.replay_body(record);
        for touch in record.touches.iter() {
            self.account_mut(touch.slot).hot.totals = touch.after;
        }
        let accounts = &mut self.accounts;
        replay_limits(record, resolved.as_ref(), |slot, change| {
            let Some(account) = accounts.get_mut(slot as usize) else {
                return;
            };
            if account.wallet.is_some() && counts_windows(slot) {
                let before = account.windows.as_deref().copied().unwrap_or_default();
                account.windows = Some(Box::new(change(before)));
            }
        });
    }

    /// Applies a record's content; returns the reservation it resolved.
    fn replay_body(&mut self, record: &Record) -> Option<OpenPending> {
        match &record.body {
            Body::AssetCreated(asset) => {
                if self.directory.asset_no(&asset.code).is_none() {
                    self.directory.add_asset(asset.clone());
                }
            }
            Body::AccountCreated(account) => {
                if self.directory.slot(&account.id).is_none() {
                    self.add_account(account, record.seq, record.recorded_at);
                }
            }
            Body::AccountUpdated {
                slot,
                version,
                change,
            } => {
                self.account_mut(*slot).hot.version = *version;
                if let Some(status) = change.status {
                    self.account_mut(*slot).hot.status = status;
                }
                if let Some(floor) = change.floor {
                    self.set_floor(*slot, floor);
                }
                if let Some(metadata) = &change.metadata {
                    self.set_metadata(*slot, metadata.clone());
                }
            }
            Body::Transfer(t) => match t.mode {
                Mode::Single => {}
                Mode::Pending => self.add_pending(&t.id, pending_of(record, t)),
                Mode::Post | Mode::Void => {
                    return t
                        .pending_id
                        .as_deref()
                        .and_then(|id| self.remove_pending(id));
                }
            },
            Body::Expired { pending_id, .. } => return self.remove_pending(pending_id),
            Body::WalletCreated(wallet) => {
                if self.account(wallet.slot).wallet.is_none() {
                    self.add_wallet(wallet, record.recorded_at);
                }
            }
            Body::WalletUpdated {
                slot,
                version,
                change,
                ..
            } => {
                let tier = change.tier.as_deref().map(|tier| self.tier(tier));
                let account = self.account_mut(*slot);
                account.hot.version = *version;
                if let Some(status) = change.status {
                    account.hot.status = status;
                }
                if let Some(info) = &mut account.wallet {
                    info.updated_at = record.recorded_at;
                    if let Some(tier) = tier {
                        info.tier = tier;
                    }
                    if let Some(limits) = change.limits {
                        info.limits = limits.map(Box::new);
                    }
                }
            }
        }
        None
    }
}

/// The reservation that a recorded pending transfer opened.
pub(crate) fn pending_of(record: &Record, t: &crate::model::Transfer) -> OpenPending {
    OpenPending {
        seq: record.seq,
        debit: t.debit,
        credit: t.credit,
        amount: t.amount,
        asset: t.asset,
        code: t.code.clone(),
        effective_at: t.effective_at,
        recorded_at: record.recorded_at,
        expires_at: t.expires_at,
        is_hold: t
            .origin
            .as_ref()
            .is_some_and(|o| o.r#type == crate::model::WalletType::Hold),
    }
}

impl Book for State {
    fn asset_no(&self, code: &str) -> Option<AssetNo> {
        self.directory.asset_no(code)
    }

    fn asset(&self, no: AssetNo) -> Arc<Asset> {
        self.directory.asset(no)
    }

    fn asset_count(&self) -> usize {
        self.directory.assets().len()
    }

    fn add_asset(&mut self, asset: Asset) -> AssetNo {
        self.directory.add_asset(asset)
    }

    fn slot(&self, id: &AccountId) -> Option<Slot> {
        self.directory.slot(id)
    }

    fn id(&self, slot: Slot) -> AccountId {
        self.directory.with_row(slot, |row| row.id.clone())
    }

    fn created_seq(&self, slot: Slot) -> u64 {
        self.directory.with_row(slot, |row| row.created_seq)
    }

    fn hot(&self, slot: Slot) -> &Hot {
        &self.account(slot).hot
    }

    fn hot_mut(&mut self, slot: Slot) -> &mut Hot {
        &mut self.account_mut(slot).hot
    }

    fn floor(&self, slot: Slot) -> Floor {
        self.rare.get(&slot).map_or(Floor::Zero, |rare| rare.floor)
    }

    fn set_floor(&mut self, slot: Slot, floor: Floor) {
        self.account_mut(slot).hot.has_floor = floor != Floor::Zero;
        self.change_rare(slot, |rare| rare.floor = floor);
    }

    fn set_metadata(&mut self, slot: Slot, metadata: Metadata) {
        self.change_rare(slot, |rare| rare.metadata = metadata);
    }

    fn add_account(&mut self, account: &NewAccount, seq: u64, at: Timestamp) -> Slot {
        let slot = self.directory.add_account(account, seq, at);
        let hot = Hot {
            totals: Totals::default(),
            asset: account.asset,
            normal: account.normal,
            status: Status::Open,
            is_wallet: account.id.wallet().is_some(),
            has_floor: false,
            version: 1,
        };
        self.accounts.push(Account {
            hot,
            wallet: None,
            windows: None,
        });
        if account.floor != Floor::Zero {
            self.set_floor(slot, account.floor);
        }
        if !account.metadata.is_empty() {
            self.set_metadata(slot, account.metadata.clone());
        }
        slot
    }

    fn remove_last_account(&mut self, slot: Slot) {
        self.rare.remove(&slot);
        self.accounts.pop();
        self.directory.remove_last_account(slot);
    }

    fn wallet(&self, slot: Slot) -> Option<&WalletInfo> {
        self.account(slot).wallet.as_ref()
    }

    fn wallet_mut(&mut self, slot: Slot) -> Option<&mut WalletInfo> {
        self.account_mut(slot).wallet.as_mut()
    }

    fn add_wallet(&mut self, wallet: &NewWallet, at: Timestamp) {
        let user_id: Arc<str> = (&*wallet.user_id).into();
        let tier = self.tier(&wallet.tier);
        self.directory.set_owner(wallet.slot, user_id.clone());
        self.account_mut(wallet.slot).wallet = Some(WalletInfo {
            user_id,
            tier,
            limits: None,
            updated_at: at,
        });
        if wallet.label.is_some() || !wallet.metadata.is_empty() {
            self.change_rare(wallet.slot, |rare| {
                rare.label = wallet.label.clone();
                rare.wallet_metadata = wallet.metadata.clone();
            });
        }
    }

    fn wallets_of(&self, user_id: &str, asset: AssetNo) -> usize {
        self.directory.count_of(user_id, asset)
    }

    fn windows(&self, slot: Slot) -> Windows {
        self.account(slot)
            .windows
            .as_deref()
            .copied()
            .unwrap_or_default()
    }

    fn set_windows(&mut self, slot: Slot, windows: Windows) {
        match &mut self.account_mut(slot).windows {
            Some(place) => **place = windows,
            none => *none = Some(Box::new(windows)),
        }
    }

    fn pending(&self, id: &str) -> Option<&OpenPending> {
        self.pendings.get(id)
    }

    fn add_pending(&mut self, id: &str, pending: OpenPending) {
        if let Some(at) = pending.expires_at {
            self.due.insert((at.0, pending.seq), id.into());
        }
        self.pendings.insert(id.into(), pending);
    }

    fn remove_pending(&mut self, id: &str) -> Option<OpenPending> {
        let pending = self.pendings.remove(id)?;
        if let Some(at) = pending.expires_at {
            self.due.remove(&(at.0, pending.seq));
        }
        Some(pending)
    }

    fn next_due(&self, now: Timestamp) -> Option<TransferId> {
        let ((at, _), id) = self.due.first_key_value()?;
        (*at <= now.0).then(|| id.clone())
    }

    fn lookup(&mut self, space: Space, scope: &[u8], id: &str) -> Result<Option<Known>, Fault> {
        self.history()?.lookup(space, scope, id)
    }

    fn remember(&mut self, space: Space, scope: &[u8], id: &str, known: Known) {
        if let Some(history) = &mut self.history {
            history.remember(space, scope, id, known);
        }
    }

    fn forget(&mut self, space: Space, scope: &[u8], id: &str) {
        if let Some(history) = &mut self.history {
            history.forget(space, scope, id);
        }
    }

    fn record(&mut self, seq: u64) -> Result<Record, Fault> {
        self.history()?.record(seq)
    }

    fn note(&mut self, number: u64) -> Result<Note, Fault> {
        self.history()?.note(number)
    }
}
