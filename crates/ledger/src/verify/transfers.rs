//! Transfers and expiries against contract A2, A4 and A5.

use super::{
    fold::{Check, Fold, Open, Touched, ensure, fault},
    ids::{Ids, Mark},
    report::Kind,
};
use crate::model::{
    Body, DESCRIPTION_MAX, Floor, Mode, Record, Side, Slot, Status, TIMEOUT_MAX_SECONDS, Transfer,
};
use florin_base::Timestamp;

/// Longest id of a record: a caller's with the server's suffixes.
const ID_MAX: usize = 128;

fn is_id(id: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
    (1..=ID_MAX).contains(&id.len()) && id.bytes().all(known)
}

fn is_type(code: &str) -> bool {
    let known = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
    match code.as_bytes() {
        [first, rest @ ..] => {
            first.is_ascii_lowercase() && rest.len() <= 31 && rest.iter().all(known)
        }
        [] => false,
    }
}

/// What a record does to one side of its two accounts.
#[derive(Clone, Copy)]
struct Change {
    posted: u128,
    reserved: u128,
    released: u128,
}

impl Fold {
    pub(super) fn transfer(&mut self, record: &Record, t: &Transfer) -> Check<Touched> {
        self.grammar(record, t)?;
        self.accounts_fit(t)?;
        let mark = match t.mode {
            Mode::Single if t.reversal_of.is_none() && t.chain.is_none() => {
                Mark::movement(t.debit, t.credit, t.amount, None)
            }
            Mode::Post if t.chain.is_none() => Mark::movement(t.debit, t.credit, t.amount, None),
            _ => Mark::FINAL,
        };
        self.new_id(&t.id, mark, t.effective_at)?;
        if let Some(original) = &t.reversal_of {
            self.reversal(t, original)?;
        }
        match t.mode {
            Mode::Single => self.moves(t)?,
            Mode::Pending => self.reserves(record, t)?,
            Mode::Post | Mode::Void => self.resolves(record, t)?,
        }
        self.chain_member(t)?;
        Ok([Some(t.debit), Some(t.credit)])
    }

    fn grammar(&self, record: &Record, t: &Transfer) -> Check {
        let resolves = matches!(t.mode, Mode::Post | Mode::Void);
        let expires_at = t.timeout_seconds.map(|s| {
            Timestamp(
                record
                    .recorded_at
                    .0
                    .saturating_add(i64::from(s) * 1_000_000),
            )
        });
        let timeout_fits = t
            .timeout_seconds
            .is_none_or(|s| t.mode == Mode::Pending && (1..=TIMEOUT_MAX_SECONDS).contains(&s));
        let reversal_id = |original: &str| t.id.strip_suffix(":rev") == Some(original);
        let rules = [
            (is_id(&t.id), "id"),
            (t.amount > 0, "amountMinor"),
            (t.debit != t.credit, "creditAccountId"),
            (is_type(&t.code), "code"),
            (t.pending_id.is_some() == resolves, "pendingId"),
            (timeout_fits, "timeoutSeconds"),
            (t.expires_at == expires_at, "expiresAt"),
            (t.reversal_of.is_none() || t.mode == Mode::Single, "mode"),
            (
                t.reversal_of.as_deref().is_none_or(reversal_id),
                "reversalOf",
            ),
            (
                t.description.as_deref().unwrap_or_default().chars().count() <= DESCRIPTION_MAX,
                "description",
            ),
        ];
        if let Some((_, field)) = rules.into_iter().find(|(fine, _)| !fine) {
            return Err(fault(
                Kind::FieldInvalid,
                format!("transfer {}: {field}", t.id),
            ));
        }
        ensure(
            t.effective_at <= record.recorded_at,
            Kind::EffectiveTime,
            || format!("transfer {} counts after it was recorded", t.id),
        )
    }

    fn accounts_fit(&self, t: &Transfer) -> Check {
        for slot in [t.debit, t.credit] {
            let account = self.account(slot)?;
            ensure(account.asset == t.asset, Kind::AssetMismatch, || {
                format!("transfer {} is not in the asset of {}", t.id, account.id)
            })?;
            ensure(
                account.status != Status::Closed,
                Kind::AccountClosed,
                || format!("transfer {} touches {}, which is closed", t.id, account.id),
            )?;
        }
        Ok(())
    }

    /// INV-L5: an id has one outcome for ever.
    pub(super) fn new_id(&mut self, id: &str, mark: Mark, effective_at: Timestamp) -> Check {
        let first = self.ids.insert(Ids::key(id), mark, effective_at);
        match first {
            None => Ok(()),
            Some(Mark::REFUSED) => Err(fault(
                Kind::IdUsedTwice,
                format!("transfer {id} was refused for good before"),
            )),
            Some(_) => Err(fault(
                Kind::IdUsedTwice,
                format!("transfer {id} was there before"),
            )),
        }
    }

    /// A reversal outside chains is the exact opposite of its original. Those in chains are
    /// judged when the chain is whole. Once only: its id is its original's with a suffix.
    fn reversal(&self, t: &Transfer, original: &str) -> Check {
        if t.chain.is_some() {
            return Ok(());
        }
        let opposite = Mark::movement(t.credit, t.debit, t.amount, None);
        self.opposes(&t.id, original, opposite, t.effective_at)
    }

    pub(super) fn opposes(
        &self,
        id: &str,
        original: &str,
        opposite: Mark,
        effective_at: Timestamp,
    ) -> Check {
        let wrong = |why: &str| {
            let detail = format!("transfer {id} reverses {original}, {why}");
            Err(fault(Kind::ReversalWrong, detail))
        };
        match self.ids.get(Ids::key(original)) {
            None => wrong("which is not there"),
            Some((Mark::FINAL | Mark::REFUSED, _)) => wrong("which cannot be reversed"),
            Some((mark, _)) if mark != opposite => wrong("but is not its opposite"),
            Some((_, counted)) if effective_at < counted => wrong("but counts before it"),
            Some(_) => Ok(()),
        }
    }

    fn moves(&mut self, t: &Transfer) -> Check {
        self.frozen(t)?;
        self.change(
            t,
            Change {
                posted: t.amount,
                reserved: 0,
                released: 0,
            },
        )?;
        self.floors(t)
    }

    fn reserves(&mut self, record: &Record, t: &Transfer) -> Check {
        self.frozen(t)?;
        self.change(
            t,
            Change {
                posted: 0,
                reserved: t.amount,
                released: 0,
            },
        )?;
        self.floors(t)?;
        debug_assert!(t.effective_at <= record.recorded_at, "checked as grammar");
        let open = Open {
            debit: t.debit,
            credit: t.credit,
            amount: t.amount,
            asset: t.asset,
            code: t.code.clone(),
            effective_at: t.effective_at,
            expires_at: t.expires_at,
        };
        self.pendings.insert(t.id.clone(), open);
        Ok(())
    }

    fn take_open(&mut self, id: &str, pending_id: &str) -> Check<Open> {
        self.pendings.remove(pending_id).ok_or_else(|| {
            let why = match self.ids.get(Ids::key(pending_id)) {
                Some(_) => "is no pending transfer or was resolved before",
                None => "is not there",
            };
            let detail = format!("{id} resolves {pending_id}, which {why}");
            fault(Kind::PendingNotOpen, detail)
        })
    }

    /// INV-L8: resolved at most once, posted ≤ reserved.
    fn resolves(&mut self, record: &Record, t: &Transfer) -> Check {
        let pending_id = t.pending_id.as_deref().unwrap_or_default();
        let open = self.take_open(&t.id, pending_id)?;
        let same = (open.debit, open.credit, open.asset, &open.code)
            == (t.debit, t.credit, t.asset, &t.code);
        ensure(same, Kind::PendingMismatch, || {
            format!("transfer {} differs from {pending_id}", t.id)
        })?;
        let posts = t.mode == Mode::Post;
        let fits = if posts {
            t.amount <= open.amount
        } else {
            t.amount == open.amount
        };
        ensure(fits, Kind::PendingExceeded, || {
            format!("transfer {} of {} resolves {}", t.id, t.amount, open.amount)
        })?;
        ensure(
            t.reserved.is_none_or(|kept| kept == open.amount),
            Kind::StoredBalance,
            || format!("transfer {}: another reservation is kept", t.id),
        )?;
        ensure(
            t.effective_at >= open.effective_at,
            Kind::EffectiveTime,
            || format!("transfer {} counts before {pending_id}", t.id),
        )?;
        let in_time = open.expires_at.is_none_or(|at| record.recorded_at < at);
        ensure(in_time, Kind::PendingExpired, || {
            format!("transfer {} resolves {pending_id} after its expiry", t.id)
        })?;
        if posts {
            self.frozen(t)?;
        }
        self.change(
            t,
            Change {
                posted: if posts { t.amount } else { 0 },
                reserved: 0,
                released: open.amount,
            },
        )
    }

    pub(super) fn expired(&mut self, record: &Record) -> Check<Touched> {
        let Body::Expired {
            pending_id,
            debit,
            credit,
            amount,
            effective_at,
        } = &record.body
        else {
            return Ok([None, None]);
        };
        let id = format!("{pending_id}:exp");
        let open = self.take_open(&id, pending_id)?;
        let same = (open.debit, open.credit, open.amount) == (*debit, *credit, *amount);
        ensure(same, Kind::PendingMismatch, || {
            format!("{id} differs from {pending_id}")
        })?;
        // Without a time-out only an import expires: as the ledger it came from did.
        let due = match open.expires_at {
            Some(at) => *effective_at == at,
            None => *effective_at >= open.effective_at,
        };
        ensure(
            due && *effective_at <= record.recorded_at,
            Kind::EffectiveTime,
            || format!("{id} does not count when {pending_id} was to expire"),
        )?;
        self.new_id(&id, Mark::FINAL, *effective_at)?;
        let change = Change {
            posted: 0,
            reserved: 0,
            released: open.amount,
        };
        self.change_side(*debit, Side::Debit, change)?;
        self.change_side(*credit, Side::Credit, change)?;
        self.sums_agree(open.asset)?;
        Ok([Some(*debit), Some(*credit)])
    }

    /// A frozen account is not lowered, except by a reversal (contract A1).
    fn frozen(&self, t: &Transfer) -> Check {
        if t.reversal_of.is_some() {
            return Ok(());
        }
        for (slot, side) in [(t.debit, Side::Debit), (t.credit, Side::Credit)] {
            let account = self.account(slot)?;
            let lowered = account.normal != side;
            ensure(
                !(lowered && account.status == Status::Frozen),
                Kind::AccountFrozen,
                || format!("transfer {} lowers {}, which is frozen", t.id, account.id),
            )?;
        }
        Ok(())
    }

    fn change(&mut self, t: &Transfer, change: Change) -> Check {
        self.change_side(t.debit, Side::Debit, change)?;
        self.change_side(t.credit, Side::Credit, change)?;
        self.sums_agree(t.asset)
    }

    fn change_side(&mut self, slot: Slot, side: Side, change: Change) -> Check {
        let account = self.account_mut(slot)?;
        let totals = &mut account.totals;
        let (posted, pending) = match side {
            Side::Debit => (&mut totals.debits_posted, &mut totals.debits_pending),
            Side::Credit => (&mut totals.credits_posted, &mut totals.credits_pending),
        };
        let after = posted.checked_add(change.posted).and_then(|after| {
            let kept = pending.checked_sub(change.released)?;
            let kept = kept.checked_add(change.reserved)?;
            after.checked_add(kept).map(|_| (after, kept))
        });
        let Some((new_posted, new_pending)) = after else {
            let detail = format!("the {side} totals of {} pass 2^128 - 1", account.id);
            return Err(fault(Kind::Overflow, detail));
        };
        (*posted, *pending) = (new_posted, new_pending);
        totals.postings += u64::from(change.posted > 0);
        let asset = usize::from(account.asset);
        if let Some(asset) = self.assets.get_mut(asset) {
            let sums = &mut asset.sums;
            let (posted, pending) = match side {
                Side::Debit => (&mut sums.debits_posted, &mut sums.debits_pending),
                Side::Credit => (&mut sums.credits_posted, &mut sums.credits_pending),
            };
            *posted = posted.wrapping_add(change.posted);
            *pending = pending
                .wrapping_add(change.reserved)
                .wrapping_sub(change.released);
        }
        Ok(())
    }

    /// INV-L1 and INV-L2.
    fn sums_agree(&self, asset: u16) -> Check {
        let Some(asset) = self.assets.get(usize::from(asset)) else {
            return Ok(());
        };
        let s = &asset.sums;
        let agree = s.debits_posted == s.credits_posted && s.debits_pending == s.credits_pending;
        ensure(agree, Kind::SumsDiffer, || {
            format!("debits and credits of {} differ: {s:?}", asset.code)
        })
    }

    /// INV-L4, after the change.
    fn floors(&mut self, t: &Transfer) -> Check {
        self.floor_skipped_records += u64::from(t.floor_skipped);
        for (slot, side) in [(t.debit, Side::Debit), (t.credit, Side::Credit)] {
            if self.account(slot)?.normal == side {
                continue; // raised
            }
            if t.floor_skipped {
                self.account_mut(slot)?.floor_skipped = true;
                continue;
            }
            ensure(!self.is_below_floor(slot)?, Kind::FloorPassed, || {
                let account = &self.accounts[slot as usize];
                format!(
                    "transfer {} leaves {} with {} available, its floor is {:?}",
                    t.id,
                    account.id,
                    account.totals.available(account.normal),
                    account.floor
                )
            })?;
        }
        Ok(())
    }

    /// What came in (and the depth of the floor) against what went out or may go out.
    pub(super) fn is_below_floor(&self, slot: Slot) -> Check<bool> {
        let account = self.account(slot)?;
        let t = &account.totals;
        let (came, went, may_go) = match account.normal {
            Side::Debit => (t.debits_posted, t.credits_posted, t.credits_pending),
            Side::Credit => (t.credits_posted, t.debits_posted, t.debits_pending),
        };
        let depth = match account.floor {
            Floor::None => return Ok(false),
            Floor::Zero => 0,
            Floor::Minus(depth) => depth,
        };
        let missing = went.saturating_add(may_go).saturating_sub(came);
        Ok(missing > depth)
    }
}
