//! The wallets of the naive ledger (part B of the contract): movements and limits.

use std::collections::BTreeMap;

use florin_base::Timestamp;

use super::model::{Floor, Item, Mode, Model, Status, Transfer, transfer_of};

/// out.perTransaction, out.daily, out.monthly, in.…
pub type Limits = [Option<u128>; 6];

#[derive(Debug, Clone)]
pub struct Wallet {
    pub account: usize,
    pub user: String,
    pub tier: &'static str,
    pub limits: Option<Limits>,
}

/// Deposit, withdrawal, transfer or hold as a caller sends it.
#[derive(Debug, Clone, PartialEq)]
pub struct Movement {
    pub op: &'static str,
    pub wallet: u128,
    pub id: String,
    pub amount: String,
    pub destination: Option<u128>,
    pub rate: Option<String>,
    pub expires: Option<u32>,
    pub reference: String,
    pub description: Option<String>,
    pub effective: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    pub refused: Option<&'static str>,
    pub field: Option<&'static str>,
    pub limit: Option<&'static str>,
    pub seqs: Vec<u64>,
    pub replayed: bool,
}

impl Outcome {
    pub fn done(seqs: Vec<u64>) -> Self {
        Self {
            seqs,
            ..Self::default()
        }
    }

    pub fn replay(&self) -> Self {
        Self {
            replayed: true,
            ..self.clone()
        }
    }
}

pub fn no(code: &'static str) -> Outcome {
    Outcome {
        refused: Some(code),
        ..Outcome::default()
    }
}

pub fn no_at(code: &'static str, field: &'static str) -> Outcome {
    Outcome {
        refused: Some(code),
        field: Some(field),
        ..Outcome::default()
    }
}

#[derive(Debug, Default)]
pub struct Wallets {
    pub by_id: BTreeMap<u128, Wallet>,
    pub tiers: BTreeMap<(&'static str, &'static str), Limits>,
    /// (wallet, reference) → what was asked and answered.
    pub references: BTreeMap<(u128, String), (Movement, i64, Outcome)>,
    pub captures: BTreeMap<(String, String), (u128, Outcome)>,
    /// Wallet → (out, transfer) of everything that counts against limits.
    pub counted: BTreeMap<u128, Vec<(bool, String)>>,
}

const LIMIT_NAMES: [&str; 6] = [
    "out.perTransaction",
    "out.daily",
    "out.monthly",
    "in.perTransaction",
    "in.daily",
    "in.monthly",
];

/// Minor units of a decimal text; the error is the code of the wallet routes.
pub fn minor(text: &str, scale: u8) -> Result<u128, &'static str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > usize::from(scale) {
        return Err("amount_precision");
    }
    let padded = format!("{whole}{fraction:0<width$}", width = usize::from(scale));
    padded.parse().map_err(|_| "amount_out_of_range")
}

/// amount × rate × 10^(to − from), rounded down.
pub fn convert(amount: u128, rate: &str, from: u8, to: u8) -> u128 {
    let (whole, fraction) = rate.split_once('.').unwrap_or((rate, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().expect("a rate");
    let product = amount * digits * 10u128.pow(to.into());
    product / 10u128.pow(u32::from(from) + fraction.len() as u32)
}

impl Model {
    pub fn scale(&self, asset: &str) -> u8 {
        self.assets
            .iter()
            .find(|(c, _)| *c == asset)
            .map_or(0, |(_, s)| *s)
    }

    pub fn create_wallet(
        &mut self,
        id: u128,
        user: &str,
        asset: &str,
        tier: &'static str,
    ) -> Outcome {
        let Some(asset) = self.asset(asset) else {
            return no_at("currency_unknown", "currency");
        };
        let name = format!("florin:wallet:{}", uuid_text(id));
        let account = self.add_account(&name, asset, true, Floor::Zero);
        self.accounts[account].totals.events += 1;
        let seq = self.record("wallet.created", &name, &[account]);
        let wallet = Wallet {
            account,
            user: user.into(),
            tier,
            limits: None,
        };
        self.wallets.by_id.insert(id, wallet);
        Outcome::done(vec![seq])
    }

    /// Limits in force.
    pub fn limits(&self, wallet: u128) -> Limits {
        let w = &self.wallets.by_id[&wallet];
        let asset = self.accounts[w.account].asset;
        let of_tier = self.wallets.tiers.get(&(w.tier, asset)).copied();
        w.limits.or(of_tier).unwrap_or_default()
    }

    /// What a counted transfer stands for now.
    fn counts_for(&self, id: &str) -> (i64, u128) {
        let t = &self.transfers[id];
        let amount = match (t.mode, t.resolved) {
            _ if t.reversed => 0,
            (Mode::Pending, Some((_, posted))) => posted,
            _ => t.amount,
        };
        (t.at, amount)
    }

    /// Used: (day, month).
    pub fn used(&self, wallet: u128, out: bool) -> (u128, u128) {
        let now = Timestamp(self.now);
        let (mut day, mut month) = (0, 0);
        let counted = self.wallets.counted.get(&wallet);
        for (direction, id) in counted.into_iter().flatten().rev() {
            let (at, amount) = self.counts_for(id);
            let at = Timestamp(at);
            if at.month_number() != now.month_number() {
                break;
            }
            if *direction == out {
                month += amount;
                day += if at.day_number() == now.day_number() {
                    amount
                } else {
                    0
                };
            }
        }
        (day, month)
    }

    fn limit_hit(&self, wallet: u128, out: bool, amount: u128) -> Option<Outcome> {
        let limits = self.limits(wallet);
        let (day, month) = self.used(wallet, out);
        let first = if out { 0 } else { 3 };
        (0..3).zip([0, day, month]).find_map(|(i, used)| {
            let limit = limits[first + i]?;
            (used + amount > limit).then(|| Outcome {
                limit: Some(LIMIT_NAMES[first + i]),
                ..no("limit_exceeded")
            })
        })
    }

    pub fn wallet_move(&mut self, m: &Movement) -> Outcome {
        let Some(wallet) = self.wallets.by_id.get(&m.wallet).cloned() else {
            return no("wallet_not_found");
        };
        let key = (m.wallet, m.reference.clone());
        if let Some((before, effective, outcome)) = self.wallets.references.get(&key) {
            return match different(
                m,
                before,
                *effective,
                self.scale(self.accounts[wallet.account].asset),
            ) {
                Some(field) => no_at("idempotency_conflict", field),
                None => outcome.replay(),
            };
        }
        let (keep, records) = (self.accounts.len(), self.seq());
        let judged = self.judge_move(m, &wallet);
        let outcome = judged.unwrap_or_else(|refused| refused);
        if outcome.refused.is_some() && self.seq() > records {
            self.drop_accounts(keep);
        }
        let remembered = [
            "wallet_closed",
            "wallet_frozen",
            "destination_closed",
            "limit_exceeded",
            "insufficient_funds",
            "overflow",
        ];
        if outcome
            .refused
            .is_none_or(|code| remembered.contains(&code))
        {
            let effective = match outcome.refused {
                None => m.effective.unwrap_or(self.now),
                Some(_) => m.effective.unwrap_or(i64::MIN),
            };
            self.wallets
                .references
                .insert(key, (m.clone(), effective, outcome.clone()));
        }
        outcome
    }

    fn judge_move(&mut self, m: &Movement, wallet: &Wallet) -> Result<Outcome, Outcome> {
        let asset = self.accounts[wallet.account].asset;
        let scale = self.scale(asset);
        let amount = minor(&m.amount, scale).map_err(|code| no_at(code, "amount"))?;
        if amount == 0 || amount > 1_000_000 * 10u128.pow(scale.into()) {
            return Err(no_at("amount_out_of_range", "amount"));
        }
        if m.destination == Some(m.wallet) {
            return Err(no_at("same_wallet", "destinationWalletId"));
        }
        let destination = match m.destination {
            None => None,
            Some(id) => Some(
                self.wallets
                    .by_id
                    .get(&id)
                    .map(|w| w.account)
                    .ok_or(no_at("destination_not_found", "destinationWalletId"))?,
            ),
        };
        let target = destination.map_or(asset, |d| self.accounts[d].asset);
        let arrives = match (&m.rate, target == asset) {
            (None, true) => amount,
            (Some(_), true) => return Err(no_at("rate_not_allowed", "rate")),
            _ if m.op == "HOLD" => {
                return Err(no_at("currency_mismatch", "destinationWalletId"));
            }
            (None, false) => return Err(no_at("rate_required", "rate")),
            (Some(rate), false) => match convert(amount, rate, scale, self.scale(target)) {
                0 => return Err(no_at("amount_too_small", "amount")),
                arrives => arrives,
            },
        };
        let effective = m.effective.unwrap_or(self.now);
        if let Some((code, _)) = self.time_refusal(effective) {
            return Err(no_at(code, "effectiveAt"));
        }
        let takes = m.op != "DEPOSIT";
        match self.accounts[wallet.account].status {
            Status::Closed => return Err(no("wallet_closed")),
            Status::Frozen if takes => return Err(no("wallet_frozen")),
            _ => {}
        }
        if destination.is_some_and(|d| self.accounts[d].status == Status::Closed) {
            return Err(no("destination_closed"));
        }
        let hit = self.limit_hit(m.wallet, takes, amount);
        let hit = hit.or_else(|| self.limit_hit(m.destination?, false, arrives));
        if let Some(hit) = hit {
            return Err(hit);
        }
        self.post_move(m, wallet.account, destination, [amount, arrives], effective)
    }

    fn post_move(
        &mut self,
        m: &Movement,
        wallet: usize,
        destination: Option<usize>,
        [amount, arrives]: [u128; 2],
        effective: i64,
    ) -> Result<Outcome, Outcome> {
        let asset = self.accounts[wallet].asset;
        let target = destination.map_or(asset, |d| self.accounts[d].asset);
        let system = |model: &mut Self, kind: &str, asset: &str| {
            model
                .find(&format!("florin:{kind}:{asset}"))
                .expect("the asset exists")
        };
        let legs = if target != asset {
            let from = system(self, "fx", asset);
            let to = system(self, "fx", target);
            let payee = destination.expect("conversions have one");
            vec![(wallet, from, amount), (to, payee, arrives)]
        } else {
            let other = match destination {
                Some(d) => d,
                None => system(self, "external", asset),
            };
            match m.op {
                "DEPOSIT" => vec![(other, wallet, amount)],
                _ => vec![(wallet, other, amount)],
            }
        };
        for (debit, credit, amount) in &legs {
            if let Some((code, _)) = self.totals_refusal(*debit, *credit, *amount) {
                return Err(no_at(code, "amount"));
            }
        }
        let converts = legs.len() > 1;
        let mut seqs = Vec::new();
        for (i, (debit, credit, amount)) in (0u32..).zip(legs) {
            let holds = m.op == "HOLD";
            let change = if holds {
                [0, amount, 0]
            } else {
                [amount, 0, 0]
            };
            self.movement(debit, credit, effective, change, holds);
            let id = if i == 0 {
                m.id.clone()
            } else {
                format!("{}:2", m.id)
            };
            let item = Item {
                id,
                mode: Some(if holds { Mode::Pending } else { Mode::Single }),
                timeout: m.expires.map(i64::from),
                description: m.description.clone(),
                ..Item::default()
            };
            seqs.push(self.push(Transfer {
                debit,
                credit,
                amount,
                asset: self.accounts[debit].asset,
                code: match m.op {
                    _ if converts => "conversion".into(),
                    op => op.to_lowercase(),
                },
                effective,
                expires: m.expires.map(|s| self.now + i64::from(s) * 1_000_000),
                chain: converts.then(|| (m.id.clone(), i)),
                op: Some(m.op),
                ..transfer_of(&item)
            }));
        }
        let last = if converts {
            format!("{}:2", m.id)
        } else {
            m.id.clone()
        };
        let out = m.op != "DEPOSIT";
        let mut count = |wallet: u128, out: bool, id: &str| {
            let counted = self.wallets.counted.entry(wallet).or_default();
            counted.push((out, id.into()));
        };
        count(m.wallet, out, &m.id);
        if let Some(destination) = m.destination {
            count(destination, false, &last);
        }
        Ok(Outcome::done(seqs))
    }
}

pub fn uuid_text(id: u128) -> String {
    let hex = format!("{id:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// The first member in which a repeated movement differs (contract B3).
fn different(m: &Movement, before: &Movement, effective: i64, scale: u8) -> Option<&'static str> {
    let checks = [
        (m.op == before.op, "operation"),
        (
            minor(&m.amount, scale) == minor(&before.amount, scale),
            "amount",
        ),
        (m.destination == before.destination, "destinationWalletId"),
        (m.rate == before.rate, "rate"),
        (m.expires == before.expires, "expiresInSeconds"),
        (
            m.effective
                .is_none_or(|e| effective == i64::MIN || e == effective),
            "effectiveAt",
        ),
        (m.description == before.description, "description"),
    ];
    checks.into_iter().find(|(equal, _)| !equal).map(|(_, f)| f)
}
