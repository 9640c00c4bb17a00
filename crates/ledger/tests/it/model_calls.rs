//! Holds, status, limits, accounts and reversals of the naive ledger.

use super::{
    model::{Floor, Item, Mode, Model, Status, Transfer, transfer_of},
    model_wallets::{Limits, Outcome, minor, no, no_at},
};

impl Model {
    /// Capture, or void when `capture` is `None`.
    pub fn resolve_hold(
        &mut self,
        hold: &str,
        capture: Option<(Option<&str>, &str)>,
        id: &str,
    ) -> Outcome {
        let placed = self.transfers.get(hold);
        let Some(p) = placed.filter(|t| t.op == Some("HOLD")).cloned() else {
            return no("hold_not_found");
        };
        let mut amount = p.amount;
        if let Some((asked, reference)) = capture {
            let asked = asked.map(|a| minor(a, self.scale(p.asset)));
            if let Some((before, outcome)) =
                self.wallets.captures.get(&(hold.into(), reference.into()))
            {
                return match asked.unwrap_or(Ok(p.amount)) == Ok(*before) {
                    true => outcome.replay(),
                    false => no_at("idempotency_conflict", "amount"),
                };
            }
            match asked {
                None => {}
                Some(Err(code)) => return no_at(code, "amount"),
                Some(Ok(0)) => return no_at("amount_out_of_range", "amount"),
                Some(Ok(asked)) if asked > p.amount => {
                    return no_at("exceeds_hold_amount", "amount");
                }
                Some(Ok(asked)) => amount = asked,
            }
        }
        match p.resolved.map(|(how, _)| how) {
            None => {}
            Some("pending_transfer_already_posted") => return no("hold_already_captured"),
            Some("pending_transfer_expired") => return no("hold_expired"),
            Some(_) if capture.is_none() => return Outcome::default().replay(),
            Some(_) => return no("hold_already_voided"),
        }
        if capture.is_some() && self.accounts[p.debit].status == Status::Frozen {
            return no("wallet_frozen");
        }
        let (posted, how) = match capture {
            Some(_) => (Some(amount), "pending_transfer_already_posted"),
            None => (None, "pending_transfer_already_voided"),
        };
        self.resolve(hold, posted, how, self.now, capture.is_none());
        let item = Item {
            id: id.into(),
            mode: Some(if capture.is_some() {
                Mode::Post
            } else {
                Mode::Void
            }),
            pending: Some(hold.into()),
            description: p.description.clone(),
            ..Item::default()
        };
        let seq = self.push(Transfer {
            debit: p.debit,
            credit: p.credit,
            amount,
            asset: p.asset,
            code: p.code,
            effective: self.now,
            ..transfer_of(&item)
        });
        let outcome = Outcome::done(vec![seq]);
        if let Some((_, reference)) = capture {
            let key = (hold.to_owned(), reference.to_owned());
            self.wallets.captures.insert(key, (amount, outcome.clone()));
        }
        outcome
    }

    pub fn update_wallet(
        &mut self,
        id: u128,
        status: Option<Status>,
        limits: Option<Limits>,
    ) -> Outcome {
        let Some(wallet) = self.wallets.by_id.get(&id).cloned() else {
            return no("wallet_not_found");
        };
        let account = &mut self.accounts[wallet.account];
        let new = status.filter(|s| *s != account.status);
        if (new.is_some() || limits.is_some()) && account.status == Status::Closed {
            return no("wallet_closed");
        }
        if new == Some(Status::Closed) && !account.is_empty() {
            return no("wallet_not_empty");
        }
        if new.is_none() && limits == wallet.limits {
            return Outcome::default();
        }
        if new.is_none() && limits.is_none() {
            return Outcome::default();
        }
        account.status = new.unwrap_or(account.status);
        account.version += 1;
        account.totals.events += 1;
        let name = account.id.clone();
        if limits.is_some() {
            self.wallets.by_id.get_mut(&id).expect("found above").limits = limits;
        }
        let seq = self.record("wallet.updated", &name, &[wallet.account]);
        Outcome::done(vec![seq])
    }

    pub fn create_account(
        &mut self,
        id: &str,
        asset: &str,
        credit_normal: bool,
        floor: Floor,
    ) -> Outcome {
        let Some(asset) = self.asset(asset) else {
            return no_at("asset_not_found", "asset");
        };
        self.add_account(id, asset, credit_normal, floor);
        Outcome::done(vec![self.seq()])
    }

    pub fn patch_account(
        &mut self,
        id: &str,
        status: Option<Status>,
        floor: Option<Floor>,
    ) -> Outcome {
        let Some(place) = self.by_id.get(id).copied() else {
            return no("account_not_found");
        };
        let account = &mut self.accounts[place];
        if account.status == Status::Closed {
            return no("account_closed");
        }
        if status == Some(Status::Closed) && !account.is_empty() {
            return no("account_not_empty");
        }
        account.status = status.unwrap_or(account.status);
        account.floor = floor.unwrap_or(account.floor);
        account.version += 1;
        Outcome::done(vec![self.record("account.updated", id, &[place])])
    }

    pub fn reverse(&mut self, id: &str, reason: &str, effective: Option<i64>) -> Outcome {
        if let Some(r) = self.transfers.get(&format!("{id}:rev")) {
            let same = r.description.as_deref() == Some(reason)
                && effective.is_none_or(|e| e == r.effective);
            if !same {
                return no("already_reversed");
            }
            let legs = r
                .chain
                .as_ref()
                .map_or(vec![], |(c, _)| self.chains[c].clone());
            let others = legs.iter().map(|l| self.transfers[l].seq);
            let seqs = std::iter::once(r.seq)
                .chain(others.filter(|s| *s != r.seq))
                .collect();
            return Outcome::done(seqs).replay();
        }
        let Some(t) = self.transfers.get(id) else {
            let pending = id.strip_suffix(":exp").and_then(|p| self.transfers.get(p));
            let expired = pending
                .and_then(|p| p.resolved)
                .is_some_and(|(how, _)| how == "pending_transfer_expired");
            return no(if expired {
                "transfer_not_reversible"
            } else {
                "transfer_not_found"
            });
        };
        let legs: Vec<Transfer> = match &t.chain {
            None => vec![t.clone()],
            Some((chain, _)) => self.chains[chain]
                .iter()
                .map(|l| self.transfers[l].clone())
                .collect(),
        };
        let reversible =
            |t: &Transfer| matches!(t.mode, Mode::Single | Mode::Post) && t.reversal_of.is_none();
        if !legs.iter().all(reversible) {
            return no("transfer_not_reversible");
        }
        let effective = effective.unwrap_or(self.now);
        if let Some((code, _)) = self.time_refusal(effective) {
            return no_at(code, "effectiveAt");
        }
        if legs.iter().any(|t| effective < t.effective) {
            return no_at("effective_time_before_original", "effectiveAt");
        }
        self.record_reversal(id, reason, effective, &legs)
    }

    fn record_reversal(
        &mut self,
        id: &str,
        reason: &str,
        effective: i64,
        legs: &[Transfer],
    ) -> Outcome {
        let saved = self.save();
        let first = format!("{}:rev", legs[legs.len() - 1].id);
        let mut seqs = Vec::new();
        for (i, t) in (0u32..).zip(legs.iter().rev()) {
            let refusal = self
                .status_refusal(t.credit, t.debit, false)
                .or_else(|| self.totals_refusal(t.credit, t.debit, t.amount));
            if let Some((code, _)) = refusal {
                self.restore(saved);
                return no(code);
            }
            self.movement(t.credit, t.debit, effective, [t.amount, 0, 0], false);
            let item = Item {
                id: format!("{}:rev", t.id),
                description: Some(reason.into()),
                ..Item::default()
            };
            let seq = self.push(Transfer {
                debit: t.credit,
                credit: t.debit,
                amount: t.amount,
                asset: t.asset,
                code: "reversal".into(),
                effective,
                chain: (legs.len() > 1).then(|| (first.clone(), i)),
                reversal_of: Some(t.id.clone()),
                ..transfer_of(&item)
            });
            match t.id == id {
                true => seqs.insert(0, seq),
                false => seqs.push(seq),
            }
        }
        for t in legs {
            let counted = t.pending.as_ref().unwrap_or(&t.id);
            self.transfers.get_mut(counted).expect("recorded").reversed = true;
        }
        Outcome::done(seqs)
    }
}
