//! The embedded engine: one writer thread, group commit, everything else derived.

mod view;

use std::{path::PathBuf, sync::Arc};

use florin_base::Clock;
use uuid::Uuid;

pub use view::{Entry, EntryPage, IdLookup, Phase, ReadError, ReadView, TransferState};

use crate::{
    call::{Answer, Call, Query, Unavailable, View},
    model::{AccountFacts, AccountId, Asset, AssetNo, Slot},
    policy::Policy,
};

/// How to open a ledger.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Its directory.
    pub dir: PathBuf,
    /// Assets that must exist after the start (created when missing).
    pub assets: Vec<Asset>,
    /// Most calls waiting before `Overloaded`.
    pub queue_max: usize,
}

/// Why a ledger did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What and where, with the remedy.
    #[error("{0}")]
    Refused(String),
}

/// A handle to an open ledger; clones share it.
#[derive(Clone)]
pub struct Ledger {
    policy: Arc<Policy>,
}

impl Ledger {
    /// Opens (recovers) the ledger in a directory.
    pub fn open(
        _options: OpenOptions,
        policy: Policy,
        _clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            policy: Arc::new(policy),
        })
    }

    /// Decides a call durably: the answer comes after the journal was synced.
    pub async fn submit(&self, _call: Call) -> Result<Answer, Unavailable> {
        Err(Unavailable::StoreUnavailable)
    }

    /// Answers from memory; shows every write acknowledged before.
    pub async fn query(&self, _query: Query) -> Result<View, Unavailable> {
        Err(Unavailable::StoreUnavailable)
    }

    /// Waits until the derived index has everything durable now (bounded), and returns a
    /// consistent, cloneable view for blocking reads (`spawn_blocking`).
    pub async fn read_view(&self) -> Result<ReadView, Unavailable> {
        Err(Unavailable::StoreUnavailable)
    }

    /// Last durable and indexed `seq`; changes wake feed followers.
    pub fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        tokio::sync::watch::channel(0).1
    }

    /// A fresh UUIDv7 from the ledger's clock.
    pub fn new_id(&self) -> Uuid {
        Uuid::nil()
    }

    /// The ledger's own id.
    pub fn ledger_id(&self) -> Uuid {
        Uuid::nil()
    }

    /// Settings in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// An asset by number.
    pub fn asset(&self, _no: AssetNo) -> Arc<Asset> {
        unreachable!("numbers come from this ledger")
    }

    /// An asset by code.
    pub fn asset_by_code(&self, _code: &str) -> Option<(AssetNo, Arc<Asset>)> {
        None
    }

    /// All assets in order of creation.
    pub fn assets(&self) -> Vec<Arc<Asset>> {
        Vec::new()
    }

    /// The account of an id.
    pub fn slot_of(&self, _id: &AccountId) -> Option<Slot> {
        None
    }

    /// What never changes about an account.
    pub fn facts(&self, _slot: Slot) -> AccountFacts {
        unreachable!("slots come from this ledger")
    }

    /// The owner of a wallet account.
    pub fn wallet_owner(&self, _slot: Slot) -> Option<Box<str>> {
        None
    }
}
