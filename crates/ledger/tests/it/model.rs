//! A naive ledger: plain maps and lists, written from the contract and from nothing else. It
//! judges items as part A says; wallets stand in `model_wallets`.

use std::collections::BTreeMap;

use super::model_wallets::Wallets;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    Zero,
    Minus(u128),
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Open,
    Frozen,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Single,
    Pending,
    Post,
    Void,
}

/// The four totals with the two counters beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub debits: u128,
    pub credits: u128,
    pub debits_pending: u128,
    pub credits_pending: u128,
    pub postings: u64,
    pub events: u64,
}

/// What one record did to one account.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    pub seq: u64,
    pub at: i64,
    pub effective: i64,
    pub is_debit: bool,
    pub posted: u128,
    pub reserved: u128,
    pub released: u128,
}

#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    pub asset: &'static str,
    pub credit_normal: bool,
    pub floor: Floor,
    pub status: Status,
    pub totals: Totals,
    pub version: u32,
    pub is_wallet: bool,
    pub moves: Vec<Move>,
}

impl Account {
    pub fn is_empty(&self) -> bool {
        let t = &self.totals;
        t.debits == t.credits && t.debits_pending == 0 && t.credits_pending == 0
    }

    /// What all records with `effectiveAt` ≤ `e` and `recordedAt` ≤ `r` come to.
    pub fn fold(&self, e: i64, r: i64) -> Totals {
        let mut t = Totals::default();
        for m in self.moves.iter().filter(|m| m.effective <= e && m.at <= r) {
            apply(&mut t, m);
        }
        t
    }
}

pub fn apply(t: &mut Totals, m: &Move) {
    let (posted, pending) = if m.is_debit {
        (&mut t.debits, &mut t.debits_pending)
    } else {
        (&mut t.credits, &mut t.credits_pending)
    };
    *posted += m.posted;
    *pending = *pending + m.reserved - m.released;
    t.postings += u64::from(m.posted > 0);
}

/// An item as a caller sends it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Item {
    pub id: String,
    pub mode: Option<Mode>,
    pub debit: Option<String>,
    pub credit: Option<String>,
    pub amount: Option<String>,
    pub asset: Option<String>,
    pub code: Option<String>,
    pub pending: Option<String>,
    pub timeout: Option<i64>,
    pub effective: Option<i64>,
    pub linked: bool,
    pub description: Option<String>,
    pub metadata: Vec<(String, String)>,
}

impl Item {
    pub fn mode(&self) -> Mode {
        self.mode.unwrap_or(Mode::Single)
    }
}

/// A recorded transfer.
#[derive(Debug, Clone)]
pub struct Transfer {
    pub id: String,
    pub mode: Mode,
    pub debit: usize,
    pub credit: usize,
    pub amount: u128,
    pub asset: &'static str,
    pub code: String,
    pub effective: i64,
    pub pending: Option<String>,
    pub timeout: Option<i64>,
    pub expires: Option<i64>,
    /// Id of the chain's first item and the place in it.
    pub chain: Option<(String, u32)>,
    pub reversal_of: Option<String>,
    pub description: Option<String>,
    pub metadata: Vec<(String, String)>,
    pub seq: u64,
    pub at: i64,
    /// For a pending one: the code that answers its next resolution.
    pub resolved: Option<(&'static str, u128)>,
    pub reversed: bool,
    /// Operation of the wallet routes that made it.
    pub op: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    pub code: &'static str,
    pub seq: Option<u64>,
    pub field: Option<&'static str>,
    pub first: Option<&'static str>,
}

/// A record as the feed must show it, with the totals after it.
#[derive(Debug, Clone)]
pub struct Expected {
    pub kind: &'static str,
    /// Id of the transfer, pending transfer, account or asset.
    pub id: String,
    pub after: Vec<(usize, Totals)>,
}

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

/// What a chain that failed must leave untouched.
pub struct Saved {
    accounts: Vec<(Totals, usize)>,
    records: usize,
    open: BTreeMap<String, (i64, u64)>,
}

#[derive(Debug, Default)]
pub struct Model {
    pub assets: Vec<(&'static str, u8)>,
    pub accounts: Vec<Account>,
    pub by_id: BTreeMap<String, usize>,
    pub transfers: BTreeMap<String, Transfer>,
    pub refused: BTreeMap<String, &'static str>,
    /// Chain id → ids in order.
    pub chains: BTreeMap<String, Vec<String>>,
    /// Open reservations → (expiry or never, `seq`).
    pub open: BTreeMap<String, (i64, u64)>,
    pub records: Vec<Expected>,
    pub closed_before: Option<i64>,
    pub now: i64,
    pub wallets: Wallets,
}

type Refused = (&'static str, Option<&'static str>);

impl Model {
    pub fn seq(&self) -> u64 {
        self.records.len() as u64
    }

    pub fn asset(&self, code: &str) -> Option<&'static str> {
        self.assets
            .iter()
            .find(|(c, _)| *c == code)
            .map(|(c, _)| *c)
    }

    pub fn record(&mut self, kind: &'static str, id: &str, touched: &[usize]) -> u64 {
        let after = touched
            .iter()
            .map(|a| (*a, self.accounts[*a].totals))
            .collect();
        self.records.push(Expected {
            kind,
            id: id.into(),
            after,
        });
        self.seq()
    }

    pub fn add_account(
        &mut self,
        id: &str,
        asset: &'static str,
        credit_normal: bool,
        floor: Floor,
    ) -> usize {
        let place = self.accounts.len();
        self.accounts.push(Account {
            id: id.into(),
            asset,
            credit_normal,
            floor,
            status: Status::Open,
            totals: Totals::default(),
            version: 1,
            is_wallet: id.starts_with("florin:wallet:"),
            moves: Vec::new(),
        });
        self.by_id.insert(id.into(), place);
        self.record("account.created", id, &[place]);
        place
    }

    /// An account; the system accounts of an asset are made on first use.
    pub fn find(&mut self, id: &str) -> Option<usize> {
        if let Some(place) = self.by_id.get(id) {
            return Some(*place);
        }
        let (kind, asset) = id.strip_prefix("florin:")?.split_once(':')?;
        let asset = self.asset(asset)?;
        let (credit_normal, floor) = match kind {
            "external" => (false, Floor::None),
            "fx" | "opening" | "suspense" => (true, Floor::None),
            "fees" => (true, Floor::Zero),
            _ => return None,
        };
        Some(self.add_account(id, asset, credit_normal, floor))
    }

    /// Everything with `expiresAt` ≤ now is released first.
    pub fn expire(&mut self, now: i64) {
        self.now = now;
        loop {
            let due = self.open.iter().filter(|(_, (at, _))| *at <= now);
            let Some(id) = due
                .min_by_key(|(_, place)| **place)
                .map(|(id, _)| id.clone())
            else {
                return;
            };
            let at = self.open[&id].0;
            let (debit, credit) = (self.transfers[&id].debit, self.transfers[&id].credit);
            let is_hold = self.transfers[&id].op.is_some();
            self.resolve(&id, None, "pending_transfer_expired", at, is_hold);
            self.record("transfer.expired", &id, &[debit, credit]);
        }
    }

    /// Ends a reservation; `posted` is what moves.
    pub fn resolve(
        &mut self,
        id: &str,
        posted: Option<u128>,
        code: &'static str,
        effective: i64,
        payer_only: bool,
    ) {
        self.open.remove(id);
        let t = self.transfers.get_mut(id).expect("a pending transfer");
        t.resolved = Some((code, posted.unwrap_or(0)));
        let (debit, credit, amount) = (t.debit, t.credit, t.amount);
        self.movement(
            debit,
            credit,
            effective,
            [posted.unwrap_or(0), 0, amount],
            payer_only,
        );
    }

    /// Changes both accounts: [posted, reserved, released].
    pub fn movement(
        &mut self,
        debit: usize,
        credit: usize,
        effective: i64,
        [posted, reserved, released]: [u128; 3],
        payer_only: bool,
    ) {
        let (seq, at) = (self.seq() + 1, self.now);
        for (place, is_debit) in [(debit, true), (credit, false)] {
            let account = &mut self.accounts[place];
            let m = Move {
                seq,
                at,
                effective,
                is_debit,
                posted,
                reserved,
                released,
            };
            apply(&mut account.totals, &m);
            account.totals.events += u64::from(account.is_wallet && (is_debit || !payer_only));
            account.moves.push(m);
        }
    }

    /// Adds a transfer whose movement was made.
    pub fn push(&mut self, mut t: Transfer) -> u64 {
        let (debit, credit) = (t.debit, t.credit);
        let seq = self.record("transfer", &t.id.clone(), &[debit, credit]);
        (t.seq, t.at) = (seq, self.now);
        if let Some((chain, _)) = &t.chain {
            self.chains
                .entry(chain.clone())
                .or_default()
                .push(t.id.clone());
        }
        if t.mode == Mode::Pending {
            self.open
                .insert(t.id.clone(), (t.expires.unwrap_or(i64::MAX), seq));
        }
        self.transfers.insert(t.id.clone(), t);
        seq
    }

    pub fn save(&self) -> Saved {
        Saved {
            accounts: self
                .accounts
                .iter()
                .map(|a| (a.totals, a.moves.len()))
                .collect(),
            records: self.records.len(),
            open: self.open.clone(),
        }
    }

    pub fn restore(&mut self, saved: Saved) {
        for account in self.accounts.split_off(saved.accounts.len()) {
            self.by_id.remove(&account.id);
        }
        for (account, (totals, moves)) in self.accounts.iter_mut().zip(saved.accounts) {
            account.totals = totals;
            account.moves.truncate(moves);
        }
        for record in self.records.split_off(saved.records) {
            if let Some(t) = self.transfers.remove(&record.id) {
                if let Some((chain, _)) = &t.chain {
                    self.chains.remove(chain);
                }
                if let Some(p) = t.pending.and_then(|p| self.transfers.get_mut(&p)) {
                    p.resolved = None;
                }
            }
        }
        self.open = saved.open;
    }

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
        for item in chain
            .iter()
            .filter(|i| super::model_grammar::invalid(i).is_none())
        {
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
        if let Some((code, field)) = super::model_grammar::invalid(item) {
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
        Some(super::model_grammar::different(what))
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

/// The members that an item brings itself.
pub fn transfer_of(item: &Item) -> Transfer {
    Transfer {
        id: item.id.clone(),
        mode: item.mode(),
        debit: 0,
        credit: 0,
        amount: 0,
        asset: "",
        code: String::new(),
        effective: 0,
        pending: item.pending.clone(),
        timeout: item.timeout,
        expires: None,
        chain: None,
        reversal_of: None,
        description: item.description.clone(),
        metadata: item.metadata.clone(),
        seq: 0,
        at: 0,
        resolved: None,
        reversed: false,
        op: None,
    }
}
