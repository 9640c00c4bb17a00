//! Moving totals: the checks of state (ranks 47 to 53) and their effects on accounts.

use florin_base::Timestamp;

use super::{
    Judge, Undo,
    book::{Book, OpenPending},
};
use crate::{
    codes::ResultCode,
    model::{AccountId, Asset, Body, Floor, NewAccount, Side, Slot, Status, Touch, Touches},
};

/// The two accounts and the amount of a movement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Legs {
    pub debit: Slot,
    pub credit: Slot,
    pub amount: u128,
}

/// Which wallets get an event for a record (contract B8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventsFor {
    /// Every wallet touched.
    Both,
    /// Only the paying wallet: placing and releasing a hold.
    Payer,
}

/// A refusal found in the state, with its field.
pub(super) type Found = (ResultCode, Option<&'static str>);

impl<B: Book> Judge<'_, B> {
    /// The account of an id; the system accounts of an existing asset are made on first use.
    pub(super) fn resolve_account(&mut self, id: &AccountId) -> Option<Slot> {
        if let Some(slot) = self.book.slot(id) {
            return Some(slot);
        }
        let (kind, code) = id.as_system()?;
        let asset = self.book.asset_no(code)?;
        let account = NewAccount {
            id: id.clone(),
            asset,
            kind: kind.kind(),
            normal: kind.kind().usual_side(),
            floor: kind.floor(),
            metadata: Default::default(),
        };
        let actor = self.actor.take();
        let slot = self.open_account(account);
        self.actor = actor;
        Some(slot)
    }

    pub(super) fn system_account(
        &mut self,
        kind: crate::model::SystemAccount,
        asset: &Asset,
    ) -> Slot {
        self.resolve_account(&AccountId::system(kind, &asset.code))
            .expect("the asset exists, so its system account can be made")
    }

    pub(super) fn open_account(&mut self, account: NewAccount) -> Slot {
        let seq = self.next_seq();
        let slot = self.book.add_account(&account, seq, self.start.now);
        self.undo.push(Undo::Created(slot));
        let touches = Touches {
            first: Some(self.touch(slot, false)),
            second: None,
        };
        self.push(Body::AccountCreated(account), touches);
        slot
    }

    fn touch(&mut self, slot: Slot, is_event: bool) -> Touch {
        Touch {
            slot,
            after: self.book.hot(slot).totals,
            is_event,
        }
    }

    /// Remembers an account's state for a roll-back; call before changing it.
    pub(super) fn save(&mut self, slot: Slot) {
        let hot = *self.book.hot(slot);
        self.undo.push(Undo::Hot(slot, hot));
    }

    /// Ranks 47 to 50. `respect_frozen` is false for reversals and releases.
    pub(super) fn status_refusal(&self, legs: Legs, respect_frozen: bool) -> Option<ResultCode> {
        let (debit, credit) = (self.book.hot(legs.debit), self.book.hot(legs.credit));
        if debit.status == Status::Closed {
            return Some(ResultCode::DebitAccountClosed);
        }
        if credit.status == Status::Closed {
            return Some(ResultCode::CreditAccountClosed);
        }
        if respect_frozen && debit.status == Status::Frozen && debit.normal == Side::Credit {
            return Some(ResultCode::DebitAccountFrozen);
        }
        if respect_frozen && credit.status == Status::Frozen && credit.normal == Side::Debit {
            return Some(ResultCode::CreditAccountFrozen);
        }
        None
    }

    /// Rank 51: a total, or posted + pending of one side, would pass 2^128 - 1.
    pub(super) fn overflow_refusal(&self, legs: Legs, reserves: bool) -> Option<Found> {
        let d = self.book.hot(legs.debit).totals;
        let c = self.book.hot(legs.credit).totals;
        let fits = |posted: u128, pending: u128| {
            posted
                .checked_add(pending)
                .and_then(|sum| sum.checked_add(legs.amount))
                .is_some()
        };
        if !fits(d.debits_posted, d.debits_pending) {
            let field = if reserves {
                "debitsPending"
            } else {
                "debitsPosted"
            };
            return Some((ResultCode::Overflow, Some(field)));
        }
        if !fits(c.credits_posted, c.credits_pending) {
            let field = if reserves {
                "creditsPending"
            } else {
                "creditsPosted"
            };
            return Some((ResultCode::Overflow, Some(field)));
        }
        None
    }

    /// Rank 53: a lowered account would end with available < floor; debit account first.
    pub(super) fn funds_refusal(&self, legs: Legs) -> Option<Found> {
        if !self.can_lower(legs.debit, Side::Debit, legs.amount) {
            return Some((ResultCode::InsufficientFunds, Some("debitAccountId")));
        }
        if !self.can_lower(legs.credit, Side::Credit, legs.amount) {
            return Some((ResultCode::InsufficientFunds, Some("creditAccountId")));
        }
        None
    }

    fn can_lower(&self, slot: Slot, side: Side, amount: u128) -> bool {
        let hot = self.book.hot(slot);
        if hot.normal == side {
            return true; // raised, not lowered
        }
        let t = &hot.totals;
        let (has, gone) = match side {
            Side::Debit => (t.credits_posted, t.debits_posted + t.debits_pending),
            Side::Credit => (t.debits_posted, t.credits_posted + t.credits_pending),
        };
        let floor = if hot.has_floor {
            self.book.floor(slot)
        } else {
            Floor::Zero
        };
        let reach = match floor {
            Floor::None => return true,
            Floor::Zero => Some(has),
            Floor::Minus(depth) => has.checked_add(depth),
        };
        // The overflow check came first, so `gone + amount` fits.
        reach.is_none_or(|reach| {
            gone.checked_add(amount)
                .is_some_and(|needed| needed <= reach)
        })
    }

    /// Is an account below its lower bound now? (Imports with floors skipped list these.)
    pub(super) fn is_below_floor(&self, slot: Slot) -> bool {
        let hot = self.book.hot(slot);
        !self.can_lower(slot, hot.normal.other(), 0)
    }

    /// Moves at once.
    pub(super) fn apply_single(&mut self, legs: Legs, events: EventsFor) -> Touches {
        self.change(legs, events, |d, c, amount| {
            d.debits_posted += amount;
            c.credits_posted += amount;
            true
        })
    }

    /// Reserves.
    pub(super) fn apply_pending(
        &mut self,
        id: &str,
        pending: OpenPending,
        events: EventsFor,
    ) -> Touches {
        let legs = Legs {
            debit: pending.debit,
            credit: pending.credit,
            amount: pending.amount,
        };
        self.book.add_pending(id, pending);
        self.undo.push(Undo::PendingAdded(id.into()));
        self.change(legs, events, |d, c, amount| {
            d.debits_pending += amount;
            c.credits_pending += amount;
            false
        })
    }

    /// Moves `posted` out of a reservation and releases the rest; 0 releases all.
    pub(super) fn apply_resolution(
        &mut self,
        id: &str,
        pending: &OpenPending,
        posted: u128,
        events: EventsFor,
    ) -> Touches {
        if let Some(removed) = self.book.remove_pending(id) {
            self.undo
                .push(Undo::PendingRemoved(id.into(), Box::new(removed)));
        }
        if pending.is_hold {
            self.release_hold_limits(pending, pending.amount - posted);
        }
        let reserved = pending.amount;
        let legs = Legs {
            debit: pending.debit,
            credit: pending.credit,
            amount: posted,
        };
        self.change(legs, events, |d, c, amount| {
            d.debits_pending -= reserved;
            c.credits_pending -= reserved;
            d.debits_posted += amount;
            c.credits_posted += amount;
            amount > 0
        })
    }

    fn change(
        &mut self,
        legs: Legs,
        events: EventsFor,
        f: impl FnOnce(&mut crate::model::Totals, &mut crate::model::Totals, u128) -> bool,
    ) -> Touches {
        debug_assert_ne!(legs.debit, legs.credit, "a transfer needs two accounts");
        self.save(legs.debit);
        self.save(legs.credit);
        let mut debit = *self.book.hot(legs.debit);
        let mut credit = *self.book.hot(legs.credit);
        let posts = f(&mut debit.totals, &mut credit.totals, legs.amount);
        let debit_event = debit.is_wallet;
        let credit_event = credit.is_wallet && events == EventsFor::Both;
        debit.totals.postings += u64::from(posts);
        credit.totals.postings += u64::from(posts);
        debit.totals.events += u64::from(debit_event);
        credit.totals.events += u64::from(credit_event);
        *self.book.hot_mut(legs.debit) = debit;
        *self.book.hot_mut(legs.credit) = credit;
        Touches {
            first: Some(Touch {
                slot: legs.debit,
                after: debit.totals,
                is_event: debit_event,
            }),
            second: Some(Touch {
                slot: legs.credit,
                after: credit.totals,
                is_event: credit_event,
            }),
        }
    }

    /// A wallet record is an event of its wallet too.
    pub(super) fn wallet_event(&mut self, slot: Slot) -> Touches {
        self.save(slot);
        self.book.hot_mut(slot).totals.events += 1;
        Touches {
            first: Some(self.touch(slot, true)),
            second: None,
        }
    }

    pub(super) fn plain_touch(&mut self, slot: Slot) -> Touches {
        Touches {
            first: Some(self.touch(slot, false)),
            second: None,
        }
    }

    /// Records the expiry of an open reservation.
    pub(super) fn expire(&mut self, id: &str) {
        let Some(pending) = self.book.pending(id).cloned() else {
            return;
        };
        let effective_at = pending.expires_at.unwrap_or(self.start.now);
        self.expire_at(id, &pending, effective_at);
    }

    /// The same, counting from another time (a line of an export).
    pub(super) fn expire_at(&mut self, id: &str, pending: &OpenPending, effective_at: Timestamp) {
        let events = if pending.is_hold {
            EventsFor::Payer
        } else {
            EventsFor::Both
        };
        let touches = self.apply_resolution(id, pending, 0, events);
        self.push(
            Body::Expired {
                pending_id: id.into(),
                debit: pending.debit,
                credit: pending.credit,
                amount: pending.amount,
                effective_at,
            },
            touches,
        );
    }

    /// Ranks 41 and 42.
    pub(super) fn time_refusal(&self, effective_at: Timestamp) -> Option<ResultCode> {
        if effective_at > self.start.now {
            return Some(ResultCode::EffectiveTimeInFuture);
        }
        if self
            .policy
            .closed_before
            .is_some_and(|closed| effective_at < closed)
        {
            return Some(ResultCode::EffectiveTimeInClosedPeriod);
        }
        None
    }
}
