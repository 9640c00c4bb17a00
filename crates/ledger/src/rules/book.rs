//! What the rules need from an engine: the accounts touched, the identities known, and places
//! to put effects. The rules never see a clock, a file or a socket.

use std::sync::Arc;

use florin_base::Timestamp;

use crate::{
    call::{Refusal, Used},
    codes::ResultCode,
    model::{
        AccountId, Asset, AssetNo, Floor, Limits, Metadata, NewAccount, NewWallet, Record, Side,
        Slot, Status, Totals, TransferId, WalletType,
    },
};

/// The engine could not look something up; the call is rolled back and was not done.
#[derive(Debug, Clone, thiserror::Error)]
#[error("lookup failed: {0}")]
pub struct Fault(pub String);

/// The changing part of an account with the facts every decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hot {
    /// The four totals.
    pub totals: Totals,
    /// Its asset.
    pub asset: AssetNo,
    /// The side on which it grows.
    pub normal: Side,
    /// Its status.
    pub status: Status,
    /// It is a wallet's account.
    pub is_wallet: bool,
    /// Its lower bound is not zero; [`Book::floor`] tells which.
    pub has_floor: bool,
    /// Grows by 1 with each change of the account, from 1.
    pub version: u32,
}

/// A reservation that is not resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPending {
    /// Its record.
    pub seq: u64,
    /// Account of the reserved debit.
    pub debit: Slot,
    /// Account of the reserved credit.
    pub credit: Slot,
    /// Reserved minor units.
    pub amount: u128,
    /// Its asset.
    pub asset: AssetNo,
    /// Its type.
    pub code: Box<str>,
    /// When it counts.
    pub effective_at: Timestamp,
    /// When it was recorded; limits count in the windows of this time.
    pub recorded_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// It is a wallet hold: counts against limits, events go to the payer only.
    pub is_hold: bool,
}

/// The wallet behind an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletInfo {
    /// Its owner.
    pub user_id: Arc<str>,
    /// Its tier.
    pub tier: Arc<str>,
    /// Its own limits.
    pub limits: Option<Box<Limits>>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Use of limits with the windows it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Windows {
    /// [`Timestamp::day_number`] of the day counted.
    pub day: i64,
    /// [`Timestamp::month_number`] of the month counted.
    pub month: i64,
    /// What was used.
    pub used: Used,
}

impl Windows {
    /// The use in the windows of `now`.
    pub fn at(mut self, now: Timestamp) -> Self {
        if self.day != now.day_number() {
            self.day = now.day_number();
            (self.used.out_day, self.used.in_day) = (0, 0);
        }
        if self.month != now.month_number() {
            self.month = now.month_number();
            (self.used.out_month, self.used.in_month) = (0, 0);
        }
        self
    }
}

/// Name space of an identity; the pair (scope, id) within it has one outcome for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Space {
    /// Transfer ids; scope empty.
    Transfer = 1,
    /// Pending transfer id → what resolved it; scope empty.
    Resolution = 2,
    /// Wallet operations; scope = wallet.
    Wallet = 3,
    /// Captures and voids; scope = hold.
    Hold = 4,
    /// Wallet creation; scope = subject.
    Creation = 5,
    /// `Idempotency-Key` of ledger calls; scope = subject.
    Key = 6,
}

/// What an identity stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// A record, by `seq`.
    Record(u64),
    /// A remembered refusal of a transfer id.
    Refused(ResultCode),
    /// A note, by number.
    Note(u64),
}

/// Something remembered that is not a record: kept in the journal as durably as one, but not
/// part of the feed (contract A8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A transfer id that was refused for good.
    IdRefused {
        /// The id.
        id: TransferId,
        /// Its outcome.
        code: ResultCode,
    },
    /// The answer to a call with an `Idempotency-Key`.
    Answered {
        /// Subject.
        scope: Box<str>,
        /// Key.
        key: Box<str>,
        /// Digest of each item or member.
        digests: Vec<u64>,
        /// Result of each item: id, code, seq, field, first code.
        results: Vec<crate::call::ItemResult>,
        /// The commit it was first answered with.
        batch: u64,
        /// Ledger time of the decision.
        recorded_at: Timestamp,
    },
    /// A wallet operation that was refused for good.
    WalletRefused {
        /// What was asked.
        asked: Box<WalletAsk>,
        /// What was answered.
        refusal: Refusal,
        /// Ledger time of the decision.
        recorded_at: Timestamp,
    },
}

/// The compared members of a wallet operation (contract B3), kept with a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletAsk {
    /// The wallet in the path.
    pub wallet: u128,
    /// Identity.
    pub reference: Box<str>,
    /// Operation.
    pub op: WalletType,
    /// Minor units.
    pub amount: u128,
    /// The receiving wallet.
    pub destination: Option<u128>,
    /// Exchange rate as written.
    pub rate: Option<Box<str>>,
    /// Life of a hold, in seconds.
    pub expires_in_seconds: Option<u32>,
    /// When it counts, if given.
    pub effective_at: Option<Timestamp>,
    /// Free text.
    pub description: Option<Box<str>>,
    /// Caller's own pairs.
    pub metadata: Metadata,
}

/// The state an engine lends to the rules. Lookups of things in the batch in progress are the
/// rules' own business; the book answers for everything before it.
pub trait Book {
    /// The asset of a code.
    fn asset_no(&self, code: &str) -> Option<AssetNo>;
    /// An asset.
    fn asset(&self, no: AssetNo) -> Arc<Asset>;
    /// How many assets there are.
    fn asset_count(&self) -> usize;
    /// Adds an asset.
    fn add_asset(&mut self, asset: Asset) -> AssetNo;
    /// The account of an id.
    fn slot(&self, id: &AccountId) -> Option<Slot>;
    /// The id of an account.
    fn id(&self, slot: Slot) -> AccountId;
    /// The `seq` of the record that created an account.
    fn created_seq(&self, slot: Slot) -> u64;
    /// The changing part of an account.
    fn hot(&self, slot: Slot) -> &Hot;
    /// The same, to change it.
    fn hot_mut(&mut self, slot: Slot) -> &mut Hot;
    /// The lower bound of an account.
    fn floor(&self, slot: Slot) -> Floor;
    /// Sets the lower bound and [`Hot::has_floor`].
    fn set_floor(&mut self, slot: Slot, floor: Floor);
    /// Replaces the metadata of an account.
    fn set_metadata(&mut self, slot: Slot, metadata: Metadata);
    /// Adds an account.
    fn add_account(&mut self, account: &NewAccount, seq: u64, at: Timestamp) -> Slot;
    /// Takes the last account away again (a chain or call was rolled back).
    fn remove_last_account(&mut self, slot: Slot);
    /// The wallet behind an account.
    fn wallet(&self, slot: Slot) -> Option<&WalletInfo>;
    /// The same, to change it.
    fn wallet_mut(&mut self, slot: Slot) -> Option<&mut WalletInfo>;
    /// Adds the wallet of an account just added.
    fn add_wallet(&mut self, wallet: &NewWallet, at: Timestamp);
    /// How many wallets a user has in an asset.
    fn wallets_of(&self, user_id: &str, asset: AssetNo) -> usize;
    /// Use of limits.
    fn windows(&self, slot: Slot) -> Windows;
    /// Replaces the use of limits.
    fn set_windows(&mut self, slot: Slot, windows: Windows);
    /// An open reservation.
    fn pending(&self, id: &str) -> Option<&OpenPending>;
    /// Adds a reservation.
    fn add_pending(&mut self, id: &str, pending: OpenPending);
    /// Takes a reservation out.
    fn remove_pending(&mut self, id: &str) -> Option<OpenPending>;
    /// The open reservation that expires first, if it does so at or before `now`.
    fn next_due(&self, now: Timestamp) -> Option<TransferId>;
    /// What an identity stands for.
    ///
    /// # Errors
    /// [`Fault`] when the store of identities cannot be read.
    fn lookup(&mut self, space: Space, scope: &[u8], id: &str) -> Result<Option<Known>, Fault>;
    /// Remembers an identity.
    fn remember(&mut self, space: Space, scope: &[u8], id: &str, known: Known);
    /// Forgets an identity of the batch in progress (rolled back).
    fn forget(&mut self, space: Space, scope: &[u8], id: &str);
    /// A record of an earlier batch.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read.
    fn record(&mut self, seq: u64) -> Result<Record, Fault>;
    /// A note of an earlier batch.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read.
    fn note(&mut self, number: u64) -> Result<Note, Fault>;
}
