//! Reversal: accounts swapped, full amount, once (contract A5). Refusals are not remembered.

use florin_base::Timestamp;

use super::{
    Judge, Judged,
    book::{Book, Fault, Known, Space},
    limits::{Direction, counts},
    moves::refusal_code,
    posting::{EventsFor, Legs},
};
use crate::{
    call::{Outcome, Refusal, RefusalCode, ReverseCall},
    codes::ResultCode,
    model::{Body, Mode, Origin, Record, Transfer, WalletType},
};

impl<B: Book> Judge<'_, B> {
    pub(super) fn reverse(&mut self, call: ReverseCall) -> Result<Judged, Fault> {
        self.actor = call.actor.clone();
        let refuse = |refusal: Refusal| Ok(Judged::new(Outcome::Refused(refusal)));
        let reversal_id = format!("{}:rev", call.id);
        if let Some(Known::Record(seq)) = self.book.lookup(Space::Transfer, &[], &reversal_id)? {
            let record = self.load(seq)?;
            return if record.transfer().is_some_and(|t| same_reversal(&call, t)) {
                Ok(Judged::replay(Outcome::Done(
                    self.reversal_records(record)?,
                )))
            } else {
                refuse(RefusalCode::AlreadyReversed.into())
            };
        }
        let not_found = if call.as_wallet {
            RefusalCode::TransactionNotFound
        } else {
            RefusalCode::TransferNotFound
        };
        let Some(originals) = self.originals(&call)? else {
            return refuse(not_found.into());
        };
        let reversible =
            originals.iter().all(is_reversible) && fits_a_commit(&call, originals.len());
        if !reversible {
            return refuse(RefusalCode::TransferNotReversible.into());
        }
        let effective_at = call.effective_at.unwrap_or(self.start.now);
        if let Some(code) = self.time_refusal(effective_at) {
            return refuse(Refusal::at(refusal_code(code), "effectiveAt"));
        }
        let latest = originals
            .iter()
            .filter_map(|r| r.transfer())
            .map(|t| t.effective_at)
            .max();
        if latest.is_some_and(|original| effective_at < original) {
            return refuse(Refusal::at(
                RefusalCode::EffectiveTimeBeforeOriginal,
                "effectiveAt",
            ));
        }
        let mark = self.mark();
        match self.record_reversals(&call, &originals, effective_at)? {
            Ok(records) => Ok(Judged::new(Outcome::Done(records))),
            Err(refusal) => {
                self.roll_back(mark);
                refuse(refusal)
            }
        }
    }

    /// The reversal of the named leg first, then those of the other legs of its chain.
    fn reversal_records(&mut self, named: Record) -> Result<Vec<Record>, Fault> {
        let legs = self.chain_of(&named)?;
        let mut records = vec![named.clone()];
        records.extend(legs.into_iter().filter(|r| r.seq != named.seq));
        Ok(records)
    }

    /// All records of a record's chain in order; itself when it is in none.
    fn chain_of(&mut self, record: &Record) -> Result<Vec<Record>, Fault> {
        let Some((chain_id, index)) = record.transfer().and_then(|t| t.chain.clone()) else {
            return Ok(vec![record.clone()]);
        };
        let torn = || Fault(format!("the chain {chain_id} is torn"));
        let mut seq = record.seq.checked_sub(u64::from(index)).ok_or_else(torn)?;
        let mut legs = Vec::new();
        while seq < self.next_seq() {
            let leg = self.load(seq)?;
            let own = leg
                .transfer()
                .and_then(|t| t.chain.as_ref())
                .is_some_and(|(id, _)| *id == chain_id);
            if !own {
                break;
            }
            legs.push(leg);
            seq += 1;
        }
        Ok(legs)
    }

    fn originals(&mut self, call: &ReverseCall) -> Result<Option<Vec<Record>>, Fault> {
        let Some(Known::Record(seq)) = self.book.lookup(Space::Transfer, &[], &call.id)? else {
            return Ok(None);
        };
        let record = self.load(seq)?;
        if call.as_wallet {
            let touches_wallet = record
                .touches
                .iter()
                .any(|t| self.book.hot(t.slot).is_wallet);
            // Placing, voiding and expiry of a hold are not transactions (contract B4).
            let moves = record
                .transfer()
                .is_some_and(|t| matches!(t.mode, Mode::Single | Mode::Post));
            if !touches_wallet || !moves {
                return Ok(None);
            }
        }
        self.chain_of(&record).map(Some)
    }

    fn record_reversals(
        &mut self,
        call: &ReverseCall,
        originals: &[Record],
        effective_at: Timestamp,
    ) -> Result<Result<Vec<Record>, Refusal>, Fault> {
        let mut named = None;
        let mut others = Vec::new();
        let first_id = originals
            .last()
            .and_then(|r| r.transfer())
            .map(|t| format!("{}:rev", t.id))
            .unwrap_or_default();
        for (index, original) in (0u32..).zip(originals.iter().rev()) {
            let Some(t) = original.transfer() else {
                continue;
            };
            let legs = Legs {
                debit: t.credit,
                credit: t.debit,
                amount: t.amount,
            };
            if let Some(refusal) = self.reversal_refusal(call, legs) {
                return Ok(Err(refusal));
            }
            let limit_window = self.limit_window(original)?;
            let mut reversal = reversal_of(t, call, effective_at, limit_window);
            if originals.len() > 1 {
                reversal.chain = Some((first_id.as_str().into(), index));
            }
            if let Some(at) = limit_window {
                self.give_back_limit(t.debit, Direction::Out, t.amount, at);
                self.give_back_limit(t.credit, Direction::In, t.amount, at);
            }
            let touches = self.apply_single(legs, EventsFor::Both);
            self.push(Body::Transfer(Box::new(reversal)), touches);
            let record = self.records.last().cloned().expect("just pushed");
            if t.id == call.id {
                named = Some(record)
            } else {
                others.push(record)
            }
        }
        let mut records: Vec<Record> = named.into_iter().collect();
        records.extend(others);
        Ok(Ok(records))
    }

    /// Ranks 47, 48, 51, 53; frozen accounts may be lowered by a reversal (contract A1).
    fn reversal_refusal(&self, call: &ReverseCall, legs: Legs) -> Option<Refusal> {
        if let Some(code) = self.status_refusal(legs, false) {
            let slot = if code == ResultCode::DebitAccountClosed {
                legs.debit
            } else {
                legs.credit
            };
            let is_wallet = call.as_wallet && self.book.hot(slot).is_wallet;
            let code = if is_wallet {
                RefusalCode::WalletClosed
            } else {
                refusal_code(code)
            };
            return Some(code.into());
        }
        if self.overflow_refusal(legs, false).is_some() {
            return Some(RefusalCode::Overflow.into());
        }
        self.funds_refusal(legs)
            .map(|_| RefusalCode::InsufficientFunds.into())
    }

    /// The time in whose windows an original counts against limits, if it does.
    fn limit_window(&mut self, original: &Record) -> Result<Option<Timestamp>, Fault> {
        let Some(t) = original.transfer() else {
            return Ok(None);
        };
        if counts(t) != (false, false) {
            return Ok(Some(original.recorded_at));
        }
        let (Mode::Post, Some(hold)) = (t.mode, t.pending_id.as_deref()) else {
            return Ok(None);
        };
        let placed = self.pending_record(hold)?;
        let counted = |r: &Record| r.transfer().is_some_and(|p| counts(p) != (false, false));
        Ok(placed.filter(counted).map(|r| r.recorded_at))
    }
}

/// Most bytes that the records of one reversal may take.
pub const REVERSAL_BYTES_MAX: usize = 12 << 20;

/// Reason and metadata stand on every leg; a chain of thousands with long texts would not fit a
/// commit.
fn fits_a_commit(call: &ReverseCall, legs: usize) -> bool {
    const LEG: usize = 900;
    let pairs: usize = call
        .metadata
        .pairs()
        .iter()
        .map(|(k, v)| k.len() + v.len() + 12)
        .sum();
    legs * (LEG + call.reason.len() + pairs) <= REVERSAL_BYTES_MAX
}

fn is_reversible(record: &Record) -> bool {
    record
        .transfer()
        .is_some_and(|t| matches!(t.mode, Mode::Single | Mode::Post) && t.reversal_of.is_none())
}

fn same_reversal(call: &ReverseCall, t: &Transfer) -> bool {
    t.description.as_deref() == Some(&*call.reason)
        && call.effective_at.is_none_or(|at| at == t.effective_at)
        && call.metadata == t.metadata
}

fn reversal_of(
    t: &Transfer,
    call: &ReverseCall,
    effective_at: Timestamp,
    limit_window: Option<Timestamp>,
) -> Transfer {
    Transfer {
        id: format!("{}:rev", t.id).into(),
        mode: Mode::Single,
        debit: t.credit,
        credit: t.debit,
        amount: t.amount,
        asset: t.asset,
        code: "reversal".into(),
        effective_at,
        pending_id: None,
        timeout_seconds: None,
        expires_at: None,
        chain: None,
        reversal_of: Some(t.id.clone()),
        description: Some(call.reason.clone()),
        metadata: call.metadata.clone(),
        source_recorded_at: None,
        origin: t.origin.as_ref().map(|o| Origin {
            r#type: WalletType::Reversal,
            reference_id: None,
            rate: None,
            ..o.clone()
        }),
        floor_skipped: false,
        reserved: None,
        limit_window,
    }
}
