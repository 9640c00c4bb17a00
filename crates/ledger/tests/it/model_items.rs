//! Items as part A of the contract judges them: ranks 1 to 53, chains, identity.

use super::{
    model::{Floor, Item, Mode, Model, Status, Transfer, Verdict, transfer_of},
    model_grammar::{different, invalid},
};

const STATE_CODES: [&str; 23] = [
    "asset_not_found",
    "pending_transfer_not_found",
    "pending_transfer_not_pending",
    "pending_transfer_mismatch",
    "exceeds_pending_amount",
    "pending_transfer_already_posted",
    "pending_transfer_already_voided",
    "pending_transfer_expired",
    "debit_account_not_found",
    "credit_account_not_found",
    "asset_mismatch",
    "effective_time_in_future",
    "effective_time_in_closed_period",
    "effective_time_before_pending",
    "debit_account_closed",
    "credit_account_closed",
    "debit_account_frozen",
    "credit_account_frozen",
    "overflow",
    "limit_exceeded",
    "insufficient_funds",
    "transfer_not_reversible",
    "already_reversed",
];

type Refused = (&'static str, Option<&'static str>);

impl Model {
    /// Judges the items of a call in order.
    pub fn transfers(&mut self, items: &[Item]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut start = 0;
        while start < items.len() {
            let linked = items[start..].iter().take_while(|i| i.linked).count();
            let end = (start + linked + 1).min(items.len());
            let chain = &items[start..end];
            if linked == 0 {
                let saved = self.accounts.len();
                let verdict = self.judge(&chain[0], None);
                if verdict.code != "created" && self.accounts.len() > saved {
                    self.drop_accounts(saved);
                }
                self.remember(&chain[0], verdict);
                verdicts.push(verdict);
            } else if chain[chain.len() - 1].linked {
                let code = |i| match i == chain.len() - 1 {
                    true => "linked_chain_open",
                    false => "linked_transfer_failed",
                };
                verdicts.extend((0..chain.len()).map(|i| refused(code(i), None)));
            } else {
                self.chain(chain, &mut verdicts);
            }
            start = end;
        }
        verdicts
    }

    /// System accounts made for an item that was then refused.
    pub fn drop_accounts(&mut self, keep: usize) {
        for account in self.accounts.split_off(keep) {
            self.by_id.remove(&account.id);
            self.records.pop();
        }
    }

    fn remember(&mut self, item: &Item, verdict: Verdict) {
        if STATE_CODES.contains(&verdict.code) {
            self.refused.insert(item.id.clone(), verdict.code);
        }
    }

    fn chain(&mut self, chain: &[Item], verdicts: &mut Vec<Verdict>) {
        let ids: Vec<String> = chain.iter().map(|i| i.id.clone()).collect();
        let saved = self.save();
        // Accounts made on the way come first, so that the chain's records are neighbours.
        for item in chain.iter().filter(|i| invalid(i).is_none()) {
            if matches!(item.mode(), Mode::Single | Mode::Pending) {
                for id in item.debit.iter().chain(&item.credit) {
                    self.find(id);
                }
            }
        }
        let mut own = Vec::new();
        for (i, item) in chain.iter().enumerate() {
            let verdict = if ids[..i].contains(&item.id) {
                refused("field_invalid", Some("id"))
            } else {
                self.judge(item, Some((&ids, i as u32)))
            };
            let failed = !matches!(verdict.code, "created" | "exists");
            own.push(verdict);
            if failed {
                self.restore(saved);
                self.remember(item, verdict);
                verdicts.extend((0..chain.len()).map(|j| match j == i {
                    true => verdict,
                    false => refused("linked_transfer_failed", None),
                }));
                return;
            }
        }
        verdicts.append(&mut own);
    }

    fn judge(&mut self, item: &Item, chain: Option<(&[String], u32)>) -> Verdict {
        if let Some((code, field)) = invalid(item) {
            return refused(code, Some(field));
        }
        if let Some(t) = self.transfers.get(&item.id) {
            return match self.difference(item, t, chain) {
                Some(code) => refused(code, None),
                None => Verdict {
                    code: "exists",
                    seq: Some(t.seq),
                    ..Verdict::default()
                },
            };
        }
        if let Some(first) = self.refused.get(&item.id) {
            return Verdict {
                code: "id_already_failed",
                first: Some(first),
                ..Verdict::default()
            };
        }
        let chain = chain.map(|(ids, i)| (ids[0].clone(), i));
        let judged = match item.mode() {
            Mode::Single | Mode::Pending => self.judge_movement(item, chain),
            Mode::Post | Mode::Void => self.judge_resolution(item, chain),
        };
        match judged {
            Ok(seq) => Verdict {
                code: "created",
                seq: Some(seq),
                ..Verdict::default()
            },
            Err((code, field)) => refused(code, field),
        }
    }

    fn difference(
        &self,
        item: &Item,
        t: &Transfer,
        chain: Option<(&[String], u32)>,
    ) -> Option<&'static str> {
        let resolves = matches!(item.mode(), Mode::Post | Mode::Void);
        // `f` members left out are those of the pending transfer.
        let same = |given: Option<&str>, recorded: &str| match given {
            Some(given) => given == recorded,
            None => resolves,
        };
        let default = t
            .pending
            .as_ref()
            .and_then(|p| self.transfers.get(p))
            .map(|p| p.amount);
        let amount = item
            .amount
            .as_ref()
            .and_then(|a| a.parse().ok())
            .or(default);
        let recorded_chain = t.chain.as_ref().map(|(id, _)| self.chains[id].as_slice());
        let checks = [
            (item.mode() == t.mode, "mode"),
            (item.pending == t.pending, "pending_id"),
            (
                same(item.debit.as_deref(), &self.accounts[t.debit].id),
                "debit_account",
            ),
            (
                same(item.credit.as_deref(), &self.accounts[t.credit].id),
                "credit_account",
            ),
            (amount == Some(t.amount), "amount"),
            (same(item.asset.as_deref(), t.asset), "asset"),
            (same(item.code.as_deref(), &t.code), "code"),
            (item.timeout == t.timeout, "timeout"),
            (
                item.effective.is_none_or(|e| e == t.effective),
                "effective_time",
            ),
            (item.description == t.description, "description"),
            (item.metadata == t.metadata, "metadata"),
            (chain.map(|(ids, _)| ids) == recorded_chain, "chain"),
        ];
        let (_, what) = checks.into_iter().find(|(equal, _)| !equal)?;
        Some(different(what))
    }

    /// Ranks 41 and 42.
    pub fn time_refusal(&self, effective: i64) -> Option<Refused> {
        if effective > self.now {
            return Some(("effective_time_in_future", None));
        }
        let closed = self.closed_before.is_some_and(|c| effective < c);
        closed.then_some(("effective_time_in_closed_period", None))
    }

    /// Ranks 47 to 50.
    pub fn status_refusal(&self, debit: usize, credit: usize, lowers: bool) -> Option<Refused> {
        let (d, c) = (&self.accounts[debit], &self.accounts[credit]);
        let checks = [
            (d.status == Status::Closed, "debit_account_closed"),
            (c.status == Status::Closed, "credit_account_closed"),
            (
                lowers && d.status == Status::Frozen && d.credit_normal,
                "debit_account_frozen",
            ),
            (
                lowers && c.status == Status::Frozen && !c.credit_normal,
                "credit_account_frozen",
            ),
        ];
        let found = checks.into_iter().find(|(applies, _)| *applies);
        found.map(|(_, code)| (code, None))
    }

    /// Ranks 51 and 53.
    pub fn totals_refusal(&self, debit: usize, credit: usize, amount: u128) -> Option<Refused> {
        let (d, c) = (&self.accounts[debit], &self.accounts[credit]);
        let sum = |a: u128, b: u128| a.checked_add(b).and_then(|s| s.checked_add(amount));
        if sum(d.totals.debits, d.totals.debits_pending).is_none() {
            return Some(("overflow", Some("debits")));
        }
        if sum(c.totals.credits, c.totals.credits_pending).is_none() {
            return Some(("overflow", Some("credits")));
        }
        let enough = |has: u128, gone: Option<u128>, floor: Floor| match floor {
            Floor::None => true,
            Floor::Zero => gone.is_some_and(|gone| gone <= has),
            Floor::Minus(depth) => gone.is_some_and(|gone| gone.saturating_sub(has) <= depth),
        };
        let gone = sum(d.totals.debits, d.totals.debits_pending);
        if d.credit_normal && !enough(d.totals.credits, gone, d.floor) {
            return Some(("insufficient_funds", Some("debitAccountId")));
        }
        let gone = sum(c.totals.credits, c.totals.credits_pending);
        if !c.credit_normal && !enough(c.totals.debits, gone, c.floor) {
            return Some(("insufficient_funds", Some("creditAccountId")));
        }
        None
    }

    fn judge_movement(
        &mut self,
        item: &Item,
        chain: Option<(String, u32)>,
    ) -> Result<u64, Refused> {
        let text = |o: &Option<String>| o.clone().unwrap_or_default();
        let asset = self
            .asset(&text(&item.asset))
            .ok_or(("asset_not_found", None))?;
        let debit = self
            .find(&text(&item.debit))
            .ok_or(("debit_account_not_found", None))?;
        let credit = self
            .find(&text(&item.credit))
            .ok_or(("credit_account_not_found", None))?;
        if self.accounts[debit].asset != asset {
            return Err(("asset_mismatch", Some("debitAccountId")));
        }
        if self.accounts[credit].asset != asset {
            return Err(("asset_mismatch", Some("creditAccountId")));
        }
        let amount: u128 = text(&item.amount).parse().expect("grammar was checked");
        let effective = item.effective.unwrap_or(self.now);
        let refusal = self
            .time_refusal(effective)
            .or_else(|| self.status_refusal(debit, credit, true))
            .or_else(|| self.totals_refusal(debit, credit, amount));
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let reserves = item.mode() == Mode::Pending;
        let change = if reserves {
            [0, amount, 0]
        } else {
            [amount, 0, 0]
        };
        self.movement(debit, credit, effective, change, false);
        Ok(self.push(Transfer {
            debit,
            credit,
            amount,
            asset,
            code: text(&item.code),
            effective,
            expires: item.timeout.map(|s| self.now + s * 1_000_000),
            chain,
            ..transfer_of(item)
        }))
    }

    fn judge_resolution(
        &mut self,
        item: &Item,
        chain: Option<(String, u32)>,
    ) -> Result<u64, Refused> {
        if item.asset.as_ref().is_some_and(|a| self.asset(a).is_none()) {
            return Err(("asset_not_found", None));
        }
        let pending = item.pending.clone().unwrap_or_default();
        let expired = pending
            .strip_suffix(":exp")
            .and_then(|p| self.transfers.get(p));
        let Some(p) = self.transfers.get(&pending).cloned() else {
            let is_expiry = expired.is_some_and(|t| {
                t.resolved
                    .is_some_and(|(how, _)| how == "pending_transfer_expired")
            });
            return Err(match is_expiry {
                true => ("pending_transfer_not_pending", None),
                false => ("pending_transfer_not_found", None),
            });
        };
        if p.mode != Mode::Pending {
            return Err(("pending_transfer_not_pending", None));
        }
        let differs = |given: &Option<String>, own: &str| given.as_ref().is_some_and(|g| g != own);
        let (debit, credit) = (&self.accounts[p.debit].id, &self.accounts[p.credit].id);
        for (given, own, field) in [
            (&item.debit, debit.as_str(), "debitAccountId"),
            (&item.credit, credit, "creditAccountId"),
            (&item.asset, p.asset, "asset"),
            (&item.code, &p.code, "code"),
        ] {
            if differs(given, own) {
                return Err(("pending_transfer_mismatch", Some(field)));
            }
        }
        let given: Option<u128> = item.amount.as_ref().and_then(|a| a.parse().ok());
        let amount = given.unwrap_or(p.amount);
        if amount > p.amount {
            return Err(("exceeds_pending_amount", None));
        }
        if let Some((how, _)) = p.resolved {
            return Err((how, None));
        }
        let effective = item.effective.unwrap_or(self.now);
        if let Some(refusal) = self.time_refusal(effective) {
            return Err(refusal);
        }
        if effective < p.effective {
            return Err(("effective_time_before_pending", None));
        }
        let posts = item.mode() == Mode::Post;
        if let Some(refusal) = self.status_refusal(p.debit, p.credit, posts) {
            return Err(refusal);
        }
        let (posted, how) = match posts {
            true => (Some(amount), "pending_transfer_already_posted"),
            false => (None, "pending_transfer_already_voided"),
        };
        self.resolve(&pending, posted, how, effective, false);
        Ok(self.push(Transfer {
            debit: p.debit,
            credit: p.credit,
            amount,
            asset: p.asset,
            code: p.code,
            effective,
            chain,
            ..transfer_of(item)
        }))
    }
}

fn refused(code: &'static str, field: Option<&'static str>) -> Verdict {
    Verdict {
        code,
        field,
        ..Verdict::default()
    }
}
