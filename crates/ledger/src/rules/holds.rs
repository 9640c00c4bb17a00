//! Capture and void of holds (contract B5).

use super::{
    Judge, Judged,
    book::{Book, Fault, Known, OpenPending, Space},
    moves::amount_refusal,
    posting::{EventsFor, Legs},
};
use crate::{
    call::{Outcome, Refusal, RefusalCode, ResolveHold},
    codes::ResultCode,
    model::{Body, Mode, Origin, Status, Transfer, WalletType},
};

/// The operation belongs to another room than the wallets. A hold that a room places is the first
/// half of a PAYMENT (README, "rooms paying from and into wallets"): only that room resolves it,
/// its capture is shown as PAYMENT, and a freeze that comes after it does not stop the capture,
/// since the room has given its goods for it.
pub(super) fn is_room(module: &str) -> bool {
    module != "wallets"
}

impl<B: Book> Judge<'_, B> {
    pub(super) fn resolve_hold(&mut self, call: ResolveHold) -> Result<Judged, Fault> {
        self.actor = call.actor.clone();
        let refuse = |refusal: Refusal| Ok(Judged::new(Outcome::Refused(refusal)));
        let Some(placed) = self.placed_hold(&call)? else {
            return refuse(RefusalCode::HoldNotFound.into());
        };
        if let Some(judged) = self.repeated_capture(&call, &placed)? {
            return Ok(judged);
        }
        let amount = match self.capture_amount(&call, &placed) {
            Ok(amount) => amount,
            Err(refusal) => return refuse(refusal),
        };
        let Some(open) = self.book.pending(&call.hold).cloned() else {
            let code = match self.resolved_code(&call.hold)? {
                ResultCode::PendingTransferAlreadyPosted => RefusalCode::HoldAlreadyCaptured,
                ResultCode::PendingTransferExpired => RefusalCode::HoldExpired,
                _ if !call.capture => return Ok(Judged::replay(Outcome::Done(Vec::new()))),
                _ => RefusalCode::HoldAlreadyVoided,
            };
            return refuse(code.into());
        };
        let status = self.book.hot(open.debit).status;
        let of_wallets = placed.origin.as_ref().is_none_or(|o| !is_room(&o.module));
        if call.capture && of_wallets && status == Status::Frozen {
            return refuse(RefusalCode::WalletFrozen.into());
        }
        if status == Status::Closed || self.book.hot(open.credit).status == Status::Closed {
            return refuse(RefusalCode::WalletClosed.into());
        }
        let record = self.record_resolution(&call, &placed, &open, amount);
        Ok(Judged::new(Outcome::Done(vec![record])))
    }

    /// The pending transfer of a hold that the caller may see.
    fn placed_hold(&mut self, call: &ResolveHold) -> Result<Option<Transfer>, Fault> {
        let Some(record) = self.pending_record(&call.hold)? else {
            return Ok(None);
        };
        let Body::Transfer(t) = record.body else {
            return Ok(None);
        };
        let is_hold = t.mode == Mode::Pending
            && t.origin.as_ref().is_some_and(|o| {
                let own = !is_room(&o.module) || o.module == call.module;
                o.r#type == WalletType::Hold && own
            });
        let visible = self
            .book
            .wallet(t.debit)
            .is_some_and(|w| call.owner.as_deref().is_none_or(|user| *w.user_id == *user));
        Ok((is_hold && visible).then_some(*t))
    }

    /// Captures remember successes only (contract B3).
    fn repeated_capture(
        &mut self,
        call: &ResolveHold,
        placed: &Transfer,
    ) -> Result<Option<Judged>, Fault> {
        if !call.capture || call.reference.generated {
            return Ok(None);
        }
        let known = self
            .book
            .lookup(Space::Hold, call.hold.as_bytes(), &call.reference.id)?;
        let Some(Known::Record(seq)) = known else {
            return Ok(None);
        };
        let record = self.load(seq)?;
        let captured = record.transfer().map_or(0, |t| t.amount);
        let scale = self.book.asset(placed.asset).scale;
        let asked = match call.amount {
            None => Ok(placed.amount),
            Some(amount) => self.minor(amount, scale),
        };
        Ok(Some(if asked == Ok(captured) {
            Judged::replay(Outcome::Done(vec![record]))
        } else {
            Judged::new(Outcome::Refused(Refusal::at(
                RefusalCode::IdempotencyConflict,
                "amount",
            )))
        }))
    }

    fn capture_amount(&self, call: &ResolveHold, placed: &Transfer) -> Result<u128, Refusal> {
        let Some(amount) = call.amount else {
            return Ok(placed.amount);
        };
        let asset = self.book.asset(placed.asset);
        let minor = self
            .minor(amount, asset.scale)
            .map_err(|e| amount_refusal(e, "amount"))?;
        if minor < self.policy.range(&asset).min.max(1) {
            return Err(Refusal::at(RefusalCode::AmountOutOfRange, "amount"));
        }
        if minor > placed.amount {
            return Err(Refusal::at(RefusalCode::ExceedsHoldAmount, "amount"));
        }
        Ok(minor)
    }

    fn record_resolution(
        &mut self,
        call: &ResolveHold,
        placed: &Transfer,
        open: &OpenPending,
        amount: u128,
    ) -> crate::model::Record {
        let legs = Legs {
            debit: open.debit,
            credit: open.credit,
            amount,
        };
        let (mode, r#type, events, posted) = if call.capture {
            let of_room = placed.origin.as_ref().is_some_and(|o| is_room(&o.module));
            let r#type = match of_room {
                true => WalletType::Payment,
                false => WalletType::Capture,
            };
            (Mode::Post, r#type, EventsFor::Both, amount)
        } else {
            (Mode::Void, WalletType::HoldVoid, EventsFor::Payer, 0)
        };
        let placed_origin = placed.origin.as_ref();
        let transfer = Transfer {
            id: call.transfer_id.clone(),
            mode,
            debit: legs.debit,
            credit: legs.credit,
            amount: if call.capture { amount } else { open.amount },
            asset: open.asset,
            code: open.code.clone(),
            effective_at: self.start.now,
            pending_id: Some(call.hold.clone()),
            timeout_seconds: None,
            expires_at: None,
            chain: None,
            reversal_of: None,
            description: placed.description.clone(),
            metadata: placed.metadata.clone(),
            source_recorded_at: None,
            origin: Some(Origin {
                module: call.module.clone(),
                r#type,
                reference_id: call.capture.then(|| call.reference.id.clone()),
                wallet_id: placed_origin.map_or(0, |o| o.wallet_id),
                destination_wallet_id: placed_origin.and_then(|o| o.destination_wallet_id),
                hold_id: Some(call.hold.clone()),
                rate: None,
            }),
            floor_skipped: false,
            reserved: call.capture.then_some(open.amount),
            limit_window: None,
        };
        let touches = self.apply_resolution(&call.hold, open, posted, events);
        self.push(Body::Transfer(Box::new(transfer)), touches);
        self.records.last().cloned().expect("just pushed")
    }
}
