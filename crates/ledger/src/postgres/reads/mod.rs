//! Reads of a ledger in PostgreSQL.

use std::sync::Arc;

use super::Postgres;
use crate::{
    call::{Query, Unavailable, View},
    engine::ReadView,
    model::{AccountFacts, AccountId, Asset, AssetNo, Slot},
    proof::Checkpoint,
};

impl Postgres {
    pub(crate) async fn query(&self, query: Query) -> Result<View, Unavailable> {
        match query {
            Query::Time => self.settled_time().await.map(View::Time),
            Query::Head => Ok(View::Head(self.status().head)),
            _ => Err(Unavailable::StoreUnavailable),
        }
    }

    pub(crate) async fn read_view(&self) -> Result<ReadView, Unavailable> {
        Err(Unavailable::StoreUnavailable)
    }

    pub(crate) async fn asset_by_code(
        &self,
        code: &str,
    ) -> Result<Option<(AssetNo, Arc<Asset>)>, Unavailable> {
        let assets = self.assets().await?;
        let found = (0..).zip(assets).find(|(_, asset)| *asset.code == *code);
        Ok(found)
    }

    pub(crate) async fn assets(&self) -> Result<Vec<Arc<Asset>>, Unavailable> {
        Ok(self.directory().assets())
    }

    pub(crate) fn asset(&self, no: AssetNo) -> Arc<Asset> {
        let asset = self.directory().asset(no);
        asset.expect("the number comes from an answer of this ledger")
    }

    pub(crate) async fn slot_of(&self, id: &AccountId) -> Result<Option<Slot>, Unavailable> {
        Ok(self.directory().slot(id))
    }

    pub(crate) fn facts(&self, slot: Slot) -> AccountFacts {
        let row = self.directory().row(slot);
        row.expect("the slot comes from an answer of this ledger")
            .facts()
    }

    pub(crate) fn wallet_owner(&self, slot: Slot) -> Option<Arc<str>> {
        self.directory().row(slot)?.owner.clone()
    }

    pub(crate) async fn checkpoint_now(&self) -> Result<Option<(Checkpoint, bool)>, Unavailable> {
        Err(Unavailable::StoreUnavailable)
    }
}
