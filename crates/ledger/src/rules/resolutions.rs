//! Post and void: what becomes of a reservation (contract A2, two-phase).

use super::{
    Judge,
    book::{Book, Fault, Known, OpenPending, Space},
    items::{Chain, Extras, Verdict},
    posting::Legs,
};
use crate::{
    call::Item,
    codes::ResultCode,
    model::{AccountId, Body, Mode},
};

impl<B: Book> Judge<'_, B> {
    /// Post and void: ranks 31 to 37, 41 to 43, 47 to 50.
    pub(super) fn judge_resolution(
        &mut self,
        item: &Item,
        chain: Chain<'_>,
        extras: &Extras,
    ) -> Result<Verdict, Fault> {
        let refuse = |code, field| Ok(Verdict::refused(code, field));
        let unknown = |code: &str| self.book.asset_no(code).is_none();
        if item.asset.as_deref().is_some_and(unknown) {
            return refuse(ResultCode::AssetNotFound, Some("asset"));
        }
        let pending_id = item.pending_id.as_deref().unwrap_or_default();
        let open = self.book.pending(pending_id).cloned();
        let is_open = open.is_some();
        let pending = match open {
            Some(pending) => pending,
            None => match self.pending_record(pending_id)? {
                None => return refuse(ResultCode::PendingTransferNotFound, Some("pendingId")),
                Some(record) => match record.transfer() {
                    Some(t) if t.mode == Mode::Pending => self.open_pending(t),
                    _ => return refuse(ResultCode::PendingTransferNotPending, Some("pendingId")),
                },
            },
        };
        if let Some(field) = self.pending_mismatch(item, &pending) {
            return refuse(ResultCode::PendingTransferMismatch, Some(field));
        }
        let amount = item.amount.unwrap_or(pending.amount);
        if amount > pending.amount {
            return refuse(ResultCode::ExceedsPendingAmount, Some("amountMinor"));
        }
        if !is_open {
            return refuse(self.resolved_code(pending_id)?, Some("pendingId"));
        }
        let effective_at = item.effective_at.unwrap_or(self.start.now);
        if let Some(code) = self.time_refusal(effective_at) {
            return refuse(code, Some("effectiveAt"));
        }
        if effective_at < pending.effective_at {
            return refuse(ResultCode::EffectiveTimeBeforePending, Some("effectiveAt"));
        }
        let posts = item.mode == Mode::Post;
        let legs = Legs {
            debit: pending.debit,
            credit: pending.credit,
            amount,
        };
        if let Some(code) = self.status_refusal(legs, posts) {
            return refuse(code, None);
        }
        let mut transfer =
            self.new_transfer(item, chain, extras, legs, pending.asset, effective_at);
        transfer.code = pending.code.clone();
        transfer.reserved = posts.then_some(pending.amount);
        let touches = self.apply_resolution(
            pending_id,
            &pending,
            if posts { amount } else { 0 },
            extras.events(),
        );
        let seq = self.push(Body::Transfer(Box::new(transfer)), touches);
        Ok(Verdict::done(ResultCode::Created, seq))
    }

    /// Rank 33: the first `f` field that is given and differs.
    fn pending_mismatch(&self, item: &Item, pending: &OpenPending) -> Option<&'static str> {
        let other_account = |id: &Option<AccountId>, slot| {
            id.as_ref()
                .is_some_and(|id| self.book.slot(id) != Some(slot))
        };
        if other_account(&item.debit, pending.debit) {
            return Some("debitAccountId");
        }
        if other_account(&item.credit, pending.credit) {
            return Some("creditAccountId");
        }
        if item
            .asset
            .as_deref()
            .is_some_and(|code| self.book.asset_no(code) != Some(pending.asset))
        {
            return Some("asset");
        }
        item.code
            .as_ref()
            .is_some_and(|code| *code != pending.code)
            .then_some("code")
    }

    /// Ranks 35 to 37: how a pending transfer was resolved.
    pub(super) fn resolved_code(&mut self, pending_id: &str) -> Result<ResultCode, Fault> {
        let Some(Known::Record(seq)) = self.book.lookup(Space::Resolution, &[], pending_id)? else {
            return Err(Fault(format!(
                "pending transfer {pending_id} is neither open nor resolved"
            )));
        };
        let record = self.load(seq)?;
        Ok(match record.transfer().map(|t| t.mode) {
            Some(Mode::Post) => ResultCode::PendingTransferAlreadyPosted,
            Some(_) => ResultCode::PendingTransferAlreadyVoided,
            None => ResultCode::PendingTransferExpired,
        })
    }
}
