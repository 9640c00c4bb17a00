//! What never changes about accounts and assets, as far as this process has met it.
//!
//! The batcher adds every account of a batch before it answers, and readers add what they load,
//! so that a slot from an answer, a view or a record is found. Bounded: two generations of
//! accounts, of which the older one goes when the younger is full; whoever misses an account
//! asks the database.

use std::sync::Arc;

use florin_base::Timestamp;
use parking_lot::RwLock;

use super::shards::{Shards, age};
use crate::{
    model::{AccountFacts, AccountId, AccountKind, Asset, AssetNo, Side, Slot},
    record::line::Names,
};

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub id: AccountId,
    pub asset: AssetNo,
    pub kind: AccountKind,
    pub normal: Side,
    pub created_seq: u64,
    pub created_at: Timestamp,
    /// Owner, for a wallet.
    pub owner: Option<Arc<str>>,
}

impl Row {
    pub(super) fn facts(&self) -> AccountFacts {
        AccountFacts {
            id: self.id.clone(),
            asset: self.asset,
            kind: self.kind,
            normal: self.normal,
            created_at: self.created_at,
        }
    }
}

/// Accounts of a generation at least, about 200 bytes each.
const GENERATION_MIN: usize = 250_000;

#[derive(Debug, Default)]
struct Accounts {
    rows: Shards<Slot, Arc<Row>>,
    by_id: Shards<AccountId, Slot>,
}

#[derive(Debug, Default)]
struct Inner {
    assets: Vec<Arc<Asset>>,
    young: Accounts,
    old: Accounts,
}

impl Inner {
    fn add(&mut self, slot: Slot, row: Arc<Row>, generation: usize) {
        if self.young.rows.len() >= generation {
            age(&mut self.young, &mut self.old, |accounts| {
                accounts.rows.len()
            });
        }
        self.young.by_id.insert(row.id.clone(), slot);
        self.young.rows.insert(slot, row);
    }

    fn row(&self, slot: Slot) -> Option<&Arc<Row>> {
        let young = self.young.rows.get(&slot);
        young.or_else(|| self.old.rows.get(&slot))
    }

    fn slot(&self, id: &AccountId) -> Option<Slot> {
        let young = self.young.by_id.get(id);
        young.or_else(|| self.old.by_id.get(id)).copied()
    }
}

/// The shared directory.
#[derive(Debug)]
pub(super) struct Directory {
    inner: RwLock<Inner>,
    generation: usize,
}

impl Directory {
    /// A directory that knows at least the accounts that a cache of so many remembers: one whose
    /// balance is remembered and whose slot is not would be read again.
    pub(super) fn new(accounts_cached: usize) -> Self {
        Self {
            inner: RwLock::default(),
            generation: GENERATION_MIN.max(accounts_cached),
        }
    }

    /// The asset of a number, if met.
    pub(super) fn asset(&self, no: AssetNo) -> Option<Arc<Asset>> {
        self.inner.read().assets.get(usize::from(no)).cloned()
    }

    /// The assets met, in order of creation and without gaps.
    pub(super) fn assets(&self) -> Vec<Arc<Asset>> {
        self.inner.read().assets.clone()
    }

    /// Takes over a longer list of assets.
    pub(super) fn set_assets(&self, assets: &[Arc<Asset>]) {
        let mut inner = self.inner.write();
        if assets.len() > inner.assets.len() {
            inner.assets = assets.to_vec();
        }
    }

    pub(super) fn row(&self, slot: Slot) -> Option<Arc<Row>> {
        self.inner.read().row(slot).cloned()
    }

    /// The account of an id, if met.
    pub(super) fn slot(&self, id: &AccountId) -> Option<Slot> {
        self.inner.read().slot(id)
    }

    /// Adds accounts; an owner once known is kept.
    pub(super) fn add(&self, rows: impl IntoIterator<Item = (Slot, Arc<Row>)>) {
        let mut inner = self.inner.write();
        for (slot, row) in rows {
            inner.add(slot, row, self.generation);
        }
    }
}

/// Names for feed lines. A slot that was not loaded would be a fault of the reader that made the
/// line; it shows as `?` and breaks the line's hash, which is noticed.
impl Names for Directory {
    fn account(&self, slot: Slot, out: &mut Vec<u8>) {
        match self.row(slot) {
            Some(row) => row.id.write_to(out),
            None => out.push(b'?'),
        }
    }

    fn asset(&self, no: AssetNo, out: &mut Vec<u8>) {
        match self.asset(no) {
            Some(asset) => out.extend_from_slice(asset.code.as_bytes()),
            None => out.push(b'?'),
        }
    }

    fn asset_of(&self, slot: Slot) -> AssetNo {
        self.row(slot).map_or(AssetNo::MAX, |row| row.asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_met_last_are_known_and_the_oldest_go() {
        let mut inner = Inner::default();
        for slot in 0..10 {
            let row = Row {
                id: AccountId::Wallet(slot.into()),
                asset: 0,
                kind: AccountKind::Liability,
                normal: Side::Credit,
                created_seq: 1,
                created_at: Timestamp(0),
                owner: None,
            };
            inner.add(slot, Arc::new(row), 3);
        }
        let known: Vec<Slot> = (0..10).filter(|slot| inner.row(*slot).is_some()).collect();
        assert_eq!(known, [6, 7, 8, 9]);
        assert_eq!(inner.slot(&AccountId::Wallet(9)), Some(9));
        assert_eq!(inner.slot(&AccountId::Wallet(5)), None);
    }
}
