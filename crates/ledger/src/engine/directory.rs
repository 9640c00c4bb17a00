//! What never changes about accounts and assets, shared by the writer and all readers.

use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use florin_base::Timestamp;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable, hash_table::Entry};
use parking_lot::RwLock;

use super::chunked::Chunked;
use crate::{
    model::{AccountFacts, AccountId, AccountKind, Asset, AssetNo, NewAccount, Side, Slot},
    record::line::Names,
};

/// One account.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub id: AccountId,
    pub created_seq: u64,
    pub created_at: Timestamp,
    /// Owner, for a wallet.
    pub owner: Option<Arc<str>>,
    pub asset: AssetNo,
    pub kind: AccountKind,
    pub normal: Side,
    /// The next older wallet of the same owner.
    next_of_owner: Option<Slot>,
}

#[derive(Debug, Default)]
struct Inner {
    assets: Vec<Arc<Asset>>,
    asset_codes: HashMap<Box<str>, AssetNo>,
    rows: Chunked<Row>,
    by_id: HashTable<Slot>,
    /// Newest wallet of each owner.
    owners: HashTable<Slot>,
    wallets: u64,
    hasher: DefaultHashBuilder,
}

/// The shared directory.
#[derive(Debug, Default)]
pub(super) struct Directory {
    inner: RwLock<Inner>,
}

impl Inner {
    fn row(&self, slot: Slot) -> &Row {
        self.rows
            .get(slot as usize)
            .expect("slots are made by this directory")
    }

    fn hash(&self, value: impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }

    fn find(&self, id: &AccountId) -> Option<Slot> {
        self.by_id
            .find(self.hash(id), |slot| self.row(*slot).id == *id)
            .copied()
    }

    fn newest_of(&self, owner: &str) -> Option<Slot> {
        self.owners
            .find(self.hash(owner), |slot| {
                self.row(*slot).owner.as_deref() == Some(owner)
            })
            .copied()
    }
}

impl Directory {
    pub(super) fn asset_no(&self, code: &str) -> Option<AssetNo> {
        self.inner.read().asset_codes.get(code).copied()
    }

    pub(super) fn asset(&self, no: AssetNo) -> Arc<Asset> {
        self.inner.read().assets[usize::from(no)].clone()
    }

    pub(super) fn assets(&self) -> Vec<Arc<Asset>> {
        self.inner.read().assets.clone()
    }

    pub(super) fn add_asset(&self, asset: Asset) -> AssetNo {
        let mut inner = self.inner.write();
        let no = AssetNo::try_from(inner.assets.len()).expect("fewer than 65 536 assets");
        inner.asset_codes.insert(asset.code.clone(), no);
        inner.assets.push(Arc::new(asset));
        no
    }

    /// Forgets everything (a snapshot turned out to be unreadable).
    pub(super) fn clear(&self) {
        *self.inner.write() = Inner::default();
    }

    /// Makes room for about so many accounts, which are about to be added.
    pub(super) fn reserve(&self, accounts: usize) {
        let mut guard = self.inner.write();
        let Inner {
            rows,
            by_id,
            hasher,
            ..
        } = &mut *guard;
        by_id.reserve(accounts, |slot| {
            let row = rows.get(*slot as usize);
            hasher.hash_one(&row.expect("slots are made by this directory").id)
        });
    }

    pub(super) fn slot(&self, id: &AccountId) -> Option<Slot> {
        self.inner.read().find(id)
    }

    /// Count of accounts.
    pub(super) fn len(&self) -> usize {
        self.inner.read().rows.len()
    }

    pub(super) fn with_row<R>(&self, slot: Slot, f: impl FnOnce(&Row) -> R) -> R {
        f(self.inner.read().row(slot))
    }

    pub(super) fn row(&self, slot: Slot) -> Option<Row> {
        self.inner.read().rows.get(slot as usize).cloned()
    }

    pub(super) fn facts(&self, slot: Slot) -> AccountFacts {
        self.with_row(slot, |row| AccountFacts {
            id: row.id.clone(),
            asset: row.asset,
            kind: row.kind,
            normal: row.normal,
            created_at: row.created_at,
        })
    }

    pub(super) fn add_account(&self, account: &NewAccount, seq: u64, at: Timestamp) -> Slot {
        let mut guard = self.inner.write();
        let inner = &mut *guard;
        let hash = inner.hash(&account.id);
        let slot = inner.rows.push(Row {
            id: account.id.clone(),
            created_seq: seq,
            created_at: at,
            owner: None,
            asset: account.asset,
            kind: account.kind,
            normal: account.normal,
            next_of_owner: None,
        });
        let slot = Slot::try_from(slot).expect("fewer than 2^32 accounts");
        let Inner {
            rows,
            by_id,
            hasher,
            ..
        } = inner;
        by_id.insert_unique(hash, slot, |slot| {
            hasher.hash_one(
                &rows
                    .get(*slot as usize)
                    .expect("slots are made by this directory")
                    .id,
            )
        });
        slot
    }

    pub(super) fn remove_last_account(&self, slot: Slot) {
        let mut inner = self.inner.write();
        let row = inner.row(slot);
        let (hash, owner) = (inner.hash(&row.id), row.owner.clone());
        if let Ok(entry) = inner.by_id.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        if let Some(owner) = owner {
            inner.wallets -= 1;
            let hash = inner.hash(&*owner);
            let next = inner.row(slot).next_of_owner;
            if let Ok(mut entry) = inner.owners.find_entry(hash, |other| *other == slot) {
                match next {
                    Some(next) => *entry.get_mut() = next,
                    None => drop(entry.remove()),
                }
            }
        }
        let removed = inner.rows.pop();
        debug_assert!(
            removed.is_some_and(|_| inner.rows.len() == slot as usize),
            "only the last account is taken away"
        );
    }

    /// Makes an account the wallet of an owner.
    pub(super) fn set_owner(&self, slot: Slot, owner: Arc<str>) {
        let mut guard = self.inner.write();
        let hash = guard.hash(&*owner);
        let Inner {
            rows,
            owners,
            hasher,
            ..
        } = &mut *guard;
        let owner_of = |slot: &Slot| {
            let row = rows.get(*slot as usize);
            let owner = row.and_then(|row| row.owner.as_deref());
            owner.expect("slots are made by this directory, and these have owners")
        };
        let found = owners.entry(
            hash,
            |other| owner_of(other) == &*owner,
            |other| hasher.hash_one(owner_of(other)),
        );
        let newest = match found {
            Entry::Occupied(mut newest) => Some(std::mem::replace(newest.get_mut(), slot)),
            Entry::Vacant(free) => {
                free.insert(slot);
                None
            }
        };
        let row = rows
            .get_mut(slot as usize)
            .expect("slots are made by this directory");
        row.next_of_owner = newest;
        row.owner = Some(owner);
        guard.wallets += 1;
    }

    /// Count of accounts that are wallets.
    pub(super) fn wallets(&self) -> u64 {
        self.inner.read().wallets
    }

    /// Wallets of an owner, oldest first.
    pub(super) fn wallets_of(&self, owner: &str) -> Vec<Slot> {
        let inner = self.inner.read();
        let mut slots: Vec<Slot> = std::iter::successors(inner.newest_of(owner), |slot| {
            inner.row(*slot).next_of_owner
        })
        .collect();
        slots.reverse();
        slots
    }

    /// How many wallets an owner has in an asset.
    pub(super) fn count_of(&self, owner: &str, asset: AssetNo) -> usize {
        let inner = self.inner.read();
        std::iter::successors(inner.newest_of(owner), |slot| {
            inner.row(*slot).next_of_owner
        })
        .filter(|slot| inner.row(*slot).asset == asset)
        .count()
    }
}

impl Names for Directory {
    fn account(&self, slot: Slot, out: &mut Vec<u8>) {
        self.with_row(slot, |row| row.id.write_to(out));
    }

    fn asset(&self, no: AssetNo, out: &mut Vec<u8>) {
        out.extend_from_slice(self.inner.read().assets[usize::from(no)].code.as_bytes());
    }

    fn asset_of(&self, slot: Slot) -> AssetNo {
        self.with_row(slot, |row| row.asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Floor;

    fn wallet(id: u128) -> NewAccount {
        NewAccount {
            id: AccountId::Wallet(id),
            asset: 0,
            kind: AccountKind::Liability,
            normal: Side::Credit,
            floor: Floor::Zero,
            metadata: Default::default(),
        }
    }

    #[test]
    fn wallets_of_an_owner_are_found_in_order_also_after_a_removal() {
        let directory = Directory::default();
        for id in 0..5_000u128 {
            let slot = directory.add_account(&wallet(id), 1, Timestamp(0));
            directory.set_owner(
                slot,
                if id % 2 == 0 {
                    "even".into()
                } else {
                    "odd".into()
                },
            );
        }
        directory.remove_last_account(4_999);
        let odd = directory.wallets_of("odd");
        assert_eq!((odd.len(), odd[0], odd[2_498]), (2_499, 1, 4_997));
        assert_eq!(directory.count_of("even", 0), 2_500);
        assert_eq!(directory.slot(&AccountId::Wallet(4_999)), None);
        assert_eq!(directory.slot(&AccountId::Wallet(4_998)), Some(4_998));
    }
}
