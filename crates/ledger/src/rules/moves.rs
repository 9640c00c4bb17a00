//! Deposit, withdraw, transfer, hold, and other rooms' payments: the whole order of checks of
//! contract B2 in one step.

use florin_base::{AmountError, Timestamp};

use super::{
    Judge, Judged,
    book::{Book, Fault, Note, WalletAsk},
    convert::convert,
    holds::is_room,
    limits::Direction,
    posting::{EventsFor, Legs},
};
use crate::{
    call::{LimitHit, Outcome, Refusal, RefusalCode, WalletAmount, WalletMove},
    codes::ResultCode,
    model::{
        AccountId, Asset, Body, Mode, Origin, Record, Slot, Status, SystemAccount, Transfer,
        WalletType,
    },
};

/// Facts of a movement after the checks that need no status, limit or funds.
struct Plan {
    wallet: Slot,
    destination: Option<Slot>,
    /// Minor units of the path wallet's currency.
    amount: u128,
    /// Minor units that arrive; differs from `amount` in a conversion only.
    arrives: u128,
    converts: bool,
    effective_at: Timestamp,
}

const fn takes_from_wallet(op: WalletType) -> bool {
    matches!(
        op,
        WalletType::Withdrawal | WalletType::Transfer | WalletType::Hold | WalletType::Payment
    )
}

/// Operations of other rooms into a wallet know no limits and no amount range (README, "rooms
/// paying from and into wallets").
const fn is_inward_payment(op: WalletType) -> bool {
    matches!(op, WalletType::Refund | WalletType::Payout)
}

const fn posting_code(op: WalletType, converts: bool) -> &'static str {
    match op {
        _ if converts => "conversion",
        WalletType::Deposit => "deposit",
        WalletType::Withdrawal => "withdrawal",
        WalletType::Hold => "hold",
        WalletType::Payment => "payment",
        WalletType::Refund => "refund",
        WalletType::Payout => "payout",
        _ => "transfer",
    }
}

impl<B: Book> Judge<'_, B> {
    pub(super) fn wallet_move(&mut self, call: WalletMove) -> Result<Judged, Fault> {
        self.actor = call.actor.clone();
        let Some(wallet) = self.visible_wallet(call.wallet, call.owner.as_deref()) else {
            return Ok(Judged::new(Outcome::Refused(
                RefusalCode::WalletNotFound.into(),
            )));
        };
        if let Some(judged) = self.repeated_move(&call, wallet)? {
            return Ok(judged);
        }
        let plan = match self.plan_move(&call, wallet) {
            Ok(plan) => plan,
            Err(refusal) => return Ok(Judged::new(Outcome::Refused(refusal))),
        };
        let mark = self.mark();
        match self.execute_move(&call, &plan) {
            Ok(records) => Ok(Judged::new(Outcome::Done(records))),
            Err(refusal) => {
                self.roll_back(mark);
                self.remember_move_refusal(&call, &plan, &refusal);
                Ok(Judged::new(Outcome::Refused(refusal)))
            }
        }
    }

    /// A wallet the caller may see.
    pub(super) fn visible_wallet(&self, id: u128, owner: Option<&str>) -> Option<Slot> {
        let slot = self.book.slot(&AccountId::Wallet(id))?;
        let info = self.book.wallet(slot)?;
        owner
            .is_none_or(|user| *info.user_id == *user)
            .then_some(slot)
    }

    /// Minor units of an amount in a wallet's currency.
    pub(super) fn minor(&self, amount: WalletAmount, scale: u8) -> Result<u128, AmountError> {
        if self.policy.compat && amount.is_number {
            amount.decimal.to_minor_rounded(scale)
        } else {
            amount.decimal.to_minor(scale)
        }
    }

    /// Everything up to the status check; refusals here leave the identity free.
    fn plan_move(&self, call: &WalletMove, wallet: Slot) -> Result<Plan, Refusal> {
        let asset = self.book.asset(self.book.hot(wallet).asset);
        let amount = self
            .minor(call.amount, asset.scale)
            .map_err(|e| amount_refusal(e, "amount"))?;
        let range = self.policy.range(&asset);
        let in_range = is_inward_payment(call.op)
            || call.op == WalletType::Payment
            || (call.op == WalletType::Hold && is_room(&call.module))
            || (range.min..=range.max).contains(&amount);
        if !in_range
            || amount == 0
            || (call.amount.decimal.negative && call.amount.decimal.digits != 0)
        {
            return Err(Refusal::at(RefusalCode::AmountOutOfRange, "amount"));
        }
        let destination = match call.destination {
            None => None,
            Some(id) if id == call.wallet => {
                return Err(Refusal::at(RefusalCode::SameWallet, "destinationWalletId"));
            }
            Some(id) => match self
                .book
                .slot(&AccountId::Wallet(id))
                .filter(|s| self.book.wallet(*s).is_some())
            {
                None => {
                    return Err(Refusal::at(
                        RefusalCode::DestinationNotFound,
                        "destinationWalletId",
                    ));
                }
                slot => slot,
            },
        };
        if call.currency.as_ref().is_some_and(|c| *c != asset.code) {
            return Err(Refusal::at(RefusalCode::CurrencyMismatch, "currency"));
        }
        let target = destination
            .map(|d| self.book.asset(self.book.hot(d).asset))
            .filter(|t| t.code != asset.code);
        let arrives = self.arriving_amount(call, amount, &asset, target.as_deref())?;
        let effective_at = call.effective_at.unwrap_or(self.start.now);
        if let Some(code) = self.time_refusal(effective_at) {
            return Err(Refusal::at(refusal_code(code), "effectiveAt"));
        }
        Ok(Plan {
            wallet,
            destination,
            amount,
            arrives,
            converts: target.is_some(),
            effective_at,
        })
    }

    fn arriving_amount(
        &self,
        call: &WalletMove,
        amount: u128,
        asset: &Asset,
        target: Option<&Asset>,
    ) -> Result<u128, Refusal> {
        match (target, &call.rate) {
            (None, None) => Ok(amount),
            (None, Some(_)) => Err(Refusal::at(RefusalCode::RateNotAllowed, "rate")),
            (Some(_), _) if call.op == WalletType::Hold => Err(Refusal::at(
                RefusalCode::CurrencyMismatch,
                "destinationWalletId",
            )),
            (Some(_), None) => Err(Refusal::at(RefusalCode::RateRequired, "rate")),
            (Some(target), Some(rate)) => match convert(amount, rate, asset.scale, target.scale) {
                None => Err(Refusal::at(RefusalCode::Overflow, "amount")),
                Some(0) => Err(Refusal::at(RefusalCode::AmountTooSmall, "amount")),
                Some(arrives) => Ok(arrives),
            },
        }
    }

    /// Status, destination status, limits, funds; then the posting. The caller rolls back on a
    /// refusal.
    fn execute_move(&mut self, call: &WalletMove, plan: &Plan) -> Result<Vec<Record>, Refusal> {
        let status = self.book.hot(plan.wallet).status;
        if status == Status::Closed {
            return Err(RefusalCode::WalletClosed.into());
        }
        if status == Status::Frozen && takes_from_wallet(call.op) {
            return Err(RefusalCode::WalletFrozen.into());
        }
        if plan
            .destination
            .is_some_and(|d| self.book.hot(d).status == Status::Closed)
        {
            return Err(RefusalCode::DestinationClosed.into());
        }
        if let Some(hit) = self.move_limit_hit(call.op, plan) {
            return Err(Refusal {
                code: RefusalCode::LimitExceeded,
                field: None,
                limit: Some(hit),
            });
        }
        let first_seq = self.next_seq();
        if plan.converts {
            self.post_conversion(call, plan)
        } else {
            self.post_move(call, plan)
        }?;
        let from = first_seq - self.start.last_seq - 1;
        let own = |record: &&Record| record.transfer().is_some();
        Ok(self.records[from as usize..]
            .iter()
            .filter(own)
            .cloned()
            .collect())
    }

    fn move_limit_hit(&self, op: WalletType, plan: &Plan) -> Option<LimitHit> {
        if takes_from_wallet(op) {
            self.limit_hit(plan.wallet, Direction::Out, plan.amount, true)
                .or_else(|| {
                    plan.destination
                        .and_then(|d| self.limit_hit(d, Direction::In, plan.arrives, false))
                })
        } else if is_inward_payment(op) {
            None
        } else {
            self.limit_hit(plan.wallet, Direction::In, plan.amount, true)
        }
    }

    fn post_move(&mut self, call: &WalletMove, plan: &Plan) -> Result<(), Refusal> {
        let asset_no = self.book.hot(plan.wallet).asset;
        let asset = self.book.asset(asset_no);
        let other = match (plan.destination, &call.counter_account) {
            (Some(slot), _) => slot,
            (None, None) => self.system_account(SystemAccount::External, &asset),
            (None, Some(id)) => match self
                .resolve_account(id)
                .filter(|s| self.book.hot(*s).asset == asset_no)
            {
                Some(slot) => slot,
                None => return Err(RefusalCode::CounterAccountInvalid.into()),
            },
        };
        let (debit, credit) = if takes_from_wallet(call.op) {
            (plan.wallet, other)
        } else {
            (other, plan.wallet)
        };
        let legs = Legs {
            debit,
            credit,
            amount: plan.amount,
        };
        let reserves = call.op == WalletType::Hold;
        self.check_legs(legs, reserves)?;
        let mut transfer = self.move_transfer(call, plan, legs);
        let touches = if reserves {
            transfer.mode = Mode::Pending;
            transfer.timeout_seconds = call.expires_in_seconds;
            transfer.expires_at = call
                .expires_in_seconds
                .map(|s| Timestamp(self.start.now.0 + i64::from(s) * 1_000_000));
            let pending = self.open_pending(&transfer);
            self.apply_pending(&transfer.id, pending, EventsFor::Payer)
        } else {
            self.apply_single(legs, EventsFor::Both)
        };
        self.count_transfer(&transfer);
        self.push(Body::Transfer(Box::new(transfer)), touches);
        Ok(())
    }

    /// One chain of two legs (contract A10): source to liquidity, liquidity to payee.
    fn post_conversion(&mut self, call: &WalletMove, plan: &Plan) -> Result<(), Refusal> {
        let payee = plan.destination.expect("a conversion has a destination");
        let source = self.book.asset(self.book.hot(plan.wallet).asset);
        let target = self.book.asset(self.book.hot(payee).asset);
        let source_fx = self.system_account(SystemAccount::Fx, &source);
        let target_fx = self.system_account(SystemAccount::Fx, &target);
        let legs = [
            Legs {
                debit: plan.wallet,
                credit: source_fx,
                amount: plan.amount,
            },
            Legs {
                debit: target_fx,
                credit: payee,
                amount: plan.arrives,
            },
        ];
        for (index, legs) in (0u32..).zip(legs) {
            self.check_legs(legs, false)?;
            let mut transfer = self.move_transfer(call, plan, legs);
            transfer.chain = Some((call.transfer_id.clone(), index));
            if index > 0 {
                transfer.id = format!("{}:2", call.transfer_id).into();
            }
            let touches = self.apply_single(legs, EventsFor::Both);
            self.count_transfer(&transfer);
            self.push(Body::Transfer(Box::new(transfer)), touches);
        }
        Ok(())
    }

    fn check_legs(&self, legs: Legs, reserves: bool) -> Result<(), Refusal> {
        if self.status_refusal(legs, true).is_some() {
            // The wallets were checked before; what is left is the account on the other side.
            return Err(RefusalCode::CounterAccountInvalid.into());
        }
        if self.overflow_refusal(legs, reserves).is_some() {
            return Err(Refusal::at(RefusalCode::Overflow, "amount"));
        }
        match self.funds_refusal(legs) {
            Some(_) => Err(Refusal::at(RefusalCode::InsufficientFunds, "amount")),
            None => Ok(()),
        }
    }

    fn move_transfer(&self, call: &WalletMove, plan: &Plan, legs: Legs) -> Transfer {
        Transfer {
            id: call.transfer_id.clone(),
            mode: Mode::Single,
            debit: legs.debit,
            credit: legs.credit,
            amount: legs.amount,
            asset: self.book.hot(legs.debit).asset,
            code: posting_code(call.op, plan.converts).into(),
            effective_at: plan.effective_at,
            pending_id: None,
            timeout_seconds: None,
            expires_at: None,
            chain: None,
            reversal_of: None,
            description: call.description.clone(),
            metadata: call.metadata.clone(),
            source_recorded_at: None,
            origin: Some(Origin {
                module: call.module.clone(),
                r#type: call.op,
                reference_id: Some(call.reference.id.clone()),
                wallet_id: call.wallet,
                destination_wallet_id: call.destination,
                hold_id: None,
                rate: call.rate.as_ref().map(|r| r.text.clone()),
            }),
            floor_skipped: false,
            reserved: None,
            limit_window: None,
        }
    }

    fn remember_move_refusal(&mut self, call: &WalletMove, plan: &Plan, refusal: &Refusal) {
        if call.reference.generated || !refusal.code.is_remembered() {
            return;
        }
        let asked = WalletAsk {
            wallet: call.wallet,
            reference: call.reference.id.clone(),
            op: call.op,
            amount: plan.amount,
            destination: call.destination,
            rate: call.rate.as_ref().map(|r| r.text.clone()),
            expires_in_seconds: call.expires_in_seconds,
            effective_at: call.effective_at,
            description: call.description.clone(),
            metadata: call.metadata.clone(),
        };
        let note = Note::WalletRefused {
            asked: Box::new(asked),
            refusal: refusal.clone(),
            recorded_at: self.start.now,
        };
        self.push_note(note);
    }
}

/// The refusal for an amount that cannot be read in the currency.
pub(super) fn amount_refusal(error: AmountError, field: &'static str) -> Refusal {
    match error {
        AmountError::Precision => Refusal::at(RefusalCode::AmountPrecision, field),
        AmountError::Invalid | AmountError::Range => {
            Refusal::at(RefusalCode::AmountOutOfRange, field)
        }
    }
}

/// The wallet routes' word for a ledger code.
pub(super) fn refusal_code(code: ResultCode) -> RefusalCode {
    match code {
        ResultCode::EffectiveTimeInFuture => RefusalCode::EffectiveTimeInFuture,
        ResultCode::EffectiveTimeInClosedPeriod => RefusalCode::EffectiveTimeInClosedPeriod,
        ResultCode::EffectiveTimeBeforePending => RefusalCode::EffectiveTimeBeforePending,
        ResultCode::EffectiveTimeBeforeOriginal => RefusalCode::EffectiveTimeBeforeOriginal,
        ResultCode::DebitAccountClosed => RefusalCode::DebitAccountClosed,
        ResultCode::CreditAccountClosed => RefusalCode::CreditAccountClosed,
        ResultCode::Overflow => RefusalCode::Overflow,
        _ => RefusalCode::InsufficientFunds,
    }
}
