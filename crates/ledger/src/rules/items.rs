//! Transfer items: single, pending, post, void; chains; the identity of calls (contract A2, A3).

use super::{
    Judge, Judged,
    book::{Book, Fault, Known, Note, OpenPending, Space},
    chains::open_chain,
    compare::{Compared, difference},
    posting::{EventsFor, Legs},
};
use crate::{
    call::{Item, ItemResult, Outcome, Refusal, RefusalCode, TransfersCall},
    codes::ResultCode,
    model::{AccountId, AssetNo, Body, Mode, Record, Transfer, TransferId, WalletType},
};

/// Result of one item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub code: ResultCode,
    pub seq: Option<u64>,
    pub field: Option<&'static str>,
    pub first: Option<ResultCode>,
}

impl Verdict {
    pub(super) const fn refused(code: ResultCode, field: Option<&'static str>) -> Self {
        Self {
            code,
            seq: None,
            field,
            first: None,
        }
    }

    pub(super) const fn done(code: ResultCode, seq: u64) -> Self {
        Self {
            code,
            seq: Some(seq),
            field: None,
            first: None,
        }
    }

    pub(super) fn result(self, id: &TransferId) -> ItemResult {
        ItemResult {
            id: id.clone(),
            code: self.code,
            seq: self.seq,
            field: self.field,
            first_code: self.first,
        }
    }
}

/// What an import adds to an item.
#[derive(Debug, Clone, Default)]
pub(super) struct Extras {
    pub skip_floors: bool,
    pub exported: bool,
    pub source_recorded_at: Option<florin_base::Timestamp>,
    pub reversal_of: Option<TransferId>,
    pub origin: Option<crate::model::Origin>,
}

impl Extras {
    /// Lines of an export keep the events of the operation they came from.
    pub(super) fn events(&self) -> EventsFor {
        match self.origin.as_ref().map(|o| o.r#type) {
            Some(WalletType::Hold | WalletType::HoldVoid) => EventsFor::Payer,
            _ => EventsFor::Both,
        }
    }
}

pub(super) type Chain<'c> = Option<(&'c TransferId, u32)>;

impl<B: Book> Judge<'_, B> {
    pub(super) fn transfers(&mut self, call: TransfersCall) -> Result<Judged, Fault> {
        self.actor = call.actor;
        if let Some(key) = &call.key
            && let Some(judged) = self.stored_answer(key)?
        {
            return Ok(judged);
        }
        let items = call.items;
        let mut results = Vec::with_capacity(items.len());
        self.undo.reserve(2 * items.len());
        let mut start = 0;
        while start < items.len() {
            let length = items[start..].iter().take_while(|item| item.linked).count();
            if length == 0 {
                let verdict = self.judge_alone(&items[start], None, &Extras::default())?;
                results.push(verdict.result(&items[start].id));
                start += 1;
                continue;
            }
            let end = (start + length + 1).min(items.len());
            let chain = &items[start..end];
            if chain.last().is_some_and(|last| last.linked) {
                open_chain(chain, &mut results);
            } else {
                self.judge_chain(chain, &mut results)?;
            }
            start = end;
        }
        if let Some(key) = call.key {
            let note = Note::Answered {
                scope: key.scope,
                key: key.key,
                digests: key.digests,
                results: results.clone(),
                batch: self.start.batch,
                recorded_at: self.start.now,
            };
            self.push_note(note);
        }
        Ok(Judged::new(Outcome::Items(results)))
    }

    /// The stored answer of an `Idempotency-Key`, or the conflict with it.
    pub(super) fn stored_answer(
        &mut self,
        key: &crate::call::CallKey,
    ) -> Result<Option<Judged>, Fault> {
        let Some(Known::Note(number)) =
            self.book
                .lookup(Space::Key, key.scope.as_bytes(), &key.key)?
        else {
            return Ok(None);
        };
        let Note::Answered {
            digests,
            results,
            batch,
            recorded_at,
            ..
        } = self.load_note(number)?
        else {
            return Ok(None);
        };
        if digests != key.digests {
            let index = digests
                .iter()
                .zip(&key.digests)
                .take_while(|(a, b)| a == b)
                .count();
            let refusal = Refusal {
                code: RefusalCode::IdempotencyConflict,
                field: Some(format!("transfers[{index}]").into()),
                limit: None,
            };
            return Ok(Some(Judged::new(Outcome::Refused(refusal))));
        }
        let mut judged = Judged::replay(Outcome::Items(results));
        judged.first = Some((batch, recorded_at));
        Ok(Some(judged))
    }

    /// Judges an item on its own: its effects stay only if it was taken, and a state code is
    /// remembered for its id.
    pub(super) fn judge_alone(
        &mut self,
        item: &Item,
        chain: Chain<'_>,
        extras: &Extras,
    ) -> Result<Verdict, Fault> {
        let mark = self.mark();
        let verdict = self.judge_item(item, chain, extras)?;
        if !verdict.code.is_success() {
            self.roll_back(mark);
            self.remember_refusal(item, verdict);
        }
        Ok(verdict)
    }

    pub(super) fn remember_refusal(&mut self, item: &Item, verdict: Verdict) {
        if verdict.code.is_remembered() {
            self.push_note(Note::IdRefused {
                id: item.id.clone(),
                code: verdict.code,
            });
        }
    }

    /// An id that is recorded: equal or what differs first.
    pub(super) fn repeated(
        &mut self,
        item: &Item,
        seq: u64,
        chain: Chain<'_>,
        extras: &Extras,
    ) -> Result<Verdict, Fault> {
        let record = self.load(seq)?;
        let Body::Transfer(t) = &record.body else {
            return Ok(Verdict::refused(ResultCode::ExistsWithDifferentMode, None));
        };
        let account_equal = |id: &Option<AccountId>, slot| match id {
            Some(id) => self.book.slot(id) == Some(slot),
            None => t.mode != Mode::Single && t.mode != Mode::Pending,
        };
        let asset_equal = match &item.asset {
            Some(code) => self.book.asset_no(code) == Some(t.asset),
            None => true,
        };
        let compared = Compared {
            item,
            debit_equal: account_equal(&item.debit, t.debit),
            credit_equal: account_equal(&item.credit, t.credit),
            asset_equal,
            chain: chain.map(|(id, index)| (&**id, index)),
            exported: extras.exported,
        };
        let mut found = difference(&compared, t);
        let takes_all = item.mode == Mode::Post && item.amount.is_none();
        if takes_all
            && found.is_none_or(|code| code.rank() > ResultCode::ExistsWithDifferentAmount.rank())
        {
            let full = match t.pending_id.as_deref() {
                Some(id) => self
                    .pending_record(id)?
                    .and_then(|r| r.transfer().map(|p| p.amount)),
                None => None,
            };
            if full != Some(t.amount) {
                found = Some(ResultCode::ExistsWithDifferentAmount);
            }
        }
        Ok(
            found.map_or(Verdict::done(ResultCode::Exists, seq), |code| {
                Verdict::refused(code, None)
            }),
        )
    }

    /// The record of a pending transfer, whatever became of it.
    pub(super) fn pending_record(&mut self, id: &str) -> Result<Option<Record>, Fault> {
        let Some(Known::Record(seq)) = self.book.lookup(Space::Transfer, &[], id)? else {
            return Ok(None);
        };
        self.load(seq).map(Some)
    }

    pub(super) fn judge_item(
        &mut self,
        item: &Item,
        chain: Chain<'_>,
        extras: &Extras,
    ) -> Result<Verdict, Fault> {
        if let Some((code, field)) = item.invalid {
            return Ok(Verdict::refused(code, Some(field)));
        }
        match self.book.lookup(Space::Transfer, &[], &item.id)? {
            Some(Known::Record(seq)) => return self.repeated(item, seq, chain, extras),
            Some(Known::Refused(first)) => {
                return Ok(Verdict {
                    first: Some(first),
                    ..Verdict::refused(ResultCode::IdAlreadyFailed, None)
                });
            }
            Some(Known::Note(_)) | None => {}
        }
        match item.mode {
            Mode::Single | Mode::Pending => Ok(self.judge_movement(item, chain, extras)),
            Mode::Post | Mode::Void => self.judge_resolution(item, chain, extras),
        }
    }

    /// Single and pending: ranks 30, 38 to 42, 47 to 51, 53.
    fn judge_movement(&mut self, item: &Item, chain: Chain<'_>, extras: &Extras) -> Verdict {
        let (Some(debit_id), Some(credit_id), Some(amount)) =
            (&item.debit, &item.credit, item.amount)
        else {
            return Verdict::refused(ResultCode::FieldRequired, None);
        };
        let Some(asset) = item
            .asset
            .as_deref()
            .and_then(|code| self.book.asset_no(code))
        else {
            return Verdict::refused(ResultCode::AssetNotFound, Some("asset"));
        };
        let Some(debit) = self.resolve_account(debit_id) else {
            return Verdict::refused(ResultCode::DebitAccountNotFound, Some("debitAccountId"));
        };
        let Some(credit) = self.resolve_account(credit_id) else {
            return Verdict::refused(ResultCode::CreditAccountNotFound, Some("creditAccountId"));
        };
        let legs = Legs {
            debit,
            credit,
            amount,
        };
        let effective_at = item.effective_at.unwrap_or(self.start.now);
        let reserves = item.mode == Mode::Pending;
        // Only lines of an export bring `reversalOf`; reversals may lower a frozen account.
        let respects_frozen = extras.reversal_of.is_none();
        let refusal = self
            .asset_refusal(legs, asset)
            .or_else(|| {
                self.time_refusal(effective_at)
                    .map(|code| (code, Some("effectiveAt")))
            })
            .or_else(|| {
                self.status_refusal(legs, respects_frozen)
                    .map(|code| (code, None))
            })
            .or_else(|| self.overflow_refusal(legs, reserves))
            .or_else(|| {
                if extras.skip_floors {
                    None
                } else {
                    self.funds_refusal(legs)
                }
            });
        if let Some((code, field)) = refusal {
            return Verdict::refused(code, field);
        }
        let timeout = if extras.exported {
            None
        } else {
            item.timeout_seconds
        };
        let expires_at =
            timeout.map(|s| florin_base::Timestamp(self.start.now.0 + i64::from(s) * 1_000_000));
        let transfer = Transfer {
            expires_at,
            timeout_seconds: timeout,
            ..self.new_transfer(item, chain, extras, legs, asset, effective_at)
        };
        let touches = if reserves {
            let pending = self.open_pending(&transfer);
            self.apply_pending(&item.id, pending, extras.events())
        } else {
            self.apply_single(legs, EventsFor::Both)
        };
        // Only lines of an export carry an origin here; what they once counted counts again.
        self.count_transfer(&transfer);
        let seq = self.push(Body::Transfer(Box::new(transfer)), touches);
        Verdict::done(ResultCode::Created, seq)
    }

    /// The reservation that a pending transfer about to be recorded opens.
    pub(super) fn open_pending(&self, t: &Transfer) -> OpenPending {
        OpenPending {
            seq: self.next_seq(),
            debit: t.debit,
            credit: t.credit,
            amount: t.amount,
            asset: t.asset,
            code: t.code.clone(),
            effective_at: t.effective_at,
            recorded_at: self.start.now,
            expires_at: t.expires_at,
            is_hold: t
                .origin
                .as_ref()
                .is_some_and(|o| o.r#type == WalletType::Hold),
        }
    }

    pub(super) fn new_transfer(
        &self,
        item: &Item,
        chain: Chain<'_>,
        extras: &Extras,
        legs: Legs,
        asset: AssetNo,
        effective_at: florin_base::Timestamp,
    ) -> Transfer {
        Transfer {
            id: item.id.clone(),
            mode: item.mode,
            debit: legs.debit,
            credit: legs.credit,
            amount: legs.amount,
            asset,
            code: item.code.clone().unwrap_or_default(),
            effective_at,
            pending_id: item.pending_id.clone(),
            timeout_seconds: None,
            expires_at: None,
            chain: chain.map(|(id, index)| (id.clone(), index)),
            reversal_of: extras.reversal_of.clone(),
            description: item.description.clone(),
            metadata: item.metadata.clone(),
            source_recorded_at: extras.source_recorded_at,
            origin: extras.origin.clone(),
            floor_skipped: extras.skip_floors,
            reserved: None,
            limit_window: None,
        }
    }

    /// Rank 40.
    fn asset_refusal(
        &self,
        legs: Legs,
        asset: AssetNo,
    ) -> Option<(ResultCode, Option<&'static str>)> {
        if self.book.hot(legs.debit).asset != asset {
            return Some((ResultCode::AssetMismatch, Some("debitAccountId")));
        }
        (self.book.hot(legs.credit).asset != asset)
            .then_some((ResultCode::AssetMismatch, Some("creditAccountId")))
    }
}
