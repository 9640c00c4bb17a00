//! The state that records amount to, and the checks of everything but transfers (A1, B1).

use std::collections::HashMap;

use florin_base::Timestamp;

use super::{chains::OpenChain, ids::Ids, report::Kind};
use crate::{
    model::{
        AccountChange, AccountId, Asset, AssetNo, Body, Floor, NewAccount, NewWallet, Record, Side,
        Slot, Status, Totals, Touch, TransferId, WalletChange,
    },
    record::line::Names,
};

/// Most decimals of an asset (contract A1).
const SCALE_MAX: u8 = 30;

/// What is wrong with a record.
#[derive(Debug)]
pub(super) struct Fault {
    pub kind: Kind,
    pub detail: String,
}

pub(super) type Check<T = ()> = Result<T, Fault>;

pub(super) fn fault(kind: Kind, detail: impl Into<String>) -> Fault {
    let detail = detail.into();
    Fault { kind, detail }
}

/// `Ok` if a condition holds.
pub(super) fn ensure(holds: bool, kind: Kind, detail: impl FnOnce() -> String) -> Check {
    if holds {
        Ok(())
    } else {
        Err(fault(kind, detail()))
    }
}

#[derive(Debug)]
pub(super) struct Account {
    pub id: AccountId,
    pub asset: AssetNo,
    pub normal: Side,
    pub status: Status,
    pub floor: Floor,
    pub version: u32,
    pub totals: Totals,
    /// There is a wallet behind it.
    pub has_wallet: bool,
    /// A record with floors skipped lowered it.
    pub floor_skipped: bool,
}

/// An unresolved pending transfer.
#[derive(Debug)]
pub(super) struct Open {
    pub debit: Slot,
    pub credit: Slot,
    pub amount: u128,
    pub asset: AssetNo,
    pub code: Box<str>,
    pub effective_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// An asset and the sums of its accounts, modulo 2^128: equal sums stay equal.
#[derive(Debug)]
pub(super) struct AssetState {
    pub code: Box<str>,
    pub sums: Totals,
}

/// Everything the records say so far.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pub assets: Vec<AssetState>,
    pub codes: HashMap<Box<str>, AssetNo>,
    pub accounts: Vec<Account>,
    pub slots: HashMap<AccountId, Slot>,
    pub pendings: HashMap<TransferId, Open>,
    pub ids: Ids,
    pub chain: Option<OpenChain>,
    pub floor_skipped_records: u64,
}

impl Names for Fold {
    fn account(&self, slot: Slot, out: &mut Vec<u8>) {
        if let Some(account) = self.accounts.get(slot as usize) {
            account.id.write_to(out);
        }
    }

    fn asset(&self, no: AssetNo, out: &mut Vec<u8>) {
        if let Some(asset) = self.assets.get(usize::from(no)) {
            out.extend_from_slice(asset.code.as_bytes());
        }
    }

    fn asset_of(&self, slot: Slot) -> AssetNo {
        self.accounts.get(slot as usize).map_or(0, |a| a.asset)
    }
}

/// `^[A-Z][A-Z0-9._-]{1,23}$`, written down a second time on purpose.
fn is_code(code: &str) -> bool {
    let tail =
        |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    match code.as_bytes() {
        [first, rest @ ..] => {
            first.is_ascii_uppercase() && (1..=23).contains(&rest.len()) && rest.iter().all(tail)
        }
        [] => false,
    }
}

impl Fold {
    /// Takes a record in. `stored` also compares the totals kept with it.
    pub(super) fn apply(&mut self, record: &Record, stored: bool) -> Check {
        self.chain_before(record)?;
        let touched = match &record.body {
            Body::AssetCreated(asset) => self.asset_created(asset)?,
            Body::AccountCreated(account) => self.account_created(account)?,
            Body::AccountUpdated {
                slot,
                version,
                change,
            } => self.account_updated(*slot, *version, change)?,
            Body::Transfer(t) => self.transfer(record, t)?,
            Body::Expired { .. } => self.expired(record)?,
            Body::WalletCreated(wallet) => self.wallet_created(wallet)?,
            Body::WalletUpdated {
                id,
                slot,
                version,
                change,
            } => self.wallet_updated(*id, *slot, *version, change)?,
        };
        if stored {
            self.compare_stored(record, touched)?;
        }
        Ok(())
    }

    pub(super) fn account(&self, slot: Slot) -> Check<&Account> {
        let account = self.accounts.get(slot as usize);
        account.ok_or_else(|| {
            fault(
                Kind::AccountUnknown,
                format!("no account has ordinal {slot}"),
            )
        })
    }

    pub(super) fn account_mut(&mut self, slot: Slot) -> Check<&mut Account> {
        let account = self.accounts.get_mut(slot as usize);
        account.ok_or_else(|| {
            fault(
                Kind::AccountUnknown,
                format!("no account has ordinal {slot}"),
            )
        })
    }

    fn asset_created(&mut self, asset: &Asset) -> Check<Touched> {
        let Asset { code, scale, .. } = asset;
        ensure(is_code(code), Kind::FieldInvalid, || {
            format!("{code:?} is no asset code")
        })?;
        ensure(*scale <= SCALE_MAX, Kind::FieldInvalid, || {
            format!("asset {code} has {scale} decimals")
        })?;
        ensure(!self.codes.contains_key(code), Kind::IdUsedTwice, || {
            format!("asset {code} was there before")
        })?;
        let no = AssetNo::try_from(self.assets.len())
            .map_err(|_| fault(Kind::FieldInvalid, "more than 65 536 assets"))?;
        self.codes.insert(code.clone(), no);
        self.assets.push(AssetState {
            code: code.clone(),
            sums: Totals::default(),
        });
        Ok([None, None])
    }

    fn account_created(&mut self, account: &NewAccount) -> Check<Touched> {
        let id = &account.id;
        ensure(
            AccountId::parse(&id.to_string()).as_ref() == Some(id),
            Kind::FieldInvalid,
            || format!("{id} is no account id"),
        )?;
        ensure(
            usize::from(account.asset) < self.assets.len(),
            Kind::AssetUnknown,
            || format!("account {id} has an asset that is not there"),
        )?;
        ensure(!self.slots.contains_key(id), Kind::IdUsedTwice, || {
            format!("account {id} was there before")
        })?;
        let slot = Slot::try_from(self.accounts.len())
            .map_err(|_| fault(Kind::FieldInvalid, "more than 2^32 accounts"))?;
        self.slots.insert(id.clone(), slot);
        self.accounts.push(Account {
            id: id.clone(),
            asset: account.asset,
            normal: account.normal,
            status: Status::Open,
            floor: account.floor,
            version: 1,
            totals: Totals::default(),
            has_wallet: false,
            floor_skipped: false,
        });
        Ok([Some(slot), None])
    }

    fn account_updated(
        &mut self,
        slot: Slot,
        version: u32,
        change: &AccountChange,
    ) -> Check<Touched> {
        self.next_version(slot, version)?;
        if let Some(status) = change.status {
            self.change_status(slot, status)?;
        }
        if let Some(floor) = change.floor {
            self.account_mut(slot)?.floor = floor;
        }
        Ok([Some(slot), None])
    }

    fn next_version(&mut self, slot: Slot, version: u32) -> Check {
        let account = self.account_mut(slot)?;
        let (id, before) = (&account.id, account.version);
        ensure(
            before.checked_add(1) == Some(version),
            Kind::VersionWrong,
            || format!("version {version} of {id} follows {before}"),
        )?;
        ensure(
            account.status != Status::Closed,
            Kind::AccountClosed,
            || format!("{id} is closed and was changed"),
        )?;
        account.version = version;
        Ok(())
    }

    fn change_status(&mut self, slot: Slot, status: Status) -> Check {
        let account = self.account_mut(slot)?;
        let t = &account.totals;
        let empty =
            t.debits_posted == t.credits_posted && t.debits_pending == 0 && t.credits_pending == 0;
        ensure(
            status != Status::Closed || empty,
            Kind::AccountNotEmpty,
            || format!("{} was closed with {t:?}", account.id),
        )?;
        account.status = status;
        Ok(())
    }

    fn wallet_created(&mut self, wallet: &NewWallet) -> Check<Touched> {
        let account = self.account_mut(wallet.slot)?;
        ensure(
            account.id == AccountId::Wallet(wallet.id),
            Kind::WalletWrong,
            || format!("{} is not the account of the wallet", account.id),
        )?;
        ensure(!account.has_wallet, Kind::IdUsedTwice, || {
            format!("{} was a wallet before", account.id)
        })?;
        account.has_wallet = true;
        Ok([Some(wallet.slot), None])
    }

    fn wallet_updated(
        &mut self,
        id: u128,
        slot: Slot,
        version: u32,
        change: &WalletChange,
    ) -> Check<Touched> {
        let account = self.account(slot)?;
        ensure(
            account.has_wallet && account.id == AccountId::Wallet(id),
            Kind::WalletWrong,
            || format!("{} is not the wallet's account", account.id),
        )?;
        self.next_version(slot, version)?;
        if let Some(status) = change.status {
            self.change_status(slot, status)?;
        }
        Ok([Some(slot), None])
    }

    /// The totals kept with a record, and its count of wallet events, are those of the fold.
    fn compare_stored(&mut self, record: &Record, touched: Touched) -> Check {
        let stored = [record.touches.first, record.touches.second];
        for (slot, touch) in touched.into_iter().zip(stored) {
            match (slot, touch) {
                (None, None) => {}
                (Some(slot), Some(touch)) if touch.slot == slot => self.compare_touch(&touch)?,
                _ => {
                    let detail = format!("totals of {stored:?} are kept, of {touched:?} changed");
                    return Err(fault(Kind::StoredBalance, detail));
                }
            }
        }
        Ok(())
    }

    fn compare_touch(&mut self, touch: &Touch) -> Check {
        let account = self.account_mut(touch.slot)?;
        let may_be_event = account.id.wallet().is_some();
        ensure(may_be_event || !touch.is_event, Kind::StoredBalance, || {
            format!("{} is no wallet and has an event", account.id)
        })?;
        account.totals.events += u64::from(touch.is_event);
        ensure(account.totals == touch.after, Kind::StoredBalance, || {
            format!(
                "{}: stored {:?}, computed {:?}",
                account.id, touch.after, account.totals
            )
        })
    }
}

/// The accounts whose totals a record changed or names: debited first.
pub(super) type Touched = [Option<Slot>; 2];
