//! A naive ledger: plain maps and lists, written from the contract and from nothing else. Items
//! are judged in `model_items`, wallet and account calls in `model_wallets` and `model_calls`.

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
