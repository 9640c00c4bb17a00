//! Random calls that hit the edges: mostly sensible, often repeated, sometimes wrong.

use super::{
    model::{Floor, Item, Mode, Model, Status},
    model_wallets::{Limits, Movement},
    support::Random,
};

/// One step of a run.
#[derive(Debug, Clone)]
pub enum Step {
    Transfers(Vec<Item>, Option<String>),
    Move(Movement),
    /// Hold, amount and reference of a capture (else a void), id.
    Resolve(String, Option<(Option<String>, String)>, String),
    Reverse(String, String, Option<i64>),
    CreateAccount(String, &'static str, bool, Floor),
    PatchAccount(String, Option<Status>, Option<Floor>),
    CreateWallet(u128, String, &'static str, &'static str),
    UpdateWallet(u128, Option<Status>, Option<Limits>),
}

pub struct Generator {
    pub random: Random,
    pub count: u64,
    /// Calls sent before, to be sent again.
    pub sent: Vec<Vec<Item>>,
    pub ids: Vec<String>,
    pub pendings: Vec<String>,
    pub movements: Vec<Movement>,
    pub holds: Vec<String>,
    pub captures: Vec<Step>,
    pub reversals: Vec<Step>,
    pub keyed: Vec<(Vec<Item>, String)>,
    pub wallets: Vec<u128>,
    pub accounts: Vec<String>,
}

pub const KEEP: usize = 400;

pub fn keep<T>(list: &mut Vec<T>, value: T, random: &mut Random) {
    if list.len() < KEEP {
        list.push(value);
    } else {
        let place = random.below(KEEP);
        list[place] = value;
    }
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            count: 0,
            sent: Vec::new(),
            ids: Vec::new(),
            pendings: Vec::new(),
            movements: Vec::new(),
            holds: Vec::new(),
            captures: Vec::new(),
            reversals: Vec::new(),
            keyed: Vec::new(),
            wallets: Vec::new(),
            accounts: Vec::new(),
        }
    }

    pub fn fresh(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    pub fn fresh_uuid(&mut self) -> u128 {
        let (high, low) = (self.random.word(), self.random.word());
        u128::from(high) << 64 | u128::from(low)
    }

    pub fn step(&mut self, model: &Model) -> Step {
        let dice = self.random.below(100);
        if self.accounts.len() < 12 || dice == 0 && self.accounts.len() < 60 {
            return self.create_account(model);
        }
        if self.wallets.len() < 8 || dice == 1 && self.wallets.len() < 30 {
            return self.create_wallet();
        }
        match dice {
            0..4 => self.patch(),
            4..30 => self.movement(model),
            30..38 if !self.holds.is_empty() => self.resolve(model),
            38..43 if !self.ids.is_empty() => self.reverse(model),
            43..46 => self.keyed(model),
            46..52 if !self.sent.is_empty() => {
                let again = self.random.pick(&self.sent).clone();
                Step::Transfers(self.altered(again), None)
            }
            _ => {
                let items = self.items(model);
                keep(&mut self.sent, items.clone(), &mut self.random);
                Step::Transfers(items, None)
            }
        }
    }

    /// A call sent before: equal, changed in one place, cut or extended.
    fn altered(&mut self, mut items: Vec<Item>) -> Vec<Item> {
        let place = self.random.below(items.len());
        match self.random.below(6) {
            0 => {
                let item = &mut items[place];
                match self.random.below(8) {
                    0 => item.amount = Some("77".into()),
                    1 => item.description = Some("another".into()),
                    2 => item.debit = Some("acc:1".into()),
                    3 => item.effective = item.effective.map(|e| e - 1),
                    4 => item.code = Some("other".into()),
                    5 => item.timeout = item.timeout.map(|t| t + 1),
                    6 => item.mode = Some(Mode::Pending),
                    _ => item.linked = !item.linked,
                }
            }
            1 => items.truncate(place + 1),
            2 => drop(items.drain(..place)),
            _ => {}
        }
        items
    }

    fn keyed(&mut self, model: &Model) -> Step {
        if !self.keyed.is_empty() && self.random.one_in(2) {
            let (items, key) = self.random.pick(&self.keyed).clone();
            let items = if self.random.one_in(4) {
                self.altered(items)
            } else {
                items
            };
            return Step::Transfers(items, Some(key));
        }
        let (items, key) = (self.items(model), self.fresh("key-"));
        let pair = (items.clone(), key.clone());
        keep(&mut self.keyed, pair, &mut self.random);
        Step::Transfers(items, Some(key))
    }

    fn items(&mut self, model: &Model) -> Vec<Item> {
        let most = *self.random.pick(&[1, 1, 3, 10, 40, 80, 200]);
        let count = 1 + self.random.below(most);
        let mut items: Vec<Item> = Vec::with_capacity(count);
        let mut in_chain = false;
        for place in 0..count {
            let mut item = self.item(model);
            if place > 0 && self.random.one_in(40) {
                item = self.random.pick(&items).clone();
            }
            in_chain = if in_chain {
                !self.random.one_in(3)
            } else {
                self.random.one_in(8)
            };
            item.linked = in_chain && (place + 1 < count || self.random.one_in(6));
            items.push(item);
        }
        items
    }

    fn account(&mut self, asset: &str, model: &Model) -> String {
        match self.random.below(30) {
            0 => "nobody".into(),
            1 => self.random.pick(&self.accounts).clone(),
            2..5 => format!("florin:external:{asset}"),
            5 => format!(
                "florin:{}:{asset}",
                self.random.pick(&["fx", "fees", "suspense"])
            ),
            // Half of the traffic meets on two hot accounts of each asset.
            n => {
                let found = model.accounts.iter().filter(|a| a.asset == asset);
                let own: Vec<&String> = found.map(|a| &a.id).collect();
                if own.is_empty() {
                    return format!("florin:opening:{asset}");
                }
                let among = if n < 18 { own.len().min(4) } else { own.len() };
                own[self.random.below(among)].clone()
            }
        }
    }

    fn item(&mut self, model: &Model) -> Item {
        let id = if self.random.one_in(25) && !self.ids.is_empty() {
            self.random.pick(&self.ids).clone()
        } else {
            self.fresh("t")
        };
        if self.random.below(10) < 3 && !self.pendings.is_empty() {
            return self.resolution(id, model);
        }
        let asset = match self.random.below(14) {
            0 => format!("A{:02}", self.random.below(24)),
            1 => "POINTS".into(),
            2..4 => "USD".into(),
            4 => "JPY".into(),
            5 if self.random.one_in(6) => "NONE".into(),
            _ => "BRL".into(),
        };
        let pending = self.random.below(10) < 4;
        let amount = match self.random.below(40) {
            0 => u128::MAX.to_string(),
            1 => (u128::MAX / 2).to_string(),
            2 => "0".into(),
            3 => "1000000".into(),
            _ => (1 + self.random.below(500)).to_string(),
        };
        let amount = if amount.len() > 20 && asset != "POINTS" {
            "5".into()
        } else {
            amount
        };
        let debit = self.account(&asset, model);
        let mut credit = self.account(&asset, model);
        for _ in 0..3 {
            if credit == debit {
                credit = self.account(&asset, model);
            }
        }
        let mut item = Item {
            debit: Some(debit),
            credit: Some(credit),
            amount: Some(amount),
            asset: Some(asset),
            code: Some("t".into()),
            timeout: (pending && self.random.one_in(2)).then(|| 1 + self.random.below(20) as i64),
            mode: pending.then_some(Mode::Pending),
            effective: self.effective(model),
            description: self.random.one_in(10).then(|| "a text é".into()),
            metadata: match self.random.one_in(10) {
                true => vec![("k".into(), self.random.below(3).to_string())],
                false => Vec::new(),
            },
            id,
            ..Item::default()
        };
        self.spoil(&mut item);
        keep(&mut self.ids, item.id.clone(), &mut self.random);
        if pending {
            keep(&mut self.pendings, item.id.clone(), &mut self.random);
        }
        item
    }

    pub fn effective(&mut self, model: &Model) -> Option<i64> {
        let back = match self.random.below(24) {
            0 => -1_000_000,
            1 => self.random.below(1 << 40) as i64,
            2..5 => self.random.below(60_000_000) as i64,
            _ => return None,
        };
        Some(model.now - back)
    }

    /// Once in a while something is wrong with the values.
    fn spoil(&mut self, item: &mut Item) {
        if !self.random.one_in(30) {
            return;
        }
        match self.random.below(12) {
            0 => item.id = "no spaces".into(),
            1 => item.debit = Some(":x".into()),
            2 => item.asset = Some("brl".into()),
            3 => item.code = Some("T".into()),
            4 => item.amount = Some("12.5".into()),
            5 => item.amount = Some("340282366920938463463374607431768211456".into()),
            6 => item.amount = None,
            7 => item.timeout = Some(0),
            8 => item.pending = Some("t1".into()),
            9 => item.credit = item.debit.clone(),
            10 => item.description = Some("x".repeat(501)),
            _ => item.code = None,
        }
    }

    fn resolution(&mut self, id: String, model: &Model) -> Item {
        let open: Vec<&String> = model.open.keys().rev().take(40).collect();
        let mut pending = match open.is_empty() || self.random.one_in(6) {
            true => self.random.pick(&self.pendings).clone(), // resolved or refused, mostly
            false => open[self.random.below(open.len())].clone(),
        };
        match self.random.below(60) {
            0 => pending.push_str(":exp"),
            1 => pending = self.random.pick(&self.ids).clone(),
            2 => pending = id.clone(),
            3 => pending = "unknown".into(),
            _ => {}
        }
        let posts = self.random.below(10) < 6;
        let amount =
            (posts && self.random.one_in(2)).then(|| (1 + self.random.below(300)).to_string());
        let mut item = Item {
            mode: Some(if posts { Mode::Post } else { Mode::Void }),
            pending: Some(pending),
            amount,
            effective: self.effective(model),
            ..Item::default()
        };
        if self.random.one_in(12) {
            item.asset = Some(self.random.pick(&["BRL", "USD", "NONE"]).to_string());
        }
        if self.random.one_in(12) {
            item.debit = Some("acc:1".into());
        }
        if self.random.one_in(12) {
            item.code = Some(self.random.pick(&["t", "other"]).to_string());
        }
        keep(&mut self.ids, id.clone(), &mut self.random);
        Item { id, ..item }
    }
}
