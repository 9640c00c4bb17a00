//! What never changes about accounts and assets, as far as this process has met it.
//!
//! The batcher adds every account of a batch before it answers, and readers add what they load,
//! so that a slot from an answer, a view or a record is always found.

use std::{collections::HashMap, sync::Arc};

use florin_base::Timestamp;
use parking_lot::RwLock;

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

#[derive(Debug, Default)]
struct Inner {
    assets: Vec<Arc<Asset>>,
    rows: HashMap<Slot, Arc<Row>>,
    by_id: HashMap<AccountId, Slot>,
}

/// The shared directory.
#[derive(Debug, Default)]
pub(super) struct Directory {
    inner: RwLock<Inner>,
}

impl Directory {
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
        self.inner.read().rows.get(&slot).cloned()
    }

    /// The account of an id, if met.
    pub(super) fn slot(&self, id: &AccountId) -> Option<Slot> {
        self.inner.read().by_id.get(id).copied()
    }

    /// Adds accounts; an owner once known is kept.
    pub(super) fn add(&self, rows: impl IntoIterator<Item = (Slot, Arc<Row>)>) {
        let mut inner = self.inner.write();
        for (slot, row) in rows {
            inner.by_id.insert(row.id.clone(), slot);
            inner.rows.insert(slot, row);
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
