//! Import of lines (contract A10): assets, accounts and transfers of a file, or the exact lines
//! of an export. `recordedAt` is the time of import.

use super::{
    Judge, Judged,
    book::{Book, Fault, Known, Space},
    items::Extras,
};
use crate::{
    call::{ImportCall, ImportLine, ImportTransfer, LineResult, Outcome},
    codes::ResultCode,
    model::{AccountId, Slot},
};

impl<B: Book> Judge<'_, B> {
    pub(super) fn import(&mut self, call: ImportCall) -> Result<Judged, Fault> {
        let mut results = Vec::with_capacity(call.lines.len());
        let mut below = Vec::new();
        for line in call.lines {
            self.actor = call.actor.clone();
            results.push(self.import_line(line, call.skip_floors, &mut below)?);
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
            ImportLine::Expired { pending_id, .. } => self.import_expiry(&pending_id),
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

    fn import_expiry(&mut self, pending_id: &str) -> Result<LineResult, Fault> {
        let id: Box<str> = format!("{pending_id}:exp").into();
        let code = if self.book.pending(pending_id).is_some() {
            self.expire(pending_id);
            "created"
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

    fn import_transfer(
        &mut self,
        transfer: ImportTransfer,
        skip_floors: bool,
        below: &mut Vec<Slot>,
    ) -> Result<LineResult, Fault> {
        let ImportTransfer {
            item,
            source_recorded_at,
            chain,
            reversal_of,
            origin,
            floor_skipped,
            exported,
        } = transfer;
        let skip_floors = skip_floors || floor_skipped;
        let extras = Extras {
            skip_floors,
            exported,
            source_recorded_at,
            reversal_of,
            origin,
        };
        let chain = chain.as_ref().map(|(id, index)| (id, *index));
        let verdict = self.judge_alone(&item, chain, &extras)?;
        if verdict.code == ResultCode::Created && skip_floors {
            below.extend(
                [&item.debit, &item.credit]
                    .into_iter()
                    .flatten()
                    .filter_map(|id| self.book.slot(id)),
            );
        }
        Ok(LineResult {
            id: item.id,
            code: verdict.code.word(),
            field: verdict.field.map(Into::into),
        })
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
