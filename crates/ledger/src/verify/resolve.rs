//! From the names in a line to the ordinals in a record.

use super::{
    fold::{Check, Fold, fault},
    report::Kind,
};
use crate::{
    exchange::{FeedData, FeedLine, FeedTransfer, FeedWallet},
    model::{AccountId, AssetNo, Body, NewAccount, NewWallet, Record, Slot, Touches, Transfer},
};

impl Fold {
    fn slot(&self, id: &AccountId) -> Check<Slot> {
        let slot = self.slots.get(id).copied();
        slot.ok_or_else(|| fault(Kind::AccountUnknown, format!("account {id} is not there")))
    }

    fn asset_no(&self, code: &str) -> Check<AssetNo> {
        let no = self.codes.get(code).copied();
        no.ok_or_else(|| fault(Kind::AssetUnknown, format!("asset {code} is not there")))
    }

    /// The record that a line shows, without stored totals.
    pub(super) fn resolve(&self, line: FeedLine) -> Check<Record> {
        let body = match line.data {
            FeedData::AssetCreated(asset) => Body::AssetCreated(asset),
            FeedData::AccountCreated(account) => Body::AccountCreated(NewAccount {
                asset: self.asset_no(&account.asset)?,
                id: account.id,
                kind: account.kind,
                normal: account.normal,
                floor: account.floor,
                metadata: account.metadata,
            }),
            FeedData::AccountUpdated {
                id,
                version,
                change,
            } => Body::AccountUpdated {
                slot: self.slot(&id)?,
                version,
                change,
            },
            FeedData::Transfer(t) => Body::Transfer(Box::new(self.resolve_transfer(*t)?)),
            FeedData::Expired {
                pending_id,
                effective_at,
            } => {
                let Some(open) = self.pendings.get(&pending_id) else {
                    let detail = format!("{pending_id} expires and is no open pending transfer");
                    return Err(fault(Kind::PendingNotOpen, detail));
                };
                Body::Expired {
                    debit: open.debit,
                    credit: open.credit,
                    amount: open.amount,
                    pending_id,
                    effective_at,
                }
            }
            FeedData::WalletCreated(wallet) => {
                Body::WalletCreated(Box::new(self.resolve_wallet(*wallet)?))
            }
            FeedData::WalletUpdated {
                id,
                version,
                change,
            } => Body::WalletUpdated {
                slot: self.slot(&AccountId::Wallet(id))?,
                id,
                version,
                change,
            },
        };
        Ok(Record {
            seq: line.seq,
            batch: line.batch,
            recorded_at: line.recorded_at,
            actor: line.actor,
            body,
            touches: Touches::default(),
        })
    }

    fn resolve_transfer(&self, t: FeedTransfer) -> Check<Transfer> {
        Ok(Transfer {
            debit: self.slot(&t.debit)?,
            credit: self.slot(&t.credit)?,
            asset: self.asset_no(&t.asset)?,
            id: t.id,
            mode: t.mode,
            amount: t.amount,
            code: t.code,
            effective_at: t.effective_at,
            pending_id: t.pending_id,
            timeout_seconds: t.timeout_seconds,
            expires_at: t.expires_at,
            chain: t.chain,
            reversal_of: t.reversal_of,
            description: t.description,
            metadata: t.metadata,
            source_recorded_at: t.source_recorded_at,
            origin: t.origin,
            floor_skipped: t.floor_skipped,
            reserved: None,
            limit_window: None,
        })
    }

    fn resolve_wallet(&self, wallet: FeedWallet) -> Check<NewWallet> {
        let slot = self.slot(&AccountId::Wallet(wallet.id))?;
        let currency = self.asset_no(&wallet.currency)?;
        if self.account(slot)?.asset != currency {
            let detail = format!("a wallet in {} has an account in another", wallet.currency);
            return Err(fault(Kind::AssetMismatch, detail));
        }
        Ok(NewWallet {
            id: wallet.id,
            slot,
            user_id: wallet.user_id,
            tier: wallet.tier,
            label: wallet.label,
            metadata: wallet.metadata,
            reference_id: None,
        })
    }
}
