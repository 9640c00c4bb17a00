//! Accounts that this process remembers between batches, so that a batch of known accounts reads
//! nothing. Valid only while the head says that nobody else committed; the batcher sees to that.
//!
//! Two generations bound it: an account used again moves to the young one, and when that is full
//! the old one is dropped.

use std::sync::Arc;

use super::directory::Row;
use super::shards::{Shards, age, forget};
use crate::{
    call::{AccountView, WalletView},
    model::{Floor, Metadata, Slot},
    rules::book::{Hot, WalletInfo, Windows},
};

/// The wallet behind an account.
#[derive(Debug, Clone)]
pub(super) struct Wallet {
    pub info: WalletInfo,
    pub label: Option<Box<str>>,
    pub metadata: Metadata,
}

/// What rarely changes about an account.
#[derive(Debug, Clone)]
pub(super) struct Cold {
    pub row: Arc<Row>,
    pub floor: Floor,
    pub metadata: Metadata,
    pub wallet: Option<Wallet>,
}

impl Cold {
    /// The account as answers show it.
    pub(super) fn account_view(&self, slot: Slot, hot: &Hot, seq: u64) -> AccountView {
        AccountView {
            slot,
            facts: self.row.facts(),
            totals: hot.totals,
            status: hot.status,
            floor: self.floor,
            metadata: self.metadata.clone(),
            version: hot.version,
            as_of_seq: seq,
        }
    }

    /// The wallet as answers show it, if there is one.
    pub(super) fn wallet_view(&self, slot: Slot, hot: &Hot, seq: u64) -> Option<WalletView> {
        let wallet = self.wallet.as_ref()?;
        Some(WalletView {
            id: self.row.id.wallet()?,
            slot,
            user_id: (&*wallet.info.user_id).into(),
            asset: hot.asset,
            totals: hot.totals,
            status: hot.status,
            tier: (&*wallet.info.tier).into(),
            limits: wallet.info.limits.as_deref().copied(),
            label: wallet.label.clone(),
            metadata: wallet.metadata.clone(),
            version: hot.version,
            created_at: self.row.created_at,
            updated_at: wallet.info.updated_at,
            as_of_seq: seq,
        })
    }
}

/// What a batch may change about an account.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub hot: Hot,
    pub windows: Option<Box<Windows>>,
    pub cold: Arc<Cold>,
}

/// One account as its rows have it.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub live: Live,
    /// `balances.tail`.
    pub tail: Vec<u64>,
}

/// Most numbers of records in a tail; one more and it moves to a page of `entries`.
pub(super) const TAIL_MAX: usize = 16;

/// See the module text.
#[derive(Debug)]
pub(super) struct Cache {
    young: Shards<Slot, Account>,
    old: Shards<Slot, Account>,
    max: usize,
}

impl Cache {
    /// Remembers about so many accounts.
    pub(super) fn new(max: usize) -> Self {
        Self {
            young: Shards::default(),
            old: Shards::default(),
            max,
        }
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Account> {
        self.young.get(&slot).or_else(|| self.old.get(&slot))
    }

    /// Whether an account is remembered; one that is stays through the batch.
    pub(super) fn keep(&mut self, slot: Slot) -> bool {
        if self.young.get(&slot).is_some() {
            return true;
        }
        let found = self.old.remove(&slot);
        let is_found = found.is_some();
        if let Some(account) = found {
            self.young.insert(slot, account);
        }
        is_found
    }

    pub(super) fn insert(&mut self, slot: Slot, account: Account) {
        self.young.insert(slot, account);
    }

    /// Takes over what a batch made of an account.
    pub(super) fn set(&mut self, slot: Slot, live: Live) {
        match self.young.get_mut(&slot) {
            Some(account) => account.live = live,
            None => {
                let tail = self.old.remove(&slot).map_or_else(Vec::new, |a| a.tail);
                self.young.insert(slot, Account { live, tail });
            }
        }
    }

    /// The tail as it was written.
    pub(super) fn set_tail(&mut self, slot: Slot, tail: Vec<u64>) {
        if let Some(account) = self.young.get_mut(&slot) {
            account.tail = tail;
        }
    }

    /// Between batches: drops the old generation when the young one is full.
    pub(super) fn age(&mut self) {
        if self.young.len() > self.max / 2 {
            age(&mut self.young, &mut self.old, Shards::len);
        }
    }

    /// Somebody else committed: nothing of it can be trusted.
    pub(super) fn clear(&mut self) {
        let all = (
            std::mem::take(&mut self.young),
            std::mem::take(&mut self.old),
        );
        let len = all.0.len() + all.1.len();
        forget(all, len);
    }
}
