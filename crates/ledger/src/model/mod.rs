//! What the ledger records: assets, accounts, transfers, wallets (contract A1, A2).

mod name;
mod record;

use std::fmt;

use florin_base::{Timestamp, ids::parse_canonical_uuid};
use serde::{Deserialize, Serialize};

/// Ordinal of an account in order of creation; the compact name used inside the store.
pub type Slot = u32;
/// Ordinal of an asset in order of creation.
pub type AssetNo = u16;

/// Most pairs in a metadata map (contract A1).
pub const METADATA_PAIRS_MAX: usize = 16;
/// Longest metadata value, in characters.
pub const METADATA_VALUE_MAX: usize = 512;
/// Longest description or reason, in characters.
pub const DESCRIPTION_MAX: usize = 500;
/// Most items of one call (contract A3).
pub const ITEMS_MAX: usize = 8_190;
/// Longest time-out of a pending transfer, in seconds (366 days).
pub const TIMEOUT_MAX_SECONDS: u32 = 31_622_400;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word used in JSON.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            /// The value for a word of JSON.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
            /// The value for its number in the journal.
            pub fn from_number(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.word()) }
        }
    };
}
pub(crate) use words;

pub use name::Name;
pub use record::{
    AccountChange, Body, NewAccount, NewWallet, Origin, Record, Touch, Touches, Transfer,
    TransferId, WalletChange, WalletType,
};

words! {
    /// What an asset is.
    AssetKind { Fiat = "fiat", Crypto = "crypto", Points = "points", Other = "other" }
}
words! {
    /// The five kinds of account; each has its usual side.
    AccountKind {
        Asset = "asset", Liability = "liability", Equity = "equity",
        Income = "income", Expense = "expense",
    }
}
words! {
    /// Debit or credit.
    Side { Debit = "debit", Credit = "credit" }
}
words! {
    /// Status of an account; a wallet's status is its account's.
    Status { Open = "open", Frozen = "frozen", Closed = "closed" }
}
words! {
    /// What a transfer does (contract A2).
    Mode {
        Single = "single",
        /// Reserves.
        Pending = "pending",
        /// Moves all or part of a reservation and releases the rest.
        Post = "post",
        /// Releases a reservation.
        Void = "void",
    }
}

impl AccountKind {
    /// The side on which accounts of this kind grow.
    pub const fn usual_side(self) -> Side {
        match self {
            Self::Asset | Self::Expense => Side::Debit,
            Self::Liability | Self::Equity | Self::Income => Side::Credit,
        }
    }
}

impl Side {
    /// The other side.
    pub const fn other(self) -> Self {
        match self {
            Self::Debit => Self::Credit,
            Self::Credit => Self::Debit,
        }
    }
}

impl Status {
    /// The word of the wallet routes.
    pub const fn wallet_word(self) -> &'static str {
        match self {
            Self::Open => "ACTIVE",
            Self::Frozen => "FROZEN",
            Self::Closed => "CLOSED",
        }
    }
}

/// Up to 16 pairs, sorted by key, keys unique.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata(Box<[(Box<str>, Box<str>)]>);

impl Metadata {
    /// Sorts and checks pairs.
    ///
    /// # Errors
    /// A sentence naming the rule: too many pairs, a key outside `^[A-Za-z0-9._-]{1,64}$`, a
    /// value over 512 characters, a key given twice.
    pub fn try_new(mut pairs: Vec<(Box<str>, Box<str>)>) -> Result<Self, &'static str> {
        if pairs.len() > METADATA_PAIRS_MAX {
            return Err("must have at most 16 pairs");
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        for (i, (key, value)) in pairs.iter().enumerate() {
            let key_ok = (1..=64).contains(&key.len())
                && key
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
            if !key_ok {
                return Err("keys must match ^[A-Za-z0-9._-]{1,64}$");
            }
            if value.chars().count() > METADATA_VALUE_MAX {
                return Err("values must have at most 512 characters");
            }
            if i > 0 && pairs[i - 1].0 == *key {
                return Err("keys must be unique");
            }
        }
        Ok(Self(pairs.into_boxed_slice()))
    }

    /// The pairs in key order.
    pub fn pairs(&self) -> &[(Box<str>, Box<str>)] {
        &self.0
    }

    /// No pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| &**k == key).map(|(_, v)| &**v)
    }
}

/// An asset: code, number of decimals, kind. Never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// `^[A-Z][A-Z0-9._-]{1,23}$`.
    pub code: Box<str>,
    /// Decimals of the major unit, 0 to 30.
    pub scale: u8,
    /// What it is.
    pub kind: AssetKind,
    /// Shown name.
    pub name: Option<Box<str>>,
    /// Caller's own pairs.
    pub metadata: Metadata,
}

impl Asset {
    fn plain(code: &str, scale: u8, kind: AssetKind) -> Self {
        Self {
            code: code.into(),
            scale,
            kind,
            name: None,
            metadata: Metadata::default(),
        }
    }

    /// Those present at first start (contract A1).
    pub fn standard() -> Vec<Self> {
        vec![
            Self::plain("BRL", 2, AssetKind::Fiat),
            Self::plain("USD", 2, AssetKind::Fiat),
            Self::plain("EUR", 2, AssetKind::Fiat),
            Self::plain("JPY", 0, AssetKind::Fiat),
            Self::plain("BTC", 8, AssetKind::Crypto),
            Self::plain("ETH", 18, AssetKind::Crypto),
            Self::plain("POINTS", 0, AssetKind::Points),
        ]
    }
}

/// The id of an account. Wallet accounts are kept as 16 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AccountId {
    /// `florin:wallet:{uuid}`.
    Wallet(u128),
    /// Any other id.
    Named(Name),
}

/// Prefix of the accounts that belong to Florin itself (contract A1).
pub const RESERVED_PREFIX: &str = "florin:";
const WALLET_PREFIX: &str = "florin:wallet:";

impl AccountId {
    /// Reads an id; `None` outside `^[A-Za-z0-9][A-Za-z0-9:._@-]{0,127}$`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(uuid) = text
            .strip_prefix(WALLET_PREFIX)
            .and_then(parse_canonical_uuid)
        {
            return Some(Self::Wallet(uuid.as_u128()));
        }
        let ok = (1..=128).contains(&text.len())
            && text.as_bytes()[0].is_ascii_alphanumeric()
            && text.bytes().all(|b| {
                b.is_ascii_alphanumeric() || matches!(b, b':' | b'.' | b'_' | b'@' | b'-')
            });
        ok.then(|| Self::Named(text.into()))
    }

    /// `florin:{kind}:{asset}`, one of the system accounts.
    pub fn system(kind: SystemAccount, asset: &str) -> Self {
        Self::Named(Name::from(&*format!(
            "{RESERVED_PREFIX}{}:{asset}",
            kind.word()
        )))
    }

    /// Starts with `florin:`.
    pub fn is_reserved(&self) -> bool {
        match self {
            Self::Wallet(_) => true,
            Self::Named(name) => name.starts_with(RESERVED_PREFIX),
        }
    }

    /// The wallet behind the account.
    pub const fn wallet(&self) -> Option<u128> {
        match self {
            Self::Wallet(id) => Some(*id),
            Self::Named(_) => None,
        }
    }

    /// The system account and its asset, for ids such as `florin:external:BRL`.
    pub fn as_system(&self) -> Option<(SystemAccount, &str)> {
        let Self::Named(name) = self else { return None };
        let (kind, asset) = name.strip_prefix(RESERVED_PREFIX)?.split_once(':')?;
        Some((SystemAccount::from_word(kind)?, asset))
    }

    /// Appends the text form.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Wallet(id) => {
                out.extend_from_slice(WALLET_PREFIX.as_bytes());
                write_uuid(*id, out);
            }
            Self::Named(name) => out.extend_from_slice(name.as_bytes()),
        }
    }
}

/// Appends the canonical text of a UUID.
pub fn write_uuid(id: u128, out: &mut Vec<u8>) {
    let mut buffer = [0u8; uuid::fmt::Hyphenated::LENGTH];
    let text = uuid::Uuid::from_u128(id)
        .hyphenated()
        .encode_lower(&mut buffer);
    out.extend_from_slice(text.as_bytes());
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet(id) => write!(f, "{WALLET_PREFIX}{}", uuid::Uuid::from_u128(*id)),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

words! {
    /// Accounts that Florin makes on first use, one for each asset (contract A1).
    SystemAccount {
        /// The outside world: deposits debit it, withdrawals credit it.
        External = "external",
        /// Liquidity between currencies.
        Fx = "fx",
        /// Fees earned.
        Fees = "fees",
        /// Opening balances of imports.
        Opening = "opening",
        /// Corrections of linked books wait here.
        Suspense = "suspense",
    }
}

impl SystemAccount {
    /// Kind of the account.
    pub const fn kind(self) -> AccountKind {
        match self {
            Self::External => AccountKind::Asset,
            Self::Fx | Self::Opening => AccountKind::Equity,
            Self::Fees => AccountKind::Income,
            Self::Suspense => AccountKind::Liability,
        }
    }

    /// Its lower bound.
    pub const fn floor(self) -> Floor {
        match self {
            Self::Fees => Floor::Zero,
            _ => Floor::None,
        }
    }
}

/// The lowest `available` an account may be left with by a transfer that lowers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Floor {
    /// `mayOverdraw` false.
    #[default]
    Zero,
    /// `mayOverdraw` true with `floorMinor` = -magnitude.
    Minus(u128),
    /// `mayOverdraw` true without `floorMinor`.
    None,
}

impl Floor {
    /// The `mayOverdraw` member.
    pub const fn may_overdraw(self) -> bool {
        !matches!(self, Self::Zero)
    }
}

/// The four totals of an account in minor units, and two counters derived from its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Σ posted debits.
    pub debits_posted: u128,
    /// Σ posted credits.
    pub credits_posted: u128,
    /// Σ reserved debits.
    pub debits_pending: u128,
    /// Σ reserved credits.
    pub credits_pending: u128,
    /// Count of records that changed a posted total.
    pub postings: u64,
    /// Count of events of the wallet (`walletSeq`); 0 for accounts that are no wallet.
    pub events: u64,
}

impl Totals {
    /// Posted of the normal side less posted of the other.
    pub const fn balance(&self, normal: Side) -> florin_base::Signed {
        match normal {
            Side::Debit => florin_base::Signed::difference(self.debits_posted, self.credits_posted),
            Side::Credit => {
                florin_base::Signed::difference(self.credits_posted, self.debits_posted)
            }
        }
    }

    /// `balance` less what is reserved on the side that lowers it. Exact: the sums of one side
    /// never pass 2^128 - 1 (rank 51).
    pub const fn available(&self, normal: Side) -> florin_base::Signed {
        match normal {
            Side::Debit => florin_base::Signed::difference(
                self.debits_posted,
                self.credits_posted.saturating_add(self.credits_pending),
            ),
            Side::Credit => florin_base::Signed::difference(
                self.credits_posted,
                self.debits_posted.saturating_add(self.debits_pending),
            ),
        }
    }

    /// What is reserved on the side that lowers the account.
    pub const fn held(&self, normal: Side) -> u128 {
        match normal {
            Side::Debit => self.credits_pending,
            Side::Credit => self.debits_pending,
        }
    }
}

/// What never changes about an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFacts {
    /// Its id.
    pub id: AccountId,
    /// Its asset.
    pub asset: AssetNo,
    /// Its kind.
    pub kind: AccountKind,
    /// The side on which it grows.
    pub normal: Side,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// The amounts of one direction of a wallet's limits; `None` = no limit. Minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DirectionLimits {
    /// Largest single movement.
    pub per_transaction: Option<u128>,
    /// Largest sum in a UTC calendar day.
    pub daily: Option<u128>,
    /// Largest sum in a UTC calendar month.
    pub monthly: Option<u128>,
}

/// Limits of a wallet (contract B6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Withdrawals, transfers out, holds.
    pub out: DirectionLimits,
    /// Deposits, transfers in, holds in favour.
    pub r#in: DirectionLimits,
}
