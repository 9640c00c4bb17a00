//! Import of lines (contract A10): assets, accounts and transfers of a file, or the exact lines
//! of an export. `recordedAt` is the time of import.

use florin_base::Timestamp;

use super::{
    Judge, Judged,
    book::{Book, Fault, Known, Space},
    items::{Extras, Verdict},
};
use crate::{
    call::{ImportCall, ImportLine, ImportTransfer, Item, LineResult, Outcome},
    codes::ResultCode,
    model::{AccountId, Slot, TransferId},
};

impl<B: Book> Judge<'_, B> {
    pub(super) fn import(&mut self, call: ImportCall) -> Result<Judged, Fault> {
        let mut results = Vec::with_capacity(call.lines.len());
        let mut below = Vec::new();
        let mut lines = call.lines.into_iter().peekable();
        while let Some(line) = lines.next() {
            self.actor = call.actor.clone();
            let Some(chain_id) = chain_of(&line).map(Into::into) else {
                results.push(self.import_line(line, call.skip_floors, &mut below)?);
                continue;
            };
            let chain_id: TransferId = chain_id;
            let mut legs = vec![line];
            while let Some(leg) = lines.next_if(|next| chain_of(next) == Some(&*chain_id)) {
                legs.push(leg);
            }
            self.import_chain(legs, call.skip_floors, &mut below, &mut results)?;
        }
        below.sort_unstable();
        below.dedup();
        let below: Vec<AccountId> = below
            .into_iter()
            .filter(|slot| self.is_below_floor(*slot))
            .map(|slot| self.book.id(slot))
            .collect();
        Ok(Judged::new(Outcome::Lines(results, below)))
    }

    fn import_line(
        &mut self,
        line: ImportLine,
        skip_floors: bool,
        below: &mut Vec<Slot>,
    ) -> Result<LineResult, Fault> {
        match line {
            ImportLine::Asset(asset) => {
                let id = asset.code.clone();
                let actor = self.actor.clone();
                self.create_asset(actor, asset)
                    .map(|judged| line_result(id, judged))
            }
            ImportLine::Account(account) => {
                let id = account.id.to_string().into();
                self.create_account(account)
                    .map(|judged| line_result(id, judged))
            }
            ImportLine::AccountUpdate(patch) => {
                let id: Box<str> = patch.id.to_string().into();
                let done = |slot| {
                    patch
                        .if_version
                        .is_some_and(|v| self.book.hot(slot).version > v)
                };
                if self.book.slot(&patch.id).is_some_and(done) {
                    return Ok(LineResult {
                        id,
                        code: "exists",
                        field: None,
                    });
                }
                self.patch_account(patch)
                    .map(|judged| line_result(id, judged))
            }
            ImportLine::Wallet { wallet } => Ok(self.import_wallet(wallet)),
            ImportLine::WalletUpdate {
                id,
                version,
                change,
            } => {
                let text: Box<str> = uuid::Uuid::from_u128(id).to_string().into();
                let Some(slot) = self.visible_wallet(id, None) else {
                    return Ok(LineResult {
                        id: text,
                        code: "wallet_not_found",
                        field: None,
                    });
                };
                if self.book.hot(slot).version >= version {
                    return Ok(LineResult {
                        id: text,
                        code: "exists",
                        field: None,
                    });
                }
                self.apply_wallet_change(id, slot, *change);
                Ok(LineResult {
                    id: text,
                    code: "created",
                    field: None,
                })
            }
            ImportLine::Expired {
                pending_id,
                effective_at,
            } => self.import_expiry(&pending_id, effective_at),
            ImportLine::Transfer(transfer) => self.import_transfer(*transfer, skip_floors, below),
        }
    }

    fn import_wallet(&mut self, wallet: crate::call::CreateWallet) -> LineResult {
        let id: Box<str> = uuid::Uuid::from_u128(wallet.id).to_string().into();
        let code = match self.book.slot(&AccountId::Wallet(wallet.id)) {
            None => "account_not_found",
            Some(slot) if self.book.wallet(slot).is_some() => "exists",
            Some(slot) => {
                self.attach_wallet(slot, wallet);
                "created"
            }
        };
        LineResult {
            id,
            code,
            field: None,
        }
    }

    fn import_expiry(
        &mut self,
        pending_id: &str,
        effective_at: Timestamp,
    ) -> Result<LineResult, Fault> {
        let id: Box<str> = format!("{pending_id}:exp").into();
        let code = if let Some(pending) = self.book.pending(pending_id).cloned() {
            if let Some(code) = self.time_refusal(effective_at) {
                code.word()
            } else if effective_at < pending.effective_at {
                ResultCode::EffectiveTimeBeforePending.word()
            } else {
                self.expire_at(pending_id, &pending, effective_at);
                "created"
            }
        } else if matches!(
            self.book.lookup(Space::Transfer, &[], &id)?,
            Some(Known::Record(_))
        ) {
            "exists"
        } else {
            "pending_transfer_not_found"
        };
        Ok(LineResult {
            id,
            code,
            field: None,
        })
    }

    /// A chain of an export: all legs or none, like the chain it was.
    fn import_chain(
        &mut self,
        legs: Vec<ImportLine>,
        skip_floors: bool,
        below: &mut Vec<Slot>,
        results: &mut Vec<LineResult>,
    ) -> Result<(), Fault> {
        let mark = self.mark();
        let from = results.len();
        let (mut refused, mut created) = (None, 0);
        let items = legs.iter().filter_map(|leg| match leg {
            ImportLine::Transfer(transfer) => Some(&transfer.item),
            _ => None,
        });
        self.open_system_accounts(items);
        let count = legs.len();
        for (index, leg) in legs.into_iter().enumerate() {
            let ImportLine::Transfer(transfer) = leg else {
                continue;
            };
            let (item, chain, extras) = unpack(*transfer, skip_floors);
            let chain = chain.as_ref().map(|(id, place)| (id, *place));
            let verdict = match refused {
                None if chain.is_none_or(|(_, place)| place as usize != index) => {
                    Verdict::refused(ResultCode::FieldInvalid, Some("chainIndex"))
                }
                None => self.judge_item(&item, chain, &extras)?,
                Some(_) => Verdict::refused(ResultCode::LinkedTransferFailed, None),
            };
            created += usize::from(verdict.code == ResultCode::Created);
            if !verdict.code.is_success() && refused.is_none() {
                refused = Some(index);
            }
            self.note_floors(&item, &extras, verdict, below);
            results.push(transfer_result(item.id, verdict));
        }
        if refused.is_some() || (created != 0 && created != count) {
            self.roll_back(mark);
            for (index, result) in results[from..].iter_mut().enumerate() {
                if refused != Some(index) {
                    result.code = ResultCode::LinkedTransferFailed.word();
                    result.field = None;
                }
            }
        }
        Ok(())
    }

    fn import_transfer(
        &mut self,
        transfer: ImportTransfer,
        skip_floors: bool,
        below: &mut Vec<Slot>,
    ) -> Result<LineResult, Fault> {
        let (item, chain, extras) = unpack(transfer, skip_floors);
        let chain = chain.as_ref().map(|(id, index)| (id, *index));
        let verdict = self.judge_alone(&item, chain, &extras)?;
        self.note_floors(&item, &extras, verdict, below);
        Ok(transfer_result(item.id, verdict))
    }

    /// Remembers the accounts whose floors were not checked, to list those left below them.
    fn note_floors(&self, item: &Item, extras: &Extras, verdict: Verdict, below: &mut Vec<Slot>) {
        if verdict.code == ResultCode::Created && extras.skip_floors {
            let accounts = [&item.debit, &item.credit].into_iter().flatten();
            below.extend(accounts.filter_map(|id| self.book.slot(id)));
        }
    }
}

/// The chain a line of an export belongs to.
fn chain_of(line: &ImportLine) -> Option<&str> {
    match line {
        ImportLine::Transfer(transfer) => transfer.chain.as_ref().map(|(id, _)| &**id),
        _ => None,
    }
}

fn unpack(
    transfer: ImportTransfer,
    skip_floors: bool,
) -> (Item, Option<(TransferId, u32)>, Extras) {
    let extras = Extras {
        skip_floors: skip_floors || transfer.floor_skipped,
        exported: transfer.exported,
        source_recorded_at: transfer.source_recorded_at,
        reversal_of: transfer.reversal_of,
        origin: transfer.origin,
    };
    (transfer.item, transfer.chain, extras)
}

fn transfer_result(id: TransferId, verdict: Verdict) -> LineResult {
    LineResult {
        id,
        code: verdict.code.word(),
        field: verdict.field.map(Into::into),
    }
}

fn line_result(id: Box<str>, judged: Judged) -> LineResult {
    match judged.outcome {
        Outcome::Refused(refusal) => LineResult {
            id,
            code: refusal.code.word(),
            field: refusal.field,
        },
        _ => LineResult {
            id,
            code: if judged.replayed { "exists" } else { "created" },
            field: None,
        },
    }
}
