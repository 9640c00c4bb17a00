//! Limits of wallets (contract B6): judged and counted in the same step as the posting.

use florin_base::Timestamp;

use super::{
    Judge, Undo,
    book::{Book, OpenPending, WalletInfo, Windows},
};
use crate::{
    call::LimitHit,
    model::{Body, DirectionLimits, Limits, Mode, Record, Slot, Transfer, WalletType},
    policy::Policy,
};

/// Which way money goes, seen from the wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Out,
    In,
}

/// The limits that apply to a wallet: its own, else its tier's.
pub fn limits_in_force(policy: &Policy, wallet: &WalletInfo, asset_code: &str) -> Limits {
    wallet
        .limits
        .as_deref()
        .copied()
        .unwrap_or_else(|| policy.tier_limits(&wallet.tier, asset_code))
}

impl<B: Book> Judge<'_, B> {
    /// The first limit that `amount` would pass, in the order of the contract. `own` is false
    /// for the other side's wallet, whose figures the caller may not see.
    pub(super) fn limit_hit(
        &self,
        slot: Slot,
        direction: Direction,
        amount: u128,
        own: bool,
    ) -> Option<LimitHit> {
        let wallet = self.book.wallet(slot)?;
        let asset = self.book.asset(self.book.hot(slot).asset);
        let limits = limits_in_force(self.policy, wallet, &asset.code);
        let used = self.book.windows(slot).at(self.start.now).used;
        let (limits, day, month, names) = match direction {
            Direction::Out => (
                limits.out,
                used.out_day,
                used.out_month,
                ["out.perTransaction", "out.daily", "out.monthly"],
            ),
            Direction::In => (
                limits.r#in,
                used.in_day,
                used.in_month,
                ["in.perTransaction", "in.daily", "in.monthly"],
            ),
        };
        let DirectionLimits {
            per_transaction,
            daily,
            monthly,
        } = limits;
        let windows = [
            (per_transaction, 0, None),
            (daily, day, Some(self.start.now.next_day())),
            (monthly, month, Some(self.start.now.next_month())),
        ];
        for ((limit, used, resets_at), name) in windows.into_iter().zip(names) {
            let Some(limit) = limit else { continue };
            let remaining = limit.saturating_sub(used);
            if amount > remaining {
                return Some(LimitHit {
                    limit: name,
                    remaining: own.then_some(remaining),
                    resets_at: resets_at.filter(|_| own),
                });
            }
        }
        None
    }

    fn change_windows(&mut self, slot: Slot, change: impl FnOnce(&mut Windows)) {
        if self.book.wallet(slot).is_none() {
            return;
        }
        let before = self.book.windows(slot);
        let mut after = before.at(self.start.now);
        change(&mut after);
        self.undo.push(Undo::Windows(slot, before));
        self.book.set_windows(slot, after);
    }

    /// Counts an amount in the running windows.
    pub(super) fn count_limit(&mut self, slot: Slot, direction: Direction, amount: u128) {
        self.change_windows(slot, |w| add(w, direction, amount));
    }

    /// Gives an amount back in the windows of `at`, if they still run.
    pub(super) fn give_back_limit(
        &mut self,
        slot: Slot,
        direction: Direction,
        amount: u128,
        at: Timestamp,
    ) {
        self.change_windows(slot, |w| give_back(w, direction, amount, at));
    }

    /// Counts a wallet operation on both its wallets.
    pub(super) fn count_transfer(&mut self, t: &Transfer) {
        let (out, inward) = counts(t);
        if out {
            self.count_limit(t.debit, Direction::Out, t.amount);
        }
        if inward {
            self.count_limit(t.credit, Direction::In, t.amount);
        }
    }

    /// What a hold did not capture counts no longer, for payer and receiving wallet.
    pub(super) fn release_hold_limits(&mut self, hold: &OpenPending, amount: u128) {
        if amount > 0 {
            self.give_back_limit(hold.debit, Direction::Out, amount, hold.recorded_at);
            self.give_back_limit(hold.credit, Direction::In, amount, hold.recorded_at);
        }
    }
}

/// Does a transfer count against the limits of the debited wallet, of the credited wallet?
pub fn counts(t: &Transfer) -> (bool, bool) {
    match t.origin.as_ref().map(|o| o.r#type) {
        Some(WalletType::Deposit) => (false, true),
        Some(WalletType::Withdrawal) => (true, false),
        // The capture of a room's hold is a PAYMENT too; it was counted when it was placed.
        Some(WalletType::Payment) => (t.mode == Mode::Single, false),
        Some(WalletType::Transfer) => (true, true),
        Some(WalletType::Hold) => (t.mode == Mode::Pending, t.mode == Mode::Pending),
        _ => (false, false),
    }
}

/// What a record changes about the use of limits, for replaying the journal: calls `change`
/// with the account and its new windows. `resolved` is the reservation it resolves.
pub fn replay_limits(
    record: &Record,
    resolved: Option<&OpenPending>,
    mut change: impl FnMut(Slot, &dyn Fn(Windows) -> Windows),
) {
    let now = record.recorded_at;
    if let (Some(hold), posted) = (resolved.filter(|p| p.is_hold), posted_amount(record)) {
        let (rest, at) = (hold.amount - posted, hold.recorded_at);
        change(hold.debit, &|w| {
            with(w.at(now), |w| give_back(w, Direction::Out, rest, at))
        });
        change(hold.credit, &|w| {
            with(w.at(now), |w| give_back(w, Direction::In, rest, at))
        });
    }
    let Body::Transfer(t) = &record.body else {
        return;
    };
    let (out, inward) = counts(t);
    if out {
        change(t.debit, &|w| {
            with(w.at(now), |w| add(w, Direction::Out, t.amount))
        });
    }
    if inward {
        change(t.credit, &|w| {
            with(w.at(now), |w| add(w, Direction::In, t.amount))
        });
    }
    if let Some(at) = t.limit_window {
        change(t.debit, &|w| {
            with(w.at(now), |w| give_back(w, Direction::In, t.amount, at))
        });
        change(t.credit, &|w| {
            with(w.at(now), |w| give_back(w, Direction::Out, t.amount, at))
        });
    }
}

fn posted_amount(record: &Record) -> u128 {
    record
        .transfer()
        .filter(|t| t.mode == Mode::Post)
        .map_or(0, |t| t.amount)
}

fn with(mut windows: Windows, change: impl FnOnce(&mut Windows)) -> Windows {
    change(&mut windows);
    windows
}

fn add(w: &mut Windows, direction: Direction, amount: u128) {
    let (day, month) = match direction {
        Direction::Out => (&mut w.used.out_day, &mut w.used.out_month),
        Direction::In => (&mut w.used.in_day, &mut w.used.in_month),
    };
    *day = day.saturating_add(amount);
    *month = month.saturating_add(amount);
}

fn give_back(w: &mut Windows, direction: Direction, amount: u128, at: Timestamp) {
    let (day, month) = match direction {
        Direction::Out => (&mut w.used.out_day, &mut w.used.out_month),
        Direction::In => (&mut w.used.in_day, &mut w.used.in_month),
    };
    if w.day == at.day_number() {
        *day = day.saturating_sub(amount);
    }
    if w.month == at.month_number() {
        *month = month.saturating_sub(amount);
    }
}
