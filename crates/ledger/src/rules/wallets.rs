//! Wallets themselves: creation, status, limits (contract B1, B6).

use super::{
    Judge, Judged,
    book::{Book, Fault, Known, Space},
    moves::amount_refusal,
};
use crate::{
    call::{CreateWallet, LimitMember, LimitsUpdate, Outcome, Refusal, RefusalCode, UpdateWallet},
    model::{
        AccountId, AccountKind, Body, Floor, Limits, NewAccount, NewWallet, Side, Slot, Status,
        WalletChange,
    },
};

impl<B: Book> Judge<'_, B> {
    pub(super) fn create_wallet(&mut self, call: CreateWallet) -> Result<Judged, Fault> {
        self.actor = call.actor.clone();
        if let Some(judged) = self.repeated_creation(&call)? {
            return Ok(judged);
        }
        let refuse = |code, field| Ok(Judged::new(Outcome::Refused(Refusal::at(code, field))));
        let Some(asset) = self.book.asset_no(&call.currency) else {
            return refuse(RefusalCode::CurrencyUnknown, "currency");
        };
        if !self.policy.has_tier(&call.tier) {
            return refuse(RefusalCode::TierUnknown, "tier");
        }
        if self.book.wallets_of(&call.user_id, asset) >= self.policy.wallets_per_user_max {
            return refuse(RefusalCode::TooManyWallets, "userId");
        }
        let slot = self.open_account(NewAccount {
            id: AccountId::Wallet(call.id),
            asset,
            kind: AccountKind::Liability,
            normal: Side::Credit,
            floor: Floor::Zero,
            metadata: Default::default(),
        });
        self.attach_wallet(slot, call);
        let record = self.records.last().cloned().expect("just pushed");
        Ok(Judged::new(Outcome::Done(vec![record])))
    }

    /// Makes an account a wallet and records it.
    pub(super) fn attach_wallet(&mut self, slot: Slot, call: CreateWallet) {
        let wallet = NewWallet {
            id: call.id,
            slot,
            user_id: call.user_id,
            tier: call.tier,
            label: call.label,
            metadata: call.metadata,
            reference_id: (!call.reference.id.is_empty()).then_some(call.reference.id),
        };
        self.book.add_wallet(&wallet, self.start.now);
        let touches = self.wallet_event(slot);
        self.push(Body::WalletCreated(Box::new(wallet)), touches);
    }

    fn repeated_creation(&mut self, call: &CreateWallet) -> Result<Option<Judged>, Fault> {
        if call.reference.generated {
            return Ok(None);
        }
        let subject = call.actor.as_deref().unwrap_or("");
        let known = self
            .book
            .lookup(Space::Creation, subject.as_bytes(), &call.reference.id)?;
        let Some(Known::Record(seq)) = known else {
            return Ok(None);
        };
        let record = self.load(seq)?;
        let Body::WalletCreated(before) = &record.body else {
            return Ok(None);
        };
        let asset = self.book.asset(self.book.hot(before.slot).asset);
        let checks = [
            (call.user_id == before.user_id, "userId"),
            (call.currency == asset.code, "currency"),
            (call.tier == before.tier, "tier"),
            (call.label == before.label, "label"),
            (call.metadata == before.metadata, "metadata"),
        ];
        Ok(Some(match checks.into_iter().find(|(equal, _)| !equal) {
            Some((_, field)) => Judged::new(Outcome::Refused(Refusal::at(
                RefusalCode::IdempotencyConflict,
                field,
            ))),
            None => Judged::replay(Outcome::Done(vec![record])),
        }))
    }

    pub(super) fn update_wallet(&mut self, call: UpdateWallet) -> Result<Judged, Fault> {
        self.actor = call.actor.clone();
        let Some(slot) = self.visible_wallet(call.id, call.owner.as_deref()) else {
            return Ok(Judged::new(Outcome::Refused(
                RefusalCode::WalletNotFound.into(),
            )));
        };
        let change = match self.wallet_change(slot, &call) {
            Ok(change) => change,
            Err(refusal) => return Ok(Judged::new(Outcome::Refused(refusal))),
        };
        let Some(change) = change else {
            return Ok(Judged::new(Outcome::Done(Vec::new())));
        };
        self.apply_wallet_change(call.id, slot, change);
        let record = self.records.last().cloned().expect("just pushed");
        Ok(Judged::new(Outcome::Done(vec![record])))
    }

    /// What would change; `None` when everything is so already.
    fn wallet_change(
        &self,
        slot: Slot,
        call: &UpdateWallet,
    ) -> Result<Option<WalletChange>, Refusal> {
        let hot = self.book.hot(slot);
        let mut change = WalletChange::default();
        if let Some(status) = call.status
            && status != hot.status
        {
            if hot.status == Status::Closed {
                return Err(RefusalCode::WalletClosed.into());
            }
            if status == Status::Closed && !is_empty(&hot.totals) {
                return Err(RefusalCode::WalletNotEmpty.into());
            }
            change.status = Some(status);
        }
        if let Some(update) = &call.limits {
            if hot.status == Status::Closed {
                return Err(RefusalCode::WalletClosed.into());
            }
            self.limits_change(slot, update, &mut change)?;
        }
        let changes = change != WalletChange::default();
        change.reason = call.reason.clone();
        Ok(changes.then_some(change))
    }

    fn limits_change(
        &self,
        slot: Slot,
        update: &LimitsUpdate,
        change: &mut WalletChange,
    ) -> Result<(), Refusal> {
        let Some(info) = self.book.wallet(slot) else {
            return Ok(());
        };
        let asset = self.book.asset(self.book.hot(slot).asset);
        let tier = update.tier.as_deref().unwrap_or(&info.tier);
        if !self.policy.has_tier(tier) {
            return Err(Refusal::at(RefusalCode::TierUnknown, "tier"));
        }
        if *tier != *info.tier {
            change.tier = Some(tier.into());
        }
        let of_tier = self.policy.tier_limits(tier, &asset.code);
        let follows_tier = update.members.iter().all(|m| *m == LimitMember::Tier);
        let limits = if follows_tier {
            None
        } else {
            Some(resolve_limits(update, of_tier, asset.scale)?)
        };
        if limits != info.limits.as_deref().copied() {
            change.limits = Some(limits);
        }
        Ok(())
    }

    pub(super) fn apply_wallet_change(&mut self, id: u128, slot: Slot, change: WalletChange) {
        let touches = {
            let mut touches = self.wallet_event(slot);
            let hot = self.book.hot_mut(slot);
            hot.version += 1;
            if let Some(status) = change.status {
                hot.status = status;
            }
            if let Some(touch) = &mut touches.first {
                touch.after = hot.totals;
            }
            touches
        };
        let now = self.start.now;
        if let Some(info) = self.book.wallet_mut(slot) {
            if let Some(tier) = &change.tier {
                info.tier = (&**tier).into();
            }
            if let Some(limits) = change.limits {
                info.limits = limits.map(Box::new);
            }
            info.updated_at = now;
        }
        let version = self.book.hot(slot).version;
        self.push(
            Body::WalletUpdated {
                id,
                slot,
                version,
                change: Box::new(change),
            },
            touches,
        );
    }
}

/// Balance 0 and nothing reserved on either side.
pub(super) fn is_empty(t: &crate::model::Totals) -> bool {
    t.debits_posted == t.credits_posted && t.debits_pending == 0 && t.credits_pending == 0
}

const MEMBER_NAMES: [&str; 6] = [
    "out.perTransaction",
    "out.daily",
    "out.monthly",
    "in.perTransaction",
    "in.daily",
    "in.monthly",
];

/// A left-out member has the tier's value, `null` means none (contract G, tiers).
fn resolve_limits(update: &LimitsUpdate, of_tier: Limits, scale: u8) -> Result<Limits, Refusal> {
    let mut limits = of_tier;
    let slots = [
        &mut limits.out.per_transaction,
        &mut limits.out.daily,
        &mut limits.out.monthly,
        &mut limits.r#in.per_transaction,
        &mut limits.r#in.daily,
        &mut limits.r#in.monthly,
    ];
    for ((slot, member), name) in slots.into_iter().zip(update.members).zip(MEMBER_NAMES) {
        match member {
            LimitMember::Tier => {}
            LimitMember::Unlimited => *slot = None,
            LimitMember::Amount(decimal) => {
                *slot = Some(
                    decimal
                        .to_minor(scale)
                        .map_err(|e| amount_refusal(e, name))?,
                );
            }
        }
    }
    Ok(limits)
}
