//! A wallet operation sent again: the first outcome, or the first member that differs
//! (contract B3).

use florin_base::Decimal;

use super::{
    Judge, Judged,
    book::{Book, Fault, Known, Note, Space, WalletAsk},
    convert::same_value,
};
use crate::{
    call::{Outcome, Refusal, RefusalCode, WalletMove},
    model::{Asset, Metadata, Slot, Transfer, WalletType},
};

impl<B: Book> Judge<'_, B> {
    pub(super) fn repeated_move(
        &mut self,
        call: &WalletMove,
        wallet: Slot,
    ) -> Result<Option<Judged>, Fault> {
        if call.reference.generated {
            return Ok(None);
        }
        let scope = call.wallet.to_be_bytes();
        let Some(known) = self
            .book
            .lookup(Space::Wallet, &scope, &call.reference.id)?
        else {
            return Ok(None);
        };
        let (recorded, outcome) = match known {
            Known::Record(seq) => {
                let record = self.load(seq)?;
                let Some(t) = record.transfer() else {
                    return Ok(None);
                };
                let ask = recorded_ask(t);
                let mut records = vec![record.clone()];
                if t.chain.is_some() {
                    records.push(self.load(seq + 1)?);
                }
                (ask, Outcome::Done(records))
            }
            Known::Note(number) => match self.load_note(number)? {
                Note::WalletRefused { asked, refusal, .. } => (*asked, Outcome::Refused(refusal)),
                _ => return Ok(None),
            },
            Known::Refused(_) => return Ok(None),
        };
        let asset = self.book.asset(self.book.hot(wallet).asset);
        Ok(Some(match self.first_difference(call, &recorded, &asset) {
            Some(field) => Judged::new(Outcome::Refused(Refusal::at(
                RefusalCode::IdempotencyConflict,
                field,
            ))),
            None => Judged::replay(outcome),
        }))
    }

    fn first_difference(
        &self,
        call: &WalletMove,
        before: &WalletAsk,
        asset: &Asset,
    ) -> Option<&'static str> {
        let amount = self.minor(call.amount, asset.scale);
        let rate_equal = match (&call.rate, &before.rate) {
            (None, None) => true,
            (Some(a), Some(b)) => Decimal::parse(b).is_ok_and(|b| same_value(a.value, b)),
            _ => false,
        };
        let checks = [
            (call.op == before.op, "operation"),
            (amount == Ok(before.amount), "amount"),
            (
                call.currency.as_ref().is_none_or(|c| *c == asset.code),
                "currency",
            ),
            (
                call.destination == before.destination,
                "destinationWalletId",
            ),
            (rate_equal, "rate"),
            (
                call.expires_in_seconds == before.expires_in_seconds,
                "expiresInSeconds",
            ),
            (
                call.effective_at
                    .is_none_or(|at| before.effective_at.is_none_or(|b| at == b)),
                "effectiveAt",
            ),
            (call.description == before.description, "description"),
            (call.metadata == before.metadata, "metadata"),
        ];
        checks
            .into_iter()
            .find(|(equal, _)| !equal)
            .map(|(_, field)| field)
    }
}

/// What a recorded transfer was asked as.
fn recorded_ask(t: &Transfer) -> WalletAsk {
    let origin = t.origin.clone();
    WalletAsk {
        wallet: origin.as_ref().map_or(0, |o| o.wallet_id),
        reference: origin
            .as_ref()
            .and_then(|o| o.reference_id.clone())
            .unwrap_or_default(),
        op: origin.as_ref().map_or(WalletType::Adjustment, |o| o.r#type),
        amount: t.amount,
        destination: origin.as_ref().and_then(|o| o.destination_wallet_id),
        rate: origin.and_then(|o| o.rate),
        expires_in_seconds: t.timeout_seconds,
        effective_at: Some(t.effective_at),
        description: t.description.clone(),
        metadata: Metadata::clone(&t.metadata),
    }
}
